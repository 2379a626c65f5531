"""A task is data: how its inputs are drawn, what the right answer is, and which mistakes people make."""

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from vae_lessons.checks.observe import Failure, Observation, Observer, observe_cases, switched_off, values

__all__ = ["Close", "Key", "Mistake", "SameMoments", "Task", "Verdict", "decide", "judge", "normal", "uniform"]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really write.

    Args:
        name: a few words that name it, such as "forgot the ½".
        answer: a function that makes this mistake.
        hint: what the student reads: it leads to the answer without giving it.
    """

    name: str
    answer: Callable
    hint: str


@dataclass(frozen=True)
class Close:
    """Numbers agree up to rounding; words agree whatever their case.

    Args:
        rtol: tolerance relative to the right number.
        atol: tolerance added to it.
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

    Each pair of moments may differ by `errors` standard errors of the difference. In it, what was found counts with no
    more variance than what is right: one draw far away would excuse everything. At 6, one moment of a right answer
    differs by chance less than once in 100 million (normal approximation).
    """

    errors: float = 6.0

    def __call__(self, found: np.ndarray, right: np.ndarray) -> bool:
        if right.dtype.kind == "b" or found.dtype.kind not in "biuf":
            return np.array_equal(found, right)
        if not np.isfinite(found).all():
            return False
        moments, centre = [], right.mean(0).ravel()
        for draws in (found, right):
            flat = draws.reshape(len(draws), -1).astype(np.float64) - centre
            products = (flat[:, :, None] * flat[:, None, :]).reshape(len(flat), -1)
            moments.append(np.concatenate([flat, products], axis=1))
        difference = np.abs(moments[0].mean(0) - moments[1].mean(0))
        own, wanted = (moment.var(0, ddof=1) for moment in moments)
        error = np.sqrt((np.minimum(own, wanted) + wanted) / len(right))
        return bool((difference <= self.errors * error + 1e-6).all())


@dataclass(frozen=True)
class Task:
    """What is asked for, how to look at an answer, and how to judge it.

    Args:
        name: "topic/what", as `check` is given it.
        points: what it is worth.
        draw: from a random generator, the inputs of one case: their names in the order of the arguments. Several
            such functions take turns, so that every kind of case occurs.
        reference: the right answer, not from this library. It is called with float64 tensors.
        mistakes: at least four, told apart by the inputs drawn.
        observe: what to look at.
        agree: when two arrays count as the same.
        cases: how many cases are drawn.
        library: this library's functions that are what is asked for, by their full names: switched off when an
            answer is looked at.
    """

    name: str
    points: int
    draw: Callable[[np.random.Generator], dict[str, Any]] | tuple[Callable, ...]
    reference: Callable
    mistakes: tuple[Mistake, ...]
    observe: Observer = values
    agree: Callable[[np.ndarray, np.ndarray], bool] = Close()
    cases: int = 6
    library: tuple[str, ...] = ()

    def inputs(self, seed: int) -> list[dict[str, Any]]:
        """The cases that this seed draws, the smallest first."""
        draws = self.draw if isinstance(self.draw, tuple) else (self.draw,)
        cases = [draws[n % len(draws)](np.random.default_rng([seed, n])) for n in range(self.cases)]
        return sorted(cases, key=lambda case: sum(_size(value) for value in case.values()))


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Args:
        task: its name.
        kind: "passed", "not written", "raised", "signature", "type", "library", "shape", "dtype", "not finite",
            "mistake" or "different".
        title: one line.
        message: what the student reads, as plain text.
        mistake: the known mistake's name, or None.
        case: the failing case with its numbers, as plain text; not for a student's eyes where inputs are secret.
    """

    task: str
    kind: str
    title: str
    message: str = ""
    mistake: str | None = None
    case: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.kind == "passed"

    def __str__(self) -> str:
        return "\n".join([f"{self.task}: {self.title}", *self._rest()])

    def _rest(self):
        return [text for text in (self.message, self.case) if text]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        sign, colour = ("✓", "#1a7f37") if self.passed else ("✗", "#b35900")
        text = "\n".join(self._rest())
        rest = f'<div style="white-space: pre-wrap; margin-top: .3em">{_marked(text)}</div>'
        box = f"border-left: 4px solid {colour}; padding: .3em .8em; margin: .2em 0"
        head = f"<b>{sign} {html.escape(self.task)}: {_marked(self.title)}</b>"
        return {
            "text/plain": f"{sign} {self}",
            "text/html": f'<div role="status" style="{box}">{head}{rest if text else ""}</div>',
        }


