"""The tasks of exercise 04, the KL divergence."""

import math

import numpy as np
import torch
from scipy.special import rel_entr
from torch.distributions import Independent, Normal, kl_divergence

from vae_course.judging.common_mistakes import wrong_reductions
from vae_course.judging.task import Mistake, Task, rounded_normal, rounded_uniform

__all__ = ["TASKS"]


def random_probabilities(rng, *shape, zeros=0):
    """Rows of probabilities, multiples of a common unit; the last `zeros` of each row are 0."""
    weights = rng.integers(1, 9, size=shape).astype(float)
    if zeros:
        weights[..., -zeros:] = 0
    return torch.tensor(weights / weights.sum(-1, keepdims=True), dtype=torch.float32)


# kl/discrete(q, p)


def draw_discrete(rng):
    """Most q contain a zero, to test 0 · log 0; the others do not, as some mistakes are infinite there."""
    size = int(rng.integers(3, 6))
    return {
        "q": random_probabilities(rng, size, zeros=int(rng.random() < 0.75)),
        "p": random_probabilities(rng, size),
    }


def discrete(q, p):
    """KL(q ‖ p) = Σ q log(q / p) with 0 log 0 = 0 (lesson 04, section 1)."""
    return torch.tensor(rel_entr(q.numpy(), p.numpy()).sum())


def sum_where_seen(terms, q):
    """Sum the terms of the symbols that occur."""
    return torch.where(q > 0, terms, 0.0).sum()


DISCRETE = Task(
    name="kl/discrete",
    draw=draw_discrete,
    reference=discrete,
    cases=8,
    mistakes=(
        Mistake(
            "0 · log 0 became nan",
            "Where q is 0 your sum holds 0 · log 0, which floating-point numbers call nan. Its limit is 0: an "
            "event that never happens costs nothing. Take such terms out of the sum.",
            lambda q, p: (q * (q / p).log()).sum(),
        ),
        Mistake(
            "KL of the wrong direction",
            "You weight the terms by p. The symbols come from q and the code was made for p: which of the two "
            "says how often a term occurs?",
            lambda q, p: sum_where_seen(p * (p / q).log(), q),
            lambda q, p: (p * (p / q).log()).sum(),
        ),
        Mistake(
            "sign flipped",
            "Your number is never positive, but a KL divergence is never negative. Which of the two stands in "
            "the numerator?",
            lambda q, p: -sum_where_seen(q * (q / p).log(), q),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda q, p: sum_where_seen(q * (q / p).log2(), q),
        ),
        Mistake(
            "mean for sum",
            "Your number is the right one divided by the number of symbols. An expectation is weighted by the "
            "probabilities q, and needs no other division.",
            lambda q, p: sum_where_seen(q * (q / p).log(), q) / len(q),
        ),
        Mistake(
            "cross-entropy for KL",
            "That is the whole length of the message with the wrong code. The KL is only what it costs beyond "
            "the right code.",
            lambda q, p: -sum_where_seen(q * p.log(), q),
        ),
        Mistake(
            "a term without its weight",
            "Each log-ratio has to count as often as its symbol occurs.",
            lambda q, p: sum_where_seen((q / p).log(), q),
        ),
    ),
)


# kl/standard_normal(mu, log_var)


def draw_standard_normal(rng):
    """Means and log-variances away from 0, where most mistakes give 0, as the right answer does."""
    batch, latents = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    return {"mu": rounded_normal(rng, batch, latents), "log_var": rounded_normal(rng, batch, latents)}


def standard_normal(mu, log_var):
    """KL(N(μ, σ²) ‖ N(0, I)) by `torch.distributions`."""
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    return kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))


