"""Time one picture of an interactive figure, from new values to the bytes of a PNG, in a process without a browser.

The contenders take turns, picture by picture, in a new order each time. The lessons are run first, for their figures.

python benchmarks/figures.py             # lessons 02, 03, 04 and 08, some minutes; or: python benchmarks/figures.py 02

ipympl takes part where it is found: pip install --no-deps --target /tmp/ipympl ipympl, then PYTHONPATH=/tmp/ipympl.
"""

import contextlib
import importlib.util
import io
import math
import os
import random
import statistics
import subprocess
import sys
import time
import timeit
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

LESSONS = Path(__file__).parents[1] / "sources" / "lessons"
TURNS = 12  # through the stills of a figure; the first is not counted


def figures(lesson: str) -> list[tuple]:
    """Run a lesson; gives the function, the size and the stills of each of its figures that follow sliders."""
    from vae_lessons import widgets

    found = []
    widgets.explore = lambda draw, *, stills, size=(4.5, 3.4), **_: found.append((draw, size, stills))
    [path] = LESSONS.glob(f"{lesson}_*.py")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": lesson})
    return found


def encoded(canvas):
    """What was drawn, as PNG."""
    png = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(png, format="png", compress_level=1)
    return png.getvalue()


def placed(figure, places):
    """The figure's axes, placed as in the first picture."""
    if not places:
        figure.draw_without_rendering()
        places += [ax.get_position(original=True) for ax in figure.axes]
    figure.set_layout_engine("none")
    for ax, place in zip(figure.axes, places, strict=True):
        ax.set_position(place)


# Each contender takes what `explore` takes, and gives a function from values to a picture.


def fast_figure(draw, size):
    from vae_lessons.fast_figures import FastFigure

    figure = FastFigure(draw, size)
    return lambda values: figure.picture(**values)


def new_figure(draw, size):
    def picture(values):
        figure = Figure(figsize=size)
        draw(figure, **values)
        png = io.BytesIO()
        FigureCanvasAgg(figure).print_png(png, pil_kwargs={"compress_level": 1})
        return png.getvalue()

    return picture


def new_figure_same_layout(draw, size):
    places = []

    def picture(values):
        figure = Figure(figsize=size)
        canvas = FigureCanvasAgg(figure)
        draw(figure, **values)
        placed(figure, places)
        canvas.draw()
        return encoded(canvas)

    return picture


class Cleared(Figure):
    """A figure whose `subplots` gives the axes that it gave before, cleared."""

    before = None

    def subplots(self, *args, **options):
        if self.before is None:
            self.before = super().subplots(*args, **options)
        else:
            for artist in (*self.legends, *self.texts):
                artist.remove()
            for ax in np.ravel(self.before):
                ax.cla()
        return self.before


def axes_cleared(draw, size):
    figure, places = Cleared(figsize=size), []
    canvas = FigureCanvasAgg(figure)

    def picture(values):
        draw(figure, **values)
        placed(figure, places)
        canvas.draw()
        return encoded(canvas)

    return picture


def on_ipympl(figure):
    """A function that draws the figure and gives what ipympl sends: a PNG of the pixels that changed."""
    from ipympl.backend_nbagg import Canvas, FigureManager

    canvas, sent = Canvas(figure), []
    FigureManager(canvas, 0)
    canvas.syncing_data_url = False  # as soon as a browser shows it
    canvas.send = lambda content, buffers=(): sent.extend(buffers)

    def drawn():
        canvas.draw()
        return sent.pop()

    return drawn


def ipympl(draw, size):
    figure = Figure(figsize=size)
    drawn = on_ipympl(figure)

    def picture(values):
        figure.clear()
        draw(figure, **values)
        return drawn()

    return picture


def ipympl_moved(draw, size):
    figure = Figure(figsize=size)
    drawn = on_ipympl(figure)
    _, move = IN_TWO_PARTS[draw.__name__](figure, draw.__globals__)
    drawn()
    figure.set_layout_engine("none")

    def picture(values):
        move(**values)
        return drawn()

    return picture


def blitting(draw, size):
    figure = Figure(figsize=size)
    canvas = FigureCanvasAgg(figure)
    artists, move = IN_TWO_PARTS[draw.__name__](figure, draw.__globals__)
    for artist in artists:
        artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)

    def picture(values):
        move(**values)
        canvas.restore_region(background)
        for artist in artists:
            figure.draw_artist(artist)
        return encoded(canvas)

    return picture


# Blitting needs each figure in two parts: artists that are made once, and a function that moves them.


