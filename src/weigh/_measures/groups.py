"""Which values belong together: those of a layer, of a kind of layer, of a position on an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weigh._dtypes import DTYPES
from weigh._errors import UnknownNameError, ValuesError
from weigh._index import Region
from weigh._measures.feed import (
    DEQUANTIZED,
    PIECE,
    bytes_of,
    counted_as,
    encoded,
    feed_of,
    refuse_repetition,
)
from weigh._measures.measure import counted, second_look
from weigh._measures.measured import Measured, Options
from weigh._measures.refine import Pieces
from weigh._model import Tensor
from weigh._names import did_you_mean

GROUPS = ("layer", "kind", "dtype", "role")
"""What whole tensors are grouped by; every other name is that of an axis."""


def group_of(tensor: Tensor, by: str, kinds: Mapping[str, str | None]) -> str:
    """Name the group of a tensor, given the kinds of layers by their paths.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"fc.weight": numpy.zeros((2, 3), "f4")})
        >>> group_of(net.fc.weight, "kind", {"fc": "Linear"})
        'Linear'
    """
    if by == "layer":
        return tensor.layer or "(the network itself)"
    if by == "kind":
        return kinds.get(tensor.layer) or "?"
    return tensor.dtype.name if by == "dtype" else tensor.role


def axis_of(tensor: Tensor, name: str) -> int | None:
    """Say which axis of a tensor has a name."""
    return next((at for at, axis in enumerate(tensor.axes) if axis.name == name), None)


def check_axis(tensors: Sequence[Tensor], name: str, groups: Sequence[str] = GROUPS) -> None:
    """Refuse a name that no axis of any tensor has.

    Args:
        tensors: the tensors.
        name: the name.
        groups: what it may have been besides.

    Raises:
        UnknownNameError: none has it.
    """
    axes = sorted({axis.name for tensor in tensors for axis in tensor.axes} - {"?"})
    if name not in axes:
        known = [*groups, *axes]
        do = did_you_mean(name, known) or (f"There are: {', '.join(known)}." if known else "")
        what = "no group and no axis" if groups else "no axis"
        raise UnknownNameError(f"there is {what} called {name!r}", do=do)


def measure_positions(tensor: Tensor, axis: int, options: Options) -> Iterator[Measured]:
    """Measure what lies at each position of an axis: each filter, say, by itself.

    Raises:
        ValuesError: the values cannot be had.
    """
    dtype, _ = counted_as(tensor.dtype)
    for at, pieces in _positions(tensor, axis):
        table = counted(dtype, pieces)
        exact = second_look(table, tensor.count or 0, options, pieces)
        yield Measured(_at(tensor, axis, at), table, exact=exact)
    if options.progress is not None:
        options.progress(tensor.bytes or 0)


def _at(tensor: Tensor, axis: int, at: int) -> Tensor:
    index: Any = (*(slice(None),) * axis, at)
    return tensor[index]


def _positions(tensor: Tensor, axis: int) -> Iterator[tuple[int, Pieces]]:
    """Give what reads the numbers at each position of an axis."""
    if tensor.shape is None:
        raise ValuesError(f"{tensor.name} has no values before the layer's first input")
    shape = tensor.shape
    refuse_repetition(tensor.values)
    size, count = shape[axis], tensor.count or 0
    each = count // size if size else 0
    if axis == 0 or each > PIECE:
        for at in range(size):
            yield at, feed_of(_at(tensor, axis, at).values).pieces
        return
    import numpy as np  # the values lie apart, and are brought together by it

    _, parts = counted_as(tensor.dtype)
    kept = DTYPES["float32"] if tensor.dtype.family in DEQUANTIZED else tensor.dtype
    step = max(1, PIECE // max(1, each))
    for first in range(0, size, step):
        index: Any = (*(slice(None),) * axis, slice(first, first + step))
        values = tensor.values.read(Region.of(index, shape))
        for offset, box in enumerate(np.moveaxis(values, axis, 0)):
            piece = (bytes_of(encoded(box, kept)), box.size * parts)
            yield first + offset, (piece,).__iter__
