"""Two tensors that are taken for one, and how they were found."""

from __future__ import annotations

from typing import Literal

from weigh._compare.arrangement import Arrangement
from weigh._record import record
from weigh._tensor import Tensor

FoundBy = Literal["name", "convention", "content", "layer"]


def own_name(tensor: Tensor) -> str:
    """Give what its layer calls a tensor."""
    return tensor.name[len(tensor.layer) + 1 :] if tensor.layer else tensor.name


@record(frozen=True, eq=False)
class Match:
    """A tensor of A and the one of B that it is held against.

    Attributes:
        a: the tensor of A.
        b: that of B.
        found_by: by the same ``"name"``, by names that differ as a ``"convention"`` has it, by
            the same values (``"content"``), or as what is left in a ``"layer"`` of which
            another tensor was found.
        how: the convention, in a few words.
        order: the order in which B has the values, where that is known from having found them.
    """

    a: Tensor
    b: Tensor
    found_by: FoundBy = "name"
    how: str = ""
    order: Arrangement | None = None

    @property
    def status(self) -> Literal["stated", "inferred"]:
        """How it is known that they belong together: stated by one name, else inferred."""
        return "stated" if self.found_by == "name" else "inferred"

    @property
    def renamed(self) -> bool:
        """Whether they have different names."""
        return self.a.name != self.b.name


@record(frozen=True)
class Tie:
    """A tensor that is one with another in one of two networks, and not in the other.

    Attributes:
        name: its name.
        tied_to: the other's.
        change: whether they were ``"tied"`` or ``"untied"``, or are still one tensor, which only
            one of the two networks stores under both names (``"stored once"``).
    """

    name: str
    tied_to: str
    change: Literal["tied", "untied", "stored once"]


@record(frozen=True, eq=False)
class Matching:
    """Which tensors of two networks belong together.

    Attributes:
        matches: the pairs, in the order of A.
        removed: tensors of A alone.
        added: tensors of B alone.
        ties: what is one tensor in one of them only.
    """

    matches: tuple[Match, ...]
    removed: tuple[Tensor, ...]
    added: tuple[Tensor, ...]
    ties: tuple[Tie, ...] = ()
