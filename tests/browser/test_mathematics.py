"""The site's live figures of formulas: their numbers and curves agree with Python's, whatever moves the sliders."""

import ast
import functools
import itertools
import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pydata_sphinx_theme
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from lab import ROOT, Shown, until
from scipy import integrate, optimize, stats
from test_lessons import chord, close, gap, losses, pull
from test_site import DESKTOP, PHONE, opened, too_wide

from vae_lessons import live
from vae_lessons.distributions import kl_to_standard_normal, log_bernoulli, log_continuous_bernoulli, log_normal
from vae_lessons.widgets import frames

LESSON = {"ellipse": ("02", "draw"), "pull": ("04", "draw_pull"), "chord": ("05", "chord")}
LESSON |= {"gap": ("05", "slide_q"), "losses": ("06", "three_losses")}  # and the function that draws it there
LIVE, DOCS = Path(live.__file__).parent, ROOT / "docs"
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static/styles/pydata-sphinx-theme.css"
STYLES = [THEME, DOCS / "_static/course.css", LIVE / "live.css", DOCS / "_static/mathematics.css"]
SCRIPTS = [LIVE / "networks.js", LIVE / "controls.js", LIVE / "figures.js"]
SCRIPTS += [DOCS / "_static/mathematics.js", DOCS / "loader.js"]


def write(folder, name):
    """A page with one figure; returns its address."""
    styles = "".join(f'<link rel="stylesheet" href="{path.as_uri()}">' for path in STYLES)
    script = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    (folder / f"{name}.html").write_text(
        f"""<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>{name}</title>
        <meta name="viewport" content="width=device-width">{styles}
        <main class="bd-article" style="padding: 1rem"><h1>{name}</h1><div class="live live-{name}">Stills</div></main>
        <script>(() => {{ {script}; Object.assign(window, {{ mathematics }}); }})()</script></html>""",
        encoding="utf-8",
    )
    return (folder / f"{name}.html").as_uri()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mathematics")


def show(browser, folder, name, troubles, **options):
    page = opened(browser, "file://", troubles, **options)
    page.goto(write(folder, name))
    page.wait_for_selector(".live svg")
    return page


@pytest.fixture(params=LESSON)
def name(request):
    return request.param


@pytest.fixture
def page(browser, folder, name):
    page = show(browser, folder, name, troubles := [])
    yield page
    page.context.close()
    assert not troubles


# What the page shows

STATE = """() => {
  const sliders = [...document.querySelectorAll(".live input")];
  const marks = (plot, axis, way) =>
    [...plot.querySelectorAll(`.live-tick-${axis}`)].map((tick) => [Number(tick.getAttribute(axis)), tick.textContent]);
  return {
    values: Object.fromEntries(sliders.map((each) => [each.labels[0].firstChild.textContent, Number(each.value)])),
    sentence: document.querySelector(".live-sentence p").textContent,
    plots: [...document.querySelectorAll(".live-plot")].map((plot) => {
      const inside = plot.querySelector("svg svg");
      return {
        left: Number(inside.getAttribute("x")), top: Number(inside.getAttribute("y")),
        x: marks(plot, "x"), y: marks(plot, "y"),
        curves: [...inside.querySelectorAll("path")].map((path) => [path.textContent, path.getAttribute("d")]),
      };
    }),
  };
}"""


def number(text):
    return float(text.replace("−", "-"))


