"""What is handed to the counting: the very patterns that are stored, in order, and all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import save_file

import weigh
from measures_numbers import SMALL, random_values
from weigh._decode import decode
from weigh._dtypes import DTYPES
from weigh._errors import ValuesError
from weigh._measures.feed import boxes, encoded, feed_of, refuse_repetition, stored_feed
from weigh._measures.measure import measure_one
from weigh._measures.measured import Options
from weigh._measures.table import Table
from weigh._tensor import Tensor

quiet = pytest.mark.filterwarnings("ignore:torch.quantize_per", "ignore::DeprecationWarning")


@given(st.lists(st.integers(0, 5), max_size=4), st.integers(1, 40))
def test_boxes_cover_a_tensor_once_and_in_order(sizes: list[int], most: int) -> None:
    shape = tuple(sizes)
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    parts = [numbers[box.slices].reshape(-1) for box in boxes(shape, most)]
    assert all(0 < part.size <= most for part in parts)
    assert_array_equal(np.concatenate([np.zeros(0, int), *parts]), numbers.reshape(-1))


@pytest.mark.parametrize("name", [*SMALL, "float4_e2m1fn", "int4", "uint4", "complex32", "bool"])
def test_what_was_widened_turns_back_into_its_pattern(name: str) -> None:
    dtype = DTYPES[name]
    if dtype.bits == 6:
        codes = np.arange(64, dtype=np.uint8)
        raw = np.packbits(np.unpackbits(codes[:, None], axis=1, bitorder="little")[:, :6],
                          bitorder="little")  # fmt: skip
        assert_array_equal(encoded(decode(raw.data, dtype, 64), dtype), codes)
        return
    count = {4: 16, 8: 256 if name != "bool" else 2, 16: 65536, 32: 1000}[dtype.bits]
    size = dtype.size_of(count)
    patterns = {4: np.arange(16, dtype=np.uint8), 8: np.arange(count, dtype=np.uint8),
                16: np.arange(65536, dtype=np.uint16),
                32: random_values("int16", 2000).astype(np.int16)}[dtype.bits]  # fmt: skip
    raw = patterns.view(np.uint8)
    if dtype.bits == 4:
        raw = raw[::2] | raw[1::2] << np.uint8(4)
    with np.errstate(invalid="ignore"):
        back = encoded(decode(raw.data, dtype, count), dtype).reshape(-1).view(np.uint8)[:size]
    if name == "complex32" or name.startswith("float"):
        # Which NaN it was may be lost.
        kind = np.float16 if name == "complex32" else SMALL.get(name)
        if kind is not None:
            with np.errstate(invalid="ignore"):
                before, after = (each.view(kind).astype(np.float32) for each in (raw, back))
            assert_array_equal(after, before)
            assert_array_equal(np.signbit(after[before == 0]), np.signbit(before[before == 0]))
            return
    assert_array_equal(back, raw)


def count_all(tensor: Tensor) -> Table:
    feed = feed_of(tensor.values)
    table = Table(feed.dtype)
    for buffer, count in feed.pieces():
        table.add(buffer, count)
    return table


def packed(tensor_type: str, count: int, file: Path) -> np.ndarray[Any, Any]:
    """Write a file of packed values of a type that torch cannot write; give their patterns."""
    bits = 4 if tensor_type == "F4" else 6
    codes = np.random.default_rng(0).integers(0, 1 << bits, count).astype(np.uint8)
    ones = np.unpackbits(codes[:, None], axis=1, bitorder="little")[:, :bits]
    raw = np.packbits(ones, bitorder="little").tobytes()
    head = b'{"x":{"dtype":"%s","shape":[%d,8],"data_offsets":[0,%d]}}' % (
        tensor_type.encode(), count // 8, len(raw),
    )  # fmt: skip
    file.write_bytes(len(head).to_bytes(8, "little") + head + raw)
    return codes.reshape(-1, 8)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("F4", "float4_e2m1fn"), ("F6_E2M3", "float6_e2m3fn"), ("F6_E3M2", "float6_e3m2fn")],
)
def test_packed_values_of_a_file_and_of_its_slices(kind: str, name: str, tmp_path: Path) -> None:
    codes = packed(kind, 8000, tmp_path / "x.safetensors")
    tensor = weigh.open(tmp_path / "x.safetensors")["x"]
    for index in (..., 3, (slice(2, 9),), (4, slice(0, 6)), (4, slice(1, 4)), (slice(None), 5),
                  (0, slice(3, 4)), (slice(0, 0),), (7, slice(2, 7))):  # fmt: skip
        expected = np.bincount(codes[index].reshape(-1), minlength=1)
        found = count_all(tensor[index])
        assert found.dtype == name
        assert found.counts() == [(int(i), int(expected[i])) for i in np.flatnonzero(expected)]


@pytest.mark.parametrize(
    "dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu, torch.bfloat16,
              torch.float16, torch.int64, torch.uint16, torch.bool, torch.complex64,
              torch.complex128, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz],
    ids=str,
)  # fmt: skip
def test_a_turned_tensor_is_as_its_copy(dtype: torch.dtype, tmp_path: Path) -> None:
    base = (torch.rand(30, 20) * 4).to(dtype)
    torch.save({"x": base.t(), "y": base.t().contiguous()}, tmp_path / "x.pt")
    for source in ({"x": base.t(), "y": base.t().contiguous()}, tmp_path / "x.pt"):
        net = weigh.open(source)
        assert count_all(net["x"]) == count_all(net["y"])
        assert count_all(net["y"]).summary()[0] == 600 * (2 if dtype.is_complex else 1)
        assert count_all(net["x"][:, 3:7]) == count_all(net["y"][:, 3:7])
        assert count_all(net["y"][4:9]) == count_all(weigh.open({"z": base.t()[4:9]})["z"])


@quiet
@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8, torch.qint32], ids=str)
def test_live_quantized_tensors(dtype: torch.dtype, channels: bool, tmp_path: Path) -> None:
    base = torch.randn(16, 24)
    if channels:
        scales = torch.rand(16, dtype=torch.float64) + 0.1
        zeros = torch.zeros(16, dtype=torch.int64)
        tensor = torch.quantize_per_channel(base, scales, zeros, 0, dtype)
    else:
        tensor = torch.quantize_per_tensor(base, 0.1, 3, dtype)
    torch.save({"x": tensor}, tmp_path / "x.pt")
    name = {torch.qint8: "int8", torch.quint8: "uint8", torch.qint32: "int32"}[dtype]
    for source in ({"x": tensor}, tmp_path / "x.pt"):
        net = weigh.open(source)
        for at, part in ((net["x"], tensor), (net["x"][3:5], tensor[3:5])):
            whole = part is tensor
            stored = tensor.int_repr() if whole else tensor.int_repr()[3:5]
            real = tensor.dequantize() if whole else tensor.dequantize()[3:5]
            found = measure_one(at)
            assert found.table == Table.of("float32", at.read())
            assert_allclose(at.read(), real.numpy(), rtol=1e-6)
            assert found.stored == Table.of(name, stored.contiguous().numpy())


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q5_1", "Q6_K", "Q4_K", "IQ4_NL"])
def test_blocks_are_dequantized_and_their_bytes_counted(name: str, tmp_path: Path) -> None:
    import gguf

    kind = gguf.GGMLQuantizationType[name]
    block, width = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(0).integers(0, 60, (6, 512 // block * width)).astype(np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("x", raw, raw_dtype=kind)
    for step in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{step}_to_file")()
    writer.close()
    real = gguf.quants.dequantize(raw, kind).astype(np.float32)
    tensor = weigh.open(tmp_path / "m.gguf")["x"]
    for index in (..., 2, slice(1, 4)):
        found = measure_one(tensor[index])
        assert found.table == Table.of("float32", np.ascontiguousarray(real[index]))
        assert found.stored == Table.of("uint8", np.ascontiguousarray(raw[index]))
    # What begins or ends within a block has values, but no bytes of its own.
    for index in ((2, slice(5, 21)), (2, slice(0, 40)), (slice(None), slice(3, 30))):
        found = measure_one(tensor[index])
        assert found.table == Table.of("float32", np.ascontiguousarray(real[index]))
        assert found.stored is None or found.stored.summary()[0] == raw[index[0]].size


def test_pieces_between_any_two_places_are_the_stored_bytes(tmp_path: Path) -> None:
    values = {name: torch.arange(5000).to(getattr(torch, name)) for name in
              ("float32", "bfloat16", "int8", "complex64", "float64")}  # fmt: skip
    save_file(values, tmp_path / "x.safetensors")
    net = weigh.open(tmp_path / "x.safetensors")
    for name, tensor in values.items():
        feed = stored_feed(net[name].values)
        assert feed.piece is not None
        width = tensor.element_size() * tensor.numel() // feed.count
        raw = tensor.view(torch.uint8).numpy().tobytes()
        for start, stop in ((0, feed.count), (2, 10), (4096, 4096), (100, feed.count)):
            assert bytes(feed.piece(start, stop)) == raw[start * width : stop * width]


def test_few_values_repeated_enormously_often_are_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1).expand(1 << 40)}, tmp_path / "x.pt")
    for source in ({"x": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "x.pt"):
        tensor = weigh.open(source)["x"]
        assert "repeat 1 stored values" in measure_one(tensor).problem
        assert "repeat 1 stored values" in measure_one(tensor, Options(threads=3)).problem
        with pytest.raises(ValuesError, match="repeat 1 stored values"):
            refuse_repetition(tensor.values)
    assert weigh.stats({"x": torch.ones(1).expand(1 << 10, 1 << 8)})["x"].l1 == 1 << 18
