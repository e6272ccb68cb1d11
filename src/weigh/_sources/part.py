"""A part of a file that is read like a file: a member of an archive, or a slice."""

from __future__ import annotations

from collections.abc import Hashable

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, check_range, expect, taken


class Part:
    """Some bytes of another source.

    Args:
        whole: the other source.
        offset: where the bytes begin in it.
        size: how many they are.
        name: what to call them in messages; as the whole, if not said.

    Raises:
        FormatError: they reach past its end.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> bytes(Part(MemoryBytes(b"abcdef"), 2, 3).view(1, 2))
        b'de'
    """

    beside = None

    def __init__(self, whole: ByteSource, offset: int, size: int, name: str = "") -> None:
        if min(offset, size) < 0 or offset + size > whole.size:
            raise FormatError(
                "a part of the file reaches past its end",
                seen=f"{whole.size:,} bytes where {offset + size:,} are needed",
                do="It may be cut short: fetch it again.",
            )
        self.name, self.size = name or whole.name, size
        self.identity: Hashable = (whole.identity, offset, size)
        self._whole, self._offset = whole, offset

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        check_range(offset, length, self.size)
        return self._whole.view(self._offset + offset, length)

    def take(self, offset: int, length: int) -> bytes:
        """Copy ``length`` bytes from ``offset`` on; see ``bytes.taken``."""
        check_range(offset, length, self.size)
        return taken(self._whole, self._offset + offset, length)

    def expect(self, ranges: list[tuple[int, int]]) -> None:
        """Tell the whole which small ranges will be viewed; see ``bytes.expect``."""
        expect(self._whole, [(self._offset + a, self._offset + b) for a, b in ranges])

    def close(self) -> None:
        """Do nothing: the whole is another's to close."""
