"""What a layer is for, as its name says: ``self_attn.q_proj`` is a query projection."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

_QUERY, _KEY, _VALUE = (f"{word} projection" for word in ("query", "key", "value"))
_PACKED = "query, key and value projections, packed"
_OUTPUT = "attention output projection"
_GATE, _WIDER, _BACK = "feed-forward gate", "feed-forward, going wider", "feed-forward, coming back"
_TOKEN, _POSITION, _SEGMENT = (f"{word} embedding" for word in ("token", "position", "segment"))

_BY_NAME: tuple[tuple[str, str], ...] = (
    ("c_attn qkv qkv_proj query_key_value wqkv to_qkv in_proj_qkv attn_qkv", _PACKED),
    ("q_proj to_q wq", _QUERY),
    ("k_proj to_k wk", _KEY),
    ("v_proj to_v wv", _VALUE),
    ("o_proj out_proj wo to_out to_out.0", _OUTPUT),
    ("gate_proj gate_up_proj w1 wi_0", _GATE),
    ("up_proj c_fc intermediate.dense dense_h_to_4h w3 wi wi_1 lin1", _WIDER),
    ("mlp.c_proj down_proj dense_4h_to_h w2 lin2 output.dense", _BACK),
    ("embed_tokens wte word_embedding word_embeddings tok_embeddings token_embedding", _TOKEN),
    ("token_embeddings tok_emb token_emb shared token_embd", _TOKEN),
    ("wpe position_embedding position_embeddings pos_emb pos_embed embed_positions", _POSITION),
    ("positional_embedding position_embd", _POSITION),
    ("token_type_embeddings segment_embedding segment_embeddings token_types", _SEGMENT),
    ("lm_head embed_out output_projection", "output head over the vocabulary"),
    ("classifier score", "classifier head"),
    ("patch_embed.proj patch_embeddings.projection", "patch embedding"),
    ("ln_f final_layer_norm final_layernorm model.norm norm_f", "final normalisation"),
)
"""Own names, some with that of the layer around."""

_IN_ATTENTION: tuple[tuple[str, str, str], ...] = (
    ("attn attention self crossattention", "q_lin q query q_attn query_proj", _QUERY),
    ("attn attention self crossattention", "k_lin k key key_proj", _KEY),
    ("attn attention self crossattention", "v_lin v value value_proj", _VALUE),
    ("attn attention self_attn", "c_proj o dense output.dense out_lin proj", _OUTPUT),
)
"""Names that say it only within a layer of one of the first names."""

_IN_BLOCK = {
    "attn_q": _QUERY,
    "attn_k": _KEY,
    "attn_v": _VALUE,
    "attn_output": _OUTPUT,
    "ffn_gate": _GATE,
    "ffn_up": _WIDER,
    "ffn_down": _BACK,
    "ffn_gate_exps": "feed-forward gate of each expert",
    "ffn_gate_chexps": "feed-forward gate of each expert",
    "ffn_up_exps": "feed-forward of each expert, going wider",
    "ffn_up_chexps": "feed-forward of each expert, going wider",
    "ffn_gate_up_exps": "feed-forward gate of each expert and its way wider, packed",
    "ffn_down_exps": "feed-forward of each expert, coming back",
    "ffn_down_chexps": "feed-forward of each expert, coming back",
    "ffn_gate_shexp": "feed-forward gate of the expert that all share",
    "ffn_up_shexp": "feed-forward of the expert that all share, going wider",
    "ffn_down_shexp": "feed-forward of the expert that all share, coming back",
    "ffn_gate_inp": "router: which experts are asked",
    "attn_norm": "normalisation before attention",
    "ffn_norm": "normalisation before feed-forward",
}
"""Names in a block of llama.cpp's, ``blk.#``."""

_AT_TOP = {"output": "output head", "output_norm": "final normalisation"}
_UPDATES = {
    **dict.fromkeys(("lora_A", "lora_a", "lora_down"), "low-rank update, going narrower"),
    **dict.fromkeys(("lora_B", "lora_b", "lora_up"), "low-rank update, coming back"),
}
"""Names that may be followed by that of one of several updates."""


def purpose(path: str) -> str:
    """Tell what a layer is for by its name, or give "".

    Examples:
        >>> purpose("encoder.layer.0.attention.self.query")
        'query projection'
    """
    *above, own = path.split(".")[-4:]
    if own.isdecimal() and "to_out" not in above:
        return ""
    # Blocks differ in their numbers alone, which say nothing.
    return _purpose((*("#" if part.isdecimal() else part for part in above), own))


@cache
def _purpose(parts: tuple[str, ...]) -> str:
    """Look a name up with what is around it, then with less and less of that."""
    if len(parts) == 1 and parts[0] in _AT_TOP:
        return _AT_TOP[parts[0]]
    for at, first in enumerate(parts):
        rest = parts[at:]
        name = ".".join(rest)
        # What attends has an output too.
        attends = name == "output.dense" and at > 0 and parts[at - 1].endswith("attention")
        if name in _PURPOSES and not attends:
            return _PURPOSES[name]
        if first in _UPDATES and (len(rest) == 1 or (len(rest) == 2 and _is_word(rest[1]))):
            return _UPDATES[first]
    return ""


def _is_word(text: str) -> bool:
    return text.replace("_", "a").isalnum()


def _rows() -> Iterator[tuple[str, str]]:
    for own, meant in _IN_BLOCK.items():
        yield f"blk.#.{own}", meant
    for names, meant in _BY_NAME:
        for name in names.split():
            yield name, meant
    for around, names, meant in _IN_ATTENTION:
        for above in around.split():
            for name in names.split():
                yield f"{above}.{name}", meant


_PURPOSES = dict(_rows())
