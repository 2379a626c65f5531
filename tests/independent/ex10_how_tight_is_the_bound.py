import math

import numpy as np
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from independent import right, wrong


# ---------------------------------------------------------------- bound/log_p_x
@right("bound/log_p_x", "logsumexp minus log K")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    return torch.logsumexp(w, dim=0) - math.log(len(w))


@right("bound/log_p_x", "scipy logsumexp with weights 1/K")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = (log_p_x_given_z.double() + log_p_z.double() - log_q.double()).detach().numpy()
    return torch.as_tensor(scipy.special.logsumexp(w, axis=0, b=1 / w.shape[0])).to(log_p_x_given_z.dtype)


@right("bound/log_p_x", "loop over draws with logaddexp")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    total = torch.full_like(log_p_x_given_z[0], -math.inf)
    count = 0
    for a, b, c in zip(log_p_x_given_z, log_p_z, log_q):
        total = torch.logaddexp(total, a + (b - c))
        count += 1
    return total - math.log(count)


@wrong("bound/log_p_x", "naive log of mean of exp: underflow")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    return (log_p_x_given_z + log_p_z - log_q).exp().mean(0).log()


@wrong("bound/log_p_x", "naive with a small constant in the log")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    return ((log_p_x_given_z + log_p_z - log_q).exp().mean(0) + 1e-30).log()


@wrong("bound/log_p_x", "naive in double precision: still underflow")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = (log_p_x_given_z.double() + log_p_z.double() - log_q.double()).exp()
    return w.mean(0).log().to(log_p_x_given_z.dtype)


@wrong("bound/log_p_x", "log K forgotten: sum instead of mean")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    return torch.logsumexp(log_p_x_given_z + log_p_z - log_q, dim=0)


@wrong("bound/log_p_x", "mean of the logs: the ELBO")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    return (log_p_x_given_z + log_p_z - log_q).mean(0)


@wrong("bound/log_p_x", "q forgotten")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z
    return torch.logsumexp(w, dim=0) - math.log(w.shape[0])


@wrong("bound/log_p_x", "likelihood only, as if drawn from the prior")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    return torch.logsumexp(log_p_x_given_z, dim=0) - math.log(log_q.shape[0])


@wrong("bound/log_p_x", "prior and q exchanged in the ratio")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_q - log_p_z
    return torch.logsumexp(w, dim=0) - math.log(w.shape[0])


@wrong("bound/log_p_x", "over the pictures instead of the draws")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    return torch.logsumexp(w, dim=1) - math.log(w.shape[1])


@wrong("bound/log_p_x", "one maximum for the whole batch is taken out: less likely pictures underflow")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    top = w.max()
    return top + (w - top).exp().mean(0).log()


@wrong("bound/log_p_x", "the maximum is not added back")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    return (w - w.max(0).values).exp().mean(0).log()


@wrong("bound/log_p_x", "only the largest weight counts")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    return w.max(0).values - math.log(w.shape[0])


@wrong("bound/log_p_x", "log-weights averaged with normalised weights")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    w = log_p_x_given_z + log_p_z - log_q
    return (torch.softmax(w, dim=0) * w).sum(0)


@wrong("bound/log_p_x", "log-mean-exp of each of the three by itself")
def log_p_x(log_p_x_given_z, log_p_z, log_q):
    k = math.log(log_q.shape[0])
    parts = [torch.logsumexp(t, dim=0) - k for t in (log_p_x_given_z, log_p_z, log_q)]
    return parts[0] + parts[1] - parts[2]