def ellipse(figure, lesson):
    """Lesson 02's figure."""
    ax = figure.subplots()
    [cloud] = ax.plot([], [], ".", color="grey", alpha=0.6)
    [curve] = ax.plot([], [], color="C0")
    columns = []
    for column, style, colour in ((0, "-", "C1"), (1, (0, (1.5, 0.6)), "C2")):
        columns += ax.plot([], [], ls=style, color=colour, lw=3, label=f"column {column + 1} of L")
        columns += ax.plot([], [], "o", color=colour)
    ax.set(xlim=(-6, 6), ylim=(-6, 6), xticks=range(-6, 7, 2), xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")

    def move(rho, sigma_1, sigma_2):
        L = np.array([[sigma_1, 0], [rho * sigma_2, sigma_2 * math.sqrt(1 - rho**2)]])
        cloud.set_data(*(L @ lesson["noise"].T))
        curve.set_data(*(L @ lesson["circle"]))
        for column, (line, end) in enumerate(zip(columns[::2], columns[1::2], strict=True)):
            line.set_data([0, L[0, column]], [0, L[1, column]])
            end.set_data(*L[:, [column]])

    return [cloud, curve, *columns], move


def spread(figure, lesson):
    """Lesson 03's figure."""
    axes = figure.subplots(3, 1, sharex=True)
    names = ["pathwise", "score function", "differences, fresh noise"]
    bars, lines, words = [], [], []
    for i, (ax, name) in enumerate(zip(axes, names, strict=True)):
        bars.append(ax.stairs(np.zeros(61), np.linspace(-30, 30, 62), fill=True, color=f"C{i}", alpha=0.7))
        lines.append(ax.axvline(0, color="black", ls="--", lw=1))
        ax.set(yticks=[], ylim=(0, 1.7), xlim=(-30, 30))
        ax.set_title(name, x=0.01, y=0.72, ha="left", fontsize=9)
        words.append(ax.text(29, 1.41, "", ha="right", fontsize=9))
    axes[-1].set_xlabel("one-draw estimate in mu")

    def move(mu, sigma):
        given = lesson["square"], mu, sigma, lesson["eps"][:4000]
        estimates = [
            lesson["pathwise_gradient"](*given)[0],
            lesson["score_gradient"](*given)[0],
            lesson["difference_gradient"](*given, lesson["other"][:4000])[0],
        ]
        for bar, line, word, g in zip(bars, lines, words, estimates, strict=True):
            height, edges = np.histogram(g, bins=61, range=(-30, 30))
            bar.set_data(height / max(height.max(), 1), edges)
            line.set_xdata([2 * mu, 2 * mu])
            word.set_text(f"s.d. {g.std():.1f}")

    return [*bars, *lines, *words], move


IN_TWO_PARTS = {"draw": ellipse, "spread": spread}

CONTENDERS = {
    "`FastFigure`": fast_figure,
    "new figure, laid out, drawn": new_figure,
    "new figure, layout kept, drawn": new_figure_same_layout,
    "same figure, axes cleared, layout kept, drawn": axes_cleared,
    "ipympl, figure cleared, laid out, drawn": ipympl,
    "in two parts: ipympl, layout kept, drawn": ipympl_moved,
    "in two parts: blitting": blitting,
}


def milliseconds(draw, size, stills) -> dict[str, list[float]]:
    """For each contender the times of all pictures."""
    pictures = {
        name: contender(draw, size)
        for name, contender in CONTENDERS.items()
        if ("ipympl" not in name or importlib.util.find_spec("ipympl"))
        and ("two parts" not in name or draw.__name__ in IN_TWO_PARTS)
    }
    times = {name: [] for name in pictures}
    for turn in range(TURNS):
        for values in stills:
            for name in random.sample(list(pictures), len(pictures)):
                start = time.perf_counter()
                pictures[name](values)
                if turn:
                    times[name].append(1000 * (time.perf_counter() - start))
    return times


def main(lessons: Annotated[list[str] | None, typer.Argument(help="Two digits each.")] = None) -> None:
    """Print the medians of each figure's times; and how fast the machine is now."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for lesson in lessons or ["02", "03", "04", "08"]:
        if len(lessons or []) != 1:  # each lesson in a process of its own
            subprocess.run([sys.executable, __file__, lesson], check=True)
            continue
        for draw, size, stills in figures(lesson):
            times = milliseconds(draw, size, stills)
            print(f"\n| lesson {lesson}, `{draw.__name__}` | median of {len(stills) * (TURNS - 1)}, ms |\n|---|---|")
            for name, found in times.items():
                print(f"| {name} | {statistics.median(found):.1f} |", flush=True)
        seconds = timeit.timeit("for i in range(5_000_000): x += i", "x = 0", number=1)
        print(f"\nThis machine, now: five million turns of a Python loop in {seconds:.2f} s.")


if __name__ == "__main__":
    typer.run(main)
