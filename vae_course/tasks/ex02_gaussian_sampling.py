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


def tensor(values):
    return torch.tensor(np.round(values, 2), dtype=torch.float32)


def away_from_zero(rng, *shape, low=0.4, high=1.5):
    """Numbers of both signs in every column of the first axis, none near zero."""
    sign = rng.choice([-1, 1], size=shape)
    sign[1] = -sign[0]
    return tensor(sign * rng.uniform(low, high, size=shape))


def draw_covariance(rng, d, scale):
    """A covariance matrix with standard deviations about `scale` and clear correlations, in hundredths."""
    while True:
        mix = rng.normal(size=(d, d)) + np.eye(d)
        covariance = mix @ mix.T + 0.3 * np.eye(d)
        root = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(root, root)
        spread = scale * rng.uniform(0.7, 1.4, size=d)
        covariance = np.round(correlation * np.outer(spread, spread), 2)
        off = np.abs(correlation[~np.eye(d, dtype=bool)])
        if off.min() > 0.15 and np.linalg.eigvalsh(correlation).min() > 0.08:
            return covariance


# gaussian/sample(mu, log_var, eps)


def draw_sample(rng):
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    draws = batch + latents
    return {
        "mu": rounded_normal(rng, batch, latents),
        "log_var": away_from_zero(rng, batch, latents),
        "eps": rounded_normal(rng, draws, batch, latents),
    }


def sample(mu, log_var, eps):
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
            "half the variance for its root",
            "You halve the variance, which is not its root. At log_var = 0 the noise should keep its length: "
            "does yours?",
            lambda mu, log_var, eps: mu + 0.5 * log_var.exp() * eps,
        ),
        Mistake(
            "the logarithm taken for σ itself",
            "You multiply the noise by log_var as it is. A standard deviation cannot be negative; log_var can.",
            lambda mu, log_var, eps: mu + log_var * eps,
        ),
        Mistake(
            "root of the logarithm",
            "You take the root of log_var. First get the variance from its logarithm, then its root.",
            lambda mu, log_var, eps: mu + log_var.abs().sqrt() * eps,
        ),
        Mistake(
            "root of the logarithm",
            "You take the root of log_var, which may be negative. First get the variance from its logarithm, "
            "then its root.",
            lambda mu, log_var, eps: mu + log_var.sqrt() * eps,
        ),
        Mistake(
            "sign of log_var flipped",
            "Where the variance should be large, your draws lie close together: you have divided by σ.",
            lambda mu, log_var, eps: mu + (-0.5 * log_var).exp() * eps,
        ),
        Mistake(
            "the mean stretched, too",
            "You stretch after you shift, so that μ is multiplied by σ. With eps = 0 the draw should be the mean.",
            lambda mu, log_var, eps: (mu + eps) * (0.5 * log_var).exp(),
        ),
        Mistake(
            "mean forgotten",
            "Your draws lie around zero. Around what should they lie?",
            lambda mu, log_var, eps: (0.5 * log_var).exp() * eps + 0 * mu,
        ),
        Mistake(
            "one noise for all draws",
            "All your draws are the same one. `eps` brings new noise for each.",
            lambda mu, log_var, eps: (mu + (0.5 * log_var).exp() * eps[0]).expand_as(eps),
        ),
        Mistake(
            "one noise for all pictures",
            "All pictures of the batch get the same noise. `eps` has a row of its own for each.",
            lambda mu, log_var, eps: mu + (0.5 * log_var).exp() * eps[:, :1],
        ),
        Mistake(
            "gradients cut",
            "Your draws are right, but no gradient gets back to `mu` and `log_var`, so that no encoder could "
            "be trained through them. What takes a tensor out of autograd's graph?",
            lambda mu, log_var, eps: (mu + (0.5 * log_var).exp() * eps).detach(),
        ),
        Mistake(
            "the gradient of σ cut",
            "Your draws are right, but no gradient gets back to `log_var`: the encoder would never learn how "
            "uncertain to be.",
            lambda mu, log_var, eps: mu + (0.5 * log_var.detach()).exp() * eps,
        ),
    ),
)


