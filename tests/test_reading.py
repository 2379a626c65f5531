"""What lessons promise their readers: minutes, a plain text, no answer in sight of its question, the claims' page."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import reading_time

ROOT = Path(__file__).parents[1]
LESSONS = reading_time.LESSONS
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@every_lesson
def test_a_lesson_states_the_minutes_that_are_counted(path):
    lesson, intro = reading_time.read(path), cells(path, "markdown")[0].source
    if lesson.optional.lines:
        stated = f"{lesson.core.stated} minutes for the core, {lesson.optional.stated} more for the optional sections"
    else:
        stated = f"{lesson.core.stated} minutes to read and try"
    assert f"*Time:* {stated}" in " ".join(intro.split())


@every_lesson
def test_the_readme_states_the_same_minutes(path):
    lesson = reading_time.read(path)
    minutes = f"{lesson.core.stated} + {lesson.optional.stated}" if lesson.optional.lines else f"{lesson.core.stated}"
    (row,) = [r for r in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if f"notebooks/{path.name}" in r]
    assert row.split("|")[4].strip() == minutes


@every_lesson
def test_the_core_takes_at_most_90_minutes_and_sentences_are_short(path):
    lesson = reading_time.read(path)
    assert lesson.core.minutes <= 90
    assert len(lesson.long) <= 0.025 * len(lesson.sentences), lesson.long


def test_minutes_are_counted_by_hand(tmp_path):
    picture = new_output("display_data", data={"image/png": "", "text/plain": "Figure"})
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Title of it\n\n" + "word " * 197 + "end.\n\n$$x = 1$$"),
            new_code_cell("a = 1\n\nb = 2", outputs=[picture]),
            new_markdown_cell("## 2. Aside (optional)\n\n" + "word " * 26 + "end."),
            new_code_cell("c = 3"),
            new_markdown_cell("## Summary\n\nFour words are here.\n\n| a table | counts | nothing | here |"),
        ]
    )
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    lesson = reading_time.read(tmp_path / "lesson.ipynb")
    assert (lesson.core.words, lesson.core.lines, lesson.core.shown) == (198 + 4, 2, 2)
    assert (lesson.optional.words, lesson.optional.lines, lesson.optional.shown) == (27, 1, 0)
    assert lesson.core.minutes == pytest.approx(202 / 200 + 2 / 6 + 3)
    assert lesson.core.stated == 5
    assert [len(reading_time.words(s)) for s in lesson.long] == [198, 27]


@every_lesson
def test_no_words_for_a_figure_stand_between_a_prediction_and_its_answer(path):
    asked = None
    for cell in cells(path, "code"):
        if ".reveal(" in cell.source:
            asked = None
        assert not (asked and re.search(r"plotting\.show\(|\balt=|\bexplore\(", cell.source)), asked
        if ".ask()" in cell.source:
            asked = cell.source


@every_lesson
def test_the_machine_returns_with_the_lessons_part_marked(path):
    drawn = [m for cell in cells(path, "code") for m in re.findall(r"^plotting\.machine\((.*)\)$", cell.source, re.M)]
    assert drawn
    assert path.stem.startswith("00") or all(drawn)


def printed(cell):
    """What a cell prints, without line breaks."""
    return " ".join(" ".join(o.get("text", "") for o in cell.outputs).split())


def claim_cells(path):
    """Of each cell that asserts: the section's number, what it printed, and whether it states a claim.

    It states one if an `assert` stands in it and it prints a fixed sentence.
    """
    section, found = "", []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            numbers = re.findall(r"(?m)^## (\d+)\.", cell.source)
            if re.search(r"(?m)^## ", cell.source):
                section = numbers[-1] if numbers else ""
        elif re.search(r"\bassert", cell.source):
            asserts = re.search(r"(?m)^\s*assert ", cell.source)
            fixed = re.search(r'(?m)^\s*(?:print\()?\s*"[^"{]{25,}"', cell.source)
            found.append((section, printed(cell), bool(asserts and fixed)))
    return found


def rows():
    """The rows of the claims' page: the lesson and the columns."""
    text = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    for part in re.split(r"(?m)^## ", text)[1:]:
        for line in part.splitlines():
            columns = [column.strip() for column in line.strip().strip("|").split(" | ")]
            if line.startswith("| ") and columns[0] != "claim":
                yield part[:2], columns


def test_every_row_of_the_claims_page_is_a_claim_of_its_section():
    found = {path.stem[:2]: claim_cells(path) for path in LESSONS}
    assert {number for number, _ in rows()} == set(found)
    for number, columns in rows():
        assert len(columns) == 8, columns
        assert all(columns), columns
        claim, section = " ".join(columns[0].split()), columns[1].removeprefix("-")
        assert len(claim) >= 25, claim
        assert [s for s, text, _ in found[number] if claim in text] == [section], (number, claim)


@every_lesson
def test_every_claim_has_its_row(path):
    claims = [" ".join(columns[0].split()) for number, columns in rows() if number == path.stem[:2]]
    missing = [text for _, text, fixed in claim_cells(path) if fixed and not any(claim in text for claim in claims)]
    assert not missing
