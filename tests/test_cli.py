import nbformat
import pytest
from typer.testing import CliRunner

from vae_course.cli import app


@pytest.fixture
def course(tmp_path):
    lessons = tmp_path / "sources" / "lessons"
    lessons.mkdir(parents=True)
    (lessons / "00_one.py").write_text("# %%\nprint('one')\n", encoding="utf-8")
    (lessons / "01_two.py").write_text("# %%\nprint('two')\n", encoding="utf-8")
    return tmp_path


def run(course, *arguments):
    return CliRunner().invoke(app, [*arguments, "--root", str(course)])


def printed(course, name):
    notebook = nbformat.read(course / "notebooks" / f"{name}.ipynb", as_version=4)
    return notebook.cells[0].outputs[0].text


def test_build_runs_all_lessons(course):
    assert run(course, "build").exit_code == 0
    assert [printed(course, name) for name in ("00_one", "01_two")] == ["one\n", "two\n"]


def test_build_twice_gives_the_same_file(course):
    built = course / "notebooks" / "00_one.ipynb"
    run(course, "build", "00")
    first = built.read_text(encoding="utf-8")
    run(course, "build", "00")
    assert built.read_text(encoding="utf-8") == first
    assert not (course / "notebooks" / "01_two.ipynb").exists()


def test_outdated_builds_only_what_changed(course):
    run(course, "build")
    (course / "sources" / "lessons" / "01_two.py").write_text("# %%\nprint('changed')\n", encoding="utf-8")
    before = (course / "notebooks" / "00_one.ipynb").stat().st_mtime_ns
    assert run(course, "build", "--outdated").exit_code == 0
    assert printed(course, "01_two") == "changed\n"
    assert (course / "notebooks" / "00_one.ipynb").stat().st_mtime_ns == before


def test_a_failing_cell_names_the_lesson_and_leaves_the_old_notebook(course):
    run(course, "build", "00")
    (course / "sources" / "lessons" / "00_one.py").write_text("# %%\nprint(undefined)\n", encoding="utf-8")
    result = run(course, "build", "00")
    assert result.exit_code == 1
    assert "00_one.py" in result.output
    assert "NameError" in result.output
    assert printed(course, "00_one") == "one\n"
    assert [path.name for path in (course / "notebooks").iterdir()] == ["00_one.ipynb"]


def test_an_unknown_source_is_an_error_that_lists_what_there_is(course):
    result = run(course, "build", "07")
    assert result.exit_code == 1
    assert "no source has '07' in its name; there are lessons/00_one, lessons/01_two" in result.output


def test_outside_the_course_it_says_so(tmp_path):
    result = run(tmp_path, "build")
    assert result.exit_code == 1
    assert "run this in the course's folder" in result.output


def test_help_lists_the_commands():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "build" in result.output
