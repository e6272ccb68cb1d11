"""Why a tensor has the shape it has: each axis, its hyperparameter, and the layer before."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from weigh._before import Around, reason
from weigh._errors import UnknownNameError
from weigh._formula import disagrees, names_in, result
from weigh._model import Axis, Hyperparameter, Layer, Network, Parameter, Tensor
from weigh._record import record


@record(frozen=True)
class AxisReason:
    """One axis of a tensor and where its size comes from.

    Attributes:
        axis: the axis.
        source: the hyperparameters that made it that size, and how each is known.
        why: what fixed that hyperparameter, where the layer before shows it; else "".
    """

    axis: Axis
    source: str
    why: str = ""


@record(frozen=True)
class Explanation:
    """What one tensor is.

    Attributes:
        tensor: the tensor.
        layer: the layer that holds it.
        axes: its axes, in order.
        sentences: the rest in words.
    """

    tensor: Tensor
    layer: Layer
    axes: tuple[AxisReason, ...]
    sentences: tuple[str, ...]


def explain_network(network: Network, name: str) -> list[Explanation]:
    """Explain a tensor, or every tensor of a layer; see ``weigh.explain``.

    Raises:
        UnknownNameError: there is none of that name, or the layer holds no tensor itself.
    """
    found = network[name]
    if isinstance(found, Tensor):
        return [explanation_of(network, found, _holder(network, found))]
    own = list(found._tensors.values())
    if not own:
        below = [t.name for t in found.tensors()][:3]
        raise UnknownNameError(
            f"layer {name!r} holds no tensor of its own",
            do=f"Try {' or '.join(map(repr, below))}." if below else "",
        )
    return [explanation_of(network, tensor, found) for tensor in own]


def _holder(network: Network, tensor: Tensor) -> Layer:
    """Find the layer that holds a tensor; two may have one path where names hold dots."""
    found = network._find(tensor.layer) if tensor.layer else network
    if isinstance(found, Layer) and tensor in found._tensors.values():
        return found
    layers = (layer for _, layer in network.named_modules(remove_duplicate=False))
    return next((layer for layer in layers if tensor in layer._tensors.values()), network)


def explanation_of(
    network: Network, tensor: Tensor, layer: Layer, around: Around | None = None
) -> Explanation:
    """Explain a tensor whose layer is known; who explains many keeps what is around."""
    return Explanation(
        tensor=tensor,
        layer=layer,
        axes=tuple(
            AxisReason(axis, _source(axis, layer), reason(network, layer, axis, around))
            for axis in tensor.axes
        ),
        sentences=(*_replaced(tensor, layer), *_sentences(tensor, layer)),
    )


def _source(axis: Axis, layer: Layer) -> str:
    """Tell which hyperparameters made an axis that size, and how they are known."""
    rows = layer.hyperparameters
    names = [name for name in names_in(axis.formula) if name in rows]
    if not names:
        return axis.formula
    known = ", ".join(_how(rows[name]) for name in names)
    text = f"{axis.formula}: {known}" if axis.formula != names[0] else known
    return f"{text}, which disagrees" if disagrees(axis.formula, axis.size, rows) else text


def _how(row: Hyperparameter) -> str:
    return f"{row} ({row.origin or row.status})" if row.status != "unknown" else f"{row}"


def _replaced(tensor: Tensor, layer: Layer) -> Iterator[str]:
    """Say where the sizes are not those that the layer's own numbers give."""
    rows = layer.hyperparameters
    wrong = [axis for axis in tensor.axes if disagrees(axis.formula, axis.size, rows)]
    if wrong:
        told = " and ".join(f"{axis.formula} = {result(axis.formula, rows)}" for axis in wrong)
        found = " and ".join(str(axis) for axis in wrong)
        yield (
            f"The layer says {told}, which disagrees with {found} here: "
            "the tensor was replaced after the layer was made."
        )


