"""The tasks of exercise 09, latent arithmetic."""

from functools import partial
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import scipy.stats
import torch

from vae_course.judging.task import Mistake, Task, rounded_normal
from vae_course.visible.callables import Decoder, FitProbe, Linear

__all__ = ["TASKS"]


def everybody(people):
    """Select all people: (N,) true."""
    return torch.ones_like(people, dtype=torch.bool)


def mean_difference(z, has):
    """Subtract the mean code of those without from that of those with (lesson 09, section 1)."""
    return z[has].mean(0) - z[~has].mean(0)


# attribute/vector(z, values, low, high)


def draw_vector(rng):
    """Draw different numbers of people below, between and above the marks, so that each grouping shows."""
    counts = rng.permutation([2, 3, 4, 5])[:3]  # without, between, with: all different
    low, high = round(float(rng.uniform(-0.6, -0.3)), 2), round(float(rng.uniform(0.1, 0.5)), 2)
    bounds = ((-1.0, low - 0.05), (low + 0.05, high - 0.05), (high + 0.05, 1.0))
    values = np.concatenate([rng.uniform(*ends, size=count) for ends, count in zip(bounds, counts, strict=True)])
    values = np.round(values, 2)
    values[values == 0] = 0.01  # so that a cut at 0 is one cut
    values = torch.tensor(rng.permutation(values), dtype=torch.float32)
    return {"z": rounded_normal(rng, len(values), int(rng.integers(2, 4))), "values": values, "low": low, "high": high}


def vector(z, values, low, high):
    """Average the codes above high and those below low, and subtract."""
    z, values = z.numpy(), values.numpy()
    return np.average(z, axis=0, weights=values > high) - np.average(z, axis=0, weights=values < low)


def from_low_to_high(z, values, low, high):
    return z[values > high].mean(0) - z[values < low].mean(0)


def groups_by(average):
    """Return an answer that subtracts these averages: average(codes of a group, their values) -> (d,)."""

    def answer(z, values, low, high):
        above, below = values > high, values < low
        return average(z[above], values[above]) - average(z[below], values[below])

    return answer


def weighted(z, values):
    return values @ z / values.sum()


def slope_over(values, z):
    """Compute the least-squares slope of the codes over these values alone, with a constant: (d,)."""
    centred = values - values.mean()
    return centred @ z / (centred**2).sum()


def slope_of_counted(z, values, low, high):
    counted = (values > high) | (values < low)
    return slope_over(values[counted], z[counted])


def cut_elsewhere():
    """Yield answers whose groups hold people between the marks, in both directions."""
    cuts = (  # from values, low and high: the two groups
        lambda v, low, high: (v > high, v <= high),
        lambda v, low, high: (v >= low, v < low),
        lambda v, low, high: (v > (low + high) / 2, v <= (low + high) / 2),
        lambda v, low, high: (v > 0, v <= 0),
        lambda v, low, high: (v > v.mean(), v <= v.mean()),
        lambda v, low, high: (v > v.median(), v <= v.median()),
        lambda v, low, high: (v > v.median(), v < v.median()),
        lambda v, low, high: (v > v.quantile(0.5), v < v.quantile(0.5)),
        lambda v, low, high: (v >= v.median(), v < v.median()),
        lambda v, low, high: (v > high, (v >= low) & (v <= high)),
        lambda v, low, high: ((v >= low) & (v <= high), v < low),
        lambda v, low, high: (v > low, v < high),
    )
    for cut in cuts:
        for sign in (1, -1):
            yield partial(_cut_answer, cut, sign)


def _cut_answer(cut, sign, z, values, low, high):
    above, below = cut(values, low, high)
    return sign * (z[above].mean(0) - z[below].mean(0))


def signs_of(values, low, high):
    return (values > high).to(values.dtype) - (values < low).to(values.dtype)


VECTOR = Task(
    name="attribute/vector",
    draw=draw_vector,
    reference=vector,
    library=("vae_lessons.latents.attribute_vector",),
    mistakes=(
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the attribute away. At which end of the arrow are those with "
            "the attribute?",
            lambda *inputs: -from_low_to_high(*inputs),
        ),
        Mistake(
            "sums for means",
            "You subtract sums. Show your function every picture twice: should the vector become longer?",
            groups_by(lambda z, values: z.sum(0)),
        ),
        Mistake(
            "both sums divided by one number",
            "You divide both groups' sums by the same number. A mean is a sum divided by how many were added up: how "
            "many people are there in each group?",
            lambda z, values, low, high: signs_of(values, low, high) @ z / len(z),
            lambda z, values, low, high: signs_of(values, low, high) @ z / signs_of(values, low, high).abs().sum(),
        ),
        Mistake(
            "the mean of all for one group",
            "One end of your vector is the mean of all codes, to which both groups and those in between belong. Where "
            "should the arrow begin, and where end?",
            lambda z, values, low, high: z[values > high].mean(0) - z.mean(0),
            lambda z, values, low, high: z.mean(0) - z[values < low].mean(0),
        ),
        Mistake(
            "those in between counted",
            "Your groups hold people between `low` and `high`. They smile a little or frown a little: in which group "
            "do they belong?",
            *cut_elsewhere(),
        ),
        Mistake(
            "only one group's mean",
            "That is where one of the groups lies, and not a step. Add it to the code of somebody in this group: what "
            "should have changed?",
            lambda z, values, low, high: z[values > high].mean(0),
            lambda z, values, low, high: z[values < low].mean(0),
        ),
        Mistake(
            "the two means added",
            "You add the two groups' means. If both groups had the same mean code, how long should the vector be?",
            lambda z, values, low, high: z[values > high].mean(0) + z[values < low].mean(0),
            lambda z, values, low, high: (z[values > high].mean(0) + z[values < low].mean(0)) / 2,
        ),
        Mistake(
            "medians for means",
            "You take the median of each latent. The smile vector is made from mean codes.",
            groups_by(lambda z, values: z.median(0).values),
            groups_by(lambda z, values: z.quantile(0.5, dim=0)),
        ),
        Mistake(
            "weighted by the factor",
            "You multiply the codes by how much each person smiles. The marks only decide who counts: should somebody "
            "far beyond a mark count more than somebody just beyond it?",
            groups_by(weighted),
            groups_by(lambda z, values: weighted(z, values.abs())),
            groups_by(lambda z, values: (values[:, None] * z).mean(0)),
            groups_by(lambda z, values: (values.abs()[:, None] * z).mean(0)),
            lambda z, values, low, high: (signs_of(values, low, high).abs() * values) @ z / len(z),
            lambda z, values, low, high: values @ z / len(z),
            lambda z, values, low, high: values @ z / values.sum(),
            lambda z, values, low, high: values @ z,
        ),
        Mistake(
            "a slope for a step",
            "You fit a line of the codes over the factor, and its slope depends on how far each person is from the "
            "mean. The task asks for the way from the mean code of one group to that of the other.",
            lambda z, values, low, high: slope_over(values, z),
            lambda z, values, low, high: slope_over(values, z) * (high - low),
            slope_of_counted,
            lambda z, values, low, high: slope_of_counted(z, values, low, high) * (high - low),
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
            lambda *inputs: torch.nn.functional.normalize(from_low_to_high(*inputs), dim=0),
        ),
        Mistake(
            "per unit of the factor",
            "You divided by how far the groups lie apart in the factor. That is the change for one unit. The task asks "
            "for the step from one group to the other.",
            lambda z, values, low, high: from_low_to_high(z, values, low, high) / (high - low),
            lambda z, values, low, high: (
                from_low_to_high(z, values, low, high) / from_low_to_high(values, values, low, high)
            ),
        ),
    ),
)


# attribute/entangled(labels, names, name)

ATTRIBUTES = ("glasses", "smile", "beard", "hat", "earrings", "fringe", "lipstick")


