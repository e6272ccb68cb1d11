"""Which values belong together: those of a layer, of a kind of layer, of a position on an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weigh._errors import UnknownNameError, ValuesError
from weigh._index import Region
from weigh._measures.feed import PIECE, bytes_of, encoded, feed_of, refuse_repetition
from weigh._measures.measure import SMALL, Measured, Options
from weigh._measures.refine import Pieces, exact_ranks
from weigh._measures.table import Table
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


def check_axis(tensors: list[Tensor], name: str) -> None:
    """Refuse a name that no axis of any tensor has.

    Raises:
        UnknownNameError: none has it.
    """
    known = sorted({axis.name for tensor in tensors for axis in tensor.axes} - {"?"})
    if name not in known:
        near = did_you_mean(name, [*GROUPS, *known])
        raise UnknownNameError(
            f"there is no group and no axis called {name!r}",
            do=near or f"There are: {', '.join([*GROUPS, *known])}.",
        )


def measure_positions(tensor: Tensor, axis: int, options: Options) -> Iterator[Measured]:
    """Measure what lies at each position of an axis: each filter, say, by itself.

    Raises:
        ValuesError: the values cannot be had.
    """
    for at, pieces in _positions(tensor, axis):
        name = feed_of(tensor.values).dtype
        table = Table(name)
        for buffer, count in pieces():
            table.add(buffer, count)
        exact: dict[int, float] = {}
        if options.exact or (tensor.count or 0) <= SMALL:
            found = table.summary()
            finite = found[0] - found[1] - found[2] - found[3]
            exact = exact_ranks(table, finite, options.quantiles, pieces)
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

    dequantized = tensor.dtype.family in ("quantized", "blocks")
    step = max(1, PIECE // max(1, each))
    for first in range(0, size, step):
        index: Any = (*(slice(None),) * axis, slice(first, first + step))
        values = tensor.values.read(Region.of(index, shape))
        parts = 2 if tensor.dtype.family == "complex" else 1
        for offset, box in enumerate(np.moveaxis(values, axis, 0)):
            codes = np.ascontiguousarray(box)
            codes = codes if dequantized else encoded(codes, tensor.dtype)
            piece = (bytes_of(codes), box.size * parts)
            yield first + offset, (piece,).__iter__
