import math

import numpy as np
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch.distributions import ContinuousBernoulli, Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from independent import right, wrong


# ---------------------------------------------------------------- reconstruction/gaussian
@right("reconstruction/gaussian", "torch.distributions.Normal")
def nll_gaussian(x, x_hat, sigma):
    return -Normal(x_hat, sigma).log_prob(x).sum(1)


@right("reconstruction/gaussian", "einsum of the errors plus D log(sigma sqrt(2 pi))")
def nll_gaussian(x, x_hat, sigma):
    error = (x - x_hat) / sigma
    return torch.einsum("bd,bd->b", error, error) / 2 + x.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))


@right("reconstruction/gaussian", "scipy.stats.norm in a loop over pictures")
def nll_gaussian(x, x_hat, sigma):
    costs = []
    for picture, prediction in zip(x.detach().double().numpy(), x_hat.detach().double().numpy()):
        costs.append(-scipy.stats.norm.logpdf(picture, loc=prediction, scale=float(sigma)).sum())
    return torch.tensor(costs, dtype=x.dtype)


@wrong("reconstruction/gaussian", "constants dropped: only squared error / (2 sigma^2)")
def nll_gaussian(x, x_hat, sigma):
    return ((x - x_hat) ** 2).sum(1) / (2 * sigma**2)


@wrong("reconstruction/gaussian", "0.5 log 2 pi missing, log sigma kept")
def nll_gaussian(x, x_hat, sigma):
    return ((x - x_hat) ** 2 / (2 * sigma**2) + math.log(sigma)).sum(1)


@wrong("reconstruction/gaussian", "sigma not squared in the denominator")
def nll_gaussian(x, x_hat, sigma):
    return ((x - x_hat) ** 2 / (2 * sigma) + math.log(sigma) + 0.5 * math.log(2 * math.pi)).sum(1)


@wrong("reconstruction/gaussian", "variance given to Normal as scale")
def nll_gaussian(x, x_hat, sigma):
    return -Normal(x_hat, sigma**2).log_prob(x).sum(1)


@wrong("reconstruction/gaussian", "constants once per picture instead of once per pixel")
def nll_gaussian(x, x_hat, sigma):
    return ((x - x_hat) ** 2).sum(1) / (2 * sigma**2) + 0.5 * math.log(2 * math.pi * sigma**2)


@wrong("reconstruction/gaussian", "mean over pixels")
def nll_gaussian(x, x_hat, sigma):
    return -Normal(x_hat, sigma).log_prob(x).mean(1)


@wrong("reconstruction/gaussian", "summed over the batch too")
def nll_gaussian(x, x_hat, sigma):
    return -Normal(x_hat, sigma).log_prob(x).sum()


@wrong("reconstruction/gaussian", "sign: log-likelihood instead of cost")
def nll_gaussian(x, x_hat, sigma):
    return Normal(x_hat, sigma).log_prob(x).sum(1)


@wrong("reconstruction/gaussian", "half forgotten before the squared error")
def nll_gaussian(x, x_hat, sigma):
    return (((x - x_hat) / sigma) ** 2 + 0.5 * math.log(2 * math.pi * sigma**2)).sum(1)


@wrong("reconstruction/gaussian", "half forgotten before the logarithm of 2 pi sigma^2")
def nll_gaussian(x, x_hat, sigma):
    return (((x - x_hat) / sigma) ** 2 / 2 + math.log(2 * math.pi * sigma**2)).sum(1)


@wrong("reconstruction/gaussian", "sum over the pictures (dim 0)")
def nll_gaussian(x, x_hat, sigma):
    return -Normal(x_hat, sigma).log_prob(x).sum(0)


@wrong("reconstruction/gaussian", "log of a product of densities: underflows or overflows")
def nll_gaussian(x, x_hat, sigma):
    density = torch.exp(-((x - x_hat) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    return -density.prod(1).log()


@wrong("reconstruction/gaussian", "absolute error (Laplace) instead of squared")
def nll_gaussian(x, x_hat, sigma):
    return ((x - x_hat).abs() / (2 * sigma**2) + 0.5 * math.log(2 * math.pi * sigma**2)).sum(1)


@wrong("reconstruction/gaussian", "changes x in place")
def nll_gaussian(x, x_hat, sigma):
    x -= x_hat
    x /= sigma
    return (0.5 * x**2).sum(1) + x.shape[1] * (math.log(sigma) + 0.5 * math.log(2 * math.pi))


# ---------------------------------------------------------------- reconstruction/excess
@right("reconstruction/excess", "BCE with logits less the entropy by xlogy")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    floor = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x))
    return (bce - floor).sum(1)


