"""How the values of one tensor lie in the order of another, and what the axes' names say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from weigh._pattern import pattern
from weigh._record import field, record
from weigh._tensor import Axis, Tensor

_GATES = pattern(r"\(([a-z](?:, [a-z])+)\)")
"""The letters of gates in the meaning of an axis."""
_ALIKE = {"c": "g", "h": "n"}
"""Keras and ONNX call the cell gate c and the new gate h."""
_ROLES = {
    "out_channels": "out", "out_features": "out", "filters": "out", "features": "out", "nf": "out",
    "units": "out", "embedding_dim": "out", "qkv_features": "out", "out_channels_per_group": "out",
    "in_channels": "in", "in_features": "in", "nx": "in", "in_channels_per_group": "in",
    "input_size": "in", "gates_hidden_size": "gates", "gates_units": "gates",
    "kernel_length": "kernel_width",
}  # fmt: skip
"""What axes are that are called by several names; all others are what they are called."""


@record(frozen=True)
class Arrangement:
    """How the values of one tensor, B, lie in the order of another, A.

    B's values are seen under the shape ``through``, their axes are put in the order ``permuted``,
    the positions along them in ``orders``, and all of them are then seen under A's shape.

    Attributes:
        permuted: axis k of A is axis permuted[k] of B (of ``through``, if that is another shape).
        orders: by axis k of A: position i of A is position orders[k][i] along that axis of B.
        reshaped: whether the values are seen under another shape, in the same row-major order.
        words: the same for people: ``"transposed"``, ``"gates i, f, g, o -> i, o, f, g"``.
        exact: whether all values are equal bit for bit then, or only alike.
        through: the shape under which B's values are seen first; B's own if None.

    Examples:
        >>> Arrangement((1, 0)).axis_words
        'transposed'
    """

    permuted: tuple[int, ...]
    orders: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    reshaped: bool = False
    words: str = ""
    exact: bool = False
    through: tuple[int, ...] | None = None

    @property
    def axis_words(self) -> str:
        """The order of the axes in words; "" if they are in the same order."""
        if self.permuted == tuple(range(len(self.permuted))):
            return ""
        if len(self.permuted) == 2:
            return "transposed"
        # As the axes of A are in B: what `transpose` is given to make B of A.
        back = [self.permuted.index(axis) for axis in range(len(self.permuted))]
        return f"axes in the order {', '.join(map(str, back))}"


def shape_words(shape_b: Sequence[int], shape_a: Sequence[int]) -> str:
    """Say that values are seen under another shape; "" if it is the same.

    Examples:
        >>> shape_words((1, 8, 2), (8, 2))
        'shape [1, 8, 2] as [8, 2]'
    """
    if tuple(shape_b) == tuple(shape_a):
        return ""
    return f"shape {list(shape_b)} as {list(shape_a)}"


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Give the axes of a shape that are longer than 1."""
    return tuple(axis for axis, size in enumerate(shape) if size != 1)


