"""Names and shapes of small transformers, as Hugging Face's library writes them, by hand."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]

WIDTH, INNER, WORDS, KEYS, LAYERS = 32, 80, 200, 16, 3


def _stack(block: str, layers: Shapes, ends: Shapes, bias: bool = False) -> Shapes:
    """Repeat the layers of a block, and give all of them weights, perhaps with biases."""
    all_layers = {f"{block}.{i}.{name}": s for i in range(LAYERS) for name, s in layers.items()}
    shapes: Shapes = {}
    for name, shape in (all_layers | ends).items():
        shapes[f"{name}.weight"] = shape
        table = "emb" in name.lower() and "norm" not in name.lower()
        if bias and not table and name.rpartition(".")[2] not in ("wte", "wpe", "lm_head"):
            shapes[f"{name}.bias"] = shape[:1] if "c_" not in name else shape[-1:]
    return shapes


_ATTENTION: Shapes = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (KEYS, WIDTH),
    "self_attn.v_proj": (KEYS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
}
_GATED: Shapes = {
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
}
_NORMS: Shapes = {"input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,)}
_SANDWICH: Shapes = _NORMS | {
    "pre_feedforward_layernorm": (WIDTH,),
    "post_feedforward_layernorm": (WIDTH,),
}
_QK: Shapes = {"self_attn.q_norm": (8,), "self_attn.k_norm": (8,)}
_ENDS: Shapes = {
    "model.embed_tokens": (WORDS, WIDTH),
    "model.norm": (WIDTH,),
    "lm_head": (WORDS, WIDTH),
}
_TIED: Shapes = {k: v for k, v in _ENDS.items() if k != "lm_head"}

LLAMA = _stack("model.layers", _NORMS | _ATTENTION | _GATED, _ENDS)
QWEN2 = LLAMA | {
    f"model.layers.{i}.self_attn.{n}_proj.bias": _ATTENTION[f"self_attn.{n}_proj"][:1]
    for i in range(LAYERS)
    for n in "qkv"
}
QWEN3 = _stack("model.layers", _NORMS | _ATTENTION | _QK | _GATED, _ENDS)
GEMMA = _stack("model.layers", _NORMS | _ATTENTION | _GATED, _TIED)
GEMMA2 = _stack("model.layers", _SANDWICH | _ATTENTION | _GATED, _TIED)
GEMMA3 = _stack("model.layers", _SANDWICH | _ATTENTION | _QK | _GATED, _TIED)
PHI2 = _stack(
    "model.layers",
    {
        "input_layernorm": (WIDTH,),
        **{f"self_attn.{n}": (WIDTH, WIDTH) for n in ("q_proj", "k_proj", "v_proj", "dense")},
        "mlp.fc1": (INNER, WIDTH),
        "mlp.fc2": (WIDTH, INNER),
    },
    {"model.embed_tokens": (WORDS, WIDTH), "model.final_layernorm": (WIDTH,)},
    bias=True,
) | {"lm_head.weight": (WORDS, WIDTH), "lm_head.bias": (WORDS,)}
PHI3 = _stack(
    "model.layers",
    _NORMS
    | {
        "self_attn.qkv_proj": (WIDTH + 2 * KEYS, WIDTH),
        "self_attn.o_proj": (WIDTH, WIDTH),
        "mlp.gate_up_proj": (2 * INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER),
    },
    _ENDS,
)
GPT2 = _stack(
    "transformer.h",
    {
        "ln_1": (WIDTH,),
        "attn.c_attn": (WIDTH, 3 * WIDTH),
        "attn.c_proj": (WIDTH, WIDTH),
        "ln_2": (WIDTH,),
        "mlp.c_fc": (WIDTH, INNER),
        "mlp.c_proj": (INNER, WIDTH),
    },
    {
        "transformer.wte": (WORDS, WIDTH),
        "transformer.wpe": (48, WIDTH),
        "transformer.ln_f": (WIDTH,),
    },
    bias=True,
)
GPT_NEOX = _stack(
    "gpt_neox.layers",
    _NORMS
    | {
        "attention.query_key_value": (3 * WIDTH, WIDTH),
        "attention.dense": (WIDTH, WIDTH),
        "mlp.dense_h_to_4h": (INNER, WIDTH),
        "mlp.dense_4h_to_h": (WIDTH, INNER),
    },
    {"gpt_neox.embed_in": (WORDS, WIDTH), "gpt_neox.final_layer_norm": (WIDTH,)},
    bias=True,
) | {"embed_out.weight": (WORDS, WIDTH)}
BERT = _stack(
    "bert.encoder.layer",
    {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "attention.output.LayerNorm": (WIDTH,),
        "intermediate.dense": (INNER, WIDTH),
        "output.dense": (WIDTH, INNER),
        "output.LayerNorm": (WIDTH,),
    },
    {
        "bert.embeddings.word_embeddings": (WORDS, WIDTH),
        "bert.embeddings.position_embeddings": (48, WIDTH),
        "bert.embeddings.token_type_embeddings": (2, WIDTH),
        "bert.embeddings.LayerNorm": (WIDTH,),
    },
    bias=True,
)
MIXTRAL = _stack(
    "model.layers",
    _NORMS
    | _ATTENTION
    | {"block_sparse_moe.gate": (4, WIDTH)}
    | {
        f"block_sparse_moe.experts.{e}.{n}": (WIDTH, INNER) if n == "w2" else (INNER, WIDTH)
        for e in range(4)
        for n in ("w1", "w2", "w3")
    },
    _ENDS,
)

META = {
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "model.layers": "layers",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "block_sparse_moe": "feed_forward",
}


def by_meta(name: str) -> str:
    """Call a tensor of Llama's or Mixtral's as Meta's own files do."""
    for theirs, meta in META.items():
        name = name.replace(theirs, meta)
    return name