@right("reconstruction/excess", "KL of Bernoullis by scipy: entropy by entr, log-sigmoids by log_expit")
def excess_bce(x, logits):
    p, a = x.detach().double().numpy(), logits.detach().double().numpy()
    cross = -(p * scipy.special.log_expit(a) + (1 - p) * scipy.special.log_expit(-a))
    entropy = scipy.special.entr(p) + scipy.special.entr(1 - p)
    return torch.from_numpy((cross - entropy).sum(axis=1)).to(x.dtype)


@right("reconstruction/excess", "loop over pixels with math, case by case")
def excess_bce(x, logits):
    result = []
    for row, row_logits in zip(x.tolist(), logits.tolist()):
        cost = 0.0
        for p, a in zip(row, row_logits):
            cost += max(a, 0.0) - a * p + math.log1p(math.exp(-abs(a)))
            if p > 0:
                cost += p * math.log(p)
            if p < 1:
                cost += (1 - p) * math.log(1 - p)
        result.append(cost)
    return torch.tensor(result, dtype=x.dtype)


@wrong("reconstruction/excess", "floor forgotten: plain BCE")
def excess_bce(x, logits):
    return binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


@wrong("reconstruction/excess", "x log x is nan for black and white pixels")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    floor = -(x * x.log() + (1 - x) * (1 - x).log())
    return (bce - floor).sum(1)


@wrong("reconstruction/excess", "pixels clamped to 0.01..0.99 in the floor")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    p = x.clamp(0.01, 0.99)
    return (bce + p * p.log() + (1 - p) * (1 - p).log()).sum(1)


@wrong("reconstruction/excess", "sigmoid and log by hand: infinite or nan for sure logits")
def excess_bce(x, logits):
    p = torch.sigmoid(logits)
    bce = -(x * p.log() + (1 - x) * (1 - p).log())
    return (bce + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).sum(1)


@wrong("reconstruction/excess", "binary_cross_entropy of the sigmoid: logarithms cut at -100")
def excess_bce(x, logits):
    bce = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none")
    return (bce + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).sum(1)


@wrong("reconstruction/excess", "probabilities clamped to 1e-6 before the log: wrong sure logits too cheap")
def excess_bce(x, logits):
    p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    bce = -(x * p.log() + (1 - x) * (1 - p).log())
    return (bce + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).sum(1)


@wrong("reconstruction/excess", "mean over pixels")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (bce + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).mean(1)


@wrong("reconstruction/excess", "entropy added instead of subtracted")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (bce - torch.xlogy(x, x) - torch.xlogy(1 - x, 1 - x)).sum(1)


@wrong("reconstruction/excess", "floor has only the x log x half")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (bce + torch.xlogy(x, x)).sum(1)


@wrong("reconstruction/excess", "floor of the mean grey of the picture instead of each pixel")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    m = x.mean(1)
    return bce + x.shape[1] * (torch.xlogy(m, m) + torch.xlogy(1 - m, 1 - m))


@wrong("reconstruction/excess", "one number: summed over the batch as well")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return bce + (torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).sum()


@wrong("reconstruction/excess", "floor as BCE with x itself given as logits")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (bce - binary_cross_entropy_with_logits(x, x, reduction="none")).sum(1)


