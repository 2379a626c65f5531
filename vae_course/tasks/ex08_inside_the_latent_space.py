"""The tasks of exercise 08, inside the latent space."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import Normal

from vae_course.judging.task import Mistake, Task, rounded_normal

__all__ = ["TASKS"]


# latent/traverse(z, index, mu, steps)


def draw_traverse(rng):
    """Latents off centre, some narrow and some wide, so that their centres, spreads and variances differ."""
    latents, number = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    return {
        "z": rounded_normal(rng, latents),
        "index": int(rng.integers(latents)),
        "mu": rounded_normal(rng, number, latents) * torch.tensor(rng.choice([0.25, 2.0], size=latents)).float()
        + rounded_normal(rng, latents, scale=2.0),
        "steps": torch.tensor(
            np.sort(rng.choice(np.arange(-12, 13), size=rng.integers(5, 7), replace=False)) / 4
        ).float(),
    }


def traverse(z, index, mu, steps):
    """The code z in every row, with centre + step · spread in one column."""
    z, latent = z.numpy(), mu.numpy()[:, index]
    walk = np.outer(np.ones(len(steps)), z)
    walk[:, index] = latent.mean() + steps.numpy() * latent.std(ddof=1)
    return walk


def traverse_with(values, others=lambda z, mu: z):
    """An answer to latent/traverse with other values of the latent, or of the other latents."""

    def answer(z, index, mu, steps):
        walk = others(z, mu).repeat(len(steps), 1)
        walk[:, index] = values(z, index, mu, steps)
        return walk

    return answer


def values_in_range(z, index, mu, steps):
    return mu[:, index].mean() + steps * mu[:, index].std()


TRAVERSE = Task(
    name="latent/traverse",
    draw=draw_traverse,
    reference=traverse,
    library=("vae_lessons.latents.traverse",),
    mistakes=(
        Mistake(
            "moved from where the picture is",
            "Your steps start where this picture lies. A traversal asks what the latent does over its whole range, "
            "which is the same for every picture.",
            traverse_with(lambda z, index, mu, steps: z[index] + steps * mu[:, index].std()),
            traverse_with(lambda z, index, mu, steps: z[index] + steps),
        ),
        Mistake(
            "around 0",
            "Your steps go out from 0. Is 0 in the middle of where the means of this latent lie?",
            traverse_with(lambda z, index, mu, steps: steps * mu[:, index].std()),
            traverse_with(lambda z, index, mu, steps: steps),
        ),
        Mistake(
            "steps not in units of the spread",
            "Your steps are latent units. One latent may vary by 0.1 and another by 3: in which unit is a step as "
            "unusual for both?",
            traverse_with(lambda z, index, mu, steps: mu[:, index].mean() + steps),
        ),
        Mistake(
            "variance for standard deviation",
            "Your steps are multiples of a variance. Its unit is the square of the latent's.",
            traverse_with(lambda z, index, mu, steps: mu[:, index].mean() + steps * mu[:, index].var()),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Your steps are a little too short: the text says which standard deviation is meant. NumPy's is "
            "another one unless told otherwise.",
            traverse_with(lambda z, index, mu, steps: mu[:, index].mean() + steps * mu[:, index].std(correction=0)),
        ),
        Mistake(
            "spread of all latents together",
            "You measure the spread, and perhaps the centre, over all latents at once. Each latent has its own.",
            traverse_with(lambda z, index, mu, steps: mu.mean() + steps * mu.std()),
            traverse_with(lambda z, index, mu, steps: mu[:, index].mean() + steps * mu.std()),
        ),
        Mistake(
            "all coordinates moved",
            "All your coordinates move together. Then no one can tell which of them changed the picture.",
            lambda z, index, mu, steps: mu.mean(0) + steps[:, None] * mu.std(0),
            lambda z, index, mu, steps: z + steps[:, None] * mu.std(0),
            lambda z, index, mu, steps: z + steps[:, None],
        ),
        Mistake(
            "picture lost",
            "Your other coordinates are those of an average picture, or zero. This picture's own should stay as they "
            "are.",
            traverse_with(values_in_range, lambda z, mu: mu.mean(0)),
            traverse_with(values_in_range, lambda z, mu: torch.zeros_like(z)),
        ),
        Mistake(
            "all rows alike",
            "All your rows are the last step. If you changed one tensor again and again and kept it in a "
            "list, the list holds one and the same tensor many times.",
            traverse_with(lambda *inputs: values_in_range(*inputs)[-1]),
        ),
    ),
)


# latent/recentring(mu, log_var)


def draw_recentring(rng):
    """Codes off centre, with posteriors nearly as wide as the spread of the means, so that both matter."""
    number, latents = int(rng.integers(3, 6)), int(rng.integers(2, 4))
    latents += latents == number
    return {
        "mu": rounded_normal(rng, number, latents) + rounded_normal(rng, latents),
        "log_var": rounded_normal(rng, number, latents, scale=0.8) - 1.0,
    }


def recentring(mu, log_var):
    """½ (m² + s² − 1 − log s²) with the mean m and the variance s² of q(z): the lesson's "place and width"."""
    mu, variance = mu.numpy(), np.exp(log_var.numpy())
    m = mu.mean(0)
    s2 = (variance + mu**2).mean(0) - m**2
    return np.array([0.5 * (a**2 + b - 1 - math.log(b)) for a, b in zip(m, s2, strict=True)])


