"""ONNX's layers: every node that computes with a constant tensor, and what becomes of the rest.

A tensor keeps its own name, and stands in the layer that computes with it first. A layer's path is
that of a name such as ``fc1.weight``, which exporters keep, or else that of its node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from weigh._dtypes import DTYPES
from weigh._facts import FoundClass, FoundLayer, Role
from weigh._sources.onnx_attributes import attributes
from weigh._sources.onnx_graph_reader import GraphReader
from weigh._sources.onnx_graphs import Constant, Graph, Node, below, every
from weigh._sources.onnx_weights import OPERATIONS, TRANSPARENT, Part, is_setting, role_of
from weigh._sources.protobuf import Walker
from weigh._sources.stored import count_of

_DOTTED = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_MOST_STEPS = 20


@dataclass(slots=True)
class Place:
    """What a tensor is in the network.

    Attributes:
        layer: the path of the layer that computes with it; None if it is none of the network's.
        part: what that layer calls it.
        role: what it is, where a node says so.
        packed: whether it is a weight kept in whole numbers.
        quantization: what turns those into the weights.
    """

    layer: str | None = None
    part: str = ""
    role: Role | None = None
    packed: bool = False
    quantization: str | None = None


_Found = tuple[Part, Constant, Node | None]
"""A part of a node, the constant there, and the node that dequantizes it on the way."""


class LayerFinder:
    """Finds the layers of a model.

    Args:
        walk: goes through the file, for the nodes' attributes.
        reader: what read the graphs, which gives nodes their paths.
        names: the rows' names of the constants, by ``id``.
    """

    def __init__(self, walk: Walker, reader: GraphReader, names: dict[int, str]) -> None:
        self._walk, self._reader, self._names = walk, reader, names
        self._claims: dict[str, list[Place]] = {}
        self._shared: set[str] = set()
        self._used: dict[int, bool] = {}
        self._through: dict[tuple[int, str], tuple[Node, str]] = {}
        self._made: dict[str, FoundLayer] = {}
        self._again: dict[str, int] = {}
        self.places: dict[int, Place] = {}

    def add(self, root: Graph) -> None:
        """Look through a graph and those within it."""
        for graph, node in every(root):
            if node is None:
                continue
            if node.op in TRANSPARENT and node.inputs and node.outputs:
                self._through[id(graph), node.outputs[0]] = (node, node.inputs[0])
            for at, value in enumerate(node.inputs):
                constant = graph.find(value) if value else None
                if constant is not None:
                    key, computes = id(constant), not is_setting(node.op, at)
                    self._used[key] = self._used.get(key, False) or computes
        # Dequantized weights belong to the layer that takes them, if there is one.
        late: list[tuple[Graph, Node]] = []
        for graph, node in every(root):
            if node is None:
                self._make_graph(graph)
            elif node.op == "DequantizeLinear":
                late.append((graph, node))
            elif node.op in OPERATIONS:
                self._take(graph, node)
            if node is not None:
                self._make_unstated(graph, node)
        for graph, node in late:
            self._take(graph, node)

    def layers(self, holding: Iterable[str]) -> tuple[FoundLayer, ...]:
        """List the layers, graphs among them, that hold something.

        Args:
            holding: the paths of layers that hold a tensor.
        """
        kept: set[str] = set()
        for path in holding:
            self._made.setdefault(path, FoundLayer(path))
            at = path
            while at not in kept:
                kept.add(at)
                at = at.rpartition(".")[0]
        return tuple(layer for path, layer in self._made.items() if path in kept)

    def _make_graph(self, graph: Graph) -> None:
        path, op = graph.owner
        if path:
            self._made.setdefault(path, FoundLayer(path, op))
        self._made.setdefault(graph.path, FoundLayer(graph.path, "Graph"))

    def _make_unstated(self, graph: Graph, node: Node) -> None:
        """Make the layers that only the names of a node's constants tell of."""
        for value in node.inputs:
            constant = graph.find(value) if value else None
            if constant is not None and id(constant) not in self.places:
                path = self.place_of(constant).layer
                if path is not None:
                    self._made.setdefault(path, FoundLayer(path))

    def _take(self, graph: Graph, node: Node) -> None:
        """Give a node the constants that it computes with, unless a node before has them."""
        parts = list(self._parts(graph, node))
        if not any(part.sort in ("weight", "packed") for part, _, _ in parts):
            return
        if all(id(constant) in self.places for _, constant, _ in parts):
            return
        path = self._claim(graph, node, parts)
        for part, constant, through in parts:
            if id(constant) in self.places:
                continue
            place = Place(path, "" if path in self._shared else part.name, role_of(part.sort))
            place.packed = place.role == "other"
            self.places[id(constant)] = place
            self._claims[path].append(place)
            if place.packed and (through is not None or node.op == "DequantizeLinear"):
                self._take_scales(graph, through or node, place)

    def _take_scales(self, graph: Graph, node: Node, place: Place) -> None:
        """Give the scale and zero point of a dequantized weight to its layer."""
        words = []
        for part in OPERATIONS["DequantizeLinear"][1:]:
            constant = graph.find(node.inputs[part.at]) if part.at < len(node.inputs) else None
            if constant is None:
                continue
            name = f"{place.part}_{part.name}" if place.part else part.name
            self.places.setdefault(id(constant), Place(place.layer, name, "buffer"))
            words.append(f"{part.name[2:]}={self._names[id(constant)]}")
        own = attributes(self._walk, node)
        words += [f"{name}={own[name]}" for name in ("axis", "block_size") if own.get(name)]
        place.quantization = ", ".join(words) or None

    def _parts(self, graph: Graph, node: Node) -> Iterator[_Found]:
        """Find the constants among a node's inputs, and what dequantizes each."""
        for part in OPERATIONS[node.op]:
            if part.at >= len(node.inputs) or not node.inputs[part.at]:
                continue
            constant, through = self._behind(graph, node.inputs[part.at])
            if constant is None or constant.indices is not None:
                continue
            dtype = DTYPES[constant.tensor.dtype]
            if dtype.learnable and part.sort not in ("packed", "packed bias"):
                if node.op != "Gather" or len(constant.tensor.shape) > 1:
                    yield part, constant, None
            elif part.sort == "scale":
                yield part, constant, None
            elif through is not None and part.sort in ("weight", "bias"):
                yield part._replace(sort="packed"), constant, through
            elif part.sort in ("packed", "packed bias") and (
                dtype.family in ("int", "uint") or dtype.bits <= 8
            ):
                yield part, constant, None

    def _behind(self, graph: Graph, value: str) -> tuple[Constant | None, Node | None]:
        """Find the constant that a value is, maybe cast or dequantized."""
        through = None
        for _ in range(_MOST_STEPS):
            constant = graph.find(value)
            if constant is not None:
                return constant, through
            at: Graph | None = graph
            while at is not None and (id(at), value) not in self._through:
                at = at.within
            if at is None:
                break
            node, value = self._through[id(at), value]
            through = node if node.op == "DequantizeLinear" else through
        return None, None

    def _claim(self, graph: Graph, node: Node, parts: list[_Found]) -> str:
        """Find the path of a node's layer, and make the layer."""
        path = self._path_by_names(parts)
        if path is None:
            path = self._path_by_node(graph, node)
        elif path in self._claims:
            # Several nodes compute with tensors of one name: a cell of a recurrent layer written
            # out. What kind of layer that was, no single node says.
            self._shared.add(path)
            self._made[path] = FoundLayer(path)
            for place in self._claims[path]:
                place.part = ""
            return path
        self._claims[path] = []
        stated = attributes(self._walk, node)
        self._made[path] = FoundLayer(path, _kind(node.op), _class_of(node.op), stated)
        return path

    def _path_by_names(self, parts: list[_Found]) -> str | None:
        for _, constant, _ in parts:
            if id(constant) not in self.places and _DOTTED.fullmatch(constant.own):
                return below(constant.graph, constant.own.rpartition(".")[0])
        return None

    def _path_by_node(self, graph: Graph, node: Node) -> str:
        full = self._reader.path_of(graph, node)
        above, _, last = full.rpartition(".")
        # A name that an exporter made ends in the operation, which the kind says.
        named = node.name and len(above) > len(graph.path)
        ends = re.fullmatch(rf"{re.escape(_kind(node.op))}(_\d+)?", last)
        for path in (above, full) if named and ends else (full,):
            if path not in self._claims:
                return path
        count = self._again[full] = self._again.get(full, 1) + 1
        return f"{full}_{count}"

    def place_of(self, constant: Constant) -> Place:
        """Tell what a constant is in the network, claimed by a layer or not."""
        place = self.places.get(id(constant))
        if place is not None:
            return place
        if not self._may_be_learned(constant):
            return Place(None, "", "other")
        above = constant.own.rpartition(".")[0] if _DOTTED.fullmatch(constant.own) else ""
        return Place(below(constant.graph, above) if above else constant.graph.path)

    def _may_be_learned(self, constant: Constant) -> bool:
        """Whether a constant that no node calls a weight seems to be one all the same.

        It holds several floats and is an initializer, or has a name as parameters have; and
        something is computed with it.
        """
        if not DTYPES[constant.tensor.dtype].learnable or not self._used.get(id(constant), True):
            return False
        if _DOTTED.fullmatch(constant.own):
            return True
        return constant.is_initializer and count_of(constant.tensor.shape) > 1


def _kind(op: str) -> str:
    return op.rpartition(".")[2]


@cache
def _class_of(op: str) -> FoundClass:
    """Name an operation as a class; only those of the table are asked for."""
    return FoundClass(f"onnx.{op}")
