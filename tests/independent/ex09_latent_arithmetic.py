import math

import numpy as np
import scipy.stats
import torch

from independent import right, wrong


# ---------------------------------------------------------------- attribute/vector
@right("attribute/vector", "boolean masks")
def attribute_vector(z, values, low, high):
    return z[values > high].mean(0) - z[values < low].mean(0)


@right("attribute/vector", "Python loop with running sums")
def attribute_vector(z, values, low, high):
    up, down = torch.zeros_like(z[0]), torch.zeros_like(z[0])
    n_up = n_down = 0
    for code, value in zip(z, values):
        if value.item() > high:
            up = up + code
            n_up += 1
        elif value.item() < low:
            down = down + code
            n_down += 1
    return up / n_up - down / n_down


@right("attribute/vector", "one signed weight for each person, then einsum")
def attribute_vector(z, values, low, high):
    up = (values > high).to(z.dtype)
    down = (values < low).to(z.dtype)
    weights = up / up.sum() - down / down.sum()
    return torch.einsum("n,nd->d", weights, z)


@wrong("attribute/vector", "from smiling to frowning: sign reversed")
def attribute_vector(z, values, low, high):
    return z[values < low].mean(0) - z[values > high].mean(0)


@wrong("attribute/vector", "everybody not above high counts as frowning")
def attribute_vector(z, values, low, high):
    return z[values > high].mean(0) - z[values <= high].mean(0)


@wrong("attribute/vector", "everybody not below low counts as smiling")
def attribute_vector(z, values, low, high):
    return z[values >= low].mean(0) - z[values < low].mean(0)


@wrong("attribute/vector", "splits at the midpoint between the marks")
def attribute_vector(z, values, low, high):
    middle = (low + high) / 2
    return z[values > middle].mean(0) - z[values < middle].mean(0)


@wrong("attribute/vector", "splits at 0, marks ignored")
def attribute_vector(z, values, low, high):
    return z[values > 0].mean(0) - z[values < 0].mean(0)


@wrong("attribute/vector", "sums instead of means")
def attribute_vector(z, values, low, high):
    return z[values > high].sum(0) - z[values < low].sum(0)


@wrong("attribute/vector", "both sums divided by all N people")
def attribute_vector(z, values, low, high):
    return (z[values > high].sum(0) - z[values < low].sum(0)) / len(z)


@wrong("attribute/vector", "mean over latents too: one number")
def attribute_vector(z, values, low, high):
    return z[values > high].mean() - z[values < low].mean()


@wrong("attribute/vector", "mean smile code only, nothing subtracted")
def attribute_vector(z, values, low, high):
    return z[values > high].mean(0)


@wrong("attribute/vector", "smiling minus the mean of all people")
def attribute_vector(z, values, low, high):
    return z[values > high].mean(0) - z.mean(0)


@wrong("attribute/vector", "smiling minus those between the marks")
def attribute_vector(z, values, low, high):
    middle = (values > low) & (values < high)
    return z[values > high].mean(0) - z[middle].mean(0)


@wrong("attribute/vector", "weighted by how much each person smiles")
def attribute_vector(z, values, low, high):
    up, down = values > high, values < low
    a = (z[up] * values[up, None]).mean(0)
    b = (z[down] * values[down, None]).mean(0)
    return a - b


@wrong("attribute/vector", "divided by its length")
def attribute_vector(z, values, low, high):
    vector = z[values > high].mean(0) - z[values < low].mean(0)
    return vector / vector.norm()


@wrong("attribute/vector", "divided by the difference of marks: step for each unit of smile")
def attribute_vector(z, values, low, high):
    return (z[values > high].mean(0) - z[values < low].mean(0)) / (high - low)


# ---------------------------------------------------------------- attribute/entangled
@right("attribute/entangled", "difference of shares, argmax of the absolute value with own column zeroed")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.double()
    has = labels[:, i] > 0.5
    difference = labels[has].mean(0) - labels[~has].mean(0)
    size = difference.abs()
    size[i] = -1
    j = int(size.argmax())
    return names[j], difference[j].item()


