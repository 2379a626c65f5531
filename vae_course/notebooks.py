"""Identify cells of a notebook: their ids, answers and checks."""

import re

from nbformat import NotebookNode

__all__ = ["answer_id", "cell_id", "check_id", "checked"]

CHECK = re.compile(r'check\("([^"]+)", (\w+)\)$')


def cell_id(cell: NotebookNode) -> str:
    """The id of a cell: nbgrader's, else the notebook's own, else an empty string."""
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")


def answer_id(task: str) -> str:
    """The id of the cell with the answer to a task."""
    return task.replace("/", "-")


def check_id(task: str) -> str:
    """The id of the cell that checks the answer to a task."""
    return f"{answer_id(task)}-check"


def checked(source: str) -> tuple[str, str] | None:
    """The task and the function's name in a cell `check("topic/name", function)`; None for any other cell."""
    match = CHECK.match(source)
    return (match[1], match[2]) if match else None
