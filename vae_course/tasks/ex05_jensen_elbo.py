"""The tasks of exercise 05, Jensen's inequality and the ELBO."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from scipy.special import log_expit, logsumexp, rel_entr
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform, wide
from vae_course.visible.callables import (
    AsIfUniform,
    BestState,
    ElboPerPixel,
    Joint,
    LargestWeight,
    Lifted,
    LikelyStates,
    Linear,
    LogPowerMean,
    MidWay,
    MostProbableState,
    WeightedElbo,
)
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]


def probabilities(rng, *shape):
    """Draw rows of probabilities, none of which is zero."""
    weights = rng.integers(1, 9, size=shape).astype(float)
    return torch.tensor(weights / weights.sum(-1, keepdims=True), dtype=torch.float32)


def log_mean_exp(log_w):
    """Return the log of the mean of exp(log_w) over the first axis."""
    return log_w.logsumexp(0) - math.log(len(log_w))


# elbo/jensen_gap(weights, values)


def draw_jensen_gap(rng):
    """Draw one small value among larger values, so that the gap is large and the rule of thumb far off."""
    size = int(rng.integers(2, 6))
    return {
        "weights": probabilities(rng, size),
        "values": torch.cat(
            [rounded_uniform(rng, 1, low=0.05, high=0.3), rounded_uniform(rng, size - 1, low=0.5, high=4.0)]
        ),
    }


def jensen_gap(weights, values):
    """Compute log E[X] − E[log X] as the log of the arithmetic mean over the geometric mean."""
    weights, values = np.asarray(weights), np.asarray(values)
    geometric = np.prod(values**weights)
    return np.log(np.average(values, weights=weights) / geometric)


def log_of_mean(weights, values):
    return (weights * values).sum().log()


def mean_of_logs(weights, values):
    return (weights * values.log()).sum()


def gap_with(weigh):
    """Return an answer with log E[X] − E[log X] for other weights than the right ones, weigh(weights)."""
    return lambda w, v: log_of_mean(weigh(w), v) - mean_of_logs(weigh(w), v)


def of_spread(rule):
    """Return an answer that applies rule(variance, mean) to the values."""

    def answer(weights, values):
        mean = (weights * values).sum()
        return rule((weights * (values - mean) ** 2).sum(), mean)

    return answer


JENSEN_GAP = Task(
    name="elbo/jensen_gap",
    draw=draw_jensen_gap,
    reference=jensen_gap,
    mistakes=(
        Mistake(
            "sign flipped",
            "Your gap is never positive. Take 0.2 and 0.8 with equal weights: which of the two numbers is the larger?",
            lambda w, v: mean_of_logs(w, v) - log_of_mean(w, v),
        ),
        Mistake(
            "weights forgotten",
            "Somewhere all values count the same. They occur with different probabilities, in both of the means.",
            lambda w, v: v.mean().log() - v.log().mean(),
            lambda w, v: v.mean().log() - mean_of_logs(w, v),
            lambda w, v: log_of_mean(w, v) - v.log().mean(),
            lambda w, v: v.sum().log() - v.log().sum(),
            lambda w, v: log_of_mean(w, v) - v.log().sum(),
            lambda w, v: v.sum().log() - mean_of_logs(w, v),
            lambda w, v: v.log().mean() - v.mean().log(),
        ),
        Mistake(
            "only one of the two numbers",
            "That is one of the two numbers, perhaps with its sign changed. The gap is how far apart they are: with "
            "all weight on one value it must be zero.",
            log_of_mean,
            mean_of_logs,
            lambda w, v: -mean_of_logs(w, v),
            lambda w, v: -log_of_mean(w, v),
        ),
        Mistake(
            "added, not subtracted",
            "You add the two numbers. The gap is how far apart they are: with all weight on one value it must be zero.",
            lambda w, v: log_of_mean(w, v) + mean_of_logs(w, v),
        ),
        Mistake(
            "divided by the number of values as well",
            "The weights sum to 1 already, so that a weighted sum is a mean. What does your function give for "
            "equal values?",
            lambda w, v: (w * v).mean().log() - (w * v.log()).mean(),
            lambda w, v: (w * v).mean().log() - mean_of_logs(w, v),
            lambda w, v: log_of_mean(w, v) - (w * v.log()).mean(),
        ),
        Mistake(
            "weights inside the logarithm",
            "In E[log X] the logarithm is of the value alone. The probability says how often that logarithm counts.",
            lambda w, v: log_of_mean(w, v) - (w * v).log().sum(),
            lambda w, v: log_of_mean(w, v) - (w * v).log().mean(),
            lambda w, v: log_of_mean(w, v) - (w * (w * v).log()).sum(),
            lambda w, v: log_of_mean(w, v) - (w * (v / w).log()).sum(),
        ),
        Mistake(
            "a rule of thumb for the gap",
            "You compute the gap from a variance, as the rule of thumb does. It is good for small variations only. "
            "These values vary a lot, and the gap itself is no harder to compute.",
            of_spread(lambda variance, mean: variance / (2 * mean**2)),
            of_spread(lambda variance, mean: variance / 2),
            of_spread(lambda variance, mean: variance / mean**2),
            of_spread(lambda variance, mean: variance / (2 * mean)),
            lambda w, v: (w * (v.log() - mean_of_logs(w, v)) ** 2).sum() / 2,
        ),
        Mistake(
            "a logarithm forgotten",
            "One of your two means has no logarithm, or neither has. Does the gap vanish when all values are 3? And "
            "when all are 3 but for one?",
            lambda w, v: (w * v).sum() - mean_of_logs(w, v),
            lambda w, v: log_of_mean(w, v) - (w * v).sum(),
            lambda w, v: (w * v).sum() - v.mean(),
        ),
        Mistake(
            "means compared, not their logarithms",
            "You compare the arithmetic mean with the geometric mean itself. The gap is a difference of logarithms, "
            "in nats.",
            lambda w, v: (w * v).sum() - mean_of_logs(w, v).exp(),
            lambda w, v: (w * v).sum() / mean_of_logs(w, v).exp(),
        ),
        Mistake(
            "ratio for difference",
            "You divided one number by the other. The gap is in nats: it is a difference of logarithms.",
            lambda w, v: log_of_mean(w, v) / mean_of_logs(w, v),
            lambda w, v: mean_of_logs(w, v) / log_of_mean(w, v),
        ),
        Mistake(
            "log(1 + x) for log x",
            "You take the logarithm of more than the value: log1p(x) is log(1 + x). The values are positive: their own "
            "logarithm exists.",
            lambda w, v: log_of_mean(w, v + 1) - mean_of_logs(w, v + 1),
            lambda w, v: log_of_mean(w, v) - mean_of_logs(w, v + 1),
            lambda w, v: log_of_mean(w, v + 1) - mean_of_logs(w, v),
        ),
        Mistake(
            "logsumexp of the values",
            "logsumexp takes the exponential of its argument first. You pass the values; of what would they have to be "
            "the exponential?",
            lambda w, v: (w * v).logsumexp(0) - mean_of_logs(w, v),
            lambda w, v: (w.log() + v).logsumexp(0) - mean_of_logs(w, v),
            lambda w, v: (w * v.log()).logsumexp(0) - mean_of_logs(w, v),
        ),
        Mistake(
            "one number for each value",
            "You return a number for each value. The gap is one number: what do the probabilities still do?",
            lambda w, v: w * (log_of_mean(w, v) - v.log()),
            lambda w, v: log_of_mean(w, v) - v.log(),
            lambda w, v: log_of_mean(w, v) - w * v.log(),
        ),
        Mistake(
            "softmax of probabilities",
            "Your weights went through softmax, but they are probabilities already. What does softmax make of (1, 0)?",
            gap_with(lambda w: w.softmax(0)),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda w, v: (log_of_mean(w, v) - mean_of_logs(w, v)) / math.log(2),
        ),
    ),
)


# elbo/exact(p_z, p_x_given_z, q_z_given_x)


def draw_exact(rng):
    """Draw more states than pictures, so that a sum along the wrong axis shows in the shape."""
    pictures = int(rng.integers(1, 4))
    states = pictures + int(rng.integers(1, 3))
    return {
        "p_z": probabilities(rng, states),
        "p_x_given_z": rounded_uniform(rng, pictures, states, low=0.02, high=0.6),
        "q_z_given_x": probabilities(rng, pictures, states),
    }


def exact(p_z, p_x_given_z, q_z_given_x):
    """Compute KL(q ‖ p(z|x)), and the ELBO as log p(x) minus that KL (lesson 05, section 4)."""
    p_z, likelihood, q = (np.asarray(value) for value in (p_z, p_x_given_z, q_z_given_x))
    evidence = likelihood @ p_z
    difference = rel_entr(q, likelihood * p_z / evidence[:, None]).sum(1)
    return np.log(evidence) - difference, difference


def discrete_kl(q, p):
    return (q * (q / p).log()).sum(-1)


def posterior(p_z, likelihood):
    return p_z * likelihood / (p_z * likelihood).sum(-1, keepdim=True)


def exact_elbo(p_z, likelihood, q):
    return (q * (p_z * likelihood / q).log()).sum(-1)


def exact_gap(p_z, likelihood, q):
    return discrete_kl(q, posterior(p_z, likelihood))


def with_right_elbo(second):
    """Return an answer with the right first result and `second(...)` as its second."""
    return lambda p_z, likelihood, q: (exact_elbo(p_z, likelihood, q), second(p_z, likelihood, q))


def with_right_gap(first):
    """Return an answer with the right second result and `first(...)` as its first."""
    return lambda p_z, likelihood, q: (first(p_z, likelihood, q), exact_gap(p_z, likelihood, q))


def wrong_elbo(*firsts):
    """Return answers with each of these first results, and as the second the right gap or log p(x) minus the first."""
    return *map(with_right_gap, firsts), *map(with_gap_by_difference, firsts)


def with_gap_by_difference(first):
    """Return an answer with `first(...)`, and log p(x) minus it as the second result."""

    def answer(*inputs):
        found = first(*inputs)
        return found, log_evidence(*inputs) - found

    return answer


def log_evidence(p_z, likelihood, q):
    return (p_z * likelihood).sum(-1).log()


def reconstruction(p_z, likelihood, q):
    return (q * likelihood.log()).sum(-1)


def log_w(p_z, likelihood, q):
    return (p_z * likelihood / q).log()


def entropy(q):
    return -(q * q.log()).sum(-1)


EXACT = Task(
    name="elbo/exact",
    draw=draw_exact,
    reference=exact,
    mistakes=(
        Mistake(
            "KL(p(z|x) ‖ q) for the gap",
            "Your second number has the right two distributions in the wrong order. In the ELBO, which distribution is "
            "z drawn from?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(posterior(p_z, likelihood), q)),
            lambda p_z, likelihood, q: (
                log_evidence(p_z, likelihood, q) - discrete_kl(posterior(p_z, likelihood), q),
                discrete_kl(posterior(p_z, likelihood), q),
            ),
        ),
        Mistake(
            "KL to the prior for the gap",
            "Your second number is the KL to the prior. That one is a part of the ELBO; the gap is a KL to another "
            "distribution. Which q would make the bound tight?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, p_z)),
            lambda p_z, likelihood, q: (reconstruction(p_z, likelihood, q), discrete_kl(q, p_z)),
        ),
        Mistake(
            "gap with the wrong sign",
            "Your ELBO is right. The gap comes out negative, as if the ELBO could exceed log p(x).",
            with_right_elbo(lambda *inputs: -exact_gap(*inputs)),
        ),
        Mistake(
            "posterior not normalised over the states",
            "Your ELBO is right. Your posterior is not: p(z|x) has to sum to 1 over the states, for each picture by "
            "itself.",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, p_z * likelihood)),
            with_right_elbo(
                lambda p_z, likelihood, q: discrete_kl(q, p_z * likelihood / (p_z * likelihood).sum(0)),
            ),
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, p_z * likelihood / (p_z * likelihood).sum())),
            with_right_elbo(
                lambda p_z, likelihood, q: discrete_kl(q, p_z * likelihood / likelihood.sum(-1, keepdim=True)),
            ),
        ),
        Mistake(
            "prior forgotten in the posterior",
            "Your posterior is made from the likelihood alone. What does Bayes' rule "
            "say of a state that explains the picture well and hardly ever occurs?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, likelihood / likelihood.sum(-1, keepdim=True))),
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, likelihood)),
            lambda p_z, likelihood, q: (
                (q * (likelihood / q).log()).sum(-1),
                discrete_kl(q, likelihood / likelihood.sum(-1, keepdim=True)),
            ),
        ),
        Mistake(
            "log p(x) for the gap",
            "Your second number is log p(x), perhaps with its sign changed. The gap is how far the ELBO lies below it.",
            with_right_elbo(log_evidence),
            with_right_elbo(lambda *inputs: -log_evidence(*inputs)),
        ),
        Mistake(
            "a term of the ELBO for the gap",
            "Your second number is what the reconstruction lacks, or a term of the ELBO. What has to be added to the "
            "whole ELBO to reach log p(x)?",
            with_right_elbo(lambda *inputs: log_evidence(*inputs) - reconstruction(*inputs)),
            with_right_elbo(reconstruction),
            with_right_elbo(lambda *inputs: -reconstruction(*inputs)),
        ),
        Mistake(
            "a logarithm forgotten in the gap",
            "Your ELBO is right. In the other KL one of the two distributions stands without its logarithm. If you use "
            "`F.kl_div`: in which form does it expect its first argument?",
            with_right_elbo(
                lambda p_z, likelihood, q: -entropy(q) - (q * posterior(p_z, likelihood)).sum(-1),
            ),
            with_right_elbo(
                lambda p_z, likelihood, q: (
                    -entropy(posterior(p_z, likelihood)) - (q * posterior(p_z, likelihood)).sum(-1)
                ),
            ),
        ),
        Mistake(
            "cross-entropy for the gap",
            "Your ELBO is right. The other number is a cross-entropy: with q equal to the posterior it is not 0.",
            with_right_elbo(lambda p_z, likelihood, q: -(q * posterior(p_z, likelihood).log()).sum(-1)),
        ),
        Mistake(
            "KL added to the reconstruction",
            "In your first number a q far from the prior is rewarded. Set q to the posterior: does it give log p(x)?",
            *wrong_elbo(lambda p_z, likelihood, q: reconstruction(p_z, likelihood, q) + discrete_kl(q, p_z)),
        ),
        Mistake(
            "the KL to the prior taken off log p(x)",
            "Your first number is log p(x) less the KL to the prior. That KL belongs with another number, and another "
            "KL with log p(x). Set q to the posterior: what must come out?",
            *wrong_elbo(lambda p_z, likelihood, q: log_evidence(p_z, likelihood, q) - discrete_kl(q, p_z)),
        ),
        Mistake(
            "a factor of the weight forgotten",
            "Your first number is a mean over q of some logarithm, but not of log w: "
            "which factors does w have in its numerator, and what in its denominator?",
            *wrong_elbo(
                reconstruction,
                lambda p_z, likelihood, q: (q * (p_z * likelihood).log()).sum(-1),
                lambda p_z, likelihood, q: (q * (likelihood / q).log()).sum(-1),
                lambda p_z, likelihood, q: -discrete_kl(q, p_z),
                lambda p_z, likelihood, q: (q * (p_z * likelihood * q).log()).sum(-1),
                lambda p_z, likelihood, q: (q * (likelihood / p_z / q).log()).sum(-1),
                lambda p_z, likelihood, q: (q * (likelihood / p_z).log()).sum(-1),
            ),
        ),
        Mistake(
            "KL to the prior by a factor off",
            "The KL to the prior counts with another factor than 1 in your first number. Set q to the posterior: does "
            "it give log p(x)?",
            *wrong_elbo(
                lambda p_z, likelihood, q: reconstruction(p_z, likelihood, q) - discrete_kl(q, p_z) / 2,
                lambda p_z, likelihood, q: reconstruction(p_z, likelihood, q) - discrete_kl(q, p_z) * 2,
                lambda p_z, likelihood, q: reconstruction(p_z, likelihood, q) - discrete_kl(q, p_z) / q.shape[-1],
            ),
        ),
        Mistake(
            "KL(p(z) ‖ q) in the ELBO",
            "In your first number the KL between q and the prior has the wrong direction. Which of the two is z drawn "
            "from?",
            *wrong_elbo(lambda p_z, likelihood, q: reconstruction(p_z, likelihood, q) - discrete_kl(p_z, q)),
        ),
        Mistake(
            "not a mean over q",
            "In your first number the logarithms are not averaged with the weights q. In the ELBO z is drawn from q.",
            *wrong_elbo(
                lambda p_z, likelihood, q: (p_z * log_w(p_z, likelihood, q)).sum(-1),
                lambda p_z, likelihood, q: (p_z * likelihood * log_w(p_z, likelihood, q)).sum(-1),
                lambda p_z, likelihood, q: (posterior(p_z, likelihood) * log_w(p_z, likelihood, q)).sum(-1),
                lambda p_z, likelihood, q: log_w(p_z, likelihood, q).mean(-1),
                lambda p_z, likelihood, q: log_w(p_z, likelihood, q).sum(-1),
                lambda p_z, likelihood, q: (p_z * likelihood.log()).sum(-1),
                lambda p_z, likelihood, q: (p_z * likelihood.log()).sum(-1) - discrete_kl(q, p_z),
            ),
        ),
        Mistake(
            "log p(x) for the ELBO",
            "Your first number does not depend on q: it is log p(x) itself. What is left of it when the gap "
            "is taken away?",
            *wrong_elbo(log_evidence),
            lambda p_z, likelihood, q: (log_evidence(p_z, likelihood, q), exact_elbo(p_z, likelihood, q)),
        ),
        Mistake(
            "mean over z inside the logarithm",
            "You take the logarithm of a mean over z. In the ELBO the mean stands outside the logarithm.",
            *wrong_elbo(
                lambda p_z, likelihood, q: (q * likelihood).sum(-1).log() - discrete_kl(q, p_z),
                lambda p_z, likelihood, q: (q * likelihood).sum(-1).log(),
                lambda p_z, likelihood, q: log_evidence(p_z, likelihood, q) + entropy(q),
                lambda p_z, likelihood, q: (q * p_z * likelihood).sum(-1).log(),
                lambda p_z, likelihood, q: (q * p_z * likelihood).sum(-1).log() + entropy(q),
            ),
        ),
        Mistake(
            "p(x|z) made to sum to 1",
            "You divide p(x|z) by a sum. Over the states it need not sum to 1: it is a distribution over pictures, of "
            "which the table has only some.",
            lambda p_z, likelihood, q: (
                exact_elbo(p_z, likelihood / likelihood.sum(-1, keepdim=True), q),
                exact_gap(p_z, likelihood, q),
            ),
            lambda p_z, likelihood, q: (
                exact_elbo(p_z, likelihood / likelihood.sum(0), q),
                exact_gap(p_z, likelihood / likelihood.sum(0), q),
            ),
        ),
        Mistake(
            "the prior not used",
            "Your numbers do not depend on p_z. What should change where the prior hardly allows a state?",
            lambda p_z, likelihood, q: (
                exact_elbo(torch.full_like(p_z, 1 / len(p_z)), likelihood, q),
                exact_gap(torch.full_like(p_z, 1 / len(p_z)), likelihood, q),
            ),
        ),
        Mistake(
            "the ELBO as a loss",
            "Your first number has the wrong sign. The task asks for the ELBO, which one maximises, not for the loss.",
            *wrong_elbo(lambda *inputs: -exact_elbo(*inputs)),
            lambda *inputs: (-exact_elbo(*inputs), -exact_gap(*inputs)),
        ),
        Mistake(
            "the two numbers exchanged",
            "Both numbers are right, but in the other order: the ELBO comes first.",
            lambda *inputs: (exact_gap(*inputs), exact_elbo(*inputs)),
        ),
        Mistake(
            "one number for all pictures",
            "There should be two numbers for each picture, of shape (N,). You averaged or added over the pictures.",
            lambda *inputs: (exact_elbo(*inputs).mean(), exact_gap(*inputs).mean()),
            lambda *inputs: (exact_elbo(*inputs).sum(), exact_gap(*inputs).sum()),
        ),
        Mistake(
            "summed over the pictures",
            "You sum over the pictures, and have numbers for the states. Which axis of (N, K) counts the states?",
            lambda p_z, likelihood, q: (
                (q * log_w(p_z, likelihood, q)).sum(0),
                (q * (q / posterior(p_z, likelihood)).log()).sum(0),
            ),
            lambda p_z, likelihood, q: (
                (q * log_w(p_z, likelihood, q)).sum(0),
                (q * (q / (p_z * likelihood / (p_z * likelihood).sum(0))).log()).sum(0),
            ),
        ),
        Mistake(
            "not summed over the states",
            "You return a number for each picture and state. Both results are means over the states: which weights "
            "have they, and what is still to be added up?",
            lambda p_z, likelihood, q: (q * log_w(p_z, likelihood, q), q * (q / posterior(p_z, likelihood)).log()),
        ),
    ),
)


# elbo/k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x)


def draw_k_sample_bound(rng):
    """Draw a picture whose weights are zero in floating point, one whose weights differ too much, and a K unlike B."""
    draws = int(rng.integers(2, 6))
    pictures = int(rng.choice([size for size in range(3, 7) if size != draws]))
    log_likelihood = -2 + rounded_normal(rng, draws, pictures, scale=1.5)
    log_likelihood[:, 0] -= 1100  # a large picture
    log_likelihood[0, 1] -= 2500  # one draw of this picture is hopeless
    return {
        "log_p_x_given_z": log_likelihood,
        "log_p_z": -3 + rounded_normal(rng, draws, pictures),
        "log_q_z_given_x": -2 + rounded_normal(rng, draws, pictures),
    }


def k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x):
    """Compute the log of the mean weight: Burda, Grosse & Salakhutdinov 2016 (lesson 05, section 9)."""
    log_w = (log_p_x_given_z + log_p_z - log_q_z_given_x).numpy()
    return logsumexp(log_w, axis=0, b=1 / len(log_w))


def of_log_weights(bound):
    """Return an answer that applies `bound` to the right log-weights, (K, B)."""
    return lambda log_p_x_given_z, log_p_z, log_q: bound(log_p_x_given_z + log_p_z - log_q)


def shifted(shift):
    """Return an answer that adds shift(log w) before the exponential, and takes it off after the logarithm."""
    return of_log_weights(lambda log_w: (log_w + shift(log_w)).exp().mean(0).log() - shift(log_w))


def mean_weight_with(change):
    """Return an answer with the logarithm of change(the mean weight)."""
    return of_log_weights(lambda log_w: change(log_w.exp().mean(0)).log())


TINY = (1e-6, 1e-8, 1e-10, 1e-12, 1e-20, 1e-30)  # numbers that people add or clamp to, to avoid log 0

K_SAMPLE_BOUND = Task(
    name="elbo/k_sample_bound",
    draw=draw_k_sample_bound,
    reference=k_sample_bound,
    agree=Close(rtol=1e-6, atol=1e-3),  # a thousandth of a nat, for numbers near a thousand
    mistakes=(
        Mistake(
            "mean of the logs",
            "You average log-weights, which estimates the ELBO. In the K-sample bound the mean over draws "
            "stands inside the logarithm.",
            of_log_weights(lambda log_w: log_w.mean(0)),
        ),
        Mistake(
            "sum of the logs",
            "You add up log-weights. In the K-sample bound the mean over draws stands inside the logarithm.",
            of_log_weights(lambda log_w: log_w.sum(0)),
            of_log_weights(lambda log_w: log_w.sum(0) - math.log(len(log_w))),
        ),
        Mistake(
            "forgot log K",
            "You have the log of a sum; the bound has the log of a mean. With K equal weights w, what must come out?",
            of_log_weights(lambda log_w: log_w.logsumexp(0)),
        ),
        Mistake(
            "wrong correction for K",
            "Dividing the sum of the weights by K changes its logarithm, but not in this way. With K equal weights w, "
            "what must come out?",
            of_log_weights(lambda log_w: log_w.logsumexp(0) + math.log(len(log_w))),
            of_log_weights(lambda log_w: log_w.logsumexp(0) / len(log_w)),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - len(log_w)),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - math.log2(len(log_w))),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - math.log(len(log_w) - 1)),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - 2 * math.log(len(log_w))),
            of_log_weights(lambda log_w: log_w.logsumexp(0) / math.log(len(log_w))),
        ),
        Mistake(
            "the exponential became zero, or infinite",
            "For some picture the exponentials all became zero, or infinite: to a computer e to the power of −1100 is "
            "0. Adding something like 1e-8 does not help, for log 1e-8 is −18, and the picture costs over 1,000 nats. "
            "Which number has to be factored out, so that neither can happen to any of the pictures?",
            mean_weight_with(lambda weight: weight),
            *(mean_weight_with(lambda weight, tiny=tiny: weight + tiny) for tiny in TINY),
            *(mean_weight_with(lambda weight, tiny=tiny: weight.clamp(min=tiny)) for tiny in TINY),
            of_log_weights(lambda log_w: log_w.double().exp().mean(0).clamp(min=1e-300).log()),
            of_log_weights(lambda log_w: (log_w.double().exp().mean(0) + 1e-300).log()),
            shifted(lambda log_w: -log_w.max()),
            shifted(lambda log_w: -log_w.mean(0)),
            shifted(lambda log_w: -log_w.mean()),
            shifted(lambda log_w: -log_w.amin(0)),
            shifted(lambda log_w: 1000),
        ),
        Mistake(
            "largest weight not put back",
            "You factored out the largest weight, and it did not come back in the right way. A picture that costs "
            "1,100 nats should come out near −1100. Does it?",
            of_log_weights(lambda log_w: log_mean_exp(log_w - log_w.amax(0))),
            of_log_weights(lambda log_w: log_mean_exp(log_w - log_w.amax(0)) - log_w.amax(0)),
        ),
        Mistake(
            "only the largest weight",
            "You kept the largest weight alone. The others are smaller, but they count as well.",
            of_log_weights(lambda log_w: log_w.amax(0) - math.log(len(log_w))),
            of_log_weights(lambda log_w: log_w.amax(0)),
        ),
        Mistake(
            "one draw, or the middle one",
            "Your number is the log-weight of one draw of each picture. All draws count: their weights are averaged.",
            of_log_weights(lambda log_w: log_w[0]),
            of_log_weights(lambda log_w: log_w[-1]),
            of_log_weights(lambda log_w: log_w.median(0).values),
            of_log_weights(lambda log_w: log_w.amin(0)),
        ),
        Mistake(
            "a wrong sign in the weight",
            "Some log-density enters log w with the wrong sign. The weight is p(x, z) divided by q(z|x): which of the "
            "three multiply, and which divide?",
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z + log_p_z + log_q),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z - log_p_z + log_q),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z - log_p_z - log_q),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_q - log_p_x_given_z - log_p_z),
            lambda log_p_x_given_z, log_p_z, log_q: -log_mean_exp(log_q - log_p_x_given_z - log_p_z),
        ),
        Mistake(
            "a factor of the weight forgotten",
            "Your weight does not use all three log-densities. Its numerator is the joint density p(x, z). And as the "
            "draws come from q, not from the prior, what in the weight corrects for that?",
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z + log_p_z),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z - log_q),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_z - log_q),
        ),
        Mistake(
            "the factors averaged by themselves",
            "You average parts of the weight by themselves. The K-sample bound averages whole weights: for each draw "
            "the three densities belong together.",
            lambda a, b, c: log_mean_exp(a) + log_mean_exp(b) - log_mean_exp(c),
            lambda a, b, c: log_mean_exp(a) + (b - c).mean(0),
            lambda a, b, c: log_mean_exp(a) + log_mean_exp(b - c),
            lambda a, b, c: log_mean_exp(a + b) - log_mean_exp(c),
            lambda a, b, c: log_mean_exp(a + b) - c.mean(0),
            lambda a, b, c: (a + b).mean(0) - log_mean_exp(c),
            lambda a, b, c: (a + b).logsumexp(0) - log_mean_exp(c),
        ),
        Mistake(
            "the weights' own weighted mean",
            "You average with the normalised weights, as one does for the gradient. The bound is the log of the plain "
            "mean of the weights.",
            of_log_weights(lambda log_w: (log_w.softmax(0) * log_w).sum(0)),
            lambda a, b, c: ((a + b - c).softmax(0) * a).sum(0),
            of_log_weights(lambda log_w: (log_w.softmax(0) * log_w).sum(0) - math.log(len(log_w))),
        ),
        Mistake(
            "the bound as a loss",
            "Every number has the wrong sign. The task asks for the bound on log p(x), not for the loss.",
            of_log_weights(lambda log_w: -log_mean_exp(log_w)),
        ),
        Mistake(
            "pictures taken for draws",
            "You averaged over the pictures, or divided by their number. Which axis counts the draws in shape (K, B)?",
            of_log_weights(lambda log_w: log_mean_exp(log_w.T)),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - math.log(log_w.shape[1])),
            of_log_weights(lambda log_w: log_w.logsumexp(1) - math.log(len(log_w))),
            of_log_weights(lambda log_w: log_w.logsumexp(0) - math.log(log_w.numel())),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also averaged or added over the pictures.",
            of_log_weights(lambda log_w: log_mean_exp(log_w).mean()),
            of_log_weights(lambda log_w: log_mean_exp(log_w).sum()),
            of_log_weights(lambda log_w: log_w.mean()),
            of_log_weights(lambda log_w: log_mean_exp(log_w.flatten())),
        ),
    ),
)


# elbo/common_xi(m, s)


def draw_common_xi(rng):
    """Draw a margin far from zero and one near it, so that their own ξ differ from the common ξ."""
    size = int(rng.integers(2, 6))
    first = torch.cat([rounded_uniform(rng, 1, low=2.0, high=4.0), rounded_uniform(rng, 1, low=-1.0, high=1.0)])
    return {
        "m": torch.cat([first, rounded_normal(rng, size - 2, scale=2.0)]),
        "s": rounded_uniform(rng, size, low=0.3, high=1.5),
    }


def common_xi(m, s):
    """Compute ξ² as the mean of E[t²], and the bound as the tangent in t² (Jaakkola & Jordan 2000)."""
    m, s = np.asarray(m), np.asarray(s)
    xi = np.linalg.norm(np.concatenate([m, s])) / np.sqrt(len(m))
    touching = log_expit(xi) - xi / 2 + m / 2  # the tangent in t², at t = xi
    return xi, touching + (0.5 - 1 / (1 + np.exp(-xi))) / (2 * xi) * (m**2 + s**2 - xi**2)


def best_xi(m, s):
    return (m**2 + s**2).mean().sqrt()


def quadratic_term(second_moment, xi):
    """Compute λ(ξ) (E[t²] − ξ²), with λ(ξ) = tanh(ξ/2) / (4ξ)."""
    return torch.tanh(xi / 2) / (4 * xi) * (second_moment - xi**2)


def expected_bound(m, second_moment, xi):
    """Compute the bound on E[log σ(t)] for E[t] = m and E[t²] = second_moment (lesson 05, section 17)."""
    return logsigmoid(xi) + (m - xi) / 2 - quadratic_term(second_moment, xi)


def with_xi(choose):
    """Return an answer with another ξ, and the right bounds for it."""

    def answer(m, s):
        xi = choose(m, s)
        return xi, expected_bound(m, m**2 + s**2, xi)

    return answer


def with_second_moment(moment):
    """Return an answer that uses moment(m, s) for E[t²], both in ξ and in the bounds."""

    def answer(m, s):
        xi = moment(m, s).mean().sqrt()
        return xi, expected_bound(m, moment(m, s), xi)

    return answer


def with_error_in_bound(error):
    """Return an answer with the right ξ, and with error(m, E[t²], ξ) added to the right bounds."""

    def answer(m, s):
        xi, second_moment = best_xi(m, s), m**2 + s**2
        return xi, expected_bound(m, second_moment, xi) + error(m, second_moment, xi)

    return answer


def mean_log_sigmoid(m, s):
    """E[log σ(t)] of each margin, by Gauss-Hermite quadrature."""
    nodes, weights = (torch.tensor(array, dtype=m.dtype) for array in np.polynomial.hermite_e.hermegauss(60))
    return logsigmoid(m[:, None] + s[:, None] * nodes) @ (weights / weights.sum())


COMMON_XI = Task(
    name="elbo/common_xi",
    draw=draw_common_xi,
    reference=common_xi,
    mistakes=(
        Mistake(
            "a ξ for each margin",
            "These would be the best of all, one for each margin. Here all margins have to share a single ξ.",
            with_xi(lambda m, s: (m**2 + s**2).sqrt()),
        ),
        Mistake(
            "bounds with a ξ for each margin",
            "Your ξ is right, but your bounds are those of margins that may each choose their own ξ. With the shared "
            "one the last term of the bound does not vanish.",
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2 + s**2, (m**2 + s**2).sqrt())),
        ),
        Mistake(
            "root forgotten",
            "Your ξ has the unit of a squared margin. Try a batch of one certain margin, s close to 0: where "
            "must the bound touch?",
            with_xi(lambda m, s: (m**2 + s**2).mean()),
            lambda m, s: (best_xi(m, s) ** 2, expected_bound(m, m**2 + s**2, best_xi(m, s))),
            with_xi(lambda m, s: (m**2 + s**2).sum()),
        ),
        Mistake(
            "mean taken before the square",
            "You square an average over the batch. Two margins, −3 and 3, would then look like one at 0.",
            with_xi(lambda m, s: (m.mean() ** 2 + (s**2).mean()).sqrt()),
            with_xi(lambda m, s: (m.mean() ** 2 + s.mean() ** 2).sqrt()),
            with_xi(lambda m, s: m.mean().abs()),
            with_xi(lambda m, s: ((m**2).mean() + s.mean() ** 2).sqrt()),
        ),
        Mistake(
            "uncertainty forgotten",
            "E[t²] of an uncertain margin is more than the square of its mean. What else is in it? Look at ξ and "
            "at the bound.",
            with_second_moment(lambda m, s: m**2),
            with_xi(lambda m, s: (m**2).mean().sqrt()),
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2, best_xi(m, s))),
            with_xi(lambda m, s: m.abs().mean()),
        ),
        Mistake(
            "standard deviation for variance",
            "You add a standard deviation to a squared mean, in ξ or in the bound. What does E[t²] hold besides m²?",
            with_second_moment(lambda m, s: m**2 + s),
            with_xi(lambda m, s: (m**2 + s).mean().sqrt()),
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2 + s, best_xi(m, s))),
        ),
        Mistake(
            "not where the derivative vanishes",
            "The derivative by ξ has to vanish, summed over the batch, and it depends on the margins only through "
            "E[t²]. What do the E[t²] − ξ² then have to add up to?",
            with_xi(lambda m, s: (m**2 + s**2).sqrt().mean()),
            with_xi(lambda m, s: (m**2 + s**2).sum().sqrt()),
            with_xi(lambda m, s: (m**2 + s**2).sqrt().sum()),
            with_xi(lambda m, s: (m**2 + s**2).sqrt().median()),
            with_xi(lambda m, s: (m**2 + s**2).sqrt().max()),
            with_xi(lambda m, s: (m**2 + s**2).sqrt().min()),
            with_xi(lambda m, s: ((m**2 + s**2).sum() / (len(m) - 1)).sqrt()),
            with_xi(lambda m, s: (1 / (m**2 + s**2)).mean() ** -0.5),
            with_xi(lambda m, s: (m**2 + s**2).sqrt().log().mean().exp()),
            with_xi(lambda m, s: (m**2 + s**2).sum() / (m**2 + s**2).sqrt().sum()),
            with_xi(lambda m, s: (m.var(correction=0) + (s**2).mean()).sqrt()),
            with_xi(lambda m, s: (m**2 - s**2).mean().abs().sqrt()),
        ),
        Mistake(
            "λ too large or too small",
            "Your ξ is right. Check λ at both ends: for ξ near 0 it approaches 1/8, and for large ξ it falls like 1/ξ. "
            "At ξ = 2, (σ(2) − ½) / 4 is 0.095. What is yours?",
            with_error_in_bound(lambda m, second_moment, xi: -quadratic_term(second_moment, xi)),
            with_error_in_bound(lambda m, second_moment, xi: quadratic_term(second_moment, xi) / 2),
            with_error_in_bound(lambda m, second_moment, xi: -3 * quadratic_term(second_moment, xi)),
            with_error_in_bound(lambda m, second_moment, xi: quadratic_term(second_moment, xi) * 3 / 4),
            with_error_in_bound(  # tanh(ξ) for tanh(ξ/2)
                lambda m, second_moment, xi: (1 - xi.tanh() / (xi / 2).tanh()) * quadratic_term(second_moment, xi)
            ),
            with_error_in_bound(  # σ(ξ) without − ½
                lambda m, second_moment, xi: (
                    quadratic_term(second_moment, xi) - xi.sigmoid() / (2 * xi) * (second_moment - xi**2)
                )
            ),
            with_error_in_bound(  # 1/8 whatever ξ
                lambda m, second_moment, xi: quadratic_term(second_moment, xi) - (second_moment - xi**2) / 8
            ),
            with_error_in_bound(  # not divided by ξ
                lambda m, second_moment, xi: (1 - xi) * quadratic_term(second_moment, xi)
            ),
        ),
        Mistake(
            "sign of the λ term flipped",
            "Your ξ is right. Your bound bends upwards in t, so that far out it lies above log σ(t): which "
            "sign has the square?",
            with_error_in_bound(lambda m, second_moment, xi: 2 * quadratic_term(second_moment, xi)),
        ),
        Mistake(
            "λ term left out",
            "Your ξ is right. With each margin's own ξ the last term vanishes; with a shared one it does so "
            "only on average.",
            with_error_in_bound(lambda m, second_moment, xi: quadratic_term(second_moment, xi)),
        ),
        Mistake(
            "ξ for ξ² in the λ term",
            "Your ξ is right. The last term of the bound must vanish where E[t²] = ξ². Does yours?",
            with_error_in_bound(lambda m, second_moment, xi: torch.tanh(xi / 2) / (4 * xi) * (xi - xi**2)),
            with_error_in_bound(lambda m, second_moment, xi: -torch.tanh(xi / 2) / (4 * xi) * xi**2),
            with_error_in_bound(lambda m, second_moment, xi: -torch.tanh(xi / 2) / (4 * xi) * 2 * xi**2),
        ),
        Mistake(
            "the bound does not touch",
            "Your ξ is right. Check the terms before the λ term: for certain margins, s close to 0, at "
            "m = ξ and at m = −ξ, the bound has to be log σ(m). Is it, at both?",
            with_error_in_bound(lambda m, second_moment, xi: -(m - xi) / 2),  # linear term left out
            with_error_in_bound(lambda m, second_moment, xi: xi),  # m + ξ
            with_error_in_bound(lambda m, second_moment, xi: xi - m),  # its sign flipped
            with_error_in_bound(lambda m, second_moment, xi: (m - xi) / 2),  # without the ½
            with_error_in_bound(lambda m, second_moment, xi: (m.abs() - m) / 2),
            with_error_in_bound(lambda m, second_moment, xi: xi.sigmoid() - logsigmoid(xi)),
            with_error_in_bound(lambda m, second_moment, xi: logsigmoid(-xi) - logsigmoid(xi)),
            with_error_in_bound(lambda m, second_moment, xi: -logsigmoid(xi)),
            with_error_in_bound(lambda m, second_moment, xi: logsigmoid(m) - logsigmoid(xi)),
        ),
        Mistake(
            "log σ(m) for the bound",
            "Your ξ is right. Your second numbers are log σ at the margins' means. By Jensen, on which side of "
            "E[log σ(t)] do these lie?",
            lambda m, s: (best_xi(m, s), logsigmoid(m)),
        ),
        Mistake(
            "the expectation for its bound",
            "Your ξ is right. Your second numbers are E[log σ(t)] themselves, without ξ. The task asks for the lower "
            "bounds that this ξ gives.",
            lambda m, s: (best_xi(m, s), mean_log_sigmoid(m, s)),
        ),
        Mistake(
            "one number for all margins",
            "Your ξ is right. The second result should have a bound for each margin, shape (B,).",
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2 + s**2, best_xi(m, s)).sum()),
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2 + s**2, best_xi(m, s)).mean()),
        ),
    ),
)


# elbo/directions(reports)


def draw_directions(rng):
    """Draw reports of all four kinds in random order; some are exact, or a bound, only for special tables."""
    betas = (0.0, float(rng.choice([0.2, 0.3, 0.4])), 0.8, 1.0, float(rng.choice([1.5, 2.0, 3.0])))
    powers = (float(rng.choice([-2.0, -1.0, -0.5])), 0.5, 0.999, 1.0, float(rng.choice([1.5, 2.0])))
    reports = [
        *(WeightedElbo(beta) for beta in betas),
        *(LogPowerMean(power) for power in powers),
        *(Joint(), BestState(), MostProbableState(), MidWay(), MidWay(1.0)),
        *(ElboPerPixel(), LikelyStates(), LargestWeight(), AsIfUniform("q"), AsIfUniform("p"), Lifted(3.0)),
    ]
    return {"reports": [reports[i] for i in rng.permutation(len(reports))]}


def word_by_theory(report):
    """Return the kind of bound that a report is, from its formula instead of by experiment."""
    match report:
        case WeightedElbo(beta=beta):
            return "lower" if beta >= 1 else "neither"
        case LogPowerMean(power=power):
            return "exact" if power == 1 else "lower" if power < 1 else "upper"
        case MidWay(share=share):
            return "upper" if share == 1 else "neither"
        case Joint() | LikelyStates():
            return "lower"
        case BestState():
            return "upper"
        case MostProbableState() | ElboPerPixel() | LargestWeight() | AsIfUniform() | Lifted():
            return "neither"


def directions(reports):
    """Answer from the formulas of the reports."""
    return [word_by_theory(report) for report in reports]


def random_models(size=2000, states=4):
    """Draw models from uniform numbers, one in each row: prior, likelihood, and an arbitrary q."""
    generator = torch.Generator().manual_seed(1)
    a, b, c = 0.01 + 0.98 * torch.rand(3, size, states, generator=generator)
    return a / a.sum(-1, keepdim=True), b, c / c.sum(-1, keepdim=True)


def word_by_signs(excess, tolerance=1e-5):
    """Return the kind of bound that exceeds log p(x) by these numbers."""
    above, below = bool((excess > tolerance).any()), bool((excess < -tolerance).any())
    return ("neither" if below else "upper") if above else "lower" if below else "exact"


def compared_with(log_p_x):
    """Return an answer that compares the reports with log_p_x on random models."""

    def answer(reports):
        tables = random_models()
        return [word_by_signs(report(*tables) - log_p_x(*tables)) for report in reports]

    return answer


def words(allowed, *others):
    """Return an answer with other words than the right ones, as a pattern for `AnyOf`.

    Args:
        allowed: by right word: the words that may stand in its place, parted by "|"; by default the right one.
        others: a report and what may stand in its place.
    """
    special = dict([others]) if others else {}

    def answer(reports):
        return [
            special.get(report, allowed.get(word, word))
            for report, word in zip(reports, directions(reports), strict=True)
        ]

    return answer


@dataclass(frozen=True)
class AnyOf:
    """Words agree if each is among those that stand in its place on the other side, parted by "|"."""

    def __call__(self, found: np.ndarray, right: np.ndarray) -> bool:
        if found.dtype.kind != "U" or right.dtype.kind != "U":
            return np.array_equal(found, right)
        pairs = zip(found.ravel().tolist(), right.ravel().tolist(), strict=True)
        return all(set(one.lower().split("|")) <= set(other.lower().split("|")) for one, other in pairs)


def shares(reports):
    """Tell in how many random models each report lies above and below log p(x)."""
    tables = random_models()
    excess = [report(*tables) - log_evidence(*tables) for report in reports]
    numbers = [f"{(e > 1e-5).float().mean():.0%}/{(e < -1e-5).float().mean():.0%}" for e in excess]
    return f"In so many of 2,000 random models they lie above/below log p(x), in their order: {', '.join(numbers)}."


FEWER_SIDES = {"lower": "lower|exact", "upper": "upper|exact"}
ONE_SIDE = "lower|upper|exact"
NEITHER_SO_FAR = (  # reports that are above in some models and below in others
    *(WeightedElbo(0.0), MostProbableState(), MidWay(), ElboPerPixel(), LargestWeight()),
    *(AsIfUniform("q"), AsIfUniform("p"), Lifted(3.0)),
)

DIRECTIONS = Task(
    name="elbo/directions",
    draw=draw_directions,
    reference=directions,
    agree=AnyOf(),
    cases=3,
    decides=shares,
    mistakes=(
        Mistake(
            "lower and upper exchanged",
            "A lower bound is a number that log p(x) lies above. You have the two the other way round.",
            words({"lower": "upper", "upper": "lower"}),
            words({"lower": "upper", "upper": "lower", "exact": "neither"}),
            words({"lower": "upper", "upper": "lower", "exact": "lower|upper"}),
            words({"lower": "upper", "upper": "lower", "neither": "lower|upper"}),
        ),
        Mistake(
            "what equals log p(x) is called a bound",
            "A report that equals log p(x) is a bound to you. It does not exceed log p(x), and is not below it either. "
            "What tells it from a bound?",
            words({"exact": "lower|upper"}),
        ),
        Mistake(
            "a bound has to differ everywhere",
            "One of the reports is never above log p(x), and equal to it in many models. Read again what 'lower' asks "
            "for: in how many models must the number be below?",
            words({}, LikelyStates(), "neither"),
        ),
        Mistake(
            "'neither' never said",
            "You never say 'neither', but some of the reports are above log p(x) in one model and below in another. A "
            "single model, an average or a majority cannot show that, nor can a rule that stops at the first "
            "exception. What do two exceptions of different sign say?",
            words(FEWER_SIDES | {"neither": ONE_SIDE, "exact": ONE_SIDE}, LikelyStates(), ONE_SIDE),
        ),
        Mistake(
            "'neither' said too often",
            "You say 'neither' to reports that leave log p(x) to one side only, or not at all but for rounding. Do you "
            "allow for rounding? And is what you compare with log p(x) itself, the log of a sum over the states in "
            "which q does not occur?",
            words({"exact": "neither", "lower": "lower|neither", "upper": "upper|neither"}),
            words({"exact": "neither", "lower": "lower|neither", "upper": "upper|neither"}, AsIfUniform("p"), "exact"),
        ),
        Mistake(
            "exceptions missed",
            "Some of the reports leave log p(x) to more sides than you found. Either your models do not show it: they "
            "are few, or all of one kind. Try few states, an uneven prior, extreme tables, and q from near the "
            "posterior to far from it. Or your rule hides it: it allows too much for rounding, or goes by a majority "
            "or an average. What does a single exception say?",
            *(words(FEWER_SIDES | {"neither": f"{ONE_SIDE}|neither"}, one, "neither") for one in NEITHER_SO_FAR),
        ),
        Mistake(
            "another number taken for log p(x)",
            "Check what you compare with: a row's log p(x) is the log of a sum over the states, in which q does not "
            "occur.",
            compared_with(lambda p_z, likelihood, q: likelihood.sum(-1).log()),
            compared_with(lambda p_z, likelihood, q: (p_z * likelihood.log()).sum(-1)),
            compared_with(lambda p_z, likelihood, q: (q * likelihood).sum(-1).log()),
            compared_with(lambda p_z, likelihood, q: (p_z * likelihood).mean(-1).log()),
            words(  # p(x): no logarithm of a probability is above it
                {"exact": "lower", "upper": "lower|neither", "neither": "lower|neither"}, LargestWeight(), "neither"
            ),
            compared_with(exact_elbo),
        ),
        Mistake(
            "the same word for all",
            "Not every number that gets printed as a log-likelihood is of the same kind. Call the reports and see.",
            lambda reports: ["lower"] * len(reports),
            lambda reports: ["upper"] * len(reports),
        ),
    ),
)


# elbo/repaired_loss(x, mu, log_var, eps, decoder)


def draw_repaired_loss(rng):
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    pixels = int(rng.integers(5, 8))
    return {
        "x": torch.tensor(rng.integers(0, 2, size=(batch, pixels)), dtype=torch.float32),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents, scale=0.7),
        "eps": rounded_normal(rng, batch, latents),
        "decoder": Linear(rounded_normal(rng, latents, pixels, scale=0.7), rounded_normal(rng, pixels)),
    }


def repaired_loss(x, mu, log_var, eps, decoder):
    """Compute minus the mean of log p(x|z) + log p(z) − log q(z|x) over the pictures."""
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    z = mu + (log_var / 2).exp() * eps
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    log_w = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x) + prior.log_prob(z) - q.log_prob(z)
    return -log_w.mean()


def sampled_latents(mu, log_var, eps):
    return mu + (log_var / 2).exp() * eps


def log_likelihood(x, z, decoder):
    return -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)


def log_standard_normal(z):
    return Normal(0.0, 1.0).log_prob(z).sum(-1)


def log_q_at_z(z, mu, log_var):
    return Normal(mu, (log_var / 2).exp()).log_prob(z).sum(-1)


def log_q_at_eps(z, mu, log_var):
    """Use the density of the noise for that of z, as the printed loss does."""
    return log_standard_normal((z - mu) / (log_var / 2).exp())


def loss_of(turn=torch.neg, weigh=torch.sub, average=torch.mean, log_q=log_q_at_z):
    """Return a loss built like the printed loss; the default of each part is right.

    Args:
        turn: computes the loss from the bound.
        weigh: computes log w from log p(x, z) and log q(z|x).
        average: computes the bound from the log w of all pictures.
        log_q: computes log q(z|x) from z, mu and log_var.
    """

    def answer(x, mu, log_var, eps, decoder):
        z = sampled_latents(mu, log_var, eps)
        log_joint = log_likelihood(x, z, decoder) + log_standard_normal(z)
        return turn(average(weigh(log_joint, log_q(z, mu, log_var))))

    return answer


FAULTS = {  # of the printed loss, by the part of `loss_of`: the faulty part, name, hint
    "turn": (
        torch.positive,
        "the ELBO is minimised",
        "The loop minimises your number, and a more probable picture makes it larger. What is minimised has to be an "
        "upper bound on −log p(x).",
    ),
    "weigh": (
        torch.add,
        "log q added",
        "log q(z|x) has the wrong sign: the ELBO is the mean of log w, and q stands in the denominator of w.",
    ),
    "average": (
        log_mean_exp,
        "log of the mean over pictures",
        "You take one logarithm of all pictures' weights together, so that the most probable picture outweighs all "
        "others. Where does the average over pictures belong?",
    ),
    "log_q": (
        log_q_at_eps,
        "log q evaluated as the density of eps",
        "Your log q(z|x) is the density of the noise. z is the noise stretched by σ: what does stretching do to a "
        "density? Let σ be tiny: how dense are the draws around μ?",
    ),
}


def leftovers():
    """Yield a mistake for each fault: alone, and with any of the later faults."""
    parts = list(FAULTS)
    for number, part in enumerate(parts):
        _, name, hint = FAULTS[part]
        later = parts[number + 1 :]
        left = [(part, *others) for count in range(len(later) + 1) for others in combinations(later, count)]
        answers = [loss_of(**{faulty: FAULTS[faulty][0] for faulty in some}) for some in left]
        if part == "average":
            answers += [loss_of(average=log_sum_exp), loss_of(average=log_sum_exp, log_q=log_q_at_eps)]
        yield Mistake(name, hint, *answers)


def log_sum_exp(log_w):
    return log_w.logsumexp(0)


def log_densities(x, mu, log_var, eps, decoder):
    """Compute log p(x|z), log p(z) and log q(z|x) of each picture at its z."""
    z = sampled_latents(mu, log_var, eps)
    return log_likelihood(x, z, decoder), log_standard_normal(z), log_q_at_z(z, mu, log_var)


def mean_of(combine):
    """Return a loss that averages combine(log p(x|z), log p(z), log q(z|x)) over the pictures."""
    return lambda *inputs: combine(*log_densities(*inputs)).mean()


def minus_elbo_of_each(*inputs):
    likelihood, prior, q = log_densities(*inputs)
    return q - likelihood - prior


def closed_form(x, mu, log_var, eps, decoder):
    kl = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)).sum(-1)
    return (kl - log_likelihood(x, sampled_latents(mu, log_var, eps), decoder)).mean()


def at_points(**elsewhere):
    """Return a loss whose parts "decoder", "prior" and "q" are evaluated at part(z, mu, eps) in place of z."""

    def answer(x, mu, log_var, eps, decoder):
        z = sampled_latents(mu, log_var, eps)
        at = {part: elsewhere[part](z, mu, eps) if part in elsewhere else z for part in ("decoder", "prior", "q")}
        likelihood = log_likelihood(x, at["decoder"], decoder)
        return (log_q_at_z(at["q"], mu, log_var) - likelihood - log_standard_normal(at["prior"])).mean()

    return answer


def cross_entropy(x, logits):
    return binary_cross_entropy_with_logits(logits, x, reduction="none")


def with_parts(of_pixels=lambda pixels: pixels.sum(-1), of_latents=lambda latents: latents.sum(-1), cost=cross_entropy):
    """Return a loss that reduces the pixels' costs, (B, P), and the latents' log-ratios, (B, d), in other ways."""

    def answer(x, mu, log_var, eps, decoder):
        z = sampled_latents(mu, log_var, eps)
        ratios = Normal(mu, (log_var / 2).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
        return (of_pixels(cost(x, decoder(z))) + of_latents(ratios)).mean()

    return answer


def with_decoder(change):
    """Return a loss in which the decoder's output is changed first."""
    return lambda x, mu, log_var, eps, decoder: repaired_loss(x, mu, log_var, eps, lambda z: change(decoder(z)))


