"""The command ``weigh report``; what it does is in ``_report/command.py``."""

from __future__ import annotations

import click

from weigh._commands.common import THREADS


@click.command()
@click.argument(
    "sources",
    metavar="SOURCE [SOURCE2]",
    nargs=-1,
    required=True,
    type=click.Path(path_type=str, readable=False),
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=str, readable=False),
    help="Where the page goes; - for standard output.",
)
@click.option(
    "--config", type=click.Path(), metavar="FILE", help="Settings of the rules, as for check."
)
@THREADS
def report(
    *, sources: tuple[str, ...], output: str, config: str | None, threads: int | None
) -> int:
    """Make one page that shows all of a network, to keep, to mail, to open anywhere.

    The page is one HTML file that asks no network for anything: the tree, each tensor's axes,
    statistics, histogram and picture, and the findings of check. Of two networks it also shows
    what changed from the first to the second.

    \b
    Examples:
      weigh report model.safetensors -o report.html
      weigh report base.safetensors tuned.safetensors -o changes.html
    """  # noqa: D301
    from weigh._report.command import Request, run

    if len(sources) > 2:
        raise click.UsageError("a report is of one network, or of two")
    return run(Request(sources, output, config, threads or 0))
