"""ONNX's graphs: their nodes, and the tensors that are constant in them.

A constant is an initializer or what a ``Constant`` node gives. Graphs stand within nodes (the
branches of an If, the body of a Loop), functions beside the main graph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from weigh._sources.onnx_tensors import TensorProto

Span = tuple[int, int]
_SEPARATORS = re.compile(r"[/.]+")


@dataclass(slots=True, eq=False)
class Constant:
    """A tensor that is constant in a graph.

    Attributes:
        tensor: what the file states of it.
        value: the name under which the graph's nodes use it.
        graph: the graph.
        is_initializer: whether it is an initializer, not a node.
        indices: where the values of a sparse tensor are.
        dense_shape: the shape of a sparse tensor.
        own: the name to call it by: a tensor in a node may have one of its own.
    """

    tensor: TensorProto
    value: str
    graph: Graph
    is_initializer: bool = True
    indices: TensorProto | None = None
    dense_shape: tuple[int, ...] = ()
    own: str = ""


@dataclass(slots=True, eq=False)
class Node:
    """One operation of a graph.

    Attributes:
        op: what it computes, with its domain in front where that is not ONNX's own.
        name: its own name; may be "".
        inputs: the names of what it takes, "" for what is left out.
        outputs: the names of what it gives.
        spans: where its attributes are.
        graphs: the graphs within it, in their order.
        path: where it is, with dots, once somebody asked.
    """

    op: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    graphs: list[Graph] = field(default_factory=list)
    path: str = ""


@dataclass(slots=True, eq=False)
class Graph:
    """One graph of a model.

    Attributes:
        path: where it is, with dots; the main graph is "".
        within: the graph whose values can be used in it too.
        depth: how many graphs it is within.
        nodes: all nodes that are no constants, in their order.
        constants: the constants by the names that nodes use.
        owner: the path and operation of the node that it stands in.
        left_out: the names of constants that are texts.
        unread: those of constants of a dtype that is not read, each with it.
    """

    path: str = ""
    within: Graph | None = None
    depth: int = 0
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    owner: tuple[str, str] = ("", "")
    left_out: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def find(self, value: str) -> Constant | None:
        """Find a constant by the name that a node in this graph uses."""
        at: Graph | None = self
        while at is not None:
            if value in at.constants:
                return at.constants[value]
            at = at.within
        return None


def name_constants(graph: Graph) -> None:
    """Settle what each constant of a graph is called.

    An exporter may keep a parameter's name in the tensor of a Constant node, or give every one
    of them the same name there, which then says nothing.
    """
    inner = Counter(c.tensor.name for c in graph.constants.values() if not c.is_initializer)
    for constant in graph.constants.values():
        name = constant.tensor.name
        alone = inner[name] == 1 and name not in graph.constants
        constant.own = name if name and not constant.is_initializer and alone else constant.value


def clean(name: str) -> str:
    """Make a dotted path of a node's name, as exporters write paths with slashes.

    Examples:
        >>> clean("/layers/0/conv/Conv")
        'layers.0.conv.Conv'
    """
    return _SEPARATORS.sub(".", name).strip(".")


def below(graph: Graph, name: str) -> str:
    """Put a graph's path before a name."""
    return f"{graph.path}.{name}" if graph.path else name


def every(graph: Graph) -> Iterator[tuple[Graph, Node | None]]:
    """Go through the nodes of a graph and of those within it, each graph first without a node.

    A node comes before the graphs within it.
    """
    stack: list[tuple[Graph, Node | None]] = [(graph, None)]
    while stack:
        at, node = stack.pop()
        yield at, node
        if node is None:
            stack.extend((at, each) for each in reversed(at.nodes))
        else:
            stack.extend((inner, None) for inner in reversed(node.graphs))
