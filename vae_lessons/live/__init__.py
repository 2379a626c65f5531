"""Figures whose network runs in the page: they follow every movement within a frame, and need no kernel for it.

The networks were trained by benchmarks/live_networks.py, which also says how. The web edition uses the same scripts and
weights.
"""

import base64
import json
from functools import cache
from pathlib import Path

import anywidget
import ipywidgets as ipw
import numpy as np
import torch
import traitlets
from matplotlib import pyplot as plt

from vae_lessons import plotting
from vae_lessons.models import mlp

__all__ = ["NAMES", "live_figure", "network", "script", "weights"]

FOLDER = Path(__file__).parent
SCRIPTS = ("networks.js", "controls.js", "figures.js")
PLANES = ("plain best", "plain late", "vae best", "vae late")
PARTS = {  # by figure: its networks, and its other arrays
    "machine": (
        [f"digit {beta} {half}" for beta in ("0.1", "1", "8") for half in ("encoder", "decoder")],
        ["digit examples"],
    ),
    "planes": (
        [f"{net} decoder" for net in PLANES],
        ["digit examples", "labels"] + [f"{net} {what}" for net in PLANES for what in ("codes", "examples")],
    ),
    "face": (["face decoder"], [f"face {name}" for name in ("people", "mean", "cholesky", "smile", "glasses")]),
}
NAMES = tuple(PARTS)
RENDER = """
export default {
  render({ model, el }) {
    const body = make("div", { className: `live-body live-${model.get("figure")}` });
    el.classList.add("live");
    el.append(body);
    return figures[model.get("figure")](body, async () => JSON.parse(model.get("weights"))).then(() => {});
  },
};
"""


def script() -> str:
    """What the figures consist of, as one JavaScript: it defines `figures`, functions by name."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


def weights(name: str) -> str:
    """A figure's networks and other arrays as JSON: half-precision numbers, or bytes, in base64.

    Args:
        name: of the figure, one of `NAMES`.
    """
    networks, others = PARTS[name]
    arrays = {other: {"data": _base64(_stored()[other])} for other in others}
    for part in networks:
        layers = _layers(part)
        sizes = [layers[0].shape[0], *(bias.shape[0] for bias in layers[1::2])]
        arrays[part] = {"sizes": sizes, "data": _base64(np.concatenate([layer.ravel() for layer in layers]))}
    return json.dumps(arrays)


def network(part: str) -> torch.nn.Sequential:
    """One of the networks, such as "face decoder", in PyTorch."""
    layers = [torch.from_numpy(layer).float() for layer in _layers(part)]
    found = mlp(layers[0].shape[0], *(len(bias) for bias in layers[1::2]))
    for linear, weight, bias in zip(found[::2], layers[::2], layers[1::2], strict=True):
        linear.load_state_dict({"weight": weight.T, "bias": bias})
    return found


def live_figure(name: str) -> None:
    """Show a figure whose network runs in the page, and store a picture of it for readers without JupyterLab.

    Args:
        name: "machine" (a digit through a whole VAE, with the loss), "planes" (two latents of an autoencoder, and two
            of a VAE) or "face" (a face from ten numbers).
    """
    if name not in NAMES:
        raise ValueError(f"name: expected one of {NAMES}, got {name!r}")
    widget = _LiveFigure(figure=name, weights=weights(name))
    figure, alt = _STILLS[name]()
    data = ipw.VBox([widget])._repr_mimebundle_() | {"text/plain": "Live figure, as a picture"}
    plotting.show(figure, alt, data=data, metadata={"vae_lessons": {"live": name}})


class _LiveFigure(anywidget.AnyWidget):
    _esm = script() + RENDER
    _css = FOLDER / "live.css"
    figure = traitlets.Unicode().tag(sync=True)
    weights = traitlets.Unicode().tag(sync=True)


@cache
def _stored():
    with np.load(FOLDER / "networks.npz") as stored:
        return dict(stored)


def _layers(part):
    """Weights (in, out) and biases (out,) of each layer in turn."""
    keys = [key for key in _stored() if key.rpartition("/")[0] == part]
    return [_stored()[key] for key in sorted(keys, key=lambda key: int(key.rpartition("/")[2]))]


def _base64(array):
    return base64.b64encode(array.tobytes()).decode()


def _tensor(name):
    return torch.from_numpy(_stored()[name]).float()


@torch.no_grad()
def _machine():
    x = torch.from_numpy(np.unpackbits(_stored()["digit examples"], axis=1)).float()
    mu = network("digit 1 encoder")(x)[:, :8]
    rows = torch.cat([x, network("digit 1 decoder")(mu).sigmoid()])
    alt = "Two rows of ten pictures: one digit of each class, and what a VAE with eight latents makes of it."
    return plotting.images(rows).figure, alt


def _planes():
    figure, axes = plt.subplots(1, 2, figsize=(9, 4))
    for ax, name, title in zip(axes, ("plain", "vae"), ("plain autoencoder", "VAE"), strict=True):
        plotting.scatter_classes(_tensor(f"{name} best codes"), torch.from_numpy(_stored()["labels"]), ax=ax, size=6)
        ax.set(title=title, xlabel="$z_1$", ylabel="$z_2$")
    alt = (
        "The codes of 1,000 digits, a colour for each class: those of a plain autoencoder reach from −17 to 38, "
        "those of a VAE from −4 to 4."
    )
    return figure, alt


@torch.no_grad()
def _face():
    z = _tensor("face people")[:10]
    moved = [z, z + _tensor("face smile"), z + _tensor("face glasses")]
    alt = (
        "Three rows of ten faces, drawn by a decoder from ten numbers each: ten people; the same people, smiling more; "
        "the same people with glasses."
    )
    return plotting.images(network("face decoder")(torch.cat(moved)).sigmoid()).figure, alt


_STILLS = {"machine": _machine, "planes": _planes, "face": _face}
