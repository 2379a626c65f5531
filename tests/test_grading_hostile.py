"""Hostile submissions: none gains a point it did not earn, stops the run, or changes another grade.

All are marked in one run with honest ones. Each attack is in the answer to `kl/normals` or in an extra cell; the other
answers of the same submission are right, and keep their points. Nothing here runs without a sandbox.
"""

import csv
import importlib.util
import json
import os
import pickle
import socket
import sqlite3
import textwrap
import time

import nbformat
import psutil
import pytest
import torch
from handed_in import ROOT, SANDBOX, answered, hand_in, needs_sandbox, notebook

from vae_course.grading import run as grading
from vae_course.grading.sandbox import Limits
from vae_course.judging.judge import judge
from vae_course.tasks import task
from vae_course.visible.outcomes import Kind

pytestmark = [needs_sandbox, pytest.mark.long]
LIMITS = Limits(seconds=2, total_seconds=10, bytes=512 << 20)
TASK = "kl/normals"
RIGHT = "return 0.5 * (log_var_p - log_var_q + (log_var_q.exp() + (mu_q - mu_p) ** 2) / log_var_p.exp() - 1).sum(-1)"
MARK = "left_running_by_a_student"  # in the command line of processes that are left running
REFERENCES, ANSWER = (
    "vae_course.tasks.ex04_kl_divergence",
    "normals",
)  # module and function with the answer to the task
REFERENCES_FILE = f"{REFERENCES.replace('.', '/')}.py"


def function(body):
    """An answer to the task, from its body."""
    return "def kl_normals(mu_q, log_var_q, mu_p, log_var_p):\n" + textwrap.indent(
        textwrap.dedent(body).strip(), "    "
    )


