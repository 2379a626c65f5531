"""What a VAE loss that somebody else wrote really is: measured by calling it, never by reading it.

A loss is a function. Its gradient with respect to the reconstruction is that of one likelihood, times a scale; its
gradient with respect to the mean and the log-variance is that of a KL, times another. The ratio of the two scales is
the weight of the KL that the loss trains: beta. How the scales change with the number of pictures, pixels and latents
says what is summed and what is averaged.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vae_lessons.distributions import log_bernoulli, log_continuous_bernoulli
from vae_lessons.examine.calls import ROLES, runnable, smaller

__all__ = ["LossReport", "examine_loss"]

# Negative log-likelihoods, up to a constant, of pictures x given the decoder's output t
LIKELIHOODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gaussian": lambda x, t: 0.5 * (x - t).square().sum(),
    "laplace": lambda x, t: (x - t).abs().sum(),
    "bernoulli": lambda x, t: -log_bernoulli(x, t.logit()).sum(),
    "bernoulli logits": lambda x, t: -log_bernoulli(x, t).sum(),
    "continuous bernoulli": lambda x, t: -log_continuous_bernoulli(x, t.logit()).sum(),
    "continuous bernoulli logits": lambda x, t: -log_continuous_bernoulli(x, t).sum(),
    "sigmoid twice": lambda x, t: -log_bernoulli(x, t.sigmoid()).sum(),
    # pictures from 0 to 1 and a decoder that ends in tanh, or one whose last function is in the loss
    "gaussian, 2 x - 1 against the output": lambda x, t: 0.5 * (2 * x - 1 - t).square().sum(),
    "laplace, 2 x - 1 against the output": lambda x, t: (2 * x - 1 - t).abs().sum(),
    "gaussian, x against (output + 1) / 2": lambda x, t: 0.5 * (x - (t + 1) / 2).square().sum(),
    "laplace, x against (output + 1) / 2": lambda x, t: (x - (t + 1) / 2).abs().sum(),
    "bernoulli, x against (output + 1) / 2": lambda x, t: -log_bernoulli(x, ((t + 1) / 2).logit()).sum(),
    "gaussian, x against sigmoid(output)": lambda x, t: 0.5 * (x - t.sigmoid()).square().sum(),
    "laplace, x against sigmoid(output)": lambda x, t: (x - t.sigmoid()).abs().sum(),
    "gaussian, 2 x - 1 against tanh(output)": lambda x, t: 0.5 * (2 * x - 1 - t.tanh()).square().sum(),
    "laplace, 2 x - 1 against tanh(output)": lambda x, t: (2 * x - 1 - t.tanh()).abs().sum(),
}

# What the last argument may stand for: from it to the variance and the logarithm of the variance
SCALES: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "log-variance": lambda s: (s.exp(), s),
    "log sigma": lambda s: ((2 * s).exp(), 2 * s),
    "sigma": lambda s: (s.square(), s.square().log()),
    "variance": lambda s: (s, s.log()),
}


@dataclass
class LossReport:
    """What a loss is. `print` it, or make it the last line of a cell.

    Attributes:
        likelihood: "bernoulli" (of probabilities), "bernoulli logits", "gaussian", "laplace", "continuous bernoulli"
            (of probabilities), "continuous bernoulli logits", or "unknown".
        beta: the weight of the KL (summed over latents, per picture) once the reconstruction term is scaled to the
            negative log-likelihood of a picture (summed over pixels; squares with sigma = 1, absolute values with
            scale 1). nan if it cannot be told.
        sigma: for squares, the sigma of Gaussian pixels with which the loss is minus an ELBO: sqrt(beta). Else nan.
        kl: "standard", or what is wrong with it.
        grows_with_batch, grows_with_pixels: whether the reconstruction term is summed over pictures, and over pixels.
            False: averaged. None: it cannot be told.
        grows_with_latents, grows_with_batch_kl: the same for the KL, over latents and over pictures.
        findings: sentences, the most important first.
    """

    likelihood: str = "unknown"
    beta: float = math.nan
    sigma: float = math.nan
    kl: str = "unknown"
    grows_with_batch: bool | None = None
    grows_with_pixels: bool | None = None
    grows_with_latents: bool | None = None
    grows_with_batch_kl: bool | None = None
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = {True: "summed", False: "averaged", None: "cannot be told"}
        over = {name: words[getattr(self, f"grows_with_{name}")] for name in ("batch", "pixels", "latents", "batch_kl")}
        kl = f"right if its argument is the {self.kl[3:]}" if self.kl.startswith("of ") else self.kl
        rows = {
            "likelihood": f"{self.likelihood}; over pixels {over['pixels']}, over pictures {over['batch']}",
            "KL": f"{kl}; over latents {over['latents']}, over pictures {over['batch_kl']}",
            "beta": _number(self.beta),
        }
        if self.kl == "none":
            rows["KL"] = "none"
        if not math.isnan(self.sigma):
            rows["beta"] += " with sigma = 1"
            rows["beta"] += f"; or 1 with sigma = {_number(self.sigma)}" if abs(self.beta - 1) >= 0.005 else ""
        table = [f"{name:12}{value}" for name, value in rows.items()]
        return "\n".join(table + [f"{n}. {sentence}" for n, sentence in enumerate(self.findings, 1)])

    __repr__ = __str__


def examine_loss(
    loss: Callable[..., Any],
    n_pixels: int | None = None,
    n_latents: int = 20,
    batch_size: int = 128,
    *,
    order: Sequence[str] | None = None,
    shape: Sequence[int] | None = None,
    **extra: Any,
) -> LossReport:
    """Measure what a VAE loss is: which likelihood, which KL, with which weight, what is summed and what is averaged.

    Args:
        loss: a function of a reconstruction, pictures, and the mean and log-variance of q(z|x). Names such as
            `recon_x, x, mu, logvar` or `y_true, y_pred, z_mean, z_log_var` tell which argument is which. If they do
            not, it is called in the order reconstruction, pictures, mean, log-variance. It returns a tensor; or a tuple
            or list with the loss, or with two terms to be added; or a dictionary with the key "loss", "total_loss" or
            "total"; or an object with such an attribute.
        n_pixels, n_latents, batch_size: the sizes D, d and B for which beta is given. If n_pixels is None, those of the
            shape, or 784.
        order: "recon", "x", "mu" and "log_var" in the order of the call, if names do not tell.
        shape: of one picture, such as (1, 28, 28). If None, flat pictures (B, D) are tried first.
        extra: other arguments of the loss. It is also called with other numbers of pictures; so make what has a row for
            each picture, such as a mask, inside a lambda: `lambda recon, x, mu, logvar: loss(recon, x, mu, logvar,
            mask=torch.ones_like(x))`.

    Raises:
        ValueError: if the loss cannot be called like that, or returns no number.

    Example:
        >>> def loss(recon_x, x, mu, logvar):
        ...     squares = torch.nn.functional.mse_loss(recon_x, x, reduction="sum")
        ...     return squares - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        >>> report = examine_loss(loss)
        >>> report.likelihood, round(report.beta, 3), round(report.sigma, 3)
        ('gaussian', 0.5, 0.707)
    """
    n_pixels = n_pixels if n_pixels is not None else math.prod(shape) if shape is not None else 784
    size = (batch_size, n_pixels, n_latents)
    for name, value in zip(("batch_size", "n_pixels", "n_latents"), size, strict=True):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
    for name, value in extra.items():
        if isinstance(value, Tensor) and value.dim() and len(value) > 1:
            raise ValueError(
                f"{name}: expected no tensor with rows, since the loss is called with other numbers of pictures too; "
                "make it inside a lambda, of the size of the pictures"
            )
    probe = runnable(loss, order, shape, extra, size)
    wrong, notes = [], _repeated(probe, size)
    terms = _apart(probe, probe.point(size))
    if terms.c < 0:
        wrong.append("It is an ELBO, to be maximised. An optimizer minimises, so give it the negative.")
        probe.sign = -1.0
        terms = _apart(probe, probe.point(size))
    if dead := _without_gradient(probe, size):
        size = (2, *size[1:])  # few enough for differences in place of gradients
        terms = _apart(probe, probe.point(size))
    if terms.likelihood in ("gaussian", "laplace"):
        terms = _also_far_off(probe, size, terms)
    power, weight = _power_of_the_error(probe, size, terms)
    report = LossReport(
        "bernoulli logits" if terms.likelihood == "sigmoid twice" else terms.likelihood.partition(",")[0]
    )
    report.kl = terms.kl
    if power is not None:
        report.likelihood = "gaussian" if power == 2 else "unknown"
    elif terms.likelihood != "unknown" and (terms.kl in KNOWN or terms.kl.startswith("of ")):
        report.beta = float(f"{terms.k / terms.c:.9g}")  # the last digits depend on the order of sums
        report.sigma = math.sqrt(report.beta) if report.likelihood == "gaussian" and report.beta > 0 else math.nan
    sizes = _sizes(probe, size, terms, report)
    wrong += dead + _likelihood_in_words(terms, power, weight) + _kl_in_words(probe, size, terms, notes)
    together = _together(probe, size, terms)
    running, own = _own_parameters(probe, size, report)
    wrong += running + together
    beta_words = _beta_in_words(report, bool(sizes or extra or notes))
    if together and beta_words:
        beta_words[0] = f"Where the KL is large: {beta_words[0]}"
    report.findings = wrong + sizes + beta_words + notes + _extremes(probe, size, terms, report)
    if not probe.by_name and order is None:
        told = f"Names do not tell the arguments apart; it was called with {', '.join(ROLES)}. `order` tells another."
        report.findings.insert(0 if "unknown" in (report.likelihood, report.kl) else len(report.findings), told)
    report.findings += own
    report.findings += [f"For information: {sentence}" for sentence in _information(probe, terms, report)]
    return report


# Taking a loss apart


class _Terms(NamedTuple):
    """A loss at one point: which likelihood, which KL, and the scales of both."""

    likelihood: str
    c: float  # scale of the negative log-likelihood; if that is unknown, the mean size of its gradient
    kl: str
    k: float  # scale of the KL; if that is unknown, the mean size of its gradient
    parts: tuple[float, ...]  # scales of mu^2 / 2, of sigma^2 / 2 and of -log(sigma^2) / 2
    argument: str  # what the last argument stands for
    rest: float  # the value, less both terms


KNOWN = ("standard", "wrong sign", "another prior", "none")


def _apart(probe, point):
    """Take the loss apart at a point by its gradients."""
    gradients = probe.gradients(point)
    tolerance = 1e-5 if probe.dtype == torch.float64 else 1e-3
    rest = probe.value(point)
    likelihood, c = "unknown", gradients["recon"].abs().mean().item()
    for name, nll in LIKELIHOODS.items():
        gradient = _gradient(lambda t, nll=nll: nll(point["x"], t), point["recon"])
        (scale,), error = _fit(gradients["recon"].flatten(), gradient.flatten())
        if error < tolerance:
            likelihood, c = name, scale
            rest -= c * nll(point["x"], point["recon"]).item()
            break
    kl, k, parts, argument = _kl_apart(probe, point, gradients, tolerance)
    if kl == "standard" and k * c < 0 and likelihood != "unknown":
        kl = "wrong sign"
    if any(parts):
        rest -= sum(part * term.item() for part, term in zip(parts, _kl_terms(point, argument), strict=True))
        tau_squared = parts[2] / parts[0] if kl == "another prior" else 1.0
        rest += 0.5 * k * (1 - math.log(tau_squared)) * point["mu"].numel()
    return _Terms(likelihood, c, kl, k, parts, argument, rest)


def _kl_terms(point, argument):
    """The parts of the KL, summed: mu^2 / 2, sigma^2 / 2 and -log(sigma^2) / 2. Their sum less d/2 is the KL."""
    variance, log_variance = SCALES[argument](point["log_var"])
    return 0.5 * point["mu"].square().sum(), 0.5 * variance.sum(), -0.5 * log_variance.sum()


def _kl_apart(probe, point, gradients, tolerance):
    """What the KL is, its scale, the scales of its parts, and what its last argument stands for."""
    seen = torch.cat([gradients["mu"].flatten(), gradients["log_var"].flatten()])
    size = seen.abs().mean().item()
    if size == 0:
        return "none", 0.0, (0.0, 0.0, 0.0), probe.promised
    for argument in sorted(SCALES, key=lambda name: name != probe.promised):
        if argument == "variance" and not probe.positive:
            continue
        parts, error = _fit(seen, *_kl_gradients(point, argument))
        if error < tolerance:
            kl = _kl_name(*parts)
            if argument != probe.promised and kl != "standard":
                continue
            k = parts[2] if kl in ("standard", "another prior") else size
            return kl if argument == probe.promised else f"of {argument}", k, parts, argument
    _, error = _fit(
        seen, _flat_gradients(lambda mu, v, log_v: 0.5 * ((1 + mu**2) / v + log_v).sum(), point, probe.promised)
    )
    return "reversed" if error < tolerance else "unknown", size, (0.0, 0.0, 0.0), probe.promised


def _kl_name(a, b, c):
    """What 1/2 (a mu^2 + b sigma^2 - c log sigma^2) is, up to a constant."""
    largest = max(abs(a), abs(b), abs(c))
    has = [abs(part) > 1e-3 * largest for part in (a, b, c)]
    if all(has) and abs(a - b) < 1e-3 * largest and a * c > 0:
        return "standard" if abs(a - c) < 1e-3 * largest else "another prior"
    if has[0] and not has[1]:
        return "no variance"
    return {(False, True, True): "no mean", (True, True, False): "no log-variance"}.get(tuple(has), "unknown")


def _kl_gradients(point, argument):
    """The gradients of the three parts of the KL, each a vector: mu first, then the last argument."""
    parts = (
        lambda mu, v, log_v: 0.5 * mu.square().sum(),
        lambda mu, v, log_v: 0.5 * v.sum(),
        lambda mu, v, log_v: -0.5 * log_v.sum(),
    )
    return [_flat_gradients(part, point, argument) for part in parts]


def _flat_gradients(function, point, argument):
    """The gradient of a function of mu, sigma^2 and log sigma^2 with respect to mu and to the last argument."""
    both = torch.stack([point["mu"], point["log_var"]])
    return _gradient(lambda leaf: function(leaf[0], *SCALES[argument](leaf[1])), both).flatten()


def _gradient(function, at):
    at = at.clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(function(at), at)[0]


def _fit(seen, *columns):
    """The weights of columns that explain a vector best, and the size of what they leave, relative to the vector."""
    table = torch.stack(columns, -1)
    scales = table.norm(dim=0)
    if not torch.isfinite(table).all():  # a logit of what is no probability
        return [math.nan] * len(columns), math.inf
    weights = torch.linalg.lstsq(table / scales, seen.unsqueeze(-1)).solution.squeeze(-1) / scales
    error = ((seen - table @ weights).norm() / seen.norm()).item()
    return weights.tolist(), error if math.isfinite(error) else math.inf


# What is found besides: each returns sentences


def _repeated(probe, size):
    """Does the same call give another value, because the loss draws, or counts its calls?"""
    point = probe.point((2, *size[1:]))
    first = probe.value(point)
    if any(probe.value(point) != first for _ in range(20)):
        last = [probe.value(point) for _ in range(10_000)][-1]
        still = "" if probe.value(point) == last else ", and still changes"
        return [
            f"Two calls with the same arguments differ, as in a warm-up that counts its calls: {_number(first)} at "
            f"first, {_number(last)} after 10,000 calls{still}. The rest of this report holds for then (lesson 07)."
        ]
    if probe.value(point, seed=1) != first:
        return ["It draws random numbers: two calls with the same arguments differ. One draw was kept for this report."]
    return []


def _without_gradient(probe, size):
    """Does the value depend on something that gets no gradient? Then the KL is judged by differences of values."""
    point = probe.point((2, *size[1:]))
    gradients, value = probe.gradients(point), probe.value(point)
    silent = [role for role in gradients if not gradients[role].any()]
    dead = [role for role in silent if probe.value(point | {role: 0.9 * point[role]}) != value]
    probe.dead = [role for role in dead if role != "recon"]
    words = {"recon": "the reconstruction", "mu": "mu", "log_var": "the log-variance"}
    sentence = (
        f"The value depends on {' and '.join(words[role] for role in dead)}, but no gradient arrives there: something "
        "was detached, or made a plain number. Training does not see that part (lesson 03)."
    )
    return [sentence] if dead else []


def _also_far_off(probe, size, terms):
    """The terms; with an unknown likelihood if it is another one for errors above 1, such as Huber's."""
    point = probe.point(size)
    far = point | {"recon": point["x"] + 5 * (point["recon"] - point["x"])}
    return terms if _apart(probe, far).likelihood == terms.likelihood else terms._replace(likelihood="unknown")


