"""Weights that are kept packed in wider numbers, and the tensors that unpack them."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._facts import FoundTensor
from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._pattern import pattern
from weigh._record import field, record

_COMPANION = pattern(
    r"(?:^|(?<=\.))weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..+)$"
)
"""What bitsandbytes keeps beside a 4-bit weight, under names below the weight's own."""


@record()
class Packing:
    """How a layer keeps its weights.

    Attributes:
        per_element: by own name, how many weights one stored number of it holds.
        buffers: the own names of what unpacks them.
        kind: the kind of layer, where the names tell it, with what is worked out of it.
    """

    per_element: dict[str, int] = field(default_factory=dict)
    buffers: set[str] = field(default_factory=set)
    kind: Kind | None = None
    values: dict[str, object] = field(default_factory=dict)


class QuantLinear(Kind):
    """A Linear with its weights packed in 32-bit numbers, as GPTQ and AWQ write it.

    GPTQ packs along the inputs, AWQ along the outputs; both store the matrix (in, out).
    """

    name = "QuantLinear"
    order = ("qweight", "qzeros", "scales", "g_idx", "bias")
    specs = (Spec("in_features"), Spec("out_features"), Spec("bits"), Spec("group_size"))

    def __init__(self, *, packs_inputs: bool) -> None:
        self.packs_inputs = packs_inputs

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Inputs, outputs), one of them packed; groups of inputs share a scale."""
        if tensor in ("bias", "g_idx") and rank == 1:
            return (_OUT,) if tensor == "bias" else (_GROUP_OF,)
        if rank != 2 or tensor not in self.order:
            return None
        if tensor == "qweight":
            return (_PACKED_IN, _OUT) if self.packs_inputs else (_IN, _PACKED_OUT)
        return (_GROUPS, _OUT if tensor == "scales" else _PACKED_OUT)


_IN = ("in_features", "one row for each input (stored transposed)", "in_features")
_OUT = ("out_features", "one column for each output (stored transposed)", "out_features")
_PACKED_IN = ("in_features_packed", "rows of inputs, several in one number", "in_features * bits / 32")  # fmt: skip # noqa: E501
_PACKED_OUT = ("out_features_packed", "outputs, several in one number", "out_features * bits / 32")
_GROUP_OF = ("in_features", "the group of each input", "in_features")
_GROUPS = ("groups", "one row for each group of inputs", "in_features / group_size")


def companion_split(name: str) -> tuple[str, str] | None:
    """Split the name of a 4-bit weight's companion into its layer and its own name.

    Examples:
        >>> companion_split("fc.weight.absmax")
        ('fc', 'weight.absmax')
    """
    match = _COMPANION.search(name)
    return (name[: match.start()].removesuffix("."), match[0]) if match else None


def packing(own: Mapping[str, FoundTensor]) -> Packing | None:
    """Tell how a layer keeps its weights packed, or None if it does not seem to."""
    if {"qweight", "qzeros", "scales"} <= own.keys():
        return _in_words(own)
    if "weight.absmax" in own and _is(own, "weight", "uint8", "int8"):
        return Packing({"weight": 2}, {name for name in own if name.startswith("weight.")})
    if "SCB" in own and _is(own, "weight", "int8"):
        return Packing({"weight": 1}, own.keys() & {"SCB", "weight_format"})
    if any(name.endswith("_blocks") for name in own):
        return _in_blocks(own)
    return None


def _in_blocks(own: Mapping[str, FoundTensor]) -> Packing | None:
    """MXFP4: two 4-bit floats in a byte, and one scale for each block."""
    found = Packing()
    for name in own:
        scales = f"{name.removesuffix('_blocks')}_scales"
        if name.endswith("_blocks") and scales in own and _is(own, name, "uint8"):
            found.per_element[name] = 2
            found.buffers.add(scales)
    return found if found.buffers else None


def _in_words(own: Mapping[str, FoundTensor]) -> Packing | None:
    weight, zeros, scales = (_shape(own, name) for name in ("qweight", "qzeros", "scales"))
    if not (len(weight) == len(zeros) == len(scales) == 2 and _is(own, "qweight", "int32")):
        return None
    found = Packing({"qweight": 1}, own.keys() & {"qzeros", "scales", "g_idx"})
    packs_inputs = weight[1] == scales[1]
    if packs_inputs:
        index = _shape(own, "g_idx")
        each = _times(index[0], weight[0]) if index else _times(weight[1], zeros[1])
        into, out = weight[0] * each, weight[1]
    else:
        each = _times(scales[1], weight[1])
        into, out = weight[0], weight[1] * each
    if each and 32 % each == 0:
        found.per_element["qweight"] = each
        found.kind = QuantLinear(packs_inputs=packs_inputs)
        group = _times(into, scales[0])
        found.values = {"in_features": into, "out_features": out, "bits": 32 // each}
        found.values |= {"group_size": group} if group else {}
    return found


def _times(whole: int, part: int) -> int:
    return whole // part if part and whole % part == 0 else 0


def _shape(own: Mapping[str, FoundTensor], name: str) -> Shape:
    return (own[name].values.shape or ()) if name in own else ()


def _is(own: Mapping[str, FoundTensor], name: str, *dtypes: str) -> bool:
    return name in own and own[name].values.dtype.name in dtypes
