"""A tensor that lies in pieces, put together as far as it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError, UnsupportedError, ValuesError
from weigh._facts import Extent, Values
from weigh._index import Region
from weigh._sources.stored import too_large, whole_extent

if TYPE_CHECKING:
    import numpy as np

_MAX_PIECES, _CELLS, _FREE_CELLS = 4096, 16, 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """One box of a tensor.

    Attributes:
        offsets: where it begins along each axis.
        sizes: how far it goes.
        values: opens the piece; called when some of it is read.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    values: Callable[[], Values]


class PieceValues:
    """The values of a tensor of several pieces.

    Args:
        dtype: the type of one value.
        shape: the size of each axis.
        pieces: boxes that fill the tensor, no two of which overlap.
        storage: what tells this tensor's bytes from every other's.

    Raises:
        FormatError: the pieces overlap, leave a hole or reach outside.
        UnsupportedError: there are more than 4096 of them, or their edges make far more cells
            than there are pieces.
    """

    __slots__ = ("_pieces", "_storage", "dtype", "shape")

    def __init__(
        self,
        dtype: DType,
        shape: tuple[int, ...],
        pieces: Sequence[Piece],
        storage: Hashable,
    ) -> None:
        self.dtype, self.shape = dtype, shape
        self._pieces, self._storage = tuple(pieces), storage
        _check(shape, pieces)

    @property
    def extent(self) -> Extent:
        """The bytes of all pieces, as if they lay together."""
        return whole_extent(self._storage, self.dtype, self.shape)

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region; only the pieces that it touches are opened.

        Raises:
            ValuesError: a piece is not what it should be, or the region does not fit in memory.
        """
        import numpy as np  # loaded only when values are read

        from weigh._decode import decoded_dtype

        try:
            made = np.empty(region.counts, decoded_dtype(self.dtype))
        except (MemoryError, ValueError):
            raise too_large() from None
        for piece in self._pieces:
            meeting = _meeting(piece, region)
            if meeting is None:
                continue
            place, part = meeting
            values = piece.values()
            if (values.shape, values.dtype) != (piece.sizes, self.dtype):
                raise ValuesError(
                    "a piece of the tensor is not what the checkpoint says it is",
                    seen=f"{values.dtype} of shape {values.shape}",
                )
            made[place] = values.read(part).reshape(part.counts)
        return made.reshape(region.shape)


def _check(shape: tuple[int, ...], pieces: Sequence[Piece]) -> None:
    if len(pieces) > _MAX_PIECES:
        raise UnsupportedError(f"a tensor lies in more than {_MAX_PIECES:,} pieces")
    for piece in pieces:
        if not len(piece.offsets) == len(piece.sizes) == len(shape):
            raise FormatError("a piece of a tensor has not as many axes as the tensor")
        ends = zip(piece.offsets, piece.sizes, shape, strict=True)
        if any(at < 0 or size < 0 or at + size > whole for at, size, whole in ends):
            raise FormatError("a piece of a tensor reaches outside of it")
    filled = sum(prod(piece.sizes) for piece in pieces)
    if filled != prod(shape):
        raise FormatError(
            "the pieces of a tensor do not fill it",
            seen=f"{filled:,} values where {prod(shape):,} are needed",
        )
    _check_apart(shape, [piece for piece in pieces if 0 not in piece.sizes])


def _check_apart(shape: tuple[int, ...], pieces: Sequence[Piece]) -> None:
    """Hold that no two pieces overlap.

    All their edges cut the tensor into cells, of which no piece may have another's: for the
    shards of a mesh about as many as there are pieces, where pairs would be their square.
    """
    cells_of: list[dict[int, int]] = []
    for axis in range(len(shape)):
        edges = {at for p in pieces for at in (p.offsets[axis], p.offsets[axis] + p.sizes[axis])}
        cells_of.append({at: cell for cell, at in enumerate(sorted(edges))})
    if prod(max(1, len(cells) - 1) for cells in cells_of) > _FREE_CELLS + _CELLS * len(pieces):
        raise UnsupportedError("the pieces of a tensor lie in too irregular a pattern")
    taken: set[tuple[int, ...]] = set()
    for piece in pieces:
        edges_of = zip(cells_of, piece.offsets, piece.sizes, strict=True)
        spans = [range(cells[at], cells[at + size]) for cells, at, size in edges_of]
        for cell in product(*spans):
            if cell in taken:
                raise FormatError("two pieces of a tensor overlap")
            taken.add(cell)


def _meeting(piece: Piece, region: Region) -> tuple[tuple[slice, ...], Region] | None:
    """Give where a piece's part of a region goes in it, and what part of the piece it is."""
    places, starts, counts = [], [], []
    axes = zip(piece.offsets, piece.sizes, region.starts, region.counts, region.steps, strict=True)
    for offset, size, start, count, step in axes:
        first = max(0, -(-(offset - start) // step))
        stop = min(count, -(-(offset + size - start) // step))
        if first >= stop:
            return None
        places.append(slice(first, stop))
        starts.append(start + first * step - offset)
        counts.append(stop - first)
    kept = (True,) * len(places)
    return tuple(places), Region(tuple(starts), tuple(counts), region.steps, kept)