@wrong("reconstruction/excess", "floor as the entropy of the decoder's own probabilities")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none")
    p = torch.sigmoid(logits)
    return (bce + torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum(1)


@wrong("reconstruction/excess", "least BCE taken over the pictures of the batch")
def excess_bce(x, logits):
    bce = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    return bce - bce.min()


# ---------------------------------------------------------------- reconstruction/held_out
@right("reconstruction/held_out", "root mean squared training error, formula by hand")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    variance = ((x - x_hat) ** 2).mean()
    squared = ((x_held - x_hat_held) ** 2).sum(1)
    return variance.sqrt(), 0.5 * squared / variance + 0.5 * x_held.shape[1] * torch.log(2 * math.pi * variance)


@right("reconstruction/held_out", "vector norm and Independent Normal")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = torch.linalg.vector_norm(x - x_hat) / math.sqrt(x.numel())
    return sigma, -Independent(Normal(x_hat_held, sigma), 1).log_prob(x_held)


@right("reconstruction/held_out", "scipy.stats.norm.fit with location fixed at 0, multivariate normal loop")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    errors = (x - x_hat).detach().double().numpy().ravel()
    _, scale = scipy.stats.norm.fit(errors, floc=0)
    held = (x_held - x_hat_held).detach().double().numpy()
    costs = [-sum(scipy.stats.norm.logpdf(row, 0, scale)) for row in held]
    return torch.tensor(float(scale), dtype=x.dtype), torch.tensor(np.array(costs), dtype=x.dtype)


@wrong("reconstruction/held_out", "sigma from the held-out pictures")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x_held - x_hat_held) ** 2).mean().sqrt()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "sigma from training and held-out pictures together")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    errors = torch.cat([x - x_hat, x_held - x_hat_held])
    sigma = errors.square().mean().sqrt()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "std of the errors: their mean is subtracted")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = (x - x_hat).std()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "returns and uses the variance as sigma")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "mean absolute error as sigma")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = (x - x_hat).abs().mean()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "average of the pictures' own sigmas")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean(1).sqrt().mean()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "cost of the training pictures")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    return sigma, -Normal(x_hat, sigma).log_prob(x).sum(1)


@wrong("reconstruction/held_out", "constants dropped from the cost")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    return sigma, ((x_held - x_hat_held) ** 2).sum(1) / (2 * sigma**2)


@wrong("reconstruction/held_out", "D/2 log(2 pi e sigma^2) for every picture, true only on average in training")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    cost = 0.5 * x.shape[1] * (torch.log(2 * math.pi * sigma**2) + 1)
    return sigma, cost.expand(x_held.shape[0])


@wrong("reconstruction/held_out", "each held-out picture gets its own best sigma")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    own = ((x_held - x_hat_held) ** 2).mean(1, keepdim=True).sqrt()
    return sigma, -Normal(x_hat_held, own).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "results in the wrong order")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    return -Normal(x_hat_held, sigma).log_prob(x_held).sum(1), sigma


@wrong("reconstruction/held_out", "squared error summed over pixels: sigma too large by sqrt(D)")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).sum(1).mean().sqrt()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "one sigma for each pixel position")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean(0).sqrt()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1)


@wrong("reconstruction/held_out", "mean held-out cost instead of one for each picture")
def held_out_cost(x, x_hat, x_held, x_hat_held):
    sigma = ((x - x_hat) ** 2).mean().sqrt()
    return sigma, -Normal(x_hat_held, sigma).log_prob(x_held).sum(1).mean()


# ---------------------------------------------------------------- reconstruction/better
@right("reconstruction/better", "normaliser logit / tanh(logit/2), double precision, paired differences")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    x64, a = x.double(), logits.double()
    safe = torch.where(a == 0, torch.ones_like(a), a)
    log_c = torch.where(a == 0, math.log(2) * torch.ones_like(a), (safe / torch.tanh(safe / 2)).log())
    elbo_a = (log_c - binary_cross_entropy_with_logits(a, x64, reduction="none")).sum(1) - kl_a.double()
    elbo_b = Normal(x_hat.double(), sigma).log_prob(x64).sum(1) - kl_b.double()
    d = elbo_a - elbo_b
    mean, error = d.mean(), d.std() / math.sqrt(len(d))
    if abs(mean) <= 2 * error:
        return "cannot tell", mean.item()
    return ("A" if mean > 0 else "B"), mean.item()


@right("reconstruction/better", "torch ContinuousBernoulli in double precision, numpy statistics")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    a = logits.double()
    # clamped only where the distribution's probabilities would saturate; |logit| goes into the constant directly there
    inside = ContinuousBernoulli(logits=a.clamp(-20, 20)).log_prob(x.double())
    outside = x.double() * a - F.relu(a) + a.abs().clamp(min=1).log()
    log_a = torch.where(a.abs() < 20, inside, outside).sum(1) - kl_a.double()
    log_b = Normal(x_hat.double(), float(sigma)).log_prob(x.double()).sum(1) - kl_b.double()
    d = (log_a - log_b).numpy()
    z = d.mean() / (d.std(ddof=1) / np.sqrt(d.size))
    word = "A" if z > 2 else "B" if z < -2 else "cannot tell"
    return word, float(d.mean())


