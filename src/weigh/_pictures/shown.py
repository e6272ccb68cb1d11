"""A sheet on a terminal: its picture, the names beside it, and what must be said of both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING

from weigh._pictures.colours import GAP, Theme
from weigh._pictures.grid import Grid, fitted
from weigh._pictures.half import covers, gradient, half_lines
from weigh._pictures.kitty import kitty_text
from weigh._pictures.letters import letter_legend, mark_legend
from weigh._pictures.margins import Placed, column_names, left_over, margin, row_names
from weigh._pictures.pixels import Pixels, grid_pixels
from weigh._pictures.plain import plain_lines
from weigh._pictures.sheet import Sheet
from weigh._pictures.sixel import sixel_text
from weigh._pictures.terminal import Protocol, Terminal, terminal_of
from weigh._pictures.wrapped import wrapped
from weigh._width import cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_LINES = 100
"""How many lines a picture made of letters has at most, so that a long one can be scrolled."""

_USUAL = (10, 20)
"""How many pixels a letter has where the terminal does not say: as many as a VT340's."""

_FEW_LINES = 40
"""How many lines of pixels there are where nobody knows how high the terminal is."""

_GRADIENT = 12


def show_sheet(
    sheet: Sheet,
    stream: IO[str] | None,
    *,
    protocol: Protocol | None = None,
    environ: Mapping[str, str] = os.environ,
    theme: Theme | None = None,
) -> None:
    """Write the picture of a sheet where a person or a pipe reads it.

    Args:
        sheet: the cells.
        stream: where it is written; nothing is if it is None, as ``print`` does.
        protocol: how; as the terminal allows if None.
        environ: the environment.
        theme: the theme of the colours; as the terminal's background if None.

    Raises:
        UsageError: ``WEIGH_PICTURES`` names no protocol.
    """
    if stream is None:
        return
    text = drawn(sheet, terminal_of(stream, environ, protocol=protocol, theme=theme)) + "\n"
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # A name may hold letters that the stream's encoding lacks.
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def sheet_text(sheet: Sheet, width: int = 80, *, in_ascii: bool = False) -> str:
    """Draw a sheet in letters without colour, in lines of at most some width.

    Examples:
        >>> import numpy as np
        >>> print(sheet_text(Sheet(np.array([[6, 126, 200, 246, 1]], "uint8"), limit=0.5), 40))
        ≡≡··▒▒██xx
        ≡ -0.5   = -0.375   ~ -0.25   - -0.125
        · 0   ░ +0.125   ▒ +0.25   ▓ +0.375
        █ +0.5   x NaN
    """
    return drawn(sheet, Terminal("plain", columns=width, letters=not in_ascii))


def drawn(sheet: Sheet, terminal: Terminal) -> str:
    """Give the text that draws a sheet on a terminal, without the last line end."""
    if not sheet.codes.size:
        return "There are no values to draw."
    if terminal.protocol in ("kitty", "sixel"):
        return _by_pixels(sheet, terminal)
    return _by_letters(sheet, terminal)


