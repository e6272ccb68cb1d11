"""What ``weigh stats`` does: measures, says how far it is, and writes what it found."""

from __future__ import annotations

import sys
from typing import Any

from weigh._api import answer, collect
from weigh._bar import Bar
from weigh._errors import SourceError, UnknownNameError, UnsupportedError
from weigh._measures.measured import Options
from weigh._measures.report import StatisticsReport, StatisticsRow
from weigh._measures.statistics import QUANTILES
from weigh._record import record
from weigh._states import States


@record(frozen=True)
class Request:
    """What the command line asks for; see ``weigh stats --help``."""

    source: str
    pattern: str | None = None
    by: str = ""
    sort: str = ""
    ascending: bool = False
    top: int | None = None
    exact: bool = False
    quantiles: tuple[float, ...] = ()
    threads: int = 0
    form: str = "text"
    parquet: str | None = None
    cache: bool = True


def run(request: Request) -> int:
    """Measure and print; give the exit status: 130 if the work was stopped.

    Raises:
        WeighError: the source, a name or an option is wrong.
    """
    from weigh._views.stats import check_key, sorted_rows

    bar = Bar()
    quantiles = request.quantiles or QUANTILES
    options = Options(quantiles, request.exact, request.threads, bar.advance)
    if request.sort:  # not after an hour's work
        check_key(request.sort, quantiles)
    stopped = False
    try:
        states = States() if request.cache else None
        collector = collect(request.source, request.pattern, request.by, options, states)
        bar.total = collector.bytes
        try:
            report = answer(collector, request.pattern, states)
        except KeyboardInterrupt:
            stopped = True
            report = collector.report()
        rows = sorted_rows(report, request.sort, ascending=request.ascending)[: request.top]
    except UnknownNameError as error:
        raise error.at(request.source) from None
    finally:
        bar.close()
    if request.form == "json":
        _write_json(report, rows, collector.format)
    elif request.form == "csv":
        _write_csv(rows)
    else:
        _write_text(request, report)
    if request.parquet is not None:
        _write_parquet(request.parquet, rows)
    if stopped:
        print("\nweigh: stopped", file=sys.stderr)  # noqa: T201
    return 130 if stopped else 0


def _write_text(request: Request, report: StatisticsReport) -> None:
    import shutil

    from weigh._views.stats import stats_document
    from weigh._views.terminal import draws, write

    terminal = sys.stdout.isatty()
    document = stats_document(
        report,
        width=shutil.get_terminal_size().columns if terminal else None,
        picture=draws(sys.stdout),
        sort=request.sort,
        ascending=request.ascending,
        top=request.top,
    )
    write(document, sys.stdout)


def _write_json(report: StatisticsReport, rows: list[StatisticsRow], form: str) -> None:
    from weigh._views.json import dumps
    from weigh._views.stats_json import stats_json

    sys.stdout.write(dumps(stats_json(report, rows, form)) + "\n")


def _records(rows: list[StatisticsRow]) -> tuple[list[str], list[dict[str, Any]]]:
    """Give the rows as flat mappings, and all their keys: rows without values have no quantiles."""
    records = [row.record() for row in rows]
    return list(dict.fromkeys(key for record in records for key in record)), records


def _write_csv(rows: list[StatisticsRow]) -> None:
    import csv

    keys, records = _records(rows)
    writer = csv.DictWriter(sys.stdout, keys, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def _write_parquet(path: str, rows: list[StatisticsRow]) -> None:
    """Write the rows as a Parquet file."""
    try:
        from pyarrow import Table, parquet
    except ImportError:
        raise UnsupportedError(
            "writing Parquet needs the pyarrow package", do="Run: pip install 'weigh[parquet]'."
        ) from None
    keys, records = _records(rows)
    table = Table.from_pydict({key: [record.get(key) for record in records] for key in keys})
    try:
        parquet.write_table(table, path)
    except OSError as error:
        raise SourceError("the file cannot be written", where=path, seen=str(error)) from None
