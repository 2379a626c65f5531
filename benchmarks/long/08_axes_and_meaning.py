"""Lesson 08 with five seeds, up to eight times the epochs: scores of the latents, their axes, samples, smoothness.

    python benchmarks/long/08_axes_and_meaning.py

A row is a VAE for faces ("data": "faces"), or a pair of models for digits ("data": "digits"). The arms for faces:
"both": the seed sets initial weights and the order of the batches (with their noise); "weights": the weights alone, the
order is that of seed 0; "order": the order alone, the weights are those of seed 0; "turned": the networks' own latents
are a fixed rotation away from those in which q is diagonal. Gaps and ELBO are in nats per picture.
"""

import numpy as np
import table
import torch

from vae_lessons import data
from vae_lessons.distributions import kl_to_standard_normal, log_bernoulli
from vae_lessons.evaluation import LinearProbe, active_units, mig, sap
from vae_lessons.latents import interpolate, sample_like, traverse
from vae_lessons.models import VAE, Autoencoder, GaussianVAE
from vae_lessons.training import fit, one_cycle

N_LATENTS = 10
TRAININGS = [("both", beta, epochs) for beta in (1, 4, 16) for epochs in (15, 60)]
TRAININGS += [("both", beta, 120) for beta in (1, 16)]
TRAININGS += [(arm, beta, 15) for arm in ("weights", "order") for beta in (1, 16)]
TRAININGS += [("turned", beta, 15) for beta in (1, 4, 16)]


class TurnedVAE(GaussianVAE):
    """Encoder and decoder work with y = R z. The prior is the same for y and z; q is diagonal in z."""

    rotation = torch.linalg.qr(torch.randn(N_LATENTS, N_LATENTS, generator=torch.Generator().manual_seed(777)))[0]

    def q_z_given_x(self, x):
        y, log_var = super().q_z_given_x(x)
        return y @ self.rotation, log_var

    def p_x_given_z(self, z):
        return super().p_x_given_z(z @ self.rotation.T)


def measure(seed, small):
    torch.set_num_threads(1)
    n = 300 if small else 3000
    x, factors = data.faces(n, seed=0, size=32)
    held_out = data.faces(300 if small else 1000, seed=100, size=32)
    probe = LinearProbe(x, factors)
    rows = []
    for arm, beta, epochs in TRAININGS:
        weights, order = (0 if arm == "order" else seed), (0 if arm == "weights" else seed)
        model = trained_on_faces(x, beta, weights, order, 1 if small else epochs, turned=arm == "turned")
        name = {"data": "faces", "arm": arm, "beta": beta, "epochs": epochs}
        found = (
            scores(model, probe, *held_out)
            | axes(model, beta, held_out[0][: 20 if small else 200])
            | samples(model, probe, x)
        )
        rows.append(name | rounded(found))
    return [*rows, {"data": "digits", "epochs": 36} | rounded(smoothness(seed, small))]


def trained_on_faces(x, beta, weights, order, epochs, turned):
    torch.manual_seed(weights)
    model = (TurnedVAE if turned else GaussianVAE)(x.shape[1], N_LATENTS, hidden=(256,))

    def terms(batch):
        _, log_p_x_given_z, kl = model.elbo(batch)
        return {"loss": (beta * kl - log_p_x_given_z).mean()}

    fit(model, terms, x, epochs=epochs, lr=one_cycle(4e-3), seed=order, progress=False)
    return model


