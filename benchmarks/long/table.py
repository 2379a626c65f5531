"""Runs a measurement with several seeds and stores its table for the lesson, which reads it by `data.long_run`.

A script in this folder defines `measure(seed, small)`, which returns rows (dictionaries of numbers and words) and ends
with `table.run(measure, __file__)`. With `small`, it measures the same in seconds, to test the script.
"""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "vae_lessons" / "long_runs"


def make(measure: Callable[[int, bool], list[dict]], name: str, seeds: int, small: bool = False) -> dict:
    """The table: how it was made, and a row for each thing measured, with its seed."""
    start, rows = time.perf_counter(), []
    for seed in range(seeds):
        rows += [{"seed": seed} | row for row in measure(seed, small)]
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
    about = {
        "command": f"python benchmarks/long/{name}.py --seeds {seeds}" + " --small" * small,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "threads": torch.get_num_threads(),
        "seeds": seeds,
        "seconds": round(time.perf_counter() - start),
    }
    return {"about": about, "rows": rows}


def run(measure: Callable[[int, bool], list[dict]], file: str) -> None:
    """The command line of a script: measure, and write the table."""
    name = Path(file).stem

    def main(
        seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... to run.")] = 5,
        small: Annotated[bool, typer.Option(help="Measure the same in miniature; needs --output.")] = False,
        output: Annotated[Path, typer.Option(help="Where to write the table.")] = TABLES / f"{name}.json",
    ) -> None:
        if small and output.parent == TABLES:
            raise typer.BadParameter("--small: name another file by --output, to keep the lesson's table")
        table = make(measure, name, seeds, small)
        lines = ",\n  ".join(json.dumps(row) for row in table["rows"])
        output.write_text(
            f'{{\n "about": {json.dumps(table["about"])},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8"
        )
        print(f"wrote {output}")

    typer.run(main)
