"""Texts of varying length in an HDF5 file's attributes, read without libhdf5.

Such an attribute holds, for each text, its length and its place in a heap. libhdf5 2.0 allocates
what the length claims, and walks a heap whose free object states the size 0 for ever; so both are
looked up here (HDF5 File Format Specification, sections III.E and IV.A). What is not found is not
read.
"""

from __future__ import annotations

import struct

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_header import ATTRIBUTE, messages

_HEAP, _OBJECT = struct.Struct("<4s4xQ"), struct.Struct("<H6xQ")
_REFERENCE = struct.Struct("<IQI")
_MOST_HEAP = 1 << 25
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
        for kind, _, body in messages(self._source, address):
            found = _named(body, name) if kind == ATTRIBUTE else None
            if found is not None:
                return found
        return None


def _named(message: bytes, name: bytes) -> bytes | None:
    """Give the data of an attribute's message, if it is of that name."""
    version, _, *sizes = struct.unpack_from("<BBHHH", message)
    if version not in (1, 2, 3):
        return None
    at = 9 if version == 3 else 8
    if message[at : at + sizes[0]].rstrip(b"\0") != name:
        return None
    return message[at + sum(-(-size // 8) * 8 if version == 1 else size for size in sizes) :]
