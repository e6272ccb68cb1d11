"""Convolutions, plain and transposed, in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec, uniform_by_fan_in
from weigh._model import Initial

EXTENTS = {
    1: (("kernel_width", "width of a filter"),),
    2: (("kernel_height", "height of a filter"), ("kernel_width", "width of a filter")),
    3: (
        ("kernel_depth", "depth of a filter in space"),
        ("kernel_height", "height of a filter"),
        ("kernel_width", "width of a filter"),
    ),
}
"""The axes of a filter in space, by how many there are: their names and meanings."""


class Conv(Kind):
    """A convolution: ``out_channels`` filters slide over the input, each as deep as it."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.name = f"Conv{rank}d"
        self.specs = _specs(transposed=False)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read channels and kernel size off the weight; groups are taken to be 1.

        Where what comes before speaks against that, ``recognise`` takes ``in_channels`` back.
        """
        out, depth, *kernel = shapes["weight"]
        return {
            "in_channels": depth,
            "out_channels": out,
            "kernel_size": tuple(kernel),
            "bias": "bias" in shapes,
        }

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """(Number of filters, depth, height, width), as far as the rank goes."""
        filters = ("out_channels", "number of filters", "out_channels")
        if tensor == "bias" and rank == 1:
            return (("out_channels", "one number for each filter", "out_channels"),)
        if tensor != "weight" or rank != self.rank + 2:
            return None
        ungrouped = h.known("in_channels") or h.known("groups")
        if h.integer("groups") > 1 or not ungrouped:
            depth = (
                "in_channels_per_group",
                "depth of each filter: the input channels of its group",
                "in_channels / groups",
            )
        else:
            depth = (
                "in_channels",
                "depth of each filter: one slice for each input channel",
                "in_channels",
            )
        return (filters, depth, *kernel_axes(self.rank))

    def fan_in(self, tensor: str, shape: Shape, h: Hypers) -> int | None:
        """(C_in / groups) x kernel size."""
        return prod(shape[1:]) if tensor == "weight" and len(shape) == self.rank + 2 else None

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Uniform within 1 / sqrt(fan_in), the bias too."""
        kernel = h.value("kernel_size")
        if tensor == "weight":
            return uniform_by_fan_in(prod(shape[1:]))
        if tensor != "bias" or not isinstance(kernel, tuple) or not h.known("in_channels"):
            return None
        return uniform_by_fan_in(self._fan_in_channels(h) * prod(kernel))

    def _fan_in_channels(self, h: Hypers) -> int:
        return h.integer("in_channels") // max(1, h.integer("groups"))


class ConvTranspose(Conv):
    """A transposed convolution, which scatters where a convolution gathers."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.name = f"ConvTranspose{rank}d"
        self.specs = _specs(transposed=True)

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """Read channels and kernel size off the weight, whose first two axes are swapped."""
        in_channels, depth, *kernel = shapes["weight"]
        known: dict[str, object] = {
            "in_channels": in_channels,
            "out_channels": depth,
            "kernel_size": tuple(kernel),
            "bias": "bias" in shapes,
        }
        if "bias" in shapes and depth:
            out = shapes["bias"][0]
            known |= {"out_channels": out, "groups": out // depth}
        return known

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """Input channels come first here, then the output channels of each group."""
        if tensor != "weight":
            return super().axes(tensor, rank, h)
        if rank != self.rank + 2:
            return None
        grouped = h.integer("groups") > 1 or not h.known("out_channels")
        return (
            ("in_channels", "input channels: each has one filter bank", "in_channels"),
            (
                "out_channels_per_group" if grouped else "out_channels",
                "output channels that each input channel adds to",
                "out_channels / groups" if grouped else "out_channels",
            ),
            *kernel_axes(self.rank),
        )

    def _fan_in_channels(self, h: Hypers) -> int:
        # PyTorch takes the second axis for fan_in here too, so it is C_out / groups.
        return h.integer("out_channels") // max(1, h.integer("groups"))


def kernel_axes(rank: int, size: str = "kernel_size") -> tuple[AxisWords, ...]:
    """Name the axes of a filter in space.

    Args:
        rank: how many they are; none is known of more than three.
        size: the hyperparameter that says their sizes.
    """
    words = EXTENTS.get(rank, ())
    return tuple((name, meaning, f"{size}[{i}]") for i, (name, meaning) in enumerate(words))


def _specs(*, transposed: bool) -> tuple[Spec, ...]:
    return (
        Spec("in_channels", show="bare"),
        Spec("out_channels", show="bare"),
        Spec("kernel_size"),
        Spec("stride", 1),
        Spec("padding", 0, "changed"),
        Spec("dilation", 1, "changed"),
        *([Spec("output_padding", 0, "changed")] if transposed else []),
        Spec("groups", 1, "changed"),
        Spec("bias", True, "changed"),  # noqa: FBT003
        Spec("padding_mode", "zeros", "changed"),
    )


KINDS: tuple[Kind, ...] = (
    *(Conv(rank) for rank in (1, 2, 3)),
    *(ConvTranspose(rank) for rank in (1, 2, 3)),
)
