"""Reading notebooks that were handed in: what counts as an answer, what is reported, and which files are refused."""

import copy
import json
import os
import sys

import nbformat
import pytest
from handed_in import ELBO, KL, ROOT, SANDBOX, answer_cell, notebook

from vae_course.grading import marking, submissions
from vae_course.grading.remarks import KINDS, Remark
from vae_course.grading.sandbox import Limits
from vae_course.grading.submissions import (
    Unreadable,
    identify,
    lesson_of,
    read,
    read_bytes,
    read_exercises,
    read_notebook,
)
from vae_course.notebooks import answer_id, check_id
from vae_course.tasks import EXERCISES
from vae_course.visible.protocol import ObserveTask, RunCell

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="marking forks")
COURSE = read_exercises(ROOT)
TASK, NAME, ANSWER, CHECK = "kl/discrete", "kl_discrete", "kl-discrete", "kl-discrete-check"
OTHER = "def kl_discrete(q, p):\n    return 7.0"
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


def raw(exercise=KL, folder="solutions"):
    """An exercise as JSON."""
    return json.loads((ROOT / folder / f"{exercise}.ipynb").read_text(encoding="utf-8"))


def cell(book, key):
    return next(cell for cell in book["cells"] if cell.get("id") == key)


def code(source, **more):
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source} | more


def after(book, key, *cells):
    place = book["cells"].index(cell(book, key)) + 1
    book["cells"][place:place] = cells
    return book


def without(book, *keys):
    book["cells"] = [cell for cell in book["cells"] if cell.get("id") not in keys]
    return book


def anonymous(book):
    """Without any ids, as some editors leave a notebook."""
    for place, cell in enumerate(book["cells"]):
        cell |= {"id": f"{place:08x}", "metadata": {}}
    return book


def data(book):
    return json.dumps(book, ensure_ascii=False).encode()


def contents(book, exercise=KL):
    return read(book if isinstance(book, bytes) else data(book), COURSE[exercise])


def stub(task=TASK, exercise=KL):
    return COURSE[exercise].cells[answer_id(task)].source


def source(key, exercise=KL):
    return next(cell.source for cell in notebook(exercise).cells if cell.id == key)


def seen_by(task, contents):
    """The sources of the cells that run before a task is observed."""
    place = next(n for n, step in enumerate(contents.steps) if isinstance(step, ObserveTask) and step.task == task)
    return [step.source for step in contents.steps[:place] if isinstance(step, RunCell)]


def observed(contents):
    return [step.task for step in contents.steps if isinstance(step, ObserveTask)]


def last_definition(task, contents, name=NAME):
    return [source for source in seen_by(task, contents) if f"def {name}" in source][-1]


UNCHANGED = contents(raw())


# Answers without ids


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("folder", ["solutions", "exercises"])
def test_nothing_is_lost_if_all_ids_are_lost(exercise, folder):
    """The same cells run and are observed; only the answer in words cannot be found."""
    expected, found = contents(raw(exercise, folder), exercise), contents(anonymous(raw(exercise, folder)), exercise)
    assert not expected.remarks
    assert (found.steps, found.answers) == (expected.steps, expected.answers)
    assert observed(found) == list(EXERCISES[exercise])
    assert found.remarks == [Remark("by function", answer_id(task)) for task in EXERCISES[exercise]] + [
        Remark("no written answer", "written-1")
    ]


def test_an_answer_retyped_in_place_is_found():
    book = without(after(raw(), ANSWER, code(OTHER)), ANSWER)
    found = contents(book)
    assert found.answers[TASK] == OTHER
    assert found.remarks == [Remark("by function", ANSWER)]
    assert last_definition(TASK, found) == OTHER
    assert observed(found) == observed(UNCHANGED)
    assert [step.answers for step in found.steps if isinstance(step, RunCell) and step.source == OTHER] == [(TASK,)]


def test_a_notebook_written_from_scratch_is_found():
    task_cells = [code(f"def {name}(*_):\n    return 1") for name in COURSE[KL].functions.values()]
    found = contents({"cells": task_cells})
    assert list(found.answers) == list(EXERCISES[KL])
    assert observed(found) == list(EXERCISES[KL])
    assert [remark.kind for remark in found.remarks] == ["by function", "no check"] * 6 + ["no written answer"]


def test_one_cell_may_answer_all_tasks():
    whole = "\n\n\n".join(f"def {name}(*_):\n    return 1" for name in COURSE[KL].functions.values())
    found = contents({"cells": [code(whole), code("1 / 0")]})
    assert set(found.answers.values()) == {whole}
    assert observed(found) == list(EXERCISES[KL])
    assert found.steps[1] == RunCell(1, whole, tuple(EXERCISES[KL]))
    assert len(found.steps) == 8


