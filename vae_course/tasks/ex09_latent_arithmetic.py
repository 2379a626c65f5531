"""The tasks of exercise 09, latent arithmetic."""

from functools import partial
from itertools import combinations

import numpy as np
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
    values = torch.tensor(np.round(rng.permutation(values), 2), dtype=torch.float32)
    return {"z": rounded_normal(rng, len(values), int(rng.integers(2, 4))), "values": values, "low": low, "high": high}


def vector(z, values, low, high):
    """Average the codes above high and those below low, and subtract."""
    z, values = z.numpy(), values.numpy()
    return np.average(z, axis=0, weights=values > high) - np.average(z, axis=0, weights=values < low)


def from_low_to_high(z, values, low, high):
    return z[values > high].mean(0) - z[values < low].mean(0)


def divided_by_everybody(z, values, low, high):
    signs = (values > high).to(z.dtype) - (values < low).to(z.dtype)
    return (signs[:, None] * z).mean(0)


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
            lambda z, values, low, high: z[values > high].sum(0) - z[values < low].sum(0),
        ),
        Mistake(
            "divided by everybody",
            "You divide both groups' sums by the number of all pictures. A mean is over the pictures that were summed.",
            divided_by_everybody,
        ),
        Mistake(
            "measured from the mean of all",
            "You subtract the mean of all codes, and those with the attribute are part of it. Such a vector "
            "is too short.",
            lambda z, values, low, high: z[values > high].mean(0) - z.mean(0),
        ),
        Mistake(
            "those in between counted",
            "Your groups hold people between `low` and `high`. They smile a little or frown a little: in which group "
            "do they belong?",
            lambda z, values, low, high: mean_difference(z, values > high),
            lambda z, values, low, high: mean_difference(z, values >= low),
            lambda z, values, low, high: mean_difference(z, values > (low + high) / 2),
            lambda z, values, low, high: mean_difference(z, values > 0),
            lambda z, values, low, high: mean_difference(z, values > values.mean()),
            lambda z, values, low, high: z[values > high].mean(0) - z[(values >= low) & (values <= high)].mean(0),
        ),
        Mistake(
            "only the mean of those with",
            "That is where those with the attribute lie. Add it to the code of one of them: what should have changed?",
            lambda z, values, low, high: z[values > high].mean(0),
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


def draw_entangled(rng):
    """Draw one attribute that is common in both groups, and one far more common in one, with clear margins."""
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
        if margins_are_clear(table, has):
            order = rng.permutation(size)
            labels = torch.tensor(table[rng.permutation(len(table))][:, order], dtype=torch.float32)
            return {"labels": labels, "names": names, "name": names[int(np.flatnonzero(order == 0)[0])]}


def margins_are_clear(table, has):
    """Whether column 2 clearly differs most between the groups, while column 1 is the most frequent."""
    change = np.abs(table[has == 1].mean(0) - table[has == 0].mean(0))[1:]
    shares = table.mean(0)
    return (
        change.argmax() == 1
        and np.sort(change)[-1] - np.sort(change)[-2] > 0.1
        and 0.1 < shares[1] < 1
        and shares.min() > 0
        and table[has == 1].sum(0)[1:].argmax() == 0
        and abs(shares[2] - shares[0]) > 0.05
    )


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


def with_largest(score, size=abs, number=float):
    """Return an answer that names the attribute with the largest score, except the vector's own.

    Args:
        score: computes one number for each attribute from has and labels.
        size: computes the size by which scores are compared.
        number: computes the second result from the score of the named attribute.
    """

    def answer(labels, names, name):
        column = names.index(name)
        scores = score(labels[:, column] > 0.5, labels).tolist()
        most = max((other for other in range(len(names)) if other != column), key=lambda other: size(scores[other]))
        return names[most], number(scores[most])

    return answer


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
    draw=draw_entangled,
    reference=entangled,
    cases=8,
    mistakes=(
        Mistake(
            "most frequent for most different",
            "You name what most people with the attribute have. If those without have it as often, does it show in the "
            "difference of two means?",
            with_largest(share_with),
            with_largest(lambda has, labels: labels[has].sum(0)),
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
        ),
        Mistake(
            "correlation for difference of shares",
            "A correlation is not a step. In the toy of section 8, where 4 of 5 smile among those with glasses "
            "and 1 of 5 among the others, how much of a smile does the vector hold?",
            with_largest(correlation),
        ),
        Mistake(
            "covariance for difference of shares",
            "That is a covariance. It goes to 0 if hardly anybody has the attribute. Does what the vector "
            "carries along go to 0, too?",
            with_largest(covariance),
        ),
        Mistake(
            "compared with everybody",
            "You compare those with the attribute with all people. Whom does the attribute vector compare them with?",
            with_largest(lambda has, labels: labels[has].mean(0) - labels.mean(0)),
        ),
    ),
)


# attribute/matched(z, has, match)


def draw_matched(rng):
    """Draw four strata of different sizes: one with only one kind; people with few attributes are mostly without."""
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