def read(page):
    """The sliders' values, the sentence, its numbers, and for each plot the curves' strokes, by name."""
    state = page.evaluate(STATE)
    plots = []
    for plot in state["plots"]:
        scales = []
        for marks, start, off in ((plot["x"], plot["left"], 0), (plot["y"], plot["top"], 4)):  # as the ticks say
            at, values = zip(*[(at - start - off, number(text)) for at, text in marks], strict=True)
            slope, intercept = np.polyfit(at, values, 1)
            np.testing.assert_allclose(slope * np.array(at) + intercept, values, atol=1e-9)
            scales.append((slope, intercept))
        (a, b), (c, d) = scales
        curves = {}
        for name, path in plot["curves"]:
            strokes = [re.findall(r"-?[\d.]+", stroke.replace("h0", "")) for stroke in path.split("M")[1:]]
            curves[name] = [np.reshape(stroke, (-1, 2)).astype(float) * [a, c] + [b, d] for stroke in strokes]
        plots.append(curves)
    shown = Shown({**state, "sentence": state["sentence"].replace("−", "-"), "png": "", "sheet": []}, {})
    return shown.values, shown.sentence, shown.numbers, plots


# What it must show: functions of the sliders' values, the numbers in the sentence, and the plots' curves


def near(points, expected, atol):
    np.testing.assert_allclose(points, expected, atol=atol)


def posterior(z):
    """The log of its density, without its constant."""
    return stats.norm.logpdf(z) + stats.norm.logpdf(0.8, np.tanh(3 * z), 0.4)


LOG_P_X = math.log(integrate.quad(lambda z: math.exp(posterior(z)), -10, 10, epsabs=1e-12)[0])


def elbo(mu, sigma):
    """The ELBO by Simpson's rule: (...), (...) -> (...)."""
    mu, sigma = np.asarray(mu)[..., None], np.asarray(sigma)[..., None]
    q, z = stats.norm(mu, sigma), mu + sigma * np.linspace(-9, 9, 1001)
    return integrate.simpson(q.pdf(z) * (posterior(z) - q.logpdf(z)), x=z)


def lowest_continuous(target):
    def loss(a):
        return -log_continuous_bernoulli(torch.tensor([target]), torch.tensor([a], dtype=torch.float64)).item()

    return optimize.minimize_scalar(loss, bounds=(-60, 60.1), method="bounded", options={"xatol": 1e-9}).fun


def moments(logits):
    """Mean and variance of continuous Bernoullis: the slopes of the logarithm of the integral of exp(logit x)."""
    logits = torch.tensor(logits)[..., None].requires_grad_()
    integral = -log_continuous_bernoulli(torch.zeros(1), logits).sum()
    (mean,) = torch.autograd.grad(integral, logits, create_graph=True)
    return mean[..., 0].detach().numpy(), torch.autograd.grad(mean.sum(), logits)[0][..., 0].numpy()


@functools.cache
def means_of_logits():
    """Means and logits of continuous Bernoullis, to look one up from the other."""
    logits = np.linspace(-60, 60, 200_000)
    return moments(logits)[0], logits


def truth_of_loss(kind, x, m, sigma):
    """The losses of pixels x, and their slopes, at the means m."""
    x, m, variance = np.broadcast_arrays(x, m, sigma**2)
    if kind == "continuous":
        logit = np.interp(m, *means_of_logits())
        loss, variance = log_continuous_bernoulli(*map(torch.tensor, (x[:, None], logit[:, None]))), moments(logit)[1]
    elif kind == "bernoulli":
        logit = np.log(m / (1 - m))
        loss, variance = log_bernoulli(*map(torch.tensor, (x[:, None], logit[:, None]))), m * (1 - m)
    else:
        loss = log_normal(*(torch.tensor(each[:, None]) for each in (x, m, np.log(variance))))
    return {"loss": -loss.numpy(), "slope": (m - x) / variance}


def factor(rho, sigma_1, sigma_2):
    cross = rho * sigma_1 * sigma_2
    return np.linalg.cholesky([[sigma_1**2, cross], [cross, sigma_2**2]])


