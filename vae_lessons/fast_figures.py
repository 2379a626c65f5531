"""Figures that are drawn again and again, as a slider moves, 1.7 to 4 times as fast as by matplotlib alone.

**What takes the time.** For each picture matplotlib makes the axes and their ticks, lays the figure out and draws all
of it: 60 to 200 ms for the course's figures, though only a curve may have moved. Most of it goes into words: each one
is measured several times for the layout, then drawn letter by letter.

**What is kept** from picture to picture: the places of the axes, and a background, which is all but what stands in
the axes. It is drawn anew when a description of it, `_surroundings`, has changed. This is the blitting of
matplotlib's documentation, but nobody has to say which artists move.

**What a draw function may do:** anything. It gets a new, empty figure each time, and the picture is the one that
matplotlib would draw, pixel by pixel (tests/test_plotting.py), but for this:

- The layout is that of the first picture with as many axes. The function is called once more for it.
- Ticks, grid and the figure's legends lie below all that stands in the axes. (matplotlib draws ticks and grid above
  bars and pictures.)
- The background stays as it is if nothing changes in it but a tick or a tick's label that was set by hand
  (`tick_params` is noticed), or the place of a legend.

**Measured** by `python benchmarks/figures.py`, from new values to the bytes of a PNG, without a browser. Medians of
77 to 110 pictures, in ms; the contenders took turns, on two cores that other programs used too.

================================  ====  ====  =====  ==========  =======  ==============
figure of lesson                    02    03     04  08, change  08, map  08, your digit
================================  ====  ====  =====  ==========  =======  ==============
`FastFigure`                      16.6  35.5   27.5        24.0     49.3           117.4
new figure, laid out, drawn       60.3  84.7  118.6        63.5     85.8           205.4
new figure, layout kept, drawn    46.0  64.0   82.8        49.6     71.8           160.2
axes cleared, layout kept, drawn  40.2  68.6   78.9        50.7     60.6           158.3
ipympl 0.10                       58.5  92.4  115.5        67.6     83.2           201.8
in two parts, ipympl              25.2  28.3
in two parts, blitting             4.4   8.3
================================  ====  ====  =====  ==========  =======  ==============

**What else was considered.** Blitting as documented is faster still, but every draw function would have to be written
in two parts, one that makes the artists and one that moves them; some, such as contours, cannot be moved. ipympl
sends only the pixels that changed, but lets matplotlib draw all of them first, and shows them on a canvas, which has
no text alternative. So would ipycanvas; it could save the PNG, which takes 3 ms, and send 25 times as many bytes.
matplotlib takes 50 and 38 ms to write the figures of 02 and 03 as SVG. Its style `fast`, and letters without hinting,
save at most 4 ms. Making the next picture's axes ahead saves 6 to 12 ms here, but nothing that shows in a browser
(benchmarks/README.md).
"""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from PIL import Image

__all__ = ["FastFigure"]


class FastFigure:
    """A figure that is drawn again and again, each time for other values.

    Args:
        draw: called as `draw(figure, name=value, ...)` with an empty matplotlib figure. It draws, and returns a
            sentence.
        size: of the pictures, in inches.

    Example:
        >>> def line(figure, slope):
        ...     figure.subplots().plot([0, 1], [0, slope])
        ...     return f"A line of slope {slope}."
        >>> figure = FastFigure(line, (4.5, 3.4))
        >>> png, sentence = figure.picture(slope=2)
        >>> sentence
        'A line of slope 2.'
    """

    def __init__(self, draw: Callable[..., str], size: tuple[float, float]):
        self.draw, self.size = draw, size
        self.places = None  # of the axes
        self.surroundings = self.background = None  # a description, and the pixels

    def picture(self, **values) -> tuple[bytes, str]:
        """The picture for these values, as PNG, and the sentence that `draw` returned."""
        figure = Figure(figsize=self.size)
        canvas = FigureCanvasAgg(figure)
        sentence = self.draw(figure, **values)
        self._place(figure, canvas.get_renderer(), values)
        moving = [artist for part in _from_lowest(figure) for artist in _moving(part)]
        surroundings = repr([figure.get_facecolor(), *map(_surroundings, figure.get_children())])
        if surroundings != self.surroundings:
            for artist in moving:
                artist.set_animated(True)  # so that the figure is drawn without it
            figure.draw(canvas.get_renderer())
            self.surroundings, self.background = surroundings, canvas.copy_from_bbox(figure.bbox)
        canvas.restore_region(self.background)
        for artist in moving:
            artist.draw(canvas.get_renderer())
        png = io.BytesIO()  # more compression would take as long as the drawing
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(png, format="png", compress_level=1)
        return png.getvalue(), sentence

    def _place(self, figure, renderer, values):
        """Place the axes as in the first figure that had as many."""
        if self.places is None or len(self.places) != len(figure.axes):
            first = Figure(figsize=self.size)
            self.draw(first, **values)
            first.draw_without_rendering()
            self.places = [ax.get_position(original=True) for ax in first.axes]
        figure.set_layout_engine("none")
        for ax, place in zip(figure.axes, self.places, strict=True):
            ax.set_position(place)
            locator = ax.get_axes_locator()
            ax.apply_aspect(locator(ax, renderer) if locator else None)


def _from_lowest(parent):
    """The parts of a figure, or of axes, in the order in which matplotlib draws them."""
    return sorted((part for part in parent.get_children() if part is not parent.patch), key=Artist.get_zorder)


def _moving(part):
    """What of a part of a figure is drawn for each picture."""
    if isinstance(part, Legend) or not part.get_visible():
        return []
    if not _is_plain_axes(part):
        return [part]
    rest = [part.title, part.xaxis, part.yaxis]
    if not (part.axison and part.get_frame_on()):
        rest += part.spines.values()
    return [artist for artist in _from_lowest(part) if artist not in rest]


def _surroundings(part):
    """All that decides what the rest of it looks like: of axes their place, colour, title, labels, ticks and grid."""
    found = [part.get_visible()]
    if isinstance(part, Legend):
        for text in part.get_texts():
            found += _words(text)
        for handle in part.legend_handles:
            names = ("get_color", "get_facecolor", "get_linestyle", "get_marker")
            found += [getattr(handle, name)() for name in names if hasattr(handle, name)]
    elif _is_plain_axes(part):
        found += [part.get_position().bounds, part.axison, part.get_frame_on(), part.get_facecolor()]
        found += _words(part.title)
        for axis in (part.xaxis, part.yaxis):
            ticks = axis.get_majorticklocs()
            found += [axis.get_visible(), axis.get_scale(), *axis.get_view_interval()]
            found += [*ticks, *axis.get_minorticklocs(), *axis.get_major_formatter().format_ticks(ticks)]
            found += [axis.get_tick_params("major"), axis.get_tick_params("minor"), *_words(axis.label)]
    return found


def _is_plain_axes(part):
    """Whether these are axes with an x axis and a y axis: not polar ones, say, which are drawn whole."""
    return isinstance(part, Axes) and part.name == "rectilinear"


def _words(text):
    return [text.get_text(), text.get_visible(), text.get_position(), text.get_color(), str(text.get_fontproperties())]
