import math

import numpy as np
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch import nn

from independent import right, wrong


# ---------------------------------------------------------------- convolutions/output_size
@right("convolutions/output_size", "torch.nn layers on zeros")
def sides(side, layers):
    maps, found = torch.zeros(1, 1, side, side), []
    for kind, k, s, p in layers:
        layer = nn.Conv2d if kind == "conv" else nn.ConvTranspose2d
        maps = layer(1, 1, k, stride=s, padding=p)(maps)
        found.append(maps.shape[-1])
    return found


@right("convolutions/output_size", "counts places one by one")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        if kind == "conv":
            places, at = 0, 0
            while at + k <= side + 2 * p:
                places, at = places + 1, at + s
            side = places
        else:
            touched = set()
            for n in range(side):
                touched |= set(range(n * s, n * s + k))
            side = max(touched) + 1 - 2 * p
        found.append(side)
    return found


@right("convolutions/output_size", "math.floor, tensor of sides")
def sides(side, layers):
    found = [side]
    for kind, k, s, p in layers:
        n = found[-1]
        found.append(math.floor((n + 2 * p - k) / s + 1) if kind == "conv" else s * (n - 1) + k - 2 * p)
    return torch.tensor(found[1:])


@wrong("convolutions/output_size", "+ 1 forgotten")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "padding on one side only")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + p - k) // s + 1 if kind == "conv" else (side - 1) * s - p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "transposed layer adds its padding")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s + 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "transposed layers multiply the side by the stride")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else side * s
        found.append(side)
    return found


@wrong("convolutions/output_size", "halves and doubles: side // s and side * s")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = side // s if kind == "conv" else side * s
        found.append(side)
    return found


@wrong("convolutions/output_size", "rounded up")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = math.ceil((side + 2 * p - k) / s) + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "no rounding")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) / s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "rounded only when it is stored, not for the next layer")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) / s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(math.floor(side))
    return found


@wrong("convolutions/output_size", "every layer starts from the first side")
def sides(side, layers):
    return [(side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k for kind, k, s, p in layers]


@wrong("convolutions/output_size", "both kinds counted as convolutions")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1
        found.append(side)
    return found


@wrong("convolutions/output_size", "kernel and stride exchanged")
def sides(side, layers):
    found = []
    for kind, s, k, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "transposed: n s - 2 p + k")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else side * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "only the last side")
def sides(side, layers):
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
    return side


@wrong("convolutions/output_size", "the side that enters is listed as well")
def sides(side, layers):
    found = [side]
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k
        found.append(side)
    return found


@wrong("convolutions/output_size", "transposed with an output padding of s - 1")
def sides(side, layers):
    found = []
    for kind, k, s, p in layers:
        side = (side + 2 * p - k) // s + 1 if kind == "conv" else (side - 1) * s - 2 * p + k + s - 1
        found.append(side)
    return found


# ---------------------------------------------------------------- convolutions/upsampling
@right("convolutions/upsampling", "nn.Upsample")
def upsample(x):
    return nn.Upsample(scale_factor=2, mode="nearest")(x)