def _power_of_the_error(probe, size, terms):
    """Are these squares whose scale depends on the error? 2: it is 1 / error^2, as under a log; 1: as under a root.

    Returns that power, or None for any other loss; and for 2 the weight of the KL beside the optimal sigma.
    """
    if terms.likelihood not in ("unknown", "gaussian"):
        return None, math.nan
    point, scales = probe.point(size), []
    closer = point | {"recon": point["x"] + 0.5 * (point["recon"] - point["x"])}
    for at in (point, closer):
        gradient, error = probe.gradients(at)["recon"], at["recon"] - at["x"]
        scale = (gradient * error).sum(1, keepdim=True) / error.square().sum(1, keepdim=True)  # of each picture
        if not gradient.any() or (gradient - scale * error).norm() > 1e-3 * gradient.norm():
            return None, math.nan
        scales.append(scale.mean().item())
    power = math.log2(abs(scales[1] / scales[0]))
    mse = (point["recon"] - point["x"]).square().mean().item()
    return (round(power) if abs(power - round(power)) < 0.02 and round(power) else None), terms.k / (scales[0] * mse)


def _likelihood_in_words(terms, power, weight):
    if terms.likelihood == "sigmoid twice":
        return [
            "It applies the sigmoid twice: each pixel's probability then lies between 0.50 and 0.73. Give the function "
            "that takes logits the decoder's raw output (lesson 06)."
        ]
    if power == 2:
        return [
            "Sigma follows the error: squares under a logarithm are the negative log-likelihood with the optimal "
            f"sigma, the root of the mean squared error. Beside it the KL has the weight {_number(weight)} (lesson 06)."
        ]
    if power is not None:
        return [
            "The scale of the squares changes with the error, as under a square root. That is no negative "
            "log-likelihood, and the KL has no fixed weight. Leave the root out (lesson 06)."
        ]
    if terms.c == 0:
        return ["Nothing pulls on the reconstruction: there is no such term, or it gets no gradient."]
    if terms.likelihood == "unknown":
        return [
            "The reconstruction term is not one of the likelihoods known here (Bernoulli, continuous Bernoulli, "
            "Gaussian, Laplace). Or it is a sum of several, or pixels or pictures have different weights, as by a "
            "mask; then try it without. So beta cannot be told (lesson 06)."
        ]
    return []


