"""Whether two tensors hold the same numbers in different types, but for rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._facts import Values
from weigh._measures.difference import Difference
from weigh._measures.feed import DEQUANTIZED
from weigh._measures.pairs import PairFeed

if TYPE_CHECKING:
    import numpy as np

QUANTIZED = 1.4
"""So many times the error that rounding to the steps of a quantized type brings is taken for it."""
_GROUP = 32
"""Values that share a step, or a whole number of them that do: those of all llama.cpp's blocks."""

_ROWS = 1024
_ROUNDED = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def recast_words(a: Values, b: Values, difference: Difference) -> str:
    """Say how the numbers of one type became those of another; "" if they are not the same.

    Args:
        a: the values of one tensor.
        b: those of the other, in the same order.
        difference: what they differ by.

    Raises:
        ValuesError: the values of one cannot be had.

    Examples:
        >>> import numpy, weigh
        >>> whole = weigh.open({"w": numpy.linspace(0, 1, 50, dtype="f4")})["w"].values
        >>> half = weigh.open({"w": numpy.linspace(0, 1, 50, dtype="f4").astype("f2")})["w"].values
        >>> recast_words(whole, half, Difference(50, 48, 50))
        'rounded to float16'
    """
    first, second = a.dtype, b.dtype
    if (first.family == "complex") != (second.family == "complex"):
        return ""
    packed = [values for values in (a, b) if values.dtype.family in DEQUANTIZED]
    if packed:
        least = min(packed, key=lambda values: _bits(values.dtype))
        verb = "quantized to" if second.family in DEQUANTIZED else "dequantized from"
        near = bool(difference.norm_a) and _by_rounding(a, b, least)
        return f"{verb} {least.dtype.name}" if near else ""
    if not difference.changed_values:
        return f"widened to {second.name}" if second.bits >= first.bits else f"as {second.name}"
    if second.name in _ROUNDED and second.bits < first.bits:
        way = _rounding(a, b, second)
        return f"{way} to {second.name}" if way else ""
    if first.name in _ROUNDED and first.bits < second.bits:
        way = _rounding(b, a, first)
        return f"the numbers from which {first.name} was {way}" if way else ""
    return ""


def _bits(dtype: DType) -> float:
    """Give the bits of a value, of blocks with their scales."""
    return dtype.bits if dtype.block == 1 else 8 * dtype.size_of(dtype.block) / dtype.block


def _by_rounding(a: Values, b: Values, packed: Values) -> bool:
    """Whether two tensors differ by no more than rounding to the steps of a quantized type brings.

    An error that is evenly spread over a step d has the variance d^2 / 12.
    """
    import numpy as np

    error = allowed = 0.0
    for _, one, other in PairFeed(a, b).pieces():
        x, y = np.asarray(one, np.float32), np.asarray(other, np.float32)
        steps = _steps(y if packed is b else x, packed.dtype)
        error += float(np.square(x - y, dtype=np.float64).sum())
        allowed += float(np.square(steps, dtype=np.float64).mean()) * x.size / 12
    return error <= QUANTIZED**2 * allowed


def _steps(values: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Estimate the distance between the numbers that quantized values can be, group by group."""
    import numpy as np

    if dtype.family == "quantized":  # one step a tensor, or a row: that of the nearest two
        rows = values.reshape(len(values), -1) if values.ndim > 1 else values.reshape(1, -1)
        steps = [np.diff(np.unique(row)) for row in rows[:_ROWS]]
        return np.array([row.min() if row.size else 0.0 for row in steps])
    # q5_1, iq4_nl, mxfp4: the first digit is the bits of a value, without those of its scales.
    bits = next((int(letter) for letter in dtype.name if letter.isdigit()), 8)
    levels = 2 ** max(2, min(8, bits))
    flat = values.reshape(-1)
    groups = flat[: len(flat) // _GROUP * _GROUP].reshape(-1, _GROUP)
    if not len(groups):
        groups = flat.reshape(1, -1)
    widest = np.abs(groups).max(axis=1) / (levels // 2)
    apart = (groups.max(axis=1) - groups.min(axis=1)) / (levels - 1)
    found: np.ndarray[Any, Any] = np.maximum(widest, apart)
    return found


def _rounding(wide: Values, narrow: Values, dtype: DType) -> str:
    """Say how one tensor became the other: rounded, truncated, or "" for neither."""
    ways = {"rounded": _nearest, "truncated": _toward_zero}
    for _, one, other in PairFeed(wide, narrow).pieces():
        import numpy as np  # loaded already, since values were read

        one, other = one.reshape(-1), other.reshape(-1)
        step = 1 << 18  # what is worked on stays in the cache
        for at in range(0, len(one), step):
            x, y = one[at : at + step], other[at : at + step]
            ways = {
                word: round_to
                for word, round_to in ways.items()
                if _same(np.asarray(round_to(x, dtype), y.dtype), y)
            }
            if not ways:
                return ""
    return next(iter(ways))


def _same(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    import numpy as np

    return bool(((x == y) | (np.isnan(x) & np.isnan(y))).all())


def _nearest(values: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Round to the nearest number of a type, of two to the even one, as PyTorch and NumPy do."""
    import numpy as np

    with np.errstate(over="ignore"):
        if dtype.name in ("float32", "float16"):
            cast: np.ndarray[Any, Any] = values.astype(dtype.name)
            return cast
        if dtype.name == "bfloat16":
            bits = values.astype(np.float32).view(np.uint32)
            bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    known = _numbers(dtype)
    middles = (known[1:].astype(np.float64) + known[:-1]) / 2
    at = np.searchsorted(middles, values, side="left")
    # Half-way between two numbers the one with the even pattern is taken.
    tie = (at < len(middles)) & (values == middles[np.minimum(at, len(middles) - 1)])
    even = _even(dtype)
    at = np.where(tie & even[np.minimum(at + 1, len(known) - 1)], at + 1, at)
    rounded = known[np.minimum(at, len(known) - 1)]
    return np.where(np.isnan(values), np.nan, rounded).astype(np.float32)


def _toward_zero(values: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Leave out the digits that a type has no room for."""
    import numpy as np

    if dtype.name == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32)
        return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    nearest = _nearest(values, dtype)
    away = np.abs(nearest) > np.abs(values)
    if dtype.name in ("float32", "float16"):
        return np.where(away, np.nextafter(nearest, np.zeros_like(nearest)), nearest)
    known = _numbers(dtype)
    at = np.searchsorted(known, nearest)
    inner = np.clip(np.where(nearest > 0, at - 1, at + 1), 0, len(known) - 1)
    cut: np.ndarray[Any, Any] = np.where(away, known[inner], nearest)
    return cut


def _numbers(dtype: DType) -> np.ndarray[Any, Any]:
    """List the finite numbers of an 8-bit type in their order, 0 once."""
    import numpy as np

    from weigh._decode import table

    known = table(dtype.name)
    return np.unique(known[np.isfinite(known)])


def _even(dtype: DType) -> np.ndarray[Any, Any]:
    """Say of each of these numbers whether the last bit of its pattern is 0."""
    import numpy as np

    from weigh._decode import table

    known = table(dtype.name)
    finite = np.isfinite(known)
    _, first = np.unique(known[finite], return_index=True)
    even: np.ndarray[Any, Any] = np.flatnonzero(finite)[first] % 2 == 0
    return even
