"""The JSON documents of ``weigh check`` and ``weigh rules``; see ``docs/json.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weigh._checks.finding import SEVERITIES
from weigh._checks.report import CheckReport
from weigh._checks.rule import Rule
from weigh._views.json import Document, strict


def check_json(report: CheckReport) -> Document:
    """Build the document of a check."""
    return {
        "format": report.format,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "where": finding.where,
                "message": finding.message,
                "evidence": plain(finding.evidence),
                "why": finding.why,
                "do": finding.do,
            }
            for finding in report.findings
        ],
        "cannot_tell": [
            {"rule": one.rule, "where": one.where, "message": one.message} for one in report.unsure
        ],
        "rules": list(report.rules),
        "left_out": [{"rule": rule, "reason": reason} for rule, reason in report.left_out],
        "looked_at": {
            "tensors": report.looked_at,
            "of_tensors": report.tensors,
            "parameters": report.parameters_looked_at,
            "of_parameters": report.parameters,
        },
        "counts": {
            severity: sum(finding.severity == severity for finding in report.findings)
            for severity in SEVERITIES
        },
        "fail_on": report.settings.fail_on,
        "failed": report.failed,
        "complete": report.complete,
    }


def plain(value: object) -> object:
    """Give evidence as JSON has it: NaN, infinities and whatever it lacks as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return strict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def rules_json(rules: Sequence[Rule], broken: Sequence[str]) -> Document:
    """Build the document of all rules."""
    return {"rules": [rule_json(rule) for rule in rules], "broken": list(broken)}


def rule_json(rule: Rule) -> Document:
    """Tell of one rule all but its page."""
    return {
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "needs": list(rule.needs),
        "why": rule.why,
        "do": rule.do,
        "thresholds": {
            name: {"default": strict(limit.default), "meaning": limit.meaning}
            for name, limit in rule.limits.items()
        },
        "from": rule.origin,
    }
