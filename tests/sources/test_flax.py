"""Flax's MessagePack: files that Flax wrote, and the same layout made with ``msgpack``."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from flax_written import NET, STATE
from weigh._errors import SourceError, UnsupportedError, WeighError
from weigh._facts import Facts
from weigh._index import Region
from weigh._sources.bytes import LocalFile, MemoryBytes
from weigh._sources.flax import read

CHUNKED = "__msgpack_chunked_array__"


def packed(array: Any, code: int = 1, **other: Any) -> msgpack.ExtType:
    """An array as Flax packs it; ``other`` says something else of its shape, type or values."""
    array = np.asarray(array)
    parts = {"shape": array.shape, "dtype": array.dtype.name, "raw": array.tobytes()} | other
    return msgpack.ExtType(code, msgpack.packb(tuple(parts.values()), use_bin_type=True))


def facts_of(tree: Any) -> Facts:
    return read(MemoryBytes(msgpack.packb(tree, strict_types=True), "x.msgpack"))


def values_of(facts: Facts) -> dict[str, np.ndarray]:
    return {t.name: t.values.read(Region.whole(t.values.shape or ())) for t in facts.tensors}


def test_the_variables_of_a_network(tmp_path: Path) -> None:
    path = tmp_path / "net.msgpack"
    path.write_bytes(NET)
    net = weigh.open(path)
    assert net.format == "flax"
    # Flax's own leaves are sorted by name, and each counts up from 100 times its place.
    for place, tensor in enumerate(sorted(net.tensors(), key=lambda t: t.name.split("."))):
        expected = np.arange(tensor.count or 0, dtype="f4").reshape(tensor.shape or ())
        np.testing.assert_array_equal(tensor.read(), expected + 100 * place, strict=True)
    counts = net.counts
    assert (counts.tensors, counts.parameters, counts.buffers) == (30, 373, 6)
    kernel = net["params.conv1.kernel"]
    assert kernel.shape == (2, 5, 2, 3)
    np.testing.assert_array_equal(kernel[1, ::2, 0, -1].read(), kernel.read()[1, ::2, 0, -1])
    accounts = net.accounts
    assert accounts is not None
    assert (accounts.total, accounts.tensors) == (len(NET), 4 * 379)
    assert accounts.metadata == len(NET) - 4 * 379


def test_a_training_state() -> None:
    facts = read(MemoryBytes(STATE))
    assert {t.name: (t.role, t.values.dtype.name) for t in facts.tensors} == {
        "params.Dense_0.kernel": ("parameter", "float32"),
        "params.Dense_0.bias": ("parameter", "bfloat16"),
        "opt_state.0.count": ("optimizer", "int32"),
        "opt_state.0.mu.Dense_0.kernel": ("optimizer", "float16"),
        "rate": ("other", "float64"),
        "ids": ("other", "int64"),
    }
    assert facts.metadata == {"step": "3", "phase": "(1-2j)", "name": "tiny", "done": "False"}
    values = values_of(facts)
    kernel = np.arange(24, dtype="f4").reshape(4, 6)
    np.testing.assert_array_equal(values["params.Dense_0.kernel"], kernel, strict=True)
    np.testing.assert_array_equal(values["opt_state.0.mu.Dense_0.kernel"], kernel.astype("f2"))
    np.testing.assert_array_equal(values["params.Dense_0.bias"], np.arange(6, dtype="f4"))
    assert (values["rate"], values["opt_state.0.count"]) == (0.5, 9)
    assert facts.accounts is not None
    assert facts.accounts.tensors == 24 * 4 + 6 * 2 + 4 + 24 * 2 + 8 + 40


def test_slices_across_pieces() -> None:
    # Flax cut these 4 rows of 6 into pieces of 10 and 4 values.
    values = next(t for t in read(MemoryBytes(STATE)).tensors if "kernel" in t.name).values
    kernel = np.arange(24, dtype="f4").reshape(4, 6)
    for index in [1, (2, 3), (slice(None), 4), (slice(1, 4, 2), slice(5)), (3, slice(2, 6, 3))]:
        np.testing.assert_array_equal(values.read(Region.of(index, (4, 6))), kernel[index])
    extent = values.extent
    assert extent is not None
    assert (extent.start, extent.stop, extent.distinct) == (0, 96, 24)


DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", "bfloat16", "float8_e4m3fn", "float8_e5m2",
]  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_every_type(name: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(np.dtype(getattr(ml_dtypes, name, name)))
    facts = facts_of({"a": {"b": packed(array)}, "c": packed(array[0, 1], 3)})
    assert [t.values.dtype.name for t in facts.tensors] == [name, name]
    values = values_of(facts)
    np.testing.assert_array_equal(values["a.b"], array.astype(values["a.b"].dtype))
    assert values["c"] == array[0, 1].astype(values["c"].dtype)


def test_types_that_are_not_read_are_named() -> None:
    four_bits = np.arange(4).astype(ml_dtypes.int4)  # a byte each, so no packed int4
    tree = {"a": packed(np.ones(3)), "b": packed(four_bits), "c": packed(np.array(["x"]))}
    facts = facts_of({**tree, "d": b"12345", "e": msgpack.ExtType(9, b"1")})
    assert [t.name for t in facts.tensors] == ["a"]
    assert facts.notes == (
        "Left out: 'b' (of type int4), 'c' (of type str32), 'd' (bytes), 'e' (extension 9).",
    )
    assert facts.accounts is not None
    assert facts.accounts.unreachable > 4 + 4 + 5 + 1
    with pytest.raises(SourceError, match=r"no array that Weigh reads; saw 'b' \(of type int4\)"):
        facts_of({"b": packed(four_bits)})


def test_one_array_alone_and_lists() -> None:
    assert [t.name for t in facts_of(packed(np.ones(3))).tensors] == ["array"]
    assert [t.name for t in facts_of([packed(np.ones(1)), {"w": packed(np.ones(2))}]).tensors] == [
        "0",
        "1.w",
    ]


def test_what_collections_hold() -> None:
    one = packed(np.ones(1))
    inner = {"params": {"w": one}, "batch_stats": {"mean": one}}
    facts = facts_of({"params": inner, "opt_state": {"params": one}, "lora": {"a": one}})
    assert {t.name: t.role for t in facts.tensors} == {
        "params.params.w": "parameter", "params.batch_stats.mean": "buffer",
        "opt_state.params": "optimizer", "lora.a": "buffer",
    }  # fmt: skip
    assert facts_of({"dense": {"kernel": one}}).tensors[0].role is None


def test_no_value_is_read_to_list_them_and_numpy_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "large.msgpack"
    path.write_bytes(msgpack.packb({"a": packed(np.zeros(1 << 20)), "b": packed(np.ones(3))}))
    program = f"""