@dataclass
class Key:
    """What answers to a task are compared with, on some cases: the right answer, and the known mistakes.

    Each is worked out when it is first needed, so that a whole class can be judged with one key.

    Args:
        task: which one.
        cases: the inputs.
    """

    task: Task
    cases: list[dict[str, Any]]

    def __post_init__(self):
        self._mistaken = {}

    @cached_property
    def right(self) -> list[Observation]:
        """What the reference gives, case by case."""
        observe = self.task.observe
        return [
            conclude(observe, observe(self.task.reference, {name: _double(value) for name, value in case.items()}))
            for case in self.cases
        ]

    def mistaken(self, mistake: Mistake) -> list[Observation] | None:
        """What a known mistake gives, case by case; None where it gives nothing to compare."""
        if mistake not in self._mistaken:
            seen = observe_cases(self.task.observe, mistake.answer, self.cases)
            self._mistaken[mistake] = None if isinstance(seen, Failure) else self.arranged(seen)
        return self._mistaken[mistake]

    def arranged(self, seen: list[Observation]) -> list[Observation]:
        """What was seen, concluded and in the form that the right answer has."""
        concluded = [conclude(self.task.observe, one) for one in seen]
        return [_arranged(found, expected) for found, expected in zip(concluded, self.right, strict=True)]


def conclude(observe: Observer, seen: Observation) -> Observation:
    """The judge's part of an observation, where there is one."""
    return observe.conclude(seen) if hasattr(observe, "conclude") else seen


def judge(task: Task, function: Callable, seed: int = 0, library: Iterable[str] = ()) -> Verdict:
    """Call the function on drawn inputs and say what was found.

    Args:
        task: which one.
        function: the student's.
        seed: of the inputs.
        library: functions of this library that are switched off meanwhile, besides the task's own.
    """
    key = Key(task, task.inputs(seed))
    with switched_off({*task.library, *library}):
        seen = observe_cases(task.observe, function, key.cases)
    return decide(key, seen)


def decide(key: Key, seen: list[Observation] | Failure) -> Verdict:
    """The verdict on what was seen; the function that was looked at is not needed any more."""
    task, cases = key.task, key.cases
    if isinstance(seen, Failure):
        titles = {
            "not written": "not written yet",
            "raised": "your function stopped with an error",
            "signature": "the arguments do not fit",
            "type": "the result is of the wrong type",
            "library": "the library's own function called",
        }
        return Verdict(task.name, seen.kind, titles.get(seen.kind, seen.kind), seen.message)
    right, seen = key.right, key.arranged(seen)
    labels, partly = _labels(task, seen, right), None
    if not labels:
        return Verdict(task.name, "passed", "passed")
    for mistake in task.mistakes:
        same = key.mistaken(mistake)
        if same is None:
            continue
        others = _labels(task, seen, same)
        if not others:
            return Verdict(task.name, "mistake", mistake.name, mistake.hint, mistake.name)
        telling = same[0].keys() == right[0].keys() == seen[0].keys() and right[0][labels[0]].dtype.kind == "f"
        if telling and labels[0] not in others and labels == _labels(task, same, right):
            partly = partly or mistake  # it explains the first wrong result, and is wrong in the others too
    if partly:
        text = f"{partly.hint}\nThis explains the {labels[0]}; something else is wrong as well."
        return Verdict(task.name, "mistake", partly.name, text, partly.name)
    first = next(number for number in range(len(cases)) if _wrong(task, seen[number], right[number]))
    return _difference(task, cases[first], seen[first], right[first])


