"""The tree that a report shows: layers and tensors, each with a number by which all call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._compare.change import TensorChange
from weigh._compare.report import DiffReport
from weigh._layer import Layer
from weigh._model import Network
from weigh._record import field, record
from weigh._tensor import Tensor

BESIDE = "beside the network"
"""What stands above optimizer state, and whatever else belongs to no layer."""


@record(frozen=True, eq=False)
class Node:
    """A layer or a tensor of the tree.

    Attributes:
        own: what its parent calls it.
        name: its path or its full name.
        parent: the number of the node above; -1 for the network.
        layer: the layer, if it is one.
        tensor: the tensor, if it is one.
        second: whether the second network alone has it.
        change: what became of the tensor in the second network.
    """

    own: str
    name: str
    parent: int
    layer: Layer | None = None
    tensor: Tensor | None = None
    second: bool = False
    change: TensorChange | None = None


@record()
class Nodes:
    """All nodes of a report, each after the one above it; a node's number is its place.

    Attributes:
        all: the nodes.
    """

    all: list[Node] = field(default_factory=list)
    _layers: dict[str, int] = field(default_factory=dict)
    _tensors: dict[tuple[str, bool], int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, network: Network, other: Network | None = None, report: DiffReport | None = None
    ) -> Nodes:
        """Number what one network holds, then what only the second one does."""
        nodes = cls()
        changes = {c.a.name: c for c in report or () if c.a is not None}
        for above, own, path, layer in walk(network):
            here = nodes._add(Node(own, path, nodes._layers.get(above, -1), layer=layer))
            nodes._add_tensors(here, layer, changes)
        nodes._add_beside(network._others, changes, second=False)
        if other is not None and report is not None:
            nodes._add_second(other, report.of("added"))
        return nodes

    def find(self, name: str, *, second: bool = False) -> int | None:
        """Give the number of a tensor or a layer by its name in one of the networks."""
        found = self._tensors.get((name, second), self._tensors.get((name, not second)))
        return self._layers.get(name) if found is None else found

    def _add(self, node: Node) -> int:
        here = len(self.all)
        self.all.append(node)
        if node.layer is not None:
            self._layers.setdefault(node.name, here)
        elif node.tensor is not None:
            self._tensors.setdefault((node.name, node.second), here)
            after = node.change.b if node.change is not None else None
            if after is not None and not node.second:
                self._tensors.setdefault((after.name, True), here)
        return here

    def _add_tensors(self, here: int, layer: Layer, changes: dict[str, TensorChange]) -> None:
        for own, tensor in layer._tensors.items():
            self._add(Node(own, tensor.name, here, tensor=tensor, change=changes.get(tensor.name)))

    def _add_beside(
        self, tensors: Sequence[Tensor], changes: dict[str, TensorChange], *, second: bool
    ) -> None:
        if not tensors:
            return
        above = next((at for at, n in enumerate(self.all) if n.own == BESIDE and n.parent == 0), -1)
        if above < 0:
            above = self._add(Node(BESIDE, "", 0, second=second))
        for tensor in tensors:
            change = changes.get(tensor.name)
            name = tensor.name
            self._add(Node(name, name, above, tensor=tensor, second=second, change=change))

    def _add_second(self, other: Network, added: Sequence[TensorChange]) -> None:
        """Add what was added, below layers that both have where there are such."""
        places = {path: (above, own, layer) for above, own, path, layer in walk(other)}
        changes = {change.name: change for change in added}
        beside = {id(tensor) for tensor in other._others}
        for name, change in changes.items():
            tensor = change.tensor
            if id(tensor) in beside:
                self._add_beside([tensor], changes, second=True)
                continue
            missing = []
            path = tensor.layer
            while path not in self._layers:
                above, own, layer = places.get(path, ("", path, None))
                missing.append((above, own, path, layer))
                path = above
            for above, own, path, layer in reversed(missing):
                place = Node(own, path, self._layers[above], layer=layer, second=True)
                self._layers.setdefault(path, self._add(place))
            own = name[len(tensor.layer) + 1 :] if tensor.layer else name
            self._add(
                Node(
                    own, name, self._layers[tensor.layer], None, tensor, second=True, change=change
                )
            )


def walk(network: Network) -> Iterator[tuple[str, str, str, Layer]]:
    """Go through all layers: the path of the one above, its own name, its path, and itself."""
    stack: list[tuple[str, str, str, Layer]] = [("", "", "", network)]
    while stack:
        place = stack.pop()
        yield place
        _, _, path, layer = place
        below = [
            (path, name, f"{path}.{name}" if path else name, child)
            for name, child in layer._layers.items()
            if child is not None
        ]
        stack.extend(reversed(below))
