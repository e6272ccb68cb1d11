"""Text: pipes keep rows whole, narrow terminals fold them, nothing is cut."""

from __future__ import annotations

import pytest

from weigh._views.document import Column, Heading, Note, Points, Table, Verbatim
from weigh._views.text import render

LONG = "encoder.layers.0.self_attn.a_name_that_is_longer_than_any_terminal_is_wide.weight"
TABLE = Table(
    (
        Column("name", role="name"),
        Column("axes", role="detail"),
        Column("values", "right"),
        Column("role"),
    ),
    ((LONG, "out_features=2 in_features=3", "6", "learnable"), ("b", "", "1,000", "buffer")),
)


def test_a_pipe_gets_one_line_a_row() -> None:
    lines = render((TABLE,)).splitlines()
    assert len(lines) == 3
    assert all(word in lines[1] for word in (LONG, "in_features=3", "6", "learnable"))
    # Numbers end where their column's title ends.
    end = lines[0].index("values") + len("values")
    assert lines[1][:end].endswith(" 6")
    assert lines[2][:end].endswith("1,000")


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_a_narrow_terminal_loses_nothing(width: int) -> None:
    text = render((TABLE,), width=width)
    words = text.split()
    for row in TABLE.rows:
        for cell in row:
            assert all(part in " ".join(words) for part in cell.split())
    for line in text.splitlines():
        # Only what must not be broken, a name, may be wider.
        assert len(line) <= width or len(line.split()) == 1


def test_a_column_without_a_title_adds_no_space() -> None:
    columns = (Column("", role="name"), Column("", "right"), Column("", role="detail"))
    table = Table(columns, (("parameters", "32,998", "each parameter once"),))
    assert render((table,), width=30) == "parameters\n    32,998\n    each parameter once"


def test_a_wide_terminal_gets_the_table() -> None:
    assert render((TABLE,), width=200) == render((TABLE,))


def test_parts_are_set_apart_by_an_empty_line() -> None:
    document = (Heading("One"), Verbatim("a\n  b"), Note("two words"), Points(("x", "y")))
    assert render(document) == "One\n\na\n  b\n\ntwo words\n\n- x\n- y"


def test_a_note_wraps_between_words() -> None:
    assert render((Note("alpha beta gamma"),), width=11) == "alpha beta\ngamma"


def test_a_table_without_titles_has_no_header() -> None:
    table = Table((Column("", role="name"), Column("", "right")), (("total", "1"),))
    assert render((table,)) == "total  1"


def test_colour_changes_no_letter() -> None:
    coloured = render((TABLE, Heading("h")), style=lambda text, role: f"<{role}>{text}</>")
    for mark in ("<name>", "<value>", "<detail>", "<title>", "<heading>", "</>"):
        coloured = coloured.replace(mark, "")
    assert coloured == render((TABLE, Heading("h")))
