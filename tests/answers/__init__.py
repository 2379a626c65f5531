"""The functions that stand in the exercises' notebooks, and right answers written in other ways."""

import ast
import re
from pathlib import Path

import nbformat

from vae_lessons.checks import EXERCISES

ROOT = Path(__file__).parents[2]
SOURCES = {source.stem[:2]: source for source in sorted((ROOT / "sources" / "exercises").glob("*.py"))}
NUMBER = {task.name: number for number, tasks in EXERCISES.items() for task in tasks}


def notebook(folder, number):
    return nbformat.read(ROOT / folder / f"{SOURCES[number].stem}.ipynb", as_version=4)


def answers(folder, number):
    """The functions that a notebook's answers define, by task: imports, answers and nothing else are run."""
    cells = [cell for cell in notebook(folder, number).cells if cell.cell_type == "code"]
    checks = [re.match(r'check\("([^"]+)", (\w+)\)$', cell.source) for cell in cells]
    wanted = {found[1]: found[2] for found in checks if found}
    tree = ast.parse("\n".join(cell.source for cell in cells if not cell.source.startswith(("check(", "progress("))))
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    namespace = {}
    exec(compile(ast.Module([node for node in tree.body if isinstance(node, kinds)], []), number, "exec"), namespace)
    return {task: namespace[function] for task, function in wanted.items()}


SOLUTIONS, STUBS = ({number: answers(folder, number) for number in EXERCISES} for folder in ("solutions", "exercises"))
