"""Every lesson in a real JupyterLab: its figures respond to keyboard and mouse, and show the right numbers."""

import math
import random

import numpy as np
import pytest
from lab import until
from scipy import optimize, stats

# What each figure must show: functions of its controls' values, the numbers in its sentence, and its whole state


def close(numbers, expected, decimals=2, rtol=0.0):
    """Check numbers that are printed with so many decimals, within a further relative tolerance."""
    np.testing.assert_allclose(numbers, expected, atol=0.51 * 10.0**-decimals, rtol=rtol)


def locate(pixels, colour):
    """The rows and columns where the picture has a colour."""
    return np.where((np.abs(pixels - np.array(colour)) < 12).all(-1))


def unmoved(pixels, value, shown):
    """Check that a part of the picture is what it was when the figure's first control had the same value."""
    change = np.abs(pixels - shown.seen.setdefault(value, pixels)).max()
    assert change == 0, f"for {shown.values}, where it says {shown.sentence!r}, up to {change} of 255"


def ellipse(values, numbers, shown):
    rho, sigma_1, sigma_2 = values["rho"], values["sigma 1"], values["sigma 2"]
    entries = [sigma_1, rho * sigma_2, sigma_2 * math.sqrt(1 - rho**2)]
    close(
        np.array(numbers)[[0, 2, 3, 4, 5, 6]],
        [*entries, entries[0] * entries[2], math.hypot(sigma_1, entries[1]), entries[2]],
    )
    rows, columns = locate(shown.pixels(), (0, 114, 178))
    half_width, half_height = np.ptp(columns) / 2, np.ptp(rows) / 2
    np.testing.assert_allclose(half_width / half_height, sigma_1 / sigma_2, rtol=0.1)
    top = columns[rows == rows.min()].mean() - (columns.min() + columns.max()) / 2
    np.testing.assert_allclose(top / half_width, rho, atol=0.12)


def gradients(values, numbers, shown):
    mu, sigma, h = values["mu"], values["sigma"], 0.1
    close(numbers[0], 2 * mu, 1)
    score = (mu**4 + 18 * mu**2 * sigma**2 + 15 * sigma**4) / sigma**2 - 4 * mu**2
    differences = (2 * (mu**2 + h**2) * sigma**2 + sigma**4) / h**2
    close(numbers[1], 2 * sigma, rtol=0.05)
    close(numbers[2:], np.sqrt([score, differences]), rtol=0.15)


def pull(values, numbers, shown):
    mu, sigma = values["mu"], values["sigma"]
    close(numbers, [0.5 * (mu**2 + sigma**2 - 1 - math.log(sigma**2)), -mu, 1 / sigma - sigma])


def chord(values, numbers, shown):
    low, weight = values["smaller"], values["weight of 2"]
    log_mean = math.log((1 - weight) * low + weight * 2)
    mean_log = (1 - weight) * math.log(low) + weight * math.log(2)
    close(numbers[:3], [log_mean, mean_log, log_mean - mean_log])


def gap(values, numbers, shown):
    z = np.linspace(-12, 12, 20_001)
    q = stats.norm(values["mean of q"], values["width of q"])
    log_joint = stats.norm.logpdf(z) + stats.norm.logpdf(0.8, np.tanh(3 * z), 0.4)
    log_p_x = math.log(np.trapezoid(np.exp(log_joint), z))
    elbo = np.trapezoid(q.pdf(z) * (log_joint - q.logpdf(z)), z)
    close(numbers, [elbo, log_p_x - elbo, log_p_x, log_p_x], rtol=0.01)


def losses(values, numbers, shown):
    target, sigma = values["target"], values["sigma"]

    def continuous(a):
        return math.log(math.expm1(a) / a) - a * target

    lowest = 0.0 if target == 0.5 else optimize.minimize_scalar(continuous, bounds=(-50, 50.1), method="bounded").fun
    close(numbers, [stats.entropy([target, 1 - target]), lowest, 0.5 * math.log(2 * math.pi * sigma**2)])


def balance(values, numbers, shown):
    beta, rate, distortion, elbo = numbers
    assert beta == values["beta"]
    close(elbo, -distortion - rate, 0)
    shown.seen[beta] = rate, distortion
    points = np.array([shown.seen[beta] for beta in sorted(shown.seen)])
    assert (np.diff(points[:, 0]) < 0).all()  # a higher price per nat, fewer nats
    assert (np.diff(points[:, 1]) > 0).all()


def perturbed(values, numbers, shown):
    assert numbers[:3] == [values["face"], values["latent"], values["steps"]]
    assert abs(numbers[3]) <= 1
    pixels = shown.pixels()
    unmoved(pixels[:, : int(0.24 * pixels.shape[1])], values["face"], shown)  # the left one of the two faces


