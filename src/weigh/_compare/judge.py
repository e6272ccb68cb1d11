"""What became of a tensor, once the values of both were read."""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, prod
from typing import TYPE_CHECKING, Any

from weigh._compare.arrangement import Arrangement
from weigh._compare.change import Kind, PositionChange, TensorChange
from weigh._compare.content import LEAST, many_kinds
from weigh._compare.laid import Laid, found_order, with_order
from weigh._compare.match import Match
from weigh._compare.recast import recast_words
from weigh._errors import UnsupportedError, ValuesError, WeighError
from weigh._index import Region
from weigh._measures._kernels import Comparison
from weigh._measures.compare import Outcome, Pair, compare
from weigh._measures.difference import Difference
from weigh._measures.feed import DEQUANTIZED, bytes_of
from weigh._measures.groups import axis_of
from weigh._measures.measured import Options
from weigh._measures.pairs import doubles, positions, unequal
from weigh._tensor import Tensor

if TYPE_CHECKING:
    import numpy as np

    from weigh._compare.rank import ChangeRank

UNRELATED = 0.3
"""Below this cosine values are tried in another order."""
_LEAST_RANKED = 4
"""A matrix with fewer rows or columns has no low rank to speak of."""
_LARGE = 1 << 22
"""Of a matrix of more values some rows are looked at first."""
_SOME, _RUN = 640, 64
"""So many rows, in runs of so many: a direction of the whole is one of them. Up to 512 are worked
out exactly, which takes longer than to sketch some more."""
_LEAST_SHIFTED = 8
"""Of fewer values it is chance that all grew by the same."""
_HOPELESS = 24
"""After so many tensors in a row of which no other order makes sense, no more are tried."""


class Judge:
    """Classes pairs of tensors, and takes a second look where one is needed.

    Args:
        options: how values are read.
        by: an axis by whose positions changes are told too; "" for none.
        rank: whether the ranks of changes are looked for.
    """

    def __init__(self, options: Options, *, by: str, rank: bool) -> None:
        self._options, self._by, self._rank = options, by, rank
        self._in_vain = 0

    def looks_twice(self, tensor: Tensor) -> bool:
        """Whether the values of a tensor are read again for its rank, should they have changed."""
        shape = tensor.shape or ()
        return self._rank and len(shape) > 1 and min(shape[0], prod(shape[1:])) >= _LEAST_RANKED

    def change(self, match: Match, laid: Laid, outcome: Outcome) -> TensorChange:
        """Say what became of a tensor.

        Args:
            match: the pair.
            laid: how the values of both were read.
            outcome: what came of it.
        """
        found = outcome.difference
        if found is None:
            return TensorChange.of("unread", match, problem=outcome.problem)
        laid, found = self._in_order(match, laid, found)
        try:
            return self._classed(match, laid, found)
        except (ValuesError, UnsupportedError) as error:
            return TensorChange.of("unread", match, problem=str(error))

    def _in_order(self, match: Match, laid: Laid, found: Difference) -> tuple[Laid, Difference]:
        """Look for another order of the values, where theirs makes no sense as it is."""
        if laid.common or laid.arrangement is not None or not found.changed_values:
            return laid, found
        # Few values, and whole numbers (indices, masks), are the same in another order by chance.
        if found.count < LEAST or not (_real(match.a) and _real(match.b)):
            return laid, found
        far = found.cosine is not None and abs(found.cosine) < UNRELATED
        same = isclose(found.norm_a or 0, found.norm_b or 0, rel_tol=1e-9) and bool(found.norm_a)
        if not (same or (far and self._in_vain < _HOPELESS)) or not many_kinds(match.a):
            return laid, found
        order = found_order(match.a, match.b)
        self._in_vain = self._in_vain + 1 if order is None else 0
        if order is None:
            return laid, found
        turned = with_order(match.a, match.b, order)
        outcome = next(iter(compare([Pair(turned.a, turned.b)], self._options.threads)))
        better = outcome.difference
        if better is None or better.norm_change >= found.norm_change:
            return laid, found
        return turned, better

    def _classed(self, match: Match, laid: Laid, found: Difference) -> TensorChange:
        cast = ""
        if match.a.dtype.name != match.b.dtype.name:
            cast = recast_words(laid.a, laid.b, found)
        changed = bool(found.changed_values) and not cast
        kind = _kind(match, laid, changed=changed, cast=bool(cast))
        order = laid.arrangement
        permuted = order is not None and bool(order.orders)
        known: dict[str, Any] = {"difference": found, "permuted": permuted}
        known["words"] = ", ".join(filter(None, (laid.words, cast, _shift(found))))
        if changed:
            known["rank"] = self._rank_of(laid, found) if self.looks_twice(match.a) else None
            known["positions"] = self._positions(match, laid) if self._by else ()
        return TensorChange.of(kind, match, **known)

    def _rank_of(self, laid: Laid, found: Difference) -> ChangeRank | None:
        """Look for the rank of a change, if it is one of a matrix of finite numbers."""
        shape = laid.a.shape or ()
        rows, columns = shape[0], prod(shape[1:])
        if found.finite != found.count or found.count != rows * columns:
            return None
        from weigh._compare.rank import ChangeRank, change_rank  # they need NumPy

        read = _rows_of(laid, columns)
        try:
            if rows * columns > _LARGE and rows > 2 * _SOME:
                some = _some_rows(rows)
                if change_rank(len(some), columns, _picked(read, some)).rank is None:
                    return ChangeRank.unseparated(rows, columns, found.norm_change)
            return change_rank(rows, columns, read)
        # Values are gone, or a difference is too large for its type.
        except (ValueError, WeighError):
            return None

    def _positions(self, match: Match, laid: Laid) -> tuple[PositionChange, ...]:
        axis = axis_of(match.a, self._by)
        if axis is None or laid.a.shape is None:
            return ()
        made = []
        for at, one, other in positions(laid.a, laid.b, axis):
            found = Comparison("float64", "float64", counted=False)
            x, y = doubles(one, other)
            parts = x.size // max(1, one.size)
            changed = unequal(one, other) if parts == 1 else unequal(x, y)
            found.add(bytes_of(x), bytes_of(y), x.size, 0, skip=False)
            made.append(PositionChange(at, Difference.of(found, one.shape, parts, changed)))
        return tuple(made)


