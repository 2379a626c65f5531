"""The tasks of exercise 08, inside the latent space."""

import math

import numpy as np
import torch
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import MultivariateNormal, Normal

from vae_course.judging.task import Mistake, Task, rounded_normal

__all__ = ["TASKS"]


# latent/traverse(z, index, mu, steps)


def draw_traverse(rng):
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
    z, latent = z.numpy(), mu.numpy()[:, index]
    walk = np.outer(np.ones(len(steps)), z)
    walk[:, index] = latent.mean() + steps.numpy() * latent.std(ddof=1)
    return walk


def walked(values, fixed=lambda z, mu: z):
    """An answer to latent/traverse with other values, or other places for the other coordinates."""

    def answer(z, index, mu, steps):
        walk = fixed(z, mu).repeat(len(steps), 1)
        walk[:, index] = values(z, index, mu, steps)
        return walk

    return answer


def in_range(z, index, mu, steps):
    return mu[:, index].mean() + steps * mu[:, index].std()


MOVED = (
    "Your steps start where this picture lies. A traversal asks what the latent does over its whole range, which is the "
    "same for every picture."
)
NOT_ITS_CENTRE = "Your steps go out from 0. Is 0 in the middle of where the means of this latent lie?"
UNSCALED = (
    "Your steps are latent units. One latent may vary by 0.1 and another by 3: in which unit is a step as unusual for "
    "both?"
)

TRAVERSE = Task(
    name="latent/traverse",
    draw=draw_traverse,
    reference=traverse,
    library=("vae_lessons.latents.traverse",),
    mistakes=(
        Mistake(
            "moved from where the picture is",
            MOVED,
            walked(lambda z, j, mu, t: z[j] + t * mu[:, j].std()),
            walked(lambda z, j, mu, t: z[j] + t),
        ),
        Mistake(
            "around 0",
            NOT_ITS_CENTRE,
            walked(lambda z, j, mu, t: t * mu[:, j].std()),
            walked(lambda z, j, mu, t: t),
        ),
        Mistake(
            "steps not in units of the spread",
            UNSCALED,
            walked(lambda z, j, mu, t: mu[:, j].mean() + t),
        ),
        Mistake(
            "variance for standard deviation",
            "Your steps are multiples of a variance. Its unit is the square of the latent's.",
            walked(lambda z, j, mu, t: mu[:, j].mean() + t * mu[:, j].var()),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Your steps are a little too short: the text says which standard deviation is meant. NumPy's is "
            "another one unless told otherwise.",
            walked(lambda z, j, mu, t: mu[:, j].mean() + t * mu[:, j].std(correction=0)),
        ),
        Mistake(
            "spread of all latents together",
            "You measure centre and spread over all latents at once. Each latent has its own.",
            walked(lambda z, j, mu, t: mu.mean() + t * mu.std()),
        ),
        Mistake(
            "spread of all latents together",
            "You measure the spread over all latents at once. Each latent has its own.",
            walked(lambda z, j, mu, t: mu[:, j].mean() + t * mu.std()),
        ),
        Mistake(
            "all coordinates moved",
            "All your coordinates move together. Then no one can tell which of them changed the picture.",
            lambda z, j, mu, t: mu.mean(0) + t[:, None] * mu.std(0),
            lambda z, j, mu, t: z + t[:, None] * mu.std(0),
            lambda z, j, mu, t: z + t[:, None],
        ),
        Mistake(
            "picture lost",
            "Your other coordinates are those of an average picture. This picture's own should stay as they are.",
            walked(in_range, lambda z, mu: mu.mean(0)),
        ),
        Mistake(
            "picture lost",
            "Your other coordinates are zero. This picture's own should stay as they are.",
            walked(in_range, lambda z, mu: torch.zeros_like(z)),
        ),
        Mistake(
            "all rows alike",
            "All your rows are the last step. If you changed one tensor again and again and kept it in a "
            "list, the list holds one and the same tensor many times.",
            lambda z, j, mu, t: walked(lambda *a: in_range(*a)[-1])(z, j, mu, t),
        ),
        Mistake(
            "steps along the wrong axis",
            "Your numbers are right. Each step should be a row, so that the decoder can take them as a batch.",
            lambda z, j, mu, t: walked(in_range)(z, j, mu, t).T,
        ),
        Mistake(
            "the coordinate alone",
            "Those are the values of the coordinate. The decoder needs whole codes.",
            in_range,
        ),
    ),
)


# latent/recentring(mu, log_var)


def draw_recentring(rng):
    number, latents = int(rng.integers(3, 6)), int(rng.integers(2, 4))
    latents += latents == number
    return {
        "mu": rounded_normal(rng, number, latents) + rounded_normal(rng, latents),
        "log_var": rounded_normal(rng, number, latents, scale=0.8) - 1.0,
    }


def recentring(mu, log_var):
    mu, variance = mu.numpy(), np.exp(log_var.numpy())
    m = mu.mean(0)
    s2 = (variance + mu**2).mean(0) - m**2
    return np.array([0.5 * (a**2 + b - 1 - math.log(b)) for a, b in zip(m, s2, strict=True)])


