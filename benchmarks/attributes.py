"""Run lesson 11's final recipe on portraits, or on a folder in CelebA's layout, and print one line of JSON.

    python benchmarks/attributes.py                              # the course's portraits
    python benchmarks/attributes.py --celeba ROOT --limit 20000  # as `data.celeba` reads it: ROOT/img_align_celeba, ...

A classifier is trained on the training pictures, and says on what share of the redrawn held-out pictures it is right.
For each vector: the share of the held-out people without the attribute on whom the classifier sees it, before the
vector is added and after, and the largest change of such a share for any other attribute.
"""

import contextlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from portrait_networks import JUDGED, in_parts, train_judge, train_vae

from vae_lessons import data
from vae_lessons.evaluation import rate_distortion
from vae_lessons.latents import attribute_vector
from vae_lessons.models import ConvVAE

STEPS = 5640  # of the VAE, in batches of 32: 30 epochs of 6,000 pictures
VECTORS = ("Eyeglasses", "Smiling")


def read(celeba: Path | None, size: int, limit: int):
    """Training and test pictures with their attributes of zeros and ones."""
    if celeba is None:
        found = [data.portraits(split, size) for split in ("train", "test")]
        return [(x, {name: values[name] for name in JUDGED}) for x, values in found]
    train = data.celeba(celeba, "train", size, limit=limit, grey=False)
    return [train, data.celeba(celeba, "test", size, limit=max(1000, limit // 6), grey=False)]


def check(train, held):
    for which, (x, attributes) in (("training", train), ("test", held)):
        for name in VECTORS:
            if name not in attributes:
                raise ValueError(f"{name}: expected an attribute of this name, got {', '.join(attributes)}")
            if not 0 < attributes[name].sum() < len(x):
                raise ValueError(f"{name}: expected {which} pictures with and without it, got one kind in {len(x)}")


def measure(train, held, size: int, epochs: int) -> dict:
    (x, attributes), (x_held, held_attributes) = train, held
    names = list(attributes)
    truth = torch.stack(list(held_attributes.values()), 1) > 0.5
    start = time.perf_counter()
    judge = train_judge(x, torch.stack(list(attributes.values()), 1), (3, size, size), progress=True)
    middle = time.perf_counter()
    vae = train_vae(x, size, epochs, progress=True)
    end = time.perf_counter()
    z, z_held = (in_parts(lambda part: vae.q_z_given_x(part)[0], each) for each in (x, x_held))

    def draw(z):
        return in_parts(lambda part: vae.p_x_given_z(part).mean, z)

    def seen(x):
        return in_parts(judge, x) > 0

    drawn, found = draw(z_held), {}
    on_true, redrawn = seen(x_held), seen(drawn)
    for name in VECTORS:
        i, without = names.index(name), held_attributes[name] < 0.5
        after = seen(draw(z_held[without] + attribute_vector(z, attributes[name] > 0.5)))
        moved = (after.float().mean(0) - redrawn[without].float().mean(0)).abs()
        moved[i] = -1  # itself
        found[name] = {
            "people": int(without.sum()),
            "before": share(redrawn[without, i]),
            "after": share(after[:, i]),
            "accuracy": share(on_true[:, i] == truth[:, i]),
            "accuracy redrawn": share(redrawn[:, i] == truth[:, i]),
            "commoner answer": max(share(truth[:, i]), share(~truth[:, i])),
            "most moved": [names[moved.argmax()], round(moved.max().item(), 4)],
        }
    torch.manual_seed(0)
    filled = (255 * x_held + torch.rand(x_held.shape)) / 256  # whole numbers from 0 to 255, with noise between them
    elbos = [-len(part) * sum(rate_distortion(vae, part)) for part in filled.split(250)]
    return found | {
        "mean squared error": round((drawn - x_held).square().mean().item(), 5),
        "bits per dimension": round(8 - sum(elbos) / len(filled) / filled.shape[1] / math.log(2), 3),
        "seconds": {"classifier": round(middle - start), "VAE": round(end - middle)},
    }


def share(values) -> float:
    return round(values.float().mean().item(), 4)


def main(
    celeba: Annotated[
        Path | None, typer.Option(help="Folder in CelebA's layout. Default: the course's portraits.")
    ] = None,
    limit: Annotated[int, typer.Option(min=10, help="How many training pictures of the folder to read.")] = 20_000,
    size: Annotated[int, typer.Option(help="Side of the pictures, in pixels, a multiple of 16.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of the VAE.")] = STEPS,
) -> None:
    """Train a classifier and a VAE, add the glasses and smile vectors, and print what was measured."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # progress bars
            ConvVAE(size)  # names a wrong size before the long work
            train, held = read(celeba, size, limit)
            check(train, held)
            epochs = max(1, round(steps * 32 / len(train[0])))
            measured = measure(train, held, size, epochs)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    about = {
        "data": "portraits" if celeba is None else celeba.resolve().name,
        "training": len(train[0]),
        "held out": len(held[0]),
    }
    print(json.dumps(about | {"epochs": epochs, "threads": torch.get_num_threads()} | measured))


if __name__ == "__main__":
    typer.run(main)
