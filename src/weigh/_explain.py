"""Why a tensor has the shape it has: each axis, its hyperparameter, and the layer before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt, prod

from weigh._errors import UnknownNameError
from weigh._model import Axis, Hyperparameter, Layer, Network, Parameter, Tensor

_GIVES = ("out_channels", "out_features", "embedding_dim", "nf", "hidden_size", "embed_dim")
_TAKES = ("in_channels", "in_features", "nx", "input_size")
_CHANNELS = {1: "one channel, as in a grey image", 3: "three channels, as in a colour image"}


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


def explain(network: Network, name: str) -> list[Explanation]:
    """Explain a tensor, or every tensor of a layer.

    Args:
        network: what ``weigh.open`` gave.
        name: a tensor's name (``"conv2.weight"``) or a layer's path (``"conv2"``).

    Raises:
        UnknownNameError: there is none of that name, or the layer holds no tensor itself.

    Examples:
        >>> import numpy, weigh
        >>> net = weigh.open({"fc.weight": numpy.zeros((120, 192))})
        >>> [e] = weigh.explain(net, "fc.weight")
        >>> print(e.sentences[0])
        The matrix is a linear map R^192 -> R^120: it turns a vector of 192 into one of 120.
    """
    found = network[name]
    if isinstance(found, Tensor):
        return [_explanation(network, found)]
    own = [t for t in found.tensors() if t.layer == found.path and t in found._tensors.values()]
    if not own:
        below = [t.name for t in found.tensors()][:3]
        raise UnknownNameError(
            f"layer {name!r} holds no tensor of its own",
            do=f"Try {' or '.join(map(repr, below))}." if below else "",
        )
    return [_explanation(network, tensor) for tensor in own]


def _explanation(network: Network, tensor: Tensor) -> Explanation:
    found = network._find(tensor.layer) if tensor.layer else network
    layer = found if isinstance(found, Layer) else network
    before = _before(network, layer)
    return Explanation(
        tensor=tensor,
        layer=layer,
        axes=tuple(
            AxisReason(axis, _source(axis, layer), _why(axis, layer, before))
            for axis in tensor.axes
        ),
        sentences=tuple(_sentences(tensor)),
    )


def _number(layer: Layer, names: tuple[str, ...]) -> tuple[str, int] | None:
    """Give the first of these hyperparameters that is a known whole number."""
    for name in names:
        row = layer.hyperparameters.get(name)
        if row is not None and row.status != "unknown" and isinstance(row.value, int):
            return name, row.value
    return None


def _before(network: Network, layer: Layer) -> tuple[Layer, int] | None:
    """Give the nearest layer before this one that says what it gives out, and how much."""
    last: tuple[Layer, int] | None = None
    for _, other in network.named_modules():
        if other is layer:
            return last
        given = _number(other, _GIVES)
        if given is not None and not other._layers:
            last = (other, given[1])
    return last


def _source(axis: Axis, layer: Layer) -> str:
    """Tell which hyperparameters made an axis that size, and how they are known."""
    names = [n for n in re.findall(r"[a-z_0-9]+", axis.formula) if n in layer.hyperparameters]
    if not names:
        return axis.formula
    known = ", ".join(_how(layer.hyperparameters[name]) for name in names)
    return f"{axis.formula}: {known}" if axis.formula != names[0] else known


def _how(row: Hyperparameter) -> str:
    return f"{row} ({row.origin or row.status})" if row.status != "unknown" else f"{row}"


def _why(axis: Axis, layer: Layer, before: tuple[Layer, int] | None) -> str:
    takes = _number(layer, _TAKES)
    if takes is None or takes[0] not in axis.formula:
        return ""
    name, size = takes
    if before is None:
        if name == "in_channels":
            return f"the input's channels: {_CHANNELS.get(size, size)}"
        return "the size of the input"
    earlier, given = before
    convolution = "out_channels" in earlier.hyperparameters
    if given == size:
        return f"{earlier.path} gives {given} {'channels' if convolution else 'numbers'} (inferred)"
    if convolution and size % given == 0:
        return f"{_flattened(size, given, earlier)}"
    return ""


def _flattened(size: int, channels: int, convolution: Layer) -> str:
    """Tell why a linear layer after a convolution takes that many numbers."""
    places = size // channels
    side = isqrt(places)
    square = convolution.kind.endswith("2d") and side * side == places
    product = f"{channels} x {side} x {side}" if square else f"{channels} x {places}"
    left = f"{side} x {side}" if square else f"{places}"
    return (
        f"{size} = {product}: {convolution.path} gives {channels} channels, "
        f"and {left} places of each are left (inferred)"
    )


def _sentences(tensor: Tensor) -> Iterator[str]:
    names = [axis.name for axis in tensor.axes]
    shape = tensor.shape
    if shape is None:
        yield "It gets its shape when the layer sees its first input."
    elif len(shape) > 2 and names[0] == "out_channels":
        yield (
            f"All {shape[0]} filters are in this one rank-{len(shape)} tensor; one filter is "
            f"{tensor.name}[0], with shape {shape[1:]}."
        )
    elif len(shape) == 2 and names == ["out_features", "in_features"]:
        yield from _linear_map(shape[1], shape[0])
        yield f"Its height {shape[0]} is out_features, its width {shape[1]} is in_features."
    elif len(shape) == 2 and names == ["in_features", "out_features"]:
        yield from _linear_map(shape[0], shape[1])
        yield "It is stored transposed, (in, out): x @ W, where a Linear computes x @ W.T."
    if tensor.fan_in is not None and shape is not None:
        product = " x ".join(map(str, shape[1:])) if prod(shape[1:]) == tensor.fan_in else ""
        equal = f" = {product}" if len(shape) > 2 and product else ""
        yield f"Fan-in: each output is computed from {tensor.fan_in}{equal} inputs."
    if tensor.initial is not None:
        yield f"PyTorch starts it as: {tensor.initial}."
    yield from _standing(tensor)


def _linear_map(into: int, out: int) -> Iterator[str]:
    yield (
        f"The matrix is a linear map R^{into} -> R^{out}: "
        f"it turns a vector of {into} into one of {out}."
    )


def _standing(tensor: Tensor) -> Iterator[str]:
    if tensor.tied_to is not None:
        yield f"It is tied: the same tensor as {tensor.tied_to}."
    if isinstance(tensor, Parameter):
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
