"""The shapes of a ridge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weigh._pictures.axis import x_axis
from weigh._pictures.caption import SIZE, caption_shapes
from weigh._pictures.shapes import Area, Drawing, Line, Shape, Text
from weigh._pictures.steps import Frame, curve, steps, upright
from weigh._pictures.words import number_text, shortened, width_of

if TYPE_CHECKING:
    from weigh._pictures.ridge import Ridge, RidgeRow

WIDTH = 760.0
_EDGE, _TOP = 20.0, 58.0
_NAMES, _NUMBERS = 235.0, 66.0
_PITCHES = ((30, 34.0), (60, 24.0), (10**9, 18.0))
"""From one row to the next, by how many there are at most."""


def ridge_drawing(ridge: Ridge) -> Drawing:
    """Draw a ridge: a row for each tensor, the axis below, and the caption."""
    rows = ridge.rows
    pitch = next(pitch for most, pitch in _PITCHES if len(rows) <= most)
    shapes: list[Shape] = [Text(_EDGE, 32, "How the values are spread", 14, bold=True)]
    bottom = 44.0
    if ridge.edges:
        names = max((width_of(row.name, SIZE) for row in rows), default=0)
        left = _EDGE + min(names, _NAMES) + 14
        bottom = _TOP + pitch * len(rows)
        width = WIDTH - _EDGE - _NUMBERS - left
        whole = Frame(left, bottom, width, bottom - _TOP + 2, ridge.ruler)
        shapes += x_axis(whole)
        shapes.append(Text(WIDTH - _EDGE, _TOP - 6, "std", SIZE, "end", "muted"))
        for at, row in enumerate(rows):
            base = _TOP + pitch * (at + 1)
            shapes += _row(ridge, row, Frame(left, base, width, pitch - 6, ridge.ruler))
        bottom += 28
    lines, bottom = caption_shapes(ridge.caption, _EDGE, bottom + 8, WIDTH - 2 * _EDGE)
    return Drawing(
        width=WIDTH,
        height=bottom + 16,
        shapes=(*shapes, *lines),
        title=f"Histograms of {len(rows):,} tensors",
        description=" ".join(ridge.caption),
    )


def _row(ridge: Ridge, row: RidgeRow, frame: Frame) -> Iterator[Shape]:
    """Draw a row: its name, what is expected, its values, and their deviation."""
    name = shortened(row.name, _NAMES, SIZE)
    whole = row.name if name != row.name else ""
    yield Text(_EDGE, frame.bottom - 3, name, SIZE, whole=whole)
    if row.constant is not None:
        yield upright(frame, row.constant, 1.0)
    if row.expected:
        yield from curve(frame, ridge.edges, [each / row.top for each in row.expected], 1.0)
    outline = steps(frame, ridge.edges, [count / row.top for count in row.counts])
    yield Area(outline, "second", 0.35)
    yield Line(outline[1:-1] if len(outline) > 2 else outline, "second")
    std = "" if row.std is None else number_text(row.std, 3)
    yield Text(WIDTH - _EDGE, frame.bottom - 3, std, SIZE, "end", "muted")
