"""The tasks of exercise 10, how tight the bound is."""

import math
from functools import partial
from itertools import combinations

import numpy as np
import torch
from scipy.special import logsumexp
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import GaussianEncoder, LogitDecoder

__all__ = ["TASKS"]


def log_mean_exp(log_weights, axis=0):
    """The logarithm of the mean weight, computed from log-weights."""
    return log_weights.logsumexp(axis) - math.log(log_weights.shape[axis])


# bound/log_p_x(log_p_x_given_z, log_p_z, log_q)


def draw_log_p_x(rng):
    """Draw log-likelihoods of large pictures: pictures differ by hundreds of nats, draws for a picture by a few."""
    batch = int(rng.integers(2, 5))
    draws = int(rng.choice([number for number in (3, 4, 5, 6) if number != batch]))
    base = rng.permutation([-2000.0, -900.0, -1300.0, -1600.0][:batch]) + rng.uniform(-15, 15, size=batch)
    likelihood = base + 2.5 * rng.normal(size=(draws, batch))
    return {
        "log_p_x_given_z": torch.tensor(np.round(likelihood, 2), dtype=torch.float32),
        "log_p_z": rounded_normal(rng, draws, batch) - 4,
        "log_q": rounded_normal(rng, draws, batch) + 1.5,
    }


def draw_one_good_draw(rng):
    """Draw the same, but with one draw for the most likely picture, and the others for it as bad as can be."""
    case = draw_log_p_x(rng)
    likelihood = case["log_p_x_given_z"]
    bad = torch.arange(len(likelihood)) != int(rng.integers(len(likelihood)))
    likelihood[bad, int(likelihood[0].argmax())] -= 1100
    return case


def log_p_x(log_p_x_given_z, log_p_z, log_q):
    """The logarithm of the mean importance weight (lesson 10, section 1; Burda et al. 2016), by SciPy."""
    weights = (log_p_x_given_z + log_p_z - log_q).numpy()
    return logsumexp(weights, axis=0, b=1 / len(weights))


def from_log_weights(estimate):
    """Return an answer that applies `estimate` to the right log-weights (K, B)."""
    return lambda likelihood, prior, q: estimate(likelihood + prior - q)


def shifted_by(shift):
    """Return an answer that subtracts `shift` from the log-weights and adds it again, whatever happens in between."""
    return from_log_weights(lambda w: (w - shift(w)).exp().mean(0).log() + shift(w))


LOG_P_X = Task(
    name="bound/log_p_x",
    draw=(draw_log_p_x, draw_one_good_draw),
    reference=log_p_x,
    agree=Close(rtol=1e-6, atol=2e-3),  # float32 at 2,000 nats
    mistakes=(
        Mistake(
            "left the logarithms",
            "Somewhere you leave the logarithms: exp(−800) is 0 in the computer, and its logarithm −∞. Think of a "
            "number that you may subtract from all log-weights of one picture and add to the result, or look for a "
            "function that does so.",
            from_log_weights(lambda w: w.exp().mean(0).log()),
            from_log_weights(lambda w: w.exp().mean(0)),
            *(
                from_log_weights(lambda w, small=small: (w.exp().mean(0) + small).log())
                for small in (1e-6, 1e-8, 1e-9, 1e-10, 1e-12, 1e-16, 1e-20, 1e-30, 1e-38)
            ),
        ),
        Mistake(
            "one maximum for all pictures",
            "You subtract the same maximum from all pictures. Next to a picture of −900 nats one of −2000 is still "
            "lost: each needs its own.",
            shifted_by(lambda w: w.max()),
            from_log_weights(lambda w: (w.double() - w.max()).exp().mean(0).log() + w.max()),
        ),
        Mistake(
            "overflow",
            "Your result is infinite where one draw of a picture is very much better than the others: what you "
            "subtract before the exponential leaves a number like +800. Which of the picture's own log-weights may "
            "you subtract, so that no exponent is ever positive?",
            shifted_by(lambda w: w.mean(0)),
            shifted_by(lambda w: w.min(0).values),
            shifted_by(lambda w: w.median(0).values),
            shifted_by(lambda w: w.quantile(0.5, dim=0)),
        ),
        Mistake(
            "largest weight not added back",
            "You take the largest log-weight out of each picture's average, and do not put it back. A picture of "
            "−2000 nats should not come out near 0.",
            from_log_weights(lambda w: log_mean_exp(w - w.max(0).values)),
            from_log_weights(lambda w: (w - w.max(0).values).logsumexp(0)),
        ),
        Mistake(
            "mean of the logarithms",
            "You average the logarithms. That is the ELBO again, however many draws you take. Which comes first?",
            from_log_weights(lambda w: w.mean(0)),
        ),
        Mistake(
            "another average of the weights",
            "You combine the draws in another way than by the plain mean of the weights. p(x) is the expectation of "
            "the weight itself; what estimates an expectation?",
            from_log_weights(lambda w: -log_mean_exp(-w)),
            lambda likelihood, prior, q: -log_mean_exp(-likelihood),
            from_log_weights(lambda w: w.mean(0) + w.var(0) / 2),
            from_log_weights(lambda w: w.mean(0) + w.var(0, correction=0) / 2),
            from_log_weights(lambda w: w.sum(0)),
            from_log_weights(lambda w: w.median(0).values),
        ),
        Mistake(
            "not the mean of K weights",
            "Put in K equal weights: what should come out? Your estimate is off by a number that is the same for every "
            "picture. Over how many weights does the mean run?",
            from_log_weights(lambda w: w.logsumexp(0)),
            from_log_weights(lambda w: w.logsumexp(0) - math.log(w.shape[1])),
            from_log_weights(lambda w: w.logsumexp(0) - math.log(w.numel())),
            from_log_weights(lambda w: w.logsumexp(0) + math.log(len(w))),
            from_log_weights(lambda w: w.logsumexp(0) - math.log2(len(w))),
            from_log_weights(lambda w: w.logsumexp(0) - math.log(len(w) - 1)),
            from_log_weights(lambda w: w.logsumexp(0) - len(w)),
        ),
        Mistake(
            "divided after the logarithm",
            "You divide the logarithm itself. Put in K equal weights: the estimate should be their logarithm. What "
            "becomes of a factor of 1/K when the logarithm is taken?",
            from_log_weights(lambda w: w.logsumexp(0) / len(w)),
            from_log_weights(lambda w: log_mean_exp(w) / len(w)),
        ),
        Mistake(
            "parts averaged one by one",
            "You average over the draws before the parts of the weight are put together. The mean of a product is not "
            "the product of the means: each draw has a weight of its own.",
            lambda likelihood, prior, q: log_mean_exp(likelihood) + log_mean_exp(prior) - log_mean_exp(q),
            lambda likelihood, prior, q: log_mean_exp(likelihood + prior) - log_mean_exp(q),
            lambda likelihood, prior, q: log_mean_exp(likelihood) + log_mean_exp(prior - q),
            lambda likelihood, prior, q: log_mean_exp(likelihood) + (prior - q).mean(0),
            lambda likelihood, prior, q: log_mean_exp(likelihood + prior) - q.mean(0),
            lambda likelihood, prior, q: likelihood.mean(0) + log_mean_exp(prior - q),
        ),
        Mistake(
            "weights divided by their sum",
            "You weigh the draws with weights that are divided by their sum. They then add up to 1 whatever was drawn, "
            "so that their size, which is what p(x) says, is lost. Which simpler average of the whole weights is p(x)?",
            from_log_weights(lambda w: (w.softmax(0) * w).sum(0)),
            lambda likelihood, prior, q: (likelihood + prior - q).logsumexp(0) - (prior - q).logsumexp(0),
            lambda likelihood, prior, q: ((likelihood + prior - q).softmax(0) * likelihood).sum(0),
            lambda likelihood, prior, q: ((likelihood + prior - q).softmax(0) * (likelihood + prior)).sum(0),
            lambda likelihood, prior, q: ((prior - q).softmax(0) * likelihood).sum(0),
        ),
        Mistake(
            "prior forgotten",
            "Your weights lack a factor. The decoder tells how probable the picture is if the latent is z; how "
            "probable is this z to begin with?",
            lambda likelihood, prior, q: log_mean_exp(likelihood - q),
        ),
        Mistake(
            "proposal forgotten",
            "You do not use log_q. The draws come from the encoder, which favours some z; what corrects for that?",
            lambda likelihood, prior, q: log_mean_exp(likelihood + prior),
        ),
        Mistake(
            "only the likelihood averaged",
            "You average p(x|z) alone. That is right if z is drawn from the prior; these draws come from the encoder.",
            lambda likelihood, prior, q: log_mean_exp(likelihood),
        ),
        Mistake(
            "a factor on the wrong side of the fraction",
            "You multiply by a density where the weight divides by it, or the other way round. Should a z count more "
            "or less if the prior makes it likely, and if the encoder proposes it often?",
            lambda likelihood, prior, q: log_mean_exp(likelihood + prior + q),
            lambda likelihood, prior, q: log_mean_exp(likelihood - prior + q),
            lambda likelihood, prior, q: log_mean_exp(likelihood - prior - q),
            lambda likelihood, prior, q: log_mean_exp(likelihood + q),
        ),
        Mistake(
            "only the largest weight",
            "You return the largest log-weight. It leads the sum, but the other draws count as well, and so does K.",
            from_log_weights(lambda w: w.max(0).values),
            from_log_weights(lambda w: w.max(0).values - math.log(len(w))),
        ),
        Mistake(
            "averaged over the wrong axis",
            "You averaged over the pictures and kept the draws. Which axis counts the draws in shape (K, B)?",
            from_log_weights(lambda w: log_mean_exp(w, 1)),
            from_log_weights(lambda w: w.logsumexp(1) - math.log(len(w))),
        ),
        Mistake(
            "pictures averaged as well",
            "You get one number for all pictures together. Each picture has a likelihood of its own: over which axis "
            "does the mean run?",
            from_log_weights(lambda w: log_mean_exp(w.flatten()).expand(w.shape[1])),
            from_log_weights(lambda w: log_mean_exp(w.flatten())),
            from_log_weights(lambda w: log_mean_exp(w).mean()),
        ),
    ),
)


# bound/climb(log_weights, k)


