"""Boxes that must fill a tensor, none of them over another."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weigh._dtypes import DTYPES
from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Values
from weigh._sources.pieces import Piece, PieceValues

Box = tuple[tuple[int, ...], tuple[int, ...]]


def values() -> Values:
    raise AssertionError("it is not opened")


def make(shape: tuple[int, ...], boxes: list[Box]) -> PieceValues:
    pieces = [Piece(offsets, sizes, values) for offsets, sizes in boxes]
    return PieceValues(DTYPES["float32"], shape, pieces, "w")


def boxes(shape: tuple[int, ...]) -> st.SearchStrategy[Box]:
    def sized(offsets: tuple[int, ...]) -> st.SearchStrategy[Box]:
        pairs = zip(offsets, shape, strict=True)
        sizes = st.tuples(*(st.integers(0, whole - at) for at, whole in pairs))
        return st.tuples(st.just(offsets), sizes)

    return st.tuples(*(st.integers(0, whole) for whole in shape)).flatmap(sized)


@given(st.data())
def test_only_boxes_that_fill_it_once_are_taken(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 3), max_size=3).map(tuple))
    chosen = data.draw(st.lists(boxes(shape), max_size=5))
    counts = np.zeros(shape, int)
    for offsets, sizes in chosen:
        counts[tuple(slice(a, a + n) for a, n in zip(offsets, sizes, strict=True))] += 1
    if (counts == 1).all():
        assert make(shape, chosen).extent.distinct == counts.size
    else:
        with pytest.raises(FormatError, match=r"do not fill it|overlap"):
            make(shape, chosen)


def test_very_many_boxes_are_held_at_once() -> None:
    """Of 16 tensors, each on a mesh of 64 by 64; of pairs of boxes there are 134 million."""
    grid = [((8 * i, 2 * j), (8, 2)) for i, j in product(range(64), range(64))]
    for _ in range(16):
        make((512, 128), grid)
    with pytest.raises(FormatError, match="overlap"):
        make((512, 128), [*grid[:-1], grid[0]])


def test_a_pattern_beyond_all_bounds_is_refused() -> None:
    stairs = [((i, i), (1, 1)) for i in range(2000)]
    with pytest.raises(UnsupportedError, match="too irregular a pattern"):
        make((2000, 2000), [*stairs, ((0, 0), (2000, 1999))])