def _kl_in_words(probe, size, terms, notes):
    weak = [probe.gradients(probe.point(size, spread)) for spread in (0.3, 0.02)] if terms.kl == "none" else []
    if any(gradients["mu"].any() or gradients["log_var"].any() for gradients in weak):
        return [
            "The KL counts only while it is small; above, its gradient is 0. Free bits need a floor (`min=`), not a "
            "ceiling (`max=`) (lesson 07)."
        ]
    if terms.kl == "unknown" and any("random" in note for note in notes):
        return [
            "The term with mu and the log-variance is random: a sampled log q(z|x) - log p(z)? It cannot be told from "
            "one draw. Examine the loss with the KL in closed form (lesson 04)."
        ]
    if terms.kl.startswith("of "):
        name, says = probe.names["log_var"], f"its name says {probe.promised}"
        if not probe.by_name:
            name, says = "its last argument", f"{probe.promised} was expected"
        return [
            f"The KL is right if {name} is the {terms.argument}; {says}. Which of them does the draw of z take it for "
            "(lesson 03)?"
        ]
    unit = next((part for part in reversed(terms.parts) if part), 1.0)  # of log sigma^2, if that is there
    a, b, c = (_number(part / unit) for part in terms.parts)
    fitted = f"It is 1/2 ({a} mu^2 + {b} sigma^2 - {c} log sigma^2), up to a constant and a factor"
    sentences = {
        "none": "There is no KL, or it weighs 0 now, as in a warm-up: this trains an autoencoder (lesson 01).",
        "wrong sign": "The KL is subtracted: training makes it as large as it can (lesson 04).",
        "reversed": "It is KL(p || q), the other direction: the loss is not minus an ELBO (lesson 04).",
        "no mean": f"The KL lacks mu^2, so nothing holds the means near 0. {fitted} (lesson 04).",
        "no variance": f"The KL lacks sigma^2, so nothing holds sigma near 1. {fitted} (lesson 04).",
        "no log-variance": f"The KL lacks -log sigma^2, so sigma shrinks to 0. {fitted} (lesson 04).",
        "unknown": f"The term with {probe.names['mu']} and {probe.names['log_var']} (taken for the {probe.promised}) "
        "is not the KL of a Gaussian to N(0, I), nor to N(0, tau^2). (If it is sampled, with z given, examine it in "
        "closed form.) (lesson 04)",
    }
    if terms.kl == "another prior":
        tau = _number(math.sqrt(terms.parts[2] / terms.parts[0]))
        return [
            f"{fitted}: the KL to a prior N(0, tau^2) with tau = {tau}, not to N(0, I). Was that meant? Then samples "
            "have to come from that prior (lesson 04)."
        ]
    found = [sentences[terms.kl]] if terms.kl in sentences else []
    if terms.kl == "standard" and terms.argument != "log-variance":
        found.append(f"It takes {probe.names['log_var']} for the {terms.argument}, as the name says.")
    return found


