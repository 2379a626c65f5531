"""Judge an answer from observations of it. Only `judge`, in a notebook, runs a student's code."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from vae_course.judging.relations import relation, results_in_another_order
from vae_course.judging.task import Close, Mistake, SameMoments, Task
from vae_course.judging.verdict import Verdict
from vae_course.visible.observe import CHANGED, RANDOM, Observation, Observer, observe_cases, switched_off
from vae_course.visible.outcomes import Failure, Kind

__all__ = ["Key", "conclude", "decide", "judge", "wrong_labels"]

TITLES = {
    Kind.NOT_WRITTEN: "not written yet",
    Kind.RAISED: "your function stopped with an error",
    Kind.SIGNATURE: "the arguments do not fit",
    Kind.TYPE: "the result is of the wrong type",
    Kind.LIBRARY: "the library's own function called",
}
CHANGES_ITS_ARGUMENTS = (
    "Your results are right, but after the call the caller's own numbers are other ones: {}. Such a fault shows up far "
    "from its cause. `x += 1`, `x[0] = 1` and methods whose name ends in `_` write into the tensor that was passed."
)
DRAWS_OF_ITS_OWN = (
    "Called twice with the same arguments, your function gave two different results. Does it draw random numbers of "
    "its own? Where this task needs noise, the noise is an argument."
)
CHANCE = "chance decides"
FOLLOWS_CHANCE = (
    "In several cases that differ in their random numbers only, the right word is {right!r}. You answer {words}. So "
    "chance decides: you draw too few, or a limit of yours is too near to what is right. How far may chance move the "
    "numbers that you compare?"
)
FOLLOWS = "\nThis explains the {}. What else differs may come right once this is mended."


@dataclass
class Key:
    """The results of the right answer and of the known mistakes on some cases, for comparison.

    Each is computed when first needed, and kept, so that one key serves a whole class.

    Args:
        task: the task.
        cases: the inputs.
    """

    task: Task
    cases: list[dict[str, Any]]

    def __post_init__(self):
        self._mistaken = {}

    @cached_property
    def right(self) -> list[Observation]:
        """The reference's results, case by case."""
        observe = self.task.observe
        return [
            conclude(observe, observe(self.task.reference, {name: _double(value) for name, value in case.items()}))
            for case in self.cases
        ]

    def mistaken(self) -> Iterator[tuple[Mistake, list[Observation]]]:
        """Each known mistake with the results of one of its answers, case by case, if they can be compared."""
        for mistake in self.task.mistakes:
            for answer in mistake.answers:
                if answer not in self._mistaken:
                    observed = observe_cases(self.task.observe, answer, self.cases)
                    self._mistaken[answer] = None if isinstance(observed, Failure) else self.arrange(observed)
                if self._mistaken[answer] is not None:
                    yield mistake, self._mistaken[answer]

    def arrange(self, observed: list[Observation]) -> list[Observation]:
        """The observations, completed and in the form of the right answer."""
        kept = [
            {label: array for label, array in found.items() if label not in (CHANGED, RANDOM)} for found in observed
        ]
        concluded = [conclude(self.task.observe, observation) for observation in kept]
        return [_arrange(found, expected) for found, expected in zip(concluded, self.right, strict=True)]


def conclude(observe: Observer, observation: Observation) -> Observation:
    """Complete an observation with the part that is left to the judge, if there is one."""
    return observe.conclude(observation) if hasattr(observe, "conclude") else observation


def judge(task: Task, function: Callable, seed: int = 0, library: Iterable[str] = ()) -> Verdict:
    """Call the function on drawn inputs and judge what it does.

    Args:
        task: the task.
        function: the student's function.
        seed: seed of the inputs.
        library: functions of `vae_lessons` that are switched off meanwhile, besides the task's own.
    """
    key = Key(task, task.inputs(seed))
    with switched_off({*task.library, *library}):
        observed = observe_cases(task.observe, function, key.cases)
    return decide(key, observed)


