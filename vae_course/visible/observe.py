"""Call a student's function, and record what it does as plain arrays."""

import copy
import inspect
import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import CodeType
from typing import Any

import numpy as np
import torch

import vae_course
import vae_lessons
from vae_course.visible.noise import FINE, fault_of_noise
from vae_course.visible.outcomes import Failure, Kind

__all__ = [
    "CHANGED",
    "RANDOM",
    "Draws",
    "Gradients",
    "LibraryCalled",
    "Observation",
    "Seed",
    "observe_cases",
    "own_lines",
    "switch_off",
    "switched_off",
    "values",
]

Observation = dict[str, np.ndarray]
Observer = Callable[[Callable, Mapping[str, Any]], Observation]
CHANGED = "arguments changed"  # label of the names of arguments that hold other values after the call
RANDOM = "another result at each call"  # label of whether the same inputs gave another result the second time
LIBRARY_PATHS = (  # of code that the student did not write
    *(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib")),
    *(os.path.dirname(os.path.abspath(package.__file__)) for package in (vae_lessons, vae_course)),
    "<frozen",
)


@dataclass(frozen=True)
class Seed:
    """An input that becomes a new `torch.Generator` with this seed at each call."""

    number: int


class LibraryCalled(Exception):
    """An answer called a library function that it should implement itself."""


def switch_off(functions: Iterable[str]) -> dict[Callable, CodeType]:
    """Make functions of `vae_lessons` raise `LibraryCalled` from now on, however they are called.

    Args:
        functions: their full names, such as "vae_lessons.distributions.kl_normal".

    Returns:
        The original code of each function.
    """
    code_of = {}
    for name in functions:
        module, _, attribute = name.rpartition(".")
        function = inspect.unwrap(getattr(import_module(module), attribute))
        code_of[function] = function.__code__
        function.__code__ = _refuse.__code__.replace(co_name=attribute)
    return code_of


@contextmanager
def switched_off(functions: Iterable[str]) -> Iterator[None]:
    """Switch functions off within a `with` block."""
    code_of = switch_off(functions)
    try:
        yield
    finally:
        for function, code in code_of.items():
            function.__code__ = code


def _refuse(*_, **__):  # its code is put into functions of other modules, so it imports all names that it uses
    import sys

    from vae_course.visible.observe import LibraryCalled

    raise LibraryCalled(sys._getframe().f_code.co_name)


class _NotObservable(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.failure = Failure(kind, message)


def observe_cases(observe: Observer, function: Callable, cases: list[dict[str, Any]]) -> list[Observation] | Failure:
    """What the function does on each case, or why that is unknown.

    Args:
        observe: calls the function on one case and records what it does, such as `values`.
        function: the student's function, a mistake's, or the reference.
        cases: the inputs by name, in the order of the function's arguments.
    """
    try:
        observed = [observe(function, case) for case in cases]
        if not isinstance(observe, Draws) and not _alike(observe(function, cases[0]), observed[0]):
            observed[0] = observed[0] | {RANDOM: np.array(True)}
        return observed
    except _NotObservable as error:
        return error.failure
    except LibraryCalled as called:
        text = f"You call the library's own {called}. This exercise asks you to write it: it is switched off here."
        return Failure(Kind.LIBRARY, text)
    except Exception as error:
        path = traceback.extract_tb(error.__traceback__)[-1].filename
        if isinstance(error, NotImplementedError) and not path.startswith(LIBRARY_PATHS):  # libraries raise it too
            return Failure(Kind.NOT_WRITTEN, "The function still raises NotImplementedError.")
        text = own_lines(error)
        if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
            text += "\nWas the cell run that imports or defines this name? The imports are in the first cell."
        return Failure(Kind.RAISED, text)


def values(function: Callable, inputs: Mapping[str, Any]) -> Observation:
    """The result, or each of several results, as arrays."""
    given = {name: _fresh(value) for name, value in inputs.items()}
    return _plain(_call(function, given)) | _changed(given, inputs)


def _changed(given, inputs):
    """The names of the arguments that the call has changed, if there are any."""
    changed = [
        name
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor | np.ndarray | list | dict) and not _same(given[name], value)
    ]
    return {CHANGED: np.array(", ".join(changed))} if changed else {}


def _alike(observation, other):
    """Whether two observations agree but for rounding, which may differ from call to call."""
    return observation.keys() == other.keys() and all(
        np.shape(array) == np.shape(other[label])
        and (
            np.allclose(array, other[label], rtol=1e-3, atol=1e-5, equal_nan=True)
            if array.dtype.kind == other[label].dtype.kind == "f"
            else np.array_equal(array, other[label])
        )
        for label, array in observation.items()
    )


def _same(now, before):
    if isinstance(before, torch.Tensor | np.ndarray):
        now = now.detach() if isinstance(now, torch.Tensor) else now
        now, before = np.asarray(now), np.asarray(before)
        return np.array_equal(now, before, equal_nan=before.dtype.kind in "fc" and now.dtype.kind in "fc")
    if isinstance(before, dict):
        now, before = list(now.items()), list(before.items())
    if isinstance(before, list | tuple):
        return len(now) == len(before) and all(map(_same, now, before))
    return now == before or not isinstance(before, int | float | str)


@dataclass(frozen=True)
class Gradients:
    """The results, and the gradient of each with respect to some inputs.

    Args:
        names: the inputs that require a gradient. It is zero for a result that does not depend on the input.
    """

    names: tuple[str, ...]

    def __call__(self, function: Callable, inputs: Mapping[str, Any]) -> Observation:
        given = {name: _fresh(value) for name, value in inputs.items()}
        for name in self.names:
            given[name].requires_grad_()
        result = _call(function, given)
        seen = _plain(result)
        for label, output in _outputs(result).items():
            if not isinstance(output, torch.Tensor):
                raise _NotObservable(
                    Kind.TYPE, f"Expected a tensor, so that gradients can flow; got {_describe(output)}."
                )
            gradients = [torch.zeros_like(given[name]) for name in self.names]
            if output.requires_grad:
                weights = torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)
                leaves = [given[name] for name in self.names]
                found = torch.autograd.grad((weights * output).sum(), leaves, retain_graph=True, allow_unused=True)
                gradients = [zero if new is None else new for zero, new in zip(gradients, found, strict=True)]
            for name, gradient in zip(self.names, gradients, strict=True):
                seen[f"gradient of the {label} for {name}"] = _array(gradient)
        return seen | _changed(given, inputs)


