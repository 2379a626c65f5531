"""What the course finds in a notebook: a cell's id, the check of an answer, the answer to a task."""

import re

from nbformat import NotebookNode

__all__ = ["answer_id", "cell_id", "check_id", "checked"]

CHECK = re.compile(r'check\("([^"]+)", (\w+)\)$')


def cell_id(cell: NotebookNode) -> str:
    """The id of a cell: nbgrader's, else the notebook's own, else none."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")


def answer_id(task: str) -> str:
    """The id of the cell with the answer to a task."""
    return task.replace("/", "-")


def check_id(task: str) -> str:
    """The id of the cell that checks the answer to a task."""
    return f"{answer_id(task)}-check"


def checked(source: str) -> tuple[str, str] | None:
    """The task and the name of the function in a cell `check("topic/what", function)`; None if it is no such cell."""
    found = CHECK.match(source)
    return (found[1], found[2]) if found else None
