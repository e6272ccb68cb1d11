"""A progress bar on a terminal, for reading that takes longer than a moment."""

from __future__ import annotations

import sys
import threading
from typing import Any

_SOON = 0.5
"""Seconds after which a person wants to see that something happens."""


class Bar:
    """A progress bar on standard error, if that is a terminal.

    Attributes:
        total: how many bytes there are to do, once that is known.
    """

    def __init__(self) -> None:
        self.total = 0
        self._done = 0
        self._lock = threading.Lock()
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._progress: Any = None
        self._task: Any = None
        if self._wanted:
            self._timer = threading.Timer(_SOON, self._open)
            self._timer.daemon = True
            self._timer.start()

    def advance(self, count: int) -> None:
        """Note, from any thread, that so many more bytes were done."""
        with self._lock:
            self._done += count
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done, total=self.total)

    def _open(self) -> None:
        # It takes longer to import than most files take to measure.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        made = Progress(
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        with self._lock:
            if not self._wanted:
                return
            self._task = made.add_task("", total=self.total or None, completed=self._done)
            made.start()
            self._progress = made

    def close(self) -> None:
        """Take the bar away."""
        if not self._wanted:
            return
        self._timer.cancel()
        with self._lock:
            self._wanted = False
            made, self._progress = self._progress, None
        if made is not None:
            made.stop()
