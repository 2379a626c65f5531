"""Predictions, which the reader makes before running the cell that answers them, and figures with sliders."""

import asyncio
import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
import numpy as np
import traitlets
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import plotting
from vae_lessons.fast_figures import FastFigure

__all__ = ["Drawing", "Prediction", "explore", "frames"]

# Seconds: a figure is drawn once no new value has come for QUIET, but no later than LONGEST after the first
QUIET, LONGEST = 0.01, 0.1


class Names(anywidget.AnyWidget):
    """A hidden widget that names its neighbours in a `VBox` for screen readers (see names.js)."""

    _esm = Path(__file__).with_name("names.js")
    text = traitlets.Unicode().tag(sync=True)

    def __init__(self, text: str):
        super().__init__(text=text, layout={"display": "none"})


class Drawing(anywidget.AnyWidget):
    """A black square to draw on in white, by mouse, pen, finger or keyboard. A control for `explore`.

    Args:
        description: what to draw, for screen readers.
        value: one byte for each pixel, row by row: 1 for white, 0 for black.
    """

    _esm = "".join(
        (Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("live/controls.js", "drawing.js")
    )
    description = traitlets.Unicode().tag(sync=True)
    value = traitlets.CBytes().tag(sync=True)
    side = traitlets.Int().tag(sync=True)

    def __init__(self, description: str, value: bytes = bytes(784)):
        side = math.isqrt(len(value))
        if side**2 != len(value) or set(value) - {0, 1}:
            raise ValueError(f"value: expected a square number of bytes, each 0 or 1, got {len(value)} bytes")
        super().__init__(description=description, value=value, side=side)


class Prediction:
    """A question with choices. The reader picks one; `reveal` compares the pick with what was measured.

    The pick is kept until the kernel stops. Without a kernel, the question and its choices can still be read.

    Args:
        question: one sentence.
        choices: at least two different answers.

    Example:
        guess = Prediction("Does the loss fall?", ["yes", "no"])
        guess.ask()                     # radio buttons
        guess.reveal("yes")             # after the measurement
    """

    def __init__(self, question: str, choices: Sequence[str]):
        if len(choices) < 2 or len(set(choices)) != len(choices):
            raise ValueError(f"choices: expected at least two different answers, got {list(choices)}")
        self.question, self.choices = question, list(choices)
        self.buttons = ipw.RadioButtons(
            options=self.choices, value=None, layout={"width": "max-content"}, description_allow_html=False
        )

    @property
    def pick(self) -> str | None:
        """The answer that the reader chose, or None."""
        return self.buttons.value

    def ask(self) -> None:
        """Show the question and its choices."""
        question = ipw.HTML(f"<b>Your prediction.</b> {html.escape(self.question)}")
        box = ipw.VBox([question, self.buttons, Names(self.question)])
        listed = "\n".join(f"  ( ) {choice}" for choice in self.choices)
        bundle = box._repr_mimebundle_() | {"text/plain": f"Your prediction. {self.question}\n{listed}"}
        display(bundle, raw=True)

    def reveal(self, measured: str) -> None:
        """Print what was measured, and how the pick compares with it.

        Args:
            measured: the choice that the measurement supports.
        """
        if measured not in self.choices:
            raise ValueError(f"measured: expected one of {self.choices}, got {measured!r}")
        if self.pick is None:
            compared = "You made no prediction here; pick one above and run this cell again."
        elif self.pick == measured:
            compared = "You predicted just that."
        else:
            compared = f"You predicted: {self.pick}. What in your reasoning would have to change?"
        print(f"{self.question}\nMeasured: {measured}\n{compared}")


def explore(
    draw: Callable[..., str],
    *,
    stills: Sequence[dict[str, Any]],
    alt: str,
    size: tuple[float, float] = (4.5, 3.4),
    labels: Sequence[str] | None = None,
    **sliders: ipw.Widget,
) -> None:
    """Show a figure that follows its sliders, and store stills of it for readers without a kernel.

    While a picture is drawn, values may queue up in the kernel; only the newest of them is drawn next. An error in
    `draw` is shown instead of the sentence.

    The stills are in the same output as the sliders. JupyterLab, and other pages that show stored notebooks, show up to
    four of them, as one picture, if they cannot show the sliders. `frames` returns all of them.

    Args:
        draw: called as `draw(figure, name=value, ...)` with an empty matplotlib figure and the value of every slider.
            It draws, and returns a sentence with the numbers in the picture, which is shown below it. Text in the axes
            takes longest; titles, labels and `figure.legend(loc="outside lower center")` are drawn only when they
            change (see `vae_lessons.fast_figures`).
        stills: for each still, the value of every slider by name, in the order in which a reader steps through them.
        alt: a description of the figure and of what the sliders change, which is true of the stills as well.
        size: of one picture, in inches.
        labels: of the stills; if None, the values of the sliders that differ between stills.
        sliders: widgets with a `description` and a `value`, such as `ipywidgets.FloatSlider` or `Drawing`, by the
            name of `draw`'s argument.

    Example:
        >>> def line(figure, slope):
        ...     figure.subplots().plot([0, 1], [0, slope])
        ...     return f"A line of slope {slope}."
        >>> explore(
        ...     line,
        ...     slope=ipw.FloatSlider(description="slope"),
        ...     stills=[{"slope": 0}, {"slope": 2}],
        ...     alt="A line from the origin, flat at slope 0, rising to 2 at slope 2.",
        ... )  # doctest: +SKIP
    """
    for still in stills:
        if set(still) != set(sliders):
            raise ValueError(f"stills: expected a value for each of {sorted(sliders)}, got {sorted(still)}")
    if labels is None:
        moved = [name for name in sliders if len({still[name] for still in stills}) > 1]
        labels = [", ".join(f"{sliders[name].description} = {still[name]}" for name in moved) for still in stills]
    if len(labels) != len(stills):
        raise ValueError(f"labels: expected one for each of the {len(stills)} stills, got {len(labels)}")
    picture, words = ipw.Image(format="png", layout={"align_self": "flex-start"}), ipw.HTML()
    words.add_class("course-words")
    for slider in sliders.values():
        slider.layout.width = slider.layout.width or "28em"
        slider.tooltip = slider.description

    figure = FastFigure(draw, size)

    def follow():
        picture.value, sentence = figure.picture(**{name: _value(slider) for name, slider in sliders.items()})
        words.value = f"<p>{html.escape(sentence)}</p>"

    follow()
    follow_newest = _newest(follow, words)
    for slider in sliders.values():
        slider.observe(follow_newest, "value")
    box = ipw.VBox([*sliders.values(), picture, words, Names(alt)])
    stored = [
        {"png": base64.b64encode(_smaller(png)).decode(), "label": label, "sentence": sentence}
        for (png, sentence), label in zip([figure.picture(**still) for still in stills], labels, strict=True)
    ]
    listed = ", ".join(slider.description for slider in sliders.values())
    plotting.show(
        _sheet(draw, size, stills, labels),
        alt,
        data=box._repr_mimebundle_() | {"text/plain": f"Interactive figure, with controls for {listed}, as stills"},
        metadata={"vae_lessons": {"stills": stored}},
    )


def frames(output: dict) -> list[dict]:
    """The stills in an output of a stored notebook, each as a separate output; empty if there are none.

    Each frame is a `display_data` output with `data["image/png"]` (base64) and the metadata

        {"image/png": {"alt": ...}, "vae_lessons": {"frame": k, "frames": n, "label": "rho = 0.5, sigma 1 = 1.5"}}

    with k from 0. A frame's alt is its label and the sentence that `draw` returned for it. The description of the
    whole series is the alt of the output itself, `output["metadata"]["image/png"]["alt"]`.

    Args:
        output: an output of a code cell, as nbformat reads it.
    """
    stills = output.get("metadata", {}).get("vae_lessons", {}).get("stills", [])
    return [
        {
            "output_type": "display_data",
            "data": {"image/png": still["png"], "text/plain": "Figure"},
            "metadata": {
                "image/png": {"alt": f"{still['label']}: {still['sentence']}"},
                "vae_lessons": {"frame": k, "frames": len(stills), "label": still["label"]},
            },
        }
        for k, still in enumerate(stills)
    ]


def _newest(follow, words):
    """An observer that calls `follow` only for the newest of the queued changes, and shows its errors in `words`."""
    first = timer = None
    drawn = -math.inf  # when the last drawing ended

    def run():
        nonlocal first, drawn
        first = None
        try:
            follow()
        except Exception as error:
            words.value = f"<p><b>{type(error).__name__}</b>: {html.escape(str(error))}</p>"
        drawn = asyncio.get_running_loop().time()

    def changed(_):
        nonlocal first, timer
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: nothing can queue up
            return follow()
        now = loop.time()
        if first is None:
            first = now
        else:
            timer.cancel()
        alone = first == now > drawn + QUIET  # nothing came while the last picture was drawn
        timer = loop.call_at(now if alone else min(now + QUIET, first + LONGEST), run)

    return changed


def _value(slider):
    """The slider's value, without rounding errors: browsers send 2.000000000000001 for 2.0."""
    return round(slider.value, 9) if isinstance(slider.value, float) else slider.value


def _smaller(png):
    """The picture in 256 colours, in a third of the bytes."""
    smaller = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
    picture.save(smaller, format="png", optimize=True)
    return smaller.getvalue()


def _sheet(draw, size, stills, labels):
    """Up to four of the stills, evenly spaced from first to last, in one figure."""
    chosen = np.linspace(0, len(stills) - 1, min(len(stills), 4)).round().astype(int)
    columns = min(len(chosen), max(1, round(9 / size[0])))
    rows = -(-len(chosen) // columns)
    sheet = Figure(figsize=(columns * size[0], rows * size[1]))
    for part, k in zip(sheet.subfigures(rows, columns, squeeze=False).ravel(), chosen, strict=False):
        draw(part, **stills[k])
        part.suptitle(labels[k], fontsize="medium")
    return sheet
