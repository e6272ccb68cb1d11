"""The outlines of signs and the dashes of lines, the same in SVG and in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, pi, sin

from weigh._pictures.colours import MARKS
from weigh._pictures.shapes import Glyph, Ink, Point

DASH = (5.0, 4.0)
"""How long a dash is, and the gap after it, for a line of width 1."""

_CODES = {name: code for code, name in MARKS.items()}
_CROSS = (
    (-1, -0.6), (-0.6, -1), (0, -0.4), (0.6, -1), (1, -0.6), (0.4, 0),
    (1, 0.6), (0.6, 1), (0, 0.4), (-0.6, 1), (-1, 0.6), (-0.4, 0),
)  # fmt: skip
_UP = ((0, -0.95), (1, 0.85), (-1, 0.85))
_DOWN = ((0, 0.95), (-1, -0.85), (1, -0.85))


def disc(x: float, y: float, radius: float, corners: int = 12) -> tuple[Point, ...]:
    """Give a disc as a polygon."""
    angles = (2 * pi * (at + 0.5) / corners for at in range(corners))
    return tuple((x + radius * cos(angle), y + radius * sin(angle)) for angle in angles)


def outline(glyph: Glyph) -> tuple[Point, ...]:
    """Give the outline of a sign: a cross, a triangle, or a dot low or high in its square.

    Examples:
        >>> outline(Glyph(10, 10, 4, "posinf"))
        ((10.0, 8.1), (12.0, 11.7), (8.0, 11.7))
    """
    half = glyph.size / 2
    if glyph.kind in ("below", "above"):
        way = 1 if glyph.kind == "below" else -1
        return disc(glyph.x, glyph.y + way * half * 0.45, half * 0.5, 8)
    corners = {"nan": _CROSS, "posinf": _UP, "neginf": _DOWN}[glyph.kind]
    return tuple((glyph.x + half * x, glyph.y + half * y) for x, y in corners)


def halo(glyph: Glyph) -> tuple[Point, ...]:
    """Give the disc behind a sign."""
    return disc(glyph.x, glyph.y, glyph.size * 0.85)


def halo_ink(glyph: Glyph) -> Ink:
    """Give the ink of the disc behind a sign: that of what it marks."""
    return glyph.kind


def dashes(points: Sequence[Point], width: float) -> list[tuple[Point, ...]]:
    """Cut a line from point to point into dashes.

    Examples:
        >>> dashes(((0, 0), (12, 0)), 1)
        [((0, 0), (5.0, 0.0)), ((9.0, 0.0), (12, 0))]
    """
    lengths = [hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    # Whatever the line, no more dashes than anyone could see.
    unit = max(width, sum(lengths) / 20_000)
    made: list[tuple[Point, ...]] = []
    inked, left = True, DASH[0] * unit
    current = list(points[:1])
    for (start, stop), length in zip(pairwise(points), lengths, strict=True):
        at = 0.0
        while length - at > left:
            at += left
            share = at / length
            place = tuple(a + (b - a) * share for a, b in zip(start, stop, strict=True))
            if inked:
                made.append((*current, (place[0], place[1])))
            current = [(place[0], place[1])]
            inked = not inked
            left = DASH[not inked] * unit
        left -= length - at
        if inked:
            current.append(stop)
    if inked and len(current) > 1:
        made.append(tuple(current))
    return made