def live_digit(values, numbers, shown):
    close(numbers[:2], [values["z1"], values["z2"]], 1)
    pixels = shown.pixels()
    right = np.arange(pixels.shape[1]) > 0.56 * pixels.shape[1]  # only the digit, on white
    inside = np.argwhere((pixels.mean(-1) < 250) & right)
    (top, left), (bottom, right) = inside.min(0), inside.max(0)
    ink = 784 * pixels[top : bottom + 1, left : right + 1].mean() / 255
    np.testing.assert_allclose(ink, numbers[2], rtol=0.05, atol=3)


def sent_through(values, numbers, shown):
    sheet = shown.sheet
    if sheet.any():
        shift = [14 - np.average(range(28), weights=sheet.sum(axis)) for axis in (1, 0)]
        if np.abs(shift).max() > 1.5:
            sheet = np.roll(sheet, np.round(shift).astype(int), axis=(0, 1))
    pixels = shown.pixels().mean(-1)
    right = pixels[len(pixels) // 8 :, int(0.38 * pixels.shape[1]) :]  # three pictures, without their titles
    dark = right < 250
    left = np.flatnonzero(dark.any(0))[0]
    right = right[:, left : left + np.flatnonzero(~dark.any(0)[left:])[0]]
    right = right[(right < 250).any(1)]
    rows, columns = (((np.arange(28) + 0.5) / 28 * size).astype(int) for size in right.shape)
    np.testing.assert_array_equal(right[np.ix_(rows, columns)] > 127, sheet)
    (few, log_p, many, elbo, bound), (lower, digit, votes, of) = numbers[:5], numbers[5:]
    assert (few, many, of) == (2, 20, 10)
    assert log_p < 0
    assert elbo <= bound < 0
    assert 0 <= lower <= 100
    assert digit in range(10)
    assert votes in range(1, 11)


def edited(values, numbers, shown):
    assert numbers[0] == values["face"]
    smile, glasses = numbers[1:3], numbers[3:5]
    pixels = shown.pixels()
    unmoved(np.array_split(pixels[: int(0.6 * len(pixels))], 3, axis=1)[0], values["face"], shown)
    if values["smile"] == 2:
        assert smile[1] > smile[0]
    if values["glasses"] == 2:
        assert glasses[1] > 0.5
    if values["glasses"] == -2:
        assert glasses[1] < 0.5


def bound(values, numbers, shown):
    k, mean, truth = numbers
    assert k == values["K"]
    assert f"{values['digit']} digit" in shown.sentence
    assert mean < truth + 0.3
    seen = shown.seen.setdefault(values["digit"], {})
    seen[k] = mean
    assert (np.diff([seen[k] for k in sorted(seen)]) > 0).all()  # the bound never falls with K


def person(values, numbers, shown):
    assert numbers[0] == values["person"]
    (smile, glasses), pixels = (numbers[1:3], numbers[3:5]), shown.pixels()
    unmoved(np.array_split(pixels[: int(0.6 * len(pixels))], 3, axis=1)[0], values["person"], shown)
    assert all(0 <= probability <= 1 for probability in numbers[1:])
    if values["eyeglasses"] == 2:
        assert glasses[1] > 0.5
    if values["eyeglasses"] == -2:
        assert glasses[1] < 0.5
    if all(values[name] == 0 for name in ("smiling", "eyeglasses", "beard", "long_hair")):
        assert smile[0] == smile[1]


def means(values, numbers, shown):
    side, latents = values["side"], values["latents"]
    assert numbers[:3] == [side, side, latents]
    close(numbers[3:], [side**2 / latents] * 2)


SHOWS = {
    "02": [ellipse],
    "03": [gradients],
    "04": [pull],
    "05": [chord, gap],
    "06": [losses],
    "07": [balance],
    "08": [perturbed, live_digit],
    "09": [edited],
    "10": [bound, sent_through],
    "11": [person],
    "12": [means],
}


@pytest.fixture(scope="session")
def figures(lesson):
    """Pairs of a figure and the function that checks it."""
    return list(zip(lesson.figures, SHOWS.get(lesson.name[:2], []), strict=True))


def settles(figure, shows):
    """Wait until the figure shows the right numbers for the values of its controls."""

    def check():
        shown = figure.shown()
        figure.page.wait_for_timeout(200)  # a new picture comes just before its sentence: both have to be there
        later = figure.shown()
        if (later.values, later.sentence, later.png) != (shown.values, shown.sentence, shown.png):
            raise AssertionError("still moving")  # pytest would take minutes to compare two pictures byte by byte
        shows(shown.values, shown.numbers, shown)

    until(check)


def test_the_lesson_runs_without_an_error(lesson, figures):
    cells = [cell for cell in lesson.saved().cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert not lesson.complaints
    for figure, shows in figures:
        settles(figure, shows)


def test_every_control_and_picture_has_a_name(lesson):
    def named(role, box, names, elements):
        """Check that the box has exactly these elements of the role, by their accessible names."""
        assert box.locator(elements).count() == len(names)
        for name in names:
            assert name.strip()
            assert box.get_by_role(role, name=name, exact=True).count() == 1

    for box in lesson.page.locator(".widget-vbox:has(.widget-radio-box)").all():
        question = box.locator(".widget-html-content").text_content().removeprefix("Your prediction. ")
        named("radiogroup", box, [question], ".widget-radio-box")
        named("radio", box, box.locator(".widget-radio-box label").all_text_contents(), "input")
    for figure in lesson.figures:
        for role, control, element in (
            ("slider", ".widget-slider", ".noUi-handle"),
            ("group", ".widget-toggle-buttons", ".widget-toggle-buttons"),
        ):
            labels = figure.box.locator(f"{control} > .widget-label").all_text_contents()
            named(role, figure.box, labels, element)
        alt = figure.image.get_attribute("alt")
        assert len(alt.split()) >= 8
        named("img", figure.box, [alt], "img")


def test_predictions_are_made_with_the_keyboard(lesson):
    for group in lesson.page.get_by_role("radiogroup").all():
        radios = group.get_by_role("radio").all()
        radios[0].focus()
        lesson.page.keyboard.press("Space")
        until(radios[0].is_checked)
        lesson.page.keyboard.press("ArrowDown")
        until(radios[1].is_checked)


def test_tab_reaches_every_slider(lesson):
    for figure in lesson.figures:
        names = list(figure.handles)
        if not names:
            continue  # a drawing sheet
        figure.handles[names[0]].focus()
        reached = [names[0]]
        for _ in range(2 * len(names)):
            lesson.page.keyboard.press("Tab")
            reached.append(lesson.page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert [name for name in reached if name in names] == names


def test_keys_move_the_figure(lesson, figures):
    for figure, shows in figures:
        for name in list(figure.handles)[:3]:
            start, before = figure.value(name), figure.still()
            figure.press(name, "ArrowUp")
            assert figure.value(name) > start
            settles(figure, shows)
            until(lambda figure=figure, before=before: figure.png() != before)
            figure.press(name, "ArrowLeft")
            assert figure.value(name) == start
            settles(figure, shows)
            until(lambda figure=figure, before=before: figure.png() == before)
            for key in ("End", "Home"):
                figure.press(name, key)
                settles(figure, shows)
            while figure.value(name) < start:
                figure.press(name, "ArrowRight")
            until(lambda figure=figure, before=before: figure.png() == before)
    assert not lesson.complaints


def test_buttons_move_the_figure(lesson, figures):
    for figure, shows in figures:
        for button in figure.box.locator(".widget-toggle-button").all():
            button.focus()
            lesson.page.keyboard.press("Space")
            assert button.get_attribute("aria-pressed") == "true"
            settles(figure, shows)


def test_digits_are_drawn_with_the_mouse_and_with_keys(lesson, figures):
    for figure, shows in figures:
        for sheet in figure.box.get_by_role("application", name="Your digit").all():
            before = figure.still()
            figure.box.get_by_role("button", name="Clear").click()
            settles(figure, shows)
            assert not figure.shown().sheet.any()
            box, mouse = sheet.bounding_box(), lesson.page.mouse
            mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.2 * box["height"])
            mouse.down()
            mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
            mouse.up()
            settles(figure, shows)
            rows, columns = np.nonzero(figure.shown().sheet)
            assert np.ptp(rows) >= 15
            assert np.ptp(columns) == 1
            mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])  # not pressed: nothing is drawn
            sheet.focus()
            for key in ("Space", *["ArrowLeft"] * 8, "Space", "ArrowUp"):
                lesson.page.keyboard.press(key)
            settles(figure, shows)
            _, columns = np.nonzero(figure.shown().sheet)
            assert np.ptp(columns) == 9
            assert "pen up" in figure.box.locator("output").text_content()
            assert figure.still() != before
            lesson.page.keyboard.press("Delete")
            settles(figure, shows)
            assert not figure.shown().sheet.any()
    assert not lesson.complaints


def test_a_fast_drag_ends_at_the_last_value(lesson, figures):
    generator = random.Random(0)
    for figure, shows in figures:
        for name in list(figure.handles)[:3]:
            for part in (0.0, 1.0, generator.uniform(0.3, 0.7)):
                figure.drag(name, part)
            value = figure.value(name)
            settles(figure, shows)
            figure.press(name, "ArrowLeft")
            settles(figure, shows)
            assert figure.value(name) < value
            before = figure.still()
            figure.press(name, *["ArrowRight", "ArrowLeft"] * 10)  # the same value gives the same picture
            settles(figure, shows)
            until(lambda figure=figure, before=before: figure.png() == before)
    assert not lesson.complaints
