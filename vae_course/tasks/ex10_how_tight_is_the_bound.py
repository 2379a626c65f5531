"""The tasks of exercise 10, how tight the bound is."""

import math
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


def log_p_x(log_p_x_given_z, log_p_z, log_q):
    """The logarithm of the mean importance weight (lesson 10, section 1; Burda et al. 2016), by SciPy."""
    weights = (log_p_x_given_z + log_p_z - log_q).numpy()
    return logsumexp(weights, axis=0, b=1 / len(weights))


def from_log_weights(estimate):
    """Return an answer that applies `estimate` to the right log-weights (K, B)."""
    return lambda likelihood, prior, q: estimate(likelihood + prior - q)


LOG_P_X = Task(
    name="bound/log_p_x",
    draw=draw_log_p_x,
    reference=log_p_x,
    agree=Close(rtol=1e-6, atol=2e-3),  # float32 at 2,000 nats
    mistakes=(
        Mistake(
            "left the logarithms",
            "Somewhere you leave the logarithms: exp(−800) is 0 in the computer, and its logarithm −∞. Think of a "
            "number that you may subtract from all log-weights of one picture and add to the result, or look for a "
            "function that does so.",
            from_log_weights(lambda w: w.exp().mean(0).log()),
            from_log_weights(lambda w: (w.exp().mean(0) + 1e-8).log()),
        ),
        Mistake(
            "one maximum for all pictures",
            "You subtract the same maximum from all pictures. Next to a picture of −900 nats one of −2000 is still "
            "lost: each needs its own.",
            from_log_weights(lambda w: (w - w.max()).exp().mean(0).log() + w.max()),
            from_log_weights(lambda w: (w.double() - w.max()).exp().mean(0).log() + w.max()),
        ),
        Mistake(
            "mean of the logarithms",
            "You average the logarithms. That is the ELBO again, however many draws you take. Which comes first?",
            from_log_weights(lambda w: w.mean(0)),
        ),
        Mistake(
            "wrong number for K",
            "Put in K equal weights: what should come out? Your estimate is off by the logarithm of a number, the same "
            "for every picture. Over what does the mean run?",
            from_log_weights(lambda w: w.logsumexp(0)),
            from_log_weights(lambda w: w.logsumexp(0) - math.log(w.shape[1])),
            from_log_weights(lambda w: w.logsumexp(0) + math.log(len(w))),
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
            "multiplied by the proposal",
            "You multiply by q(z|x). A z that the encoder proposes twice as often as it should has to count half.",
            lambda likelihood, prior, q: log_mean_exp(likelihood + prior + q),
            lambda likelihood, prior, q: log_mean_exp(likelihood - prior + q),
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
        ),
    ),
)


# bound/climb(log_weights, k)


def draw_climb(rng):
    """Draw log-weights, with different numbers of groups, of draws in a group, and of pictures."""
    k, groups = (int(number) for number in rng.permutation([2, 3, 4])[:2])
    batch = int(rng.integers(5, 8))
    base = rng.normal(scale=6, size=batch) - 60
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


def overlapping(log_weights, k):
    """The bound from all windows of k draws."""
    windows = [log_mean_exp(log_weights[start : start + k]) for start in range(len(log_weights) - k + 1)]
    return mean_and_error(torch.stack(windows).mean(0))


