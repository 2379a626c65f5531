"""Figures of the course: functions that take arrays and axes, never models. Importing this module sets the style.

Figures are displayed only by `show(figure, alt)`, which requires a text alternative that describes the figure.
"""

import html
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["image_grid", "images", "machine", "scatter_classes", "show"]

plt.style.use(Path(__file__).with_name("style.mplstyle"))
MARKERS = "osv^<>DPX*"

# The parts of a VAE in the drawing: name -> (label, corners of the shape, left to right)
SIDE, FLAT = 0.8, 0.4  # half of a tall side, and of a short one
MACHINE = {
    "picture": ("picture\n$x$", [(0, -SIDE), (0, SIDE), (1.6, SIDE), (1.6, -SIDE)]),
    "encoder": ("encoder", [(2.2, -SIDE), (2.2, SIDE), (4, FLAT), (4, -FLAT)]),
    "q": ("$q(z|x)$\n$\\mu,\\ \\sigma$", [(4.6, -0.7), (4.6, 0.7), (6.2, 0.7), (6.2, -0.7)]),
    "z": ("draw\n$z$", [(6.8, -0.6), (6.8, 0.6), (7.9, 0.6), (7.9, -0.6)]),
    "decoder": ("decoder", [(8.5, -FLAT), (8.5, FLAT), (10.3, SIDE), (10.3, -SIDE)]),
    "drawing": ("$p(x|z)$\nredrawn", [(10.9, -SIDE), (10.9, SIDE), (12.5, SIDE), (12.5, -SIDE)]),
    "kl": (
        "KL: how far $q(z|x)$ is\nfrom the prior $N(0, I)$",
        [(2.9, 1.2), (2.9, 2.15), (6.5, 2.15), (6.5, 1.2)],
    ),
    "reconstruction": (
        "reconstruction: how badly the picture is redrawn, $-\\log p(x|z)$",
        [(2.2, -1.9), (2.2, -1.2), (10.3, -1.2), (10.3, -1.9)],
    ),
}


def show(figure: Figure, alt: str, *, data: dict | None = None, metadata: dict | None = None) -> None:
    """Display a figure as a PNG with its text alternative, and close it.

    Args:
        figure: any matplotlib figure.
        alt: what the figure shows, for a reader who cannot see it: at least a sentence, not just the title.
        data: other representations of the figure by MIME type, stored in the same output.
        metadata: additional metadata of that output.
    """
    if len(alt.split()) < 8:
        raise ValueError(f"alt: expected a sentence that describes the figure, got {alt!r}")
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    plt.close(figure)
    picture = {"image/png": png.getvalue(), "text/plain": "Figure, described below"} | (data or {})
    display(picture, raw=True, metadata={"image/png": {"alt": alt}} | (metadata or {}))
    # JupyterLab does not put the alt text on the page, so show it below as well, where everyone can open it
    details = f"<details><summary>What this figure shows, in words</summary>{html.escape(alt)}</details>"
    display({"text/html": details, "text/plain": f"Figure: {alt}"}, raw=True)


def images(pictures, *, ax: Axes | None = None, columns: int = 10, row_labels: Sequence[str] = ()) -> Axes:
    """Draw pictures side by side in rows, read left to right, top to bottom.

    Args:
        pictures: (N, H * W) with H = W, or (N, H, W); values from 0 (black) to 1 (white). Or in colour: (N, 3 * H * W)
            with H = W, all reds first, as `data.portraits` returns them.
        ax: where to draw; if None, a new figure of a suitable size.
        columns: number of pictures in a row.
        row_labels: labels to the left of the rows, one for each row, or none.

    Returns:
        The axes.
    """
    sheet = image_grid(pictures, columns)
    if ax is None:
        _, ax = plt.subplots(figsize=(columns, columns * sheet.shape[0] / sheet.shape[1]))
    ax.imshow(sheet, vmin=0, vmax=1)
    ax.set_axis_off()
    rows = -(-len(pictures) // columns)
    if row_labels and len(row_labels) != rows:
        raise ValueError(f"row_labels: expected {rows}, one for each row, got {len(row_labels)}")
    for row, label in enumerate(row_labels):
        ax.text(-4, (row + 0.5) * len(sheet) / rows, label, ha="right", va="center")
    return ax


def image_grid(pictures, columns: int = 10) -> np.ndarray:
    """Arrange pictures in one array, with two white pixels between them (nan, in colour 1).

    Args:
        pictures: (N, H * W) or, in colour, (N, 3 * H * W), with H = W; or (N, H, W).
        columns: number of pictures in a row; an incomplete last row is filled up likewise.

    Returns:
        (rows * (H + 2) - 2, columns * (W + 2) - 2), in colour with 3 channels as its last axis.

    Example:
        >>> image_grid(np.zeros((5, 784)), columns=3).shape
        (58, 88)
    """
    pictures = _as_pictures(pictures)
    n, height, width, *colours = pictures.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * columns, height + 2, width + 2, *colours), 1.0 if colours else np.nan)
    sheet[:n, :height, :width] = pictures
    sheet = sheet.reshape(rows, columns, height + 2, width + 2, *colours).swapaxes(1, 2)
    return sheet.reshape(rows * (height + 2), columns * (width + 2), *colours)[:-2, :-2]


