"""Submissions made from the exercises, and a way to mark them on this machine.

Tests that attack, or that could do harm if the code under test were wrong, need the mark `needs_sandbox`.
"""

import copy
import re
from pathlib import Path

import nbformat
import pytest

from vae_course.grading import run
from vae_course.grading.sandbox import Sandbox
from vae_course.notebooks import answer_id
from vae_course.tasks import EXERCISES

ROOT = Path(__file__).parents[1]
SANDBOX = Sandbox.detect()
needs_sandbox = pytest.mark.skipif(not SANDBOX.bwrap, reason="bubblewrap does not work here (apt install bubblewrap)")
KL, ELBO = "ex04_kl_divergence", "ex05_jensen_elbo"


def notebook(exercise=KL, folder="solutions"):
    return nbformat.read(ROOT / folder / f"{exercise}.ipynb", as_version=4)


def answer_cell(book, task):
    """The cell with the answer to a task."""
    return next(cell for cell in book.cells if cell.get("id") == answer_id(task))


def answered(exercise=KL, folder="solutions", extra=(), **answers):
    """A solved exercise with some answers replaced (`kl__normals="..."`) and extra cells before the answers."""
    book = copy.deepcopy(notebook(exercise, folder))
    for task, source in answers.items():
        answer_cell(book, task.replace("__", "/")).source = source
    first = book.cells.index(answer_cell(book, next(iter(EXERCISES[exercise]))))
    book.cells[first:first] = [nbformat.v4.new_code_cell(source) for source in extra]
    return book


def grade(*arguments, **named):
    """Mark harmless submissions, in a sandbox if possible."""
    return run.grade(*arguments, root=ROOT, sandbox=SANDBOX, no_sandbox=True, **named)


def hand_in(folder, student, book, exercise=KL, name=None):
    """Write a notebook (or bytes) as a student's submission."""
    path = folder / student / (name or f"{exercise}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(book, bytes):
        path.write_bytes(book)
    else:
        nbformat.write(book, path)
    return path


def made_up(exercise, students):
    """Yield a class's notebooks, each with a dictionary that says which answers are right (not wrong or unfinished)."""
    stubs, solved = (
        {cell.id: cell.source for cell in notebook(exercise, kind).cells} for kind in ("exercises", "solutions")
    )
    for student in range(students):
        book, right = notebook(exercise), {}
        for place, task in enumerate(EXERCISES[exercise]):
            kind = ("right", "right", "unfinished", "wrong")[(student + place + student // 4) % 4]
            name = answer_id(task)
            sources = {"right": solved[name], "unfinished": stubs[name], "wrong": spoiled(solved[name])}
            answer_cell(book, task).source = sources[kind]
            right[task] = kind == "right"
        yield book, right


def spoiled(source):
    """The same answer with every result changed."""
    name = re.search(r"^def (\w+)", source, re.M)[1]
    return f"""{source}


def changed(value):
    if isinstance(value, (tuple, list)):
        return type(value)(changed(part) for part in value)
    return f"{{value}}?" if isinstance(value, str) else 2 * value + 1


def {name}(*given, right={name}, **named):
    return changed(right(*given, **named))
"""