def place_and_width(m, s2):
    """KL(N(m, s²) ‖ N(0, 1))."""
    return 0.5 * (m**2 + s2 - 1 - s2.log())


def moments_of_codes(mu, log_var):
    """Mean and variance of q(z) for each latent."""
    return mu.mean(0), mu.var(0, correction=0) + log_var.exp().mean(0)


def kl_terms(mu, log_var):
    """KL(N(μ, σ²) ‖ N(0, 1)) of each picture and latent."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


RECENTRING = Task(
    name="latent/recentring",
    draw=draw_recentring,
    reference=recentring,
    mistakes=(
        Mistake(
            "only the spread of the means",
            "Your width is that of the posterior means. The decoder gets draws: how wide are the codes if all "
            "pictures have the same mean?",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0)),
        ),
        Mistake(
            "only the width of the posteriors",
            "Your width is the average width of one picture's posterior. How wide are the codes if every "
            "posterior is a point?",
            lambda mu, log_var: place_and_width(mu.mean(0), log_var.exp().mean(0)),
            lambda mu, log_var: place_and_width(mu.mean(0), log_var.mean(0).exp()),
        ),
        Mistake(
            "the KL itself",
            "That is all of the KL that is paid. Some of it says which picture it is, and no shift or scale "
            "can save that.",
            lambda mu, log_var: kl_terms(mu, log_var).mean(0),
        ),
        Mistake(
            "what is left, not what is saved",
            "Your number is what remains to be paid after the change. Asked is what it saves.",
            lambda mu, log_var: kl_terms(mu, log_var).mean(0) - place_and_width(*moments_of_codes(mu, log_var)),
        ),
        Mistake(
            "averages of log_var",
            "The variance of the codes contains an average of variances. You averaged their logarithms.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + log_var.mean(0).exp()),
        ),
        Mistake(
            "wrong power of exp(log_var)",
            "To the variance of the means you add something that is not a variance. What is exp(log_var): σ, or σ²?",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (2 * log_var).exp().mean(0)),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (log_var / 2).exp().mean(0)),
        ),
        Mistake(
            "N − 1 for N",
            "Your spread of the means is divided by N − 1. These N pictures are all there are: q(z) is a "
            "mixture of N equally probable parts, and nothing is estimated.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0) + log_var.exp().mean(0)),
        ),
        Mistake(
            "forgot the ½",
            "Every number is too large by the same factor.",
            lambda mu, log_var: 2 * place_and_width(*moments_of_codes(mu, log_var)),
        ),
        Mistake(
            "shift without scale",
            "You only shift. How much can be had back by a change of scale as well?",
            lambda mu, log_var: 0.5 * mu.mean(0) ** 2,
        ),
        Mistake(
            "scale without shift",
            "You only rescale. How much can be had back by a shift as well?",
            lambda mu, log_var: place_and_width(0 * mu.mean(0), moments_of_codes(mu, log_var)[1]),
        ),
        Mistake(
            "one number for all latents",
            "Asked is one number for each latent, (d,).",
            lambda mu, log_var: place_and_width(*moments_of_codes(mu, log_var)).sum(),
        ),
    ),
)


# latent/linear_vae(eigenvalues, n_latents)


def draw_linear_vae(rng):
    """Shuffled eigenvalues: as many above 1 as there are latents, and at least two below, whose mean is the noise."""
    kept, left = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    eigenvalues = np.concatenate([rng.uniform(1.2, 6, size=kept), rng.uniform(0.1, 0.9, size=left)])
    return {
        "eigenvalues": torch.tensor(rng.permutation(eigenvalues).round(2), dtype=torch.float32),
        "n_latents": kept,
    }


def linear_vae(eigenvalues, n_latents):
    """W = U_d (Λ_d − σ² I)^½ with σ² the mean of the rest, and the KL of its posterior (Tipping & Bishop 1999)."""
    values = np.sort(eigenvalues.numpy())[::-1]  # of a diagonal covariance, in descending order
    noise = values[n_latents:].mean()
    W = np.eye(len(values), n_latents) * np.sqrt(np.maximum(values[:n_latents] - noise, 0))
    M = W.T @ W + noise * np.eye(n_latents)
    means = np.linalg.solve(M, W.T)  # posterior means, as a linear map of x
    variance, second = noise / np.diag(M), np.diag(means @ np.diag(values) @ means.T)
    return noise, (W**2).sum(0), 0.5 * (variance + second - 1 - np.log(variance))


def largest_kept(values, n_latents):
    """The largest eigenvalues, in descending order, and the others."""
    ordered = values.sort(descending=True).values
    return ordered[:n_latents], ordered[n_latents:]


def linear_vae_with(
    pick=largest_kept,
    noise=lambda kept, left: left.mean(),
    squared=lambda kept, noise: kept - noise,
    rates=lambda kept, noise: 0.5 * (kept / noise).log(),
    result=lambda noise, squared, rates: (noise, squared, rates),
):
    """An answer to latent/linear_vae with some parts replaced."""

    def answer(eigenvalues, n_latents):
        kept, left = pick(eigenvalues, n_latents)
        variance = noise(kept, left)
        return result(variance, squared(kept, variance), rates(kept, variance))

    return answer


LINEAR_VAE = Task(
    name="latent/linear_vae",
    draw=draw_linear_vae,
    reference=linear_vae,
    mistakes=(
        Mistake(
            "order taken as given",
            "You take the eigenvalues as they come. Which ones does a model with few latents keep?",
            linear_vae_with(pick=lambda values, d: (values[:d], values[d:])),
        ),
        Mistake(
            "ascending order",
            "Your eigenvalues are in ascending order, as `eigh` gives them. Which ones does the model keep, and which "
            "of those comes first in the results?",
            linear_vae_with(pick=lambda values, d: (values.sort().values[:d], values.sort().values[d:])),
            linear_vae_with(pick=lambda values, d: (values.sort().values[-d:], values.sort().values[:-d])),
        ),
        Mistake(
            "noise added up",
            "Your noise is all variance left over, but σ² is the noise of *one* direction.",
            linear_vae_with(noise=lambda kept, left: left.sum()),
        ),
        Mistake(
            "σ for σ²",
            "Your noise is a standard deviation. Asked is the variance, and eigenvalues of a covariance are variances.",
            linear_vae_with(noise=lambda kept, left: left.mean().sqrt()),
            linear_vae_with(result=lambda noise, squared, rates: (noise.sqrt(), squared, rates)),
        ),
        Mistake(
            "noise averaged over all directions",
            "Your noise is an average over all D directions. What is left over belongs to the directions that are left "
            "over; those that the latents explain are no part of that average.",
            linear_vae_with(noise=lambda kept, left: left.sum() / (len(kept) + len(left))),
            linear_vae_with(noise=lambda kept, left: torch.cat([kept, left]).mean()),
        ),
        Mistake(
            "noise not subtracted",
            "Your columns alone explain all the variance of their direction. What does the pixel noise add there?",
            linear_vae_with(squared=lambda kept, noise: kept),
        ),
        Mistake(
            "lengths for squared lengths",
            "Your second result is the lengths of the columns; asked are their squares.",
            linear_vae_with(squared=lambda kept, noise: (kept - noise).sqrt()),
        ),
        Mistake(
            "forgot the ½",
            "Your rates are all too large by the same factor.",
            linear_vae_with(rates=lambda kept, noise: (kept / noise).log()),
        ),
        Mistake(
            "bits instead of nats",
            "Your rates are right in bits.",
            linear_vae_with(rates=lambda kept, noise: 0.5 * (kept / noise).log2()),
        ),
        Mistake(
            "logarithm of a wrong ratio",
            "Your rates come from a wrong ratio. What can a latent say whose eigenvalue is no larger than the noise? "
            "And should another unit for the pixels change any rate?",
            linear_vae_with(rates=lambda kept, noise: 0.5 * ((kept - noise) / noise).log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * (1 + kept / noise).log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * (1 + kept - noise).log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * kept.log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * (kept / noise.sqrt()).log()),
        ),
        Mistake(
            "square of the mean wrong in the KL",
            "Your KL holds the posterior's variance, but the square of its mean is missing or wrong. How large is it, "
            "on average over pictures? Variance and mean square together make up the prior's 1.",
            linear_vae_with(rates=lambda kept, noise: 0.5 * (noise / kept - 1 + (kept / noise).log())),
            linear_vae_with(rates=lambda kept, noise: 0.5 * ((kept / noise).log() + noise / kept + kept - noise - 1)),
        ),
    ),
)


# latent/total_correlation(mu, log_var, z)


def draw_total_correlation(rng):
    """Different numbers of pictures, latents and draws, so that divisions by them give different results."""
    number, latents, draws = int(rng.integers(3, 5)), 2 + int(rng.integers(0, 2)), int(rng.integers(5, 8))
    latents += 2 * (latents == number)
    mu, log_var = rounded_normal(rng, number, latents), rounded_normal(rng, number, latents, scale=0.5) - 0.5
    picked = rng.integers(number, size=draws)
    z = mu[picked] + (log_var[picked] / 2).exp() * rounded_normal(rng, draws, latents)
    return {"mu": mu, "log_var": log_var, "z": (100 * z).round() / 100}


def total_correlation(mu, log_var, z):
    """log q(z), and the average of log q(z) − Σⱼ log q(zⱼ) over the draws, by densities."""
    mu, sigma, z = mu.numpy(), np.exp(log_var.numpy() / 2), z.numpy()
    each = np.array([[stats.norm.pdf(row, m, s) for m, s in zip(mu, sigma, strict=True)] for row in z])  # (M, N, d)
    log_q = np.log(each.prod(2).mean(1))
    return log_q, (log_q - np.log(each.mean(1)).sum(1)).mean()


def log_densities(mu, log_var, z):
    """log q(zⱼ|xₙ) of every draw, picture and latent: (M, N, d)."""
    return Normal(mu, (log_var / 2).exp()).log_prob(z[:, None])


def log_densities_without_constant(mu, log_var, z):
    """The same without −½ log 2π."""
    return log_densities(mu, log_var, z) + 0.5 * math.log(2 * math.pi)


def log_mixture(log_parts):
    """The logarithm of the mean over the pictures, axis 1."""
    return log_parts.logsumexp(1) - math.log(log_parts.shape[1])


def total_correlation_with(
    log_each=log_densities,
    mix=log_mixture,
    joint=lambda log_each, mix: mix(log_each.sum(-1)),
    single=lambda log_each, mix: mix(log_each).sum(-1),
    result=lambda log_q, log_single: (log_q, (log_q - log_single).mean()),
):
    """An answer to latent/total_correlation with some parts replaced."""

    def answer(mu, log_var, z):
        logs = log_each(mu, log_var, z)
        return result(joint(logs, mix), single(logs, mix))

    return answer


def kl_to_prior(mu, log_var, z):
    """log q(z), and the average of log q(z) − log p(z) over the draws."""
    log_q = log_mixture(log_densities(mu, log_var, z).sum(-1))
    return log_q, (log_q - Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1)).mean()


TOTAL_CORRELATION = Task(
    name="latent/total_correlation",
    draw=draw_total_correlation,
    reference=total_correlation,
    mistakes=(
        Mistake(
            "mean of logarithms for logarithm of a mean",
            "You average logarithms over the pictures. How probable is a code that one picture often gives "
            "and all others never?",
            total_correlation_with(mix=lambda parts: parts.mean(1)),
            total_correlation_with(joint=lambda logs, mix: logs.sum(-1).mean(1)),
        ),
        Mistake(
            "factorised before mixing",
            "Your log q(z) is a sum of one-dimensional mixtures, which makes every q(z) factorise. A code comes from "
            "*one* picture: all its coordinates from the same one. In which order do product and mixture come?",
            total_correlation_with(joint=lambda logs, mix: mix(logs).sum(-1)),
        ),
        Mistake(
            "forgot 1/N",
            "Your log q(z) is too large by the same number everywhere: the pictures' densities are added without a "
            "weight. What does your density integrate to? Ask the same of the densities of single latents.",
            total_correlation_with(mix=lambda parts: parts.logsumexp(1)),
            total_correlation_with(joint=lambda logs, mix: logs.sum(-1).logsumexp(1)),
        ),
        Mistake(
            "forgot 1/N in the single latents",
            "Your log q(z) is right. Each single latent has a mixture of its own: what does each of their densities "
            "integrate to?",
            total_correlation_with(single=lambda logs, mix: logs.logsumexp(1).sum(-1)),
            total_correlation_with(single=lambda logs, mix: logs.logsumexp(1).sum(-1) - math.log(logs.shape[1])),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "Your Gaussians have the wrong width: `Normal` takes a standard deviation.",
            total_correlation_with(log_each=lambda mu, log_var, z: log_densities(mu, 2 * log_var, z)),
        ),
        Mistake(
            "mean over the latents",
            "You average the log-densities over the latents. Given the picture, the density of a code is a product.",
            total_correlation_with(joint=lambda logs, mix: mix(logs.mean(-1))),
        ),
        Mistake(
            "sign flipped",
            "Your log q(z) is right and the other number has the wrong sign: a total correlation is a KL divergence.",
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_single - log_q).mean())),
        ),
        Mistake(
            "KL to the prior",
            "Your log q(z) is right. You compare it with the prior; total correlation compares it with the "
            "product of its own single latents, wherever they lie.",
            kl_to_prior,
        ),
        Mistake(
            "summed over the draws",
            "Your log q(z) is right. The other number grows with the number of draws; an estimate should not.",
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_q - log_single).sum())),
        ),
        Mistake(
            "constants forgotten",
            "Your total correlation is right, as constants cancel in it. Your log q(z) is too large by the "
            "same number everywhere: what does each of your Gaussians integrate to?",
            total_correlation_with(log_each=log_densities_without_constant),
        ),
    ),
)


# latent/statements(mu, covariance)


def product_of_levels(rng):
    """Eight well-separated means on a grid of 2 × 4 levels, (8, 2), and their places in the grid."""
    first = np.sort(rng.choice([-1.5, 0.0, 1.5], size=2, replace=False))
    second = np.array([-3.0, -1.0, 1.0, 3.0]) * rng.uniform(0.6, 0.9)
    place = np.array([(i, j) for i in range(2) for j in range(4)])
    return np.stack([first[place[:, 0]], second[place[:, 1]]], 1), place


class Model(NamedTuple):
    """Posterior means and variances of eight pictures, (8, 2) each, and their correlations, (8,)."""

    mu: np.ndarray
    variances: np.ndarray
    tilt: np.ndarray


def means_on_grid(rng, model, place):
    """All three statements hold."""
    return model


def all_alike(rng, model, place):
    """All posteriors are the same: all three statements hold, and the correlation of the means is 0/0."""
    return model._replace(mu=np.zeros((8, 2)), variances=np.ones((8, 2)))


def widths_by_level(rng, model, place):
    """Each latent's width depends on its own level, so q(z) still factorises."""
    widths = [np.array([0.1, 0.5])[place[:, 0]], np.array([0.4, 0.1, 0.3, 0.2])[place[:, 1]]]
    return model._replace(variances=np.stack(widths, 1))


