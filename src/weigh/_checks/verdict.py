"""What is known of one tensor: whether it is still as it was drawn, and how that was told."""

from __future__ import annotations

from math import inf
from typing import Literal

from weigh._model import Tensor
from weigh._record import record


@record(frozen=True)
class Verdict:
    """What is known of a tensor.

    Attributes:
        state: ``"start"``: as it was drawn; ``"moved"``: not so; ``"open"``: it may be either;
            ``"unknown"``: nobody says how it starts.
        how: by its last digits (``"marks"``), its distribution, or because all are equal.
        start: the start that it fits.
        fits: whether its distribution fits that start.
        constant: what all values are equal to.
        decides: whether that its values are all equal says by itself that it was never trained.
        uniform: whether that is a uniform distribution.
        default: whether it is that of the layer unless it is told otherwise.
        bits: how many bits speak for a generator's very numbers.
        changed: whether the last digits are not a generator's.
        distance: the Kolmogorov-Smirnov distance from the start.
        resolution: the least change, as a share of the spread, that would have shown.
        tests: how many starts it was compared with.
    """

    state: Literal["start", "moved", "open", "unknown"]
    how: Literal["marks", "distribution", "exact"] = "distribution"
    start: str = ""
    fits: bool = False
    uniform: bool = False
    default: bool = False
    constant: float = 0.0
    decides: bool = False
    bits: float = 0.0
    changed: bool = False
    distance: float | None = None
    resolution: float = inf
    tests: int = 1

    def settled(self, *, marked: bool) -> Verdict:
        """Take what lost its marks for moved, where others of the network have theirs."""
        return MOVED if marked and self.changed else self

    def evidence(self, tensor: Tensor) -> dict[str, object]:
        """Give the numbers behind it."""
        made: dict[str, object] = {"name": tensor.name, "values": tensor.count, "how": self.how}
        if self.how == "exact":
            return made | {"constant": self.constant}
        made |= {"start": self.start}
        if self.how == "marks":
            made["bits"] = None if self.bits == inf else round(self.bits, 1)
        if self.distance is not None:
            made |= {"distance": self.distance, "resolution": self.resolution}
        return made


UNKNOWN, MOVED = Verdict("unknown"), Verdict("moved")
