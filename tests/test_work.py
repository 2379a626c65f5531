"""A student's copies of the exercises: an update adds what is new and keeps what they wrote."""

import copy
import json
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from vae_course import cli, work
from vae_course.cli import app
from vae_course.work import lay_out, merge, update

STUB = "def f(x):\n    raise NotImplementedError"


def answer(name, source=STUB):
    meta = {"nbgrader": {"grade_id": name, "solution": True, "grade": False, "schema_version": 3}}
    return new_code_cell(source, id=name, metadata=meta)


def exercise(*cells):
    return new_notebook(cells=list(cells))


def released():
    return exercise(
        new_markdown_cell("# Exercise", id="title"),
        answer("a"),
        new_code_cell("check('a', f)", id="a-check"),
        new_markdown_cell("Now b.", id="text"),
        answer("b"),
    )


@pytest.fixture
def course(tmp_path):
    (tmp_path / "exercises").mkdir()
    nbformat.write(released(), tmp_path / "exercises" / "ex04_kl.ipynb")
    return tmp_path


def mine(course):
    return nbformat.read(course / "work" / "ex04_kl.ipynb", as_version=4)


def save(course, notebook):
    nbformat.write(notebook, course / "work" / "ex04_kl.ipynb")


def release(course, notebook):
    nbformat.write(notebook, course / "exercises" / "ex04_kl.ipynb")


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_the_first_time_everything_is_new(course):
    assert update(course) == {"work/ex04_kl.ipynb": "new"}
    assert sources(mine(course)) == sources(released())
    assert update(course) == {"work/ex04_kl.ipynb": "unchanged"}


def test_an_answer_survives_a_changed_exercise(course):
    update(course)
    written = mine(course)
    written.cells[1].source = "def f(x):\n    return 2 * x"
    save(course, written)
    changed = released()
    changed.cells[0].source = "# Exercise, clearer"
    changed.cells.insert(3, new_markdown_cell("A hint.", id="hint"))
    changed.cells[4].source = "Now the second."
    release(course, changed)
    assert update(course) == {"work/ex04_kl.ipynb": "updated"}
    now = sources(mine(course))
    assert now == [
        "# Exercise, clearer",
        "def f(x):\n    return 2 * x",
        "check('a', f)",
        "A hint.",
        "Now the second.",
        STUB,
    ]
    [before] = (course / "work" / ".course" / "before").iterdir()
    assert nbformat.read(before, as_version=4) == written
    nbformat.validate(mine(course))


def test_an_answer_survives_a_changed_stub(course):
    written, changed = released(), released()
    written.cells[1].source = "def f(x):\n    return 2 * x"
    changed.cells[1].source = "def f(x, y):\n    raise NotImplementedError"
    changed.cells[4].source = "def g(x):\n    raise NotImplementedError"
    now = sources(merge(written, released(), changed))
    assert now[1] == written.cells[1].source
    assert now[4] == changed.cells[4].source


def test_only_new_leaves_the_rest_alone(course):
    update(course)
    changed = released()
    changed.cells[0].source = "# Exercise, clearer"
    release(course, changed)
    nbformat.write(released(), course / "exercises" / "ex05_new.ipynb")
    assert update(course, only_new=True) == {"work/ex04_kl.ipynb": "unchanged", "work/ex05_new.ipynb": "new"}
    assert mine(course).cells[0].source == "# Exercise"
    assert update(course) == {"work/ex04_kl.ipynb": "updated", "work/ex05_new.ipynb": "unchanged"}
    assert update(course) == {"work/ex04_kl.ipynb": "unchanged", "work/ex05_new.ipynb": "unchanged"}


def test_cells_that_a_student_added_stay_in_place():
    written, changed = released(), released()
    written.cells.insert(2, new_code_cell("print(f(1))"))
    written.cells.append(new_markdown_cell("My notes."))
    changed.cells[0].source = "# Other"
    now = sources(merge(written, released(), changed))
    assert now == ["# Other", STUB, "print(f(1))", "check('a', f)", "Now b.", STUB, "My notes."]


def test_a_course_cell_that_both_changed_is_kept_beside_the_new_cell():
    written, changed = released(), released()
    written.cells[3].source = "Now b. I think it is 3."
    assert sources(merge(written, released(), changed))[3] == "Now b. I think it is 3."
    changed.cells[3].source = "Now the second."
    assert sources(merge(written, released(), changed))[3:5] == ["Now the second.", "Now b. I think it is 3."]


def test_an_answer_to_a_task_that_is_gone_is_kept():
    written, changed = released(), released()
    written.cells[1].source = "def f(x):\n    return 2 * x"
    del changed.cells[1:3]
    assert "def f(x):\n    return 2 * x" in sources(merge(written, released(), changed))


def test_deleted_cells_come_back_and_cells_that_were_doubled_or_retyped_are_kept():
    written = released()
    doubled = copy.deepcopy(written.cells[1])
    doubled.id, doubled.source = "other", "second try"
    written.cells[1].source = "first try"
    written.cells.insert(2, doubled)
    retyped = written.cells[-1]
    retyped.cell_type, retyped.source = "markdown", "b is too hard"
    del written.cells[3]  # the check
    now = merge(written, released(), released())
    kept = ["# Exercise", "first try", "second try", "check('a', f)", "Now b.", "b is too hard", STUB]
    assert sources(now) == kept
    assert len({cell.id for cell in now.cells}) == len(now.cells)


