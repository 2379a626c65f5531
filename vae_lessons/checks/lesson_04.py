"""The tasks of exercise 04, the KL divergence."""

import math

import numpy as np
import torch
from scipy.special import rel_entr
from torch.distributions import Independent, Normal, kl_divergence

from vae_lessons.checks.task import Mistake, Task, normal, uniform

__all__ = ["TASKS"]


def probabilities(rng, *shape, zeros=0):
    """Rows of probabilities, in hundredths; the last `zeros` of a row are 0."""
    weights = rng.integers(1, 9, size=shape).astype(float)
    if zeros:
        weights[..., -zeros:] = 0
    return torch.tensor(weights / weights.sum(-1, keepdims=True), dtype=torch.float32)


# kl/discrete(q, p)


def draw_discrete(rng):
    size = int(rng.integers(3, 6))
    return {"q": probabilities(rng, size, zeros=int(rng.random() < 0.75)), "p": probabilities(rng, size)}


def discrete(q, p):
    return torch.tensor(rel_entr(q.numpy(), p.numpy()).sum())


def summed(terms, q):
    return torch.where(q > 0, terms, 0.0).sum()


DISCRETE = Task(
    name="kl/discrete",
    points=2,
    draw=draw_discrete,
    reference=discrete,
    cases=8,
    mistakes=(
        Mistake(
            "0 · log 0 became nan",
            lambda q, p: (q * (q / p).log()).sum(),
            "Where q is 0 your sum holds 0 · log 0, which floating-point numbers call nan. Its limit is 0: an event that "
            "never happens costs nothing. Take such terms out of the sum.",
        ),
        Mistake(
            "KL of the wrong direction",
            lambda q, p: summed(p * (p / q).log(), q),
            "You weigh the terms by p. The symbols come from q and the code was made for p: who says how often a term occurs?",
        ),
        Mistake(
            "KL of the wrong direction",
            lambda q, p: (p * (p / q).log()).sum(),
            "You weigh the terms by p. The symbols come from q and the code was made for p: who says how often a term occurs?",
        ),
        Mistake(
            "sign flipped",
            lambda q, p: -summed(q * (q / p).log(), q),
            "Your number is never positive, but a KL divergence is never negative. Which one of the two stands in the numerator?",
        ),
        Mistake(
            "bits instead of nats",
            lambda q, p: summed(q * (q / p).log2(), q),
            "Your number is right in bits. This course counts in nats.",
        ),
        Mistake(
            "mean for sum",
            lambda q, p: summed(q * (q / p).log(), q) / len(q),
            "Your number is the right one divided by the number of symbols. An expectation weighs by the probabilities q, "
            "and needs no other division.",
        ),
        Mistake(
            "cross-entropy for KL",
            lambda q, p: -summed(q * p.log(), q),
            "That is the whole length of the message with the wrong code. The KL is what it costs over with the right one.",
        ),
        Mistake(
            "a term without its weight",
            lambda q, p: summed((q / p).log(), q),
            "Each log-ratio has to count as often as its symbol occurs.",
        ),
    ),
)


# kl/standard_normal(mu, log_var)


def draw_encoder(rng):
    batch, latents = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    return {"mu": normal(rng, batch, latents), "log_var": normal(rng, batch, latents)}


def standard_normal(mu, log_var):
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    return kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))


