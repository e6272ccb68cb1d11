"""The numbers of a picture's cells, read from a tensor piece by piece.

This module imports NumPy, so it is itself imported only when values are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from weigh._dtypes import DTYPES, DType
from weigh._index import Region
from weigh._measures._kernels import shrink
from weigh._measures.crew import Crew, processors
from weigh._measures.feed import (
    DEQUANTIZED,
    PIECE,
    boxes,
    bytes_of,
    counted_as,
    encoded,
    reader_of,
    refuse_repetition,
)
from weigh._measures.table import Table
from weigh._pictures.plan import Plan
from weigh._pictures.sheet import Reducer
from weigh._record import record
from weigh._tensor import Tensor

NAN_FLAG, POSINF_FLAG, NEGINF_FLAG, FINITE_FLAG = 1, 2, 4, 8

Array = np.ndarray[Any, Any]
Starts = tuple[tuple[int, ...], ...]


@record(frozen=True, eq=False)
class Shrunk:
    """The numbers of cells.

    Attributes:
        values: float64, along each axis of the tensor as many as there are cells; 0 where a cell
            holds nothing finite.
        flags: uint8 of the same shape: whether a cell holds NaN, positive or negative infinity
            and anything finite.
        table: the counts of the values that were read; None if they were not wanted.
        read: how many values were read.
    """

    values: Array
    flags: Array
    table: Table | None
    read: int

    @property
    def finite(self) -> Array:
        """The numbers of the cells that hold something finite, one after the other."""
        has = (self.flags & FINITE_FLAG) != 0
        known: Array = self.values.reshape(-1) if has.all() else self.values[has]
        return known


def shrunk(
    tensor: Tensor,
    plan: Plan,
    how: Reducer,
    *,
    counted: bool,
    sampled: bool = False,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Shrunk:
    """Bring a tensor's values together to cells.

    Args:
        tensor: whose values they are.
        plan: says which values a cell holds.
        how: what a cell shows of them.
        counted: whether the values are counted too.
        sampled: whether it is enough to read one row of each cell, where cells hold several.
        threads: how many share the work; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of the tensor were read.

    Raises:
        ValuesError: the values cannot be had.
    """
    refuse_repetition(tensor.values)
    matrix = _matrix(plan) if plan.per_cell > 1 else None
    raw = reader_of(tensor.values)
    dtype, parts = counted_as(tensor.dtype)
    plain = tensor.dtype.family not in DEQUANTIZED and tensor.dtype.bits >= 8 and parts == 1
    cells = plan.cells
    table = Table(dtype) if counted else None
    if raw is not None and plain and matrix is not None:
        crew = _Crew(raw, matrix, how, dtype, table, threads, progress, sampled=sampled)
        values, flags = np.zeros(prod(cells)), np.zeros(prod(cells), np.uint8)
        width = len(matrix.column_starts)
        for first, numbers, marks in crew.run():
            at = slice(first * width, first * width + len(numbers))
            values[at], flags[at] = numbers, marks
        return Shrunk(values.reshape(cells), flags.reshape(cells), table, crew.read)
    if plan.per_cell == 1:
        return _whole(tensor, table, progress)
    gathered = _Gathered(plan, how)
    for region in boxes(plan.shape, PIECE):
        array = tensor.values.read(region)
        if table is not None:
            _count(table, array, tensor.dtype)
        gathered.add(array, region)
        if progress is not None:
            progress((tensor.bytes or 0) * array.size // max(1, tensor.count or 1))
    return gathered.finished(table, tensor.count or 0)


def _count(table: Table, array: Array, dtype: DType) -> None:
    """Count values that were read."""
    kept = DTYPES["float32"] if dtype.family in DEQUANTIZED else dtype
    table.add(bytes_of(encoded(array, kept)), array.size * counted_as(dtype)[1])


def _whole(tensor: Tensor, table: Table | None, progress: Callable[[int], None] | None) -> Shrunk:
    """Give each value a cell of its own."""
    array = tensor.read()
    if table is not None:
        _count(table, array, tensor.dtype)
    numbers = _real(array)
    finite = np.isfinite(numbers)
    flags = np.full(numbers.shape, FINITE_FLAG, np.uint8)
    if not finite.all():
        flags[np.isnan(numbers)] = NAN_FLAG
        flags[np.isposinf(numbers)] = POSINF_FLAG
        flags[np.isneginf(numbers)] = NEGINF_FLAG
        numbers = np.where(finite, numbers, 0.0)
    if progress is not None:
        progress(tensor.bytes or 0)
    return Shrunk(numbers, flags, table, array.size)


def _real(array: Array) -> Array:
    """Give numbers as float64; of a complex one the part that is further from 0."""
    if np.iscomplexobj(array):
        larger = np.abs(array.real) >= np.abs(array.imag)
        array = np.where(larger | np.isnan(array.real), array.real, array.imag)
    return np.asarray(array, dtype=np.float64)


@record(frozen=True)
class _Matrix:
    """A tensor seen as a matrix whose cells are the plan's, in the same order."""

    rows: int
    columns: int
    row_starts: tuple[int, ...]
    column_starts: tuple[int, ...]