@torch.no_grad()
def scores(model, probe, x, factors):
    """What the latents know of the factors, and the two terms of the ELBO, on held-out faces."""
    mu, log_var = model.q_z_given_x(x)
    torch.manual_seed(0)
    elbo, _, kl = torch.stack([torch.stack(model.elbo(x)) for _ in range(4)]).mean((0, 2)).tolist()
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    z, turns = mu + (0.5 * log_var).exp() * noise, [rotation(seed) for seed in range(10)]
    correlation = torch.corrcoef(mu.T).abs().fill_diagonal_(0)
    shares = purity(lambda z: model.p_x_given_z(z).mean, probe, mu)
    return {
        "elbo": elbo,
        "kl": kl,
        "mig": mig(mu, factors),
        "mig turned": np.mean([mig(mu @ turn, factors) for turn in turns]),
        "mig of draws": mig(z, factors),
        "mig of draws turned": np.mean([mig(z @ turn, factors) for turn in turns]),
        "sap": sap(mu, factors),
        "sap turned": np.mean([sap(mu @ turn, factors) for turn in turns]),
        "r2": np.mean(list(probe.r2(model.p_x_given_z(mu).mean, factors).values())),
        "used 0.1": active_units(mu, 0.1).sum().item(),
        "used 0.01": active_units(mu, 0.01).sum().item(),
        "correlation": correlation.max().item(),
        "pure": (shares > 0.8).sum().item(),
        "favourite": shares.mean().item(),
    }


def purity(draw, probe, mu):
    """For each latent, the favourite factor's share of the movement that the probe sees."""
    lowest = torch.tensor([0.0 if name == "glasses" else -1.0 for name in probe.names])
    shares, centre, spread = [], mu.mean(0), mu.std(0)
    for j in range(mu.shape[1]):
        ends = draw(traverse(mu[:300], j, [centre[j] - spread[j], centre[j] + spread[j]]))
        low, high = (torch.stack(list(probe.read(end).values()), 1).clamp(lowest, torch.ones(9)) for end in ends)
        movement = ((high - low).abs() / (1 - lowest)).mean(0)
        shares.append(movement.max() / movement.sum())
    return torch.stack(shares)


@torch.no_grad()
def axes(model, beta, x):
    """The gap of the best diagonal q in the model's axes, in axes turned at random, and in the best ones."""
    mu, log_var = model.q_z_given_x(x)
    P = precision(model, mu, log_var, beta)
    turns = [rotation(seed) for seed in range(20)]
    at_random = [gap(P, turn).mean().item() for turn in turns]
    own = turned_elbo(model, beta, x, mu, P, torch.eye(N_LATENTS))
    return {
        "gap own": gap(P, torch.eye(N_LATENTS)).mean().item(),
        "gap turned": np.mean(at_random),
        "gap turned, least": np.min(at_random),
        "gap best": least_gap(P),
        "gap networks": gap(P, TurnedVAE.rotation.T).mean().item() if isinstance(model, TurnedVAE) else None,
        "elbo falls": np.mean(
            [(own - turned_elbo(model, beta, x, mu, P, turn)).mean().item() / beta for turn in turns[:3]]
        ),
        "cosine": torch.linalg.eigh(P)[1].abs().amax(1).mean().item(),
        "cosine turned": np.mean([(turn.T @ torch.linalg.eigh(P)[1]).abs().amax(1).mean().item() for turn in turns]),
    }


def precision(model, mu, log_var, beta, draws=8):
    """I + E_q[J^T J] / (beta sigma^2), (N, d, d): the posterior's precision if the decoder were linear nearby."""
    generator, total = torch.Generator().manual_seed(0), 0
    jacobian = torch.func.vmap(torch.func.jacfwd(lambda z: model.p_x_given_z(z).mean))
    for _ in range(draws):
        J = jacobian(mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=generator))
        total = total + J.mT @ J / draws
    return torch.eye(mu.shape[1]) + total / (beta * (2 * model.log_sigma).exp())


def gap(P, turn):
    """KL from the best diagonal q to N(., P^-1), for latents turned by an orthogonal matrix, (N,)."""
    return 0.5 * ((turn.T @ P @ turn).diagonal(dim1=1, dim2=2).log().sum(-1) - torch.logdet(P))


