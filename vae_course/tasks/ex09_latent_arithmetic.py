"""The tasks of exercise 09, latent arithmetic."""

from functools import partial
from itertools import combinations

import numpy as np
import torch

from vae_course.judging.task import Mistake, Task, rounded_normal
from vae_course.visible.callables import Decoder, FitProbe, Linear

__all__ = ["TASKS"]


# attribute/vector(z, values, low, high)


def draw_vector(rng):
    counts = rng.permutation([2, 3, 4, 5])[:3]  # without, between, with: never alike
    low, high = round(float(rng.uniform(-0.6, -0.3)), 2), round(float(rng.uniform(0.1, 0.5)), 2)
    bounds = ((-1.0, low - 0.05), (low + 0.05, high - 0.05), (high + 0.05, 1.0))
    values = np.concatenate([rng.uniform(*ends, size=count) for ends, count in zip(bounds, counts, strict=True)])
    values = torch.tensor(np.round(rng.permutation(values), 2), dtype=torch.float32)
    return {"z": rounded_normal(rng, len(values), int(rng.integers(2, 4))), "values": values, "low": low, "high": high}


def vector(z, values, low, high):
    z, values = z.numpy(), values.numpy()
    return np.average(z, axis=0, weights=values > high) - np.average(z, axis=0, weights=values < low)


def mean_difference(z, has):
    return z[has].mean(0) - z[~has].mean(0)


def slope(z, values):
    return (values - values.mean()) @ z / ((values - values.mean()) ** 2).sum()


PER_UNIT = (
    "You divided by how far the groups lie apart in the factor. That is a change for one unit; asked is the step from one "
    "group to the other."
)
SPLIT_INSIDE = (
    "You cut the people in two somewhere between `low` and `high`. Those in between smile a little or frown a little: "
    "in which group do they belong?"
)

VECTOR = Task(
    name="attribute/vector",
    draw=draw_vector,
    reference=vector,
    library=("vae_lessons.latents.attribute_vector",),
    mistakes=(
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the attribute away. At which end of the arrow do those with "
            "the attribute stand?",
            lambda z, values, low, high: z[values < low].mean(0) - z[values > high].mean(0),
        ),
        Mistake(
            "sums for means",
            "You subtract sums. Show your function every picture twice: should the vector become longer?",
            lambda z, values, low, high: z[values > high].sum(0) - z[values < low].sum(0),
        ),
        Mistake(
            "marks exchanged",
            "You have the two marks in each other's place, so that those in between are in both of your groups.",
            lambda z, values, low, high: z[values > low].mean(0) - z[values < high].mean(0),
        ),
        Mistake(
            "divided by everybody",
            "You divide both groups' sums by the number of all pictures. A mean is over the pictures that were summed.",
            lambda z, values, low, high: (((values > high).to(z.dtype) - (values < low).to(z.dtype))[:, None] * z).mean(
                0
            ),
        ),
        Mistake(
            "measured from the mean of all",
            "You subtract the mean of all codes, and those with the attribute are part of it. Such a vector "
            "stops short.",
            lambda z, values, low, high: z[values > high].mean(0) - z.mean(0),
        ),
        Mistake(
            "measured from the mean of the others",
            "You count everyone who is not above `high` as without. Is a person in between the two marks "
            "without the attribute?",
            lambda z, values, low, high: z[values > high].mean(0) - z[~(values > high)].mean(0),
        ),
        Mistake(
            "those in between counted as with",
            "You count everyone who is not below `low` as with. Is a person in between the two marks one who smiles?",
            lambda z, values, low, high: z[values >= low].mean(0) - z[values < low].mean(0),
        ),
        Mistake(
            "split in the middle",
            SPLIT_INSIDE,
            lambda z, values, low, high: mean_difference(z, values > (low + high) / 2),
            lambda z, values, low, high: mean_difference(z, values > 0),
            lambda z, values, low, high: mean_difference(z, values > values.mean()),
        ),
        Mistake(
            "only the mean of those with",
            "That is where those with the attribute lie. Add it to the code of one of them: what should have changed?",
            lambda z, values, low, high: z[values > high].mean(0),
        ),
        Mistake(
            "those in between for those without",
            "You subtract the mean of those in between. Who is to be compared with the smiling?",
            lambda z, values, low, high: z[values > high].mean(0) - z[(values >= low) & (values <= high)].mean(0),
        ),
        Mistake(
            "one number for all dimensions",
            "You averaged over the latent dimensions too, and one number is left. A step in the latent space "
            "has as many numbers as a code.",
            lambda z, values, low, high: z[values > high].mean() - z[values < low].mean(),
        ),
        Mistake(
            "scaled to length one",
            "Your vector has the right direction and always the length 1. Where would it take the mean of "
            "those without?",
            lambda z, values, low, high: torch.nn.functional.normalize(
                z[values > high].mean(0) - z[values < low].mean(0), dim=0
            ),
        ),
        Mistake(
            "per unit of the factor",
            PER_UNIT,
            lambda z, values, low, high: (
                (z[values > high].mean(0) - z[values < low].mean(0))
                / (values[values > high].mean() - values[values < low].mean())
            ),
            lambda z, values, low, high: (z[values > high].mean(0) - z[values < low].mean(0)) / (high - low),
        ),
        Mistake(
            "slope for difference",
            "That is the slope of the codes over the factor, from all people, for one unit. Asked is the "
            "difference of two groups' means.",
            lambda z, values, low, high: slope(z, values),
        ),
        Mistake(
            "medians for means",
            "You take the median in every dimension. Asked are means.",
            lambda z, values, low, high: z[values > high].median(0).values - z[values < low].median(0).values,
        ),
    ),
)


