"""The heaps of an HDF5 file in which texts lie, checked before libhdf5 walks through them.

libhdf5 2.0 goes through the objects of a heap by their sizes, and never ends where a free one
states the size 0 (section III.E of the HDF5 File Format Specification has the layout).
"""

from __future__ import annotations

import struct

from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import ByteSource, check_range

_MARK = b"GCOL"
_HEADER, _OBJECT = struct.Struct("<4s4xQ"), struct.Struct("<H6xQ")
_MOST_HEAP = 1 << 25
_OLD, _NEW = (0, 1), (2, 3)


class HeapCheck:
    """Looks through every range that is read for the beginning of a heap, and walks that.

    Raises:
        UnsupportedError: the file's lengths are not of 8 bytes.
        FormatError: it is not an HDF5 file whose version is known.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._passed: set[int] = set()
        head = bytes(source.view(0, 16))
        version = head[8]
        if version not in (*_OLD, *_NEW):
            raise FormatError("the HDF5 file is of an unknown version", seen=str(version))
        if head[14 if version in _OLD else 10] != 8:
            raise UnsupportedError("an HDF5 file whose lengths are not of 8 bytes is not read")

    def __call__(self, offset: int, length: int) -> None:
        """Check the heaps that begin in a range.

        Raises:
            FormatError: one does not lead to its own end.
        """
        # Its mark may have been read in part before.
        start = max(offset - 3, 0)
        stop = min(offset + length + 3, self._source.size)
        piece = bytes(self._source.view(start, stop - start))
        at = piece.find(_MARK)
        while at >= 0:
            if start + at not in self._passed:
                self._walk(start + at)
                self._passed.add(start + at)
            at = piece.find(_MARK, at + 1)

    def _walk(self, begin: int) -> None:
        check_range(begin, _HEADER.size, self._source.size)
        _, size = _HEADER.unpack(self._source.view(begin, _HEADER.size))
        if size > _MOST_HEAP:
            raise FormatError("a heap of texts in the HDF5 file is far too long")
        heap = bytes(self._source.view(begin, size))
        at = _HEADER.size
        while at + _OBJECT.size <= size:
            index, length = _OBJECT.unpack_from(heap, at)
            # The size of what is free counts its header too, and need not be rounded.
            step = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
            if step < _OBJECT.size:
                raise FormatError("a heap of texts in the HDF5 file has no end")
            at += step
        if at > size:
            raise FormatError("a heap of texts in the HDF5 file reaches past its end")
