"""Which layer comes before another, and so fixed the size of its input.

A checkpoint does not say how its layers are joined, nor does a module before it runs. An
``nn.Sequential`` says it, the numbers in names do, and sizes that fit in one way only; in all
other cases there is no answer here, for a wrong one is worse.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import isqrt
from typing import NamedTuple

from weigh._formula import disagrees
from weigh._model import Axis, Layer, Network
from weigh._pattern import pattern

_BRANCH = pattern(r"downsample|shortcut|skip|residual|lora|adapter|aux", re.IGNORECASE)
_NUMBERED = pattern(r"(.*?)(\d+)")
_CHAINED = pattern(
    r"(fc|conv|deconv|lin|linear|dense|layer|hidden|lstm|gru|rnn|l)_?", re.IGNORECASE
)
"""Words that people number along a chain; heads, branches and experts are numbered side by side."""
_BESIDE = ("query", "key", "value", "position", "segment", "packed")
"""Layers for these stand beside each other, or feed what is no layer."""
_CHANNELS = {1: "one channel, as in a grey image", 3: "three channels, as in a colour image"}
_TAKES = ("in_channels", "in_features", "nx", "input_size")


class _Row(NamedTuple):
    """A layer, its own name and the layer right above it."""

    layer: Layer
    name: str
    parent: Layer | None

    @property
    def place(self) -> tuple[str, int]:
        """The stem and the number of its own name; -1 without one."""
        match = _NUMBERED.fullmatch(self.name)
        return (match[1], int(match[2])) if match else (self.name, -1)

    @property
    def in_sequence(self) -> bool:
        """Whether the source states that it follows the one before it."""
        above = self.parent
        return above is not None and above.kind == "Sequential" and above.kind_status == "stated"


class Around:
    """What is asked of all layers of a network again and again: who explains many keeps one.

    Args:
        network: the network.

    Attributes:
        rows: its layers in order.
        handing: the places of those whose output may be another's input.
    """

    def __init__(self, network: Network) -> None:
        self.rows = list(_rows(network))
        self.handing = [at for at, row in enumerate(self.rows) if _hands_on(row)]
        self._places: dict[int, int] = {}
        self._below: defaultdict[int, list[_Row]] = defaultdict(list)
        self._taken: dict[int, tuple[str, int] | None] = {}
        for at, row in enumerate(self.rows):
            self._places.setdefault(id(row.layer), at)
            self._below[id(row.parent)].append(row)

    def place(self, layer: Layer) -> int | None:
        """Say where a layer stands in the order."""
        return self._places.get(id(layer))

    def beside(self, row: _Row) -> list[_Row]:
        """List the layers beside another."""
        return [other for other in self._below[id(row.parent)] if other is not row]

    def taken(self, layer: Layer) -> tuple[str, int] | None:
        """Give what a layer takes."""
        if id(layer) not in self._taken:
            self._taken[id(layer)] = _taken(layer)
        return self._taken[id(layer)]

    def rivals(self, row: _Row, others: Iterable[_Row]) -> bool:
        """Whether another layer takes the same size, and so maybe the same input."""
        taken = self.taken(row.layer)
        return any(other is not row and self.taken(other.layer) == taken for other in others)


def reason(network: Network, layer: Layer, axis: Axis, around: Around | None = None) -> str:
    """Say what fixed the size of an input axis, or "" where that is not clear."""
    taken = _taken(layer)
    if taken is None or taken[0] not in axis.formula or _stands_aside(layer):
        return ""
    if disagrees(axis.formula, axis.size, layer.hyperparameters):
        return ""
    around = around or Around(network)
    here = around.place(layer)
    if here is None or not taken[1]:
        return ""
    name, size = taken
    before, stated = _before(network, around, here)
    if before is not None:
        return _handed_on(before, name, size, stated=stated)
    return _of_the_input(network, around, here, size) if name == "in_channels" else ""


def gives(layer: Layer) -> int | None:
    """Give the size of what a layer hands on, where its kind says so."""
    for name in ("out_channels", "out_features", "embedding_dim", "nf", "embed_dim"):
        size = _known(layer, name)
        if size is not None:
            return size
    hidden = _known(layer, "proj_size") or _known(layer, "hidden_size")
    both = layer.hyperparameters.get("bidirectional")
    return hidden and hidden * (2 if both is not None and both.value is True else 1)


def _taken(layer: Layer) -> tuple[str, int] | None:
    """Give the size of what a layer takes, and the hyperparameter that says it."""
    for name in _TAKES:
        size = _known(layer, name)
        if size is not None:
            return name, size
    return None


def _known(layer: Layer, name: str) -> int | None:
    row = layer.hyperparameters.get(name)
    if row is None or row.status == "unknown" or not isinstance(row.value, int):
        return None
    return row.value


def _stands_aside(layer: Layer) -> bool:
    """Whether a layer is on a branch, or beside others that take the same input."""
    beside = any(word in layer.purpose for word in _BESIDE)
    return beside or _BRANCH.search(layer.path) is not None


def _rows(network: Network) -> Iterator[_Row]:
    """Go through all layers in order, with what is above each."""
    stack = [_Row(network, "", None)]
    while stack:
        row = stack.pop()
        yield row
        below = [
            _Row(child, name, row.layer)
            for name, child in row.layer._layers.items()
            if child is not None
        ]
        stack.extend(reversed(below))


def _hands_on(row: _Row) -> bool:
    """Whether a layer's output is told by its kind, and may be another's input."""
    return gives(row.layer) is not None and not row.layer._layers and not _stands_aside(row.layer)


def _before(network: Network, around: Around, here: int) -> tuple[Layer | None, bool]:
    """Find the layer that feeds another, and say whether the source states that it does."""
    row = around.rows[here]
    if row.in_sequence and row.parent is not None:
        earlier = list(row.parent._layers.values())
        at = next(i for i, child in enumerate(earlier) if child is row.layer)
        found, met = _last(earlier[:at])
        if met:
            return found, True
    beside = around.beside(row)
    stem, number = row.place
    lower = [o for o in beside if o.place[0] == stem and -1 < o.place[1] < number]
    if lower and not row.in_sequence:
        last = max(lower, key=lambda other: other.place[1])
        return (last.layer if _numbers_order(row, last, beside, around) else None), False
    if network.ordered:
        return _by_sizes(around, here), False
    return _by_names(row, beside, around), False


def _last(layers: list[Layer | None]) -> tuple[Layer | None, bool]:
    """Find the layer that hands on what a sequence gives, and say whether any may change it."""
    for layer in reversed(layers):
        if layer is None or not layer.tensors():
            continue
        if layer.kind == "Sequential" and layer.kind_status == "stated":
            found, met = _last(list(layer._layers.values()))
            if met:
                return found, True
            continue
        if gives(layer) is not None and not layer._layers:
            return layer, True
        if layer._layers or _is_a_mystery(layer):
            return None, True
    return None, False


def _is_a_mystery(layer: Layer) -> bool:
    """Whether a layer holds matrices that nobody can name: it may give any size."""
    return any(
        len(tensor.axes) > 1 and any(axis.name == "?" for axis in tensor.axes)
        for tensor in layer._tensors.values()
        if tensor.role == "parameter"
    )


def _numbers_order(row: _Row, last: _Row, beside: list[_Row], around: Around) -> bool:
    """Whether the numbers of two siblings say that one follows the other."""
    if not _hands_on(last):
        return False
    stem, number = row.place
    if _CHAINED.fullmatch(stem):
        return True
    # Bare numbers with gaps are a sequence with activations between.
    gaps = not stem and number - last.place[1] > 1
    return gaps or not around.rivals(row, beside)


def _by_sizes(around: Around, here: int) -> Layer | None:
    """Take the layer right before, where sizes leave no other reading than a plain chain."""
    rows = around.rows
    row = rows[here]
    earlier = around.handing[: bisect_left(around.handing, here)]
    if not earlier:
        return None
    at = earlier[-1]
    last = rows[at]
    near = last.parent is row.parent
    if near and last.place[0] == row.place[0] and last.place[1] > row.place[1]:
        return None
    if _is_recurrent(last.layer) and _is_recurrent(row.layer):
        return None  # an encoder and a decoder, more often than a stack
    # Blocks repeat: only across them may a layer elsewhere be a rival.
    if around.rivals(row, around.beside(row) if near else rows):
        return None
    if any(_is_a_mystery(r.layer) for r in rows[at + 1 : here]):
        return None
    size = gives(last.layer)
    for i in reversed(earlier[:-1]):
        # What another gives of that size must have gone somewhere else.
        if gives(rows[i].layer) == size:
            taken = (around.taken(rows[j].layer) for j in range(i + 1, at + 1))
            if not any(one is not None and one[1] == size for one in taken):
                return None
            break  # and so must what came before that
    return last.layer


def _is_recurrent(layer: Layer) -> bool:
    return _known(layer, "hidden_size") is not None


def _by_names(row: _Row, beside: list[_Row], around: Around) -> Layer | None:
    """Find the layer before where a file's order says nothing.

    A first numbered linear layer comes after the last convolution beside it, and one without a
    number after the last numbered one.
    """
    if _known(row.layer, "in_features") is None or around.rivals(row, beside):
        return None
    wanted = "out_channels" if row.place[1] >= 0 else "out_features"
    found = [o for o in beside if _hands_on(o) and _known(o.layer, wanted) and o.place[1] >= 0]
    if len({other.place[0] for other in found}) != 1:
        return None
    return max(found, key=lambda other: other.place[1]).layer


def _of_the_input(network: Network, around: Around, here: int, size: int) -> str:
    """Say that a first layer takes the network's input, where that is plain."""
    row = around.rows[here]
    stem, number = row.place
    if network.ordered:
        first = not around.handing or around.handing[0] >= here
    else:
        at_top = row.parent is network and 0 <= number <= 1
        first = at_top and f"{stem}{number - 1}" not in network
    near = "." not in row.layer.path.removesuffix(".0")
    if first and near and size in _CHANNELS and row.layer.kind == "Conv2d":
        return f"the input's channels: {_CHANNELS[size]} (inferred)"
    return ""


def _handed_on(before: Layer, name: str, size: int, *, stated: bool) -> str:
    """Say how what a layer gives makes up the size that the next one takes."""
    given = gives(before) or 0
    noun = "channels" if _known(before, "out_channels") else "numbers"
    if given == size:
        return f"{before.path} gives {given} {noun} (inferred)"
    if name != "in_features" or noun != "channels" or size % given:
        return ""
    places = size // given
    side = isqrt(places)
    if before.kind.endswith("2d"):
        if side * side != places:
            return ""
        left = f"{side} x {side}"
    elif stated:
        left = f"{places}"
    else:
        return ""
    return (
        f"{size} = {given} x {left}: {before.path} gives {given} channels, "
        f"and {left} places of each are left (inferred)"
    )
