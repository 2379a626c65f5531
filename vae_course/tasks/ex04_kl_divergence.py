"""The tasks of exercise 04, the KL divergence."""

import math

import numpy as np
import torch
from scipy.special import rel_entr
from torch.distributions import Independent, Normal, kl_divergence

from vae_course.judging.task import Mistake, Task, rounded_normal, rounded_uniform

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
            "You weigh the terms by p. The symbols come from q and the code was made for p: who says how "
            "often a term occurs?",
            lambda q, p: summed(p * (p / q).log(), q),
            lambda q, p: (p * (p / q).log()).sum(),
        ),
        Mistake(
            "sign flipped",
            "Your number is never positive, but a KL divergence is never negative. Which one of the two "
            "stands in the numerator?",
            lambda q, p: -summed(q * (q / p).log(), q),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda q, p: summed(q * (q / p).log2(), q),
        ),
        Mistake(
            "mean for sum",
            "Your number is the right one divided by the number of symbols. An expectation weighs by the "
            "probabilities q, and needs no other division.",
            lambda q, p: summed(q * (q / p).log(), q) / len(q),
        ),
        Mistake(
            "cross-entropy for KL",
            "That is the whole length of the message with the wrong code. The KL is what it costs over with "
            "the right one.",
            lambda q, p: -summed(q * p.log(), q),
        ),
        Mistake(
            "a term without its weight",
            "Each log-ratio has to count as often as its symbol occurs.",
            lambda q, p: summed((q / p).log(), q),
        ),
    ),
)


# kl/standard_normal(mu, log_var)


def draw_encoder(rng):
    batch, latents = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    return {"mu": rounded_normal(rng, batch, latents), "log_var": rounded_normal(rng, batch, latents)}


def standard_normal(mu, log_var):
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    return kl_divergence(q, Independent(Normal(torch.zeros_like(mu), 1.0), 1))


def terms(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


STANDARD_NORMAL = Task(
    name="kl/standard_normal",
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
            "Every number is too large by the same factor. Which factor stands before the square in the "
            "exponent of a Gaussian?",
            lambda mu, log_var: 2 * terms(mu, log_var).sum(-1),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative. A KL divergence is never negative; what you have is what the ELBO adds.",
            lambda mu, log_var: -terms(mu, log_var).sum(-1),
        ),
        Mistake(
            "mean over the latent dimensions",
            "You average over the latent dimensions. Independent dimensions each cost their own nats: does a "
            "second one make the code cheaper?",
            lambda mu, log_var: terms(mu, log_var).mean(-1),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also summed over the pictures.",
            lambda mu, log_var: terms(mu, log_var).sum(),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also averaged over the pictures.",
            lambda mu, log_var: terms(mu, log_var).sum(-1).mean(),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,); yours is averaged over pictures and "
            "latent dimensions.",
            lambda mu, log_var: terms(mu, log_var).mean(),
        ),
        Mistake(
            "summed over the wrong axis",
            "You summed over the batch and kept the latent dimensions. Which axis counts the latents in shape (B, D)?",
            lambda mu, log_var: terms(mu, log_var).sum(0),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as σ and square it once more. What is exp(log σ²)?",
            lambda mu, log_var: 0.5 * (mu**2 + (2 * log_var).exp() - 1 - 2 * log_var).sum(-1),
        ),
        Mistake(
            "log_var taken for log σ in one place",
            "One of your terms counts log_var double: log σ² is 2 log σ, and the formula needs it once.",
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 - 2 * log_var).sum(-1),
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
        Mistake(
            "μ without its square",
            "The pull on μ should grow with the distance from 0. Which power of μ comes out of the "
            "expectation of (μ + σε)²?",
            lambda mu, log_var: 0.5 * (mu.abs() + log_var.exp() - 1 - log_var).sum(-1),
        ),
    ),
)


# kl/normals(mu_q, log_var_q, mu_p, log_var_p)


def draw_normals(rng):
    batch, latents = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    names = ("mu_q", "log_var_q", "mu_p", "log_var_p")
    return {name: rounded_normal(rng, batch, latents) for name in names}