def place_and_width(m, s2):
    return 0.5 * (m**2 + s2 - 1 - s2.log())


def moments(mu, log_var):
    return mu.mean(0), mu.var(0, correction=0) + log_var.exp().mean(0)


def kls(mu, log_var):
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
        ),
        Mistake(
            "only the width of the posteriors",
            "Your width comes from the average log-variance. How wide are the codes if every posterior is a point?",
            lambda mu, log_var: place_and_width(mu.mean(0), log_var.mean(0).exp()),
        ),
        Mistake(
            "the KL itself",
            "That is all of the KL that is paid. Some of it says which picture it is, and no shift or scale "
            "can save that.",
            lambda mu, log_var: kls(mu, log_var).mean(0),
        ),
        Mistake(
            "what is left, not what is saved",
            "Your number is what remains to be paid after the change. Asked is what it saves.",
            lambda mu, log_var: kls(mu, log_var).mean(0) - place_and_width(*moments(mu, log_var)),
        ),
        Mistake(
            "averages of log_var",
            "The variance of the codes contains an average of variances. You averaged their logarithms.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + log_var.mean(0).exp()),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You square exp(log_var). It is a variance already.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (2 * log_var).exp().mean(0)),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "Your width adds a standard deviation to a variance.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (log_var / 2).exp().mean(0)),
        ),
        Mistake(
            "mean of standard deviations, squared",
            "Variances are averaged, not standard deviations.",
            lambda mu, log_var: place_and_width(mu.mean(0), mu.var(0, correction=0) + (log_var / 2).exp().mean(0) ** 2),
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
            lambda mu, log_var: 2 * place_and_width(*moments(mu, log_var)),
        ),
        Mistake(
            "s for s²",
            "You put a standard deviation where a variance belongs. Check the unit of each term.",
            lambda mu, log_var: place_and_width(mu.mean(0), moments(mu, log_var)[1].sqrt()),
        ),
        Mistake(
            "log s for log s²",
            "The logarithm is that of the standard deviation. Nothing is to be saved where m = 0 and s = 1; "
            "is it least there in your formula?",
            lambda mu, log_var: place_and_width(*moments(mu, log_var)) + 0.25 * moments(mu, log_var)[1].log(),
        ),
        Mistake(
            "place without width",
            "You only shift. How much can be had back by a change of scale as well?",
            lambda mu, log_var: 0.5 * mu.mean(0) ** 2,
        ),
        Mistake(
            "width without place",
            "You only rescale. How much can be had back by a shift as well?",
            lambda mu, log_var: place_and_width(0 * mu.mean(0), moments(mu, log_var)[1]),
        ),
        Mistake(
            "shift saved twice",
            "Your width is measured from 0, and the distance of the centre from 0 comes on top: it counts twice.",
            lambda mu, log_var: place_and_width(mu.mean(0), (mu**2).mean(0) + log_var.exp().mean(0)),
        ),
        Mistake(
            "one number for all latents",
            "Asked is one number for each latent, (d,).",
            lambda mu, log_var: place_and_width(*moments(mu, log_var)).sum(),
        ),
        Mistake(
            "average over the pictures, not of them",
            "You average over the latents and get one number for each picture.",
            lambda mu, log_var: place_and_width(mu.mean(1), mu.var(1, correction=0) + log_var.exp().mean(1)),
        ),
    ),
)


# latent/linear_vae(eigenvalues, n_latents)


def draw_linear_vae(rng):
    kept, left = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    eigenvalues = np.concatenate([rng.uniform(1.2, 6, size=kept), rng.uniform(0.1, 0.9, size=left)])
    return {
        "eigenvalues": torch.tensor(rng.permutation(eigenvalues).round(2), dtype=torch.float32),
        "n_latents": kept,
    }


def linear_vae(eigenvalues, n_latents):
    values = np.sort(eigenvalues.numpy())[::-1]  # as a covariance: diagonal, with the largest first
    noise = values[n_latents:].mean()
    W = np.eye(len(values), n_latents) * np.sqrt(np.maximum(values[:n_latents] - noise, 0))
    M = W.T @ W + noise * np.eye(n_latents)
    means = np.linalg.solve(M, W.T)  # of the posterior, as a map of x
    variance, second = noise / np.diag(M), np.diag(means @ np.diag(values) @ means.T)
    return noise, (W**2).sum(0), 0.5 * (variance + second - 1 - np.log(variance))


def linear(
    pick=lambda values, d: (values.sort(descending=True).values[:d], values.sort(descending=True).values[d:]),
    noise=lambda kept, left: left.mean(),
    squared=lambda kept, noise: kept - noise,
    rates=lambda kept, noise: 0.5 * (kept / noise).log(),
):
    """An answer to latent/linear_vae with some parts replaced."""

    def answer(eigenvalues, n_latents):
        kept, left = pick(eigenvalues, n_latents)
        variance = noise(kept, left)
        return variance, squared(kept, variance), rates(kept, variance)

    return answer


