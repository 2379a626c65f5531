"""The exercises in the real nbgrader, and our grades in its gradebook, its export and its form grader."""

import copy
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
from handed_in import KL, ROOT, answered, grade, hand_in, made_up, notebook
from nbconvert.filters import markdown2html
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from vae_course.grading import gradebook
from vae_course.grading.submissions import GradingError
from vae_course.tasks import EXERCISES

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="marking forks"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),  # nbgrader's
]
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
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def points(folder, student, name):
    """The points in a gradebook, by cell."""
    with closing(Gradebook(f"sqlite:///{folder / 'gradebook.db'}")) as gradebook:
        notebooks = gradebook.find_submission(name, student).notebooks
        return {grade.name: grade.auto_score for book in notebooks for grade in book.grades}


@pytest.mark.parametrize("name", EXERCISES)
def test_nbgrader_takes_the_exercises_and_gives_the_same_points(tmp_path, name):
    (tmp_path / "source" / name).mkdir(parents=True)
    shutil.copy(ROOT / "solutions" / f"{name}.ipynb", tmp_path / "source" / name)
    api = nbgrader(tmp_path)
    assert api.generate_assignment(name)["success"]
    released = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", 4)
    assert [cell.id for cell in released.cells] == [cell.id for cell in notebook(name, "exercises").cells]
    book, _ = list(made_up(name, 3))[2]
    hand_in(tmp_path / "submitted", "mixed", book, name=f"{name}/{name}.ipynb")
    assert api.autograde(name, "mixed")["success"]
    theirs = points(tmp_path, "mixed", name)
    grade(tmp_path / "submitted", tmp_path / "ours")
    with open(tmp_path / "ours" / "grades.csv", newline="", encoding="utf-8") as file:
        ours = {f"{row['task'].replace('/', '-')}-check": float(row["points"]) for row in csv.DictReader(file)}
    assert {cell: earned for cell, earned in theirs.items() if cell in ours} == ours
    assert 0 < sum(earned > 0 for earned in ours.values()) < len(ours)


def test_validate_and_feedback(tmp_path):
    assert "Success" in nbgrader_command(tmp_path, "validate", str(ROOT / "solutions" / f"{KL}.ipynb"))
    assert "failed" in nbgrader_command(tmp_path, "validate", str(ROOT / "exercises" / f"{KL}.ipynb"))
    hand_in(tmp_path / "in", "ann", answered(kl__split="def split_kl(q_z_given_x, p_z):\n    return 1.0, 2.0"))
    grade(tmp_path / "in", tmp_path / "out", gradebook=tmp_path / "gradebook.db")
    nbgrader_command(tmp_path, "generate_feedback", KL)
    page = (tmp_path / "feedback" / "ann" / KL / f"{KL}.html").read_text(encoding="utf-8")
    assert "kl-split-check" in page
    assert "the first result is always 1" in page


WORDS = "written-1"


def in_words(book, text):
    next(cell for cell in book.cells if cell.id == WORDS).source = text
    return book


@pytest.fixture
def course(tmp_path):
    """Three submissions, marked into a gradebook: with a written answer, without one, and unreadable."""
    collect(tmp_path, "ann", in_words(answered(), "At σ = 1 the pull ends."))
    collect(tmp_path, "李 bob", notebook(folder="exercises"))
    collect(tmp_path, "eve", b"nothing")
    again(tmp_path)
    return tmp_path


def collect(course, student, book):
    hand_in(course / "submitted", student, book, name=f"{KL}/{KL}.ipynb")


def again(course):
    return grade(course / "submitted", course / "out", gradebook=course / "gradebook.db")


def exported(course):
    nbgrader_command(course, "export")
    with open(course / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file) if row["assignment"] == KL}


def test_the_gradebook_holds_the_points(course):
    assert points(course, "ann", KL)["kl-split-check"] == 3
    assert points(course, "ann", KL)[WORDS] is None
    assert set(points(course, "李 bob", KL).values()) == {0.0}
    assert set(points(course, "eve", KL).values()) == {0.0}
    assert exported(course) == {"ann": 14, "李 bob": 0, "eve": 0}


def changed(change):
    """A solved exercise with a written answer, as JSON, after a change to its cells."""
    book = json.loads(nbformat.writes(in_words(answered(), "My answer.")))
    change(book["cells"], {cell["id"]: cell for cell in book["cells"]})
    return json.dumps(book).encode()


def split(cells, by_id):
    second = copy.deepcopy(by_id[WORDS]) | {"id": "second", "source": "Your answer here."}
    cells.append(second)


KEPT = {
    "plain": lambda cells, by_id: None,
    "no metadata": lambda cells, by_id: [cell["metadata"].clear() for cell in cells],
    "split": split,
    "answer twice": lambda cells, by_id: cells.insert(3, copy.deepcopy(by_id["kl-discrete"]) | {"id": "second"}),
    "same id twice": lambda cells, by_id: cells.insert(3, copy.deepcopy(by_id["kl-discrete"])),
    "raw": lambda cells, by_id: by_id[WORDS].update(cell_type="raw"),
    "code": lambda cells, by_id: by_id[WORDS].update(cell_type="code", outputs=[], execution_count=1),
    "picture": lambda cells, by_id: by_id[WORDS].update(attachments={"a.png": {"image/png": "aGk="}, "b": 3}),
    "old schema": lambda cells, by_id: by_id["kl-discrete"]["metadata"]["nbgrader"].update(schema_version=1),
    "not graded": lambda cells, by_id: by_id[WORDS]["metadata"]["nbgrader"].update(grade=False, solution=False),
    "answer as text": lambda cells, by_id: by_id["kl-discrete"].update(cell_type="markdown"),
    "check gone": lambda cells, by_id: cells.remove(by_id["kl-discrete-check"]),
}


