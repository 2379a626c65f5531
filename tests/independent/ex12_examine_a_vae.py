import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import optimize, stats
from torch.distributions import Bernoulli, Normal, kl_divergence

from independent import right, wrong


# ---------------------------------------------------------------- examine/reductions
@right("examine/reductions", "table of divisors")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    divisor_rec = {"sum": 1, "batch mean": batch, "mean": batch * n_pixels}[reconstruction]
    divisor_kl = {"sum": 1, "batch mean": batch, "mean": batch * n_latents}[kl]
    if pixels == "squares":
        divisor_rec = divisor_rec / 2
    return weight * divisor_rec / divisor_kl


@right("examine/reductions", "autograd through real tensors")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    nats = torch.ones(2, dtype=torch.float64, requires_grad=True)
    rec = nats[0] * torch.ones(batch, n_pixels, dtype=torch.float64) / n_pixels
    if pixels == "squares":
        rec = 2 * rec
    lat = nats[1] * torch.ones(batch, n_latents, dtype=torch.float64) / n_latents

    def reduce(t, how):
        if how == "sum":
            return t.sum()
        return t.mean() if how == "mean" else t.sum(1).mean()

    loss = reduce(rec, reconstruction) + weight * reduce(lat, kl)
    g = torch.autograd.grad(loss, nats)[0]
    return g[1] / g[0]


@right("examine/reductions", "if and else")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    beta = weight
    if kl == "sum":
        beta = beta * batch
    elif kl == "mean":
        beta = beta / n_latents
    if reconstruction == "sum":
        beta = beta / batch
    elif reconstruction == "mean":
        beta = beta * n_pixels
    if pixels == "squares":
        beta = beta * 0.5
    return np.float64(beta)


@wrong("examine/reductions", "squares taken for a log-density")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    return weight * f[kl](n_latents) / f[reconstruction](n_pixels)


@wrong("examine/reductions", "mean divides by the batch as well, sum does not multiply")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: 1, "batch mean": lambda n: 1, "mean": lambda n: 1 / (n * batch)}
    beta = weight * f[kl](n_latents) / f[reconstruction](n_pixels)
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "the larger the sum the larger the divisor: inverse")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    rec = {"sum": batch * n_pixels, "batch mean": n_pixels, "mean": 1}[reconstruction]
    lat = {"sum": batch * n_latents, "batch mean": n_latents, "mean": 1}[kl]
    beta = weight * lat / rec
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "batch never matters")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    beta = weight
    if reconstruction == "mean":
        beta *= n_pixels
    if kl == "mean":
        beta /= n_latents
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "doubled for squares")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    beta = weight * f[kl](n_latents) / f[reconstruction](n_pixels)
    return beta * 2 if pixels == "squares" else beta


@wrong("examine/reductions", "only D over d when both are means")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    beta = weight * n_pixels / n_latents if reconstruction == kl == "mean" else weight
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "weight multiplies the reconstruction")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    beta = f[kl](n_latents) / f[reconstruction](n_pixels) / weight
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "root for squares")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    beta = weight * f[kl](n_latents) / f[reconstruction](n_pixels)
    return math.sqrt(beta / 2) if pixels == "squares" else beta


@wrong("examine/reductions", "mean of the KL over latents only")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    lat = {"sum": batch, "batch mean": 1, "mean": batch / n_latents}[kl]
    rec = {"sum": batch, "batch mean": 1, "mean": 1 / n_pixels}[reconstruction]
    beta = weight * lat / rec
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "D and d exchanged")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    beta = weight * f[kl](n_pixels) / f[reconstruction](n_latents)
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "one over beta")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    f = {"sum": lambda n: batch, "batch mean": lambda n: 1, "mean": lambda n: 1 / n}
    beta = f[reconstruction](n_pixels) / (weight * f[kl](n_latents))
    return beta * 2 if pixels == "squares" else beta


@wrong("examine/reductions", "whole pixels and latents counted for a sum")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    lat = {"sum": batch * n_latents, "batch mean": n_latents, "mean": 1}[kl]
    rec = {"sum": batch * n_pixels, "batch mean": n_pixels, "mean": 1}[reconstruction]
    beta = weight * rec / lat
    return beta / 2 if pixels == "squares" else beta


# ---------------------------------------------------------------- examine/likelihood
def slope(loss, x, t):
    t = t.clone().requires_grad_()
    return torch.autograd.grad(loss(x, t), t)[0]


@right("examine/likelihood", "ratios of slopes for equal pixels at four outputs")
def name_likelihood(loss, x):
    def g(target, t):
        return slope(loss, torch.full_like(x, target), torch.full_like(x, t)).flatten()[0].double().item()

    a, b, c = g(0.3, 0.4), g(0.3, 0.5), g(0.3, 0.8)
    if abs(b / a - 1) < 1e-3 and abs(c / a - 1) < 1e-3 and g(0.9, 0.5) * a < 0 and abs(g(0.9, 0.5) + a) < 1e-3 * abs(a):
        return "laplace"
    if abs(b / a - 2) < 0.01:
        return "gaussian"

    def s(v):
        return 1 / (1 + math.exp(-v))

    candidates = {
        "bernoulli": lambda t: (t - 0.3) / (t * (1 - t)),
        "bernoulli logits": lambda t: s(t) - 0.3,
        "sigmoid twice": lambda t: (s(s(t)) - 0.3) * s(t) * (1 - s(t)),
    }
    return min(candidates, key=lambda w: abs(candidates[w](0.8) / candidates[w](0.4) - c / a))


@right("examine/likelihood", "second derivatives and sign of the slope at the target")
def name_likelihood(loss, x):
    at = slope(loss, x, x)
    up, down = slope(loss, x, x + 0.005), slope(loss, x, x - 0.005)
    if (up > 0).all() and (down < 0).all():  # least at the target
        far = slope(loss, x * 0 + 0.5, x * 0 + 0.9) / slope(loss, x * 0 + 0.5, x * 0 + 0.6)
        ratio = far.mean().item()
        return "laplace" if ratio < 1.5 else "gaussian" if ratio < 4.5 else "bernoulli"
    ones = torch.full_like(x, 0.6)
    ratio = (slope(loss, ones, torch.full_like(x, 0.05)) / slope(loss, ones, torch.full_like(x, 0.9))).mean().item()
    wanted = {}
    for word, f in (
        ("bernoulli logits", lambda t: torch.sigmoid(t)),
        ("sigmoid twice", lambda t: torch.sigmoid(torch.sigmoid(t))),
    ):
        t = torch.tensor([0.05, 0.9], dtype=torch.float64, requires_grad=True)
        p = f(t)
        g = torch.autograd.grad(-(0.6 * p.log() + 0.4 * (1 - p).log()).sum(), t)[0]
        wanted[word] = (g[0] / g[1]).item()
    return min(wanted, key=lambda w: abs(wanted[w] - ratio))


@right("examine/likelihood", "least squares with a factor and a constant on values")
def name_likelihood(loss, x):
    generator = torch.Generator().manual_seed(3)
    x = x.double()
    points = [0.05 + 0.9 * torch.rand(x.shape, generator=generator, dtype=torch.float64) for _ in range(40)]
    y = np.array([float(loss(x, t)) for t in points])
    costs = {
        "bernoulli": lambda t: F.binary_cross_entropy(t, x, reduction="sum"),
        "bernoulli logits": lambda t: F.binary_cross_entropy_with_logits(t, x, reduction="sum"),
        "sigmoid twice": lambda t: F.binary_cross_entropy(t.sigmoid().sigmoid(), x, reduction="sum"),
        "gaussian": lambda t: (t - x).square().sum(),
        "laplace": lambda t: (t - x).abs().sum(),
    }
    return max(costs, key=lambda w: np.corrcoef(y, [float(costs[w](t)) for t in points])[0, 1])