def _beta_in_words(report, depends):
    beta = report.beta
    if math.isnan(beta) or beta == 0 or report.kl == "wrong sign":
        return []
    if report.kl == "another prior":
        with_sigma = "" if math.isnan(report.sigma) else f" with sigma = 1, or 1 with sigma = {_number(report.sigma)}"
        return [f"Beside that prior, beta is {_number(beta)}{with_sigma}."]
    scale = {"gaussian": ("squares with sigma", report.sigma), "laplace": ("absolute values with scale b", beta)}
    if abs(beta - 1) < 0.005:
        return ["Beta is 1: the loss has the gradients of minus the ELBO, up to a factor."]
    if report.likelihood in scale and beta > 0:
        words, fitting = scale[report.likelihood]
        return [
            f"For {words} = 1, beta is {_number(beta)}. For {words.split()[-1]} = {_number(fitting)} it is 1: with "
            "that, the loss has the gradients of minus the ELBO, up to a factor (lesson 06)."
        ]
    why = " Was the KL's 1/2 forgotten?" if abs(beta - 2) < 0.01 and not depends else ""
    effect = "latents fall silent more easily" if beta > 1 else "samples from the prior become worse"
    return [f"Beta is {_number(beta)} in place of 1: {effect} (lesson 07).{why}"]


