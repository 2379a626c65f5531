"""Marking honest submissions: points, changed or missing cells, the sandbox, and the files that are written."""

import csv
import errno
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from handed_in import ELBO, KL, ROOT, SANDBOX, answer_cell, answered, grade, hand_in, made_up, needs_sandbox, notebook
from typer.testing import CliRunner

import vae_course
import vae_lessons
from vae_course import tasks
from vae_course.cli import app
from vae_course.grading import marking, sandbox
from vae_course.grading import run as grading
from vae_course.grading.remarks import KINDS, Remark, grouped
from vae_course.grading.results import Store, page_name, sources_digest
from vae_course.grading.sandbox import Limits, NoSandbox, Sandbox, Worker, WorkerError
from vae_course.grading.submissions import read, read_exercises
from vae_course.tasks import EXERCISES
from vae_course.visible import worker as worker_program
from vae_course.visible.noise import fault_of_noise
from vae_course.visible.outcomes import Kind
from vae_course.visible.protocol import STOP, CellRan, ProtocolError, Request, RunCell, decode

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="marking forks"),
    pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId"),  # made on purpose
]
COURSE = read_exercises(ROOT)
SEED = 3


@pytest.fixture(scope="module", autouse=True)
def _workers():
    yield
    marking.close_workers()


def mark(book, exercise=KL, seed=SEED, limits=Limits()):  # noqa: B008
    """Mark one notebook: the results by task, and the whole outcome."""
    contents = read(nbformat.writes(book).encode(), COURSE[exercise])
    marked = marking.mark(COURSE[exercise], contents, seed, limits, SANDBOX)
    return {result.task: result for result in marked.results}, marked


def verdicts(book, exercise=KL):
    return {task: result.verdict for task, result in mark(book, exercise)[0].items()}


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*arguments):
    return CliRunner().invoke(app, ["grade", *map(str, arguments), "--root", str(ROOT)])


def run_here(*arguments):
    """Run the command on harmless submissions, without a sandbox if there is none."""
    return run(*arguments, *([] if SANDBOX.bwrap else ["--no-sandbox"]))


@pytest.mark.parametrize("exercise", [pytest.param(e, marks=[] if e == KL else pytest.mark.long) for e in EXERCISES])
def test_solutions_earn_all_points_and_stubs_none(exercise):
    solved, marked = mark(notebook(exercise), exercise)
    assert {result.verdict for result in solved.values()} == {"passed"}
    assert [result.points for result in solved.values()] == list(EXERCISES[exercise].values())
    assert not marked.remarks
    assert set(verdicts(notebook(exercise, "exercises"), exercise).values()) == {"not written"}


def test_a_known_mistake_is_named_without_the_secret_inputs():
    wrong = "def kl_to_standard_normal(mu, log_var):\n    return (mu**2 + log_var.exp() - 1 - log_var).sum(-1)"
    result = mark(answered(kl__standard_normal=wrong))[0]["kl/standard_normal"]
    assert (result.verdict, result.points, result.max_points) == ("mistake", 0, 2)
    assert result.hint.startswith("forgot the ½\n")


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("return mu.sum(-1) * 0 + 12345", "different"),
        ("return mu", "shape"),
        ("return mu.sum(-1) / 0", "not finite"),
        ("return mu.sum(-1).to(torch.complex64)", "dtype"),
        ("raise ValueError('oh')", "raised"),
    ],
)
def test_no_hint_reveals_an_input(body, verdict):
    results = mark(answered(kl__standard_normal=f"def kl_to_standard_normal(mu, log_var):\n    {body}"))[0]
    result = results["kl/standard_normal"]
    assert result.verdict == verdict
    case = tasks.task("kl/standard_normal").inputs(SEED)[0]
    assert not any(f"{number:.2f}" in result.hint for number in case["mu"].ravel().tolist())


def test_answers_are_found_by_their_ids_wherever_they_are():
    book = notebook()
    first, last = answer_cell(book, "kl/discrete"), answer_cell(book, "kl/split")
    a, b = book.cells.index(first), book.cells.index(last)
    book.cells[a], book.cells[b] = last, first
    results, marked = mark(book)
    assert {result.verdict for result in results.values()} == {"passed"}
    assert marked.remarks == [Remark("moved")]


def test_the_last_of_two_answers_counts():
    book = notebook()
    wrong = nbformat.from_dict(answer_cell(book, "kl/discrete") | {"source": "def kl_discrete(q, p):\n    return 7.0"})
    for place, verdict in ((0, "passed"), (1, "different")):
        twice = notebook()
        twice.cells.insert(twice.cells.index(answer_cell(twice, "kl/discrete")) + place, wrong)
        results, marked = mark(twice)
        assert results["kl/discrete"].verdict == verdict
        assert Remark("copies", "kl-discrete") in marked.remarks


def test_a_deleted_answer_is_missing_and_the_others_count():
    book = notebook()
    book.cells.remove(answer_cell(book, "kl/discrete"))
    results, marked = mark(book)
    assert results["kl/discrete"].verdict == "missing"
    assert [result.verdict for result in results.values()].count("passed") == 5
    assert marked.remarks == [Remark("missing", "kl-discrete")]


def test_an_answer_in_a_text_cell_is_run_and_reported():
    book = notebook()
    answer_cell(book, "kl/discrete").cell_type = "markdown"
    results, marked = mark(book)
    assert results["kl/discrete"].verdict == "passed"
    assert marked.remarks == [Remark("type", "kl-discrete")]


def test_locked_cells_are_ignored():
    book = notebook()
    for cell in book.cells:
        if cell.id.endswith("-check"):
            cell.source = "import os\nos._exit(0)"
    results, marked = mark(book)
    assert {result.verdict for result in results.values()} == {"passed"}
    assert [remark.kind for remark in marked.remarks] == ["locked"] * 6
    book.cells = [cell for cell in book.cells if not cell.id.endswith("-check")]
    results, marked = mark(book)
    assert {result.verdict for result in results.values()} == {"passed"}
    assert [remark.kind for remark in marked.remarks] == ["no check"] * 6


