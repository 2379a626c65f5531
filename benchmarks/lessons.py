"""Time every lesson from a fresh kernel, with its peak memory; print a Markdown table.

python benchmarks/lessons.py
"""

import time
from pathlib import Path

import nbformat

from vae_lessons.build import execute, read_source

ROOT = Path(__file__).parents[1]
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"  # KiB on Linux


def row(source: Path) -> str:
    """One lesson's line of the table."""
    notebook = read_source(source)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    compared = sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in cells)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    start = time.perf_counter()
    execute(notebook, ROOT / "notebooks", source.name)
    seconds = time.perf_counter() - start
    peak = int(notebook.cells[-1].outputs[0].text) / 2**20
    return f"| {source.stem[:2]} | {seconds:.0f} | {peak:.2f} | {len(cells)} | {compared / len(cells):.0%} |"


if __name__ == "__main__":
    for source in sorted((ROOT / "sources" / "lessons").glob("*.py")):
        print(row(source), flush=True)
