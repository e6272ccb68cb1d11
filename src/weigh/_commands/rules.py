"""The command ``weigh rules``."""

from __future__ import annotations

import click

from weigh._commands.common import JSON


@click.command()
@click.argument("name", required=False)
@JSON
def rules(name: str | None, *, as_json: bool) -> None:
    """List what `weigh check` looks for, or print the page of one rule.

    \b
    Examples:
      weigh rules
      weigh rules never-trained
    """  # noqa: D301
    from weigh._check import show_rules

    show_rules(name, as_json=as_json)
