"""The tasks of exercise 05, Jensen's inequality and the ELBO."""

import itertools
import math

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
    weights = rng.integers(1, 9, size=shape).astype(float)
    return torch.tensor(weights / weights.sum(-1, keepdims=True), dtype=torch.float32)


# elbo/jensen_gap(weights, values)


def draw_gap(rng):
    size = int(rng.integers(2, 6))
    return {
        "weights": probabilities(rng, size),
        "values": torch.cat(
            [rounded_uniform(rng, 1, low=0.05, high=0.3), rounded_uniform(rng, size - 1, low=0.5, high=4.0)]
        ),
    }


def gap(weights, values):
    weights, values = np.asarray(weights), np.asarray(values)
    geometric = np.prod(values**weights)
    return np.log(np.average(values, weights=weights) / geometric)


def log_mean(weights, values):
    return (weights * values).sum().log()


def mean_log(weights, values):
    return (weights * values.log()).sum()


def variance(weights, values):
    return (weights * (values - (weights * values).sum()) ** 2).sum()


UNWEIGHTED = "Somewhere the values count alike. They occur with different probabilities, in both of the means."
ONE_PART = (
    "That is one of the two numbers. The gap is how far they are apart: with all weight on one value it must be zero."
)

JENSEN_GAP = Task(
    name="elbo/jensen_gap",
    draw=draw_gap,
    reference=gap,
    mistakes=(
        Mistake(
            "sign flipped",
            "Your gap is never positive. Take 0.2 and 0.8 with equal weights: which of the two numbers is the larger?",
            lambda w, v: mean_log(w, v) - log_mean(w, v),
        ),
        Mistake(
            "weights forgotten",
            UNWEIGHTED,
            lambda w, v: v.mean().log() - v.log().mean(),
            lambda w, v: v.mean().log() - mean_log(w, v),
            lambda w, v: log_mean(w, v) - v.log().mean(),
            lambda w, v: v.sum().log() - v.log().sum(),
        ),
        Mistake(
            "only one of the two numbers",
            ONE_PART,
            log_mean,
            mean_log,
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
            lambda w, v: log_mean(w, v) - (w * v).log().sum(),
        ),
        Mistake(
            "the rule of thumb for the gap",
            "Var / (2 mean²) is the gap for small variations only. These values vary a lot, and the gap "
            "itself is no harder to compute.",
            lambda w, v: variance(w, v) / (2 * (w * v).sum() ** 2),
        ),
        Mistake(
            "a logarithm forgotten",
            "One of your two means has no logarithm round it. Does the gap vanish when all values are 3?",
            lambda w, v: (w * v).sum() - mean_log(w, v),
        ),
        Mistake(
            "means compared, not their logarithms",
            "You compare the arithmetic with the geometric mean, in the unit of X. The gap is a difference of "
            "logarithms, in nats.",
            lambda w, v: (w * v).sum() - mean_log(w, v).exp(),
        ),
        Mistake(
            "ratio for difference",
            "You divided one number by the other. The gap is in nats: it is a difference of logarithms.",
            lambda w, v: log_mean(w, v) / mean_log(w, v),
        ),
        Mistake(
            "exp of the gap",
            "That is the ratio of the arithmetic to the geometric mean, 1 where nothing varies. The gap is "
            "its logarithm.",
            lambda w, v: (w * v).sum() / mean_log(w, v).exp(),
        ),
        Mistake(
            "bits instead of nats",
            "Your number is right in bits. This course counts in nats.",
            lambda w, v: (log_mean(w, v) - mean_log(w, v)) / math.log(2),
        ),
    ),
)


# elbo/exact(p_z, p_x_given_z, q_z_given_x)


def draw_exact(rng):
    pictures = int(rng.integers(1, 4))
    states = pictures + int(rng.integers(1, 3))
    return {
        "p_z": probabilities(rng, states),
        "p_x_given_z": rounded_uniform(rng, pictures, states, low=0.02, high=0.6),
        "q_z_given_x": probabilities(rng, pictures, states),
    }


def exact(p_z, p_x_given_z, q_z_given_x):
    p_z, likelihood, q = (np.asarray(value) for value in (p_z, p_x_given_z, q_z_given_x))
    evidence = likelihood @ p_z
    difference = rel_entr(q, likelihood * p_z / evidence[:, None]).sum(1)
    return np.log(evidence) - difference, difference


def kls(q, p):
    return (q * (q / p).log()).sum(-1)


