"""What drawings are made of, whatever they become: ``svg.py`` and ``raster.py`` draw them.

Lengths are in pixels of CSS, from the upper left corner; an ink is the name of a colour of
``Inks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from weigh._record import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Ink = Literal[
    "paper", "text", "muted", "grid", "negative", "positive", "below", "above", "nan", "posinf",
    "neginf", "glyph", "first", "second", "expected",
]  # fmt: skip
Point = tuple[float, float]


@record(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    fill: Ink
    opacity: float = 1.0


@record(frozen=True)
class Line:
    """A line from point to point."""

    points: tuple[Point, ...]
    ink: Ink
    width: float = 1.0
    dashed: bool = False


@record(frozen=True)
class Area:
    """A filled polygon."""

    points: tuple[Point, ...]
    fill: Ink
    opacity: float = 1.0


@record(frozen=True)
class Text:
    """One line of letters.

    Attributes:
        x: where it begins, ends or has its middle, as ``anchor`` says.
        y: its baseline.
        text: what it says.
        size: the height of its letters' box.
        anchor: what of it is at x.
        ink: its colour.
        bold: whether it is bold.
        upright: whether it reads from below to above.
        whole: all of it, where ``text`` is shortened: what a pointer over it is told.
    """

    x: float
    y: float
    text: str
    size: float = 12.0
    anchor: Literal["start", "middle", "end"] = "start"
    ink: Ink = "text"
    bold: bool = False
    upright: bool = False
    whole: str = ""


@record(frozen=True, eq=False)
class Cells:
    """A grid of coloured cells.

    Attributes:
        x: its left edge.
        y: its upper edge.
        zoom: how wide and how high each cell is.
        codes: the codes of ``colours.py``, uint8 of shape (rows, columns).
        rgb: the colours themselves where codes are ``MIDDLE``, uint8 of shape (rows, columns, 3).
    """

    x: float
    y: float
    zoom: float
    codes: NDArray[np.uint8]
    rgb: NDArray[np.uint8] | None = None


@record(frozen=True)
class Glyph:
    """The sign of a cell that holds no number within the limits, in the ink ``glyph``.

    Attributes:
        x: its middle.
        y: its middle.
        size: how wide and how high it is.
        kind: what it says: a cross, a triangle upwards, one downwards, a dot low, a dot high.
        halo: whether the colour of what it marks is drawn behind it, as a disc.
    """

    x: float
    y: float
    size: float
    kind: Literal["nan", "posinf", "neginf", "below", "above"]
    halo: bool = False


Shape = Box | Line | Area | Text | Cells | Glyph


@record(frozen=True)
class Drawing:
    """A drawing of some size.

    Attributes:
        width: in pixels.
        height: in pixels.
        shapes: what is drawn, later ones above earlier ones.
        title: what it is, in a few words: its name for a screen reader.
        description: all that is said of it in words.
    """

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str
    description: str = ""