def means_on_line(rng, model, place):
    """Correlated means."""
    mu = np.stack([np.linspace(-2, 2, 8), rng.choice([-1, 1]) * np.linspace(-1.5, 2.5, 8)], 1)
    return model._replace(mu=mu + rng.uniform(-0.2, 0.2, size=(8, 2)))


def means_on_ring(rng, model, place):
    """Uncorrelated means, and a q(z) that does not factorise."""
    angle = np.arange(8) * np.pi / 4
    return model._replace(mu=np.stack([2 * np.cos(angle), 1.5 * np.sin(angle)], 1))


def checkered_widths(rng, model, place):
    """Wide in both latents at even places: z1 and z2 depend on each other through the widths, not the means."""
    even = place.sum(1, keepdims=True) % 2 == 0
    return model._replace(variances=np.where(even, 1.2, 0.04) * np.ones(2))


def all_tilted(rng, model, place):
    return model._replace(tilt=np.full(8, rng.choice([-1, 1]) * 0.7))


def tilted_both_ways(rng, model, place):
    """The average posterior covariance is diagonal, but no single one is."""
    return model._replace(tilt=np.where(place.sum(1) % 2 == 0, 0.8, -0.8))


def last_tilted(rng, model, place):
    """Only the first four posteriors are diagonal."""
    return model._replace(variances=np.full((8, 2), 0.6), tilt=np.repeat([0.0, 0.85], 4))


