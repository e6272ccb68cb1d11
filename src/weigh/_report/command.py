"""What ``weigh report`` does: makes the page, says how far it is, and writes it."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._bar import Bar
from weigh._checks.settings import nearest_config, settings_of
from weigh._checks.table import every_rule
from weigh._measures.measured import Options
from weigh._record import record
from weigh._report.work import Reporter
from weigh._report.writing import check_writable, write


@record(frozen=True)
class Request:
    """What the command line asks for; see ``weigh report --help``."""

    sources: Sequence[str]
    output: str
    config: str | None = None
    threads: int = 0


def run(request: Request) -> int:
    """Make the page and write it; give the exit status.

    Raises:
        WeighError: a source or a setting is wrong, or the page cannot be written.
    """
    settings = settings_of(request.config or nearest_config(), every_rule())
    check_writable(request.output, request.sources)  # not after an hour's work
    bar = Bar()
    try:
        options = Options(threads=request.threads, progress=bar.advance)
        reporter = Reporter(request.sources, request.sources, settings, options)
        bar.total = reporter.total
        for _ in reporter.run():
            pass
        page = reporter.page()
    finally:
        bar.close()
    write(page, request.output)
    return 0
