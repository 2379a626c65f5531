"""The tasks of exercise 08, inside the latent space."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import MultivariateNormal, Normal

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, wide

__all__ = ["TASKS"]


# latent/traverse(z, index, mu, steps)


def draw_traverse(rng):
    """Latents off centre, some narrow and some wide, so that centres, spreads and variances differ; steps unsorted."""
    latents, number = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    return {
        "z": rounded_normal(rng, latents),
        "index": int(rng.integers(latents)),
        "mu": rounded_normal(rng, number, latents) * torch.tensor(rng.choice([0.25, 2.0], size=latents)).float()
        + rounded_normal(rng, latents, scale=2.0),
        "steps": torch.tensor(rng.choice(np.arange(-12, 13), size=rng.integers(5, 7), replace=False) / 4).float(),
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


def evenly(first, last, number):
    return torch.linspace(float(first), float(last), number)


TRAVERSE = Task(
    name="latent/traverse",
    draw=draw_traverse,
    reference=traverse,
    library=("vae_lessons.latents.traverse",),
    mistakes=(
        Mistake(
            "moved from where the picture is",
            "The latent that you change still depends on where this picture lies. A traversal asks what the latent "
            "does over its whole range, which is the same for every picture.",
            traverse_with(lambda z, index, mu, steps: z[index] + steps * mu[:, index].std()),
            traverse_with(lambda z, index, mu, steps: z[index] + steps * mu[:, index].std(correction=0)),
            traverse_with(lambda z, index, mu, steps: z[index] + steps),
            traverse_with(lambda z, index, mu, steps: z[index] + steps * mu.std()),
            traverse_with(lambda z, index, mu, steps: z[index] + steps * mu[:, index].var()),
            traverse_with(lambda z, index, mu, steps: z[index] * (1 + steps)),
            traverse_with(lambda z, index, mu, steps: z[index] + values_in_range(z, index, mu, steps)),
            traverse_with(lambda z, index, mu, steps: (z[index] - mu[:, index].mean()) / mu[:, index].std() + steps),
        ),
        Mistake(
            "around 0",
            "Your steps go out from 0. Is 0 in the middle of where the means of this latent lie?",
            traverse_with(lambda z, index, mu, steps: steps * mu[:, index].std()),
            traverse_with(lambda z, index, mu, steps: steps * mu[:, index].std(correction=0)),
            traverse_with(lambda z, index, mu, steps: steps * mu[:, index].var()),
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
            traverse_with(lambda z, index, mu, steps: mu[:, index].mean() + steps * mu.std(0).mean()),
        ),
        Mistake(
            "counted from 1",
            "The mean and the spread that you use are those of the latent before `index`. Which latent has index 0?",
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index - 1, mu, steps)),
            lambda z, index, mu, steps: traverse_with(values_in_range)(z, index - 1, mu, steps),
        ),
        Mistake(
            "row of mu for a column",
            "You take the mean and the spread over a single row of `mu`: over the latents of one picture. The question "
            "is where one latent lies, over all pictures.",
            traverse_with(lambda z, index, mu, steps: mu[index].mean() + steps * mu[index].std()),
            traverse_with(lambda z, index, mu, steps: mu.mean(1)[index] + steps * mu.std(1)[index]),
        ),
        Mistake(
            "another middle than the mean",
            "The middle of your walk is not the mean, but the median, or halfway between the smallest and the largest.",
            traverse_with(lambda z, index, mu, steps: mu[:, index].median() + steps * mu[:, index].std()),
            traverse_with(lambda z, index, mu, steps: mu[:, index].quantile(0.5) + steps * mu[:, index].std()),
            traverse_with(
                lambda z, index, mu, steps: (mu[:, index].amin() + mu[:, index].amax()) / 2 + steps * mu[:, index].std()
            ),
        ),
        Mistake(
            "steps not used one by one",
            "Your codes are evenly spaced, and `steps` are not. Which step belongs to which row?",
            traverse_with(
                lambda z, index, mu, steps: values_in_range(z, index, mu, evenly(steps[0], steps[-1], len(steps)))
            ),
            traverse_with(
                lambda z, index, mu, steps: values_in_range(z, index, mu, evenly(steps.min(), steps.max(), len(steps)))
            ),
            traverse_with(
                lambda z, index, mu, steps: evenly(mu[:, index].min(), mu[:, index].max(), len(steps)),
            ),
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index, mu, evenly(-2, 2, len(steps)))),
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index, mu, evenly(-3, 3, len(steps)))),
        ),
        Mistake(
            "steps sorted",
            "Your rows go from the smallest step to the largest. Which row belongs to which step?",
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index, mu, steps.sort().values)),
        ),
        Mistake(
            "the other way",
            "Your codes go the other way: up where a step is negative.",
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index, mu, -steps)),
        ),
        Mistake(
            "steps added up",
            "Each of your rows goes on from the row before. Every step is counted from the middle.",
            traverse_with(lambda z, index, mu, steps: values_in_range(z, index, mu, steps.cumsum(0))),
        ),
        Mistake(
            "all coordinates moved",
            "All your coordinates move together. Then no one can tell which of them changed the picture.",
            lambda z, index, mu, steps: mu.mean(0) + steps[:, None] * mu.std(0),
            lambda z, index, mu, steps: z + steps[:, None] * mu.std(0),
            lambda z, index, mu, steps: z + steps[:, None],
            lambda z, index, mu, steps: mu[:, index].mean() + steps[:, None].expand(-1, len(z)) * mu[:, index].std(),
            lambda z, index, mu, steps: z + steps[:, None] * mu[:, index].std(),
        ),
        Mistake(
            "only the latent that changes",
            "You return the values of one latent. The decoder needs whole codes: what are the others?",
            values_in_range,
            lambda *inputs: values_in_range(*inputs)[:, None],
        ),
        Mistake(
            "picture lost",
            "Your other coordinates are those of an average picture, or zero. This picture's own should stay as they "
            "are.",
            traverse_with(values_in_range, lambda z, mu: mu.mean(0)),
            traverse_with(values_in_range, lambda z, mu: torch.zeros_like(z)),
            traverse_with(lambda z, index, mu, steps: steps, lambda z, mu: torch.zeros_like(z)),
            traverse_with(lambda z, index, mu, steps: steps * mu[:, index].std(), lambda z, mu: torch.zeros_like(z)),
            traverse_with(
                lambda z, index, mu, steps: mu[:, index].mean() + steps * mu[:, index].std(correction=0),
                lambda z, mu: mu.mean(0),
            ),
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


def saved_by(mu, log_var, m, s2, power=1.0, average=lambda kl: kl.mean(0)):
    """KL terms before, less those after a shift by m and a scale by s. A wrong power of s² rescales the variances."""
    after = kl_terms((mu - m) / s2.sqrt(), log_var - power * s2.log())
    return average(kl_terms(mu, log_var) - after)


def spread(mu, log_var):
    """The standard deviation of q(z) for each latent."""
    return moments_of_codes(mu, log_var)[1].sqrt()


def log_times(factor, mu, log_var):
    """KL(N(m, s²) ‖ N(0, 1)) with a factor at log s²."""
    m, s2 = moments_of_codes(mu, log_var)
    return 0.5 * (m**2 + s2 - 1 - factor * s2.log())


RECENTRING = Task(
    name="latent/recentring",
    draw=(draw_recentring, wide(draw_recentring, "log_var")),
    reference=recentring,
    mistakes=(
        Mistake(
            "only the spread of the means",
            "Your width is that of the posterior means. The decoder gets draws: how wide are the codes if all "
            "pictures have the same mean?",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0)),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0)),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0, correction=0)),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0)),
        ),
        Mistake(
            "only the width of the posteriors",
            "Your width is the average width of one picture's posterior. How wide are the codes if every "
            "posterior is a point?",
            lambda mu, log_var: place_and_width(mu.mean(0), log_var.exp().mean(0)),
            lambda mu, log_var: place_and_width(mu.mean(0), log_var.mean(0).exp()),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), log_var.exp().mean(0)),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), (log_var / 2).exp().mean(0) ** 2),
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
            "log_var or σ averaged",
            "The variance of the codes contains an average of variances. You average their logarithms, or standard "
            "deviations.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + log_var.mean(0).exp()),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (log_var / 2).exp().mean(0) ** 2),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0) + log_var.mean(0).exp()),
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
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0) + log_var.exp().mean(0)),
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
            lambda mu, log_var: place_and_width(0 * mu.mean(0), (mu**2 + log_var.exp()).mean(0)),
            lambda mu, log_var: saved_by(mu, log_var, 0, moments_of_codes(mu, log_var)[1]),
        ),
        Mistake(
            "centre counted twice",
            "Your variance of the codes is measured from 0, so that the centre is in it, and in m² once more.",
            lambda mu, log_var: place_and_width(mu.mean(0), (mu**2 + log_var.exp()).mean(0)),
        ),
        Mistake(
            "posteriors rescaled wrongly",
            "After your change of scale the posteriors have a wrong width. If all codes are divided by 2, what happens "
            "to a variance, and to its logarithm?",
            lambda mu, log_var: saved_by(mu, log_var, *moments_of_codes(mu, log_var), power=0),
            lambda mu, log_var: saved_by(mu, log_var, *moments_of_codes(mu, log_var), power=0.5),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0, correction=0), power=0),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0), power=0),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0, correction=0), power=0.5),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), mu.var(0), power=0.5),
            lambda mu, log_var: (
                kl_terms(mu, log_var).mean(0)
                - kl_terms((mu - mu.mean(0)) / spread(mu, log_var), log_var / spread(mu, log_var)).mean(0)
            ),
        ),
        Mistake(
            "logarithm missing or with a wrong factor",
            "The logarithm in your formula is missing, or has a wrong factor. Take codes with m = 0 and s = 3: does "
            "your formula give KL(N(0, 9) ‖ N(0, 1)) = 2.90?",
            lambda mu, log_var: log_times(0, mu, log_var),
            lambda mu, log_var: log_times(0.5, mu, log_var),
            lambda mu, log_var: log_times(2, mu, log_var),
            lambda mu, log_var: log_times(-1, mu, log_var),
        ),
        Mistake(
            "standard deviation for variance",
            "You put the standard deviation of the codes, or a sum of standard deviations, in place of their variance.",
            lambda mu, log_var: place_and_width(mu.mean(0), moments_of_codes(mu, log_var)[1].sqrt()),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.std(0, correction=0) + (log_var / 2).exp().mean(0)),
            lambda mu, log_var: place_and_width(mu.mean(0), mu.std(0) + (log_var / 2).exp().mean(0)),
            lambda mu, log_var: place_and_width(mu.mean(0), (mu.std(0) + (log_var / 2).exp().mean(0)) ** 2),
            lambda mu, log_var: place_and_width(
                mu.mean(0), (mu.std(0, correction=0) + (log_var / 2).exp().mean(0)) ** 2
            ),
        ),
        Mistake(
            "divided by the variance",
            "You divide the codes by their variance. What has to be divided by, so that the variance becomes 1?",
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), spread(mu, log_var) ** 4),
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(0), spread(mu, log_var) ** 4, power=0.5),
        ),
        Mistake(
            "KL the other way round",
            "Your number is the KL from N(0, 1) to a Gaussian with the moments of the codes. Which of the two stands "
            "first in the KL term?",
            lambda mu, log_var: (
                0.5 * (mu.mean(0) ** 2 + 1) / spread(mu, log_var) ** 2 - 0.5 + spread(mu, log_var).log()
            ),
        ),
        Mistake(
            "one shift and scale for all latents",
            "You shift and rescale all latents alike. Each has an m and an s of its own.",
            lambda mu, log_var: saved_by(mu, log_var, mu.mean(), mu.var(correction=0) + log_var.exp().mean()),
            lambda mu, log_var: place_and_width(mu.mean(), mu.var(correction=0) + log_var.exp().mean()),
        ),
        Mistake(
            "one row for each picture",
            "You return a number for each picture. Asked is the average over the pictures.",
            lambda mu, log_var: saved_by(mu, log_var, *moments_of_codes(mu, log_var), average=lambda kl: kl),
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


def mean_square(kept, noise):
    """The average square of the posterior's mean."""
    return 1 - noise / kept


