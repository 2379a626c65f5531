"""Time the interactive figures in JupyterLab, from a key press on a slider to the new picture in Chromium.

python benchmarks/widgets.py             # all lessons, some minutes; or: python benchmarks/widgets.py 02 04
"""

import statistics
import sys
import tempfile
import timeit
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

# From the key press, as the browser sees it, until the browser has decoded the next picture: milliseconds
WAIT = """image => new Promise(done => {
    let pressed = null;
    addEventListener("keydown", () => { pressed ??= performance.now(); }, { capture: true, once: true });
    new MutationObserver((_, observer) => {
        observer.disconnect();
        image.decode().then(() => done(performance.now() - pressed));
    }).observe(image, { attributeFilter: ["src"] });
})"""


def latencies(figure, presses: int = 21) -> dict[str, list[float]]:
    """Milliseconds from key press to picture, for each slider of a figure; the first of the presses is not counted."""
    found = {}
    for name, handle in figure.handles.items():
        figure.press(name, "Home")
        figure.page.wait_for_timeout(500)
        found[name] = []
        for _ in range(presses):
            waiting = figure.image.evaluate_handle(f"image => ({{ done: ({WAIT})(image) }})")
            back = float(handle.get_attribute("aria-valuemax")) == float(handle.get_attribute("aria-valuenow"))
            figure.press(name, "Home" if back else "ArrowRight")
            found[name].append(waiting.evaluate("waiting => waiting.done"))
            figure.page.wait_for_timeout(50)
        del found[name][0]
    return found


def main(lessons: Annotated[list[str] | None, typer.Argument(help="Starts of names; all if none.")] = None) -> None:
    """Print a table: median and longest time for each figure and slider; and how fast the machine is now."""
    from lab import LESSONS, Lesson, chromium, server

    print("| lesson | slider | median, ms | longest, ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as lab, chromium() as browser:
        for name in [name for name in LESSONS if name.startswith(tuple(lessons or [""]))]:
            lesson = Lesson(lab, browser, name)
            for figure in lesson.figures:
                for slider, times in latencies(figure).items():
                    print(f"| {name[:2]} | {slider} | {statistics.median(times):.0f} | {max(times):.0f} |", flush=True)
            lesson.close()
    seconds = timeit.timeit("for i in range(5_000_000): x += i", "x = 0", number=1)
    print(f"\nThis machine, now: five million turns of a Python loop in {seconds:.2f} s.")


if __name__ == "__main__":
    typer.run(main)
