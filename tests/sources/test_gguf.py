"""GGUF, held against llama.cpp's own Python package."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh._dtypes import BLOCKS, DTYPES
from weigh._errors import SourceError, UnsupportedError, WeighError
from weigh._index import Region
from weigh._sources.bytes import MemoryBytes
from weigh._sources.gguf import _TYPES, read

BLOCKED = [kind for kind in gguf.quants._type_traits if kind.name.lower() in BLOCKS]


def write(
    path: Path, tensors: Iterable[tuple[str, np.ndarray, Type | None]], **options: Any
) -> Path:
    writer = gguf.GGUFWriter(path, "llama", **options)
    writer.add_block_count(1)
    writer.add_head_count(4)
    writer.add_rope_freq_base(10_000.0)
    writer.add_token_list(["<s>", "a", "bc"])
    for name, array, kind in tensors:
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks(kind: Type, *shape: int, seed: int = 0) -> np.ndarray:
    """Random bytes that are valid blocks; the scales in them are made small."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (*shape[:-1], shape[-1] // block * size), dtype=np.uint8)
    # A half float whose top byte is 0x20 to 0x3b is neither NaN nor infinite.
    return np.where(raw % 4 == 3, raw % 0x1C + 0x20, raw & 0x3B).astype(np.uint8)


def test_the_table_of_types_is_llama_cpps() -> None:
    for number, name in _TYPES.items():
        block, size = gguf.GGML_QUANT_SIZES[Type(number)]
        dtype = (DTYPES | BLOCKS)[name]
        assert dtype.size_of(block * 7) == size * 7, name
        assert dtype.block in (block, 1), name


@pytest.mark.parametrize("kind", BLOCKED, ids=lambda kind: kind.name)
def test_every_quantized_type(tmp_path: Path, kind: Type) -> None:
    block = gguf.GGML_QUANT_SIZES[kind][0]
    raw = blocks(kind, 3, 2, 2 * block)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(raw, kind)
    tensor = weigh.open(write(tmp_path / "a.gguf", [("w", raw, kind)]))["w"]
    assert (tensor.shape, tensor.dtype.name) == (expected.shape, kind.name.lower())
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tensor.read(), expected)
        for index in [(2,), (1, 0), (slice(1, 3), 1, slice(block - 2, block + 2)), (0, 1, -1)]:
            np.testing.assert_array_equal(tensor[index].read(), expected[index])
    assert tensor.bytes == raw.nbytes
    assert tensor.logical == expected.size


@pytest.mark.parametrize("kind", ["f4", "f2", "f8", "i1", "i2", "i4", "i8"])
def test_every_plain_type(tmp_path: Path, kind: str) -> None:
    array = (np.arange(24) - 9).reshape(2, 3, 4).astype(kind)
    tensor = weigh.open(write(tmp_path / "a.gguf", [("w", array, None)]))["w"]
    np.testing.assert_array_equal(tensor.read(), array, strict=True)


def test_bfloat16(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 8)).astype("f4")
    raw = gguf.quants.quantize(rows, Type.BF16)
    tensor = weigh.open(write(tmp_path / "a.gguf", [("w", raw, Type.BF16)]))["w"]
    assert (tensor.dtype.name, tensor.shape) == ("bfloat16", (2, 8))
    np.testing.assert_array_equal(tensor.read(), gguf.quants.dequantize(raw, Type.BF16))


def llama(folder: Path) -> Path:
    names = {
        "token_embd.weight": (10, 64), "output_norm.weight": (64,), "output.weight": (10, 64),
        "blk.0.attn_norm.weight": (64,), "blk.0.attn_q.weight": (64, 64),
        "blk.0.attn_k.weight": (32, 64), "blk.0.attn_output.weight": (64, 64),
        "blk.0.ffn_gate.weight": (96, 64), "blk.0.ffn_up.weight": (96, 64),
        "blk.0.ffn_down.weight": (64, 96),
    }  # fmt: skip
    rng = np.random.default_rng(0)
    rows = []
    for name, shape in names.items():
        array = rng.standard_normal(shape).astype("f4")
        if len(shape) == 1:
            rows.append((name, array, None))
        else:
            rows.append((name, gguf.quants.quantize(array, Type.Q8_0), Type.Q8_0))
    return write(folder / "tiny.gguf", rows)


