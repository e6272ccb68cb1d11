"""How many parameters there really are: five answers, each with its own label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from weigh._covered import NOTHING, Span, Stored, covered
from weigh._record import record

if TYPE_CHECKING:
    from weigh._tensor import Tensor


@record(frozen=True)
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
        at_most: True when views with very many gaps overlap, so that ``unique_storage`` and
            the bytes are upper bounds.
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
    at_most: bool = False

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Counts:
        """Count a list of rows."""
        rows = list(tensors)
        pools: defaultdict[str, _Pool] = defaultdict(_Pool)
        by_path, logical, at_least = 0, 0, False
        learnable = {True: 0, False: 0}
        for tensor in rows:
            form = tensor._form
            count, role = form.count, form.role
            if count is None:
                at_least, count = True, 0
            if role == "parameter":
                by_path += count
            if not pools[role].add(tensor, count):
                continue
            if role == "parameter":
                learnable[form.learnable is not False] += count
                logical += count * form.per_element
            elif form.packed:
                logical += count * form.per_element
        # Asked for first, so that a network without any has an answer too.
        parameters, buffers = pools.get("parameter", _Pool()), pools.get("buffer", _Pool())
        stored = {role: pool.stored() for role, pool in pools.items()}
        together = _Pool.joined(pools.values()).stored() if len(pools) > 1 else None
        return cls(
            tensors=len(rows),
            parameters=parameters.count,
            by_path=by_path,
            unique_storage=stored.get("parameter", NOTHING).values,
            logical=logical,
            bytes=(together or next(iter(stored.values()), NOTHING)).bytes,
            trainable=learnable[True],
            frozen=learnable[False],
            buffers=buffers.count,
            bytes_by_role={role: one.bytes for role, one in stored.items()},
            at_least=at_least,
            at_most=any(one.at_most for one in (*stored.values(), together or NOTHING)),
        )


class _Pool:
    """Some tensors, each taken once, and the storages behind them.

    Attributes:
        count: the values of the tensors, as their shapes say.
    """

    __slots__ = ("_loose", "_seen", "_shared", "count")

    def __init__(self) -> None:
        self.count = 0
        self._seen: set[Hashable] = set()
        self._loose = (0, 0)
        self._shared: defaultdict[Hashable, list[Span]] = defaultdict(list)

    def add(self, tensor: Tensor, count: int) -> bool:
        """Take a tensor unless it was taken before, maybe under another name; say which."""
        identity = id(tensor) if tensor.identity is None else tensor.identity
        if identity in self._seen:
            return False
        self._seen.add(identity)
        self.count += count
        extent = tensor.values.extent
        if extent is None:
            values, size = self._loose
            self._loose = (values + count, size + (tensor.bytes or 0))
        else:
            beside = extent.beside
            if beside:
                self._loose = (self._loose[0], self._loose[1] + beside)
            self._shared[extent.storage].append((extent, tensor._form.dtype))
        return True

    @classmethod
    def joined(cls, pools: Iterable[_Pool]) -> _Pool:
        """Put pools together, so that memory they share is counted once."""
        both = cls()
        for pool in pools:
            both._loose = (both._loose[0] + pool._loose[0], both._loose[1] + pool._loose[1])
            for storage, spans in pool._shared.items():
                both._shared[storage].extend(spans)
        return both

    def stored(self) -> Stored:
        """Count the different values and the bytes behind the tensors, shared memory once."""
        values, size = self._loose
        at_most = False
        for spans in self._shared.values():
            if len(spans) == 1:  # most storages: quicker here than by a call for each
                extent, dtype = spans[0]
                values += extent.distinct
                size += min(extent.stop - extent.start, dtype.size_of(extent.distinct))
                continue
            more = covered(spans)
            values, size = values + more.values, size + more.bytes
            at_most = at_most or more.at_most
        return Stored(values, size, at_most)
