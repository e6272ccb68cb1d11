"""From the numbers of cells to the codes of their colours.

This module imports NumPy, so it is itself imported only when values are read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from weigh._pictures.colours import ABOVE, BELOW, GAP, MIDDLE, NAN, NEGINF, POSINF, STEPS
from weigh._pictures.plan import Plan
from weigh._pictures.sheet import Reducer, Sheet
from weigh._pictures.shrunk import NAN_FLAG, NEGINF_FLAG, POSINF_FLAG, Array, Shrunk

_GREY = 128.0


def codes_of(values: Array, flags: Array, limit: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Give each number its code.

    Args:
        values: the numbers.
        flags: what else their cells hold, as ``Shrunk`` has it.
        limit: the number at which colours end, or one for each, in a shape that fits.

    Examples:
        >>> codes_of(np.array([-2.0, 0, 1]), np.full(3, 8, np.uint8), 1.0).tolist()
        [4, 126, 246]
    """
    share = _shares(values, limit)
    share *= STEPS
    np.rint(share, out=share)
    share += MIDDLE
    codes: np.ndarray[Any, np.dtype[np.uint8]] = share.astype(np.uint8)
    np.copyto(codes, ABOVE, where=values > limit)
    np.copyto(codes, BELOW, where=values < -np.asarray(limit))
    # The worst that a cell holds is what it shows.
    for code, flag in ((NEGINF, NEGINF_FLAG), (POSINF, POSINF_FLAG), (NAN, NAN_FLAG)):
        if (held := np.bitwise_and(flags, flag)).any():
            np.copyto(codes, code, where=held != 0)
    return codes


def _shares(values: Array, limit: Any) -> Array:
    """Give finite numbers as shares of a limit, from -1 to 1; 0 of a limit of 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.asarray(values / limit)
    np.clip(share, -1, 1, out=share)
    if not np.all(limit):
        np.copyto(share, 0.0, where=np.isnan(share))
    return share


def sheet_of(
    found: Shrunk,
    plan: Plan,
    limits: Any,
    *,
    values: int,
    how: Reducer,
    colours: str = "",
) -> Sheet:
    """Put coded cells where the plan has them.

    Args:
        found: the cells' numbers.
        plan: where they go.
        limits: the number at which colours end, or an array of them that fits the cells.
        values: how many values the tensor has.
        how: what a cell shows of several.
        colours: what the axis of red, green and blue is called.
    """
    codes = codes_of(found.values, found.flags, limits)
    rgb = None
    if plan.colour is not None:
        codes, mixed = _coloured(found.values, codes, limits, plan.colour)
        rgb = np.zeros((plan.height, plan.width, 3), np.uint8)
    places = plan.places()
    made = np.full(plan.height * plan.width, GAP, np.uint8)
    made[places.reshape(-1)] = codes.reshape(-1)
    if rgb is not None:
        rgb.reshape(-1, 3)[places.reshape(-1)] = mixed.reshape(-1, 3)
    counts = np.bincount(codes.reshape(-1), minlength=256)
    rows, columns = plan.labels()
    one = np.ndim(limits) == 0
    down, right = _sides(plan)
    return Sheet(
        codes=made.reshape(plan.height, plan.width),
        limit=float(np.max(limits)),
        rgb=rgb,
        limits=None if one else (float(np.min(limits)), float(np.max(limits))),
        rows=rows,
        columns=columns,
        y_name=down,
        x_name=right,
        colour_name=colours,
        values=values,
        shown=found.read,
        reducer=how if plan.per_cell > 1 else None,
        per_cell=plan.per_cell,
        nan=int(counts[NAN]),
        posinf=int(counts[POSINF]),
        neginf=int(counts[NEGINF]),
        below=int(counts[BELOW]),
        above=int(counts[ABOVE]),
    )


def _coloured(values: Array, codes: Array, limits: Any, axis: int) -> tuple[Array, Array]:
    """Make colours of three numbers each, grey being 0; the worst of their codes counts."""
    share = _shares(values, limits)
    colours = np.rint(_GREY - 0.5 + share * (_GREY - 0.5)).astype(np.uint8)
    worst = codes.min(axis=axis)
    return np.where(worst <= ABOVE, worst, MIDDLE).astype(np.uint8), np.moveaxis(colours, axis, -1)


def _sides(plan: Plan) -> tuple[str, str]:
    """Say which axes go down and which to the right, the outer first.

    An axis that goes both ways stands where neighbours stand side by side.
    """
    words: list[str] = []
    # An axis that is wrapped to a single place one way lies the other way alone.
    long = {part.axis for part in (*plan.rows, *plan.columns) if part.size > 1}
    rows, columns = (
        [part for part in parts if part.size > 1 or part.axis not in long]
        for parts in (plan.rows, plan.columns)
    )
    for parts, others, line in ((rows, columns, "column"), (columns, rows, "row")):
        said: dict[tuple[int, str], str] = {}
        elsewhere = {(part.axis, part.name): part.stride for part in others}
        for part in parts:
            key = part.axis, part.name
            if not part.name or elsewhere.get(key, part.stride + 1) < part.stride:
                continue
            alone = all(p is part or (p.axis, p.name) == key for p in parts if p.axis == part.axis)
            whole = key in elsewhere or (alone and part.stride == 1)
            size = plan.shape[part.axis] if whole else part.size
            lined = f" ({part.size:,} in a {line})" if key in elsewhere else ""
            said[key] = f"{part.name}={size:,}{lined}"
        words.append(", ".join(said.values()))
    return words[0], words[1]