@right("attribute/entangled", "pure Python counts in a loop")
def carried_along(labels, names, name):
    rows = labels.tolist()
    i = list(names).index(name)
    best, best_steps = None, 0.0
    for j, other in enumerate(names):
        if j == i:
            continue
        with_ = [row[j] for row in rows if row[i] == 1]
        without = [row[j] for row in rows if row[i] == 0]
        steps = sum(with_) / len(with_) - sum(without) / len(without)
        if best is None or abs(steps) > abs(best_steps):
            best, best_steps = other, steps
    return best, best_steps


@right("attribute/entangled", "numpy: slope of each column on the attribute, cov / var")
def carried_along(labels, names, name):
    table = np.asarray(labels.detach().cpu(), dtype=np.float64)
    i = list(names).index(name)
    centred = table - table.mean(axis=0)
    slopes = centred.T @ centred[:, i] / (centred[:, i] ** 2).sum()
    others = [j for j in range(len(names)) if j != i]
    j = max(others, key=lambda m: abs(slopes[m]))
    return names[j], float(slopes[j])


@wrong("attribute/entangled", "largest signed difference: attributes taken away don't count")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    difference = labels[has].mean(0) - labels[~has].mean(0)
    difference[i] = -float("inf")
    j = int(difference.argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "returns the absolute value")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    difference = (labels[has].mean(0) - labels[~has].mean(0)).abs()
    difference[i] = 0
    j = int(difference.argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "own column not left out: answers with the attribute itself")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    difference = labels[has].mean(0) - labels[~has].mean(0)
    j = int(difference.abs().argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "correlation coefficient")
def carried_along(labels, names, name):
    i = list(names).index(name)
    r = torch.corrcoef(labels.float().T)[i].nan_to_num(0)
    r[i] = 0
    j = int(r.abs().argmax())
    return names[j], r[j].item()


@wrong("attribute/entangled", "share among those with the attribute, nothing subtracted")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    share = labels[labels[:, i] == 1].mean(0)
    share[i] = -1
    j = int(share.argmax())
    return names[j], share[j].item()


@wrong("attribute/entangled", "share among those with it minus the share among all")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    difference = labels[labels[:, i] == 1].mean(0) - labels.mean(0)
    difference[i] = 0
    j = int(difference.abs().argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "without minus with: sign reversed")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    difference = labels[~has].mean(0) - labels[has].mean(0)
    difference[i] = 0
    j = int(difference.abs().argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "conditions the wrong way round: how the other's vector carries this one")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    best = None
    for j in range(len(names)):
        if j == i:
            continue
        has = labels[:, j] == 1
        steps = (labels[has, i].mean() - labels[~has, i].mean()).item()
        if best is None or abs(steps) > abs(best[1]):
            best = (names[j], steps)
    return best


@wrong("attribute/entangled", "share of people in whom both labels agree")
def carried_along(labels, names, name):
    i = list(names).index(name)
    agree = (labels == labels[:, i : i + 1]).float().mean(0)
    agree[i] = -1
    j = int(agree.argmax())
    return names[j], agree[j].item()


@wrong("attribute/entangled", "covariance instead of difference of means")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    centred = labels - labels.mean(0)
    covariance = (centred * centred[:, i : i + 1]).mean(0)
    covariance[i] = 0
    j = int(covariance.abs().argmax())
    return names[j], covariance[j].item()


@wrong("attribute/entangled", "number before name")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    difference = labels[has].mean(0) - labels[~has].mean(0)
    difference[i] = 0
    j = int(difference.abs().argmax())
    return difference[j].item(), names[j]


@wrong("attribute/entangled", "own column deleted, then the index is looked up in the full list of names")
def carried_along(labels, names, name):
    i = list(names).index(name)
    labels = labels.float()
    has = labels[:, i] == 1
    others = torch.cat([labels[:, :i], labels[:, i + 1 :]], dim=1)
    difference = others[has].mean(0) - others[~has].mean(0)
    j = int(difference.abs().argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "zeroes the own column in the input itself")