@dataclass(frozen=True)
class Draws:
    """The results of a random function, and what is wrong with its noise.

    The function is called again and again with one generator, then once with a new one of the same seed, and once with
    a new one of another seed.

    Args:
        calls: the number of calls with one generator, whose results are stacked along a new first axis. With 0, the
            first axis of the result itself counts the draws.
        gradients: inputs that a gradient should reach.
    """

    calls: int = 0
    gradients: tuple[str, ...] = ()

    def __call__(self, function: Callable, inputs: Mapping[str, Any]) -> Observation:
        observe = Gradients(self.gradients) if self.gradients else values
        going_on = {name: _fresh(value) if isinstance(value, Seed) else value for name, value in inputs.items()}
        another = {name: Seed(value.number + 1) if isinstance(value, Seed) else value for name, value in inputs.items()}
        with torch.random.fork_rng(devices=[]):  # the student's own random state is unchanged
            torch.manual_seed(0)
            first, *rest = [observe(function, going_on) for _ in range(self.calls or 2)]
            again, other = values(function, inputs), values(function, another)
        if not self.calls:
            first, *rest, again, other = map(_joined, (first, *rest, again, other))
        changed = {CHANGED: first.pop(CHANGED)} if CHANGED in first else {}
        seen = _stacked([first, *rest]) if self.calls else first
        for name, observation in {"next": rest[0], "again": again, "other": other}.items():
            seen |= {f"{name} {label}": array for label, array in observation.items() if label == "result"}
        for name in self.gradients if "result" in seen else ():
            seen[f"gradient that reaches {name}"] = seen.pop(f"gradient of the result for {name}")
        return seen | changed

    def conclude(self, seen: Observation) -> Observation:
        """Add what is wrong with the noise. The judge does this, because the student's process may lie.

        Numbers made from the wrong noise are not worth a comparison: they become zeros.
        """
        draws = {name: array for name, array in seen.items() if not name.startswith(("next ", "again ", "other "))}
        if "result" not in draws:
            return draws
        fault = self._fault(draws["result"], *(seen.get(f"{name} result") for name in ("next", "again", "other")))
        if fault != FINE:
            draws = {name: np.zeros_like(array) for name, array in draws.items()}
        return draws | {"noise": np.array(fault)}

    def _fault(self, draws, following, again, other):
        first = draws[0] if self.calls and draws.ndim else draws
        if first.dtype.kind not in "iuf":
            return FINE
        if not np.array_equal(first, again):
            return "other draws from the same seed" if np.isfinite(first).all() else FINE
        if np.array_equal(first, following) or np.array_equal(first, other):
            return "the same numbers at every call"
        comparable = draws.dtype.kind == "f" and draws.ndim > 1 and len(draws) > 1 and np.isfinite(draws).all()
        if not comparable or np.shape(following) != first.shape or not np.isfinite(following).all():
            return FINE
        return fault_of_noise(draws, None if self.calls else following)


