"""Telling a layer's kind from the names and shapes of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from weigh._kinds.kind import Kind, Shape
from weigh._kinds.names import looks_fused, looks_like_embedding
from weigh._kinds.table import find

_PRELU = re.compile(r"prelu|relu|(?:^|[._])act", re.IGNORECASE)
_NORM = re.compile(r"norm|(?:^|[._])ln|rms", re.IGNORECASE)
_LAYER_NORM = re.compile(r"layer_?norm|(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
_LN = re.compile(r"(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
_BRANCH = re.compile(r"downsample|shortcut|skip|residual", re.IGNORECASE)
_GROUP_NORM = re.compile(r"group_?norm|(?:^|[._])gn\d*$", re.IGNORECASE)
_TRANSPOSED = re.compile(r"deconv|transpose|up_?conv|conv_?up|convt", re.IGNORECASE)
_BILINEAR = re.compile(r"bilinear", re.IGNORECASE)
_GATES = {1: "RNN", 3: "GRU", 4: "LSTM"}

STAND_INS = {
    # weight_norm and spectral_norm and pruning keep the weight under other names.
    "weight_v": "weight",
    # After weight_v, which spectral_norm has too, for a vector that it keeps.
    "weight_orig": "weight",
    "bias_orig": "bias",
    "parametrizations.weight.original1": "weight",
    "parametrizations.weight.original": "weight",
    "parametrizations.weight.0.original": "weight",
    "parametrizations.bias.original": "bias",
}
"""Names under which a layer's weight is kept by something that computes the weight from it."""


@dataclass(slots=True)
class Neighbours:
    """What has been seen before a layer, in the file's order.

    Attributes:
        channels: what the last convolution or linear layer gives out.
        rank: the dimensions of the last convolution; 0 after a linear layer.
        gpt2: whether the file keeps GPT-2's matrices transposed.
        convolved: the paths of layers that hold a convolution.
        attentions: the paths of MultiheadAttention layers.
    """

    channels: int | None = None
    rank: int = 0
    gpt2: bool = False
    convolved: set[str] = field(default_factory=set)
    attentions: set[str] = field(default_factory=set)

    def pass_by(self, path: str, kind: Kind, values: Mapping[str, object]) -> None:
        """Note what a layer gives to the next one."""
        given = values.get("out_channels", values.get("out_features", values.get("nf")))
        if isinstance(given, int):
            self.channels = given
            self.rank = (
                int(kind.name[-2]) if kind.name.startswith("Conv") and kind.name[-1] == "d" else 0
            )
        if kind.name == "MultiheadAttention":
            self.attentions.add(path)
        if self.rank:
            self.convolved.add(path.rpartition(".")[0])

    def contradict(self, path: str, depth: int, out: int) -> bool:
        """Whether a convolution of this depth may well be grouped.

        It is if the layer before gives a multiple of it, unless a name says that the layer is
        on a branch of its own, around that one.
        """
        before = self.channels or 0
        groups = before // depth if depth and before % depth == 0 else 1
        return groups > 1 and out % groups == 0 and _BRANCH.search(path) is None


def recognise(
    path: str, own: Mapping[str, Shape], near: Neighbours
) -> tuple[Kind, dict[str, object]] | None:
    """Give the kind of a layer and what can be worked out of it, or None.

    Args:
        path: the layer's dotted path.
        own: the shapes of its own tensors by their own names.
        near: what came before it.
    """
    shapes = {name: shape for name, shape in own.items() if name not in STAND_INS}
    shapes |= {meant: own[name] for name, meant in STAND_INS.items() if name in own}
    name = _name(path, shapes, near)
    kind = find(name) if name else None
    if kind is None:
        return None
    values = kind.infer(shapes)
    weight = shapes.get("weight", ())
    if len(weight) > 2 and kind.name == f"Conv{len(weight) - 2}d":
        if weight[1] == 1 and 1 < weight[0] == near.channels:  # depthwise
            values |= {"in_channels": weight[0], "groups": weight[0]}
        elif near.contradict(path, weight[1], weight[0]):
            del values["in_channels"]
    if looks_fused(path) and kind.name in ("Linear", "Conv1D"):
        kind = find(f"Fused{kind.name}") or kind
    parent, _, last = path.rpartition(".")
    if last == "out_proj" and kind.name == "Linear" and parent in near.attentions:
        kind = find("AttentionOutput") or kind
    near.pass_by(path, kind, values)
    return kind, values