def tilted_against_means(rng, model, place):
    """Means and posteriors are correlated, but q(z) is not."""
    mu = np.stack([np.linspace(-1, 1, 8), -np.linspace(-1, 1, 8)], 1)
    return Model(mu, np.full((8, 2), (mu[:, 0] ** 2).mean() / 0.8), np.full(8, 0.8))


def tilted_on_line(rng, model, place):
    """None of the statements holds."""
    mu = np.stack([np.linspace(-2, 2, 8), np.linspace(-1.5, 2.5, 8)], 1)
    return model._replace(mu=mu, tilt=np.full(8, 0.6))


MODELS = (
    *(means_on_grid, all_alike, widths_by_level),  # factorised
    *(means_on_line, means_on_ring, checkered_widths),
    *(all_tilted, tilted_both_ways, last_tilted, tilted_against_means, tilted_on_line),
)


def draw_model(rng, kind):
    """Means (8, 2), off centre, and posterior covariances (8, 2, 2) of a kind of model, with shuffled pictures."""
    grid, place = product_of_levels(rng)
    variances = np.tile(rng.uniform(0.1, 0.3, size=2), (8, 1))
    mu, variances, tilt = kind(rng, Model(grid, variances, np.zeros(8)), place)
    order = np.arange(8) if kind is last_tilted else rng.permutation(8)
    mu = mu + rng.choice([-0.5, 0.5], size=2)
    off = tilt * np.sqrt(variances.prod(1))
    covariance = np.stack([np.stack([variances[:, 0], off], 1), np.stack([off, variances[:, 1]], 1)], 1)
    return mu[order], covariance[order]


