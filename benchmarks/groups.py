"""What is compared: each group makes its files, runs both sides and gives its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks import files
from benchmarks.diff import diff
from benchmarks.measure import (
    PYTHON,
    WEIGH,
    Command,
    CommandError,
    Row,
    Settings,
    compared,
    run,
)
from benchmarks.pictures import pictures
from benchmarks.served import MOST_SERVED, Served

LISTING = Path(__file__).with_name("listing.py")

USUAL = Path(__file__).with_name("usual.py")
STATS = (WEIGH, "stats", "--json", "--no-cache")

PEAK = 80  # MB


def cold(settings: Settings) -> Iterator[Row]:
    """A whole process that shows a small network, against one that only imports NumPy."""
    ours: Command = [WEIGH, "show", files.article(settings.cache)]
    theirs: Command = [PYTHON, "-c", "import numpy"]
    yield from compared(
        "cold", "weigh show article", "import numpy", ours, theirs, settings, most_ratio=1.6
    )


def listing(settings: Settings) -> Iterator[Row]:
    """Names, dtypes and shapes of 500 tensors in each format, against its own library."""
    paths = files.many(settings.cache, settings.size)
    ways: tuple[tuple[str, str, float | None], ...] = (
        ("safetensors", "safetensors-numpy", None),
        ("safetensors", "safetensors-pt", 0.2),
        ("torch-zip", "torch-mmap", 0.2),
        ("torch-legacy", "torch-eager", 0.2),
    )
    for kind, way, most_ratio in ways:
        ours: Command = [WEIGH, "show", paths[kind], "--json"]
        theirs: Command = [PYTHON, "-P", LISTING, way, paths[kind]]
        yield from compared(
            "listing",
            f"list {kind}",
            way,
            ours,
            theirs,
            settings,
            most_ratio=most_ratio,
            most_peak=PEAK,
            check=same_tensors,
        )


def formats(settings: Settings) -> Iterator[Row]:
    """The same 500 tensors in other formats, each against its own library."""
    paths = files.formats(settings.cache, settings.size)
    ways = {
        "gguf": "gguf",
        "onnx": "onnx",
        "onnx-external": "onnx-external",
        "dcp": "torch-dcp",
        "npz": "numpy",
    }
    for kind, way in ways.items():
        ours: Command = [WEIGH, "show", paths[kind], "--json"]
        theirs: Command = [PYTHON, "-P", LISTING, way, paths[kind]]
        yield from compared(
            "formats",
            f"list {kind}",
            f"{way} library" if way == kind else way,
            ours,
            theirs,
            settings,
            most_ratio=1,
            most_peak=PEAK,
            check=same_tensors,
        )


def slices(settings: Settings) -> Iterator[Row]:
    """A few values of a large tensor, against the same of one a hundred times smaller."""
    commands: list[Command] = []
    sizes = (settings.size, settings.size / 100)
    for path, rows in files.embeddings(settings.cache, sizes):
        # Row 123,456 of the million.
        index = f"{files.EMBEDDING}[{rows * 123_456 // 1_000_000}, :8]"
        commands.append([WEIGH, "values", path, index])
    name, against = f"slice of {settings.size:g} MB", f"of {settings.size / 100:g} MB"
    large, small = commands
    # "The same time", with room for the noise of a machine that does other things too.
    yield from compared(
        "slice", name, against, large, small, settings, most_ratio=1.2, most_peak=PEAK
    )


def live(settings: Settings) -> Iterator[Row]:
    """The text for a live module, in one process, against torchinfo's."""
    try:
        done = run([PYTHON, "-m", "benchmarks.live", str(settings.runs * 3)], keep=True)
    except CommandError as error:
        yield Row("live", "weigh.open + show", "torchinfo", "s", error=str(error))
        return
    for name, against, figures in json.loads(done.output):
        yield Row("live", name, against, "s", **figures, most_ratio=1.0)


def places(settings: Settings) -> Iterator[Row]:
    """A model of 62 files on a server of this machine: what is asked for, moved, and how long."""
    folder = files.shards(settings.cache, min(settings.size, MOST_SERVED))
    with Served(folder) as served:
        for kind in ("http", "s3"):
            url = served.urls[kind]
            ours: Command = [WEIGH, "show", f"{url}/{files.INDEX}", "--json"]
            for way in WAYS[kind]:
                if way == "s3fs" and find_spec("s3fs") is None:
                    continue
                theirs: Command = [PYTHON, "-P", LISTING, way, url]
                name = f"62 files over {kind}"
                yield from compared("places", name, way, ours, theirs, settings, check=same_tensors)
                yield from _counted(served, name, way, ours, theirs)


def _counted(served: Served, name: str, way: str, ours: Command, theirs: Command) -> Iterator[Row]:
    served.count()
    counts = []
    for command in (ours, theirs):
        try:
            run(command)
        except CommandError as error:
            yield Row("places", name, way, "requests", error=str(error))
            return
        counts.append(served.count())
    (a, b) = counts
    yield Row("places", f"{name}: asked", way, "requests", [a.requests], [b.requests])
    moved = [a.sent / 1e6], [b.sent / 1e6]
    yield Row("places", f"{name}: moved", way, "MB", *moved, most_ratio=0.1)


def stats(settings: Settings) -> Iterator[Row]:
    """Statistics of every value, against reading the bytes and against what people do today."""
    cold: Command = [*STATS, files.article(settings.cache)]
    numpy: Command = [PYTHON, "-c", "import numpy"]
    yield from compared(
        "stats", "weigh stats article", "import numpy", cold, numpy, settings, most_ratio=1.6
    )
    yield from _reading(settings)
    yield from _memory(settings)
    yield from _usual(settings)
    yield from _weightlens(settings)


