"""Right answers to exercise 05, written in other ways than the solution."""

import math

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, logsumexp
from torch.distributions import Bernoulli, Categorical, Independent, MultivariateNormal, Normal, kl_divergence


def gap_loop(weights, values):
    mean = sum(w * v for w, v in zip(weights.tolist(), values.tolist(), strict=True))
    return sum(w * (math.log(mean) - math.log(v)) for w, v in zip(weights.tolist(), values.tolist(), strict=True))


def gap_average_of_h(values, *, weights):  # keywords in another order
    mean = torch.dot(weights, values)
    return torch.dot(weights, mean.log() + (values - mean) / mean - values.log())


def gap_logsumexp(weights, values):
    log_w, log_v = (np.log(np.asarray(t, dtype=np.float64)) for t in (weights, values))
    return logsumexp(log_v + log_w) - np.exp(log_w) @ log_v


def exact_by_difference(p_z, p_x_given_z, q_z_given_x):
    evidence = torch.einsum("k,nk->n", p_z, p_x_given_z).log()
    q = Categorical(q_z_given_x)
    reconstruction = torch.einsum("nk,nk->n", q.probs, p_x_given_z.log())
    elbo = reconstruction - kl_divergence(q, Categorical(p_z.expand_as(q.probs)))
    return elbo, evidence - elbo


def exact_by_distributions(p_z, p_x_given_z, q_z_given_x):
    q, posterior = Categorical(q_z_given_x), Categorical(p_x_given_z * p_z)
    gap = kl_divergence(q, posterior)
    return [(p_x_given_z @ p_z).log() - gap, gap]


def exact_loop(p_z, p_x_given_z, q_z_given_x):
    elbos, gaps = [], []
    for likelihoods, qs in zip(p_x_given_z.tolist(), q_z_given_x.tolist(), strict=True):
        joint = [p * likelihood for p, likelihood in zip(p_z.tolist(), likelihoods, strict=True)]
        elbos.append(sum(q * math.log(j / q) for q, j in zip(qs, joint, strict=True)))
        gaps.append(sum(q * math.log(q / (j / sum(joint))) for q, j in zip(qs, joint, strict=True)))
    return np.array(elbos), np.array(gaps)