def parts(p, likelihood, q):
    """The posterior, the ELBO and the gap."""
    joint = p * likelihood
    posterior = joint / joint.sum(-1, keepdim=True)
    return posterior, (q * (joint / q).log()).sum(-1), kls(q, posterior)


def of_parts(answer):
    return lambda p, likelihood, q: answer(p, likelihood, q, *parts(p, likelihood, q))


PRIOR_KL = (
    "Your second number is the KL to the prior. That one is a part of the ELBO; the gap is a KL to another distribution. "
    "Which q would make the bound tight?"
)

EXACT = Task(
    name="elbo/exact",
    draw=draw_exact,
    reference=exact,
    mistakes=(
        Mistake(
            "KL of the wrong direction",
            "Your ELBO is right. The other KL has the right distributions in the wrong order: in the ELBO, "
            "who is z drawn from?",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(post, q))),
        ),
        Mistake(
            "KL to the prior for the gap",
            PRIOR_KL,
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, p))),
        ),
        Mistake(
            "gap with the wrong sign",
            "Your ELBO is right. The gap comes out negative, as if the ELBO could exceed log p(x).",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, -gap)),
        ),
        Mistake(
            "posterior in place of the joint",
            "Your two numbers add up to zero, for every model. The posterior does not know how probable the "
            "picture is: which density stands in the numerator of the weight?",
            of_parts(lambda p, lik, q, post, elbo, gap: (-gap, gap)),
        ),
        Mistake(
            "softmax of probabilities",
            "Your ELBO is right. For the posterior you took a softmax, which exponentiates: that would be "
            "right for logarithms of the joint.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, (p * lik).softmax(-1)))),
        ),
        Mistake(
            "posterior not normalised",
            "Your two numbers add up to zero, for every model. The posterior has to sum to 1 over the states.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, p * lik))),
        ),
        Mistake(
            "prior forgotten in the posterior",
            "Your ELBO is right. Your posterior is the likelihood, scaled to sum to 1. What does Bayes' rule "
            "say of a state that explains the picture well and hardly ever occurs?",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, lik / lik.sum(-1, keepdim=True)))),
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, lik))),
        ),
        Mistake(
            "posterior summed to 1 over the pictures",
            "Your ELBO is right. p(z|x) sums to 1 over the states of one picture; you divided by a sum over "
            "the pictures.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, p * lik / (p * lik).sum(0)))),
        ),
        Mistake(
            "posterior summed to 1 over the whole table",
            "Your ELBO is right. Each picture has a posterior of its own, which sums to 1; you divided by one "
            "sum for all.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo, kls(q, p * lik / (p * lik).sum()))),
        ),
        Mistake(
            "KL added to the reconstruction",
            "In your first number a q far from the prior is rewarded. Set q to the posterior: does it give log p(x)?",
            of_parts(lambda p, lik, q, post, elbo, gap: ((q * lik.log()).sum(-1) + kls(q, p), gap)),
        ),
        Mistake(
            "entropy of q forgotten",
            "Your first number is E[log p(x, z)]. The ELBO is the mean of log w, and w has something in its "
            "denominator.",
            of_parts(lambda p, lik, q, post, elbo, gap: ((q * (p * lik).log()).sum(-1), gap)),
        ),
        Mistake(
            "prior forgotten in the ELBO",
            "Your second number is right. The first does not change with the prior; p(x, z) does.",
            of_parts(lambda p, lik, q, post, elbo, gap: ((q * (lik / q).log()).sum(-1), gap)),
        ),
        Mistake(
            "only the reconstruction",
            "Your first number is E[log p(x|z)]: it costs nothing to move q away from the prior. Two factors "
            "of the weight are missing.",
            of_parts(lambda p, lik, q, post, elbo, gap: ((q * lik.log()).sum(-1), gap)),
        ),
        Mistake(
            "log p(x) for the ELBO",
            "Your first number does not depend on q: it is log p(x) itself. What is left of it when the gap "
            "is taken away?",
            of_parts(lambda p, lik, q, post, elbo, gap: ((p * lik).sum(-1).log(), gap)),
        ),
        Mistake(
            "sum over z inside the logarithm",
            "You take the logarithm of a mean over q. In the ELBO the mean stands outside the logarithm.",
            of_parts(lambda p, lik, q, post, elbo, gap: ((q * lik).sum(-1).log() - kls(q, p), gap)),
        ),
        Mistake(
            "the ELBO as a loss",
            "Your first number has the wrong sign: asked is the ELBO, which one maximises, not the loss.",
            of_parts(lambda p, lik, q, post, elbo, gap: (-elbo, gap)),
        ),
        Mistake(
            "the two numbers exchanged",
            "Both numbers are right, but in the other order: the ELBO first.",
            of_parts(lambda p, lik, q, post, elbo, gap: (gap, elbo)),
        ),
        Mistake(
            "one number for all pictures",
            "There should be two numbers for each picture, of shape (N,). You averaged or added over the pictures.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo.mean(), gap.mean())),
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo.sum(), gap.sum())),
        ),
        Mistake(
            "mean for sum over the states",
            "Your numbers are the right ones divided by the number of states. The weights q make the sum a "
            "mean already.",
            of_parts(lambda p, lik, q, post, elbo, gap: (elbo / len(p), gap / len(p))),
        ),
    ),
)