def check(settings: Settings) -> Iterator[Row]:
    """All rules on a file against its statistics alone: both read every value once."""
    for kind in ("bf16", "f16", "f32"):
        path = files.trained(settings.cache, kind, settings.size)
        yield from compared(
            "check",
            f"weigh check, {kind}",
            "weigh stats",
            [WEIGH, "check", "--json", "--fail-on", "never", path],
            [*STATS, path],
            settings,
            most_ratio=1.5,
        )


def _reading(settings: Settings) -> Iterator[Row]:
    """Measuring, and the counting alone, against reading; two threads against one."""
    paths = [files.weights(settings.cache, kind, settings.size) for kind in files.KINDS]
    command: Command = [PYTHON, "-m", "benchmarks.reading", str(settings.runs)]
    try:
        found = json.loads(run([*command, *paths], keep=True).output)
    except CommandError as error:
        yield Row("stats", "stats", "reading", "s", error=str(error))
        return
    for kind, path in zip(files.KINDS, paths, strict=True):
        figures = found[path.name]
        # The share of reading's speed is to be at least so much.
        most = {"bf16": 1 / 0.30, "f16": 1 / 0.30, "f32": 1 / 0.45}.get(kind)
        for what, name in (("stats", "stats of"), ("count", "counting")):
            for threads in (1, 2):
                ours, theirs = figures[f"{what}{threads}"], figures[f"read{threads}"]
                named = f"{name} {kind}, {threads} thread{'s'[: threads - 1]}"
                yield Row("stats", named, "reading", "s", ours, theirs, most_ratio=most)
        ours, theirs = figures["faults of stats"], figures["faults of read"]
        yield Row("stats", f"{kind}: page faults", "reading", "faults", ours, theirs)
        one, two = figures["stats1"], figures["stats2"]
        yield Row("stats", f"{kind}: 2 threads", "1 thread", "s", two, one, most_ratio=1 / 1.7)


def _memory(settings: Settings) -> Iterator[Row]:
    """The memory of files of half, whole and double size, each in a process of its own."""
    sizes = {"half": settings.size // 2 or 1, "whole": settings.size, "double": 2 * settings.size}
    found: dict[str, dict[str, list[float]]] = {}
    few = min(settings.runs, 3)
    for size, megabytes_of in sizes.items():
        path = files.weights(settings.cache, "bf16", megabytes_of)
        try:
            seen = [run([PYTHON, "-m", "benchmarks.memory", path], keep=True) for _ in range(few)]
        except CommandError as error:
            yield Row("stats", f"memory, {size} size", "half", "MB", error=str(error))
            return
        each = [json.loads(one.output) for one in seen]
        found[size] = {kind: [one[kind] for one in each] for kind in ("private", "resident")}
        for kind, most in (("private", 150), ("resident", None)):
            ours, theirs = found[size][kind], found["half"][kind]
            yield Row("stats", f"{kind} memory, {size} size", "half", "MB", ours, theirs, most=most)


def _usual(settings: Settings) -> Iterator[Row]:
    """The same answers by the usual calls, about one tensor, in one process after its imports."""
    path = files.weights(settings.cache, "bf16", max(1, settings.size // 8), "one.safetensors")
    ways: tuple[tuple[str, float | None], ...] = (
        ("torch", 1 / 30),
        ("torch-in-chunks", 1 / 30),
        ("numpy", 1 / 10),
        ("numpy-in-chunks", 1 / 10),
        ("lovely-tensors", None),
    )
    for way, most in ways:
        files.settle(path)
        if way == "lovely-tensors" and find_spec("lovely_tensors") is None:
            continue
        command: Command = [
            PYTHON,
            "-m",
            "benchmarks.beside",
            str(min(settings.runs, 3)),
            way,
            path,
        ]
        try:
            figures = json.loads(run(command, keep=True).output)
        except CommandError as error:
            yield Row("stats", "stats of a tensor", way, "s", most_ratio=most, error=str(error))
            continue
        yield Row("stats", "stats of a tensor", way, "s", **figures, most_ratio=most)


def _weightlens(settings: Settings) -> Iterator[Row]:
    """Whole processes; it takes long, so it runs a few times on half the size."""
    if find_spec("weightlens") is None:
        return
    few = Settings(settings.size, min(settings.runs, 3), settings.cache)
    for end in ("safetensors", "zip.pt"):
        path = files.weights(settings.cache, "bf16", settings.size // 2 or 1, end)
        files.settle(path)
        ours: Command = [*STATS, path]
        theirs: Command = [PYTHON, "-P", USUAL, "weightlens", path]
        name = f"stats of {end}"
        yield from compared("stats", name, "weightlens", ours, theirs, few, most_ratio=1 / 40)


WAYS = {"http": ("whole-http",), "s3": ("whole-s3", "s3fs")}

GROUPS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "cold": cold,
    "listing": listing,
    "formats": formats,
    "slice": slices,
    "live": live,
    "places": places,
    "stats": stats,
    "check": check,
    "diff": diff,
    "pictures": pictures,
}


def same_tensors(ours: str, theirs: str) -> str:
    """Give in words how the two lists differ; "" when they hold the same tensors."""
    a = {(t["name"], t["dtype"], tuple(t["shape"])) for t in json.loads(ours)["tensors"]}
    b = {(name, dtype, tuple(shape)) for name, dtype, shape in json.loads(theirs)}
    if a == b:
        return ""
    one = min(a ^ b)
    side = "Weigh" if one in a else "the other"
    return f"the lists differ in {len(a ^ b)} tensors: only {side} has {one}"
