"""How long a far place is waited for, and how often it is asked again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from weigh._errors import SourceError, UsageError

TRIES = 4
"""A request that fails in a way that may pass is sent so often at most."""

_SECONDS = 30.0
_PAUSE = 0.1

T = TypeVar("T")


class PassingError(SourceError):
    """A failure that may pass: the server is busy, or the connection broke."""


def timeout() -> float:
    """Give how many seconds a server may be silent: 30, or what ``WEIGH_TIMEOUT`` says.

    Raises:
        UsageError: it says no positive number.
    """
    stated = os.environ.get("WEIGH_TIMEOUT", "")
    try:
        seconds = float(stated or _SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageError("WEIGH_TIMEOUT is no positive number of seconds", seen=repr(stated))
    return seconds


def patiently(ask: Callable[[], T]) -> T:
    """Ask again after 0.1, 0.2 and 0.4 s, as long as the failure is one that may pass.

    Raises:
        PassingError: it did not pass.
    """
    for attempt in range(TRIES - 1):
        try:
            return ask()
        except PassingError:
            time.sleep(_PAUSE * 2**attempt)
    return ask()
