"""What happened on the whole, in words: each conclusion is inferred, with its numbers beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._compare.change import TensorChange
from weigh._compare.conclusion import Conclusion
from weigh._compare.evidence import Evidence, resized
from weigh._compare.match import Tie
from weigh._compare.movement import what_moved
from weigh._compare.places import (
    coming_and_going,
    grown,
    other_architecture,
    places,
    renamed,
    tied,
    unread,
)
from weigh._compare.sameness import identical, not_finite, same_weights


def story_of(
    changes: Sequence[TensorChange], formats: tuple[str, str], ties: Sequence[Tie] = ()
) -> tuple[Conclusion, ...]:
    """Tell what happened to a network, from what became of its tensors.

    Args:
        changes: what became of each tensor.
        formats: of the two networks.
        ties: what is one tensor with another in one of them only.
    """
    return tuple(_told(Evidence(changes, formats, ties)))


def _told(evidence: Evidence) -> Iterator[Conclusion]:
    values = sum(c.tensor.count or 0 for c in evidence.parameters if c.a is not None)
    paired = sum(c.tensor.count or 0 for c in evidence.paired if not resized(c))
    if not evidence.all:
        yield Conclusion("identical", "Neither network has any tensors.")
        return
    if not any(c.b is not None for c in evidence.all):
        yield Conclusion("gone", f"Gone: {evidence.held}.")
        return
    if not any(c.a is not None for c in evidence.all):
        yield Conclusion("new", f"New: {evidence.held}.")
        return
    if not evidence.paired or 2 * paired < values:
        yield other_architecture(evidence, paired, values)
        if not evidence.paired:
            return
    if not any(c.kind != "unchanged" for c in evidence.all):
        yield identical(evidence)
        yield from tied(evidence)
        return
    yield from not_finite(evidence)
    if 2 * paired < values and any(map(resized, evidence.paired)):
        pass  # of another size, what is left of it says nothing
    elif evidence.moved:
        yield from what_moved(evidence)
    elif not evidence.odd:
        yield from same_weights(evidence)
    yield from places(evidence)
    yield from grown(evidence)
    yield from renamed(evidence)
    yield from tied(evidence)
    yield from coming_and_going(evidence, told=2 * paired < values)
    yield from unread(evidence)
