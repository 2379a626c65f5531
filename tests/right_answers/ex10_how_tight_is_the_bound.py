"""Right answers to exercise 10, written in other ways than the solution."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from scipy.special import expit, logsumexp
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal, kl_divergence


def log_p_x_running(log_p_x_given_z, log_p_z, log_q):
    total = torch.full_like(log_q[0], -math.inf)
    for likelihood, prior, proposal in zip(log_p_x_given_z, log_p_z, log_q, strict=True):
        total = torch.logaddexp(total, likelihood + prior - proposal)
    return total - math.log(log_q.shape[0])


def log_p_x_shifted(log_p_x_given_z, log_p_z, log_q):
    weights = (log_p_x_given_z + log_p_z - log_q).numpy().astype(np.float64)
    top = weights.max(axis=0)
    return top + np.log(np.exp(weights - top).mean(axis=0))


def log_p_x_scipy(log_q, *, log_p_z, log_p_x_given_z):  # keywords in another order
    return logsumexp(log_p_x_given_z + log_p_z - log_q, axis=0) - np.log(len(log_q))


def climb_loop(log_weights, k):
    n, pictures = log_weights.shape
    bounds = []
    for picture in range(pictures):
        column = log_weights[:, picture].tolist()
        logs = [logsumexp(column[a:b]) - math.log(k) for a, b in pairwise(range(0, n + 1, k))]
        bounds.append(sum(logs) / len(logs))
    return np.mean(bounds), np.std(bounds, ddof=1) / math.sqrt(pictures)


def climb_split(log_weights, k):
    top = log_weights.max(dim=0).values.double()
    parts = torch.stack([(part - top).exp().mean(0).log() for part in log_weights.split(k)])
    each = top + parts.mean(dim=0)
    return each.mean().item(), (each.var() / each.numel()).sqrt().item()


def report_bits(rows, n_pixels):
    best, cost = 0, math.inf  # in bits per dimension
    for number, row in enumerate(rows):
        if (row["pictures"], row["z"]) == ("held-out", "sample") and row["quantity"].endswith("bound"):
            bits = abs(row["value"]) / (math.log(2) if row["unit"].startswith("nats") else 1)
            bits /= n_pixels if row["unit"].endswith("picture") else 1
            if bits < cost:
                best, cost = number, bits
    return best, -cost * n_pixels * math.log(2), cost


def report_sorted(rows, n_pixels):
    factor = {"bits": math.log(2), "nats": 1.0, "picture": 1, "pixel": n_pixels}
    bounds = []
    for number, row in enumerate(rows):
        unit, _, per = row["unit"].split()
        sign = {"minus bound": -1, "bound": 1, "reconstruction": 0}[row["quantity"]]
        if sign and row["z"] != "mean" and row["pictures"] != "training":
            bounds.append((sign * row["value"] * factor[unit] * factor[per], number))
    nats, number = sorted(bounds)[-1]
    return torch.tensor(number), torch.tensor(nats), torch.tensor(-nats / n_pixels * math.log2(math.e))


def elbo_distributions(x, eps, encode, decode):
    mu, log_var = encode(x)
    q = Independent(Normal(mu, log_var.exp().sqrt()), 1)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    values = []
    for noise in eps:
        p_x = Independent(Bernoulli(logits=decode(mu + log_var.exp().sqrt() * noise)), 1)
        values.append(p_x.log_prob(x) - kl_divergence(q, prior))
    return sum(values) / len(values)


def elbo_numpy(x, eps, encode, decode):
    mu, log_var = encode(x)
    total = np.zeros(len(x))
    for noise in eps:
        p = expit(decode(mu + torch.exp(0.5 * log_var) * noise).double().numpy())
        total += np.where(x.numpy() == 1, np.log(p), np.log1p(-p)).sum(axis=1)
    m, v = mu.double().numpy(), log_var.double().numpy()
    return total / len(eps) + 0.5 * (1 + v - m**2 - np.exp(v)).sum(axis=1)


def proposal_loop(prior, likelihood, proposals, k):
    joint = [a * b for a, b in zip(prior.tolist(), likelihood.tolist(), strict=True)]
    p_x, variances = sum(joint), []
    for number, q in enumerate(proposals.tolist()):
        if all(mass > 0 or part == 0 for mass, part in zip(q, joint, strict=True)):
            second = sum(part**2 / mass for mass, part in zip(q, joint, strict=True) if mass > 0)
            variances.append((second - p_x**2, number))
    variance, number = min(variances)
    return number, variance / (2 * k * p_x**2)


def proposal_chi_squared(prior, likelihood, proposals, k):
    posterior = (prior * likelihood / (prior * likelihood).sum()).double()
    ratio = torch.nan_to_num(posterior / proposals, nan=0.0, posinf=math.inf)
    distance = (posterior * ratio).nan_to_num(nan=0.0, posinf=math.inf).sum(1) - 1  # Var(w) / p(x)²
    return distance.argmin(), distance.min() * float(Fraction(1, 2 * k))


def posterior_of(x, weight, mean, log_sigma):
    """By conditioning the joint Gaussian of latent and picture."""
    d, n = weight.shape[1], weight.shape[0]
    covariance = weight @ weight.T + torch.exp(2 * log_sigma) * torch.eye(n, dtype=x.dtype)
    gain = torch.linalg.solve(covariance, weight).T  # (d, D)
    return (x - mean) @ gain.T, torch.eye(d, dtype=x.dtype) - gain @ weight


def split_by_kl(x, weight, mean, log_sigma, mu, log_var):
    x, weight, mean, log_sigma, mu, log_var = (each.double() for each in (x, weight, mean, log_sigma, mu, log_var))
    centre, covariance = posterior_of(x, weight, mean, log_sigma)
    posterior = MultivariateNormal(centre, covariance)
    family = kl_divergence(
        MultivariateNormal(centre[0], torch.diag(1 / torch.linalg.inv(covariance).diagonal())),
        MultivariateNormal(centre[0], covariance),
    )
    whole = kl_divergence(MultivariateNormal(mu, torch.diag_embed(log_var.exp())), posterior)
    return family, whole - family


def split_by_elbo(x, weight, mean, log_sigma, mu, log_var):
    x, weight, mean, log_sigma, mu, log_var = (each.double() for each in (x, weight, mean, log_sigma, mu, log_var))
    variance = torch.exp(2 * log_sigma)
    n = weight.shape[0]
    exact = MultivariateNormal(mean, weight @ weight.T + variance * torch.eye(n).double()).log_prob(x)

    def elbo(m, s2):
        error = ((x - mean - m @ weight.T) ** 2).sum(1) + (s2 * (weight**2).sum(0)).sum(1)
        reconstruction = -0.5 * (error / variance + n * torch.log(2 * math.pi * variance))
        return reconstruction - 0.5 * (m**2 + s2 - 1 - s2.log()).sum(1)

    centre, _ = posterior_of(x, weight, mean, log_sigma)
    best = elbo(centre, (1 / (1 + (weight**2).sum(0) / variance)).expand_as(mu))
    return (exact - best)[0], best - elbo(mu, log_var.exp())


RIGHT = {
    "bound/log_p_x": (log_p_x_running, log_p_x_shifted, log_p_x_scipy),
    "bound/climb": (climb_loop, climb_split),
    "bound/report": (report_bits, report_sorted),
    "bound/elbo": (elbo_distributions, elbo_numpy),
    "bound/proposal": (proposal_loop, proposal_chi_squared),
    "bound/split": (split_by_kl, split_by_elbo),
}
