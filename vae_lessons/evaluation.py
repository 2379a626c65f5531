"""Measures of autoencoders and VAEs: nudges, holes, blind generation, and probes that read factors off pictures.

Costs are negative log-likelihoods in nats per picture, summed over pixels: less is better.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from vae_lessons.distributions import log_bernoulli
from vae_lessons.latents import nudge

__all__ = ["LinearProbe", "blind_cost", "hole_ratio", "nudge_test"]


@torch.no_grad()
def nudge_test(
    codes: Tensor,
    decode: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    judge: Callable[[Tensor], Tensor],
    sizes: Sequence[float] = (0.0, 0.05, 0.1, 0.2, 0.5),
    seed: int = 0,
    repeats: int = 10,
) -> np.ndarray:
    """Cost and recognisability of pictures that are decoded from nudged codes.

    Args:
        codes: (N, d) codes of the pictures.
        decode: from codes (repeats, N, d) to log-odds of the pixels (repeats, N, D).
        x: (N, D) binary pictures.
        y: (N,) their classes.
        judge: from binary pictures (..., D) to class scores (..., classes). It sees ink where ink is the likelier.
        sizes: of the nudges, in units of the codes' own spread (see `latents.nudge`).
        seed: of the nudges.
        repeats: nudges of each code that are averaged.

    Returns:
        (len(sizes), 2): mean -log p(x|z) in nats per picture, and how often the judge sees y.
    """
    generator, rows = torch.Generator().manual_seed(seed), []
    for r in sizes:
        logits = torch.stack([decode(nudge(codes, r, generator)) for _ in range(repeats)])  # (repeats, N, D)
        agreement = (judge((logits > 0).float()).argmax(-1) == y).float().mean()
        rows.append([-log_bernoulli(x, logits).mean().item(), agreement.item()])
    return np.array(rows)


def hole_ratio(sampled: Tensor, codes_train: Tensor, codes_held: Tensor) -> float:
    """How many times farther sampled codes lie from the training codes than the codes of unseen pictures do.

    The ratio of the median distances to the nearest training code. Near 1, sampling meets no holes.

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
    """Cost of pictures under a generator that is known by K draws of its latents only, in nats per picture.

    The mean over pictures of -log (1/K) sum_k p(x|z_k), with Bernoulli pixels. By Jensen's inequality it is on average
    too high, by little where many draws explain each picture (few latents) and by much where hardly any does.

    Args:
        x: (N, D) binary pictures.
        logits: (K, D) the decoder's log-odds for K sampled codes.

    Example:
        >>> blind_cost(torch.ones(1, 1), torch.zeros(5, 1))  # a fair coin: log 2  # doctest: +ELLIPSIS
        0.693...
    """
    # log p(x|z) = x . logits - sum log(1 + exp(logits)), so that one matrix product serves all pairs
    log_p = x @ logits.T - softplus(logits).sum(1)  # (N, K)
    return -(log_p.logsumexp(1) - math.log(len(logits))).mean().item()


class LinearProbe:
    """A linear map, fitted by ridge regression, that reads known factors off pictures.

    What a linear probe can read is there in plain sight; what it cannot may still be there.

    Args:
        x: (N, D) pictures.
        factors: name -> (N,), their known factors.
        ridge: weight of the squared coefficients.

    Example:
        >>> x = torch.rand(100, 4, generator=torch.Generator().manual_seed(0))
        >>> LinearProbe(x, {"sum": x.sum(1)}, ridge=1e-6).r2(x, {"sum": x.sum(1)})
        {'sum': 1.0}
    """

    def __init__(self, x: Tensor, factors: dict[str, Tensor], ridge: float = 10.0):
        from sklearn.linear_model import Ridge  # imported here: it is slow to import, and only probes need it

        self.names = list(factors)
        self._ridge = Ridge(ridge).fit(x.numpy(), torch.stack(list(factors.values()), 1).numpy())

    def read(self, x: Tensor) -> dict[str, Tensor]:
        """The factors, name -> (N,), that the probe sees in pictures (N, D)."""
        seen = self._ridge.predict(x.detach().numpy()).reshape(len(x), len(self.names))
        return dict(zip(self.names, torch.from_numpy(seen).T, strict=True))

    def r2(self, x: Tensor, factors: dict[str, Tensor]) -> dict[str, float]:
        """The share of each factor's variance that the probe explains: 1 is perfect, 0 no better than the mean."""
        seen = self.read(x)
        return {
            name: round(
                1 - ((seen[name] - factors[name]) ** 2).mean().item() / factors[name].var(correction=0).item(), 4
            )
            for name in self.names
        }