def terms(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


STANDARD_NORMAL = Task(
    name="kl/standard_normal",
    points=2,
    draw=draw_encoder,
    reference=standard_normal,
    library=(
        "vae_lessons.distributions.kl_to_standard_normal",
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        Mistake(
            "forgot the ½",
            lambda mu, log_var: 2 * terms(mu, log_var).sum(-1),
            "Every number is too large by the same factor. Which factor stands before the square in the exponent of a Gaussian?",
        ),
        Mistake(
            "sign flipped",
            lambda mu, log_var: -terms(mu, log_var).sum(-1),
            "Your numbers are negative. A KL divergence is never negative; what you have is what the ELBO adds.",
        ),
        Mistake(
            "mean over the latent dimensions",
            lambda mu, log_var: terms(mu, log_var).mean(-1),
            "You average over the latent dimensions. Independent dimensions each cost their own nats: does a second one make "
            "the code cheaper?",
        ),
        Mistake(
            "one number for the whole batch",
            lambda mu, log_var: terms(mu, log_var).sum(),
            "There should be one number for each picture, shape (B,). You also summed over the pictures.",
        ),
        Mistake(
            "one number for the whole batch",
            lambda mu, log_var: terms(mu, log_var).sum(-1).mean(),
            "There should be one number for each picture, shape (B,). You also averaged over the pictures.",
        ),
        Mistake(
            "one number for the whole batch",
            lambda mu, log_var: terms(mu, log_var).mean(),
            "There should be one number for each picture, shape (B,); yours is averaged over pictures and latent dimensions.",
        ),
        Mistake(
            "summed over the wrong axis",
            lambda mu, log_var: terms(mu, log_var).sum(0),
            "You summed over the batch and kept the latent dimensions. Which axis counts the latents in shape (B, D)?",
        ),
        Mistake(
            "exp(log_var) taken for σ",
            lambda mu, log_var: 0.5 * (mu**2 + (2 * log_var).exp() - 1 - 2 * log_var).sum(-1),
            "You treat exp(log_var) as σ and square it once more. What is exp(log σ²)?",
        ),
        Mistake(
            "log_var taken for log σ in one place",
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 - 2 * log_var).sum(-1),
            "One of your terms counts log_var double: log σ² is 2 log σ, and the formula needs it once.",
        ),
        Mistake(
            "forgot the −1",
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - log_var).sum(-1),
            "Test your function where q is N(0, I) itself: mu = 0 and log_var = 0. What should it give, and what does it give?",
        ),
        Mistake(
            "KL of the wrong direction",
            lambda mu, log_var: 0.5 * ((1 + mu**2) / log_var.exp() - 1 + log_var).sum(-1),
            "You computed KL(N(0, I) ‖ q). Asked is KL(q ‖ N(0, I)): the expectation runs over the encoder's q.",
        ),
        Mistake(
            "μ without its square",
            lambda mu, log_var: 0.5 * (mu.abs() + log_var.exp() - 1 - log_var).sum(-1),
            "The pull on μ should grow with the distance from 0. Which power of μ comes out of the expectation of (μ + σε)²?",
        ),
    ),
)


# kl/normals(mu_q, log_var_q, mu_p, log_var_p)


def draw_normals(rng):
    batch, latents = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    names = ("mu_q", "log_var_q", "mu_p", "log_var_p")
    return {name: normal(rng, batch, latents) for name in names}


def normals(mu_q, log_var_q, mu_p, log_var_p):
    q, p = Normal(mu_q, (log_var_q / 2).exp()), Normal(mu_p, (log_var_p / 2).exp())
    return kl_divergence(q, p).sum(-1)


def normal_terms(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1)


NORMALS = Task(
    name="kl/normals",
    points=2,
    draw=draw_normals,
    reference=normals,
    library=(
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        Mistake(
            "KL of the wrong direction",
            lambda mu_q, log_var_q, mu_p, log_var_p: normal_terms(mu_p, log_var_p, mu_q, log_var_q).sum(-1),
            "You computed KL(p ‖ q). In KL(q ‖ p) the expectation runs over q, so that p's variance is what everything is measured by.",
        ),
        Mistake(
            "forgot the ½",
            lambda *a: 2 * normal_terms(*a).sum(-1),
            "Every number is too large by the same factor. With p = N(0, I) your function should agree with the task before.",
        ),
        Mistake(
            "mean over the latent dimensions",
            lambda *a: normal_terms(*a).mean(-1),
            "You average over the latent dimensions. Does a second independent dimension make the code cheaper?",
        ),
        Mistake(
            "divided by σ, not σ²",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                0.5
                * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / (log_var_p / 2).exp() - 1).sum(-1)
            ),
            "Squares of distances are divided by a standard deviation here. What stands below (z − μ)² in the exponent of a Gaussian?",
        ),
        Mistake(
            "log-ratio upside down",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                0.5 * (log_var_q - log_var_p + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1).sum(-1)
            ),
            "The term with the logarithms has the wrong sign. A q much narrower than p must be dear: let log_var_q go to −∞.",
        ),
        Mistake(
            "log-ratio counted double",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                log_var_p - log_var_q + 0.5 * ((log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1)
            ).sum(-1),
            "The logarithms are too large by a factor: log σ is half of log σ².",
        ),
        Mistake(
            "only the means compared",
            lambda mu_q, log_var_q, mu_p, log_var_p: (0.5 * (mu_q - mu_p) ** 2 / log_var_p.exp()).sum(-1),
            "That is right where both variances are the same. What does it cost that q is wider or narrower than p?",
        ),
    ),
)


