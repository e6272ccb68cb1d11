"""The values of a tensor read in another order, region by region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from weigh._compare.arrangement import Arrangement, squeezed
from weigh._dtypes import DType
from weigh._facts import Extent, Values
from weigh._index import Region, place_of
from weigh._measures.feed import reader_of
from weigh._sources.stored import contiguous_strides

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Reader: TypeAlias = Callable[[Region], Array]

_SMALL = 1 << 18
"""Values that are read in one piece though few of them may be wanted."""
_SPARSE = 4
"""How many times as many values are read in one piece as are wanted, at most."""
_ROWS = 1 << 20
"""Values that are read at a time where a run of them is cut out of whole rows."""


def arranged(values: Values, arrangement: Arrangement, shape_of_a: tuple[int, ...]) -> Values:
    """Give the values of B in the order of A, each region read when it is asked for.

    Args:
        values: those of B.
        arrangement: how they lie in the order of A.
        shape_of_a: the shape of A.
    """
    found, through = values, arrangement.through
    if through is not None and through != found.shape:
        found = Reshaped(found, through)
    if arrangement.orders or arrangement.permuted != tuple(range(len(arrangement.permuted))):
        found = Placed(found, arrangement.permuted, arrangement.orders)
    return found if found.shape == shape_of_a else Reshaped(found, shape_of_a)


class _Another:
    """What values have in common that are read in another way than they are stored."""

    __slots__ = ("_values", "shape")

    def __init__(self, values: Values, shape: tuple[int, ...]) -> None:
        self._values, self.shape = values, shape

    @property
    def dtype(self) -> DType:
        """The type of one value as stored."""
        return self._values.dtype

    @property
    def extent(self) -> Extent | None:
        """None: they lie somewhere in another order."""
        return None

    def read(self, region: Region) -> Array:
        """Read a region; see ``Values.read``."""
        from weigh._compare.patterns import cost_nothing, numbers

        if cost_nothing(self._values):
            return numbers(self.patterns(region), self.dtype)
        return self._take(region, self._values.read, free=False)

    def patterns(self, region: Region) -> Array:
        """Read the bit patterns of a region."""
        from weigh._compare.patterns import cost_nothing, patterns

        free = cost_nothing(self._values)
        return self._take(region, lambda inner: patterns(self._values, inner), free=free)

    def _take(self, region: Region, read: Reader, *, free: bool) -> Array:
        """Take a region of what ``read`` reads; ``free`` if it copies nothing."""
        raise NotImplementedError


class Reshaped(_Another):
    """Values under another shape, in the same row-major order.

    Args:
        values: the values as they are stored.
        shape: the other shape, of as many values.
    """

    __slots__ = ()

    def __init__(self, values: Values, shape: tuple[int, ...]) -> None:
        if prod(shape) != prod(values.shape or ()):
            raise ValueError("another shape has as many values")
        super().__init__(values, shape)

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of values where they lie; see ``LyingValues.raw``."""
        raw = reader_of(self._values)
        return None if raw is None else raw(start, stop)

    def _take(self, region: Region, read: Reader, *, free: bool) -> Array:  # noqa: ARG002
        inner = self._values.shape or ()
        if 0 in region.counts:
            return _flat(inner, 0, 0, read).reshape(region.shape)
        long = squeezed(self.shape)
        if [self.shape[k] for k in long] == [n for n in inner if n != 1]:
            return read(_stretched(region, long, inner)).reshape(region.shape)
        return self._strided(region, inner, read).reshape(region.shape)

    def _strided(self, region: Region, inner: tuple[int, ...], read: Reader) -> Array:
        """Put a region together from runs of values, the gaps within which are not too large."""
        import numpy as np

        counts, strides = region.counts, contiguous_strides(self.shape)
        steps = [step * stride for step, stride in zip(region.steps, strides, strict=True)]
        first = sum(start * stride for start, stride in zip(region.starts, strides, strict=True))

        def reach(axis: int) -> int:
            return 1 + sum((counts[k] - 1) * steps[k] for k in range(axis, len(counts)))

        axis = 0
        while axis < len(counts) and reach(axis) > max(_SMALL, _SPARSE * prod(counts[axis:])):
            axis += 1
        parts = []
        for outer in product(*(range(n) for n in counts[:axis])):
            start = first + sum(i * step for i, step in zip(outer, steps, strict=False))
            run = _flat(inner, start, start + reach(axis), read)
            apart = [step * run.itemsize for step in steps[axis:]]
            parts.append(np.lib.stride_tricks.as_strided(run, counts[axis:], apart))
        return np.stack(parts)


