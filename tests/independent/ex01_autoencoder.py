import math
import statistics

import numpy as np
import scipy.linalg
import scipy.ndimage
import scipy.special
import scipy.stats
import torch
from torch.nn import functional as F

from independent import right, wrong

# ---------------------------------------------------------------- autoencoder/bernoulli_cost


@wrong("autoencoder/bernoulli_cost", "mean over the pixels instead of the sum")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").mean(1)


@wrong("autoencoder/bernoulli_cost", "sign: gives log p, not the cost -log p")
def bernoulli_cost(logits, x):
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(1)


@wrong("autoencoder/bernoulli_cost", "sigmoid, then log: 0 * -inf is nan for sure networks")
def bernoulli_cost(logits, x):
    p = torch.sigmoid(logits)
    return -(x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(dim=1)


@wrong("autoencoder/bernoulli_cost", "probabilities clamped to 1e-7: a sure mistake costs 16 nats at most")
def bernoulli_cost(logits, x):
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    return -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)


@wrong("autoencoder/bernoulli_cost", "F.binary_cross_entropy on sigmoids: it cuts every log off at -100")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").sum(-1)


@wrong("autoencoder/bernoulli_cost", "sum over the batch instead of the pixels")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(0)


@wrong("autoencoder/bernoulli_cost", "one sum over everything, no number per picture")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum")


@wrong("autoencoder/bernoulli_cost", "averaged over the batch: one number, not (B,)")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()


@wrong("autoencoder/bernoulli_cost", "only ink is charged, the (1 - x) term is missing")
def bernoulli_cost(logits, x):
    return -(x * F.logsigmoid(logits)).sum(1)


@wrong("autoencoder/bernoulli_cost", "in bits, not in nats")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1) / math.log(2)


@wrong("autoencoder/bernoulli_cost", "ink and paper swapped: logits taken as log-odds of paper")
def bernoulli_cost(logits, x):
    return -(x * F.logsigmoid(-logits) + (1 - x) * F.logsigmoid(logits)).sum(1)


@wrong("autoencoder/bernoulli_cost", "squared error of the probabilities")
def bernoulli_cost(logits, x):
    return (torch.sigmoid(logits) - x).square().sum(1)


@wrong("autoencoder/bernoulli_cost", "logits clamped in place to +-30: changes the input, caps the cost")
def bernoulli_cost(logits, x):
    logits.clamp_(-30, 30)
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


@wrong("autoencoder/bernoulli_cost", "log(p + 1e-8) to dodge infinities: caps a pixel at 18 nats")
def bernoulli_cost(logits, x):
    p = torch.sigmoid(logits)
    return -(x * torch.log(p + 1e-8) + (1 - x) * torch.log(1 - p + 1e-8)).sum(1)


@right("autoencoder/bernoulli_cost", "library function with logits")
def bernoulli_cost(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1)


@right("autoencoder/bernoulli_cost", "torch.logaddexp, loop over pictures")
def bernoulli_cost(logits, x):
    costs = []
    for row, picture in zip(logits, x):
        zero = torch.zeros_like(row)
        against = torch.logaddexp(zero, row)  # cost of paper
        in_favour = torch.logaddexp(zero, -row)  # cost of ink
        costs.append(torch.dot(picture, in_favour) + torch.dot(1 - picture, against))
    return torch.stack(costs)


@right("autoencoder/bernoulli_cost", "torch.distributions, Independent Bernoulli")
def bernoulli_cost(logits, x):
    pixels = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    return -torch.distributions.Independent(pixels, 1, validate_args=False).log_prob(x)


# ---------------------------------------------------------------- autoencoder/pca


@wrong("autoencoder/pca", "not centred")
def pca_reconstruction(x, k):
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    return (u[:, :k] * s[:k]) @ vh[:k]


@wrong("autoencoder/pca", "mean not added back")
def pca_reconstruction(x, k):
    centred = x - x.mean(0)
    vh = torch.linalg.svd(centred, full_matrices=False).Vh[:k]
    return centred @ vh.T @ vh


