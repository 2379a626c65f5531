"""The tasks of exercise 10, how tight the bound is."""

import math
from itertools import combinations

import numpy as np
import torch
from scipy.special import logsumexp
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import GaussianEncoder, LogitDecoder

__all__ = ["TASKS"]


# bound/log_p_x(log_p_x_given_z, log_p_z, log_q)


def draw_log_p_x(rng):
    """Log-likelihoods of larger pictures: they lie hundreds of nats apart, the draws of one picture a few."""
    batch = int(rng.integers(2, 5))
    draws = int(rng.choice([number for number in (3, 4, 5, 6) if number != batch]))
    base = rng.permutation([-2000.0, -900.0, -1300.0, -1600.0][:batch]) + rng.uniform(-15, 15, size=batch)
    likelihood = base + 2.5 * rng.normal(size=(draws, batch))
    return {
        "log_p_x_given_z": torch.tensor(np.round(likelihood, 2), dtype=torch.float32),
        "log_p_z": rounded_normal(rng, draws, batch) - 4,
        "log_q": rounded_normal(rng, draws, batch) + 1.5,
    }


def importance(log_p_x_given_z, log_p_z, log_q):
    weights = (log_p_x_given_z + log_p_z - log_q).numpy()
    return logsumexp(weights, axis=0, b=1 / len(weights))


def log_mean_exp(log_weights, axis=0):
    return log_weights.logsumexp(axis) - math.log(log_weights.shape[axis])


UNSAFE = (
    "Somewhere you leave the logarithms: exp(−800) is 0 in the computer, and its logarithm −∞. Think of a number that you may "
    "subtract from all log-weights of one picture and add to the result, or look for a function that does so."
)
PER_PICTURE = "There should be one number for each picture, shape (B,). Different pictures have different p(x), and their weights have nothing to do with each other."

LOG_P_X = Task(
    name="bound/log_p_x",
    draw=draw_log_p_x,
    reference=importance,
    agree=Close(rtol=1e-6, atol=2e-3),  # single precision at 2,000 nats
    mistakes=(
        Mistake(
            "left the logarithms",
            UNSAFE,
            lambda x, z, q: (x + z - q).exp().mean(0).log(),
            lambda x, z, q: (x + z - q).double().exp().mean(0).log(),
            lambda x, z, q: (x.exp() * z.exp() / q.exp()).mean(0).log(),
            lambda x, z, q: ((x + z - q).exp() + 1e-8).mean(0).log(),
            lambda x, z, q: ((x + z - q).exp().mean(0) + 1e-8).log(),
        ),
        Mistake(
            "one maximum for all pictures",
            "You subtract the same maximum from all pictures. Next to a picture of −900 nats one of −2000 is "
            "still lost: each needs its own.",
            lambda x, z, q: (x + z - q - (x + z - q).max()).exp().mean(0).log() + (x + z - q).max(),
            lambda x, z, q: ((x + z - q).double() - (x + z - q).max()).exp().mean(0).log() + (x + z - q).max(),
        ),
        Mistake(
            "mean of the logarithms",
            "You average the logarithms. That is the ELBO again, however many draws you take. Which comes first?",
            lambda x, z, q: (x + z - q).mean(0),
        ),
        Mistake(
            "forgot log K",
            "You take the logarithm of the sum of the weights. With the same draw twice, should log p(x) rise "
            "by log 2?",
            lambda x, z, q: (x + z - q).logsumexp(0),
        ),
        Mistake(
            "divided by K outside the logarithm",
            "You divide the logarithm by K. The mean is inside the logarithm: what becomes of a factor 1/K there?",
            lambda x, z, q: (x + z - q).logsumexp(0) / len(x),
        ),
        Mistake(
            "log B for log K",
            "You subtract the logarithm of the number of pictures. Over what does the mean run?",
            lambda x, z, q: (x + z - q).logsumexp(0) - math.log(x.shape[1]),
        ),
        Mistake(
            "log K added, not subtracted",
            "Your estimate is too high by 2 log K. Put in K equal weights: what should come out?",
            lambda x, z, q: (x + z - q).logsumexp(0) + math.log(len(x)),
        ),
        Mistake(
            "prior forgotten",
            "Your weights lack a factor. The decoder tells how probable the picture is if the latent is z; "
            "how probable is this z to begin with?",
            lambda x, z, q: log_mean_exp(x - q),
        ),
        Mistake(
            "proposal forgotten",
            "You do not use log_q. The draws come from the encoder, which favours some z; what corrects for that?",
            lambda x, z, q: log_mean_exp(x + z),
        ),
        Mistake(
            "only the likelihood averaged",
            "You average p(x|z) alone. That is right if z is drawn from the prior; these draws come from the encoder.",
            lambda x, z, q: log_mean_exp(x),
        ),
        Mistake(
            "weights with log q added",
            "You multiply by q(z|x). A z that the encoder proposes twice as often as it should has to count half.",
            lambda x, z, q: log_mean_exp(x + z + q),
        ),
        Mistake(
            "prior and proposal outside the mean",
            "You average p(x|z) inside the logarithm, and the rest outside. All three factors belong to the "
            "same draw: one weight for each draw, then the mean.",
            lambda x, z, q: log_mean_exp(x) + (z - q).mean(0),
        ),
        Mistake(
            "prior and proposal exchanged",
            "Prior and proposal have changed places in your weights.",
            lambda x, z, q: log_mean_exp(x - z + q),
        ),
        Mistake(
            "only the largest weight",
            "You return the largest log-weight. It leads the sum, but the other draws count as well, and so does K.",
            lambda x, z, q: (x + z - q).max(0).values,
            lambda x, z, q: (x + z - q).max(0).values - math.log(len(x)),
        ),
        Mistake(
            "pictures thrown together",
            PER_PICTURE,
            lambda x, z, q: log_mean_exp(x + z - q).mean(),
            lambda x, z, q: log_mean_exp((x + z - q).flatten()),
            lambda x, z, q: log_mean_exp((x + z - q).mean(1)),
            lambda x, z, q: log_mean_exp((x + z - q).sum(1)),
        ),
        Mistake(
            "averaged over the wrong axis",
            "You averaged over the pictures and kept the draws. Which axis counts the draws in shape (K, B)?",
            lambda x, z, q: log_mean_exp(x + z - q, 1),
        ),
    ),
)


