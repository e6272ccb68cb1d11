"""Layers of llama.cpp's files, by its own names for them."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

import weigh

SHAPES = {
    "token_embd.weight": (10, 8), "position_embd.weight": (12, 8), "rope_freqs.weight": (2,),
    "blk.0.attn_norm.weight": (8,), "blk.0.attn_q_norm.weight": (4,),
    "blk.0.attn_qkv.weight": (16, 8), "blk.0.ffn_norm.weight": (8,),
    "blk.0.ffn_gate_inp.weight": (3, 8), "blk.0.ffn_gate_exps.weight": (3, 6, 8),
    "blk.0.ffn_up_exps.weight": (3, 6, 8), "blk.0.ffn_up_exps.bias": (3, 6),
    "blk.0.ffn_down_exps.weight": (3, 8, 6), "blk.0.ffn_up_shexp.weight": (6, 8),
    "output_norm.weight": (8,), "output.weight": (10, 8),
}  # fmt: skip


def written(path: Path, *, rms: bool) -> weigh.Network:
    writer = gguf.GGUFWriter(path, "llama")
    (writer.add_layer_norm_rms_eps if rms else writer.add_layer_norm_eps)(1e-5)
    for name, shape in SHAPES.items():
        writer.add_tensor(name, np.ones(shape, "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weigh.open(path)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> weigh.Network:
    return written(tmp_path_factory.mktemp("gguf") / "moe.gguf", rms=True)


def test_experts_are_stacked_maps(net: weigh.Network) -> None:
    up = net["blk.0.ffn_up_exps"]
    assert repr(up).startswith(
        "ExpertLinear(num_experts=3, in_features=8, out_features=6, bias=True)"
    )
    assert [str(a) for a in up.weight.axes] == ["num_experts=3", "out_features=6", "in_features=8"]
    assert [str(axis) for axis in up.bias.axes] == ["num_experts=3", "out_features=6"]
    assert up.weight.fan_in == 8
    down = net["blk.0.ffn_down_exps"]
    assert (down.kind, down.in_features, down.out_features) == ("ExpertLinear", 6, 8)


def test_a_stated_epsilon_tells_the_norms(net: weigh.Network, tmp_path: Path) -> None:
    norms = ("blk.0.attn_norm", "blk.0.attn_q_norm", "blk.0.ffn_norm", "output_norm")
    assert {net[path].kind for path in norms} == {"RMSNorm"}
    # Cohere's norms are LayerNorms without a bias, of the same names.
    other = written(tmp_path / "other.gguf", rms=False)
    assert {other[path].kind for path in norms} == {"?"}


def test_the_factors_of_the_position_encoding_are_not_learned(net: weigh.Network) -> None:
    factors = net["rope_freqs.weight"]
    assert (net.rope_freqs.kind, factors.role, factors.learnable) == (
        "RotaryFactors",
        "buffer",
        False,
    )
    assert net.counts.buffers == 2
    assert net.counts.parameters == sum(map(np.prod, SHAPES.values())) - 2


PURPOSES = {
    "token_embd": "token embedding",
    "position_embd": "position embedding",
    "blk.0.attn_norm": "normalisation before attention",
    "blk.0.attn_qkv": "query, key and value projections, packed",
    "blk.0.ffn_gate_inp": "router: which experts are asked",
    "blk.0.ffn_gate_exps": "feed-forward gate of each expert",
    "blk.0.ffn_down_exps": "feed-forward of each expert, coming back",
    "blk.0.ffn_up_shexp": "feed-forward of the expert that all share, going wider",
    "output_norm": "final normalisation",
    "output": "output head",
}


@pytest.mark.parametrize("path", PURPOSES)
def test_purposes(net: weigh.Network, path: str) -> None:
    assert net[path].purpose == PURPOSES[path]
