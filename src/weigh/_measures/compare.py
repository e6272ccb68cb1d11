"""Comparing pairs of tensors: both are read once, by as many threads as there are processors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

from weigh._errors import UnsupportedError, ValuesError
from weigh._facts import Values
from weigh._measures.crew import Crew, processors
from weigh._measures.difference import Difference, unchanged
from weigh._measures.pairs import PairFeed
from weigh._record import record


@record(frozen=True, eq=False)
class Pair:
    """Two tensors that are held against each other.

    Attributes:
        a: the values of one.
        b: those of the other, of the same shape.
        key: what tells this pair from others to whoever asked.
        counted: whether the changes are counted, for their statistics and their histogram.
    """

    a: Values
    b: Values
    key: int = 0
    counted: bool = True


@record(frozen=True)
class Outcome:
    """What came of a pair.

    Attributes:
        key: the pair's.
        difference: how its values differ; None if they cannot be had.
        problem: why not.
    """

    key: int
    difference: Difference | None
    problem: str = ""


def compare(
    pairs: Iterable[Pair], threads: int = 0, progress: Callable[[int], None] | None = None
) -> Iterator[Outcome]:
    """Compare pairs of tensors; give each when it is done, in no certain order.

    Whoever stops to listen stops the work: no thread goes on after the iterator is closed.

    Args:
        pairs: what to compare.
        threads: how many share the work; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of the first tensors were compared.

    Raises:
        SourceError: a source cannot be read any more.
    """
    yield from _Crew(pairs, threads or processors(), progress).run()


class _Job:
    """A pair, and what is known of it so far."""

    def __init__(self, pair: Pair, heed: Callable[[Pair, int], None]) -> None:
        self.pair = pair
        self.problem = ""
        self.changed: int | None = None
        self.left = 1
        self.stretches: list[tuple[int, int]] = [(0, 0)]
        try:
            self.feed = PairFeed(pair.a, pair.b, partial(heed, pair))
            self.found = self.feed.comparison(counted=pair.counted)
            self.stretches = self.feed.stretches()
            self.left = len(self.stretches)
        except (ValuesError, UnsupportedError) as error:
            self.problem = str(error)

    def look(self, start: int, stop: int, lock: threading.Lock) -> None:
        """Compare a part."""
        try:
            found = self.feed.comparison(counted=self.pair.counted)
            changed = self.feed.add(found, start, stop, skip=True)
            with lock:
                self.found.merge(found)
                self.changed = changed
        except (ValuesError, UnsupportedError) as error:
            self.problem = self.problem or str(error)

    def outcome(self) -> Outcome:
        """Say what came of it."""
        key = self.pair.key
        if not self.problem:
            try:
                if not self.found.found()[1] and not self.changed:
                    return Outcome(key, unchanged(self.feed.count * self.feed.parts))
                self.feed.squares(self.found)
                parts, shape = self.feed.parts, self.feed.shape
                return Outcome(key, Difference.of(self.found, shape, parts, self.changed))
            except (ValuesError, UnsupportedError) as error:
                self.problem = str(error)
        return Outcome(key, None, self.problem)


class _Crew(Crew[Outcome]):
    """Threads that take parts of pairs in order, so that files are read from their beginnings."""

    def __init__(
        self, pairs: Iterable[Pair], threads: int, progress: Callable[[int], None] | None
    ) -> None:
        super().__init__(threads)
        self._progress = progress
        self._tasks = chain.from_iterable(self._parts(pair) for pair in pairs)

    def _work(self) -> None:
        while not self._stopped:
            with self._lock:
                task = next(self._tasks, None)
            if task is None:
                break
            job, start, stop = task
            if not job.problem:
                job.look(start, stop, self._lock)
            with self._lock:
                job.left -= 1
                whole = not job.left
            if whole:
                self._done.put(job.outcome())

    def _parts(self, pair: Pair) -> Iterator[tuple[_Job, int, int]]:
        job = _Job(pair, self._went_on)
        for start, stop in job.stretches:
            yield job, start, stop

    def _went_on(self, pair: Pair, count: int) -> None:
        self._heed()
        if self._progress is not None and count:
            self._progress(pair.a.dtype.size_of(count))
