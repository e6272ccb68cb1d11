"""A folder of files: on this machine here; other places give the same few methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from weigh._errors import FormatError, SourceError
from weigh._sources.bytes import ByteSource, LocalFile

if TYPE_CHECKING:
    from weigh._states import States

_MAX_NAME = 1024
_MAX_ENTRIES = 100_000


class Folder(Protocol):
    """Files beside each other, in any place.

    A name that a file states is not trusted: what would leave the folder is refused.
    """

    @property
    def name(self) -> str:
        """The path or URL, for messages."""

    @property
    def far(self) -> bool:
        """Whether each look costs a request, so that several are better made at once."""

    def files(self) -> list[str]:
        """List the names of the files right in this folder, sorted.

        Raises:
            SourceError: it cannot be listed.
        """

    def folders(self) -> list[str]:
        """List the names of the folders right in this one, sorted.

        Raises:
            SourceError: it cannot be listed.
        """

    def open(self, path: str) -> ByteSource:
        """Open a file by its path from here, such as ``"model-00001-of-00002.safetensors"``.

        Raises:
            FormatError: the path leads out of the folder.
            SourceError: there is no such file, or it cannot be read.
        """

    def open_all(self, paths: Sequence[str]) -> list[ByteSource]:
        """Open several files, from a far place at the same time.

        Raises:
            FormatError: a path leads out of the folder.
            SourceError: one is not there, or cannot be read.
        """

    def folder(self, path: str) -> Folder:
        """Give a folder within this one.

        Raises:
            FormatError: the path leads out of this folder.
            SourceError: there is no such folder.
        """


def check_inside(path: str) -> None:
    """Refuse a path that is not plainly one of something inside a folder.

    Raises:
        FormatError: it is empty, absolute, climbs up or has what some system reads otherwise.

    Examples:
        >>> check_inside("shards/model-1.safetensors")
    """
    parts = path.split("/")
    odd = any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts)
    if odd or len(path) > _MAX_NAME or "\0" in path:
        raise FormatError("a file's name leads out of its folder", seen=repr(path[:100]))


class LocalFolder:
    """A folder on this machine.

    Args:
        path: where it is.
        states: where to note what is looked at, here and in the folders within.

    Raises:
        SourceError: it is missing, or no folder.
    """

    far = False

    def __init__(self, path: str | os.PathLike[str], states: States | None = None) -> None:
        self.name, self._states = os.fspath(path), states
        # Not by pathlib, which takes longer to load than a file to list.
        root = os.path.realpath(self.name)
        if not os.path.isdir(root):  # noqa: PTH112
            raise SourceError("there is no such folder", where=self.name)
        self._root, self._within = root, _linked_within(root)

    def files(self) -> list[str]:
        """List the names of the plain files right in this folder, sorted.

        Raises:
            SourceError: it cannot be listed, or has more than 100,000 entries.
        """
        return self._names(os.DirEntry.is_file)

    def folders(self) -> list[str]:
        """List the names of the folders right in this one, sorted.

        Raises:
            SourceError: it cannot be listed, or has more than 100,000 entries.
        """
        return self._names(os.DirEntry.is_dir)

    def _names(self, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
        names = []
        if self._states is not None:
            self._states.see(self._root)
        try:
            with os.scandir(self._root) as entries:
                for count, entry in enumerate(entries):
                    if count >= _MAX_ENTRIES:
                        raise SourceError(f"the folder has over {_MAX_ENTRIES:,} entries")
                    if wanted(entry):
                        names.append(entry.name)
        except OSError as error:
            raise SourceError("the folder cannot be listed", seen=error.strerror or "") from None
        return sorted(names)

    def open(self, path: str) -> LocalFile:
        """Open a file by its path from here.

        Raises:
            FormatError: the path leads out of the folder, itself or by a link.
            SourceError: there is no such file, or it cannot be read.
        """
        place = self._resolved(path)
        shown = os.path.join(self.name, path)  # noqa: PTH118 - kept as the user gave it
        try:
            return LocalFile(place, name=shown, beside=self)
        except SourceError as error:
            raise error.at(shown) from None

    def open_all(self, paths: Sequence[str]) -> list[ByteSource]:
        """Open several files; see ``open``."""
        return [self.open(path) for path in paths]

    def folder(self, path: str) -> LocalFolder:
        """Give a folder within this one.

        Raises:
            FormatError: the path leads out of this folder, itself or by a link.
            SourceError: there is no such folder.
        """
        self._resolved(path)
        return LocalFolder(os.path.join(self.name, path), self._states)  # noqa: PTH118

    def _resolved(self, path: str) -> str:
        check_inside(path)
        named = os.path.join(self._root, path)  # noqa: PTH118
        if self._states is not None:
            self._states.see(named)
        place = os.path.realpath(named)
        within, found = os.path.normcase(self._within), os.path.normcase(place)
        if found != within and not found.startswith(os.path.join(within, "")):  # noqa: PTH118
            raise FormatError("a link leads out of its folder", seen=repr(path))
        return place


def _linked_within(root: str) -> str:
    """Give the folder that links in a folder may lead to: itself, or a repository in a hub's cache.

    A snapshot there, with the folders in it, is made of links to the blobs of its repository.
    """
    snapshot = root
    while os.path.basename(os.path.dirname(snapshot)) != "snapshots":  # noqa: PTH119, PTH120
        above = os.path.dirname(snapshot)  # noqa: PTH120
        if above == snapshot:
            return root
        snapshot = above
    repository = os.path.dirname(os.path.dirname(snapshot))  # noqa: PTH120
    # A folder of that name somewhere above makes no cache of all below it.
    blobs = os.path.join(repository, "blobs")  # noqa: PTH118
    return repository if snapshot == root or os.path.isdir(blobs) else root  # noqa: PTH112


def local_file(path: str | os.PathLike[str], states: States | None = None) -> LocalFile:
    """Open a file on this machine that the user names, with the folder it lies in.

    Args:
        path: where it is.
        states: where to note what is looked at, it and whatever beside it.

    Raises:
        SourceError: it is missing, not a plain file, or may not be read.
    """
    if states is not None:
        states.see(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100
    file = LocalFile(path)
    file.beside = LocalFolder(os.path.dirname(os.fsdecode(path)) or ".", states)  # noqa: PTH120
    return file
