"""Numbers in a lesson's claims and summary come from its cells: an assertion, a setting, or a compared output."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBER = r"(?<![\w.^{])\d+(?:,\d{3})*(?:\.\d+)?(?![\w}])"
BOUND = rf"\b(?:over|under|above|below|less than|more than|fewer than|at least|at most|within|about|by) ({NUMBER})"
HERE = rf"({NUMBER})[^.;:!?\d]{{0,60}}? here\b"  # "25 nats here": measured, stored, not compared
ELSEWHERE = "|".join(  # numbers that need no cell: in formulas, code and links, and those of lessons and sections
    (
        r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)",
        r"[Ll]essons? \d\d(?:, \d\d)*(?: (?:to|and) \d\d)?|\(\d\d(?:, \d\d)*\)|section \d+",
    )
)


def values(pattern, text):
    return {float(number.replace(",", "")) for number in re.findall(pattern, text)}


def code(cell):
    return ast.parse(re.sub(r"^[%!].*$", "pass", cell.source, flags=re.M))


def constants(tree):
    """The numbers in the code; also shares as percentages, and their complements to 1."""
    numbers = {
        float(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    }
    numbers |= {abs(1 - value) for value in numbers if value < 2}
    return {round(scaled, 9) for value in numbers for scaled in (value, 100 * value)}


def printed(tree):
    """The literal text in calls of `print`, without formatted values."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "print":
            for argument in call.args:
                for part in argument.values if isinstance(argument, ast.JoinedStr) else [argument]:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def stored(cell):
    """The numbers in the cell's stored text outputs."""
    texts = [output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return values(NUMBER, " ".join(texts))


def rounds_to(text, numbers):
    """Whether one of the numbers, or it as a percentage, is the number in the text when rounded like it."""
    decimals = len(text.partition(".")[2])
    wanted = float(text.replace(",", ""))
    off = 0.5 * 10**-decimals + 1e-9
    return any(abs(scale * number - wanted) <= off for number in numbers for scale in (1, 100))


def unsupported(notebook):
    """Numbers above 2 in a claim or the summary that no cell contains, each with its sentence."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    known = set().union(*(constants(code(cell)) for cell in cells))
    shown, measured = set(), set()
    for cell in cells:
        measured |= stored(cell)
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):
            shown |= stored(cell)
    missing = []
    for tree in map(code, cells):
        if any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
            for text in printed(tree):
                bounds = values(BOUND, text)
                missing += [(n, text) for n in bounds if n > 2 and n not in constants(tree)]
                missing += [(n, text) for n in values(NUMBER, text) - bounds if n > 2 and n not in known]
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    summary = re.search(r"^## Summary\n(.*?)(?=^#|\*\*Back|\Z)", text, re.S | re.M)
    summary = re.sub(ELSEWHERE, "", summary[1] if summary else "", flags=re.S)
    here = re.findall(HERE, summary)
    missing += [(float(text.replace(",", "")), "here") for text in here if not rounds_to(text, measured)]
    summary = re.sub(HERE, "", summary)
    return missing + [(n, "summary") for n in values(NUMBER, summary) if n > 2 and n not in known | shown]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_numbers_in_claims_and_summary_come_from_cells(lesson):
    assert not unsupported(nbformat.read(lesson, as_version=4))


def lesson(claim, summary, tags=()):
    setting = new_code_cell("epochs = 30")
    asserting = new_code_cell(f"assert gap > 12 and share < 0.05\nprint(f'{claim}')")
    table = new_code_cell(
        "table", metadata={"tags": list(tags)}, outputs=[new_output("stream", text="cost 47.25 nats")]
    )
    return new_notebook(cells=[setting, asserting, table, new_markdown_cell(f"## Summary\n\n- {summary}")])


def test_numbers_that_no_cell_contains_are_found():
    right = "After 30 epochs over 12 nats; under 5 % of {n}"
    assert not unsupported(lesson(right, "It costs 47.25 nats; see lesson 07."))
    assert unsupported(lesson(right, "It costs 48 nats.")) == [(48, "summary")]
    assert unsupported(lesson(right, "It costs 47.25 nats.", ["nbval-ignore-output"])) == [(47.25, "summary")]
    ignored = ["nbval-ignore-output"]
    assert not unsupported(lesson(right, "It costs 47.3 nats here; over 12 with every seed.", ignored))
    assert unsupported(lesson(right, "It costs 46 nats here; over 12 with every seed.", ignored)) == [(46, "here")]
    assert unsupported(lesson(right, "It costs 47 nats here and 48 there.", ignored)) == [(48, "summary")]
    assert [number for number, _ in unsupported(lesson("over 13 nats", ""))] == [13]
    assert [number for number, _ in unsupported(lesson("over 30 nats", ""))] == [30]  # a setting is not a bound
    assert [number for number, _ in unsupported(lesson("After 31 epochs", ""))] == [31]
