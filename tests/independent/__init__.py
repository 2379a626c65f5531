"""Answers that were written from the statements of the tasks alone, by people who had not seen the checks.

A module for each exercise. `ANSWERS` has what was collected, in the order of the file.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer to a task.

    Args:
        task: its name.
        right: whether it is right.
        label: what is wrong with it, or how it is written.
        function: the answer.
    """

    task: str
    right: bool
    label: str
    function: Callable


ANSWERS: list[Answer] = []


def right(task: str, label: str) -> Callable:
    """Decorate a right answer."""
    return _collect(task, True, label)


def wrong(task: str, label: str) -> Callable:
    """Decorate a wrong answer."""
    return _collect(task, False, label)


def _collect(task, is_right, label):
    def keep(function):
        ANSWERS.append(Answer(task, is_right, label, function))
        return function

    return keep