def kl_of_latents(mu, log_var):
    """½ (μ² + σ² − 1 − log σ²) for each latent: (B, d). Lesson 04, equation (5); Kingma & Welling 2014, appendix B."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


STANDARD_NORMAL = Task(
    name="kl/standard_normal",
    draw=draw_standard_normal,
    reference=standard_normal,
    library=(
        "vae_lessons.distributions.kl_to_standard_normal",
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        Mistake(
            "forgot the ½",
            "Every number is too large by the same factor. Which factor stands before the square in the "
            "exponent of a Gaussian?",
            lambda mu, log_var: 2 * kl_of_latents(mu, log_var).sum(-1),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative. A KL divergence is never negative; what you have is what the ELBO adds.",
            lambda mu, log_var: -kl_of_latents(mu, log_var).sum(-1),
        ),
        *wrong_reductions(
            kl_of_latents,
            "latent dimensions",
            "Independent dimensions each cost their own nats: does a second one make the code cheaper?",
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as σ and square it once more. What is exp(log σ²)?",
            lambda mu, log_var: kl_of_latents(mu, 2 * log_var).sum(-1),
        ),
        Mistake(
            "forgot the −1",
            "Test your function where q is N(0, I) itself: mu = 0 and log_var = 0. What should it give, and "
            "what does it give?",
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - log_var).sum(-1),
        ),
        Mistake(
            "KL of the wrong direction",
            "You computed KL(N(0, I) ‖ q). Asked is KL(q ‖ N(0, I)): the expectation runs over the encoder's q.",
            lambda mu, log_var: 0.5 * ((1 + mu**2) / log_var.exp() - 1 + log_var).sum(-1),
        ),
    ),
)


# kl/normals(mu_q, log_var_q, mu_p, log_var_p)


def draw_normals(rng):
    """Two Gaussians with different means and variances, neither standard: each term of the KL matters."""
    batch, latents = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    names = ("mu_q", "log_var_q", "mu_p", "log_var_p")
    return {name: rounded_normal(rng, batch, latents) for name in names}


def normals(mu_q, log_var_q, mu_p, log_var_p):
    """KL(q ‖ p) of diagonal Gaussians by `torch.distributions`."""
    q, p = Normal(mu_q, (log_var_q / 2).exp()), Normal(mu_p, (log_var_p / 2).exp())
    return kl_divergence(q, p).sum(-1)


def kl_from_parts(log_var_ratio, squared_distance, variance):
    """½ (log σ_p²/σ_q² + E_q[(z − μ_p)²] / σ_p² − 1), summed over the latents, from its parts."""
    return 0.5 * (log_var_ratio + squared_distance / variance - 1).sum(-1)


def squared_distance_to_p(mu_q, log_var_q, mu_p):
    """E_q[(z − μ_p)²] = σ_q² + (μ_q − μ_p)² for each latent."""
    return log_var_q.exp() + (mu_q - mu_p) ** 2


def kl_of_gaussians(mu_q, log_var_q, mu_p, log_var_p):
    """KL(q ‖ p) of diagonal Gaussians, in closed form."""
    return kl_from_parts(log_var_p - log_var_q, squared_distance_to_p(mu_q, log_var_q, mu_p), log_var_p.exp())


NORMALS = Task(
    name="kl/normals",
    draw=draw_normals,
    reference=normals,
    library=(
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        Mistake(
            "KL of the wrong direction",
            "You computed KL(p ‖ q). In KL(q ‖ p) the expectation runs over q, so that p's variance is what "
            "everything is measured by.",
            lambda mu_q, log_var_q, mu_p, log_var_p: kl_of_gaussians(mu_p, log_var_p, mu_q, log_var_q),
        ),
        Mistake(
            "forgot the ½",
            "Every number is too large by the same factor. With p = N(0, I) your function should agree with "
            "the task before.",
            lambda *inputs: 2 * kl_of_gaussians(*inputs),
        ),
        Mistake(
            "mean over the latent dimensions",
            "You average over the latent dimensions. Does a second independent dimension make the code cheaper?",
            lambda mu_q, *others: kl_of_gaussians(mu_q, *others) / mu_q.shape[1],
        ),
        Mistake(
            "divided by σ, not σ²",
            "Squares of distances are divided by a standard deviation here. What stands below (z − μ)² in the "
            "exponent of a Gaussian?",
            lambda mu_q, log_var_q, mu_p, log_var_p: kl_from_parts(
                log_var_p - log_var_q, squared_distance_to_p(mu_q, log_var_q, mu_p), (log_var_p / 2).exp()
            ),
        ),
        Mistake(
            "log-ratio upside down",
            "The term with the logarithms has the wrong sign. A q much narrower than p must be expensive: let "
            "log_var_q go to −∞.",
            lambda mu_q, log_var_q, mu_p, log_var_p: kl_from_parts(
                log_var_q - log_var_p, squared_distance_to_p(mu_q, log_var_q, mu_p), log_var_p.exp()
            ),
        ),
        Mistake(
            "log-ratio counted double",
            "The logarithms are too large by a factor: log σ is half of log σ².",
            lambda mu_q, log_var_q, mu_p, log_var_p: kl_from_parts(
                2 * (log_var_p - log_var_q), squared_distance_to_p(mu_q, log_var_q, mu_p), log_var_p.exp()
            ),
        ),
    ),
)


# kl/estimate(mu, log_var, eps)


def draw_estimate(rng):
    """Few draws, so that N, N − 1 and √N give clearly different standard errors."""
    draws, latents = int(rng.integers(4, 9)), int(rng.integers(2, 4))
    return {
        "mu": rounded_normal(rng, latents),
        "log_var": rounded_normal(rng, latents),
        "eps": rounded_normal(rng, draws, latents),
    }


def estimate(mu, log_var, eps):
    """Mean of log q(z) − log p(z) over draws of q, and its standard error (lesson 04, section 3)."""
    return mean_and_error(log_ratios_of_draws(mu, log_var, eps))


def log_ratios(z, mu, log_var):
    """log q(z) − log p(z) of each row of z: (N, d) -> (N,)."""
    q, p = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)
    return (q.log_prob(z) - p.log_prob(z)).sum(-1)


def log_ratios_of_draws(mu, log_var, eps):
    """The log-ratios at z = μ + σ ε."""
    return log_ratios(mu + (log_var / 2).exp() * eps, mu, log_var)


def mean_and_error(draws):
    """Mean of the draws and its standard error."""
    return draws.mean(), draws.std() / math.sqrt(len(draws))


def error_not_divided(mu, log_var, eps):
    draws = log_ratios_of_draws(mu, log_var, eps)
    return draws.mean(), draws.std()


def error_divided_by_n(mu, log_var, eps):
    draws = log_ratios_of_draws(mu, log_var, eps)
    return draws.mean(), draws.std() / len(draws)


def error_without_correction(mu, log_var, eps):
    draws = log_ratios_of_draws(mu, log_var, eps)
    return draws.mean(), draws.std(correction=0) / math.sqrt(len(draws))


ESTIMATE = Task(
    name="kl/estimate",
    draw=draw_estimate,
    reference=estimate,
    mistakes=(
        Mistake(
            "z drawn from the prior",
            "You evaluate the log-ratio at z = eps, which are samples of the prior. KL(q ‖ p) is an "
            "expectation over q.",
            lambda mu, log_var, eps: mean_and_error(log_ratios(eps, mu, log_var)),
        ),
        Mistake(
            "log-ratio upside down",
            "Your mean has the wrong sign. With many draws it should approach a KL divergence.",
            lambda mu, log_var, eps: mean_and_error(-log_ratios_of_draws(mu, log_var, eps)),
        ),
        Mistake(
            "variance taken for standard deviation",
            "The noise is scaled by σ², so your z are no samples of q. What is σ, given log σ²?",
            lambda mu, log_var, eps: mean_and_error(log_ratios(mu + log_var.exp() * eps, mu, log_var)),
        ),
        Mistake(
            "forgot √N in the standard error",
            "Your estimate is right. The second number is the spread of single draws; how far is the mean of "
            "N draws from the truth?",
            error_not_divided,
        ),
        Mistake(
            "standard error divided by N, not √N",
            "Your estimate is right. Four times as many draws halve the standard error; yours falls to a quarter.",
            error_divided_by_n,
        ),
        Mistake(
            "mean over the latent dimensions",
            "You average the log-densities over the latent dimensions. The density of independent coordinates "
            "is a product: its logarithm is a sum.",
            lambda mu, log_var, eps: mean_and_error(log_ratios_of_draws(mu, log_var, eps) / eps.shape[1]),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Your estimate is right. With few draws it matters that the mean was taken from the same draws: "
            "divide by N − 1, as `std` does unless told otherwise.",
            error_without_correction,
        ),
    ),
)


# kl/closest_normal(weights, means, variances)


def draw_closest_normal(rng):
    """Random weights, and means spread about as widely as the parts: every term of the variance matters."""
    size = int(rng.integers(2, 5))
    return {
        "weights": random_probabilities(rng, size),
        "means": rounded_normal(rng, size, scale=2.0),
        "variances": rounded_uniform(rng, size, low=0.2, high=2.0),
    }


def closest_normal(weights, means, variances):
    """Mean and variance of the mixture: a Gaussian q with the same moments has the least KL(p ‖ q)."""
    weights, means, variances = (np.asarray(value) for value in (weights, means, variances))
    mean = np.average(means, weights=weights)
    return mean, np.average(variances + means**2, weights=weights) - mean**2


def mean_of_mixture(weights, means):
    return (weights * means).sum()


def variance_within(weights, variances):
    """Average variance of the parts."""
    return (weights * variances).sum()


def variance_between(weights, means):
    """Variance of the parts' means."""
    return (weights * (means - mean_of_mixture(weights, means)) ** 2).sum()


