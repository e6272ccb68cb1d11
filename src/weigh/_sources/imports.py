"""What a loader that runs pickles would import to read a file: names, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable

from weigh._errors import UnsupportedError
from weigh._sources.pickled import Pickle

Imports = tuple[tuple[str, str], ...]
"""Full names of functions and classes, each with the file or member that names it."""

_MOST = 20_000_000
"""The letters of all names: one pickle has up to 10 million, and of files there may be many. None
may be left out, for the last could be the one that does harm."""


def imports_of(where: str, *pickles: Pickle) -> Imports:
    r"""Give what some pickles of one file name, sorted, each name once.

    Args:
        where: the file or member that they are in.
        pickles: all that a loader would run.

    Examples:
        >>> from weigh._sources.pickles import read_pickle
        >>> imports_of("a.pt", read_pickle(b"cos\nsystem\n(S'ls'\ntR."))
        (('os.system', 'a.pt'),)
    """
    file = where.replace("\\", "/").rpartition("/")[2]
    names = {name for pickle in pickles for name in pickle.globals}
    return tuple((name, file) for name in sorted(names))


def united(parts: Iterable[Imports]) -> Imports:
    """Join what several files name: each name once, with the first file that has it.

    Raises:
        UnsupportedError: the names are far too many to be kept.

    Examples:
        >>> united([(("os.system", "a"),), (("os.getcwd", "b"), ("os.system", "b"))])
        (('os.getcwd', 'b'), ('os.system', 'a'))
    """
    first: dict[str, str] = {}
    left = _MOST
    for part in parts:
        for name, where in part:
            if name not in first:
                first[name] = where
                left -= len(name)
        if left < 0:
            raise UnsupportedError(
                "its pickles name far too many classes", seen=f"{len(first):,} names"
            )
    return tuple(sorted(first.items()))
