"""Write files completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["replacing", "write_notebook"]


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file (UTF-8, line endings as written) that replaces `path` once it is complete."""
    unfinished = path.with_name(f".{os.getpid()}.unfinished")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_notebook(notebook: "NotebookNode", path: Path) -> None:
    """Write a notebook, creating its folder if necessary."""
    import nbformat  # slow to import, and not every command needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        nbformat.write(notebook, file)
