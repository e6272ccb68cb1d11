"""How the values of a tensor of B are read beside those of one of A: whole, turned, or in part."""

from __future__ import annotations

from math import prod

from weigh._compare.arranged import arranged
from weigh._compare.arrangement import Arrangement, axes_arrangement, shape_words, squeezed
from weigh._errors import WeighError
from weigh._facts import Values
from weigh._measures.feed import refuse_repetition
from weigh._record import record
from weigh._tensor import Tensor


@record(frozen=True, eq=False)
class Laid:
    """The values of both tensors of a pair, in one shape.

    Attributes:
        a: the values of A, or the part of them that both have.
        b: those of B, in A's order.
        arrangement: the order in which B has them, if it is another.
        common: whether only the part that both have is compared.
        words: how the two lie to each other, for people; "" if alike.
    """

    a: Values
    b: Values
    arrangement: Arrangement | None = None
    common: bool = False
    words: str = ""


def lay(a: Tensor, b: Tensor) -> Laid | None:
    """Lay two tensors beside each other; None if their shapes have nothing in common.

    Raises:
        SourceError: a source cannot be read any more.
        ValuesError: one would repeat few values enormously.
    """
    known = axes_arrangement(a, b)
    if known is not None:
        return with_order(a, b, known)
    if a.shape is None or b.shape is None or a.shape == b.shape:
        return Laid(a.values, b.values)
    if prod(a.shape) == prod(b.shape):
        found = found_order(a, b) or _turned(a, b)
        if found is not None:
            return with_order(a, b, found)
    return _common(a, b)


def with_order(a: Tensor, b: Tensor, arrangement: Arrangement) -> Laid:
    """Lay B's values out in the order that was found."""
    values = arranged(b.values, arrangement, a.shape or ())
    return Laid(a.values, values, arrangement, words=arrangement.words)


def found_order(a: Tensor, b: Tensor) -> Arrangement | None:
    """Find the order in which B holds the very values of A, or about these; None for none."""
    # They need NumPy, and most tensors are not looked at by them.
    from weigh._compare.alike import find_alike
    from weigh._compare.relaying import find_exact

    try:
        found = find_exact(a, b) if a.dtype.name == b.dtype.name else None
        return found or find_alike(a, b)
    except WeighError:
        return None


def _turned(a: Tensor, b: Tensor) -> Arrangement | None:
    """Take sizes that stand the other way round for a transposition, ones left out for a view."""
    shape_a, shape_b = a.shape or (), b.shape or ()
    axes = tuple(range(len(shape_a)))
    long_a, long_b = ([s[axis] for axis in squeezed(s)] for s in (shape_a, shape_b))
    if long_a == long_b:
        words = shape_words(shape_b, shape_a)
        return Arrangement(axes, reshaped=True, words=words, through=shape_a)
    if shape_a == shape_b[::-1]:
        return Arrangement(axes[::-1], words="transposed")
    return None


def _common(a: Tensor, b: Tensor) -> Laid | None:
    """Compare the corner that both have: all rows of a vocabulary before it grew."""
    shape_a, shape_b = a.shape or (), b.shape or ()
    if len(shape_a) != len(shape_b) or not shape_a:
        return None
    for tensor in (a, b):  # a part of them no longer tells
        refuse_repetition(tensor.values)
    sizes = tuple(map(min, shape_a, shape_b))
    if 0 in sizes:
        return None
    index = tuple(slice(size) for size in sizes)
    words = f"{_sizes(shape_a)} -> {_sizes(shape_b)}"
    return Laid(a[index].values, b[index].values, common=True, words=words)


def _sizes(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
