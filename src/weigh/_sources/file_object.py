"""A source of bytes as a file object of Python's, for libraries that take nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from weigh._sources.bytes import ByteSource, expect

if TYPE_CHECKING:
    from typing_extensions import Buffer

_WINDOW, _MOST_WINDOWS = 1 << 17, 4
"""Bytes of a far file that are fetched at once around the few that are asked for."""


class FileObject(io.RawIOBase):
    """A source read as a file: nothing of it is read before it is asked for.

    Args:
        source: the bytes.
        most: the longest range that may be asked for at once. A library that believes the sizes
            in a hostile file asks for more than it needs.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> file = FileObject(MemoryBytes(b"abcdef"), 4)
        >>> file.seek(2), file.read(3), file.tell()
        (2, b'cde', 5)
    """

    def __init__(self, source: ByteSource, most: int) -> None:
        super().__init__()
        self.most = most
        self._source, self._at = source, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, from the start, from here or from the end; give it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the first byte")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Give the place that is read next."""
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill a buffer, as far as there are bytes; give how many there were.

        Raises:
            OSError: more is asked for at once than may be.
            SourceError: the bytes cannot be had.
        """
        target = memoryview(buffer).cast("B")
        if len(target) > self.most:
            raise OSError(f"{len(target):,} bytes in one piece, where {self.most:,} are the most")
        length = min(len(target), max(self._source.size - self._at, 0))
        # A library asks for little and often; a far place would get a request for each.
        first = self._at // _WINDOW * _WINDOW
        last = min(-(-(self._at + length) // _WINDOW) * _WINDOW, self._source.size)
        if length and last - first <= _MOST_WINDOWS * _WINDOW:
            expect(self._source, [(first, last)])
        target[:length] = self._source.view(self._at, length)
        self._at += length
        return length