def _sentences(tensor: Tensor, layer: Layer) -> Iterator[str]:
    names = [axis.name for axis in tensor.axes]
    shape = tensor.shape
    if shape is None:
        yield "It gets its shape when the layer sees its first input."
    elif tensor.role == "buffer" or any(axis.formula == "1" for axis in tensor.axes):
        pass  # a mask or a magnitude has the weight's axes, but is no weight
    elif len(shape) > 2 and names[0] == "out_channels":
        yield (
            f"All {shape[0]} filters are in this one rank-{len(shape)} tensor; one filter is "
            f"{tensor.name}[0], with shape {shape[1:]}."
        )
    elif len(shape) > 2 and names[0] == "in_channels":
        yield (
            f"The filters of all {shape[0]} input channels are in this one rank-{len(shape)} "
            f"tensor; those of one channel are {tensor.name}[0], with shape {shape[1:]}."
        )
    elif len(shape) == 2 and names == ["out_features", "in_features"]:
        yield from _linear_map(shape[1], shape[0])
        if not any(_replaced(tensor, layer)):
            yield f"Its height {shape[0]} is out_features, its width {shape[1]} is in_features."
    elif len(shape) == 2 and names == ["in_features", "out_features"]:
        yield from _linear_map(shape[0], shape[1])
        yield "It is stored transposed, (in, out): x @ W, where a Linear computes x @ W.T."
    yield from _fan_in(tensor)
    if tensor.initial is not None:
        yield f"PyTorch's default start: {tensor.initial}{_padding(tensor, layer)}."
    yield from _standing(tensor)


def _fan_in(tensor: Tensor) -> Iterator[str]:
    if tensor.fan_in is None or tensor.shape is None:
        return
    inner = tensor.shape[1:]
    product = f" = {' x '.join(map(str, inner))}" if len(inner) > 1 else ""
    if prod(inner) != tensor.fan_in:
        product = ""
    if tensor.axes[1:] and tensor.axes[1].name == "in1_features":
        yield (
            f"Each output is a sum over {tensor.fan_in}{product} products of a number of the "
            f"first input with one of the second; PyTorch reckons them as its fan-in."
        )
    elif tensor.axes[0].name == "in_channels":
        # What PyTorch calls fan-in here is not what an output is computed from.
        yield f"Fan-in, as PyTorch reckons it for a transposed layer: {tensor.fan_in}{product}."
    else:
        noun = "input" if tensor.fan_in == 1 else "inputs"
        yield f"Fan-in: each output is computed from {tensor.fan_in}{product} {noun}."


def _padding(tensor: Tensor, layer: Layer) -> str:
    """Tell of the row of a look-up table that stands for no item."""
    row = layer.hyperparameters.get("padding_idx")
    if row is None or not isinstance(row.value, int) or tensor.axes[0].name != "num_embeddings":
        return ""
    return f"; row {row.value}, the padding, starts at 0"


def _linear_map(into: int, out: int) -> Iterator[str]:
    yield (
        f"The matrix is a linear map R^{into} -> R^{out}: "
        f"it turns a vector of {into} into one of {out}."
    )


def _standing(tensor: Tensor) -> Iterator[str]:
    if tensor.tied_to is not None:
        yield f"It is tied: the same tensor as {tensor.tied_to}."
    if tensor.dtype.block > 1:
        block, size = tensor.dtype.block, tensor.dtype.block_bytes
        yield (
            f"It is quantized: every {block} values take {size} bytes, {size * 8 / block:.4g} bits "
            "each, and are dequantized when they are read."
        )
    elif isinstance(tensor, Parameter):
        if tensor.learnable:
            said = (
                "" if tensor.learnable_status == "stated" else " (inferred: the file does not say)"
            )
            yield f"It is learnable{said}."
        else:
            yield "It is frozen: it does not require a gradient."
    elif tensor.role == "buffer":
        yield "It is a buffer: stored with the network, not learned by gradient."
    elif tensor.packed:
        yield "It is kept packed by its layer, not as a Parameter; PyTorch does not train it."
