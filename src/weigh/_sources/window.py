"""A run of bytes of a file, as a source of its own."""

from __future__ import annotations

from collections.abc import Hashable

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, check_range


class Window:
    """Some bytes of another source.

    Args:
        source: the other source.
        offset: where the bytes begin in it.
        size: how many they are.

    Raises:
        FormatError: they reach past its end.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> bytes(Window(MemoryBytes(b"abcdef"), 2, 3).view(1, 2))
        b'de'
    """

    beside = None

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        if min(offset, size) < 0 or offset + size > source.size:
            raise FormatError(
                "a part of the file reaches past its end",
                seen=f"{source.size:,} bytes where {offset + size:,} are needed",
                do="It may be cut short: fetch it again.",
            )
        self.name, self.size = source.name, size
        self.identity: Hashable = (source.identity, offset)
        self._source, self._offset = source, offset

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        check_range(offset, length, self.size)
        return self._source.view(self._offset + offset, length)

    def close(self) -> None:
        """Do nothing: the file is another's to close."""
