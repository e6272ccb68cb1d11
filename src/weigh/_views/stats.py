"""The document of ``weigh stats``: a row for each tensor or group, and the total below."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._errors import UnknownNameError, printable
from weigh._measures.report import StatisticsReport, StatisticsRow
from weigh._measures.statistics import Statistics, quantile_key
from weigh._names import did_you_mean
from weigh._number_format import number_text
from weigh._record import record
from weigh._views.document import Column, Document, Note, Part, Table
from weigh._width import cells

_BLOCKS = "▁▂▃▄▅▆▇█"


@record(frozen=True)
class _Shown:
    """A column of numbers.

    Attributes:
        key: what it shows: an attribute of ``Statistics``, or ``q`` and a quantile.
        title: what stands above it.
        rank: which columns stay where not all fit: those of low rank.
    """

    key: str
    title: str
    rank: int


_COLUMNS = (
    _Shown("count", "values", 1),
    _Shown("mean", "mean", 2),
    _Shown("std", "std", 2),
    _Shown("min", "min", 3),
    _Shown("q0.01", "1 %", 6),
    _Shown("q0.5", "median", 5),
    _Shown("q0.99", "99 %", 6),
    _Shown("max", "max", 3),
    _Shown("skewness", "skewness", 8),
    _Shown("kurtosis", "kurtosis", 7),
    _Shown("zeros", "zeros", 9),
    _Shown("rms", "rms", 11),
    _Shown("l2", "L2", 11),
    _Shown("entropy_bits", "entropy", 10),
)
_PICTURE_RANK = 2
KEYS = (
    "name", "finite", "sparsity", *(key for key in Statistics.__match_args__ if key != "quantiles")
)  # fmt: skip
"""What rows can be sorted by; a quantile by ``q`` and its fraction, such as ``q0.99``."""


def stats_document(
    report: StatisticsReport,
    *,
    width: int | None = None,
    picture: bool = False,
    sort: str = "",
    ascending: bool = False,
    top: int | None = None,
) -> Document:
    """Build the document.

    Args:
        report: what was measured.
        width: the terminal's columns, of which no more are used than there are; None for all.
        picture: whether each row has a small histogram, in letters that look like one.
        sort: what to sort by, the largest first; the network's own order if empty.
        ascending: whether the smallest is first.
        top: how many rows to show.

    Raises:
        UnknownNameError: rows cannot be sorted by that.
    """
    rows = sorted_rows(report, sort, ascending=ascending)
    shown = rows if top is None else rows[:top]
    columns = [each for each in _COLUMNS if _tells(each, shown)]
    if sort and sort != "name" and all(each.key != sort for each in columns):
        columns.append(_Shown(sort, sort, 0))
    columns = [_Shown(c.key, c.title, 0) if c.key == sort else c for c in columns]
    every = [*shown, report.total_row] if report.total.count and len(rows) > 1 else shown
    parts: list[Part] = [_table(every, columns, width, picture=picture, by=report.by)]
    parts += [Note(printable(note)) for note in _notes(report, len(shown), sort, picture=picture)]
    return tuple(parts)


def sorted_rows(report: StatisticsReport, sort: str, *, ascending: bool) -> list[StatisticsRow]:
    """Sort a report's rows; those that have no such number come last.

    Raises:
        UnknownNameError: rows cannot be sorted by that.
    """
    rows = list(report.rows)
    if not sort:
        return rows
    check_key(sort, [float(key) for key in report.total.quantiles])
    if sort in ("name", "dtype"):
        return sorted(
            rows, key=lambda row: _word(row, sort), reverse=not ascending and sort != "name"
        )
    known = [row for row in rows if _number(row.statistics, sort) is not None]
    rest = [row for row in rows if _number(row.statistics, sort) is None]
    known.sort(key=lambda row: _number(row.statistics, sort) or 0, reverse=not ascending)
    return known + rest


def check_key(key: str, quantiles: Sequence[float]) -> None:
    """Refuse a key that no row can be sorted by.

    Raises:
        UnknownNameError: there is none of that name.
    """
    known = [*KEYS, *(f"q{quantile_key(quantile)}" for quantile in quantiles)]
    if key not in known:
        do = did_you_mean(key, known) or f"There are: {', '.join(known)}."
        raise UnknownNameError(f"rows cannot be sorted by {key!r}", do=do)


def _word(row: StatisticsRow, key: str) -> str:
    return row.name if key == "name" or row.statistics is None else row.statistics.dtype


def _number(found: Statistics | None, key: str) -> float | None:
    if found is None:
        return None
    if key.startswith("q") and key != "quantiles":
        return found.quantiles.get(key[1:])
    value = getattr(found, key)
    return value if isinstance(value, int | float) else None


def _tells(column: _Shown, rows: Sequence[StatisticsRow]) -> bool:
    """Whether a column has anything to say: zeros are seldom there."""
    numbers = [_number(row.statistics, column.key) for row in rows]
    return any(numbers) if column.key == "zeros" else any(n is not None for n in numbers)


def _table(
    rows: Sequence[StatisticsRow],
    columns: Sequence[_Shown],
    width: int | None,
    *,
    picture: bool,
    by: str,
) -> Table:
    """Lay the rows out, with as many columns as the terminal has room for."""
    picture = picture and any(row.bins for row in rows)
    names = [printable(row.name) for row in rows]
    remarks = [_remark(row) for row in rows]
    texts = {c.key: [_text(row.statistics, c.key) for row in rows] for c in columns}
    kept = list(columns)
    if width is not None:
        sizes = {c.key: max(len(c.title), *map(len, texts[c.key])) + 2 for c in columns}
        room = width - max(map(cells, names), default=0)
        remark = max(map(cells, remarks), default=0)
        room -= remark + 2 if remark else 0
        used = 0
        kept = []
        for column in sorted(columns, key=lambda c: c.rank):
            if picture and column.rank > _PICTURE_RANK and used + sizes[column.key] + 18 > room:
                continue
            if used + sizes[column.key] <= room or column.rank <= 1:
                kept.append(column)
                used += sizes[column.key]
        picture = picture and used + 18 <= room
        kept.sort(key=columns.index)
    heads = [Column("name" if by in ("", "name") else by, role="name")]
    heads += [Column(c.title, "right", unit=c.key == "count") for c in kept]
    heads += [Column("distribution")] if picture else []
    heads += [Column("", role="detail")]
    made = []
    for at, row in enumerate(rows):
        line = [names[at], *(texts[c.key][at] for c in kept)]
        line += [histogram_text(row.bins)] if picture else []
        made.append((*line, remarks[at]))
    return Table(tuple(heads), tuple(made))


def histogram_text(bins: Sequence[int]) -> str:
    """Draw counts as letters of growing height; a bin that holds anything is not empty.

    Examples:
        >>> histogram_text((0, 1, 4, 8))
        ' ▁▄█'
    """
    most = max(bins, default=0)
    return "".join(
        _BLOCKS[max(0, -(-count * len(_BLOCKS) // most) - 1)] if count else " " for count in bins
    )


def _text(found: Statistics | None, key: str) -> str:
    value = _number(found, key)
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else number_text(value)


def _remark(row: StatisticsRow) -> str:
    """Say what is odd about a row, in a few words."""
    found = row.statistics
    if row.tied_to:
        return printable(f"tied to {row.tied_to}")
    if found is None:
        return printable(row.problem)
    words = [f"{n:,} {word}" for n, word in _odd(found) if n]
    if row.tensors > 1 and not row.name.startswith("("):
        words.insert(0, f"{row.tensors:,} tensors")
    if found.spare_bits >= 16 and found.dtype == "float32" and found.distinct > 16:
        words.append("holds bfloat16 numbers")
    if row.stored is not None:
        per = "byte" if row.stored.dtype == "uint8" and row.tensor is not None else "value"
        words.append(f"stored: {row.stored.entropy_bits:.2f} bits a {per}")
    return ", ".join(words)


def _odd(found: Statistics) -> tuple[tuple[int, str], ...]:
    floating = "float" in found.dtype or found.dtype == "mixed"
    return (
        (found.nan, "NaN"),
        (found.posinf, "+Inf"),
        (found.neginf, "-Inf"),
        (found.subnormal, "subnormal"),
        (found.at_limit if floating else 0, "at the dtype's limit"),
    )


def _notes(report: StatisticsReport, shown: int, sort: str, *, picture: bool) -> list[str]:
    notes = []
    if not report.complete:
        notes.append("Stopped before all was measured: this is part of the network.")
    if shown < len(report.rows):
        order = f", by {sort}" if sort else ""
        notes.append(f"{shown:,} of {len(report.rows):,} rows are shown{order}.")
    if picture and any(row.bins for row in report.rows):
        notes.append("distribution: from the quantile 0.001 to 0.999 of each row, in 16 bins.")
    inexact = [row for row in report.rows if row.statistics and not row.statistics.exact]
    if inexact:
        notes.append(
            "All is exact but quantiles of numbers of 32 bits and more, which are within 1 % "
            "(float64: 7 %); --exact reads the values once more and makes them exact."
        )
    return notes
