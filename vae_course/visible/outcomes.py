"""What can become of an answer."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Failure", "Kind"]


class Kind(StrEnum):
    """The kind of a verdict: its value stands in `grades.csv`, its meaning in the guide for instructors."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Kind":
        kind = str.__new__(cls, value)
        kind._value_, kind.meaning = value, meaning
        return kind

    PASSED = "passed", "right on every drawn input, however it is written"
    MISTAKE = "mistake", "a known mistake; the hint names it and leads on"
    DIFFERENT = "different", "other numbers or words than the right ones, and no known mistake"
    SHAPE = "shape", "a result has another shape"
    TYPE = "type", "a result is of another type, or there are more or fewer results"
    DTYPE = "dtype", "words for numbers, whole or complex numbers for real ones, or the reverse"
    NOT_FINITE = "not finite", "nan or inf where the right number is finite"
    SIGNATURE = "signature", "the function takes other arguments"
    NOT_WRITTEN = "not written", "the function still raises `NotImplementedError`"
    RAISED = "raised", "it stopped with an error; the hint shows the student's own lines"
    LIBRARY = "library", "it calls the function of `vae_lessons` that it should write; that function is switched off"
    MISSING = "missing", "the answer's cell, or the function in it, is not there (a copied cell has another id)"
    TIMEOUT = "timeout", "it took too long; the other answers still count, while the submission's time lasts"
    MEMORY = "memory", "it took too much memory; the other answers still count"
    CRASHED = "crashed", "it ended its process; the other answers still count"
    UNREADABLE = "unreadable", "the file is no notebook"


@dataclass(frozen=True)
class Failure:
    """Why there is nothing to compare.

    Args:
        kind: what happened.
        message: the same in a sentence or more, for the student.
    """

    kind: Kind
    message: str
