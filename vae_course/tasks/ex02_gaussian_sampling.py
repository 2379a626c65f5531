"""The tasks of exercise 02, sampling from a Gaussian."""

import math
from functools import partial

import numpy as np
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vae_course.judging.common_mistakes import wrong_draws_from_noise, wrong_noise
from vae_course.judging.task import Close, Mistake, SameMoments, Task, rounded_normal, wide
from vae_course.visible.observe import Draws, Gradients, Seed

__all__ = ["TASKS"]


def rounded_tensor(values):
    """The values as float32, rounded to two decimals."""
    return torch.tensor(np.round(values, 2), dtype=torch.float32)


def away_from_zero(rng, *shape, low=0.4, high=1.5):
    """Draw numbers of both signs in every column of the first axis, none near zero."""
    sign = rng.choice([-1, 1], size=shape)
    sign[1] = -sign[0]
    return rounded_tensor(sign * rng.uniform(low, high, size=shape))


def random_covariance(rng, d, scale):
    """Draw a covariance matrix with standard deviations about `scale` and clear correlations, in hundredths."""
    while True:
        mix = rng.normal(size=(d, d)) + np.eye(d)
        covariance = mix @ mix.T + 0.3 * np.eye(d)
        root = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(root, root)
        spread = scale * rng.uniform(0.7, 1.4, size=d)
        covariance = np.round(correlation * np.outer(spread, spread), 2)
        off_diagonal = np.abs(correlation[~np.eye(d, dtype=bool)])
        if off_diagonal.min() > 0.15 and np.linalg.eigvalsh(correlation).min() > 0.08:
            return covariance


def sigma_of(log_var):
    """σ = exp(½ log σ²)."""
    return (log_var / 2).exp()


# gaussian/sample(mu, log_var, eps)


def draw_sample(rng):
    """Draw log_var away from 0 (where σ, σ² and 1/σ are all 1), and more draws than pictures or latents."""
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    draws = batch + latents
    return {
        "mu": rounded_normal(rng, batch, latents),
        "log_var": away_from_zero(rng, batch, latents),
        "eps": rounded_normal(rng, draws, batch, latents),
    }


def draw_wide_sample(rng):
    """Draw log_var beyond ±10, as an untrained network may emit it."""
    return {
        "mu": rounded_normal(rng, 3, 2),
        "log_var": away_from_zero(rng, 3, 2, low=10.5, high=12.0),
        "eps": rounded_normal(rng, 5, 3, 2),
    }


def sample(mu, log_var, eps):
    """z = μ + σε (lesson 02, section 1), one draw at a time."""
    return torch.stack([mu + log_var.exp().sqrt() * noise for noise in eps])


SAMPLE = Task(
    name="gaussian/sample",
    draw=(draw_sample, draw_sample, draw_wide_sample),
    reference=sample,
    observe=Gradients(("mu", "log_var")),
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        Mistake(
            "variance taken for standard deviation",
            "You stretch the noise by exp(log_var). For log_var = log 4 a draw should typically lie 2 from "
            "its mean: how far do yours lie?",
            lambda mu, log_var, eps: mu + log_var.exp() * eps,
            lambda mu, log_var, eps: (mu + log_var.exp() * eps).detach(),
        ),
        Mistake(
            "a root too many",
            "Your noise is stretched too little for large variances. You take a root twice: count the halves.",
            lambda mu, log_var, eps: mu + (log_var / 4).exp() * eps,
        ),
        Mistake(
            "half the variance instead of its root",
            "You halve the variance, which is not its root. At log_var = 0 the noise should keep its length: "
            "does yours?",
            lambda mu, log_var, eps: mu + 0.5 * log_var.exp() * eps,
        ),
        Mistake(
            "log_var taken for σ",
            "You multiply the noise by log_var as it is. A standard deviation cannot be negative; log_var can.",
            lambda mu, log_var, eps: mu + log_var * eps,
        ),
        Mistake(
            "root of the logarithm",
            "You take the root of log_var, which may be negative. First get the variance from its logarithm, "
            "then its root.",
            lambda mu, log_var, eps: mu + log_var.abs().sqrt() * eps,
            lambda mu, log_var, eps: mu + log_var.sqrt() * eps,
        ),
        Mistake(
            "sign of log_var flipped",
            "Where the variance should be large, your draws lie close together: you have divided by σ.",
            lambda mu, log_var, eps: mu + sigma_of(-log_var) * eps,
        ),
        Mistake(
            "mean forgotten",
            "Your draws lie around zero. Around what should they lie?",
            lambda mu, log_var, eps: sigma_of(log_var) * eps + 0 * mu,
        ),
        Mistake(
            "noise used more than once",
            "Draws that should be independent share their noise. `eps` has its own numbers for each draw of "
            "each picture.",
            lambda mu, log_var, eps: (mu + sigma_of(log_var) * eps[0]).expand_as(eps),
            lambda mu, log_var, eps: mu + sigma_of(log_var) * eps[:, :1],
        ),
        Mistake(
            "mean and spread of another picture",
            "Some of your draws have the mean and the spread of another picture of the batch. Print `mu` after you "
            "have repeated it: does every draw hold the pictures in the same order?",
            lambda mu, log_var, eps: (
                mu.repeat_interleave(len(eps), 0).reshape(eps.shape)
                + sigma_of(log_var).repeat_interleave(len(eps), 0).reshape(eps.shape) * eps
            ),
        ),
        Mistake(
            "no gradient at all",
            "Your draws are right, but no gradient gets back to `mu` and `log_var`, so no encoder could be "
            "trained through them. What takes a tensor out of autograd's graph?",
            lambda mu, log_var, eps: (mu + sigma_of(log_var) * eps).detach(),
        ),
        Mistake(
            "no gradient through σ",
            "Your draws are right, but no gradient gets back to `log_var`: the encoder would never learn how "
            "uncertain to be.",
            lambda mu, log_var, eps: mu + sigma_of(log_var.detach()) * eps,
        ),
        Mistake(
            "squared instead of the root",
            "Your noise is stretched by the square of the variance. Which power of the variance is a standard "
            "deviation?",
            lambda mu, log_var, eps: mu + (2 * log_var).exp() * eps,
        ),
        Mistake(
            "no gradient through μ",
            "Your draws are right, but no gradient gets back to `mu`. Something on the way from mu to z cuts "
            "the graph.",
            lambda mu, log_var, eps: mu.detach() + sigma_of(log_var) * eps,
        ),
        *wrong_draws_from_noise(),
        Mistake(
            "sign of the noise flipped",
            "Your draws have the right distribution, but lie on the other side of the mean: the task asks for "
            "this noise.",
            lambda mu, log_var, eps: mu - sigma_of(log_var) * eps,
        ),
        Mistake(
            "another base",
            "The logarithms are natural: which function undoes one?",
            lambda mu, log_var, eps: mu + (10**log_var).sqrt() * eps,
            lambda mu, log_var, eps: mu + (2**log_var).sqrt() * eps,
            lambda mu, log_var, eps: mu + 2**log_var * eps,
            lambda mu, log_var, eps: mu + 10**log_var * eps,
        ),
        Mistake(
            "one spread for a picture",
            "You use one spread for all latents of a picture. `log_var` has one for each.",
            lambda mu, log_var, eps: mu + sigma_of(log_var.mean(-1, keepdim=True)) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var).mean(-1, keepdim=True) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var).mean() * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var.mean()) * eps,
        ),
        Mistake(
            "noise standardised over the draws",
            "You subtract the mean of the noise over the draws. `eps` is used as it is: after the subtraction "
            "the draws are no longer independent.",
            lambda mu, log_var, eps: mu + sigma_of(log_var) * (eps - eps.mean(0)) / eps.std(0),
            lambda mu, log_var, eps: mu + sigma_of(log_var) * (eps - eps.mean(0)) / eps.std(0, correction=0),
            lambda mu, log_var, eps: mu + sigma_of(log_var) * (eps - eps.mean(0)),
        ),
        Mistake(
            "log_var cut off",
            "You limit log_var before you use it. Inputs here are as large as a network may emit: use them as "
            "they are.",
            lambda mu, log_var, eps: mu + sigma_of(log_var.clamp(max=0)) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var.clamp(-10, 10)) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var.clamp(min=0)) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var.clamp(-1, 1)) * eps,
            lambda mu, log_var, eps: mu + sigma_of(log_var.clamp(-5, 5)) * eps,
        ),
    ),
)