LINEAR_VAE = Task(
    name="latent/linear_vae",
    draw=draw_linear_vae,
    reference=linear_vae,
    mistakes=(
        Mistake(
            "order taken as given",
            "You take the eigenvalues as they come. Which ones does a model with few latents keep?",
            linear(pick=lambda values, d: (values[:d], values[d:])),
        ),
        Mistake(
            "largest for noise",
            "You keep the smallest eigenvalues. `eigh` puts them first; the model does not.",
            linear(pick=lambda values, d: (values.sort().values[:d], values.sort().values[d:])),
        ),
        Mistake(
            "largest for noise",
            "Your numbers are right, but in ascending order: the latent with the largest eigenvalue comes first.",
            linear(pick=lambda values, d: (values.sort().values[-d:], values.sort().values[:-d])),
        ),
        Mistake(
            "noise added up",
            "Your noise is all variance left over, but σ² is the noise of *one* direction.",
            linear(noise=lambda kept, left: left.sum()),
        ),
        Mistake(
            "σ for σ²",
            "Your noise is a standard deviation. Eigenvalues of a covariance are variances.",
            linear(noise=lambda kept, left: left.mean().sqrt()),
        ),
        Mistake(
            "σ for σ²",
            "The other two results are right; the first is a standard deviation, and asked is the variance.",
            lambda eigenvalues, d: (
                linear()(eigenvalues, d)[0].sqrt(),
                *linear()(eigenvalues, d)[1:],
            ),
        ),
        Mistake(
            "the largest that is left",
            "Your noise is one of the eigenvalues left out. It has to do for all the directions left out.",
            linear(noise=lambda kept, left: left.max()),
            linear(noise=lambda kept, left: left.min()),
        ),
        Mistake(
            "noise averaged over all directions",
            "Your noise is spread over all pixels. The directions that are kept have noise of their own; what "
            "is left over belongs to the directions that are left over.",
            linear(noise=lambda kept, left: left.sum() / (len(kept) + len(left))),
        ),
        Mistake(
            "noise averaged over all directions",
            "Your noise is the mean of all eigenvalues. Those that the latents explain are not noise.",
            linear(noise=lambda kept, left: torch.cat([kept, left]).mean()),
        ),
        Mistake(
            "noise not subtracted",
            "Your columns alone explain all the variance of their direction. What does the pixel noise add there?",
            linear(squared=lambda kept, noise: kept),
        ),
        Mistake(
            "lengths for squared lengths",
            "Your second result is the lengths of the columns; asked are their squares.",
            linear(squared=lambda kept, noise: (kept - noise).sqrt()),
        ),
        Mistake(
            "forgot the ½",
            "Your rates are all too large by the same factor.",
            linear(rates=lambda kept, noise: (kept / noise).log()),
        ),
        Mistake(
            "bits instead of nats",
            "Your rates are right in bits.",
            linear(rates=lambda kept, noise: 0.5 * (kept / noise).log2()),
        ),
        Mistake(
            "signal over noise",
            "Your rates come from the column against the noise. Let a column shrink to nothing: the rate "
            "should go to 0, and yours goes to −∞.",
            linear(rates=lambda kept, noise: 0.5 * ((kept - noise) / noise).log()),
        ),
        Mistake(
            "signal over noise",
            "Your rates add the noise once more to an eigenvalue that holds it already. What should the rate "
            "be for an eigenvalue that equals the noise?",
            linear(rates=lambda kept, noise: 0.5 * (1 + kept / noise).log()),
        ),
        Mistake(
            "signal over noise",
            "Your rates depend on the unit of the pixels: try data and noise ten times as large. Which ratio "
            "has no unit?",
            linear(rates=lambda kept, noise: 0.5 * (1 + kept - noise).log()),
        ),
        Mistake(
            "means forgotten in the KL",
            "Your KL holds the posterior's variance, but not its mean. How large is the mean's square, on "
            "average over pictures? Variance and mean square together make up the prior's 1.",
            linear(rates=lambda kept, noise: 0.5 * (noise / kept - 1 + (kept / noise).log())),
        ),
        Mistake(
            "means forgotten in the KL",
            "The average square of the posterior mean is wrong. It is at most 1: variance and mean square "
            "together make up the prior's variance.",
            linear(rates=lambda kept, noise: 0.5 * ((kept / noise).log() + noise / kept + kept - noise - 1)),
        ),
        Mistake(
            "variance of the posterior wrong",
            "Your rates do not know the noise. Ten times the noise, and a latent can say less.",
            linear(rates=lambda kept, noise: 0.5 * kept.log()),
        ),
        Mistake(
            "variance of the posterior wrong",
            "Your rates mix a variance with a standard deviation.",
            linear(rates=lambda kept, noise: 0.5 * (kept / noise.sqrt()).log()),
        ),
    ),
)


# latent/total_correlation(mu, log_var, z)


