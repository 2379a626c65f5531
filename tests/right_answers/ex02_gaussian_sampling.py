"""Right answers to exercise 02, written in other ways than the solution."""

import math

import numpy as np
import torch
from scipy import stats
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence


def sample_addcmul(mu, log_var, eps):
    return torch.addcmul(mu.expand_as(eps), log_var.exp().sqrt().expand_as(eps), eps)


def sample_loop(mu, log_var, eps):
    rows = [[m + s * e for m, s, e in zip(mu, (0.5 * log_var).exp(), noise, strict=True)] for noise in eps]
    return torch.stack([torch.stack(row) for row in rows])


def sample_full_columns(mu, covariance, eps):
    lower = torch.linalg.cholesky(covariance)
    return (mu[:, None] + lower @ eps.T).T


def sample_full_einsum(mu, covariance, eps):
    lower = np.linalg.cholesky(covariance.double().numpy())
    return mu.double().numpy() + np.einsum("ij,nj->ni", lower, eps.double().numpy())


def sample_full_upper(mu, covariance, eps):
    return torch.stack([mu + torch.mv(torch.linalg.cholesky(covariance, upper=True).T, e) for e in eps])


def repair_normal(mu, log_var, n, generator):
    sigma = log_var.mul(0.5).exp()
    return torch.normal(mu.repeat(n, 1, 1), sigma.repeat(n, 1, 1), generator=generator)


def repair_one_at_a_time(mu, log_var, n, generator):
    codes = torch.empty(n, *mu.shape)
    for b in range(mu.shape[0]):
        for d in range(mu.shape[1]):
            codes[:, b, d] = mu[b, d] + log_var[b, d].exp().sqrt() * torch.randn(n, generator=generator)
    return codes


def repair_inverse(mu, log_var, n, generator):  # from uniform noise
    uniform = torch.rand(n, *mu.shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    return mu + torch.exp(0.5 * log_var) * torch.special.ndtri(uniform)


def repair_by_numpy(mu, log_var, n, generator):
    seed = torch.randint(2**31, (1,), generator=generator).item()
    return np.random.default_rng(seed).normal(mu.numpy(), np.exp(log_var.numpy() / 2), size=(n, *mu.shape))


def squared_length_moments(mu, log_var):
    second = mu**2 + log_var.exp()
    fourth = mu**4 + 6 * mu**2 * log_var.exp() + 3 * (2 * log_var).exp()
    return second.sum(1), torch.sqrt((fourth - second**2).sum(1))


def squared_length_chi2(mu, log_var):  # each z²/σ² is noncentral chi-squared with one degree of freedom
    variance = np.exp(log_var.double().numpy())
    shift = mu.double().numpy() ** 2 / variance
    mean = (variance * stats.ncx2.mean(1, shift)).sum(1)
    return mean, np.sqrt((variance**2 * stats.ncx2.var(1, shift)).sum(1))


def best_library(covariance):
    p = MultivariateNormal(torch.zeros(len(covariance)).to(covariance), covariance)
    variances = 1 / p.precision_matrix.diagonal()
    q = Independent(Normal(torch.zeros_like(variances), variances.sqrt()), 1)
    full = MultivariateNormal(torch.zeros_like(variances), torch.diag(variances))
    assert abs(q.entropy() - full.entropy()) < 1e-3
    return variances.log(), kl_divergence(full, p)


def best_entropies(covariance):
    covariance = covariance.double().numpy()
    n = len(covariance)
    determinant = np.linalg.det(covariance)
    variances = [
        determinant / np.linalg.det(np.delete(np.delete(covariance, i, 0), i, 1)) for i in range(n)
    ]  # Cramer's rule for 1 / (inverse)_ii
    h_q = sum(0.5 * math.log(2 * math.pi * math.e * v) for v in variances)
    h_p = 0.5 * math.log((2 * math.pi * math.e) ** n * determinant)
    return np.log(variances), h_p - h_q


def best_by_descent(covariance):
    precision = torch.linalg.inv(covariance.double())
    log_var = torch.zeros(len(covariance), dtype=torch.float64)
    for _ in range(30):  # Newton's method for each latent
        pull = precision.diagonal() * log_var.exp()
        log_var = log_var - (pull - 1) / torch.maximum(pull, torch.ones(()))
    kl = 0.5 * (
        (precision.diagonal() * log_var.exp()).sum()
        - len(precision)
        - log_var.sum()
        + torch.logdet(covariance.double())
    )
    return log_var, kl


def samplers_theory(z, mu, covariance):
    z, mu, covariance = (t.double().numpy() for t in (z, mu, covariance))
    words = []
    for draws in z:
        n, d = draws.shape
        mean, moments = draws.mean(0), np.cov(draws.T)
        word = "fine"
        for i in range(d):
            for j in range(i):
                error = math.sqrt((covariance[i, i] * covariance[j, j] + covariance[i, j] ** 2) / n)
                if abs(moments[i, j] - covariance[i, j]) > 5 * error:
                    word = "covariance"
        if any(abs(moments[i, i] / covariance[i, i] - 1) > 5 * math.sqrt(2 / (n - 1)) for i in range(d)):
            word = "variance"
        if any(abs(mean[i] - mu[i]) > 5 * math.sqrt(covariance[i, i] / n) for i in range(d)):
            word = "mean"
        words.append(word)
    return words


def samplers_standardised(z, mu, covariance):
    scale = covariance.diagonal().sqrt()
    u, truth = (z - mu) / scale, covariance / torch.outer(scale, scale)
    second = torch.einsum("sni,snj->snij", u, u)
    n = z.shape[1]
    first_off = (u.mean(1) / (u.std(1) / n**0.5)).abs().amax(1)
    off = ((second.mean(1) - truth) / (second.std(1) / n**0.5)).abs()
    diagonal = off.diagonal(dim1=1, dim2=2).amax(1)
    rest = (off - torch.diag_embed(off.diagonal(dim1=1, dim2=2))).amax((1, 2))
    return [
        "Mean" if a > 5 else "Variance" if b > 5 else "Covariance" if c > 5 else "Fine"
        for a, b, c in zip(first_off, diagonal, rest, strict=True)
    ]


RIGHT = {
    "gaussian/sample": (sample_addcmul, sample_loop),
    "gaussian/sample_full": (sample_full_columns, sample_full_einsum, sample_full_upper),
    "gaussian/repair": (repair_normal, repair_one_at_a_time, repair_inverse, repair_by_numpy),
    "gaussian/squared_length": (squared_length_moments, squared_length_chi2),
    "gaussian/best_log_var": (best_library, best_entropies, best_by_descent),
    "gaussian/samplers": (samplers_theory, samplers_standardised),
}