# bound/climb(log_weights, k)


def draw_climb(rng):
    """Draws and groups are never equally many, nor as many as pictures."""
    k, groups = (int(number) for number in rng.permutation([2, 3, 4])[:2])
    batch = int(rng.integers(5, 8))
    base = rng.normal(scale=6, size=batch) - 60
    weights = base + 1.8 * rng.normal(size=(k * groups, batch))
    return {"log_weights": torch.tensor(np.round(weights, 2), dtype=torch.float32), "k": k}


def climb(log_weights, k):
    table = log_weights.numpy()
    bounds = np.mean([logsumexp(table[i : i + k], axis=0, b=1 / k) for i in range(0, len(table), k)], axis=0)
    return bounds.mean(), bounds.std(ddof=1) / math.sqrt(len(bounds))


def groups_of(log_weights, k):
    return log_weights.reshape(-1, k, log_weights.shape[1])


def summary(bounds):
    """Mean and standard error over pictures (B,)."""
    return bounds.mean(), bounds.std() / math.sqrt(len(bounds))


ALL_AT_ONCE = "You put all N draws into one average. That is the bound for N draws, which is higher than the one for k."
NOT_PICTURES = (
    "Your bound is right. Your standard error counts every group as a case of its own. Two groups of one picture share the picture: "
    "of how many independent pictures is your mean made?"
)

