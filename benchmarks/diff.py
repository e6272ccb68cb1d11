"""What ``weigh diff`` is held against: reading both files, and the programs of today."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import files, rivals
from benchmarks.measure import PYTHON, WEIGH, Command, CommandError, Row, Settings, compared, run

SCRIPT = Path(rivals.__file__)

CHANGES = {"same": "identical", "some": "5 % changed", "all": "all changed"}
"""What is compared with the network itself, in words."""

SHARES = {"same": 0.6, "all": 0.2}
"""At least so much of the speed of reading."""

RIVALS = (
    ("bf16.safetensors", "weightscope", "weightscope", 1 / 10),
    ("bf16.safetensors", "mergelens-values", "mergelens, two measures", 1 / 10),
    ("f32.safetensors", "diffai", "diffai, four statistics of each tensor", 1 / 10),
    ("bf16.safetensors", "torch", "a script with PyTorch", None),
    ("bf16.zip.pt", "torch", "a script with PyTorch", None),
    ("bf16.safetensors", "diffai", "diffai (no bf16 value)", None),
    ("bf16.safetensors", "ckptkit", "ckptkit (no value)", None),
    ("bf16.zip.pt", "ckptkit", "ckptkit (no value)", None),
)
"""The files, who compares them, what it is called, and at most so much of its time."""


def diff(settings: Settings) -> Iterator[Row]:
    """Two networks held against each other, value by value."""
    os.environ["WEIGH_CACHE_DIR"] = os.devnull  # nothing can be kept there
    for kind in ("bf16.safetensors", "bf16.zip.pt"):
        yield from _reading(settings, kind)
    yield from _memory(settings)
    yield from _ranks(settings)
    for kind, way, against, most in RIVALS:
        if rivals.installed(way):
            yield from _rival(settings, kind, way, against, most)


def _reading(settings: Settings, kind: str) -> Iterator[Row]:
    """Comparing against reading, in one process after its imports."""
    base, *others = _pair(settings, kind, *CHANGES)
    command: Command = [PYTHON, "-m", "benchmarks.pair", str(settings.runs), base, *others]
    try:
        found = json.loads(run(command, keep=True).output)
    except CommandError as error:
        yield Row("diff", f"diff of {kind}", "reading both", "s", error=str(error))
        return
    for (change, words), other in zip(CHANGES.items(), others, strict=True):
        figures = found[other.parent.name]
        most = 1 / SHARES[change] if change in SHARES else None
        for threads in (1, 2):
            ours, theirs = figures[f"diff{threads}"], figures[f"read{threads}"]
            name = f"{kind}, {words}, {threads} thread{'s'[: threads - 1]}"
            yield Row("diff", name, "reading both", "s", ours, theirs, most_ratio=most)


def _memory(settings: Settings) -> Iterator[Row]:
    """The memory of comparing beside that of measuring one of the files, each a process."""
    for kind in ("bf16.safetensors", "bf16.zip.pt"):
        base, *others = _pair(settings, kind, *CHANGES)
        try:
            (theirs, *ours) = (_seen(settings, paths) for paths in [[base], *_with(base, others)])
        except CommandError as error:
            yield Row("diff", f"memory, {kind}", "weigh stats", "MB", error=str(error))
            continue
        for words, one in zip(CHANGES.values(), ours, strict=True):
            for what, most in (("private", 150), ("resident", None)):
                name = f"{what} memory, {kind}, {words}"
                yield Row("diff", name, "weigh stats", "MB", one[what], theirs[what], most=most)


def _with(base: Path, others: list[Path]) -> list[list[Path]]:
    return [[base, other] for other in others]


def _seen(settings: Settings, paths: list[Path]) -> dict[str, list[float]]:
    command: Command = [PYTHON, "-m", "benchmarks.memory", *paths]
    each = [json.loads(run(command, keep=True).output) for _ in range(min(settings.runs, 3))]
    return {kind: [one[kind] for one in each] for kind in ("private", "resident")}


def _ranks(settings: Settings) -> Iterator[Row]:
    """What the ranks of the changes cost: whole processes."""
    few = replace(settings, runs=min(settings.runs, 3))
    for change in ("some", "all"):
        base, other = _pair(settings, "bf16.safetensors", change)
        bare = _ours(base, other)
        yield from compared(
            "diff",
            f"ranks too, {CHANGES[change]}",
            "--no-rank",
            [part for part in bare if part != "--no-rank"],
            bare,
            few,
            check=_finds(change),
            statuses=(1, 1),
        )


def _rival(
    settings: Settings, kind: str, way: str, against: str, most: float | None
) -> Iterator[Row]:
    """Whole processes; others take long, so they run a few times."""
    few = replace(settings, runs=min(settings.runs, 3))
    for change in ("same", "all"):
        base, other = _pair(settings, kind, change)
        for path in (base, other):
            files.settle(path)
        yield from compared(
            "diff",
            f"{kind}, {CHANGES[change]}",
            against,
            _ours(base, other),
            [PYTHON, "-P", SCRIPT, way, base, other],
            few,
            most_ratio=most,
            check=_finds(change),
            statuses=(0 if change == "same" else 1, 0),
        )


def _pair(settings: Settings, kind: str, *changes: str) -> list[Path]:
    """Make the network and what is compared with it, if they are not there yet."""
    return files.changed(settings.cache, settings.size, kind, ("base", *changes))


def _ours(base: Path, other: Path) -> list[str | Path]:
    return [WEIGH, "diff", base, other, "--json", "--no-rank"]


def _finds(change: str) -> Callable[[str, str], str]:
    """Give what tells in words what ``weigh diff`` did not find of a change; "" if all is found."""

    def missed(ours: str, _: str) -> str:
        try:
            found = counts(json.loads(ours))
        except ValueError:
            return "weigh diff prints no JSON"
        paired = found.get("changed", 0) + found.get("unchanged", 0)
        share = {"same": 0, "some": 0.05, "all": 1}[change]
        right = paired and found.get("changed", 0) == share * paired
        right = right and not found.keys() - {"changed", "unchanged"}
        return "" if right else f"weigh diff finds {found} where {CHANGES[change]}"

    return missed


def counts(document: dict[str, object]) -> dict[str, int]:
    """Count the tensors of each class that has some, in what ``weigh diff --json`` says."""
    classes = (
        "unchanged",
        "changed",
        "renamed",
        "reshaped",
        "recast",
        "relaid",
        "added",
        "removed",
    )
    found = {name: document.get(name) for name in classes}
    return {name: len(found) for name, found in found.items() if isinstance(found, list) and found}