def normals(mu_q, log_var_q, mu_p, log_var_p):
    q, p = Normal(mu_q, (log_var_q / 2).exp()), Normal(mu_p, (log_var_p / 2).exp())
    return kl_divergence(q, p).sum(-1)


def normal_terms(mu_q, log_var_q, mu_p, log_var_p):
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1)


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
            lambda mu_q, log_var_q, mu_p, log_var_p: normal_terms(mu_p, log_var_p, mu_q, log_var_q).sum(-1),
        ),
        Mistake(
            "forgot the ½",
            "Every number is too large by the same factor. With p = N(0, I) your function should agree with "
            "the task before.",
            lambda *a: 2 * normal_terms(*a).sum(-1),
        ),
        Mistake(
            "mean over the latent dimensions",
            "You average over the latent dimensions. Does a second independent dimension make the code cheaper?",
            lambda *a: normal_terms(*a).mean(-1),
        ),
        Mistake(
            "divided by σ, not σ²",
            "Squares of distances are divided by a standard deviation here. What stands below (z − μ)² in the "
            "exponent of a Gaussian?",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                0.5
                * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / (log_var_p / 2).exp() - 1).sum(-1)
            ),
        ),
        Mistake(
            "log-ratio upside down",
            "The term with the logarithms has the wrong sign. A q much narrower than p must be dear: let "
            "log_var_q go to −∞.",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                0.5 * (log_var_q - log_var_p + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1).sum(-1)
            ),
        ),
        Mistake(
            "log-ratio counted double",
            "The logarithms are too large by a factor: log σ is half of log σ².",
            lambda mu_q, log_var_q, mu_p, log_var_p: (
                log_var_p - log_var_q + 0.5 * ((log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1)
            ).sum(-1),
        ),
        Mistake(
            "only the means compared",
            "That is right where both variances are the same. What does it cost that q is wider or narrower than p?",
            lambda mu_q, log_var_q, mu_p, log_var_p: (0.5 * (mu_q - mu_p) ** 2 / log_var_p.exp()).sum(-1),
        ),
    ),
)


# kl/estimate(mu, log_var, eps)


def draw_estimate(rng):
    draws, latents = int(rng.integers(4, 9)), int(rng.integers(2, 4))
    return {
        "mu": rounded_normal(rng, latents),
        "log_var": rounded_normal(rng, latents),
        "eps": rounded_normal(rng, draws, latents),
    }


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
    draw=draw_estimate,
    reference=estimate,
    mistakes=(
        Mistake(
            "z drawn from the prior",
            "You evaluate the log-ratio at z = eps, which are samples of the prior. KL(q ‖ p) is an "
            "expectation over q.",
            lambda mu, log_var, eps: estimated(log_ratio(eps, mu, log_var)),
        ),
        Mistake(
            "log-ratio upside down",
            "Your mean has the wrong sign. With many draws it should approach a KL divergence.",
            lambda mu, log_var, eps: estimated(-log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)),
        ),
        Mistake(
            "variance taken for standard deviation",
            "The noise is scaled by σ², so your z are no samples of q. What is σ, given log σ²?",
            lambda mu, log_var, eps: estimated(log_ratio(mu + log_var.exp() * eps, mu, log_var)),
        ),
        Mistake(
            "forgot √N in the standard error",
            "Your estimate is right. The second number is the spread of single draws; how far is the mean of "
            "N draws from the truth?",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std()))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
        ),
        Mistake(
            "standard error divided by N, not √N",
            "Your estimate is right. Four times as many draws halve the standard error; yours falls to a quarter.",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std() / len(r)))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
        ),
        Mistake(
            "mean over the latent dimensions",
            "You average the log-densities over the latent dimensions. The density of independent coordinates "
            "is a product: its logarithm is a sum.",
            lambda mu, log_var, eps: estimated(log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var) / eps.shape[1]),
        ),
        Mistake(
            "one draw for each coordinate",
            "Your estimate is right. For its standard error the N·D coordinates are not N·D draws: sum over "
            "the coordinates first, then look at the spread of the N sums.",
            lambda mu, log_var, eps: (lambda r: (r.mean() * eps.shape[1], r.std() / math.sqrt(r.numel())))(
                Normal(mu, (log_var / 2).exp()).log_prob(mu + (log_var / 2).exp() * eps)
                - Normal(torch.zeros_like(mu), 1.0).log_prob(mu + (log_var / 2).exp() * eps)
            ),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Your estimate is right. With few draws it matters that the mean was taken from the same draws: "
            "divide by N − 1, as `std` does unless told otherwise.",
            lambda mu, log_var, eps: (lambda r: (r.mean(), r.std(correction=0) / math.sqrt(len(r))))(
                log_ratio(mu + (log_var / 2).exp() * eps, mu, log_var)
            ),
        ),
    ),
)


