"""The site, built from the stored notebooks and opened in Chromium with all other hosts blocked."""

import base64
import functools
import http.server
import io
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from lab import aborted
from PIL import Image

from vae_lessons.widgets import frames

ROOT = Path(__file__).parents[2]
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
EXERCISES = sorted(path.stem for path in (ROOT / "exercises").glob("*.ipynb"))
PHONE = {"width": 390, "height": 800}
DESKTOP = {"width": 1280, "height": 900}


# Building and serving


def build(source, target):
    """Build the site; warnings are errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", str(ROOT / "docs")]
    command += ["-d", str(target / "doctrees"), str(source), str(target / "site")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return target / "site"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serve():
    """A function that serves a folder and returns its address."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The whole site."""
    return build(ROOT, tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="session")
def address(site, serve):
    return serve(site)


def picture(shade):
    png = io.BytesIO()
    Image.new("L", (600, 300), shade).save(png, "png")
    return base64.b64encode(png.getvalue()).decode()


def figure(alt, shade, **more):
    data = {"image/png": picture(shade), "text/plain": "Figure, described below"}
    return nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": alt}, **more})


def details(words):
    return nbformat.v4.new_output("display_data", {"text/html": f"<details><summary>Words</summary>{words}</details>"})


WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}}
TABLE = "| what | formula |\n|---|---|\n| size | $\\|x\\| + 1$ |"
QUESTION = "Is exp(a_b) * c larger, or <b>smaller</b>?"