# gaussian/sample_full(mu, covariance, eps)


def draw_full(rng):
    latents = int(rng.integers(2, 5))
    return {
        "mu": rounded_normal(rng, latents, scale=2.0),
        "covariance": tensor(draw_covariance(rng, latents, 1.5)),
        "eps": rounded_normal(rng, int(rng.integers(latents + 1, latents + 4)), latents),
    }


def sample_full(mu, covariance, eps):
    lower = np.linalg.cholesky(covariance.numpy())
    return np.stack([mu.numpy() + lower @ e for e in eps.numpy()])


def factor(covariance):
    return torch.linalg.cholesky(covariance)


def symmetric_root(covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.sqrt()) @ vectors.T


def eigen_root(covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.sqrt())


OTHER_ROOT = (
    "Your draws have the right distribution: this is a root of Σ, too. So that answers can be compared number by number, use "
    "the lower triangular one."
)

SAMPLE_FULL = Task(
    name="gaussian/sample_full",
    draw=draw_full,
    reference=sample_full,
    library=("vae_lessons.distributions.sample_normal_full",),
    mistakes=(
        Mistake(
            "L for its transpose",
            "Your draws have covariance LᵀL: the ellipse has the right size and lies wrongly. The noise "
            "stands in rows here. Write out the first number of one draw: which numbers of `eps` should it "
            "depend on?",
            lambda mu, covariance, eps: mu + eps @ factor(covariance),
        ),
        Mistake(
            "the matrix itself for its root",
            "You stretch by Σ. In one dimension that is stretching by the variance; what takes the place of σ?",
            lambda mu, covariance, eps: mu + eps @ covariance,
        ),
        Mistake(
            "roots taken entry by entry",
            "You took the root of each entry. Multiply your matrix by its transpose: do you get Σ?",
            lambda mu, covariance, eps: mu + eps @ covariance.abs().sqrt(),
        ),
        Mistake(
            "roots taken entry by entry",
            "You took the root of each entry, also of negative ones. Multiply your matrix by its transpose: "
            "do you get Σ?",
            lambda mu, covariance, eps: mu + eps @ covariance.sqrt(),
        ),
        Mistake(
            "covariances forgotten",
            "Each coordinate has the right variance, but they are drawn independently. What do the other "
            "entries of Σ say?",
            lambda mu, covariance, eps: mu + eps * covariance.diagonal().sqrt(),
        ),
        Mistake(
            "only the factor's diagonal used",
            "You use the diagonal of L alone. The entries below it are what makes coordinates vary together.",
            lambda mu, covariance, eps: mu + eps * factor(covariance).diagonal(),
        ),
        Mistake(
            "the factor of the inverse",
            "Your draws spread little where they should spread far. That is what the precision matrix, the "
            "inverse of Σ, would give.",
            lambda mu, covariance, eps: mu + eps @ factor(torch.linalg.inv(covariance)).T,
        ),
        Mistake(
            "another root of Σ",
            OTHER_ROOT,
            lambda mu, covariance, eps: mu + eps @ symmetric_root(covariance),
            lambda mu, covariance, eps: mu + eps @ eigen_root(covariance).T,
        ),
        Mistake(
            "the mean stretched, too",
            "You shift before you stretch, so that L acts on μ, too. With eps = 0 every draw should be the mean.",
            lambda mu, covariance, eps: (mu + eps) @ factor(covariance).T,
        ),
        Mistake(
            "mean forgotten",
            "Your draws lie around zero. Around what should they lie?",
            lambda mu, covariance, eps: eps @ factor(covariance).T,
        ),
        Mistake(
            "the mean subtracted",
            "Your draws lie around −μ.",
            lambda mu, covariance, eps: eps @ factor(covariance).T - mu,
        ),
    ),
)


# gaussian/repair(mu, log_var, n, generator)


