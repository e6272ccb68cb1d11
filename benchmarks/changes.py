"""Networks that were changed in a known way: what a comparison of two is to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]

NOISE = 0.01
"""How large fine-tuning's noise is, as a share of the deviation of the weights."""


def network(size: float, dtype: torch.dtype, many: int, columns: int) -> Tensors:
    """Make ``size`` MB of matrices of normal values, no two of them equal, nor two of their rows.

    One block is drawn; a matrix is that block moved along its columns, with a size of its own for
    each row.
    """
    import torch

    torch.manual_seed(0)
    rows = max(8, round(size * 1e6 / many / dtype.itemsize / columns))
    block = torch.randn(rows, columns)
    made = {}
    for i in range(many):
        scale = 0.02 * torch.exp(0.3 * torch.randn(rows, 1))
        made[f"layers.{i}.fc.weight"] = (block.roll(i * 7, 1) * scale).to(dtype)
    return made


def same(tensors: Tensors) -> Tensors:
    """Change nothing."""
    return tensors


def bit(tensors: Tensors) -> Tensors:
    """Change the last bit of one value."""
    import torch

    last = {2: torch.int16, 4: torch.int32}
    return _one(tensors, lambda it: it.view(last[it.dtype.itemsize])[:1].bitwise_xor_(1))


def value(tensors: Tensors) -> Tensors:
    """Add 1 to one value."""
    return _one(tensors, lambda it: it[:1].add_(1))


def some(tensors: Tensors) -> Tensors:
    """Change one tensor of twenty as fine-tuning does."""
    return _tuned(tensors, [name for i, name in enumerate(tensors) if i % 20 == 7])


def every(tensors: Tensors) -> Tensors:
    """Change all tensors as fine-tuning does: a little noise, rounded to the type."""
    return _tuned(tensors, list(tensors))


def prefixed(tensors: Tensors) -> Tensors:
    """Put a prefix before all names, as a wrapper does."""
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def renamed(tensors: Tensors) -> Tensors:
    """Give all tensors other names."""
    return {name.replace("layers", "blocks"): tensor for name, tensor in tensors.items()}


def permuted(tensors: Tensors) -> Tensors:
    """Turn the order of the rows of all tensors round."""
    return {name: tensor.flip(0) for name, tensor in tensors.items()}


def recast(tensors: Tensors) -> Tensors:
    """Round float32 to bfloat16, or widen bfloat16."""
    import torch

    other = {torch.float32: torch.bfloat16, torch.bfloat16: torch.float32}
    return {name: tensor.to(other[tensor.dtype]) for name, tensor in tensors.items()}


def grown(tensors: Tensors) -> Tensors:
    """Add rows to one tensor, as a vocabulary grows."""
    import torch

    name = _middle(tensors)
    return tensors | {name: torch.cat([tensors[name], tensors[name][:3]])}


CHANGES: dict[str, Callable[[Tensors], Tensors]] = {
    "base": same,
    "same": same,
    "bit": bit,
    "value": value,
    "some": some,
    "all": every,
    "prefixed": prefixed,
    "renamed": renamed,
    "permuted": permuted,
    "recast": recast,
    "grown": grown,
}
"""Each gives the network as it was changed. It may change the tensors that it is given."""


def _middle(tensors: Tensors) -> str:
    return list(tensors)[len(tensors) // 2]


def _one(tensors: Tensors, change: Callable[[torch.Tensor], object]) -> Tensors:
    """Change the value in the middle of the tensor in the middle."""
    values = tensors[_middle(tensors)].view(-1)
    change(values[len(values) // 2 :])
    return tensors


def _tuned(tensors: Tensors, names: list[str]) -> Tensors:
    import torch

    torch.manual_seed(1)
    noise = torch.randn(next(iter(tensors.values())).shape) * 0.02 * NOISE
    for i, name in enumerate(names):
        old = tensors[name]
        tensors[name] = (old.float() + noise.roll(i * 7, 1)).to(old.dtype)
    return tensors
