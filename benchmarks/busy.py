"""Measure how much busy programs slow the course down; print a Markdown table.

    python benchmarks/busy.py              # alone, and beside two busy programs
    python benchmarks/busy.py --busy 8

torch's threads (OpenMP, libgomp on Linux) wait for each other in a busy loop. With more threads than cores, a waiting
thread takes processor time from those it waits for. Each row is one way of waiting.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
LESSON = """
from pathlib import Path
from vae_course import build
notebook = build.read_source(Path("sources/lessons/01_autoencoder.py"))
started = time.perf_counter()
build.execute(notebook, Path("notebooks"), "01", cell_timeout=1800)
"""
FACES = """
from vae_lessons import data
data.faces(100)
started = time.perf_counter()
data.faces(6000, seed=1)
"""
STEPS = """
from vae_lessons.models import VAE
from vae_lessons.training import fit
import torch
x = (torch.rand(128 * 100, 784) > 0.5).float()
vae = VAE(784, 20, hidden=(400,))
loss = lambda x: {"loss": -vae.elbo(x)[0].mean()}
fit(vae, loss, x[:1280], epochs=1, progress=False)
started = time.perf_counter()
fit(vae, loss, x, epochs=3, progress=False)
"""
BUSY_LOOP = "import os\nstarted_by = os.getppid()\nwhile os.getppid() == started_by: pass"  # ends with this process
WORK = {"`data.faces(6000)`": FACES, "300 training steps": STEPS, "lesson 01, whole": LESSON}
WAYS = {
    "libgomp's own": {"GOMP_SPINCOUNT": "300000"},  # its default
    "the course's": {},
    "asleep at once": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


@contextmanager
def busy(programs: int):
    """Run so many busy programs in the background."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) for _ in range(programs)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def seconds(program: str, variables: dict[str, str]) -> float:
    """How long the part of a program after `started = ...` takes, in a new process."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names} | variables
    command = [sys.executable, "-c", f"import time\n{program}\nprint('seconds', time.perf_counter() - started)"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return float(done.stdout.split("seconds ")[-1])


def main(
    programs: Annotated[int, typer.Option("--busy", help="Number of busy programs.")] = 2,
    repeats: Annotated[int, typer.Option(help="Runs for each median; whole lessons run once.")] = 5,
    ways: Annotated[list[str] | None, typer.Option("--way", help="Only these rows.")] = None,
    lesson: Annotated[bool, typer.Option(help="Also run lesson 01 (minutes).")] = True,
) -> None:
    """Run the benchmark and print the table."""
    print(f"| work | how threads wait | alone, s | beside {programs}, s | times as slow |\n|---|---|---|---|---|")
    for work, program in WORK.items():
        if program is LESSON and not lesson:
            continue
        for way, variables in WAYS.items():
            if ways and way not in ways:
                continue
            count = min(repeats, 1) if program is LESSON else repeats
            alone = sorted(seconds(program, variables) for _ in range(count))[count // 2]
            with busy(programs):
                beside = sorted(seconds(program, variables) for _ in range(count))[count // 2]
            print(f"| {work} | {way} | {alone:.2f} | {beside:.2f} | {beside / alone:.1f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