def tiny_notebook(described_one_by_one):
    """Two interactive figures in one cell, with three and two frames; a prediction; a figure with its stills in one
    picture; a figure whose output contains its stills.
    """
    words = "Interactive figure, with controls for a."
    shown = [nbformat.v4.new_output("display_data", {**WIDGET, "text/plain": words})]
    for n, first in ((3, 50), (2, 200)):
        for k in range(n):
            about = {"frame": k, "frames": n, "label": f"rho = {k}.5, of {n}"}
            shown.append(figure(f"What frame {k} of {n} shows", first + k, vae_lessons=about))
            if described_one_by_one:
                shown.append(details(f"description {k} of {n}"))
        if not described_one_by_one:
            shown.append(details(f"description of all {n}"))
    prediction, sheet = (
        nbformat.v4.new_output("display_data", {**WIDGET, "text/plain": text})
        for text in (f"Your prediction. {QUESTION}\n  ( ) *larger*, (2)\n  ( ) smaller", f"{words} Stills of it below.")
    )
    stills = [{"label": f"mu = {k}", "sentence": f"The mean is {k}.", "png": picture(90 + k)} for k in range(4)]
    with_stills = figure("How the mean moves", 99, vae_lessons={"stills": stills})
    with_stills.data |= {**WIDGET, "text/plain": f"{words} As stills"}
    outputs = (
        shown,
        [prediction],
        [sheet, figure("The sheet's words", 9)],
        [with_stills, details("How the mean moves")],
    )
    cells = [nbformat.v4.new_markdown_cell("# Tiny\n\n[Exercise](../work/tiny.ipynb), $x^2$\n\n" + TABLE)]
    cells += [nbformat.v4.new_code_cell("1", execution_count=1, outputs=group) for group in outputs]
    state = {"application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2, "version_minor": 0}}
    about = {"language_info": {"name": "python"}, "widgets": state}
    return nbformat.v4.new_notebook(cells=cells, metadata=about)


@pytest.fixture(scope="session", params=[False, True], ids=["described together", "described one by one"])
def tiny(request, tmp_path_factory):
    """A site of one small notebook."""
    folder = tmp_path_factory.mktemp("tiny")
    for name in ("docs", "notebooks", "exercises"):
        (folder / name).mkdir()
    links = "```{toctree}\n../notebooks/tiny\n../exercises/tiny\n```\n"
    (folder / "docs" / "index.md").write_text("# Index\n\n" + links, encoding="utf-8")
    nbformat.write(tiny_notebook(request.param), folder / "notebooks" / "tiny.ipynb")
    exercise = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# The exercise")])
    nbformat.write(exercise, folder / "exercises" / "tiny.ipynb")
    return build(folder, folder / "build"), request.param


def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def pages(site):
    """The site's pages, relative to its folder."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html") if "_static" not in path.parts)


# What the files say


def test_every_lesson_and_exercise_is_listed_in_order(site):
    for folder, names in (("notebooks", LESSONS), ("exercises", EXERCISES)):
        links = [link["href"] for link in soup(site / folder / f"{names[0]}.html").select(".bd-docs-nav a[href]")]
        shown = [Path(urlparse(link).path).stem for link in links]
        assert [names[0] if link == "#" else name for link, name in zip(links, shown, strict=True)] == names


def test_no_link_is_broken(site):
    ids = {page: {tag["id"] for tag in soup(site / page).select("[id]")} for page in pages(site)}
    broken = []
    for page in ids:
        for link in soup(site / page).select("a[href], link[href], script[src], img[src]"):
            url = link.get("href") or link["src"]
            if urlparse(url).scheme or url in ("#", ""):
                continue
            path, anchor = urldefrag(urljoin(page, url))
            path = unquote(urlparse(path).path)
            if not (site / path).exists() or (anchor and unquote(anchor) not in ids.get(path, ())):
                broken.append(f"{page}: {url}")
    assert not broken


def test_nothing_is_loaded_from_another_host(site):
    remote = []
    for page in pages(site):
        for tag in soup(site / page).select("link[href], script[src], img[src], iframe[src], source[src]"):
            url = tag.get("href") or tag["src"]
            if urlparse(url).netloc:
                remote.append(f"{page}: {url}")
    assert not remote


def test_no_widget_is_left(site, tiny):
    for folder in (site, tiny[0]):
        for page in pages(folder):
            text = (folder / page).read_text(encoding="utf-8")
            assert not re.search(r"vnd\.jupyter\.widget|require(\.min)?\.js|html-manager", text), page


@pytest.mark.parametrize("name", LESSONS)
def test_figures_have_the_words_stored_with_them(site, name):
    outputs = [
        part
        for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
        for output in cell.get("outputs", [])
        for part in frames(output) or [output]
        if "image/png" in part.get("data", {})
    ]
    shown = [image["alt"] for image in soup(site / "notebooks" / f"{name}.html").select(".cell_output img")]
    assert shown == [" ".join(part["metadata"]["image/png"]["alt"].split()) for part in outputs]


@pytest.mark.parametrize("name", EXERCISES)
def test_exercises_have_no_answers(site, name):
    text = soup(site / "exercises" / f"{name}.html").get_text()
    assert "raise NotImplementedError" in text
    assert "BEGIN SOLUTION" not in text
    solved = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4)
    released = nbformat.read(ROOT / "exercises" / f"{name}.ipynb", as_version=4)
    given = "\n".join(cell.source for cell in released.cells)
    lines = {
        line.strip() for cell in solved.cells if "BEGIN SOLUTION" in cell.source for line in cell.source.split("\n")
    }
    answers = {line for line in lines if len(line) > 20 and line not in given and "SOLUTION" not in line}
    assert answers
    assert not [line for line in answers if line in text]


def test_solutions_are_not_published(site):
    assert not [path for path in site.rglob("*") if "solutions" in path.parts or path.suffix == ".ipynb"]


def test_without_scripts_frames_follow_each_other(tiny):
    folder, described_one_by_one = tiny
    page = soup(folder / "notebooks" / "tiny.html")
    groups = page.select(".frames")
    assert [len(group.select(".frame")) for group in groups] == [3, 2, 4]
    for group, n in zip(groups[:2], (3, 2), strict=True):
        for k, frame in enumerate(group.select(".frame")):
            assert frame.img["alt"] == f"What frame {k} of {n} shows"
            assert frame.select_one(".caption-text").get_text() == f"rho = {k}.5, of {n}"
            descriptions = [words.get_text() for words in frame.select("details")]
            assert descriptions == ([f"Wordsdescription {k} of {n}"] if described_one_by_one else [])
    for k, frame in enumerate(groups[2].select(".frame")):
        assert frame.img["alt"] == f"mu = {k}: The mean is {k}."
        assert frame.select_one(".caption-text").get_text() == f"mu = {k}"
        assert frame.select_one(".legend").get_text(strip=True) == f"The mean is {k}."
    assert not page.select(".frame details") or described_one_by_one
    assert len(page.select("details")) == (5 if described_one_by_one else 2) + 1
    assert page.get_text().count("Interactive figure, with controls for a.") == 1  # the figure without frames


def test_predictions_are_questions_with_choices(tiny):
    prediction = soup(tiny[0] / "notebooks" / "tiny.html").select_one(".tag_prediction .cell_output")
    assert prediction.p.get_text() == f"Your prediction. {QUESTION}"
    assert prediction.p.strong.get_text() == "Your prediction."
    assert [choice.get_text(strip=True) for choice in prediction.select("li")] == ["*larger*, (2)", "smaller"]


def test_links_to_students_copies_lead_to_exercises(tiny):
    links = soup(tiny[0] / "notebooks" / "tiny.html").select(".bd-article a.reference")
    assert links[0]["href"] == "../exercises/tiny.html"


def test_bars_in_a_table_are_kept(tiny):
    assert soup(tiny[0] / "notebooks" / "tiny.html").select_one("td .math").get_text() == r"\(\Vert x\Vert  + 1\)"


# What a browser shows


def opened(browser, address, troubles, **options):
    """A new page that can reach only this address; problems are added to `troubles`."""
    context = browser.new_context(viewport=options.pop("viewport", DESKTOP), **options)
    page = context.new_page()

    def guard(route):
        if route.request.url.startswith((address, "data:")):
            return route.continue_()
        troubles.append(f"{page.url}: asked for {route.request.url}")
        return route.abort()

    context.route("**/*", guard)
    page.on("console", lambda line: line.type in ("error", "warning") and troubles.append(f"{page.url}: {line.text}"))
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    page.on(
        "requestfailed",
        lambda request: aborted(request) or troubles.append(f"{page.url}: no answer to {request.url}"),
    )
    page.on(
        "response", lambda reply: reply.status >= 400 and troubles.append(f"{page.url}: {reply.status} {reply.url}")
    )
    return page


def settle(page):
    """Wait until all formulas are typeset and all pictures are loaded."""
    page.wait_for_load_state("load")
    page.wait_for_function("() => !window.MathJax || (MathJax.startup && MathJax.startup.promise)")
    page.evaluate("() => window.MathJax && MathJax.startup.promise")
    page.evaluate(
        "() => Promise.all([...document.images].map((i) => { i.loading = 'eager'; return i.decode().catch(() => 0); }))"
    )


def not_rendered(page):
    """Pictures that did not load, and formulas that were not typeset."""
    return page.evaluate(
        """() => [
          ...[...document.images].filter((i) => !i.naturalWidth).map((i) => 'picture ' + i.src),
          ...[...document.querySelectorAll('.math')].filter((m) => !m.querySelector('mjx-container'))
             .map((m) => 'formula ' + m.textContent),
          ...[...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map((m) => 'error in ' + m.textContent),
        ]"""
    )


def too_wide(page):
    return page.evaluate("() => document.documentElement.scrollWidth - innerWidth") > 0


LOOKS = """() => {
  const seen = new Set();
  for (const each of document.querySelectorAll('body *')) {
    delete each.dataset.look;
    if (![...each.childNodes].some((part) => part.nodeType === 3 && /[\\p{L}\\p{N}]/u.test(part.data))) continue;
    if (!each.checkVisibility() || each.closest('mjx-container')) continue;  // formulas have the surrounding colour
    const look = getComputedStyle(each);
    let behind = each;
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    const what = [look.color, look.fontSize, look.fontWeight, look.opacity, look.visibility,
                  behind && getComputedStyle(behind).backgroundColor].join();
    if (seen.has(what)) continue;
    seen.add(what);
    each.dataset.look = '';
  }
  return seen.size;
}"""


def violations(page, context, **options):
    """What axe rates as serious or critical."""
    options = {"resultTypes": ["violations"], "preload": False, **options}
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['html'][:150]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def hard_to_use(page):
    """Check all of axe's rules except contrast, without the many similar parts of formulas."""
    return violations(page, {"exclude": [["mjx-math"]]}, rules={"color-contrast": {"enabled": False}})


def hard_to_see(page):
    """Check contrast for one piece of text of each colour, background, size and weight: many look alike."""
    assert page.evaluate(LOOKS) > 3
    return violations(page, {"include": [["[data-look]"]]}, runOnly=["color-contrast"])


def test_every_page_in_light_and_dark_on_desktop_and_phone(site, address, browser):
    troubles = []
    for name in pages(site):
        page = opened(browser, address, troubles, color_scheme="light", reduced_motion="reduce")
        page.goto(address + name)
        settle(page)
        found = not_rendered(page) + hard_to_use(page) + hard_to_see(page)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(300)  # colours fade
        found += hard_to_see(page)
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(300)
        found += hard_to_use(page)
        found += ["wider than a phone"] * too_wide(page)
        troubles += [f"{name}: {what}" for what in found]
        page.context.close()
    assert not troubles, "\n".join(troubles)


def test_axe_would_find_a_picture_without_words_and_pale_text(tiny, serve, browser):
    address = serve(tiny[0])
    page = opened(browser, address, [])
    page.goto(address + "notebooks/tiny.html")
    settle(page)
    assert not hard_to_use(page) + hard_to_see(page)
    page.evaluate("() => document.querySelector('.cell_output img').removeAttribute('alt')")
    assert hard_to_use(page)[0].startswith("image-alt")
    page.evaluate("() => { document.querySelector('article td').style.color = '#999'; }")
    assert hard_to_see(page)[0].startswith("color-contrast")
    page.context.close()


def test_the_first_page_leads_on(address, browser):
    page = opened(browser, address, troubles := [])
    page.goto(address)
    page.wait_for_url(address + "docs/index.html")
    assert not troubles
    page.context.close()


def test_search_finds_a_word(address, browser):
    page = opened(browser, address, troubles := [])
    page.goto(address + "docs/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("Cholesky")
    page.keyboard.press("Enter")
    page.locator("#search-results li a[href*='02_gaussian_sampling']").first.click()  # waits for the result
    page.wait_for_url("**/02_gaussian_sampling.html*")
    assert "cholesky" in page.locator("main").inner_text().lower()
    assert not troubles
    page.context.close()


def is_dark(page):
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) < 200


def test_dark_and_light(address, browser):
    page = opened(browser, address, troubles := [], color_scheme="light")
    page.goto(address + "docs/index.html")
    assert not is_dark(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    assert is_dark(page)
    page.emulate_media(color_scheme="light")
    page.locator(".theme-switch-button:visible").first.click()
    page.locator("[data-bs-theme-value=dark]:visible, [data-mode=dark]:visible").first.click()
    assert is_dark(page)
    page.goto(address + "docs/lessons.html")
    assert is_dark(page)  # the choice is kept
    assert not troubles
    page.context.close()


def shown(group):
    """The indices of the visible frames of a group."""
    visible = "frames => frames.map((f, k) => getComputedStyle(f).visibility === 'visible' ? k : -1)"
    return [k for k in group.locator(".frame").evaluate_all(visible) if k >= 0]


def test_frames_step_by_keyboard_and_mouse(tiny, serve, browser):
    address = serve(tiny[0])
    page = opened(browser, address, troubles := [])
    page.goto(address + "notebooks/tiny.html")
    settle(page)
    group, other = page.locator(".frames").first, page.locator(".frames").nth(1)
    slider, back, forward = (
        group.get_by_role("slider"),
        *(group.get_by_role("button", name=n) for n in ("Prev", "Next")),
    )
    assert shown(group) == [0]
    assert back.is_disabled()

    slider.focus()
    page.keyboard.press("ArrowRight")
    assert shown(group) == [1]
    assert slider.get_attribute("aria-valuetext") == "2 of 3: rho = 1.5, of 3"
    page.keyboard.press("End")
    assert shown(group) == [2]
    assert forward.is_disabled()
    page.keyboard.press("Home")
    page.keyboard.press("Tab")  # the button back is disabled at the first frame
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert shown(group) == [2]
    page.keyboard.press("Enter")  # the focus has moved to the other button
    assert shown(group) == [1]

    forward.click()
    assert shown(group) == [2]
    back.click()
    assert shown(group) == [1]
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert shown(group) == [0]
    assert shown(other) == [0]  # the other figure has not moved
    assert group.get_by_text("1 of 3", exact=True).is_visible()

    heights = set()
    for _ in range(3):
        heights.add(group.bounding_box()["height"])
        if forward.is_enabled():
            forward.click()
    assert len(heights) == 1  # the page does not jump
    assert heights.pop() < 2 * 300  # the frames, each 300 high, overlap
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    assert not too_wide(page)
    assert not troubles
    page.context.close()


def test_frames_can_all_be_seen_without_scripts(tiny, serve, browser):
    address = serve(tiny[0])
    page = opened(browser, address, [], java_script_enabled=False)
    page.goto(address + "notebooks/tiny.html")
    tops = [image.bounding_box()["y"] for image in page.locator(".frame img").all()]
    assert len(tops) == 3 + 2 + 4
    assert all(after - before >= 200 for before, after in zip(tops, tops[1:], strict=False))
    assert not page.get_by_role("slider").count()
    page.context.close()


def test_the_checks_find_problems(site, address, browser, tmp_path):
    """Another host, a missing file, an error, a wide page and a formula that is not typeset."""
    page = opened(browser, address, troubles := [])
    page.goto(address + "docs/index.html")
    page.evaluate(
        """() => {
          document.body.insertAdjacentHTML('beforeend', '<img src="http://example.org/a.png"><img src="/missing.png">'
            + '<div style="width: 3000px">wide</div><span class="math">\\\\(x\\\\)</span>');
          setTimeout(() => { throw new Error('on purpose'); });
        }"""
    )
    page.wait_for_timeout(500)
    for what in ("asked for http://example.org", "404", "on purpose"):
        assert any(what in trouble for trouble in troubles), what
    assert too_wide(page)
    assert {line.split()[0] for line in not_rendered(page)} == {"picture", "formula"}
    page.context.close()
