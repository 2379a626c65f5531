"""Log-densities, sampling, entropies and Kullback-Leibler divergences of Gaussians, and of Bernoulli pixels.

Every function takes tensors of shape (..., d), or (..., D) for D pixels, sums over the last dimension and returns
(...), in nats, with all constants. A diagonal Gaussian is written as its mean `mu` and the logarithm of its variance
`log_var`, because a network can output any real number for both. A Gaussian with any covariance Sigma is written as its
mean and `scale_tril` (..., d, d), the lower triangular Cholesky factor L of Sigma = L L^T.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "entropy_normal",
    "entropy_normal_full",
    "kl_normal",
    "kl_normal_full",
    "kl_to_standard_normal",
    "log_aggregated_posterior",
    "log_bernoulli",
    "log_continuous_bernoulli",
    "log_normal",
    "log_normal_full",
    "sample_normal",
    "sample_normal_full",
]

LOG_2PI = math.log(2 * math.pi)


def log_normal(x: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """Log-density of a diagonal Gaussian, in nats.

    log N(x; mu, sigma^2) = -1/2 sum_d [log 2 pi + log sigma_d^2 + (x_d - mu_d)^2 / sigma_d^2]

    Args:
        x, mu, log_var: (..., d), broadcast against each other.

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

    It is a log-probability only if x is 0 or 1. For grey x its negative is a cross-entropy with a minimum above zero,
    and exp of the result is not a density (Loaiza-Ganem & Cunningham 2019).

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
        mu, log_var: (..., d), of the same shape.
        generator: source of eps; torch's global generator if None.

    Returns:
        (..., d)

    Example:
        >>> sample_normal(torch.full((3,), 5.0), torch.full((3,), -200.0))  # no variance, no noise
        tensor([5., 5., 5.])
    """
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + torch.exp(0.5 * log_var) * eps


def entropy_normal(log_var: Tensor) -> Tensor:
    """Differential entropy of a diagonal Gaussian, in nats: 1/2 sum_d [1 + log 2 pi + log sigma_d^2].

    Args:
        log_var: (..., d).

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
        mu_q, log_var_q, mu_p, log_var_p: (..., d), broadcast against each other.

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
        mu, log_var: (..., d).

    Returns:
        (...), never negative, zero only at mu = 0, log_var = 0.

    Example:
        >>> kl_to_standard_normal(torch.ones(3), torch.zeros(3))
        tensor(1.5000)
    """
    return 0.5 * (mu**2 + torch.exp(log_var) - 1 - log_var).sum(-1)


def log_continuous_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Log-density of independent continuous Bernoulli pixels, in nats: `log_bernoulli` with its missing constant.

    log p(x) = sum_d [x_d log lambda_d + (1 - x_d) log(1 - lambda_d) + log C(lambda_d)],  lambda = sigmoid(logits),
    where C(lambda) = 2 artanh(1 - 2 lambda) / (1 - 2 lambda), and C(1/2) = 2, makes it integrate to one over [0, 1]
    (Loaiza-Ganem & Cunningham 2019, equation 5). In terms of t = logits, C = t / tanh(t / 2).

    Args:
        x: (..., D) in [0, 1].
        logits: (..., D), broadcast against x. The mean of the density is not sigmoid(logits).

    Returns:
        (...)

    Example:
        >>> log_continuous_bernoulli(torch.tensor([0.3]), torch.zeros(1))  # at logit 0 uniform on [0, 1]
        tensor(0.)
    """
    near_zero = logits.abs() < 1e-2
    t = torch.where(near_zero, 1.0, logits)  # the 1 is not used; it keeps 0 / 0 out of the gradient
    log_c = torch.where(near_zero, math.log(2) + logits**2 / 12, torch.log(t / torch.tanh(t / 2)))
    return log_bernoulli(x, logits) + log_c.expand(torch.broadcast_shapes(x.shape, logits.shape)).sum(-1)


