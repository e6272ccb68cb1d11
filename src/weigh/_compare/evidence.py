"""What the story of a comparison rests on: its changes, sorted."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._compare.change import TensorChange
from weigh._compare.conclusion import counted
from weigh._compare.match import Tie


class Evidence:
    """What became of each tensor, parameters apart where there are any.

    Attributes:
        all: every change.
        formats: those of the two networks.
        ties: what is one tensor with another in one of them only.
        parameters: what became of parameters; of all tensors, if there are none.
        rest: what became of the others.
        paired: of the parameters, those that both networks have.
        odd: of these, those in which something changed and something is not finite.
        moved: those whose finite values changed, if both have most of them.
        noun: what these are called.
        same: those that hold the same values, wherever and in whatever order.
        elsewhere: tensors that have the name of another tensor of A now: they were not renamed,
            but are in another place.
    """

    def __init__(
        self, changes: Sequence[TensorChange], formats: tuple[str, str], ties: Sequence[Tie]
    ) -> None:
        self.all, self.formats, self.ties = changes, formats, ties
        parameters = [c for c in changes if c.tensor.role == "parameter"]
        self.parameters = parameters or list(changes)
        self.rest = [c for c in changes if c.tensor.role != "parameter"] if parameters else []
        self.paired = [c for c in self.parameters if c.a is not None and c.b is not None]
        changed = [c for c in self.paired if c.difference is not None]
        changed = [c for c in changed if c.difference and c.difference.changed_values]
        self.odd = [c for c in changed if c.difference and c.difference.odd_a + c.difference.odd_b]
        # Of what holds nothing finite in one of both there is no more to tell.
        self.moved = [
            c
            for c in changed
            if c.kind != "recast" and c.difference and c.difference.finite and not resized(c)
        ]
        self.noun = "parameter" if parameters else "tensor"
        names_a = {c.a.name for c in changes if c.a is not None}
        # What has the name of another tensor of A now was not renamed: it is in another place.
        self.elsewhere = [
            c for c in changes if c.renamed and c.b is not None and c.b.name in names_a
        ]
        self.same = [c for c in self.paired if holds_the_same(c)]

    @property
    def held(self) -> str:
        """How much there is in all, in words."""
        values = sum(c.tensor.count or 0 for c in self.all)
        return f"{counted(len(self.all), 'tensor')} with {values:,} values"


def values_of(changes: Sequence[TensorChange]) -> int:
    """Count the values that were compared."""
    return sum(c.difference.count for c in changes if c.difference is not None)


def resized(change: TensorChange) -> bool:
    """Whether one of two tensors of one name has less than half of what the other has."""
    if change.kind != "reshaped" or change.a is None or change.b is None:
        return False
    sizes = change.a.count or 0, change.b.count or 0
    found = change.difference
    return found is None or 2 * found.count < max(sizes)


def holds_the_same(change: TensorChange) -> bool:
    """Whether both tensors hold the same values, wherever and in whatever order."""
    if change.kind == "reshaped" and change.a is not None and change.b is not None:
        found = change.difference
        whole = change.a.count == change.b.count
        return whole and found is not None and not found.changed_values
    return change.kind in ("unchanged", "renamed", "relaid")
