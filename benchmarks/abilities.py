"""What each program says of two networks of which one was changed in a known way.

``python -m benchmarks.abilities [PART]`` prints Markdown: a table for each kind of file, or for the
kinds with PART in their name. Each network has 20 tensors. What stands there is what a program said
in this run: ``nothing`` is that it reports no difference.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

from benchmarks import files, rivals
from benchmarks.diff import counts
from benchmarks.measure import WEIGH

WORDS = {
    "same": "nothing",
    "bit": "the last bit of one value",
    "value": "1 added to one value",
    "all": "noise added to all",
    "prefixed": "`module.` before all names",
    "renamed": "`layers` named `blocks`",
    "permuted": "all rows in reverse order",
    "recast": "another dtype",
    "grown": "rows added to one tensor",
}
"""What was changed, as ``changes.py`` names it and in words."""

KINDS = ("bf16.safetensors", "f32.safetensors", "bf16.zip.pt", "f32.zip.pt")


def weigh(a: Path, b: Path) -> dict[str, int]:
    done = subprocess.run(
        [WEIGH, "diff", "--json", "--no-rank", a, b], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise ValueError(done.stderr.strip())
    found = counts(json.loads(done.stdout))
    found.pop("unchanged", None)
    return found


def weightscope(a: Path, b: Path) -> dict[str, int]:
    from weightscope import diff_models

    found = diff_models(str(a.parent), str(b.parent))
    return {
        "changed": sum(bool(one.n_changed) for one in found.tensors),
        "renamed": len(found.renames),
        "removed": len(found.only_in_a),
        "added": len(found.only_in_b),
    }


def mergelens(a: Path, b: Path) -> dict[str, int]:
    from mergelens.compare.analyzer import compare_models

    measures = ["l2_distance", "cosine_similarity"]
    models = [str(a.parent), str(b.parent)]
    found = compare_models(models, metrics=measures, show_progress=False, include_strategy=False)
    (covered,) = found.coverage
    return {
        "changed": sum(bool(row.l2_distance) for row in found.tensor_metrics),
        "dtype": len(covered.floating_dtype_mismatches),
        "shape": len(covered.shape_mismatches),
        "removed": len(covered.tensors_missing_from_candidate),
        "added": len(covered.tensors_missing_from_reference),
    }


def diffai(a: Path, b: Path) -> dict[str, int]:
    import diffai

    found: dict[str, set[str]] = {}
    for one in diffai.diff_paths(str(a), str(b)):
        tensor, dot, part = one["path"].removeprefix("tensors.").partition(".weight")
        what = part.split(".")[-1] or one["type"].lower()
        if not dot:  # not of a tensor
            tensor, what = one["path"], one["path"]
        found.setdefault(what, set()).add(tensor)
    return {what: len(tensors) for what, tensors in found.items()}


def ckptkit(a: Path, b: Path) -> dict[str, int]:
    from ckptkit.diff import diff

    return dict(Counter(entry.change_type for entry in diff(a, b).entries))


SAYING: dict[str, Callable[[Path, Path], dict[str, int]]] = {
    "weigh": weigh,
    "weightscope": weightscope,
    "mergelens": mergelens,
    "diffai": diffai,
    "ckptkit": ckptkit,
}
"""How many tensors a program says something of, by what it says."""


def said(way: str, a: Path, b: Path) -> str:
    """Put what a program says into few words; its refusal too."""
    try:
        found = SAYING[way](a, b)
    except (OSError, RuntimeError, ValueError) as error:
        return f"refused: {' '.join(str(error).split())[:40]}..."
    return ", ".join(f"{count} {what}" for what, count in found.items() if count) or "nothing"


def table(folder: Path, kind: str, ways: list[str]) -> list[str]:
    """Write a table of what each program says of each change."""
    lines = [f"| {kind} | {' | '.join(ways)} |", f"|---{'|---' * len(ways)}|"]
    for change, words in WORDS.items():
        a, b = files.changed(folder, 1, kind, ("base", change))
        cells = (said(way, a, b).replace("|", "/") for way in ways)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return [*lines, ""]


def _versions() -> dict[str, str]:
    """The versions of the programs that are there."""
    known = {"diffai": "diffai-python"}
    there = {one.name: one.version for one in distributions()}
    return {way: there[known.get(way, way)] for way in SAYING if rivals.installed(way)}


def main(part: str = "") -> None:
    sys.path.append(str(rivals.FOLDER))
    versions = _versions()
    print(", ".join(f"{way} {version}" for way, version in versions.items()), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            if part in kind:
                print("\n".join(table(Path(folder), kind, list(versions))))


if __name__ == "__main__":
    main(*sys.argv[1:])
