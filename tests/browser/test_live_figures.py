"""Figures whose network runs in the page: their numbers and pictures are those of PyTorch, however they are moved."""

import base64
import io
import re

import nbformat
import numpy as np
import pytest
import torch
from lab import Lesson, until
from PIL import Image
from test_site import PHONE, build, hard_to_see, hard_to_use, opened, serve, settle, too_wide  # noqa: F401

from vae_lessons import data, live
from vae_lessons.distributions import kl_to_standard_normal, log_bernoulli

PARTS = [part for networks, _ in live.PARTS.values() for part in networks]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with all figures."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "docs").mkdir()
    figures = "\n\n".join(f'<div class="live live-{name}"></div>' for name in live.NAMES)
    (folder / "docs" / "index.md").write_text(f"# Figures\n\n{figures}\n", encoding="utf-8")
    return build(folder, folder / "build")


@pytest.fixture
def troubles():
    found = []
    yield found
    assert not found


@pytest.fixture
def page(browser, site, troubles):
    """The page, opened from the disk."""
    shown = opened(browser, f"{site.as_uri()}/", troubles, has_touch=True)
    shown.goto(f"{site.as_uri()}/docs/index.html")
    settle(shown)
    for name in live.NAMES:
        shown.locator(".live").nth(live.NAMES.index(name)).scroll_into_view_if_needed()
        shown.wait_for_selector(f".live-body.live-{name}")
    yield shown
    shown.context.close()


def figure(page, name):
    return page.locator(f".live-body.live-{name}")


def pictures(page, name):
    """The pictures that decoders drew, each a row of greys from 0 to 255."""
    return [greys(canvas) for canvas in figure(page, name).locator("canvas.live-picture:not(.live-sheet)").all()]


