"""MessagePack, held against the ``msgpack`` package."""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh._errors import FormatError
from weigh._sources.bytes import MemoryBytes
from weigh._sources.msgpack import Items, Pairs, Piece, Unpacker, Window, leaves

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
)
EXTENSIONS = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
TREES = st.recursive(
    SCALARS | st.binary(max_size=300) | EXTENSIONS,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20)
    ),
    max_leaves=40,
)


def walked(data: bytes) -> dict[tuple[str, ...], object]:
    window = Window(MemoryBytes(data))
    return {
        path: data[leaf.offset : leaf.offset + leaf.length] if isinstance(leaf, Piece) else leaf
        for path, leaf in leaves(window)
    }


def flattened(tree: Any) -> dict[tuple[str, ...], object]:
    """The same by recursion over what the package unpacks."""
    if isinstance(tree, msgpack.ExtType):
        return {(): tree.data}
    if not isinstance(tree, dict | list):
        return {(): tree}
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {
        (str(key), *path): leaf for key, value in pairs for path, leaf in flattened(value).items()
    }


@settings(max_examples=300)
@given(TREES)
def test_what_the_package_packs_is_walked(tree: Any) -> None:
    data = msgpack.packb(tree, use_bin_type=True)
    assert walked(data) == flattened(msgpack.unpackb(data, strict_map_key=False))


@pytest.mark.parametrize(
    "value",
    [
        127, 128, 255, 256, 2**16 - 1, 2**16, 2**32, 2**64 - 1, -32, -33, -128, -129, -(2**15),
        -(2**15) - 1, -(2**31) - 1, -(2**63), 1.5, "a" * 31, "a" * 32, "ä" * 200, "a" * 4096,
    ],
)  # fmt: skip
def test_each_width_of_a_number_or_text(value: object) -> None:
    assert walked(msgpack.packb(value)) == {(): value}


def test_single_floats_and_long_texts() -> None:
    assert walked(msgpack.packb(0.5, use_single_float=True)) == {(): 0.5}
    data = msgpack.packb({"k": "a" * 70_000})
    assert list(leaves(Window(MemoryBytes(data)))) == [(("k",), Piece(None, 8, 70_000))]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 2**16 - 1, 2**16])
def test_each_width_of_bytes_and_extensions(length: int) -> None:
    raw = bytes(length)
    assert walked(msgpack.packb({"b": raw, "e": msgpack.ExtType(5, raw), "z": 1})) == {
        ("b",): raw, ("e",): raw, ("z",): 1,
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 15, 16, 2**16 - 1, 2**16])
def test_each_width_of_a_container(count: int) -> None:
    assert len(walked(msgpack.packb([0] * count))) == count
    assert len(walked(msgpack.packb({str(i): 0 for i in range(count)}))) == count


def test_whole_number_keys_are_text() -> None:
    assert walked(msgpack.packb({0: 1, -1: 2})) == {("0",): 1, ("-1",): 2}


def test_the_beginning_of_a_container() -> None:
    window = Window(MemoryBytes(msgpack.packb({"a": [1, 2]})))
    unpacker = Unpacker(window, 0, window.size)
    assert [unpacker.take() for _ in range(3)] == [Pairs(1), "a", Items(2)]


def refused(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        walked(data)
    assert str(caught.value).isprintable()
    return str(caught.value)


HOSTILE = {
    "nothing": (b"", "reaches past the end"),
    "never used": (b"\xc1", "no type that MessagePack has; saw 0xc1"),
    "pairs": (b"\xdf" + b"\xff" * 4, "reaches past the end"),
    "items": (b"\xdd" + b"\xff" * 4 + bytes(1000), "reaches past the end"),
    "text": (b"\xdb" + b"\xff" * 4 + bytes(10), "reaches past the end"),
    "binary": (b"\xc6" + b"\xff" * 4 + bytes(10), "reaches past the end"),
    "extension": (b"\xc9" + b"\xff" * 4 + bytes(10), "reaches past the end"),
    "deep": (b"\x91" * 1_000_000, "nested more than 64 deep"),
    "many": (b"\xdd" + struct.pack(">I", 10**6) + bytes(10**6), "more than 131,072 values"),
    "empty": (b"\xdd" + struct.pack(">I", 10**6) + b"\x80" * 10**6, "more than 131,072 values"),
    "twice": (b"\x82\xa1a\x01\xa1a\x02", "a map has a key twice; saw 'a'"),
    "both": (b"\x82\xa11\x01\x01\x02", "a map has a key twice; saw '1'"),
    "key": (b"\x81\xc3\x01", "a key is no short text"),
    "long key": (b"\x81\xda\x40\x00" + b"a" * 0x4000 + b"\x01", "a key is no short text"),
    "texts": (
        b"\xdd" + struct.pack(">I", 17_000) + (b"\xda\x10\x00" + bytes(4096)) * 17_000,
        "bytes of short",
    ),
    "not text": (b"\xa2\xff\xfe", "not UTF-8"),
    "more": (b"\x01\x02", "something follows the last value"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_breaks_the_rules_is_one_line(data: bytes, message: str) -> None:
    assert message in refused(data)


def test_cut_anywhere_it_is_refused() -> None:
    data = msgpack.packb({"a": [1, 2.5, "text", b"bytes"], "b": {"c": None, "d": 2**40}})
    for length in range(len(data)):
        refused(data[:length])


@settings(max_examples=500)
@given(st.binary(max_size=100))
def test_no_bytes_crash_the_walk(data: bytes) -> None:
    try:
        walked(data)
    except FormatError as error:
        assert str(error).isprintable()  # noqa: PT017
