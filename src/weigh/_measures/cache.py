"""What was measured of files that have not changed since, in the user's cache folder.

An entry is only believed if every file that was looked at, as well as each that was looked for in
vain, is the same one in the same state: its place, device and number in the file system, size,
and the times of its last change of content and of status.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from math import isfinite
from typing import Any
from zlib import crc32

from weigh._measures.groups import axis_of
from weigh._measures.report import Collector, StatisticsReport, StatisticsRow
from weigh._measures.statistics import Statistics
from weigh._registry import FORMATS
from weigh._states import State, States, state_of
from weigh._tensor import Tensor
from weigh._version import __version__

WORTH = 1 << 24
"""Bytes of tensors from which on measuring them takes longer than asking the cache."""

_VERSION = 2
_MOST = 64 << 20
_MOST_ENTRY = 16 << 20
_MOST_FILES = 10_000
_RACY = 2.0
"""Seconds within which a second change may leave a file's times as they are."""


def folder() -> str:
    """Give the folder that entries are in: ``$WEIGH_CACHE_DIR``, or the user's cache folder."""
    own = os.environ.get("WEIGH_CACHE_DIR")
    if own:
        return own
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib takes longer to load than this does
    if sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")  # noqa: PTH118
    elif os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")  # noqa: PTH118
    else:
        base = os.environ.get("XDG_CACHE_HOME") or ""
        if not os.path.isabs(base):  # noqa: PTH117 - others are invalid, and to be ignored
            base = os.path.join(home, ".cache")  # noqa: PTH118
    return os.path.join(base, "weigh")  # noqa: PTH118


def entry_of(collector: Collector, states: States, pattern: str | None) -> Entry | None:
    """Find the place in the cache of what a collector is about to measure.

    Args:
        collector: knows the tensors, and how they are measured.
        states: of the files that were looked at to list the tensors, and will be to read them.
        pattern: what selected the tensors.

    Returns:
        None if the answer is not kept: that of a live module, a mapping, or a far place; of few
        bytes; of a format that another package reads, whose code may change.
    """
    own = any(row.name == collector.format for row in FORMATS)
    if not states.source or not own or collector.bytes < WORTH:
        return None
    return Entry(collector, states, pattern)


class Entry:
    """The place for one question about one source; see ``entry_of``."""

    def __init__(self, collector: Collector, states: States, pattern: str | None) -> None:
        import hashlib

        options = collector.options
        asked = [pattern, collector.by, options.exact, list(options.quantiles)]
        self._question = json.dumps([_VERSION, __version__, states.source, asked])
        name = hashlib.sha256(self._question.encode()).hexdigest()[:32]
        self._path = os.path.join(folder(), f"stats-{name}.json")  # noqa: PTH118
        self._collector, self._states = collector, states

    def find(self) -> StatisticsReport | None:
        """Give what was measured, if nothing has changed; a damaged entry is none."""
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123
                data = file.read(_MOST_ENTRY + 1)
            head, _, body = data.partition(b"\n")
            told = json.loads(head)
            if told["question"] != self._question or told["check"] != crc32(body):
                return None
            kept: dict[str, State] = told["states"]
            # What was looked at just now must be among it: a format may be told by other files.
            if not self._states.seen().keys() <= kept.keys():
                return None
            if any(state_of(path) != state for path, state in kept.items()):
                return None
            return self._report(json.loads(body, object_hook=_number))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, report: StatisticsReport) -> None:
        """Keep what was measured, unless a file changed meanwhile or just before.

        What cannot be written is not kept; that is no error. Nor is what is not whole kept: want
        of memory, say, passes.
        """
        states = self._states.seen()
        if not report.complete or any(row.problem for row in report.rows):
            return
        if len(states) > _MOST_FILES or any(state_of(path) != was for path, was in states.items()):
            return
        newest = max((int(at) for was in states.values() if was for at in was[4:]), default=0)
        if self._states.began - newest / 1e9 < _RACY:
            return
        body = json.dumps(_plain(report), allow_nan=False).encode()
        told = {"question": self._question, "check": crc32(body), "states": states}
        data = json.dumps(told).encode() + b"\n" + body
        if len(data) <= _MOST_ENTRY:
            with suppress(OSError):
                _write(self._path, data)
                _shrink()

    def _report(self, plain: dict[str, Any]) -> StatisticsReport:
        tensors = {tensor.name: tensor for tensor in self._collector.wanted}
        by = self._collector.by
        rows = tuple(_row(row, by, tensors) for row in plain["rows"])
        places = {row.name: at for at, row in enumerate(rows)}
        total, own = _row(plain["total"], by, tensors), plain["of_parameters"]
        return StatisticsReport(rows, total, by, own, _places=places)


def _write(path: str, data: bytes) -> None:
    """Write a file that only the user may read; it is there as a whole or not at all."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
    part = f"{path}.{os.urandom(6).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(part, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise


def _shrink() -> None:
    """Remove the oldest entries of a cache that has become too large."""
    mine = []
    with os.scandir(folder()) as entries:
        for entry in entries:
            if entry.name.startswith("stats-"):
                with suppress(OSError):  # another process shrinks it, too
                    mine.append((entry.stat(), entry.path))
    left = sum(status.st_size for status, _ in mine)
    for status, path in sorted(mine, key=lambda one: one[0].st_mtime_ns):
        if left <= _MOST:
            return
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
        left -= status.st_size


def _plain(report: StatisticsReport) -> dict[str, Any]:
    return {
        "rows": [_plain_row(row) for row in report.rows],
        "total": _plain_row(report.total_row),
        "of_parameters": report.of_parameters,
    }


def _plain_row(row: StatisticsRow) -> dict[str, Any]:
    made: dict[str, Any] = {key: getattr(row, key) for key in StatisticsRow.__match_args__}
    made["tensor"] = row.tensor is not None
    for key in ("statistics", "stored"):
        found = made[key]
        if found is not None:
            names = Statistics.__match_args__
            made[key] = {name: _no_infinity(getattr(found, name)) for name in names}
    return made


def _no_infinity(value: Any) -> Any:
    """Write what JSON has no number for: the sum of doubles near the largest is infinite."""
    if isinstance(value, float) and not isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, dict):
        return {key: _no_infinity(inner) for key, inner in value.items()}
    return value


def _number(found: dict[str, Any]) -> Any:
    return float(found["float"]) if found.keys() == {"float"} else found


def _row(plain: dict[str, Any], by: str, tensors: dict[str, Tensor]) -> StatisticsRow:
    made = dict(plain)
    for key in ("statistics", "stored"):
        made[key] = None if made[key] is None else Statistics(**made[key])
    made["bins"] = tuple(made["bins"])
    made["tensor"] = _tensor(made["name"], by, tensors) if made["tensor"] else None
    return StatisticsRow(**made)


def _tensor(name: str, by: str, tensors: dict[str, Tensor]) -> Tensor:
    """Find the tensor of a row, or its slice at a position of an axis."""
    if name in tensors:
        return tensors[name]
    whole, _, position = name.rpartition(f"[{by}=")
    tensor = tensors[whole]
    axis = axis_of(tensor, by) or 0
    return tensor[(*(slice(None),) * axis, int(position.removesuffix("]")))]
