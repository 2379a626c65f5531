"""The student's own copies of the exercises. Nothing here overwrites what a student wrote."""

import copy
import uuid
from contextlib import suppress
from itertools import count
from pathlib import Path

import nbformat

from vae_course.files import write_notebook
from vae_course.notebooks import cell_id
from vae_course.progress import FOLDER

__all__ = ["lay_out", "merge", "update"]


def lay_out(root: Path = Path("..")) -> None:
    """Make the student's folder `work/`, if there is none; lesson 00 does, for who came without `make lab`.

    Args:
        root: the folder of the course; by default the one above the running notebook's.
    """
    if (root / "exercises").is_dir() and not (root / "work").exists():
        with suppress(OSError):  # a course that is only to be read
            update(root, only_new=True)


def update(root: Path, only_new: bool = False) -> dict[str, str]:
    """Bring new and changed exercises into `work/`.

    Args:
        root: the folder of the course.
        only_new: bring only exercises that are not in `work/` yet.

    Returns:
        By exercise, what was done: "new", "updated", "unchanged", or "left alone: " and why.
    """
    work, done = root / "work", {}
    (work / FOLDER / "released").mkdir(parents=True, exist_ok=True)
    for path in sorted((root / "exercises").glob("*.ipynb")):
        mine, released = work / path.name, work / FOLDER / "released" / path.name
        new = nbformat.read(path, as_version=4)
        if not mine.exists():
            write_notebook(new, mine)
            write_notebook(new, released)
            done[path.stem] = "new"
            continue
        old = nbformat.read(released, as_version=4) if released.exists() else None
        if only_new or old == new:
            done[path.stem] = "unchanged"
            continue
        try:
            written = nbformat.read(mine, as_version=4)
        except Exception as error:
            done[path.stem] = f"left alone: work/{path.name} is no notebook that can be read ({type(error).__name__})"
            continue
        _keep_a_copy(mine, work / FOLDER / "before")
        write_notebook(merge(written, old, new), mine)
        write_notebook(new, released)
        done[path.stem] = "updated"
    return done


def merge(
    mine: nbformat.NotebookNode, old: nbformat.NotebookNode | None, new: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """The new exercise with everything that the student wrote.

    Answers stand in their cells. Cells that the student added stand where they stood; so does the student's version
    of a cell that is not an answer, if both the student and the course have changed it.

    Args:
        mine: the student's notebook.
        old: the exercise that it began as, or None where that is unknown.
        new: the exercise as it is now.
    """
    merged = copy.deepcopy(new)
    begun = {cell_id(cell): cell for cell in old.cells} if old else {}
    place = {cell_id(cell): cell for cell in merged.cells}
    given = {cell.source for notebook in (old, new) if notebook for cell in notebook.cells}
    own, seen, after = [], set(), None  # own: (the cell to stand after, the student's cell)
    for cell in mine.cells:
        key, target = cell_id(cell), place.get(cell_id(cell))
        if key in seen or target is None or target.cell_type != cell.cell_type:
            if cell.source.strip() and cell.source not in given:
                own.append((after, cell))
            continue
        seen.add(key)
        after = key
        before = begun.get(key, target).source
        if cell.source in (before, target.source):
            continue
        if before == target.source or target.metadata.get("nbgrader", {}).get("solution"):
            target.source = cell.source
            if cell.cell_type == "code":
                target.outputs, target.execution_count = cell.outputs, cell.execution_count
        else:
            own.append((after, cell))
    for key, cell in reversed(own):
        position = 0 if key is None else 1 + next(n for n, cell in enumerate(merged.cells) if cell_id(cell) == key)
        merged.cells.insert(position, _as_own(cell))
    return merged


def _as_own(cell):
    cell = copy.deepcopy(cell)
    cell.metadata = nbformat.from_dict({})
    cell.id = uuid.uuid4().hex[:8]
    return cell


def _keep_a_copy(path, folder):
    folder.mkdir(exist_ok=True)
    copies = (folder / f"{path.stem}.{number}.ipynb" for number in count(1))
    next(free for free in copies if not free.exists()).write_bytes(path.read_bytes())