# elbo/k_sample_bound(log_p_x_given_z, log_p_z, log_q_z_given_x)


def draw_k(rng):
    draws = int(rng.integers(2, 6))
    pictures = int(rng.choice([size for size in range(2, 6) if size != draws]))
    level = torch.tensor([-1100.0] + [-2.0] * (pictures - 1))  # one picture is large, the others are small
    return {
        "log_p_x_given_z": level + rounded_normal(rng, draws, pictures, scale=1.5),
        "log_p_z": -3 + rounded_normal(rng, draws, pictures),
        "log_q_z_given_x": -2 + rounded_normal(rng, draws, pictures),
    }


def k_sample(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = (log_p_x_given_z + log_p_z - log_q_z_given_x).numpy()
    return logsumexp(log_w, axis=0, b=1 / len(log_w))


def log_mean_exp(log_w):
    return log_w.logsumexp(0) - math.log(len(log_w))


WHOLE_BATCH = "There should be one number for each picture, shape (B,). You also averaged over the pictures."

K_SAMPLE = Task(
    name="elbo/k_sample_bound",
    draw=draw_k,
    reference=k_sample,
    agree=Close(rtol=1e-6, atol=1e-3),  # a thousandth of a nat, for numbers near a thousand
    mistakes=(
        Mistake(
            "mean of the logs",
            "You average log-weights, which estimates the ELBO. In the K-sample bound the mean over draws "
            "stands inside the logarithm.",
            lambda a, b, c: (a + b - c).mean(0),
        ),
        Mistake(
            "forgot log K",
            "You have the log of a sum; the bound has the log of a mean. With K equal weights w, what must come out?",
            lambda a, b, c: (a + b - c).logsumexp(0),
        ),
        Mistake(
            "K subtracted, not log K",
            "Dividing by K inside a logarithm does something else outside it. With K equal weights w, what "
            "must come out?",
            lambda a, b, c: (a + b - c).logsumexp(0) - len(a),
        ),
        Mistake(
            "log K added",
            "A mean is smaller than a sum. With K equal weights w, what must come out?",
            lambda a, b, c: (a + b - c).logsumexp(0) + math.log(len(a)),
        ),
        Mistake(
            "divided by K outside the logarithm",
            "You divide the logarithm by K. The mean over the weights is taken before the logarithm.",
            lambda a, b, c: (a + b - c).logsumexp(0) / len(a),
        ),
        Mistake(
            "the exponential became zero",
            "For some picture your function holds log 0: e to the power of −1100 is zero to a computer. "
            "Factor out the largest weight first, or look for a function that does.",
            lambda a, b, c: (a + b - c).exp().mean(0).log(),
        ),
        Mistake(
            "a small number added against log 0",
            "Something like 1e-8 keeps the logarithm from −∞, and replaces the answer: log 1e-8 is −18, the "
            "picture costs over 1,000 nats. Factor out the largest weight instead.",
            lambda a, b, c: ((a + b - c).exp().mean(0) + 1e-8).log(),
            lambda a, b, c: (a + b - c).exp().mean(0).clamp(min=1e-8).log(),
        ),
        Mistake(
            "largest weight not put back",
            "You factored out the largest weight and left it out. A picture that costs 1,100 nats should not "
            "come out near zero.",
            lambda a, b, c: log_mean_exp(a + b - c - (a + b - c).amax(0)),
        ),
        Mistake(
            "only the largest weight",
            "You kept the largest weight alone. The others are smaller, but not nothing.",
            lambda a, b, c: (a + b - c).amax(0) - math.log(len(a)),
            lambda a, b, c: (a + b - c).amax(0),
        ),
        Mistake(
            "log q added",
            "The weight is p(x, z) divided by q(z|x). Which sign has the logarithm of a denominator?",
            lambda a, b, c: log_mean_exp(a + b + c),
        ),
        Mistake(
            "log q forgotten",
            "Your draws come from q, not from the prior. What in the weight corrects for that?",
            lambda a, b, c: log_mean_exp(a + b),
        ),
        Mistake(
            "prior forgotten",
            "The numerator of the weight is the joint density p(x, z), of which you have one factor.",
            lambda a, b, c: log_mean_exp(a - c),
        ),
        Mistake(
            "only the likelihood",
            "A mean of p(x|z) estimates p(x) if z is drawn from the prior. Yours are drawn from q.",
            lambda a, b, c: log_mean_exp(a),
        ),
        Mistake(
            "only the likelihood averaged inside",
            "The KL part of your number is averaged outside the logarithm. A weight belongs together: all "
            "three factors of one draw go into it before the mean.",
            lambda a, b, c: log_mean_exp(a) + (b - c).mean(0),
        ),
        Mistake(
            "the weights' own weighted mean",
            "You average log-weights with the normalised weights, as one does for the gradient. The bound is "
            "the log of their plain mean.",
            lambda a, b, c: ((a + b - c).softmax(0) * (a + b - c)).sum(0),
        ),
        Mistake(
            "the bound as a loss",
            "Every number has the wrong sign: asked is the bound on log p(x), not the loss.",
            lambda a, b, c: -log_mean_exp(a + b - c),
        ),
        Mistake(
            "log-mean over the pictures",
            "You averaged over the pictures and kept the draws. Which axis counts the draws in shape (K, B)?",
            lambda a, b, c: log_mean_exp((a + b - c).T),
        ),
        Mistake(
            "log K of the wrong axis",
            "You divided by the number of pictures. How many draws does a picture have?",
            lambda a, b, c: (a + b - c).logsumexp(0) - math.log(a.shape[1]),
        ),
        Mistake(
            "one number for the whole batch",
            WHOLE_BATCH,
            lambda a, b, c: log_mean_exp(a + b - c).mean(),
            lambda a, b, c: (a + b - c).mean(),
            lambda a, b, c: log_mean_exp((a + b - c).flatten()),
        ),
    ),
)


# elbo/common_xi(m, s)


def draw_margins(rng):
    size = int(rng.integers(2, 6))
    first = torch.cat(
        [rounded_uniform(rng, 1, low=2.0, high=4.0), rounded_uniform(rng, 1, low=-1.0, high=1.0)]
    )  # so that they differ
    return {
        "m": torch.cat([first, rounded_normal(rng, size - 2, scale=2.0)]),
        "s": rounded_uniform(rng, size, low=0.3, high=1.5),
    }


def best_common_xi(m, s):
    m, s = np.asarray(m), np.asarray(s)
    xi = np.linalg.norm(np.concatenate([m, s])) / np.sqrt(len(m))
    touching = log_expit(xi) - xi / 2 + m / 2  # the tangent in t², at t = xi
    return xi, touching + (0.5 - 1 / (1 + np.exp(-xi))) / (2 * xi) * (m**2 + s**2 - xi**2)


def lam(xi):
    return torch.tanh(xi / 2) / (4 * xi)


def bounds(m, square, xi, factor=1.0):
    return logsigmoid(xi) + (m - xi) / 2 - factor * lam(xi) * (square - xi**2)


def with_xi(choose):
    return lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi)))(choose(m, s))


