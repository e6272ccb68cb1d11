"""What a table has in the bins of a histogram, and what a distribution would have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from weigh._measures.fit import Distribution
from weigh._measures.table import WIDTHS, Table
from weigh._record import record
from weigh._tensor import Initial


@record(frozen=True)
class Counted:
    """What a table has in some bins.

    Attributes:
        counts: how many values are in each bin.
        below: how many finite values are less than the first edge.
        above: how many are more than the last.
        values: how many there are at all.
        nan: how many of them are not a number.
        posinf: how many are positive infinity.
        neginf: how many are negative infinity.
        zeros: how many are zero.
        low: the smallest finite value; None if there is none.
        high: the largest.
        estimated: how many bins have counts that are estimated.
        error: how far off such a count is at most.
    """

    counts: tuple[int, ...]
    below: int
    above: int
    values: int
    nan: int
    posinf: int
    neginf: int
    zeros: int
    low: float | None
    high: float | None
    estimated: int
    error: int

    @property
    def finite(self) -> int:
        """How many values are finite."""
        return self.values - self.nan - self.posinf - self.neginf

    @classmethod
    def of(cls, table: Table, edges: Sequence[float]) -> Counted:
        """Count the values of a table in bins.

        Examples:
            >>> from array import array
            >>> found = Counted.of(Table.of("float32", array("f", [-1, 0, 0, 5])), [-2, 0, 2])
            >>> found.counts, found.above, found.zeros, found.estimated
            ((1, 2), 1, 2, 0)
        """
        values, nan, posinf, neginf, zeros, *_ = table.summary()
        finite = values - nan - posinf - neginf
        low, high = table.extremes() or (None, None)
        estimated, error = _doubt(table, edges)
        return cls(
            counts=tuple(table.histogram(edges)) if edges else (),
            below=table.below(edges[0]) if edges else 0,
            above=finite - table.below(edges[-1], with_equal=True) if edges else 0,
            values=values,
            nan=nan,
            posinf=posinf,
            neginf=neginf,
            zeros=zeros,
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            estimated=estimated,
            error=error,
        )


def _doubt(table: Table, edges: Sequence[float]) -> tuple[int, int]:
    """Say how many bins are estimated, and by how much at most: an edge splits their patterns."""
    if WIDTHS.get(table.dtype, 8) <= 2 or not edges:
        return 0, 0
    import numpy as np

    cells = np.array(table.cells(), np.float64).reshape(-1, 3)
    if not len(cells):
        return 0, 0
    low, high, count = cells.T
    at = np.searchsorted(high, edges, "left")
    at[-1] = np.searchsorted(high, edges[-1], "right")
    there, at = at < len(cells), at.clip(0, len(cells) - 1)
    split = there & (low[at] < edges)
    # The last bin has its upper edge as well.
    split[-1] = there[-1] and low[at[-1]] <= edges[-1]
    doubt = np.where(split, count[at], 0)
    each = doubt[:-1] + doubt[1:]
    return int((each > 0).sum()), int(each.max())


def expected(initial: Initial, edges: Sequence[float], values: int) -> tuple[float, ...]:
    """Say how many of some values a distribution would have in each bin; none of a constant.

    Examples:
        >>> expected(Initial("uniform", -1.0, 1.0), [-2, 0, 0.5, 1], 100)
        (50.0, 25.0, 25.0)
    """
    if initial.family == "constant" or constant(initial) is not None:
        return ()
    of = Distribution(initial.family, initial.a, initial.b)
    shares = [of.below(edge) for edge in edges]
    return tuple(max(0.0, b - a) * values for a, b in pairwise(shares))


def constant(initial: Initial) -> float | None:
    """Give the one number of a distribution that has no other."""
    width = {"uniform": initial.b - initial.a, "normal": initial.b}.get(initial.family, 0.0)
    return None if 0 < width < inf else initial.a
