"""Measures of autoencoders and VAEs: likelihood, rate and distortion, nudges, holes, probes, disentanglement.

Costs are negative log-likelihoods in nats per picture, summed over pixels. Lower is better.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from vae_lessons.distributions import log_bernoulli, log_normal, sample_normal
from vae_lessons.models import LatentVariableModel

__all__ = [
    "LinearProbe",
    "active_units",
    "blind_cost",
    "hole_ratio",
    "log_p_x",
    "mig",
    "nudge_each",
    "rate_distortion",
    "sap",
]


@torch.no_grad()
def nudge_each(
    codes: Tensor,
    unit: Tensor,
    decode: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    judge: Callable[[Tensor], Tensor],
    sizes: Sequence[float] = (0.0, 0.1, 0.5),
    seed: int = 0,
    repeats: int = 10,
) -> Tensor:
    """Cost and recognisability of each picture decoded from nudged codes z + r L eps, eps ~ N(0, I).

    The pictures are kept apart, so that two models can be compared picture by picture. Every size has the same eps.

    Args:
        codes: (N, d) codes of the pictures.
        unit: (d, d), the matrix L. With the Cholesky factor of the codes' covariance, the nudges have the same
            distribution after every linear change of the codes that the decoder undoes.
        decode: maps codes (N, d) to log-odds of the pixels (N, D).
        x: (N, D) binary pictures.
        y: (N,) their classes.
        judge: maps binary pictures (..., D) to class scores (..., classes). A pixel is 1 if its log-odds are positive.
        sizes: of the nudges, r.
        seed: of the nudges.
        repeats: number of nudges of each code to average over.

    Returns:
        (len(sizes), 2, N): mean -log p(x|z) in nats, and the fraction of nudges after which the judge names y.
    """
    if unit.shape != (codes.shape[-1],) * 2:
        raise ValueError(f"unit: expected a matrix {(codes.shape[-1],) * 2} for these codes, got {tuple(unit.shape)}")
    rows = []
    for r in sizes:
        generator = torch.Generator().manual_seed(seed)
        eps = torch.randn(repeats, *codes.shape, generator=generator, dtype=codes.dtype).to(codes.device)
        logits = decode(codes + r * eps @ unit.T)  # (repeats, N, D)
        agrees = judge((logits > 0).to(x.dtype)).argmax(-1) == y
        rows.append(torch.stack([-log_bernoulli(x, logits).mean(0), agrees.to(x.dtype).mean(0)]))
    return torch.stack(rows)


def hole_ratio(sampled: Tensor, codes_train: Tensor, codes_held: Tensor) -> float:
    """How many times farther sampled codes are from the training codes than the codes of unseen pictures are.

    The ratio of the median distances to the nearest training code. If it is near 1, sampling finds no holes.

    Args:
        sampled, codes_train, codes_held: (n, d), (N, d) and (M, d).

    Example:
        >>> codes = torch.tensor([[0.0], [1.0]])
        >>> hole_ratio(codes + 0.5, codes, codes + 0.25)
        2.0
    """
    to_nearest = [torch.cdist(z, codes_train).min(1).values.median() for z in (sampled, codes_held)]
    return (to_nearest[0] / to_nearest[1]).item()


@torch.no_grad()
def blind_cost(x: Tensor, logits: Tensor) -> float:
    """Cost of pictures under a generator, estimated from K draws of its latents, in nats per picture.

    The mean over pictures of -log (1/K) sum_k p(x|z_k), with Bernoulli pixels. By Jensen's inequality it is too high on
    average: slightly if many draws explain each picture (few latents), by a lot if hardly any does.

    Args:
        x: (N, D) binary pictures.
        logits: (K, D) log-odds from the decoder for K sampled codes.

    Example:
        >>> blind_cost(torch.ones(1, 1), torch.zeros(5, 1))  # a fair coin: log 2  # doctest: +ELLIPSIS
        0.693...
    """
    # log p(x|z) = x . logits - sum log(1 + exp(logits)), so one matrix product gives all pairs
    log_p = x @ logits.T - softplus(logits).sum(1)  # (N, K)
    return -(log_p.logsumexp(1) - math.log(len(logits))).mean().item()


class LinearProbe:
    """A linear map, fitted by ridge regression, that predicts known factors from pictures.

    Factors that it predicts well are linearly encoded in the pictures. Others may still be there, in
    another form.

    Args:
        x: (N, D) pictures.
        factors: name -> (N,), the known factors.
        ridge: weight of the squared coefficients.

    Example:
        >>> x = torch.rand(100, 4, generator=torch.Generator().manual_seed(0))
        >>> round(LinearProbe(x, {"sum": x.sum(1)}, ridge=1e-6).r2(x, {"sum": x.sum(1)})["sum"], 4)
        1.0
    """

    def __init__(self, x: Tensor, factors: dict[str, Tensor], ridge: float = 10.0):
        from sklearn.linear_model import Ridge  # imported here because it is slow and only probes need it

        self.names = list(factors)
        self._ridge = Ridge(ridge).fit(x.numpy(), torch.stack(list(factors.values()), 1).numpy())

    def read(self, x: Tensor) -> dict[str, Tensor]:
        """The factors, name -> (N,), that the probe predicts from pictures (N, D)."""
        predicted = self._ridge.predict(x.detach().numpy()).reshape(len(x), len(self.names))
        return dict(zip(self.names, torch.from_numpy(predicted).T, strict=True))

    def r2(self, x: Tensor, factors: dict[str, Tensor]) -> dict[str, float]:
        """The share of each factor's variance that the probe explains: 1 is perfect, 0 is no better than the mean."""
        predicted = self.read(x)
        return {
            name: 1 - ((predicted[name] - factors[name]) ** 2).mean().item() / factors[name].var(correction=0).item()
            for name in self.names
        }


