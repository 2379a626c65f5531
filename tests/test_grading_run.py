"""A run over a class: several hand-ins, rosters, one student anew, what was lost, and the files that are written.

Most tests replace the marking of one submission by a function that runs no code.
"""

import csv
import json
import os
import sqlite3
import threading
import time
from datetime import datetime
from zipfile import ZipFile

import nbformat
import numpy as np
import pytest
from handed_in import ELBO, KL, ROOT, SANDBOX, answer_cell, answered, hand_in, needs_sandbox, notebook
from typer.testing import CliRunner

from vae_course.cli import app
from vae_course.grading import marking
from vae_course.grading import run as grading
from vae_course.grading.marking import Marked, Result
from vae_course.grading.remarks import KINDS, Remark, grouped, printable
from vae_course.grading.results import Store, harmless
from vae_course.grading.sandbox import Limits, WorkerError
from vae_course.grading.submissions import GradingError
from vae_course.tasks import EXERCISES
from vae_course.visible.observe import CHANGED, RANDOM
from vae_course.visible.outcomes import Kind
from vae_course.visible.protocol import TaskObserved

SOLVED, STUBS = notebook(), notebook(folder="exercises")


def judged_without_running(exercise, contents, **_):
    """Every answer that was written is right."""
    results = []
    for task, points in exercise.points.items():
        written = task in contents.answers and "NotImplementedError" not in contents.answers[task]
        kind = Kind.PASSED if written else Kind.NOT_WRITTEN
        results.append(Result(task, points * written, points, kind))
    return Marked(results, contents.answers, contents.remarks)


@pytest.fixture(autouse=True)
def _no_code_is_run(request, monkeypatch):
    if "runs_code" not in request.keywords:
        monkeypatch.setattr(grading, "mark", judged_without_running)


def half():
    """A notebook with one right answer, worth 2 points."""
    book = notebook(folder="exercises")
    answer_cell(book, "kl/discrete").source = answer_cell(SOLVED, "kl/discrete").source
    return book


def grade(folder, out="out", **named):
    return grading.grade(folder / "in", folder / out, root=ROOT, sandbox=SANDBOX, no_sandbox=True, **named)


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def totals(folder, exercise=KL):
    return {row["SIS Login ID"]: row.get(exercise) for row in rows(folder / "out" / "totals.csv")}


def command(*arguments):
    return CliRunner().invoke(app, ["grade", *map(str, arguments), "--root", str(ROOT), "--no-sandbox"])


# --- What was lost beside others is run again alone ---


def lose(monkeypatch, verdict, hint="", also_alone=False):
    """Bob's first answer is lost at first. Returns a list: was it Bob's, was the worker new, how many ran then."""
    calls, running, lock = [], [0], threading.Lock()

    def mark(exercise, contents, fresh=False, **_):
        bob = "bob" in str(contents.steps)
        with lock:
            running[0] += 1
            first = not any(call[0] for call in calls)
            calls.append((bob, fresh, running[0]))
        time.sleep(0.05)
        marked = judged_without_running(exercise, contents)
        if bob and (also_alone or first):
            marked.results[0] = Result(marked.results[0].task, 0.0, marked.results[0].max_points, verdict, hint)
            marked.lost = verdict in marking.LOST
        with lock:
            running[0] -= 1
        return marked

    monkeypatch.setattr(grading, "mark", mark)
    return calls


@pytest.fixture
def three(tmp_path):
    for student in ("ann", "bob", "eve"):
        hand_in(tmp_path / "in", student, answered(extra=[f"me = {student!r}"]))
    return tmp_path


@pytest.mark.parametrize("verdict", [Kind.TIMEOUT, Kind.MEMORY, Kind.CRASHED, Kind.RAISED, Kind.DIFFERENT])
def test_what_was_lost_beside_others_is_run_again_alone(three, monkeypatch, verdict):
    calls = lose(monkeypatch, verdict)
    summary = grade(three, jobs=3)
    assert totals(three) == {"ann": "14", "bob": "14", "eve": "14"}
    assert calls[-1] == (True, verdict in marking.LOST, 1)  # Bob's, and nothing else at that time
    assert len(calls) == 4
    assert (summary.marked, summary.troubles) == (3, [])
    report = json.loads((three / "out" / "report.json").read_text(encoding="utf-8"))
    assert [f"bob/{KL}", "rescued", "kl/discrete"] in report["remarks"]


