"""The machinery of the course: tasks and checks, students' folders, marking, building, and the command `vae-lessons`.

In marking, a student's code can see only `vae_lessons` and `vae_course.visible`.
"""

from collections.abc import Callable

import vae_lessons  # noqa: F401, before torch: it sets how torch's threads wait
from vae_course.cells import watch
from vae_course.progress import progress

__all__ = ["check", "hint", "progress"]

watch()


def check(name: str, function: Callable) -> None:
    """Check whether a function does what a task asks.

    Args:
        name: the task's name, such as "kl/standard_normal".
        function: the function itself, as in `check("kl/standard_normal", kl_to_standard_normal)`.

    Raises:
        vae_course.judging.check.CheckFailed: it does not. The message names the mistake if it is a known one.
        ValueError: there is no such task.
    """
    from vae_course.judging.check import check_answer  # needs torch, which the command line does not

    check_answer(name, function)


def hint(name: str) -> None:
    """Show how to begin a task: one step more at each call, three at most. Hints cost no points.

    Args:
        name: the task's name, such as "kl/standard_normal".

    Raises:
        ValueError: there is no such task.
    """
    from vae_course.judging.hints import next_hint

    next_hint(name)
