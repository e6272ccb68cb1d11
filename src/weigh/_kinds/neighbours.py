"""What has been seen before a layer, while the layers are read one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping

from weigh._kinds.kind import Kind
from weigh._kinds.survey import Survey, parent
from weigh._pattern import pattern
from weigh._record import field, record

_GATE = pattern(r"(?:^|\.)(?:se|squeeze_?excite|se_module)\.", re.IGNORECASE)
"""Squeeze and excitation."""

BRANCH = pattern(r"downsample|shortcut|skip|residual", re.IGNORECASE)


@record()
class Neighbours:
    """What has been seen before a layer, in the file's order, and what holds for all layers.

    Attributes:
        survey: what holds for the whole network.
        channels: what the last convolution or linear layer gives out; None where not known.
        rank: the dimensions of the last convolution; 0 after a linear layer.
        previous: the path of the last layer that gives channels, if nothing came after it.
        source: the same, whatever came after it.
        convolved: whether a convolution has been met.
        one_deep: whether the source's filters are one channel deep, and it is not depthwise for
            all that is known.
        attentions: the paths of MultiheadAttention layers.
    """

    survey: Survey = field(default_factory=Survey)
    channels: int | None = None
    rank: int = 0
    previous: str | None = None
    source: str | None = None
    convolved: bool = False
    one_deep: bool = False
    attentions: set[str] = field(default_factory=set)

    def follows(self, path: str) -> bool:
        """Whether the last layer that gives channels is the sibling just before this one."""
        before = self.previous
        return before is not None and parent(before) == parent(path)

    def pass_by(self, path: str, kind: Kind, values: Mapping[str, object]) -> None:
        """Note what a layer gives to the next one."""
        given = values.get("out_channels", values.get("out_features", values.get("nf")))
        convolves = kind.name.startswith("Conv") and kind.name[-1] == "d"
        if convolves or isinstance(given, int):
            rank = int(kind.name[-2]) if convolves else 0
            self.give(path, given if isinstance(given, int) else None, rank)
        if kind.name == "MultiheadAttention":
            self.attentions.add(path)

    def give(self, path: str, channels: int | None, rank: int) -> None:
        """Note a layer that gives channels, though it may not be known how many."""
        self.channels, self.previous, self.source, self.rank = channels, path, path, rank
        self.convolved = self.convolved or rank > 0
        self.one_deep = False

    def chained(self, path: str) -> bool:
        """Whether the source is a sibling that stands before this layer in a chain.

        Layers with following numbers have nothing between them, as those of a list of parallel
        branches; in a chain a norm or an activation stands there.
        """
        if self.source is None or parent(self.source) != parent(path):
            return False
        own, before = path.rpartition(".")[2], self.source.rpartition(".")[2]
        if own.isdecimal() and before.isdecimal():
            return int(own) - int(before) > 1
        return self.survey.ordered

    def cousins(self, path: str) -> bool:
        """Whether the source is in the same layer as this one, or each in one beside."""
        if self.source is None:
            return False
        if parent(self.source) == parent(path):
            return True
        above = parent(parent(path))
        return above != "" and parent(parent(self.source)) == above

    def gated(self) -> bool:
        """Whether the source only weighs channels, so that its place says little."""
        return self.source is not None and _GATE.search(self.source) is not None

    def apart(self, path: str) -> bool:
        """Whether the source is in another part of the network, such as its classifier."""
        return self.source is None or self.source.partition(".")[0] != path.partition(".")[0]
