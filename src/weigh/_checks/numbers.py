"""Rules on the numbers of single tensors: not finite, constant, far off, at their type's limit."""

from __future__ import annotations

from collections.abc import Iterator

from weigh._checks.finding import Finding, Unsure
from weigh._checks.rule import Limits, Rule
from weigh._checks.subject import Subject


def non_finite(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find NaN and infinities."""
    for tensor in subject.tensors:
        found = subject.statistics(tensor)
        if found is None or not (found.nan or found.posinf or found.neginf):
            continue
        counts = {"nan": found.nan, "posinf": found.posinf, "neginf": found.neginf}
        yield Finding(tensor.name, "it holds numbers that are not finite", counts)


RULES = (
    Rule(
        "non-finite",
        "NaN or infinities among the values",
        non_finite,
        severity="error",
        why="One such number makes every output that depends on it useless.",
        do="Go back to the last checkpoint without it; look for a loss or a rate that ran away.",
    ),
)
