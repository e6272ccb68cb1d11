"""How much of a storage several views of it touch together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from typing import NamedTuple

from weigh._dtypes import DType
from weigh._facts import Extent

Span = tuple[Extent, DType]
"""Where a view of a storage lies, and the type of its values."""

_MOST_RUNS = 1 << 16


class Stored(NamedTuple):
    """What lies behind some tensors.

    Attributes:
        values: the different values.
        bytes: what they take.
        at_most: whether these are upper bounds.
    """

    values: int
    bytes: int
    at_most: bool = False


NOTHING = Stored(0, 0)


def covered(spans: list[Span]) -> Stored:
    """Give the values and bytes that two or more views of one storage touch together.

    Views without gaps are laid over each other as they are, the others run by run, up to
    65,536 runs; of more, the sum of what each touches is an upper bound.
    """
    views = {extent[:4] + extent.axes: (extent, dtype) for extent, dtype in spans}
    whole = _union((e.start, e.stop) for e, dtype in views.values() if not _has_gaps(e, dtype))
    size = sum(stop - start for start, stop in whole)
    # A view with gaps inside one without adds nothing, whatever its gaps.
    gapped = [
        (extent, dtype)
        for extent, dtype in views.values()
        if _has_gaps(extent, dtype)
        and not any(start <= extent.start and extent.stop <= stop for start, stop in whole)
    ]
    distinct = sum(extent.distinct for extent, _ in views.values())
    at_most = False
    if gapped:
        size, at_most = _with_gaps(whole, gapped)
    smallest = min(dtype.bits for _, dtype in views.values())
    return Stored(min(distinct, size * 8 // smallest), size, at_most)


def _has_gaps(extent: Extent, dtype: DType) -> bool:
    return dtype.size_of(extent.distinct) < extent.stop - extent.start


def _with_gaps(whole: list[tuple[int, int]], gapped: list[Span]) -> tuple[int, bool]:
    """Add views with gaps to what is covered; say whether the sum is an upper bound."""
    if len(gapped) == 1 and not whole:
        extent, dtype = gapped[0]
        return dtype.size_of(extent.distinct), False
    parts = [_runs(extent, dtype) for extent, dtype in gapped]
    if all(parts) and sum(count for count, _ in filter(None, parts)) <= _MOST_RUNS:
        runs = _union([*whole, *(run for part in parts if part for run in part[1])])
        return sum(stop - start for start, stop in runs), False
    together = _union([*whole, *((e.start, e.stop) for e, _ in gapped)])
    most = sum(stop - start for start, stop in whole)
    most += sum(dtype.size_of(extent.distinct) for extent, dtype in gapped)
    return min(most, sum(stop - start for start, stop in together)), True


def _runs(extent: Extent, dtype: DType) -> tuple[int, Iterator[tuple[int, int]]] | None:
    """Give the number of a view's gapless runs, and their bytes; None where nobody says."""
    if not extent.axes or dtype.bits % 8:
        return None
    size, length = dtype.bits // 8, 1
    outer: list[tuple[int, int]] = []
    for count, stride in sorted(extent.axes, key=lambda axis: axis[1]):
        if count == 1 or not stride:
            continue
        if not outer and stride <= length:
            length += (count - 1) * stride
        else:
            outer.append((count, stride))

    def each() -> Iterator[tuple[int, int]]:
        for places in product(*(range(0, count * stride, stride) for count, stride in outer)):
            start = extent.start + sum(places) * size
            yield start, start + length * size

    return prod(count for count, _ in outer), each()


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that overlap or touch."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
