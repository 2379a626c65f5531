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


LOSSES = """
import beside
from torch.nn import functional as F


def loss(recon_x, x, mu, logvar, weight):
    return F.mse_loss(recon_x, x, reduction="sum") - weight / 2 * (1 + logvar - mu.pow(2) - logvar.exp()).sum()


class Model:
    def loss_function(self, recon, x, mu, logvar):
        return loss(recon, x, mu, logvar, 2)


class Sized:
    def __init__(self, size):
        self.size = size


if __name__ == "__main__":
    raise SystemExit("this would train for hours")
"""


@pytest.fixture
def losses(tmp_path):
    folder = tmp_path / "my code"
    folder.mkdir()
    (folder / "beside.py").write_text("", encoding="utf-8")
    (folder / "train.py").write_text(LOSSES, encoding="utf-8")
    (folder / "broken.py").write_text("1 / 0", encoding="utf-8")
    return folder


@pytest.mark.parametrize("arguments", [["train.py:loss", "--set", "weight=2"], ["train.py:Model.loss_function"]])
def test_examine_prints_what_a_loss_in_a_file_is(losses, arguments):
    done = CliRunner().invoke(app, ["examine", f"{losses}/{arguments[0]}", *arguments[1:], "--pixels", "100"])
    assert done.exit_code == 0, done.output
    assert "gaussian; over pixels summed" in done.output
    assert "beta        1 with sigma = 1" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.py:loss"], "--set NAME=NUMBER"),
        (["train.py:loss", "--set", "weight"], "--set takes NAME=NUMBER"),
        (["train.py:lost"], "has no function 'lost'"),
        (["train.py:Sized.loss"], "called without arguments"),
        (["train.py"], "expected FILE.py:LOSS"),
        (["nowhere.py:loss"], "there is no file"),
        (["broken.py:loss"], "ZeroDivisionError"),
    ],
)
def test_examine_says_what_is_wrong_with_the_call(losses, arguments, words):
    done = CliRunner().invoke(app, ["examine", f"{losses}/{arguments[0]}", *arguments[1:]])
    assert done.exit_code == 1
    assert words in done.output
