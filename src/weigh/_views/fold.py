"""Folding repeated blocks: ``layers.0-31.fc.weight`` for 32 rows that differ in one number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from weigh._model import Tensor
from weigh._record import field, record

T = TypeVar("T")


@record(frozen=True)
class Row:
    """One row of a table of tensors.

    Attributes:
        name: the tensor's name, or that of a run of blocks.
        tensor: the tensor, or the first of the run.
        times: how many tensors the row stands for.
    """

    name: str
    tensor: Tensor
    times: int


@record()
class _Node:
    tensor: Tensor | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def fold(tensors: Sequence[Tensor]) -> list[Row]:
    """Give the rows with runs of equal numbered blocks folded into one.

    Two blocks are equal when their tensors have the same names, axes, dtypes and roles. A row
    that is tied to another stands alone.
    """
    root = _Node()
    for tensor in tensors:
        node = root
        for part in tensor.name.split(".", 64):
            node = node.children.setdefault(part, _Node())
        node.tensor = tensor
    return [Row(".".join(parts), tensor, times) for parts, tensor, times in _rows(root)]


def _rows(node: _Node) -> list[tuple[list[str], Tensor, int]]:
    rows: list[tuple[list[str], Tensor, int]] = []
    if node.tensor is not None:
        rows.append(([], node.tensor, 1))
    for label, child, times in _runs(node):
        rows += [([label, *parts], tensor, n * times) for parts, tensor, n in _rows(child)]
    return rows


def _runs(node: _Node) -> list[tuple[str, _Node, int]]:
    return runs(node.children.items(), _signature)


def runs(named: Iterable[tuple[str, T]], key: Callable[[T], object]) -> list[tuple[str, T, int]]:
    """Give neighbours with names of successive numbers and equal keys as one: ``0-11``.

    Args:
        named: things with their names, in order.
        key: what equals that of another if the two are alike.

    Returns:
        For each, or each run of alike ones, its name, the first of it, and how many there are.

    Examples:
        >>> runs([("0", "a"), ("1", "a"), ("2", "b"), ("x", "b")], str)
        [('0-1', 'a', 2), ('2', 'b', 1), ('x', 'b', 1)]
    """
    found: list[tuple[str, str, T, int]] = []
    for name, one in named:
        if found and is_number(name) and key(found[-1][2]) == key(one):
            first, last, block, times = found[-1]
            if is_number(last) and int(name) == int(last) + 1:
                found[-1] = (first, name, block, times + 1)
                continue
        found.append((name, name, one, 1))
    return [(a if a == b else f"{a}-{b}", block, times) for a, b, block, times in found]


def is_number(name: str) -> bool:
    """Whether a name is the number of a block; none has more digits than these."""
    return name.isdecimal() and len(name) < 10


def _signature(node: _Node) -> tuple[object, ...]:
    own = node.tensor
    stated = (own.shape, own.axes, own.dtype, own.role, own.learnable, own.tied_to) if own else None
    return (stated, tuple((n, _signature(child)) for n, child in node.children.items()))