@wrong("examine/likelihood", "nearest gradient without a free factor")
def name_likelihood(loss, x):
    t = torch.full_like(x, 0.37)
    g = slope(loss, x, t)
    costs = {
        "bernoulli": (t - x) / (t * (1 - t)),
        "bernoulli logits": t.sigmoid() - x,
        "sigmoid twice": (t.sigmoid().sigmoid() - x) * t.sigmoid() * (1 - t.sigmoid()),
        "gaussian": 2 * (t - x),
        "laplace": (t - x).sign(),
    }
    return min(costs, key=lambda w: (g - costs[w]).abs().sum())


@wrong("examine/likelihood", "a perfect picture costs nothing only for squares and absolute values")
def name_likelihood(loss, x):
    if abs(float(loss(x, x))) < 1e-6:
        ratio = float(loss(x, x + 0.02)) / float(loss(x, x + 0.01))
        return "gaussian" if ratio > 3 else "laplace"
    g = slope(loss, x, x)
    if g.abs().max() < 1e-4:
        return "bernoulli"
    ones = torch.full_like(x, 0.6)
    ratio = (slope(loss, ones, torch.full_like(x, 0.05)) / slope(loss, ones, torch.full_like(x, 0.9))).mean()
    return "bernoulli logits" if ratio < -0.1 or ratio > 2 or ratio < 0.9 else "sigmoid twice"


@wrong("examine/likelihood", "where it is least: everything least at x is squares")
def name_likelihood(loss, x):
    up, down = slope(loss, x, x + 0.005), slope(loss, x, x - 0.005)
    if (up > 0).all() and (down < 0).all():
        return "gaussian"
    return "bernoulli logits"


@wrong("examine/likelihood", "two sigmoids not looked for")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
    g = slope(loss, x, t).flatten()
    costs = {
        "bernoulli": (t - x) / (t * (1 - t)),
        "bernoulli logits": t.sigmoid() - x,
        "gaussian": 2 * (t - x),
        "laplace": (t - x).sign(),
    }
    return max(costs, key=lambda w: F.cosine_similarity(g, costs[w].flatten(), dim=0))


@wrong("examine/likelihood", "squares and absolute values exchanged")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
    g = slope(loss, x, t).flatten()
    costs = {
        "bernoulli": (t - x) / (t * (1 - t)),
        "bernoulli logits": t.sigmoid() - x,
        "sigmoid twice": (t.sigmoid().sigmoid() - x) * t.sigmoid() * (1 - t.sigmoid()),
        "laplace": 2 * (t - x),
        "gaussian": (t - x).sign(),
    }
    return max(costs, key=lambda w: F.cosine_similarity(g, costs[w].flatten(), dim=0))


@wrong("examine/likelihood", "log-odds and probabilities exchanged")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
    g = slope(loss, x, t).flatten()
    costs = {
        "bernoulli logits": (t - x) / (t * (1 - t)),
        "bernoulli": t.sigmoid() - x,
        "sigmoid twice": (t.sigmoid().sigmoid() - x) * t.sigmoid() * (1 - t.sigmoid()),
        "gaussian": 2 * (t - x),
        "laplace": (t - x).sign(),
    }
    return max(costs, key=lambda w: F.cosine_similarity(g, costs[w].flatten(), dim=0))


@wrong("examine/likelihood", "sigmoid twice without the inner derivative")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
    g = slope(loss, x, t).flatten()
    costs = {
        "bernoulli": (t - x) / (t * (1 - t)),
        "bernoulli logits": t.sigmoid() - x,
        "sigmoid twice": x - t,
        "gaussian": 2 * (t - x),
        "laplace": (t - x).sign(),
    }
    return max(costs, key=lambda w: F.cosine_similarity(g, costs[w].flatten(), dim=0))


@wrong("examine/likelihood", "one pixel at one output, sign only")
def name_likelihood(loss, x):
    g = slope(loss, x, torch.full_like(x, 0.44))
    return "bernoulli" if (g.sign() == (0.44 - x).sign()).all() else "bernoulli logits"


@wrong("examine/likelihood", "always squares")
def name_likelihood(loss, x):
    return "gaussian"


@wrong("examine/likelihood", "values compared, mean reduction assumed")
def name_likelihood(loss, x):
    t = torch.full_like(x, 0.37)
    value = float(loss(x, t))
    costs = {
        "bernoulli": F.binary_cross_entropy(t, x),
        "bernoulli logits": F.binary_cross_entropy_with_logits(t, x),
        "sigmoid twice": F.binary_cross_entropy_with_logits(t.sigmoid(), x),
        "gaussian": F.mse_loss(t, x),
        "laplace": F.l1_loss(t, x),
    }
    return min(costs, key=lambda w: abs(value - float(costs[w])))


@wrong("examine/likelihood", "BCE of probabilities taken for squares")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).view_as(x)
    g = slope(loss, x, t).flatten()
    costs = {
        "bernoulli logits": t.sigmoid() - x,
        "sigmoid twice": (t.sigmoid().sigmoid() - x) * t.sigmoid() * (1 - t.sigmoid()),
        "gaussian": 2 * (t - x),
        "laplace": (t - x).sign(),
    }
    return max(costs, key=lambda w: F.cosine_similarity(g, costs[w].flatten(), dim=0))


@wrong("examine/likelihood", "slope of the same size everywhere: forgets the sign, so takes two sigmoids for laplace")
def name_likelihood(loss, x):
    x = torch.full_like(x, 0.3)
    a, b = (slope(loss, x, torch.full_like(x, t)).mean().item() for t in (0.4, 0.8))
    ratio = b / a
    if abs(ratio - 1) < 0.1:
        return "laplace"
    if abs(ratio - 5) < 0.1:
        return "gaussian"
    return "bernoulli" if ratio > 5 else "bernoulli logits"


# ---------------------------------------------------------------- examine/draws
@right("examine/draws", "correlations and a test of normality")
def name_draws(sample):
    mu, log_var = torch.full((3000, 3), 0.5).double(), torch.full((3000, 3), -2.0).double()
    a, b = sample(mu, log_var).numpy(), sample(mu, log_var).numpy()
    if np.allclose(a, 0.5):
        return "none"
    if np.allclose(a, b):
        return "frozen"
    if a.std(0).max() < 1e-5 or np.corrcoef(a.T)[0, 1] > 0.9:
        return "shared"
    noise = (a - 0.5).ravel()
    if stats.kurtosis(noise) < -0.8:
        return "uniform"
    return "right" if abs(noise.std() - np.exp(-1)) < abs(noise.std() - np.exp(-2)) else "variance"


@right("examine/draws", "many calls with a small batch")
def name_draws(sample):
    mu, log_var = torch.zeros(2, 2), torch.tensor([[2.0, 2.0], [2.0, 2.0]])
    z = torch.stack([sample(mu, log_var) for _ in range(2000)])  # (N, 2, 2)
    if (z == 0).all():
        return "none"
    if (z == z[0]).all():
        return "frozen"
    if (z[:, 0] == z[:, 1]).all() or (z[..., 0] == z[..., 1]).all():
        return "shared"
    if (z >= 0).all():
        return "uniform"
    return "variance" if z.var() > 20 else "right"