# gaussian/sample_full(mu, covariance, eps)


def draw_sample_full(rng):
    """Draw clear correlations, so that the roots of Σ differ, and more draws than latents."""
    latents = int(rng.integers(2, 5))
    return {
        "mu": rounded_normal(rng, latents, scale=2.0),
        "covariance": rounded_tensor(random_covariance(rng, latents, 1.5)),
        "eps": rounded_normal(rng, int(rng.integers(latents + 1, latents + 4)), latents),
    }


def sample_full(mu, covariance, eps):
    """z = μ + Lε with LLᵀ = Σ (lesson 02, section 3), by NumPy, one draw at a time."""
    lower = np.linalg.cholesky(covariance.numpy())
    return np.stack([mu.numpy() + lower @ e for e in eps.numpy()])


def symmetric_root(covariance):
    """V √Λ Vᵀ, from the eigenvalues and eigenvectors of Σ."""
    return scaled_eigenvectors(covariance) @ torch.linalg.eigh(covariance).eigenvectors.T


def scaled_eigenvectors(covariance):
    """V √Λ, also a root of Σ: neither symmetric nor triangular."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.sqrt()


def correlation_factor(covariance):
    """The Cholesky factor of the correlation matrix."""
    sigma = covariance.diagonal().sqrt()
    return torch.linalg.cholesky(covariance / torch.outer(sigma, sigma))


SAMPLE_FULL = Task(
    name="gaussian/sample_full",
    draw=draw_sample_full,
    reference=sample_full,
    library=("vae_lessons.distributions.sample_normal_full",),
    mistakes=(
        Mistake(
            "L in place of its transpose",
            "Your draws have covariance LᵀL: the ellipse has the right size, but the wrong direction. The noise "
            "is in rows here. Write out the first number of one draw: which numbers of `eps` should it depend on?",
            lambda mu, covariance, eps: mu + eps @ torch.linalg.cholesky(covariance),
        ),
        Mistake(
            "Σ instead of its root",
            "You stretch by Σ. In one dimension that is stretching by the variance; what takes the place of σ?",
            lambda mu, covariance, eps: mu + eps @ covariance,
        ),
        Mistake(
            "roots taken entry by entry",
            "You took the root of each entry, and entries may be negative. Multiply your matrix by its "
            "transpose: do you get Σ?",
            lambda mu, covariance, eps: mu + eps @ covariance.abs().sqrt(),
            lambda mu, covariance, eps: mu + eps @ covariance.sqrt(),
        ),
        Mistake(
            "covariances forgotten",
            "Each coordinate has the right variance, but they are drawn independently. What do the other "
            "entries of Σ say?",
            lambda mu, covariance, eps: mu + eps * covariance.diagonal().sqrt(),
        ),
        Mistake(
            "the factor of the inverse",
            "Your draws spread little where they should spread far. That is what the precision matrix, the "
            "inverse of Σ, would give.",
            lambda mu, covariance, eps: mu + eps @ torch.linalg.cholesky(torch.linalg.inv(covariance)).T,
        ),
        Mistake(
            "another root of Σ",
            "Your draws have the right distribution: this is a root of Σ, too. So that answers can be compared "
            "number by number, use the lower triangular one.",
            lambda mu, covariance, eps: mu + eps @ symmetric_root(covariance),
            lambda mu, covariance, eps: mu + eps @ scaled_eigenvectors(covariance).T,
        ),
        Mistake(
            "the mean stretched, too",
            "You shift before you stretch, so that L acts on μ, too. With eps = 0 every draw should be the mean.",
            lambda mu, covariance, eps: (mu + eps) @ torch.linalg.cholesky(covariance).T,
        ),
        Mistake(
            "mean forgotten",
            "Your draws lie around zero. Around what should they lie?",
            lambda mu, covariance, eps: eps @ torch.linalg.cholesky(covariance).T,
        ),
        Mistake(
            "the factor of the correlations",
            "Your draws have the right correlations, but not the right variances: the factor is one of the "
            "correlation matrix.",
            lambda mu, covariance, eps: mu + eps @ correlation_factor(covariance).T,
        ),
        Mistake(
            "something added to the diagonal",
            "You add a number to the diagonal before you factorise, or a wrong one on it remains. Multiply "
            "your L by its transpose: is it Σ to all digits?",
            lambda mu, covariance, eps: (
                mu + eps @ torch.linalg.cholesky(covariance + 1e-1 * torch.eye(len(mu), dtype=covariance.dtype)).T
            ),
            lambda mu, covariance, eps: (
                mu + eps @ torch.linalg.cholesky(covariance + 1e-2 * torch.eye(len(mu), dtype=covariance.dtype)).T
            ),
            lambda mu, covariance, eps: (
                mu + eps @ torch.linalg.cholesky(covariance + 1e-3 * torch.eye(len(mu), dtype=covariance.dtype)).T
            ),
            lambda mu, covariance, eps: (
                mu + eps @ torch.linalg.cholesky(covariance + 1e-4 * torch.eye(len(mu), dtype=covariance.dtype)).T
            ),
        ),
        Mistake(
            "the triangle of Σ itself",
            "You take the lower triangle of Σ. Multiply it by its transpose: do you get Σ?",
            lambda mu, covariance, eps: mu + eps @ covariance.tril().T,
            lambda mu, covariance, eps: mu + eps @ covariance.tril(),
        ),
        Mistake(
            "variances for standard deviations, no covariances",
            "Each coordinate is drawn independently and stretched by its variance. What do the other entries "
            "of Σ say, and what takes the place of σ?",
            lambda mu, covariance, eps: mu + eps * covariance.diagonal(),
        ),
        Mistake(
            "whitened",
            "You solve with L. That takes correlations out of draws that have them; the noise has none, and "
            "is to get them.",
            lambda mu, covariance, eps: (
                mu + torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), eps.T, upper=False).T
            ),
            lambda mu, covariance, eps: (
                torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (eps - mu).T, upper=False).T
            ),
            lambda mu, covariance, eps: mu + torch.linalg.solve(covariance, eps.T).T,
        ),
        Mistake(
            "the same draw N times",
            "All rows are the same draw. `eps` has a row for each.",
            lambda mu, covariance, eps: mu + (eps[:1] @ torch.linalg.cholesky(covariance).T).expand_as(eps),
        ),
        Mistake(
            "another triangular root",
            "Your factor is a root of Σ, but an upper triangular one, or Σ's with its latents in another "
            "order. The task asks for the lower triangular one.",
            lambda mu, covariance, eps: mu + eps @ torch.linalg.cholesky(covariance.flip(0, 1)).flip(0, 1).T,
            lambda mu, covariance, eps: mu + eps @ torch.linalg.cholesky(covariance.flip(0, 1)).T,
        ),
        Mistake(
            "stretched twice",
            "The noise is stretched by the standard deviations and by L as well. L holds them already.",
            lambda mu, covariance, eps: mu + (eps * covariance.diagonal().sqrt()) @ torch.linalg.cholesky(covariance).T,
            lambda mu, covariance, eps: mu + covariance.diagonal().sqrt() * (eps @ torch.linalg.cholesky(covariance).T),
            lambda mu, covariance, eps: (
                mu + eps @ (torch.linalg.cholesky(covariance) @ torch.linalg.cholesky(covariance)).T
            ),
        ),
    ),
)


# gaussian/repair(mu, log_var, n, generator)


def draw_repair(rng):
    """Draw log_var far from 0 on both sides, and n large enough for moments and tails to tell a fault from chance."""
    return {
        "mu": rounded_normal(rng, 2, 3),
        "log_var": away_from_zero(rng, 2, 3, low=0.7, high=1.2),
        "n": int(rng.integers(1800, 2200)),
        "generator": Seed(int(rng.integers(2**31))),
    }


def repair(mu, log_var, n, generator):
    """Draw n codes for each picture by PyTorch's own sampler."""
    shape = (n, *mu.shape)
    return torch.normal(mu.expand(shape), (log_var / 2).exp().expand(shape), generator=generator)


