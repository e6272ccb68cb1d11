"""How much of each pixel polygons cover."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, hypot
from typing import TYPE_CHECKING

import numpy as np

from weigh._pictures.shapes import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINES = 4
"""Lines that are looked at within each row of pixels."""

_LEVELS = 8
"""Shares are rounded to so many steps, so that a picture has few colours."""


def coverage(
    polygons: Sequence[Sequence[Point]], width: int, height: int
) -> tuple[int, int, NDArray[np.float64]] | None:
    """Give the share of each pixel that is covered, about the polygons, and where that is.

    Along a row shares are exact, across rows to a quarter. Polygons that overlap must go round
    the same way; holes are not made.

    Args:
        polygons: their corners, in pixels.
        width: of the picture, beyond which nothing is looked at.
        height: likewise.

    Returns:
        The first column, the first row, and the shares; None if nothing is covered.

    Examples:
        >>> coverage([((0.5, 0), (2, 0), (2, 1), (0.5, 1))], 4, 4)
        (0, 0, array([[0.5, 1. ]]))
    """
    points = [point for polygon in polygons for point in polygon]
    if not points:
        return None
    left, right = _ends([x for x, _ in points], width)
    top, bottom = _ends([y for _, y in points], height)
    if left >= right or top >= bottom:
        return None
    edges = np.array(
        [
            (*a, *b)
            for polygon in polygons
            if polygon
            for a, b in pairwise((*polygon, polygon[0]))
            if a[1] != b[1]
        ],
        np.float64,
    ).reshape(-1, 4)
    edges[:, ::2] -= left
    edges[:, 1::2] = (edges[:, 1::2] - top) * _LINES
    lines = _crossings(edges, right - left, (bottom - top) * _LINES)
    share = np.abs(lines.cumsum(axis=1)[:, :-2]).clip(0, 1)
    share = share.reshape(bottom - top, _LINES, right - left).mean(axis=1)
    return left, top, np.rint(share * _LEVELS) / _LEVELS


def _ends(values: Sequence[float], size: int) -> tuple[int, int]:
    low, high = min(values), max(values)
    return floor(max(0.0, min(low, size))), ceil(max(0.0, min(high, size)))


def _crossings(edges: NDArray[np.float64], width: int, lines: int) -> NDArray[np.float64]:
    """Note, line by line, where edges are crossed: sums from the left give what is inside."""
    y0, y1 = edges[:, 1], edges[:, 3]
    # A line is crossed by an edge that is above its middle on one end, and not on the other.
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, lines).astype(int)
    last = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, lines).astype(int)
    counts = last - first
    line = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    line += np.repeat(first, counts)
    x0, y0, x1, y1 = np.repeat(edges, counts, axis=0).T
    x = (x0 + (line + 0.5 - y0) * ((x1 - x0) / (y1 - y0))).clip(0, width)
    way = np.sign(y1 - y0)
    column = np.floor(x).astype(int)
    part = column + 1 - x
    made = np.zeros((lines, width + 2))
    np.add.at(made, (line, column), way * part)
    np.add.at(made, (line, column + 1), way * (1 - part))
    return made


def stroke(
    points: Sequence[Point], width: float, *, square: bool = False
) -> list[tuple[Point, ...]]:
    """Give a line from point to point as quads, which all go round the same way.

    Args:
        points: where it goes.
        width: how wide it is.
        square: whether its ends stand out by half its width.

    Examples:
        >>> stroke(((0, 0), (4, 0)), 2)
        [((0.0, 1.0), (4.0, 1.0), (4.0, -1.0), (0.0, -1.0))]
    """
    made: list[tuple[Point, ...]] = []
    last = len(points) - 2
    for at, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        length = hypot(x1 - x0, y1 - y0)
        if not length:
            continue
        along = ((x1 - x0) / length * width / 2, (y1 - y0) / length * width / 2)
        # Corners are filled by what stands out beyond them.
        back, on = float(square or at > 0), float(square or at < last)
        x0, y0 = x0 - along[0] * back, y0 - along[1] * back
        x1, y1 = x1 + along[0] * on, y1 + along[1] * on
        dx, dy = -along[1] + 0.0, along[0]
        made.append(
            ((x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy))
        )
    return made