@wrong("autoencoder/pca", "eigh sorts upwards: keeps the k smallest components")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean))
    basis = vectors[:, :k]
    return mean + (x - mean) @ basis @ basis.T


@wrong("autoencoder/pca", "returns the codes (N, k), not the pictures")
def pca_reconstruction(x, k):
    centred = x - x.mean(0)
    return centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:k].T


@wrong("autoencoder/pca", "one mean brightness over all pixels subtracted")
def pca_reconstruction(x, k):
    mean = x.mean()
    vh = torch.linalg.svd(x - mean, full_matrices=False).Vh[:k]
    return mean + (x - mean) @ vh.T @ vh


@wrong("autoencoder/pca", "mean of each picture subtracted instead of the mean picture")
def pca_reconstruction(x, k):
    mean = x.mean(1, keepdim=True)
    vh = torch.linalg.svd(x - mean, full_matrices=False).Vh[:k]
    return mean + (x - mean) @ vh.T @ vh


@wrong("autoencoder/pca", "pixels standardised first: components of the correlation matrix")
def pca_reconstruction(x, k):
    mean, std = x.mean(0), x.std(0).clamp(min=1e-8)
    scaled = (x - mean) / std
    vh = torch.linalg.svd(scaled, full_matrices=False).Vh[:k]
    return mean + std * (scaled @ vh.T @ vh)


@wrong("autoencoder/pca", "columns of Vh taken for the components")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    vh = torch.linalg.svd(x - mean, full_matrices=True).Vh
    basis = vh[:, :k]
    return mean + (x - mean) @ basis @ basis.T


@wrong("autoencoder/pca", "result clamped to [0, 1]; pictures have any brightness")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    vh = torch.linalg.svd(x - mean, full_matrices=False).Vh[:k]
    return (mean + (x - mean) @ vh.T @ vh).clamp(0, 1)


@wrong("autoencoder/pca", "centres the input in place")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    x -= mean
    vh = torch.linalg.svd(x, full_matrices=False).Vh[:k]
    return mean + x @ vh.T @ vh


@wrong("autoencoder/pca", "torch.pca_lowrank with q=k: random and only approximate")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    _, _, v = torch.pca_lowrank(x, q=k, niter=1)
    return mean + (x - mean) @ v @ v.T


@wrong("autoencoder/pca", "singular values forgotten: codes are whitened")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    u, s, vh = torch.linalg.svd(x - mean, full_matrices=False)
    return mean + u[:, :k] @ vh[:k]


@wrong("autoencoder/pca", "one component too few: the mean is counted as one of the k")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    vh = torch.linalg.svd(x - mean, full_matrices=False).Vh[: k - 1]
    return mean + (x - mean) @ vh.T @ vh


@wrong("autoencoder/pca", "components found without centring, then used on centred pictures")
def pca_reconstruction(x, k):
    vh = torch.linalg.svd(x, full_matrices=False).Vh[:k]
    mean = x.mean(0)
    return mean + (x - mean) @ vh.T @ vh


@right("autoencoder/pca", "truncated SVD of the centred pictures")
def pca_reconstruction(x, k):
    mean = x.mean(0, keepdim=True)
    u, s, vh = torch.linalg.svd(x - mean, full_matrices=False)
    s = torch.where(torch.arange(len(s)) < k, s, torch.zeros_like(s))
    return mean + u @ torch.diag(s) @ vh


@right("autoencoder/pca", "eigenvectors of the covariance, a loop over components")
def pca_reconstruction(x, k):
    mean = x.mean(0)
    centred = x - mean
    values, vectors = torch.linalg.eigh(torch.einsum("ni,nj->ij", centred, centred))
    rebuilt = mean.expand_as(x).clone()
    for column in vectors.flip(1).T[: int(k)]:
        rebuilt = rebuilt + torch.outer(centred @ column, column)
    return rebuilt