def shows_ellipse(values, numbers, plots):
    L = factor(*values.values())
    (a, _), (b, c) = L
    close(numbers, [a, 0, b, c, np.linalg.det(L), math.hypot(a, b), c])
    (curves,) = plots
    radius = math.sqrt(stats.chi2(2).ppf(0.95))
    (outline,), cloud = curves["holds 95 % of all draws"], np.concatenate(curves["150 draws"])
    step = 0.03 / min(np.linalg.svd(L)[1])  # of the pixels' hundredths, back in the noise
    near(np.linalg.norm(np.linalg.solve(L, outline.T), axis=0), radius, step)
    noise = np.linalg.norm(np.linalg.solve(L, cloud.T), axis=0)
    assert len(cloud) == 150
    assert 133 <= (noise < radius).sum() <= 149
    for k in (0, 1):
        near(curves[f"column {k + 1} of L"][0], [[0, 0], L[:, k]], 0.001)


def shows_pull(values, numbers, plots):
    pull(values, numbers, None)
    mu, sigma = values.values()
    densities, map_ = plots
    for name, q in (("q", stats.norm(mu, sigma)), ("prior", stats.norm())):
        (outline,) = densities[name]
        line = outline[1:-1] if name == "q" else outline
        near(line[:, 1], q.pdf(line[:, 0]), 0.001)
    for level, ring in zip((0.5, 1, 2, 3, 4), map_["equal KL (nats)"], strict=True):
        ring = torch.tensor(ring[ring[:, 1] > 0.1])
        near(kl_to_standard_normal(ring[:, :1], 2 * ring[:, 1:].log()), level, 0.005)
    slope = np.array([-mu, 1 / sigma - sigma])
    (shaft, head), (place,) = map_["pull"], map_["q"]
    near(place, [[mu, sigma]], 0.001)
    near(shaft[0], [mu, sigma], 0.001)
    near(shaft[1] - shaft[0], slope * min(1 / 3, 1.2 / max(np.hypot(*slope), 1e-9)), 0.001)
    near(head[1], shaft[1], 1e-9)
    assert (np.linalg.norm(head[[0, 2]] - head[1], axis=1) <= 0.15).all()
    if np.hypot(*slope) > 0.1:
        assert ((head[[0, 2]] - head[1]) @ slope < 0).all()  # the barbs point back


def shows_chord(values, numbers, plots):
    chord(values, numbers, None)
    low, weight = values.values()
    (curves,), mean = plots, (1 - weight) * low + weight * 2
    (line,), (bar,), (tangent,) = (curves[name] for name in ("log", "Jensen's gap", "tangent at the mean"))
    near(line[:, 1], np.log(line[:, 0]), 0.06)  # steep near 0, and the pixels have hundredths
    near(line[50:, 1], np.log(line[50:, 0]), 0.001)
    near(curves["chord"][0], [[low, math.log(low)], [2, math.log(2)]], 0.001)
    near(np.concatenate(curves["its ends"]), curves["chord"][0], 1e-9)
    near(bar, [[mean, (1 - weight) * math.log(low) + weight * math.log(2)], [mean, math.log(mean)]], 0.001)
    near(np.diff(tangent[:, 1]) / np.diff(tangent[:, 0]), 1 / mean, 0.001)
    near(np.interp(mean, *tangent.T), math.log(mean), 0.001)


def shows_gap(values, numbers, plots):
    gap(values, numbers, None)
    mu, sigma = values.values()
    value = elbo(mu, sigma)
    close(numbers, [value, LOG_P_X - value, LOG_P_X, LOG_P_X])
    above, below = plots
    (line,), (q,), (hill,), (histogram,) = above["posterior"], above["q"], below["ELBO"], above["simulated posterior"]
    near(line[:, 1], np.exp(posterior(line[:, 0]) - LOG_P_X), 0.001)
    near(q[:, 1], stats.norm.pdf(q[:, 0], mu, sigma), 0.001)
    near(hill[:, 1], elbo(hill[:, 0], sigma), 0.001)
    near(below["log p(x)"][0], [[-1, LOG_P_X], [2.5, LOG_P_X]], 0.001)
    near(below["gap of the ELBO"][0], [[mu, value], [mu, LOG_P_X]], 0.001)
    middles, heights = (histogram[1:-1:2] + histogram[2:-1:2]).T / 2
    near(heights.sum() * np.diff(middles)[0], 1, 0.001)
    near(heights, np.exp(posterior(middles) - LOG_P_X), 0.25)