@right("convolutions/upsampling", "indices")
def upsample(x):
    rows, columns = (torch.arange(2 * n) // 2 for n in x.shape[2:])
    return x[:, :, rows][..., columns]


@right("convolutions/upsampling", "transposed convolution with a kernel of ones, channel by channel")
def upsample(x):
    c = x.shape[1]
    return F.conv_transpose2d(x, torch.ones(c, 1, 2, 2, dtype=x.dtype), stride=2, groups=c)


@right("convolutions/upsampling", "np.kron in spirit: torch.kron with ones")
def upsample(x):
    return torch.kron(x, torch.ones(1, 1, 2, 2, dtype=x.dtype))


@wrong("convolutions/upsampling", "the colleague's function as it is")
def upsample(x):
    b, c, side, _ = x.shape
    wide = x.reshape(b, c, side * side, 1).repeat(1, 1, 2, 2)
    return wide.reshape(b, c, 2 * side, 2 * side)


@wrong("convolutions/upsampling", "the colleague's function for maps that are not square")
def upsample(x):
    b, c, h, w = x.shape
    return x.reshape(b, c, h * w, 1).repeat(1, 1, 2, 2).reshape(b, c, 2 * h, 2 * w)


@wrong("convolutions/upsampling", "right for square maps only")
def upsample(x):
    b, c, side, _ = x.shape
    return x.reshape(b, c, side, 1, side, 1).expand(b, c, side, 2, side, 2).reshape(b, c, 2 * side, 2 * side)


@wrong("convolutions/upsampling", "tiled")
def upsample(x):
    return x.repeat(1, 1, 2, 2)


@wrong("convolutions/upsampling", "concatenated twice")
def upsample(x):
    return torch.cat([torch.cat([x, x], 3)] * 2, 2)


@wrong("convolutions/upsampling", "bilinear")
def upsample(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear")


@wrong("convolutions/upsampling", "bicubic")
def upsample(x):
    return F.interpolate(x, scale_factor=2, mode="bicubic")


@wrong("convolutions/upsampling", "zeros between")
def upsample(x):
    b, c, h, w = x.shape
    out = torch.zeros(b, c, 2 * h, 2 * w, dtype=x.dtype)
    out[:, :, ::2, ::2] = x
    return out


@wrong("convolutions/upsampling", "pixel shuffle of repeated channels")
def upsample(x):
    return F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2)


@wrong("convolutions/upsampling", "repeat_interleave of everything")
def upsample(x):
    b, c, h, w = x.shape
    return x.repeat_interleave(4).reshape(b, c, 2 * h, 2 * w)


@wrong("convolutions/upsampling", "rows only")
def upsample(x):
    return x.repeat_interleave(2, dim=2)


@wrong("convolutions/upsampling", "channels doubled as well")
def upsample(x):
    return x.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)


@wrong("convolutions/upsampling", "each number twice along a row, then the rows wrongly cut")
def upsample(x):
    b, c, h, w = x.shape
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3).reshape(b, c, 2 * w, 2 * h)


@wrong("convolutions/upsampling", "detached")
def upsample(x):
    return x.detach().repeat_interleave(2, 2).repeat_interleave(2, 3)


@wrong("convolutions/upsampling", "through numpy")
def upsample(x):
    return torch.from_numpy(np.kron(x.detach().numpy(), np.ones((2, 2), dtype=np.float32)))


@wrong("convolutions/upsampling", "a quarter for each of the four")
def upsample(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4


@wrong("convolutions/upsampling", "mirrored copies")
def upsample(x):
    wide = torch.cat([x, x.flip(3)], 3)
    return torch.cat([wide, wide.flip(2)], 2)


# ---------------------------------------------------------------- convolutions/nats_by_region
@right("convolutions/nats_by_region", "numpy loops")
def nats_in_box(x, x_hat, sigma, rows, columns):
    x, x_hat = x.double().numpy(), x_hat.double().numpy()
    side = int(round(math.sqrt(x.shape[1] / 3)))
    inside = whole = 0.0
    for picture, prediction in zip(x, x_hat):
        for d in range(len(picture)):
            nats = 0.5 * ((picture[d] - prediction[d]) / sigma) ** 2
            whole += nats
            row, column = divmod(d % side**2, side)
            if rows[0] <= row < rows[1] and columns[0] <= column < columns[1]:
                inside += nats
    return inside / len(x), inside / whole


@right("convolutions/nats_by_region", "mask and two means")
def nats_in_box(x, x_hat, sigma, rows, columns):
    s = math.isqrt(x.shape[1] // 3)
    mask = torch.zeros(3, s, s, dtype=torch.bool)
    mask[:, rows[0] : rows[1], columns[0] : columns[1]] = True
    nats = 0.5 * ((x - x_hat) / sigma) ** 2
    inside, whole = nats[:, mask.flatten()].sum(1).mean(), nats.sum(1).mean()
    return inside, inside / whole


@right("convolutions/nats_by_region", "difference of log-densities, einsum with indicators")
def nats_in_box(x, x_hat, sigma, rows, columns):
    s = round((x.shape[1] // 3) ** 0.5)
    at = torch.arange(s)
    r, c = (((at >= a) & (at < b)).to(x.dtype) for a, b in (rows, columns))
    q = torch.distributions.Normal(x_hat, sigma)
    nats = (q.log_prob(x_hat) - q.log_prob(x)).reshape(-1, 3, s, s)
    inside = torch.einsum("bkrc,r,c->", nats, r, c) / len(x)
    return torch.stack([inside, inside * len(x) / nats.sum()])


def _box(x, x_hat, sigma, rows, columns, half=2.0):
    s = round((x.shape[1] / 3) ** 0.5)
    nats = ((x - x_hat) ** 2 / (half * sigma**2)).view(-1, 3, s, s)
    return nats, nats[:, :, rows[0] : rows[1], columns[0] : columns[1]]


@wrong("convolutions/nats_by_region", "half forgotten")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns, 1.0)
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "sigma not squared")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma**0.5, rows, columns)
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "colours last")
def nats_in_box(x, x_hat, sigma, rows, columns):
    s = round((x.shape[1] / 3) ** 0.5)
    nats = ((x - x_hat) ** 2 / (2 * sigma**2)).view(-1, s, s, 3)
    box = nats[:, rows[0] : rows[1], columns[0] : columns[1]]
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "rows and columns exchanged")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, columns, rows)
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "last row and column included")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, (rows[0], rows[1] + 1), (columns[0], columns[1] + 1))
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "summed over the pictures")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.sum(), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "mean over the box")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.mean(), box.mean() / nats.mean()


