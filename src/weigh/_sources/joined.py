"""Several runs of bytes as one: an array that its writer cut into pieces."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from itertools import accumulate

from weigh._sources.bytes import ByteSource, check_range


class JoinedBytes:
    """Runs of bytes, one after the other.

    A range within one run is not copied; of a range over several, each part is.

    Args:
        runs: of each the source that it lies in, the offset and the length.
        name: what to call them together.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> source = MemoryBytes(b"ab--cd")
        >>> bytes(JoinedBytes([(source, 0, 2), (source, 4, 2)], "ab").view(1, 2))
        b'bc'
    """

    beside = None

    def __init__(self, runs: Sequence[tuple[ByteSource, int, int]], name: str) -> None:
        # A run without bytes would begin where the next one does.
        self._runs = [run for run in runs if run[2]]
        self._starts = [0, *accumulate(length for *_, length in self._runs)]
        self.name, self.size = name, self._starts[-1]
        first = [(source.identity, at) for source, at, _ in self._runs[:1]]
        self.identity: Hashable = ("joined", *first)

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        check_range(offset, length, self.size)
        parts, at = [], offset
        run = bisect_right(self._starts, offset) - 1
        while at < offset + length:
            source, begin, _ = self._runs[run]
            there = min(self._starts[run + 1], offset + length) - at
            parts.append(source.view(begin + at - self._starts[run], there))
            at, run = self._starts[run + 1], run + 1
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts)).toreadonly()

    def close(self) -> None:
        """Do nothing: the sources are closed by whom they belong to."""