def test_a_remark_on_many_copies_of_a_cell_is_made_once():
    book = notebook()
    answer_cell(book, "kl/discrete-check").source = "pass"
    book.cells += [answer_cell(book, "kl/discrete-check")] * 50
    remarks = read(nbformat.writes(book).encode(), COURSE[KL]).remarks
    assert remarks == [Remark("locked", "kl-discrete-check")]


def test_huge_numbers_print_no_warning(recwarn):
    """Python would show it among the results."""
    huge = "import numpy as np\ndef kl_discrete(q, p):\n    return np.longdouble('1e4000')"
    assert mark(answered(kl__discrete=huge))[0]["kl/discrete"].verdict not in ("passed", "raised")
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_an_answer_without_its_function_is_missing():
    assert verdicts(answered(kl__discrete="x = 1"))["kl/discrete"] == "missing"


def test_an_answer_that_does_not_parse_shows_its_error():
    result = mark(answered(kl__discrete="def kl_discrete(q, p):\n    return (q"))[0]["kl/discrete"]
    assert result.verdict == "raised"
    assert "SyntaxError: " in result.hint
    assert result.hint.endswith(" (line 2: return (q)")


def test_an_odd_syntax_error_is_an_error_like_others():
    odd = "def kl_discrete(q, p):\n    raise SyntaxError('odd', ('cell', 1, 1, 7))"
    result = mark(answered(kl__discrete=odd))[0]["kl/discrete"]
    assert result.verdict == "raised"
    assert "SyntaxError: odd" in result.hint


def test_an_answer_that_does_not_parse_hides_none_that_does():
    """In a copy that the student made, for example, with another id."""
    right = next(cell.source for cell in notebook().cells if "def kl_discrete" in cell.source)
    broken = {"kl__discrete": right.replace("return", "return (", 1)}
    assert verdicts(answered(**broken))["kl/discrete"] == "raised"
    results, marked = mark(answered(extra=[right], **broken))
    assert results["kl/discrete"].verdict == "passed"
    assert Remark("by function", "kl-discrete") in marked.remarks


def test_a_helper_that_is_written_again_later_does_not_change_earlier_answers():
    book = answered(
        kl__discrete="def help(q, p):\n    return (q[q > 0] * (q[q > 0] / p[q > 0]).log()).sum()\n\n\n"
        "def kl_discrete(q, p):\n    return help(q, p)",
        kl__standard_normal="def help(a, b):\n    return 7\n\n\n"
        "def kl_to_standard_normal(mu, log_var):\n    return help(1, 2)",
    )
    results = verdicts(book)
    assert results["kl/discrete"] == "passed"
    assert results["kl/standard_normal"] != "passed"


def test_an_old_notebook_format_is_read():
    old = nbformat.convert(notebook(), 3)
    data = nbformat.writes(old, version=3).encode()
    contents = read(data, COURSE[KL])
    assert {r.verdict for r in marking.mark(COURSE[KL], contents, SEED, Limits(), SANDBOX).results} == {"passed"}


@pytest.mark.parametrize(
    "first",
    ["from google.colab import drive", "import os\nos.chdir('/content')", "import not_installed", "%matplotlib widget"],
)
def test_a_line_that_does_not_work_here_costs_no_imports(first):
    book = notebook()
    imports = next(cell for cell in book.cells if cell.cell_type == "code")
    imports.source = f"{first}\n{imports.source}"
    assert set(verdicts(book).values()) == {"passed"}


def changed(change):
    """The solved exercise as JSON, after a change to it."""
    book = json.loads(nbformat.writes(notebook()))
    change(book, {cell["id"]: cell for cell in book["cells"]})
    return json.dumps(book).encode()


def without_ids(book, cells):
    for cell in book["cells"]:
        cell["metadata"]["id"] = cell.pop("id")  # as Colab does
        cell["metadata"].pop("nbgrader", None)
    book["nbformat_minor"] = 0


@pytest.mark.parametrize(
    "change",
    [
        lambda book, cells: cells["cell-001"].update(outputs=[{}] * 2_000_000),
        lambda book, cells: cells["cell-001"]["metadata"].update(tags=[""] * 2_000_000),
        lambda book, cells: book["metadata"].update(odd=[{}] * 2_000_000),
        lambda book, cells: cells["cell-000"].update(cell_type="x" * 9_000_000),
        lambda book, cells: cells["kl-discrete"]["metadata"]["nbgrader"].update(points=[], grade={}, schema_version=1),
        without_ids,
    ],
    ids=["outputs", "tags", "metadata", "type", "nbgrader", "Colab"],
)
def test_only_the_needed_parts_of_a_notebook_are_read(change):
    """Contents that nbformat needs minutes and gigabytes to validate do not matter."""
    contents = read(changed(change), COURSE[KL])
    assert contents == read(nbformat.writes(notebook()).encode(), COURSE[KL])


def test_half_of_a_surrogate_pair_costs_nothing(tmp_path):
    """Some editors cut an emoji in two, and UTF-8 cannot hold a half."""
    half = "\ud83d"
    hand_in(
        tmp_path / "in", "comment", changed(lambda _, cells: cells["kl-discrete"]["source"].insert(0, f"# {half}\n"))
    )
    broken = f"def kl_discrete(q, p):\n    raise ValueError('{half}' + chr(0xd83d))"
    hand_in(tmp_path / "in", "error", changed(lambda _, cells: cells["kl-discrete"].update(source=broken)))
    result = run_here(tmp_path / "in", "--out", tmp_path / "out", "--gradebook", tmp_path / "course" / "gradebook.db")
    assert result.exit_code == 0, result.output
    failed = [
        (row["student"], row["task"]) for row in rows(tmp_path / "out" / "grades.csv") if row["verdict"] != "passed"
    ]
    assert failed == [("error", "kl/discrete")]


def test_only_the_first_of_many_skipped_cells_are_named():
    cells = [f"import os; os._exit({n})" for n in range(12)]
    results, marked = mark(answered(extra=cells))
    assert {result.verdict for result in results.values()} == {"passed"}
    assert [remark.kind for remark in marked.remarks] == ["left out"] * 12
    [line] = grouped(("ann", remark) for remark in marked.remarks)
    assert line.startswith(
        "a cell hung or crashed, so it was left out: ann (crashed: import os; os._exit(0), crashed: "
    )
    assert line.endswith("os._exit(4), …)")


