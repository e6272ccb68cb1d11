"""The JSON document of ``weigh stats``; see ``docs/json.md``."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._measures.groups import GROUPS
from weigh._measures.report import StatisticsReport, StatisticsRow
from weigh._measures.statistics import Statistics
from weigh._views.json import Document, strict


def stats_json(report: StatisticsReport, rows: Sequence[StatisticsRow], format: str) -> Document:  # noqa: A002
    """Build the document.

    Args:
        report: what was measured.
        rows: those of its rows to give, in order.
        format: the format of the source.
    """
    grouped = report.by in GROUPS
    return {
        "format": format,
        "by": report.by or None,
        "complete": report.complete,
        "groups" if grouped else "tensors": [_statistics_row(row) for row in rows],
        "total": statistics_json(report.total)
        | {"of": "parameters" if report.of_parameters else "tensors"},
    }


def _statistics_row(row: StatisticsRow) -> Document:
    found, stored = row.statistics, row.stored
    return (
        {"name": row.name}
        | ({} if found is None else statistics_json(found))
        | {
            "tensors": row.tensors,
            "histogram": {
                "low": strict(row.low),
                "high": strict(row.high),
                "counts": list(row.bins),
            }
            if row.bins
            else None,
            "stored": None if stored is None else statistics_json(stored),
            "tied_to": row.tied_to,
            "problem": row.problem,
        }
    )


def statistics_json(found: Statistics) -> Document:
    """Statistics, NaN and infinities as text; what the values do not have is null."""
    made = {key: strict(getattr(found, key)) for key in Statistics.__match_args__}
    return made | {"quantiles": {key: strict(value) for key, value in found.quantiles.items()}}
