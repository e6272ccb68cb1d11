"""Keras's layers, whose axes go the other way round than PyTorch's: inputs first, outputs last.

The order of axes and the default initial values are those of the layers' ``build`` methods and
constructors (keras.io, "Keras layers API").
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod, sqrt

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial

_ONES, _ZEROS = Initial("constant", 1.0, 0.0), Initial("constant", 0.0, 0.0)
_EXTENTS = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_BIAS = Spec("use_bias", True, "changed")  # noqa: FBT003
_ACTIVATION = Spec("activation", "linear", "changed")
_IN = ("in_features", "one row for each input", "in_features")


class KerasKind(Kind):
    """What Keras's layers have in common.

    Attributes:
        units: the argument that says how many outputs there are.
        noun: what the bias has one number for.
    """

    order: tuple[str, ...] = ("kernel", "bias")
    units = "units"
    noun = "output"

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """A bias has one axis: the outputs."""
        if tensor == "bias" and rank == 1:
            return ((self.units, f"one number for each {self.noun}", self.units),)
        return None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Kernels uniform after Glorot, biases zero, unless the layer says otherwise."""
        chosen = h.value(f"{tensor}_initializer")
        if chosen in ("GlorotUniform", "glorot_uniform", None) and tensor.endswith("kernel"):
            return glorot_uniform(shape) if tensor != "recurrent_kernel" else None
        return _ZEROS if tensor == "bias" and chosen in ("Zeros", "zeros", None) else None


def glorot_uniform(shape: Shape) -> Initial | None:
    """U(-b, b) with b = sqrt(6 / (fan_in + fan_out)), the last two axes being in and out.

    Glorot and Bengio 2010; Keras's ``compute_fans`` multiplies both by the size of a filter.

    Examples:
        >>> glorot_uniform((3, 2)).formula
        'sqrt(6 / (3 + 2)), Glorot'
    """
    if len(shape) < 2 or not prod(shape):
        return None
    filter_size = prod(shape[:-2])
    into, out = filter_size * shape[-2], filter_size * shape[-1]
    bound = sqrt(6 / (into + out))
    return Initial("uniform", -bound, bound, f"sqrt(6 / ({into} + {out})), Glorot")


class Dense(KerasKind):
    """A linear map, y = x W + b, with W of shape (in, units)."""

    name = "Dense"
    specs = (Spec("units", show="bare"), _ACTIVATION, _BIAS, Spec("in_features", show="never"))

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read both sizes off the matrix."""
        into, out = shapes["kernel"]
        return {"units": out, "in_features": into, "use_bias": "bias" in shapes}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Inputs, units): the transpose of PyTorch's Linear."""
        if tensor == "kernel" and rank == 2:
            return (_IN, ("units", "one column for each output", "units"))
        return super().axes(tensor, rank, h)

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """The height of the matrix."""
        return shape[0] if tensor == "kernel" and len(shape) == 2 else None


class EinsumDense(KerasKind):
    """A linear map along axes that its equation names; which they are is not worked out."""

    name = "EinsumDense"
    specs = (Spec("equation"), Spec("output_shape"), _ACTIVATION)

    def axes(self, tensor: str, rank: int, h: Hypers) -> None:
        """None: they are the equation's."""

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """A bias of zeros; the fans of a kernel are not told by its shape alone."""
        return _ZEROS if tensor == "bias" else None


