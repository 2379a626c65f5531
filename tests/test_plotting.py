import asyncio
import base64
import functools
import io
import itertools

import ipywidgets as ipw
import matplotlib.pyplot as plt
import numpy as np
import pytest
from jupyter_client.manager import run_kernel
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vae_lessons import plotting, widgets
from vae_lessons.fast_figures import FastFigure

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


def test_colours_come_last_and_gaps_are_white():
    picture = np.arange(12.0) / 12  # all reds, all greens, all blues
    sheet = plotting.image_grid(np.stack([picture, picture]), columns=1)
    assert sheet.shape == (6, 2, 3)
    assert np.array_equal(sheet[:2], sheet[4:])
    assert np.array_equal(sheet[0, 1], picture[[1, 5, 9]])
    assert (sheet[2:4] == 1).all()
    plotting.images(picture[None])


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


SIZE = (6, 2.5)


def many_things(figure, k):
    """A line, an image, bars that widen the axes, legends, ticks and titles that change."""
    left, right, third = figure.subplots(1, 3)
    left.plot([0, 1], [0, k], label="line", zorder=3)
    left.fill_between([0, 1], [0, k], alpha=0.5)
    left.set(ylim=(0, 4), title=f"slope {k // 2}")
    left.legend(loc="upper left")
    right.imshow(np.arange(8).reshape(4, 2) + k, vmin=0, vmax=20)
    right.annotate("here", (0, 0), (1, 2 + k / 10), arrowprops={"arrowstyle": "->"})
    right.set_xticks([0, 1], ["a", "b" if k < 3 else "c"])
    figure.text(0.5, 0.05, f"slope {k}")
    figure.legend(labels=["below" if k < 5 else "steep"], loc="outside lower left")
    figure.suptitle(f"slope {k // 3}")
    third.bar([0, 1], [1 + k // 3, 2 + k // 3], color="C1")
    if k < 4:
        third.set_xlabel("all")
    return f"Slope {k}."


def some_axes(figure, k):
    """As many axes as k says, where it is below 3."""
    if k < 3:
        for ax in figure.subplots(1, k, squeeze=False)[0] if k else []:
            ax.plot([0, 1], [0, k])
    else:
        figure.text(0.5, 0.95, f"slope {k}")
        figure.subplots().plot([0, 1], [0, k])
    return f"Slope {k}."


@functools.cache
def places(draw, k):
    """Where matplotlib lays out the axes."""
    figure = Figure(figsize=SIZE)
    draw(figure, k)
    figure.draw_without_rendering()
    return [ax.get_position(original=True) for ax in figure.axes]


@functools.cache
def matplotlib_draws(draw, k, first):
    """The pixels for k, with the layout of the picture for `first`."""
    figure = Figure(figsize=SIZE)
    canvas = FigureCanvasAgg(figure)
    draw(figure, k)
    figure.set_layout_engine("none")
    for ax, place in zip(figure.axes, places(draw, first), strict=True):
        ax.set_position(place)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def differs(png, draw, k, first):
    """The part of the pixels that are not what matplotlib draws for k, with the layout of the picture for `first`."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    whole = matplotlib_draws(draw, k, first)
    assert pixels.shape == whole.shape
    return (pixels != whole).any(-1).mean()


def test_pictures_are_what_matplotlib_draws_whatever_came_before():
    figure = FastFigure(many_things, SIZE)
    for k in (0, 1, 2, 3, 4, 5, 6, 2, 0):
        png, sentence = figure.picture(k=k)
        assert sentence == f"Slope {k}."
        # but for ticks' ends: what stands in the axes lies above them
        assert differs(png, many_things, k, 0) < 0.0005, k


def test_the_layout_is_that_of_the_first_picture_with_as_many_axes():
    figure = FastFigure(some_axes, SIZE)
    for k, first in ((1, 1), (2, 2), (2, 2), (0, 0), (0, 0), (3, 3), (4, 3), (2, 2), (1, 1)):
        assert differs(figure.picture(k=k)[0], some_axes, k, first) == 0, k


CHANGES = {  # what changes beside the line that moves
    "nothing": lambda figure, ax, k: None,
    "limits": lambda figure, ax, k: ax.set_xlim(0, 1 + k),
    "limits round the same ticks": lambda figure, ax, k: ax.set(xticks=[0, 1], xlim=(0, 1 + k)),
    "large numbers": lambda figure, ax, k: ax.set_ylim(1e6, 1e6 + 1 + k),
    "scale": lambda figure, ax, k: ax.set_yscale("log" if k else "linear"),
    "scale of the same ticks": lambda figure, ax, k: (
        ax.set(yscale=("linear", "log")[k], yticks=[1, 2], yticklabels=["one", "two"]),
        ax.minorticks_off(),
    ),
    "label": lambda figure, ax, k: ax.set_xlabel(f"{k}"),
    "colour of a label": lambda figure, ax, k: ax.set_xlabel("x", color=f"C{k}"),
    "size of the title": lambda figure, ax, k: ax.set_title("title", fontsize=9 + k),
    "grid": lambda figure, ax, k: ax.grid(bool(k)),
    "place of a tick": lambda figure, ax, k: ax.set_xticks([0.2 + k / 2], [""]),
    "name of a tick": lambda figure, ax, k: ax.set_xticks([0.5], [f"{k}"]),
    "look of ticks": lambda figure, ax, k: ax.tick_params(length=2 + 4 * k, labelrotation=45 * k),
    "minor ticks": lambda figure, ax, k: ax.minorticks_on() if k else None,
    "shape": lambda figure, ax, k: ax.set(box_aspect=1 if k else None, xticks=[], yticks=[0.1]),
    "axes off": lambda figure, ax, k: ax.set_axis_off() if k else None,
    "frame off": lambda figure, ax, k: ax.set_frame_on(not k),
    "hidden axes": lambda figure, ax, k: ax.set_visible(not k),
    "colour of the axes": lambda figure, ax, k: ax.set_facecolor(f"C{k}"),
    "colour of the figure": lambda figure, ax, k: figure.set_facecolor(f"C{k}"),
    "figure's title": lambda figure, ax, k: figure.suptitle("title" * (k + 1)),
    "legend": lambda figure, ax, k: ax.legend([f"{k}"]),
    "figure's legend": lambda figure, ax, k: figure.legend(
        handles=[plt.Line2D([], [], color=f"C{k}", label="line")], loc="outside lower center"
    ),
    "picture": lambda figure, ax, k: ax.imshow(np.eye(2 + k)),
    "colour bar": lambda figure, ax, k: figure.colorbar(ax.imshow([[k, 2]], vmin=0, vmax=2), extend="max"),
    "second y axis": lambda figure, ax, k: ax.twinx().plot([k, 2]),
    "axes in axes": lambda figure, ax, k: ax.inset_axes([0.5, 0.1, 0.4, 0.3]).plot([0, k]),
    "polar axes": lambda figure, ax, k: figure.add_subplot(1, 2, 2, projection="polar").plot([0, k]),
    "axes in space": lambda figure, ax, k: figure.add_subplot(1, 2, 2, projection="3d").plot([0, k], [0, 1], [1, 2]),
    "part of the figure": lambda figure, ax, k: figure.subfigures(1, 2)[1].subplots().plot([0, k]),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_what_a_draw_function_asks_for_it_gets(changes):
    def draw(figure, k):
        ax = figure.subplots()
        ax.plot([0, 1], [0.1 + k, 1])
        ax.set(xlim=(0, 1), ylim=(0.1, 3))
        changes(figure, ax, k)

    figure = FastFigure(draw, SIZE)
    for k in (0, 1, 0):
        assert differs(figure.picture(k=k)[0], draw, k, 0) < 0.00001, k  # a pixel, where a tick ends


def test_two_figures_keep_apart():
    figures = [FastFigure(draw, SIZE) for draw in (many_things, some_axes)]
    for k in (1, 1):
        assert differs(figures[0].picture(k=k)[0], many_things, k, 1) < 0.0005
        assert differs(figures[1].picture(k=k)[0], some_axes, k, 1) == 0


def test_after_an_error_the_next_picture_is_right():
    def draw(figure, k):
        figure.subplots().plot([0, 1 / k])

    figure = FastFigure(draw, SIZE)
    for k in (1, 2):
        assert differs(figure.picture(k=k)[0], draw, k, 1) == 0
        with pytest.raises(ZeroDivisionError):
            figure.picture(k=0)


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


def test_the_machine_marks_the_parts_that_are_named(shown):
    plotting.machine()
    plotting.machine("kl", "q")
    (plain, _), _, (marked, options), _ = shown
    alt = options["metadata"]["image/png"]["alt"]
    assert alt.endswith("Marked parts: the KL and the distribution q of z given x.")
    plain, marked = (np.asarray(Image.open(io.BytesIO(data["image/png"])).convert("RGB")) for data in (plain, marked))
    orange = [(picture == (0xFF, 0xE3, 0xB3)).all(-1).any() for picture in (plain, marked)]
    assert orange == [False, True]


def test_every_part_of_the_machine_can_be_marked(shown):
    plotting.machine(*plotting.MACHINE)
    assert len(shown) == 2


def test_an_unknown_part_of_the_machine_is_named():
    with pytest.raises(ValueError, match=r"marked: expected some of picture, .*, got 'loss'"):
        plotting.machine("kl", "loss")