def draw_entangled(rng, rare):
    """Draw one attribute that is common in both groups, and one far more common in one, with clear margins.

    With `rare`, another attribute, which hardly anybody has, is correlated more with the vector's own.
    """
    while True:
        size = int(rng.integers(4, 6))
        first, last = (14, 26) if rare else (6, 14)
        with_, without = (int(number) for number in rng.permutation(np.arange(first, last))[:2])
        if rare and abs(with_ - without) < 5:
            continue
        names = tuple(str(name) for name in rng.permutation(ATTRIBUTES)[:size])
        has = np.repeat([1, 0], [with_, without])
        columns = [has, (rng.random(len(has)) < 0.88).astype(int)]
        low, high = (
            (rng.uniform(0.2, 0.35), rng.uniform(0.6, 0.75))
            if rare
            else (rng.uniform(0.05, 0.3), rng.uniform(0.5, 0.75))
        )
        rates = (high, low) if rng.random() < 0.5 else (low, high)
        columns += [(rng.random(len(has)) < np.where(has, *rates)).astype(int)]
        columns += [(rng.random(len(has)) < rng.uniform(0.2, 0.5)).astype(int) for _ in range(size - 3)]
        if rare:
            columns[3] = np.where(has, rng.random(len(has)) < 0.33, 0)
        table = np.stack(columns, axis=1)
        if margins_are_clear(table, has, 0.05 if rare else 0.1) and (not rare or other_measures_mislead(table, has)):
            order = rng.permutation(size)
            labels = torch.tensor(table[rng.permutation(len(table))][:, order], dtype=torch.float32)
            return {"labels": labels, "names": names, "name": names[int(np.flatnonzero(order == 0)[0])]}


def margins_are_clear(table, has, margin):
    """Whether column 2 clearly differs most between the groups, while column 1 is the most frequent."""
    change = np.abs(table[has == 1].mean(0) - table[has == 0].mean(0))[1:]
    shares = table.mean(0)
    return (
        change.argmax() == 1
        and np.sort(change)[-1] - np.sort(change)[-2] > margin
        and 0.1 < shares[1] < 1
        and shares.min() > 0
        and shares[1:].argmax() == 0
        and table[has == 1].sum(0)[1:].argmax() == 0
        and abs(shares[2] - shares[0]) > 0.05
    )


def other_measures_mislead(table, has):
    """Whether correlations and differences of counts name another attribute than column 2."""
    correlations = np.abs(np.corrcoef(table.T)[0])
    counts = np.abs(table[has == 1].sum(0) - table[has == 0].sum(0))[1:]
    return correlations[3] > correlations[2] + 0.02 and counts.argmax() != 1


def entangled(labels, names, name):
    """Compare the shares of every other attribute among those with and those without (lesson 09, section 8)."""
    table = labels.numpy()
    own = table[:, names.index(name)]
    change = {
        other: np.average(column, weights=own) - np.average(column, weights=1 - own)
        for other, column in zip(names, table.T, strict=True)
        if other != name
    }
    most = max(change, key=lambda other: abs(change[other]))
    return most, change[most]


def with_largest(score, size=abs, number=float, told=None):
    """Return an answer that names the attribute with the largest score, except the vector's own.

    Args:
        score: computes one number for each attribute from has and labels.
        size: computes the size by which scores are compared.
        number: computes the second result from a score of the named attribute.
        told: computes the scores from which the second result is made, in place of `score`.
    """

    def answer(labels, names, name):
        column = names.index(name)
        has = labels[:, column] > 0.5
        scores, tell = score(has, labels).tolist(), (told or score)(has, labels).tolist()
        most = max((other for other in range(len(names)) if other != column), key=lambda other: size(scores[other]))
        return names[most], number(tell[most])

    return answer


def share_ratio(has, labels):
    return labels[has].mean(0) / labels[~has].mean(0)


def log_odds_ratio(has, labels):
    return labels[has].mean(0).logit() - labels[~has].mean(0).logit()


def lift(has, labels):
    return labels[has].mean(0) / labels.mean(0)


def log_share_ratio(has, labels):
    return share_ratio(has, labels).log()


def log_lift(has, labels):
    return lift(has, labels).log()


def agreement(has, labels):
    return (labels == has.to(labels.dtype)[:, None]).to(labels.dtype).mean(0)


def cosine(has, labels):
    return labels[has].sum(0) / (labels.sum(0) * has.sum()).sqrt()


def overlap(has, labels):
    """Divide the number of people with both by the number with either."""
    return labels[has].sum(0) / (labels.sum(0) + has.sum() - labels[has].sum(0))


def count_gap(has, labels):
    return labels[has].sum(0) - labels[~has].sum(0)


def partial_slopes(labels, names, name):
    """Fit the attribute by all others together, and name the largest slope."""
    column = names.index(name)
    others = [other for other in range(len(names)) if other != column]
    known = torch.cat([torch.ones_like(labels[:, :1]), labels[:, others]], dim=1)
    slopes = (torch.linalg.pinv(known) @ labels[:, column])[1:]
    most = int(slopes.abs().argmax())
    return names[others[most]], slopes[most]


def slopes_at_equal_others(labels, names, name):
    """Fit each other attribute by the vector's own and the remaining ones, and name the largest slope."""
    column, slopes = names.index(name), {}
    for other in range(len(names)):
        if other != column:
            rest = [number for number in range(len(names)) if number not in (column, other)]
            known = torch.cat([labels[:, [column, *rest]], torch.ones_like(labels[:, :1])], dim=1)
            slopes[names[other]] = (torch.linalg.pinv(known) @ labels[:, other])[0]
    most = max(slopes, key=lambda other: slopes[other].abs())
    return most, slopes[most]


def place_in_shortened_table(labels, names, name):
    """Leave the own column out, and look the place of the largest up among all names."""
    column = names.index(name)
    gaps = share_gap(labels[:, column] > 0.5, labels)
    gaps = torch.cat([gaps[:column], gaps[column + 1 :]])
    most = int(gaps.abs().argmax())
    return names[most], gaps[most]


def share_gap(has, labels):
    return labels[has].mean(0) - labels[~has].mean(0)


def share_gap_the_other_way(has, labels):
    """Compare this attribute's shares among those with and those without each other attribute."""
    own = has.to(labels.dtype)
    return (own @ labels) / labels.sum(0) - (own @ (1 - labels)) / (1 - labels).sum(0).clamp_min(1)


def correlation(has, labels):
    own = has.to(labels.dtype) - has.to(labels.dtype).mean()
    rest = labels - labels.mean(0)
    return own @ rest / ((own @ own) * (rest**2).sum(0)).sqrt()


def covariance(has, labels):
    return labels[has].sum(0) / len(labels) - has.to(labels.dtype).mean() * labels.mean(0)


def share_with(has, labels):
    return labels[has].mean(0)


def share_all(has, labels):
    return labels.mean(0)


def most_frequent_with_right_number(labels, names, name):
    return with_largest(share_with)(labels, names, name)[0], with_largest(share_gap)(labels, names, name)[1]


def most_added_own_set_to_zero(labels, names, name):
    """Name the largest signed change, with the vector's own set to 0: it wins if all others are negative."""
    has = labels[:, names.index(name)] > 0.5
    changes = share_gap(has, labels)
    changes[names.index(name)] = 0
    return names[int(changes.argmax())], float(changes.max())


