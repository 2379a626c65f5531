"""The tasks of exercise 04, the KL divergence."""

import math

import numpy as np
import torch
from scipy.special import rel_entr
from torch.distributions import Independent, Normal, kl_divergence

from vae_course.judging.common_mistakes import limited_log_variance, wrong_reductions
from vae_course.judging.task import Mistake, Task, rounded_normal, rounded_uniform, wide

__all__ = ["TASKS"]


def random_probabilities(rng, *shape, zeros=0):
    """Rows of probabilities, multiples of a common unit; the last `zeros` of each row are 0."""
    weights = rng.integers(1, 9, size=shape).astype(float)
    if zeros:
        weights[..., -zeros:] = 0
    return torch.tensor(weights / weights.sum(-1, keepdims=True), dtype=torch.float32)


# kl/discrete(q, p)


def draw_discrete(zeros):
    """Return a function that draws q with so many zeros, to test 0 · log 0; without, as some mistakes are infinite."""

    def draw(rng):
        size = int(rng.integers(3, 6))
        return {"q": random_probabilities(rng, size, zeros=zeros), "p": random_probabilities(rng, size)}

    return draw


def discrete(q, p):
    """KL(q ‖ p) = Σ q log(q / p) with 0 log 0 = 0 (lesson 04, section 1)."""
    return torch.tensor(rel_entr(q.numpy(), p.numpy()).sum())


def sum_where_seen(terms, q):
    """Sum the terms of the symbols that occur."""
    return torch.where(q > 0, terms, 0.0).sum()


def kl_where_seen(q, p):
    """KL(q ‖ p), zeros of q left out."""
    return sum_where_seen(q * (q / p).log(), q)


def entropy(q):
    return -torch.xlogy(q, q).sum()


