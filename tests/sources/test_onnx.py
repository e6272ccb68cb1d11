from __future__ import annotations

import itertools
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper
from onnx import numpy_helper as nph
from torch import nn

import weigh
from weigh._errors import FormatError, SourceError, UnsupportedError, ValuesError, WeighError
from weigh._facts import Facts
from weigh._sources.bytes import MemoryBytes
from weigh._sources.onnx import read

RNG = np.random.default_rng(5)
TYPES = TensorProto.DataType


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("f4")


def tensor(name: str, array: Any) -> TensorProto:
    return nph.from_array(np.asarray(array), name)


def model(
    nodes: Sequence[NodeProto] = (), inside: Sequence[TensorProto] = (), **more: Any
) -> ModelProto:
    return helper.make_model(helper.make_graph(nodes, "g", [], [], inside), **more)


def facts(made: ModelProto | bytes) -> Facts:
    return read(MemoryBytes(made if isinstance(made, bytes) else made.SerializeToString()))


def opened(made: ModelProto, folder: Path) -> weigh.Network:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return weigh.open(path)


def same(network: weigh.Network, name: str, proto: TensorProto) -> None:
    """Hold a row against what the format's own library makes of the tensor."""
    theirs = nph.to_array(proto)
    mine = network[name]
    assert mine.shape == theirs.shape, name
    wide = np.complex128 if theirs.dtype.kind == "c" else np.float64
    np.testing.assert_array_equal(mine.read().astype(wide), theirs.astype(wide), err_msg=name)
    for index in itertools.islice(slices(theirs.shape), 4):
        np.testing.assert_array_equal(
            mine[index].read().astype(wide), theirs[index].astype(wide), err_msg=f"{name}{index}"
        )


def slices(shape: tuple[int, ...]) -> Iterator[tuple[slice | int, ...]]:
    if shape and 0 not in shape:
        yield tuple(size // 2 for size in shape)
        yield (slice(None, None, 2),)
        yield tuple(slice(1, None, 2) for _ in shape)
        yield tuple(slice(0, max(1, size - 1)) for size in shape)


def axes(network: weigh.Network, name: str) -> list[str]:
    return [str(axis) for axis in network[name].axes]


def node(op: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs, [f"{name or op}.out"], name=name, **attributes)


READ = [
    n for n in TYPES.values()
    if n not in (TYPES.Value(s) for s in ("UNDEFINED", "STRING", "UINT2", "INT2"))
]  # fmt: skip
EASY = [n for n in READ if "6E" not in TYPES.Name(n)]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("number", EASY, ids=TYPES.Name)
def test_every_dtype_has_the_librarys_values(number: int, raw: bool, tmp_path: Path) -> None:
    values = np.arange(15) % 2 if number == TensorProto.BOOL else np.arange(15) - 7
    dtype = helper.tensor_dtype_to_np_dtype(number)
    low = TYPES.Name(number)[0] == "U" or "E8M0" in TYPES.Name(number)
    array = (np.abs(values) if low else values).astype(dtype).reshape(3, 5)
    if raw:
        made = nph.from_array(array, "t")
    elif number in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        made = helper.make_tensor("t", number, [3, 5], array.reshape(-1) * (1 + 2j))
    else:
        made = helper.make_tensor("t", number, [3, 5], array.reshape(-1))
    assert made.HasField("raw_data") is raw
    assert made.data_type == number
    network = opened(model(inside=[made]), tmp_path)
    same(network, "t", made)
    assert network["t"].count == 15
    assert network["t"].bytes == network["t"].dtype.size_of(15)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_numbers_of_every_length_are_read(numbers: list[int]) -> None:
    made = helper.make_tensor("t", TensorProto.INT64, [len(numbers)], numbers)
    values = weigh._api.interpret(facts(model(inside=[made])))["t"]
    assert values.read().tolist() == numbers
    assert values[::3].read().tolist() == numbers[::3]


def test_a_long_list_of_numbers_is_read_in_pieces(tmp_path: Path) -> None:
    made = helper.make_tensor("t", TensorProto.INT64, [300_000], RNG.integers(-9, 1 << 40, 300_000))
    same(opened(model(inside=[made]), tmp_path), "t", made)


def test_lists_may_be_unpacked(tmp_path: Path) -> None:
    """The specification packs these lists; a reader of Protocol Buffers takes both."""
    start = b"\x08\x03\x42\x01"  # dims: 3; a name of one byte
    kinds = {
        b"f\x10\x01": [b"\x25" + struct.pack("<f", x) for x in (1.5, -2, 3)],
        b"i\x10\x06": [b"\x28" + bytes([x]) for x in (1, 2, 3)],
        b"h\x10\x0a": [b"\x28\x80\x78"] * 3,
        b"d\x10\x0b": [b"\x51" + struct.pack("<d", x) for x in (1.5, -2, 3)],
        b"l\x10\x07": [b"\x38" + b"\xff" * 9 + b"\x01"] * 3,
        b"u\x10\x0d": [b"\x58\x05"] * 3,
    }
    made = ModelProto(graph=GraphProto())
    for head, rows in kinds.items():
        made.graph.initializer.append(TensorProto.FromString(start + head + b"".join(rows)))
    body = b"".join(
        b"\x2a" + bytes([len(t)]) + t for t in (start + h + b"".join(r) for h, r in kinds.items())
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x3a\x81\x01"[:2] + body if len(body) < 128 else b"\x3a" + _length(body))
    network = weigh.open(path)
    for proto in made.graph.initializer:
        same(network, proto.name, proto)


def _length(body: bytes) -> bytes:
    return bytes([len(body) & 127 | 128, len(body) >> 7]) + body


def test_a_constant_may_be_any_of_six_attributes(tmp_path: Path) -> None:
    def constant(out: str, **attribute: Any) -> NodeProto:
        return helper.make_node("Constant", [], [out], **attribute)

    listed = {"value_float": 1.5, "value_int": -3, "value_floats": [1.0, 2.5, -1.0],
              "value_ints": [1, -2, 2**40]}  # fmt: skip
    nodes = [constant(name, **{name: value}) for name, value in listed.items()]
    nodes += [constant("value", value=tensor("inner", floats(2, 3)))]
    nodes += [constant("value_string", value_string="a"), constant("many", value_strings=["a"])]
    network = opened(model(nodes), tmp_path)
    for name, value in listed.items():
        np.testing.assert_array_equal(network[name].read(), np.array(value))
    assert network["inner"].shape == (2, 3)
    assert {t.name for t in network.tensors()} == {*listed, "inner"}
    assert any("value_string, many" in note for note in network.notes)


def test_texts_are_left_out_with_a_note(tmp_path: Path) -> None:
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"a", b"b"])
    network = opened(model(inside=[words, tensor("w", floats(3))]), tmp_path)
    assert [t.name for t in network.tensors()] == ["w"]
    assert "Left out, being texts: words." in network.notes


