"""One training loop for every model of the course. It is not specific to autoencoders."""

import copy
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

__all__ = ["History", "fit", "mean_terms", "one_cycle"]

Terms = Callable[..., dict[str, Tensor]]


@dataclass
class History:
    """The record of `fit`: for each epoch, the mean of every term and the seconds spent on training so far.

    With `fit(..., keep_best="cost")`, `best` is the index of the epoch whose weights the model has.
    """

    train: dict[str, list[float]] = field(default_factory=dict)
    held_out: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    best: int | None = None


def one_cycle(peak: float, warm_up: float = 0.1) -> Callable[[float], float]:
    """A learning rate that rises linearly to `peak` and falls to zero along a cosine (after Smith & Topin 2018).

    Args:
        peak: the largest learning rate.
        warm_up: the fraction of the training, in (0, 1), after which the peak is reached.

    Returns:
        A function of the fraction of the training done, from 0 to 1, for `fit(..., lr=...)`.
    """

    def lr(done: float) -> float:
        if done < warm_up:
            return peak * done / warm_up
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))

    return lr


def fit(
    model: nn.Module,
    terms: Terms,
    *data: Tensor,
    epochs: int,
    batch_size: int = 128,
    lr: float | Callable[[float], float] = 1e-3,
    held_out: Sequence[Tensor] = (),
    keep_best: str | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> History:
    """Train `model` in place with Adam on shuffled batches of `data`.

    Args:
        model: its parameters are trained; it is left in evaluation mode, on `device`.
        terms: called with a batch of each tensor of `data`; returns scalar tensors by name, each a mean over the
            batch. "loss" is minimised; the others are only reported.
        data: tensors (N, ...) of the same length N, as in `fit(model, terms, x)` or `fit(model, terms, x, y)`.
        epochs: number of passes over the data.
        batch_size: the last batch of an epoch may be smaller.
        lr: Adam's learning rate, or a function of the fraction of the training done, from 0 to 1 (see `one_cycle`).
        held_out: like `data`; its terms are measured after each epoch, with the same noise every time.
        keep_best: the name of a term. The model ends with the weights of the epoch after which this term was least on
            `held_out` (early stopping), and `History.best` is that epoch's index. If None, with the last weights.
        seed: for the shuffling and the model's noise. The global generator is not changed.
        device: where to train; batches are moved there.
        progress: show a progress bar with the terms.

    Returns:
        History: the terms for each epoch.

    Raises:
        ValueError: if `terms` returns no "loss", lengths differ, a number is out of range, or `keep_best` is not the
            name of a held-out term.
        FloatingPointError: if a term is not finite; the message names it. The weights are those before that step.
    """
    _check(data, epochs, batch_size)
    if keep_best is not None and not held_out:
        raise ValueError(f"keep_best: expected held_out data on which to measure {keep_best!r}, got none")
    model.to(device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    # fused: the default Adam becomes ten times slower once the moments of dead pixels are denormal numbers
    optimizer = torch.optim.Adam(parameters, lr=lr(0.0) if callable(lr) else lr, fused=True)
    history, seconds = History(), 0.0
    steps = math.ceil(len(data[0]) / batch_size)
    bar = tqdm(total=epochs * steps, disable=not progress, file=sys.stdout, mininterval=0.5, unit="step")
    with torch.random.fork_rng(), bar:
        torch.manual_seed(seed)
        for epoch in range(epochs):
            start = time.perf_counter()
            model.train()
            totals: dict[str, Tensor] = {}
            for step, batch in enumerate(_batches(data, batch_size, device, shuffle=True)):
                if callable(lr):
                    optimizer.param_groups[0]["lr"] = lr((epoch * steps + step) / (epochs * steps))
                values = terms(*batch)
                _check_terms(values, f"epoch {epoch + 1}, step {step + 1}")
                optimizer.zero_grad()
                values["loss"].backward()
                optimizer.step()
                _add(totals, values, len(batch[0]))
                bar.update()
            model.eval()
            _append(history.train, totals, len(data[0]))
            seconds += time.perf_counter() - start
            history.seconds.append(seconds)
            if held_out:
                for name, value in mean_terms(terms, *held_out, seed=seed, device=device).items():
                    history.held_out.setdefault(name, []).append(value)
            if keep_best is not None and _is_least(history.held_out, keep_best):
                history.best, best_weights = epoch, copy.deepcopy(model.state_dict())
            shown = history.held_out or history.train
            bar.set_postfix({name: f"{value[-1]:.4g}" for name, value in shown.items()})
    if keep_best is not None:
        if history.best is None:
            raise ValueError(f"keep_best: {keep_best!r} was not a number after any epoch")
        model.load_state_dict(best_weights)
    return history


@torch.no_grad()
def mean_terms(
    terms: Terms, *data: Tensor, batch_size: int = 1000, seed: int = 0, device: str | torch.device = "cpu"
) -> dict[str, float]:
    """The mean of each term over the data, without training, as `fit` reports it for held-out data.

    Args:
        terms, data, seed, device: as for `fit`.
        batch_size: affects memory use only; every picture has the same weight.

    Returns:
        The mean of each term by name.
    """
    _check(data, 1, batch_size)
    totals: dict[str, Tensor] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for batch in _batches(data, batch_size, device, shuffle=False):
            _add(totals, terms(*batch), len(batch[0]))
    return {name: (total / len(data[0])).item() for name, total in totals.items()}


def _check(data, epochs, batch_size):
    if not data or len({len(tensor) for tensor in data}) != 1 or len(data[0]) == 0:
        raise ValueError(f"data: expected tensors of the same length N > 0, got lengths {[len(d) for d in data]}")
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")


def _is_least(record, name):
    if name not in record:
        raise ValueError(f"keep_best: expected the name of a held-out term, one of {sorted(record)}, got {name!r}")
    *before, last = record[name]
    return last < min((value for value in before if not math.isnan(value)), default=math.inf)


def _check_terms(values, where):
    if "loss" not in values:
        raise ValueError(f'terms: expected a dictionary with the scalar "loss", got the names {sorted(values)}')
    finite = torch.isfinite(torch.stack([value.detach() for value in values.values()])).tolist()
    broken = [name for name, ok in zip(values, finite, strict=True) if not ok]
    if broken:
        listed = ", ".join(f"{name} = {value.item():.4g}" for name, value in values.items())
        raise FloatingPointError(
            f"{where}: the term {' and '.join(map(repr, broken))} is not finite ({listed}). "
            "The weights are those before this step. Try a smaller learning rate, or look for log or exp of extreme "
            "values."
        )


def _batches(data, batch_size, device, shuffle):
    n = len(data[0])
    order = torch.randperm(n) if shuffle else torch.arange(n)
    for rows in order.split(batch_size):
        yield [tensor[rows].to(device) for tensor in data]


def _add(totals, values, weight):
    for name, value in values.items():
        totals[name] = totals.get(name, 0.0) + weight * value.detach()


def _append(record, totals, n):
    for name, total in totals.items():
        record.setdefault(name, []).append((total / n).item())
