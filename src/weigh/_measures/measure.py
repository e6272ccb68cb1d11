"""Measuring tensors: every value is read once, by as many threads as there are processors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from weigh._errors import UnsupportedError, ValuesError
from weigh._measures.channels import Squares
from weigh._measures.crew import Crew, processors
from weigh._measures.feed import PIECE, Feed, feed_of, go_on, refuse_repetition, stored_feed
from weigh._measures.measured import Measured, Options
from weigh._measures.refine import Pieces, Within, exact_ranks
from weigh._measures.table import Table
from weigh._tensor import Tensor

if TYPE_CHECKING:
    pass

_INLINE = 1 << 20
"""Up to so many values are measured without threads, which take longer to start."""

SMALL = 1 << 16
"""Up to so many values a tensor is looked at twice without being asked: it takes no time."""


def measure(tensors: Sequence[Tensor], options: Options | None = None) -> Iterator[Measured]:
    """Measure tensors, in the order in which their values lie; give each when it is done.

    Whoever stops to listen stops the work: no thread goes on after the iterator is closed.

    Args:
        tensors: what to measure; each is read, also if it is tied to another.
        options: how.

    Raises:
        SourceError: the source cannot be read any more.
    """
    options = options or Options()
    ordered = _by_place(tensors)
    threads = options.threads or processors()
    if threads == 1 or sum(tensor.count or 0 for tensor in ordered) <= _INLINE:
        for tensor in ordered:
            yield _measured(tensor, options)
        return
    yield from _Crew(ordered, threads, options).run()


def table_of(tensor: Tensor, options: Options | None = None) -> Table:
    """Count the patterns of one tensor.

    Raises:
        ValuesError: its values cannot be had.
    """
    measured = measure_one(tensor, options)
    if measured.table is None:
        raise ValuesError(measured.problem)
    return measured.table


def measure_one(tensor: Tensor, options: Options | None = None) -> Measured:
    """Measure one tensor; see ``measure``."""
    return next(measure([tensor], options))


def _by_place(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Order tensors as their values lie, so that a file is read from its beginning to its end."""
    seen: dict[Hashable, int] = {}
    places = []
    for at, tensor in enumerate(tensors):
        extent = tensor.extent
        key = None if extent is None else extent.storage
        places.append((seen.setdefault(key, at), 0 if extent is None else extent.start, at))
    return [tensors[at] for _, _, at in sorted(places)]


def _measured(tensor: Tensor, options: Options, heed: Callable[[], None] = go_on) -> Measured:
    """Measure a whole tensor in this thread; ``heed`` may raise between pieces."""
    try:
        feed = _feed(tensor, heed)
        there = _where_it_is(tensor, feed, options, heed)
        if there is not None:
            _tell(options, tensor, feed, feed.count)
            return there
        table = Table(feed.dtype)
        squares = Squares.of(tensor) if options.channels else None
        start = 0
        for buffer, count in feed.pieces():
            if squares is None:
                table.add(buffer, count)
            else:
                squares.add(table, start, buffer, count)
            start += count
            _tell(options, tensor, feed, count)
        return _finished(tensor, feed, table, squares, options)
    except (ValuesError, UnsupportedError) as error:
        return Measured(tensor, None, problem=str(error))


def _where_it_is(
    tensor: Tensor, feed: Feed, options: Options, heed: Callable[[], None]
) -> Measured | None:
    """Measure a tensor in the memory of another device; None if it is not there."""
    lying = getattr(tensor.values, "on_device", None)
    # Of few values the counts take more room than they do; channels are added up here.
    if lying is None or feed.count <= SMALL or options.channels:
        return None
    with lying() as there:
        if there is None:
            return None
        # Only beside PyTorch, which is loaded then.
        from weigh._measures.device import device_table, numbers_within

        refuse_repetition(tensor.values)
        try:
            table = device_table(there, feed.dtype, heed=heed)
            if table is None:
                return None
            within = partial(numbers_within, there, feed.dtype, heed=heed)
            exact = second_look(table, feed.count, options, feed.pieces, within)
            return Measured(tensor, table, exact=exact)
        except (TypeError, RuntimeError, NotImplementedError):  # it lacks memory or an operation
            return None


def second_look(
    table: Table, size: int, options: Options, again: Pieces, within: Within | None = None
) -> dict[int, float]:
    """Find what quantiles need by a second look, where one is wanted or ``size`` is small."""
    if not options.exact and size > SMALL:
        return {}
    count, nan, posinf, neginf, *_ = table.summary()
    finite = count - nan - posinf - neginf
    return exact_ranks(table, finite, options.quantiles, again, within)