CLIMB = Task(
    name="bound/climb",
    draw=draw_climb,
    reference=climb,
    mistakes=(
        Mistake(
            "all draws in one average",
            "You put all N draws into one average inside the logarithm. That is the bound for N draws, which is higher "
            "than the one for k. The average over groups is one of logarithms.",
            lambda w, k: mean_and_error(log_mean_exp(w)),
        ),
        Mistake(
            "only the first k draws",
            "You use the first k draws and throw the others away. That is a right estimate, only noisier than it need "
            "be: what can the other groups of k draws add?",
            lambda w, k: mean_and_error(log_mean_exp(w[:k])),
        ),
        Mistake(
            "mean of the logarithms",
            "You average log-weights. That is the ELBO for every k: your curve does not climb.",
            lambda w, k: mean_and_error(w.mean(0)),
        ),
        Mistake(
            "forgot log k",
            "Your bound is the logarithm of a sum of weights. With k equal weights, what should come out?",
            lambda w, k: mean_and_error(in_groups(w, k).logsumexp(1).mean(0)),
        ),
        Mistake(
            "groups not of consecutive draws",
            "Your groups are made of draws that lie apart. That estimates the same, but the task asks for groups of "
            "consecutive draws. Look at what `reshape` puts next to each other.",
            lambda w, k: mean_and_error(log_mean_exp(w.reshape(k, -1, w.shape[1])).mean(0)),
        ),
        Mistake(
            "overlapping groups",
            "Your groups overlap: draws in the middle count more often than those at the ends. Each draw should be in "
            "one group.",
            overlapping,
        ),
        Mistake(
            "groups taken for pictures",
            "Your bound is right. Your standard error counts every group as a case of its own. Two groups of one "
            "picture share the picture: of how many independent pictures is your mean made?",
            with_error(lambda bounds: bounds.std() / math.sqrt(bounds.numel())),
            with_error(lambda bounds: bounds.mean(0).std() / math.sqrt(bounds.numel())),
        ),
        Mistake(
            "spread of the groups for spread of the pictures",
            "Your bound is right. Your standard error shows how much the mean changes with other draws; the task asks "
            "how much it may change with other pictures.",
            with_error(lambda bounds: bounds.mean(1).std() / math.sqrt(len(bounds))),
        ),
        Mistake(
            "no root of B in the standard error",
            "Your bound is right. Four times as many pictures should halve the standard error. What do they do to "
            "yours?",
            with_error(lambda bounds: bounds.mean(0).std()),
            with_error(lambda bounds: bounds.mean(0).std() / bounds.shape[1]),
        ),
        Mistake(
            "standard deviation with B in place of B − 1",
            "Your bound is right. With few pictures it matters that the mean was taken from the same pictures: divide "
            "by B − 1.",
            with_error(lambda bounds: bounds.mean(0).std(correction=0) / math.sqrt(bounds.shape[1])),
        ),
        Mistake(
            "pictures averaged inside the logarithm",
            "You average the weights of different pictures inside the logarithm. The bound belongs to one picture; "
            "average over pictures at the end.",
            lambda w, k: mean_and_error(log_mean_exp(in_groups(w, k).transpose(1, 2).flatten(1), 1)),
        ),
    ),
)


# bound/report(rows, n_pixels)

LOG_2 = math.log(2)
UNITS = ("nats per picture", "nats per pixel", "bits per picture", "bits per pixel")


def draw_report(rng):
    """Draw one model's recorded numbers.

    Three rows have valid bounds, which rise with the number of draws. Three look better: a bound on training pictures,
    one with a mean code, and a reconstruction. Units and signs vary, and the best bound is never in nats per picture.
    """
    n_pixels, truth = int(rng.integers(40, 400)), -float(rng.uniform(60, 140))
    gains = np.cumsum(rng.uniform(1, 3, size=3))
    draws = [1, int(rng.choice([5, 10, 50])), int(rng.choice([100, 500, 1000]))]
    lead = truth + gains[-1]
    above = rng.permutation([2.0, 5.0, 9.0]) + rng.uniform(0, 1, size=3)
    recorded = [("held-out", "bound", "sample", k, truth + gain) for k, gain in zip(draws, gains, strict=True)]
    recorded += [
        ("training", "bound", "sample", draws[2], lead + above[0]),
        ("held-out", "bound", "mean", 1, lead + above[1]),
        ("held-out", "reconstruction", "sample", 1, lead + above[2]),
    ]
    rows = []
    for number in rng.permutation(len(recorded)):
        pictures, quantity, z, k, value = recorded[number]
        unit = UNITS[rng.integers(4)] if number != 2 else UNITS[rng.choice([1, 2, 3, 3])]
        if quantity == "bound" and number != 0 and rng.random() < 0.5:
            quantity, value = "minus bound", -value
        value = value / (LOG_2 if "bits" in unit else 1) / (n_pixels if "pixel" in unit else 1)
        row = {"pictures": pictures, "quantity": quantity, "z": z, "draws": k, "unit": unit, "value": round(value, 6)}
        rows.append(row)
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