CLIMB = Task(
    name="bound/climb",
    draw=draw_climb,
    reference=climb,
    mistakes=(
        Mistake(
            "all draws in one average",
            ALL_AT_ONCE,
            lambda w, k: summary(log_mean_exp(w)),
        ),
        Mistake(
            "all draws in one average",
            "You average the groups' weights once more inside the logarithm. That is the bound for all N "
            "draws; the average over groups is one of logarithms.",
            lambda w, k: summary(log_mean_exp(log_mean_exp(groups_of(w, k), 1))),
        ),
        Mistake(
            "only the first k draws",
            "You use the first k draws and throw the others away. That is a right estimate, only noisier than "
            "it need be: what can the other groups of k draws add?",
            lambda w, k: summary(log_mean_exp(w[:k])),
        ),
        Mistake(
            "mean of the logarithms",
            "You average log-weights. That is the ELBO for every k: your curve does not climb.",
            lambda w, k: summary(w.mean(0)),
        ),
        Mistake(
            "forgot log k",
            "Your bound is the logarithm of a sum of weights. With k equal weights, what should come out?",
            lambda w, k: summary(groups_of(w, k).logsumexp(1).mean(0)),
        ),
        Mistake(
            "log N for log k",
            "You subtract log N. Over how many weights does each of your means run?",
            lambda w, k: summary(groups_of(w, k).logsumexp(1).mean(0) - math.log(len(w))),
        ),
        Mistake(
            "groups not of consecutive draws",
            "Your groups are made of draws that lie apart. That estimates the same, but the task asks for "
            "groups of consecutive draws. Look at what `reshape` puts next to each other.",
            lambda w, k: summary(log_mean_exp(w.reshape(k, -1, w.shape[1])).mean(0)),
        ),
        Mistake(
            "k groups for groups of k",
            "You made k groups. Asked are groups of k draws.",
            lambda w, k: summary(log_mean_exp(w.reshape(k, -1, w.shape[1]), 1).mean(0)),
            lambda w, k: summary(w.reshape(k, -1, w.shape[1]).logsumexp(1).mean(0) - math.log(k)),
        ),
        Mistake(
            "overlapping groups",
            "Your groups overlap: draws in the middle count more often than those at the ends. Each draw "
            "should be in one group.",
            lambda w, k: summary(torch.stack([log_mean_exp(w[i : i + k]) for i in range(len(w) - k + 1)]).mean(0)),
        ),
        Mistake(
            "groups cut across pictures",
            "Your reshaping mixes the draws of different pictures. Check it on a small table in which every "
            "picture has a number of its own.",
            lambda w, k: summary(log_mean_exp(w.T.reshape(-1, k, w.shape[1]), 1).mean(0)),
        ),
        Mistake(
            "groups taken for pictures",
            NOT_PICTURES,
            lambda w, k: summary(log_mean_exp(groups_of(w, k), 1).flatten()),
            lambda w, k: (
                summary(log_mean_exp(groups_of(w, k), 1).mean(0))[0],
                log_mean_exp(groups_of(w, k), 1).mean(0).std() / math.sqrt(len(w) // k * w.shape[1]),
            ),
        ),
        Mistake(
            "spread of the groups for spread of the pictures",
            "Your bound is right. Your standard error shows how much the mean changes with other draws; asked "
            "is how much it may change with other pictures.",
            lambda w, k: (
                summary(log_mean_exp(groups_of(w, k), 1).mean(0))[:1]
                + summary(log_mean_exp(groups_of(w, k), 1).mean(1))[1:]
            ),
        ),
        Mistake(
            "forgot the root of B",
            "Your bound is right. The second number is the spread of single pictures; how far may the mean of "
            "B pictures be off?",
            lambda w, k: (lambda b: (b.mean(), b.std()))(log_mean_exp(groups_of(w, k), 1).mean(0)),
        ),
        Mistake(
            "divided by B, not its root",
            "Your bound is right. Four times as many pictures halve the standard error; yours falls to a quarter.",
            lambda w, k: (lambda b: (b.mean(), b.std() / len(b)))(log_mean_exp(groups_of(w, k), 1).mean(0)),
        ),
        Mistake(
            "standard deviation with B in place of B − 1",
            "Your bound is right. With few pictures it matters that the mean was taken from the same "
            "pictures: divide by B − 1.",
            lambda w, k: (lambda b: (b.mean(), b.std(correction=0) / math.sqrt(len(b))))(
                log_mean_exp(groups_of(w, k), 1).mean(0)
            ),
        ),
        Mistake(
            "pictures averaged inside the logarithm",
            "You average the weights of different pictures inside the logarithm. The bound belongs to one "
            "picture; average over pictures at the end.",
            lambda w, k: (lambda b: (b.mean(), b.std() / math.sqrt(len(b))))(
                log_mean_exp(groups_of(w, k).transpose(1, 2).flatten(1), 1)
            ),
        ),
    ),
)


# bound/report(rows, n_pixels)

LOG_2 = math.log(2)
UNITS = ("nats per picture", "nats per pixel", "bits per picture", "bits per pixel")


def draw_report(rng):
    """One model's recorded numbers. What looks best is training, or a mean code, or no bound; units vary."""
    n_pixels, truth = int(rng.integers(40, 400)), -float(rng.uniform(60, 140))
    gains = np.cumsum(rng.uniform(1, 3, size=3))  # the valid bounds, rising with the draws
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


def allowed(row, *, pictures=True, quantity=True, z=True):
    return (
        (not pictures or row["pictures"] == "held-out")
        and (not quantity or row["quantity"] != "reconstruction")
        and (not z or row["z"] == "sample")
    )


def in_nats(row, n_pixels, bits=LOG_2, pixels=True, sign=True):
    value = row["value"] * (bits if "bits" in row["unit"] else 1)
    value *= n_pixels if pixels and "pixel" in row["unit"] else 1
    return -value if sign and row["quantity"] == "minus bound" else value


def reporting(admit=allowed, nats=in_nats, rank=None, tell=None):
    """Reports the admitted row that `rank` puts first, by default the highest in nats."""

    def answer(rows, n_pixels):
        numbers = [number for number, row in enumerate(rows) if admit(row)]
        first = max(numbers, key=lambda number: (rank or nats)(rows[number], n_pixels))
        value = nats(rows[first], n_pixels)
        return (tell or (lambda *found: found))(first, value, -value / LOG_2 / n_pixels)

    return answer


NOT_HIGHEST = "The bound in your row holds, but another row holds a higher one. All of them are below log p(x): which of them says most?"
RAW = (
    "You compared the recorded values as they stand. They have different units, and a `minus bound` has the other sign: bring them all to "
    "the same scale first."
)

REPORT = Task(
    name="bound/report",
    draw=draw_report,
    reference=report,
    cases=12,
    mistakes=(
        Mistake(
            "training pictures reported",
            "Your row comes from pictures that the model was trained on. What does the lesson say about both "
            "gaps there?",
            reporting(lambda row: allowed(row, pictures=False)),
        ),
        Mistake(
            "mean code reported as a bound",
            "In your row the decoder was given the mean of q(z|x). Then nobody pays for the encoder's spread: "
            "is the number still below log p(x)?",
            reporting(lambda row: allowed(row, z=False)),
        ),
        Mistake(
            "reconstruction reported as a bound",
            "Your row holds a reconstruction term alone. What has it not paid for?",
            reporting(lambda row: allowed(row, quantity=False)),
        ),
        Mistake(
            "more than one kind of row wrongly let in",
            "Your row has the highest number, but it is no bound on new pictures. Ask three questions of a "
            "row: which pictures, which quantity, which z?",
            *(
                reporting(lambda row, open_=open_: allowed(row, **{key: False for key in open_}))
                for open_ in (
                    ("pictures", "z"),
                    ("pictures", "quantity"),
                    ("quantity", "z"),
                    ("pictures", "quantity", "z"),
                )
            ),
        ),
        Mistake(
            "not the highest bound",
            NOT_HIGHEST,
            reporting(rank=lambda row, n_pixels: -row["draws"]),
            reporting(rank=lambda row, n_pixels: -in_nats(row, n_pixels)),
            reporting(rank=lambda row, n_pixels: 0),
        ),
        Mistake(
            "rows logged as a loss left out",
            "A row logged as a loss holds a bound, too: minus its value.",
            reporting(lambda row: allowed(row) and row["quantity"] == "bound"),
        ),
        Mistake(
            "raw values compared",
            RAW,
            reporting(rank=lambda row, n_pixels: row["value"]),
            reporting(rank=lambda row, n_pixels: in_nats(row, n_pixels, bits=1, pixels=False)),
        ),
        Mistake(
            "sign of the loss kept",
            "A `minus bound` is what training minimises. Its sign has to be turned before it is compared or "
            "reported: probabilities of binary pictures have negative logarithms.",
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels, sign=False)),
            reporting(rank=in_nats, nats=lambda row, n_pixels: in_nats(row, n_pixels, sign=False)),
        ),
        Mistake(
            "bits taken for nats",
            "Where the row is in bits, your nats are the same number. A fair coin is 1 bit and 0.693 nats.",
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels, bits=1), rank=in_nats),
        ),
        Mistake(
            "bits divided by log 2",
            "You converted bits to nats the wrong way round. A fair coin is 1 bit and 0.693 nats: which "
            "number is the larger?",
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels, bits=1 / LOG_2), rank=in_nats),
        ),
        Mistake(
            "nats per pixel for nats per picture",
            "Where the row is per pixel, your nats are too. A picture's log-probability is the sum over its pixels.",
            reporting(nats=lambda row, n_pixels: in_nats(row, n_pixels, pixels=False), rank=in_nats),
        ),
        Mistake(
            "bits per dimension with a minus",
            "Row and nats are right. Bits per dimension are a length of code and count what the picture "
            "costs: a positive number.",
            reporting(tell=lambda first, nats, bits: (first, nats, -bits)),
        ),
        Mistake(
            "nats per dimension for bits",
            "Row and nats are right. Your last number is in nats per dimension.",
            reporting(tell=lambda first, nats, bits: (first, nats, bits * LOG_2)),
        ),
        Mistake(
            "log 2 multiplied, not divided",
            "Row and nats are right. You converted nats to bits the wrong way round: 0.693 nats are 1 bit.",
            reporting(tell=lambda first, nats, bits: (first, nats, bits * LOG_2**2)),
        ),
        Mistake(
            "bits per picture for bits per dimension",
            "Row and nats are right. Your last number is in bits per picture.",
            reporting(nats=in_nats, tell=lambda first, nats, bits: (first, nats, -nats / LOG_2)),
        ),
        Mistake(
            "rows counted from 1",
            "Your numbers are right. Rows count from 0, as Python does.",
            reporting(tell=lambda first, nats, bits: (first + 1, nats, bits)),
        ),
    ),
)


