"""The horizontal axis of a histogram, or of many above each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log10

from weigh._pictures.caption import SIZE
from weigh._pictures.ruler import Ruler, Tick
from weigh._pictures.shapes import Line, Shape, Text
from weigh._pictures.steps import Frame
from weigh._pictures.words import width_of

_GAP = 10.0
"""The room between two labels."""


def x_axis(frame: Frame) -> Iterator[Shape]:
    """Draw the ticks of an axis, and as many of their labels as there is room for."""
    for tick in fitting_ticks(frame.ruler, frame.width):
        x = round(frame.x(tick.value), 2)
        yield Line(((x, frame.bottom - frame.height), (x, frame.bottom)), "grid", 0.5)
        yield Line(((x, frame.bottom), (x, frame.bottom + 4)), "muted")
        yield Text(x, frame.bottom + 18, tick.label, SIZE, "middle", "muted")


def fitting_ticks(ruler: Ruler, width: float) -> tuple[Tick, ...]:
    """Choose as many ticks as have labels that do not touch.

    Examples:
        >>> [tick.label for tick in fitting_ticks(Ruler(-1, 1, 0.0001), 300)]
        ['−1', '−0.01', '0', '0.01', '1']
    """
    powers = ruler.powers()
    if len(powers) > 1:
        return _spread(powers, ruler, width)
    for most in (9, 7, 5, 4, 3, 2):
        ticks = ruler.ticks(most)
        if _fit(ticks, ruler, width):
            return ticks
    return ruler.ticks(2)[:1]


def _spread(ticks: Sequence[Tick], ruler: Ruler, width: float) -> tuple[Tick, ...]:
    """Choose ticks of a symmetric-logarithmic axis: 0, and powers of ten as near as fits.

    Those next to 0 are closer to it than to each other, and are left out first.
    """
    powers = sorted({_power(tick) for tick in ticks if tick.value}, reverse=True)
    for every in range(1, len(powers) + 1):
        kept = powers[::every]
        for some in (kept, kept[:-1]):
            chosen = tuple(t for t in ticks if not t.value or _power(t) in some)
            if _fit(chosen, ruler, width):
                return chosen
    return tuple(ticks[:1])


def _power(tick: Tick) -> int:
    return round(log10(abs(tick.value)))


def _fit(ticks: Sequence[Tick], ruler: Ruler, width: float) -> bool:
    """Whether no label touches another."""
    ends = []
    for tick in ticks:
        place, half = ruler.place(tick.value) * width, (width_of(tick.label, SIZE) + _GAP) / 2
        ends.append((place - half, place + half))
    return all(before[1] <= after[0] for before, after in pairwise(ends))
