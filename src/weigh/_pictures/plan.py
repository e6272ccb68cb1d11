"""Where each value of a tensor goes on a sheet.

Values are first brought together to cells, a run of positions along each axis; then the positions
of cells along each axis are shared out to rows and columns, as the parts of a number are to its
digits: filters, say, are so many a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weigh._pictures.sheet import Label
from weigh._record import record

if TYPE_CHECKING:
    import numpy as np

_MOST_LABELS = 64


@record(frozen=True)
class Part:
    """Some of the positions along an axis, which go down or to the right.

    Attributes:
        axis: the axis of the tensor.
        name: what it is called.
        size: how many there are, in cells.
        stride: how many cells along the axis one step is.
        gap: how many cells stay empty between two steps.
        labels: a name for each step, or none.
    """

    axis: int
    name: str
    size: int
    stride: int = 1
    gap: int = 0
    labels: tuple[str, ...] = ()


@record(frozen=True)
class Plan:
    """A tensor's way onto a sheet.

    Attributes:
        shape: the tensor's.
        starts: for each axis, the positions at which a new cell begins.
        rows: what goes down, the outer first.
        columns: what goes to the right, the outer first.
        colour: the axis of red, green and blue, if there is one.
    """

    shape: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    rows: tuple[Part, ...]
    columns: tuple[Part, ...]
    colour: int | None = None

    @property
    def cells(self) -> tuple[int, ...]:
        """How many cells there are along each axis of the tensor."""
        return tuple(len(starts) for starts in self.starts)

    @property
    def height(self) -> int:
        """How many rows the sheet has."""
        return extent(self.rows)

    @property
    def width(self) -> int:
        """How many columns the sheet has."""
        return extent(self.columns)

    @property
    def per_cell(self) -> int:
        """How many values a cell holds at most."""
        most = 1
        for size, starts in zip(self.shape, self.starts, strict=True):
            ends = (*starts[1:], size)
            most *= max((stop - at for at, stop in zip(starts, ends, strict=True)), default=1)
        return most

    def places(self) -> np.ndarray[Any, Any]:
        """Say where each cell goes: numbers of places on the sheet, row by row.

        Returns:
            int64 of the shape ``cells``, without the axis of colours.
        """
        import numpy as np

        kept = [axis for axis in range(len(self.shape)) if axis != self.colour]
        total = np.zeros((1,) * len(kept), np.int64)
        for at, axis in enumerate(kept):
            left = np.arange(len(self.starts[axis]), dtype=np.int64)
            offset = np.zeros(len(left), np.int64)
            for part, step in self._digits(axis):
                offset += left // part.stride * step
                left %= part.stride
            shape = [1] * len(kept)
            shape[at] = len(left)
            total = total + offset.reshape(shape)
        return total

    def _digits(self, axis: int) -> list[tuple[Part, int]]:
        """Give the parts of an axis, the outer first, and how far apart their steps are."""
        found = [
            (part, pitch * step)
            for parts, step in ((self.rows, self.width), (self.columns, 1))
            for part, pitch in zip(parts, pitches(parts), strict=True)
            if part.axis == axis and part.size > 1
        ]
        return sorted(found, key=lambda one: -one[0].stride)

    def index_of(self, row: int, column: int) -> tuple[range, ...] | None:
        """Say which positions along each axis a cell of the sheet shows; None for a gap.

        Examples:
            >>> parts = (Part(0, "a", 2),), (Part(1, "b", 3),)
            >>> Plan((2, 6), ((0, 1), (0, 2, 4)), *parts).index_of(1, 2)
            (range(1, 2), range(4, 6))
        """
        steps: list[list[tuple[int, int]]] = [[] for _ in self.shape]
        for parts, place in ((self.rows, row), (self.columns, column)):
            for part, pitch in zip(parts, pitches(parts), strict=True):
                step, place = divmod(place, pitch)
                if not 0 <= step < part.size:
                    return None
                if part.size > 1:
                    steps[part.axis].append((part.stride, step * part.stride))
            if place:
                return None
        at = []
        for own in steps:
            cell = 0
            for stride, offset in sorted(own):
                if cell >= stride:  # past the end of a block whose last line is not full
                    return None
                cell += offset
            at.append(cell)
        found = []
        for axis, (cell, starts) in enumerate(zip(at, self.starts, strict=True)):
            if axis == self.colour:
                found.append(range(self.shape[axis]))
            elif cell >= len(starts):
                return None
            else:
                ends = (*starts, self.shape[axis])
                found.append(range(ends[cell], ends[cell + 1]))
        return tuple(found)

    def labels(self) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
        """Name the bands of rows and of columns that have a name."""
        return _labels(self.rows), _labels(self.columns)


def pitches(parts: Sequence[Part]) -> list[int]:
    """Give how far apart the steps of each part are on the sheet."""
    found: list[int] = []
    inner = 1
    for part in reversed(parts):
        pitch = inner + part.gap
        found.append(pitch)
        inner = part.size * pitch - part.gap
    return found[::-1]


def extent(parts: Sequence[Part]) -> int:
    """Give how many rows, or columns, some parts take."""
    if not parts:
        return 1
    return parts[0].size * pitches(parts)[0] - parts[0].gap


def _labels(parts: Sequence[Part]) -> tuple[Label, ...]:
    """Name the steps of the outermost part that has names."""
    steps = pitches(parts)
    for at, part in enumerate(parts):
        outside = 1
        for other in parts[:at]:
            outside *= other.size
        if not part.labels or outside > 1:
            continue
        inner = steps[at] - part.gap
        step = -(-part.size // _MOST_LABELS)
        return tuple(
            Label(k * steps[at], k * steps[at] + inner, part.labels[k])
            for k in range(0, part.size, step)
        )
    return ()


def starts_of(size: int, most: int, blocks: int = 1) -> tuple[int, ...]:
    """Cut the positions along an axis into at most about so many cells, all of one size.

    Args:
        size: how many positions there are.
        most: how many cells there may be.
        blocks: how many equal blocks there are, whose ends are ends of cells.

    Examples:
        >>> starts_of(10, 4), starts_of(6, 4, blocks=2), starts_of(3, 9)
        ((0, 3, 6, 9), (0, 2, 3, 5), (0, 1, 2))
    """
    each = size // blocks
    step = max(1, -(-size // max(1, most)))
    return tuple(b * each + at for b in range(blocks) for at in range(0, each, step))
