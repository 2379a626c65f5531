"""The tasks of exercise 05, Jensen's inequality and the ELBO."""

import math
from itertools import combinations

import numpy as np
import torch
from scipy.special import log_expit, logsumexp, rel_entr
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import (
    BestState,
    Joint,
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


def rule_of_thumb(weights, values):
    """Compute Var / (2 mean²), the approximation of lesson 05, section 2."""
    mean = (weights * values).sum()
    return (weights * (values - mean) ** 2).sum() / (2 * mean**2)


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
        ),
        Mistake(
            "only one of the two numbers",
            "That is one of the two numbers. The gap is how far apart they are: with all weight on one value it must "
            "be zero.",
            log_of_mean,
            mean_of_logs,
        ),
        Mistake(
            "divided by the number of values as well",
            "The weights sum to 1 already, so that a weighted sum is a mean. What does your function give for "
            "equal values?",
            lambda w, v: (w * v).mean().log() - (w * v.log()).mean(),
        ),
        Mistake(
            "weights inside the logarithm",
            "In E[log X] the logarithm is of the value alone. The probability says how often that logarithm counts.",
            lambda w, v: log_of_mean(w, v) - (w * v).log().sum(),
        ),
        Mistake(
            "the rule of thumb for the gap",
            "Var / (2 mean²) is the gap for small variations only. These values vary a lot, and the gap "
            "itself is no harder to compute.",
            rule_of_thumb,
        ),
        Mistake(
            "a logarithm forgotten",
            "One of your two means has no logarithm around it. Does the gap vanish when all values are 3?",
            lambda w, v: (w * v).sum() - mean_of_logs(w, v),
        ),
        Mistake(
            "means compared, not their logarithms",
            "You compare the arithmetic mean with the geometric mean, in the unit of X. The gap is a difference of "
            "logarithms, in nats.",
            lambda w, v: (w * v).sum() - mean_of_logs(w, v).exp(),
        ),
        Mistake(
            "ratio for difference",
            "You divided one number by the other. The gap is in nats: it is a difference of logarithms.",
            lambda w, v: log_of_mean(w, v) / mean_of_logs(w, v),
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


EXACT = Task(
    name="elbo/exact",
    draw=draw_exact,
    reference=exact,
    mistakes=(
        Mistake(
            "KL of the wrong direction",
            "Your ELBO is right. The other KL has the right distributions in the wrong order: in the ELBO, "
            "which distribution is z drawn from?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(posterior(p_z, likelihood), q)),
        ),
        Mistake(
            "KL to the prior for the gap",
            "Your second number is the KL to the prior. That one is a part of the ELBO; the gap is a KL to another "
            "distribution. Which q would make the bound tight?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, p_z)),
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
        ),
        Mistake(
            "prior forgotten in the posterior",
            "Your ELBO is right. Your posterior is made from the likelihood alone. What does Bayes' rule "
            "say of a state that explains the picture well and hardly ever occurs?",
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, likelihood / likelihood.sum(-1, keepdim=True))),
            with_right_elbo(lambda p_z, likelihood, q: discrete_kl(q, likelihood)),
        ),
        Mistake(
            "KL added to the reconstruction",
            "In your first number a q far from the prior is rewarded. Set q to the posterior: does it give log p(x)?",
            with_right_gap(lambda p_z, likelihood, q: (q * likelihood.log()).sum(-1) + discrete_kl(q, p_z)),
        ),
        Mistake(
            "a factor of the weight forgotten",
            "Your second number is right. The first is a mean over q of some logarithm, but not of log w: "
            "which factors does w have in its numerator, and what in its denominator?",
            with_right_gap(lambda p_z, likelihood, q: (q * likelihood.log()).sum(-1)),
            with_right_gap(lambda p_z, likelihood, q: (q * (p_z * likelihood).log()).sum(-1)),
            with_right_gap(lambda p_z, likelihood, q: (q * (likelihood / q).log()).sum(-1)),
        ),
        Mistake(
            "log p(x) for the ELBO",
            "Your first number does not depend on q: it is log p(x) itself. What is left of it when the gap "
            "is taken away?",
            with_right_gap(lambda p_z, likelihood, q: (p_z * likelihood).sum(-1).log()),
        ),
        Mistake(
            "sum over z inside the logarithm",
            "You take the logarithm of a mean over q. In the ELBO the mean stands outside the logarithm.",
            with_right_gap(lambda p_z, likelihood, q: (q * likelihood).sum(-1).log() - discrete_kl(q, p_z)),
        ),
        Mistake(
            "the ELBO as a loss",
            "Your first number has the wrong sign. The task asks for the ELBO, which one maximises, not for the loss.",
            with_right_gap(lambda *inputs: -exact_elbo(*inputs)),
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
    ),
)