def draw_repair(rng):
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
        own, wanted = (one.var(ddof=1) for one in fourth)  # as in SameMoments, one far away excuses nothing
        error = math.sqrt((min(own, wanted) + wanted) / len(right))
        return bool(abs(fourth[0].mean() - fourth[1].mean()) <= 6 * error + 1e-6)


def draw_codes(mu, log_var, n, generator):
    shape = (n, *mu.shape)
    return torch.normal(mu.expand(shape), (log_var / 2).exp().expand(shape), generator=generator)


def drawn(mu, log_var, n, generator, *, noise="normal", shared=(), half=0.5, keep=True):
    """The broken sampler, with each of its parts right unless named otherwise."""
    shape = [1 if axis in shared else size for axis, size in enumerate((n, *mu.shape))]
    given = generator if keep else None
    if noise == "normal":
        eps = torch.randn(shape, generator=given)
    else:
        eps = torch.rand(shape, generator=given)
        eps = {"-1 to 1": 2 * eps - 1, "0 to 1": eps, "unit variance": (eps - 0.5) * math.sqrt(12)}[noise]
    return mu + (half * log_var).exp() * eps.expand(n, *mu.shape)


UNIFORM = "The noise still has a hard edge, and its variance is not 1. What does `torch.rand` draw, and what does a Gaussian need?"
SHARED = (
    "Take the draws of one latent of two pictures, and compute their correlation. The two pictures have nothing to do with each "
    "other: how large should it be?"
)
SPREAD = "Take one latent with a large variance and one with a small one, and compare the standard deviation of your draws with σ."
SEVERAL = (
    "It is not right yet in more than one place. Look at the draws as the lesson does: the standard deviation of every latent of every picture "
    "against σ, and the correlation of every two of them."
)

REPAIR = Task(
    name="gaussian/repair",
    draw=draw_repair,
    reference=draw_codes,
    observe=Draws(),
    agree=SameShape(),
    cases=2,
    library=("vae_lessons.distributions.sample_normal",),
    mistakes=(
        Mistake(
            "noise still uniform",
            UNIFORM,
            partial(drawn, noise="-1 to 1"),
            partial(drawn, noise="0 to 1"),
        ),
        Mistake(
            "uniform noise of the right spread",
            "Your draws have the right means and covariances, and a hard edge: none is farther than √3 σ from "
            "its mean. How many draws of a Gaussian are?",
            partial(drawn, noise="unit variance"),
        ),
        Mistake(
            "noise still shared by the pictures",
            SHARED,
            partial(drawn, shared=(1,)),
        ),
        Mistake(
            "variance still taken for standard deviation",
            SPREAD,
            partial(drawn, half=1.0),
        ),
        Mistake(
            "nothing repaired yet",
            "That is the sampler as it was. Draw from it, and look at the standard deviation of every latent "
            "of every picture, and at the correlation of every two of them.",
            partial(drawn, noise="-1 to 1", shared=(1,), half=1.0),
        ),
        Mistake(
            "more than one fault left",
            SEVERAL,
            partial(drawn, noise="-1 to 1", shared=(1,)),
            partial(drawn, noise="-1 to 1", half=1.0),
            partial(drawn, shared=(1,), half=1.0),
            partial(drawn, shared=(1, 2)),
            partial(drawn, noise="unit variance", shared=(1,)),
            partial(drawn, noise="unit variance", half=1.0),
        ),
        Mistake(
            "noise shared by the latents",
            "All latents of a picture move together in your draws. q(z|x) with a vector σ has no correlations.",
            partial(drawn, shared=(2,)),
        ),
        Mistake(
            "noise shared by the draws",
            "All n draws are the same one.",
            partial(drawn, shared=(0,)),
        ),
        Mistake(
            "the generator not used",
            "Your draws are right, but a generator with the same seed does not give the same ones again. "
            "Where does your noise come from?",
            partial(drawn, keep=False),
        ),
    ),
)


# gaussian/squared_length(mu, log_var)


def draw_encoder(rng):
    batch = int(rng.integers(2, 4))
    return {"mu": away_from_zero(rng, batch, batch + 1), "log_var": away_from_zero(rng, batch, batch + 1, high=1.2)}