def root(m, s):
    return (m**2 + s**2).mean().sqrt()


MEAN_SQUARE = "It is the derivative by ξ that has to vanish, summed over the batch, and it knows the margins through E[t²] only. What do the E[t²] − ξ² then have to add up to?"
LAMBDA = "Your ξ is right. Check λ: for ξ near 0 it approaches 1/8. What does yours approach?"
SPREAD = "E[t²] of an uncertain margin is more than the square of its mean. What else is in it?"
BOUND_SPREAD = "Your ξ is right. " + SPREAD

COMMON_XI = Task(
    name="elbo/common_xi",
    draw=draw_margins,
    reference=best_common_xi,
    mistakes=(
        Mistake(
            "a ξ for each margin",
            "These would be the best of all, one for each margin. Here all margins have to share a single ξ.",
            with_xi(lambda m, s: (m**2 + s**2).sqrt()),
        ),
        Mistake(
            "mean of the margins' own ξ",
            MEAN_SQUARE,
            with_xi(lambda m, s: (m**2 + s**2).sqrt().mean()),
        ),
        Mistake(
            "middle one of the margins' own ξ",
            MEAN_SQUARE,
            with_xi(lambda m, s: (m**2 + s**2).sqrt().median()),
        ),
        Mistake(
            "largest of the margins' own ξ",
            MEAN_SQUARE,
            with_xi(lambda m, s: (m**2 + s**2).sqrt().max()),
        ),
        Mistake(
            "sum for mean",
            MEAN_SQUARE,
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
            SPREAD,
            with_xi(lambda m, s: (m**2).mean().sqrt()),
            lambda m, s: (lambda xi: (xi, bounds(m, m**2, xi)))((m**2).mean().sqrt()),
        ),
        Mistake(
            "uncertainty forgotten in the bound",
            BOUND_SPREAD,
            lambda m, s: (root(m, s), bounds(m, m**2, root(m, s))),
        ),
        Mistake(
            "mean size of the margins",
            MEAN_SQUARE,
            with_xi(lambda m, s: m.abs().mean()),
        ),
        Mistake(
            "spread of the margins in the batch",
            MEAN_SQUARE,
            with_xi(lambda m, s: (m.var() + (s**2).mean()).sqrt()),
        ),
        Mistake(
            "s added before the square",
            "E[t²] is not the square of m + s: multiply out (m + noise)² and average. What becomes of the mixed term?",
            lambda m, s: (lambda xi: (xi, bounds(m, (m + s) ** 2, xi)))(((m + s) ** 2).mean().sqrt()),
        ),
        Mistake(
            "root forgotten",
            "Your ξ has the unit of a squared margin. Try a batch of one certain margin, s close to 0: where "
            "must the bound touch?",
            with_xi(lambda m, s: (m**2 + s**2).mean()),
            lambda m, s: (root(m, s) ** 2, bounds(m, m**2 + s**2, root(m, s))),
        ),
        Mistake(
            "standard deviation for variance",
            "You add a standard deviation to a squared mean. What does E[t²] hold besides m²?",
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s, xi)))((m**2 + s).mean().sqrt()),
        ),
        Mistake(
            "λ too large or too small",
            LAMBDA,
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s), 2)),
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s), 0.5)),
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi, torch.tanh(xi) / torch.tanh(xi / 2))))(root(m, s)),
        ),
        Mistake(
            "sign of the λ term flipped",
            "Your ξ is right. Your bound bends upwards in t and so leaves log σ(t) below it, far out: which "
            "sign has the square?",
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s), -1)),
        ),
        Mistake(
            "λ term left out",
            "Your ξ is right. With each margin's own ξ the last term vanishes; with a shared one it does so "
            "only on average.",
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s), 0)),
        ),
        Mistake(
            "linear term forgotten",
            "Your ξ is right. Your bound does not tell a margin of −2 from one of 2; a term of it should.",
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi) - (m - xi) / 2))(root(m, s)),
        ),
        Mistake(
            "ξ with the wrong sign in the linear term",
            "Your ξ is right. For a certain margin, m = ξ and s close to 0, the bound has to be log σ(ξ); is it?",
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi) + xi))(root(m, s)),
        ),
        Mistake(
            "(m − ξ)² for E[t²] − ξ²",
            "Your ξ is right. The last term is a difference of squares, not the square of a difference: the "
            "bound has to touch at −ξ as well.",
            lambda m, s: (lambda xi: (xi, bounds(m, (m - xi) ** 2 + s**2 + xi**2, xi)))(root(m, s)),
        ),
        Mistake(
            "½ of the linear term forgotten",
            "Your ξ is right. At t = 0 the slope of log σ(t) is a half.",
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi) + (m - xi) / 2))(root(m, s)),
        ),
        Mistake(
            "σ for log σ",
            "Your ξ is right. The bound is on a log-likelihood, but its first term is a probability.",
            lambda m, s: (lambda xi: (xi, bounds(m, m**2 + s**2, xi) - logsigmoid(xi) + torch.sigmoid(xi)))(root(m, s)),
        ),
        Mistake(
            "log σ of the mean margin",
            "Your ξ is right, and not used in the second result. By Jensen, is log σ of a mean below or above "
            "the mean of log σ?",
            lambda m, s: (root(m, s), logsigmoid(m)),
        ),
        Mistake(
            "one number for all margins",
            "Your ξ is right. The second result should have a bound for each margin, shape (B,).",
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s)).sum()),
            lambda m, s: (root(m, s), bounds(m, m**2 + s**2, root(m, s)).mean()),
        ),
    ),
)


