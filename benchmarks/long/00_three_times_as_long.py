"""Lesson 00 with five seeds, trained as there and three times as long: which of its findings depend on the moment?

    python benchmarks/long/00_three_times_as_long.py

A row of the table is a trained VAE. The misfits, in points, and the shares are means over pictures, as in the lesson.
"""

import table
import torch

from vae_lessons import data
from vae_lessons.evaluation import LinearProbe
from vae_lessons.faces import render
from vae_lessons.latents import attribute_vector, sample_like
from vae_lessons.models import GaussianVAE
from vae_lessons.training import fit, one_cycle

EPOCHS = 20


def measure(seed, small):
    torch.set_num_threads(1)
    train, held = data.faces(300 if small else 6000, seed=seed), data.faces(100 if small else 1000, seed=seed + 1)
    probe = LinearProbe(*train)
    schedule = (1, 3) if small else (EPOCHS, 3 * EPOCHS)
    return [
        {"epochs": epochs} | measured(trained(train[0], epochs, seed), train, held, probe, seed) for epochs in schedule
    ]


def trained(x, epochs, seed):
    torch.manual_seed(seed)
    vae = GaussianVAE(n_pixels=2304, n_latents=10, hidden=(256,))
    fit(
        vae,
        lambda x: {"loss": -vae.elbo(x).elbo.mean()},
        x,
        epochs=epochs,
        lr=one_cycle(4e-3),
        seed=seed,
        progress=False,
    )
    return vae


@torch.no_grad()
def measured(vae, train, held, probe, seed):
    (x, factors), (x_held, factors_held) = train, held

    def encode(x):
        return vae.q_z_given_x(x)[0]

    def draw(z):
        return vae.p_x_given_z(z).mean

    def misfit(pictures):
        read = probe.read(pictures)
        known = {name: values.clamp(-1, 1) for name, values in read.items()}
        known["glasses"] = (read["glasses"] > 0.5).float()
        return 100 * (pictures - render(known)).square().mean(1).sqrt().mean().item()

    def unclear(pictures):
        return ((probe.read(pictures)["glasses"] - 0.5).abs() < 0.25).float().mean().item()

    z = encode(x)
    prior = draw(torch.randn(len(x_held), 10, generator=torch.Generator().manual_seed(seed)))
    fitted = draw(sample_like(z, len(x_held), torch.Generator().manual_seed(seed)))
    first, second = x_held.chunk(2)
    bare = encode(x_held[factors_held["glasses"] < 0.5])
    before, after = draw(bare), draw(bare + attribute_vector(z, factors["glasses"] > 0.5))
    moved = {name: (probe.read(after)[name] - probe.read(before)[name]).abs().mean().item() for name in probe.names}
    named = {
        "distance": z.mean(0).norm().item(),
        "kl": vae.elbo(x_held).kl.mean().item(),
        "worst_r2": min(probe.r2(draw(encode(x_held)), factors_held).values()),
        "redrawn": misfit(draw(encode(x_held))),
        "prior": misfit(prior),
        "fitted": misfit(fitted),
        "unclear_prior": unclear(prior),
        "unclear_fitted": unclear(fitted),
        "grey_prior": prior.mean().item(),
        "grey_fitted": fitted.mean().item(),
        "midpoint": misfit(draw((encode(first) + encode(second)) / 2)),
        "cross_fade": misfit((first + second) / 2),
        "glasses_seen": (probe.read(after)["glasses"] > 0.5).float().mean().item(),
        "most_moved": max(value for name, value in moved.items() if name != "glasses") / 2,
    }
    return {name: round(value, 4) for name, value in named.items()}


if __name__ == "__main__":
    table.run(measure, __file__)