def rates_with(kept, noise, variance=lambda kept, noise: noise / kept, square=mean_square):
    """KL to the prior, with other numbers for the posterior's variance, or for the average square of its mean."""
    v = variance(kept, noise)
    return 0.5 * (v + square(kept, noise) - 1 - v.log())


LINEAR_VAE = Task(
    name="latent/linear_vae",
    draw=draw_linear_vae,
    reference=linear_vae,
    mistakes=(
        Mistake(
            "order taken as given",
            "You take the eigenvalues in the order in which they come, or in the reverse order. Which ones does a "
            "model with few latents keep?",
            linear_vae_with(pick=lambda values, d: (values[:d], values[d:])),
            linear_vae_with(pick=lambda values, d: (values.flip(0)[:d], values.flip(0)[d:])),
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
            "one eigenvalue for the noise",
            "Your noise is one of the eigenvalues left over. One σ² has to serve all directions that are left over.",
            linear_vae_with(noise=lambda kept, left: left.min()),
            linear_vae_with(noise=lambda kept, left: left.max()),
            linear_vae_with(noise=lambda kept, left: left.median()),
        ),
        Mistake(
            "noise of the directions kept",
            "Your noise is an average over the directions that the latents explain. What is left to the noise?",
            linear_vae_with(noise=lambda kept, left: kept.mean()),
        ),
        Mistake(
            "off by one in the noise",
            "In your average over the directions left over one is too many or too few: in the sum, or in the number "
            "that it is divided by.",
            linear_vae_with(noise=lambda kept, left: left[1:].mean()),
            linear_vae_with(noise=lambda kept, left: left[:-1].mean()),
            linear_vae_with(noise=lambda kept, left: torch.cat([kept[-1:], left]).mean()),
            linear_vae_with(noise=lambda kept, left: left.sum() / (len(left) - 1)),
            linear_vae_with(noise=lambda kept, left: left.sum() / (len(left) + 1)),
        ),
        Mistake(
            "shares of the variance",
            "Your eigenvalues are divided by their sum. Double all pixels: should the noise stay as it is?",
            linear_vae_with(pick=lambda values, d: largest_kept(values / values.sum(), d)),
        ),
        Mistake(
            "lengths in units of the noise",
            "Your squared lengths stay as they are if all pixels are multiplied by 10. What should the columns do?",
            linear_vae_with(squared=lambda kept, noise: kept / noise),
            linear_vae_with(squared=lambda kept, noise: kept / noise - 1),
            linear_vae_with(squared=lambda kept, noise: 1 - noise / kept),
            linear_vae_with(squared=lambda kept, noise: torch.ones_like(kept)),
        ),
        Mistake(
            "noise not subtracted",
            "Your columns alone explain all the variance of their direction. What does the pixel noise add there?",
            linear_vae_with(squared=lambda kept, noise: kept),
        ),
        Mistake(
            "noise added",
            "Your columns are longer than all variance of their direction asks for. What do the columns explain, and "
            "what the pixel noise?",
            linear_vae_with(squared=lambda kept, noise: kept + noise),
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
            linear_vae_with(rates=lambda kept, noise: 0.5 * (kept / noise**2).log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * (kept - noise).log()),
            linear_vae_with(rates=lambda kept, noise: 0.5 * (1 + kept).log()),
        ),
        Mistake(
            "gain in log p(x) for the rate",
            "Your third result is what keeping a direction adds to log p(x) (lesson 08, section 11). Asked is a KL.",
            linear_vae_with(rates=lambda kept, noise: 0.5 * (kept / noise - 1 - (kept / noise).log())),
        ),
        Mistake(
            "square of the mean wrong in the KL",
            "Your KL holds the posterior's variance, but the square of its mean is missing or wrong. How large is it, "
            "on average over pictures? Variance and mean square together make up the prior's 1.",
            *(
                linear_vae_with(rates=partial(rates_with, square=square))
                for square in (
                    lambda kept, noise: 0,
                    lambda kept, noise: 1,
                    lambda kept, noise: kept,
                    lambda kept, noise: kept - noise,
                    lambda kept, noise: kept / noise,
                    lambda kept, noise: (kept - noise) / noise,
                    lambda kept, noise: (kept - noise) / kept**2,
                    lambda kept, noise: (1 - noise / kept) ** 2,
                    lambda kept, noise: (1 - noise / kept).sqrt(),
                    lambda kept, noise: 1 / kept,
                )
            ),
        ),
        Mistake(
            "variance of the posterior wrong in the KL",
            "Your KL holds a wrong number for the posterior's variance, or none. The lesson has its covariance: what "
            "is M along one axis, with the squared length that you return?",
            *(
                linear_vae_with(rates=partial(rates_with, variance=variance, square=square))
                for variance in (
                    lambda kept, noise: noise,
                    lambda kept, noise: 1 / kept,
                    lambda kept, noise: noise / (kept + noise),
                    lambda kept, noise: noise / (kept - noise),
                    lambda kept, noise: noise**2 / kept,
                )
                for square in (mean_square, lambda kept, noise: 0)
            ),
            linear_vae_with(rates=partial(rates_with, variance=lambda kept, noise: kept, square=lambda kept, noise: 0)),
            linear_vae_with(rates=lambda kept, noise: 0.5 * mean_square(kept, noise)),
        ),
    ),
)


