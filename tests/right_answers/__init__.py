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
    """By task: the answer's source, its function's name, and what the notebook defines; only definitions are run."""
    cells = [cell for cell in notebook(folder, exercise).cells if cell.cell_type == "code"]
    names = dict(check for cell in cells if (check := checked(cell.source)))
    tree = ast.parse(
        "\n".join(cell.source for cell in cells if not cell.source.startswith(("check(", "hint(", "progress(")))
    )
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    namespace = {}
    exec(compile(ast.Module([node for node in tree.body if isinstance(node, kinds)], []), exercise, "exec"), namespace)
    sources = {name: next(cell.source for cell in cells if f"def {name}(" in cell.source) for name in names.values()}
    return {task: (sources[name], name, namespace) for task, name in names.items()}


ANSWERS, _stubs = (
    {task: answer for exercise in EXERCISES for task, answer in answers(folder, exercise).items()}
    for folder in ("solutions", "exercises")
)
SOLUTIONS, STUBS = (
    {task: namespace[name] for task, (_, name, namespace) in found.items()} for found in (ANSWERS, _stubs)
)