# ---------------------------------------------------------------- bound/climb
@right("bound/climb", "reshape to groups, logsumexp")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    groups = log_weights.reshape(n // k, k, b)
    bound = (groups.logsumexp(1) - math.log(k)).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@right("bound/climb", "loops over pictures and groups with scipy")
def bound_with_k(log_weights, k):
    w = log_weights.double().numpy()
    n, b = w.shape
    per_picture = []
    for picture in range(b):
        values = [scipy.special.logsumexp(w[start : start + k, picture]) - np.log(k) for start in range(0, n, k)]
        per_picture.append(np.mean(values))
    return float(np.mean(per_picture)), float(scipy.stats.sem(per_picture))


@right("bound/climb", "split into chunks, maximum of each group taken out by hand")
def bound_with_k(log_weights, k):
    bounds = []
    for chunk in torch.split(log_weights, k, dim=0):
        top = chunk.max(dim=0, keepdim=True).values
        bounds.append(top[0] + (chunk - top).exp().mean(0).log())
    values = torch.stack(bounds, dim=1).mean(1)
    b = values.numel()
    mean = values.sum() / b
    error = ((values - mean) ** 2).sum().div(b - 1).div(b).sqrt()
    return mean.item(), error.item()


@wrong("bound/climb", "groups of every (N/k)th row, not consecutive")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(k, n // k, b).logsumexp(0) - math.log(k)).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "log k forgotten")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = log_weights.reshape(n // k, k, b).logsumexp(1).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "only the first k draws")
def bound_with_k(log_weights, k):
    bound = log_weights[:k].logsumexp(0) - math.log(k)
    return bound.mean(), bound.std() / math.sqrt(len(bound))


@wrong("bound/climb", "all N draws in one mean: L_N, k ignored")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = log_weights.logsumexp(0) - math.log(n)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "mean of logs in the groups: L_1 for every k")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = log_weights.reshape(n // k, k, b).mean(1).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "logsumexp over the groups, mean over the draws of a group")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(n // k, k, b).logsumexp(0) - math.log(n // k)).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "standard deviation divided by B")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(n // k, k, b).logsumexp(1) - math.log(k)).mean(0)
    return bound.mean(), bound.std(unbiased=False) / math.sqrt(b)


@wrong("bound/climb", "sample standard deviation, root of B - 1 on top")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(n // k, k, b).logsumexp(1) - math.log(k)).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b - 1)


@wrong("bound/climb", "standard deviation instead of standard error")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(n // k, k, b).logsumexp(1) - math.log(k)).mean(0)
    return bound.mean(), bound.std()


@wrong("bound/climb", "all groups of all pictures taken as independent for the error")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = log_weights.reshape(n // k, k, b).logsumexp(1) - math.log(k)
    return bound.mean(), bound.std() / math.sqrt(bound.numel())


@wrong("bound/climb", "error over the groups instead of the pictures")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(n // k, k, b).logsumexp(1) - math.log(k)).mean(1)
    return bound.mean(), bound.std() / math.sqrt(n // k)


@wrong("bound/climb", "last group left out: range stops too early")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    groups = [log_weights[i : i + k].logsumexp(0) - math.log(k) for i in range(0, max(n - k, 1), k)]
    bound = torch.stack(groups).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "overlapping windows of k draws")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.unfold(0, k, 1).logsumexp(-1) - math.log(k)).mean(0)
    return bound.mean(), bound.std() / math.sqrt(b)


@wrong("bound/climb", "reshape mixes pictures: B first without a transpose")
def bound_with_k(log_weights, k):
    n, b = log_weights.shape
    bound = (log_weights.reshape(b, n // k, k).logsumexp(2) - math.log(k)).mean(1)
    return bound.mean(), bound.std() / math.sqrt(b)


# ---------------------------------------------------------------- bound/report
@right("bound/report", "loop with conversions")
def honest_report(rows, n_pixels):
    best, best_value = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        value = row["value"]
        if row["quantity"] == "minus bound":
            value = -value
        if "bits" in row["unit"]:
            value = value * math.log(2)
        if "per pixel" in row["unit"]:
            value = value * n_pixels
        if value > best_value:
            best, best_value = i, value
    return best, best_value, -best_value / (n_pixels * math.log(2))


@right("bound/report", "tables of factors and max over a generator")
def honest_report(rows, n_pixels):
    sign = {"bound": 1, "minus bound": -1}
    factor = {
        "nats per picture": 1.0,
        "nats per pixel": float(n_pixels),
        "bits per picture": np.log(2),
        "bits per pixel": n_pixels * np.log(2),
    }
    value, i = max(
        (sign[row["quantity"]] * factor[row["unit"]] * row["value"], -i)
        for i, row in enumerate(rows)
        if (row["pictures"], row["z"]) == ("held-out", "sample") and row["quantity"] in sign
    )
    return -i, float(value), float(-value / np.log(2) / n_pixels)


@right("bound/report", "torch masks and argmax")
def honest_report(rows, n_pixels):
    nats = torch.tensor([float(row["value"]) for row in rows], dtype=torch.float64)
    nats = nats * torch.tensor([-1.0 if row["quantity"] == "minus bound" else 1.0 for row in rows], dtype=torch.float64)
    nats = nats * torch.tensor([n_pixels if row["unit"].endswith("pixel") else 1 for row in rows], dtype=torch.float64)
    nats = nats / torch.tensor(
        [math.log2(math.e) if row["unit"].startswith("bits") else 1.0 for row in rows], dtype=torch.float64
    )
    allowed = torch.tensor(
        [row["pictures"] == "held-out" and row["z"] == "sample" and row["quantity"].endswith("bound") for row in rows]
    )
    i = int(torch.where(allowed, nats, torch.tensor(-math.inf, dtype=torch.float64)).argmax())
    return i, nats[i].item(), -nats[i].item() * math.log2(math.e) / n_pixels


@wrong("bound/report", "training pictures allowed")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "reconstruction taken for a bound")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "rows with the mean code allowed")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "'minus bound' not negated")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"]
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "'minus bound' rows left out")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] != "bound":
            continue
        v = row["value"]
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "bits to nats by dividing by log 2")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v /= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "'per pixel' not multiplied by the number of pixels")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "the row with most draws instead of the highest bound")
def honest_report(rows, n_pixels):
    best, top, draws = None, -math.inf, -1
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if row["draws"] > draws:
            best, top, draws = i, v, row["draws"]
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "lowest bound, thought to be the safest sentence")
def honest_report(rows, n_pixels):
    best, top = None, math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v < top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "bits per dimension with the sign of the bound")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, top / (n_pixels * math.log(2))


