"""``weigh.stats`` on a file beside a script of ``usual.py``, in one process after its imports.

``python -m benchmarks.beside RUNS WAY FILE`` prints JSON: the seconds of both, run by run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import weigh
from benchmarks.reading import seconds
from benchmarks.usual import WAYS


def main(runs: int, way: str, path: Path) -> None:
    theirs = WAYS[way]
    pairs = [
        (seconds(lambda: weigh.stats(path)), seconds(lambda: theirs(str(path))))
        for _ in range(runs + 1)
    ][1:]  # the first run brings in the file's pages, and what is imported late
    print(json.dumps({"ours": [a for a, _ in pairs], "theirs": [b for _, b in pairs]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
