"""The tasks of exercise 02, sampling from a Gaussian."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from vae_course.judging.task import Close, Mistake, SameMoments, Task, rounded_normal
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


def sample(mu, log_var, eps):
    """z = μ + σε (lesson 02, section 1), one draw at a time."""
    return torch.stack([mu + log_var.exp().sqrt() * noise for noise in eps])


SAMPLE = Task(
    name="gaussian/sample",
    draw=draw_sample,
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
    ),
)


# gaussian/repair(mu, log_var, n, generator)


def draw_repair(rng):
    """Draw log_var far from 0 on both sides, and n large enough for moments to tell a fault from chance."""
    return {
        "mu": rounded_normal(rng, 2, 3),
        "log_var": away_from_zero(rng, 2, 3, low=0.7, high=1.2),
        "n": int(rng.integers(1600, 2000)),
        "generator": Seed(int(rng.integers(2**31))),
    }


@dataclass(frozen=True)
class SameShape:
    """Draws have the same moments, and tails of the same weight.

    The fourth power of the distance from the mean, in standard deviations, is averaged over all coordinates.
    """

    def __call__(self, found, right):
        if not SameMoments()(found, right):
            return False
        if right.dtype.kind == "b":
            return True
        mean, spread = right.mean(0), np.maximum(right.std(0), 1e-6)
        fourth = [(((draws - mean) / spread) ** 4).reshape(len(draws), -1).mean(1) for draws in (found, right)]
        own, wanted = (powers.var(ddof=1) for powers in fourth)  # as in SameMoments: a draw far away excuses nothing
        error = math.sqrt((min(own, wanted) + wanted) / len(right))
        return bool(abs(fourth[0].mean() - fourth[1].mean()) <= 6 * error + 1e-6)


def repair(mu, log_var, n, generator):
    """Draw n codes for each picture by PyTorch's own sampler."""
    shape = (n, *mu.shape)
    return torch.normal(mu.expand(shape), (log_var / 2).exp().expand(shape), generator=generator)


def noise_with_hard_edge(shape, generator):
    """Draw uniform noise on [−1, 1], as the colleague does."""
    return 2 * torch.rand(shape, generator=generator) - 1


def uniform_of_unit_variance(shape, generator):
    """Draw uniform noise with mean 0 and variance 1."""
    return (torch.rand(shape, generator=generator) - 0.5) * math.sqrt(12)


def drawn_codes(mu, log_var, n, generator, *, noise=torch.randn, shared=(), power=0.5):
    """Draw μ + exp(power · log σ²) ε: (n, B, d), with the same ε along the `shared` axes. Right by default."""
    shape = (n, *mu.shape)
    eps = noise([1 if axis in shared else size for axis, size in enumerate(shape)], generator=generator)
    return mu + (power * log_var).exp() * eps.expand(shape)


