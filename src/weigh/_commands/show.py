"""The command ``weigh show``."""

from __future__ import annotations

import click

from weigh._commands.common import JSON, SOURCE, open_network, print_document
from weigh._errors import UnknownNameError


@click.command()
@SOURCE
@click.argument("pattern", required=False)
@click.option("--fold", is_flag=True, help="Give equal numbered blocks one row: layers.0-31.")
@JSON
def show(source: str, pattern: str | None, *, fold: bool, as_json: bool) -> None:
    """Show the tree of layers, every tensor with its named axes, and the totals.

    PATTERN selects tensors: a whole name, a layer's path, or a glob such as
    'encoder.*.weight' (in quotes, so that the shell leaves it alone).

    \b
    Examples:
      weigh show model.safetensors
      weigh show checkpoint.pt 'encoder.*.weight'
      weigh show model.safetensors --fold
      weigh show model.safetensors --json | jq .counts
    """  # noqa: D301
    network = open_network(source)
    try:
        selected = None if pattern is None else network.select(pattern)
    except UnknownNameError as error:
        raise error.at(source) from None
    if as_json:
        from weigh._views.json import dumps, show_json

        click.echo(dumps(show_json(network, selected)))
    else:
        from weigh._views.show import show_document

        print_document(show_document(network, selected, folded=fold))