def test_what_is_lost_alone_as_well_counts(three, monkeypatch):
    lose(monkeypatch, Kind.TIMEOUT, also_alone=True)
    grade(three, jobs=3)
    assert totals(three) == {"ann": "14", "bob": "12", "eve": "14"}


def test_nothing_is_saved_before_it_was_run_alone(three, monkeypatch):
    """A run that is stopped in between must not leave the first outcome as the last word."""
    calls = lose(monkeypatch, Kind.TIMEOUT)
    inner = grading.mark

    def stopped(exercise, contents, fresh=False, **named):
        if fresh:
            raise KeyboardInterrupt
        return inner(exercise, contents, fresh=fresh, **named)

    monkeypatch.setattr(grading, "mark", stopped)
    with pytest.raises(KeyboardInterrupt):
        grade(three, jobs=3)
    assert len(calls) == 3
    monkeypatch.setattr(grading, "mark", judged_without_running)
    assert grade(three, jobs=3).marked == 1
    assert totals(three)["bob"] == "14"


def test_a_worker_that_does_not_start_beside_others_is_started_again(three, monkeypatch):
    def mark(exercise, contents, fresh=False, **_):
        if "bob" in str(contents.steps) and not fresh:
            raise WorkerError("it took too long")
        return judged_without_running(exercise, contents)

    monkeypatch.setattr(grading, "mark", mark)
    assert grade(three, jobs=3).marked == 3
    assert totals(three) == {"ann": "14", "bob": "14", "eve": "14"}


def test_with_one_job_everything_runs_alone_at_once(three, monkeypatch):
    calls = lose(monkeypatch, Kind.TIMEOUT)
    grade(three, jobs=1)
    assert [running for _, _, running in calls] == [1, 1, 1]
    assert totals(three)["bob"] == "12"


def test_what_passed_at_first_stays_passed():
    def outcome(*kinds):
        return Marked([Result(f"t{n}", float(kind is Kind.PASSED), 1.0, kind) for n, kind in enumerate(kinds)])

    first = outcome(Kind.PASSED, Kind.TIMEOUT, Kind.TIMEOUT, Kind.MISTAKE)
    both = marking.better(first, outcome(Kind.RAISED, Kind.PASSED, Kind.TIMEOUT, Kind.PASSED))
    assert [result.verdict for result in both.results] == [Kind.PASSED, Kind.PASSED, Kind.TIMEOUT, Kind.PASSED]
    assert both.remarks == [Remark("rescued", "t1"), Remark("rescued", "t3")]
    assert both.points == 3


@pytest.mark.long
@needs_sandbox
@pytest.mark.runs_code
def test_hogs_of_the_processor_cost_slow_right_answers_nothing(tmp_path):
    hog = "import os\nfor _ in range(60):\n    if os.fork() == 0:\n        os.setsid()\n        break\nwhile True: pass"
    slow = "import time\nstart = time.process_time()\nwhile time.process_time() - start < 1.5: pass"
    for n in range(2):
        hand_in(tmp_path / "in", f"a hog {n}", answered(extra=[hog]))
        hand_in(tmp_path / "in", f"honest {n}", answered(extra=[slow]))
    grading.grade(tmp_path / "in", tmp_path / "out", root=ROOT, limits=Limits(seconds=6, total_seconds=40))
    found = totals(tmp_path)
    assert (found["honest 0"], found["honest 1"]) == ("14", "14")


@pytest.mark.long
@needs_sandbox
@pytest.mark.runs_code
def test_floods_of_messages_cost_neighbours_nothing(tmp_path):
    """Each message would take long to read."""
    flood = (
        "import os, struct\ntext = b'[' + b'[],' * 5_000_000 + b'0]'\n"
        "for size in (struct.pack('!IQ', len(text), 0), struct.pack('!IQ', 100, len(text))):\n"
        "    for descriptor in range(3, 256):\n        try: os.write(descriptor, size + text)\n"
        "        except OSError: pass"
    )
    for n in range(2):
        hand_in(tmp_path / "in", f"a flood {n}", answered(extra=[flood]))
        hand_in(tmp_path / "in", f"honest {n}", answered())
    grading.grade(tmp_path / "in", tmp_path / "out", root=ROOT, limits=Limits(seconds=6, total_seconds=40))
    found = totals(tmp_path)
    assert (found["honest 0"], found["honest 1"]) == ("14", "14")


