"""Log-densities, sampling, entropies and Kullback-Leibler divergences of diagonal Gaussians and Bernoullis.

Every function takes tensors of shape (..., D) and returns (...): it sums over the last dimension, keeps all
constants, and counts in nats. A diagonal Gaussian is written as its mean `mu` and the logarithm of its variance
`log_var`, because a network can output any real number for both.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "entropy_normal",
    "kl_normal",
    "kl_to_standard_normal",
    "log_bernoulli",
    "log_normal",
    "sample_normal",
]

LOG_2PI = math.log(2 * math.pi)


def log_normal(x: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """Log-density of a diagonal Gaussian, in nats.

    log N(x; mu, sigma^2) = -1/2 sum_d [log 2 pi + log sigma_d^2 + (x_d - mu_d)^2 / sigma_d^2]

    Args:
        x, mu, log_var: (..., D), broadcast against each other.

    Returns:
        (...)

    Example:
        >>> zero = torch.zeros(1)
        >>> log_normal(zero, zero, zero)  # -1/2 log 2 pi
        tensor(-0.9189)
    """
    return -0.5 * (LOG_2PI + log_var + (x - mu) ** 2 * torch.exp(-log_var)).sum(-1)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Log-probability of independent Bernoulli pixels, in nats: minus the binary cross-entropy.

    log p(x) = sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)],  p = sigmoid(logits)

    It is a log-probability only where x is 0 or 1. For grey x it is a cross-entropy with a floor above zero,
    and exp of it is not a density (Loaiza-Ganem & Cunningham 2019).

    Args:
        x: (..., D) in [0, 1].
        logits: (..., D), the log-odds of each pixel, not its probability; broadcast against x.

    Returns:
        (...)

    Example:
        >>> log_bernoulli(torch.tensor([1.0, 0.0]), torch.zeros(2))  # two fair coins: -2 log 2
        tensor(-1.3863)
    """
    x, logits = torch.broadcast_tensors(x, logits)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def sample_normal(mu: Tensor, log_var: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw z = mu + sigma * eps with eps ~ N(0, I), so that gradients reach mu and log_var.

    The reparametrization trick (Kingma & Welling 2014, section 2.4).

    Args:
        mu, log_var: (..., D), of one shape.
        generator: where eps comes from; torch's global one if None.

    Returns:
        (..., D)

    Example:
        >>> sample_normal(torch.full((3,), 5.0), torch.full((3,), -200.0))  # no variance, no noise
        tensor([5., 5., 5.])
    """
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * log_var) * eps


def entropy_normal(log_var: Tensor) -> Tensor:
    """Differential entropy of a diagonal Gaussian, in nats: 1/2 sum_d [1 + log 2 pi + log sigma_d^2].

    Args:
        log_var: (..., D).

    Returns:
        (...)

    Example:
        >>> entropy_normal(torch.zeros(1))
        tensor(1.4189)
    """
    return 0.5 * (1 + LOG_2PI + log_var).sum(-1)


def kl_normal(mu_q: Tensor, log_var_q: Tensor, mu_p: Tensor, log_var_p: Tensor) -> Tensor:
    """KL(q || p) of two diagonal Gaussians, in nats.

    1/2 sum_d [sigma_q^2 / sigma_p^2 + (mu_q - mu_p)^2 / sigma_p^2 - 1 - log(sigma_q^2 / sigma_p^2)]

    Args:
        mu_q, log_var_q, mu_p, log_var_p: (..., D), broadcast against each other.

    Returns:
        (...), never negative.

    Example:
        >>> zero = torch.zeros(2)
        >>> kl_normal(zero + 2, zero, zero, zero)  # two dimensions, each 1/2 * 2^2
        tensor(4.)
    """
    log_ratio = log_var_q - log_var_p
    return 0.5 * (torch.exp(log_ratio) + (mu_q - mu_p) ** 2 * torch.exp(-log_var_p) - 1 - log_ratio).sum(-1)


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, I)), in nats: 1/2 sum_d [mu_d^2 + sigma_d^2 - 1 - log sigma_d^2].

    Kingma & Welling 2014, appendix B.

    Args:
        mu, log_var: (..., D).

    Returns:
        (...), never negative, zero only at mu = 0, log_var = 0.

    Example:
        >>> kl_to_standard_normal(torch.ones(3), torch.zeros(3))
        tensor(1.5000)
    """
    return 0.5 * (mu**2 + torch.exp(log_var) - 1 - log_var).sum(-1)
