"""What reports show: the documents that the command line prints, with charts that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weigh._errors import printable
from weigh._notebook.charts import bars, steps
from weigh._number_format import number_text
from weigh._views.check import check_document
from weigh._views.diff import diff_document
from weigh._views.diff_path import path_document
from weigh._views.document import Column, Document
from weigh._views.html import render_html, safe
from weigh._views.stats import stats_document
from weigh._width import cells

if TYPE_CHECKING:
    from weigh._checks.report import CheckReport
    from weigh._compare.path import PathReport
    from weigh._compare.report import DiffReport
    from weigh._measures.report import StatisticsReport, StatisticsRow

ROOM = 500_000
"""So many letters a report may have."""
_COLUMNS = 110
"""So many letters the numbers of a row may have, for its chart to be in sight."""
_NAMES = 52
_TEXT_COLUMNS = 100
_RECORDS = "All of them are in its records()."


def statistics_html(report: StatisticsReport) -> str:
    """Show statistics: a row for each tensor or group, with its distribution."""
    rows = {printable(row.name): row for row in (*report.rows, report.total_row)}

    def draw(column: Column, line: tuple[str, ...]) -> str:
        row = rows.get(line[0])
        if column.title != "distribution" or row is None or not row.bins:
            return ""
        return bars(row.bins, _spread(row))

    names = min(_NAMES, max(map(cells, rows)))
    document = stats_document(report, width=names + _COLUMNS, picture=True)
    return _titled("Statistics", render_html(document, draw=draw, room=ROOM, more=_RECORDS))


def statistics_document_of(report: StatisticsReport) -> Document:
    """Give the document of a report's text, with as many columns as a notebook has room for."""
    return stats_document(report, width=_TEXT_COLUMNS)


def _spread(row: StatisticsRow) -> str:
    low, high = number_text(row.low), number_text(row.high)
    return safe(f"distribution of {row.name} from {low} to {high}")


def check_html(report: CheckReport) -> str:
    """Show what a check found, the worst first."""
    text = render_html(check_document(report), room=ROOM, more="print(report) lists all of them.")
    return _titled("Check", text)


def diff_html(report: DiffReport) -> str:
    """Show what changed between two networks."""
    measured = {printable(c.name): c.difference for c in report if c.difference is not None}

    def draw(column: Column, line: tuple[str, ...]) -> str:
        found = measured.get(line[0])
        if column.title != "change" or found is None or not found.bins:
            return ""
        return bars(found.bins, safe(f"distribution of the changes of {line[0]}"))

    document = diff_document(report, picture=True)
    text = render_html(document, draw=draw, room=ROOM, more=_RECORDS)
    return _titled("Difference" if report.different else "No difference", text)


def path_html(report: PathReport) -> str:
    """Show how tensors moved over several checkpoints."""
    paths = {printable(path.name): path for path in report}

    def draw(column: Column, line: tuple[str, ...]) -> str:
        path = paths.get(line[0])
        kinds = {"from the first": "from_first", "steps": "from_previous"}
        if column.title not in kinds or path is None:
            return ""
        numbers: Sequence[float | None] = getattr(path, kinds[column.title])
        said = ", ".join("?" if n is None else number_text(n) for n in numbers[:_SAID])
        return steps(numbers, safe(f"{column.title}, {line[0]}: {said}"))

    document = path_document(report, picture=True)
    return _titled("Path", render_html(document, draw=draw, room=ROOM, more=_RECORDS))


_SAID = 16
"""So many numbers of a chart a screen reader reads."""


def _titled(title: str, text: str) -> str:
    return f'<div class="weigh-head"><span class="weigh-title">{title}</span></div>\n{text}'
