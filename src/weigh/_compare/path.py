"""How each weight moved over several checkpoints: how far it is from the first, step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import inf
from typing import Any

from weigh._compare.laid import Laid, lay
from weigh._compare.matching import match_tensors
from weigh._errors import UnsupportedError, ValuesError
from weigh._measures.compare import Pair, compare
from weigh._measures.difference import Difference
from weigh._measures.measured import Options
from weigh._model import Network
from weigh._record import record
from weigh._shown import Shown
from weigh._tensor import Tensor

SETTLED = 0.01
"""A tensor has settled when all its later steps are below this share of its largest one."""


@record(frozen=True, eq=False)
class TensorPath:
    """How a tensor moved from one checkpoint to the next.

    Attributes:
        tensor: the tensor in the first checkpoint.
        from_first: for each later checkpoint, how far it is from the first, as a share of the
            first's norm; None where it is not there, or its values cannot be had.
        from_previous: how far it is from the checkpoint before, as a share of that one's norm.
        same: for each later checkpoint, whether it is equal bit for bit to the one before.
        stopped: the place of the checkpoint after which no bit of it changes; None if its last
            step is one, or it is not in all of them.
        settled: that after which its steps are below a hundredth of its largest; None likewise.
    """

    tensor: Tensor
    from_first: tuple[float | None, ...]
    from_previous: tuple[float | None, ...]
    same: tuple[bool, ...] = ()
    stopped: int | None = None
    settled: int | None = None

    @property
    def name(self) -> str:
        """Its name in the first checkpoint."""
        return self.tensor.name

    @property
    def largest_step(self) -> float:
        """The largest step from one checkpoint to the next."""
        return max((step for step in self.from_previous if step is not None), default=0.0)

    @property
    def last_step(self) -> float | None:
        """The step to the last checkpoint."""
        return self.from_previous[-1] if self.from_previous else None

    @property
    def moved(self) -> float | None:
        """How far the last checkpoint is from the first."""
        return self.from_first[-1] if self.from_first else None

    def record(self, sources: Sequence[str]) -> dict[str, Any]:
        """Give it as a flat mapping, for a table of another library."""
        made: dict[str, Any] = {"name": self.name, "count": self.tensor.count}
        for kind in ("from_first", "from_previous"):
            steps = enumerate(zip(sources[1:], getattr(self, kind), strict=True), 1)
            made |= {f"{kind}:{at}:{source}": step for at, (source, step) in steps}
        made["stopped"], made["settled"] = self.stopped, self.settled
        return made


@record(frozen=True, eq=False)
class PathReport(Shown):
    """How each tensor moved over several checkpoints.

    Attributes:
        sources: what the checkpoints are called, in the order in which they are followed.
        paths: one for each tensor of the first.
        others: what the first lacks, by the place of the checkpoint that has it.
        notes: what a reader should know besides.
        complete: whether all was compared, or the work was stopped before.
    """

    sources: tuple[str, ...]
    paths: tuple[TensorPath, ...]
    others: tuple[tuple[int, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = True

    def __iter__(self) -> Iterator[TensorPath]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def different(self) -> bool:
        """Whether anything moved."""
        return bool(self.others) or any(not all(path.same) for path in self.paths)

    def records(self) -> list[dict[str, Any]]:
        """Give a flat mapping a tensor, as ``pandas.DataFrame`` and ``polars.DataFrame`` take."""
        return [path.record(self.sources) for path in self.paths]


class Follower:
    """Follows the tensors of the first of several networks through the others.

    Args:
        sources: what the networks are called.
        networks: the networks, in order.
        tensors: which tensors of each are compared.
        options: how values are read.
        notes: what a reader should know besides.
    """

    def __init__(
        self,
        sources: Sequence[str],
        networks: Sequence[Network],
        tensors: Sequence[Sequence[Tensor]],
        options: Options | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._sources, self._networks, self._notes = tuple(sources), networks, notes
        self._tensors = tensors
        self._options = options or Options()
        self._first = [t for t in tensors[0] if t.tied_to is None]
        self._steps: dict[tuple[int, int, bool], Difference] = {}
        self._others: list[tuple[int, tuple[str, ...]]] = []
        self._done = self._wanted = 0

    @property
    def bytes(self) -> int:
        """How many bytes there are to compare: each step, and each way from the first."""
        return sum(tensor.bytes or 0 for tensor in self._first) * (2 * len(self._networks) - 3)

    @cached_property
    def _rows(self) -> list[list[Tensor | None]]:
        """For each tensor of the first, its counterpart in every network."""
        rows: list[list[Tensor | None]] = [[tensor] for tensor in self._first]
        for at, tensors in enumerate(self._tensors[1:], 1):
            found = match_tensors(self._first, tensors, threads=self._options.threads)
            if found.added:
                self._others.append((at, tuple(tensor.name for tensor in found.added)))
            others = {match.a.name: match.b for match in found.matches}
            for row, tensor in zip(rows, self._first, strict=True):
                row.append(others.get(tensor.name))
        return rows

    def run(self) -> Iterator[str]:
        """Compare everything, checkpoint by checkpoint; give the name of each tensor compared."""
        keys: list[tuple[int, int, bool]] = []
        pairs: list[Pair] = []
        for step in range(1, len(self._networks)):
            for at, row in enumerate(self._rows):
                for first in (True, False) if step > 1 else (True,):
                    one, other = row[0 if first else step - 1], row[step]
                    laid = _laid(one, other)
                    if laid is not None:
                        pairs.append(Pair(laid.a, laid.b, len(keys), False))  # noqa: FBT003
                        keys.append((at, step, first))
        self._wanted = len(pairs)
        for outcome in compare(pairs, self._options.threads, self._options.progress):
            at, step, first = keys[outcome.key]
            self._done += 1
            if outcome.difference is not None:
                self._steps[at, step, first] = outcome.difference
            yield self._first[at].name

    def report(self) -> PathReport:
        """Say what came of it so far."""
        complete = bool(self._wanted or not self._first) and self._done == self._wanted
        steps = range(1, len(self._networks))
        paths = []
        for at, tensor in enumerate(self._first):
            first = [self._steps.get((at, step, True)) for step in steps]
            previous = [self._steps.get((at, step, step == 1)) for step in steps]
            same = [found is not None and not found.changed_values for found in previous]
            there = None not in previous
            sizes = _sizes(previous)
            paths.append(
                TensorPath(
                    tensor=tensor,
                    from_first=_sizes(first),
                    from_previous=sizes,
                    same=tuple(same),
                    stopped=_quiet_from(same) if there else None,
                    settled=_quiet_from(_small(sizes)) if there else None,
                )
            )
        return PathReport(self._sources, tuple(paths), tuple(self._others), self._notes, complete)


def _laid(one: Tensor | None, other: Tensor | None) -> Laid | None:
    try:
        return lay(one, other) if one is not None and other is not None else None
    except (ValuesError, UnsupportedError):
        return None


def _sizes(steps: Sequence[Difference | None]) -> tuple[float | None, ...]:
    """Give how large steps are; infinite where what is not finite came or went."""
    return tuple(
        None
        if found is None
        else inf
        if found.changed_values and found.finite < found.count
        else found.relative_change
        for found in steps
    )


def _small(steps: Sequence[float | None]) -> list[bool]:
    """Say of each step whether it is a hundredth of the largest or less."""
    most = SETTLED * max((step for step in steps if step is not None and step < inf), default=0.0)
    return [step is not None and step <= most for step in steps]


def _quiet_from(quiet: Sequence[bool]) -> int | None:
    """Say after which checkpoint all steps are quiet; None if the last one is not."""
    loud = [at for at, still in enumerate(quiet) if not still]
    after = loud[-1] + 1 if loud else 0
    return after if after < len(quiet) else None


def in_order(names: Sequence[str]) -> list[str] | None:
    """Give names in the order of their numbers, where they stand in that of their letters.

    A shell lists epoch-10 before epoch-2. None if they are in order, or were put in another one.

    Examples:
        >>> in_order(["e-1.pt", "e-10.pt", "e-2.pt"])
        ['e-1.pt', 'e-2.pt', 'e-10.pt']
        >>> in_order(["last.pt", "first.pt", "e-2.pt"])
    """
    if list(names) != sorted(names):
        return None
    by_number = sorted(names, key=_numbered)
    return by_number if by_number != list(names) else None


def _numbered(name: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]