REPAIR = Task(
    name="gaussian/repair",
    draw=draw_repair,
    reference=repair,
    observe=Draws(),
    agree=SameShape(),
    cases=2,
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        Mistake(
            "noise still uniform",
            "The noise still has a hard edge, and its variance is not 1. What does `torch.rand` draw, and what "
            "does a Gaussian need?",
            partial(drawn_codes, noise=noise_with_hard_edge),
            partial(drawn_codes, noise=torch.rand),
        ),
        Mistake(
            "uniform noise of the right spread",
            "Your draws have the right means and covariances, but a hard edge: none is farther than √3 σ from "
            "its mean. How many draws of a Gaussian are?",
            partial(drawn_codes, noise=uniform_of_unit_variance),
        ),
        Mistake(
            "noise still shared by the pictures",
            "Take the draws of one latent of two pictures, and compute their correlation. The two pictures have "
            "nothing to do with each other: how large should it be?",
            partial(drawn_codes, shared=(1,)),
        ),
        Mistake(
            "variance still taken for standard deviation",
            "Take one latent with a large variance and one with a small one, and compare the standard deviation "
            "of your draws with σ.",
            partial(drawn_codes, power=1.0),
        ),
        Mistake(
            "nothing repaired yet",
            "That is the sampler as it was. Draw from it, and look at the standard deviation of every latent "
            "of every picture, and at the correlation of every two of them.",
            partial(drawn_codes, noise=noise_with_hard_edge, shared=(1,), power=1.0),
        ),
        Mistake(
            "more than one fault left",
            "More than one thing is still wrong. Look at the draws as the lesson does: the standard deviation "
            "of every latent of every picture against σ, and the correlation of every two of them.",
            partial(drawn_codes, noise=noise_with_hard_edge, shared=(1,)),
            partial(drawn_codes, noise=noise_with_hard_edge, power=1.0),
            partial(drawn_codes, shared=(1,), power=1.0),
        ),
        Mistake(
            "noise shared by the latents",
            "All latents of a picture move together in your draws. q(z|x) with a vector σ has no correlations.",
            partial(drawn_codes, shared=(2,)),
        ),
        Mistake(
            "noise shared by the draws",
            "All n draws are the same one.",
            partial(drawn_codes, shared=(0,)),
        ),
        Mistake(
            "the generator not used",
            "Your draws are right, but a generator with the same seed does not give the same ones again. "
            "Where does your noise come from?",
            lambda mu, log_var, n, generator: drawn_codes(mu, log_var, n, None),
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
    draw=draw_squared_length,
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
        ),
        Mistake(
            "the eigenvalues",
            "Eigenvalues are variances along the axes of p's ellipse. The encoder's q can only have its axes "
            "along the coordinates.",
            lambda covariance: log_var_and_loss(torch.linalg.eigvalsh(covariance), covariance),
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


def nearly_right_draws(rng, n, mu, covariance, *, mean=None, variance=None, pair=None, errors=0.0):
    """Draw n vectors with one moment off by `errors` standard errors, and the others by less than one.

    That moment is the mean or the variance of one latent, or the covariance of a pair.
    """
    d, sigma = len(mu), np.sqrt(np.diag(covariance))
    mean_off, covariance_off = small_errors(rng, d)
    if mean is not None:
        mean_off[mean] = errors
    if variance is not None:
        covariance_off[variance, variance] = errors
        if abs(errors) > 5:  # one grows and one shrinks, so that the total variance in standard errors stays the same
            other = (variance + 1) % d
            covariance_off[other, other] = -errors
    if pair is not None:
        i, j = pair
        covariance_off[i, j] = covariance_off[j, i] = -np.sign(covariance[i, j]) * errors  # towards independence
    drawn_mean = mu + mean_off * sigma / math.sqrt(n)
    return draws_with_moments(rng, n, drawn_mean, covariance + covariance_off * standard_errors(covariance, n))


def draw_samplers(rng):
    """Thirteen samplers, in any order; each moment is off by less than one standard error, by 3.3, or by 11 to 13."""
    n, d = int(rng.choice([1500, 3000])), 3
    mu, covariance = random_claim(rng, d)
    nearly_right = partial(nearly_right_draws, rng, n, mu, covariance)

    def far():
        return rng.uniform(11, 13)

    latents = rng.permutation(d)
    draws = [
        nearly_right(),
        nearly_right(mean=latents[0], errors=3.3 * rng.choice([-1, 1])),
        nearly_right(variance=latents[1], errors=3.3 * rng.choice([-1, 1])),
        nearly_right(pair=sorted(latents[:2]), errors=3.3),
        *(nearly_right(mean=k, errors=far() * rng.choice([-1, 1])) for k in range(d)),
        *(nearly_right(variance=k, errors=far()) for k in range(d)),
        *(nearly_right(pair=pair, errors=far()) for pair in ((0, 1), (0, 2), (1, 2))),
    ]
    order = rng.permutation(len(draws))
    values = (np.stack([draws[k] for k in order]), mu, covariance)
    return {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in zip(("z", "mu", "covariance"), values, strict=True)
    }


def samplers(z, mu, covariance):
    """Every moment within 5 standard errors (the lesson's rule), with errors that follow from the claim."""
    z, mu, covariance = z.numpy(), mu.numpy(), covariance.numpy()
    n, upper = z.shape[1], np.triu_indices(len(mu), 1)
    words = []
    for draws in z:
        mean_off = np.abs(draws.mean(0) - mu) / np.sqrt(np.diag(covariance) / n)
        covariance_off = np.abs(np.cov(draws.T) - covariance) / standard_errors(covariance, n)
        wrong = [(mean_off > 5).any(), (np.diag(covariance_off) > 5).any(), (covariance_off[upper] > 5).any()]
        words.append(([*wrong, True], (MEAN, VARIANCE, COVARIANCE, FINE)))
    return [names[flags.index(True)] for flags, names in words]


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


def with_tolerance(z, mu, covariance):
    """Accept a difference of 0.1 in every moment."""
    return first_fault(*differences(z, mu, covariance), limit=0.1)


def with_allclose(z, mu, covariance):
    """Accept a difference of 0.1 plus a tenth of the moment, as `torch.allclose` would."""
    mean_off, covariance_off = differences(z, mu, covariance)
    return first_fault(mean_off / (1 + mu.abs()), covariance_off / (1 + covariance.abs()), limit=0.1)


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
    draw=draw_samplers,
    reference=samplers,
    cases=2,
    mistakes=(
        Mistake(
            "spread of one draw for the standard error",
            "You accept nearly everything. You compare with the spread of single draws; how much does a mean of "
            "N of them vary?",
            lambda z, mu, covariance: by_the_rule(z, mu, covariance, limit=5 * math.sqrt(z.shape[1])),
        ),
        Mistake(
            "divided by N, not √N",
            "You reject nearly every sampler: your margin is too narrow. Four times as many draws halve a "
            "standard error; yours falls to a quarter.",
            lambda z, mu, covariance: by_the_rule(z, mu, covariance, limit=5 / math.sqrt(z.shape[1])),
        ),
        Mistake(
            "one tolerance for everything",
            "You allow the same difference everywhere, however widely a latent spreads and however many draws "
            "there are. One latent spreads over 20 and another over 0.05: what is a small difference for each?",
            with_tolerance,
            with_allclose,
        ),
        Mistake(
            "too strict for so many comparisons",
            "You reject samplers that are fine: your margin is too narrow. There are nine comparisons for each of "
            "many samplers, and chance makes one of them miss it sooner or later. What is the lesson's rule?",
            partial(by_the_rule, limit=2.0),
        ),
        Mistake(
            "covariances not looked at",
            "A sampler with the right means and variances may still be wrong: people forget the transpose of L, "
            "or L altogether.",
            partial(by_the_rule, looked_at=(MEAN, VARIANCE)),
        ),
        Mistake(
            "only the means looked at",
            "Noise of any spread has the right mean. What else does the claim N(μ, Σ) say?",
            partial(by_the_rule, looked_at=(MEAN,)),
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
            "means averaged over the latents",
            "You average the deviations of the means over the latents, so that one latent hides another.",
            lambda z, mu, covariance: first_fault(
                misses(z, mu).mean(1, keepdim=True), misses(products(z - mu), covariance)
            ),
        ),
    ),
)

TASKS = (SAMPLE, SAMPLE_FULL, REPAIR, SQUARED_LENGTH, BEST_LOG_VAR, SAMPLERS)