HOLD = {
    "twins": "os.fork()\nblock = bytearray(os.urandom(1 << 20)) * 300\nos.fork()",
    "many small ones": "for _ in range(10):\n    if os.fork() == 0: break\nblock = bytearray(os.urandom(1 << 20)) * 60",
    "a process without its first thread": (
        "import ctypes, threading\n"
        "def hold():\n    global block\n    block = bytearray(os.urandom(1 << 20)) * 300\n    time.sleep(30)\n"
        "for _ in range(2):\n    if os.fork() == 0:\n        threading.Thread(target=hold).start()\n"
        "        ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)"
    ),
    "sockets": (
        "import socket\nfor _ in range(30):\n    if os.fork() == 0: break\n"
        "pairs = [socket.socketpair() for _ in range(100)]\n"
        "for pair in pairs:\n    for end in pair:\n        end.setblocking(False)\n"
        "        try:\n            while True: end.send(bytes(1 << 16))\n        except BlockingIOError: pass"
    ),
}


@pytest.mark.long
@needs_sandbox
@pytest.mark.runs_code
@pytest.mark.parametrize("way", HOLD)
def test_memory_is_counted_however_it_is_held(tmp_path, way):
    hand_in(tmp_path / "in", "ann", answered(extra=[f"import os, time\n{HOLD[way]}\ntime.sleep(30)"]))
    grading.grade(tmp_path / "in", tmp_path / "out", root=ROOT, jobs=1, limits=Limits(seconds=20, bytes=400 << 20))
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [kind for _, kind, detail in report["remarks"] if detail.startswith("memory: import os")] == ["left out"]
    assert totals(tmp_path) == {"ann": "14"}


@needs_sandbox
@pytest.mark.runs_code
def test_a_line_that_fails_costs_only_what_depends_on_it(tmp_path):
    right = answer_cell(SOLVED, "kl/discrete").source
    cell = "import not_installed\nfrom vae_lessons.checks import CheckFailed\nfrom math import inf as far\n" + right
    hand_in(tmp_path / "in", "ann", answered(kl__discrete=cell, extra=["open('data.csv')\nx = 1", "assert x == 1"]))
    summary = grading.grade(tmp_path / "in", tmp_path / "out", root=ROOT, jobs=1)
    assert totals(tmp_path) == {"ann": "14"}
    [line] = summary.troubles
    assert line.startswith(f"{KINDS['line failed']}: ann/{KL} (FileNotFoundError")
    assert "ModuleNotFoundError: No module named 'not_installed'" in line


def test_a_result_that_cannot_be_stored_stops_nobody_else(three, monkeypatch):
    def mark(exercise, contents, **_):
        marked = judged_without_running(exercise, contents)
        if "bob" in str(contents.steps):
            marked.results[0] = Result("kl/discrete", 0.0, 2.0, Kind.MISTAKE, "half an emoji: \ud83d")
        return marked

    monkeypatch.setattr(grading, "mark", mark)
    summary = grade(three)
    assert totals(three) == {"ann": "14", "eve": "14", "bob": ""}
    assert [line for line in summary.troubles if line.startswith(f"{KINDS['not marked']}: bob/")]


@pytest.mark.parametrize(
    "shape", [["a", 3_000_000_000], [[1], 3], [-1], [True], [1.0], "12", [2, "3"], [0, 1 << 30], [1] * 9], ids=str
)
def test_a_forged_shape_is_no_array(shape):
    """A text times a number is a long text, and takes memory of the marking process."""
    forged = TaskObserved([{"result": ["<f8", shape]}], b"\0" * 8)
    assert marking._arrays_or_failure(forged) == marking.NOT_ARRAYS


