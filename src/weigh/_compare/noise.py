"""Which directions of a change stand above its noise, and whether they are all that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from weigh._compare.sketch import Leading

    Array = np.ndarray[Any, np.dtype[Any]]

_GAP = 1.3
"""The last direction is so many times as strong as the next, or they do not separate."""
_CUT = 1.5
"""Weak directions are left out behind such a gap, if it is also more than that behind them all."""
_SHARE = 0.2
"""The least share of the energy that directions have which are said to be the change."""
_ROUNDING = 10.0
"""So much may be left, in units of what rounding is likely to bring.

Merged updates leave about 1 to 7, trained changes that do not drown in rounding 10 and more, most
of them thousands.
"""
_ALL, _CLEAR = 0.9999, 10.0
"""Unless the directions have so much of the energy, and are so much stronger than the next."""


def edges(found: Leading) -> Array:
    """Give the most that noise may come to, with 0, 1, 2 ... directions taken out of it.

    That of a matrix of independent numbers about 0 is at most the largest norm of a row plus the
    largest norm of a column, but for a little more in proofs than in practice: Bandeira and van
    Handel, *Sharp nonasymptotic bounds on the norm of random matrices with independent entries*,
    Ann. Probab. 44 (2016). For equal deviations s that is s (sqrt(rows) + sqrt(columns)); unlike
    this it holds for rows, columns and single numbers that are far larger than others too, and it
    is never more than twice too large.
    """
    count = found.right.shape[1]
    rows, columns = found.row_rest.copy(), found.column_rest.copy()
    made = np.empty(count + 1)
    for k in range(count, -1, -1):
        if k < count:
            rows += found.left[:, k].astype(np.float64) ** 2
            columns += (found.values[k] * found.right[:, k]) ** 2
        made[k] = np.sqrt(rows.max()) + np.sqrt(columns.max())
    return np.asarray(np.maximum(made, _floor(found)))


def _floor(found: Leading) -> float:
    """Give the singular value below which there are but the roundings of float64."""
    size = len(found.row_rest) + len(found.column_rest)
    return float(8 * np.finfo(np.float64).eps * np.sqrt(size) * found.values[0])


def standing(values: Array, edges: Array) -> int:
    """Count the singular values above the noise: those above what is left without them."""
    count = 0
    while (more := int((values[: len(edges) - 1] > edges[count]).sum())) > count:
        count = more
    return count


def claimed(found: Leading, count: int) -> int | None:
    """Say of which rank the change is, from how many directions stand above the noise.

    Returns:
        The count, or less where the last ones may be roundings that follow the change (see
        `weigh._compare.rank`); None where the change is not of low rank, or that cannot be told.
    """
    shape = len(found.row_rest), len(found.column_rest)
    whole = int((found.values > _floor(found)).sum())
    if whole <= min(shape) // 4 and whole < found.right.shape[1]:
        return whole  # nothing else is there, so that there is no noise
    if not 0 < count <= min(shape) // 4:
        return None
    squares = found.values[: found.right.shape[1]] ** 2
    left = found.row_rest.sum() + np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    even = np.sqrt(left / np.prod(shape)) * np.sqrt(shape).sum()
    gaps = _gaps(found.values, even, count)
    rank = _before_echoes(gaps, left, count)
    gap = gaps[rank - 1]
    share = 1 - left[rank] / found.total
    if gap < _GAP or share < _SHARE:
        return None
    clear = share >= _ALL and gap >= _CLEAR
    noise = left[rank] * _evenness(found.row_rest) * _evenness(found.column_rest)
    return rank if clear or noise <= _ROUNDING * found.rounding else None


def _evenness(energies: Array) -> float:
    """Give the geometric mean of energies as a share of their mean: 1 where all are equal.

    Since how fine a change is, is known as a geometric mean too.
    """
    some = energies[energies > 0]
    return float(np.exp(np.log(some).mean()) / some.mean()) if len(some) else 1.0


def _gaps(values: Array, even: Array, count: int) -> Array:
    """Give how much stronger each of the first directions is than the next.

    Args:
        values: the singular values.
        even: those of even noise, with 0, 1, 2 ... directions taken out: a sketch's values within
            the noise are too small.
        count: of the directions.
    """
    following = np.append(values, 0.0)[1 : count + 1]
    floor = np.maximum(even[1 : count + 1], np.finfo(np.float64).tiny)
    gaps: Array = values[:count] / np.maximum(following, floor)
    return gaps


def _before_echoes(gaps: Array, left: Array, count: int) -> int:
    """Leave out weak directions behind a gap that have no more energy than the noise.

    Where a change is less than a step of its type, what is rounded follows the change: its third
    power and higher ones have directions of their own, far below the change's.
    """
    weak = [k for k in range(1, count) if left[k] <= 2 * left[count]]
    widest = max(weak, key=lambda k: float(gaps[k - 1]), default=count)
    return widest if gaps[widest - 1] >= max(_CUT, gaps[count - 1]) else count
