"""A drawing as pixels: the shapes of the SVG, with letters of our own font."""

from __future__ import annotations

from functools import singledispatchmethod
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh._pictures.colours import MIDDLE, THEMES, Inks, Theme, palette
from weigh._pictures.coverage import coverage, stroke
from weigh._pictures.font import BASELINE, SIZE, text_mask
from weigh._pictures.outlines import dashes, halo, halo_ink, outline
from weigh._pictures.shapes import Area, Box, Cells, Drawing, Glyph, Line, Point, Shape, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 100_000_000
"""How many pixels a picture has at most: 300 MB, until they are written as a PNG."""


def pixels_of(drawing: Drawing, theme: Theme = "light", zoom: int = 2) -> NDArray[np.uint8]:
    """Draw a drawing in pixels, uint8 of shape (height, width, 3).

    Args:
        drawing: what is drawn.
        theme: ``"light"`` or ``"dark"``.
        zoom: how many pixels make one of CSS: 2 is crisp on today's screens. Of a very large
            drawing it is 1 at once.

    Examples:
        >>> pixels = pixels_of(Drawing(3, 2, (Box(1, 0, 2, 1, "text"),), "A box"), zoom=1)
        >>> pixels[..., 0].tolist()
        [[255, 27, 27], [255, 255, 255]]
    """
    if zoom * zoom * drawing.width * drawing.height > _MOST:
        zoom = 1
    canvas = _Canvas(drawing, theme, zoom)
    for of, shapes in groupby(drawing.shapes, type):
        if of is Glyph:
            canvas.glyphs([shape for shape in shapes if isinstance(shape, Glyph)])
        else:
            for shape in shapes:
                canvas.draw(shape)
    return canvas.pixels


def colours_of(drawing: Drawing, theme: Theme = "light") -> NDArray[np.uint8] | None:
    """Give the colours of a theme, which mean something; None if a drawing has colours of its own.

    Args:
        drawing: what is drawn.
        theme: ``"light"`` or ``"dark"``.
    """
    if any(isinstance(shape, Cells) and shape.rgb is not None for shape in drawing.shapes):
        return None
    inks = THEMES[theme]
    plain = (getattr(inks, name) for name in Inks.__annotations__)
    known = [*palette(theme), *(ink for ink in plain if isinstance(ink[0], int))]
    return np.unique(np.array(known, np.uint8), axis=0)


def _picked(cells: NDArray[np.uint8], places: NDArray[Any], axis: int) -> NDArray[np.uint8]:
    """Pick rows or columns; all of them in their order are what is there already."""
    size = cells.shape[axis]
    if len(places) == size and (places == np.arange(size)).all():
        return cells
    return cells.take(places, axis=axis)