DISCRETE = Task(
    name="kl/discrete",
    draw=tuple(map(draw_discrete, (1, 0, 2, 0))),
    reference=discrete,
    cases=8,
    mistakes=(
        Mistake(
            "a symbol that never comes spoils the sum",
            "Your number is right where every q is positive, and wrong where one is 0. There the sum holds 0 · log 0, "
            "which floating-point numbers call nan. Its limit is 0: an event that never happens costs nothing, and "
            "the other terms stay as they are.",
            lambda q, p: (q * (q / p).log()).sum(),
            lambda q, p: torch.where((q > 0).all(), kl_where_seen(q, p), math.inf),
            lambda q, p: torch.where((q > 0).all(), kl_where_seen(q, p), 0.0),
            lambda q, p: torch.where(q > 0, q * (q / p).log(), math.inf).sum(),
        ),
        Mistake(
            "KL of the wrong direction",
            "You weight the terms by p. The symbols come from q and the code was made for p: which of the two "
            "says how often a term occurs?",
            lambda q, p: sum_where_seen(p * (p / q).log(), q),
            lambda q, p: (p * (p / q).log()).sum(),
            lambda q, p: sum_where_seen(p * (q / p).log(), q),
            lambda q, p: (p * (q / p).log()).sum(),
        ),
        Mistake(
            "sign flipped",
            "Your number is never positive, but a KL divergence is never negative. Which of the two stands in "
            "the numerator?",
            lambda q, p: -kl_where_seen(q, p),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda q, p: kl_where_seen(q, p) / math.log(2),
        ),
        Mistake(
            "mean for sum",
            "You divide the sum by a number of symbols. An expectation is weighted by the probabilities q, and "
            "needs no other division.",
            lambda q, p: kl_where_seen(q, p) / len(q),
            lambda q, p: kl_where_seen(q, p) / (q > 0).sum(),
        ),
        Mistake(
            "cross-entropy for KL",
            "That is the whole length of the message with the wrong code. The KL is only what it costs beyond "
            "the right code.",
            lambda q, p: -(q * p.log()).sum(),
            lambda q, p: -(q * p.log2()).sum(),
        ),
        Mistake(
            "an entropy for the KL",
            "Your number depends on one of the two distributions alone. What does it give where q equals p, and what "
            "should it give there?",
            lambda q, p: entropy(q),
            lambda q, p: entropy(p),
            lambda q, p: -entropy(q),
            lambda q, p: math.log(len(q)) - entropy(q),
        ),
        Mistake(
            "difference of two entropies",
            "Your number is the difference of the entropies of q and p: each is weighted by its own probabilities. The "
            "symbols come from q, whichever code is used. How long is their message in the code made for p?",
            lambda q, p: entropy(p) - entropy(q),
            lambda q, p: entropy(q) - entropy(p),
        ),
        Mistake(
            "a term without its weight",
            "Each log-ratio has to count as often as its symbol occurs.",
            lambda q, p: sum_where_seen((q / p).log(), q),
            lambda q, p: (q / p).log().sum(),
            lambda q, p: sum_where_seen((q / p).log(), q) / len(q),
        ),
        Mistake(
            "p scaled up over the symbols that come",
            "You leave the symbols that never come out of p as well, and scale the rest of p up to sum to 1. But the "
            "code was made for all of p. Does a codeword get shorter because another one is never used?",
            lambda q, p: kl_where_seen(q, p / p[q > 0].sum()),
        ),
        Mistake(
            "symmetric in q and p",
            "Where no probability is 0, your number stays the same when q and p change places. Should it? Compare the "
            "price of symbols from q in a code for p with the price of symbols from p in a code for q.",
            lambda q, p: (discrete(q, p) + discrete(p, q)) / 2,
            lambda q, p: discrete(q, p) + discrete(p, q),
            lambda q, p: (kl_where_seen(q, p) + sum_where_seen(p * (p / q).log(), q)) / 2,
            lambda q, p: kl_where_seen(q, p) + sum_where_seen(p * (p / q).log(), q),
            lambda q, p: (discrete(q, (q + p) / 2) + discrete(p, (q + p) / 2)) / 2,
            lambda q, p: (q - p).abs().sum() / 2,
            lambda q, p: (q - p).abs().sum(),
        ),
        Mistake(
            "absolute values added up",
            "You take absolute values, so that no symbol can count as a saving. With the wrong code some symbols get a "
            "shorter codeword than with the right one. What happens to these terms in the mean?",
            lambda q, p: sum_where_seen(q * (q / p).log().abs(), q),
            lambda q, p: sum_where_seen((q / p).log().abs(), q),
        ),
        Mistake(
            "a logarithm forgotten",
            "One of the two probabilities stands in your sum without its logarithm. If you use `F.kl_div`: in which "
            "form does it expect its first argument?",
            lambda q, p: -entropy(q) - (q * p).sum(),
            lambda q, p: -entropy(p) - (p * q).sum(),
        ),
        Mistake(
            "logarithm of a sum",
            "You take one logarithm, of a sum over the symbols. In the KL each symbol has its own log-ratio, and these "
            "are averaged.",
            lambda q, p: (q * q / p).sum().log(),
            lambda q, p: -p[q > 0].sum().log(),
        ),
        Mistake(
            "squared differences for log-ratios",
            "You add up squares of differences. The price of a wrong codeword is a difference of two lengths, and a "
            "length is a logarithm.",
            lambda q, p: ((q - p) ** 2 / p).sum(),
            lambda q, p: ((q - p) ** 2).sum(),
        ),
        Mistake(
            "softmax of probabilities",
            "Your numbers q and p went through softmax, but they are probabilities already. What does softmax make of "
            "(1, 0, 0)?",
            lambda q, p: kl_where_seen(q.softmax(0), p.softmax(0)),
            lambda q, p: torch.xlogy(q, q).sum() - (q * p.log_softmax(0)).sum(),
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


def half_sum(terms):
    """Return an answer that halves terms(mu, log_var) and sums them over the latents."""
    return lambda mu, log_var: 0.5 * terms(mu, log_var).sum(-1)


STANDARD_NORMAL = Task(
    name="kl/standard_normal",
    draw=(draw_standard_normal, wide(draw_standard_normal, "log_var")),
    reference=standard_normal,
    library=(
        "vae_lessons.distributions.kl_to_standard_normal",
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        limited_log_variance(standard_normal, 1),
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
            "one number for each latent",
            "Your result still has an axis for the latents. The task asks for one number for each picture: what do its "
            "latents cost together?",
            kl_of_latents,
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "Somewhere you treat exp(log_var) as σ, and square it once more. What is exp(log σ²)?",
            lambda mu, log_var: kl_of_latents(mu, 2 * log_var).sum(-1),
            half_sum(lambda mu, log_var: mu**2 + (2 * log_var).exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1 - 2 * log_var),
        ),
        Mistake(
            "σ for σ²",
            "Somewhere σ stands where σ² belongs. log_var is log σ²: what are exp(log_var) and exp(log_var / 2)? "
            "Check both terms of the width.",
            half_sum(lambda mu, log_var: mu**2 + (log_var / 2).exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1 - log_var / 2),
            half_sum(lambda mu, log_var: mu**2 + (log_var / 2).exp() - 1 - log_var / 2),
        ),
        Mistake(
            "log_var taken for the variance",
            "Somewhere you use log_var itself as σ² or σ. It is the logarithm of σ², and may be negative. Which of "
            "your terms needs σ², and which its logarithm?",
            half_sum(lambda mu, log_var: mu**2 - 1),  # log_var − log_var
            half_sum(lambda mu, log_var: mu**2 + log_var - 1 - log_var.abs().log()),
            half_sum(lambda mu, log_var: mu**2 + log_var - 1 - log_var.log()),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1 - log_var.log()),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1 - log_var.abs().log()),
            half_sum(lambda mu, log_var: mu**2 + log_var**2 - 1 - 2 * log_var.log()),
            half_sum(lambda mu, log_var: mu**2 + log_var**2 - 1 - 2 * log_var.abs().log()),
            half_sum(lambda mu, log_var: mu**2 + log_var**2 - 1 - log_var),
        ),
        Mistake(
            "the constant term",
            "Test your function where q is N(0, I) itself: mu = 0 and log_var = 0, with three latents. What should it "
            "give, and what does it give?",
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - log_var),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() + 1 - log_var),
            lambda mu, log_var: 0.5 * ((mu**2 + log_var.exp() - log_var).sum(-1) - 1),
            lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - log_var).sum(-1) - 1,
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - log_var - 2),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - log_var - 0.5),
        ),
        Mistake(
            "KL of the wrong direction",
            "You computed KL(N(0, I) ‖ q). Asked is KL(q ‖ N(0, I)): the expectation runs over the encoder's q.",
            lambda mu, log_var: 0.5 * ((1 + mu**2) / log_var.exp() - 1 + log_var).sum(-1),
        ),
        Mistake(
            "symmetric in q and the prior",
            "You combine the KLs of both directions. Asked is KL(q ‖ N(0, I)) alone: the expectation runs over the "
            "encoder's q.",
            half_sum(lambda mu, log_var: (mu**2 + log_var.exp() + (1 + mu**2) * (-log_var).exp()) / 2 - 1),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() + (1 + mu**2) * (-log_var).exp() - 2),
        ),
        Mistake(
            "a term with the wrong sign",
            "Some term has the wrong sign. Move mu away from 0, then let σ shrink towards 0, then let it grow: all "
            "three must cost more and more. Do they?",
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1 + log_var),
            half_sum(lambda mu, log_var: -(mu**2) + log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 - log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 - log_var.exp() + 1 + log_var),
            half_sum(lambda mu, log_var: mu**2 - log_var.exp() - 1 + log_var),
        ),
        Mistake(
            "the term with mu",
            "Your numbers are right where mu = 0, and wrong elsewhere. Take log_var = 0 and several latents. What does "
            "a shift of one mean by 3 cost, and one by −3? What do both together?",
            half_sum(lambda mu, log_var: mu + log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu.abs() + log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: 2 * mu**2 + log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 / 2 + log_var.exp() - 1 - log_var),
            half_sum(lambda mu, log_var: mu**2 / log_var.exp() + log_var.exp() - 1 - log_var),
            lambda mu, log_var: 0.5 * (mu.sum(-1) ** 2 + (log_var.exp() - 1 - log_var).sum(-1)),
            lambda mu, log_var: 0.5 * (mu.norm(dim=-1) + (log_var.exp() - 1 - log_var).sum(-1)),
        ),
        Mistake(
            "the terms with log_var",
            "Your numbers are right where log_var = 0, and wrong elsewhere. Take mu = 0 and one latent. What does a q "
            "cost that is twice as wide as the prior, log_var = log 4? And one that is half as wide?",
            half_sum(lambda mu, log_var: mu**2 + 2 * (log_var.exp() - 1 - log_var)),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() - 1),
            half_sum(lambda mu, log_var: mu**2),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() ** -1 - 1 - log_var),
        ),
        Mistake(
            "the log-ratio at one point",
            "You evaluate log q(z) − log p(z) at z = mu alone. The KL is its mean over all z that q draws. What are "
            "the means of z² and of (z − mu)² / σ²?",
            half_sum(lambda mu, log_var: mu**2 - log_var),
        ),
        Mistake(
            "cross-entropy for KL",
            "That is a cross-entropy: the mean of −log p(z) under q. The KL is only what lies beyond the entropy of q.",
            half_sum(lambda mu, log_var: mu**2 + log_var.exp() + math.log(2 * math.pi)),
            half_sum(lambda mu, log_var: mu**2 + log_var.exp()),
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


def kl_of_pairs(mu_q, log_var_q, mu_p, log_var_p):
    """KL(q ‖ p) for each latent: (B, d)."""
    return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1)