def greys(canvas):
    """What is on a canvas, row by row."""
    png = base64.b64decode(canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(float).ravel()


def assert_drawn(drawn, part, z):
    """The picture is what the decoder makes of z."""
    expected = 255 * live.network(part)(torch.as_tensor(z).float()).sigmoid().detach().numpy()
    np.testing.assert_allclose(drawn, expected, atol=1)


def number(text):
    return float(text.replace("−", "-"))


def latents(page):
    """The mean, standard deviation and draw of each latent of the machine, (8, 3)."""
    words = figure(page, "machine").locator(".live-words").all_text_contents()
    return np.array([[number(text) for text in re.findall(r"[−\d.]+", row)] for row in words])


def bars(page):
    """The machine's average reconstruction, its KL, and its loss, in nats."""
    shown = figure(page, "machine").locator(".live-bar output").all_text_contents()
    total = figure(page, "machine").locator(".live-sum").last.text_content()
    return [number(text.split()[0]) for text in shown] + [number(re.search(r"= (−?\d+\.\d)", total)[1])]


def example(digit):
    """The page's example of a digit, (784,)."""
    (_, _), (x, y) = data.digits()
    return (x[y == digit][0] > 0.5).float()


def encoded(x, beta="1"):
    mu, log_var = live.network(f"digit {beta} encoder")(x).detach().chunk(2)
    return mu, log_var


# 1. The networks


@pytest.mark.parametrize("part", PARTS)
def test_a_network_agrees_with_pytorch(browser, part):
    (name,) = [name for name, (networks, _) in live.PARTS.items() if part in networks]
    network = live.network(part)
    generator = torch.Generator().manual_seed(1)
    if part.endswith("encoder"):
        inputs = (data.digits()[1][0][:100] > 0.5).float()
    elif name == "planes":
        inputs = live._tensor(part.replace("decoder", "held-out codes"))[:100]
    else:
        inputs = 2 * torch.randn(100, network[0].in_features, generator=generator)
    page = browser.new_page()
    program = f"{live.script()}\nconst run = networkOf(JSON.parse(weights)[part]);"
    outputs = page.evaluate(
        f"([weights, part, inputs]) => {{ {program} return inputs.map(x => [...run(Float32Array.from(x))]); }}",
        [live.weights(name), part, inputs.tolist()],
    )
    page.close()
    with torch.no_grad():
        np.testing.assert_allclose(outputs, network(inputs), atol=1e-2)


def test_half_precision_numbers_are_read_as_numpy_writes_them(browser):
    numbers = np.array([0, -0.0, 1, -1.5, 65504, 6e-8, -3e-5, 6.1e-5, 0.1, -1 / 3], np.float16)
    page = browser.new_page()
    read = page.evaluate(
        f"bytes => {{ {live.script()} return [...fromHalf(Uint8Array.from(bytes))]; }}", list(numbers.tobytes())
    )
    page.close()
    np.testing.assert_array_equal(read, numbers)


def test_draws_are_standard_normal(browser):
    page = browser.new_page()
    draws, again, other = page.evaluate(
        f"() => {{ {live.script()} return [1, 1, 2].map(seed => Array.from({{length: 20000}}, normals(seed))); }}"
    )
    page.close()
    assert draws == again != other
    draws = np.array(draws)
    assert abs(draws.mean()) < 0.03
    assert abs(draws.std() - 1) < 0.02
    assert abs(np.mean(np.abs(draws) < 1.96) - 0.95) < 0.01
    assert abs(np.mean(draws[1:] * draws[:-1])) < 0.03


def test_all_weights_are_less_than_3_megabytes(site):
    scripts = sorted((site / "_static").glob("weights_*.js"))
    assert [script.stem for script in scripts] == sorted(f"weights_{name}" for name in live.NAMES)
    assert sum(script.stat().st_size for script in scripts) < 3e6


def test_weights_are_loaded_when_their_figure_comes_near(browser, site, serve):  # noqa: F811
    long = site / "docs" / "long.html"
    source = (site / "docs" / "index.html").read_text(encoding="utf-8")
    long.write_text(
        source.replace('<div class="live live-face">', '<p style="height: 9000px"></p><div class="live live-face">')
    )
    asked = []
    address = serve(site)
    page = opened(browser, address, [])
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(f"{address}docs/long.html")
    page.wait_for_selector(".live-body.live-machine")
    assert "weights_machine.js" in asked
    assert "weights_face.js" not in asked
    page.locator(".live").last.scroll_into_view_if_needed()
    page.wait_for_selector(".live-body.live-face")
    assert asked.count("weights_face.js") == 1
    page.context.close()


# 2. The whole machine


def test_an_example_goes_through_the_whole_machine(page):
    box = figure(page, "machine")
    box.get_by_label("off", exact=True).check()
    for beta in ("1", "0.1", "8"):
        box.get_by_label(beta, exact=True).check()
        for digit in (0, 7):
            box.get_by_role("button", name=f"Example: a {digit}").click()
            x = example(digit)
            mu, log_var = encoded(x, beta)
            np.testing.assert_allclose(latents(page), np.stack([mu, (log_var / 2).exp(), mu], 1), atol=0.006)
            assert_drawn(pictures(page, "machine")[0], f"digit {beta} decoder", mu)
            cost = -log_bernoulli(x[None], live.network(f"digit {beta} decoder")(mu[None])).item()
            kl = kl_to_standard_normal(mu[None], log_var[None]).item()
            np.testing.assert_allclose(bars(page), [cost, kl, cost + float(beta) * kl], atol=0.06)


def test_draws_follow_the_encoders_gaussians(page):
    box = figure(page, "machine")
    (mu, log_var), noise = encoded(example(2)), []
    box.get_by_role("button", name="Example: a 2").click()
    for choice, scale in (("on", 1), ("twice", 2)):
        box.get_by_label(choice, exact=True).check()
        before = latents(page)[:, 2]
        for _ in range(40):
            box.get_by_role("button", name="Draw again").click()
            z = latents(page)[:, 2]
            assert (z != before).any()
            noise.append((z - mu.numpy()) / (scale * (log_var / 2).exp().numpy()))
    assert abs(np.mean(noise)) < 0.16  # 640 numbers: four standard errors
    assert abs(np.std(noise) - 1) < 0.13


def test_the_reconstruction_is_an_average_over_draws(page):
    box, x = figure(page, "machine"), example(2)
    box.get_by_role("button", name="Example: a 2").click()
    mu, log_var = encoded(x)
    noise = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0))
    for choice, scale in (("on", 1), ("twice", 2)):
        box.get_by_label(choice, exact=True).check()
        z = mu + scale * (log_var / 2).exp() * noise
        costs = -log_bernoulli(x.expand(5000, 784), live.network("digit 1 decoder")(z)).detach()
        assert abs(bars(page)[0] - costs.mean()) < 4 * costs.std() / 25**0.5
        shown = box.locator(".live-loss .live-sum").first.text_content()
        here = -log_bernoulli(x, live.network("digit 1 decoder")(torch.tensor(latents(page)[:, 2]).float())).item()
        np.testing.assert_allclose(number(re.search(r"(\d+\.\d) nats", shown)[1]), here, rtol=0.02)