@pytest.mark.parametrize(
    "arrays", [{CHANGED: ["<i1", [6, 6]]}, {RANDOM: ["|b1", [2]]}, {"result": ["<U1000", []]}], ids=str
)
def test_a_forged_note_is_no_array(arrays):
    """To print or to stack it would take memory and time of the marking process."""
    assert marking._arrays_or_failure(TaskObserved([arrays], bytes(4000))) == marking.NOT_ARRAYS


def test_a_forged_text_is_cleaned():
    key = marking._key("kl/discrete", 1)
    observed = [{**found, CHANGED: np.array("x\ud800")} for found in key.right]
    result = marking._result(key, observed)
    assert result.verdict is Kind.MISTAKE
    assert result.hint.encode()


# --- Several hand-ins ---


@pytest.mark.parametrize(("keep", "points"), [("best", "14"), ("last", "2")])
def test_the_best_or_the_last_of_several_counts(tmp_path, keep, points):
    with ZipFile(tmp_path / "in", "w") as archive:
        for n, book in enumerate((STUBS, SOLVED, half())):
            name = f"doejane_12_3{n}_{KL}{f'-{n}' if n else ''}.ipynb"
            archive.writestr(name, nbformat.writes(book))
    summary = grade(tmp_path, keep=grading.Keep(keep))
    assert totals(tmp_path) == {"doejane": points}
    assert summary.marked == 3
    shown = f"doejane_12_3{1 if keep == 'best' else 2}_{KL}-{1 if keep == 'best' else 2}.ipynb"
    assert summary.troubles == [f"handed in more than once: doejane/{KL} (3 times; {keep}: {shown})"]


def test_students_are_told_which_of_their_files_count(tmp_path):
    """Also if one of them could not be read."""
    hand_in(tmp_path / "in", "ann", SOLVED)
    hand_in(tmp_path / "in", "ann", b"half a {", name=f"{KL} (1).ipynb")
    hand_in(tmp_path / "in", "ann", b"%PDF", name="answers.pdf")
    hand_in(tmp_path / "in", "bob", half())
    grade(tmp_path)
    ann, bob = ((tmp_path / "out" / "feedback" / f"{name}.html").read_text(encoding="utf-8") for name in ("ann", "bob"))
    assert f"Handed in more than once: 2 times, 1 of them unreadable; best: ann/{KL}.ipynb" in ann
    assert "left alone: 1: ann/answers.pdf" in ann
    assert "About the files" not in bob


@pytest.mark.parametrize("keep", grading.Keep)
@pytest.mark.parametrize("broken", [b"{}", b"half a {", nbformat.writes(notebook(ELBO)).encode()])
def test_a_broken_second_hand_in_costs_nothing(tmp_path, keep, broken):
    path = hand_in(tmp_path / "in", "ann", SOLVED)
    grade(tmp_path, keep=keep)
    path.write_bytes(broken)
    summary = grade(tmp_path, keep=keep)
    assert totals(tmp_path)["ann"] == "14"
    assert any("the marks of an earlier run were kept" in line for line in summary.troubles)


def test_a_worse_second_hand_in_counts_only_if_the_last_one_does(tmp_path):
    hand_in(tmp_path / "in", "ann", SOLVED)
    grade(tmp_path)
    hand_in(tmp_path / "in", "ann", half())
    grade(tmp_path)
    assert totals(tmp_path) == {"ann": "14"}
    grade(tmp_path, keep=grading.Keep.LAST)
    assert totals(tmp_path) == {"ann": "2"}
    grade(tmp_path)
    assert totals(tmp_path) == {"ann": "14"}  # nothing was lost


def test_marks_with_another_seed_are_not_compared(tmp_path):
    hand_in(tmp_path / "in", "ann", SOLVED)
    grade(tmp_path, seed=1)
    hand_in(tmp_path / "in", "ann", half())
    grade(tmp_path, seed=2)
    assert totals(tmp_path) == {"ann": "2"}


def test_the_same_file_twice_is_one_hand_in(tmp_path):
    for name in (f"{KL}.ipynb", f"{KL} (1).ipynb"):
        hand_in(tmp_path / "in", "ann", SOLVED, name=name)
    summary = grade(tmp_path)
    assert (summary.marked, summary.troubles) == (1, [])


