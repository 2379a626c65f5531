import asyncio
import base64
import io
import itertools

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client.manager import run_kernel
from PIL import Image

from vae_lessons import plotting, widgets

ALT = "Two rows of grey squares, the upper row darker than the lower one."


@pytest.fixture
def shown(monkeypatch):
    outputs = []
    for module in (plotting, widgets):
        monkeypatch.setattr(module, "display", lambda data, **options: outputs.append((data, options)))
    return outputs


def test_pictures_are_laid_out_in_reading_order():
    pictures = np.arange(5)[:, None, None] * np.ones((5, 2, 2))
    sheet = plotting.image_grid(pictures, columns=3)
    assert sheet.shape == (2 * 4 - 2, 3 * 4 - 2)
    assert [sheet[0, 0], sheet[0, 4], sheet[0, 8], sheet[4, 0], sheet[4, 4]] == [0, 1, 2, 3, 4]
    assert np.isnan(sheet[4, 8])
    assert np.isnan(sheet[2:4]).all()


def test_flat_pictures_are_taken_as_squares():
    picture = np.arange(9.0)
    assert np.array_equal(plotting.image_grid(picture[None]), picture.reshape(3, 3))


@pytest.mark.parametrize("shape", [(4, 10), (9,), (0, 9), (1, 2, 3, 4)])
def test_other_shapes_are_named(shape):
    with pytest.raises(ValueError, match=r"pictures: expected \(N, H \* W\)"):
        plotting.images(np.zeros(shape))


def test_a_figure_leaves_with_its_text_alternative(shown):
    figure, ax = plt.subplots()
    plotting.images(np.zeros((4, 9)), ax=ax, columns=2)
    plotting.show(figure, ALT)
    (picture, options), (words, _) = shown
    assert picture["image/png"].startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == ALT
    assert ALT in words["text/html"]
    assert ALT in words["text/plain"]
    assert not plt.fignum_exists(figure.number)


def test_rows_can_be_labelled():
    ax = plotting.images(np.zeros((6, 4)), columns=3, row_labels=["true", "drawn"])
    assert [text.get_text() for text in ax.texts] == ["true", "drawn"]
    assert ax.texts[0].get_position()[1] < ax.texts[1].get_position()[1]
    with pytest.raises(ValueError, match="row_labels: expected 2, one for each row, got 1"):
        plotting.images(np.zeros((6, 4)), columns=3, row_labels=["true"])


@pytest.mark.parametrize("alt", ["", "Loss curve"])
def test_a_title_is_no_text_alternative(alt):
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        plotting.show(plt.figure(), alt)


def test_each_class_gets_its_own_marker_and_name():
    _, ax = plt.subplots()
    plotting.scatter_classes(np.random.RandomState(0).randn(30, 2), np.arange(30) % 10, ax=ax)
    assert [text.get_text() for text in ax.texts] == [str(d) for d in range(10)]
    assert len(ax.collections) == 10
    assert len({path.get_paths()[0].vertices.tobytes() for path in ax.collections}) == 10


def test_points_and_labels_must_fit():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"expected \(N, 2\) and \(N,\), got \(3, 2\) and \(4,\)"):
        plotting.scatter_classes(np.zeros((3, 2)), np.zeros(4), ax=ax)


def test_a_prediction_compares_the_pick_with_the_measurement(capsys):
    guess = widgets.Prediction("Which way?", ["up", "down"])
    guess.reveal("down")
    assert "made no prediction" in capsys.readouterr().out
    guess.buttons.value = "down"
    guess.reveal("down")
    assert "You predicted just that." in capsys.readouterr().out
    guess.buttons.value = "up"
    guess.reveal("down")
    assert "You predicted: up." in capsys.readouterr().out


def test_a_prediction_reads_without_a_kernel(shown):
    widgets.Prediction("Which way?", ["up", "down"]).ask()
    [(bundle, _)] = shown
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "Your prediction. Which way?\n  ( ) up\n  ( ) down"


def test_a_prediction_needs_choices_and_answers_with_one_of_them():
    with pytest.raises(ValueError, match="choices: expected at least two different answers"):
        widgets.Prediction("Which way?", ["up", "up"])
    with pytest.raises(ValueError, match="measured: expected one of"):
        widgets.Prediction("Which way?", ["up", "down"]).reveal("sideways")


def slope_figure(figure, slope):
    figure.subplots().plot([0, 1], [0, slope])
    if slope == 5:
        raise ZeroDivisionError("slope: 5 < 6 has no inverse")
    return f"A line of slope {slope}."


STILLS = [{"slope": value} for value in (0, 1, 2, 3, 4)]


def explored(monkeypatch, draw=slope_figure, **changed):
    """What stands in the box: the slider, the picture, the sentence, the hidden names."""
    boxes, vbox = [], ipw.VBox
    monkeypatch.setattr(ipw, "VBox", lambda children: boxes.append(vbox(children)) or boxes[-1])
    options = {"stills": STILLS, "alt": ALT, "slope": ipw.IntSlider(description="slope", max=1000)} | changed
    widgets.explore(draw, **options)
    return boxes[0].children