# elbo/directions(reports)


def draw_reports(rng):
    reports = [
        *(
            WeightedElbo(beta)
            for beta in (0.0, float(rng.choice([0.2, 0.3, 0.4])), 1.0, float(rng.choice([1.5, 2.0, 3.0])))
        ),
        *(
            LogPowerMean(power)
            for power in (float(rng.choice([-2.0, -1.0, -0.5])), 0.5, 1.0, float(rng.choice([1.5, 2.0])))
        ),
        *(Joint(), BestState(), MostProbableState(), MidWay(), MidWay(1.0)),
    ]
    return {"reports": [reports[i] for i in rng.permutation(len(reports))]}


def word_by_theory(report):
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
    return [word_by_theory(report) for report in reports]


def tables(q=None, size=500):
    generator = torch.Generator().manual_seed(1)
    a, b, c = 1.5 * torch.randn(3, size, 3, generator=generator)
    p_z, likelihood = a.softmax(-1), b.sigmoid()
    if q == "posterior":
        return p_z, likelihood, p_z * likelihood / (p_z * likelihood).sum(-1, keepdim=True)
    return p_z, likelihood, p_z if q == "prior" else c.softmax(-1)


def word(excess, tolerance=1e-5):
    above, below = bool((excess > tolerance).any()), bool((excess < -tolerance).any())
    return ("neither" if below else "upper") if above else "lower" if below else "exact"