def fitted(
    shape_a: Sequence[int], shape_b: Sequence[int], order: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Give ``permuted`` and ``through`` for two shapes that differ in order and in axes of 1.

    Args:
        shape_a: the one shape.
        shape_b: the other.
        order: among the axes longer than 1, the k-th of A is the order[k]-th of B.

    Examples:
        >>> fitted((8, 2), (1, 2, 8), (1, 0))
        ((1, 0), (2, 8))
        >>> fitted((8, 1, 2), (2, 8, 1), (1, 0))
        ((1, 2, 0), None)
    """
    long_a, long_b = squeezed(shape_a), squeezed(shape_b)
    same_order = list(order) == sorted(order)
    if len(shape_a) == len(shape_b) and not (same_order and tuple(shape_a) != tuple(shape_b)):
        ones = iter(axis for axis, size in enumerate(shape_b) if size == 1)
        place = {k: long_b[j] for k, j in zip(long_a, order, strict=True)}
        return tuple(place[k] if k in place else next(ones) for k in range(len(shape_a))), None
    # Axes of 1 stay where A has them; the others come in B's order where A has any.
    through = list(shape_a)
    for axis, j in zip(long_a, long_b, strict=True):
        through[axis] = shape_b[j]
    permuted = list(range(len(shape_a)))
    for axis, j in zip(long_a, order, strict=True):
        permuted[axis] = long_a[j]
    return tuple(permuted), tuple(through)


def gates(axis: Axis | None) -> tuple[str, ...]:
    """Give the letters of the gates that are packed along an axis, in their order; () if none.

    Examples:
        >>> gates(Axis("gates_units", 8, "input, forget, cell and output gates (i, f, c, o) of"))
        ('i', 'f', 'g', 'o')
    """
    if axis is None or not axis.name.startswith("gates"):
        return ()
    found = _GATES.search(axis.meaning)
    letters = tuple(_ALIKE.get(letter, letter) for letter in found[1].split(", ")) if found else ()
    return letters if axis.size and not axis.size % max(1, len(letters)) else ()


def gate_words(mine: Sequence[str], theirs: Sequence[str]) -> str:
    """Say in which order the gates of A are in B."""
    return f"gates {', '.join(mine)} -> {', '.join(theirs)}"


def axes_arrangement(a: Tensor, b: Tensor) -> Arrangement | None:
    """Tell from names and sizes of axes alone how B lies in the order of A; no value is read.

    Returns:
        The arrangement, or None if the axes are in the same order, or it cannot be told.
    """
    shape_a, shape_b = a.shape, b.shape
    if shape_a is None or shape_b is None or not prod(shape_a):
        return None
    if a.count != b.count or len(squeezed(shape_a)) != len(squeezed(shape_b)):
        return None
    order = _by_name(a, b) or _by_size(shape_a, shape_b)
    if order is None:
        return None
    permuted, through = fitted(shape_a, shape_b, order)
    orders, words = _gate_orders(a, b, order)
    found = Arrangement(permuted, orders, through is not None, through=through)
    parts = [found.axis_words, *words, shape_words(shape_b, shape_a) if found.reshaped else ""]
    said = "; ".join(filter(None, parts))
    return Arrangement(permuted, orders, found.reshaped, said, False, through) if said else None  # noqa: FBT003


def _by_name(a: Tensor, b: Tensor) -> tuple[int, ...] | None:
    """Give, for each long axis of A, which of B's it is by what both are."""
    mine, theirs = _roles(a), _roles(b)
    if sorted(mine) != sorted(theirs) or len({*mine}) < len(mine) or "?" in mine:
        return None
    order = tuple(theirs.index(role) for role in mine)
    sizes_a = [size for size in a.shape or () if size != 1]
    sizes_b = [size for size in b.shape or () if size != 1]
    return order if [sizes_b[j] for j in order] == sizes_a else None


def _roles(tensor: Tensor) -> list[str]:
    names = [axis.name for axis in tensor.axes if axis.size != 1]
    roles = [_ROLES.get(name, name) for name in names]
    if "gates" in roles:
        # Beside gates, what is called after the units is the state of the step before.
        return ["state" if n in ("units", "hidden_size") else r for n, r in zip(names, roles)]  # noqa: B905
    return ["out" if n == "hidden_size" and "in" in roles else r for n, r in zip(names, roles)]  # noqa: B905


def _by_size(shape_a: Sequence[int], shape_b: Sequence[int]) -> tuple[int, ...] | None:
    """The same by sizes, where no two are equal and the order is another one."""
    sizes_a = [size for size in shape_a if size != 1]
    sizes_b = [size for size in shape_b if size != 1]
    if sorted(sizes_a) != sorted(sizes_b) or len({*sizes_a}) < len(sizes_a):
        return None
    return tuple(map(sizes_b.index, sizes_a))


def _gate_orders(
    a: Tensor, b: Tensor, order: Sequence[int]
) -> tuple[dict[int, tuple[int, ...]], list[str]]:
    """Give the order of gates along the axes of A on which both are said to have them."""
    orders: dict[int, tuple[int, ...]] = {}
    words: list[str] = []
    long_a, long_b = squeezed(a.shape or ()), squeezed(b.shape or ())
    for axis, j in zip(long_a, order, strict=True):
        mine = gates(axis_of(a, axis))
        theirs = gates(axis_of(b, long_b[j]))
        size = (a.shape or ())[axis]
        if mine != theirs and sorted(mine) == sorted(theirs):
            step = size // len(mine)
            starts = [theirs.index(letter) * step for letter in mine]
            orders[axis] = tuple(at for start in starts for at in range(start, start + step))
            words.append(gate_words(mine, theirs))
    return orders, words


def axis_of(tensor: Tensor, axis: int) -> Axis | None:
    """Give an axis of a tensor, if it says what its axes are."""
    return tensor.axes[axis] if axis < len(tensor.axes) else None
