"""Accessible figures: text alternatives, and colours that colour-blind readers can tell apart."""

import re
from itertools import combinations
from pathlib import Path

import matplotlib.colors
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE

from vae_lessons import plotting

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path for folder in ("notebooks", "solutions") for path in (ROOT / folder).glob("*.ipynb"))
CLEAR = 10  # in CAM02-UCS, where 1 is about the smallest difference visible side by side
KINDS = ["deuteranomaly", "protanomaly", "tritanomaly"]


def alternatives(notebook):
    """The text alternative of every stored picture; empty if it has none."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return [output.metadata.get("image/png", {}).get("alt", "") for output in shown if "image/png" in output.data]


def inadequate(alts):
    """Text alternatives with too few words, or the same as another picture's."""
    words = [set(re.findall(r"[^\W\d_]{2,}", alt.lower())) for alt in alts]
    return [alt for alt, distinct in zip(alts, words, strict=True) if len(distinct) < 8 or alts.count(alt) > 1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_picture_has_its_own_description(path):
    assert not inadequate(alternatives(nbformat.read(path, as_version=4)))


def test_a_missing_short_or_repeated_description_is_found():
    good = "Two lines from the origin, the first flat, the second rising to 2."
    bad = ["", "Figure 1: KL against mu", "x x x x x x x x x x x", "0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9"]
    assert inadequate([good, *bad]) == bad
    assert inadequate([good, good]) == [good, good]
    plain = nbformat.v4.new_output("display_data", {"image/png": "", "text/plain": "Figure"})
    assert alternatives(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[plain])])) == [""]


def seen(colours, kind):
    """Colours as sRGB from 0 to 1, as someone without one kind of cone sees them."""
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour in colours])
    blind = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    return cspace_convert(colours, blind, "sRGB1").clip(0, 1)


def closest(colours):
    """The smallest difference between two of the colours."""
    return min(deltaE(first, second, input_space="sRGB1") for first, second in combinations(colours, 2))


def cycle():
    return plt.rcParams["axes.prop_cycle"].by_key()["color"]


def class_colours():
    _, ax = plt.subplots()
    plotting.scatter_classes(np.zeros((10, 2)), np.arange(10), ax=ax)
    plt.close(ax.figure)
    return [part.get_facecolor()[0, :3] for part in ax.collections]


@pytest.mark.parametrize("kind", KINDS)
def test_lines_can_be_told_apart_and_from_the_paper(kind):
    assert closest(seen([*cycle(), "white"], kind)) > CLEAR


@pytest.mark.parametrize("kind", KINDS)
def test_classes_can_be_told_apart_and_from_the_paper(kind):
    assert closest(seen([*class_colours(), "white"], kind)) > CLEAR


def test_colours_that_are_confused_are_found():
    assert closest(seen(["tab:orange", "tab:green"], "protanomaly")) < 2
    assert closest(seen(["tab:orange", "tab:green"], "tritanomaly")) > CLEAR
