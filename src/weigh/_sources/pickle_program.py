"""The bytes of a pickle, of which a few MiB are in memory at a time."""

from __future__ import annotations

from weigh._sources.bytes import ByteSource, MemoryBytes, taken

_MOST = 1 << 23
_GROWTH = 8


class Program:
    r"""A source that pickles are read from, one after the other.

    Args:
        source: where they are.
        first: how many bytes to take at first; more are taken each time.
        most: how many to take at most.

    Examples:
        >>> program = Program.of(b"K\x01.")
        >>> program.load(1, 1), program.size
        ((b'\x01.', 1), 3)
    """

    __slots__ = ("_begin", "_data", "_most", "_step", "size", "source")

    def __init__(self, source: ByteSource, first: int = _MOST, most: int = _MOST) -> None:
        self.source, self.size = source, source.size
        self._data, self._begin, self._step, self._most = b"", 0, first, most

    @classmethod
    def of(cls, data: bytes | memoryview | ByteSource | Program) -> Program:
        """Make one of what may be one."""
        if isinstance(data, Program):
            return data
        return cls(MemoryBytes(data) if isinstance(data, bytes | memoryview) else data)

    def load(self, at: int, least: int) -> tuple[bytes, int]:
        """Have some bytes in memory.

        Args:
            at: the first byte.
            least: how many there must be, unless the source ends before.

        Returns:
            The bytes in memory, and the place of the first of them.

        Raises:
            SourceError: they cannot be had.
        """
        stop = self._begin + len(self._data)
        if not (self._begin <= at < stop and at + least <= stop):
            begin = min(at, self.size)
            length = min(max(least, self._step), self.size - begin)
            self._data = b""  # the old ones go before the new ones come
            self._data, self._begin = taken(self.source, begin, length), begin
            self._step = min(self._step * _GROWTH, self._most)
        return self._data, self._begin
