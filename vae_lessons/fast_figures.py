"""Pictures of one figure for changing values.

TODO
"""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["FastFigure"]


class FastFigure:
    """A figure that is drawn again and again, with other values each time.

    Args:
        draw: called as `draw(figure, name=value, ...)` with an empty matplotlib figure. It draws, and returns a sentence.
        size: of the pictures, in inches.

    Example:
        >>> def line(figure, slope):
        ...     figure.subplots().plot([0, 1], [0, slope])
        ...     return f"A line of slope {slope}."
        >>> figure = FastFigure(line, (3, 2))
        >>> png, sentence = figure.picture(slope=2)
        >>> sentence
        'A line of slope 2.'
    """

    def __init__(self, draw: Callable[..., str], size: tuple[float, float]):
        self.draw, self.size = draw, size
        self._places = None  # of the axes
        self._frames = self._background = None  # what the frames look like, and the pixels of a figure with nothing else

    def picture(self, **values) -> tuple[bytes, str]:
        """The picture for these values, as PNG, and the sentence that `draw` returned."""
        figure = Figure(figsize=self.size)
        canvas = FigureCanvasAgg(figure)
        sentence = self.draw(figure, **values)
        if self._places is None or len(self._places) != len(figure.axes):
            self._places = self._lay_out(values)
        figure.set_layout_engine("none")
        renderer = canvas.get_renderer()
        for ax, place in zip(figure.axes, self._places, strict=True):
            ax.set_position(place)
            locator = ax.get_axes_locator()
            ax.apply_aspect(locator(ax, renderer) if locator else None)

        frames = repr([figure.get_facecolor(), *map(_frame, figure.axes)])
        contents = [artist for child in _from_lowest(figure) for artist in _contents(child)]
        if frames != self._frames:
            for artist in contents:
                artist.set_animated(True)  # so that the figure is drawn without it
            figure.draw(renderer)
            self._frames, self._background = frames, canvas.copy_from_bbox(figure.bbox)
        canvas.restore_region(self._background)
        for artist in contents:
            artist.draw(renderer)
        png = io.BytesIO()  # more compression would take as long as the drawing
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(png, format="png", compress_level=1)
        return png.getvalue(), sentence

    def _lay_out(self, values):
        """Where matplotlib places the axes."""
        figure = Figure(figsize=self.size)
        self.draw(figure, **values)
        figure.draw_without_rendering()
        return [ax.get_position(original=True) for ax in figure.axes]


def _from_lowest(parent):
    """The parts of a figure or of axes, in the order in which matplotlib draws them."""
    return sorted((child for child in parent.get_children() if child is not parent.patch), key=Artist.get_zorder)


def _contents(child):
    """What is drawn anew for each picture: of axes, what stands in them and the lines around; all of anything else."""
    if not isinstance(child, Axes) or child.name != "rectilinear":
        return [child]
    if not child.get_visible():
        return []
    frame = [child.title, child.xaxis, child.yaxis]
    if not (child.axison and child.get_frame_on()):
        frame += child.spines.values()
    return [artist for artist in _from_lowest(child) if artist not in frame]


def _frame(ax):
    """All that decides what the rest of the axes looks like: place, background, title, labels, ticks, grid."""
    look = [ax.get_position().bounds, ax.get_visible(), ax.axison, ax.get_frame_on(), ax.get_facecolor()]
    look += _words(ax.title)
    for axis in (ax.xaxis, ax.yaxis):
        ticks = axis.get_majorticklocs()
        look += [axis.get_visible(), axis.get_scale(), *axis.get_view_interval(), *ticks, *axis.get_minorticklocs()]
        look += axis.get_major_formatter().format_ticks(ticks)
        look += [axis.get_tick_params("major"), axis.get_tick_params("minor"), *_words(axis.label)]
    return look


def _words(text):
    return [text.get_text(), text.get_visible(), text.get_position(), text.get_color(), str(text.get_fontproperties())]
