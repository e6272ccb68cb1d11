"""Values of an HDF5 dataset that do not lie in one piece: in chunks, or in its header."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError, UnsupportedError, ValuesError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_open import opened
from weigh._sources.stored import count_of, refuse_expansion, too_large

if TYPE_CHECKING:
    import numpy as np

_MOST_CHUNK = 1 << 27
_MOST_CHUNKS = 1 << 20
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset's header says of where its values are.

    Attributes:
        path: its path in the file.
        address: the place of its header, which tells it from every other.
        stored: the bytes that its values take in the file.
        chunk_bytes: the bytes of one chunk when unpacked; 0 where there are none.
        packed: whether its chunks are deflated.
    """

    path: str
    address: int
    stored: int
    chunk_bytes: int = 0
    packed: bool = False


@dataclass(frozen=True, slots=True)
class ChunkedValues:
    """Values that libhdf5 reads, a region at a time.

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
            FormatError: libhdf5 cannot read it, or a chunk unpacks to more than it should.
        """
        import numpy as np

        from weigh._decode import decoded_dtype

        if self.dtype.name == "bfloat16":
            raise UnsupportedError("bfloat16 in chunks is not read")
        refuse_expansion(region, self.dataset.stored * 8 // self.dtype.bits)
        if 0 in region.counts:
            return np.empty(region.shape, decoded_dtype(self.dtype))
        chunk = self.dataset.chunk_bytes
        if chunk > _MOST_CHUNK and chunk > 4 * self.dataset.stored:
            raise ValuesError("one chunk of it is unpacked to more than fits", seen=f"{chunk:,}")
        picked = tuple(
            slice(start, start + (count - 1) * step + 1, step)
            for start, count, step in zip(region.starts, region.counts, region.steps, strict=True)
        )
        try:
            with opened(self.source, most=max(_MOST_CHUNK, self.dataset.stored)) as (file, _):
                found = file[self.dataset.path]
                if found.shape != self.shape:
                    raise FormatError("the file became another one since it was opened")
                if self.dataset.packed:
                    self._check_chunks(found, region)
                values = np.asarray(found[picked])
            return values.astype(decoded_dtype(self.dtype)).reshape(region.shape)
        except MemoryError:
            raise too_large() from None

    def _check_chunks(self, found: Any, region: Region) -> None:
        """Hold that no chunk unpacks to more than its size: libhdf5 itself sets no bound."""
        spans = [
            range(start // size, (start + (count - 1) * step) // size + 1)
            for start, count, step, size in zip(
                region.starts, region.counts, region.steps, found.chunks, strict=True
            )
        ]
        if count_of(tuple(len(span) for span in spans)) > _MOST_CHUNKS:
            raise ValuesError("it has too many chunks to read at once", do="Take a smaller region.")
        for place in itertools.product(*spans):
            corner = tuple(at * size for at, size in zip(place, found.chunks, strict=True))
            info = found.id.get_chunk_info_by_coord(corner)
            if info.byte_offset is not None and info.size:
                self._check_chunk(info.byte_offset, info.size)

    def _check_chunk(self, offset: int, size: int) -> None:
        raw, machine, made = self.source.view(offset, size), zlib.decompressobj(), 0
        for at in range(0, size, _PIECE):
            piece: bytes | memoryview = raw[at : at + _PIECE]
            while piece and not machine.eof:
                try:
                    made += len(machine.decompress(piece, _PIECE))
                except zlib.error:
                    raise FormatError("a chunk of the dataset is damaged") from None
                piece = machine.unconsumed_tail
                if made > self.dataset.chunk_bytes:
                    raise FormatError("a chunk of the dataset unpacks to more than it should")
