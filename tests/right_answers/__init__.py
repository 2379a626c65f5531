"""The functions in the exercises' notebooks, and right answers written in other ways."""

import ast
from pathlib import Path

import nbformat

from vae_course.notebooks import checked
from vae_course.tasks import EXERCISES

ROOT = Path(__file__).parents[2]


def notebook(folder, exercise):
    return nbformat.read(ROOT / folder / f"{exercise}.ipynb", as_version=4)


def answers(folder, exercise):
    """The functions that answer the tasks in a notebook; only imports and definitions are run."""
    cells = [cell for cell in notebook(folder, exercise).cells if cell.cell_type == "code"]
    names = dict(check for cell in cells if (check := checked(cell.source)))
    tree = ast.parse("\n".join(cell.source for cell in cells if not cell.source.startswith(("check(", "progress("))))
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    namespace = {}
    exec(compile(ast.Module([node for node in tree.body if isinstance(node, kinds)], []), exercise, "exec"), namespace)
    return {task: namespace[function] for task, function in names.items()}


SOLUTIONS, STUBS = (
    {task: function for exercise in EXERCISES for task, function in answers(folder, exercise).items()}
    for folder in ("solutions", "exercises")
)  # by task