def kl_of_gaussians(*inputs):
    """KL(q ‖ p) of diagonal Gaussians, in closed form."""
    return kl_of_pairs(*inputs).sum(-1)


def from_parts(logs=None, spread=None, distance=None, constant=-1.0):
    """Return an answer ½ (logs + spread + distance + constant), summed over the latents; each default is right.

    Args:
        logs: from both log-variances, log σ_p² / σ_q².
        spread: from both variances, σ_q² / σ_p².
        distance: from both means and both variances, (μ_q − μ_p)² / σ_p².
        constant: the constant of each latent.
    """
    logs = logs or (lambda log_var_q, log_var_p: log_var_p - log_var_q)
    spread = spread or (lambda var_q, var_p: var_q / var_p)
    distance = distance or (lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / var_p)

    def answer(mu_q, log_var_q, mu_p, log_var_p):
        var_q, var_p = log_var_q.exp(), log_var_p.exp()
        parts = logs(log_var_q, log_var_p) + spread(var_q, var_p) + distance(mu_q, mu_p, var_q, var_p) + constant
        return 0.5 * parts.sum(-1)

    return answer


NORMALS = Task(
    name="kl/normals",
    draw=(draw_normals, wide(draw_normals, "log_var_q", "log_var_p")),
    reference=normals,
    library=(
        "vae_lessons.distributions.kl_normal",
        "vae_lessons.distributions.kl_normal_full",
    ),
    mistakes=(
        limited_log_variance(normals, 1, 3),
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
        *wrong_reductions(
            kl_of_pairs,
            "latent dimensions",
            "Does a second independent dimension make the code cheaper?",
        ),
        Mistake(
            "one number for each latent",
            "Your result still has an axis for the latents. The task asks for one number for each picture: what do its "
            "latents cost together?",
            kl_of_pairs,
        ),
        Mistake(
            "symmetric in q and p",
            "You combine the KLs of both directions. Asked is KL(q ‖ p) alone: the expectation runs over q.",
            lambda a, b, c, d: (kl_of_gaussians(a, b, c, d) + kl_of_gaussians(c, d, a, b)) / 2,
            lambda a, b, c, d: kl_of_gaussians(a, b, c, d) + kl_of_gaussians(c, d, a, b),
        ),
        Mistake(
            "difference of two KLs",
            "Your number is KL(q ‖ N(0, I)) minus KL(p ‖ N(0, I)). It can be negative. Where does the expectation run "
            "over p in it, and over what should it run?",
            lambda a, b, c, d: (kl_of_latents(a, b) - kl_of_latents(c, d)).sum(-1),
            lambda a, b, c, d: (kl_of_latents(a, b) - kl_of_latents(c, d)).sum(-1).abs(),
        ),
        Mistake(
            "p not used",
            "Your number does not depend on p: it is the KL to N(0, I). Which terms change with p?",
            lambda a, b, c, d: kl_of_latents(a, b).sum(-1),
        ),
        Mistake(
            "cross-entropy for KL",
            "That is a cross-entropy: the mean of −log p(z) under q. The KL is only what lies beyond the entropy of q.",
            lambda a, b, c, d: 0.5 * (d + math.log(2 * math.pi) + (b.exp() + (a - c) ** 2) / d.exp()).sum(-1),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "You treat exp(log_var) as σ, and square it once more. What is exp(log σ²)?",
            lambda a, b, c, d: kl_of_gaussians(a, 2 * b, c, 2 * d),
            from_parts(
                spread=lambda var_q, var_p: (var_q / var_p) ** 2,
                distance=lambda mu_q, mu_p, var_q, var_p: ((mu_q - mu_p) / var_p) ** 2,
            ),
        ),
        Mistake(
            "σ for σ²",
            "Somewhere σ stands where σ² belongs. What stands below (z − μ)² in the exponent of a Gaussian, and what "
            "is it, given log σ²?",
            from_parts(
                spread=lambda var_q, var_p: var_q / var_p.sqrt(),
                distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / var_p.sqrt(),
            ),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / var_p.sqrt()),
            from_parts(spread=lambda var_q, var_p: var_q / var_p.sqrt()),
            from_parts(spread=lambda var_q, var_p: (var_q / var_p).sqrt()),
            from_parts(
                spread=lambda var_q, var_p: (var_q / var_p).sqrt(),
                distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / var_p.sqrt(),
            ),
            lambda a, b, c, d: kl_of_gaussians(a, b / 2, c, d / 2),
        ),
        Mistake(
            "log-ratio upside down",
            "The term with the logarithms has the wrong sign. A q much narrower than p must be expensive: let "
            "log_var_q go to −∞.",
            from_parts(logs=lambda log_var_q, log_var_p: log_var_q - log_var_p),
        ),
        Mistake(
            "log-ratio off by a factor",
            "The term with the logarithms is off by a factor, or all the others are: log σ is half of log σ².",
            from_parts(logs=lambda log_var_q, log_var_p: 2 * (log_var_p - log_var_q)),
            from_parts(logs=lambda log_var_q, log_var_p: (log_var_p - log_var_q) / 2),
        ),
        Mistake(
            "log-ratio left out",
            "No term of yours has the logarithms of the variances. Take equal means and let log_var_q go to −∞: such a "
            "narrow q must cost more and more. Does it?",
            from_parts(logs=lambda log_var_q, log_var_p: 0.0),
        ),
        Mistake(
            "the constant term",
            "Test your function where q and p are the same, with three latents. What should it give, and what does it "
            "give?",
            from_parts(constant=0.0),
            from_parts(constant=1.0),
            lambda *inputs: from_parts(constant=0.0)(*inputs) - 0.5,
            lambda *inputs: from_parts(constant=0.0)(*inputs) - 1,
        ),
        Mistake(
            "distance divided by q's variance",
            "You divide the distance of the means by q's variance. Let p be very wide: then it should not matter where "
            "q lies. Does it, in yours?",
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / var_q),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 / (var_q + var_p)),
        ),
        Mistake(
            "p's variance left out",
            "Your numbers are right where p's variance is 1, and wrong elsewhere. Every squared distance from p's mean "
            "counts in units of p's variance: z lies some way off through its own scatter, and through q's mean.",
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2),
            from_parts(spread=lambda var_q, var_p: var_q),
            from_parts(spread=lambda var_q, var_p: var_q, distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2),
            from_parts(
                spread=lambda var_q, var_p: var_q * var_p,
                distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) ** 2 * var_p,
            ),
        ),
        Mistake(
            "ratio of the variances upside down",
            "Your term for the two variances is p's over q's. Let p be very narrow and q wide: a code made for p must "
            "be very expensive. Is it?",
            from_parts(spread=lambda var_q, var_p: var_p / var_q),
        ),
        Mistake(
            "q's spread left out",
            "z does not sit at q's mean, it scatters around it. That scatter is missing in your E_q[(z − mu_p)²]. What "
            "is this mean, given q's mean and variance?",
            from_parts(spread=lambda var_q, var_p: 0.0),
            from_parts(spread=lambda var_q, var_p: 0.0, constant=0.0),
            from_parts(spread=lambda var_q, var_p: 0.0, logs=lambda log_var_q, log_var_p: 0.0, constant=0.0),
        ),
        Mistake(
            "the term with the means",
            "Your numbers are right where the two means are equal, and wrong elsewhere. Take log_var_q = log_var_p = "
            "0: what does a distance of 3 cost, and one of −3? What does yours give?",
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p) / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q - mu_p).abs() / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: 2 * (mu_q - mu_p) ** 2 / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: -((mu_q - mu_p) ** 2) / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: 0.0),
        ),
        Mistake(
            "not the distance of the means",
            "Add 5 to mu_q and to mu_p. The two Gaussians move together, so the KL must stay the same. Does yours?",
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q + mu_p) ** 2 / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q**2 - mu_p**2) / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: mu_q**2 / var_p),
            from_parts(distance=lambda mu_q, mu_p, var_q, var_p: (mu_q**2 + mu_p**2) / var_p),
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


