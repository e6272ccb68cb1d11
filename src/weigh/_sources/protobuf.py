"""Walks Protocol Buffers messages in place: finds fields, and touches no more than their keys.

The wire format is that of https://protobuf.dev/programming-guides/encoding/. Nothing recurses:
a message within a message is a range of bytes, which the caller walks when it wants to.
"""

from __future__ import annotations

from collections.abc import Iterator

from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import ByteSource

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types there are; groups (3 and 4) went out of use before ONNX was made."""

Field = tuple[int, int, int, int, int]
"""A field's number, wire type, first byte, one past its last, and its value if it is a number."""

_WIDTH = {FIXED64: 8, FIXED32: 4}
_SMALLEST, _LARGEST = 1 << 12, 1 << 16
_KEY_AND_LENGTH = 20
"""The most bytes that a key and a length take: two varints of ten bytes."""


class Walker:
    """Goes through the fields of messages in a source of bytes.

    Bytes are read a window at a time: a small one after a jump (over a tensor's values), larger
    ones while fields follow each other closely.

    Args:
        source: where the bytes are.
        most: how many fields it goes through before it gives up.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> list(Walker(MemoryBytes(bytes([0x08, 0x96, 0x01]))).fields(0, 3))
        [(1, 0, 1, 3, 150)]
    """

    __slots__ = ("_base", "_data", "_left", "_size", "most", "source")

    def __init__(self, source: ByteSource, most: int = 2_000_000) -> None:
        self.source, self.most = source, most
        self._left = most
        self._base, self._data, self._size = 0, b"", _SMALLEST

    def fields(self, start: int, stop: int) -> Iterator[Field]:
        """Go through the fields of the message that lies between two bytes of the source.

        A number's value is given unsigned: the caller knows whether it is a float, or negative.

        Raises:
            FormatError: a field reaches past the message, or is none that the format has.
            UnsupportedError: there are more fields than the walker was made for.
        """
        at = start
        while at < stop:
            self._left -= 1
            if self._left < 0:
                raise UnsupportedError(f"the file has more than {self.most:,} fields")
            i = at - self._base
            # The message's last field may end before a whole key and length would.
            if i < 0 or i + min(_KEY_AND_LENGTH, stop - at) > len(self._data):
                self._move(at)
                i = 0
            data = self._data
            key = data[i]
            i += 1
            if key > 127:
                key, i = varint(data, i - 1)
            number, wire = key >> 3, key & 7
            value = 0
            if wire == BYTES:
                length = data[i] if i < len(data) else 128
                i += 1
                if length > 127:
                    length, i = varint(data, i - 1)
                first = self._base + i
                at = first + length
            elif wire == VARINT:
                first = self._base + i
                value, i = varint(data, i)
                at = self._base + i
            else:
                first = self._base + i
                at = first + _width(wire)
                value = int.from_bytes(data[i : i + at - first], "little")
            if at > stop or not 0 < number < 1 << 29:
                raise _broken(number, at, stop)
            yield number, wire, first, at, value

    def text(self, start: int, stop: int, longest: int = 4096) -> str:
        """Read a field as text.

        Raises:
            FormatError: it is longer than ``longest`` bytes, or not UTF-8.
        """
        try:
            return self.bytes(start, stop, longest).decode()
        except UnicodeDecodeError:
            raise FormatError("a name in the file is not UTF-8 text") from None

    def bytes(self, start: int, stop: int, longest: int = 4096) -> bytes:
        """Read a short field's bytes.

        Raises:
            FormatError: it is longer than ``longest`` bytes.
        """
        if stop - start > longest:
            raise FormatError(
                f"a name in the file is longer than {longest:,} bytes", seen=f"{stop - start:,}"
            )
        i = start - self._base
        if i >= 0 and i + stop - start <= len(self._data):
            return self._data[i : i + stop - start]
        return bytes(self.source.view(start, stop - start))

    def numbers(self, field: Field, most: int = 1 << 16) -> list[int]:
        """Read a repeated whole number, of which a field holds one, or several packed.

        Raises:
            FormatError: it is no such field, or holds more than ``most``.
        """
        _, wire, start, stop, value = field
        if wire == VARINT:
            return [value]
        if wire != BYTES:
            raise wrong_type(field)
        data, i, found = self.bytes(start, stop, 10 * most), 0, list[int]()
        while i < len(data):
            value, i = varint(data, i)
            found.append(value)
        if len(found) > most:
            raise FormatError(f"a list in the file has more than {most:,} numbers")
        return found

    def _move(self, at: int) -> None:
        """Read the window that begins at a byte: a larger one if the last was used up."""
        jumped = not self._base <= at <= self._base + len(self._data)
        self._size = _SMALLEST if jumped else min(2 * self._size, _LARGEST)
        self._data = bytes(self.source.view(at, min(self._size, self.source.size - at)))
        self._base = at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of a varying length; give it and where the next byte is.

    Raises:
        FormatError: the bytes end within it, or it takes more than 64 bits.

    Examples:
        >>> varint(bytes([0x96, 0x01]), 0)
        (150, 2)
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise FormatError("the file ends within a number", do="It may be cut short.")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 64:
                break
            return value, at
    raise FormatError("a number in the file takes more than 64 bits")


def signed(value: int) -> int:
    """Read 64 bits as a number that may be negative.

    Examples:
        >>> signed(2**64 - 1)
        -1
    """
    return value - (1 << 64) if value >> 63 else value


def wrong_type(field: Field) -> FormatError:
    """Make the error for a field whose wire type is not the one its number has."""
    return FormatError(
        "a field of the file has another type than the format gives it",
        seen=f"wire type {field[1]} in field {field[0]}",
    )


def _width(wire: int) -> int:
    width = _WIDTH.get(wire)
    if width is None:
        raise FormatError("a field of the file has no type that there is", seen=f"{wire}")
    return width


def _broken(number: int, at: int, stop: int) -> FormatError:
    if at > stop:
        return FormatError(
            "a field reaches past the end of what holds it",
            seen=f"field {number} ends {at - stop:,} bytes past it",
            do="The file may be cut short: fetch it again.",
        )
    return FormatError("a field of the file has a number that no field has", seen=str(number))
