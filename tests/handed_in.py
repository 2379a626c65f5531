"""Notebooks as students hand them in, made from the exercises; and how to mark them on this machine.

Whatever attacks, or could hurt if the code under test were wrong, needs the mark `needs_walls`.
"""

import copy
import re
from pathlib import Path

import nbformat
import pytest

from vae_lessons import grading
from vae_lessons.checks import EXERCISES
from vae_lessons.grading.walls import Walls

ROOT = Path(__file__).parents[1]
WALLS = Walls.here()
needs_walls = pytest.mark.skipif(not WALLS.bwrap, reason="bubblewrap does not work here (apt install bubblewrap)")
NAMES = {path.stem[:2]: path.stem for path in sorted((ROOT / "exercises").glob("*.ipynb"))}


def notebook(number="04", folder="solutions"):
    return nbformat.read(ROOT / folder / f"{NAMES[number]}.ipynb", as_version=4)


def cell(book, task):
    """The cell with the answer to a task."""
    return next(one for one in book.cells if one.get("id") == task.replace("/", "-"))


def answered(number="04", folder="solutions", extra=(), **answers):
    """An exercise, solved, with other answers to some tasks (`kl__normals="..."`) and extra cells before them."""
    book = copy.deepcopy(notebook(number, folder))
    for task, source in answers.items():
        cell(book, task.replace("__", "/")).source = source
    first = next(n for n, one in enumerate(book.cells) if one.get("id") == EXERCISES[number][0].name.replace("/", "-"))
    book.cells[first:first] = [nbformat.v4.new_code_cell(source) for source in extra]
    return book


def grade(*arguments, **named):
    """Mark harmless submissions, behind walls where they stand."""
    return grading.grade(*arguments, root=ROOT, walls=WALLS, without_walls=True, **named)


def hand_in(folder, student, book, number="04", name=None):
    """Write a notebook (or bytes) where a student's submission is looked for."""
    path = folder / student / (name or f"{NAMES[number]}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(book, bytes):
        path.write_bytes(book)
    else:
        nbformat.write(book, path)
    return path


def made_up(number, students):
    """A made-up class: each notebook, and by task whether its answer is right; else it is wrong or unfinished."""
    stubs, solved = (
        {one.id: one.source for one in notebook(number, kind).cells} for kind in ("exercises", "solutions")
    )
    for student in range(students):
        book, right = notebook(number), {}
        for place, task in enumerate(EXERCISES[number]):
            kind = ("right", "right", "unfinished", "wrong")[(student + place + student // 4) % 4]
            name = task.name.replace("/", "-")
            sources = {"right": solved[name], "unfinished": stubs[name], "wrong": spoiled(solved[name])}
            cell(book, task.name).source = sources[kind]
            right[task.name] = kind == "right"
        yield book, right


def spoiled(source):
    """The same answer with every result changed."""
    name = re.search(r"^def (\w+)", source, re.M)[1]
    return f"""{source}


def changed(value):
    if isinstance(value, (tuple, list)):
        return type(value)(changed(one) for one in value)
    return f"{{value}}?" if isinstance(value, str) else 2 * value + 1


def {name}(*given, right={name}, **named):
    return changed(right(*given, **named))
"""