ENTANGLED = Task(
    name="attribute/entangled",
    draw=(partial(draw_entangled, rare=False), partial(draw_entangled, rare=True)),
    reference=entangled,
    cases=12,
    mistakes=(
        Mistake(
            "most frequent for most different",
            "You name what is most frequent. If people with and without the attribute have it equally often, does it "
            "show in the difference of two means?",
            with_largest(share_with),
            with_largest(lambda has, labels: labels[has].sum(0)),
            with_largest(lambda has, labels: labels[has].sum(0) / len(labels)),
            with_largest(share_all),
            with_largest(share_all, told=share_with),
            most_frequent_with_right_number,
        ),
        Mistake(
            "the attribute itself named",
            "Your answer is the attribute that the vector was made for. The task asks what else comes along.",
            lambda labels, names, name: (name, 1.0),
        ),
        Mistake(
            "only what is added looked for",
            "A vector can also take something away. If hats are rare among those with glasses, what does the "
            "glasses vector do to a hat?",
            with_largest(share_gap, size=float),
            with_largest(share_gap, size=float, number=abs),
            most_added_own_set_to_zero,
        ),
        Mistake(
            "sign lost",
            "You named the right attribute, and your number has the right size. Does the vector bring this "
            "attribute or remove it?",
            with_largest(share_gap, number=abs),
        ),
        Mistake(
            "sign flipped",
            "You named the right attribute; your number has the wrong sign. It should be positive if those "
            "with the attribute have the other more often.",
            with_largest(share_gap, number=lambda change: -change),
        ),
        Mistake(
            "condition the wrong way round",
            "You split the people by the other attribute and counted this one. Which groups does the mean "
            "difference compare?",
            with_largest(share_gap_the_other_way),
            with_largest(share_gap_the_other_way, number=abs),
        ),
        Mistake(
            "chosen by correlation",
            "You go by the correlation. It is not a step: it also grows if the other attribute is rare. In the toy "
            "of section 8, one vector holds 0.6 of a smile: which two shares make that number?",
            with_largest(correlation),
            with_largest(correlation, number=abs),
        ),
        Mistake(
            "covariance for difference of shares",
            "That is a covariance. It goes to 0 if hardly anybody has the attribute. Does what the vector "
            "carries along go to 0, too?",
            with_largest(covariance),
            with_largest(lambda has, labels: covariance(has, labels) * len(has) / (len(has) - 1)),
        ),
        Mistake(
            "ratio for difference",
            "You go by a ratio of shares. A rare attribute may be many times as frequent in one group and still move "
            "the mean code little. How does the vector compare its two groups?",
            *(with_largest(score) for score in (share_ratio, log_odds_ratio, lift)),
            *(with_largest(score) for score in (log_share_ratio, log_lift)),
        ),
        Mistake(
            "agreement of the labels",
            "You measure how far two columns of labels agree. Look at two groups of people instead: what do the "
            "vector's two means differ in?",
            *(with_largest(score) for score in (agreement, cosine, overlap)),
        ),
        Mistake(
            "not the largest difference of shares",
            "Your number belongs to the attribute that you name. Of another one the vector holds more, if the sign "
            "does not count. By what did you choose?",
            *(
                with_largest(score, told=share_gap)
                for score in (
                    *(correlation, share_gap_the_other_way, count_gap, share_with, agreement, cosine, overlap),
                    *(share_ratio, log_odds_ratio, lift, log_share_ratio, log_lift),
                )
            ),
        ),
        Mistake(
            "counts for shares",
            "You subtract numbers of people, and the two groups are not equally large. If twice as many people without "
            "the attribute were collected, should the vector change?",
            with_largest(count_gap),
            with_largest(lambda has, labels: count_gap(has, labels) / len(labels)),
        ),
        Mistake(
            "other attributes held fixed",
            "You fit several attributes together, so that each number is at equal values of the others. The plain "
            "difference of means holds nothing fixed.",
            partial_slopes,
            slopes_at_equal_others,
        ),
        Mistake(
            "place in a shortened table",
            "Your number is right. The name is wrong if the vector's own column stands before the named one: did you "
            "take that column out before you counted the places?",
            place_in_shortened_table,
        ),
        Mistake(
            "compared with everybody",
            "You compare those with the attribute with all people. Whom does the attribute vector compare them with?",
            with_largest(lambda has, labels: labels[has].mean(0) - labels.mean(0)),
            with_largest(lambda has, labels: labels[has].mean(0) - labels.mean(0), number=abs),
        ),
    ),
)


# attribute/matched(z, has, match)


def draw_matched(rng, absent=False):
    """Draw four strata of different sizes: one with only one kind; people with few attributes are mostly without.

    With `absent`, one of the strata holds nobody.
    """
    while True:
        counts = rng.integers(1, 5, size=(4, 2))  # (strata, with and without)
        counts[0, 0] = max(counts[0, 0], 2)
        counts[0, 1] += 3
        counts[3, 0] += 3
        one_sided = rng.integers(1, 3)
        counts[one_sided, rng.integers(0, 2)] = 0
        if absent:
            counts[3 - one_sided] = 0
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
    """Average the strata's differences of means, weighted by their pictures (lesson 09, section 8)."""
    z, has, match = z.numpy(), has.numpy(), match.numpy()
    total, people = np.zeros(z.shape[1]), 0
    for kind in {tuple(row) for row in match.tolist()}:
        inside = (match == kind).all(1)
        if 0 < has[inside].sum() < inside.sum():
            total += inside.sum() * (z[inside & has].mean(0) - z[inside & ~has].mean(0))
            people += inside.sum()
    return total / people


def strata(match):
    """List the rows of each stratum, (N,) true or false, from match (N,) or (N, 2)."""
    match = match.reshape(len(match), -1)
    return [(match == kind).all(1) for kind in match.unique(dim=0)]


def both_kinds(has, inside):
    return bool((has & inside).any() and (~has & inside).any())


def any_kind(has, inside):
    return True


def pictures(has, inside):
    return inside.sum()


def by_strata(weigh=pictures, keep=both_kinds, compare=mean_difference):
    """Return an answer that averages over strata; the defaults are right.

    Args:
        weigh: computes the weight of a stratum from has and the stratum's rows.
        keep: decides from the same whether the stratum counts.
        compare: computes the difference within a stratum from its codes and its part of has.
    """

    def answer(z, has, match):
        kept = [inside for inside in strata(match) if keep(has, inside)]
        weights = torch.tensor([float(weigh(has, inside)) for inside in kept], dtype=z.dtype)
        return weights @ torch.stack([compare(z[inside], has[inside]) for inside in kept]) / weights.sum()

    return answer


def nobody_at_zero(z, has):
    """Compare means; the mean of nobody is the code 0."""
    return z[has].mean(0).nan_to_num() - z[~has].mean(0).nan_to_num()


def zero_for_one_kind(z, has):
    """Compare means; the difference is 0 if one kind is missing."""
    return mean_difference(z, has).nan_to_num()


def comparable_strata_at_once(z, has, match):
    kept = torch.stack([inside for inside in strata(match) if both_kinds(has, inside)]).any(0)
    return mean_difference(z[kept], has[kept])


def each_side_apart(weigh):
    """Return an answer that averages those with over their strata, and those without over theirs."""

    def answer(z, has, match):
        sides = []
        for side in (has, ~has):
            kept = [inside for inside in strata(match) if (inside & side).any()]
            weights = torch.tensor([float(weigh(has, inside)) for inside in kept], dtype=z.dtype)
            sides.append(weights @ torch.stack([z[inside & side].mean(0) for inside in kept]) / weights.sum())
        return sides[0] - sides[1]

    return answer


def missing_side_from(mean):
    """Return an answer that puts mean(z, side) for the mean of a side that a stratum lacks."""

    def answer(z, has, match):
        differences = [
            [z[inside & side].mean(0) if (inside & side).any() else mean(z, side) for side in (has, ~has)]
            for inside in strata(match)
        ]
        weights = torch.tensor([float(inside.sum()) for inside in strata(match)], dtype=z.dtype)
        return weights @ torch.stack([with_ - without for with_, without in differences]) / weights.sum()

    return answer


def added_up(weigh, divide):
    """Return an answer that adds up the weighted differences of the strata and divides by divide(has, strata)."""

    def answer(z, has, match):
        kept = [inside for inside in strata(match) if both_kinds(has, inside)]
        total = sum(float(weigh(has, inside)) * mean_difference(z[inside], has[inside]) for inside in kept)
        return total / divide(has, kept)

    return answer


