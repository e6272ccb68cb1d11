"""ONNX's operations with weights, in ONNX's own layout and with its own names for their inputs.

From the operators' specification, https://onnx.ai/onnx/operators. What a node leaves out has the
default that is written there, so it is stated too.
"""
# ruff: noqa: ARG001, ARG005 - all that names axes has one signature, and little of it needs all.

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from weigh._kinds.conv import kernel_axes
from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Hyperparameter, Status

Axes = Callable[[int, Hypers], tuple[AxisWords, ...] | None]
"""Names the axes of a tensor with so many of them, or gives None."""


class Operation(Kind):
    """One operation.

    Args:
        name: what ONNX calls it.
        parts: by input, what its axes mean.
        specs: its attributes, with the defaults of the specification.
        weight: the input of which each output has a fan-in.
    """

    order = ()

    def __init__(
        self, name: str, parts: Mapping[str, Axes], *specs: Spec, weight: str = ""
    ) -> None:
        self.name, self.parts, self.specs, self.weight = name, parts, specs, weight

    def hyperparameters(
        self, values: Mapping[str, object], status: Status, defaults: Mapping[str, object]
    ) -> dict[str, Hyperparameter]:
        """Give what the node states, and the specification's default of all else."""
        known = {s.name: s.default for s in self.specs if isinstance(s.default, int | float | str)}
        rows = super().hyperparameters({**known, **values}, status, defaults)
        return {name: row for name, row in rows.items() if row.status != "unknown"}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """As the specification lists them."""
        known = self.parts.get(tensor)
        words = known(rank, h) if known else None
        return words if words is not None and len(words) == rank else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """What one output is computed from, for the weight of a convolution or a matrix."""
        if tensor != self.weight:
            return None
        names = [name for name, _, _ in self.axes(tensor, len(shape), h) or ()]
        if not {"out_channels", "out_features"} & set(names):
            return None
        return prod(size for name, size in zip(names, shape, strict=True) if "out_" not in name)


def _kernel(rank: int) -> tuple[AxisWords, ...]:
    return kernel_axes(rank - 2, "kernel_shape")


