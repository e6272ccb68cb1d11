"""Each kind's line, axes, fan-in and first values, held against PyTorch's own layers."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from math import prod, sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh
from models import NETWORKS, Conv1D, classes, construct, transformer
from weigh._kinds.kind import Hypers
from weigh._kinds.linear import Conv1D as Conv1DKind
from weigh._kinds.table import KINDS

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")

# Abstract classes that PyTorch's layers extend, and containers: their tensors have no axes.
WITHOUT_KIND = {"RNNBase", "RNNCellBase", "ParameterList", "ParameterDict"}

CONV = [
    {}, {"stride": 2}, {"padding": 1}, {"padding": "same"}, {"padding": "valid"},
    {"dilation": 2}, {"groups": 2}, {"bias": False}, {"padding_mode": "reflect", "padding": 1},
    {"groups": 4, "dilation": 3, "bias": False, "padding_mode": "circular", "stride": 2},
]  # fmt: skip
TRANSPOSED = [
    {}, {"stride": 2, "output_padding": 1}, {"groups": 4}, {"bias": False, "groups": 2},
    {"dilation": 2, "padding": 1},
]  # fmt: skip
LAYERS: list[nn.Module] = [
    *(getattr(nn, f"Conv{d}d")(4, 8, 3, **more) for d in (1, 2, 3) for more in CONV),
    *(getattr(nn, f"ConvTranspose{d}d")(4, 8, 3, **m) for d in (1, 2, 3) for m in TRANSPOSED),
    nn.Conv2d(3, 4, (5, 1), stride=(2, 1), padding=(2, 0)),
    nn.Conv2d(6, 6, 3, groups=6),
    nn.Linear(7, 5),
    nn.Linear(7, 5, bias=False),
    nn.Bilinear(3, 4, 5),
    nn.Bilinear(3, 4, 5, bias=False),
    *(cell(4, 3, **more) for cell in (nn.RNN, nn.GRU, nn.LSTM) for more in (
        {}, {"bias": False}, {"num_layers": 3, "dropout": 0.25}, {"bidirectional": True},
        {"batch_first": True, "bidirectional": True, "num_layers": 2, "bias": False})),
    nn.RNN(4, 3, nonlinearity="relu"),
    nn.LSTM(4, 6, proj_size=2),
    nn.LSTM(4, 6, proj_size=2, num_layers=3, bidirectional=True),
    *(cell(4, 3, **m) for cell in (nn.RNNCell, nn.GRUCell, nn.LSTMCell) for m in (
        {}, {"bias": False})),
    nn.RNNCell(4, 3, nonlinearity="relu"),
    nn.Embedding(10, 4),
    nn.Embedding(10, 4, padding_idx=3, max_norm=1.0, norm_type=1.0, sparse=True),
    nn.Embedding(10, 4, scale_grad_by_freq=True),
    *(nn.EmbeddingBag(10, 4, mode=mode) for mode in ("sum", "mean", "max")),
    nn.EmbeddingBag(10, 4, max_norm=2.0, norm_type=1.0, padding_idx=2, include_last_offset=True),
    nn.EmbeddingBag(10, 4, scale_grad_by_freq=True, sparse=False),
    *(getattr(nn, f"BatchNorm{d}d")(6, **more) for d in (1, 2, 3) for more in (
        {}, {"affine": False}, {"eps": 1e-3, "momentum": None}, {"track_running_stats": False},
        {"bias": False})),
    *(getattr(nn, f"InstanceNorm{d}d")(6, **more) for d in (1, 2, 3) for more in (
        {}, {"affine": True}, {"affine": True, "track_running_stats": True, "momentum": 0.5})),
    nn.SyncBatchNorm(6),
    nn.LayerNorm(6),
    nn.LayerNorm((3, 4), eps=1e-6, bias=False),
    nn.LayerNorm((3, 4), elementwise_affine=False),
    nn.RMSNorm(6),
    nn.RMSNorm((2, 3), eps=1e-6),
    nn.RMSNorm(6, elementwise_affine=False),
    nn.GroupNorm(3, 6),
    nn.GroupNorm(3, 6, affine=False),
    nn.GroupNorm(2, 6, bias=False),
    nn.PReLU(),
    nn.PReLU(3, init=0.5),
    *(nn.MultiheadAttention(8, 2, **more) for more in (
        {}, {"bias": False}, {"kdim": 3}, {"kdim": 5, "vdim": 3, "add_bias_kv": True},
        {"batch_first": True, "add_zero_attn": True, "dropout": 0.5})),
]  # fmt: skip


def ids(module: nn.Module) -> str:
    return f"{type(module).__name__}({module.extra_repr()})"


def own_line(module: nn.Module) -> str:
    """What the kind itself writes for a live layer, not what the layer prints."""
    hypers = weigh.open(module).hyperparameters
    return KINDS[type(module).__name__].signature(Hypers(hypers))


def test_every_kind_is_held_against_a_layer() -> None:
    tested = {type(module).__name__ for module in LAYERS}
    assert set(KINDS) - tested <= {"Conv1D", "BatchNorm", "FrozenBatchNorm2d"}


def test_every_class_with_parameters_has_a_kind() -> None:
    for name in set(classes()) - WITHOUT_KIND:
        own = dict(construct(name).named_parameters(recurse=False))
        if own:
            assert weigh.open(construct(name)).tensors()[0].axes[0].name != "?", name


@pytest.mark.parametrize("module", LAYERS, ids=ids)
def test_a_kinds_own_line_is_pytorchs(module: nn.Module) -> None:
    assert own_line(module) == module.extra_repr()


@settings(max_examples=60)
@given(st.data())
def test_the_line_of_any_convolution_is_pytorchs(data: Any) -> None:
    rank, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    groups = data.draw(st.integers(1, 3))
    size = st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * rank))
    into = groups * data.draw(st.integers(1, 3))
    out = groups * data.draw(st.integers(1, 3))
    more: dict[str, Any] = {
        "stride": data.draw(size),
        "padding": data.draw(size),
        "dilation": data.draw(size),
        "bias": data.draw(st.booleans()),
        "groups": groups,
    }
    if transposed:
        more["output_padding"] = data.draw(size)
    else:
        more["padding_mode"] = data.draw(
            st.sampled_from(["zeros", "reflect", "replicate", "circular"])
        )
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{rank}d")
    module = kind(into, out, data.draw(size), **more)
    assert own_line(module) == module.extra_repr()
    assert_axes_are_right(weigh.open(module), module)


OPERATORS: dict[type, Callable[[int, int], int]] = {ast.Mult: operator.mul, ast.Div: operator.truediv}  # type: ignore[dict-item]  # fmt: skip  # noqa: E501


def evaluate(formula: str, values: Mapping[str, Any]) -> Any:
    """Work a formula out from hyperparameters: ``in_channels / groups``, ``kernel_size[0]``."""

    def of(node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left, sign, right):
                return OPERATORS[type(sign)](of(left), of(right))
            case ast.Subscript(value, index):
                return of(value)[of(index)]
            case ast.Name(name):
                return values[name]
            case ast.Constant(value):
                return value
        raise AssertionError(formula)

    return of(ast.parse(formula, mode="eval").body)


def full_values(hypers: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row.value for name, row in hypers.items() if row.status != "unknown"}
    if isinstance(values.get("normalized_shape"), tuple) and len(values["normalized_shape"]) == 1:
        values["normalized_shape"] = values["normalized_shape"][0]
    return values


def assert_axes_are_right(layer: Any, module: nn.Module) -> None:
    named = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for name, value in named:
        axes = layer[name].axes
        assert [axis.size for axis in axes] == list(value.shape), name
        for axis in axes:
            assert axis.name != "?", name
            assert axis.meaning
            assert evaluate(axis.formula, full_values(layer.hyperparameters)) == axis.size, axis


@pytest.mark.parametrize("module", LAYERS, ids=ids)
def test_every_axis_has_a_name_and_a_formula_that_gives_its_size(module: nn.Module) -> None:
    assert_axes_are_right(weigh.open(module), module)


@quiet
@pytest.mark.parametrize(
    "name", ["article", "resnet", "tagger", "transformer", "frozen", "dynamic_recurrent",
             "static_int8", "int8_embedding", "dynamic_int8", "pruned", "half"]
)  # fmt: skip
def test_every_axis_of_a_network_is_named(name: str) -> None:
    network = weigh.open(NETWORKS[name]())
    for layer in network.modules():
        for tensor in layer._tensors.values():
            if layer.kind == "Quantize":  # a scale and a zero point, without a layer's axes
                continue
            for axis in tensor.axes:
                assert axis.name != "?", tensor.name
                assert evaluate(axis.formula, full_values(layer.hyperparameters)) == axis.size


def test_a_magnitude_of_weight_norm_has_axes_of_one_position() -> None:
    made = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 2))
    network = weigh.open(made)
    magnitude = network["parametrizations.weight.original0"]
    direction = network["parametrizations.weight.original1"]
    assert [axis.name for axis in magnitude.axes] == [axis.name for axis in direction.axes]
    assert [axis.size for axis in magnitude.axes] == [4, 1, 1, 1]
    assert [axis.formula for axis in magnitude.axes] == ["out_channels", "1", "1", "1"]
    assert magnitude.fan_in is None


@pytest.mark.parametrize("module", LAYERS, ids=ids)
def test_fan_in_is_pytorchs(module: nn.Module) -> None:
    layer = weigh.open(module)
    for name, value in module.named_parameters(recurse=False):
        ours = layer[name].fan_in
        if ours is not None:
            assert ours == nn.init._calculate_fan_in_and_fan_out(value)[0], name
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        assert layer.weight.fan_in is not None


def fresh(module: nn.Module, times: int) -> Iterator[dict[str, torch.Tensor]]:
    for seed in range(times):
        torch.manual_seed(seed)
        reset = getattr(module, "reset_parameters", None) or module._reset_parameters
        reset()
        yield {n: p.detach().clone() for n, p in module.named_parameters(recurse=False)}


BIG: list[nn.Module] = [
    nn.Conv1d(8, 40, 5), nn.Conv2d(8, 40, 3), nn.Conv3d(4, 20, 3), nn.Conv2d(8, 40, 3, groups=4),
    nn.ConvTranspose1d(8, 40, 5), nn.ConvTranspose2d(8, 40, 3, groups=2),
    nn.ConvTranspose3d(4, 20, 3), nn.Linear(50, 40), nn.Bilinear(10, 12, 14),
    nn.RNN(9, 20), nn.GRU(9, 20, bidirectional=True), nn.LSTM(9, 20, num_layers=2, proj_size=7),
    nn.RNNCell(9, 20), nn.GRUCell(9, 20), nn.LSTMCell(9, 20),
    nn.Embedding(90, 20), nn.EmbeddingBag(90, 20), nn.MultiheadAttention(24, 4),
    nn.MultiheadAttention(24, 4, kdim=11, vdim=13, add_bias_kv=True),
    nn.BatchNorm2d(6), nn.InstanceNorm1d(6, affine=True), nn.LayerNorm(6), nn.RMSNorm(6),
    nn.GroupNorm(2, 6), nn.PReLU(5), nn.PReLU(5, init=0.75), nn.SyncBatchNorm(3),
]  # fmt: skip


@pytest.mark.parametrize("module", BIG, ids=ids)
def test_the_first_values_are_drawn_as_weigh_says(module: nn.Module) -> None:
    layer = weigh.open(module)
    drawn = list(fresh(module, 6))
    for name in drawn[0]:
        initial = layer[name].initial
        assert initial is not None, name
        values = torch.cat([sample[name].reshape(-1) for sample in drawn]).double()
        if initial.family == "constant":
            assert torch.all(values == initial.a), name
        elif initial.family == "uniform":
            assert initial.a == -initial.b
            assert values.abs().max() <= initial.b * (1 + 1e-6), name
            assert values.abs().max() > 0.93 * initial.b, name
            assert abs(values.std() / (initial.b / sqrt(3)) - 1) < 6 / sqrt(len(values)), name
        else:
            spread = initial.b / sqrt(len(values))
            assert abs(values.mean() - initial.a) < 5 * spread, name
            assert abs(values.std() / initial.b - 1) < 5 / sqrt(2 * len(values)), name
        assert str(initial)


def test_buffers_start_as_weigh_says() -> None:
    module = nn.BatchNorm2d(4)
    layer = weigh.open(module)
    assert str(layer.running_mean.initial) == "all 0"
    assert str(layer.running_var.initial) == "all 1"
    assert torch.all(module.running_var == 1)


def test_the_bias_of_attentions_output_starts_at_0() -> None:
    """PyTorch sets it so after it has made the Linear."""
    module = nn.MultiheadAttention(8, 2)
    assert torch.all(module.out_proj.bias == 0)
    for network in (weigh.open(module), weigh.open(module.state_dict())):
        assert str(network.out_proj.bias.initial) == "all 0"
        assert network.out_proj.weight.initial is not None
        assert network.out_proj.weight.initial.b == pytest.approx(1 / sqrt(8))


def test_gpt2s_conv1d() -> None:
    torch.manual_seed(0)
    module, kind = Conv1D(60, 50), Conv1DKind()
    known = kind.infer({"weight": (50, 60), "bias": (60,)})
    assert known == {"nf": 60, "nx": 50}
    hypers = Hypers(kind.hyperparameters(known, "stated", {}))
    assert f"Conv1D({kind.signature(hypers)})" == repr(module)
    axes = kind.axes("weight", 2, hypers)
    assert axes is not None
    assert [evaluate(formula, known) for _, _, formula in axes] == list(module.weight.shape)
    initial = kind.initial("weight", (50, 60), hypers)
    assert initial is not None
    assert module.weight.std().item() == pytest.approx(initial.b, rel=0.1)


@pytest.mark.parametrize("module", LAYERS, ids=ids)
def test_what_is_inferred_from_shapes_is_what_the_constructor_was_given(module: nn.Module) -> None:
    """The kind being known, each number it works out is right or is left unknown."""
    kind = KINDS[type(module).__name__]
    shapes = {
        name: tuple(value.shape)
        for name, value in [*module.named_parameters(recurse=False),
                            *module.named_buffers(recurse=False)]
    }  # fmt: skip
    if not shapes:
        return
    stated = weigh.open(module).hyperparameters
    groups = getattr(module, "groups", 1)
    for name, value in kind.infer(shapes).items():
        # Groups leave no trace in the shapes of one layer; recognise looks at the one before.
        if groups > 1 and name in ("in_channels", "out_channels"):
            continue
        assert stated[name].value == value, name
    assert prod(next(iter(shapes.values()))) > 0


def test_a_transformer_draws_all_its_matrices_again() -> None:
    """torch.nn.Transformer ends with Xavier on everything of two axes or more."""
    torch.manual_seed(0)
    module = transformer()
    network = weigh.open(nn.ModuleDict({"t": module, "plain": nn.Linear(8, 16)}))
    for name, value in module.named_parameters():
        initial = network[f"t.{name}"].initial
        assert initial is not None, name
        if value.dim() < 2:
            assert value.abs().max() <= max(abs(initial.a), initial.b) * (1 + 1e-6), name
            continue
        drawn = nn.init.xavier_uniform_(torch.empty_like(value))
        for one in (value, drawn):
            assert one.abs().max() <= initial.b * (1 + 1e-6), name
            assert one.abs().max() > 0.9 * initial.b, name
        assert "Xavier" in str(initial)
    rows = network["t.encoder.layers.0.self_attn.in_proj_weight"].initial
    assert rows.b == pytest.approx(sqrt(6 / (24 + 8)))
    alone = weigh.open(nn.TransformerEncoderLayer(8, 2, 16))
    for layer in (network["plain"], alone["linear1"]):
        assert layer.weight.initial.b == pytest.approx(1 / sqrt(8))
