"""The values of a slice of a tensor, and what the slice is called."""

from __future__ import annotations

from math import gcd, prod
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._facts import Extent, Values
from weigh._index import Region
from weigh._record import record

if TYPE_CHECKING:
    import numpy as np


@record(frozen=True)
class Sliced:
    """The values of a slice of another tensor."""

    whole: Values
    region: Region

    @property
    def dtype(self) -> DType:
        return self.whole.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.region.shape

    @property
    def extent(self) -> Extent | None:
        return None

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        inner = self.region.then(region.slices)
        return self.whole.read(inner)

    def raw(self, start: int, stop: int) -> memoryview | None:
        first = self.region.run_in(self.whole.shape or ())
        given = getattr(self.whole, "raw", None)
        block, bits = self.dtype.block, self.dtype.bits
        unit = block if block > 1 else 8 // gcd(8, bits)  # values that take whole bytes
        if first is None or given is None or first % unit or prod(self.shape) % unit:
            return None
        found: memoryview | None = given(first + start, first + stop)
        return found

    def scheme(self, region: Region) -> str | None:
        return _scheme_of(self.whole, self.region.then(region.slices))


def whole_along(values: Values, axis: int) -> bool:
    """Whether values have all positions that their tensor has along an axis, and are no slice."""
    if not isinstance(values, Sliced):
        return True
    region, shape = values.region, values.whole.shape or ()
    inner = [at for at, kept in enumerate(region.kept) if kept][axis]
    return region.counts[inner] == shape[inner] and whole_along(values.whole, inner)


def scheme(values: Values, quantization: str | None, region: Region) -> str | None:
    """Tell the quantization of a slice: its own scales, where there is one for each channel."""
    if quantization is None or ", axis=" not in quantization:
        return quantization
    own = _scheme_of(values, region)
    if own is not None:
        return own
    told, _, axis = quantization.rpartition(", axis=")
    if not axis.isdecimal() or not region.kept[int(axis)]:
        return told
    return f"{told}, axis={sum(region.kept[: int(axis)])}"


def _scheme_of(values: Values, region: Region) -> str | None:
    """Ask values that know their scales for those of a region."""
    ask = getattr(values, "scheme", None)
    return None if ask is None else ask(region)


def index_text(parts: tuple[int | slice | EllipsisType, ...]) -> str:
    return ", ".join(
        "..."
        if part is ...
        else str(part)
        if isinstance(part, int)
        else ":".join("" if n is None else str(n) for n in _slice_parts(part))
        for part in parts
    )


def _slice_parts(part: slice) -> tuple[int | None, ...]:
    parts = (part.start, part.stop, part.step)
    return parts if part.step is not None else parts[:2]