DEFINITIONS = {
    "function": OTHER,
    "decorated": f"@torch.no_grad()\n{OTHER}",
    "coroutine": f"async {OTHER}",
    "class": "class kl_discrete:\n    pass",
    "lambda": "kl_discrete = lambda q, p: 7.0",
    "annotated": "kl_discrete: object = lambda q, p: 7.0",
    "value": "kl_discrete = torch.compile(solve)",
    "two": "_, kl_discrete = make()",
    "chain": "mine = kl_discrete = make()",
    "magic": f"%matplotlib inline\n!pip install einops\n{OTHER}",
    "time": f"%%time\n{OTHER}",
    "help": f"?torch.log\n{OTHER}",
    "assigned magic": f"files = !ls\n{OTHER}",
    "syntax error": f"{OTHER}\n\nprint 'done'",
    "lambda and syntax error": "kl_discrete = lambda q, p: (q",
    "value and syntax error": "kl_discrete = make(\n",
    "null": f"{OTHER}\0",
    "Windows": OTHER.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("written", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_definition_is_found_however_it_is_written(written):
    found = contents(without(after(raw(), ANSWER, code(written)), ANSWER))
    assert found.answers[TASK] == written.replace("\r\n", "\n")
    assert found.remarks == [Remark("by function", ANSWER)]


NO_DEFINITIONS = {
    "inside": f"if False:\n    {OTHER}",
    "method": "class Mine:\n    def kl_discrete(self):\n        pass",
    "in a string": f"'''\n{OTHER}\n'''",
    "in a string beside a magic": f"%matplotlib inline\n'''\n{OTHER}\n'''",
    "comment": "# def kl_discrete(q, p): return 7.0",
    "call": "print(kl_discrete(q, p))",
    "comparison": "kl_discrete == 7",
    "item": "known[kl_discrete] = kl_discrete.name = 7",
    "import": "from mine import kl_discrete",
    "longer name": "def kl_discrete_2(q, p):\n    return 7",
    "a file": f"%%writefile mine.py\n{OTHER}",
    "declared": "kl_discrete: object",
    "comparison and syntax error": "kl_discrete == 7 7",
}


@pytest.mark.parametrize("written", NO_DEFINITIONS.values(), ids=NO_DEFINITIONS)
def test_what_does_not_define_the_function_is_no_answer(written):
    found = contents(without(after(raw(), ANSWER, code(written)), ANSWER))
    assert TASK not in found.answers
    assert TASK not in observed(found)
    assert found.remarks == [Remark("missing", ANSWER)]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_text_is_no_answer_without_an_id(kind):
    found = contents(without(after(raw(), ANSWER, code(OTHER, cell_type=kind)), ANSWER))
    assert found.remarks == [Remark("missing", ANSWER)]


def test_the_last_of_several_cells_without_id_counts():
    book = without(after(raw(), ANSWER, code(source(ANSWER)), code(OTHER)), ANSWER)
    found = contents(book)
    assert found.answers[TASK] == last_definition(TASK, found) == OTHER
    assert found.remarks == [Remark("by function", ANSWER), Remark("copies", ANSWER)]


def test_a_function_counts_more_than_a_value_of_its_name():
    """As in `elbo = elbo(x)`, which somebody may write below."""
    book = after(without(after(raw(), ANSWER, code(OTHER)), ANSWER), CHECK, code("kl_discrete = kl_discrete(q, p)"))
    found = contents(book)
    assert found.answers[TASK] == OTHER
    assert seen_by(TASK, found)[-1] == OTHER
    assert found.remarks == [Remark("by function", ANSWER)]


def test_the_answer_to_another_task_is_searched_last():
    """Merged cells keep the id of one; a cell without an id is more likely to be the answer."""
    both = f"{source('kl-normals')}\n\n\n{OTHER}"
    book = without(raw(), ANSWER)
    cell(book, "kl-normals")["source"] = both
    assert contents(book).answers[TASK] == both
    assert contents(book).remarks == [Remark("by function", ANSWER)]
    assert contents(after(book, CHECK, code(source(ANSWER)))).answers[TASK] != both


def test_a_locked_cell_is_not_searched():
    book = without(raw(), ANSWER)
    cell(book, CHECK)["source"] = OTHER
    found = contents(book)
    assert found.remarks == [Remark("missing", ANSWER), Remark("locked", CHECK)]
    assert not any(step.source == OTHER for step in found.steps if isinstance(step, RunCell))


# Answers beside the cell that was handed out


@pytest.mark.parametrize("place", ["cell-002", ANSWER, CHECK, "cell-021"])
@pytest.mark.parametrize("change", [lambda text: text, lambda text: f"\n{text}  # hm\n\n", lambda text: ""])
def test_an_answer_beside_an_untouched_cell_counts(place, change):
    book = raw()
    cell(book, ANSWER)["source"] = change(stub())
    found = contents(after(book, place, code(OTHER)))
    assert found.answers[TASK] == OTHER
    assert last_definition(TASK, found) == OTHER
    assert found.remarks == [Remark("by function", ANSWER)]


def test_a_cell_with_an_id_that_only_prepares_still_runs():
    book = raw()
    cell(book, ANSWER)["source"] = "tiny = 1e-9"
    found = contents(after(book, CHECK, code(OTHER)))
    assert found.answers[TASK] == OTHER
    assert "tiny = 1e-9" in seen_by(TASK, found)
    assert found.remarks == [Remark("by function", ANSWER)]


def test_an_untouched_cell_with_nothing_beside_it_is_the_answer():
    book = raw()
    cell(book, ANSWER)["source"] = stub()
    found = contents(book)
    assert found.answers[TASK] == last_definition(TASK, found) == stub()
    assert not found.remarks


@pytest.mark.parametrize("first", [True, False])
def test_an_untouched_copy_does_not_replace_an_answer(first):
    book = raw()
    untouched = copy.deepcopy(cell(book, ANSWER)) | {"source": stub()}
    book["cells"].insert(book["cells"].index(cell(book, ANSWER)) + (not first), untouched)
    found = contents(book)
    assert found.answers[TASK] == last_definition(TASK, found) == source(ANSWER)
    assert found.remarks == [Remark("copies", ANSWER)]


@pytest.mark.parametrize("first", [True, False])
def test_the_last_copy_of_an_answer_counts(first):
    book = raw()
    twin = copy.deepcopy(cell(book, ANSWER)) | {"source": OTHER}
    book["cells"].insert(book["cells"].index(cell(book, ANSWER)) + (not first), twin)
    found = contents(book)
    assert found.answers[TASK] == last_definition(TASK, found) == (source(ANSWER) if first else OTHER)
    assert found.remarks == [Remark("copies", ANSWER)]


def test_a_split_answer_is_shown_by_its_definition():
    """JupyterLab gives both halves of a cell the same id."""
    book = raw()
    half = copy.deepcopy(cell(book, ANSWER)) | {"source": "kl_discrete(q, p)"}
    found = contents(after(book, ANSWER, half))
    assert found.answers[TASK] == source(ANSWER)
    assert seen_by(TASK, found)[-2:] == [source(ANSWER), "kl_discrete(q, p)"]
    assert found.remarks == [Remark("copies", ANSWER)]


def test_of_copies_without_a_definition_the_last_counts():
    book = raw()
    twin = copy.deepcopy(cell(book, ANSWER)) | {"source": "y = 2"}
    cell(book, ANSWER)["source"] = "x = 1"
    found = contents(after(book, ANSWER, twin))
    assert found.answers[TASK] == "y = 2"
    assert seen_by(TASK, found)[-2:] == ["x = 1", "y = 2"]
    assert found.remarks == [Remark("copies", ANSWER)]


@pytest.mark.parametrize("change", [lambda book: book, anonymous])
def test_what_is_written_before_the_check_belongs_to_the_answer(change):
    found = contents(change(after(raw(), ANSWER, code("tiny = 1e-9"))))
    assert seen_by(TASK, found)[-2:] == [source(ANSWER), "tiny = 1e-9"]


@pytest.mark.parametrize("change", [lambda book: book, anonymous])
def test_what_is_defined_again_after_the_check_does_not_matter_to_a_written_answer(change):
    book = after(raw(), CHECK, code("def helper():\n    pass\n\n\nkl_discrete = None"))
    found = contents(change(book))
    assert seen_by(TASK, found)[-1] == source(ANSWER)
    assert found.answers[TASK] == source(ANSWER)


def test_another_definition_beside_a_written_answer_is_no_copy():
    found = contents(after(raw(), CHECK, code(OTHER)))
    assert found.answers[TASK] == last_definition(TASK, found) == source(ANSWER)
    assert not found.remarks


def test_an_answer_that_does_not_parse_is_written():
    broken = "def kl_discrete(q, p):\n    return (q"
    book = raw()
    cell(book, ANSWER)["source"] = broken
    found = contents(book)
    assert found.answers[TASK] == broken
    assert not found.remarks


def test_an_answer_as_text_is_reported():
    book = raw()
    cell(book, ANSWER)["cell_type"] = "markdown"
    found = contents(book)
    assert found.steps == UNCHANGED.steps
    assert found.remarks == [Remark("type", ANSWER)]


# Checks, the answer in words, and the order

CHECKS = {
    "new line": 'check("kl/discrete", kl_discrete)\n',
    "spaces": 'check("kl/discrete", kl_discrete)  \t',
    "Windows": 'check("kl/discrete", kl_discrete)\r\n',
    "comments": '# now\n\ncheck("kl/discrete", kl_discrete)  # passes',
    "inner spaces": 'check( "kl/discrete",kl_discrete )',
    "quotes": "check('kl/discrete', kl_discrete)",
    "lines": 'check(\n    "kl/discrete",\n    kl_discrete\n)',
}


@pytest.mark.parametrize("written", CHECKS.values(), ids=CHECKS)
def test_another_way_to_write_a_check_is_no_change(written):
    book = raw()
    cell(book, CHECK)["source"] = written
    assert contents(book) == UNCHANGED


@pytest.mark.parametrize("written", CHECKS.values(), ids=CHECKS)
def test_a_check_without_id_is_recognised_and_does_not_run(written):
    book = raw()
    cell(book, CHECK).update(source=written, id="ab", metadata={})
    assert contents(book) == UNCHANGED


CHANGED = {
    "other task": 'check("kl/split", kl_discrete)',
    "other function": 'check("kl/discrete", kl_normals)',
    "more": 'check("kl/discrete", kl_discrete)\nprint("done")',
    "commented": '# check("kl/discrete", kl_discrete)',
    "empty": "",
}


@pytest.mark.parametrize("written", CHANGED.values(), ids=CHANGED)
def test_a_changed_check_is_reported_once_and_does_not_run(written):
    book = raw()
    cell(book, CHECK)["source"] = written
    book["cells"] += [cell(book, CHECK)] * 20
    found = contents(book)
    assert found.remarks == [Remark("locked", CHECK)]
    assert not any(step.source == written for step in found.steps if isinstance(step, RunCell))


@pytest.mark.parametrize("written", CHANGED.values(), ids=CHANGED)
def test_other_code_is_not_taken_for_a_check(written):
    book = raw()
    cell(book, CHECK).update(source=written, id="ab", metadata={})
    found = contents(book)
    assert Remark("no check", CHECK) in found.remarks
    assert not written or written in [step.source for step in found.steps if isinstance(step, RunCell)]


def test_a_missing_check_is_reported_only_beside_an_answer():
    assert contents(without(raw(), CHECK)).remarks == [Remark("no check", CHECK)]
    assert contents(without(raw(), CHECK, ANSWER)).remarks == [Remark("missing", ANSWER)]


def test_a_missing_written_answer_is_reported():
    assert contents(without(raw(), "written-1")).remarks == [Remark("no written answer", "written-1")]


def test_moved_cells_are_reported():
    book = raw()
    first, last = cell(book, ANSWER), cell(book, "kl-split")
    a, b = book["cells"].index(first), book["cells"].index(last)
    book["cells"][a], book["cells"][b] = last, first
    found = contents(book)
    assert found.remarks == [Remark("moved")]
    assert found.answers == UNCHANGED.answers


def test_remarks_are_of_known_kinds_and_hold_no_text_of_students():
    book = raw()
    for key in (ANSWER, CHECK, "kl-split"):
        cell(book, key).update(cell_type="\x1b[2Jevil", source="\x1b[2Jevil")
    found = contents(book)
    assert {remark.kind for remark in found.remarks} == {"type", "locked"}
    assert {remark.kind for remark in found.remarks} <= set(KINDS)
    assert not any("evil" in str(remark) for remark in found.remarks)


# Encodings


ENCODINGS = {
    "UTF-8": "utf-8",
    "with BOM": "utf-8-sig",
    "UTF-16": "utf-16",
    "UTF-16 LE": "utf-16-le",
    "UTF-16 BE": "utf-16-be",
    "UTF-32": "utf-32",
    "UTF-32 LE": "utf-32-le",
    "UTF-32 BE": "utf-32-be",
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["Unix", "Windows"])
def test_every_encoding_of_json_is_read(encoding, newline):
    text = json.dumps(raw(), ensure_ascii=False, indent=1).replace("\n", newline)
    encoded = text.encode(encoding)
    assert contents(encoded) == UNCHANGED
    assert identify(encoded, COURSE) == KL


def test_lines_of_windows_in_a_source_are_lines():
    book = raw()
    for each in book["cells"]:
        each["source"] = "".join(each["source"]).replace("\n", "\r\n")
    assert contents(book) == UNCHANGED


@pytest.mark.parametrize("junk", [b'{"cells": ["\xe9"]}', b"\xff\xfe\x00", b"PK\x03\x04\x92", b"\x1f\x8b\x08"])
def test_what_is_not_text_is_refused_with_a_reason(junk):
    with pytest.raises(Unreadable, match=r"^it is not a notebook \(not (text in UTF-8|JSON)"):
        read_notebook(junk)


def test_half_an_emoji_costs_nothing():
    book = raw()
    cell(book, ANSWER)["source"] = f"# \ud83d\n{source(ANSWER)}"
    assert contents(json.dumps(book).encode()).answers[TASK] == f"# ?\n{source(ANSWER)}"
    as_bytes = json.dumps(book, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert contents(as_bytes).answers[TASK] == f"# ?\n{source(ANSWER)}"


# Malformed cells


@pytest.mark.parametrize("odd", [None, 3, {}, {"a": 1}, [], [None, 3], True], ids=repr)
def test_an_odd_source_makes_one_cell_empty(odd):
    book = raw()
    cell(book, ANSWER)["source"] = odd
    found = contents(book)
    assert found.answers == UNCHANGED.answers | {TASK: ""}
    assert not found.remarks


def test_a_missing_source_makes_one_cell_empty():
    book = raw()
    del cell(book, "cell-021")["source"]
    del cell(book, CHECK)["source"]
    assert contents(book).remarks == [Remark("locked", CHECK)]
    assert contents(book).answers == UNCHANGED.answers


def test_odd_lines_of_a_source_are_left_out():
    book = raw()
    cell(book, ANSWER)["source"] = [None, *source(ANSWER).splitlines(keepends=True), 7, ["x"]]
    assert contents(book) == UNCHANGED


@pytest.mark.parametrize("odd", [None, 3, "x" * 100_000, [], {}, "\x1b[2J", "Code"])
def test_an_odd_type_costs_nothing(odd):
    book = raw()
    cell(book, "cell-000")["cell_type"] = odd
    assert contents(book) == UNCHANGED
    del cell(book, "cell-000")["cell_type"]
    assert contents(book) == UNCHANGED
    cell(book, ANSWER)["cell_type"] = odd
    assert contents(book).remarks == [Remark("type", ANSWER)]


def test_what_is_no_cell_is_ignored():
    book = raw()
    book["cells"][3:3] = [None, 1, "x", [], [{}], {}]
    assert contents(book) == UNCHANGED


@pytest.mark.parametrize("odd", [None, 3, [], "x", {"nbgrader": 3}, {"nbgrader": {"grade_id": 3}}, {"id": 3}])
def test_odd_metadata_costs_nothing(odd):
    book = raw()
    cell(book, ANSWER)["metadata"] = odd
    cell(book, "cell-000")["id"] = odd
    assert contents(book) == UNCHANGED


def test_the_version_may_be_missing():
    book = raw()
    for name in ("nbformat", "nbformat_minor", "metadata"):
        del book[name]
    assert contents(book) == UNCHANGED


@pytest.mark.parametrize("version", [2, 3])
def test_old_formats_are_read(version):
    old = nbformat.convert(notebook(), 3)
    for sheet in old.worksheets:
        sheet.cells.insert(0, nbformat.from_dict({"cell_type": "heading", "level": 2, "source": "Mine"}))
    old.nbformat = version
    found = read(json.dumps(old).encode(), COURSE[KL])
    assert found == UNCHANGED
    assert read_notebook(json.dumps(old).encode()).cells[0].cell_type == "markdown"


REFUSED = {
    "nothing": (b"", "^it is empty$"),
    "spaces": (b" \n ", "^it is empty$"),
    "words": (b"print('hello')", "not JSON"),
    "half": (b'{"cells": [', "not JSON"),
    "a list": (b"[]", "no list of cells"),
    "a number": (b"1e999", "no list of cells"),
    "a long number": (b"1" * 5000, "not JSON"),
    "no cells": (b'{"nbformat": 4}', "no list of cells"),
    "odd cells": (b'{"nbformat": 4, "cells": {}}', "no list of cells"),
    "odd sheets": (b'{"nbformat": 3, "worksheets": [3, {}]}', "no list of cells"),
    "deep": (b"[" * 1_000_000, "nested too deeply"),
    "deep cells": (b'{"cells": ' + b'[{"source":' * 200_000, "nested too deeply"),
    "new format": (b'{"nbformat": 99, "cells": []}', r"unknown format \(99\)"),
    "newest format": (b'{"nbformat": ' + b"9" * 4000 + b', "cells": []}', r"unknown format \(9{20}\)"),
    "many cells": (b'{"cells": [' + b"{}," * 1000 + b"{}]}", r"it has 1,001 cells; at most 1,000 are read"),
}


@pytest.mark.parametrize(("junk", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_notebook_is_refused_with_a_reason(junk, reason):
    with pytest.raises(Unreadable, match=reason) as caught:
        read_notebook(junk)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    "book",
    [
        {"cells": []},
        {"cells": [1, None, {"source": 3}]},
        {"cells": [code("print('hello')")]},
        {"cells": [code("Your answer here.", id="written-1")]},
        raw(ELBO),
        anonymous(raw(ELBO)),
    ],
    ids=["empty", "odd", "other code", "only words", "other exercise", "other exercise without ids"],
)
def test_a_notebook_without_a_cell_of_the_exercise_is_refused(book):
    with pytest.raises(Unreadable, match=r"^it holds no cell of this exercise$"):
        contents(book)


def test_a_check_alone_makes_it_this_exercise():
    found = contents({"cells": [code('check("kl/discrete", kl_discrete)')]})
    assert not found.answers
    assert [remark.kind for remark in found.remarks] == ["missing"] * 6 + ["no written answer"]
    assert len(found.steps) == 0 or all(isinstance(step, RunCell) for step in found.steps)


# Large files


def large(book, size=11 << 20):
    """The notebook with a large output."""
    cell(book, "cell-001")["outputs"] = [{"output_type": "display_data", "data": {"image/png": "A" * size}}]
    return data(book)


def test_a_large_file_is_read_without_its_outputs():
    big = large(raw())
    assert contents(big) == UNCHANGED
    assert identify(big, COURSE) == KL


def test_a_large_file_may_hold_anything_that_a_small_one_may():
    book = anonymous(raw())
    book["cells"][4]["source"] = "\ud83d Привет"
    book["cells"][0]["attachments"] = {"a.png": {"image/png": "aGk="}, "b": 3}
    book["cells"][1]["metadata"] = {"id": "mine", "nbgrader": {"grade_id": "yours"}, "tags": ["x"]}
    book["cells"][2:2] = [3, {}, {"source": None, "cell_type": 3, "metadata": 3}, {"metadata": {"id": "Colab's"}}]
    small = json.dumps(book).encode()
    assert read_notebook(small + b" " * (11 << 20)) == read_notebook(small)
    for encoding in ("utf-8-sig", "utf-16", "utf-32-be"):
        assert read_notebook((json.dumps(book) + " " * (10 << 20)).encode(encoding)) == read_notebook(small)
    old = json.dumps(nbformat.convert(notebook(), 3)).encode()
    assert read(old + b" " * (11 << 20), COURSE[KL]) == UNCHANGED


TOO_LARGE = {
    "source": (data({"cells": [code("a" * (11 << 20))]}), "even without outputs more than 10 MiB are left"),
    "picture": (data({"cells": [code("", cell_type="raw", attachments={"a": {"b": "c" * (11 << 20)}})]}), "10 MiB are"),
    "nested": (b"[" * (11 << 20), "nested too deeply"),
    "lists": (b"[" + b"[]," * (1 << 20) + b"[]]" + b" " * (9 << 20), "no list of cells"),
    "junk": (b"\xff" * (11 << 20), "not text"),
    "words": (b"hello " * (2 << 20), "not JSON"),
    "cells": (data({"cells": [{"source": "a" * 3000}] * 4000}), "10 MiB are left"),
    "small cells": (b'{"cells": [' + b"{}," * 4000 + b"{}]}" + b" " * (11 << 20), "it has 4,001 cells"),
}


@pytest.mark.parametrize(("junk", "reason"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_large_file_that_cannot_be_read_is_refused_with_a_reason(junk, reason):
    with pytest.raises(Unreadable, match=reason) as caught:
        contents(junk)
    assert str(caught.value).startswith("it ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 200


def test_reading_a_large_file_has_limits_on_time_and_memory(monkeypatch):
    lists = b'{"cells": [' + b"[]," * (4 << 20) + b"[]]}"
    assert read_notebook(lists).cells == []
    with monkeypatch.context() as patch:
        patch.setattr(submissions, "SLIM_MEMORY", 128 << 20)
        with pytest.raises(Unreadable, match=r"it is 12 MiB, and reading it takes too much memory"):
            read_notebook(lists)
    with monkeypatch.context() as patch:
        patch.setattr(submissions, "SLIM_SECONDS", 0.01)
        with pytest.raises(Unreadable, match=r"it is 12 MiB and takes too long to read"):
            read_notebook(lists)


def test_a_large_file_is_read_by_another_process_that_imports_nothing_of_ours(monkeypatch, tmp_path):
    parsed, started, run = [], [], submissions.subprocess.run
    loads = json.loads

    def loading(text, *arguments):
        parsed.append(len(text))
        return loads(text, *arguments)

    def starting(command, **options):
        started.append(command)
        return run(command, **options)

    (tmp_path / "json.py").write_text("raise SystemExit('mine')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submissions.json, "loads", loading)
    monkeypatch.setattr(submissions.subprocess, "run", starting)
    assert contents(large(raw())).answers == UNCHANGED.answers
    assert [command[:3] for command in started] == [[sys.executable, "-I", "-S"]]
    assert parsed
    assert max(parsed) < 1 << 20


def test_a_process_that_is_killed_is_reported(monkeypatch):
    monkeypatch.setattr(submissions.sys, "executable", "/bin/false")
    with pytest.raises(Unreadable, match=r"^it is 11 MiB, and reading it takes too much memory or time$"):
        read_notebook(b" " * (11 << 20) + b"{}")


def test_a_reason_is_one_short_line(monkeypatch, tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nprintf 'Traceback\\n\\033[2J{'a' * 500}' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(submissions.sys, "executable", str(program))
    with pytest.raises(Unreadable) as caught:
        read_notebook(b"{}" + b" " * (11 << 20))
    assert str(caught.value).startswith(r"it is 11 MiB, and \x1b[2Jaaa")
    assert len(str(caught.value)) == 200


def test_a_file_of_more_than_200_mib_is_refused(tmp_path):
    for size, refused in ((200 << 20, False), ((200 << 20) + 1, True)):
        with open(tmp_path / "large", "wb") as file:
            file.truncate(size)  # takes no space
        if refused:
            with pytest.raises(Unreadable, match=r"^it is 201 MiB, and the limit is 200 MiB \(clear its outputs\)$"):
                read_bytes(tmp_path / "large")
        else:
            assert len(read_bytes(tmp_path / "large")) == size


# Hostile sources

HOSTILE = {
    "parentheses": "(" * 90_000,
    "sums": "a+" * 45_000 + ")",
    "minus": "-" * 90_000 + "1",
    "attributes": "a" + ".a" * 45_000,
    "lines": "a\n" * 2_000_000,
    "comments": "#\n" * 1_500_000,
    "spaces": " " * 5_000_000,
    "one name": "a" * 5_000_000,
    "annotations": "a:" * 2_500_000,
    "equals": "kl_normals_2 =" * 300_000,
    "quotes": "'" * 5_000_000,
    "magics": "%\n" * 1_500_000,
    "checks": 'check("' * 1_000_000,
    "check": 'check("' + "a" * 5_000_000,
    "null": "\0" * 1_000_000,
    "escapes": r"'\m'" + "\n",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_sources_cost_nothing(hostile, recwarn):
    """What is not linear in the size takes hours."""
    found = contents({"cells": [code(f"{OTHER}\n\n\n{hostile}")]})
    assert found.answers[TASK].startswith(OTHER)
    with pytest.raises(Unreadable, match="no cell of this exercise"):
        contents({"cells": [code(hostile)]})
    assert not [warning for warning in recwarn if issubclass(warning.category, SyntaxWarning | DeprecationWarning)]


def test_many_large_cells_cost_nothing():
    whole = "\n".join(f"def {name}(*_):\n    return 1" for name in COURSE[KL].functions.values())
    cells = [code(whole + "\na" * 1_000, id=key) for key in (None, ANSWER, CHECK) for _ in range(333)]
    found = contents({"cells": cells})
    assert len(found.steps) == 1 + 666 + 6
    assert {remark.kind for remark in found.remarks} == {
        "by function", "copies", "no check", "locked", "no written answer"
    }  # fmt: skip


def test_too_much_code_is_not_parsed(monkeypatch):
    """Beyond a limit, lines are compared; a definition inside a string is then taken for one."""
    quoted = f"'''\n{OTHER}\n'''"
    book = without(after(raw(), ANSWER, code(quoted)), ANSWER)
    assert TASK not in contents(book).answers
    monkeypatch.setattr(submissions, "MAX_PARSED", 10)
    assert contents(book).answers[TASK] == quoted


# Another exercise, or a lesson, under this name


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("folder", ["solutions", "exercises"])
def test_an_exercise_is_identified(exercise, folder):
    for book in (raw(exercise, folder), anonymous(raw(exercise, folder))):
        assert identify(data(book), COURSE) == exercise
        assert lesson_of(data(book), ROOT) is None


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_is_identified(lesson):
    file = (ROOT / "notebooks" / f"{lesson}.ipynb").read_bytes()
    assert identify(file, COURSE) is None
    assert lesson_of(file, ROOT) == lesson
    assert lesson_of(json.dumps(json.loads(file)).encode("utf-16"), ROOT) == lesson  # with escapes


def test_a_lesson_with_cells_of_an_exercise_is_none():
    book = raw("04_kl_divergence", "notebooks")
    assert lesson_of(data(book), ROOT) == "04_kl_divergence"
    for extra in (code('check("kl/discrete", kl_discrete)'), code("", id=ANSWER)):
        assert lesson_of(data(book | {"cells": [*book["cells"], extra]}), ROOT) is None


@pytest.mark.parametrize(
    "mark",
    [
        lambda task, name: code("", id=answer_id(task)),
        lambda task, name: code("", metadata={"nbgrader": {"grade_id": answer_id(task)}}),
        lambda task, name: code(f'check("{task}", f)'),
        lambda task, name: code(f"check('{task}', f)"),
        lambda task, name: code(f"def {name}(x):\n    pass"),
    ],
    ids=["id", "nbgrader", "check", "quotes", "function"],
)
def test_half_of_the_tasks_identify_an_exercise(mark):
    cells = [mark(task, name) for task, name in COURSE[KL].functions.items()]
    assert identify(data({"cells": cells[:3]}), COURSE) == KL
    assert identify(data({"cells": cells[:2]}), COURSE) is None
    assert identify(data({"cells": cells[:1] * 9}), COURSE) is None


def test_the_exercise_with_most_tasks_counts():
    mine, theirs = (
        [code(f'check("{task}", {name})') for task, name in COURSE[name].functions.items()] for name in (KL, ELBO)
    )
    assert identify(data({"cells": mine + theirs[:5]}), COURSE) == KL
    assert identify(data({"cells": mine[:5] + theirs}), COURSE) == ELBO
    assert identify(data({"cells": mine + theirs}), COURSE) is None


@pytest.mark.parametrize(
    "junk",
    [b"", b"\xff\xfe", b"\xff\xfe\xfd", b"\x00", b"[" * 1_000_000, b'"' * 3_000_000, b'"aa' * 1_000_000,
     b"def " * 1_000_000, b'"' + b"a" * 3_000_000, b"check(" * 1_000_000, b'"a-' + b"a" * 3_000_000],
)  # fmt: skip
def test_junk_is_nothing(junk):
    assert identify(junk, COURSE) is None
    assert lesson_of(junk, ROOT) is None


def test_marks_are_found_wherever_they_are(monkeypatch):
    monkeypatch.setattr(submissions, "CHUNK", 7)
    assert identify(data(raw()), COURSE) == KL
    assert identify(b'"kl-discrete" check("kl/normals" check(\\"kl/split\\" estimate_kl(', COURSE) is None
    assert identify(b'"kl-discrete" check(\\"kl/split\\" def estimate_kl(', COURSE) == KL


# Marking what was read


def test_answers_without_ids_earn_their_points():
    book = anonymous(raw())
    book["cells"].insert(3, code(stub()))
    book["cells"].append(code("kl_split = split_kl = 3"))
    try:
        marked = marking.mark(COURSE[KL], contents(book), 3, Limits(), SANDBOX)
    finally:
        marking.close_workers()
    assert {result.verdict for result in marked.results} == {"passed"}


def test_every_check_has_the_source_that_is_recognised():
    for exercise in COURSE.values():
        for task, name in exercise.functions.items():
            assert submissions._check_in(exercise.cells[check_id(task)].source) == (task, name)


def test_answers_merged_into_the_cell_of_one_are_all_found():
    """Merging cells keeps the id of the first."""
    book = notebook()
    cells = [answer_cell(book, task) for task in COURSE[KL].functions]
    cells[0].source = "\n\n\n".join(cell.source for cell in cells)
    book.cells = [cell for cell in book.cells if cell not in cells[1:]]
    contents = read(nbformat.writes(book).encode(), COURSE[KL])
    assert list(contents.answers) == list(COURSE[KL].functions)
    assert [remark.kind for remark in contents.remarks] == ["by function"] * 5
    assert len([step for step in contents.steps if isinstance(step, ObserveTask)]) == 6