def draw_total_correlation(rng):
    number, latents, draws = int(rng.integers(3, 5)), 2 + int(rng.integers(0, 2)), int(rng.integers(5, 8))
    latents += 2 * (latents == number)
    mu, log_var = rounded_normal(rng, number, latents), rounded_normal(rng, number, latents, scale=0.5) - 0.5
    picked = rng.integers(number, size=draws)
    z = mu[picked] + (log_var[picked] / 2).exp() * rounded_normal(rng, draws, latents)
    return {"mu": mu, "log_var": log_var, "z": (100 * z).round() / 100}


def total_correlation(mu, log_var, z):
    mu, sigma, z = mu.numpy(), np.exp(log_var.numpy() / 2), z.numpy()
    each = np.array([[stats.norm.pdf(row, m, s) for m, s in zip(mu, sigma, strict=True)] for row in z])  # (M, N, d)
    log_q = np.log(each.prod(2).mean(1))
    return log_q, (log_q - np.log(each.mean(1)).sum(1)).mean()


def mixture(
    log_each=lambda mu, log_var, z: Normal(mu, (log_var / 2).exp()).log_prob(z[:, None]),  # (M, N, d)
    mix=lambda log_parts: log_parts.logsumexp(1) - math.log(log_parts.shape[1]),  # over the pictures
    joint=lambda log_each, mix: mix(log_each.sum(-1)),
    single=lambda log_each, mix: mix(log_each).sum(-1),
    result=lambda log_q, log_single: (log_q, (log_q - log_single).mean()),
):
    """An answer to latent/total_correlation with some parts replaced."""

    def answer(mu, log_var, z):
        logs = log_each(mu, log_var, z)
        return result(joint(logs, mix), single(logs, mix))

    return answer


def without_constant(mu, log_var, z):
    """Log-densities of the latents without the constant -½ log 2π: (M, N, d)."""
    return Normal(mu, (log_var / 2).exp()).log_prob(z[:, None]) + 0.5 * math.log(2 * math.pi)


def moment_matched(mu, log_var, z):
    covariance = torch.cov(mu.T, correction=0) + log_var.exp().mean(0).diag()
    log_q = MultivariateNormal(mu.mean(0), covariance).log_prob(z)
    single = Normal(mu.mean(0), covariance.diagonal().sqrt()).log_prob(z).sum(-1)
    return log_q, (log_q - single).mean()


FACTORISED_FIRST = (
    "Your log q(z) is a sum of one-dimensional mixtures, which makes every q(z) factorise. A code comes from *one* "
    "picture: all its coordinates from the same one. In which order do product and mixture come?"
)

TOTAL_CORRELATION = Task(
    name="latent/total_correlation",
    draw=draw_total_correlation,
    reference=total_correlation,
    mistakes=(
        Mistake(
            "mean of logarithms for logarithm of a mean",
            "You average logarithms over the pictures. How probable is a code that one picture often gives "
            "and all others never?",
            mixture(mix=lambda parts: parts.mean(1)),
            mixture(joint=lambda logs, mix: logs.sum(-1).mean(1)),
        ),
        Mistake(
            "factorised before mixing",
            FACTORISED_FIRST,
            mixture(joint=lambda logs, mix: mix(logs).sum(-1)),
        ),
        Mistake(
            "forgot 1/N",
            "Your mixture adds the pictures' densities without a weight. What does it integrate to? And how "
            "often does the error come in the total correlation?",
            mixture(mix=lambda parts: parts.logsumexp(1)),
        ),
        Mistake(
            "forgot 1/N",
            "Your log q(z) is too large by the same number everywhere. What does your density integrate to?",
            mixture(joint=lambda logs, mix: logs.sum(-1).logsumexp(1)),
        ),
        Mistake(
            "number of draws for number of pictures",
            "Your mixture is divided by the number of draws. How many parts does it have?",
            lambda mu, log_var, z: mixture(mix=lambda parts: parts.logsumexp(1) - math.log(len(z)))(mu, log_var, z),
        ),
        Mistake(
            "forgot 1/N in the single latents",
            "Your log q(z) is right. What do your densities of single latents integrate to?",
            mixture(single=lambda logs, mix: logs.logsumexp(1).sum(-1)),
        ),
        Mistake(
            "forgot 1/N in the single latents",
            "Your log q(z) is right. Each single latent has a mixture of its own, and each mixture its weights.",
            mixture(single=lambda logs, mix: logs.logsumexp(1).sum(-1) - math.log(logs.shape[1])),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "Your Gaussians have the wrong width: `Normal` takes a standard deviation.",
            mixture(log_each=lambda mu, log_var, z: Normal(mu, log_var.exp()).log_prob(z[:, None])),
        ),
        Mistake(
            "mean over the latents",
            "You average the log-densities over the latents. Given the picture, the density of a code is a product.",
            mixture(joint=lambda logs, mix: mix(logs.mean(-1))),
        ),
        Mistake(
            "sign flipped",
            "Your log q(z) is right and the other number has the wrong sign: a total correlation is a KL divergence.",
            mixture(result=lambda log_q, single: (log_q, (single - log_q).mean())),
        ),
        Mistake(
            "KL to the prior",
            "Your log q(z) is right. You compare it with the prior; total correlation compares it with the "
            "product of its own single latents, wherever they lie.",
            lambda mu, log_var, z: mixture(
                single=lambda logs, mix: Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1)
            )(mu, log_var, z),
        ),
        Mistake(
            "one Gaussian for the mixture",
            "You replaced the mixture by one Gaussian with its mean and covariance. That one sees straight lines only.",
            moment_matched,
        ),
        Mistake(
            "given the picture",
            "Your log q(z) is right. The other density should be the product of the mixtures of the single latents.",
            mixture(single=lambda logs, mix: logs.sum(-1).mean(1)),
        ),
        Mistake(
            "averaged with weights q(z)",
            "Your log q(z) is right. The z were drawn from q(z): each is there as often as it should be, and "
            "a second weight counts it twice.",
            mixture(result=lambda log_q, single: (log_q, (log_q.softmax(0) * (log_q - single)).sum())),
            mixture(result=lambda log_q, single: (log_q, (log_q.exp() * (log_q - single)).sum())),
        ),
        Mistake(
            "summed over the draws",
            "Your log q(z) is right. The other number grows with the number of draws; an estimate should not.",
            mixture(result=lambda log_q, single: (log_q, (log_q - single).sum())),
        ),
        Mistake(
            "not averaged over the draws",
            "Your log q(z) is right. The total correlation is one number: an average over the draws.",
            mixture(result=lambda log_q, single: (log_q, log_q - single)),
        ),
        Mistake(
            "constants forgotten",
            "Your total correlation is right, as constants cancel in it. Your log q(z) is too large by the "
            "same number everywhere: what does each of your Gaussians integrate to?",
            mixture(result=lambda log_q, single: (log_q, (log_q - single).mean()), log_each=without_constant),
        ),
        Mistake(
            "logarithm of a mean for mean of logarithms",
            "Your log q(z) is right. The total correlation is an average of log-ratios; you take the "
            "logarithm of an average of ratios.",
            mixture(result=lambda log_q, single: (log_q, (log_q - single).exp().mean().log())),
        ),
        Mistake(
            "density for log-density",
            "Your first result is q(z); asked is its logarithm.",
            mixture(result=lambda log_q, single: (log_q.exp(), (log_q - single).mean())),
        ),
    ),
)