# attribute/entangled(labels, names, name)

ATTRIBUTES = ("glasses", "smile", "beard", "hat", "earrings", "fringe", "lipstick")


def draw_entangled(rng):
    """One attribute is common in both groups, one is far more common in one of the groups; margins are clear."""
    while True:
        size = int(rng.integers(4, 6))
        with_, without = (int(number) for number in rng.permutation(np.arange(6, 14))[:2])
        names = tuple(str(name) for name in rng.permutation(ATTRIBUTES)[:size])
        has = np.repeat([1, 0], [with_, without])
        columns = [has, (rng.random(len(has)) < 0.88).astype(int)]
        low, high = rng.uniform(0.05, 0.3), rng.uniform(0.5, 0.75)
        rates = (high, low) if rng.random() < 0.5 else (low, high)
        columns += [(rng.random(len(has)) < np.where(has, *rates)).astype(int)]
        columns += [(rng.random(len(has)) < rng.uniform(0.2, 0.5)).astype(int) for _ in range(size - 3)]
        table = np.stack(columns, axis=1)
        change = np.abs(table[has == 1].mean(0) - table[has == 0].mean(0))[1:]
        shares = table.mean(0)
        if (
            change.argmax() == 1
            and np.sort(change)[-1] - np.sort(change)[-2] > 0.1
            and 0.1 < shares[1] < 1
            and shares.min() > 0
            and table[has == 1].sum(0)[1:].argmax() == 0
            and abs(shares[2] - shares[0]) > 0.05
        ):
            order = rng.permutation(size)
            labels = torch.tensor(table[rng.permutation(len(table))][:, order], dtype=torch.float32)
            return {"labels": labels, "names": names, "name": names[int(np.flatnonzero(order == 0)[0])]}


def entangled(labels, names, name):
    table = labels.numpy()
    own = table[:, names.index(name)]
    change = {
        other: np.average(column, weights=own) - np.average(column, weights=1 - own)
        for other, column in zip(names, table.T, strict=True)
        if other != name
    }
    most = max(change, key=lambda other: abs(change[other]))
    return most, change[most]


def first_by(score, own=False, size=abs, tell=lambda found: found):
    """Answers with the attribute of the largest score; score(has, labels) gives one for each column."""

    def answer(labels, names, name):
        column = names.index(name)
        scores = score(labels[:, column] > 0.5, labels).tolist()
        others = [number for number in range(len(names)) if own or number != column]
        most = max(others, key=lambda number: size(scores[number]))
        return names[most], tell(scores[most])

    return answer


def share_gap(has, labels):
    return labels[has].mean(0) - labels[~has].mean(0)


def share_gap_the_other_way(has, labels):
    own = has.to(labels.dtype)
    return (own @ labels) / labels.sum(0) - (own @ (1 - labels)) / (1 - labels).sum(0).clamp_min(1)


def correlation(has, labels):
    own = has.to(labels.dtype) - has.to(labels.dtype).mean()
    rest = labels - labels.mean(0)
    return own @ rest / ((own @ own) * (rest**2).sum(0)).sqrt()


OFTEN = "You name what most people with the attribute have. If those without have it as often, does it show in the difference of two means?"