def _stretched(region: Region, long: tuple[int, ...], inner: tuple[int, ...]) -> Region:
    """Take a region of a shape on another that differs in axes of size 1 alone."""
    n = len(inner)
    starts, counts, steps = [0] * n, [1] * n, [1] * n
    for mine, theirs in zip(long, squeezed(inner), strict=True):
        starts[theirs], counts[theirs] = region.starts[mine], region.counts[mine]
        steps[theirs] = region.steps[mine]
    return Region(tuple(starts), tuple(counts), tuple(steps), (True,) * n)


def _flat(shape: tuple[int, ...], start: int, stop: int, read: Reader) -> Array:
    """Read a run of values in row-major order, by the boxes that hold it."""
    import numpy as np

    if start == stop or not shape:
        n, count = len(shape), stop - start
        box = Region((0,) * n, (count,) * n, (1,) * n, (True,) * n)
        return np.ascontiguousarray(read(box).reshape(-1)[:count])
    axis = 0
    while axis < len(shape) - 1 and prod(shape[axis + 1 :]) > _ROWS:
        axis += 1
    unit, size = prod(shape[axis + 1 :]), shape[axis]
    parts = []
    at, last = start // unit, -(-stop // unit)
    whole = Region.whole(shape)
    while at < last:
        outer, row = divmod(at, size)
        rows = min(size - row, last - at)
        lead = place_of(outer, shape[:axis])
        box = whole.then((*(slice(i, i + 1) for i in lead), slice(row, row + rows)))
        parts.append(read(box).reshape(-1))
        at += rows
    skipped = start - start // unit * unit
    joined = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return np.ascontiguousarray(joined[skipped : skipped + stop - start])


class Placed(_Another):
    """Values with their axes, and the positions along them, in another order.

    Args:
        values: the values as they are stored.
        permuted: axis k is their axis permuted[k].
        orders: by axis k, which of their positions is each one; positions may be left out.
    """

    __slots__ = ("_orders", "_permuted")

    def __init__(
        self, values: Values, permuted: Sequence[int], orders: Mapping[int, Sequence[int] | Array]
    ) -> None:
        import numpy as np

        self._permuted = tuple(permuted)
        self._orders = {axis: np.asarray(order, np.int64) for axis, order in orders.items()}
        inner = values.shape or ()
        shape = (
            len(self._orders[axis]) if axis in self._orders else inner[theirs]
            for axis, theirs in enumerate(self._permuted)
        )
        super().__init__(values, tuple(shape))

    def _take(self, region: Region, read: Reader, *, free: bool) -> Array:
        import numpy as np

        n = len(self.shape)
        starts, counts, steps = [0] * n, [0] * n, [1] * n
        wanted: dict[int, Array] = {}
        for axis, theirs in enumerate(self._permuted):
            start, count, step = region.starts[axis], region.counts[axis], region.steps[axis]
            if axis in self._orders and count:
                places = self._orders[axis][start : start + (count - 1) * step + 1 : step]
                start, step = int(places.min()), 1
                count = int(places.max()) - start + 1
                wanted[theirs] = places
            starts[theirs], counts[theirs], steps[theirs] = start, count, step
        box = Region(tuple(starts), tuple(counts), tuple(steps), (True,) * n)
        found = _gathered(box, wanted, read, free=free).transpose(self._permuted)
        return np.ascontiguousarray(found).reshape(region.shape)


def _gathered(box: Region, wanted: Mapping[int, Array], read: Reader, *, free: bool) -> Array:
    """Read the wanted positions of a box, along each axis; of all of it, if most are wanted."""
    import numpy as np

    sizes = [len(wanted[axis]) if axis in wanted else n for axis, n in enumerate(box.counts)]
    if free or prod(box.counts) <= max(_SMALL, _SPARSE * prod(sizes)):
        found = read(box)
        for axis in sorted(wanted, key=lambda k: sizes[k] / box.counts[k]):
            places = wanted[axis]
            found = np.take(found, places - box.starts[axis], axis=axis)
        return found
    axis = max(wanted, key=lambda k: box.counts[k] / sizes[k])
    others = {k: places for k, places in wanted.items() if k != axis}
    order = np.argsort(wanted[axis], kind="stable")
    inward = wanted[axis][order]
    cuts = np.flatnonzero(np.diff(inward) > 1) + 1
    parts = []
    for run in np.split(inward, cuts):
        first, last = int(run[0]), int(run[-1])
        index = [slice(None)] * len(box.counts)
        index[axis] = slice(first - box.starts[axis], last - box.starts[axis] + 1)
        part = read(box.then(tuple(index)))
        for k, places in others.items():
            part = np.take(part, places - box.starts[k], axis=k)
        repeated = len(run) != last - first + 1
        parts.append(np.take(part, run - first, axis=axis) if repeated else part)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return np.take(np.concatenate(parts, axis=axis), back, axis=axis)
