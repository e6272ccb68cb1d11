"""What commands have in common: their options, and how they open and print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from weigh._errors import WeighError

if TYPE_CHECKING:
    from weigh._model import Network, Tensor
    from weigh._views.document import Document

SOURCE = click.argument("source", metavar="SOURCE", type=click.Path(path_type=str, readable=False))
THREADS = click.option(
    "--threads", type=click.IntRange(1), help="How many threads; one a processor if left out."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the documented JSON document.")


def open_network(source: str) -> Network:
    """Open the network that a command is about."""
    from weigh._api import open as open_network

    return open_network(source)


def tensor_of(network: Network, text: str, source: str) -> Tensor:
    """Find the tensor of ``conv1.weight[0]`` and take the slice."""
    from weigh._model import tensor_at

    try:
        return tensor_at(network, text)
    except WeighError as error:
        raise error.at(source) from None


def print_document(document: Document) -> None:
    """Print a document on standard output."""
    from weigh._views.terminal import write

    write(document, sys.stdout)
