"""The statistics of a tensor, all worked out from its table of patterns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from weigh._measures.table import Table
from weigh._record import record

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""The quantiles that are given when none are asked for."""


@record(frozen=True)
class Statistics:
    """What is known of some values. All but the counts are those of the finite ones.

    Attributes:
        dtype: the type in which they are stored; ``"mixed"`` of several.
        count: how many values there are. A complex number counts as two.
        nan: how many of them are not a number.
        posinf: how many are positive infinity.
        neginf: how many are negative infinity.
        zeros: how many are zero, of either sign.
        subnormal: how many are not zero but smaller than the type's smallest normal number.
        at_limit: how many are the largest finite number of their type, or its negative.
        min: the smallest; None if no value is finite, as for those that follow.
        max: the largest.
        mean: their mean.
        std: the standard deviation, by the number of values (``numpy.std``, ``correction=0``).
        rms: the root of the mean square.
        l1: the sum of the absolute values.
        l2: the root of the sum of squares: the Frobenius norm.
        skewness: the third standardised moment; None where all values are equal.
        kurtosis: the fourth, less 3: 0 for a normal distribution, as in ``scipy.stats.kurtosis``.
        quantiles: by the fraction as text (``"0.25"``): between the two nearest values in order,
            as ``numpy.quantile`` does by default.
        entropy_bits: Shannon's entropy of the patterns, in bits per value: no code that looks at
            one value at a time needs fewer. Of wider types it is that of the top 16 bits.
        distinct: how many different patterns there are, counted likewise.
        spare_bits: how many of the lowest bits are 0 in every value: 16 for a float32 that
            holds nothing but bfloat16 numbers.
        exact: whether the quantiles are exact. If not, each is within the values that share its
            top 16 bits: 2^-7 of it for float32, 2^-4 for float64. All else is exact, sums as
            far as double precision goes.
    """

    dtype: str
    count: int
    nan: int
    posinf: int
    neginf: int
    zeros: int
    subnormal: int
    at_limit: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    rms: float | None
    l1: float | None
    l2: float | None
    skewness: float | None
    kurtosis: float | None
    quantiles: dict[str, float]
    entropy_bits: float
    distinct: int
    spare_bits: int
    exact: bool

    @property
    def finite(self) -> int:
        """How many values are finite."""
        return self.count - self.nan - self.posinf - self.neginf

    @property
    def sparsity(self) -> float:
        """The share of zeros among all values."""
        return self.zeros / self.count if self.count else 0.0

    @property
    def distinct_share(self) -> float:
        """How many of the values there would be if none were repeated, as a share of them."""
        return self.distinct / self.count if self.count else 0.0

    @classmethod
    def of(
        cls,
        table: Table,
        quantiles: Sequence[float] = QUANTILES,
        exact: Mapping[int, float] | None = None,
    ) -> Statistics:
        """Work out the statistics that follow from a table.

        Args:
            table: the counts.
            quantiles: which to give, between 0 and 1.
            exact: the values of the ranks that the quantiles need, where a second look at the
                values found them.

        Examples:
            >>> from array import array
            >>> found = Statistics.of(Table.of("float32", array("f", [1, 2, 3, 4])))
            >>> found.mean, found.quantiles["0.5"], found.kurtosis
            (2.5, 2.5, -1.36)
        """
        count, nan, posinf, neginf, zeros, subnormal, at_limit, distinct, entropy = table.summary()
        finite = count - nan - posinf - neginf
        low, high = table.extremes() or (None, None)
        moments = Moments.of(table, finite, constant=low == high)
        found, all_exact = quantiles_of(table, finite, quantiles, exact or {})
        return cls(
            dtype=table.dtype,
            count=count,
            nan=nan,
            posinf=posinf,
            neginf=neginf,
            zeros=zeros,
            subnormal=subnormal,
            at_limit=at_limit,
            min=low,
            max=high,
            mean=moments.mean,
            std=moments.std,
            rms=moments.rms,
            l1=moments.l1,
            l2=moments.l2,
            skewness=moments.skewness,
            kurtosis=moments.kurtosis,
            quantiles=found,
            entropy_bits=entropy,
            distinct=distinct,
            spare_bits=table.spare_bits,
            exact=all_exact,
        )