def with_last_number(change):
    """Return an answer that computes its last number from the right nats and bits per dimension."""

    def answer(rows, n_pixels):
        first, nats, bits = reporting()(rows, n_pixels)
        return first, nats, change(nats, bits)

    return answer


REPORT = Task(
    name="bound/report",
    draw=draw_report,
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
            "The bound in your row holds, but another row holds a higher one. All of them are below log p(x): which of "
            "them says most?",
            reporting(rank=lambda row, n_pixels: -row["draws"]),
            reporting(rank=lambda row, n_pixels: -in_nats(row, n_pixels)),
            reporting(rank=lambda row, n_pixels: 0),
        ),
        Mistake(
            "rows logged as a loss left out",
            "A row logged as a loss holds a bound, too: minus its value.",
            reporting((*RULES, lambda row: row["quantity"] == "bound")),
        ),
        Mistake(
            "raw values compared",
            "You compared the recorded values as they stand. They have different units, and a `minus bound` has the "
            "other sign: bring them all to the same scale first.",
            reporting(rank=lambda row, n_pixels: row["value"]),
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
            "unit of the row converted wrongly",
            "The row is right, but its number is not in nats per picture. A fair coin is 1 bit and 0.693 nats, and a "
            "picture's log-probability is the sum over its pixels.",
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels) / nats_per_unit(row), rank=in_nats),
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels) / nats_per_unit(row) ** 2, rank=in_nats),
            reporting(nats=lambda row, n_pixels: in_nats(row, 1), rank=in_nats),
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
        ),
    ),
)


# bound/proposal(prior, likelihood, proposals, k)


def draw_states(rng):
    """Draw prior and likelihood of some states: the first has a small posterior, the last often none."""
    while True:
        states = int(rng.integers(4, 6))
        posterior = rng.uniform(0.5, 1.5, size=states)
        posterior[0] = 0.04 * posterior.sum()
        impossible = rng.random() < 0.75
        posterior[-1] *= not impossible
        posterior /= posterior.sum()
        prior = np.round(rng.dirichlet(np.full(states, 4.0)) + 0.05, 2)
        prior[-1] += 1 - prior.sum()
        if prior.min() >= 0.03:
            return prior, np.round(posterior / prior * rng.uniform(0.1, 0.25), 4)


def draw_table(rng, posterior):
    """Draw proposals: one never draws the rare state, one draws it too rarely, one is safe, one or two are random."""
    states = len(posterior)
    never, seldom = posterior.copy(), posterior.copy()
    never[0] = 0
    seldom[0] /= 50
    safe = posterior ** rng.uniform(0.3, 0.5) * (posterior > 0)
    other = rng.dirichlet(np.full(states, 3.0)) + 0.03
    table = np.stack([never, seldom, safe, other])
    if rng.random() < 0.5:
        table = np.concatenate([table, rng.dirichlet(np.full(states, 3.0))[None] + 0.03])
    table = np.round(table / table.sum(1, keepdims=True), 4)
    table[:, 1] += 1 - table.sum(1)
    return table[rng.permutation(len(table))]


def tells_mistakes_apart(joint, table):
    """Whether just one proposal is biased, with the least spread, and the highest ELBO is not the least variance."""
    biased = ((table == 0) & (joint > 0)).any(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(table > 0, joint / table, 0)
        elbos = (table * np.log(np.where(weights > 0, weights, 1))).sum(1)
    elbos[((table > 0) & (joint == 0)).any(1)] = -np.inf
    spread = (table * weights**2).sum(1) - (table * weights).sum(1) ** 2
    fair = np.sort(spread[~biased])
    return (
        table.min() >= 0
        and biased.sum() == 1
        and fair[1] > 1.3 * fair[0]
        and spread[biased][0] < 0.5 * fair[0]
        and np.where(biased, -np.inf, elbos).argmax() != np.where(biased, np.inf, spread).argmin()
    )


def draw_proposal(rng):
    """Draw states and proposals until they tell the mistakes apart."""
    while True:
        prior, likelihood = draw_states(rng)
        joint = prior * likelihood
        table = draw_table(rng, joint / joint.sum())
        if tells_mistakes_apart(joint, table):
            break
    columns = {"prior": prior, "likelihood": likelihood, "proposals": table}
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in columns.items()} | {
        "k": int(rng.integers(3, 40))
    }


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


