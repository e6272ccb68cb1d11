"""The shapes of a histogram."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from weigh._pictures.axis import x_axis
from weigh._pictures.caption import SIZE, caption_shapes
from weigh._pictures.ruler import linear_ticks
from weigh._pictures.shapes import Area, Box, Drawing, Ink, Line, Shape, Text
from weigh._pictures.steps import Frame, curve, steps, upright
from weigh._pictures.words import number_text, shortened, width_of

if TYPE_CHECKING:
    from weigh._pictures.histogram import Histogram

WIDTH, HEIGHT = 640.0, 190.0
_EDGE = 20.0
_TOP = 72.0
_APART, _BAR = 7.0, 9.0
_INKS: tuple[tuple[Ink, ...], ...] = ((), ("second",), ("first", "second"))


def histogram_drawing(histogram: Histogram) -> Drawing:
    """Draw a histogram: a title, a legend, the frame, and the caption below."""
    name = histogram.name or "values"
    title = shortened(name, WIDTH - 2 * _EDGE, 15)
    shapes: list[Shape] = [Text(_EDGE, 32, title, 14, bold=True, whole=name)]
    bottom = _TOP - 20
    if histogram.edges:
        shapes += _chart(histogram)
        bottom = _TOP + HEIGHT + 30
        if any(part.below or part.above for part in histogram.parts):
            bottom += 18
    lines, bottom = caption_shapes(histogram.caption, _EDGE, bottom + 8, WIDTH - 2 * _EDGE)
    return Drawing(
        width=WIDTH,
        height=bottom + 16,
        shapes=(*shapes, *lines),
        title=f"Histogram of {name}",
        description=" ".join(histogram.caption),
    )


def _chart(histogram: Histogram) -> Iterator[Shape]:
    """Draw all that is between the title and the caption."""
    top = histogram.top
    heights = linear_ticks(0, top, 5)
    # Values are whole: half a one is no tick.
    heights = tuple(tick for tick in heights if tick.value.is_integer()) or heights[:1]
    beside = max(width_of(tick.label, SIZE) for tick in heights)
    apart = (_APART + len(histogram.parts) * _BAR) * bool(_bars(histogram))
    left = _EDGE + beside + 8 + apart
    frame = Frame(left, _TOP + HEIGHT, WIDTH - _EDGE - apart - left, HEIGHT, histogram.ruler)
    yield Text(_EDGE, _TOP - 14, "values per bin", SIZE, ink="muted")
    yield from _legend(histogram)
    right = WIDTH - _EDGE
    for tick in heights:
        y = round(frame.y(tick.value / top), 2)
        yield Text(_EDGE + beside, y + 4, tick.label, SIZE, "end", "muted")
        if tick.value:
            yield Line(((_EDGE + beside + 8, y), (right, y)), "grid", 0.5)
    yield from x_axis(frame)
    yield from _expected(histogram, frame)
    yield from _parts(histogram, frame)
    yield Line(((frame.left, frame.bottom), (frame.left + frame.width, frame.bottom)), "muted")
    yield from _bins_apart(histogram, frame)


def _expected(histogram: Histogram, frame: Frame) -> Iterator[Shape]:
    if histogram.constant is not None:
        yield upright(frame, histogram.constant)
    shares = [value / histogram.top for value in histogram.expected]
    yield from curve(frame, histogram.edges, shares) if shares else ()


def _parts(histogram: Histogram, frame: Frame) -> Iterator[Shape]:
    inks = _INKS[len(histogram.parts)]
    for part, ink in zip(histogram.parts, inks, strict=True):
        shares = [count / histogram.top for count in part.counts]
        outline = steps(frame, histogram.edges, shares)
        yield Area(outline, ink, 0.35)
        if ink == "second":
            yield Line(outline[1:-1], ink, 1.25)
        for (low, high), count in zip(pairwise(histogram.edges), part.counts, strict=True):
            if count > histogram.top:
                yield from _break(frame, frame.x(low), frame.x(high), f"{count:,}")


def _break(frame: Frame, left: float, right: float, label: str) -> Iterator[Shape]:
    """Draw the gap in a bar that is cut, and how many values it has."""
    y, half = frame.y(1) + 16, 3.0
    corners = (
        (left - half, y + 4),
        (right + half, y - 2),
        (right + half, y + 2),
        (left - half, y + 8),
    )
    yield Area(corners, "paper")
    if right + 8 + width_of(label, SIZE) < frame.left + frame.width:
        yield Text(right + 8, frame.y(1) + 10, label, SIZE)
    else:
        yield Text(left - 8, frame.y(1) + 10, label, SIZE, "end")


def _bars(histogram: Histogram) -> bool:
    return any(part.below or part.above for part in histogram.parts)


def _bins_apart(histogram: Histogram, frame: Frame) -> Iterator[Shape]:
    """Draw the bars at the ends, of values that are beyond the axis."""
    for side, ink in (("below", "below"), ("above", "above")):
        counts = [getattr(part, side) for part in histogram.parts]
        if not any(counts):
            continue
        inks: tuple[Ink, ...] = (ink,) if len(counts) == 1 else _INKS[2]  # type: ignore[assignment]
        wide = len(counts) * _BAR
        left = frame.left - _APART - wide if side == "below" else frame.left + frame.width + _APART
        for at, (count, one) in enumerate(zip(counts, inks, strict=True)):
            if count:
                y = min(frame.y(count / histogram.top), frame.bottom - 2)
                yield Box(left + at * _BAR + 0.5, y, _BAR - 1, frame.bottom - y, one)
        yield Line(((left, frame.bottom), (left + wide, frame.bottom)), "muted")
        names = histogram.labels or ("",)
        told = ", ".join(
            f"{name} {count:,}".strip() for name, count in zip(names, counts, strict=True)
        )
        edge = number_text(histogram.edges[0 if side == "below" else -1])
        if side == "below":
            yield Text(left, frame.bottom + 36, f"{told} below {edge}", SIZE)
        else:
            yield Text(left + wide, frame.bottom + 36, f"{told} above {edge}", SIZE, "end")


def _legend(histogram: Histogram) -> Iterator[Shape]:
    """Draw what the colours are, from the right to the left."""
    rows: list[tuple[str, Ink]] = list(
        zip(histogram.labels, _INKS[2], strict=False) if histogram.labels else ()
    )
    if histogram.expected or histogram.constant is not None:
        rows.append(("default initial distribution", "expected"))
    x = WIDTH - _EDGE
    for label, ink in reversed(rows):
        label = shortened(label, 220, SIZE)
        x -= width_of(label, SIZE)
        yield Text(x, _TOP - 14, label, SIZE)
        x -= 26
        if ink == "expected":
            yield Line(((x, _TOP - 18), (x + 19, _TOP - 18)), ink, 1.5, dashed=True)
        else:
            yield Box(x + 6, _TOP - 23, 13, 10, ink, 0.35 if ink == "first" else 0.6)
        x -= 12