def test_sparse_tensors_show_both_their_parts(tmp_path: Path) -> None:
    values, spots = tensor("s", floats(3)), tensor("where", np.array([1, 4, 7]))
    made = model()
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, spots, [3, 4]))
    network = opened(made, tmp_path)
    same(network, "s.values", values)
    same(network, "s.indices", spots)
    assert network["s.indices"].role == "other"
    assert any(note.startswith("s is sparse: of its shape [3, 4]") for note in network.notes)


# What nodes state


def test_a_convolution_states_its_weight_and_its_attributes(tmp_path: Path) -> None:
    inside = [tensor("conv.weight", floats(6, 2, 3, 5)), tensor("conv.bias", floats(6))]
    conv = node("Conv", ["x", "conv.weight", "conv.bias"], group=3, strides=[2, 1], pads=[1] * 4)
    network = opened(model([conv], inside), tmp_path)
    layer = network.conv
    assert (layer.kind, layer.kind_status) == ("Conv", "stated")
    assert repr(layer) == "Conv(strides=(2, 1), pads=(1, 1, 1, 1), group=3)"
    rows = layer.hyperparameters
    assert (rows["group"].value, rows["group"].origin) == (3, "given")
    assert (rows["dilations"].value, rows["dilations"].origin) == (1, "default")
    assert axes(network, "conv.weight") == [
        "out_channels=6", "in_channels_per_group=2", "kernel_height=3", "kernel_width=5",
    ]  # fmt: skip
    assert axes(network, "conv.bias") == ["out_channels=6"]
    assert network["conv.weight"].fan_in == 30
    assert {t.role_status for t in network.tensors()} == {"stated"}
    for proto in inside:
        same(network, proto.name, proto)