# kl/closest_normal(weights, means, variances)


def draw_mixture(rng):
    size = int(rng.integers(2, 5))
    return {
        "weights": probabilities(rng, size),
        "means": rounded_normal(rng, size, scale=2.0),
        "variances": rounded_uniform(rng, size, low=0.2, high=2.0),
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
    draw=draw_mixture,
    reference=closest_normal,
    mistakes=(
        Mistake(
            "only the spread within the parts",
            "Your variance is the average of the parts' variances. Let the parts be narrow and far apart: how "
            "wide must a Gaussian be that covers them all?",
            lambda *a: (moments(*a)[0], moments(*a)[1]),
        ),
        Mistake(
            "only the spread between the parts",
            "Your variance is that of the parts' means. Let the means coincide: is the mixture then a point?",
            lambda *a: (moments(*a)[0], moments(*a)[2]),
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
            lambda *a: (moments(*a)[0], (moments(*a)[1] + moments(*a)[2]).sqrt()),
        ),
        Mistake(
            "variance of a weighted sum",
            "That is the variance of a weighted sum of Gaussians. A mixture draws from one part at a time.",
            lambda weights, means, variances: ((weights * means).sum(), (weights**2 * variances).sum()),
        ),
        Mistake(
            "forgot to subtract the squared mean",
            "Your second number is E[z²]. The variance measures from the mean.",
            lambda weights, means, variances: (
                (weights * means).sum(),
                (weights * (variances + means**2)).sum(),
            ),
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
    draw=draw_split,
    reference=split,
    mistakes=(
        Mistake(
            "average KL for mutual information",
            "Your first number is the average KL to the prior: the sum of both numbers asked for. Mutual "
            "information compares each q(z|x) with the mixture q(z).",
            lambda q, p: (kls(q, p).mean(), kls(q.mean(0), p)),
        ),
        Mistake(
            "the two numbers exchanged",
            "Both numbers are right, but in the other order: mutual information first.",
            lambda q, p: (kls(q.mean(0), p), kls(q, q.mean(0)).mean()),
        ),
        Mistake(
            "q(z) as a product",
            "You averaged logarithms to get q(z). Draw a picture, then a z: how often does this z occur?",
            lambda q, p: (lambda z: (kls(q, z).mean(), kls(z, p)))(q.log().mean(0).softmax(-1)),
        ),
        Mistake(
            "KL(p(z) ‖ q(z))",
            "Your mutual information is right. In the other number the expectation should run over q(z).",
            lambda q, p: (kls(q, q.mean(0)).mean(), kls(p, q.mean(0))),
        ),
        Mistake(
            "summed over the pictures",
            "Your mutual information is too large by the number of pictures. Each picture has probability 1/N.",
            lambda q, p: (kls(q, q.mean(0)).sum(), kls(q.mean(0), p)),
        ),
        Mistake(
            "KL(q(z) ‖ q(z|x)) for mutual information",
            "Your first number compares the right distributions in the wrong direction: z is drawn from q(z|x).",
            lambda q, p: (kls(q.mean(0), q).mean(), kls(q.mean(0), p)),
        ),
        Mistake(
            "entropy for mutual information",
            "Your first number is the entropy of q(z). Some of it is noise of the encoder, and tells nothing "
            "about the picture.",
            lambda q, p: (entropies(q.mean(0)), kls(q.mean(0), p)),
        ),
    ),
)

TASKS = (DISCRETE, STANDARD_NORMAL, NORMALS, ESTIMATE, CLOSEST_NORMAL, SPLIT)