def carried_along(labels, names, name):
    i = list(names).index(name)
    has = labels[:, i] == 1
    labels[:, i] = 0
    difference = labels[has].float().mean(0) - labels[~has].float().mean(0)
    j = int(difference.abs().argmax())
    return names[j], difference[j].item()


@wrong("attribute/entangled", "multiple regression on all other attributes: partial slopes")
def carried_along(labels, names, name):
    i = list(names).index(name)
    table = labels.double()
    others = [j for j in range(len(names)) if j != i]
    design = torch.cat([torch.ones(len(table), 1, dtype=torch.float64), table[:, others]], dim=1)
    slopes = (torch.linalg.pinv(design) @ table[:, i])[1:]
    j = int(slopes.abs().argmax())
    return names[others[j]], slopes[j].item()


# ---------------------------------------------------------------- attribute/matched
@right("attribute/matched", "two nested loops over the strata")
def matched_vector(z, has, match):
    has = has.bool()
    total, people = torch.zeros_like(z[0]), 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            with_, without = here & has, here & ~has
            if with_.any() and without.any():
                n = int(here.sum())
                total = total + n * (z[with_].mean(0) - z[without].mean(0))
                people += n
    return total / people


@right("attribute/matched", "numpy: dictionary of groups")
def matched_vector(z, has, match):
    groups = {}
    codes = z.detach().cpu().double().numpy()
    for code, h, key in zip(codes, has.tolist(), match.tolist()):
        groups.setdefault(tuple(int(k) for k in key), {True: [], False: []})[bool(h)].append(code)
    usable = [g for g in groups.values() if g[True] and g[False]]
    differences = [np.mean(g[True], axis=0) - np.mean(g[False], axis=0) for g in usable]
    weights = [len(g[True]) + len(g[False]) for g in usable]
    return torch.as_tensor(np.average(differences, axis=0, weights=weights)).to(z.dtype)


@right("attribute/matched", "one-hot strata and einsum, no loop")
def matched_vector(z, has, match):
    codes = z.double()
    stratum = 2 * match[:, 0].long() + match[:, 1].long()
    member = torch.nn.functional.one_hot(stratum, 4).double()
    h = has.double()
    n1 = torch.einsum("ns,n->s", member, h)
    n0 = torch.einsum("ns,n->s", member, 1 - h)
    m1 = torch.einsum("ns,n,nd->sd", member, h, codes) / n1.clamp(min=1)[:, None]
    m0 = torch.einsum("ns,n,nd->sd", member, 1 - h, codes) / n0.clamp(min=1)[:, None]
    weight = (n1 + n0) * ((n1 > 0) & (n0 > 0))
    return ((weight / weight.sum()) @ (m1 - m0)).to(z.dtype)


@wrong("attribute/matched", "plain difference of means, match ignored")
def matched_vector(z, has, match):
    return z[has].mean(0) - z[~has].mean(0)


@wrong("attribute/matched", "matches by the first column only")
def matched_vector(z, has, match):
    total, people = 0, 0
    for a in (0, 1):
        here = match[:, 0] == a
        if (here & has).any() and (here & ~has).any():
            total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
            people = people + here.sum()
    return total / people


@wrong("attribute/matched", "all strata weigh the same")
def matched_vector(z, has, match):
    differences = []
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).any() and (here & ~has).any():
                differences.append(z[here & has].mean(0) - z[here & ~has].mean(0))
    return torch.stack(differences).mean(0)


@wrong("attribute/matched", "weights are the numbers with the attribute only")
def matched_vector(z, has, match):
    total, people = 0, 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).any() and (here & ~has).any():
                n = (here & has).sum()
                total = total + n * (z[here & has].mean(0) - z[here & ~has].mean(0))
                people = people + n
    return total / people