@pytest.mark.long
def test_five_answers_that_hang_cost_the_sixth_nothing():
    book = notebook()
    for task in list(COURSE[KL].functions)[:5]:
        name = COURSE[KL].functions[task]
        answer_cell(book, task).source = f"def {name}(*_, **__):\n    while True: pass"
    default = Limits()
    results = mark(book, limits=Limits(seconds=2, total_seconds=2 * default.total_seconds / default.seconds))[0]
    assert [result.verdict for result in results.values()] == ["timeout"] * 5 + ["passed"]


def test_a_missing_written_answer_is_reported():
    book = notebook()
    book.cells = [cell for cell in book.cells if cell.id != "written-1"]
    assert mark(book)[1].remarks == [Remark("no written answer", "written-1")]


def test_a_worker_is_closed_after_an_internal_error(monkeypatch):
    def faulty(message):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(marking, "_arrays_or_failure", faulty)
        with pytest.raises(MemoryError):
            mark(notebook())
    assert all(worker.process is None for worker in marking._workers)
    assert set(verdicts(notebook()).values()) == {"passed"}


def test_an_answers_own_random_numbers_are_the_same_in_every_run():
    drawn = "random.random(), torch.rand(()), np.random.rand()"
    noisy = f"import random\ndef kl_discrete(q, p):\n    raise ValueError(({drawn}))"
    hints = [mark(answered(extra=["import numpy as np"], kl__discrete=noisy))[0]["kl/discrete"].hint for _ in range(2)]
    assert "ValueError: (0." in hints[0]
    assert hints[0] == hints[1]


@pytest.mark.parametrize("seed", range(3))
def test_points_do_not_depend_on_the_seed(seed):
    for book, right in made_up(KL, 4):
        results = mark(book, seed=seed)[0]
        assert {task: result.points > 0 for task, result in results.items()} == right


def test_claims_about_draws_and_gradients_are_not_trusted():
    fake = "import numpy as np, torch\nnp.array_equal = lambda *_: True"
    own_noise = (
        "def sample_codes(mu, log_var, n, generator):\n    return mu + (log_var / 2).exp() * torch.randn(n, *mu.shape)"
    )
    assert (
        verdicts(
            answered("ex02_gaussian_sampling", extra=[fake], gaussian__repair=own_noise), "ex02_gaussian_sampling"
        )["gaussian/repair"]
        != "passed"
    )
    fake = (
        "import torch\n"
        "torch.autograd.grad = lambda output, inputs, **_: [torch.ones_like(x) for x in inputs]\n"
        "torch.Tensor.any = lambda *_: torch.tensor(True)"
    )
    cut = (
        "def sample_repaired(mu, log_var, generator):\n"
        "    eps = torch.randn(mu.shape, generator=generator)\n"
        "    return (mu + (log_var / 2).exp() * eps).detach().requires_grad_()"
    )
    assert (
        verdicts(answered("ex03_reparametrization", extra=[fake], gradient__repaired=cut), "ex03_reparametrization")[
            "gradient/repaired"
        ]
        != "passed"
    )


@pytest.fixture
def worker():
    worker = Worker(7, SANDBOX)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def one_worker():
    """One for many tests, as it takes seconds to start."""
    worker = Worker(6, SANDBOX)
    yield worker
    worker.close()


def run_cell(worker, source, limits=Limits()):  # noqa: B008
    """Run one cell: the failure message and the error, None each if all is well."""
    messages = []
    outcome = worker.run(Request([RunCell(0, source)]), limits, messages.append)
    error = next((message.error for message in messages if isinstance(message, CellRan)), None)
    return outcome.failure and outcome.failure.message, error


def test_a_submission_finds_nothing_of_the_previous_one(worker):
    secret = "kl" + "_answer_of_somebody_else"
    write = f"open('../answers', 'w').write('{secret}')\nopen('here', 'w').write('kl')"
    files = "import os\nassert not os.path.exists('../answers'), 'seen'\nassert os.listdir() == [], 'seen'"
    memory = """
import re
wanted = "_answer_of_".encode() + "somebody_else".encode()
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps"):
        start, end, kind = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
        if kind.startswith("rw"):
            try:
                memory.seek(int(start, 16))
                found = memory.read(int(end, 16) - int(start, 16))
            except (OSError, ValueError, OverflowError):
                continue
            assert b"kl" + wanted not in found, "seen"
"""
    assert run_cell(worker, write) == (None, None)
    assert run_cell(worker, files) == (None, None)
    assert run_cell(worker, memory) == (None, None)
    assert run_cell(worker, f"x = '{secret}'" + memory)[1].endswith("AssertionError: seen")  # the search itself works


LIBC = "import ctypes, platform\nlibc = ctypes.CDLL(None)\nkeys = {'x86_64': 248, 'aarch64': 217}[platform.machine()]\n"


