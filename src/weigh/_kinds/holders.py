"""Layers that print what they hold: lists and dicts of parameters, and one loss."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.kind import Hypers, Kind, Spec
from weigh._model import Layer, Tensor

_TYPES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16",
    "int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte",
    "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip
"""The first word of ``tensor.type()`` for each dtype."""


class Holder(Kind):
    """A layer whose printed line needs more than its hyperparameters."""

    order = ()

    def text(
        self, h: Hypers, tensors: Mapping[str, Tensor], layers: Mapping[str, Layer | None]
    ) -> str:
        """Write what PyTorch prints between the brackets, before any child."""
        raise NotImplementedError


class ParameterHolder(Holder):
    """A ParameterList or a ParameterDict: a line for each tensor, and for what is none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def text(
        self, h: Hypers, tensors: Mapping[str, Tensor], layers: Mapping[str, Layer | None]
    ) -> str:
        """Write the lines, which stand two columns further in than others."""
        rows = {name: self._tensor(tensor) for name, tensor in tensors.items()}
        rows |= {name: f"Object of type: {one.kind}" for name, one in layers.items() if one}
        others = {n: v.value for n, v in h.rows.items() if n not in rows}
        if self.name == "ParameterList":
            others = {n: value for n, value in others.items() if n.isdecimal()}
        rows |= {n: f"Object of type: {type(value).__name__}" for n, value in others.items()}
        names = sorted(rows, key=int) if all(name.isdecimal() for name in rows) else list(rows)
        return "\n".join(f"  ({name}): {rows[name]}" for name in names)

    def _tensor(self, tensor: Tensor) -> str:
        word = "Parameter" if tensor.role == "parameter" else "Tensor"
        name = tensor.dtype.name
        kind = f"torch.{name}"
        if self.name == "ParameterDict" and name in _TYPES:
            kind = f"torch.{_TYPES[name]}Tensor"
        size = "?" if tensor.shape is None else "x".join(map(str, tensor.shape))
        return f"{word} containing: [{kind} of size {size}]"


class LinearCrossEntropyLoss(Holder):
    """A cross entropy that holds the Linear before it, and prints its sizes."""

    name = "LinearCrossEntropyLoss"
    specs = (
        Spec("in_features"),
        Spec("num_classes"),
        Spec("out_features", ()),
        Spec("bias", False),  # noqa: FBT003
        Spec("reduction", "mean"),
        Spec("ignore_index", None),
        Spec("label_smoothing", 0.0),
        Spec("options", None),
    )

    def text(
        self, h: Hypers, tensors: Mapping[str, Tensor], layers: Mapping[str, Layer | None]
    ) -> str:
        """Write its line with the two arguments that its Linear keeps."""
        linear = layers.get("linear")
        known = linear.hyperparameters if linear is not None else {}
        rows = {n: known[n] for n in ("in_features", "bias") if n in known}
        return self.signature(Hypers({**h.rows, **rows}))


HOLDERS: dict[str, Holder] = {
    "ParameterList": ParameterHolder("ParameterList"),
    "ParameterDict": ParameterHolder("ParameterDict"),
    "LinearCrossEntropyLoss": LinearCrossEntropyLoss(),
}
"""Every such kind by the name of its class."""