def decide(key: Key, observed: list[Observation] | Failure) -> Verdict:
    """The verdict on the observations. The function itself is no longer needed."""
    task, cases = key.task, key.cases
    if isinstance(observed, Failure):
        text = observed.message
        if observed.kind is Kind.NOT_WRITTEN:
            text += f' Stuck? Run `hint("{task.name}")`: it gives one step at a time.'
        return Verdict(task.name, observed.kind, TITLES.get(observed.kind, str(observed.kind)), text)
    random = any(RANDOM in found for found in observed)
    changed = next((str(found[CHANGED]) for found in observed if CHANGED in found), "")
    right, observed = key.right, key.arrange(observed)
    wrong = wrong_labels(task, observed, right)
    if not wrong and changed:
        return Verdict(task.name, Kind.MISTAKE, CHANGED, CHANGES_ITS_ARGUMENTS.format(changed), CHANGED)
    if not wrong:
        return Verdict(task.name, Kind.PASSED, "passed")
    if random:
        return Verdict(task.name, Kind.DIFFERENT, RANDOM, DRAWS_OF_ITS_OWN)
    mistake, complete = _known_mistake(key, observed, wrong)
    by_chance = None if complete else _by_chance(key, observed)
    if by_chance is not None:
        return Verdict(task.name, Kind.MISTAKE, CHANCE, by_chance, CHANCE)
    related, explained = (None, False) if complete else _related(key, observed, wrong)
    if mistake is not None and not explained:
        rest = "" if complete else FOLLOWS.format(wrong[0])
        return Verdict(task.name, Kind.MISTAKE, mistake.name, mistake.hint + rest, mistake.name)
    bad = [number for number in range(len(cases)) if _wrong(task, observed[number], right[number])]
    different = _difference(task, cases[bad[0]], observed[bad[0]], right[bad[0]])
    if related is not None:
        title, text = related
        rest = "" if explained else FOLLOWS.format(wrong[0])
        return replace(different, title=title, message=text + rest)
    if different.kind is Kind.DIFFERENT and len(bad) < len(cases):
        return replace(different, message=f"It is right in {len(cases) - len(bad)} of {len(cases)} cases.")
    return different


def _known_mistake(key: Key, observed: list[Observation], wrong: list[str]) -> tuple[Mistake | None, bool]:
    """The mistake that explains the observations, or else the first wrong result; and whether it explains all."""
    task, right, partial = key.task, key.right, None
    for mistake, mistaken in key.mistaken():
        unexplained = wrong_labels(task, observed, mistaken)
        if not unexplained:
            return mistake, True
        usable = mistaken[0].keys() == right[0].keys() == observed[0].keys() and right[0][wrong[0]].dtype.kind == "f"
        if usable and partial is None and wrong[0] not in unexplained:
            others = wrong_labels(task, mistaken, right)  # what else is wrong with this mistake
            if others == wrong or (set(others) < set(wrong) and "right" not in mistake.hint):
                partial = mistake  # it explains the first wrong result, and its hint calls no wrong one right
    return partial, False


def _by_chance(key: Key, observed: list[Observation]) -> str | None:
    """Which words are given to cases that differ by chance only, as a text; None if no two of them are."""
    if key.task.alike is None or not all(one.keys() == key.right[0].keys() for one in observed):
        return None
    for label in key.right[0]:
        words = {}
        for case, found, right in zip(key.cases, observed, key.right, strict=True):
            if found[label].dtype.kind != "U" or found[label].ndim:
                return None
            kind = key.task.alike(**{name: _double(value) for name, value in case.items()})
            words.setdefault(kind, (right[label].item(), set()))[1].add(found[label].item().lower())
        for right, given in words.values():
            if len(given) > 1:
                text = ", sometimes ".join(repr(word) for word in sorted(given))
                return FOLLOWS_CHANCE.format(right=right, words=f"sometimes {text}")
    return None


