"""Tensors cut up by ZeRO's third stage: every process keeps an equal part of every one.

A process keeps its parts end to end in one vector, which is itself cut into groups. A parameter of
n values, flattened and padded, is the parts of all W processes in turn, ceil(n / W) values each
(Rajbhandari et al., 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
section 5; the order is that of DeepSpeed's ``zero_to_fp32.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError
from weigh._facts import Extent, Values
from weigh._index import Region
from weigh._sources.bytes import ByteSource
from weigh._sources.joined import JoinedBytes
from weigh._sources.stored import StoredValues, count_of

if TYPE_CHECKING:
    import numpy as np


class FlatVectors:
    """The vector of every process, each cut into groups of the same sizes.

    Args:
        vectors: the groups of each process.

    Raises:
        FormatError: they are not of one type and of the same sizes, or no plain vectors.

    Attributes:
        dtype: the type of one value.
        size: how many values each process has.
        sizes: of each group, the same.
    """

    def __init__(self, vectors: Sequence[Sequence[Values]]) -> None:
        first = vectors[0] if vectors else ()
        if not first:
            raise FormatError("the partitions hold no values")
        self.dtype = first[0].dtype
        self.sizes = sizes = [(group.shape or (0,))[0] for group in first]
        self._groups: list[list[tuple[ByteSource, int]]] = []
        for groups in vectors:
            if len(groups) != len(first):
                raise FormatError("the processes have not the same number of groups")
            pairs = zip(groups, sizes, strict=True)
            self._groups.append([self._place(group, size) for group, size in pairs])
        self._starts = [0, *accumulate(sizes)]
        self.size = self._starts[-1]

    def _place(self, group: Values, size: int) -> tuple[ByteSource, int]:
        run = group.run if isinstance(group, StoredValues) else None
        if run is None or group.dtype != self.dtype or group.shape != (size,):
            raise FormatError(
                "the partitions are not plain vectors of the same sizes",
                seen=f"{group.dtype} of shape {group.shape} where {(size,)} is needed",
            )
        return run[0], run[1]

    def part(self, count: int) -> int:
        """Give how many of a parameter's values each process has, the padding among them."""
        return -(-count // len(self._groups))

    def runs(self, start: int, count: int) -> Iterator[tuple[ByteSource, int, int]]:
        """Give where the values of a parameter lie, whose parts begin at ``start``."""
        width, stop = self.dtype.bits // 8, start + self.part(count)
        for groups in self._groups:
            at, group = start, bisect_right(self._starts, start) - 1
            while at < stop:
                source, offset = groups[group]
                end = min(stop, self._starts[group + 1])
                yield source, offset + (at - self._starts[group]) * width, (end - at) * width
                at, group = end, group + 1


class GatheredValues:
    """The values of a parameter whose parts lie with every process.

    Args:
        flat: the vectors.
        start: where its parts begin in them.
        shape: the size of each axis.
        storage: what tells it from every other.

    Raises:
        FormatError: the vectors are too short.
    """

    __slots__ = ("_flat", "_start", "_storage", "shape")

    def __init__(
        self, flat: FlatVectors, start: int, shape: tuple[int, ...], storage: Hashable
    ) -> None:
        self.shape, self._flat, self._start, self._storage = shape, flat, start, storage
        needed = start + flat.part(count_of(shape))
        if needed > flat.size:
            raise FormatError(
                "the partitions hold fewer values than the parameters need",
                seen=f"{flat.size:,} in each where {needed:,} are needed",
            )

    @property
    def dtype(self) -> DType:
        """The type of one value."""
        return self._flat.dtype

    @property
    def extent(self) -> Extent:
        """The bytes of all parts, as if they lay together."""
        count = count_of(self.shape)
        size = self.dtype.size_of(count)
        return Extent(self._storage, 0, size, count, size)

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region: the bytes from its first to its last value."""
        runs = list(self._flat.runs(self._start, count_of(self.shape)))
        joined = JoinedBytes(runs, "partitions")
        return StoredValues(joined, 0, self.dtype, self.shape).read(region)
