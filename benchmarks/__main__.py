"""The benchmarks: ratios of Weigh to what people use today, measured side by side in one run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.files import MADE
from benchmarks.groups import GROUPS
from benchmarks.measure import ROOT, Row, Settings

LIBRARIES = ("weigh", "numpy", "safetensors", "torch", "torchinfo")
TITLES = (
    *("what", "weigh", "(min-max)", "against", "its", "(min-max)"),
    *("ratio", "(min-max)", "target", "met"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    if options.clean:
        _clean(options.cache)
        return
    size = options.size or (200 if options.quick else 2000)
    runs = options.runs or (3 if options.quick else 7)
    settings = Settings(size, runs, options.cache.resolve())
    rows: list[Row] = []
    for group in options.only or GROUPS:
        print(f"measuring {group}", file=sys.stderr, flush=True)
        rows += GROUPS[group](settings)
    if options.json:
        document = {"machine": machine(), "size_mb": size, "runs": runs}
        print(json.dumps(document | {"rows": [as_json(row) for row in rows]}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"files of {size:,} MB, {runs} alternating runs of each side (live: {runs * 3})\n")
    print("\n".join(table(rows)))


def _clean(cache: Path) -> None:
    """Delete what the benchmarks made, and nothing else that may be in the folder."""
    for pattern in MADE:
        for path in cache.glob(pattern):
            if path.is_dir():
                with contextlib.suppress(OSError):  # something else is in it
                    path.rmdir()
            else:
                path.unlink()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="files of 200 MB, 3 runs")
    parser.add_argument("--only", action="append", choices=list(GROUPS), help="this group alone")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--clean", action="store_true", help="delete the files it made and stop")
    parser.add_argument("--size", type=_positive, metavar="MB", help="files of another size")
    parser.add_argument("--runs", type=_positive, metavar="N", help="runs of each side")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/bench", help="where files go")
    return parser


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def machine() -> dict[str, str]:
    """Say what it is measured on."""
    cores = os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    found = {"python": platform.python_version(), "system": system, "cores": str(cores)}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def as_json(row: Row) -> dict[str, Any]:
    """Give a row with all of its figures."""
    stated = {name: getattr(row, name) for name in ("group", "name", "against", "unit")}
    if row.error:
        return stated | {"error": row.error, "target": row.target}
    measured = {"ours": row.ours, "theirs": row.theirs, "ratio": row.ratio}
    return stated | measured | {"target": row.target, "met": row.met}


def table(rows: Sequence[Row]) -> list[str]:
    """Write the rows as aligned lines; one that failed gives its error instead of figures."""
    cells = [TITLES, *(_cells(row) for row in rows if not row.error)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(TITLES))]
    titles, *measured = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
    lines = iter(measured)
    return [titles, *(_failed(row) if row.error else next(lines) for row in rows)]


def _failed(row: Row) -> str:
    return f"{row.name} against {row.against} FAILED: {row.error}"


def _cells(row: Row) -> tuple[str, ...]:
    low, high = min(row.ratios), max(row.ratios)
    met = {None: "", True: "yes", False: "NO"}[row.met]
    ratio = (f"{row.ratio:.2f} x", f"({low:.2f}-{high:.2f})")
    ours, theirs = _figures(row.ours, row.unit), _figures(row.theirs, row.unit)
    return (row.name, *ours, row.against, *theirs, *ratio, row.target, met)


def _figures(values: Sequence[float], unit: str) -> tuple[str, str]:
    scale, unit = (1000, "ms") if unit == "s" else (1, unit)
    low, middle, high = (scale * f(values) for f in (min, median, max))
    digits = 1 if middle < 100 else 0
    return f"{middle:,.{digits}f} {unit}", f"({low:,.{digits}f}-{high:,.{digits}f})"


if __name__ == "__main__":
    main()