@needs_sandbox
@pytest.mark.parametrize(
    "call",
    [
        "shmget(4321, 1 << 20, 0o1666)",
        "msgget(4321, 0o1666)",
        "semget(4321, 1, 0o1666)",
        "mq_open(b'/new', 0o102, 0o666, None)",
        "memfd_create(b'memory', 0)",
        "syscall(keys, b'user', b'kl', b'answer', 6, -4)",  # a key
        "syscall(keys + 2, 22, 0, -4, 0, 0)",  # the user's persistent keyring
        "setxattr(b'/tmp', b'user.answer', b'7', 1, 0)",
        "setxattr(b'/dev/shm', b'user.answer', b'7', 1, 0)",
        "syscall(463, -100, b'/tmp', 0, b'user.answer', 0, 0)",  # setxattrat, newer than many libraries
        "prlimit(1, 9, (ctypes.c_uint64 * 2)(1 << 30, 1 << 30), None)",
        "setpriority(0, 1, 19)",
        "setpriority(2, 0, 19)",  # all processes of this user
        "nice(19)",
        "sched_setaffinity(1, 8, ctypes.byref(ctypes.c_uint64(1)))",
        "sched_setscheduler(1, 5, ctypes.byref(ctypes.c_int(0)))",
        "unshare(0x10000000)",  # CLONE_NEWUSER
        "setns(0, 0)",
        "epoll_create1(0)",
        "inotify_init()",
        "socket(2, 1, 0)",  # TCP, with IPv4 and IPv6
        "socket(10, 1, 0)",
        "socket(40, 1, 0)",  # to the host of a virtual machine
        "socket(38, 5, 0)",  # the kernel's cryptography
        "ptrace(16, 1, 0, 0)",
        "setsockopt(libc.socket(1, 1, 0), 1, 7, ctypes.byref(ctypes.c_int(1 << 20)), 4)",  # a larger buffer
        f"syscall({{'x86_64': 72, 'aarch64': 25}}[platform.machine()], libc.open({subprocess.__file__.encode()!r}, 0), "
        "ctypes.c_long(1024 | 1 << 32), ctypes.c_long(0))",  # the kernel reads the low half only
        f"fcntl(libc.open({subprocess.__file__.encode()!r}, 0), 1024, 0)",  # a lease on a file that all workers read
    ],
)
def test_calls_that_reach_beyond_a_submission_are_refused(one_worker, call):
    assert run_cell(one_worker, f"{LIBC}assert libc.{call} == -1") == (None, None)


@needs_sandbox
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))", "a limit"),
        ("os.nice(5)", "its priority"),
        ("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})", "its processors"),
        ("os.setxattr(FOLDER, 'user.answer', b'7')", "an attribute"),
        ("os.chmod(FOLDER, 0o700)", "a mode"),
    ],
)
def test_a_worker_notices_what_was_changed(tmp_path, change, what):
    """Should a call get through all the same."""
    program = (
        "import os, resource, sys\nfrom vae_course.visible.worker import state\nFOLDER = sys.argv[1]\n"
        f"before = state([FOLDER])\nassert state([FOLDER]) == before\n{change}\nassert state([FOLDER]) != before"
    )
    if change.startswith("os.sched") and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is one processor only")
    os.chmod(tmp_path, 0o755)
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)


@needs_sandbox
def test_a_change_of_the_worker_costs_it_its_life_and_nobody_a_point(worker):
    assert run_cell(worker, "1 / 1") == (None, None)
    first = worker.process.pid
    own = os.getpriority(os.PRIO_PROCESS, 0)
    psutil.Process(first).children()[0].nice(own + 5)  # from outside, where it is allowed
    assert run_cell(worker, "1 / 1")[1] is None
    assert run_cell(worker, f"import os; assert os.getpriority(0, 0) == {own}") == (None, None)
    assert worker.process.pid != first


@needs_sandbox
def test_nothing_makes_a_submission_less_likely_to_be_ended_first(worker):
    look = "assert open('/proc/self/oom_score_adj').read() == '1000\\n'\n"
    assert run_cell(worker, look) == (None, None)
    error = run_cell(worker, look + "open('/proc/self/oom_score_adj', 'w').write('0')")[1]
    assert error.endswith("Read-only file system: '/proc/self/oom_score_adj'")


@needs_sandbox
@pytest.mark.parametrize(
    "source",
    [
        "import multiprocessing as m\nwith m.Pool(2) as pool: assert pool.map(abs, [1, -2]) == [1, 2]",
        "import torch.utils.data as d\n"
        "assert len(list(d.DataLoader(torch.zeros(8, 3), batch_size=4, num_workers=2))) == 2",
        "@torch.compile\ndef double(x): return 2 * x\nassert double(torch.ones(1)) == 2",
        "import asyncio\nassert await asyncio.wait_for(asyncio.sleep(0.01, 'done'), 5) == 'done'",
        "import time\nstart = time.monotonic()\n!pip install einops seaborn\nassert time.monotonic() - start < 9",
    ],
    ids=["pool", "loader", "compile", "asyncio", "pip"],
)
def test_what_works_at_home_works_here(one_worker, source):
    """A pool ends its processes by a signal, which may be ignored around the whole run (nohup)."""
    unhurried = Limits(seconds=60, total_seconds=120)
    assert run_cell(one_worker, f"import torch\n{source}", unhurried) == (None, None)


@needs_sandbox
@pytest.mark.parametrize(
    ("forbidden", "error"),
    [
        ("open('/dev/new', 'w')", "Read-only file system"),
        ("open('/new', 'w')", "Read-only file system"),
    ],
)
def test_nothing_can_be_left_elsewhere(worker, forbidden, error):
    assert error in run_cell(worker, forbidden)[1]


@pytest.mark.long
@needs_sandbox
def test_a_flood_of_messages_ends_the_child(worker):
    """The messages are valid, and the next one always comes before a step times out."""
    flood = (
        "import os\nfrom vae_course.visible.protocol import StepBegun, encode\ntext = encode(StepBegun(0))\n"
        "while True:\n    for descriptor in range(3, 256):\n"
        "        try: os.write(descriptor, text)\n        except OSError: pass"
    )
    assert run_cell(worker, flood, Limits(seconds=60))[0] == "The answer crashed: too much data was sent."


def test_a_child_has_its_own_limits(worker):
    wanted = Limits(total_seconds=7)
    source = (
        "import resource as r\nassert r.getrlimit(r.RLIMIT_CPU) == (8, 8)\n"
        "assert r.getrlimit(r.RLIMIT_CORE) == (0, 0)\n"
        "assert r.getrlimit(r.RLIMIT_SIGPENDING) == (256, 256)\n"
        "assert open('/proc/self/oom_score_adj').read() == '1000\\n'"
    )
    assert run_cell(worker, source, wanted) == (None, None)


@pytest.mark.long
@needs_sandbox
def test_memory_is_counted_over_all_children(worker):
    source = "import os, time\nfor _ in range(3): os.fork()\nx = bytearray(os.urandom(1 << 20) * 100)\ntime.sleep(60)"
    assert run_cell(worker, source, Limits(seconds=60, bytes=400 << 20)) == (sandbox.OUT_OF_MEMORY.message, None)
    assert run_cell(worker, "1 / 1") == (None, None)