@right("reconstruction/better", "loops: truncated exponential density exp(a x) a / (e^a - 1)")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    def log_integral(a):  # log of the integral of exp(a x) over 0..1
        if abs(a) < 1e-6:
            return a / 2
        if a > 0:
            return a + math.log(-math.expm1(-a) / a)
        return math.log(math.expm1(a) / a)

    differences = []
    for n in range(x.shape[0]):
        a = sum(l * p - log_integral(l) for l, p in zip(logits[n].tolist(), x[n].tolist())) - float(kl_a[n])
        b = sum(
            -0.5 * ((p - h) / sigma) ** 2 - math.log(sigma) - 0.5 * math.log(2 * math.pi)
            for p, h in zip(x[n].tolist(), x_hat[n].tolist())
        ) - float(kl_b[n])
        differences.append(a - b)
    count = len(differences)
    mean = sum(differences) / count
    variance = sum((d - mean) ** 2 for d in differences) / (count - 1)
    if mean**2 <= 4 * variance / count:
        return "cannot tell", mean
    return "A" if mean > 0 else "B", mean


@wrong("reconstruction/better", "plain BCE: normaliser of the continuous Bernoulli missing")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    elbo_a = -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1) - kl_a
    elbo_b = Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b
    d = elbo_a - elbo_b
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "normaliser is 0/0 where a logit is exactly 0")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    log_c = (logits / torch.tanh(logits / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "normaliser set to 0 instead of log 2 at logit 0 (nan_to_num)")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    log_c = torch.nan_to_num((logits / torch.tanh(logits / 2)).log(), nan=0.0)
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "normaliser subtracted instead of added")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (-log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "unpaired standard error: variances of both ELBOs added")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    elbo_b = Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b
    mean = (elbo_a.mean() - elbo_b.mean()).item()
    error = ((elbo_a.var() + elbo_b.var()) / len(x)).sqrt().item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "standard deviation instead of standard error")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)
    mean, spread = d.mean().item(), d.std().item()
    return ("cannot tell" if abs(mean) <= 2 * spread else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "no test: never says 'cannot tell'")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    mean = (elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)).mean().item()
    return ("A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "losses compared as if higher were better: words and sign interchanged")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    loss_a = (binary_cross_entropy_with_logits(logits, x, reduction="none") - log_c).sum(1) + kl_a
    loss_b = -Normal(x_hat, sigma).log_prob(x).sum(1) + kl_b
    d = loss_a - loss_b
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "word right, number is B less A")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    loss_a = (binary_cross_entropy_with_logits(logits, x, reduction="none") - log_c).sum(1) + kl_a
    loss_b = -Normal(x_hat, sigma).log_prob(x).sum(1) + kl_b
    d = loss_a - loss_b
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean < 0 else "B"), mean


@wrong("reconstruction/better", "KLs left out: compares reconstructions only")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    log_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1)
    d = log_a - Normal(x_hat, sigma).log_prob(x).sum(1)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "KL added to the log-likelihood instead of subtracted")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) + kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) + kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "Gaussian without its constants")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    elbo_b = -((x - x_hat) ** 2).sum(1) / (2 * sigma**2) - kl_b
    d = elbo_a - elbo_b
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "log-densities averaged over pixels before the KL is subtracted")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).mean(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).mean(1) - kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    return ("cannot tell" if abs(mean) <= 2 * error else "A" if mean > 0 else "B"), mean


@wrong("reconstruction/better", "difference reported as 0 when it cannot tell")
def better_decoder(x, logits, kl_a, x_hat, sigma, kl_b):
    safe = torch.where(logits == 0, torch.full_like(logits, 1e-3), logits)
    log_c = (safe / torch.tanh(safe / 2)).log()
    elbo_a = (log_c - binary_cross_entropy_with_logits(logits, x, reduction="none")).sum(1) - kl_a
    d = elbo_a - (Normal(x_hat, sigma).log_prob(x).sum(1) - kl_b)
    mean, error = d.mean().item(), (d.std() / len(d) ** 0.5).item()
    if abs(mean) <= 2 * error:
        return "cannot tell", 0.0
    return ("A" if mean > 0 else "B"), mean