@wrong("bound/report", "nats to bits by multiplying with log 2")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top * math.log(2) / n_pixels


@wrong("bound/report", "largest raw value chosen, converted afterwards")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        if v > top:
            best, top = i, v
    top *= math.log(2) if rows[best]["unit"].startswith("bits") else 1
    top *= n_pixels if rows[best]["unit"].endswith("pixel") else 1
    return best, top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "index within the allowed rows")
def honest_report(rows, n_pixels):
    allowed = [
        row
        for row in rows
        if row["pictures"] == "held-out" and row["z"] == "sample" and row["quantity"] != "reconstruction"
    ]
    values = []
    for row in allowed:
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        values.append(v)
    top = max(values)
    return values.index(top), top, -top / (n_pixels * math.log(2))


@wrong("bound/report", "only draws == 1 counts as a bound")
def honest_report(rows, n_pixels):
    best, top = None, -math.inf
    for i, row in enumerate(rows):
        if row["pictures"] != "held-out" or row["z"] != "sample" or row["quantity"] == "reconstruction":
            continue
        if row["draws"] != 1:
            continue
        v = row["value"] * (-1 if row["quantity"] == "minus bound" else 1)
        v *= math.log(2) if row["unit"].startswith("bits") else 1
        v *= n_pixels if row["unit"].endswith("pixel") else 1
        if v > top:
            best, top = i, v
    return best, top, -top / (n_pixels * math.log(2))


# ---------------------------------------------------------------- bound/elbo
@right("bound/elbo", "binary_cross_entropy_with_logits on all draws at once")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    kl = 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)
    return -(loss + kl)


