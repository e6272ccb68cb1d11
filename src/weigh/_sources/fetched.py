"""What was fetched of a far file a moment ago, and which bytes are still missing."""

from __future__ import annotations

from collections import OrderedDict

_PIECE, _TOTAL = 1 << 20, 1 << 23
_LEAST = 1 << 12


class Fetched:
    """The pieces of a file that are at hand: the first for good, of the others the latest 8 MiB.

    Pieces over 1 MiB are not kept: values are read once, and are what is large.

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
        self._first = first
        self._pieces: OrderedDict[int, memoryview] = OrderedDict()

    def copy(self) -> Fetched:
        """Hold the same pieces, whatever becomes of this one."""
        other = Fetched(self._first)
        other._pieces = self._pieces.copy()
        return other

    def add(self, start: int, data: memoryview) -> None:
        """Keep a piece, at the cost of the one that was used least lately."""
        self._pieces[start] = data
        self._pieces.move_to_end(start)

    def trim(self) -> None:
        """Let go of what is too much to keep."""
        for start in [start for start, data in self._pieces.items() if len(data) > _PIECE]:
            del self._pieces[start]
        while sum(map(len, self._pieces.values())) > _TOTAL:
            self._pieces.popitem(last=False)

    def _all(self) -> list[tuple[int, memoryview]]:
        return [(0, self._first), *self._pieces.items()]

    def missing(self, start: int, stop: int, size: int) -> tuple[int, int] | None:
        """Give the one range to fetch, so that ``start`` to ``stop`` is at hand; None if it is.

        Little is asked for beyond it: at least 4 KiB are, and a reader that goes on where it
        stopped before, in small steps, gets twice as much each time, up to 1 MiB.

        Args:
            start: the first byte that is needed.
            stop: where to stop.
            size: the size of the file.
        """
        need_start, need_stop = self._forward(start, stop), self._backward(start, stop)
        if need_start >= need_stop:
            return None
        need = need_stop - need_start
        before = next((len(d) for at, d in self._all() if d and at + len(d) == need_start), 0)
        least = min(2 * before, _PIECE) if need < before and start > 0 else _LEAST
        if any(at == need_stop for at, _ in self._pieces.items()):
            need_start = max(0, min(need_start, need_stop - _LEAST))
        else:
            need_stop = min(size, max(need_stop, need_start + least))
        return need_start, need_stop

    def _forward(self, start: int, stop: int) -> int:
        """Go from ``start`` on as far as pieces reach."""
        moved = True
        while moved and start < stop:
            moved = False
            for at, data in self._all():
                if at <= start < at + len(data):
                    start, moved = at + len(data), True
        return min(start, stop)

    def _backward(self, start: int, stop: int) -> int:
        """Go back from ``stop`` as far as pieces reach."""
        moved = True
        while moved and stop > start:
            moved = False
            for at, data in self._all():
                if at < stop <= at + len(data):
                    stop, moved = at, True
        return max(start, stop)

    def join(self, start: int, stop: int) -> memoryview:
        """Give bytes that are at hand; those of one piece are not copied."""
        parts: list[memoryview] = []
        while start < stop:
            # Of the pieces that hold the byte, the one that reaches furthest.
            at, data = max(
                ((at, data) for at, data in self._all() if at <= start < at + len(data)),
                key=lambda piece: piece[0] + len(piece[1]),
            )
            if start in self._pieces:
                self._pieces.move_to_end(start)
            parts.append(data[start - at : stop - at])
            start += len(parts[-1])
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts)).toreadonly()
