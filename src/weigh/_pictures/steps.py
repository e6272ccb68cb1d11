"""The outline of a histogram: a step for each bin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from weigh._pictures.ruler import Ruler
from weigh._pictures.shapes import Line, Point
from weigh._record import record

_CUT = 5.0
"""How many times higher than all others a bin is, to be cut."""

_HEADROOM, _MARGIN = 1.25, 1.04


@record(frozen=True)
class Frame:
    """Where a histogram is drawn.

    Attributes:
        left: its left edge.
        bottom: where heights begin.
        width: how wide it is.
        height: how high the highest step may be.
        ruler: which number is where from left to right.
    """

    left: float
    bottom: float
    width: float
    height: float
    ruler: Ruler

    def x(self, value: float) -> float:
        """Give where a number is."""
        return self.left + self.width * self.ruler.place(value)

    def y(self, share: float) -> float:
        """Give where a share of the height is; what is higher is cut."""
        return float(self.bottom - self.height * min(max(share, 0.0), 1.0))


def height_of(counts: Sequence[Sequence[int]], expected: Sequence[float] = ()) -> float:
    """Choose how many values the height of a frame stands for.

    Where one bin of each distribution is far higher than all others they are cut, and what is
    expected never makes the counts too small to see.

    Args:
        counts: the values per bin of each distribution.
        expected: those that are expected.

    Examples:
        >>> height_of([[1, 4, 100]]), round(height_of([[5, 4, 10]], [12.5]), 9)
        (5.0, 13.0)
    """
    most = max((max(each, default=0) for each in counts), default=0)
    if not most:
        return 1.0
    rest = max(sorted(each)[-2] if len(each) > 1 else 0 for each in counts)
    if rest and most > _CUT * rest:
        return rest * _HEADROOM
    return max(most, min(max(expected, default=0.0), 2.0 * most)) * _MARGIN


def steps(frame: Frame, edges: Sequence[float], shares: Sequence[float]) -> tuple[Point, ...]:
    """Give the outline, from the bottom left to the bottom right.

    A bin that holds anything is at least a pixel high.

    Examples:
        >>> frame = Frame(0, 10, 4, 10, Ruler(0, 2))
        >>> steps(frame, [0, 1, 2], [0.5, 0.5])
        ((0.0, 10.0), (0.0, 5.0), (4.0, 5.0), (4.0, 10.0))
    """
    made: list[Point] = [(frame.x(edges[0]), frame.y(0))]
    for (start, stop), share in zip(pairwise(edges), shares, strict=True):
        y = min(frame.y(share), frame.y(0) - 1) if share > 0 else frame.y(0)
        if made[-1][1] != y:
            made.append((frame.x(start), y))
        elif len(made) > 1:
            made.pop()
        made.append((frame.x(stop), y))
    if made[-1][1] != frame.y(0):
        made.append((made[-1][0], frame.y(0)))
    return tuple(made)


def curve(
    frame: Frame, edges: Sequence[float], shares: Sequence[float], width: float = 1.5
) -> list[Line]:
    """Give the dashed line of what is expected, from the middle of one bin to the next.

    It begins and ends where something is expected, and stops where it is higher than the frame.
    """
    middles = [(frame.x(a) + frame.x(b)) / 2 for a, b in pairwise(edges)]
    made: list[Line] = []
    run: list[Point] = []
    ends = zip(middles, shares, [*shares[1:], 0.0], [0.0, *shares[:-1]], strict=True)
    for x, share, after, before in ends:
        seen = max(share, after, before) > 1e-4 and share <= 1.0001
        if seen:
            run.append((x, frame.y(share)))
        elif run:
            made.append(Line(tuple(run), "expected", width, dashed=True))
            run = []
    if run:
        made.append(Line(tuple(run), "expected", width, dashed=True))
    return [line for line in made if len(line.points) > 1]


def upright(frame: Frame, value: float, width: float = 1.5) -> Line:
    """Give the dashed line of a constant."""
    x = round(frame.x(value), 2)
    return Line(((x, frame.bottom), (x, frame.y(1))), "expected", width, dashed=True)