ENTANGLED = Task(
    name="attribute/entangled",
    draw=draw_entangled,
    reference=entangled,
    cases=8,
    mistakes=(
        Mistake(
            "most frequent for most different",
            OFTEN,
            first_by(lambda has, labels: labels[has].mean(0)),
            first_by(lambda has, labels: labels[has].sum(0)),
            lambda labels, names, name: (
                first_by(lambda has, labels: labels[has].mean(0))(labels, names, name)[0],
                first_by(share_gap)(labels, names, name)[1],
            ),
        ),
        Mistake(
            "the attribute itself named",
            "Your answer is the attribute that the vector was made for. Asked is what else comes along.",
            first_by(share_gap, own=True),
        ),
        Mistake(
            "only what is added looked for",
            "A vector can also take something away. If hats are rare among those with glasses, what does the "
            "glasses vector do to a hat?",
            first_by(share_gap, size=lambda score: score),
            first_by(
                lambda has, labels: torch.where(
                    (labels[has].mean(0) == 1) & (labels[~has].mean(0) == 0), 0.0, share_gap(has, labels)
                ),
                own=True,
                size=lambda score: score,
            ),
        ),
        Mistake(
            "sign lost",
            "You named the right attribute, and your number has the right size. Does the vector bring this "
            "attribute or remove it?",
            first_by(share_gap, tell=abs),
        ),
        Mistake(
            "sign flipped",
            "You named the right attribute; your number has the wrong sign. It should be positive if those "
            "with the attribute have the other more often.",
            first_by(share_gap, tell=lambda found: -found),
        ),
        Mistake(
            "condition turned round",
            "You split the people by the other attribute and counted this one. Which groups does the mean "
            "difference compare?",
            first_by(share_gap_the_other_way),
        ),
        Mistake(
            "correlation for difference of shares",
            "A correlation is no step. In the toy of section 8, where 4 of 5 smile among those with glasses "
            "and 1 of 5 among the others, how much of a smile does the vector hold?",
            first_by(correlation),
        ),
        Mistake(
            "compared with everybody",
            "You compare those with the attribute with all people. Whom does the attribute vector compare them with?",
            first_by(lambda has, labels: labels[has].mean(0) - labels.mean(0)),
        ),
        Mistake(
            "covariance for difference of shares",
            "That is a covariance. It goes to 0 if hardly anybody has the attribute; does what the vector "
            "drags along, too?",
            first_by(
                lambda has, labels: labels[has].sum(0) / len(labels) - has.to(labels.dtype).mean() * labels.mean(0)
            ),
        ),
        Mistake(
            "numbers of people for shares",
            "You subtract numbers of people. The two groups are of different sizes, and the vector compares "
            "their means.",
            first_by(lambda has, labels: labels[has].sum(0) - labels[~has].sum(0)),
        ),
        Mistake(
            "ratio for difference of shares",
            "You divide the shares. From 1 % to 3 % is a factor of three, and how much of a step between the means?",
            first_by(lambda has, labels: labels[has].mean(0) / labels[~has].mean(0).clamp_min(1e-9)),
        ),
    ),
)


# attribute/matched(z, has, match)


def draw_matched(rng):
    """Four strata by two attributes; one of them holds only one kind. People with few attributes are mostly without."""
    while True:
        counts = rng.integers(1, 5, size=(4, 2))  # (strata, with and without)
        counts[0, 1] += 3
        counts[3, 0] += 3
        counts[rng.integers(1, 3), rng.integers(0, 2)] = 0
        totals = counts.sum(1)
        if len(set(totals)) == 4:
            break
    kinds = [(0, 0), (0, 1), (1, 0), (1, 1)]
    rows = [
        (own, *kind)
        for kind, numbers in zip(kinds, counts, strict=True)
        for own, n in zip((1, 0), numbers, strict=True)
        for _ in range(n)
    ]
    rows = torch.tensor(rng.permutation(rows))
    return {
        "z": rounded_normal(rng, len(rows), int(rng.integers(2, 4))),
        "has": rows[:, 0] == 1,
        "match": rows[:, 1:],
    }


def matched(z, has, match):
    z, has, match = z.numpy(), has.numpy(), match.numpy()
    total, people = np.zeros(z.shape[1]), 0
    for kind in {tuple(row) for row in match.tolist()}:
        inside = (match == kind).all(1)
        if 0 < has[inside].sum() < inside.sum():
            total += inside.sum() * (z[inside & has].mean(0) - z[inside & ~has].mean(0))
            people += inside.sum()
    return total / people


def strata(has, match):
    """The rows of each stratum, (N,) true or false."""
    kinds = match.unique(dim=0) if match.dim() > 1 else match.unique()[:, None]
    match = match if match.dim() > 1 else match[:, None]
    return [(match == kind).all(1) for kind in kinds]


def both_kinds(has, inside):
    return bool((has & inside).any() and (~has & inside).any())


