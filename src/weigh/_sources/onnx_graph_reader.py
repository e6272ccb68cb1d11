"""Reads ONNX's graphs, with a list of what is still to do instead of recursion."""

from __future__ import annotations

from collections import deque

from weigh._dtypes import DTYPES
from weigh._errors import FormatError, UnsupportedError
from weigh._sources.onnx_graphs import Constant, Graph, Node, Span, below, clean
from weigh._sources.onnx_tensors import STRING, TensorProto, expect, tensor_at
from weigh._sources.protobuf import BYTES, FIXED32, VARINT, Field, Walker, signed

_MOST_NESTED = 64
"""Protocol Buffers' own readers stop at 100 messages, which are 33 graphs, within each other."""
_LONGEST_PATH = 1024
_MOST_AXES = 1000
_MOST_NODES, _MOST_CONSTANTS = 300_000, 200_000
_DOMAINS = {"": "", "ai.onnx": "", "com.microsoft": "com.microsoft"}


class GraphReader:
    """Reads the graphs of a model.

    Args:
        walk: goes through the file.
    """

    def __init__(self, walk: Walker) -> None:
        self._walk = walk
        self._todo: deque[tuple[Graph, Span]] = deque()
        self._unnamed: dict[tuple[int, str], int] = {}
        self._nodes = self._constants = 0

    def read(self, graph: Graph, span: Span, *, function: bool = False) -> Graph:
        """Read a graph and all graphs within it.

        Args:
            graph: the graph to fill.
            span: where its message is.
            function: whether the message is a FunctionProto.
        """
        self._fill(graph, span, nodes=7 if function else 1, function=function)
        while self._todo:
            inner, place = self._todo.popleft()
            self._fill(inner, place)
        return graph

    def _count_up(self, nodes: int, constants: int) -> None:
        self._nodes += nodes
        self._constants += constants
        if self._nodes > _MOST_NODES or self._constants > _MOST_CONSTANTS:
            raise UnsupportedError(
                f"the model has over {_MOST_NODES:,} nodes or {_MOST_CONSTANTS:,} tensors"
            )

    def _fill(self, graph: Graph, span: Span, nodes: int = 1, *, function: bool = False) -> None:
        for each in self._walk.fields(*span):
            number, _, first, last, _ = each
            if number == nodes:
                expect(each, BYTES)
                self._add_node(graph, (first, last))
            elif function:
                continue
            elif number == 5:
                expect(each, BYTES)
                tensor = tensor_at(self._walk, first, last)
                self._add(Constant(tensor, tensor.name, graph))
            elif number == 15:
                expect(each, BYTES)
                made = self._sparse(graph, (first, last))
                made.value = made.tensor.name
                self._add(made)

    def _add(self, constant: Constant) -> None:
        graph, value = constant.graph, constant.value
        self._count_up(0, 1)
        if not value:
            raise FormatError("a constant of the graph has no name")
        if value in graph.constants:
            raise FormatError("two constants of a graph have one name", seen=repr(value[:100]))
        if constant.tensor.dtype == STRING:
            graph.left_out.append(value)
        elif constant.tensor.dtype not in DTYPES:
            graph.unread.append(f"{value} ({constant.tensor.dtype})")
        else:
            graph.constants[value] = constant

    def _add_node(self, graph: Graph, span: Span) -> None:
        self._count_up(1, 0)
        node, op, domain = Node(), "", ""
        text = self._walk.text
        for number, wire, first, last, _ in self._walk.fields(*span):
            if wire != BYTES:
                continue
            if number == 1:
                node.inputs.append(text(first, last))
            elif number == 2:
                node.outputs.append(text(first, last))
            elif number == 3:
                node.name = text(first, last)
            elif number == 4:
                op = text(first, last)
            elif number == 5:
                node.spans.append((first, last))
            elif number == 7:
                domain = text(first, last)
        home = _DOMAINS.get(domain, domain)
        node.op = f"{home}.{op}" if home else op
        if node.op == "Constant":
            self._add_constant(graph, node)
            return
        graph.nodes.append(node)
        for place in node.spans:
            self._add_graphs(graph, node, place)

    def _add_graphs(self, graph: Graph, node: Node, place: Span) -> None:
        """Note the graphs that an attribute holds, to be read later."""
        name, spans = "", list[Span]()
        for number, wire, first, last, _ in self._walk.fields(*place):
            if number == 1 and wire == BYTES:
                name = self._walk.text(first, last)
            elif number in (6, 10) and wire == BYTES:
                spans.append((first, last))
        if not spans:
            return
        if graph.depth >= _MOST_NESTED:
            raise UnsupportedError(f"graphs are nested in each other over {_MOST_NESTED} deep")
        path = self.path_of(graph, node)
        for i, span in enumerate(spans):
            within = f"{path}.{name}" if len(spans) == 1 else f"{path}.{name}.{i}"
            if len(within) > _LONGEST_PATH:
                raise UnsupportedError("the path of a graph within others is very long")
            made = Graph(within, graph, graph.depth + 1, owner=(path, node.op))
            node.graphs.append(made)
            self._todo.append((made, span))

    def path_of(self, graph: Graph, node: Node) -> str:
        """Make a path for a node: of its own name, or else of its operation and a number."""
        if not node.path:
            own = clean(node.name)
            if not own:
                key = (id(graph), node.op)
                count = self._unnamed[key] = self._unnamed.get(key, -1) + 1
                own = f"{node.op.rpartition('.')[2]}_{count}"
            node.path = below(graph, own)
        return node.path

    def _add_constant(self, graph: Graph, node: Node) -> None:
        """Make a constant of the one attribute that a Constant node has."""
        value = node.outputs[0] if node.outputs else ""
        for place in node.spans:
            made = self._constant_of(graph, value, place)
            if made is not None:
                self._add(made)
                return
        graph.left_out.append(value)

    def _constant_of(self, graph: Graph, value: str, place: Span) -> Constant | None:
        loose: dict[int, list[Field]] = {}
        for each in self._walk.fields(*place):
            if each[0] in (5, 22):
                expect(each, BYTES)
                if each[0] == 22:
                    made = self._sparse(graph, each[2:4])
                else:
                    tensor = tensor_at(self._walk, each[2], each[3])
                    made = Constant(tensor, value, graph)
                made.value, made.is_initializer = value, False
                return made
            if each[0] in (2, 3, 7, 8):
                loose.setdefault(each[0], []).append(each)
        return self._loose(graph, value, loose) if loose else None

    def _loose(self, graph: Graph, value: str, loose: dict[int, list[Field]]) -> Constant:
        """Make a tensor of a number or a list of numbers."""
        number, rows = max(loose.items(), key=lambda item: len(item[1]))
        tensor = TensorProto(dtype="float32" if number in (2, 7) else "int64")
        at = 4 if number in (2, 7) else 7  # the lists of a TensorProto
        packed, numbers = list[Span](), list[int]()
        for each in rows:
            if each[1] == BYTES and number in (7, 8):
                packed.append(each[2:4])
            else:
                numbers.append(expect(each, FIXED32 if number in (2, 7) else VARINT)[4])
        tensor.packed = {at: packed} if packed else None
        tensor.loose = {at: numbers} if numbers else None
        if number in (7, 8):
            more = sum(self._count(number, place) for place in packed)
            tensor.shape = (len(numbers) + more,)
        return Constant(tensor, value, graph, is_initializer=False)

    def _count(self, number: int, place: Span) -> int:
        if number == 7:
            return (place[1] - place[0]) // 4
        return len(self._walk.numbers((number, BYTES, *place, 0)))

    def _sparse(self, graph: Graph, span: Span) -> Constant:
        """Read a SparseTensorProto: values, the places they have, and the whole's shape."""
        values = indices = None
        shape: list[int] = []
        for each in self._walk.fields(*span):
            number = each[0]
            if number == 1:
                values = tensor_at(self._walk, *expect(each, BYTES)[2:4])
            elif number == 2:
                indices = tensor_at(self._walk, *expect(each, BYTES)[2:4])
            elif number == 3:
                shape += map(signed, self._walk.numbers(each, _MOST_AXES))
        if values is None or indices is None or indices.dtype != "int64":
            raise FormatError("a sparse tensor lacks its values or their places")
        return Constant(values, "", graph, indices=indices, dense_shape=tuple(shape))