def draw_climb(rng):
    """Draw log-weights of large pictures, with different numbers of groups, of draws in a group, and of pictures."""
    k, groups = (int(number) for number in rng.permutation([2, 3, 4])[:2])
    batch = int(rng.integers(5, 8))
    base = rng.normal(scale=6, size=batch) - 60 * rng.integers(10, 16)
    weights = base + 1.8 * rng.normal(size=(k * groups, batch))
    return {"log_weights": torch.tensor(np.round(weights, 2), dtype=torch.float32), "k": k}


def climb(log_weights, k):
    """The mean over groups of the bound L_k (lesson 10, section 1), by SciPy, then mean and error over pictures."""
    table = log_weights.numpy()
    bounds = np.mean([logsumexp(table[i : i + k], axis=0, b=1 / k) for i in range(0, len(table), k)], axis=0)
    return bounds.mean(), bounds.std(ddof=1) / math.sqrt(len(bounds))


def in_groups(log_weights, k):
    """Groups of k consecutive draws: (N, B) -> (N / k, k, B)."""
    return log_weights.reshape(-1, k, log_weights.shape[1])


def bounds_of_groups(log_weights, k):
    """L_k from each group: (N, B) -> (N / k, B)."""
    return log_mean_exp(in_groups(log_weights, k), 1)


def mean_and_error(bounds):
    """The mean of these bounds, and its standard error if they are independent."""
    return bounds.mean(), bounds.std() / math.sqrt(len(bounds))


def with_error(error):
    """Return an answer with the right bound, and an error computed from the bounds of groups (N / k, B)."""

    def answer(log_weights, k):
        bounds = bounds_of_groups(log_weights, k)
        return bounds.mean(), error(bounds)

    return answer


def with_groups(groups_of, subtract=lambda k, n: math.log(k)):
    """Return an answer that takes the logarithm of the sum over the middle axis of `groups_of(log_weights, k)`.

    Args:
        groups_of: arranges (N, B) and k as (groups, draws, B).
        subtract: computes what is subtracted from the logarithm, from k and N.
    """
    return lambda w, k: mean_and_error((groups_of(w, k).logsumexp(1) - subtract(k, len(w))).mean(0))


def overlapping(log_weights, k):
    """All windows of k draws: (N - k + 1, k, B)."""
    return torch.stack([log_weights[start : start + k] for start in range(len(log_weights) - k + 1)])


def mean_of_errors(bounds):
    """The mean over pictures of the standard error over groups."""
    return (bounds.std(0) / math.sqrt(len(bounds))).mean()