def _related(key: Key, observed: list[Observation], wrong: list[str]) -> tuple[tuple[str, str] | None, bool]:
    """What the wrong results have to do with the right ones, as title and text; and whether all have the same."""
    task, right = key.task, key.right
    if not isinstance(task.agree, Close) or not all(one.keys() == right[0].keys() for one in observed):
        return None, False
    if results_in_another_order(observed, right, task.agree):
        return ("the results are in another order", "Each number is right, but they come in another order."), True
    found = [
        relation([one[label] for one in observed], [one[label] for one in right], key.cases, task.agree)
        for label in wrong
    ]
    if found[0] is None:
        return None, False
    title, text = found[0]
    return (f"the {wrong[0]} {title}", text), all(other == found[0] for other in found)


def _arrange(found, right):
    """Several results may come as a tuple, a list or one array. Convert them to the right answer's form if possible."""
    if list(found) == ["result"] and all(label.endswith(" result") for label in right):
        stacked = found["result"]
        parts = list(stacked) if stacked.ndim and len(stacked) == len(right) else []
        if [np.shape(part) for part in parts] == [array.shape for array in right.values()]:
            return dict(zip(right, parts, strict=True))
    if list(right) == ["result"] and all(label.endswith(" result") for label in found):
        parts = list(found.values())
        if parts and {(len(parts), *part.shape) for part in parts} == {right["result"].shape}:
            return {"result": np.stack(parts)}
    return found


def _wrong(task, found, right):
    """The labels whose arrays differ."""
    if found.keys() != right.keys():
        return list(right)
    return [
        label
        for label in right
        if found[label].shape != right[label].shape
        or (found[label].dtype.kind == "c") != (right[label].dtype.kind == "c")
        or not task.agree(found[label], right[label])
    ]


def wrong_labels(task, observed, right):
    """The labels whose arrays differ in at least one case, in the order of the results."""
    wrong = {label for found, expected in zip(observed, right, strict=True) for label in _wrong(task, found, expected)}
    return [label for label in right[0] if label in wrong]


def _difference(task, case, found, right):
    given = "\n".join(f"  {name} = {_short(value)}" for name, value in case.items())
    if found.keys() != right.keys():
        text = f"Expected {_number(right)}; got {_number(found)}."
        return Verdict(task.name, Kind.TYPE, "the result is of the wrong type", text)
    for label, expected in right.items():
        got = found[label]
        if got.shape != expected.shape:
            text = f"Expected shape {expected.shape}, got {got.shape}."
            return Verdict(task.name, Kind.SHAPE, f"the {label} has the wrong shape", text, case=f"For\n{given}")
        if (expected.dtype.kind in "biuf") != (got.dtype.kind in "biuf"):
            wanted = "numbers" if expected.dtype.kind in "biuf" else "a word"
            text = f"Expected {wanted}, got {'a word' if got.dtype.kind == 'U' else got.dtype.name}."
            return Verdict(task.name, Kind.DTYPE, f"the {label} has the wrong dtype", text, case=_short(got))
        if got.dtype.kind == "f" and np.isfinite(expected).all() and not np.isfinite(got).all():
            text = f"It holds {_short(got)}, for\n{given}"
            return Verdict(task.name, Kind.NOT_FINITE, f"the {label} is not finite", case=text)
    label = next(label for label in right if not task.agree(found[label], right[label]))
    got, expected = found[label], right[label]
    if expected.dtype.kind == "f" and got.dtype.kind in "iu":
        text = f"Expected floating-point numbers, got {got.dtype.name}."
        return Verdict(task.name, Kind.DTYPE, f"the {label} has the wrong dtype", text, case=_short(got))
    text = f"For\n{given}\nyours:    {_summary(task, got)}\nexpected: {_summary(task, expected)}"
    if task.decides:
        text += f"\n{task.decides(**{name: _double(value) for name, value in case.items()})}"
    return Verdict(task.name, Kind.DIFFERENT, f"the {label} is not right yet", case=text)


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


def _double(value):
    return value.double() if isinstance(value, torch.Tensor) and value.dtype == torch.float32 else value
