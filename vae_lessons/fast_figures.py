"""Figures that are drawn again whenever a slider moves, 1.7 to 4 times as fast as by matplotlib alone.

**What takes the time.** For each picture, matplotlib makes the axes and their ticks, lays out the figure and draws all
of it: 60 to 200 ms for the course's figures, even if only a curve has moved. Most of that time goes into text, which is
measured several times for the layout and then drawn letter by letter.

**What is kept** from picture to picture: the positions of the axes, and a background with everything outside them
(ticks, labels, titles, legends). The background is drawn again only when its description, `_surroundings`, has changed.
This is blitting, as in matplotlib's documentation, but nobody has to say which artists move.

**What a draw function may do:** anything. It gets a new, empty figure each time, and the picture is the same, pixel by
pixel, as the one that matplotlib would draw (tests/test_plotting.py), with these exceptions:

- The layout is that of the first picture with the same number of axes. `draw` is called once more to find it.
- Ticks, grid and the figure's legends are below everything in the axes. (matplotlib draws ticks and grid above bars and
  images.)
- Changes to a single tick or its label (other than by `tick_params`), or to the position of a legend, are not noticed.

**Measurements** by `python benchmarks/figures.py`, from new values to a PNG, without a browser: medians of 77 to 110
pictures, in ms. The contenders took turns, on two cores that other programs used as well.

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

**What else was considered.** Blitting as documented is faster still, but every draw function would need two parts, one
that makes the artists and one that moves them, and some artists, such as contours, cannot be moved. ipympl sends only
the pixels that changed, but matplotlib has to draw all of them first; and it shows them on a canvas, which has no text
alternative. The same is true of ipycanvas, which would avoid the PNG (3 ms) but send 25 times as many bytes. As SVG,
the figures of 02 and 03 take 50 and 38 ms. matplotlib's style `fast`, and text without hinting, save at most 4 ms.
Making the axes of the next picture in advance saves 6 to 12 ms here, but nothing noticeable in a browser
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
        self.positions = None  # of the axes
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
        """Put the axes where they were in the first figure with the same number of axes."""
        if self.positions is None or len(self.positions) != len(figure.axes):
            first = Figure(figsize=self.size)
            self.draw(first, **values)
            first.draw_without_rendering()
            self.positions = [ax.get_position(original=True) for ax in first.axes]
        figure.set_layout_engine("none")
        for ax, place in zip(figure.axes, self.positions, strict=True):
            ax.set_position(place)
            locator = ax.get_axes_locator()
            ax.apply_aspect(locator(ax, renderer) if locator else None)


def _from_lowest(parent):
    """The parts of a figure or of axes, in the order in which matplotlib draws them."""
    return sorted((part for part in parent.get_children() if part is not parent.patch), key=Artist.get_zorder)


def _moving(part):
    """The artists of a part of a figure that are drawn for each picture."""
    if isinstance(part, Legend) or not part.get_visible():
        return []
    if not _is_plain_axes(part):
        return [part]
    rest = [part.title, part.xaxis, part.yaxis]
    if not (part.axison and part.get_frame_on()):
        rest += part.spines.values()
    return [artist for artist in _from_lowest(part) if artist not in rest]


def _surroundings(part):
    """Everything that decides what the rest looks like: for axes, position, colour, title, labels, ticks and grid."""
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
    """Whether these are axes with an x axis and a y axis. Others, such as polar axes, are drawn whole."""
    return isinstance(part, Axes) and part.name == "rectilinear"


def _words(text):
    return [text.get_text(), text.get_visible(), text.get_position(), text.get_color(), str(text.get_fontproperties())]
