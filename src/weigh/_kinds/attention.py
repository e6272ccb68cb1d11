"""Multi-head attention with its packed query, key and value projections."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec, xavier_uniform
from weigh._kinds.linear import Linear
from weigh._model import Initial

_PARTS = {"q_proj_weight": "query", "k_proj_weight": "key", "v_proj_weight": "value"}
_WIDTHS = {"q_proj_weight": "embed_dim", "k_proj_weight": "kdim", "v_proj_weight": "vdim"}


class MultiheadAttention(Kind):
    """PyTorch's attention: queries, keys and values projected, then joined by ``out_proj``."""

    name = "MultiheadAttention"
    order = (
        "in_proj_weight",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "in_proj_bias",
        "bias_k",
        "bias_v",
    )
    specs = (
        Spec("embed_dim", show="never"),
        Spec("num_heads", show="never"),
        Spec("dropout", 0.0, "never"),
        Spec("bias", True, "never"),  # noqa: FBT003
        Spec("add_bias_kv", False, "never"),  # noqa: FBT003
        Spec("add_zero_attn", False, "never"),  # noqa: FBT003
        Spec("kdim", None, "never"),
        Spec("vdim", None, "never"),
        Spec("batch_first", False, "never"),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Sizes from the projections; the number of heads leaves no trace."""
        known: dict[str, object] = {
            "bias": "in_proj_bias" in shapes,
            "add_bias_kv": "bias_k" in shapes,
        }
        if "in_proj_weight" in shapes:
            width = shapes["in_proj_weight"][1]
            return known | {"embed_dim": width, "kdim": width, "vdim": width}
        for tensor, name in _WIDTHS.items():
            if tensor in shapes:
                known[name] = shapes[tensor][1]
        return known

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """Query, key and value rows packed in this order, or a matrix for each."""
        packed = (
            "qkv_embed_dim",
            "query, key and value rows, packed in this order",
            "3 * embed_dim",
        )
        if tensor == "in_proj_weight" and rank == 2:
            return (packed, ("embed_dim", "one column for each input", "embed_dim"))
        if tensor == "in_proj_bias" and rank == 1:
            return (packed,)
        if tensor in _PARTS and rank == 2:
            rows = ("embed_dim", f"{_PARTS[tensor]} rows, all heads together", "embed_dim")
            return (rows, (_WIDTHS[tensor], "one column for each input", _WIDTHS[tensor]))
        if tensor in ("bias_k", "bias_v") and rank == 3:
            word = "key" if tensor == "bias_k" else "value"
            one = ("1", "always 1", "1")
            return (
                one,
                one,
                ("embed_dim", f"an extra {word} added to every sequence", "embed_dim"),
            )
        return None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The width of the matrix."""
        return shape[1] if tensor.endswith("proj_weight") and len(shape) == 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Xavier on the matrices as they are packed; biases 0; extra keys Xavier-normal."""
        if tensor.endswith("proj_weight"):
            return xavier_uniform(shape)
        if tensor == "in_proj_bias":
            return Initial("constant", 0.0, 0.0)
        if tensor in ("bias_k", "bias_v") and len(shape) == 3 and shape[2]:
            # Fans of a (1, 1, E) tensor: E in, E out.
            return Initial("normal", 0.0, sqrt(2 / (2 * shape[2])), "sqrt(2 / (fan_in + fan_out))")
        return None


class AttentionOutput(Linear):
    """The ``out_proj`` of a MultiheadAttention: a Linear whose bias starts at 0."""

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """As Linear, but for the bias, which the attention sets to 0."""
        if tensor == "bias":
            return Initial("constant", 0.0, 0.0)
        return super().initial(tensor, shape, h)


KINDS: tuple[Kind, ...] = (MultiheadAttention(),)