def _matrix(plan: Plan) -> _Matrix | None:
    """See a tensor as a matrix, if its cells are runs of rows by runs of columns of one."""

    def starts(split: int) -> int:
        return prod(plan.cells[:split]) + prod(plan.cells[split:])

    # A row should be long: each is taken by itself.
    for split in sorted(range(len(plan.shape) + 1), key=starts):
        rows = _joined(plan.shape[:split], plan.starts[:split])
        columns = _joined(plan.shape[split:], plan.starts[split:])
        if rows is not None and columns is not None:
            sizes = prod(plan.shape[:split]), prod(plan.shape[split:])
            return _Matrix(*sizes, rows, columns)
    return None


def _joined(shape: tuple[int, ...], starts: Starts) -> tuple[int, ...] | None:
    """Join axes to one: outer ones as they are, then one cut in any way, then whole ones."""
    made: tuple[int, ...] = (0,)
    inner = 1
    cut = False
    for size, own in zip(reversed(shape), reversed(starts), strict=True):
        if len(own) == 1 and not cut:
            inner *= size
            continue
        if cut and len(own) != size:
            return None
        if cut:
            made = tuple(at * inner + start for at in range(size) for start in made)
        else:
            made = tuple(start * inner for start in own)
            cut = True
        inner *= size
    return made