def by_strata(weigh, one_sided="left out"):
    """Matched vectors; weigh(has, inside) gives a stratum's weight. A one-sided stratum may be left out or not."""

    def answer(z, has, match):
        differences, weights = [], []
        for inside in strata(has, match):
            if one_sided == "left out" and not both_kinds(has, inside):
                continue
            means = [z[rows].mean(0) for rows in (has & inside, ~has & inside)]
            if one_sided == "zero":
                means = [mean.nan_to_num() for mean in means]
            differences.append(means[0] - means[1] if one_sided != "no change" else (means[0] - means[1]).nan_to_num())
            weights.append(float(weigh(has, inside)))
        weights = torch.tensor(weights, dtype=z.dtype)
        return weights @ torch.stack(differences) / weights.sum()

    return answer


def evened(z, has, match):
    """Each stratum cut to as many with as without, in the order of the rows; then the plain difference."""
    kept = []
    for inside in strata(has, match):
        groups = [torch.where(rows)[0] for rows in (has & inside, ~has & inside)]
        kept += [rows[: min(map(len, groups))] for rows in groups]
    rows = torch.cat(kept)
    return mean_difference(z[rows], has[rows])


def pictures(has, inside):
    return inside.sum()


OTHER_WEIGHTS = (
    "Within the strata you compare rightly, but the strata have the wrong weights. A stratum should count as often as there "
    "are pictures in it, of both kinds together."
)
ONE_FORGOTTEN = "You match by one of the two attributes. Within such a stratum people with and without may still differ in the other one."

MATCHED = Task(
    name="attribute/matched",
    draw=draw_matched,
    reference=matched,
    library=("vae_lessons.latents.matched_attribute_vector",),
    mistakes=(
        Mistake(
            "not matched",
            "That is the plain difference of means. It holds whatever else the two groups differ in.",
            lambda z, has, match: mean_difference(z, has),
        ),
        Mistake(
            "only one-sided strata left out",
            "You leave out the strata that cannot be compared, and then compare all the others at once. "
            "Compare within each stratum first.",
            lambda z, has, match: (lambda kept: mean_difference(z[kept], has[kept]))(
                sum(inside & both_kinds(has, inside) for inside in strata(has, match)) > 0
            ),
        ),
        Mistake(
            "people thrown away",
            "You drop people until each stratum holds as many with as without. Nobody needs to be dropped: a "
            "mean does not mind unequal numbers, and the strata get weights.",
            evened,
        ),
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the attribute away.",
            lambda z, has, match: by_strata(pictures)(z, ~has, match),
        ),
        Mistake(
            "matched by one attribute",
            ONE_FORGOTTEN,
            lambda z, has, match: by_strata(pictures)(z, has, match[:, 0]),
            lambda z, has, match: by_strata(pictures)(z, has, match[:, 1]),
        ),
        Mistake(
            "one attribute after the other",
            "You match by each attribute alone and average the vectors. Each of them still carries what it "
            "was not matched by.",
            lambda z, has, match: sum(by_strata(pictures)(z, has, column) for column in match.T) / 2,
        ),
        Mistake(
            "different strata thrown together",
            "You count how many of the two attributes a person has. A smile without a hat and a hat without a "
            "smile are one each, but not the same people.",
            lambda z, has, match: by_strata(pictures)(z, has, match.sum(1)),
        ),
        Mistake(
            "different strata thrown together",
            "You ask whether a person has either of the two attributes. Somebody with a smile and somebody "
            "with a smile and a hat are not alike.",
            lambda z, has, match: by_strata(pictures)(z, has, match.any(1).long()),
        ),
        Mistake(
            "strata counted alike",
            "You give all strata the same weight, a stratum of three people as much as one of thirty.",
            by_strata(lambda has, inside: 1),
        ),
        Mistake(
            "other weights",
            OTHER_WEIGHTS,
            by_strata(lambda has, inside: (has & inside).sum()),
            by_strata(lambda has, inside: (~has & inside).sum()),
            by_strata(lambda has, inside: (has & inside).sum() * (~has & inside).sum() / inside.sum()),
            by_strata(lambda has, inside: (has & inside).sum() * (~has & inside).sum()),
        ),
        Mistake(
            "a mean of nobody",
            "Your vector holds nan. Some stratum holds only people with the attribute, or only people "
            "without: what can it say about the difference?",
            by_strata(pictures, one_sided="kept"),
        ),
        Mistake(
            "a mean of nobody taken for zero",
            "In a stratum with only one kind you take the other kind's mean for zero. The mean of nobody is "
            "not the code zero; what can such a stratum say about the difference?",
            by_strata(pictures, one_sided="zero"),
        ),
        Mistake(
            "strata left out still counted",
            "A stratum with only one kind counts in your weights as if it had shown no change. Your vector "
            "comes out too short; it should be an average over the strata that do compare.",
            by_strata(pictures, one_sided="no change"),
        ),
        Mistake(
            "strata not averaged",
            "You add up the strata's differences. If all of them were the same vector, what should come out?",
            lambda z, has, match: sum(
                mean_difference(z[inside], has[inside]) for inside in strata(has, match) if both_kinds(has, inside)
            ),
        ),
    ),
)


