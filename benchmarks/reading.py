"""``weigh.stats`` beside plainly reading the same mapped bytes, with the same threads.

``python -m benchmarks.reading RUNS FILE...`` prints JSON: for each file the seconds of reading and
of measuring, by one and by two threads, in turn; and the private memory that measuring took.
"""

from __future__ import annotations

import json
import mmap
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import weigh

_PIECE = 1 << 17  # 64-bit words


def read(path: Path, threads: int) -> None:
    """Look at every byte of a mapped file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        _share(mapped, threads)


def _share(mapped: mmap.mmap, threads: int) -> None:
    words = np.frombuffer(mapped, np.uint64, count=len(mapped) // 8)
    share = -(-len(words) // threads)

    def look(first: int) -> None:
        last = min(first + share, len(words))
        for at in range(first, last, _PIECE):
            np.bitwise_or.reduce(words[at : min(at + _PIECE, last)])

    crew = [threading.Thread(target=look, args=(share * i,)) for i in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def private_memory() -> float:
    """The megabytes that no file is behind."""
    text = Path("/proc/self/status").read_text("ascii")
    return int(text.partition("RssAnon:")[2].split()[0]) / 1e3


def peak_of(work: Callable[[], object]) -> float:
    """The most private memory while something runs, as seen every few milliseconds."""
    done = threading.Event()
    most = [private_memory()]

    def watch() -> None:
        while not done.wait(0.003):
            most.append(private_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(most)


def main(runs: int, paths: list[Path]) -> None:
    found = {}
    for path in paths:
        figures: dict[str, list[float]] = {}
        for run in range(runs + 1):
            for threads in (1, 2):
                reading = seconds(lambda: read(path, threads))  # noqa: B023 - called at once
                measuring = seconds(lambda: weigh.stats(path, threads=threads))  # noqa: B023
                if run:  # the first run brings the pages into memory
                    figures.setdefault(f"read{threads}", []).append(reading)
                    figures.setdefault(f"stats{threads}", []).append(measuring)
        figures["peak"] = [peak_of(lambda: weigh.stats(path))]  # noqa: B023
        found[path.name] = figures
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
