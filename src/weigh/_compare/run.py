"""The way through a comparison: what belongs together is laid side by side, read, and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._compare.change import TensorChange
from weigh._compare.codes import coded, leaves_of
from weigh._compare.content import same_content
from weigh._compare.judge import UNRELATED, Judge
from weigh._compare.laid import Laid, lay, with_order
from weigh._compare.match import Match, Matching
from weigh._compare.matching import match_tensors
from weigh._compare.report import DiffReport
from weigh._compare.shared import shared_memory
from weigh._compare.story import story_of
from weigh._errors import UnsupportedError, ValuesError
from weigh._measures.compare import Pair, compare
from weigh._measures.groups import check_axis
from weigh._measures.measured import Options
from weigh._model import Network
from weigh._tensor import Tensor


class Differ:
    """Compares two networks, so that what is done can be seen before all is done.

    Args:
        a: one network.
        b: the other.
        tensors: which tensors of each are compared, and what belongs to them in the other.
        by: an axis by whose positions changes are told too; "" for none.
        rank: whether the ranks of changes are looked for.
        options: how values are read.

    Raises:
        UnknownNameError: there is no such axis.
    """

    def __init__(
        self,
        a: Network,
        b: Network,
        tensors: tuple[Sequence[Tensor], Sequence[Tensor]],
        *,
        by: str = "",
        rank: bool = True,
        options: Options | None = None,
    ) -> None:
        self._a, self._b, self._tensors = a, b, tensors
        self._by = by
        self._options = options or Options()
        self._judge = Judge(self._options, by=by, rank=rank)
        if by:
            check_axis(tensors[0], by, ())
        self._matching: Matching | None = None
        self._changes: dict[str, TensorChange] = {}
        self._leaves = leaves_of(a), leaves_of(b)
        self._complete = False

    @property
    def bytes(self) -> int:
        """How many bytes of A there are to read, those of matrices twice for their ranks."""
        return sum(
            (tensor.bytes or 0) * (2 if self._judge.looks_twice(tensor) else 1)
            for tensor in self._tensors[0]
            if not tensor.tied_to
        )

    def run(self) -> Iterator[str]:
        """Compare everything; give the name of each tensor when it is done."""
        self._matching = match_tensors(
            self._a.tensors(),
            self._b.tensors(),
            only=self._tensors,
            threads=self._options.threads,
        )
        yield from self._compared(self._matching.matches)
        yield from self._moved(self._matching)
        self._complete = True

    def report(self) -> DiffReport:
        """Say what came of it so far; ``complete`` says whether it is all."""
        matching = self._matching or Matching((), (), ())
        changes = [
            *self._changes.values(),
            *(TensorChange("removed", tensor, None) for tensor in matching.removed),
        ]
        order = {tensor.name: at for at, tensor in enumerate(self._a.tensors())}
        changes.sort(key=lambda change: order[change.name])
        changes += [TensorChange("added", None, tensor) for tensor in matching.added]
        formats = self._a.format, self._b.format
        story = story_of(changes, formats, matching.ties) if self._complete else ()
        notes = shared_memory(self._a, self._b, matching.matches) if self._complete else ()
        return DiffReport(
            tuple(changes), matching.ties, story, formats, self._by, notes, self._complete
        )

    def _compared(self, matches: Sequence[Match]) -> Iterator[str]:
        laid: dict[int, Laid] = {}
        for outcome in compare(
            self._pairs(matches, laid), self._options.threads, self._options.progress
        ):
            match = matches[outcome.key]
            self._changes[match.a.name] = self._judge.change(match, laid.pop(outcome.key), outcome)
            if self._options.progress is not None and self._judge.looks_twice(match.a):
                self._options.progress(match.a.bytes or 0)
            yield match.a.name

    def _moved(self, matching: Matching) -> Iterator[str]:
        """Look among tensors of one name and unlike values for layers that changed places."""
        far = [m for m in matching.matches if _unlike(self._changes[m.a.name])]
        moved = self._elsewhere(far, matching)
        if moved:  # what is left of layers that moved may be somewhere else by chance
            from_layers = {match.a.layer for match in moved}
            to_layers = {match.b.layer for match in moved}
            known = {match.a.name for match in far}
            far += [
                m
                for m in matching.matches
                if (m.a.layer in from_layers or m.b.layer in to_layers)
                and self._changes[m.a.name].kind in ("changed", "reshaped")
                and m.a.name not in known
            ]
            moved = self._elsewhere(far, matching)
        if not moved:
            return
        ones = [*(match.a for match in far), *matching.removed]
        others = [*(match.b for match in far), *matching.added]
        gone, come = {match.a.name for match in moved}, {match.b.name for match in moved}
        matches = [m for m in matching.matches if m.a.name not in gone and m.b.name not in come]
        matches += moved
        left_a, left_b = {m.a.name for m in matches}, {m.b.name for m in matches}
        self._matching = Matching(
            tuple(matches),
            tuple(one for one in ones if one.name not in left_a),
            tuple(other for other in others if other.name not in left_b),
            matching.ties,
        )
        for match in far:
            if match.a.name in gone or match.b.name in come:
                del self._changes[match.a.name]
        yield from self._compared(moved)

    def _elsewhere(self, far: Sequence[Match], matching: Matching) -> list[Match]:
        """Find the values of tensors under other names than those that they were paired by."""
        if not far:
            return []
        ones = [*(match.a for match in far), *matching.removed]
        others = [*(match.b for match in far), *matching.added]
        paired = {(match.a.name, match.b.name) for match in far}
        found = same_content(ones, others, self._options.threads)
        return [
            Match(a, b, "content", order=order)
            for a, b, order in found
            if (a.name, b.name) not in paired
        ]

    def _pairs(self, matches: Sequence[Match], laid: dict[int, Laid]) -> Iterator[Pair]:
        for key, match in enumerate(matches):
            codes = coded(match, self._leaves)
            if codes:
                self._changes[match.a.name] = TensorChange.of("unread", match, problem=codes)
                continue
            try:
                if match.order is None:
                    found = lay(match.a, match.b)
                else:
                    found = with_order(match.a, match.b, match.order)
            except (ValuesError, UnsupportedError) as error:
                self._changes[match.a.name] = TensorChange.of("unread", match, problem=str(error))
                continue
            if found is None:
                shapes = f"{list(match.a.shape or ())} and {list(match.b.shape or ())}"
                words = f"the shapes {shapes} have nothing in common"
                self._changes[match.a.name] = TensorChange.of("reshaped", match, words=words)
                continue
            laid[key] = found
            yield Pair(found.a, found.b, key)


def _unlike(change: TensorChange) -> bool:
    """Whether two tensors that were paired by their names have nothing in common."""
    found = change.difference
    if change.found_by == "content" or change.a is None or change.b is None:
        return False
    if change.kind == "reshaped" and change.a.count != change.b.count:
        return found is None or bool(found.changed_values)
    return (
        change.kind == "changed"
        and found is not None
        and found.cosine is not None
        and abs(found.cosine) < UNRELATED
    )
