"""Lesson 11 with three seeds: what a VAE keeps of portraits that we did not draw, one change at a time.

    python benchmarks/long/11_convolutions.py --seeds 3

Some arms run with the first seed only. The learning rates were chosen by hand in first trials.

A row is a VAE trained on 6,000 portraits and scored on 1,000 others. "arm" says what differs from the base: a
convolutional VAE for 64 x 64 pixels in colour, with 64 latents and one sigma, 10 epochs in batches of 32. "seconds" are
of one processor core, errors are mean squares in thousandths, shares are those that a classifier sees (lesson 11).
"""

import math
import sys
import time
from functools import cache
from pathlib import Path

import table
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from portrait_networks import JUDGED, in_parts, train_judge

from vae_lessons import data
from vae_lessons.distributions import kl_to_standard_normal, sample_normal
from vae_lessons.latents import attribute_vector
from vae_lessons.models import ConvVAE, Elbo, GaussianVAE, LinearVAE
from vae_lessons.training import fit, one_cycle

ARMS = {
    "base": {},
    "batches of 128": {"batch_size": 128, "lr": 4e-3},
    "30 epochs": {"epochs": 30},
    "600 portraits": {"n": 600, "epochs": 100},  # as many steps as the base
    "2000 portraits": {"n": 2000, "epochs": 30},
    "16 latents": {"n_latents": 16},
    "no batch normalisation": {"norm": False, "lr": 2e-3},
    "nearest neighbour": {"nearest": True},
    "fully connected": {"hidden": (256,), "lr": 1e-3},
    "fully connected, 30 epochs": {"hidden": (256,), "lr": 1e-3, "epochs": 30, "once": True},
    "principal components": {"linear": True},
    "moved": {"moved": True},
    "moved, 30 epochs": {"moved": True, "epochs": 30, "once": True},
    "moved, no batch normalisation": {"moved": True, "norm": False, "lr": 2e-3},
    "moved, fully connected": {"moved": True, "hidden": (256,), "lr": 1e-3},
    "moved, fully connected, 30 epochs": {"moved": True, "hidden": (256,), "lr": 1e-3, "epochs": 30, "once": True},
    "moved, principal components": {"moved": True, "linear": True},
    "grey": {"grey": True},
    "32 x 32": {"size": 32, "channels": (16, 32, 64)},
    "the face alone": {"crop": True},
    "sigma averaged": {"sigmas": "averaged", "once": True},  # one for all, over the last batches, as in the next rows
    "sigma per pixel": {"sigmas": "pixel"},
    "sigma per pixel, 30 epochs": {"sigmas": "pixel", "epochs": 30, "once": True},
    "sigma per patch": {"sigmas": "patch"},
}
REGIONS = {"mouth": (slice(34, 42), slice(29, 43)), "glasses": (slice(19, 33), slice(17, 47))}  # of 64 x 64
CROP = slice(8, 56)  # rows and columns of "the face alone"
LOOK = ("size", "grey", "crop", "moved")


def measure(seed, small):
    torch.set_num_threads(1)
    arms = {arm: changes for arm, changes in ARMS.items() if seed == 0 or not changes.get("once")}
    return [{"arm": arm} | trained_and_scored(changes, seed, small) for arm, changes in arms.items()]


def trained_and_scored(changes, seed, small):
    look = {name: changes[name] for name in LOOK if name in changes} | {"limit": 150 if small else None}
    x, attributes, shape = pictures("train", **look)
    judge = judge_for(tuple(look.items()))
    n = changes.get("n", len(x))
    x, attributes = x[:n], {name: values[:n] for name, values in attributes.items()}
    torch.manual_seed(seed)
    start = time.process_time()
    if changes.get("linear"):
        model = principal_components(x, 64)
    else:
        settings = ("n_latents", "channels", "hidden", "nearest", "norm", "sigmas")
        model = PortraitVAE(shape, **{name: changes[name] for name in settings if name in changes})
        fit(
            model,
            lambda x: {"loss": -model.elbo(x).elbo.mean() / x.shape[1]},
            x,
            epochs=1 if small else changes.get("epochs", 10),
            batch_size=changes.get("batch_size", 32),
            lr=one_cycle(changes.get("lr", 3e-3)),
            seed=seed,
            progress=False,
        )
    seconds = time.process_time() - start
    found = {"seconds": seconds, "weights": sum(p.numel() for p in model.parameters())}
    found |= scores(model, judge, x, attributes, look, shape)
    return {name: round(float(value), 4) for name, value in found.items()}


