"""What a report tells of a layer or a tensor when it is asked for."""

from __future__ import annotations

from typing import Any

from weigh._explain import Explanation
from weigh._layer import Hyperparameter, Layer
from weigh._tensor import Tensor
from weigh._views.explain import line
from weigh._views.show import number, role_text


def layer_item(layer: Layer) -> dict[str, Any]:
    """Tell of a layer: what its line says, its hyperparameters and how each is known."""
    return _filled({
        "line": "" if layer._layers else line(layer),
        "purpose": layer.purpose,
        "same": layer.same_as or "",
        "hyper": [
            [row.name, _value(row), row.origin or row.status]
            for row in layer.hyperparameters.values()
        ],
    })  # fmt: skip


def _value(row: Hyperparameter) -> str:
    return "?" if row.status == "unknown" else repr(row.value)


def tensor_item(explanation: Explanation) -> dict[str, Any]:
    """Tell of a tensor: its facts, its axes and why they have their sizes."""
    tensor = explanation.tensor
    return _filled({
        "facts": _facts(tensor),
        "axes": [
            [one.axis.name, number(one.axis.size), one.axis.meaning, one.source, one.why]
            for one in explanation.axes
        ],
        "sentences": list(explanation.sentences),
    })  # fmt: skip


def _facts(tensor: Tensor) -> list[list[str]]:
    rows = [
        ["role", f"{tensor.role}, {role_text(tensor)}", tensor.role_status],
        ["dtype", tensor.dtype.name, ""],
        ["values", number(tensor.count), ""],
        ["bytes", number(tensor.bytes), ""],
        ["purpose", tensor.purpose, "inferred"],
        ["device", tensor.device if tensor.device != "cpu" else "", "stated"],
        ["quantization", tensor.quantization or "", "stated"],
    ]
    if tensor.role == "parameter" and tensor.learnable is not None:
        word = "learnable" if tensor.learnable else "frozen"
        rows[0] = ["role", f"parameter, {word}", _weaker(tensor)]
    if tensor.per_element > 1:
        rows.insert(3, ["weights", number(tensor.logical), "inferred"])
    return [row for row in rows if row[1]]


def _weaker(tensor: Tensor) -> str:
    """Of how the role and how the learning is known, give what is less sure."""
    known = (tensor.role_status, tensor.learnable_status)
    return next((s for s in ("unknown", "inferred") if s in known), "stated")


def _filled(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value}
