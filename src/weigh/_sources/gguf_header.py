"""The header of a GGUF file: its key-values and the list of its tensors.

The format is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A vocabulary of
150,000 texts is passed over without one of them being built.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import ByteSource

MAGIC = b"GGUF"
_CHUNK = 1 << 20
_MAX_KEYS, _MAX_TENSORS = 1 << 16, 1 << 17
_MAX_NAME, _KEPT, _SHOWN = 1 << 12, 1 << 16, 4
_MAX_DEPTH, _MAX_ARRAYS = 8, 1 << 17
_MAX_TEXTS = 1 << 26
"""The most bytes of text that are kept, of names and values together."""

_MAX_AXES = 4
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Listed:
    """One tensor as the header lists it.

    Attributes:
        shape: its sizes in NumPy's order, the reverse of the file's.
        kind: the number of its type.
        offset: where it begins, in bytes from the first of the data.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class Several:
    """An array of the key-values: its length and its first few items."""

    count: int
    first: tuple[object, ...]


@dataclass(slots=True)
class Header:
    """What stands before the data.

    Attributes:
        values: numbers, texts and truth values by their keys; an array as a ``Several``. Of a
            text of over 65,536 bytes the beginning.
        end: the byte at which the header ends.
    """

    version: int
    big_endian: bool
    values: dict[str, object] = field(default_factory=dict)
    tensors: list[Listed] = field(default_factory=list)
    end: int = 0