def additive_fit(z, has, match):
    """Fit a step for the attribute and one for each column of match, all together."""
    known = torch.cat([torch.ones_like(z[:, :1]), has.to(z.dtype)[:, None], match.to(z.dtype)], dim=1)
    return (torch.linalg.pinv(known) @ z)[1]


def some_strata(choose):
    """Return an answer that uses only the strata chosen: choose(has, inside, first person's row of match)."""

    def answer(z, has, match):
        kept = [s for s in strata(match) if both_kinds(has, s) and choose(has, s, match[s][0].tolist())]
        weights = torch.tensor([float(inside.sum()) for inside in kept], dtype=z.dtype)
        return weights @ torch.stack([mean_difference(z[inside], has[inside]) for inside in kept]) / weights.sum()

    return answer


def largest_stratum(z, has, match):
    rows = max((inside for inside in strata(match) if both_kinds(has, inside)), key=lambda inside: int(inside.sum()))
    return mean_difference(z[rows], has[rows])


def with_times_without(has, inside):
    """Weight a stratum by n₁ n₀ / n, as a regression on the strata does."""
    return (has & inside).sum() * (~has & inside).sum() / inside.sum()


MATCHED = Task(
    name="attribute/matched",
    draw=(draw_matched, draw_matched, partial(draw_matched, absent=True)),
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
            comparable_strata_at_once,
        ),
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the attribute away.",
            lambda z, has, match: by_strata()(z, ~has, match),
        ),
        Mistake(
            "matched by one attribute",
            "You match by one of the two attributes. Within such a stratum people with and without may still differ in "
            "the other one.",
            lambda z, has, match: by_strata()(z, has, match[:, 0]),
            lambda z, has, match: by_strata()(z, has, match[:, 1]),
        ),
        Mistake(
            "one attribute after the other",
            "You match by each attribute alone and average the vectors. Each of them still carries what it "
            "was not matched by.",
            lambda z, has, match: sum(by_strata()(z, has, column) for column in match.T) / 2,
        ),
        Mistake(
            "different strata thrown together",
            "One of your strata holds people who differ in `match`. A person with only a smile is not like one with "
            "only a hat, and neither of them is like one with both.",
            lambda z, has, match: by_strata()(z, has, match.sum(1)),
            lambda z, has, match: by_strata()(z, has, match.any(1).long()),
            lambda z, has, match: by_strata()(z, has, match.all(1).long()),
            lambda z, has, match: by_strata()(z, has, (match[:, 0] == match[:, 1]).long()),
        ),
        Mistake(
            "wrong weights of the strata",
            "Within the strata you compare rightly, but the strata have the wrong weights. A stratum should count as "
            "often as there are pictures in it, of both kinds together.",
            by_strata(lambda has, inside: 1),
            by_strata(lambda has, inside: (has & inside).sum()),
            by_strata(lambda has, inside: (~has & inside).sum()),
            by_strata(with_times_without),
            by_strata(lambda has, inside: min((has & inside).sum(), (~has & inside).sum())),
        ),
        Mistake(
            "weights that do not add up to one",
            "Your weights do not add up to 1. If each stratum showed the same difference v, would your function return "
            "v?",
            added_up(pictures, lambda has, kept: 1),
            added_up(pictures, lambda has, kept: len(kept)),
            added_up(lambda has, inside: 1, lambda has, kept: 1),
            added_up(pictures, lambda has, kept: has.sum()),
            added_up(lambda has, inside: (has & inside).sum(), lambda has, kept: len(has)),
        ),
        Mistake(
            "additive fit",
            "You fit one step for the attribute and one for each column of `match`, and these add up. The task "
            "compares within the people who agree in both columns, whatever the two attributes do together.",
            additive_fit,
        ),
        Mistake(
            "strata left out on one side only",
            "You average those with over the strata that hold some, and those without over the strata that hold some. "
            "These are not the same strata. What should become of the people in a stratum with only one kind?",
            each_side_apart(pictures),
            each_side_apart(lambda has, inside: 1),
        ),
        Mistake(
            "comparable strata left out",
            "Some strata that can be compared are missing from your average. Two columns of 0 and 1 make up to four "
            "kinds of people. How many people of each kind does a comparison need?",
            some_strata(lambda has, inside, kind: kind[0] == kind[1]),
            some_strata(lambda has, inside, kind: all(kind)),
            some_strata(lambda has, inside, kind: any(kind)),
            some_strata(lambda has, inside, kind: min((has & inside).sum(), (~has & inside).sum()) > 1),
            largest_stratum,
        ),
        Mistake(
            "a mean of nobody",
            "Some stratum holds only people with the attribute, or only people without, and yet it takes part in your "
            "average. The mean of nobody is not a number, not the code 0, and not the mean of other people: what can "
            "such a stratum say about the difference?",
            by_strata(keep=any_kind),
            by_strata(keep=any_kind, compare=nobody_at_zero),
            missing_side_from(lambda z, side: z[side].mean(0)),
            missing_side_from(lambda z, side: z.mean(0)),
        ),
        Mistake(
            "strata left out still counted",
            "A stratum with only one kind counts in your weights as if it had shown no change. What would your "
            "function return if all the other strata showed the same difference?",
            by_strata(keep=any_kind, compare=zero_for_one_kind),
            by_strata(weigh=lambda has, inside: 1, keep=any_kind, compare=zero_for_one_kind),
            lambda z, has, match: added_up(lambda has, inside: 1, lambda has, kept: 4)(z, has, match),
        ),
    ),
)


# attribute/effect(x, has, train, encode, decode, fit_probe)


def draw_effect(rng):
    """Draw different numbers of people in training and held out, with and without, so that each choice shows.

    Some reading of a drawing is not between 0 and 1.
    """
    while True:
        pixels, latents = int(rng.integers(5, 8)), int(rng.integers(2, 4))
        numbers = rng.permutation([3, 4, 5, 6])  # training with, without; held out with, without
        has, train = np.repeat([True, False, True, False], numbers), np.repeat([True, True, False, False], numbers)
        pattern = 0.35 * rng.choice([-1, 1], size=pixels)
        x = 0.5 + np.outer(has - 0.5, pattern) + rng.uniform(-0.3, 0.3, size=(len(has), pixels))
        order = rng.permutation(len(has))
        case = {
            "x": torch.tensor(np.round(x[order], 2), dtype=torch.float32),
            "has": torch.tensor(has[order]),
            "train": torch.tensor(train[order]),
            "encode": Linear(rounded_normal(rng, pixels, latents), rounded_normal(rng, latents)),
            "decode": Decoder(rounded_normal(rng, latents, pixels), rounded_normal(rng, pixels, scale=0.5)),
            "fit_probe": FitProbe(ridge=0.5),
        }
        readings = torch.cat(effect_by(partial(read_drawings, average=lambda readings: readings))(**case))
        if readings.min() < -0.02 or readings.max() > 1.02:
            return case


def effect(x, has, train, encode, decode, fit_probe):
    """Take vector and judge from the training people, and readings from drawings of the held-out people without."""
    z_train = encode(x[train]).numpy()
    inside = has[train].numpy()
    step = torch.tensor(np.average(z_train, axis=0, weights=inside) - np.average(z_train, axis=0, weights=~inside))
    read = fit_probe(x[train], has[train])
    judged = encode(x[~train & ~has])
    return read(decode(judged)).mean().item(), read(decode(judged + step)).mean().item()


def training(train):
    return train


def held_out(train):
    return ~train


def with_glasses(has):
    return has


def without_glasses(has):
    return ~has


def originals(x, drawn):
    return x


def drawings(x, drawn):
    return drawn


