"""Right answers to exercise 09, written in other ways than the solution."""

import math
from collections import defaultdict

import numpy as np
import torch
from scipy import stats


def vector_loop(z, values, low, high):
    sums, counts = {1: 0, -1: 0}, {1: 0, -1: 0}
    for code, value in zip(z, values.tolist(), strict=True):
        side = (value > high) - (value < low)
        if side:
            sums[side] = sums[side] + code
            counts[side] += 1
    return sums[1] / counts[1] - sums[-1] / counts[-1]


def vector_weights(values, *, z, low, high):  # keywords in another order
    above, below = (values >= high).to(z.dtype), (values <= low).to(z.dtype)
    return torch.einsum("n,nd->d", above / above.sum() - below / below.sum(), z)


def entangled_plain(labels, names, name):
    rows = [dict(zip(names, row, strict=True)) for row in labels.tolist()]
    gaps = {}
    for other in names:
        if other != name:
            groups = [[row[other] for row in rows if row[name] == kind] for kind in (1.0, 0.0)]
            gaps[other] = sum(groups[0]) / len(groups[0]) - sum(groups[1]) / len(groups[1])
    other = sorted(gaps, key=lambda key: abs(gaps[key]))[-1]
    return other.upper(), gaps[other]  # words are compared ignoring case


def entangled_slope(labels, names, name):
    table = np.asarray(labels, dtype=np.float64)
    own = table[:, list(names).index(name)]
    slopes = np.array([stats.linregress(own, column).slope for column in table.T])  # the slope over 0 and 1
    order = np.argsort(-np.abs(slopes))
    best = next(number for number in order if names[number] != name)
    return names[best], slopes[best]


def matched_groups(z, has, match):
    groups = defaultdict(lambda: ([], []))
    for code, own, kind in zip(z.double().numpy(), has.tolist(), match.tolist(), strict=True):
        groups[tuple(kind)][own].append(code)
    used = [(no, yes) for no, yes in groups.values() if no and yes]
    sizes = [len(no) + len(yes) for no, yes in used]
    return np.average([np.mean(yes, 0) - np.mean(no, 0) for no, yes in used], axis=0, weights=sizes)


def matched_weights(z, has, match):
    same = (match[:, None] == match[None]).all(-1).to(z.dtype)  # (N, N), 1 within a stratum
    own = has.to(z.dtype)
    yes, no = same @ own, same @ (1 - own)
    both = (yes * no > 0).to(z.dtype)
    weights = both * (yes + no) * (own / yes.clamp_min(1) - (1 - own) / no.clamp_min(1))
    return weights @ z / both.sum()


def effect_loop(x, has, train, encode, decode, fit_probe):
    known = [number for number in range(len(x)) if train[number]]
    read = fit_probe(x[known], has[known])
    codes = encode(x)
    with_ = torch.stack([codes[number] for number in known if has[number]]).mean(0)
    without = torch.stack([codes[number] for number in known if not has[number]]).mean(0)
    readings = []
    for number in range(len(x)):
        if not train[number] and not has[number]:
            pair = torch.stack([codes[number], codes[number] + with_ - without])
            readings.append(read(decode(pair)).numpy())
    return tuple(np.mean(readings, axis=0))


def effect_weights(x, has, train, encode, decode, fit_probe):
    z, own = encode(x).double(), has.double()
    yes, no = own * train, (1 - own) * train
    step = (yes / yes.sum() - no / no.sum()) @ z
    probe = fit_probe(x[train].double(), own[train])
    new = torch.logical_not(train | has)
    return [probe(decode(each))[new].mean() for each in (z, z + step)]


def better_ttest(error_pixel, error_vae, shift):
    off = (shift < -1 / 3) | (shift > 1 / 3)
    test = stats.ttest_rel(error_pixel[off].double(), error_vae[off].double())
    gain = float(error_pixel[off].double().mean() - error_vae[off].double().mean())
    return ("undecided" if abs(test.statistic) < 2 else "pixel" if gain < 0 else "vae"), gain


def better_plain(error_pixel, error_vae, shift):
    gains = [
        p - v for p, v, s in zip(error_pixel.tolist(), error_vae.tolist(), shift.tolist(), strict=True) if 9 * s * s > 1
    ]
    mean = sum(gains) / len(gains)
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains))
    for word, far in (("VAE", mean), ("pixel", -mean)):
        if far >= 2 * error:
            return word, mean
    return "undecided", mean


def adjusted_residuals(z, has, other):
    own = has.to(z.dtype)
    known = torch.stack([torch.ones_like(other), other], dim=1)
    residual = own - known @ (torch.linalg.pinv(known) @ own)  # what `other` does not explain of `has`
    return residual @ z / (residual @ residual)


def adjusted_within(z, has, other):
    z, has, other = z.double().numpy(), has.numpy(), other.double().numpy()
    top, bottom = 0, 0
    for group in (has, ~has):
        away = other[group] - other[group].mean()
        top, bottom = top + away @ z[group], bottom + away @ away
    gap = other[has].mean() - other[~has].mean()
    return z[has].mean(0) - z[~has].mean(0) - gap * top / bottom


def adjusted_normal_equations(z, has, other):
    known = torch.stack([torch.ones_like(other), has.to(other.dtype), other], dim=1).double()
    return torch.linalg.solve(known.T @ known, known.T @ z.double())[1].tolist()


RIGHT = {
    "attribute/vector": (vector_loop, vector_weights),
    "attribute/entangled": (entangled_plain, entangled_slope),
    "attribute/matched": (matched_groups, matched_weights),
    "attribute/effect": (effect_loop, effect_weights),
    "attribute/better": (better_ttest, better_plain),
    "attribute/adjusted": (adjusted_residuals, adjusted_within, adjusted_normal_equations),
}
