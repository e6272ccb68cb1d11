"""A tensor arranged on a sheet: the codes of its cells, and what must be said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from weigh._record import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reducer = Literal["extreme", "rms", "mean"]
"""What a cell shows of its values: the one furthest from 0 with its sign, the root of their mean
square, or their mean."""


@record(frozen=True)
class Label:
    """A name beside some rows, or above some columns, of a sheet.

    Attributes:
        start: the first of them.
        stop: one past the last.
        text: the name.
    """

    start: int
    stop: int
    text: str


@record(frozen=True, eq=False)
class Sheet:
    """The cells of a picture.

    Attributes:
        codes: the codes of ``colours.py``, uint8 of shape (rows, columns).
        rgb: for a picture in three colours, those of its cells, uint8 of shape (rows, columns, 3);
            where a code is no ``MIDDLE`` it counts.
        limit: the number that the last step of the colours stands for.
        limits: the smallest and the largest limit, where each filter has its own.
        rows: labels beside the rows.
        columns: labels above the columns.
        y_name: what goes down.
        x_name: what goes to the right.
        colour_name: what red, green and blue are, in a picture in colours.
        values: how many values there are.
        shown: how many of them were read.
        reducer: what a cell shows of several values; None where each has but one.
        per_cell: how many values a cell shows at most.
        nan: how many cells hold NaN; a cell counts as the worst that it holds.
        posinf: how many hold positive infinity.
        neginf: how many hold negative infinity.
        below: how many show less than the negative limit.
        above: how many show more than the limit.
    """

    codes: NDArray[np.uint8]
    limit: float
    rgb: NDArray[np.uint8] | None = None
    limits: tuple[float, float] | None = None
    rows: tuple[Label, ...] = ()
    columns: tuple[Label, ...] = ()
    y_name: str = ""
    x_name: str = ""
    colour_name: str = ""
    values: int = 0
    shown: int = 0
    reducer: Reducer | None = None
    per_cell: int = 1
    nan: int = 0
    posinf: int = 0
    neginf: int = 0
    below: int = 0
    above: int = 0
