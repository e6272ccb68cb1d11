"""The document of ``weigh diff`` for several checkpoints: how far each tensor moved, and when."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from weigh._compare.path import PathReport, TensorPath
from weigh._errors import UnknownNameError, printable
from weigh._names import did_you_mean
from weigh._number_format import number_text
from weigh._views.document import Column, Document, Heading, Note, Part, Points, Table

KEYS = ("moved", "largest_step", "last_step", "name")
"""What rows can be sorted by."""
_LETTERS = "▁▂▃▄▅▆▇█"


def path_document(
    report: PathReport, *, sort: str = "", top: int | None = None, picture: bool = False
) -> Document:
    """Build the document.

    Args:
        report: how the tensors moved.
        sort: what rows are sorted by, the largest first.
        top: how many rows to show.
        picture: whether each row has small charts.

    Raises:
        UnknownNameError: rows cannot be sorted by that.
    """
    parts: list[Part] = [
        Heading(f"{len(report.sources):,} checkpoints, from the first to the last"),
        Points(tuple(f"{at}  {printable(name)}" for at, name in enumerate(report.sources))),
    ]
    rows = _sorted(report.paths, sort)
    shown = rows[:top]
    parts.append(_table(shown, report.sources, picture=picture, complete=report.complete))
    if len(shown) < len(rows):
        parts.append(Note(f"{len(shown):,} of {len(rows):,} rows are shown."))
    parts += [Note(printable(text)) for text in _told(report)]
    return tuple(parts)


def _sorted(paths: Sequence[TensorPath], sort: str) -> list[TensorPath]:
    if not sort:
        return list(paths)
    check_key(sort)
    if sort == "name":
        return sorted(paths, key=lambda path: path.name)
    return sorted(paths, key=lambda path: -(getattr(path, sort) or 0.0))


def check_key(key: str) -> None:
    """Refuse a key that no row can be sorted by.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if key not in KEYS:
        do = did_you_mean(key, KEYS) or f"There are: {', '.join(KEYS)}."
        raise UnknownNameError(
            f"the rows of several checkpoints cannot be sorted by {key!r}", do=do
        )


def _table(
    paths: Sequence[TensorPath], sources: Sequence[str], *, picture: bool, complete: bool
) -> Table:
    columns = (
        Column("name", role="name"),
        Column("moved", "right"),
        Column("from the first" if picture else ""),
        Column("largest step", "right"),
        Column("last step", "right"),
        Column("steps" if picture else ""),
        Column("", role="detail"),
    )
    rows = []
    for path in paths:
        charts = [chart(path.from_first), chart(path.from_previous)] if picture else ["", ""]
        rows.append(
            (
                printable(path.name),
                _text(path.moved),
                charts[0],
                _text(path.largest_step),
                _text(path.last_step),
                charts[1],
                printable(_remark(path, sources, complete=complete)),
            )
        )
    return Table(columns, tuple(rows))


def chart(numbers: Sequence[float | None]) -> str:
    """Draw numbers as letters of growing height; what is not known is a gap, 0 a dot.

    Examples:
        >>> chart([0.0, 1.0, None, 4.0, 8.0])
        '·▁ ▄█'
    """
    most = max((n for n in numbers if n is not None and isfinite(n)), default=0.0)
    drawn = []
    for number in numbers:
        if number is None:
            drawn.append(" ")
        elif not number:
            drawn.append("·")
        else:
            height = len(_LETTERS) if number >= most else int(number / most * len(_LETTERS) + 0.999)
            drawn.append(_LETTERS[max(0, height - 1)])
    return "".join(drawn)


def _text(number: float | None) -> str:
    return "" if number is None else number_text(number)


def _remark(path: TensorPath, sources: Sequence[str], *, complete: bool) -> str:
    if path.stopped == 0:
        return "never moved"
    if path.stopped is not None:
        return f"stopped at {path.stopped} ({_base(sources[path.stopped])})"
    if path.settled is not None:
        return f"settled at {path.settled} ({_base(sources[path.settled])})"
    if None in path.from_previous:
        return "not in all of them" if complete else "not compared yet"
    return ""


def _base(source: str) -> str:
    return source.rstrip("/").rpartition("/")[2]


def _told(report: PathReport) -> list[str]:
    told = list(report.notes)
    for at, names in report.others:
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        told.append(f"Checkpoint {at} has what the first lacks: {', '.join(names[:3])}{more}.")
    if not report.complete:
        told.insert(0, "Stopped before all was compared: this is a part.")
    told.append(
        "moved: ||last - first|| / ||first||; a step is ||this - previous|| / ||previous||. "
        "Stopped: no bit changes from there on; settled: later steps are below 1 % of the largest."
    )
    return told