def evidence(p_z, likelihood, q):
    return (p_z * likelihood).sum(-1).log()


def by_rule(rule=word, q=None, size=500, truth=evidence):
    """Words by some rule from what the reports exceed log p(x) by."""
    given = tables(q, size)
    return lambda reports: [rule(report(*given) - truth(*given)) for report in reports]


EXCHANGED = {"lower": "upper", "upper": "lower", "exact": "exact", "neither": "neither"}
ONE_Q = (
    "You tried one kind of q only. A claim that holds for every q has to be tested with q that are nothing special: neither "
    "the prior nor the posterior, and different from row to row."
)
ONE_CASE = (
    "A few cases, or the average of many, cannot tell a bound from a number that is sometimes above and sometimes below. "
    "What does a single exception say?"
)
TRUTH = "Check what you compare with: a row's log p(x) is the log of a sum over the states, in which q does not occur."

DIRECTIONS = Task(
    name="elbo/directions",
    draw=draw_reports,
    reference=directions,
    cases=3,
    mistakes=(
        Mistake(
            "only q = prior tried",
            ONE_Q,
            by_rule(q="prior"),
        ),
        Mistake(
            "only q = posterior tried",
            ONE_Q,
            by_rule(q="posterior"),
        ),
        Mistake(
            "only one model tried",
            ONE_CASE,
            by_rule(size=1),
        ),
        Mistake(
            "judged by the average",
            ONE_CASE,
            by_rule(lambda excess: word(excess.mean())),
        ),
        Mistake(
            "judged by the majority",
            ONE_CASE,
            by_rule(lambda excess: word(excess.median())),
        ),
        Mistake(
            "lower and upper exchanged",
            "A lower bound is a number that log p(x) lies above. You have the two the other way round.",
            by_rule(lambda excess: EXCHANGED[word(excess)]),
        ),
        Mistake(
            "rounding taken for a difference",
            "Some report equals log p(x) up to its last digits. Allow for rounding before you say above or below.",
            by_rule(lambda excess: word(excess, 0.0)),
        ),
        Mistake(
            "averaged over q in place of the prior",
            TRUTH,
            by_rule(truth=lambda p, lik, q: (q * lik).sum(-1).log()),
        ),
        Mistake(
            "prior forgotten in p(x)",
            TRUTH,
            by_rule(truth=lambda p, lik, q: lik.mean(-1).log()),
            by_rule(truth=lambda p, lik, q: lik.sum(-1).log()),
        ),
        Mistake(
            "mean of the logs for log p(x)",
            TRUTH,
            by_rule(truth=lambda p, lik, q: (p * lik.log()).sum(-1)),
        ),
        Mistake(
            "p(x) for log p(x)",
            TRUTH,
            by_rule(truth=lambda p, lik, q: (p * lik).sum(-1)),
        ),
        Mistake(
            "the same word for all",
            "Not every number that gets printed as a log-likelihood is a lower bound. Call the reports and see.",
            lambda reports: ["lower"] * len(reports),
        ),
    ),
)


