"""Read what students handed in. A file may contain anything; reading gives steps to run, or reports why it cannot."""

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import count, takewhile
from pathlib import Path

import nbformat

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
    "find",
    "fingerprint",
    "read",
    "read_bytes",
    "read_exercises",
    "read_notebook",
]

MAX_BYTES = 10 << 20
MAX_CELLS = 1000
MAX_ID = 200  # characters


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
        student: the name of the student's folder.
        exercise: the exercise's name.
        path: the file.
    """

    student: str
    exercise: str
    path: Path


@dataclass
class Contents:
    """The contents of a submission, ready to run.

    Args:
        steps: cells to run and answers to observe, in order.
        answers: the source of each answer, by task.
        remarks: notes for the instructor.
    """

    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


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


def find(folder: Path, exercises: dict[str, Exercise]) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder, and a line about each other file or folder in it.

    A submission is `STUDENT/EXERCISE.ipynb`, or `STUDENT/EXERCISE/EXERCISE.ipynb`, as nbgrader collects them.
    """
    found, remarks = {}, []
    for student, entry in _listed(folder):
        if entry.is_symlink() or not entry.is_dir():
            remarks.append(f"{student}: not a student's folder, so it was left alone")
            continue
        for name, file in _listed(Path(entry.path)):
            stem, suffix = os.path.splitext(name)
            path = Path(file.path)
            if name in exercises and file.is_dir(follow_symlinks=False):
                stem, suffix, path = name, ".ipynb", path / f"{name}.ipynb"
            if stem not in exercises or suffix != ".ipynb" or not os.path.lexists(path):
                close = get_close_matches(stem, exercises, n=1)
                meant = f"; was {close[0]}.ipynb meant?" if close else ""
                remarks.append(f"{student}/{name}: not the name of an exercise, so it was left alone{meant}")
            elif (student, stem) in found:
                remarks.append(f"{student}/{stem}.ipynb: handed in twice; {found[student, stem].path} was marked")
            else:
                found[student, stem] = Submission(student, stem, path)
    return list(found.values()), remarks


