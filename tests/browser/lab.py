"""JupyterLab as `make lab` starts it, lessons opened there in Chromium, and their interactive figures."""

import base64
import importlib.util
import io
import json
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
LESSONS = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60  # seconds before a test gives up; not a speed limit


def load_course():
    """`course.py`, as a module."""
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    return course


def until(condition):
    """Wait until the condition holds: no assertion in it fails, and it returns None or something true."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            result = condition()
            assert result is None or result
            return
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def free_port():
    """A port that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def aborted(request):
    """Whether the browser itself cancelled a request, as for the icon of a page that was left."""
    return request.failure == "net::ERR_ABORTED"


class Server:
    """A running JupyterLab, with a copy of the lessons."""

    def __init__(self, folder, process, port, token):
        self.folder, self.process, self.port, self.token = folder, process, port, token

    def ask(self, path, method="GET"):
        """The answer of Jupyter's REST interface, or None if it does not answer."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/{path}", headers=headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read() or "{}")
        except OSError:
            return None

    def shut_kernels(self):
        """End every kernel."""
        for session in self.ask("sessions"):
            self.ask(f"sessions/{session['id']}", "DELETE")


@contextmanager
def server(folder: Path):
    """Run JupyterLab on copies of the lessons and exercises in a folder."""
    for name in ("notebooks", "exercises"):
        shutil.copytree(ROOT / name, folder / name)
    course, token, port = load_course(), secrets.token_hex(), free_port()
    command = [course.PYTHON, "-m", "vae_course.cli", "lab", str(folder), "--"]
    command += ["--no-browser", f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"]
    command += ["--LabApp.expose_app_in_browser=True"]  # to wait for the end of "Run All Cells"
    # Two servers of one user would write one workspace file, and one answers 500 when it reads what is half written
    own = {name: str(folder / name.lower()) for name in course.AT_HOME if name != "MPLCONFIGDIR"}
    with (folder / "lab.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, env=course.environment(OMP_NUM_THREADS="1", **own), cwd=folder, stdout=log, stderr=log
        )
    try:
        lab = Server(folder, process, port, token)
        until(lambda: lab.ask("status") is not None)
        yield lab
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium():
    """Run Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=load_course().chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


class Lesson:
    """A lesson in a page of JupyterLab, after "Run All Cells"."""

    def __init__(self, lab, browser, name):
        self.lab, self.name, self.complaints = lab, name, []
        self.page = browser.new_page(viewport={"width": 1300, "height": 1000})
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.on("console", lambda message: self._note(message.type, f"{message.text} ({message.location['url']})"))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on(
            "requestfailed",
            lambda request: aborted(request) or self._note("error", f"{request.url}: {request.failure}"),
        )
        self.page.goto(f"http://127.0.0.1:{lab.port}/lab/tree/notebooks/{name}.ipynb?token={lab.token}&reset")
        self.page.wait_for_selector(".jp-Notebook")
        self.page.wait_for_selector("text=Python 3 (ipykernel) | Idle")
        self.page.set_default_timeout(600_000)
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.set_default_timeout(1000 * PATIENCE)
        boxes = self.page.locator(".widget-vbox:has(.course-words)")
        self.figures = [Figure(self.page, boxes.nth(i)) for i in range(boxes.count())]

    def _note(self, kind, text):
        if kind == "error":
            self.complaints.append(text)

    def saved(self):
        """The notebook, saved as it is now."""
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.lab.folder / "notebooks" / f"{self.name}.ipynb", as_version=4)

    def close(self):
        """Close the page and end the kernel."""
        self.page.close()
        self.lab.shut_kernels()


# The state of a figure: values and sentence are read before the picture is fetched
SHOWN = """async box => {
    const values = {}, image = box.querySelector("img.widget-image");
    for (const slider of box.querySelectorAll("[role=slider]"))
        values[slider.getAttribute("aria-label")] = Number(slider.getAttribute("aria-valuetext").replace("−", "-"));
    for (const group of box.querySelectorAll("[role=group]"))
        values[group.getAttribute("aria-label")] = group.querySelector("[aria-pressed=true]").textContent;
    const sentence = box.querySelector(".course-words p").textContent;
    const canvas = box.querySelector("canvas"), sheet = [];  // for drawing: the centre of each of its 28 x 28 squares
    for (let k = 0; canvas && k < 784; k++) {
        const middle = (i) => Math.floor((i + 0.5) * canvas.width / 28);
        const [x, y] = [middle(k % 28), middle(Math.floor(k / 28))];
        sheet.push(canvas.getContext("2d").getImageData(x, y, 1, 1).data[0] > 127);
    }
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    const png = btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
    return { values, sentence, png, sheet };
}"""


class Shown:
    """The state of a figure: its controls' values by label, its sentence, its picture, and its drawing sheet,
    (28, 28), if it has one.

    Args:
        state: the result of SHOWN.
        seen: notes on the same figure, kept from one state to the next.
    """

    def __init__(self, state, seen):
        self.values, self.sentence, self.png = state["values"], state["sentence"], base64.b64decode(state["png"])
        self.numbers = [float(text) for text in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", self.sentence)]
        self.sheet, self.seen = np.reshape(state["sheet"], (-1, 28)), seen

    def pixels(self):
        """The picture, (height, width, 3), from 0 to 255."""
        return np.asarray(Image.open(io.BytesIO(self.png)).convert("RGB")).astype(int)


class Figure:
    """An interactive figure: sliders and buttons, a picture, and a sentence of numbers."""

    def __init__(self, page, box):
        self.page, self.box, self.image, self.seen = page, box, box.locator("img.widget-image"), {}
        box.scroll_into_view_if_needed()
        self.handles = {handle.get_attribute("aria-label"): handle for handle in box.get_by_role("slider").all()}

    def shown(self):
        """Its present state."""
        return Shown(self.box.evaluate(SHOWN), self.seen)

    def value(self, name):
        """A slider's value."""
        return self.shown().values[name]

    def png(self):
        """The picture's bytes."""
        return self.shown().png

    def still(self):
        """The picture's bytes, once they no longer change."""
        last = self.png()
        while True:
            self.page.wait_for_timeout(600)
            if last == (last := self.png()):
                return last

    def press(self, name, *keys):
        """Focus a slider and press keys in quick succession."""
        self.handles[name].focus()
        for key in keys:
            self.page.keyboard.press(key)

    def drag(self, name, part, steps=40):
        """Drag a slider's handle to a fraction (0 to 1) of its track, in many small steps, and release it."""
        self.handles[name].scroll_into_view_if_needed()
        box = self.handles[name].bounding_box()
        track = self.handles[name].locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + part * track["width"], box["y"] + box["height"] / 2, steps=steps)
        self.page.mouse.up()