class _Crew(Crew[tuple[int, Array, Array]]):
    """Threads that shrink bands of rows of a matrix, as they lie."""

    def __init__(
        self,
        raw: Callable[[int, int], memoryview],
        matrix: _Matrix,
        how: Reducer,
        dtype: str,
        table: Table | None,
        threads: int,
        progress: Callable[[int], None] | None,
        *,
        sampled: bool,
    ) -> None:
        super().__init__(threads or processors())
        self._raw, self._matrix, self._how, self._dtype = raw, matrix, how, dtype
        self._table, self._progress, self._sampled = table, progress, sampled
        self._jobs = self._cut()
        self.read = 0

    def _cut(self) -> Iterator[tuple[int, int]]:
        """Give runs of bands that make a piece together."""
        starts = (*self._matrix.row_starts, self._matrix.rows)
        first = 0
        for band in range(1, len(starts)):
            full = (starts[band] - starts[first]) * self._matrix.columns >= PIECE
            if full or band == len(starts) - 1:
                yield first, band
                first = band

    def _work(self) -> None:
        table = None if self._table is None else Table(self._dtype)
        while not self._stopped:
            with self._lock:
                job = next(self._jobs, None)
            if job is None:
                break
            self._shrink(*job, table)
        if table is not None and self._table is not None:
            with self._lock:
                self._table.merge(table)

    def _shrink(self, first: int, last: int, table: Table | None) -> None:
        matrix = self._matrix
        starts = (*matrix.row_starts, matrix.rows)[first : last + 1]
        if self._sampled:
            # The row in the middle of a band stands for all of it.
            middles = [at + (end - at) // 2 for at, end in pairwise(starts)]
            piece: bytes | memoryview = b"".join(self._rows(row, row + 1) for row in middles)
            rows, within = len(middles), list(range(len(middles)))
        else:
            piece = self._rows(starts[0], starts[-1])
            rows, within = starts[-1] - starts[0], [start - starts[0] for start in starts[:-1]]
        values, flags = shrink(
            self._dtype, piece, matrix.columns, within, matrix.column_starts, rows, self._how, table
        )
        self._done.put((first, np.frombuffer(values), np.frombuffer(flags, np.uint8)))
        with self._lock:
            self.read += rows * matrix.columns
        if self._progress is not None:
            self._progress(len(piece))

    def _rows(self, first: int, last: int) -> memoryview:
        columns = self._matrix.columns
        return self._raw(first * columns, last * columns)


class _Gathered:
    """Cells to which values are added box by box, wherever the boxes end."""

    def __init__(self, plan: Plan, how: Reducer) -> None:
        self._plan, self._how = plan, how
        cells = plan.cells
        self._flags = np.zeros(cells, np.uint8)
        self._finite = np.zeros(cells, np.int64)
        if how == "extreme":
            self._low, self._high = np.full(cells, np.inf), np.full(cells, -np.inf)
        else:
            self._sum = np.zeros(cells, np.longdouble)

    def add(self, array: Array, region: Region) -> None:
        """Add the values of a region."""
        numbers = _real(array)
        local: list[tuple[Array, Array]] = []
        for start, count, starts in zip(
            region.starts, region.counts, self._plan.starts, strict=True
        ):
            whole = np.asarray(starts)
            first = int(np.searchsorted(whole, start, "right")) - 1
            last = int(np.searchsorted(whole, start + count - 1, "right"))
            local.append((np.arange(first, last), np.maximum(whole[first:last] - start, 0)))
        where = np.ix_(*(ids for ids, _ in local))
        finite = np.isfinite(numbers)
        all_finite = bool(finite.all())
        if not all_finite:
            for flag, odd in (
                (NAN_FLAG, np.isnan(numbers)),
                (POSINF_FLAG, np.isposinf(numbers)),
                (NEGINF_FLAG, np.isneginf(numbers)),
            ):
                self._flags[where] |= _reduced(np.logical_or, odd, local).astype(np.uint8) * flag
        counts = _reduced(np.add, finite.astype(np.int64), local)
        self._finite[where] += counts
        if self._how == "extreme":
            low = numbers if all_finite else np.where(finite, numbers, np.inf)
            high = numbers if all_finite else np.where(finite, numbers, -np.inf)
            self._low[where] = np.minimum(self._low[where], _reduced(np.minimum, low, local))
            self._high[where] = np.maximum(self._high[where], _reduced(np.maximum, high, local))
            return
        known = np.where(finite, numbers, 0).astype(np.longdouble)
        if self._how == "rms":
            known = known * known
        self._sum[where] += _reduced(np.add, known, local)

    def finished(self, table: Table | None, read: int) -> Shrunk:
        """Give the numbers."""
        has = self._finite > 0
        if self._how == "extreme":
            values = np.where(-self._low >= self._high, self._low, self._high)
        else:
            mean = self._sum / np.maximum(self._finite, 1)
            values = (np.sqrt(mean) if self._how == "rms" else mean).astype(np.float64)
        flags = self._flags | np.where(has, FINITE_FLAG, 0).astype(np.uint8)
        return Shrunk(np.where(has, values, 0.0), flags, table, read)


def _reduced(ufunc: np.ufunc, values: Array, local: list[tuple[Array, Array]]) -> Array:
    """Bring the values of a box together, axis by axis."""
    for axis, (ids, starts) in enumerate(local):
        if len(ids) != values.shape[axis]:
            values = ufunc.reduceat(values, starts, axis=axis)
    return values
