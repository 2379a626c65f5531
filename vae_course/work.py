"""The student's own copies of lessons and exercises. Nothing here overwrites what a student wrote."""

import copy
import hashlib
import json
import uuid
from contextlib import suppress
from itertools import count
from pathlib import Path

import nbformat

from vae_course.files import replacing, write_notebook
from vae_course.notebooks import cell_id
from vae_course.progress import FOLDER

__all__ = ["NoCourse", "is_clone", "is_course", "lay_out", "merge", "released", "update"]

PACKAGED = Path(__file__).parent / "content"  # exercises and notebooks, if installed from a wheel
LESSONS = "lessons.json"  # in work/.course: digests of the lessons as copied


class NoCourse(Exception):
    """Neither the folder nor the installed package has exercises. The message says what to do."""


def is_clone(root: Path) -> bool:
    """Whether a folder contains the released exercises, as the repository does, not just a student's copies."""
    return (root / "exercises").is_dir()


def is_course(root: Path) -> bool:
    """Whether a folder is a clone, or contains copies that an installed package made."""
    return is_clone(root) or (root / "work" / FOLDER).is_dir()


def released(root: Path) -> Path:
    """The folder of the released exercises: the clone's, else the installed package's."""
    for folder in (root / "exercises", PACKAGED / "exercises"):
        if folder.is_dir():
            return folder
    raise NoCourse(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give its path")


def lay_out(root: Path = Path("..")) -> None:
    """Create the student's folder `work/` in a clone that has none. Lesson 00 does this if `make lab` was not run.

    Args:
        root: the folder of the course; by default the parent of the notebook's folder.
    """
    if is_clone(root) and not (root / "work").exists():
        with suppress(OSError):  # the folder may be read-only
            update(root, only_new=True)


def update(root: Path, only_new: bool = False) -> dict[str, str]:
    """Copy new and changed exercises into `work/` and, unless this is a clone, lessons into `notebooks/`.

    Args:
        root: the folder of the course: a clone, or a folder created by an installed package.
        only_new: copy only missing files.

    Returns:
        What was done, by file, such as "work/ex04_kl_divergence.ipynb": "new", "updated", "renamed", "unchanged", or
        "left alone: " and the reason.

    Raises:
        NoCourse: there is nothing to copy.
    """
    exercises = released(root)
    (root / "work" / FOLDER / "released").mkdir(parents=True, exist_ok=True)
    done = {
        f"work/{path.name}": _update_exercise(path, root / "work", only_new)
        for path in sorted(exercises.glob("*.ipynb"))
    }
    if not is_clone(root):
        done |= _update_lessons(root, only_new)
    return done


def _update_exercise(path, work, only_new):
    mine, before = work / path.name, work / FOLDER / "released" / path.name
    renamed = _rename_from_version_1(mine, before)
    new = nbformat.read(path, as_version=4)
    if not mine.exists():
        write_notebook(new, mine)
        write_notebook(new, before)
        return "new"
    old = nbformat.read(before, as_version=4) if before.exists() else None
    if only_new or old == new:
        return "renamed" if renamed else "unchanged"
    try:
        written = nbformat.read(mine, as_version=4)
    except Exception as error:
        return _left_alone(error)
    _back_up(mine, work / FOLDER / "before")
    write_notebook(merge(written, old, new), mine)
    write_notebook(new, before)
    return "updated"


def _rename_from_version_1(mine, before):
    """Rename a copy that version 1 made: `04_kl_divergence.ipynb` becomes `ex04_kl_divergence.ipynb`."""
    old_mine, old_before = (path.with_name(path.name.removeprefix("ex")) for path in (mine, before))
    if mine.exists() or not (old_mine.exists() and old_before.exists()):  # without a record, it is the student's own
        return False
    old_mine.rename(mine)
    old_before.rename(before)
    return True


def _update_lessons(root, only_new):
    """Copy new and changed lessons, except those that the student has changed."""
    record, done = root / "work" / FOLDER / LESSONS, {}
    try:
        digests = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or damaged: lessons that differ are then left alone
        digests = {}
    for path in sorted((PACKAGED / "notebooks").glob("*.ipynb")):
        mine, name = root / "notebooks" / path.name, f"notebooks/{path.name}"
        new = nbformat.read(path, as_version=4)
        if not mine.exists():
            write_notebook(new, mine)
            done[name], digests[path.name] = "new", _digest(new)
            continue
        if only_new or digests.get(path.name) == _digest(new):
            done[name] = "unchanged"
            continue
        try:
            current = _digest(nbformat.read(mine, as_version=4))
        except Exception as error:
            done[name] = _left_alone(error)
            continue
        if current not in (digests.get(path.name), _digest(new)):
            done[name] = "left alone: you have changed it"
            continue
        _back_up(mine, root / "work" / FOLDER / "before")
        write_notebook(new, mine)
        done[name], digests[path.name] = "updated", _digest(new)
    with replacing(record) as file:
        json.dump(digests, file, indent=1)
    return done


def _digest(notebook):
    """A digest of the cells' sources, unchanged by running the notebook."""
    return hashlib.sha256(json.dumps([cell.source for cell in notebook.cells]).encode()).hexdigest()


def _left_alone(error):
    return f"left alone: it cannot be read as a notebook ({type(error).__name__})"


def merge(
    mine: nbformat.NotebookNode, old: nbformat.NotebookNode | None, new: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """The new exercise with everything that the student wrote.

    Answers stay in their cells, and cells that the student added stay in place. If both the student and the course
    have changed a cell that is not an answer, the student's version follows the new one.

    Args:
        mine: the student's notebook.
        old: the exercise that the student started from, or None if unknown.
        new: the current exercise.
    """
    merged = copy.deepcopy(new)
    originals = {cell_id(cell): cell for cell in old.cells} if old else {}
    targets = {cell_id(cell): cell for cell in merged.cells}
    released_sources = {cell.source for notebook in (old, new) if notebook for cell in notebook.cells}
    own, seen, after = [], set(), None  # own: (id of the cell before it, the student's cell)
    for cell in mine.cells:
        key, target = cell_id(cell), targets.get(cell_id(cell))
        if key in seen or target is None or target.cell_type != cell.cell_type:
            if cell.source.strip() and cell.source not in released_sources:
                own.append((after, cell))
            continue
        seen.add(key)
        after = key
        before = originals.get(key, target).source
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
        merged.cells.insert(position, _as_students_cell(cell))
    return merged


def _as_students_cell(cell):
    cell = copy.deepcopy(cell)
    cell.metadata = nbformat.from_dict({})
    cell.id = uuid.uuid4().hex[:8]
    return cell


def _back_up(path, folder):
    folder.mkdir(exist_ok=True)
    copies = (folder / f"{path.stem}.{number}.ipynb" for number in count(1))
    next(free for free in copies if not free.exists()).write_bytes(path.read_bytes())
