"""Check an answer in a notebook."""

from collections.abc import Callable
from difflib import get_close_matches

from IPython.display import display

from vae_course.judging.judge import judge
from vae_course.judging.verdict import Verdict
from vae_course.progress import remember
from vae_course.tasks import POINTS, exercise_of, library_of, task

__all__ = ["CheckFailed", "check_answer"]


class CheckFailed(AssertionError):
    """An answer did not pass. The message says why."""

    def __init__(self, verdict: Verdict):
        super().__init__(str(verdict))
        self.verdict = verdict

    def _render_traceback_(self):  # shown below the verdict, so one line is enough
        return [f"Check not passed: {self.verdict.task}"]


def check_answer(name: str, function: Callable) -> None:
    """Judge an answer, then record and show the verdict. See `vae_course.check`."""
    if name not in POINTS:
        close = get_close_matches(str(name), POINTS, n=1)
        raise ValueError(f"name: there is no task {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    verdict = judge(task(name), function, library=library_of(exercise_of(name)))
    remember(name, verdict.passed)
    display(verdict)
    if not verdict.passed:
        raise CheckFailed(verdict)
