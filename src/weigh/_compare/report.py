"""What ``weigh.diff`` gives: what became of each tensor, and the story that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from weigh._compare.change import Kind, TensorChange
from weigh._compare.conclusion import Conclusion
from weigh._compare.match import Tie
from weigh._errors import UnknownNameError
from weigh._record import field, record
from weigh._shown import Shown


@record(frozen=True, eq=False)
class DiffReport(Shown):
    """What changed between two networks A and B.

    Attributes:
        changes: what became of each tensor, in the order of A, then what B alone has.
        ties: what is one tensor with another in one of them only.
        story: what happened on the whole, in words; each is inferred from the numbers beside it.
        formats: the formats of A and B.
        by: the axis by whose positions the changes are told too; "" for none.
        notes: what a reader should know besides.
        complete: whether all was compared, or the work was stopped before.

    Examples:
        >>> import numpy, weigh
        >>> a = {"fc.weight": numpy.ones((2, 3), "f4"), "fc.bias": numpy.zeros(2, "f4")}
        >>> report = weigh.diff(a, a | {"fc.bias": numpy.ones(2, "f4")})
        >>> [change.name for change in report.of("changed")], report["fc.bias"].difference.max_abs
        (['fc.bias'], 1.0)
    """

    changes: tuple[TensorChange, ...]
    ties: tuple[Tie, ...] = ()
    story: tuple[Conclusion, ...] = ()
    formats: tuple[str, str] = ("", "")
    by: str = ""
    notes: tuple[str, ...] = ()
    complete: bool = True
    _places: Mapping[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[TensorChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __getitem__(self, name: str) -> TensorChange:
        """Give what became of a tensor, by its name in A, or in B if A has none of it.

        Raises:
            UnknownNameError: there is none.
        """
        if not self._places:
            places = {change.name: at for at, change in reversed(list(enumerate(self.changes)))}
            object.__setattr__(self, "_places", places)
        if name not in self._places:
            raise UnknownNameError(f"neither network has a tensor {name!r}")
        return self.changes[self._places[name]]

    def of(self, kind: Kind) -> list[TensorChange]:
        """List what became of tensors in one way: ``"changed"``, ``"added"``..."""
        return [change for change in self.changes if change.kind == kind]

    @property
    def different(self) -> bool:
        """Whether there is any difference: in values, names, shapes, dtypes or ties."""
        return any(change.kind != "unchanged" for change in self.changes) or any(
            tie.change != "stored once" for tie in self.ties
        )

    def records(self) -> list[dict[str, Any]]:
        """Give a flat mapping a tensor, as ``pandas.DataFrame`` and ``polars.DataFrame`` take."""
        return [change.record() for change in self.changes]
