"""Runs a lesson with a few words of its code changed, from the first changed cell on."""

import contextlib
import io
import os
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import torch

import vae_lessons.widgets

ROOT = Path(__file__).parents[1]


class Lesson:
    """A lesson's code cells and, after `run`, the variables before each.

    Functions of a lesson see its global variables, so there is one dictionary of them for all runs. A run that starts
    in the middle begins with the variables as they were there; objects that cells change in place are not restored.
    """

    def __init__(self, path: Path):
        self.cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        self.variables: dict = {"__name__": "__main__"}
        self.before: list[dict] = []
        self.dtype = torch.float32

    def run(self) -> None:
        """Run every cell as it is."""
        torch.set_default_dtype(torch.float32)
        for cell in self.cells:
            self.before.append(dict(self.variables))
            self._execute(cell)
        self.dtype = torch.get_default_dtype()

    def stops(self, changes: list[list[str]]) -> str | None:
        """Run from the first changed cell on; the source of the cell that an AssertionError stops, or None."""
        cells = list(self.cells)
        first = len(cells)
        for old, new in changes:
            places = [n for n, cell in enumerate(self.cells) for _ in range(cell.count(old))]
            if len(places) != 1:
                raise ValueError(f"expected once in the lesson's code, found {len(places)} times: {old!r}")
            cells[places[0]] = cells[places[0]].replace(old, new)
            first = min(first, places[0])
        torch.set_default_dtype(self.dtype)
        self.variables.clear()
        self.variables.update(self.before[first])
        for cell in cells[first:]:
            try:
                self._execute(cell)
            except AssertionError:
                return cell
        return None

    def _execute(self, cell: str) -> None:
        folder = os.getcwd()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                os.chdir(ROOT / "notebooks")
                exec(compile(cell, "a cell", "exec"), self.variables)
            finally:
                os.chdir(folder)
                plt.close("all")


def described(number: str) -> dict[str, list[dict]]:
    """The variants of a lesson: claims falsified on purpose, and what its section *Try it* proposes."""
    path = ROOT / "tests" / "variants" / f"{number}.toml"
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return {"falsified": found.get("falsified", []), "try_it": found.get("try_it", [])}


def without_pictures(monkeypatch) -> None:
    """Leave out displays, progress bars and most frames: the variants are about numbers."""
    monkeypatch.setattr(vae_lessons.widgets, "display", lambda *_, **__: None)
    monkeypatch.setattr(vae_lessons.plotting, "display", lambda *_, **__: None)
    monkeypatch.setattr(vae_lessons.widgets, "explore", lambda *_, **__: None)