# elbo/repaired_loss(x, mu, log_var, eps, decoder)


def draw_loss(rng):
    batch, latents = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    pixels = int(rng.integers(5, 8))
    return {
        "x": torch.tensor(rng.integers(0, 2, size=(batch, pixels)), dtype=torch.float32),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents, scale=0.7),
        "eps": rounded_normal(rng, batch, latents),
        "decoder": Linear(rounded_normal(rng, latents, pixels, scale=0.7), rounded_normal(rng, pixels)),
    }


def minus_elbo(x, mu, log_var, eps, decoder):
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    z = mu + (log_var / 2).exp() * eps
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    log_w = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x) + prior.log_prob(z) - q.log_prob(z)
    return -log_w.mean()


def standard(z):
    return -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)


def flawed(falls=False, added=False, inside=False, at_eps=False, log_var_share=0.5, scale=0.5, detach=False, cut=False):
    """The loss with some of its faults left in, or with new ones."""

    def answer(x, mu, log_var, eps, decoder):
        z = mu + (scale * log_var).exp() * eps
        z = z.detach() if detach else z
        log_p = -binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1) + standard(z)
        if cut:
            mu, log_var = mu.detach(), log_var.detach()
        log_q = standard((z - mu) / (scale * log_var).exp()) - (0 if at_eps else log_var_share) * log_var.sum(-1)
        log_w = log_p + log_q if added else log_p - log_q
        bound = log_mean_exp(log_w) if inside else log_w.mean()
        return bound if falls else -bound

    return answer


FAULTS = {
    "falls": (
        "the ELBO is minimised",
        "The loop minimises your number, and a more probable picture makes it larger. What is minimised has to be an upper bound on −log p(x).",
    ),
    "added": (
        "log q added",
        "log q(z|x) has the wrong sign: the ELBO is the mean of log w, and q stands in the denominator of w.",
    ),
    "inside": (
        "log of the mean over pictures",
        "You take the logarithm after averaging over the pictures, so that the most probable picture outshouts the rest. Where does the "
        "average over pictures belong?",
    ),
    "at_eps": (
        "log q evaluated as the density of eps",
        "Your log q(z|x) is the density of the noise. z is the noise stretched by σ: what does stretching do to a density? Let σ be "
        "tiny; how dense are the draws round μ?",
    ),
}


def leftovers():
    """All ways to leave some of the four faults in; each is named by the first that is left."""
    for left in itertools.product((True, False), repeat=len(FAULTS)):
        faults = dict(zip(FAULTS, left, strict=True))
        if any(left):
            first = next(name for name, still in faults.items() if still)
            yield Mistake(FAULTS[first][0], FAULTS[first][1], flawed(**faults))


def pieces(x, mu, log_var, eps, decoder):
    """−log p(x|z) of each picture, z, and the closed form of the KL."""
    z = mu + (log_var / 2).exp() * eps
    cost = binary_cross_entropy_with_logits(decoder(z), x, reduction="none")
    kl = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)).sum(-1)
    return cost, z, kl


def log_of_sum(*given):
    return flawed(inside=True)(*given) - math.log(len(given[0]))


def prior_subtracted(x, mu, log_var, eps, decoder):
    return minus_elbo(x, mu, log_var, eps, decoder) + 2 * standard(mu + (log_var / 2).exp() * eps).mean()


def kl_subtracted(*given):
    return 2 * pieces(*given)[0].sum(-1).mean() - minus_elbo(*given)


def reconstruction_subtracted(*given):
    return minus_elbo(*given) - 2 * pieces(*given)[0].sum(-1).mean()


