"""A document as HTML: pieces of a page, which a style sheet of the page makes look well.

All classes begin with ``weigh-``, nothing has an identifier, and every text is escaped: it may
come from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from weigh._errors import printable
from weigh._views.document import Column, Document, Heading, Note, Part, Points, Table, Verbatim

Draw = Callable[[Column, tuple[str, ...]], str]
"""Gives HTML to put in place of a cell's text, by its column and its row; "" to keep the text."""

SIGNS = {"error": "✕", "warning": "▲", "info": "ℹ"}
"""What stands before a finding, so that colour is not all that tells how bad it is."""

LONGEST = 400
"""Of longer texts the middle is left out: a file may hold a name of a megabyte."""


def nothing_drawn(column: Column, row: tuple[str, ...]) -> str:  # noqa: ARG001
    """Draw no cell."""
    return ""


def render_html(
    document: Document,
    *,
    draw: Draw = nothing_drawn,
    room: int = 500_000,
    more: str = "",
) -> str:
    """Write a document as HTML.

    Args:
        document: its parts.
        draw: draws cells.
        room: how many letters there are for it; rows beyond that are left out, and counted.
        more: where a reader finds what is left out, a sentence.

    Examples:
        >>> print(render_html((Note("a < b"),)))
        <p class="weigh-note">a &lt; b</p>
    """
    made: list[str] = []
    for part in document:
        text = "\n".join(_lines(part, draw, max(room, 0), more))
        room -= len(text)
        made.append(text)
    return "\n".join(made)


def safe(text: str, longest: int = LONGEST) -> str:
    r"""Make a text one that shows in a page as it is, on one line.

    Examples:
        >>> safe('<b>\x1b"'), safe("a" * 50, 20)
        ('&lt;b&gt;\\x1b&quot;', 'aaaaaaaa … (50 letters) … aaaaaaaa')
    """
    if len(text) > longest:
        ends = longest * 2 // 5
        text = f"{text[:ends]} … ({len(text):,} letters) … {text[-ends:]}"
    return escape(printable(text))


def _lines(part: Part, draw: Draw, room: int, more: str) -> Iterator[str]:
    match part:
        case Heading(text, role):
            # No h3: notebooks take headings in outputs for those of the notebook.
            sign = SIGNS.get(role, "")
            sign = f'<span class="weigh-sign" aria-hidden="true">{sign}</span> ' if sign else ""
            yield (
                f'<div class="weigh-heading weigh-{role}" role="heading" aria-level="4">'
                f"{sign}{safe(text)}</div>"
            )
        case Verbatim(text):
            lines = text.splitlines()
            shown = lines[: _fitting([len(line) + 8 for line in lines], room)]
            text = "\n".join(safe(line, 2000) for line in shown)
            yield f'<pre class="weigh-pre">{text}</pre>'
            if len(shown) < len(lines):
                yield _left_out(len(shown), len(lines), "lines", more)
        case Note(text):
            yield f'<p class="weigh-note">{safe(text, 2000)}</p>'
        case Points(points):
            items = [f"<li>{safe(point, 2000)}</li>" for point in points]
            shown = items[: _fitting([len(item) for item in items], room)]
            yield f'<ul class="weigh-points">{"".join(shown)}</ul>'
            if len(shown) < len(items):
                yield _left_out(len(shown), len(items), "lines", more)
        case Table():
            yield from _table(part, draw, room, more)


def _table(table: Table, draw: Draw, room: int, more: str) -> Iterator[str]:
    shown = [i for i, c in enumerate(table.columns) if c.title or any(r[i] for r in table.rows)]
    rows: list[str] = []
    # The last row stays whatever is left out: it may be a total.
    last = [_row(table, shown, row, draw) for row in table.rows[-1:]]
    room -= sum(map(len, last))
    for row in table.rows[:-1]:
        text = _row(table, shown, row, draw)
        room -= len(text)
        if room < 0:
            break
        rows.append(text)
    rows += last
    # What scrolls must be reached by keyboard, and then has a name.
    yield '<div class="weigh-scroll" tabindex="0" role="group" aria-label="table">'
    yield '<table class="weigh-table">'
    if any(table.columns[i].title for i in shown):
        yield f"<thead><tr>{''.join(_title(table.columns[i]) for i in shown)}</tr></thead>"
    yield f"<tbody>{''.join(rows)}</tbody></table></div>"
    if len(rows) < len(table.rows):
        yield _left_out(len(rows), len(table.rows), "rows", more)


def _title(column: Column) -> str:
    if not column.title:
        return "<td></td>"
    return f'<th scope="col" class="weigh-{column.align}">{safe(column.title)}</th>'


def _row(table: Table, shown: list[int], row: tuple[str, ...], draw: Draw) -> str:
    made = []
    for i in shown:
        column = table.columns[i]
        text = draw(column, row) or safe(row[i], 2000 if column.role == "detail" else LONGEST)
        if column.role == "name":
            made.append(f'<th scope="row"><span class="weigh-name">{text}</span></th>')
        else:
            kind = "weigh-right" if column.align == "right" else f"weigh-{column.role}"
            made.append(f'<td class="{kind}">{text}</td>')
    return f"<tr>{''.join(made)}</tr>"


def _fitting(sizes: list[int], room: int) -> int:
    """Count how many of some texts there is room for."""
    for at, size in enumerate(sizes):
        room -= size
        if room < 0:
            return at
    return len(sizes)


def _left_out(shown: int, every: int, what: str, more: str) -> str:
    told = f"{shown:,} of {every:,} {what} are shown here. {more}".rstrip()
    return f'<p class="weigh-note weigh-cut">{safe(told)}</p>'
