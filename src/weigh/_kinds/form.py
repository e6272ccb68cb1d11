"""What one tensor of a layer is: its role, its axes, its fan-in and how it starts out."""

from __future__ import annotations

from weigh._facts import FoundTensor, Role
from weigh._formula import disagrees
from weigh._kinds.kind import Hypers, Kind, Shape, xavier_uniform
from weigh._kinds.names import role_by_name
from weigh._kinds.quantized import Packing
from weigh._kinds.reading import Reading
from weigh._kinds.tree import Node
from weigh._model import Axis
from weigh._record import record
from weigh._tensor import Form


@record()
class Owner:
    """The layer whose weight a parametrization (weight_norm) computes from its own tensors."""

    reading: Reading
    local: str


def form_of(
    local: str,
    found: FoundTensor,
    shape: Shape | None,
    node: Node,
    reading: Reading,
    owner: Owner | None,
    means: str,
    *,
    redrawn: bool,
) -> Form:
    dtype, rank = found.values.dtype, None if shape is None else len(shape)
    packed = reading.packing or Packing()
    role = found.role or _role_in_packing(local, packed)
    if role is None and reading.kind is not None and reading.kind.frozen:
        role = "buffer"
    below = node.children
    role = role or role_by_name(local, dtype, rank, node.own, f".{node.path}", shape, below)
    learnable = found.learnable
    # Blocks of quantized values were learned as other numbers: whether they still are, nobody says.
    if learnable is None and role == "parameter" and dtype.family != "blocks":
        learnable = dtype.learnable
    kind, hypers = reading.kind, Hypers(reading.hypers)
    # A magnitude or a mask has the weight's axes, but no output is computed from it alone.
    called = found.part or local
    meant = called if called.endswith(("_g", "_mask")) else _stands_for(called)
    axes = _axes(called, shape, reading, owner)
    is_packed = found.packed or local in packed.per_element
    starts = None
    if shape and not is_packed and not _is_replaced(axes, reading):
        if redrawn and owner is None and role == "parameter" and len(shape) > 1:
            starts = xavier_uniform(shape)
        elif kind is not None and all(axis.name != "?" for axis in axes):
            starts = kind.initial(called, shape, hypers)
    return Form(
        role=role,
        dtype=dtype,
        shape=shape,
        role_status="stated" if found.role else "inferred",
        learnable=False if role == "buffer" or local in packed.per_element else learnable,
        learnable_status="stated" if found.learnable is not None else "inferred",
        axes=axes,
        purpose=means,
        fan_in=_fan_in(local, meant, shape, reading, owner) if shape else None,
        initial=starts,
        packed=is_packed,
        per_element=packed.per_element.get(local, 1),
        device=found.device,
    )


def _fan_in(
    local: str, meant: str, shape: Shape, reading: Reading, owner: Owner | None
) -> int | None:
    """Count the inputs of each output; a parametrization's tensor stands for its owner's."""
    if owner is not None and owner.local and local in ("original", "original1"):
        reading, meant = owner.reading, owner.local
    kind = reading.kind
    return kind.fan_in(meant, shape, Hypers(reading.hypers)) if kind else None


def _is_replaced(axes: tuple[Axis, ...], reading: Reading) -> bool:
    """Whether a tensor has not the size that its layer's numbers give: it came in later."""
    return any(disagrees(axis.formula, axis.size, reading.hypers) for axis in axes)


def _role_in_packing(local: str, packed: Packing) -> Role | None:
    if local in packed.per_element:
        return "other"
    return "buffer" if local in packed.buffers else None


def _stands_for(local: str) -> str:
    """Tell which tensor of the layer a stand-in (``weight_v``, ``bias_mask``) is for."""
    # An attention's bias_v is its own: weight_norm keeps no bias.
    endings = ("_orig", "_mask", "_v", "_g") if local.startswith("weight_") else ("_orig", "_mask")
    for ending in endings:
        if local.endswith(ending) and local.removesuffix(ending) in ("weight", "bias"):
            return local.removesuffix(ending)
    return local


def _axes(
    local: str, shape: Shape | None, reading: Reading, owner: Owner | None
) -> tuple[Axis, ...]:
    """Name the axes of a tensor; ``?`` where its layer's kind does not know it."""
    magnitude = local == ("weight_g" if owner is None else "original0")
    if owner is not None and owner.local:
        reading, local = owner.reading, owner.local
    local = _stands_for(local)
    kind, hypers = reading.kind, Hypers(reading.hypers)
    if shape is None:
        words = _any_rank(kind, local, hypers)
        return tuple(Axis(name, None, meaning, formula) for name, meaning, formula in words)
    named = kind.axes(local, len(shape), hypers) if kind else None
    if named is None:
        return tuple(Axis("?", size) for size in shape)
    return tuple(
        # A magnitude of weight_norm keeps the rank, with axes of one position.
        Axis(name, 1, "one magnitude for all of it", "1")
        if magnitude and size == 1
        else Axis(name, size, meaning, formula)
        for (name, meaning, formula), size in zip(named, shape, strict=True)
    )


def _any_rank(kind: Kind | None, local: str, hypers: Hypers) -> tuple[tuple[str, str, str], ...]:
    """Name the axes of a tensor that has no shape yet."""
    for rank in range(1, 6):
        words = kind.axes(local, rank, hypers) if kind else None
        if words is not None:
            return words
    return ()