def centred(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    proper, at_zero = (Normal(mean, (log_var / 2).exp()).log_prob(z).sum(-1) for mean in (mu, torch.zeros_like(mu)))
    return minus_elbo(x, mu, log_var, eps, decoder) + (at_zero - proper).mean()


def variance_in_log_q(x, mu, log_var, eps, decoder):
    z = mu + (log_var / 2).exp() * eps
    proper, wrong = (Normal(mu, sigma).log_prob(z).sum(-1) for sigma in ((log_var / 2).exp(), log_var.exp()))
    return minus_elbo(x, mu, log_var, eps, decoder) + (wrong - proper).mean()


def closed_form(*given):
    cost, _, kl = pieces(*given)
    return (cost.sum(-1) + kl).mean()


def counted_twice(*given):
    return minus_elbo(*given) + pieces(*given)[2].mean()


def without_log_q(*given):
    cost, z, _ = pieces(*given)
    return (cost.sum(-1) - standard(z)).mean()


def without_prior(x, mu, log_var, eps, decoder):
    return minus_elbo(x, mu, log_var, eps, decoder) + standard(mu + (log_var / 2).exp() * eps).mean()


def mean_over_pixels(*given):
    cost = pieces(*given)[0]
    return minus_elbo(*given) - cost.sum(-1).mean() + cost.mean()


REPAIRED_LOSS = Task(
    name="elbo/repaired_loss",
    draw=draw_loss,
    reference=minus_elbo,
    observe=Gradients(("mu", "log_var")),
    cases=4,
    mistakes=(
        *leftovers(),
        Mistake(
            FAULTS["inside"][0],
            FAULTS["inside"][1],
            log_of_sum,
        ),
        Mistake(
            "prior subtracted",
            "log p(z) has the wrong sign: a z that the prior finds improbable should make the loss larger.",
            prior_subtracted,
        ),
        Mistake(
            "KL with the wrong sign",
            "Your loss is lower for an encoder that goes far from the prior. Which part of the ELBO is subtracted?",
            kl_subtracted,
        ),
        Mistake(
            "reconstruction with the wrong sign",
            "Your loss is lower for a decoder that makes the picture improbable. Which part of the ELBO is subtracted?",
            reconstruction_subtracted,
        ),
        Mistake(
            "log q without its mean",
            "Your q has the right width and sits at 0. Where are the draws of z?",
            centred,
        ),
        Mistake(
            "closed form for the draw",
            "That is minus an ELBO, too, and a good loss: your KL is the closed form. Asked is the estimate "
            "in which every part is evaluated at the drawn z.",
            closed_form,
        ),
        Mistake(
            "KL counted twice",
            "You have both the log-densities at z and the closed form of the KL. They are two ways to say the "
            "same thing.",
            counted_twice,
        ),
        Mistake(
            "log q left out",
            "Without log q nothing keeps the encoder from shrinking σ to zero. It belongs into the weight.",
            without_log_q,
        ),
        Mistake(
            "prior left out",
            "Your loss never asks where z lies under the prior. p(x, z) has two factors.",
            without_prior,
        ),
        Mistake(
            "mean over the pixels",
            "The pixels' costs are averaged. That was right in the printed loss: pixels are independent given "
            "z, so their logs add up.",
            mean_over_pixels,
        ),
        Mistake(
            "summed over the batch",
            "Your number grows with the size of the batch. Asked are nats per picture.",
            lambda x, *rest: len(x) * minus_elbo(x, *rest),
        ),
        Mistake(
            "not averaged over the batch",
            "A loss is one number: you return one for each picture.",
            lambda x, mu, log_var, eps, decoder: torch.stack(
                [minus_elbo(*(t[i : i + 1] for t in (x, mu, log_var, eps)), decoder) for i in range(len(x))]
            ),
        ),
        Mistake(
            "log σ² for log σ in log q",
            "Stretching by σ divides the density by σ. log_var is the logarithm of its square.",
            flawed(log_var_share=1.0),
        ),
        Mistake(
            "log σ with the wrong sign in log q",
            "Your log q grows with σ. Is a wide distribution dense or thin where its draws fall?",
            flawed(log_var_share=-0.5),
        ),
        Mistake(
            "exp(log_var) taken for σ",
            "exp(log σ²) is σ². How was z drawn in the printed loss?",
            flawed(scale=1.0, log_var_share=1.0),
            variance_in_log_q,
        ),
        Mistake(
            "z cut from the graph",
            "The value is right, but no gradient flows through z: the decoder's opinion never reaches the encoder.",
            flawed(detach=True),
        ),
        Mistake(
            "log q cut from the graph",
            "The value is right, and you stopped the gradient of log q's parameters. That is a known trick, "
            "but asked is the plain gradient.",
            flawed(cut=True),
        ),
    ),
)

TASKS = (JENSEN_GAP, EXACT, K_SAMPLE, COMMON_XI, DIRECTIONS, REPAIRED_LOSS)
