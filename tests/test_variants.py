"""Claims that are made false on purpose stop their cell, and *Try it* does what its text says."""

import functools
import os
import subprocess

import nbformat
import pytest
import torch
import variants

# All variants take a quarter of an hour. CI tries those of a third of the lessons, by the time of the commit, which a
# shallow clone knows as well.
THIRD = None
if os.environ.get("CI"):
    asked = ["git", "show", "--no-patch", "--format=%ct", "HEAD"]
    told = subprocess.run(asked, cwd=variants.ROOT, capture_output=True, encoding="utf-8")
    THIRD = int(told.stdout) % 3 if told.returncode == 0 else None
LESSONS = sorted(path.stem for path in (variants.ROOT / "tests" / "variants").glob("[0-9]*.toml"))


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    with pytest.MonkeyPatch.context() as patch:
        variants.without_pictures(patch)
        yield
    torch.set_default_dtype(torch.float32)  # some lessons compute in float64


@functools.lru_cache(maxsize=1)
def lesson(number):
    """The lesson, run once for all its cases."""
    (path,) = (variants.ROOT / "notebooks").glob(f"{number}_*.ipynb")
    found = variants.Lesson(path)
    found.run()
    return found


def cases():
    """All variants, lesson by lesson, since each lesson is run once for all of its variants."""
    for number in LESSONS:
        if THIRD is not None and int(number) % 3 != THIRD:
            continue
        for kind, described in variants.described(number).items():
            for n, case in enumerate(described):
                name = f"{number}-{kind}-{case.get('number', n)}"
                yield pytest.param(number, kind, case, id=name, marks=pytest.mark.long)


@pytest.mark.parametrize(("number", "kind", "case"), list(cases()))
def test_a_false_claim_stops_its_cell_and_try_it_does_what_its_text_says(number, kind, case):
    stopped, claim = lesson(number).stops(case["changes"]), case["claim" if kind == "falsified" else "stops"]
    if claim:
        assert stopped, f"ran to the end; expected to stop at {claim!r}"
        assert claim in joined(stopped), stopped
    else:
        assert stopped is None, stopped


@pytest.mark.parametrize("number", LESSONS)
def test_every_change_fits_the_lesson(number):
    (path,) = (variants.ROOT / "notebooks").glob(f"{number}_*.ipynb")
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    described = variants.described(number)
    assert described["falsified"]
    for case in described["falsified"] + described["try_it"]:
        assert case["changes"]
        for old, new in case["changes"]:
            assert code.count(old) == 1, old
            assert old != new


def joined(cell):
    """A cell's source with the parts of a string that is broken over several lines joined."""
    return "".join(part.strip().strip('"') if part.strip().startswith('"') else part for part in cell.splitlines())


def test_a_variant_starts_at_its_first_change_and_leaves_the_lesson_as_it_was(tmp_path):
    notebook = nbformat.v4.new_notebook()
    sources = ["runs = []", "a = 2", "def double():\n    return 2 * a", "runs.append(a)", "assert double() < 10"]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    lesson = variants.Lesson(tmp_path / "lesson.ipynb")
    lesson.run()
    assert lesson.stops([["a = 2", "a = 7"]]) == sources[-1]
    assert lesson.stops([["< 10", "< 3"]]) == "assert double() < 3"
    assert lesson.stops([["append(a)", "append(0)"]]) is None
    with pytest.raises(ValueError, match="found 0 times"):
        lesson.stops([["a = 3", "a = 4"]])


def test_a_lesson_starts_with_pytorchs_own_number_type_and_its_variants_with_the_lessons(tmp_path):
    lessons = []
    for n, source in enumerate(["torch.set_default_dtype(torch.float64)", "pass"]):
        cells = ["import torch", source, "a = 1"] + n * ["assert torch.ones(1).dtype == torch.float32"]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(notebook, tmp_path / f"{n}.ipynb")
        lessons.append(variants.Lesson(tmp_path / f"{n}.ipynb"))
        lessons[-1].run()
    assert lessons[0].stops([["a = 1", "a = 2; assert torch.ones(1).dtype == torch.float32"]])
    assert lessons[1].stops([["a = 1", "a = 2"]]) is None
