"""Mistakes common to all tasks whose result for each picture is a sum over pixels or latents."""

from collections.abc import Callable

from torch import Tensor

from vae_course.judging.task import Mistake

__all__ = ["wrong_reductions"]


def wrong_reductions(terms: Callable[..., Tensor], dimensions: str, why_sum: str) -> tuple[Mistake, ...]:
    """A mean instead of a sum, one number for the whole batch, and a sum over the wrong axis.

    Args:
        terms: computes the terms to sum over the last axis, (B, n), from a task's inputs.
        dimensions: what n counts, such as "pixels".
        why_sum: why the right answer is a sum, as a hint for students who average.
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
