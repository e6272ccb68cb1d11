"""Which layer comes before another, and so fixed the size of its input.

A checkpoint does not say how its layers are joined. Their order and their names tell it in the
plain cases; in all others there is no answer here, for a wrong one is worse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isqrt

from weigh._model import Axis, Layer, Network

_BRANCH = re.compile(r"downsample|shortcut|skip|residual|lora|adapter|aux", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)(\d+)")
_BESIDE = ("query", "key", "value", "position", "segment", "packed")
"""Layers for these stand beside each other, or feed what is no layer."""
_CHANNELS = {1: "one channel, as in a grey image", 3: "three channels, as in a colour image"}
_TAKES = ("in_channels", "in_features", "nx", "input_size")


def reason(network: Network, layer: Layer, axis: Axis) -> str:
    """Say what fixed the size of an input axis, or "" where that is not clear."""
    name = next((n for n in _TAKES if n in axis.formula and _known(layer, n)), None)
    size = _known(layer, name) if name else None
    if name is None or size is None or not size or _stands_aside(layer):
        return ""
    before = _before(network, layer)
    if before is None:
        return _of_the_input(network, layer, size) if name == "in_channels" else ""
    given = gives(before) or 0
    noun = "channels" if _known(before, "out_channels") else "numbers"
    if given == size:
        return f"{before.path} gives {given} {noun} (inferred)"
    if name == "in_features" and noun == "channels" and size % given == 0:
        return _flattened(size, given, before)
    return ""


def gives(layer: Layer) -> int | None:
    """Give the size of what a layer hands on, where its kind says so."""
    for name in ("out_channels", "out_features", "embedding_dim", "nf", "embed_dim"):
        size = _known(layer, name)
        if size is not None:
            return size
    hidden = _known(layer, "proj_size") or _known(layer, "hidden_size")
    both = layer.hyperparameters.get("bidirectional")
    return hidden and hidden * (2 if both is not None and both.value is True else 1)


def _known(layer: Layer, name: str) -> int | None:
    row = layer.hyperparameters.get(name)
    if row is None or row.status == "unknown" or not isinstance(row.value, int):
        return None
    return row.value


def _stands_aside(layer: Layer) -> bool:
    """Whether a layer is on a branch, or beside others that take the same input."""
    beside = any(word in layer.purpose for word in _BESIDE)
    return beside or _BRANCH.search(layer.path) is not None


def _before(network: Network, layer: Layer) -> Layer | None:
    candidates = list(_candidates(network, layer))
    if not candidates:
        return None
    if network.ordered:
        return candidates[-1]
    return _by_number(layer, candidates)


def _candidates(network: Network, layer: Layer) -> Iterator[Layer]:
    """Give the layers that may feed this one: all before it, or where order says nothing, all."""
    for path, other in network.named_modules(remove_duplicate=False):
        if path == layer.path:
            if network.ordered:
                return
            continue
        if gives(other) is not None and not other._layers and not _stands_aside(other):
            yield other


def _by_number(layer: Layer, candidates: list[Layer]) -> Layer | None:
    """Find the layer before by numbers: ``fc1`` before ``fc2``, ``0`` before ``2``.

    A first linear layer comes after the last convolution beside it.
    """
    parent, stem, number = _place(layer)
    beside = [(_place(other), other) for other in candidates]
    beside = [(place, other) for place, other in beside if place[0] == parent]
    lower = [(p[2], o) for p, o in beside if p[1] == stem and -1 < p[2] < number]
    if lower:
        return max(lower, key=lambda pair: pair[0])[1]
    convolutions = [(p, o) for p, o in beside if _known(o, "out_channels")]
    if number >= 0 and _known(layer, "in_features") and len({p[1] for p, _ in convolutions}) == 1:
        return max(convolutions, key=lambda pair: pair[0][2])[1]
    return None


def _place(layer: Layer) -> tuple[str, str, int]:
    """Give a layer's parent, and the stem and number of its own name."""
    parent, _, own = layer.path.rpartition(".")
    match = _NUMBERED.fullmatch(own)
    return (parent, match[1], int(match[2])) if match else (parent, own, -1)


def _of_the_input(network: Network, layer: Layer, size: int) -> str:
    """Say that a first layer takes the network's input, where that is plain."""
    _, stem, number = _place(layer)
    first = network.ordered or (
        "." not in layer.path and 0 <= number <= 1 and f"{stem}{number - 1}" not in network
    )
    if first and size in _CHANNELS and "." not in layer.path.removesuffix(".0"):
        return f"the input's channels: {_CHANNELS[size]} (inferred)"
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
