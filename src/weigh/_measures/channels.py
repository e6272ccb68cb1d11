"""Sums of squares of the channels of a tensor: how large each filter, each row of a table is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from weigh._measures._kernels import channel_squares
from weigh._measures.feed import counted_as
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


class Squares:
    """The sums of squares of a tensor's channels, added up piece by piece.

    Pieces may come in any order and from any thread: what they give is added in their order.
    """

    def __init__(self, dtype: str, channels: int, inner: int) -> None:
        self._dtype, self._channels, self._inner = dtype, channels, inner
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
        return cls(dtype, shape[axis], prod(shape[axis + 1 :]))

    def add(self, start: int, buffer: memoryview, count: int) -> None:
        """Add values that lie end to end, the first of which is number ``start``."""
        self._pieces[start] = channel_squares(
            self._dtype, buffer, count, start, self._channels, self._inner
        )

    def sums(self) -> np.ndarray[Any, Any]:
        """Give the sum of each channel, in float64."""
        import numpy as np

        made = np.zeros(self._channels)
        for start, piece in sorted(self._pieces.items()):
            given = np.frombuffer(piece)
            first = start // self._inner % self._channels
            head = min(len(given), self._channels - first)
            made[first : first + head] += given[:head]
            made[: len(given) - head] += given[head:]
        return made
