"""The command ``weigh formats``."""

from __future__ import annotations

import click

from weigh._commands.common import JSON, print_document


@click.command()
@JSON
def formats(*, as_json: bool) -> None:
    """List the formats that Weigh reads, what each needs and which package adds it.

    Other packages add formats: see docs/formats.md.

    \b
    Examples:
      weigh formats
      weigh formats --json
    """  # noqa: D301
    from weigh._registry import added, every_format

    rows, broken = every_format(), added()[1]
    if as_json:
        from weigh._views.json import dumps, formats_json

        click.echo(dumps(formats_json(rows, broken)))
    else:
        from weigh._views.formats import formats_document

        print_document(formats_document(rows, broken))