# ---------------------------------------------------------------- pictures


portraits = cache(data.portraits)  # reading them takes a second


def pictures(split, size=64, grey=False, crop=False, moved=False, limit=None):
    """Flat portraits, attributes and (colours, side, side); cropped, or each moved by up to 6 pixels each way."""
    x, attributes = portraits(split, size, grey)
    x, shape = x[:limit], (1 if grey else 3, size, size)
    if crop:
        x, shape = x.view(-1, *shape)[:, :, CROP, CROP].flatten(1), (shape[0], 48, 48)
    if moved:
        g = torch.Generator().manual_seed(0 if split == "train" else 1)  # a person and their twin move alike
        steps = torch.randint(-6, 7, (len(x), 2), generator=g)
        wide = F.pad(x.view(-1, *shape), (6, 6, 6, 6), mode="replicate")
        x = torch.stack([p[:, 6 - a : 70 - a, 6 - b : 70 - b] for p, (a, b) in zip(wide, steps.tolist(), strict=True)])
        x = x.flatten(1)
    return x, {name: values[:limit] for name, values in attributes.items()}, shape


# ---------------------------------------------------------------- networks

JUDGES = {}  # by look: every seed is judged by the same classifier


def judge_for(look):
    if look not in JUDGES:
        x, attributes, shape = pictures("train", **dict(look))
        y = torch.stack([attributes[name] for name in JUDGED], 1)
        JUDGES[look] = train_judge(x, y, shape, epochs=5 if dict(look)["limit"] is None else 1)
    return JUDGES[look]


class PortraitVAE(ConvVAE):
    """A ConvVAE with one sigma for all numbers, for each patch of 8 x 8, or for each number; or fully connected."""

    def __init__(
        self, shape, n_latents=64, channels=(16, 32, 64, 128), hidden=None, nearest=False, norm=True, sigmas="one"
    ):
        super().__init__(shape[1], n_latents, shape[0], channels)
        self.shape, self.sigmas = shape, sigmas
        self.log_sigma = torch.zeros(math.prod(shape))
        if hidden:
            other = GaussianVAE(math.prod(shape), n_latents, hidden)
            self.encoder, self.decoder = other.encoder, other.decoder
        if not norm:
            self.encoder, self.decoder = (
                nn.Sequential(*(layer for layer in net if not isinstance(layer, nn.BatchNorm2d)))
                for net in (self.encoder, self.decoder)
            )
        if nearest:
            self.decoder = nn.Sequential(*(part for layer in self.decoder for part in nearest_neighbour(layer)))

    def draw(self, z):
        return torch.sigmoid(self.decoder(z))

    def elbo(self, x):
        mu, log_var = self.q_z_given_x(x)
        mean = self.draw(sample_normal(mu, log_var))
        if self.training:
            best = self.shared((x - mean).detach().pow(2)).clamp(min=1e-5).log() / 2
            self.log_sigma.lerp_(best, 0.05)
        # a batch of 16 is enough to estimate one sigma, but not one for each pixel: there the running average is used
        log_sigma = best if self.training and self.sigmas == "one" else self.log_sigma.clone()
        log_p = -((x - mean) ** 2 / (2 * torch.exp(2 * log_sigma)) + log_sigma + math.log(2 * math.pi) / 2).sum(1)
        kl = kl_to_standard_normal(mu, log_var)
        return Elbo(log_p - kl, log_p, kl)

    def shared(self, squares):
        """The mean (D,) of squared errors (B, D) over the pictures and all numbers that share a sigma."""
        if self.sigmas in ("one", "averaged"):
            return squares.mean().expand(squares.shape[1])
        if self.sigmas == "pixel":
            return squares.mean(0)
        patches = F.avg_pool2d(squares.mean(0).view(self.shape).mean(0)[None, None], 8)
        return F.interpolate(patches, scale_factor=8).expand(1, *self.shape).flatten()


class LinearPictures(LinearVAE):
    """Probabilistic PCA with the posterior as its encoder; what it draws is cut at 0 and 1."""

    def draw(self, z):
        return self.decoder(z).clamp(0, 1)


