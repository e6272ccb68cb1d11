"""What the formula of an axis's size comes to: ``in_channels / groups``, ``kernel_size[0]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from weigh._pattern import pattern

if TYPE_CHECKING:
    from weigh._layer import Hyperparameter

_FACTOR = pattern(r"([*/]?)\s*([A-Za-z_]\w*|\d+)(?:\[(\d+)\])?\s*")


def names_in(formula: str) -> list[str]:
    """Give the hyperparameters that a formula speaks of, in its order.

    Examples:
        >>> names_in("in_channels / groups"), names_in("3 * embed_dim")
        (['in_channels', 'groups'], ['embed_dim'])
    """
    return [name for name in re.findall(r"[A-Za-z_]\w*", formula) if not name.isdecimal()]


def result(formula: str, rows: Mapping[str, Hyperparameter]) -> int | None:
    """Work a formula out; None where a number it needs is unknown, or it gives no whole one.

    Examples:
        >>> from weigh._layer import Hyperparameter
        >>> rows = {"a": Hyperparameter("a", (6, 2), "stated")}
        >>> result("4 * a[0] / a[1]", rows), result("b", rows)
        (12, None)
    """
    top, bottom, at = 1, 1, 0
    while at < len(formula):
        match = _FACTOR.match(formula, at)
        value = None if match is None else _value(match[2], match[3], rows)
        if match is None or value is None:
            return None
        if match[1] == "/":
            bottom *= value
        else:
            top *= value
        at = match.end()
    return top // bottom if formula and bottom and top % bottom == 0 else None


def _value(name: str, place: str | None, rows: Mapping[str, Hyperparameter]) -> int | None:
    if name.isdecimal():
        return int(name)
    row = rows.get(name)
    if row is None or row.status == "unknown":
        return None
    value = row.value
    if isinstance(value, tuple):
        # A shape of one axis is written without its place.
        at = int(place) if place is not None else 0
        value = value[at] if at < len(value) and (place is not None or len(value) == 1) else None
    elif place is not None:
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def disagrees(formula: str, size: int | None, rows: Mapping[str, Hyperparameter]) -> bool:
    """Whether a formula comes to another size than the axis has."""
    expected = result(formula, rows) if size is not None else None
    return expected is not None and expected != size