@wrong("convolutions/nats_by_region", "colours averaged")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.mean(1).sum((1, 2)).mean(), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "mean of the pictures' shares")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    inside = box.sum((1, 2, 3))
    return inside.mean(), (inside / nats.sum((1, 2, 3))).mean()


@wrong("convolutions/nats_by_region", "share in per cent")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.sum() / len(x), 100 * box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "share of the pixels")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.sum() / len(x), box.numel() / nats.numel()


@wrong("convolutions/nats_by_region", "constants included")
def nats_in_box(x, x_hat, sigma, rows, columns):
    s = round((x.shape[1] / 3) ** 0.5)
    nats = -torch.distributions.Normal(x_hat, sigma).log_prob(x).view(-1, 3, s, s)
    box = nats[:, :, slice(*rows), slice(*columns)]
    return box.sum() / len(x), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "red only")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box[:, 0].sum() / len(x), box[:, 0].sum() / nats[:, 0].sum()


@wrong("convolutions/nats_by_region", "error of the mean picture")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x.mean(0, keepdim=True), x_hat.mean(0, keepdim=True), sigma, rows, columns)
    return box.sum(), box.sum() / nats.sum()


@wrong("convolutions/nats_by_region", "compared with the rest of the picture")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box(x, x_hat, sigma, rows, columns)
    return box.sum() / len(x), box.sum() / (nats.sum() - box.sum())


@wrong("convolutions/nats_by_region", "absolute errors")
def nats_in_box(x, x_hat, sigma, rows, columns):
    nats, box = _box((x - x_hat).abs().sqrt(), torch.zeros_like(x), sigma, rows, columns)
    return box.sum() / len(x), box.sum() / nats.sum()


# ---------------------------------------------------------------- convolutions/sigma_per_pixel
@right("convolutions/sigma_per_pixel", "scipy.stats.norm and numpy")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    x, x_hat, x_held, x_hat_held = (t.double().numpy() for t in (x, x_hat, x_held, x_hat_held))
    each = np.maximum(np.sqrt(np.mean((x - x_hat) ** 2, axis=0)), floor)
    one = np.sqrt(np.mean((x - x_hat) ** 2))
    gain = scipy.stats.norm.logpdf(x_held, x_hat_held, each) - scipy.stats.norm.logpdf(x_held, x_hat_held, one)
    return each, gain.sum() / len(x_held)


@right("convolutions/sigma_per_pixel", "float32 formula, constants that cancel left out")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    variance = torch.var(x - x_hat, dim=0, correction=0) + (x - x_hat).mean(0) ** 2
    each = torch.where(variance > floor**2, variance, torch.full_like(variance, floor**2))
    one = F.mse_loss(x_hat, x)
    held = ((x_held - x_hat_held) ** 2).mean(0)
    return each**0.5, 0.5 * (held / one - held / each + torch.log(one / each)).sum()


