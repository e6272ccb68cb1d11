"""The edges of bins: nice ones, and such that counts are exact where they can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, frexp, inf, ldexp, nextafter

from weigh._dtypes import DTYPES
from weigh._errors import UsageError
from weigh._measures.table import Scale, Table
from weigh._pictures.ruler import LARGEST, bin_steps, even, uneven

INNER = (0.0005, 0.9995)
"""The quantiles between which a linear histogram is drawn, if values go far beyond them."""

_FAR = 2.0
"""How many times wider than that the whole must be, for what is beyond to be left out."""

_BITS = {"float16": 10, "bfloat16": 7, "float32": 7, "float64": 4}
"""How many bits of a number's mantissa are in its pattern."""

_FEWEST = 20
"""How few bins are made, at the least, so that counts are exact."""

_DECADES = 15
"""How many powers of ten below the largest value a symmetric-logarithmic axis is linear at last."""


def edges_of(
    tables: Sequence[Table], bins: int, scale: Scale, *, whole: bool = False
) -> tuple[list[float], float]:
    """Choose edges, the same for some tables, and how far from 0 their axis is linear.

    Args:
        tables: what is to be counted.
        bins: how many bins there may be.
        scale: ``"linear"`` or ``"symlog"``.
        whole: of a linear axis, whether all values are to be in a bin.

    Returns:
        The edges, none if no value is finite; and 0 for an axis that is linear throughout.

    Raises:
        UsageError: there is no such scale, or there is to be no bin.
    """
    if scale not in ("linear", "symlog"):
        raise UsageError(f"there is no scale {scale!r}", do="There are: linear, symlog.")
    if bins < 1:
        raise UsageError(f"a histogram has at least one bin, not {bins}")
    if scale == "symlog":
        return symlog_edges(tables, bins)
    return linear_edges(tables, bins, whole=whole), 0.0


def ends_of(tables: Sequence[Table]) -> tuple[float, float] | None:
    """Give the smallest and the largest finite value of some tables."""
    ends = [found for found in (table.extremes() for table in tables) if found is not None]
    if not ends:
        return None
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def inner_ends(tables: Sequence[Table]) -> tuple[float, float] | None:
    """Give the ends between which all but few values of each table lie.

    Examples:
        >>> from array import array
        >>> table = Table.of("int16", array("h", [*range(5000), 30_000]))
        >>> inner_ends([table])
        (2.0, 4998.0)
    """
    found = []
    for table in tables:
        values, nan, posinf, neginf, *_ = table.summary()
        finite = values - nan - posinf - neginf
        if finite:
            low, high = (round(share * (finite - 1)) for share in INNER)
            found.append([place[0] for place in table.places([low, high])])
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def linear_edges(tables: Sequence[Table], bins: int, *, whole: bool = False) -> list[float]:
    """Choose edges of bins of one width, the same for some tables.

    They reach from the smallest value to the largest, unless few values are far beyond the rest.
    Integers lie in the middle of their bins.

    Args:
        tables: what is to be counted.
        bins: how many bins there may be.
        whole: whether all values are to be in a bin, however far off.

    Examples:
        >>> from array import array
        >>> table = Table.of("float32", array("f", [-0.9, 1.0]))
        >>> [round(edge, 9) for edge in linear_edges([table], 10)]
        [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]
        >>> linear_edges([Table.of("int8", array("b", [3, 5]))], 10)
        [2.5, 3.5, 4.5, 5.5]
    """
    ends, inner = ends_of(tables), inner_ends(tables)
    if ends is None or inner is None:
        return []
    low, high = ends
    wide, most = inner[1] / 2 - inner[0] / 2, high / 2 - low / 2
    if not whole and 0 < wide * _FAR < most:
        # What is on the first edge itself may belong to what is beyond.
        low, high = nextafter(inner[0], -inf), inner[1]
    integers = all(_whole_numbers(table) for table in tables)
    if low == high and not integers:
        apart = max(abs(low) / 2, 1e-300) if low else 0.5
        low, high = max(low - apart, -LARGEST), min(high + apart, LARGEST)
    least = max(high / bins - low / bins, _grain(tables, low, high))
    return _towards_zero(_steps_between(low, high, bins, least, integers=integers), *ends)


def _grain(tables: Sequence[Table], low: float, high: float) -> float:
    """Give the width that bins must have for their counts to be exact; 0 if that is too wide.

    It is that of the widest pattern between the ends: where a bin is narrower, patterns are
    split, and values of few bits are in some bins twice as often as in others.
    """
    bits = min(_BITS.get(table.dtype, 63) for table in tables)
    grain = ldexp(1.0, max(frexp(max(abs(low), abs(high)))[1] - 1 - bits, -1074))
    return grain if grain * _FEWEST <= high - low else 0.0


