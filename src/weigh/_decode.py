"""Stored bit patterns turned into NumPy values, exactly.

This module imports NumPy, so it is itself imported only when values are read.

What NumPy lacks is widened: bfloat16 by shifting, the 8-, 6- and 4-bit floats by a table of
all their values, made from each format's definition (the OCP 8-bit floating point and
Microscaling specifications; for the ``fnuz`` forms, the layout PyTorch documents).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from weigh._dtypes import DType

Array = np.ndarray[Any, Any]
Buffer = memoryview | bytes

_CHUNK = 1 << 16
"""Values looked up at a time: the indices NumPy makes of them then stay in the cache."""

_NATIVE = {
    "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
    "float16": "f2", "float32": "f4", "float64": "f8",
    "complex64": "c8", "complex128": "c16",
    "qint8": "i1", "quint8": "u1", "qint32": "i4",
}  # fmt: skip
_WIDENED = {"bool": "?", "int4": "i1", "uint4": "u1", "quint4x2": "u1", "complex32": "c8"}


class _Layout(NamedTuple):
    """The bits of a small float: a sign, then the exponent, then the mantissa."""

    exponent: int
    mantissa: int
    bias: int
    specials: str
    """``ieee``: infinities and NaNs; ``fn``: one NaN a sign; ``fnuz``: one NaN, no -0."""


_LAYOUTS = {
    "float4_e2m1fn": _Layout(2, 1, 1, "none"),
    "float6_e2m3fn": _Layout(2, 3, 1, "none"),
    "float6_e3m2fn": _Layout(3, 2, 3, "none"),
    "float8_e4m3fn": _Layout(4, 3, 7, "fn"),
    "float8_e5m2": _Layout(5, 2, 15, "ieee"),
    "float8_e4m3fnuz": _Layout(4, 3, 8, "fnuz"),
    "float8_e5m2fnuz": _Layout(5, 2, 16, "fnuz"),
}


def decoded_dtype(dtype: DType) -> np.dtype[Any]:
    """Give the NumPy type that values of this dtype are read as.

    Examples:
        >>> from weigh._dtypes import DTYPES
        >>> decoded_dtype(DTYPES["bfloat16"])
        dtype('float32')
    """
    return np.dtype(_NATIVE.get(dtype.name) or _WIDENED.get(dtype.name, "f4"))


def decode(
    raw: Buffer, dtype: DType, count: int, *, big_endian: bool = False, bit_offset: int = 0
) -> Array:
    """Turn the first ``count`` stored values into a new one-axis array.

    Args:
        raw: the bytes; may be longer than needed.
        dtype: what they hold. A quantized dtype gives its stored integers.
        count: how many values.
        big_endian: whether each value's most significant byte comes first.
        bit_offset: the bits to skip first; for packed dtypes only.

    Examples:
        >>> from weigh._dtypes import DTYPES
        >>> decode(bytes([0x21, 0x0F]), DTYPES["int4"], 3).tolist()
        [1, 2, -1]
    """
    return take(raw, dtype, (count,), (1,), big_endian=big_endian, bit_offset=bit_offset)


def take(
    raw: Buffer,
    dtype: DType,
    counts: Sequence[int],
    strides: Sequence[int],
    *,
    big_endian: bool = False,
    bit_offset: int = 0,
) -> Array:
    """Turn a strided box of stored values into a new array of shape ``counts``.

    Args:
        raw: the bytes; the box begins at their first value.
        dtype: what they hold.
        counts: how many values along each axis.
        strides: the distance between them along each axis, in values, not negative.
        big_endian: whether each value's most significant byte comes first.
        bit_offset: the bits to skip first; for packed dtypes only.

    Raises:
        ValueError: the box reaches past the bytes.
    """
    if 0 in counts:
        return np.empty(counts, decoded_dtype(dtype))
    if dtype.bits < 8:
        return widen(_unpack(raw, dtype.bits, counts, strides, bit_offset), dtype)
    kind = _NATIVE.get(dtype.name) or ("u1" if dtype.bits == 8 else f"u{dtype.bits // 8}")
    if dtype.name == "complex32":
        kind = "V4"  # Two halves, each with its own byte order: not one 4-byte number.
    stored = np.dtype(kind).newbyteorder(">" if big_endian else "<")
    size = dtype.bits // 8
    # NumPy itself refuses strides that would leave the buffer.
    box: Array = np.ndarray(tuple(counts), stored, raw, strides=[s * size for s in strides])
    if dtype.name in _NATIVE:
        return box.astype(stored.newbyteorder("="), order="C", copy=True)
    if dtype.name == "complex32":
        return _pair_halves(box, big_endian=big_endian)
    return widen(box, dtype)


def widen(codes: Array, dtype: DType) -> Array:
    """Turn stored bit patterns, one an element, into a new array of their values.

    Args:
        codes: unsigned integers, the patterns of a dtype that NumPy lacks.
        dtype: what they mean.
    """
    if dtype.name == "bool":
        return np.not_equal(codes, 0, order="C")
    if dtype.name == "bfloat16":
        # A bfloat16 is the upper half of the float32 of the same value.
        bits = codes.astype(np.uint32, order="C")
        bits <<= np.uint32(16)
        return bits.view(np.float32)
    if dtype.name == "int4":
        return ((codes ^ 8).astype(np.int8) - np.int8(8)).astype(np.int8, copy=False)
    if dtype.name in ("uint4", "quint4x2"):
        return codes.astype(np.uint8, order="C")
    return _look_up(table(dtype.name), codes)


@cache
def table(name: str) -> Array:
    """Make the table of all values of an 8-, 6- or 4-bit float, by bit pattern, in float32.

    Examples:
        >>> table("float4_e2m1fn")[:8].tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """
    if name == "float8_e8m0fnu":
        # A bare power of two: no sign, no zero, one NaN.
        values = [2.0 ** (code - 127) for code in range(255)] + [np.nan]
    else:
        layout = _LAYOUTS[name]
        values = [_value(code, layout) for code in range(2 << (layout.exponent + layout.mantissa))]
    made = np.array(values, np.float32)
    made.flags.writeable = False
    return made


def _value(code: int, layout: _Layout) -> float:
    """Work out one pattern of a small float by its format's definition."""
    width = layout.exponent + layout.mantissa
    negative, magnitude = divmod(code, 1 << width)
    exponent, mantissa = divmod(magnitude, 1 << layout.mantissa)
    if layout.specials == "fnuz" and negative and not magnitude:
        return float("nan")
    if layout.specials == "fn" and magnitude == (1 << width) - 1:
        return float("nan")
    if layout.specials == "ieee" and exponent == (1 << layout.exponent) - 1:
        value = float("nan") if mantissa else float("inf")
    else:
        # Exponent 0 is subnormal: no hidden one, and the scale of exponent 1.
        whole = mantissa + (1 << layout.mantissa if exponent else 0)
        value = whole * 2.0 ** (max(exponent, 1) - layout.bias - layout.mantissa)
    return -value if negative else value