# bound/proposal(prior, likelihood, proposals, k)


def draw_proposal(rng):
    """Proposals: one that never draws a rare state, one that does so too seldom, one that is safe, one at random."""
    while True:
        states = int(rng.integers(4, 6))
        posterior = rng.uniform(0.5, 1.5, size=states)
        posterior[0] = 0.04 * posterior.sum()
        impossible = rng.random() < 0.75  # a state that cannot be behind this picture: nobody needs to propose it
        posterior[-1] *= not impossible
        posterior /= posterior.sum()
        prior = np.round(rng.dirichlet(np.full(states, 4.0)) + 0.05, 2)
        prior[-1] += 1 - prior.sum()
        if prior.min() < 0.03:
            continue
        likelihood = np.round(posterior / prior * rng.uniform(0.1, 0.25), 4)
        joint = prior * likelihood
        posterior = joint / joint.sum()
        never, seldom = posterior.copy(), posterior.copy()
        never[0] = 0
        seldom[0] /= 50
        safe = posterior ** rng.uniform(0.3, 0.5) * (posterior > 0)
        other = rng.dirichlet(np.full(states, 3.0)) + 0.03
        table = np.stack([never, seldom, safe, other])
        if rng.random() < 0.5:
            table = np.concatenate([table, rng.dirichlet(np.full((1, states), 3.0)[0])[None] + 0.03])
        table = np.round(table / table.sum(1, keepdims=True), 4)
        table[:, 1] += 1 - table.sum(1)
        table = table[rng.permutation(len(table))]
        biased = ((table == 0) & (joint > 0)).any(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.where(table > 0, joint / table, 0)
            elbos = (table * np.log(np.where(weights > 0, weights, 1))).sum(1)
        elbos[((table > 0) & (joint == 0)).any(1)] = -np.inf
        spread = (table * weights**2).sum(1) - (table * weights).sum(1) ** 2
        fair = np.sort(spread[~biased])
        usable = np.where(biased, -np.inf, elbos)
        if (
            table.min() >= 0
            and biased.sum() == 1
            and fair[1] > 1.3 * fair[0]
            and spread[biased][0] < 0.5 * fair[0]
            and usable.argmax() != np.where(biased, np.inf, spread).argmin()
        ):
            break
    columns = {"prior": prior, "likelihood": likelihood, "proposals": table}
    return {name: torch.tensor(value, dtype=torch.float32) for name, value in columns.items()} | {
        "k": int(rng.integers(3, 40))
    }


def proposal(prior, likelihood, proposals, k):
    joint = (prior * likelihood).numpy()
    best, least = None, np.inf
    for number, q in enumerate(proposals.numpy()):
        drawn = q > 0
        if not joint[~drawn].any():
            second = (joint[drawn] ** 2 / q[drawn]).sum() / joint.sum() ** 2  # E[w²] / p(x)²
            if second < least:
                best, least = number, second
    return best, (least - 1) / (2 * k)


def weights_of(prior, likelihood, proposals):
    joint = prior * likelihood
    return joint, torch.where(proposals > 0, joint / proposals.clamp_min(1e-12), 0.0)


def unbiased(joint, proposals):
    return ~((proposals == 0) & (joint > 0)).any(1)


def relative_variance(joint, weights, proposals):
    """Var(w) / p(x)², (M,)."""
    return ((proposals * weights**2).sum(1) - (proposals * weights).sum(1) ** 2) / joint.sum() ** 2


def proposing(admit=unbiased, cost=None, gap=lambda spread, p, k: spread / (2 * k)):
    """The admitted proposal of the least cost, by default the variance of its weights, and its gap."""

    def answer(prior, likelihood, proposals, k):
        joint, weights = weights_of(prior, likelihood, proposals)
        spread = relative_variance(joint, weights, proposals)
        costs = spread if cost is None else cost(joint, weights, proposals)
        first = int(torch.where(admit(joint, proposals), costs, torch.inf).argmin())
        return first, gap(spread[first], joint.sum(), k)

    return answer


def elbo_cost(joint, weights, proposals):
    log_weights = torch.where(weights > 0, weights, 1.0).log()
    impossible = ((proposals > 0) & (joint == 0)).any(1)
    return torch.where(impossible, torch.inf, -(proposals * log_weights).sum(1))


def no_care(prior, likelihood, proposals, k):
    joint = prior * likelihood
    weights = joint / proposals
    spread = (proposals * (weights - joint.sum()) ** 2).sum(1) / joint.sum() ** 2
    first = int(spread.argmin())
    return first, spread[first] / (2 * k)


CLOSEST = (
    "You chose the proposal with the highest ELBO, or the one that looks most like the posterior. That hardly minds if a state is proposed fifty times too "
    "seldom; what does such a state's weight do to the variance?"
)
BIASED = "The weights of your proposal vary least, but their mean is not p(x). Can it ever draw all the states that may be behind this picture?"


def negative_variance(prior, likelihood, proposals, k):
    """Draws of probability 0 are skipped, but the mean weight is taken for p(x): "variances" may be negative."""
    joint, weights = weights_of(prior, likelihood, proposals)
    spread = (proposals * weights**2).sum(1) / joint.sum() ** 2 - 1
    first = int(spread.argmin())
    return first, spread[first] / (2 * k)


GAPS = {  # wrong rules for the gap
    "second moment": lambda spread, p, k: (spread + 1) / (2 * k),
    "no half": lambda spread, p, k: spread / k,
    "no p": lambda spread, p, k: spread * p**2 / (2 * k),
    "p": lambda spread, p, k: spread * p / (2 * k),
}
NO_ZEROS = "You reject every proposal that contains a 0. If a state cannot have produced this picture, what is lost by never proposing it?"

PROPOSAL = Task(
    name="bound/proposal",
    draw=draw_proposal,
    reference=proposal,
    cases=10,
    mistakes=(
        Mistake(
            "biased proposal chosen",
            BIASED,
            proposing(lambda joint, q: q.sum(1) > 0),
            proposing(
                lambda joint, q: q.sum(1) > 0,
                cost=lambda joint, w, q: (q * (w - joint.sum()) ** 2).sum(1),
            ),
            proposing(lambda joint, q: q.sum(1) > 0, cost=lambda joint, w, q: (q * w**2).sum(1)),
            negative_variance,
            *(proposing(lambda joint, q: q.sum(1) > 0, gap=gap) for gap in GAPS.values()),
        ),
        Mistake(
            "every proposal with a zero rejected",
            NO_ZEROS,
            *(proposing(lambda joint, q: (q > 0).all(1), gap=gap) for gap in GAPS.values()),
            proposing(lambda joint, q: (q > 0).all(1)),
        ),
        Mistake(
            "closest for least variance",
            CLOSEST,
            *(proposing(cost=elbo_cost, gap=gap) for gap in GAPS.values()),
            proposing(cost=elbo_cost),
            proposing(cost=lambda joint, w, q: (q - joint / joint.sum()).abs().sum(1)),
            proposing(cost=lambda joint, w, q: ((q - joint / joint.sum()) ** 2).sum(1)),
        ),
        Mistake(
            "0 / 0 became nan",
            "Your result holds nan, or follows from one. Where a proposal is 0 the state is never drawn: it "
            "takes no part in an average over draws.",
            no_care,
        ),
        Mistake(
            "states counted alike",
            "You compare the weights of the states as if each were drawn equally often. How often is a state drawn?",
            lambda prior, likelihood, proposals, k: (
                lambda joint, weights: (lambda costs: (int(costs.argmin()), costs.min() / (2 * k)))(
                    torch.where(unbiased(joint, proposals), weights.var(1, correction=0) / joint.sum() ** 2, torch.inf)
                )
            )(*weights_of(prior, likelihood, proposals)),
        ),
        Mistake(
            "second moment for variance",
            "The proposal is right. Your gap does not vanish where all weights are equal: is it the variance "
            "that you divided?",
            proposing(gap=GAPS["second moment"]),
        ),
        Mistake(
            "forgot the ½",
            "The proposal is right. Your gap is too large by the same factor everywhere. Which number stands "
            "before δ² in log(1 + δ)?",
            proposing(gap=GAPS["no half"]),
        ),
        Mistake(
            "forgot K",
            "The proposal is right. Your gap is that of a single draw; what do K draws do to the variance of a mean?",
            proposing(gap=lambda spread, p, k: spread / 2),
        ),
        Mistake(
            "not divided by p(x)²",
            "The proposal is right. Your gap depends on the scale of the weights: make all likelihoods ten "
            "times as large, and log p(x) minus the bound should stay.",
            proposing(gap=GAPS["no p"]),
        ),
        Mistake(
            "divided by p(x), not its square",
            "The proposal is right. Your gap depends on the scale of the weights: make all likelihoods ten "
            "times as large, and log p(x) minus the bound should stay.",
            proposing(gap=GAPS["p"]),
        ),
        Mistake(
            "standard deviation for variance",
            "The proposal is right. In the gap you used a standard deviation where the rule has a variance.",
            proposing(gap=lambda spread, p, k: spread.sqrt() / (2 * k)),
        ),
        Mistake(
            "root of K for K",
            "The proposal is right. The error of a mean falls with the root of K; the gap falls with its square.",
            proposing(gap=lambda spread, p, k: spread / (2 * math.sqrt(k))),
        ),
        Mistake(
            "proposals counted from 1",
            "Your gap is right. Proposals count from 0, as Python does.",
            lambda *inputs: (lambda first, gap: (first + 1, gap))(*proposing()(*inputs)),
        ),
    ),
)


# bound/elbo(x, eps, encode, decode)


def draw_elbo(rng):
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
    mu, log_var = encode(x)
    q = Normal(mu, (log_var / 2).exp())
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum(1)
    terms = [Bernoulli(logits=decode(q.mean + q.stddev * each)).log_prob(x).sum(1) for each in eps]
    return np.mean([term.numpy() for term in terms], axis=0) - kl.numpy()


def kl_terms(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var)


def elbo_with(
    z="sample", pixels="sum", beta=1.0, batch="each", kl="sum", over_draws=None, scale=lambda v: (v / 2).exp()
):
    """The evaluation with its choices open."""

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        codes = {
            "sample": mu + scale(log_var) * eps,
            "mean": mu.expand_as(eps),
            "first": mu + scale(log_var) * eps[:1],
        }[z]
        terms = -bce(decode(codes), x.expand(len(codes), *x.shape), reduction="none")  # (K, B, D)
        terms = terms.sum(-1) if pixels == "sum" else terms.mean(-1)
        cost = beta * getattr(kl_terms(mu, log_var), kl)(1)  # (B,)
        values = (terms.mean(0) if over_draws is None else over_draws(terms)) - cost
        return values if batch == "each" else values.mean()

    return answer


def averaged_first(what):
    """The draws are averaged before they reach the likelihood: codes, logits or probabilities."""

    def answer(x, eps, encode, decode):
        mu, log_var = encode(x)
        z = mu + (log_var / 2).exp() * eps
        logits = {
            "codes": lambda: decode(z.mean(0)),
            "logits": lambda: decode(z).mean(0),
            "probabilities": lambda: decode(z).sigmoid().mean(0).logit(),
        }[what]()
        return -bce(logits, x, reduction="none").sum(1) - kl_terms(mu, log_var).sum(1)

    return answer


def log_weights_of(x, eps, encode, decode):
    """log p(x, z) − log q(z|x) of each draw, (K, B)."""
    mu, log_var = encode(x)
    z = mu + (log_var / 2).exp() * eps
    log_likelihood = -bce(decode(z), x.expand(len(eps), *x.shape), reduction="none").sum(-1)
    return log_likelihood + 0.5 * (eps**2 + log_var - z**2).sum(-1)


def tightened(*inputs):
    return log_mean_exp(log_weights_of(*inputs))


WRONG = {  # what the printed function does wrong: how, and the hint if it is the only thing left
    "mean code in place of samples": (
        {"z": "mean"},
        "Everything else is right. The decoder gets the mean of q(z|x), and the encoder's spread goes unpaid. Over what does the expectation in the ELBO run?",
    ),
    "reconstruction averaged over pixels": (
        {"pixels": "mean"},
        "Everything else is right. Your reconstruction is per pixel and your KL per picture. What does that do to the balance of the two?",
    ),
    "β left in": (
        {"beta": 0.25},
        "Everything else is right. The model was trained with a smaller weight on the KL; is a weighted sum a bound on log p(x)?",
    ),
    "one number for the whole batch": (
        {"batch": "mean"},
        "Everything else is right. There should be one number for each picture, shape (B,).",
    ),
}
MORE = "More than one thing is still wrong. Ask of each line: what was the decoder given, what was summed and what averaged, and what may stand before the KL?"
TOO_EARLY = "You average the draws before the likelihood is taken. The ELBO holds the mean of log p(x|z) over draws of z, not log p(x|·) of an average."

ELBO = Task(
    name="bound/elbo",
    draw=draw_elbo,
    reference=elbo,
    mistakes=(
        *(Mistake(name, hint, elbo_with(**change)) for name, (change, hint) in WRONG.items()),
        Mistake(
            "averaged too early",
            TOO_EARLY,
            averaged_first("codes"),
            averaged_first("logits"),
            averaged_first("probabilities"),
        ),
        Mistake(
            "σ² for σ",
            "Your samples have the wrong spread. What is σ, given log_var?",
            elbo_with(scale=torch.exp),
        ),
        Mistake(
            "log_var for σ",
            "Your samples have the wrong spread. What is σ, given log_var?",
            elbo_with(scale=lambda log_var: log_var),
        ),
        Mistake(
            "only the first draw",
            "You use one draw of eps. It is a right estimate, only noisier than it need be.",
            elbo_with(z="first"),
        ),
        Mistake(
            "log of the mean for mean of the logs",
            "You average p(x|z) over the draws and then take the logarithm. Minus the KL, that is no ELBO and "
            "not the bound with K draws either. Which comes first in the ELBO?",
            elbo_with(over_draws=log_mean_exp),
        ),
        Mistake(
            "bound with K draws for the ELBO",
            "That is the importance-weighted bound with K draws. Asked is the ELBO, which is the same on "
            "average for every K.",
            tightened,
        ),
        Mistake(
            "KL estimated from the draws",
            "You estimate the KL from the draws as well. On average that is right, but noisier than need be: "
            "there is a formula.",
            lambda *inputs: log_weights_of(*inputs).mean(0),
        ),
        Mistake(
            "summed over the draws",
            "You sum over the draws. With twice as many draws, should the ELBO double?",
            elbo_with(over_draws=lambda terms: terms.sum(0)),
        ),
        Mistake(
            "loss for ELBO",
            "Your numbers are those of the loss. The ELBO is a lower bound on log p(x), which for binary "
            "pictures is negative.",
            lambda *inputs: -elbo_with()(*inputs),
        ),
        Mistake(
            "KL added",
            "Your KL raises the bound. Where q(z|x) says much about the picture, is that paid or earned?",
            elbo_with(beta=-1.0),
        ),
        Mistake(
            "KL left out",
            "That is the reconstruction alone. The lesson's last section shows how it beats the truth.",
            elbo_with(beta=0.0),
        ),
        Mistake(
            "KL averaged over the latent dimensions",
            "You average the KL over the latent dimensions. Each dimension costs its own nats.",
            elbo_with(kl="mean"),
        ),
        Mistake(
            "everything averaged over pixels",
            "Your numbers are right in nats per pixel. This course reports nats per picture.",
            lambda *inputs: elbo_with()(*inputs) / inputs[0].shape[1],
        ),
        Mistake(
            "several things left",
            MORE,
            *(
                elbo_with(**{k: v for name in names for k, v in WRONG[name][0].items()})
                for count in range(2, len(WRONG) + 1)
                for names in combinations(WRONG, count)
            ),
        ),
    ),
)


# bound/split(x, weight, mean, log_sigma, mu, log_var)


def draw_split(rng):
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
    """Through densities: ELBO = log p(x) − KL; the best diagonal Gaussian by its formula, its gap by torch."""
    eye = torch.eye(weight.shape[1], dtype=x.dtype)
    precision = weight.T @ weight * (-2 * log_sigma).exp() + eye
    centre = torch.linalg.solve(precision, weight.T @ (x - mean).T * (-2 * log_sigma).exp()).T
    posterior = MultivariateNormal(centre, precision_matrix=precision.expand(len(x), -1, -1))
    best = MultivariateNormal(centre, torch.diag(1 / precision.diagonal()))
    own = MultivariateNormal(mu, torch.diag_embed(log_var.exp()))
    family = kl_divergence(best, posterior)
    return family[0], kl_divergence(own, posterior) - family


def kl_to(mu, covariance, centre, precision):
    """KL(N(mu, covariance) ‖ N(centre, precision⁻¹)), (B,)."""
    trace = torch.einsum("ij,...ji->...", precision, covariance)
    away = torch.einsum("bi,ij,bj->b", mu - centre, precision, mu - centre)
    return 0.5 * (trace + away - len(precision) - torch.logdet(covariance) - torch.logdet(precision))


def splitting(
    noise=lambda log_sigma: (2 * log_sigma).exp(),
    prior=1.0,
    centred=True,
    scaled=True,
    best=None,
    tell=None,
    half=1.0,
    distance=kl_to,
):
    """Both parts of the gap; `tell` gets the family gap, the whole gap, and the parts of the posterior."""

    def answer(x, weight, mean, log_sigma, mu, log_var):
        eye = torch.eye(weight.shape[1], dtype=x.dtype)
        variance = noise(log_sigma)
        precision = weight.T @ weight / variance + prior * eye
        centre = torch.linalg.solve(precision, weight.T @ (x - mean * centred).T / (variance if scaled else 1)).T
        diagonal = torch.diag(1 / precision.diagonal()) if best is None else best(precision)
        family = half * kl_to(centre, diagonal, centre, precision)[0]
        whole = distance(mu, torch.diag_embed(log_var.exp()), centre, precision)
        if tell is not None:
            return tell(family, whole, mu, log_var, centre, precision)
        return family, whole - family

    return answer


def reversed_kl(mu, covariance, centre, precision):
    covariances, inverse = torch.linalg.inv(precision), torch.linalg.inv(covariance)
    trace = torch.einsum("bij,ji->b", inverse, covariances)
    away = torch.einsum("bi,bij,bj->b", mu - centre, inverse, mu - centre)
    return 0.5 * (trace + away - len(precision) + torch.logdet(covariance) + torch.logdet(precision))


def prior_kl(mu, covariance, centre, precision):
    eye = torch.eye(mu.shape[1], dtype=mu.dtype)
    return kl_to(mu, covariance, torch.zeros_like(mu), eye)


POSTERIOR = {"noise": torch.exp, "prior": 0.0, "centred": False, "scaled": False}  # what may be wrong with it
SEVERAL = (
    "More than one thing is wrong with your posterior. Compare its precision and its mean with section 2 of the lesson, factor by factor, and remember that the "
    "decoder adds `mean`."
)

SPLIT = Task(
    name="bound/split",
    draw=draw_split,
    reference=split,
    mistakes=(
        Mistake(
            "whole gap for the amortisation gap",
            "Your family gap is right. Your second number is the KL from the encoder's Gaussian to the "
            "posterior, which is the whole gap.",
            splitting(tell=lambda family, whole, *rest: (family, whole)),
        ),
        Mistake(
            "the two parts exchanged",
            "Both numbers are right, but in the other order: the family gap first. It is one number for all pictures.",
            lambda *inputs: splitting(tell=lambda family, whole, *rest: (whole - family, family.expand(len(whole))))(
                *inputs
            ),
        ),
        Mistake(
            "family gap for each picture",
            "Your numbers are right. The family gap is the same for all pictures of this model, and asked for "
            "once: shape ().",
            splitting(tell=lambda family, whole, *rest: (family.expand(len(whole)), whole - family)),
        ),
        Mistake(
            "variances of the posterior's margins",
            "Your diagonal Gaussian has the posterior's own variances. They are the best for KL(p ‖ q); the "
            "ELBO's gap is KL(q ‖ p), which prefers a narrower q (lesson 02).",
            splitting(best=lambda precision: torch.diag(torch.linalg.inv(precision).diagonal())),
        ),
        Mistake(
            "encoder's variances taken for the best",
            "For the family gap you moved the encoder's mean to the right place and kept its variances. The "
            "best diagonal Gaussian has the best variances as well.",
            splitting(
                tell=lambda family, whole, mu, log_var, centre, precision: (lambda part: (part, whole - part))(
                    kl_to(centre, torch.diag_embed(log_var.exp()), centre, precision)
                )
            ),
        ),
        Mistake(
            "a full covariance allowed",
            "Your family gap is 0: you let the best Gaussian have a covariance. The encoder emits variances only.",
            splitting(tell=lambda family, whole, *rest: (0 * family, whole)),
        ),
        Mistake(
            "distance to the prior",
            "You measured the encoder's Gaussian against the prior. That KL is in the loss; the one in the "
            "gap is to the posterior.",
            splitting(distance=prior_kl),
        ),
        Mistake(
            "KL of the wrong direction",
            "Your whole gap is KL(posterior ‖ q). The expectation in the ELBO runs over q.",
            splitting(distance=reversed_kl),
        ),
        Mistake(
            "mean of the pictures forgotten",
            "Your posterior lies in the wrong place. Which part of x is for the latent to explain, if the "
            "decoder adds `mean` to every picture?",
            splitting(centred=False),
        ),
        Mistake(
            "σ for σ²",
            "Your posterior's precision has σ where σ² belongs. What stands below the square in the exponent "
            "of the decoder's Gaussian?",
            splitting(noise=torch.exp),
        ),
        Mistake(
            "posterior mean without σ²",
            "Your posterior's mean is off by a factor. If σ is very small and d = 1, it should be the "
            "least-squares fit of x: check it there.",
            splitting(scaled=False),
        ),
        Mistake(
            "several things wrong with the posterior",
            SEVERAL,
            *(
                splitting(**{k: POSTERIOR[k] for k in names})
                for count in (2, 3, 4)
                for names in combinations(POSTERIOR, count)
            ),
        ),
        Mistake(
            "prior left out of the posterior",
            "Your posterior's precision lacks a part. If the decoder ignored z, W = 0, what would the posterior be?",
            splitting(prior=0.0),
        ),
        Mistake(
            "forgot the ½ in the family gap",
            "Your family gap is twice too large. The logarithms of a Gaussian's density come with a factor.",
            splitting(half=2.0),
        ),
        Mistake(
            "family gap with a minus",
            "Your family gap is negative. It is a KL divergence: can the best diagonal Gaussian have an ELBO "
            "above log p(x)?",
            splitting(half=-1.0),
        ),
        Mistake(
            "only the variances compared",
            "Your family gap is right. Your amortisation gap compares variances only; an encoder can also put "
            "its mean in the wrong place.",
            splitting(
                tell=lambda family, whole, mu, log_var, centre, precision: (
                    family,
                    kl_to(centre, torch.diag_embed(log_var.exp()), centre, precision) - family,
                )
            ),
        ),
        Mistake(
            "only the means compared",
            "Your family gap is right. Your amortisation gap compares means only; an encoder can also emit "
            "the wrong variances.",
            splitting(
                tell=lambda family, whole, mu, log_var, centre, precision: (
                    family,
                    0.5 * torch.einsum("bi,ij,bj->b", mu - centre, precision, mu - centre),
                )
            ),
        ),
        Mistake(
            "KL to the best diagonal Gaussian",
            "Your family gap is right. Your second number is the KL from the encoder's Gaussian to the best "
            "diagonal one. A difference of two ELBOs is the difference of two KLs to the same posterior, and "
            "no KL between the two.",
            splitting(
                tell=lambda family, whole, mu, log_var, centre, precision: (
                    family,
                    kl_to(mu, torch.diag_embed(log_var.exp()), centre, torch.diag(precision.diagonal())),
                )
            ),
        ),
        Mistake(
            "amortisation averaged over the batch",
            "Your numbers are right, but averaged: the amortisation gap is asked for each picture, shape (B,).",
            splitting(tell=lambda family, whole, *rest: (family, (whole - family).mean())),
        ),
    ),
)

TASKS = (LOG_P_X, CLIMB, REPORT, ELBO, PROPOSAL, SPLIT)
