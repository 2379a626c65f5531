"""Time every lesson and solution in a new kernel, with its peak memory; print the rows of README.md's table.

python benchmarks/lessons.py
"""

import time
from pathlib import Path

import nbformat

from vae_course.build import execute, wanted

ROOT = Path(__file__).parents[1]
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"  # KiB on Linux


def row(source: Path) -> str:
    """The table row of one notebook."""
    [path, notebook] = next(iter(wanted(source, ROOT).items()))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    compared = sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in cells)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    start = time.perf_counter()
    execute(notebook, path.parent, source.name)
    seconds = time.perf_counter() - start
    peak = int(notebook.cells[-1].outputs[0].text) / 2**20
    return f"| {source.stem} | {seconds:.0f} | {peak:.2f} | {len(cells)} | {compared / len(cells):.0%} |"


if __name__ == "__main__":
    for folder in ("lessons", "exercises"):
        for source in sorted((ROOT / "sources" / folder).glob("*.py")):
            print(row(source), flush=True)