CLOSEST_NORMAL = Task(
    name="kl/closest_normal",
    draw=draw_closest_normal,
    reference=closest_normal,
    mistakes=(
        Mistake(
            "only the spread within the parts",
            "Your variance is the average of the parts' variances. Let the parts be narrow and far apart: how "
            "wide must a Gaussian be that covers them all?",
            lambda weights, means, variances: (mean_of_mixture(weights, means), variance_within(weights, variances)),
        ),
        Mistake(
            "only the spread between the parts",
            "Your variance is that of the parts' means. Let the means coincide: is the mixture then a point?",
            lambda weights, means, variances: (mean_of_mixture(weights, means), variance_between(weights, means)),
        ),
        Mistake(
            "only the heaviest part fitted",
            "You fitted the heaviest part. A q that ignores the others is what KL(q ‖ p) rewards; here it is "
            "KL(p ‖ q), which pays wherever p has mass and q has none.",
            lambda weights, means, variances: (means[weights.argmax()], variances[weights.argmax()]),
        ),
        Mistake(
            "weights forgotten",
            "You treat all parts alike. They occur with different probabilities.",
            lambda weights, means, variances: (means.mean(), variances.mean() + means.var(correction=0)),
        ),
        Mistake(
            "standard deviation for variance",
            "Your mean is right, and the second number is the standard deviation; asked is the variance.",
            lambda weights, means, variances: (
                mean_of_mixture(weights, means),
                (variance_within(weights, variances) + variance_between(weights, means)).sqrt(),
            ),
        ),
        Mistake(
            "variance of a weighted sum",
            "That is the variance of a weighted sum of Gaussians. A mixture draws from one part at a time.",
            lambda weights, means, variances: (mean_of_mixture(weights, means), (weights**2 * variances).sum()),
        ),
        Mistake(
            "forgot to subtract the squared mean",
            "Your second number is E[z²]. The variance is measured from the mean.",
            lambda weights, means, variances: (
                mean_of_mixture(weights, means),
                (weights * (variances + means**2)).sum(),
            ),
        ),
    ),
)


