"""A picture of a tensor: its values as colours, arranged by what its axes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from weigh._errors import UsageError, ValuesError, printable
from weigh._pictures.arranged import axis_names, plan_of
from weigh._pictures.by_layout import plan_of_layout
from weigh._pictures.figure import Figure
from weigh._pictures.layout import layout_of_axes, parse_layout
from weigh._pictures.limit import Limit, limit_of, limit_of_values
from weigh._pictures.plan import Plan
from weigh._pictures.room import MOST, MOST_CELLS
from weigh._pictures.sheet import Reducer, Sheet
from weigh._record import record
from weigh._tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from weigh._measures.table import Table
    from weigh._pictures.colours import Theme
    from weigh._pictures.shapes import Drawing

Scale = Literal["tensor", "filter"] | float | Limit
"""Whose values say where colours end: the tensor's, each filter's own, or a number."""

SAMPLED = 1 << 26
"""A tensor of more values is sampled, where that is allowed."""


@record(frozen=True, eq=False)
class Picture(Figure):
    """A tensor as colours: blue is negative, orange positive, and what is odd has a sign.

    Attributes:
        title: what it is of: the tensor's name, type and shape.
        sheet: its cells.
        plan: which value each cell shows.
        caption: what must be said of it, a sentence each: where colours end and why, what a cell
            shows, whether all values were read, what is not finite, what is clipped.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"conv.weight": numpy.zeros((6, 1, 5, 5), "f4")})
        >>> picture = net["conv.weight"].picture()
        >>> picture.sheet.codes.shape, picture.caption[1]
        ((11, 17), 'Orange is positive, blue negative; all finite values are 0.')
    """

    title: str
    sheet: Sheet
    plan: Plan
    _caption: tuple[str, ...]

    @property
    def caption(self) -> tuple[str, ...]:
        """What must be said of it, a sentence each."""
        return self._caption

    def drawing(self) -> Drawing:
        """Give the shapes that it is drawn with."""
        from weigh._pictures.painted import painted

        return painted(self.sheet, self.title, self._caption)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        theme: Theme = "light",
        colorbar: bool = False,
        caption: bool = True,
    ) -> Axes:
        """Draw it onto axes of matplotlib, whose numbers are those of its cells.

        Args:
            ax: where; axes on a figure of their own if left out.
            theme: whose colours: ``"light"`` or ``"dark"``.
            colorbar: whether a bar beside it says which colour is which number.
            caption: whether what must be said of it stands below.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        from weigh._pictures.plot import plot_picture

        return plot_picture(self, ax, theme=theme, colorbar=colorbar, caption=caption)

    def text(self, width: int = 80, *, ascii_only: bool = False) -> str:
        """Draw it in letters, with its title above and its caption below.

        Args:
            width: how many columns there are.
            ascii_only: whether all letters are ASCII.
        """
        from weigh._pictures.shown import sheet_text

        drawn = sheet_text(self.sheet, width, in_ascii=ascii_only)
        return "\n".join([self.title, "", drawn, "", *self._caption])

    def __repr__(self) -> str:
        return f"<Picture of {self.title}>"