@right("examine/draws", "quantiles")
def name_draws(sample):
    n = 10_000
    mu, log_var = torch.zeros(n, 2, dtype=torch.float64), torch.full((n, 2), 1.0, dtype=torch.float64)
    z = sample(mu, log_var)
    if z.abs().max() == 0:
        return "none"
    if (sample(mu, log_var) - z).abs().max() == 0:
        return "frozen"
    if len(z[:, 0].unique()) == 1 or (z[:, 0] - z[:, 1]).abs().max() == 0:
        return "shared"
    low, middle, high = torch.quantile(z[:, 0], torch.tensor([0.1587, 0.5, 0.8413], dtype=torch.float64))
    if abs(middle) > 0.2:
        return "uniform"
    return "right" if (high - low) / 2 < 2.1 else "variance"


def first_look(sample, log_var=-2.0, size=(4000, 2)):
    mu = torch.zeros(size)
    return mu, sample(mu, torch.full(size, log_var)), sample(mu, torch.full(size, log_var))


@wrong("examine/draws", "tried at log_var 0")
def name_draws(sample):
    mu, z, again = first_look(sample, 0.0)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if abs(z.std() - 1) < 0.1 else "variance"


@wrong("examine/draws", "one call only")
def name_draws(sample):
    mu, z, _ = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"


@wrong("examine/draws", "exp(log_var) believed to be the standard deviation")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if abs(z.std() - math.exp(-2)) < 0.05 else "variance"


@wrong("examine/draws", "only pictures compared for shared noise")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"


@wrong("examine/draws", "only latents compared for shared noise")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std(0).max() > 0.25 or z.std(0).max() < 1e-4 else "variance"


@wrong("examine/draws", "same at each call before no noise")
def name_draws(sample):
    _, z, again = first_look(sample)
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"


@wrong("examine/draws", "equal rows before no noise")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"


@wrong("examine/draws", "standard deviation alone: uniform noise is called variance")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    if torch.equal(z[0], z[1]) or torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    return "right" if abs(z.std() - math.exp(-1)) < 0.02 else "variance"


@wrong("examine/draws", "variance of the noise alone, at log_var 0")
def name_draws(sample):
    mu, z, _ = first_look(sample, 0.0)
    if torch.equal(z, mu):
        return "none"
    return "right" if abs(z.std() - 1) < 0.1 else "uniform"


@wrong("examine/draws", "a single picture, again and again")
def name_draws(sample):
    mu, log_var = torch.zeros(1, 2), torch.full((1, 2), -2.0)
    z = torch.cat([sample(mu, log_var) for _ in range(3000)])
    if (z == 0).all():
        return "none"
    if (z == z[0]).all():
        return "frozen"
    if torch.equal(z[:, 0], z[:, 1]):
        return "shared"
    if z.min() >= 0:
        return "uniform"
    return "right" if z.std() > 0.25 else "variance"


@wrong("examine/draws", "always right")
def name_draws(sample):
    return "right"


@wrong("examine/draws", "mean near 0 is enough")
def name_draws(sample):
    mu, z, again = first_look(sample)
    if torch.equal(z, mu):
        return "none"
    if torch.equal(z, again):
        return "frozen"
    return "uniform" if z.mean() > 0.1 and z.min() >= 0 else "right"


# ---------------------------------------------------------------- examine/readings
def own_kl(word, mu, s):
    sigma = {"log-variance": (s / 2).exp(), "log sigma": s.exp(), "sigma": s, "variance": s.sqrt()}[word]
    return 0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log()).sum()


WORDS = ("log-variance", "log sigma", "sigma", "variance")


@right("examine/readings", "ratios of slopes in closed form, double precision")
def name_readings(draw, kl):
    s0 = torch.tensor([[0.7, 2.5]], dtype=torch.float64)
    sigma = (draw(0 * s0, s0, torch.ones_like(s0))).flatten()
    tables = {
        "log-variance": torch.exp(s0 / 2),
        "log sigma": torch.exp(s0),
        "sigma": s0,
        "variance": s0**0.5,
    }
    first = next(word for word, table in tables.items() if torch.allclose(table.flatten(), sigma, rtol=1e-4))
    mu, s = torch.tensor([[1.5, -0.5]], dtype=torch.float64, requires_grad=True), s0.clone().requires_grad_()
    g_mu, g_s = torch.autograd.grad(kl(mu, s), (mu, s))
    factor = (g_mu / mu).detach()
    if not torch.allclose(factor, factor[0, 0].expand(1, 2)) or factor[0, 0] <= 0:
        return first, "no KL"
    wanted = {
        "log-variance": (s0.exp() - 1) / 2,
        "log sigma": torch.exp(2 * s0) - 1,
        "sigma": s0 - 1 / s0,
        "variance": (1 - 1 / s0) / 2,
    }
    for word, slope in wanted.items():
        if torch.allclose(g_s / factor, slope, rtol=1e-4):
            return first, word
    return first, "no KL"


@right("examine/readings", "where the slope is 0, and how it grows")
def name_readings(draw, kl):
    def sigma(s):
        return float(draw(torch.zeros(1, 1), torch.full((1, 1), s), torch.ones(1, 1)))

    rule = {"log-variance": lambda s: math.exp(s / 2), "log sigma": math.exp, "sigma": float, "variance": math.sqrt}
    first = min(rule, key=lambda w: abs(math.log(sigma(3.0) / rule[w](3.0))))

    def slopes(m, v):
        mu = torch.tensor([[m]], dtype=torch.float64, requires_grad=True)
        s = torch.tensor([[v]], dtype=torch.float64, requires_grad=True)
        return [float(g) for g in torch.autograd.grad(kl(mu, s), (mu, s))]

    points = [(m, v) for m in (-1.0, 0.5, 2.0) for v in (0.3, 1.0, 2.0, 3.0)]
    seen = np.array([slopes(*p) for p in points]).ravel()
    for word in WORDS:
        rows = []
        for m, v in points:
            mu = torch.tensor([[m]], dtype=torch.float64, requires_grad=True)
            s = torch.tensor([[v]], dtype=torch.float64, requires_grad=True)
            rows.append([float(g) for g in torch.autograd.grad(own_kl(word, mu, s), (mu, s))])
        own = np.array(rows).ravel()
        factor = own @ seen / (own @ own)
        if factor > 0 and np.allclose(factor * own, seen, rtol=1e-3, atol=1e-6 * abs(seen).max()):
            return first, word
    return first, "no KL"


@right("examine/readings", "many random latents, list of words, other case")
def name_readings(draw, kl):
    g = torch.Generator().manual_seed(5)
    s = (0.2 + 2 * torch.rand(6, 3, generator=g)).requires_grad_()
    mu = torch.randn(6, 3, generator=g).requires_grad_()
    scale = (draw(mu, s, torch.full_like(s, 2.0)) - mu) / 2
    guesses = [(s / 2).exp(), s.exp(), s, s.sqrt()]
    first = WORDS[int(np.argmin([(scale - guess).abs().mean().item() for guess in guesses]))]
    found = torch.cat(torch.autograd.grad(kl(mu, s), (mu, s)))
    second = "No KL"
    for word in WORDS:
        own = torch.cat(torch.autograd.grad(own_kl(word, mu, s), (mu, s)))
        if torch.dot(found.flatten() / found.norm(), own.flatten() / own.norm()) > 1 - 1e-5:
            second = word
    return [first.title(), second]


