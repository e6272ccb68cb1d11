"""The statistics of a whole network: a row for each tensor or group, and the total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

from weigh._errors import UnknownNameError, UnsupportedError, ValuesError
from weigh._measures.groups import GROUPS, axis_of, check_axis, group_of, measure_positions
from weigh._measures.measure import measure
from weigh._measures.measured import Measured, Options
from weigh._measures.statistics import Statistics, quantiles_of
from weigh._measures.table import Table
from weigh._model import Network, Tensor
from weigh._record import field, record
from weigh._shown import Shown

BINS = 16
"""How many bins the small histogram of a row has."""


@record(frozen=True)
class StatisticsRow:
    """The statistics of one tensor, of one position on its axis, or of a group of tensors.

    Attributes:
        name: the tensor's, or the group's.
        statistics: of its values; None where they cannot be had.
        tensor: the tensor, or its slice; None for a group.
        tensors: how many tensors went in.
        stored: of a quantized tensor, the statistics of the integers or bytes that are stored.
        problem: why there are no values.
        tied_to: the name under which the very same tensor has its statistics.
        low: where the small histogram begins: the quantile 0.001.
        high: where it ends: the quantile 0.999.
        bins: its counts, in bins of one width; values beyond its ends are in the outermost.
    """

    name: str
    statistics: Statistics | None
    tensor: Tensor | None = None
    tensors: int = 1
    stored: Statistics | None = None
    problem: str = ""
    tied_to: str | None = None
    low: float = 0.0
    high: float = 0.0
    bins: tuple[int, ...] = ()

    def record(self) -> dict[str, Any]:
        """Give the row as a flat mapping, a number a key, for a table of another library."""
        made: dict[str, Any] = {"name": self.name, "tensors": self.tensors}
        found = self.statistics
        for each in Statistics.__match_args__:
            if each == "quantiles":
                quantiles = {} if found is None else found.quantiles
                made |= {f"q{key}": value for key, value in quantiles.items()}
            else:
                made[each] = None if found is None else getattr(found, each)
        return made | {"tied_to": self.tied_to, "problem": self.problem}


@record(frozen=True)
class StatisticsReport(Shown):
    """What ``weigh.stats`` gives: its rows in the network's order, and their total.

    Attributes:
        rows: one for each tensor, or whatever they were grouped by.
        total_row: their total, over all parameters, each once; over all tensors if none is a
            parameter.
        by: what the rows are grouped by; empty for a row a tensor.
        of_parameters: whether the total is that of the parameters.
        complete: whether all that was asked for was measured, or the work was stopped before.

    Examples:
        >>> import numpy, weigh
        >>> found = weigh.stats({"a.weight": numpy.array([[1.0, 3.0]]), "a.bias": numpy.zeros(1)})
        >>> found["a.weight"].mean, found.total.count, [row.name for row in found]
        (2.0, 3, ['a.weight', 'a.bias'])
    """

    rows: tuple[StatisticsRow, ...]
    total_row: StatisticsRow
    by: str = ""
    of_parameters: bool = True
    complete: bool = True
    _places: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Statistics:
        """The statistics of all parameters together."""
        found = self.total_row.statistics
        assert found is not None  # a total of nothing has a count of 0
        return found

    def __iter__(self) -> Iterator[StatisticsRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Statistics:
        """Give the statistics of a row by its name.

        Raises:
            UnknownNameError: there is no such row, or it has no values.
        """
        if name not in self._places:
            raise UnknownNameError(f"there are no statistics of {name!r}")
        row = self.rows[self._places[name]]
        if row.tied_to in self._places:
            row = self.rows[self._places[row.tied_to or ""]]
        if row.statistics is None:
            raise UnknownNameError(f"there are no statistics of {name!r}", seen=row.problem)
        return row.statistics

    def records(self) -> list[dict[str, Any]]:
        """Give the rows as flat mappings, as ``pandas.DataFrame`` and ``polars.DataFrame`` take."""
        return [row.record() for row in self.rows]


class Collector:
    """Gathers what is measured, so that what is done can be seen before all is done.

    Args:
        network: whose tensors they are.
        tensors: which of them are wanted.
        by: what to group by: ``"layer"``, ``"kind"``, ``"dtype"``, ``"role"`` or an axis.
        options: how they are measured.

    Attributes:
        format: the network's.
        by: what is grouped by.
        options: how is measured.

    Raises:
        UnknownNameError: there is no such axis.
    """

    def __init__(
        self, network: Network, tensors: Sequence[Tensor], by: str, options: Options
    ) -> None:
        self.by, self.options = by, options
        self.format = network.format
        self._wanted = list(tensors)
        self._axis = bool(by) and by not in GROUPS
        if self._axis:
            check_axis(self._wanted, by)
            self._wanted = [t for t in self._wanted if axis_of(t, by) is not None]
        self._rows: dict[str, list[StatisticsRow]] = {}
        self._groups: dict[str, tuple[Table, int]] = {}
        self._totals: dict[str, Table] = {}
        self._totalled: set[str] = set()
        self._kinds = {
            path: layer.kind for path, layer in network.named_modules(remove_duplicate=False)
        }
        names = {tensor.name for tensor in self._wanted}
        self._tied = {t.name: t.tied_to for t in self._wanted if t.tied_to in names}
        self._parameters = any(t.role == "parameter" for t in self._wanted)

    @property
    def wanted(self) -> list[Tensor]:
        """The tensors that rows are about, tied ones under each of their names."""
        return list(self._wanted)

    @property
    def bytes(self) -> int:
        """How many bytes the tensors take that have to be measured."""
        return sum(tensor.bytes or 0 for tensor in self.tensors)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that have to be measured: of tied ones, one."""
        return [tensor for tensor in self._wanted if tensor.name not in self._tied]

    def run(self) -> Iterator[str]:
        """Measure everything; give the name of each tensor when it is done."""
        if not self._axis:
            for measured in measure(self.tensors, self.options):
                self._take(measured)
                yield measured.tensor.name
            return
        for tensor in self.tensors:
            axis = axis_of(tensor, self.by)
            rows = self._rows.setdefault(tensor.name, [])
            try:
                for measured in measure_positions(tensor, axis or 0, self.options):
                    rows.append(self._row(measured, f"{tensor.name}[{self.by}={len(rows)}]"))
                    self._add_total(tensor, measured.table)
            except (ValuesError, UnsupportedError) as error:
                rows.append(StatisticsRow(tensor.name, None, tensor, problem=str(error)))
            yield tensor.name

    def report(self) -> StatisticsReport:
        """Give the rows so far; ``complete`` says whether they are all."""
        total = Table("mixed") if len(self._totals) != 1 else next(iter(self._totals.values()))
        if len(self._totals) > 1:
            for table in self._totals.values():
                total.merge(table)
        rows = self._tensor_rows()
        if self.by and not self._axis:
            rows = [*self._group_rows(), *(row for row in rows if row.problem)]
        missing = any(tensor.name not in self._rows for tensor in self.tensors)
        name = "(all parameters)" if self._parameters else "(all tensors)"
        return StatisticsReport(
            tuple(rows),
            self._table_row(name, total, len(self._totalled)),
            self.by,
            self._parameters,
            not missing,
            {row.name: at for at, row in enumerate(rows)},
        )

    def _take(self, measured: Measured) -> None:
        tensor, table = measured.tensor, measured.table
        self._rows[tensor.name] = []
        self._add_total(tensor, table)
        if not self.by or table is None:
            self._rows[tensor.name].append(self._row(measured, tensor.name))
        else:
            key = group_of(tensor, self.by, self._kinds)
            before, count = self._groups.get(key, (None, 0))
            self._groups[key] = (table if before is None else before + table, count + 1)

    def _add_total(self, tensor: Tensor, table: Table | None) -> None:
        if table is None or (self._parameters and tensor.role != "parameter"):
            return
        self._totalled.add(tensor.name)
        self._totals.setdefault(table.dtype, Table(table.dtype)).merge(table)

    def _row(self, measured: Measured, name: str) -> StatisticsRow:
        table, stored = measured.table, measured.stored
        if table is None:
            return StatisticsRow(name, None, measured.tensor, problem=measured.problem)
        found = measured.statistics(self.options.quantiles)
        inside = Statistics.of(stored) if stored is not None else None
        low, high, bins = small_histogram(table)
        return StatisticsRow(
            name, found, measured.tensor, stored=inside, low=low, high=high, bins=bins
        )

    def _table_row(self, name: str, table: Table, tensors: int) -> StatisticsRow:
        """Make the row of several tensors."""
        low, high, bins = small_histogram(table)
        found = Statistics.of(table, self.options.quantiles)
        return StatisticsRow(name, found, tensors=tensors, low=low, high=high, bins=bins)

    def _tensor_rows(self) -> list[StatisticsRow]:
        rows: list[StatisticsRow] = []
        for tensor in self._wanted:
            tied = self._tied.get(tensor.name)
            if tied is not None:
                rows.append(StatisticsRow(tensor.name, None, tensor, tied_to=tied))
            rows.extend(self._rows.get(tensor.name, ()))
        return rows

    def _group_rows(self) -> list[StatisticsRow]:
        rows = [self._table_row(name, *group) for name, group in self._groups.items()]
        backwards = enumerate(reversed(self._wanted))
        order = {group_of(t, self.by, self._kinds): at for at, t in backwards}
        return sorted(rows, key=lambda row: -order[row.name])


def small_histogram(table: Table) -> tuple[float, float, tuple[int, ...]]:
    """Count the values in a few bins between two quantiles, so that outliers spoil nothing."""
    finite = table.below(inf)
    if not finite:
        return 0.0, 0.0, ()
    ends, _ = quantiles_of(table, finite, (0.001, 0.999), {})
    low, high = ends["0.001"], ends["0.999"]
    step = (high - low) / BINS
    if not step or step == inf:
        return low, high, ()
    inner = [low + step * at for at in range(1, BINS)]
    return low, high, tuple(table.histogram([-inf, *inner, inf]))
