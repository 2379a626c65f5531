"""Checking an answer to an exercise the moment it is written."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module

from IPython.display import display

from vae_lessons.checks.task import Task, Verdict, judge
from vae_lessons.progress import progress, remember

__all__ = ["EXERCISES", "LIBRARY", "TASKS", "CheckFailed", "check", "progress"]

NUMBERS = [f"{number:02}" for number in range(1, 11)]
EXERCISES: dict[str, tuple[Task, ...]] = {n: import_module(f"vae_lessons.checks.lesson_{n}").TASKS for n in NUMBERS}
TASKS: dict[str, Task] = {task.name: task for tasks in EXERCISES.values() for task in tasks}
LIBRARY: dict[str, tuple[str, ...]] = {  # by exercise: what is switched off, because it is asked for
    number: tuple(sorted({name for task in tasks for name in task.library})) for number, tasks in EXERCISES.items()
}


class CheckFailed(AssertionError):
    """An answer did not pass; the message says why."""

    def __init__(self, verdict: Verdict):
        super().__init__(str(verdict))
        self.verdict = verdict

    def _render_traceback_(self):  # what a notebook shows: the verdict stands above, so one line is enough
        return [f"Check not passed: {self.verdict.task}"]


def check(name: str, function: Callable) -> None:
    """Say whether a function does what the task asks.

    Args:
        name: the task's, such as "kl/standard_normal".
        function: the function itself: `check("kl/standard_normal", kl_to_standard_normal)`.

    Raises:
        CheckFailed: it does not; the message names the mistake, where it is a known one.
        ValueError: there is no such task.
    """
    if name not in TASKS:
        close = get_close_matches(str(name), TASKS, n=1)
        raise ValueError(f"name: there is no task {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    number = next(number for number, tasks in EXERCISES.items() if TASKS[name] in tasks)
    verdict = judge(TASKS[name], function, library=LIBRARY[number])
    remember(name, verdict.passed)
    display(verdict)
    if not verdict.passed:
        raise CheckFailed(verdict)
