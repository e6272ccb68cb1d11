"""The document of ``weigh formats``: what Weigh reads, what each needs, who adds it."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._errors import printable
from weigh._registry import Format
from weigh._views.document import Column, Document, Note, Part, Table

_COLUMNS = (
    Column("format", role="name"),
    Column("what it is", role="detail"),
    Column("told by", role="detail"),
    Column("needs"),
    Column("from"),
)


def formats_document(formats: Sequence[Format], broken: Sequence[str]) -> Document:
    """Build the document.

    Args:
        formats: all formats.
        broken: the formats of other packages that could not be loaded, and why.
    """
    rows = tuple(
        (row.name, row.title, _told_by(row), needs(row) or "nothing", row.origin) for row in formats
    )
    notes = [Note(printable(f"The format {one} could not be loaded.")) for one in broken]
    parts: list[Part] = [Table(_COLUMNS, rows), *notes]
    return tuple(parts)


def needs(row: Format) -> str:
    """Name what must be installed to read a format; "" for nothing but Weigh."""
    return f"weigh[{row.extra}]" if row.extra and row.origin == "weigh" else row.extra


def _told_by(row: Format) -> str:
    if row.files:
        return f"a folder with {' or '.join(row.files)}"
    return "its first bytes" if row.starts else f"a name that ends in {' or '.join(row.endings)}"