def _sizes(probe, size, terms, report):
    """How the scales, and so beta, change with the number of pictures, pixels and latents."""
    side = math.isqrt(size[1])
    flat = (side, side) if side**2 == size[1] else (size[1],)
    others = {"batch": 2 * size[0], "pixels": math.prod(smaller(probe.shape or flat)), "latents": 2 * size[2]}
    words = {"batch": "the batch size", "pixels": "the number of pixels", "latents": "the number of latents"}
    found, changed = [], []
    for index, (name, number) in enumerate(others.items()):
        try:
            there = _apart(probe, probe.point(tuple(number if n == index else old for n, old in enumerate(size))))
        except Exception:
            found.append(f"It fails with {number} in place of {size[index]} for {words[name]}: hard-wired sizes?")
            continue
        averaged = size[index] / number
        scales = (terms.k, there.k) if name == "latents" else (terms.c, there.c)
        setattr(report, f"grows_with_{name}", _grows(*scales, averaged))
        if name == "batch":
            report.grows_with_batch_kl = _grows(terms.k, there.k, averaged)
        beta = there.k / there.c if there.c else math.nan
        if abs(beta - report.beta) > 0.002 * abs(report.beta):
            changed.append(f"depends on {words[name]} ({_number(beta)} with {number})")
    if changed:
        found.insert(
            0,
            f"Beta {', and '.join(changed)}. Sum both terms over pixels and over latents; over pictures, sum both or "
            "average both (lesson 06).",
        )
    return found


