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

__all__ = ["image_grid", "images", "scatter_classes", "show"]

plt.style.use(Path(__file__).with_name("style.mplstyle"))
MARKERS = "osv^<>DPX*"


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
        pictures: (N, H * W) with H = W, or (N, H, W); values from 0 (black) to 1 (white).
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
    """Arrange pictures in one array, with two white pixels (nan) between them.

    Args:
        pictures: (N, H * W) with H = W, or (N, H, W).
        columns: number of pictures in a row; an incomplete last row is filled up with nan.

    Returns:
        (rows * (H + 2) - 2, columns * (W + 2) - 2)

    Example:
        >>> image_grid(np.zeros((5, 784)), columns=3).shape
        (58, 88)
    """
    pictures = _as_pictures(pictures)
    n, height, width = pictures.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * columns, height + 2, width + 2), np.nan)
    sheet[:n, :height, :width] = pictures
    sheet = sheet.reshape(rows, columns, height + 2, width + 2).swapaxes(1, 2)
    return sheet.reshape(rows * (height + 2), columns * (width + 2))[:-2, :-2]


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


def _as_pictures(pictures):
    pictures = np.asarray(pictures, dtype=float)
    side = round(pictures.shape[-1] ** 0.5) if pictures.ndim == 2 else 0
    if pictures.ndim == 2 and len(pictures) and side * side == pictures.shape[1]:
        return pictures.reshape(-1, side, side)
    if pictures.ndim == 3 and len(pictures):
        return pictures
    raise ValueError(f"pictures: expected (N, H * W) of square pictures or (N, H, W), got {pictures.shape}")
