"""Lesson 07 with five seeds: an autoencoder and a VAE on 3,000 digits, trained until both overfit.

    python benchmarks/long/07_trained_on.py

A row of the table is a point of a learning curve ("promise, curve"), or the measures of a model with the weights of its
best epoch for the choosing digits, or of its last ("moment"). All costs are in nats per picture.
"""

import copy

import table
import torch
from torch.nn.functional import cross_entropy

from vae_lessons import data
from vae_lessons.distributions import log_bernoulli
from vae_lessons.evaluation import blind_cost, hole_ratio, log_p_x, nudge_each, rate_distortion
from vae_lessons.latents import interpolate, sample_like
from vae_lessons.models import VAE, Autoencoder, mlp
from vae_lessons.training import fit

EVERY = 5


def measure(seed, small):
    torch.set_num_threads(1)
    (x, y), (x_held, y_held) = data.digits()
    x, x_held = (x > 0.5).float(), (x_held > 0.5).float()
    if small:
        x, y, x_held, y_held = x[::16], y[::16], x_held[::8], y_held[::8]
    return promise((x, y), (x_held, y_held), seed, EVERY if small else 100)


def new(kind=VAE, hidden=(256,), seed=0):
    torch.manual_seed(seed)
    return kind(784, 16, hidden)


def promise(training, held, seed, epochs):
    """An autoencoder and a VAE on 3,000 digits; 1,000 choose the epoch, and the held-out ones score."""
    (x, y), (x_score, y_score) = training, held
    torch.manual_seed(seed)
    judge = mlp(784, 128, 10)
    fit(judge, lambda x, y: {"loss": cross_entropy(judge(x), y)}, x, y, epochs=8, seed=seed, progress=False)
    cut = len(x) * 3 // 4
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    parts = {"training": (x[order[:cut]], y[order[:cut]]), "scoring": (x_score, y_score)}
    x_choosing, rows = x[order[cut:]], []
    for kind in (Autoencoder, VAE):
        rows += beside(kind, parts, x_choosing, judge, seed, epochs)
    return rows


def beside(kind, parts, x_choosing, judge, seed, epochs):
    model, last, curve = new(kind, seed=seed), {}, []
    name = {"part": "promise", "model": "VAE" if kind is VAE else "autoencoder"}

    def encode(x):
        return model.q_z_given_x(x)[0] if kind is VAE else model.encode(x)

    def loss(x):
        return -model.elbo(x).elbo.mean() if kind is VAE else -log_bernoulli(x, model(x)).mean()

    def terms(x):
        if model.training:
            return {"loss": loss(x)}
        last.update(copy.deepcopy(model.state_dict()))
        cost = -log_bernoulli(x, model.decoder(encode(x))).mean()
        curve.append({"cost, choosing": cost.item(), "loss, choosing": loss(x).item()})
        return {"cost": cost}

    options = {"epochs": epochs, "lr": 2e-3, "seed": seed, "progress": False}
    history = fit(model, terms, parts["training"][0], held_out=[x_choosing], keep_best="cost", **options)
    rows = []
    for epoch in range(EVERY, epochs + 1, EVERY):
        found = curve[epoch - 1] | {"loss, training": history.train["loss"][epoch - 1]}
        rows.append(name | {"part": "promise, curve", "epoch": epoch} | rounded(found))
    rows.append(name | {"moment": "best", "epoch": history.best + 1} | measures(model, encode, parts, judge, seed))
    model.load_state_dict(last)
    rows.append(name | {"moment": "end", "epoch": epochs} | measures(model, encode, parts, judge, seed))
    return rows


@torch.no_grad()
def measures(model, encode, parts, judge, seed):
    """The tests of lesson 01, by name; nudges in units of the Cholesky factor of the codes' covariance."""
    (x_train, _), (x, y) = parts["training"], parts["scoring"]
    z_train, z = encode(x_train), encode(x)
    cholesky = torch.linalg.cholesky(torch.cov(z_train.T) + 1e-6 * torch.eye(16))
    cost, agrees = nudge_each(z, cholesky, model.decoder, x, y, judge, seed=seed, repeats=5).mean(-1).T.tolist()
    on_train = -log_bernoulli(x_train, model.decoder(z_train)).mean().item()
    found = {"cost": cost[0], "cost, training": on_train, "gap": cost[0] - on_train}
    found |= {"rise at 0.1": cost[1] - cost[0], "rise at 0.5": cost[2] - cost[0]}
    found |= {"agreement": agrees[0], "agreement at 0.1": agrees[1], "agreement at 0.5": agrees[2]}
    eps = torch.randn(5000, 16, generator=torch.Generator().manual_seed(seed))
    for width in (0.5, 0.7, 1.0):
        drawn = model.decoder(z_train.mean(0) + width * eps @ cholesky.T)
        for factor in (1.0, 0.5):
            found[f"blind, width {width}, log-odds times {factor}"] = blind_cost(x, factor * drawn)
    found["blind, N(0, I)"] = blind_cost(x, model.decoder(eps))
    sampled = sample_like(z_train, 2000, torch.Generator().manual_seed(seed))
    found["reach"] = hole_ratio(sampled, z_train, z)
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    half = len(z) // 2
    start, end = z[order[:half]], z[order[half : 2 * half]]
    change = torch.sigmoid(model.decoder(interpolate(start, end, 20))).diff(dim=0).norm(dim=-1)  # (19, N)
    found["jump, random pairs"] = (change.max(0).values / change.sum(0)).mean().item()
    if isinstance(model, VAE):
        found["-ELBO"] = sum(rate_distortion(model, x, seed))
        found["-log p(x), 100 samples"] = -log_p_x(model, x, 100, seed).mean().item()
    return rounded(found)


def rounded(named):
    return {name: round(value, 4) for name, value in named.items()}


if __name__ == "__main__":
    table.run(measure, __file__)