def shows_losses(values, numbers, plots):
    losses(values, numbers, None)
    x, sigma = values.values()
    for panel, what in zip(plots, ("loss", "slope"), strict=True):
        near(panel["target"][0][:, 0], x, 1e-4)
        for name, kind in (("BCE", "bernoulli"), ("cont. Bernoulli", "continuous"), ("Gaussian", "gaussian")):
            m, height = panel[name][0].T
            assert m.min() < 0.025
            assert m.max() > 0.975
            expected = truth_of_loss(kind, x, m, sigma)[what]
            seen = abs(expected) < {"loss": 6, "slope": 25}[what]
            near(height[seen], expected[seen], 0.05)


SHOWS = {name: globals()[f"shows_{name}"] for name in LESSON}


# The formulas

RANDOM = {  # the sliders' ranges
    "ellipse": ([-0.95, 0.2, 0.2], [0.95, 2.2, 2.2]),
    "pull": ([-3, 0.3], [3, 3]),
    "chord": ([0.05, 0], [2, 1]),
    "gap": ([-1, 0.2], [2.5, 1.5]),
    "losses": ([0.05, 0.05], [0.95, 1]),
}


def random_settings(name, n):
    low, high = RANDOM[name]
    return np.random.default_rng(0).uniform(low, high, (n, len(low)))


def formula(page, call, settings):
    """What the script's formula returns for each of the settings."""
    return page.evaluate(f"settings => settings.map(s => (({call})(...s)))", np.asarray(settings).tolist())


@pytest.fixture(scope="module")
def formulas(browser, folder):
    """A page with the formulas."""
    page = show(browser, folder, "ellipse", [])
    yield page
    page.context.close()


def test_the_cholesky_factor_is_numpys(formulas):
    settings = random_settings("ellipse", 60)
    found = formula(formulas, "(...s) => Object.values(mathematics.ellipse(...s)).flat()", settings)
    for setting, numbers in zip(settings, found, strict=True):
        L = factor(*setting)
        expected = [L[0, 0], L[1, 0], L[1, 1], np.linalg.det(L), *np.linalg.norm(L, axis=0)]
        np.testing.assert_allclose(numbers, expected, rtol=1e-9)


def test_the_pull_is_minus_the_gradient_of_the_librarys_kl(formulas):
    settings = random_settings("pull", 60)
    mu, sigma = torch.tensor(settings).T[..., None].requires_grad_()
    kl = kl_to_standard_normal(mu, 2 * sigma.log())
    slopes = torch.autograd.grad(kl.sum(), (mu, sigma))
    found = formula(formulas, "(...s) => Object.values(mathematics.pull(...s))", settings)
    expected = torch.stack([kl, *(-slope[:, 0] for slope in slopes)], 1)
    np.testing.assert_allclose(found, expected.detach(), rtol=1e-9, atol=1e-9)


def test_on_a_ring_the_kl_is_the_same(formulas):
    levels = np.random.default_rng(1).uniform(0.1, 6, 60)
    for level, points in zip(levels, formula(formulas, "mathematics.ring", levels[:, None]), strict=True):
        mu, sigma = torch.tensor(points, dtype=torch.float64).T[..., None]
        np.testing.assert_allclose(kl_to_standard_normal(mu, 2 * sigma.log()), level, atol=1e-6)
        assert mu.max() > 0.99 * math.sqrt(2 * level) > 0
        np.testing.assert_allclose(mu.max(), -mu.min(), rtol=1e-6)