CUTS = ("z in log p(x|z)", "z in log p(z)", "z in log q", "mu in log q", "log_var in log q")


def with_cuts(*cuts):
    """Return a loss of the right value, with a `detach` at some of the places in `CUTS`."""

    def answer(x, mu, log_var, eps, decoder):
        def cut(place, value):
            return value.detach() if place in cuts else value

        z = sampled_latents(mu, log_var, eps)
        likelihood = log_likelihood(x, cut(CUTS[0], z), decoder)
        log_q = log_q_at_z(cut(CUTS[2], z), cut(CUTS[3], mu), cut(CUTS[4], log_var))
        return (log_q - likelihood - log_standard_normal(cut(CUTS[1], z))).mean()

    return answer


REPAIRED_LOSS = Task(
    name="elbo/repaired_loss",
    draw=(draw_repaired_loss, wide(draw_repaired_loss, "log_var", low=-4.5, high=2.5)),
    reference=repaired_loss,
    observe=Gradients(("mu", "log_var")),
    cases=4,
    mistakes=(
        *leftovers(),
        Mistake(
            "a term with the wrong sign",
            "Some term of your loss has the wrong sign. Should the loss rise or fall if the decoder makes the picture "
            "less probable? And if the prior makes z less probable?",
            mean_of(lambda likelihood, prior, q: q + prior - likelihood),
            mean_of(lambda likelihood, prior, q: likelihood - prior + q),
            mean_of(lambda likelihood, prior, q: prior - q - likelihood),
        ),
        Mistake(
            "a density left out",
            "At least one of the log-densities is missing. Without log q nothing keeps the encoder from shrinking σ to "
            "zero; without log p(z) the loss never asks where z lies under the prior; without log p(x|z) it never asks "
            "for the picture.",
            mean_of(lambda likelihood, prior, q: -likelihood - prior),
            mean_of(lambda likelihood, prior, q: q - likelihood),
            mean_of(lambda likelihood, prior, q: q - prior),
            mean_of(lambda likelihood, prior, q: -likelihood),
            mean_of(lambda likelihood, prior, q: likelihood),
            mean_of(lambda likelihood, prior, q: -likelihood - q),
        ),
        Mistake(
            "closed form for the draw",
            "That is minus an ELBO, too, and a good loss: your KL is the closed form. The task asks for the estimate "
            "in which every part is evaluated at the drawn z.",
            closed_form,
        ),
        Mistake(
            "a part not evaluated at the drawn z",
            "One of the three parts is evaluated somewhere else than the others. All belong to the same z, which eps "
            "has given: the decoder's, the prior's and that of q.",
            at_points(decoder=lambda z, mu, eps: mu),
            at_points(decoder=lambda z, mu, eps: eps),
            at_points(prior=lambda z, mu, eps: eps),
            at_points(prior=lambda z, mu, eps: mu),
            at_points(q=lambda z, mu, eps: mu),
            at_points(q=lambda z, mu, eps: eps),
            at_points(prior=lambda z, mu, eps: mu, q=lambda z, mu, eps: mu),
            at_points(prior=lambda z, mu, eps: eps, q=lambda z, mu, eps: eps),
        ),
        Mistake(
            "mean over the pixels",
            "You average the pixels' costs. The sum in the printed loss was right: pixels are independent given "
            "z, so their logs add up.",
            with_parts(lambda pixels: pixels.mean(-1), lambda latents: latents.sum(-1)),
            with_parts(lambda pixels: pixels.mean(-1), lambda latents: latents.mean(-1)),
        ),
        Mistake(
            "mean over the latents",
            "You average over the latents. Their densities multiply, so their logarithms add up.",
            with_parts(lambda pixels: pixels.sum(-1), lambda latents: latents.mean(-1)),
        ),
        Mistake(
            "not averaged over the batch",
            "The task asks for nats per picture, averaged over the batch: one number, which does not grow with the "
            "size of the batch. Is this so for every part?",
            lambda *inputs: minus_elbo_of_each(*inputs).sum(),
            minus_elbo_of_each,
            with_parts(lambda pixels: pixels.sum(), lambda latents: latents.sum(-1)),
            with_parts(lambda pixels: pixels.sum(-1), lambda latents: latents.sum()),
            with_parts(lambda pixels: pixels.mean(), lambda latents: latents.sum()),
        ),
        Mistake(
            "log σ wrong in log q",
            "The term for the width is wrong in your log q. Stretching by σ divides the density by σ, and log_var is "
            "the logarithm of the square of σ.",
            loss_of(log_q=lambda z, mu, log_var: log_q_at_eps(z, mu, log_var) - log_var.sum(-1)),
            loss_of(log_q=lambda z, mu, log_var: log_q_at_eps(z, mu, log_var) + log_var.sum(-1) / 2),
            loss_of(log_q=lambda z, mu, log_var: log_q_at_eps(z, mu, log_var) + log_var.sum(-1)),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "exp(log σ²) is σ². How was z drawn in the printed loss?",
            lambda x, mu, log_var, eps, decoder: repaired_loss(x, mu, 2 * log_var, eps, decoder),
            loss_of(log_q=lambda z, mu, log_var: log_q_at_z(z, mu, 2 * log_var)),
            lambda x, mu, log_var, eps, decoder: (
                log_q_at_z(mu + log_var.exp() * eps, mu, log_var)
                - log_likelihood(x, mu + log_var.exp() * eps, decoder)
                - log_standard_normal(mu + log_var.exp() * eps)
            ).mean(),
        ),
        Mistake(
            "sigmoid applied twice",
            "The decoder's output went through a sigmoid before it came to `binary_cross_entropy_with_logits`, which "
            "applies one itself. What does this function expect?",
            with_decoder(lambda logits: logits.sigmoid()),
        ),
        Mistake(
            "squared error for log p(x|z)",
            "Your reconstruction is a squared error. The pictures are of 0s and 1s, and the decoder gives log-odds: "
            "which distribution has each pixel?",
            with_parts(cost=lambda x, logits: (x - logits.sigmoid()) ** 2),
            with_parts(cost=lambda x, logits: (x - logits) ** 2),
            with_parts(cost=lambda x, logits: (x - logits.sigmoid()) ** 2 / 2),
            with_parts(cost=lambda x, logits: (x - logits) ** 2 / 2),
        ),
        Mistake(
            "cut from the graph",
            "The value is right, the gradient is not: you cut something from the graph. The gradient has to reach mu "
            "and log_var through z as well as through the parameters of q in log q.",
            *(with_cuts(place) for place in CUTS),
            with_cuts(*CUTS[:3]),
            with_cuts(*CUTS[3:]),
            with_cuts(*CUTS[1:]),
            with_cuts(*CUTS[2:]),
            with_cuts(*CUTS[1:3]),
            lambda *inputs: minus_elbo_of_each(*inputs).mean().detach() + 0 * inputs[1].sum(),
        ),
    ),
)

TASKS = (JENSEN_GAP, EXACT, K_SAMPLE_BOUND, COMMON_XI, DIRECTIONS, REPAIRED_LOSS)
