"""A ridge: one small histogram for each tensor, above each other on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weigh._errors import UsageError
from weigh._measures.statistics import Moments
from weigh._measures.table import Scale, Table
from weigh._pictures.bins import constant, expected
from weigh._pictures.edges import edges_of
from weigh._pictures.figure import Figure
from weigh._pictures.ridge_caption import ridge_caption
from weigh._pictures.ruler import Ruler
from weigh._pictures.steps import height_of
from weigh._record import record
from weigh._tensor import Initial

if TYPE_CHECKING:
    from weigh._pictures.shapes import Drawing

BINS = 120
MOST = 120
"""How many rows a ridge has at most."""


@record(frozen=True)
class RidgeRow:
    """A row.

    Attributes:
        name: what the values are.
        counts: how many values are in each bin.
        expected: how many the initial distribution has; empty if there is none.
        constant: the one number that all values are at first.
        top: the height of the row, in values a bin.
        std: their standard deviation; None if no value is finite.
        outside: how many finite values are in no bin.
        odd: how many values are not finite.
    """

    name: str
    counts: tuple[int, ...]
    expected: tuple[float, ...]
    constant: float | None
    top: float
    std: float | None
    outside: int
    odd: int


@record(frozen=True, eq=False)
class Ridge(Figure):
    """How the values of several tensors are spread, each in a row of its own.

    Attributes:
        edges: of the bins, the same for all rows; empty if no value is finite.
        least: how far from 0 the axis is linear; 0 if it is linear throughout.
        rows: those that are drawn.
        left_out: how many more there are.
    """

    edges: tuple[float, ...]
    least: float
    rows: tuple[RidgeRow, ...]
    left_out: int = 0

    @property
    def ruler(self) -> Ruler:
        """The axis of the values."""
        return Ruler(self.edges[0], self.edges[-1], self.least)

    @property
    def caption(self) -> tuple[str, ...]:
        """What must be said of it, in sentences."""
        return ridge_caption(self)

    def drawing(self) -> Drawing:
        """Give the shapes that it is drawn with."""
        # Loaded when it is drawn.
        from weigh._pictures.ridge_drawing import ridge_drawing

        return ridge_drawing(self)

    def text(self, width: int = 80, *, ascii_only: bool = False) -> str:
        """Draw it in letters, a line for each row.

        Args:
            width: how many columns there are.
            ascii_only: whether all letters are ASCII.
        """
        from weigh._pictures.ridge_text import ridge_text

        return ridge_text(self, width, ascii_only=ascii_only)


def ridge_of(
    rows: Sequence[tuple[str, Table, Initial | None]],
    *,
    scale: Scale = "linear",
    bins: int = BINS,
    most: int = MOST,
) -> Ridge:
    """Make a ridge of tables by name, with the distributions that they are drawn from at first.

    Args:
        rows: name, table, and initial distribution where it is known.
        scale: ``"linear"``, or ``"symlog"`` for an axis that is logarithmic on both sides of 0.
        bins: how many bins there are at most.
        most: how many rows are drawn, the first ones.

    Raises:
        UsageError: there is no such scale, or there is to be no bin.

    Examples:
        >>> from array import array
        >>> made = ridge_of([("fc.bias", Table.of("float32", array("f", [0.0, 1.0, 1.0])), None)])
        >>> made.rows[0].name, sum(made.rows[0].counts)
        ('fc.bias', 3)
    """
    if most < 1:
        raise UsageError(f"a ridge has at least one row, not {most}")
    shown = rows[:most]
    tables = [table for _, table, _ in shown]
    edges, least = edges_of(tables, bins, scale)
    made = tuple(_row(name, table, initial, edges) for name, table, initial in shown)
    return Ridge(tuple(edges), least, made, len(rows) - len(shown))


def _row(name: str, table: Table, initial: Initial | None, edges: Sequence[float]) -> RidgeRow:
    values, nan, posinf, neginf, *_ = table.summary()
    odd = nan + posinf + neginf
    counts = table.histogram(edges) if edges else []
    low, high = table.extremes() or (None, None)
    hoped = expected(initial, edges, values - odd) if initial is not None and edges else ()
    single = None if initial is None else constant(initial)
    inside = bool(edges) and single is not None and edges[0] <= single <= edges[-1]
    return RidgeRow(
        name=name,
        counts=tuple(counts),
        expected=hoped,
        constant=single if inside else None,
        top=height_of([counts], hoped),
        std=Moments.of(table, values - odd, constant=low == high).std,
        outside=values - odd - sum(counts),
        odd=odd,
    )
