"""How often each pattern of bits occurs among some values; tables of parts add up to the whole's.

A type of up to 16 bits has at most 65,536 patterns, so their counts say everything: each
statistic follows from them exactly. Values of 32 and 64 bits are counted by their top 16 bits,
and beside the counts stand exact extremes, exact counts of zeros, NaN and infinities, and sums of
powers: double precision within blocks of 16,384 values, exact between blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, expm1, log1p
from sys import float_info
from typing import Any, Literal, Self
from zlib import crc32

from weigh._dtypes import DTYPES
from weigh._measures._kernels import PatternTable

Scale = Literal["linear", "symlog"]

_LARGEST = float_info.max


class Table(PatternTable):
    """The counts of patterns of one type, and what must stand beside them.

    Args:
        dtype: the type of the values, by its name in ``DTYPES``; or ``"mixed"`` for what tables of
            several types add up to, which only merges.

    Examples:
        >>> from array import array
        >>> table = Table.of("float32", array("f", [1.0, 2.0, 4.0]))
        >>> (table + table).below(3.0)
        4
    """

    @classmethod
    def of(cls, dtype: str, values: Any) -> Self:
        """Count the values of a buffer, which lie in it end to end."""
        made = cls(dtype)
        view = memoryview(values).cast("B")
        made.add(view, view.nbytes // WIDTHS[dtype])
        return made

    def __add__(self, other: Table) -> Table:
        """Give the table of both tables' values; of two types it is a mixed one."""
        made = Table(self.dtype if self.dtype == other.dtype else "mixed")
        made.merge(self)
        made.merge(other)
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    __hash__ = None  # type: ignore[assignment]

    def to_bytes(self) -> bytes:
        """Give all that the table holds as bytes, the same for tables of the same values."""
        state = self.__getstate__()
        return state + crc32(state).to_bytes(4, "little")

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Make the table again that ``to_bytes`` gave.

        Raises:
            ValueError: these are not such bytes, or they are damaged.
        """
        state, check = state[:-4], state[-4:]
        if crc32(state) != int.from_bytes(check, "little"):
            raise ValueError("these bytes are not the state of a table")
        made = cls.__new__(cls)
        made.__setstate__(state)
        return made

    def edges(self, bins: int, scale: Scale = "linear") -> list[float]:
        """Give edges of bins from the smallest finite value to the largest.

        Args:
            bins: how many bins; none are made where no value is finite.
            scale: ``"linear"`` for bins of one width; ``"symlog"`` for bins of one width in
                sign(x) log(1 + |x| / s), where s is a millionth of the largest size: about
                linear near 0, logarithmic on both sides.

        Raises:
            ValueError: there is to be no bin.

        Examples:
            >>> from array import array
            >>> Table.of("float32", array("f", [-1, 0, 3])).edges(4)
            [-1.0, 0.0, 1.0, 2.0, 3.0]
            >>> edges = Table.of("float32", array("f", [-1, 1])).edges(4, "symlog")
            >>> [round(edge, 4) for edge in edges]
            [-1.0, -0.001, 0.0, 0.001, 1.0]
        """
        if bins < 1:
            raise ValueError("a histogram has at least one bin")
        low, high = self.extremes() or (None, None)
        if low is None or high is None:
            return []
        low, high = float(low), float(high)
        if low == high:  # as NumPy does, and wide enough to be two numbers
            wide = max(0.5, abs(low) * 1e-6)
            low, high = max(low - wide, -_LARGEST), min(high + wide, _LARGEST)
        least = max(abs(low), abs(high)) * 1e-6
        if scale == "linear" or not least:
            inner = [low * (1 - at / bins) + high * (at / bins) for at in range(1, bins)]
        else:
            first, last = (copysign(log1p(abs(end) / least), end) for end in (low, high))
            steps = (first + (last - first) * at / bins for at in range(1, bins))
            inner = [copysign(least * expm1(abs(step)), step) for step in steps]
        return [low, *inner, high]

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Count the finite values between each two edges, as ``numpy.histogram`` does.

        Each bin holds its lower edge, the last one its upper edge too. Where values of one
        pattern lie on both sides of an edge, their shares are estimated.
        """
        return super().histogram(edges)


WIDTHS = {
    name: max(1, dtype.bits // 8)
    for name, dtype in DTYPES.items()
    if dtype.bits != 4 and dtype.family not in ("complex", "quantized")
}
"""The bytes of a value as it is counted; 4-bit types, two to a byte, are counted as well."""
