"""Right answers to exercise 08, written in other ways than the solution."""

import math

import numpy as np
import torch
from scipy import linalg, special, stats
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal, kl_divergence


def traverse_stack(z, index, mu, steps):
    centre, spread = mu.mean(0)[index], mu.std(0)[index]
    rows = []
    for step in steps:
        row = z.clone()
        row[index] = centre + spread * step
        rows.append(row)
    return torch.stack(rows)


def traverse_where(z, index, mu, steps):
    here = torch.arange(len(z)) == index
    return torch.where(here, mu.mean(0) + steps[:, None] * mu.std(0), z)


def traverse_numpy(steps, *, mu, z, index):
    latent = np.asarray(mu, dtype=np.float64)[:, index]
    codes = np.tile(np.asarray(z, dtype=np.float64), (len(steps), 1))
    codes[:, index] = np.mean(latent) + np.asarray(steps) * np.std(latent, ddof=1)
    return codes


def recentring_difference(mu, log_var):
    """The KL before and after."""
    q = Normal(mu, (log_var / 2).exp())
    m, s = mu.mean(0), (q.variance + mu**2).mean(0).sub(mu.mean(0) ** 2).sqrt()
    after = Normal((mu - m) / s, q.scale / s)
    prior = Normal(torch.zeros_like(mu), 1.0)
    return (kl_divergence(q, prior) - kl_divergence(after, prior)).mean(0)


def recentring_mixture(mu, log_var):
    saved = []
    for m, v in zip(mu.T, log_var.T, strict=True):
        q = MixtureSameFamily(Categorical(torch.ones(len(m))), Normal(m, (v / 2).exp()))
        saved.append(kl_divergence(Normal(q.mean, q.variance.sqrt()), Normal(0.0, 1.0)))
    return torch.stack(saved)


def linear_vae_matrices(eigenvalues, n_latents):
    """The posterior of every latent, from W."""
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64))[::-1]
    variance = values[n_latents:].mean()
    W = np.zeros((len(values), n_latents))
    np.fill_diagonal(W, np.sqrt(values[:n_latents] - variance))
    M = W.T @ W + variance * np.eye(n_latents)
    A = np.linalg.inv(M) @ W.T
    v = variance * np.diag(np.linalg.inv(M))
    return variance, np.square(W).sum(0), 0.5 * (v + np.diag(A @ np.diag(values) @ A.T) - 1 - np.log(v))


def linear_vae_loop(eigenvalues, n_latents):
    values = sorted(map(float, eigenvalues))
    rest = values[: len(values) - n_latents]
    variance = sum(rest) / len(rest)
    kept = [values[-1 - j] for j in range(n_latents)]
    return (
        variance,
        torch.tensor([value - variance for value in kept]),
        torch.tensor([math.log(value / variance) / 2 for value in kept]),
    )


def total_correlation_mixtures(mu, log_var, z):
    weights, sigma = Categorical(torch.ones(len(mu))), (log_var / 2).exp()
    log_q = MixtureSameFamily(weights, Independent(Normal(mu, sigma), 1)).log_prob(z)
    each = [MixtureSameFamily(weights, Normal(mu[:, j], sigma[:, j])).log_prob(z[:, j]) for j in range(mu.shape[1])]
    return log_q, torch.mean(log_q - sum(each))


def total_correlation_numpy(mu, log_var, z):
    m, s, z = (np.asarray(t, dtype=np.float64) for t in (mu, (log_var / 2).exp(), z))
    logs = stats.norm.logpdf(z[:, None, :], loc=m, scale=s)
    log_q = special.logsumexp(logs.sum(axis=2), axis=1, b=1 / len(m))
    return log_q, np.mean(log_q) - special.logsumexp(logs, axis=1, b=1 / len(m)).sum() / len(z)


def statements_rank(mu, covariance):
    """A density on a grid factorises if its table has rank 1."""
    answers = np.zeros((len(mu), 3), dtype=bool)
    axis = torch.linspace(-4, 4, 41, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)[:, None]
    for row, m, C in zip(answers, mu.double(), covariance.double(), strict=True):
        density = MultivariateNormal(m, C).log_prob(grid).exp().mean(1).reshape(41, 41)
        singular = torch.linalg.svdvals(density)
        row[:] = (
            bool((C[:, 0, 1].abs() < 1e-5).all()),
            abs(np.cov(m.T.numpy())[0, 1]) < 1e-3,
            bool(singular[1] / singular[0] < 1e-3),
        )
    return answers


def statements_quadrature(mu, covariance):
    """Total correlation by quadrature."""
    grid = np.linspace(-6, 6, 241)
    step, answers = grid[1] - grid[0], []
    for m, C in zip(mu.double().numpy(), covariance.double().numpy(), strict=True):
        slope = C[:, 0, 1] / C[:, 0, 0]
        narrow = np.sqrt(C[:, 1, 1] - slope * C[:, 0, 1])
        first = stats.norm.pdf(grid[:, None], m[:, 0], np.sqrt(C[:, 0, 0]))  # (G, N)
        second = stats.norm.pdf(grid[None, :, None], m[:, 1] + slope * (grid[:, None, None] - m[:, 0]), narrow)
        joint = (first[:, None] * second).mean(-1)
        product = np.outer(joint.sum(1), joint.sum(0)) * step**2
        correlation = special.rel_entr(joint, product + 1e-300).sum() * step**2
        centred = m - m.mean(0)
        answers.append(
            [np.allclose(slope, 0, atol=1e-3), abs(np.mean(centred[:, 0] * centred[:, 1])) < 5e-3, correlation < 5e-3]
        )
    return torch.tensor(answers)


def turned_procrustes(z_a, z_b):
    words = []
    for a, b in zip(z_a.double().numpy(), z_b.double().numpy(), strict=True):
        R, _ = linalg.orthogonal_procrustes(a, b)
        between = np.linalg.pinv(a - a.mean(0)) @ (b - b.mean(0))
        if np.allclose(a @ R, b, atol=5e-3):
            words.append("turned")
        elif np.allclose((a - a.mean(0)) @ between, b - b.mean(0), atol=5e-3) and abs(linalg.det(between)) > 1e-2:
            words.append("affine")
        else:
            words.append("different")
    return words


def turned_products(z_b, *, z_a):
    """Scalar products for the rotations, the rank of each code and of all columns for the affine maps."""
    words = []
    for a, b in zip(z_a, z_b, strict=True):
        ranks = {
            torch.linalg.matrix_rank(codes - codes.mean(0), atol=2e-2).item()
            for codes in (a.double(), b.double(), torch.cat([a, b], 1).double())
        }
        same = (a @ a.T - b @ b.T).abs().max() < 1e-2
        words.append("Turned" if same else "Affine" if ranks == {a.shape[1]} else "Different")
    return np.array(words)


RIGHT = {
    "latent/traverse": (traverse_stack, traverse_where, traverse_numpy),
    "latent/recentring": (recentring_difference, recentring_mixture),
    "latent/linear_vae": (linear_vae_matrices, linear_vae_loop),
    "latent/total_correlation": (total_correlation_mixtures, total_correlation_numpy),
    "latent/statements": (statements_rank, statements_quadrature),
    "latent/turned": (turned_procrustes, turned_products),
}
