"""One sentence of the story that a comparison tells, and how such sentences are written."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from weigh._compare.change import TensorChange
from weigh._record import field, record
from weigh._tensor import Status

NAMED = 6
"""So many layers or tensors are named in a sentence."""


@record(frozen=True)
class Conclusion:
    """One sentence of the story.

    Attributes:
        kind: which it is: ``"identical"``, ``"same weights"``, ``"only some layers"``,
            ``"low rank"``, ``"fine-tuned"``, ``"far"``, ``"from scratch"``, ``"begun anew"``,
            ``"pruned"``, ``"grown"``, ``"scaled"``, ``"other architecture"``, ``"other layers"``,
            ``"renamed"``, ``"other places"``, ``"buffers alone"``, ``"tied"``, ``"untied"``,
            ``"new"``, ``"gone"``, ``"unread"``, ``"not finite"``,
            ``"bits alone"``, ``"few values"``.
        text: the sentence.
        evidence: the numbers it rests on.
        status: how it is known: all are inferred.
    """

    kind: str
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    status: Status = "inferred"


def folded_layers(layers: Sequence[str]) -> str:
    """Name layers, those that differ in a number alone as one: ``layers.N.fc (32 times)``."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for layer in layers:
        groups[".".join("N" if part.isdecimal() else part for part in layer.split("."))].append(
            layer
        )
    named = [
        f"{pattern} ({len(group):,} times)" if len(group) > 1 else group[0] or "the network itself"
        for pattern, group in groups.items()
    ]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more


def names(changes: Sequence[TensorChange]) -> str:
    """Name tensors, the first three of many."""
    more = f" and {len(changes) - 3:,} more" if len(changes) > 3 else ""
    return ", ".join(c.name for c in changes[:3]) + more


def counted(count: int, noun: str) -> str:
    """Say how many of something there are."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def joined(parts: Sequence[str]) -> str:
    """Join parts of a sentence."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


def number(value: float) -> str:
    """Write a number to two digits."""
    return f"{value:.2g}" if math.isfinite(value) else str(value)


def percent(share: float) -> str:
    """Write a share; one that is not the whole is never written as 100 %.

    Examples:
        >>> percent(0.5), percent(0.99999), percent(1.0)
        ('50 %', '99.9 %', '100 %')
    """
    return f"{100 * share if share == 1 else min(100 * share, 99.9):.3g} %"
