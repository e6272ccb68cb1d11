"""Telling a layer's kind from the names and shapes of its tensors alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from weigh._kinds.kind import Kind, Shape
from weigh._kinds.names import looks_fused, looks_like_embedding, looks_like_linear
from weigh._kinds.table import find

_PRELU = re.compile(r"prelu", re.IGNORECASE)
_ACTIVATION = re.compile(r"(?:^|[._])(?:relu|act)", re.IGNORECASE)
_NORM = re.compile(
    r"(?:^|[._]|layer|rms)norms?(?=$|[._\d])|(?:^|[._])ln|(?:^|[._])rms", re.IGNORECASE
)
_RMS = re.compile(r"rms|(?:input|post_attention)_layernorm", re.IGNORECASE)
_INSTANCE = re.compile(r"(?:^|[._])(?:in|inst)\d*$|instance", re.IGNORECASE)
_UP = re.compile(r"(?:^|[._])(?:up|ups|decoder|generator)(?=$|[._\d])", re.IGNORECASE)
_CONVISH = re.compile(r"conv|downsample|patch", re.IGNORECASE)
_STACKED = re.compile(
    r"(?:^|[._])(?:experts?|moe|input_linear|output_linear|w[123]|gate_up_proj|down_proj)"
    r"(?=$|[._])",
    re.IGNORECASE,
)
_DEPTHWISE = re.compile(
    r"(?:^|[._])(?:dw_?conv|depthwise|dw|mixer\.conv1d)(?=$|[._\d])", re.IGNORECASE
)
_LAYER_NORM = re.compile(r"layer_?norm|(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
_LN = re.compile(r"(?:^|[._])ln(?:_?\w{1,5})?$", re.IGNORECASE)
_BRANCH = re.compile(r"downsample|shortcut|skip|residual", re.IGNORECASE)
_GROUP_NORM = re.compile(r"group_?norm|(?:^|[._])gn\d*$", re.IGNORECASE)
_TRANSPOSED = re.compile(
    r"(?:^|[._])(?:deconv|(?:conv_?)?transposed?|transposed?_?conv|up_?conv|conv_?up|convt)"
    r"(?:_?\dd)?s?\d*(?=_|$)",
    re.IGNORECASE,
)
_BILINEAR = re.compile(r"bilinear", re.IGNORECASE)
_BESIDE = re.compile(
    r"(?:weight|bias)_(?:orig|mask|v|g|u)|parametrizations\..*|SCB|weight_format|input_scale"
    r"|weight_scale(?:_inv)?"
)
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
        ordered: whether the order is the network's own.
        previous: the path of the last layer that gives channels, if nothing came after it.
        source: the same, whatever came after it.
        sizes_after: by path of a layer, the size of the BatchNorm that is its next sibling.
        unsure_norms: own names that norms have somewhere beside convolutions.
        biased_norms: whether some norm has a bias.
        convolved: the paths of layers that hold a convolution.
        attentions: the paths of MultiheadAttention layers.
    """

    channels: int | None = None
    rank: int = 0
    gpt2: bool = False
    ordered: bool = True
    previous: str | None = None
    source: str | None = None
    sizes_after: dict[str, int] = field(default_factory=dict)
    unsure_norms: set[str] = field(default_factory=set)
    biased_norms: bool = False
    convolved: set[str] = field(default_factory=set)
    attentions: set[str] = field(default_factory=set)

    def survey(self, shapes: Iterable[tuple[str, Shape]]) -> None:
        """Note, before any layer is read, where the convolutions and the BatchNorms are."""
        before = ""
        convolved: set[str] = set()
        vectors: dict[str, None] = {}
        biased: set[str] = set()
        for name, shape in shapes:
            path, _, local = name.rpartition(".")
            if local == "weight" and len(shape) > 2:
                convolved.add(path.rpartition(".")[0])
            elif local == "weight" and len(shape) == 1:
                vectors[path] = None
            elif local == "bias" and len(shape) == 1 and _NORM.search(path):
                biased.add(path)
            elif local == "running_mean" and len(shape) == 1:
                self._note_size(before, path, shape[0])
            # A BatchNorm's own weight and bias come before its running mean.
            if local == "weight" and len(shape) > 1:
                before = path
        for path in vectors:
            parent, _, own = path.rpartition(".")
            if parent in convolved:
                self.unsure_norms.add(own)
        self.biased_norms = not biased.isdisjoint(vectors)

    def _note_size(self, before: str, path: str, size: int) -> None:
        parent, _, own = path.rpartition(".")
        if own.isdecimal():
            self.sizes_after[f"{parent}.{int(own) - 1}".lstrip(".")] = size
        elif self.ordered and before.rpartition(".")[0] == parent:
            self.sizes_after.setdefault(before, size)

    def follows(self, path: str) -> bool:
        """Whether the last layer that gives channels is the sibling just before this one."""
        before = self.previous
        return before is not None and _parent(before) == _parent(path)

    def pass_by(self, path: str, kind: Kind, values: Mapping[str, object]) -> None:
        """Note what a layer gives to the next one."""
        given = values.get("out_channels", values.get("out_features", values.get("nf")))
        if isinstance(given, int):
            self.channels, self.previous, self.source = given, path, path
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
    shapes = {name: shape for name, shape in own.items() if name not in STAND_INS}
    shapes |= {meant: own[name] for name, meant in STAND_INS.items() if name in own}
    name = _name(path, shapes, near)
    kind = find(name) if name else None
    if kind is None or not _holds_only(kind, own, children):
        near.previous = None
        return None
    values = kind.infer(shapes)
    weight = shapes.get("weight", ())
    if len(weight) > 2 and kind.name == f"Conv{len(weight) - 2}d":
        alone = weight[1] == 1 < weight[0]
        if alone and (weight[0] == near.channels or _DEPTHWISE.search(path)):
            values |= {"in_channels": weight[0], "groups": weight[0]}
        elif near.contradict(path, weight[1], weight[0]) or (
            alone and near.channels not in (None, 1)
        ):
            # One input channel is rare after other layers: it is more often a group's depth.
            del values["in_channels"]
    if looks_fused(path) and kind.name in ("Linear", "Conv1D"):
        kind = find(f"Fused{kind.name}") or kind
    parent, _, last = path.rpartition(".")
    if last == "out_proj" and kind.name == "Linear" and parent in near.attentions:
        kind = find("AttentionOutput") or kind
    near.previous = None
    near.pass_by(path, kind, values)
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
        return _batch_norm(path, shapes["running_mean"][0], near)
    weight, bias = shapes.get("weight"), shapes.get("bias")
    if weight is None or (bias is not None and not bias):
        return None
    if len(weight) == 1:
        return _vector(path, bias, near, weight[0])
    if len(weight) == 2:
        return _matrix(path, weight, bias, near)
    if len(weight) in (3, 4, 5):
        return _convolution(path, weight, bias, near)
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