# elbo/k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x)


def draw_k_sample_bound(rng):
    """Draw one picture whose weights are zero in floating point, and a K that differs from B."""
    draws = int(rng.integers(2, 6))
    pictures = int(rng.choice([size for size in range(2, 6) if size != draws]))
    level = torch.tensor([-1100.0] + [-2.0] * (pictures - 1))  # one picture is large, the others are small
    return {
        "log_p_x_given_z": level + rounded_normal(rng, draws, pictures, scale=1.5),
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
        ),
        Mistake(
            "the exponential became zero",
            "For some picture all your weights became zero: e to the power of −1100 is zero to a computer. Adding "
            "something like 1e-8 does not help, for log 1e-8 is −18, and the picture costs over 1,000 nats. Factor "
            "out the picture's largest weight first, or look for a function that does.",
            of_log_weights(lambda log_w: log_w.exp().mean(0).log()),
            of_log_weights(lambda log_w: (log_w.exp().mean(0) + 1e-8).log()),
        ),
        Mistake(
            "largest weight not put back",
            "You factored out the largest weight and left it out. A picture that costs 1,100 nats should not "
            "come out near zero.",
            of_log_weights(lambda log_w: log_mean_exp(log_w - log_w.amax(0))),
        ),
        Mistake(
            "only the largest weight",
            "You kept the largest weight alone. The others are smaller, but they count as well.",
            of_log_weights(lambda log_w: log_w.amax(0) - math.log(len(log_w))),
            of_log_weights(lambda log_w: log_w.amax(0)),
        ),
        Mistake(
            "log q added",
            "The weight is p(x, z) divided by q(z|x). What sign does the logarithm of a denominator have?",
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z + log_p_z + log_q),
        ),
        Mistake(
            "a factor of the weight forgotten",
            "Your weight does not use all three log-densities. Its numerator is the joint density p(x, z). And as the "
            "draws come from q, not from the prior, what in the weight corrects for that?",
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z + log_p_z),
            lambda log_p_x_given_z, log_p_z, log_q: log_mean_exp(log_p_x_given_z - log_q),
        ),
        Mistake(
            "the weights' own weighted mean",
            "You average log-weights with the normalised weights, as one does for the gradient. The bound is "
            "the log of their plain mean.",
            of_log_weights(lambda log_w: (log_w.softmax(0) * log_w).sum(0)),
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
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also averaged over the pictures.",
            of_log_weights(lambda log_w: log_mean_exp(log_w).mean()),
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
            "not where the derivative vanishes",
            "The derivative by ξ has to vanish, summed over the batch, and it depends on the margins only through "
            "E[t²]. What do the E[t²] − ξ² then have to add up to?",
            with_xi(lambda m, s: (m**2 + s**2).sqrt().mean()),
            with_xi(lambda m, s: (m**2 + s**2).sum().sqrt()),
        ),
        Mistake(
            "mean taken before the square",
            "You square the average margin. Two margins, −3 and 3, would then look like one at 0.",
            with_xi(lambda m, s: (m.mean() ** 2 + (s**2).mean()).sqrt()),
            with_xi(lambda m, s: (m.mean() ** 2 + s.mean() ** 2).sqrt()),
        ),
        Mistake(
            "uncertainty forgotten",
            "E[t²] of an uncertain margin is more than the square of its mean. What else is in it? Look at ξ and "
            "at the bound.",
            with_second_moment(lambda m, s: m**2),
            with_xi(lambda m, s: (m**2).mean().sqrt()),
            lambda m, s: (best_xi(m, s), expected_bound(m, m**2, best_xi(m, s))),
        ),
        Mistake(
            "root forgotten",
            "Your ξ has the unit of a squared margin. Try a batch of one certain margin, s close to 0: where "
            "must the bound touch?",
            with_xi(lambda m, s: (m**2 + s**2).mean()),
            lambda m, s: (best_xi(m, s) ** 2, expected_bound(m, m**2 + s**2, best_xi(m, s))),
        ),
        Mistake(
            "standard deviation for variance",
            "You add a standard deviation to a squared mean. What does E[t²] hold besides m²?",
            with_second_moment(lambda m, s: m**2 + s),
        ),
        Mistake(
            "λ too large or too small",
            "Your ξ is right. Check λ: for ξ near 0 it approaches 1/8. What does yours approach?",
            with_error_in_bound(lambda m, second_moment, xi: -quadratic_term(second_moment, xi)),
            with_error_in_bound(lambda m, second_moment, xi: quadratic_term(second_moment, xi) / 2),
            with_error_in_bound(  # tanh(ξ) for tanh(ξ/2)
                lambda m, second_moment, xi: (1 - xi.tanh() / (xi / 2).tanh()) * quadratic_term(second_moment, xi)
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
            "linear term wrong",
            "Your ξ is right. Check the term that is linear in the margin: for certain margins, s close to 0, at "
            "m = ξ and at m = −ξ, the bound has to be log σ(m). Is it, at both?",
            with_error_in_bound(lambda m, second_moment, xi: -(m - xi) / 2),  # left out
            with_error_in_bound(lambda m, second_moment, xi: xi),  # m + ξ
            with_error_in_bound(lambda m, second_moment, xi: (m - xi) / 2),  # without the ½
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
    """Draw reports of all four kinds in random order; some are exact, or a bound, only for special q."""
    betas = (0.0, float(rng.choice([0.2, 0.3, 0.4])), 1.0, float(rng.choice([1.5, 2.0, 3.0])))
    powers = (float(rng.choice([-2.0, -1.0, -0.5])), 0.5, 1.0, float(rng.choice([1.5, 2.0])))
    reports = [
        *(WeightedElbo(beta) for beta in betas),
        *(LogPowerMean(power) for power in powers),
        *(Joint(), BestState(), MostProbableState(), MidWay(), MidWay(1.0)),
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
        case Joint():
            return "lower"
        case BestState():
            return "upper"
        case MostProbableState():
            return "neither"


def directions(reports):
    """Answer from the formulas of the reports."""
    return [word_by_theory(report) for report in reports]


def random_models(size=500):
    """Draw models of three states, one in each row: prior, likelihood, and an arbitrary q."""
    generator = torch.Generator().manual_seed(1)
    a, b, c = 1.5 * torch.randn(3, size, 3, generator=generator)
    return a.softmax(-1), b.sigmoid(), c.softmax(-1)


def models_with_prior_as_q():
    p_z, likelihood, _ = random_models()
    return p_z, likelihood, p_z


def models_with_posterior_as_q():
    p_z, likelihood, _ = random_models()
    return p_z, likelihood, posterior(p_z, likelihood)


def log_evidence(p_z, likelihood, q):
    return (p_z * likelihood).sum(-1).log()


def word_by_signs(excess, tolerance=1e-5):
    """Return the kind of bound that exceeds log p(x) by these numbers."""
    above, below = bool((excess > tolerance).any()), bool((excess < -tolerance).any())
    return ("neither" if below else "upper") if above else "lower" if below else "exact"


def by_experiment(models=random_models, rule=word_by_signs, log_p_x=log_evidence):
    """Return an answer that applies `rule` to a report's excess over log_p_x on the given models."""

    def answer(reports):
        tables = models()
        return [rule(report(*tables) - log_p_x(*tables)) for report in reports]

    return answer


EXCHANGED = {"lower": "upper", "upper": "lower", "exact": "exact", "neither": "neither"}

DIRECTIONS = Task(
    name="elbo/directions",
    draw=draw_directions,
    reference=directions,
    cases=3,
    mistakes=(
        Mistake(
            "only one kind of q tried",
            "You tried one kind of q only. A claim that holds for every q has to be tested with q that are nothing "
            "special: neither the prior nor the posterior, and different from row to row.",
            by_experiment(models_with_prior_as_q),
            by_experiment(models_with_posterior_as_q),
        ),
        Mistake(
            "exceptions missed",
            "A few cases, or the average of many, cannot tell a bound from a number that is sometimes above and "
            "sometimes below. What does a single exception say?",
            by_experiment(rule=lambda excess: word_by_signs(excess.mean())),
            by_experiment(lambda: random_models(size=1)),
        ),
        Mistake(
            "lower and upper exchanged",
            "A lower bound is a number that log p(x) lies above. You have the two the other way round.",
            by_experiment(rule=lambda excess: EXCHANGED[word_by_signs(excess)]),
        ),
        Mistake(
            "rounding taken for a difference",
            "Some report equals log p(x) up to its last digits. Allow for rounding before you say above or below.",
            by_experiment(rule=lambda excess: word_by_signs(excess, tolerance=0.0)),
        ),
        Mistake(
            "another number taken for log p(x)",
            "Check what you compare with: a row's log p(x) is the log of a sum over the states, in which q does not "
            "occur.",
            by_experiment(log_p_x=lambda p_z, likelihood, q: likelihood.mean(-1).log()),
            by_experiment(log_p_x=lambda p_z, likelihood, q: likelihood.sum(-1).log()),
            by_experiment(log_p_x=lambda p_z, likelihood, q: (p_z * likelihood.log()).sum(-1)),
            by_experiment(log_p_x=lambda p_z, likelihood, q: (q * likelihood).sum(-1).log()),
        ),
        Mistake(
            "the same word for all",
            "Not every number that gets printed as a log-likelihood is a lower bound. Call the reports and see.",
            lambda reports: ["lower"] * len(reports),
        ),
    ),
)


# elbo/repaired_loss(x, mu, log_var, eps, decoder)


def draw_repaired_loss(rng):
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(1, 4))
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
        "You take the logarithm after averaging over the pictures, so that the most probable picture outweighs all "
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
        yield Mistake(name, hint, *(loss_of(**{faulty: FAULTS[faulty][0] for faulty in some}) for some in left))


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


def mean_over_pixels(x, *rest):
    likelihood, prior, q = log_densities(x, *rest)
    return (q - prior - likelihood / x.shape[-1]).mean()


def latents_cut_from_graph(x, mu, log_var, eps, decoder):
    z = sampled_latents(mu, log_var, eps).detach()
    return (log_q_at_z(z, mu, log_var) - log_likelihood(x, z, decoder) - log_standard_normal(z)).mean()


REPAIRED_LOSS = Task(
    name="elbo/repaired_loss",
    draw=draw_repaired_loss,
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
            "One of the log-densities is missing. Without log q nothing keeps the encoder from shrinking σ to zero; "
            "without log p(z) the loss never asks where z lies under the prior.",
            mean_of(lambda likelihood, prior, q: -likelihood - prior),
            mean_of(lambda likelihood, prior, q: q - likelihood),
        ),
        Mistake(
            "closed form for the draw",
            "That is minus an ELBO, too, and a good loss: your KL is the closed form. The task asks for the estimate "
            "in which every part is evaluated at the drawn z.",
            closed_form,
        ),
        Mistake(
            "mean over the pixels",
            "You average the pixels' costs. The sum in the printed loss was right: pixels are independent given "
            "z, so their logs add up.",
            mean_over_pixels,
        ),
        Mistake(
            "not averaged over the batch",
            "The task asks for nats per picture, averaged over the batch: one number, which does not grow with the "
            "size of the batch.",
            lambda *inputs: minus_elbo_of_each(*inputs).sum(),
            minus_elbo_of_each,
        ),
        Mistake(
            "log σ wrong in log q",
            "The term for the width is wrong in your log q. Stretching by σ divides the density by σ, and log_var is "
            "the logarithm of the square of σ.",
            loss_of(log_q=lambda z, mu, log_var: log_q_at_eps(z, mu, log_var) - log_var.sum(-1)),
            loss_of(log_q=lambda z, mu, log_var: log_q_at_eps(z, mu, log_var) + log_var.sum(-1) / 2),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "exp(log σ²) is σ². How was z drawn in the printed loss?",
            lambda x, mu, log_var, eps, decoder: repaired_loss(x, mu, 2 * log_var, eps, decoder),
            loss_of(log_q=lambda z, mu, log_var: log_q_at_z(z, mu, 2 * log_var)),
        ),
        Mistake(
            "cut from the graph",
            "The value is right, the gradient is not: you cut something from the graph. The gradient has to reach mu "
            "and log_var through z as well as through the parameters of q in log q.",
            latents_cut_from_graph,
            loss_of(log_q=lambda z, mu, log_var: log_q_at_z(z, mu.detach(), log_var.detach())),
        ),
    ),
)

TASKS = (JENSEN_GAP, EXACT, K_SAMPLE_BOUND, COMMON_XI, DIRECTIONS, REPAIRED_LOSS)