def _grows(before, after, averaged):
    """Is a scale the same for another number of things (True: a sum), or does it go with 1 / number (False: a mean)?"""
    if not before or not after or averaged == 1:
        return None
    nearest = min((1.0, averaged), key=lambda ratio: abs(after / before - ratio))
    return nearest == 1.0 if abs(after / before - nearest) < 0.2 * abs(1 - averaged) else None


def _together(probe, size, terms):
    """Are the terms simply added, whatever the size of the KL?"""
    found = []
    point, other = probe.point(size), probe.point(size, seed=1)
    usual = probe.gradients(point)["recon"]
    mixed = probe.gradients(point | {"mu": other["mu"], "log_var": other["log_var"]})["recon"]
    if (mixed - usual).norm() > 1e-3 * usual.norm():
        found.append("The terms are not simply added: the weight of the reconstruction term depends on the KL.")
    if not any(terms.parts):
        return found
    ratios = []
    for spread in (0.02, 0.3):  # a KL of a thousandth of a nat per latent, and of a quarter
        weak = probe.point(size, spread)
        gradients = probe.gradients(weak)
        seen = torch.cat([gradients["mu"].flatten(), gradients["log_var"].flatten()])
        columns = torch.stack(_kl_gradients(weak, terms.argument), -1)
        expected = columns @ torch.tensor(terms.parts, dtype=torch.float64)
        ratios.append((seen @ expected / (expected @ expected)).item())
    if any(abs(ratio - 1) > 0.01 for ratio in ratios):
        if ratios[0] < -0.01:
            where = "where that is small, its sign turns, as with a capacity: the KL is pushed up to a target"
        else:
            where = f"where that is small, it is {_number(abs(ratios[0]))} times as large, as with free bits"
        found.append(f"The weight of the KL depends on the KL: {where}. Beta is given for a large KL (lesson 07).")
    return found