# latent/total_correlation(mu, log_var, z)


def draw_total_correlation(rng, centre=-0.5):
    """Different numbers of pictures, latents and draws, so that divisions by them give different results."""
    number, latents = int(rng.integers(3, 5)), 2 + int(rng.integers(0, 2))
    latents += 2 * (latents == number)
    mu, log_var = rounded_normal(rng, number, latents), rounded_normal(rng, number, latents, scale=0.5) + centre
    return with_draws(rng, mu, log_var)


def draw_unlucky(rng):
    """Latents that depend little on each other, and draws for which the estimate is below zero."""
    while True:
        mu, log_var = rounded_normal(rng, 3, 2, scale=0.3), rounded_normal(rng, 3, 2, scale=0.5) - 0.5
        case = with_draws(rng, mu, log_var)
        if total_correlation(*case.values())[1] < -0.01:
            return case


def draw_many_latents(rng):
    """So many latents that densities are below the smallest number, in double precision as well."""
    mu, log_var = rounded_normal(rng, 3, 320, scale=2.0), rounded_normal(rng, 3, 320, scale=0.5) + 3.0
    return with_draws(rng, mu, log_var)


def with_draws(rng, mu, log_var):
    """The case with five to seven draws of q(z)."""
    picked = rng.integers(len(mu), size=int(rng.integers(5, 8)))
    z = mu[picked] + (log_var[picked] / 2).exp() * rounded_normal(rng, len(picked), mu.shape[1])
    return {"mu": mu, "log_var": log_var, "z": (100 * z).round() / 100}


def total_correlation(mu, log_var, z):
    """log q(z), and the average of log q(z) − Σⱼ log q(zⱼ) over the draws."""
    mu, sigma, z = mu.numpy(), np.exp(log_var.numpy() / 2), z.numpy()
    each = np.array([[stats.norm.logpdf(row, m, s) for m, s in zip(mu, sigma, strict=True)] for row in z])  # (M, N, d)
    log_q = logsumexp(each.sum(2), axis=1, b=1 / len(mu))
    return log_q, (log_q - logsumexp(each, axis=1, b=1 / len(mu)).sum(1)).mean()


def log_densities(mu, log_var, z):
    """log q(zⱼ|xₙ) of every draw, picture and latent: (M, N, d)."""
    return Normal(mu, (log_var / 2).exp()).log_prob(z[:, None])


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


def log_densities_with(constant, width):
    """The same with factors at ½ log 2π and at ½ log σ² (log_var / 2)."""
    return lambda mu, log_var, z: (
        -0.5 * ((z[:, None] - mu) ** 2 / log_var.exp() + constant * math.log(2 * math.pi) + width * log_var)
    )


SMALLEST = torch.finfo(torch.float32).tiny


def mixture_of_densities(log_parts, floor=0.0):
    """The logarithm of the mean density over the pictures, axis 1, to which a small number may be added."""
    return (log_parts.exp().mean(1) + floor).log()


def gaussian_q(mu, log_var, z, of="joint"):
    """log q(z) and the estimate, with Gaussians of the moments of q(z), or of the draws, for some of its densities."""
    log_each = log_densities(mu, log_var, z)
    log_q = log_mixture(log_each.sum(-1))
    m, variance = (z.mean(0), z.var(0)) if of == "draws" else moments_of_codes(mu, log_var)
    log_single = Normal(m, variance.sqrt()).log_prob(z)
    if of == "joint":
        centred = mu - mu.mean(0)
        covariance = centred.T @ centred / len(mu) + torch.diag(log_var.exp().mean(0))
        log_q = MultivariateNormal(m, covariance).log_prob(z)
    return log_q, (log_q - log_single.sum(-1)).mean()


