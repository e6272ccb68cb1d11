"""A document as text: for a terminal of some width, or for a pipe, where nothing is wrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

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
        case Heading(text, role):
            for line in _wrapped(text, width):
                yield style(line, role)
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
    from textwrap import wrap  # a pipe does not need it

    return wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(table: Table, width: int | None, style: Style) -> Iterator[str]:
    titles = tuple(column.title for column in table.columns)
    texts = list(zip(titles, *table.rows, strict=True))
    shown = [i for i, column in enumerate(texts) if any(column)]
    columns = [_ShownColumn(i, table.columns[i], texts[i]) for i in shown]
    total = sum(column.width for column in columns) + 2 * (len(columns) - 1)
    if width is not None and total > width:
        for row in table.rows:
            yield from _stacked(table, shown, row, width, style)
        return
    if any(titles):
        yield _row(columns, titles, lambda text, _: style(text, "title"))
    if style is plain and all(column.narrow for column in columns):
        # A table of thousands of rows is written at once by the fields of a format string.
        fields = "  ".join(column.field for column in columns)
        for row in table.rows:
            yield fields.format(*row).rstrip()
        return
    for row in table.rows:
        yield _row(columns, row, style)


class _ShownColumn:
    """A column as it is written.

    Attributes:
        at: its place among all columns.
        narrow: whether every letter in it takes one cell.
        width: its cells.
        field: what writes it in a format string, if it is narrow.
    """

    __slots__ = ("at", "column", "field", "narrow", "width")

    def __init__(self, at: int, column: Column, texts: Sequence[str]) -> None:
        self.at, self.column = at, column
        self.narrow = "".join(texts).isascii()
        self.width = max(map(len if self.narrow else cells, texts))
        self.field = f"{{{at}:{'>' if column.align == 'right' else '<'}{self.width}}}"


def _row(columns: Iterable[_ShownColumn], row: tuple[str, ...], style: Style) -> str:
    written = []
    for shown in columns:
        text = row[shown.at]
        space = " " * (shown.width - cells(text))
        text = style(text, shown.column.role)
        written.append(space + text if shown.column.align == "right" else text + space)
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
    """A number needs its column's title, if it has one; a word speaks for itself."""
    if column.align == "left" or not column.title:
        return text
    if not column.unit:
        return f"{column.title} {text}"
    return f"{text} {column.title.removesuffix('s') if text == '1' else column.title}"