@wrong("attribute/matched", "divides by all N people, those of left-out strata included")
def matched_vector(z, has, match):
    total = torch.zeros_like(z[0])
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).any() and (here & ~has).any():
                total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
    return total / len(z)


@wrong("attribute/matched", "strata that lack one side are not left out: nan")
def matched_vector(z, has, match):
    total = 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            total = total + here.float().mean() * (z[here & has].mean(0) - z[here & ~has].mean(0))
    return total


@wrong("attribute/matched", "strata by the sum of the columns: (1, 0) and (0, 1) are merged")
def matched_vector(z, has, match):
    key = match.sum(1)
    total, people = 0, 0
    for s in (0, 1, 2):
        here = key == s
        if (here & has).any() and (here & ~has).any():
            total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
            people = people + here.sum()
    return total / people


@wrong("attribute/matched", "matches by each column alone and averages both vectors")
def matched_vector(z, has, match):
    vectors = []
    for column in (0, 1):
        total, people = 0, 0
        for a in (0, 1):
            here = match[:, column] == a
            if (here & has).any() and (here & ~has).any():
                total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
                people = people + here.sum()
        vectors.append(total / people)
    return (vectors[0] + vectors[1]) / 2


@wrong("attribute/matched", "without minus with: sign reversed")
def matched_vector(z, has, match):
    total, people = 0, 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).any() and (here & ~has).any():
                total = total + here.sum() * (z[here & ~has].mean(0) - z[here & has].mean(0))
                people = people + here.sum()
    return total / people


@wrong("attribute/matched", "weights n1 n0 / n, as regression on the strata has them")
def matched_vector(z, has, match):
    total, weights = 0, 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            n1, n0 = (here & has).sum(), (here & ~has).sum()
            if n1 > 0 and n0 > 0:
                w = n1 * n0 / (n1 + n0)
                total = total + w * (z[here & has].mean(0) - z[here & ~has].mean(0))
                weights = weights + w
    return total / weights


@wrong("attribute/matched", "an empty side is filled with the mean of all people of that side")
def matched_vector(z, has, match):
    total, people = 0, 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if not here.any():
                continue
            one = z[here & has].mean(0) if (here & has).any() else z[has].mean(0)
            zero = z[here & ~has].mean(0) if (here & ~has).any() else z[~has].mean(0)
            total = total + here.sum() * (one - zero)
            people = people + here.sum()
    return total / people


@wrong("attribute/matched", "drops the strata that can't be compared, then takes the plain difference")
def matched_vector(z, has, match):
    keep = torch.zeros_like(has)
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).any() and (here & ~has).any():
                keep = keep | here
    return z[keep & has].mean(0) - z[keep & ~has].mean(0)


@wrong("attribute/matched", "'agree in both columns' read as column 0 equals column 1: two strata only")
def matched_vector(z, has, match):
    total, people = 0, 0
    for a in (0, 1):
        here = (match[:, 0] == a) & (match[:, 1] == a)
        if (here & has).any() and (here & ~has).any():
            total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
            people = people + here.sum()
    return total / people.clamp(min=1) if people != 0 else torch.zeros_like(z[0])


@wrong("attribute/matched", "a side with a single picture also counts as not comparable")
def matched_vector(z, has, match):
    total, people = torch.zeros_like(z[0]), 0
    for a in (0, 1):
        for b in (0, 1):
            here = (match[:, 0] == a) & (match[:, 1] == b)
            if (here & has).sum() > 1 and (here & ~has).sum() > 1:
                total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
                people = people + here.sum()
    return total / people


# ---------------------------------------------------------------- attribute/effect
@right("attribute/effect", "masks, everything learned on the training faces")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@right("attribute/effect", "splits first, encodes each part by itself, floats out")
def vector_effect(x, has, train, encode, decode, fit_probe):
    x_train, has_train = x[train], has[train]
    x_new, has_new = x[~train], has[~train]
    judge = fit_probe(x_train, has_train.to(x.dtype))
    vector = encode(x_train[has_train]).mean(dim=0) - encode(x_train[~has_train]).mean(dim=0)
    z = encode(x_new[~has_new])
    before = float(judge(decode(z)).mean())
    after = float(judge(decode(z + vector[None, :])).mean())
    return before, after