def test_a_worker_can_be_used_after_a_timeout_or_a_crash(worker):
    failures = {
        "while True: pass": sandbox.TIMEOUT.message,
        "import os; os._exit(1)": "The answer crashed: it exited with code 1.",
    }
    for source, failure in failures.items():
        assert run_cell(worker, source, Limits(seconds=1)) == (failure, None)
        assert run_cell(worker, "1 / 1") == (None, None)


def test_a_worker_that_does_not_start_says_why(worker, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerError, match=r"did not start: .*No such file"):
        run_cell(worker, "1 / 1")


@needs_sandbox
def test_a_course_in_tmp_has_a_sandbox(worker, tmp_path, monkeypatch):
    """Python itself may be installed where students' code would write."""
    (tmp_path / "python").symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "bin" / "python"))
    source = "import os\nassert os.getcwd() == '/submission/home', os.getcwd()\nopen('here', 'w')"
    assert run_cell(worker, source) == (None, None)


def test_a_stop_message_that_comes_too_late_stops_nothing(worker):
    assert run_cell(worker, "1 / 1") == (None, None)
    warm = worker.process.pid
    worker.control.sendall(STOP)
    assert run_cell(worker, "1 / 1") == (None, None)
    assert worker.process.pid == warm


def test_one_empty_list_of_processes_is_not_enough(tmp_path, monkeypatch):
    """A process that forks just then may be missing from the list."""
    process = psutil.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    lists = iter([[], [process], [], []])
    monkeypatch.setattr(worker_program, "other_processes", lambda namespace: next(lists))
    worker_program.clean_up({"namespace": False, "folders": [str(tmp_path)]})
    process.wait(timeout=60)  # earlier than it would end by itself
    assert not process.is_running()


@pytest.mark.parametrize("around", [SANDBOX, Sandbox(None, False)], ids=["sandbox", "no sandbox"])
def test_nothing_is_left_running_after_a_submission(around):
    program = f"import time; time.sleep(60)  # left_running_after_a_submission of {os.getpid()}"  # not another test's
    source = (
        "import os, sys\nif os.fork() == 0:\n    os.setsid()\n"
        f"    if os.fork() == 0: os.execv(sys.executable, [sys.executable, '-c', {program!r}])\n    os._exit(0)\n"
        "import time; time.sleep(0.3)"
    )
    worker = Worker(8, around)
    try:
        assert run_cell(worker, source) == (None, None)
        assert not [p for p in psutil.process_iter(["cmdline"]) if program in (p.info["cmdline"] or ())]
    finally:
        worker.close()


ORDINARY = ["--dev-bind", "/", "/", "--unshare-user", "--uid", "1000", "--gid", "1000"]
APART = [*ORDINARY, "--unshare-pid", "--proc", "/proc", "--die-with-parent", "--new-session"]
NO_BWRAP = [
    "--ro-bind",
    "/dev/null",
    str(SANDBOX.bwrap),
]  # no access to outside processes or to bubblewrap


def run_apart(folder, *more):
    """Run the command without bubblewrap, where it can harm only itself: exit code and output."""
    command = [sys.executable, "-m", "vae_course.cli", "grade", folder / "in", "--out", folder / "out", "--root", ROOT]
    command = [str(word) for word in (SANDBOX.bwrap, *APART, *NO_BWRAP, *command, "--seconds", 2, *more)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    return done.returncode, done.stdout


@pytest.mark.long
@needs_sandbox
def test_without_a_sandbox_limits_hold_and_the_report_says_so(tmp_path):
    submissions = {
        "honest": answered(),
        "endless": answered(extra=["while True: pass"]),
        "exits": answered(kl__split="def split_kl(q_z_given_x, p_z):\n    import os; os._exit(0)"),
        "kills": answered(kl__split="def split_kl(q_z_given_x, p_z):\n    import os; os.kill(os.getppid(), 9)"),
    }
    for student, book in submissions.items():
        hand_in(tmp_path / "in", student, book)
    code, output = run_apart(tmp_path, "--no-sandbox")
    assert code == 4  # a cell was left out
    assert output.startswith("vae-lessons: there is no sandbox (bubblewrap (bwrap) ")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["sandbox"]["files"].startswith("none: bubblewrap (bwrap) ")
    assert report["sandbox"]["network"] == "none"
    failed = [(row["student"], row["task"]) for row in rows(tmp_path / "out/grades.csv") if row["verdict"] != "passed"]
    assert failed == [("exits", "kl/split"), ("kills", "kl/split")]


@pytest.mark.long
@needs_sandbox
def test_a_run_that_was_killed_names_the_suspect(tmp_path):
    killer = answered(kl__split="def split_kl(q_z_given_x, p_z):\n    import os; os.kill(-1, 9)")
    hand_in(tmp_path / "in", "b kills", killer)
    for student in ("a honest", "c honest", "d honest", "e honest"):
        hand_in(tmp_path / "in", student, answered())
    code, _ = run_apart(tmp_path, "--no-sandbox", "--jobs", 2)
    assert code == 137
    code, _ = run_apart(tmp_path, "--no-sandbox", "--jobs", 2)  # suspects are run last, one by one
    assert code == 137
    assert recorded(tmp_path / "out", "rw") >= 3  # one more suspect may come after the one that kills
    code, output = run_apart(tmp_path, "--no-sandbox")
    assert code == 4
    named = [line for line in output.splitlines() if "was left out" in line]
    assert named == [f"vae-lessons: {KINDS['killed']}: b kills/{KL} (2 times)"]
    passed = {row["student"] for row in rows(tmp_path / "out" / "grades.csv") if row["verdict"] == "passed"}
    assert passed == {"a honest", "c honest", "d honest", "e honest"}
    in_a_sandbox = (tmp_path / "in", "--out", tmp_path / "out", "--seconds", 2)
    result = run(*in_a_sandbox)  # here it is harmless, and is run
    assert [line for line in result.output.splitlines() if "so it was run last and alone" in line]
    assert recorded(tmp_path / "out") == 5
    assert "was running" not in run(*in_a_sandbox).output


def test_other_files_and_internal_errors_do_not_count_against_a_submission(tmp_path):
    with closing(Store(tmp_path)) as store:
        store.begin("ann", KL, "one file")
        store.begin("bob", KL, "a file")
        store.begin("eve", KL, "a file")
        store.end("bob", KL)  # an internal error
    with closing(Store(tmp_path)) as store:
        assert store.killed() == {("ann", KL, "one file"): 1, ("eve", KL, "a file"): 1}
        store.begin("ann", KL, "another file")
        store.begin("eve", KL, "a file")
    with closing(Store(tmp_path)) as store:
        assert store.killed() == {("ann", KL, "another file"): 1, ("eve", KL, "a file"): 2}
        store.begin("eve", KL, "a file")
        store.end()  # the run ended normally
    with closing(Store(tmp_path)) as store:
        assert store.killed()["eve", KL, "a file"] == 2


def test_a_fake_bubblewrap_is_rejected(tmp_path, monkeypatch):
    program = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'
    (tmp_path / "bwrap").write_text(program, encoding="utf-8")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    detected = Sandbox.detect()  # runs only a harmless command
    assert (detected.bwrap, detected.problem) == (
        None,
        "bubblewrap does not work here (it gives no process namespace of its own)",
    )


@needs_sandbox
def test_a_worker_without_its_own_process_namespace_ends_at_once(tmp_path):
    settings = json.dumps({"control": 0, "folders": [str(tmp_path)], "namespace": True, "uid": None})
    command = [SANDBOX.bwrap, *APART, sys.executable, "-m", "vae_course.visible.worker", settings]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "no process namespace of its own")