def read_header(source: ByteSource) -> Header:
    """Read a header.

    Raises:
        FormatError: it breaks the format's rules, or the file ends within it.
        UnsupportedError: it is of version 1, or of one that is not known.
    """
    reader = _Reader(source)
    header = _version(reader)
    n_tensors, n_values = reader.number("Q"), reader.number("Q")
    # A key-value takes 13 bytes at least, a tensor 24: no count is believed beyond that.
    for what, count, least, most in (
        ("key-values", n_values, 13, _MAX_KEYS),
        ("tensors", n_tensors, 24, _MAX_TENSORS),
    ):
        if count > min(most, source.size // least):
            raise FormatError(f"the file claims an impossible number of {what}", seen=f"{count:,}")
    for _ in range(n_values):
        key = reader.name()
        if key in header.values:
            raise FormatError("the file has a key twice", seen=repr(key[:100]))
        header.values[key] = reader.value(reader.number("I"), 0)
    met: set[str] = set()
    for _ in range(n_tensors):
        listed = _listed(reader)
        if listed.name in met:
            raise FormatError("two tensors have one name", seen=repr(listed.name[:100]))
        met.add(listed.name)
        header.tensors.append(listed)
    header.end = reader.at
    return header


def _version(reader: _Reader) -> Header:
    if bytes(reader.take(4)) != MAGIC:
        raise FormatError("the file does not begin as GGUF does")
    raw = bytes(reader.take(4))
    little, big = int.from_bytes(raw, "little"), int.from_bytes(raw, "big")
    version, big_endian = (big, True) if little > 0xFFFF else (little, False)
    if version not in (2, 3):
        raise UnsupportedError("this version of GGUF is not read", seen=str(version))
    reader.order = ">" if big_endian else "<"
    return Header(version, big_endian)


def _listed(reader: _Reader) -> Listed:
    name = reader.name()
    rank = reader.number("I")
    if rank > _MAX_AXES:
        raise FormatError(f"tensor {name[:100]!r} claims more than 4 axes", seen=f"{rank:,}")
    sizes = [reader.number("Q") for _ in range(rank)]
    kind, offset = reader.number("I"), reader.number("Q")
    return Listed(name, tuple(reversed(sizes)), kind, offset)


class _Reader:
    """A place in the file, read ahead in chunks."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self.order = source, "<"
        self._data, self._begin, self._place = memoryview(b""), 0, 0
        self._texts, self._arrays = 0, 0

    @property
    def at(self) -> int:
        """The byte that comes next."""
        return self._begin + self._place

    def take(self, length: int) -> memoryview:
        """Take bytes."""
        self._have(length)
        piece = self._data[self._place : self._place + length]
        self._place += length
        return piece

    def number(self, code: str) -> int:
        """Take a whole number by its struct code."""
        value = struct.unpack(self.order + code, self.take(struct.calcsize(f"={code}")))[0]
        return int(value)

    def name(self) -> str:
        """Take a text that names something."""
        length = self.number("Q")
        if length > _MAX_NAME:
            raise FormatError("the file has an endless name", seen=f"{length:,} bytes")
        return self._text(length)

    def _long_text(self) -> str:
        """Take a text, of a very long one only the beginning."""
        length = self.number("Q")
        if length <= _KEPT:
            return self._text(length)
        self._count_text(_KEPT)
        kept = bytes(self.take(_KEPT)).decode("utf-8", "replace")
        self._skip(length - _KEPT)
        return kept

    def _text(self, length: int) -> str:
        self._count_text(length)
        try:
            return str(self.take(length), "utf-8")
        except UnicodeDecodeError:
            raise FormatError(
                "a text in the file is not UTF-8", seen=f"at byte {self.at:,}"
            ) from None

    def _count_text(self, length: int) -> None:
        self._texts += length
        if self._texts > _MAX_TEXTS:
            raise FormatError(f"the file's header holds over {_MAX_TEXTS:,} bytes of text")

    def value(self, kind: int, depth: int) -> object:
        """Take a value of a key."""
        if kind == _TEXT:
            return self._long_text()
        if kind == _ARRAY:
            return self._array(depth + 1)
        if kind not in _SCALARS:
            raise FormatError("a key-value is of an unknown type", seen=f"{kind:,}")
        code = self.order + _SCALARS[kind]
        return struct.unpack(code, self.take(struct.calcsize(f"={_SCALARS[kind]}")))[0]

    def _array(self, depth: int) -> Several:
        if depth > _MAX_DEPTH:
            raise FormatError("arrays are nested too deeply")
        self._arrays += 1
        if self._arrays > _MAX_ARRAYS:
            raise FormatError(f"the file's header holds over {_MAX_ARRAYS:,} arrays")
        kind, count = self.number("I"), self.number("Q")
        size = struct.calcsize(f"={_SCALARS[kind]}") if kind in _SCALARS else 8
        if count * size > self._source.size - self.at:
            raise FormatError("an array claims more than the file holds", seen=f"{count:,} items")
        shown = min(count, _SHOWN)
        first = tuple(self.value(kind, depth) for _ in range(shown))
        if kind in _SCALARS:
            self._skip((count - shown) * size)
        elif kind == _TEXT:
            self._skip_texts(count - shown)
        else:
            for _ in range(count - shown):
                self.value(kind, depth)
        return Several(count, first)

    def _skip_texts(self, count: int) -> None:
        length_of = struct.Struct(f"{self.order}Q").unpack_from
        data, place, end = self._data, self._place, len(self._data)
        for _ in range(count):
            if place + 8 > end:
                self._skip_to(place)
                self._have(8)
                data, place, end = self._data, self._place, len(self._data)
            place += 8 + length_of(data, place)[0]
        self._skip_to(place)

    def _skip_to(self, place: int) -> None:
        self._skip(place - self._place)

    def _skip(self, length: int) -> None:
        if self.at + length > self._source.size:
            raise self._cut_short(length)
        self._place += length

    def _have(self, length: int) -> None:
        """Make sure that so many bytes lie ready."""
        if self._place + length <= len(self._data):
            return
        at, left = self.at, self._source.size - self.at
        if length > left:
            raise self._cut_short(length)
        self._data = self._source.view(at, min(max(length, _CHUNK), left))
        self._begin, self._place = at, 0

    def _cut_short(self, length: int) -> FormatError:
        return FormatError(
            "the file ends within its header",
            seen=f"{self._source.size:,} bytes where {self.at + length:,} are needed",
            do="It may be cut short: fetch it again.",
        )
