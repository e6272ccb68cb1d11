"""The document of ``weigh diff``: the story, then the tensors by what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weigh._compare.change import KINDS, Kind, TensorChange
from weigh._compare.naming import NamePair
from weigh._compare.renames import renames
from weigh._compare.report import DiffReport
from weigh._errors import UnknownNameError, printable
from weigh._measures.difference import Difference
from weigh._names import did_you_mean
from weigh._number_format import number_text
from weigh._views.document import Column, Document, Heading, Note, Part, Points, Table
from weigh._views.stats import histogram_text

KEYS = (
    "relative_change", "norm_change", "max_abs", "changed_values", "changed_share", "cosine",
    "sign_flips", "to_zero", "from_zero", "count", "rank", "name",
)  # fmt: skip
"""What rows can be sorted by."""

_TITLES: dict[Kind, str] = {
    "changed": "Changed",
    "reshaped": "Of another shape",
    "recast": "The same numbers in another dtype",
    "relaid": "The same values in another order",
    "renamed": "Renamed",
    "removed": "Only in A",
    "added": "Only in B",
    "unread": "Not compared",
}
_POSITIONS = 10
_PLACES = 12
"""So many rows of what is only renamed, removed or added are shown, unless more are asked for."""


def diff_document(
    report: DiffReport,
    sources: Sequence[str] = ("A", "B"),
    *,
    sort: str = "",
    top: int | None = None,
    picture: bool = False,
) -> Document:
    """Build the document.

    Args:
        report: what changed.
        sources: what A and B are called.
        sort: what rows are sorted by, the largest first; the order of A if empty.
        top: how many rows of each kind to show.
        picture: whether each row has a small histogram of its changes.

    Raises:
        UnknownNameError: rows cannot be sorted by that.
    """
    names = tuple(
        f"{letter}  {printable(source)}  ({form})"
        for letter, source, form in zip("AB", sources, report.formats, strict=True)
    )
    parts: list[Part] = [Points(names)] if any(report.formats) else []
    if report.story:
        parts.append(Heading("What happened (inferred from the numbers below)"))
        parts.append(Points(tuple(printable(one.text) for one in report.story)))
    for kind in KINDS[:-1]:
        found = sorted_changes(report.of(kind), sort)
        if found:
            parts.append(Heading(f"{_TITLES[kind]}: {_counted(found)}"))
            parts += _part(kind, found, top, report.by, picture=picture)
    same = report.of("unchanged")
    if same:
        parts.append(Note(f"Unchanged, bit for bit: {_counted(same)}."))
    parts += [Points(tuple(_ties(report)))] if report.ties else []
    parts += [Note(printable(note)) for note in _notes(report, picture=picture)]
    return tuple(parts)


def check_key(key: str) -> None:
    """Refuse a key that no row can be sorted by.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if key not in KEYS:
        do = did_you_mean(key, KEYS) or f"There are: {', '.join(KEYS)}."
        raise UnknownNameError(f"rows cannot be sorted by {key!r}", do=do)


def sorted_changes(changes: Sequence[TensorChange], sort: str) -> list[TensorChange]:
    """Sort changes, the largest first (the smallest cosine); those without such a number last.

    Raises:
        UnknownNameError: they cannot be sorted by that.
    """
    if not sort:
        return list(changes)
    check_key(sort)
    if sort == "name":
        return sorted(changes, key=lambda change: change.name)
    known = [
        (number, change) for change in changes if (number := _number(change, sort)) is not None
    ]
    # What points another way has moved the most.
    known.sort(key=lambda pair: pair[0] if sort == "cosine" else -pair[0])
    rest = [change for change in changes if _number(change, sort) is None]
    return [change for _, change in known] + rest


def _number(change: TensorChange, key: str) -> float | None:
    if key == "rank":
        return None if change.rank is None else change.rank.rank
    if key == "count":
        return change.tensor.count
    found: float | None = None if change.difference is None else getattr(change.difference, key)
    return found


