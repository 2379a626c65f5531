"""Examine a VAE that somebody else wrote: its draws, its bound on unseen pictures, its latents.

It is asked for means and log-variances, for draws, and for pictures; how it computes them is not looked at. Everything
is measured with beta = 1, whatever it was trained with.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent

from vae_lessons.distributions import kl_to_standard_normal, log_bernoulli, log_normal, sample_normal
from vae_lessons.evaluation import active_units

__all__ = ["Mean", "VAEReport", "examine_vae"]


class Mean(NamedTuple):
    """A mean over pictures, in nats, and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.error:.1f}"


@dataclass
class VAEReport:
    """What a VAE is. `print` it, or make it the last line of a cell; `show()` draws it.

    Attributes:
        training, evaluation: what the draws of z are like in the two modes of the model.
        gradients: what the decoder's output passes gradients to.
        likelihood, sigma: of the pixels; sigma is nan unless they are Gaussian or Laplace.
        elbo, reconstruction, kl: on held-out pictures: the ELBO, E_q[log p(x|z)] and KL(q(z|x) || p(z)). Each is a
            `Mean`, in nats per picture.
        elbo_train: the ELBO on training pictures.
        gain: how much higher the ELBO is than log p(x) of the one picture that fits all, pixel by pixel.
        log_p_x: log p(x) on held-out pictures by importance sampling, a lower bound on average.
        sample_size, samples: the mean effective sample size, and the number of samples.
        kl_of_each: (d,), the KL of each latent.
        in_use, directions: how many latents have a mean that varies over pictures (by over 0.01 in variance), and how
            many perpendicular directions of the means do.
        q_mean, q_spread: (d,), mean and standard deviation of z over all held-out pictures; 0 and 1 for the prior.
        findings: sentences, the most important first.
        pictures: held-out pictures, the same redrawn from their means, and draws from the prior, each (<= 10, D).
        shape: of one picture, as it was given.
    """

    training: str
    evaluation: str
    gradients: str
    likelihood: str
    sigma: float
    elbo: Mean
    reconstruction: Mean
    kl: Mean
    elbo_train: Mean
    gain: Mean
    log_p_x: Mean
    sample_size: float
    samples: int
    kl_of_each: Tensor
    in_use: int
    directions: int
    q_mean: Tensor
    q_spread: Tensor
    findings: list[str]
    pictures: tuple[Tensor, Tensor, Tensor]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        pixels = self.likelihood + ("" if math.isnan(self.sigma) else f", scale {self.sigma:.3g}")
        each = " ".join(
            f"{kl:.2f}" if kl < 100 else f"{kl:.2g}" for kl in self.kl_of_each.sort(descending=True).values[:10]
        )
        rows = {
            "draws": self.training
            if self.training == self.evaluation
            else f"{self.training}; evaluating: {self.evaluation}",
            "gradients": self.gradients,
            "pixels": pixels,
            "ELBO": f"{self.elbo} nats per held-out picture, {self.elbo_train} on training pictures",
            "its parts": f"reconstruction {self.reconstruction}, KL {self.kl}",
            "gain": f"{self.gain} nats over the average training picture",
            "log p(x)": f"at least {self.log_p_x} nats; effective sample size {self.sample_size:.1f} of {self.samples}",
            "latents": f"{self.in_use} of {len(self.kl_of_each)} in use; {_directions(self.directions)}",
            "KL of each": each + (" ..." if len(self.kl_of_each) > 10 else ""),
            "q(z)": f"means up to {self.q_mean.abs().max():.2f} from 0, standard deviations {self.q_spread.min():.2f} "
            f"to {self.q_spread.max():.2f}",
        }
        table = [f"{name:12}{value}" for name, value in rows.items()]
        return "\n".join(table + [f"{n}. {sentence}" for n, sentence in enumerate(self.findings, 1)])

    __repr__ = __str__

    def show(self) -> None:
        """Draw the KL of each latent, and held-out pictures, the same redrawn, and draws from the prior."""
        import matplotlib.pyplot as plt

        from vae_lessons import plotting

        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), width_ratios=(1, 1.8))
        each = self.kl_of_each.sort(descending=True).values
        left.bar(range(1, len(each) + 1), each.clamp(max=100).numpy())
        left.set(
            xlabel="latent, by size of its KL", ylabel="KL (nats, drawn up to 100)" if each[0] > 100 else "KL (nats)"
        )
        left.set_ylim(0, max(0.5, left.get_ylim()[1]))
        rows = torch.cat([row.clamp(0, 1).reshape(-1, *self.shape) for row in self.pictures])
        names = ["held out", "redrawn", "from prior"]
        plotting.images(_flat_or_grey(rows), ax=right, columns=len(rows) // 3, row_labels=names)
        plotting.show(
            figure,
            f"Left: the average KL of each of {len(each)} latents as bars, largest first, from {each[0]:.2f} to "
            f"{each[-1]:.2f} nats. Right: three rows of pictures: held-out ones, the same redrawn from their mean "
            "codes, and pictures decoded from draws of the prior.",
        )


def _directions(number):
    return f"{number} direction{'' if number == 1 else 's'}"


def _flat_or_grey(pictures):
    """Pictures as `plotting.images` takes them: (N, D) of square ones, or (N, height, width)."""
    if pictures.dim() == 2:
        _, d = pictures.shape
        square = math.isqrt(d) ** 2 == d or (d % 3 == 0 and math.isqrt(d // 3) ** 2 == d // 3)
        return pictures if square else pictures.unsqueeze(1)  # a picture of one row
    if pictures.dim() == 4 and pictures.shape[1] == 3 and pictures.shape[2] == pictures.shape[3]:
        return pictures.flatten(1)
    return pictures.flatten(1, -3).mean(1) if pictures.dim() > 3 else pictures


def examine_vae(
    model: nn.Module | None,
    x: Tensor,
    x_held: Tensor,
    *,
    likelihood: str | None = None,
    sigma: float | None = None,
    encode: Callable | None = None,
    decode: Callable | None = None,
    reparameterize: Callable | None = None,
    samples: int = 50,
    seed: int = 0,
) -> VAEReport:
    """Measure what a VAE does: its draws, its bound on unseen pictures, the latents that it uses.

    Args:
        model: a module with `encode` and `decode`, and usually `reparameterize` and a `forward` that returns a
            reconstruction, means and log-variances; or one of this library. None, if all functions are given.
        x, x_held: training and held-out pictures, (N, D) or (N, channels, height, width). At most 1,000 of each are
            used.
        likelihood: what `decode` returns: "bernoulli" (probabilities), "bernoulli logits", "gaussian" or "laplace"
            (means). If None, it is guessed from the range of its output and of the pictures.
        sigma: for Gaussian pixels; scale for Laplace. If None, the model's own, or the best for x.
        encode: from pictures to mean and log-variance, each (N, d).
        decode: from z to pictures.
        reparameterize: from mean and log-variance to draws of z.
        samples: draws of z for each picture.
        seed: of all draws; the global generator is not changed.

    Raises:
        ValueError: if there is no way to encode or decode, if shapes do not fit or means are not finite, if there are
            fewer than two pictures of a kind or two samples.
    """
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}")
    if min(len(x), len(x_held)) < 2:
        raise ValueError(f"x, x_held: expected at least two pictures of each, got {len(x)} and {len(x_held)}")
    if sigma is not None and not 0 < sigma < math.inf:
        raise ValueError(f"sigma: expected a positive number, got {sigma}")
    with torch.random.fork_rng(devices=[]), _left_as_found(model):
        torch.manual_seed(seed)
        try:
            vae = _Model(model, encode, decode, reparameterize, x[:1000])
            return _examine(vae, x[:1000], x_held[:1000], likelihood, sigma, samples)
        except (RuntimeError, TypeError, IndexError) as error:
            raise ValueError(f"model: it fails on pictures {tuple(x[:1000].shape)}: {error}") from error


@contextmanager
def _left_as_found(model):
    """Give the model back its modes and its running averages."""
    modules = list(model.modules()) if model is not None else []
    modes, buffers = (
        [module.training for module in modules],
        [b.clone() for module in modules for b in module.buffers(False)],
    )
    try:
        yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training
        for kept, buffer in zip(buffers, (b for module in modules for b in module.buffers(False)), strict=True):
            buffer.data.copy_(kept)


class _Model:
    """A VAE as functions, whatever their names."""

    def __init__(self, model, encode, decode, reparameterize, x):
        self.model = model
        self.given_encode = encode or _method(model, "q_z_given_x", "encode", "encoder")
        self.given_decode = decode or _method(model, "p_x_given_z", "decode", "decoder")
        if self.given_decode is None or (self.given_encode is None and model is None):
            raise ValueError(
                "model: expected methods `encode` and `decode`; if they have other names, give encode=..., decode=..."
            )
        own = sample_normal if hasattr(model, "q_z_given_x") else None
        names = ("reparameterize", "reparametrize", "reparameterise", "reparametrise", "sampling", "sample_z")
        self.draw = reparameterize or _method(model, *names) or own
        self.calls_encode = self.given_encode is not None
        self.where = self._find(self._encoded, x) if self.calls_encode else None
        self.in_forward = self._find(model, x) if model is not None and not hasattr(model, "q_z_given_x") else None
        if self.where is None:
            self.calls_encode = False
            if self.in_forward is None:
                raise ValueError(
                    "encode: expected it, or forward, to return mean and log-variance, of one shape (N, ...). "
                    "If your encoder returns them as one tensor, give encode=lambda x: model.encoder(x).chunk(2, 1)"
                )

    @torch.no_grad()
    def _find(self, function, x):
        """The positions of mean and log-variance in what a function returns, or None. A draw changes between calls."""
        best = None
        for training in (False, True):
            self.mode(training)
            seen = []
            with _left_as_found(self.model), _watched(self.model, seen):
                try:
                    first, again = _tensors(function(x)), _tensors(function(x))
                except (RuntimeError, TypeError, NotImplementedError, AttributeError):
                    return best
            fits = {n: t for n, t in first.items() if t.dim() and len(t) == len(x) and not _equal(t, x)}
            steady = [n for n, t in fits.items() if _equal(t, again[n])]
            groups = [[n for n in steady if fits[n].shape == shape] for shape in {t.shape for t in fits.values()}]
            for group in sorted(groups, key=lambda g: bool(g) and fits[g[0]].shape != x.shape):
                if len(group) > 2:  # a steady draw is among them, or the reconstruction
                    others = [n for n in group if not (seen and _equal(fits[n], seen[0]))]
                    group = others if len(others) > 1 else group
                    drawn_first = _equal(fits[group[0]], fits[group[1]])
                    pictures_first = len(group) > 2 and fits[group[0]].shape == x.shape
                    group = group[1:] if drawn_first or pictures_first else group
                best = group[:2] if len(group) > 1 else best
        return best

    def mode(self, training):
        if self.model is not None:
            self.model.train(training)

    def _encoded(self, x):
        try:
            return self.given_encode(x)
        except RuntimeError:
            return self.given_encode(x.flatten(1))  # as in PyTorch's example, where forward flattens

    def posterior(self, x):
        """Mean and log-variance of pictures, in the shape that decode takes."""
        found, (mean, scale) = (self._encoded(x), self.where) if self.calls_encode else (self.model(x), self.in_forward)
        return tuple(_tensors(found)[n] for n in (mean, scale))

    def whole(self, x):
        """Mean, log-variance, draw and reconstruction of one call of the model; None for a draw that is not seen."""
        seen = []
        with _watched(self.model, seen):
            found = _tensors(self.model(x))
        mu, log_var = (found[n] for n in self.in_forward)
        rest = [t for n, t in found.items() if n not in self.in_forward and t.numel() == x.numel() and not _equal(t, x)]
        z = next((z for z in seen if z.numel() == mu.numel()), None)
        return mu, log_var, z, rest[0] if rest else None

    def decode(self, z):
        """What the decoder returns for draws, (N, D); of a distribution, its logits or means."""
        found = self.given_decode(z)
        found = found[0] if isinstance(found, (tuple, list)) else found
        if isinstance(found, Distribution):
            pixels = found.base_dist if isinstance(found, Independent) else found
            found = pixels.logits if isinstance(pixels, Bernoulli) else pixels.mean
        return found.flatten(1)

    def pixels(self, z):
        """The likelihood and the sigma of the pixels, if the decoder returns a distribution that says so."""
        found = self.given_decode(z)
        if not isinstance(found, Distribution):
            return None, None
        base = found.base_dist if isinstance(found, Independent) else found
        return ("bernoulli logits", None) if isinstance(base, Bernoulli) else ("gaussian", found.stddev.mean().item())


def _method(model, *names):
    return next((getattr(model, name) for name in names if callable(getattr(model, name, None))), None)


def _tensors(found):
    """The tensors in what a function returns, by position."""
    if isinstance(found, Distribution):  # the encoder's Gaussian
        found = (found.mean, 2 * found.stddev.log())
    found = list(found.values()) if isinstance(found, Mapping) else found
    found = found if isinstance(found, (tuple, list)) else [found]
    return {n: value for n, value in enumerate(found) if isinstance(value, Tensor)}


def _equal(a, b):
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


@contextmanager
def _watched(model, seen):
    """Note what reaches the decoder while the model is called."""
    name = next((name for name in ("decode", "decoder") if callable(getattr(model, name, None))), None)
    own = getattr(model, name) if name else None
    if isinstance(own, nn.Module):
        hook = own.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            yield
        finally:
            hook.remove()
    elif own is not None:
        object.__setattr__(model, name, lambda z, *rest, **more: seen.append(z) or own(z, *rest, **more))
        try:
            yield
        finally:
            object.__delattr__(model, name)
    else:
        yield


def _examine(vae, x, x_held, likelihood, sigma, samples):
    vae.mode(True)
    with _left_as_found(vae.model):
        training, gradients = _draws(vae, x), _gradients(vae, x)
    vae.mode(False)
    evaluation = _draws(vae, x)
    with torch.no_grad():
        mu, log_var = (value.detach() for value in vae.posterior(x_held))
        if not (torch.isfinite(mu).all() and torch.isfinite(log_var).all()):
            raise ValueError(
                "model: some means or log-variances are not finite, so nothing can be measured (lesson 07)"
            )
        own, own_sigma = vae.pixels(mu)
        guessed = likelihood is None and own is None
        pixels = _Pixels(_guess(vae, x) if guessed else likelihood or own, sigma or own_sigma, vae, x)
        log_p, log_ratio = _samples(vae, x_held, mu, log_var, pixels, samples)  # each (K, N)
        on_train = vae.posterior(x)
        log_p_train, _ = _samples(vae, x, *on_train, pixels, 5)
        elbo_train = log_p_train.mean(0) - kl_to_standard_normal(*(value.flatten(1) for value in on_train))
        drawings = [pixels.mean(vae.decode(z)) for z in (mu[:10], torch.randn_like(mu[:10]))]
    mu, log_var = mu.flatten(1), log_var.flatten(1)
    kl, log_w = kl_to_standard_normal(mu, log_var), log_p + log_ratio
    elbo = log_p.mean(0) - kl
    report = VAEReport(
        training=training,
        evaluation=evaluation,
        gradients=gradients,
        likelihood=pixels.likelihood,
        sigma=pixels.sigma,
        elbo=_mean(elbo),
        reconstruction=_mean(elbo + kl),
        kl=_mean(kl),
        elbo_train=_mean(elbo_train.detach()),
        gain=_mean(elbo - pixels.log_one_picture(x, x_held)),
        log_p_x=_mean(log_w.logsumexp(0) - math.log(samples)),
        samples=samples,
        sample_size=(1 / log_w.softmax(0).square().sum(0)).mean().item(),
        kl_of_each=kl_to_standard_normal(mu[..., None], log_var[..., None]).mean(0),
        in_use=int(active_units(mu).sum()),
        directions=int((torch.linalg.eigvalsh(torch.atleast_2d(mu.T.cov())) > 0.01).sum()),
        q_mean=mu.mean(0),
        q_spread=(mu.var(0) + log_var.exp().mean(0)).sqrt(),
        findings=[],
        pictures=(x_held[:10].flatten(1), *drawings),
        shape=tuple(x.shape[1:]),
    )
    report.findings = _findings(report, x, log_var, guessed, samples)
    return report


class _Pixels:
    """The likelihood of pixels, given what the decoder returns."""

    def __init__(self, likelihood, sigma, vae, x):
        known = ("bernoulli", "bernoulli logits", "gaussian", "laplace")
        if likelihood not in known:
            raise ValueError(f"likelihood: expected one of {', '.join(known)}, got {likelihood!r}")
        self.likelihood, self.fitted = likelihood, sigma is None
        self.sigma = math.nan if "bernoulli" in likelihood else sigma
        if self.sigma is None:
            self.sigma = self._best(x.flatten(1), vae.decode(sample_normal(*vae.posterior(x))))

    def _best(self, x, t):
        error = x - t
        return (error.square().mean().sqrt() if self.likelihood == "gaussian" else error.abs().mean()).item()

    def log_p(self, x, t, sigma=None):
        """log p(x) (N,) of pictures (N, D) given the decoder's output t."""
        if self.likelihood == "bernoulli":
            if t.min() < 0 or t.max() > 1:
                raise ValueError(f"likelihood: expected probabilities from decode, got {t.min():.3g} to {t.max():.3g}")
            return log_bernoulli(x, t.clamp(1e-6, 1 - 1e-6).logit())
        if self.likelihood == "bernoulli logits":
            return log_bernoulli(x, t)
        scale = torch.tensor(sigma or self.sigma, dtype=x.dtype)
        if self.likelihood == "gaussian":
            return log_normal(x, t, 2 * scale.log().expand_as(x))
        return -((x - t).abs() / scale + (2 * scale).log()).sum(-1)

    def mean(self, t):
        """The decoder's picture."""
        return t.sigmoid() if self.likelihood == "bernoulli logits" else t

    def log_one_picture(self, x, x_held):
        """log p of held-out pictures, (N,), if the decoder returned the average training picture for all of them."""
        x, x_held = x.flatten(1), x_held.flatten(1)
        average = x.median(0).values if self.likelihood == "laplace" else x.mean(0)
        t = average.clamp(1e-3, 1 - 1e-3).logit() if self.likelihood == "bernoulli logits" else average
        if self.likelihood == "bernoulli":
            t = average.clamp(1e-3, 1 - 1e-3)
        sigma = self._best(x, t) if "bernoulli" not in self.likelihood and self.fitted else None
        return self.log_p(x_held, t, sigma)


def _guess(vae, x):
    """The likelihood, by the range of the decoder's output and of the pictures; of two, the one that fits better."""
    t = vae.decode(sample_normal(*vae.posterior(x)))
    if x.min() < 0 or x.max() > 1:
        return "gaussian"
    if t.min() >= 0 and t.max() <= 1:
        return "bernoulli"
    gains = {}
    for name in ("bernoulli logits", "gaussian"):
        pixels = _Pixels(name, None, vae, x)
        gains[name] = (pixels.log_p(x.flatten(1), t) - pixels.log_one_picture(x, x)).mean().item()
    return max(gains, key=gains.get)


def _samples(vae, x, mu, log_var, pixels, number):
    """log p(x|z) and log p(z) - log q(z|x), each (K, N), for K draws z ~ q(z|x) for each picture."""
    log_p, log_ratio, flat = [], [], x.flatten(1)
    for _ in range(number):
        z = sample_normal(mu, log_var)
        t = vae.decode(z)
        if t.shape != flat.shape:
            raise ValueError(f"decode: expected pictures {tuple(flat.shape)}, got {tuple(t.shape)}")
        log_p.append(pixels.log_p(flat, t))
        z, zero = z.flatten(1), torch.zeros(1, dtype=z.dtype)
        log_ratio.append(log_normal(z, zero, zero.expand_as(z)) - log_normal(z, mu.flatten(1), log_var.flatten(1)))
    return torch.stack(log_p), torch.stack(log_ratio)


def _mean(values):
    return Mean(values.mean().item(), (values.std() / math.sqrt(len(values))).item())


# The draws


@torch.no_grad()
def _draws(vae, x):
    """What the draws of z are like, in the model's present mode, in words."""
    calls = _drawn(vae, x)
    if not calls:
        return "could not be seen"
    noise = calls[0][0]
    eps, again = (noise / (0.5 * log_var).exp() for noise, log_var in calls[:2])
    if noise.abs().max() < 1e-5:
        return "none: z is the mean"
    if torch.allclose(eps, again, atol=1e-3):
        return "the same noise in every call"
    if torch.allclose(eps[0], eps[1], atol=1e-4):
        return "the same noise for all pictures"
    if eps.shape[1] > 1 and torch.allclose(eps[:, 0], eps[:, 1], atol=1e-4):
        return "the same noise for all latents"
    noise, log_var = (torch.cat([call[part] for call in calls]) for part in (0, 1))
    eps = noise / (0.5 * log_var).exp()
    if eps.mean().abs() > 0.1 * eps.std():
        return f"noise with mean {eps.mean():.2f}, not 0"
    scales = {
        "standard deviation exp(log_var / 2)": (0.5 * log_var).exp(),
        "standard deviation exp(log_var), as if that were log sigma": log_var.exp(),
        "standard deviation log_var, as if that were sigma": log_var.abs(),
        "standard deviation 1, whatever log_var is": torch.ones_like(log_var),
    }
    low = log_var < log_var.median()
    for words, scale in scales.items():
        sizes = [(noise / scale)[part].square().mean().sqrt().item() for part in (low, ~low)]
        if abs(sizes[0] / sizes[1] - 1) < 0.1:
            size = sum(sizes) / 2
            return words if abs(size - 1) < 0.1 else f"{size:.2g} times {words}"
    return "another spread than log_var says"


def _drawn(vae, x, enough=8_000):
    """Pairs of noise and log-variance, each (N, d), from two calls or more; with `enough` numbers in all."""
    mu, log_var = vae.posterior(x)
    if vae.draw is not None:
        rows = max(enough // mu[0].numel(), 500)
        mu = torch.randn(rows, *mu.shape[1:], dtype=mu.dtype)
        log_var = torch.rand_like(mu) * 5 - 4  # standard deviations from 0.14 to 1.6
        return [((vae.draw(mu, log_var) - mu).flatten(1), log_var.flatten(1)) for _ in range(2)]
    if vae.in_forward is None:
        return []
    calls = []
    for _ in range(min(200, max(2, 1 + enough // mu.numel()))):
        mu, log_var, z, _ = vae.whole(x)
        if z is None:
            return []
        calls.append(((z.reshape(mu.shape) - mu).flatten(1), log_var.flatten(1)))
    return calls


def _gradients(vae, x):
    """What the decoder's output passes gradients to, in words."""
    with torch.enable_grad():
        if vae.draw is not None:
            mu, log_var = vae.posterior(x[:100])
            output = vae.decode(vae.draw(mu, log_var))
        elif vae.in_forward is not None:
            mu, log_var, _, output = vae.whole(x[:100])
        else:
            return "could not be seen"
        if output is None:
            return "could not be seen"
        leaves = [leaf for leaf in (mu, log_var) if leaf.requires_grad]
        found = []
        if leaves and output.requires_grad:
            found = torch.autograd.grad(output.square().sum(), leaves, allow_unused=True)
    reached = {id(leaf): g is not None and bool(g.any()) for leaf, g in zip(leaves, found, strict=False)}
    return {
        (True, True): "reach mean and log-variance",
        (True, False): "reach the mean, not the log-variance",
        (False, True): "reach the log-variance, not the mean",
        (False, False): "do not reach the encoder",
    }[tuple(reached.get(id(leaf), False) for leaf in (mu, log_var))]


def _findings(report, x, log_var, guessed, samples):
    """Sentences about the report, the most important first, each with what to try next."""
    found, d = [], len(report.kl_of_each)
    right, unseen = "standard deviation exp(log_var / 2)", "could not be seen"
    if log_var.max() > 20 or not math.isfinite(report.elbo.mean + report.elbo_train.mean):
        found.append(
            f"Log-variances go from {log_var.min():.4g} to {log_var.max():.4g}: training has "
            "exploded. Try a smaller learning rate first, then a bound on the log-variance (lesson 07)."
        )
    if report.gradients not in ("reach mean and log-variance", unseen):
        found.append(
            f"From the decoder's output, gradients {report.gradients}. Is the draw mu + sigma * eps, without detach? "
            "Or are units dead, so that the decoder returns one picture for any z? (lessons 03, 07)"
        )
    if report.training == "the same noise for all pictures":
        found.append(
            "In training, all pictures of a batch get the same noise. Gradients are right on average, but much "
            "noisier: draw as many numbers as there are means (lesson 03)."
        )
    elif report.training == unseen:
        found.append("The noise was not checked, since no draw could be seen: give `reparameterize=`.")
    elif report.training != right:
        found.append(
            f"In training: {report.training}. The KL is charged for another q(z|x) than the one drawn "
            "from: make both agree (lessons 02, 03)."
        )
    if report.evaluation not in (report.training, unseen):
        found.append(
            f"In evaluation: {report.evaluation}. A loss reported in that mode is no ELBO. All numbers here come from "
            "draws with means and log-variances (lesson 07)."
        )
    farthest, narrow, wide = report.q_mean.abs().max(), report.q_spread.min(), report.q_spread.max()
    if farthest > 0.5 or narrow < 0.6 or wide > 1.6:
        found.append(
            f"All z together are not like the prior: means up to {farthest:.2f} from 0, standard deviations from "
            f"{narrow:.2f} to {wide:.2f}. Pictures decoded from N(0, I) suffer. Is beta below 1? (lesson 08)"
        )
    if report.gain.mean < 2 * report.gain.error:
        found.append(
            f"It is no better than the average training picture: {report.gain} nats, of which the KL takes "
            f"{report.kl.mean:.1f}. Was it trained long enough, with this likelihood, and with a loss that "
            "`examine_loss` finds right? (lessons 06, 07)"
        )
    if report.in_use < d:
        found.append(
            f"{d - report.in_use} of {d} latents are not in use: their means hardly vary. If there are none in use, "
            "look at beta with `examine_loss`; then at initialisation and warm-up (lesson 07)."
        )
    if report.in_use == 0 and report.kl.mean > 1:
        found.append("The means are the same for all pictures, so the KL is charged for nothing (lesson 07).")
    gap, error = report.elbo_train.mean - report.elbo.mean, math.hypot(report.elbo.error, report.elbo_train.error)
    if gap > 3 * error:
        found.append(
            f"Training pictures have a higher ELBO, by {gap:.1f} ± {error:.1f} nats. Was that of held-out ones higher "
            "in earlier epochs? Then stop there, or take more pictures (lessons 01, 07)."
        )
    if report.sample_size < 2:
        found.append(
            f"The effective sample size is {report.sample_size:.1f} of {samples}: log p(x) may be far above this "
            "bound. Take more samples (lesson 10)."
        )
    grey = ((x > 0.02) & (x < 0.98)).float().mean().item()
    if "bernoulli" in report.likelihood and (x.min() < 0 or x.max() > 1):
        found.append(f"Pictures go from {x.min():.2f} to {x.max():.2f}; Bernoulli pixels are 0 or 1 (lesson 06).")
    elif "bernoulli" in report.likelihood and grey > 0.05:
        found.append(
            f"{grey:.0%} of the pixels are grey, so these nats are no log-likelihoods: take the continuous Bernoulli, "
            "or Gaussian pixels with a learned sigma (lesson 06)."
        )
    if 0 < report.directions < report.in_use:
        found.append(
            f"For information: {report.in_use} latents are in use, but their means vary along "
            f"{_directions(report.directions)} only. That does the ELBO no harm; fewer latents would do (lesson 08)."
        )
    if guessed:
        found.append(
            f"For information: by its range, the decoder was taken for one of {report.likelihood} pixels; "
            "`likelihood=` overrules that."
        )
    return found or ["Nothing was found that is wrong."]
