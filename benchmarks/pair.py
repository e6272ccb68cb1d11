"""``weigh diff`` beside plainly reading the same mapped bytes of both files, with the same threads.

``python -m benchmarks.pair RUNS FILE OTHER...`` prints JSON: for each other file, named by its
folder, the seconds of reading both and of comparing them, by one and by two threads, in turn.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from weigh import _cli


def diff(a: Path, b: Path, threads: int, status: int | None = None) -> None:
    """Run the command in this process; with a status, hold its own against it.

    Raises:
        RuntimeError: it ended with another status; bad usage ends with 2.
    """
    command = ["diff", str(a), str(b), "--json", "--no-rank", "--threads", str(threads)]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            _cli.main(command)
        except SystemExit as end:
            found = end.code
    if found not in ((0, 1) if status is None else (status,)):
        raise RuntimeError(f"weigh diff ended with status {found}")


def main(runs: int, a: Path, others: list[Path]) -> None:
    from benchmarks.files import settle
    from benchmarks.reading import read, seconds

    found = {}
    settle(a)
    for b in others:
        settle(b)
        figures: dict[str, list[float]] = {}
        for run in range(runs + 1):
            for threads in (1, 2):
                took = {
                    "read": seconds(lambda: [read(path, threads) for path in (a, b)]),  # noqa: B023
                    "diff": seconds(lambda: diff(a, b, threads)),  # noqa: B023 - called at once
                }
                if run:  # the first run is not counted
                    for name, figure in took.items():
                        figures.setdefault(f"{name}{threads}", []).append(figure)
        found[b.parent.name] = figures
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ["WEIGH_CACHE_DIR"] = os.devnull  # nothing can be kept there
    main(int(sys.argv[1]), Path(sys.argv[2]), [Path(path) for path in sys.argv[3:]])
