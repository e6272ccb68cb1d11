"""The command ``weigh values``."""

from __future__ import annotations

import click

from weigh._commands.common import JSON, SOURCE, open_network, tensor_of


@click.command()
@SOURCE
@click.argument("name")
@click.option("--full", is_flag=True, help="Print every value, however many.")
@JSON
def values(source: str, name: str, *, full: bool, as_json: bool) -> None:
    """Print a tensor's values as PyTorch prints them; only what is asked for is read.

    NAME may end in an index of integers, slices and '...'.

    \b
    Examples:
      weigh values model.safetensors 'conv1.weight[0]'
      weigh values model.safetensors 'embed.weight[123456, :8]'
      weigh values model.safetensors fc.bias --json
    """  # noqa: D301
    network = open_network(source)
    tensor = tensor_of(network, name, source)
    if as_json:
        from weigh._views.json import dumps, values_json

        click.echo(dumps(values_json(tensor)))
        return
    click.echo(tensor.text(full=full))
