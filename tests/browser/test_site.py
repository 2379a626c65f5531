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
import numpy as np
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
DESKTOP = {"width": 1366, "height": 768}


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
    return encoded(Image.new("L", (600, 300), shade))


def encoded(image):
    png = io.BytesIO()
    image.save(png, "png")
    return base64.b64encode(png.getvalue()).decode()


def ten_in_a_row():
    """Two rows of ten pictures of 70 x 80 pixels, each row with a label at the left. Column k has the shade 10 k."""
    sheet = np.full((180, 860), 255, dtype=np.uint8)
    for top in (5, 95):
        sheet[top + 30 : top + 50, 5:50] = 7  # the label
        for k in range(10):
            sheet[top : top + 80, 60 + 80 * k : 130 + 80 * k] = 10 * k
    return Image.fromarray(sheet)


def figure(alt, shade, **more):
    data = {"image/png": picture(shade), "text/plain": "Figure, described below"}
    return nbformat.v4.new_output("display_data", data, metadata={"image/png": {"alt": alt}, **more})


def details(words):
    return nbformat.v4.new_output("display_data", {"text/html": f"<details><summary>Words</summary>{words}</details>"})


WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}}
TABLE = "| what | formula |\n|---|---|\n| size | $\\|x\\| + 1$ |"
QUESTION = "Is exp(a_b) * c larger, or <b>smaller</b>?"
NOT_ASKED = "You made no prediction here; pick one above and run this cell again."
FOLDED = {  # by the line to which the code is folded; None stays open
    "Code of the question (2 lines)": "guess = Prediction(...)\nguess.ask()",
    "Code of the figure (2 lines)": "images(\n    x)",
    "Checks (3 lines)": 'assert x\n\nnp.testing.assert_allclose(x, y)\nprint("x is y")',
    None: "def half(x):\n    assert x\n    return x / 2",
}