MATRIX = {"A": ["out_features", "in_features"], "B": ["in_features", "out_features"]}
LAYERS: list[tuple[str, dict[str, Any], dict[str, tuple[list[int], list[str]]]]] = [
    ("ConvTranspose", {}, {"W": ([4, 5, 3], ["in_channels", "out_channels", "kernel_width"]),
                           "B": ([5], ["out_channels"])}),
    ("ConvTranspose", {"group": 2}, {
        "W": ([4, 5, 2, 3],
              ["in_channels", "out_channels_per_group", "kernel_height", "kernel_width"])}),
    ("Gemm", {}, {"B": ([3, 5], MATRIX["B"]), "C": ([5], ["out_features"])}),
    ("Gemm", {"transB": 1}, {"B": ([5, 3], MATRIX["A"]), "C": ([5], ["out_features"])}),
    ("MatMul", {}, {"B": ([3, 5], MATRIX["B"])}),
    ("LSTM", {"hidden_size": 2, "direction": "bidirectional"}, {
        "W": ([2, 8, 3], ["directions", "gates_hidden_size", "input_size"]),
        "R": ([2, 8, 2], ["directions", "gates_hidden_size", "hidden_size"]),
        "B": ([2, 16], ["directions", "gates_hidden_size"]),
        "P": ([2, 6], ["directions", "peepholes"])}),
    ("GRU", {"hidden_size": 2}, {
        "W": ([1, 6, 3], ["directions", "gates_hidden_size", "input_size"])}),
    ("RNN", {"hidden_size": 2}, {"W": ([1, 2, 3], ["directions", "hidden_size", "input_size"])}),
    ("BatchNormalization", {}, {
        name: ([4], ["num_features"]) for name in ("scale", "B", "input_mean", "input_var")}),
    ("InstanceNormalization", {}, {"scale": ([4], ["num_features"]), "B": ([4], ["num_features"])}),
    ("GroupNormalization", {"num_groups": 2}, {
        "scale": ([4], ["num_features"]), "bias": ([4], ["num_features"])}),
    ("LayerNormalization", {}, {
        "Scale": ([2, 3], ["normalized_shape_0", "normalized_shape_1"]),
        "B": ([2, 3], ["normalized_shape_0", "normalized_shape_1"])}),
    ("PRelu", {}, {"slope": ([4, 1, 1], ["num_parameters", "repeated", "repeated"])}),
    ("Gather", {}, {"data": ([9, 4], ["num_embeddings", "embedding_dim"])}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes", "parts"), LAYERS)
def test_every_operation_names_the_axes_of_its_parts(
    op: str, attributes: dict[str, Any], parts: dict[str, Any], tmp_path: Path
) -> None:
    """The order of the inputs is that of the library's own schema of the operation."""
    formal = [one.name for one in onnx.defs.get_schema(op).inputs]
    inputs = [f"{name}_" if name in parts else "" for name in formal]
    inputs = ["x" if not given and i == 0 else given for i, given in enumerate(inputs)]
    inside = [tensor(f"{name}_", floats(*shape)) for name, (shape, _) in parts.items()]
    network = opened(model([node(op, inputs, "/net/it/" + op, **attributes)], inside), tmp_path)
    assert network["net.it"].kind == op
    for name, (_, names) in parts.items():
        row = network[f"{name}_"]
        assert [axis.name for axis in row.axes] == names
        assert row.layer == "net.it"
        assert row.role == ("buffer" if name.startswith("input_") else "parameter")


@pytest.mark.parametrize("op", sorted({op for op, _, _ in LAYERS}))
def test_defaults_are_those_of_the_librarys_schema(op: str) -> None:
    from weigh._kinds.onnx import KINDS

    schema = onnx.defs.get_schema(op).attributes
    for spec in KINDS[op].specs:
        assert spec.name in schema
        default = schema[spec.name].default_value
        if spec.name not in ("strides", "dilations", "pads") and default.type:
            value = helper.get_attribute_value(default)
            text = value.decode() if isinstance(value, bytes) else value
            text = tuple(one.decode() for one in text) if isinstance(text, list) else text
            assert spec.default == (pytest.approx(text) if isinstance(text, float) else text)


def test_the_order_of_gates_is_said(tmp_path: Path) -> None:
    inside = [tensor("w", floats(1, 8, 3)), tensor("r", floats(1, 8, 2))]
    network = opened(model([node("LSTM", ["x", "w", "r"], "l", hidden_size=2)], inside), tmp_path)
    assert "(i, o, f, c)" in network["w"].axes[1].meaning


def test_floats_are_written_as_short_as_they_are_meant(tmp_path: Path) -> None:
    inside = [tensor("n.weight", floats(4))]
    made = model([node("LayerNormalization", ["x", "n.weight"], epsilon=1e-6)], inside)
    assert opened(made, tmp_path).n.epsilon == 1e-6


def test_numbers_that_steer_are_no_parameters(tmp_path: Path) -> None:
    inside = [
        tensor("shape", np.array([2, -1])),
        tensor("mask", np.array([True, False])),
        tensor("scales", floats(4)),
        tensor("two", np.float32(2)),
        tensor("shift", floats(3)),
        tensor("h", floats(1, 1, 2)),
        tensor("norm.weight", floats(3)),
    ]
    nodes = [
        node("Reshape", ["x", "shape"], "a"),
        node("Resize", ["x", "", "scales"], "b"),
        node("Where", ["mask", "x", "x"], "c"),
        node("Div", ["x", "two"], "d"),
        node("Add", ["x", "shift"], "e"),
        node("LSTM", ["x", "y", "z", "", "", "h"], "f"),
        node("Mul", ["x", "norm.weight"], "g"),
    ]
    rows = {
        t.name: (t.role, t.role_status) for t in opened(model(nodes, inside), tmp_path).tensors()
    }
    others = {name for name, (role, _) in rows.items() if role == "other"}
    assert others == {"shape", "mask", "scales", "two", "h"}
    assert rows["shift"] == rows["norm.weight"] == ("parameter", "inferred")


def test_names_and_layers(tmp_path: Path) -> None:
    inside = [
        tensor("fc1.weight", floats(4, 3)),
        tensor("onnx::MatMul_7", floats(4, 5)),
        tensor("fc2.bias", floats(5)),
        tensor("w", floats(5, 5)),
        tensor("v", floats(5, 5)),
        tensor("u", floats(5, 5)),
        tensor("cell.weight_ih", floats(8, 3)),
        tensor("cell.weight_hh", floats(8, 2)),
    ]
    nodes = [
        node("Gemm", ["x", "fc1.weight"], "node_linear", transB=1),
        node("MatMul", ["x", "onnx::MatMul_7"], "/fc2/MatMul"),
        node("Add", ["x", "fc2.bias"], "/fc2/Add"),
        node("MatMul", ["x", "w"]),
        node("MatMul", ["x", "v"], "/attn/MatMul"),
        node("MatMul", ["x", "u"], "/attn/MatMul_1"),
        node("MatMul", ["x", "u"], "/attn/MatMul_2"),
        node("Gemm", ["x", "cell.weight_ih"], "g1", transB=1),
        node("Gemm", ["x", "cell.weight_hh"], "g2", transB=1),
    ]
    network = opened(model(nodes, inside), tmp_path)
    layers = {t.name: t.layer for t in network.tensors()}
    assert layers == {
        "fc1.weight": "fc1", "onnx::MatMul_7": "fc2", "fc2.bias": "fc2", "w": "MatMul_0",
        "v": "attn", "u": "attn.MatMul_1", "cell.weight_ih": "cell", "cell.weight_hh": "cell",
    }  # fmt: skip
    assert network.fc1.weight.shape == (4, 3)
    assert axes(network, "fc2.bias") == ["out_features=5"]
    assert (network.cell.kind, network.cell.kind_status) == ("RNNCell", "inferred") or (
        network.cell.kind == "LSTMCell"
    )
    for proto in inside:
        same(network, proto.name, proto)


def test_layers_that_only_names_tell_of_keep_their_places(tmp_path: Path) -> None:
    """A norm written out as a product and a sum, a matrix that is transposed first."""
    inside = [tensor("net.0.norm.weight", floats(4)), tensor("net.0.norm.bias", floats(4)),
              tensor("net.0.fc.weight", floats(5, 4)), tensor("net.0.fc.bias", floats(5)),
              tensor("net.1.weight", floats(5, 6))]  # fmt: skip
    nodes = [
        node("Mul", ["x", "net.0.norm.weight"], "a"),
        node("Add", ["x", "net.0.norm.bias"], "b"),
        helper.make_node("Transpose", ["net.0.fc.weight"], ["t"]),
        node("MatMul", ["x", "t"], "c"),
        node("Add", ["x", "net.0.fc.bias"], "d"),
        node("MatMul", ["x", "net.1.weight"], "e"),
    ]
    network = opened(model(nodes, inside), tmp_path)
    kinds = {path: (layer.kind, layer.kind_status) for path, layer in network.named_modules()}
    assert kinds["net.0.norm"] == ("LayerNorm", "inferred")
    assert kinds["net.0.fc"] == ("Linear", "inferred")
    assert kinds["net.1"] == ("MatMul", "stated")
    assert [t.name for t in network.tensors()] == [proto.name for proto in inside]
    assert axes(network, "net.0.fc.weight") == ["out_features=5", "in_features=4"]
    assert axes(network, "net.1.weight") == ["in_features=5", "out_features=6"]


def test_no_row_hides_another(tmp_path: Path) -> None:
    inside = [tensor(name, floats(4, 4)) for name in ("fc.W", "W", "fc.fc.W", "s.values")]
    nodes = [node("Gemm", ["x", "fc.W", "W"]), node("Gemm", ["x", "fc.fc.W", "x"], "fc")]
    made = model(nodes, inside)
    values, spots = tensor("s", floats(2)), tensor("where", np.array([1, 4]))
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, spots, [3, 4]))
    network = opened(made, tmp_path)
    for proto in inside:
        same(network, proto.name, proto)
    same(network, "s_2.values", values)
    assert len(network.tensors()) == 6