def relative_variance(joint, weights, proposals):
    """Var(w) / p(x)²: (M,)."""
    return (second_moment(joint, weights, proposals) - (proposals * weights).sum(1) ** 2) / joint.sum() ** 2


def second_moment(joint, weights, proposals):
    """E[w²]: (M,)."""
    return (proposals * weights**2).sum(1)


def gap_of(spread, p, k):
    """The gap of the bound with K draws, for small variances (lesson 10, section 1)."""
    return spread / (2 * k)


def proposing(admit=unbiased, cost=relative_variance, gap=gap_of):
    """Return an answer that chooses the admitted proposal with the least cost.

    Args:
        admit: decides which proposals to consider, from p(x, z) and the proposals.
        cost: computes the costs from p(x, z), the weights and the proposals.
        gap: computes the second result from Var(w) / p(x)², p(x) and K.
    """

    def answer(prior, likelihood, proposals, k):
        joint = prior * likelihood
        weights = importance_weights(joint, proposals)
        costs = torch.where(admit(joint, proposals), cost(joint, weights, proposals), torch.inf)
        first = int(costs.argmin())
        return first, gap(relative_variance(joint, weights, proposals)[first], joint.sum(), k)

    return answer


def minus_elbo(joint, weights, proposals):
    """Minus the ELBO of each proposal, infinite if it can draw an impossible state: (M,)."""
    log_weights = torch.where(weights > 0, weights, 1.0).log()
    impossible = ((proposals > 0) & (joint == 0)).any(1)
    return torch.where(impossible, torch.inf, -(proposals * log_weights).sum(1))


def divided_by_zero(prior, likelihood, proposals, k):
    """Average over all states, where 0 · 0/0 is nan."""
    joint = prior * likelihood
    spread = (proposals * (joint / proposals - joint.sum()) ** 2).sum(1) / joint.sum() ** 2
    first = int(spread.argmin())
    return first, spread[first] / (2 * k)


def negative_variance(prior, likelihood, proposals, k):
    """E[w²] / p(x)² − 1, which may be negative for a proposal whose mean weight is not p(x)."""
    joint = prior * likelihood
    spread = second_moment(joint, importance_weights(joint, proposals), proposals) / joint.sum() ** 2 - 1
    first = int(spread.argmin())
    return first, spread[first] / (2 * k)


PROPOSAL = Task(
    name="bound/proposal",
    draw=draw_proposal,
    reference=proposal,
    cases=10,
    mistakes=(
        Mistake(
            "biased proposal chosen",
            "The weights of your proposal vary least, but their mean is not p(x). Can it ever draw all the states that "
            "may be behind this picture?",
            proposing(any_proposal),
            proposing(any_proposal, cost=lambda joint, w, q: (q * (w - joint.sum()) ** 2).sum(1)),
            proposing(any_proposal, cost=second_moment),
            negative_variance,
        ),
        Mistake(
            "every proposal with a zero rejected",
            "You reject every proposal that contains a 0. If a state cannot have produced this picture, what is lost "
            "by never proposing it?",
            proposing(without_zeros),
        ),
        Mistake(
            "closest for least variance",
            "You chose the proposal with the highest ELBO, or the one that looks most like the posterior. That hardly "
            "minds if a state is proposed fifty times too seldom; what does such a state's weight do to the variance?",
            proposing(cost=minus_elbo),
            proposing(cost=lambda joint, w, q: (q - joint / joint.sum()).abs().sum(1)),
            proposing(cost=lambda joint, w, q: ((q - joint / joint.sum()) ** 2).sum(1)),
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
            "forgot K",
            "The proposal is right. Your gap is that of a single draw; what do K draws do to the variance of a mean?",
            proposing(gap=lambda spread, p, k: spread / 2),
        ),
        Mistake(
            "not divided by p(x)²",
            "The proposal is right. Your gap depends on the scale of the weights: make all likelihoods ten times as "
            "large, and log p(x) minus the bound should stay.",
            proposing(gap=lambda spread, p, k: spread * p**2 / (2 * k)),
            proposing(gap=lambda spread, p, k: spread * p / (2 * k)),
        ),
        Mistake(
            "standard deviation for variance",
            "The proposal is right. In the gap you used a standard deviation where the rule has a variance.",
            proposing(gap=lambda spread, p, k: spread.sqrt() / (2 * k)),
        ),
    ),
)


