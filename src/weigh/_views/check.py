"""The document of ``weigh check``: findings by rule, the worst first, and what was looked at."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from weigh._checks.finding import SEVERITIES, Finding, Unsure
from weigh._checks.report import CheckReport
from weigh._errors import printable
from weigh._record import record
from weigh._views.document import Column, Document, Heading, Note, Part, Points, Table
from weigh._views.fold import is_number

_COLUMNS = (Column("", role="name"), Column("", role="detail"))
_WHOLE = "(the whole)"
_NUMBER = re.compile(r"\d[\d,.]*(?:e[+-]?\d+)?")
_NAMED = 3


@record(frozen=True)
class Folded:
    """Findings of one rule that differ in nothing but the number of a block.

    Attributes:
        where: the place, or a run of places: ``layers.0-31.fc``.
        message: the message; the first one's where their numbers differ, which ``text`` says.
        findings: those that it stands for.
    """

    where: str
    message: str
    findings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """The message, and how often it was said if it was more than once."""
        if len(self.findings) == 1:
            return self.message
        if all(finding.message == self.message for finding in self.findings):
            return f"{self.message} ({len(self.findings):,} times)"
        return f"{self.message} (the first of {len(self.findings):,} alike)"


def check_document(report: CheckReport) -> Document:
    """Build the document."""
    parts: list[Part] = []
    for group in _by_rule(report.findings):
        first = group[0]
        severity = first.severity or "info"
        parts.append(Heading(f"{severity.upper()}  {first.rule}", severity))
        rows = [(printable(one.where or _WHOLE), printable(one.text)) for one in fold(group)]
        parts.append(Table(_COLUMNS, tuple(rows)))
        advice = dict.fromkeys(one.do for one in group if one.do)
        reasons = dict.fromkeys(one.why for one in group if one.why)
        points = [f"Why: {why}" for why in reasons] + [f"Do: {do}" for do in advice]
        parts += [Points(tuple(map(printable, points)))] if points else []
    if not report.findings:
        parts.append(Note("No findings."))
    if report.unsure:
        parts.append(Heading("Cannot tell"))
        parts.append(Points(tuple(map(printable, _unsure(report.unsure)))))
    if not report.complete:
        parts.append(Note("Stopped before all was looked at: this is a part."))
    parts.append(Note(looked_at(report)))
    parts += [Note(text) for text in _left_out(report)]
    return tuple(parts)


def looked_at(report: CheckReport) -> str:
    """Say how much was looked at, by how many rules, and what came of it.

    Examples:
        >>> import numpy, weigh
        >>> looked_at(weigh.check({"fc.bias": numpy.ones(3)}, select=["non-finite"]))
        'Looked at the values of 1 of 1 parameter by 1 rule: no findings.'
    """
    others = report.looked_at - report.parameters_looked_at
    values = f"no values of {_counted(report.tensors, 'tensor')}"
    if report.looked_at or not report.tensors:
        of = _counted(report.parameters, "parameter")
        values = f"the values of {report.parameters_looked_at:,} of {of}"
        values += f" and {_counted(others, 'other tensor')}" if others else ""
    return f"Looked at {values} by {_counted(len(report.rules), 'rule')}: {found(report)}."


def found(report: CheckReport) -> str:
    """Count the findings: ``"2 errors, 1 info"``."""
    counts = [(sum(f.severity == s for f in report.findings), s) for s in SEVERITIES]
    return ", ".join(_counted(count, word) for count, word in counts if count) or "no findings"


def fold(findings: Sequence[Finding]) -> list[Folded]:
    """Fold findings of one rule that repeat in numbered blocks, in the order of the first."""
    alike: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        shape = tuple("#" if is_number(part) else part for part in finding.where.split("."))
        alike[finding.severity, shape, _NUMBER.sub("#", finding.message), finding.do].append(
            finding
        )
    return [one for group in alike.values() for one in _folded(group)]


def _folded(group: list[Finding]) -> Iterator[Folded]:
    rows = [finding.where.split(".") for finding in group]
    varied = [at for at in range(len(rows[0])) if len({row[at] for row in rows}) > 1]
    if len(group) == 1 or len(varied) != 1:
        for finding in group:
            yield Folded(finding.where, finding.message, (finding,))
        return
    at = varied[0]
    numbers = sorted({int(row[at]) for row in rows})
    where = ".".join([*rows[0][:at], _runs(numbers), *rows[0][at + 1 :]])
    yield Folded(where, group[0].message, tuple(group))


def _runs(numbers: Sequence[int]) -> str:
    """Write numbers as runs.

    Examples:
        >>> _runs([0, 1, 2, 5])
        '0-2,5'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _by_rule(findings: Sequence[Finding]) -> list[list[Finding]]:
    groups: defaultdict[tuple[object, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.rule].append(finding)
    return list(groups.values())


def _unsure(unsure: Sequence[Unsure]) -> Iterator[str]:
    groups: defaultdict[tuple[str, str], list[Unsure]] = defaultdict(list)
    for one in unsure:
        groups[one.rule, _NUMBER.sub("#", one.message)].append(one)
    for (rule, _), group in groups.items():
        places = [one.where for one in group if one.where]
        shown = ", ".join(places[:_NAMED])
        more = f" and {len(places) - _NAMED:,} more" if len(places) > _NAMED else ""
        where = f" {shown}{more}:" if places else ""
        yield f"{rule}:{where} {group[0].message}."


def _left_out(report: CheckReport) -> Iterator[str]:
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for rule, reason in report.left_out:
        reasons[reason].append(rule)
    for reason, rules in reasons.items():
        yield f"Left out, since {reason}: {', '.join(rules)}."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