class Conv(KerasKind):
    """A convolution, with its kernel stored (size..., in / groups, filters).

    Args:
        rank: in how many dimensions the filters slide.
        form: ``""``, ``"Transpose"``, ``"Depthwise"`` or ``"Separable"``.
    """

    units, noun = "filters", "filter"

    def __init__(self, rank: int, form: str = "") -> None:
        self.rank, self.form = rank, form
        after = form if form == "Transpose" else ""
        self.name = f"{'' if after else form}Conv{rank}D{after}"
        deep = form in ("Depthwise", "Separable")
        self.order = ("depthwise_kernel", "pointwise_kernel", *KerasKind.order)
        self.specs = (
            *([] if form == "Depthwise" else [Spec("filters", show="bare")]),
            Spec("kernel_size"),
            Spec("strides", 1, "changed"),
            Spec("padding", "valid", "changed"),
            *([Spec("depth_multiplier", 1, "changed")] if deep else []),
            Spec("dilation_rate", 1, "changed"),
            *([] if deep or after else [Spec("groups", 1, "changed")]),
            _ACTIVATION,
            _BIAS,
            Spec("in_channels", show="never"),
        )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read the kernel's size, and filters where they are an axis of their own."""
        kernel = shapes.get("kernel") or shapes["depthwise_kernel"]
        *size, first, last = kernel
        known: dict[str, object] = {"kernel_size": tuple(size), "use_bias": "bias" in shapes}
        if self.form == "Depthwise":
            return known | {"in_channels": first, "depth_multiplier": last}
        if self.form == "Separable":
            filters = shapes["pointwise_kernel"][-1]
            return known | {"in_channels": first, "depth_multiplier": last, "filters": filters}
        return known | {"filters": first if self.form == "Transpose" else last}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Height, width, input channels, filters); the last two swapped where transposed."""
        into = ("in_channels", "depth of each filter: one slice for each input channel", "")
        out = ("filters", "number of filters", "filters")
        if tensor == "bias" and self.form == "Depthwise" and rank == 1:
            return (("out_channels", "one number for each output channel", ""),)
        if rank != self.rank + 2:
            return super().axes(tensor, rank, h)
        if tensor == "pointwise_kernel":
            mixed = ("depthwise_channels", "the channels that the filters before it give", "")
            ones = (
                (f"kernel_{word}", "a pointwise filter covers one place", "1")
                for word in _EXTENTS[self.rank]
            )
            return (*ones, mixed, out)
        size = tuple(
            (f"kernel_{word}", f"{word} of a filter", f"kernel_size[{i}]")
            for i, word in enumerate(_EXTENTS[self.rank])
        )
        if tensor == ("depthwise_kernel" if self.form == "Separable" else "kernel"):
            pass
        elif not (tensor == "depthwise_kernel" and self.form == "Depthwise"):  # Keras 2's name
            return None
        if self.form in ("Depthwise", "Separable"):
            channels = ("in_channels", "input channels: each has filters of its own", "in_channels")
            many = ("depth_multiplier", "filters for each input channel", "depth_multiplier")
            return (*size, channels, many)
        if self.form == "Transpose":
            each = ("in_channels", "input channels: each has one filter bank", "")
            return (*size, ("filters", "output channels", "filters"), each)
        if h.integer("groups") > 1:
            into = (
                "in_channels_per_group",
                "depth of each filter: the input channels of its group",
                "",
            )
        return (*size, into, out)

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """(C_in / groups) x kernel size."""
        if len(shape) != self.rank + 2 or not tensor.endswith("kernel"):
            return None
        if tensor == "pointwise_kernel" or not self.form:
            return prod(shape[:-1])
        return None if self.form == "Transpose" else prod(shape[:-2])


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


_GATES = {
    "SimpleRNN": (1, ""),
    "GRU": (3, "update, reset and new gates (z, r, h)"),
    "LSTM": (4, "input, forget, cell and output gates (i, f, c, o)"),
}


class Recurrent(KerasKind):
    """LSTM, GRU or SimpleRNN, or a cell of one: gates are packed along the last axis."""

    order = ("kernel", "recurrent_kernel", "bias")

    def __init__(self, name: str) -> None:
        self.name = name
        self.gates, self.words = _GATES[name.removesuffix("Cell")]
        reset = [Spec("reset_after", True, "changed")] if name.startswith("GRU") else []  # noqa: FBT003
        rows = [Spec(n, False, "changed") for n in ("return_sequences", "go_backwards")]  # noqa: FBT003
        self.specs = (
            Spec("units", show="bare"),
            Spec("activation", "tanh", "changed"),
            *([] if self.gates == 1 else [Spec("recurrent_activation", "sigmoid", "changed")]),
            _BIAS,
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
            return (_IN, packed)
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
            return _ONES
        return _ZEROS if tensor in _MEANINGS else None


_AXIS = Spec("axis", -1, "changed")
_LAYERS: tuple[Kind, ...] = (
    Dense(),
    EinsumDense(),
    *(Conv(rank) for rank in (1, 2, 3)),
    *(Conv(rank, "Transpose") for rank in (1, 2, 3)),
    *(Conv(rank, form) for rank in (1, 2) for form in ("Depthwise", "Separable")),
    Embedding(),
    *(Recurrent(f"{name}{end}") for name in _GATES for end in ("", "Cell")),
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
