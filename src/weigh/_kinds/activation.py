"""Activations that learn: PReLU."""

from __future__ import annotations

from collections.abc import Mapping

from weigh._kinds.kind import AxisWords, Hypers, Kind, Shape, Spec
from weigh._model import Initial


class PReLU(Kind):
    """A rectifier that learns the slope of its negative side."""

    name = "PReLU"
    order = ("weight",)
    specs = (Spec("num_parameters", 1), Spec("init", 0.25, "never"))

    def infer(self, shapes: Mapping[str, Shape]) -> dict[str, object]:
        """One slope for each channel, or one for all."""
        return {"num_parameters": shapes["weight"][0]}

    def axes(self, tensor: str, rank: int, h: Hypers) -> tuple[AxisWords, ...] | None:
        """One axis: the slopes."""
        if tensor != "weight" or rank != 1:
            return None
        return (("num_parameters", "slope for negative inputs of each channel", "num_parameters"),)

    def initial(self, tensor: str, shape: Shape, h: Hypers) -> Initial | None:
        """0.25 unless the constructor says otherwise (He et al. 2015)."""
        init = h.value("init", 0.25)
        return Initial("constant", float(init), 0.0) if isinstance(init, float | int) else None


KINDS: tuple[Kind, ...] = (PReLU(),)
