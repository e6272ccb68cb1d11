"""Flax's layers, told from names and shapes: a kernel's outputs come last, (in, out).

From the classes of ``flax.linen``. A layer that was given no name has that of its class and a
number (``Conv_0``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from math import prod

from weigh._kinds.conv import kernel_axes
from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._pattern import pattern

_NUMBERED = pattern(r"([A-Z]\w*?)_\d+")
_ATTENTION = pattern(r"attention|attn", re.IGNORECASE)
_CONV = pattern(r"conv|patch", re.IGNORECASE)
_TRANSPOSED = pattern(r"transpose|deconv|up_?(?:conv|sampl)", re.IGNORECASE)

_IN = ("in_features", "one row for each input (stored transposed)", "in_features")
_OUT = ("features", "one column for each output (stored transposed)", "features")
_HEADS = ("num_heads", "one block for each head", "num_heads")
_EACH = ("head_dim", "the numbers of each head", "qkv_features / num_heads")


class FlaxKind(Kind):
    """One of Flax's layers.

    Args:
        name: its class.
        axes: by its tensors' own names, what their axes mean, and so how many there are.
        infer: works hyperparameters out from the shapes.
        names: its constructor's arguments, of which the first are told.
    """

    def __init__(
        self,
        name: str,
        axes: Mapping[str, tuple[AxisWords, ...]],
        infer: Callable[[Mapping[str, Shape]], dict[str, object]],
        *names: str,
    ) -> None:
        self.name, self._axes, self._infer = name, axes, infer
        self.order = tuple(axes)
        self.specs = tuple(Spec(each) for each in names)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read the sizes off the shapes."""
        return self._infer(shapes)

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """As the class's documentation has them."""
        words = self._axes.get(tensor)
        return words if words is not None and len(words) == rank else None

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """All axes of a kernel but those of the outputs, which are the bias's."""
        words = self._axes.get("kernel", ())
        if tensor != "kernel" or len(words) != len(shape):
            return None
        return prod(shape[: len(shape) - len(self._axes["bias"])])

    def fits(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether it has these tensors, and sizes that meet: a bias is one number an output."""
        for name, shape in shapes.items():
            if name not in self._axes or len(self._axes[name]) != len(shape):
                return False
        bias, kernel = shapes.get("bias", ()), shapes.get("kernel", shapes.get("scale", ()))
        return kernel[len(kernel) - len(bias) :] == bias


def _conv(name: str, rank: int) -> FlaxKind:
    depth = "depth of each filter: the input channels, or those of its group"
    kernel = (
        *kernel_axes(rank),
        ("in_channels", depth, "in_channels / feature_group_count"),
        ("out_channels", "number of filters", "features"),
    )
    bias = (("out_channels", "one number for each filter", "features"),)
    return FlaxKind(
        name,
        {"kernel": kernel, "bias": bias},
        lambda s: {
            "features": s["kernel"][-1],
            "kernel_size": s["kernel"][:-2],
            "use_bias": "bias" in s,
        },
        "features", "kernel_size", "strides", "padding", "feature_group_count", "use_bias",
    )  # fmt: skip


def _norm(name: str, noun: str, *names: str) -> FlaxKind:
    def words(meaning: str) -> tuple[AxisWords, ...]:
        return (("features", f"the {meaning} of each {noun}", "features"),)

    axes = {"scale": words("scale (gamma)"), "bias": words("shift (beta)")}
    if name == "BatchNorm":
        axes["mean"] = words("mean, as seen in training,")
        axes["var"] = words("variance, as seen in training,")
    if name == "RMSNorm":
        del axes["bias"]
    return FlaxKind(name, axes, _affine, *names)


def _affine(shapes: Mapping[str, Shape]) -> dict[str, object]:
    """Tell whether there is a scale and a shift; what a BatchNorm has seen lies elsewhere."""
    if "mean" in shapes:
        return {}
    return {f"use_{name}": name in shapes for name in ("scale", "bias")}


_CONVS = {(n, rank): _conv(n, rank) for n in ("Conv", "ConvTranspose") for rank in (1, 2, 3)}
_DENSE = FlaxKind(
    "Dense",
    {"kernel": (_IN, _OUT), "bias": (("features", "one number for each output", "features"),)},
    lambda s: {"features": s["kernel"][1], "use_bias": "bias" in s},
    "features", "use_bias",
)  # fmt: skip
_INTO_HEADS = FlaxKind(
    "DenseGeneral",
    {"kernel": (_IN, _HEADS, _EACH), "bias": (_HEADS, _EACH)},
    lambda s: {"features": s["kernel"][1:], "axis": -1, "use_bias": "bias" in s},
    "features", "axis", "use_bias",
)  # fmt: skip
_OUT_OF_HEADS = FlaxKind(
    "DenseGeneral",
    {"kernel": (_HEADS, _EACH, _OUT), "bias": _DENSE._axes["bias"]},
    lambda s: {"features": s["kernel"][2], "axis": (-2, -1), "use_bias": "bias" in s},
    "features", "axis", "use_bias",
)  # fmt: skip
_EMBED = FlaxKind(
    "Embed",
    {
        "embedding": (
            ("num_embeddings", "one row for each item of the vocabulary", "num_embeddings"),
            ("features", "the numbers that stand for an item", "features"),
        )
    },
    lambda s: dict(zip(("num_embeddings", "features"), s["embedding"], strict=True)),
    "num_embeddings", "features",
)  # fmt: skip
_NORMS = {
    "BatchNorm": _norm("BatchNorm", "channel", "momentum", "epsilon", "use_bias", "use_scale"),
    "GroupNorm": _norm("GroupNorm", "channel", "num_groups", "epsilon", "use_bias", "use_scale"),
    "InstanceNorm": _norm("InstanceNorm", "channel", "epsilon", "use_bias", "use_scale"),
    "LayerNorm": _norm("LayerNorm", "feature", "epsilon", "use_bias", "use_scale"),
    "RMSNorm": _norm("RMSNorm", "feature", "epsilon", "use_scale"),
}


def recognise(
    path: str, own: Mapping[str, Shape], children: Collection[str]
) -> tuple[Kind, dict[str, object]] | None:
    """Give the kind of a layer of Flax's and what can be worked out of it, or None."""
    kind = None if children else _kind(path, own)
    return (kind, kind.infer(own)) if kind is not None and kind.fits(own) else None


def _kind(path: str, own: Mapping[str, Shape]) -> FlaxKind | None:
    above, _, last = path.rpartition(".")
    numbered = _NUMBERED.fullmatch(last)
    class_name = numbered[1] if numbered else ""
    if "embedding" in own:
        return _EMBED
    if "kernel" in own:
        if last.startswith("c_") and len(set(own["kernel"])) == 1:
            return None  # Hugging Face's GPT-2 keeps (out, in) there
        return _of_kernel(above.rpartition(".")[2], last, class_name, len(own["kernel"]))
    if own.keys() == {"mean", "var"}:
        return _NORMS["BatchNorm"]
    # A scale and a shift without the name of a class are those of several norms.
    return _NORMS.get(class_name)


def _of_kernel(above: str, last: str, class_name: str, rank: int) -> FlaxKind | None:
    if rank == 2:
        return _DENSE
    if (class_name, rank - 2) in _CONVS:
        return _CONVS[class_name, rank - 2]
    if class_name:
        return None  # a class of its own, such as DenseGeneral, whose axes may be any
    if rank == 3 and last in ("query", "key", "value"):
        return _INTO_HEADS
    if rank == 3 and last == "out" and _ATTENTION.search(above):
        return _OUT_OF_HEADS
    name = "ConvTranspose" if _TRANSPOSED.search(last) else "Conv"
    return _CONVS.get((name, rank - 2)) if rank > 3 or _CONV.search(last) else None
