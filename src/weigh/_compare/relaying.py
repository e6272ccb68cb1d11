"""Finding the order in which one tensor holds the very values of another.

Each slice of a tensor is hashed along each axis, in a way that does not depend on the order of its
values. The sorted hashes of two axes are equal if one is the other permuted, whatever was done to
the other axes. What they say is then verified on all values. This module imports NumPy, so it is
itself imported only when values are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Any

import numpy as np

from weigh._compare.arranged import Reshaped, arranged
from weigh._compare.arrangement import (
    Arrangement,
    axis_of,
    fitted,
    gates,
    shape_words,
    squeezed,
)
from weigh._compare.order_words import order_words, regular_orders
from weigh._compare.patterns import mixed, patterns, signatures
from weigh._facts import Values
from weigh._measures._kernels import same_bytes
from weigh._measures.feed import boxes, bytes_of, repeats
from weigh._record import record
from weigh._tensor import Tensor

Array = np.ndarray[Any, Any]

AXES = 5
"""Axes longer than 1 whose orders are tried."""
_MOST = 1 << 34
"""Values beyond which a tensor is not looked at."""
_LONG = 1 << 20
"""Positions of an axis beyond which they are only looked for in the order they have."""
_PROBE = 1 << 12
"""Values that are compared first, so that wrong orders cost little."""
_PIECE = 1 << 20
"""Values that are compared at a time."""
_TRIED = 24
"""Orders of the axes that are verified, at most, where hashes leave several."""


def find_exact(a: Tensor, b: Tensor) -> Arrangement | None:
    """Find the order in which B's values are A's bit for bit, all of them compared.

    Both are of one type and hold the same patterns equally often, which the caller has seen. Of a
    tensor of one axis there always is such an order, so by itself it says little.

    Returns:
        The arrangement, the simplest where several are right; None if none was found.

    Raises:
        WeighError: the values of one cannot be read.
    """
    if not _comparable(a, b):
        return None
    shape_a, shape_b = a.shape or (), b.shape or ()
    order = tuple(range(len(shape_a)))
    if _same(a.values, Reshaped(b.values, shape_a)):
        through = None if shape_a == shape_b else shape_a
        words = shape_words(shape_b, shape_a) or "in the same order"
        return Arrangement(order, {}, through is not None, words, True, through)  # noqa: FBT003
    sizes_a, sizes_b = long_sizes(shape_a), long_sizes(shape_b)
    if max(len(sizes_a), len(sizes_b)) > AXES:
        return None
    if sorted(sizes_a) == sorted(sizes_b):
        return _relaid(a, b)
    return _merged(a, b)


def _comparable(a: Tensor, b: Tensor) -> bool:
    """Whether both can be one tensor in two orders, and looking does not take for ever."""
    count = a.count
    if count is None or count != b.count or a.dtype.name != b.dtype.name or not 0 < count <= _MOST:
        return False
    return not any(repeats(tensor.values) for tensor in (a, b))


def long_sizes(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in squeezed(shape))


def _same(a: Values, b: Values) -> bool:
    """Whether two tensors of one shape are equal bit for bit; stops at the first difference."""
    shape = a.shape or ()
    for most in (_PROBE, _PIECE):
        for region in boxes(shape, most):
            one = np.ascontiguousarray(patterns(a, region))
            if not same_bytes(bytes_of(one), bytes_of(np.ascontiguousarray(patterns(b, region)))):
                return False
            if most == _PROBE:
                break
    return True


def _merged(a: Tensor, b: Tensor) -> Arrangement | None:
    """Look for an order of axes of which some are one axis in the other tensor."""
    shape_a, shape_b = a.shape or (), b.shape or ()
    sizes_a, sizes_b = long_sizes(shape_a), long_sizes(shape_b)
    if len(sizes_a) == len(sizes_b):
        return None
    longer = max(sizes_a, sizes_b, key=len)
    for order in permutations(range(len(longer))):
        if order == tuple(sorted(order)):
            continue
        back = [order.index(k) for k in range(len(order))]
        turned = f"axes in the order {', '.join(map(str, back))}"
        if longer is sizes_b:
            through, fits = sizes_b, _coarser(sizes_a, [sizes_b[j] for j in order])
            words = f"{turned} of {[sizes_b[j] for j in order]}"
        else:
            through = tuple(sizes_a[k] for k in back)
            fits = _coarser(sizes_b, through)
            words = f"shape {list(shape_b)} as {list(through)}, "
            words += turned
        if fits:
            found = Arrangement(order, {}, True, words, True, through)  # noqa: FBT003
            if _same(a.values, arranged(b.values, found, shape_a)):
                return found
    return None


def _coarser(few: Sequence[int], many: Sequence[int]) -> bool:
    """Whether each axis of one shape is made of whole neighbouring axes of another."""
    rest = list(many)
    for size in few:
        made = 1
        while rest and made < size:
            made *= rest.pop(0)
        if made != size:
            return False
    return not rest


@record()
class _Hashes:
    """A tensor without its axes of 1, and a word for each position along each axis."""

    values: Values
    words: list[Array]

    @classmethod
    def of(cls, values: Values) -> _Hashes:
        long = Reshaped(values, long_sizes(values.shape or ()))
        return cls(long, signatures(long))

    def refined(self) -> _Hashes:
        """Tell positions apart by where along the other axes their values are, too."""
        more = signatures(self.values, self.words)
        both = zip(self.words, more, strict=True)
        return _Hashes(self.values, [mixed(one + other) for one, other in both])

    @property
    def distinct(self) -> list[int]:
        """How many words are different along each axis."""
        return [len(np.unique(words)) for words in self.words]


def _relaid(a: Tensor, b: Tensor) -> Arrangement | None:
    """Look for an order of the axes, and of the positions along each."""
    if max(long_sizes(a.shape or ()), default=0) > _LONG:
        return _transposed(a, b)
    mine, theirs = _Hashes.of(a.values), _Hashes.of(b.values)
    found = _tried(a, b, mine, theirs)
    distinct = mine.distinct
    sizes = long_sizes(a.shape or ())
    while found is None and len(sizes) > 1 and distinct != list(sizes):
        if not _axis_orders(mine, theirs):
            return None
        mine, theirs = mine.refined(), theirs.refined()
        found, before, distinct = _tried(a, b, mine, theirs), distinct, mine.distinct
        if distinct == before:
            return found or _told_apart(a, b, mine, theirs)
    return found


def _transposed(a: Tensor, b: Tensor) -> Arrangement | None:
    """Look for an order of the axes alone."""
    sizes_a, sizes_b = long_sizes(a.shape or ()), long_sizes(b.shape or ())
    for order in permutations(range(len(sizes_a))):
        if [sizes_b[j] for j in order] == list(sizes_a):
            found = arrangement_of(a, b, order, {})
            if _same(a.values, arranged(b.values, found, a.shape or ())):
                return found
    return None


def _axis_orders(mine: _Hashes, theirs: _Hashes) -> list[tuple[int, ...]]:
    """Give which axis of B each of A may be: those with the same words, the plainest first."""
    sorted_a, sorted_b = map(np.sort, mine.words), list(map(np.sort, theirs.words))
    may_be = [[j for j, b in enumerate(sorted_b) if np.array_equal(a, b)] for a in sorted_a]
    return [each for each in product(*may_be) if len({*each}) == len(each)][: 5 * _TRIED]


def _tried(a: Tensor, b: Tensor, mine: _Hashes, theirs: _Hashes) -> Arrangement | None:
    """Try the orders that words tell, those first that leave most as it is."""
    rows: list[tuple[int, bool, tuple[int, ...], dict[int, Array]]] = []
    for order in _axis_orders(mine, theirs):
        orders: dict[int, Array] = {}
        for axis, j in enumerate(order):
            along = _order(mine.words[axis], theirs.words[j], _gate_count(a, b, axis, j))
            if along is not None:
                orders[axis] = along
        rows.append((len(orders), order != tuple(sorted(order)), order, orders))
    rows.sort(key=lambda row: row[:3])
    for _, _, order, orders in rows[:_TRIED]:
        found = arrangement_of(a, b, order, orders)
        if _same(a.values, arranged(b.values, found, a.shape or ())):
            return found
    return None


def _gate_count(a: Tensor, b: Tensor, axis: int, j: int) -> int:
    mine = axis_of(a, squeezed(a.shape or ())[axis])
    return len(gates(mine) or gates(axis_of(b, squeezed(b.shape or ())[j])))


def _order(mine: Array, theirs: Array, blocks: int = 0) -> Array | None:
    """Give the position in B of each word of A; None if all are where they are in A.

    Where words are equal there are several orders, of which one that follows a rule is taken.
    """
    if np.array_equal(mine, theirs):
        return None
    by_mine, by_theirs = np.argsort(mine, kind="stable"), np.argsort(theirs, kind="stable")
    plain = np.empty_like(by_mine)
    plain[by_mine] = by_theirs
    words = mine[by_mine]
    equal = words[1:] == words[:-1]
    if not equal.any():
        return plain
    alone = np.ones(len(mine), bool)
    alone[by_mine[1:]] &= ~equal
    alone[by_mine[:-1]] &= ~equal
    for guess in _guesses(plain, alone, blocks):
        if np.array_equal(theirs[guess], mine):
            return guess
    return _kept(mine, theirs, plain, alone)


def _guesses(plain: Array, alone: Array, blocks: int) -> Iterator[Array]:
    n = len(plain)
    yield from regular_orders(n, blocks)
    if alone.any():
        # What cannot be told goes on where the last that can be told left off.
        known = np.flatnonzero(alone)
        last = known[np.maximum(np.searchsorted(known, np.arange(n), side="right") - 1, 0)]
        guess = plain[last] + np.arange(n) - last
        if guess.min() >= 0 and guess.max() < n and len(np.unique(guess)) == n:
            yield guess


def _kept(mine: Array, theirs: Array, plain: Array, alone: Array) -> Array:
    """Leave equal words where they are, if they are there in both; the others in their order."""
    fixed = (mine == theirs) & ~alone
    order = np.empty_like(plain)
    order[fixed] = np.flatnonzero(fixed)
    rest = np.flatnonzero(~fixed)
    by_mine = rest[np.argsort(mine[rest], kind="stable")]
    order[by_mine] = rest[np.argsort(theirs[rest], kind="stable")]
    return order


def _told_apart(a: Tensor, b: Tensor, mine: _Hashes, theirs: _Hashes) -> Arrangement | None:
    """Fix one axis after the other, so that the words of the next depend on it."""
    for order in _axis_orders(mine, theirs)[:AXES]:
        one, other = mine, theirs
        orders: dict[int, Array] = {}
        for axis in sorted(range(len(order)), key=lambda k: -mine.distinct[k]):
            j = order[axis]
            if not np.array_equal(np.sort(one.words[axis]), np.sort(other.words[j])):
                break
            along = _order(one.words[axis], other.words[j], _gate_count(a, b, axis, j))
            size = len(one.words[axis])
            places = mixed(np.arange(size, dtype=np.uint64))
            fixed = places if along is None else np.empty_like(places)
            if along is not None:
                orders[axis] = along
                fixed[along] = places
            words_a, words_b = list(one.words), list(other.words)
            words_a[axis], words_b[j] = places, fixed
            one = _Hashes(one.values, words_a).refined()
            other = _Hashes(other.values, words_b).refined()
        else:
            found = arrangement_of(a, b, order, orders)
            if _same(a.values, arranged(b.values, found, a.shape or ())):
                return found
    return None


def arrangement_of(
    a: Tensor, b: Tensor, order: Sequence[int], orders: dict[int, Array], *, exact: bool = True
) -> Arrangement:
    """Say what was found of the axes longer than 1 in terms of all axes, and in words."""
    shape_a, shape_b = a.shape or (), b.shape or ()
    permuted, through = fitted(shape_a, shape_b, order)
    long_a, long_b = squeezed(shape_a), squeezed(shape_b)
    plain = Arrangement(permuted, {}, through is not None)
    words = [plain.axis_words]
    for axis, along in orders.items():
        words.append(order_words(a, b, long_a[axis], long_b[order[axis]], along))
    if through is not None:
        words.append(shape_words(shape_b, shape_a))
    said = "; ".join(filter(None, words))
    named = {long_a[axis]: tuple(along.tolist()) for axis, along in orders.items()}
    return Arrangement(permuted, named, through is not None, said, exact, through)