def test_a_dot_that_was_dragged_does_not_stay_away_from_other_pictures(page):
    box = figure(page, "machine")
    line = box.get_by_role("slider", name="z 4", exact=True)
    for change in (
        lambda: box.get_by_role("button", name="Example: a 7").click(),
        lambda: box.get_by_role("radio", name="8").check(),
    ):
        line.focus()
        for _ in range(8):
            page.keyboard.press("PageUp")
        assert latents(page)[3, 2] == 5
        change()
        mu, sigma, z = latents(page).T
        assert (abs(z - mu) < 5 * sigma).all()


def test_a_dot_moves_by_keyboard_mouse_and_finger(page):
    box = figure(page, "machine")
    box.get_by_label("off", exact=True).check()
    box.get_by_role("button", name="Example: a 4").click()
    (mu, log_var), x = encoded(example(4)), example(4)
    line = box.get_by_role("slider", name="z 3", exact=True)
    line.focus()
    for key in ("ArrowRight", "ArrowUp", "PageDown", "ArrowLeft"):
        page.keyboard.press(key)
    mu[2] += 0.1 + 0.1 - 1 - 0.1
    np.testing.assert_allclose(latents(page)[:, 2], mu, atol=0.006)
    np.testing.assert_allclose(bars(page)[1], kl_to_standard_normal(mu[None], log_var[None]).item(), atol=0.06)
    assert_drawn(pictures(page, "machine")[0], "digit 1 decoder", mu)

    place, z = line.bounding_box(), {}
    at = lambda share: (place["x"] + share * place["width"], place["y"] + place["height"] / 2)  # noqa: E731
    page.mouse.move(*at(0.5))
    page.mouse.down()
    page.mouse.move(*at(0.8), steps=4)
    page.mouse.up()
    z["mouse"] = latents(page)[2, 2]
    page.mouse.move(*at(0.3))  # not pressed
    assert latents(page)[2, 2] == z["mouse"]
    page.touchscreen.tap(*at(0.35))
    z["finger"] = latents(page)[2, 2]
    np.testing.assert_allclose([z["mouse"], z["finger"]], [3, -1.5], atol=0.1)
    mu[2] = z["finger"]
    np.testing.assert_allclose(bars(page)[0], -log_bernoulli(x, live.network("digit 1 decoder")(mu)).item(), rtol=0.02)


def test_mean_and_standard_deviation_are_taken_hold_of(page):
    box = figure(page, "machine")
    box.get_by_role("slider", name="z 5", exact=True).focus()
    box.get_by_role("slider", name="σ of z5").fill("1.5")
    box.get_by_role("slider", name="μ of z5").fill("-2")
    np.testing.assert_allclose(latents(page)[4, :2], [-2, 1.5])
    box.get_by_role("button", name="Set μ to 0, σ to 1").click()
    np.testing.assert_allclose(latents(page)[:, :2], [[0, 1]] * 8)
    assert bars(page)[1] == 0
    box.get_by_role("button", name="Reset μ, σ").click()
    assert bars(page)[1] > 5