# latent/statements(mu, covariance)


def product_of_levels(rng):
    """Eight means on a grid of 2 × 4 levels, far apart; (8, 2), with the places in the grid."""
    first = np.sort(rng.choice([-1.5, 0.0, 1.5], size=2, replace=False))
    second = np.array([-3.0, -1.0, 1.0, 3.0]) * rng.uniform(0.6, 0.9)
    place = np.array([(i, j) for i in range(2) for j in range(4)])
    return np.stack([first[place[:, 0]], second[place[:, 1]]], 1), place


def draw_model(rng, kind):
    """Means (8, 2) and posterior covariances (8, 2, 2) of a kind of model."""
    grid, place = product_of_levels(rng)
    variances = np.tile(rng.uniform(0.1, 0.3, size=2), (8, 1))
    tilt = np.zeros(8)
    mu = grid
    if kind == "all alike":  # nothing is told
        mu, variances = np.zeros((8, 2)), np.ones((8, 2))
    elif kind == "own widths":  # each latent's width goes with its own level
        variances = np.stack([np.array([0.1, 0.5])[place[:, 0]], np.array([0.4, 0.1, 0.3, 0.2])[place[:, 1]]], 1)
    elif kind == "line":
        mu = np.stack([np.linspace(-2, 2, 8), rng.choice([-1, 1]) * np.linspace(-1.5, 2.5, 8)], 1)
        mu = mu + rng.uniform(-0.2, 0.2, size=(8, 2))
    elif kind == "ring":
        angle = np.arange(8) * np.pi / 4
        mu = np.stack([2 * np.cos(angle), 1.5 * np.sin(angle)], 1)
    elif kind == "checkered widths":  # wide where places are even, in both latents
        variances = np.where(place.sum(1, keepdims=True) % 2 == 0, 1.2, 0.04) * np.ones(2)
    elif kind == "tilted":
        tilt[:] = rng.choice([-1, 1]) * 0.7
    elif kind == "tilted both ways":
        tilt = np.where(place.sum(1) % 2 == 0, 0.8, -0.8)
    elif kind == "some tilted":  # not the first
        variances[:], tilt[4:] = 0.6, 0.85
    elif kind == "tilted against the means":  # so that q(z) is uncorrelated
        mu = np.stack([np.linspace(-1, 1, 8), -np.linspace(-1, 1, 8)], 1)
        variances[:] = (mu[:, 0] ** 2).mean() / 0.8
        tilt[:] = 0.8
    elif kind == "line, tilted":
        mu = np.stack([np.linspace(-2, 2, 8), np.linspace(-1.5, 2.5, 8)], 1)
        tilt[:] = 0.6
    order = rng.permutation(8) if kind != "some tilted" else np.arange(8)
    mu = mu + rng.choice([-0.5, 0.5], size=2)
    off = tilt * np.sqrt(variances.prod(1))
    covariance = np.stack([np.stack([variances[:, 0], off], 1), np.stack([off, variances[:, 1]], 1)], 1)
    return mu[order], covariance[order]


