"""The functions that draw: each opens a source, finds its tensors, and hands them to pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from weigh._api import open as open_network
from weigh._errors import WeighError
from weigh._model import tensor_at
from weigh._tensor import Tensor

if TYPE_CHECKING:
    from weigh._model import Network
    from weigh._pictures.histogram import Histogram
    from weigh._pictures.limit import Limit
    from weigh._pictures.picture import Picture
    from weigh._pictures.ridge import Ridge
    from weigh._pictures.sheet import Reducer

CELLS = 1024


def picture(
    source: object,
    name: str,
    *,
    layout: str | None = None,
    axes: tuple[str, str] | None = None,
    sizes: Mapping[str, int] | None = None,
    scale: Literal["tensor", "filter", "network"] | float = "tensor",
    reducer: Reducer = "extreme",
    rgb: bool | None = None,
    cells: int = CELLS,
    sample: bool = False,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Picture:
    """Show a tensor as colours: filters as a grid, matrices as heat-maps, vectors as strips.

    Blue is negative, white is 0 and orange is positive, up to the 99.9th percentile of all finite
    sizes; NaN, infinities and what lies beyond have a sign of their own and are counted. Gates,
    queries, keys and values stand apart and are named.

    Args:
        source: what ``open`` takes, or what it gave.
        name: a tensor, or a slice of it: ``"conv1.weight"``, ``"conv1.weight[0]"``.
        layout: how it is arranged, in the manner of einops: ``"o i h w -> (o h) (i w)"``. A name
            in brackets on the left is a part of an axis: ``"(r c) 1 h w -> (r h) (c w)"`` cuts
            filters into rows. By what its axes are if left out.
        axes: the names of the two axes that go down and to the right; the others must be of 1, so
            slice them.
        sizes: the sizes of parts of axes in the layout.
        scale: where colours end: at the limit of all values of the tensor, of each filter's own,
            or of all parameters of the network; or a number.
        reducer: what a cell shows, where it has to stand for several values: the one furthest
            from 0 with its sign (``"extreme"``), the root of their mean square (``"rms"``) or their
            mean.
        rgb: whether an axis of three is red, green and blue; None for the filters of a first layer.
        cells: how many cells there may be each way, where values have to be brought together.
        sample: whether a tensor of more than 2^26 values may be sampled, which its caption says.
        threads: how many share the reading; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were read.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: there is no such tensor.
        ValuesError: its values cannot be had, or there are none.
        UsageError: the layout does not fit the tensor, or an option makes no sense.

    Examples:
        >>> import numpy, weigh
        >>> net = {"conv.weight": numpy.linspace(-1, 1, 150, dtype="f4").reshape(6, 1, 5, 5)}
        >>> picture = weigh.picture(net, "conv.weight")
        >>> print(picture.caption[0])
        Down: kernel_height=5; to the right: out_channels=6 (3 in a row), kernel_width=5.
        >>> picture.svg()[:5], picture.png()[1:4]
        ('<svg ', b'PNG')
    """
    from weigh._pictures.picture import picture_of

    network = open_network(source)
    tensor = tensor_at(network, name)
    limit: Literal["tensor", "filter"] | float | Limit
    limit = network_limit(network, threads, progress) if scale == "network" else scale
    return picture_of(
        tensor,
        layout=layout,
        axes=axes,
        sizes=sizes,
        scale=limit,
        reducer=reducer,
        rgb=rgb,
        cells=(cells, cells),
        sample=sample,
        threads=threads,
        progress=progress,
    )


def network_limit(
    network: Network, threads: int = 0, progress: Callable[[int], None] | None = None
) -> Limit:
    """Give the limit of all parameters of a network together, each once.

    Args:
        network: whose parameters they are; all tensors, if it has none.
        threads: how many share the reading.
        progress: told how many more bytes were read.
    """
    from weigh._measures.measure import measure
    from weigh._measures.measured import Options
    from weigh._measures.table import Table
    from weigh._pictures.limit import Limit, limit_of

    tensors = [*network.parameters()] or network.tensors()
    table = Table("mixed")
    for measured in measure(tensors, Options((), threads=threads, progress=progress)):
        if measured.table is not None:
            table.merge(measured.table)
    limit = limit_of(table)
    return Limit(limit.value, f"{limit.words} of all parameters")


def histogram(
    source: object,
    name: str,
    *,
    beside: object = None,
    scale: Literal["linear", "symlog"] = "linear",
    whole: bool = False,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Histogram:
    """Show how the values of a tensor are distributed, with the distribution they start from.

    Args:
        source: what ``open`` takes, or what it gave.
        name: a tensor, or a slice of it.
        beside: another source, whose tensor of the same name is drawn above it: what became of
            it; or a tensor.
        scale: ``"linear"``, or ``"symlog"`` for an axis that is logarithmic on both sides of 0.
        whole: whether a linear axis reaches from the smallest value to the largest, however few
            values are far from the rest.
        threads: how many share the reading; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were read.

    Raises:
        SourceError: a source cannot be read.
        UnknownNameError: there is no such tensor.
        ValuesError: its values cannot be had.
        UsageError: there is no such scale.

    Examples:
        >>> import numpy, weigh
        >>> net = {"fc.bias": numpy.array([-1.0, 0.0, 0.0, 3.0])}
        >>> print(weigh.histogram(net, "fc.bias").caption[0])
        4 values, from −1 to 3, 2 of them 0.
    """
    tensor = tensor_at(open_network(source), name)
    if beside is not None and not isinstance(beside, Tensor):
        other = open_network(beside)
        try:
            beside = tensor_at(other, name)
        except WeighError as error:  # the source that is named is the one that lacks it
            raise (error.at(beside) if isinstance(beside, str) else error) from None
    return histogram_of_tensor(
        tensor, beside=beside, scale=scale, whole=whole, threads=threads, progress=progress
    )


def histogram_of_tensor(
    tensor: Tensor,
    *,
    beside: Tensor | None = None,
    scale: Literal["linear", "symlog"] = "linear",
    whole: bool = False,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Histogram:
    """Show how the values of one tensor are distributed; see ``histogram``."""
    from weigh._measures.measure import table_of
    from weigh._measures.measured import Options
    from weigh._pictures.histogram import histogram_of

    options = Options((), threads=threads, progress=progress)
    return histogram_of(
        table_of(tensor, options),
        name=tensor.name,
        scale=scale,
        beside=None if beside is None else table_of(beside, options),
        initial=tensor.initial or False,
        whole=whole,
    )


def ridge(
    source: object,
    pattern: str | None = None,
    *,
    scale: Literal["linear", "symlog"] = "linear",
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Ridge:
    """Show how the values of all tensors are distributed, one below the other on one axis.

    Args:
        source: what ``open`` takes, or what it gave.
        pattern: selects tensors: a whole name, a layer's path, or a glob.
        scale: ``"linear"``, or ``"symlog"`` for an axis that is logarithmic on both sides of 0.
        threads: how many share the reading; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were read.

    Raises:
        SourceError: the source cannot be read.
        UnknownNameError: the pattern selects nothing.
        UsageError: there is no such scale.

    Examples:
        >>> import numpy, weigh
        >>> net = {"fc.weight": numpy.ones((2, 3)), "fc.bias": numpy.zeros(2)}
        >>> [row.name for row in weigh.ridge(net).rows]
        ['fc.weight', 'fc.bias']
    """
    from weigh._measures.measure import measure
    from weigh._measures.measured import Options
    from weigh._pictures.ridge import ridge_of

    network = open_network(source)
    tensors = network.tensors() if pattern is None else network.select(pattern)
    tables = {
        measured.tensor.name: measured.table
        for measured in measure(tensors, Options((), threads=threads, progress=progress))
        if measured.table is not None
    }
    rows = [(t.name, tables[t.name], t.initial) for t in tensors if t.name in tables]
    return ridge_of(rows, scale=scale)
