"""Right answers to exercise 03, written in other ways than the solution."""

import numpy as np
import torch
from torch.distributions import Normal


def sample_affine(mu, log_var, eps):
    return torch.addcmul(mu, torch.sqrt(torch.exp(log_var)), eps)


def sample_loop(mu, log_var, *, eps):
    rows = [[mu[i, j] + eps[i, j] * torch.exp(0.5 * log_var[i, j]) for j in range(mu.shape[1])] for i in range(len(mu))]
    return torch.stack([torch.stack(row) for row in rows])


def pathwise_numpy(slope, mu, log_var, eps):
    eps = eps.double().numpy()
    sigma = np.exp(float(log_var) / 2)
    slopes = [float(slope(torch.tensor(float(mu) + sigma * e))) for e in eps]
    return np.mean(slopes), np.mean([s * sigma * e / 2 for s, e in zip(slopes, eps, strict=True)])


def pathwise_autograd(slope, mu, log_var, eps):
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = mu + torch.exp(log_var / 2) * eps
    z.backward(slope(z.detach()) / len(eps))
    return mu.grad, log_var.grad


def score_autograd(f, mu, log_var, eps):
    mu, log_var = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
    z = (mu + (log_var / 2).exp() * eps).detach()
    (f(z) * Normal(mu, (log_var / 2).exp()).log_prob(z)).mean().backward()
    return mu.grad, log_var.grad


def score_from_z(f, mu, log_var, eps):
    variance = torch.exp(log_var)
    z = mu + variance.sqrt() * eps
    in_mu = f(z) * (z - mu) / variance
    in_log_var = f(z) * (-0.5 + (z - mu) ** 2 / (2 * variance))
    return [in_mu.mean(), in_log_var.mean()]


def baseline_loop(f, mu, sigma, eps):
    cost, total = f(mu + sigma * eps), 0.0
    for i in range(len(eps)):
        others = torch.cat([cost[:i], cost[i + 1 :]]).mean()
        total = total + (cost[i] - others) * eps[i] / sigma
    return total / len(eps)


def baseline_rescaled(f, mu, sigma, eps):
    cost = f(mu + sigma * eps)
    return len(eps) / (len(eps) - 1) * torch.mean((cost - cost.mean()) * eps) / sigma


def baseline_covariance(f, mu, sigma, eps):
    return np.cov(f(mu + sigma * eps).double().numpy(), eps.double().numpy())[0, 1] / float(sigma)


def repaired_normal(mu, log_var, generator):
    eps = torch.empty(mu.shape).normal_(generator=generator)
    return mu + eps.to(mu.dtype) * log_var.exp().sqrt()


def repaired_one_by_one(mu, log_var, generator):
    rows = [m + (v / 2).exp() * torch.randn(len(m), generator=generator) for m, v in zip(mu, log_var, strict=True)]
    return torch.stack(rows)


def choose_by_parts(functions, mu, sigma, eps):
    words = []
    for f in functions:
        z = (mu + sigma * eps).requires_grad_()
        f(z).sum().backward()
        path, score = z.grad, f(z).detach() * (z.detach() - mu) / sigma**2
        error = (path.var() / len(eps) + score.var() / len(eps)).sqrt()
        right = abs(path.mean() - score.mean()) < 4 * error
        words.append("pathwise" if right and path.std() <= score.std() else "score")
    return words


def choose_upper_case(functions, mu, sigma, eps):
    scores = [(f(mu + sigma * eps) * eps / sigma).numpy() for f in functions]
    shifted = [(f(mu + 0.02 + sigma * eps) - f(mu - 0.02 + sigma * eps)).numpy() / 0.04 for f in functions]
    return tuple("PATHWISE" if d.std() < s.std() else "SCORE" for d, s in zip(shifted, scores, strict=True))


RIGHT = {
    "gradient/sample": (sample_affine, sample_loop),
    "gradient/pathwise": (pathwise_numpy, pathwise_autograd),
    "gradient/score_function": (score_autograd, score_from_z),
    "gradient/baseline": (baseline_loop, baseline_rescaled, baseline_covariance),
    "gradient/repaired": (repaired_normal, repaired_one_by_one),
    "gradient/choose": (choose_by_parts, choose_upper_case),
}
