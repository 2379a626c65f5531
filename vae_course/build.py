"""Build notebooks from scripts: jupytext reads them, nbclient runs them, and nbgrader removes the answers."""

import copy
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import ClearOutputPreprocessor

from vae_course.notebooks import answer_id, check_id, checked
from vae_course.tasks import POINTS

__all__ = ["BuildError", "execute", "is_current", "read_exercise", "read_source", "release", "wanted"]

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WRITTEN_POINTS = 3
STUB = "raise NotImplementedError  # your code here"


class BuildError(Exception):
    """A notebook could not be built. The message says which one and why."""


def read_source(path: Path) -> nbformat.NotebookNode:
    """Read a jupytext percent script as a notebook without outputs, with the same cell ids every time.

    Args:
        path: a file in `sources/`.
    """
    import jupytext  # in the extra `test`: students do not build notebooks

    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BuildError(f"{path}: cannot be read as a jupytext percent script ({error})") from error
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def read_exercise(path: Path) -> nbformat.NotebookNode:
    """Read a script in `sources/exercises/` as a notebook with answers and nbgrader's metadata.

    A cell `check("topic/name", function)` is graded with the task's points. Its answer is the cell with a solution
    before it. A markdown cell tagged `written` is marked by a person.
    """
    notebook = read_source(path)
    answer, written = None, 0
    for cell in notebook.cells:
        if "written" in cell.metadata.get("tags", []):
            written += 1
            cell.id = f"written-{written}"
            cell.metadata.nbgrader = _nbgrader(cell.id, solution=True, grade=True, points=WRITTEN_POINTS)
        elif cell.cell_type == "code" and "BEGIN SOLUTION" in cell.source:
            if answer is not None:
                raise BuildError(f"{path}: no check for the answer {answer.source[:60]!r}")
            answer = cell
        elif call := checked(cell.source):
            task, _ = call
            if task not in POINTS or answer is None:
                raise BuildError(
                    f"{path}: {task} " + ("has no answer before it" if task in POINTS else "is not a task")
                )
            answer.id, cell.id = answer_id(task), check_id(task)
            answer.metadata.nbgrader = _nbgrader(answer.id, solution=True)
            cell.metadata.nbgrader = _nbgrader(cell.id, grade=True, locked=True, points=POINTS[task])
            answer = None
    if answer is not None:
        raise BuildError(f"{path}: no check for the answer {answer.source[:60]!r}")
    return notebook


def _nbgrader(name, grade=False, solution=False, locked=False, points=None):
    kinds = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    return nbformat.from_dict(
        {"schema_version": 3, "grade_id": name, **kinds} | ({} if points is None else {"points": points})
    )


def release(solved: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The exercise to hand out, made by nbgrader's preprocessors: stubs instead of answers, no outputs."""
    from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, ClearSolutions, ComputeChecksums, LockCells

    notebook = copy.deepcopy(solved)
    steps = [LockCells(), ClearSolutions(), ClearOutput(), CheckCellMetadata(), ComputeChecksums()]
    steps[1].code_stub, steps[1].text_stub = {"python": STUB}, "Your answer here."
    for step in steps:
        notebook, _ = step.preprocess(notebook, {})
    return notebook


def is_current(wanted: nbformat.NotebookNode, built: Path) -> bool:
    """Whether the built notebook has these cells. nbval compares the outputs."""
    if not built.exists():
        return False
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(built, as_version=4), {})
    keep = ("id", "cell_type", "source", "metadata")
    return [[cell[k] for k in keep] for cell in notebook.cells] == [[cell[k] for k in keep] for cell in wanted.cells]


def wanted(source: Path, root: Path) -> dict[Path, nbformat.NotebookNode]:
    """The notebooks to build from a script, not yet run, by target path."""
    name = f"{source.stem}.ipynb"
    if source.parent.name == "lessons":
        return {root / "notebooks" / name: read_source(source)}
    solved = read_exercise(source)
    return {root / "solutions" / name: solved, root / "exercises" / name: release(solved)}


def execute(notebook: nbformat.NotebookNode, folder: Path, name: str, cell_timeout: int = 300) -> None:
    """Run every cell of the notebook in place, in a fresh kernel of this Python.

    Args:
        notebook: as `read_source` returns it.
        folder: the kernel's working directory.
        name: for the error message.
        cell_timeout: seconds that one cell may take.

    Raises:
        BuildError: a cell failed; the message holds the cell and its traceback.
    """
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not another of that name
    client = NotebookClient(
        notebook,
        timeout=cell_timeout,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,  # a page without a kernel shows the stored pictures
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise BuildError(f"{name}: {error}") from error
    notebook.metadata.language_info = {"name": "python"}  # the rest depends on the Python version