def _filters(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
    """(M, C / group, kernel...)."""
    depth = ("in_channels", "depth of each filter: one slice for each input channel", "C")
    if h.integer("group") > 1:
        words = "depth of each filter: the input channels of its group"
        depth = ("in_channels_per_group", words, "C / group")
    return (("out_channels", "number of filters", "M"), depth, *_kernel(rank))


def _transposed(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
    """(C, M / group, kernel...)."""
    grouped = h.integer("group") > 1
    given = (
        "out_channels_per_group" if grouped else "out_channels",
        "output channels that each input channel adds to",
        "M / group" if grouped else "M",
    )
    return (("in_channels", "input channels: each has one filter bank", "C"), given, *_kernel(rank))


def _vector(name: str, meaning: str, formula: str = "") -> Axes:
    return lambda rank, h: ((name, meaning, formula),)


def _each(meaning: str) -> Axes:
    return _vector("num_features", meaning.replace("{}", "channel"), "C")


def _last(meaning: str) -> Axes:
    """One axis for each that is normalised over."""

    def words(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
        if rank == 1:
            return (("normalized_shape", meaning, ""),)
        return tuple((f"normalized_shape_{i}", meaning, "") for i in range(rank))

    return words


_OUT = ("out_features", "one column for each output (stored transposed)", "N")
_IN = ("in_features", "one row for each input (stored transposed)", "K")
_ROWS = (
    ("out_features", "height of the weight matrix: one row for each output", "N"),
    ("in_features", "width of the weight matrix: one column for each input", "K"),
)
_OUTPUTS = ("out_features", "one number for each output", "N")


def _second(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
    """The right matrix of a product, (K, N), or (N, K) if it is to be transposed."""
    if h.integer("transB", 0):
        return _ROWS
    stack = tuple(("stack", "one matrix for each", "") for _ in range(rank - 2))
    return (*stack, _IN, _OUT)


def _first(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
    """The left matrix of a product, (M, K), or (K, M) if it is to be transposed."""
    rows = ("out_features", "height of the matrix: one row for each output", "M")
    columns = ("in_features", "width of the matrix: one column for each input", "K")
    return (columns, rows) if h.integer("transA", 0) else (rows, columns)


def _added(rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
    if rank == 2:
        return (("rows", "one row for each of the product, or one for all", ""), _OUTPUTS)
    return (_OUTPUTS,)


_GATES = {
    "LSTM": (4, "input, output, forget and cell gates (i, o, f, c)"),
    "GRU": (3, "update, reset and hidden gates (z, r, h)"),
    "RNN": (1, ""),
}
_DIRECTIONS = ("directions", "forward, or backward, or both", "num_directions")
_HIDDEN = ("hidden_size", "the state of the step before", "hidden_size")


def _gates(name: str, copies: int = 1) -> AxisWords:
    count, words = _GATES[name]
    size = f"{count * copies} * hidden_size".removeprefix("1 * ")
    if count * copies == 1:
        return ("hidden_size", "one row for each hidden unit", size)
    text = f"{words} of each hidden unit, packed in this order" if words else "each hidden unit"
    return ("gates_hidden_size", text + ("; those of W, then of R" if copies > 1 else ""), size)


def _recurrent(name: str) -> Operation:
    inputs = ("input_size", "one column for each input", "input_size")
    peepholes = "input, output and forget gates (i, o, f) of each hidden unit"
    parts: dict[str, Axes] = {
        "W": lambda rank, h: (_DIRECTIONS, _gates(name), inputs),
        "R": lambda rank, h: (_DIRECTIONS, _gates(name), _HIDDEN),
        "B": lambda rank, h: (_DIRECTIONS, _gates(name, 2)),
        "P": lambda rank, h: (_DIRECTIONS, ("peepholes", peepholes, "3 * hidden_size")),
    }
    own = {"LSTM": (Spec("input_forget", 0, "changed"),), "GRU": (Spec("linear_before_reset", 0),)}
    specs = (
        Spec("hidden_size"),
        Spec("direction", "forward"),
        Spec("layout", 0, "changed"),
        # The other two have three activations or two, of which the specification says less.
        Spec("activations", ("Tanh", "Tanh")) if name == "RNN" else Spec("activations"),
    )
    return Operation(name, parts, *specs, *own.get(name, ()))


_SHAPED = (
    Spec("kernel_shape"),
    Spec("strides", 1, "changed"),
    Spec("pads", 0, "changed"),
    Spec("dilations", 1, "changed"),
    Spec("group", 1, "changed"),
    Spec("auto_pad", "NOTSET", "changed"),
)
_FILTER_BIAS = _vector("out_channels", "one number for each filter", "M")
_EPSILON = Spec("epsilon", 1e-5)
_PRODUCT = (
    Spec("alpha", 1.0, "changed"),
    Spec("beta", 1.0, "changed"),
    Spec("transA", 0),
    Spec("transB", 0),
)
_SCALE, _SHIFT = "the scale (gamma) of each {}", "the shift (beta) of each {}"
_MATRICES: dict[str, Axes] = {"A": _first, "B": _second, "C": _added, "bias": _added}
_FILTERS: dict[str, Axes] = {
    "W": _filters, "w": _filters, "B": _FILTER_BIAS, "W_x_scale": _FILTER_BIAS,
    "W_x_zero_point": _FILTER_BIAS, "w_scale": _FILTER_BIAS, "w_zero_point": _FILTER_BIAS,
}  # fmt: skip


def _slope(rank: int, h: Hypers) -> tuple[AxisWords, ...]:
    """Slopes are repeated over all other axes."""
    wide = tuple(("repeated", "the same slope at every position", "") for _ in range(rank - 1))
    return (("num_parameters", "slope for negative inputs of each channel", ""), *wide)[:rank]


def _embedding(rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
    if rank != 2 or h.integer("axis", 0):
        return None
    return (
        ("num_embeddings", "one row for each entry that can be looked up", ""),
        ("embedding_dim", "the numbers of one entry", ""),
    )


_ALL = (
    Operation("Conv", _FILTERS, *_SHAPED, weight="W"),
    Operation("com.microsoft.FusedConv", _FILTERS, *_SHAPED, weight="W"),
    Operation("DeformConv", _FILTERS, *_SHAPED, weight="W"),
    Operation("ConvInteger", _FILTERS, *_SHAPED, weight="w"),
    Operation("QLinearConv", _FILTERS, *_SHAPED, weight="w"),
    Operation("ConvTranspose", {"W": _transposed, "B": _FILTER_BIAS}, *_SHAPED),
    Operation("Gemm", _MATRICES, *_PRODUCT, weight="B"),
    Operation("com.microsoft.FusedGemm", _MATRICES, *_PRODUCT, weight="B"),
    Operation("MatMul", _MATRICES, weight="B"),
    Operation("com.microsoft.FusedMatMul", _MATRICES, *_PRODUCT, weight="B"),
    Operation("MatMulInteger", _MATRICES, weight="B"),
    Operation("QLinearMatMul", {"a": _first, "b": _second}, weight="b"),
    *(_recurrent(name) for name in _GATES),
    Operation(
        "BatchNormalization",
        {
            "scale": _each(_SCALE),
            "B": _each(_SHIFT),
            "input_mean": _each("the mean of each {}, as seen in training"),
            "input_var": _each("the variance of each {}, as seen in training"),
        },
        _EPSILON,
        Spec("momentum", 0.9),
        Spec("training_mode", 0, "changed"),
    ),
    Operation("InstanceNormalization", {"scale": _each(_SCALE), "B": _each(_SHIFT)}, _EPSILON),
    Operation(
        "GroupNormalization",
        {"scale": _each(_SCALE), "bias": _each(_SHIFT)},
        Spec("num_groups"),
        _EPSILON,
    ),
    Operation(
        "LayerNormalization",
        {
            "Scale": _last(_SCALE.format("feature")),
            "B": _last(_SHIFT.format("feature")),
        },
        Spec("axis", -1),
        _EPSILON,
    ),
    *(
        Operation(name, {"scale": _last(_SCALE.format("feature"))}, Spec("axis", -1), _EPSILON)
        for name in ("RMSNormalization", "SimplifiedLayerNormalization")
    ),
    *(
        Operation(
            f"com.microsoft.{name}",
            {
                "gamma": _last(_SCALE.format("feature")),
                "beta": _last(_SHIFT.format("feature")),
                "bias": _last("one number for each feature, added first"),
                **{f"{what}_embedding": _embedding for what in ("word", "position", "segment")},
            },
            Spec("epsilon"),
        )
        for name in (
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
            "EmbedLayerNormalization",
        )
    ),
    Operation("PRelu", {"slope": _slope}),
    Operation("Gather", {"data": _embedding}, Spec("axis", 0, "changed")),
    Operation("DequantizeLinear", {}, Spec("axis", 1), Spec("block_size", 0, "changed")),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every operation by its name, with its domain in front where that is not ONNX's own."""