# name: (body of the answer, expected verdict)
IN_THE_ANSWER = {
    "endless loop": ("while True: pass", "timeout"),
    "loop that swallows everything": (
        """
        import signal
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True:
            try:
                while True: pass
            except BaseException: pass
        """,
        "timeout",
    ),
    "sleep": ("import time; time.sleep(3600)", "timeout"),
    "memory bomb": ("x = bytearray(4 << 30)", "raised"),
    "memory bomb by small steps": (
        """
        x = []
        while True:
            try: x.append(bytearray(1 << 20))
            except MemoryError: pass
        """,
        "memory or timeout",
    ),
    "memory of many children": (
        """
        import os
        for _ in range(4): os.fork()
        x = [bytearray(300 << 20)]
        while True: pass
        """,
        "memory or timeout",
    ),
    "process bomb": (
        """
        import os
        while True:
            try: os.fork()
            except BaseException: pass
        """,
        "timeout",
    ),
    "thread bomb": (
        """
        import threading
        while True:
            try: threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
            except BaseException: pass
        """,
        "timeout",
    ),
    "gigabytes of output": ("while True: print('x' * 10_000_000)", "timeout"),
    "os._exit": ("import os; os._exit(0)", "crashed"),
    "sys.exit": ("import sys; sys.exit(0)", "raised"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "crashed"),
    "stack overflow": ("import sys; sys.setrecursionlimit(10**9)\nf = lambda: f()\nf()", None),
    "kills its parent": ("import os; os.kill(os.getppid(), 9)", None),
    "kills everyone": ("import os; os.kill(-1, 9)", None),
    "network": ("import socket; socket.create_connection(('127.0.0.1', PORT), timeout=1).send(b'answers')", "raised"),
    "reads another submission": (
        "import json; cells = json.load(open('SUBMISSIONS/honest/ex04_kl_divergence.ipynb'))['cells']\n"
        "exec(next(''.join(c['source']) for c in cells if c['id'] == 'kl-normals'), globals())\n"
        "return kl_normals(mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "reads the solutions": (
        "import json; cells = json.load(open('ROOT/solutions/ex04_kl_divergence.ipynb'))['cells']\n"
        "exec(next(''.join(c['source']) for c in cells if c['id'] == 'kl-normals'), globals())\n"
        "return kl_normals(mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "reads the references": (
        f"from {REFERENCES} import {ANSWER}\nreturn {ANSWER}(mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "reads the references' file": (
        f"space = {{}}; exec(open('ROOT/{REFERENCES_FILE}').read(), space)\n"
        f"return space['{ANSWER}'](mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "looks for the references in memory": (
        "import gc, types\n"
        "functions = [o for o in gc.get_objects() if isinstance(o, types.FunctionType)]\n"
        f"functions = [o for o in functions if o.__module__ == '{REFERENCES}' and o.__name__ == '{ANSWER}']\n"
        "return functions[0](mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "the library's function": (
        "from vae_lessons import distributions\nreturn distributions.kl_normal(mu_q, log_var_q, mu_p, log_var_p)",
        "library",
    ),
    "the library's function by a detour": (
        "import importlib; module = importlib.import_module('vae_lessons.' + 'distributions')\n"
        "return getattr(module, 'kl_' + 'normal')(mu_q, log_var_q, mu_p, log_var_p)",
        "library",
    ),
    "the library read again": (
        "import importlib, vae_lessons.distributions as d\n"
        "return importlib.reload(d).kl_normal(mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "the library's source": (
        "import inspect, vae_lessons.distributions as d\nspace = {}; exec(inspect.getsource(d), space)\n"
        "return space['kl_normal'](mu_q, log_var_q, mu_p, log_var_p)",
        "raised",
    ),
    "changes the gradebook": (
        "import sqlite3; base = sqlite3.connect('RESULTS/results.sqlite')\n"
        "base.execute('UPDATE results SET points = 100'); base.commit()",
        "raised",
    ),
    "deletes": ("import os; os.remove('SENTINEL')", "raised"),
    "writes": ("open('SENTINEL', 'w').write('changed')", "raised"),
    "fills the disk": (
        """
        import itertools
        for number in itertools.count(): open(f'../{number}', 'w').write('x' * 1_000_000)
        """,
        "raised",
    ),
    "many empty files": (
        """
        import itertools
        for number in itertools.count(): open(f'../{number}', 'w').close()
        """,
        "crashed",
    ),
    "one large file": ("file = open('large', 'wb')\nwhile True: file.write(bytes(1 << 20))", "raised"),
    "equal to everything": (
        """
        class Equal:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __array__(self, *_, **__): return self
        return Equal()
        """,
        "type",
    ),
    "array that says it is right": (
        """
        import numpy as np
        class Right(np.ndarray):
            def __eq__(self, other): return np.True_
            def __array_ufunc__(self, *_, **__): return np.True_
        return np.zeros(len(mu_q)).view(Right)
        """,
        "different",
    ),
    "tensor that lies about its shape": (
        """
        class Liar(torch.Tensor):
            @property
            def shape(self): return torch.Size([len(mu_q)])
            def size(self, *_): return torch.Size([len(mu_q)])
        return torch.zeros(7, 7).as_subclass(Liar)
        """,
        "shape",
    ),
    "huge array": ("return torch.zeros(1).expand(10**12)", None),
    "large array": ("return torch.zeros(5_000_000)", "type"),
    "pickle": (
        """
        class Pickle:
            def __reduce__(self): return exec, ("open('SENTINEL', 'w').write('unpickled')",)
        return Pickle()
        """,
        "type",
    ),
    "nan": ("return torch.full((len(mu_q),), float('nan'))", "not finite"),
    "words": ("return ['passed'] * len(mu_q)", "dtype"),
    "nothing": ("pass", "type"),
    "raises with markup": ("raise ValueError('<script>alert(1)</script>')", "raised"),
    "raises an odd error": (
        """
        class Odd(BaseException):
            def __str__(self): raise self
        raise Odd
        """,
        None,
    ),
}

