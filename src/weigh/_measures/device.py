"""Tables of tensors that lie in another device's memory, made there by PyTorch's operations.

What comes back is the counts of patterns and a few sums a block; they are the very ones that the
compiled part makes of the same values. Blocks that need care (with NaN or infinities, with
numbers whose powers are out of range, and the last one, if it is not whole) are brought over.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from weigh._measures.device_sums import add_sums
from weigh._measures.feed import boxes, go_on
from weigh._measures.refine import Ranges
from weigh._measures.table import WIDTHS, Table

CHUNK = 1 << 27
"""Bytes looked at in one go; what it takes besides is a few times that."""

_NARROW = ("bool", "float4_", "float8_", "float16", "bfloat16", "int8", "uint8", "int16", "uint16")
_WIDE = ("float32", "float64", "int32", "int64", "uint32", "uint64")
_ALL = (1 << 64) - 1

# A device is kept busy by one thread, and several would take that many times the memory.
_lock = threading.Lock()


def device_table(
    tensor: Any, dtype: str, chunk: int = 0, heed: Callable[[], None] = go_on
) -> Table | None:
    """Measure a tensor where it is.

    Args:
        tensor: a dense ``torch.Tensor`` on any device; of a complex one each number counts twice.
        dtype: what its values are counted as.
        chunk: how many numbers to look at in one go, a whole number of blocks; 0 for as many as
            take ``CHUNK`` bytes.
        heed: called now and then; what it raises ends the work.

    Returns:
        The table; None if values of this type are better brought over.

    Raises:
        RuntimeError: the device has not the memory, or lacks an operation; PyTorch raises
            TypeError and NotImplementedError for the latter, too.
    """
    if not dtype.startswith(_NARROW) and dtype not in _WIDE:
        return None
    torch = sys.modules["torch"]
    width = 1 if dtype.startswith("float4_") else WIDTHS[dtype]
    floats = dtype.startswith("float")
    table = Table(dtype)
    counts = None
    with _lock, torch.no_grad():
        _settle(torch, tensor.device)
        for bits in _chunks(torch, tensor, width, chunk or CHUNK // width):
            heed()
            add = _add_narrow if dtype not in _WIDE else _add_floats if floats else _add_integers
            found = add(torch, table, bits)
            counts = found if counts is None else counts + found
        if counts is not None:
            table.add_counts(_by_pattern(counts.tolist(), dtype))
    return table


def numbers_within(
    tensor: Any,
    dtype: str,
    ranges: Ranges,
    chunk: int = 0,
    heed: Callable[[], None] = go_on,
) -> Iterator[tuple[memoryview, int]]:
    """Bring over the numbers of a tensor that lie in some ranges; see ``device_table``.

    Args:
        tensor: as there.
        dtype: a type of 32 or 64 bits.
        ranges: the first and last places of the numbers, in the order of the type.
        chunk: as there.
        heed: as there.
    """
    torch, width = sys.modules["torch"], WIDTHS[dtype]
    least = -1 << (8 * width - 1)
    for bits in _chunks(torch, tensor, width, chunk or CHUNK // width):
        heed()
        # As signed integers in the order of the numbers.
        if dtype.startswith("float"):
            placed = bits ^ ((bits >> (8 * width - 1)) & (-least - 1))
        else:
            placed = bits if dtype.startswith("int") else bits ^ least
        wanted = torch.zeros_like(bits, dtype=torch.bool)
        for first, last in ranges:
            wanted |= (placed >= first + least) & (placed <= last + least)
        found = bits[wanted].view(torch.uint8).cpu().numpy()
        yield found.data, found.size // width


def _settle(torch: Any, device: Any) -> None:
    """Wait for what the device still does to the values, on whichever stream."""
    wait = getattr(getattr(torch, device.type, None), "synchronize", None)
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise RuntimeError("the stream is being captured")
    if wait is not None and device.type != "cpu":
        wait(*(() if device.type == "mps" else (device,)))


def _chunks(torch: Any, tensor: Any, width: int, chunk: int) -> Iterator[Any]:
    """Give a tensor's numbers as integers of their bits, in order, ``chunk`` in one go."""
    code = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[width]

    def plain(part: Any) -> Any:
        if part.is_complex():
            part = torch.view_as_real(part.resolve_conj())
        return part.resolve_neg().contiguous().view(code).reshape(-1)

    if tensor.is_contiguous() and not tensor.is_conj() and not tensor.is_neg():
        flat = plain(tensor)
        for start in range(0, flat.numel(), chunk):
            yield flat[start : start + chunk]
        return
    # Only as much is ever put in order as is looked at; a box need not end where a block does.
    left = None
    for box in boxes(tuple(tensor.shape), chunk):
        part = plain(tensor[box.slices])
        left = part if left is None else torch.cat((left, part))
        del part
        while left.numel() >= chunk:
            yield left[:chunk]
            left = left[chunk:]
    if left is not None and left.numel():
        yield left


