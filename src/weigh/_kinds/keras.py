"""Keras's layers, by their classes, and told from the names and shapes of their tensors."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.keras_conv import Conv
from weigh._kinds.keras_kind import ACTIVATION, BIAS, IN, ONES, ZEROS, KerasKind
from weigh._kinds.keras_recurrent import GATES, Recurrent
from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial


class Dense(KerasKind):
    """A linear map, y = x W + b, with W of shape (in, units)."""

    name = "Dense"
    specs = (Spec("units", show="bare"), ACTIVATION, BIAS, Spec("in_features", show="never"))

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read both sizes off the matrix."""
        into, out = shapes["kernel"]
        return {"units": out, "in_features": into, "use_bias": "bias" in shapes}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Inputs, units): the transpose of PyTorch's Linear."""
        if tensor == "kernel" and rank == 2:
            return (IN, ("units", "one column for each output", "units"))
        return super().axes(tensor, rank, h)

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The height of the matrix."""
        return shape[0] if tensor == "kernel" and len(shape) == 2 else None


class EinsumDense(KerasKind):
    """A linear map along axes that its equation names; which they are is not worked out."""

    name = "EinsumDense"
    specs = (Spec("equation"), Spec("output_shape"), ACTIVATION)

    def axes(self, tensor: str, rank: int, h: Hypers) -> None:
        """None: they are the equation's."""

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """A bias of zeros; the fans of a kernel are not told by its shape alone."""
        return ZEROS if tensor == "bias" else None


class Embedding(KerasKind):
    """A table with one row of ``output_dim`` numbers for each of ``input_dim`` items."""

    name = "Embedding"
    order = ("embeddings",)
    specs = (
        Spec("input_dim", show="bare"),
        Spec("output_dim", show="bare"),
        Spec("mask_zero", False, "changed"),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Rows and columns of the table."""
        rows, columns = shapes["embeddings"]
        return {"input_dim": rows, "output_dim": columns}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Items, numbers for each)."""
        if tensor != "embeddings" or rank != 2:
            return None
        return (
            ("input_dim", "one row for each item of the vocabulary", "input_dim"),
            ("output_dim", "the numbers that stand for an item", "output_dim"),
        )

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Uniform within 0.05."""
        return (
            Initial("uniform", -0.05, 0.05, "Keras's default") if tensor == "embeddings" else None
        )


_MEANINGS = {
    "gamma": "the scale of each {}",
    "scale": "the scale of each {}",
    "beta": "the shift of each {}",
    "moving_mean": "the mean of each {}, as seen in training",
    "moving_variance": "the variance of each {}, as seen in training",
}


class Norm(KerasKind):
    """A normalisation with one learned scale and shift for each channel or feature."""

    order = ("gamma", "beta", "moving_mean", "moving_variance")

    def __init__(self, name: str, noun: str, *specs: Spec) -> None:
        self.name, self.word = name, noun
        self.specs = (*specs, Spec("epsilon", 1e-3))

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """One axis: the channels or features; several where it normalises over several."""
        if tensor not in _MEANINGS or not rank:
            return None
        words = _MEANINGS[tensor].format(self.word)
        return tuple(
            (f"{self.word}s" if rank == 1 else f"{self.word}s_{i}", words, "") for i in range(rank)
        )

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Scales and variances start at 1, the rest at 0."""
        if tensor in ("gamma", "scale", "moving_variance"):
            return ONES
        return ZEROS if tensor in _MEANINGS else None


_AXIS = Spec("axis", -1, "changed")
_LAYERS: tuple[Kind, ...] = (
    Dense(),
    EinsumDense(),
    *(Conv(rank) for rank in (1, 2, 3)),
    *(Conv(rank, "Transpose") for rank in (1, 2, 3)),
    *(Conv(rank, form) for rank in (1, 2) for form in ("Depthwise", "Separable")),
    Embedding(),
    *(Recurrent(f"{name}{end}") for name in GATES for end in ("", "Cell")),
    Norm("BatchNormalization", "channel", _AXIS, Spec("momentum", 0.99)),
    Norm("LayerNormalization", "feature", _AXIS),
    Norm("RMSNormalization", "feature", _AXIS),
    Norm("GroupNormalization", "channel", Spec("groups", 32, show="bare"), _AXIS),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _LAYERS}
"""By the name of the class."""


def guess(path: str, shapes: Mapping[str, Shape]) -> tuple[Kind, dict[str, object]] | None:
    """Tell a layer of Keras by the names and shapes of its tensors; None where they do not.

    Examples:
        >>> kind, values = guess("fc", {"kernel": (3, 2), "bias": (2,)})
        >>> kind.name, values["units"]
        ('Dense', 2)
        >>> guess("fc", {"kernel": (3,)}) is None
        True
    """
    name = _by_tensors(path.rpartition(".")[2], shapes)
    kind = KINDS.get(name or "")
    if kind is None:
        return None
    try:
        return kind, kind.infer(shapes)
    except (LookupError, ValueError):
        return None


def _by_tensors(name: str, shapes: Mapping[str, Shape]) -> str | None:
    kernel, state = shapes.get("kernel"), shapes.get("recurrent_kernel")
    if kernel and state:
        gates = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}
        fit = len(kernel) == len(state) == 2 and state[0] and kernel[1] == state[1]
        found = gates.get(state[1] // state[0]) if fit and not state[1] % state[0] else None
        return f"{found}Cell" if found and name.endswith("cell") else found
    if set(shapes) == {"embeddings"}:
        return "Embedding"
    if {"moving_mean", "moving_variance"} <= shapes.keys():
        return "BatchNormalization"
    if "depthwise_kernel" in shapes:
        form = "Separable" if "pointwise_kernel" in shapes else "Depthwise"
        return f"{form}Conv{len(shapes['depthwise_kernel']) - 2}D"
    if not kernel or not set(shapes) <= {"kernel", "bias"}:
        return "LayerNormalization" if set(shapes) == {"gamma", "beta"} else None
    rank, last = len(kernel) - 2, shapes.get("bias", kernel[-1:])
    if rank < 0 or rank > 3:
        return None
    if not rank:
        return "Dense" if last == kernel[-1:] else None
    if name.startswith("depthwise_conv"):
        return f"DepthwiseConv{rank}D"
    if name.startswith("conv") and "transpose" in name:
        return f"Conv{rank}DTranspose"
    if rank == 1 and not name.startswith("conv"):
        return None  # perhaps an EinsumDense
    if last == kernel[-1:]:
        return f"Conv{rank}D"
    if kernel[-1] == 1:
        return None  # transposed with one input channel, or depthwise
    # A transposed one has its outputs on the last axis but one, a depthwise one on both.
    if last == kernel[-2:-1]:
        return f"Conv{rank}DTranspose"
    return f"DepthwiseConv{rank}D" if last == (kernel[-2] * kernel[-1],) else None