@right("bound/elbo", "torch.distributions")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    q = Normal(mu, torch.exp(log_var / 2))
    z = q.loc + q.scale * eps
    likelihood = Bernoulli(logits=decode(z)).log_prob(x.expand(eps.shape[0], *x.shape)).sum(-1)
    return likelihood.mean(0) - kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(-1)


@right("bound/elbo", "loops over draws and pictures, log-sigmoid by hand")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    sigma = log_var.exp().sqrt()
    result = []
    for b in range(x.shape[0]):
        total = 0.0
        for k in range(eps.shape[0]):
            logits = decode((mu[b] + sigma[b] * eps[k, b])[None])[0]
            total = total + (x[b] * F.logsigmoid(logits) + (1 - x[b]) * F.logsigmoid(-logits)).sum()
        kl = sum(0.5 * (mu[b, i] ** 2 + sigma[b, i] ** 2 - 1 - log_var[b, i]) for i in range(mu.shape[1]))
        result.append(total / eps.shape[0] - kl)
    return torch.stack(result)


@wrong("bound/elbo", "mean over pixels as in the colleague's code")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").mean(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "KL still weighted by 0.25")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.25 * 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "decodes the mean, noise unused")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    loss = binary_cross_entropy_with_logits(decode(mu), x, reduction="none").sum(1)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "noise scaled by the variance")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + log_var.exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "noise scaled by log_var itself")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + log_var * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "KL added instead of subtracted")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)


@wrong("bound/elbo", "sum over the draws instead of their mean")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).sum(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "log of the mean likelihood over draws")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    log_p = -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    reconstruction = log_p.logsumexp(0) - math.log(eps.shape[0])
    return reconstruction - 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)


@wrong("bound/elbo", "mean over the pictures: one number")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)).mean()


@wrong("bound/elbo", "returned as a loss")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)


@wrong("bound/elbo", "averages the logits of the draws before the loss")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps).mean(0)
    loss = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "draws its own noise")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * torch.randn_like(eps))
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1))


@wrong("bound/elbo", "KL from the draws, not by its formula")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    z = mu + (0.5 * log_var).exp() * eps
    logits = decode(z)
    log_p = -binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
    log_ratio = (-0.5 * z**2 + 0.5 * eps**2 + 0.5 * log_var).sum(-1)
    return (log_p + log_ratio).mean(0)


@wrong("bound/elbo", "KL averaged over latents")
def held_out_elbo(x, eps, encode, decode):
    mu, log_var = encode(x)
    logits = decode(mu + (0.5 * log_var).exp() * eps)
    loss = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1).mean(0)
    return -(loss + 0.5 * (mu**2 + log_var.exp() - log_var - 1).mean(1))


# ---------------------------------------------------------------- bound/proposal
@right("bound/proposal", "masks over all proposals at once")
def choose_proposal(prior, likelihood, proposals, k):
    joint = (prior * likelihood).double()
    q = proposals.double()
    p = joint.sum()
    bad = ((joint > 0) & (q == 0)).any(1)
    posterior = joint / p
    second = torch.where(q > 0, posterior**2 / q.clamp(min=1e-300), torch.zeros_like(q)).sum(1)
    relative = torch.where(bad, torch.full_like(second, math.inf), second - 1)
    i = int(relative.argmin())
    return i, relative[i].item() / (2 * k)


@right("bound/proposal", "pure Python loops")
def choose_proposal(prior, likelihood, proposals, k):
    joint = [a * b for a, b in zip(prior.tolist(), likelihood.tolist())]
    p_x = math.fsum(joint)
    best, least = None, math.inf
    for i, q in enumerate(proposals.tolist()):
        if any(j > 0 and qs == 0 for j, qs in zip(joint, q)):
            continue
        variance = 0.0
        for j, qs in zip(joint, q):
            if qs > 0:
                variance += qs * (j / qs / p_x - 1) ** 2
        if best is None or variance < least:
            best, least = i, variance
    return best, least / 2 / k


