"""Time the course's training loop against others, and against matrix products and Adam alone; write a table and JSON.

    python benchmarks/run.py                 # all, in some minutes; writes benchmarks/results.md and results.json

Each contender (see contenders.py) runs in a separate process, so that its peak memory can be measured.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import tqdm

HERE = Path(__file__).parent
CONTENDERS = ("course", "course_fast", "copied", "pythae")
LABELS = {
    "course": "`training.fit`, batch 128, learning rate 1e-3",
    "course_fast": "`training.fit`, own schedule",
    "copied": "the loop most people copy",
    "pythae": "pythae 0.1.2",
}
IMPORTS = {
    "torch": "import torch",
    "vae_lessons": "import vae_lessons",
    "all for training": "from vae_lessons import data, distributions, latents, models, training",
}


def contend(name: str) -> dict:
    """Run one contender in this process and return its results by epoch."""
    sys.path.insert(0, str(HERE))
    import contenders

    from vae_lessons import data

    (x, _), (x_held, _) = data.fashion_mnist()
    x, x_held = contenders.binarised(x, seed=1), contenders.binarised(x_held, seed=2)
    floor, options = [], {}
    if name == "course":
        options["after_epoch"] = lambda: floor.extend(contenders.floor(x, 1))
    ends, elbos = zip(*getattr(contenders, name)(x, x_held, **options), strict=True)
    seconds = [end - start for start, end in zip((0, *ends), ends, strict=False)]
    return {"seconds": seconds, "elbo": list(elbos), "peak_gib": _peak_gib(), "floor": floor}


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def imports(repeats: int = 11) -> dict[str, float]:
    """Median seconds for each import in a new Python process, measured in turn."""
    seconds = {name: [] for name in IMPORTS}
    program = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
    for _ in range(repeats):
        for name, statement in IMPORTS.items():
            out = subprocess.run([sys.executable, "-c", program.format(statement)], capture_output=True, check=True)
            seconds[name].append(float(out.stdout))
    return {name: statistics.median(values) for name, values in seconds.items()}


def to_target(result: dict, target: float) -> float | None:
    """Seconds of training until the held-out ELBO is first at or above the target; None if never."""
    total = 0.0
    for seconds, elbo in zip(result["seconds"], result["elbo"], strict=True):
        total += seconds
        if elbo >= target:
            return total
    return None


def table(results: dict, imported: dict[str, float]) -> str:
    """The results as Markdown."""
    floor = statistics.median(results["course"]["floor"])
    target = results["copied"]["elbo"][-1]
    lines = [
        "| contender | seconds per epoch (median) | part of the floor's speed | peak memory, GiB "
        "| held-out ELBO, nats (after epochs) | seconds to the copied loop's ELBO |",
        "|---|---|---|---|---|---|",
        f"| matrix products and Adam's step (the floor) | {floor:.2f} | 100% | | | |",
    ]
    for name, result in results.items():
        seconds, time = statistics.median(result["seconds"]), to_target(result, target)
        part = f"{floor / seconds:.0%}"
        if result.get("floor"):  # the floor was measured in turn with it: a ratio for each pair
            part = f"{statistics.median(f / s for f, s in zip(result['floor'], result['seconds'], strict=True)):.0%}"
        epochs = len(result["elbo"])
        reached = f"not in {epochs} epochs" if time is None else f"{time:.1f}"
        elbo = f"{result['elbo'][-1]:.2f} ({epochs})"
        lines.append(f"| {LABELS[name]} | {seconds:.2f} | {part} | {result['peak_gib']:.2f} | {elbo} | {reached} |")
    lines += ["", "| import | seconds (median of 11) |", "|---|---|"]
    lines += [f"| `{IMPORTS[name]}` | {seconds:.3f} |" for name, seconds in imported.items()]
    return "\n".join(lines) + "\n"


def machine() -> dict:
    """The machine on which the results were measured."""
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main(
    one: Annotated[str | None, typer.Option(help="Run only this contender, in this process, and print JSON.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for results.md and results.json.")] = HERE,
) -> None:
    """Run the benchmark and write its results."""
    if one is not None:
        if one not in CONTENDERS:
            raise typer.BadParameter(f"expected one of {', '.join(CONTENDERS)}, got {one!r}", param_hint="--one")
        print("RESULT " + json.dumps(contend(one)))
        return
    results = {}
    for name in tqdm(CONTENDERS, unit="contender"):
        run = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, encoding="utf-8")
        lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
        if not lines:
            typer.echo(f"{name} failed:\n{run.stderr[-2000:]}", err=True)
            raise typer.Exit(1)
        results[name] = json.loads(lines[0].removeprefix("RESULT "))
    imported = imports()
    text = table(results, imported)
    (out / "results.md").write_text(text, encoding="utf-8")
    (out / "results.json").write_text(
        json.dumps({"machine": machine(), "results": results, "imports": imported}, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    typer.run(main)
