"""Why a tensor has its shape: the article's answers, and those of every other sort of layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import weigh
from models import (
    GPT,
    NETWORKS,
    Article,
    Odd,
    ResNet,
    Tagger,
    dynamic_int8,
    frozen,
    pruned,
    weight_normed,
)

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")


def live(module: nn.Module, folder: Path) -> weigh.Network:
    return weigh.open(module)


def as_state_dict(module: nn.Module, folder: Path) -> weigh.Network:
    return weigh.open(module.state_dict())


def as_file(module: nn.Module, folder: Path) -> weigh.Network:
    save_file(module.state_dict(), folder / "model.safetensors")
    return weigh.open(folder / "model.safetensors")


Opened = Callable[[nn.Module, Path], weigh.Network]
each_way = pytest.mark.parametrize("opened", [live, as_state_dict, as_file])


def one(network: weigh.Network, name: str) -> weigh.Explanation:
    [explanation] = weigh.explain(network, name)
    return explanation


def said(network: weigh.Network, name: str) -> str:
    return "\n".join(one(network, name).sentences)


@each_way
def test_the_articles_filters(opened: Opened, tmp_path: Path) -> None:
    network = opened(Article(), tmp_path)
    explained = one(network, "conv2.weight")
    known = "given" if opened is live else "inferred"
    assert [(str(a.axis), a.source, a.why) for a in explained.axes] == [
        ("out_channels=12", f"out_channels=12 ({known})", ""),
        ("in_channels=6", f"in_channels=6 ({known})", "conv1 gives 6 channels (inferred)"),
        ("kernel_height=5", f"kernel_size[0]: kernel_size=(5, 5) ({known})", ""),
        ("kernel_width=5", f"kernel_size[1]: kernel_size=(5, 5) ({known})", ""),
    ]
    assert explained.axes[0].axis.meaning == "number of filters"
    assert explained.axes[1].axis.meaning.startswith("depth of each filter")
    assert explained.sentences[:2] == (
        "All 12 filters are in this one rank-4 tensor; one filter is conv2.weight[0], "
        "with shape (6, 5, 5).",
        "Fan-in: each output is computed from 150 = 6 x 5 x 5 inputs.",
    )
    assert network.conv2.weight[0].shape == (6, 5, 5)
    first = one(network, "conv1.weight")
    assert first.axes[1].why == "the input's channels: one channel, as in a grey image (inferred)"


@each_way
def test_the_articles_linear_maps(opened: Opened, tmp_path: Path) -> None:
    network = opened(Article(), tmp_path)
    explained = one(network, "fc1.weight")
    height, width = explained.axes
    assert (height.axis.name, height.axis.size) == ("out_features", 120)
    assert (width.axis.name, width.axis.size) == ("in_features", 192)
    assert width.why == (
        "192 = 12 x 4 x 4: conv2 gives 12 channels, and 4 x 4 places of each are left (inferred)"
    )
    assert explained.sentences[:2] == (
        "The matrix is a linear map R^192 -> R^120: it turns a vector of 192 into one of 120.",
        "Its height 120 is out_features, its width 192 is in_features.",
    )
    assert one(network, "fc2.weight").axes[1].why == "fc1 gives 120 numbers (inferred)"
    assert one(network, "out.bias").axes[0].axis.meaning == "one number for each output"


@each_way
def test_what_is_learnable_is_stated_or_inferred(opened: Opened, tmp_path: Path) -> None:
    told = said(opened(Article(), tmp_path), "out.bias")
    assert told.endswith(
        "It is learnable."
        if opened is live
        else "It is learnable (inferred: the file does not say)."
    )


def test_the_matrix_does_what_the_sentence_says() -> None:
    layer = nn.Linear(192, 120)
    into, out = 192, 120
    assert f"R^{into} -> R^{out}" in said(weigh.open(layer), "weight")
    assert layer(torch.ones(into)).shape == (out,)


def test_a_layer_is_explained_tensor_by_tensor() -> None:
    network = weigh.open(Article())
    assert [e.tensor.name for e in weigh.explain(network, "conv1")] == [
        "conv1.weight",
        "conv1.bias",
    ]
    assert all(e.layer is network.conv1 for e in weigh.explain(network, "conv1"))


def test_what_cannot_be_explained_says_what_can() -> None:
    network = weigh.open(NETWORKS["resnet"]())
    with pytest.raises(weigh.UnknownNameError, match=r"no tensor of its own\. Try 'layer1\.0"):
        weigh.explain(network, "layer1")
    with pytest.raises(weigh.UnknownNameError, match=r"holds no tensor of its own$"):
        weigh.explain(network, "layer1.0.relu")
    with pytest.raises(weigh.UnknownNameError, match=r"Did you mean 'fc\.weight'"):
        weigh.explain(network, "fc.wieght")


@each_way
def test_an_lstms_rows_are_its_gates(opened: Opened, tmp_path: Path) -> None:
    network = opened(Tagger(), tmp_path)
    rows, columns = one(network, "lstm.weight_ih_l1_reverse").axes
    assert str(rows.axis) == "gates_hidden_size=24"
    assert "input, forget, cell and output gates (i, f, g, o)" in rows.axis.meaning
    assert rows.source.startswith("4 * hidden_size: hidden_size=6")
    assert str(columns.axis) == "hidden_size_below=12"
    assert columns.source.startswith("2 * hidden_size")
    assert "uniform between -0.4082 and 0.4082" in said(network, "lstm.bias_hh_l0")
    table = one(network, "embedding.weight")
    assert [str(a.axis) for a in table.axes] == ["num_embeddings=50", "embedding_dim=8"]
    assert "linear map" not in "".join(table.sentences)


def test_attention_packs_queries_keys_and_values() -> None:
    network = weigh.open(nn.MultiheadAttention(8, 2))
    rows, columns = one(network, "in_proj_weight").axes
    assert str(rows.axis) == "qkv_embed_dim=24"
    assert rows.source == "3 * embed_dim: embed_dim=8 (given)"
    assert str(columns.axis) == "embed_dim=8"
    assert "Xavier" in said(network, "in_proj_weight")


def test_gpt2s_conv1d_is_stored_transposed() -> None:
    network = weigh.open(GPT().state_dict())
    explained = one(network, "h.0.mlp.c_proj.weight")
    assert [str(a.axis) for a in explained.axes] == ["in_features=32", "out_features=8"]
    assert explained.axes[0].why == "h.0.mlp.c_fc gives 32 numbers (inferred)"
    assert explained.sentences[:2] == (
        "The matrix is a linear map R^32 -> R^8: it turns a vector of 32 into one of 8.",
        "It is stored transposed, (in, out): x @ W, where a Linear computes x @ W.T.",
    )
    assert "It is tied: the same tensor as wte.weight." in said(network, "lm_head.weight")


def test_buffers_frozen_and_packed_tensors_say_what_they_are() -> None:
    network = weigh.open(frozen())
    assert "It is frozen: it does not require a gradient." in said(network, "0.weight")
    assert "It is learnable." in said(network, "0.bias")
    assert "It is a buffer" in said(network, "1.num_batches_tracked")
    mean = one(network, "1.running_mean")
    assert mean.axes[0].axis.meaning == "the mean of each channel, as seen in training"


@quiet
def test_a_packed_weight() -> None:
    network = weigh.open(dynamic_int8())
    assert "It is kept packed by its layer, not as a Parameter" in said(network, "0.weight")
    assert [str(a.axis) for a in one(network, "0.weight").axes] == [
        "out_features=20",
        "in_features=10",
    ]


def test_a_mask_or_a_magnitude_is_no_linear_map() -> None:
    assert "linear map" not in said(weigh.open(pruned()), "0.weight_mask")
    assert "linear map" in said(weigh.open(pruned()), "0.weight_orig")
    network = weigh.open(weight_normed())
    assert "linear map" not in said(network, "0.parametrizations.weight.original0")
    assert "linear map" in said(network, "0.parametrizations.weight.original1")
    assert "filters" not in said(network, "1.weight_g")


def test_a_layer_of_unknown_kind_is_not_explained_away() -> None:
    explained = one(weigh.open(Odd()), "weight")
    assert [(a.axis.name, a.axis.meaning, a.source, a.why) for a in explained.axes] == [
        ("?", "", "", "")
    ]
    assert explained.sentences == ("It is learnable.",)


def test_a_lazy_layer_waits_for_its_input() -> None:
    explained = one(weigh.open(nn.Sequential(nn.LazyConv2d(4, 3))), "0.weight")
    assert [str(a.axis) for a in explained.axes] == [
        "out_channels=?", "in_channels=?", "kernel_height=?", "kernel_width=?",
    ]  # fmt: skip
    assert explained.sentences[0] == "It gets its shape when the layer sees its first input."


def test_only_the_layer_before_is_given_as_a_reason() -> None:
    network = weigh.open(ResNet())
    assert one(network, "layer1.0.conv2.weight").axes[1].why == (
        "layer1.0.conv1 gives 8 channels (inferred)"
    )
    # Its input is the block's, not what conv2 gives: 16 channels.
    assert one(network, "layer2.0.downsample.0.weight").axes[1].why == ""
    joined = weigh.open(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(16, 4, 1)))
    assert one(joined, "1.weight").axes[1].why == ""


def test_a_layer_met_twice_is_explained_where_it_stands() -> None:
    shared = nn.Linear(4, 4)
    network = weigh.open(nn.ModuleDict({"a": shared, "b": nn.Linear(4, 7), "c": shared}))
    assert one(network, "b.weight").axes[1].why == ""  # it may stand beside a
    assert one(network, "c.weight").axes[1].why == ""
    assert one(network, "c.weight").layer.path == "c"
    assert "It is tied: the same tensor as a.weight." in said(network, "c.weight")


@quiet
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_every_network_is_explained(name: str) -> None:
    network = weigh.open(NETWORKS[name]())
    for tensor in network.tensors():
        explained = one(network, tensor.name)
        assert explained.tensor is tensor
        assert [a.axis for a in explained.axes] == list(tensor.axes)
        assert explained.sentences
        assert all(s.endswith((".", ").")) for s in explained.sentences)


def test_a_weight_that_was_replaced_is_told_from_the_one_its_layer_made() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].weight = nn.Parameter(torch.ones(5, 9))
    network = weigh.open(module)
    explained = one(network, "0.weight")
    assert explained.sentences[0] == (
        "The layer says out_features = 2 and in_features = 2, which disagrees with "
        "out_features=5 and in_features=9 here: the tensor was replaced after the layer was made."
    )
    assert explained.axes[0].source == "out_features=2 (given), which disagrees"
    assert "default start" not in said(network, "0.weight")
    assert "Its height" not in said(network, "0.weight")
    assert "R^9 -> R^5" in said(network, "0.weight")
    module[0].weight = nn.Parameter(torch.ones(5))
    assert "default start" not in said(weigh.open(module), "0.weight")


def test_a_bilinear_layer_adds_up_products() -> None:
    text = said(weigh.open(nn.Bilinear(5, 9, 4)), "weight")
    assert (
        "Each output is a sum over 45 = 5 x 9 products of a number of the first input with one "
        "of the second"
    ) in text
    assert "computed from" not in text
    assert "(1 / sqrt(5), in1_features = 5)" in text


def test_one_input_is_no_plural() -> None:
    assert "each output is computed from 1 input." in said(weigh.open(nn.Linear(1, 3)), "weight")


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_the_padding_row_of_a_table_starts_at_0(kind: type[nn.Module]) -> None:
    module = kind(10, 4, padding_idx=3)
    assert torch.all(module.weight[3] == 0)
    assert "deviation 1; row 3, the padding, starts at 0." in said(weigh.open(module), "weight")
    assert "padding" not in said(weigh.open(kind(10, 4)), "weight")


@quiet
def test_a_packed_weight_has_no_start() -> None:
    network = weigh.open(dynamic_int8())
    for tensor in network.tensors():
        assert tensor.packed
        assert tensor.initial is None
