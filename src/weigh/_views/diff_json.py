"""The JSON documents of ``weigh diff``; see ``docs/json.md``."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._compare.change import KINDS, TensorChange
from weigh._compare.path import PathReport
from weigh._compare.report import DiffReport
from weigh._measures.difference import Difference, as_record
from weigh._tensor import Tensor
from weigh._views.check_json import plain
from weigh._views.json import Document, strict
from weigh._views.stats_json import statistics_json


def diff_json(report: DiffReport, sources: Sequence[str] = ("", "")) -> Document:
    """Build the document of a comparison of two networks."""
    return {
        "sources": [
            {"source": source, "format": form}
            for source, form in zip(sources, report.formats, strict=True)
        ],
        "different": report.different,
        "complete": report.complete,
        "story": [
            {"kind": c.kind, "text": c.text, "status": c.status, "evidence": plain(c.evidence)}
            for c in report.story
        ],
        "counts": {kind: len(report.of(kind)) for kind in KINDS},
        "changed": [_change(change) for change in report.of("changed")],
        "unchanged": [change.name for change in report.of("unchanged")],
        "added": [change.name for change in report.of("added")],
        "removed": [change.name for change in report.of("removed")],
        "renamed": [
            {
                "from": change.a.name,
                "to": change.b.name,
                "class": "unchanged" if change.kind == "renamed" else change.kind,
                "found_by": change.found_by,
                "how": change.how,
                "status": change.status,
            }
            for change in report
            if change.renamed and change.a is not None and change.b is not None
        ],
        "reshaped": [_change(change) for change in report.of("reshaped")],
        "recast": [_change(change) for change in report.of("recast")],
        "relaid": [_change(change) for change in report.of("relaid")],
        "unread": [
            {"name": change.name, "problem": change.problem} for change in report.of("unread")
        ],
        **{
            key: [
                {"name": tie.name, "tied_to": tie.tied_to}
                for tie in report.ties
                if tie.change.replace(" ", "_") == key
            ]
            for key in ("tied", "untied", "stored_once")
        },
        "by": report.by or None,
        "notes": list(report.notes),
    }


def _change(change: TensorChange) -> Document:
    made: Document = {
        "name": change.name,
        "to": change.b.name if change.renamed and change.b is not None else None,
        "role": change.tensor.role,
        "found_by": change.found_by,
        "how": change.how,
        "status": change.status,
        "words": change.words,
        "a": _side(change.a),
        "b": _side(change.b),
    }
    found = change.difference
    if found is None:
        return made
    made |= _difference(found)
    made["change"] = None if found.change is None else statistics_json(found.change)
    made["histogram"] = (
        {"low": strict(found.low), "high": strict(found.high), "counts": list(found.bins)}
        if found.bins
        else None
    )
    rank = change.rank
    made["rank"] = None if rank is None else _rank(change)
    if change.positions:
        made["positions"] = [{"at": p.at} | _difference(p.difference) for p in change.positions]
    return made


def _rank(change: TensorChange) -> Document:
    rank = change.rank
    assert rank is not None  # asked before
    return {
        "rank": rank.rank,
        "energy_share": None if rank.rank is None else strict(rank.share(rank.rank)),
        "energy": [strict(share) for share in rank.energy],
        "top": [strict(value) for value in rank.top],
        "noise_edge": strict(rank.noise_edge),
        "exact": rank.exact,
        "error": strict(rank.error),
    }


def _difference(found: Difference) -> Document:
    made = {key: strict(value) for key, value in as_record(found).items()}
    made["max_at"] = None if found.max_at is None else list(found.max_at)
    return made | {"changed_share": found.changed_share}


def _side(tensor: Tensor | None) -> Document | None:
    if tensor is None:
        return None
    shape = None if tensor.shape is None else list(tensor.shape)
    return {"name": tensor.name, "dtype": tensor.dtype.name, "shape": shape}


def path_json(report: PathReport) -> Document:
    """Build the document of several checkpoints."""
    return {
        "sources": list(report.sources),
        "different": report.different,
        "complete": report.complete,
        "tensors": [
            {
                "name": path.name,
                "from_first": [strict(step) for step in path.from_first],
                "from_previous": [strict(step) for step in path.from_previous],
                "stopped": path.stopped,
                "settled": path.settled,
            }
            for path in report
        ],
        "others": [{"at": at, "names": list(names)} for at, names in report.others],
        "notes": list(report.notes),
    }