class _Canvas:
    """The pixels of a drawing while it is drawn."""

    def __init__(self, drawing: Drawing, theme: Theme, zoom: int) -> None:
        self.theme, self.zoom = theme, zoom
        height, width = (max(1, round(x * zoom)) for x in (drawing.height, drawing.width))
        self.pixels = np.empty((height, width, 3), np.uint8)
        self.pixels[:1] = THEMES[theme].paper
        self.pixels[1:] = self.pixels[:1]  # whole rows are copied much faster than pixels

    @singledispatchmethod
    def draw(self, shape: Shape) -> None:
        """Draw one shape above what is there."""
        raise TypeError(f"{type(shape).__name__} is no shape")

    @draw.register
    def _(self, box: Box) -> None:
        left, right = self._span(box.x, box.width)
        top, bottom = self._span(box.y, box.height)
        self._fill(slice(top, bottom), slice(left, right), box.fill, box.opacity)

    @draw.register
    def _(self, line: Line) -> None:
        parts = dashes(line.points, line.width) if line.dashed else [line.points]
        quads: list[tuple[Point, ...]] = []
        for points in parts:
            if not self._straight(points, line):
                scaled = [(x * self.zoom, y * self.zoom) for x, y in points]
                quads += stroke(scaled, line.width * self.zoom, square=not line.dashed)
        self._polygons(quads, line.ink, 1.0)

    @draw.register
    def _(self, area: Area) -> None:
        points = tuple((x * self.zoom, y * self.zoom) for x, y in area.points)
        self._polygons([points], area.fill, area.opacity)

    @draw.register
    def _(self, text: Text) -> None:
        scale = max(1, round(text.size * self.zoom / SIZE))
        mask = text_mask(text.text, scale, bold=text.bold)
        # From the corner of the letters to where they are placed, along the text and across.
        along = {"start": 0, "middle": mask.shape[1] // 2, "end": mask.shape[1] - scale}
        before, above = along[text.anchor], BASELINE * scale
        x, y = round(text.x * self.zoom), round(text.y * self.zoom)
        if text.upright:
            # A quarter to the left: the text's end is its upper end.
            self._mask(np.rot90(mask), x - above, y - (mask.shape[1] - before), text.ink)
        else:
            self._mask(mask, x - before, y - above, text.ink)

    @draw.register
    def _(self, cells: Cells) -> None:
        rows, columns = cells.codes.shape
        top, bottom = self._span(cells.y, rows * cells.zoom)
        left, right = self._span(cells.x, columns * cells.zoom)
        # Which cell each pixel is in, by its middle.
        each = cells.zoom * self.zoom
        down = ((np.arange(top, bottom) + 0.5 - cells.y * self.zoom) / each).astype(int)
        across = ((np.arange(left, right) + 0.5 - cells.x * self.zoom) / each).astype(int)
        if not len(down) or not len(across):
            return
        down, across = down.clip(0, rows - 1), across.clip(0, columns - 1)
        # Each row is drawn once, and then copied as often as it is needed.
        codes = _picked(cells.codes, across, 1)
        drawn = palette(self.theme).take(codes, axis=0)
        if cells.rgb is not None:
            plain = codes == MIDDLE
            drawn[plain] = _picked(cells.rgb, across, 1)[plain]
        self.pixels[top:bottom, left:right] = _picked(drawn, down, 0)

    def glyphs(self, glyphs: list[Glyph]) -> None:
        """Draw signs that follow each other: first what is behind them, then themselves."""
        for kind in dict.fromkeys(glyph.kind for glyph in glyphs if glyph.halo):
            discs = [glyph for glyph in glyphs if glyph.halo and glyph.kind == kind]
            self._polygons([self._scaled(halo(each)) for each in discs], halo_ink(discs[0]), 1.0)
        self._polygons([self._scaled(outline(glyph)) for glyph in glyphs], "glyph", 1.0)

    def _scaled(self, points: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple((x * self.zoom, y * self.zoom) for x, y in points)

    def _span(self, start: float, length: float) -> tuple[int, int]:
        """Give the pixels from one end to the other; what is there at all has one at least."""
        low = round(start * self.zoom)
        high = round((start + length) * self.zoom)
        return max(0, low), max(0, high if high > low or length <= 0 else low + 1)

    def _straight(self, points: tuple[Point, ...], line: Line) -> bool:
        """Draw a line that goes along the pixels as whole ones; False if it does not."""
        if len(points) != 2:
            return False
        (x0, y0), (x1, y1) = points
        if x0 != x1 and y0 != y1:
            return False
        wide = max(1, round(line.width * self.zoom))
        ends = 0.0 if line.dashed else line.width / 2

        def across(at: float) -> slice:
            first = round(at * self.zoom - wide / 2 + 1e-6)
            return slice(max(0, first), max(0, first + wide))

        def along(a: float, b: float) -> slice:
            low, high = min(a, b) - ends, max(a, b) + ends
            return slice(*self._span(low, high - low))

        if y0 == y1:
            self._fill(across(y0), along(x0, x1), line.ink, 1.0)
        else:
            self._fill(along(y0, y1), across(x0), line.ink, 1.0)
        return True

    def _fill(self, rows: slice, columns: slice, ink: str, opacity: float) -> None:
        part = self.pixels[rows, columns]
        self._mix(part, ink, np.full(part.shape[:2], opacity))

    def _mask(self, mask: NDArray[np.bool_], x: int, y: int, ink: str) -> None:
        """Put ink where a mask says, whose upper left corner is at x and y."""
        height, width = self.pixels.shape[:2]
        mask = mask[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
        x, y = max(0, x), max(0, y)
        part = self.pixels[y : y + mask.shape[0], x : x + mask.shape[1]]
        part[mask] = getattr(THEMES[self.theme], ink)

    def _polygons(self, polygons: list[tuple[Point, ...]], ink: str, opacity: float) -> None:
        found = coverage(polygons, self.pixels.shape[1], self.pixels.shape[0])
        if found is not None:
            left, top, share = found
            part = self.pixels[top : top + share.shape[0], left : left + share.shape[1]]
            self._mix(part, ink, share * opacity)

    def _mix(self, part: NDArray[np.uint8], ink: str, share: NDArray[Any]) -> None:
        """Mix an ink with what is there."""
        colour = np.array(getattr(THEMES[self.theme], ink), float)
        inked = share > 0
        below = part[inked]
        part[inked] = np.rint(below + (colour - below) * share[inked][:, None])