def k_sample_by_hand(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = log_p_x_given_z + log_p_z - log_q_z_given_x
    largest = log_w.max(dim=0).values
    return largest + torch.log(torch.exp(log_w - largest).mean(0))


def k_sample_logaddexp(log_p_x_given_z, log_p_z, log_q_z_given_x):
    tables = (np.asarray(t, dtype=np.float64) for t in (log_p_x_given_z, log_p_z, log_q_z_given_x))
    likelihood, prior, q = tables
    return np.logaddexp.reduce(likelihood + prior - q - np.log(len(q)), axis=0)


def k_sample_scipy(log_p_x_given_z, log_p_z, log_q_z_given_x):
    log_w = (log_p_x_given_z + (log_p_z - log_q_z_given_x)).T.numpy()
    return torch.tensor([logsumexp(row) - math.log(row.size) for row in log_w])


def common_xi_by_search(m, s):
    m, square = m.double().numpy(), (m.double() ** 2 + s.double() ** 2).numpy()

    def bounds(xi):
        return log_expit(xi) + (m - xi) / 2 - np.tanh(xi / 2) / (4 * xi) * (square - xi**2)

    xi = minimize_scalar(lambda xi: -bounds(xi).sum(), bounds=(0.01, 9), method="bounded", options={"xatol": 1e-9}).x
    return xi, bounds(xi)


def common_xi_loop(m, s):
    total = 0.0
    for mean, sd in zip(m, s, strict=True):
        total += mean.item() ** 2 + sd.item() ** 2
    xi = math.sqrt(total / len(m))
    sigmoid = 1 / (1 + math.exp(-xi))
    lam = (sigmoid - 0.5) / (2 * xi)
    rows = [math.log(sigmoid) + (a - xi) / 2 - lam * (a * a + b * b - xi * xi) for a, b in zip(m, s, strict=True)]
    return torch.tensor(xi), torch.stack(rows)


def direction_uniform(report):
    rng = np.random.default_rng(1)
    tables = [torch.from_numpy(rng.random((3000, 4))) for _ in range(3)]
    p_z, likelihood, q = (
        tables[0] / tables[0].sum(1, keepdim=True),
        tables[1],
        tables[2] / tables[2].sum(1, keepdim=True),
    )
    difference = report(p_z, likelihood, q) - torch.log(torch.einsum("mk,mk->m", p_z, likelihood))
    low, high = difference.min().item(), difference.max().item()
    if high < 1e-6:
        return "exact" if low > -1e-6 else "lower"
    return "upper" if low > -1e-6 else "neither"


def direction_one_by_one(report):
    """One model at a time, in float32, with two states."""
    generator, signs = torch.Generator().manual_seed(5), set()
    for _ in range(400):
        prior, q = (Categorical(torch.rand(2, generator=generator) + 0.01).probs[None] for _ in range(2))
        likelihood = 0.01 + 0.98 * torch.rand(1, 2, generator=generator)
        difference = report(prior, likelihood, q).item() - math.log((prior * likelihood).sum().item())
        signs.add(0 if abs(difference) < 1e-5 else math.copysign(1, difference))
        if {1, -1} <= signs:
            return "NEITHER"
    return "upper" if 1 in signs else "lower" if -1 in signs else "exact"


def direction_grid(report):
    """All two-state models on a grid, none of them drawn."""
    steps = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    a, b, c, d = (axis.flatten() for axis in torch.meshgrid(steps, steps, steps, steps, indexing="ij"))
    p_z, q, likelihood = torch.stack([a, 1 - a], 1), torch.stack([b, 1 - b], 1), torch.stack([c, d], 1)
    difference = report(p_z=p_z, p_x_given_z=likelihood, q=q) - (p_z * likelihood).sum(1).log()
    above, below = (difference > 1e-9).sum(), (difference < -1e-9).sum()
    if above and below:
        return "neither"
    return "upper" if above else "lower" if below else "exact"


def loss_distributions(x, mu, log_var, eps, decoder):
    q = MultivariateNormal(mu, torch.diag_embed(log_var.exp()))
    prior = MultivariateNormal(torch.zeros_like(mu), torch.diag_embed(torch.ones_like(mu)))
    z = torch.addcmul(mu, eps, torch.exp(0.5 * log_var))
    log_p_x_given_z = Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x)
    return (q.log_prob(z) - prior.log_prob(z) - log_p_x_given_z).mean()


def loss_change_of_variables(x, mu, log_var, eps, decoder):
    """log q(z|x) is the density of eps divided by σ; the constants of both Gaussians cancel."""
    sigma = log_var.exp().sqrt()
    z = mu + sigma * eps
    log_ratio = torch.sum(z**2 / 2 - eps**2 / 2 - sigma.log(), dim=1)
    logits = decoder(z)
    log_p = torch.sum(x * logits - torch.nn.functional.softplus(logits), dim=1)
    return torch.sum(log_ratio - log_p) / x.shape[0]


def loss_picture_by_picture(x, mu, log_var, eps, decoder):
    total = 0
    for i in range(len(x)):
        sd = (log_var[i] / 2).exp()
        z = mu[i] + sd * eps[i]
        p = torch.sigmoid(decoder(z[None])[0])
        total = total + Normal(mu[i], sd).log_prob(z).sum() - Normal(0.0, 1.0).log_prob(z).sum()
        total = total - torch.where(x[i] == 1, p, 1 - p).log().sum()
    return total / len(x)


def for_all(direction):
    def directions(reports):
        return [direction(report) for report in reports]

    return directions


RIGHT = {
    "elbo/jensen_gap": (gap_loop, gap_average_of_h, gap_logsumexp),
    "elbo/exact": (exact_by_difference, exact_by_distributions, exact_loop),
    "elbo/k_sample_bound": (k_sample_by_hand, k_sample_logaddexp, k_sample_scipy),
    "elbo/common_xi": (common_xi_by_search, common_xi_loop),
    "elbo/directions": (for_all(direction_uniform), for_all(direction_one_by_one), for_all(direction_grid)),
    "elbo/repaired_loss": (loss_distributions, loss_change_of_variables, loss_picture_by_picture),
}
