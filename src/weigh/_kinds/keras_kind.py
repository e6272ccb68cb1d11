"""What Keras's layers have in common: axes the other way round than PyTorch's, outputs last.

The order of axes and the default initial values are those of the layers' ``build`` methods and
constructors (keras.io, "Keras layers API").
"""

from __future__ import annotations

from math import prod, sqrt

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial

ONES, ZEROS = Initial("constant", 1.0, 0.0), Initial("constant", 0.0, 0.0)
BIAS = Spec("use_bias", True, "changed")  # noqa: FBT003
ACTIVATION = Spec("activation", "linear", "changed")
IN = ("in_features", "one row for each input", "in_features")


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
        return ZEROS if tensor == "bias" and chosen in ("Zeros", "zeros", None) else None


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
