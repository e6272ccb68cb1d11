"""Histograms from exact tables: one distribution, or two before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._measures.table import Scale, Table
from weigh._pictures.bins import Counted, constant, expected
from weigh._pictures.edges import edges_of
from weigh._pictures.figure import Figure
from weigh._pictures.histogram_caption import histogram_caption
from weigh._pictures.ruler import Ruler
from weigh._pictures.steps import height_of
from weigh._record import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weigh._pictures.colours import Theme
    from weigh._pictures.shapes import Drawing
    from weigh._tensor import Initial, Tensor

BINS, FEWEST = 80, 8


@record(frozen=True, eq=False)
class Histogram(Figure):
    """How the values of a tensor are spread, counted from its table.

    Attributes:
        name: what the values are.
        scale: whether the axis was to be linear or symmetric-logarithmic.
        edges: of the bins; empty if no value is finite.
        least: how far from 0 the axis is linear; 0 if it is linear throughout.
        parts: the counts of one distribution, or of two: before and after.
        labels: what they are called, where there are two.
        initial: the distribution that the values are drawn from at first, if that is known.
        tables: the tables that were counted.
        whole: whether all values are in bins, however few are far from the rest.
    """

    name: str
    scale: Scale
    edges: tuple[float, ...]
    least: float
    parts: tuple[Counted, ...]
    labels: tuple[str, ...]
    initial: Initial | None
    tables: tuple[Table, ...]
    whole: bool = False

    @property
    def ruler(self) -> Ruler:
        """The axis of the values."""
        return Ruler(self.edges[0], self.edges[-1], self.least)

    @property
    def expected(self) -> tuple[float, ...]:
        """How many values the initial distribution has in each bin; empty if it is a constant."""
        if self.initial is None or not self.edges:
            return ()
        return expected(self.initial, self.edges, self.parts[0].finite)

    @property
    def constant(self) -> float | None:
        """The one number that all values are at first, if it is among the bins."""
        value = None if self.initial is None else constant(self.initial)
        if value is None or not self.edges or not self.edges[0] <= value <= self.edges[-1]:
            return None
        return value

    @property
    def top(self) -> float:
        """The height of the frame, in values a bin.

        Where one bin is far higher than all others it is cut, and what is expected never makes
        the counts too small to see.
        """
        heights = [[*part.counts, part.below, part.above] for part in self.parts]
        return height_of(heights, self.expected)

    @property
    def caption(self) -> tuple[str, ...]:
        """What must be said of it, in sentences."""
        return histogram_caption(self)

    def drawing(self) -> Drawing:
        """Give the shapes that it is drawn with."""
        # Loaded when it is drawn.
        from weigh._pictures.histogram_drawing import histogram_drawing

        return histogram_drawing(self)

    def plot(self, ax: Axes | None = None, *, theme: Theme = "light", caption: bool = True) -> Axes:
        """Draw it onto axes of matplotlib, as steps.

        Args:
            ax: where; axes on a figure of their own if left out.
            theme: whose colours: ``"light"`` or ``"dark"``.
            caption: whether what must be said of it stands below.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        from weigh._pictures.plot import plot_histogram

        return plot_histogram(self, ax, theme=theme, caption=caption)

    def text(self, width: int = 80, *, ascii_only: bool = False) -> str:
        """Draw it in letters, one distribution below the other.

        Args:
            width: how many columns there are.
            ascii_only: whether all letters are ASCII.
        """
        from weigh._pictures.histogram_text import histogram_text

        return histogram_text(self, width, ascii_only=ascii_only)

    def with_bins(self, bins: int) -> Histogram:
        """Count the same values in no more than so many bins."""
        return (
            self
            if len(self.edges) - 1 <= bins
            else _made(
                self.tables,
                self.name,
                self.scale,
                bins,
                self.labels,
                self.initial,
                whole=self.whole,
            )
        )


def _made(
    tables: tuple[Table, ...],
    name: str,
    scale: Scale,
    bins: int,
    labels: tuple[str, ...],
    initial: Initial | None,
    *,
    whole: bool,
) -> Histogram:
    edges, least = edges_of(tables, bins, scale, whole=whole)
    parts = tuple(Counted.of(table, edges) for table in tables)
    return Histogram(name, scale, tuple(edges), least, parts, labels, initial, tables, whole)


def histogram_of(
    of: Tensor | Table,
    *,
    name: str = "",
    scale: Scale = "linear",
    bins: int | None = None,
    beside: Tensor | Table | None = None,
    labels: tuple[str, str] = ("before", "after"),
    initial: Initial | bool | None = None,
    whole: bool = False,
) -> Histogram:
    """Make the histogram of a tensor's values, or of a table's.

    Args:
        of: what is counted.
        name: what it is called; a tensor has a name.
        scale: ``"linear"``, or ``"symlog"`` for an axis that is logarithmic on both sides of 0.
        bins: how many bins there are at most; if left out 80, and fewer of few values.
        beside: what is counted beside it, in the same bins: its values afterwards.
        labels: what the two are called.
        initial: the distribution that the values are drawn from at first. A tensor may know its
            own, which is drawn unless this is False.
        whole: whether a linear axis reaches from the smallest value to the largest, however few
            values are far from the rest.

    Raises:
        UsageError: there is no such scale, or there is to be no bin.

    Examples:
        >>> from array import array
        >>> table = Table.of("float32", array("f", [-1.0, 0.0, 0.25, 0.5]))
        >>> histogram_of(table, bins=3).parts[0].counts
        (1, 0, 3)
    """
    if initial is None or initial is True:
        initial = getattr(of, "initial", None)
    tables = tuple(_table(one) for one in (of, beside) if one is not None)
    if bins is None:
        bins = usual_bins(max(table.summary()[0] for table in tables))
    labelled = labels if len(tables) > 1 else ()
    name = name or getattr(of, "name", "")
    return _made(tables, name, scale, bins, labelled, initial or None, whole=whole)


def usual_bins(count: int) -> int:
    """Say how many bins some values are worth: in more of them, few values would show chance alone.

    It is half as many again as Rice's rule has, twice the cube root of their number.

    Examples:
        >>> usual_bins(150), usual_bins(23040), usual_bins(0)
        (16, 80, 8)
    """
    wanted: int = round(3 * float(count) ** (1 / 3))
    return max(FEWEST, min(BINS, wanted))


def _table(of: Tensor | Table) -> Table:
    return of if isinstance(of, Table) else of.table()