def draw_statements(rng):
    """A model of every kind, in random order: each wrong rule fails on at least one."""
    models = [draw_model(rng, MODELS[kind]) for kind in rng.permutation(len(MODELS))]
    mu, covariance = (torch.tensor(np.stack(column), dtype=torch.float32) for column in zip(*models, strict=True))
    return {"mu": mu, "covariance": covariance}


def is_diagonal(covariance):
    """Whether the off-diagonal entries are zero up to rounding: (..., 2, 2) -> (...)."""
    return covariance[..., 0, 1].abs() < 1e-3


def covariance_of_means(mu):
    """(M, N, 2) -> (M, 2, 2)"""
    centred = mu - mu.mean(1, keepdim=True)
    return centred.transpose(1, 2) @ centred / mu.shape[1]


def covariance_of_codes(mu, covariance):
    """The covariance of q(z): the mean posterior covariance plus the covariance of the means."""
    return covariance.mean(1) + covariance_of_means(mu)


def crossings(mu):
    """All pairs of a first and a second coordinate of the means: (N, 2) -> (N², 2)."""
    return np.stack(np.meshgrid(mu[:, 0], mu[:, 1]), -1).reshape(-1, 2)


def statements(mu, covariance):
    """The third tests log q(z) = log q(z1) + log q(z2) at z1 of one picture's mean and z2 of another's."""
    answers = []
    for m, C in zip(mu.numpy(), covariance.numpy(), strict=True):
        difference = crossings(m)[:, None] - m  # (K, N, 2)
        squares = np.einsum("kni,nij,knj->kn", difference, np.linalg.inv(C), difference)
        log_joint = logsumexp(-0.5 * (squares + np.linalg.slogdet(C)[1]), axis=1) - np.log(len(m))
        variances = np.diagonal(C, axis1=1, axis2=2)
        log_each = logsumexp(-0.5 * (difference**2 / variances + np.log(variances)), axis=1) - np.log(len(m))
        factorised = np.abs(log_joint - log_each.sum(1)).max() < 1e-2
        centred = m - m.mean(0)
        answers.append(
            (np.abs(C[:, 0, 1]).max() < 1e-3, abs((centred[:, 0] * centred[:, 1]).mean()) < 1e-3, factorised)
        )
    return np.array(answers)


