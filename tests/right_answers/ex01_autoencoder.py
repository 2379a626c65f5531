"""Right answers to exercise 01, written in other ways than the solution."""

import math
import statistics

import numpy as np
import torch
from scipy import stats
from scipy.ndimage import median_filter
from torch import nn
from torch.distributions import Bernoulli, Independent


def bernoulli_distribution(logits, x):
    return -Independent(Bernoulli(logits=logits), 1).log_prob(x)


def bernoulli_library(logits, x):
    return nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)


def bernoulli_dot_product(x, *, logits):  # keywords in another order
    return np.logaddexp(0, logits.double().numpy()).sum(1) - np.einsum("bd,bd->b", x.double(), logits.double())


def bernoulli_logsigmoid(logits, x):
    return -(x * nn.functional.logsigmoid(logits) + (1 - x) * nn.functional.logsigmoid(-logits)).sum(-1)


def pca_eigenvectors(x, k):
    mean = x.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(x.T))
    u = vectors.flip(1)[:, :k]
    return mean + (x - mean) @ (u @ u.T)


def pca_truncated(x, k):
    x = x.numpy()
    u, s, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
    s[k:] = 0
    return u * s @ v + x.mean(0)


def pca_between_pictures(x, k):  # from the (N, N) matrix of inner products
    centred = x.double() - x.double().mean(0)
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    top = vectors[:, -k:]
    return top @ top.T @ centred + x.double().mean(0)


def nudge_loop(z, r, eps):
    spread = [np.std(column, ddof=1) for column in z.T.numpy()]
    rows = []
    for code, e in zip(z.tolist(), eps.tolist(), strict=True):
        length = math.hypot(*e)
        rows.append([value + r * s * part / length for value, s, part in zip(code, spread, e, strict=True)])
    return np.array(rows)


def nudge_in_units(z, r, eps):
    mean, std = z.mean(0), z.std(0)
    standard = (z - mean) / std + r * eps / torch.sqrt((eps * eps).sum(1))[:, None]
    return standard * std + mean


def rise_one_by_one(encode, decode, x, eps, r, batch_size):
    z = encode(x)
    before, after = (torch.stack([decode(code) for code in codes]) for codes in (z, z + r * z.std(0) * eps))
    loss = nn.BCEWithLogitsLoss(reduction="sum")
    return (loss(after, x) - loss(before, x)) / len(x)


def rise_by_running_sum(encode, decode, x, eps, r, batch_size):
    z = encode(x)
    unit, total = z.std(0), 0.0
    for n in range(0, len(x), batch_size):
        batch, codes, noise = x[n : n + batch_size], z[n : n + batch_size], eps[n : n + batch_size]
        p = Bernoulli(logits=decode(codes)), Bernoulli(logits=decode(codes + r * unit * noise))
        total += (p[0].log_prob(batch) - p[1].log_prob(batch)).sum().item()
    return total / len(x)


def advise_filter(train, held):
    train, held = (median_filter(cost.numpy(), size=(1, 9), mode="nearest") for cost in (train, held))
    words = np.where(held[:, -5] - train[:, -5] > 5, "more pictures", "larger model")
    words = np.where(held[:, -15] - held[:, -5] > 2, "train longer", words)
    return np.where(held[:, -5] - held[:, :-4].min(1) > 5, "Stop earlier", words)


def advise_slope(train, held):
    words = []
    for t, h in zip(train.tolist(), held.tolist(), strict=True):
        blocks = [sorted(h[i - 6 : i])[2] for i in range(len(h), 6, -6)][::-1]
        slope = stats.theilslopes(h[-15:])[0]
        if blocks[-1] > min(blocks) + 5:
            words.append("stop earlier")
        elif slope < -0.2:
            words.append("train longer")
        else:
            gap = np.median(h[-9:]) - np.median(t[-9:])
            words.append("more pictures" if gap > 5 else "larger model")
    return words


def advise_medians_of_three(train, held):
    def level(costs):
        return [statistics.median(costs[i : i + 3]) for i in range(len(costs) - 2)]

    words = []
    for t, h in zip(map(level, train.tolist()), map(level, held.tolist()), strict=True):
        rules = {
            "stop earlier": h[-1] - min(h) > 5,
            "train longer": h[-11] - h[-1] > 2,
            "more pictures": h[-1] - t[-1] > 5,
            "larger model": True,
        }
        words.append(next(word for word, fits in rules.items() if fits))
    return words


def compare_t_test(train_a, train_b, held_a, held_b):
    test = stats.ttest_rel(held_a.double().numpy(), held_b.double().numpy())
    difference = float((held_a.double() - held_b.double()).mean())
    winner = "cannot tell" if abs(test.statistic) < 5 else "ab"[int(test.statistic > 0)]
    return winner, difference, difference / test.statistic


def compare_covariance(train_a, train_b, held_a, held_b):
    c = np.cov(np.stack([held_a.numpy(), held_b.numpy()]).astype(float))
    error = math.sqrt((c[0, 0] + c[1, 1] - 2 * c[0, 1]) / len(held_a))
    a, b = held_a.mean().item(), held_b.mean().item()
    return "A" if b - a > 5 * error else "B" if a - b > 5 * error else "cannot tell", a - b, error


RIGHT = {
    "autoencoder/bernoulli_cost": (
        bernoulli_distribution,
        bernoulli_library,
        bernoulli_dot_product,
        bernoulli_logsigmoid,
    ),
    "autoencoder/pca": (pca_eigenvectors, pca_truncated, pca_between_pictures),
    "autoencoder/nudge": (nudge_loop, nudge_in_units),
    "autoencoder/rise": (rise_one_by_one, rise_by_running_sum),
    "autoencoder/advise": (advise_filter, advise_slope, advise_medians_of_three),
    "autoencoder/compare": (compare_t_test, compare_covariance),
}