# kl/estimate(mu, log_var, eps)


def draw_estimate(rng):
    draws, latents = int(rng.integers(4, 9)), int(rng.integers(2, 4))
    return {"mu": normal(rng, latents), "log_var": normal(rng, latents), "eps": normal(rng, draws, latents)}


def log_ratio(z, mu, log_var):
    q, p = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)
    return (q.log_prob(z) - p.log_prob(z)).sum(-1)


def estimate(mu, log_var, eps):
    ratio = log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
    return ratio.mean(), ratio.std() / math.sqrt(len(ratio))


def estimated(ratio):
    return ratio.mean(), ratio.std() / math.sqrt(len(ratio))


ESTIMATE = Task(
    name="kl/estimate",
    points=2,
    draw=draw_estimate,
    reference=estimate,
    mistakes=(
        Mistake(
            "z drawn from the prior",
            lambda mu, log_var, eps: estimated(log_ratio(eps, mu, log_var)),
            "You evaluate the log-ratio at z = eps, which are samples of the prior. KL(q ‖ p) is an expectation over q.",
        ),
        Mistake(
            "log-ratio upside down",
            lambda mu, log_var, eps: estimated(-log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)),
            "Your mean has the wrong sign. With many draws it should approach a KL divergence.",
        ),
        Mistake(
            "variance taken for standard deviation",
            lambda mu, log_var, eps: estimated(log_ratio(mu + log_var.exp() * eps, mu, log_var)),
            "The noise is scaled by σ², so your z are no samples of q. What is σ, given log σ²?",
        ),
        Mistake(
            "forgot √N in the standard error",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std()))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
            "Your estimate is right. The second number is the spread of single draws; how far is the mean of N draws from the truth?",
        ),
        Mistake(
            "standard error divided by N, not √N",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std() / len(r)))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
            "Your estimate is right. Four times as many draws halve the standard error; yours falls to a quarter.",
        ),
        Mistake(
            "mean over the latent dimensions",
            lambda mu, log_var, eps: estimated(log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var) / eps.shape[1]),
            "You average the log-densities over the latent dimensions. The density of independent coordinates is a product: "
            "its logarithm is a sum.",
        ),
        Mistake(
            "one draw for each coordinate",
            lambda mu, log_var, eps: (lambda r: (r.mean() * eps.shape[1], r.std() / math.sqrt(r.numel())))(
                Normal(mu, (log_var / 2).exp()).log_prob(mu + (log_var / 2).exp() * eps)
                - Normal(torch.zeros_like(mu), 1.0).log_prob(mu + (log_var / 2).exp() * eps)
            ),
            "Your estimate is right. For its standard error the N·D coordinates are not N·D draws: sum over the coordinates "
            "first, then look at the spread of the N sums.",
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std(correction=0) / math.sqrt(len(r))))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
            "Your estimate is right. With few draws it matters that the mean was taken from the same draws: divide by N − 1, "
            "as `std` does unless told otherwise.",
        ),
    ),
)


# kl/closest_normal(weights, means, variances)


def draw_mixture(rng):
    size = int(rng.integers(2, 5))
    return {
        "weights": probabilities(rng, size),
        "means": normal(rng, size, scale=2.0),
        "variances": uniform(rng, size, low=0.2, high=2.0),
    }


def closest_normal(weights, means, variances):
    weights, means, variances = (np.asarray(value) for value in (weights, means, variances))
    mean = np.average(means, weights=weights)
    return mean, np.average(variances + means**2, weights=weights) - mean**2


def moments(weights, means, variances):
    mean = (weights * means).sum()
    return mean, (weights * variances).sum(), (weights * (means - mean) ** 2).sum()