def test_a_weight_that_two_nodes_use_is_one_row(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], name) for name in ("a", "b")]
    network = opened(model(nodes, [tensor("w", floats(3, 3))]), tmp_path)
    assert [t.name for t in network.tensors()] == ["w"]
    assert network.counts.parameters == 9
    assert "b" not in network


def branches(depth: int = 1) -> ModelProto:
    """An If of two branches, each with a Conv whose weight is a Constant of the same name."""

    def branch(name: str) -> GraphProto:
        weight = helper.make_node(
            "Constant", [], [f"{name}_w"], value=tensor("c.weight", floats(2, 1, 3))
        )
        nodes = [weight, node("Conv", ["x", f"{name}_w"], "/c/Conv")]
        return helper.make_graph(nodes, name, [], [])

    choice = node("If", ["p"], "/net/If_0", then_branch=branch("t"), else_branch=branch("e"))
    for level in range(depth - 1):
        body = helper.make_graph([choice], "body", [], [])
        choice = node("Loop", ["n", ""], f"loop{level}", body=body)
    return model([choice])


def test_weights_in_branches_have_names_of_their_own(tmp_path: Path) -> None:
    made = branches()
    network = opened(made, tmp_path)
    for attribute in made.graph.node[0].attribute:
        name = f"net.If_0.{attribute.name}.c.weight"
        same(network, name, attribute.g.node[0].attribute[0].t)
        assert network[f"net.If_0.{attribute.name}.c"].kind == "Conv"
        assert axes(network, name) == ["out_channels=2", "in_channels=1", "kernel_width=3"]
    assert len(network.tensors()) == 2
    assert network["net.If_0"].kind == "If"
    assert network.counts.parameters == 12