@right("attribute/effect", "indices and a loop over people, one picture at a time")
def vector_effect(x, has, train, encode, decode, fit_probe):
    index = [i for i in range(len(x)) if not train[i] and not has[i]]
    ones = [i for i in range(len(x)) if train[i] and has[i]]
    zeros = [i for i in range(len(x)) if train[i] and not has[i]]
    probe = fit_probe(x[ones + zeros], torch.cat([torch.ones(len(ones)), torch.zeros(len(zeros))]).to(x.dtype))
    vector = sum(encode(x[i : i + 1])[0] for i in ones) / len(ones)
    vector = vector - sum(encode(x[i : i + 1])[0] for i in zeros) / len(zeros)
    before, after = [], []
    for i in index:
        code = encode(x[i : i + 1])
        before.append(probe(decode(code)).reshape(-1)[0])
        after.append(probe(decode(code + vector)).reshape(-1)[0])
    return torch.stack(before).mean(), torch.stack(after).mean()


@wrong("attribute/effect", "judge still fitted to the VAE's own drawings")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(decode(codes[train]), has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "before read on the true pictures: the decoder's change counts as the vector's")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    new = ~train & ~has
    return probe(x[new]).mean(), probe(decode(codes[new] + glasses)).mean()


@wrong("attribute/effect", "judge fitted to all people, new ones included")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x, has.float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "vector made from all people, new ones included")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[has].mean(0) - codes[~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "new people with glasses are averaged in")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "measured on training people")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "all without glasses, training people included")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "vector made from the held-out people it is tried on")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[~train & has].mean(0) - codes[~train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "judge fitted to the held-out people it then judges")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[~train], has[~train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).mean(), probe(decode(start + glasses)).mean()


@wrong("attribute/effect", "after before before")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start + glasses)).mean(), probe(decode(start)).mean()


@wrong("attribute/effect", "before over all new people, after only over those without glasses")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    return probe(decode(codes[~train])).mean(), probe(decode(codes[~train & ~has] + glasses)).mean()


@wrong("attribute/effect", "pixel vector added to the drawing instead of the latent vector")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    pixels = x[train & has].mean(0) - x[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    drawn = decode(codes[~train & ~has])
    return probe(drawn).mean(), probe(drawn + pixels).mean()


@wrong("attribute/effect", "returns the difference in place of the reading after")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    before = probe(decode(start)).mean()
    return before, probe(decode(start + glasses)).mean() - before


@wrong("attribute/effect", "readings cut to 0..1 before averaging")
def vector_effect(x, has, train, encode, decode, fit_probe):
    codes = encode(x)
    glasses = codes[train & has].mean(0) - codes[train & ~has].mean(0)
    probe = fit_probe(x[train], has[train].float())
    start = codes[~train & ~has]
    return probe(decode(start)).clamp(0, 1).mean(), probe(decode(start + glasses)).clamp(0, 1).mean()


# ---------------------------------------------------------------- attribute/better
@right("attribute/better", "paired differences in torch")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off].double()
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error or mean == 0:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@right("attribute/better", "scipy's paired t statistic")
def better_way(error_pixel, error_vae, shift):
    keep = ((shift < -1 / 3) | (shift > 1 / 3)).numpy()
    pixel = error_pixel.double().numpy()[keep]
    vae = error_vae.double().numpy()[keep]
    t = scipy.stats.ttest_rel(pixel, vae).statistic
    better = "VAE" if t >= 2 else "pixel" if t <= -2 else "undecided"
    return better, float(pixel.mean() - vae.mean())


