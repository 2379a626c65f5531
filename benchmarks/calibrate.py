"""Check a lesson's claims with several seeds, and print what it measured with each.

    python benchmarks/calibrate.py 01 --seeds 5

The margins of a lesson's `assert`s are chosen so that this passes. The lesson must contain a line `SEED = 0`.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from vae_course.build import BuildError, execute, read_source

ROOT = Path(__file__).parents[1]


def with_seed(source: Path, seed: int):
    """The lesson's notebook, not run yet, with another seed."""
    notebook = read_source(source)
    changed = 0
    for cell in notebook.cells:
        cell.source, n = re.subn(r"^SEED = 0\b", f"SEED = {seed}", cell.source, flags=re.M)
        changed += n
    if changed != 1:
        raise typer.BadParameter(f"{source.name}: expected one line `SEED = 0`, found {changed}")
    return notebook


def measured(notebook) -> str:
    """The printed output of cells that nbval does not compare, without progress bars."""
    cells = [c for c in notebook.cells if "nbval-ignore-output" in c.metadata.get("tags", [])]
    printed = "".join(o.text for c in cells for o in c.get("outputs", []) if o.output_type == "stream")
    return "\n".join(line for line in printed.splitlines() if line.strip() and "step/s" not in line)


def main(
    names: Annotated[list[str], typer.Argument(help="Numbers of lessons, such as 01.")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ... to try.")] = 5,
) -> None:
    """Run lessons with several seeds; exit 1 if a claim fails with any."""
    failed = 0
    for source in sorted((ROOT / "sources" / "lessons").glob("*.py")):
        for seed in range(seeds) if source.stem[:2] in names else []:
            notebook = with_seed(source, seed)
            try:
                execute(notebook, ROOT / "notebooks", source.name)
                verdict = "every claim holds"
            except BuildError as error:
                verdict, failed = f"FAILED\n{error}", failed + 1
            print(f"=== {source.stem}, seed {seed}: {verdict}\n{measured(notebook)}\n", flush=True)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
