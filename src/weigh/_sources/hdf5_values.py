"""Values of an HDF5 dataset that do not lie in one piece: in chunks, or written nowhere.

libhdf5 only says where chunks are. They are unpacked here, for its own filters trust what a file
says of them: a spoiled one has crashed it, and a deflated one may grow without end.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError, ValuesError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_header import fill_bytes
from weigh._sources.hdf5_open import opened
from weigh._sources.stored import count_of, refuse_expansion, too_large

if TYPE_CHECKING:
    import numpy as np

GZIP, SHUFFLE, FLETCHER = 1, 2, 3
_MOST_AT_ONCE = 1 << 24
_MOST_CHUNK = 1 << 27
_MOST_CHUNKS = 1 << 18


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset's header says of where its values are.

    Attributes:
        path: its path in the file.
        address: the place of its header, which tells it from every other.
        stored: the bytes that its values take in the file.
        big_endian: whether each value's most significant byte comes first.
        chunk: the shape of one chunk; None where nothing was written.
        filters: the numbers of the filters that each chunk went through, in their order.
    """

    path: str
    address: int
    stored: int
    big_endian: bool = False
    chunk: tuple[int, ...] | None = None
    filters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One chunk: its first corner, where its bytes are, and which filters it was spared."""

    corner: tuple[int, ...]
    offset: int
    size: int
    mask: int


@dataclass(frozen=True, slots=True)
class ChunkedValues:
    """Values in chunks, of which a region is read at a time; what was not written is filled.

    Attributes:
        source: the file.
        dataset: what its header says of the dataset.
        dtype: the type of one value.
        shape: the size of each axis.
    """

    source: ByteSource
    dataset: Dataset
    dtype: DType
    shape: tuple[int, ...]

    @property
    def extent(self) -> Extent:
        """Where the values lie: in pieces, which are told as one."""
        stored = self.dataset.stored
        storage = (self.source.identity, "chunks", self.dataset.address)
        return Extent(storage, 0, stored, count_of(self.shape), stored)

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array; see ``Values.read``.

        Raises:
            ValuesError: it is huge only because little is stored, or does not fit in memory.
            FormatError: libhdf5 cannot find the values, or a chunk is damaged.
        """
        import numpy as np

        from weigh._decode import decoded_dtype

        refuse_expansion(region, self.dataset.stored * 8 // self.dtype.bits)
        if 0 in region.counts:
            return np.empty(region.shape, decoded_dtype(self.dtype))
        try:
            return self._read(region)
        except MemoryError:
            raise too_large() from None
        except ValueError as error:  # more axes than NumPy has
            raise ValuesError("the values cannot be shown as an array", seen=str(error)) from None

    def _read(self, region: Region) -> np.ndarray[Any, Any]:
        import numpy as np

        from weigh._decode import decode, decoded_dtype

        kind, chunk = decoded_dtype(self.dtype), self.dataset.chunk
        values = np.full(region.counts, self._fill(), kind)
        count = count_of(chunk or ())
        size = self.dtype.size_of(count)
        if size > max(_MOST_CHUNK, 4 * self.dataset.stored):
            raise ValuesError("one chunk of it unpacks to more than fits", seen=f"{size:,} bytes")
        for one in self._look(region) if chunk is not None else ():
            raw = self._unpacked(one, size)
            made = decode(raw, self.dtype, count, big_endian=self.dataset.big_endian)
            target, origin = _overlap(region, one.corner, chunk or ())
            values[target] = made.reshape(chunk or ())[origin]
        return values.reshape(region.shape)

    def _fill(self) -> Any:
        """Give what stands where nothing was written."""
        from weigh._decode import decode

        try:
            raw = fill_bytes(self.source, self.dataset.address)
        except struct.error:
            raise FormatError("the header of the dataset ends early") from None
        if len(raw) != self.dtype.bits // 8:
            return 0
        return decode(raw, self.dtype, 1, big_endian=self.dataset.big_endian)[0]

    def _look(self, region: Region) -> list[_Chunk]:
        """Ask libhdf5 where a region's chunks are."""
        with opened(self.source, _MOST_AT_ONCE) as file:
            found = file[self.dataset.path]
            if found.shape != self.shape or found.chunks != self.dataset.chunk:
                raise FormatError("the file became another one since it was opened")
            return list(self._chunks(found, region, found.chunks))

    def _chunks(self, found: Any, region: Region, chunk: tuple[int, ...]) -> Iterator[_Chunk]:
        spans = [
            range(start // size, (start + (count - 1) * step) // size + 1)
            for (start, count, step), size in zip(_rows(region), chunk, strict=True)
        ]
        if count_of(tuple(len(span) for span in spans)) > _MOST_CHUNKS:
            raise ValuesError("it has too many chunks to read at once", do="Take a smaller region.")
        for place in itertools.product(*spans):
            corner = tuple(at * size for at, size in zip(place, chunk, strict=True))
            info = found.id.get_chunk_info_by_coord(corner)
            if info.byte_offset is not None and info.size:
                yield _Chunk(corner, info.byte_offset, info.size, info.filter_mask)

    def _unpacked(self, chunk: _Chunk, size: int) -> bytes:
        """Undo what filters did to a chunk, the last first; it must come to its size."""
        raw = bytes(self.source.view(chunk.offset, chunk.size))
        for number, one in reversed(list(enumerate(self.dataset.filters))):
            if chunk.mask >> number & 1:
                continue
            if one == FLETCHER:
                raw = raw[:-4]  # a checksum
            elif one == GZIP:
                raw = _inflated(raw, size)
            elif one == SHUFFLE:
                raw = _unshuffled(raw, self.dtype.bits // 8)
        if len(raw) != size:
            raise FormatError(
                "a chunk of the dataset is not of its size", seen=f"{len(raw):,} against {size:,}"
            )
        return raw


def _inflated(raw: bytes, size: int) -> bytes:
    # A checksum may have been taken before: then a few bytes more are right.
    most = size + 4
    try:
        made = zlib.decompressobj().decompress(raw, most + 1)
    except zlib.error:
        raise FormatError("a chunk of the dataset is damaged") from None
    if len(made) > most:
        raise FormatError("a chunk of the dataset unpacks to more than it should")
    return made


def _unshuffled(raw: bytes, width: int) -> bytes:
    """Put the bytes of each value together again; those that make no whole value stay behind."""
    import numpy as np

    whole = len(raw) // width * width
    planes = np.frombuffer(raw, np.uint8, whole).reshape(width, -1)
    return planes.T.tobytes() + raw[whole:]


def _rows(region: Region) -> list[tuple[int, int, int]]:
    return list(zip(region.starts, region.counts, region.steps, strict=True))


def _overlap(
    region: Region, corner: tuple[int, ...], chunk: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Give which places of a region lie in a chunk, and where in the chunk they are."""
    target, origin = [], []
    for (start, count, step), first, size in zip(_rows(region), corner, chunk, strict=True):
        low = max(0, -((start - first) // step))
        high = min(count, -((start - first - size) // step))
        target.append(slice(low, high))
        begin = start + low * step - first
        origin.append(slice(begin, begin + max(high - low - 1, 0) * step + 1, step))
        if high <= low:
            target[-1], origin[-1] = slice(0, 0), slice(0, 0)
    return tuple(target), tuple(origin)