@right("attribute/better", "plain Python sums")
def better_way(error_pixel, error_vae, shift):
    d = [p - v for p, v, s in zip(error_pixel.tolist(), error_vae.tolist(), shift.tolist()) if s > 1 / 3 or s < -1 / 3]
    n = len(d)
    mean = sum(d) / n
    variance = sum((value - mean) ** 2 for value in d) / (n - 1)
    limit = 2 * (variance / n) ** 0.5
    if mean > 0 and mean >= limit:
        return "VAE", mean
    if mean < 0 and -mean >= limit:
        return "pixel", mean
    return "undecided", mean


@wrong("attribute/better", "standard error of two independent samples: the spread of the faces")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    p, v = error_pixel[off], error_vae[off]
    mean = (p.mean() - v.mean()).item()
    error = (p.var() / len(p) + v.var() / len(v)).sqrt().item()
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "all people, shift ignored")
def better_way(error_pixel, error_vae, shift):
    gain = error_pixel - error_vae
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "only heads to one side: shift > 1/3")
def better_way(error_pixel, error_vae, shift):
    gain = (error_pixel - error_vae)[shift > 1 / 3]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "heads in the middle kept instead")
def better_way(error_pixel, error_vae, shift):
    gain = (error_pixel - error_vae)[shift.abs() < 1 / 3]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "number has the wrong sign: VAE minus pixel")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    difference = (error_vae - error_pixel)[off]
    mean = difference.mean().item()
    error = difference.std().item() / math.sqrt(len(difference))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean < 0 else "pixel"), mean


@wrong("attribute/better", "higher error wins: names exchanged")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("pixel" if mean > 0 else "VAE"), mean


@wrong("attribute/better", "standard deviation instead of standard error")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    if abs(mean) < 2 * gain.std().item():
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "divides by the root of all N, not of the people kept")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(shift))
    if abs(mean) < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "one standard error suffices")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "never undecided: lower mean wins")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    mean = (error_pixel - error_vae)[off].mean().item()
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "pixel wins whenever the VAE isn't significantly better")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if mean >= 2 * error:
        return "VAE", mean
    return "pixel", mean


@wrong("attribute/better", "abs forgotten: a significantly better pixel vector is called undecided")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if mean < 2 * error:
        return "undecided", mean
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "returns 0 when undecided")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", 0.0
    return ("VAE" if mean > 0 else "pixel"), mean


@wrong("attribute/better", "number without its sign")
def better_way(error_pixel, error_vae, shift):
    off = shift.abs() > 1 / 3
    gain = (error_pixel - error_vae)[off]
    mean = gain.mean().item()
    error = gain.std().item() / math.sqrt(len(gain))
    if abs(mean) < 2 * error:
        return "undecided", abs(mean)
    return ("VAE" if mean > 0 else "pixel"), abs(mean)


# ---------------------------------------------------------------- attribute/adjusted
@right("attribute/adjusted", "torch.linalg.lstsq with a column of ones")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z)).double(), has.double(), other.double()], dim=1)
    return torch.linalg.lstsq(design, z.double()).solution[1].to(z.dtype)


@right("attribute/adjusted", "Frisch-Waugh: residual of has on other, einsum")
def adjusted_vector(z, has, other):
    h, o, codes = has.double(), other.double(), z.double()
    h, o = h - h.mean(), o - o.mean()
    residual = h - (h @ o) / (o @ o) * o
    return (torch.einsum("n,nd->d", residual, codes) / (residual @ residual)).to(z.dtype)


@right("attribute/adjusted", "pooled within-group slope, then difference of adjusted means, numpy loop over latents")
def adjusted_vector(z, has, other):
    codes, o, h = z.double().numpy(), other.double().numpy(), has.bool().numpy()
    result = []
    for latent in range(codes.shape[1]):
        c = codes[:, latent]
        above = below = 0.0
        for group in (h, ~h):
            deviation = o[group] - o[group].mean()
            above += (deviation * c[group]).sum()
            below += (deviation**2).sum()
        slope = above / below
        result.append(c[h].mean() - c[~h].mean() - slope * (o[h].mean() - o[~h].mean()))
    return torch.tensor(np.array(result)).to(z.dtype)