def _part(
    kind: Kind, changes: Sequence[TensorChange], top: int | None, by: str, *, picture: bool
) -> Iterator[Part]:
    if kind == "renamed":
        yield from _renamed(changes, top)
        return
    measured = kind in ("changed", "reshaped", "recast", "relaid")
    most = top if top is not None else (None if measured else _PLACES)
    shown = changes[:most]
    yield _measured(shown, picture=picture) if measured else _listed(shown)
    if len(shown) < len(changes):
        yield Note(f"{len(shown):,} of {len(changes):,} are shown.")
    if by:
        for change in shown:
            yield from _by_position(change, by, top)


def _measured(changes: Sequence[TensorChange], *, picture: bool) -> Table:
    """Lay out what was compared, a row a tensor."""
    flips = any(c.difference is not None and c.difference.sign_flips for c in changes)
    columns = [
        Column("name", role="name"),
        Column("values", "right", unit=True),
        Column("changed", "right"),
        Column("relative change", "right"),
        Column("cosine", "right"),
        Column("largest change", "right"),
        Column(""),
        Column("sign flips" if flips else "", "right", unit=True),
        Column("rank" if any(c.rank is not None for c in changes) else "", "right"),
        Column("change" if picture else ""),
        Column("", role="detail"),
    ]
    return Table(tuple(columns), tuple(_row(change, picture=picture) for change in changes))


def _row(change: TensorChange, *, picture: bool) -> tuple[str, ...]:
    found = change.difference
    if found is None:
        return (printable(change.name), *("",) * 9, printable(change.words))
    flips = f"{found.sign_flips:,}" if found.sign_flips else ""
    return (
        printable(change.name),
        f"{found.count:,}",
        share_text(found),
        number_text(found.relative_change),
        cosine_text(found.cosine),
        number_text(found.max_abs),
        "" if not found.max_at else f"at [{', '.join(map(str, found.max_at))}]",
        flips,
        _rank_text(change),
        histogram_text(found.bins) if picture else "",
        printable(_remark(change)),
    )


def share_text(found: Difference) -> str:
    """Write which share of the values changed; never 0 % where one did, nor 100 % where not all.

    Examples:
        >>> [share_text(Difference(10000, n, 10000)) for n in (0, 1, 5000, 9999, 10000)]
        ['none', '0.01 %', '50 %', '99.9 %', 'all']
    """
    if found.changed_values == found.count:
        return "all" if found.count else ""
    if not found.changed_values:
        return "none"
    share = 100 * found.changed_share
    return f"{min(share, 99.9):.3g} %" if share >= 0.001 else f"{found.changed_values:,} values"


def cosine_text(cosine: float | None) -> str:
    """Write a cosine so that it can be told from 1.

    Examples:
        >>> cosine_text(0.25), cosine_text(1 - 2e-7), cosine_text(1.0), cosine_text(None)
        ('0.25', '1 - 2e-07', '1', '')
    """
    if cosine is None:
        return ""
    if 0.9995 <= cosine < 1:
        return f"1 - {1 - cosine:.2g}"
    return f"{cosine:.3g}"


def _rank_text(change: TensorChange) -> str:
    if change.rank is None:
        return ""
    if change.rank.rank is None:
        return "full"
    return f"{change.rank.rank} ({100 * change.rank.share(change.rank.rank):.0f} %)"


def _remark(change: TensorChange) -> str:
    found, words = change.difference, []
    if change.renamed and change.b is not None:
        words.append(f"-> {change.b.name}")
    words += [change.words] if change.words else []
    if change.kind == "changed" and change.a and change.b and change.a.dtype != change.b.dtype:
        words.append(f"{change.a.dtype.name} -> {change.b.dtype.name}")
    if found is not None:
        words += [f"{found.to_zero:,} became 0"] if found.to_zero else []
        words += [f"{found.from_zero:,} were 0"] if found.from_zero else []
        words += [f"{found.odd_b:,} not finite"] if found.odd_b else []
        words += [f"{found.odd_a:,} were not finite"] if found.odd_a else []
    if change.tensor.role != "parameter":
        words.append(change.tensor.role)
    return ", ".join(words)