@right("autoencoder/pca", "scipy, eigenvectors of the (N, N) Gram matrix")
def pca_reconstruction(x, k):
    a = x.detach().numpy().astype(np.float64)
    mean = a.mean(axis=0)
    centred = a - mean
    _, u = scipy.linalg.eigh(centred @ centred.T)
    u = u[:, ::-1][:, : int(k)]
    return torch.from_numpy(mean + u @ (u.T @ centred)).to(x.dtype)


# ---------------------------------------------------------------- autoencoder/nudge


@wrong("autoencoder/nudge", "the lesson's nudge: eps keeps its length")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps


@wrong("autoencoder/nudge", "one norm of the whole matrix eps")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps / eps.norm()


@wrong("autoencoder/nudge", "norm over the pictures (dim 0), not the latents")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps / eps.norm(dim=0, keepdim=True)


@wrong("autoencoder/nudge", "spread of each code over its latents (dim 1)")
def nudge(z, r, eps):
    return z + r * z.std(1, keepdim=True) * eps / eps.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "one spread for all latents")
def nudge(z, r, eps):
    return z + r * z.std() * eps / eps.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "std * eps normalised to r: length r in z itself, not in spreads")
def nudge(z, r, eps):
    step = z.std(0) * eps
    return z + r * step / step.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "no spreads at all: a step of length r in z")
def nudge(z, r, eps):
    return z + r * eps / eps.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "variance instead of standard deviation")
def nudge(z, r, eps):
    return z + r * z.var(0) * eps / eps.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "spread divided by N instead of N - 1")
def nudge(z, r, eps):
    return z + r * z.std(0, unbiased=False) * eps / eps.norm(dim=1, keepdim=True)


@wrong("autoencoder/nudge", "divided by sqrt(d), the typical length, not by the length of that row")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps / math.sqrt(z.shape[1])


@wrong("autoencoder/nudge", "step divided by the spread instead of multiplied")
def nudge(z, r, eps):
    return z + r * (eps / eps.norm(dim=1, keepdim=True)) / z.std(0)


@wrong("autoencoder/nudge", "divided by the squared length (root forgotten)")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps / eps.square().sum(1, keepdim=True)


@wrong("autoencoder/nudge", "divided by the sum of absolute values")
def nudge(z, r, eps):
    return z + r * z.std(0) * eps / eps.abs().sum(1, keepdim=True)


@wrong("autoencoder/nudge", "changes z in place")
def nudge(z, r, eps):
    z += r * z.std(0) * eps / eps.norm(dim=1, keepdim=True)
    return z


@right("autoencoder/nudge", "one line with torch.linalg.vector_norm")
def nudge(z, r, eps):
    return z + r * z.std(dim=0) * eps / torch.linalg.vector_norm(eps, dim=1, keepdim=True)


@right("autoencoder/nudge", "loops over pictures and latents with math")
def nudge(z, r, eps):
    n, d = z.shape
    spread = [math.sqrt(sum((float(v) - float(z[:, j].mean())) ** 2 for v in z[:, j]) / (n - 1)) for j in range(d)]
    out = torch.empty_like(z)
    for i in range(n):
        length = math.sqrt(sum(float(e) ** 2 for e in eps[i]))
        for j in range(d):
            out[i, j] = float(z[i, j]) + float(r) * spread[j] * float(eps[i, j]) / length
    return out


@right("autoencoder/nudge", "standardise, step, go back; einsum for the lengths")
def nudge(z, r, eps):
    scale = torch.diag(torch.cov(z.T).reshape(z.shape[1], z.shape[1]).diagonal().sqrt())
    unit = eps * torch.einsum("nd,nd->n", eps, eps).rsqrt()[:, None]
    return z + (r * unit) @ scale


# ---------------------------------------------------------------- autoencoder/rise


