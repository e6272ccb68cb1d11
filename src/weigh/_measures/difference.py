"""What the values of two tensors differ by, worked out in one pass over both."""

from __future__ import annotations

import math
from typing import Any

from weigh._index import place_of
from weigh._measures._kernels import Comparison
from weigh._measures.report import small_histogram
from weigh._measures.statistics import Statistics, ratio, root_ratio
from weigh._measures.table import Table
from weigh._record import record


@record(frozen=True)
class Difference:
    """How the values of a tensor B differ from those of a tensor A at the same places.

    All but the counts are those of the pairs in which both numbers are finite, in double precision:
    integers beyond 2^53 are rounded to it.

    Attributes:
        count: how many values there are. A complex number counts as two.
        changed_values: how many of them differ in a bit, or as numbers where the types differ.
        finite: how many pairs are of two finite numbers.
        odd_a: how many values of A are NaN or infinite; 0 is said of tensors that are equal.
        odd_b: how many of B.
        norm_a: the root of the sum of squares of A (the Frobenius norm).
        norm_b: that of B.
        norm_change: that of the change, B - A.
        relative_change: ||B - A|| / ||A||; infinite where A is 0 and B is not.
        cosine: the cosine of the angle between A and B; None where one of them is 0.
        max_abs: the largest |b - a|.
        max_at: where it is first, as an index; None where nothing changed.
        sign_flips: how many values changed their sign, neither being 0.
        to_zero: how many became 0.
        from_zero: how many were 0 and no longer are.
        change: the statistics of the changes, each rounded to a float32 (of float64, not); None if
            nothing changed.
        low: where the small histogram of the changes begins: the quantile 0.001.
        high: where it ends: the quantile 0.999.
        bins: its counts, in bins of one width; changes beyond its ends are in the outermost.
    """

    count: int
    changed_values: int
    finite: int
    odd_a: int = 0
    odd_b: int = 0
    norm_a: float | None = None
    norm_b: float | None = None
    norm_change: float = 0.0
    relative_change: float = 0.0
    cosine: float | None = 1.0
    max_abs: float = 0.0
    max_at: tuple[int, ...] | None = None
    sign_flips: int = 0
    to_zero: int = 0
    from_zero: int = 0
    change: Statistics | None = None
    low: float = 0.0
    high: float = 0.0
    bins: tuple[int, ...] = ()

    @property
    def changed_share(self) -> float:
        """The share of values that changed."""
        return self.changed_values / self.count if self.count else 0.0

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        shape: tuple[int, ...],
        parts: int = 1,
        changed: int | None = None,
    ) -> Difference:
        """Work out what follows from a comparison of all values.

        Args:
            comparison: what was added up; nothing may be left to it that was only noted as equal.
            shape: that of the tensors, to say where something is.
            parts: how many numbers a value is: two for a complex one.
            changed: how many values differ, where the comparison was given other numbers.
        """
        seen = comparison.found()
        count, differing, finite, flipped, zeros_a, zeros_b, both = seen[:7]
        odd_a, odd_b, most, most_at = seen[7:]
        aa, bb, dd = map(_number, comparison.sums())
        norm_a, norm_b, norm_change = _root(aa), _root(bb), _root(dd)
        table = Table.__new__(Table)
        table.__setstate__(comparison.changes())
        counted = bool(table.summary()[0])
        low, high, bins = small_histogram(table) if counted else (0.0, 0.0, ())
        return cls(
            count=count,
            changed_values=differing if changed is None else changed,
            finite=finite,
            odd_a=odd_a,
            odd_b=odd_b,
            norm_a=norm_a,
            norm_b=norm_b,
            norm_change=norm_change,
            relative_change=relative(norm_change, norm_a, _square_ratio(dd, aa)),
            cosine=_cosine(aa, bb, dd),
            max_abs=most,
            max_at=place_of(most_at // parts, shape) if most else None,
            sign_flips=flipped,
            to_zero=zeros_b - both,
            from_zero=zeros_a - both,
            change=Statistics.of(table) if counted else None,
            low=low,
            high=high,
            bins=bins,
        )


Exact = tuple[int, int]
"""A whole number and the power of two that it is multiplied by."""


def _number(given: tuple[bytes, int]) -> Exact:
    digits, exponent = given
    return int.from_bytes(digits, "little", signed=True), exponent


def _root(square: Exact) -> float:
    whole, exponent = square
    if exponent % 2:
        whole, exponent = whole << 1, exponent - 1
    return root_ratio(whole, 1, exponent // 2)


def _square_ratio(above: Exact, below: Exact) -> float | None:
    """Divide one sum of squares by another; None where that is 0."""
    return ratio(above[0], below[0], above[1] - below[1]) if below[0] else None


def relative(norm_change: float, norm_a: float, square: float | None = None) -> float:
    """Say how large a change is beside what changed.

    Args:
        norm_change: the norm of the change.
        norm_a: the norm of what was there before.
        square: the square of the answer, where it is known better than by dividing the norms.
    """
    if square is not None:
        return math.sqrt(square)
    if norm_a:
        return norm_change / norm_a
    return math.inf if norm_change else 0.0


def _cosine(aa: Exact, bb: Exact, dd: Exact) -> float | None:
    """Work out the cosine by ||B - A||^2 = ||A||^2 + ||B||^2 - 2 <A, B>, in whole numbers."""
    if not aa[0] or not bb[0]:
        return None
    least = min(aa[1], bb[1], dd[1])
    whole = [number << (exponent - least) for number, exponent in (aa, bb, dd)]
    ab = whole[0] + whole[1] - whole[2], least - 1
    # The root of a ratio of whole numbers: nothing is lost where numbers are very large or small.
    square = ratio(ab[0] * ab[0], aa[0] * bb[0], 2 * ab[1] - aa[1] - bb[1])
    size = min(1.0, math.sqrt(square))
    return -size if ab[0] < 0 else size


def unchanged(count: int) -> Difference:
    """Give the difference of two tensors that are equal bit for bit."""
    return Difference(count, 0, count)


def as_record(found: Difference) -> dict[str, Any]:
    """Give the plain numbers of a difference by name."""
    left_out = ("change", "bins", "low", "high")
    return {key: getattr(found, key) for key in Difference.__match_args__ if key not in left_out}