TOTAL_CORRELATION = Task(
    name="latent/total_correlation",
    library=("vae_lessons.distributions.log_aggregated_posterior",),
    draw=(
        draw_total_correlation,
        draw_unlucky,
        partial(draw_total_correlation, centre=-4.0),  # densities above 1
        draw_many_latents,
        draw_total_correlation,
    ),
    cases=5,
    agree=Close(rtol=5e-4, atol=1e-4),  # sums over 320 latents in single precision
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
            "1/N not in each of the single latents",
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
            "You average log-densities over the latents. The density of independent latents is a product: what does "
            "that become under the logarithm?",
            total_correlation_with(joint=lambda logs, mix: mix(logs.mean(-1))),
            total_correlation_with(single=lambda logs, mix: mix(logs).mean(-1)),
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
            total_correlation_with(log_each=log_densities_with(constant=0, width=1)),
        ),
        Mistake(
            "width missing in the normalisation",
            "Your Gaussians are as high at their centre when they are narrow as when they are wide. What does each of "
            "them integrate to?",
            total_correlation_with(log_each=log_densities_with(constant=0, width=0)),
            total_correlation_with(log_each=log_densities_with(constant=1, width=0)),
        ),
        Mistake(
            "factor 1/N wrong",
            "The factor 1/N went wrong in your densities of mixtures: what does it become under the logarithm, and how "
            "often does it occur in q(z)?",
            lambda mu, log_var, z: total_correlation_with(mix=lambda parts: parts.logsumexp(1) - math.log(len(z)))(
                mu, log_var, z
            ),
            total_correlation_with(mix=lambda parts: parts.logsumexp(1) / parts.shape[1]),
            total_correlation_with(mix=lambda parts: parts.logsumexp(1) + math.log(parts.shape[1])),
            total_correlation_with(
                joint=lambda logs, mix: logs.sum(-1).logsumexp(1) - logs.shape[-1] * math.log(logs.shape[1])
            ),
            total_correlation_with(single=lambda logs, mix: logs.logsumexp(1).sum(-1) / logs.shape[1]),
        ),
        Mistake(
            "only the nearest picture",
            "You keep the largest of the pictures' densities. In a mixture all of them count.",
            total_correlation_with(mix=lambda parts: parts.amax(1) - math.log(parts.shape[1])),
            total_correlation_with(mix=lambda parts: parts.amax(1)),
            total_correlation_with(joint=lambda logs, mix: logs.sum(-1).amax(1) - math.log(logs.shape[1])),
            total_correlation_with(single=lambda logs, mix: (logs.amax(1) - math.log(logs.shape[1])).sum(-1)),
        ),
        Mistake(
            "densities underflow",
            "With several hundred latents your result is infinite or not a number: a product of so many densities is "
            "smaller than any number that the computer holds, so it becomes 0. Where do you leave the logarithms?",
            total_correlation_with(mix=mixture_of_densities),
            total_correlation_with(joint=lambda logs, mix: mixture_of_densities(logs.sum(-1))),
            total_correlation_with(single=lambda logs, mix: mix(logs).exp().prod(-1).log()),
            total_correlation_with(
                joint=lambda logs, mix: mixture_of_densities(logs.sum(-1)),
                single=lambda logs, mix: mix(logs).exp().prod(-1).log(),
            ),
        ),
        Mistake(
            "a floor under the densities",
            "With several hundred latents your log q(z) is the logarithm of a small number that was put in the place "
            "of 0, or added to it. Where do you leave the logarithms?",
            *(
                total_correlation_with(joint=joint, **single)
                for joint in (lambda logs, mix: logs.sum(-1).exp().mean(1).clamp_min(SMALLEST).log(),)
                for single in ({}, {"single": lambda logs, mix: logs.exp().mean(1).clamp_min(SMALLEST).log().sum(-1)})
            ),
            *(
                total_correlation_with(
                    joint=partial(lambda logs, mix, floor: mixture_of_densities(logs.sum(-1), floor), floor=floor)
                )
                for floor in (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30, 1e-37, 1e-38, 1e-40)
            ),
            *(
                lambda mu, log_var, z, floor=floor: total_correlation_with(
                    joint=lambda logs, mix: mixture_of_densities(logs.sum(-1), floor)
                )(mu.double(), log_var.double(), z.double())
                for floor in (1e-100, 1e-200, 1e-300)
            ),
        ),
        Mistake(
            "Gaussians for mixtures",
            "Where q(z), or the q of a single latent, is asked for, you use one Gaussian with its mean and variance. "
            "A mixture is another distribution.",
            partial(gaussian_q, of="joint"),
            partial(gaussian_q, of="single"),
            partial(gaussian_q, of="draws"),
        ),
        Mistake(
            "estimate kept from falling below 0",
            "A KL divergence is never below 0, but an estimate from a few draws can be. You change it, or its terms, "
            "where they are negative: what does that do to an average over many estimates?",
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_q - log_single).mean().clamp(min=0))),
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_q - log_single).mean().abs())),
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_q - log_single).abs().mean())),
            total_correlation_with(result=lambda log_q, log_single: (log_q, (log_q - log_single).clamp(min=0).mean())),
        ),
        Mistake(
            "weighted by the density again",
            "You weight the draws by q(z). They come from q(z): where it is large there are more of them already.",
            total_correlation_with(
                result=lambda log_q, log_single: (log_q, (log_q.exp() * (log_q - log_single)).sum())
            ),
            total_correlation_with(
                result=lambda log_q, log_single: (log_q, (log_q.exp() * (log_q - log_single)).mean())
            ),
            total_correlation_with(
                result=lambda log_q, log_single: (log_q, (log_q.softmax(0) * (log_q - log_single)).sum())
            ),
        ),
        Mistake(
            "one number for each draw",
            "Your second result has a number for each draw. Asked is their average.",
            total_correlation_with(result=lambda log_q, log_single: (log_q, log_q - log_single)),
        ),
        Mistake(
            "mixture over the draws",
            "Your log q has a number for each picture. Asked is one for each draw: over which axis is the mixture?",
            total_correlation_with(
                mix=lambda parts: parts.logsumexp(0) - math.log(parts.shape[1]),
            ),
            total_correlation_with(
                mix=lambda parts: parts.logsumexp(0) - math.log(parts.shape[0]),
            ),
            total_correlation_with(mix=lambda parts: parts.logsumexp(0)),
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
    """Means whose covariance is negative."""
    mu = np.stack([np.linspace(-2, 2, 8), -np.linspace(-1.5, 2.5, 8)], 1)
    return model._replace(mu=mu + rng.uniform(-0.2, 0.2, size=(8, 2)))


def means_on_short_line(rng, model, place):
    """Correlated means close together, so that their covariance is small."""
    steps = np.linspace(-0.25, 0.25, 8)
    return model._replace(mu=np.stack([steps, steps], 1), variances=np.full((8, 2), 0.01))


def means_on_ring(rng, model, place):
    """Uncorrelated means, and a q(z) that does not factorise."""
    angle = np.arange(8) * np.pi / 4
    return model._replace(mu=np.stack([2 * np.cos(angle), 1.5 * np.sin(angle)], 1))


def checkered_widths(rng, model, place):
    """Wide in both latents at even places: z1 and z2 depend on each other through the widths, not the means."""
    even = place.sum(1, keepdims=True) % 2 == 0
    return model._replace(variances=np.where(even, 1.2, 0.04) * np.ones(2))


def widths_on_diamond(rng, model, place):
    """All means alike, and widths that depend on each other although their reciprocals are uncorrelated.

    So q(z) and the product of its latents are equal at the mean, and differ elsewhere.
    """
    narrow, middle, wide = 9.6, 5.1, 0.6
    precise = [(narrow, middle), (wide, middle), (middle, narrow), (middle, wide)]
    return model._replace(mu=np.zeros((8, 2)), variances=np.tile(precise, (2, 1)) ** -2.0)


def all_tilted(rng, model, place):
    """Posteriors whose covariance is negative."""
    return model._replace(variances=np.full((8, 2), 0.5), tilt=np.full(8, -0.7))


def all_tilted_narrow(rng, model, place):
    """All posteriors alike, and so narrow that their covariance is small."""
    return Model(np.zeros((8, 2)), np.full((8, 2), rng.uniform(0.03, 0.05)), np.full(8, 0.7))


def tilted_both_ways(rng, model, place):
    """The average posterior covariance is diagonal, but no single one is."""
    return model._replace(variances=np.full((8, 2), 0.5), tilt=np.where(place.sum(1) % 2 == 0, 0.8, -0.8))


def last_tilted(rng, model, place):
    """Only the first four posteriors are diagonal."""
    return model._replace(variances=np.full((8, 2), 2.0), tilt=np.repeat([0.0, 0.9], 4))


def tilted_against_means(rng, model, place):
    """Means and posteriors are correlated, but q(z) is not."""
    mu = np.stack([np.linspace(-1, 1, 8), -np.linspace(-1, 1, 8)], 1)
    return Model(mu, np.full((8, 2), (mu[:, 0] ** 2).mean() / 0.8), np.full(8, 0.8))


def tilted_on_line(rng, model, place):
    """None of the statements holds."""
    mu = np.stack([np.linspace(-2, 2, 8), np.linspace(-1.5, 2.5, 8)], 1)
    return Model(mu, np.full((8, 2), 0.5), np.full(8, 0.6))


MODELS = (
    *(means_on_grid, all_alike, widths_by_level),  # factorised
    *(means_on_line, means_on_short_line, means_on_ring, checkered_widths, widths_on_diamond),
    *(all_tilted, all_tilted_narrow, tilted_both_ways, last_tilted, tilted_against_means, tilted_on_line),
)


def draw_model(rng, kind):
    """Means (8, 2), off centre, and posterior covariances (8, 2, 2) of a kind of model, with shuffled pictures."""
    grid, place = product_of_levels(rng)
    variances = np.tile(rng.uniform(0.1, 0.3, size=2), (8, 1))
    mu, variances, tilt = kind(rng, Model(grid, variances, np.zeros(8)), place)
    order = np.arange(8) if kind is last_tilted else rng.permutation(8)
    if np.ptp(mu) > 0:
        mu = mu + rng.uniform(1e-7, 2e-7) * mu[:, ::-1]  # rounding errors
    mu = mu + rng.choice([-0.5, 0.5], size=2)
    off = tilt * np.sqrt(variances.prod(1)) + rng.uniform(1e-7, 2e-7, size=8)  # rounding errors
    covariance = np.stack([np.stack([variances[:, 0], off], 1), np.stack([off, variances[:, 1]], 1)], 1)
    return mu[order], covariance[order]


def draw_statements(rng):
    """A model of every kind, in random order: each wrong rule fails on at least one."""
    models = [draw_model(rng, MODELS[kind]) for kind in rng.permutation(len(MODELS))]
    mu, covariance = (torch.tensor(np.stack(column), dtype=torch.float32) for column in zip(*models, strict=True))
    return {"mu": mu, "covariance": covariance}


def is_diagonal(covariance, limit=1e-3):
    """Whether the off-diagonal entries are zero up to rounding: (..., 2, 2) -> (...)."""
    return covariance[..., 0, 1].abs() < limit


def covariance_of_means(mu):
    """(M, N, 2) -> (M, 2, 2)"""
    centred = mu - mu.mean(1, keepdim=True)
    return centred.transpose(1, 2) @ centred / mu.shape[1]


def covariance_of_codes(mu, covariance):
    """The covariance of q(z): the mean posterior covariance plus the covariance of the means."""
    return covariance.mean(1) + covariance_of_means(mu)


def crossings(codes):
    """All pairs of a first and a second coordinate of the codes: (K, 2) -> (K², 2)."""
    return np.stack(np.meshgrid(codes[:, 0], codes[:, 1]), -1).reshape(-1, 2)


def log_ratios(m, C, places):
    """log q(z) − log q(z1) − log q(z2) at the codes z (K, 2): (K,)."""
    difference = places[:, None] - m  # (K, N, 2)
    squares = np.einsum("kni,nij,knj->kn", difference, np.linalg.inv(C), difference)
    log_joint = logsumexp(-0.5 * (squares + np.linalg.slogdet(C)[1]), axis=1) - np.log(len(m))
    variances = np.diagonal(C, axis1=1, axis2=2)
    log_each = logsumexp(-0.5 * (difference**2 / variances + np.log(variances)), axis=1) - np.log(len(m))
    return log_joint - log_each.sum(1)


def around(m, C):
    """The means, and one standard deviation above each: (2N, 2)."""
    return np.concatenate([m, m + np.sqrt(np.diagonal(C, axis1=1, axis2=2))])


def statements(mu, covariance):
    """The third tests log q(z) = log q(z1) + log q(z2) with z1 near one picture's mean and z2 near another's."""
    answers = []
    for m, C in zip(mu.numpy(), covariance.numpy(), strict=True):
        factorised = np.abs(log_ratios(m, C, crossings(around(m, C)))).max() < 1e-2
        centred = m - m.mean(0)
        answers.append(
            (np.abs(C[:, 0, 1]).max() < 1e-3, abs((centred[:, 0] * centred[:, 1]).mean()) < 1e-3, factorised)
        )
    return np.array(answers)


def numbers_of_statements(mu, covariance):
    """For each model what the three columns depend on, as one sentence."""
    rows = []
    for m, C in zip(mu.numpy(), covariance.numpy(), strict=True):
        between = ((m - m.mean(0)).prod(1)).mean()
        far = np.abs(log_ratios(m, C, crossings(around(m, C)))).max()
        rows.append(f"{np.abs(C[:, 0, 1]).max():.3f} / {between + 0:.3f} / {far:.2f}")
    return (
        "Model by model, the largest posterior covariance without its sign / Cov(μ1, μ2) / the largest difference "
        f"found between log q(z) and log q(z1) + log q(z2): {'; '.join(rows)}."
    )


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


def equal_at(places):
    """The third statement, tested only at some codes, places(m, C) (K, 2), of each model."""
    return lambda mu, covariance: torch.tensor(
        [
            np.abs(log_ratios(m, C, places(m, C))).max() < 1e-3
            for m, C in zip(mu.double().numpy(), covariance.double().numpy(), strict=True)
        ]
    )


def is_low(covariance):
    """Whether the off-diagonal entries are zero, or below it."""
    return covariance[..., 0, 1] < 1e-3


def codes_uncorrelated_by_corrcoef(mu, covariance):
    """Whether the correlation of q(z) is small."""
    total = covariance_of_codes(mu, covariance)
    return total[:, 0, 1].abs() / (total[:, 0, 0] * total[:, 1, 1]).sqrt() < 0.1


def never(mu, covariance):
    return torch.zeros(len(mu), dtype=torch.bool)


def widths_only(mu, covariance):
    """The third statement for posteriors with the right variances and no covariances."""
    return codes_factorise(mu, torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1)))


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
    decides=numbers_of_statements,
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
            statements_with(third=codes_uncorrelated_by_corrcoef),
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
            statements_with(third=lambda *model: posteriors_diagonal(*model) & means_factorise(*model)),
        ),
        Mistake(
            "covariances of the posteriors left out",
            "Your third column has the right means and variances, but takes every posterior as diagonal. The first "
            "column says that some are not.",
            statements_with(third=widths_only),
        ),
        Mistake(
            "third statement tested in too few places",
            "In one model all pictures have the same mean, and q(z) does not factorise; your third column says that it "
            "does. Where do you compare q(z) with the product? Look elsewhere too.",
            statements_with(third=equal_at(lambda m, C: m)),
            statements_with(third=equal_at(lambda m, C: crossings(m))),
        ),
        Mistake(
            "second column taken from another",
            "Your second column repeats the first or the third. It is about the posterior means alone.",
            statements_with(second=posteriors_diagonal),
            statements_with(second=codes_factorise),
        ),
        Mistake(
            "third column always false",
            "Your third column is false for every model. Four pictures at the corners of a square, with equal widths: "
            "what does z1 tell about z2 there?",
            statements_with(third=never),
        ),
        Mistake(
            "columns in another order",
            "Your columns are right, but not in the order of the statements.",
            lambda mu, covariance: statements_with()(mu, covariance)[:, [2, 1, 0]],
            lambda mu, covariance: statements_with()(mu, covariance)[:, [0, 2, 1]],
            lambda mu, covariance: statements_with()(mu, covariance)[:, [1, 0, 2]],
        ),
        Mistake(
            "limit too high",
            "You let a covariance that counts pass as 0. The text says from which size on a statement fails.",
            *(
                statements_with(
                    first=lambda mu, covariance, limit=first: is_diagonal(covariance, limit).all(1),
                    second=lambda mu, covariance, limit=second: is_diagonal(covariance_of_means(mu), limit),
                )
                for first, second in ((0.1, 1e-3), (1e-3, 0.1), (0.1, 0.1))
            ),
        ),
        Mistake(
            "compared with exactly 0",
            "You ask for exactly 0, or nearly so. Numbers that should be 0 are off by rounding errors here: which "
            "limit lies well between those and 0.01?",
            *(
                statements_with(
                    first=lambda mu, covariance, limit=first: is_diagonal(covariance, limit).all(1),
                    second=lambda mu, covariance, limit=second: is_diagonal(covariance_of_means(mu), limit),
                    third=third,
                )
                for first, second in ((1e-8, 1e-3), (1e-3, 1e-8), (1e-8, 1e-8))
                for third in (codes_factorise, never)
            ),
        ),
        Mistake(
            "sign of a covariance left in",
            "A covariance of −0.5 passes as 0 in your answer.",
            statements_with(first=lambda mu, covariance: is_low(covariance).all(1)),
            statements_with(second=lambda mu, covariance: is_low(covariance_of_means(mu))),
            statements_with(
                first=lambda mu, covariance: is_low(covariance).all(1),
                second=lambda mu, covariance: is_low(covariance_of_means(mu)),
            ),
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
            "Some models give all pictures the same mean, and the correlation of constants is 0/0. Does the "
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
    """Stretch the codes along some directions, so that their average length stays."""
    b = a @ turn * np.linspace(0.5, 1.6, a.shape[1])
    return b * np.linalg.norm(a, axis=1).mean() / np.linalg.norm(b, axis=1).mean()


def enlarged(rng, a, turn):
    return 1.5 * a @ turn


def shrunk(rng, a, turn):
    return 0.6 * a @ turn


def squeezed(rng, a, turn):
    """Halve one direction, so that no code gets longer."""
    return a @ turn * np.where(np.arange(a.shape[1]) == 0, 0.5, 1.0)


def oblique(rng, a, turn):
    """Apply a matrix whose rows and columns have length 1, and are not at right angles."""
    latents = a.shape[1]
    return a @ (0.8 * np.eye(latents) + 0.6 * np.roll(np.eye(latents), 1, axis=1))


def sheared(rng, a, turn):
    """Shear the codes, which keeps volumes."""
    latents = a.shape[1]
    return a @ turn @ (np.eye(latents) + 1.2 * np.eye(latents, k=1))


def shifted(rng, a, turn):
    """Shift the codes along one axis, downwards."""
    return a @ turn - np.eye(a.shape[1])[0] * rng.uniform(0.5, 1.5)


def mapped_to_same_covariance(rng, a, turn):
    """Apply a linear map that keeps the covariance of these codes, but not N(0, I)."""
    factor = np.linalg.cholesky(np.cov(a.T))
    return a @ np.linalg.inv(factor).T @ turn @ factor.T


def mapped_to_same_moments(rng, a, turn):
    """The same about the mean, so that the mean is kept as well."""
    return a.mean(0) + mapped_to_same_covariance(rng, a - a.mean(0), turn)


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


def flattened(rng, a, turn):
    """Turn the codes, then set one latent to 0: no map brings them back."""
    b = a @ turn
    b[:, -1] = 0
    return b


def with_one_off(rng, a, b, error):
    """Move one picture of the second half in one latent, so that the best affine map misses it by `error`."""
    full = np.column_stack([a, np.ones(len(a))])
    picture = int(rng.integers(len(a) // 2 + 1, len(a)))
    left = 1 - (full @ np.linalg.pinv(full))[picture, picture]  # the part of a move that no map follows
    b[picture, 0] += error / left
    return b


def one_off_up(rng, a, turn):
    return with_one_off(rng, a, stretched(rng, a, turn), 0.08)


def one_off_down(rng, a, turn):
    return with_one_off(rng, a, stretched(rng, a, turn), -0.08)


def turned_but_one(rng, a, turn):
    return with_one_off(rng, a, a @ turn, 0.08)


CHANGES = (
    *(rotated, reflected, reordered),  # turned
    *(
        stretched,
        enlarged,
        shrunk,
        squeezed,
        oblique,
        sheared,
        shifted,
        mapped_to_same_covariance,
        mapped_to_same_moments,
    ),  # affine
    *(codes_of_other_pictures, swirled, bent, unrelated, flattened),  # different
    *(one_off_up, one_off_down, turned_but_one),
)


def draw_turned(rng):
    """A pair for every kind of change, from codes off centre with different spreads along the axes.

    There are so many pictures that a single one that is off counts little in an average or a fitted map.
    """
    number, latents = int(rng.integers(100, 150)), int(rng.integers(2, 4))
    firsts, seconds = [], []
    for kind in rng.permutation(len(CHANGES)):
        a = (rng.normal(size=(number, latents)) * np.linspace(0.6, 1.6, latents) + 0.4).round(2)
        firsts.append(a)
        seconds.append(CHANGES[kind](rng, a, random_turn(rng, latents)).round(4))
    return {
        "z_a": torch.tensor(np.stack(firsts), dtype=torch.float32),
        "z_b": torch.tensor(np.stack(seconds), dtype=torch.float32),
    }


def fit(a, b):
    """A and c of the best map a ↦ aA + c, and its errors."""
    full = np.column_stack([a, np.ones(len(a))])
    solution = np.linalg.pinv(full) @ b
    return solution[:-1], solution[-1], full @ solution - b


def turned(z_a, z_b):
    """Affine if the best map a ↦ aA + c has no error and an inverse; turned if it also keeps all products a aᵀ."""
    words = []
    for a, b in zip(z_a.numpy(), z_b.numpy(), strict=True):
        A, _, errors = fit(a, b)
        if np.abs(errors).max() > 1e-2 or np.linalg.svd(A, compute_uv=False).min() < 1e-2:
            words.append("different")
        else:
            words.append("turned" if np.abs(a @ a.T - b @ b.T).max() < 1e-2 else "affine")
    return np.array(words)


def numbers_of_turned(z_a, z_b):
    """For each pair what the words depend on, as one sentence."""
    rows = []
    for a, b in zip(z_a.numpy(), z_b.numpy(), strict=True):
        A, _, errors = fit(a, b)
        products = np.abs(a @ a.T - b @ b.T).max()
        rows.append(f"{np.abs(errors).max():.3f} / {np.abs(np.linalg.det(A)):.2f} / {products:.2f}")
    return (
        "Pair by pair, the largest error of the best map A, c / |det A| / the largest change of a scalar product of "
        f"two codes: {'; '.join(rows)}."
    )


def alike(a, b, limit=1e-2):
    return (a - b).abs().max() < limit


def best_map(a, b):
    """The matrix A of the best map a ↦ aA."""
    return torch.linalg.lstsq(a, b).solution


def with_ones(a):
    """The codes with a column of ones, which gives a linear map an offset."""
    return torch.cat([a, torch.ones(len(a), 1).to(a)], 1)


def errors_of(a, b):
    """The errors of the best map a ↦ aA + c."""
    return with_ones(a) @ best_map(with_ones(a), b) - b


def matrix_of_affine(a, b):
    """The matrix A of the best map a ↦ aA + c."""
    return best_map(with_ones(a), b)[:-1]


def is_invertible(A):
    return torch.linalg.svdvals(A).min() > 1e-2


def is_linear(a, b):
    return alike(a @ best_map(a, b), b) and is_invertible(best_map(a, b))


def is_affine(a, b, limit=1e-2):
    return errors_of(a, b).abs().max() < limit and is_invertible(matrix_of_affine(a, b))


def fits(a, b):
    """Whether some map a ↦ aA + c fits, invertible or not."""
    return errors_of(a, b).abs().max() < 1e-2


def is_orthogonal(a, b):
    """Whether A is orthogonal in the best map a ↦ aA + c."""
    A = matrix_of_affine(a, b)
    return alike(A @ A.T, torch.eye(len(A)).to(A))


def same_products(a, b, limit=1e-2):
    """Whether all scalar products between pictures are the same, and thus all lengths and angles."""
    return alike(a @ a.T, b @ b.T, limit)


def turned_on_average(a, b):
    """Whether a rotation or reflection fits on average."""
    left, _, right = torch.linalg.svd(a.T @ b)
    return (a @ left @ right - b).pow(2).mean() < 4e-4


def same_axes(a, b):
    """Whether b has the columns of a, up to order and sign."""
    columns = torch.cat([a, -a], 1)
    return all(min((column - other).abs().max() for other in columns.T) < 1e-2 for column in b.T)


def scaled_axes(a, b):
    """Whether each column of b is an affine map of one column of a."""
    return all(min(errors_of(one[:, None], other[:, None]).abs().max() for one in a.T) < 1e-2 for other in b.T)


def same_volume(a, b):
    """Whether b is a linear map of a with determinant 1 or −1."""
    return is_linear(a, b) and (torch.linalg.det(best_map(a, b)).abs() - 1).abs() < 1e-2


def same_orientation_and_volume(a, b):
    """Whether b is a linear map of a with determinant 1."""
    return is_linear(a, b) and (torch.linalg.det(best_map(a, b)) - 1).abs() < 1e-2


def unit_lengths(axis):
    """Whether b is a linear map of a whose matrix has rows or columns of length 1."""
    return lambda a, b: is_linear(a, b) and alike(best_map(a, b).norm(dim=axis), torch.ones(1).to(a))


def keeps_angles(a, b):
    """Whether b is a multiple of a rotation or reflection of a."""
    A = best_map(a, b)
    return is_linear(a, b) and alike(A @ A.T / (A @ A.T)[0, 0], torch.eye(len(A)).to(A))


def orthogonal_of_any_length(side):
    """Whether b is a linear map of a whose matrix has orthogonal rows (side 0) or columns (side 1), of any length."""

    def test(a, b):
        A = best_map(a, b) if side == 0 else best_map(a, b).T
        products = A @ A.T
        return is_linear(a, b) and alike(products, torch.diag(products.diag()))

    return test


def same_spectrum(a, b):
    return alike(torch.linalg.eigvalsh(torch.cov(a.T)), torch.linalg.eigvalsh(torch.cov(b.T)))


def same_second_moments(a, b):
    return alike(torch.linalg.eigvalsh(a.T @ a / len(a)), torch.linalg.eigvalsh(b.T @ b / len(b)))


def is_spread_out(a, b):
    """Whether no direction of the second codes is empty."""
    return torch.linalg.svdvals(b - b.mean(0)).min() > 1e-2


def same_covariance(a, b):
    return alike(torch.cov(a.T), torch.cov(b.T))


def same_average_length(a, b):
    return alike(a.norm(dim=1).mean(), b.norm(dim=1).mean())


def first_pictures(a, b):
    """The codes of the first d + 1 pictures."""
    return a[: a.shape[1] + 1], b[: a.shape[1] + 1]


def is_turn(a, b):
    """Whether A is orthogonal and c zero in the best map a ↦ aA + c, however well it fits."""
    offset = best_map(with_ones(a), b)[-1]
    return is_orthogonal(a, b) and alike(offset, torch.zeros_like(offset))


def eigenvalues_of_length_1(a, b):
    eigenvalues = torch.linalg.eigvals(best_map(a, b))
    return is_linear(a, b) and alike(eigenvalues.abs(), torch.ones(len(eigenvalues)).to(a))


def turned_with(is_turned=same_products, is_affine=is_affine):
    """An answer to latent/turned with one or both rules replaced."""
    return lambda z_a, z_b: [
        "turned" if is_turned(a, b) else "affine" if is_affine(a, b) else "different"
        for a, b in zip(z_a.double(), z_b.double(), strict=True)
    ]


def all_with(*rules):
    """Answers with each rule for "turned", for all pairs or only for affine ones, with or without an inverse."""
    return [
        turned_with(rule if alone else lambda a, b, rule=rule, fit=fit: fit(a, b) and rule(a, b), fit)
        for rule in rules
        for alone in (True, False)
        for fit in (is_affine, fits)
    ]


TURNED = Task(
    name="latent/turned",
    draw=draw_turned,
    reference=turned,
    cases=3,
    decides=numbers_of_turned,
    mistakes=(
        Mistake(
            "shift overlooked",
            "In one pair all distances between pictures are the same, but the whole cloud has moved. Does a shift "
            "leave N(0, I) as it is?",
            *all_with(lambda a, b: alike(torch.cdist(a, a), torch.cdist(b, b)), is_orthogonal),
        ),
        Mistake(
            "map without an inverse",
            "In one pair a latent of the second code is 0 for all pictures. A map leads there: does one lead back?",
            turned_with(is_affine=fits),
        ),
        Mistake(
            "lengths of the codes compared",
            "You compare how far codes lie from the origin. Each may keep its distance and still be turned by "
            "another angle.",
            *(
                turned_with(lambda a, b: alike(a.norm(dim=1), b.norm(dim=1)), affine)
                for affine in (is_affine, fits, lambda a, b: False)
            ),
        ),
        Mistake(
            "shapes of the clouds compared",
            "You compare the clouds of codes as a whole, by their size or covariance. Two clouds can agree in those "
            "though the map between them changes N(0, I). Follow single pictures.",
            *(
                turned_with(rule, affine)
                for rule in (same_spectrum, same_second_moments)
                for affine in (lambda a, b: True, is_spread_out)
            ),
            *all_with(
                same_spectrum,
                same_second_moments,
                lambda a, b: same_spectrum(a, b) and alike(a.mean(0).norm(), b.mean(0).norm()),
                same_covariance,
                same_average_length,
            ),
        ),
        Mistake(
            "reflections left out",
            "You ask for a determinant of +1. Does a mirror change N(0, I)?",
            *all_with(lambda a, b: same_products(a, b) and torch.linalg.det(matrix_of_affine(a, b)) > 0),
        ),
        Mistake(
            "only axes compared",
            "Of the turned pairs you find only those whose latents are the first ones in another order, or with other "
            "signs. A rotation mixes them.",
            *(turned_with(same_axes, affine) for affine in (is_affine, fits, scaled_axes, lambda a, b: False)),
        ),
        Mistake(
            "determinant 1 taken for a rotation",
            "Your rotations are maps that keep volumes. A shear does so too: a circle becomes an ellipse of "
            "the same area.",
            *all_with(same_volume, same_orientation_and_volume),
        ),
        Mistake(
            "eigenvalues of length 1 taken for a rotation",
            "Your turned maps have eigenvalues of length 1. One of them makes some codes longer and others shorter all "
            "the same.",
            *all_with(eigenvalues_of_length_1),
        ),
        Mistake(
            "rows of length 1 taken for a rotation",
            "In one pair the rows and the columns of the map have length 1, and you call it turned. What else has to "
            "hold between two rows?",
            *all_with(unit_lengths(0), unit_lengths(1)),
        ),
        Mistake(
            "largest stretch taken for all",
            "In one pair no code gets longer and some get shorter, and you call it turned. Does N(0, I) stay as it is?",
            *all_with(lambda a, b: is_linear(a, b) and alike(torch.linalg.svdvals(best_map(a, b))[:1], torch.ones(1))),
        ),
        Mistake(
            "change of size overlooked",
            "In one pair the codes are turned and all made larger or smaller, and you call it turned. Does that leave "
            "N(0, I) as it is?",
            *all_with(keeps_angles, orthogonal_of_any_length(0), orthogonal_of_any_length(1)),
        ),
        Mistake(
            "any linear map taken for a rotation",
            "You call every linear map a rotation. Which of them leave N(0, I) as it is?",
            *all_with(is_linear, is_affine, fits, lambda a, b: alike(a @ best_map(a, b), b)),
        ),
        Mistake(
            "map without an offset",
            "One pair differs by a rotation and a shift, and you call it different. A decoder's first layer "
            "can undo a shift.",
            turned_with(is_affine=is_linear),
            turned_with(is_affine=lambda a, b: alike(a @ best_map(a, b), b)),
        ),
        Mistake(
            "a picture that is off overlooked",
            "In some pairs a map fits all pictures but one, and you do not call all of these different. Is your limit "
            "for single pictures, or for an average? Does it hold for errors of both signs, and is it below 0.05?",
            *(
                turned_with(is_turned, affine)
                for affine in (
                    lambda a, b: errors_of(a, b).pow(2).mean() < 4e-4 and is_invertible(matrix_of_affine(a, b)),
                    lambda a, b: errors_of(a, b).pow(2).mean() < 4e-4,
                    lambda a, b: errors_of(a, b).max() < 1e-2 and is_invertible(matrix_of_affine(a, b)),
                    lambda a, b: errors_of(a, b).min() > -1e-2 and is_invertible(matrix_of_affine(a, b)),
                    lambda a, b: errors_of(a, b).max() < 1e-2,
                    lambda a, b: errors_of(a, b).min() > -1e-2,
                )
                for is_turned in (same_products, lambda a, b, affine=affine: affine(a, b) and is_turn(a, b))
            ),
            turned_with(turned_on_average),
            turned_with(turned_on_average, fits),
        ),
        Mistake(
            "no pair turned",
            "You call no pair turned, but some are. Is your limit above the rounding error, and do you test the map?",
            *(turned_with(lambda a, b: False, affine) for affine in (is_affine, fits, lambda a, b: False, is_linear)),
        ),
        Mistake(
            "no linear map looked for",
            "You find the rotations, and call no pair affine. Some of the others hold the same code in other units, "
            "and some do not: look for the map.",
            turned_with(is_affine=lambda a, b: False),
        ),
        Mistake(
            "errors of the map not looked at",
            "You call pairs turned or affine whose codes no map connects. The map that you have: does it fit every "
            "picture?",
            *(
                turned_with(is_turned, affine)
                for is_turned in (same_products, is_turn, lambda a, b: is_turn(*first_pictures(a, b)))
                for affine in (
                    lambda a, b: True,
                    lambda a, b: is_invertible(matrix_of_affine(a, b)),
                    lambda a, b: is_invertible(matrix_of_affine(*first_pictures(a, b))),
                )
            ),
        ),
    ),
)

TASKS = (TRAVERSE, RECENTRING, LINEAR_VAE, TOTAL_CORRELATION, STATEMENTS, TURNED)