def posteriors_diagonal(mu, covariance):
    """The first statement: (M,)."""
    return is_diagonal(covariance).all(1)


def means_uncorrelated(mu, covariance):
    """The second statement: (M,)."""
    return is_diagonal(covariance_of_means(mu))


def codes_factorise(mu, covariance):
    """The third statement: (M,)."""
    return torch.tensor(statements(mu.double(), covariance.double())[:, 2])


def codes_uncorrelated(mu, covariance):
    return is_diagonal(covariance_of_codes(mu, covariance))


def means_uncorrelated_by_corrcoef(mu, covariance):
    """The second statement by correlations, which are nan, and so false, if all means are the same."""
    return torch.stack([torch.corrcoef(m.T)[0, 1].abs() < 1e-3 for m in mu])


def means_factorise(mu, covariance):
    """Whether the means alone, without the widths, form a product."""
    widths = torch.eye(2).to(mu) * 0.01
    return codes_factorise(mu, widths.expand_as(covariance))


def statements_with(first=posteriors_diagonal, second=means_uncorrelated, third=codes_factorise):
    """An answer to latent/statements with some rules replaced."""
    return lambda mu, covariance: torch.stack([rule(mu, covariance) for rule in (first, second, third)], 1)


STATEMENTS = Task(
    name="latent/statements",
    draw=draw_statements,
    reference=statements,
    cases=1,  # it contains a model of every kind
    mistakes=(
        Mistake(
            "factorised because the posteriors are diagonal",
            "Your third column repeats the first. Two pictures with narrow posteriors, at (1, 1) and (−1, "
            "−1): what does z1 tell about z2, if you do not know the picture?",
            statements_with(third=posteriors_diagonal),
            statements_with(second=means_uncorrelated_by_corrcoef, third=posteriors_diagonal),
        ),
        Mistake(
            "factorised because the means are uncorrelated",
            "Your third column repeats the second. Correlation sees straight lines only: think of a ring. "
            "(And if you divide by standard deviations: what is the correlation if all means are the same?)",
            statements_with(third=means_uncorrelated),
            statements_with(second=means_uncorrelated_by_corrcoef, third=means_uncorrelated_by_corrcoef),
        ),
        Mistake(
            "factorised because of both others",
            "You conclude the third statement from the first two. In the lesson there is a model that has "
            "both, and is not factorised. (And if you divide by standard deviations: what is the correlation if all "
            "means are the same?)",
            statements_with(third=lambda *model: posteriors_diagonal(*model) & means_uncorrelated(*model)),
            statements_with(
                second=means_uncorrelated_by_corrcoef,
                third=lambda *model: posteriors_diagonal(*model) & means_uncorrelated_by_corrcoef(*model),
            ),
        ),
        Mistake(
            "only the covariance of q(z) looked at",
            "Your third column asks whether the codes are uncorrelated. Independent is more than that. (And the second "
            "column is about the means alone.)",
            statements_with(third=codes_uncorrelated),
            statements_with(second=codes_uncorrelated, third=codes_uncorrelated),
        ),
        Mistake(
            "means not centred",
            "Your second column averages products of the means as they are. A covariance measures from their centre.",
            statements_with(second=lambda mu, covariance: mu.prod(-1).mean(1).abs() < 1e-3),
        ),
        Mistake(
            "codes for means",
            "Your second column looks at the codes, means and widths together. The statement is about the means.",
            statements_with(second=codes_uncorrelated),
        ),
        Mistake(
            "widths left out",
            "Your third column looks at the means and not at the widths. Can a width tell z1 something about z2?",
            statements_with(third=means_factorise),
        ),
        Mistake(
            "diagonal on average",
            "In one model the posteriors tilt to both sides, so that their average is diagonal. The statement "
            "is about each.",
            statements_with(first=lambda mu, covariance: is_diagonal(covariance.mean(1))),
        ),
        Mistake(
            "one picture for all",
            "In your first column a single diagonal posterior is enough. The statement is about each.",
            statements_with(first=lambda mu, covariance: is_diagonal(covariance[:, 0])),
            statements_with(first=lambda mu, covariance: is_diagonal(covariance).any(1)),
        ),
        Mistake(
            "nan for a correlation",
            "One model gives all pictures the same mean, and the correlation of constants is 0/0. Does the "
            "statement, as the text puts it, hold there?",
            statements_with(second=means_uncorrelated_by_corrcoef),
        ),
        Mistake(
            "the opposite",
            "All your answers are the wrong way round: True means that the statement holds.",
            lambda mu, covariance: ~statements_with()(mu, covariance),
        ),
    ),
)