@wrong("autoencoder/rise", "only the spread is repaired: target still the reconstruction, mean of batch means")
def rise(encode, decode, x, eps, r, batch_size):
    std = encode(x).std(0)
    rises = []
    for batch, noise in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        z = encode(batch)
        logits, nudged = decode(z), decode(z + r * std * noise)
        target = torch.sigmoid(logits)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, target, reduction="none").sum(1)
        rises.append((cost(nudged) - cost(logits)).mean())
    return torch.stack(rises).mean()


@wrong("autoencoder/rise", "target and averaging repaired, spread still that of the batch")
def rise(encode, decode, x, eps, r, batch_size):
    total = 0
    for batch, noise in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        z = encode(batch)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, batch, reduction="none").sum(1)
        total = total + (cost(decode(z + r * z.std(0) * noise)) - cost(decode(z))).sum()
    return total / len(x)


@wrong("autoencoder/rise", "mean of batch means: a small last batch counts too much")
def rise(encode, decode, x, eps, r, batch_size):
    std = encode(x).std(0)
    rises = []
    for batch, noise in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        z = encode(batch)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, batch, reduction="none").sum(1)
        rises.append((cost(decode(z + r * std * noise)) - cost(decode(z))).mean())
    return torch.stack(rises).mean()


@wrong("autoencoder/rise", "cost against the reconstruction instead of the pictures")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    step = r * z.std(0) * eps
    rises = []
    for code, move in zip(z.split(batch_size), step.split(batch_size)):
        logits = decode(code)
        target = torch.sigmoid(logits)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, target, reduction="none").sum(1)
        rises.append(cost(decode(code + move)) - cost(logits))
    return torch.cat(rises).mean()


@wrong("autoencoder/rise", "ignores batch_size: decodes all pictures at once")
def rise(encode, decode, x, eps, r, batch_size):
    z = encode(x)
    cost = lambda l: F.binary_cross_entropy_with_logits(l, x, reduction="none").sum(1)
    return (cost(decode(z + r * z.std(0) * eps)) - cost(decode(z))).mean()


@wrong("autoencoder/rise", "nats per pixel, not per picture")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0) * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    bce = F.binary_cross_entropy_with_logits
    return bce(nudged, x) - bce(logits, x)


@wrong("autoencoder/rise", "sum over the pictures, not divided by N")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0) * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    bce = F.binary_cross_entropy_with_logits
    return bce(nudged, x, reduction="sum") - bce(logits, x, reduction="sum")


@wrong("autoencoder/rise", "spread divided by N instead of N - 1")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0, unbiased=False) * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    bce = F.binary_cross_entropy_with_logits
    return (bce(nudged, x, reduction="sum") - bce(logits, x, reduction="sum")) / len(x)


@wrong("autoencoder/rise", "sign: cost before minus cost after")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0) * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    bce = F.binary_cross_entropy_with_logits
    return (bce(logits, x, reduction="sum") - bce(nudged, x, reduction="sum")) / len(x)


@wrong("autoencoder/rise", "the cost after the nudge, not its rise")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0) * eps).split(batch_size)])
    return F.binary_cross_entropy_with_logits(nudged, x, reduction="none").sum(1).mean()


@wrong("autoencoder/rise", "absolute rise of each picture: falls are counted as rises")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std(0) * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    cost = lambda l: F.binary_cross_entropy_with_logits(l, x, reduction="none").sum(1)
    return (cost(nudged) - cost(logits)).abs().mean()


@wrong("autoencoder/rise", "last, smaller batch dropped")
def rise(encode, decode, x, eps, r, batch_size):
    std = encode(x).std(0)
    rises = []
    for start in range(0, len(x) - batch_size + 1, batch_size):
        batch, noise = x[start : start + batch_size], eps[start : start + batch_size]
        z = encode(batch)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, batch, reduction="none").sum(1)
        rises.append(cost(decode(z + r * std * noise)) - cost(decode(z)))
    return torch.cat(rises).mean()


