"""MessagePack, walked a value at a time: what is long is left where it lies.

The format is that of https://github.com/msgpack/msgpack/blob/master/spec.md. The walk does not
recurse, and builds no value whose bytes were not seen to be in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, check_range

_AHEAD = 1 << 14
_MAX_TEXT = 1 << 12
_MAX_DEPTH = 64
_MAX_VALUES = 1 << 17
_MAX_TEXTS = 1 << 26

_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_BINARY = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_EXTENSION = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_FIXED_EXTENSION = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_TEXT = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ITEMS = {0xDC: ">H", 0xDD: ">I"}
_PAIRS = {0xDE: ">H", 0xDF: ">I"}


class Piece(NamedTuple):
    """Bytes that were passed over: binary, a long text or an extension.

    Attributes:
        code: the extension's number; None for binary and text.
        offset: the byte of the source at which they begin.
        length: how many there are.
    """

    code: int | None
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Items:
    """The beginning of an array, whose items follow."""

    count: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """The beginning of a map, whose keys and values follow in turn."""

    count: int


class Window:
    """The bytes of a source, read ahead a little."""

    def __init__(self, source: ByteSource) -> None:
        self.size = source.size
        self._source, self._begin, self._data = source, 0, memoryview(b"")

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        at = offset - self._begin
        if at < 0 or at + length > len(self._data):
            check_range(offset, length, self.size)
            self._data = self._source.view(offset, min(max(length, _AHEAD), self.size - offset))
            self._begin, at = offset, 0
        return self._data[at : at + length]


class Unpacker:
    """A place among values that follow each other, moved on by taking one after another.

    Args:
        window: the bytes.
        start: where the first value begins.
        stop: where the last must end.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> unpacker = Unpacker(Window(MemoryBytes(bytes([0x92, 0x07, 0xC3]))), 0, 3)
        >>> unpacker.take(), unpacker.take(), unpacker.take()
        (Items(count=2), 7, True)
    """

    def __init__(self, window: Window, start: int, stop: int) -> None:
        self._window, self.at, self._stop = window, start, stop
        self._texts = 0

    def take(self) -> object:
        """Take the next value: a plain one, a ``Piece``, or the beginning of a container.

        Raises:
            FormatError: it is not MessagePack, or reaches past the end.
        """
        lead = self._bytes(1)[0]
        if lead < 0x80:
            return lead
        if lead >= 0xE0:
            return lead - 0x100
        if lead < 0xA0:
            return self._container(lead & 15, 2 if lead < 0x90 else 1)
        if lead < 0xC0:
            return self._text(lead & 31)
        if lead in _CONSTANTS:
            return _CONSTANTS[lead]
        if lead in _NUMBERS:
            return self._number(_NUMBERS[lead])
        return self._long(lead)

    def _long(self, lead: int) -> object:
        """Take a value that states its length."""
        if lead in _TEXT:
            return self._text(self._count(_TEXT[lead]))
        if lead in _ITEMS:
            return self._container(self._count(_ITEMS[lead]), 1)
        if lead in _PAIRS:
            return self._container(self._count(_PAIRS[lead]), 2)
        if lead in _BINARY:
            return self._piece(None, self._count(_BINARY[lead]))
        if lead in _EXTENSION:
            length = self._count(_EXTENSION[lead])
        elif lead in _FIXED_EXTENSION:
            length = _FIXED_EXTENSION[lead]
        else:
            raise FormatError("a value is of no type that MessagePack has", seen=f"{lead:#x}")
        code = self._count(">b")
        return self._piece(code, length)

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            FormatError: something is.
        """
        if self.at != self._stop:
            raise FormatError("something follows the last value", seen=f"at byte {self.at:,}")

    def _bytes(self, length: int) -> memoryview:
        self._check(length)
        taken = self._window.view(self.at, length)
        self.at += length
        return taken

    def _check(self, length: int) -> None:
        if length > self._stop - self.at:
            raise FormatError(
                "a value reaches past the end",
                seen=f"{self._stop - self.at:,} bytes where {length:,} are needed",
                do="It may be cut short: fetch it again.",
            )

    def _number(self, form: str) -> int | float:
        number: int | float = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        return number

    def _count(self, form: str) -> int:
        return int(self._number(form))

    def _container(self, count: int, each: int) -> Items | Pairs:
        self._check(count * each)  # every value takes a byte at least
        return Pairs(count) if each == 2 else Items(count)

    def _text(self, length: int) -> str | Piece:
        if length > _MAX_TEXT:
            return self._piece(None, length)
        self._texts += length
        if self._texts > _MAX_TEXTS:
            raise FormatError(f"the file holds over {_MAX_TEXTS:,} bytes of short texts")
        try:
            return str(self._bytes(length), "utf-8")
        except UnicodeDecodeError:
            raise FormatError("a text is not UTF-8", seen=f"at byte {self.at:,}") from None

    def _piece(self, code: int | None, length: int) -> Piece:
        self._check(length)
        self.at += length
        return Piece(code, self.at - length, length)


@dataclass(slots=True)
class _Open:
    """A container that is being walked through."""

    path: tuple[str, ...]
    count: int
    is_map: bool
    done: int = 0
    keys: set[str] = field(default_factory=set)


def leaves(window: Window) -> Iterator[tuple[tuple[str, ...], object]]:
    """Go through the one value that fills a file: all that is no container, with its path.

    A path has the keys of maps, and the places in arrays as text.

    Raises:
        FormatError: it is not MessagePack, a key comes twice or is no short text, containers are
            nested more than 64 deep, or there are more than 131,072 values.
    """
    unpacker = Unpacker(window, 0, window.size)
    stack: list[_Open] = []
    path: tuple[str, ...] = ()
    for _ in range(_MAX_VALUES):
        value = unpacker.take()
        if isinstance(value, Items | Pairs):
            if len(stack) >= _MAX_DEPTH:
                raise FormatError(f"values are nested more than {_MAX_DEPTH} deep")
            stack.append(_Open(path, value.count, isinstance(value, Pairs)))
        else:
            yield path, value
        while stack and stack[-1].done == stack[-1].count:
            stack.pop()
        if not stack:
            return unpacker.end()
        path = _next_path(stack[-1], unpacker)
    raise FormatError(f"the file holds more than {_MAX_VALUES:,} values")


def _next_path(within: _Open, unpacker: Unpacker) -> tuple[str, ...]:
    """Take the key of a map's next value; the items of an array have their places."""
    place, within.done = within.done, within.done + 1
    if not within.is_map:
        return (*within.path, str(place))
    key = unpacker.take()
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise FormatError("a key is no short text", seen=f"before byte {unpacker.at:,}")
    text = str(key)
    if text in within.keys:
        raise FormatError("a map has a key twice", seen=repr(text[:100]))
    within.keys.add(text)
    return (*within.path, text)
