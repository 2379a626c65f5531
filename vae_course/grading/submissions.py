"""Reading what students handed in. The files may be anything: reading gives steps to run, or says why it cannot."""

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
    """Nothing could be marked; the message says what to do."""


class Unreadable(Exception):
    """A submission is not a notebook that can be marked; the message says why."""


@dataclass(frozen=True)
class Exercise:
    """An exercise as it was handed out.

    Args:
        name: such as "ex04_kl_divergence".
        functions: the name of the function that is asked for, by task.
        cells: those with nbgrader's metadata, by id.
        setup: sources of the code cells before the first answer: imports.
        written: the id of the cell for the answer in words.
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
        """What each task is worth, in their order."""
        return EXERCISES[self.name]


@dataclass(frozen=True)
class Submission:
    """A notebook that a student handed in.

    Args:
        student: the name of the student's folder.
        exercise: which one.
        path: of the file.
    """

    student: str
    exercise: str
    path: Path


@dataclass
class Contents:
    """What a submission holds, ready to run.

    Args:
        steps: cells to run and answers to observe, in their order.
        answers: the source of each answer, by task.
        remarks: what an instructor should know.
    """

    steps: list[Step] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_exercises(root: Path) -> dict[str, Exercise]:
    """The exercises of the course, by the names of their files."""
    found = {}
    for path in sorted((root / "exercises").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cells = {cell_id(cell): cell for cell in notebook.cells if "nbgrader" in cell.metadata}
        functions = dict(call for cell in cells.values() if (call := checked(cell.source)))
        before = takewhile(lambda cell: "nbgrader" not in cell.metadata, notebook.cells)
        found[path.stem] = Exercise(
            path.stem,
            functions,
            cells,
            tuple(cell.source for cell in before if cell.cell_type == "code"),
            next(key for key in cells if key.startswith("written")),
            library_of(path.stem),
        )
    return found


def find(folder: Path, exercises: dict[str, Exercise]) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder, and a line about each other thing that is there.

    A submission is `STUDENT/EXERCISE.ipynb`, or `STUDENT/EXERCISE/EXERCISE.ipynb`, as nbgrader collects them.
    """
    found, odd = {}, []
    for student, entry in _listed(folder):
        if entry.is_symlink() or not entry.is_dir():
            odd.append(f"{student}: not a student's folder, so it was left alone")
            continue
        for name, file in _listed(Path(entry.path)):
            stem, ending = os.path.splitext(name)
            path = Path(file.path)
            if name in exercises and file.is_dir(follow_symlinks=False):
                stem, ending, path = name, ".ipynb", path / f"{name}.ipynb"
            if stem not in exercises or ending != ".ipynb" or not os.path.lexists(path):
                close = get_close_matches(stem, exercises, n=1)
                meant = f"; was {close[0]}.ipynb meant?" if close else ""
                odd.append(f"{student}/{name}: not the name of an exercise, so it was left alone{meant}")
            elif (student, stem) in found:
                odd.append(f"{student}/{stem}.ipynb: handed in twice; {found[student, stem].path} was marked")
            else:
                found[student, stem] = Submission(student, stem, path)
    return list(found.values()), odd