def test_jensens_gap_is_numpys(formulas):
    settings = random_settings("chord", 60)
    low, weight = settings.T
    mean, mean_log = (1 - weight) * low + weight * 2, (1 - weight) * np.log(low) + weight * np.log(2)
    found = formula(formulas, "(...s) => Object.values(mathematics.chord(...s))", settings)
    expected = np.stack([mean, np.log(mean), mean_log, np.log(mean) - mean_log], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_elbo_and_kl_are_the_integrals(formulas):
    settings = random_settings("gap", 60)
    found = formula(formulas, "(...s) => [mathematics.elbo(...s), mathematics.kl(...s)]", settings)
    values = elbo(*settings.T)
    np.testing.assert_allclose(found, np.stack([values, LOG_P_X - values], 1), atol=1e-7)


def test_losses_and_slopes_are_the_librarys(formulas):
    settings = random_settings("losses", 60)
    found = formula(formulas, "mathematics.lowest", settings)
    for (x, sigma), numbers in zip(settings, found, strict=True):
        gaussian = 0.5 * math.log(2 * math.pi * sigma**2)
        np.testing.assert_allclose(numbers, [stats.entropy([x, 1 - x]), lowest_continuous(x), gaussian], atol=1e-7)
    x, sigma = settings.T
    logits = np.random.default_rng(2).uniform(-40, 40, len(x))
    means = moments(logits)[0]
    for kind in ("bernoulli", "continuous", "gaussian"):
        at = logits if kind == "continuous" else means
        for what in ("loss", "slope"):
            numbers = formula(formulas, f"mathematics.{kind}.{what}", np.stack([x, at, sigma], 1))
            np.testing.assert_allclose(numbers, truth_of_loss(kind, x, means, sigma)[what], rtol=1e-6, atol=1e-6)


# The page


def move(page, values):
    """Set all sliders."""
    page.evaluate(
        """values => document.querySelectorAll(".live input").forEach((slider, k) => {
          slider.value = values[k];
          slider.dispatchEvent(new Event("input"));
        })""",
        list(values),
    )


def settles(page, name):
    values, _, numbers, plots = read(page)
    SHOWS[name](values, numbers, plots)
    return list(values.values())


def test_the_sliders_are_the_notebooks(page, name):
    """Their names, ranges, steps and first values."""
    lesson, drawn_by = LESSON[name]
    (source,) = (ROOT / "sources" / "lessons").glob(f"{lesson}_*.py")
    calls = [node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    (explored,) = [call for call in calls if getattr(call.func, "id", "") == "explore" and call.args[0].id == drawn_by]
    sliders = [
        {given.arg: ast.literal_eval(given.value) for given in keyword.value.keywords}
        for keyword in explored.keywords
        if isinstance(keyword.value, ast.Call) and keyword.value.func.attr == "FloatSlider"
    ]
    labels = page.locator(".live label").all()
    assert len(labels) == len(sliders) > 1
    for label, slider in zip(labels, sliders, strict=True):
        shown = page.get_by_role("slider", name=slider["description"], exact=True)
        assert label.locator("span").first.text_content() == slider["description"]
        assert number(label.locator("span").last.text_content()) == slider["value"]
        assert float(shown.input_value()) == slider["value"]
        assert [float(shown.get_attribute(part)) for part in ("min", "max", "step")] == [
            slider["min"],
            slider["max"],
            slider["step"],
        ]


def test_the_sentences_are_those_stored_in_the_notebook(page, name):
    (path,) = (ROOT / "notebooks").glob(f"{LESSON[name][0]}_*.ipynb")
    names = list(read(page)[0])
    stills = [
        (dict(part.split(" = ") for part in frame["metadata"]["vae_lessons"]["label"].split(", ")), frame)
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        for frame in frames(output)
    ]
    stills = [(values, frame) for values, frame in stills if list(values) == names]
    assert len(stills) >= 7
    for values, frame in stills:
        move(page, map(float, values.values()))
        stored = frame["metadata"]["image/png"]["alt"].split(": ", 1)[1]
        sentence, stored = (re.sub(r"[-+]0\.00", "0.00", words) for words in (read(page)[1], stored))
        assert sentence == stored


def test_numbers_and_curves_follow_any_setting(page, name):
    for setting in random_settings(name, 15):
        move(page, setting)
        settles(page, name)


def test_keys_move_the_figure(page, name):
    start = settles(page, name)
    for k, slider in enumerate(page.get_by_role("slider").all()):
        slider.focus()
        step = float(slider.get_attribute("step"))
        for key, expected in (
            ("ArrowRight", start[k] + step),
            ("ArrowLeft", start[k]),
            ("Home", float(slider.get_attribute("min"))),
            ("End", float(slider.get_attribute("max"))),
        ):
            page.keyboard.press(key)
            np.testing.assert_allclose(settles(page, name)[k], expected, atol=1e-9)


def test_the_mouse_moves_the_figure(page, name):
    for k, slider in enumerate(page.get_by_role("slider").all()):
        box = slider.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.4 * box["width"], middle)
        page.mouse.down()
        values = []
        for part in (0.3, 0.9, 0.6):
            page.mouse.move(box["x"] + part * box["width"], middle, steps=5)
            values.append(settles(page, name)[k])
        page.mouse.up()
        assert values[0] < values[2] < values[1]


def test_a_finger_moves_the_figure_on_a_phone(browser, folder, name):
    page = show(browser, folder, name, troubles := [], viewport=PHONE, has_touch=True, is_mobile=True)
    finger = page.context.new_cdp_session(page)
    for k, slider in enumerate(page.get_by_role("slider").all()):
        before = settles(page, name)[k]
        box = slider.bounding_box()
        assert box["height"] >= 44
        for kind, part in (("touchStart", 0.4), ("touchMove", 0.6), ("touchMove", 0.95)):
            point = {"x": box["x"] + part * box["width"], "y": box["y"] + box["height"] / 2}
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        until(lambda k=k, before=before: settles(page, name)[k] > before)
    assert not too_wide(page)
    assert not troubles
    page.context.close()


def test_the_sentence_is_spoken_once_the_sliders_rest(page, name):
    spoken, sentence = page.locator(".live output"), page.locator(".live-sentence p")
    until(lambda: spoken.text_content() == sentence.text_content())
    before = spoken.text_content()
    said = page.evaluate(
        """() => {
          const [slider, spoken] = [document.querySelector(".live input"), document.querySelector(".live output")];
          window.said = 0;
          new MutationObserver(() => window.said++).observe(spoken, { childList: true });
          for (let k = 0; k < 20; k++) {
            slider.stepUp();
            slider.dispatchEvent(new Event("input"));
          }
          return spoken.textContent;
        }"""
    )
    assert said == before != sentence.text_content()
    until(lambda: spoken.text_content() == sentence.text_content())
    assert page.evaluate("window.said") == 1


def luminance(colour):
    """The relative luminance of a colour "rgb(r, g, b)", as in WCAG."""
    parts = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize(("theme", "size"), [("light", DESKTOP), ("dark", PHONE)], ids=["light", "dark"])
def test_everybody_can_use_and_see_it(page, name, theme, size):
    page.set_viewport_size(size)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    assert not Axe().run(page, context=".live", options={"preload": False}).response["violations"]
    assert not too_wide(page)
    colours = page.evaluate(
        """() => {
          const [live, of] = [document.querySelector(".live"), (what) => [...document.querySelectorAll(what)]];
          const behind = ["background", "surface"].map((name) => {
            live.style.background = `var(--pst-color-${name})`;
            return getComputedStyle(live).backgroundColor;
          });
          const lines = of(".live-plot svg svg path").map((path) => getComputedStyle(path).stroke);
          return { behind, lines, words: of(".live-plot text").map((text) => getComputedStyle(text).fill) };
        }"""
    )
    for part, least in (("lines", 3), ("words", 4.5)):
        for pair in itertools.product(set(colours[part]), colours["behind"]):
            dark, light = sorted(map(luminance, pair))
            assert (light + 0.05) / (dark + 0.05) >= least, (part, pair)
    for plot in page.locator(".live-plot > svg").all():
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label").split()) > 15
