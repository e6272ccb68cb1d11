"""The command ``weigh explain``."""

from __future__ import annotations

import click

from weigh._commands.common import JSON, SOURCE, open_network, print_document, tensor_of
from weigh._errors import UnknownNameError


@click.command()
@SOURCE
@click.argument("name")
@JSON
def explain(source: str, name: str, *, as_json: bool) -> None:
    """Explain what each axis of a tensor means and why it has that size.

    NAME is a tensor, or a layer, whose tensors are all explained.

    \b
    Examples:
      weigh explain model.safetensors conv2.weight
      weigh explain model.safetensors encoder.layers.0.self_attn
    """  # noqa: D301
    from weigh._explain import explain_network
    from weigh._views.explain import explain_document
    from weigh._views.json import dumps, explain_json

    network = open_network(source)
    try:
        if name not in network and "[" in name:
            name = tensor_of(network, name, source).name.partition("[")[0]
        explanations = explain_network(network, name)
    except UnknownNameError as error:
        raise error.at(source) from None
    if as_json:
        click.echo(dumps(explain_json(explanations)))
    else:
        print_document(explain_document(explanations))