def test_a_digit_is_drawn_by_mouse_keyboard_and_finger(page):
    box = figure(page, "machine")
    sheet = box.get_by_role("application")
    box.get_by_label("off", exact=True).check()

    def ink():
        return greys(sheet).reshape(28, 28) > 127  # a pixel below the pen is grey

    def agrees():
        mu, log_var = encoded(torch.tensor(ink()).flatten().float())
        np.testing.assert_allclose(bars(page)[1], kl_to_standard_normal(mu[None], log_var[None]).item(), atol=0.06)

    box.get_by_role("button", name="Clear").click()
    assert not ink().any()
    agrees()
    sheet.scroll_into_view_if_needed()
    place = sheet.bounding_box()

    def at(row, column):
        pixel = place["width"] / 28
        return place["x"] + (column + 0.5) * pixel, place["y"] + (row + 0.5) * pixel

    page.mouse.move(*at(5, 14))
    page.mouse.down()
    page.mouse.move(*at(20, 14), steps=3)
    page.mouse.up()
    rows, columns = np.nonzero(ink())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 21, 14, 15)
    agrees()
    for key in ("Space", *["ArrowLeft"] * 4, "Space"):
        page.keyboard.press(key)
    assert ink()[20, 10:14].all()
    agrees()
    before = ink()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert (ink() == before).all()  # the pen is up
    page.keyboard.press("Delete")
    assert not ink().any()
    page.touchscreen.tap(*at(8, 8))
    assert ink()[8:10, 8:10].all()
    assert ink().sum() == 4
    agrees()
    box.get_by_role("button", name="Example: a 3").click()
    assert (ink().ravel() == example(3).bool().numpy()).all()
    page.touchscreen.tap(*at(8, 8))  # the first stroke replaces an example
    assert ink().sum() == 4


def test_the_first_page_says_what_beta_trades():
    text = (live.FOLDER.parents[1] / "docs" / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d.]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M)
    assert [row[0] for row in rows] == ["0.1", "1", "8"]
    x = (data.digits()[1][0] > 0.5).float()
    noise = torch.randn(len(x), 8, generator=torch.Generator().manual_seed(0))
    for beta, *shown in rows:
        with torch.no_grad():
            mu, log_var = live.network(f"digit {beta} encoder")(x).chunk(2, 1)
            sigma = (log_var / 2).exp()
            cost = -log_bernoulli(x, live.network(f"digit {beta} decoder")(mu + sigma * noise)).mean().item()
        found = [cost, kl_to_standard_normal(mu, log_var).mean().item(), sigma.mean().item()]
        np.testing.assert_allclose([float(n) for n in shown], found, atol=0.06, rtol=0.01)


# 3. Two planes, and a face


def plane(page, k):
    """Of the figure's autoencoder (0) or VAE (1): the point as shares of the plane, and its eleven pictures."""
    handles = figure(page, "planes").locator(".live-side").nth(k).get_by_role("slider").all()
    drawn = pictures(page, "planes")[12 * k + 1 : 12 * k + 12]  # the first is the true digit
    return torch.tensor([float(handle.input_value()) for handle in handles]), drawn


def ends(name):
    """The lower ends and the lengths of a plane's axes."""
    codes = live._tensor(f"{name} codes")
    low, high = codes.min(0).values, codes.max(0).values
    return low - 0.05 * (high - low), 1.1 * (high - low)


