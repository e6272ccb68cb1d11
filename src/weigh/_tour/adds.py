"""What Weigh itself says at a step, from the live network: one function for a step's key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weigh._api import explain
from weigh._api import open as open_network
from weigh._views.document import Column, Table
from weigh._views.explain import hyperparameter_table
from weigh._views.show import totals_table
from weigh._views.text import render


def said(key: str, network: Any) -> str:
    """Give what Weigh says at a step, or nothing."""
    return SAYS[key](network) if key in SAYS and network is not None else ""


def _hyperparameters(network: Any) -> str:
    return render((hyperparameter_table(open_network(network).conv1),))


def _axes(network: Any) -> str:
    [explanation] = explain(network, "conv2.weight")
    columns = (Column("axis"), Column("size", "right"), Column("meaning"))
    rows = tuple(
        (reason.axis.name, str(reason.axis.size), reason.axis.meaning.partition(":")[0])
        for reason in explanation.axes
    )
    return render((Table(columns, rows),))


def _linear_map(network: Any) -> str:
    [explanation] = explain(network, "fc1.weight")
    why = next(reason.why for reason in explanation.axes if reason.why)
    return f"{explanation.sentences[0]}\n{why}"


def _totals(network: Any) -> str:
    return render((totals_table(open_network(network).counts),))


SAYS: dict[str, Callable[[Any], str]] = {
    "conv_repr": _hyperparameters,
    "axes": _axes,
    "matrices": _linear_map,
    "named": _totals,
}
"""From a step's key to a function of the network; it gives lines that are printed as they are."""
