"""What a report tells of the findings of ``weigh check``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weigh._checks.finding import SEVERITIES
from weigh._checks.report import CheckReport
from weigh._report.nodes import Nodes
from weigh._views.check import looked_at
from weigh._views.check_json import plain

_MOST = 2_000
"""Findings that a page holds; more are counted."""


def findings_json(reports: Sequence[CheckReport], nodes: Nodes) -> dict[str, Any]:
    """Tell of the findings of one network, or of two: what both have is told once."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for at, report in enumerate(reports):
        for one in report.findings:
            key = (one.rule, one.severity, one.where, one.message)
            if key in rows:
                rows[key]["of"].append(at)
                continue
            node = nodes.find(one.where, second=at == 1) if one.where else None
            rows[key] = {
                "of": [at],
                "rule": one.rule,
                "severity": one.severity,
                "where": one.where,
                "node": -1 if node is None else node,
                "message": one.message,
                "why": one.why,
                "do": one.do,
                "evidence": [[name, _short(value)] for name, value in one.evidence.items()],
            }
    order = {severity: at for at, severity in enumerate(SEVERITIES)}
    found = sorted(rows.values(), key=lambda row: order[row["severity"]])
    return {
        "rows": found[:_MOST],
        "left_out": max(0, len(found) - _MOST),
        "counts": [[s, sum(row["severity"] == s for row in found)] for s in SEVERITIES],
        "unsure": [
            [one.rule, one.where, one.message]
            for report in reports
            for one in report.unsure[:_MOST]
        ],
        "looked_at": [looked_at(report) for report in reports],
    }


def worst(found: dict[str, Any]) -> dict[int, str]:
    """Give the worst severity of each node that has findings."""
    return {row["node"]: row["severity"] for row in reversed(found["rows"]) if row["node"] >= 0}


def _short(value: object) -> str:
    made = plain(value)
    if isinstance(made, list) and len(made) > 12:
        return f"{', '.join(map(str, made[:12]))} ... ({len(made):,} in all)"
    if isinstance(made, list):
        return ", ".join(map(str, made))
    return f"{made:.6g}" if isinstance(made, float) else str(made)