def with_times_without(has, inside):
    """Weight a stratum by n₁ n₀ / n, as a regression on the strata does."""
    return (has & inside).sum() * (~has & inside).sum() / inside.sum()


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
        ),
        Mistake(
            "wrong weights of the strata",
            "Within the strata you compare rightly, but the strata have the wrong weights. A stratum should count as "
            "often as there are pictures in it, of both kinds together.",
            by_strata(lambda has, inside: 1),
            by_strata(lambda has, inside: (has & inside).sum()),
            by_strata(lambda has, inside: (~has & inside).sum()),
            by_strata(with_times_without),
        ),
        Mistake(
            "a mean of nobody",
            "Some stratum holds only people with the attribute, or only people without, and you use the mean of the "
            "kind that is missing. The mean of nobody is nan, and not the code 0 either: what can such a stratum say "
            "about the difference?",
            by_strata(keep=any_kind),
            by_strata(keep=any_kind, compare=nobody_at_zero),
        ),
        Mistake(
            "strata left out still counted",
            "A stratum with only one kind counts in your weights as if it had shown no change. Your vector "
            "comes out too short; it should be an average over the strata that do compare.",
            by_strata(keep=any_kind, compare=zero_for_one_kind),
        ),
    ),
)


# attribute/effect(x, has, train, encode, decode, fit_probe)


def draw_effect(rng):
    """Draw different numbers of people in training and held out, with and without, so that each choice shows."""
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
        "Everything else is right. The people you judge also helped to make the vector, so that it knows them. Who may "
        "help to make it?",
    ),
    "judge_from": (
        (everybody, held_out),
        "judge fitted to the people it judges",
        "Everything else is right. Your judge was fitted to the very people it judges.",
    ),
    "judge_fitted_on": (
        (drawings,),
        "judge fitted on drawings",
        "Everything else is right. Your judge learned what glasses are from the VAE's drawings. If the VAE drew every "
        "pair of glasses as a hat, what would it say?",
    ),
    "judged": (
        (everybody, training),
        "training people judged",
        "Everything else is right. Among the people you judge are some of those that vector and judge were made from.",
    ),
    "wearing": (
        (everybody, with_glasses),
        "glasses put on people who wear some",
        "Everything else is right. You put glasses on people who wear some already, and they raise both of your "
        "numbers.",
    ),
    "before_read_from": (
        (originals,),
        "before read from the original",
        "Everything else is right. Your first reading is from the original, your second from a drawing: what the VAE "
        "changes merely by redrawing is counted as the vector's effect.",
    ),
}


def several_left():
    """Yield the evaluations with two or more of the printed faults, including the printed evaluation."""
    for count in range(2, len(FAULTS) + 1):
        for choices in combinations(FAULTS, count):
            yield effect_with(**{choice: FAULTS[choice][0][0] for choice in choices})


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
            "several things left",
            "More than one thing is still wrong. Ask of the vector, of the judge and of each reading: which people, "
            "and which pictures, does it come from?",
            *several_left(),
        ),
    ),
)


# attribute/better(error_pixel, error_vae, shift)

# the mean gain over its standard error; each wrong rule differs from the right rule in at least one kind
KINDS = {"strong": 15.0, "plain": 6.5, "clear": 2.6, "close": 1.7, "closer": 1.2, "noise": 0.45}


def draw_better(rng, kind, sign):
    """Draw errors of the same faces, some much harder than others. Faces in the middle give another verdict."""
    off, middle = (int(number) for number in rng.integers((16, 18), (22, 24)))
    spread = float(rng.uniform(0.3, 0.5))
    skewed = np.where(np.arange(off) < round(0.72 * off), 1.0, -2.6) + rng.uniform(-0.2, 0.2, size=off)
    # in "noise" most faces have one sign and the mean has the other
    rest = sign * skewed if kind == "noise" else rng.normal(size=off)
    rest = (rest - rest.mean()) / rest.std(ddof=1)
    by_spread = KINDS[kind] * rng.uniform(0.95, 1.05) / np.sqrt(off)
    gain = -sign * by_spread * spread + spread * rest  # pixel error minus VAE error, off the middle
    other = sign * rng.uniform(4.5, 5.0) * spread + spread * rng.normal(size=middle)
    gains = np.concatenate([gain, other])
    base = np.concatenate([difficulties(rng, off), difficulties(rng, middle)])
    shift = np.concatenate(
        [rng.uniform(0.4, 1.0, size=off) * np.resize([-1, 1], off), rng.uniform(-0.28, 0.28, size=middle)]
    )
    order = rng.permutation(off + middle)
    columns = (base, base - gains, shift)
    pixel, vae, shift = (torch.tensor(np.round(column[order], 2), dtype=torch.float32) for column in columns)
    return {"error_pixel": pixel, "error_vae": vae, "shift": shift}


def difficulties(rng, count):
    """Draw difficulties from 6 to 26 thousandths, evenly spaced, in random order."""
    return rng.permutation(np.linspace(6, 26, count)) + rng.uniform(-0.3, 0.3, size=count)


def better(error_pixel, error_vae, shift):
    """Compare the mean of the paired differences with two of its standard errors."""
    gain = (error_pixel - error_vae).numpy()[np.abs(shift.numpy()) > 1 / 3]
    z = gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))
    return ("VAE" if z > 2 else "pixel" if z < -2 else "undecided"), gain.mean()


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


