"""``weigh.stats`` beside plainly reading the same mapped bytes, with the same threads.

``python -m benchmarks.reading RUNS FILE...`` prints JSON: for each file the seconds of reading, of
measuring, and of the counting alone, by one and by two threads, in turn; and how many page faults
reading and measuring took by one thread.
"""

from __future__ import annotations

import json
import mmap
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import weigh
from benchmarks.files import settle
from weigh._measures.feed import PIECE, stored_feed
from weigh._measures.table import Table

_WORDS = 1 << 17  # 64-bit words in a piece of 1 MiB


def read(path: Path, threads: int) -> None:
    """Look at every byte of a mapped file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        _look(mapped, threads)


def _look(mapped: mmap.mmap, threads: int) -> None:
    words = np.frombuffer(mapped, np.uint64, count=len(mapped) // 8)

    def look(first: int, last: int) -> None:
        for at in range(first, last, _WORDS):
            np.bitwise_or.reduce(words[at : min(at + _WORDS, last)])

    _share(len(words), threads, look)


def count(path: Path, threads: int) -> None:
    """Count the patterns of every tensor, and work out nothing from them."""
    for tensor in weigh.open(path).tensors():
        feed = stored_feed(tensor.values)
        piece = feed.piece
        assert piece is not None  # safetensors' values lie end to end
        tables = []

        def look(first: int, last: int) -> None:
            table = Table(feed.dtype)  # noqa: B023 - called before the next tensor
            for at in range(first, last, PIECE):
                stop = min(at + PIECE, last)
                table.add(piece(at, stop), stop - at)  # noqa: B023
            tables.append(table)  # noqa: B023

        _share(feed.count, threads, look)
        for table in tables[1:]:
            tables[0].merge(table)


def _share(size: int, threads: int, look: Callable[[int, int], None]) -> None:
    """Let each thread look at its share of what there is."""
    share = -(-size // threads)
    shares = [(at, min(at + share, size)) for at in range(0, size, share)]
    crew = [threading.Thread(target=look, args=each) for each in shares[1:]]
    for thread in crew:
        thread.start()
    look(*shares[0])
    for thread in crew:
        thread.join()


def measure(path: Path, threads: int) -> None:
    weigh.stats(path, threads=threads)


DOERS: dict[str, Callable[[Path, int], None]] = {"read": read, "stats": measure, "count": count}


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def faults(work: Callable[[], object]) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def main(runs: int, paths: list[Path]) -> None:
    found = {}
    for path in paths:
        settle(path)
        figures: dict[str, list[float]] = {}
        for run in range(runs + 1):
            for threads in (1, 2):
                for name, do in DOERS.items():
                    took = seconds(lambda: do(path, threads))  # noqa: B023 - called at once
                    if run:  # the first run is not counted
                        figures.setdefault(f"{name}{threads}", []).append(took)
        for name in ("read", "stats"):
            figures[f"faults of {name}"] = [faults(lambda: DOERS[name](path, 1))]  # noqa: B023
        found[path.name] = figures
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
