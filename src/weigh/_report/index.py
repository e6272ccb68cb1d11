"""What a page knows of a network at once: names, shapes, totals. Details follow when asked for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from weigh._errors import without_secrets
from weigh._model import Network
from weigh._pictures.colours import (
    MARKS,
    MIDDLE,
    NEGATIVE_NAME,
    POSITIVE_NAME,
    STEPS,
    THEMES,
    palette,
)
from weigh._report.nodes import Nodes
from weigh._report.statistics import GROUPS
from weigh._tensor import Tensor
from weigh._version import __version__
from weigh._views.show import role_text, totals_table


def index_json(
    networks: Sequence[Network], sources: Sequence[str], nodes: Nodes, starts: Sequence[int]
) -> dict[str, Any]:
    """Tell what the page needs before anything is chosen.

    Args:
        networks: one, or two to compare.
        sources: what they were opened from, as a command would name it; "" where none could.
        nodes: the tree.
        starts: the number of the first node of each chunk of details.
    """
    return {
        "version": __version__,
        "sources": [
            {
                "source": without_secrets(source),
                "format": network.format,
                "totals": [list(row) for row in totals_table(network.counts).rows],
                "notes": list(network.notes),
                "metadata": _metadata(network),
            }
            for network, source in zip(networks, sources, strict=True)
        ],
        "statistics": [[title, [label for _, label in rows]] for title, rows in GROUPS],
        "colours": _colours(),
        "chunks": list(starts),
    } | _columns(nodes)


def _columns(nodes: Nodes) -> dict[str, Any]:
    """Write the nodes a column each: they take least room so, and are read quickest."""
    forms: dict[tuple[Any, ...], int] = {}
    kinds: dict[tuple[str, str], int] = {}
    whats, names, tied = [], {}, {}
    for at, node in enumerate(nodes.all):
        if node.tensor is not None:
            form = _form(node.tensor)
            whats.append(-1 - forms.setdefault(form, len(forms)))
            target = node.tensor.tied_to
            found = None if target is None else nodes.find(target, second=node.second)
            if found is not None:
                tied[at] = found
        else:
            kind = (
                ("", "stated") if node.layer is None else (node.layer.kind, node.layer.kind_status)
            )
            whats.append(kinds.setdefault(kind, len(kinds)))
        above = nodes.all[node.parent].name if node.parent >= 0 else ""
        if node.name != (f"{above}.{node.own}" if above else node.own):
            names[at] = node.name
    return {
        "own": [node.own for node in nodes.all],
        "parents": [node.parent for node in nodes.all],
        "whats": whats,
        "forms": [list(form) for form in forms],
        "kinds": [list(kind) for kind in kinds],
        "names": names,
        "tied": tied,
        "second": [at for at, node in enumerate(nodes.all) if node.second],
        "became": {
            at: node.change.kind
            for at, node in enumerate(nodes.all)
            if node.change is not None and node.change.kind != "unchanged"
        },
    }


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return (
        tensor.dtype.name,
        tensor.shape,
        tensor.count or 0,
        role_text(tensor),
        tuple(axis.name for axis in tensor.axes),
    )


def _metadata(network: Network) -> list[list[str]]:
    """Give what else the source says, long texts in part."""
    rows = []
    for name, text in list(network.metadata.items())[:100]:
        more = f"... ({len(text):,} characters)" if len(text) > 400 else ""
        rows.append([name, text[:400] + more])
    return rows


def _colours() -> dict[str, Any]:
    """Give both palettes, and what the codes of cells mean."""
    return {
        "palettes": {theme: b64encode(palette(theme).tobytes()).decode() for theme in THEMES},
        "glyphs": {theme: inks.glyph for theme, inks in THEMES.items()},
        "marks": MARKS,
        "middle": MIDDLE,
        "steps": STEPS,
        "positive": POSITIVE_NAME,
        "negative": NEGATIVE_NAME,
    }
