"""Lesson 01 with five seeds and three times the epochs: three kinds of autoencoder, and how brittle they are.

    python benchmarks/long/01_until_it_stops.py

A row of the table is a point of a learning curve ("choosing", "scoring": nats per picture through the untouched code),
or the measures of a model with the weights of its best epoch for the choosing digits, or of its last ("moment").
"""

import copy

import numpy as np
import table
import torch
from sklearn.covariance import MinCovDet
from torch.nn.functional import cross_entropy, softplus

from vae_lessons import data
from vae_lessons.distributions import log_bernoulli
from vae_lessons.evaluation import nudge_each
from vae_lessons.latents import interpolate, sample_like
from vae_lessons.models import VAE, Autoencoder, mlp
from vae_lessons.training import fit

EPOCHS, EVERY, HIDDEN = {2: 300, 16: 450}, 15, (256, 128, 64)
FLIPPED = 0.1  # of the pixels, for the denoising autoencoder


def measure(seed, small):
    torch.set_num_threads(1)
    (x_all, y_all), (x_score, y_score) = data.digits()
    x_all, x_score = (x_all > 0.5).float(), (x_score > 0.5).float()
    n = 100 if small else 1000
    parts = {
        "training": (x_all[:n], y_all[:n]),
        "choosing": (x_all[1000 : 1000 + n], y_all[1000 : 1000 + n]),
        "scoring": (x_score[:n], y_score[:n]),
    }
    judge = trained_judge(x_all, y_all, seed)
    return [
        row
        for n_latents in (2, 16)
        for kind in ("autoencoder", "denoising", "VAE")
        for row in trained_and_measured(kind, n_latents, EVERY if small else EPOCHS[n_latents], parts, judge, seed)
    ]


def trained_judge(x, y, seed):
    torch.manual_seed(seed)
    judge = mlp(784, 128, 10)
    fit(judge, lambda x, y: {"loss": cross_entropy(judge(x), y)}, x, y, epochs=10, seed=seed, progress=False)
    return judge


def trained_and_measured(kind, n_latents, epochs, parts, judge, seed):
    """The rows of one training."""
    torch.manual_seed(seed)
    model = (VAE if kind == "VAE" else Autoencoder)(784, n_latents, HIDDEN)
    x_train, x_choosing, x_scoring = (parts[name][0] for name in ("training", "choosing", "scoring"))
    last, curve = {}, []

    def encode(x):
        return model.q_z_given_x(x)[0] if kind == "VAE" else model.encode(x)

    def mean_cost(x):
        return -log_bernoulli(x, model.decoder(encode(x))).mean()

    def terms(x):
        if not model.training:
            last.update(copy.deepcopy(model.state_dict()))
            curve.append({"choosing": mean_cost(x)})
            if len(curve) % EVERY == 0:
                curve[-1]["scoring"] = mean_cost(x_scoring)
            return {"cost": curve[-1]["choosing"]}
        if kind == "VAE":
            return {"loss": -model.elbo(x).elbo.mean()}
        flips = torch.rand_like(x) < (FLIPPED if kind == "denoising" else 0)
        return {"loss": -log_bernoulli(x, model(torch.where(flips, 1 - x, x))).mean()}

    options = {"epochs": epochs, "seed": seed, "progress": False}
    history = fit(model, terms, x_train, held_out=[x_choosing], keep_best="cost", **options)
    name = {"model": kind, "latents": n_latents}
    for epoch in range(EVERY, epochs + 1, EVERY):
        yield name | {"epoch": epoch} | rounded((key, value.item()) for key, value in curve[epoch - 1].items())
    yield name | {"moment": "best", "epoch": history.best + 1} | measures(encode, model.decoder, parts, judge, seed)
    model.load_state_dict(last)
    yield name | {"moment": "end", "epoch": epochs} | measures(encode, model.decoder, parts, judge, seed)


@torch.no_grad()
def measures(encode, decode, parts, judge, seed):
    """All measures of one model, by name; costs in nats per picture."""
    (x_train, y_train), (x, y) = parts["training"], parts["scoring"]
    z_train, z = encode(x_train), encode(x)
    robust = MinCovDet(random_state=seed).fit(z_train.numpy()).covariance_
    units = {"spread": torch.cov(z_train.T), "bulk": torch.from_numpy(robust).float()}
    found = {"cost, training": -log_bernoulli(x_train, decode(z_train)).mean().item()}
    for unit, covariance in units.items():
        cholesky = torch.linalg.cholesky(covariance)
        cost, agrees = nudge_each(z, cholesky, decode, x, y, judge, seed=seed).mean(-1).T.tolist()
        known, _ = nudge_each(z_train, cholesky, decode, x_train, y_train, judge, seed=seed).mean(-1).T.tolist()
        for i, r in ((1, 0.1), (2, 0.5)):
            found[f"{unit}: rise at {r}"] = cost[i] - cost[0]
            found[f"{unit}: rise at {r}, training"] = known[i] - known[0]
            found[f"{unit}: agreement at {r}"] = agrees[i]
    found |= {"cost": cost[0], "gap": cost[0] - found["cost, training"], "agreement": agrees[0]}
    drawn = decode(sample_like(z_train, 10_000, torch.Generator().manual_seed(seed)))
    log_p = x @ drawn.T - softplus(drawn).sum(1)
    blind = np.log(len(drawn)) - log_p.logsumexp(1)
    own_minus_blind = -log_bernoulli(x, decode(z)) - blind
    found |= {"blind": blind.mean().item(), "blind cheaper": (own_minus_blind > 0).float().mean().item()}
    found["own minus blind, median"] = own_minus_blind.median().item()
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    half = len(z) // 2
    for pairs, (start, end) in {"random": (z[order[:half]], z[order[half:]]), "class": (z[:half], z[half:])}.items():
        change = torch.sigmoid(decode(interpolate(start, end, 20))).diff(dim=0).norm(dim=-1)  # (19, N)
        found[f"jump, {pairs} pairs"] = (change.max(0).values / change.sum(0)).mean().item()
    return rounded(found.items())


def rounded(named):
    return {name: round(value, 4) for name, value in named}


if __name__ == "__main__":
    table.run(measure, __file__)
