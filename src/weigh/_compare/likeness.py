"""Whether two tensors can be the same one by their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

Shape = tuple[int, ...] | None
Pair = tuple[str, str]

_SAME, _GROWN, _VECTOR, _UNLIKE = range(4)


def settled(pairs: Iterable[Pair], a: Mapping[str, Shape], b: Mapping[str, Shape]) -> list[Pair]:
    """Keep the pairs whose shapes let them be one tensor, judged together.

    Equally many values, in whatever order of axes, always do. A matrix may have grown along one
    axis, as for a larger vocabulary, unless most of the other pairs are quite unlike: then the two
    networks are of different sizes. Two vectors of different lengths say nothing by themselves, so
    one counts only where a matrix grew from the same length to the same.

    Args:
        pairs: pairs of keys.
        a: the shape of each key of the first network; None where it is unknown.
        b: those of the second.

    Examples:
        >>> a = {"head.weight": (10, 4), "head.bias": (10,), "gate.bias": (3,)}
        >>> b = {"head.weight": (12, 4), "head.bias": (12,), "gate.bias": (7,)}
        >>> settled([(name, name) for name in a], a, b)
        [('head.weight', 'head.weight'), ('head.bias', 'head.bias')]
    """
    judged = [(pair, *_likeness(a[pair[0]], b[pair[1]])) for pair in pairs]
    growths = {growth for _, likeness, growth in judged if likeness == _GROWN}
    unlike = sum(likeness == _UNLIKE for _, likeness, _ in judged)
    fits = sum(likeness <= _GROWN for _, likeness, _ in judged)
    most = _GROWN if unlike <= fits else _SAME
    return [
        pair
        for pair, likeness, growth in judged
        if likeness <= most or (likeness == _VECTOR and most == _GROWN and growth in growths)
    ]


def _likeness(a: Shape, b: Shape) -> tuple[int, tuple[int, int]]:
    """Tell how much alike two shapes are, and from which size to which they grew, if they did."""
    if a == b or a is None or b is None or prod(a) == prod(b):
        return _SAME, (0, 0)
    differing = [sizes for sizes in zip(a, b, strict=False) if sizes[0] != sizes[1]]
    if len(a) != len(b) or len(differing) != 1:
        return _UNLIKE, (0, 0)
    return (_GROWN if len(a) > 1 else _VECTOR), differing[0]