@pytest.mark.parametrize(("keep", "days"), [("best", ""), ("last", "1.00")])
def test_the_first_file_once_more_is_the_last_hand_in(tmp_path, keep, days):
    for attempt, book in (("04", SOLVED), ("05", half()), ("06", SOLVED)):
        name = f"Lab 4_jane_attempt_2026-10-{attempt}-12-00-00_{KL}.ipynb"
        hand_in(tmp_path / "in", ".", book, name=name)
    grade(tmp_path, keep=grading.Keep(keep), due=datetime(2026, 10, 5, 12))
    assert totals(tmp_path) == {"jane": "14"}
    assert {row["days_late"] for row in rows(tmp_path / "out" / "grades.csv")} == {days}


def test_the_best_keeps_the_day_when_it_was_first_handed_in(tmp_path):
    """Even if a later run sees the same file with a later date only."""
    for n, (day, days) in enumerate((("04", ""), ("09", ""), ("03", ""))):
        hand_in(tmp_path / f"in{n}", ".", SOLVED, name=f"Lab 4_jane_attempt_2026-10-{day}-12-00-00_{KL}.ipynb")
        (tmp_path / f"in{n}").rename(tmp_path / "in")
        grade(tmp_path, due=datetime(2026, 10, 5, 12))
        (tmp_path / "in").rename(tmp_path / f"in{n}")
        assert {row["days_late"] for row in rows(tmp_path / "out" / "grades.csv")} == {days}


def test_a_hundred_hand_ins_do_not_take_the_night(tmp_path):
    for n in range(30):
        hand_in(tmp_path / "in", "ann", answered(extra=[f"x = {n}"]), name=f"{KL} ({n}).ipynb")
    summary = grade(tmp_path)
    assert summary.marked == 10
    assert f"only the last 10 were marked, 10 times; best: ann/{KL} (29).ipynb" in summary.troubles[0]


# --- One student anew ---


def test_one_student_is_marked_anew_and_the_others_stay(three):
    grade(three)
    hand_in(three / "in", "ann", half())
    hand_in(three / "in", "bob", half())
    result = command(three / "in", "--out", three / "out", "--student", "ann")
    assert "1 submission marked" in result.output
    assert totals(three) == {"ann": "2", "bob": "14", "eve": "14"}
    assert len(rows(three / "out" / "grades.csv")) == 3 * 6
    assert len(list((three / "out" / "feedback").iterdir())) == 3


@pytest.mark.parametrize("name", ["Bob", "BOB RAY", "007"])
def test_a_student_is_found_by_name_and_number_as_well(three, name):
    (three / "class.csv").write_text("login,name,id\nann,Ann Lee,006\nbob,Bob Ray,007\neve,Bob Roy,008\n")
    grade(three)
    hand_in(three / "in", "bob", half())
    arguments = (three / "in", "--out", three / "out", "--roster", three / "class.csv", "--student")
    assert "1 submission marked" in command(*arguments, name).output
    assert totals(three) == {"ann": "14", "bob": "2", "eve": "14"}
    assert "no student 'Bob R'; there are ['bob', 'eve']" in command(*arguments, "Bob R").output


def test_marks_stay_when_only_the_late_ones_are_given(three):
    grade(three)
    (three / "in").rename(three / "first")
    hand_in(three / "in", "zoe", half())
    summary = grade(three)
    assert totals(three) == {"ann": "14", "bob": "14", "eve": "14", "zoe": "2"}
    assert [line for line in summary.troubles if line.startswith(KINDS["gone"])]


def test_a_student_who_is_not_there_is_an_error(three):
    result = command(three / "in", "--out", three / "out", "--student", "AN")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "vae-lessons: no student 'AN'; there are ['ann']"
    assert not (three / "out").exists()


# --- Rosters, dates, names ---

ROSTER = """id,name,login,section,due
101,"Doe, Ann",ann,A,
102,Bob Roe,bob,B,2026-10-12
103,Eve Poe,eve,,
104,Zoe Loe,zoe,,
"""