# attribute/better(error_pixel, error_vae, shift)

# the mean gain over its standard error; wrong rules differ from the right one in one or more of these kinds
KINDS = {"strong": 15.0, "plain": 6.5, "clear": 2.6, "close": 1.7, "closer": 1.2, "noise": 0.45}


def draw_better(rng, kind, sign):
    """Recorded errors of the same faces. The faces differ much in difficulty; in the middle the verdict is another one."""
    off, middle = (int(number) for number in rng.integers((16, 18), (22, 24)))
    spread = float(rng.uniform(0.3, 0.5))
    skewed = np.where(np.arange(off) < round(0.72 * off), 1.0, -2.6) + rng.uniform(-0.2, 0.2, size=off)
    # in "noise" most faces say one thing and the mean another
    rest = sign * skewed if kind == "noise" else rng.normal(size=off)
    rest = (rest - rest.mean()) / rest.std(ddof=1)
    by_spread = KINDS[kind] * rng.uniform(0.95, 1.05) / np.sqrt(off)
    gain = -sign * by_spread * spread + spread * rest  # how much lower the VAE's error is, off the middle
    other = sign * rng.uniform(4.5, 5.0) * spread + spread * rng.normal(size=middle)
    gains = np.concatenate([gain, other])
    base = np.concatenate([_spread(rng, off), _spread(rng, middle)])
    shift = np.concatenate(
        [rng.uniform(0.4, 1.0, size=off) * np.resize([-1, 1], off), rng.uniform(-0.28, 0.28, size=middle)]
    )
    order = rng.permutation(off + middle)
    columns = (base, base - gains, shift)
    pixel, vae, shift = (torch.tensor(np.round(column[order], 2), dtype=torch.float32) for column in columns)
    return {"error_pixel": pixel, "error_vae": vae, "shift": shift}


def _spread(rng, count):
    """Difficulties from 6 to 26 thousandths, evenly spread, in random order."""
    return rng.permutation(np.linspace(6, 26, count)) + rng.uniform(-0.3, 0.3, size=count)


def better(error_pixel, error_vae, shift):
    gain = (error_pixel - error_vae).numpy()[np.abs(shift.numpy()) > 1 / 3]
    z = gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))
    return ("VAE" if z > 2 else "pixel" if z < -2 else "undecided"), gain.mean()


def verdict(mean, error, reported=None):
    word = "undecided" if abs(mean) < error else "VAE" if mean > 0 else "pixel"
    return word, mean if reported is None else reported


def by_gain(rule, who=lambda shift: shift.abs() > 1 / 3):
    def answer(error_pixel, error_vae, shift):
        return rule((error_pixel - error_vae)[who(shift)])

    return answer


def standard_error(gain):
    return gain.std() / len(gain) ** 0.5


def usual(gain):
    return verdict(gain.mean(), 2 * standard_error(gain))


def unpaired(error_pixel, error_vae, shift):
    who = shift.abs() > 1 / 3
    a, b = error_pixel[who], error_vae[who]
    return verdict((a - b).mean(), 2 * ((a.var() + b.var()) / len(a)) ** 0.5)


def exchanged(*inputs):
    word, number = by_gain(usual)(*inputs)
    return {"VAE": "pixel", "pixel": "VAE"}.get(word, word), number


WHO = "Your verdict rests on other people than those the tool is for. Which heads are off the middle, and may any others vote?"
NO_ERROR = (
    'You decide by the sign alone, and never say "undecided". Drawn anew, would the faces give the same sign again?'
)