def scatter_classes(points, labels, *, ax: Axes, size: float = 12) -> Axes:
    """Draw a scatter plot with a colour and a marker for each class, and the class's number at its median.

    Args:
        points: (N, 2).
        labels: (N,) whole numbers from 0 to 9.
        ax: where to draw.
        size: of the markers, in points squared.

    Returns:
        The axes.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(labels):
        raise ValueError(f"points, labels: expected (N, 2) and (N,), got {points.shape} and {labels.shape}")
    colours = plt.color_sequences["petroff10"]
    for label in np.unique(labels):
        x, y = points[labels == label].T
        ax.scatter(x, y, s=size, color=colours[label], marker=MARKERS[label], alpha=0.6, linewidths=0)
        box = {"boxstyle": "circle,pad=0.2", "fc": "white", "ec": colours[label], "lw": 1.5}
        ax.text(np.median(x), np.median(y), str(label), weight="bold", ha="center", va="center", bbox=box)
    return ax


def machine(*marked: str) -> None:
    """Display the drawing of a VAE: picture, encoder, q(z|x), a draw z, decoder, and the two terms of the loss.

    Args:
        marked: the parts to mark, of "picture", "encoder", "q", "z", "decoder", "drawing", "kl", "reconstruction".
    """
    if unknown := set(marked) - set(MACHINE):
        raise ValueError(f"marked: expected some of {', '.join(MACHINE)}, got {', '.join(sorted(map(repr, unknown)))}")
    figure, ax = plt.subplots(figsize=(9, 3.1))
    for part, (label, corners) in MACHINE.items():
        chosen, term = part in marked, part in ("kl", "reconstruction")
        style = {"facecolor": "#FFE3B3", "edgecolor": "#D55E00", "linewidth": 4} if chosen else {"facecolor": "white"}
        ax.add_patch(plt.Polygon(corners, **({"edgecolor": "black", "linestyle": "--" if term else "-"} | style)))
        x, y = np.mean(corners, axis=0)
        ax.text(x, y, label, ha="center", va="center", fontsize=10, weight="bold" if chosen else "normal")
    steps = [part for part in MACHINE if part not in ("kl", "reconstruction")]
    for left, right in zip(steps[:-1], steps[1:], strict=True):
        _arrow(ax, (MACHINE[left][1][2][0], 0), (MACHINE[right][1][0][0], 0))
    _arrow(ax, (5.4, 0.7), (5.4, 1.2), "--")
    for x, edge in ((0.8, 2.2), (11.7, 10.3)):  # both the picture and its drawing enter the reconstruction term
        ax.plot([x, x], [-SIDE, -1.55], "k--", lw=1)
        _arrow(ax, (x, -1.55), (edge, -1.55), "--")
    ax.text(7.35, 1.35, "noise $\\varepsilon$", ha="center", fontsize=10)
    _arrow(ax, (7.35, 1.25), (7.35, 0.6))
    ax.text(12.5, 1.7, "loss = reconstruction + KL", ha="right", fontsize=11)
    ax.set(xlim=(-0.1, 12.6), ylim=(-2, 2.25), aspect="equal")
    ax.set_axis_off()
    names = {"q": "the distribution q of z given x", "z": "the draw z", "kl": "the KL", "drawing": "the redrawing"}
    parts = " and ".join(names.get(part, f"the {part}") for part in marked) or "none"
    show(
        figure,
        "A diagram of a VAE, from left to right: a picture x enters the encoder, which gives a mean mu and a standard "
        "deviation sigma, the distribution q of z given x. With noise epsilon, z is drawn from it. The decoder turns z "
        "into a distribution over pictures, which redraws x. The loss has two terms: the reconstruction term compares "
        "the picture with its redrawing, and the KL compares q with the prior N(0, I). "
        f"Marked parts: {parts}.",
    )


def _arrow(ax, start, end, linestyle="-"):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "linestyle": linestyle, "shrinkA": 0, "shrinkB": 0})


def _as_pictures(pictures):
    pictures = np.asarray(pictures, dtype=float)
    side = round(pictures.shape[-1] ** 0.5) if pictures.ndim == 2 else 0
    if pictures.ndim == 2 and len(pictures) and side * side == pictures.shape[1]:
        return pictures.reshape(-1, side, side)
    third = round((pictures.shape[-1] / 3) ** 0.5) if pictures.ndim == 2 else 0
    if pictures.ndim == 2 and len(pictures) and 3 * third * third == pictures.shape[1]:
        return pictures.reshape(-1, 3, third, third).transpose(0, 2, 3, 1)
    if pictures.ndim == 3 and len(pictures):
        return pictures
    raise ValueError(
        f"pictures: expected (N, H * W) or (N, 3 * H * W) of square pictures, or (N, H, W), got {pictures.shape}"
    )
