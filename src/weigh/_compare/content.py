"""Tensors that hold the same values under other names, whatever the order of the values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from hashlib import blake2b

from weigh._compare.arrangement import Arrangement
from weigh._errors import WeighError
from weigh._measures.measure import measure, measure_one
from weigh._measures.measured import Options
from weigh._measures.pairs import PairFeed, unequal
from weigh._measures.table import Table
from weigh._tensor import Tensor

Found = tuple[Tensor, Tensor, Arrangement | None]
"""A tensor of A, one of B, and the order in which B has the values if it is another."""

LEAST = 16
"""Fewer values than this may be equal by chance: a bias after few steps, a small table."""
_FEW = 3
"""Tensors of fewer different values (masks, biases of zeros) are equal by chance."""
_TRIED = 64
"""So many tensors that look alike are held against each, the likest name first."""

Held = Callable[[Tensor, Tensor], tuple[bool, Arrangement | None]]


def same_content(
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    threads: int = 0,
) -> Iterator[Found]:
    """Pair tensors of equal values, first those in which the values are in one order.

    The counts of bit patterns do not depend on the order of the values, so they tell which
    tensors may be equal; then the values are held against each other.

    Raises:
        SourceError: a source cannot be read any more.
    """
    mine, others = _candidates(a, b), _candidates(b, a)
    options = Options(threads=threads)
    by_sign: defaultdict[Hashable, tuple[list[Tensor], list[Tensor]]] = defaultdict(
        lambda: ([], [])
    )
    for side, tensors in enumerate((mine, others)):
        # A table takes half a megabyte: it is not kept.
        signs = {id(one.tensor): _sign(one.tensor, one.table) for one in measure(tensors, options)}
        for tensor in tensors:
            sign = signs.get(id(tensor))
            if sign is not None:
                by_sign[sign][side].append(tensor)
    for ones, twins in by_sign.values():
        yield from _paired(ones, twins)


def _candidates(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    """List the tensors for which there is another of their type and count."""
    known = {(t.dtype.name, t.count) for t in others}
    return [
        t
        for t in tensors
        if (t.count or 0) >= LEAST and t.tied_to is None and (t.dtype.name, t.count) in known
    ]


def _sign(tensor: Tensor, table: Table | None) -> Hashable:
    """Give what tensors of the same values in any order have in common; None if that is little."""
    if table is None or table.summary()[7] < _FEW:
        return None
    counts = repr((table.counts(), table.extremes())).encode()
    return tensor.dtype.name, tensor.count, blake2b(counts, digest_size=16).digest()


def many_kinds(tensor: Tensor) -> bool:
    """Whether a tensor has so many different values that they tell it from others."""
    table = measure_one(tensor).table
    return table is not None and table.summary()[7] >= _FEW


def _paired(ones: list[Tensor], twins: list[Tensor]) -> Iterator[Found]:
    """Pair tensors of the same values: those in one order first, then those in another."""
    left, alone = list(twins), ones
    for held in (_as_they_are, _reordered):
        waiting, alone = alone, []
        for one in waiting:
            found = _held(one, left, held)
            if found is None:
                alone.append(one)
            else:
                left.remove(found[1])
                yield found


def _held(one: Tensor, left: Sequence[Tensor], held: Held) -> Found | None:
    """Find the tensor that holds the same values: of several, that of the likest name."""
    # Where very many are equal, which of them it is can be told by nothing but their order.
    for twin in sorted(left[:_TRIED], key=lambda twin: _unlike(one, twin)):
        try:
            same, order = held(one, twin)
        except WeighError:
            continue
        if same:
            return one, twin, order
    return None


def _reordered(one: Tensor, twin: Tensor) -> tuple[bool, Arrangement | None]:
    from weigh._compare.relaying import find_exact  # it needs NumPy

    order = find_exact(one, twin)
    return order is not None, order


def _unlike(one: Tensor, twin: Tensor) -> int:
    """Say how little two names have in common at their ends."""
    parts = zip(reversed(one.name.split(".")), reversed(twin.name.split(".")), strict=False)
    return -sum(mine == other for mine, other in parts)


def _as_they_are(one: Tensor, twin: Tensor) -> tuple[bool, None]:
    """Whether two tensors are of one shape and equal bit for bit."""
    if one.shape != twin.shape:
        return False, None
    feed = PairFeed(one.values, twin.values)
    if feed.lying:
        return feed.lie_equal(), None
    return not any(unequal(x, y) for _, x, y in feed.pieces()), None
