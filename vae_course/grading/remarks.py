"""Remarks on a class's submissions: grouped, the most important first, and each once."""

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["KINDS", "Remark", "grouped", "printable"]

KINDS = {  # the most important first
    "not marked": "not marked, because this program failed",
    "killed": "was running when marking was killed, so it was left out; mark it where bubblewrap works",
    "no access": "cannot be opened",
    "unreadable": "cannot be read as a notebook, so it has no points yet",
    "another exercise": "holds another notebook than its name says",
    "unknown student": "nobody on the roster",
    "unknown file": "no exercise of this course, so it was left alone",
    "several": "handed in more than once",
    "nothing": "nothing was handed in",
    "lost": "an answer took too much time or memory, or crashed, and did so again when it was run alone",
    "rescued": "an answer failed beside other submissions, and was run again alone; that counts",
    "suspect": "was running when marking was killed, so it was run last and alone",
    "missing": "an answer is missing",
    "by function": "an answer was not in its own cell; it was found by the name of the function",
    "copies": "the cell of an answer occurs more than once; the last one counts",
    "left out": "a cell hung or crashed, so it was left out",
    "line failed": "a line failed here; the rest of its cell was run",
    "type": "an answer is not in a code cell; it was run as code",
    "locked": "a locked cell was changed; the change was ignored",
    "no check": "the cell with the check is missing; the answer was marked all the same",
    "moved": "cells were moved; they were run in their new order",
    "no written answer": "the cell for the written answer is missing",
    "no notebook": "its grades are in the gradebook, but its notebook is not",
    "gone": "its file is gone; the marks of an earlier run were kept",
}
MAX_NAMED = 5  # places named for one kind of remark


class Remark(NamedTuple):
    """Something that a person should know about a submission.

    Args:
        kind: a key of `KINDS`.
        detail: what it is about, such as the id of a cell; may be empty. Students may have written parts of it.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{KINDS[self.kind]}{f' ({self.detail})' if self.detail else ''}"


def grouped(remarks: Iterable[tuple[str, Remark]], named: int = MAX_NAMED) -> list[str]:
    """One line for each kind of remark, the most important first, with the places where it occurs.

    Args:
        remarks: where each remark was made (such as "ann/ex04_kl_divergence"), and the remark.
        named: at most this many places are named in a line.
    """
    places: dict[str, dict[str, dict[str, None]]] = {}  # the details of each place in order, and each once
    for place, remark in remarks:
        details = places.setdefault(remark.kind, {}).setdefault(place, {})
        if remark.detail:
            details[remark.detail] = None
    lines = []
    for kind, sentence in KINDS.items():
        if kind in places:
            found = [
                f"{place} ({', '.join([*details][:named])}{', …' if len(details) > named else ''})"
                if details
                else place
                for place, details in places[kind].items()
            ]
            more = f", and {len(found) - named:,} more" if len(found) > named else ""
            lines.append(f"{sentence}: {', '.join(found[:named])}{more}")
    return lines


def printable(text: str) -> str:
    """The text in one line, with everything escaped that a terminal would interpret or could not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
