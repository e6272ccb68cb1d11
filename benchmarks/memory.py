"""The memory that measuring a file takes: ``python -m benchmarks.memory FILE`` prints JSON.

With two files it is that of comparing them.

``private`` is the most that no file was behind (RssAnon and RssShmem of ``/proc/self/status``), as
seen every few milliseconds; ``resident`` is the peak as the system kept it (VmHWM), with the pages
of the mapped file that were in memory. Both are in megabytes, and are those of the whole process.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import weigh
from benchmarks.pair import diff


def status() -> dict[str, float]:
    """The megabytes of each kind of memory."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(size) / 1e3 for name, size, _ in pairs}


def private() -> float:
    now = status()
    return now["RssAnon"] + now["RssShmem"]


def main(paths: list[str]) -> None:
    done = threading.Event()
    most = [private()]

    def watch() -> None:
        while not done.wait(0.003):
            most.append(private())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if len(paths) == 1:
            weigh.stats(paths[0])
        else:
            diff(Path(paths[0]), Path(paths[1]), 2)
        most.append(private())
    finally:
        done.set()  # whatever went wrong, it is not to be waited for
        watcher.join()
    print(json.dumps({"private": max(most), "resident": status()["VmHWM"]}))


if __name__ == "__main__":
    main(sys.argv[1:])
