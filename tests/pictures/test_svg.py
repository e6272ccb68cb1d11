"""Drawings as SVG: always XML, whatever is written in them, and the same on every machine."""

from __future__ import annotations

import base64
from math import isfinite

import numpy as np
import pytest
from drawn import SVG, decoded, parsed, same_as_golden, words
from hypothesis import given
from hypothesis import strategies as st
from samples import EVERYTHING

from weigh._pictures.colours import MIDDLE, NAN, palette
from weigh._pictures.shapes import Area, Box, Cells, Drawing, Glyph, Line, Shape, Text
from weigh._pictures.svg import number, svg_text

ANY = st.floats(allow_nan=True, allow_infinity=True)
ANYTHING: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Box, ANY, ANY, ANY, ANY, st.just("text"), st.floats(0, 1)),
    st.builds(
        Line,
        st.lists(st.tuples(ANY, ANY), min_size=1, max_size=4).map(tuple),
        st.just("grid"),
        st.floats(0.1, 4),
        st.booleans(),
    ),
    st.builds(Area, st.lists(st.tuples(ANY, ANY), max_size=4).map(tuple), st.just("first")),
    st.builds(Text, ANY, ANY, st.text(st.characters(), max_size=20), whole=st.text(max_size=5)),
    st.builds(Glyph, ANY, ANY, ANY, st.sampled_from(["nan", "posinf", "below"]), st.booleans()),
)


def attributes(svg: str) -> list[tuple[str, str]]:
    return [pair for node in parsed(svg).iter() for pair in node.attrib.items()]


def alone(shape: Shape) -> Drawing:
    return Drawing(100, 80, (shape,), "A shape")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_shapes_are_drawn_as_they_were(theme: str) -> None:
    assert same_as_golden(f"everything_{theme}.svg", svg_text(EVERYTHING, theme))  # type: ignore[arg-type]


@given(st.lists(ANYTHING, max_size=4), st.text(st.characters()), st.text(st.characters()))
def test_it_is_always_xml(shapes: list[Shape], title: str, description: str) -> None:
    made = svg_text(Drawing(100, 80, tuple(shapes), title, description))
    parsed(made)
    made.encode("utf-8")
    for name, value in attributes(made):
        if name in ("x", "y", "width", "height", "font-size"):
            assert isfinite(float(value))
        if name == "d":
            assert set(value) <= set("MLHVz .-0123456789")


@given(st.floats())
def test_numbers_are_short_and_near(value: float) -> None:
    text = number(value)
    assert len(text) <= 11
    assert "e" not in text
    if abs(value) <= 1e6:
        assert float(text) == pytest.approx(value, abs=0.00501)


@pytest.mark.parametrize(
    "hostile",
    [
        "</text><script>alert(1)</script>",
        '" onload="alert(1)',
        "&lt;&amp;",
        "]]>",
        "<!-- -->",
        "a\x00\x1b[31mb\ud800\uffff",
    ],
)
def test_what_a_file_says_stays_text(hostile: str) -> None:
    shape = Text(1, 2, hostile, whole=hostile)
    root = parsed(svg_text(Drawing(9, 9, (shape,), hostile, hostile)))
    clean = hostile.replace("\x00\x1b", "").replace("\ud800", "").replace("\uffff", "")
    assert {node.tag for node in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "rect", "text")
    }
    (text,) = root.iter(f"{SVG}text")
    assert text[0].text == clean
    assert text[0].tail == clean
    assert root[0].text == clean
    assert root[1].text == clean
    assert words(svg_text(alone(shape))) == [clean]


def test_cells_are_a_picture_within() -> None:
    codes = np.array([[MIDDLE, NAN, MIDDLE + 120], [0, 1, 2]], np.uint8)
    for cells in (
        Cells(1, 2, 2.5, codes),
        Cells(1, 2, 2.5, codes, np.full((2, 3, 3), 77, np.uint8)),
    ):
        (image,) = parsed(svg_text(alone(cells))).iter(f"{SVG}image")
        head, data = image.attrib["href"].split(",", 1)
        assert head == "data:image/png;base64"
        expected = palette()[codes]
        if cells.rgb is not None:
            expected[codes == MIDDLE] = 77
        assert np.array_equal(decoded(base64.b64decode(data)), expected)
        assert image.attrib["image-rendering"] == "pixelated"
        assert (image.attrib["width"], image.attrib["height"]) == ("7.5", "5")


def test_signs_of_one_kind_are_one_path() -> None:
    glyphs = tuple(Glyph(10.0 * at, 5, 6, "nan", True) for at in range(100))
    made = svg_text(Drawing(1000, 10, glyphs, "Many"))
    assert made.count("<path") == 2


def test_another_shape_is_refused() -> None:
    with pytest.raises(TypeError, match="str is no shape"):
        svg_text(Drawing(1, 1, ("circle",), "None"))  # type: ignore[arg-type]
