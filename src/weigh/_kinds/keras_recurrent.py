"""Keras's recurrent layers and their cells."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.keras_kind import BIAS, IN, KerasKind
from weigh._kinds.kind import AxisWords, Hypers, Shape, Spec
from weigh._model import Initial

GATES = {
    "SimpleRNN": (1, ""),
    "GRU": (3, "update, reset and new gates (z, r, h)"),
    "LSTM": (4, "input, forget, cell and output gates (i, f, c, o)"),
}


class Recurrent(KerasKind):
    """LSTM, GRU or SimpleRNN, or a cell of one: gates are packed along the last axis."""

    order = ("kernel", "recurrent_kernel", "bias")

    def __init__(self, name: str) -> None:
        self.name = name
        self.gates, self.words = GATES[name.removesuffix("Cell")]
        reset = [Spec("reset_after", True, "changed")] if name.startswith("GRU") else []  # noqa: FBT003
        rows = [Spec(n, False, "changed") for n in ("return_sequences", "go_backwards")]  # noqa: FBT003
        self.specs = (
            Spec("units", show="bare"),
            Spec("activation", "tanh", "changed"),
            *([] if self.gates == 1 else [Spec("recurrent_activation", "sigmoid", "changed")]),
            BIAS,
            *reset,
            *([] if name.endswith("Cell") else rows),
            Spec("in_features", show="never"),
        )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Sizes from the two matrices."""
        into, _ = shapes["kernel"]
        units, _ = shapes["recurrent_kernel"]
        return {"units": units, "in_features": into, "use_bias": "bias" in shapes}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Inputs, gates x units)."""
        packed = ("units", "one column for each unit", "units")
        if self.gates > 1:
            words = f"{self.words} of each unit, packed in this order"
            packed = ("gates_units", words, f"{self.gates} * units")
        if tensor == "kernel" and rank == 2:
            return (IN, packed)
        if tensor == "recurrent_kernel" and rank == 2:
            return (("units", "the state of the step before", "units"), packed)
        if tensor == "bias" and rank == 2 and self.gates == 3:
            return (("input_and_state", "one row for each of the two (reset_after)", "2"), packed)
        return (packed,) if tensor == "bias" and rank == 1 else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The height of the matrix."""
        return shape[0] if tensor.endswith("kernel") and len(shape) == 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """As a kernel; an LSTM's bias starts at 1 where it is of forget gates."""
        if tensor == "bias" and self.gates == 4:
            return None
        return super().initial(tensor, shape, h)
