"""The arrangement that was asked for by a layout."""

from __future__ import annotations

from math import ceil, inf, log, prod

from weigh._errors import UsageError
from weigh._names import did_you_mean
from weigh._pictures.layout import Layout
from weigh._pictures.plan import Part, Plan, extent, starts_of
from weigh._pictures.room import ASPECT, MOST, WHOLE, made, numbers, ways
from weigh._record import record
from weigh._tensor import Tensor


def plan_of_layout(
    tensor: Tensor,
    names: tuple[str, ...],
    layout: Layout,
    sizes: dict[str, int],
    most: tuple[int, int] = MOST,
) -> Plan:
    """Arrange a tensor as it was asked for.

    Args:
        tensor: what is shown.
        names: what its axes are called.
        layout: the arrangement.
        sizes: the sizes of parts that an axis is cut into; one of each axis may be left out, and
            if all are, the axis is cut so that the sheet is neither tall nor wide.
        most: how many rows and columns there may be.

    Raises:
        UsageError: the layout does not fit the tensor.
    """
    shape = tensor.shape or ()
    if len(layout.axes) != len(shape):
        raise UsageError(
            f"the layout names {len(layout.axes)} axes, and {tensor.name} has {len(shape)}",
            seen=f"shape {list(shape)}",
        )
    known = {name for axis in layout.axes for name in axis}
    for name in sizes:
        if name not in known:
            do = did_you_mean(name, sorted(known))
            raise UsageError(f"the layout has no part {name!r}", do=do)
    for axis, parts in enumerate(layout.axes):
        if not parts and shape[axis] != 1:
            raise UsageError(
                f"axis {axis} ({names[axis]}) has {shape[axis]} positions, not 1",
                do=f"Take one of them: {tensor.name}{_slice_at(axis, len(shape))}.",
            )
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f"a part has at least one position, and {name!r} has {size}")
    tried = [
        _as_asked(shape, layout, sizes | across, most)
        for across in _free_sizes(layout, shape, sizes)
    ]
    asked = min(tried, key=lambda way: abs(log(extent(way.columns) / extent(way.rows) / ASPECT)))
    return made(shape, asked.starts, asked.rows, asked.columns, colour=asked.colour)


@record(frozen=True)
class _Asked:
    """What a plan is made of."""

    starts: dict[int, tuple[int, ...]]
    rows: list[Part]
    columns: list[Part]
    colour: int | None


def _slice_at(axis: int, rank: int) -> str:
    return "[" + ", ".join("0" if at == axis else ":" for at in range(rank)) + "]"


def _free_sizes(
    layout: Layout, shape: tuple[int, ...], sizes: dict[str, int]
) -> list[dict[str, int]]:
    """Give the ways to cut the first axis whose cut is left open; one, if none is."""
    for axis, parts in enumerate(layout.axes):
        open_parts = [name for name in parts if name not in sizes]
        if len(open_parts) == 2 and len(parts) == 2:
            return [{parts[1]: across} for across in ways(shape[axis])]
    return [{}]


def _as_asked(
    shape: tuple[int, ...], layout: Layout, sizes: dict[str, int], most: tuple[int, int]
) -> _Asked:
    """Work out the sizes of all parts and lay them out."""
    cut: dict[str, tuple[int, int, int]] = {}  # axis, size, stride, in positions
    for axis, parts in enumerate(layout.axes):
        stride = 1
        for at, name in reversed(list(enumerate(parts))):
            left = ceil(shape[axis] / stride)
            size = sizes.get(name, 0)
            if not size:
                outer = prod(sizes.get(other, 0) for other in parts[:at]) if at else 1
                if not outer:
                    raise UsageError(
                        f"the size of {name!r} is open: axis {axis} is cut into {len(parts)} parts",
                        do=f"Give the sizes of all but one of {', '.join(parts)}.",
                    )
                size = ceil(left / outer)
            cut[name] = (axis, size, stride)
            stride *= size
        if parts and stride < shape[axis]:
            raise UsageError(
                f"the parts of axis {axis} have {stride} positions, and it has {shape[axis]}"
            )
    colour = cut[layout.colour][0] if layout.colour else None
    if colour is not None and (shape[colour] != 3 or len(layout.axes[colour]) != 1):
        raise UsageError("only an axis of 3 is shown in colours", seen=f"{shape[colour]} positions")
    starts = _room(layout, cut, shape, most)
    return _Asked(
        starts, _parts(layout.rows, cut, starts), _parts(layout.columns, cut, starts), colour
    )


def _room(
    layout: Layout,
    cut: dict[str, tuple[int, int, int]],
    shape: tuple[int, ...],
    most: tuple[int, int],
) -> dict[int, tuple[int, ...]]:
    """Bring positions of the innermost part of each side together, if there is no room for all."""
    starts: dict[int, tuple[int, ...]] = {}
    for side, limit in zip((layout.rows, layout.columns), most, strict=True):
        total = prod(cut[name][1] for name in side)
        if total <= WHOLE * limit:
            continue
        share: float = total / limit
        for name in reversed(side):
            axis, size, stride = cut[name]
            if stride != 1 or len(layout.axes[axis]) > 1 or share <= 1:
                continue
            starts[axis] = starts_of(shape[axis], max(1, int(size / min(share, size))))
            share /= size / len(starts[axis]) or inf
    return starts


def _parts(
    side: tuple[str, ...],
    cut: dict[str, tuple[int, int, int]],
    starts: dict[int, tuple[int, ...]],
) -> list[Part]:
    found: list[Part] = []
    for at, name in enumerate(side):
        axis, size, stride = cut[name]
        if axis in starts:
            size = len(starts[axis])
        inner = prod(len(starts.get(cut[n][0], range(cut[n][1]))) for n in side[at + 1 :])
        gap = 1 if inner > 1 else 0
        labels = numbers(size) if gap and stride == 1 else ()
        if gap and stride > 1:
            labels = tuple(str(k * stride) for k in range(size)) if size <= 64 else ()
        found.append(Part(axis, name, size, stride, gap, labels))
    return found