# name: source of a cell before all answers; the answer itself returns zeros
IN_A_CELL = {
    "patched torch": "torch.allclose = torch.equal = torch.isclose = lambda *_, **__: True",
    "patched tensors": "torch.Tensor.__eq__ = lambda *_: True\ntorch.Tensor.numpy = lambda self: self",
    "patched numpy": "import numpy as np\nnp.isclose = np.allclose = np.array_equal = lambda *_, **__: np.True_",
    "patched builtins": "import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *_: True",
    "patched library": (
        "import vae_course, vae_course.visible.observe as o, sys\n"
        "vae_course.check = lambda *_: None\n"
        "o.observe_cases = lambda observe, function, cases: [{'result': np.ones(3)} for _ in cases]\n"
        "sys.modules['__main__'].observe_task = lambda step, max_bytes: None"
    ),
    "patched json": 'import json\njson.dumps = lambda *_, **__: \'{"seen": true, "passed": true, "points": 100}\'',
    "input transformer": (
        "get_ipython().input_transformers_post.append(\n"
        "    lambda lines: [line.replace('raise', 'pass #') for line in lines])"
    ),
    "forged messages": (
        "import os\nfrom vae_course.visible.protocol import Finished, StepBegun, TaskObserved, encode\n"
        "forged = (StepBegun(5), TaskObserved([{'result': ['O', [1], 'gASVCg==']}]), Finished())\n"
        "for descriptor in range(3, 256):\n"
        "    for message in forged:\n"
        "        try: os.write(descriptor, encode(message))\n"
        "        except OSError: pass"
    ),
    "nonsense on the pipe": (
        "import os\nfor descriptor in range(3, 256):\n"
        "    try: os.write(descriptor, b'\\xff' * 64)\n    except OSError: pass"
    ),
    "deep nesting on the pipe": (
        "import os, struct\ntext = b'[' * 1_000_000\nfor descriptor in range(3, 256):\n"
        "    try: os.write(descriptor, struct.pack('!Q', len(text)) + text)\n    except OSError: pass"
    ),
}

# cells before right answers, which keep their points
HARMLESS = {
    "warns and prints": "import warnings, sys\nwarnings.warn('careful')\nprint('hello')\nprint('oh', file=sys.stderr)",
    "magics": "%matplotlib inline\n%time sum([1])\n!echo hello",
    "at exit": "import atexit, time\natexit.register(lambda: time.sleep(3600))",
    "a thread left running": "import threading, time\nthreading.Thread(target=lambda: time.sleep(3600)).start()",
    "children left running": (
        f"import subprocess, sys\nprogram = 'import time; time.sleep(3600)  # {MARK}'\n"
        "subprocess.Popen([sys.executable, '-c', program])\n"
        "subprocess.Popen([sys.executable, '-c', program], start_new_session=True)\n"
        "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.execv(sys.executable, [sys.executable, '-c', program])\n    os._exit(0)"
    ),
    "shared memory left behind": ("import ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmget(12345, 1 << 20, 0o1666)"),
    "files left behind": (
        "import os, pathlib\npathlib.Path('../a/b').mkdir(parents=True)\n"
        "pathlib.Path('../a/b/answer').write_text('kl')\n"
        "os.symlink('/usr', '../a/b/link')\nos.chmod('../a/b', 0)\nos.chmod('../a', 0)"
    ),
    "an error in a cell": "1 / 0",
    "an endless cell": "while True: pass",
    "a cell that ends everything": "import os; os._exit(0)",
    "exit": "exit()",
    "input": "input()",
    "its own seed": "torch.manual_seed(0)",
}
ZERO = function("return torch.zeros(len(mu_q))")