def principal_components(x, n):
    """Probabilistic PCA by maximum likelihood (Tipping & Bishop 1999), from the first n components alone."""
    mean = x.mean(0)
    _, singular, directions = torch.pca_lowrank(x - mean, q=n, center=False, niter=4)
    large = singular.square() / len(x)
    variance = ((x - mean).square().mean(0).sum() - large.sum()) / (x.shape[1] - n)
    model = LinearPictures.from_ppca(directions * (large - variance).clamp(min=0).sqrt(), mean, variance)
    return model.eval()


def nearest_neighbour(layer):
    if not isinstance(layer, nn.ConvTranspose2d):
        return [layer]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)]


# ---------------------------------------------------------------- scores


@torch.no_grad()
def scores(model, judge, x, attributes, look, shape):
    x_held, held, _ = pictures("test", **look)
    z, z_held = (in_parts(lambda part: model.q_z_given_x(part)[0], each) for each in (x, x_held))
    drawn = in_parts(model.draw, z_held)
    seen, seen_true = (in_parts(judge, pictures) > 0 for pictures in (drawn, x_held))
    found = {"error": 1000 * (drawn - x_held).pow(2).mean()} | bits_and_nats(model, x_held)
    found["error, training"] = 1000 * (in_parts(model.draw, z[:1000]) - x[:1000]).pow(2).mean()
    for i, name in enumerate(JUDGED):
        found[f"{name}, kept"] = (seen[:, i] == (held[name] > 0.5)).float().mean()
        found[f"{name}, true pictures"] = (seen_true[:, i] == (held[name] > 0.5)).float().mean()
    for name, split in (("Eyeglasses", "other_glasses"), ("Smiling", "other_smile")):
        i, without = JUDGED.index(name), held[name] < 0.5
        truth = pictures(split, **look)[0]
        at_stake = (truth - x_held).pow(2).sum(1)  # squared distance that the attribute makes
        for much, half in (("little", at_stake < at_stake.median()), ("much", at_stake >= at_stake.median())):
            found[f"{name}, kept of {much}"] = (seen[half, i] == (held[name][half] > 0.5)).float().mean()
        vector = attribute_vector(z, attributes[name] > 0.5)
        moved = in_parts(model.draw, z_held[without] + vector)
        after = in_parts(judge, moved) > 0
        change = (after.float() - seen[without].float()).mean(0)
        floor = in_parts(lambda part: model.draw(model.q_z_given_x(part)[0]), truth[without])
        found |= {
            f"{name}, before": seen[without, i].float().mean(),
            f"{name}, after": after[:, i].float().mean(),
            f"{name}, others": max(abs(change[k]) for k in range(len(JUDGED)) if k != i),
            f"{name}, error before": 1000 * (drawn[without] - truth[without]).pow(2).mean(),
            f"{name}, error after": 1000 * (moved - truth[without]).pow(2).mean(),
            f"{name}, error floor": 1000 * (floor - truth[without]).pow(2).mean(),
        }
    found["checkerboard"] = alternating(drawn, shape) / alternating(x_held, shape)
    if shape[1] == 64:
        nats = ((drawn - x_held).pow(2) / (2 * torch.exp(2 * model.log_sigma))).mean(0).view(shape).sum(0)
        found |= {f"nats, {name}": nats[region].sum() for name, region in REGIONS.items()} | {"nats": nats.sum()}
    return found


def bits_and_nats(model, x):
    """Bits per number, of 8-bit pictures with uniform noise (lesson 06), and the KL in nats per picture."""
    torch.manual_seed(0)
    filled = (255 * x + torch.rand(x.shape)) / 256
    parts = [torch.stack([e.elbo, e.kl]) for e in map(model.elbo, filled.split(250))]
    elbo, kl = torch.cat(parts, 1).mean(1)
    return {"bits": 8 - elbo / x.shape[1] / math.log(2), "kl": kl}


def alternating(x, shape):
    """Mean square of the pattern + - over rows and columns, which a checkerboard has: (N, D) -> a scalar."""
    p = x.view(-1, *shape)
    pattern = p[..., ::2, ::2] - p[..., 1::2, ::2] - p[..., ::2, 1::2] + p[..., 1::2, 1::2]
    return (pattern / 4).pow(2).mean()


if __name__ == "__main__":
    table.run(measure, __file__)
