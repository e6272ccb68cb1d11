"""Reads ONNX models: a Protocol Buffers message of graphs, nodes and tensors.

No value is touched to list a model, and no ONNX library is needed: what is read is the shape of
the message, and the texts and numbers in it that are not tensors' values.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Accounts, Facts, FoundLayer, FoundTensor
from weigh._sources.bytes import ByteSource
from weigh._sources.onnx_graph_reader import GraphReader
from weigh._sources.onnx_graphs import Constant, Graph, Span, below, clean, every, name_constants
from weigh._sources.onnx_layers import LayerFinder, Place
from weigh._sources.onnx_outside import Outside
from weigh._sources.onnx_tensors import expect, pair_at, values_of
from weigh._sources.protobuf import BYTES, VARINT, Walker, signed

_MOST_NAMES = 1 << 25
_MOST_METADATA = 1000
_LONGEST_TEXT = 4096
_NAMED = 5
_ALIGNED, _MOST_PADDING = 4096, 1 << 16
_TEXTS = {2: "producer_name", 3: "producer_version", 4: "domain", 6: "doc_string"}
_NUMBERS = {1: "ir_version", 5: "model_version"}


@dataclass(slots=True)
class _Model:
    """What a ModelProto states, and where its graphs are."""

    graph: Span | None = None
    functions: list[Span] = field(default_factory=list)
    trains: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


def read(source: ByteSource) -> Facts:
    """Read what an ONNX model states; of its tensors' values, nothing is read.

    Args:
        source: the file's bytes.

    Raises:
        FormatError: they are no ONNX model, or break the format's rules.
        UnsupportedError: the model has what Weigh does not read.
    """
    if bytes(source.view(0, min(source.size, 8)))[4:] == b"ORTM":
        raise UnsupportedError(
            "ONNX Runtime's own format (.ort) is not read yet",
            do="Give the .onnx file that it was made of.",
        )
    walk = Walker(source)
    model = _model(walk)
    if model.graph is None:
        raise FormatError("it holds no graph", do="It may not be an ONNX model.")
    reader = GraphReader(walk)
    roots = [reader.read(Graph(), model.graph)]
    roots += [reader.read(_function(walk, span), span, function=True) for span in model.functions]
    graphs = [graph for root in roots for graph, node in every(root) if node is None]
    for graph in graphs:
        name_constants(graph)
    constants = [constant for graph in graphs for constant in graph.constants.values()]
    names = _names(constants)
    finder = LayerFinder(walk, reader, names)
    for root in roots:
        finder.add(root)
    # Those that nodes compute with first, in the order of the nodes: a weight before its bias.
    rank = {key: i for i, key in enumerate(finder.places)}
    constants.sort(key=lambda constant: rank.get(id(constant), len(rank)))
    places = [finder.place_of(constant) for constant in constants]
    layers = finder.layers([place.layer for place in places if place.layer is not None])
    at = {layer.path: i for i, layer in enumerate(layers)}
    outside = Outside(source.beside)
    tensors: list[FoundTensor] = []
    for constant, place in zip(constants, places, strict=True):
        layer = None if place.layer is None else at.get(place.layer)
        tensors += _found(constant, names[id(constant)], place, layer, source, outside)
    _keep_apart(tensors, layers)
    return Facts(
        "onnx",
        source.name,
        tuple(tensors),
        layers=layers,
        metadata=model.metadata,
        notes=tuple(_notes(graphs, constants, names, model, outside)),
        accounts=_accounts(source, tensors, outside),
    )


def _model(walk: Walker) -> _Model:
    """Read a ModelProto but for its graphs."""
    model = _Model()
    for each in walk.fields(0, walk.source.size):
        number, _, first, last, value = each
        if number == 7:
            if model.graph is not None:
                raise FormatError("it holds two graphs")
            model.graph = expect(each, BYTES)[2:4]
        elif number in _NUMBERS:
            expect(each, VARINT)
            model.metadata[_NUMBERS[number]] = str(signed(value))
        elif number in _TEXTS:
            expect(each, BYTES)
            if last - first <= _LONGEST_TEXT:
                model.metadata[_TEXTS[number]] = walk.text(first, last)
        elif number == 8:
            domain, version = _opset(walk, expect(each, BYTES)[2:4])
            model.metadata[f"opset {domain or 'ai.onnx'}"] = str(version)
        elif number == 14:
            key, text = pair_at(walk, expect(each, BYTES))
            model.metadata.setdefault(key, text)
        elif number == 20:
            model.trains = True
        elif number == 25:
            model.functions.append(expect(each, BYTES)[2:4])
        if len(model.metadata) > _MOST_METADATA or len(model.functions) > _MOST_METADATA:
            raise UnsupportedError(f"it has over {_MOST_METADATA:,} entries of metadata")
    return model


def _opset(walk: Walker, span: Span) -> tuple[str, int]:
    domain, version = "", 0
    for number, wire, first, last, value in walk.fields(*span):
        if number == 1 and wire == BYTES:
            domain = walk.text(first, last)
        elif number == 2 and wire == VARINT:
            version = signed(value)
    return domain, version


def _function(walk: Walker, span: Span) -> Graph:
    """Make the graph of a function, which is called by its name."""
    for number, wire, first, last, _ in walk.fields(*span):
        if number == 1 and wire == BYTES:
            return Graph(clean(walk.text(first, last)) or "function", owner=("", "Function"))
    return Graph("function")


def _names(constants: Iterable[Constant]) -> dict[int, str]:
    """Name the rows: by the constant's own name below its graph's path, each once."""
    met: Counter[str] = Counter()
    taken: set[str] = set()
    names: dict[int, str] = {}
    length = 0
    for constant in constants:
        plain = name = below(constant.graph, constant.own)
        while not taken.isdisjoint(_rows(constant, name)):
            met[plain] += 1
            name = f"{plain}_{met[plain] + 1}"
        taken.update(_rows(constant, name))
        names[id(constant)] = name
        length += len(name)
        if length > _MOST_NAMES:
            raise UnsupportedError("the names of the tensors are very long, all together")
    return names


def _rows(constant: Constant, name: str) -> tuple[str, ...]:
    """Name the rows of a constant; a sparse one has two, its values and where they are."""
    return (name,) if constant.indices is None else (f"{name}.values", f"{name}.indices")


def _keep_apart(tensors: list[FoundTensor], layers: tuple[FoundLayer, ...]) -> None:
    """Let no row hide another in its layer, as ``fc.W`` and ``W`` both in ``fc`` would.

    The network itself holds the second one; its rows' names are all whole, and so all different.
    """
    taken: set[tuple[int, str]] = set()
    for tensor in tensors:
        if tensor.layer is None:
            continue
        path = layers[tensor.layer].path
        own = tensor.name.removeprefix(f"{path}.") if path else tensor.name
        if path and (tensor.layer, own) in taken:
            tensor.layer = next(i for i, layer in enumerate(layers) if not layer.path)
        taken.add((tensor.layer, own))


def _found(
    constant: Constant,
    name: str,
    place: Place,
    layer: int | None,
    source: ByteSource,
    outside: Outside,
) -> list[FoundTensor]:
    """Make the row of a constant, or the two of a sparse one."""
    values, identity = values_of(constant.tensor, source, outside)
    row = FoundTensor(
        name,
        values,
        role=place.role,
        learnable=False if place.packed else None,
        identity=identity,
        quantization=place.quantization,
        packed=place.packed,
        layer=layer,
        part=place.part,
    )
    if constant.indices is None:
        return [row]
    spots, other = values_of(constant.indices, source, outside)
    first, second = _rows(constant, name)
    return [replace(row, name=first), FoundTensor(second, spots, role="other", identity=other)]


def _notes(
    graphs: list[Graph],
    constants: list[Constant],
    names: dict[int, str],
    model: _Model,
    outside: Outside,
) -> Iterable[str]:
    left_out = [below(graph, name) for graph in graphs for name in graph.left_out]
    if left_out:
        yield f"Left out, being texts: {_list(left_out)}."
    unread = [below(graph, name) for graph in graphs for name in graph.unread]
    if unread:
        yield f"Left out, being of types that are not read yet: {_list(unread)}."
    for location, reason in list(outside.missing.items())[:_NAMED]:
        yield f"The values of some tensors are in {location!r}, which cannot be read: {reason}."
    if len(outside.missing) > _NAMED:
        yield f"{len(outside.missing):,} files of values cannot be read."
    sparse = [c for c in constants if c.indices is not None]
    for one in sparse[:_NAMED]:
        name = names[id(one)]
        yield (
            f"{name} is sparse: of its shape {list(one.dense_shape)} only the values in "
            f"{name}.values are stored, at the places in {name}.indices; all others are 0."
        )
    if model.trains:
        yield "What the model holds for training (training_info) is left out."


def _list(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _accounts(source: ByteSource, tensors: list[FoundTensor], outside: Outside) -> Accounts:
    """Account for the bytes of the model and of the files beside it."""
    spans: defaultdict[Hashable, list[Span]] = defaultdict(list)
    for tensor in tensors:
        extent = tensor.values.extent
        if extent is not None and isinstance(extent.storage, tuple):
            file, offset = extent.storage
            if isinstance(offset, int):
                spans[file].append((offset + extent.start, offset + extent.stop))
    touched, _ = _covered(spans.pop(source.identity, []))
    rest = source.size - touched
    total = Accounts(source.size, touched, rest, 0, 0)
    files = {file.identity: file for file in outside.files.values()}
    files.pop(source.identity, None)
    for identity, file in files.items():
        touched, padding = _covered(spans[identity])
        rest = file.size - touched - padding
        total += Accounts(file.size, touched, 0, padding, rest)
    return total


def _covered(spans: list[Span]) -> tuple[int, int]:
    """Count the bytes that are in some span, and those before an aligned one, which only pad."""
    covered = padding = end = 0
    for start, stop in sorted(spans):
        gap = start - end
        if 0 < gap < _MOST_PADDING and not start % _ALIGNED:
            padding += gap
        covered += max(0, stop - max(start, end))
        end = max(end, stop)
    return covered, padding
