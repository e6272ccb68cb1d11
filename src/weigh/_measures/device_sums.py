"""Sums of blocks on another device: the very additions of the compiled part, in their order.

In the compiled part (kernels/blocks.hpp) the value at i of a block goes to lane i % 16, and the
lanes are added up as a tree. Here all blocks and lanes take a step together; products and sums
are operations of their own, so that nothing is fused, and rounded as everywhere.
"""

from __future__ import annotations

from typing import Any

from weigh._measures.table import Table

BLOCK, LANES = 16384, 16

_STEPS = 32
"""So many steps' powers are made in one go: starting an operation takes longer than it does."""

_BROUGHT = 256
"""Blocks that are brought over in one go."""


def add_sums(torch: Any, table: Table, values: Any, data: Any) -> None:
    """Add the sums of some values to a table.

    Args:
        torch: the module.
        table: of floats or integers of 32 or 64 bits.
        values: a flat tensor of them that begins where a block does.
        data: the same, of a type of which ranges can be taken.
    """
    count = values.numel()
    whole = count // BLOCK
    low, high = _ranges(torch, data, values, whole)
    if table.dtype.startswith("float"):
        # NaN and infinities fail the comparisons, too.
        most = torch.maximum(low.abs(), high.abs())
        plain = (most == 0) | ((most >= 2.0**-200) & (most <= 2.0**200))
        if not plain.all().item():
            _add_careful(torch, table, values, torch.nonzero(~plain).flatten())
            keep = torch.nonzero(plain).flatten()
            _add_plain(torch, table, values, low[keep], high[keep], keep)
            _add_host(torch, table, values[whole * BLOCK :])
            return
    _add_plain(torch, table, values, low, high, None)
    _add_host(torch, table, values[whole * BLOCK :])


def _ranges(torch: Any, data: Any, values: Any, whole: int) -> tuple[Any, Any]:
    """Give the extremes of each whole block, as doubles."""
    blocks = data[: whole * BLOCK].view(whole, BLOCK)
    if not whole:
        empty = torch.zeros(0, dtype=torch.float64, device=data.device)
        return empty, empty
    if values.dtype == data.dtype:
        low, high = torch.aminmax(blocks, dim=1)
        return low.double(), high.double()
    # Unsigned ones, as signed ones in the same order.
    turn = -1 << (8 * data.element_size() - 1)
    low, high = torch.aminmax(blocks ^ turn, dim=1)
    return (low ^ turn).view(values.dtype).double(), (high ^ turn).view(values.dtype).double()


def _add_plain(
    torch: Any, table: Table, values: Any, low: Any, high: Any, keep: Any | None
) -> None:
    """Add the sums of whole blocks; of those alone that are to be kept, if that is said."""
    count = low.numel()
    if not count:
        return
    blocks = values[: values.numel() // BLOCK * BLOCK].view(-1, BLOCK // LANES, LANES)
    mixed = (low <= 0) & (high >= 0)
    pivot = torch.where(mixed, 0.0, 0.5 * low + 0.5 * high)
    sums = torch.zeros(5, count, LANES, dtype=torch.float64, device=values.device)
    for first in range(0, BLOCK // LANES, _STEPS):
        step = blocks[:, first : first + _STEPS]
        one = (step if keep is None else step[keep]).double()
        powers = torch.empty(5, _STEPS, count, LANES, dtype=torch.float64, device=values.device)
        powers[4] = one.abs().transpose(0, 1)
        one = one - pivot[:, None, None]
        square = one * one
        powers[0] = one.transpose(0, 1)
        powers[1] = square.transpose(0, 1)
        powers[2] = (square * one).transpose(0, 1)
        powers[3] = (square * square).transpose(0, 1)
        for power in powers.unbind(1):
            sums += power
    width = LANES
    while width > 1:
        width //= 2
        sums = sums[:, :, :width] + sums[:, :, width:]
    for middle, *five in torch.cat((pivot[None], sums[:, :, 0])).T.tolist():
        table.add_block(BLOCK, middle, *five)


def _add_careful(torch: Any, table: Table, values: Any, which: Any) -> None:
    """Let the compiled part sum up some blocks."""
    blocks = values[: values.numel() // BLOCK * BLOCK].view(-1, BLOCK)
    for some in which.split(_BROUGHT):
        for block in blocks[some].cpu():
            _add_host(torch, table, block)


def _add_host(torch: Any, table: Table, values: Any) -> None:
    """Let the compiled part sum up the values of a block, or of less than one."""
    if values.numel():
        data = values.contiguous().view(torch.uint8).cpu().numpy()
        table.add_sums_of(data.data, values.numel())
