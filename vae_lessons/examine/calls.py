"""How to call a loss that somebody else wrote: which argument is which, and what comes back."""

import copy
import inspect
import math
from collections.abc import Mapping
from itertools import product
from types import CellType, FunctionType

import torch
from torch import Tensor, nn

__all__ = ["ROLES", "Probe", "runnable", "smaller"]

ROLES = ("recon", "x", "mu", "log_var")
NAMES = {  # an argument whose name contains one of these has this role; the first role that fits
    "recon": ("rec", "hat", "out", "logit", "pred", "decoded", "prob", "generated", "xmean", "xmu"),
    "log_var": ("var", "sig", "std", "lv", "scale"),
    "mu": ("mu", "mean"),
    "x": ("x", "target", "in", "data", "true", "im", "orig", "batch", "label"),
}


class Probe:
    """A loss to be called at drawn points. It returns numbers, or gradients."""

    def __init__(self, loss, order, extra):
        self.loss, self.extra, self.sign, self.returned, self.added = _own_copy(loss), extra, 1.0, (), None
        self.names, self.by_name = _arguments(loss, order, extra)
        self.promised = _promised(self.names["log_var"])
        self.dead: list[str] = []  # roles whose gradients are taken from differences of values
        self.entries = 0  # how many tensors a returned tuple has
        self.binary = False  # whether pictures have to be black and white
        self.dtype, self.shape, self.positive = torch.float64, None, self.promised in ("sigma", "variance")

    def point(self, size, spread=1.0, seed=0):
        """Drawn arguments (B, D) and (B, d). With spread 1 each latent of each picture has a KL above 3 nats."""
        generator = torch.Generator().manual_seed(seed)

        def uniform(columns, low, high):
            draws = torch.rand(size[0], columns, generator=generator, dtype=torch.float64)
            return low + (high - low) * draws

        x = uniform(size[1], 0.05, 0.95)
        sides = 2 * torch.randint(2, (size[0], size[2]), generator=generator) - 1
        scale = uniform(size[2], -0.6, 1.2) + 1 if self.positive else uniform(size[2], -1.5, 1.2)
        return {
            "recon": uniform(size[1], 0.05, 0.95),
            "x": x.round() if self.binary else x,
            "mu": spread * sides * uniform(size[2], 2.5, 4.0),
            "log_var": 1 + spread * (scale - 1) if self.positive else spread * scale,
        }

    def value(self, point, seed=0):
        """The loss, a number."""
        with torch.no_grad():
            return self._call(point, seed).item()

    def gradients(self, point):
        """The gradients of the loss with respect to reconstruction, mean and log-variance."""
        leaves = {role: point[role].clone().requires_grad_() for role in ("recon", "mu", "log_var")}
        found = [None] * 3
        with torch.enable_grad():
            loss = self._call(point | leaves, 0)
            if loss.requires_grad:
                found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        pairs = zip(leaves.items(), found, strict=True)
        gradients = {role: torch.zeros_like(leaf) if g is None else g for (role, leaf), g in pairs}
        return gradients | {role: self._differences(point, role) for role in self.dead}

    def push(self, point, parameter):
        """The gradient with respect to a parameter of the loss, a number."""
        with torch.enable_grad():
            loss = self._call(point, 0)
            found = torch.autograd.grad(loss, parameter, allow_unused=True)[0] if loss.requires_grad else None
        return 0.0 if found is None else found.item()

    def _differences(self, point, role, h=1e-4):
        """A gradient from values alone, by central differences."""
        slopes = torch.zeros_like(point[role])
        for n in range(slopes.numel()):
            step = torch.zeros_like(slopes)
            step.view(-1)[n] = h
            up, down = (self.value(point | {role: point[role] + move}) for move in (step, -step))
            slopes.view(-1)[n] = (up - down) / (2 * h)
        return slopes

    def _call(self, point, seed):
        given = {role: value.to(self.dtype) for role, value in point.items()}
        if self.shape:
            whole = given["x"].shape[1] == math.prod(self.shape)
            shape = self.shape if whole else smaller(self.shape)
            given |= {role: given[role].reshape(-1, *shape) for role in ("recon", "x")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.by_name:
                result = self.loss(**{self.names[role]: given[role] for role in ROLES}, **self.extra)
            else:
                result = self.loss(*(given[role] for role in self.names), **self.extra)
        total = self._total(result, [point[role] for role in ("recon", "mu", "log_var")])
        self.returned = tuple(total.shape) if total.numel() > 1 else ()
        return self.sign * total.mean()

    def _total(self, result, leaves):
        names = ("loss", "total_loss", "total", "objective")
        if isinstance(result, Mapping):
            found = [result[name] for name in names if name in result]
            if not found:
                raise ValueError(
                    "loss: expected a dictionary with the key 'loss', 'total_loss', 'total' or 'objective', got the "
                    f"keys {list(result)}"
                )
            result = found[0]
        elif not isinstance(result, Tensor) and any(hasattr(result, name) for name in names):
            result = next(getattr(result, name) for name in names if hasattr(result, name))
        elif isinstance(result, (tuple, list)):
            tensors = [term for term in result if isinstance(term, Tensor)]
            self.entries = len(tensors)
            if torch.is_grad_enabled() and self.added is None and len(tensors) > 1:
                self.added = _to_add(tensors, leaves)
            result = sum(tensors[n].mean() for n in self.added or [0]) if tensors else None
        if isinstance(result, (int, float)):
            result = torch.tensor(float(result))
        if not isinstance(result, Tensor):
            raise ValueError(
                f"loss: expected it to return a tensor, got {type(result).__name__}; a lambda can return the loss alone"
            )
        return result


def _to_add(terms, leaves):
    """Of the terms that a loss returns, those that make the whole: one that depends on everything, or one of each."""
    depends = []
    for term in terms:
        found = [None] * 3
        if term.requires_grad:
            found = torch.autograd.grad(term.sum(), leaves, retain_graph=True, allow_unused=True)
        depends.append([g is not None for g in found])  # a weight of 0 still counts: a warm-up may begin with it
    for n, (recon, *latent) in enumerate(depends):
        if recon and any(latent):
            return [n]
    of_pictures = [n for n, (recon, *_) in enumerate(depends) if recon]
    of_latents = [n for n, (_, *latent) in enumerate(depends) if any(latent)]
    return [of_pictures[0], of_latents[0]] if of_pictures and of_latents else [0]


def _own_copy(loss):
    """A copy of the loss, which may count its calls; the loss itself if it cannot be copied."""
    try:
        if isinstance(loss, FunctionType) and loss.__closure__:
            cells = tuple(CellType(_own_copy(cell.cell_contents)) for cell in loss.__closure__)
            copied = FunctionType(loss.__code__, loss.__globals__, loss.__name__, loss.__defaults__, cells)
            copied.__kwdefaults__ = loss.__kwdefaults__
            return copied
        return copy.deepcopy(loss)
    except Exception:
        return loss


def _arguments(loss, order, extra):
    """The loss's name for each role, in the order of its arguments; and whether to call it by these names."""
    if inspect.isclass(loss):
        raise ValueError(f"loss: {loss.__name__} is a class; give an object of it, or one of its methods")
    if order is not None:
        if sorted(order) != sorted(ROLES):
            raise ValueError(f"order: expected {', '.join(ROLES)} in the order of the call, got {tuple(order)}")
        return {role: role for role in order}, False
    try:
        parameters = list(inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have none
        parameters = []
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters) or not parameters
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in extra]
    needed = [p.name for p in named if p.default is p.empty]
    names = needed if len(needed) >= len(ROLES) else [p.name for p in named]
    if len(names) < len(ROLES) and not many:
        raise ValueError(f"loss: expected the arguments {', '.join(ROLES)}, got a function of ({', '.join(names)})")
    roles = _roles(names)
    by_name = len(roles) == len(ROLES) and all(p.kind is not p.POSITIONAL_ONLY for p in named)
    if not by_name:
        roles = dict(zip(ROLES, [*names, *ROLES[len(names) :]], strict=False))
    if others := [name for name in needed if name not in roles.values()]:
        raise ValueError(
            f"loss: it also needs {', '.join(others)}; give a number by name, as in examine_loss(loss, {others[0]}=1) "
            "(for a schedule, its last step), or wrap the loss in a lambda that makes it. Taken: "
            + ", ".join(f"{name} for {role}" for role, name in roles.items())
        )
    return roles, by_name


