"""The arrangement that suits a tensor: by what its axes are, or as it was asked for."""

from __future__ import annotations

from math import ceil, log, prod

from weigh._errors import UsageError
from weigh._pictures.blocks import blocks_of
from weigh._pictures.plan import Part, Plan, extent, starts_of
from weigh._pictures.room import (
    ASPECT,
    MOST,
    MOST_ALONG,
    MOST_PLACES,
    WHOLE,
    fits,
    made,
    numbers,
    ways,
)
from weigh._record import record
from weigh._tensor import Tensor

_LONG = 4.0
"""How many times longer one side of a matrix is that is cut into bands beside each other."""
_LINE = 128
_DEPTH = ("in_channels", "in_channels_per_group", "axis 1")
"""What the axis of red, green and blue may be called."""


def plan_of(tensor: Tensor, most: tuple[int, int] = MOST, *, rgb: bool | None = None) -> Plan:
    """Arrange a tensor by what its axes are.

    Filters become a grid, each with its slices side by side, or in colours if there are three;
    matrices are shown as they are, vectors as strips; gates, queries, keys and values stand apart.

    Args:
        tensor: what is shown.
        most: how many rows and columns there may be.
        rgb: whether an axis of three slices is shown as red, green and blue; None where that is
            usual: the first layer of filters.

    Raises:
        UsageError: colours are asked for and there is no axis of three.
    """
    shape = tensor.shape or ()
    names = axis_names(tensor)
    long = [axis for axis, size in enumerate(shape) if size != 1]
    tile, grid = _tile_and_grid(names, shape, long)
    colour = _colour(names, shape, grid, tile, rgb)
    if colour is not None:
        grid = [axis for axis in grid if axis != colour]
    if not tile and not grid:  # one value
        tile = [0] if shape else []
    if len(tile) == 1 and not grid:
        return _strip(tensor, names, tile[0], most)
    return _grid(tensor, names, tile, grid, colour, most)


def axis_names(tensor: Tensor) -> tuple[str, ...]:
    """Give the names of a tensor's axes; an axis of no name is called by its number."""
    shape = tensor.shape or ()
    given = [axis.name for axis in tensor.axes] or ["?"] * len(shape)
    return tuple(f"axis {at}" if name == "?" else name for at, name in enumerate(given))


def _tile_and_grid(
    names: tuple[str, ...], shape: tuple[int, ...], long: list[int]
) -> tuple[list[int], list[int]]:
    """Say which axes are those of one picture, and which those of a grid of pictures."""
    kernel = [a for a in range(len(shape)) if names[a].startswith("kernel")]
    outer = [a for a in long if a not in kernel]
    # Filters before their depth, wherever a format has them.
    outer.sort(key=lambda a: 0 if names[a] in ("out_channels", "filters") else 1)
    if len(kernel) >= 2 and prod(shape[a] for a in kernel) > 1:
        return kernel[-2:], [*outer, *(a for a in kernel[:-2] if shape[a] != 1)]
    if len(kernel) == 1 and shape[kernel[0]] > 1 and len(outer) > 1:
        return [outer[-1], kernel[0]], outer[:-1]
    if len(kernel) and len(outer) == 2:
        return sorted(outer), []
    if len(long) <= 2:
        return long, []
    return long[-2:], long[:-2]


def _colour(
    names: tuple[str, ...],
    shape: tuple[int, ...],
    grid: list[int],
    tile: list[int],
    rgb: bool | None,  # noqa: FBT001
) -> int | None:
    """Find the axis of red, green and blue."""
    depth = [a for a in grid if shape[a] == 3 and names[a] in _DEPTH]
    usual = len(tile) == 2 and names[tile[0]].startswith("kernel") and depth
    if rgb or (rgb is None and usual):
        depth = depth or [a for a in grid if shape[a] == 3]
        if depth:
            return depth[0]
        raise UsageError("only an axis of 3 is shown in colours", seen=f"shape {list(shape)}")
    return None


