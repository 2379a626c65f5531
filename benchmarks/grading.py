"""Time `vae-lessons grade` against `nbgrader autograde` on the same files, then on a whole class; print tables.

    python benchmarks/grading.py              # 100 submissions of one exercise, marked by both; then a class of 200

Submissions are a made-up mix of right, wrong and unfinished answers. Memory is that of the command and all its
children, with shared pages counted once (PSS), sampled twice a second. --students 0 skips the class.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from handed_in import KL, hand_in, made_up  # noqa: E402

from vae_course.tasks import EXERCISES  # noqa: E402

LAYOUT = "{name}/{name}.ipynb"  # nbgrader's: submitted/STUDENT/EXERCISE/EXERCISE.ipynb


def measured(command: list, folder: Path) -> tuple[float, float]:
    """Seconds that a command takes, and its peak memory in GiB with all its children."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}
    started, peak = time.perf_counter(), 0
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = psutil.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, sum(map(memory, [process, *children(process)])))
            time.sleep(0.5)
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 4):
        raise SystemExit(f"{command} failed:\n{(folder / 'log').read_text(encoding='utf-8')[-2000:]}")
    return seconds, peak / 2**30


def children(process: psutil.Process) -> list[psutil.Process]:
    """All descendants of a process."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def memory(process: psutil.Process) -> int:
    """Bytes of a process (PSS); shared pages are divided among the processes."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def grade(folder: Path) -> tuple[float, float, dict]:
    """Mark `submitted/` with this project: seconds, GiB and the report."""
    command = [sys.executable, "-m", "vae_course.cli", "grade", folder / "submitted", "--out", folder / "results"]
    seconds, peak = measured([*command, "--root", ROOT], folder)
    return seconds, peak, json.loads((folder / "results" / "report.json").read_text(encoding="utf-8"))


def against_nbgrader(name: str, n: int) -> None:
    """Mark n submissions of one exercise with both."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for student, (book, _) in enumerate(made_up(name, n)):
            hand_in(folder / "submitted", f"student-{student:03}", book, name=LAYOUT.format(name=name))
        (folder / "source" / name).mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / f"{name}.ipynb", folder / "source" / name)
        measured([sys.executable, "-m", "nbgrader", "generate_assignment", name], folder)
        ours = grade(folder)
        theirs = measured([sys.executable, "-m", "nbgrader", "autograde", name], folder)
    print(f"| {n} submissions of {name} | seconds | submissions a second | peak memory, GiB |")
    print("|---|---|---|---|")
    for label, (seconds, peak, *_) in (("`nbgrader autograde`", theirs), ("`vae-lessons grade`", ours)):
        print(f"| {label} | {seconds:.1f} | {n / seconds:.2f} | {peak:.2f} |")
    print(f"\n{theirs[0] / ours[0]:.1f} times the throughput.\n", flush=True)


def whole_class(students: int) -> None:
    """Mark all exercises of a class in one run."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for exercise in tqdm(EXERCISES, desc="writing submissions"):
            for student, (book, _) in enumerate(made_up(exercise, students)):
                hand_in(folder / "submitted", f"student-{student:03}", book, exercise)
        seconds, peak, report = grade(folder)
    n = report["marked"]
    print(f"| {students} students, {len(EXERCISES)} exercises each | |\n|---|---|")
    print(f"| submissions | {n} |\n| seconds | {seconds:.0f} |\n| submissions a second | {n / seconds:.1f} |")
    print(f"| peak memory, GiB | {peak:.2f} |\n| verdicts | {json.dumps(report['verdicts'])[1:-1]} |", flush=True)


def main(
    submissions: Annotated[int, typer.Option(help="Submissions in the comparison with nbgrader; 0 skips it.")] = 100,
    exercise: Annotated[str, typer.Option(help="The exercise to compare on.")] = KL,
    students: Annotated[int, typer.Option(help="Students in the class; 0 skips it.")] = 200,
) -> None:
    """Run the benchmark and print its results."""
    if submissions:
        against_nbgrader(exercise, submissions)
    if students:
        whole_class(students)


if __name__ == "__main__":
    typer.run(main)