BETTER = Task(
    name="attribute/better",
    draw=tuple(partial(draw_better, kind=kind, sign=sign) for kind in KINDS for sign in (-1, 1)),
    reference=better,
    cases=24,
    mistakes=(
        Mistake(
            "everybody counted",
            WHO,
            by_gain(usual, lambda shift: shift == shift),
            by_gain(lambda gain: verdict(gain.mean(), 0), lambda shift: shift == shift),
            lambda pixel, vae, shift: unpaired(pixel, vae, torch.ones_like(shift)),
        ),
        Mistake(
            "wrong people counted",
            WHO,
            by_gain(usual, lambda shift: shift.abs() <= 1 / 3),
        ),
        Mistake(
            "only one side counted",
            "You look at heads to one side only. A head to the left has a negative shift.",
            by_gain(usual, lambda shift: shift > 1 / 3),
        ),
        Mistake(
            "errors compared as if of different faces",
            "Your difference is right. Your standard error is that of two groups of different people, and "
            "faces differ much in difficulty. Here both methods drew the same faces: of what should the "
            "spread be taken?",
            unpaired,
        ),
        Mistake(
            "number of everybody under the root",
            "Your difference is right. For its standard error you divide by the root of the number of all "
            "faces; over how many does your mean run?",
            lambda error_pixel, error_vae, shift: by_gain(
                lambda gain: verdict(gain.mean(), 2 * gain.std() / len(shift) ** 0.5)
            )(error_pixel, error_vae, shift),
        ),
        Mistake(
            "spread of everybody",
            "Your difference is right. Its standard error is that of all faces; take it from the faces that "
            "you average over.",
            lambda error_pixel, error_vae, shift: verdict(
                (error_pixel - error_vae)[shift.abs() > 1 / 3].mean(), 2 * standard_error(error_pixel - error_vae)
            ),
        ),
        Mistake(
            "no standard error",
            NO_ERROR,
            by_gain(lambda gain: verdict(gain.mean(), 0)),
        ),
        Mistake(
            "standard deviation for standard error",
            "You compare the mean with the spread of single faces. How far may the mean of n faces be off?",
            by_gain(lambda gain: verdict(gain.mean(), 2 * gain.std())),
        ),
        Mistake(
            "one standard error for two",
            "You decide at a difference of one standard error; asked are two.",
            by_gain(lambda gain: verdict(gain.mean(), standard_error(gain))),
        ),
        Mistake(
            "faces counted instead of errors",
            "You count on how many faces each method is ahead. A method may be slightly ahead on most faces "
            "and far behind on a few.",
            by_gain(lambda gain: verdict((gain > 0).to(gain.dtype).mean() - 0.5, 0, gain.mean())),
        ),
        Mistake(
            "medians for means",
            "You compare medians. What the user bears is the average error.",
            by_gain(lambda gain: verdict(gain.median(), 0)),
            by_gain(lambda gain: verdict(gain.median(), 2 * standard_error(gain))),
        ),
        Mistake(
            "the higher error called better",
            "Your number is right. An error is better when it is lower: who has the lower one if your number "
            "is positive?",
            exchanged,
        ),
        Mistake(
            "sign of the difference flipped",
            "Your word is right. The number should be positive when the VAE's error is the lower one.",
            by_gain(lambda gain: (usual(gain)[0], -gain.mean())),
        ),
        Mistake(
            "share for difference",
            "Your word is right. The number is a share; asked is a difference in thousandths.",
            lambda error_pixel, error_vae, shift: (
                by_gain(usual)(error_pixel, error_vae, shift)[0],
                1 - error_vae[shift.abs() > 1 / 3].mean() / error_pixel[shift.abs() > 1 / 3].mean(),
            ),
        ),
    ),
)


# attribute/adjusted(z, has, other)


def draw_adjusted(rng):
    """Codes that move along with an attribute and with a number; those with the attribute have the larger numbers."""
    latents = int(rng.integers(2, 4))
    with_, without = (int(number) for number in rng.permutation([6, 7, 8, 9])[:2])
    other = np.concatenate(
        [rng.uniform(-0.4, 1, size=with_ - 1), [-0.3], rng.uniform(-1, 0.4, size=without - 1), [0.3]]
    )
    has = np.repeat([1.0, 0.0], [with_, without])
    own, along, base = rng.normal(size=(3, latents))
    along = 1.5 * np.sign(along) + along
    z = 1 + np.abs(base) + np.outer(has, own) + np.outer(other, along) + rng.normal(scale=0.4, size=(len(has), latents))
    order = rng.permutation(len(has))
    return {
        "z": torch.tensor(np.round(z[order], 2), dtype=torch.float32),
        "has": torch.tensor(has[order] > 0.5),
        "other": torch.tensor(np.round(other[order], 2), dtype=torch.float32),
    }


def adjusted(z, has, other):
    columns = np.column_stack([np.ones(len(z)), has.numpy(), other.numpy()])
    return np.linalg.lstsq(columns, z.numpy(), rcond=None)[0][1]