def test_a_written_answer_is_marked_by_hand_whatever_happened_to_the_cells(tmp_path):
    for student, change in KEPT.items():
        collect(tmp_path, student, changed(change))
    collect(tmp_path, "gone", changed(lambda cells, by_id: cells.remove(by_id[WORDS])))
    summary = again(tmp_path)
    assert not [trouble for trouble in summary.troubles if "its notebook is not" in trouble]
    for student in KEPT:
        assert points(tmp_path, student, KL)[WORDS] is None, student
        assert needs_a_person(tmp_path, student), student
        written = nbformat.read(tmp_path / "autograded" / student / KL / f"{KL}.ipynb", as_version=4)
        nbformat.validate(written)
        assert [cell.source for cell in written.cells if cell.id == WORDS] == ["My answer."]
    assert points(tmp_path, "gone", KL)[WORDS] == 0
    assert f"the cell for the written answer is missing: gone/{KL} (written-1)" in summary.troubles


def test_a_written_answer_is_marked_by_hand_even_if_nbgrader_refuses_the_notebook(tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("refused")

    monkeypatch.setattr(gradebook, "_write_notebook", refuse)
    collect(tmp_path, "ann", in_words(answered(), "My answer."))
    assert again(tmp_path).troubles == [f"its grades are in the gradebook, but its notebook is not: ann/{KL} (refused)"]
    assert points(tmp_path, "ann", KL)["kl-split-check"] == 3
    assert needs_a_person(tmp_path, "ann")


MARKUP = """<script>alert(1)</script> <img src=x onerror=alert(1)> </div>
[a](javascript:alert(1)) [b](java&#115;cript:alert(1)) [c]( <JaVaScRiPt:alert(1)>) [d](javascript\\:alert(1)) [e][f]

[f]: vbscript:alert(1)

$\\def\\h#1{\\href{java#1:alert(2)}{plot}}\\h{script}$ $\\href{java\tscript:alert(1)}{x}$
"""
FORMULAS = r"$p<q$ and $\mathrm{KL}(q\|p)\ge 0$, $$\begin{aligned}a&=b\\&<c\end{aligned}$$ *so* `x<y`"


def test_html_in_a_students_text_is_escaped(tmp_path):
    """The form grader and the feedback pages render it as Markdown, which may contain HTML."""
    raising = f"def split_kl(q_z_given_x, p_z):\n    raise ValueError({MARKUP!r})"
    book = in_words(answered(kl__split=raising), MARKUP + FORMULAS)
    book.cells.append(nbformat.v4.new_markdown_cell(MARKUP))
    collect(tmp_path, "eve", book)
    again(tmp_path)
    cells = nbformat.read(tmp_path / "autograded" / "eve" / KL / f"{KL}.ipynb", as_version=4).cells
    nbgrader_command(tmp_path, "generate_feedback", KL)
    whole = (tmp_path / "feedback" / "eve" / KL / f"{KL}.html").read_text(encoding="utf-8")
    assert "ValueError" in whole
    assert "alert(1)</script>" not in whole
    page = markdown2html(next(cell.source for cell in cells if cell.id == WORDS))
    for bad in ("<script", "<img", "</div", 'href="javascript', 'href="vbscript', "\\href"):
        assert bad not in page.lower()
    for good in ("$p&lt; q$", r"\begin{aligned}a&amp;=b\\&amp;&lt; c\end{aligned}", "<em>so</em>"):
        assert good in page


def test_a_file_that_is_not_a_gradebook_is_not_changed(tmp_path):
    collect(tmp_path, "ann", answered())
    (tmp_path / "gradebook.db").write_text("a letter to a friend, longer than a hundred bytes, " * 4, encoding="utf-8")
    with pytest.raises(GradingError, match=r"gradebook\.db cannot be written as nbgrader's gradebook"):
        again(tmp_path)
    assert (tmp_path / "gradebook.db").read_text(encoding="utf-8").startswith("a letter")
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
        assert [(row["name"], row["num_submissions"]) for row in assignments] == [(KL, 3)]
        books = {book["student"]: book for book in json.loads(ask(f"api/submitted_notebooks/{KL}/{KL}"))}
        assert (books["ann"]["code_score"], books["ann"]["needs_manual_grade"]) == (14, True)
        assert (books["李 bob"]["code_score"], books["李 bob"]["needs_manual_grade"]) == (0, False)
        page = ask(f"submissions/{books['ann']['id']}/")
        assert "At σ = 1 the pull ends." in page
        assert "kl/split: passed" in page
        grades = {row["name"]: row for row in json.loads(ask(f"api/grades?submission_id={books['ann']['id']}"))}
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
        return gradebook.find_submission(KL, student).needs_manual_grade
