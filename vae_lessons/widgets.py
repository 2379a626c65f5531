"""Predictions that the reader commits to before running the cell that answers them, and figures with sliders."""

import html
import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as ipw
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vae_lessons import plotting

__all__ = ["Prediction", "explore"]


class Prediction:
    """A question with choices. The reader picks one; `reveal` compares the pick with what was measured.

    The pick lives as long as the kernel. Without a kernel the question and its choices are still readable.

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
        box = ipw.VBox([ipw.HTML(f"<b>Your prediction.</b> {html.escape(self.question)}"), self.buttons])
        listed = "\n".join(f"  ( ) {choice}" for choice in self.choices)
        bundle = box._repr_mimebundle_() | {"text/plain": f"Your prediction. {self.question}\n{listed}"}
        display(bundle, raw=True)

    def reveal(self, measured: str) -> None:
        """Say what was measured, and how the pick compares with it.

        Args:
            measured: one of the choices, worked out from the measurement.
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
    **sliders: ipw.Widget,
) -> None:
    """Show a figure that follows its sliders, and below it stills of the same figure for a reader without a kernel.

    Args:
        draw: called as `draw(figure, name=value, ...)` with an empty matplotlib figure and the value of every slider.
            It draws, and returns a sentence with the numbers that the picture shows, which stands below the picture.
        stills: values of the sliders, by name, for each of the stills.
        alt: what the stills show, in words.
        size: of one picture, in inches.
        sliders: widgets with a `description` and a `value`, such as `ipywidgets.FloatSlider`, by the names of
            `draw`'s arguments.

    Example:
        >>> def line(figure, slope):
        ...     figure.subplots().plot([0, 1], [0, slope])
        ...     return f"A line of slope {slope}."
        >>> explore(
        ...     line,
        ...     slope=ipw.FloatSlider(description="slope"),
        ...     stills=[{"slope": 0}, {"slope": 2}],
        ...     alt="Two lines from the origin, the first flat, the second rising to 2.",
        ... )  # doctest: +SKIP
    """
    for still in stills:
        if set(still) != set(sliders):
            raise ValueError(f"stills: expected a value for each of {sorted(sliders)}, got {sorted(still)}")
    picture, words = ipw.Image(format="png"), ipw.HTML()
    figure = Figure(figsize=size)
    canvas = FigureCanvasAgg(figure)

    def follow(_=None):
        figure.clear()
        sentence = draw(figure, **{name: slider.value for name, slider in sliders.items()})
        png = io.BytesIO()
        canvas.print_png(png)  # not savefig: its tight crop would make the picture jump
        picture.value, words.value = png.getvalue(), f'<p aria-live="polite">{html.escape(sentence)}</p>'

    for slider in sliders.values():
        slider.observe(follow, "value")
    follow()
    box = ipw.VBox([*sliders.values(), picture, words])
    listed = ", ".join(slider.description for slider in sliders.values())
    bundle = box._repr_mimebundle_() | {
        "text/plain": f"Interactive figure, with sliders for {listed}. Stills of it below."
    }
    display(bundle, raw=True)
    _show_stills(draw, stills, alt, size, {name: slider.description for name, slider in sliders.items()})


def _show_stills(draw, stills, alt, size, descriptions):
    columns = min(len(stills), max(1, round(9 / size[0])))
    rows = -(-len(stills) // columns)
    sheet = Figure(figsize=(columns * size[0], rows * size[1]))
    parts = sheet.subfigures(rows, columns, squeeze=False).ravel()
    for part, still in zip(parts, stills, strict=False):
        draw(part, **still)
        part.suptitle(", ".join(f"{descriptions[name]} = {value}" for name, value in still.items()), fontsize="medium")
    plotting.show(sheet, alt)