def test_a_branch_uses_what_stands_outside_it(tmp_path: Path) -> None:
    inner = helper.make_graph([node("MatMul", ["x", "fc.weight"])], "t", [], [])
    choice = node("If", ["p"], "choice", then_branch=inner, else_branch=inner)
    network = opened(model([choice], [tensor("fc.weight", floats(3, 4))]), tmp_path)
    assert network.fc.kind == "MatMul"
    assert network["fc.weight"].role_status == "stated"


def test_graphs_stand_within_each_other(tmp_path: Path) -> None:
    network = opened(branches(6), tmp_path)
    path = "loop4.body.loop3.body.loop2.body.loop1.body.loop0.body.net.If_0.then_branch.c.weight"
    assert network[path].shape == (2, 1, 3)


def test_functions_hold_constants_too(tmp_path: Path) -> None:
    weight = helper.make_node("Constant", [], ["w"], value=tensor("", floats(3, 4)))
    body = [weight, helper.make_node("MatMul", ["x", "w"], ["y"], name="m")]
    opset = helper.make_opsetid("", 18)
    function = helper.make_function("own", "Twice", ["x"], ["y"], body, [opset])
    network = opened(model(functions=[function]), tmp_path)
    same(network, "Twice.w", body[0].attribute[0].t)
    assert axes(network, "Twice.w") == ["in_features=3", "out_features=4"]


def test_constants_that_all_have_one_inner_name_go_by_their_outputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], [name], value=tensor("value", floats(2, 2)))
        for name in ("p", "q")
    ]
    network = opened(model(nodes), tmp_path)
    assert [t.name for t in network.tensors()] == ["p", "q"]


def test_dequantized_weights_are_packed_weights_of_the_layer(tmp_path: Path) -> None:
    inside = [
        tensor("c.weight", RNG.integers(-128, 127, (4, 2, 3, 3)).astype("i1")),
        tensor("c.scale", np.abs(floats(4))),
        tensor("c.zero", np.zeros(4, "i1")),
        tensor("in_scale", np.float32(0.1)),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "in_scale"], ["xf"]),
        helper.make_node("DequantizeLinear", ["c.weight", "c.scale", "c.zero"], ["w"], axis=0),
        helper.make_node("Conv", ["xf", "w"], ["y"]),
    ]
    network = opened(model(nodes, inside), tmp_path)
    weight = network["c.weight"]
    assert (network.c.kind, weight.role, weight.packed) == ("Conv", "other", True)
    assert axes(network, "c.weight")[:2] == ["out_channels=4", "in_channels=2"]
    assert weight.quantization == "scale=c.scale, zero_point=c.zero"
    assert axes(network, "c.scale") == ["out_channels=4"]
    assert network["c.scale"].role == network["c.zero"].role == "buffer"
    assert network["in_scale"].role == "other"
    assert (network.counts.parameters, network.counts.logical) == (0, 72)
    for proto in inside:
        same(network, proto.name, proto)