MODELS = (
    *("grid", "all alike", "own widths"),  # factorised
    *("line", "ring", "checkered widths"),
    *("tilted", "tilted both ways", "some tilted", "tilted against the means", "line, tilted"),
)


def draw_statements(rng):
    models = [draw_model(rng, MODELS[kind]) for kind in rng.permutation(len(MODELS))]
    return dict(
        zip(
            ("mu", "covariance"),
            (torch.tensor(np.stack(column), dtype=torch.float32) for column in zip(*models, strict=True)),
            strict=True,
        )
    )


def is_diagonal(covariance):
    """Whether the off-diagonal entries are zero up to rounding: (..., 2, 2) -> (...)."""
    return covariance[..., 0, 1].abs() < 1e-3


def covariance_of(mu):
    """(M, N, 2) -> (M, 2, 2)"""
    centred = mu - mu.mean(1, keepdim=True)
    return centred.transpose(1, 2) @ centred / mu.shape[1]


def crossings(mu):
    """All combinations of a first and a second coordinate of the means: (N, 2) -> (N², 2)."""
    return np.stack(np.meshgrid(mu[:, 0], mu[:, 1]), -1).reshape(-1, 2)


def statements(mu, covariance):
    found = []
    for m, C in zip(mu.numpy(), covariance.numpy(), strict=True):
        difference = crossings(m)[:, None] - m  # (K, N, 2)
        squares = np.einsum("kni,nij,knj->kn", difference, np.linalg.inv(C), difference)
        log_joint = logsumexp(-0.5 * (squares + np.linalg.slogdet(C)[1]), axis=1) - np.log(len(m))
        variances = np.diagonal(C, axis1=1, axis2=2)
        log_each = logsumexp(-0.5 * (difference**2 / variances + np.log(variances)), axis=1) - np.log(len(m))
        factorised = np.abs(log_joint - log_each.sum(1)).max() < 1e-2
        centred = m - m.mean(0)
        found.append((np.abs(C[:, 0, 1]).max() < 1e-3, abs((centred[:, 0] * centred[:, 1]).mean()) < 1e-3, factorised))
    return np.array(found)


def factorises(mu, covariance):
    """Statement 3 alone, for many models: (M,)"""
    return torch.tensor(statements(mu.double(), covariance.double())[:, 2])


def three(
    first=lambda mu, covariance: is_diagonal(covariance).all(1),
    second=lambda mu, covariance: is_diagonal(covariance_of(mu)),
    third=factorises,
):
    """An answer to latent/statements with some rules replaced."""
    return lambda mu, covariance: torch.stack([rule(mu, covariance) for rule in (first, second, third)], 1)


def total(mu, covariance):
    return covariance.mean(1) + covariance_of(mu)


def by_correlation(mu, covariance):
    return torch.stack([torch.corrcoef(m.T)[0, 1].abs() < 1e-3 for m in mu])


def spread_evenly(mu, covariance):
    """Whether the means alone, without their widths, form a product."""
    widths = torch.eye(2).to(mu) * 0.01
    return factorises(mu, widths.expand_as(covariance))


