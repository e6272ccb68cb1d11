"""Telling a layer's kind from the names and shapes of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from weigh._kinds import llama_cpp
from weigh._kinds.kind import Kind, Shape
from weigh._kinds.names import looks_fused, looks_like_embedding, looks_like_linear
from weigh._kinds.neighbours import Neighbours
from weigh._kinds.recognise_conv import connected, which
from weigh._kinds.survey import NORM, STAND_INS
from weigh._kinds.table import find
from weigh._pattern import pattern

_PRELU = pattern(r"prelu", re.IGNORECASE)
_ACTIVATION = pattern(r"(?:^|[._])(?:relu|act)", re.IGNORECASE)
_RMS = pattern(r"rms", re.IGNORECASE)
_INSTANCE = pattern(r"(?:^|[._])(?:in|inst)\d*$|instance", re.IGNORECASE)
_LN = pattern(r"(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
_GROUP_NORM = pattern(r"group_?norm|(?:^|[._])gn\d*$", re.IGNORECASE)
_BESIDE = pattern(
    r"(?:weight|bias)_(?:orig|mask|v|g|u)|parametrizations\..*|SCB|weight_format|input_scale"
    r"|weight_scale(?:_inv)?"
)
_GATES = {1: "RNN", 3: "GRU", 4: "LSTM"}


def recognise(
    path: str,
    own: Mapping[str, Shape],
    near: Neighbours,
    children: Collection[str] = (),
) -> tuple[Kind, dict[str, object]] | None:
    """Give the kind of a layer and what can be worked out of it, or None.

    Args:
        path: the layer's dotted path.
        own: the shapes of its own tensors by their own names.
        near: what came before it.
        children: the names of its child layers.
    """
    if near.survey.flax:
        from weigh._kinds import flax  # most networks are not Flax's

        return flax.recognise(path, own, children)
    if (found := llama_cpp.recognise(path, own)) is not None:
        return found
    shapes = {name: shape for name, shape in own.items() if name not in STAND_INS}
    shapes |= {meant: own[name] for name, meant in STAND_INS.items() if name in own}
    weight = shapes.get("weight", ())
    name = _name(path, shapes, near)
    kind = find(name) if name else None
    if kind is None or not _holds_only(kind, own, children):
        near.previous = None
        if len(weight) > 2:
            # Not even a square one says what it gives: transposed in groups, it is more.
            near.give(path, None, len(weight) - 2)
        return None
    values = kind.infer(shapes)
    if len(weight) > 2 and kind.name.startswith("Conv"):
        values = connected(path, kind.name, weight, values, near)
    if looks_fused(path) and kind.name in ("Linear", "Conv1D"):
        kind = find(f"Fused{kind.name}") or kind
    parent, _, last = path.rpartition(".")
    if last == "out_proj" and kind.name == "Linear" and parent in near.attentions:
        kind = find("AttentionOutput") or kind
    near.previous = None
    near.pass_by(path, kind, values)
    if len(weight) > 2:
        near.one_deep = weight[1] == 1 and "groups" not in values
    return kind, values


def _holds_only(kind: Kind, own: Mapping[str, Shape], children: Collection[str]) -> bool:
    """Whether a layer holds nothing that its kind does not know: else it is something else."""
    if kind.name == "MultiheadAttention" or not kind.order:
        return True
    if any(c != "parametrizations" and not c.startswith(("lora_", "base_layer")) for c in children):
        return False
    return all(name in kind.order or _BESIDE.fullmatch(name) for name in own)


def _name(path: str, shapes: Mapping[str, Shape], near: Neighbours) -> str | None:
    if "in_proj_weight" in shapes or "q_proj_weight" in shapes:
        return (
            "MultiheadAttention" if _ranks(shapes, 2, "in_proj_weight", "q_proj_weight") else None
        )
    if "weight_ih_l0" in shapes or "weight_ih" in shapes:
        return _recurrent(shapes)
    if "running_mean" in shapes and len(shapes["running_mean"]) == 1:
        # Without a scale it may as well be an InstanceNorm.
        if "weight" not in shapes or _INSTANCE.search(path):
            return None
        return _batch_norm(path, shapes, near)
    weight, bias = shapes.get("weight"), shapes.get("bias")
    if weight is None or (bias is not None and not bias):
        return None
    if len(weight) == 1:
        return _vector(path, bias, near, weight[0])
    if len(weight) == 2:
        return _matrix(path, weight, bias, near)
    if len(weight) in (3, 4, 5):
        return which(path, weight, bias, near)
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


def _batch_norm(path: str, shapes: Mapping[str, Shape], near: Neighbours) -> str:
    if "bias" in shapes and near.survey.frozen(path):
        return "FrozenBatchNorm2d"
    if near.channels != shapes["running_mean"][0] or not near.follows(path):
        return "BatchNorm"
    return f"BatchNorm{near.rank or 1}d"


def _vector(path: str, bias: Shape | None, near: Neighbours, size: int) -> str | None:
    if bias is None:
        if NORM.search(path):
            return _norm_without_bias(path, near)
        one = size == 1 and _ACTIVATION.search(path)
        return "PReLU" if one or _PRELU.search(path) else None
    if bias != (size,):
        return None
    if _GROUP_NORM.search(path):
        return "GroupNorm"
    # Among convolutions, any norm may be a GroupNorm or an InstanceNorm.
    if NORM.search(path) and not near.survey.unsure(path):
        return "LayerNorm"
    return None


def _norm_without_bias(path: str, near: Neighbours) -> str | None:
    """RMSNorm has no bias; a LayerNorm may lack it, and then those beside it do too."""
    survey = near.survey
    if _RMS.search(path) or survey.is_rms(path):
        return "RMSNorm"
    if survey.unsure(path) or survey.biased_norms:
        return None
    return "LayerNorm" if _LN.search(path) else None


def _matrix(path: str, weight: Shape, bias: Shape | None, near: Neighbours) -> str | None:
    out, into = weight
    if bias is None:
        if looks_like_embedding(path):
            return "Embedding"
        return "Linear" if looks_like_linear(path) else None
    gpt2_name = path.rpartition(".")[2].startswith("c_")
    if near.survey.gpt2 and gpt2_name and bias == (into,):
        return "Conv1D"
    if bias == (out,):
        return "Linear"
    return "Conv1D" if gpt2_name and bias == (into,) else None
