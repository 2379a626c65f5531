"""The exercises in the real nbgrader, and our grades in its gradebook, export and form grader."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from handed_in import NAMES, ROOT, answered, hand_in, made_up, notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from vae_lessons import grading
from vae_lessons.checks import EXERCISES

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="marking forks"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),  # nbgrader's
]
NAME = NAMES["04"]
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "JUPYTER_PREFER_ENV_PATH": "1",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("PATH", ENVIRONMENT["PATH"])  # nbgrader calls alembic
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")


def nbgrader(folder):
    return NbGraderAPI(CourseDirectory(root=str(folder)))


def nbgrader_command(folder, *arguments):
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def points(folder, student, name):
    """The points that a gradebook holds, by cell."""
    with closing(Gradebook(f"sqlite:///{folder / 'gradebook.db'}")) as gradebook:
        notebooks = gradebook.find_submission(name, student).notebooks
        return {grade.name: grade.auto_score for one in notebooks for grade in one.grades}


@pytest.mark.parametrize("number", EXERCISES)
def test_nbgrader_takes_the_exercises_and_gives_the_same_points(tmp_path, number):
    name = NAMES[number]
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(ROOT / "solutions" / f"{name}.ipynb", tmp_path / "source" / name)
    api = nbgrader(tmp_path)
    assert api.generate_assignment(name)["success"]
    released = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", 4)
    assert [cell.id for cell in released.cells] == [cell.id for cell in notebook(number, "exercises").cells]
    book, _ = list(made_up(number, 3))[2]
    hand_in(tmp_path / "submitted", "mixed", book, name=f"{name}/{name}.ipynb")
    assert api.autograde(name, "mixed")["success"]
    theirs = points(tmp_path, "mixed", name)
    grading.grade(tmp_path / "submitted", tmp_path / "ours", root=ROOT)
    with open(tmp_path / "ours" / "grades.csv", newline="") as file:
        ours = {f"{row['task'].replace('/', '-')}-check": float(row["points"]) for row in csv.DictReader(file)}
    assert {cell: earned for cell, earned in theirs.items() if cell in ours} == ours
    assert 0 < sum(earned > 0 for earned in ours.values()) < len(ours)


def test_validate_and_feedback(tmp_path):
    assert "Success" in nbgrader_command(tmp_path, "validate", str(ROOT / "solutions" / f"{NAME}.ipynb"))
    assert "failed" in nbgrader_command(tmp_path, "validate", str(ROOT / "exercises" / f"{NAME}.ipynb"))
    hand_in(tmp_path / "in", "ann", answered(kl__split="def split_kl(q_z_given_x, p_z):\n    return 1.0, 2.0"))
    grading.grade(tmp_path / "in", tmp_path / "out", root=ROOT, gradebook=tmp_path / "gradebook.db")
    nbgrader_command(tmp_path, "generate_feedback", NAME)
    page = (tmp_path / "feedback" / "ann" / NAME / f"{NAME}.html").read_text()
    assert "kl-split-check" in page
    assert "the first result is not right yet" in page


WORDS = "written-1"


def in_words(book, text):
    next(cell for cell in book.cells if cell.id == WORDS).source = text
    return book


@pytest.fixture
def course(tmp_path):
    """A class marked into a gradebook: one answered the question in words, one did not, one cannot be read."""
    collect(tmp_path, "ann", in_words(answered(), "At σ = 1 the pull ends."))
    collect(tmp_path, "李 bob", notebook(folder="exercises"))
    collect(tmp_path, "eve", b"nothing")
    again(tmp_path)
    return tmp_path


def collect(course, student, book):
    hand_in(course / "submitted", student, book, name=f"{NAME}/{NAME}.ipynb")


def again(course):
    return grading.grade(course / "submitted", course / "out", root=ROOT, gradebook=course / "gradebook.db")


def exported(course):
    nbgrader_command(course, "export")
    with open(course / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == NAME}


def test_the_gradebook_holds_the_points(course):
    assert points(course, "ann", NAME)["kl-split-check"] == 3
    assert points(course, "ann", NAME)[WORDS] is None
    assert set(points(course, "李 bob", NAME).values()) == {0.0}
    assert set(points(course, "eve", NAME).values()) == {0.0}
    assert exported(course) == {"ann": 14, "李 bob": 0, "eve": 0}


def test_what_is_no_gradebook_is_left_whole(tmp_path):
    collect(tmp_path, "ann", answered())
    (tmp_path / "gradebook.db").write_text("a letter to a friend, longer than a hundred bytes, " * 4)
    with pytest.raises(grading.GradingError, match=r"gradebook\.db cannot be written as nbgrader's gradebook"):
        again(tmp_path)
    assert (tmp_path / "gradebook.db").read_text().startswith("a letter")
    assert (tmp_path / "out" / "grades.csv").exists()


def test_the_form_grader_shows_the_answers_and_marks_the_question_in_words(course):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=secret"]
    options += ["--ServerApp.disable_check_xsrf=True"]
    options += ["--ServerApp.jpserver_extensions", "nbgrader.server_extensions.formgrader=True"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "server", *options],
        cwd=course,
        env={**ENVIRONMENT, "JUPYTER_RUNTIME_DIR": str(course / "runtime")},
        stderr=subprocess.DEVNULL,
    )

    def ask(path, **put):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/formgrader/{path}",
            headers={"Authorization": "token secret"},
            data=json.dumps(put).encode() if put else None,
            method="PUT" if put else "GET",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    try:
        for _ in range(600):
            try:
                assignments = json.loads(ask("api/assignments"))
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None
                time.sleep(0.1)
        assert [(one["name"], one["num_submissions"]) for one in assignments] == [(NAME, 3)]
        found = {one["student"]: one for one in json.loads(ask(f"api/submitted_notebooks/{NAME}/{NAME}"))}
        assert (found["ann"]["code_score"], found["ann"]["needs_manual_grade"]) == (14, True)
        assert (found["李 bob"]["code_score"], found["李 bob"]["needs_manual_grade"]) == (0, False)
        page = ask(f"submissions/{found['ann']['id']}/")
        assert "At σ = 1 the pull ends." in page
        assert "kl/split: passed" in page
        grades = {one["name"]: one for one in json.loads(ask(f"api/grades?submission_id={found['ann']['id']}"))}
        ask(f"api/grade/{grades[WORDS]['id']}", manual_score=2.5)
    finally:
        server.terminate()
        server.wait()
    assert exported(course)["ann"] == 16.5
    again(course)
    assert exported(course)["ann"] == 16.5
    assert not needs_a_person(course, "ann")
    collect(course, "ann", in_words(answered(), "Another answer."))
    again(course)
    assert exported(course)["ann"] == 16.5
    assert needs_a_person(course, "ann")


def needs_a_person(course, student):
    with closing(Gradebook(f"sqlite:///{course / 'gradebook.db'}")) as gradebook:
        return gradebook.find_submission(NAME, student).needs_manual_grade
