"""Tables of tensors that lie in another device's memory, made there by PyTorch's operations.

What comes back is the counts of patterns and a few sums a block; they are the very ones that the
compiled part makes of the same values: each lane of a block is added up in the same order, by
additions and products that are rounded alike. Blocks that need care (with NaN or infinities, with
numbers whose powers are out of range, and the last one, if it is not whole) are brought over.
"""

from __future__ import annotations

import sys
from typing import Any

from weigh._measures.table import Table

BLOCK, LANES = 16384, 16
CHUNK = 1 << 24
"""Values looked at in one go: a whole number of blocks, and what it takes besides stays bounded."""

_NARROW = ("bool", "float8_", "float16", "bfloat16", "int8", "uint8", "int16", "uint16")
_WIDE = ("float32", "float64")


def device_table(tensor: Any, dtype: str, chunk: int = CHUNK) -> Table | None:
    """Measure a tensor where it is.

    Args:
        tensor: a dense ``torch.Tensor`` on any device.
        dtype: what its values are counted as.
        chunk: how many values to look at in one go, a multiple of ``BLOCK``.

    Returns:
        The table; None if values of this type are better brought over.
    """
    torch = sys.modules["torch"]
    if not dtype.startswith(_NARROW) and dtype not in _WIDE:
        return None
    with torch.no_grad():
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        flat = tensor.resolve_neg().reshape(-1)
        table = Table(dtype)
        for start in range(0, flat.numel(), chunk):
            part = flat[start : start + chunk]
            if dtype in _WIDE:
                _add_wide(torch, table, part)
            else:
                _add_narrow(torch, table, part)
        return table


def _add_narrow(torch: Any, table: Table, part: Any) -> None:
    if part.element_size() == 1:
        codes = part.view(torch.uint8).to(torch.int32)
        codes = (codes != 0).to(torch.int32) if table.dtype == "bool" else codes
        patterns = 2 if table.dtype == "bool" else 256
    else:
        codes, patterns = part.view(torch.int16).to(torch.int32) & 0xFFFF, 1 << 16
    table.add_counts(torch.bincount(codes, minlength=patterns).tolist())


def _add_wide(torch: Any, table: Table, part: Any) -> None:
    single = part.element_size() == 4
    bits = part.view(torch.int32 if single else torch.int64)
    tops = (bits >> (16 if single else 48)).to(torch.int32) & 0xFFFF
    table.add_counts(torch.bincount(tops, minlength=1 << 16).tolist())
    finite = torch.isfinite(part)
    largest = torch.finfo(part.dtype).max
    counts = [
        torch.isnan(part).sum(),
        torch.isposinf(part).sum(),
        torch.isneginf(part).sum(),
        (part == 0).sum(),
        (part.abs() == largest).sum(),
    ]
    low = torch.where(finite, part, torch.inf).min().item()
    high = torch.where(finite, part, -torch.inf).max().item()
    set_bits = _any_bits(torch, bits) & (0xFFFFFFFF if single else 2**64 - 1)
    nan, posinf, neginf, zeros, at_limit = torch.stack(counts).tolist()
    table.add_found(part.numel(), nan, posinf, neginf, zeros, at_limit, low, high, set_bits)
    _add_sums(torch, table, part)


def _any_bits(torch: Any, bits: Any) -> int:
    """Give all bits that are set in any of some integers."""
    while bits.numel() > 1:
        half = (bits.numel() + 1) // 2
        rest = bits[half:]
        bits = torch.cat((bits[: rest.numel()] | rest, bits[rest.numel() : half]))
    found: int = bits.item()
    return found


def _add_sums(torch: Any, table: Table, part: Any) -> None:
    whole = part.numel() // BLOCK * BLOCK
    blocks = part[:whole].view(-1, BLOCK // LANES, LANES)
    low, high = blocks.amin((1, 2)).double(), blocks.amax((1, 2)).double()
    # NaN and infinities fail the comparison, too.
    most = torch.maximum(low.abs(), high.abs())
    plain = (most == 0) | ((most >= 2.0**-200) & (most <= 2.0**200))
    for at in torch.nonzero(~plain).flatten().tolist():
        _add_host(torch, table, blocks[at].reshape(-1))
    if whole < part.numel():
        _add_host(torch, table, part[whole:])
    blocks, low, high = blocks[plain], low[plain], high[plain]
    if not len(blocks):
        return
    mixed = (low <= 0) & (high >= 0)
    pivot = torch.where(mixed, 0.0, 0.5 * low + 0.5 * high)
    sums = torch.zeros(5, len(blocks), LANES, dtype=torch.float64, device=part.device)
    for step in range(BLOCK // LANES):
        values = blocks[:, step].double()
        sums[4] += values.abs()
        values = values - pivot[:, None]
        square = values * values
        sums[0] += values
        sums[1] += square
        sums[2] += square * values
        sums[3] += square * square
    width = LANES
    while width > 1:
        width //= 2
        sums = sums[:, :, :width] + sums[:, :, width:]
    for middle, *five in torch.cat((pivot[None], sums[:, :, 0])).T.tolist():
        table.add_block(BLOCK, middle, *five)


def _add_host(torch: Any, table: Table, values: Any) -> None:
    data = values.contiguous().view(torch.uint8).cpu().numpy()
    table.add_sums_of(data.data, values.numel())
