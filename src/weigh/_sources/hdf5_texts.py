"""Texts of varying length in an HDF5 file's attributes, read without libhdf5.

Such an attribute holds, for each text, its length and its place in a heap. libhdf5 2.0 allocates
what the length claims, and walks a heap whose free object states the size 0 for ever; so both are
looked up here (HDF5 File Format Specification, sections III.E and IV.A). What is not found is not
read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource

_OLD_MESSAGE, _HEAP, _OBJECT = (
    struct.Struct("<HHB3x"),
    struct.Struct("<4s4xQ"),
    struct.Struct("<H6xQ"),
)
_REFERENCE, _CONTINUED = struct.Struct("<IQI"), struct.Struct("<QQ")
_ATTRIBUTE, _CONTINUATION, _SHARED = 0x0C, 0x10, 0x02
_MOST_BLOCKS, _MOST_BLOCK, _MOST_HEAP = 256, 1 << 20, 1 << 25
_MOST_TOTAL = 1 << 26


class Texts:
    """Reads texts of varying length; all together no more than 64 MiB.

    Args:
        source: the file.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._left = _MOST_TOTAL
        head = bytes(source.view(0, 16))
        # Lengths and addresses of 8 bytes, as all but very old writers make.
        self._readable = (head[9:11] if head[8] >= 2 else head[13:15]) == b"\x08\x08"

    def read(self, address: int, name: str, count: int, most: int) -> list[str] | None:
        """Read an attribute of so many texts; None where they cannot be found.

        Args:
            address: where the header of the object is that has the attribute.
            name: the attribute's name.
            count: how many texts it has.
            most: the most bytes that one of them may have.
        """
        try:
            data = self._data(address, name.encode()) if self._readable else None
            if data is None or len(data) < count * _REFERENCE.size:
                return None
            places = _REFERENCE.iter_unpack(data[: count * _REFERENCE.size])
            return [self._text(length, heap, index, most) for length, heap, index in places]
        except (FormatError, struct.error, IndexError):
            return None

    def _text(self, length: int, heap: int, index: int, most: int) -> str:
        if not length:
            return ""
        if heap not in self._heaps:
            self._heaps[heap] = self._objects(heap)
        at, size = self._heaps[heap].get(index, (0, 0))
        self._left -= length
        if length > min(size, most) or self._left < 0:
            raise FormatError("a text in the HDF5 file is longer than may be")
        return bytes(self._source.view(at, length)).decode("utf-8", "replace")

    def _objects(self, begin: int) -> dict[int, tuple[int, int]]:
        """Give the place and the size of each object of a heap."""
        mark, size = _HEAP.unpack(self._source.view(begin, _HEAP.size))
        self._left -= size
        if mark != b"GCOL" or size > _MOST_HEAP or self._left < 0:
            raise FormatError("a heap of texts in the HDF5 file is no heap, or far too long")
        heap, found, at = self._source.view(begin, size), {}, _HEAP.size
        while at + _OBJECT.size <= size:
            index, length = _OBJECT.unpack_from(heap, at)
            at += _OBJECT.size
            if not index or at + length > size:  # what is free comes last
                break
            found[index] = (begin + at, length)
            at += -(-length // 8) * 8
        return found

    def _data(self, address: int, name: bytes) -> bytes | None:
        for message in self._attributes(address):
            found = _named(message, name)
            if found is not None:
                return found
        return None

    def _attributes(self, address: int) -> Iterator[bytes]:
        """Go through the attributes that an object's header holds."""
        head = bytes(self._source.view(address, min(64, max(self._source.size - address, 0))))
        old = head[:1] == b"\x01"
        if not old and head[:5] != b"OHDR\x02":
            return
        if old:
            size, flags = struct.unpack_from("<I", head, 8)[0], 0
            blocks = [(address + 16, size)]
        else:
            flags = head[5]
            at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(head[at : at + width], "little")
            blocks = [(address + at + width, size)]
        met = 0
        while blocks:
            start, size = blocks.pop(0)
            met += 1
            if met > _MOST_BLOCKS or size > _MOST_BLOCK:
                return
            block = bytes(self._source.view(start, size))
            if not old and block[:4] == b"OCHK":
                block = block[4:-4]
            for kind, shared, body in _messages(block, old=old, ordered=bool(flags & 4)):
                if kind == _CONTINUATION:
                    blocks.append(_CONTINUED.unpack_from(body))
                elif kind == _ATTRIBUTE and not shared:
                    yield body


def _messages(block: bytes, *, old: bool, ordered: bool) -> Iterator[tuple[int, bool, bytes]]:
    """Give the kind of each message in a block, whether it stands elsewhere, and its body."""
    at, width = 0, 8 if old else 6 if ordered else 4
    while at + width <= len(block):
        if old:
            kind, size, flags = _OLD_MESSAGE.unpack_from(block, at)
        else:
            kind, size, flags = struct.unpack_from("<BHB", block, at)
        at += width
        yield kind, bool(flags & _SHARED), block[at : at + size]
        at += size


def _named(message: bytes, name: bytes) -> bytes | None:
    """Give the data of an attribute's message, if it is of that name."""
    version, _, *sizes = struct.unpack_from("<BBHHH", message)
    if version not in (1, 2, 3):
        return None
    at = 9 if version == 3 else 8
    if message[at : at + sizes[0]].rstrip(b"\0") != name:
        return None
    return message[at + sum(-(-size // 8) * 8 if version == 1 else size for size in sizes) :]
