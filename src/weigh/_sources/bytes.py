"""Where bytes come from: a local file here; other places give the same few methods."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import stat
import weakref
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from weigh._errors import FormatError, SourceError

if TYPE_CHECKING:
    from weigh._sources.folder import Folder

SMALL = 1 << 18
"""Up to this many bytes a local view is read, not mapped: headers stay cheap and safe."""

_NEIGHBOURS = 10_000


class ByteSource(Protocol):
    """A run of bytes that can be read from any place.

    A reader of values asks for one contiguous range at a time, so that a remote place can
    answer it with one request.
    """

    @property
    def name(self) -> str:
        """The path or URL, for messages."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def identity(self) -> Hashable:
        """What tells these bytes from every other source's."""

    @property
    def beside(self) -> Folder | None:
        """The folder it lies in, where there is one: for formats of several files."""

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on, read-only.

        Raises:
            FormatError: the range reaches past the end.
            SourceError: the bytes cannot be had.
        """

    def close(self) -> None:
        """Let go of the source; closing twice is fine."""


def check_range(offset: int, length: int, size: int) -> None:
    """Refuse a range that does not lie inside ``size`` bytes.

    Raises:
        FormatError: it does not.

    Examples:
        >>> check_range(0, 8, 8)
    """
    if offset < 0 or length < 0:
        raise FormatError("a range of bytes has a negative bound", seen=f"{offset} and {length}")
    if offset + length > size:
        raise FormatError(
            "the file ends early",
            seen=f"{size:,} bytes where {offset + length:,} are needed",
            do="It may be cut short: fetch it again.",
        )


def expect(source: ByteSource, ranges: Sequence[tuple[int, int]]) -> None:
    """Tell a source which small ranges will be viewed one by one.

    A far place fetches them at the same time; one that does not say ``expect`` is near.

    Args:
        source: the bytes.
        ranges: the first byte of each, and the one after its last.

    Raises:
        SourceError: the bytes cannot be had.
    """
    told = getattr(source, "expect", None)
    if told is not None:
        told(ranges)


def taken(source: ByteSource, offset: int, length: int) -> bytes:
    """Copy bytes of a source; a local file's are never mapped, so that none stay in memory.

    Raises:
        FormatError: the range reaches past the end.
        SourceError: the bytes cannot be had.
    """
    take = getattr(source, "take", None)
    return bytes(source.view(offset, length)) if take is None else take(offset, length)


class LocalFile:
    """A file on this machine, opened read-only; nothing is read until asked for.

    Args:
        path: where the file is.
        name: what to call it in messages, if not by its path.
        beside: the folder it was found in, if it was found in one.

    Raises:
        SourceError: it is missing, not a plain file, or may not be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        beside: Folder | None = None,
    ) -> None:
        self.name = os.fspath(path) if name is None else name
        self.beside = beside
        self._fd, status = _open(os.fspath(path))
        self._release = weakref.finalize(self, os.close, self._fd)
        self._map: mmap.mmap | None = None
        self.size = status.st_size
        self.identity: Hashable = ("file", status.st_dev, status.st_ino)

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on, read-only; large ranges are not copied.

        Raises:
            FormatError: the range reaches past the end, or the file became shorter.
            SourceError: the source is closed, or the system cannot read it.
        """
        if length <= SMALL:
            return memoryview(self.take(offset, length))
        self._check(offset, length)
        try:
            return memoryview(self._mapped())[offset : offset + length].toreadonly()
        except OSError as error:
            raise SourceError("the file cannot be read", seen=_reason(error)) from None

    def take(self, offset: int, length: int) -> bytes:
        """Copy ``length`` bytes from ``offset`` on; fails as ``view`` does."""
        self._check(offset, length)
        try:
            return self._pread(offset, length)
        except OSError as error:
            raise SourceError("the file cannot be read", seen=_reason(error)) from None

    def _check(self, offset: int, length: int) -> None:
        check_range(offset, length, self.size)
        if not self._release.alive:
            raise SourceError("the file is closed", do="Open it again.")
        # Touching a mapped page beyond the end kills the process, so ask for today's size.
        check_range(offset, length, os.fstat(self._fd).st_size)

    def __deepcopy__(self, _: object) -> LocalFile:
        return self

    def __reduce__(self) -> NoReturn:
        # Elsewhere, or later, the file may be another, and every offset into it wrong.
        raise TypeError(f"an open file is not pickled; open {self.name!r} again where it is read")

    def close(self) -> None:
        """Close the file; views already given stay valid."""
        mapped, self._map = self._map, None
        if mapped is not None:
            # A view may still be in use; then the map goes when the last one does.
            with contextlib.suppress(BufferError):
                mapped.close()
        self._release()

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            try:
                self._map = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
            except ValueError:
                raise FormatError("the file became shorter", do="Open it again.") from None
        return self._map

    def _pread(self, offset: int, length: int) -> bytes:
        if not length:
            return b""
        if not hasattr(os, "pread"):  # Windows
            return self._mapped()[offset : offset + length]
        data = os.pread(self._fd, length, offset)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                check_range(offset, length, offset + len(data))
            data += more
        return data


def _open(name: str) -> tuple[int, os.stat_result]:
    """Open a plain file; a pipe or a device is refused without being waited for."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        _check_plain(os.stat(name))  # noqa: PTH116 - a NUL in the name must raise here
        fd = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        if os.path.islink(name):  # noqa: PTH114 - a name of any type
            raise SourceError("a link to a file that is not there") from None
        raise SourceError("there is no such file", do=_near(name)) from None
    except (OSError, ValueError) as error:
        raise SourceError("the file cannot be opened", seen=_reason(error)) from None
    try:
        status = os.fstat(fd)
        _check_plain(status)  # Again: what the name meant may have changed in between.
    except SourceError:
        os.close(fd)
        raise
    return fd, status


def _check_plain(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise SourceError("this is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(
            "this is not a plain file",
            seen="a pipe, a socket or a device",
            do="Save it to a file first.",
        )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _near(name: str) -> str:
    """Suggest names in the same folder, if any come close."""
    # Only a file that is not there needs them.
    from difflib import get_close_matches
    from pathlib import Path

    path = Path(name)
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, _NEIGHBOURS)]
    except (OSError, ValueError):
        return "Check the path: its folder is not there either, or cannot be listed."
    close = get_close_matches(path.name, names, n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else "Check the path."


class MemoryBytes:
    """Bytes that are in memory already.

    Examples:
        >>> bytes(MemoryBytes(b"abcdef").view(2, 3))
        b'cde'
    """

    def __init__(self, data: bytes | memoryview, name: str = "memory") -> None:
        self._data = memoryview(data)
        self.name = name

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._data)

    @property
    def identity(self) -> Hashable:
        """What tells these bytes from every other source's."""
        return ("memory", id(self))

    @property
    def beside(self) -> None:
        """None: memory has no folder."""
        return

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end.
        """
        check_range(offset, length, self.size)
        return self._data[offset : offset + length]

    def close(self) -> None:
        """Do nothing: memory needs no closing."""
