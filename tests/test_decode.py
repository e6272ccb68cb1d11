from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weigh._decode import decode, decoded_dtype, table, take
from weigh._dtypes import DTYPES

EIGHT = [name for name, d in DTYPES.items() if d.bits == 8 and hasattr(torch, name)]
SIXTEEN = ["float16", "bfloat16", "int16", "uint16"]
WIDE = ["int32", "uint32", "int64", "uint64", "float32", "float64", "complex64", "complex128"]
QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "quint4x2": "uint4"}


def torchs(raw: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """What torch makes of the same bytes."""
    tensor = torch.from_numpy(raw.view(np.uint8).copy()).view(getattr(torch, name))
    if name == "complex32":
        tensor = tensor.to(torch.complex64)
    elif name == "bfloat16" or name.startswith("float8"):
        tensor = tensor.to(torch.float32)
    return tensor.numpy()


def same(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> None:
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    if ours.dtype.kind == "f":  # -0 and 0 are equal, and are not the same
        finite = ~np.isnan(ours)
        np.testing.assert_array_equal(np.signbit(ours[finite]), np.signbit(theirs[finite]))


@pytest.mark.parametrize("name", [n for n in EIGHT if n not in QUANTIZED and n != "bool"])
def test_all_patterns_of_8_bits_are_torchs(name: str) -> None:
    raw = np.arange(256, dtype=np.uint8)
    same(decode(raw.tobytes(), DTYPES[name], 256), torchs(raw, name))


@pytest.mark.parametrize("name", SIXTEEN)
def test_all_patterns_of_16_bits_are_torchs(name: str) -> None:
    raw = np.arange(65536, dtype="<u2")
    same(decode(raw.tobytes(), DTYPES[name], 65536), torchs(raw, name))


def test_all_patterns_of_complex32s_halves_are_torchs() -> None:
    raw = np.arange(65536, dtype="<u2")
    raw = np.stack([raw, raw[::-1]], axis=1).reshape(-1)
    same(decode(raw.tobytes(), DTYPES["complex32"], 65536), torchs(raw, "complex32"))


@pytest.mark.parametrize("name", WIDE)
def test_wide_numbers_are_torchs(name: str) -> None:
    raw = np.random.default_rng(0).integers(0, 256, 16 * 500, dtype=np.uint8)
    theirs = torchs(raw, name)
    same(decode(raw.tobytes(), DTYPES[name], theirs.size), theirs)


def test_any_byte_but_zero_is_true() -> None:
    ours = decode(bytes(range(256)), DTYPES["bool"], 256)
    assert ours.dtype == np.bool_
    assert ours.tolist() == [False] + [True] * 255


def by_definition(code: int, exponent: int, mantissa: int, bias: int) -> float:
    sign = -1.0 if code >> (exponent + mantissa) else 1.0
    e = (code >> mantissa) & ((1 << exponent) - 1)
    m = code & ((1 << mantissa) - 1)
    if e:
        return sign * 2.0 ** (e - bias) * (1 + m / 2**mantissa)
    return sign * 2.0 ** (1 - bias) * (m / 2**mantissa)


@pytest.mark.parametrize(
    ("name", "layout", "largest"),
    [
        ("float4_e2m1fn", (2, 1, 1), 6.0),
        ("float6_e2m3fn", (2, 3, 1), 7.5),
        ("float6_e3m2fn", (3, 2, 3), 28.0),
    ],
)
def test_the_microscaling_floats_are_as_specified(
    name: str, layout: tuple[int, int, int], largest: float
) -> None:
    values = table(name)
    assert values.tolist() == [by_definition(c, *layout) for c in range(values.size)]
    assert values.max() == largest
    assert -values.min() == largest


def test_four_bit_values_come_low_half_first() -> None:
    raw = bytes([0x21, 0x83, 0xF7])
    assert decode(raw, DTYPES["uint4"], 6).tolist() == [1, 2, 3, 8, 7, 15]
    assert decode(raw, DTYPES["quint4x2"], 6).tolist() == [1, 2, 3, 8, 7, 15]
    assert decode(raw, DTYPES["int4"], 6).tolist() == [1, 2, 3, -8, 7, -1]
    assert decode(raw, DTYPES["float4_e2m1fn"], 4).tolist() == [0.5, 1.0, 1.5, -0.0]
    assert decode(raw, DTYPES["uint4"], 3, bit_offset=4).tolist() == [2, 3, 8]


@pytest.mark.parametrize("name", [n for n, d in DTYPES.items() if d.bits < 8])
@given(data=st.data())
def test_packed_values_are_bits_of_one_little_endian_number(name: str, data: st.DataObject) -> None:
    dtype = DTYPES[name]
    raw = data.draw(st.binary(min_size=0, max_size=40))
    room = len(raw) * 8 // dtype.bits
    start = data.draw(st.integers(0, min(room, 8)))
    count = data.draw(st.integers(0, room - start))
    whole = int.from_bytes(raw, "little")
    codes = [(whole >> (start + i) * dtype.bits) % (1 << dtype.bits) for i in range(count)]
    begin, skipped = divmod(start * dtype.bits, 8)
    ours = decode(raw[begin:], dtype, count, bit_offset=skipped)
    if name == "int4":
        expected = [c - 16 if c > 7 else c for c in codes]
    elif dtype.family == "float":
        expected = table(name)[codes].tolist()
    else:
        expected = codes
    assert ours.tolist() == expected
    assert ours.dtype == decoded_dtype(dtype)


@pytest.mark.parametrize("name", [*SIXTEEN, *WIDE, "complex32", "qint32"])
def test_big_endian_is_each_number_turned_round(name: str) -> None:
    dtype = DTYPES[name]
    part = dtype.bits // 16 if dtype.family == "complex" else dtype.bits // 8
    raw = np.random.default_rng(1).integers(0, 256, part * 64, dtype=np.uint8)
    turned = raw.reshape(-1, part)[:, ::-1].tobytes()
    count = raw.size * 8 // dtype.bits
    same(decode(turned, dtype, count, big_endian=True), decode(raw.tobytes(), dtype, count))


@pytest.mark.parametrize("name", sorted(DTYPES))
@given(data=st.data())
def test_a_strided_box_is_what_numpy_takes_of_all(name: str, data: st.DataObject) -> None:
    dtype = DTYPES[name]
    counts = data.draw(st.lists(st.integers(0, 4), max_size=3))
    strides = [data.draw(st.integers(0, 9)) for _ in counts]
    span = 1 + sum(max(c - 1, 0) * s for c, s in zip(counts, strides, strict=True))
    raw = np.random.default_rng(2).integers(0, 256, dtype.size_of(span), dtype=np.uint8).tobytes()
    everything = decode(raw, dtype, span)
    spots = np.zeros(counts, int)
    for axis, stride in enumerate(strides):
        along = [-1 if other == axis else 1 for other in range(len(counts))]
        spots = spots + (np.arange(counts[axis]) * stride).reshape(along)
    same(take(memoryview(raw), dtype, counts, strides), everything[spots])


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_values_past_the_bytes_are_refused(name: str) -> None:
    dtype = DTYPES[name]
    with pytest.raises((ValueError, TypeError)):
        decode(bytes(dtype.size_of(24) - 1), dtype, 24)


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_the_result_is_new_and_contiguous(name: str) -> None:
    raw = bytearray(48)
    ours = take(memoryview(raw), DTYPES[name], (2,), (1,))
    assert ours.flags.writeable
    assert ours.flags.c_contiguous
    assert not np.shares_memory(ours, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize(("name", "plain"), QUANTIZED.items())
def test_quantized_values_are_their_stored_integers(name: str, plain: str) -> None:
    raw = bytes(range(16))
    count = 16 * 8 // DTYPES[name].bits
    same(decode(raw, DTYPES[name], count), decode(raw, DTYPES[plain], count))
