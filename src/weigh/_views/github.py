"""Findings as the commands by which a GitHub workflow shows annotations.

See "Workflow commands for GitHub Actions" in GitHub's documentation.
"""

from __future__ import annotations

from collections import defaultdict

from weigh._checks.finding import Finding
from weigh._checks.report import CheckReport
from weigh._errors import printable, without_secrets
from weigh._views.check import fold, looked_at

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def github_text(report: CheckReport, source: str) -> str:
    """Write a line for each finding, repeated ones together, and one that says what was done.

    Args:
        report: what was found.
        source: the path or URL that was looked at.
    """
    source = without_secrets(source)
    rules: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        rules[finding.rule].append(finding)
    lines = []
    for rule, findings in rules.items():
        for one in fold(findings):
            first = one.findings[0]
            place = f"{one.where}: " if one.where else ""
            command = _COMMANDS[first.severity or "info"]
            text = printable(f"{place}{one.text}. {first.do}".strip())
            title = _property(f"weigh {rule}")
            lines.append(f"::{command} file={_property(source)},title={title}::{_data(text)}")
    if not report.complete:
        lines.append("Stopped before all was looked at: this is a part.")
    return "\n".join([*lines, looked_at(report)])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