@right("convolutions/sigma_per_pixel", "loop over the numbers, multivariate normals")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    each = torch.tensor([max(float(torch.linalg.norm(column)) / len(x) ** 0.5, floor) for column in (x - x_hat).T])
    one = torch.full_like(each, torch.linalg.norm(x - x_hat) / x.numel() ** 0.5)
    log_p = [
        torch.distributions.MultivariateNormal(x_hat_held.double(), torch.diag(s.double() ** 2)).log_prob(
            x_held.double()
        )
        for s in (each, one)
    ]
    return (each, torch.mean(log_p[0] - log_p[1]))


def _gain(x_held, x_hat_held, each, one):
    n = torch.distributions.Normal
    return (n(x_hat_held, each).log_prob(x_held) - n(x_hat_held, one).log_prob(x_held)).sum(1)


@wrong("convolutions/sigma_per_pixel", "no floor")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each, error = squares.mean(0).sqrt(), (x_held - x_hat_held) ** 2
    one = squares.mean().sqrt()
    gain = 0.5 * (error / one**2 - error / each**2) + one.log() - each.log()
    return each, gain.sum(1).mean()


@wrong("convolutions/sigma_per_pixel", "a small number added instead of the floor")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt() + 1e-6
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "floor on the variance")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).clamp_min(floor).sqrt()
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "floor added")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt() + floor
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "std of the errors")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    each = (x - x_hat).std(0).clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, (x - x_hat).std()).mean()


@wrong("convolutions/sigma_per_pixel", "std of the pictures")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    each = x.std(0).clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, (x - x_hat).pow(2).mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "fitted to the held-out pictures")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x_held - x_hat_held) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "gain on the training pictures")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each, _gain(x, x_hat, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "sign of the gain")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each, -_gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "gain of the squared errors alone")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares, held = (x - x_hat) ** 2, (x_held - x_hat_held) ** 2
    each, one = squares.mean(0).sqrt().clamp_min(floor), squares.mean().sqrt()
    return each, (held / (2 * one**2) - held / (2 * each**2)).sum(1).mean()


@wrong("convolutions/sigma_per_pixel", "gain per number")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean() / x.shape[1]


@wrong("convolutions/sigma_per_pixel", "gain summed over the pictures")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).sum()


@wrong("convolutions/sigma_per_pixel", "the one sigma is the mean of the others")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    each = ((x - x_hat) ** 2).mean(0).sqrt().clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, each.mean()).mean()


@wrong("convolutions/sigma_per_pixel", "variances")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(0).sqrt().clamp_min(floor)
    return each**2, _gain(x_held, x_hat_held, each, squares.mean().sqrt()).mean()


@wrong("convolutions/sigma_per_pixel", "one sigma for each picture")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    squares = (x - x_hat) ** 2
    each = squares.mean(1).sqrt().clamp_min(floor)
    return each, torch.tensor(0.0)


@wrong("convolutions/sigma_per_pixel", "mean absolute errors")
def sigma_for_each(x, x_hat, x_held, x_hat_held, floor):
    errors = (x - x_hat).abs()
    each = errors.mean(0).clamp_min(floor)
    return each, _gain(x_held, x_hat_held, each, errors.mean()).mean()


# ---------------------------------------------------------------- convolutions/bits_per_dimension
@right("convolutions/bits_per_dimension", "lesson's formula on elbos moved to the range from 0 to 1")
def bits_per_dimension(elbo, n_numbers, low, high):
    unit = elbo.mean(1) + n_numbers * math.log(high - low)
    bits = 8 - unit / (n_numbers * math.log(2))
    return bits.mean(), bits.std() / math.sqrt(len(bits))


@right("convolutions/bits_per_dimension", "numpy, scipy.stats.sem")
def bits_per_dimension(elbo, n_numbers, low, high):
    elbo = elbo.double().numpy()
    per_number = np.log2(np.e) * elbo.mean(axis=1) / n_numbers
    return np.log2(256 / (high - low)) - per_number.mean(), scipy.stats.sem(per_number)