@wrong("autoencoder/rise", "the first rows of eps used again for every batch")
def rise(encode, decode, x, eps, r, batch_size):
    std = encode(x).std(0)
    rises = []
    for batch in x.split(batch_size):
        z = encode(batch)
        cost = lambda l: F.binary_cross_entropy_with_logits(l, batch, reduction="none").sum(1)
        rises.append(cost(decode(z + r * std * eps[: len(batch)])) - cost(decode(z)))
    return torch.cat(rises).mean()


@wrong("autoencoder/rise", "one spread for all latents together")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(b) for b in x.split(batch_size)])
    nudged = torch.cat([decode(b) for b in (z + r * z.std() * eps).split(batch_size)])
    logits = torch.cat([decode(b) for b in z.split(batch_size)])
    bce = F.binary_cross_entropy_with_logits
    return (bce(nudged, x, reduction="sum") - bce(logits, x, reduction="sum")) / len(x)


@right("autoencoder/rise", "two passes over batches, costs concatenated")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.cat([encode(batch) for batch in x.split(batch_size)])
    step = r * z.std(0) * eps
    rises = []
    for picture, code, move in zip(x.split(batch_size), z.split(batch_size), step.split(batch_size), strict=True):
        before = F.binary_cross_entropy_with_logits(decode(code), picture, reduction="none").sum(1)
        after = F.binary_cross_entropy_with_logits(decode(code + move), picture, reduction="none").sum(1)
        rises.append(after - before)
    return torch.cat(rises).mean()


@right("autoencoder/rise", "running sums with while loop, distributions, a float")
def rise(encode, decode, x, eps, r, batch_size):
    n, start, total = x.shape[0], 0, 0.0
    codes = encode(x)  # only the decoder is short of memory
    spread = (codes - codes.mean(0)).square().sum(0).div(n - 1).sqrt()
    while start < n:
        chosen = slice(start, min(start + int(batch_size), n))
        for sign, code in ((-1, codes[chosen]), (1, codes[chosen] + r * spread * eps[chosen])):
            p = torch.distributions.Bernoulli(logits=decode(code), validate_args=False)
            total += sign * float(-p.log_prob(x[chosen]).sum())
        start += int(batch_size)
    return total / n


@right("autoencoder/rise", "logits of all collected, one numpy formula at the end")
def rise(encode, decode, x, eps, r, batch_size):
    z = torch.vstack([encode(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])
    moved = z + r * torch.var(z, dim=0).sqrt() * eps
    before, after = (
        torch.vstack([decode(c[i : i + batch_size]) for i in range(0, len(x), batch_size)]).detach().double().numpy()
        for c in (z, moved)
    )
    ink = x.detach().double().numpy()
    gain = scipy.special.log_expit(before) - scipy.special.log_expit(after)
    loss = scipy.special.log_expit(-before) - scipy.special.log_expit(-after)
    return float(np.where(ink > 0.5, gain, loss).sum(axis=1).mean())


# ---------------------------------------------------------------- autoencoder/advise


@wrong("autoencoder/advise", "no smoothing: single odd epochs decide")
def advise(train, held):
    words = []
    for t, h in zip(train, held):
        if h[-1] - h.min() > 5:
            words.append("stop earlier")
        elif h[-11] - h[-1] > 2:
            words.append("train longer")
        elif h[-1] - t[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "moving average instead of median: an odd epoch still shifts it")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).mean(-1) for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif b[-11] - b[-1] > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "order: 'more pictures' asked before 'train longer'")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        elif b[-11] - b[-1] > 2:
            words.append("train longer")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "'train longer' looks at the training curve")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif a[-11] - a[-1] > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "climb measured as max minus min: the fall at the start counts")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b.max() - b.min() > 5:
            words.append("stop earlier")
        elif b[-11] - b[-1] > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "takes a wide gap between the curves for overfitting: 'stop earlier'")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        falling = b[-11] - b[-1] > 2
        if b[-1] - a[-1] > 5 and not falling:
            words.append("stop earlier")
        elif falling:
            words.append("train longer")
        elif b[-1] - b.min() > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "'falling' means lower than in the first ten epochs: always true")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif b[:10].mean() - b[-1] > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "slope from the last two raw epochs: jitter decides")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b, raw in zip(t, h, held):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif raw[-2] - raw[-1] > 0.2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "2 nats per epoch asked for instead of per ten epochs")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif (b[-11] - b[-1]) / 10 > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "end is smoothed, the minimum is not: an odd low epoch looks like the lowest level")
