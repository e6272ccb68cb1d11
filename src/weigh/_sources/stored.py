"""The values of a tensor that lies, uncompressed, in a source of bytes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError, ValuesError
from weigh._facts import Extent
from weigh._index import Region, repeats_enormously
from weigh._record import record
from weigh._sources.bytes import ByteSource

if TYPE_CHECKING:
    import numpy as np

_MOST = 2**63 - 1


@record(frozen=True)
class Affine:
    """How stored integers map to real values: ``(stored - zero_point) * scale``.

    Attributes:
        scales: one scale, or one for each position along ``axis``.
        zero_points: as many zero points.
        axis: the axis the scales run along; None when there is one scale for all.
    """

    scales: tuple[float, ...]
    zero_points: tuple[float, ...]
    axis: int | None = None


class StoredValues:
    """Values that lie in a source, read on demand.

    Args:
        source: where the bytes are.
        offset: the byte of the source at which the storage begins.
        dtype: the type of one value.
        shape: the size of each axis.
        strides: the distance in values between neighbours along each axis, not negative;
            contiguous if left out.
        big_endian: whether each value's most significant byte comes first.
        storage: what tells the storage from every other; the source and offset if left out.
        storage_offset: the value of the storage at which the tensor begins.
        storage_bytes: the size of the storage; just what the tensor takes if left out.
        affine: how the integers of a quantized dtype map to real values. Without it a
            quantized dtype is read as the integers that are stored.

    Raises:
        FormatError: the tensor does not fit its storage, or the storage the source.
    """

    __slots__ = (
        "_affine", "_big_endian", "_offset", "_source", "_span", "_storage",
        "_storage_bytes", "_storage_offset", "_strides", "dtype", "shape",
    )  # fmt: skip

    def __init__(
        self,
        source: ByteSource,
        offset: int,
        dtype: DType,
        shape: tuple[int, ...],
        *,
        strides: tuple[int, ...] | None = None,
        big_endian: bool = False,
        storage: Hashable = None,
        storage_offset: int = 0,
        storage_bytes: int | None = None,
        affine: Affine | None = None,
    ) -> None:
        self.dtype, self.shape = dtype, shape
        self._source, self._offset, self._big_endian = source, offset, big_endian
        self._strides, self._storage_offset, self._affine = strides, storage_offset, affine
        self._storage = (source.identity, offset) if storage is None else storage
        count = count_of(shape)
        self._span = count if strides is None else span_of(shape, strides)
        needed = dtype.size_of(storage_offset + self._span) if self._span else 0
        self._storage_bytes = needed if storage_bytes is None else storage_bytes
        self._check(needed)

    def _check(self, needed: int) -> None:
        if min(self._offset, self._storage_offset, self._storage_bytes) < 0:
            raise FormatError("a tensor's place in the file is negative")
        if needed > self._storage_bytes:
            raise FormatError(
                "a tensor reaches past the end of its storage",
                seen=f"{self._storage_bytes:,} bytes where {needed:,} are needed",
            )
        if self._offset + self._storage_bytes > self._source.size:
            raise FormatError(
                "a tensor's storage reaches past the end of the file",
                seen=f"{self._source.size:,} bytes where "
                f"{self._offset + self._storage_bytes:,} are needed",
                do="It may be cut short: fetch it again.",
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {list(self.shape)}, at {self._offset})"

    @property
    def strides(self) -> tuple[int, ...]:
        """The distance between neighbours along each axis, in values."""
        return contiguous_strides(self.shape) if self._strides is None else self._strides

    @property
    def run(self) -> tuple[ByteSource, int, int] | None:
        """The source, the first byte and the number of bytes, of values that lie end to end.

        None where there are gaps between them, where they are not of whole bytes, or where more
        must be known to read them.
        """
        bits = self.dtype.bits
        if self._big_endian or self._affine is not None or bits % 8 or self._has_gaps():
            return None
        size = bits // 8
        first = self._offset + self._storage_offset * size
        return self._source, first, count_of(self.shape) * size

    def _has_gaps(self) -> bool:
        """Whether the values do not lie end to end, in their order."""
        strides = self._strides
        gaps = strides is not None and strides != contiguous_strides(self.shape)
        return gaps and count_of(self.shape) > 0

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of values; see ``LyingValues.raw``."""
        bits, first = self.dtype.bits, self._storage_offset * self.dtype.bits
        if (self._big_endian and bits > 8) or first % 8 or self._has_gaps():
            return None
        begin = (first + start * bits) // 8
        return self._source.view(self._offset + begin, self.dtype.size_of(stop - start))

    @property
    def extent(self) -> Extent:
        """Where the values lie, in bytes from the storage's first."""
        bits, total, strides = self.dtype.bits, self._storage_bytes, self._strides
        if not self._span:
            start = min(self._storage_offset * bits // 8, total)
            return Extent(self._storage, start, start, 0, total)
        distinct = self._span if strides is None else distinct_of(self.shape, strides)
        return Extent(
            self._storage,
            self._storage_offset * bits // 8,
            self.dtype.size_of(self._storage_offset + self._span),
            distinct,
            total,
            _gaps(self.shape, strides) if strides is not None and distinct < self._span else (),
        )

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array of ``region.shape``; see ``Values.read``.

        One contiguous range is asked of the source: from the first to the last byte that
        the region touches.

        Raises:
            ValuesError: the region repeats few stored values enormously often, or does not
                fit in memory.
            FormatError: the file became shorter.
        """
        # NumPy is loaded here, not with the module: listing a file does not need it.
        from weigh._decode import take

        refuse_expansion(region, self._storage_bytes * 8 // self.dtype.bits)
        try:
            raw, steps, bit_offset = self._range(region)
            kept = tuple(step for step, keep in zip(steps, region.kept, strict=True) if keep)
            values = take(
                raw,
                self.dtype,
                region.shape,
                kept,
                big_endian=self._big_endian,
                bit_offset=bit_offset,
            )
            return values if self._affine is None else _dequantized(values, self._affine, region)
        except MemoryError:
            raise too_large() from None
        except ValueError as error:  # more axes than NumPy has
            raise ValuesError("the values cannot be shown as an array", seen=str(error)) from None

    def _range(self, region: Region) -> tuple[memoryview, tuple[int, ...], int]:
        """Find the bytes a region touches, its strides in them, and the bits to skip first."""
        strides = self.strides
        steps = tuple(step * stride for step, stride in zip(region.steps, strides, strict=True))
        if 0 in region.counts:
            return memoryview(b""), steps, 0
        starts = zip(region.starts, strides, strict=True)
        first = self._storage_offset + sum(start * stride for start, stride in starts)
        last = first + span_of(region.counts, steps)
        begin, bit_offset = divmod(first * self.dtype.bits, 8)
        raw = self._source.view(self._offset + begin, self.dtype.size_of(last) - begin)
        return raw, steps, bit_offset


def _gaps(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(shape, strides, strict=True))


def count_of(shape: tuple[int, ...]) -> int:
    """Count a shape's values, in checked 64-bit arithmetic.

    Raises:
        FormatError: a size is negative, or there are more than 2^63 - 1 values.

    Examples:
        >>> count_of((6, 1, 5, 5))
        150
    """
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        if size < 0:
            raise FormatError("a tensor's size along an axis is negative", seen=str(size))
        count *= size
        if count > _MOST:
            raise FormatError("a tensor claims more values than 64 bits can count")
    return count


def whole_extent(storage: Hashable, dtype: DType, shape: tuple[int, ...]) -> Extent:
    """Give the extent of values that are all that their storage holds, each once."""
    count = count_of(shape)
    size = dtype.size_of(count)
    return Extent(storage, 0, size, count, size)


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the strides, in values, of a tensor stored without gaps, last axis fastest.

    Examples:
        >>> contiguous_strides((6, 1, 5, 5))
        (25, 25, 5, 1)
    """
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def span_of(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Count the stored values from the first that a tensor touches to its last.

    Raises:
        FormatError: the strides do not fit the shape, or one is negative.

    Examples:
        >>> span_of((2, 3), (10, 1))
        13
    """
    if len(shape) != len(strides):
        raise FormatError(
            "a tensor has not one stride for each axis", seen=f"{len(strides)} for {len(shape)}"
        )
    if any(stride < 0 for stride in strides):
        raise FormatError("a tensor's stride is negative", seen=str(min(strides)))
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def distinct_of(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Count the different stored values of a tensor: along a stride of 0 they repeat.

    Examples:
        >>> distinct_of((6, 20), (0, 1))
        20
    """
    span, count = span_of(shape, strides), 1
    for size, stride in zip(shape, strides, strict=True):
        count = min(count * size, span) if stride or not size else count
    return min(count, span)


def refuse_expansion(region: Region, stored: int) -> None:
    """Refuse a region that is huge only because few stored values are repeated in it.

    Args:
        region: what is to be read.
        stored: how many values the storage holds.

    Raises:
        ValuesError: it holds more than 2^28 values, and over four times the stored ones.
    """
    count = 1
    for size in region.counts:
        count *= size
    if repeats_enormously(count, stored):
        raise ValuesError(
            f"this would repeat {stored:,} stored values into {count:,}",
            do="Take a smaller region, such as [0, :8].",
        )


def too_large() -> ValuesError:
    """Make the error for values that do not fit in memory."""
    return ValuesError("the values do not fit in memory", do="Take a smaller region, such as [0].")


def _dequantized(
    stored: np.ndarray[Any, Any], affine: Affine, region: Region
) -> np.ndarray[Any, Any]:
    """Map the stored integers of a region to float32."""
    import numpy as np  # loaded already, by the decoding

    scales: Any = np.array(affine.scales, np.float32)
    zeros: Any = np.array(affine.zero_points, np.float32)
    if affine.axis is not None:
        axis = affine.axis
        start, count, step = region.starts[axis], region.counts[axis], region.steps[axis]
        picked = slice(start, start + count * step, step)
        along = tuple(count if other == axis else 1 for other in range(len(region.counts)))
        scales, zeros = scales[picked].reshape(along), zeros[picked].reshape(along)
    values = stored.astype(np.float32).reshape(region.counts)
    values -= zeros
    values *= scales
    return values.reshape(region.shape)