def test_without_a_record_nothing_is_lost_either():
    written, changed = released(), released()
    written.cells[1].source = "def f(x):\n    return 2 * x"
    written.cells[3].source = "Now b, said the older course."
    now = sources(merge(written, None, changed))
    assert now[1] == "def f(x):\n    return 2 * x"
    assert "Now b, said the older course." in now


def test_a_notebook_that_cannot_be_read_is_left_alone(course):
    update(course)
    (course / "work" / "ex04_kl.ipynb").write_text("{ half a notebook", encoding="utf-8")
    changed = released()
    changed.cells[0].source = "# Other"
    release(course, changed)
    result = CliRunner().invoke(app, ["update", "--root", str(course)])
    assert result.exit_code == 1
    assert "left alone" in result.output
    assert "rename" in result.output
    assert (course / "work" / "ex04_kl.ipynb").read_text(encoding="utf-8") == "{ half a notebook"


def test_an_old_notebook_format_is_updated(course):
    update(course)
    path = course / "work" / "ex04_kl.ipynb"
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["nbformat_minor"] = 4  # an editor that knows no ids
    for cell in raw["cells"]:
        del cell["id"]
    raw["cells"][1]["source"] = "def f(x):\n    return 2 * x"
    path.write_text(json.dumps(raw), encoding="utf-8")
    changed = released()
    changed.cells[0].source = "# Other"
    release(course, changed)
    assert update(course) == {"work/ex04_kl.ipynb": "updated"}
    assert sources(mine(course)) == ["# Other", "def f(x):\n    return 2 * x", "check('a', f)", "Now b.", STUB]


def test_many_updates_keep_every_earlier_state(course):
    update(course)
    for number in range(3):
        changed = released()
        changed.cells[0].source = f"# Version {number}"
        release(course, changed)
        update(course)
    before = course / "work" / ".course" / "before"
    assert len(list(before.iterdir())) == 3
    (before / "ex04_kl.1.ipynb").unlink()  # the student tidies up
    kept = {path: path.read_bytes() for path in before.iterdir()}
    changed.cells[0].source = "# Version 3"
    release(course, changed)
    update(course)
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list(before.iterdir())) == 3


def test_an_update_does_not_wait_for_pytorch():
    program = "import sys, vae_course.work, vae_course.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_progress_and_update_say_where_they_should_be_run(tmp_path):
    for command, words in (("update", "no exercises in"), ("progress", "`vae-lessons lab` first")):
        result = CliRunner().invoke(app, [command, "--root", str(tmp_path)])
        assert result.exit_code == 1
        assert words in result.output


def test_progress_of_all_exercises(course):
    update(course)
    (course / "work" / ".course" / "progress.json").write_text('{"kl/discrete": true}', encoding="utf-8")
    result = CliRunner().invoke(app, ["progress", "--root", str(course)])
    assert result.exit_code == 0
    assert re.search(r"^ex04_kl_divergence +■□□□□□  1 of 6 passed$", result.output, re.M)


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--only-new"], 0)], ids=["asked for", "before JupyterLab"])
def test_a_read_only_course_gets_one_line(course, monkeypatch, options, code):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(work, "update", forbidden)
    result = CliRunner().invoke(app, ["update", "--root", str(course), *options])
    assert result.exit_code == code
    assert "work/ cannot be written" in result.output


def test_lesson_00_lays_the_exercises_out_once(course):
    lay_out(course)
    assert sources(mine(course))[0] == "# Exercise"
    (course / "work" / "ex04_kl.ipynb").unlink()
    lay_out(course)
    assert not (course / "work" / "ex04_kl.ipynb").exists()  # a student may delete an exercise
    lay_out(course / "exercises")  # no course there: nothing happens
    assert not (course / "exercises" / "work").exists()


@pytest.fixture
def installed(course, tmp_path, monkeypatch):
    """An installed package that contains an exercise and a lesson."""
    (tmp_path / "content" / "notebooks").mkdir(parents=True)
    (course / "exercises").rename(tmp_path / "content" / "exercises")
    monkeypatch.setattr(work, "PACKAGED", tmp_path / "content")
    package_lesson(tmp_path, "# Lesson")
    return tmp_path


def package_lesson(installed, title):
    lesson = exercise(new_markdown_cell(title, id="title"), new_code_cell("1 + 1", id="sum"))
    nbformat.write(lesson, installed / "content" / "notebooks" / "00_start_here.ipynb")


def lesson_in(folder):
    return nbformat.read(folder / "notebooks" / "00_start_here.ipynb", as_version=4)


LESSON, EXERCISE = "notebooks/00_start_here.ipynb", "work/ex04_kl.ipynb"


