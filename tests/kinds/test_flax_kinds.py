"""Flax's kinds of layer, on the variables that Flax itself made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import weigh
from flax_written import NET


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> weigh.Network:
    path: Path = tmp_path_factory.mktemp("flax") / "net.msgpack"
    path.write_bytes(NET)
    return weigh.open(path)


_CONV = "strides=?, padding=?, feature_group_count=?, use_bias=True)"
# What was told the constructors in the network that Flax initialised.
EXPECTED = {
    "conv1": "Conv(features=3, kernel_size=(2, 5), " + _CONV,
    "Conv_0": "Conv(features=3, kernel_size=(1, 2), " + _CONV,
    "Conv_1": "Conv(features=5, kernel_size=(3,), " + _CONV,
    "ConvTranspose_0": "ConvTranspose(features=2, kernel_size=(2, 1), " + _CONV,
    "BatchNorm_0": "BatchNorm(momentum=?, epsilon=?, use_bias=True, use_scale=True)",
    "Embed_0": "Embed(num_embeddings=7, features=4)",
    "LayerNorm_0": "LayerNorm(epsilon=?, use_bias=True, use_scale=True)",
    "GroupNorm_0": "GroupNorm(num_groups=?, epsilon=?, use_bias=True, use_scale=True)",
    "RMSNorm_0": "RMSNorm(epsilon=?, use_scale=True)",
    "Dense_0": "Dense(features=2, use_bias=True)",
    "MultiHeadDotProductAttention_0.query": "DenseGeneral(features=(2, 3), axis=-1, use_bias=True)",
    "MultiHeadDotProductAttention_0.out": "DenseGeneral(features=4, axis=(-2, -1), use_bias=True)",
    "DenseGeneral_0": "?()",  # which axes are outputs, nobody says
}  # fmt: skip


@pytest.mark.parametrize("path", EXPECTED)
def test_each_layer_is_told(net: weigh.Network, path: str) -> None:
    assert repr(net[f"params.{path}"]).removesuffix("  # inferred") == EXPECTED[path]


AXES = {
    "conv1.kernel": ("kernel_height=2 kernel_width=5 in_channels=2 out_channels=3", 20),
    "Conv_1.kernel": ("kernel_width=3 in_channels=4 out_channels=5", 12),
    "Dense_0.kernel": ("in_features=5 features=2", 5),
    "MultiHeadDotProductAttention_0.key.kernel": ("in_features=4 num_heads=2 head_dim=3", 4),
    "MultiHeadDotProductAttention_0.key.bias": ("num_heads=2 head_dim=3", None),
    "MultiHeadDotProductAttention_0.out.kernel": ("num_heads=2 head_dim=3 features=4", 6),
    "Embed_0.embedding": ("num_embeddings=7 features=4", None),
    "BatchNorm_0.scale": ("features=3", None),
    "DenseGeneral_0.kernel": ("?=5 ?=3 ?=2", None),
}


@pytest.mark.parametrize("name", AXES)
def test_each_axis_is_named(net: weigh.Network, name: str) -> None:
    tensor = net[f"params.{name}"]
    assert (" ".join(map(str, tensor.axes)), tensor.fan_in) == AXES[name]


def test_what_a_batch_norm_has_seen_says_nothing_of_its_scale(net: weigh.Network) -> None:
    seen = net["batch_stats.BatchNorm_0"]
    assert repr(seen).startswith("BatchNorm(momentum=?, epsilon=?, use_bias=?, use_scale=?)")
    assert [str(axis) for axis in seen["mean"].axes] == ["features=3"]


def kind_of(path: str, **shapes: tuple[int, ...]) -> str:
    """The kind in a network whose names are Flax's, file or mapping."""
    arrays = {f"{path}.{name}": np.zeros(shape, "f4") for name, shape in shapes.items()}
    return weigh.open({**arrays, "last.kernel": np.zeros((3, 2), "f4")})[path].kind


def test_names_that_a_user_gave() -> None:
    assert kind_of("block.q_proj", kernel=(4, 4), bias=(4,)) == "Dense"
    assert kind_of("block.conv", kernel=(3, 4, 5)) == "Conv"
    assert kind_of("block.upsample", kernel=(2, 2, 4, 5)) == "ConvTranspose"
    assert kind_of("bn1", mean=(4,), var=(4,)) == "BatchNorm"


def test_what_nobody_can_tell_is_left() -> None:
    assert kind_of("block.ln1", scale=(4,), bias=(4,)) == "?"  # also a GroupNorm's
    assert kind_of("block.c_proj", kernel=(4, 4), bias=(4,)) == "?"  # (out, in) in GPT-2
    assert kind_of("block.c_fc", kernel=(8, 4), bias=(8,)) == "?"
    assert kind_of("block.fc", kernel=(4, 6), bias=(4,)) == "?"
    assert kind_of("block.fc", kernel=(4, 6), lora=(4,)) == "?"
    assert kind_of("block.fc", kernel=(4, 6), count=()) == "?"
    assert kind_of("block.mix", kernel=(4, 6, 3)) == "?"


def test_other_networks_keep_their_kinds() -> None:
    arrays = {"up.kernel": np.zeros((2, 2), "f4"), "fc.weight": np.zeros((3, 4), "f4")}
    net = weigh.open(arrays)
    assert (net.up.kind, net.fc.kind) == ("?", "Linear")
