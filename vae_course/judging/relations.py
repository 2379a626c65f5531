"""What an unforeseen wrong answer has to do with the right one: a factor, a sign, a root, another order."""

import math
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from vae_course.visible.observe import Observation

__all__ = ["relation", "results_in_another_order"]

Agree = Callable[[np.ndarray, np.ndarray], bool]
FACTORS = {
    -1.0: ("has the wrong sign", "Every number is the right one with its sign changed."),
    2.0: ("is twice the right one", "Every number is twice the right one. What is counted twice, or not halved?"),
    0.5: ("is half the right one", "Every number is half the right one. What is halved, or counted once too few?"),
    1 / math.log(2): ("is in bits", "Every number is 1.443 = 1 / log 2 times the right one: it is in bits, not nats."),
}
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the square root of the right one": np.sqrt,
    "the square of the right one": np.square,
    "the logarithm of the right one": np.log,
    "the exponential of the right one": np.exp,
    "the absolute value of the right one": np.abs,
    "the reciprocal of the right one": lambda right: 1 / right,
    "1 minus the right one": lambda right: 1 - right,
    "minus the logarithm of the right one": lambda right: -np.log(right),
    "the exponential of minus the right one": lambda right: np.exp(-right),
}


def relation(
    found: list[np.ndarray], right: list[np.ndarray], cases: list[dict[str, Any]], agree: Agree
) -> tuple[str, str] | None:
    """What holds between a result and the right one in every case, as the end of a title and a text; None if nothing.

    Args:
        found: the result, case by case.
        right: the right one.
        cases: the inputs.
        agree: whether two arrays count as equal.
    """
    kinds = {array.dtype.kind for array in found + right}
    if kinds in ({"U"}, {"b"}) and all(array.ndim == 0 for array in found + right):
        return _between_words([array.item() for array in found], [array.item() for array in right])
    if not kinds <= set("iuf") or len(np.unique(np.concatenate([array.ravel() for array in right]))) < 4:
        return None
    if not all(np.isfinite(array).all() for array in found + right):
        return None
    pairs = [(one.astype(np.float64), other.astype(np.float64)) for one, other in zip(found, right, strict=True)]
    same_shape = all(one.shape == other.shape for one, other in pairs)
    return next(_between_numbers(pairs, cases, agree) if same_shape else _between_shapes(pairs, agree), None)


def results_in_another_order(found: list[Observation], right: list[Observation], agree: Agree) -> bool:
    """Whether in every case the results are the right ones in the same wrong order."""
    labels = [label for label in right[0] if label.endswith("result")]
    pairs = list(zip(found, right, strict=True))
    return all(one.keys() == other.keys() for one, other in pairs) and any(
        all(
            _equal(one[label], other[place], agree)
            for one, other in pairs
            for label, place in zip(labels, order, strict=True)
        )
        for order in permutations(labels)
        if list(order) != labels and len(labels) < 5
    )


def _equal(one, other, agree):
    return one.shape == other.shape and agree(one, other)


def _between_words(found, right):
    if len(set(right)) < 2:
        return None
    if len(set(found)) == 1:
        return f"is always {found[0]!r}", "The cases differ, and your answer does not. What should it depend on?"
    pairs = set(zip(right, found, strict=True))
    if len(pairs) == len(set(right)) == len(set(found)) and all(wanted != word for wanted, word in pairs):
        words = ", and ".join(f"{word!r} where it should be {wanted!r}" for wanted, word in sorted(pairs))
        return "is always another one", f"You answer {words}. Which is which?"
    return None


def _between_numbers(pairs, cases, agree) -> Iterator[tuple[str, str]]:
    if len(np.unique(np.concatenate([one.ravel() for one, _ in pairs]))) == 1:
        number = pairs[0][0].ravel()[0]
        yield f"is always {number:.4g}", "The inputs differ, and your result does not. What should it depend on?"
    factors = [_factor(one, other, agree) for one, other in pairs]
    if None not in factors:
        yield from _factors(np.array(factors), cases)
    for name, function in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            if all(agree(one, function(other)) for one, other in pairs):
                yield f"is {name}", f"In every case your number is {name}."
    shifts = np.concatenate([(one - other).ravel() for one, other in pairs])
    if np.ptp(shifts) < 1e-4 * abs(shifts[0]):
        text = f"too {'large' if shifts[0] > 0 else 'small'} by {abs(shifts[0]):.4g}"
        yield f"is {text}", f"Every number is {text}. Which term is the same for all inputs?"
    if all(agree(np.sort(one, None), np.sort(other, None)) for one, other in pairs):
        yield "has the right numbers in other places", "All the right numbers are there, in another order."


def _factor(found, right, agree):
    """The number that the right ones have to be multiplied by, if there is one."""
    size = np.abs(right).sum()
    factor = float((found * np.sign(right)).sum() / size) if size else 0.0
    return factor if factor and agree(found, factor * right) else None


def _factors(factors, cases) -> Iterator[tuple[str, str]]:
    """The same factor in every case, or the length of an axis of an argument."""
    if np.allclose(factors, 1, rtol=1e-3):
        yield "is nearly right", "Every number is within a thousandth of the right one. Is something rounded?"
    elif np.allclose(factors, factors[0], rtol=1e-3):
        known = [text for factor, text in FACTORS.items() if math.isclose(factor, factors[0], rel_tol=1e-3)]
        text = f"{factors[0]:.4g} times the right one"
        yield known[0] if known else (f"is {text}", f"Every number is {text}. Where may this factor come from?")
    for name, value in cases[0].items():
        for axis in range(len(getattr(value, "shape", ()))):
            lengths = np.array([case[name].shape[axis] for case in cases], dtype=float)
            for power, done in ((1, "multiplied"), (-1, "divided")):
                if np.allclose(factors, lengths**power, rtol=1e-3):
                    text = f"{done} by the length of axis {axis} of `{name}`"
                    yield f"is {done} by a length", f"Every number is the right one {text}, here {lengths[-1]:.0f}."


def _between_shapes(pairs, agree) -> Iterator[tuple[str, str]]:
    """The right numbers transposed, added up or averaged."""
    expected = f"Expected shape {pairs[-1][1].shape}, got {pairs[-1][0].shape}."
    if all(_equal(one, other.T, agree) for one, other in pairs):
        yield "has its axes exchanged", f"The right numbers are there, with the axes exchanged. {expected}"
    for axis in (None, *range(min(other.ndim for _, other in pairs))):
        for reduce, done in ((np.sum, "added up"), (np.mean, "averaged")):
            if all(_equal(one, np.asarray(reduce(other, axis)), agree) for one, other in pairs):
                where = "over everything" if axis is None else f"along axis {axis}"
                yield f"is {done} once too often", f"You have the right numbers {done} {where}. {expected}"
