"""What families of transformers call the same layer, in llama.cpp's names.

llama.cpp has one name for each, whatever family the network is of, so its names are what all others
are held against (its table: ``gguf-py/gguf/tensor_mapping.py``). ``N`` stands for a number; numbers
keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable

# Each line: llama.cpp's name, then what it is called in Llama, Mistral, Qwen, Gemma and Phi
# (Hugging Face), in Meta's own Llama, in GPT-2, in GPT-NeoX and in BERT, as far as it is there.
_LAYERS = """
blk.N.attn_norm         layers.N.input_layernorm layers.N.attention_norm h.N.ln_1
blk.N.attn_q            layers.N.self_attn.q_proj layers.N.attention.wq layer.N.attention.self.query
blk.N.attn_k            layers.N.self_attn.k_proj layers.N.attention.wk layer.N.attention.self.key
blk.N.attn_v            layers.N.self_attn.v_proj layers.N.attention.wv layer.N.attention.self.value
blk.N.attn_qkv          layers.N.self_attn.qkv_proj h.N.attn.c_attn
blk.N.attn_qkv          layers.N.attention.query_key_value
blk.N.attn_output       layers.N.self_attn.o_proj layers.N.self_attn.dense layers.N.attention.wo
blk.N.attn_output       h.N.attn.c_proj layers.N.attention.dense layer.N.attention.output.dense
blk.N.attn_q_norm       layers.N.self_attn.q_norm layers.N.self_attn.q_layernorm
blk.N.attn_k_norm       layers.N.self_attn.k_norm layers.N.self_attn.k_layernorm
blk.N.attn_output_norm  layer.N.attention.output.LayerNorm
blk.N.ffn_norm          layers.N.post_attention_layernorm layers.N.ffn_norm h.N.ln_2
blk.N.ffn_gate          layers.N.mlp.gate_proj layers.N.feed_forward.w1
blk.N.ffn_up            layers.N.mlp.up_proj layers.N.feed_forward.w3 layers.N.mlp.gate_up_proj
blk.N.ffn_up            layers.N.mlp.fc1 h.N.mlp.c_fc layers.N.mlp.dense_h_to_4h
blk.N.ffn_up            layer.N.intermediate.dense
blk.N.ffn_down          layers.N.mlp.down_proj layers.N.feed_forward.w2 layers.N.mlp.fc2
blk.N.ffn_down          h.N.mlp.c_proj layers.N.mlp.dense_4h_to_h layer.N.output.dense
blk.N.layer_output_norm layer.N.output.LayerNorm
blk.N.ffn_gate_inp      layers.N.block_sparse_moe.gate layers.N.feed_forward.gate layers.N.mlp.gate
blk.N.ffn_gate.N        layers.N.block_sparse_moe.experts.N.w1 layers.N.feed_forward.experts.N.w1
blk.N.ffn_gate.N        layers.N.mlp.experts.N.gate_proj
blk.N.ffn_up.N          layers.N.block_sparse_moe.experts.N.w3 layers.N.feed_forward.experts.N.w3
blk.N.ffn_up.N          layers.N.mlp.experts.N.up_proj
blk.N.ffn_down.N        layers.N.block_sparse_moe.experts.N.w2 layers.N.feed_forward.experts.N.w2
blk.N.ffn_down.N        layers.N.mlp.experts.N.down_proj
token_embd              embed_tokens tok_embeddings wte embed_in embeddings.word_embeddings
token_embd_norm         embeddings.LayerNorm
token_types             embeddings.token_type_embeddings
position_embd           wpe embeddings.position_embeddings
output_norm             norm final_layernorm ln_f final_layer_norm
output                  lm_head embed_out
"""

_SANDWICHED = """
blk.N.post_attention_norm layers.N.post_attention_layernorm
blk.N.ffn_norm            layers.N.pre_feedforward_layernorm
blk.N.post_ffw_norm       layers.N.post_feedforward_layernorm
"""
"""Where a block has norms before and behind its parts (Gemma 2 and 3), a word means another."""

_LONGEST = 6
"""Of how many parts the longest name is made."""

Layers = dict[str, str]
"""By a name: what llama.cpp calls it."""


def _table(text: str) -> Layers:
    """Read lines of a name and the names that mean it."""
    lines = [line.split() for line in text.strip().splitlines()]
    return {name: line[0] for line in lines for name in line[1:]}


def layers_of(parts: Iterable[str]) -> Layers:
    """Give the table for a network, some parts of whose names decide what others mean.

    Args:
        parts: the last parts of the names of its layers.
    """
    sandwiched = {"pre_feedforward_layernorm", "post_feedforward_layernorm"} & set(parts)
    return _table(_LAYERS) | (_table(_SANDWICHED) if sandwiched else {})


def in_llama_cpp(layer: list[str], table: Layers) -> list[str]:
    """Give a layer's path with its end as llama.cpp calls it; what is before the end stays.

    Args:
        layer: the parts of the path.
        table: that of `layers_of`.

    Examples:
        >>> path = "model.layers.7.self_attn.q_proj".split(".")
        >>> in_llama_cpp(path, layers_of([]))
        ['model', 'blk', '7', 'attn_q']
    """
    end = layer[-_LONGEST:]
    if "N" in end:  # it would pass for a number
        return layer
    shown = ["N" if is_number(part) else part for part in end]
    for start in range(len(end)):
        found = table.get(".".join(shown[start:]))
        if found is not None:
            numbers = iter([part for part in end[start:] if is_number(part)])
            meant = [next(numbers) if part == "N" else part for part in found.split(".")]
            return layer[: len(layer) - len(end) + start] + meant
    return layer


def is_number(part: str) -> bool:
    """Whether a part of a name is a number."""
    return part.isascii() and part.isdigit()
