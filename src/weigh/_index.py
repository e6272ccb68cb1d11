"""An index such as ``[0, :8]``: parsed from text, and made definite for a shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Self

from weigh._errors import IndexingError
from weigh._pattern import pattern
from weigh._record import record

Index = int | slice | EllipsisType | tuple[int | slice | EllipsisType, ...]

_PART = pattern(r"(?P<int>[+-]?\d+)|(?P<slice>(?:[+-]?\d+)?(?::(?:[+-]?\d+)?){1,2})|\.\.\.")


def parse_index(text: str) -> tuple[int | slice | EllipsisType, ...]:
    """Parse the inside of the brackets of an index: ``"0, :8"``.

    Raises:
        IndexingError: the text is not a list of integers, slices and ``...``.

    Examples:
        >>> parse_index("0, :8, ...")
        (0, slice(None, 8, None), Ellipsis)
    """
    parts: list[int | slice | EllipsisType] = []
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) > 1 and not pieces[-1]:
        pieces.pop()
    for piece in pieces:
        match = _PART.fullmatch(piece)
        if match is None or len(piece) > 64:
            raise IndexingError(
                "an index is made of integers, slices and '...'",
                seen=repr(piece[:64]),
                do="Write it like [0], [3, :8] or [..., -1].",
            )
        if match["int"]:
            parts.append(int(piece))
        elif match["slice"]:
            parts.append(slice(*(int(n) if n else None for n in piece.split(":"))))
        else:
            parts.append(...)
    return tuple(parts)


def place_of(at: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Say at which index a value is, by its number in row-major order.

    Examples:
        >>> place_of(7, (3, 4))
        (1, 3)
    """
    places: list[int] = []
    for size in reversed(sizes):
        at, place = divmod(at, size)
        places.append(place)
    return tuple(reversed(places))


def repeats_enormously(count: int, stored: int) -> bool:
    """Whether values are so many only because few stored ones are repeated.

    Args:
        count: how many there are: too many, if over 2^28 and over four times the stored ones.
        stored: how many are stored.
    """
    return count > 1 << 28 and count > 4 * stored


@record(frozen=True)
class Region:
    """A box of a tensor with a step along each axis: an index made definite for a shape.

    Attributes:
        starts: the first position taken along each axis of the tensor.
        counts: how many positions are taken along each axis.
        steps: the distance between them, at least 1.
        kept: whether the axis stays; an integer index takes one position and drops the axis.
    """

    starts: tuple[int, ...]
    counts: tuple[int, ...]
    steps: tuple[int, ...]
    kept: tuple[bool, ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Self:
        """Take everything of a tensor of this shape."""
        n = len(shape)
        return cls((0,) * n, tuple(shape), (1,) * n, (True,) * n)

    @classmethod
    def of(cls, index: Index, shape: tuple[int, ...]) -> Self:
        """Make an index definite for a tensor of this shape.

        Raises:
            IndexingError: too many indices, a position outside the axis, a step below 1.

        Examples:
            >>> Region.of((0, slice(None, 8)), (6, 20)).shape
            (8,)
        """
        return cls.whole(shape).then(index)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is taken."""
        return tuple(n for n, kept in zip(self.counts, self.kept, strict=True) if kept)

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """The same as a NumPy index on the whole tensor."""
        return tuple(
            slice(start, start + (count - 1) * step + 1 if count else start, step)
            if kept
            else start
            for start, count, step, kept in zip(
                self.starts, self.counts, self.steps, self.kept, strict=True
            )
        )

    def run_in(self, shape: tuple[int, ...]) -> int | None:
        """Say at which value of a tensor of this shape the region begins, if it has no gaps.

        Examples:
            >>> Region.of((1, slice(0, 2)), (3, 4)).run_in((3, 4))
            4
            >>> Region.of((slice(None), 0), (3, 4)).run_in((3, 4))
        """
        first, stride, whole = 0, 1, True
        parts = zip(self.starts, self.counts, self.steps, shape, strict=True)
        for start, count, step, size in reversed(list(parts)):
            if count != 1 and not (whole and step == 1):
                return None
            first += start * stride
            stride *= size
            whole = whole and count == size
        return first

    def then(self, index: Index) -> Self:
        """Take an index of what this region takes.

        Raises:
            IndexingError: the index does not fit ``self.shape``.
        """
        axes = [axis for axis, kept in enumerate(self.kept) if kept]
        parts = _expand(plain_index(index), self.shape)
        starts, counts = list(self.starts), list(self.counts)
        steps, kept_flags = list(self.steps), list(self.kept)
        for position, (axis, part) in enumerate(zip(axes, parts, strict=True)):
            size, step = self.counts[axis], self.steps[axis]
            if isinstance(part, int):
                if not -size <= part < size:
                    raise IndexingError(
                        f"index {part} is outside axis {position}, which has size {size}",
                        do=f"Use 0 to {size - 1}." if size else "",
                    )
                starts[axis] += (part % size) * step
                counts[axis], kept_flags[axis] = 1, False
            else:
                if part.step is not None and part.step < 1:
                    raise IndexingError(
                        "the step of a slice must be at least 1", seen=str(part.step)
                    )
                taken = range(*part.indices(size))
                starts[axis] += taken.start * step
                counts[axis], steps[axis] = len(taken), taken.step * step
        return type(self)(tuple(starts), tuple(counts), tuple(steps), tuple(kept_flags))


def whole(number: Any) -> int:
    """Take a whole number of any kind (NumPy's, a tensor of no axes) as a plain one.

    Raises:
        TypeError: it is none: a truth value, an array with axes, a fraction.

    Examples:
        >>> import numpy
        >>> whole(numpy.int64(3))
        3
    """
    if isinstance(number, bool) or getattr(number, "shape", ()) != ():
        raise TypeError(type(number).__name__)
    if str(getattr(number, "dtype", "")).endswith("bool"):
        raise TypeError("bool")
    return operator.index(number)


def plain_index(index: Index) -> tuple[int | slice | EllipsisType, ...]:
    """Write an index with plain Python numbers, one part for each axis it speaks of.

    Raises:
        IndexingError: a part is no integer, slice or ``...``.
    """
    return tuple(map(_plain, index if isinstance(index, tuple) else (index,)))


def _plain(part: object) -> int | slice | EllipsisType:
    if isinstance(part, EllipsisType):
        return part
    if isinstance(part, slice):
        return slice(*map(_bound, (part.start, part.stop, part.step)))
    try:
        return whole(part)
    except TypeError:
        raise IndexingError(
            "a tensor is indexed by integers, slices and '...'", seen=type(part).__name__
        ) from None


def _bound(number: object) -> int | None:
    if number is None:
        return None
    try:
        return whole(number)
    except TypeError:
        raise IndexingError("a slice is made of whole numbers", seen=f"{number!r:.40}") from None


def _expand(
    index: tuple[int | slice | EllipsisType, ...], shape: tuple[int, ...]
) -> list[int | slice]:
    """Fill an index up to one part for each axis of the shape."""
    given = sum(part is not ... for part in index)
    if given < len(index) - 1:
        raise IndexingError("'...' may stand once in an index")
    if given > len(shape):
        raise IndexingError(
            f"{given} indices for a tensor of {len(shape)} axes", seen=f"shape {list(shape)}"
        )
    missing = [slice(None)] * (len(shape) - given)
    if given == len(index):
        return [part for part in index if part is not ...] + missing
    at = next(i for i, part in enumerate(index) if part is ...)
    return [part for part in (*index[:at], *missing, *index[at + 1 :]) if part is not ...]
