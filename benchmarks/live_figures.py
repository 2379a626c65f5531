"""Time the live figures in Chromium, from a key press to the next frame on the screen, and give their sizes.

    python benchmarks/live_figures.py       # a minute

For each figure a slider or dot is moved 60 times. "script" is how long the page's script takes. "frame" is the time
from the key press until the browser has painted the next frame; there are 60 frames a second.
"""

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
CONTROLS = {  # by figure: what receives the keys
    "machine": ".live-line",
    "planes": ".live-side input",
    "face": ".live-latents input",
    "ellipse": "input",
    "pull": "input",
    "chord": "input",
    "gap": "input",
    "losses": "input",
}
TIMES = """async control => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => {  // after the frame's paint
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => done(performance.now());
        port2.postMessage(0);
    }));
    const times = [];
    control.focus();
    for (let k = 0; k < 61; k++) {
        await new Promise((done) => setTimeout(done, 40 + 16 * Math.random()));
        const start = performance.now();
        if (control.matches("input")) {
            if (Number(control.value) >= Number(control.max)) control.value = control.min;
            control.stepUp();
            control.dispatchEvent(new Event("input", { bubbles: true }));
        } else {
            const key = k % 2 ? "ArrowLeft" : "ArrowRight";
            control.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        }
        const script = performance.now() - start;
        times.push([script, (await frame()) - start]);
    }
    return times.slice(1);
}"""


def main() -> None:
    """Print a table of medians."""
    from lab import chromium
    from test_site import build

    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        pages = Path(folder, "pages")
        (pages / "docs").mkdir(parents=True)
        figures = "\n\n".join(f'<div class="live live-{name}"></div>' for name in CONTROLS)
        (pages / "docs" / "index.md").write_text(f"# Figures\n\n{figures}\n", encoding="utf-8")
        site = build(pages, Path(folder, "build"))
        page = browser.new_page()
        page.goto(f"{site.as_uri()}/docs/index.html")
        print("figure     script  frame (ms, medians)")
        for k, (name, control) in enumerate(CONTROLS.items()):
            page.locator(".live").nth(k).scroll_into_view_if_needed()
            page.wait_for_selector(f".live-body.live-{name}")
            times = page.locator(f".live-body.live-{name} {control}").first.evaluate(TIMES)
            script, frame = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{name:10} {script:6.1f} {frame:6.1f}")
        for path in [*sorted((site / "_static").glob("weights_*.js")), site / "_static" / "live.js"]:
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
