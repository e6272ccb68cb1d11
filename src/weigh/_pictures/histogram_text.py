"""Histograms drawn in letters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weigh._pictures.bar_letters import axis, bars, finished, letters_of, padded
from weigh._pictures.histogram_caption import histogram_caption

if TYPE_CHECKING:
    from weigh._pictures.histogram import Histogram

_ROWS = 8
_WIDEST = 4


def histogram_text(histogram: Histogram, width: int, *, ascii_only: bool = False) -> str:
    """Draw a histogram in rows of letters: each distribution, the axis below all, the caption."""
    lines = [histogram.name] if histogram.name else []
    if histogram.edges:
        beside = len(_label(histogram)) + 2
        columns = max(8, width - beside - 1)
        histogram = histogram.with_bins(columns)
        lines += _chart(histogram, beside, columns, ascii_only=ascii_only)
    caption = histogram_caption(histogram, in_letters=True)
    return finished(lines, caption, width, ascii_only=ascii_only)


def _chart(histogram: Histogram, beside: int, columns: int, *, ascii_only: bool) -> Iterator[str]:
    letters = letters_of(ascii_only=ascii_only)
    wide = max(1, min(_WIDEST, columns // (len(histogram.edges) - 1)))
    top = _top(histogram)
    for at, part in enumerate(histogram.parts):
        if histogram.labels:
            yield padded("", beside + 1) + histogram.labels[at]
        shares = [count / top for count in part.counts]
        expected = [count / top for count in histogram.expected]
        rows = bars(shares, _ROWS, letters, wide=wide, expected=expected)
        for row, drawn in enumerate(rows):
            label = "" if row else _label(histogram)
            yield f"{padded(label, beside - 1, right=True)} {letters.wall}{drawn}"
    floor, labels = axis(histogram.ruler, wide * (len(histogram.edges) - 1), letters)
    yield f"{padded('0', beside - 1, right=True)} {letters.corner}{floor}"
    yield padded("", beside + 1) + labels


def _top(histogram: Histogram) -> float:
    """Give the height of all rows: to the top of the highest bar, unless that is cut."""
    counts = [count for part in histogram.parts for count in part.counts]
    return min(histogram.top, max([*counts, *histogram.expected, 1]))


def _label(histogram: Histogram) -> str:
    return f"{round(_top(histogram)):,}"