def unpaired_by(who):
    """Return an answer that treats the errors of the selected people as two independent groups."""

    def answer(error_pixel, error_vae, shift):
        pixel, vae = error_pixel[who(shift)], error_vae[who(shift)]
        return verdict((pixel - vae).mean(), 2 * ((pixel.var() + vae.var()) / len(pixel)) ** 0.5)

    return answer


def everybody_under_the_root(error_pixel, error_vae, shift):
    gains = (error_pixel - error_vae)[off_middle(shift)]
    return verdict(gains.mean(), 2 * gains.std() / len(shift) ** 0.5)


def standard_error_of_everybody(error_pixel, error_vae, shift):
    gains = error_pixel - error_vae
    return verdict(gains[off_middle(shift)].mean(), 2 * standard_error(gains))


def words_exchanged(gains):
    word, number = by_two_errors(gains)
    return {"VAE": "pixel", "pixel": "VAE"}.get(word, word), number


def number_negated(gains):
    word, number = by_two_errors(gains)
    return word, -number


BETTER = Task(
    name="attribute/better",
    draw=tuple(partial(draw_better, kind=kind, sign=sign) for kind in KINDS for sign in (-1, 1)),
    reference=better,
    cases=24,
    mistakes=(
        Mistake(
            "wrong people counted",
            "Your verdict rests on other people than those the tool is for. Which heads are off the middle, and may "
            "any others count?",
            by_gains(by_two_errors, everybody),
            by_gains(by_two_errors, lambda shift: ~off_middle(shift)),
            by_gains(by_sign, everybody),
            unpaired_by(everybody),
        ),
        Mistake(
            "only one side counted",
            "You look at heads to one side only. A head to the left has a negative shift.",
            by_gains(by_two_errors, lambda shift: shift > 1 / 3),
        ),
        Mistake(
            "errors compared as if of different faces",
            "Your difference is right. Your standard error is that of two groups of different people, and "
            "some faces are much harder than others. Here both methods drew the same faces: of what should the "
            "spread be taken?",
            unpaired_by(off_middle),
        ),
        Mistake(
            "everybody in the standard error",
            "Your difference is right. In its standard error you use all faces, for the spread or for the number "
            "under the root. Over which faces does your mean run?",
            everybody_under_the_root,
            standard_error_of_everybody,
        ),
        Mistake(
            "no standard error",
            'You decide by the sign alone, and never say "undecided". Drawn anew, would the faces give the same sign '
            "again?",
            by_gains(by_sign),
        ),
        Mistake(
            "standard deviation for standard error",
            "You compare the mean with the spread of single faces. How far may the mean of n faces be off?",
            by_gains(lambda gains: verdict(gains.mean(), 2 * gains.std())),
        ),
        Mistake(
            "one standard error for two",
            "You decide at a difference of one standard error. The task asks for two.",
            by_gains(lambda gains: verdict(gains.mean(), standard_error(gains))),
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
            by_gains(number_negated),
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


def slope_over(values, z):
    """Compute the least-squares slope of the codes over these values alone, with a constant: (d,)."""
    centred = values - values.mean()
    return centred @ z / (centred**2).sum()


def corrected(slope):
    """Return an answer: the mean difference minus slope(z, has, other) times the groups' gap in `other`."""

    def answer(z, has, other):
        gap = other[has].mean() - other[~has].mean()
        return mean_difference(z, has) - slope(z, has, other) * gap

    return answer


def slope_for_each_group(z, has, other):
    own = has.to(z.dtype)
    return least_squares(z, torch.ones_like(other), own, other, own * other)[1]


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
            lambda z, has, other: by_strata()(z, has, (other > 0).long()),
        ),
        Mistake(
            "smile's slope from everybody, glasses ignored",
            "Your slope of the codes over the smile ignores who wears glasses. The smiling wear glasses more "
            "often, so that it holds a piece of the glasses, and you subtract too much. Both steps have to be "
            "found together.",
            corrected(lambda z, has, other: slope_over(other, z)),
            corrected(lambda z, has, other: least_squares(z, other)[0]),
        ),
        Mistake(
            "no constant",
            "Your model has no constant. Where are people without glasses and with smile 0? Not at the code zero: one "
            "more unknown is needed. To centre one of the columns, and not the codes, does not replace it.",
            lambda z, has, other: least_squares(z, has.to(z.dtype), other)[0],
            lambda z, has, other: least_squares(z, has.to(z.dtype) - has.to(z.dtype).mean(), other)[0],
        ),
        Mistake(
            "another unknown returned",
            "Your fit has three unknowns, and you return another one: u, what one unit of smile does, or c, the code "
            "of someone without glasses and with smile 0. The task asks for v, what the glasses do.",
            lambda *inputs: unknowns(*inputs)[2],
            lambda *inputs: unknowns(*inputs)[0],
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
        ),
    ),
)

TASKS = (VECTOR, ENTANGLED, MATCHED, EFFECT, BETTER, ADJUSTED)
