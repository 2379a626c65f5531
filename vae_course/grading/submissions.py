"""Read what students handed in. A file may contain anything; reading gives steps to run, or reports why it cannot."""

import ast
import hashlib
import inspect
import json
import os
import re
import stat
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import count, takewhile
from pathlib import Path

import nbformat

from vae_course.grading.remarks import Remark, printable
from vae_course.notebooks import answer_id, cell_id, check_id, checked
from vae_course.tasks import EXERCISES, library_of
from vae_course.visible.protocol import ObserveTask, RunCell, Step

__all__ = [
    "Contents",
    "Exercise",
    "GradingError",
    "Submission",
    "Unreadable",
    "clean",
    "exercises_in",
    "fingerprint",
    "identify",
    "lesson_of",
    "read",
    "read_bytes",
    "read_exercises",
    "read_notebook",
]

MAX_FILE = 200 << 20  # bytes
MAX_BYTES = 10 << 20  # of what this process parses; a larger file is slimmed first
SLIM_MEMORY, SLIM_SECONDS = 2 << 30, 60  # limits of the process that slims a file
MAX_CELLS = 1000
MAX_ID = 200  # characters
MAX_REASON = 200  # characters
MAX_PARSED = 100_000  # characters of code; people write far less in an exercise

CHUNK = 1 << 20  # bytes
MARK = re.compile(rb""""([a-z_]+-\w+)"|check\((?:\\"|')([a-z_]+/\w+)|def (\w+)\(""")  # in a notebook's file
OTHER_LANGUAGE = re.compile(r"\s*%%(?!time\b|capture\b)")  # `%%writefile`, for example
IPYTHON_LINE = re.compile(r"^([ \t]*)[%!?].*", re.MULTILINE)
FUNCTION_LINE = re.compile(r"^(?:(?:async +)?def|class) +(\w+)|^(\w+) *= *lambda\b", re.MULTILINE)
VALUE_LINE = re.compile(r"^(\w+)[ \t]*(?::[^=\n]*)?=(?!=)", re.MULTILINE)


class GradingError(Exception):
    """Nothing could be marked. The message says what to do."""


class Unreadable(Exception):
    """A submission is not a notebook that can be marked. The message says why."""


@dataclass(frozen=True)
class Exercise:
    """An exercise as it was handed out.

    Args:
        name: its name, such as "ex04_kl_divergence".
        functions: the name of the required function, by task.
        cells: the cells with nbgrader's metadata, by id.
        setup: sources of the code cells before the first answer: imports.
        written: the id of the cell for the written answer.
        library: functions of `vae_lessons` that are switched off while answers run.
    """

    name: str
    functions: dict[str, str]
    cells: dict[str, nbformat.NotebookNode]
    setup: tuple[str, ...]
    written: str
    library: tuple[str, ...]

    @property
    def points(self) -> dict[str, int]:
        """The points of each task, in order."""
        return EXERCISES[self.name]


@dataclass(frozen=True)
class Submission:
    """A notebook that a student handed in.

    Args:
        student: what results call the student.
        exercise: the exercise's name.
        path: the file; None if it is gone.
        shown: where it was found, for people.
        handed_in: when, if that is known.
        late: the learning platform says that it is late.
    """

    student: str
    exercise: str
    path: Path | None
    shown: str = ""
    handed_in: datetime | None = None
    late: bool = False


