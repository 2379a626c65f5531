"""What runs the course: tasks and checks, students' folders, marking, building, and the command `vae-lessons`.

A student's code may see `vae_lessons` and `vae_course.visible`, and nothing else.
"""

from collections.abc import Callable

import vae_lessons  # noqa: F401, before torch: it sets how torch's threads wait
from vae_course.progress import progress

__all__ = ["check", "progress"]


def check(name: str, function: Callable) -> None:
    """Say whether a function does what the task asks.

    Args:
        name: the task's, such as "kl/standard_normal".
        function: the function itself: `check("kl/standard_normal", kl_to_standard_normal)`.

    Raises:
        vae_course.judging.check.CheckFailed: it does not; the message names the mistake, if it is a known one.
        ValueError: there is no such task.
    """
    from vae_course.judging.check import check_answer  # it needs torch, which the command line does not

    check_answer(name, function)