CLOSEST_NORMAL = Task(
    name="kl/closest_normal",
    points=3,
    draw=draw_mixture,
    reference=closest_normal,
    mistakes=(
        Mistake(
            "only the spread within the parts",
            lambda *a: (moments(*a)[0], moments(*a)[1]),
            "Your variance is the average of the parts' variances. Let the parts be narrow and far apart: how wide must a "
            "Gaussian be that covers them all?",
        ),
        Mistake(
            "only the spread between the parts",
            lambda *a: (moments(*a)[0], moments(*a)[2]),
            "Your variance is that of the parts' means. Let the means coincide: is the mixture then a point?",
        ),
        Mistake(
            "only the heaviest part fitted",
            lambda weights, means, variances: (means[weights.argmax()], variances[weights.argmax()]),
            "You fitted the heaviest part. A q that ignores the others is what KL(q ‖ p) rewards; here it is KL(p ‖ q), "
            "which pays wherever p has mass and q has none.",
        ),
        Mistake(
            "weights forgotten",
            lambda weights, means, variances: (means.mean(), variances.mean() + means.var(correction=0)),
            "You treat all parts alike. They occur with different probabilities.",
        ),
        Mistake(
            "standard deviation for variance",
            lambda *a: (moments(*a)[0], (moments(*a)[1] + moments(*a)[2]).sqrt()),
            "Your mean is right, and the second number is the standard deviation; asked is the variance.",
        ),
        Mistake(
            "variance of a weighted sum",
            lambda weights, means, variances: ((weights * means).sum(), (weights**2 * variances).sum()),
            "That is the variance of a weighted sum of Gaussians. A mixture draws from one part at a time.",
        ),
        Mistake(
            "forgot to subtract the squared mean",
            lambda weights, means, variances: (
                (weights * means).sum(),
                (weights * (variances + means**2)).sum(),
            ),
            "Your second number is E[z²]. The variance measures from the mean.",
        ),
    ),
)


# kl/split(q_z_given_x, p_z)


def draw_split(rng):
    pictures, states = int(rng.integers(2, 5)), int(rng.integers(3, 5))
    return {"q_z_given_x": probabilities(rng, pictures, states), "p_z": probabilities(rng, states)}


def split(q_z_given_x, p_z):
    table, prior = q_z_given_x.numpy(), p_z.numpy()
    q_z = table.mean(0)
    return rel_entr(table, q_z).sum(1).mean(), rel_entr(q_z, prior).sum()


def kls(q, p):
    return (q * (q / p).log()).sum(-1)


def entropies(q):
    return -(q * q.log()).sum(-1)


SPLIT = Task(
    name="kl/split",
    points=3,
    draw=draw_split,
    reference=split,
    mistakes=(
        Mistake(
            "average KL for mutual information",
            lambda q, p: (kls(q, p).mean(), kls(q.mean(0), p)),
            "Your first number is the average KL to the prior: the sum of both numbers asked for. Mutual information compares "
            "each q(z|x) with the mixture q(z).",
        ),
        Mistake(
            "the two numbers exchanged",
            lambda q, p: (kls(q.mean(0), p), kls(q, q.mean(0)).mean()),
            "Both numbers are right, but in the other order: mutual information first.",
        ),
        Mistake(
            "q(z) as a product",
            lambda q, p: (lambda z: (kls(q, z).mean(), kls(z, p)))(q.log().mean(0).softmax(-1)),
            "You averaged logarithms to get q(z). Draw a picture, then a z: how often does this z occur?",
        ),
        Mistake(
            "KL(p(z) ‖ q(z))",
            lambda q, p: (kls(q, q.mean(0)).mean(), kls(p, q.mean(0))),
            "Your mutual information is right. In the other number the expectation should run over q(z).",
        ),
        Mistake(
            "summed over the pictures",
            lambda q, p: (kls(q, q.mean(0)).sum(), kls(q.mean(0), p)),
            "Your mutual information is too large by the number of pictures. Each picture has probability 1/N.",
        ),
        Mistake(
            "KL(q(z) ‖ q(z|x)) for mutual information",
            lambda q, p: (kls(q.mean(0), q).mean(), kls(q.mean(0), p)),
            "Your first number compares the right distributions in the wrong direction: z is drawn from q(z|x).",
        ),
        Mistake(
            "entropy for mutual information",
            lambda q, p: (entropies(q.mean(0)), kls(q.mean(0), p)),
            "Your first number is the entropy of q(z). Some of it is noise of the encoder, and tells nothing about the picture.",
        ),
    ),
)

TASKS = (DISCRETE, STANDARD_NORMAL, NORMALS, ESTIMATE, CLOSEST_NORMAL, SPLIT)