def advise(train, held):
    words = []
    for t, h in zip(train, held):
        end, before, end_t = h[-5:].median(), h[-15:-10].median(), t[-5:].median()
        if end - h.min() > 5:
            words.append("stop earlier")
        elif before - end > 2:
            words.append("train longer")
        elif end - end_t > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "runs are taken to be 60 epochs long, as in the example")
def advise(train, held):
    t, h = (a[:, :60].unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif b[-11] - b[-1] > 2:
            words.append("train longer")
        elif b[-1] - a[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "the curves are smoothed, but the gap is read off the last raw epoch")
def advise(train, held):
    h = held.unfold(1, 5, 1).median(-1).values
    words = []
    for b, raw_t, raw_h in zip(h, train, held):
        if b[-1] - b.min() > 5:
            words.append("stop earlier")
        elif b[-11] - b[-1] > 2:
            words.append("train longer")
        elif raw_h[-1] - raw_t[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "repairs odd epochs in the input tensors themselves")
def advise(train, held):
    for a in (train, held):
        middle = a.clone().unfold(1, 5, 1).median(-1).values
        a[:, 2:-2] = middle
        a[:, :2] = middle[:, :1]
        a[:, -2:] = middle[:, -1:]
    words = []
    for t, h in zip(train, held):
        if h[-1] - h.min() > 5:
            words.append("stop earlier")
        elif h[-13] - h[-3] > 2:
            words.append("train longer")
        elif h[-1] - t[-1] > 5:
            words.append("more pictures")
        else:
            words.append("larger model")
    return words


@wrong("autoencoder/advise", "gives the number of the advice, not the word")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    words = []
    for a, b in zip(t, h):
        words.append(0 if b[-1] - b.min() > 5 else 1 if b[-11] - b[-1] > 2 else 2 if b[-1] - a[-1] > 5 else 3)
    return words


@right("autoencoder/advise", "running median of five epochs by unfold, vectorised")
def advise(train, held):
    t, h = (a.unfold(1, 5, 1).median(-1).values for a in (train, held))
    climbed = h[:, -1] - h.min(1).values > 5
    falling = h[:, -11] - h[:, -1] > 2
    apart = h[:, -1] - t[:, -1] > 5
    choice = torch.where(climbed, 0, torch.where(falling, 1, torch.where(apart, 2, 3)))
    names = ["stop earlier", "train longer", "more pictures", "larger model"]
    return [names[i] for i in choice.tolist()]


@right("autoencoder/advise", "scipy median filter, Theil-Sen slope of the last 13 epochs")
def advise(train, held):
    answers = []
    for t, h in zip(train.double().numpy(), held.double().numpy()):
        smooth = scipy.ndimage.median_filter(h, size=7, mode="nearest")[3:-3]
        end = float(np.median(h[-5:]))
        slope = scipy.stats.theilslopes(h[-13:]).slope
        if end - smooth.min() > 5:
            answers.append("stop earlier")
        elif -10 * slope > 2:
            answers.append("train longer")
        elif end - float(np.median(t[-5:])) > 5:
            answers.append("more pictures")
        else:
            answers.append("larger model")
    return answers


@right("autoencoder/advise", "plain Python lists, statistics.median of windows of seven")
def advise(train, held):
    result = []
    for t, h in zip(train.tolist(), held.tolist()):
        level = [statistics.median(h[i - 3 : i + 4]) for i in range(3, len(h) - 3)]
        level_train = [statistics.median(t[i - 3 : i + 4]) for i in range(3, len(t) - 3)]
        word = "larger model"
        if level[-1] - level_train[-1] > 5:
            word = "more pictures"
        if level[-11] - level[-1] > 2:
            word = "train longer"
        if level[-1] - min(level) > 5:
            word = "stop earlier"
        result.append(word)
    return result


# ---------------------------------------------------------------- autoencoder/compare


@wrong("autoencoder/compare", "not paired: the variances of both models added")
def compare(train_a, train_b, held_a, held_b):
    difference = held_a.mean() - held_b.mean()
    error = (held_a.var() / len(held_a) + held_b.var() / len(held_b)).sqrt()
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "training pictures instead of held-out pictures")
def compare(train_a, train_b, held_a, held_b):
    d = train_a - train_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "training and held-out pictures pooled for a smaller error")
