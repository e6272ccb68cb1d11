"""What names and shapes alone tell: never more than is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import weigh
from models import GPT, NETWORKS, Conv1D

PACKED = {"dynamic_int8", "dynamic_recurrent", "int8_embedding", "static_int8"}
WITHOUT_VALUES = {"lazy", "meta"}
STORED = [name for name in NETWORKS if name not in PACKED | WITHOUT_VALUES]

# A buffer of a user's own name looks like a parameter.
LIKE_PARAMETERS = {"views": {"repeated", "low", "high"}}
# What a class is called beyond its kind leaves no trace in a state dict.
SAME_KIND = {
    "NonDynamicallyQuantizableLinear": "Linear",
    "ParametrizedLinear": "Linear",
    "ParametrizedConv1d": "Conv1d",
}
# These hold parameters, and nothing says what they are.
UNKNOWN = {
    "Attention", "Odd", "ParameterList", "ParametrizationList", "Shared", "Module",
    "_SpectralNorm", "_Orthogonal",
}  # fmt: skip


def arrays(module: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """The values alone: what is a Parameter, and which are tied, is forgotten."""
    return {
        name: np.zeros(tuple(value.shape), "int64" if value.dtype is torch.int64 else "float32")
        for name, value in module.state_dict().items()
    }


def assert_inferred_is_so(
    network: weigh.Network, module: nn.Module, may_be_open: tuple[str, ...] = ()
) -> None:
    """Hold each inferred kind and number against the live layer's own."""
    live = dict(weigh.open(module).named_modules(remove_duplicate=False))
    for path, layer in network.named_modules(remove_duplicate=False):
        stated = live[path]
        if layer.kind == "?":
            assert not stated._tensors or stated.kind in {*UNKNOWN, *may_be_open}, (
                path,
                stated.kind,
            )
            continue
        assert layer.kind == SAME_KIND.get(stated.kind, stated.kind), path
        assert layer.kind_status == "inferred"
        for row in layer.hyperparameters.values():
            assert row.status in ("inferred", "unknown")
            if row.status == "inferred":
                assert row.value == stated.hyperparameters[row.name].value, (path, row)
        for local, tensor in layer._tensors.items():
            assert tensor.fan_in == stated._tensors[local].fan_in
            if "?" not in {axis.name for axis in tensor.axes}:
                names = [a.name for a in stated[local].axes]
                # Where nobody says whether there are groups, a depth is that of a group, or of one.
                open_depth = [n.replace("in_channels", "in_channels_per_group", 1) for n in names]
                asked = layer.hyperparameters.get("in_channels")
                unsure = asked is not None and asked.status == "unknown"
                assert [a.name for a in tensor.axes] in ([names, open_depth] if unsure else [names])


@pytest.mark.parametrize("name", [n for n in STORED if n != "gpt2"])
def test_kinds_and_numbers_of_a_state_dict_are_the_live_networks(name: str) -> None:
    module = NETWORKS[name]()
    assert_inferred_is_so(weigh.open(module.state_dict()), module)


@pytest.mark.parametrize("name", STORED)
def test_parameters_and_buffers_of_a_state_dict_are_the_live_networks(name: str) -> None:
    module = NETWORKS[name]()
    saved = set(module.state_dict())
    like = LIKE_PARAMETERS.get(name, set())
    parameters = [n for n, _ in module.named_parameters(remove_duplicate=False)]
    buffers = [n for n, _ in module.named_buffers(remove_duplicate=False) if n in saved]
    network = weigh.open(arrays(module))
    ours = {n for n, _ in network.named_parameters(remove_duplicate=False)}
    assert ours == set(parameters) | like
    assert {n for n, _ in network.named_buffers()} == set(buffers) - like
    assert {t.role_status for t in network.tensors()} == {"inferred"}
    if not like:
        assert network.counts.by_path == weigh.open(module).counts.by_path


@pytest.mark.parametrize("name", ["article", "resnet", "tagger", "transformer", "nanogpt"])
def test_a_file_that_sorts_by_name_tells_no_untruth(name: str, tmp_path: Path) -> None:
    module = NETWORKS[name]()
    if name == "nanogpt":
        module.lm_head.weight = nn.Parameter(module.lm_head.weight.detach().clone())
    path = tmp_path / "model.safetensors"
    save_file(module.state_dict(), path)
    network = weigh.open(path)
    live = dict(weigh.open(module).named_modules())
    for place, layer in network.named_modules():
        if layer.kind == "?" or layer.kind == "BatchNorm":
            continue
        assert layer.kind == SAME_KIND.get(live[place].kind, live[place].kind), place
        for row in layer.hyperparameters.values():
            if row.status == "inferred":
                assert row.value == live[place].hyperparameters[row.name].value, (place, row)