@right("convolutions/bits_per_dimension", "loop, jackknife")
def bits_per_dimension(elbo, n_numbers, low, high):
    pictures = [sum(row) / len(row) for row in elbo.double().tolist()]
    cell = (high - low) / 256
    bits = [-(nats / n_numbers + math.log(cell)) / math.log(2) for nats in pictures]
    n, total = len(bits), sum(bits)
    left_out = [(total - b) / (n - 1) for b in bits]
    return total / n, math.sqrt((n - 1) / n * sum((b - total / n) ** 2 for b in left_out))


def _bits(elbo, n_numbers, low, high):
    return 8 - math.log2(high - low) - elbo / (n_numbers * math.log(2))


@wrong("convolutions/bits_per_dimension", "range ignored")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = 8 - elbo.mean(1) / (n_numbers * math.log(2))
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "range the wrong way round")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = 8 + math.log2(high - low) - elbo.mean(1) / (n_numbers * math.log(2))
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "range counted once for the picture")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = 8 - (elbo.mean(1) + math.log(high - low)) / (n_numbers * math.log(2))
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "bits not converted: everything in nats")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high) * math.log(2)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "8 less nats per number")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = 8 - math.log2(high - low) - elbo.mean(1) / n_numbers
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "sign of the ELBO")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(-elbo.mean(1), n_numbers, low, high)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "the 8 bits forgotten")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high) - 8
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "bits per picture")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = n_numbers * _bits(elbo.mean(1), n_numbers, low, high)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "standard error over all N K estimates")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo, n_numbers, low, high)
    return bits.mean(), bits.std() / bits.numel() ** 0.5


@wrong("convolutions/bits_per_dimension", "standard deviation for the standard error")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high)
    return bits.mean(), bits.std()


@wrong("convolutions/bits_per_dimension", "standard deviation with N")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high).double().numpy()
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "standard error in nats")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high)
    return bits.mean(), elbo.mean(1).std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "255 steps")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.mean(1), n_numbers, low, high) - 8 + math.log2(255)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "first estimate of each picture only")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo[:, 0], n_numbers, low, high)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "log mean exp over the estimates")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo.logsumexp(1) - math.log(elbo.shape[1]), n_numbers, low, high)
    return bits.mean(), bits.std() / len(bits) ** 0.5


@wrong("convolutions/bits_per_dimension", "spread within pictures for the standard error")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = _bits(elbo, n_numbers, low, high)
    return bits.mean(), bits.std(1).mean() / elbo.shape[1] ** 0.5


@wrong("convolutions/bits_per_dimension", "high alone taken for the range")
def bits_per_dimension(elbo, n_numbers, low, high):
    bits = 8 - math.log2(high) - elbo.mean(1) / (n_numbers * math.log(2))
    return bits.mean(), bits.std() / len(bits) ** 0.5


# ---------------------------------------------------------------- convolutions/fooled
@right("convolutions/fooled", "plain Python counts")
def fooled(judge, labels, k, versions, bar):
    has = [row[k] == 1 for row in labels.tolist()]
    rates, verdicts = [], []
    for pictures in versions.values():
        says = [row[k] > 0 for row in judge(pictures).tolist()]
        pair = []
        for kind in (True, False):
            among = [s == h for s, h in zip(says, has) if h == kind]
            pair.append(sum(among) / len(among))
        rates.append(pair)
        verdicts.append(min(pair) < bar)
    return torch.tensor(rates), torch.tensor(verdicts)


@right("convolutions/fooled", "sklearn-like recall by matrix products")
def fooled(judge, labels, k, versions, bar):
    said = torch.stack([judge(pictures)[:, k].sigmoid().round() for pictures in versions.values()]).to(labels.dtype)
    own = labels[:, k]
    rates = torch.stack([said @ own / own.sum(), (1 - said) @ (1 - own) / (1 - own).sum()], 1)
    return rates, rates.amin(1) < bar


@right("convolutions/fooled", "signs multiplied, numpy masks")
def fooled(judge, labels, k, versions, bar):
    sign = np.where(labels[:, k].numpy() > 0, 1, -1)
    table = []
    for name in versions:
        right = sign * judge(versions[name]).detach().numpy()[:, k] > 0
        table.append((np.mean(right[sign > 0]), np.mean(right[sign < 0])))
    return np.array(table), [not (a >= bar and b >= bar) for a, b in table]


