"""Lesson 10 with five seeds and up to 500 epochs: ELBO, exact log p(x) and the gap of both sets of digits.

    python benchmarks/long/10_training_longer.py

A row of the table is a network of the lesson, trained from the start for so many epochs, measured on one set of digits;
means over the digits in nats per picture. "family" is an upper limit: what the best diagonal Gaussian that a search
found still loses.
"""

import itertools
import math

import numpy as np
import table
import torch
from torch.nn.functional import softplus

from vae_lessons import data
from vae_lessons.distributions import kl_to_standard_normal, log_normal, sample_normal
from vae_lessons.models import VAE
from vae_lessons.training import fit, one_cycle

# the last two evaluate the decoder five times for each digit in an epoch
EPOCHS = {"ELBO": (20, 100, 500), "five draws": (20,), "IWAE": (20, 100)}


def measure(seed, small):
    torch.set_num_threads(1)
    (x_train, _), (x_held, _) = data.digits()
    x_train, x_held = (x_train > 0.5).float(), (x_held > 0.5).float()
    n, searched, points = (8, 4, 21) if small else (400, 40, 181)
    for name, lengths in EPOCHS.items():
        for epochs in lengths:
            model = train(name, x_train, 1 if small else epochs, seed)
            grid = decoded_grid(model, points)
            for digits, x in (("training", x_train[:n]), ("held out", x_held[:n])):
                yield {"trained on": name, "epochs": epochs, "digits": digits} | measures(model, x, grid, searched)


def train(name, x_train, epochs, seed):
    torch.manual_seed(seed)
    model = VAE(784, 2, hidden=(200,))

    def terms(x):
        if name == "ELBO":
            return {"loss": -model.elbo(x).elbo.mean()}
        log_w = log_weights(model, x, 5)
        bound = log_w.logsumexp(0) - math.log(5) if name == "IWAE" else log_w.mean(0)
        return {"loss": -bound.mean()}

    fit(model, terms, x_train, epochs=epochs, lr=one_cycle(5e-3), seed=seed, progress=False)
    return model


def log_weights(model, x, k):
    """k log-weights of each picture, (k, B)."""
    mu, log_var = (each.expand(k, -1, -1) for each in model.q_z_given_x(x))
    z = sample_normal(mu, log_var)
    log_prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
    logits = model.decoder(z)
    log_p_x_given_z = (x * logits).sum(-1) - softplus(logits).sum(-1)
    return log_p_x_given_z + log_prior - log_normal(z, mu, log_var)


def measures(model, x, grid, searched):
    """Means over the pictures (N, 784), and how the gap is spread over them."""
    with torch.no_grad():
        truth, coarse, start = by_grid(x, grid)
        elbo = elbo_by_quadrature(model, x, *model.q_z_given_x(x), nodes=16)
    best = best_diagonal(model, x[:searched], start[:searched])
    gap = truth - elbo
    largest = gap.sort(descending=True).values
    with torch.no_grad():
        top = elbo_by_quadrature(model, x[:searched], *best, nodes=16)
    found = {
        "ELBO": elbo.mean(),
        "log p": truth.mean(),
        "log p, error": truth.std() / math.sqrt(len(x)),
        "gap": gap.mean(),
        "gap, error": gap.std() / math.sqrt(len(x)),
        "gap, median": gap.median(),
        "gap, share of a tenth": largest[: math.ceil(len(x) / 10)].sum() / gap.sum(),
        "family": (truth[:searched] - top).mean(),
        "coarser grid": coarse.mean() - truth.mean(),
    }
    return {name: round(value.item(), 4) for name, value in found.items()}


@torch.no_grad()
def decoded_grid(model, points, reach=6.0):
    """Points (G, 2), their logits (G, 784), the part of log p(x, z) without x, and which points a coarser grid has."""
    line = torch.linspace(-reach, reach, points)
    z = torch.cartesian_prod(line, line)
    logits = model.decoder(z)
    log_area = 2 * math.log(2 * reach / (points - 1))
    constant = log_normal(z.double(), torch.zeros(2), torch.zeros(2)) + log_area
    second = torch.arange(points) % 2 == 0
    coarse = torch.cartesian_prod(second, second).all(1)
    return z, logits, constant - softplus(logits).sum(1, dtype=torch.float64), coarse


def by_grid(x, grid):
    """log p(x) by the grid and by every second point of it, (N,) each, and the point (N, 2) of the largest p(x, z)."""
    z, logits, constant, coarse = grid
    parts = []
    for some in x.split(100):
        log_joint = (some @ logits.T).double() + constant
        thinned = log_joint[:, coarse].logsumexp(1) + math.log(4)
        parts.append((log_joint.logsumexp(1), thinned, z[log_joint.argmax(1)]))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def elbo_by_quadrature(model, x, mu, log_var, nodes):
    """The ELBO, (N,), of pictures with diagonal Gaussians: Gauss-Hermite in both latents."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    eps = torch.tensor(list(itertools.product(points, points))).float()  # (nodes^2, 2)
    weights = torch.tensor(np.outer(weights, weights).ravel() / weights.sum() ** 2).float()
    z = mu[:, None] + (log_var / 2).exp()[:, None] * eps
    logits = model.decoder(z)  # (N, nodes^2, 784)
    log_p = torch.einsum("nd,nkd->nk", x, logits) - softplus(logits).sum(-1)
    return log_p @ weights - kl_to_standard_normal(mu, log_var)


def best_diagonal(model, x, start, steps=100):
    """Mean and log-variance of the diagonal Gaussian with the largest ELBO that is found for each picture."""
    mu, log_var = start.clone().requires_grad_(), torch.full_like(start, -5.0).requires_grad_()
    optimizer = torch.optim.Adam([mu, log_var], lr=0.03)
    model.requires_grad_(False)
    for _ in range(steps):
        loss = -elbo_by_quadrature(model, x, mu, log_var, nodes=5).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return mu.detach(), log_var.detach()


if __name__ == "__main__":
    table.run(measure, __file__)
