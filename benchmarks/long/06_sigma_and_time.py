"""Lesson 06 with five seeds and longer training: which factors of the faces survive, by the sigma of the pixels.

    python benchmarks/long/06_sigma_and_time.py

A row of the table is a trained VAE. "NAME, drawn" is the R2 of a probe on redrawn held-out faces, "NAME, code" that of
a probe on the encoder's means; the ELBO is in nats per held-out face, once with the sigma of the training and once with
the sigma that fits the training faces best. "0.71 after 0.2" is trained with sigma 0.2 for 20 epochs, and with 0.71 for
60 more; its control, "0.71 after 0.71", has the same two parts with 0.71 in both.
"""

import math

import table
import torch

from vae_lessons import data
from vae_lessons.distributions import sample_normal
from vae_lessons.evaluation import LinearProbe
from vae_lessons.models import VAE, GaussianVAE
from vae_lessons.training import fit, one_cycle

SIGMAS = {"0.71": math.sqrt(0.5), "0.5": 0.5, "0.2": 0.2, "0.033": 0.033, "learned": None}
EPOCHS = {"0.71": (12, 80), "0.5": (12, 80), "0.033": (12, 36), "learned": (12, 36)}
TWO_PARTS = ("0.71 after 0.2", "0.71 after 0.71")  # 20 epochs with the last number, then 60 with the first


class FixedSigmaVAE(GaussianVAE):
    """The VAE of the lesson with a sigma that stays as given."""

    def elbo(self, x):
        return VAE.elbo(self, x)


def measure(seed, small):
    torch.set_num_threads(1)
    n = 300 if small else 3000
    faces, factors = data.faces(n, seed=seed, size=32)
    held_out = data.faces(n // 3, seed=seed + 1, size=32)
    probe = LinearProbe(faces, factors)
    arms = [(sigma, length) for sigma in EPOCHS for length in EPOCHS[sigma]] + [(sigma, 80) for sigma in TWO_PARTS]
    return [
        {"sigma": sigma, "epochs": length}
        | trained_and_measured(sigma, length, faces, factors, held_out, probe, seed, small)
        for sigma, length in arms
    ]


def trained_and_measured(sigma, length, faces, factors, held_out, probe, seed, small):
    torch.manual_seed(seed)
    vae = (GaussianVAE if sigma == "learned" else FixedSigmaVAE)(1024, 10, hidden=(256,))
    later, _, first = sigma.partition(" after ")
    parts = [(first, 20, 4e-3), (later, 60, 2e-3)] if first else [(sigma, length, 4e-3)]
    for name, epochs, peak in parts:
        if name != "learned":
            vae.log_sigma.fill_(math.log(SIGMAS[name]))
        options = {"batch_size": 64, "lr": one_cycle(peak), "seed": seed, "progress": False}
        fit(vae, lambda x: {"loss": -vae.elbo(x).elbo.mean()}, faces, epochs=1 if small else epochs, **options)
    with torch.no_grad():
        return measures(vae, faces, factors, *held_out, probe, seed)


def measures(vae, faces, factors, held_faces, held_factors, probe, seed):
    """All measures of one VAE, by name."""
    codes, held_codes = vae.q_z_given_x(faces)[0], vae.q_z_given_x(held_faces)[0]
    drawn = probe.r2(vae.p_x_given_z(held_codes).mean, held_factors)
    read = LinearProbe(codes, factors, ridge=0.1).r2(held_codes, held_factors)
    found = {
        f"{name}, {kind}": r2 for kind, values in (("drawn", drawn), ("code", read)) for name, r2 in values.items()
    }
    torch.manual_seed(seed)
    elbo = vae.elbo(held_faces)
    best = best_sigma(vae, faces)
    found |= {"trained sigma": vae.log_sigma.exp().item(), "best sigma": best.item(), "kl": elbo.kl.mean().item()}
    found["elbo"] = elbo.elbo.mean().item()
    vae.log_sigma.copy_(best.log())
    torch.manual_seed(seed)
    found["elbo at best sigma"] = vae.elbo(held_faces).elbo.mean().item()
    return {name: round(value, 4) for name, value in found.items()}


def best_sigma(vae, x):
    """The RMS error of drawn z's pictures: the sigma with the highest likelihood."""
    return (vae.p_x_given_z(sample_normal(*vae.q_z_given_x(x))).mean - x).pow(2).mean().sqrt()


if __name__ == "__main__":
    table.run(measure, __file__)