def right_draw(draw):
    s = torch.tensor([[3.0]])
    z = float(draw(torch.zeros(1, 1), s, torch.ones(1, 1)))
    at = {"log-variance": math.exp(1.5), "log sigma": math.exp(3), "sigma": 3.0, "variance": math.sqrt(3)}
    return min(at, key=lambda w: abs(z - at[w]))


def match(kl, points, words=WORDS, absolute=False, factor=True, value=False):
    """The word whose slopes fit at these points."""
    mu = torch.tensor([[m for m, _ in points]], requires_grad=True)
    s = torch.tensor([[v for _, v in points]], requires_grad=True)
    found = torch.cat(torch.autograd.grad(kl(mu, s), (mu, s)), 1)
    for word in words:
        own = torch.cat(torch.autograd.grad(own_kl(word, mu, s), (mu, s)), 1)
        cosine = F.cosine_similarity(found, own)
        fits = (cosine.abs() if absolute else cosine) > 0.9999 if factor else torch.allclose(found, own, rtol=1e-3)
        if fits:
            return word
    return "no KL"


POINTS = [(1.0, 0.5), (-2.0, 2.0), (0.5, 3.0)]


@wrong("examine/readings", "KL not looked at")
def name_readings(draw, kl):
    return right_draw(draw), right_draw(draw)


@wrong("examine/readings", "no free factor")
def name_readings(draw, kl):
    return right_draw(draw), match(kl, POINTS, factor=False)


@wrong("examine/readings", "sign of the slopes ignored")
def name_readings(draw, kl):
    return right_draw(draw), match(kl, POINTS, absolute=True)


@wrong("examine/readings", "variance and sigma exchanged")
def name_readings(draw, kl):
    swap = {"sigma": "variance", "variance": "sigma"}
    first, second = right_draw(draw), match(kl, POINTS)
    return swap.get(first, first), swap.get(second, second)


@wrong("examine/readings", "the draw tried at s = 1")
def name_readings(draw, kl):
    z = float(draw(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1)))
    at = {"log-variance": math.exp(0.5), "log sigma": math.e, "sigma": 1.0, "variance": 1.0}
    return min(at, key=lambda w: abs(z - at[w])), match(kl, POINTS)


@wrong("examine/readings", "exp(s) for sigma believed to be log-variance, draw only")
def name_readings(draw, kl):
    first = {"log-variance": "log sigma", "log sigma": "log-variance"}.get(right_draw(draw), right_draw(draw))
    return first, match(kl, POINTS)


@wrong("examine/readings", "values in place of slopes")
def name_readings(draw, kl):
    mu, s = torch.tensor([[1.0, -2.0, 0.5]]).double(), torch.tensor([[0.5, 2.0, 3.0]]).double()

    def numeric(f):
        out = []
        for k in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[k] = 1e-4
            a, b = step[:3].view(1, 3), step[3:].view(1, 3)
            out.append(float(f(mu + a, s + b) - f(mu - a, s - b)))
        return torch.tensor(out)

    found = numeric(kl)
    for word in WORDS:
        own = numeric(lambda m, v, word=word: own_kl(word, m, v))
        if F.cosine_similarity(found, own, dim=0) > 0.9999:
            return right_draw(draw), word
    return right_draw(draw), "no KL"


@wrong("examine/readings", "the slope in mu not looked at")
def name_readings(draw, kl):
    mu = torch.tensor([[1.0, -2.0, 0.5]])
    s = torch.tensor([[0.5, 2.0, 3.0]], requires_grad=True)
    found = torch.autograd.grad(kl(mu, s), s)[0]
    for word in WORDS:
        own = torch.autograd.grad(own_kl(word, mu, s), s)[0]
        if F.cosine_similarity(found, own) > 0.9999:
            return right_draw(draw), word
    return right_draw(draw), "no KL"


@wrong("examine/readings", "best of four, never no KL")
def name_readings(draw, kl):
    mu = torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    s = torch.tensor([[0.5, 2.0, 3.0]], requires_grad=True)
    found = torch.cat(torch.autograd.grad(kl(mu, s), (mu, s)), 1)
    return right_draw(draw), max(
        WORDS,
        key=lambda w: F.cosine_similarity(found, torch.cat(torch.autograd.grad(own_kl(w, mu, s), (mu, s)), 1)),
    )


@wrong("examine/readings", "a KL of something else than the draw's is no KL")
def name_readings(draw, kl):
    first, second = right_draw(draw), match(kl, POINTS)
    return first, second if second == first else "no KL"


@wrong("examine/readings", "only the log-variance known for the KL")
def name_readings(draw, kl):
    return right_draw(draw), match(kl, POINTS, words=("log-variance",))


@wrong("examine/readings", "order of the two words")
def name_readings(draw, kl):
    return match(kl, POINTS), right_draw(draw)


@wrong("examine/readings", "only the slope at the minimum: sigma = 1 and mu = 0")
def name_readings(draw, kl):
    flat = {"log-variance": 0.0, "log sigma": 0.0, "sigma": 1.0, "variance": 1.0}
    for word, at in flat.items():
        mu, s = torch.zeros(1, 1, requires_grad=True), torch.full((1, 1), at + 1e-6, requires_grad=True)
        g = torch.autograd.grad(kl(mu, s), (mu, s))
        if max(float(x.abs()) for x in g) < 1e-3:
            return right_draw(draw), word
    return right_draw(draw), "no KL"


# ---------------------------------------------------------------- examine/validation
def costs_of(batches, noise, encoder, decoder):
    costs = []
    for x, eps in zip(batches, noise):
        m, lv = encoder(x)
        logits = decoder(m + (lv / 2).exp() * eps)
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        costs.append(bce + 0.5 * (m**2 + lv.exp() - 1 - lv).sum(1))
    return costs


@right("examine/validation", "torch.distributions on one table")
def validate(mu, log_var, batches, noise, encoder, decoder):
    x, eps = torch.cat(batches), torch.cat(noise)
    m, lv = encoder(x)
    q = Normal(m, (lv / 2).exp())
    log_p = Bernoulli(logits=decoder(m + q.scale * eps)).log_prob(x).sum(1)
    elbo = log_p - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    return -elbo.mean(), stats.sem(elbo.numpy())


@right("examine/validation", "running sums")
def validate(mu, log_var, batches, noise, encoder, decoder):
    n, total, squares = 0, 0.0, 0.0
    for cost in costs_of(batches, noise, encoder, decoder):
        for value in cost.double().tolist():
            n, total, squares = n + 1, total + value, squares + value**2
    mean = total / n
    variance = (squares - n * mean**2) / (n - 1)
    return mean, math.sqrt(variance / n)


@right("examine/validation", "picture by picture, numpy")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = []
    for x, eps in zip(batches, noise):
        for row, e in zip(x, eps):
            m, lv = encoder(row[None])
            p = torch.sigmoid(decoder(m + torch.sqrt(lv.exp()) * e[None])).double()
            bce = -torch.where(row[None] > 0.5, p.log(), (1 - p).log()).sum()
            costs.append(float(bce + 0.5 * (m.double() ** 2 + lv.double().exp() - 1 - lv.double()).sum()))
    return np.mean(costs), np.std(costs, ddof=1) / np.sqrt(len(costs))