@right("bound/proposal", "numpy with errstate: infinite variance where the support is too small")
def choose_proposal(prior, likelihood, proposals, k):
    posterior = prior.double().numpy() * likelihood.double().numpy()
    posterior = posterior / posterior.sum()
    q = proposals.double().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(posterior > 0, posterior / q, 0.0)
    chi2 = np.where(posterior > 0, posterior * ratio, 0.0).sum(axis=1) - 1
    i = int(np.argmin(chi2))
    return i, float(chi2[i] / (2 * k))


@wrong("bound/proposal", "support not checked: states that q never draws are dropped")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    w = torch.where(proposals > 0, joint / proposals, torch.zeros_like(proposals))
    mean = (proposals * w).sum(1)
    variance = (proposals * (w - mean[:, None]) ** 2).sum(1)
    i = int(variance.argmin())
    return i, (variance[i] / mean[i] ** 2 / (2 * k)).item()


@wrong("bound/proposal", "asks q > 0 everywhere, even where the likelihood is 0")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    p = joint.sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if (q > 0).all():
            variance = ((joint**2 / q).sum() - p**2).item()
            if variance < least:
                best, least = i, variance
    return best, least / p.item() ** 2 / (2 * k)


@wrong("bound/proposal", "variance not divided by p(x) squared")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        on = q > 0
        variance = ((joint[on] ** 2 / q[on]).sum() - joint.sum() ** 2).item()
        if variance < least:
            best, least = i, variance
    return best, least / (2 * k)


@wrong("bound/proposal", "half forgotten: relative variance over K")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood / (prior * likelihood).sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        on = q > 0
        variance = ((joint[on] ** 2 / q[on]).sum() - 1).item()
        if variance < least:
            best, least = i, variance
    return best, least / k


@wrong("bound/proposal", "K forgotten: the gap of one draw")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood / (prior * likelihood).sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        on = q > 0
        variance = ((joint[on] ** 2 / q[on]).sum() - 1).item()
        if variance < least:
            best, least = i, variance
    return best, least / 2


@wrong("bound/proposal", "relative standard deviation instead of variance")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood / (prior * likelihood).sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        on = q > 0
        variance = ((joint[on] ** 2 / q[on]).sum() - 1).item()
        if variance < least:
            best, least = i, variance
    return best, math.sqrt(max(least, 0)) / (2 * k)


@wrong("bound/proposal", "chooses by KL(q || posterior), the best ELBO")
def choose_proposal(prior, likelihood, proposals, k):
    post = prior * likelihood / (prior * likelihood).sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((post > 0) & (q == 0)).any():
            continue
        on = q > 0
        kl = (q[on] * (q[on] / post[on].clamp(min=1e-30)).log()).sum().item()
        if kl < least:
            best, least = i, kl
    q = proposals[best]
    on = q > 0
    return best, ((post[on] ** 2 / q[on]).sum() - 1).item() / (2 * k)


@wrong("bound/proposal", "chooses by KL(posterior || q)")
def choose_proposal(prior, likelihood, proposals, k):
    post = prior * likelihood / (prior * likelihood).sum()
    on = post > 0
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if (q[on] == 0).any():
            continue
        kl = (post[on] * (post[on] / q[on]).log()).sum().item()
        if kl < least:
            best, least = i, kl
    q = proposals[best]
    return best, ((post[on] ** 2 / q[on]).sum() - 1).item() / (2 * k)


@wrong("bound/proposal", "variance over the states, all alike, not under q")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        w = joint[q > 0] / q[q > 0]
        variance = w.var(unbiased=False).item()
        if variance < least:
            best, least = i, variance
    return best, least / joint.sum().item() ** 2 / (2 * k)


@wrong("bound/proposal", "second moment taken for the variance")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood / (prior * likelihood).sum()
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if ((joint > 0) & (q == 0)).any():
            continue
        on = q > 0
        second = (joint[on] ** 2 / q[on]).sum().item()
        if second < least:
            best, least = i, second
    return best, least / (2 * k)


