"""What commands have in common: their options, and how they open and print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from weigh._errors import UnknownNameError, WeighError

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
    from weigh._index import parse_index
    from weigh._model import Layer

    try:
        name, indices = _split(network, text)
        found = network[name]
        if isinstance(found, Layer):
            held = [tensor.name for tensor in found.tensors()][:3]
            do = f"Name one of its tensors: {', '.join(held)}." if held else ""
            raise UnknownNameError(f"{name!r} is a layer, not a tensor", do=do)
        for index in indices:
            found = found[parse_index(index)]
        return found
    except WeighError as error:
        raise error.at(source) from None


def _split(network: Network, text: str) -> tuple[str, list[str]]:
    """Split ``a.weight[0][:8]`` into a name, which may hold brackets itself, and its indices."""
    if text in network or not text.endswith("]"):
        return text, []
    places = [at for at, letter in enumerate(text) if letter == "["]
    at = next((at for at in reversed(places) if text[:at] in network), places[0] if places else 0)
    return text[:at], text[at + 1 : -1].split("][")


def print_document(document: Document) -> None:
    """Print a document on standard output."""
    from weigh._views.terminal import write

    write(document, sys.stdout)