def _batch_norm(path: str, channels: int, near: Neighbours) -> str:
    if near.channels != channels or not near.follows(path):
        return "BatchNorm"
    return f"BatchNorm{near.rank or 1}d"


def _vector(path: str, bias: Shape | None, near: Neighbours, size: int) -> str | None:
    if bias is None:
        if _NORM.search(path):
            # LLaMA's input_layernorm is an RMSNorm; nanoGPT's ln_1 may lack its bias.
            return _norm_without_bias(path, near)
        one = size == 1 and _ACTIVATION.search(path)
        return "PReLU" if one or _PRELU.search(path) else None
    if bias != (size,):
        return None
    if _GROUP_NORM.search(path):
        return "GroupNorm"
    # Beside convolutions, any norm may be a GroupNorm or an InstanceNorm.
    unsure = path.rpartition(".")[2] in near.unsure_norms
    if _LAYER_NORM.search(path) or (_NORM.search(path) and not unsure):
        return "LayerNorm"
    return None


def _norm_without_bias(path: str, near: Neighbours) -> str | None:
    """RMSNorm has no bias; a LayerNorm may lack it, and then those beside it do too."""
    if _RMS.search(path):
        return "RMSNorm"
    if path.rpartition(".")[2] in near.unsure_norms or near.biased_norms:
        return None
    return "LayerNorm" if _LN.search(path) else "RMSNorm"


def _matrix(path: str, weight: Shape, bias: Shape | None, near: Neighbours) -> str | None:
    out, into = weight
    if bias is None:
        if looks_like_embedding(path):
            return "Embedding"
        return "Linear" if looks_like_linear(path) else None
    gpt2_name = path.rpartition(".")[2].startswith("c_")
    if near.gpt2 and gpt2_name and bias == (into,):
        return "Conv1D"
    if bias == (out,):
        return "Linear"
    return "Conv1D" if gpt2_name and bias == (into,) else None


def _convolution(path: str, weight: Shape, bias: Shape | None, near: Neighbours) -> str | None:
    rank = len(weight) - 2
    if rank == 1 and _BILINEAR.search(path):
        return "Bilinear"
    if not _is_convolution(path, weight):
        return None
    by_name = _looks_transposed(path)
    if bias is None:
        transposed = True if by_name else _transposed_beside(path, weight, near)
        if transposed is None:
            return None
        return f"ConvTranspose{rank}d" if transposed else f"Conv{rank}d"
    if len(bias) != 1 or not weight[0] or not weight[1]:
        return None
    if by_name and bias[0] % weight[1] == 0:
        return f"ConvTranspose{rank}d"
    if bias[0] == weight[0]:
        return None if weight[0] == weight[1] and _UP.search(path) else f"Conv{rank}d"
    return f"ConvTranspose{rank}d" if bias[0] % weight[1] == 0 else None


def _is_convolution(path: str, weight: Shape) -> bool:
    """Whether a weight of three to five axes is one: experts are stacked alike.

    Three axes are taken for a Conv1d's, not a Bilinear's, if the last is as short as kernels are.
    """
    if len(weight) == 5 and weight[0] == 1:
        return False
    if len(weight) > 3 or _CONVISH.search(path):
        return True
    return weight[2] <= 11 and _STACKED.search(path) is None


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _looks_transposed(path: str) -> bool:
    parent, _, last = path.rpartition(".")
    own = parent.rpartition(".")[2] if last.isdecimal() else last
    return _TRANSPOSED.search(own) is not None


def _transposed_beside(path: str, weight: Shape, near: Neighbours) -> bool | None:
    """Whether the layers around a convolution without a bias say that it is transposed.

    None where they leave it open.
    """
    first, second = weight[:2]
    after = near.sizes_after.get(path)
    if first != second and after in (first, second):
        return after == second
    numbered = path.rpartition(".")[2].isdecimal()
    beside = near.source is not None and _parent(near.source) == _parent(path)
    if beside and (near.ordered or numbered) and _BRANCH.search(path) is None:
        before = near.channels
        if first != second and before == first:
            # A convolution in groups may be as shallow.
            return True if numbered and second and first % second else None
        if first != second and before == second:
            return False
    return None if _UP.search(path) else False
