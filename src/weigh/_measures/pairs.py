"""How the values of two tensors of one shape are handed to a comparison, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import ValuesError
from weigh._facts import Values
from weigh._index import Region
from weigh._measures._kernels import Comparison, same_bytes
from weigh._measures.feed import (
    DEQUANTIZED,
    PIECE,
    boxes,
    bytes_of,
    counted_as,
    encoded,
    reader_of,
    refuse_repetition,
)

if TYPE_CHECKING:
    import numpy as np

COMPARED = ("float32", "float64", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
"""The types whose numbers are compared as they lie; others are read as float64 before."""

Raw = Callable[[int, int], memoryview]


def _go_on(count: int) -> None:
    """Do not stop."""


class PairFeed:
    """The values of two tensors, in the order of their axes.

    Args:
        a: the values of one.
        b: those of the other, of the same shape.
        heed: told after each piece how many more values were looked at; it may raise, to stop.

    Attributes:
        count: how many values there are.
        parts: how many numbers each is: two for a complex one.
        types: what the numbers are compared as.
        lying: whether both lie end to end.
        apart: whether, besides, they are compared as they are stored, so that threads may share
            them.

    Raises:
        ValuesError: the values of one cannot be had.
    """

    def __init__(self, a: Values, b: Values, heed: Callable[[int], None] = _go_on) -> None:
        if a.shape is None or b.shape is None:
            raise ValuesError("it has no values before the layer's first input")
        if a.shape != b.shape:
            raise ValueError("only tensors of one shape are compared")
        self._a, self._b, self._heed = a, b, heed
        self.shape = a.shape
        self.count = prod(a.shape)
        self._raw = reader_of(a), reader_of(b)
        self._plain = _plain(a.dtype) and _plain(b.dtype)
        same_parts = counted_as(a.dtype)[1] == counted_as(b.dtype)[1]
        self._plain = self._plain and same_parts
        self.parts = max(counted_as(a.dtype)[1], counted_as(b.dtype)[1])
        self.types = (
            (counted_as(a.dtype)[0], counted_as(b.dtype)[0])
            if self._plain
            else ("float64", "float64")
        )
        self.lying = None not in self._raw
        self.apart = self._plain and self.lying
        if not self.lying:
            refuse_repetition(a)
            refuse_repetition(b)

    def comparison(self, *, counted: bool = True) -> Comparison:
        """Make what holds these against each other.

        Args:
            counted: whether the changes are counted too.
        """
        return Comparison(*self.types, counted)

    def stretches(self) -> list[tuple[int, int]]:
        """Say what parts of the values are best looked at one after the other."""
        if not self.apart:
            return [(0, self.count)]
        starts = range(0, self.count, PIECE)
        return [(start, min(start + PIECE, self.count)) for start in starts] or [(0, 0)]

    def add(self, found: Comparison, start: int, stop: int, *, skip: bool) -> int | None:
        """Compare a run of values: any, if they can be had apart, else all.

        Args:
            found: what it is added to.
            start: the first value.
            stop: one past the last.
            skip: whether what is equal bit for bit is only noted.

        Returns:
            How many values differ, where the comparison cannot say so itself; else None.
        """
        one, other = self._raw
        if self.apart and one is not None and other is not None:
            count = (stop - start) * self.parts
            found.add(one(start, stop), other(start, stop), count, start * self.parts, skip)
            self._heed(stop - start)
            return None
        if skip and self.lie_equal():
            self._heed(self.count)
            return 0
        return self._add_boxes(found)

    def squares(self, found: Comparison) -> None:
        """Add to a comparison what was only noted as equal."""
        one = self._raw[0]
        for first, last in found.equal():
            assert one is not None  # only of what lies end to end is anything noted
            for start in range(first, last, PIECE):
                stop = min(start + PIECE, last)
                piece = one(start // self.parts, stop // self.parts)
                found.add(piece, piece, stop - start, start, skip=False)
                self._heed(0)

    def lie_equal(self) -> bool:
        """Whether both lie end to end, in one type, and are equal bit for bit."""
        one, other = self._raw
        if one is None or other is None or self._a.dtype.name != self._b.dtype.name:
            return False
        step = PIECE
        # Values in blocks, and of fewer than 8 bits, are cut between whole bytes.
        for start in range(0, self.count, step):
            self._heed(0)
            run = start, min(start + step, self.count)
            if not same_bytes(one(*run), other(*run)):
                return False
        return True

    def pieces(self) -> Iterator[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """Read both box by box, in order: the place of the first value, and both arrays."""
        start = 0
        for region in boxes(self.shape, PIECE):
            yield start, self._a.read(region), self._b.read(region)
            start += prod(region.counts)

    def _add_boxes(self, found: Comparison) -> int | None:
        changed = 0
        for start, one, other in self.pieces():
            if self._plain:
                first = bytes_of(encoded(one, self._a.dtype))
                second = bytes_of(encoded(other, self._b.dtype))
                found.add(first, second, one.size * self.parts, start * self.parts, skip=False)
            else:
                x, y = doubles(one, other)
                changed += unequal(one, other) if self.parts == 1 else unequal(x, y)
                found.add(bytes_of(x), bytes_of(y), x.size, start * self.parts, skip=False)
            self._heed(one.size)
        return None if self._plain else changed


def _plain(dtype: DType) -> bool:
    """Whether the numbers of a type are compared as they are stored."""
    return dtype.family not in DEQUANTIZED and counted_as(dtype)[0] in COMPARED


def doubles(
    one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give values as arrays of float64 without gaps; two numbers each, where some are complex."""
    import numpy as np

    if "c" in (one.dtype.kind, other.dtype.kind):
        wide = (np.ascontiguousarray(each, np.complex128).reshape(-1) for each in (one, other))
        first, second = (each.view(np.float64) for each in wide)
        return first, second
    return np.ascontiguousarray(one, np.float64), np.ascontiguousarray(other, np.float64)


def unequal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> int:
    """Count the values that differ; NaN is equal to NaN here, since its bits say nothing."""
    import numpy as np

    differ = one != other
    if one.dtype.kind in "fc" and other.dtype.kind in "fc":
        differ &= ~(np.isnan(one) & np.isnan(other))
    return int(np.count_nonzero(differ))


def positions(
    a: Values, b: Values, axis: int
) -> Iterator[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Read what lies at each position of an axis in both tensors, as arrays of float64."""
    import numpy as np

    shape = a.shape or ()
    size = shape[axis]
    each = prod(shape) // size if size else 0
    step = max(1, PIECE // max(1, each))
    refuse_repetition(a)
    refuse_repetition(b)
    for first in range(0, size, step):
        index: Any = (*(slice(None),) * axis, slice(first, first + step))
        region = Region.of(index, shape)
        one, other = (np.moveaxis(v.read(region), axis, 0) for v in (a, b))
        for offset in range(len(one)):
            yield first + offset, one[offset], other[offset]
