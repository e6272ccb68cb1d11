"""``weigh.report``: one page that shows all of a network, or what changed between two."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, overload

from weigh._model import Network

if TYPE_CHECKING:
    from weigh._checks.settings import Config

_IN_MEMORY = ("live", "arrays")


@overload
def report(
    source: object,
    other: object = ...,
    *,
    path: None = ...,
    config: Config = ...,
    threads: int = ...,
    progress: Callable[[int], None] | None = ...,
) -> str: ...
@overload
def report(
    source: object,
    other: object = ...,
    *,
    path: str | os.PathLike[str],
    config: Config = ...,
    threads: int = ...,
    progress: Callable[[int], None] | None = ...,
) -> None: ...
def report(
    source: object,
    other: object = None,
    *,
    path: str | os.PathLike[str] | None = None,
    config: Config = None,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> str | None:
    """Make one page that shows all of a network, to keep, to mail, to open anywhere.

    The page is one HTML file that asks no network for anything: the tree, each tensor's axes,
    statistics, histogram and picture, and the findings of ``weigh.check``.

    Args:
        source: what ``open`` takes, or what it gave.
        other: another network: then the page also shows what changed from the first to it.
        path: where the page is written; it is given as a text if left out.
        config: the settings of the rules, as ``weigh.check`` takes them.
        threads: how many share the reading; as many as there are processors if 0.
        progress: told, from any thread, how many more bytes of tensors were read.

    Raises:
        SourceError: a source cannot be read, or the page cannot be written.
        UsageError: a setting makes no sense.

    Examples:
        >>> import numpy, weigh
        >>> page = weigh.report({"fc.weight": numpy.ones((2, 3), "f4")})
        >>> page[:15], "</html>" in page
        ('<!doctype html>', True)
    """
    from weigh._checks.settings import settings_of
    from weigh._checks.table import every_rule
    from weigh._measures.measured import Options
    from weigh._report.work import Reporter
    from weigh._report.writing import check_writable, write

    sources = [source] if other is None else [source, other]
    where = None if path is None else os.fspath(path)
    if where is not None:
        check_writable(where, sources)
    settings = settings_of(config, every_rule())
    options = Options(threads=threads, progress=progress)
    reporter = Reporter(sources, list(map(_name, sources)), settings, options)
    for _ in reporter.run():
        pass
    page = reporter.page()
    if where is None:
        return page
    write(page, where)
    return None


def _name(source: object) -> str:
    """Say what would open a source again; "" for what lives in memory."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    if isinstance(source, Network) and source.format not in _IN_MEMORY:
        return source.location
    return ""
