"""The parts a view is made of, between facts and their look.

A builder (``show.py``, ``explain.py``) turns facts into parts; a renderer (``text.py``) turns
parts into what a person sees.
"""

from __future__ import annotations

from typing import Literal

from weigh._record import record


@record(frozen=True)
class Heading:
    """The title of what follows.

    Attributes:
        text: the title.
        role: how it looks: a heading, or as bad as an error, a warning or an info.
    """

    text: str
    role: Literal["heading", "error", "warning", "info"] = "heading"


@record(frozen=True)
class Verbatim:
    """Text that keeps its own line ends, however wide: a tree, a tensor's values."""

    text: str


@record(frozen=True)
class Note:
    """A sentence to the reader, wrapped to the width."""

    text: str


@record(frozen=True)
class Points:
    """Sentences, each on its own line."""

    points: tuple[str, ...]


@record(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: what stands above it.
        align: numbers stand to the right.
        unit: whether the title is what is counted ("12 values"), not a label ("size 12").
        role: the name leads a row; a detail goes below it where the terminal is narrow.
    """

    title: str
    align: Literal["left", "right"] = "left"
    role: Literal["name", "value", "detail"] = "value"
    unit: bool = False


@record(frozen=True)
class Table:
    """Rows under named columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


Part = Heading | Verbatim | Note | Points | Table
Document = tuple[Part, ...]