@dataclass
class Contents:
    """The contents of a submission, ready to run.

    Args:
        steps: cells to run and answers to observe, in order.
        answers: the source of each answer that counts, by task.
        remarks: notes for the instructor.
    """

    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def read_exercises(root: Path) -> dict[str, Exercise]:
    """The exercises of the course, by name."""
    exercises = {}
    for path in sorted((root / "exercises").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cells = {cell_id(cell): cell for cell in notebook.cells if "nbgrader" in cell.metadata}
        functions = dict(call for cell in cells.values() if (call := checked(cell.source)))
        before = takewhile(lambda cell: "nbgrader" not in cell.metadata, notebook.cells)
        exercises[path.stem] = Exercise(
            path.stem,
            functions,
            cells,
            tuple(cell.source for cell in before if cell.cell_type == "code"),
            next(key for key in cells if key.startswith("written")),
            library_of(path.stem),
        )
    return exercises


def read_bytes(path: Path) -> bytes:
    """The bytes of a submitted file. Links, pipes and other special files are refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(
            "it is a symbolic link" if path.is_symlink() else f"it cannot be opened ({error.strerror})"
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unreadable("it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MAX_FILE:
            size = -(-status.st_size >> 20)  # rounded up
            raise Unreadable(f"it is {size:,} MiB, and the limit is {MAX_FILE >> 20} MiB (clear its outputs)")
        return file.read(MAX_FILE)


def fingerprint(data: bytes, *settings: object) -> str:
    """A digest of a file and of the settings used to mark it."""
    digest = hashlib.sha256(data)
    for setting in settings:
        digest.update(b"\0" + str(setting).encode())
    return digest.hexdigest()


def identify(data: bytes, exercises: dict[str, Exercise]) -> str | None:
    """The name of the exercise that a file holds; None if that is unclear."""
    found = exercises_in(data, exercises)
    return found[0] if len(found) == 1 else None


def exercises_in(data: bytes, exercises: dict[str, Exercise]) -> list[str]:
    """The names of the exercises of which a file holds most, by the answers' ids, checks and functions.

    At least half of an exercise's tasks must be there. The file may be large and malformed, so it is not parsed.
    """
    marks = {
        (name, task): {answer_id(task), task, function}
        for name, exercise in exercises.items()
        for task, function in exercise.functions.items()
    }
    found = _found(data, set().union(*marks.values()))
    counts = Counter(name for (name, _), any_of in marks.items() if any_of & found)
    counts = {name: n for name, n in counts.items() if 2 * n >= len(exercises[name].functions)}
    return [name for name, n in counts.items() if n == max(counts.values())]


def lesson_of(data: bytes, root: Path) -> str | None:
    """The name of the lesson (such as "04_kl_divergence") that a file holds instead of an exercise, or None."""
    if _found(data, {mark for tasks in EXERCISES.values() for task in tasks for mark in (task, answer_id(task))}):
        return None
    text = _utf8(data)
    for heading, name in _lessons(root).items():
        if any(f'"{heading}{end}'.encode() in text for end in ("\\n", '"')):
            return name
    return None


def _found(data, marks):
    """Those of the marks (ids and names of tasks, names of functions) that a notebook's file contains."""
    text, found = _utf8(data), set()
    for start in range(0, len(text), CHUNK):  # other threads can run in between
        matches = MARK.finditer(text, start, start + CHUNK + MAX_ID)
        found |= marks.intersection(match[match.lastindex].decode() for match in matches)
    return found


def _utf8(data):
    encoding = json.detect_encoding(data)
    return data if encoding.startswith("utf-8") else data.decode(encoding, "replace").encode()


@cache
def _lessons(root):
    """The names of the lessons, by the first heading as it stands in a file: with and without escapes."""
    lessons = {}
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        heading = read_notebook(path.read_bytes()).cells[0].source.splitlines()[0]
        for ascii_only in (True, False):
            lessons[json.dumps(heading, ensure_ascii=ascii_only)[1:-1]] = path.stem
    return lessons


def read(data: bytes, exercise: Exercise) -> Contents:
    """Find the answers of a submission by their ids, else by the functions that they define, and the steps to run.

    Changes to locked cells are ignored. All changes to the known cells are reported. The imports that were handed out
    run first, because a student's copy of them may contain a line that fails here.

    Raises:
        Unreadable: it is not a notebook, or it holds no cell of this exercise.
    """
    cells = list(_cells_of(read_notebook(data), exercise))
    keys = dict.fromkeys(cell.key for cell in cells if cell.key in exercise.cells)
    answers = {task: _answer(task, cells, exercise) for task in exercise.functions}
    if not any(answer.places for answer in answers.values()) and not keys.keys() - {exercise.written}:
        raise Unreadable("it holds no cell of this exercise")
    remarks = []
    for task, function in exercise.functions.items():
        remarks += answers[task].remarks
        key = check_id(task)
        if key not in keys and answers[task].places:
            remarks.append(Remark("no check", key))
        if any(cell.key == key and _check_in(cell.source) != (task, function) for cell in cells):
            remarks.append(Remark("locked", key))
    if exercise.written not in keys:
        remarks.append(Remark("no written answer", exercise.written))
    if list(keys) != [key for key in exercise.cells if key in keys]:
        remarks.append(Remark("moved"))
    sources = {task: answer.source for task, answer in answers.items() if answer.places}
    return Contents(list(_steps(cells, answers, exercise)), sources, remarks)


@dataclass(frozen=True)
class _Cell:
    """A cell of a submission.

    Args:
        key: its id; if a check has lost its id, the id that it had.
        source: its text.
        is_code: whether its type is code.
        functions: names of the functions that it defines.
        values: names of other values that it assigns.
        parses: whether its code can be parsed, as far as that was tried.
    """

    key: str
    source: str
    is_code: bool
    functions: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    parses: bool = True

    def defines(self, name: str) -> bool:
        """Whether it gives the name a value."""
        return name in self.functions or name in self.values


@dataclass(frozen=True)
class _Answer:
    """The answer to a task, or remarks on why there is none.

    Args:
        source: the source that counts.
        places: the positions of its cells.
        dropped: positions of cells that must not run, because they would replace it.
        remarks: notes for the instructor.
    """

    source: str = ""
    places: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    remarks: tuple[Remark, ...] = ()


def _cells_of(notebook, exercise) -> Iterator[_Cell]:
    check_ids = {call: check_id(call[0]) for call in exercise.functions.items()}
    required, parsed = exercise.functions.values(), 0
    for cell in notebook.cells:
        key, is_code, names = cell_id(cell), cell.cell_type == "code", ()
        if key not in exercise.cells and is_code:
            key = check_ids.get(_check_in(cell.source), key)
        if any(name in cell.source for name in required):
            parsed += len(cell.source)
            names = _definitions(cell.source, parsed <= MAX_PARSED)
        yield _Cell(key, cell.source, is_code, *names)


def _answer(task, cells, exercise) -> _Answer:
    """The answer in the cells with its id; if none of them was written or can be parsed, in those with its function.

    Of several, the last one counts. A cell as it was handed out counts only if there is nothing else.
    """
    name, key = exercise.functions[task], answer_id(task)
    handed_out = _bare(exercise.cells[key].source)
    by_id = [n for n, cell in enumerate(cells) if cell.key == key]
    elsewhere = set(map(answer_id, exercise.functions)) - {key}
    stubs = [n for n in by_id if _bare(cells[n].source) == handed_out]
    written = [n for n in by_id if n not in stubs]
    others = [n for n, cell in enumerate(cells) if cell.key not in exercise.cells and cell.is_code]
    merged = [n for n, cell in enumerate(cells) if cell.key in elsewhere and cell.is_code and name in cell.functions]
    by_function = [n for n in others if name in cells[n].functions] or [n for n in others if name in cells[n].values]
    by_function = by_function or merged  # with the answer to another task
    hidden = any(cells[n].parses for n in by_function) and not any(cells[n].parses for n in written)
    if any(cells[n].defines(name) for n in written) and not hidden:
        places, dropped, kinds = written, stubs, ["copies"] * (len(by_id) > 1)
    elif by_function:
        places, dropped, kinds = by_function, stubs, ["by function"] + ["copies"] * (len(by_function) > 1)
    elif by_id:
        places, dropped, kinds = by_id, [], ["copies"] * (len(by_id) > 1)
    else:
        return _Answer(remarks=(Remark("missing", key),))
    if not all(cells[n].is_code for n in places):
        kinds.append("type")
    last = next((n for n in reversed(places) if cells[n].defines(name)), places[-1])
    return _Answer(cells[last].source, tuple(places), tuple(dropped), tuple(Remark(kind, key) for kind in kinds))


def _definitions(source, parse) -> tuple[frozenset[str], frozenset[str], bool]:
    """The functions and the other values that a cell defines at top level, and whether it parses (if that is tried)."""
    if OTHER_LANGUAGE.match(source):
        return frozenset(), frozenset(), True
    functions, values = set(), set()
    try:
        if not parse:
            raise ValueError("too long")
        with warnings.catch_warnings(action="ignore"):  # about escapes in strings, for example
            body = ast.parse(IPYTHON_LINE.sub(r"\1pass", source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        functions.update(a or b for a, b in FUNCTION_LINE.findall(source))
        return frozenset(functions), frozenset(VALUE_LINE.findall(source)) - functions, not parse
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            functions.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target)]
            names = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
            (functions if isinstance(node.value, ast.Lambda) else values).update(names)
    return frozenset(functions), frozenset(values), True


def _check_in(source):
    """The task and the function's name in a cell that does nothing but check an answer, else None."""
    return checked(_bare(source).replace("'", '"').replace(",", ", "))


def _bare(source):
    """A source without its comments and whitespace, to compare it with another."""
    return "".join(re.sub("#.*", "", source).split())


def _steps(cells, answers, exercise) -> Iterator[Step]:
    """The imports that were handed out, then all cells up to the last answer, observing each answer once complete."""
    answer_ids, check_ids = set(map(answer_id, exercise.functions)), set(map(check_id, exercise.functions))
    dropped = {n for answer in answers.values() for n in answer.dropped}
    answered: dict[int, list[str]] = {}  # tasks, by the position of a cell that answers them
    complete: dict[int, list[str]] = {}  # tasks, by the position of the cell that completes the answer
    for task, answer in answers.items():
        for n in answer.places:
            answered.setdefault(n, []).append(task)
        if answer.places:
            checks = [n for n, cell in enumerate(cells) if cell.key == check_id(task)]
            complete.setdefault(max([*answer.places, *checks]), []).append(task)
    number = count()
    for source in exercise.setup:
        yield RunCell(next(number), source)
    for n, cell in enumerate(cells[: max(complete, default=-1) + 1]):
        runs = (cell.is_code or cell.key in answer_ids) and cell.key not in check_ids and n not in dropped
        if runs and cell.source.strip():
            yield RunCell(next(number), cell.source, tuple(answered.get(n, ())))
        for task in complete.get(n, ()):
            yield ObserveTask(next(number), task, exercise.functions[task])


def read_notebook(data: bytes) -> nbformat.NotebookNode:
    """Read what marking needs of a notebook: its cells and their ids, without outputs, in nbformat 4.

    Nothing else is read or validated, as it may be large, or malformed in ways that take very long to find. A cell that
    is malformed loses only what cannot be read of it.

    Raises:
        Unreadable: it is not a notebook.
    """
    if not data or data.isspace():
        raise Unreadable("it is empty")
    if len(data) > MAX_BYTES:
        data = _slimmed(data)
    try:
        cells = _raw_cells(data)
    except ValueError as error:
        raise Unreadable(_reason(error)) from None
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"it has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    cells = [_cell(number, cell) for number, cell in enumerate(cells)]
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def _slimmed(data):
    """A large notebook without its outputs. Another process reads it, because it may take much memory and time."""
    functions = "\n".join(map(inspect.getsource, (_raw_cells, _print_slim)))
    program = f"import json, sys\n\n{functions}\n_print_slim({SLIM_MEMORY}, {SLIM_SECONDS}, {MAX_BYTES})"
    command = [sys.executable, "-I", "-S", "-c", program]
    size = f"it is {len(data) / 2**20:.0f} MiB"
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SLIM_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{size} and takes too long to read (clear its outputs)") from None
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip() or "reading it takes too much memory or time"
        raise Unreadable(_reason(f"{size}, and {reason.splitlines()[-1]}"))
    return done.stdout


def _print_slim(memory, seconds, most):
    """Read a large notebook from standard input, and print what marking may need. This runs in its own process."""
    import contextlib
    import gc
    import resource

    gc.disable()  # it is slow with many objects, and finds nothing in JSON
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit holds already
            resource.setrlimit(limit, (value, value))
    try:
        slim = []
        for cell in _raw_cells(sys.stdin.buffer.read()):
            names = ["cell_type", "id", "source", "input"] + ["attachments"] * (cell.get("cell_type") != "code")
            kept = {name: cell[name] for name in names if name in cell}
            metadata = cell.get("metadata")
            if isinstance(metadata, dict):
                kept["metadata"] = {name: metadata[name] for name in ("id", "nbgrader") if name in metadata}
            slim.append(kept)
        text = json.dumps({"cells": slim}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError as error:
        sys.exit(str(error))
    except MemoryError:
        sys.exit("reading it takes too much memory")
    if len(text) > most:
        sys.exit(f"even without outputs more than {most >> 20} MiB are left")
    sys.stdout.buffer.write(text)


def _raw_cells(data):
    """The cells of a notebook of any format, in UTF-8, UTF-16 or UTF-32. A ValueError says what is wrong with it."""
    try:
        book = json.loads(data)
    except UnicodeDecodeError:
        raise ValueError("it is not a notebook (not text in UTF-8, UTF-16 or UTF-32)") from None
    except RecursionError:
        raise ValueError("it is not a notebook (nested too deeply)") from None
    except ValueError as error:
        raise ValueError(f"it is not a notebook (not JSON: {error})") from None
    if not isinstance(book, dict):
        raise ValueError("it is not a notebook (no list of cells)")
    version = book.get("nbformat")
    if isinstance(version, int) and version > 4:
        raise ValueError(f"it is a notebook of an unknown format ({str(version)[:20]})")
    sheets = [book] if "cells" in book else book.get("worksheets")  # before format 4
    groups = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    if not any(isinstance(group, list) for group in groups):
        raise ValueError("it is not a notebook (no list of cells)")
    return [cell for group in groups if isinstance(group, list) for cell in group if isinstance(cell, dict)]


def _cell(number, cell):
    """The parts of a cell that marking needs."""
    kinds = {"code": "code", "markdown": "markdown", "heading": "markdown", "html": "markdown"}  # two before format 4
    kind, metadata = cell.get("cell_type"), cell.get("metadata")
    kept = {
        "cell_type": kinds.get(kind, "raw") if isinstance(kind, str) else "raw",
        "source": _text(cell.get("source")) or _text(cell.get("input")),  # its name before format 4
        "metadata": {},
    }
    metadata = metadata if isinstance(metadata, dict) else {}
    nbgrader = metadata.get("nbgrader")
    name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    if isinstance(name, str):
        kept["metadata"] = {"nbgrader": {"grade_id": clean(name[:MAX_ID])}}
    own_id = cell.get("id", metadata.get("id"))  # Colab keeps it in the metadata
    kept["id"] = clean(own_id[:MAX_ID]) if isinstance(own_id, str) and own_id else f"unnamed-{number}"
    if kept["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    elif isinstance(cell.get("attachments"), dict):  # pictures in a written answer
        attachments = {name: formats for name, formats in cell["attachments"].items() if isinstance(formats, dict)}
        kept["attachments"] = {
            name: {kind: data for kind, data in formats.items() if isinstance(data, str)}
            for name, formats in attachments.items()
        }
    return kept


def _text(value):
    """A source, which is a string or a list of strings; whatever else stands there is left out."""
    lines = value if isinstance(value, list) else [value]
    return clean("".join(line for line in lines if isinstance(line, str)).replace("\r\n", "\n"))


def _reason(error):
    return printable(clean(str(error)))[:MAX_REASON]


def clean(text: str) -> str:
    """The text without lone surrogates (half an emoji, for example), which files cannot hold."""
    return text.encode("utf-8", "replace").decode()
