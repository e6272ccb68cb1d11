"""What was fetched of a far file a moment ago, and which bytes are still missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict

_PIECE, _TOTAL = 1 << 20, 1 << 23
_LEAST = 1 << 12


class Fetched:
    """The pieces of a file that are at hand: the first for good, of the others the latest 8 MiB.

    Pieces over 1 MiB are not kept: values are read once, and are what is large. No piece lies
    within another, so that their ends are in the order of their starts.

    Args:
        first: the beginning of the file.

    Examples:
        >>> fetched = Fetched(memoryview(b"abcd"))
        >>> fetched.missing(2, 6, 10)
        (4, 10)
        >>> fetched.add(4, memoryview(b"efghij"))
        >>> bytes(fetched.join(2, 6))
        b'cdef'
    """

    def __init__(self, first: memoryview) -> None:
        self._pieces = {0: first}
        self._used: OrderedDict[int, None] = OrderedDict()
        self._starts = [0]
        self._held = 0

    def add(self, start: int, data: memoryview) -> None:
        """Keep a piece, at the cost of those that were not used for longest."""
        stop = start + len(data)
        around = self._around(start)
        if not data or len(data) > _PIECE or (around is not None and around[1] >= stop):
            return
        within = self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, stop)]
        for other in within:
            if other + len(self._pieces[other]) <= stop and other:
                self._drop(other)
        insort(self._starts, start)
        self._pieces[start] = data
        self._used[start] = None
        self._held += len(data)
        while self._held > _TOTAL:
            self._drop(next(iter(self._used)))

    def _drop(self, start: int) -> None:
        self._held -= len(self._pieces.pop(start))
        del self._used[start]
        del self._starts[bisect_left(self._starts, start)]

    def _around(self, at: int) -> tuple[int, int] | None:
        """Give the bounds of the piece that holds a byte and reaches furthest."""
        start = self._starts[bisect_right(self._starts, at) - 1]
        stop = start + len(self._pieces[start])
        return (start, stop) if at < stop else None

    def missing(self, start: int, stop: int, size: int) -> tuple[int, int] | None:
        """Give the one range to fetch, so that ``start`` to ``stop`` is at hand; None if it is.

        Little is asked for beyond it: at least 4 KiB are, and a reader that goes on where a
        piece ends, in small steps, gets twice as much each time, up to 1 MiB.

        Args:
            start: the first byte that is needed.
            stop: where to stop.
            size: the size of the file.
        """
        before = 0
        while start < stop and (piece := self._around(start)):
            before, start = piece[1] - piece[0], piece[1]
        if start >= stop:
            return None
        behind = False
        while (piece := self._around(stop - 1)) and piece[0] > start:
            stop, behind = piece[0], True
        if behind:
            # Whoever reads backwards will want a little more of what stands before.
            return max(len(self._pieces[0]), min(start, stop - _LEAST)), stop
        least = _LEAST
        if before and stop - start < before and start > len(self._pieces[0]):
            least = min(2 * before, _PIECE)
        return start, min(size, max(stop, start + least))

    def join(self, start: int, stop: int) -> memoryview:
        """Give bytes that are at hand; those of one piece are not copied."""
        parts: list[memoryview] = []
        while start < stop:
            piece = self._around(start)
            assert piece is not None, "asked for what is missing"
            if piece[0]:
                self._used.move_to_end(piece[0])
            data = self._pieces[piece[0]]
            parts.append(data[start - piece[0] : stop - piece[0]])
            start += len(parts[-1])
        return joined(parts)


def joined(parts: list[memoryview]) -> memoryview:
    """Put parts together; one alone is not copied."""
    full = [part for part in parts if part]
    return full[0] if len(full) == 1 else memoryview(b"".join(full))