def fitted(z, *columns):
    return torch.linalg.lstsq(torch.stack(columns, dim=1), z).solution


def corrected(share):
    """The difference of means minus share(z, has, other) times the groups' gap in the other factor."""

    def answer(z, has, other):
        gap = other[has].mean() - other[~has].mean()
        return mean_difference(z, has) - share(z, has, other) * gap

    return answer


def within(z, has, other):
    return fitted(z, torch.ones_like(other), has.to(z.dtype), other)[2]


ONE_SLOPE = "You take the smile's slope from one of the groups only. The smile is supposed to move all codes alike: let everybody help to find out how."
OWN_SLOPE = "You give each group a slope of its own. The smile is supposed to move everybody's code by the same u, so that there is one slope for all."

ADJUSTED = Task(
    name="attribute/adjusted",
    draw=draw_adjusted,
    reference=adjusted,
    mistakes=(
        Mistake(
            "not adjusted",
            "That is the plain difference of means. Those with glasses smile more, so that it holds a piece "
            "of the smile as well.",
            lambda z, has, other: mean_difference(z, has),
        ),
        Mistake(
            "matched in two strata",
            "You matched smiling and not smiling. Within each of the two strata those with glasses still "
            "smile more; use how much.",
            lambda z, has, other: by_strata(pictures)(z, has, (other > 0).long()),
        ),
        Mistake(
            "smile's slope from everybody, glasses ignored",
            "Your slope of the codes over the smile ignores who wears glasses. The smiling wear glasses more "
            "often, so that it holds a piece of the glasses, and you subtract too much. Both steps have to be "
            "found together.",
            corrected(lambda z, has, other: slope(z, other)),
            corrected(lambda z, has, other: fitted(z, other)[0]),
        ),
        Mistake(
            "no constant",
            "You centred one of the columns and not the codes. The code of someone without glasses and with "
            "smile 0 is one more unknown.",
            lambda z, has, other: fitted(z, has.to(z.dtype) - has.to(z.dtype).mean(), other)[0],
        ),
        Mistake(
            "no constant",
            "Your model puts people without glasses and with smile 0 at the code zero. Where are they? One "
            "more unknown is needed.",
            lambda z, has, other: fitted(z, has.to(z.dtype), other)[0],
        ),
        Mistake(
            "the other step returned",
            "That is u, what one unit of smile does. Asked is v, what the glasses do.",
            within,
        ),
        Mistake(
            "correction with the wrong sign",
            "You add the smile's part to the difference of means. It is in there already, and should go.",
            corrected(lambda z, has, other: -within(z, has, other)),
        ),
        Mistake(
            "a whole unit of smile subtracted",
            "You subtract a whole unit of smile. How much more do those with glasses smile on average?",
            lambda z, has, other: mean_difference(z, has) - within(z, has, other),
        ),
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the glasses off.",
            lambda z, has, other: -fitted(z, torch.ones_like(other), has.to(z.dtype), other)[1],
        ),
        Mistake(
            "slope from one group",
            ONE_SLOPE,
            corrected(lambda z, has, other: slope(z[has], other[has])),
            corrected(lambda z, has, other: slope(z[~has], other[~has])),
        ),
        Mistake(
            "a slope for each group",
            OWN_SLOPE,
            lambda z, has, other: fitted(z, torch.ones_like(other), has.to(z.dtype), other, has.to(z.dtype) * other)[1],
            corrected(lambda z, has, other: (slope(z[has], other[has]) + slope(z[~has], other[~has])) / 2),
        ),
        Mistake(
            "the constant returned",
            "That is the code of someone without glasses and with smile 0. Asked is the step that the glasses make.",
            lambda z, has, other: fitted(z, torch.ones_like(other), has.to(z.dtype), other)[0],
        ),
    ),
)


# attribute/effect(x, has, train, encode, decode, fit_probe)


def draw_effect(rng):
    pixels, latents = int(rng.integers(5, 8)), int(rng.integers(2, 4))
    numbers = rng.permutation([3, 4, 5, 6])  # training with, without; held out with, without
    has, train = np.repeat([True, False, True, False], numbers), np.repeat([True, True, False, False], numbers)
    pattern = 0.35 * rng.choice([-1, 1], size=pixels)
    x = 0.5 + np.outer(has - 0.5, pattern) + rng.uniform(-0.3, 0.3, size=(len(has), pixels))
    order = rng.permutation(len(has))
    return {
        "x": torch.tensor(np.round(x[order], 2), dtype=torch.float32),
        "has": torch.tensor(has[order]),
        "train": torch.tensor(train[order]),
        "encode": Linear(rounded_normal(rng, pixels, latents), rounded_normal(rng, latents)),
        "decode": Decoder(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels, scale=0.5)),
        "fit_probe": FitProbe(ridge=0.5),
    }


