"""The largest singular values of a matrix that is read a few rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weigh._record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Array = np.ndarray[Any, np.dtype[Any]]

HELD = 64 << 20
"""A matrix of so many bytes is held; a larger one is read again for each pass."""
EXACT = 512
"""Up to so many columns all singular values are worked out."""
_BLOCK = 4 << 20
"""Bytes of a block of rows, as float64."""
_DIRECTIONS = 32 << 20
"""Bytes of the directions of a sketch, on both sides."""
_SAMPLE = 1 << 16
"""So many numbers are looked at for how fine they are."""
MORE = 10
"""Directions that are sketched beyond those that are asked for."""
_TURNS = 3
"""Power iterations of a matrix that is held: its passes cost no reading."""
_EPS, _TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)


class Matrix:
    """A matrix of finite numbers, given in blocks of rows.

    Where it is held, its longer side goes down. Its numbers are scaled by a power of two that
    brings the largest near 1, so that no square over- or underflows; before the first pass that
    is not known yet.
    """

    def __init__(self, rows: int, columns: int, read: Callable[[int, int], Array]) -> None:
        self.rows, self.columns, self._read = rows, columns, read
        self.exponent = 0
        """What is given, times 2 to this, is what was read."""
        self.held: Array | None = None
        self._largest = 0.0
        if 4 * rows * columns <= HELD:
            self._hold()

    @property
    def _step(self) -> int:
        """The rows of a block."""
        return max(16, _BLOCK // (8 * self.columns))

    def _hold(self) -> None:
        """Read it into memory, unless it comes in a type that is too wide for that."""
        held = None
        for start, block in self._blocks():
            if held is None:
                kind = np.result_type(block.dtype, np.float32)
                if kind.itemsize * self.rows * self.columns > HELD:
                    return
                held = np.empty((self.rows, self.columns), kind)
            held[start : start + len(block)] = block
        if held is not None:
            self.settle()
            np.ldexp(held, -self.exponent, out=held)
            if self.rows < self.columns:
                held, self.rows, self.columns = held.T, self.columns, self.rows
            self.held = held

    def settle(self) -> float:
        """Scale it from now on, and give the factor for what was worked out before."""
        before, self.exponent = self.exponent, int(np.frexp(self._largest)[1])
        return float(np.ldexp(1.0, before - self.exponent))

    def _blocks(self) -> Iterator[tuple[int, Array]]:
        """Read it once."""
        for start in range(0, self.rows, self._step):
            block = self._read(start, min(start + self._step, self.rows))
            largest = float(np.abs(block).max())
            if not np.isfinite(largest):
                raise ValueError("a change that is not finite has no rank")
            self._largest = max(self._largest, largest)
            yield start, block

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Give its rows as float64, block by block, with where each starts."""
        if self.held is None:
            for start, block in self._blocks():
                yield start, np.ldexp(block.astype(np.float64), -self.exponent)
            return
        for start in range(0, self.rows, self._step):
            yield start, self.held[start : start + self._step].astype(np.float64)

    def width(self, most: int) -> int:
        """Give how many directions to sketch for so many, as far as memory allows."""
        room = max(16, _DIRECTIONS // (8 * self.columns + 4 * self.rows))
        return min(most + MORE, room, self.columns, self.rows)


@record(frozen=True, eq=False)
class Leading:
    """The leading directions of a matrix, and what is left of it without them.

    All numbers are those of the matrix as it is scaled.

    Attributes:
        values: its largest singular values, descending; a sketch's are never above the true ones.
        errors: how far off they may be, relative to the true ones: each and those before it.
        right: their directions, (columns, directions), orthonormal; there may be more values.
        left: the matrix times these, (rows, directions).
        row_rest: the sum of squares of each row of what is left.
        column_rest: the same of each column.
        total: the sum of all squares.
        rounding: what rounding is likely to have brought to that; see `_fineness`.
        exact: whether all singular values are there, and not a sketch's.
    """

    values: Array
    errors: Array
    right: Array
    left: Array
    row_rest: Array
    column_rest: Array
    total: float
    rounding: float
    exact: bool


def leading(matrix: Matrix, most: int, generator: np.random.Generator) -> Leading:
    """Find the leading directions of a matrix that is not empty.

    Up to `EXACT` columns they are those of the triangle of its QR decomposition, which is put
    together block by block, in 2 passes. Beyond, they are sought among what random sums of its
    rows span, after power iteration, in 3 passes: Halko, Martinsson and Tropp, *Finding structure
    with randomness*, SIAM Review 53 (2011), algorithms 4.4 and 5.1.

    Raises:
        ValueError: where a number is not finite.
    """
    if matrix.columns <= EXACT:
        return _all(matrix)
    width = matrix.width(most)
    if matrix.held is not None:
        sums = generator.standard_normal((matrix.rows, width), matrix.held.dtype)
        return _among(matrix, _turned(matrix, matrix.held.T @ sums))
    basis = np.zeros((matrix.columns, width))
    for _, block in matrix.blocks():
        basis += block.T @ generator.standard_normal((len(block), width))
    return _among(matrix, _turned(matrix, basis * matrix.settle()))


def wider(matrix: Matrix, found: Leading, most: int, generator: np.random.Generator) -> Leading:
    """Find more directions beside those that a sketch found, in 2 passes."""
    more = matrix.width(most) - found.right.shape[1]
    fresh = generator.standard_normal((matrix.columns, more))
    return _among(matrix, _turned(matrix, np.hstack([found.right, fresh])))


def _all(matrix: Matrix) -> Leading:
    """Find all singular values, and what the leading directions leave."""
    triangle: Array = np.zeros((0, matrix.columns))
    for _, block in matrix.blocks():
        triangle = _triangle(triangle, block)
    _, values, right = np.linalg.svd(triangle * matrix.settle(), full_matrices=False)
    # No more than a quarter of them is ever taken for a change of low rank.
    kept = right[: matrix.width(matrix.columns // 4)].T
    return _Sweep(matrix, kept, kind="f4").leading(values, _roundings(values), exact=True)


def _turned(matrix: Matrix, basis: Array) -> Array:
    """Turn a basis towards the leading directions, by power iteration, and make it orthonormal.

    Where D is not held its columns come in their order, so that what is rounded in one is small
    beside it.
    """
    if matrix.held is None:
        swept = _Sweep(matrix, _orthonormal(basis), kind="f4", rest=False)
        return _orthonormal(swept.image @ np.linalg.svd(swept.triangle)[2].T)
    kind = matrix.held.dtype
    for _ in range(_TURNS):
        # Both sides are made orthonormal, or small directions would drown in what is rounded in
        # large ones.
        left = _orthonormal(matrix.held @ _orthonormal(basis).astype(kind)).astype(kind)
        basis = matrix.held.T @ left
    return _orthonormal(basis)


def _among(matrix: Matrix, basis: Array) -> Leading:
    """Find the leading directions among those that a basis spans, by Rayleigh and Ritz."""
    swept = _Sweep(matrix, basis, kind="f4" if matrix.held is None else "f8")
    _, values, turn = np.linalg.svd(swept.triangle)
    swept.turn(turn.T)
    missed = swept.image - swept.basis * values**2
    errors = _errors(values, missed, float(swept.rows.sum()))
    return swept.leading(values, errors, exact=False)


def _errors(values: Array, missed: Array, rest: float) -> Array:
    """Bound how far below the true singular values those of a sketch are, each and those before it.

    With A the matrix's Gram matrix, H = V^T A V that of its leading directions V and M = A V - V
    H what these miss, the eigenvalues of A differ from those of H and of the rest by ||M|| at
    most (Weyl), and by ||M||^2 / (theta - c) where H's stay above theta and the rest's below c
    (Mathias, *Quadratic residual bounds*, SIAM J. Matrix Anal. Appl. 19, 1998). The rest's sum is
    known. That nothing of it is above theta where its sum is, is as good as certain after random
    sums and power iteration, not proven.
    """
    squares = np.maximum(values**2, _TINY)
    off = np.sqrt(np.cumsum((missed**2).sum(0)))
    # What is left holds the later directions too.
    left = rest + np.cumsum(squares[::-1])[::-1] - squares
    apart = np.maximum(np.maximum(squares - left, off), _TINY)
    bound = np.minimum(off * off / apart, left)
    return np.asarray(np.sqrt(1 + bound / squares) - 1 + _roundings(values))


def _roundings(values: Array) -> Array:
    """Bound what float64 does to singular values, relative to each of them.

    A QR decomposition errs by little relative to the largest: Higham, *Accuracy and Stability of
    Numerical Algorithms* (2002), theorem 19.4.
    """
    floor = max(64 * _EPS * values[0], _TINY)
    return np.asarray(floor / np.maximum(values, floor))


def _triangle(above: Array, block: Array) -> Array:
    """Go on with the triangle of a QR decomposition by some more rows."""
    made: Any = np.linalg.qr(np.vstack([above, block]), mode="r")
    return np.asarray(made)


def _orthonormal(basis: Array) -> Array:
    """Make columns orthonormal, in float64."""
    return np.linalg.qr(basis.astype(np.float64))[0]


class _Sweep:
    """One pass over a matrix D, with an orthonormal basis P of some directions.

    Attributes:
        basis: P, (columns, directions).
        left: D P, (rows, directions), in the type that is asked for.
        triangle: the triangle of its QR decomposition.
        image: D^T D P, (columns, directions).
        rows: the sum of squares of each row of D - D P P^T.
        columns: the same of each column.
        total: the sum of squares of D.
        fineness: the sum of the logarithms of how fine a sample of D is, and its size.
    """

    def __init__(self, matrix: Matrix, basis: Array, *, kind: str, rest: bool = True) -> None:
        width = basis.shape[1]
        self.basis = basis
        self.left = np.empty((matrix.rows, width), kind)
        self.triangle: Array = np.zeros((0, width))
        self.image = np.zeros((matrix.columns, width))
        self.rows, self.columns = np.empty(matrix.rows), np.zeros(matrix.columns)
        self.total, self.fineness = 0.0, np.zeros(2)
        stride = matrix.rows * matrix.columns // _SAMPLE | 1
        for start, block in matrix.blocks():
            part = block @ basis
            self.left[start : start + len(block)] = part
            self.triangle = _triangle(self.triangle, part)
            self.image += block.T @ part
            if rest:
                self.total += float(np.vdot(block, block))
                self.fineness += _fineness(block.ravel()[::stride])
                block -= part @ basis.T
                np.square(block, out=block)
                self.rows[start : start + len(block)] = block.sum(1)
                self.columns += block.sum(0)

    def turn(self, by: Array) -> None:
        """Go over to other directions among those of the basis."""
        self.basis = self.basis @ by
        self.image = self.image @ by
        self.left = self.left @ by.astype(self.left.dtype)

    def leading(self, values: Array, errors: Array, *, exact: bool) -> Leading:
        """Put together what was found."""
        size = len(self.rows) * len(self.columns)
        step = 2.0 ** (self.fineness[0] / self.fineness[1]) if self.fineness[1] else 0.0
        return Leading(
            values,
            errors,
            self.basis,
            self.left,
            self.rows,
            self.columns,
            self.total,
            rounding=size * step**2 / 12,
            exact=exact,
        )


def _fineness(sample: Array) -> tuple[float, int]:
    """Sum up the logarithms, to base 2, of the last bits that are set, and count them.

    The difference of two rounded numbers is a multiple of the step to which they were rounded, so
    that its last bit tells that step, or twice or four times as much.
    """
    mantissa, exponent = np.frexp(sample[sample != 0])
    bits = np.ldexp(np.abs(mantissa), 53).astype(np.int64)
    last = np.log2((bits & -bits).astype(np.float64)) + exponent - 53
    return float(last.sum()), len(last)