STATEMENTS = Task(
    name="latent/statements",
    draw=draw_statements,
    reference=statements,
    cases=1,  # it holds a model of every kind
    mistakes=(
        Mistake(
            "factorised because the posteriors are diagonal",
            "Your third column repeats the first. Two pictures with narrow posteriors, at (1, 1) and (−1, "
            "−1): what does z1 tell about z2, if you do not know the picture?",
            three(third=lambda mu, covariance: is_diagonal(covariance).all(1)),
            three(second=by_correlation, third=lambda mu, covariance: is_diagonal(covariance).all(1)),
        ),
        Mistake(
            "factorised because the means are uncorrelated",
            "Your third column repeats the second. Correlation sees straight lines only: think of a ring.",
            three(third=lambda mu, covariance: is_diagonal(covariance_of(mu))),
        ),
        Mistake(
            "factorised because of both others",
            "You conclude the third statement from the first two. In the lesson there is a model that has "
            "both, and is not factorised.",
            three(third=lambda mu, covariance: is_diagonal(covariance).all(1) & is_diagonal(covariance_of(mu))),
        ),
        Mistake(
            "only the covariance of q(z) looked at",
            "Your third column asks whether the codes are uncorrelated. Independent is more than that.",
            three(third=lambda mu, covariance: is_diagonal(total(mu, covariance))),
        ),
        Mistake(
            "only the covariance of q(z) looked at",
            "Your last two columns ask whether the codes are uncorrelated. The second is about the means "
            "alone, and the third about more than correlation.",
            three(
                second=lambda mu, covariance: is_diagonal(total(mu, covariance)),
                third=lambda mu, covariance: is_diagonal(total(mu, covariance)),
            ),
        ),
        Mistake(
            "means not centred",
            "Your second column averages products of the means as they are. A covariance measures from their centre.",
            three(second=lambda mu, covariance: mu.prod(-1).mean(1).abs() < 1e-3),
        ),
        Mistake(
            "codes for means",
            "Your second column looks at the codes, means and widths together. The statement is about the means.",
            three(second=lambda mu, covariance: is_diagonal(total(mu, covariance))),
        ),
        Mistake(
            "widths left out",
            "Your third column looks at the means and not at the widths. Can a width tell z1 something about z2?",
            three(third=spread_evenly),
        ),
        Mistake(
            "diagonal on average",
            "In one model the posteriors tilt to both sides, so that their average is diagonal. The statement "
            "is about each.",
            three(first=lambda mu, covariance: is_diagonal(covariance.mean(1))),
        ),
        Mistake(
            "one picture for all",
            "You look at one picture's posterior. The statement is about each.",
            three(first=lambda mu, covariance: is_diagonal(covariance[:, 0])),
        ),
        Mistake(
            "one picture for all",
            "One diagonal posterior is enough for your first column. The statement is about each.",
            three(first=lambda mu, covariance: is_diagonal(covariance).any(1)),
        ),
        Mistake(
            "nan for a correlation",
            "One model gives all pictures the same mean, and the correlation of constants is 0/0. Does the "
            "statement, as the text puts it, hold there?",
            three(second=by_correlation),
        ),
        Mistake(
            "factorised because the means are uncorrelated",
            "Your third column repeats the second. Correlation sees straight lines only: think of a ring. "
            "(And what is the correlation if all means are the same?)",
            three(second=by_correlation, third=by_correlation),
        ),
        Mistake(
            "factorised because of both others",
            "You conclude the third statement from the first two. In the lesson there is a model that has "
            "both, and is not factorised. (And what is the correlation if all means are the same?)",
            three(
                second=by_correlation,
                third=lambda mu, covariance: is_diagonal(covariance).all(1) & by_correlation(mu, covariance),
            ),
        ),
        Mistake(
            "the opposite",
            "All your answers are the wrong way round: True means that the statement holds.",
            lambda mu, covariance: ~three()(mu, covariance),
        ),
    ),
)


# latent/turned(z_a, z_b)


def rotation(rng, latents, determinant=1.0):
    """A rotation, or with determinant -1 a reflection, that leaves no axis near an axis."""
    while True:
        turn, _ = np.linalg.qr(rng.normal(size=(latents, latents)))
        if np.abs(turn).max() < 0.95:
            turn[:, 0] *= np.sign(np.linalg.det(turn) * determinant)
            return turn


def draw_codes(rng, kind, a):
    """The second encoder's codes (N, d) for a kind of change, from the first one's."""
    latents = a.shape[1]
    turn = rotation(rng, latents)
    if kind == "reflection":
        return a @ rotation(rng, latents, -1.0)
    if kind == "other order":  # of the axes, and signs
        return a[:, np.roll(np.arange(latents), 1)] * rng.choice([-1.0, 1.0], size=latents)
    if kind == "stretched":
        return a @ turn * np.linspace(0.5, 1.6, latents)
    if kind == "sheared":  # volumes stay
        return a @ turn @ (np.eye(latents) + 1.2 * np.eye(latents, k=1))
    if kind == "shifted":
        return a @ turn + rng.choice([-1, 1], size=latents) * rng.uniform(0.5, 1.5, size=latents)
    if kind == "same covariance":  # a linear map that keeps the covariance of these codes, but not N(0, I)
        factor = np.linalg.cholesky(np.cov(a.T))
        return a @ np.linalg.inv(factor).T @ turn @ factor.T
    if kind == "other pictures":
        return np.roll(a, 1, axis=0) @ turn
    if kind == "swirl":  # each code is turned by an angle that goes with its length
        angle = 1.5 * np.linalg.norm(a, axis=1)
        swirled = a.copy()
        swirled[:, 0] = np.cos(angle) * a[:, 0] - np.sin(angle) * a[:, 1]
        swirled[:, 1] = np.sin(angle) * a[:, 0] + np.cos(angle) * a[:, 1]
        return swirled @ turn
    if kind == "bent":
        return a * np.abs(a) @ turn
    if kind == "other codes":
        return rng.normal(size=a.shape)
    return a @ turn


PAIRS = (
    *("rotation", "reflection", "other order"),  # turned
    *("stretched", "sheared", "shifted", "same covariance"),  # affine
    *("other pictures", "swirl", "bent", "other codes"),  # different
)


def draw_turned(rng):
    number, latents = int(rng.integers(12, 16)), int(rng.integers(2, 4))
    firsts, seconds = [], []
    for kind in rng.permutation(len(PAIRS)):
        a = (rng.normal(size=(number, latents)) * np.linspace(0.6, 1.6, latents) + 0.4).round(2)
        firsts.append(a)
        seconds.append(draw_codes(rng, PAIRS[kind], a))
    return {
        "z_a": torch.tensor(np.stack(firsts), dtype=torch.float32),
        "z_b": torch.tensor(np.stack(seconds), dtype=torch.float32),
    }