def effect(x, has, train, encode, decode, fit_probe):
    z_train = encode(x[train]).numpy()
    inside = has[train].numpy()
    step = torch.tensor(np.average(z_train, axis=0, weights=inside) - np.average(z_train, axis=0, weights=~inside))
    read = fit_probe(x[train], has[train])
    judged = encode(x[~train & ~has])
    return read(decode(judged)).mean().item(), read(decode(judged + step)).mean().item()


def effect_with(
    vector_from="training",
    fitted_to="training",
    fitted_on="pictures",
    judged="held out",
    kind="without",
    before="drawing",
):
    """The evaluation with its choices open: who gives the vector, what the judge learns from, who is judged."""

    def answer(x, has, train, encode, decode, fit_probe, tell=torch.mean):
        groups = {"training": train, "held out": ~train, "all": train == train, "judged": ~train & ~has}
        z, rows = encode(x), groups[vector_from]
        step = mean_difference(z[rows], has[rows])
        rows = groups[fitted_to]
        read = fit_probe((x if fitted_on == "pictures" else decode(z))[rows], has[rows].to(x.dtype))
        rows = groups[judged] & (~has if kind == "without" else has if kind == "with" else has == has)
        first = x[rows] if before == "pictures" else decode(z[rows])
        return tell(read(first)), tell(read(decode(z[rows] + step)))

    return answer


LEFT = {  # what the printed function does wrong: how, and the hint if it is the only thing left
    "vector from those it is judged on": (
        {"vector_from": "all"},
        "Everything else is right. The people you judge also helped to make the vector, so that it knows them. Whom may it know?",
    ),
    "judge knows the judged": (
        {"fitted_to": "all"},
        "Everything else is right. Your judge was fitted to the very people it judges.",
    ),
    "judge fitted on drawings": (
        {"fitted_on": "drawings"},
        "Everything else is right. Your judge learned what glasses are from the VAE's drawings. If the VAE drew every pair of glasses as a "
        "hat, what would it say?",
    ),
    "people judged who knew it all": (
        {"judged": "all"},
        "Everything else is right. Among the people you judge are some of those that vector and judge were made from.",
    ),
    "glasses on those who wear some": (
        {"kind": "all"},
        "Everything else is right. You put glasses also on people who wear some already, and they lift both of your numbers.",
    ),
    "before read from the original": (
        {"before": "pictures"},
        "Everything else is right. Your first reading is from the original, your second from a drawing: what the VAE changes merely by redrawing "
        "is taken for the vector's doing.",
    ),
}
SEVERAL = (
    "More than one thing is still wrong. Ask of the vector, of the judge and of each reading: which people, and "
    "which pictures, does it come from?"
)

EFFECT = Task(
    name="attribute/effect",
    draw=draw_effect,
    reference=effect,
    mistakes=(
        *(Mistake(name, hint, effect_with(**change)) for name, (change, hint) in LEFT.items()),
        Mistake(
            "vector from those it is judged on",
            LEFT["vector from those it is judged on"][1],
            effect_with(vector_from="held out"),
        ),
        Mistake(
            "judge knows the judged",
            LEFT["judge knows the judged"][1],
            effect_with(fitted_to="held out"),
        ),
        Mistake(
            "people judged who knew it all",
            LEFT["people judged who knew it all"][1],
            effect_with(judged="training"),
        ),
        Mistake(
            "glasses on those who wear some",
            LEFT["glasses on those who wear some"][1],
            effect_with(kind="with"),
        ),
        Mistake(
            "shares for mean readings",
            "The people are right. You return shares of readings over a half; asked is the mean reading.",
            lambda *inputs: effect_with()(*inputs, tell=lambda read: (read > 0.5).to(read.dtype).mean()),
        ),
        Mistake(
            "only the change returned",
            "Asked are two numbers, the mean reading before and the mean reading after.",
            lambda *inputs: (lambda before, after: after - before)(*effect_with()(*inputs)),
        ),
        Mistake(
            "several things left",
            SEVERAL,
            *(
                effect_with(**{k: v for name in names for k, v in LEFT[name][0].items()})
                for count in range(2, len(LEFT) + 1)
                for names in combinations(LEFT, count)
            ),
        ),
    ),
)

TASKS = (VECTOR, ENTANGLED, MATCHED, EFFECT, BETTER, ADJUSTED)
