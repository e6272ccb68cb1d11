"""Threads that share a work, and hand over what each has done."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


def processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew(Generic[T]):
    """Some threads that do one work together; who extends it says what each does.

    Whoever stops to listen stops the work: no thread goes on after the iterator is closed.

    Args:
        threads: how many there are.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._done: SimpleQueue[T | BaseException | None] = SimpleQueue()
        self._stopped = False

    def run(self) -> Iterator[T]:
        """Work, and give what is done, in no certain order."""
        crew = [threading.Thread(target=self._start, daemon=True) for _ in range(self._threads)]
        for thread in crew:
            thread.start()
        working = len(crew)
        try:
            while working:
                got = self._done.get()
                if got is None:
                    working -= 1
                elif isinstance(got, BaseException):
                    raise got
                else:
                    yield got
        finally:
            self._stopped = True
            for thread in crew:
                thread.join()

    def _start(self) -> None:
        try:
            self._work()
        except _StoppedError:
            pass
        except BaseException as error:
            self._done.put(error)
        self._done.put(None)

    def _work(self) -> None:
        """Do a thread's part, and put what is done into ``_done``, until ``_stopped``."""
        raise NotImplementedError

    def _heed(self) -> None:
        """Leave the work if nobody waits for the answer any more."""
        if self._stopped:
            raise _StoppedError


class _StoppedError(Exception):
    """Nobody waits for the answer any more."""
