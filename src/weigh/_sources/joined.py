"""Several runs of a source's bytes as one: an array that its writer cut into pieces."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from itertools import accumulate

from weigh._sources.bytes import ByteSource, check_range


class JoinedBytes:
    """Runs of bytes, one after the other.

    A range within one run is not copied; of a range over several, each part is.

    Args:
        source: where the runs lie.
        runs: the offset and the length of each.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> bytes(JoinedBytes(MemoryBytes(b"ab--cd"), [(0, 2), (4, 2)]).view(1, 2))
        b'bc'
    """

    beside = None

    def __init__(self, source: ByteSource, runs: Sequence[tuple[int, int]]) -> None:
        # A run without bytes would begin where the next one does.
        self._runs = [run for run in runs if run[1]]
        self._starts = [0, *accumulate(length for _, length in self._runs)]
        self._source, self.name, self.size = source, source.name, self._starts[-1]
        self.identity: Hashable = (source.identity, "joined", self._runs[0][0] if self._runs else 0)

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        check_range(offset, length, self.size)
        parts, at = [], offset
        run = bisect_right(self._starts, offset) - 1
        while at < offset + length:
            begin, there = self._runs[run][0] + at - self._starts[run], self._starts[run + 1] - at
            parts.append(self._source.view(begin, min(there, offset + length - at)))
            at, run = self._starts[run + 1], run + 1
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts)).toreadonly()

    def close(self) -> None:
        """Do nothing: the source is closed by whom it belongs to."""
