"""Count how long it takes to read each lesson, and how plain it is, from the stored notebooks.

    python benchmarks/reading_time.py [01 ...] [-v]

Counted: 200 words a minute, 10 seconds for a line of code, 1.5 minutes for a figure or a displayed formula. A section
whose heading ends in "(optional)" counts as optional. The times that lessons and the README state are these, rounded
up to 5 minutes; a test compares them.
"""

import math
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import nbformat
import typer

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONG = 25  # words in a sentence


@dataclass
class Part:
    """The core or the optional part of a lesson: words, lines of code, figures and displayed formulas."""

    words: int = 0
    lines: int = 0
    shown: int = 0

    @property
    def minutes(self) -> float:
        return self.words / 200 + self.lines / 6 + 1.5 * self.shown

    @property
    def stated(self) -> int:
        return 5 * math.ceil(self.minutes / 5)


@dataclass
class Lesson:
    """What a lesson asks of its reader."""

    core: Part = field(default_factory=Part)
    optional: Part = field(default_factory=Part)
    sentences: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)

    @property
    def long(self) -> list[str]:
        return [sentence for sentence in self.sentences if len(words(sentence)) > LONG]


def words(text: str) -> list[str]:
    return re.findall(r"\w[\w'’-]*", text)


def sentences(markdown: str) -> list[str]:
    """The sentences of a cell, without displayed formulas and tables; a formula in the text counts as a word."""
    text = re.sub(r"\$\$.*?\$\$", " ", markdown, flags=re.S)
    text = re.sub(r"^\|.*\|\s*$", " ", text, flags=re.M)
    text = re.sub(r"\$[^$]*\$", " x ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return [s for s in re.split(r"(?<=[.!?:])[*_\")]*\s+|\n\s*\n|\n\s*[-*#\d]", text) if len(words(s)) > 3]


def read(path: Path) -> Lesson:
    """Count a stored notebook."""
    lesson = Lesson()
    part = lesson.core
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for text in re.split(r"(?m)^(?=## )", cell.source):
                if text.startswith("## "):
                    part = lesson.optional if text.splitlines()[0].rstrip().endswith("(optional)") else lesson.core
                found = sentences(text)
                lesson.sentences += found
                part.words += sum(len(words(sentence)) for sentence in found)
                part.shown += text.count("$$") // 2
        else:
            lines = [line for line in cell.source.splitlines() if line.strip()]
            part.lines += len(lines)
            part.shown += sum("image/png" in output.get("data", {}) for output in cell.outputs)
            lesson.cells.append(len(lines))
    return lesson


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Numbers of lessons, such as 01; without: all.")] = None,
    verbose: Annotated[bool, typer.Option("-v", help="Print the long sentences.")] = False,
) -> None:
    """Print a line for each lesson."""
    print(f"{'lesson':28}{'core':>6}{'optional':>10} minutes   long sentences   lines of a cell: median, most")
    for path in LESSONS:
        if names and path.stem[:2] not in names:
            continue
        lesson = read(path)
        share = len(lesson.long) / len(lesson.sentences)
        print(f"{path.stem:28}{lesson.core.minutes:6.0f}{lesson.optional.minutes:10.0f}{share:20.1%}", end="")
        print(f"{statistics.median(lesson.cells):22.0f}{max(lesson.cells):6}")
        for sentence in lesson.long if verbose else []:
            print(f"    {len(words(sentence))} words: {' '.join(sentence.split())}")


if __name__ == "__main__":
    typer.run(main)