async def move(slider, values):
    """Set values as messages to a kernel do, and wait until the newest must have been drawn."""
    for value in values:
        slider.value = value
        await asyncio.sleep(0)
    await asyncio.sleep(2 * widgets.LONGEST)


def test_a_picture_and_its_words_follow_the_slider(shown, monkeypatch):
    slider, picture, words, names = explored(monkeypatch)
    first = picture.value
    assert bytes(first).startswith(b"\x89PNG")
    assert "A line of slope 0." in words.value
    slider.value = 2
    assert picture.value != first
    assert "A line of slope 2." in words.value
    slider.value = 0
    assert picture.value == first
    assert names.text == ALT


def many_things(figure, slope):
    """A line, an image, bars that widen the axes, legends, ticks and a title that change, axes that are off."""
    left, right, third = figure.subplots(1, 3)
    left.plot([0, 1], [0, slope], label="line", zorder=3)
    left.fill_between([0, 1], [0, slope], alpha=0.5)
    left.set(ylim=(0, 4), title=f"slope {slope // 2}")
    left.legend(loc="upper left")
    right.imshow(np.arange(8).reshape(4, 2) + slope, vmin=0, vmax=20)
    right.annotate("here", (0, 0), (1, 2 + slope / 10), arrowprops={"arrowstyle": "->"})
    right.set_xticks([0, 1], ["a", "b" if slope < 3 else "c"])
    figure.text(0.5, 0.05, f"slope {slope}")
    figure.legend(labels=["below" if slope < 5 else "steep"], loc="outside lower left")
    third.bar([0, 1], [1 + slope // 3, 2 + slope // 3], color="C1")
    if slope < 4:
        third.set_xlabel("all")
    return f"Slope {slope}."


def differs(picture, draw, slope, first):
    """The part of the pixels that are not what matplotlib draws; the layout is that of the first picture."""
    pixels = np.asarray(Image.open(io.BytesIO(picture.value)).convert("RGB")).astype(int)
    figure = plt.figure(figsize=(8, 3))
    draw(figure, first)
    figure.draw_without_rendering()
    places = [ax.get_position() for ax in figure.axes]
    figure.clear()
    figure.set_layout_engine("none")
    draw(figure, slope)
    for ax, place in zip(figure.axes, places, strict=True):
        ax.set_position(place)
    figure.canvas.draw()
    whole = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    plt.close(figure)
    assert pixels.shape == whole.shape
    return (pixels != whole).any(-1).mean()


def test_pictures_are_what_matplotlib_draws_whatever_came_before(shown, monkeypatch):
    slider, picture, _, _ = explored(monkeypatch, many_things, size=(8, 3))
    for slope in (1, 2, 3, 4, 5, 6, 2, 0):
        slider.value = slope
        # but for ticks' ends: what stands in the axes lies above them
        assert differs(picture, many_things, slope, 0) < 0.0005, slope


def some_axes(figure, slope):
    """As many axes as the slope says, where it is below 3."""
    if slope < 3:
        for ax in figure.subplots(1, slope, squeeze=False)[0] if slope else []:
            ax.plot([0, 1], [0, slope])
    else:
        figure.text(0.5, 0.95, f"slope {slope}")
        figure.subplots().plot([0, 1], [0, slope])
    return f"Slope {slope}."


def test_axes_made_ahead_are_taken_only_where_they_fit(shown, monkeypatch):
    stills = [{"slope": 1}]
    slider, picture, _, _ = explored(monkeypatch, some_axes, size=(8, 3), stills=stills)
    for slope, first in ((1, 1), (2, 2), (2, 2), (0, 0), (0, 0), (3, 3), (4, 3), (2, 2), (1, 1)):
        asyncio.run(move(slider, [slope]))
        assert differs(picture, some_axes, slope, first) == 0, slope


def test_axes_are_made_ahead(shown, monkeypatch):
    ready = []

    def draw(figure, slope):
        ready.append(getattr(figure, "made", None) is not None)
        return slope_figure(figure, slope)

    slider, _, _, _ = explored(monkeypatch, draw)
    for slope in (1, 2, 3):
        asyncio.run(move(slider, [slope]))
    assert ready[-2:] == [True, True]


def test_values_that_queue_up_are_not_drawn_one_by_one(shown, monkeypatch):
    drawn = []

    def draw(figure, slope):
        drawn.append(slope)
        return slope_figure(figure, slope)

    slider, _, words, _ = explored(monkeypatch, draw)
    drawn.clear()

    asyncio.run(move(slider, range(100, 300)))
    assert len(drawn) <= 20  # one, unless the machine was busy
    assert "A line of slope 299." in words.value


def test_the_picture_follows_a_drag_that_never_pauses(shown, monkeypatch):
    monkeypatch.setattr(widgets, "QUIET", 1000)
    slider, _, words, _ = explored(monkeypatch)

    seen = set()

    async def drag():
        for value in itertools.count(100):
            slider.value = value % 1000
            await asyncio.sleep(0.001)
            seen.add(words.value)
            if len(seen) == 3:  # the first, that after the pause before, and one of the drag
                return

    asyncio.run(asyncio.wait_for(drag(), 60))


IN_A_KERNEL = """
import time, ipywidgets
from vae_lessons.widgets import explore

def draw(figure, slope):
    time.sleep(0.1)
    return f"A line of slope {slope}."

slider = ipywidgets.IntSlider(description="slope", max=1000)
explore(draw, slope=slider, stills=[{"slope": 0}], alt="A line through the origin, steeper as slope grows.")
"""


def test_a_kernel_draws_the_newest_of_the_values_that_queue_up(monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    with run_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"]) as client:
        client.execute_interactive(IN_A_KERNEL, timeout=60)
        reply = client.execute_interactive("", user_expressions={"id": "slider.model_id"}, timeout=60)
        slider = reply["content"]["user_expressions"]["id"]["data"]["text/plain"].strip("'")
        for value in range(1, 201):
            data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
            client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": slider, "data": data}))
        drawn = 0
        while "A line of slope 200." not in (text := str(client.get_iopub_msg(timeout=60)["content"])):
            drawn += "A line of slope" in text
    assert drawn < 40  # two or so, unless the machine is busy


def test_an_error_in_drawing_is_shown(shown, monkeypatch):
    slider, _, words, _ = explored(monkeypatch)

    asyncio.run(move(slider, [5]))
    assert words.value == "<p><b>ZeroDivisionError</b>: slope: 5 &lt; 6 has no inverse</p>"
    asyncio.run(move(slider, [6]))
    assert "A line of slope 6." in words.value
    with pytest.raises(ZeroDivisionError):
        slider.value = 5
    with pytest.raises(ZeroDivisionError):
        explored(monkeypatch, stills=[{"slope": 5}])


def test_a_reader_without_a_kernel_sees_stills(shown, monkeypatch):
    explored(monkeypatch)
    (figure, options), (words, _) = shown
    assert "application/vnd.jupyter.widget-view+json" in figure
    assert "controls for slope" in figure["text/plain"]
    assert figure["image/png"].startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == ALT
    assert ALT in words["text/html"]


def test_a_browser_s_rounding_is_not_drawn(shown, monkeypatch):
    slider, _, words, _ = explored(monkeypatch, slope=ipw.FloatSlider(description="slope"))
    slider.value = 2.000000000000001
    assert "A line of slope 2.0." in words.value


def test_every_still_can_be_taken_out_as_a_figure(shown, monkeypatch):
    explored(monkeypatch)
    taken = widgets.frames({"output_type": "display_data", "data": {}, "metadata": shown[0][1]["metadata"]})
    assert [frame["metadata"] for frame in taken] == [
        {
            "image/png": {"alt": f"slope = {slope}: A line of slope {slope}."},
            "vae_lessons": {"frame": slope, "frames": 5, "label": f"slope = {slope}"},
        }
        for slope in range(5)
    ]
    pictures = [Image.open(io.BytesIO(base64.b64decode(frame["data"]["image/png"]))) for frame in taken]
    assert {picture.size for picture in pictures} == {(450, 340)}
    assert len({picture.tobytes() for picture in pictures}) == 5


def test_other_outputs_hold_no_stills(shown):
    plotting.show(plt.figure(), ALT)
    assert widgets.frames({"output_type": "display_data", "metadata": shown[0][1]["metadata"]}) == []
    assert widgets.frames({"output_type": "stream", "name": "stdout", "text": "1"}) == []


def test_stills_name_every_slider_and_have_a_label_each(shown, monkeypatch):
    with pytest.raises(ValueError, match=r"stills: expected a value for each of \['slope'\], got \['tilt'\]"):
        explored(monkeypatch, stills=[{"tilt": 1}])
    with pytest.raises(ValueError, match="labels: expected one for each of the 2 stills, got 1"):
        explored(monkeypatch, stills=[{"slope": 0}, {"slope": 1}], labels=["flat"])


def test_a_drawing_is_a_control(shown, monkeypatch):
    def draw(figure, slope):
        return f"{sum(slope)} of {len(slope)} pixels are white."

    stills = {"stills": [{"slope": bytes(4)}], "labels": ["an empty sheet"]}
    sheet, _, words, _ = explored(monkeypatch, draw, slope=widgets.Drawing("sheet", bytes([0, 1, 1, 0])), **stills)
    assert "2 of 4 pixels are white." in words.value
    sheet.value = bytes([1, 1, 1, 0])
    assert "3 of 4 pixels are white." in words.value
    [still] = shown[0][1]["metadata"]["vae_lessons"]["stills"]
    assert (still["label"], still["sentence"]) == ("an empty sheet", "0 of 4 pixels are white.")


@pytest.mark.parametrize("value", [bytes(783), b"\x02" * 784], ids=["not a square", "not 0 or 1"])
def test_a_drawing_is_a_square_of_zeros_and_ones(value):
    with pytest.raises(ValueError, match="value: expected a square number of bytes, each 0 or 1"):
        widgets.Drawing("sheet", value)
