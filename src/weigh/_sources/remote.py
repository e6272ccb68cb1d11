"""Files and folders in a far place, read by ranges: what all such places have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, NoReturn, Protocol, TypeVar
from urllib.parse import SplitResult

from weigh._errors import SourceError, WeighError
from weigh._sources.bytes import ByteSource, check_range
from weigh._sources.fetched import Fetched, joined
from weigh._sources.folder import check_inside

FIRST = 1 << 16
"""The first request asks for so many bytes: most headers fit, and it tells the size as well."""

AT_ONCE = 16
"""So many requests are under way at the same time, at most."""


_MOST = 1 << 22

A = TypeVar("A")
B = TypeVar("B")


class AbsentError(SourceError):
    """There is no object of that name: what was named may be a folder."""


class Piece(NamedTuple):
    """What a store answers to one request.

    Attributes:
        data: the bytes that came.
        size: the bytes of the whole object.
        version: what changes when the object does: its ETag, or when it was last changed.
    """

    data: memoryview
    size: int
    version: str


class Store(Protocol):
    """A place that keeps objects by keys, reduced to what reading takes.

    Its methods may be called from several threads at the same time. What passes in time is
    tried again, a bounded number of times; every failure is a ``SourceError``.
    """

    def get(self, key: str, start: int, stop: int, version: str | None) -> Piece:
        """Fetch bytes ``start`` to ``stop`` of an object with one request.

        Args:
            key: the object.
            start: the first byte.
            stop: where to stop; bytes past the object's end are left out.
            version: what the object must still be, for a store that can say so in a request.

        Raises:
            AbsentError: there is no such object.
            SourceError: it cannot be had, or is another now.
        """

    def list(self, prefix: str) -> tuple[list[str], list[str]]:
        """List the names of the files and of the folders right below a prefix.

        Args:
            prefix: a key that ends in ``/``, or nothing.

        Raises:
            SourceError: it cannot be listed, or the place has no lists.
        """

    def join(self, prefix: str, path: str) -> str:
        """Make the key of a path within a folder."""


class RemoteFile:
    """A file in a far place; every view takes one request at most.

    The first request asks for the first 64 KiB, and its answer tells the size and the version.
    Every later answer must be of the same version. Views may be taken from several threads.

    Args:
        store: the place.
        key: which object.
        name: what to call it in messages.
        beside: the folder it lies in.

    Raises:
        AbsentError: there is no such object.
        SourceError: it cannot be read.
    """

    def __init__(
        self, store: Store, key: str, *, name: str, beside: RemoteFolder | None = None
    ) -> None:
        self.name, self.beside = name, beside
        self._store, self._key, self._closed = store, key, False
        first = store.get(key, 0, FIRST, None)
        self.size, self._version = first.size, first.version
        self.identity: Hashable = ("remote", name, key, first.version)
        self._whole(first, 0, min(FIRST, first.size))
        self._fetched = Fetched(first.data)
        self._lock = threading.Lock()

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on, read-only.

        What is missing is fetched in one piece. Bytes that were fetched a moment ago are given
        again, as long as they are few.

        Raises:
            FormatError: the range reaches past the end.
            SourceError: the bytes cannot be had, or the file changed since it was opened.
        """
        check_range(offset, length, self.size)
        if self._closed:
            raise SourceError("the file is closed", do="Open it again.", where=self.name)
        stop = offset + length
        with self._lock:
            missing = self._fetched.missing(offset, stop, self.size)
            if missing is None:
                return self._fetched.join(offset, stop)
            start, end = missing
            # What is at hand on both sides: it may be gone when the answer comes.
            before = self._fetched.join(offset, max(offset, start))
            after = self._fetched.join(min(end, stop), stop)
        data = self._get(start, end)
        return joined([before, data[max(offset - start, 0) : stop - start], after])

    def expect(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Fetch small ranges that will be viewed, at the same time; near ones with one request.

        Args:
            ranges: the first byte of each, and the one after its last.
        """
        # What lies between two ranges of one request must fit, in all, among what is kept.
        gap = min(FIRST, _MOST // max(len(ranges), 1))
        wanted: list[tuple[int, int]] = []
        total = 0
        with self._lock:
            for start, stop in sorted(ranges):
                total += stop - start
                if total > _MOST:
                    break
                if self._fetched.missing(start, min(stop, self.size), self.size) is None:
                    continue
                if wanted and start - wanted[-1][1] <= gap and stop - wanted[-1][0] <= FIRST:
                    wanted[-1] = (wanted[-1][0], max(min(stop, self.size), wanted[-1][1]))
                else:
                    wanted.append((start, min(stop, self.size)))
        at_once(lambda one: self._get(*one), wanted)

    def _get(self, start: int, stop: int) -> memoryview:
        """Fetch a range, and keep it if it is small."""
        try:
            piece = self._store.get(self._key, start, stop, self._version)
            self._whole(piece, start, stop)
        except WeighError as error:
            raise error.at(self.name) from None
        with self._lock:
            self._fetched.add(start, piece.data)
        return piece.data

    def _whole(self, piece: Piece, start: int, stop: int) -> None:
        """Hold that an answer is of this version of the file, and is not cut short."""
        if (piece.size, piece.version) != (self.size, self._version):
            raise changed()
        if len(piece.data) != stop - start:
            raise SourceError(
                "the answer was cut short",
                seen=f"{len(piece.data):,} bytes where {stop - start:,} were asked for",
                do="Try again.",
            )

    def __deepcopy__(self, _: object) -> RemoteFile:
        return self

    def __reduce__(self) -> NoReturn:
        # Elsewhere, or later, the file may be another, and every offset into it wrong.
        raise TypeError(f"an open file is not pickled; open {self.name!r} again where it is read")

    def close(self) -> None:
        """Let go of what was fetched; views already given stay valid."""
        self._closed = True
        with self._lock:
            self._fetched = Fetched(memoryview(b""))


def literal_path(url: SplitResult) -> str:
    """Give what follows the host in a URL whose ``?``, ``#`` and ``%`` mean themselves.

    So it is with the keys of object stores, as their own tools take them.

    Examples:
        >>> from urllib.parse import urlsplit
        >>> literal_path(urlsplit("s3://bucket/50%20?.pt"))
        '/50%20?.pt'
    """
    return url._replace(scheme="", netloc="").geturl()


def changed() -> SourceError:
    """Make the error for a file that is another one than when it was opened."""
    return SourceError("the file changed while it was being read", do="Open it again.")


def at_once(ask: Callable[[A], B], of: Sequence[A]) -> list[B]:
    """Ask about several things, sixteen at a time; the first failure in their order is raised."""
    if len(of) < 2:
        return [ask(one) for one in of]
    pool = ThreadPoolExecutor(min(AT_ONCE, len(of)), "weigh")
    try:
        return list(pool.map(ask, of))
    finally:
        # After a failure, what has not begun need not begin.
        pool.shutdown(cancel_futures=True)


class RemoteFolder:
    """A folder in a far place.

    Args:
        store: the place.
        prefix: what the keys of everything in it begin with.
        name: what to call it in messages; ends in ``/``.
    """

    far = True

    def __init__(self, store: Store, prefix: str, *, name: str) -> None:
        self.name = name
        self._store, self._prefix = store, prefix
        self._listed: tuple[list[str], list[str]] | None = None

    def files(self) -> list[str]:
        """List the names of the files right in this folder, sorted; asked for once.

        Raises:
            SourceError: it cannot be listed.
        """
        return list(self._list()[0])

    def folders(self) -> list[str]:
        """List the names of the folders right in this one, sorted; asked for once.

        Raises:
            SourceError: it cannot be listed.
        """
        return list(self._list()[1])

    def _list(self) -> tuple[list[str], list[str]]:
        if self._listed is None:
            files, folders = self._store.list(self._prefix)
            self._listed = sorted(files), sorted(folders)
        return self._listed

    def open(self, path: str) -> RemoteFile:
        """Open a file by its path from here, with one request.

        Raises:
            FormatError: the path leads out of the folder.
            SourceError: there is no such file, or it cannot be read.
        """
        check_inside(path)
        name = self.name + path
        try:
            key = self._store.join(self._prefix, path)
            return RemoteFile(self._store, key, name=name, beside=self)
        except WeighError as error:
            raise error.at(name) from None

    def open_all(self, paths: Sequence[str]) -> list[ByteSource]:
        """Open several files, sixteen at a time; see ``open``."""
        for path in paths:
            check_inside(path)
        return list(at_once(self.open, paths))

    def folder(self, path: str) -> RemoteFolder:
        """Give a folder within this one; there is one where a key begins with its name.

        Raises:
            FormatError: the path leads out of this folder.
            SourceError: there is no such folder, or the place has no lists.
        """
        check_inside(path)
        prefix = self._store.join(self._prefix, path) + "/"
        found = RemoteFolder(self._store, prefix, name=f"{self.name}{path}/")
        if not any(found._list()):
            raise SourceError("there is no such folder", where=found.name)
        return found
