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

__all__ = ["NoCourse", "is_clone", "lay_out", "merge", "released", "update"]

PACKAGED = Path(__file__).parent / "content"  # exercises and notebooks, where this package was installed from a wheel
LESSONS = "lessons.json"  # in work/.course: digests of the lessons as they were laid out


class NoCourse(Exception):
    """There are no exercises, neither in the folder nor in the installed package; the message says what to do."""


def is_clone(root: Path) -> bool:
    """Whether a folder has the released exercises itself, as the repository does, and not only a student's copies."""
    return (root / "exercises").is_dir()


def released(root: Path) -> Path:
    """The folder of the released exercises: that of a clone, else that of the installed package."""
    for folder in (root / "exercises", PACKAGED / "exercises"):
        if folder.is_dir():
            return folder
    raise NoCourse(f"no exercises in {root / 'exercises'}: run this in the course's folder, or name it")


def lay_out(root: Path = Path("..")) -> None:
    """Make the student's folder `work/` in a clone that has none. Lesson 00 does so, for those who skipped `make lab`.

    Args:
        root: the folder of the course; by default the one above the running notebook's.
    """
    if is_clone(root) and not (root / "work").exists():
        with suppress(OSError):  # a course that is only to be read
            update(root, only_new=True)


def update(root: Path, only_new: bool = False) -> dict[str, str]:
    """Bring new and changed exercises into `work/`; and lessons into `notebooks/`, where git does not.

    Args:
        root: the folder of the course: a clone, or one that an installed package laid out.
        only_new: bring only what is not there yet.

    Returns:
        By file, such as "work/ex04_kl_divergence.ipynb", what was done: "new", "updated", "renamed", "unchanged", or
        "left alone: " and why.

    Raises:
        NoCourse: there is nothing to bring.
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
    _keep_a_copy(mine, work / FOLDER / "before")
    write_notebook(merge(written, old, new), mine)
    write_notebook(new, before)
    return "updated"


def _rename_from_version_1(*paths):
    """Give copies of `04_kl_divergence.ipynb` the exercise's present name, `ex04_kl_divergence.ipynb`."""
    renamed = False
    for path in paths:
        old = path.with_name(path.name.removeprefix("ex"))
        if old.exists() and not path.exists():
            old.rename(path)
            renamed = True
    return renamed


def _update_lessons(root, only_new):
    """Bring lessons; one whose cells the student has changed is left alone."""
    record, done = root / "work" / FOLDER / LESSONS, {}
    laid_out = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for path in sorted((PACKAGED / "notebooks").glob("*.ipynb")):
        mine, name = root / "notebooks" / path.name, f"notebooks/{path.name}"
        new = nbformat.read(path, as_version=4)
        if not mine.exists():
            write_notebook(new, mine)
            done[name], laid_out[path.name] = "new", _digest(new)
            continue
        if only_new or laid_out.get(path.name) == _digest(new):
            done[name] = "unchanged"
            continue
        try:
            current = _digest(nbformat.read(mine, as_version=4))
        except Exception as error:
            done[name] = _left_alone(error)
            continue
        if current not in (laid_out.get(path.name), _digest(new)):
            done[name] = "left alone: you have changed it"
            continue
        _keep_a_copy(mine, root / "work" / FOLDER / "before")
        write_notebook(new, mine)
        done[name], laid_out[path.name] = "updated", _digest(new)
    with replacing(record) as file:
        json.dump(laid_out, file, indent=1)
    return done


def _digest(notebook):
    """Of the cells' sources: running a notebook does not change it."""
    return hashlib.sha256(json.dumps([cell.source for cell in notebook.cells]).encode()).hexdigest()


def _left_alone(error):
    return f"left alone: it is not a notebook that can be read ({type(error).__name__})"


def merge(
    mine: nbformat.NotebookNode, old: nbformat.NotebookNode | None, new: nbformat.NotebookNode
) -> nbformat.NotebookNode:
    """The new exercise with everything that the student wrote.

    Answers are in their cells. Cells that the student added are where they were; so is the student's version of a cell
    that is not an answer, if both the student and the course have changed it.

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