def test_everybody_on_the_roster_is_in_the_totals(three):
    (three / "class.csv").write_text(ROSTER, encoding="utf-8")
    summary = grade(three, roster=three / "class.csv")
    found = rows(three / "out" / "totals.csv")
    assert [list(row.values()) for row in found] == [
        ["Doe, Ann", "101", "", "ann", "A", "14"],
        ["Bob Roe", "102", "", "bob", "B", "14"],
        ["Eve Poe", "103", "", "eve", "", "14"],
        ["Zoe Loe", "104", "", "zoe", "", ""],
    ]
    assert summary.troubles == []  # that somebody handed in nothing is no trouble of the run
    report = json.loads((three / "out" / "report.json").read_text(encoding="utf-8"))
    assert ["zoe", "nothing", ""] in report["remarks"]
    assert report["class"]["exercises"][KL]["not_handed_in"] == ["zoe"]


def test_who_left_the_class_is_left_out_and_their_page_goes(three):
    grade(three)
    (three / "in" / "eve" / f"{KL}.ipynb").unlink()
    (three / "in" / "eve").rmdir()
    (three / "class.csv").write_text(ROSTER.replace("103,Eve Poe,eve,,\n", ""), encoding="utf-8")
    grade(three, roster=three / "class.csv")
    assert totals(three) == {"ann": "14", "bob": "14", "zoe": None} | {"zoe": ""}
    assert sorted(path.name for path in (three / "out" / "feedback").iterdir()) == ["ann.html", "bob.html"]


def test_unreadable_work_has_no_points_yet(three):
    hand_in(three / "in", "bob", b"{")
    grade(three)
    assert totals(three) == {"ann": "14", "bob": "", "eve": "14"}


def test_days_late(tmp_path):
    names = {
        "a": "Lab 4_ann_attempt_2026-10-05-23-59-00_ex.ipynb",
        "b": "Lab 4_bob_attempt_2026-10-08-11-59-00_ex.ipynb",
        "c": "Lab 4_eve_attempt_2026-10-06-23-59-00_ex.ipynb",
    }
    (tmp_path / "in").mkdir()
    for name in names.values():
        nbformat.write(SOLVED, tmp_path / "in" / name)
    (tmp_path / "class.csv").write_text(ROSTER, encoding="utf-8")
    arguments = (tmp_path / "in", "--out", tmp_path / "out", "--roster", tmp_path / "class.csv")
    result = command(*arguments, "--due", "2026-10-05")
    assert result.exit_code == 0, result.output
    late = {row["student"]: row["days_late"] for row in rows(tmp_path / "out" / "grades.csv")}
    assert late == {"ann": "", "bob": "", "eve": "1.00"}  # Bob has more time
    assert totals(tmp_path)["eve"] == "14"


def test_a_platform_that_says_late_is_believed(tmp_path):
    (tmp_path / "in").mkdir()
    nbformat.write(SOLVED, tmp_path / "in" / f"doejane_LATE_12_34_{KL}.ipynb")
    grade(tmp_path, due=datetime(2026, 10, 5))
    assert {row["days_late"] for row in rows(tmp_path / "out" / "grades.csv")} == {"late"}
    assert "late" in (tmp_path / "out" / "class.html").read_text(encoding="utf-8").lower()


def test_another_exercise_under_this_name_is_marked_as_what_it_is(tmp_path):
    hand_in(tmp_path / "in", "ann", notebook(ELBO), KL)
    summary = grade(tmp_path)
    assert totals(tmp_path, ELBO) == {"ann": "15"}
    assert summary.troubles == [f"holds another notebook than its name says: ann/{ELBO} ({KL}.ipynb)"]


def test_a_lesson_is_named(tmp_path):
    hand_in(tmp_path / "in", "ann", SOLVED)
    lesson = nbformat.read(ROOT / "notebooks" / "04_kl_divergence.ipynb", 4)
    hand_in(tmp_path / "in", "bob", lesson, name="04.ipynb")
    hand_in(tmp_path / "in", "eve", lesson, name="homework.ipynb")
    assert grade(tmp_path).troubles == [
        f"{KINDS['unreadable']}: bob/{KL} (it is the lesson 04_kl_divergence, and not the exercise)",
        f"{KINDS['unknown file']}: eve (homework.ipynb, which is the lesson 04_kl_divergence)",
    ]


@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")  # made on purpose
def test_two_exercises_in_one_file_are_named(tmp_path):
    hand_in(tmp_path / "in", "ann", SOLVED)
    both = notebook()
    both.cells += notebook(ELBO).cells
    hand_in(tmp_path / "in", "bob", both, name="homework.ipynb")
    [line] = grade(tmp_path).troubles
    assert line.endswith(f"(homework.ipynb, which holds {KL} and {ELBO}: each needs a file of its own)")