def _extremes(probe, size, terms, report):
    """Sure pixels, an extreme log-variance, and what the value holds besides its terms."""
    found = []
    point = probe.point(size)
    if "log" in terms.argument and terms.kl in ("standard", "wrong sign", "another prior"):
        bounds = []
        for sign in (1, -1):
            far = probe.gradients(point | {"log_var": torch.full_like(point["log_var"], sign * 40.0)})
            if not far["log_var"].any() and far["mu"].any():
                bounds.append("above" if sign > 0 else "below")
            elif not far["log_var"].any() and terms.parts[0]:
                found = ["The KL is capped: where it is very large, its gradient is 0 (lesson 07)."]
        if bounds:
            found.append(f"The log-variance is clamped {' and '.join(bounds)}: beyond, its gradient is 0 (lesson 07).")
    if "bernoulli" in terms.likelihood:
        sure = (point["x"] > 0.5).double()
        ends = 400 * sure - 200 if terms.likelihood.endswith("logits") else sure
        dtype, probe.dtype = probe.dtype, torch.float32  # as in training
        try:
            bad = not math.isfinite(probe.value(point | {"x": sure, "recon": ends}))
        except Exception:
            bad = False
        probe.dtype = dtype
        if bad:
            found.append(
                "It is not finite at pixels that are sure: a bare logarithm of 0. Use PyTorch's BCE (lesson 06)."
            )
    if terms.likelihood != "unknown" and (terms.kl in KNOWN or terms.kl.startswith("of ")):
        again = _apart(probe, probe.point(size, seed=1)).rest
        if abs(again - terms.rest) < 1e-6 * abs(terms.rest):
            found += _constant_in_words(terms, report, size)
    return found