def compare(train_a, train_b, held_a, held_b):
    d = torch.cat([train_a - train_b, held_a - held_b])
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "the model with the higher cost is named the winner")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "a" if difference > 0 else "b"
    return word, difference, error


@wrong("autoencoder/compare", "difference is b minus a")
def compare(train_a, train_b, held_a, held_b):
    d = held_b - held_a
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "a" if difference > 0 else "b"
    return word, difference, error


@wrong("autoencoder/compare", "standard deviation of the differences, not divided by sqrt(N)")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std()
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "divided by N, not by its root")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d)
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "winner named from two standard errors on")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 2 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "always names a winner")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    return "b" if difference > 0 else "a", difference, error


@wrong("autoencoder/compare", "abs forgotten in the test: a can never win")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "b" if difference > 5 * error else "cannot tell"
    return word, difference, error


@wrong("autoencoder/compare", "absolute difference returned")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference.abs(), error


@wrong("autoencoder/compare", "compares how much each model overfits (held minus train)")
def compare(train_a, train_b, held_a, held_b):
    difference = (held_a.mean() - train_a.mean()) - (held_b.mean() - train_b.mean())
    d, t = held_a - held_b, train_a - train_b
    error = (d.var() / len(d) + t.var() / len(t)).sqrt()
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "root of the number of training pictures in the standard error")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(train_a) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, difference, error


@wrong("autoencoder/compare", "standard error and difference returned in the wrong order")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / len(d) ** 0.5
    word = "cannot tell" if difference.abs() <= 5 * error else "b" if difference > 0 else "a"
    return word, error, difference


@right("autoencoder/compare", "paired differences in torch")
def compare(train_a, train_b, held_a, held_b):
    d = held_a - held_b
    difference, error = d.mean(), d.std() / math.sqrt(d.numel())
    if difference > 5 * error:
        return "b", difference, error
    if difference < -5 * error:
        return "a", difference, error
    return "cannot tell", difference, error


@right("autoencoder/compare", "scipy.stats.sem, floats")
def compare(train_a, train_b, held_a, held_b):
    d = np.subtract(held_a.double().numpy(), held_b.double().numpy())
    mean, sem = float(np.mean(d)), float(scipy.stats.sem(d))
    words = {0: "cannot tell", 1: "b", -1: "a"}
    return words[int(np.sign(mean)) * (abs(mean) > 5 * sem)], mean, sem


@right("autoencoder/compare", "var a + var b - 2 cov, in double")
def compare(train_a, train_b, held_a, held_b):
    both = torch.stack([held_a, held_b]).double()
    both = both - both.mean()
    weights = torch.tensor([1.0, -1.0], dtype=torch.float64)
    c = torch.cov(both)
    error = (torch.einsum("i,ij,j->", weights, c, weights).clamp(min=0) / both.shape[1]).sqrt().item()
    difference = (weights @ both).mean().item()
    winner = "cannot tell"
    if abs(difference) > 5 * error:
        winner = "a" if difference < 0 else "b"
    return winner, difference, error
