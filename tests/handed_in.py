"""Notebooks as students hand them in, made from the exercises; and how to mark them on this machine.

Whatever attacks, or could hurt if the code under test were wrong, needs the mark `needs_sandbox`.
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


def cell(book, task):
    """The cell with the answer to a task."""
    return next(one for one in book.cells if one.get("id") == answer_id(task))


def answered(exercise=KL, folder="solutions", extra=(), **answers):
    """An exercise, solved, with other answers to some tasks (`kl__normals="..."`) and extra cells before them."""
    book = copy.deepcopy(notebook(exercise, folder))
    for task, source in answers.items():
        cell(book, task.replace("__", "/")).source = source
    first = next(n for n, one in enumerate(book.cells) if one.get("id") == answer_id(next(iter(EXERCISES[exercise]))))
    book.cells[first:first] = [nbformat.v4.new_code_cell(source) for source in extra]
    return book


def grade(*arguments, **named):
    """Mark harmless submissions, in a sandbox where there is one."""
    return run.grade(*arguments, root=ROOT, sandbox=SANDBOX, no_sandbox=True, **named)


def hand_in(folder, student, book, exercise=KL, name=None):
    """Write a notebook (or bytes) where a student's submission is looked for."""
    path = folder / student / (name or f"{exercise}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(book, bytes):
        path.write_bytes(book)
    else:
        nbformat.write(book, path)
    return path


def made_up(exercise, students):
    """A made-up class: each notebook, and by task whether its answer is right; else it is wrong or unfinished."""
    stubs, solved = (
        {one.id: one.source for one in notebook(exercise, kind).cells} for kind in ("exercises", "solutions")
    )
    for student in range(students):
        book, right = notebook(exercise), {}
        for place, task in enumerate(EXERCISES[exercise]):
            kind = ("right", "right", "unfinished", "wrong")[(student + place + student // 4) % 4]
            name = answer_id(task)
            sources = {"right": solved[name], "unfinished": stubs[name], "wrong": spoiled(solved[name])}
            cell(book, task).source = sources[kind]
            right[task] = kind == "right"
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