def _towards_zero(edges: list[float], low: float, high: float) -> list[float]:
    """Let each edge belong to the bin that is further from 0, also below 0.

    Patterns of bits reach from a number to the next one further from 0; so none is split. The
    first and the last edge stay if all values are between them.
    """
    last = len(edges) - 1
    made = [
        nextafter(edge, inf) if edge < 0 and (at or low < edge) else edge
        for at, edge in enumerate(edges)
    ]
    if 0 < edges[last] < high:
        made[last] = nextafter(edges[last], 0)
    return made


def _whole_numbers(table: Table) -> bool:
    return table.dtype in DTYPES and DTYPES[table.dtype].family in ("bool", "int", "uint")


def _steps_between(
    low: float, high: float, bins: int, least: float, *, integers: bool
) -> list[float]:
    """Give edges at multiples of a width; of integers, between two of them."""
    shift = 0.5 if integers else 0.0
    steps = bin_steps(least)
    if integers:
        steps = [step for step in ([1.0] if least < 1 else []) + steps if step >= 1]
    for step in steps:
        first, last = floor((low + shift) / step), floor((high + shift) / step)
        if integers:
            last += 1
        else:
            # A number that is very small beside the width is 0 of them, though not 0.
            first -= first * step > low
            last = max(ceil(high / step), first + 1)
            last += last * step < high
        if max(abs(first), abs(last)) < 2**50 and last - first <= max(bins, 1):
            edges = [min(max(n * step - shift, -LARGEST), LARGEST) for n in range(first, last + 1)]
            if all(a < b for a, b in pairwise(edges)):
                return edges
    inner = [low * (1 - at / bins) + high * (at / bins) for at in range(1, bins)]
    edges = sorted({low, *inner, high})
    return edges if len(edges) > 1 else [low, high]


def symlog_edges(tables: Sequence[Table], bins: int) -> tuple[list[float], float]:
    """Choose edges of bins of one width on a symmetric-logarithmic axis, and what it is even in.

    Near 0, as far as a power of ten that is larger than 1 in 100 of the values that are not zero,
    the axis is about linear. 0 is an edge if it is among the bins.

    Examples:
        >>> from array import array
        >>> table = Table.of("float32", array("f", [-1.0, 0.01, 0.1, 1.0]))
        >>> edges, least = symlog_edges([table], 4)
        >>> [round(edge, 3) for edge in edges], least
        ([-1.0, -0.031, 0.0, 0.031, 1.0], 0.001)
    """
    ends = ends_of(tables)
    if ends is None:
        return [], 0.0
    low, high = ends
    if low == high:
        return linear_edges(tables, bins), 0.0
    least = _least(tables, max(abs(low), abs(high)))
    first, last = even(low, least), even(high, least)
    below = round(bins * -first / (last - first)) if first < 0 < last else 0
    if first < 0 < last and bins > 1:
        below = min(max(below, 1), bins - 1)
        step = max(-first / below, last / (bins - below))
        places = [step * at for at in range(-below, bins - below + 1)]
    else:
        places = [first + (last - first) * at / bins for at in range(bins + 1)]
    edges = [_rounded(uneven(place, least)) for place in places]
    edges[0], edges[-1] = min(low, edges[0]), max(high, edges[-1])
    edges = sorted(set(edges))
    return _towards_zero(edges if len(edges) > 1 else [low, high], low, high), least


def _rounded(edge: float) -> float:
    """Round an edge to 8 bits, where patterns of 16 bits begin."""
    part, exponent = frexp(edge)
    try:
        return ldexp(round(part * 256), exponent - 8)
    except OverflowError:
        return edge


def _least(tables: Sequence[Table], size: float) -> float:
    """Choose how far from 0 the axis is linear: a power of ten."""
    powers = [10.0**k for k in range(-323, 309) if 10.0**k <= size] or [10.0**-323]
    for power in powers[:-_DECADES:-1]:
        inner = counted = 0
        for table in tables:
            values, nan, posinf, neginf, zeros, *_ = table.summary()
            inner += table.below(power) - table.below(-power, with_equal=True) - zeros
            counted += values - nan - posinf - neginf - zeros
        if inner * 100 <= counted:
            return power
    return powers[-min(_DECADES, len(powers))]