def test_four_bit_weights_count_one_by_one(tmp_path: Path) -> None:
    made = helper.make_tensor("w", TensorProto.INT4, [3, 5], np.arange(15) % 16 - 8)
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["wf"]),
             helper.make_node("MatMul", ["x", "wf"], ["y"], name="m")]  # fmt: skip
    network = opened(model(nodes, [made, tensor("s", floats(5))]), tmp_path)
    assert (network["w"].layer, network["w"].bytes, network.counts.logical) == ("m", 8, 15)
    same(network, "w", made)


def test_integer_convolutions_state_which_input_is_the_weight(tmp_path: Path) -> None:
    names = [one.name for one in onnx.defs.get_schema("QLinearConv").inputs]
    arrays = {
        "w": RNG.integers(-9, 9, (4, 2, 3)).astype("i1"), "B": np.arange(4, dtype="i4"),
        "w_scale": floats(4), "w_zero_point": np.zeros(4, "i1"), "x_scale": np.float32(1),
    }  # fmt: skip
    inputs = [f"{name}_" if name in arrays else "x" for name in names]
    inside = [tensor(f"{name}_", array) for name, array in arrays.items()]
    network = opened(model([node("QLinearConv", inputs, "q")], inside), tmp_path)
    assert {t.name: t.role for t in network.tensors()} == {
        "w_": "other", "B_": "other", "x_scale_": "buffer", "w_scale_": "buffer",
        "w_zero_point_": "buffer",
    }  # fmt: skip
    assert (network["w_"].packed, network.counts.logical) == (True, 28)


def test_what_the_model_says_of_itself(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    made = model(opset_imports=opsets, producer_name="toy", producer_version="2", ir_version=9)
    helper.set_model_props(made, {"task": "none"})
    assert opened(made, tmp_path).metadata == {
        "ir_version": "9", "producer_name": "toy", "producer_version": "2",
        "opset ai.onnx": "17", "opset com.microsoft": "1", "task": "none",
    }  # fmt: skip


# PyTorch's exporter


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, groups=3)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 5)
        self.lstm = nn.LSTM(5, 9, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(self.fc(self.norm(self.up(self.conv(x)).mean(1))))[0]


@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_exports_is_what_it_had(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Toy().eval()
    path = tmp_path / "toy.onnx"
    torch.onnx.export(network, (torch.randn(1, 3, 4, 4),), path, dynamo=False, opset_version=17)
    mine, state = weigh.open(path), {n: t.numpy() for n, t in network.state_dict().items()}
    assert mine.counts.parameters == sum(p.numel() for p in network.parameters())
    for name in state.keys() - {"fc.weight"}:
        if not name.startswith("lstm"):
            np.testing.assert_array_equal(mine[name].read(), state[name])
    kinds = {path: layer.kind for path, layer in mine.named_modules() if path}
    assert kinds == {"conv": "Conv", "up": "ConvTranspose", "norm": "LayerNormalization",
                     "fc": "MatMul", "lstm": "LSTM"}  # fmt: skip
    assert mine.conv.group == 3
    [matrix] = [t for t in mine.fc.parameters() if len(t.shape or ()) == 2]
    np.testing.assert_array_equal(matrix.read(), state["fc.weight"].T)
    weights = next(t for t in mine.lstm.parameters() if t.shape == (2, 36, 5)).read()
    i, o, f, c = np.split(weights[0], 4)  # PyTorch's order is i, f, g, o
    np.testing.assert_array_equal(np.concatenate([i, f, c, o]), state["lstm.weight_ih_l0"])


# Files beside the model


def outside(folder: Path, **stated: str) -> ModelProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3])
    made.data_location = TensorProto.EXTERNAL
    for key, value in stated.items():
        made.external_data.add(key=key, value=value)
    (folder / "w.data").write_bytes(np.arange(8, dtype="f4").tobytes())
    return model(inside=[made])