def effect_with(
    vector_from=training,
    judge_from=training,
    judge_fitted_on=originals,
    judged=held_out,
    wearing=without_glasses,
    before_read_from=drawings,
):
    """Return an evaluation like the printed one; the defaults are right.

    Args:
        vector_from: selects from train the people whose codes make the vector.
        judge_from: selects from train the people that the judge is fitted to.
        judge_fitted_on: selects originals or drawings for that fit.
        judged: selects from train the people whose drawings are read.
        wearing: selects some of these by has.
        before_read_from: selects originals or drawings for the first reading.
    """

    def answer(x, has, train, encode, decode, fit_probe):
        z = encode(x)
        drawn = decode(z)
        rows = vector_from(train)
        step = mean_difference(z[rows], has[rows])
        rows = judge_from(train)
        read = fit_probe(judge_fitted_on(x, drawn)[rows], has[rows].to(x.dtype))
        rows = judged(train) & wearing(has)
        return read(before_read_from(x, drawn)[rows]).mean(), read(decode(z[rows] + step)).mean()

    return answer


# by the part of `effect_with`: faulty functions, the printed one first; name; hint if all else is right
FAULTS = {
    "vector_from": (
        (everybody, held_out),
        "vector from the people it is judged on",
        "The people you judge also helped to make the vector, so that it knows them. Who may help to make it?",
    ),
    "judge_from": (
        (everybody, held_out),
        "judge fitted to the people it judges",
        "Your judge was fitted to the very people it judges.",
    ),
    "judge_fitted_on": (
        (drawings,),
        "judge fitted on drawings",
        "Your judge learned what glasses are from the VAE's drawings. If the VAE drew every "
        "pair of glasses as a hat, what would it say?",
    ),
    "judged": (
        (everybody, training),
        "training people judged",
        "Among the people you judge are some of those that vector and judge were made from.",
    ),
    "wearing": (
        (everybody, with_glasses),
        "glasses put on people who wear some",
        "You put glasses on people who wear some already, and they raise both of your numbers.",
    ),
    "before_read_from": (
        (originals,),
        "before read from the original",
        "Your first reading is from the original, your second from a drawing: what the VAE "
        "changes merely by redrawing is counted as the vector's effect.",
    ),
}


def several_left():
    """Yield the evaluations with any two faults, and with more of the printed ones, up to the printed evaluation."""
    for choices in combinations(FAULTS, 2):
        for faults in product(*(FAULTS[choice][0] for choice in choices)):
            yield effect_with(**dict(zip(choices, faults, strict=True)))
    for count in range(3, len(FAULTS) + 1):
        for choices in combinations(FAULTS, count):
            yield effect_with(**{choice: FAULTS[choice][0][0] for choice in choices})
    for choice in ({}, {"judge_fitted_on": drawings}, {"before_read_from": originals}):
        yield effect_with(vector_from=held_out, judge_from=held_out, **choice)


def effect_by(read_twice, labels=lambda has, x: has.to(x.dtype), fit_to=lambda x, z: x):
    """Return an evaluation that learns as it should, and reads as it should not.

    Args:
        read_twice: computes both numbers from an object with what was learned.
        labels: makes the judge's labels from has and x.
        fit_to: selects what the judge is fitted to, from pictures and codes of the training people.
    """

    def answer(x, has, train, encode, decode, fit_probe):
        z = encode(x)
        return read_twice(
            SimpleNamespace(
                x=x,
                z=z,
                step=mean_difference(z[train], has[train]),
                pixel_step=mean_difference(x[train], has[train]),
                mean_with=z[train & has].mean(0),
                bare=~train & ~has,
                new=~train,
                wearers=~train & has,
                decode=decode,
                read=fit_probe(fit_to(x[train], z[train]), labels(has[train], x)),
            )
        )

    return answer


def read_drawings(of, average=torch.mean, shift=lambda of: of.step):
    """Read the drawings of new people without glasses, with nothing added and with `shift`, and average."""
    before, after = (of.read(of.decode(of.z[of.bare] + added)) for added in (0, shift(of)))
    return average(before), average(after)


def lift_of(of):
    before, after = read_drawings(of)
    return before, after - before


def read_pixels(of, pictures, added):
    return of.read(pictures).mean(), of.read(pictures + added).mean()


EFFECT = Task(
    name="attribute/effect",
    draw=draw_effect,
    reference=effect,
    mistakes=(
        *(
            Mistake(name, hint, *(effect_with(**{choice: wrong}) for wrong in instead))
            for choice, (instead, name, hint) in FAULTS.items()
        ),
        Mistake(
            "the lift for the reading after",
            "Your second number is a difference of two readings. The task asks for the mean reading after the vector "
            "is added.",
            effect_by(lift_of),
            effect_by(lambda of: lift_of(of)[::-1]),
        ),
        Mistake(
            "vector subtracted",
            "Your second reading is of codes that moved from those with glasses to those without. Was a vector "
            "subtracted, or made the other way round? Print both numbers: in which direction should the reading go?",
            effect_by(partial(read_drawings, shift=lambda of: -of.step)),
        ),
        Mistake(
            "a place added for a step",
            "You add the mean code of those with glasses. That is a place in the latent space, and not a step.",
            effect_by(partial(read_drawings, shift=lambda of: of.mean_with)),
        ),
        Mistake(
            "vector added to the pictures",
            "You add to the pixels of a picture. The vector is a step in the latent space: what comes after the "
            "addition?",
            effect_by(lambda of: read_pixels(of, of.decode(of.z[of.bare]), of.pixel_step)),
            effect_by(lambda of: read_pixels(of, of.x[of.bare], of.pixel_step)),
            effect_by(lambda of: read_pixels(of, of.decode(of.z[of.bare]), of.decode(of.step[None]))),
            effect_by(lambda of: read_pixels(of, of.x[of.bare], of.decode(of.step[None]))),
        ),
        Mistake(
            "two readings of different people",
            "Your two numbers are readings of different people. Then their difference holds what these people differ "
            "in, besides the vector.",
            effect_by(lambda of: (of.read(of.decode(of.z[of.new])).mean(), read_drawings(of)[1])),
            effect_by(lambda of: (read_drawings(of)[0], of.read(of.decode(of.z[of.new] + of.step)).mean())),
            effect_by(lambda of: (read_drawings(of)[0], of.read(of.decode(of.z[of.wearers])).mean())),
            effect_by(lambda of: (read_drawings(of)[0], of.read(of.x[of.wearers]).mean())),
            effect_by(lambda of: (of.read(of.decode(of.z[of.wearers])).mean(), read_drawings(of)[1])),
            effect_by(lambda of: (of.read(of.x[of.new]).mean(), read_drawings(of)[1])),
        ),
        Mistake(
            "readings changed before they are averaged",
            "You do not take the mean of the readings as they are: they are cut, counted, or a median is taken. A "
            "reading may lie below 0 or above 1, and the mean should know.",
            effect_by(partial(read_drawings, average=lambda readings: readings.clamp(0, 1).mean())),
            effect_by(partial(read_drawings, average=lambda readings: (readings > 0.5).to(readings.dtype).mean())),
            effect_by(partial(read_drawings, average=lambda readings: readings.sigmoid().mean())),
            effect_by(partial(read_drawings, average=torch.median)),
            effect_by(partial(read_drawings, average=lambda readings: readings.quantile(0.5))),
            effect_by(partial(read_drawings, average=torch.sum)),
        ),
        Mistake(
            "other labels for the judge",
            "Your judge was not fitted to the labels 1 with glasses and 0 without. Then its readings are on another "
            "scale, or stand for the opposite.",
            effect_by(read_drawings, labels=lambda has, x: 2 * has.to(x.dtype) - 1),
            effect_by(read_drawings, labels=lambda has, x: (~has).to(x.dtype)),
        ),
        Mistake(
            "judge of codes",
            "Your judge reads codes. It never sees what the decoder makes of them. Whom should glasses convince: "
            "somebody who sees the picture, or somebody who sees the code?",
            effect_by(
                lambda of: (of.read(of.z[of.bare]).mean(), of.read(of.z[of.bare] + of.step).mean()),
                fit_to=lambda x, z: z,
            ),
        ),
        Mistake(
            "training and new people exchanged",
            "You learn from the new people and judge on training people. `train` is true for a training face.",
            effect_with(vector_from=held_out, judge_from=held_out, judged=training),
        ),
        Mistake(
            "several things left",
            "More than one thing is still wrong. Ask of the vector, of the judge and of each reading: which people, "
            "and which pictures, does it come from?",
            *several_left(),
        ),
    ),
)