def _by_letters(sheet: Sheet, terminal: Terminal) -> str:
    side = margin(sheet.rows, terminal.columns)
    rows, columns = sheet.codes.shape
    room = max(terminal.columns - side, 1)
    across = 2 if 2 * columns <= room else 1
    halves = terminal.protocol == "half"
    # Two columns and a line are a square; so are a column and half a line.
    deep = halves and (across == 1 or rows > max(terminal.lines, _FEW_LINES))
    across = 1 if deep else across
    grid = fitted(sheet, _MOST_LINES * (2 if deep else 1), room // across)
    if halves:
        lines = half_lines(grid, across, terminal.theme, true_colour=terminal.true_colour)
    else:
        lines = plain_lines(grid, across, in_ascii=not terminal.letters)
    beside = row_names(sheet.rows, grid.tops, len(lines), lambda row: row // (1 + deep), width=side)
    above = column_names(
        sheet.columns, grid.lefts, lambda at: side + at * across, width=terminal.columns
    )
    named = [
        (name + " " * (side - cells(name)) + line).rstrip()
        for name, line in zip(beside.texts, lines, strict=True)
    ]
    what = "half of a letter" if deep else "place"
    notes = [grid.note(what)]
    if halves and covers(grid, across):
        notes.append("The letter of a marked cell covers the cell above or below it, too.")
    if sheet.rgb is not None and not halves:
        notes.append("Letters show the one of the three colours that is furthest from its middle.")
    return "\n".join([*above.texts, *named, *_below(sheet, grid, terminal, notes, beside, above)])


def _by_pixels(sheet: Sheet, terminal: Terminal) -> str:
    wide, high = terminal.cell or _USUAL
    side = margin(sheet.rows, terminal.columns) if terminal.cell else 0
    # The names of columns, what is said below, and the line of the cursor are seen as well.
    lines = max(terminal.lines - 4, 4) if terminal.lines else _FEW_LINES
    room = [lines * high, max(terminal.columns - side, 1) * wide]
    if terminal.most is not None and terminal.protocol == "sixel":
        room = [min(room[0], terminal.most[1]), min(room[1], terminal.most[0])]
    rows, columns = sheet.codes.shape
    zoom = min(max(min(room[0] // rows, room[1] // columns), 1), high)
    grid = fitted(sheet, room[0] // zoom, room[1] // zoom)
    pixels = grid_pixels(grid, zoom)
    if terminal.cell:
        pixels = _whole_letters(pixels, wide, high)
    height, width = pixels.codes.shape
    above = column_names(
        sheet.columns,
        grid.lefts,
        lambda at: side + -(-at * zoom // wide),
        width=terminal.columns,
    )
    beside = row_names(
        sheet.rows, grid.tops, -(-height // high), lambda row: row * zoom // high, width=side
    )
    if terminal.cell:
        body = _beside(_picture(pixels, terminal, width // wide, height // high), beside, side)
    else:
        body = _picture(pixels, terminal) + "\n"
    notes = [grid.note("pixel" if zoom == 1 else "square")]
    if pixels.enlarged:
        notes.append("NaN and infinities are drawn larger than their cells, over those around.")
    below = _below(sheet, grid, terminal, notes, beside, above)
    return "".join(f"{line}\n" for line in above.texts) + body + "\n".join(below)


def _picture(pixels: Pixels, terminal: Terminal, columns: int = 0, lines: int = 0) -> str:
    if terminal.protocol == "sixel":
        return sixel_text(*pixels.indexed(terminal.theme, terminal.registers))
    from weigh._pictures.png import png_bytes

    return kitty_text(png_bytes(pixels.coloured(terminal.theme)), columns=columns, lines=lines)


def _beside(picture: str, names: Placed, side: int) -> str:
    """Write names and the picture beside them.

    The names go first, so that nothing scrolls once the picture is there. Terminals differ in
    where sixels leave the cursor; it is put back.
    """
    count = len(names.texts)
    right = f"\x1b[{side}C" if side else ""
    lines = "".join(f"{name}\n" for name in names.texts)
    return f"{lines}\x1b[{count}A{right}\x1b7{picture}\x1b8\r\x1b[{count}B"


def _whole_letters(pixels: Pixels, wide: int, high: int) -> Pixels:
    """Add gaps to the right and below, so that a picture covers whole letters and is not scaled."""
    import numpy as np

    height, width = pixels.codes.shape
    more = ((0, -height % high), (0, -width % wide))
    rgb = None if pixels.rgb is None else np.pad(pixels.rgb, (*more, (0, 0)))
    codes: NDArray[np.uint8] = np.pad(pixels.codes, more, constant_values=GAP)
    return Pixels(codes, rgb, pixels.enlarged)


def _below(
    sheet: Sheet, grid: Grid, terminal: Terminal, notes: list[str], beside: Placed, above: Placed
) -> list[str]:
    """Say below a picture what its letters and colours mean, and what it does not show."""
    marks = mark_legend(grid.codes)
    colours = (
        [] if sheet.rgb is not None or terminal.protocol == "plain" else [_scale(sheet, terminal)]
    )
    items = [] if terminal.protocol in ("kitty", "sixel") else marks
    if terminal.protocol == "plain":
        items = letter_legend(sheet, in_ascii=not terminal.letters) + marks
    notes = [*notes, left_over("rows", beside.left), left_over("columns", above.left)]
    lines = [line for note in notes for line in wrapped(note.split(), terminal.columns)]
    return colours + wrapped(items, terminal.columns, "   ") + lines


def _scale(sheet: Sheet, terminal: Terminal) -> str:
    ends = (f"{-sheet.limit:.3g}", f"{sheet.limit:+.3g}")
    if sheet.limits is not None and sheet.limits[0] != sheet.limits[1]:
        ends = ("- limit", "+ limit")
    colours = gradient(terminal.theme, _GRADIENT, true_colour=terminal.true_colour)
    return f"{ends[0]} {colours} {ends[1]}"
