"""The pictures of a report: how many cells each may have, and what the page is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weigh._measures.measured import Options
from weigh._measures.table import Table
from weigh._pictures.limit import Limit, limit_of
from weigh._pictures.plan import Plan, pitches
from weigh._pictures.room import WHOLE
from weigh._tensor import Tensor

if TYPE_CHECKING:
    from weigh._pictures.picture import Scale
    from weigh._pictures.sheet import Label, Sheet

LARGEST = 256
"""Cells along either side of a picture, at most."""

_LEAST = 8
_ROOM = 12_500_000
"""Bytes of all details before they are written in base64, which makes a third more of them."""

_TOLD = 650
"""Bytes that take the words and numbers of a tensor, about, once they are deflated."""


def side(counts: Sequence[int]) -> int:
    """Say how many cells a side the pictures of tensors may have; 0 if there is no room for any.

    Args:
        counts: how many values each picture shows. It has no more cells than that, and as many
            where they are no more than twice as many a side as there may be.

    Examples:
        >>> side([1000] * 10), side([10**6] * 1000), side([10**6] * 10_000), side([2000] * 10_000)
        (256, 108, 24, 22)
    """
    room = _ROOM - _TOLD * len(counts)
    low, high = _LEAST - 1, LARGEST
    while low < high:
        middle = (low + high + 1) // 2
        whole = (WHOLE * middle) ** 2
        if sum(count if count <= whole else middle * middle for count in counts) <= room:
            low = middle
        else:
            high = middle - 1
    return low if low >= _LEAST else 0


def picture(
    tensor: Tensor, cells: int, table: Table, options: Options, limit: Limit | None = None
) -> tuple[dict[str, Any], list[bytes]]:
    """Make a picture: what the page is told of it, and its cells.

    Args:
        tensor: of what.
        cells: how many cells a side, at most.
        table: of its values.
        options: how values are read.
        limit: the number that the last step of the colours stands for; its own if None.

    Raises:
        WeighError: it has no values, or cannot be read.
    """
    from weigh._pictures.picture import picture_of  # reads values, and so needs NumPy

    scale: Scale = "tensor" if limit is None else limit
    made = picture_of(
        tensor,
        cells=(cells, cells),
        table=table,
        scale=scale,
        sample=True,
        threads=options.threads,
        progress=options.progress,
    )
    sheet = made.sheet
    blobs = [sheet.codes.tobytes()]
    if sheet.rgb is not None:
        blobs.append(sheet.rgb.tobytes())
    told = {
        "size": list(sheet.codes.shape),
        "rgb": sheet.rgb is not None,
        "limit": sheet.limit,
        "limits": sheet.limits,
        "rows": _labels(sheet.rows),
        "columns": _labels(sheet.columns),
        "plan": _plan(made.plan),
        "odd": _odd(sheet),
        "caption": list(made.caption),
    }
    return {key: value for key, value in told.items() if value}, blobs


def common_limit(tables: Sequence[Table]) -> Limit:
    """Give one limit for several pictures: the largest of theirs."""
    found = max((limit_of(table) for table in tables), key=lambda limit: limit.value)
    return Limit(found.value, f"{found.words}, of the larger of both")


def _plan(plan: Plan) -> list[Any]:
    """Say which values each cell shows, as few numbers: see ``indexOf`` in ``picture.js``.

    Each part of the rows and columns is its axis, its size, how far apart its steps are, and how
    many cells along the axis a step is. Cells along an axis begin at every so many positions, or
    where a list says.
    """
    ways = [
        [[p.axis, p.size, pitch, p.stride] for p, pitch in zip(parts, pitches(parts), strict=True)]
        for parts in (plan.rows, plan.columns)
    ]
    starts = []
    for size, found in zip(plan.shape, plan.starts, strict=True):
        step = found[1] - found[0] if len(found) > 1 else max(size, 1)
        even = found == tuple(range(0, size, step))
        starts.append(step if even else list(found))
    return [*ways, starts, -1 if plan.colour is None else plan.colour]


def _labels(labels: Sequence[Label]) -> list[list[object]]:
    return [[label.start, label.stop, label.text] for label in labels]


def _odd(sheet: Sheet) -> list[int]:
    """Count the cells of each mark, in the order of their codes; nothing if there are none."""
    counts = [sheet.nan, sheet.posinf, sheet.neginf, sheet.below, sheet.above]
    return counts if any(counts) else []