def test_both_points_go_to_the_codes_of_a_digit_and_their_neighbours(page):
    box = figure(page, "planes")
    eps = page.evaluate(f"() => {{ {live.script()} return Array.from({{length: 20}}, normals(2)); }}")
    eps = torch.tensor(eps).reshape(10, 2)
    for when, label in (("best", "to their best epoch"), ("late", "for 450 epochs")):
        box.get_by_label(label).check()
        for digit in (6, 1):
            box.get_by_role("button", name=f"Example: a {digit}").click()
            for radius in ("0", "0.5"):
                box.get_by_role("slider", name="Nudge").fill(radius)
                for k, kind in enumerate(("plain", "vae")):
                    z = live._tensor(f"{kind} {when} examples")[digit]
                    low, length = ends(f"{kind} {when}")
                    share, drawn = plane(page, k)
                    np.testing.assert_allclose(share, (z - low) / length, atol=0.003)
                    assert_drawn(drawn[0], f"{kind} {when} decoder", z)
                    cost = -log_bernoulli(example(digit), live.network(f"{kind} {when} decoder")(z)).item()
                    words = box.locator(".live-side").nth(k).locator(".live-sum").text_content()
                    shown = [float(nats) for nats in re.findall(r"(\d+) nats", words)]
                    assert abs(shown[0] - cost) < 1
                    assert shown[1] == shown[0] if radius == "0" else shown[1] > shown[0]
                    factor = torch.linalg.cholesky(live._tensor(f"{kind} {when} codes").T.cov())
                    for near, e in zip(drawn[1:], eps, strict=True):
                        expected = live.network(f"{kind} {when} decoder")(z + float(radius) * factor @ e).sigmoid()
                        assert np.abs(near - 255 * expected.detach().numpy()).max() < 3
        np.testing.assert_array_equal(pictures(page, "planes")[0], 255 * example(1))
        np.testing.assert_array_equal(pictures(page, "planes")[12], 255 * example(1))
    before = plane(page, 0)[0]
    box.get_by_role("button", name="Random place").click()
    assert (plane(page, 0)[0] != before).all()
    np.testing.assert_allclose(plane(page, 0)[0], plane(page, 1)[0], atol=0.006)


def test_ten_points_are_spread_as_all_codes_are(browser):
    codes = live._tensor("plain late codes")
    page = browser.new_page()
    [a], [b, c] = page.evaluate(f"points => {{ {live.script()} return choleskyOf(points); }}", codes.flatten().tolist())
    page.close()
    np.testing.assert_allclose([[a, 0], [b, c]], torch.linalg.cholesky(codes.T.cov()), rtol=1e-4, atol=1e-4)


def test_a_point_moves_by_keyboard_mouse_and_finger(page):
    for k, kind in enumerate(("plain", "vae")):
        low, length = ends(f"{kind} best")
        canvas = figure(page, "planes").locator(".live-plane").nth(k)
        canvas.scroll_into_view_if_needed()
        place = canvas.bounding_box()
        at = {
            name: (place["x"] + x * place["width"], place["y"] + (1 - y) * place["height"])
            for name, (x, y) in {"from": (0.5, 0.5), "to": (0.3, 0.6), "finger": (0.7, 0.4)}.items()
        }
        page.mouse.move(*at["from"])
        page.mouse.down()
        page.mouse.move(*at["to"])
        page.mouse.up()
        share, drawn = plane(page, k)
        np.testing.assert_allclose(share, [0.3, 0.6], atol=0.006)
        expected = 255 * live.network(f"{kind} best decoder")(low + torch.tensor([0.3, 0.6]) * length).sigmoid()
        assert np.abs(drawn[0] - expected.detach().numpy()).mean() < 3  # a pixel of the plane is 1/300
        page.touchscreen.tap(*at["finger"])
        np.testing.assert_allclose(plane(page, k)[0], [0.7, 0.4], atol=0.006)
        handle = figure(page, "planes").locator(".live-side").nth(k).get_by_role("slider").first
        handle.focus()
        page.keyboard.press("ArrowRight")
        np.testing.assert_allclose(plane(page, k)[0], [0.705, 0.4], atol=0.006)
        assert (plane(page, k)[1][0] != drawn[0]).any()


