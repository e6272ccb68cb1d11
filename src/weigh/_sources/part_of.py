"""A part of a source, read as a source of its own: a checkpoint inside an archive."""

from __future__ import annotations

from collections.abc import Hashable

from weigh._sources.bytes import ByteSource, check_range


class PartOf:
    """The bytes of another source from an offset on, as many as are named.

    Args:
        whole: the source.
        offset: the first byte of the part.
        size: how many bytes it has.
        name: what to call it.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> bytes(PartOf(MemoryBytes(b"abcdef"), 2, 3, "middle").view(1, 2))
        b'de'
    """

    beside = None

    def __init__(self, whole: ByteSource, offset: int, size: int, name: str) -> None:
        check_range(offset, size, whole.size)
        self._whole, self._offset = whole, offset
        self.size, self.name = size, name

    @property
    def identity(self) -> Hashable:
        """What tells this part from every other."""
        return (self._whole.identity, self._offset, self.size)

    def view(self, offset: int, length: int) -> memoryview:
        """Give a range of the part's bytes.

        Raises:
            FormatError: it is not within the part.
        """
        check_range(offset, length, self.size)
        return self._whole.view(self._offset + offset, length)

    def close(self) -> None:
        """Nothing: the whole is its owner's."""