def _arranged(found, right):
    """Several results may come as a tuple, a list or one array: as the right answer has them, if that is possible."""
    if list(found) == ["result"] and all(label.endswith(" result") for label in right):
        together = found["result"]
        parts = list(together) if together.ndim and len(together) == len(right) else []
        if [np.shape(part) for part in parts] == [array.shape for array in right.values()]:
            return dict(zip(right, parts, strict=True))
    if list(right) == ["result"] and all(label.endswith(" result") for label in found):
        parts = list(found.values())
        if parts and {(len(parts), *part.shape) for part in parts} == {right["result"].shape}:
            return {"result": np.stack(parts)}
    return found


def _wrong(task, found, right):
    """The labels under which the two differ."""
    if found.keys() != right.keys():
        return list(right)
    return [
        label
        for label in right
        if found[label].shape != right[label].shape
        or (found[label].dtype.kind == "c") != (right[label].dtype.kind == "c")
        or not task.agree(found[label], right[label])
    ]


def _labels(task, seen, right):
    """The labels under which they differ in any case, in the order of the results."""
    wrong = {label for found, expected in zip(seen, right, strict=True) for label in _wrong(task, found, expected)}
    return [label for label in right[0] if label in wrong]


def _difference(task, case, found, right):
    given = "\n".join(f"  {name} = {_short(value)}" for name, value in case.items())
    if found.keys() != right.keys():
        text = f"Expected {_number(right)}; got {_number(found)}."
        return Verdict(task.name, "type", "the result is of the wrong type", text)
    for label, expected in right.items():
        got = found[label]
        if got.shape != expected.shape:
            text = f"Expected shape {expected.shape}, got {got.shape}."
            return Verdict(task.name, "shape", f"the {label} has the wrong shape", text, case=f"For\n{given}")
        if (expected.dtype.kind in "biuf") != (got.dtype.kind in "biuf"):
            wanted = "numbers" if expected.dtype.kind in "biuf" else "a word"
            text = f"Expected {wanted}, got {'a word' if got.dtype.kind == 'U' else got.dtype.name}."
            return Verdict(task.name, "dtype", f"the {label} has the wrong dtype", text, case=_short(got))
        if got.dtype.kind == "f" and np.isfinite(expected).all() and not np.isfinite(got).all():
            text = f"It holds {_short(got)}, for\n{given}"
            return Verdict(task.name, "not finite", f"the {label} is not finite", case=text)
    label = next(label for label in right if not task.agree(found[label], right[label]))
    got, expected = found[label], right[label]
    if expected.dtype.kind == "f" and got.dtype.kind in "iu":
        text = f"Expected floating-point numbers, got {got.dtype.name}."
        return Verdict(task.name, "dtype", f"the {label} has the wrong dtype", text, case=_short(got))
    text = f"For\n{given}\nyours:    {_summary(task, got)}\nexpected: {_summary(task, expected)}"
    return Verdict(task.name, "different", f"the {label} is not right yet", case=text)


def _summary(task, array):
    if isinstance(task.agree, SameMoments) and array.dtype.kind == "f":
        with np.printoptions(precision=3, threshold=20):
            return f"{len(array):,} draws with mean {array.mean(0)} and standard deviation {array.std(0)}"
    return _short(array)


def _short(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "bU" and value.ndim == 0:
            return repr(value.item())
        if value.size > 48:
            return f"numbers of shape {value.shape}"
        return np.array2string(value, precision=5, suppress_small=True, separator=", ", prefix=" " * 10)
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " …"


def _number(observation):
    results = [label for label in observation if label.endswith("result")]
    return "one result" if results == ["result"] else f"{len(results)} results"


def _marked(text):
    """Escaped for HTML, with `code` in a code font."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


def _size(value):
    return int(np.prod(value.shape)) if hasattr(value, "shape") else 1


def _double(value):
    return value.double() if isinstance(value, torch.Tensor) and value.dtype == torch.float32 else value


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normal numbers for a task's inputs, rounded to two decimals so that they can be read: float32."""
    return torch.tensor(np.round(rng.normal(scale=scale, size=shape), 2), dtype=torch.float32)


def uniform(rng: np.random.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    """Uniform numbers for a task's inputs, rounded to two decimals: float32."""
    return torch.tensor(np.round(rng.uniform(low, high, size=shape), 2), dtype=torch.float32)