def draw_below_zero(rng):
    """A q near the prior, and draws whose estimate is below zero, which no KL divergence is."""
    while True:
        mu, log_var = rounded_normal(rng, 2, scale=0.3), rounded_normal(rng, 2, scale=0.3)
        case = {"mu": mu, "log_var": log_var, "eps": rounded_normal(rng, 5, 2)}
        if estimate(*case.values())[0] < -0.02:
            return case


def estimate(mu, log_var, eps):
    """Mean of log q(z) − log p(z) over draws of q, and its standard error (lesson 04, section 3)."""
    return mean_and_error(log_ratios_of_draws(mu, log_var, eps))


def log_normal(z, mu, sigma):
    """Log-density of each row of z: (N, d) -> (N,)."""
    return Normal(mu, sigma).log_prob(z).sum(-1)


def log_prior(z):
    return log_normal(z, torch.zeros_like(z), 1.0)


def log_ratios(z, mu, log_var):
    """log q(z) − log p(z) of each row of z: (N, d) -> (N,)."""
    return log_normal(z, mu, (log_var / 2).exp()) - log_prior(z)


def draws_of_q(mu, log_var, eps):
    return mu + (log_var / 2).exp() * eps


def log_ratios_of_draws(mu, log_var, eps):
    """The log-ratios at z = μ + σ ε."""
    return log_ratios(draws_of_q(mu, log_var, eps), mu, log_var)


def mean_and_error(draws):
    """Mean of the draws and its standard error."""
    return draws.mean(), draws.std() / math.sqrt(len(draws))


def with_error(error):
    """Return an answer with the right estimate, and error(log-ratios, number of latents) as its second number."""

    def answer(mu, log_var, eps):
        draws = log_ratios_of_draws(mu, log_var, eps)
        return draws.mean(), error(draws, len(mu))

    return answer


