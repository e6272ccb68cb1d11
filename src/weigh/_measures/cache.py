"""What was measured of files that have not changed since, in the user's cache folder.

An entry is only believed if every file of the source is the same one in the same state: its place,
device and number in the file system, size, and the times of its last change of content and of
status. The latter cannot be set back, so a file of the same size and age is noticed too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from weigh._measures.measure import Options
from weigh._measures.report import StatisticsReport, StatisticsRow
from weigh._measures.statistics import Statistics
from weigh._version import __version__

_VERSION = 1
_MOST = 64 << 20
_MOST_FILES = 10_000
_RACY = 2.0
"""Seconds within which a second change may leave a file's times as they are."""

State = list[list[Any]]


def folder() -> str:
    """Give the folder that entries are in: ``$WEIGH_CACHE_DIR``, or the user's cache folder."""
    own = os.environ.get("WEIGH_CACHE_DIR")
    if own:
        return own
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib takes longer to load than this does
    if sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")  # noqa: PTH118
    elif os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or home
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")  # noqa: PTH118
    return os.path.join(base, "weigh")  # noqa: PTH118


def state_of(source: str, *, alone: bool) -> State | None:
    """Say in which state the files of a source are; None if it is none that is kept.

    Args:
        source: a path; URLs are not kept.
        alone: whether a file is the whole source, or its folder's files belong to it.
    """
    if os.path.isfile(source):  # noqa: PTH113
        paths = [source] if alone else _below(os.path.dirname(os.path.abspath(source)), deep=False)  # noqa: PTH100, PTH120
    elif os.path.isdir(source):  # noqa: PTH112
        paths = _below(source, deep=True)
    else:
        return None
    if len(paths) > _MOST_FILES:
        return None
    try:
        return [_state(path) for path in sorted(paths)]
    except OSError:
        return None


def _below(top: str, *, deep: bool) -> list[str]:
    found = []
    for place, folders, files in os.walk(top):
        found += [os.path.join(place, name) for name in files]  # noqa: PTH118
        if not deep or len(found) > _MOST_FILES:
            folders.clear()
    return found


def _state(path: str) -> list[Any]:
    real = os.path.realpath(path)
    s = os.stat(real)  # noqa: PTH116
    return [real, s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns]


class Entry:
    """The place for one question about one source.

    Args:
        state: the state of its files, before they are measured.
        pattern: what was selected.
        by: what it was grouped by.
        options: how it was measured.
    """

    def __init__(self, state: State, pattern: str | None, by: str, options: Options) -> None:
        import hashlib

        asked = [pattern, by, options.exact, list(options.quantiles)]
        question = json.dumps([_VERSION, __version__, [row[0] for row in state], asked])
        name = hashlib.sha256(question.encode()).hexdigest()[:32]
        self._path = os.path.join(folder(), f"stats-{name}.json")  # noqa: PTH118
        self._question, self._state = question, state
        self._began = time.time()

    def find(self) -> StatisticsReport | None:
        """Give what was measured, if nothing has changed; a damaged entry is none."""
        try:
            with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
                found = json.load(file)
            if found["question"] != self._question or found["state"] != self._state:
                return None
            return _report(found["report"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, report: StatisticsReport, now: State | None) -> None:
        """Keep what was measured, unless a file changed meanwhile or just before.

        What cannot be written is not kept; that is no error.
        """
        newest = max((max(row[4:6]) for row in self._state), default=0) / 1e9
        if not report.complete or now != self._state or self._began - newest < _RACY:
            return
        made = {"question": self._question, "state": self._state, "report": _plain(report)}
        part = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(folder(), mode=0o700, exist_ok=True)  # noqa: PTH103
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(made, file)
            os.replace(part, self._path)  # noqa: PTH105
            _shrink()
        except OSError:
            return


def _shrink() -> None:
    """Remove the oldest entries of a cache that has become too large."""
    with os.scandir(folder()) as entries:
        mine = [(e.stat(), e.path) for e in entries if e.name.startswith("stats-")]
    left = sum(status.st_size for status, _ in mine)
    for status, path in sorted(mine, key=lambda one: one[0].st_mtime_ns):
        if left <= _MOST:
            return
        os.unlink(path)  # noqa: PTH108
        left -= status.st_size


def _plain(report: StatisticsReport) -> dict[str, Any]:
    return {
        "rows": [_plain_row(row) for row in report.rows],
        "total": _plain_row(report.total_row),
        "by": report.by,
        "of_parameters": report.of_parameters,
    }


def _plain_row(row: StatisticsRow) -> dict[str, Any]:
    kept = [key for key in StatisticsRow.__match_args__ if key != "tensor"]
    made: dict[str, Any] = {key: getattr(row, key) for key in kept}
    for key in ("statistics", "stored"):
        found = made[key]
        if found is not None:
            made[key] = {name: getattr(found, name) for name in Statistics.__match_args__}
    return made


def _report(plain: dict[str, Any]) -> StatisticsReport:
    rows = tuple(_row(row) for row in plain["rows"])
    places = {row.name: at for at, row in enumerate(rows)}
    total, by, own = _row(plain["total"]), plain["by"], plain["of_parameters"]
    return StatisticsReport(rows, total, by, own, _places=places)


def _row(plain: dict[str, Any]) -> StatisticsRow:
    made = dict(plain)
    for key in ("statistics", "stored"):
        made[key] = None if made[key] is None else Statistics(**made[key])
    made["bins"] = tuple(made["bins"])
    return StatisticsRow(**made)


ALONE: Sequence[str] = (
    "safetensors", "npz", "npy", "torchscript", "torch-export", "flax", "keras", "hdf5",
    "torch-zip", "torch-legacy",
)  # fmt: skip
"""The formats of which one file is all there is."""