def squared_length(mu, log_var):
    """Gauss-Hermite quadrature, exact for polynomials."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    z = mu.numpy()[..., None] + np.exp(log_var.numpy() / 2)[..., None] * nodes
    second, fourth = ((z**power * weights).sum(-1) / math.sqrt(2 * math.pi) for power in (2, 4))
    return second.sum(-1), np.sqrt((fourth - second**2).sum(-1))


def lengths(mu, log_var, of_noise=2.0, of_mean=4.0):
    v = log_var.exp()
    return (mu**2 + v).sum(-1), (of_noise * v**2 + of_mean * mu**2 * v).sum(-1)


def with_root(mean, variance):
    return mean, variance.sqrt()


SQUARED_LENGTH = Task(
    name="gaussian/squared_length",
    draw=draw_encoder,
    reference=squared_length,
    mistakes=(
        Mistake(
            "mean code only",
            "Your first number is the squared length of the mean code. Let mu be 0: is every draw at the origin?",
            lambda mu, log_var: with_root((mu**2).sum(-1), lengths(mu, log_var)[1]),
        ),
        Mistake(
            "around the mean, not the origin",
            "Your numbers do not depend on mu: they measure how far a draw lies from its mean. Asked is how "
            "far from the origin.",
            lambda mu, log_var: with_root(log_var.exp().sum(-1), 2 * (2 * log_var).exp().sum(-1)),
        ),
        Mistake(
            "the noise taken for standard",
            "Your numbers do not depend on log_var: the lesson's d and √(2d) are for σ = 1.",
            lambda mu, log_var: with_root(*lengths(mu, torch.zeros_like(log_var))),
        ),
        Mistake(
            "mu forgotten in the second number",
            "Your mean is right. For the second number let σ be tiny and mu large: then z² is nearly μ² + "
            "2μσε. How much does that vary?",
            lambda mu, log_var: with_root(*lengths(mu, log_var, of_mean=0.0)),
        ),
        Mistake(
            "a factor lost in the second number",
            "Your mean is right. For tiny σ, z² is nearly μ² + 2μσε: what is the variance of a number times ε?",
            lambda mu, log_var: with_root(*lengths(mu, log_var, of_mean=2.0)),
            lambda mu, log_var: with_root(*lengths(mu, log_var, of_mean=1.0)),
        ),
        Mistake(
            "ε² given the wrong variance",
            "Your mean is right. For mu = 0 the second number should be √(2d) if σ = 1: E[ε⁴] is 3.",
            lambda mu, log_var: with_root(*lengths(mu, log_var, of_noise=1.0)),
        ),
        Mistake(
            "ε² given the wrong variance",
            "Your mean is right. For mu = 0 the second number should be √(2d) if σ = 1: E[ε⁴] is 3, but a "
            "variance subtracts a square.",
            lambda mu, log_var: with_root(*lengths(mu, log_var, of_noise=3.0)),
        ),
        Mistake(
            "the second number as for standard noise",
            "Your mean is right. √(2d) is what the lesson found for mu = 0 and σ = 1: let σ be tiny, and it cannot be.",
            lambda mu, log_var: (lengths(mu, log_var)[0], torch.full(mu.shape[:1], math.sqrt(2 * mu.shape[1]))),
        ),
        Mistake(
            "the second number as for standard noise",
            "Your mean is right. The second number follows the lesson's √(2d), which is for mu = 0 and σ = 1: "
            "let σ be tiny, and see whether it vanishes.",
            lambda mu, log_var: (lengths(mu, log_var)[0], (2 * lengths(mu, log_var)[0]).sqrt()),
            lambda mu, log_var: (lengths(mu, log_var)[0], (2 * (mu**2 + log_var.exp()) ** 2).sum(-1).sqrt()),
        ),
        Mistake(
            "variance for standard deviation",
            "Your mean is right. The second number is a variance; asked is its root.",
            lengths,
        ),
        Mistake(
            "standard deviations added up",
            "Your mean is right. You add up standard deviations of independent terms. What adds up instead?",
            lambda mu, log_var: (
                lengths(mu, log_var)[0],
                (2 * (2 * log_var).exp() + 4 * mu**2 * log_var.exp()).sqrt().sum(-1),
            ),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as σ and square it once more. What is exp(log σ²)?",
            lambda mu, log_var: with_root(*lengths(mu, 2 * log_var)),
        ),
        Mistake(
            "σ taken for σ²",
            "You add something that is measured in the unit of z. In which unit is |z|²?",
            lambda mu, log_var: with_root(*lengths(mu, log_var / 2)),
        ),
        Mistake(
            "the square of a sum",
            "You squared μ + σ. The noise is as often negative as positive: what happens to the term 2μσε on average?",
            lambda mu, log_var: with_root(((mu + (log_var / 2).exp()) ** 2).sum(-1), lengths(mu, log_var)[1]),
        ),
        Mistake(
            "length instead of squared length",
            "Your first number has a root too many: asked is the mean of |z|², not a length.",
            lambda mu, log_var: (lengths(mu, log_var)[0].sqrt(), lengths(mu, log_var)[1].sqrt()),
        ),
        Mistake(
            "mean over the latents",
            "You average over the latents. The squared length is a sum over coordinates.",
            lambda mu, log_var: with_root((mu**2 + log_var.exp()).mean(-1), lengths(mu, log_var)[1]),
            lambda mu, log_var: (lambda m, v: (m / mu.shape[1], (v / mu.shape[1]).sqrt()))(*lengths(mu, log_var)),
        ),
    ),
)


# gaussian/best_log_var(covariance)


def draw_posterior(rng):
    return {"covariance": tensor(draw_covariance(rng, int(rng.integers(3, 5)), float(rng.uniform(0.6, 1.6))))}


def best_log_var(covariance):
    """The variance left to each latent once the others are known, by regression; the KL from PyTorch."""
    left = []
    for i in range(len(covariance)):
        rest = [j for j in range(len(covariance)) if j != i]
        to_rest = covariance[i, rest]
        left.append(covariance[i, i] - to_rest @ torch.linalg.solve(covariance[rest][:, rest], to_rest))
    return torch.stack(left).log(), kl_qp(torch.stack(left), covariance)


def kl_qp(v, covariance):
    zero = torch.zeros(len(v), dtype=v.dtype)
    return kl_divergence(MultivariateNormal(zero, torch.diag(v)), MultivariateNormal(zero, covariance))


def kl_pq(v, covariance):
    zero = torch.zeros(len(v), dtype=v.dtype)
    return kl_divergence(MultivariateNormal(zero, covariance), MultivariateNormal(zero, torch.diag(v)))


def conditional(covariance):
    return 1 / torch.linalg.inv(covariance).diagonal()


def answer(variances, lost, log=torch.log):
    return lambda covariance: (log(variances(covariance)), lost(variances(covariance), covariance))


def entropy(v):
    return 0.5 * (math.log(2 * math.pi * math.e) + v.log()).sum()


DIRECTION = (
    "Those are the variances of p itself, the best ones for KL(p‖q). The gap between a VAE's bound and log p(x) is a KL, too: over which "
    "distribution does its expectation run, the one that the encoder draws from, or the true posterior?"
)
RIGHT_VARIANCES = "Your log-variances are right. "

BEST_LOG_VAR = Task(
    name="gaussian/best_log_var",
    draw=draw_posterior,
    reference=best_log_var,
    agree=Close(rtol=1e-3, atol=1e-4),
    mistakes=(
        Mistake(
            "the best q for the other KL",
            DIRECTION,
            answer(lambda c: c.diagonal(), kl_pq),
            answer(lambda c: c.diagonal(), kl_qp),
        ),
        Mistake(
            "variances for log-variances",
            "The variances and the loss are right, but the encoder emits logarithms of variances.",
            answer(conditional, kl_qp, log=lambda v: v),
        ),
        Mistake(
            "log σ for log σ²",
            "The loss is right. You return log σ; the encoder emits log σ².",
            answer(conditional, kl_qp, log=lambda v: 0.5 * v.log()),
        ),
        Mistake(
            "precisions for variances",
            "The loss is right. The log-variances have the wrong sign: the diagonal of the precision matrix "
            "is large where q must be narrow.",
            answer(conditional, kl_qp, log=lambda v: -v.log()),
        ),
        Mistake(
            "precisions for variances",
            "You took the diagonal of the precision matrix as the variances. It is large where q must be narrow.",
            answer(lambda c: 1 / conditional(c), kl_qp),
        ),
        Mistake(
            "the factor's diagonal",
            "You took the diagonal of the Cholesky factor. Its squares are the variances left to each latent "
            "when those before it are known; your answer depends on the order of the latents.",
            answer(lambda c: factor(c).diagonal() ** 2, kl_qp),
        ),
        Mistake(
            "the eigenvalues",
            "Eigenvalues are variances along the axes of p's ellipse. The encoder's q can only have its axes "
            "along the coordinates.",
            answer(torch.linalg.eigvalsh, kl_qp),
        ),
        Mistake(
            "the loss under the other KL",
            RIGHT_VARIANCES + "The loss is KL(p‖q); what the bound loses is the other direction.",
            answer(conditional, kl_pq),
        ),
        Mistake(
            "the loss under the other KL",
            RIGHT_VARIANCES + "The loss is that of the other q, with the variances of p, under KL(p‖q).",
            answer(conditional, lambda v, c: kl_pq(c.diagonal(), c)),
        ),
        Mistake(
            "forgot the ½ in the loss",
            RIGHT_VARIANCES + "Your loss is too large by a factor: log σ is half of log σ².",
            answer(conditional, lambda v, c: 2 * kl_qp(v, c)),
        ),
        Mistake(
            "sign of the loss flipped",
            RIGHT_VARIANCES + "Your loss is negative, but q cannot do better than the true posterior.",
            answer(conditional, lambda v, c: -kl_qp(v, c)),
        ),
        Mistake(
            "entropy of q for the loss",
            RIGHT_VARIANCES + "Your second number is the entropy that q has. How much does it lack?",
            answer(conditional, lambda v, c: entropy(v)),
        ),
        Mistake(
            "entropy of p for the loss",
            RIGHT_VARIANCES + "Your second number is the entropy of p. How much of it does q lack?",
            answer(conditional, lambda v, c: entropy(factor(c).diagonal() ** 2)),
        ),
        Mistake(
            "the ratio of determinants without its logarithm",
            RIGHT_VARIANCES + "Your second number is a ratio of determinants; nats come from logarithms.",
            answer(conditional, lambda v, c: torch.linalg.det(c) / v.prod()),
        ),
        Mistake(
            "bits instead of nats",
            RIGHT_VARIANCES + "The loss is right in bits. This course counts in nats.",
            answer(conditional, lambda v, c: kl_qp(v, c) / math.log(2)),
        ),
    ),
)


# gaussian/samplers(z, mu, covariance)

FINE, MEAN, VARIANCE, COVARIANCE = "fine", "mean", "variance", "covariance"


def with_moments(rng, n, mean, covariance):
    """n draws whose sample mean and covariance are exactly these."""
    eps = rng.normal(size=(n, len(mean)))
    eps -= eps.mean(0)
    eps = eps @ np.linalg.inv(np.linalg.cholesky(eps.T @ eps / n)).T
    return mean + eps @ np.linalg.cholesky(covariance).T


def draw_samplers(rng):
    """Thirteen samplers, in any order; each moment is off by less than one standard error, by 3.3, or by 11 to 13."""
    n, d = int(rng.choice([1500, 3000])), 3
    correlation = np.eye(d)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        correlation[i, j] = correlation[j, i] = rng.choice([-1, 1]) * rng.uniform(0.3, 0.4)
    if np.linalg.det(correlation) < 0.3:  # the signs do not go together
        correlation[0, 1] = correlation[1, 0] = -correlation[0, 1]
    sigma = rng.permutation([0.05, 1.0, 20.0]) * rng.uniform(0.8, 1.2, size=d)
    covariance = correlation * np.outer(sigma, sigma)
    mu = rng.choice([-1, 1], size=d) * rng.uniform(1, 3, size=d) * sigma
    variances = np.diag(covariance)
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / n)  # of each entry; with i = j, √2 σ²/√n

    def sampler(mean=None, variance=None, pair=None, move=0.0):
        off = rng.uniform(-0.7, 0.7, size=d)
        offs = rng.uniform(-0.7, 0.7, size=(d, d))
        offs = np.tril(offs) + np.tril(offs, -1).T
        if mean is not None:
            off[mean] = move
        if variance is not None:
            offs[variance, variance] = move
            if abs(move) > 5:  # the total variance, measured in sigmas, stays: one grows, one shrinks
                other = (variance + 1) % d
                offs[other, other] = -move
        if pair is not None:
            i, j = pair
            offs[i, j] = offs[j, i] = -np.sign(covariance[i, j]) * move  # towards independence
        return with_moments(rng, n, mu + off * sigma / math.sqrt(n), covariance + offs * errors)

    def far():
        return rng.uniform(11, 13)

    coordinate = rng.permutation(d)
    i, j = sorted(coordinate[:2])
    draws = [
        sampler(),
        sampler(mean=coordinate[0], move=3.3 * rng.choice([-1, 1])),
        sampler(variance=coordinate[1], move=3.3 * rng.choice([-1, 1])),
        sampler(pair=(i, j), move=3.3),
        *(sampler(mean=k, move=far() * rng.choice([-1, 1])) for k in range(d)),
        *(sampler(variance=k, move=far()) for k in range(d)),
        *(sampler(pair=pair, move=far()) for pair in ((0, 1), (0, 2), (1, 2))),
    ]
    order = rng.permutation(len(draws))
    values = (np.stack([draws[k] for k in order]), mu, covariance)
    return {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in zip(("z", "mu", "covariance"), values, strict=True)
    }


def samplers(z, mu, covariance):
    z, mu, covariance = z.numpy(), mu.numpy(), covariance.numpy()
    n, upper = z.shape[1], np.triu_indices(len(mu), 1)
    variances = np.diag(covariance)
    errors = np.sqrt((np.outer(variances, variances) + covariance**2) / n)
    words = []
    for draws in z:
        off = np.abs(draws.mean(0) - mu) / np.sqrt(variances / n)
        offs = np.abs(np.cov(draws.T) - covariance) / errors
        wrong = [(off > 5).any(), (np.diag(offs) > 5).any(), (offs[upper] > 5).any()]
        words.append(([*wrong, True], (MEAN, VARIANCE, COVARIANCE, FINE)))
    return [names[flags.index(True)] for flags, names in words]


def by_errors(
    z, mu, covariance, *, limit=5.0, error="own", look="entries", centre="mu", order=(MEAN, VARIANCE, COVARIANCE)
):
    """Words by the rule that is asked for, with each of its parts right unless named otherwise."""
    n, d = z.shape[1:]
    c = z - mu if centre == "mu" else z
    products = c[:, :, :, None] * c[:, :, None, :]  # (S, N, D, D)
    first, second = z.mean(1) - mu, products.mean(1) - covariance
    if error in ("own", "of the mean"):
        errors = z.std(1) / math.sqrt(n), products.std(1) / math.sqrt(n)
        if error == "of the mean":
            errors = errors[0], errors[0][:, :, None].expand_as(second)
    elif error == "spread":
        errors = z.std(1), products.std(1)
    elif error == "over n":
        errors = z.std(1) / n, products.std(1) / n
    elif error == "both":  # as in allclose
        errors = 1 + mu.abs(), 1 + covariance.abs()
    elif error == "relative":
        errors = mu.abs(), covariance.abs()
    else:
        errors = torch.ones(()), torch.ones(())
    off, offs = first / errors[0], (second / errors[1]).abs()
    off = (off.mean(1, keepdim=True) if look == "averages" else off).abs()
    if look == "total":
        total = products.diagonal(dim1=2, dim2=3).sum(2)
        trace = (total.mean(1) - covariance.trace()) / (total.std(1) / math.sqrt(n))
        diagonal = trace.abs()[:, None]
    else:
        diagonal = offs.diagonal(dim1=1, dim2=2)
    upper = offs[:, *torch.triu_indices(d, d, 1)]
    flags = {MEAN: (off > limit).any(1), VARIANCE: (diagonal > limit).any(1), COVARIANCE: (upper > limit).any(1)}
    return np.select([flags[word].numpy() for word in order], list(order), FINE)


TOLERANCE = (
    "You allow the same difference everywhere, however widely a latent spreads and however many draws there are. One latent spreads over 20 "
    "and another over 0.05: what is a small difference for each?"
)

SAMPLERS = Task(
    name="gaussian/samplers",
    draw=draw_samplers,
    reference=samplers,
    cases=2,
    mistakes=(
        Mistake(
            "spread of one draw for the standard error",
            "You let pass nearly everything. You compare with the spread of single draws; how much does a "
            "mean of N of them vary?",
            partial(by_errors, error="spread"),
        ),
        Mistake(
            "divided by N, not √N",
            "You find fault with nearly every sampler: your margin is too narrow. Four times as many draws "
            "halve a standard error; yours falls to a quarter.",
            partial(by_errors, error="over n"),
        ),
        Mistake(
            "one tolerance for everything",
            TOLERANCE,
            partial(by_errors, error="none", limit=0.1),
            partial(by_errors, error="none", limit=1.0),
            partial(by_errors, error="both", limit=0.1),
            partial(by_errors, error="both", limit=0.05),
        ),
        Mistake(
            "a percentage for a standard error",
            "You allow a percentage. How far chance can move a mean depends on how many draws there are, and "
            "not on how large the mean is.",
            partial(by_errors, error="relative", limit=0.1),
            partial(by_errors, error="relative", limit=0.05),
        ),
        Mistake(
            "too strict for so many comparisons",
            "You reject samplers that are fine. Each of them gets nine comparisons: how often does one of "
            "nine miss two standard errors by chance?",
            partial(by_errors, limit=2.0),
        ),
        Mistake(
            "too strict for so many comparisons",
            "You reject samplers that are fine. With nine comparisons for each of many samplers, three "
            "standard errors are missed by chance sooner or later. What is the lesson's rule?",
            partial(by_errors, limit=3.0),
        ),
        Mistake(
            "too strict for so many comparisons",
            "You reject samplers that are fine. One standard error is missed by every third comparison.",
            partial(by_errors, limit=1.0),
        ),
        Mistake(
            "covariances not looked at",
            "A sampler with the right means and variances is not yet right: people forget the transpose of L, "
            "or L altogether.",
            partial(by_errors, order=(MEAN, VARIANCE)),
        ),
        Mistake(
            "only the means looked at",
            "Noise of any spread has the right mean. What else does the claim N(μ, Σ) say?",
            partial(by_errors, order=(MEAN,)),
        ),
        Mistake(
            "total variance compared",
            "You add up the variances before you compare them. One may be too large and another too small; "
            "the lesson's L for Lᵀ leaves their sum as it was.",
            partial(by_errors, look="total"),
        ),
        Mistake(
            "standard error of the mean for all",
            "You use σ/√N for the variances and covariances, too. A variance is a mean as well: of which "
            "numbers, and how widely do they spread?",
            partial(by_errors, error="of the mean"),
        ),
        Mistake(
            "μ not subtracted",
            "Your second moments are E[z zᵀ]. A covariance measures from the mean.",
            partial(by_errors, centre="none"),
        ),
        Mistake(
            "means averaged over the latents",
            "You average the deviations of the means over the latents, so that one latent hides another.",
            partial(by_errors, look="averages"),
        ),
    ),
)

TASKS = (SAMPLE, SAMPLE_FULL, REPAIR, SQUARED_LENGTH, BEST_LOG_VAR, SAMPLERS)