def printed(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def tiny_notebook(described_one_by_one):
    """Two interactive figures in one cell, with three and two frames; a prediction, and what answers it; a figure with
    its stills in one picture; a figure whose output contains its stills; ten pictures in a row; checks; a function.
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
    ten = nbformat.v4.new_output(
        "display_data", {"image/png": encoded(ten_in_a_row())}, metadata={"image/png": {"alt": "Two rows of ten"}}
    )
    answered = f"before\n{QUESTION}\nMeasured: smaller\n{NOT_ASKED}\nafter\n"
    question, drawn, checks, function = FOLDED.values()
    code, markdown = functools.partial(nbformat.v4.new_code_cell, execution_count=1), nbformat.v4.new_markdown_cell
    cells = [
        markdown("# Tiny\n\n[Exercise](../work/tiny.ipynb), $x^2$\n\n" + TABLE + "\n\n## The question"),
        code("1", outputs=shown),
        code(question, outputs=[prediction]),
        markdown("How it was measured."),
        code("compute()", outputs=[printed(f"a long line of numbers {'123 ' * 90}")]),
        code("guess.reveal()\nassert x", outputs=[printed(answered)]),
        code(checks, outputs=[printed("x is y")]),
        markdown("(explained)=\nSo it is smaller:\n\n$$" + "+".join(f"x_{{{k}}}" for k in range(80)) + "$$"),
        code(function),
        code("1", outputs=[sheet, figure("The sheet's words", 9)]),
        code("1", outputs=[with_stills, details("How the mean moves")]),
        code(drawn, outputs=[ten, details("Two rows of ten")]),
    ]
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


def test_pages_name_their_language(site):
    named = {page: soup(site / page).html["lang"] for page in pages(site)}
    assert {page for page, language in named.items() if language == "ru"} == {"docs/ru/questions.html"}
    assert set(named.values()) == {"en", "ru"}


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


@pytest.mark.parametrize("name", LESSONS)
def test_nobody_is_told_to_clear_outputs(site, name):
    words = soup(site / "notebooks" / f"{name}.html").get_text()
    assert "Time:" in words
    assert not re.search("clear (the stored )?outputs|the stored outputs", words, re.IGNORECASE)


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
    assert len(page.select("details:not(.folded)")) == (5 if described_one_by_one else 2) + 2
    assert page.get_text().count("Interactive figure, with controls for a.") == 1  # the figure without frames


def test_predictions_are_questions_with_choices(tiny):
    prediction = soup(tiny[0] / "notebooks" / "tiny.html").select_one(".tag_prediction .cell_output")
    assert prediction.p.get_text() == f"Your prediction. {QUESTION}"
    assert prediction.p.strong.get_text() == "Your prediction."
    assert [choice.get_text(strip=True) for choice in prediction.select("li")] == ["*larger*, (2)", "smaller"]


def test_code_that_can_be_skipped_is_folded(tiny):
    page = soup(tiny[0] / "notebooks" / "tiny.html")
    shown = {code.get_text().strip(): code.find_parent("details") for code in page.select(".cell_input")}
    for line, source in FOLDED.items():
        assert (shown[source].summary.get_text() if line else shown[source]) == line
    assert sum(block is not None for block in shown.values()) == 3


@pytest.mark.parametrize("name", LESSONS)
def test_the_words_for_a_figure_come_after_it(site, name):
    for cell in soup(site / "notebooks" / f"{name}.html").select(".cell:has(.cell_output img)"):
        code = cell.select_one(".cell_input")
        assert code.find_parent("details", class_="folded") or len(code.get_text().strip().splitlines()) == 1
        for words in cell.select("details:not(.folded)"):
            assert any(words.find_previous("img") is image for image in cell.select("img"))


def test_what_answers_a_question_is_in_one_block(tiny):
    page = soup(tiny[0] / "notebooks" / "tiny.html")
    answer = page.select_one(".tag_prediction + .answer")
    printed = [output.get_text().strip() for output in answer.select(".output, .measured")]
    measured = f"{QUESTION}Measured: smaller"
    assert printed[1:] == ["before", measured, "after", "x is y"]
    assert answer.select_one(".measured")["data-choice"] == "1"
    assert len(answer.select(".cell")) == 3
    assert [text.get_text().split(":")[0] for text in answer.find_all("p", recursive=False)] == [
        "How it was measured.",
        "So it is smaller",
    ]
    assert NOT_ASKED not in page.get_text()


@pytest.mark.parametrize("name", LESSONS)
def test_every_question_has_its_answer(site, name):
    page = soup(site / "notebooks" / f"{name}.html")
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    questions = page.select(".tag_prediction")
    assert len(questions) == sum(".ask()" in cell.source for cell in cells) == len(page.select(".answer")) > 0
    for question in questions:
        (measured,) = question.find_next_sibling().select(".answer > .cell .measured")
        asked, said = (
            [re.sub("[‘’]", "'", words.get_text(strip=True)) for words in part.select("p")]
            for part in (question.select_one(".cell_output"), measured)
        )
        assert asked[0] == "Your prediction." + said[0]
        assert asked[1 + int(measured["data-choice"])] == said[1].removeprefix("Measured: ")
    assert NOT_ASKED not in page.get_text()


@pytest.mark.parametrize("name", LESSONS)
def test_ten_pictures_in_a_row_can_be_two_rows(site, name):
    page = soup(site / "notebooks" / f"{name}.html")
    for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
        grid = re.search(r"plotting\.images\((?!.*columns=(?!10))", cell.get("source", ""))
        for output in cell.get("outputs", []) if grid and "explore(" not in cell.source else []:
            if "image/png" in output.get("data", {}):
                alt = " ".join(output["metadata"]["image/png"]["alt"].split())
                assert page.find("img", alt=alt).find_parent("picture"), alt


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


def cut_off(page):
    """Lines of code and output that do not wrap, and formulas and tables that are cut off or scroll without a cue."""
    return page.evaluate(
        """() => {
          const wide = (part) => part.clientWidth && part.scrollWidth > part.clientWidth + 1;
          const scrolls = (part) => part.tabIndex === 0 && getComputedStyle(part).overflowX === 'auto'
            && getComputedStyle(part).backgroundImage.includes('gradient');
          return [
            ...[...document.querySelectorAll('.bd-article pre')].filter(wide).map((pre) => `line: ${pre.textContent}`),
            ...[...document.querySelectorAll(
                '.bd-article :is(div.math mjx-container, span.math, .pst-scrollable-table-container)')]
               .filter((part) => wide(part) && !scrolls(part)).map((part) => `${part.tagName}: ${part.textContent}`),
          ];
        }"""
    )


def open_everything(page):
    page.evaluate(
        """() => {
          for (const part of document.querySelectorAll('.bd-article details')) part.open = true;
          for (const button of document.querySelectorAll('.answer-line button')) button.click();
          scrollTo(0, 0);
        }"""
    )


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


@pytest.mark.parametrize("part", [*LESSONS, *EXERCISES, "the rest"])
def test_every_page_in_light_and_dark_on_desktop_and_phone(site, address, browser, part):
    troubles = []
    named = [name for name in pages(site) if Path(name).stem == part]
    for name in named or [name for name in pages(site) if Path(name).stem not in (*LESSONS, *EXERCISES)]:
        page = opened(browser, address, troubles, color_scheme="light", reduced_motion="reduce")
        page.goto(address + name)
        settle(page)
        found = not_rendered(page) + hard_to_use(page) + hard_to_see(page)
        open_everything(page)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(300)  # colours fade
        found += hard_to_see(page) + cut_off(page)
        found += ["wider than the window"] * too_wide(page)
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(300)
        found += hard_to_use(page) + cut_off(page)
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


one_site = pytest.mark.parametrize("tiny", [False], indirect=True, ids=["described together"])


def lesson(tiny, serve, browser, troubles, **options):
    """The page of the small notebook."""
    page = opened(browser, address := serve(tiny[0]), troubles, **options)
    page.goto(address + "notebooks/tiny.html")
    settle(page)
    return page


@one_site
def test_predictions_by_mouse(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [])
    question = page.get_by_role("group", name=f"Your prediction. {QUESTION}")
    measured, line = page.locator(".measured"), page.get_by_text("Make your prediction above to see what was measured.")
    for hidden in (measured, page.get_by_text("How it was measured."), page.get_by_text("So it is smaller")):
        assert not hidden.is_visible()
    assert page.get_by_text("The sheet's words").count() == 0  # a picture's alt
    assert page.get_by_role("img", name="The sheet's words").is_visible()
    assert line.is_visible()

    question.get_by_text("*larger*, (2)").click()
    wrong = "You predicted: *larger*, (2). What in your reasoning would have to change?"
    assert measured.locator("p").all_inner_texts() == [QUESTION, "Measured: smaller", wrong]
    assert measured.is_visible()
    assert page.get_by_text("So it is smaller").is_visible()
    assert not line.is_visible()
    assert page.locator(".prediction [role=status]").inner_text() == f"Measured: smaller. {wrong}"
    question.get_by_label("smaller").click()
    assert page.locator(".compared").inner_text() == "You predicted just that."
    assert not hard_to_use(page) + hard_to_see(page) + troubles
    page.context.close()


@one_site
def test_predictions_by_keyboard(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [], viewport=PHONE, color_scheme="dark")
    assert not hard_to_use(page) + hard_to_see(page)
    first, second = page.get_by_role("radio").all()
    first.focus()
    assert not page.locator(".measured").is_visible()  # the focus alone chooses nothing
    page.keyboard.press("ArrowDown")
    assert second.is_checked()
    assert second.evaluate("radio => radio === document.activeElement")
    assert page.locator(".compared").inner_text() == "You predicted just that."
    page.keyboard.press("ArrowUp")
    assert page.locator(".compared").inner_text().startswith("You predicted: *larger*, (2).")
    assert not too_wide(page)
    assert not hard_to_use(page) + hard_to_see(page) + troubles
    page.context.close()


@one_site
def test_an_answer_opens_without_a_prediction(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [])
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Show me anyway"
    assert page.locator(".compared").inner_text() == "You made no prediction here. You can still make one above."
    assert page.locator(".measured").is_visible()
    assert page.evaluate("() => document.activeElement.className").startswith("answer")
    page.get_by_label("smaller").check()
    assert page.locator(".compared").inner_text() == "You predicted just that."
    assert not troubles
    page.context.close()


@one_site
def test_a_link_into_what_is_closed_opens_it(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [])
    page.evaluate("() => { document.querySelector('.folded .cell_input').id = 'in-code'; }")
    for anchor, place in (("explained", page.get_by_text("So it is smaller")), ("in-code", page.locator("#in-code"))):
        assert not place.is_visible()
        page.evaluate("anchor => { location.hash = anchor; }", anchor)
        page.wait_for_timeout(100)
        assert place.is_visible()
        assert 0 <= place.bounding_box()["y"] < DESKTOP["height"]
    page.reload()
    settle(page)
    assert not page.get_by_text("So it is smaller").is_visible()  # nothing is kept
    page.goto(page.url.split("#")[0] + "?from=elsewhere#explained")
    settle(page)
    assert page.get_by_text("So it is smaller").is_visible()
    assert not troubles
    page.context.close()


@one_site
@pytest.mark.parametrize("options", [{"java_script_enabled": False}, {}], ids=["without scripts", "printed"])
def test_everything_is_shown_without_scripts_and_in_print(tiny, serve, browser, options):
    page = opened(browser, address := serve(tiny[0]), [], **options)
    page.goto(address + "notebooks/tiny.html")
    page.emulate_media(media="print" if not options else "screen")
    for words in ("How it was measured.", "Measured: smaller", "So it is smaller"):
        assert page.get_by_text(words).is_visible()
    assert not page.get_by_text("Make your prediction above").is_visible()
    if not options:
        assert all(code.is_visible() for code in page.locator(".folded .cell_input").all())
        assert not page.get_by_text("You made no prediction").is_visible()
    page.context.close()


@one_site
def test_folded_code_opens_by_mouse_and_keyboard(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [])
    for line in ("Code of the question (2 lines)", "Code of the figure (2 lines)"):
        summary = page.get_by_text(line)
        code = page.locator("details", has=summary).locator(".cell_input")
        assert not code.is_visible()
        summary.click()
        assert code.is_visible()
        page.keyboard.press("Enter")
        assert not code.is_visible()
    assert not troubles
    page.context.close()


@one_site
def test_ten_pictures_in_a_row_are_two_rows_on_a_phone(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [])
    image = page.get_by_role("img", name="Two rows of ten")
    size = "image => [image.naturalWidth, image.naturalHeight]"
    assert image.evaluate(size) == [860, 180]
    page.set_viewport_size(PHONE)
    page.wait_for_function("() => document.querySelector('picture img').naturalWidth === 460")
    assert image.evaluate(size) == [460, 372]
    narrow = Image.open(tiny[0] / "_images" / image.evaluate("image => image.currentSrc.split('/').pop()"))
    shades = np.array(narrow.convert("L"))
    for block, tops in enumerate([(5, 95), (197, 287)]):
        for top in tops:
            assert shades[top + 40, 20] == 7  # the label
            assert [shades[top + 40, 95 + 80 * k] for k in range(5)] == [10 * k + 50 * block for k in range(5)]
    assert not troubles
    page.context.close()


@one_site
def test_wide_formulas_and_long_lines_on_a_phone(tiny, serve, browser):
    page = lesson(tiny, serve, browser, troubles := [], viewport=PHONE)
    open_everything(page)
    formula = page.locator(".answer mjx-container")
    assert formula.evaluate("part => part.scrollWidth > 2 * part.clientWidth")
    assert not cut_off(page)
    assert not too_wide(page)
    formula.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.answer mjx-container').scrollLeft > 0")
    page.evaluate("() => document.querySelector('.answer mjx-container').removeAttribute('tabindex')")
    page.add_style_tag(content=".answer pre { white-space: pre !important; overflow: auto; }")
    assert {line.split(":")[0] for line in cut_off(page)} == {"line", "MJX-CONTAINER"}
    assert not troubles
    page.context.close()


@one_site
def test_pages_opened_from_a_disk_work(tiny, browser):
    page = opened(browser, address := tiny[0].as_uri(), troubles := [])
    page.goto(f"{address}/notebooks/tiny.html")
    settle(page)
    page.get_by_label("smaller").check()
    assert page.locator(".compared").is_visible()
    assert not troubles
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
