"""The drawing of a sheet: its cells, names beside them, a bar of its colours, and its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from weigh._pictures.colours import ABOVE, BELOW, MARKS, MIDDLE, NAN, NEGINF, POSINF, STEPS
from weigh._pictures.shapes import Box, Cells, Drawing, Glyph, Line, Shape, Text
from weigh._pictures.sheet import Label, Sheet
from weigh._pictures.words import number_text, shortened, width_of, wrapped

_MARGIN = 16.0
_SIZE = 11.0
_TITLE = 14.0
_LINE = 15.0
_MOST_ZOOM = 24
_WIDE = 768
"""How wide a small picture is made, at most."""
_VISIBLE = 7
"""The pixels of a cell in which a glyph can be seen."""
_HALO, _SMALL_HALO = 9.0, 5.0
_FEW_CLIPPED = 40
_MOST_GLYPHS = 2000
_LEAST = 420.0
_KINDS: dict[int, Literal["nan", "posinf", "neginf", "below", "above"]] = {
    NAN: "nan", POSINF: "posinf", NEGINF: "neginf", BELOW: "below", ABOVE: "above"
}  # fmt: skip


def zoom_of(sheet: Sheet) -> int:
    """Say how many pixels wide and high a cell is."""
    rows, columns = (int(size) for size in sheet.codes.shape)
    return max(1, min(_MOST_ZOOM, _WIDE // max(1, columns), _WIDE // max(1, rows)))


def painted(sheet: Sheet, title: str, caption: Sequence[str]) -> Drawing:
    """Draw a sheet with all that is said of it.

    Args:
        sheet: the cells.
        title: what they are of.
        caption: what is said below them, a sentence each.
    """
    rows, columns = sheet.codes.shape
    zoom = zoom_of(sheet)
    left = _MARGIN + _room(sheet.rows)
    wide, high = columns * zoom, rows * zoom
    width = max(left + wide + _MARGIN, _LEAST)
    room = width - 2 * _MARGIN
    name, *rest = title.rsplit("  ", 2)  # a name may hold two spaces itself
    y = _MARGIN + _TITLE - 3
    shapes: list[Shape] = [Text(_MARGIN, y, shortened(name, room, _TITLE), _TITLE, bold=True)]
    for line in wrapped(" ".join(rest), room, _SIZE):
        y += _LINE
        shapes.append(Text(_MARGIN, y, line, _SIZE, ink="muted"))
    top = y + 12 + (_LINE if sheet.columns else 0.0)
    shapes += [
        Cells(left, top, zoom, sheet.codes, sheet.rgb),
        *_names(sheet, left, top, zoom),
        *glyphs(sheet.codes, left, top, zoom),
    ]
    y = top + high + 14
    if sheet.rgb is None:
        shapes += _bar(sheet, left, y)
        y += 30
    y += 4
    for sentence in caption:
        for line in wrapped(sentence, width - left - _MARGIN, _SIZE):
            y += _LINE
            shapes.append(Text(left, y, line, _SIZE, ink="muted"))
    return Drawing(width, y + _MARGIN, tuple(shapes), title, " ".join(caption))


def _room(labels: Sequence[Label]) -> float:
    """The room that names to the left of rows take."""
    return max((width_of(label.text, _SIZE) for label in labels), default=-8.0) + 8


def _names(sheet: Sheet, left: float, top: float, zoom: int) -> Iterator[Text]:
    """Write the names of bands, as many as there is room for."""
    free = -1.0
    for label in sheet.rows:
        middle = top + (label.start + label.stop) / 2 * zoom + _SIZE / 2 - 1.5
        if middle - _SIZE >= free:
            yield Text(left - 6, middle, label.text, _SIZE, "end", "muted")
            free = middle + 1
    free = -1.0
    for label in sheet.columns:
        middle = left + (label.start + label.stop) / 2 * zoom
        half = width_of(label.text, _SIZE) / 2
        if middle - half >= free:
            yield Text(middle, top - 5, label.text, _SIZE, "middle", "muted")
            free = middle + half + 4


def glyphs(codes: np.ndarray, left: float, top: float, zoom: int) -> Iterator[Glyph]:
    """Mark cells by a sign; where cells are too small for one, it stands out from them.

    Of many that lie close together one has it: the caption counts them all.
    """
    counts = np.bincount(codes.reshape(-1), minlength=ABOVE + 1)
    for code, kind in _KINDS.items():
        tiny = zoom < _VISIBLE
        if not counts[code] or (tiny and code in (BELOW, ABOVE) and counts[code] > _FEW_CLIPPED):
            continue
        rows, columns = np.nonzero(codes == code)
        if tiny:
            apart = 14 if len(rows) <= _MOST_GLYPHS else 40
            blocks = (rows * zoom // apart) * (1 << 20) + columns * zoom // apart
            _, first = np.unique(blocks, return_index=True)
            rows, columns = rows[first], columns[first]
        small = _SMALL_HALO if code in (BELOW, ABOVE) else _HALO
        size = small if zoom < _VISIBLE else min(0.7 * zoom, 12.0)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            x, y = left + (column + 0.5) * zoom, top + (row + 0.5) * zoom
            yield Glyph(x, y, size, kind, halo=zoom < _VISIBLE)


def _bar(sheet: Sheet, left: float, top: float) -> Iterator[Shape]:
    """Show the colours in order, with the numbers at which they end, and the marks there are."""
    codes = np.arange(MIDDLE - STEPS, MIDDLE + STEPS + 1, 2, dtype=np.uint8)
    high, end = 8, 12.0
    x = left
    yield Box(x, top, end, high, "below")
    yield Glyph(x + end / 2, top + high / 2, 6, "below")
    x += end
    yield Cells(x, top, 1, np.broadcast_to(codes, (high, len(codes))))
    wide = len(codes)
    limits = sheet.limits or (sheet.limit, sheet.limit)
    text = number_text(sheet.limit) if limits[0] == limits[1] else "limit"
    for place, words, anchor in (
        (x, f"−{text}", "start"),
        (x + wide / 2, "0", "middle"),
        (x + wide, f"+{text}", "end"),
    ):
        yield Line(((place, top + high), (place, top + high + 3)), "muted")
        yield Text(place, top + high + 14, words, _SIZE - 1, anchor, "muted")  # type: ignore[arg-type]
    x += wide
    yield Box(x, top, end, high, "above")
    yield Glyph(x + end / 2, top + high / 2, 6, "above")
    x += end + 14
    for code, words in ((NAN, "NaN"), (POSINF, "+Inf"), (NEGINF, "-Inf")):
        if getattr(sheet, MARKS[code]):
            yield Box(x, top - 2, 12, 12, MARKS[code])  # type: ignore[arg-type]
            yield Glyph(x + 6, top + 4, 9, _KINDS[code])
            yield Text(x + 16, top + 8, words, _SIZE - 1, ink="muted")
            x += 22 + width_of(words, _SIZE)
