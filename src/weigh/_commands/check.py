"""The command ``weigh check``; what it does is in ``_check.py``."""

from __future__ import annotations

from typing import Any

import click

from weigh._commands.common import JSON, SOURCE, THREADS


@click.command()
@SOURCE
@click.argument("pattern", required=False)
@click.option("--select", multiple=True, metavar="RULE", help="Run this rule alone; repeatable.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave this rule out; repeatable.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    help="Exit with 1 for findings at least so bad; error if left out.",
)
@click.option("--config", type=click.Path(), help="Settings; else the nearest pyproject.toml.")
@THREADS
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    help="How findings are written: also for code hosts (SARIF) and GitHub workflows.",
)
@JSON
def check(
    *, as_json: bool, form: str, threads: int | None, fail_on: str | None, **asked: Any
) -> int:
    """Look for what is wrong: layers that never learned, dead filters, NaN, code in pickles.

    PATTERN selects the tensors that are looked at, as for show. `weigh rules` lists what is
    looked for. Settings stand in pyproject.toml under [tool.weigh.check].

    \b
    Examples:
      weigh check model.safetensors
      weigh check checkpoint.pt --select never-trained,dead-filter
      weigh check model.safetensors --fail-on warning --format github
    """  # noqa: D301
    from weigh._check import Request, run

    form = "json" if as_json else form
    return run(Request(threads=threads or 0, form=form, fail_on=fail_on or "", **asked))
