"""Drawings as pixels: the same shapes as in the SVG, held against areas that are known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from drawn import Array, same_as_golden
from hypothesis import given
from hypothesis import strategies as st
from samples import EVERYTHING

from weigh._pictures.colours import MIDDLE, THEMES, Theme, palette
from weigh._pictures.coverage import coverage, stroke
from weigh._pictures.font import letters, text_mask
from weigh._pictures.outlines import DASH, dashes
from weigh._pictures.png import png_bytes
from weigh._pictures.raster import pixels_of
from weigh._pictures.shapes import Area, Box, Cells, Drawing, Glyph, Line, Shape, Text

PAPER, INK = 255, 27


def red(shape: Shape, zoom: int = 1, width: float = 12, height: float = 9) -> Array:
    """Draw one shape, and give the red of each pixel."""
    return pixels_of(Drawing(width, height, (shape,), "A shape"), zoom=zoom)[..., 0].astype(int)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("zoom", [1, 2])
def test_all_shapes_are_drawn_as_they_were(theme: Theme, zoom: int) -> None:
    pixels = pixels_of(EVERYTHING, theme, zoom)
    assert pixels.shape == (250 * zoom, 320 * zoom, 3)
    assert same_as_golden(f"everything_{theme}_{zoom}.png", png_bytes(pixels))


def test_a_box_is_where_it_says() -> None:
    for zoom in (1, 2, 3):
        found = red(Box(2, 1, 4, 3, "text"), zoom)
        expected = np.full((9 * zoom, 12 * zoom), PAPER)
        expected[zoom : 4 * zoom, 2 * zoom : 6 * zoom] = INK
        assert np.array_equal(found, expected)
    half = red(Box(0, 0, 12, 9, "text", 0.5))
    assert np.unique(half).tolist() == [round((PAPER + INK) / 2)]
    assert (red(Box(-5, -5, 7, 6, "text"))[:2, :3] == [[INK, INK, PAPER], [PAPER] * 3]).all()
    # A bar that is lower than a pixel is seen all the same; one of no width is not.
    assert (red(Box(2, 8.2, 4, 0.3, "text")) == INK).sum() == 4
    assert (red(Box(2, 1, 0, 3, "text")) == INK).sum() == 0


CORNERS = st.tuples(st.floats(-5, 25), st.floats(-5, 25))


@given(st.tuples(CORNERS, CORNERS, CORNERS))
def test_a_triangle_covers_its_area(corners: tuple[tuple[float, float], ...]) -> None:
    (ax, ay), (bx, by), (cx, cy) = corners
    area = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    moved = [(x + 6, y + 6) for x, y in corners]
    found = coverage([moved], 40, 40)
    total = 0.0 if found is None else float(found[2].sum())
    around = sum(math.dist(corners[i], corners[i - 1]) for i in range(3))
    assert total == pytest.approx(area, abs=0.15 * around + 0.2)
    assert found is None or (found[2].min() >= 0 and found[2].max() <= 1)


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), max_size=6))
def test_what_lies_outside_is_cut_off(points: list[tuple[float, float]]) -> None:
    found = coverage([points, stroke(points, 3)[0] if len(set(points)) > 1 else []], 30, 20)
    if found is not None:
        left, top, share = found
        assert left + share.shape[1] <= 30
        assert top + share.shape[0] <= 20


def test_lines_along_the_pixels_are_crisp() -> None:
    for zoom in (1, 2):
        found = red(Line(((2, 4), (9, 4)), "text"), zoom)
        assert set(np.unique(found).tolist()) == {PAPER, INK}
        assert (found == INK).any(axis=1).sum() == zoom
    assert np.array_equal(red(Line(((4, 1), (4, 7)), "text")).T[3:5].min(axis=0)[2:6], [INK] * 4)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=2, max_size=6),
    st.floats(0.5, 3),
)
def test_dashes_are_as_long_as_they_say(points: list[tuple[int, int]], width: float) -> None:
    length = sum(math.dist(a, b) for a, b in pairwise(points))
    period = (DASH[0] + DASH[1]) * width
    whole, rest = divmod(length, period)
    inked = whole * DASH[0] * width + min(rest, DASH[0] * width)
    made = dashes(points, width)
    found = sum(math.dist(a, b) for dash in made for a, b in pairwise(dash))
    assert found == pytest.approx(inked, abs=1e-6 * (length + 1))


def test_letters_are_placed_by_their_anchor() -> None:
    for anchor, ends in (("start", (10, 27)), ("end", (-7, 10)), ("middle", (1, 18))):
        ink = np.argwhere(red(Text(30 + 10, 20, "HHH", anchor=anchor), 1, 80, 40) == INK)  # type: ignore[arg-type]
        assert ink[:, 1].min() - 30 == ends[0]
        assert ink[:, 1].max() - 30 == pytest.approx(ends[1], abs=1)
        # Capitals stand on the baseline.
        assert (ink[:, 0].min(), ink[:, 0].max()) == (13, 19)
    below = np.argwhere(red(Text(40, 20, "g"), 1, 80, 40) == INK)
    assert below[:, 0].max() == 21


def test_upright_letters_read_from_below_to_above() -> None:
    lying = red(Text(20, 20, "Fg1"), 2, 60, 60) == 27
    standing = red(Text(20, 40, "Fg1", upright=True), 2, 60, 60) == 27
    shape = np.argwhere(lying)
    turned = np.argwhere(np.rot90(standing, -1))
    assert np.array_equal(shape - shape.min(axis=0), turned - turned.min(axis=0))
    ink = np.argwhere(standing)
    assert ink[:, 0].max() == 79  # it begins at y, and goes up from there
    assert ink[:, 1].max() < 40 + 2 * 2


@given(st.text(st.characters(), max_size=8), st.integers(1, 3), st.booleans())
def test_any_text_is_drawn(text: str, scale: int, bold: bool) -> None:
    assert text_mask(text, scale, bold=bold).shape == (10 * scale, 6 * scale * len(text))


def test_the_font_has_what_it_promises() -> None:
    font = letters()
    promised = {chr(code) for code in range(32, 127)} | set("×±−≤≥·…–—σµ²°□")
    assert set(font) == promised
    drawn = {letter: drawing.tobytes() for letter, drawing in font.items()}
    assert len(set(drawn.values())) == len(drawn)
    assert all(not drawing[:, 5].any() for drawing in font.values())
    for letter in "gjpqy":
        assert font[letter][8:].any(), letter
    assert not any(font[letter][8:].any() for letter in "ABCxz0123456789abc")


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("size", [1, 2.5, 7])
def test_every_cell_has_its_colour(size: float, zoom: int) -> None:
    codes = np.random.default_rng(0).integers(0, 247, (4, 6)).astype(np.uint8)
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    codes[2] = MIDDLE
    for colours in (None, rgb):
        cells = Cells(3, 2, size, codes, colours)
        pixels = pixels_of(Drawing(50, 40, (cells,), "Cells"), "dark", zoom)
        expected = palette("dark")[codes]
        if colours is not None:
            expected[codes == MIDDLE] = rgb[codes == MIDDLE]
        for (row, column), _ in np.ndenumerate(codes):
            y, x = (2 + (row + 0.5) * size) * zoom, (3 + (column + 0.5) * size) * zoom
            assert (pixels[int(y), int(x)] == expected[row, column]).all()


def test_signs_differ_without_their_colours() -> None:
    kinds = ("nan", "posinf", "neginf", "below", "above")
    drawn = {
        pixels_of(Drawing(12, 12, (Glyph(6, 6, 8, kind),), kind), "dark").tobytes()  # type: ignore[arg-type]
        for kind in kinds
    }
    assert len(drawn) == len(kinds)
    halo = pixels_of(Drawing(20, 20, (Glyph(10, 10, 8, "posinf", True),), "A disc"))
    assert (halo == THEMES["light"].posinf).all(axis=-1).sum() > 200


def test_a_very_large_drawing_is_not_magnified() -> None:
    assert pixels_of(Drawing(30_000, 1000, (), "Large"), zoom=2).shape == (1000, 30_000, 3)


def test_another_shape_is_refused() -> None:
    with pytest.raises(TypeError, match="str is no shape"):
        pixels_of(Drawing(1, 1, ("circle",), "None"))  # type: ignore[arg-type]


def test_an_area_is_mixed_with_what_is_below() -> None:
    square = Area(((2, 2), (6, 2), (6, 6), (2, 6)), "text", 0.5)
    found = red(square)
    assert found[3, 3] == round((PAPER + INK) / 2)
    assert found[1, 3] == found[6, 6] == PAPER
