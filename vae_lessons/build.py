"""Building notebooks from the scripts that people edit: jupytext reads them, nbclient runs them."""

import os
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import ClearOutputPreprocessor

__all__ = ["BuildError", "execute", "is_current", "read_source", "write"]

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class BuildError(Exception):
    """A notebook could not be built; the message says which one and why."""


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook that a jupytext percent script describes: no outputs, and the same ids every time.

    Args:
        path: a file of `sources/`.
    """
    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BuildError(f"{path}: cannot be read as a jupytext percent script ({error})") from error
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def is_current(source: Path, built: Path) -> bool:
    """Whether the built notebook has the cells of its source. Outputs are nbval's to compare."""
    if not built.exists():
        return False
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(built, as_version=4), {})
    keep = ("id", "cell_type", "source")
    return [[cell[k] for k in keep] + [cell.metadata.get("tags")] for cell in notebook.cells] == [
        [cell[k] for k in keep] + [cell.metadata.get("tags")] for cell in read_source(source).cells
    ]


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
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, not one of the same name elsewhere
    client = NotebookClient(
        notebook,
        timeout=cell_timeout,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        record_timing=False,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise BuildError(f"{name}: {error}") from error
    notebook.metadata.language_info = {"name": "python"}  # the rest tells which Python ran it


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the notebook, or leave the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    try:
        nbformat.write(notebook, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
