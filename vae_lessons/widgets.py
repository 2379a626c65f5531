"""Predictions that the reader commits to before running the cell that answers them."""

import html
from collections.abc import Sequence

import ipywidgets as ipw
from IPython.display import display

__all__ = ["Prediction"]


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