@wrong("attribute/adjusted", "no constant c in the fit")
def adjusted_vector(z, has, other):
    design = torch.stack([has.to(z.dtype), other.to(z.dtype)], dim=1)
    return torch.linalg.lstsq(design, z).solution[0]


@wrong("attribute/adjusted", "plain difference of means")
def adjusted_vector(z, has, other):
    return z[has].mean(0) - z[~has].mean(0)


@wrong("attribute/adjusted", "returns u, the step of the smile")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), has.to(z.dtype), other.to(z.dtype)], dim=1)
    return torch.linalg.lstsq(design, z).solution[2]


@wrong("attribute/adjusted", "smile regressed out of z alone first, then difference of the residuals")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), other.to(z.dtype)], dim=1)
    residual = z - design @ torch.linalg.lstsq(design, z).solution
    return residual[has].mean(0) - residual[~has].mean(0)


@wrong("attribute/adjusted", "a line for each group with its own slope, difference of the constants")
def adjusted_vector(z, has, other):
    constants = []
    for group in (has, ~has):
        design = torch.stack([torch.ones(int(group.sum()), dtype=z.dtype), other[group].to(z.dtype)], dim=1)
        constants.append(torch.linalg.lstsq(design, z[group]).solution[0])
    return constants[0] - constants[1]


@wrong("attribute/adjusted", "matched in two strata, smile above or below 0")
def adjusted_vector(z, has, other):
    total, people = torch.zeros_like(z[0]), 0
    for here in (other > 0, other <= 0):
        if (here & has).any() and (here & ~has).any():
            total = total + here.sum() * (z[here & has].mean(0) - z[here & ~has].mean(0))
            people += int(here.sum())
    return total / max(people, 1)


@wrong("attribute/adjusted", "returns c + v")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), has.to(z.dtype), other.to(z.dtype)], dim=1)
    solution = torch.linalg.lstsq(design, z).solution
    return solution[0] + solution[1]


@wrong("attribute/adjusted", "sign reversed: has coded as 0 with glasses, 1 without")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), (~has).to(z.dtype), other.to(z.dtype)], dim=1)
    return torch.linalg.lstsq(design, z).solution[1]


@wrong("attribute/adjusted", "has coded as -1 and 1: half the step")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), 2 * has.to(z.dtype) - 1, other.to(z.dtype)], dim=1)
    return torch.linalg.lstsq(design, z).solution[1]


@wrong("attribute/adjusted", "z centred instead of a constant, the two factors not centred")
def adjusted_vector(z, has, other):
    design = torch.stack([has.to(z.dtype), other.to(z.dtype)], dim=1)
    return torch.linalg.lstsq(design, z - z.mean(0)).solution[0]


@wrong("attribute/adjusted", "ridge: identity added to the normal equations")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), has.to(z.dtype), other.to(z.dtype)], dim=1)
    return torch.linalg.solve(design.T @ design + torch.eye(3, dtype=z.dtype), design.T @ z)[1]


@wrong("attribute/adjusted", "slope of the smile taken from people without glasses only")
def adjusted_vector(z, has, other):
    o, c = other[~has].to(z.dtype), z[~has]
    deviation = o - o.mean()
    slope = deviation @ c / (deviation @ deviation)
    gap = other[has].mean() - other[~has].mean()
    return z[has].mean(0) - z[~has].mean(0) - gap * slope


@wrong("attribute/adjusted", "smile turned into a yes or no before the fit")
def adjusted_vector(z, has, other):
    design = torch.stack([torch.ones(len(z), dtype=z.dtype), has.to(z.dtype), (other > 0).to(z.dtype)], dim=1)
    return (torch.linalg.pinv(design) @ z)[1]


@wrong("attribute/adjusted", "right vector, but centres z and other in place")
def adjusted_vector(z, has, other):
    z -= z.mean(0)
    other -= other.mean()
    h = has.to(z.dtype) - has.to(z.dtype).mean()
    return torch.linalg.lstsq(torch.stack([h, other], dim=1), z).solution[0]
