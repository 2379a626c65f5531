"""The possible outcomes for an answer."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Failure", "Kind"]


class Kind(StrEnum):
    """The kind of a verdict. `grades.csv` contains its value, the guide for instructors its meaning."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Kind":
        kind = str.__new__(cls, value)
        kind._value_, kind.meaning = value, meaning
        return kind

    PASSED = "passed", "right on every drawn input, however it is written"
    MISTAKE = "mistake", "a known mistake; the hint names it and leads on"
    DIFFERENT = "different", "wrong numbers or words, and no known mistake; the hint may say how they differ"
    SHAPE = "shape", "a result has the wrong shape"
    TYPE = "type", "a result has the wrong type, or there are too many or too few results"
    DTYPE = "dtype", "words instead of numbers, integers or complex numbers instead of real numbers, or the reverse"
    NOT_FINITE = "not finite", "nan or inf, but the right number is finite"
    SIGNATURE = "signature", "the function takes the wrong arguments"
    NOT_WRITTEN = "not written", "the function still raises `NotImplementedError`"
    RAISED = "raised", "it stopped with an error; the hint shows the student's own lines"
    LIBRARY = "library", "it calls the `vae_lessons` function that it should implement; that function is switched off"
    MISSING = "missing", "the answer's cell, or the function in it, is not there (a copied cell has another id)"
    TIMEOUT = "timeout", "it took too long; the other answers still count, as long as the submission's time lasts"
    MEMORY = "memory", "it took too much memory; the other answers still count"
    CRASHED = "crashed", "it ended its process; the other answers still count"
    UNREADABLE = "unreadable", "the file is not a notebook"


@dataclass(frozen=True)
class Failure:
    """Why there is nothing to compare.

    Args:
        kind: what happened.
        message: an explanation for the student.
    """

    kind: Kind
    message: str