def spoilt(z="sample", kl="own", bce="sum", weight=True, se="pictures"):
    def validate(mu, log_var, batches, noise, encoder, decoder):
        costs = []
        for x, eps in zip(batches, noise):
            m, lv = encoder(x)
            code = m if z == "mean" else m + (lv.exp() if z == "variance" else (lv / 2).exp()) * eps
            cost = F.binary_cross_entropy_with_logits(decoder(code), x, reduction="none")
            cost = cost.sum(1) if bce == "sum" else cost.mean(1)
            a, b = (mu, log_var) if kl == "stale" else (m, lv)
            term = 0.5 * (a**2 + b.exp() - 1 - b).sum(1)
            costs.append(cost + (term.mean() if kl in ("stale", "mean") else term))
        everything = torch.cat(costs)
        means = torch.stack([cost.mean() for cost in costs])
        number = everything.mean() if weight else means.mean()
        error = {
            "pictures": everything.std() / len(everything) ** 0.5,
            "batches": means.std() / len(means) ** 0.5,
            "deviation": everything.std(),
            "biased": everything.std(correction=0) / len(everything) ** 0.5,
        }[se]
        return number, error

    return validate


for label, options in {
    "stale KL": {"kl": "stale"},
    "mean decoded": {"z": "mean"},
    "batches count the same": {"weight": False},
    "stale KL, mean decoded": {"kl": "stale", "z": "mean"},
    "all three, error over batches": {"kl": "stale", "z": "mean", "weight": False, "se": "batches"},
    "error over batches": {"se": "batches"},
    "standard deviation": {"se": "deviation"},
    "divided by N": {"se": "biased"},
    "KL averaged over the batch, so that the spread lacks it": {"kl": "mean"},
    "variance for sigma": {"z": "variance"},
    "BCE averaged over pixels": {"bce": "mean"},
}.items():
    wrong("examine/validation", label)(spoilt(**options))


@wrong("examine/validation", "ELBO, not its negative")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = torch.cat(costs_of(batches, noise, encoder, decoder))
    return -costs.mean(), costs.std() / len(costs) ** 0.5


@wrong("examine/validation", "fresh noise in place of the given noise")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = torch.cat(costs_of(batches, [torch.randn_like(eps) for eps in noise], encoder, decoder))
    return costs.mean(), costs.std() / len(costs) ** 0.5


@wrong("examine/validation", "mean weighted by batch, last batch dropped")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = torch.cat(costs_of(batches[:-1], noise[:-1], encoder, decoder))
    return costs.mean(), costs.std() / len(costs) ** 0.5


@wrong("examine/validation", "log q − log p of the sample for the KL")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = []
    for x, eps in zip(batches, noise):
        m, lv = encoder(x)
        code = m + (lv / 2).exp() * eps
        ratio = 0.5 * (code**2 - eps**2 - lv).sum(1)
        costs.append(F.binary_cross_entropy_with_logits(decoder(code), x, reduction="none").sum(1) + ratio)
    costs = torch.cat(costs)
    return costs.mean(), costs.std() / len(costs) ** 0.5


# ---------------------------------------------------------------- examine/nats
def prices(loss, x, x_hat, mu, log_var):
    """What a square and a nat of KL in each picture add to the loss."""
    t = x_hat.clone().requires_grad_()
    m = mu.clone().requires_grad_()
    g_t, g_m = torch.autograd.grad(loss(x, t, m, log_var), (t, m))
    square = (g_t * (t - x)).sum() / (2 * (t - x) ** 2).sum() * len(x)
    nat = (g_m * m).sum() / (m**2).sum() * len(x)
    return square.item(), nat.item()


def elbo_at(sigma, x, x_hat, mu, log_var):
    log_p = Normal(x_hat, sigma).log_prob(x).sum(1)
    return (log_p - 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1)).mean()


@right("examine/nats", "gradients projected on those of the terms")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    square, nat = prices(loss, x, x_hat, mu, log_var)
    sigma = math.sqrt(nat / square / 2)
    return sigma, elbo_at(sigma, x, x_hat, mu, log_var)


@right("examine/nats", "double precision, formula of the density, list")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    x, x_hat, mu, log_var = (t.double() for t in (x, x_hat, mu, log_var))
    b, n = x.shape
    here = loss(x, x_hat, mu, log_var)
    rec = (loss(x, x_hat + 2, mu, log_var) - here) / (((x - x_hat - 2) ** 2).sum() - ((x - x_hat) ** 2).sum()) * b
    lv = torch.zeros_like(log_var) + 2
    kl = (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum() / b
    other = 0.5 * (mu**2 + lv.exp() - 1 - lv).sum() / b
    nat = (loss(x, x_hat, mu, lv) - here) / (other - kl)
    variance = nat / (2 * rec)
    elbo = -((x - x_hat) ** 2).sum() / (2 * variance) / b - n / 2 * torch.log(2 * math.pi * variance) - kl
    return [variance**0.5, elbo]


@right("examine/nats", "regression on random changes")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    g = torch.Generator().manual_seed(1)
    x, x_hat, mu, log_var = (t.double() for t in (x, x_hat, mu, log_var))
    rows, values = [], []
    for _ in range(30):
        t = x_hat + torch.rand(1, generator=g, dtype=torch.float64) * 3
        m = mu * torch.rand(1, generator=g, dtype=torch.float64) * 3
        rows.append([((x - t) ** 2).sum(1).mean() / 2, 0.5 * (m**2 + log_var.exp() - 1 - log_var).sum(1).mean(), 1.0])
        values.append(float(loss(x, t, m, log_var)))
    a, b, _ = np.linalg.lstsq(np.array(rows, dtype=float), np.array(values), rcond=None)[0]
    sigma = np.sqrt(b / a)
    return sigma, elbo_at(float(sigma), x, x_hat, mu, log_var)


def wrongly(sigma=None, elbo=None):
    def sigma_and_elbo(loss, x, x_hat, mu, log_var):
        square, nat = prices(loss, x, x_hat, mu, log_var)
        found = math.sqrt(nat / square / 2) if sigma is None else sigma(square, nat, x, mu)
        if elbo is None:
            return found, elbo_at(found, x, x_hat, mu, log_var)
        sse = ((x - x_hat) ** 2).sum(1).mean()
        kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1).mean()
        return found, elbo(found, sse, kl, x.shape[1], loss(x, x_hat, mu, log_var), len(x))

    return sigma_and_elbo


LOG_2PI = math.log(2 * math.pi)
for label, answer in {
    "ratio of prices of a square and a nat, no half": wrongly(lambda sq, nat, x, mu: math.sqrt(nat / sq)),
    "variance returned": wrongly(lambda sq, nat, x, mu: nat / sq / 2),
    "precision: upside down": wrongly(lambda sq, nat, x, mu: math.sqrt(2 * sq / nat)),
    "only the factor of the squares": wrongly(lambda sq, nat, x, mu: math.sqrt(1 / (2 * sq))),
    "means compared": wrongly(lambda sq, nat, x, mu: math.sqrt(nat * mu.shape[1] / (sq * x.shape[1]) / 2)),
    "square root half for every loss": wrongly(lambda sq, nat, x, mu: math.sqrt(0.5)),
    "minus the loss": wrongly(elbo=lambda s, sse, kl, n, loss, b: -loss),
    "no constants": wrongly(elbo=lambda s, sse, kl, n, loss, b: -sse / (2 * s * s) - kl),
    "log 2 pi forgotten": wrongly(elbo=lambda s, sse, kl, n, loss, b: -sse / (2 * s * s) - n * math.log(s) - kl),
    "log sigma once": wrongly(
        elbo=lambda s, sse, kl, n, loss, b: -sse / (2 * s * s) - math.log(s) - n * LOG_2PI / 2 - kl
    ),
    "KL times beta": wrongly(
        elbo=lambda s, sse, kl, n, loss, b: -sse / (2 * s * s) - n * (math.log(s) + LOG_2PI / 2) - s * s * kl
    ),
    "negative ELBO": wrongly(
        elbo=lambda s, sse, kl, n, loss, b: sse / (2 * s * s) + n * (math.log(s) + LOG_2PI / 2) + kl
    ),
    "summed over the batch": wrongly(
        elbo=lambda s, sse, kl, n, loss, b: b * (-sse / (2 * s * s) - n * (math.log(s) + LOG_2PI / 2) - kl)
    ),
    "KL added": wrongly(elbo=lambda s, sse, kl, n, loss, b: -sse / (2 * s * s) - n * (math.log(s) + LOG_2PI / 2) + kl),
}.items():
    wrong("examine/nats", label)(answer)