@pytest.mark.parametrize("together", [True, False])
def test_values_in_files_beside_the_model(together: bool, tmp_path: Path) -> None:
    inside = [tensor("fc.weight", floats(40, 30)), tensor("fc.bias", floats(30)),
              tensor("n", np.arange(9))]  # fmt: skip
    made = model([node("Gemm", ["x", "fc.weight", "fc.bias"])], inside)
    path = tmp_path / "model.onnx"
    where = {"all_tensors_to_one_file": together, "location": "all.data" if together else None}
    onnx.save(made, path, save_as_external_data=True, size_threshold=0, **where)
    network = weigh.open(path)
    for proto in onnx.load(path).graph.initializer:
        same(network, proto.name, proto)
    accounts = network.accounts
    assert accounts is not None
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert accounts.total == sum(file.stat().st_size for file in files)
    assert accounts.tensors == 40 * 30 * 4 + 30 * 4 + 9 * 8
    assert accounts.total == accounts.tensors + accounts.metadata + accounts.padding


def test_a_range_of_a_file_and_what_no_tensor_names(tmp_path: Path) -> None:
    network = opened(outside(tmp_path, location="w.data", offset="4", length="24"), tmp_path)
    np.testing.assert_array_equal(network["w"].read(), np.arange(1, 7).reshape(2, 3))
    assert network.accounts is not None
    assert network.accounts.unreachable == 8


def test_a_file_that_is_not_there_is_said_and_the_rest_is_listed(tmp_path: Path) -> None:
    network = opened(outside(tmp_path, location="lost.data"), tmp_path)
    assert network["w"].shape == (2, 3)
    assert any("'lost.data'" in note for note in network.notes)
    with pytest.raises(ValuesError, match=r"lost\.data"):
        network["w"].read()


@pytest.mark.parametrize(
    "stated",
    [
        {"location": "../../etc/passwd"},
        {"location": "/etc/passwd"},
        {"location": "link.data"},
        {"location": "folder/up.data"},
        {"location": ""},
        {"offset": "0"},
        {"location": "w.data", "offset": "9"},
        {"location": "w.data", "offset": "99999999999"},
        {"location": "w.data", "offset": "-4"},
        {"location": "w.data", "offset": "0x4"},
        {"location": "w.data", "offset": "9" * 30},
        {"location": "w.data", "length": "20"},
        {"location": "w.data", "length": "28"},
    ],
)
def test_no_other_file_is_read(stated: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(100))
    (home / "link.data").symlink_to(tmp_path / "secret")
    (home / "folder" / "up.data").symlink_to("../../../secret")
    with pytest.raises(FormatError):
        opened(outside(home, **stated), home)


def test_from_memory_no_file_is_read(tmp_path: Path) -> None:
    [row] = facts(outside(tmp_path, location="w.data")).tensors
    assert row.values.extent is None


# Files made to do harm


def small() -> bytes:
    made = branches()
    made.graph.initializer.append(tensor("w", floats(2, 2)))
    made.graph.initializer.append(helper.make_tensor("i", TensorProto.INT32, [2], [1, -1]))
    made.graph.node.append(node("Gemm", ["x", "w"], "fc", alpha=0.5))
    return made.SerializeToString()


def survives(data: bytes) -> bool:
    try:
        network = weigh._api.interpret(facts(data))
        for row in network.tensors():
            if (row.count or 0) < 1 << 16:
                row.read()
    except WeighError as error:
        assert str(error).isprintable()  # noqa: PT017
        return False
    return True


def test_a_file_cut_short_anywhere_is_refused_or_read() -> None:
    data = small()
    assert survives(data)
    # Cut between two fields of the model it is a whole message, and may hold the whole graph.
    graph = ModelProto.FromString(data).graph
    for length in range(len(data)):
        if survives(data[:length]):
            assert ModelProto.FromString(data[:length]).graph == graph


@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_changed_bits_are_refused_or_read(data: Any) -> None:
    spoiled = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    survives(bytes(spoiled))


SMALL = small()


def bad(**fields: Any) -> ModelProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=bytes(8))
    for key, value in fields.items():
        if isinstance(value, list):
            del getattr(made, key)[:]
            getattr(made, key).extend(value)
        else:
            setattr(made, key, value)
    return model(inside=[made])