def test_a_llama(tmp_path: Path) -> None:
    net = weigh.open(llama(tmp_path))
    assert (net.kind, net.kind_status) == ("llama", "stated")
    assert (net.block_count, net.attention_head_count, net.rope_freq_base) == (1, 4, 10_000.0)
    assert net.metadata["tokenizer.ggml.tokens"] == "3 values: <s>, a, bc"
    assert net.token_embd.kind == "Embedding"
    query = net["blk.0.attn_q"]
    assert (query.kind, query.purpose) == ("Linear", "query projection")
    assert [axis.name for axis in query.weight.axes] == ["out_features", "in_features"]
    assert net["blk.0.ffn_down"].purpose == "feed-forward, coming back"
    counts = net.counts
    assert counts.parameters == counts.logical == sum(t.count or 0 for t in net.tensors())
    assert counts.bytes == sum(t.bytes or 0 for t in net.tensors())
    assert query.weight.learnable is None
    [explained] = weigh.explain(net, "blk.0.attn_q.weight")
    assert (
        "It is quantized: every 32 values take 34 bytes, 8.5 bits each, and are dequantized "
        "when they are read." in explained.sentences
    )


def test_listing_needs_no_package(tmp_path: Path) -> None:
    path = llama(tmp_path)
    program = f"""
import sys
sys.modules["gguf"] = None
import weigh
from weigh._errors import WeighError
net = weigh.open({str(path)!r})
print(net.counts.parameters, net["output_norm.weight"][0].read())
try:
    net["output.weight"].read()
except WeighError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == (
        "the values are quantized (q8_0), and dequantizing them needs the gguf package. "
        "Run: pip install 'weigh[gguf]'."
    )


def test_only_the_blocks_that_are_asked_for_are_read(tmp_path: Path) -> None:
    data = llama(tmp_path).read_bytes()
    asked: list[tuple[int, int]] = []

    class Counting(MemoryBytes):
        def view(self, offset: int, length: int) -> memoryview:
            asked.append((offset, length))
            return super().view(offset, length)

    facts = read(Counting(data))
    asked.clear()
    tensor = next(t for t in facts.tensors if t.name == "blk.0.ffn_up.weight")
    tensor.values.read(Region.of((slice(5, 7), slice(0, 3)), (96, 64)))
    assert [length for _, length in asked] == [2 * 2 * 34]


def test_alignment_and_accounts(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(256)
    for i in range(3):
        writer.add_tensor(f"w{i}", np.full(5, i, "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    net = weigh.open(path)
    assert [net[f"w{i}"].read()[0] for i in range(3)] == [0, 1, 2]
    accounts = net.accounts
    assert accounts is not None
    assert (accounts.tensors, accounts.unreachable) == (60, 0)
    assert accounts.padding >= 2 * 236


def split(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama", split_max_tensors=2)
    for i in range(5):
        writer.add_tensor(f"blk.{i}.attn_q.weight", rng.standard_normal((4, 32)).astype("f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob("*.gguf"))


def test_a_split_model_is_one(tmp_path: Path) -> None:
    parts = split(tmp_path)
    assert parts[0].name == "m-00001-of-00003.gguf"
    for path in [*parts, tmp_path]:
        net = weigh.open(path)
        assert [t.name for t in net.tensors()] == [f"blk.{i}.attn_q.weight" for i in range(5)]
        assert net.accounts is not None
        assert net.accounts.total == sum(part.stat().st_size for part in parts)
    rng = np.random.default_rng(0)
    for i in range(5):
        want = rng.standard_normal((4, 32)).astype("f4")
        np.testing.assert_array_equal(net[f"blk.{i}.attn_q.weight"].read(), want)


def test_a_split_model_whose_parts_do_not_fit(tmp_path: Path) -> None:
    parts = split(tmp_path)

    def refused(path: Path = parts[0]) -> str:
        with pytest.raises(SourceError) as caught:
            weigh.open(path)
        return str(caught.value)

    odd = tmp_path / "odd.gguf"
    odd.write_bytes(parts[0].read_bytes())
    assert "is one of 3 parts, and its name does not say which" in refused(odd)
    odd.unlink()
    third = parts[2].read_bytes()
    parts[2].write_bytes(parts[1].read_bytes())
    assert "says that it is another one; saw split.no 1 in m-00003-of-00003.gguf" in refused()
    parts[2].write_bytes(third[:-1])
    assert refused().startswith(f"{parts[2]}: tensor 'blk.4.attn_q.weight' reaches past the end")
    parts[2].unlink()
    assert "m-00003-of-00003.gguf: there is no such file" in refused()


def head(n_tensors: int = 0, n_values: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_values)


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def tensor(
    name: bytes = b"w", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0
) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", kind, offset)


def padded(data: bytes, room: int = 16) -> bytes:
    return data.ljust(-(-len(data) // 32) * 32, b"\0") + bytes(room)


ARRAYS = text(b"k") + struct.pack("<I", 9)
HOSTILE = {
    "no header": (b"GGUF", "the file ends within its header"),
    "version 1": (head(version=1), "this version of GGUF is not read; saw 1"),
    "version 9": (head(version=9), "this version of GGUF is not read; saw 9"),
    "tensors": (head(2**60), "an impossible number of tensors"),
    "values": (head(0, 2**60), "an impossible number of key-values"),
    "endless name": (head(0, 1) + text(b"", 2**63) + bytes(40), "an endless name"),
    "endless text": (
        head(0, 1) + text(b"k") + struct.pack("<IQ", 8, 2**63) + bytes(1 << 17),
        "the file ends within its header",
    ),
    "much text": (
        head(0, 1100)
        + b"".join(
            text(b"%d" % i) + struct.pack("<I", 8) + text(bytes(1 << 16)) for i in range(1100)
        ),
        "over 67,108,864 bytes of text",
    ),
    "many arrays": (
        head(0, 1) + ARRAYS + struct.pack("<IQ", 9, 200_000) + struct.pack("<IQ", 4, 0) * 200_000,
        "over 131,072 arrays",
    ),
    "many tensors": (head(200_000) + bytes(24 * 200_000), "an impossible number of tensors"),
    "twice": (head(0, 2) + 2 * (text(b"k") + struct.pack("<IB", 0, 1)), "a key twice"),
    "type": (head(0, 1) + text(b"k") + struct.pack("<IQ", 99, 1), "of an unknown type; saw 99"),
    "array": (head(0, 1) + ARRAYS + struct.pack("<IQ", 4, 2**61), "more than the file holds"),
    "nested": (head(0, 1) + ARRAYS + struct.pack("<IQ", 9, 1) * 20, "nested too deeply"),
    "strings": (
        head(0, 1) + ARRAYS + struct.pack("<IQ", 8, 6) + text(b"a") * 5 + text(b"", 2**64 - 1),
        "the file ends within its header",
    ),
    "not text": (head(0, 1) + text(b"\xff\xfe") + bytes(40), "not UTF-8"),
    "axes": (padded(head(1) + tensor(shape=(1,) * 5)), "more than 4 axes; saw 5"),
    "overflow": (padded(head(1) + tensor(shape=(2**40, 2**40))), "more values than 64 bits"),
    "too large": (padded(head(1) + tensor(shape=(5,))), "reaches past the end of the file"),
    "offset": (padded(head(1) + tensor(offset=32), 64), "does not begin where the one before"),
    "wraps": (padded(head(1) + tensor(offset=2**64 - 32)), "does not begin where the one before"),
    "overlap": (
        padded(head(2) + tensor(b"a") + tensor(b"b", offset=0), 64),
        "tensor 'b' does not begin where the one before it ends; saw byte 0 where 16 is next",
    ),
    "one name": (padded(head(2) + 2 * tensor(), 64), "two tensors have one name"),
    "blocks": (padded(head(1) + tensor(kind=2), 64), "are no whole blocks of 32; saw (4,)"),
    "kind": (padded(head(1) + tensor(kind=5)), "of a type that Weigh does not know; saw 5"),
    "alignment": (
        padded(head(1, 1) + text(b"general.alignment") + struct.pack("<II", 4, 3) + tensor()),
        "an impossible alignment; saw 3",
    ),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_breaks_the_rules_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(MemoryBytes(data))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 3))
def test_no_bytes_crash_the_reader(data: bytes, n_tensors: int, n_values: int) -> None:
    starts: list[Callable[[], bytes]] = [lambda: head(n_tensors, n_values), lambda: b"GGUF"]
    for start in starts:
        try:
            read(MemoryBytes(start() + data))
        except WeighError:
            continue


def test_a_big_endian_file(tmp_path: Path) -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3)
    path = write(tmp_path / "a.gguf", [("w", array, None)], endianess=gguf.GGUFEndian.BIG)
    net = weigh.open(path)
    np.testing.assert_array_equal(net["w"].read(), array)
    assert net.block_count == 1
    raw = gguf.quants.quantize(np.ones((1, 32), "f4"), Type.Q4_0)
    writer_path = write(tmp_path / "b.gguf", [("w", raw, Type.Q4_0)], endianess=gguf.GGUFEndian.BIG)
    with pytest.raises(UnsupportedError, match="big-endian"):
        weigh.open(writer_path)


def test_a_large_vocabulary_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    tokens = b"".join(text(b"token%d" % i) for i in range(150_000))
    values = ARRAYS + struct.pack("<IQ", 8, 150_000) + tokens
    path.write_bytes(padded(head(1, 1) + values + tensor()))
    started = time.perf_counter()
    net = weigh.open(path)
    assert net.metadata["k"] == "150,000 values: token0, token1, token2, token3"
    # Building them takes seconds; this only catches that, on the slowest machine.
    assert time.perf_counter() - started < 2


def test_an_empty_tensor_of_enormous_axes_is_one_line() -> None:
    facts = read(MemoryBytes(padded(head(1) + tensor(shape=(2**62, 0), kind=2))))
    with pytest.raises(WeighError, match="cannot be shown as an array"):
        facts.tensors[0].values.read(Region.whole((0, 2**62)))


def test_a_long_text_is_kept_in_part_and_passed_over() -> None:
    template = ("ä" * 100_000).encode()
    data = head(0, 2) + text(b"tokenizer.chat_template") + struct.pack("<I", 8) + text(template)
    facts = read(MemoryBytes(data + text(b"n") + struct.pack("<IB", 0, 7)))
    assert facts.metadata == {"tokenizer.chat_template": "ä" * 199 + "…", "n": "7"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    raw = gguf.quants.quantize(np.ones((2, 32), "f4"), Type.Q4_0)
    arrays = [("a", np.arange(6, dtype="f4").reshape(2, 3), None), ("b", raw, Type.Q4_0)]
    return write(tmp_path_factory.mktemp("gguf") / "a.gguf", arrays).read_bytes()


def read_whole(data: bytes) -> bool:
    """Whether a file is taken and all its values can be read."""
    try:
        for tensor in read(MemoryBytes(data)).tensors:
            with np.errstate(all="ignore"):  # a scale may be any half float
                tensor.values.read(Region.whole(tensor.values.shape or ()))
    except WeighError as error:
        assert str(error).isprintable()  # noqa: PT017
        return False
    return True


def test_cut_anywhere_it_is_refused(small: bytes) -> None:
    assert read_whole(small)
    end = len(small) - (-36 % 32)  # after the last value there is padding, which nobody needs
    assert [length for length in range(len(small)) if read_whole(small[:length])] == list(
        range(end, len(small))
    )


@settings(max_examples=1500)
@given(st.data())
def test_no_flipped_bits_crash_the_reader(small: bytes, data: st.DataObject) -> None:
    flipped = bytearray(small)
    for bit in data.draw(st.lists(st.integers(0, len(small) * 8 - 1), min_size=1, max_size=3)):
        flipped[bit // 8] ^= 1 << bit % 8
    read_whole(bytes(flipped))


def test_a_scale_that_is_no_number_warns_of_nothing(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    blocks = np.zeros((1, 34), "u1")
    blocks[0, :2] = np.array([np.inf], "<f2").view("u1")  # infinity times 0
    writer.add_tensor("w", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert np.isnan(weigh.open(tmp_path / "m.gguf")["w"].read()).all()
