"""What ``weigh diff`` does: compares, says how far it is, and writes what changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from weigh._api import compare, follow
from weigh._bar import Bar
from weigh._compare.path import Follower, PathReport
from weigh._compare.report import DiffReport
from weigh._compare.run import Differ
from weigh._errors import UnknownNameError
from weigh._measures.measured import Options
from weigh._record import record


@record(frozen=True)
class Request:
    """What the command line asks for; see ``weigh diff --help``."""

    sources: Sequence[str]
    only: str | None = None
    by: str = ""
    sort: str = ""
    top: int | None = None
    rank: bool = True
    exit_code: bool = True
    threads: int = 0
    form: str = "text"


def run(request: Request) -> int:
    """Compare and print; give the exit status: 1 if anything differs, 130 if it was stopped.

    Raises:
        WeighError: a source, a name or an option is wrong.
    """
    if request.sort:  # not after an hour's work
        _check_key(request)
    bar = Bar()
    options = Options(threads=request.threads, progress=bar.advance)
    stopped = False
    report: DiffReport | PathReport
    try:
        work: Differ | Follower
        if len(request.sources) > 2:
            work = follow([_there(one) for one in request.sources], request.only, options)
        else:
            a, b = request.sources
            work = compare(
                _there(a), _there(b), request.only, options, by=request.by, rank=request.rank
            )
        bar.total = work.bytes
        try:
            for _ in work.run():
                pass
        except KeyboardInterrupt:
            stopped = True
        report = work.report()
    except UnknownNameError as error:
        raise error.at(" and ".join(request.sources[:2])) from None
    finally:
        bar.close()
    if isinstance(report, PathReport):
        _write_path(report, request)
    else:
        _write(report, request)
    if stopped:
        print("\nweigh: stopped", file=sys.stderr)  # noqa: T201
        return 130
    return int(report.different and request.exit_code)


def _there(source: str) -> object:
    """Take what stands for a file that is not there, as in what Git hands over, for one of none."""
    if source != os.devnull:
        return source
    from weigh._facts import Facts
    from weigh._kinds.interpret import interpret

    return interpret(Facts("nothing", source, ()))


def _check_key(request: Request) -> None:
    if len(request.sources) > 2:
        from weigh._views.diff_path import check_key
    else:
        from weigh._views.diff import check_key
    check_key(request.sort)


def _write(report: DiffReport, request: Request) -> None:
    if request.form == "json":
        from weigh._views.diff_json import diff_json
        from weigh._views.json import dumps

        sys.stdout.write(dumps(diff_json(report, request.sources)) + "\n")
    elif request.form == "csv":
        _write_csv(report.records())
    else:
        from weigh._views.diff import diff_document
        from weigh._views.terminal import draws, write

        document = diff_document(
            report,
            request.sources,
            sort=request.sort,
            top=request.top,
            picture=draws(sys.stdout),
        )
        write(document, sys.stdout)


def _write_path(report: PathReport, request: Request) -> None:
    if request.form == "json":
        from weigh._views.diff_json import path_json
        from weigh._views.json import dumps

        sys.stdout.write(dumps(path_json(report)) + "\n")
    elif request.form == "csv":
        _write_csv(report.records())
    else:
        from weigh._views.diff_path import path_document
        from weigh._views.terminal import draws, write

        document = path_document(
            report, sort=request.sort, top=request.top, picture=draws(sys.stdout)
        )
        write(document, sys.stdout)


def _write_csv(records: Sequence[dict[str, object]]) -> None:
    import csv

    if not records:
        return
    writer = csv.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
