"""Finding the order in which one tensor holds values like those of another.

Rows are matched by their correlation on some of their values, and what comes of it is judged on
others, so that chance is not taken for an order. This module imports NumPy, so it is itself
imported only when values are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from weigh._compare.arranged import Placed, Reshaped
from weigh._compare.arrangement import Arrangement, squeezed
from weigh._compare.relaying import AXES, arrangement_of, long_sizes
from weigh._facts import Values
from weigh._index import Region
from weigh._measures.feed import repeats
from weigh._tensor import Tensor

Array = np.ndarray[Any, Any]
Picked = list[Array]

_HIGH = 0.7
"""The correlation from which two tensors are alike in an order."""
_LOW = 0.5
"""The correlation below which they are not alike as they lie: a third of a GRU's rows may stay."""
_BETTER = 0.3
"""How much higher the correlation is in the order that is found, at least."""
_MATCHED = 96
"""Values of each row by which rows are matched."""
_JUDGED = 1 << 16
"""Values that an order is judged on, at most."""
_LEAST = 64
"""Values that an order is judged on, at least: chance then stays within 0.13 of 0, mostly."""
_PROBED = 128
"""Rows that are matched first, to see whether there is anything to find."""
_ROWS = 1 << 14
"""Rows beyond which they are not matched, each with each."""
_TRIED = 24
"""Orders of the axes that are tried, at most."""


def find_alike(a: Tensor, b: Tensor) -> Arrangement | None:
    """Find an order in which B's values are like A's, where they are not as they lie.

    That is an order of the axes, a permutation along one axis, or both. They are alike in it if
    the correlation of values that nothing was chosen by is over 0.7; as they lie it is below 0.5
    and by 0.3 lower. What slices have by their means alone does not count.

    Returns:
        The arrangement, its ``exact`` False; None if nothing is convincing.

    Raises:
        WeighError: the values of one cannot be read.
    """
    shape_a, shape_b = a.shape, b.shape
    if shape_a is None or shape_b is None or not a.count or a.count != b.count:
        return None
    if repeats(a.values) or repeats(b.values) or len(squeezed(shape_a)) > AXES:
        return None
    sizes_a, sizes_b = long_sizes(shape_a), long_sizes(shape_b)
    if len(sizes_a) < 2 or sorted(sizes_a) != sorted(sizes_b):
        return None
    one, other = Reshaped(a.values, sizes_a), Reshaped(b.values, sizes_b)
    judged = _evenly(sizes_a, _JUDGED)
    mine = _read(one, judged)
    if mine.size < _LEAST:
        return None
    lying = _correlation(mine, _read(other, judged)) if sizes_a == sizes_b else 0.0
    if lying >= _LOW:
        return None
    orders = list(_axis_orders(sizes_a, sizes_b))
    for order in orders:
        if order != tuple(range(len(order))) or sizes_a != sizes_b:
            found = _correlation(mine, _read(Placed(other, order, {}), judged))
            if _better(found, lying):
                return arrangement_of(a, b, order, {}, exact=False)
    for order in orders:
        for axis in range(len(order)):
            along = _along(one, Placed(other, order, {}), axis)
            if along is not None:
                return arrangement_of(a, b, order, {axis: along}, exact=False)
    return None


def _better(found: float, lying: float) -> bool:
    """Whether tensors are alike in an order, and not as they lie."""
    return found > _HIGH and lying < _LOW and found - lying >= _BETTER