def drawn_codes(noise, mu, log_var, n, generator):
    """Draw μ + σε with this noise: (n, B, d)."""
    return mu + sigma_of(log_var) * noise((n, *mu.shape), generator)


def stretched_codes(stretch, mu, log_var, n, generator):
    """Draw μ + stretch(log σ²) ε: (n, B, d)."""
    return mu + stretch(log_var) * torch.randn((n, *mu.shape), generator=generator)


def one_draw(shape, generator):
    """The same noise for all draws."""
    return torch.randn(shape[1:], generator=generator).expand(shape)


def pairs(shape, generator):
    """Draw half of the noise, and take the other half with the opposite sign."""
    half = torch.randn(((shape[0] + 1) // 2, *shape[1:]), generator=generator)
    return torch.cat([half, -half])[: shape[0]]


REPAIR = Task(
    name="gaussian/repair",
    draw=(draw_repair, wide(draw_repair, "log_var")),
    reference=repair,
    observe=Draws(),
    agree=SameMoments(),
    cases=2,
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        *wrong_noise(drawn_codes),
        Mistake(
            "the same draw n times",
            "All n draws are the same one. How many random numbers does a result of shape (n, B, d) need?",
            partial(drawn_codes, one_draw),
        ),
        Mistake(
            "draws that depend on one another",
            "Each draw by itself may be right, but the n draws are not independent: some of them tell something "
            "about the others. Compare a draw with the next one and with the one n/2 later, and the mean of all n with "
            "the mean of another n. Which of your lines makes one draw's noise from that of others?",
            partial(drawn_codes, pairs),
        ),
        Mistake(
            "variance still taken for standard deviation",
            "Take one latent with a large variance and one with a small one, and compare the standard deviation "
            "of your draws with σ.",
            partial(stretched_codes, lambda log_var: log_var.exp()),
        ),
        Mistake(
            "half the variance instead of its root",
            "Your draws have exp(log_var) / 2 for their standard deviation. Half a number is not its root: what are "
            "they at log_var = 0?",
            partial(stretched_codes, lambda log_var: log_var.exp() / 2),
        ),
        Mistake(
            "log_var taken for σ",
            "The standard deviation of your draws is the size of log_var itself. At log_var = 0, where the variance is "
            "1, do they vary?",
            partial(stretched_codes, lambda log_var: log_var),
        ),
        Mistake(
            "root of the logarithm",
            "The standard deviation of your draws is the root of the size of log_var, which is a logarithm and may be "
            "negative. First get the variance from its logarithm, then its root.",
            partial(stretched_codes, lambda log_var: log_var.abs().sqrt()),
        ),
        Mistake(
            "a root too many",
            "The standard deviation of your draws is the root of σ. Count the halves: which number is exp(log_var)?",
            partial(stretched_codes, lambda log_var: (log_var / 4).exp()),
        ),
        Mistake(
            "sign of log_var flipped",
            "Where the variance should be large, your draws lie close together.",
            partial(stretched_codes, lambda log_var: sigma_of(-log_var)),
        ),
        Mistake(
            "standard deviation 1 everywhere",
            "All your latents have standard deviation 1, whatever log_var says.",
            partial(stretched_codes, torch.ones_like),
        ),
        Mistake(
            "mean forgotten",
            "Your draws lie around zero. Around what should they lie?",
            lambda mu, log_var, n, generator: stretched_codes(sigma_of, 0 * mu, log_var, n, generator),
        ),
    ),
)


# gaussian/squared_length(mu, log_var)


def draw_squared_length(rng):
    """Draw mu and log_var away from 0, so that every term matters, and one more latent than pictures."""
    batch = int(rng.integers(2, 4))
    return {"mu": away_from_zero(rng, batch, batch + 1), "log_var": away_from_zero(rng, batch, batch + 1, high=1.2)}


def squared_length(mu, log_var):
    """Gauss-Hermite quadrature, which is exact for polynomials."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    z = mu.numpy()[..., None] + np.exp(log_var.numpy() / 2)[..., None] * nodes
    second, fourth = ((z**power * weights).sum(-1) / math.sqrt(2 * math.pi) for power in (2, 4))
    return second.sum(-1), np.sqrt((fourth - second**2).sum(-1))


def mean_square(mu, log_var):
    """E[|z|²] = Σ (μ² + σ²)."""
    return (mu**2 + log_var.exp()).sum(-1)


def spread_of_square(mu, log_var, of_cross_term=4.0, of_noise=2.0):
    """The standard deviation of |z|²: z² varies by 2μσε, with variance 4μ²σ², and by σ²ε², with variance 2σ⁴."""
    variance = log_var.exp()
    return (of_cross_term * mu**2 * variance + of_noise * variance**2).sum(-1).sqrt()


def both_numbers(mu, log_var):
    """The mean and the standard deviation of |z|²."""
    return mean_square(mu, log_var), spread_of_square(mu, log_var)


SQUARED_LENGTH = Task(
    name="gaussian/squared_length",
    draw=(draw_squared_length, wide(draw_squared_length, "log_var")),
    reference=squared_length,
    mistakes=(
        Mistake(
            "mean code only",
            "Your first number is the squared length of the mean code. Let mu be 0: is every draw at the origin?",
            lambda mu, log_var: ((mu**2).sum(-1), spread_of_square(mu, log_var)),
        ),
        Mistake(
            "around the mean, not the origin",
            "Your numbers do not depend on mu: they measure how far a draw lies from its mean. The task asks how "
            "far it lies from the origin.",
            lambda mu, log_var: both_numbers(0 * mu, log_var),
        ),
        Mistake(
            "mu forgotten in the second number",
            "Your mean is right. For the second number let σ be tiny and mu large: then z² is nearly μ² + 2μσε. "
            "How much does that vary?",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_cross_term=0.0)),
        ),
        Mistake(
            "one average variance in the second number",
            "Your mean is right. In the second number all latents of a picture have the same, average variance. Which "
            "powers of σ does it hold, and is the average of a power the power of an average?",
            lambda mu, log_var: (
                mean_square(mu, log_var),
                spread_of_square(mu, log_var.exp().mean(-1, keepdim=True).log().expand_as(mu)),
            ),
        ),
        Mistake(
            "a factor lost in the second number",
            "Your mean is right. For tiny σ, z² is nearly μ² + 2μσε: what is the variance of a number times ε?",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_cross_term=2.0)),
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_cross_term=1.0)),
        ),
        Mistake(
            "ε² given the wrong variance",
            "Your mean is right. For mu = 0 and σ = 1 the second number should be √(2d): E[ε⁴] is 3, but a variance "
            "subtracts a square.",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_noise=1.0)),
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_noise=3.0)),
        ),
        Mistake(
            "the rule for standard noise in the second number",
            "Your mean is right. The second number follows the lesson's √(2d), which is for mu = 0 and σ = 1. Let "
            "σ be tiny: should it vanish, and does it?",
            lambda mu, log_var: (mean_square(mu, log_var), torch.full(mu.shape[:1], math.sqrt(2 * mu.shape[1]))),
            lambda mu, log_var: (mean_square(mu, log_var), (2 * mean_square(mu, log_var)).sqrt()),
        ),
        Mistake(
            "variance for standard deviation",
            "Your mean is right. The second number is a variance; the task asks for its root.",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var) ** 2),
        ),
        Mistake(
            "standard deviations added up",
            "Your mean is right. You add up standard deviations of independent terms. What adds up instead?",
            lambda mu, log_var: (
                mean_square(mu, log_var),
                spread_of_square(mu[..., None], log_var[..., None]).sum(-1),
            ),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as σ and square it once more. What is exp(log σ²)?",
            lambda mu, log_var: both_numbers(mu, 2 * log_var),
        ),
        Mistake(
            "σ taken for σ²",
            "You add something that is measured in the unit of z. In which unit is |z|²?",
            lambda mu, log_var: both_numbers(mu, log_var / 2),
        ),
        Mistake(
            "mean over the latents",
            "You average over the latents. The squared length is a sum over coordinates.",
            lambda mu, log_var: ((mu**2 + log_var.exp()).mean(-1), spread_of_square(mu, log_var)),
            lambda mu, log_var: (
                mean_square(mu, log_var) / mu.shape[1],
                spread_of_square(mu, log_var) / math.sqrt(mu.shape[1]),
            ),
        ),
        Mistake(
            "the rule for standard noise",
            "Your numbers are d and √(2d), whatever mu and log_var are. Those are for mu = 0 and σ = 1. What "
            "is the mean of one z²?",
            lambda mu, log_var: (
                torch.full_like(mu[:, 0], mu.shape[1]),
                torch.full_like(mu[:, 0], math.sqrt(2 * mu.shape[1])),
            ),
        ),
        Mistake(
            "mu forgotten in the mean",
            "Your first number does not depend on mu. Let σ be tiny: where are the draws, and how far is that "
            "from the origin?",
            lambda mu, log_var: (log_var.exp().sum(-1), spread_of_square(mu, log_var)),
        ),
        Mistake(
            "the noise's own square forgotten",
            "In the second number let mu be 0: z² is σ²ε², which varies too.",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var, of_noise=0.0)),
            lambda mu, log_var: (mean_square(mu, log_var), (2 * mu.abs() * sigma_of(log_var)).sum(-1)),
        ),
        Mistake(
            "a mean square for a variance",
            "Your second number is a mean of z⁴, not a variance. A variance subtracts the square of a mean.",
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (mu**4 + 6 * mu**2 * log_var.exp() + 3 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (mu**4 + 6 * mu**2 * log_var.exp() + 3 * log_var.exp() ** 2).sum(-1),
            ),
        ),
        Mistake(
            "one square subtracted for all",
            "You subtract the square of the whole mean from a sum over latents. Each latent has a variance of "
            "its own; what adds up?",
            lambda mu, log_var: (
                mean_square(mu, log_var),
                ((mu**4 + 6 * mu**2 * log_var.exp() + 3 * log_var.exp() ** 2).sum(-1) - mean_square(mu, log_var) ** 2)
                .abs()
                .sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (mu**4 + 6 * mu**2 * log_var.exp() + 3 * log_var.exp() ** 2 - mean_square(mu, log_var)[:, None] ** 2)
                .abs()
                .sum(-1)
                .sqrt(),
            ),
        ),
        Mistake(
            "a wrong power in the cross term",
            "In the second number, z² varies by 2μσε for tiny σ. Check the powers of mu and of σ in the "
            "variance of that.",
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (4 * mu**2 * sigma_of(log_var) + 2 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (4 * mu.abs() * log_var.exp() + 2 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (4 * mu * log_var.exp() + 2 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (4 * mu**2 * log_var.exp() ** 2 + 2 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                (2 * mu * log_var.exp() + 2 * log_var.exp() ** 2).sum(-1).sqrt(),
            ),
        ),
        Mistake(
            "log_var as it is",
            "You use log_var as a variance. It may be negative; which function undoes a logarithm?",
            lambda mu, log_var: both_numbers(mu, log_var.log()),
            lambda mu, log_var: ((mu**2 + log_var).sum(-1), spread_of_square(mu, log_var)),
            lambda mu, log_var: (
                (mu**2 + log_var).sum(-1),
                (4 * mu**2 * log_var + 2 * log_var**2).sum(-1).abs().sqrt(),
            ),
            lambda mu, log_var: (
                (mu**2 + log_var**2).sum(-1),
                (4 * mu**2 * log_var**2 + 2 * log_var**4).sum(-1).sqrt(),
            ),
        ),
        Mistake(
            "square of a sum",
            "You square after adding something up. |z|² adds up squares.",
            lambda mu, log_var: (((mu + sigma_of(log_var)) ** 2).sum(-1), spread_of_square(mu, log_var)),
            lambda mu, log_var: (mu.sum(-1) ** 2 + log_var.exp().sum(-1), spread_of_square(mu, log_var)),
            lambda mu, log_var: (
                mu.sum(-1) ** 2 + log_var.exp().sum(-1),
                (4 * mu.sum(-1) ** 2 * log_var.exp().sum(-1) + 2 * log_var.exp().sum(-1) ** 2).sqrt(),
            ),
        ),
        Mistake(
            "the mean variance in the second number",
            "Your second number uses the mean of the variances, as if all latents had the same. The variances "
            "of z² add up, latent by latent.",
            lambda mu, log_var: (mean_square(mu, log_var), math.sqrt(2 * mu.shape[1]) * log_var.exp().mean(-1)),
            lambda mu, log_var: (
                mean_square(mu, log_var),
                math.sqrt(2 * mu.shape[1]) * spread_of_square(mu, log_var) / math.sqrt(mu.shape[1]),
            ),
        ),
        Mistake(
            "a number of latents too much",
            "Your second number is divided by the root of d. Is the standard deviation asked for that of a "
            "sum, or that of a mean?",
            lambda mu, log_var: (mean_square(mu, log_var), spread_of_square(mu, log_var) / math.sqrt(mu.shape[1])),
        ),
    ),
)


# gaussian/best_log_var(covariance)


def draw_best_log_var(rng):
    """Draw three or four latents with clear correlations, so that all ways to take variances from Σ differ."""
    covariance = random_covariance(rng, int(rng.integers(3, 5)), float(rng.uniform(0.6, 1.6)))
    return {"covariance": rounded_tensor(covariance)}


def best_log_var(covariance):
    """The variance of each latent given the others, by regression; the KL from PyTorch."""
    left = []
    for i in range(len(covariance)):
        rest = [j for j in range(len(covariance)) if j != i]
        to_rest = covariance[i, rest]
        left.append(covariance[i, i] - to_rest @ torch.linalg.solve(covariance[rest][:, rest], to_rest))
    return torch.stack(left).log(), kl_to_posterior(torch.stack(left), covariance)


def kl_to_posterior(variances, covariance):
    """KL(q‖p) of the diagonal q with these variances and the true posterior p."""
    return kl_divergence(zero_mean_normal(torch.diag(variances)), zero_mean_normal(covariance))


def kl_from_posterior(variances, covariance):
    """KL(p‖q), the other direction."""
    return kl_divergence(zero_mean_normal(covariance), zero_mean_normal(torch.diag(variances)))


def zero_mean_normal(covariance):
    """N(0, Σ)."""
    return MultivariateNormal(torch.zeros(len(covariance), dtype=covariance.dtype), covariance)


def best_variances(covariance):
    """v = 1/Λᵢᵢ with the precision matrix Λ = Σ⁻¹ (lesson 02, section 6)."""
    return 1 / torch.linalg.inv(covariance).diagonal()


def right_log_var(covariance):
    """The right first result."""
    return best_variances(covariance).log()


def right_loss(covariance):
    """The right second result."""
    return kl_to_posterior(best_variances(covariance), covariance)


def log_var_and_loss(variances, covariance):
    """The results if these variances were the best."""
    return variances.log(), kl_to_posterior(variances, covariance)


def entropy(log_det, d):
    """½ log((2πe)ᵈ |Σ|), the entropy of a Gaussian (lesson 02, section 5)."""
    return 0.5 * (d * math.log(2 * math.pi * math.e) + log_det)


def squared_correlations(covariance):
    """The squares of the correlations of every two latents, with 0 on the diagonal."""
    sigma = covariance.diagonal().sqrt()
    return (covariance / torch.outer(sigma, sigma)).square().fill_diagonal_(0)


def pairs_of_latents(covariance):
    """The nats that are lost for each pair alone, added up."""
    return -0.25 * (1 - squared_correlations(covariance)).log().sum()


def left_by_pairs(covariance):
    """σ² times 1 − ρ² for each of the others."""
    return covariance.diagonal() * (1 - squared_correlations(covariance)).prod(1)


BEST_LOG_VAR = Task(
    name="gaussian/best_log_var",
    draw=draw_best_log_var,
    reference=best_log_var,
    agree=Close(rtol=1e-3, atol=1e-4),
    mistakes=(
        Mistake(
            "the best q for the other KL",
            "Those are the variances of p itself, the best ones for KL(p‖q). The gap between a VAE's bound and "
            "log p(x) is a KL, too: over which distribution does its expectation run, the one that the encoder "
            "draws from, or the true posterior?",
            lambda covariance: (
                covariance.diagonal().log(),
                kl_from_posterior(covariance.diagonal(), covariance),
            ),
            lambda covariance: log_var_and_loss(covariance.diagonal(), covariance),
        ),
        Mistake(
            "variances for log-variances",
            "The variances and the loss are right, but the encoder emits logarithms of variances.",
            lambda covariance: (best_variances(covariance), right_loss(covariance)),
        ),
        Mistake(
            "log σ for log σ²",
            "The loss is right. You return log σ; the encoder emits log σ².",
            lambda covariance: (right_log_var(covariance) / 2, right_loss(covariance)),
        ),
        Mistake(
            "precisions for variances",
            "You take the diagonal of the precision matrix for variances, which gives log_var the wrong sign. A "
            "precision is large where q must be narrow.",
            lambda covariance: (-right_log_var(covariance), right_loss(covariance)),
            lambda covariance: log_var_and_loss(1 / best_variances(covariance), covariance),
        ),
        Mistake(
            "the factor's diagonal",
            "You took the diagonal of the Cholesky factor. Its squares are the variances left to each latent "
            "when those before it are known; your answer depends on the order of the latents.",
            lambda covariance: log_var_and_loss(torch.linalg.cholesky(covariance).diagonal() ** 2, covariance),
            lambda covariance: (2 * torch.linalg.cholesky(covariance).diagonal().log(), right_loss(covariance)),
            lambda covariance: (2 * torch.linalg.cholesky(covariance).diagonal().log(), torch.zeros(())),
        ),
        Mistake(
            "the eigenvalues",
            "Eigenvalues are variances along the axes of p's ellipse. The encoder's q can only have its axes "
            "along the coordinates.",
            lambda covariance: log_var_and_loss(torch.linalg.eigvalsh(covariance), covariance),
            lambda covariance: (torch.linalg.eigvalsh(covariance).log(), right_loss(covariance)),
            lambda covariance: (torch.linalg.eigvalsh(covariance).log(), torch.zeros(())),
        ),
        Mistake(
            "the loss under the other KL",
            "Your log-variances are right. The loss is KL(p‖q); what the bound loses is the other direction.",
            lambda covariance: (right_log_var(covariance), kl_from_posterior(best_variances(covariance), covariance)),
        ),
        Mistake(
            "forgot the ½ in the loss",
            "Your log-variances are right. Your loss is too large by a factor: log σ is half of log σ².",
            lambda covariance: (right_log_var(covariance), 2 * right_loss(covariance)),
        ),
        Mistake(
            "sign of the loss flipped",
            "Your log-variances are right. Your loss is negative, but q cannot do better than the true posterior.",
            lambda covariance: (right_log_var(covariance), -right_loss(covariance)),
        ),
        Mistake(
            "an entropy for the loss",
            "Your log-variances are right. Your second number is the entropy of q or of p. How much of p's entropy "
            "does q lack?",
            lambda covariance: (right_log_var(covariance), entropy(right_log_var(covariance).sum(), len(covariance))),
            lambda covariance: (right_log_var(covariance), entropy(torch.logdet(covariance), len(covariance))),
        ),
        Mistake(
            "bits instead of nats",
            "Your log-variances are right. The loss is right in bits. This course counts in nats.",
            lambda covariance: (right_log_var(covariance), right_loss(covariance) / math.log(2)),
        ),
        Mistake(
            "the loss set to 0",
            "Your log-variances are right. But q has no correlations, and p has: can the bound be as high as log p(x)?",
            lambda covariance: (right_log_var(covariance), torch.zeros(())),
        ),
        Mistake(
            "the loss of p's own variances",
            "Your log-variances are right, but the loss belongs to a q with the variances of p itself.",
            lambda covariance: (right_log_var(covariance), kl_from_posterior(covariance.diagonal(), covariance)),
            lambda covariance: (right_log_var(covariance), kl_to_posterior(covariance.diagonal(), covariance)),
        ),
        Mistake(
            "p's own variances",
            "Your first result holds the variances of p itself. Those are the best for KL(p‖q). Over which "
            "distribution does the expectation in a VAE's bound run?",
            lambda covariance: (covariance.diagonal().log(), right_loss(covariance)),
            lambda covariance: (covariance.diagonal().log(), torch.zeros(())),
        ),
        Mistake(
            "a term of the KL forgotten",
            "Your log-variances are right. Compute your loss for a diagonal Σ: is it 0?",
            lambda covariance: (right_log_var(covariance), right_loss(covariance) - len(covariance) / 2),
            lambda covariance: (right_log_var(covariance), right_loss(covariance) + len(covariance) / 2),
            lambda covariance: (right_log_var(covariance), 0.5 * torch.logdet(covariance)),
            lambda covariance: (right_log_var(covariance), -0.5 * right_log_var(covariance).sum()),
            lambda covariance: (right_log_var(covariance), 0.5 * right_log_var(covariance).sum()),
            lambda covariance: (
                right_log_var(covariance),
                0.5 * (torch.logdet(covariance) + right_log_var(covariance).sum()),
            ),
            lambda covariance: (
                right_log_var(covariance),
                0.5 * (right_log_var(covariance).sum() - torch.logdet(torch.linalg.inv(covariance))),
            ),
        ),
        Mistake(
            "determinants without a logarithm",
            "Your log-variances are right. In the loss, entropies are compared: there the logarithm of a "
            "determinant stands, not the determinant.",
            lambda covariance: (
                right_log_var(covariance),
                0.5 * (torch.det(covariance) - best_variances(covariance).prod()),
            ),
            lambda covariance: (
                right_log_var(covariance),
                0.5 * (torch.det(covariance) - right_log_var(covariance).sum()),
            ),
            lambda covariance: (
                right_log_var(covariance),
                0.5 * torch.det(covariance) / best_variances(covariance).prod(),
            ),
        ),
        Mistake(
            "one variance for all latents",
            "You give all latents one variance. The encoder emits one for each.",
            lambda covariance: log_var_and_loss(covariance.diagonal().mean().expand(len(covariance)), covariance),
            lambda covariance: log_var_and_loss(
                (len(covariance) / torch.linalg.inv(covariance).trace()).expand(len(covariance)), covariance
            ),
            lambda covariance: (covariance.diagonal().mean().log().expand(len(covariance)), right_loss(covariance)),
        ),
        Mistake(
            "inverted entry by entry",
            "You take 1 over the diagonal of Σ, or its logarithm with the other sign. The inverse of a matrix "
            "is not taken entry by entry.",
            lambda covariance: (-covariance.diagonal().log(), right_loss(covariance)),
            lambda covariance: log_var_and_loss(1 / covariance.diagonal(), covariance),
        ),
        Mistake(
            "the rule for two latents",
            "You use pairs of latents, as if there were two. With three or more, what is left of a latent "
            "when all the others are known?",
            lambda covariance: (right_log_var(covariance), pairs_of_latents(covariance)),
            lambda covariance: (left_by_pairs(covariance).log(), pairs_of_latents(covariance)),
            lambda covariance: (left_by_pairs(covariance).log(), right_loss(covariance)),
            lambda covariance: (
                right_log_var(covariance),
                -0.5 * torch.log(1 - covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1]),
            ),
        ),
        Mistake(
            "the prior for the posterior",
            "Your variances are those of the prior, 1. The task asks for the best q for p.",
            lambda covariance: (torch.zeros(len(covariance)), kl_to_posterior(torch.ones(len(covariance)), covariance)),
            lambda covariance: (torch.zeros(len(covariance)), right_loss(covariance)),
        ),
    ),
)


# gaussian/samplers(z, mu, covariance)

FINE, MEAN, VARIANCE, COVARIANCE = "fine", "mean", "variance", "covariance"


def draws_with_moments(rng, n, mean, covariance):
    """Draw n vectors with exactly this sample mean and covariance."""
    eps = rng.normal(size=(n, len(mean)))
    eps -= eps.mean(0)
    eps = eps @ np.linalg.inv(np.linalg.cholesky(eps.T @ eps / n)).T
    return mean + eps @ np.linalg.cholesky(covariance).T


def standard_errors(covariance, n):
    """Standard errors of the entries of a covariance matrix from n Gaussian draws; for a variance √2 σ²/√n."""
    variances = np.diag(covariance)
    return np.sqrt((np.outer(variances, variances) + covariance**2) / n)


def random_claim(rng, d):
    """Draw a mean and a covariance matrix, with clear correlations and standard deviations near 0.05, 1 and 20."""
    correlation = np.eye(d)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        correlation[i, j] = correlation[j, i] = rng.choice([-1, 1]) * rng.uniform(0.3, 0.4)
    if np.linalg.det(correlation) < 0.3:  # the signs are incompatible
        correlation[0, 1] = correlation[1, 0] = -correlation[0, 1]
    sigma = rng.permutation([0.05, 1.0, 20.0]) * rng.uniform(0.8, 1.2, size=d)
    mu = rng.choice([-1, 1], size=d) * rng.uniform(1, 3, size=d) * sigma
    return mu, correlation * np.outer(sigma, sigma)


def small_errors(rng, d):
    """Draw errors of a mean and of a covariance matrix, in standard errors, all below one."""
    mean_off = rng.uniform(-0.7, 0.7, size=d)
    covariance_off = rng.uniform(-0.7, 0.7, size=(d, d))
    return mean_off, np.tril(covariance_off) + np.tril(covariance_off, -1).T


def nearly_right_draws(rng, n, mu, covariance, *, mean=None, variance=None, pair=None, errors=0.0, mean_errors=0.0):
    """Draw n vectors with one moment off by `errors` standard errors, and the others by less than one.

    That moment is the mean or the variance of one latent, or the covariance of a pair. Far off means more than 5. If a
    variance is far off, a covariance may be as well, and `mean_errors` may say that this latent's mean is.
    """
    d, sigma = len(mu), np.sqrt(np.diag(covariance))
    mean_off, covariance_off = small_errors(rng, d)
    stretch = np.ones(d)
    if mean is not None:
        mean_off[mean] = errors
    if variance is not None and abs(errors) < 5:
        covariance_off[variance, variance] = errors
    elif variance is not None:
        change = errors * math.sqrt(2 / n)  # relative to the variance
        stretch[variance] = math.sqrt(1 + change)
        if errors > 0:  # one grows and one shrinks, so that the total variance in standard errors stays the same
            stretch[(variance + 1) % d] = math.sqrt(1 - change)
        if mean_errors:
            mean_off[variance] = mean_errors
    if pair is not None:
        i, j = pair
        covariance_off[i, j] = covariance_off[j, i] = -np.sign(covariance[i, j]) * abs(errors)  # towards independence
    drawn_mean = mu + mean_off * sigma / math.sqrt(n)
    drawn_covariance = (covariance + covariance_off * standard_errors(covariance, n)) * np.outer(stretch, stretch)
    return draws_with_moments(rng, n, drawn_mean, drawn_covariance)


def draw_samplers(rng, few):
    """Fifteen samplers, in any order; each moment is off by less than one standard error, by 3.3, or by 8 to 13.

    With few draws 3.3 standard errors are more than 11 are with many, so that no fixed tolerance is right for both.
    """
    n, d = int(rng.integers(400, 500)) if few else int(rng.integers(6400, 7000)), 3
    mu, covariance = random_claim(rng, d)
    nearly_right = partial(nearly_right_draws, rng, n, mu, covariance)

    def far():
        return rng.uniform(11, 13)

    def far_variance():  # with few draws only a shrinking one can be that far off and have a clear standard error
        return -rng.uniform(8, 9) if few else far()

    latents = rng.permutation(d)
    draws = [
        nearly_right(),
        nearly_right(mean=latents[0], errors=3.3 * rng.choice([-1, 1])),
        nearly_right(variance=latents[1], errors=3.3 * (1 if few else rng.choice([-1, 1]))),
        nearly_right(pair=sorted(latents[:2]), errors=3.3),
        nearly_right(variance=latents[2], errors=far_variance(), mean_errors=8 * rng.choice([-1, 1])),
        nearly_right(variance=latents[0], pair=sorted(latents[1:]), errors=far_variance()),
        *(nearly_right(mean=k, errors=far() * sign) for k, sign in enumerate(rng.permutation([-1, 1, -1]))),
        *(nearly_right(variance=k, errors=far_variance()) for k in range(d)),
        *(nearly_right(pair=pair, errors=far()) for pair in ((0, 1), (0, 2), (1, 2))),
    ]
    order = rng.permutation(len(draws))
    values = (np.stack([draws[k] for k in order]), mu, covariance)
    return {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in zip(("z", "mu", "covariance"), values, strict=True)
    }


def in_standard_errors(z, mu, covariance):
    """For each sampler the largest miss of a mean, of a variance and of a covariance, in errors by the claim."""
    z, mu, covariance = z.numpy(), mu.numpy(), covariance.numpy()
    n, upper = z.shape[1], np.triu_indices(len(mu), 1)
    rows = []
    for draws in z:
        mean_off = np.abs(draws.mean(0) - mu) / np.sqrt(np.diag(covariance) / n)
        covariance_off = np.abs(np.cov(draws.T) - covariance) / standard_errors(covariance, n)
        rows.append([mean_off.max(), np.diag(covariance_off).max(), covariance_off[upper].max()])
    return np.array(rows)


def samplers(z, mu, covariance):
    """Every moment within 5 standard errors (the lesson's rule), with errors that follow from the claim."""
    names = (MEAN, VARIANCE, COVARIANCE, FINE)
    return [names[[*(row > 5), True].index(True)] for row in in_standard_errors(z, mu, covariance)]


def what_decides(z, mu, covariance):
    """The largest misses of each sampler, for a list of words that no known mistake explains."""
    rows = "; ".join(
        f"{number}: {mean:.1f}, {variance:.1f}, {pair:.1f}"
        for number, (mean, variance, pair) in enumerate(in_standard_errors(z, mu, covariance))
    )
    return f"N = {z.shape[1]}. Largest miss of a mean, a variance and a covariance, in standard errors: {rows}."


def products(draws):
    """All products of two coordinates: (S, N, d) -> (S, N, d, d)."""
    return draws[..., :, None] * draws[..., None, :]


def error_of_mean(values):
    """Standard errors of the means over draws: (S, N, ...) -> (S, ...)."""
    return values.std(1) / math.sqrt(values.shape[1])


def misses(values, claimed):
    """Means over draws minus the claim, in standard errors: (S, N, ...) -> (S, ...)."""
    return (values.mean(1) - claimed) / error_of_mean(values)


def differences(z, mu, covariance):
    """Means (S, d) and covariances (S, d, d) minus the claim."""
    return z.mean(1) - mu, products(z - mu).mean(1) - covariance


def first_fault(mean_off, covariance_off, limit=5.0, looked_at=(MEAN, VARIANCE, COVARIANCE)):
    """The first kind of moment of each sampler that is off by more than the limit: (S, d), (S, d, d) -> S words."""
    wrong_entries = covariance_off.abs() > limit
    upper = torch.triu_indices(*covariance_off.shape[1:], 1)
    faults = {
        MEAN: (mean_off.abs() > limit).any(1),
        VARIANCE: wrong_entries.diagonal(dim1=1, dim2=2).any(1),
        COVARIANCE: wrong_entries[:, *upper].any(1),
    }
    return np.select([faults[word].numpy() for word in looked_at], list(looked_at), FINE)


def by_the_rule(z, mu, covariance, limit=5.0, looked_at=(MEAN, VARIANCE, COVARIANCE)):
    """The words by the lesson's rule; the default limit and moments are right."""
    return first_fault(misses(z, mu), misses(products(z - mu), covariance), limit, looked_at)


def with_tolerance(limit, z, mu, covariance):
    """Accept the same difference in every moment."""
    return first_fault(*differences(z, mu, covariance), limit=limit)


def relative_to_spread(limit, z, mu, covariance):
    """Accept a difference of a share of the standard deviations, however many draws there are."""
    sigma = covariance.diagonal().sqrt()
    mean_off, covariance_off = differences(z, mu, covariance)
    return first_fault(mean_off / sigma, covariance_off / torch.outer(sigma, sigma), limit)


def with_the_means_error(z, mu, covariance):
    """Take the standard error of the means, sigma / sqrt(N), for variances and covariances as well."""
    error = covariance.diagonal().sqrt() / math.sqrt(z.shape[1])
    mean_off, covariance_off = differences(z, mu, covariance)
    return first_fault(mean_off / error, covariance_off / torch.maximum(error[:, None], error), 5.0)


def as_if_n_were(n, z, mu, covariance):
    """The lesson's rule, with a fixed number of draws."""
    return by_the_rule(z, mu, covariance, limit=5 * math.sqrt(z.shape[1] / n))


def only_too_large(z, mu, covariance):
    """The lesson's rule without an absolute value."""
    return first_fault(misses(z, mu).clamp(min=0), misses(products(z - mu), covariance).clamp(min=0))


def of_correlations(z, mu, covariance):
    """Compare the correlations of the draws with the covariances claimed."""
    sigma = (z - mu).std(1)  # (S, d)
    correlated_off = products((z - mu) / sigma[:, None]).mean(1) - covariance
    covariance_off = misses(products(z - mu), covariance)
    off = math.sqrt(z.shape[1]) * correlated_off
    return first_fault(misses(z, mu), off.diagonal_scatter(covariance_off.diagonal(dim1=1, dim2=2), dim1=1, dim2=2))


def neighbours_only(z, mu, covariance):
    """Leave out the covariance of the first and the last latent."""
    covariance_off = misses(products(z - mu), covariance)
    covariance_off[:, 0, -1] = covariance_off[:, -1, 0] = 0
    return first_fault(misses(z, mu), covariance_off)


def averaged(z, mu, covariance):
    """Average the misses of the means, and those of the variances, over the latents."""
    covariance_off = misses(products(z - mu), covariance)
    variances = covariance_off.diagonal(dim1=1, dim2=2)
    means = misses(z, mu).mean(1, keepdim=True)
    average = variances.mean(1, keepdim=True).expand_as(variances)
    return first_fault(means, covariance_off.diagonal_scatter(average, dim1=1, dim2=2))


def with_one_scale(z, mu, covariance):
    """Take the mean of all variances for each of them."""
    mean_off, covariance_off = differences(z, mu, covariance)
    scale, n = covariance.diagonal().mean(), z.shape[1]
    errors = torch.full_like(covariance, 1.0).fill_diagonal_(math.sqrt(2)) * scale / math.sqrt(n)
    return first_fault(mean_off / (scale / n).sqrt(), covariance_off / errors)


def with_allclose(z, mu, covariance):
    """Accept a difference of 0.1 plus a tenth of the moment, as `torch.allclose` would."""
    mean_off, covariance_off = differences(z, mu, covariance)
    return first_fault(mean_off / (1 + mu.abs()), covariance_off / (1 + covariance.abs()), limit=0.1)


def with_relative_allclose(z, mu, covariance):
    """Accept a tenth of each moment."""
    mean_off, covariance_off = differences(z, mu, covariance)
    return first_fault(mean_off / mu.abs(), covariance_off / covariance.abs(), limit=0.1)


def with_errors_of_the_means(z, mu, covariance):
    """Measure variances and covariances in standard errors of the means."""
    mean_off, covariance_off = differences(z, mu, covariance)
    errors = error_of_mean(z)
    return first_fault(mean_off / errors, covariance_off / errors[:, :, None])


def with_total_variance(z, mu, covariance):
    """Compare only the sum of all variances."""
    total_off = misses((z - mu).square().sum(2), covariance.trace())  # (S,)
    covariance_off = misses(products(z - mu), covariance)
    total_for_each = total_off[:, None].expand(-1, len(mu))
    return first_fault(misses(z, mu), covariance_off.diagonal_scatter(total_for_each, dim1=1, dim2=2))


SAMPLERS = Task(
    name="gaussian/samplers",
    draw=(partial(draw_samplers, few=True), partial(draw_samplers, few=False)),
    reference=samplers,
    cases=2,
    decides=what_decides,
    mistakes=(
        Mistake(
            "faults missed: everything is fine",
            "You accept every sampler, also those whose mean is off by 11 standard errors. With what do you compare a "
            "difference? How much does the mean of N draws vary, and how much a single draw?",
            lambda z, mu, covariance: [FINE] * len(z),
            partial(by_the_rule, limit=80.0),
            partial(by_the_rule, limit=30.0),
            partial(with_tolerance, 1e6),
        ),
        Mistake(
            "a margin that is too narrow",
            "You reject samplers that are fine: your margin is too narrow. There are nine comparisons for each of "
            "many samplers, and chance alone sometimes misses it. How wide is the margin of the lesson's rule?",
            partial(by_the_rule, limit=3.0),
            partial(by_the_rule, limit=2.0),
            partial(by_the_rule, limit=1.0),
            partial(by_the_rule, limit=0.5),
            partial(by_the_rule, limit=5 / 20),
            lambda z, mu, covariance: by_the_rule(z, mu, covariance, limit=5 / math.sqrt(z.shape[1])),
        ),
        Mistake(
            "the same margin for any N",
            "Your margin does not shrink as N grows, or not as it should. The inputs have about 450 draws of each "
            "sampler, or about 6,700. How much less does a mean vary then?",
            *(partial(relative_to_spread, limit) for limit in (0.05, 0.1, 0.125, 0.14, 0.15, 0.16, 0.2, 0.25, 0.3)),
            *(partial(as_if_n_were, n) for n in (500, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 10_000)),
        ),
        Mistake(
            "the error of a mean for a variance",
            "You allow variances and covariances the standard error of a mean. A variance is a mean of squares: how "
            "far do the *squares* scatter? Compare with the unit: a variance of a latent with σ = 20 is near 400.",
            with_the_means_error,
        ),
        Mistake(
            "one tolerance for all latents, or for any N",
            "What you allow has to follow both the spread of each latent and the number of draws; yours leaves out at "
            "least one of them. One latent spreads over 20 and another over 0.05: what is a small difference for each?",
            *(partial(with_tolerance, limit) for limit in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)),
            with_allclose,
            with_relative_allclose,
            with_one_scale,
        ),
        Mistake(
            "the kinds of fault in another order",
            "Some samplers have more than one fault, and you give them another word than the list does. Read which "
            "word comes first: when may a sampler be called wrong in its variance, or in a covariance?",
            partial(by_the_rule, looked_at=(VARIANCE, MEAN, COVARIANCE)),
            partial(by_the_rule, looked_at=(MEAN, COVARIANCE, VARIANCE)),
            partial(by_the_rule, looked_at=(COVARIANCE, VARIANCE, MEAN)),
            partial(by_the_rule, looked_at=(VARIANCE, COVARIANCE, MEAN)),
            partial(by_the_rule, looked_at=(COVARIANCE, MEAN, VARIANCE)),
        ),
        Mistake(
            "no wrong covariance found",
            "A sampler with the right means and variances may still be wrong: people forget the transpose of L, "
            "or L altogether.",
            partial(by_the_rule, looked_at=(MEAN, VARIANCE)),
        ),
        Mistake(
            "no wrong variance found",
            "You never find a wrong variance, although some are off by eight standard errors and more. What stands on "
            "the diagonal of Σ, and do you look at each latent alone?",
            partial(by_the_rule, looked_at=(MEAN, COVARIANCE)),
        ),
        Mistake(
            "no wrong mean found",
            "You never find a wrong mean, although in some samplers one latent's is off by more than ten standard "
            "errors. With what do you compare it, and do you look at each latent alone?",
            partial(by_the_rule, looked_at=(VARIANCE, COVARIANCE)),
            lambda z, mu, covariance: first_fault(
                misses(z, mu).mean(1, keepdim=True), misses(products(z - mu), covariance)
            ),
        ),
        Mistake(
            "only the means looked at",
            "Noise of any spread has the right mean. What else does the claim N(μ, Σ) say?",
            partial(by_the_rule, looked_at=(MEAN,)),
        ),
        Mistake(
            "too small is wrong, too",
            "Of the moments that are off, you see those that are too large. A mean or a variance may be too small.",
            only_too_large,
        ),
        Mistake(
            "total variance compared",
            "You add up the variances before you compare them. One may be too large and another too small; "
            "the lesson's L for Lᵀ leaves their sum as it was.",
            with_total_variance,
        ),
        Mistake(
            "standard error of the mean for all",
            "You use σ/√N for the variances and covariances, too. A variance is a mean as well: of which "
            "numbers, and how widely do they spread?",
            with_errors_of_the_means,
        ),
        Mistake(
            "μ not subtracted",
            "Your second moments are E[z zᵀ]. A covariance is measured from the mean.",
            lambda z, mu, covariance: first_fault(misses(z, mu), misses(products(z), covariance)),
        ),
        Mistake(
            "deviations averaged over the latents",
            "You average deviations over the latents, so that one latent hides another. How many must be wrong for the "
            "claim to be wrong?",
            averaged,
        ),
        Mistake(
            "correlations compared with covariances",
            "You compare correlations of the draws with covariances of the claim. Are the two measured in one unit?",
            of_correlations,
        ),
        Mistake(
            "a pair of latents left out",
            "You do not look at every two latents: a wrong covariance of the first and the last is not found.",
            neighbours_only,
        ),
    ),
)

TASKS = (SAMPLE, SAMPLE_FULL, REPAIR, SQUARED_LENGTH, BEST_LOG_VAR, SAMPLERS)
