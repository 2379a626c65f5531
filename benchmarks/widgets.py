"""Time the interactive figures in JupyterLab, from a key press on a slider to the new picture in Chromium.

Nothing is attached to the browser meanwhile: what drives it would take a part of the processor, for each message.

python benchmarks/widgets.py             # all lessons, some minutes; or: python benchmarks/widgets.py 02 04
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

# For each figure and slider, milliseconds from key press until the browser has decoded the next picture; the first
# press is not counted. The page's title says when it is done.
LATENCIES = """presses => {
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const value = (handle, name) => Number(handle.getAttribute(name));
    function press(handle, key) {
        handle.focus();
        handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    }
    function timed(image, action) {
        return new Promise((done) => {
            const start = performance.now();
            new MutationObserver(async (_, observer) => {
                observer.disconnect();
                await image.decode();
                done(performance.now() - start);
            }).observe(image, { attributeFilter: ["src"] });
            action();
        });
    }
    async function all() {
        const found = [];
        for (const box of document.querySelectorAll(".widget-vbox:has(.course-words)")) {
            box.scrollIntoView({ block: "center" });
            const image = box.querySelector("img.widget-image");
            for (const handle of box.querySelectorAll("[role=slider]")) {
                press(handle, "Home");
                await pause(1000);
                const times = [];
                for (let k = 0; k < presses; k++) {
                    const last = value(handle, "aria-valuenow") === value(handle, "aria-valuemax");
                    times.push(await timed(image, () => press(handle, last ? "Home" : "ArrowRight")));
                    await pause(100);
                }
                found.push([handle.getAttribute("aria-label"), times.slice(1)]);
            }
        }
        return found;
    }
    setTimeout(async () => {
        window.latencies = await all().catch(String);
        document.title = "timed";
    }, 5000);
}"""


@contextmanager
def chromium(folder: Path):
    """Start Chromium; gives the address at which one attaches to it."""
    from lab import ARGUMENTS, load_course, until

    command = [load_course().chromium(), *ARGUMENTS, "--remote-debugging-port=0", f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        [*command, "--window-size=1300,1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until((folder / "DevToolsActivePort").exists)
        yield f"http://127.0.0.1:{(folder / 'DevToolsActivePort').read_text(encoding='utf-8').split()[0]}"
    finally:
        process.terminate()
        process.wait()


def latencies(playwright, address, lab, name, presses: int = 21) -> list[tuple[str, list[float]]]:
    """Each slider of a lesson and its milliseconds."""
    from lab import Lesson

    browser = playwright.chromium.connect_over_cdp(address)
    context = browser.contexts[0]
    Lesson(lab, SimpleNamespace(new_page=lambda viewport: context.new_page()), name).page.evaluate(LATENCIES, presses)
    browser.close()  # detaches; the page stays
    while not any(page["title"] == "timed" for page in json.load(urllib.request.urlopen(f"{address}/json/list"))):
        time.sleep(1)
    browser = playwright.chromium.connect_over_cdp(address)
    [page] = [page for page in browser.contexts[0].pages if page.title() == "timed"]
    found = page.evaluate("window.latencies")
    page.close()
    browser.close()
    lab.shut_kernels()
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


def main(lessons: Annotated[list[str] | None, typer.Argument(help="Starts of names; all if none.")] = None) -> None:
    """Print a table: median and longest time for each figure and slider; and how fast the machine is now."""
    from lab import LESSONS, server
    from playwright.sync_api import sync_playwright

    print("| lesson | slider | median, ms | longest, ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        places = Path(folder, "course"), Path(folder, "chromium")
        with server(places[0]) as lab, chromium(places[1]) as address, sync_playwright() as playwright:
            for name in [name for name in LESSONS if name.startswith(tuple(lessons or [""]))]:
                for slider, times in latencies(playwright, address, lab, name):
                    print(f"| {name[:2]} | {slider} | {statistics.median(times):.0f} | {max(times):.0f} |", flush=True)
    seconds = timeit.timeit("for i in range(5_000_000): x += i", "x = 0", number=1)
    print(f"\nThis machine, now: five million turns of a Python loop in {seconds:.2f} s.")


if __name__ == "__main__":
    typer.run(main)