# latent/turned(z_a, z_b)


def random_turn(rng, latents, determinant=1.0):
    """A rotation (a reflection if the determinant is −1) that maps no axis close to an axis."""
    while True:
        turn, _ = np.linalg.qr(rng.normal(size=(latents, latents)))
        if np.abs(turn).max() < 0.95:
            turn[:, 0] *= np.sign(np.linalg.det(turn) * determinant)
            return turn


def rotated(rng, a, turn):
    return a @ turn


def reflected(rng, a, turn):
    return a @ random_turn(rng, a.shape[1], -1.0)


def reordered(rng, a, turn):
    """Permute the axes and change some signs."""
    latents = a.shape[1]
    return a[:, np.roll(np.arange(latents), 1)] * rng.choice([-1.0, 1.0], size=latents)


def stretched(rng, a, turn):
    return a @ turn * np.linspace(0.5, 1.6, a.shape[1])


def sheared(rng, a, turn):
    """Shear the codes, which keeps volumes."""
    latents = a.shape[1]
    return a @ turn @ (np.eye(latents) + 1.2 * np.eye(latents, k=1))


def shifted(rng, a, turn):
    latents = a.shape[1]
    return a @ turn + rng.choice([-1, 1], size=latents) * rng.uniform(0.5, 1.5, size=latents)


def mapped_to_same_covariance(rng, a, turn):
    """Apply a linear map that keeps the covariance of these codes, but not N(0, I)."""
    factor = np.linalg.cholesky(np.cov(a.T))
    return a @ np.linalg.inv(factor).T @ turn @ factor.T


def codes_of_other_pictures(rng, a, turn):
    return np.roll(a, 1, axis=0) @ turn


def swirled(rng, a, turn):
    """Turn each code by an angle proportional to its length."""
    angle = 1.5 * np.linalg.norm(a, axis=1)
    moved = a.copy()
    moved[:, 0] = np.cos(angle) * a[:, 0] - np.sin(angle) * a[:, 1]
    moved[:, 1] = np.sin(angle) * a[:, 0] + np.cos(angle) * a[:, 1]
    return moved @ turn


def bent(rng, a, turn):
    return a * np.abs(a) @ turn


def unrelated(rng, a, turn):
    return rng.normal(size=a.shape)


CHANGES = (
    *(rotated, reflected, reordered),  # turned
    *(stretched, sheared, shifted, mapped_to_same_covariance),  # affine
    *(codes_of_other_pictures, swirled, bent, unrelated),  # different
)


def draw_turned(rng):
    """A pair for every kind of change, from codes off centre with different spreads along the axes."""
    number, latents = int(rng.integers(12, 16)), int(rng.integers(2, 4))
    firsts, seconds = [], []
    for kind in rng.permutation(len(CHANGES)):
        a = (rng.normal(size=(number, latents)) * np.linspace(0.6, 1.6, latents) + 0.4).round(2)
        firsts.append(a)
        seconds.append(CHANGES[kind](rng, a, random_turn(rng, latents)))
    return {
        "z_a": torch.tensor(np.stack(firsts), dtype=torch.float32),
        "z_b": torch.tensor(np.stack(seconds), dtype=torch.float32),
    }


