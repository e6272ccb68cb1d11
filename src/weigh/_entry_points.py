"""What installed packages add to a group of entry points, told quickly where they add nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeVar

from weigh._errors import UsageError
from weigh._record import changed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class _Row(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def origin(self) -> str: ...


Row = TypeVar("Row", bound=_Row)

_METADATA = (".dist-info", ".egg-info")


def added(
    group: str, kind: type[Row], noun: str, own: Iterable[Row]
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Give what installed packages add to one of our tables, and what is wrong with the rest.

    An entry point names a row, or several in a tuple or a list.

    Args:
        group: the group of entry points.
        kind: the class of the rows, which have a ``name`` and an ``origin``.
        noun: what a row is called.
        own: our own rows, whose names are taken.

    Raises:
        UsageError: two rows have one name.
    """
    rows: list[Row] = []
    broken: list[str] = []
    taken: dict[str, str] = {row.name: row.origin for row in own}
    for point in entry_points_of(group):
        package = point.dist.name if point.dist else point.value
        try:
            given = point.load()
        except Exception as error:  # another package's code, which may raise anything
            broken.append(f"{point.name} of {package} ({type(error).__name__}: {error})")
            continue
        for row in given if isinstance(given, tuple | list) else (given,):
            if not isinstance(row, kind):
                broken.append(f"{point.name} of {package} (not a {kind.__name__})")
                continue
            if row.name in taken:
                raise UsageError(
                    f"two {noun}s are called {row.name!r}",
                    seen=f"one of {taken[row.name]} and one of {package}",
                    do="Uninstall one of the two packages.",
                )
            taken[row.name] = package
            rows.append(changed(row, origin=package))
    return tuple(rows), tuple(broken)


def entry_points_of(group: str) -> list[EntryPoint]:
    """List the entry points of a group, sorted by name.

    ``importlib.metadata`` takes longer to import and to ask than a small file takes to read, and
    nearly nobody has such a package: so the files that it would read are looked through first.
    """
    if not any(_mentions(path, group.encode()) for path in _files()):
        return []
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda one: one.name)


def _files() -> Iterator[str]:
    """Give the files in which packages list their entry points; of a zip, the zip itself."""
    for folder in sys.path:
        if os.path.isfile(folder):  # noqa: PTH113 - pathlib is slow to import
            yield folder
            continue
        try:
            with os.scandir(folder or ".") as entries:
                names = [entry.path for entry in entries if entry.name.endswith(_METADATA)]
        except OSError:
            continue
        yield from (os.path.join(name, "entry_points.txt") for name in names)  # noqa: PTH118


def _mentions(path: str, group: bytes) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            text = file.read()
        return text.startswith(b"PK") or group in text  # what is in a zip is found by asking
    except OSError:
        return False
