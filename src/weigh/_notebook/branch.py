"""The tree of layers as it is shown: equal numbered neighbours are one branch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from weigh._model import Layer, Network, Tensor
from weigh._record import field, record
from weigh._views.fold import runs

DEEPEST = 40
"""Layers below so many others are only counted: browsers do not nest without end."""


@record()
class Branch:
    """A layer, or a run of equal ones, with what is below it.

    Attributes:
        name: its own name, such as ``conv1`` or ``0-11``.
        layer: the layer, or the first of the run; None for what belongs to no layer.
        times: how many layers the branch stands for.
        key: equal for branches that are alike.
        tensors: its own tensors, equal numbered ones as one: name, tensor, how many.
        children: the branches right below.
        parameters: the values of all parameters in it, one of the run, a tied one each time.
        rows: how many layers and tensors are in it, of one of the run.
        deeper: how many layers are too deep to be shown.
    """

    name: str
    layer: Layer | None
    times: int = 1
    key: int = 0
    tensors: list[tuple[str, Tensor, int]] = field(default_factory=list)
    children: list[Branch] = field(default_factory=list)
    parameters: int = 0
    rows: int = 0
    deeper: int = 0


def branch_of(layer: Layer) -> Branch:
    """Arrange a layer, or a network, for being shown."""
    growing = _Growing()
    made = growing.branch("", layer, 0)
    if isinstance(layer, Network) and layer._others:
        made.children.append(growing.others(layer._others))
        made.rows += made.children[-1].rows
    return made


class _Growing:
    """Makes branches, and gives those that are alike one key."""

    def __init__(self) -> None:
        self._keys: dict[Hashable, int] = {}

    def branch(self, name: str, layer: Layer, depth: int) -> Branch:
        made = Branch(name, layer)
        self._take(made, layer._tensors.items())
        below = list(layer._layers.items())
        if layer.same_as is not None:
            below = []
        elif depth >= DEEPEST:
            made.deeper = sum(1 for _ in layer.named_modules()) - 1
            below = []
        children = [
            (own, Branch(own, None) if child is None else self.branch(own, child, depth + 1))
            for own, child in below
        ]
        # What the numbers say is the whole's, though a run is one row.
        made.parameters += sum(child.parameters for _, child in children)
        made.rows += sum(1 + child.rows for _, child in children)
        for label, child, times in runs(children, lambda one: one.key):
            child.name, child.times = label, times
            made.children.append(child)
        made.key = self._key(
            layer.kind,
            layer.kind_status,
            layer._signature,
            layer.same_as,
            made.deeper,
            tuple((own, _alike(tensor)) for own, tensor in layer._tensors.items()),
            tuple((own, child.key) for own, child in children),
        )
        return made

    def others(self, tensors: Iterable[Tensor]) -> Branch:
        made = Branch("beside the network", None)
        self._take(made, ((tensor.name, tensor) for tensor in tensors))
        return made

    def _take(self, branch: Branch, named: Iterable[tuple[str, Tensor]]) -> None:
        own = list(named)
        branch.tensors = runs(own, _alike)
        branch.rows = len(own)
        branch.parameters = sum(t.count or 0 for _, t in own if t.role == "parameter")

    def _key(self, *parts: Hashable) -> int:
        return self._keys.setdefault(parts, len(self._keys) + 1)


def _alike(tensor: Tensor) -> Hashable:
    return (tensor.shape, tensor.axes, tensor.dtype, tensor.role, tensor.learnable, tensor.tied_to)