def picture_of(
    tensor: Tensor,
    *,
    layout: str | None = None,
    axes: tuple[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    scale: Scale = "tensor",
    reducer: Reducer = "extreme",
    rgb: bool | None = None,
    cells: tuple[int, int] = MOST,
    table: Table | None = None,
    sample: bool = False,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Picture:
    """Make a picture of a tensor; see ``Tensor.picture``.

    Args:
        tensor: what is shown.
        layout: how it is arranged, as in einops; by what its axes are if left out.
        axes: the two axes that go down and to the right, all others being of 1.
        sizes: the sizes of the parts into which the layout cuts axes.
        scale: where colours end: at the limit of all values, at that of each filter's, or at a
            number.
        reducer: what a cell shows, if it has to stand for several values.
        rgb: whether an axis of three is shown in colours.
        cells: how many rows and columns of cells there are at most, where values have to be
            brought together.
        table: the counts of the tensor's values, if they are known already.
        sample: whether a tensor of more than 2^26 values may be sampled.
        threads: how many share the work; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of the tensor were read.

    Raises:
        UsageError: the layout does not fit, or the scale is none.
        ValuesError: the values cannot be had, or there are none.
    """
    from weigh._pictures.coded import sheet_of
    from weigh._pictures.picture_caption import caption_of
    from weigh._pictures.shrunk import shrunk

    plan = plan_for(tensor, layout=layout, axes=axes, sizes=sizes, rgb=rgb, cells=cells)
    _check(scale, reducer)
    own = scale == "tensor" or (scale == "filter" and not plan.shape)  # one number
    found = shrunk(
        tensor,
        plan,
        reducer,
        counted=own and table is None and plan.per_cell > 1,
        sampled=sample and (tensor.count or 0) > SAMPLED,
        threads=threads,
        progress=progress,
    )
    limits: Any
    if isinstance(scale, Limit):
        limits, words = scale.value, scale.words
    elif scale == "filter" and not own:
        limits, words = _filter_limits(tensor, plan)
    elif own:
        table = found.table if table is None else table
        # Where each value is at hand, those of wide types say more than their table.
        limit = limit_of(table) if plan.per_cell > 1 and table else limit_of_values(found.finite)
        limits, words = limit.value, limit.words
    else:
        limits, words = float(scale), "as asked for"
    colours = "" if plan.colour is None else axis_names(tensor)[plan.colour]
    sheet = sheet_of(found, plan, limits, values=tensor.count or 0, how=reducer, colours=colours)
    caption = caption_of(sheet, words, parts=tensor.dtype.family == "complex")
    return Picture(title_of(tensor), sheet, plan, caption)


def title_of(tensor: Tensor) -> str:
    """Name a tensor with its type and its axes."""
    named = " ".join(
        f"{name}={size:,}"
        for name, size in zip(axis_names(tensor), tensor.shape or (), strict=True)
    )
    return printable(f"{tensor.name}  {tensor.dtype.name}  {named}".rstrip())


def plan_for(
    tensor: Tensor,
    *,
    layout: str | None = None,
    axes: tuple[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    rgb: bool | None = None,
    cells: tuple[int, int] = MOST,
) -> Plan:
    """Say where each value goes, without reading any; see ``picture_of``."""
    if tensor.shape is None:
        raise ValuesError(f"{tensor.name} has no values before the layer's first input")
    if not tensor.count:
        raise ValuesError(f"{tensor.name} has no values to show", seen=f"shape {[*tensor.shape]}")
    if not 1 <= min(cells) <= max(cells) <= MOST_CELLS:
        raise UsageError(f"a picture has 1 to {MOST_CELLS:,} cells each way", seen=str(cells))
    if layout is not None and axes is not None:
        raise UsageError("a layout says already which axes go where", do="Leave axes out.")
    if axes is not None:
        asked = layout_of_axes(axis_names(tensor), *_known_axes(tensor, axes))
    elif layout is not None:
        asked = parse_layout(layout)
    elif sizes:
        raise UsageError("sizes are those of a layout's parts", do="Give a layout too.")
    else:
        return plan_of(tensor, cells, rgb=rgb)
    return plan_of_layout(tensor, axis_names(tensor), asked, dict(sizes or {}), cells)


def _known_axes(tensor: Tensor, axes: tuple[str, str]) -> tuple[str, str]:
    from weigh._names import did_you_mean

    names = axis_names(tensor)
    for name in axes:
        if names.count(name) > 1:
            raise UsageError(f"several axes are called {name!r}", do="Give a layout.")
        if name not in names:
            do = did_you_mean(name, list(names)) or f"There are: {', '.join(names)}."
            raise UsageError(f"{tensor.name} has no axis {name!r}", do=do)
    if axes[0] == axes[1]:
        raise UsageError("two different axes go down and to the right", seen=axes[0])
    return axes


def _check(scale: Scale, reducer: str) -> None:
    if reducer not in ("extreme", "rms", "mean"):
        raise UsageError(
            "a cell shows the extreme, the rms or the mean of its values", seen=repr(reducer)
        )
    if isinstance(scale, Limit) or scale in ("tensor", "filter"):
        return
    if not isinstance(scale, (int, float)) or not 0 < scale < float("inf"):
        raise UsageError(
            "a scale is 'tensor', 'filter' or the number at which colours end", seen=repr(scale)
        )


def _filter_limits(tensor: Tensor, plan: Plan) -> tuple[Any, str]:
    """Give the limit of each filter, in a shape that fits the cells."""
    import numpy as np

    from weigh._measures.groups import measure_positions
    from weigh._measures.measured import Options

    axis = filter_axis(tensor, plan)
    each = []
    for measured in measure_positions(tensor, axis, Options(quantiles=())):
        if measured.table is None:
            raise ValuesError(measured.problem)
        each.append(limit_of(measured.table).value)
    shape = [1] * len(plan.shape)
    shape[axis] = len(plan.starts[axis])
    # Where several filters share a cell, the largest of their limits holds.
    limits = np.maximum.reduceat(np.array(each), plan.starts[axis]).reshape(shape)
    return limits, f"for each position of {axis_names(tensor)[axis]} the limit of its own values"


def filter_axis(tensor: Tensor, plan: Plan) -> int:
    """Say along which axis filters lie: what a layer gives, or else what goes down first."""
    from weigh._measures.channels import channel_axis

    known = channel_axis(tensor)
    if known is not None:
        return known
    return next((part.axis for part in (*plan.rows, *plan.columns)), 0)
