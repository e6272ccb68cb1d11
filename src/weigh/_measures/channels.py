"""Sums of squares of the channels of a tensor: how large each filter, each row of a table is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from weigh._measures._kernels import ChannelSums, channel_squares
from weigh._measures.feed import PIECE, counted_as, reader_of
from weigh._measures.table import Table
from weigh._tensor import Tensor

if TYPE_CHECKING:
    import numpy as np

OUTPUTS = (
    "out_channels", "out_features", "filters", "units", "features", "qkv_features",
    "qkv_embed_dim",
)  # fmt: skip
"""Names of axes that stand for what a layer gives."""
ROWS = ("num_embeddings", "input_dim")
"""Names of axes that stand for the items of a look-up table."""

_TYPES = ("float32", "float64", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
_MOST = 1 << 22
"""More channels than this are not told apart: their sums would take much memory."""


def channel_axis(tensor: Tensor) -> int | None:
    """Say which axis of a weight stands for its output channels, or for the rows of a table.

    None for what has but one axis, or if nobody knows.

    Examples:
        >>> import numpy, weigh
        >>> channel_axis(weigh.open({"fc.weight": numpy.zeros((2, 3))}).fc.weight)
        0
    """
    if len(tensor.axes) < 2:
        return None
    names = [axis.name for axis in tensor.axes]
    found = [at for at, name in enumerate(names) if name in OUTPUTS or name in ROWS]
    return found[0] if len(found) == 1 else None


def median(values: np.ndarray[Any, Any]) -> float:
    """Give the median of some numbers; ``numpy.median`` would import NumPy's masked arrays."""
    import numpy as np

    half = len(values) // 2
    around = np.partition(values, (half - 1, half) if half else half)
    return float(around[half] if len(values) % 2 else (around[half - 1] + around[half]) / 2)


class Squares:
    """The sums of squares of a tensor's channels, added up piece by piece.

    Pieces may come in any order and from any thread: what they give is added in their order.
    """

    def __init__(self, channels: int, inner: int) -> None:
        self._channels, self._inner = channels, inner
        self._pieces: dict[int, bytes] = {}

    @classmethod
    def of(cls, tensor: Tensor) -> Squares | None:
        """Prepare those of a tensor; None if it has no channels."""
        axis = channel_axis(tensor)
        dtype, parts = counted_as(tensor.dtype)
        if axis is None or parts != 1 or dtype not in _TYPES or not tensor.count:
            return None
        shape = tensor.shape or ()
        if shape[axis] > _MOST:
            return None
        return cls(shape[axis], prod(shape[axis + 1 :]))

    def add(self, table: Table, start: int, buffer: memoryview, count: int) -> None:
        """Add values that lie end to end, the first of them number ``start``, to a table too."""
        self._pieces[start] = table.add_with_squares(
            buffer, count, start, self._channels, self._inner
        )

    def sums(self) -> ChannelSums:
        """Give the sum of each channel."""
        made = ChannelSums(self._channels)
        for start, piece in sorted(self._pieces.items()):
            made.add(piece, start // self._inner % self._channels)
        return made


def array_of(sums: ChannelSums) -> np.ndarray[Any, Any]:
    """Give sums as an array of float64."""
    import numpy as np

    return np.frombuffer(sums.to_bytes())


def input_squares(tensor: Tensor, rows: int) -> ChannelSums | None:
    """Give the sum of squares of what each position of the second axis meets, in the first rows.

    Args:
        tensor: values (out, in, ...).
        rows: how many positions of the first axis are looked at.

    Gives None if they do not lie so that they can be added up at once.

    Raises:
        ValuesError: the values cannot be had.
    """
    shape = tensor.shape or ()
    raw = reader_of(tensor.values)
    if raw is None or tensor.dtype.name not in _TYPES:
        return None
    each = prod(shape[1:])
    total = ChannelSums(shape[1])
    step = max(1, PIECE // max(1, each))
    for start in range(0, min(rows, shape[0]), step):
        stop = min(start + step, rows, shape[0])
        piece = raw(start * each, stop * each)
        count = (stop - start) * each
        total.add(channel_squares(tensor.dtype.name, piece, count, shape[1], prod(shape[2:])), 0)
    return total