# attribute/better(error_pixel, error_vae, shift)

# From, to: the mean gain in standard errors, or in thousandths. Each wrong rule differs from the right one somewhere.
KINDS = {
    "huge": (6.5, 7.0),  # in thousandths, as is "large"
    "large": (2.15, 2.35),
    "strong": (14.0, 16.0),
    "plain": (6.2, 6.8),
    "uneven": (4.0, 4.4),  # one side alone would not decide
    "even": (3.4, 3.6),  # each side alone would decide
    "clear": (2.5, 2.7),
    "just": (2.01, 2.06),
    "barely not": (1.97, 1.99),  # many faces
    "close": (1.75, 1.85),
    "closer": (1.47, 1.55),
    "far": (1.15, 1.25),
    "noise": (0.55, 0.65),  # most faces have one sign and the mean has the other, as in "nothing"
    "nothing": (0.15, 0.25),
}
SPREADS = {"strong": 0.4, "plain": 2.2, "clear": 4.5}  # so that no fixed difference separates the kinds
# the mean in the middle, in spreads off the middle, where it is not about 5
MIDDLES = {"huge": 35.0, "large": 45.0, "strong": 30.0, "plain": 2.5, "even": 7.0}


def draw_better(rng, kind, sign):
    """Draw errors of the same faces, some much harder than others. Faces in the middle give another verdict."""
    low, high = KINDS[kind]
    while True:
        off, middle = (int(number) for number in rng.integers((16, 19), (22, 25)))
        off = 400 if kind == "barely not" else off
        spread = float(rng.uniform(0.3, 0.5)) * SPREADS.get(kind, 1)
        side = np.where(np.arange(off) < round(0.6 * off), -1, 1)
        rest = standardized(rng, sign, kind, side)
        mean = rng.uniform(low, high) if kind in ("huge", "large") else rng.uniform(low, high) * spread / np.sqrt(off)
        gain = -sign * mean + spread * rest  # pixel error minus VAE error, off the middle
        other = sign * MIDDLES.get(kind, rng.uniform(4.5, 5.0)) * spread + spread * rng.normal(size=middle)
        if kind in ("huge", "large"):
            other = other + 2 * sign * mean
        distance = np.concatenate([[0.335], rng.uniform(0.35, 0.6, size=4), rng.uniform(0.52, 1.0, size=off - 5)])
        within = np.concatenate([[-0.332, 0.325, 0.31], rng.uniform(-0.28, 0.28, size=middle - 3)])
        base = np.concatenate([difficulties(rng, off), difficulties(rng, middle)])
        shift = np.concatenate([side * rng.permutation(distance), within])
        order = rng.permutation(off + middle)
        columns = (base, base - np.concatenate([gain, other]))
        pixel, vae = (torch.tensor(np.round(column[order], 2), dtype=torch.float32) for column in columns)
        shift = torch.tensor(np.round(shift[order], 3), dtype=torch.float32)
        gains = (pixel - vae).double()[off_middle(shift)]
        reached = abs(gains.mean()) / (1 if kind in ("huge", "large") else standard_error(gains))
        if low < reached < high:
            return {"error_pixel": pixel, "error_vae": vae, "shift": shift}


def standardized(rng, sign, kind, side):
    """Draw what the gains are besides their mean, with mean 0 and standard deviation 1: (N,)."""
    rest = rng.normal(size=len(side))
    if kind in ("noise", "nothing"):
        share = 0.8 if kind == "noise" else 0.62
        skewed = np.where(np.arange(len(side)) < round(share * len(side)), 1 - share, -share)
        rest = sign * rng.permutation(skewed + rng.uniform(-0.05, 0.05, size=len(side)))
    if kind in ("even", "uneven"):
        for one in (-1, 1):
            part = rest[side == one]
            rest[side == one] = (part - part.mean()) / part.std(ddof=1)
        if kind == "uneven":
            rest = rest + sign * side * 1.1
    return (rest - rest.mean()) / rest.std(ddof=1)


def difficulties(rng, count):
    """Draw difficulties from 40 to 60 thousandths, evenly spaced, in random order."""
    return rng.permutation(np.linspace(40, 60, count)) + rng.uniform(-0.3, 0.3, size=count)


def better(error_pixel, error_vae, shift):
    """Compare the mean of the paired differences with two of its standard errors."""
    gain = (error_pixel - error_vae).numpy()[np.abs(shift.numpy()) > 1 / 3]
    z = gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))
    return ("VAE" if z > 2 else "pixel" if z < -2 else "undecided"), gain.mean()


def numbers_of_better(error_pixel, error_vae, shift):
    """Tell the mean difference over the people the tool is for, and its standard error."""
    gains = (error_pixel - error_vae)[off_middle(shift)]
    return (
        f"Over the {len(gains)} people the tool is for, the VAE's error is lower by {gains.mean():.3f} on average, "
        f"with a standard error of {standard_error(gains):.3f}."
    )


def off_middle(shift):
    return shift.abs() > 1 / 3


def standard_error(gains):
    return gains.std() / len(gains) ** 0.5


def verdict(mean, margin):
    """Return the word for this mean gain ("undecided" within the margin), and the mean."""
    word = "undecided" if abs(mean) < margin else "VAE" if mean > 0 else "pixel"
    return word, mean


def by_two_errors(gains):
    return verdict(gains.mean(), 2 * standard_error(gains))


def by_sign(gains):
    return verdict(gains.mean(), 0)


def by_gains(rule, who=off_middle):
    """Return an answer that applies `rule` to pixel error minus VAE error, for the people that `who` selects."""
    return lambda error_pixel, error_vae, shift: rule((error_pixel - error_vae)[who(shift)])


def beyond(factor):
    """Return a rule that decides at this many standard errors."""
    return lambda gains: verdict(gains.mean(), factor * standard_error(gains))


def beyond_t(gains):
    """Decide at the 97.5 % quantile of Student's t distribution."""
    return beyond(scipy.stats.t.ppf(0.975, len(gains) - 1))(gains)


def unpaired(pixel, vae):
    """Compute the standard error of the difference as if the errors were of two groups of people."""
    return ((pixel.var() + vae.var()) / len(pixel)) ** 0.5


def both_ends(pixel, vae):
    return (pixel.std() + vae.std()) / len(pixel) ** 0.5


def pixel_alone(pixel, vae):
    return standard_error(pixel)


def vae_alone(pixel, vae):
    return standard_error(vae)


def unpaired_by(error=unpaired, who=off_middle):
    """Return an answer that takes the standard error from both methods' errors apart."""

    def answer(error_pixel, error_vae, shift):
        pixel, vae = error_pixel[who(shift)], error_vae[who(shift)]
        return verdict((pixel - vae).mean(), 2 * error(pixel, vae))

    return answer


def with_error_of(error):
    """Return an answer with this standard error, computed from the gains of those off the middle and of all."""

    def answer(error_pixel, error_vae, shift):
        gains = error_pixel - error_vae
        return verdict(gains[off_middle(shift)].mean(), 2 * error(gains[off_middle(shift)], gains))

    return answer


def words_exchanged(gains):
    word, number = by_two_errors(gains)
    return {"VAE": "pixel", "pixel": "VAE"}.get(word, word), number


def told(number):
    """Return a rule that finds the right word and tells number(gains, word)."""
    return lambda gains: (by_two_errors(gains)[0], number(gains, by_two_errors(gains)[0]))


def by_words(word_of):
    """Return a rule that finds its word from the mean in standard errors."""
    return lambda gains: (word_of(gains.mean() / standard_error(gains)), gains.mean())


def by_majority(gains):
    share = (gains > 0).to(gains.dtype).mean()
    return verdict(share - 0.5, 0)[0], gains.mean()