def _listed(folder: Path) -> Iterator[tuple[str, os.DirEntry]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
        if not entry.name.startswith("."):
            yield os.fsencode(entry.name).decode("utf-8", "backslashreplace"), entry


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
        if status.st_size > MAX_BYTES:
            size = status.st_size / 2**20
            raise Unreadable(f"it is {size:.0f} MiB, and the limit is {MAX_BYTES >> 20} MiB (clear its outputs)")
        return file.read(MAX_BYTES + 1)


def fingerprint(data: bytes, *settings: object) -> str:
    """A digest of a file and of the settings used to mark it."""
    digest = hashlib.sha256(data)
    for setting in settings:
        digest.update(b"\0" + str(setting).encode())
    return digest.hexdigest()


def read(data: bytes, exercise: Exercise) -> Contents:
    """Find the answers of a submission by their ids, and the steps to run.

    Changes to locked cells are ignored. All changes to the known cells are reported. The imports that were handed out
    run first, because a student's copy of them may contain a line that fails here.

    Raises:
        Unreadable: it is not a notebook.
    """
    contents = Contents()
    cells, seen = _relevant_cells(read_notebook(data), exercise, contents)
    contents.answers = _answers(cells, exercise, contents)
    for task in exercise.functions:
        if check_id(task) not in seen:
            contents.remarks.append(f"{check_id(task)}: this cell is missing; the answer was marked all the same")
    if exercise.written not in seen:
        contents.remarks.append(f"{exercise.written}: this cell, for the written answer, is missing")
    if seen != [key for key in exercise.cells if key in seen]:
        contents.remarks.append("cells were moved; they were run in their new order")
    contents.steps = list(_steps(cells, contents.answers, exercise))
    contents.remarks = list(dict.fromkeys(contents.remarks))  # once, even if a cell has copies
    return contents


def _relevant_cells(notebook, exercise, contents):
    """Ids and sources of the cells that run and of the checks (source None), and the ids of known cells."""
    answers, checks = set(map(answer_id, exercise.functions)), set(map(check_id, exercise.functions))
    cells, seen = [], []
    for cell in notebook.cells:
        key = cell_id(cell)
        if key in checks:
            if cell.source != exercise.cells[key].source:
                contents.remarks.append(f"{key}: this cell is locked but was changed; the change was ignored")
            cells.append((key, None))
        elif key in answers or cell.cell_type == "code":
            if key in answers and cell.cell_type != "code":
                contents.remarks.append(f"{key}: its type is {cell.cell_type}; it was run as code")
            cells.append((key, cell.source))
        seen += [key] if key in exercise.cells and key not in seen else []
    return cells, seen


def _answers(cells, exercise, contents):
    """The source of each answer that is there, by task."""
    answers = {}
    for task in exercise.functions:
        sources = [source for key, source in cells if key == answer_id(task)]
        if not sources:
            contents.remarks.append(f"{answer_id(task)}: this cell is missing")
            continue
        answers[task] = sources[-1]
        if len(sources) > 1:
            contents.remarks.append(f"{answer_id(task)}: this cell occurs {len(sources)} times; the last one counts")
    return answers


def _steps(cells, answers, exercise) -> Iterator[Step]:
    """The imports that were handed out, then all cells up to the last answer, observing each answer once complete."""
    task_of = {answer_id(task): task for task in exercise.functions}
    task_at = {  # by the position of the cell that completes the answer
        max(n for n, (key, _) in enumerate(cells) if key in (answer_id(task), check_id(task))): task for task in answers
    }
    number = count()
    for source in exercise.setup:
        yield RunCell(next(number), source)
    for n, (key, source) in enumerate(cells[: max(task_at, default=-1) + 1]):
        if source is not None and source.strip():
            yield RunCell(next(number), source, (task_of[key],) if key in task_of else ())
        if n in task_at:
            yield ObserveTask(next(number), task_at[n], exercise.functions[task_at[n]])


def read_notebook(data: bytes) -> nbformat.NotebookNode:
    """Read what marking needs of a notebook: its cells and their ids, without outputs, in nbformat 4.

    Nothing else is read or validated, as it may be large, or malformed in ways that take very long to find.

    Raises:
        Unreadable: it is not a notebook.
    """
    if not data.strip():
        raise Unreadable("it is empty")
    try:
        book = json.loads(data.decode("utf-8-sig"))
        needed = {"nbformat": book["nbformat"], "metadata": {}}
        if "cells" in book:
            needed |= {"nbformat_minor": 5, "cells": _cells(book["cells"])}
        else:
            cells = _cells([cell for sheet in book["worksheets"] for cell in sheet["cells"]])
            needed |= {"nbformat_minor": 0, "worksheets": [{"metadata": {}, "cells": cells}]}
        with warnings.catch_warnings(action="ignore"):  # about duplicate ids, for example
            return nbformat.convert(nbformat.from_dict(needed), 4)
    except RecursionError:
        raise Unreadable("it is not a notebook (nested too deeply)") from None
    except Exception as error:  # too many possible errors to list
        raise Unreadable(f"it is not a notebook ({type(error).__name__}: {clean(str(error))[:200]})") from None


def _cells(cells):
    if len(cells) > MAX_CELLS:
        raise ValueError(f"it has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    return [_cell(number, cell) for number, cell in enumerate(cells)]


def _cell(number, cell):
    """The parts of a cell that marking needs."""
    kind = cell["cell_type"]
    kept = {"cell_type": kind if kind in ("code", "markdown", "heading") else "raw", "metadata": {}}
    for name in ("source", "input"):  # nbformat 3's name for code
        if name in cell:
            text = cell[name]
            kept[name] = clean(text if isinstance(text, str) else "".join(text))
    if not kept.keys() & {"source", "input"}:
        raise ValueError("a cell without source")
    metadata = cell.get("metadata")
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


def clean(text: str) -> str:
    """The text without lone surrogates (half an emoji, for example), which files cannot hold."""
    return text.encode("utf-8", "replace").decode()