def with_error_of_latents(error):
    """Return an answer with the right estimate, and error(log-ratios of the single latents, (N, d))."""

    def answer(mu, log_var, eps):
        z = draws_of_q(mu, log_var, eps)
        single = Normal(mu, (log_var / 2).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
        return single.sum(-1).mean(), error(single)

    return answer


def of_draws(change):
    """Return an answer that averages change(log-ratio) over the draws."""
    return lambda *inputs: mean_and_error(change(log_ratios_of_draws(*inputs)))


def of_densities(combine):
    """Return an answer that averages combine(z, mu, log_var, eps) over the draws z of q."""

    def answer(mu, log_var, eps):
        return mean_and_error(combine(draws_of_q(mu, log_var, eps), mu, log_var, eps))

    return answer


def with_estimate(estimate_of):
    """Return an answer with the right standard error, and estimate_of(log-ratios, mu, log_var) as its first number."""

    def answer(mu, log_var, eps):
        draws = log_ratios_of_draws(mu, log_var, eps)
        return estimate_of(draws, mu, log_var), mean_and_error(draws)[1]

    return answer


def closed_form(draws, mu, log_var):
    return kl_of_latents(mu, log_var).sum()


def distance_to_closed_form(draws, mu, log_var):
    return (draws.mean() - closed_form(draws, mu, log_var)).abs()


def lifted(change, mean, error):
    """The estimate changed where it is below zero, and its standard error."""
    return change(torch.as_tensor(mean)), error


ESTIMATE = Task(
    name="kl/estimate",
    draw=(draw_estimate, wide(draw_estimate, "log_var"), draw_below_zero),
    reference=estimate,
    mistakes=(
        limited_log_variance(estimate, 1),
        Mistake(
            "z drawn from the prior",
            "You evaluate the log-ratio at z = eps, which are samples of the prior. KL(q ‖ p) is an "
            "expectation over q.",
            lambda mu, log_var, eps: mean_and_error(log_ratios(eps, mu, log_var)),
            lambda mu, log_var, eps: mean_and_error(-log_ratios(eps, mu, log_var)),
        ),
        Mistake(
            "an estimate below zero changed",
            "Where the mean of the draws is below zero you return another number. A KL divergence is never negative, "
            "but an estimate from a few draws may be. What becomes of the average of many estimates if you lift some?",
            lambda mu, log_var, eps: lifted(torch.relu, *estimate(mu, log_var, eps)),
            lambda mu, log_var, eps: lifted(torch.abs, *estimate(mu, log_var, eps)),
        ),
        Mistake(
            "log-ratio upside down",
            "Your mean has the wrong sign. With many draws it should approach a KL divergence.",
            of_draws(lambda ratio: -ratio),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "Somewhere you use exp(log_var) as a standard deviation. What is σ, given log σ²?",
            lambda mu, log_var, eps: mean_and_error(log_ratios(mu + log_var.exp() * eps, mu, log_var)),
            lambda mu, log_var, eps: mean_and_error(log_ratios_of_draws(mu, 2 * log_var, eps)),
            of_densities(lambda z, mu, log_var, eps: log_ratios(z, mu, 2 * log_var)),
        ),
        Mistake(
            "noise not scaled by σ",
            "Your z = mu + eps has variance 1 in every latent. Which variance has a draw of q?",
            lambda mu, log_var, eps: mean_and_error(log_ratios(mu + eps, mu, log_var)),
        ),
        Mistake(
            "two densities at different points",
            "You evaluate log q at one point and log p at another. Both belong to the same z, which q has drawn.",
            of_densities(lambda z, mu, log_var, eps: log_normal(z, mu, (log_var / 2).exp()) - log_prior(eps)),
            of_densities(lambda z, mu, log_var, eps: log_normal(eps, mu, (log_var / 2).exp()) - log_prior(z)),
        ),
        Mistake(
            "log σ missing in log q",
            "What you subtract log p(z) from is the density of the noise. z is the noise stretched by σ: what does "
            "stretching do to a density? Let σ be tiny: how dense are the draws around mu?",
            of_densities(lambda z, mu, log_var, eps: log_prior(eps) - log_prior(z)),
        ),
        Mistake(
            "one of the two log-densities only",
            "Your numbers come from one of the two densities alone. Where q is the prior, the KL is 0: what does your "
            "function give there?",
            of_densities(lambda z, mu, log_var, eps: -log_prior(z)),
            of_densities(lambda z, mu, log_var, eps: log_prior(z)),
            of_densities(lambda z, mu, log_var, eps: log_normal(z, mu, (log_var / 2).exp())),
            of_densities(lambda z, mu, log_var, eps: -log_normal(z, mu, (log_var / 2).exp())),
        ),
        Mistake(
            "the closed form as the estimate",
            "Your first number is the closed form. The task asks for the average over the draws; the closed form can "
            "tell you how far off that average is.",
            with_estimate(closed_form),
            lambda mu, log_var, eps: (
                closed_form(eps, mu, log_var),
                distance_to_closed_form(log_ratios_of_draws(mu, log_var, eps), mu, log_var),
            ),
            lambda mu, log_var, eps: (closed_form(eps, mu, log_var), torch.tensor(0.0)),
        ),
        Mistake(
            "the distance to the closed form as the error",
            "Your second number is how far the estimate is from the closed form. Where there is no formula you cannot "
            "know it. What do the draws themselves say about how far their mean may be off?",
            lambda mu, log_var, eps: (
                log_ratios_of_draws(mu, log_var, eps).mean(),
                distance_to_closed_form(log_ratios_of_draws(mu, log_var, eps), mu, log_var),
            ),
        ),
        Mistake(
            "not the log-ratio itself averaged",
            "You average another function of the densities than log q(z) − log p(z), or change the average afterwards. "
            "Single log-ratios may be negative; their plain mean is asked for.",
            of_draws(lambda ratio: (-ratio).exp() - 1 + ratio),
            of_draws(lambda ratio: ratio.exp() - 1 - ratio),
            of_draws(lambda ratio: ratio**2 / 2),
            of_draws(torch.abs),
            of_draws(torch.exp),
            of_draws(lambda ratio: ratio.exp() * ratio),
            of_draws(lambda ratio: ratio.clamp(min=0)),
            with_estimate(lambda draws, mu, log_var: draws.exp().mean().log()),
            with_estimate(lambda draws, mu, log_var: -(-draws).exp().mean().log()),
            with_estimate(lambda draws, mu, log_var: draws.exp().mean()),
            of_densities(lambda z, mu, log_var, eps: log_normal(z, mu, (log_var / 2).exp()) / log_prior(z)),
            of_densities(lambda z, mu, log_var, eps: log_ratios(z, mu, log_var) * log_prior(eps).exp()),
        ),
        Mistake(
            "forgot √N in the standard error",
            "Your estimate is right. The second number is the spread of single draws; how far is the mean of "
            "N draws from the truth?",
            with_error(lambda draws, latents: draws.std()),
            with_error(lambda draws, latents: draws.std(correction=0)),
        ),
        Mistake(
            "standard error divided by N, not √N",
            "Your estimate is right. Four times as many draws halve the standard error; yours falls to a quarter.",
            with_error(lambda draws, latents: draws.std() / len(draws)),
            with_error(lambda draws, latents: draws.std(correction=0) / len(draws)),
        ),
        Mistake(
            "a variance as the standard error",
            "Your estimate is right. The second number is made from a variance, so that its unit is nats². An error of "
            "the estimate is in nats.",
            with_error(lambda draws, latents: draws.var()),
            with_error(lambda draws, latents: draws.var() / len(draws)),
            with_error(lambda draws, latents: draws.var() / math.sqrt(len(draws))),
            with_error(lambda draws, latents: draws.var(correction=0)),
            with_error(lambda draws, latents: draws.var(correction=0) / len(draws)),
        ),
        Mistake(
            "N − 1 below the root as well",
            "Your estimate is right. N − 1 belongs in the standard deviation of the draws. The root is that of the "
            "number of draws averaged: how many are they?",
            with_error(lambda draws, latents: draws.std() / math.sqrt(len(draws) - 1)),
        ),
        Mistake(
            "latents counted as draws",
            "Your estimate is right. In the second number you divide by a count that has to do with the latents. How "
            "many independent numbers are averaged?",
            with_error(lambda draws, latents: draws.std() / math.sqrt(latents)),
            with_error(lambda draws, latents: draws.std() / math.sqrt(latents * len(draws))),
            with_error(lambda draws, latents: draws.std() / latents),
        ),
        Mistake(
            "scatter of single latents",
            "Your estimate is right. For its error you take the scatter of single latents. Each draw of z gives *one* "
            "log-ratio, summed over the latents: how much do these N numbers scatter?",
            with_error_of_latents(lambda single: (single.std(0) / math.sqrt(len(single))).sum()),
            with_error_of_latents(lambda single: (single.var(0) / len(single)).sum().sqrt()),
            with_error_of_latents(lambda single: (single.std(0) / math.sqrt(len(single))).mean()),
            with_error_of_latents(lambda single: (single.std(0) / math.sqrt(len(single))).norm()),
            with_error_of_latents(lambda single: single.std() / math.sqrt(len(single))),
            with_error_of_latents(lambda single: single.std() / math.sqrt(single.numel())),
            with_error_of_latents(lambda single: single.std()),
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
            with_error(lambda draws, latents: draws.std(correction=0) / math.sqrt(len(draws))),
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


def variance_between(weights, means, centre=None):
    """Variance of the parts' means, around their mean or another centre."""
    centre = mean_of_mixture(weights, means) if centre is None else centre
    return (weights * (means - centre) ** 2).sum()


def total_variance(weights, means, variances):
    return variance_within(weights, variances) + variance_between(weights, means)


def with_variance(variance):
    """Return an answer with the right mean, and variance(weights, means, variances) as its second number."""
    return lambda w, m, v: (mean_of_mixture(w, m), variance(w, m, v))


def like_part(choose):
    """Return an answer that takes over the part that choose(weights, variances) names."""
    return lambda w, m, v: (m[choose(w, v)], v[choose(w, v)])


def around_heaviest(w, m, v):
    centre = m[w.argmax()]
    return centre, variance_within(w, v) + variance_between(w, m, centre)


def mean_by_precision(weights, means, variances):
    return (weights / variances * means).sum() / (weights / variances).sum()


CLOSEST_NORMAL = Task(
    name="kl/closest_normal",
    draw=draw_closest_normal,
    reference=closest_normal,
    mistakes=(
        Mistake(
            "only the spread within the parts",
            "Your variance is the average of the parts' variances. Let the parts be narrow and far apart: how "
            "wide must a Gaussian be that covers them all?",
            with_variance(lambda w, m, v: variance_within(w, v)),
        ),
        Mistake(
            "only the spread between the parts",
            "Your variance is that of the parts' means. Let the means coincide: is the mixture then a point?",
            with_variance(lambda w, m, v: variance_between(w, m)),
        ),
        Mistake(
            "one part in place of all",
            "Your mean is that of one part. A q that follows one part is what KL(q ‖ p) rewards; here it is KL(p ‖ q), "
            "which pays wherever p has mass and q has none.",
            like_part(lambda w, v: w.argmax()),
            like_part(lambda w, v: v.argmin()),
            like_part(lambda w, v: (w / v.sqrt()).argmax()),
            like_part(lambda w, v: v.argmax()),
            around_heaviest,
            lambda w, m, v: (m[w.argmax()], total_variance(w, m, v)),
        ),
        Mistake(
            "weights forgotten",
            "Somewhere you treat all parts alike. They occur with different probabilities: this counts for the mean, "
            "for the spread within the parts and for the spread between them.",
            lambda w, m, v: (m.mean(), v.mean() + m.var(correction=0)),
            lambda w, m, v: (m.mean(), v.mean() + m.var()),
            lambda w, m, v: (m.mean(), v.mean()),
            lambda w, m, v: (m.mean(), variance_within(w, v) + variance_between(w, m, m.mean())),
            lambda w, m, v: (m.mean(), total_variance(w, m, v)),
            with_variance(lambda w, m, v: v.mean() + m.var(correction=0)),
            with_variance(lambda w, m, v: variance_within(w, v) + ((m - mean_of_mixture(w, m)) ** 2).mean()),
            with_variance(lambda w, m, v: v.mean() + ((m - mean_of_mixture(w, m)) ** 2).mean()),
            with_variance(lambda w, m, v: v.mean() + m.var()),
            with_variance(lambda w, m, v: variance_within(w, v) + m.var(correction=0)),
            with_variance(lambda w, m, v: variance_within(w, v) + m.var()),
            with_variance(lambda w, m, v: v.mean() + variance_between(w, m)),
            with_variance(lambda w, m, v: variance_within(w, v) + variance_between(w, m, m.mean())),
            with_variance(lambda w, m, v: v.mean()),
            with_variance(lambda w, m, v: v.sum()),
            with_variance(lambda w, m, v: v.sum() + variance_between(w, m)),
        ),
        Mistake(
            "precisions averaged",
            "You average precisions, 1 / variance, as one does when Gaussians are multiplied. A mixture is a sum of "
            "densities: which share of its draws comes from a wide part?",
            lambda w, m, v: (mean_by_precision(w, m, v), 1 / (w / v).sum()),
            lambda w, m, v: (mean_by_precision(1.0, m, v), 1 / (1 / v).sum()),
            lambda w, m, v: (mean_by_precision(1.0, m, v), 1 / (1 / v).mean()),
            lambda w, m, v: (mean_by_precision(w, m, v), total_variance(w, m, v)),
            lambda w, m, v: (
                mean_by_precision(w, m, v),
                variance_within(w, v) + variance_between(w, m, mean_by_precision(w, m, v)),
            ),
            lambda w, m, v: (mean_by_precision(w, m, v), variance_within(w, v)),
            with_variance(lambda w, m, v: 1 / (w / v).sum()),
            with_variance(lambda w, m, v: 1 / (w / v).sum() + variance_between(w, m)),
        ),
        Mistake(
            "standard deviation for variance",
            "Your mean is right, and the second number is the standard deviation; asked is the variance.",
            with_variance(lambda w, m, v: total_variance(w, m, v).sqrt()),
        ),
        Mistake(
            "standard deviations averaged",
            "Within the parts you average standard deviations. Let the means coincide: what is then E[(z − mean)²] of "
            "a mixture of a narrow and a wide part?",
            with_variance(lambda w, m, v: variance_within(w, v.sqrt()) ** 2 + variance_between(w, m)),
            with_variance(lambda w, m, v: variance_within(w, v.sqrt()) ** 2),
            with_variance(lambda w, m, v: variance_within(w, v.sqrt()) + variance_between(w, m)),
            with_variance(lambda w, m, v: variance_within(w, v.sqrt())),
        ),
        Mistake(
            "variances squared",
            "You square the parts' variances, as if they were standard deviations.",
            with_variance(lambda w, m, v: variance_within(w, v**2) + variance_between(w, m)),
            with_variance(lambda w, m, v: variance_within(w, v**2)),
        ),
        Mistake(
            "weights squared",
            "You square the weights, as in the variance of a weighted sum of Gaussians. A mixture draws from one part "
            "at a time: how often does each part's spread count?",
            with_variance(lambda w, m, v: (w**2 * v).sum()),
            with_variance(lambda w, m, v: (w**2 * v).sum() + variance_between(w, m)),
            with_variance(lambda w, m, v: (w**2 * (v + (m - mean_of_mixture(w, m)) ** 2)).sum()),
        ),
        Mistake(
            "forgot to subtract the squared mean",
            "Your second number is E[z²]. The variance is measured from the mean.",
            with_variance(lambda w, m, v: (w * (v + m**2)).sum()),
        ),
        Mistake(
            "the mean taken off without its square",
            "From E[z²] you take off something that is no square. Move all parts by the same distance: the variance "
            "must stay the same. Does yours?",
            with_variance(lambda w, m, v: (w * (v + m**2)).sum() - mean_of_mixture(w, m)),
            with_variance(lambda w, m, v: (w * (v + m**2)).sum() - mean_of_mixture(w, m).abs()),
        ),
        Mistake(
            "the spread between the parts counted wrongly",
            "Your mean is right, and your variance is right where all means are equal. Take two narrow parts of equal "
            "weight at −3 and 3: how far is a draw from the mean, and what is the mean of its square?",
            with_variance(lambda w, m, v: variance_within(w, v) - variance_between(w, m)),
            with_variance(lambda w, m, v: variance_within(w, v) + variance_between(w, m).sqrt()),
            with_variance(lambda w, m, v: variance_within(w, v) + (w * (m - mean_of_mixture(w, m)).abs()).sum()),
            with_variance(lambda w, m, v: variance_within(w, v) + variance_between(w, m) * len(w) / (len(w) - 1)),
            with_variance(lambda w, m, v: variance_within(w, v) + ((m - mean_of_mixture(w, m)) ** 2).sum()),
            with_variance(lambda w, m, v: variance_within(w, v) + 2 * variance_between(w, m)),
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


def average_kl(table, prior):
    """The average KL to the prior."""
    return kl_of_rows(table, prior).mean()


def with_information(first):
    """Return an answer with the right second number, and first(table, prior) as its first."""
    return lambda table, prior: (first(table, prior), mismatch(table, prior))


def with_mismatch(second):
    """Return an answer with the right mutual information, and second(table, prior) as its second number."""
    return lambda table, prior: (information(table), second(table, prior))


SPLIT = Task(
    name="kl/split",
    draw=draw_split,
    reference=split,
    mistakes=(
        Mistake(
            "average KL for mutual information",
            "Your first number is the average KL to the prior: the sum of both numbers asked for. Mutual "
            "information compares each q(z|x) with the mixture q(z).",
            with_information(average_kl),
            lambda table, prior: (average_kl(table, prior), information(table)),
            lambda table, prior: (average_kl(table, prior), average_kl(table, prior)),
        ),
        Mistake(
            "average KL for KL(q(z) ‖ p(z))",
            "Your second number is the average KL to the prior: the sum of both numbers asked for. Which single "
            "distribution has to be near the prior if codes are drawn from the prior?",
            with_mismatch(average_kl),
        ),
        Mistake(
            "a wrong second number taken off the total",
            "Your two numbers add up to the average KL, so one fault spoils both. Look at the second: over which "
            "distribution does its average run, and which of the two stands in the denominator?",
            *(
                lambda table, prior, second=second: (
                    average_kl(table, prior) - second(table, prior),
                    second(table, prior),
                )
                for second in (
                    lambda table, prior: kl_of_rows(prior, table.mean(0)),
                    lambda table, prior: -(table.mean(0) * prior.log()).sum(),
                )
            ),
        ),
        Mistake(
            "the two numbers exchanged",
            "Both numbers are right, but in the other order: mutual information first.",
            lambda table, prior: (mismatch(table, prior), information(table)),
        ),
        Mistake(
            "KL(p(z) ‖ q(z))",
            "Your mutual information is right. In the other number the expectation should run over q(z).",
            with_mismatch(lambda table, prior: kl_of_rows(prior, table.mean(0))),
            with_mismatch(lambda table, prior: -kl_of_rows(prior, table.mean(0))),
            with_mismatch(lambda table, prior: kl_of_rows(prior, table).mean()),
        ),
        Mistake(
            "cross-entropy for KL(q(z) ‖ p(z))",
            "Your mutual information is right. The other number is a cross-entropy: where q(z) equals the prior the KL "
            "is 0, and yours is not.",
            with_mismatch(lambda table, prior: -(table.mean(0) * prior.log()).sum()),
        ),
        Mistake(
            "prior not used",
            "Your mutual information is right. The other number does not depend on p_z. Change the prior: what should "
            "happen to it?",
            with_mismatch(lambda table, prior: math.log(len(prior)) - entropy(table.mean(0))),
            with_mismatch(lambda table, prior: entropy(table.mean(0))),
        ),
        Mistake(
            "summed over the pictures",
            "Your mutual information is too large by the number of pictures. Each picture has probability 1/N.",
            with_information(lambda table, prior: kl_of_rows(table, table.mean(0)).sum()),
        ),
        Mistake(
            "one number for each picture",
            "Your first result has a number for each picture. The mutual information is one number, an average over "
            "the pictures.",
            with_information(lambda table, prior: kl_of_rows(table, table.mean(0))),
        ),
        Mistake(
            "1/N forgotten",
            "A factor 1/N is missing somewhere. Does your q(z) sum to 1? If you use the joint probabilities of x and "
            "z: do they, and what is the probability of one picture?",
            lambda table, prior: (kl_of_rows(table, table.sum(0)).mean(), kl_of_rows(table.sum(0), prior)),
            lambda table, prior: (kl_of_rows(table, table.sum(0)).sum(), kl_of_rows(table.sum(0), prior)),
            with_information(lambda table, prior: kl_of_rows(table, table.sum(0)).mean()),
            with_information(lambda table, prior: kl_of_rows(table, table.sum(0)).sum()),
            with_mismatch(lambda table, prior: kl_of_rows(table.sum(0), prior)),
        ),
        Mistake(
            "weights of q(z) for mutual information",
            "In your first number the log-ratios are weighted by q(z). They compare the right distributions; but z is "
            "drawn from q(z|x).",
            with_information(lambda table, prior: kl_of_rows(table.mean(0), table).mean()),
            with_information(lambda table, prior: -kl_of_rows(table.mean(0), table).mean()),
        ),
        Mistake(
            "a single entropy for mutual information",
            "Your first number is one entropy, of q(z) or of the rows, perhaps with its sign changed. How uncertain is "
            "z before you know the picture, and how uncertain afterwards? You need both.",
            with_information(lambda table, prior: entropy(table.mean(0))),
            with_information(lambda table, prior: entropy(table) / len(table)),
            with_information(lambda table, prior: -entropy(table) / len(table)),
            with_information(lambda table, prior: -entropy(table.mean(0))),
        ),
        Mistake(
            "entropy of another distribution than q(z)",
            "Your first number is a difference of two entropies, but the first is not that of q(z). Before the picture "
            "is known, how is z distributed?",
            with_information(lambda table, prior: entropy(prior) - entropy(table) / len(table)),
            with_information(lambda table, prior: math.log(len(prior)) - entropy(table) / len(table)),
        ),
        Mistake(
            "pictures compared with each other",
            "You compare the pictures' distributions pair by pair. Mutual information compares each with one "
            "distribution, the mixture q(z).",
            with_information(lambda table, prior: kl_of_rows(table[:, None], table).mean()),
            with_information(
                lambda table, prior: kl_of_rows(table[:, None], table).sum() / len(table) / (len(table) - 1)
            ),
        ),
        Mistake(
            "logarithms averaged for q(z)",
            "You average logarithms of the rows to get q(z). A mixture is the mean of the probabilities themselves.",
            lambda table, prior: (
                kl_of_rows(table, table.log().mean(0).softmax(0)).mean(),
                kl_of_rows(table.log().mean(0).softmax(0), prior),
            ),
            lambda table, prior: (
                kl_of_rows(table, table.log().mean(0).exp()).mean(),
                kl_of_rows(table.log().mean(0).exp(), prior),
            ),
        ),
    ),
)

TASKS = (DISCRETE, STANDARD_NORMAL, NORMALS, ESTIMATE, CLOSEST_NORMAL, SPLIT)