@wrong("bound/proposal", "index within the proposals that qualify")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood / (prior * likelihood).sum()
    good = proposals[~((joint > 0) & (proposals == 0)).any(1)]
    second = torch.where(good > 0, joint**2 / good, torch.zeros_like(good)).sum(1)
    i = int(second.argmin())
    return i, (second[i] - 1).item() / (2 * k)


@wrong("bound/proposal", "weights without the prior: p(x|z) / q(z)")
def choose_proposal(prior, likelihood, proposals, k):
    best, least, gap = -1, math.inf, None
    for i, q in enumerate(proposals):
        if ((likelihood > 0) & (q == 0)).any():
            continue
        on = q > 0
        mean = likelihood.sum().item()
        variance = (likelihood[on] ** 2 / q[on]).sum().item() - mean**2
        if variance < least:
            best, least, gap = i, variance, variance / mean**2 / (2 * k)
    return best, gap


@wrong("bound/proposal", "variance of the log-weights")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    on = joint > 0
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if (q[on] == 0).any():
            continue
        logs = (joint[on] / q[on]).log()
        mean = (q[on] * logs).sum()
        variance = (q[on] * (logs - mean) ** 2).sum().item()
        if variance < least:
            best, least = i, variance
    return best, least / (2 * k)


@wrong("bound/proposal", "draws with weight 0 left out of the variance, q renormalised")
def choose_proposal(prior, likelihood, proposals, k):
    joint = prior * likelihood
    on = joint > 0
    best, least = -1, math.inf
    for i, q in enumerate(proposals):
        if (q[on] == 0).any():
            continue
        share = q[on] / q[on].sum()
        w = joint[on] / q[on]
        mean = (share * w).sum()
        relative = ((share * (w - mean) ** 2).sum() / mean**2).item()
        if relative < least:
            best, least = i, relative
    return best, least / (2 * k)


# ---------------------------------------------------------------- bound/split
@right("bound/split", "closed form with the posterior's precision")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    variance = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / variance
    diagonal = precision.diagonal()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    post = torch.linalg.solve(precision, weight.T @ (x - mean).T / variance).T
    shift = mu - post
    ratio = diagonal * log_var.exp()
    amortisation = 0.5 * torch.einsum("bi,ij,bj->b", shift, precision, shift) + 0.5 * (ratio - 1 - ratio.log()).sum(1)
    return family, amortisation


@right("bound/split", "torch.distributions: KL of the encoder and of the best diagonal Gaussian to the posterior")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    dtype = weight.dtype
    x, weight, mean, log_sigma, mu, log_var = (t.double() for t in (x, weight, mean, log_sigma, mu, log_var))
    sigma = log_sigma.exp()
    precision = torch.eye(weight.shape[1]).double() + weight.T @ weight / sigma**2
    covariance = torch.linalg.inv(precision)
    covariance = (covariance + covariance.T) / 2
    center = (x - mean) @ weight @ covariance / sigma**2
    posterior = MultivariateNormal(center, covariance_matrix=covariance)
    best = MultivariateNormal(center, covariance_matrix=torch.diag(1 / precision.diagonal()))
    encoder = MultivariateNormal(mu, covariance_matrix=torch.diag_embed(log_var.exp()))
    family = kl_divergence(best, posterior)
    return family[0].to(dtype), (kl_divergence(encoder, posterior) - family).to(dtype)


@right("bound/split", "numpy loop: exact log p(x) minus exact ELBO minus family gap")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    dtype = weight.dtype
    x, W, b, m, lv = (t.double().numpy() for t in (x, weight, mean, mu, log_var))
    s2 = math.exp(2 * float(log_sigma))
    D, d = W.shape
    precision = np.eye(d) + W.T @ W / s2
    family = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    marginal = scipy.stats.multivariate_normal(b, W @ W.T + s2 * np.eye(D))
    gaps = []
    for n in range(len(x)):
        v = np.exp(lv[n])
        residual = x[n] - W @ m[n] - b
        expected = residual @ residual + (v * (W**2).sum(axis=0)).sum()
        reconstruction = -0.5 * D * math.log(2 * math.pi * s2) - expected / (2 * s2)
        elbo = reconstruction - 0.5 * (m[n] ** 2 + v - lv[n] - 1).sum()
        gaps.append(float(marginal.logpdf(x[n])) - elbo - family)
    return torch.tensor(family, dtype=dtype), torch.tensor(gaps, dtype=dtype)


