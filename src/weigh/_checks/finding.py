"""What a rule says: something is wrong, or that it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from weigh._record import field, record

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""From the worst down."""


@record(frozen=True)
class Finding:
    """Something that a rule found, with the numbers that show it.

    Attributes:
        where: a tensor's name or a layer's path, ``""`` for the network or its file as a whole.
        message: one sentence that says what is so, without a full stop.
        evidence: the numbers behind it, by name: plain numbers, texts, truth values, None, and
            lists of them.
        severity: how bad it is; the rule's own severity if None.
        do: what to do about it, where the rule's own advice does not fit.
        rule: the rule's name; filled in by whoever runs it.
        why: why it matters; filled in likewise.
    """

    where: str
    message: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    severity: Severity | None = None
    do: str = ""
    rule: str = ""
    why: str = ""


@record(frozen=True)
class Unsure:
    """A place of which a rule cannot tell.

    Attributes:
        where: a tensor's name or a layer's path, ``""`` for the network or its file as a whole.
        message: why not, without a full stop.
        rule: the rule's name; filled in by whoever runs it.
    """

    where: str
    message: str
    rule: str = ""
