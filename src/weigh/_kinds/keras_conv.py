"""Keras's convolutions: plain, transposed, depthwise and separable."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from weigh._kinds.conv import EXTENTS
from weigh._kinds.keras_kind import ACTIVATION, BIAS, KerasKind
from weigh._kinds.kind import AxisWords, Hypers, Shape, Spec

_EXTENTS = {**EXTENTS, 1: (("kernel_length", "length of a filter"),)}
"""As elsewhere, but that Keras speaks of the length of a sequence."""


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
            ACTIVATION,
            BIAS,
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
                (name, "a pointwise filter covers one place", "1")
                for name, _ in _EXTENTS[self.rank]
            )
            return (*ones, mixed, out)
        size = tuple(
            (name, meaning, f"kernel_size[{i}]")
            for i, (name, meaning) in enumerate(_EXTENTS[self.rank])
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