@wrong("bound/split", "best variances are the posterior's marginal variances")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    covariance = torch.linalg.inv(precision)
    post = (x - mean) @ weight @ covariance / s2
    best = covariance.diagonal()
    d = weight.shape[1]
    family = 0.5 * ((precision.diagonal() * best).sum() - d - best.log().sum() - torch.logdet(precision))
    shift = mu - post
    total = 0.5 * (
        torch.einsum("bi,ij,bj->b", shift, precision, shift)
        + (precision.diagonal() * log_var.exp() - 1 - log_var).sum(1)
        - torch.logdet(precision)
    )
    return family, total - family


@wrong("bound/split", "family gap 0: a linear VAE's posterior is Gaussian; all is amortisation")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    total = 0.5 * (
        torch.einsum("bi,ij,bj->b", shift, precision, shift)
        + (precision.diagonal() * log_var.exp() - 1 - log_var).sum(1)
        - torch.logdet(precision)
    )
    return torch.zeros((), dtype=weight.dtype), total


@wrong("bound/split", "sigma where sigma squared belongs")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = log_sigma.exp()
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))


@wrong("bound/split", "b not subtracted from the picture")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - x @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))


@wrong("bound/split", "posterior mean without the division by sigma squared")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision)
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))


@wrong("bound/split", "second result is the whole gap: the family gap is not taken off")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    total = 0.5 * (
        torch.einsum("bi,ij,bj->b", shift, precision, shift)
        + (diagonal * log_var.exp() - 1 - log_var).sum(1)
        - torch.logdet(precision)
    )
    return family, total


@wrong("bound/split", "KL of the encoder to the best diagonal Gaussian instead of the difference of KLs")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (diagonal * shift**2 + ratio - 1 - ratio.log()).sum(1)


@wrong("bound/split", "KL the wrong way round: KL(p(z|x) || q) for both")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    covariance = torch.linalg.inv(precision)
    post = (x - mean) @ weight @ covariance / s2
    family = 0.5 * (covariance.diagonal().log().sum() - torch.logdet(covariance))
    v = log_var.exp()
    total = 0.5 * (((covariance.diagonal() + (mu - post) ** 2) / v - 1 + log_var).sum(1) - torch.logdet(covariance))
    return family, total - family


@wrong("bound/split", "error of the encoder's mean forgotten, variances only")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (ratio - 1 - ratio.log()).sum(1)


@wrong("bound/split", "log_var read as log sigma of the encoder")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * (2 * log_var).exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))


@wrong("bound/split", "half forgotten in both")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = diagonal.log().sum() - torch.logdet(precision)
    return family, torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1)


@wrong("bound/split", "amortisation gap averaged over the pictures")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    gap = 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))
    return family, gap.mean()


@wrong("bound/split", "results exchanged")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = torch.eye(weight.shape[1], dtype=weight.dtype) + weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1)), family


@wrong("bound/split", "prior forgotten in the posterior's precision")
def split_gap(x, weight, mean, log_sigma, mu, log_var):
    s2 = torch.exp(2 * log_sigma)
    precision = weight.T @ weight / s2
    shift = mu - (x - mean) @ weight @ torch.linalg.inv(precision) / s2
    diagonal = precision.diagonal()
    ratio = diagonal * log_var.exp()
    family = 0.5 * (diagonal.log().sum() - torch.logdet(precision))
    return family, 0.5 * (torch.einsum("bi,ij,bj->b", shift, precision, shift) + (ratio - 1 - ratio.log()).sum(1))