@wrong("examine/nats", "the sigma with the highest ELBO for this batch")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    best = optimize.minimize_scalar(
        lambda log_sigma: -float(elbo_at(math.exp(log_sigma), x.double(), x_hat.double(), mu, log_var)),
        bounds=(-4, 2),
        method="bounded",
    )
    sigma = math.exp(best.x)
    return sigma, elbo_at(sigma, x, x_hat, mu, log_var)


@wrong("examine/nats", "values at zero taken for terms")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    zero = torch.zeros_like(mu)
    rec = loss(x, x_hat, zero, zero) / ((x - x_hat) ** 2).sum(1).mean()
    nat = loss(x, x, mu, log_var) / (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum(1).mean()
    sigma = float((nat / rec / 2).abs()) ** 0.5
    return sigma, elbo_at(sigma, x, x_hat, mu, log_var)


# ---------------------------------------------------------------- examine/reductions, a second set
@wrong("examine/reductions", "squares: doubles beta instead of halving it")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    r = {"sum": batch, "batch mean": 1.0, "mean": 1 / n_pixels}[reconstruction]
    k = {"sum": batch, "batch mean": 1.0, "mean": 1 / n_latents}[kl]
    half = 2 if pixels == "squares" else 1
    return weight * k / r * half


@wrong("examine/reductions", "batch size ignored: 'sum' treated as 'batch mean'")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    r = 1 / n_pixels if reconstruction == "mean" else 1
    k = 1 / n_latents if kl == "mean" else 1
    beta = weight * k / r
    return beta / 2 if pixels == "squares" else beta


@wrong("examine/reductions", "same reduction word cancels: 'mean' + 'mean' gives the weight, forgets D != d")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    if pixels == "squares":
        weight = weight / 2
    if reconstruction == kl:
        return weight
    r = {"sum": 1, "batch mean": 1 / batch, "mean": 1 / batch / n_pixels}[reconstruction]
    k = {"sum": 1, "batch mean": 1 / batch, "mean": 1 / batch / n_latents}[kl]
    return weight * k / r


@right("examine/reductions", "scales per picture")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    r = {"sum": batch, "batch mean": 1.0, "mean": 1 / n_pixels}[reconstruction]
    k = {"sum": batch, "batch mean": 1.0, "mean": 1 / n_latents}[kl]
    if pixels == "squares":
        r = 2 * r
    return weight * k / r


@right("examine/reductions", "autograd on tensors of ones")
def beta_of_code(pixels, reconstruction, kl, weight, n_pixels, n_latents, batch):
    def reduce(t, how):
        if how == "sum":
            return t.sum()
        if how == "mean":
            return t.mean()
        return t.sum(1).mean()

    nll = torch.ones(batch, n_pixels, dtype=torch.float64, requires_grad=True)
    each = torch.ones(batch, n_latents, dtype=torch.float64, requires_grad=True)
    term = nll if pixels == "bce" else 2 * nll
    loss = reduce(term, reconstruction) + weight * reduce(each, kl)
    loss.backward()
    return each.grad[0, 0] / nll.grad[0, 0]


# ---------------------------------------------------------------- examine/likelihood, a second set
def slope_at(loss, x, t):
    t = t.detach().clone().requires_grad_(True)
    return torch.autograd.grad(loss(x, t), t)[0].detach()


def nearest(g, templates):
    g = g.double().flatten()
    best, name = -2, None
    for k, v in templates.items():
        v = v.double().flatten()
        c = float(g @ v / (g.norm() * v.norm()))
        if c > best:
            best, name = c, k
    return name


@wrong("examine/likelihood", "compares the loss's value with five formulas: ignores unknown factor and constant")
def name_likelihood(loss, x):
    t = torch.linspace(0.1, 0.9, x.numel(), dtype=x.dtype).reshape(x.shape)
    value = float(loss(x, t))
    formulas = {
        "bernoulli": F.binary_cross_entropy(t, x),
        "bernoulli logits": F.binary_cross_entropy_with_logits(t, x),
        "sigmoid twice": F.binary_cross_entropy_with_logits(t.sigmoid(), x),
        "gaussian": F.mse_loss(t, x),
        "laplace": F.l1_loss(t, x),
    }
    gap = {}
    for k, v in formulas.items():
        gap[k] = min(abs(value - float(v)), abs(value - float(v) * x.numel()))
    return min(gap, key=gap.get)


@wrong(
    "examine/likelihood",
    "slope never vanishes for dark x => 'sigmoid twice'; true of log-odds in (0,1) too: logits named 'sigmoid twice'",
)
def name_likelihood(loss, x):
    low = torch.full_like(x, 0.3)
    a = slope_at(loss, low, torch.full_like(x, 0.1)).mean()
    b = slope_at(loss, low, torch.full_like(x, 0.6)).mean()
    c = slope_at(loss, low, torch.full_like(x, 0.9)).mean()
    if a > 0:  # no output reaches a probability of 0.3
        return "sigmoid twice"
    if torch.isclose(b, c, rtol=1e-3):
        return "laplace"
    if torch.isclose(a / b, torch.tensor(-0.2 / 0.3, dtype=a.dtype), rtol=1e-3):
        return "gaussian"
    if torch.isclose(a / b, torch.tensor(-(0.2 / 0.09) / (0.3 / 0.24), dtype=a.dtype), rtol=1e-3):
        return "bernoulli"
    return "bernoulli logits"


@wrong(
    "examine/likelihood",
    "slope of BCE in a probability taken for t - x (it is that in the log-odds): gaussian named 'bernoulli'",
)
def name_likelihood(loss, x):
    t = torch.linspace(0.05, 0.95, x.numel(), dtype=x.dtype).reshape(x.shape)
    g = slope_at(loss, x, t)
    p = t.sigmoid()
    q = p.sigmoid()
    return nearest(
        g,
        {
            "bernoulli": t - x,
            "bernoulli logits": p - x,
            "sigmoid twice": (q - x) * p * (1 - p),
            "gaussian": t - x,
            "laplace": (t - x).sign(),
        },
    )


@right("examine/likelihood", "cosine with slopes of five own losses")
def name_likelihood(loss, x):
    torch_gen = torch.Generator().manual_seed(3)
    t = 0.02 + 0.96 * torch.rand(x.shape, generator=torch_gen, dtype=torch.float64).to(x.dtype)
    y = 0.02 + 0.96 * torch.rand(x.shape, generator=torch_gen, dtype=torch.float64).to(x.dtype)
    g = slope_at(loss, y, t)
    mine = {
        "bernoulli": lambda x, t: F.binary_cross_entropy(t, x),
        "bernoulli logits": lambda x, t: F.binary_cross_entropy_with_logits(t, x),
        "sigmoid twice": lambda x, t: F.binary_cross_entropy_with_logits(t.sigmoid(), x),
        "gaussian": lambda x, t: ((x - t) ** 2).sum(),
        "laplace": lambda x, t: (x - t).abs().sum(),
    }
    return nearest(g, {k: slope_at(f, y, t) for k, f in mine.items()})


@right("examine/likelihood", "ratio of two slopes at x = 0.1")
def name_likelihood(loss, x):
    dark = torch.full_like(x, 0.1)
    near = float(slope_at(loss, dark, torch.full_like(x, 0.2))[0, 0])
    far = float(slope_at(loss, dark, torch.full_like(x, 0.6))[0, 0])
    s = lambda v: 1 / (1 + math.exp(-v))

    def ratio(f):
        return f(0.2) / f(0.6)

    expected = {
        "bernoulli": ratio(lambda t: (t - 0.1) / (t * (1 - t))),
        "bernoulli logits": ratio(lambda t: s(t) - 0.1),
        "sigmoid twice": ratio(lambda t: (s(s(t)) - 0.1) * s(t) * (1 - s(t))),
        "gaussian": ratio(lambda t: t - 0.1),
        "laplace": 1.0,
    }
    return min(expected, key=lambda k: abs(expected[k] - near / far))


# ---------------------------------------------------------------- examine/draws, a second set
def look_at(sample, log_var, frozen_first=False):
    mu = torch.zeros(300, 200)
    s = torch.full_like(mu, log_var)
    sigma = math.exp(log_var / 2)
    a, b = sample(mu, s), sample(mu, s)
    none = torch.equal(a, mu)
    if frozen_first and torch.equal(a, b):
        return "frozen"
    if none:
        return "none"
    if torch.equal(a, b):
        return "frozen"
    if torch.allclose(a, a[:1].expand_as(a)) or torch.allclose(a, a[:, :1].expand_as(a)):
        return "shared"
    if a.min() >= 0:
        return "uniform"
    if abs(a.std() / sigma - 1) > 0.2:
        return "variance"
    return "right"


@wrong("examine/draws", "tests at log_var = 0, where sigma = sigma^2: 'variance' called 'right'")
def name_draws(sample):
    return look_at(sample, 0.0)


@wrong("examine/draws", "equal calls tested before z = mu: 'none' called 'frozen'")
def name_draws(sample):
    return look_at(sample, 2.0, frozen_first=True)


@wrong("examine/draws", "12 draws only: chance decides")
def name_draws(sample):
    mu = torch.zeros(3, 4)
    s = torch.full_like(mu, math.log(4.0))
    a, b = sample(mu, s), sample(mu, s)
    if torch.equal(a, mu):
        return "none"
    if torch.equal(a, b):
        return "frozen"
    if torch.allclose(a, a[:1].expand_as(a)) or torch.allclose(a, a[:, :1].expand_as(a)):
        return "shared"
    eps = a / 2
    if abs(eps.mean()) > 0.3:
        return "uniform"
    if abs(eps.std() - 1) > 0.3:
        return "variance"
    return "right"


@right("examine/draws", "log_var 2, 60000 draws")
def name_draws(sample):
    return look_at(sample, 2.0)


@right("examine/draws", "five calls, spreads along each axis, log_var -1.5")
def name_draws(sample):
    mu = torch.full((400, 150), 3.0, dtype=torch.float64)
    s = torch.full_like(mu, -1.5)
    z = torch.stack([sample(mu, s) for _ in range(5)]) - mu
    if z.abs().max() == 0:
        return "none"
    if (z.std(0) < 1e-9).all():
        return "frozen"
    if (z.std(1) < 1e-9).all() or (z.std(2) < 1e-9).all():
        return "shared"
    eps = z / math.exp(-0.75)
    if eps.mean() > 0.25:
        return "uniform"
    return "variance" if eps.std() < 0.8 else "right"


# ---------------------------------------------------------------- examine/readings, a second set
def sigma_of(word, s):
    return {"log-variance": (s / 2).exp(), "log sigma": s.exp(), "sigma": s, "variance": s.sqrt()}[word]


def kl_summed(word, mu, s):
    sd = sigma_of(word, s)
    return (0.5 * (mu**2 + sd**2 - 1) - sd.log()).sum()


def slopes_of(f, mu, s):
    mu = mu.clone().requires_grad_(True)
    s = s.clone().requires_grad_(True)
    v = f(mu, s)
    if not v.requires_grad:
        return torch.zeros_like(mu), torch.zeros_like(s)
    g = torch.autograd.grad(v, (mu, s), allow_unused=True)
    return tuple(torch.zeros_like(mu) if a is None else a for a in g)


def drawn_with(draw):
    s = torch.linspace(0.2, 3.8, 12, dtype=torch.float64).reshape(3, 4)
    got = draw(torch.zeros_like(s), s, torch.ones_like(s))
    return min(WORDS, key=lambda w: float((got - sigma_of(w, s)).abs().max()))


@wrong("examine/readings", "only the slopes in s are judged, mu's are ignored: wrong/missing mu part passes as a KL")
def name_readings(draw, kl):
    s = torch.linspace(0.2, 3.8, 12, dtype=torch.float64).reshape(3, 4)
    mu = torch.linspace(-1.5, 2, 12, dtype=torch.float64).reshape(3, 4)
    g = slopes_of(kl, mu, s)[1].flatten()
    for w in WORDS:
        h = slopes_of(lambda m, t: kl_summed(w, m, t), mu, s)[1].flatten()
        c = (g @ h) / (h @ h)
        if c > 0 and torch.allclose(g, c * h, rtol=1e-4, atol=1e-6):
            return drawn_with(draw), w
    return drawn_with(draw), "no KL"


@wrong(
    "examine/readings", "KL judged by its value, not its slopes: factor or constant gives 'no KL', detached s passes"
)
def name_readings(draw, kl):
    s = torch.linspace(0.2, 3.8, 12, dtype=torch.float64).reshape(3, 4)
    mu = torch.linspace(-1.5, 2, 12, dtype=torch.float64).reshape(3, 4)
    value = float(kl(mu, s))
    for w in WORDS:
        if math.isclose(value, float(kl_summed(w, mu, s)), rel_tol=1e-4):
            return drawn_with(draw), w
    return drawn_with(draw), "no KL"


@wrong(
    "examine/readings",
    "tests at s = 1 only, where sigma and variance agree (both 1, slope 0): 'variance' called 'sigma'",
)
def name_readings(draw, kl):
    one = torch.ones(1, 1, dtype=torch.float64)
    half = 0.5 * one
    width = float(draw(0 * one, one, one))
    if abs(width - math.exp(0.5)) < 1e-4:
        drawn = "log-variance"
    elif abs(width - math.e) < 1e-4:
        drawn = "log sigma"
    elif abs(width - 1) < 1e-4:
        drawn = "sigma"
    else:
        drawn = "variance"
    gm, gs = (float(a) for a in slopes_of(kl, half, one))
    c = gm / 0.5
    if c <= 0:
        return drawn, "no KL"
    for w, slope in zip(WORDS, (0.5 * (math.e - 1), math.e**2 - 1, 0.0, 0.0)):
        if abs(gs / c - slope) < 1e-4:
            return drawn, w
    return drawn, "no KL"


@right("examine/readings", "least-squares factor over all slopes")
def name_readings(draw, kl):
    s = torch.linspace(0.2, 3.8, 12, dtype=torch.float64).reshape(3, 4)
    mu = torch.tensor([1.0, -0.7, 0.4, 2.0, -1.6, 0.9, -0.3, 1.3, -2.0, 0.6, 1.7, -1.1], dtype=torch.float64).reshape(
        3, 4
    )
    g = torch.cat([a.flatten() for a in slopes_of(kl, mu, s)])
    charged = "no KL"
    for w in WORDS:
        h = torch.cat([a.flatten() for a in slopes_of(lambda m, t: kl_summed(w, m, t), mu, s)])
        c = (g @ h) / (h @ h)
        if c > 0 and (g - c * h).norm() < 1e-3 * (c * h).norm():
            charged = w
    return drawn_with(draw), charged


@right("examine/readings", "inverts sigma; ratio of mu slopes gives the factor")
def name_readings(draw, kl):
    s = torch.tensor([[0.5, 1.5, 2.0, 3.0]], dtype=torch.float64)
    mu = torch.tensor([[0.8, -1.2, 1.0, -0.6]], dtype=torch.float64)
    ms = draw(mu, s, 2 * torch.ones_like(s)) - mu
    sd = ms / 2
    tests = {"log-variance": 2 * sd.log(), "log sigma": sd.log(), "sigma": sd, "variance": sd**2}
    drawn = next(w for w, v in tests.items() if torch.allclose(v, s, rtol=1e-4))
    gm, gs = slopes_of(kl, mu, s)
    ratio = gm / mu
    c = ratio.mean()
    charged = "no KL"
    if c > 0 and torch.allclose(ratio, c.expand_as(ratio), rtol=1e-4):
        slopes = {
            "log-variance": (s.exp() - 1) / 2,
            "log sigma": (2 * s).exp() - 1,
            "sigma": s - 1 / s,
            "variance": (1 - 1 / s) / 2,
        }
        for w, v in slopes.items():
            if torch.allclose(gs / c, v, rtol=1e-4):
                charged = w
    return drawn, charged


# ---------------------------------------------------------------- examine/validation, a second set
@wrong("examine/validation", "standard error from the spread of batch means, not of pictures")
def validate(mu, log_var, batches, noise, encoder, decoder):
    total, count, means = 0, 0, []
    for x, eps in zip(batches, noise):
        m, s = encoder(x)
        z = m + (s / 2).exp() * eps
        bce = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1)
        kl = -0.5 * (1 + s - m**2 - s.exp()).sum(1)
        cost = bce + kl
        total, count = total + cost.sum(), count + len(x)
        means.append(cost.mean())
    return total / count, torch.stack(means).std() / len(means) ** 0.5


