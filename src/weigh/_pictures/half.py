"""A grid's cells as coloured half blocks, two cells to a letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.colours import GAP, MIDDLE, Theme
from weigh._pictures.letters import MARK_LETTERS
from weigh._pictures.pixels import GLYPH, pixel_palette
from weigh._pictures.xterm_colours import nearest, nearest_of_palette

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from weigh._pictures.grid import Grid

_WORST_FIRST = tuple(MARK_LETTERS)
_Ink = tuple[int, ...]


def half_lines(grid: Grid, zoom: int, theme: Theme, *, true_colour: bool) -> list[str]:
    """Draw a grid for a terminal with colours.

    A marked cell has its letter over its colour. Where a letter holds two cells it covers the
    other one, or the less bad of two marked ones.

    Args:
        grid: its cells.
        zoom: how many columns a cell takes: 2, and all of a line, or 1, and half of it.
        theme: the theme of its colours.
        true_colour: whether the terminal has all colours, not only xterm's 256.
    """
    import numpy as np

    inks = _inks(grid, theme, true_colour=true_colour)
    colours = pixel_palette(theme)
    if not true_colour:
        colours = nearest_of_palette(colours)[:, None]
    codes, glyph = grid.codes, tuple(colours[GLYPH].tolist())
    if zoom == 1 and len(codes) % 2:
        codes = np.pad(codes, ((0, 1), (0, 0)))
        inks = np.concatenate([inks, np.broadcast_to(colours[GAP], (1, *inks.shape[1:]))])
    step = 2 if zoom == 1 else 1
    lines = []
    for top in range(0, len(codes), step):
        low = top + step - 1
        pen = _Pen()
        rows = codes[top].tolist(), codes[low].tolist(), inks[top].tolist(), inks[low].tolist()
        for upper, lower, above, below in zip(*rows, strict=True):
            mark = _mark(upper, lower)
            if mark is not None:
                ground = above if upper == mark else below
                pen.put(MARK_LETTERS[mark] + " " * (zoom - 1), tuple(ground), glyph)
            elif above == below:
                pen.put(" " * zoom, tuple(above))
            else:
                pen.put("▀", tuple(below), tuple(above))
        lines.append(pen.line())
    return lines


def covers(grid: Grid, zoom: int) -> bool:
    """Whether a letter of a marked cell covers another cell."""
    import numpy as np

    if zoom > 1:
        return False
    codes = grid.codes[: len(grid.codes) // 2 * 2]
    upper, lower = codes[::2], codes[1::2]
    marked = np.isin(upper, _WORST_FIRST) | np.isin(lower, _WORST_FIRST)
    return bool((marked & (upper != lower)).any())


def gradient(theme: Theme, width: int, *, true_colour: bool) -> str:
    """Draw the colours from the negative limit to the limit."""
    import numpy as np

    from weigh._pictures.grid import Grid

    codes = np.linspace(MIDDLE - 120, MIDDLE + 120, width).round().astype(np.uint8)[None]
    none = np.zeros(0, np.int64)
    return half_lines(Grid(codes, None, none, none), 2, theme, true_colour=true_colour)[0]


def _inks(grid: Grid, theme: Theme, *, true_colour: bool) -> NDArray[np.uint8]:
    """Give what stands for the colour of each cell: its three parts, or a number."""
    colours = pixel_palette(theme)
    made = (
        colours[grid.codes] if true_colour else nearest_of_palette(colours)[grid.codes][..., None]
    )
    if grid.rgb is not None:
        free = grid.codes == MIDDLE
        made[free] = grid.rgb[free] if true_colour else nearest(grid.rgb)[free][:, None]
    return made


def _mark(upper: int, lower: int) -> int | None:
    for code in _WORST_FIRST:
        if code in (upper, lower):
            return code
    return None


class _Pen:
    """Writes a line, changing colours only where they change."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._ground: _Ink | None = None
        self._ink: _Ink | None = None

    def put(self, text: str, ground: _Ink, ink: _Ink | None = None) -> None:
        wanted = []
        if ground != self._ground:
            wanted.append(_code(48, ground))
            self._ground = ground
        if ink is not None and ink != self._ink:
            wanted.append(_code(38, ink))
            self._ink = ink
        if wanted:
            self._parts.append(f"\x1b[{';'.join(wanted)}m")
        self._parts.append(text)

    def line(self) -> str:
        return "".join(self._parts) + "\x1b[0m"


def _code(what: int, ink: _Ink) -> str:
    return f"{what};2;{ink[0]};{ink[1]};{ink[2]}" if len(ink) == 3 else f"{what};5;{ink[0]}"