def _name(path: str, shapes: Mapping[str, Shape], near: Neighbours) -> str | None:
    if "in_proj_weight" in shapes or "q_proj_weight" in shapes:
        return (
            "MultiheadAttention" if _ranks(shapes, 2, "in_proj_weight", "q_proj_weight") else None
        )
    if "weight_ih_l0" in shapes or "weight_ih" in shapes:
        return _recurrent(shapes)
    if "running_mean" in shapes and len(shapes["running_mean"]) == 1:
        # Without a scale it may as well be an InstanceNorm.
        return _batch_norm(shapes["running_mean"][0], near) if "weight" in shapes else None
    weight, bias = shapes.get("weight"), shapes.get("bias")
    if weight is None or (bias is not None and not bias):
        return None
    if len(weight) == 1:
        return _vector(path, bias, near, weight[0])
    if len(weight) == 2:
        return _matrix(path, weight, bias, near)
    if len(weight) in (3, 4, 5):
        return _convolution(path, weight, bias)
    return None


def _ranks(shapes: Mapping[str, Shape], rank: int, *names: str) -> bool:
    return all(len(shapes[name]) == rank for name in names if name in shapes)


def _recurrent(shapes: Mapping[str, Shape]) -> str | None:
    end = "_l0" if "weight_ih_l0" in shapes else ""
    first, second = shapes[f"weight_ih{end}"], shapes.get(f"weight_hh{end}", ())
    if len(first) != 2 or len(second) != 2:
        return None
    # With a projection (LSTM only) the state is narrower than the hidden layer.
    hidden = shapes["weight_hr_l0"][-1] if shapes.get("weight_hr_l0") else second[1]
    gates = _GATES.get(first[0] // hidden) if hidden and first[0] % hidden == 0 else None
    return f"{gates}{'' if end else 'Cell'}" if gates else None


def _batch_norm(channels: int, near: Neighbours) -> str:
    if near.channels != channels:
        return "BatchNorm"
    return f"BatchNorm{near.rank or 1}d"


def _vector(path: str, bias: Shape | None, near: Neighbours, size: int) -> str | None:
    if bias is None:
        if _NORM.search(path):
            # LLaMA's input_layernorm is an RMSNorm; nanoGPT's ln_1 may lack its bias.
            return "LayerNorm" if _LN.search(path) else "RMSNorm"
        return "PReLU" if _PRELU.search(path) else None
    if bias != (size,):
        return None
    if _GROUP_NORM.search(path):
        return "GroupNorm"
    # Beside convolutions, any norm may be a GroupNorm or an InstanceNorm.
    after_convolution = near.rank > 0 or path.rpartition(".")[0] in near.convolved
    if _LAYER_NORM.search(path) or (_NORM.search(path) and not after_convolution):
        return "LayerNorm"
    return None


def _matrix(path: str, weight: Shape, bias: Shape | None, near: Neighbours) -> str | None:
    out, into = weight
    if bias is None:
        return "Embedding" if looks_like_embedding(path) else "Linear"
    if near.gpt2 and path.rpartition(".")[2].startswith("c_") and bias == (into,):
        return "Conv1D"
    if bias == (out,):
        return "Linear"
    return "Conv1D" if bias == (into,) else None


def _convolution(path: str, weight: Shape, bias: Shape | None) -> str | None:
    rank = len(weight) - 2
    if rank == 1 and _BILINEAR.search(path):
        return "Bilinear"
    by_name = _TRANSPOSED.search(path) is not None
    if bias is None:
        return f"ConvTranspose{rank}d" if by_name else f"Conv{rank}d"
    if len(bias) != 1 or not weight[0] or not weight[1]:
        return None
    if by_name and bias[0] % weight[1] == 0:
        return f"ConvTranspose{rank}d"
    if bias[0] == weight[0]:
        return f"Conv{rank}d"
    return f"ConvTranspose{rank}d" if bias[0] % weight[1] == 0 else None