# bound/elbo(x, eps, encode, decode)


def draw_elbo(rng):
    """Draw different numbers of draws and pictures, and a decoder that is not linear in z."""
    pictures, pixels, latents = int(rng.integers(2, 5)), int(rng.integers(5, 8)), int(rng.integers(2, 4))
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
):
    """Return an evaluation made of these parts; the defaults are right.

    Args:
        codes: computes the decoder's input (K, B, d) from mu, log_var and the noise.
        over_pixels: reduces log-likelihoods of pixels along an axis.
        over_draws: reduces log-likelihoods of draws along an axis.
        over_latents: reduces the KL of latents along an axis.
        kl_weight: multiplies the KL.
        over_pictures: applied to the numbers of the pictures.
    """

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        terms = over_pixels(pixel_log_likelihood(x, decode(codes(mu, log_var, eps))), -1)  # (K, B)
        return over_pictures(over_draws(terms, 0) - kl_weight * over_latents(latent_kl(mu, log_var), 1))

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
    draw=draw_elbo,
    reference=elbo,
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
            "Your samples have the wrong spread. What is σ, given log_var?",
            evaluation(codes=lambda mu, log_var, eps: mu + log_var.exp() * eps),
            evaluation(codes=lambda mu, log_var, eps: mu + log_var * eps),
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
        ),
        Mistake(
            "KL averaged over the latent dimensions",
            "You average the KL over the latent dimensions. Each dimension costs its own nats.",
            evaluation(over_latents=torch.mean),
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


def draw_split(rng):
    """Draw a linear VAE whose σ is not near 1, and different numbers of pictures, latents and pixels."""
    pixels, latents, batch = int(rng.integers(5, 7)), int(rng.integers(2, 4)), int(rng.integers(1, 4))
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
    trace = torch.einsum("ij,...ji->...", precision, covariance)
    return 0.5 * (trace - len(precision) - torch.logdet(covariance) - torch.logdet(precision)) + cost_of_centre(
        mu, centre, precision
    )


def cost_of_centre(mu, centre, precision):
    """The part of the KL that comes from the means: (B,)."""
    return 0.5 * torch.einsum("bi,ij,bj->b", mu - centre, precision, mu - centre)


def best_covariance(precision):
    """The covariance of the best diagonal Gaussian, with variances 1 / P_ii."""
    return torch.diag(1 / precision.diagonal())


def covariance_of_margins(precision):
    """The covariance of the diagonal Gaussian with the posterior's variances."""
    return torch.diag(torch.linalg.inv(precision).diagonal())


def splitting(posterior=precision_and_centre, best=best_covariance):
    """Return an answer with these functions for the posterior and the best covariance."""

    def answer(x, weight, mean, log_sigma, mu, log_var):
        precision, centre = posterior(x, weight, mean, log_sigma)
        family = kl_to(centre, best(precision), centre, precision)[0]
        return family, kl_to(mu, torch.diag_embed(log_var.exp()), centre, precision) - family

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


SPLIT = Task(
    name="bound/split",
    draw=draw_split,
    reference=split,
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
        ),
        Mistake(
            "mean of the pictures forgotten",
            "Your posterior lies in the wrong place. Which part of x is for the latent to explain, if the decoder adds "
            "`mean` to every picture?",
            splitting(lambda x, weight, mean, log_sigma: precision_and_centre(x, weight, 0 * mean, log_sigma)),
        ),
        Mistake(
            "σ for σ²",
            "Your posterior's precision has σ where σ² belongs. What stands below the square in the exponent of the "
            "decoder's Gaussian?",
            splitting(lambda x, weight, mean, log_sigma: precision_and_centre(x, weight, mean, log_sigma / 2)),
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