def _rates(judge, labels, k, versions, threshold=0.0):
    has, table = labels[:, k] > 0.5, []
    for pictures in versions.values():
        right = ((judge(pictures)[:, k] > threshold) == has).double()
        table.append(torch.stack([right[has].mean(), right[~has].mean()]))
    return torch.stack(table)


@wrong("convolutions/fooled", "plain accuracy against the bar")
def fooled(judge, labels, k, versions, bar):
    rates, has = _rates(judge, labels, k, versions), labels[:, k]
    accuracy = rates[:, 0] * has.mean() + rates[:, 1] * (1 - has.mean())
    return rates, accuracy < bar


@wrong("convolutions/fooled", "plain accuracy in both columns")
def fooled(judge, labels, k, versions, bar):
    rates, has = _rates(judge, labels, k, versions), labels[:, k]
    accuracy = rates[:, 0] * has.mean() + rates[:, 1] * (1 - has.mean())
    return torch.stack([accuracy, accuracy], 1), accuracy < bar


@wrong("convolutions/fooled", "mean of the two rates against the bar")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, rates.mean(1) < bar


@wrong("convolutions/fooled", "both rates have to be below")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, (rates < bar).all(1)


@wrong("convolutions/fooled", "equal counts as below")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, (rates <= bar).any(1)


@wrong("convolutions/fooled", "columns exchanged")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates.flip(1), (rates < bar).any(1)


@wrong("convolutions/fooled", "second column: how often it says with on pictures without")
def fooled(judge, labels, k, versions, bar):
    has, table = labels[:, k] > 0.5, []
    for pictures in versions.values():
        says = (judge(pictures)[:, k] > 0).double()
        table.append(torch.stack([says[has].mean(), says[~has].mean()]))
    rates = torch.stack(table)
    return rates, (rates[:, 0] < bar) | (rates[:, 1] > 1 - bar)


@wrong("convolutions/fooled", "how often it is right where it says with, and where it says without")
def fooled(judge, labels, k, versions, bar):
    has, table = labels[:, k] > 0.5, []
    for pictures in versions.values():
        says = judge(pictures)[:, k] > 0
        right = (says == has).double()
        table.append(torch.stack([right[says].mean(), right[~says].mean()]))
    rates = torch.stack(table).nan_to_num()
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "log-odds above one half")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions, 0.5)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "sigmoid above 0")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(lambda pictures: judge(pictures).sigmoid(), labels, k, versions)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "first column always")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, 0, versions)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "all attributes together")
def fooled(judge, labels, k, versions, bar):
    has, table = labels > 0.5, []
    for pictures in versions.values():
        right = ((judge(pictures) > 0) == has).double()
        table.append(torch.stack([right[has].mean(), right[~has].mean()]))
    rates = torch.stack(table)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "divided by all pictures")
def fooled(judge, labels, k, versions, bar):
    has, table = labels[:, k] > 0.5, []
    for pictures in versions.values():
        says = judge(pictures)[:, k] > 0
        table.append(torch.stack([(says & has).double().mean(), (~says & ~has).double().mean()]))
    rates = torch.stack(table)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "compared with what the judge says of the first version")
def fooled(judge, labels, k, versions, bar):
    first = next(iter(versions.values()))
    rates = _rates(judge, (judge(first) > 0).double(), k, versions)
    return rates, (rates < bar).any(1)


@wrong("convolutions/fooled", "true where the judge passes")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, (rates >= bar).all(1)


@wrong("convolutions/fooled", "only pictures with count")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, rates[:, 0] < bar


@wrong("convolutions/fooled", "names of the versions")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, [name for name, pair in zip(versions, rates) if pair.min() < bar]


@wrong("convolutions/fooled", "bar relative to the true pictures")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return rates, (rates < bar * rates[0]).any(1)


@wrong("convolutions/fooled", "errors instead of rates")
def fooled(judge, labels, k, versions, bar):
    rates = _rates(judge, labels, k, versions)
    return 1 - rates, (rates < bar).any(1)
