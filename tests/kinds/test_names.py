from __future__ import annotations

import pytest

from weigh._dtypes import DTYPES
from weigh._kinds.names import looks_fused, looks_like_embedding, role_by_name
from weigh._kinds.purpose import purpose

FLOAT, LONG, BOOL, INT8 = (DTYPES[name] for name in ("float32", "int64", "bool", "int8"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("transformer.h.0.attn.c_attn", "query, key and value projections, packed"),
        ("blocks.3.attn.qkv", "query, key and value projections, packed"),
        ("bert.encoder.layer.0.attention.self.query", "query projection"),
        ("model.layers.0.self_attn.k_proj", "key projection"),
        ("layers.1.attention.wv", "value projection"),
        ("h.0.attn.c_proj", "attention output projection"),
        ("bert.encoder.layer.0.attention.output.dense", "attention output projection"),
        ("h.0.mlp.c_proj", "feed-forward, coming back"),
        ("bert.encoder.layer.0.output.dense", "feed-forward, coming back"),
        ("bert.encoder.layer.0.intermediate.dense", "feed-forward, going wider"),
        ("model.layers.0.mlp.gate_proj", "feed-forward gate"),
        ("model.embed_tokens", "token embedding"),
        ("transformer.wpe", "position embedding"),
        ("lm_head", "output head over the vocabulary"),
        ("model.norm", "final normalisation"),
        ("base.q_proj.lora_A.default", "low-rank update, going narrower"),
        ("conv1", ""),
        ("", ""),
        ("my_lm_head_x", ""),
        ("layers.0.mysubquery", ""),
    ],
)
def test_purpose(path: str, expected: str) -> None:
    assert purpose(path) == expected


@pytest.mark.parametrize(
    "path", ["wte", "embedding", "model.embed_tokens", "tok_emb", "a.word_embeddings", "emb0"]
)
def test_names_of_look_up_tables(path: str) -> None:
    assert looks_like_embedding(path)


@pytest.mark.parametrize("path", ["fc", "embedding.proj", "lm_head", "wtext", "member", ""])
def test_names_of_other_layers(path: str) -> None:
    assert not looks_like_embedding(path)


def test_names_of_fused_projections() -> None:
    assert all(map(looks_fused, ["c_attn", "x.qkv", "x.query_key_value", "x.QKV"]))
    assert not any(map(looks_fused, ["c_proj", "qkv.norm", "q_proj", "myqkv", ""]))


@pytest.mark.parametrize(
    ("local", "dtype", "rank", "beside", "path", "role"),
    [
        ("weight", FLOAT, 2, (), "", "parameter"),
        ("bias", FLOAT, 1, (), "", "parameter"),
        ("weight", INT8, 2, (), "", "parameter"),
        ("running_mean", FLOAT, 1, (), "", "buffer"),
        ("num_batches_tracked", LONG, 0, (), "", "buffer"),
        ("anything", LONG, 1, (), "", "buffer"),
        ("weight_mask", FLOAT, 2, ("weight_orig",), "", "buffer"),
        # GPT-2's causal mask has the name of a bias.
        ("bias", FLOAT, 4, ("bias",), "h.0.attn", "buffer"),
        ("bias", BOOL, 4, ("bias",), "h.0.attn", "buffer"),
        # A learned scale is no quantizer's, and weight_v is weight_norm's or spectral_norm's.
        ("scale", FLOAT, 1, ("scale",), "", "parameter"),
        ("scale", FLOAT, 0, ("scale", "zero_point"), "", "buffer"),
        ("weight_v", FLOAT, 2, ("weight_g", "weight_v"), "", "parameter"),
        ("weight_v", FLOAT, 1, ("weight_orig", "weight_v"), "", "buffer"),
        ("base", FLOAT, 2, ("base",), "x.parametrizations.weight.0", "buffer"),
        ("base", FLOAT, 2, ("base",), "x", "parameter"),
    ],
)
def test_role_by_name(
    local: str, dtype: object, rank: int, beside: tuple[str, ...], path: str, role: str
) -> None:
    assert role_by_name(local, dtype, rank, beside, path) == role  # type: ignore[arg-type]
