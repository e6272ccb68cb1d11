"""Layers that multiply by a matrix: Linear, Bilinear, and GPT-2's transposed Conv1D."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec, uniform_by_fan_in
from weigh._model import Initial

_OUT = ("out_features", "height of the weight matrix: one row for each output", "out_features")
_IN = ("in_features", "width of the weight matrix: one column for each input", "in_features")
_BIAS = (("out_features", "one number for each output", "out_features"),)


class Linear(Kind):
    """A linear map from R^in_features to R^out_features, y = W x + b."""

    name = "Linear"
    specs: tuple[Spec, ...] = (
        Spec("in_features"),
        Spec("out_features"),
        Spec("bias", True),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read both sizes off the matrix."""
        out, into = shapes["weight"]
        return {"in_features": into, "out_features": out, "bias": "bias" in shapes}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Height = out_features, width = in_features)."""
        if tensor == "weight" and rank == 2:
            return (_OUT, _IN)
        return _BIAS if tensor == "bias" and rank == 1 else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The width of the matrix."""
        return shape[1] if tensor == "weight" and len(shape) == 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Uniform within 1 / sqrt(in_features), the bias too."""
        if tensor in ("weight", "bias") and h.known("in_features"):
            return uniform_by_fan_in(h.integer("in_features"))
        return None


class FusedLinear(Linear):
    """A Linear whose rows hold query, key and value projections one after the other.

    It is a Linear by class; the names that transformers give it tell what it is.
    """

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """As Linear, the height being queries, keys and values packed."""
        words = super().axes(tensor, rank, h)
        if words is None:
            return None
        packed = ("qkv_features", "query, key and value rows, packed together", "out_features")
        return (packed, *words[1:])


class Bilinear(Kind):
    """y_k = x1^T W_k x2 + b_k: one matrix for each output."""

    name = "Bilinear"
    specs = (
        Spec("in1_features"),
        Spec("in2_features"),
        Spec("out_features"),
        Spec("bias", True),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read the three sizes off the weight."""
        out, first, second = shapes["weight"]
        return {
            "in1_features": first,
            "in2_features": second,
            "out_features": out,
            "bias": "bias" in shapes,
        }

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Outputs, first input, second input)."""
        if tensor == "weight" and rank == 3:
            return (
                ("out_features", "one matrix for each output", "out_features"),
                ("in1_features", "one row for each value of the first input", "in1_features"),
                ("in2_features", "one column for each value of the second input", "in2_features"),
            )
        return _BIAS if tensor == "bias" and rank == 1 else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """Every pair of inputs meets in each output."""
        return prod(shape[1:]) if tensor == "weight" and len(shape) == 3 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Uniform within 1 / sqrt(in1_features)."""
        if tensor in ("weight", "bias") and h.known("in1_features"):
            return uniform_by_fan_in(h.integer("in1_features"), "in1_features")
        return None


class Conv1D(Kind):
    """Hugging Face's GPT-2 layer: a Linear with its matrix stored transposed, (in, out)."""

    name = "Conv1D"
    specs = (Spec("nf"), Spec("nx"))

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read both sizes off the matrix: nx rows in, nf columns out."""
        into, out = shapes["weight"]
        return {"nf": out, "nx": into}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Inputs, outputs): the reverse of Linear."""
        outputs = ("out_features", "one column for each output (stored transposed)", "nf")
        if tensor == "weight" and rank == 2:
            inputs = ("in_features", "one row for each input (stored transposed)", "nx")
            return (inputs, outputs)
        if tensor == "bias" and rank == 1:
            return (("out_features", "one number for each output", "nf"),)
        return None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The height of the stored matrix."""
        return shape[0] if tensor == "weight" and len(shape) == 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """N(0, 0.02), and a bias of zeros."""
        if tensor == "weight":
            return Initial("normal", 0.0, 0.02)
        return Initial("constant", 0.0, 0.0) if tensor == "bias" else None


class FusedConv1D(Conv1D):
    """GPT-2's ``c_attn``: query, key and value columns side by side."""

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """As Conv1D, the outputs being queries, keys and values packed."""
        words = super().axes(tensor, rank, h)
        if words is None:
            return None
        return (*words[:-1], ("qkv_features", "query, key and value columns, packed", "nf"))


KINDS: tuple[Kind, ...] = (Linear(), Bilinear(), Conv1D())
