"""Store results, and write the files that people and other systems read."""

import csv
import hashlib
import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from vae_course.files import replacing
from vae_course.grading.collect import Student
from vae_course.grading.marking import Marked, Result
from vae_course.grading.remarks import Remark, printable
from vae_course.grading.statistics import page_template
from vae_course.grading.submissions import Exercise, GradingError, Submission
from vae_course.visible.outcomes import Kind

__all__ = [
    "Attempt",
    "Grades",
    "Store",
    "page_name",
    "sources_digest",
    "write_feedback",
    "write_grades",
    "write_json",
    "write_totals",
]

VERSION = 2  # of the tables
SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS submissions (
    student TEXT, exercise TEXT, fingerprint TEXT, settings TEXT NOT NULL, number INTEGER PRIMARY KEY AUTOINCREMENT,
    shown TEXT NOT NULL, handed_in TEXT NOT NULL, late INTEGER NOT NULL, marked_at TEXT NOT NULL,
    seconds REAL NOT NULL, bytes INTEGER NOT NULL, remarks TEXT NOT NULL, answers TEXT NOT NULL,
    UNIQUE (student, exercise, fingerprint));
CREATE TABLE IF NOT EXISTS under_way (
    student TEXT, exercise TEXT, fingerprint TEXT NOT NULL, killed INTEGER NOT NULL, running INTEGER NOT NULL,
    PRIMARY KEY (student, exercise));
CREATE TABLE IF NOT EXISTS results (
    student TEXT, exercise TEXT, fingerprint TEXT, task TEXT, points REAL NOT NULL, max_points REAL NOT NULL,
    verdict TEXT NOT NULL, hint TEXT NOT NULL, PRIMARY KEY (student, exercise, fingerprint, task));
