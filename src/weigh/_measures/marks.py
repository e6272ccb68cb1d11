"""Marks that a generator of random numbers leaves in what it draws, down to the last bit.

A generator makes a uniform number from a whole one, k / 2^24 in float32, and stretches it to its
range. So each value is one of few: near 0 a float32 could tell a thousand times more apart. A
training step moves values off that grid. Normal numbers are made in pairs by Box and Muller's
transform (1958), r cos t and r sin t with t = 2 pi k / 2^24, and PyTorch (``normal_`` on a CPU)
puts the two eight places apart: the angle of such a pair is on a grid, whatever the deviation.

Both are looked at here in bits: how much likelier the values are as a generator's than by chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from weigh._measures.feed import reader_of
from weigh._record import record
from weigh._tensor import Tensor

Array = np.ndarray[Any, Any]

_HALF, _CHUNK = 8, 16
"""PyTorch fills chunks of 16 values with the cosines of 8 pairs, then their sines."""
_PRECISION = {"float32": 24, "float64": 53}
_NEAR = 0.2
_CHANGED = -15.0
"""A drawn chunk has fewer bits once in a hundred million times: six of its eight pairs would have
to be far off the grid, where one in thirty is. Of changed ones nine in ten have fewer."""
_OFF, _ELSEWHERE = 0.05, 0.03
"""The angle of a drawn pair is off the grid by so much of a step on average, as sine, cosine and
their products are rounded; one in thirty is anywhere, as all are by chance."""
_BLOCK = 1 << 12


@record(frozen=True)
class Marks:
    """What was seen.

    Attributes:
        values: how many values were looked at.
        off: how many are not on the grid; of normal numbers, how many pairs are not near it.
        bits: how many bits speak for a generator's numbers; against it if negative.
        least: of normal numbers, how many speak for the chunk of 16 that least do.
    """

    values: int
    off: int
    bits: float
    least: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether a part of the values has been changed, whatever the rest says."""
        return self.least < _CHANGED

    def __add__(self, other: Marks) -> Marks:
        values, off = self.values + other.values, self.off + other.off
        return Marks(values, off, self.bits + other.bits, min(self.least, other.least))


NOTHING = Marks(0, 0, 0.0)


def as_drawn(values: Array) -> Array:
    """Give values of 64 bits that 32 hold exactly as such: ``layer.double()`` changes no mark."""
    if values.dtype != np.float64:
        return values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values) else values


def uniform_marks(values: Array, low: float, high: float) -> Marks:
    """Look whether values are of the grid of a generator, stretched to a range.

    A value that is not on the grid was not drawn so, or has been changed since: the bits are
    minus infinity then. Grids of 2^-23 and 2^-24 of the range are told, and those of numbers that
    are float32 before they are stretched, as GPUs draw them.

    Args:
        values: float32 or float64.
        low: the lower end of the range.
        high: the upper end.

    Examples:
        >>> drawn = np.arange(1, 50, dtype=np.float32) / 64 - np.float32(0.5)
        >>> uniform_marks(drawn, -0.5, 0.5).off
        0
        >>> uniform_marks(drawn + np.float32(1e-6), -0.5, 0.5).off > 20
        True
    """
    kind = values.dtype.type
    precision = _PRECISION[values.dtype.name]
    wide: Any = np.float64 if precision == 24 else np.longdouble
    values = values.reshape(-1)
    start = kind(low)
    span = kind(high) - start
    if not span > 0 or not values.size:
        return NOTHING
    share = (values.astype(wide) - wide(start)) / wide(span)
    nearest = share.astype(kind)
    met = np.zeros(values.shape, bool)
    for unit in (np.nextafter(nearest, kind(-1)), nearest, np.nextafter(nearest, kind(2))):
        fused = unit.astype(wide) * wide(span) + wide(start)
        # A long double rounds the product of two doubles, if less than they would.
        once = np.abs(fused - values) <= np.abs(np.spacing(values)) * wide(0.5 + 2.0**-10)
        met |= once | (unit * span + start == values)
    # Of the numbers that the type can tell apart there, the share that is on the grid; rounding
    # once or twice makes up to two of each.
    inside = np.clip(nearest, kind(2.0**-precision), kind(1))
    chance = 2 * np.abs(np.spacing(values)) / (span * np.spacing(np.nextafter(inside, kind(0))))
    bits = -np.log2(np.clip(chance, 0, 1)[met & (values != 0)].astype(np.float64)).sum()
    off = int(values.size - met.sum())
    if precision == 53 and off <= values.size // 500:
        off = 0  # the long double was not long enough for all of them
    return Marks(int(values.size), off, -np.inf if off else float(bits))