CLIMB = Task(
    name="bound/climb",
    draw=draw_climb,
    reference=climb,
    agree=Close(rtol=1e-6, atol=2e-3),  # float32 at 900 nats
    mistakes=(
        Mistake(
            "all draws in one average",
            "You put all N draws into one average inside the logarithm. That is the bound for N draws, which is higher "
            "than the one for k. The average over groups is one of logarithms.",
            lambda w, k: mean_and_error(log_mean_exp(w)),
        ),
        Mistake(
            "only k of the draws",
            "You use k of the draws and throw the others away. That is a right estimate, only noisier than it need "
            "be: what can the other groups of k draws add?",
            lambda w, k: mean_and_error(log_mean_exp(w[:k])),
            lambda w, k: mean_and_error(log_mean_exp(w[-k:])),
            lambda w, k: mean_and_error(log_mean_exp(w[:: len(w) // k])),
        ),
        Mistake(
            "a group left out",
            "One of the groups is missing. Which rows does your last group hold, and which row is the last one?",
            with_groups(lambda w, k: in_groups(w[:-k], k)),
            with_groups(lambda w, k: in_groups(w[k:], k)),
        ),
        Mistake(
            "mean of the logarithms",
            "You average log-weights. That is the ELBO for every k: your curve does not climb.",
            lambda w, k: mean_and_error(w.mean(0)),
        ),
        Mistake(
            "left the logarithms",
            "Somewhere you leave the logarithms: exp(−800) is 0 in the computer, and its logarithm −∞. Task 1 met the "
            "same difficulty.",
            lambda w, k: mean_and_error(in_groups(w, k).exp().mean(1).log().mean(0)),
        ),
        Mistake(
            "wrong number subtracted for the mean",
            "Put in equal weights: the bound should be their logarithm for every k. Yours is off by a number that is "
            "the same for all pictures. Over how many weights does the mean run?",
            with_groups(in_groups, lambda k, n: 0),
            with_groups(in_groups, lambda k, n: math.log(n)),
            with_groups(in_groups, lambda k, n: math.log(n // k)),
            with_groups(in_groups, lambda k, n: -math.log(k)),
            with_groups(in_groups, lambda k, n: k),
            with_groups(in_groups, lambda k, n: math.log2(k)),
        ),
        Mistake(
            "only the largest weight of a group",
            "You take the largest log-weight of each group. It leads the average, but the others count as well, and "
            "so does k.",
            lambda w, k: mean_and_error(in_groups(w, k).amax(1).mean(0)),
            lambda w, k: mean_and_error(in_groups(w, k).amax(1).mean(0) - math.log(k)),
        ),
        Mistake(
            "groups not of consecutive draws",
            "Your groups are made of draws that lie apart. That estimates the same, but the task asks for groups of "
            "consecutive draws. Look at what `reshape` puts next to each other.",
            lambda w, k: mean_and_error(log_mean_exp(w.reshape(k, -1, w.shape[1])).mean(0)),
        ),
        Mistake(
            "N / k weights in an average of k",
            "Inside your logarithm are N / k weights, where k should be. With k = 1, how many groups are there, and "
            "how many draws are in each?",
            with_groups(lambda w, k: in_groups(w, k).transpose(0, 1)),
            with_groups(lambda w, k: in_groups(w, k).transpose(0, 1), lambda k, n: math.log(n // k)),
            with_groups(lambda w, k: in_groups(w, len(w) // k)),
            with_groups(lambda w, k: in_groups(w, len(w) // k), lambda k, n: math.log(n // k)),
        ),
        Mistake(
            "reshape mixes the pictures",
            "Your groups hold weights of several pictures. `reshape` reads row by row, and a row of log_weights holds "
            "one draw for each picture. Try it on a small table of counted numbers.",
            lambda w, k: mean_and_error(log_mean_exp(w.reshape(w.shape[1], -1, k), 2).mean(1)),
            lambda w, k: mean_and_error(log_mean_exp(w.reshape(-1, w.shape[1], k), 2).mean(0)),
            lambda w, k: mean_and_error(log_mean_exp(w.reshape(w.shape[1], k, -1), 1).mean(1)),
        ),
        Mistake(
            "overlapping groups",
            "Your groups overlap: draws in the middle count more often than those at the ends. Each draw should be in "
            "one group.",
            with_groups(overlapping),
        ),
        Mistake(
            "groups taken for pictures",
            "Your bound is right. Your standard error counts every group as a case of its own. Two groups of one "
            "picture share the picture: of how many independent pictures is your mean made?",
            with_error(lambda bounds: bounds.std() / math.sqrt(bounds.numel())),
            with_error(lambda bounds: bounds.mean(0).std() / math.sqrt(bounds.numel())),
            with_error(lambda bounds: bounds.std() / math.sqrt(bounds.shape[1])),
            with_error(lambda bounds: bounds.std()),
            with_error(lambda bounds: bounds.std(correction=0) / math.sqrt(bounds.numel())),
        ),
        Mistake(
            "spread of the groups for spread of the pictures",
            "Your bound is right. Your standard error shows how much the mean changes with other draws; the task asks "
            "how much it may change with other pictures.",
            with_error(lambda bounds: bounds.mean(1).std() / math.sqrt(len(bounds))),
            with_error(lambda bounds: bounds.mean(1).std() / math.sqrt(bounds.shape[1])),
            with_error(lambda bounds: bounds.mean(1).std()),
            with_error(mean_of_errors),
            with_error(lambda bounds: bounds.std(0).mean() / math.sqrt(bounds.shape[1])),
            with_error(lambda bounds: bounds.std(0).mean()),
        ),
        Mistake(
            "spread of the log-weights for spread of the bounds",
            "Your bound is right. Your standard error comes from the log-weights themselves. Of which number of each "
            "picture is your bound the mean?",
            lambda w, k: (bounds_of_groups(w, k).mean(), w.mean(0).std() / math.sqrt(w.shape[1])),
            lambda w, k: (bounds_of_groups(w, k).mean(), w.std() / math.sqrt(w.shape[1])),
            lambda w, k: (bounds_of_groups(w, k).mean(), w.std() / math.sqrt(w.numel())),
        ),
        Mistake(
            "no root of B in the standard error",
            "Your bound is right. Four times as many pictures should halve the standard error. What do they do to "
            "yours?",
            with_error(lambda bounds: bounds.mean(0).std()),
            with_error(lambda bounds: bounds.mean(0).std() / bounds.shape[1]),
            with_error(lambda bounds: bounds.mean(0).std(correction=0)),
        ),
        Mistake(
            "variance for standard deviation",
            "Your bound is right. If every picture were twice as far from the mean, the standard error should double. "
            "What does yours do?",
            with_error(lambda bounds: bounds.mean(0).var() / math.sqrt(bounds.shape[1])),
            with_error(lambda bounds: bounds.mean(0).var() / bounds.shape[1]),
            with_error(lambda bounds: bounds.mean(0).var()),
        ),
        Mistake(
            "wrong number under the root",
            "Your bound is right, and so is the standard deviation over the pictures. You divide it by the root of a "
            "number that is not the number of pictures.",
            with_error(lambda bounds: bounds.mean(0).std() / math.sqrt(bounds.shape[1] - 1)),
            with_error(lambda bounds: bounds.mean(0).std() / math.sqrt(len(bounds))),
            lambda w, k: (
                bounds_of_groups(w, k).mean(),
                bounds_of_groups(w, k).mean(0).std() / math.sqrt(len(w)),
            ),
            lambda w, k: (bounds_of_groups(w, k).mean(), bounds_of_groups(w, k).mean(0).std() / math.sqrt(k)),
        ),
        Mistake(
            "standard deviation with B in place of B − 1",
            "Your bound is right. With few pictures it matters that the mean was taken from the same pictures: divide "
            "by B − 1.",
            with_error(lambda bounds: bounds.mean(0).std(correction=0) / math.sqrt(bounds.shape[1])),
        ),
        Mistake(
            "pictures averaged too early",
            "You average over the pictures before the logarithm of a group's mean is taken. The bound belongs to one "
            "picture; average over pictures at the end.",
            lambda w, k: mean_and_error(log_mean_exp(in_groups(w, k).transpose(1, 2).flatten(1), 1)),
            lambda w, k: mean_and_error(log_mean_exp(in_groups(w.mean(1, keepdim=True), k), 1).flatten()),
        ),
        Mistake(
            "logarithm of a mean over pictures",
            "Your standard error is right. You take the mean over the pictures inside a logarithm; the task asks for "
            "the plain mean of the pictures' bounds.",
            lambda w, k: (
                log_mean_exp(bounds_of_groups(w, k).mean(0)),
                mean_and_error(bounds_of_groups(w, k).mean(0))[1],
            ),
        ),
    ),
)


# bound/report(rows, n_pixels)

LOG_2 = math.log(2)
UNITS = ("nats per picture", "nats per pixel", "bits per picture", "bits per pixel")


def draw_report(rng, place, best_unit):
    """Draw one decoder's recorded numbers, and let the highest bound have the fewest, middle or most draws.

    Three to five rows have valid bounds. Three look better: a bound on training pictures, one with a mean code, and a
    reconstruction. Units and signs vary.
    """
    n_pixels, truth = int(rng.integers(40, 400)), -float(rng.uniform(60, 140))
    gains = truth + np.cumsum(rng.uniform(1, 3, size=int(rng.integers(3, 6))))
    draws = sorted([1, *(int(number) for number in rng.choice([2, 5, 10, 50, 100, 500, 1000], len(gains) - 1, False))])
    best = {"fewest": 0, "middle": 1, "most": len(draws) - 1}[place]
    others = rng.permutation(gains[:-1])
    bounds = [*others[:best], gains[-1], *others[best:]]
    above = gains[-1] + rng.permutation([2.0, 5.0, 9.0]) + rng.uniform(0, 1, size=3)
    recorded = [("held-out", "bound", "sample", k, bound) for k, bound in zip(draws, bounds, strict=True)]
    recorded += [
        ("training", "bound", "sample", int(rng.choice(draws)), above[0]),
        ("held-out", "bound", "mean", 1, above[1]),
        ("held-out", "reconstruction", "sample", 1, above[2]),
    ]
    rows = []
    for number in rng.permutation(len(recorded)):
        pictures, quantity, z, k, value = recorded[number]
        unit = UNITS[rng.integers(4)] if number != best else best_unit
        if quantity == "bound" and rng.random() < 0.5:
            quantity, value = "minus bound", -value
        value = value / (LOG_2 if "bits" in unit else 1) / (n_pixels if "pixel" in unit else 1)
        row = {"pictures": pictures, "quantity": quantity, "z": z, "draws": k, "unit": unit, "value": round(value, 6)}
        rows.append(row)
    if not any(row["quantity"] == "bound" and all(rule(row) for rule in RULES) for row in rows):
        return draw_report(rng, place, best_unit)
    return {"rows": rows, "n_pixels": n_pixels}


def report(rows, n_pixels):
    """The highest bound on held-out pictures with sampled codes, row by row."""
    scale = {
        "nats per picture": 1,
        "nats per pixel": n_pixels,
        "bits per picture": LOG_2,
        "bits per pixel": LOG_2 * n_pixels,
    }
    best = None
    for number, row in enumerate(rows):
        sign = {"bound": 1, "minus bound": -1}.get(row["quantity"], 0)
        if row["pictures"] == "held-out" and row["z"] == "sample" and sign:
            nats = sign * row["value"] * scale[row["unit"]]
            if best is None or nats > best[1]:
                best = number, nats
    return best[0], best[1], -best[1] / LOG_2 / n_pixels


def on_new_pictures(row):
    """Whether the pictures were held out."""
    return row["pictures"] == "held-out"


def is_a_bound(row):
    """Whether the row is a bound, of either sign."""
    return row["quantity"] != "reconstruction"


def from_samples(row):
    """Whether the decoder was given samples."""
    return row["z"] == "sample"


RULES = (on_new_pictures, is_a_bound, from_samples)


def nats_per_unit(row):
    """1 for nats, log 2 for bits."""
    return LOG_2 if "bits" in row["unit"] else 1


def recorded_nats(row, n_pixels):
    """The recorded value in nats per picture, with its recorded sign."""
    return row["value"] * nats_per_unit(row) * (n_pixels if "pixel" in row["unit"] else 1)


def sign_of(row):
    """The factor that turns a recorded value into a bound."""
    return -1 if row["quantity"] == "minus bound" else 1


def in_nats(row, n_pixels):
    """The bound of a row, in nats per picture."""
    return sign_of(row) * recorded_nats(row, n_pixels)


def reporting(rules=RULES, nats=in_nats, rank=None):
    """Return an answer that reports the best row that satisfies all rules.

    Args:
        rules: functions that decide whether a row may be reported.
        nats: computes the reported nats from a row and the number of pixels.
        rank: computes from the same the number by which rows are compared; default: `nats`.
    """

    def answer(rows, n_pixels):
        admitted = [number for number, row in enumerate(rows) if all(rule(row) for rule in rules)]
        first = max(admitted, key=lambda number: (rank or nats)(rows[number], n_pixels))
        value = nats(rows[first], n_pixels)
        return first, value, -value / LOG_2 / n_pixels

    return answer


def place_from_the_end(rows, result):
    """The result for the list turned round, with the row's place in the list itself."""
    return len(rows) - 1 - result[0], *result[1:]


def with_last_number(change):
    """Return an answer that computes its last number from the right nats and bits per dimension."""

    def answer(rows, n_pixels):
        first, nats, bits = reporting()(rows, n_pixels)
        return first, nats, change(nats, bits)

    return answer


def in_shorter_list(rules):
    """Return an answer with the place of the best row among those that satisfy the rules, and the right numbers."""

    def answer(rows, n_pixels):
        first, nats, bits = reporting()(rows, n_pixels)
        return sum(all(rule(row) for rule in rules) for row in rows[:first]), nats, bits

    return answer


def in_wrong_units(bits=LOG_2, pixels=1.0):
    """Return a conversion with this many nats to a bit, and the number of pixels to the power of `pixels`."""

    def nats(row, n_pixels):
        return (
            sign_of(row)
            * row["value"]
            * (bits if "bits" in row["unit"] else 1)
            * (n_pixels**pixels if "pixel" in row["unit"] else 1)
        )

    return nats


def as_recorded(row, n_pixels):
    """The recorded value, as it is."""
    return row["value"]


WRONG_UNITS = [
    in_wrong_units(bits, pixels)
    for bits in (LOG_2, 1.0, 1 / LOG_2)
    for pixels in (1, 0, -1)
    if (bits, pixels) != (LOG_2, 1)
]


def wrong_units():
    """Yield answers that convert units wrongly: before rows are compared, after it, and in the middle number only."""
    for nats in WRONG_UNITS:
        yield reporting(nats=nats)
        yield reporting(nats=nats, rank=in_nats)
    for nats in (*WRONG_UNITS, as_recorded):

        def answer(rows, n_pixels, nats=nats):
            first, _, bits = reporting()(rows, n_pixels)
            return first, nats(rows[first], n_pixels), bits

        yield answer


REPORT = Task(
    name="bound/report",
    draw=tuple(
        partial(draw_report, place=place, best_unit=unit) for place in ("fewest", "middle", "most") for unit in UNITS
    ),
    reference=report,
    cases=12,
    mistakes=(
        Mistake(
            "training pictures reported",
            "Your row comes from pictures that the model was trained on. What does the lesson say about both gaps "
            "there?",
            reporting((is_a_bound, from_samples)),
        ),
        Mistake(
            "mean code reported as a bound",
            "In your row the decoder was given the mean of q(z|x). Then nobody pays for the encoder's spread: is the "
            "number still below log p(x)?",
            reporting((on_new_pictures, is_a_bound)),
            reporting((on_new_pictures, is_a_bound, lambda row: not from_samples(row))),
        ),
        Mistake(
            "reconstruction reported as a bound",
            "Your row holds a reconstruction term alone. What has it not paid for?",
            reporting((on_new_pictures, from_samples)),
        ),
        Mistake(
            "more than one kind of row wrongly let in",
            "Your row has the highest number, but it is no bound on new pictures. Ask three questions of a row: which "
            "pictures, which quantity, which z?",
            *(reporting(rules) for rules in ((), *((rule,) for rule in RULES))),
        ),
        Mistake(
            "not the highest bound",
            "The bound in your row holds, but another row holds a higher one. All of them are below log p(x), whatever "
            "the encoder and the number of draws: which of them says most?",
            reporting(rank=lambda row, n_pixels: row["draws"]),
            reporting(rank=lambda row, n_pixels: -row["draws"]),
            reporting(rank=lambda row, n_pixels: -in_nats(row, n_pixels)),
            reporting(rank=lambda row, n_pixels: 0),
            reporting((*RULES, lambda row: row["draws"] > 1)),
            reporting((*RULES, lambda row: row["draws"] == 1)),
            lambda rows, n_pixels: place_from_the_end(rows, reporting(rank=lambda *_: 0)(rows[::-1], n_pixels)),
        ),
        Mistake(
            "rows logged as a loss left out",
            "A row logged as a loss holds a bound, too: minus its value.",
            reporting((*RULES, lambda row: row["quantity"] == "bound")),
        ),
        Mistake(
            "values compared before they are on one scale",
            "You compared values that are not on one scale yet. The rows have different units, and a `minus bound` has "
            "the other sign: make every row a bound in nats per picture before you compare.",
            reporting(rank=as_recorded),
            reporting(rank=lambda row, n_pixels: sign_of(row) * row["value"]),
        ),
        Mistake(
            "sign of the loss kept",
            "A `minus bound` is what training minimises. Its sign has to be turned before it is compared or reported: "
            "probabilities of binary pictures have negative logarithms.",
            reporting(nats=recorded_nats),
            reporting(nats=recorded_nats, rank=in_nats),
        ),
        Mistake(
            "unit converted wrongly",
            "A recorded number was not turned into nats per picture. Do one row of each unit by hand: a fair coin is 1 "
            "bit and 0.693 nats, and a picture's log-probability is the sum over its pixels.",
            *wrong_units(),
        ),
        Mistake(
            "a fixed number of pixels",
            "You count on a fixed number of pixels. Other data have pictures of other sizes: which argument tells how "
            "large these are?",
            *(lambda rows, n_pixels, fixed=fixed: reporting()(rows, fixed) for fixed in (784, 64, 100, 1024)),
            lambda rows, n_pixels: (*reporting()(rows, n_pixels)[:2], -reporting()(rows, n_pixels)[1] / LOG_2 / 784),
        ),
        Mistake(
            "place in another list",
            "Your numbers are those of the best row, but your index is not its place in `rows`. In which list did you "
            "count: one from which rows had been dropped?",
            in_shorter_list(RULES),
            *(in_shorter_list(rules) for rules in combinations(RULES, 2)),
        ),
        Mistake(
            "bits per dimension with a minus",
            "Row and nats are right. Bits per dimension are a length of code and count what the picture costs: a "
            "positive number.",
            with_last_number(lambda nats, bits: -bits),
        ),
        Mistake(
            "last number not in bits per dimension",
            "Row and nats are right. Your last number is not in bits per dimension: 0.693 nats are 1 bit, and a "
            "dimension is one pixel.",
            with_last_number(lambda nats, bits: bits * LOG_2),
            with_last_number(lambda nats, bits: bits * LOG_2**2),
            with_last_number(lambda nats, bits: -nats / LOG_2),
            with_last_number(lambda nats, bits: -nats * LOG_2),
            *(with_last_number(lambda nats, bits, power=power: -bits * LOG_2**power) for power in (1, 2)),
            with_last_number(lambda nats, bits: nats / LOG_2),
        ),
    ),
)


# bound/proposal(prior, likelihood, proposals, k)


def draw_states(rng, rare, power, impossible):
    """Draw prior and likelihood of some states: the first has the posterior `rare`, the last sometimes none.

    Args:
        rng: the random generator.
        rare: the posterior of the first state.
        power: the other states' posteriors are uniform numbers to this power.
        impossible: the probability that the last state is impossible.
    """
    while True:
        states = int(rng.integers(4, 6))
        posterior = rng.uniform(0.5, 1.5, size=states) ** power
        posterior[-1] *= rng.random() >= impossible
        posterior[0] = rare * posterior[1:].sum() / (1 - rare)
        posterior /= posterior.sum()
        prior = np.round(rng.dirichlet(np.full(states, 4.0)) + 0.05, 2)
        prior[-1] += 1 - prior.sum()
        if prior.min() >= 0.03:
            return prior, np.round(posterior / prior * rng.uniform(0.1, 0.25), 6)


def draw_table(rng, posterior, best, waste):
    """Draw proposals: one never draws the rare state, one draws it too rarely, one is safe, one or two are random.

    Args:
        rng: the random generator.
        posterior: the exact posterior.
        best: the row of the proposal that shall be the best.
        waste: how often that one draws the last state, if this is impossible.
    """
    states = len(posterior)
    never, seldom = posterior.copy(), posterior.copy()
    never[0] = 0
    seldom[0] /= 50
    safe = posterior ** rng.uniform(0.3, 0.5) * (posterior > 0)
    others = rng.dirichlet(np.full(states, 3.0), size=int(rng.integers(1, 3))) + 0.03
    table = np.stack([never, seldom, safe / safe.sum(), *others])
    table[best, -1] += waste * (posterior[-1] == 0)
    table = np.round(table / table.sum(1, keepdims=True), 5)
    table[:, 1] += 1 - table.sum(1)
    return table


SAFE, SELDOM = 2, 1  # rows of the table


def draw_proposal(rng, rare, power, best, waste=0.0, impossible=1.0):
    """Draw states and proposals until one proposal is clearly best, and the biased one has the least spread."""
    while True:
        prior, likelihood = draw_states(rng, rare, power, impossible)
        joint = prior * likelihood
        table = draw_table(rng, joint / joint.sum(), best, waste)
        biased = ((table == 0) & (joint > 0)).any(1)
        weights = np.divide(joint, table, out=np.zeros_like(table), where=table > 0)
        spread = (table * weights**2).sum(1) - (table * weights).sum(1) ** 2
        fair = np.where(biased, np.inf, spread)
        if table.min() >= 0 and fair.argmin() == best and np.sort(fair)[1] > 1.3 * fair[best] > 2.6 * spread[0]:
            break
    columns = {"prior": prior, "likelihood": likelihood, "proposals": table[rng.permutation(len(table))]}
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in columns.items()} | {
        "k": int(rng.integers(3, 40))
    }


PROPOSALS = (  # the second and third best ones may draw an impossible state; the third biased one is off by 0.05 %
    partial(draw_proposal, rare=0.04, power=1, best=SAFE, impossible=0.75),
    partial(draw_proposal, rare=0.04, power=2, best=SAFE, waste=0.15),
    partial(draw_proposal, rare=0.0005, power=4, best=SELDOM, waste=0.05),
)


def proposal(prior, likelihood, proposals, k):
    """The least E[w²] of all proposals that can draw each possible state; the gap is Var(w) / (2 K p(x)²)."""
    joint = (prior * likelihood).numpy()
    best, least = None, np.inf
    for number, q in enumerate(proposals.numpy()):
        drawn = q > 0
        if not joint[~drawn].any():
            second = (joint[drawn] ** 2 / q[drawn]).sum() / joint.sum() ** 2  # E[w²] / p(x)²
            if second < least:
                best, least = number, second
    return best, (least - 1) / (2 * k)


def importance_weights(joint, proposals):
    """The weight of each state, 0 if it is never drawn: (M, S)."""
    return torch.where(proposals > 0, joint / proposals.clamp_min(1e-12), 0.0)


def unbiased(joint, proposals):
    """Whether each proposal can draw every possible state: (M,)."""
    return ~((proposals == 0) & (joint > 0)).any(1)


def without_zeros(joint, proposals):
    """Whether each proposal can draw every state: (M,)."""
    return (proposals > 0).all(1)


def any_proposal(joint, proposals):
    """True for every proposal: (M,)."""
    return torch.ones(len(proposals), dtype=torch.bool)


def second_moment(joint, weights, proposals):
    """E[w²]: (M,)."""
    return (proposals * weights**2).sum(1)


def relative_variance(joint, weights, proposals):
    """Var(w) / p(x)²: (M,)."""
    return (second_moment(joint, weights, proposals) - (proposals * weights).sum(1) ** 2) / joint.sum() ** 2


def relative_to_own_mean(joint, weights, proposals):
    """Var(w) / (mean of w)²: (M,)."""
    return second_moment(joint, weights, proposals) / (proposals * weights).sum(1) ** 2 - 1


def distance_from_p(joint, weights, proposals):
    """E[(w − p(x))²] / p(x)², which is more than the variance if the mean weight is not p(x): (M,)."""
    return (proposals * (weights / joint.sum() - 1) ** 2).sum(1)


def excess_moment(joint, weights, proposals):
    """E[w²] / p(x)² − 1, which may be negative if the mean weight is not p(x): (M,)."""
    return second_moment(joint, weights, proposals) / joint.sum() ** 2 - 1


def over_states(share_of=lambda joint, proposals: torch.ones_like(proposals), correction=0):
    """Return a relative variance of the weights over states: (M,).

    Args:
        share_of: how much each state counts, computed from p(x, z) and the proposals: (M, S).
        correction: subtracted from the number of states that count.
    """

    def cost(joint, weights, proposals):
        share = share_of(joint, proposals)
        mean = (share * weights).sum(1, keepdim=True) / share.sum(1, keepdim=True)
        count = (share > 0).sum(1)
        spread = (share * (weights - mean) ** 2).sum(1) / share.sum(1) * count / (count - correction)
        return spread / joint.sum() ** 2

    return cost


def all_states_alike():
    """Yield the variances in which states count alike: all, those that can be drawn, or those that are possible."""
    for correction in (0, 1):
        yield over_states(correction=correction)
        yield over_states(lambda joint, q: (q > 0).to(q), correction)
        yield over_states(lambda joint, q: (joint > 0).to(q).expand_as(q), correction)


def under_the_posterior(joint, weights, proposals):
    """The relative variance of the weights if states came from the posterior: (M,)."""
    return over_states(lambda joint, q: joint.expand_as(q))(joint, weights, proposals)


def variance_of_logs(joint, weights, proposals):
    """The variance of the logarithms of the weights that are not 0: (M,)."""
    logs = torch.where(weights > 0, weights, 1.0).log()
    return (proposals * logs**2).sum(1) - (proposals * logs).sum(1) ** 2


def variance_of_possible_logs(joint, weights, proposals):
    """The same, but only the possible states count for the deviations: (M,)."""
    logs = torch.where(weights > 0, weights, 1.0).log()
    mean = (proposals * logs).sum(1, keepdim=True)
    return (proposals * (joint > 0) * (logs - mean) ** 2).sum(1)


def gap_of(spread, p, k):
    """The gap of the bound with K draws, for small variances (lesson 10, section 1)."""
    return spread / (2 * k)


def proposing(admit=unbiased, cost=relative_variance, spread=relative_variance, gap=gap_of, joint_of=torch.mul):
    """Return an answer that chooses the admitted proposal with the least cost.

    Args:
        admit: decides which proposals to consider, from p(x, z) and the proposals.
        cost: computes the costs from p(x, z), the weights and the proposals.
        spread: computes Var(w) / p(x)² of each proposal from the same.
        gap: computes the second result from Var(w) / p(x)², p(x) and K.
        joint_of: computes p(x, z) from prior and likelihood.
    """

    def answer(prior, likelihood, proposals, k):
        joint = joint_of(prior, likelihood)
        weights = importance_weights(joint, proposals)
        costs = torch.where(admit(joint, proposals), cost(joint, weights, proposals), torch.inf)
        first = int(costs.argmin())
        return first, gap(spread(joint, weights, proposals)[first], joint.sum(), k)

    return answer


def same_support(joint, proposals):
    """Whether each proposal can draw the possible states and no other: (M,)."""
    return ((proposals > 0) == (joint > 0)).all(1)


def nearly_unbiased(joint, proposals):
    """Whether each proposal's mean weight is within 2 % of p(x): (M,)."""
    return ((proposals > 0) * joint).sum(1) > 0.98 * joint.sum()


def kl_to_posterior(joint, weights, proposals):
    """KL(q ‖ p(z|x)) of each proposal, infinite if it can draw an impossible state: (M,)."""
    log_weights = torch.where(weights > 0, weights, 1.0).log()
    impossible = ((proposals > 0) & (joint == 0)).any(1)
    return torch.where(impossible, torch.inf, joint.sum().log() - (proposals * log_weights).sum(1))


def kl_from_posterior(joint, weights, proposals):
    """KL(p(z|x) ‖ q) of each proposal that can draw every possible state: (M,)."""
    posterior = joint / joint.sum()
    return (posterior * torch.where(weights > 0, weights / joint.sum(), 1.0).log()).sum(1)


def draws_of_weight_0_left_out(joint, weights, proposals):
    """The relative variance of the weights that are not 0: (M,)."""
    possible = proposals * (joint > 0)
    return relative_to_own_mean(joint, weights, possible / possible.sum(1, keepdim=True))


def place_among_the_qualified(prior, likelihood, proposals, k):
    """Count the proposals that qualify only."""
    return proposing()(prior, likelihood, proposals[unbiased(prior * likelihood, proposals)], k)


def divided_by_zero(prior, likelihood, proposals, k):
    """Average over all states, where 0 · 0/0 is nan."""
    joint = prior * likelihood
    spread = (proposals * (joint / proposals - joint.sum()) ** 2).sum(1) / joint.sum() ** 2
    first = int(spread.argmin())
    return first, spread[first] / (2 * k)


PROPOSAL = Task(
    name="bound/proposal",
    draw=PROPOSALS,
    reference=proposal,
    cases=6,
    mistakes=(
        Mistake(
            "biased proposal chosen",
            "The weights of your proposal vary little, but their mean is not p(x). Can it draw all the states that "
            "may be behind this picture?",
            *(
                proposing(any_proposal, cost=cost, spread=spread)
                for cost in (relative_variance, relative_to_own_mean, distance_from_p, excess_moment)
                for spread in {relative_variance, cost}
            ),
            *(
                proposing(nearly_unbiased, cost=cost, spread=cost)
                for cost in (relative_variance, distance_from_p, excess_moment)
            ),
        ),
        Mistake(
            "too many proposals rejected",
            "You reject a proposal whose mean weight is p(x). If a state cannot have produced this picture, what is "
            "lost by never proposing it, and what is the weight of a draw of it?",
            proposing(without_zeros),
            proposing(same_support),
        ),
        Mistake(
            "not the least variance",
            "The mean weight of your proposal is p(x), but the weights of another such proposal vary less. Compute the "
            "variance of each as an average over its own draws. A huge weight may hardly ever be drawn, and a proposal "
            "that looks much like the posterior may draw one state far too seldom.",
            proposing(cost=kl_to_posterior),
            proposing(cost=kl_from_posterior),
            proposing(cost=lambda joint, w, q: (q - joint / joint.sum()).abs().sum(1)),
            proposing(cost=lambda joint, w, q: ((q - joint / joint.sum()) ** 2).sum(1)),
            proposing(cost=lambda joint, w, q: w.max(1).values),
            proposing(cost=lambda joint, w, q: -(w.sum(1) ** 2) / (w**2).sum(1)),
            *(proposing(cost=cost) for cost in all_states_alike()),
            proposing(cost=variance_of_logs),
            proposing(cost=lambda joint, w, q: -relative_variance(joint, w, q)),
            proposing(cost=lambda joint, w, q: -q.min(1).values),
            proposing(cost=lambda joint, w, q: torch.special.xlogy(q, q).sum(1)),
            proposing(cost=lambda joint, w, q: -(q * joint).sum(1)),
            proposing(cost=lambda joint, w, q: torch.arange(len(q))),
            proposing(cost=lambda joint, w, q: -torch.arange(len(q))),
        ),
        Mistake(
            "closest to the posterior",
            "You choose the proposal that is closest to the posterior, or has the highest ELBO. That does not ask "
            "whether the mean weight is p(x), and it hardly minds a state that is proposed fifty times too seldom. "
            "What do such states do to the mean and to the variance of the weights?",
            proposing(any_proposal, cost=kl_to_posterior),
            proposing(any_proposal, cost=lambda joint, w, q: (q - joint / joint.sum()).abs().sum(1)),
            proposing(any_proposal, cost=lambda joint, w, q: ((q - joint / joint.sum()) ** 2).sum(1)),
        ),
        Mistake(
            "variance not over draws of the proposal",
            "Your variance does not count each state as often as the proposal draws it. Weights are of draws: if a "
            "state comes in one draw of a hundred, by how much should its weight count?",
            *(proposing(cost=spread, spread=spread) for spread in all_states_alike()),
            *(proposing(spread=spread) for spread in all_states_alike()),
            proposing(cost=under_the_posterior, spread=under_the_posterior),
            proposing(spread=under_the_posterior),
        ),
        Mistake(
            "draws of weight 0 left out",
            "You leave out the draws of states that cannot have produced the picture. Such a draw has the weight 0: it "
            "takes part in the mean and in the variance.",
            proposing(cost=draws_of_weight_0_left_out, spread=draws_of_weight_0_left_out),
            proposing(spread=draws_of_weight_0_left_out),
            proposing(
                spread=lambda joint, w, q: (q * (joint > 0) * (w / joint.sum() - 1) ** 2).sum(1),
                cost=lambda joint, w, q: (q * (joint > 0) * (w / joint.sum() - 1) ** 2).sum(1),
            ),
            proposing(spread=lambda joint, w, q: (q * (joint > 0) * (w / joint.sum() - 1) ** 2).sum(1)),
        ),
        Mistake(
            "a factor missing in the weights",
            "Your weights lack a factor. Test them on any proposal that is positive everywhere: the mean weight has to "
            "be p(x), the sum over z of p(z) p(x|z).",
            proposing(joint_of=lambda prior, likelihood: likelihood),
            proposing(joint_of=lambda prior, likelihood: prior),
        ),
        Mistake(
            "variance of the log-weights",
            "Your numbers come from the variance of the logarithms of the weights. The rule is about the weights.",
            proposing(cost=variance_of_logs, spread=variance_of_logs),
            proposing(spread=variance_of_logs),
            *(
                proposing(cost=cost, spread=variance_of_possible_logs)
                for cost in (variance_of_possible_logs, relative_variance)
            ),
        ),
        Mistake(
            "place in another list",
            "Your gap is right, but your index is not the row of `proposals`. In which list did you count: one from "
            "which rows had been dropped?",
            place_among_the_qualified,
        ),
        Mistake(
            "0 / 0 became nan",
            "Your result is nan, or follows from one. Where a proposal is 0 the state is never drawn: it takes no part "
            "in an average over draws.",
            divided_by_zero,
        ),
        Mistake(
            "second moment for variance",
            "The proposal is right. Your gap does not vanish where all weights are equal: is it the variance that you "
            "divided?",
            proposing(gap=lambda spread, p, k: (spread + 1) / (2 * k)),
        ),
        Mistake(
            "forgot the ½",
            "The proposal is right. Your gap is too large by the same factor everywhere. Which number stands before δ² "
            "in log(1 + δ)?",
            proposing(gap=lambda spread, p, k: spread / k),
        ),
        Mistake(
            "twice the draws do not halve the gap",
            "The proposal is right. By the rule, twice as many draws leave half the gap: what do K draws do to the "
            "variance of a mean, and what to your number?",
            proposing(gap=lambda spread, p, k: spread / 2),
            proposing(gap=lambda spread, p, k: spread),
            proposing(gap=lambda spread, p, k: spread / (2 * k**2)),
            proposing(gap=lambda spread, p, k: spread / (2 * math.sqrt(k))),
            proposing(gap=lambda spread, p, k: spread / (2 * (k - 1))),
            proposing(gap=lambda spread, p, k: spread / (2 * math.log(k))),
            proposing(gap=lambda spread, p, k: spread * p**2),
            proposing(gap=lambda spread, p, k: spread * p**2 / 2),
        ),
        Mistake(
            "not divided by p(x)²",
            "The proposal is right. Your gap depends on the scale of the weights: make all likelihoods ten times as "
            "large, and log p(x) minus the bound should stay.",
            proposing(gap=lambda spread, p, k: spread * p**2 / (2 * k)),
            proposing(gap=lambda spread, p, k: spread * p / (2 * k)),
            proposing(gap=lambda spread, p, k: spread * p**2 / k),
        ),
        Mistake(
            "standard deviation for variance",
            "The proposal is right. In the gap you used a standard deviation where the rule has a variance.",
            proposing(gap=lambda spread, p, k: spread.sqrt() / (2 * k)),
            proposing(gap=lambda spread, p, k: (spread / k).sqrt()),
            proposing(gap=lambda spread, p, k: (spread / k).sqrt() / 2),
            proposing(gap=lambda spread, p, k: spread.sqrt() * p / (2 * k)),
            proposing(gap=lambda spread, p, k: spread.sqrt() / (2 * k * p)),
        ),
        Mistake(
            "the gap of the ELBO for that of the rule",
            "The proposal is right. Your second number comes from the mean of the log-weights, or from a KL. Section 1 "
            "of the lesson predicts the gap from the variance of the weights.",
            proposing(spread=kl_to_posterior, gap=lambda gap, p, k: gap),
            proposing(spread=kl_to_posterior, gap=lambda gap, p, k: gap / k),
            proposing(spread=kl_from_posterior, gap=lambda gap, p, k: gap),
            proposing(spread=kl_from_posterior, gap=lambda gap, p, k: gap / k),
        ),
        Mistake(
            "another rule for the gap",
            "The proposal is right. Your gap agrees with the lesson's rule only where the variance is small. The task "
            "asks for the rule itself, even where it is not.",
            proposing(gap=lambda spread, p, k: math.log1p(spread / k) / 2),
            proposing(gap=lambda spread, p, k: math.log1p(spread) / (2 * k)),
            proposing(gap=lambda spread, p, k: math.log1p(spread / (2 * k))),
            proposing(gap=lambda spread, p, k: math.log1p(spread / k)),
        ),
        Mistake(
            "the bound for the gap",
            "The proposal is right. Your second number is a prediction of the bound itself: how far is it below "
            "log p(x)?",
            proposing(gap=lambda spread, p, k: p.log() - spread / (2 * k)),
        ),
    ),
)


# bound/elbo(x, eps, encode, decode)


def draw_elbo(rng, latents):
    """Draw different numbers of draws and pictures, and a decoder that is not linear in z."""
    pictures, pixels = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    draws = int(rng.choice([number for number in (2, 3, 5) if number != pictures]))
    return {
        "x": torch.tensor(rng.integers(0, 2, size=(pictures, pixels)), dtype=torch.float32),
        "eps": rounded_normal(rng, draws, pictures, latents),
        "encode": GaussianEncoder(
            rounded_normal(rng, pixels, latents, scale=0.6), rounded_normal(rng, pixels, latents, scale=0.4)
        ),
        "decode": LogitDecoder(rounded_normal(rng, latents, 4), rounded_normal(rng, 4, pixels, scale=1.5)),
    }


def elbo(x, eps, encode, decode):
    """The mean of log p(x|z) over the draws, minus the KL, from PyTorch's distributions."""
    mu, log_var = encode(x)
    q = Normal(mu, (log_var / 2).exp())
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum(1)
    terms = [Bernoulli(logits=decode(q.mean + q.stddev * each)).log_prob(x).sum(1) for each in eps]
    return np.mean([term.numpy() for term in terms], axis=0) - kl.numpy()


def latent_kl(mu, log_var):
    """KL of each latent from the standard normal distribution: (B, d)."""
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def pixel_log_likelihood(x, logits):
    """log p(x|z) of each pixel: (B, D), (..., B, D) -> (..., B, D)."""
    return -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")


def sampled(mu, log_var, eps):
    """Samples of q(z|x): (K, B, d)."""
    return mu + (log_var / 2).exp() * eps


def mean_codes(mu, log_var, eps):
    """The means of q(z|x) instead of samples: (K, B, d)."""
    return mu.expand_as(eps)


def each_picture(values):
    """One number for each picture."""
    return values


def evaluation(
    codes=sampled,
    over_pixels=torch.sum,
    over_draws=torch.mean,
    over_latents=torch.sum,
    kl_weight=1.0,
    over_pictures=each_picture,
    kl=latent_kl,
    log_likelihood=pixel_log_likelihood,
):
    """Return an evaluation made of these parts; the defaults are right.

    Args:
        codes: computes the decoder's input (K, B, d) from mu, log_var and the noise.
        over_pixels: reduces log-likelihoods of pixels along an axis.
        over_draws: reduces log-likelihoods of draws along an axis.
        over_latents: reduces the KL of latents along an axis.
        kl_weight: multiplies the KL.
        over_pictures: applied to the numbers of the pictures.
        kl: computes the KL of each latent from mu and log_var.
        log_likelihood: computes log p(x|z) of each pixel from the pictures and the decoder's output.
    """

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        terms = over_pixels(log_likelihood(x, decode(codes(mu, log_var, eps))), -1)  # (K, B)
        return over_pictures(over_draws(terms, 0) - kl_weight * over_latents(kl(mu, log_var), 1))

    return answer


def averaged_first(logits_of):
    """Return an answer that averages the draws (codes, logits or probabilities) before taking the likelihood."""

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        logits = logits_of(decode, sampled(mu, log_var, eps))  # (B, D)
        return pixel_log_likelihood(x, logits).sum(1) - latent_kl(mu, log_var).sum(1)

    return answer


def sampled_log_weights(x, eps, encode, decode):
    """log p(x, z) − log q(z|x) of each draw: (K, B)."""
    mu, log_var = encode(x)
    z = sampled(mu, log_var, eps)
    return pixel_log_likelihood(x, decode(z)).sum(-1) + 0.5 * (eps**2 + log_var - z**2).sum(-1)


def mixed_pictures(log_likelihood=each_picture, kl=each_picture):
    """Return an evaluation that applies these functions to the pictures' reconstructions (B,) and KLs (B,)."""

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        terms = pixel_log_likelihood(x, decode(sampled(mu, log_var, eps))).sum(-1).mean(0)
        return log_likelihood(terms) - kl(latent_kl(mu, log_var).sum(1))

    return answer


FAULTS = {  # of the printed function, by the part of `evaluation`: the faulty part, name, hint if all else is right
    "codes": (
        mean_codes,
        "mean code in place of samples",
        "Everything else is right. The decoder gets the mean of q(z|x), and the encoder's spread goes unpaid. Over "
        "what does the expectation in the ELBO run?",
    ),
    "over_pixels": (
        torch.mean,
        "reconstruction averaged over pixels",
        "Everything else is right. Your reconstruction is per pixel and your KL per picture. What does that do to the "
        "balance of the two?",
    ),
    "kl_weight": (
        0.25,
        "β left in",
        "Everything else is right. The model was trained with a smaller weight on the KL; is a weighted sum a bound on "
        "log p(x)?",
    ),
    "over_pictures": (
        torch.mean,
        "one number for the whole batch",
        "Everything else is right. There should be one number for each picture, shape (B,).",
    ),
}


def several_faults():
    """Yield all evaluations with at least two of the printed function's faults."""
    for count in range(2, len(FAULTS) + 1):
        for parts in combinations(FAULTS, count):
            yield evaluation(**{part: FAULTS[part][0] for part in parts})


ELBO = Task(
    name="bound/elbo",
    draw=(partial(draw_elbo, latents=2), partial(draw_elbo, latents=3)),
    reference=elbo,
    cases=4,
    mistakes=(
        *(Mistake(name, hint, evaluation(**{part: fault})) for part, (fault, name, hint) in FAULTS.items()),
        Mistake(
            "averaged too early",
            "You average the draws before the likelihood is taken. The ELBO holds the mean of log p(x|z) over draws of "
            "z, not log p(x|·) of an average.",
            averaged_first(lambda decode, z: decode(z.mean(0))),
            averaged_first(lambda decode, z: decode(z).mean(0)),
            averaged_first(lambda decode, z: decode(z).sigmoid().mean(0).logit()),
        ),
        Mistake(
            "wrong spread of the samples",
            "Your samples have the wrong spread. What is σ, given log_var? Test it at log_var = 0 and at log_var = 2.",
            *(
                evaluation(codes=lambda mu, log_var, eps, sigma=sigma: mu + sigma(log_var) * eps)
                for sigma in (
                    torch.exp,
                    each_picture,
                    torch.ones_like,
                    lambda log_var: (-log_var / 2).exp(),
                    lambda log_var: log_var.exp() / 2,
                    lambda log_var: (2 * log_var).exp(),
                    lambda log_var: log_var / 2,
                    lambda log_var: log_var.abs().sqrt(),
                    lambda log_var: (log_var / 4).exp(),
                )
            ),
        ),
        Mistake(
            "samples without the mean",
            "The codes that you decode do not lie around mu. Around which point does q(z|x) spread?",
            evaluation(codes=lambda mu, log_var, eps: eps),
            evaluation(codes=lambda mu, log_var, eps: (log_var / 2).exp() * eps),
            evaluation(codes=lambda mu, log_var, eps: (log_var / 2).exp() * (mu + eps)),
            evaluation(codes=lambda mu, log_var, eps: eps - mu),
        ),
        Mistake(
            "one draw",
            "Your reconstruction comes from one draw of each picture. The ELBO is the average over the draws.",
            evaluation(over_draws=lambda terms, axis: terms[0]),
            evaluation(over_draws=lambda terms, axis: terms[-1]),
            evaluation(over_draws=lambda terms, axis: terms.max(0).values),
            evaluation(over_draws=lambda terms, axis: terms.min(0).values),
        ),
        Mistake(
            "one noise for all pictures",
            "Your pictures share their noise. Which axis of `eps` counts the pictures?",
            evaluation(codes=lambda mu, log_var, eps: sampled(mu, log_var, eps[:, :1])),
        ),
        Mistake(
            "other pictures in a picture's ELBO",
            "A part of your result is summed or averaged over the pictures. Change one picture: the ELBO of the others "
            "should stay.",
            mixed_pictures(kl=torch.sum),
            mixed_pictures(kl=torch.mean),
            mixed_pictures(log_likelihood=torch.sum),
            mixed_pictures(log_likelihood=torch.mean),
            mixed_pictures(kl=lambda kl: kl / len(kl)),
        ),
        Mistake(
            "log p(x|z) of another kind",
            "Your KL is right, but your reconstruction is not the log-probability of binary pictures. With logit 0 "
            "each pixel should give −0.693 nats, be it 0 or 1; with a logit of +100 a pixel of 1 should give 0, and a "
            "pixel of 0 −100.",
            evaluation(log_likelihood=lambda x, logits: pixel_log_likelihood(x, logits.sigmoid())),
            evaluation(log_likelihood=lambda x, logits: -((logits.sigmoid() - x) ** 2)),
            evaluation(log_likelihood=lambda x, logits: -((logits - x) ** 2)),
            evaluation(log_likelihood=lambda x, logits: -0.5 * (logits.sigmoid() - x) ** 2),
            evaluation(log_likelihood=lambda x, logits: -0.5 * (logits - x) ** 2),
            evaluation(log_likelihood=lambda x, logits: x * logits.sigmoid().log()),
            evaluation(log_likelihood=lambda x, logits: x * logits),
            evaluation(log_likelihood=lambda x, logits: (1 - x) * logits.neg().sigmoid().log()),
            evaluation(log_likelihood=lambda x, logits: pixel_log_likelihood(1 - x, logits)),
        ),
        Mistake(
            "reconstruction with the other sign",
            "Your KL is subtracted, as it should be, but your reconstruction has the other sign. Should a picture that "
            "the decoder makes more probable have a higher or a lower ELBO?",
            evaluation(log_likelihood=lambda x, logits: -pixel_log_likelihood(x, logits)),
        ),
        Mistake(
            "KL by another formula",
            "Your reconstruction is right, but your KL is not. At mu = 0 and log_var = 0 it should be 0; at mu = 2 and "
            "log_var = 0, 2 nats for each latent; at mu = 0 and log_var = 1, 0.359 nats; and at log_var = −1, 0.184.",
            *(
                evaluation(kl=kl)
                for kl in (
                    lambda mu, log_var: mu**2 + log_var.exp() - 1 - log_var,
                    lambda mu, log_var: 0.5 * (mu**2 + (log_var / 2).exp() - 1 - log_var),
                    lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - 1 + log_var),
                    lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() - log_var),
                    lambda mu, log_var: 0.5 * (mu**2 + log_var.exp() + 1 - log_var),
                    lambda mu, log_var: 0.5 * (mu + log_var.exp() - 1 - log_var),
                    lambda mu, log_var: 0.5 * (mu.abs() + log_var.exp() - 1 - log_var),
                    lambda mu, log_var: 0.5 * (log_var.exp() - 1 - log_var),
                    lambda mu, log_var: 0.5 * mu**2,
                    lambda mu, log_var: 0.5 * (mu**2 + log_var**2 - 1 - log_var),
                    lambda mu, log_var: 0.5 * (mu**2 + log_var**2 - 1 - 2 * log_var.abs().log()),
                    lambda mu, log_var: 0.5 * (mu**2 + (2 * log_var).exp() - 1 - 2 * log_var),
                    lambda mu, log_var: 0.5 * ((mu**2 + 1) * (-log_var).exp() - 1 + log_var),
                    lambda mu, log_var: 0.5 * (mu**2 - log_var.exp() - 1 + log_var),
                    lambda mu, log_var: 4 * latent_kl(mu, log_var),
                    lambda mu, log_var: 0.75 * latent_kl(mu, log_var),
                    lambda mu, log_var: 0.5 * latent_kl(mu, log_var),
                )
            ),
        ),
        Mistake(
            "log of the mean for mean of the logs",
            "You average likelihoods or weights over the draws and then take the logarithm. With whole weights that is "
            "the bound with K draws, and not the ELBO. Which comes first in the ELBO?",
            evaluation(over_draws=log_mean_exp),
            lambda *inputs: log_mean_exp(sampled_log_weights(*inputs)),
        ),
        Mistake(
            "KL estimated from the draws",
            "You estimate the KL from the draws as well. On average that is right, but noisier than need be: there is "
            "a formula.",
            lambda *inputs: sampled_log_weights(*inputs).mean(0),
        ),
        Mistake(
            "summed over the draws",
            "You sum over the draws. With twice as many draws, should the ELBO double?",
            evaluation(over_draws=torch.sum),
            evaluation(over_draws=torch.sum, over_pictures=torch.mean),
            evaluation(over_draws=torch.sum, kl_weight=0.25),
        ),
        Mistake(
            "KL divided by the number of draws",
            "Your KL shrinks as the number of draws grows. It belongs to q(z|x), and is there once, however many draws "
            "are taken.",
            lambda x, eps, encode, decode: evaluation(kl_weight=1 / len(eps))(x, eps, encode, decode),
        ),
        Mistake(
            "loss for ELBO",
            "Your numbers are those of the loss. The ELBO is a lower bound on log p(x), which for binary pictures is "
            "negative.",
            evaluation(over_pictures=torch.neg),
        ),
        Mistake(
            "KL not subtracted",
            "Your KL raises the bound, or is left out. Where q(z|x) says much about the picture, is that paid or "
            "earned?",
            evaluation(kl_weight=-1.0),
            evaluation(kl_weight=0.0),
            evaluation(kl_weight=-0.25),
        ),
        Mistake(
            "KL averaged over the latent dimensions",
            "You average the KL over the latent dimensions. Each dimension costs its own nats.",
            evaluation(over_latents=torch.mean),
            evaluation(over_latents=torch.mean, over_pixels=torch.mean),
            evaluation(over_latents=torch.mean, kl_weight=0.25),
        ),
        Mistake(
            "several things left",
            "More than one thing is still wrong. Ask of each line: what was the decoder given, what was summed and "
            "what averaged, and what may stand before the KL?",
            *several_faults(),
        ),
    ),
)


# bound/split(x, weight, mean, log_sigma, mu, log_var)


def draw_split(rng, latents):
    """Draw a linear VAE whose σ is not near 1, and different numbers of pictures, latents and pixels."""
    pixels, batch = int(rng.integers(5, 9)), int(rng.integers(1, 4))
    batch += batch == latents  # no square shapes
    weight, mean = rounded_normal(rng, pixels, latents, scale=0.8), rounded_normal(rng, pixels) + 0.5
    x = rounded_normal(rng, batch, latents) @ weight.T + mean + rounded_normal(rng, batch, pixels, scale=0.5)
    return {
        "x": torch.round(x, decimals=2),
        "weight": weight,
        "mean": mean,
        "log_sigma": torch.tensor(round(float(rng.choice([-0.5, 0.4]) + rng.uniform(-0.1, 0.1)), 2)),
        "mu": rounded_normal(rng, batch, latents),
        "log_var": rounded_normal(rng, batch, latents, scale=0.5) - 1,
    }


def split(x, weight, mean, log_sigma, mu, log_var):
    """Both gaps as KLs to the posterior (lesson 10, section 3; Cremer et al. 2018), by PyTorch.

    The best diagonal Gaussian has the posterior's mean and the variances 1 / P_ii, for the precision P (section 2).
    """
    eye = torch.eye(weight.shape[1], dtype=x.dtype)
    precision = weight.T @ weight * (-2 * log_sigma).exp() + eye
    centre = torch.linalg.solve(precision, weight.T @ (x - mean).T * (-2 * log_sigma).exp()).T
    posterior = MultivariateNormal(centre, precision_matrix=precision.expand(len(x), -1, -1))
    best = MultivariateNormal(centre, torch.diag(1 / precision.diagonal()))
    own = MultivariateNormal(mu, torch.diag_embed(log_var.exp()))
    family = kl_divergence(best, posterior)
    return family[0], kl_divergence(own, posterior) - family


def precision_and_centre(x, weight, mean, log_sigma, prior_precision=1.0):
    """P = WᵀW / σ² + I and P⁻¹ Wᵀ (x − b) / σ² of the posterior (lesson 10, section 2): (d, d), (B, d)."""
    variance = (2 * log_sigma).exp()
    precision = weight.T @ weight / variance + prior_precision * torch.eye(weight.shape[1], dtype=x.dtype)
    return precision, torch.linalg.solve(precision, weight.T @ (x - mean).T / variance).T


def centre_not_scaled(x, weight, mean, log_sigma):
    """The posterior's precision, with P⁻¹ Wᵀ (x − b) as its mean."""
    precision, centre = precision_and_centre(x, weight, mean, log_sigma)
    return precision, centre * (2 * log_sigma).exp()


def kl_to(mu, covariance, centre, precision):
    """KL(N(mu, covariance) ‖ N(centre, precision⁻¹)): (B,)."""
    trace = (precision * covariance.mT).sum((-2, -1))
    return 0.5 * (trace - mu.shape[1] - torch.logdet(covariance) - torch.logdet(precision)) + cost_of_centre(
        mu, centre, precision
    )


def cost_of_centre(mu, centre, precision):
    """The part of the KL that comes from the means: (B,)."""
    away = (mu - centre)[:, :, None]
    return 0.5 * (away.mT @ precision @ away).flatten()


def best_covariance(precision):
    """The covariance of the best diagonal Gaussian, with variances 1 / P_ii."""
    return torch.diag(1 / precision.diagonal())


def covariance_of_margins(precision):
    """The covariance of the diagonal Gaussian with the posterior's variances."""
    return torch.diag(torch.linalg.inv(precision).diagonal())


def kl_from(mu, covariance, centre, precision):
    """KL(N(centre, precision⁻¹) ‖ N(mu, covariance)): (B,)."""
    return kl_to(centre, torch.linalg.inv(precision), mu, torch.linalg.inv(covariance))


def splitting(posterior=precision_and_centre, best=best_covariance, family_kl=kl_to, own_kl=kl_to):
    """Return an answer with these functions for the posterior, the best covariance, and both KLs."""

    def answer(x, weight, mean, log_sigma, mu, log_var):
        precision, centre = posterior(x, weight, mean, log_sigma)
        family = family_kl(centre, best(precision).expand(len(x), -1, -1), centre, precision)[0]
        return family, own_kl(mu, torch.diag_embed(log_var.exp()), centre, precision) - family

    return answer


def with_parts(change):
    """Return an answer that changes the right family gap and the right amortisation gaps."""
    return lambda *inputs: change(*splitting()(*inputs))


def with_amortisation(gap):
    """Return an answer with the right family gap.

    Args:
        gap: computes the second result from the family gap, the encoder's mu and covariance, and the posterior's
            centre and precision.
    """

    def answer(x, weight, mean, log_sigma, mu, log_var):
        precision, centre = precision_and_centre(x, weight, mean, log_sigma)
        family = kl_to(centre, best_covariance(precision), centre, precision)[0]
        return family, gap(family, mu, torch.diag_embed(log_var.exp()), centre, precision)

    return answer


def with_margins(second):
    """Return an answer whose family gap is that of the margins by KL(p ‖ q).

    Args:
        second: computes the second result from the right amortisation gap, the KL from the encoder's Gaussian to the
            margins' one, and the right family gap.
    """

    def answer(x, weight, mean, log_sigma, mu, log_var):
        precision, centre = precision_and_centre(x, weight, mean, log_sigma)
        margins = covariance_of_margins(precision)
        family, right = splitting()(x, weight, mean, log_sigma, mu, log_var)
        own = kl_to(mu, torch.diag_embed(log_var.exp()), centre, torch.linalg.inv(margins))
        return kl_from(centre[:1], margins[None], centre[:1], precision)[0], second(right, own, family)

    return answer


def diagonal(vector):
    """Diagonal Gaussians' covariances or precisions: (..., d) -> (..., d, d)."""
    return torch.diag_embed(vector)


def variances_and(centre_cost):
    """Return an answer that is right but for the part of the amortisation gap that comes from the means.

    Args:
        centre_cost: computes that part from mu, and the posterior's centre and precision.
    """
    return with_amortisation(
        lambda family, mu, covariance, centre, precision: (
            kl_to(centre, covariance, centre, precision) - family + centre_cost(mu, centre, precision)
        )
    )


def with_centre(centre_of):
    """Return an answer with another posterior mean, computed from (x − b), W, σ² and the precision."""

    def posterior(x, weight, mean, log_sigma):
        precision, _ = precision_and_centre(x, weight, mean, log_sigma)
        return precision, centre_of(x - mean, weight, (2 * log_sigma).exp(), precision)

    return splitting(posterior)


def means_and(variance_cost):
    """Return an answer that is right but for the part of the amortisation gap that comes from the variances.

    Args:
        variance_cost: computes that part, latent by latent, from the encoder's variances and the best precisions.
    """
    return with_amortisation(
        lambda family, mu, covariance, centre, precision: (
            variance_cost(covariance.diagonal(dim1=1, dim2=2), precision.diagonal()).sum(1)
            + cost_of_centre(mu, centre, precision)
        )
    )


def with_noise(variance_of):
    """Return an answer with another variance of the decoder's noise, computed from log_sigma."""
    return splitting(
        lambda x, weight, mean, log_sigma: precision_and_centre(x, weight, mean, variance_of(log_sigma).log() / 2)
    )


def precision_times_variance(x, weight, mean, log_sigma):
    """WᵀW + σ² I as the precision, with the right posterior mean."""
    precision, centre = precision_and_centre(x, weight, mean, log_sigma)
    return precision * (2 * log_sigma).exp(), centre


def covariance_for_precision(x, weight, mean, log_sigma):
    """The posterior's covariance in place of its precision, with the right mean."""
    precision, centre = precision_and_centre(x, weight, mean, log_sigma)
    return torch.linalg.inv(precision), centre


SPLIT = Task(
    name="bound/split",
    draw=(partial(draw_split, latents=2), partial(draw_split, latents=3)),
    reference=split,
    cases=4,
    mistakes=(
        Mistake(
            "whole gap for the amortisation gap",
            "Your family gap is right. Your second number is the KL from the encoder's Gaussian to the posterior, "
            "which is the whole gap.",
            with_parts(lambda family, amortisation: (family, family + amortisation)),
        ),
        Mistake(
            "the two parts exchanged",
            "Both numbers are right, but in the other order: the family gap first. It is one number for all pictures.",
            with_parts(lambda family, amortisation: (amortisation, family.expand(len(amortisation)))),
        ),
        Mistake(
            "variances of the posterior's margins",
            "Your diagonal Gaussian has the posterior's own variances. They are the best for KL(p ‖ q); the ELBO's gap "
            "is KL(q ‖ p), which prefers a narrower q (lesson 02).",
            splitting(best=covariance_of_margins),
            splitting(best=covariance_of_margins, family_kl=kl_from),
            with_margins(lambda right, own, family: right),
            with_margins(lambda right, own, family: own),
        ),
        Mistake(
            "KL the other way round",
            "The gap is KL(q ‖ p(z|x)), an average over draws of q. At least one of your KLs is taken the other way "
            "round.",
            splitting(own_kl=kl_from),
            splitting(best=covariance_of_margins, family_kl=kl_from, own_kl=kl_from),
            splitting(family_kl=kl_from, own_kl=kl_from),
            splitting(family_kl=kl_from),
            with_amortisation(
                lambda family, mu, covariance, centre, precision: kl_from(
                    mu, covariance, centre, diagonal(precision.diagonal())
                )
            ),
            with_amortisation(
                lambda family, mu, covariance, centre, precision: kl_from(mu, covariance, centre, precision)
            ),
        ),
        Mistake(
            "precision and covariance exchanged",
            "A posterior precision stands where its covariance should, or the other way round. With W = 0 both are I: "
            "which of them grows as σ gets smaller?",
            splitting(covariance_for_precision),
            splitting(covariance_for_precision, best=lambda covariance: diagonal(covariance.diagonal())),
            splitting(best=lambda precision: diagonal(precision.diagonal())),
        ),
        Mistake(
            "one variance for all latents",
            "Your best Gaussian has the same variance in every direction. A diagonal Gaussian may have another one for "
            "each latent.",
            splitting(best=lambda precision: torch.eye(len(precision)).to(precision) / precision.diagonal().mean()),
            splitting(best=lambda precision: torch.eye(len(precision)).to(precision)),
        ),
        Mistake(
            "family gap from this encoder",
            "Your family gap depends on the encoder's output. It belongs to the model alone: it is the least over all "
            "diagonal Gaussians, those that the encoder does not give included.",
            with_parts(lambda family, rest: ((family + rest).min(), rest - rest.min())),
            with_parts(lambda family, rest: ((family + rest).mean(), rest - rest.mean())),
            with_parts(lambda family, rest: ((family + rest).min(), rest)),
            with_parts(lambda family, rest: ((family + rest).mean(), rest)),
        ),
        Mistake(
            "log_var taken for log σ",
            "You read the encoder's log_var as the logarithm of σ. What is the variance at log_var = −1?",
            lambda x, weight, mean, log_sigma, mu, log_var: splitting()(x, weight, mean, log_sigma, mu, 2 * log_var),
            lambda x, weight, mean, log_sigma, mu, log_var: splitting()(x, weight, mean, log_sigma, mu, log_var / 2),
        ),
        Mistake(
            "a full covariance allowed",
            "Your family gap is 0: you let the best Gaussian have a covariance. The encoder outputs variances only.",
            with_parts(lambda family, amortisation: (0 * family, family + amortisation)),
        ),
        Mistake(
            "distance to the prior",
            "You measured the encoder's Gaussian against the prior. That KL is in the loss; the one in the gap is to "
            "the posterior.",
            with_amortisation(
                lambda family, mu, covariance, centre, precision: (
                    kl_to(mu, covariance, 0 * centre, torch.eye(len(precision), dtype=mu.dtype)) - family
                )
            ),
            with_amortisation(
                lambda family, mu, covariance, centre, precision: kl_to(
                    mu, covariance, 0 * centre, torch.eye(len(precision), dtype=mu.dtype)
                )
            ),
        ),
        Mistake(
            "mean of the pictures forgotten",
            "Your posterior lies in the wrong place. Which part of x is for the latent to explain, if the decoder adds "
            "`mean` to every picture?",
            splitting(lambda x, weight, mean, log_sigma: precision_and_centre(x, weight, 0 * mean, log_sigma)),
        ),
        Mistake(
            "wrong variance of the decoder's noise",
            "The decoder's noise is not rightly in your posterior. Double σ: the part of the precision that comes from "
            "the picture should fall to a quarter, and the prior's part should stay. And what is `log_sigma` the "
            "logarithm of?",
            with_noise(torch.exp),
            with_noise(torch.ones_like),
            with_noise(torch.square),
            with_noise(torch.abs),
            with_noise(lambda log_sigma: (-2 * log_sigma).exp()),
            with_noise(lambda log_sigma: (4 * log_sigma).exp()),
            splitting(precision_times_variance),
        ),
        Mistake(
            "posterior mean without σ²",
            "Your posterior's mean is off by a factor. If σ is very small and d = 1, it should be the least-squares "
            "fit of x: check it there.",
            splitting(centre_not_scaled),
        ),
        Mistake(
            "prior left out of the posterior",
            "Your posterior's precision lacks a part. If the decoder ignored z, W = 0, what would the posterior be?",
            splitting(lambda *model: precision_and_centre(*model, prior_precision=0.0)),
        ),
        Mistake(
            "forgot the ½ in the family gap",
            "Your family gap is twice too large. The logarithms of a Gaussian's density come with a factor.",
            with_parts(lambda family, amortisation: (2 * family, amortisation - family)),
            with_parts(lambda family, amortisation: (2 * family, amortisation)),
            with_parts(lambda family, amortisation: (2 * family, 2 * amortisation)),
        ),
        Mistake(
            "only the variances or only the means compared",
            "Your family gap is right. An encoder can put its mean in the wrong place, and it can output the wrong "
            "variances; your amortisation gap counts only one of the two.",
            with_amortisation(
                lambda family, mu, covariance, centre, precision: kl_to(centre, covariance, centre, precision) - family
            ),
            with_amortisation(
                lambda family, mu, covariance, centre, precision: cost_of_centre(mu, centre, precision),
            ),
        ),
        Mistake(
            "cost of the encoder's mean",
            "Your family gap is right, and so is what the encoder's variances cost. What its mean costs is not right. "
            "Where is the mean of the posterior, and how fast does the posterior's log-density fall as one moves away "
            "from it in a direction that mixes the latents?",
            variances_and(lambda mu, centre, precision: 2 * cost_of_centre(mu, centre, precision)),
            variances_and(lambda mu, centre, precision: 0.5 * ((mu - centre) ** 2).sum(1)),
            variances_and(lambda mu, centre, precision: ((mu - centre) ** 2).sum(1)),
            variances_and(lambda mu, centre, precision: cost_of_centre(mu, centre, torch.linalg.inv(precision))),
            variances_and(
                lambda mu, centre, precision: 0.5 * ((mu - centre) ** 2 / torch.linalg.inv(precision).diagonal()).sum(1)
            ),
            variances_and(lambda mu, centre, precision: cost_of_centre(mu, 0 * centre, precision)),
            variances_and(lambda mu, centre, precision: 0.5 * (mu**2).sum(1)),
            with_centre(lambda x, weight, variance, precision: x @ weight / variance),
            with_centre(lambda x, weight, variance, precision: x @ weight),
            with_centre(lambda x, weight, variance, precision: x @ torch.linalg.pinv(weight).T),
            with_centre(lambda x, weight, variance, precision: x @ weight / variance @ precision),
            with_centre(lambda x, weight, variance, precision: x @ weight / variance / precision.diagonal()),
        ),
        Mistake(
            "cost of the encoder's variances",
            "Your family gap is right, and so is what the encoder's mean costs. What its variances cost is not right: "
            "it should be 0 where each is the best one, and 0.153 nats for each latent where it is twice the best.",
            means_and(lambda variance, best: variance * best - 1 - (variance * best).log()),
            means_and(lambda variance, best: 0.5 * (1 / (variance * best) - 1 + (variance * best).log())),
            means_and(lambda variance, best: 0.5 * (variance * best - 1 + (variance * best).log())),
            means_and(lambda variance, best: 0.5 * (variance * best - (variance * best).log())),
            means_and(lambda variance, best: 0.5 * (variance * best - 1)),
            means_and(lambda variance, best: -0.5 * (variance * best).log()),
            means_and(lambda variance, best: 0.5 * (variance / best - 1 - (variance / best).log())),
            means_and(lambda variance, best: 0.5 * (variance - 1 - variance.log())),
        ),
        Mistake(
            "KL to the best diagonal Gaussian",
            "Your family gap is right. Your second number is the KL from the encoder's Gaussian to the best diagonal "
            "one. A difference of two ELBOs is the difference of two KLs to the same posterior, and no KL between the "
            "two.",
            with_amortisation(
                lambda family, mu, covariance, centre, precision: kl_to(
                    mu, covariance, centre, torch.diag(precision.diagonal())
                )
            ),
        ),
        Mistake(
            "amortisation averaged over the batch",
            "Your numbers are right, but averaged: the task asks for the amortisation gap of each picture, shape (B,).",
            with_parts(lambda family, amortisation: (family, amortisation.mean())),
        ),
    ),
)

TASKS = (LOG_P_X, CLIMB, REPORT, ELBO, PROPOSAL, SPLIT)