@pytest.mark.parametrize(
    "made",
    [
        bad(dims=[2**60]),
        bad(dims=[2**40, 2**40]),
        bad(dims=[2**62, 2**62, 0, 5], raw_data=bytes(4)),
        bad(dims=[-2]),
        bad(dims=[3]),
        bad(dims=[1] * 1001, raw_data=bytes(4)),
        bad(data_type=0),
        bad(data_type=99),
        bad(name=""),
        bad(name="x" * 5000),
        model(inside=[tensor("w", floats(1)), tensor("w", floats(1))]),
        model(inside=[TensorProto(name="w", data_type=1, dims=[2])]),
        model(inside=[TensorProto(name="w", data_type=7, dims=[2], int64_data=[1])]),
        model(inside=[TensorProto(name="w", data_type=7, dims=[2], int64_data=[1] * 30)]),
        b"\x3a\x00\x3a\x00",
        b"\x08\x07",
        b"",
        b"\x38\x00",
        b"\x3a\x06\x2a\x04\x42\x02\xff\xfe",  # a name that is not UTF-8
        b"\x3a\x04\x2a\x02\x48\x00",  # raw_data of another wire type
        b"\x3a\x04\x2a\x02\x4a\x7f",
    ],
)
def test_what_breaks_the_rules_is_refused(made: ModelProto | bytes) -> None:
    with pytest.raises(FormatError):
        facts(made)


def test_a_dtype_that_is_not_read_is_named_and_hides_nothing_else(tmp_path: Path) -> None:
    inside = [
        TensorProto(name=name, data_type=TYPES.Value(name.upper()), dims=[4], raw_data=b"\x01")
        for name in ("uint2", "int2")
    ]
    network = opened(model(inside=[*inside, tensor("w", floats(3))]), tmp_path)
    assert [t.name for t in network.tensors()] == ["w"]
    said = "Left out, being of types that are not read yet: uint2 (uint2), int2 (int2)."
    assert said in network.notes


def test_more_numbers_than_the_shape_says_show_when_they_are_read() -> None:
    made = TensorProto(name="w", data_type=7, dims=[3], int64_data=[1, 300, 1, 1])
    row = weigh._api.interpret(facts(model(inside=[made])))["w"]
    with pytest.raises(FormatError, match="not 3"):
        row.read()


def wrapped(inner: bytes, depth: int) -> bytes:
    """Graphs within If nodes within graphs, written from the innermost out."""
    pieces, size = [], len(inner)
    for _ in range(depth):
        for key in (b"\x32", b"\x2a", b"\x0a"):  # the attribute's g, the node's, the graph's
            head = key + _varint(size)
            pieces.append(head)
            size += len(head)
    return b"\x3a" + _varint(size) + b"".join(reversed(pieces)) + inner


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def test_graphs_ten_thousand_deep_are_refused() -> None:
    assert facts(wrapped(b"", 30)).tensors == ()
    with pytest.raises(UnsupportedError, match="nested"):
        facts(wrapped(b"", 10_000))


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * 2_000_000,  # nodes
        b"\x0a" + _varint(8_000_000) + b"\x0a\x02ab" * 2_000_000,  # inputs of one node
        b"\x2a" + _varint(8_000_000) + b"\x08\x01" * 4_000_000,  # axes of one tensor
        b"\x2a" + _varint(5_000_000) + b"\x25\0\0\0\0" * 1_000_000,  # loose floats
        b"".join(b"\x2a\x10\x42\x06%06d\x10\x01\x4a\x04abc" % n + b"d" for n in range(400_000)),
    ],
    ids=["nodes", "inputs", "axes", "floats", "tensors"],
)
def test_a_file_of_very_many_things_takes_little_memory(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "many.onnx"
    path.write_bytes(b"\x3a" + _varint(len(body)) + body)
    program = (
        "import sys, weigh\n"
        "try:\n    print(len(weigh.open(sys.argv[1]).tensors()))\n"
        "except weigh.WeighError as error:\n    print(error)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    said, memory = done.stdout.splitlines()
    assert said == "0" or "many.onnx" in said
    assert int(memory) < 300_000, said


def test_values_are_not_touched_to_list_them() -> None:
    class Watched(MemoryBytes):
        read = 0

        def view(self, offset: int, length: int) -> memoryview:
            self.read += length
            return super().view(offset, length)

    inside = [tensor(f"l.{i}.weight", np.zeros((512, 512), "f4")) for i in range(20)]
    data = Watched(model(inside=inside).SerializeToString())
    assert len(read(data).tensors) == 20
    assert data.read < data.size // 100


def test_an_ort_file_is_not_read_yet(tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    path.write_bytes(b"\x20\0\0\0ORTM" + bytes(100))
    with pytest.raises(UnsupportedError, match="not read yet"):
        weigh.open(path)


def test_a_file_that_only_has_the_ending_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.onnx"
    path.write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(SourceError):
        weigh.open(path)


def test_the_attribute_types_are_those_of_the_library() -> None:
    """The numbers by which attributes are told in the reader."""
    assert [AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING] == [1, 2, 3]
    assert [AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS] == [6, 7, 8]