def _roles(names):
    """The role of each argument by its name. One name that tells nothing has the one role that is left."""
    roles, rest = {}, []
    for name in names:
        plain = name.lower().replace("_", "")
        fits = [role for role, parts in NAMES.items() if role not in roles and any(part in plain for part in parts)]
        if fits:
            roles[fits[0]] = name
        else:
            rest.append(name)
    left = [role for role in ROLES if role not in roles]
    return roles | {left[0]: rest[0]} if len(left) == len(rest) == 1 else roles


def _promised(name):
    """What an argument of this name stands for."""
    plain = name.lower().replace("_", "")
    of_sigma = "sig" in plain or "std" in plain or "stddev" in plain
    if "log" in plain or "lv" in plain:
        return "log sigma" if of_sigma and "sq" not in plain and "2" not in plain else "log-variance"
    if of_sigma or "scale" in plain:
        return "variance" if "sq" in plain or "2" in plain else "sigma"
    return "variance" if "var" in plain else "log-variance"


def runnable(loss, order, shape, extra, size):
    """A probe of the loss, with the type of numbers, shape of pictures and range of log_var that the loss accepts."""
    pixels = size[1]
    if shape is not None and math.prod(shape) != pixels:
        raise ValueError(f"shape: expected {pixels} numbers for n_pixels = {pixels}, got {tuple(shape)}")
    squares = [(n, math.isqrt(pixels // n), math.isqrt(pixels // n)) for n in (1, 3)]
    shapes = [tuple(shape)] if shape else [None, *(s for s in squares if math.prod(s) == pixels)]
    first_problem = None
    for dtype in (torch.float64, torch.float32):
        for tried in shapes:
            probe = Probe(loss, order, extra)
            for positive, binary in product(sorted({probe.positive, True}), (False, True)):
                probe.dtype, probe.shape, probe.positive, probe.binary = dtype, tried, positive, binary
                try:
                    value = probe.value(probe.point(size))
                    if math.isfinite(value):
                        return probe
                    raise ValueError(f"it returned {value}")
                except Exception as problem:
                    first_problem = first_problem or problem
    if isinstance(first_problem, ValueError) and str(first_problem).startswith("loss: "):
        raise first_problem
    called = ", ".join(
        f"{name} for {role}" if name != role else role for role, name in _arguments(loss, order, extra)[0].items()
    )
    raise ValueError(
        f"loss: it fails when called with a reconstruction and pictures {size[:2]} between 0 and 1, and a mean and "
        f"log-variance {(size[0], size[2])}, as {called}. Other sizes, `shape` or `order` may help. "
        f"{type(first_problem).__name__}: {first_problem}"
    ) from first_problem


def smaller(shape):
    """The shape of a slightly smaller picture, with odd sides: a hard-wired `view(-1, 784)` then fails."""
    return tuple(max(1, side - side // 16 - 1) | 1 if n >= len(shape) - 2 else side for n, side in enumerate(shape))
