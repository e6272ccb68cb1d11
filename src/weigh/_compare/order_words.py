"""What the order of the positions along an axis is called.

This module imports NumPy, so it is itself imported only when values are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Any

import numpy as np

from weigh._compare.arrangement import axis_of, gate_words, gates
from weigh._pattern import pattern
from weigh._tensor import Axis, Tensor

Order = np.ndarray[Any, Any]

_ATTENTION = pattern(r"(?i).*(?:attn|attention|qkv|q_proj|k_proj|v_proj|query|key|value).*")
_FEW = 4
"""Blocks whose order is written out."""
_LEVELS = 4


def order_words(a: Tensor, b: Tensor, axis: int, theirs: int, order: Order) -> str:
    """Say in which order the positions along an axis of A lie along one of B.

    Args:
        a: the one tensor.
        b: the other.
        axis: the axis of A.
        theirs: the axis of B.
        order: which position of B each one of A is.
    """
    mine, other = axis_of(a, axis), axis_of(b, theirs)
    return (
        _gates(mine, other, order)
        or _regular(a, order, _noun(a, axis))
        or f"{_noun(a, axis)} permuted ({_place(mine, axis)})"
    )


def _noun(tensor: Tensor, axis: int) -> str:
    long = [k for k, size in enumerate(tensor.shape or ()) if size != 1]
    named = axis_of(tensor, axis)
    if named is not None and named.name in ("out_channels", "filters") and len(long) > 2:
        return "filters"
    if len(long) == 1:
        return "values"
    return {0: "rows", 1: "columns"}.get(long.index(axis), "slices") if len(long) == 2 else "slices"


def _place(axis: Axis | None, at: int) -> str:
    return f"axis {at if axis is None or axis.name == '?' else axis.name}"


def _gates(mine: Axis | None, theirs: Axis | None, order: Order) -> str:
    """Name blocks by the gates that A, or else B, is said to have."""
    letters, others = gates(mine), gates(theirs)
    blocks = block_order(order, len(letters or others))
    if blocks is None:
        return ""
    if letters:
        back = sorted(range(len(blocks)), key=blocks.__getitem__)
        return gate_words(letters, [letters[k] for k in back])
    return gate_words([others[k] for k in blocks], others)


def block_order(order: Order, blocks: int) -> tuple[int, ...] | None:
    """Give the order of so many equal blocks, if they were moved whole.

    Examples:
        >>> block_order(np.array([2, 3, 0, 1]), 2)
        (1, 0)
    """
    if blocks < 2 or len(order) % blocks:
        return None
    step = len(order) // blocks
    firsts = order[::step]
    whole = np.array_equal(order, (firsts[:, None] + np.arange(step)).reshape(-1))
    return tuple((firsts // step).tolist()) if whole and not (firsts % step).any() else None


def _regular(tensor: Tensor, order: Order, noun: str) -> str:
    """Name an order that a rule makes; "" if none is seen."""
    n = len(order)
    if np.array_equal(order, np.arange(n)[::-1]):
        return f"{noun} reversed"
    size = _block_size(order)
    heads = "heads" if _ATTENTION.fullmatch(tensor.name) else "blocks"
    if size > 1:
        blocks = order[::size] // size
        if len(blocks) == 2:
            return f"halves of the {noun} swapped"
        if len(blocks) <= _FEW:
            # As A's blocks are in B.
            listed = ", ".join(map(str, np.argsort(blocks).tolist()))
            return f"{len(blocks)} blocks of {size} {noun} in the order {listed}"
        levels = digits(blocks)
        if levels is not None and len(levels) == 2:
            outer, inner = levels[0][0], levels[1][0]
            if 3 in (outer, inner):
                which = "together -> apart" if inner == 3 else "apart -> together"
                return f"query, key and value of each head of {size} {noun} {which}"
            return f"blocks of {size} {noun} interleaved by {outer}"
        return f"{heads} of {size} {noun} in another order"
    levels = digits(order)
    if levels is None or len(levels) > 3 or len(levels) < 2:
        return ""
    (outer, first), (inner, second) = levels[-2:]
    if (first, second) != (1, outer):
        return ""
    if min(outer, inner) == 2:
        which = "pairs -> halves" if inner == 2 else "halves -> pairs"
        return f"{noun} of each head of {outer * inner} interleaved (rotary), {which}"
    of = f" of each block of {outer * inner}" if len(levels) == 3 else ""
    return f"{noun}{of} interleaved by {outer}"


def _block_size(order: Order) -> int:
    """Give the size of the largest equal blocks that were moved whole."""
    size = len(order)
    for cut in (np.flatnonzero(np.diff(order) != 1) + 1).tolist():
        size = gcd(size, cut)
        if size == 1:
            return 1
    return size if not (order[::size] % size).any() else 1


def digits(order: Order) -> list[tuple[int, int]] | None:
    """Tell an order that comes of permuted axes, as (size, step) from the outermost axis on.

    Examples:
        >>> digits(np.arange(6).reshape(2, 3).T.reshape(-1))
        [(3, 1), (2, 3)]
        >>> digits(np.array([0, 2, 1, 4, 3]))
    """
    levels: list[tuple[int, int]] = []
    if len(order) and order[0]:
        return None
    while len(order) > 1:
        step = order[1] - order[0]
        breaks = np.flatnonzero(np.diff(order) != step)
        size = int(breaks[0]) + 1 if len(breaks) else len(order)
        if len(order) % size or len(levels) == _LEVELS:
            return None
        grid = order.reshape(-1, size)
        if not (grid == grid[:, :1] + step * np.arange(size)).all():
            return None
        levels.append((size, int(step)))
        order = grid[:, 0]
    return levels[::-1]


def regular_orders(n: int, gates_first: int = 4) -> Iterator[Order]:
    """Give the orders of n positions that networks are known for, the simplest first.

    Args:
        n: how many positions there are.
        gates_first: the number of gates that is tried before others.
    """
    from itertools import permutations

    places = np.arange(n)
    yield places[::-1]
    for blocks in dict.fromkeys((gates_first, 4, 3, 2)):
        if blocks and not n % blocks:
            for each in permutations(range(blocks)):
                yield places.reshape(blocks, -1)[list(each)].reshape(-1)
    for size in (d for d in range(4, n + 1, 2) if not n % d):
        grid = places.reshape(-1, size // 2, 2)
        yield grid.transpose(0, 2, 1).reshape(-1)
        yield places.reshape(-1, 2, size // 2).transpose(0, 2, 1).reshape(-1)
    if not n % 3:
        for heads in (h for h in range(2, n // 3 + 1) if not n // 3 % h):
            yield places.reshape(3, heads, -1).swapaxes(0, 1).reshape(-1)
            yield places.reshape(heads, 3, -1).swapaxes(0, 1).reshape(-1)
    for outer in (d for d in range(2, n) if not n % d):
        yield places.reshape(outer, -1).T.reshape(-1)