@wrong("examine/validation", "KL still that of the training batch's codes")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = []
    for x, eps in zip(batches, noise):
        m, s = encoder(x)
        z = m + (s / 2).exp() * eps
        bce = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1)
        kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
        costs.append(bce + kl)
    c = torch.cat(costs)
    return c.mean(), c.std() / len(c) ** 0.5


@wrong("examine/validation", "standard error adds variances of BCE and KL, forgets their covariance")
def validate(mu, log_var, batches, noise, encoder, decoder):
    bces, kls = [], []
    for x, eps in zip(batches, noise):
        m, s = encoder(x)
        z = m + (s / 2).exp() * eps
        bces.append(F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1))
        kls.append(-0.5 * (1 + s - m**2 - s.exp()).sum(1))
    b, k = torch.cat(bces), torch.cat(kls)
    return (b + k).mean(), ((b.var() + k.var()) / len(b)).sqrt()


@right("examine/validation", "cat per picture")
def validate(mu, log_var, batches, noise, encoder, decoder):
    costs = []
    for x, eps in zip(batches, noise):
        m, s = encoder(x)
        z = m + (s / 2).exp() * eps
        bce = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1)
        costs.append(bce - 0.5 * (1 + s - m**2 - s.exp()).sum(1))
    c = torch.cat(costs)
    return c.mean(), c.std() / math.sqrt(len(c))