def log_normal_full(x: Tensor, mu: Tensor, scale_tril: Tensor) -> Tensor:
    """Log-density of a Gaussian with any covariance Sigma = L L^T, in nats.

    log N(x; mu, Sigma) = -1/2 [d log 2 pi + ‖L^-1 (x - mu)‖^2] - sum_i log L_ii

    Args:
        x, mu: (..., d).
        scale_tril: (..., d, d), lower triangular L with a positive diagonal.

    Returns:
        (...)

    Example:
        >>> log_normal_full(torch.zeros(2), torch.zeros(2), torch.eye(2))  # -log 2 pi
        tensor(-1.8379)
    """
    eps = torch.linalg.solve_triangular(scale_tril, (x - mu).unsqueeze(-1), upper=False).squeeze(-1)
    return -0.5 * (LOG_2PI + eps**2).sum(-1) - _half_log_det(scale_tril)


def sample_normal_full(mu: Tensor, scale_tril: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw z = mu + L eps with eps ~ N(0, I), a sample of N(mu, L L^T).

    Args:
        mu: (..., d), one mean for each draw.
        scale_tril: (..., d, d), lower triangular L; a single (d, d) is used for all draws.
        generator: source of eps; torch's global generator if None.

    Returns:
        (..., d)

    Example:
        >>> sample_normal_full(torch.tensor([5.0, 6.0]), torch.zeros(2, 2))  # no covariance, no noise
        tensor([5., 6.])
    """
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + (scale_tril @ eps.unsqueeze(-1)).squeeze(-1)


def entropy_normal_full(scale_tril: Tensor) -> Tensor:
    """Differential entropy of a Gaussian with covariance L L^T, in nats: d/2 (1 + log 2 pi) + sum_i log L_ii.

    Args:
        scale_tril: (..., d, d), lower triangular L with a positive diagonal.

    Returns:
        (...)

    Example:
        >>> entropy_normal_full(torch.eye(2))
        tensor(2.8379)
    """
    return 0.5 * scale_tril.shape[-1] * (1 + LOG_2PI) + _half_log_det(scale_tril)


def kl_normal_full(mu_q: Tensor, scale_tril_q: Tensor, mu_p: Tensor, scale_tril_p: Tensor) -> Tensor:
    """KL(q || p) of two Gaussians with any covariances, in nats.

    1/2 [tr(Sigma_p^-1 Sigma_q) + (mu_p - mu_q)^T Sigma_p^-1 (mu_p - mu_q) - d + log det Sigma_p - log det Sigma_q]

    Args:
        mu_q, mu_p: (..., d).
        scale_tril_q, scale_tril_p: (..., d, d), lower triangular Cholesky factors with a positive diagonal.

    Returns:
        (...), never negative.

    Example:
        >>> zero, eye = torch.zeros(2), torch.eye(2)
        >>> kl_normal_full(zero + 2, eye, zero, eye)  # two dimensions, each 1/2 * 2^2
        tensor(4.)
    """
    shift = torch.linalg.solve_triangular(scale_tril_p, (mu_q - mu_p).unsqueeze(-1), upper=False)
    ratio = torch.linalg.solve_triangular(scale_tril_p, scale_tril_q, upper=False)  # L_p^-1 L_q
    quadratic = (ratio**2).sum((-2, -1)) + (shift**2).sum((-2, -1))
    return 0.5 * (quadratic - mu_q.shape[-1]) + _half_log_det(scale_tril_p) - _half_log_det(scale_tril_q)


def log_aggregated_posterior(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """Log-density of the aggregated posterior, in nats: q(z) = 1/N sum_n N(z; mu_n, sigma_n^2).

    A mixture of N diagonal Gaussians, one for each picture (Hoffman & Johnson 2016).

    Args:
        z: (M, d).
        mu, log_var: (N, d).

    Returns:
        (M,)

    Example:
        >>> log_aggregated_posterior(torch.zeros(1, 1), torch.zeros(3, 1), torch.zeros(3, 1))
        tensor([-0.9189])
    """
    return log_normal(z.unsqueeze(-2), mu, log_var).logsumexp(-1) - math.log(len(mu))


def _half_log_det(scale_tril):
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
