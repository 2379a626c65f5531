"""A task is data: how to draw its inputs, the right answer, and the mistakes that people make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vae_course.tasks import POINTS
from vae_course.visible.observe import Observer, values

__all__ = ["Close", "Mistake", "SameMoments", "Task", "rounded_normal", "rounded_uniform", "wide"]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really give.

    Args:
        name: a short name, such as "forgot the ½".
        hint: the text for the student, which leads to the answer without giving it away.
        answers: functions that make this mistake in different ways.
    """

    name: str
    hint: str
    answers: tuple[Callable, ...]

    def __init__(self, name: str, hint: str, *answers: Callable):
        if not answers:
            raise ValueError(f"answers: expected at least one function that makes the mistake {name!r}")
        for field, value in (("name", name), ("hint", hint), ("answers", answers)):
            object.__setattr__(self, field, value)


@dataclass(frozen=True)
class Close:
    """Numbers agree up to rounding; words agree regardless of case.

    Args:
        rtol: tolerance relative to the right number.
        atol: absolute tolerance, added to it.
    """

    rtol: float = 1e-4
    atol: float = 1e-5

    def __call__(self, found: np.ndarray, right: np.ndarray) -> bool:
        if found.dtype.kind == "U" or right.dtype.kind == "U":
            return np.array_equal(np.char.lower(found.astype(str)), np.char.lower(right.astype(str)))
        with np.errstate(invalid="ignore"):
            return bool(np.isclose(found, right, rtol=self.rtol, atol=self.atol, equal_nan=True).all())


@dataclass(frozen=True)
class SameMoments:
    """Draws have the same means and covariances.

    Each pair of moments may differ by `errors` standard errors of the difference. The variance found counts no more
    than the right one, or a single outlier would excuse everything. At 6, a moment of a right answer fails by chance
    less than once in 100 million (normal approximation).
    """

    errors: float = 6.0

    def __call__(self, found: np.ndarray, right: np.ndarray) -> bool:
        if right.dtype.kind == "b" or found.dtype.kind not in "biuf":
            return np.array_equal(found, right)
        if not np.isfinite(found).all():
            return False
        centre = right.mean(0).ravel()
        means, variances = zip(*(_moments(draws, centre) for draws in (found, right)), strict=True)
        difference = np.abs(means[0] - means[1])
        variance, right_variance = variances
        error = np.sqrt((np.minimum(variance, right_variance) + right_variance) / len(right))
        return bool((difference <= self.errors * error + 1e-6).all())


def _moments(draws, centre):
    """The means and variances of all coordinates, measured from a centre, and of all products of two."""
    flat = draws.reshape(len(draws), -1).astype(np.float64) - centre
    square = flat**2
    means = np.concatenate([flat.mean(0), (flat.T @ flat / len(flat)).ravel()])
    squares = np.concatenate([square.mean(0), (square.T @ square / len(flat)).ravel()])
    return means, (squares - means**2).clip(0) * len(flat) / (len(flat) - 1)


@dataclass(frozen=True)
class Task:
    """A task: what it asks for, and how an answer is observed and judged.

    Args:
        name: "topic/name", as passed to `check`. Its points are in `vae_course.tasks.EXERCISES`.
        draw: draws the inputs of one case from a random generator, by name, in the order of the arguments. Several
            such functions take turns, so that every kind of case occurs.
        reference: the right answer, independent of this library. It is called with float64 tensors.
        mistakes: at least four, which the inputs drawn can tell apart.
        observe: calls an answer and records what it does.
        agree: whether two arrays count as equal.
        cases: how many cases to draw.
        decides: for an answer in words: tells, as one sentence, the numbers of a case that decide. It is called like
            the reference, and shown with a wrong word that no known mistake explains.
        alike: for an answer in words about something random: what a case is, apart from chance. It is called like
            `decides`. An answer that gives different words where this is the same follows chance.
        library: full names of the functions of `vae_lessons` that solve the task. They are switched off while
            answers to any task of the exercise run.
    """

    name: str
    draw: Callable[[np.random.Generator], dict[str, Any]] | tuple[Callable, ...]
    reference: Callable
    mistakes: tuple[Mistake, ...]
    observe: Observer = values
    agree: Callable[[np.ndarray, np.ndarray], bool] = Close()
    cases: int = 6
    decides: Callable[..., str] | None = None
    alike: Callable[..., Any] | None = None
    library: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """The points for this task."""
        return POINTS[self.name]

    def inputs(self, seed: int) -> list[dict[str, Any]]:
        """The cases drawn with this seed, smallest first."""
        draws = self.draw if isinstance(self.draw, tuple) else (self.draw,)
        cases = [draws[n % len(draws)](np.random.default_rng([seed, n])) for n in range(self.cases)]
        return sorted(cases, key=lambda case: sum(_size(value) for value in case.values()))


def _size(value):
    return int(np.prod(value.shape)) if hasattr(value, "shape") else 1


def wide(
    draw: Callable[..., dict[str, Any]], *names: str, low: float = -11.0, high: float = 5.0
) -> Callable[..., dict[str, Any]]:
    """The same kind of case, but these log-variances, which have no limits, begin with `low` and end with `high`."""

    def drawn(rng: np.random.Generator) -> dict[str, Any]:
        case = draw(rng)
        for name in names:
            numbers = case[name].view(-1)
            numbers[0], numbers[-1] = low, high
        return case

    return drawn


def rounded_normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normal numbers for a task's inputs, rounded to two decimals for readability: float32."""
    return torch.tensor(np.round(rng.normal(scale=scale, size=shape), 2), dtype=torch.float32)


def rounded_uniform(rng: np.random.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """Uniform numbers for a task's inputs, rounded to two decimals: float32."""
    return torch.tensor(np.round(rng.uniform(low, high, size=shape), 2), dtype=torch.float32)
