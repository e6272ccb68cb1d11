"""Layouts as they are asked for: what they say, and what is said of those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weigh._errors import UsageError, WeighError
from weigh._pictures.layout import Layout, layout_of_axes, parse_layout


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("a b -> a b", Layout((("a",), ("b",)), ("a",), ("b",))),
        ("o i h w -> (o h) (i w)",
         Layout((("o",), ("i",), ("h",), ("w",)), ("o", "h"), ("i", "w"))),
        ("(r c) 1 h w->(r h) (c w)",
         Layout((("r", "c"), (), ("h",), ("w",)), ("r", "h"), ("c", "w"))),
        ("  o c h w  ->  ( o h )  w  c ",
         Layout((("o",), ("c",), ("h",), ("w",)), ("o", "h"), ("w",), "c")),
        ("a -> () a", Layout((("a",),), (), ("a",))),
        ("a -> a 1", Layout((("a",),), ("a",), ())),
        ("1 () a -> a ()", Layout(((), (), ("a",)), ("a",), ())),
        ("-> 1 1", Layout((), (), ())),
        ("row_1 _x2 -> row_1 _x2", Layout((("row_1",), ("_x2",)), ("row_1",), ("_x2",))),
    ],
)  # fmt: skip
def test_what_a_layout_says(text: str, layout: Layout) -> None:
    assert parse_layout(text) == layout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a b", "has an arrow"),
        ("", "has an arrow"),
        ("a b -> a", "to the right of '->' stands"),
        ("a b c d -> a b c d", "to the right of '->' stands"),
        ("a b ->", "to the right of '->' stands"),
        ("a b c -> a b (c c)", "colours are one axis"),
        ("a b c d -> a b (c d)", "colours are one axis"),
        ("a b -> a c", "each name stands once"),
        ("a b -> a (a b)", "each name stands once"),
        ("a a -> a b", "each name stands once"),
        ("(a a) b -> a b", "each name stands once"),
        ("a b c -> a b", "each name stands once"),
        ("a b -> a (b", "not closed"),
        ("(a b -> a b", "not closed"),
        ("a b -> a b)", "no ')' there"),
        ("((a) b) -> a b", "no '(' there"),
        ("a 2 -> a 2", "no '2' there"),
        ("a 1b -> a 1b", "no '1b' there"),
        ("a 11 -> a ()", "no '11' there"),
        ("a ... -> a ...", "no '...' there"),
        ("a b -> a -> b", "no '->' there"),
        ("a é -> a é", "no 'é' there"),
        ("a b-c -> a b-c", "no 'b-c' there"),
    ],
)
def test_every_mistake_has_its_sentence(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_layout(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab1() ->_é\x1b\n", max_size=30))
def test_no_text_brings_about_anything_else(text: str) -> None:
    try:
        layout = parse_layout(text)
    except WeighError:
        return  # and nothing else
    names = [name for axis in layout.axes for name in axis]
    used = [*layout.rows, *layout.columns, *([layout.colour] if layout.colour else [])]
    assert sorted(names) == sorted(used)


def test_two_axes_and_the_rest_of_one() -> None:
    layout = layout_of_axes(["out", "?", "kernel height"], "kernel height", "out")
    assert layout == Layout((("out",), (), ("kernel height",)), ("kernel height",), ("out",))