@torch.enable_grad()
def least_gap(P, steps=200):
    skew = torch.zeros(N_LATENTS, N_LATENTS, requires_grad=True)
    optimizer = torch.optim.Adam([skew], lr=0.03)
    for _ in range(steps):
        mean = gap(P, torch.matrix_exp(skew - skew.T)).mean()
        optimizer.zero_grad()
        mean.backward()
        optimizer.step()
    return mean.item()


def turned_elbo(model, beta, x, mu, P, turn, draws=32):
    """ELBO (with beta times the KL) of each picture, with the best diagonal q in turned latents, from draws."""
    generator, centre = torch.Generator().manual_seed(0), mu @ turn
    log_var = -(turn.T @ P @ turn).diagonal(dim1=1, dim2=2).log()
    total = -beta * kl_to_standard_normal(centre, log_var)
    for _ in range(draws):
        z = centre + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=generator)
        total = total + model.log_p_x_given_z(x, z @ turn.T) / draws
    return total


def rotation(seed):
    matrix = torch.randn(N_LATENTS, N_LATENTS, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(matrix)[0]


@torch.no_grad()
def samples(model, probe, x):
    """Where the latents lie, and what is drawn from the prior and from the fitted Gaussian."""
    generator = torch.Generator().manual_seed(0)
    mu, log_var = model.q_z_given_x(x)
    z = mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=generator)
    mean, variance = mu.mean(0), mu.var(0, correction=0) + log_var.exp().mean(0)
    eps = torch.randn(2000, N_LATENTS, generator=generator)
    drawn = {"prior": eps, "recentred": mean + variance.sqrt() * eps, "fitted": sample_like(z, 2000, generator)}
    found = {
        "offset": mean.norm().item(),
        "place and width": 0.5 * (mean**2 + variance - 1 - variance.log()).sum().item(),
    }
    for name, codes in drawn.items():
        pictures = model.p_x_given_z(codes).mean
        found[f"grey, {name}"] = (pictures.mean() / x.mean()).item()
        found[f"faint, {name}"] = ((probe.read(pictures)["glasses"] - 0.5).abs() < 0.25).float().mean().item()
    return found


def smoothness(seed, small):
    """Largest jump, ends and detour on lines between random pairs of held-out digits, in classes and across."""
    (x, _), (x_held, y_held) = data.digits()
    x, x_held = (x[:300] > 0.5).float() if small else (x > 0.5).float(), (x_held > 0.5).float()
    torch.manual_seed(seed)
    vae, plain = VAE(784, 8, hidden=(256,)), Autoencoder(784, 8, hidden=(256,))
    costs = {
        vae: lambda batch: {"loss": -vae.elbo(batch).elbo.mean()},
        plain: lambda batch: {"loss": -log_bernoulli(batch, plain(batch)).mean()},
    }
    order = torch.randperm(len(x_held), generator=torch.Generator().manual_seed(seed))
    start, end = order[:500], order[500:]
    alike = y_held[start] == y_held[end]
    found = {}
    for (model, cost), name in zip(costs.items(), ("VAE", "autoencoder"), strict=True):
        fit(model, cost, x, epochs=1 if small else 36, lr=one_cycle(4e-3), seed=seed, progress=False)
        with torch.no_grad():
            codes = model.q_z_given_x(x_held)[0] if name == "VAE" else model.encode(x_held)
            pictures = torch.sigmoid(model.decoder(interpolate(codes[start], codes[end], 41)))
        change = pictures.diff(dim=0).norm(dim=-1)
        whole, ends = change.sum(0), (pictures[-1] - pictures[0]).norm(dim=-1)
        measures = {"jump": change.max(0).values / whole, "ends": ends, "detour": whole / ends}
        for measured, each in measures.items():
            for where, chosen in (("alike", alike), ("unlike", ~alike)):
                found[f"{name}, {measured}, {where}"] = each[chosen].mean().item()
    return found


def rounded(named):
    return {name: value if value is None else round(float(value), 4) for name, value in named.items()}


if __name__ == "__main__":
    table.run(measure, __file__)
