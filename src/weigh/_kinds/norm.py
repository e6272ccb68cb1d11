"""Normalisations: batch, layer, group, instance and root mean square."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial

_ONES, _ZEROS = Initial("constant", 1.0, 0.0), Initial("constant", 0.0, 0.0)
_MEANINGS = {
    "weight": "the scale (gamma) of each {}",
    "bias": "the shift (beta) of each {}",
    "running_mean": "the mean of each {}, as seen in training",
    "running_var": "the variance of each {}, as seen in training",
}


class Norm(Kind):
    """A normalisation with one learned scale and shift for each channel or feature.

    Attributes:
        size: the hyperparameter that says how many.
        axis: the name of that axis.
    """

    order: tuple[str, ...] = (
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    )
    size = "num_features"
    axis = "num_features"
    noun = "channel"

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """One axis: the channels; a batch counter has none."""
        if tensor == "num_batches_tracked" and rank == 0:
            return ()
        if tensor not in _MEANINGS or rank != 1:
            return None
        return ((self.axis, _MEANINGS[tensor].format(self.noun), self.size),)

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """Scales and running variances start at 1, the rest at 0."""
        if tensor in ("weight", "running_var"):
            return _ONES
        return _ZEROS if tensor in self.order else None


class ChannelNorm(Norm):
    """BatchNorm and InstanceNorm: statistics over the data for each channel."""

    def __init__(self, name: str, *, affine: bool, track: bool) -> None:
        self.name = name
        self.specs = (
            Spec("num_features", show="bare"),
            Spec("eps", 1e-5),
            Spec("momentum", 0.1),
            Spec("affine", affine),
            Spec("bias", True),  # noqa: FBT003
            Spec("track_running_stats", track),
        )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """The vectors' length is the number of channels."""
        size = next(shape[0] for shape in shapes.values() if len(shape) == 1)
        return {
            "num_features": size,
            "affine": "weight" in shapes,
            "bias": "bias" in shapes,
            "track_running_stats": "running_mean" in shapes,
        }


class FrozenBatchNorm(Norm):
    """A BatchNorm whose scale and shift are buffers too, as detectors have them in a backbone."""

    name = "FrozenBatchNorm2d"
    order = Norm.order[:4]
    frozen = True
    specs = (Spec("num_features", show="bare"), Spec("eps", 1e-5))

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """The vectors' length is the number of channels."""
        return {"num_features": shapes["running_mean"][0]}


class ShapeNorm(Norm):
    """LayerNorm and RMSNorm: statistics over the last axes of each example."""

    axis, size, noun = "normalized_shape", "normalized_shape", "feature"

    def __init__(self, name: str, *, eps: object, biased: bool) -> None:
        self.name = name
        self.biased = biased
        self.specs = (
            Spec("normalized_shape", show="bare"),
            Spec("eps", eps),
            Spec("elementwise_affine", True),  # noqa: FBT003
            *([Spec("bias", True)] if biased else []),  # noqa: FBT003
        )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """The scale's shape is what is normalised over."""
        known = {"normalized_shape": shapes["weight"], "elementwise_affine": True}
        return known | ({"bias": "bias" in shapes} if self.biased else {})

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """One axis for each axis normalised over."""
        if rank == 1 or tensor not in ("weight", "bias"):
            return super().axes(tensor, rank, h)
        return tuple(
            (f"normalized_shape_{i}", _MEANINGS[tensor].format("feature"), f"normalized_shape[{i}]")
            for i in range(rank)
        )


class GroupNorm(Norm):
    """GroupNorm: statistics over groups of channels of each example."""

    name = "GroupNorm"
    axis, size = "num_channels", "num_channels"
    specs = (
        Spec("num_groups", show="bare"),
        Spec("num_channels", show="bare"),
        Spec("eps", 1e-5),
        Spec("affine", True),  # noqa: FBT003
        Spec("bias", True),  # noqa: FBT003
    )

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """The channels show; the groups leave no trace."""
        return {"num_channels": shapes["weight"][0], "affine": True, "bias": "bias" in shapes}


KINDS: tuple[Kind, ...] = (
    *(ChannelNorm(f"BatchNorm{d}", affine=True, track=True) for d in ("", "1d", "2d", "3d")),
    ChannelNorm("SyncBatchNorm", affine=True, track=True),
    *(ChannelNorm(f"InstanceNorm{d}d", affine=False, track=False) for d in (1, 2, 3)),
    FrozenBatchNorm(),
    ShapeNorm("LayerNorm", eps=1e-5, biased=True),
    ShapeNorm("RMSNorm", eps=None, biased=False),
    GroupNorm(),
)
