"""What a check found: its findings, what it could not tell, and how much it looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weigh._checks.finding import SEVERITIES, Finding, Severity, Unsure
from weigh._record import record
from weigh._shown import Shown

if TYPE_CHECKING:
    from weigh._checks.settings import Settings


@record(frozen=True)
class CheckReport(Shown):
    """What a check found.

    Attributes:
        findings: the worst first, those of one rule together.
        unsure: places of which a rule could not tell.
        rules: the rules that ran.
        left_out: the rules that did not, and why: ``(name, reason)``.
        looked_at: how many tensors were looked at, each once.
        tensors: how many there are; of parameters alone, ``parameters``.
        parameters_looked_at: how many parameters' values were read.
        parameters: how many parameters there are, each once.
        format: the source's format.
        settings: how the check was set.
        complete: False if the work was stopped before its end.
    """

    findings: tuple[Finding, ...]
    unsure: tuple[Unsure, ...]
    rules: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    looked_at: int
    tensors: int
    parameters_looked_at: int
    parameters: int
    format: str
    settings: Settings
    complete: bool = True

    @property
    def worst(self) -> Severity | None:
        """The worst severity among the findings; None without findings."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in found), None)

    @property
    def failed(self) -> bool:
        """Whether a finding is as bad as what counts as failure."""
        return self.settings.fails(self.worst)

    def of(self, rule: str) -> list[Finding]:
        """Give the findings of one rule."""
        return [finding for finding in self.findings if finding.rule == rule]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        """Write what ``weigh check`` prints."""
        from importlib import import_module

        # Views are built on this module, and loaded only when something is printed.
        document = import_module("weigh._views.check").check_document(self)
        text: str = import_module("weigh._views.text").render(document)
        return text
