"""What became of one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from weigh._compare.match import FoundBy, Match
from weigh._measures.difference import Difference, as_record
from weigh._record import record
from weigh._tensor import Tensor

if TYPE_CHECKING:
    from weigh._compare.rank import ChangeRank

Kind = Literal[
    "unchanged", "changed", "renamed", "reshaped", "recast", "relaid", "removed", "added", "unread"
]
KINDS: tuple[Kind, ...] = (
    "changed", "reshaped", "recast", "relaid", "renamed", "removed", "added", "unread", "unchanged"
)  # fmt: skip


@record(frozen=True)
class PositionChange:
    """How the values at one position of an axis changed: one filter, say.

    Attributes:
        at: the position.
        difference: how its values differ.
    """

    at: int
    difference: Difference


@record(frozen=True, eq=False)
class TensorChange:
    """What became of one tensor between two networks.

    Attributes:
        kind: ``"unchanged"`` bit for bit; ``"changed"``; ``"renamed"``, the same values under
            another name; ``"reshaped"``, of another shape, the common part compared;
            ``"recast"``, the same numbers rounded to another dtype; ``"relaid"``, the same
            values in another order; ``"removed"`` or ``"added"``; ``"unread"``, its values
            cannot be had.
        a: the tensor of A; None for what was added.
        b: that of B; None for what was removed.
        found_by: how the two were found to be one: see ``Match``.
        how: the convention by which, in words.
        words: what is between them besides: ``"transposed"``, ``"rounded to bfloat16"``.
        permuted: whether positions along an axis are in another order: filters, gates, rows.
        difference: how the values differ, in A's order; None if they were not compared.
        rank: of a changed matrix, the rank of the change; None if it was not looked for.
        positions: by position on an axis, if that was asked for.
        problem: why the values cannot be had.
    """

    kind: Kind
    a: Tensor | None
    b: Tensor | None
    found_by: FoundBy = "name"
    how: str = ""
    words: str = ""
    permuted: bool = False
    difference: Difference | None = None
    rank: ChangeRank | None = None
    positions: tuple[PositionChange, ...] = ()
    problem: str = ""

    @classmethod
    def of(cls, kind: Kind, match: Match, **more: Any) -> TensorChange:
        """Make that of a pair."""
        return cls(kind, match.a, match.b, match.found_by, match.how, **more)

    @property
    def name(self) -> str:
        """Its name in A, or in B if it was added."""
        tensor = self.tensor
        return tensor.name

    @property
    def tensor(self) -> Tensor:
        """The tensor of A, or that of B if it was added."""
        tensor = self.a if self.a is not None else self.b
        assert tensor is not None  # one of them is there
        return tensor

    @property
    def renamed(self) -> bool:
        """Whether it has another name in B."""
        return self.a is not None and self.b is not None and self.a.name != self.b.name

    @property
    def status(self) -> Literal["stated", "inferred"]:
        """How it is known that the two are one: stated by the same name, else inferred."""
        return "stated" if self.found_by == "name" else "inferred"

    def record(self) -> dict[str, Any]:
        """Give it as a flat mapping, a number a key, for a table of another library."""
        made: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "to": None if self.b is None or not self.renamed else self.b.name,
            "found_by": self.found_by if self.a is not None and self.b is not None else None,
            "dtype_a": None if self.a is None else self.a.dtype.name,
            "dtype_b": None if self.b is None else self.b.dtype.name,
            "shape_a": _shape(self.a),
            "shape_b": _shape(self.b),
            "role": self.tensor.role,
            "words": self.words,
        }
        numbers = as_record(self.difference or Difference(0, 0, 0))
        made |= numbers if self.difference is not None else dict.fromkeys(numbers)
        if made["max_at"] is not None:
            made["max_at"] = ",".join(map(str, made["max_at"]))
        return made | {
            "rank": _rank(self.rank),
            "problem": self.problem,
        }


def _rank(rank: ChangeRank | None) -> str | None:
    """Write the rank of a change: ``"full"`` where nothing stands out; None if not looked for."""
    if rank is None:
        return None
    return "full" if rank.rank is None else str(rank.rank)


def _shape(tensor: Tensor | None) -> str | None:
    return None if tensor is None or tensor.shape is None else "x".join(map(str, tensor.shape))
