"""Values quantized in blocks, as GGUF stores them: dequantized as far as they are asked for."""

from __future__ import annotations

from collections.abc import Hashable
from math import prod
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import UnsupportedError, ValuesError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.bytes import ByteSource
from weigh._sources.stored import too_large, whole_extent

if TYPE_CHECKING:
    import numpy as np


class BlockValues:
    """A tensor whose rows are blocks of quantized values.

    Args:
        source: where the bytes are.
        offset: the byte of the source at which the tensor begins.
        dtype: the type, which says how many values a block has and how many bytes.
        shape: the size of each axis; the last is a whole number of blocks.
        storage: what tells this tensor's bytes from every other's.
    """

    __slots__ = ("_offset", "_source", "_storage", "dtype", "shape")

    def __init__(
        self,
        source: ByteSource,
        offset: int,
        dtype: DType,
        shape: tuple[int, ...],
        storage: Hashable,
    ) -> None:
        self.dtype, self.shape = dtype, shape
        self._source, self._offset, self._storage = source, offset, storage

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {list(self.shape)}, at {self._offset})"

    @property
    def extent(self) -> Extent:
        """Where the blocks lie."""
        return whole_extent(self._storage, self.dtype, self.shape)

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of whole blocks; see ``LyingValues.raw``."""
        begin, end = self.dtype.size_of(start), self.dtype.size_of(stop)
        return self._source.view(self._offset + begin, end - begin)

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region, dequantized to float32 by the ``gguf`` package's own routines.

        Only the blocks that the region touches are dequantized.

        Raises:
            UnsupportedError: the package is not installed, or does not know the type.
            ValuesError: the region does not fit in memory.
        """
        import numpy as np  # loaded only when values are read

        try:
            return np.zeros(region.shape, np.float32) if 0 in region.counts else self._read(region)
        except MemoryError:
            raise too_large() from None
        except ValueError as error:  # an axis longer than NumPy's may be, of an empty tensor
            raise ValuesError("the values cannot be shown as an array", seen=str(error)) from None

    def _read(self, region: Region) -> np.ndarray[Any, Any]:
        import numpy as np

        block, width = self.dtype.block, self.dtype.block_bytes
        first, count, step = region.starts[-1], region.counts[-1], region.steps[-1]
        low, high = first // block, (first + (count - 1) * step) // block + 1
        rows = _rows(region)
        row_bytes = self.shape[-1] // block * width
        if len(self.shape) == 1:
            raw = self._source.view(self._offset + low * width, (high - low) * width)
            chosen = np.frombuffer(raw, np.uint8)
        else:
            begin, stop = rows[0].start, rows[0].stop
            outer = prod(self.shape[1:-1]) * row_bytes
            raw = self._source.view(self._offset + begin * outer, (stop - begin) * outer)
            whole = np.frombuffer(raw, np.uint8).reshape(-1, *self.shape[1:-1], row_bytes)
            index = (slice(None, None, rows[0].step), *rows[1:], slice(low * width, high * width))
            chosen = whole[index]
        values = _dequantized(np.ascontiguousarray(chosen), self.dtype)
        at = first - low * block
        kept = values[..., at : at + (count - 1) * step + 1 : step]
        return np.array(kept, np.float32, order="C").reshape(region.shape)


def _rows(region: Region) -> list[slice]:
    """Give the slices of all axes but the last, each as far as it goes."""
    parts = zip(region.starts, region.counts, region.steps, strict=True)
    return [slice(at, at + (n - 1) * step + 1, step) for at, n, step in list(parts)[:-1]]


def _dequantized(blocks: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    import numpy as np

    try:
        from gguf import GGMLQuantizationType, quants
    except ImportError:
        raise UnsupportedError(
            f"the values are quantized ({dtype}), and dequantizing them needs the gguf package",
            do="Run: pip install 'weigh[gguf]'.",
        ) from None
    try:
        with np.errstate(all="ignore"):  # a scale may be infinite or no number
            values: np.ndarray[Any, Any] = quants.dequantize(
                blocks, GGMLQuantizationType[dtype.name.upper()]
            )
    except (KeyError, NotImplementedError):
        raise ValuesError(f"the gguf package cannot dequantize {dtype}") from None
    return values
