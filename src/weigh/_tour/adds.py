"""What Weigh itself says at a step, from the live network: one function for a step's key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weigh._api import explain
from weigh._api import open as open_network
from weigh._views.document import Column, Document, Points, Table
from weigh._views.explain import hyperparameter_table
from weigh._views.show import totals_table


def said(key: str, network: Any) -> Document:
    """Give what Weigh says at a step, or nothing."""
    return SAYS[key](network) if key in SAYS and network is not None else ()


def _hyperparameters(network: Any) -> Document:
    return (hyperparameter_table(open_network(network).conv1),)


def _axes(network: Any) -> Document:
    [explanation] = explain(network, "conv2.weight")
    columns = (Column("axis"), Column("size", "right"), Column("meaning"))
    rows = tuple(
        (reason.axis.name, str(reason.axis.size), reason.axis.meaning.partition(":")[0])
        for reason in explanation.axes
    )
    return (Table(columns, rows),)


def _linear_map(network: Any) -> Document:
    [explanation] = explain(network, "fc1.weight")
    why = next(reason.why for reason in explanation.axes if reason.why)
    return (Points((explanation.sentences[0], why)),)


def _totals(network: Any) -> Document:
    return (totals_table(open_network(network).counts),)


SAYS: dict[str, Callable[[Any], Document]] = {
    "conv_repr": _hyperparameters,
    "axes": _axes,
    "matrices": _linear_map,
    "named": _totals,
}
"""From a step's key to a function of the network."""
