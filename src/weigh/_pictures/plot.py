"""A picture on axes of matplotlib: the same cells, colours, signs and words.

matplotlib is loaded here and nowhere else. Neither its settings nor its current figure change:
what is drawn goes onto the axes that were given, or onto a figure of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh._errors import UnsupportedError
from weigh._pictures.colours import GAP, MIDDLE, STEPS, THEMES, Theme, palette
from weigh._pictures.outlines import halo, halo_ink, outline
from weigh._pictures.painted import glyphs, zoom_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weigh._pictures.histogram import Histogram
    from weigh._pictures.picture import Picture
    from weigh._pictures.sheet import Label, Sheet

_LABELS = 24
"""So many names beside an axis can be read."""
_PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""A name from a file may hold a dollar, and is no formula."""


def plot_picture(
    picture: Picture, ax: Axes | None, *, theme: Theme, colorbar: bool, caption: bool
) -> Axes:
    """Draw a picture onto axes; see ``Picture.plot``.

    Raises:
        UnsupportedError: matplotlib is not installed.
    """
    check_there()
    ax = _new_axes() if ax is None else ax
    sheet = picture.sheet
    rows, columns = sheet.codes.shape
    ax.imshow(
        _colours(sheet, theme),
        origin="upper",
        interpolation="nearest",
        aspect="equal",
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
    )
    _signs(sheet, ax, theme)
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_title(picture.title, **_PLAIN)
    _names(ax.xaxis, sheet.columns)
    _names(ax.yaxis, sheet.rows)
    ax.set_xlabel(sheet.x_name, **_PLAIN)
    ax.set_ylabel(sheet.y_name, **_PLAIN)
    if colorbar and sheet.rgb is None:
        _bar(sheet, ax, theme)
    if caption:
        _caption(ax, picture.caption)
    return ax


def plot_histogram(histogram: Histogram, ax: Axes | None, *, theme: Theme, caption: bool) -> Axes:
    """Draw the counts of a histogram onto axes, as steps; see ``Histogram.plot``.

    Raises:
        UnsupportedError: matplotlib is not installed.
    """
    check_there()
    ax = _new_axes() if ax is None else ax
    inks = THEMES[theme]
    both = len(histogram.parts) > 1
    if histogram.edges:
        for at, part in enumerate(histogram.parts):
            ink = _share(inks.first if both and not at else inks.second)
            label = histogram.labels[at] if both else None
            ax.stairs(part.counts, histogram.edges, fill=True, color=ink, alpha=0.6, label=label)
        if histogram.expected:
            ink = _share(inks.expected)
            ax.stairs(histogram.expected, histogram.edges, baseline=None, color=ink)
        if histogram.constant is not None:
            ax.axvline(histogram.constant, color=_share(inks.expected), linestyle="--")
    if histogram.least:
        ax.set_xscale("symlog", linthresh=histogram.least)
    if both:
        ax.legend()
    ax.set_title(histogram.name, **_PLAIN)
    ax.set_ylabel("values in each bin")
    if caption:
        _caption(ax, histogram.caption)
    return ax


def check_there() -> None:
    """Make sure that matplotlib is there.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        import matplotlib.axes  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            "plotting needs matplotlib", seen=str(error), do="Run: pip install 'weigh[plot]'."
        ) from None


def _new_axes() -> Axes:
    """Make axes on a figure of their own, which notebooks show at the end of the cell."""
    from matplotlib import pyplot as plt

    made: Axes = plt.subplots(layout="constrained")[1]
    return made


def _colours(sheet: Sheet, theme: Theme) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Give the colour of each cell, of which a gap has none."""
    made = np.empty((*sheet.codes.shape, 4), np.uint8)
    made[..., :3] = palette(theme)[sheet.codes]
    if sheet.rgb is not None:
        plain = sheet.codes == MIDDLE
        made[plain, :3] = sheet.rgb[plain]
    made[..., 3] = np.where(sheet.codes == GAP, 0, 255)
    return made


def _signs(sheet: Sheet, ax: Axes, theme: Theme) -> None:
    """Mark what is odd by the signs that a picture has, in its cells' own size."""
    from matplotlib.collections import PolyCollection

    zoom = zoom_of(sheet)
    found = list(glyphs(sheet.codes, 0, 0, zoom))
    for sign in [each for each in found if each.halo]:
        ink = _share(getattr(THEMES[theme], halo_ink(sign)))
        ax.add_collection(PolyCollection([_in_cells(halo(sign), zoom)], facecolors=[ink]))
    outlines = [_in_cells(outline(sign), zoom) for sign in found]
    ax.add_collection(PolyCollection(outlines, facecolors=[_share(THEMES[theme].glyph)]))


def _in_cells(points: Sequence[tuple[float, float]], zoom: float) -> list[tuple[float, float]]:
    return [(x / zoom - 0.5, y / zoom - 0.5) for x, y in points]


def _share(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return (red / 255, green / 255, blue / 255)


def _names(axis: Any, labels: Sequence[Label]) -> None:
    """Put names beside the cells that they are of; of too many, some."""
    shown = labels[:: -(-len(labels) // _LABELS) or 1]
    axis.set_ticks(
        [(label.start + label.stop - 1) / 2 for label in shown],
        [label.text for label in shown],
        **_PLAIN,
    )
    axis.set_tick_params(length=0)


def _bar(sheet: Sheet, ax: Axes, theme: Theme) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    inks = THEMES[theme]
    colours = ListedColormap(palette(theme)[MIDDLE - STEPS : MIDDLE + STEPS + 1] / 255)
    shown = colours.with_extremes(under=_share(inks.below), over=_share(inks.above))
    limit = sheet.limit or 1.0
    own = sheet.limits is not None
    bar = ax.figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), shown), ax=ax, extend="both", shrink=0.8
    )
    if own:
        bar.set_ticks([-limit, 0, limit], labels=["-limit", "0", "+limit"])


def _caption(ax: Axes, sentences: Sequence[str]) -> None:
    """Write below the axes; constrained and tight layouts make room for it."""
    ax.annotate(
        "\n".join(fill(sentence, 90) for sentence in sentences),
        (0, 0), (0, -36), xycoords="axes fraction", textcoords="offset points",
        va="top", fontsize="x-small", annotation_clip=False, **_PLAIN,
    )  # fmt: skip