def counted(dtype: str, pieces: Pieces) -> Table:
    """Count all numbers that some pieces hold."""
    table = Table(dtype)
    for buffer, count in pieces():
        table.add(buffer, count)
    return table


def _feed(tensor: Tensor, heed: Callable[[], None]) -> Feed:
    if tensor.shape is None:
        raise ValuesError(f"{tensor.name} has no values before the layer's first input")
    feed = feed_of(tensor.values)

    def pieces() -> Iterator[tuple[memoryview, int]]:
        for piece in feed.pieces():
            heed()
            yield piece

    return Feed(feed.dtype, feed.count, feed.piece, pieces)


def _finished(
    tensor: Tensor, feed: Feed, table: Table, squares: Squares | None, options: Options
) -> Measured:
    """Add what a second look, the channels and the stored numbers tell."""
    exact = second_look(table, feed.count, options, feed.pieces)
    stored = None
    if tensor.dtype.family in ("quantized", "blocks"):
        kept = stored_feed(tensor.values)
        if kept.piece is not None:
            stored = counted(kept.dtype, kept.pieces)
    sums = None if squares is None else squares.sums()
    return Measured(tensor, table, stored, exact=exact, squares=sums)


def _tell(options: Options, tensor: Tensor, feed: Feed, count: int) -> None:
    """Say that so many more numbers were measured, as the bytes that they take where they lie."""
    if options.progress is not None and feed.count:
        options.progress((tensor.bytes or 0) * count // feed.count)


class _Job:
    """A large tensor that several threads share."""

    def __init__(self, tensor: Tensor, feed: Feed, squares: Squares | None) -> None:
        self.tensor, self.feed, self.squares = tensor, feed, squares
        self.table = Table(feed.dtype)
        self.left = feed.count
        self.problem = ""


class _Crew(Crew[Measured]):
    """Threads that take pieces of tensors, one after the other, from one list."""

    def __init__(self, tensors: Sequence[Tensor], threads: int, options: Options) -> None:
        super().__init__(threads)
        self._options = options
        self._waiting = deque(tensors)
        self._current: tuple[_Job, int] | None = None

    def _work(self) -> None:
        job: _Job | None = None
        table = None
        counted = 0
        while not self._stopped:
            taken = self._next()
            if isinstance(taken, tuple) and taken[0] is job and table is not None:
                counted += self._count(table, taken)
                continue
            if job is not None and table is not None:
                self._hand_in(job, table, counted)
            job, table, counted = None, None, 0
            if taken is None:
                break
            if isinstance(taken, tuple):
                job = taken[0]
                table = Table(job.feed.dtype)
                counted = self._count(table, taken)
            else:
                self._done.put(_measured(taken, self._options, self._heed))

    def _next(self) -> tuple[_Job, int] | Tensor | None:
        """Take the next piece of the tensor at hand, or the next tensor."""
        with self._lock:
            if self._current is None:
                if not self._waiting:
                    return None
                tensor = self._waiting.popleft()
                if (tensor.count or 0) <= PIECE:
                    return tensor
                try:
                    feed = _feed(tensor, self._heed)
                except (ValuesError, UnsupportedError):
                    return tensor
                if feed.piece is None:
                    return tensor
                squares = Squares.of(tensor) if self._options.channels else None
                self._current = (_Job(tensor, feed, squares), 0)
            job, start = self._current
            self._current = (job, start + PIECE) if start + PIECE < job.feed.count else None
            return job, start

    def _count(self, table: Table, taken: tuple[_Job, int]) -> int:
        job, start = taken
        feed, stop = job.feed, min(taken[1] + PIECE, job.feed.count)
        assert feed.piece is not None  # jobs are made of feeds that have it
        try:
            piece = feed.piece(start, stop)
            if job.squares is None:
                table.add(piece, stop - start)
            else:
                job.squares.add(table, start, piece, stop - start)
        except (ValuesError, UnsupportedError) as error:
            job.problem = job.problem or str(error)
        _tell(self._options, job.tensor, feed, stop - start)
        return stop - start

    def _hand_in(self, job: _Job, table: Table, counted: int) -> None:
        with self._lock:
            job.table.merge(table)
            job.left -= counted
            whole = not job.left
        if whole:
            self._done.put(self._outcome(job))

    def _outcome(self, job: _Job) -> Measured:
        if not job.problem:
            try:
                return _finished(job.tensor, job.feed, job.table, job.squares, self._options)
            except (ValuesError, UnsupportedError) as error:
                job.problem = str(error)
        return Measured(job.tensor, None, problem=job.problem)
