"""Check an answer in a notebook."""

from collections.abc import Callable

from IPython.display import display

from vae_course.cells import failed_definition
from vae_course.judging.hints import require_task
from vae_course.judging.judge import judge
from vae_course.judging.verdict import Verdict
from vae_course.progress import remember
from vae_course.tasks import exercise_of, library_of, task
from vae_course.visible.outcomes import Kind

__all__ = ["CheckFailed", "check_answer"]


EARLIER_ANSWER = (
    "When it was last run it stopped with {}\nWhat could be judged is only your answer from before. "
    "Mend that cell, run it, then run this check again."
)


class CheckFailed(AssertionError):
    """An answer did not pass. The message says why."""

    def __init__(self, verdict: Verdict):
        super().__init__(str(verdict))
        self.verdict = verdict

    def _render_traceback_(self):  # shown below the verdict, so one line is enough
        return [f"Check not passed: {self.verdict.task}"]


def check_answer(name: str, function: Callable) -> None:
    """Judge an answer, then record and show the verdict. See `vae_course.check`."""
    require_task(name)
    if error := failed_definition(getattr(function, "__name__", "")):
        verdict = Verdict(name, Kind.RAISED, "the cell with your answer failed", EARLIER_ANSWER.format(error))
    else:
        verdict = judge(task(name), function, library=library_of(exercise_of(name)))
        remember(name, verdict.passed)
    display(verdict)
    if not verdict.passed:
        raise CheckFailed(verdict)