@right("examine/validation", "distributions and plain floats")
def validate(mu, log_var, batches, noise, encoder, decoder):
    n, first, second = 0, 0.0, 0.0
    values = []
    for x, eps in zip(batches, noise):
        q = Normal(*(lambda m, s: (m, torch.exp(0.5 * s)))(*encoder(x)))
        z = q.loc + q.scale * eps
        elbo = Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
        elbo = elbo - kl_divergence(q, Normal(torch.zeros_like(z), torch.ones_like(z))).sum(-1)
        values += (-elbo).tolist()
    n = len(values)
    mean = sum(values) / n
    var = sum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, (var / n) ** 0.5


# ---------------------------------------------------------------- examine/nats, a second set
def factors_of(loss, x, mu):
    """a, b with loss = a * SSE + b * KL summed + constant."""
    t = (x.detach() + 1.0).requires_grad_(True)
    m = torch.ones_like(mu).requires_grad_(True)
    s = torch.zeros_like(mu)
    gt, gm = torch.autograd.grad(loss(x, t, m, s), (t, m))
    return float(gt.mean()) / 2, float(gm.mean())


def kl_of_pictures(mu, log_var):
    return 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1)


@wrong("examine/nats", "forgets the ½ of the Gaussian: sigma too large by sqrt 2")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    a, b = factors_of(loss, x, mu)
    sigma = math.sqrt(b / a)
    log_p = torch.distributions.Normal(x_hat, sigma).log_prob(x).sum(1)
    return sigma, (log_p - kl_of_pictures(mu, log_var)).mean()


@wrong("examine/nats", "normalising constant counted once per picture instead of once per pixel")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    a, b = factors_of(loss, x, mu)
    sigma = math.sqrt(b / (2 * a))
    log_p = -((x - x_hat) ** 2).sum(1) / (2 * sigma**2) - 0.5 * math.log(2 * math.pi * sigma**2)
    return sigma, (log_p - kl_of_pictures(mu, log_var)).mean()


@wrong("examine/nats", "takes the best sigma (RMS error of the batch) for the sigma of the loss")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    sigma = float(((x - x_hat) ** 2).mean().sqrt())
    log_p = torch.distributions.Normal(x_hat, sigma).log_prob(x).sum(1)
    return sigma, (log_p - kl_of_pictures(mu, log_var)).mean()


@right("examine/nats", "autograd at own tensors")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    a, b = factors_of(loss, x, mu)
    sigma = math.sqrt(b / (2 * a))
    log_p = torch.distributions.Normal(x_hat, sigma).log_prob(x).sum(1)
    return sigma, (log_p - kl_of_pictures(mu, log_var)).mean()


@right("examine/nats", "differences of values with big steps")
def sigma_and_elbo(loss, x, x_hat, mu, log_var):
    zero = torch.zeros_like(mu)
    h = 30.0
    base = float(loss(x, x, zero, zero))
    up_x = (float(loss(x, x + h, zero, zero)) - base) / (x.numel() * h * h)  # per squared error
    up_m = (float(loss(x, x, zero + h, zero)) - base) / (mu.numel() * h * h / 2)  # per nat of KL
    var = up_m / (2 * up_x)
    B, D = x.shape
    sse = float(((x.double() - x_hat.double()) ** 2).sum()) / B
    elbo = (
        -sse / (2 * var)
        - D / 2 * math.log(2 * math.pi * var)
        - float(kl_of_pictures(mu.double(), log_var.double()).mean())
    )
    return var**0.5, elbo
