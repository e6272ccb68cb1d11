"""Weights that are kept packed: what they count for, and what unpacks them."""

from __future__ import annotations

import numpy as np
import pytest

import weigh


def gptq(bits: int = 4) -> dict[str, np.ndarray]:
    each = 32 // bits
    return {
        "l.fc.qweight": np.zeros((64 // each, 48), "int32"),
        "l.fc.qzeros": np.zeros((4, 48 // each), "int32"),
        "l.fc.scales": np.zeros((4, 48), "float16"),
        "l.fc.g_idx": np.zeros(64, "int32"),
    }


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("indexed", [True, False])
def test_gptq(bits: int, indexed: bool) -> None:
    state = gptq(bits)
    if not indexed:
        del state["l.fc.g_idx"]
    net = weigh.open(state)
    layer = net["l.fc"]
    assert (layer.kind, layer.kind_status) == ("QuantLinear", "inferred")
    assert (layer.in_features, layer.out_features, layer.bits) == (64, 48, bits)
    assert layer.group_size == 16
    assert layer.qweight.packed
    assert (layer.qweight.role, layer.qweight.per_element) == ("other", 32 // bits)
    assert net.counts.logical == 64 * 48
    assert net.counts.parameters == 0
    assert {t.role for t in net.tensors()} == {"other", "buffer"}
    assert [a.name for a in layer.qweight.axes] == ["in_features_packed", "out_features"]


def test_awq() -> None:
    net = weigh.open({
        "fc.qweight": np.zeros((64, 6), "int32"),
        "fc.qzeros": np.zeros((4, 6), "int32"),
        "fc.scales": np.zeros((4, 48), "float16"),
    })  # fmt: skip
    assert (net.fc.in_features, net.fc.out_features, net.fc.bits) == (64, 48, 4)
    assert [a.name for a in net.fc.qweight.axes] == ["in_features", "out_features_packed"]
    assert net.counts.logical == 64 * 48


def test_bitsandbytes_4_bit() -> None:
    net = weigh.open({
        "fc.weight": np.zeros((32, 1), "uint8"),
        "fc.weight.absmax": np.zeros(1, "uint8"),
        "fc.weight.quant_map": np.zeros(16, "float32"),
        "fc.weight.nested_absmax": np.zeros(1, "float32"),
        "fc.weight.quant_state.bitsandbytes__nf4": np.zeros(80, "uint8"),
        "fc.bias": np.zeros(8, "float32"),
    })  # fmt: skip
    assert len(list(net.fc)) == 0
    assert net.counts.logical == 64 + 8
    assert net["fc.weight.absmax"].role == "buffer"
    assert net["fc.weight"].packed
    assert net.counts.parameters == 8


def test_bitsandbytes_8_bit() -> None:
    net = weigh.open({
        "fc.weight": np.zeros((8, 4), "int8"),
        "fc.SCB": np.zeros(8, "float32"),
        "fc.weight_format": np.zeros((), "uint8"),
    })  # fmt: skip
    assert net.fc.kind == "Linear"
    assert (net.fc.weight.packed, net.counts.logical) == (True, 32)
    assert net.fc.SCB.role == net.fc.weight_format.role == "buffer"


def test_mxfp4() -> None:
    net = weigh.open({
        "experts.down_proj_blocks": np.zeros((2, 3, 4, 16), "uint8"),
        "experts.down_proj_scales": np.zeros((2, 3, 4), "uint8"),
    })  # fmt: skip
    assert net.counts.logical == 2 * 3 * 4 * 32
    assert net["experts.down_proj_scales"].role == "buffer"


@pytest.mark.parametrize("name", ["..weight", ".", "..", ".a.weight", "...", "a..weight", "..a.b"])
def test_odd_dots_are_found(name: str) -> None:
    net = weigh.open({name: np.zeros((2, 2), "float32")})
    assert str(net)
    assert net[name].shape == (2, 2)
