"""How a tensor's values are handed to the counting, in their order and piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import ValuesError
from weigh._facts import Values
from weigh._index import Region, repeats_enormously
from weigh._record import record

if TYPE_CHECKING:
    import numpy as np

PIECE = 1 << 22
"""Numbers in a piece: a whole number of the blocks in which sums are made (16,384)."""

DEQUANTIZED = ("quantized", "blocks")
"""The families whose values are read as other numbers, in float32, than are stored."""

_COUNTED_AS = {
    "complex32": ("float16", 2), "complex64": ("float32", 2), "complex128": ("float64", 2),
    "qint8": ("int8", 1), "quint8": ("uint8", 1), "qint32": ("int32", 1), "quint4x2": ("uint4", 1),
}  # fmt: skip


def go_on() -> None:
    """Do not stop: what is heeded between pieces where nobody stops the work."""


def counted_as(dtype: DType) -> tuple[str, int]:
    """Say as what type the numbers of a type's values are counted, and how many each value is.

    Examples:
        >>> counted_as(DTYPES["complex64"]), counted_as(DTYPES["qint8"])
        (('float32', 2), ('float32', 1))
    """
    return ("float32", 1) if dtype.family in DEQUANTIZED else _stored_as(dtype)


def _stored_as(dtype: DType) -> tuple[str, int]:
    return _COUNTED_AS.get(dtype.name, (dtype.name, 1))


@record(frozen=True)
class Feed:
    """The numbers of a tensor, ready to be counted.

    Attributes:
        dtype: the type they are counted as.
        count: how many numbers there are: two for a complex value.
        piece: gives the bytes of the numbers from one up to another, both whole numbers of
            ``PIECE`` but for the end; None where they can only be had in order.
        pieces: gives all of them in order: bytes, and how many numbers they are.
    """

    dtype: str
    count: int
    piece: Callable[[int, int], memoryview] | None
    pieces: Callable[[], Iterator[tuple[memoryview, int]]]


def reader_of(values: Values) -> Callable[[int, int], memoryview] | None:
    """Give what hands out the bytes of a run of values where they lie, see ``LyingValues.raw``.

    None if they do not lie end to end.

    Raises:
        ValuesError: the values cannot be had.
    """
    raw = getattr(values, "raw", None)
    return None if raw is None or raw(0, 0) is None else raw


def feed_of(values: Values) -> Feed:
    """Prepare the numbers that a tensor's values stand for: dequantized, if they are quantized."""
    if values.dtype.family in DEQUANTIZED:
        count = prod(values.shape or ())
        return Feed("float32", count, None, lambda: _read(values, DTYPES["float32"]))
    return stored_feed(values)


def stored_feed(values: Values) -> Feed:
    """Prepare numbers as they are stored; those of blocks, whose numbers are none, as bytes."""
    dtype, shape = values.dtype, values.shape or ()
    name, parts = _stored_as(dtype)
    count = prod(shape) * parts
    raw = reader_of(values)
    if raw is not None and (dtype.block > 1 or dtype.bits != 6):
        unit = dtype.size_of(dtype.block) if dtype.block > 1 else 1
        if dtype.block > 1:
            name, count = "uint8", dtype.size_of(count)

        def piece(start: int, stop: int) -> memoryview:
            if dtype.block > 1:
                whole = raw(start // unit * dtype.block, -(-stop // unit) * dtype.block)
                return whole[start % unit :][: stop - start]
            return raw(start // parts, stop // parts)

        def pieces() -> Iterator[tuple[memoryview, int]]:
            for start in range(0, count, PIECE):
                stop = min(start + PIECE, count)
                yield piece(start, stop), stop - start

        return Feed(name, count, piece, pieces)
    return Feed(name, count, None, lambda: _read(values, dtype))


def _read(values: Values, dtype: DType) -> Iterator[tuple[memoryview, int]]:
    """Read values box by box, in order, and turn them into what is counted."""
    refuse_repetition(values)
    for region in boxes(values.shape or (), PIECE):
        array = values.read(region)
        numbers = array.size * (2 if dtype.family == "complex" else 1)
        yield bytes_of(encoded(array, dtype)), numbers


def refuse_repetition(values: Values) -> None:
    """Refuse to count for days what is huge only because few stored values are repeated.

    The limits are those within which such values are read.

    Raises:
        ValuesError: there are more than 2^28, and over four times as many as are stored.
    """
    count, stored = prod(values.shape or ()), _stored_count(values)
    if repeats_enormously(count, stored):
        raise ValuesError(f"this would repeat {stored:,} stored values into {count:,}")


def repeats(values: Values) -> bool:
    """Whether values are huge only because few stored ones are repeated."""
    return repeats_enormously(prod(values.shape or ()), _stored_count(values))


def _stored_count(values: Values) -> int:
    extent = values.extent
    count = prod(values.shape or ())
    return count if extent is None else extent.storage_bytes * 8 // values.dtype.bits


def boxes(shape: tuple[int, ...], most: int) -> Iterator[Region]:
    """Cut a tensor into boxes of at most ``most`` values, in the order of its values.

    Examples:
        >>> [box.shape for box in boxes((3, 4), 8)]
        [(2, 4), (1, 4)]
    """
    if 0 in shape:
        return
    axis = 0
    while axis < len(shape) and prod(shape[axis:]) > most and prod(shape[axis + 1 :]) > most:
        axis += 1
    if axis == len(shape):
        yield Region.whole(shape)
        return
    step = max(1, most // max(1, prod(shape[axis + 1 :])))
    whole = Region.whole(shape)
    for outer in product(*(range(size) for size in shape[:axis])):
        for start in range(0, shape[axis], step):
            yield whole.then((*(slice(i, i + 1) for i in outer), slice(start, start + step)))


def bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    """Give the bytes of an array without gaps."""
    import numpy as np

    return array.reshape(-1).view(np.uint8).data


def encoded(array: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """Turn values as they are read back into the patterns of their type, without gaps.

    ``Values.read`` widens what NumPy lacks, exactly, so that this loses nothing but the
    payload of NaN. The 4- and 6-bit types come out in a byte each.
    """
    import numpy as np  # loaded already, since values were read

    from weigh._decode import table

    array = np.ascontiguousarray(array)
    if dtype.name == "bfloat16":
        return (array.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    if dtype.name in ("int4", "uint4", "quint4x2"):
        return _paired(array.reshape(-1).view(np.uint8) & np.uint8(15))
    if array.dtype == np.float32 and dtype.name not in ("float32", "complex32") and dtype.bits <= 8:
        known = table(dtype.name)
        bits = known.view(np.uint32)
        order = np.argsort(bits, kind="stable")
        at = np.searchsorted(bits[order], array.view(np.uint32))
        codes = order[np.minimum(at, len(order) - 1)].astype(np.uint8)
        nowhere = np.isnan(array)
        if nowhere.any():
            codes[nowhere] = np.flatnonzero(np.isnan(known))[0]
        return _paired(codes.reshape(-1)) if dtype.bits == 4 else codes
    if dtype.name == "complex32":
        return array.view(np.float32).astype(np.float16)
    return array


def _paired(codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Put two 4-bit codes into a byte, the earlier one into its low half."""
    import numpy as np

    even = np.zeros((codes.size + 1) // 2 * 2, np.uint8)
    even[: codes.size] = codes
    return even[::2] | even[1::2] << np.uint8(4)