def _constant_in_words(terms, report, size):
    """What the value holds besides both terms: the constant of a likelihood, or another one."""
    scale = size[0] if report.grows_with_batch is False else 1  # to the loss of one picture
    constant, c, k = terms.rest * scale / size[0], terms.c * scale, terms.k * scale
    whole = {
        "gaussian": (f"sigma = {_number(c**-0.5)}", 0.5 * math.log(2 * math.pi / c)),
        "laplace": (f"b = {_number(1 / c)}", math.log(2 / c)),
    }
    words, per_pixel = whole.get(report.likelihood, ("", math.nan))
    if abs(constant) < 1e-3 * max(1.0, c):
        return []
    if abs(constant - size[1] * per_pixel) < 1e-3 * abs(constant):
        kl = "it is the whole -ELBO in nats" if abs(k - 1) < 1e-3 else f"beside it, the KL weighs {_number(k)}"
        return [f"Its value holds the whole log-likelihood, with its constant, of pixels with {words}; {kl}."]
    return [f"Its value holds a constant besides both terms: {_number(constant)} per picture."]


def _own_parameters(probe, size, report):
    """Sentences about parameters of the loss, such as a learned log sigma: what is wrong with them, and their names."""
    owner = getattr(probe.loss, "__self__", probe.loss)
    own = dict(owner.named_parameters()) if isinstance(owner, nn.Module) else {}
    if report.likelihood not in ("gaussian", "laplace") or not 0 < len(own) <= 3:  # a whole model, for example
        return [], []
    point, running = probe.point(size), []
    for name, parameter in own.items():
        if parameter.numel() == 1 and parameter.requires_grad:
            errors = [point["x"] + factor * (point["recon"] - point["x"]) for factor in (0.01, 100.0)]
            small, large = (probe.push(point | {"recon": recon}, parameter) for recon in errors)
            if small * large > 0:
                running.append(
                    f"Training pushes {name} one way, whether errors are small or large. With a learned sigma, log "
                    "sigma must be added for every pixel (lesson 06)."
                )
    return running, [
        f"The loss has parameters of its own ({', '.join(own)}); this report holds for their present values. Give them "
        "to the optimizer."
    ]


def _information(probe, terms, report):
    found = []
    if "," in terms.likelihood:
        found.append(f"it compares {terms.likelihood.partition(', ')[2]}. Beta is meant on that scale.")
    if report.likelihood.startswith("bernoulli"):
        found.append(
            "BCE is a negative log-likelihood for pixels that are 0 or 1. If yours are grey, its minimum is above 0, "
            "and the loss is no bound on log p(x) (lesson 06)."
        )
    if report.likelihood.endswith("logits") and terms.likelihood != "sigmoid twice":
        found.append("it takes logits; a decoder that ends in a sigmoid would apply it twice (lesson 06).")
    if probe.entries > 1:
        used = " and ".join(str(n + 1) for n in probe.added or [0])
        found.append(f"it returns {probe.entries} tensors; the loss was taken to be number {used}.")
    if probe.returned:
        found.append(f"it returns a tensor of shape {probe.returned}, whose mean was taken.")
    return found


def _number(value):
    """Four significant digits."""
    return "cannot be told" if math.isnan(value) else f"{value:.4g}"