# --- Nothing that students write is interpreted ---

ESCAPE = "\x1b[2K\x1b[1A"


def test_the_terminal_interprets_nothing(tmp_path):
    hand_in(tmp_path / "in", f"ann{ESCAPE}\nvae-lessons: all is well\u202e", STUBS, name=f"x\r{KL}\x07.ipynb")
    hand_in(tmp_path / "in", "bob", b"{", name=f"{KL}.ipynb")
    (tmp_path / "in" / "bob" / f"a{ESCAPE}.pdf").touch()
    hand_in(tmp_path / "in", f"eve{ESCAPE}", b"[", name=f"{KL}.ipynb")
    result = command(tmp_path / "in", "--out", tmp_path / "out")
    assert "\\x1b[2K\\x1b[1A" in result.output
    assert not set(result.output) & set("\x1b\x07\r\u202e")
    assert not any(line.startswith("vae-lessons: all is well") for line in result.output.splitlines())
    for path in (tmp_path / "out" / "feedback").iterdir():
        assert path.name.isprintable()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\t=1"),
        (" =1", "' =1"),
        ("\r=1", "'=1"),
        ("x\n=1", "x / =1"),
        ("a;=1", "a;'=1"),
        ("a;\t =1;-2", "a;'\\t =1;'-2"),
        ("＝1", "'＝1"),
        ("a\rb\r\nc", "a / b / c"),
        ("\x1b[31m\u202e", "\\x1b[31m\\u202e"),
        ("ann", "ann"),
        ("14", "14"),
        ("", ""),
    ],
)
def test_a_spreadsheet_takes_nothing_for_a_formula(text, written):
    assert harmless(text) == written


def test_remarks_are_grouped_and_the_most_important_comes_first():
    remarks = [(f"s{n}", Remark("moved")) for n in range(7)] + [
        ("ann", Remark("missing", "a")),
        ("x", Remark("killed")),
    ]
    remarks += [("ann", Remark("missing", "b")), ("ann", Remark("missing", "a"))]
    assert grouped(remarks) == [
        f"{KINDS['killed']}: x",
        f"{KINDS['missing']}: ann (a, b)",
        f"{KINDS['moved']}: s0, s1, s2, s3, s4, and 2 more",
    ]


def test_what_is_printed_is_one_line_without_control_characters():
    assert printable("a\n\x1b[31m\u202e\x00李é\ud800") == "a\\n\\x1b[31m\\u202e\\x00李é\\ud800"


# --- The folder of results ---


def test_a_full_disk_is_one_line(three, monkeypatch):
    def full(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "save", full)
    result = command(three / "in", "--out", three / "out")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].endswith(
        "results.sqlite cannot be read or written (database or disk is full)"
    )
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_written_is_one_line(three):
    result = command(three / "in", "--out", "/proc/results")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "/proc/results cannot be read or written" in result.output.splitlines()[-1]


def test_results_of_another_version_are_left_alone(three):
    (three / "out").mkdir()
    base = sqlite3.connect(three / "out" / "results.sqlite")
    base.execute("CREATE TABLE submissions (student TEXT)")
    base.commit()
    base.close()
    with pytest.raises(GradingError, match="from another version"):
        grade(three)


def test_one_file_that_cannot_be_opened_does_not_stop_the_rest(three, monkeypatch):
    real = os.open

    def refuse(path, *arguments, **named):
        if str(path).endswith(f"bob/{KL}.ipynb"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    grade(three)
    assert totals(three) == {"ann": "14", "bob": "", "eve": "14"}


def test_the_page_of_the_class_is_written_and_counts(three):
    hand_in(three / "in", "bob", half())
    grade(three)
    page = (three / "out" / "class.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    report = json.loads((three / "out" / "report.json").read_text(encoding="utf-8"))
    points = {row["points"]: row["count"] for row in report["class"]["exercises"][KL]["points"]["distribution"]}
    assert (points[14], points[2]) == (2, 1)
    assert sum(EXERCISES[KL].values()) == 14
