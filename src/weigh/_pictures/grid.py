"""The cells of a sheet, made fewer where there is not room for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weigh._pictures.colours import ABOVE, BELOW, GAP, MIDDLE, NAN, NEGINF, POSINF, STEPS
from weigh._pictures.sheet import Sheet
from weigh._record import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEPT = 24
"""A direction that has room keeps at least so many cells, though the other one is made smaller."""

_RANKED = (GAP, MIDDLE)
_MARKED = (BELOW, ABOVE, NEGINF, POSINF, NAN)


@record(frozen=True, eq=False)
class Grid:
    """The cells that are drawn.

    Attributes:
        codes: their codes, uint8 of shape (rows, columns).
        rgb: their colours, for a picture in three colours.
        tops: the first row of the sheet that each row shows.
        lefts: the first column of the sheet that each column shows.
        merged: how many rows and columns of the sheet a cell shows at most.
    """

    codes: NDArray[np.uint8]
    rgb: NDArray[np.uint8] | None
    tops: NDArray[np.int64]
    lefts: NDArray[np.int64]
    merged: tuple[int, int] = (1, 1)

    def note(self, what: str) -> str:
        """Say what each letter or pixel shows, if that is more than one cell."""
        rows, columns = self.merged
        if rows * columns == 1:
            return ""
        return (
            f"Each {what} shows up to {rows} x {columns} cells: a marked one if there is any, "
            "else the one furthest from 0."
        )


def fitted(sheet: Sheet, rows: int, columns: int) -> Grid:
    """Give the cells of a sheet, at most so many: the worst of those that must share a place.

    NaN comes before infinities, these before what is beyond the limits, and that before the
    number furthest from 0. Gaps between parts of the sheet stay where there is room for them.

    Examples:
        >>> import numpy as np
        >>> codes = np.array([[MIDDLE + 3, MIDDLE - 9, GAP, MIDDLE, NAN]], "uint8")
        >>> grid = fitted(Sheet(codes, limit=1.0), rows=1, columns=3)
        >>> [int(code) for code in grid.codes[0]] == [MIDDLE - 9, GAP, NAN]
        True
    """
    import numpy as np

    down, right = (sheet.codes != GAP).any(1), (sheet.codes != GAP).any(0)
    tall, wide = _factor(down, rows), _factor(right, columns)
    factors = max(tall, min(wide, len(down) // _KEPT)), max(wide, min(tall, len(right) // _KEPT))
    tops, lefts = _starts(down, rows, factors[0]), _starts(right, columns, factors[1])
    ranks, ranked = _ranks()
    codes = ranked[_largest(ranks[sheet.codes], tops, lefts)]
    rgb = None if sheet.rgb is None else _furthest(sheet.codes, sheet.rgb, tops, lefts)
    merged = _widest(tops, len(down)), _widest(lefts, len(right))
    return Grid(codes, rgb, np.asarray(tops), np.asarray(lefts), merged)


def _ranks() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give the rank of each code, and the code of each rank."""
    import numpy as np

    order = list(_RANKED)
    for step in range(1, STEPS + 1):
        order += [MIDDLE - step, MIDDLE + step]
    order += _MARKED
    ranked = np.zeros(256, np.uint8)
    ranked[: len(order)] = order
    ranks = np.zeros(256, np.uint8)
    ranks[order] = np.arange(len(order))
    return ranks, ranked


def _largest(values: NDArray[Any], tops: Sequence[int], lefts: Sequence[int]) -> NDArray[Any]:
    import numpy as np

    if not values.size:
        return values
    return np.maximum.reduceat(np.maximum.reduceat(values, tops, axis=0), lefts, axis=1)


def _furthest(
    codes: NDArray[np.uint8], rgb: NDArray[np.uint8], tops: Sequence[int], lefts: Sequence[int]
) -> NDArray[np.uint8]:
    """Give the colours that are furthest from grey."""
    import numpy as np

    wide = rgb.astype(np.int64)
    far = np.abs(2 * wide - 255).max(2)
    packed = (far << 24) + (wide[..., 0] << 16) + (wide[..., 1] << 8) + wide[..., 2]
    most = _largest(np.where(codes == MIDDLE, packed, 0), tops, lefts)
    return np.stack([most >> 16 & 255, most >> 8 & 255, most & 255], axis=2).astype(np.uint8)


def _runs(
    filled: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Give where runs of gaps and of others begin, how long they are, and which are no gaps."""
    import numpy as np

    starts = np.flatnonzero(np.diff(filled, prepend=~filled[:1]))
    return starts, np.diff(starts, append=len(filled)), filled[starts]


def _length(filled: NDArray[np.bool_], factor: int) -> int:
    """How many cells are left of a direction in which so many become one, gaps kept."""
    _, lengths, _ = _runs(filled)
    return int((-(-lengths // factor)).sum())


def _factor(filled: NDArray[np.bool_], room: int) -> int:
    """How many cells must become one."""
    if len(filled) <= room:
        return 1
    least = -(-len(filled) // room)
    # Gaps are worth cells twice as large, not more.
    for factor in range(least, 2 * least + 1):
        if _length(filled, factor) <= room:
            return factor
    return least


def _starts(filled: NDArray[np.bool_], room: int, factor: int) -> Sequence[int]:
    if factor == 1 or _length(filled, factor) > room:
        return list(range(0, len(filled), factor))
    starts, lengths, _ = _runs(filled)
    return [
        at
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        for at in range(start, start + length, factor)
    ]


def _widest(starts: Sequence[int], end: int) -> int:
    stops = [*starts[1:], end]
    return max((stop - start for start, stop in zip(starts, stops, strict=True)), default=1)