def turned(z_a, z_b):
    words = []
    for a, b in zip(z_a.numpy(), z_b.numpy(), strict=True):
        full = np.column_stack([a, np.ones(len(a))])
        if np.abs(b - full @ np.linalg.pinv(full) @ b).max() > 1e-2:
            words.append("different")
        else:
            words.append("turned" if np.abs(a @ a.T - b @ b.T).max() < 1e-2 else "affine")
    return np.array(words)


def fit(a, b, offset=True):
    """The best linear map a ↦ aA + c, and the largest error."""
    full = torch.cat([a, torch.ones(len(a), 1).to(a)], 1) if offset else a
    solution = torch.linalg.lstsq(full, b).solution
    return solution[: a.shape[1]], solution[a.shape[1] :], (full @ solution - b).abs().max()


def alike(one, other):
    return (one - other).abs().max() < 1e-2


def words(is_turned, is_affine=lambda a, b: fit(a, b)[2] < 1e-2):
    """An answer to latent/turned with a rule, or both, replaced."""
    return lambda z_a, z_b: [
        "turned" if is_turned(a, b) else "affine" if is_affine(a, b) else "different"
        for a, b in zip(z_a, z_b, strict=True)
    ]


def same_products(a, b):
    return alike(a @ a.T, b @ b.T)


def orthogonal(a, b):
    A, _, _ = fit(a, b)
    return alike(A @ A.T, torch.eye(len(A)).to(A))


def with_determinant(a, b):
    return same_products(a, b) and torch.linalg.det(fit(a, b)[0]) > 0


def same_axes(a, b):
    """Whether b's columns are a's, up to order and sign."""
    found = torch.cat([a, -a], 1)
    return all(min((column - other).abs().max() for other in found.T) < 1e-2 for column in b.T)


SPECTRUM = (
    "You compare what the codes look like as clouds. Two clouds can have the same shape though the same picture lies in "
    "another place, or though the prior would be stretched. Follow single pictures."
)
DISTANCES = (
    "In one pair all distances between pictures are the same, but the whole cloud has moved. Does a shift leave N(0, I) "
    "as it is?"
)

TURNED = Task(
    name="latent/turned",
    draw=draw_turned,
    reference=turned,
    cases=3,
    mistakes=(
        Mistake(
            "shift overlooked",
            DISTANCES,
            words(lambda a, b: alike(torch.cdist(a, a), torch.cdist(b, b))),
            words(lambda a, b: fit(a, b)[2] < 1e-2 and orthogonal(a, b)),
        ),
        Mistake(
            "lengths of the codes compared",
            "You compare how far codes lie from the origin. Each may keep its distance and still be turned by "
            "another angle.",
            words(lambda a, b: alike(a.norm(dim=1), b.norm(dim=1))),
        ),
        Mistake(
            "shapes of the clouds compared",
            SPECTRUM,
            words(lambda a, b: alike(torch.linalg.eigvalsh(torch.cov(a.T)), torch.linalg.eigvalsh(torch.cov(b.T)))),
            words(lambda a, b: alike(torch.linalg.svdvals(a), torch.linalg.svdvals(b))),
        ),
        Mistake(
            "reflections left out",
            "You ask for a determinant of +1. Does a mirror change N(0, I)?",
            words(with_determinant),
        ),
        Mistake(
            "only axes compared",
            "You compare single latents, in any order and with any sign. A rotation mixes them.",
            words(same_axes),
        ),
        Mistake(
            "determinant 1 taken for a rotation",
            "Your rotations are maps that keep volumes. A shear does so too: a circle becomes an ellipse of "
            "the same area.",
            words(
                lambda a, b: (
                    fit(a, b, offset=False)[2] < 1e-2
                    and (torch.linalg.det(fit(a, b, offset=False)[0]).abs() - 1).abs() < 1e-2
                )
            ),
        ),
        Mistake(
            "any linear map taken for a rotation",
            "You call every linear map a rotation. Which of them leave N(0, I) as it is?",
            words(lambda a, b: fit(a, b, offset=False)[2] < 1e-2),
        ),
        Mistake(
            "any linear map taken for a rotation",
            "You call every linear map a rotation, with a shift or without. Which of them leave N(0, I) as it is?",
            words(lambda a, b: fit(a, b)[2] < 1e-2),
        ),
        Mistake(
            "map without an offset",
            "One pair differs by a rotation and a shift, and you call it different. A decoder's first layer "
            "can undo a shift.",
            words(same_products, lambda a, b: fit(a, b, offset=False)[2] < 1e-2),
        ),
        Mistake(
            "no linear map looked for",
            "You find the rotations. Of the others, some are the same code in other units.",
            words(same_products, lambda a, b: False),
        ),
        Mistake(
            "no linear map looked for",
            "You find the rotations. Do the others all hold the same code in other units? Look for the map.",
            words(same_products, lambda a, b: True),
        ),
    ),
)

TASKS = (TRAVERSE, RECENTRING, LINEAR_VAE, TOTAL_CORRELATION, STATEMENTS, TURNED)
