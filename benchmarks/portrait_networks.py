"""Train the networks of lesson 11 once and store their weights, which `data.weights` reads.

    python benchmarks/portrait_networks.py

Three networks: the VAE with the lesson's final recipe, a classifier, and a classifier that saw only clean pictures.
The functions also serve `long/11_convolutions.py` and `attributes.py`.
"""

import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
import typer
from torch import nn
from torch.nn import functional as F

from vae_lessons import data
from vae_lessons.models import ConvVAE
from vae_lessons.training import fit, one_cycle

TARGET = Path(__file__).parents[1] / "vae_lessons" / "portrait_networks.npz"
JUDGED = ["Smiling", "Eyeglasses", "Beard", "Earrings", "Turban", "Bald", "Long_Hair"]


class Judge(nn.Module):
    """A small convolutional classifier: flat pictures (B, D) to the log-odds of attributes (B, K)."""

    def __init__(self, shape, n_attributes):
        super().__init__()
        layers = [nn.Unflatten(-1, shape)]
        for n_in, n_out in ((shape[0], 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (shape[1] // 8) ** 2, n_attributes))

    def forward(self, x):
        return self.layers(x)


def blurred(x, shape, width):
    """Flat pictures convolved with a Gaussian of this standard deviation, in pixels."""
    kernel = torch.exp(-torch.arange(-5.0, 6).pow(2) / (2 * width**2))
    kernel = (kernel / kernel.sum()).expand(shape[0], 1, 1, -1)
    x = F.pad(x.view(-1, *shape), (5, 5, 5, 5), mode="replicate")
    x = F.conv2d(F.conv2d(x, kernel, groups=shape[0]), kernel.mT, groups=shape[0])
    return x.flatten(1)


def without_colour(x, shape):
    """Each pixel's mean over the colours, in all of them."""
    return x.view(-1, *shape).mean(1, keepdim=True).expand(-1, *shape).flatten(1)


def spoilt(x, shape):
    """A batch as a bad VAE could redraw it: half of the batches blurred, a quarter without colour, all with noise."""
    blur, width, grey, noise = torch.rand(4).tolist()
    x = blurred(x, shape, 0.3 + 1.2 * width) if blur < 0.5 else x
    x = without_colour(x, shape) if grey < 0.25 else x
    return x + 0.05 * noise * torch.randn(x.shape)


def train_judge(x, y, shape, epochs=5, spoil=spoilt, progress=False):
    """A classifier for flat pictures x (N, D) and attributes y (N, K) of zeros and ones."""
    torch.manual_seed(0)
    judge = Judge(shape, y.shape[1])

    def terms(x, y):
        return {"loss": F.binary_cross_entropy_with_logits(judge(spoil(x, shape) if judge.training else x), y)}

    fit(judge, terms, x, y, epochs=epochs, batch_size=64, lr=one_cycle(4e-3), progress=progress)
    return judge


def train_vae(x, size, epochs, seed=0, progress=False):
    """The lesson's final recipe for flat pictures x (N, 3 * size * size)."""
    torch.manual_seed(seed)
    vae = ConvVAE(size)

    def terms(x):
        elbo, _, kl = vae.elbo(x)
        return {"loss": -elbo.mean() / x.shape[1], "kl": kl.mean()}

    fit(vae, terms, x, epochs=epochs, batch_size=32, lr=one_cycle(3e-3), seed=seed, progress=progress)
    return vae


@torch.no_grad()
def in_parts(function, x, rows=250):
    """The function of x (N, ...), taken rows at a time to save memory."""
    return torch.cat([function(part) for part in x.split(rows)])


def main(epochs: int = 30) -> None:
    x, attributes = data.portraits()
    y = torch.stack([attributes[name] for name in JUDGED], 1)
    arrays, seconds = {}, {}
    for name, train in {
        "judge": lambda: train_judge(x, y, (3, 64, 64), progress=True),
        "clean_judge": lambda: train_judge(x, y, (3, 64, 64), spoil=lambda x, _: x, progress=True),
        "vae": lambda: train_vae(x, 64, epochs, progress=True),
    }.items():
        start = time.perf_counter()
        network = train()
        seconds[name] = round(time.perf_counter() - start)
        for key, value in network.state_dict().items():
            large = value.is_floating_point() and value.numel() > 1000
            arrays[f"{name}/{key}"] = value.numpy().astype(np.float16) if large else value.numpy()
    about = {
        "command": "python benchmarks/portrait_networks.py",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "threads": torch.get_num_threads(),
        "seconds": seconds,
    }
    np.savez(TARGET, about=np.array(json.dumps(about)), **arrays)
    print(f"wrote {TARGET}: {TARGET.stat().st_size / 1e6:.1f} MB, {about}")


if __name__ == "__main__":
    typer.run(main)
