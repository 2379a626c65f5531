"""The wheel contains the lessons and exercises, and copies them into a folder without a clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vae_course.tasks import EXERCISES

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "vae_lessons", "vae_course", "notebooks", "exercises")
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "course").mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "course" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / "course" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "course"]
    done = subprocess.run(list(map(str, build)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    assert done.returncode == 0, done.stdout
    [path] = folder.glob("*.whl")
    return path


def test_every_module_lesson_and_exercise_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    wanted = {f"vae_course/content/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    wanted |= {f"vae_course/content/exercises/{exercise}.ipynb" for exercise in EXERCISES}
    for package in ("vae_lessons", "vae_course"):
        files = [path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        wanted |= {str(path.relative_to(ROOT)) for path in files}
    assert wanted <= names
    assert not {name for name in names if "solution" in name.lower()}
    assert wheel.stat().st_size < 20 << 20


def test_it_copies_the_course_into_an_empty_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "installed")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
        command = [sys.executable, "-m", "vae_course.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("lab", "mine", "--", "--version")  # of JupyterLab
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in (tmp_path / "mine" / "notebooks").iterdir()} == lessons
    assert {path.stem for path in (tmp_path / "mine" / "work").glob("*.ipynb")} == set(EXERCISES)
    assert run("update", "--root", "mine") == "All exercises in work/ are up to date.\n"
    assert "Next: autoencoder/bernoulli_cost" in run("progress", "--root", "mine")