import sys
import weigh
net = weigh.open({str(path)!r})
assert net.counts.parameters == (1 << 20) + 3
print([name for name in ("numpy", "msgpack", "flax") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    asked = []

    class Counting(LocalFile):
        def view(self, offset: int, length: int) -> memoryview:
            asked.append(length)
            return super().view(offset, length)

    facts = read(Counting(path))
    assert sum(asked) < 1 << 17
    asked.clear()
    facts.tensors[0].values.read(Region.of((slice(7, 9),), (1 << 20,)))
    assert asked == [16]


def in_pieces(*shape: object, chunks: Any, **other: Any) -> dict[str, object]:
    sizes = {str(i): size for i, size in enumerate(shape)}
    return {"w": {CHUNKED: True, "shape": sizes, "chunks": chunks, **other}}


ONES = packed(np.ones(2, "f4"))
HOSTILE = {
    "size": ({"w": packed(np.ones(3), shape=[4])}, "'w': the array has not the size that its"),
    "overflow": ({"w": packed(np.ones(3), shape=[2**40, 2**40])}, "more values than 64 bits"),
    "negative": ({"w": packed(np.ones(3), shape=[-3])}, "is no whole number"),
    "truth": ({"w": packed(np.ones(1), shape=[True])}, "is no whole number"),
    "axes": ({"w": packed(np.ones(1), shape=[1] * 65)}, "an array has no shape"),
    "no shape": ({"w": packed(np.ones(1), shape=1)}, "an array has no shape"),
    "no bytes": ({"w": packed(np.ones(1), raw=8)}, "is not a shape, a type and values"),
    "no type": ({"w": packed(np.ones(1), dtype=8)}, "is not a shape, a type and values"),
    "four parts": ({"w": packed(np.ones(1), more=1)}, "is not a shape, a type and values"),
    "empty": ({"w": msgpack.ExtType(1, b"")}, "'w': a value reaches past the end"),
    "follows": ({"w": msgpack.ExtType(1, packed(np.ones(1)).data + b"1")}, "something follows"),
    "complex": ({"w": msgpack.ExtType(2, msgpack.packb([1, 2]))}, "is not two numbers"),
    "none": ({"a": {}, "b": 3}, "no array that Weigh reads; saw no array"),
    "one name": ({"a.b": ONES, "a": {"b": ONES}}, "two arrays have one name"),
    "long name": ({"a" * 3000: {"a" * 3000: ONES}}, "the file has endless names"),
    "names": ({"a" * 2000: {f"{i:x}": 1 for i in range(40_000)}}, "the file has endless names"),
    "no pieces": (in_pieces(2, chunks={}), "'w' is in pieces, and they or its shape are not"),
    "pieces": (in_pieces(5, chunks={"0": ONES, "1": ONES}), "saw 16 bytes where 20 are needed"),
    "a gap": (in_pieces(4, chunks={"0": ONES, "2": ONES}), "saw 8 bytes where 16 are needed"),
    "types": (in_pieces(4, chunks={"0": ONES, "1": packed(np.ones(1))}), "do not fit together"),
    "ranks": (in_pieces(1, chunks={"0": packed(np.ones((1, 1)))}), "do not fit together"),
    "text": (in_pieces("2", chunks={"0": ONES}), "is no whole number"),
    "within": (in_pieces(2, chunks={"0": {CHUNKED: True}}), "they or its shape are not there"),
}


@pytest.mark.parametrize(("tree", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_breaks_the_rules_is_one_line(tree: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        facts_of(tree)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def opened(data: bytes) -> bool:
    """Whether a file is taken, and then all its values can be read."""
    try:
        facts = read(MemoryBytes(data))
    except WeighError as error:
        assert str(error).isprintable()  # noqa: PT017
        return False
    assert facts.accounts is not None
    sizes = (t.values.dtype.size_of(math.prod(t.values.shape or ())) for t in facts.tensors)
    assert sum(sizes) <= len(data)
    for tensor in facts.tensors:
        try:
            tensor.values.read(Region.whole(tensor.values.shape or ()))
        except WeighError as error:  # empty, with an axis longer than NumPy's
            assert "cannot be shown as an array" in str(error)  # noqa: PT017
    return True


def test_cut_anywhere_it_is_refused() -> None:
    assert opened(STATE)
    assert not any(opened(STATE[:length]) for length in range(len(STATE)))


@settings(max_examples=1500)
@given(st.lists(st.tuples(st.integers(0, len(STATE) * 8 - 1)), min_size=1, max_size=4))
def test_no_flipped_bits_crash_the_reader(bits: list[tuple[int]]) -> None:
    data = bytearray(STATE)
    for (bit,) in bits:
        data[bit // 8] ^= 1 << bit % 8
    opened(bytes(data))


@pytest.mark.parametrize("name", ["_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt"])
def test_a_folder_of_orbax_is_not_read_yet(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UnsupportedError, match="checkpoints of Orbax are not read yet"):
        weigh.open(tmp_path)


def test_a_sharded_model_whose_index_has_slashes(tmp_path: Path) -> None:
    """As transformers' ``FlaxPreTrainedModel.save_pretrained`` writes it."""
    files = [f"flax_model-0000{i}-of-00002.msgpack" for i in (1, 2)]
    for place, file in enumerate(files):
        tree = {"lm": {f"fc{place}": {"kernel": packed(np.full((2, 3), place, "f4"))}}}
        (tmp_path / file).write_bytes(msgpack.packb(tree))
    names = {f"lm/fc{place}/kernel": file for place, file in enumerate(files)}
    index = tmp_path / "flax_model.msgpack.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 48}, "weight_map": names}))
    for path in (index, tmp_path):
        net = weigh.open(path)
        assert [t.name for t in net.tensors()] == ["lm.fc0.kernel", "lm.fc1.kernel"]
        np.testing.assert_array_equal(net["lm.fc1.kernel"].read(), np.ones((2, 3)))
        assert net["lm.fc1"].kind == "Dense"
    index.write_text(json.dumps({"weight_map": {**names, "lm/fc9/kernel": files[0]}}))
    with pytest.raises(SourceError, match=r"holds 'lm.fc9.kernel', which it does not"):
        weigh.open(index)
