"""Right answers to exercise 11, written in other ways than the solution."""

import math

import numpy as np
import torch
from scipy import stats
from scipy.optimize import minimize_scalar
from torch import nn
from torch.distributions import Independent, Normal
from torch.nn import functional as F


def sides_by_layers(side, layers):
    x, found = torch.zeros(1, 1, side, side, device="meta"), []
    kinds = {"conv": nn.Conv2d, "transposed": nn.ConvTranspose2d}
    for kind, kernel, stride, padding in layers:
        x = kinds[kind](1, 1, kernel, stride, padding, device="meta")(x)
        found.append(x.shape[-1])
    return found


def sides_recursive(layers, *, side):  # keywords in another order
    if not layers:
        return []
    (kind, k, s, p), *rest = layers
    after = 1 + (side + 2 * p - k) // s if kind.startswith("c") else s * side - s + k - 2 * p
    return [after, *sides_recursive(rest, side=after)]


def sides_tuple_of_floats(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = np.floor((side + 2 * p - k + s) / s) if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(float(side))
    return tuple(found)


def sides_by_places(side, layers):
    found = []
    for kind, k, s, p in layers:
        if kind == "conv":
            side = len(range(-p, side + p - k + 1, s))
        else:
            side = len({n * s + i for n in range(side) for i in range(k)} | set(range(side * s - s + k))) - 2 * p
        found.append(side)
    return np.array(found)


def upsample_interpolate(x):
    return F.interpolate(x, scale_factor=2)


def upsample_expand(x):
    b, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(b, c, 2 * h, 2 * w)


def upsample_shuffle(x):
    return F.pixel_shuffle(x.repeat_interleave(4, dim=1), 2)


def upsample_matrices(x):
    rows, columns = (torch.eye(n, dtype=x.dtype).repeat_interleave(2, dim=0) for n in x.shape[2:])
    return torch.einsum("rh,bchw,sw->bcrs", rows, x, columns)


def upsample_slices(x):
    b, c, h, w = x.shape
    out = x.new_empty(b, c, 2 * h, 2 * w)
    for row in (0, 1):
        for column in (0, 1):
            out[:, :, row::2, column::2] = x
    return out


def nats_numpy(x, x_hat, sigma, rows, columns):
    error = (np.asarray(x, np.float64) - np.asarray(x_hat, np.float64)) / sigma
    side = math.isqrt(error.shape[1] // 3)
    squares = (error**2).reshape(-1, 3, side, side) / 2
    box = squares[:, :, np.arange(*rows)][..., np.arange(*columns)]
    return box.sum() / len(error), box.sum() / squares.sum()


def nats_by_index(columns, *, rows, sigma, x, x_hat):  # keywords in another order
    side = round((x.shape[1] / 3) ** 0.5)
    place = torch.arange(x.shape[1])
    row, column = place % side**2 // side, place % side
    inside = (row >= rows[0]) & (row < rows[1]) & (column >= columns[0]) & (column < columns[1])
    nats = -Normal(x_hat, sigma).log_prob(x) + Normal(0.0, sigma).log_prob(torch.zeros(()))
    pair = torch.stack([nats[:, inside].sum(1), nats.sum(1)], 1).mean(0)
    return [pair[0], pair[0] / pair[1]]


def nats_colours_last(x, x_hat, sigma, rows, columns):
    side = round((x.shape[1] / 3) ** 0.5)
    pictures, predictions = (t.unflatten(1, (3, side, side)).permute(0, 2, 3, 1) for t in (x, x_hat))
    cost = 0.5 * ((pictures - predictions) / sigma).square()
    box = cost[:, rows[0] : rows[1], columns[0] : columns[1], :].sum(dim=(1, 2, 3)).mean()
    return box, box / cost.sum(dim=(1, 2, 3)).mean()


def sigma_by_search(x, x_hat, x_held, x_hat_held, floor):
    errors, held = (x - x_hat).double().numpy(), (x_held - x_hat_held).double().numpy()

    def best(values, least):
        found = minimize_scalar(
            lambda s: -stats.norm.logpdf(values, 0, math.exp(s)).sum(),
            bounds=(math.log(least), 1),
            method="bounded",
            options={"xatol": 1e-11},
        )
        return math.exp(found.x)

    each, one = np.array([best(column, floor) for column in errors.T]), best(errors, 1e-3)
    return each, np.mean((stats.norm.logpdf(held, 0, each) - stats.norm.logpdf(held, 0, one)).sum(1))


def sigma_distributions(x, x_hat, x_held, x_hat_held, floor):
    def log_p(sigma):
        return Independent(Normal(x_hat_held, sigma.expand_as(x_held)), 1).log_prob(x_held)

    each = torch.linalg.vector_norm(x - x_hat, dim=0) / len(x) ** 0.5
    each[each < floor] = floor
    one = torch.linalg.vector_norm(x - x_hat) / x.numel() ** 0.5
    return each, log_p(each).mean() - log_p(one).mean()


def sigma_formula(x, x_hat, x_held, x_hat_held, floor):
    mse, held = ((x - x_hat) ** 2).mean(0), ((x_held - x_hat_held) ** 2).mean(0)
    variance, one = torch.clamp(mse, min=floor**2), mse.mean()
    costs = [held / (2 * v) + 0.5 * torch.log(2 * math.pi * v) for v in (one, variance)]
    return variance.sqrt(), sum(costs[0].tolist()) - sum(costs[1].tolist())


def bits_numpy(elbo, n_numbers, low, high):
    nats = -np.asarray(elbo, np.float64).mean(1) - n_numbers * np.log((high - low) / 256)
    bits = nats / np.log(2) / n_numbers
    return bits.mean(), stats.sem(bits)


def bits_from_the_unit_range(n_numbers, *, elbo, high, low):  # keywords in another order
    bits = 8 - elbo / n_numbers / math.log(2) - math.log2(high - low)
    by_picture = bits.mean(dim=1)
    return [by_picture.mean(), torch.sqrt(by_picture.var() / by_picture.numel())]


def bits_loop(elbo, n_numbers, low, high):
    values = []
    for row in elbo.tolist():
        mean = math.fsum(row) / len(row)
        values.append(-(mean / n_numbers + math.log(high - low) - math.log(256)) / math.log(2))
    centre = math.fsum(values) / len(values)
    squares = math.fsum((value - centre) ** 2 for value in values)
    return centre, math.sqrt(squares / (len(values) - 1) / len(values))


def fooled_confusion(judge, labels, k, versions, bar):
    rates = np.empty((len(versions), 2))
    truth = labels[:, k].numpy().astype(int)
    for number, pictures in enumerate(versions.values()):
        said = (judge(pictures)[:, k].numpy() > 0).astype(int)
        table = np.zeros((2, 2))
        np.add.at(table, (truth, said), 1)
        rates[number] = table[1, 1] / table[1].sum(), table[0, 0] / table[0].sum()
    return rates, np.any(rates < bar, axis=1)


def fooled_products(judge, labels, k, versions, bar):
    has = torch.stack([labels[:, k], 1 - labels[:, k]])  # (2, N)
    has = has / has.sum(1, keepdim=True)
    right = [1 - ((judge(p)[:, k] > 0).to(labels.dtype) - labels[:, k]).abs() for p in versions.values()]
    rates = torch.stack(right) @ has.T
    return [rates, (rates[:, 0] < bar).logical_or(rates[:, 1] < bar)]


def fooled_by_errors(judge, labels, k, versions, bar):
    groups = [torch.nonzero(labels[:, k] == kind).flatten() for kind in (1, 0)]
    rates, words = [], []
    for pictures in versions.values():
        log_odds = judge(pictures)[:, k]
        wrong = [(log_odds[groups[0]] <= 0).sum().item(), (log_odds[groups[1]] > 0).sum().item()]
        rates.append([1 - count / len(group) for count, group in zip(wrong, groups, strict=True)])
        words.append(int(min(rates[-1]) < bar))
    return rates, words


RIGHT = {
    "convolutions/output_size": (sides_by_layers, sides_recursive, sides_tuple_of_floats, sides_by_places),
    "convolutions/upsampling": (
        upsample_interpolate,
        upsample_expand,
        upsample_shuffle,
        upsample_matrices,
        upsample_slices,
    ),
    "convolutions/nats_by_region": (nats_numpy, nats_by_index, nats_colours_last),
    "convolutions/sigma_per_pixel": (sigma_by_search, sigma_distributions, sigma_formula),
    "convolutions/bits_per_dimension": (bits_numpy, bits_from_the_unit_range, bits_loop),
    "convolutions/fooled": (fooled_confusion, fooled_products, fooled_by_errors),
}