def _axis_orders(sizes_a: Sequence[int], sizes_b: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Give the orders of axes whose sizes fit, at most a few: the plainest first."""
    given = 0
    for order in permutations(range(len(sizes_a))):
        if [sizes_b[j] for j in order] == list(sizes_a) and given < _TRIED:
            given += 1
            yield order


def _evenly(sizes: Sequence[int], most: int) -> Picked:
    """Pick positions along each axis, in few runs, so that a box of them has few values."""
    counts = list(sizes)
    while np.prod(counts, dtype=float) > most:
        axis = int(np.argmax(counts))
        counts[axis] = max(1, counts[axis] // 2)
    return [_spread(size, count) for size, count in zip(sizes, counts, strict=True)]


def _spread(size: int, count: int, first: int = 0, step: int = 1) -> Array:
    """Pick so many of the positions first, first + step ... below a size, spread evenly."""
    there = len(range(first, size, step))
    places = np.unique(np.linspace(0, there - 1, min(count, there)).astype(np.int64))
    return places * step + first


def _read(values: Values, picked: Picked) -> Array:
    """Read a box of picked positions as float64; what is not finite counts as 0."""
    box = Placed(values, tuple(range(len(picked))), dict(enumerate(picked)))
    read = box.read(Region.whole(box.shape))
    sizes = np.abs(read) if read.dtype.kind == "c" else read
    found: Array = np.ascontiguousarray(sizes, np.float64)
    found[~np.isfinite(found)] = 0
    return found


def _correlation(one: Array, other: Array) -> float:
    """Give the correlation of what is left of two boxes without the means of their slices.

    A slice with a mean of its own would count as many values that agree, or do not, together.
    It is 0 where nothing is left.
    """
    first, second = _centred(one), _centred(other)
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    least = 1e-9 * float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((first * second).sum()) / size if size > least else 0.0


def _centred(box: Array) -> Array:
    """Take the mean of each slice, along each axis, from a box."""
    box = box - box.mean()
    for axis in range(box.ndim):
        others = tuple(k for k in range(box.ndim) if k != axis)
        box = box - box.mean(axis=others, keepdims=True)
    return box


def _along(one: Values, other: Values, axis: int) -> Array | None:
    """Look for the order of the positions along one axis; None if there is none."""
    sizes = one.shape or ()
    places = np.arange(sizes[axis])
    match, judge = _apart(sizes, axis)
    if not match or np.prod([len(picked) for picked in judge]) < _LEAST:
        return None
    theirs = _read(other, match)
    match[axis] = _spread(sizes[axis], _PROBED)
    best, _ = _nearest(_rows(_read(one, match), axis), _rows(theirs, axis))
    if np.median(best) < _HIGH:
        return None
    match[axis] = places
    mine = _read(one, match)
    order = _matched(_rows(mine, axis), _rows(theirs, axis))
    if order is None or np.array_equal(order, places):
        return None
    judged, lying = _read(one, judge), _read(other, judge)
    found = _correlation(judged, np.take(lying, order, axis=axis))
    if not _better(found, _correlation(judged, lying)):
        return None
    # There is an order: by twice the values, fewer rows are taken for others.
    mine, theirs = (_beside(pair, axis) for pair in ((mine, judged), (theirs, lying)))
    surer = _matched(_rows(mine, 0), _rows(theirs, 0))
    return order if surer is None else surer


def _beside(boxes: Sequence[Array], axis: int) -> Array:
    """Put what several boxes have of each slice along an axis into one row."""
    flat = [np.moveaxis(box, axis, 0).reshape(box.shape[axis], -1) for box in boxes]
    return np.concatenate(flat, axis=1)


def _apart(sizes: Sequence[int], axis: int) -> tuple[Picked, Picked]:
    """Pick positions to match by and others to judge by; none if that cannot be done.

    They have nothing in common along the longest of the other axes.
    """
    others = [k for k in range(len(sizes)) if k != axis]
    long = max(others, key=lambda k: sizes[k])
    if sizes[long] < 2 or sizes[axis] > _ROWS:
        return [], []
    most = max(8, min(_MATCHED, (1 << 21) // sizes[axis]))
    rest = np.prod([sizes[k] for k in others if k != long], dtype=float)
    both: tuple[Picked, Picked] = ([], [])
    for which, picked in enumerate(both):
        for k, size in enumerate(sizes):
            if k == axis:
                picked.append(np.arange(size))
            elif k == long:
                picked.append(_spread(size, max(1, int(most // rest)), which, 2))
            else:
                picked.append(_spread(size, max(1, most // 8)) if rest > most else np.arange(size))
    return both


def _rows(box: Array, axis: int) -> Array:
    """Make each slice along an axis a row of mean 0 and norm 1; of norm 0, if it is constant."""
    flat = np.moveaxis(box, axis, 0).reshape(box.shape[axis], -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    made: Array = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    return made.astype(np.float32)


def _nearest(mine: Array, theirs: Array) -> tuple[Array, Array]:
    """Give, for each row of A, the highest correlation with one of B, and which that is."""
    best, which = np.empty(len(mine), np.float32), np.empty(len(mine), np.int64)
    step = max(1, (1 << 22) // len(theirs))
    for start in range(0, len(mine), step):
        near = mine[start : start + step] @ theirs.T
        which[start : start + step] = near.argmax(axis=1)
        best[start : start + step] = near.max(axis=1)
    return best, which


def _matched(mine: Array, theirs: Array) -> Array | None:
    """Match rows with rows; None if too many are left over."""
    rows = len(mine)
    best, which = _nearest(mine, theirs)
    # Of rows that want the same one, the nearest has it.
    order = np.full(rows, -1)
    by_best = np.argsort(best, kind="stable")
    taken = np.full(rows, -1)
    taken[which[by_best]] = by_best
    sure = np.flatnonzero(taken >= 0)
    order[taken[sure]] = sure
    left, free = np.flatnonzero(order < 0), np.flatnonzero(taken < 0)
    if len(left) > rows // 4:
        return None
    staying = np.intersect1d(left, free)
    order[staying] = staying
    order[np.setdiff1d(left, staying)] = np.setdiff1d(free, staying)
    return order