def by_sign_test(gains):
    share = (gains > 0).to(gains.dtype).mean()
    return verdict(share - 0.5, 1 / len(gains) ** 0.5)[0], gains.mean()


def sides_apart(error_pixel, error_vae, shift):
    """Decide only if both sides alone decide, and alike."""
    gains = error_pixel - error_vae
    words = {by_two_errors(gains[side])[0] for side in (shift > 1 / 3, shift < -1 / 3)}
    return words.pop() if len(words) == 1 else "undecided", gains[off_middle(shift)].mean()


def sides_averaged(error_pixel, error_vae, shift):
    """Give both sides the same weight."""
    gains = error_pixel - error_vae
    mean = (gains[shift > 1 / 3].mean() + gains[shift < -1 / 3].mean()) / 2
    return verdict(mean, 2 * standard_error(gains[off_middle(shift)]))


def middle_set_to_zero(error_pixel, error_vae, shift):
    return by_two_errors((error_pixel - error_vae) * off_middle(shift))


def relative_to_pixel(error_pixel, error_vae, shift):
    return by_two_errors(((error_pixel - error_vae) / error_pixel)[off_middle(shift)])


def told_relative(error_pixel, error_vae, shift):
    word, mean = by_gains(by_two_errors)(error_pixel, error_vae, shift)
    return word, mean / error_pixel[off_middle(shift)].mean()


OTHER_PEOPLE = (  # selected by shift
    everybody,
    lambda shift: ~off_middle(shift),
    *(partial(lambda limit, shift: shift.abs() > limit, limit) for limit in (0.2, 0.25, 0.3, 0.33, 0.34, 0.4, 0.5)),
)
ONE_SIDE = (lambda shift: shift > 1 / 3, lambda shift: shift < -1 / 3)

BETTER = Task(
    name="attribute/better",
    draw=tuple(partial(draw_better, kind=kind, sign=sign) for kind in KINDS for sign in (-1, 1)),
    reference=better,
    cases=2 * len(KINDS),
    decides=numbers_of_better,
    mistakes=(
        Mistake(
            "wrong people counted",
            "Your verdict rests on other people than those the tool is for. Which heads are off the middle, and may "
            "any others count?",
            *(by_gains(rule, who) for who in OTHER_PEOPLE for rule in (by_two_errors, by_sign)),
            *(unpaired_by(who=who) for who in OTHER_PEOPLE[:2]),
            middle_set_to_zero,
        ),
        Mistake(
            "only one side counted",
            "You look at heads to one side only. A head to the left has a negative shift.",
            *(by_gains(rule, who) for who in ONE_SIDE for rule in (by_two_errors, by_sign)),
            *(unpaired_by(who=who) for who in ONE_SIDE),
        ),
        Mistake(
            "errors compared as if of different faces",
            "Your difference is right. Your margin comes from the spread of the errors themselves, and some faces are "
            "much harder than others. Here both methods drew the same faces: of what should the spread be taken?",
            *(unpaired_by(error) for error in (unpaired, both_ends, pixel_alone, vae_alone)),
        ),
        Mistake(
            "everybody in the standard error",
            "Your difference is right. In its standard error you use all faces, for the spread or for the number "
            "under the root. Over which faces does your mean run?",
            with_error_of(lambda gains, all_gains: gains.std() / len(all_gains) ** 0.5),
            with_error_of(lambda gains, all_gains: standard_error(all_gains)),
            with_error_of(lambda gains, all_gains: all_gains.std() / len(gains) ** 0.5),
        ),
        Mistake(
            "no margin",
            'You decide by the sign alone, and never say "undecided". Drawn anew, would the faces give the same sign '
            "again?",
            by_gains(by_sign),
        ),
        Mistake(
            "always undecided",
            'You say "undecided" whatever the errors are. Print the mean difference and its standard error: which of '
            "the two is larger, and by how much?",
            by_gains(lambda gains: ("undecided", gains.mean())),
        ),
        Mistake(
            "standard deviation for standard error",
            "You compare the mean with the spread of single faces. How far may the mean of n faces be off?",
            by_gains(lambda gains: verdict(gains.mean(), 2 * gains.std())),
            by_gains(lambda gains: verdict(gains.mean(), gains.std())),
        ),
        Mistake(
            "root forgotten",
            "Your margin shrinks as one over the number of faces. With four times as many faces, how much surer is a "
            "mean?",
            by_gains(lambda gains: verdict(gains.mean(), 2 * gains.std() / len(gains))),
        ),
        Mistake(
            "not two standard errors",
            "Your difference is right. You decide at another number of standard errors than the task asks for.",
            *(by_gains(beyond(factor)) for factor in (1, 1.645, 1.96, 2.576, 3)),
            by_gains(beyond_t),
        ),
        Mistake(
            "a fixed difference",
            "You decide by the size of the difference alone. Ten faces and a thousand may show the same difference: "
            "which of them do you trust more?",
            *(by_gains(partial(lambda limit, gains: verdict(gains.mean(), limit), limit)) for limit in (2, 1, 0.5)),
        ),
        Mistake(
            "one direction only tested",
            "You test one direction only. Three words need two limits: what should you say if the VAE's error is "
            "clearly higher, if it is clearly lower, and if it is about the same?",
            by_gains(by_words(lambda ratio: "VAE" if ratio >= 2 else "pixel")),
            by_gains(by_words(lambda ratio: "VAE" if ratio >= 2 else "undecided")),
            by_gains(by_words(lambda ratio: "pixel" if ratio <= -2 else "VAE")),
            by_gains(by_words(lambda ratio: "pixel" if ratio <= -2 else "undecided")),
            by_gains(by_words(lambda ratio: "VAE" if ratio >= 2 else "pixel" if ratio < 0 else "undecided")),
            by_gains(by_words(lambda ratio: "pixel" if ratio <= -2 else "VAE" if ratio > 0 else "undecided")),
        ),
        Mistake(
            "faces counted, not averaged",
            "You do not compare averages. Few faces with a large difference may outweigh many with a small one: what "
            "does the task call better?",
            by_gains(by_majority),
            by_gains(by_sign_test),
            by_gains(lambda gains: verdict(gains.median(), 2 * standard_error(gains))),
            by_gains(lambda gains: verdict(gains.quantile(0.5), 2 * standard_error(gains))),
            by_gains(lambda gains: verdict(gains.median(), 0)),
            by_gains(lambda gains: (verdict(gains.median(), 2 * standard_error(gains))[0], gains.mean())),
            by_gains(told(lambda gains, word: gains.median())),
            by_gains(told(lambda gains, word: gains.quantile(0.5))),
        ),
        Mistake(
            "the two sides taken apart",
            "You take heads to the left and heads to the right apart. The tool is for both: the mean and its standard "
            "error run over all these people at once.",
            sides_apart,
            sides_averaged,
        ),
        Mistake(
            "the higher error called better",
            "Your number is right. An error is better when it is lower: who has the lower one if your number "
            "is positive?",
            by_gains(words_exchanged),
        ),
        Mistake(
            "sign of the difference flipped",
            "Your word is right. The number should be positive when the VAE's error is the lower one.",
            by_gains(told(lambda gains, word: -gains.mean())),
        ),
        Mistake(
            "pixel and VAE exchanged",
            "Your word and the sign of your number would be right if pixel and VAE changed places. Which of the two "
            "has the lower error if the pixel error minus the VAE error is positive?",
            by_gains(lambda gains: by_two_errors(-gains)),
        ),
        Mistake(
            "another number returned",
            "Your word is right, and your number is not the mean difference over the people the tool is for. The task "
            "asks for it whatever the word is.",
            by_gains(told(lambda gains, word: 0 * gains.mean() if word == "undecided" else gains.mean())),
            by_gains(told(lambda gains, word: gains.sum())),
            by_gains(told(lambda gains, word: gains.mean() / standard_error(gains))),
            by_gains(told(lambda gains, word: standard_error(gains))),
            lambda p, v, shift: (by_gains(by_two_errors)(p, v, shift)[0], (p - v).mean()),
        ),
        Mistake(
            "relative differences",
            "You divide by an error, and get a share. The task asks how much lower the error is, in thousandths.",
            told_relative,
            relative_to_pixel,
        ),
    ),
)