# kl/split(q_z_given_x, p_z)


def draw_split(rng):
    """Different q(z|x) for each picture, and a prior that is not their mixture: both numbers matter."""
    pictures, states = int(rng.integers(2, 5)), int(rng.integers(3, 5))
    return {"q_z_given_x": random_probabilities(rng, pictures, states), "p_z": random_probabilities(rng, states)}


def split(q_z_given_x, p_z):
    """I(x; z) and KL(q(z) ‖ p(z)), which add up to the average KL (lesson 04, section 8; Hoffman & Johnson 2016)."""
    table, prior = q_z_given_x.numpy(), p_z.numpy()
    q_z = table.mean(0)
    return rel_entr(table, q_z).sum(1).mean(), rel_entr(q_z, prior).sum()


def kl_of_rows(q, p):
    """KL of discrete distributions without zeros, over the last axis."""
    return (q * (q / p).log()).sum(-1)


def information(table):
    """Mutual information of x and z."""
    return kl_of_rows(table, table.mean(0)).mean()


def mismatch(table, prior):
    """KL(q(z) ‖ p(z))."""
    return kl_of_rows(table.mean(0), prior)


def entropy_of_mixture(table):
    q_z = table.mean(0)
    return -(q_z * q_z.log()).sum()


SPLIT = Task(
    name="kl/split",
    draw=draw_split,
    reference=split,
    mistakes=(
        Mistake(
            "average KL for mutual information",
            "Your first number is the average KL to the prior: the sum of both numbers asked for. Mutual "
            "information compares each q(z|x) with the mixture q(z).",
            lambda table, prior: (kl_of_rows(table, prior).mean(), mismatch(table, prior)),
        ),
        Mistake(
            "the two numbers exchanged",
            "Both numbers are right, but in the other order: mutual information first.",
            lambda table, prior: (mismatch(table, prior), information(table)),
        ),
        Mistake(
            "KL(p(z) ‖ q(z))",
            "Your mutual information is right. In the other number the expectation should run over q(z).",
            lambda table, prior: (information(table), kl_of_rows(prior, table.mean(0))),
        ),
        Mistake(
            "summed over the pictures",
            "Your mutual information is too large by the number of pictures. Each picture has probability 1/N.",
            lambda table, prior: (kl_of_rows(table, table.mean(0)).sum(), mismatch(table, prior)),
        ),
        Mistake(
            "KL(q(z) ‖ q(z|x)) for mutual information",
            "Your first number compares the right distributions in the wrong direction: z is drawn from q(z|x).",
            lambda table, prior: (kl_of_rows(table.mean(0), table).mean(), mismatch(table, prior)),
        ),
        Mistake(
            "entropy for mutual information",
            "Your first number is the entropy of q(z). Some of it is noise of the encoder, and tells nothing "
            "about the picture.",
            lambda table, prior: (entropy_of_mixture(table), mismatch(table, prior)),
        ),
    ),
)

TASKS = (DISCRETE, STANDARD_NORMAL, NORMALS, ESTIMATE, CLOSEST_NORMAL, SPLIT)
