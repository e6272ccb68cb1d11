"""What is packed along one axis: the gates of an LSTM, queries, keys and values."""

from __future__ import annotations

from weigh._compare.arrangement import gates
from weigh._sliced import whole_along
from weigh._tensor import Tensor


def blocks_of(tensor: Tensor, axis: int) -> tuple[str, ...]:
    """Name the equal blocks that an axis is made of, in their order; () if it is one whole.

    Queries, keys and values are told apart only where they are of one size, as they are when
    their axis is three times the other: with fewer heads of keys nobody says where each begins.
    Part of an axis is not told apart either.
    """
    shape = tensor.shape or ()
    if axis >= len(tensor.axes) or not whole_along(tensor.values, axis):
        return ()
    named, size = tensor.axes[axis], shape[axis]
    letters = gates(named)
    if letters:
        if "those of W, then of R" in named.meaning and not size % (2 * len(letters)):
            return tuple(f"{matrix} {letter}" for matrix in "WR" for letter in letters)
        return letters
    if not named.name.startswith("qkv") or size % 3 or "query_key_value" in tensor.name:
        return ()
    others = [other for at, other in enumerate(shape) if at != axis]
    stated = named.name == "qkv_embed_dim"
    return ("q", "k", "v") if stated or not others or others == [size // 3] else ()
