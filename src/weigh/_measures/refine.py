"""A second look at values, which makes their quantiles exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from weigh._measures._kernels import Refiner
from weigh._measures.statistics import ranks_of
from weigh._measures.table import Table

Pieces = Callable[[], Iterable[tuple[memoryview, int]]]
"""Gives all values again: bytes, and how many values they are."""

Ranges = Sequence[tuple[int, int]]
"""First and last places of values, in the order of their type."""

Within = Callable[[Ranges], Iterable[tuple[memoryview, int]]]
"""Gives again those values that lie in some ranges; others may be among them."""

_FEW = 1 << 16
"""So many values of the patterns in question are kept rather than counted again."""


def exact_ranks(
    table: Table,
    n: int,
    quantiles: Sequence[float],
    again: Pieces,
    within: Within | None = None,
) -> dict[int, float]:
    """Find the values of the ranks that some quantiles need.

    A look counts the values of the patterns in question by their next 16 bits: one look is
    enough for a float32, three for a float64. Ranks whose values are changed by others in
    between are left out.

    Args:
        table: the counts.
        n: how many finite values there are.
        quantiles: which are wanted, between 0 and 1.
        again: reads the values once more.
        within: reads only those in question, where there is a way to.
    """
    if not n:
        return {}
    ranks = sorted({rank for q in quantiles for rank in ranks_of(q, n)[:2]})
    found: dict[int, float] = {}
    open_ranks: dict[int, tuple[int, int, int]] = {}
    sizes: dict[int, int] = {}
    for rank, (value, exact, first, last, inner, size) in zip(
        ranks, table.places(ranks), strict=True
    ):
        if exact:
            found[rank] = value
        else:
            open_ranks[rank] = (first, last, inner)
            sizes[first] = size
    few = sum(sizes.values()) <= _FEW
    while open_ranks:
        ranges = sorted({(first, last) for first, last, _ in open_ranks.values()})
        refiner = Refiner(table.dtype, ranges, few)
        for buffer, count in again() if within is None else within(ranges):
            refiner.add(buffer, count)
        narrower: dict[int, tuple[int, int, int]] = {}
        for rank, (first, last, inner) in open_ranks.items():
            try:
                low, high, inside, _ = refiner.find(ranges.index((first, last)), inner)
            except IndexError:  # the values changed meanwhile, as a live module's may
                continue
            if low == high:
                found[rank] = table.number(low)
            else:
                narrower[rank] = (low, high, inside)
        open_ranks = narrower
    return found