def normal_marks(values: Array, *, tail: bool = True) -> Marks:
    """Look whether values are pairs that PyTorch drew from a normal distribution of mean 0.

    Args:
        values: float32 or float64, from a whole number of sixteens of the tensor on.
        tail: whether the tensor ends with them: PyTorch draws the last 16 values once more
            where they are not a whole chunk.
    """
    values = values.reshape(-1)
    whole = values.size // _CHUNK * _CHUNK
    parts = [values[:whole]]
    if tail and whole != values.size:
        parts = [values[: max(0, whole - _CHUNK)], values[max(0, values.size - _CHUNK) :]]
    error = np.concatenate(
        [_off_angle(part.reshape(-1, 2, _HALF)) for part in parts if part.size >= _CHUNK]
        or [np.zeros(0)]
    )
    if not error.size:
        return NOTHING
    bits = _bits(error)
    least = min(0.0, float(bits.reshape(-1, _HALF).sum(1).min()))
    known = error[~np.isnan(error)]
    return Marks(2 * known.size, int((known >= _NEAR).sum()), float(bits.sum()), least)


def marked_rows(values: Array) -> Array:
    """Say of each row, whose length is a whole number of sixteens, how many bits its marks have."""
    bits: Array = _bits(_off_angle(values.reshape(-1, 2, _HALF))).reshape(len(values), -1).sum(1)
    return bits


def _bits(error: Array) -> Array:
    """Say how many bits speak for a generator, from how far angles are off in steps.

    The logarithm of the ratio of two densities: an exponential one with a level floor, and the
    level one on [0, 1/2] that errors have by chance.
    """
    drawn = (1 - _ELSEWHERE) * np.exp(-error / _OFF) / _OFF + _ELSEWHERE * 2
    made: Array = np.where(np.isnan(error), 0.0, np.log2(drawn / 2))
    return made


def _off_angle(pairs: Array) -> Array:
    """Say how far the angles of pairs are from those that a generator makes, in steps of these."""
    kind = pairs.dtype.type
    steps = 2.0 ** _PRECISION[pairs.dtype.name]
    wide: Any = np.float64 if kind is np.float32 else np.longdouble
    turn = wide(2) * wide(np.arccos(wide(-1)))
    with np.errstate(invalid="ignore"):  # NaN that signals, and infinities, stay without an angle
        angle = np.arctan2(pairs[:, 1].astype(wide), pairs[:, 0].astype(wide)) % turn
    nearest = np.rint(angle / turn * steps)
    best = np.full(angle.shape, np.inf, wide)
    for step in (-1, 0, 1):
        unit = ((nearest + step) / steps).astype(kind)
        angles = (kind(2) * kind(np.pi) * unit).astype(wide)
        best = np.minimum(best, np.abs(angles - angle))
    error: Array = (best / turn * steps).reshape(-1).astype(np.float64)
    # A pair of zeros has no angle: what was set to 0, such as the row of a padding, says nothing.
    made: Array = np.where((pairs == 0).all(1).reshape(-1), np.nan, error)
    return made


def sample(tensor: Tensor, most: int) -> list[tuple[Array, bool]]:
    """Read up to ``most`` values, in whole blocks from all over a tensor.

    Gives arrays of neighbours, the first of each at a whole number of sixteens, and whether the
    tensor ends with it.

    Raises:
        ValuesError: the values cannot be had.
    """
    count = tensor.count or 0
    raw = reader_of(tensor.values)
    if raw is None or count <= most:
        if count <= max(most, _BLOCK):
            return [(np.ascontiguousarray(tensor.read()).reshape(-1), True)]
        if raw is None:
            first = tensor[: max(1, most * len(tensor) // count)].read()
            return [(np.ascontiguousarray(first).reshape(-1)[: most // _CHUNK * _CHUNK], False)]
    blocks = max(1, most // _BLOCK)
    step = max(_BLOCK, count // blocks // _CHUNK * _CHUNK)
    return [
        (np.frombuffer(raw(start, start + _BLOCK), tensor.dtype.name), False)
        for start in list(range(0, count - _BLOCK, step))[:blocks]
    ]