# attribute/adjusted(z, has, other)


def draw_adjusted(rng):
    """Draw codes that depend on an attribute and on a number that is larger for people with the attribute."""
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
    """Fit z ≈ c + has v + other u by least squares, and return v."""
    columns = np.column_stack([np.ones(len(z)), has.numpy(), other.numpy()])
    return np.linalg.lstsq(columns, z.numpy(), rcond=None)[0][1]


def least_squares(z, *columns):
    """Fit z by a linear combination of these columns: (number of columns, d)."""
    return torch.linalg.lstsq(torch.stack(columns, dim=1), z).solution


def unknowns(z, has, other):
    """Fit c, v and u together."""
    return least_squares(z, torch.ones_like(other), has.to(z.dtype), other)


def corrected(slope):
    """Return an answer: the mean difference minus slope(z, has, other) times the groups' gap in `other`."""

    def answer(z, has, other):
        gap = other[has].mean() - other[~has].mean()
        return mean_difference(z, has) - slope(z, has, other) * gap

    return answer


def slope_for_each_group(z, has, other):
    own = has.to(z.dtype)
    return least_squares(z, torch.ones_like(other), own, other, own * other)[1]


def _standardized(correction, z, has, other):
    own = has.to(z.dtype)
    return unknowns(z, has, other)[1] * own.std(correction=correction)


def without_direction(direction):
    """Return an answer: the mean difference without its part along direction(z, has, other)."""

    def answer(z, has, other):
        along = torch.nn.functional.normalize(direction(z, has, other), dim=0)
        plain = mean_difference(z, has)
        return plain - (plain @ along) * along

    return answer


def ridge(weight, z, has, other):
    known = torch.stack([torch.ones_like(other), has.to(z.dtype), other], dim=1)
    return torch.linalg.solve(known.T @ known + weight * torch.eye(3, dtype=z.dtype), known.T @ z)[1]


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
            "smile as a yes or no",
            "You use only who smiles and who does not. Among the smiling, those with glasses still smile more, and you "
            "know how much each of them does.",
            lambda z, has, other: by_strata()(z, has, (other > 0).long()),
            lambda z, has, other: by_strata()(z, has, (other > other.mean()).long()),
            lambda z, has, other: by_strata()(z, has, (other > other.median()).long()),
            lambda z, has, other: by_strata(lambda has, inside: 1)(z, has, (other > 0).long()),
            lambda z, has, other: unknowns(z, has, (other > 0).to(z.dtype))[1],
            lambda z, has, other: unknowns(z, has, other.sign())[1],
        ),
        Mistake(
            "smile's slope from everybody, glasses ignored",
            "Your slope of the codes over the smile ignores who wears glasses. The smiling wear glasses more "
            "often, so that it holds a piece of the glasses, and you subtract too much. Both steps have to be "
            "found together.",
            corrected(lambda z, has, other: slope_over(other, z)),
            corrected(lambda z, has, other: least_squares(z, other)[0]),
            corrected(lambda z, has, other: mean_difference(z, other > 0)),
            corrected(lambda z, has, other: mean_difference(z, other > 0) / mean_difference(other, other > 0)),
        ),
        Mistake(
            "no constant",
            "Your model has no constant. Where are people without glasses and with smile 0? Not at the code zero: one "
            "more unknown is needed. To centre only some of `z`, `has` and `other` does not replace it.",
            lambda z, has, other: least_squares(z, has.to(z.dtype), other)[0],
            lambda z, has, other: least_squares(z, has.to(z.dtype) - has.to(z.dtype).mean(), other)[0],
            lambda z, has, other: least_squares(z, has.to(z.dtype), other - other.mean())[0],
            lambda z, has, other: least_squares(z - z.mean(0), has.to(z.dtype), other)[0],
            lambda z, has, other: least_squares(z - z.mean(0), has.to(z.dtype), other - other.mean())[0],
        ),
        Mistake(
            "another unknown returned",
            "Your fit has three unknowns, and you do not return v alone: u is what one unit of smile does, and c the "
            "code of someone without glasses and with smile 0. The task asks for v, what the glasses do.",
            lambda *inputs: unknowns(*inputs)[2],
            lambda *inputs: unknowns(*inputs)[0],
            lambda *inputs: unknowns(*inputs)[:2].sum(0),
            lambda *inputs: unknowns(*inputs)[1:].sum(0),
            lambda *inputs: unknowns(*inputs).sum(0),
        ),
        Mistake(
            "correction with the wrong sign",
            "You add the smile's part to the difference of means. It is in there already, and should go.",
            corrected(lambda *inputs: -unknowns(*inputs)[2]),
        ),
        Mistake(
            "a whole unit of smile subtracted",
            "You subtract a whole unit of smile. How much more do those with glasses smile on average?",
            lambda z, has, other: mean_difference(z, has) - unknowns(z, has, other)[2],
        ),
        Mistake(
            "direction reversed",
            "Added to a code, your vector takes the glasses off.",
            lambda *inputs: -unknowns(*inputs)[1],
        ),
        Mistake(
            "slope from one group",
            "You take the smile's slope from one of the groups only. The smile is assumed to move all codes alike: "
            "use everybody to find out how.",
            corrected(lambda z, has, other: slope_over(other[has], z[has])),
            corrected(lambda z, has, other: slope_over(other[~has], z[~has])),
        ),
        Mistake(
            "a slope for each group",
            "You give each group a slope of its own. The smile is assumed to move everybody's code by the same u, so "
            "that there is one slope for all.",
            slope_for_each_group,
            corrected(
                lambda z, has, other: (slope_over(other[has], z[has]) + slope_over(other[~has], z[~has])) / 2,
            ),
            lambda z, has, other: slope_for_each_group(z, has, other - other.mean()),
        ),
        Mistake(
            "other units for the glasses",
            "In your fit, the column of the glasses is not 0 and 1. By how much does that column change from a person "
            "without to one with?",
            lambda z, has, other: unknowns(z, has, other)[1] / 2,
            *(partial(_standardized, correction) for correction in (0, 1)),
        ),
        Mistake(
            "smile's direction taken out",
            "You take everything along the smile's direction out of the difference of means. The step of the glasses "
            "itself may have a part along it: how much of that part is due to the smile?",
            without_direction(lambda z, has, other: unknowns(z, has, other)[2]),
            without_direction(lambda z, has, other: slope_over(other, z)),
            without_direction(lambda z, has, other: mean_difference(z, other > 0)),
        ),
        Mistake(
            "penalty on the unknowns",
            "You add numbers to the diagonal of the normal equations, or another penalty: that draws the unknowns "
            "towards 0. The task asks for the least sum of squares, and for nothing else.",
            *(partial(ridge, weight) for weight in (1.0, 0.1, 0.01, 0.001)),
        ),
        Mistake(
            "glasses predicted from codes",
            "You fit the glasses by the codes. In the task's model, what stands left, and what right?",
            lambda z, has, other: least_squares(has.to(z.dtype), torch.ones_like(other), *z.T, other)[1:-1],
            lambda z, has, other: least_squares(has.to(z.dtype), torch.ones_like(other), *z.T)[1:],
        ),
        Mistake(
            "a term that the model does not have",
            "You fit the size or the square of the smile. In the task's model the code changes by the same step for "
            "each unit of smile.",
            lambda z, has, other: least_squares(z, torch.ones_like(other), has.to(z.dtype), other, other**2)[1],
            lambda z, has, other: unknowns(z, has, other**2)[1],
            lambda z, has, other: unknowns(z, has, other.abs())[1],
        ),
    ),
)

TASKS = (VECTOR, ENTANGLED, MATCHED, EFFECT, BETTER, ADJUSTED)
