"""Findings as SARIF, which code hosts and editors show.

The form is that of the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version
2.1.0".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from weigh._checks.finding import Finding
from weigh._checks.report import CheckReport
from weigh._checks.rule import Rule
from weigh._errors import without_secrets
from weigh._version import __version__
from weigh._views.check import looked_at
from weigh._views.check_json import plain
from weigh._views.json import Document

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif_json(report: CheckReport, rules: Sequence[Rule], source: str) -> Document:
    """Build the log of one run.

    Args:
        report: what was found.
        rules: all rules; those that ran are listed.
        source: the path or URL that was looked at.
    """
    ran = [rule for rule in rules if rule.name in report.rules]
    places = {rule.name: at for at, rule in enumerate(ran)}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "weigh",
                        "version": __version__,
                        "rules": [_descriptor(rule) for rule in ran],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, places, source) for one in report.findings],
                "invocations": [
                    {
                        "executionSuccessful": report.complete,
                        "toolExecutionNotifications": list(_notifications(report)),
                    }
                ],
            }
        ],
    }


def _descriptor(rule: Rule) -> Document:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. {rule.why}".strip()},
        "help": {"text": rule.do or rule.title, "markdown": rule.page() or rule.title},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, places: dict[str, int], source: str) -> Document:
    where = [{"fullyQualifiedName": finding.where}] if finding.where else []
    place = f"{finding.where}: " if finding.where else ""
    text = f"{place}{finding.message}."
    return {
        "ruleId": finding.rule,
        "ruleIndex": places[finding.rule],
        "level": _LEVELS[finding.severity or "info"],
        "message": {"text": f"{text} {finding.do}".strip()},
        "locations": [
            {
                # GitHub shows nothing that has no line, and a checkpoint has but one.
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(source)},
                    "region": {"startLine": 1},
                },
                **({"logicalLocations": where} if where else {}),
            }
        ],
        "partialFingerprints": {"rule/where": f"{finding.rule}:{finding.where}"},
        "properties": {"evidence": plain(finding.evidence)},
    }


def _uri(source: str) -> str:
    """Give a path as a URI reference; a URL is one, but for what lets one in."""
    if "://" in source or source.startswith("hf:"):
        return quote(os.fsencode(without_secrets(source)), safe="/:@%+,;=&$!*'()[]")
    return quote(os.fsencode(Path(source).as_posix()))


def _notifications(report: CheckReport) -> Iterator[Document]:
    yield {"level": "note", "message": {"text": looked_at(report)}}
    for rule, reason in report.left_out:
        yield {"level": "note", "message": {"text": f"{rule} was left out, since {reason}."}}
    for one in report.unsure:
        place = f"{one.where}: " if one.where else ""
        yield {
            "level": "note",
            "message": {"text": f"{one.rule} cannot tell: {place}{one.message}."},
        }