def _some_rows(rows: int) -> list[int]:
    """Pick rows of a large matrix, in runs over all of it."""
    runs = _SOME // _RUN
    starts = [at * (rows - _RUN) // (runs - 1) for at in range(runs)]
    return [start + at for start in starts for at in range(_RUN)]


def _picked(
    read: Callable[[int, int], np.ndarray[Any, Any]], some: list[int]
) -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Give what reads of a matrix the rows that were picked, run by run."""

    def picked(start: int, stop: int) -> np.ndarray[Any, Any]:
        import numpy as np

        parts = []
        while start < stop:
            last = start
            while last + 1 < stop and some[last + 1] == some[last] + 1:
                last += 1
            parts.append(read(some[start], some[last] + 1))
            start = last + 1
        return np.concatenate(parts)

    return picked


def _real(tensor: Tensor) -> bool:
    """Whether the values of a tensor are real numbers, of which no two are equal by chance."""
    return "float" in tensor.dtype.name or tensor.dtype.family in DEQUANTIZED


def _shift(found: Difference) -> str:
    """Say by what number all values grew: llama.cpp adds 1 to Gemma's norms."""
    change = found.change
    if change is None or not change.mean or change.std or change.count < _LEAST_SHIFTED:
        return ""
    return f"{change.mean:+g} everywhere"


def _rows_of(laid: Laid, columns: int) -> Callable[[int, int], np.ndarray[Any, Any]]:
    """Give what reads rows of the change as a matrix."""
    shape = laid.a.shape or ()

    def read(start: int, stop: int) -> np.ndarray[Any, Any]:
        import numpy as np

        region = Region.of(slice(start, stop), shape)
        one, other = (
            np.asarray(values.read(region)).reshape(stop - start, columns)
            for values in (laid.a, laid.b)
        )
        wide = np.float64 if one.dtype.itemsize > 4 or other.dtype.itemsize > 4 else np.float32
        with np.errstate(over="ignore"):
            change: np.ndarray[Any, Any] = other.astype(wide) - one.astype(wide)
        return change

    return read


def _in_line(order: Arrangement) -> bool:
    """Whether values are seen under another shape, but one after the other as before."""
    return not order.orders and not order.axis_words


def _kind(match: Match, laid: Laid, *, changed: bool, cast: bool) -> Kind:
    """Class a pair whose values were compared."""
    order = laid.arrangement
    if laid.common or (order is not None and order.reshaped and _in_line(order)):
        return "reshaped"
    if changed:
        return "changed"
    if cast:
        return "recast"
    if order is not None:
        return "relaid"
    return "renamed" if match.renamed else "unchanged"
