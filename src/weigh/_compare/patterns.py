"""The bit patterns of a tensor's values, and hashes of them that do not depend on their order.

This module imports NumPy, so it is itself imported only when values are read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from weigh._decode import decode
from weigh._dtypes import DType
from weigh._facts import Values
from weigh._index import Region
from weigh._measures.feed import DEQUANTIZED, boxes, bytes_of, encoded, reader_of
from weigh._sources.stored import contiguous_strides

Array = np.ndarray[Any, Any]

_CACHED = 1 << 18
"""Values that are hashed at a time: their hashes then stay in the cache."""
_UNSIGNED = {1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "V16"}


def patterns(values: Values, region: Region) -> Array:
    """Read the bit patterns of a region, as they are stored where a value takes whole bytes.

    Values of fewer than 8 bits, in blocks, and quantized ones are told by the patterns of the
    numbers that they are read as. Nothing is copied where the values lie end to end.

    Raises:
        ValuesError: the values cannot be had.
    """
    dtype = values.dtype
    raw = _lying(values) if 0 not in region.counts else None
    if raw is None:
        own = getattr(values, "patterns", None)
        if own is not None:
            found: Array = own(region)
            return found
        stored = _stored(dtype)
        array = values.read(region)
        array = np.ascontiguousarray(encoded(array, dtype) if stored else array)
        size = dtype.bits // 8 if stored else array.itemsize
        return array.reshape(-1).view(_UNSIGNED[size]).reshape(region.shape)
    strides = contiguous_strides(values.shape or ())
    first = sum(start * stride for start, stride in zip(region.starts, strides, strict=True))
    steps = [step * stride for step, stride in zip(region.steps, strides, strict=True)]
    reach = sum((n - 1) * step for n, step in zip(region.counts, steps, strict=True))
    size = dtype.bits // 8
    buffer = raw(first, first + reach + 1)
    kind, apart = np.dtype(_UNSIGNED[size]), [step * size for step in steps]
    lying: Array = np.ndarray(region.counts, kind, buffer, strides=apart)
    return lying.reshape(region.shape)


def cost_nothing(values: Values) -> bool:
    """Whether the patterns of any region are had where they lie, and nothing is copied."""
    return _lying(values) is not None


def _stored(dtype: DType) -> bool:
    return dtype.family not in DEQUANTIZED and dtype.bits >= 8


def _lying(values: Values) -> Callable[[int, int], memoryview] | None:
    return reader_of(values) if _stored(values.dtype) else None


def numbers(found: Array, dtype: DType) -> Array:
    """Turn patterns of a type that takes whole bytes into a new array of their values."""
    plain = np.ascontiguousarray(found)
    return decode(bytes_of(plain), dtype, plain.size).reshape(found.shape)


def mixed(words: Array) -> Array:
    """Hash 64-bit words in place, each by itself: the last step of SplitMix64.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


@cache
def _hashes_of(bits: int) -> Array:
    """Make a table of the hashes of all patterns of 8 or 16 bits."""
    made = mixed(np.arange(1, (1 << bits) + 1, dtype=np.uint64))
    made.flags.writeable = False
    return made


def hashed(found: Array) -> Array:
    """Hash bit patterns, each by itself, into 64-bit words."""
    if found.itemsize <= 2:
        return _hashes_of(found.itemsize * 8)[found]
    if found.itemsize == 16:
        halves = np.ascontiguousarray(found).view(np.uint64).reshape(*found.shape, 2)
        return mixed(mixed(halves[..., 0] + np.uint64(1)) + halves[..., 1])
    return mixed(found.astype(np.uint64) + np.uint64(1))


def signatures(values: Values, colours: list[Array] | None = None) -> list[Array]:
    """Hash each slice of a tensor along each axis; the order of the values in it does not count.

    Args:
        values: the tensor's, of few axes; they are read once, in their order.
        colours: for each axis, words that tell its positions apart; what a value counts for then
            depends on its place along the other axes.

    Returns:
        For each axis, one word for each position.

    Raises:
        ValuesError: the values cannot be had.
    """
    shape = values.shape or ()
    sums = [np.zeros(size, np.uint64) for size in shape]
    axes = range(len(shape))
    for region in boxes(shape, _CACHED):
        words = hashed(patterns(values, region))
        places = [slice(s, s + n) for s, n in zip(region.starts, region.counts, strict=True)]
        own = []
        if colours is not None:
            for axis in axes:
                aside = [-1 if other == axis else 1 for other in axes]
                own.append(colours[axis][places[axis]].reshape(aside))
                words += own[-1]
        for axis in axes:
            others = tuple(other for other in axes if other != axis)
            # The sum of hashes is the same in any order, and each value has its part in it.
            parts = words if colours is None else mixed(words - own[axis])
            sums[axis][places[axis]] += parts.sum(axis=others, dtype=np.uint64)
    return sums
