"""What is measured of a tensor, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from weigh._measures.statistics import QUANTILES, Statistics
from weigh._measures.table import Table
from weigh._record import field, record
from weigh._tensor import Tensor

if TYPE_CHECKING:
    from weigh._measures._kernels import ChannelSums


@record(frozen=True)
class Measured:
    """A tensor's tables.

    Attributes:
        tensor: what was measured.
        table: of its values; None if they cannot be had.
        stored: of a quantized tensor, the table of what is stored for them: its integers, or the
            bytes of its blocks.
        problem: why the values cannot be had.
        exact: the values of the ranks that quantiles need, where a second look found them.
        squares: the sum of squares of each output channel, if they were asked for.
    """

    tensor: Tensor
    table: Table | None
    stored: Table | None = None
    problem: str = ""
    exact: dict[int, float] = field(default_factory=dict)
    squares: ChannelSums | None = None

    def statistics(self, quantiles: Sequence[float] = QUANTILES) -> Statistics | None:
        """Work out the statistics; None if there are no values."""
        return None if self.table is None else Statistics.of(self.table, quantiles, self.exact)


@record(frozen=True)
class Options:
    """How tensors are measured.

    Attributes:
        quantiles: which are made exact, if any are.
        exact: whether the values are looked at again, for quantiles that are exact.
        threads: how many threads share the work; 0 for one a processor.
        progress: told, from any thread, how many more bytes were done.
        channels: whether the squares of each output channel are added up too.
    """

    quantiles: Sequence[float] = QUANTILES
    exact: bool = False
    threads: int = 0
    progress: Callable[[int], None] | None = None
    channels: bool = False