def active_units(mu: Tensor, threshold: float = 0.01) -> Tensor:
    """Which latents are in use: those whose posterior mean varies over the data (Burda et al. 2016, section 5.2).

    Args:
        mu: (N, d) posterior means of N >= 2 pictures.
        threshold: the variance of the mean above which a latent counts as active.

    Returns:
        (d,) bool.

    Example:
        >>> active_units(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
        tensor([False,  True])
    """
    if mu.dim() != 2 or len(mu) < 2:
        raise ValueError(f"mu: expected posterior means of shape (N, d) with N >= 2, got {tuple(mu.shape)}")
    return mu.var(0) > threshold


@torch.no_grad()
def rate_distortion(model: LatentVariableModel, x: Tensor, seed: int = 0) -> tuple[float, float]:
    """Rate and distortion of a VAE, in nats per picture (Alemi et al. 2018). The ELBO is minus their sum.

    Args:
        model: in evaluation mode.
        x: (N, D) pictures.
        seed: for the one draw of z per picture; the global generator is not changed.

    Returns:
        The rate, the mean of KL(q(z|x) || p(z)), and the distortion, the mean of -log p(x|z).
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, log_p_x_given_z, kl = model.elbo(x)
    return kl.mean().item(), -log_p_x_given_z.mean().item()


@torch.no_grad()
def log_p_x(model: LatentVariableModel, x: Tensor, samples: int = 100, seed: int = 0) -> Tensor:
    """log p(x) of each picture by importance sampling, in nats: a lower bound on average, tighter with more samples.

    log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q(z|x)  (Burda et al. 2016, equation 8). With one sample its mean
    is the ELBO.

    Args:
        model: in evaluation mode.
        x: (N, D) pictures.
        samples: K, the number of draws per picture.
        seed: for the draws; the global generator is not changed.

    Returns:
        (N,)
    """
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    generator = torch.Generator().manual_seed(seed)
    mu, log_var = model.q_z_given_x(x)
    total = torch.full((len(x),), -math.inf, dtype=mu.dtype)
    for _ in range(samples):
        z = sample_normal(mu, log_var, generator)
        log_prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
        total = torch.logaddexp(total, model.log_p_x_given_z(x, z) + log_prior - log_normal(z, mu, log_var))
    return total - math.log(samples)


def mig(codes: Tensor, factors: dict[str, Tensor], bins: int = 20) -> float:
    """Mutual information gap: the lead of the best latent for each factor over the second best (Chen et al. 2018).

    The mean over factors of (I(z_1st; v) - I(z_2nd; v)) / H(v), between 0 and 1, with codes and factors sorted into
    bins of equal width and mutual information computed from the table of counts.

    Args:
        codes: (N, d), d >= 2.
        factors: name -> (N,), the known factors.
        bins: number of bins for each latent and each factor.

    Example:
        >>> v = torch.linspace(0, 1, 1000)
        >>> round(mig(torch.stack([v, torch.zeros(1000)], 1), {"v": v}), 6)  # one latent is v, the other is constant
        1.0
    """
    gaps = []
    for values in factors.values():
        information = [_mutual_information(code, values, bins) for code in codes.T]
        second, first = np.sort(information)[-2:]
        gaps.append((first - second) / _mutual_information(values, values, bins))
    return float(np.mean(gaps))


def sap(codes: Tensor, factors: dict[str, Tensor]) -> float:
    """Separated attribute predictability: the lead of the best latent in linear R^2 (Kumar et al. 2018).

    The mean over factors of the difference between the two largest squared correlations with a latent, from 0 to 1.

    Args:
        codes: (N, d), d >= 2.
        factors: name -> (N,), the known factors.

    Example:
        >>> v = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> round(sap(torch.stack([v, torch.tensor([1.0, -1.0, -1.0, 1.0])], 1), {"v": v}), 3)
        1.0
    """
    leads = []
    for values in factors.values():
        table = torch.stack([values.to(codes.dtype), *codes.T])
        squared = torch.corrcoef(table)[0, 1:].nan_to_num().square()  # a constant latent gives nan: no correlation
        first, second = squared.topk(2).values.tolist()
        leads.append(first - second)
    return float(np.mean(leads))


def _mutual_information(a, b, bins):
    """I(a; b) in nats of two (N,) tensors sorted into bins of equal width."""
    counts, _, _ = np.histogram2d(a.numpy(), b.numpy(), bins)
    joint = counts / counts.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / independent[filled])).sum())
