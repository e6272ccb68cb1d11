"""Values that are worked out from stored ones when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError, ValuesError
from weigh._facts import Extent, Values
from weigh._index import Region

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class MetaValues:
    """A tensor saved without values: from the meta device, or before a lazy layer made it.

    Attributes:
        dtype: the type it would have.
        shape: the size of each axis; None where a lazy layer has not seen its first input.
    """

    dtype: DType
    shape: tuple[int, ...] | None

    @property
    def extent(self) -> Extent | None:
        """None: it lies nowhere."""
        return None

    def read(self, region: Region) -> Any:  # noqa: ARG002
        """Refuse.

        Raises:
            ValuesError: always.
        """
        if self.shape is None:
            raise ValuesError(
                "it is not initialized: its layer was lazy and had not seen its first input"
            )
        raise ValuesError("it was saved from the meta device, so it has a shape but no values")


@dataclass(frozen=True, slots=True)
class PerChannelValues:
    """Quantized values with a scale and a zero point for each position along one axis.

    The scales are values of the same file, read only when these are.

    Args:
        stored: the integers.
        scales: one scale for each position along ``axis``.
        zero_points: as many zero points.
        axis: the axis the scales run along.

    Raises:
        FormatError: there is no such axis, or not one scale for each position along it.
    """

    stored: Values
    scales: Values
    zero_points: Values
    axis: int

    def __post_init__(self) -> None:
        shape = self.stored.shape or ()
        if not 0 <= self.axis < len(shape):
            raise FormatError("a quantized tensor's scales run along an axis that it lacks")
        if {self.scales.shape, self.zero_points.shape} != {(shape[self.axis],)}:
            raise FormatError("a quantized tensor has not one scale for each channel")

    @property
    def dtype(self) -> DType:
        """The type of the integers."""
        return self.stored.dtype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis."""
        return self.stored.shape

    @property
    def extent(self) -> Extent | None:
        """Where the integers lie."""
        return self.stored.extent

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region, dequantized: ``(stored - zero_point) * scale`` as float32."""
        import numpy as np  # loaded only when values are read

        n = self.axis
        channels = Region(
            (region.starts[n],), (region.counts[n],), (region.steps[n],), (region.kept[n],)
        )
        along = tuple(size if i == n else 1 for i, size in enumerate(region.counts))
        scales, zeros = (
            v.read(channels).astype(np.float32).reshape(along)
            for v in (self.scales, self.zero_points)
        )
        stored = self.stored.read(region).astype(np.float32).reshape(region.counts)
        return ((stored - zeros) * scales).reshape(region.shape)

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of the integers where they lie; see ``LyingValues.raw``."""
        given = getattr(self.stored, "raw", None)
        found: memoryview | None = None if given is None else given(start, stop)
        return found


@dataclass(frozen=True, slots=True)
class TurnedValues:
    """Values that PyTorch keeps as another tensor's with a flag: conjugated, negated or both.

    Attributes:
        stored: what lies in the file.
        conjugated: whether the imaginary parts have the other sign.
        negated: whether the numbers have the other sign.
    """

    stored: Values
    conjugated: bool
    negated: bool

    @property
    def dtype(self) -> DType:
        """The type of one value."""
        return self.stored.dtype

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The size of each axis."""
        return self.stored.shape

    @property
    def extent(self) -> Extent | None:
        """Where the stored values lie."""
        return self.stored.extent

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region and turn it."""
        values = self.stored.read(region)
        values = values.conj() if self.conjugated else values
        return -values if self.negated else values