def test_an_installed_course_is_laid_out_in_a_folder(installed, tmp_path):
    folder = tmp_path / "a folder"
    assert update(folder, only_new=True) == {EXERCISE: "new", LESSON: "new"}
    assert sources(nbformat.read(folder / EXERCISE, as_version=4)) == sources(released())
    assert sources(lesson_in(folder)) == ["# Lesson", "1 + 1"]
    assert update(folder) == {EXERCISE: "unchanged", LESSON: "unchanged"}
    assert not (folder / "exercises").exists()


def test_a_lesson_that_was_only_run_is_updated_and_one_that_was_changed_is_not(installed, tmp_path):
    folder = tmp_path / "a folder"
    update(folder)
    run = lesson_in(folder)
    run.cells[1].outputs = [nbformat.v4.new_output("stream", text="2")]
    nbformat.write(run, folder / LESSON)
    package_lesson(installed, "# Lesson, clearer")
    assert update(folder, only_new=True)[LESSON] == "unchanged"
    assert update(folder)[LESSON] == "updated"
    assert sources(lesson_in(folder)) == ["# Lesson, clearer", "1 + 1"]
    [kept] = (folder / "work" / ".course" / "before").iterdir()
    assert nbformat.read(kept, as_version=4) == run
    mine = lesson_in(folder)
    mine.cells[1].source = "1 + 2"
    nbformat.write(mine, folder / LESSON)
    assert update(folder)[LESSON] == "unchanged"
    package_lesson(installed, "# Lesson, clearer still")
    assert update(folder)[LESSON] == "left alone: you have changed it"
    assert lesson_in(folder) == mine


def test_a_lesson_that_is_there_already_is_not_overwritten(installed, tmp_path):
    folder = tmp_path / "a folder"
    own = exercise(new_markdown_cell("My own."))
    (folder / "notebooks").mkdir(parents=True)
    nbformat.write(own, folder / LESSON)
    assert update(folder, only_new=True)[LESSON] == "unchanged"
    assert update(folder)[LESSON].startswith("left alone")
    assert sources(lesson_in(folder)) == ["My own."]


@pytest.fixture
def started(monkeypatch):
    """Records commands instead of starting them."""
    commands = []
    monkeypatch.setattr(cli, "_become", lambda command: commands.append(command) or 0)
    return commands


@pytest.mark.parametrize("named", [True, False], ids=["named", "by default"])
def test_lab_lays_the_course_out_and_opens_it(installed, started, tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ("mine" if named else "vae-course")
    arguments = ["lab", *(["mine"] if named else []), "--no-browser"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert f"--ServerApp.root_dir={folder}" in started[0]
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in started[0]
    assert "--no-browser" in started[0]
    assert not re.search("token|password", " ".join(started[0]))
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(app, ["lab", ".", "--", "--port", "8899"]).exit_code == 0
    assert started[1][-2:] == ["--port", "8899"]
    assert CliRunner().invoke(app, ["lab"]).exit_code == 0  # in the course's folder it needs no name
    assert f"--ServerApp.root_dir={folder}" in started[2]
    assert not (folder / "vae-course").exists()


def test_lab_without_anything_to_lay_out_says_so(tmp_path, started, monkeypatch):
    monkeypatch.setattr(work, "PACKAGED", tmp_path / "nothing")
    result = CliRunner().invoke(app, ["lab", str(tmp_path / "mine")])
    assert result.exit_code == 1
    assert "no exercises in" in result.output
    assert not started


def test_copies_of_version_1_get_their_new_names(course):
    update(course)
    written = mine(course)
    written.cells[1].source = "def f(x):\n    return 2 * x"
    save(course, written)
    for folder in (course / "work", course / "work" / ".course" / "released"):
        (folder / "ex04_kl.ipynb").rename(folder / "04_kl.ipynb")
    assert update(course, only_new=True) == {EXERCISE: "renamed"}
    assert mine(course) == written
    assert not (course / "work" / "04_kl.ipynb").exists()
    assert update(course) == {EXERCISE: "unchanged"}


def test_a_file_of_the_students_with_an_old_name_is_not_renamed(course):
    update(course)
    (course / "work" / "ex04_kl.ipynb").unlink()
    nbformat.write(exercise(new_markdown_cell("A copy of the lesson.")), course / "work" / "04_kl.ipynb")
    assert update(course) == {EXERCISE: "new"}
    assert (course / "work" / "04_kl.ipynb").exists()


def test_a_damaged_record_of_lessons_costs_nothing(installed, tmp_path):
    folder = tmp_path / "a folder"
    update(folder)
    (folder / "work" / ".course" / "lessons.json").write_text("{ half", encoding="utf-8")
    assert update(folder)[LESSON] == "updated"
    package_lesson(installed, "# Lesson, clearer")
    (folder / "work" / ".course" / "lessons.json").unlink()
    assert update(folder)[LESSON].startswith("left alone")


def test_update_makes_no_course_where_there_is_none(installed, tmp_path):
    (tmp_path / "home").mkdir()
    result = CliRunner().invoke(app, ["update", "--root", str(tmp_path / "home")])
    assert result.exit_code == 1
    assert "run this in the course's folder" in result.output
    assert not list((tmp_path / "home").iterdir())
