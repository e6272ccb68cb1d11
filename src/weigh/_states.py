"""Which files were looked at, and in which state each was before."""

from __future__ import annotations

import os
import time

State = list[str | int] | None
"""Where a name leads, and of what is there: device, number, size, and the times of its last
change of content and of status, in nanoseconds; None where there is nothing."""


def state_of(path: str) -> State:
    """Say in which state a file or a folder is.

    The time of the last change of status cannot be set back, so a file that was rewritten to the
    same size and given its old age is told apart, too. (On Windows it is the time of its making.)
    """
    try:
        real = os.path.realpath(path)
        found = os.stat(real)  # noqa: PTH116 - pathlib takes longer to load than this does
    except (OSError, ValueError):
        return None
    size = found.st_size
    return [real, found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns]


class States:
    """The files and folders that were looked at, each with its state right before.

    What was looked for in vain is noted, too: it may be there the next time.

    Attributes:
        source: the absolute path of what the user named; empty if that is not on this machine.
        began: when the first look was taken, in seconds since the epoch.
    """

    __slots__ = ("_seen", "began", "source")

    def __init__(self) -> None:
        self._seen: dict[str, State] = {}
        self.source = ""
        self.began = time.time()

    def see(self, path: str) -> None:
        """Note the state of a file that is about to be looked at, the first time."""
        if path not in self._seen:
            self._seen[path] = state_of(path)

    def seen(self) -> dict[str, State]:
        """Give all states by the paths."""
        return dict(self._seen)
