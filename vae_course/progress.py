"""Records which tasks have passed, in `work/`, so that the record outlives the kernel."""

import json
from pathlib import Path

from vae_course.files import replacing
from vae_course.tasks import EXERCISES

__all__ = ["progress", "recorded", "remember", "report"]

FOLDER = ".course"  # in work/: the course's own files
_session: dict[str, bool] = {}


def remember(task: str, passed: bool) -> None:
    """Record the latest verdict; only in memory if the current folder is not a work folder."""
    _session.pop(task, None)
    _session[task] = passed
    if Path(FOLDER).is_dir():
        verdicts = recorded(Path())
        verdicts.pop(task, None)  # the latest is the last
        with replacing(Path(FOLDER) / "progress.json") as file:
            json.dump(verdicts | {task: passed}, file, indent=1)


def recorded(work: Path) -> dict[str, bool]:
    """The verdicts recorded in a work folder; empty if there are none."""
    try:
        verdicts = json.loads((work / FOLDER / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return verdicts if isinstance(verdicts, dict) else {}


def progress(exercise: str) -> None:
    """Print which tasks of an exercise have passed, and which is next.

    Args:
        exercise: its name, such as "ex04_kl_divergence".
    """
    verdicts = {task: passed for task, passed in recorded(Path()).items() if task not in _session}
    print(report([exercise], verdicts | _session))


def report(exercises: list[str], passed: dict[str, bool]) -> str:
    """The progress in several exercises, as text. What comes next is counted from the latest verdict, the last one."""
    lines, width = [], max(map(len, exercises), default=0)
    for exercise in exercises:
        if exercise not in EXERCISES:
            raise ValueError(f"exercise: expected one of {', '.join(EXERCISES)}, got {exercise!r}")
        done = [task for task in EXERCISES[exercise] if passed.get(task)]
        total = len(EXERCISES[exercise])
        lines.append(f"{exercise:{width}}  {'■' * len(done)}{'□' * (total - len(done))}  {len(done)} of {total} passed")
        if 0 < len(done) < total or len(exercises) == 1:
            lines += [f"  {'✓' if task in done else '·'} {task}" for task in EXERCISES[exercise]]
    tasks = [task for exercise in exercises for task in EXERCISES[exercise]]
    here = next((tasks.index(task) for task in reversed(passed) if task in tasks), 0)
    todo = [task for task in tasks[here:] + tasks[:here] if not passed.get(task)]
    lines.append(f"Next: {todo[0]}" if todo else "Nothing is left to do here.")
    return "\n".join(lines)
