from __future__ import annotations

import pytest
from google.protobuf.internal.decoder import _DecodeVarint
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given
from hypothesis import strategies as st

from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import MemoryBytes
from weigh._sources.protobuf import Walker, signed, varint

NUMBERS = st.integers(0, 2**64 - 1)


def fields(data: bytes) -> list[tuple[int, int, int, int, int]]:
    return list(Walker(MemoryBytes(data)).fields(0, len(data)))


@given(NUMBERS)
def test_a_number_is_read_as_the_library_writes_it(number: int) -> None:
    data = _VarintBytes(number)
    assert varint(data, 0) == (number, len(data)) == _DecodeVarint(data, 0)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_negative_number_is_told(number: int) -> None:
    assert signed(number % 2**64) == number


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.binary(max_size=9000)), max_size=8))
def test_every_field_is_found_where_it_is(rows: list[tuple[int, bytes]]) -> None:
    data = b"".join(_VarintBytes(n << 3 | 2) + _VarintBytes(len(b)) + b for n, b in rows)
    found = fields(data)
    assert [(n, data[start:stop]) for n, _, start, stop, _ in found] == rows
    walk = Walker(MemoryBytes(data))
    for (_, _, start, stop, _), (_, body) in zip(found, rows, strict=True):
        assert walk.bytes(start, stop, 10_000) == body


@given(st.binary(max_size=60))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    try:
        found = fields(data)
    except FormatError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert [stop for *_, stop, _ in found] == sorted(stop for *_, stop, _ in found)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80" * 11 + b"\x00",  # a key of twelve bytes
        b"\x08" + b"\xff" * 9 + b"\x02",  # a number of 65 bits
        b"\x08" + b"\x80" * 10 + b"\x00",  # an overlong zero
        b"\x0a\x05abcd",  # a length past the end
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # one past all files
        b"\x0a",
        b"\x08",
        b"\x0d\0\0\0",  # four bytes of which three are there
        b"\x09" + bytes(7),
        b"\x02\x00",  # field number 0
        b"\x0b\x0c",  # a group
        b"\x0e",
        b"\x0f",
    ],
)
def test_what_breaks_the_wire_format_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        fields(data)


def test_a_message_may_not_leave_its_own_bounds() -> None:
    data = b"\x0a\x03\x0a\x05abcde"
    with pytest.raises(FormatError, match="reaches past the end of what holds it"):
        list(Walker(MemoryBytes(data)).fields(2, 5))


def test_there_is_an_end_to_its_patience() -> None:
    with pytest.raises(UnsupportedError, match="more than 10 fields"):
        list(Walker(MemoryBytes(b"\x08\x01" * 11), most=10).fields(0, 22))


class Counting(MemoryBytes):
    read = 0

    def view(self, offset: int, length: int) -> memoryview:
        self.read += length
        return super().view(offset, length)


def test_what_a_field_holds_is_not_touched() -> None:
    large = Counting((b"\x0a" + _VarintBytes(1 << 20) + bytes(1 << 20)) * 8)
    assert len(list(Walker(large).fields(0, large.size))) == 8
    assert large.read <= large.size // 100
