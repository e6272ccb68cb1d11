"""Weigh's pictures in one process after its imports, beside reading and beside other ways.

``python -m benchmarks.painting RUNS FILE`` prints JSON: the seconds of reading the file, of
pictures of its first matrix, and of those up to PNG and SVG, in turn; and the bytes they take.
``python -m benchmarks.painting RUNS FILE WAY OUT`` holds them against a way of
``picture_rivals.py``, which writes to OUT.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import weigh
from benchmarks import rivals
from benchmarks.files import settle
from benchmarks.picture_rivals import LIMIT, WAYS
from benchmarks.reading import read, seconds
from weigh._measures.crew import processors


def picture(path: Path, **options: Any) -> weigh.Picture:
    """Open a file and make a picture of its matrix, or of its filters."""
    tensor = next(one for one in weigh.open(path).tensors() if len(one.shape or ()) > 1)
    return tensor.picture(**options)


def into_memory(path: Path) -> None:
    """Read a file as it is read by whoever wants its bytes."""
    path.read_bytes()


DOERS: dict[str, Callable[[Path], object]] = {
    "read": lambda path: read(path, processors()),
    "copied": into_memory,
    "first paint": lambda path: picture(path, sample=True),
    "first paint to PNG": lambda path: picture(path, sample=True).png(),
    "picture": picture,
    "picture to PNG": lambda path: picture(path).png(),
    "picture to SVG": lambda path: picture(path).svg(),
}


def main(runs: int, path: Path) -> None:
    settle(path)
    figures: dict[str, list[float]] = {}
    for run in range(runs + 1):
        for name, do in DOERS.items():
            took = seconds(lambda: do(path))  # noqa: B023 - called at once
            if run:  # the first run is not counted
                figures.setdefault(name, []).append(took)
    made = picture(path)
    sizes = {"PNG": len(made.png()), "SVG": len(made.svg().encode())}
    print(json.dumps({"seconds": figures, "bytes": sizes}))


def beside(runs: int, path: Path, way: str, out: str) -> None:
    """Time a picture up to a file, and the same of another; the first run is not counted."""
    ours, theirs = [], []
    target = Path(out).with_name("part-ours.png")
    settle(path)
    if hasattr(signal, "alarm"):
        signal.alarm(LIMIT * (runs + 1))
    for _ in range(runs + 1):
        ours.append(seconds(lambda: picture(path).save(target)))
        theirs.append(seconds(lambda: WAYS[way](str(path), out)))
        if theirs[0] > LIMIT / 6:  # who takes so long is not slowed by what is new to it
            break
    few = slice(1 if len(ours) > 1 else 0, None)
    picture(path).save(target.with_suffix(".svg"))
    sizes = {"ours": target.stat().st_size, "theirs": Path(out).stat().st_size}
    print(json.dumps({"ours": ours[few], "theirs": theirs[few], "bytes": sizes}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        sys.path.append(str(rivals.FOLDER))
        beside(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
