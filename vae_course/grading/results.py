"""Store results, and write the files that people and other systems read."""

import csv
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from vae_course.files import replacing
from vae_course.grading.marking import Marked, Result
from vae_course.grading.submissions import Exercise, GradingError, Submission
from vae_course.visible.outcomes import Kind

__all__ = ["Store", "page_name", "sources_digest", "write_feedback", "write_grades", "write_json", "write_totals"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS submissions (
    student TEXT, exercise TEXT, fingerprint TEXT NOT NULL, marked_at TEXT NOT NULL,
    seconds REAL NOT NULL, bytes INTEGER NOT NULL, remarks TEXT NOT NULL, answers TEXT NOT NULL,
    PRIMARY KEY (student, exercise));
CREATE TABLE IF NOT EXISTS under_way (
    student TEXT, exercise TEXT, fingerprint TEXT NOT NULL, killed INTEGER NOT NULL, running INTEGER NOT NULL,
    PRIMARY KEY (student, exercise));
CREATE TABLE IF NOT EXISTS results (
    student TEXT, exercise TEXT, task TEXT, points REAL NOT NULL, max_points REAL NOT NULL,
    verdict TEXT NOT NULL, hint TEXT NOT NULL, PRIMARY KEY (student, exercise, task));
"""
FILE = "results.sqlite"
MAX_ANSWER = 20_000  # characters shown on a feedback page
Grades = dict[Submission, Marked]


class Store:
    """The SQLite file of results, each saved as soon as it exists. Only one run at a time can open it.

    Args:
        folder: where the file is.
    """

    def __init__(self, folder: Path):
        self.connection = sqlite3.connect(folder / FILE, timeout=1, isolation_level=None)
        try:
            self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.connection.execute("BEGIN EXCLUSIVE")
            for statement in SCHEMA.split(";"):
                self.connection.execute(statement)
            self.connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise GradingError(f"{folder / FILE} is in use: another run is writing to it ({error})") from error
        except sqlite3.DatabaseError as error:
            raise GradingError(f"{folder / FILE} is not a results file ({error}): move it away") from error

    def close(self) -> None:
        """Close the file, so that another run can open it."""
        self.connection.close()

    def setting(self, name: str, value: str) -> None:
        """Save a setting."""
        self.connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def settings(self) -> dict[str, str]:
        """All settings."""
        return dict(self.connection.execute("SELECT name, value FROM settings"))

    def begin(self, student: str, exercise: str, fingerprint: str) -> None:
        """Record that a submission is running. If marking is killed meanwhile, the next run knows which one it was."""
        self.connection.execute(
            "INSERT INTO under_way VALUES (?, ?, ?, 0, 1) ON CONFLICT (student, exercise) DO UPDATE SET running = 1, "
            "killed = CASE fingerprint WHEN excluded.fingerprint THEN killed ELSE 0 END, "
            "fingerprint = excluded.fingerprint",
            (student, exercise, fingerprint),
        )

    def end(self, student: str | None = None, exercise: str | None = None) -> None:
        """Record that a submission is no longer running; without arguments, that none is."""
        self.connection.execute(
            "UPDATE under_way SET running = 0 WHERE ? IS NULL OR (student = ? AND exercise = ?)",
            (student, student, exercise),
        )
        self.connection.execute("DELETE FROM under_way WHERE killed = 0 AND running = 0")

    def killed(self) -> dict[tuple[str, str, str], int]:
        """How often marking was killed while a submission was running, by student, exercise and fingerprint."""
        self.connection.execute("UPDATE under_way SET killed = killed + 1, running = 0 WHERE running = 1")
        rows = self.connection.execute("SELECT student, exercise, fingerprint, killed FROM under_way")
        return {(student, exercise, fingerprint): killed for student, exercise, fingerprint, killed in rows}

    def fingerprint(self, student: str, exercise: str) -> str | None:
        """The fingerprint that a submission was marked with; None if it has not been marked."""
        query = "SELECT fingerprint FROM submissions WHERE student = ? AND exercise = ?"
        row = self.connection.execute(query, (student, exercise)).fetchone()
        return row and row[0]

    def save(self, student: str, exercise: str, fingerprint: str, marked: Marked) -> None:
        """Save the results of a submission, in place of any earlier ones."""
        answers = {task: source[:MAX_ANSWER] for task, source in marked.answers.items()}
        values = (student, exercise, fingerprint, _now(), marked.seconds, marked.bytes)
        with self._transaction():
            for table in ("results", "under_way"):
                self.connection.execute(f"DELETE FROM {table} WHERE student = ? AND exercise = ?", (student, exercise))
            self.connection.execute(
                "INSERT OR REPLACE INTO submissions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, json.dumps(marked.remarks), json.dumps(answers)),
            )
            self.connection.executemany(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(student, exercise, *asdict(result).values()) for result in marked.results],
            )

    def load(self, student: str, exercise: str) -> Marked:
        """The results of a submission."""
        where = "WHERE student = ? AND exercise = ?"
        rows = self.connection.execute(
            f"SELECT task, points, max_points, verdict, hint FROM results {where} ORDER BY rowid", (student, exercise)
        )
        results = [Result(task, points, most, Kind(verdict), hint) for task, points, most, verdict, hint in rows]
        seconds, size, remarks, answers = self.connection.execute(
            f"SELECT seconds, bytes, remarks, answers FROM submissions {where}", (student, exercise)
        ).fetchone()
        return Marked(results, json.loads(answers), json.loads(remarks), seconds, size)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


def write_grades(path: Path, grades: Grades) -> None:
    """Write one line for each student, exercise and task."""
    rows = [["student", "exercise", "task", "points", "max_points", "verdict", "hint"]]
    for submission, marked in grades.items():
        for result in marked.results:
            points = (f"{result.points:g}", f"{result.max_points:g}")
            rows.append([submission.student, submission.exercise, result.task, *points, result.verdict, result.hint])
    _write_csv(path, rows)


def write_totals(path: Path, grades: Grades) -> None:
    """Write one line for each student with the points of each exercise; empty if nothing was handed in.

    Canvas requires the first five columns in a grade import. Moodle's import maps any of them to a user.
    """
    totals = {(s.student, s.exercise): sum(result.points for result in marked.results) for s, marked in grades.items()}
    students, exercises = list(dict.fromkeys(s for s, _ in totals)), sorted({exercise for _, exercise in totals})
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *exercises]]
    for student in students:
        points = [f"{totals[student, name]:g}" if (student, name) in totals else "" for name in exercises]
        rows.append([student, "", "", student, "", *points])
    _write_csv(path, rows)


def _write_csv(path, rows):
    with replacing(path) as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_feedback(folder: Path, grades: Grades, exercises: dict[str, Exercise]) -> None:
    """Write a self-contained page for each student."""
    folder.mkdir(exist_ok=True)
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        Path(__file__).with_name("feedback.html").read_text(encoding="utf-8")
    )
    by_student: dict[str, list] = {}
    for submission, marked in grades.items():
        by_student.setdefault(submission.student, []).append((exercises[submission.exercise], marked))
    for student, parts in by_student.items():
        with replacing(folder / page_name(student)) as file:
            file.write(template.render(student=student, parts=parts))


def page_name(student: str) -> str:
    """The file name of a student's page: the student's name, if a file can have it."""
    name = student.replace("/", "_").replace("\\", "_")
    if len(name.encode()) > 200 or name != student:
        name = f"{name.encode()[:150].decode('utf-8', 'ignore')}-{hashlib.sha256(student.encode()).hexdigest()[:12]}"
    return f"{name}.html"


def write_json(path: Path, report: dict) -> None:
    """Write the report on the run, for scripts."""
    with replacing(path) as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds")


def sources_digest(folders: Sequence[Path]) -> str:
    """A digest of all code and notebooks in these folders: everything that affects verdicts."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((*folder.rglob("*.py"), *folder.rglob("*.ipynb"))):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