"""
FILE = "results.sqlite"
FORMULA = re.compile(
    r"(^|[;\t])(\s*[=+\-@|%＝＋－＠])"
)  # what a spreadsheet may take for a formula, where a cell begins
MAX_ANSWER = 20_000  # characters shown on a feedback page
ABOUT_FILES = ("no access", "another exercise", "unknown file", "several", "gone")  # remarks that students see
Grades = dict[Submission, Marked]


@dataclass(frozen=True)
class Attempt:
    """A hand-in that is marked.

    Args:
        submission: what was handed in. Its file may be gone.
        fingerprint: of the file and of the settings that it was marked with.
        settings: a digest of these settings.
        points: for all tasks together.
        readable: whether it was a notebook with this exercise.
    """

    submission: Submission
    fingerprint: str
    settings: str
    points: float
    readable: bool


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
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
            known = version == VERSION or not self.connection.execute("SELECT name FROM sqlite_master").fetchone()
            if known:
                for statement in (*SCHEMA.split(";"), f"PRAGMA user_version = {VERSION}"):
                    self.connection.execute(statement)
            self.connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            problem = "is in use: another run is writing to it" if busy else "cannot be written"
            raise GradingError(f"{folder / FILE} {problem} ({error})") from error
        except sqlite3.DatabaseError as error:
            raise GradingError(f"{folder / FILE} is not a results file ({error}): move it away") from error
        if not known:
            raise GradingError(
                f"{folder / FILE} is from another version of the course: give another folder, or move it"
            )

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

    def students(self) -> list[str]:
        """Everybody of whom something is marked."""
        return [row[0] for row in self.connection.execute("SELECT DISTINCT student FROM submissions ORDER BY student")]

    def attempts(self) -> dict[tuple[str, str], list[Attempt]]:
        """What is marked, by student and exercise, in the order in which it was first seen."""
        rows = self.connection.execute(
            "SELECT s.student, s.exercise, s.fingerprint, settings, shown, handed_in, late, sum(points), "
            "max(verdict <> ?) FROM submissions s JOIN results r ON (s.student, s.exercise, s.fingerprint) = "
            "(r.student, r.exercise, r.fingerprint) GROUP BY s.number ORDER BY s.number",
            (Kind.UNREADABLE,),
        )
        found: dict[tuple[str, str], list[Attempt]] = {}
        for student, exercise, fingerprint, settings, shown, handed_in, late, points, readable in rows:
            date = datetime.fromisoformat(handed_in) if handed_in else None
            submission = Submission(student, exercise, None, shown, date, bool(late))
            attempt = Attempt(submission, fingerprint, settings, points, bool(readable))
            found.setdefault((student, exercise), []).append(attempt)
        return found

    def forget(self, student: str) -> None:
        """Remove everything about a student."""
        with self._transaction():
            for table in ("submissions", "results", "under_way"):
                self.connection.execute(f"DELETE FROM {table} WHERE student = ?", (student,))

    def save(self, submission: Submission, fingerprint: str, settings: str, marked: Marked) -> None:
        """Save the results of a submission, beside those of earlier attempts."""
        student, exercise, handed_in = submission.student, submission.exercise, submission.handed_in
        answers = {task: source[:MAX_ANSWER] for task, source in marked.answers.items()}
        values = (
            student,
            exercise,
            fingerprint,
            settings,
            submission.shown,
            handed_in.isoformat() if handed_in else "",
        )
        values += (
            submission.late,
            _now(),
            marked.seconds,
            marked.bytes,
            json.dumps(marked.remarks),
            json.dumps(answers),
        )
        with self._transaction():
            self.connection.execute("DELETE FROM under_way WHERE student = ? AND exercise = ?", (student, exercise))
            self.connection.execute(
                "INSERT INTO submissions (student, exercise, fingerprint, settings, shown, handed_in, late, marked_at, "
                "seconds, bytes, remarks, answers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self.connection.executemany(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(student, exercise, fingerprint, *asdict(result).values()) for result in marked.results],
            )

    def load(self, attempt: Attempt) -> Marked:
        """The results of an attempt."""
        submission = attempt.submission
        key, where = (
            (submission.student, submission.exercise, attempt.fingerprint),
            "WHERE (student, exercise, fingerprint)",
        )
        rows = self.connection.execute(
            f"SELECT task, points, max_points, verdict, hint FROM results {where} = (?, ?, ?) ORDER BY rowid", key
        )
        results = [Result(task, points, most, Kind(verdict), hint) for task, points, most, verdict, hint in rows]
        seconds, size, remarks, answers = self.connection.execute(
            f"SELECT seconds, bytes, remarks, answers FROM submissions {where} = (?, ?, ?)", key
        ).fetchone()
        remarks = [Remark(kind, detail) for kind, detail in json.loads(remarks)]
        return Marked(results, json.loads(answers), remarks, seconds, size)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


def write_grades(path: Path, grades: Grades, late: Mapping[Submission, float | None]) -> None:
    """Write one line for each student, exercise and task."""
    rows = [["student", "exercise", "task", "points", "max_points", "verdict", "hint", "days_late"]]
    for submission, marked in grades.items():
        days = _days(late, submission)
        for result in marked.results:
            points = (f"{result.points:g}", f"{result.max_points:g}")
            row = [submission.student, submission.exercise, result.task, *points, result.verdict, result.hint, days]
            rows.append(row)
    _write_csv(path, rows)


def _days(late, submission):
    """Days late as a text: a number, "late" if the platform says only that, or nothing."""
    if submission not in late:
        return ""
    return "late" if late[submission] is None else f"{late[submission]:.2f}"


def write_totals(path: Path, grades: Grades, students: Collection[Student]) -> None:
    """Write one line for each student with the points of each exercise.

    An entry is empty if nothing was handed in, or nothing that could be read. Canvas requires the first five columns in
    a grade import. Moodle's import maps any of them to a user.
    """
    totals = {(s.student, s.exercise): marked.points for s, marked in grades.items() if marked.readable}
    exercises = sorted({submission.exercise for submission in grades})
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *exercises]]
    for student in students:
        points = [f"{totals[student.key, name]:g}" if (student.key, name) in totals else "" for name in exercises]
        name, login = student.name or student.key, student.login or student.key
        rows.append([name, student.id, "", login, student.section, *points])
    _write_csv(path, rows)


def _write_csv(path, rows):
    with replacing(path) as file:
        csv.writer(file, lineterminator="\n").writerows([[harmless(str(text)) for text in row] for row in rows])


def harmless(text: str) -> str:
    """The text as one line without control characters, and with nothing that a spreadsheet takes for a formula.

    Some spreadsheets separate cells at semicolons or tabs, whatever the file does.
    """
    line = " / ".join(filter(None, re.split(r"[\r\n\v\f\x85\u2028\u2029]+", text)))
    return printable(FORMULA.sub(r"\1'\2", line))


def write_feedback(
    folder: Path,
    grades: Grades,
    exercises: dict[str, Exercise],
    known: Collection[str],
    remarks: Iterable[tuple[str, Remark]] = (),
) -> None:
    """Write a self-contained page for each student, and remove those of other students that are known.

    Args:
        folder: for the pages.
        grades: the marked submissions.
        exercises: by name.
        known: students who may have a page from an earlier run.
        remarks: places (such as "ann" or "ann/ex04_kl_divergence") with remarks; those on students' files are shown.
    """
    folder.mkdir(exist_ok=True)
    template = page_template("feedback.html")
    by_student: dict[str, list] = {}
    for submission, marked in grades.items():
        by_student.setdefault(submission.student, []).append((exercises[submission.exercise], marked))
    about: dict[str, list[Remark]] = {}
    for place, remark in remarks:
        if remark.kind in ABOUT_FILES:
            about.setdefault(place, []).append(remark)
    for student, parts in by_student.items():
        places = (student, *(f"{student}/{name}" for name in exercises))
        files = [remark for place in places for remark in about.get(place, ())]
        with replacing(folder / page_name(student)) as file:
            file.write(template.render(student=student, parts=parts, files=files))
    for student in set(known) - set(by_student):
        (folder / page_name(student)).unlink(missing_ok=True)


def page_name(student: str) -> str:
    """The file name of a student's page: the student's name, if it is harmless as one."""
    name = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in student)
    name = f"_{name}" if name.startswith(("-", ".", "~")) else name
    if len(name.encode()) > 200 or name != student:
        name = f"{name.encode()[:150].decode('utf-8', 'ignore')}-{hashlib.sha256(student.encode()).hexdigest()[:12]}"
    return f"{name}.html"


def write_json(path: Path, report: dict) -> None:
    """Write the report on the run, for scripts."""
    with replacing(path) as file:
        json.dump(report, file, indent=1)
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
