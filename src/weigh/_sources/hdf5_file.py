"""What an HDF5 file holds, listed by h5py with nothing followed out of the file.

libhdf5 follows links and storage into other files, takes sizes at their word, and loads filters
as plug-ins. So every object is told by its header first, and what leads elsewhere is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import ByteSource
from weigh._sources.file_object import FileObject
from weigh._sources.hdf5_array import Array, array_of, texts_of
from weigh._sources.hdf5_open import opened

_MOST_LISTED = 1 << 24
_MOST_TEXT = 1 << 16
_MOST_CONFIG = 1 << 25
_MOST_OBJECTS = 200_000
_MOST_DEPTH = 64
_MOST_NAMES = 1 << 26
_NAMED = 3

Path = tuple[str, ...]


@dataclass(slots=True)
class Group:
    """One group, with what is in it by name, numbers in their order."""

    groups: dict[str, Group] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def find(self, path: Path) -> Array | None:
        """Find an array by its path from here."""
        at: Group | None = self
        for part in path[:-1]:
            at = at.groups.get(part) if at is not None else None
        return at.arrays.get(path[-1]) if at is not None and path else None

    def every(self) -> Iterator[tuple[Path, Array]]:
        """Go through all arrays in and below it, with their paths."""
        ways: list[tuple[Path, Group]] = [((), self)]
        while ways:
            path, group = ways.pop()
            for name, array in group.arrays.items():
                yield (*path, name), array
            ways += [((*path, name), one) for name, one in reversed(group.groups.items())]


@dataclass(slots=True)
class Listed:
    """Everything that a file holds.

    Attributes:
        root: the groups and the arrays.
        config: the text of the attribute ``model_config``, if there is one.
        left_out: what is not read, and why.
    """

    root: Group
    config: str | None
    left_out: list[str]

    def notes(self) -> list[str]:
        """Say what is left out."""
        if not self.left_out:
            return []
        more = f" and {len(self.left_out) - _NAMED:,} more" if len(self.left_out) > _NAMED else ""
        return [f"Left out: {', '.join(self.left_out[:_NAMED])}{more}."]


def list_file(source: ByteSource) -> Listed:
    """List a file's groups and arrays; no value is read.

    Raises:
        FormatError: libhdf5 cannot read it, or there is too much in it or too deep.
    """
    with opened(source, _MOST_LISTED) as (file, window):
        listed = _Walk(source, window).walk(file)
        # Last, for a text of this length may stay in libhdf5's memory.
        window.most = _MOST_CONFIG
        config = texts_of(file, "model_config", most=_MOST_CONFIG)
        listed.config = config[0] if config else None
        return listed


class _Walk:
    def __init__(self, source: ByteSource, window: FileObject) -> None:
        self._source, self._window = source, window
        self._left_out: list[str] = []
        self._left, self._names = _MOST_OBJECTS, _MOST_NAMES
        self._arrays: dict[int, Array] = {}

    def walk(self, file: Any) -> Listed:
        from h5py import h5o

        root = Group()
        met = {h5o.get_info(file.id).addr}
        ways: list[tuple[Any, Group, Path]] = [(file, root, ())]
        while ways:
            here, group, path = ways.pop()
            self._attributes(here, group)
            for name in self._links(here, path):
                full = (*path, name)
                info = h5o.get_info(here.id, name.encode("utf-8", "surrogateescape"))
                if info.type == h5o.TYPE_DATASET:
                    array = self._array(here, full, info.addr)
                    if array is not None:
                        group.arrays[name] = array
                elif info.type == h5o.TYPE_GROUP:
                    if info.addr in met:
                        self._skip(full, "a group that is listed already")
                        continue
                    met.add(info.addr)
                    made = group.groups[name] = Group()
                    ways.append((here[name], made, full))
        return Listed(root, None, self._left_out)

    def _links(self, here: Any, path: Path) -> list[str]:
        """List the names in a group that lead to objects of this file, numbers in order."""
        from h5py import h5l

        self._left -= here.id.get_num_objs()
        if self._left < 0 or len(path) > _MOST_DEPTH:
            raise FormatError("the file has far too many objects, or too deep in each other")
        names = []
        for raw in here.id:
            try:
                name = raw.decode("utf-8")
            except UnicodeDecodeError:
                self._skip((*path, raw.decode("ascii", "replace")), "its name is not UTF-8")
                continue
            self._names -= len(name) + sum(map(len, path))
            if self._names < 0:
                raise FormatError("the names in the file are too long together")
            kind = here.id.links.get_info(raw).type
            if kind != h5l.TYPE_HARD:
                self._skip((*path, name), "a link that may lead elsewhere")
                continue
            names.append(name)
        return sorted(names, key=lambda n: int(n) if n.isdecimal() and len(n) < 10 else -1)

    def _skip(self, path: Path, why: str) -> None:
        self._left_out.append(f"{'/'.join(path)[:200]!r} ({why})")

    def _attributes(self, here: Any, group: Group) -> None:
        most, self._window.most = self._window.most, _MOST_TEXT
        try:
            for name in ("layer_names", "weight_names", "name", "backend", "keras_version"):
                found = texts_of(here, name, most=1 << 20)
                if found is not None:
                    group.texts[name] = found
        finally:
            self._window.most = most

    def _array(self, here: Any, path: Path, address: int) -> Array | None:
        if address in self._arrays:
            return self._arrays[address]
        from h5py import h5d

        try:
            found = h5d.open(here.id, path[-1].encode())
            array = self._arrays[address] = array_of(self._source, found, path, address)
        except UnsupportedError as error:
            self._skip(path, error.what)
            return None
        return array