def _joined(observation):
    """Draws that come as a list of tensors become one array."""
    results = {label: array for label, array in observation.items() if label != CHANGED}
    if len(results) > 1 and len({array.shape for array in results.values()}) == 1:
        rest = {label: array for label, array in observation.items() if label == CHANGED}
        return {"result": np.stack(list(results.values()))} | rest
    return observation


def _stacked(observations):
    if any(
        len({np.shape(observation.get(name, np.nan)) for observation in observations}) > 1 for name in observations[0]
    ):
        raise _NotObservable(Kind.TYPE, "Two calls with the same arguments return results of different shapes.")
    return {name: np.stack([observation[name] for observation in observations]) for name in observations[0]}


def _call(function, given):
    if not callable(function):
        raise _NotObservable(Kind.TYPE, f"Expected the function itself, without brackets; got {_describe(function)}.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(*given.values())  # some built-in functions have no signature
    for arguments, keywords in ((tuple(given.values()), {}), ((), given)):
        try:
            signature.bind(*arguments, **keywords)
        except TypeError:
            continue
        return function(*arguments, **keywords)
    name = getattr(function, "__name__", "the function")
    raise _NotObservable(Kind.SIGNATURE, f"Expected {name}({', '.join(given)}); yours is {name}{signature}.")


def _fresh(value):
    if isinstance(value, Seed):
        return torch.Generator().manual_seed(value.number)
    if isinstance(value, torch.Generator):
        return value  # it goes on from call to call
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return copy.deepcopy(value)


def _outputs(result):
    mixed = isinstance(result, list) and (
        any(isinstance(item, torch.Tensor | np.ndarray) for item in result)
        or len({isinstance(item, str) for item in result}) == 2  # a word and a number
    )
    if not (isinstance(result, tuple) or mixed):
        return {"result": result}
    return {f"{ordinal} result": item for ordinal, item in zip(_ordinals(len(result)), result, strict=True)}


def _ordinals(count):
    return ["first", "second", "third", "fourth", "fifth"][:count] + [f"{n}th" for n in range(6, count + 1)]


def _plain(result):
    return {label: _array(output) for label, output in _outputs(result).items()}


def _array(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        array = np.array(value, subok=False)
    except Exception as error:
        raise _NotObservable(Kind.TYPE, f"Expected numbers; got {_describe(value)}.") from error
    if array.dtype.kind not in "biufcU":
        raise _NotObservable(Kind.TYPE, f"Expected numbers; got {_describe(value)}.")
    return array


def _describe(value):
    if value is None:
        return "None: is a `return` missing?"
    kind = type(value)
    return f"{kind.__name__}" if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def own_lines(error):
    """The student's own lines of the traceback, then the error."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(LIBRARY_PATHS)
    ]
    lines = [f"line {frame.lineno}, in {frame.name}: {_source(frame)}" for frame in frames[-3:]]
    text = error
    if isinstance(error, SyntaxError) and isinstance(error.text, str):  # without the name of a cell, which says nothing
        text = f"{error.msg} (line {error.lineno}: {error.text.strip()})"
    return "\n".join([*lines, f"{type(error).__name__}: {text}"])


def _source(frame):
    return (frame.line or linecache.getline(frame.filename, frame.lineno)).strip()
