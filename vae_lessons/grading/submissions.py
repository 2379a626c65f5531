"""Reading what students handed in. Files are not to be trusted: whatever they are, reading ends with words."""

import hashlib
import json
import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path

import nbformat

from vae_lessons.checks import EXERCISES, LIBRARY
from vae_lessons.checks.task import Task

__all__ = [
    "Contents",
    "Exercise",
    "GradingError",
    "Submission",
    "Unreadable",
    "clean",
    "find",
    "fingerprint",
    "key_of",
    "raw",
    "read",
    "read_exercises",
    "read_notebook",
]

MOST_BYTES = 10 << 20
MOST_CELLS = 1000
MOST_LETTERS = 200  # of an id
CHECK = re.compile(r'check\("([^"]+)", (\w+)\)$')


class GradingError(Exception):
    """Nothing could be marked; the message says what to do."""


class Unreadable(Exception):
    """A submission is no notebook that can be marked; the message says why."""


@dataclass(frozen=True)
class Exercise:
    """An exercise as it was handed out.

    Args:
        name: of its file, without the ending.
        functions: the name of the function asked for, by task.
        cells: those that nbgrader knows, by id.
        setup: sources of the cells with code before the first answer: imports.
        written: the id of the cell for the answer in words.
        library: what is switched off while answers are looked at.
    """

    name: str
    functions: dict[str, str]
    cells: dict[str, nbformat.NotebookNode]
    setup: tuple[str, ...]
    written: str
    library: tuple[str, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Its tasks, in their order."""
        return EXERCISES[self.name[:2]]

    def answer_id(self, task: str) -> str:
        """The id of the cell with a task's answer."""
        return task.replace("/", "-")


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
    """What a submission holds, ready to be run.

    Args:
        steps: cells to run and tasks to look at, in their order.
        answers: the source of each answer, by task.
        remarks: what an instructor should know.
    """

    steps: list[dict] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_exercises(root: Path) -> dict[str, Exercise]:
    """The exercises of the course, by the names of their files."""
    found = {}
    for path in sorted((root / "exercises").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cells = {key_of(cell): cell for cell in notebook.cells if "nbgrader" in cell.metadata}
        checks = [CHECK.match(cell.source) for cell in cells.values()]
        before = takewhile(lambda cell: "nbgrader" not in cell.metadata, notebook.cells)
        found[path.stem] = Exercise(
            path.stem,
            {check[1]: check[2] for check in checks if check},
            cells,
            tuple(cell.source for cell in before if cell.cell_type == "code"),
            next(key for key in cells if key.startswith("written")),
            LIBRARY[path.stem[:2]],
        )
    return found


def find(folder: Path, exercises: dict[str, Exercise]) -> tuple[list[Submission], list[str]]:
    """The submissions in a folder, and words about what else is there.

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


def raw(path: Path) -> bytes:
    """The bytes of a submitted file; links, pipes and the like are not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(
            "it is a symbolic link" if path.is_symlink() else f"it cannot be opened ({error.strerror})"
        ) from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise Unreadable("it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if about.st_size > MOST_BYTES:
            size = about.st_size / 2**20
            raise Unreadable(f"it has {size:.0f} MiB; at most {MOST_BYTES >> 20} MiB are read (clear its outputs)")
        return file.read(MOST_BYTES + 1)


def fingerprint(data: bytes, *settings: object) -> str:
    """Changes when the file or what it is marked with does."""
    digest = hashlib.sha256(data)
    for setting in settings:
        digest.update(b"\0" + str(setting).encode())
    return digest.hexdigest()


def read(data: bytes, exercise: Exercise) -> Contents:
    """Find the answers of a submission by their ids, and what has to run.

    Cells that are not a student's to change are ignored. Whatever else has happened to the cells is told. The imports
    that were handed out are run first: a student's own copy of them may stop at a line that does not work here.

    Raises:
        Unreadable: it is no notebook.
    """
    contents = Contents()
    answers = {exercise.answer_id(task): task for task in exercise.functions}
    checks = {f"{key}-check": task for key, task in answers.items()}
    cells, seen = [], []
    for cell in read_notebook(data).cells:
        key = key_of(cell)
        if key in checks:
            if cell.source != exercise.cells[key].source:
                contents.remarks.append(f"{key}: this cell is locked and was changed; what it says was ignored")
            cells.append((key, None))
        elif key in answers or cell.cell_type == "code":
            if key in answers and cell.cell_type != "code":
                contents.remarks.append(f"{key}: its type is {cell.cell_type}; it was run as code")
            cells.append((key, cell.source))
        seen += [key] if key in exercise.cells and key not in seen else []
    places = {
        task: [n for n, (key, _) in enumerate(cells) if key in (name, f"{name}-check")]
        for name, task in answers.items()
    }
    for name, task in answers.items():
        sources = [source for key, source in cells if key == name]
        if not sources:
            contents.remarks.append(f"{name}: this cell is missing")
        else:
            contents.answers[task] = sources[-1]
        if len(sources) > 1:
            contents.remarks.append(f"{name}: this cell is there {len(sources)} times; the last one counts")
        if f"{name}-check" not in seen:
            contents.remarks.append(f"{name}-check: this cell is missing; the answer was looked at all the same")
    if exercise.written not in seen:
        contents.remarks.append(f"{exercise.written}: this cell, for the answer in words, is missing")
    if seen != [key for key in exercise.cells if key in seen]:
        contents.remarks.append("cells were moved; they were run in the order they stand in")
    contents.steps = [{"source": source, "answers": []} for source in exercise.setup]
    last = {max(places[task]): task for task in contents.answers}
    for n, (_, source) in enumerate(cells):
        if source is not None and source.strip() and n <= max(last, default=-1):
            contents.steps.append({"source": source, "answers": [t for k, t in answers.items() if k == cells[n][0]]})
        if n in last:
            contents.steps.append({"task": last[n], "function": exercise.functions[last[n]]})
    for number, step in enumerate(contents.steps):
        step["number"] = number
    contents.remarks = list(dict.fromkeys(contents.remarks))  # the same of many copies of a cell is told once
    return contents


def read_notebook(data: bytes) -> nbformat.NotebookNode:
    """What marking needs of a notebook, in nbformat's fourth version: cells and their ids, without outputs.

    Nothing else is looked at, nor validated: it may be large, or odd in ways that take very long to tell.

    Raises:
        Unreadable: it is none.
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
        raise Unreadable("it is no notebook (nested too deeply)") from None
    except Exception as error:  # all that can be wrong with it is not to be listed
        raise Unreadable(f"it is no notebook ({type(error).__name__}: {clean(str(error))[:200]})") from None


def _cells(cells):
    if len(cells) > MOST_CELLS:
        raise ValueError(f"it has {len(cells):,} cells; at most {MOST_CELLS:,} are read")
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
        kept["metadata"] = {"nbgrader": {"grade_id": clean(name[:MOST_LETTERS])}}
    own = cell.get("id", metadata.get("id"))  # Colab keeps it in the metadata
    kept["id"] = clean(own[:MOST_LETTERS]) if isinstance(own, str) and own else f"unnamed-{number}"
    if kept["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    elif isinstance(cell.get("attachments"), dict):  # pictures in an answer in words
        given = {name: one for name, one in cell["attachments"].items() if isinstance(one, dict)}
        kept["attachments"] = {
            name: {kind: data for kind, data in one.items() if isinstance(data, str)} for name, one in given.items()
        }
    return kept


def clean(text: str) -> str:
    """The same without halves of letters (lone surrogates), which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def key_of(cell: nbformat.NotebookNode) -> str:
    """The id of a cell: nbgrader's, else the notebook's own."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")
