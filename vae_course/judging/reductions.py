"""The mistakes that are the same wherever one number for each picture is a sum over pixels or latents."""

from collections.abc import Callable

from torch import Tensor

from vae_course.judging.task import Mistake

__all__ = ["wrong_reductions"]


def wrong_reductions(terms: Callable[..., Tensor], dimensions: str, why_sum: str) -> tuple[Mistake, ...]:
    """Mean for sum, one number for the whole batch, a sum along the wrong axis.

    Args:
        terms: from a task's inputs, what is to be summed over the last axis: (B, n).
        dimensions: what n counts, such as "pixels".
        why_sum: the hint for those who average: why the right answer is a sum.
    """
    return (
        Mistake(
            f"mean over the {dimensions}",
            f"You average over the {dimensions}. {why_sum}",
            lambda *inputs: terms(*inputs).mean(-1),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also added or averaged over the pictures.",
            lambda *inputs: terms(*inputs).sum(),
            lambda *inputs: terms(*inputs).sum(-1).mean(),
            lambda *inputs: terms(*inputs).mean(),
        ),
        Mistake(
            "summed over the wrong axis",
            f"You summed over the pictures and kept the {dimensions}. Which axis counts the {dimensions}?",
            lambda *inputs: terms(*inputs).sum(0),
        ),
    )
