"""The command ``weigh diff``; what it does is in ``_diff.py``."""

from __future__ import annotations

from typing import Any

import click

from weigh._commands.common import JSON, THREADS


@click.command()
@click.argument(
    "sources",
    metavar="A B [C...]",
    nargs=-1,
    required=True,
    type=click.Path(path_type=str, readable=False),
)
@click.option("--only", metavar="PATTERN", help="Compare these tensors alone, as for show.")
@click.option(
    "--by",
    default="",
    metavar="AXIS",
    help="Also tell which positions of an axis moved, such as out_channels.",
)
@click.option(
    "--sort", default="", metavar="KEY", help="The largest first: relative_change, max_abs..."
)
@click.option("--top", type=click.IntRange(0), help="Show so many rows only.")
@click.option(
    "--no-rank",
    is_flag=True,
    help="Do not look for the ranks of changes, which takes most of the time.",
)
@click.option(
    "--exit-code/--no-exit-code",
    default=True,
    show_default=True,
    help="Exit with 1 if anything differs, as diff does.",
)
@THREADS
@click.option("--csv", "as_csv", is_flag=True, help="Print a line of CSV for each tensor.")
@JSON
def diff(*, as_json: bool, as_csv: bool, no_rank: bool, threads: int | None, **asked: Any) -> int:
    """Say what changed between two networks; of more, how each weight moved.

    They may be of any formats.

    Tensors are paired by name, by names that differ as known conventions have it, and by their
    values. Three or more checkpoints are followed from the first to the last.

    \b
    Examples:
      weigh diff base.safetensors tuned.safetensors
      weigh diff model.safetensors model.gguf
      weigh diff before.pt after.pt --only 'conv*' --by out_channels
      weigh diff base tuned --sort relative_change --top 20
      weigh diff run/epoch-*.safetensors
      weigh diff before.pt after.pt --json | jq .story
    """  # noqa: D301
    from weigh._diff import Request, run

    if as_json and as_csv:
        raise click.UsageError("--json and --csv do not go together")
    if len(asked["sources"]) < 2:
        raise click.UsageError("a comparison takes two networks or more: weigh diff A B")
    if asked["by"] and len(asked["sources"]) > 2:
        raise click.UsageError("--by takes two networks, not several")
    form = "json" if as_json else "csv" if as_csv else "text"
    return run(Request(threads=threads or 0, form=form, rank=not no_rank, **asked))
