"""What a report of two networks tells of their differences."""

from __future__ import annotations

from typing import Any

from weigh._compare.change import KINDS, TensorChange
from weigh._compare.report import DiffReport
from weigh._measures.difference import Difference
from weigh._number_format import number_text
from weigh._report.nodes import Nodes
from weigh._views.diff import cosine_text, share_text
from weigh._views.json import strict


def changes_json(report: DiffReport, nodes: Nodes) -> dict[str, Any]:
    """Tell the story, and a row for whatever is not the same."""
    rows = []
    for at, node in enumerate(nodes.all):
        change = node.change
        if change is None or change.kind == "unchanged":
            continue
        found = change.difference
        numbers: list[Any] = [None, "", "", "", ""]
        if found is not None:
            moved = strict(found.relative_change)
            texts = number_text(found.relative_change), cosine_text(found.cosine)
            numbers = [moved, *texts, number_text(found.max_abs), share_text(found)]
        rows.append([at, change.kind, *numbers, _words(change)])
    return {
        "story": [[one.text, one.status] for one in report.story],
        "counts": [[kind, len(report.of(kind))] for kind in KINDS],
        "rows": rows,
        "ties": [[tie.name, tie.tied_to, tie.change] for tie in report.ties],
        "notes": list(report.notes),
    }


def change_item(change: TensorChange) -> dict[str, Any]:
    """Tell what became of one tensor."""
    sides = [
        None if one is None else [one.name, one.dtype.name, list(one.shape or ())]
        for one in (change.a, change.b)
    ]
    found = change.difference
    return {
        "kind": change.kind,
        "words": _words(change),
        "status": change.status,
        "sides": sides,
        "numbers": [] if found is None else _numbers(found, change),
        "problem": change.problem,
    }


def _words(change: TensorChange) -> str:
    parts = [change.how, change.words]
    if change.a is not None and change.b is not None:
        if change.renamed:
            parts.insert(0, f"{change.a.name} -> {change.b.name}")
        if change.a.dtype != change.b.dtype and "rounded" not in change.words:
            parts.append(f"{change.a.dtype.name} -> {change.b.dtype.name}")
    return ", ".join(part for part in parts if part)


def _numbers(found: Difference, change: TensorChange) -> list[list[str]]:
    at = "" if found.max_at is None else f" at [{', '.join(map(str, found.max_at))}]"
    rank = change.rank
    rows = [
        ["relative change", number_text(found.relative_change)],
        ["cosine", cosine_text(found.cosine)],
        ["values changed", f"{share_text(found)} ({found.changed_values:,} of {found.count:,})"],
        ["largest change", f"{number_text(found.max_abs)}{at}"],
        ["norm of the change", number_text(found.norm_change)],
        ["norm before", _maybe(found.norm_a)],
        ["norm after", _maybe(found.norm_b)],
        ["sign flips", _some(found.sign_flips)],
        ["became 0", _some(found.to_zero)],
        ["were 0", _some(found.from_zero)],
        ["not finite before", _some(found.odd_a)],
        ["not finite after", _some(found.odd_b)],
        ["rank of the change", "" if rank is None else str(rank.rank or "full")],
    ]
    return [row for row in rows if row[1]]


def _maybe(value: float | None) -> str:
    return "" if value is None else number_text(value)


def _some(count: int) -> str:
    return f"{count:,}" if count else ""