def _listed(folder: Path) -> Iterator[tuple[str, os.DirEntry]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
        if not entry.name.startswith("."):
            yield os.fsencode(entry.name).decode("utf-8", "backslashreplace"), entry


def read_bytes(path: Path) -> bytes:
    """The bytes of a submitted file. Links, pipes and the like are not opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(
            "it is a symbolic link" if path.is_symlink() else f"it cannot be opened ({error.strerror})"
        ) from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise Unreadable("it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if about.st_size > MAX_BYTES:
            size = about.st_size / 2**20
            raise Unreadable(f"it has {size:.0f} MiB; at most {MAX_BYTES >> 20} MiB are read (clear its outputs)")
        return file.read(MAX_BYTES + 1)


def fingerprint(data: bytes, *settings: object) -> str:
    """A digest of the file and of the settings that it is marked with."""
    digest = hashlib.sha256(data)
    for setting in settings:
        digest.update(b"\0" + str(setting).encode())
    return digest.hexdigest()


def read(data: bytes, exercise: Exercise) -> Contents:
    """Find the answers of a submission by their ids, and what has to run.

    Changed copies of locked cells are ignored. Whatever else has happened to the cells is reported. The imports that
    were handed out run first, because a student's own copy of them may stop at a line that does not work here.

    Raises:
        Unreadable: it is not a notebook.
    """
    contents = Contents()
    cells, seen = _cells_that_count(read_notebook(data), exercise, contents)
    places = _places(cells, exercise, contents)
    for task in exercise.functions:
        if check_id(task) not in seen:
            contents.remarks.append(f"{check_id(task)}: this cell is missing; the answer was looked at all the same")
    if exercise.written not in seen:
        contents.remarks.append(f"{exercise.written}: this cell, for the answer in words, is missing")
    if seen != [key for key in exercise.cells if key in seen]:
        contents.remarks.append("cells were moved; they were run in the order they stand in")
    contents.steps = list(_steps(cells, places, exercise))
    contents.remarks = list(dict.fromkeys(contents.remarks))  # once, however many copies of a cell there are
    return contents


def _cells_that_count(notebook, exercise, contents):
    """Each cell that runs or marks a place, as its id and its source (None for a check); the ids of known cells."""
    answers, checks = set(map(answer_id, exercise.functions)), set(map(check_id, exercise.functions))
    cells, seen = [], []
    for cell in notebook.cells:
        key = cell_id(cell)
        if key in checks:
            if cell.source != exercise.cells[key].source:
                contents.remarks.append(f"{key}: this cell is locked and was changed; what it says was ignored")
            cells.append((key, None))
        elif key in answers or cell.cell_type == "code":
            if key in answers and cell.cell_type != "code":
                contents.remarks.append(f"{key}: its type is {cell.cell_type}; it was run as code")
            cells.append((key, cell.source))
        seen += [key] if key in exercise.cells and key not in seen else []
    return cells, seen


def _places(cells, exercise, contents):
    """By position among the cells: the task whose answer is complete there. Notes the answers as well."""
    places = {}
    for task in exercise.functions:
        sources = [source for key, source in cells if key == answer_id(task)]
        if not sources:
            contents.remarks.append(f"{answer_id(task)}: this cell is missing")
            continue
        contents.answers[task] = sources[-1]
        places[max(n for n, (key, _) in enumerate(cells) if key in (answer_id(task), check_id(task)))] = task
        if len(sources) > 1:
            contents.remarks.append(f"{answer_id(task)}: this cell is there {len(sources)} times; the last one counts")
    return places


def _steps(cells, places, exercise) -> Iterator[Step]:
    """The imports that were handed out, then every cell up to the last answer, each answer observed in its place."""
    task_of = {answer_id(task): task for task in exercise.functions}
    number = count()
    for source in exercise.setup:
        yield RunCell(next(number), source)
    for n, (key, source) in enumerate(cells[: max(places, default=-1) + 1]):
        if source is not None and source.strip():
            yield RunCell(next(number), source, (task_of[key],) if key in task_of else ())
        if n in places:
            yield ObserveTask(next(number), places[n], exercise.functions[places[n]])


def read_notebook(data: bytes) -> nbformat.NotebookNode:
    """What marking needs of a notebook, in nbformat's fourth version: cells and their ids, without outputs.

    Nothing else is read or validated, for it may be large, or odd in ways that take very long to find.

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
        with warnings.catch_warnings(action="ignore"):  # the same id twice, and the like
            return nbformat.convert(nbformat.from_dict(needed), 4)
    except RecursionError:
        raise Unreadable("it is not a notebook (nested too deeply)") from None
    except Exception as error:  # too much can be wrong with it to list
        raise Unreadable(f"it is not a notebook ({type(error).__name__}: {clean(str(error))[:200]})") from None


def _cells(cells):
    if len(cells) > MAX_CELLS:
        raise ValueError(f"it has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    return [_cell(number, cell) for number, cell in enumerate(cells)]


def _cell(number, cell):
    """A cell with what is needed of it."""
    kind = cell["cell_type"]
    kept = {"cell_type": kind if kind in ("code", "markdown", "heading") else "raw", "metadata": {}}
    for name in ("source", "input"):  # the third version's name for code
        if name in cell:
            text = cell[name]
            kept[name] = clean(text if isinstance(text, str) else "".join(text))
    if not kept.keys() & {"source", "input"}:
        raise ValueError("a cell without source")
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    known = metadata.get("nbgrader")
    name = known.get("grade_id") if isinstance(known, dict) else None
    if isinstance(name, str):
        kept["metadata"] = {"nbgrader": {"grade_id": clean(name[:MAX_ID])}}
    own = cell.get("id", metadata.get("id"))  # Colab keeps it in the metadata
    kept["id"] = clean(own[:MAX_ID]) if isinstance(own, str) and own else f"unnamed-{number}"
    if kept["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    elif isinstance(cell.get("attachments"), dict):  # pictures in an answer in words
        given = {name: one for name, one in cell["attachments"].items() if isinstance(one, dict)}
        kept["attachments"] = {
            name: {kind: data for kind, data in one.items() if isinstance(data, str)} for name, one in given.items()
        }
    return kept


def clean(text: str) -> str:
    """The text without lone surrogates (half an emoji, for example), which no file can hold."""
    return text.encode("utf-8", "replace").decode()
