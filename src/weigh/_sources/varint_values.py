"""Values stored as numbers of varying length, as Protocol Buffers pack whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError
from weigh._facts import Extent
from weigh._index import Region
from weigh._sources.bytes import ByteSource, MemoryBytes
from weigh._sources.stored import StoredValues, count_of

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 1 << 20


class VarintValues:
    """Whole numbers, or the bit patterns of narrow floats, stored in varying lengths.

    Where one of them lies can only be told by reading all before it, so a slice costs as much
    as the whole: writers use this for small tensors.

    Args:
        source: where the bytes are.
        places: the ranges that hold them, one after the other.
        dtype: the type of one value.
        shape: the size of each axis.

    Raises:
        FormatError: there cannot be as many numbers in so many bytes.
    """

    __slots__ = ("_count", "_places", "_source", "dtype", "shape")

    def __init__(
        self,
        source: ByteSource,
        places: tuple[tuple[int, int], ...],
        dtype: DType,
        shape: tuple[int, ...],
    ) -> None:
        self._source, self._places, self.dtype, self.shape = source, places, dtype, shape
        # Packed dtypes come in bytes, each a number of its own.
        self._count = dtype.size_of(count_of(shape)) * 8 // max(dtype.bits, 8)
        held = sum(stop - start for start, stop in places)
        if not self._count <= held <= 10 * self._count:
            raise FormatError(
                "it has not as many values as its shape says",
                seen=f"{held:,} bytes for {self._count:,} numbers",
            )

    @property
    def extent(self) -> Extent | None:
        """Where the values lie, as one piece; None if they are in several."""
        if len(self._places) != 1:
            return None
        start, stop = self._places[0]
        return Extent(
            (self._source.identity, start), 0, stop - start, count_of(self.shape), stop - start
        )

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array; see ``Values.read``.

        Raises:
            FormatError: there are not as many numbers as the shape says.
        """
        data = MemoryBytes(self._decoded())
        return StoredValues(data, 0, self.dtype, self.shape).read(region)

    def _decoded(self) -> bytes:
        """Write every number with its dtype's own width."""
        import numpy as np  # loaded only when values are read

        width = max(self.dtype.bits, 8) // 8
        codes, done = np.empty(self._count, f"<u{width}"), 0
        for start, stop in self._places:
            for block in self._blocks(start, stop):
                numbers = _numbers(np.frombuffer(block, np.uint8))
                if done + numbers.size > self._count:
                    raise _miscounted(self._count)
                # A negative number is stored in 64 bits; its low ones are those of any width.
                codes[done : done + numbers.size] = numbers.astype(codes.dtype)
                done += numbers.size
        if done != self._count:
            raise _miscounted(self._count)
        return codes.tobytes()

    def _blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """Cut a range so that every piece ends with a number's last byte."""
        while start < stop:
            block = bytes(self._source.view(start, min(_BLOCK, stop - start)))
            end = len(block)
            while end and block[end - 1] > 127 and len(block) - end < 10:
                end -= 1
            if not end or block[end - 1] > 127:
                raise FormatError("a tensor's numbers end within one")
            yield block[:end]
            start += end


def _numbers(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Decode numbers of varying length, all at once: seven bits a byte, lowest first."""
    import numpy as np  # loaded already

    stops = np.flatnonzero(data < 128) + 1
    starts = np.concatenate(([0], stops[:-1]))
    lengths = stops - starts
    if lengths.max(initial=1) > 10 or (data[stops[lengths == 10] - 1] > 1).any():
        raise FormatError("a number in the file takes more than 64 bits")
    numbers = np.zeros(stops.size, np.uint64)
    for place in range(int(lengths.max(initial=0))):
        longer = lengths > place
        bits = (data[starts[longer] + place] & 127).astype(np.uint64)
        numbers[longer] |= bits << np.uint64(7 * place)
    return numbers


def _miscounted(count: int) -> FormatError:
    return FormatError("a tensor has not as many values as its shape says", seen=f"not {count:,}")
