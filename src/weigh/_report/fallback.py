"""What a report shows where no script runs: what it is about, the totals, the first tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from weigh._errors import printable
from weigh._model import Network
from weigh._views.show import axes_text, number, role_text, totals_table

_MOST = 200


def fallback(networks: Sequence[Network], names: Sequence[str]) -> str:
    """Write it as HTML."""
    return "".join(
        part
        for network, name in zip(networks, names, strict=True)
        for part in _about(network, name)
    )


def _about(network: Network, name: str) -> Iterator[str]:
    yield f"<h2>{_safe(name)}</h2>\n<table>\n"
    for row in totals_table(network.counts).rows:
        yield _row(row)
    yield "</table>\n<table>\n<tr><th>name</th><th>axes</th><th>dtype</th><th>values</th>"
    yield "<th>role</th></tr>\n"
    tensors = network.tensors()
    for tensor in tensors[:_MOST]:
        axes = axes_text(tensor.axes) if tensor.shape is not None else "shape not known yet"
        facts = (tensor.name, axes, tensor.dtype.name, number(tensor.count), role_text(tensor))
        yield _row(facts)
    yield "</table>\n"
    if len(tensors) > _MOST:
        yield f"<p>And {len(tensors) - _MOST:,} more.</p>\n"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in cells)}</tr>\n"


def _safe(text: str) -> str:
    return escape(printable(text))