# ---------------------------------------------------------------- reconstruction/hidden_beta
@right("reconstruction/hidden_beta", "three calls, large changes, one part at a time")
def hidden_beta(loss, x, logits, mu, log_var):
    zero_logits, zero = torch.zeros_like(logits), torch.zeros_like(mu)
    wrong_logits = 6 * (1 - 2 * x)
    far = torch.full_like(mu, 100.0)
    base = float(loss(x, zero_logits, zero, zero))
    r = float(loss(x, wrong_logits, zero, zero)) - base
    k = float(loss(x, zero_logits, far, zero)) - base
    nats_r = x.shape[1] * (math.log1p(math.exp(6)) - math.log(2))
    nats_k = 0.5 * 100.0**2 * mu.shape[1]
    return torch.tensor((k / nats_k) / (r / nats_r))


@right("reconstruction/hidden_beta", "two least-squares lines with intercept over random points, numpy")
def hidden_beta(loss, x, logits, mu, log_var):
    rng = np.random.default_rng(0)
    truth, size = x.double().numpy(), tuple(mu.shape)

    def slope(points, column):
        rows, values = [], []
        for a, m, v in points:
            a, m, v = (torch.tensor(t, dtype=x.dtype) for t in (a, m, v))
            values.append(float(loss(x, a, m, v)))
            a, m, v = a.double(), m.double(), v.double()
            r = binary_cross_entropy_with_logits(a, x.double(), reduction="sum").item() / len(x)
            kl = 0.5 * (m**2 + v.exp() - 1 - v).sum().item() / len(x)
            rows.append((r, kl)[column])
        design = np.stack([rows, np.ones(len(rows))], 1)
        return np.linalg.lstsq(design, np.array(values), rcond=None)[0][0]

    still = np.zeros(size)
    by_r = slope([(t * (1 - 2 * truth), still, still) for t in np.linspace(0, 6, 9)], 0)
    by_k = slope([(0 * truth, s * rng.standard_normal(size), still) for s in np.linspace(0, 100, 9)], 1)
    return by_k / by_r


@right("reconstruction/hidden_beta", "3x3 linear system for c, c beta and the constant, nats from torch.distributions")
def hidden_beta(loss, x, logits, mu, log_var):
    def parts(a, m, v):
        q = Normal(m.double(), (v.double() / 2).exp())
        kl = kl_divergence(q, Normal(torch.zeros_like(m.double()), torch.ones_like(m.double()))).sum(1).mean()
        r = -torch.distributions.Bernoulli(logits=a.double()).log_prob(x.double()).sum(1).mean()
        return torch.stack([r, kl, torch.ones_like(r)])

    points = [
        (4 * (2 * x - 1), torch.zeros_like(mu), torch.zeros_like(mu)),
        (5 * (1 - 2 * x), torch.zeros_like(mu), torch.zeros_like(mu)),
        (4 * (2 * x - 1), torch.full_like(mu, 3.0), torch.full_like(mu, 9.0)),
    ]
    matrix = torch.stack([parts(*p) for p in points])
    values = torch.tensor([float(loss(x, *p)) for p in points], dtype=torch.float64)
    c, c_beta, _ = torch.linalg.solve(matrix, values)
    return c_beta / c


@wrong("reconstruction/hidden_beta", "tiny finite differences drown in rounding")
def hidden_beta(loss, x, logits, mu, log_var):
    h = 1e-6
    base = loss(x, logits, mu, log_var)
    dk = (loss(x, logits, mu + h, log_var) - base) / (h * mu.sum(1).mean())
    dr = (loss(x, logits + h, mu, log_var) - base) / (h * (torch.sigmoid(logits) - x).sum(1).mean())
    return dk / dr


@wrong("reconstruction/hidden_beta", "constant ignored: loss with zero logits divided by R directly")
def hidden_beta(loss, x, logits, mu, log_var):
    zero = torch.zeros_like(mu)
    c = loss(x, torch.zeros_like(logits), zero, zero) / (x.shape[1] * math.log(2))
    far = torch.full_like(mu, 50.0)
    c_beta = (loss(x, torch.zeros_like(logits), far, zero) - loss(x, torch.zeros_like(logits), zero, zero)) / (
        1250.0 * mu.shape[1]
    )
    return c_beta / c


@wrong("reconstruction/hidden_beta", "c ignored: returns change of loss per nat of KL")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    k = loss(x, logits, far, zero) - loss(x, logits, zero, zero)
    return k / (1250.0 * mu.shape[1])