def _strip(tensor: Tensor, names: tuple[str, ...], axis: int, most: tuple[int, int]) -> Plan:
    """Lay a vector out in lines."""
    shape = tensor.shape or ()
    size = shape[axis]
    blocks = blocks_of(tensor, axis)
    room = min(most[0] * most[1] // 4, MOST_ALONG)
    starts = starts_of(size, room, max(1, len(blocks)))
    cells = len(starts) // max(1, len(blocks))
    # The least power of two that makes a sheet no higher than wide, with the gaps between lines.
    wide = 1 << ceil(log(2 * len(starts), 2) / 2)
    line = cells if cells <= min(_LINE, most[1]) else min(max(_LINE, wide), most[1])
    lines = ceil(cells / line)
    firsts = tuple(str(starts[k * line]) for k in range(lines)) if lines > 1 else ()
    name = names[axis]
    rows = [Part(axis, name, lines, line, 1, firsts if not blocks else ())] if lines > 1 else []
    if blocks:
        rows.insert(0, Part(axis, name, len(blocks), cells, 2 if lines > 1 else 1, blocks))
    return made(shape, {axis: starts}, rows, [Part(axis, name, line)])


def _grid(
    tensor: Tensor,
    names: tuple[str, ...],
    tile: list[int],
    grid: list[int],
    colour: int | None,
    most: tuple[int, int],
) -> Plan:
    """Lay out a picture, or a grid of pictures."""
    shape = tensor.shape or ()
    if not grid:
        return _matrix(tensor, names, tile, colour, most)
    high, wide = shape[tile[0]], shape[tile[1]]
    count = prod(shape[axis] for axis in grid)
    # First as it is; if that is too large, with each picture smaller, down to one cell.
    if count * high * wide <= WHOLE * most[0] * WHOLE * most[1]:
        found = _wrapped(names, tile, grid, shape, (high, wide))
        if fits(extent(found[0]), extent(found[1]), most):
            return made(shape, {}, *found, colour=colour)
    across = max(1, ceil(count**0.5))
    if max(high, wide) > 16 and across * 2 <= min(most):
        starts = {
            tile[0]: starts_of(high, max(1, most[0] // across - 1)),
            tile[1]: starts_of(wide, max(1, most[1] // across - 1)),
        }
        sizes = (len(starts[tile[0]]), len(starts[tile[1]]))
        found = _wrapped(names, tile, grid, shape, sizes)
        if fits(extent(found[0]), extent(found[1]), most):
            return made(shape, starts, *found, colour=colour)
    # Then with one cell a picture, and with fewer axes of pictures.
    alone: dict[int, tuple[int, ...]] = dict.fromkeys(tile, (0,))
    for kept in range(len(grid), 2, -1):
        if prod(shape[axis] for axis in grid[:kept]) <= WHOLE * most[0] * WHOLE * most[1]:
            found = _wrapped(names, tile, grid[:kept], shape, (1, 1))
            if fits(extent(found[0]), extent(found[1]), most):
                return made(shape, alone, *found, colour=colour)
        alone[grid[kept - 1]] = (0,)
    pair = [grid[0], grid[1] if len(grid) > 1 else tile[0]]
    alone = {axis: starts for axis, starts in alone.items() if axis not in pair}
    return _matrix(tensor, names, pair, colour, most, alone)


def _matrix(
    tensor: Tensor,
    names: tuple[str, ...],
    tile: list[int],
    colour: int | None,
    most: tuple[int, int],
    others: dict[int, tuple[int, ...]] | None = None,
) -> Plan:
    """Lay out one matrix as it is stored: the earlier axis goes down.

    Args:
        tensor: what is shown.
        names: what its axes are called.
        tile: the two axes.
        colour: the axis of colours, if there is one.
        most: how many rows and columns there may be.
        others: where the cells of other axes begin.
    """
    alone = others or {}
    shape = tensor.shape or ()
    if not shape:  # one number
        return Plan((), (), (), ())
    down, right = (_Side.of(tensor, names, axis) for axis in tile)
    if colour is None:
        for side, other, tall in ((down, right, True), (right, down, False)):
            if side.size > _LONG * other.size and not other.blocks:
                found = _bands(side, other, most if tall else most[::-1])
                if found is not None:
                    starts, along, across = found
                    sides = (along, across) if tall else (across, along)
                    return made(shape, alone | starts, *sides)
    small = fits(down.size, right.size, most)
    starts = {**alone}
    shown: list[list[Part]] = []
    for side, limit in ((down, most[0]), (right, most[1])):
        count = max(1, len(side.blocks))
        starts[side.axis] = starts_of(side.size, side.size if small else limit, count)
        cells = len(starts[side.axis])
        parts = [Part(side.axis, side.name, cells // count)]
        if side.blocks:
            parts.insert(0, side.apart(cells, max(1, cells // 100)))
        shown.append(parts)
    return made(shape, starts, *shown, colour=colour)


@record(frozen=True)
class _Side:
    """One of the two axes of a matrix."""

    axis: int
    name: str
    size: int
    blocks: tuple[str, ...]

    @classmethod
    def of(cls, tensor: Tensor, names: tuple[str, ...], axis: int) -> _Side:
        """Look at an axis of a tensor."""
        return cls(axis, names[axis], (tensor.shape or ())[axis], blocks_of(tensor, axis))

    def apart(self, cells: int, gap: int) -> Part:
        """Give the part that sets the blocks apart, given how many cells they all have."""
        count = len(self.blocks)
        return Part(self.axis, self.name, count, cells // count, gap, self.blocks)


def _bands(
    long: _Side, short: _Side, most: tuple[int, int]
) -> tuple[dict[int, tuple[int, ...]], list[Part], list[Part]] | None:
    """Cut the long side of a matrix into bands that stand beside each other.

    Where it is made of blocks, each of them is cut, and they stand one after the other.

    Args:
        long: the side that is cut.
        short: the other, along which the bands stand.
        most: how many cells there may be along the long side, and along the short one.

    Returns:
        Where cells begin, the parts along the long side and those along the short one; None if
        a band has no room beside another.
    """
    pitch = short.size + 1
    room = WHOLE * most[1] // pitch
    if room < 2:
        return None
    whole = long.size <= WHOLE * most[0] * room and long.size * pitch <= MOST_PLACES // WHOLE
    most_cells = long.size if whole else min(most[0] * max(1, most[1] // pitch), MOST_ALONG)
    count = max(1, len(long.blocks))
    starts = starts_of(long.size, most_cells, count)
    cells = len(starts)
    wanted = max(1, round((cells / pitch) ** 0.5))
    bands = max(min(wanted, room), ceil(cells / (WHOLE * most[0])))
    each = ceil(cells / count / bands)
    bands = ceil(cells / count / each)
    along = [Part(long.axis, long.name, each)]
    across = [Part(short.axis, short.name, short.size)]
    if bands > 1:
        firsts = tuple(str(starts[k * each]) for k in range(bands)) if count == 1 else ()
        across.insert(0, Part(long.axis, long.name, bands, each, 1, firsts))
    if count > 1:
        gap = max(2 if bands > 1 else 1, count * each // 100)
        along.insert(0, long.apart(cells, gap))
    return {long.axis: starts}, along, across


def _wrapped(
    names: tuple[str, ...],
    tile: list[int],
    grid: list[int],
    shape: tuple[int, ...],
    sizes: tuple[int, int],
) -> tuple[list[Part], list[Part]]:
    """Choose how many pictures of a grid stand in a row, so that it is neither tall nor wide.

    The slices of a filter stay side by side, if that is not much worse.
    """
    first, rest = grid[0], grid[1:]
    # Of several inner axes the last one may be wrapped; those between stay side by side.
    depth = shape[rest[-1]] if rest else 1
    between = prod(shape[axis] for axis in rest[:-1])
    # A filter of several slices stands apart from the next, where that takes little room.
    gap = 2 if rest and shape[first] <= 64 else 1
    best: tuple[float, int, int] | None = None
    for beside in ways(depth):
        lines = ceil(depth / beside)
        high, wide = lines * (sizes[0] + (lines > 1)), between * beside * (sizes[1] + 1)
        empty = 1 - depth / (beside * lines) + (lines > 1)
        for across in ways(shape[first]):
            down = ceil(shape[first] / across)
            off = abs(log(across * (wide + gap) / (down * (high + gap)) / ASPECT))
            cost = off + empty + 2 * (1 - shape[first] / (across * down))
            if best is None or cost < best[0]:
                best = cost, beside, across
    assert best is not None  # there is at least one way
    _, beside, across = best
    down, lines = ceil(shape[first] / across), ceil(depth / beside)
    firsts = tuple(str(k * across) for k in range(down))
    inner = [Part(axis, names[axis], size) for axis, size in zip(tile, sizes, strict=True)]
    rows = [Part(first, names[first], down, across, gap, firsts), inner[0]]
    columns = [inner[1]]
    if rest:
        last = rest[-1]
        if lines > 1:
            rows.insert(1, Part(last, names[last], lines, beside, 1))
        columns.insert(
            0, Part(last, names[last], beside, 1, 1, numbers(beside) if beside > 1 else ())
        )
        others = [Part(a, names[a], shape[a], 1, 1, numbers(shape[a])) for a in rest[:-1]]
        columns = [*others, *columns]
    if across > 1:
        columns.insert(0, Part(first, names[first], across, 1, gap, numbers(across)))
    return rows, columns