def _listed(changes: Sequence[TensorChange]) -> Table:
    """Lay out what only one of them has, and what could not be read."""
    columns = (
        Column("name", role="name"),
        Column("shape"),
        Column("dtype"),
        Column("values", "right", unit=True),
        Column("", role="detail"),
    )
    rows = []
    for change in changes:
        tensor = change.tensor
        shape = "?" if tensor.shape is None else "(" + ", ".join(map(str, tensor.shape)) + ")"
        count = "?" if tensor.count is None else f"{tensor.count:,}"
        remark = change.problem or (tensor.role if tensor.role != "parameter" else "")
        row = (tensor.name, shape, tensor.dtype.name, count, remark)
        rows.append(tuple(map(printable, row)))
    return Table(columns, tuple(rows))


def _renamed(changes: Sequence[TensorChange], top: int | None) -> Iterator[Part]:
    """Say how names differ: those that differ in the same way are one row."""
    how = {c.a.name: c.how or _FOUND[c.found_by] for c in changes if c.a is not None}
    ways = renames([NamePair(c.a.name, c.b.name, how[c.a.name]) for c in changes if c.a and c.b])
    columns = (Column("in A", role="name"), Column("in B"), Column("tensors", "right", unit=True))
    shown = ways[: top if top is not None else 2 * _PLACES]
    rows = tuple((printable(a), printable(b), f"{n:,}") for a, b, n in shown)
    yield Table(columns, rows)
    if len(shown) < len(ways):
        yield Note(f"{len(shown):,} of {len(ways):,} are shown.")
    told = dict.fromkeys(how.values())
    yield Note(f"Found by {', '.join(told)} (inferred).")


_FOUND = {
    "name": "their names",
    "convention": "a convention",
    "content": "their values, which are equal",
    "layer": "the layer they are in",
}


def _by_position(change: TensorChange, by: str, top: int | None) -> Iterator[Part]:
    """Say which positions of an axis moved, those that moved most first."""
    moved = [p for p in change.positions if p.difference.changed_values]
    if not change.positions:
        return
    moved.sort(key=lambda p: -p.difference.norm_change)
    shown = moved[: top if top is not None else _POSITIONS]
    yield Note(
        f"{printable(change.name)}: {len(moved):,} of {len(change.positions):,} positions of {by} "
        "changed; the largest change first."
    )
    columns = (
        Column(by, role="name"),
        Column("changed", "right"),
        Column("relative change", "right"),
        Column("cosine", "right"),
        Column("largest change", "right"),
    )
    rows = [
        (
            str(p.at),
            share_text(p.difference),
            number_text(p.difference.relative_change),
            cosine_text(p.difference.cosine),
            number_text(p.difference.max_abs),
        )
        for p in shown
    ]
    if rows:
        yield Table(columns, tuple(rows))


def _ties(report: DiffReport) -> Iterator[str]:
    for tie in report.ties:
        name, to = printable(tie.name), printable(tie.tied_to)
        if tie.change == "stored once":
            yield f"{name} is one tensor with {to}, under which alone the other network stores it."
        elif tie.change == "tied":
            yield f"Tied: {name} is one tensor with {to} in B, and was another in A."
        else:
            yield f"Untied: {name} is a tensor of its own in B, and was one with {to} in A."


def _notes(report: DiffReport, *, picture: bool) -> Iterator[str]:
    if not report.complete:
        yield "Stopped before all was compared: this is a part."
    yield from report.notes
    measured = [change for change in report if change.difference is not None]
    if any(c.rank is not None and c.rank.rank is not None for c in measured):
        yield (
            "rank: singular values of the change that stand above its noise, and their share of "
            "its energy."
        )
    if picture and any(c.difference is not None and c.difference.bins for c in measured):
        yield "change: B - A, from its quantile 0.001 to 0.999, in 16 bins."


def _counted(changes: Sequence[TensorChange]) -> str:
    values = sum(change.tensor.count or 0 for change in changes)
    noun = "tensor" if len(changes) == 1 else "tensors"
    return f"{len(changes):,} {noun} with {values:,} values"