@wrong("reconstruction/hidden_beta", "inverse: nats of R over nats of KL")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / (1250.0 * mu.shape[1])
    r = (loss(x, bad, zero, zero) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return r / k


@wrong("reconstruction/hidden_beta", "KL averaged over latents instead of summed")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / 1250.0
    r = (loss(x, bad, zero, zero) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return k / r


@wrong("reconstruction/hidden_beta", "BCE averaged over pixels instead of summed")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / (1250.0 * mu.shape[1])
    r = (loss(x, bad, zero, zero) - base) / binary_cross_entropy_with_logits(bad, x).sub(math.log(2))
    return k / r


@wrong("reconstruction/hidden_beta", "KL summed over the batch, BCE averaged over it")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / (0.5 * far**2).sum()
    r = (loss(x, bad, zero, zero) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return k / r


@wrong("reconstruction/hidden_beta", "ratio of gradient norms, not divided by the gradients of R and KL")
def hidden_beta(loss, x, logits, mu, log_var):
    a, m = logits.clone().requires_grad_(), mu.clone().requires_grad_()
    by_a, by_m = torch.autograd.grad(loss(x, a, m, log_var), (a, m))
    return by_m.norm() / by_a.norm()


@wrong("reconstruction/hidden_beta", "zero logits taken for zero BCE")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / (1250.0 * mu.shape[1])
    r = (loss(x, bad, zero, zero) - base) / binary_cross_entropy_with_logits(bad, x, reduction="sum") * len(x)
    return k / r


@wrong("reconstruction/hidden_beta", "mu = 0 taken for KL = 0 although log_var is not 0")
def hidden_beta(loss, x, logits, mu, log_var):
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1).mean()
    k = (loss(x, logits, mu, log_var) - loss(x, logits, torch.zeros_like(mu), log_var)) / kl
    bad = 6 * (1 - 2 * x)
    bce = lambda a: binary_cross_entropy_with_logits(a, x, reduction="sum") / len(x)
    r = (loss(x, bad, mu, log_var) - loss(x, logits, mu, log_var)) / (bce(bad) - bce(logits))
    return k / r


@wrong("reconstruction/hidden_beta", "KL changed while the BCE is enormous: lost in rounding")
def hidden_beta(loss, x, logits, mu, log_var):
    zero = torch.zeros_like(mu)
    bad = 1e8 * (1 - 2 * x)
    kl = 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(1).mean()
    top = loss(x, bad, zero, zero)
    c = (top - loss(x, -bad, zero, zero)) / (1e8 * x.shape[1])
    return (loss(x, bad, mu, log_var) - top) / kl / c


@wrong("reconstruction/hidden_beta", "log_var read as log sigma in the KL")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, wide = torch.zeros_like(mu), torch.full_like(mu, 4.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, zero, wide) - base) / (mu.shape[1] * 0.5 * (math.exp(8.0) - 1 - 8.0))
    r = (loss(x, bad, zero, zero) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return k / r


@wrong("reconstruction/hidden_beta", "beta rescaled by d/D, the 'normalised beta'")
def hidden_beta(loss, x, logits, mu, log_var):
    zero, far = torch.zeros_like(mu), torch.full_like(mu, 50.0)
    flat, bad = torch.zeros_like(logits), 6 * (1 - 2 * x)
    base = loss(x, flat, zero, zero)
    k = (loss(x, flat, far, zero) - base) / (1250.0 * mu.shape[1])
    r = (loss(x, bad, zero, zero) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return k / r * mu.shape[1] / x.shape[1]


@wrong("reconstruction/hidden_beta", "overwrites mu, log_var and logits in place")
def hidden_beta(loss, x, logits, mu, log_var):
    log_var.zero_()
    base = float(loss(x, logits.zero_(), mu.zero_(), log_var))
    k = (float(loss(x, logits, mu.fill_(100.0), log_var)) - base) / (5000.0 * mu.shape[1])
    mu.zero_()
    logits.copy_(6 * (1 - 2 * x))
    r = (float(loss(x, logits, mu, log_var)) - base) / (x.shape[1] * (math.log1p(math.exp(6)) - math.log(2)))
    return k / r


# ---------------------------------------------------------------- reconstruction/repaired_loss
@right("reconstruction/repaired_loss", "formula by hand, summed over pixels and latents")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = (x - x_hat) ** 2 / (2 * torch.exp(2 * log_sigma)) + log_sigma + 0.5 * math.log(2 * math.pi)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp())
    return (reconstruction.sum(1) + kl.sum(1)).mean()


@right("reconstruction/repaired_loss", "torch.distributions: log_prob and kl_divergence")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    pixels = Independent(Normal(x_hat, log_sigma.exp()), 1)
    q = Independent(Normal(mu, (log_var / 2).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return (kl_divergence(q, prior) - pixels.log_prob(x)).mean()


@right("reconstruction/repaired_loss", "mse_loss times D, loop over pictures for the KL")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    B, D = x.shape
    reconstruction = D * (mse_loss(x_hat, x) / 2 * torch.exp(-2 * log_sigma) + log_sigma + math.log(2 * math.pi) / 2)
    kl = 0.0
    for m, v in zip(mu, log_var):
        kl = kl + (torch.dot(m, m) + torch.expm1(v).sum() - v.sum()) / 2
    return reconstruction + kl / B


@wrong("reconstruction/repaired_loss", "0.5 log 2 pi still missing")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = ((x - x_hat) ** 2 / (2 * torch.exp(2 * log_sigma)) + log_sigma).sum(1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean()


@wrong("reconstruction/repaired_loss", "squared error summed, but log sigma and constant once per picture")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = (
        ((x - x_hat) ** 2).sum(1) / (2 * torch.exp(2 * log_sigma)) + log_sigma + 0.5 * math.log(2 * math.pi)
    )
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean()


@wrong("reconstruction/repaired_loss", "only the KL repaired: reconstruction still averaged over pixels")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = mse_loss(x_hat, x) / (2 * torch.exp(2 * log_sigma)) + log_sigma + 0.5 * math.log(2 * math.pi)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
    return reconstruction + kl


@wrong("reconstruction/repaired_loss", "KL still averaged over latents and summed over the batch")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum(1).mean()
    return reconstruction - 0.5 * (1 + log_var - mu**2 - log_var.exp()).mean(1).sum()


@wrong("reconstruction/repaired_loss", "KL averaged over latents")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum(1)
    return (reconstruction - 0.5 * (1 + log_var - mu**2 - log_var.exp()).mean(1)).mean()


@wrong("reconstruction/repaired_loss", "KL summed over latents and batch")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum(1).mean()
    return reconstruction - 0.5 * (1 + log_var - mu**2 - log_var.exp()).sum()


@wrong("reconstruction/repaired_loss", "everything summed over the batch")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum()
    return reconstruction - 0.5 * (1 + log_var - mu**2 - log_var.exp()).sum()


@wrong("reconstruction/repaired_loss", "log_sigma taken for the log-variance")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    variance = torch.exp(log_sigma)
    reconstruction = 0.5 * ((x - x_hat) ** 2 / variance + log_sigma + math.log(2 * math.pi)).sum(1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean()


@wrong("reconstruction/repaired_loss", "log_sigma.item(): no gradient to sigma")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    sigma = math.exp(log_sigma.item())
    reconstruction = -Normal(x_hat, sigma).log_prob(x).sum(1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean()


@wrong("reconstruction/repaired_loss", "log_sigma unused: best sigma plugged in from the batch")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = 0.5 * x.shape[1] * (torch.log(2 * math.pi * mse_loss(x_hat, x)) + 1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
    return reconstruction + kl


@wrong("reconstruction/repaired_loss", "KL with the wrong sign")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum(1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction - kl).mean()


@wrong("reconstruction/repaired_loss", "nats per pixel: right loss divided by D")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    reconstruction = -Normal(x_hat, log_sigma.exp()).log_prob(x).sum(1)
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean() / x.shape[1]


@wrong("reconstruction/repaired_loss", "squared error detached 'so that sigma can be learned': no gradient to x_hat")
def repaired_loss(x, x_hat, log_sigma, mu, log_var):
    squared = ((x - x_hat) ** 2).sum(1).detach()
    D = x.shape[1]
    reconstruction = squared / (2 * torch.exp(2 * log_sigma)) + D * (log_sigma + 0.5 * math.log(2 * math.pi))
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1)
    return (reconstruction + kl).mean()


if __name__ == "__main__":
    from collections import Counter

    from answers import ANSWERS

    for key, count in Counter((a["task"], a["kind"]) for a in ANSWERS).items():
        print(*key, count)