def _by_pattern(counts: list[int], dtype: str) -> list[int]:
    """Turn the counts of bytes into those of patterns, where these are not the same."""
    if dtype == "bool":
        return [counts[0], sum(counts[1:])]
    if dtype.startswith("float4_"):  # two in a byte
        halves = [sum(counts[low::16]) for low in range(16)]
        return [sum(counts[16 * at : 16 * at + 16], halves[at]) for at in range(16)]
    return counts


def _add_narrow(torch: Any, _: Table, bits: Any) -> Any:
    if bits.element_size() == 1:
        return torch.bincount(bits, minlength=256)
    return torch.bincount(bits.to(torch.int32) & 0xFFFF, minlength=1 << 16)


def _add_floats(torch: Any, table: Table, bits: Any) -> Any:
    width = 8 * bits.element_size()
    tops = (bits >> (width - 16)).to(torch.int32) & 0xFFFF
    counts = torch.bincount(tops, minlength=1 << 16)
    del tops
    values = bits.view(torch.float32 if width == 32 else torch.float64)
    largest = torch.finfo(values.dtype).max
    low, high = (end.item() for end in torch.aminmax(values))
    nan = posinf = neginf = 0
    # NaN and infinities fail the comparison, too.
    if not (low >= -largest and high <= largest):
        ends = [torch.isnan(values).sum(), (values == torch.inf).sum()]
        nan, posinf, neginf = torch.stack([*ends, (values == -torch.inf).sum()]).tolist()
        finite = torch.isfinite(values)
        low = torch.where(finite, values, torch.inf).min().item()
        high = torch.where(finite, values, -torch.inf).max().item()
        del finite
    zeros = (values == 0).sum().item()
    at_limit = 0
    if low == -largest or high == largest:
        at_limit = ((values == largest) | (values == -largest)).sum().item()
    first, last = _ALL, 0
    if low <= high:
        first, last = _ordered(low or -0.0, width), _ordered(high or 0.0, width)
    found = (zeros, at_limit, first, last, _any_bits(bits))
    table.add_found(values.numel(), nan, posinf, neginf, *found)
    add_sums(torch, table, values, values)
    return counts


def _ordered(value: float, width: int) -> int:
    """Give a float's place in the order of its type's, as the compiled part keeps it."""
    from struct import pack, unpack

    found: int = (
        unpack("<I", pack("<f", value))[0] if width == 32 else unpack("<Q", pack("<d", value))[0]
    )
    return ~found & ((1 << width) - 1) if found >> (width - 1) else found | 1 << (width - 1)


def _any_bits(bits: Any) -> int:
    """Give all bits that are set in any of some integers."""
    width: int = 8 * bits.element_size()
    found: int = 0
    while bits.numel() > 1:
        if bits.numel() % 2:
            found |= bits[-1].item()
        half = bits.numel() // 2
        bits = bits[:half] | bits[half : 2 * half]
    last: int = bits.item()
    return (found | last) & ((1 << width) - 1)


def _add_integers(torch: Any, table: Table, bits: Any) -> Any:
    signed, width = table.dtype.startswith("int"), 8 * bits.element_size()
    counts = _integer_counts(torch, bits, signed=signed)
    least = -1 << (width - 1)
    # With its first bit turned, an unsigned integer has the place of the signed one.
    placed = bits if signed else bits ^ least
    low, high = (end.item() for end in torch.aminmax(placed))
    zeros = (bits == 0).sum().item()
    at_limit = (placed == -least - 1).sum().item() if high == -least - 1 else 0
    if signed and low == least:
        at_limit += (placed == least).sum().item()
    del placed
    table.add_found(bits.numel(), 0, 0, 0, zeros, at_limit, low - least, high - least, 0)
    values = bits if signed else bits.view(torch.uint32 if width == 32 else torch.uint64)
    add_sums(torch, table, values, bits)
    return counts


def _integer_counts(torch: Any, bits: Any, *, signed: bool) -> Any:
    """Count integers by sign, exponent and seven bits more, as of a float32 that is cut off."""
    sums = torch.zeros(1 << 16, dtype=torch.int64, device=bits.device)
    for part in bits.split(1 << 22):
        wide = part.to(torch.int64)
        negative = wide < 0
        if bits.element_size() == 4 and not signed:
            wide = wide & 0xFFFFFFFF
        size = torch.where(negative, -wide, wide) if signed else wide
        huge = size < 0  # 2^63 or more
        size = torch.where(huge, (size >> 1) & ((1 << 63) - 1), size)
        # Of 64 bits the last eleven could be rounded up into another exponent.
        size = torch.where(size >> 53 != 0, size & ~0x7FF, size)
        key = (size.double().view(torch.int64) >> 45) - (896 << 7) + (huge.to(torch.int64) << 7)
        key = torch.where(size == 0, 0, key)
        if signed:
            key = key + (negative.to(torch.int64) << 15)
        sums += torch.bincount(key, minlength=1 << 16)
    return sums
