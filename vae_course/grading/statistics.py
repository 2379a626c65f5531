"""What a class did: numbers for the instructor, and the page that shows them."""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from vae_course.files import replacing
from vae_course.grading.marking import Marked, Result
from vae_course.grading.remarks import KINDS, MAX_NAMED, Remark, printable
from vae_course.grading.submissions import Exercise, Submission
from vae_course.notebooks import answer_id
from vae_course.visible.outcomes import Kind

if TYPE_CHECKING:
    from vae_course.grading.results import Grades

__all__ = ["class_statistics", "page_template", "remarks_for_students", "write_class_page"]

FAILURES = (Kind.UNREADABLE, Kind.TIMEOUT, Kind.MEMORY, Kind.CRASHED)
MOST_LOST = 5  # mistakes that lost the class most points
MAX_MISTAKES = 5  # named for one task
SLOWEST = 3
MIN_STATEMENTS = 4  # shorter answers are the same by coincidence; imports and `def` lines do not count
MIN_LINES = 8  # the same for answers that are not Python
OWN_LINE = re.compile(r"line \S+, in ")  # a line of a traceback
MAX_TEXT, MAX_LINE = 4000, 200  # characters shown


def class_statistics(
    grades: "Grades",
    students: Collection[str],
    exercises: dict[str, Exercise],
    late: Mapping[Submission, float | None] = {},
) -> dict[str, Any]:
    """What a class did, ready for JSON.

    Notebooks that could not be read have no points yet. They are listed, but no other number includes them.

    Args:
        grades: the marked submissions.
        students: everyone in the class. Whoever handed something in counts as well.
        exercises: the exercises of the course. Those that nobody handed in are left out.
        late: by how many days a submission was late; None if that is unknown.
    """
    everyone = sorted({*students, *(submission.student for submission in grades)})
    parts: dict[str, dict[Submission, Marked]] = {}
    for submission in sorted(grades, key=lambda submission: (submission.exercise, submission.student)):
        parts.setdefault(submission.exercise, {})[submission] = grades[submission]
    lost = [
        {"exercise": name, "task": task, **mistake}
        for name, part in parts.items()
        for task, results in _by_task(exercises[name], part).items()
        for mistake in _mistakes(results)
    ]
    lost.sort(key=lambda mistake: (-mistake["points"], -mistake["count"], mistake["task"], mistake["title"]))
    return {
        "students": len(everyone),
        "handed_in": len({submission.student for submission in grades}),
        "submissions": len(grades),
        "most_points_lost": lost[:MOST_LOST],
        "exercises": {name: _exercise(exercises[name], part, everyone, late) for name, part in parts.items()},
    }


def _exercise(exercise, part, everyone, late):
    handed_in = {submission.student for submission in part}
    read = {submission.student: marked for submission, marked in part.items() if marked.readable}
    return {
        "handed_in": len(handed_in),
        "marked": len(read),
        "not_handed_in": [student for student in everyone if student not in handed_in],
        "points": _points(exercise, read.values()),
        "tasks": {task: _task(results) for task, results in _by_task(exercise, part).items()},
        "seconds": _seconds(read),
        "failures": _failures(part),
        "identical_answers": _identical_answers(exercise, read),
        "late": [
            {"student": submission.student, "days": late[submission] and round(late[submission], 2)}
            for submission in part
            if late.get(submission, 0) != 0
        ],
    }


def _by_task(exercise: Exercise, part: dict[Submission, Marked]) -> dict[str, list[Result]]:
    """The results of each task, without notebooks that could not be read."""
    results: dict[str, list[Result]] = {task: [] for task in exercise.points}
    for marked in part.values():
        for result in marked.results if marked.readable else ():
            results[result.task].append(result)
    return results


def _points(exercise, read):
    scores = [marked.points for marked in read]
    most = sum(exercise.points.values())
    count = Counter(scores)
    low, median, high = np.quantile(scores, (0.25, 0.5, 0.75)).round(2).tolist() if scores else (None, None, None)
    return {
        "max": most,
        "mean": round(float(np.mean(scores)), 2) if scores else None,
        "median": median,
        "quartiles": [low, high],
        "distribution": [{"points": score, "count": count[score]} for score in sorted({*range(most + 1), *scores})],
    }


def _task(results):
    mistakes = _mistakes(results)
    passed = sum(result.verdict is Kind.PASSED for result in results)
    count = Counter(result.verdict for result in results)
    return {
        "passed": passed,
        "share": _share(passed, len(results)),
        "verdicts": {str(kind): count[kind] for kind in Kind if count[kind]},
        "mistakes": mistakes[:MAX_MISTAKES],
        "others": sum(mistake["count"] for mistake in mistakes[MAX_MISTAKES:]),
    }


def _share(count, total):
    return round(count / total, 4) if total else None


def _mistakes(results: Sequence[Result]) -> list[dict[str, Any]]:
    """What went wrong in a task, the most frequent first."""
    groups: dict[tuple[Kind, str], list[tuple[str, float]]] = {}
    for result in results:
        if result.verdict is not Kind.PASSED:
            title, hint = _title_and_hint(result)
            groups.setdefault((result.verdict, title), []).append((hint, result.max_points - result.points))
    rows = [
        {
            "verdict": str(verdict),
            "title": title,
            "hint": _commonest([hint for hint, _ in group]),
            "count": len(group),
            "share": _share(len(group), len(results)),
            "points": sum(points for _, points in group),
        }
        for (verdict, title), group in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["title"], row["verdict"]))


