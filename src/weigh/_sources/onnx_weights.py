"""Which input of which ONNX operation is a weight: what a node states of its tensors.

From the operators' own specification, https://onnx.ai/onnx/operators, and for what ONNX Runtime
adds, its ContribOperators.md. Parts are named as they are there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from weigh._facts import Role

Sort = Literal["weight", "bias", "state", "scale", "packed", "packed bias"]
"""Learned, learned beside a weight, kept from training, of quantization, or weights in integers."""


class Part(NamedTuple):
    """One input of an operation that takes a tensor of the network.

    Attributes:
        at: which input.
        name: what the specification calls it.
        sort: what it is.
    """

    at: int
    name: str
    sort: Sort


def _parts(**names: str) -> tuple[Part, ...]:
    """Make parts of ``name="1 weight"``."""
    made = []
    for name, text in names.items():
        at, _, sort = text.partition(" ")
        made.append(Part(int(at), name, sort or "weight"))  # type: ignore[arg-type]
    return tuple(made)


_CONV = _parts(W="1", B="2 bias")
_RECURRENT = _parts(W="1", R="2", B="3 bias")
_MS = "com.microsoft"

OPERATIONS: dict[str, tuple[Part, ...]] = {
    "Conv": _CONV,
    "ConvTranspose": _CONV,
    "DeformConv": _parts(W="1", B="3 bias"),
    "Gemm": _parts(A="0", B="1", C="2 bias"),
    "MatMul": _parts(A="0", B="1"),
    "LSTM": (*_RECURRENT, *_parts(P="7 bias")),
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "BatchNormalization": _parts(
        scale="1", B="2 bias", input_mean="3 state", input_var="4 state"
    ),
    "InstanceNormalization": _parts(scale="1", B="2 bias"),
    "GroupNormalization": _parts(scale="1", bias="2 bias"),
    "LayerNormalization": _parts(Scale="1", B="2 bias"),
    "RMSNormalization": _parts(scale="1"),
    "SimplifiedLayerNormalization": _parts(scale="1"),
    "PRelu": _parts(slope="1"),
    "Gather": _parts(data="0"),
    "ConvInteger": _parts(w="1 packed", w_zero_point="3 scale"),
    "MatMulInteger": _parts(
        A="0 packed", B="1 packed", a_zero_point="2 scale", b_zero_point="3 scale"
    ),
    "QLinearConv": _parts(
        w="3 packed", B="8 packed bias", x_scale="1 scale", x_zero_point="2 scale",
        w_scale="4 scale", w_zero_point="5 scale", y_scale="6 scale", y_zero_point="7 scale",
    ),
    "QLinearMatMul": _parts(
        a="0 packed", b="3 packed", a_scale="1 scale", a_zero_point="2 scale", b_scale="4 scale",
        b_zero_point="5 scale", y_scale="6 scale", y_zero_point="7 scale",
    ),
    "DequantizeLinear": _parts(x="0 packed", x_scale="1 scale", x_zero_point="2 scale"),
    f"{_MS}.FusedConv": _CONV,
    f"{_MS}.FusedMatMul": _parts(A="0", B="1"),
    f"{_MS}.FusedGemm": _parts(A="0", B="1", C="2 bias"),
    f"{_MS}.SkipLayerNormalization": _parts(gamma="2", beta="3 bias", bias="4 bias"),
    f"{_MS}.SkipSimplifiedLayerNormalization": _parts(gamma="2", bias="3 bias"),
    f"{_MS}.EmbedLayerNormalization": _parts(
        word_embedding="2", position_embedding="3", segment_embedding="4", gamma="5", beta="6 bias"
    ),
}  # fmt: skip
"""By operation, the inputs that may be tensors of the network."""

TRANSPARENT = frozenset(("Identity", "Cast", "DequantizeLinear", "QuantizeLinear"))
"""Operations that give their first input on in the same shape: what follows computes with it."""

_SETTINGS = {
    "Resize": (1, 2, 3), "Upsample": (1,), "Pad": (1, 2, 3), "Clip": (1, 2), "Dropout": (1, 2),
    "Range": (0, 1, 2), "OneHot": (0, 1, 2), "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2),
    "NonMaxSuppression": (2, 3, 4), "Equal": (0, 1), "Greater": (0, 1), "Less": (0, 1),
    "LSTM": (4, 5, 6), "GRU": (4, 5), "RNN": (4, 5),
}  # fmt: skip
"""Inputs by which an operation is told what to do, floats though they may be."""


def is_setting(op: str, at: int) -> bool:
    """Whether an input only tells an operation what to do.

    Examples:
        >>> is_setting("Resize", 2), is_setting("Add", 1)
        (True, False)
    """
    return at in _SETTINGS.get(op, ())


def role_of(sort: Sort) -> Role:
    """Give the role of a part; integers that are kept packed are no parameters."""
    if sort in ("weight", "bias"):
        return "parameter"
    return "other" if sort in ("packed", "packed bias") else "buffer"
