"""Ridges drawn in letters: a line for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from weigh._errors import printable
from weigh._pictures.bar_letters import axis, bars, finished, letters_of, padded
from weigh._pictures.ridge_caption import ridge_caption
from weigh._pictures.words import number_text
from weigh._width import cells

if TYPE_CHECKING:
    from weigh._pictures.ridge import Ridge

_FEWEST = 16


def ridge_text(ridge: Ridge, width: int, *, ascii_only: bool = False) -> str:
    """Draw a ridge in letters. Names are never cut: bars take what they leave."""
    lines = _lines(ridge, width, ascii_only=ascii_only) if ridge.edges else ()
    caption = ridge_caption(ridge, in_letters=True)
    return finished(lines, caption, width, ascii_only=ascii_only)


def _lines(ridge: Ridge, width: int, *, ascii_only: bool) -> Iterator[str]:
    letters = letters_of(ascii_only=ascii_only)
    names = [printable(row.name) for row in ridge.rows]
    numbers = ["" if row.std is None else number_text(row.std, 3) for row in ridge.rows]
    beside = max(cells(name) for name in names) + 2
    after = max(len("std"), *map(len, numbers)) + 2
    bins = len(ridge.edges) - 1
    columns = min(max(_FEWEST, width - beside - after), bins)
    yield padded("", beside + columns) + padded("std", after, right=True)
    for name, number, row in zip(names, numbers, ridge.rows, strict=True):
        counts = _together(row.counts, columns)
        top = max(counts, default=0) or 1
        (drawn,) = bars([count / top for count in counts], 1, letters)
        yield padded(name, beside) + drawn + padded(number, after, right=True)
    floor, labels = axis(ridge.ruler, columns, letters)
    yield padded("", beside) + floor
    yield padded("", beside) + labels


def _together(counts: Sequence[int], columns: int) -> list[int]:
    """Draw counts in fewer columns: of bins that share one the fullest is drawn."""
    ends = [at * len(counts) // columns for at in range(columns + 1)]
    return [max(counts[a:b]) for a, b in pairwise(ends)]