def _title_and_hint(result):
    """What results with the same fault have in common, and an explanation, which may differ."""
    title, _, hint = result.hint.partition("\n")
    if result.verdict is Kind.RAISED:
        error = next((line for line in hint.split("\n") if not OWN_LINE.match(line)), "")
        return f"stopped with {error.partition(':')[0].strip() or 'an error'}", error
    return title or str(result.verdict), hint if result.verdict is Kind.MISTAKE else ""


def _commonest(texts):
    count = Counter(texts)
    return min(count, key=lambda text: (-count[text], text))


def _seconds(read):
    slowest = sorted(read, key=lambda student: -read[student].seconds)[:SLOWEST]  # ties: by name, as `read` is
    return {
        "median": round(float(np.median([marked.seconds for marked in read.values()])), 2) if read else None,
        "slowest": [{"student": student, "seconds": round(read[student].seconds, 2)} for student in slowest],
    }


def _failures(part):
    """By verdict: whose answers took too much time or memory, crashed, or could not be read."""
    failures = {str(kind): [] for kind in FAILURES}
    for submission, marked in part.items():
        for kind in FAILURES:
            tasks = [result.task for result in marked.results if result.verdict is kind]
            if tasks:
                failures[str(kind)].append({"student": submission.student, "tasks": tasks})
    return {kind: found for kind, found in failures.items() if found}


def _identical_answers(exercise: Exercise, read: dict[str, Marked]) -> list[dict[str, list[str]]]:
    """Groups of students whose answers to some tasks are the same program; those with the most tasks first."""
    programs: dict[str, dict[str, str]] = {}  # by task and student
    for task in exercise.points:
        cell = exercise.cells.get(answer_id(task))
        stub = cell and _program(cell.source)
        found = {student: _program(marked.answers.get(task, "")) for student, marked in read.items()}
        programs[task] = {student: program for student, program in found.items() if program and program != stub}
    groups = {}
    for size in range(1, len(programs) + 1):
        for tasks in combinations(programs, size):
            same: dict[tuple[str, ...], list[str]] = {}
            for student in programs[tasks[0]]:
                if all(student in programs[task] for task in tasks):
                    same.setdefault(tuple(programs[task][student] for task in tasks), []).append(student)
            groups |= {tuple(group): tasks for group in same.values() if len(group) > 1}  # with more tasks: later
    ordered = sorted(groups, key=lambda group: (-len(groups[group]), -len(group), group))
    return [{"students": list(group), "tasks": list(groups[group])} for group in ordered]


def _program(source: str) -> str | None:
    """What a program does, without comments, docstrings and formatting; None if it is short."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd escape sequences, for example
            tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                node.body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        uncounted = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not isinstance(node, uncounted)]
        return ast.dump(tree) if len(statements) >= MIN_STATEMENTS else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # not Python, or nested too deeply
        lines = [line.strip() for line in source.splitlines() if line.strip()]
        return "\n".join(lines) if len(lines) >= MIN_LINES else None


def remarks_for_students(remarks: Iterable[Remark]) -> list[str]:
    """One line for each kind of remark on a submission, the most important first, with what it is about."""
    details: dict[str, list[str]] = {}
    for kind, detail in remarks:
        named = details.setdefault(kind, [])
        if detail and detail not in named:
            named.append(detail)
    lines = []
    for kind, sentence in KINDS.items():
        if kind in details:
            named = details[kind]
            more = [f"and {len(named) - MAX_NAMED:,} more"] if len(named) > MAX_NAMED else []
            about = ", ".join([*map(_line, named[:MAX_NAMED]), *more])
            lines.append(f"{sentence[0].upper()}{sentence[1:]}{f': {about}' if about else '.'}")
    return lines


def write_class_page(path: Path, statistics: dict[str, Any], troubles: Sequence[str] = ()) -> None:
    """Write a self-contained page about the class for the instructor.

    Args:
        path: the file.
        statistics: from `class_statistics`.
        troubles: a line about each problem that needs the instructor's attention.
    """
    with replacing(path) as file:
        file.write(page_template("class.html").render(statistics, troubles=troubles))


def page_template(name: str) -> jinja2.Template:
    """A template of this folder. What students wrote goes through its filters `line` or `lines`."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"line": _line, "lines": _lines, "number": _number, "percent": _percent}
    environment.filters |= {"plural": _plural, "duration": _duration, "breakable": _breakable}
    environment.filters["remarks"] = remarks_for_students
    return environment.from_string(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _line(text: str, most: int = MAX_LINE) -> str:
    """A text of a student in one line, without characters that cannot be seen, and cut if it is long."""
    return printable(text if len(text) <= most else text[: most - 1] + "…")


def _lines(text: str, most: int = MAX_TEXT) -> str:
    """A text of a student in its lines, without other characters that cannot be seen, and cut if it is long."""
    text = text.replace("\r\n", "\n").expandtabs(4)
    return "\n".join(map(printable, (text if len(text) <= most else text[: most - 1] + "…").split("\n")))


def _breakable(name):
    """The name of a task or an exercise, which a narrow page may break after `_`."""
    return Markup("_<wbr>").join(name.split("_"))


def _number(value):
    return "–" if value is None else f"{round(value, 1):g}"


def _percent(share):
    return "–" if share is None else f"{share:.0%}".replace("%", "\u00a0%")


def _plural(count, noun):
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def _duration(days):
    if days is None:
        return "late"
    return (
        _plural(round(days, 1), "day")
        if days >= 1
        else _plural(round(days * 24), "hour")
        if days >= 1 / 24
        else "less than an hour"
    )
