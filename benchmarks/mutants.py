"""Break each exercise's solution in one place, in every way that `tests/mutants.py` knows, and write how many pass.

python benchmarks/mutants.py          # writes benchmarks/mutants.md; two minutes
python benchmarks/mutants.py kl/      # prints the rows of these tasks, and the broken answers that pass
"""

import sys
from pathlib import Path

import torch
from tqdm.auto import tqdm

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from mutants import judged, row  # noqa: E402

from vae_course.tasks import POINTS  # noqa: E402

HEAD = """# Mutants

Each solution broken in one place, and how many of these broken answers fail their check with every one of three seeds.
Those that pass are equivalent to the solution. Made by `python benchmarks/mutants.py`, compared by a test.

| task | mutants | killed | equivalent, and why |
|---|---|---|---|
"""


def main(prefixes: list[str]) -> None:
    """Write the table, or print the rows of some tasks."""
    torch.set_num_threads(1)
    if not prefixes:
        found = {name: judged(name) for name in tqdm(POINTS, desc="tasks")}
        total, alive = (sum(count(passes) for passes in found.values()) for count in (len, lambda x: sum(x.values())))
        rows = [row(name, passes) for name, passes in found.items()]
        text = HEAD + "\n".join([*rows, f"| **all** | {total} | {total - alive} | {alive} |"]) + "\n"
        (ROOT / "benchmarks" / "mutants.md").write_text(text, encoding="utf-8")
        return
    for name in (name for name in POINTS if name.startswith(tuple(prefixes))):
        passes = judged(name)
        print(row(name, passes), *(f"    {mutant}" for mutant, passed in passes.items() if passed), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