def files(folder):
    """Invalid or odd notebook files: their bytes, by student."""
    book = notebook()
    version = nbformat.writes(book).replace('"nbformat": 4', '"nbformat": 99')
    return {
        "not json": b"print('hello')",
        "half a notebook": nbformat.writes(book).encode()[:5000],
        "empty": b"",
        "a list": b"[]",
        "a number": b"1e999",
        "no cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        "odd cells": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1, null, {"source": 3}]}',
        "nested": b"[" * 1_000_000,
        "wrong nbformat": version.encode(),
        "not utf-8": nbformat.writes(book).replace("–", "\xe9").encode("latin-1", "replace").replace(b"KL", b"\xe9"),
        "50 MB": nbformat.writes(book).replace("def kl_discrete", f"{' ' * (50 << 20)}def kl_discrete").encode(),
        "pickle file": pickle.dumps(ValueError("hello")),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Mark everything once: the folder, the summary, a server that must not be contacted, and the seconds."""
    folder = tmp_path_factory.mktemp("hostile")
    submissions, results = folder / "submissions", folder / "results"
    sentinel = folder / "sentinel"
    sentinel.write_text("untouched", encoding="utf-8")
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)

    def filled(source):
        names = {"SUBMISSIONS": submissions, "RESULTS": results, "ROOT": ROOT, "SENTINEL": sentinel}
        for name, value in (*names.items(), ("PORT", server.getsockname()[1])):
            source = source.replace(name, str(value))
        return source

    hand_in(submissions, "honest", answered())
    hand_in(submissions, "unfinished", notebook(folder="exercises"))
    for name, (body, _) in IN_THE_ANSWER.items():
        hand_in(submissions, name, answered(kl__normals=filled(function(body))))
    for name, source in IN_A_CELL.items():
        hand_in(submissions, name, answered(extra=[source], kl__normals=ZERO))
    for name, source in HARMLESS.items():
        hand_in(submissions, name, answered(extra=[source]))
    for name, data in files(folder).items():
        hand_in(submissions, name, data)
    (submissions / "link").mkdir()
    (submissions / "link" / "ex04_kl_divergence.ipynb").symlink_to(submissions / "honest" / "ex04_kl_divergence.ipynb")
    (submissions / "linked folder").symlink_to(submissions / "honest")
    (submissions / "pipe").mkdir()
    os.mkfifo(submissions / "pipe" / "ex04_kl_divergence.ipynb")
    (submissions / "folder" / "ex04_kl_divergence.ipynb").mkdir(parents=True)
    hand_in(submissions, "odd names", answered(), name="ex04_kl_divergence (1).ipynb")
    hand_in(submissions, "odd names", answered(), name="-rf.ipynb")
    hand_in(submissions, '=1+1, "李" <b>\'é\n', answered())
    started = time.monotonic()
    summary = grading.grade(submissions, results, root=ROOT, seed=7, limits=LIMITS)  # refuses without a sandbox
    return folder, summary, server, time.monotonic() - started


@pytest.fixture(scope="module")
def grades(run):
    """The rows of grades.csv by student and task."""
    with open(run[0] / "results" / "grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_student = {}
    for row in rows:
        by_student.setdefault(row["student"], {})[row["task"]] = row
    return by_student


def other_verdicts(grades, student):
    return {task: row["verdict"] for task, row in grades[student].items() if task != TASK}


def test_the_verdicts_expected_of_attacks_exist():
    expected = {kind for _, kinds in IN_THE_ANSWER.values() if kinds for kind in kinds.split(" or ")}
    assert expected <= set(Kind)


def test_modules_that_an_attack_patches_exist():
    for name in ("vae_course", "vae_course.visible.observe", "vae_course.visible.protocol"):
        assert importlib.util.find_spec(name)


@pytest.mark.parametrize("name", [name for name in IN_THE_ANSWER if name.startswith(("reads", "looks"))])
def test_an_attack_that_reads_answers_passes_outside_the_sandbox(name):
    """So it is the sandbox that stops the attack, not a misspelt name."""
    source = (
        function(IN_THE_ANSWER[name][0]).replace("SUBMISSIONS/honest", f"{ROOT}/solutions").replace("ROOT", str(ROOT))
    )
    space = {"torch": torch}
    exec(source, space)
    assert judge(task(TASK), space["kl_normals"]).passed


@pytest.mark.parametrize("name", IN_THE_ANSWER)
def test_an_attack_in_an_answer_costs_only_that_answer(grades, name):
    row = grades[name][TASK]
    assert float(row["points"]) == 0
    expected = IN_THE_ANSWER[name][1]
    assert row["verdict"] != "passed"
    assert expected is None or row["verdict"] in expected.split(" or "), row
    assert set(other_verdicts(grades, name).values()) == {"passed"}


@pytest.mark.parametrize("name", IN_A_CELL)
def test_an_attack_in_a_cell_gains_nothing(grades, name):
    assert float(grades[name][TASK]["points"]) == 0
    assert sum(float(row["points"]) for row in grades[name].values()) <= 12


@pytest.mark.parametrize("name", ["patched torch", "patched numpy", "input transformer"])
def test_right_answers_beside_a_patch_keep_their_points(grades, name):
    assert set(other_verdicts(grades, name).values()) == {"passed"}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_oddities_cost_nothing(grades, name):
    assert {row["verdict"] for row in grades[name].values()} == {"passed"}


@pytest.mark.parametrize("name", [*files(None), "link", "pipe", "folder"])
def test_invalid_notebooks_are_reported_as_unreadable(run, grades, name):
    assert {row["verdict"] for row in grades[name].values()} == {"unreadable"}
    assert {row["points"] for row in grades[name].values()} == {"0"}
    report = json.loads((run[0] / "results" / "report.json").read_text(encoding="utf-8"))
    assert [f"{name}/ex04_kl_divergence", "unreadable"] in [remark[:2] for remark in report["remarks"]]


def test_odd_names_do_no_harm(run, grades):
    assert {row["verdict"] for row in grades["odd names"].values()} == {"passed"}
    assert "linked folder" not in grades
    [line] = [trouble for trouble in run[1].troubles if "linked folder" in trouble]
    assert line.startswith("no exercise of this course, so it was left alone: submissions (")
    assert {row["verdict"] for row in grades["'=1+1, \"李\" <b>'é"].values()} == {"passed"}


def test_nobody_elses_grade_changes(grades):
    assert {row["verdict"] for row in grades["honest"].values()} == {"passed"}
    assert {row["verdict"] for row in grades["unfinished"].values()} == {"not written"}


def test_nothing_outside_was_touched(run):
    folder, _, server, _ = run
    assert (folder / "sentinel").read_text(encoding="utf-8") == "untouched"
    assert nbformat.read(folder / "submissions" / "honest" / "ex04_kl_divergence.ipynb", 4) == answered()
    base = sqlite3.connect(folder / "results" / "results.sqlite")
    assert base.execute("SELECT max(points) FROM results").fetchone() == (3.0,)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_nothing_is_left_running(run):
    running = [p for p in psutil.process_iter(["cmdline"]) if MARK in " ".join(p.info["cmdline"] or ())]
    assert not running


def test_no_submission_takes_more_than_its_limit(run):
    base = sqlite3.connect(run[0] / "results" / "results.sqlite")
    assert base.execute("SELECT max(seconds) FROM submissions").fetchone()[0] < LIMITS.total_seconds + 6


def test_feedback_pages_escape_what_students_wrote(run):
    page = (run[0] / "results" / "feedback" / "raises with markup.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_report_describes_the_sandbox_and_lists_problems(run):
    report = json.loads((run[0] / "results" / "report.json").read_text(encoding="utf-8"))
    assert report["sandbox"] == SANDBOX.report()
    assert report["limits"]["seconds"] == LIMITS.seconds
    assert report["seed"] == 7
    assert report["troubles"] == run[1].troubles
    assert report["verdicts"]["timeout"] >= 6
    assert set(report["versions"]) >= {"torch", "numpy", "python"}
