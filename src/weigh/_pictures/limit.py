"""The number at which colours end: the 99.9th percentile of sizes, from a table of all values."""

from __future__ import annotations

from typing import Any

from weigh._measures.table import Table
from weigh._record import record

ABOVE = 1000
"""One value in so many may lie above the limit."""
ABOVE_OF_FEW = 20
"""And of few values, above what is usual."""
WORDS = "the 99.9th percentile of |w|"
FEW = 1000
"""Of fewer values the percentile is the largest one, however far it lies from all others."""
FAR = 8.0
"""How many times the 95th percentile an outlier among few values is."""


@record(frozen=True)
class Limit:
    """Where colours end.

    Attributes:
        value: the number; 0 if all finite values are.
        words: what number that is.
    """

    value: float
    words: str


def limit_of(table: Table) -> Limit:
    """Give the limit of the values that a table has counted.

    It is the smallest number that at least 99.9 % of the finite values are no larger than, in
    size: exact for types of up to 16 bits, within their top 16 bits for wider ones, and never
    beyond the largest. Of fewer than 1,000 values that would be the largest of all, and one
    outlier would leave nothing to be seen of the rest: what is over eight times the 95th
    percentile is left out there. Where so few values are not 0 that the percentile is 0, it is that
    of those few.

    Examples:
        >>> from array import array
        >>> limit_of(Table.of("float32", array("f", [-2.0, 1.0]))).value
        2.0
        >>> limit_of(Table.of("int32", array("i", [1, 2] * 50 + [1000000]))).value
        2.0
    """
    import numpy as np

    extremes = table.extremes()
    if extremes is None:
        return Limit(0.0, "no value is finite")
    largest = max(abs(float(extremes[0])), abs(float(extremes[1])))
    zeros = table.summary()[4]
    lows, highs, counts = (np.array(each, float) for each in zip(*table.cells(), strict=True))
    sizes = np.minimum(np.maximum(np.abs(lows), np.abs(highs)), largest)
    # Zeros are as small as they are, also where they share a cell with what is nearly 0: there is
    # one such cell for 0 and one for -0.
    near = (lows <= 0) & (highs >= 0)
    counts = np.append(counts[~near], [counts[near].sum() - zeros, zeros])
    sizes = np.append(sizes[~near], [sizes[near].max(initial=0), 0.0])
    order = np.argsort(sizes, kind="stable")
    order = order[counts[order] > 0]
    return _limit(sizes[order], np.cumsum(counts[order]))


def limit_of_values(values: Any) -> Limit:
    """Give the limit of finite values that are at hand, which is exact whatever their type.

    Examples:
        >>> limit_of_values([0.5, -1.0] * 50 + [1e6])
        Limit(value=1.0, words='the largest |w| but for outliers, over 8 x the 95th percentile')
    """
    import numpy as np

    sizes = np.abs(np.asarray(values, dtype=np.float64).reshape(-1))
    if not sizes.size:
        return Limit(0.0, "no value is finite")
    if sizes.size >= FEW:
        rank = sizes.size - sizes.size // ABOVE - 1
        limit = float(np.partition(sizes, rank)[rank])
        if limit or not (few := sizes[sizes > 0]).size:
            return Limit(limit, WORDS)
        return _of_few(limit_of_values(few))
    return _limit(np.sort(sizes), np.arange(1, sizes.size + 1))


def _limit(sizes: Any, ranks: Any) -> Limit:
    """Give the limit of sizes in order, of which so many are no larger than each."""
    count, largest = int(ranks[-1]), float(sizes[-1])
    above = count // (ABOVE if count >= FEW else ABOVE_OF_FEW)
    usual = float(sizes[ranks.searchsorted(count - above)])
    if not usual < largest or (count < FEW and usual and largest <= FAR * usual):
        return Limit(largest, WORDS if count >= FEW else "the largest |w|")
    if not usual:
        zeros = int(ranks[sizes == 0][-1])
        return _of_few(_limit(sizes[sizes > 0], ranks[sizes > 0] - zeros))
    if count >= FEW:
        return Limit(usual, WORDS)
    words = "the largest |w| but for outliers, over 8 x the 95th percentile"
    return Limit(float(sizes[sizes <= FAR * usual][-1]), words)


def _of_few(limit: Limit) -> Limit:
    """Say that zeros were left out."""
    return Limit(limit.value, f"{limit.words}, zeros left out")