class Holder(nn.Module):
    """Layers under the names that a test gives them."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


# A layer alone under a name: what its tensors say of it, and what that hides.
ALONE: list[tuple[str, nn.Module, str]] = [
    ("fc", nn.Linear(3, 2), "Linear"),
    ("head", nn.Linear(3, 2, bias=False), "Linear"),
    *((f"conv{d}", getattr(nn, f"Conv{d}d")(4, 6, 3), f"Conv{d}d") for d in (1, 2, 3)),
    ("conv", nn.Conv2d(4, 6, (3, 1), bias=False), "Conv2d"),
    ("layer", nn.ConvTranspose2d(4, 6, 3), "ConvTranspose2d"),
    ("layer", nn.ConvTranspose1d(4, 6, 3, groups=2), "ConvTranspose1d"),
    ("up_conv", nn.ConvTranspose3d(4, 6, 3, bias=False), "ConvTranspose3d"),
    ("deconv1", nn.ConvTranspose2d(5, 5, 3), "ConvTranspose2d"),
    ("bilinear", nn.Bilinear(3, 4, 5), "Bilinear"),
    ("rnn", nn.RNN(4, 3), "RNN"),
    ("x", nn.GRU(4, 3, bias=False, bidirectional=True), "GRU"),
    ("x", nn.LSTM(4, 3, num_layers=3, bidirectional=True), "LSTM"),
    ("x", nn.LSTM(4, 6, num_layers=2, proj_size=2), "LSTM"),
    ("x", nn.LSTMCell(4, 3), "LSTMCell"),
    ("x", nn.GRUCell(4, 3, bias=False), "GRUCell"),
    ("x", nn.RNNCell(4, 3), "RNNCell"),
    ("attn", nn.MultiheadAttention(8, 2), "MultiheadAttention"),
    ("attn", nn.MultiheadAttention(8, 2, kdim=3, vdim=5, bias=False), "MultiheadAttention"),
    ("attn", nn.MultiheadAttention(8, 2, add_bias_kv=True), "MultiheadAttention"),
    ("embedding", nn.Embedding(10, 4), "Embedding"),
    ("tok_emb", nn.Embedding(10, 4), "Embedding"),
    ("wte", nn.Embedding(10, 4), "Embedding"),
    ("layer_norm", nn.LayerNorm(4), "LayerNorm"),
    ("norm1", nn.LayerNorm((4,)), "LayerNorm"),
    ("ln_1", nn.LayerNorm(4, bias=False), "LayerNorm"),
    ("rms_norm", nn.RMSNorm(4), "RMSNorm"),
    ("group_norm", nn.GroupNorm(2, 4), "GroupNorm"),
    ("gn1", nn.GroupNorm(2, 4), "GroupNorm"),
    ("prelu", nn.PReLU(3), "PReLU"),
    # Not to be told apart, so nothing is said.
    ("input_layernorm", nn.RMSNorm(4), "?"),
    ("norm", nn.RMSNorm(4), "?"),
    ("norm1", nn.LayerNorm(4, bias=False), "?"),
    ("bil", nn.Bilinear(3, 4, 5), "?"),
    ("bil", nn.Bilinear(3, 4, 5, bias=False), "?"),
    ("bn", nn.BatchNorm2d(4, affine=False), "?"),
    ("in1", nn.InstanceNorm2d(4, track_running_stats=True), "?"),
    ("bn", nn.BatchNorm2d(4, track_running_stats=False), "?"),
    ("thing", nn.LayerNorm(4), "?"),
    ("thing", nn.PReLU(3), "?"),
    # One dimension or two: only the layer before tells.
    ("bn", nn.BatchNorm2d(4), "BatchNorm"),
    # Known limits: shapes and names that are another kind's far more often.
    ("table", nn.Embedding(10, 4), "?"),
    ("time_embed", nn.Linear(10, 4, bias=False), "?"),
    ("convtasnet", nn.Conv2d(4, 4, 3, bias=False), "Conv2d"),
    ("text_transposer", nn.Conv2d(4, 4, 3, bias=False), "Conv2d"),
    ("conv_upsample", nn.Conv2d(4, 4, 3, bias=False), "Conv2d"),
    ("up3", nn.ConvTranspose2d(16, 16, 3), "?"),
    ("enormous", nn.LayerNorm(4), "?"),
    ("relu", nn.PReLU(3), "?"),
    ("embedding", nn.EmbeddingBag(10, 4), "Embedding"),
    ("main", nn.ConvTranspose2d(4, 6, 3, bias=False), "Conv2d"),
    ("main", nn.ConvTranspose2d(5, 5, 3), "Conv2d"),
    ("in1", nn.InstanceNorm2d(4, affine=True, track_running_stats=True), "?"),
    ("conv", Conv1D(5, 5), "Linear"),
]


@pytest.mark.parametrize(("name", "module", "kind"), ALONE)
def test_a_layer_alone(name: str, module: nn.Module, kind: str) -> None:
    layer = weigh.open(arrays(Holder(**{name: module})))[name]
    assert layer.kind == kind
    if kind != type(module).__name__:
        return
    stated = weigh.open(module).hyperparameters
    for row in layer.hyperparameters.values():
        if row.status == "inferred":
            assert row.value == stated[row.name].value, row
    sizes = {"in_features", "out_features", "hidden_size", "embed_dim", "num_features"}
    for size in sizes & set(stated) - {"embed_dim" if "kdim" in repr(module) else ""}:
        if "q_proj_weight" not in layer._tensors:
            assert layer.hyperparameters[size].status == "inferred"


def test_batch_norm_takes_its_dimensions_from_the_layer_before() -> None:
    for d in (1, 2, 3):
        convolution, norm = getattr(nn, f"Conv{d}d")(2, 4, 3), getattr(nn, f"BatchNorm{d}d")(4)
        network = weigh.open(arrays(nn.Sequential(convolution, norm)))
        assert network[1].kind == f"BatchNorm{d}d"
    network = weigh.open(arrays(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))))
    assert network[1].kind == "BatchNorm1d"
    network = weigh.open(arrays(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm2d(4))))
    assert network[1].kind == "BatchNorm"


def test_a_norm_beside_convolutions_may_be_any() -> None:
    class ResnetBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.GroupNorm(2, 6)
            self.conv1 = nn.Conv2d(6, 8, 3)
            self.time_emb_proj = nn.Linear(5, 8)
            self.norm2 = nn.GroupNorm(2, 8)
            self.conv2 = nn.Conv2d(8, 8, 3)

    network = weigh.open(arrays(nn.Sequential(ResnetBlock(), ResnetBlock())))
    assert network["0.norm2"].kind == network["1.norm1"].kind == network["1.norm2"].kind == "?"


@settings(max_examples=80)
@given(st.data())
def test_no_number_of_a_chain_of_convolutions_is_wrong(data: Any) -> None:
    """Groups leave no trace but in the layer before, and so the first is taken to have none."""
    channels = data.draw(st.integers(1, 8))
    layers: list[nn.Module] = []
    for i in range(data.draw(st.integers(1, 5))):
        groups = data.draw(st.sampled_from([g for g in range(1, 9) if channels % g == 0]))
        groups = groups if i else 1
        out = groups * data.draw(st.integers(1, 4))
        layers.append(nn.Conv2d(channels, out, 3, groups=groups, bias=data.draw(st.booleans())))
        if data.draw(st.booleans()):
            layers.append(nn.BatchNorm2d(out))
        channels = out
    module = nn.Sequential(*layers)
    network = weigh.open(arrays(module))
    # Without a bias and a norm after it, a grouped one may as well be transposed.
    assert_inferred_is_so(network, module, ("Conv2d",))
    for layer, live in zip(network, module, strict=True):
        if layer.kind != "?" and isinstance(live, nn.Conv2d) and live.groups == 1:
            name = layer.weight.axes[1].name
            assert name in ("in_channels", "in_channels_per_group")


def test_a_grouped_convolution_does_not_claim_its_input() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=2))
    second = weigh.open(arrays(module))[1]
    assert second.hyperparameters["in_channels"].status == "unknown"
    assert repr(second) == "Conv2d(?, 12, kernel_size=(3, 3), stride=?)  # inferred"
    assert [a.name for a in second.weight.axes][:2] == ["out_channels", "in_channels_per_group"]
    assert second.weight.axes[1].formula == "in_channels / groups"


def test_a_depthwise_convolution_is_told_by_the_layer_before() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    second = weigh.open(arrays(module))[1]
    assert (second.in_channels, second.groups) == (8, 8)
    assert str(second.weight.axes[1]) == "in_channels_per_group=1"


def test_a_branch_around_convolutions_keeps_its_input() -> None:
    network = weigh.open(arrays(NETWORKS["resnet"]()))
    assert network["layer2.0.downsample.0"].in_channels == 8
    assert network["layer2.0.conv2"].out_channels == 16


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_transposed_convolution_with_a_bias_tells_its_groups(groups: int) -> None:
    module = Holder(up=nn.ConvTranspose2d(4, 8 * groups, 3, groups=groups))
    layer = weigh.open(arrays(module)).up
    assert layer.kind == "ConvTranspose2d"
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 8 * groups, groups)


def test_gpt2_stores_its_matrices_transposed() -> None:
    module = GPT()
    for state in (arrays(module), module.state_dict()):
        network = weigh.open(state)
        for path, layer in module.named_modules():
            if isinstance(layer, Conv1D):
                assert network[path].kind == "Conv1D"
                assert (network[path].nf, network[path].nx) == (layer.nf, layer.nx)
        attention = network["h.0.attn.c_attn"]
        assert [str(a) for a in attention.weight.axes] == ["in_features=8", "qkv_features=24"]
        assert [str(a) for a in attention.bias.axes] == ["qkv_features=24"]
        assert attention.purpose == "query, key and value projections, packed"
        # Square: only the rest of the network tells which way round it is.
        assert network["h.0.attn.c_proj.weight"].axes[0].name == "in_features"
        assert network["h.0.attn.bias"].role == "buffer"


def test_nanogpt_does_not() -> None:
    network = weigh.open(arrays(GPT(transposed=False)))
    attention = network["h.0.attn.c_attn"]
    assert attention.kind == "Linear"
    assert [str(a) for a in attention.weight.axes] == ["qkv_features=24", "in_features=8"]
    assert network["h.0.attn.c_proj"].kind == "Linear"


def test_a_fused_projection_is_a_linear_whose_rows_are_packed() -> None:
    module = Holder(attn=Holder(qkv=nn.Linear(8, 24), proj=nn.Linear(8, 8)))
    for network in (weigh.open(module), weigh.open(arrays(module))):
        layer = network["attn.qkv"]
        assert layer.kind == "Linear"
        assert [str(a) for a in layer.weight.axes] == ["qkv_features=24", "in_features=8"]
        assert layer.weight.axes[0].formula == "out_features"


def test_a_layer_under_two_names_is_tied_in_a_state_dict() -> None:
    module = GPT()
    network = weigh.open(module.state_dict())
    assert network["lm_head.weight"].tied_to == "wte.weight"
    assert network.counts.parameters == weigh.open(module).counts.parameters


@given(
    st.dictionaries(
        st.sampled_from(
            ["weight", "bias", "weight_ih_l0", "weight_hh_l0", "weight_hr_l0", "in_proj_weight",
             "q_proj_weight", "running_mean", "weight_v", "weight_orig", "bias_k",
             "num_batches_tracked", "parametrizations.weight.original1"]
        ),
        st.lists(st.integers(0, 4), max_size=6).map(tuple),
        min_size=1,
    ),
    st.sampled_from(["", "norm.", "conv_up.", "bilinear.", "emb.", "c_attn.", "prelu.", "gn."]),
)  # fmt: skip
@settings(max_examples=300)
def test_no_mix_of_shapes_is_too_odd(shapes: dict[str, tuple[int, ...]], prefix: str) -> None:
    network = weigh.open({f"{prefix}{n}": np.zeros(s, "float32") for n, s in shapes.items()})
    assert str(network)
    assert network.counts.by_path + network.counts.buffers == sum(
        int(np.prod(shape)) for shape in shapes.values()
    )
    for tensor in network.tensors():
        assert [axis.size for axis in tensor.axes] == list(tensor.shape or ())
        assert weigh.explain(network, tensor.name)


def test_a_generator_without_biases_is_transposed() -> None:
    module = nn.Sequential(
        nn.ConvTranspose2d(100, 64, 4, bias=False), nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 32, 4, bias=False), nn.BatchNorm2d(32),
        nn.ConvTranspose2d(32, 3, 4, bias=False),
    )  # fmt: skip
    assert_inferred_is_so(weigh.open(module.state_dict()), module)


def test_stacked_experts_are_no_convolution() -> None:
    network = weigh.open({"experts.w1.weight": np.zeros((4, 64, 9), "float32")})
    assert network["experts.w1"].kind == "?"