@record(frozen=True)
class Moments:
    """Means of powers, from exact sums, so that nothing is lost where a mean is far from 0."""

    mean: float | None = None
    std: float | None = None
    rms: float | None = None
    l1: float | None = None
    l2: float | None = None
    skewness: float | None = None
    kurtosis: float | None = None

    @classmethod
    def of(cls, table: Table, n: int, *, constant: bool) -> Moments:
        """Work them out from a table of ``n`` finite values.

        With sums S_k of k-th powers, n^k times the k-th central moment is a whole
        combination of them (n S_2 - S_1^2, and so on), here in whole numbers of a unit.
        """
        if not n:
            return cls()
        sums = [(int.from_bytes(raw, "little", signed=True), e) for raw, e in table.sums()]
        # One unit u for all: the sum of k-th powers is a whole number of u^k.
        unit = min((e // k for k, (s, e) in enumerate(sums[:4], 1) if s), default=0)
        s1, s2, s3, s4 = (s << (e - k * unit) if s else 0 for k, (s, e) in enumerate(sums[:4], 1))
        absolute, exponent = sums[4]
        second = 0 if constant else max(0, n * s2 - s1 * s1)
        third = n * n * s3 - 3 * n * s1 * s2 + 2 * s1**3
        fourth = n**3 * s4 - 4 * n * n * s1 * s3 + 6 * n * s1 * s1 * s2 - 3 * s1**4
        skewness = kurtosis = None
        if second:
            root, places = _root(second)
            skewness = ratio(third, second * root, places)
            kurtosis = ratio(fourth - 3 * second * second, second * second, 0)
        return cls(
            mean=ratio(s1, n, unit),
            std=root_ratio(second, n, unit),
            rms=root_ratio(n * s2, n, unit),
            l1=ratio(absolute, 1, exponent),
            l2=root_ratio(s2, 1, unit),
            skewness=skewness,
            kurtosis=kurtosis,
        )


def _root(square: int) -> tuple[int, int]:
    """Give the root of a whole number as (whole, places): whole / 2^places, to 64 bits or more."""
    places = max(0, 64 - square.bit_length() // 2)
    return math.isqrt(square << (2 * places)), places


def root_ratio(square: int, below: int, exponent: int) -> float:
    """Divide the root of a whole number, and scale by a power of two."""
    root, places = _root(square)
    return ratio(root, below, exponent - places)


def ratio(above: int, below: int, exponent: int) -> float:
    """Divide whole numbers, scale by a power of two, and round once; too large is infinite."""
    try:
        return (above << exponent) / below if exponent >= 0 else above / (below << -exponent)
    except OverflowError:
        return math.inf if above > 0 else -math.inf


def quantile_key(quantile: float) -> str:
    """Name a quantile as briefly as tells it from every other.

    Examples:
        >>> quantile_key(0.25), quantile_key(1.0), quantile_key(0.1234567891)
        ('0.25', '1', '0.1234567891')
    """
    return repr(float(quantile)).removesuffix(".0")


def ranks_of(quantile: float, n: int) -> tuple[int, int, float]:
    """Say between which ranks of ``n`` values a quantile lies, and how far towards the second.

    This is ``numpy.quantile``'s default, "linear": number 7 of Hyndman and Fan, "Sample
    quantiles in statistical packages" (The American Statistician, 1996).

    Examples:
        >>> ranks_of(0.5, 4)
        (1, 2, 0.5)
    """
    place = quantile * (n - 1)
    low = min(math.floor(place), n - 1)
    return low, min(low + 1, n - 1), place - low


def quantiles_of(
    table: Table, n: int, wanted: Sequence[float], exact: Mapping[int, float]
) -> tuple[dict[str, float], bool]:
    """Give the quantiles of a table of ``n`` finite values, and whether all are exact."""
    if not n:
        return {}, True
    between = {quantile: ranks_of(quantile, n) for quantile in wanted}
    ranks = sorted({rank for low, high, _ in between.values() for rank in (low, high)})
    found = {rank: place[:2] for rank, place in zip(ranks, table.places(ranks), strict=True)}
    found |= {rank: (value, True) for rank, value in exact.items()}
    values = {}
    for quantile, (low, high, share) in between.items():
        values[quantile_key(quantile)] = _between(found[low][0], found[high][0], share)
    return values, all(found[rank][1] for rank in ranks)


def _between(low: float, high: float, share: float) -> float:
    """Go from one number to another, as NumPy does: never beyond either."""
    step = high - low
    if math.isinf(step):  # of numbers near the largest there are
        return low * (1 - share) + high * share
    return high - step * (1 - share) if share >= 0.5 else low + step * share