def turned(z_a, z_b):
    """Affine if the best map a ↦ aA + c has no error; turned if it also keeps all scalar products a aᵀ."""
    words = []
    for a, b in zip(z_a.numpy(), z_b.numpy(), strict=True):
        full = np.column_stack([a, np.ones(len(a))])
        if np.abs(b - full @ np.linalg.pinv(full) @ b).max() > 1e-2:
            words.append("different")
        else:
            words.append("turned" if np.abs(a @ a.T - b @ b.T).max() < 1e-2 else "affine")
    return np.array(words)


def alike(a, b):
    return (a - b).abs().max() < 1e-2


def best_map(a, b):
    """The matrix A of the best map a ↦ aA."""
    return torch.linalg.lstsq(a, b).solution


def with_ones(a):
    """The codes with a column of ones, which gives a linear map an offset."""
    return torch.cat([a, torch.ones(len(a), 1).to(a)], 1)


def is_linear(a, b):
    return alike(a @ best_map(a, b), b)


def is_affine(a, b):
    return is_linear(with_ones(a), b)


def matrix_of_affine(a, b):
    """The matrix A of the best map a ↦ aA + c."""
    return best_map(with_ones(a), b)[:-1]


def is_orthogonal(a, b):
    """Whether A is orthogonal in the best map a ↦ aA + c."""
    A = matrix_of_affine(a, b)
    return alike(A @ A.T, torch.eye(len(A)).to(A))


def same_products(a, b):
    """Whether all scalar products between pictures are the same, and thus all lengths and angles."""
    return alike(a @ a.T, b @ b.T)


def same_axes(a, b):
    """Whether b has the columns of a, up to order and sign."""
    columns = torch.cat([a, -a], 1)
    return all(min((column - other).abs().max() for other in columns.T) < 1e-2 for column in b.T)


def same_volume(a, b):
    """Whether b is a linear map of a with determinant 1 or −1."""
    return is_linear(a, b) and (torch.linalg.det(best_map(a, b)).abs() - 1).abs() < 1e-2


def turned_with(is_turned=same_products, is_affine=is_affine):
    """An answer to latent/turned with one or both rules replaced."""
    return lambda z_a, z_b: [
        "turned" if is_turned(a, b) else "affine" if is_affine(a, b) else "different"
        for a, b in zip(z_a, z_b, strict=True)
    ]


TURNED = Task(
    name="latent/turned",
    draw=draw_turned,
    reference=turned,
    cases=3,
    mistakes=(
        Mistake(
            "shift overlooked",
            "In one pair all distances between pictures are the same, but the whole cloud has moved. Does a shift "
            "leave N(0, I) as it is?",
            turned_with(lambda a, b: alike(torch.cdist(a, a), torch.cdist(b, b))),
            turned_with(lambda a, b: is_affine(a, b) and is_orthogonal(a, b)),
        ),
        Mistake(
            "lengths of the codes compared",
            "You compare how far codes lie from the origin. Each may keep its distance and still be turned by "
            "another angle.",
            turned_with(lambda a, b: alike(a.norm(dim=1), b.norm(dim=1))),
        ),
        Mistake(
            "shapes of the clouds compared",
            "You compare what the codes look like as clouds. Two clouds can have the same shape though the same "
            "picture lies in another place, or though the prior would be stretched. Follow single pictures.",
            turned_with(
                lambda a, b: alike(torch.linalg.eigvalsh(torch.cov(a.T)), torch.linalg.eigvalsh(torch.cov(b.T)))
            ),
            turned_with(lambda a, b: alike(torch.linalg.svdvals(a), torch.linalg.svdvals(b))),
        ),
        Mistake(
            "reflections left out",
            "You ask for a determinant of +1. Does a mirror change N(0, I)?",
            turned_with(lambda a, b: same_products(a, b) and torch.linalg.det(matrix_of_affine(a, b)) > 0),
        ),
        Mistake(
            "only axes compared",
            "You compare single latents, in any order and with any sign. A rotation mixes them.",
            turned_with(same_axes),
        ),
        Mistake(
            "determinant 1 taken for a rotation",
            "Your rotations are maps that keep volumes. A shear does so too: a circle becomes an ellipse of "
            "the same area.",
            turned_with(same_volume),
        ),
        Mistake(
            "any linear map taken for a rotation",
            "You call every linear map a rotation. Which of them leave N(0, I) as it is?",
            turned_with(is_linear),
            turned_with(is_affine),
        ),
        Mistake(
            "map without an offset",
            "One pair differs by a rotation and a shift, and you call it different. A decoder's first layer "
            "can undo a shift.",
            turned_with(is_affine=is_linear),
        ),
        Mistake(
            "no linear map looked for",
            "You find the rotations. Some of the others hold the same code in other units, and some do not: look for "
            "the map.",
            turned_with(is_affine=lambda a, b: False),
            turned_with(is_affine=lambda a, b: True),
        ),
    ),
)

TASKS = (TRAVERSE, RECENTRING, LINEAR_VAE, TOTAL_CORRELATION, STATEMENTS, TURNED)