def test_ci_has_a_sandbox_for_the_attacks():
    """Elsewhere the attacks are skipped, with a reason, if bubblewrap does not work."""
    assert SANDBOX.bwrap or not os.environ.get("CI"), SANDBOX.problem


def not_found(name):
    return None


@pytest.mark.parametrize("root", [False, True], ids=["user", "root with a Python of its own"])
def test_without_a_sandbox_nothing_is_run(tmp_path, monkeypatch, root):
    def started(worker):
        raise AssertionError("something was run")

    monkeypatch.setattr("shutil.which", not_found)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(sandbox, "readable_by_all", lambda *_: False)
    monkeypatch.setattr(Worker, "start", started)
    hand_in(tmp_path / "in", "ann", answered())
    result = run(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 3
    [line] = result.output.splitlines()
    assert line.startswith("vae-lessons: nothing was run: bubblewrap (bwrap) is not installed, and without it")
    assert f"runs as {'root' if root else 'you'}: it can read, change and delete your files, end all your" in line
    assert "`apt install bubblewrap`" in line
    assert line.endswith("on a disposable machine, add --no-sandbox")
    assert not (tmp_path / "out").exists()


def test_marking_works_without_a_sandbox_if_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", not_found)
    hand_in(tmp_path / "in", "ann", answered())
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--no-sandbox")
    assert result.exit_code == 0
    assert result.output.startswith("vae-lessons: there is no sandbox (bubblewrap (bwrap) is not installed), and")
    assert {row["verdict"] for row in rows(tmp_path / "out" / "grades.csv")} == {"passed"}


def test_a_cluster_worker_runs_nothing_without_a_sandbox_either(monkeypatch):
    monkeypatch.setattr(marking, "_sandbox_of_this_process", lambda: Sandbox(None, False, "bubblewrap is not there"))
    contents = read(nbformat.writes(notebook()).encode(), COURSE[KL])
    with pytest.raises(NoSandbox, match="nothing was run: bubblewrap is not there"):
        marking.mark_on_cluster(COURSE[KL], contents, SEED, Limits(), no_sandbox=False)
    marked = marking.mark_on_cluster(COURSE[KL], contents, SEED, Limits(), no_sandbox=True)
    assert {result.verdict for result in marked.results} == {"passed"}


@needs_sandbox
def test_a_sandbox_that_fails_during_a_run_ends_it(tmp_path, monkeypatch):
    """The run does not go on without the sandbox that it began with."""
    program = f'echo >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -gt 1 ] && exit 1; exec {SANDBOX.bwrap} "$@"'
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    hand_in(tmp_path / "in", "ann", answered())
    result = run(tmp_path / "in", "--out", tmp_path / "out", "--no-sandbox")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("vae-lessons: the marking process did not start")
    assert recorded(tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('case "$*" in *--size*) echo "bwrap: Unknown option --size" >&2; exit 1;; esac', "Unknown option --size"),
        ("exit 1", "it gives no reason"),
    ],
)
def test_a_bubblewrap_that_does_not_work_is_reported_before_anything_runs(tmp_path, monkeypatch, program, why):
    """Old versions lack options, and many containers forbid what bubblewrap needs."""
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    hand_in(tmp_path / "in", "ann", answered())
    result = run(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 3
    [line] = result.output.splitlines()
    assert line.startswith("vae-lessons: nothing was run: bubblewrap does not work here (")
    assert why in line
    assert not (tmp_path / "out").exists()


def test_windows_gets_one_line(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "fork")
    result = run(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.output.startswith("vae-lessons: marking forks processes, which Windows cannot")
    assert len(result.output.splitlines()) == 1


@pytest.mark.long
@needs_sandbox
def test_an_ordinary_user_has_a_sandbox_too(tmp_path):
    function = "def split_kl(q_z_given_x, p_z):\n    "
    bodies = {
        "kills": "import os; os.kill(os.getppid(), 9)",
        "kills all": "import os; os.kill(-1, 9)",
        "looks": "import os; return open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        "reads": f"return open('{tmp_path}/in/honest/{KL}.ipynb').read()",
        "takes over": "return open('/proc/1/mem', 'r+b')",
        "becomes root": "import ctypes; return 1 / (ctypes.CDLL(None).unshare(0x10000000) == 0)",
    }
    hand_in(tmp_path / "in", "honest", answered())
    for student, body in bodies.items():
        hand_in(tmp_path / "in", student, answered(kl__split=function + body))
    bwrap = [SANDBOX.bwrap, *APART]
    command = ["grade", tmp_path / "in", "--out", tmp_path / "out", "--root", ROOT, "--seconds", 5]
    subprocess.run([*bwrap, sys.executable, "-m", "vae_course.cli", *map(str, command)], check=True)
    wrong = [row for row in rows(tmp_path / "out" / "grades.csv") if row["verdict"] != "passed"]
    assert {(row["student"], row["task"]) for row in wrong} == {(student, "kl/split") for student in bodies}
    by_student = {row["student"]: row["verdict"] for row in wrong}
    assert {by_student[name] for name in ("looks", "reads", "takes over", "becomes root")} == {"raised"}
    assert "namespace" in json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["sandbox"]["user"]


@pytest.fixture
def class_of_six(tmp_path):
    for n, (book, _) in enumerate(made_up(KL, 6)):
        hand_in(tmp_path / "in", f"student {n}", book)
    return tmp_path


@pytest.mark.long
def test_the_same_seed_gives_the_same_files(class_of_six):
    for out in ("a", "b"):
        assert run_here(class_of_six / "in", "--out", class_of_six / out, "--seed", 5).exit_code == 0
    for name in ("grades.csv", "totals.csv", *(f"feedback/student {n}.html" for n in range(6))):
        assert (class_of_six / "a" / name).read_bytes() == (class_of_six / "b" / name).read_bytes()


@pytest.mark.long
def test_only_what_changed_is_run_again(class_of_six):
    command = (class_of_six / "in", "--out", class_of_six / "out")
    assert "6 submissions marked" in run_here(*command).output
    before = (class_of_six / "out" / "grades.csv").read_bytes()
    seed = json.loads((class_of_six / "out" / "report.json").read_text(encoding="utf-8"))["seed"]
    assert "0 submissions marked" in run_here(*command).output
    assert (class_of_six / "out" / "grades.csv").read_bytes() == before
    hand_in(class_of_six / "in", "student 3", answered())
    output = run_here(*command).output
    assert "1 submission marked" in output
    assert "5 marked before" in output
    assert json.loads((class_of_six / "out" / "report.json").read_text(encoding="utf-8"))["seed"] == seed
    assert "6 submissions marked" in run_here(*command, "--seed", seed + 1).output
    assert "6 submissions marked" in run_here(*command, "--seconds", 9).output


SLOW = "import time\ntime.sleep(0.5)"


def start(folder, out, *more, enough=3):
    """Start the command in a new process and wait until it has recorded some submissions."""
    command = [sys.executable, "-m", "vae_course.cli", "grade", folder / "in", "--out", out, "--root", ROOT]
    command = [str(word) for word in (*command, "--seed", 5, "--no-sandbox", *more)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # the tests may run with it ignored
    )
    while process.poll() is None and recorded(out) < enough:
        time.sleep(0.05)
    assert recorded(out) >= enough, process.communicate()
    return process


def recorded(out, mode="ro&immutable=1"):
    """The number of recorded submissions; the default mode also works during a run."""
    try:
        with sqlite3.connect(f"file:{out / 'results.sqlite'}?mode={mode}", uri=True) as base:
            return base.execute("SELECT count(*) FROM submissions").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.mark.long
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_the_same_command_continues_a_stopped_run(tmp_path, how, code):
    for n in range(12):
        hand_in(tmp_path / "in", f"student {n}", answered(extra=[SLOW]))
    process = start(tmp_path, tmp_path / "out", enough=4)
    process.send_signal(how)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == code
    assert how == signal.SIGKILL or "the same command continues" in errors
    assert 3 <= recorded(tmp_path / "out", "rw") < 12  # the last one seen may not have been committed
    result = run_here(tmp_path / "in", "--out", tmp_path / "out", "--seed", 5)
    suspects = [line for line in result.output.splitlines() if f"{KINDS['suspect']}: " in line]
    named = re.findall(r"student \d+(?=/)", "".join(suspects))
    if how == signal.SIGKILL:
        assert result.exit_code == 4
        assert 1 <= len(named) <= (os.cpu_count() or 1)
    else:
        assert (result.exit_code, named) == (0, [])
    before = int(result.output.split(" marked before")[0].split()[-1])
    assert before >= 3
    assert len(rows(tmp_path / "out" / "grades.csv")) == 12 * 6


@pytest.mark.long
def test_two_runs_do_not_write_to_the_same_folder(tmp_path):
    for n in range(40):
        hand_in(tmp_path / "in", f"student {n}", answered(extra=[SLOW]))
    process = start(tmp_path, tmp_path / "out")
    result = run_here(tmp_path / "in", "--out", tmp_path / "out")
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert result.exit_code == 1
    assert "another run is writing to it" in result.output


def test_files_for_people_and_other_systems(tmp_path):
    names = ["Müller, Jörg", "李小明", 'O"Neil', "=cmd", " space ", "a" * 250]
    for student in names:
        hand_in(tmp_path / "in", student, answered())
    hand_in(tmp_path / "in", "李小明", notebook(ELBO, "exercises"), ELBO)
    assert run_here(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    grades = rows(tmp_path / "out" / "grades.csv")
    assert list(grades[0]) == ["student", "exercise", "task", "points", "max_points", "verdict", "hint", "days_late"]
    written = {name.replace("=cmd", "'=cmd") for name in names}  # a spreadsheet must not take it for a formula
    assert {row["student"] for row in grades} == written
    totals = {row["Student"]: row for row in rows(tmp_path / "out" / "totals.csv")}
    assert list(totals["李小明"]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", KL, ELBO]
    assert (totals["李小明"][KL], totals["李小明"][ELBO]) == ("14", "0")
    assert (totals["'=cmd"][KL], totals["'=cmd"][ELBO]) == ("14", "")
    pages = {path.name for path in (tmp_path / "out" / "feedback").iterdir()}
    assert pages == {page_name(student) for student in names}
    text = (tmp_path / "out" / "feedback" / "李小明.html").read_text(encoding="utf-8")
    assert "14 of 14" in text
    assert "kl_discrete" in text
    assert "src=" not in text
    assert "http" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--out", "out"), "no folder"),
        (("empty", "--out", "out"), "no notebooks were found; it is empty"),
        (("in", "--out", "in/out"), "overlap"),
        (("in", "--out", "file"), "is a file"),
        (
            ("in", "--out", "out", "--dask", "tcp://127.0.0.1:9"),
            "no Dask scheduler answers",
        ),  # its workers have their own sandboxes
    ],
)
def test_bad_arguments_get_one_line(tmp_path, monkeypatch, arguments, words):
    hand_in(tmp_path / "in", "ann", answered())
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grading, "DASK_TIMEOUT", 1)
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not Path("in/out").exists()


def test_no_course_gets_one_line(tmp_path):
    hand_in(tmp_path / "in", "ann", answered())
    result = CliRunner().invoke(
        app, ["grade", str(tmp_path / "in"), "--out", str(tmp_path / "o"), "--root", str(tmp_path)]
    )
    assert (result.exit_code, "give --root" in result.output) == (1, True)


def test_nbgraders_layout_is_understood_and_duplicates_are_reported(tmp_path):
    hand_in(tmp_path / "in", "ann", answered(), name=f"{KL}/{KL}.ipynb")
    hand_in(tmp_path / "in", "bob", answered())
    hand_in(tmp_path / "in", "bob", notebook(folder="exercises"), name=f"{KL}/{KL}.ipynb")
    result = run_here(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert f"handed in more than once: bob/{KL} (2 times; best: bob/{KL}.ipynb)" in result.output
    totals = {row["Student"]: row[KL] for row in rows(tmp_path / "out" / "totals.csv")}
    assert totals == {"ann": "14", "bob": "14"}


@pytest.mark.parametrize("where", ["read", "mark"])
def test_an_internal_error_affects_only_one_submission(tmp_path, monkeypatch, where):
    for student in ("ann", "bob"):
        hand_in(tmp_path / "in", student, answered(extra=[f"{student}_was_here = 1"]))
    real = getattr(grading, where)

    def faulty(*arguments, **named):
        if "bob_was_here" in str(arguments):
            raise RuntimeError("a fault")
        return real(*arguments, **named)

    monkeypatch.setattr(grading, where, faulty)
    summary = grade(tmp_path / "in", tmp_path / "out")
    assert summary.troubles == [f"not marked, because this program failed: bob/{KL} (RuntimeError('a fault'))"]
    assert {row["student"] for row in rows(tmp_path / "out" / "grades.csv")} == {"ann"}
    monkeypatch.undo()
    assert grade(tmp_path / "in", tmp_path / "out").marked == 1


@pytest.mark.long
def test_a_dask_cluster_gives_the_same_results_even_if_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    for n, (book, _) in enumerate(made_up(KL, 10)):
        book.cells.insert(2, nbformat.v4.new_code_cell(SLOW))
        hand_in(tmp_path / "in", f"student {n}", book)
    grade(tmp_path / "in", tmp_path / "here", seed=5)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        workers = [worker.pid for worker in cluster.workers.values()]
        process = start(tmp_path, tmp_path / "there", "--dask", cluster.scheduler_address, enough=2)
        assert recorded(tmp_path / "there") < 10
        os.kill(workers[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    for name in ("grades.csv", "totals.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_the_guide_lists_every_verdict_with_its_meaning():
    guide = (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8")
    table = re.search(r"\| verdict \| meaning \|\n\|---\|---\|\n(.*?)\n\n", guide, re.S)[1]
    assert table.splitlines() == [f"| `{kind}` | {kind.meaning} |" for kind in Kind]


def test_grades_are_out_of_date_when_any_module_or_exercise_changes(tmp_path):
    for name in ("tasks/deep/a.py", "a.py", "b.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        before = sources_digest([tmp_path])
        (tmp_path / name).write_text("1", encoding="utf-8")
        written = sources_digest([tmp_path])
        (tmp_path / name).write_text("2", encoding="utf-8")
        assert len({before, written, sources_digest([tmp_path])}) == 3


def test_both_packages_are_hidden_from_students_where_python_itself_is_visible(tmp_path, monkeypatch):
    given = {}
    outcome = marking.unmarked(COURSE[KL], "nothing was run")
    monkeypatch.setattr(grading, "mark", lambda *_, **named: given.update(named) or outcome)
    hand_in(tmp_path / "in", "ann", answered())
    grade(tmp_path / "in", tmp_path / "out")
    packages = [Path(package.__file__).parent.resolve() for package in (vae_course, vae_lessons)]
    assert set(packages) <= set(given["hidden"])
    monkeypatch.setattr(sys, "prefix", str(packages[0].parent))  # as if they were installed there
    command = Sandbox("bwrap", False).command(tmp_path, "/tmp", given["hidden"], 3)
    covered = {path for option, path in zip(command, command[1:], strict=False) if option == "--tmpfs"}
    assert set(map(str, packages)) <= covered


@pytest.mark.parametrize("shape", [(2, 30_000), (2, 1, 30_000), (2, 30_000, 1)])
def test_draws_of_a_wrong_shape_take_no_memory_of_the_marking_process(shape):
    """All pairs of coordinates would take gigabytes."""
    tracemalloc.start()
    fault_of_noise(np.random.default_rng(0).normal(size=shape))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


def test_descriptors_that_the_kernel_refuses_are_sent_again(worker, monkeypatch):
    """An earlier child may have left as many under way as one user may have."""
    send, tries = sandbox.socket.send_fds, []

    def refuse_twice(*arguments):
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.ETOOMANYREFS, "Too many references")
        return send(*arguments)

    monkeypatch.setattr(sandbox.socket, "send_fds", refuse_twice)
    assert run_cell(worker, "1 / 1") == (None, None)
    assert len(tries) == 3


def test_a_worker_that_sends_garbage_is_replaced(worker, monkeypatch):
    assert run_cell(worker, "1 / 1") == (None, None)
    monkeypatch.setattr(sandbox, "decode", lambda buffer, most: garbage() if most == 1 << 16 else decode(buffer, most))
    assert run_cell(worker, "1 / 1") == (None, None)  # the child had finished
    assert worker.process is None
    monkeypatch.undo()
    assert run_cell(worker, "1 / 1") == (None, None)


def garbage():
    raise ProtocolError
