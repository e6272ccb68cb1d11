"""The command ``weigh stats``; what it does is in ``_stats.py``."""

from __future__ import annotations

from typing import Any

import click

from weigh._commands.common import JSON, SOURCE, THREADS


@click.command()
@SOURCE
@click.argument("pattern", required=False)
@click.option(
    "--by",
    default="",
    metavar="GROUP",
    help="A row for each layer, kind, dtype or role, or for each position of an axis.",
)
@click.option(
    "--sort",
    default="",
    metavar="KEY",
    help="The largest first: kurtosis, std, zeros, nan, q0.99...",
)
@click.option("--ascending", is_flag=True, help="With --sort: the smallest first.")
@click.option("--top", type=click.IntRange(0), help="Show so many rows only.")
@click.option(
    "--exact", is_flag=True, help="Read numbers of 32 and 64 bits twice: exact quantiles."
)
@click.option(
    "--quantile",
    "quantiles",
    type=click.FloatRange(0, 1),
    multiple=True,
    help="Give this quantile instead of the usual ones; may be repeated.",
)
@THREADS
@click.option("--no-cache", is_flag=True, help="Measure again what was measured before.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line of CSV for each row.")
@click.option(
    "--parquet", type=click.Path(), metavar="FILE", help="Also write the rows into a Parquet file."
)
@JSON
def stats(*, as_json: bool, as_csv: bool, no_cache: bool, threads: int | None, **asked: Any) -> int:
    """Measure every value: exact statistics of each tensor, and in total.

    PATTERN selects tensors, as for show. Every value is read once; what is finite counts, and
    NaN and infinities are counted apart.

    \b
    Examples:
      weigh stats model.safetensors
      weigh stats model.safetensors '*.weight' --sort kurtosis --top 20
      weigh stats model.safetensors conv1.weight --by out_channels
      weigh stats model.safetensors --by kind
      weigh stats model.safetensors --json | jq .total
    """  # noqa: D301
    from weigh._stats import Request, run

    if as_json and as_csv:
        raise click.UsageError("--json and --csv do not go together")
    form = "json" if as_json else "csv" if as_csv else "text"
    return run(Request(threads=threads or 0, form=form, cache=not no_cache, **asked))
