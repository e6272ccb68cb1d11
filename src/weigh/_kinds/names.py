"""What names say: whether a layer looks things up, and whether a stored tensor is learned."""

from __future__ import annotations

import re
from collections.abc import Collection

from weigh._dtypes import DType
from weigh._facts import Role
from weigh._pattern import pattern

_EMBEDDING = pattern(
    r"(?:^|[._])(?:(?:tok|token|word|position|pos|positional|segment|type|char|subword|lm)s?"
    r"_?(?:type_?)?emb(?:d|ed(?:ding)?s?)?|embed_(?:tokens|positions|in)|wte|wpe|shared"
    r"|relative_attention_bias|lookup)\d*$"
    r"|(?:^|\.)(?:embed(?:ding|dings|s)?|embs?)\d*$"
    r"|(?:^|\.)embeddings\.(?!\w*(?:proj|norm|lin))\w+$"
    # What is looked up: users and words, not times and pictures, whose "embedding" is computed.
    r"|(?:^|[._])(?:user|item|label|class|cat|category|categorical|speaker|language|lang|unit|query"
    r"|distance|entity|relation|row|col|node|point|rel_attn|level)s?_emb(?:ed(?:ding)?s?)?"
    r"(?:_\w*)?$"
    r"|(?:^|[._])emb(?:ed)?_(?:user|item|char|label|class|speaker|cat|l)s?(?:_\w*)?\d*$"
    r"|(?:^|\.)(?:(?:in|out)_embed|emb_layers|(?:user|item)_factors|codebook|(?:mask|iou|cls)_tokens?|pe_k"
    r"|embedding_table)$",
    re.IGNORECASE,
)
_LINEAR = pattern(
    r"(?:^|[._])(?:proj|projection|fc|linear|lin|dense|head|q|k|v|o|qkv|wqkv|w[qkvo]|query|key"
    r"|value|gate|router|reduction|up|down|out|output|to|mlp|classifier|score|h2o|i2h|h2h|i2o"
    r"|hidden2tag|wi|wo|w[123]|attn|c_\w+|lora|decoder|readout|layer|net|ff|ffn|policy"
    r"|receptance)"
    r"(?=$|[._\d])|(?:^|\.)\d+$",
    re.IGNORECASE,
)
_SURELY_LINEAR = pattern(
    r"(?:^|[._])(?:proj|projection|fc|linear|lin|dense|lora\w*|embed_out)\d*(?:\.\w+)?$",
    re.IGNORECASE,
)
"""Names that a linear map has even where something is embedded."""

_INNER = pattern(r"\.(?:\d+|base_layer)$")
_FUSED = frozenset(
    ("c_attn", "qkv", "qkv_proj", "query_key_value", "wqkv", "to_qkv", "in_proj_qkv", "attn_qkv")
)
_BUFFER = pattern(
    r"running_mean|running_var|num_batches_tracked|position_ids|token_type_ids|inv_freq"
    r"|relative_position_index|relative_coords_table|attn_mask|\w*_mask|mask|causal_mask"
    r"|masked_bias|rotary_emb\w*|zero_point|scales|qzeros|g_idx|pe|anchor_grid|weight_u|_u|_v"
    r"|betas|\w*_cumprod\w*|queue|queue_ptr|pixel_mean|pixel_std|anchors|window|cos_cached"
    r"|sin_cached|noise_const|freqs_cis|weight_scale|weight_scale_inv|input_scale|SCB|weight_format"
    r"|final_logits_bias|posterior_(?:variance|mean_coef[12]|log_variance_clipped)|empty_weight"
)

_LEARNED = frozenset(
    f"{name}{end}" for name in ("weight", "bias") for end in ("", "_orig", "_v", "_g")
) | {"in_proj_weight", "in_proj_bias"}  # fmt: skip
"""Names of what is learned, whatever it is stored as."""

_COMPANIONS = {
    "scale": "zero_point",
    "weight_v": "weight_orig",
    "decay": "num_updates",
    **dict.fromkeys(("embed", "embed_avg", "inited", "initted"), "cluster_size"),
    "cluster_size": "embed_avg",
}
"""Buffers by these names only beside those: of quantization, of spectral_norm, of averages of
weights, and of code books that are averages themselves."""


def looks_like_embedding(path: str) -> bool:
    """Whether a layer's name, or that of the list it is in, is one that look-up tables have.

    Examples:
        >>> looks_like_embedding("embed_tokens.0"), looks_like_embedding("time_embed.0")
        (True, False)
    """
    return _EMBEDDING.search(_INNER.sub("", path)) is not None


def looks_like_linear(path: str) -> bool:
    """Whether a layer's name, or its parent's, is one that linear maps have.

    What embeds may be a linear map or a look-up table, so that its name has to be plainer.
    """
    last = ".".join(path.split(".")[-2:])
    if "emb" in last.lower():
        return _SURELY_LINEAR.search(last) is not None
    return _LINEAR.search(last) is not None


def looks_fused(path: str) -> bool:
    """Whether a layer's name says that it holds query, key and value projections together."""
    return path.rpartition(".")[2].lower() in _FUSED


def role_by_name(
    local: str,
    dtype: DType,
    rank: int | None = None,
    beside: Collection[str] = (),
    path: str = "",
    shape: tuple[int, ...] | None = None,
    below: Collection[str] = (),
) -> Role:
    """Tell a parameter from a buffer by its own name, its dtype and its neighbours.

    Whole numbers and truth values cannot be learned by gradient, so they are buffers unless
    they are called weights.

    Args:
        local: its own name in its layer.
        dtype: the type of its values.
        rank: how many axes it has, where known.
        beside: the names of all tensors of its layer.
        path: its layer's path.
        shape: its shape, where known.
        below: the names of its layer's child layers.

    Examples:
        >>> from weigh._dtypes import DTYPES
        >>> role_by_name("running_mean", DTYPES["float32"])
        'buffer'
    """
    if _BUFFER.fullmatch(local):
        return "buffer"
    if local == "base" and ".parametrizations." in path:  # of orthogonal
        return "buffer"
    if local in _COMPANIONS and _COMPANIONS[local] in beside:
        return "buffer"
    if _is_constant(local, rank, path, below):
        return "buffer"
    # GPT-2 keeps its causal mask, (1, 1, n, n), under the name of bias.
    if local == "bias" and (dtype.family == "bool" or _is_causal(rank, shape)):
        return "buffer"
    if dtype.family in ("bool", "int", "uint") and local not in _LEARNED:
        return "buffer"
    return "parameter"


def _is_constant(local: str, rank: int | None, path: str, below: Collection[str]) -> bool:
    """Whether a name means a number fixed in advance in the one place where it is known to."""
    if local == "scale_factor":  # of latent diffusion, for the whole network
        return rank == 0 and path in ("", ".")
    if local == "pos_embed":  # sines that the layer of that name cuts to size
        return path.endswith(".pos_embed")
    if local == "kernel":  # the one that diffusers resamples with
        return rank == 1 and path.endswith((".up", ".down"))
    return local in ("mean", "scale") and {"conv_pre", "conv_post"} <= set(below)  # a vocoder's


def _is_causal(rank: int | None, shape: tuple[int, ...] | None) -> bool:
    """Whether a bias has the shape of a mask over pairs of positions."""
    if shape is None:
        return rank == 4
    return len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3] > 1
