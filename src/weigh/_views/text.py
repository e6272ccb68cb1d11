"""A document as text: for a terminal of some width, or for a pipe, where nothing is wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

from weigh._views.document import Column, Document, Heading, Note, Part, Points, Table, Verbatim
from weigh._width import cells

Style = Callable[[str, str], str]
"""Colours a piece of text: ``style(text, "name")``; a plain one returns it as it is."""


def plain(text: str, role: str) -> str:  # noqa: ARG001
    """The style of a pipe: none."""
    return text


def render(document: Document, *, width: int | None = None, style: Style = plain) -> str:
    """Write a document as lines of text.

    Args:
        document: its parts.
        width: the terminal's columns; None for a pipe or a file, where a row is one line.
        style: how roles look.

    Examples:
        >>> table = Table((Column("name", role="name"), Column("n", "right")), (("a", "10"),))
        >>> print(render((Heading("Total"), table)))
        Total
        <BLANKLINE>
        name   n
        a     10
    """
    return "\n\n".join("\n".join(_lines(part, width, style)) for part in document)


def _lines(part: Part, width: int | None, style: Style) -> Iterator[str]:
    match part:
        case Heading(text):
            for line in _wrapped(text, width):
                yield style(line, "heading")
        case Verbatim(text):
            yield text
        case Note(text):
            yield from _wrapped(text, width)
        case Points(points):
            for point in points:
                yield from _wrapped(point, width, "- ", "  ")
        case Table():
            yield from _table(part, width, style)


def _wrapped(text: str, width: int | None, first: str = "", then: str = "") -> list[str]:
    """Break a text between its words only: a long name stays whole, it may be copied."""
    if width is None:
        return [first + text]
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(table: Table, width: int | None, style: Style) -> Iterator[str]:
    columns = list(zip(_titles(table), *table.rows, strict=True))
    shown = [i for i, cells_of in enumerate(columns) if any(cells_of)]
    widths = {i: max(map(cells, columns[i])) for i in shown}
    total = sum(widths.values()) + 2 * (len(shown) - 1)
    if width is None or total <= width:
        if any(_titles(table)):
            yield _row(table, shown, widths, _titles(table), lambda text, _: style(text, "title"))
        for row in table.rows:
            yield _row(table, shown, widths, row, style)
        return
    for row in table.rows:
        yield from _stacked(table, shown, row, width, style)


def _titles(table: Table) -> tuple[str, ...]:
    return tuple(column.title for column in table.columns)


def _row(
    table: Table, shown: list[int], widths: dict[int, int], row: tuple[str, ...], style: Style
) -> str:
    written = []
    for i in shown:
        text, column = row[i], table.columns[i]
        space = " " * (widths[i] - cells(text))
        if style is not plain:
            text = style(text, column.role)
        written.append(space + text if column.align == "right" else text + space)
    return "  ".join(written).rstrip()


def _stacked(
    table: Table, shown: list[int], row: tuple[str, ...], width: int, style: Style
) -> Iterator[str]:
    """A row that is wider than the terminal: its name, then the rest below, wrapped."""
    for i in shown:
        if table.columns[i].role == "name":
            yield style(row[i], "name")
    values = [i for i in shown if table.columns[i].role == "value" and row[i]]
    details = [row[i] for i in shown if table.columns[i].role == "detail" and row[i]]
    for text in (", ".join(_labelled(table.columns[i], row[i]) for i in values), *details):
        yield from _wrapped(text, width, "    ", "      ")


def _labelled(column: Column, text: str) -> str:
    """A number needs its column's title; a word speaks for itself."""
    if column.align == "left":
        return text
    if not column.unit:
        return f"{column.title} {text}"
    return f"{text} {column.title.removesuffix('s') if text == '1' else column.title}"
