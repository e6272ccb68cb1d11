"""The pixels of a grid's cells, with the glyphs of those that are marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.colours import (
    ABOVE,
    BELOW,
    MIDDLE,
    NAN,
    NEGINF,
    POSINF,
    STEPS,
    THEMES,
    Theme,
    palette,
)  # fmt: skip
from weigh._record import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from weigh._pictures.grid import Grid

GLYPH = 255
"""The code of a pixel in the ink of glyphs."""

ROOM = 7
"""How wide a cell is that has room for a glyph, in pixels."""

_GLYPHS = {
    NAN: ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    POSINF: ("..#..", "..#..", ".###.", ".###.", "#####"),
    NEGINF: ("#####", ".###.", ".###.", "..#..", "..#.."),
    ABOVE: ("..#..", ".###.", "..#..", ".....", "....."),
    BELOW: (".....", ".....", "..#..", ".###.", "..#.."),
}
_SMALL = {
    NAN: (".....", ".#.#.", "..#..", ".#.#.", "....."),
    POSINF: (".....", "..#..", ".###.", ".....", "....."),
    NEGINF: (".....", ".....", ".###.", "..#..", "....."),
}
"""What is drawn over cells that have no room for it, as large as it must be to be seen."""


@record(frozen=True, eq=False)
class Pixels:
    """Pixels by their codes.

    Attributes:
        codes: the code of each, or ``GLYPH``, uint8 of shape (height, width).
        rgb: for a picture in three colours, that of each pixel, where its code is that of 0.
        enlarged: whether some cells are drawn larger than they are.
    """

    codes: NDArray[np.uint8]
    rgb: NDArray[np.uint8] | None = None
    enlarged: bool = False

    def coloured(self, theme: Theme) -> NDArray[np.uint8]:
        """Give their colours, uint8 of shape (height, width, 3)."""
        colours = pixel_palette(theme)[self.codes]
        if self.rgb is not None:
            plain = self.codes == MIDDLE
            colours[plain] = self.rgb[plain]
        return colours

    def indexed(self, theme: Theme, most: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Give the pixels as numbers of at most so many colours, and the colours."""
        import numpy as np

        colours = pixel_palette(theme)
        if self.rgb is None:
            return _merged(most)[self.codes], colours
        # The codes of steps are free for the colours of the picture.
        first, sides = ABOVE + 1, _cube_root(min(most - len(_FIXED), GLYPH - ABOVE - 1))
        level = np.rint(self.rgb * ((sides - 1) / 255)).astype(int)
        cube = first + (level[..., 0] * sides + level[..., 1]) * sides + level[..., 2]
        each = np.rint(np.linspace(0, 255, sides)).astype(np.uint8)
        made = np.stack(np.meshgrid(each, each, each, indexing="ij"), axis=-1).reshape(-1, 3)
        colours[first : first + len(made)] = made
        return np.where(self.codes == MIDDLE, cube, self.codes).astype(np.uint8), colours


_FIXED = (*range(ABOVE + 1), GLYPH)
"""Codes that keep their colours where there are few."""


def grid_pixels(grid: Grid, zoom: int) -> Pixels:
    """Draw a grid, each cell so many pixels wide and high, with the glyphs of marked cells.

    Where cells are too small for a glyph, those that are not finite are drawn five pixels wide,
    over their neighbours: one NaN among a million numbers is seen.
    """
    codes = grid.codes.repeat(zoom, 0).repeat(zoom, 1)
    rgb = None if grid.rgb is None else grid.rgb.repeat(zoom, 0).repeat(zoom, 1)
    if zoom >= ROOM:
        _draw_glyphs(codes, grid.codes, zoom)
        return Pixels(codes, rgb)
    return Pixels(codes, rgb, _enlarge(codes, grid.codes, zoom))


def pixel_palette(theme: Theme) -> NDArray[np.uint8]:
    """Give the colour of each code, and of ``GLYPH``.

    Examples:
        >>> pixel_palette("light")[GLYPH].tolist()
        [255, 255, 255]
    """
    colours = palette(theme)
    colours[GLYPH] = THEMES[theme].glyph
    return colours


def _bitmap(rows: tuple[str, ...]) -> NDArray[np.bool_]:
    import numpy as np

    return np.array([[letter == "#" for letter in row] for row in rows])


def _draw_glyphs(pixels: NDArray[np.uint8], codes: NDArray[np.uint8], zoom: int) -> None:
    import numpy as np

    size = zoom // ROOM
    rows, columns = codes.shape
    cells = pixels.reshape(rows, zoom, columns, zoom).swapaxes(1, 2)
    first = (zoom - 5 * size) // 2
    for code, glyph in _GLYPHS.items():
        mask = np.zeros((zoom, zoom), bool)
        mask[first : first + 5 * size, first : first + 5 * size] = (
            _bitmap(glyph).repeat(size, 0).repeat(size, 1)
        )
        ys, xs = np.nonzero(codes == code)
        gy, gx = np.nonzero(mask)
        cells[ys[:, None], xs[:, None], gy, gx] = GLYPH


def _enlarge(pixels: NDArray[np.uint8], codes: NDArray[np.uint8], zoom: int) -> bool:
    import numpy as np

    height, width = pixels.shape
    drawn = False
    # The worst last, so that none covers it; glyphs of a kind after all its grounds.
    for code in (NEGINF, POSINF, NAN):
        ys, xs = np.nonzero(codes == code)
        drawn = drawn or bool(len(ys))
        glyph = _bitmap(_SMALL[code])
        top = np.clip(ys * zoom + zoom // 2 - 2, 0, max(height - 5, 0))
        left = np.clip(xs * zoom + zoom // 2 - 2, 0, max(width - 5, 0))
        for ink, value in ((glyph | True, code), (glyph, GLYPH)):
            for y, x in np.argwhere(ink).tolist():
                at = (top + y < height) & (left + x < width)
                pixels[(top + y)[at], (left + x)[at]] = value
    return drawn


def _merged(most: int) -> NDArray[np.uint8]:
    """Give the code that each code becomes where there are at most so many colours."""
    import numpy as np

    codes = np.arange(256, dtype=np.uint8)
    levels = max((most - len(_FIXED) - 1) // 2, 1)
    if levels < STEPS:
        steps = np.arange(-STEPS, STEPS + 1)
        level = np.rint(steps * levels / STEPS)
        codes[MIDDLE - STEPS : MIDDLE + STEPS + 1] = MIDDLE + np.rint(level * STEPS / levels)
    return codes


def _cube_root(number: int) -> int:
    return max(side for side in range(1, 7) if side == 1 or side**3 <= number)