def _look_up(values: Array, codes: Array) -> Array:
    out = np.empty(codes.shape, values.dtype)
    flat, target = codes.reshape(-1), out.reshape(-1)
    for at in range(0, flat.size, _CHUNK):
        np.take(values, flat[at : at + _CHUNK], out=target[at : at + _CHUNK], mode="clip")
    return out


def _pair_halves(box: Array, *, big_endian: bool) -> Array:
    halves = np.ascontiguousarray(box).reshape(-1).view(">f2" if big_endian else "<f2")
    return halves.astype(np.float32).view(np.complex64).reshape(box.shape)


def _unpack(
    raw: Buffer, bits: int, counts: Sequence[int], strides: Sequence[int], bit_offset: int
) -> Array:
    """Take packed codes out into one byte each.

    Values are packed without gaps, least significant bits first: the low half of a byte is
    the earlier 4-bit value (what PyTorch's ``float4_e2m1fn_x2``, ONNX and safetensors' F4 do),
    and four 6-bit values fill three bytes read as one little-endian number. No framework
    writes packed 6-bit floats yet, so the latter is the same rule carried over.
    """
    data = np.frombuffer(raw, np.uint8)
    total = int(np.prod(counts, dtype=np.int64))
    if bits == 4 and _is_contiguous(counts, strides):
        return _halves_of(data, total, bit_offset).reshape(counts)
    out = np.empty(total, np.uint8)
    for at in range(0, total, _CHUNK):
        stop = min(at + _CHUNK, total)
        spots = np.zeros(stop - at, np.int64)
        where = np.unravel_index(np.arange(at, stop), counts) if counts else ()
        for axis, stride in zip(where, strides, strict=True):
            spots += axis * stride
        out[at:stop] = _codes_at(data, bits, spots * bits + bit_offset)
    return out.reshape(counts)


def _halves_of(data: Array, count: int, bit_offset: int) -> Array:
    """Take ``count`` adjacent 4-bit codes."""
    used = data[: (bit_offset + 4 * count + 7) // 8]
    if 2 * used.size < count + bit_offset // 4:
        raise ValueError("the values reach past the bytes")
    both = np.empty((used.size, 2), np.uint8)
    np.bitwise_and(used, 15, out=both[:, 0])
    np.right_shift(used, 4, out=both[:, 1])
    return both.reshape(-1)[bit_offset // 4 :][:count]


def _codes_at(data: Array, bits: int, positions: Array) -> Array:
    """Take the code that begins at each bit position; one may straddle two bytes."""
    first, shift = positions >> 3, (positions & 7).astype(np.uint16)
    last = (positions + (bits - 1)) >> 3
    if last.size and int(last.max()) >= data.size:
        raise ValueError("the values reach past the bytes")
    words = data[first].astype(np.uint16) | (data[last].astype(np.uint16) << np.uint16(8))
    codes: Array = (words >> shift) & np.uint16((1 << bits) - 1)
    return codes.astype(np.uint8)


def _is_contiguous(counts: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for count, stride in zip(reversed(counts), reversed(strides), strict=True):
        if count != 1 and stride != expected:
            return False
        expected *= count
    return True
