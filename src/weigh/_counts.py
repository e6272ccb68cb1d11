"""How many parameters there really are: five answers, each with its own label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weigh._model import Tensor


@dataclass(frozen=True, slots=True)
class Counts:
    """The totals of a network.

    Attributes:
        tensors: rows: every tensor of every role, a tied one under each of its names.
        parameters: values of all parameters, each parameter once however many names it has;
            what ``sum(p.numel() for p in network.parameters())`` gives.
        by_path: the same with a tied parameter counted under each of its names.
        unique_storage: different stored values behind the parameters, shared memory once.
        logical: weights the network computes with: parameters, packed ones unpacked (int4 in
            bytes, the weights a dynamic-int8 layer keeps outside its Parameters).
        bytes: what all tensors take, of every role, shared memory once.
        trainable: the part of ``parameters`` that the source says requires a gradient, or does
            not say otherwise.
        frozen: the part that it says does not.
        buffers: values of all buffers.
        bytes_by_role: the bytes of the tensors of each role, shared memory once within a role.
        at_least: True when a lazy layer has not seen its first input, so that the numbers are
            lower bounds.
    """

    tensors: int
    parameters: int
    by_path: int
    unique_storage: int
    logical: int
    bytes: int
    trainable: int
    frozen: int
    buffers: int
    bytes_by_role: dict[str, int]
    at_least: bool

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Counts:
        """Count a list of rows."""
        rows = list(tensors)
        named = [t for t in rows if t.role == "parameter"]
        unique = _unique(named)
        packed = _unique(t for t in rows if t.packed)
        roles = dict.fromkeys(t.role for t in rows)
        return cls(
            tensors=len(rows),
            parameters=_total(unique),
            by_path=_total(named),
            unique_storage=stored_values(unique),
            logical=sum(t.logical or 0 for t in unique) + sum(t.logical or 0 for t in packed),
            bytes=stored_bytes(rows),
            trainable=_total([t for t in unique if t.learnable is not False]),
            frozen=_total([t for t in unique if t.learnable is False]),
            buffers=_total(_unique(t for t in rows if t.role == "buffer")),
            bytes_by_role={r: stored_bytes([t for t in rows if t.role == r]) for r in roles},
            at_least=any(t.shape is None for t in rows),
        )


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Take each tensor once; a tied one may be here under its later names only."""
    return list({id(t) if t.identity is None else t.identity: t for t in tensors}.values())


def _total(tensors: Iterable[Tensor]) -> int:
    return sum(t.count or 0 for t in tensors)


def stored_values(tensors: Iterable[Tensor]) -> int:
    """Count the different stored values behind some tensors, shared memory once."""
    return sum(count for count, _ in _storages(tensors))


def stored_bytes(tensors: Iterable[Tensor]) -> int:
    """Count the bytes behind some tensors, shared memory once."""
    return sum(size for _, size in _storages(tensors))


def _storages(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Give (values, bytes) for each storage, or for each tensor that has none to speak of."""
    loose: list[tuple[int, int]] = []
    shared: defaultdict[Hashable, list[Tensor]] = defaultdict(list)
    for tensor in _unique(tensors):
        if tensor.extent is not None:
            shared[tensor.extent.storage].append(tensor)
        else:
            loose.append((tensor.count or 0, tensor.bytes or 0))
    return loose + [_covered(group) for group in shared.values()]


def _covered(group: list[Tensor]) -> tuple[int, int]:
    """Give the values and bytes that some views of one storage touch together.

    A view with gaps (a column of a matrix) touches fewer values than its span holds; several
    views are at most the union of their spans.
    """
    extents = {(e.start, e.stop, e.distinct): t for t in group if (e := t.extent) is not None}
    span, end = 0, -1
    for start, stop, _ in sorted(extents):
        span += max(0, stop - max(start, end))
        end = max(end, stop)
    bits = min(t.dtype.bits for t in extents.values())
    distinct = sum(n for _, _, n in extents)
    count = min(distinct, span * 8 // bits)
    size = min(span, sum(t.dtype.size_of(n) for (_, _, n), t in extents.items()))
    return count, size