def test_the_first_page_says_what_a_nudge_costs():
    text = (live.FOLDER.parents[1] / "docs" / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (plain autoencoder|VAE), (best|450) epochs? \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    assert [row[:2] for row in rows] == [
        (kind, when) for when in ("best", "450") for kind in ("plain autoencoder", "VAE")
    ]
    x = (data.digits()[1][0] > 0.5).float()
    for kind, when, *shown in rows:
        name = f"{'vae' if kind == 'VAE' else 'plain'} {'late' if when == '450' else 'best'}"
        codes, factor = (
            live._tensor(f"{name} held-out codes"),
            torch.linalg.cholesky(live._tensor(f"{name} codes").T.cov()),
        )
        generator = torch.Generator().manual_seed(0)
        for radius, cost in zip((0, 0.1, 0.3), shown, strict=True):
            with torch.no_grad():
                nudged = [codes + radius * torch.randn(codes.shape, generator=generator) @ factor.T for _ in range(10)]
                costs = [-log_bernoulli(x, live.network(f"{name} decoder")(z)).mean() for z in nudged]
            assert abs(sum(costs) / 10 - float(cost)) < 1


def test_a_face_is_the_decoders_of_ten_numbers_and_two_vectors(page):
    box = figure(page, "face")
    people, smile, glasses = (live._tensor(f"face {name}") for name in ("people", "smile", "glasses"))
    assert_drawn(pictures(page, "face")[0], "face decoder", people[0])
    box.get_by_role("button", name="Next person").click()
    z = people[1].clone()
    box.get_by_role("slider", name="glasses").fill("1.5")
    assert_drawn(pictures(page, "face")[0], "face decoder", z + 1.5 * glasses)
    box.get_by_role("slider", name="smile").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert_drawn(pictures(page, "face")[0], "face decoder", z + 1.5 * glasses - 0.2 * smile)
    place = box.get_by_role("slider", name="z10").bounding_box()
    page.touchscreen.tap(place["x"] + 0.25 * place["width"], place["y"] + place["height"] / 2)
    z[9] = float(box.get_by_role("slider", name="z10").input_value())
    assert -4.5 < z[9] < -2.5
    assert_drawn(pictures(page, "face")[0], "face decoder", z + 1.5 * glasses - 0.2 * smile)
    for name in ("z from N(0, I)", "z from where people's z lie"):
        before = pictures(page, "face")[0]
        box.get_by_role("button", name=name).click()
        assert (pictures(page, "face")[0] != before).any()
        assert [float(box.get_by_role("slider", name=vector).input_value()) for vector in ("smile", "glasses")] == [
            0,
            0,
        ]


# 4. For everyone


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1366, "height": 768}], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_easy_to_use_and_to_see(site, serve, browser, troubles, viewport, scheme):  # noqa: F811
    address = serve(site)
    page = opened(browser, address, troubles, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{address}docs/index.html")
    settle(page)
    for element in page.locator(".live").all():
        element.scroll_into_view_if_needed()
    for name in live.NAMES:
        page.wait_for_selector(f".live-body.live-{name}")
    assert not too_wide(page)
    assert page.evaluate("() => document.getAnimations().filter(one => one.effect.target.closest('.live')).length") == 0
    assert not hard_to_use(page)
    assert not hard_to_see(page)
    page.context.close()


def test_a_figure_without_its_weights_says_so(browser, site, serve):  # noqa: F811
    address = serve(site)
    page = opened(browser, address, [])
    page.route("**/weights_*", lambda route: route.abort())
    page.goto(f"{address}docs/index.html")
    page.locator(".live >> nth=0").get_by_role("alert").wait_for()
    page.context.close()


# 5. In JupyterLab


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """A notebook with the face, run, whose kernel then ends."""
    cells = [nbformat.v4.new_code_cell("from vae_lessons.live import live_figure\nlive_figure('face')")]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), lab.folder / "notebooks" / "live.ipynb")
    opened_there = Lesson(lab, browser, "live")
    opened_there.page.wait_for_selector(".live-body.live-face")
    lab.shut_kernels()
    until(lambda: not lab.ask("kernels"))
    yield opened_there
    opened_there.page.close()


def test_a_face_follows_in_jupyterlab_without_its_kernel(notebook):
    people, glasses = live._tensor("face people"), live._tensor("face glasses")
    assert_drawn(pictures(notebook.page, "face")[0], "face decoder", people[0])
    figure(notebook.page, "face").get_by_role("slider", name="glasses").fill("1")
    assert_drawn(pictures(notebook.page, "face")[0], "face decoder", people[0] + glasses)
