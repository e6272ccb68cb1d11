"""Recurrent layers, whose gates are packed along the first axis of each matrix."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial
from weigh._pattern import pattern

_TENSOR = pattern(r"(weight|bias)_(ih|hh|hr)(?:_l(\d+)(_reverse)?)?")
_GATES = {
    "RNN": (1, ""),
    "GRU": (3, "reset, update and new gates (r, z, n)"),
    "LSTM": (4, "input, forget, cell and output gates (i, f, g, o)"),
}


class Recurrent(Kind):
    """RNN, GRU or LSTM: layers of cells, perhaps in both directions."""

    order = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.gates, self.gate_words = _GATES[name.removesuffix("Cell")]
        self.cell = name.endswith("Cell")
        self.specs = (*_SIZES, *_CELL[name]) if self.cell else _layer_specs(name)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Sizes from the first layer's matrices, the rest from which names there are."""
        end = "" if self.cell else "_l0"
        first, hidden = shapes[f"weight_ih{end}"], shapes[f"weight_hh{end}"]
        known: dict[str, object] = {
            "input_size": first[1],
            "hidden_size": first[0] // self.gates,
            "bias": f"bias_ih{end}" in shapes,
        }
        if self.cell:
            return known
        known["num_layers"] = 1 + max(int(m[3] or 0) for n in shapes if (m := _TENSOR.fullmatch(n)))
        known["bidirectional"] = any(name.endswith("_reverse") for name in shapes)
        if self.name == "LSTM":
            known["proj_size"] = hidden[1] if "weight_hr_l0" in shapes else 0
        return known

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Gates x hidden units, inputs)."""
        match = _TENSOR.fullmatch(tensor)
        if match is None or rank != (2 if match[1] == "weight" else 1):
            return None
        part, layer = match[2], int(match[3] or 0)
        projected = bool(h.value("proj_size", 0))
        state = "proj_size" if projected else "hidden_size"
        if part == "hr":
            return (
                ("proj_size", "the projected state", "proj_size"),
                ("hidden_size", "one column for each hidden unit", "hidden_size"),
            )
        rows = self._rows()
        if match[1] == "bias":
            return (rows,)
        if part == "hh":
            return (rows, (state, "the state of the step before", state))
        if layer == 0:
            return (rows, ("input_size", "one column for each input", "input_size"))
        below = f"{2 if h.value('bidirectional') else 1} * {state}".removeprefix("1 * ")
        return (rows, (f"{state}_below", "the output of the layer below", below))

    def _rows(self) -> AxisWords:
        if self.gates == 1:
            return ("hidden_size", "one row for each hidden unit", "hidden_size")
        words = f"{self.gate_words} of each hidden unit, packed in this order"
        return ("gates_hidden_size", words, f"{self.gates} * hidden_size")

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The width of the matrix."""
        return shape[1] if tensor.startswith("weight_") and len(shape) == 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Everything uniform within 1 / sqrt(hidden_size)."""
        hidden = h.integer("hidden_size", 0)
        if hidden < 1 or not _TENSOR.fullmatch(tensor):
            return None
        bound = 1 / sqrt(hidden)
        return Initial("uniform", -bound, bound, f"1 / sqrt({hidden}), hidden_size = {hidden}")


_SIZES = (Spec("input_size", show="bare"), Spec("hidden_size", show="bare"))
_BIAS = Spec("bias", True, "changed")  # noqa: FBT003
_CELL = {
    "RNNCell": (_BIAS, Spec("nonlinearity", "tanh", "changed")),
    "GRUCell": (_BIAS,),
    "LSTMCell": (_BIAS,),
}


def _layer_specs(name: str) -> tuple[Spec, ...]:
    return (
        *_SIZES,
        *([Spec("proj_size", 0, "changed")] if name == "LSTM" else []),
        Spec("num_layers", 1, "changed"),
        _BIAS,
        Spec("batch_first", False, "changed"),  # noqa: FBT003
        Spec("dropout", 0.0, "changed"),
        Spec("bidirectional", False, "changed"),  # noqa: FBT003
        *([Spec("nonlinearity", "tanh", "never")] if name == "RNN" else []),
    )


class RecurrentBase(Kind):
    """The abstract classes that the others extend: only their line is known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.specs = (*_SIZES, _BIAS) if name == "RNNCellBase" else _layer_specs("LSTM")


BASES: tuple[Kind, ...] = (RecurrentBase("RNNBase"), RecurrentBase("RNNCellBase"))
KINDS: tuple[Kind, ...] = tuple(
    Recurrent(name) for name in ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell")
)
