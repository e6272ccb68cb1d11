"""Where in a tensor something is: a second look at few tensors, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from weigh._errors import WeighError
from weigh._index import Region
from weigh._measures.feed import PIECE, boxes
from weigh._model import Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def pieces(tensor: Tensor) -> Iterator[tuple[Region, Array]]:
    """Read a tensor piece by piece, in the order of its values, each with its place.

    Raises:
        ValuesError: the values cannot be had.
    """
    for region in boxes(tensor.shape or (), PIECE):
        yield region, tensor.values.read(region)


def first_place(tensor: Tensor, found: Callable[[Array], Array]) -> list[int] | None:
    """Give the first position where ``found`` says True of a value; None if nowhere.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"fc.weight": numpy.array([[1.0, 2.0], [3.0, 4.0]])})
        >>> first_place(net.fc.weight, lambda values: values > 2)
        [1, 0]
    """
    import numpy as np

    try:
        for region, values in pieces(tensor):
            flags = found(values)
            if flags.any():
                at = np.unravel_index(int(np.argmax(flags)), values.shape)
                return _whole(region, at)
    except WeighError:  # the source went away since it was measured
        pass
    return None


def largest_place(tensor: Tensor) -> tuple[list[int], float] | None:
    """Give the position of the finite value of the largest size, and the value.

    None if there is none, or the values are complex.
    """
    import numpy as np

    best: tuple[list[int], float] | None = None
    try:
        for region, values in pieces(tensor):
            if values.dtype.kind == "c":
                return None  # a real part or an imaginary one: nobody says which
            sizes = np.where(np.isfinite(values), np.abs(values), -1)
            at = np.unravel_index(int(np.argmax(sizes)), values.shape)
            if best is None or sizes[at] > abs(best[1]):
                best = _whole(region, at), float(values[at])
    except WeighError:
        pass
    return best


def _whole(region: Region, at: tuple[Any, ...]) -> list[int]:
    """Give a place within a region as a place in the tensor; a region keeps all axes here."""
    return [start + int(i) for start, i in zip(region.starts, at, strict=True)]
