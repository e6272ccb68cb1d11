"""Pictures on terminals: decoded by other means, and held against the palette."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from terminals import Screen, pixels_of_kitty, pixels_of_sixel

from weigh._errors import UsageError
from weigh._pictures.colours import (
    ABOVE,
    BELOW,
    GAP,
    MIDDLE,
    NAN,
    NEGINF,
    POSINF,
    STEPS,
    THEMES,
    Theme,
    palette,
)
from weigh._pictures.grid import fitted
from weigh._pictures.pixels import GLYPH, grid_pixels, pixel_palette
from weigh._pictures.sheet import Label, Sheet
from weigh._pictures.shown import drawn, sheet_text, show_sheet
from weigh._pictures.sixel import sixel_text
from weigh._pictures.terminal import Terminal, terminal_of
from weigh._pictures.xterm_colours import nearest_of_palette, xterm_colours
from weigh._width import cells

CODES = arrays.arrays(
    np.uint8,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=60),
    elements=st.integers(0, MIDDLE + STEPS),
)
MARKED = (NAN, POSINF, NEGINF, BELOW, ABOVE)


def numbers(rows: int, columns: int) -> np.ndarray[Any, Any]:
    """Codes of numbers, each row and column unlike the others."""
    y, x = np.mgrid[:rows, :columns]
    return (ABOVE + 1 + (y * 7 + x * 11) % (2 * STEPS + 1)).astype(np.uint8)


def as_hex(colour: np.ndarray[Any, Any]) -> str:
    return bytes(colour.tolist()).hex()


# --- fewer cells -----------------------------------------------------------------------------


@given(CODES, st.integers(1, 30), st.integers(1, 30))
def test_the_worst_of_the_cells_that_share_a_place_is_shown(
    codes: Any, rows: int, columns: int
) -> None:
    grid = fitted(Sheet(codes, 1.0), rows, columns)
    assert grid.codes.shape[0] <= max(rows, 1)
    assert grid.codes.shape[1] <= max(columns, 1)
    badness = {GAP: -1, BELOW: 500, ABOVE: 501, NEGINF: 600, POSINF: 601, NAN: 700}
    tops, lefts = [*grid.tops.tolist(), len(codes)], [*grid.lefts.tolist(), len(codes[0])]
    assert (tops[0], lefts[0]) == (0, 0)
    for y in range(len(tops) - 1):
        for x in range(len(lefts) - 1):
            block = codes[tops[y] : tops[y + 1], lefts[x] : lefts[x + 1]].ravel().tolist()
            worst = max(badness.get(code, abs(code - MIDDLE)) for code in block)
            shown = int(grid.codes[y, x])
            assert shown in block
            assert badness.get(shown, abs(shown - MIDDLE)) == worst


def test_gaps_between_tiles_stay_where_there_is_room() -> None:
    codes = numbers(29, 29)
    codes[9::10] = codes[:, 9::10] = GAP
    grid = fitted(Sheet(codes, 1.0), 15, 15)
    assert (grid.codes == GAP).all(1).sum() == 2
    assert (grid.codes == GAP).all(0).sum() == 2
    assert "up to 3 x 3 cells" in grid.note("place")
    assert fitted(Sheet(codes, 1.0), 29, 29).note("place") == ""


def test_colours_that_share_a_place_give_way_to_the_one_furthest_from_grey() -> None:
    rgb = np.full((2, 2, 3), 128, np.uint8)
    rgb[1, 0] = 120, 3, 130
    grid = fitted(Sheet(np.full((2, 2), MIDDLE, np.uint8), 1.0, rgb=rgb), 1, 1)
    assert grid.rgb is not None
    assert grid.rgb.tolist() == [[[120, 3, 130]]]


# --- pixels ------------------------------------------------------------------------------------


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_sixels_are_those_pixels(codes: Any) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    seen = pixels_of_sixel(sixel_text(codes, colours))
    assert seen.shape == (*codes.shape, 3)
    # A part of a colour is told in hundredths.
    assert np.abs(seen - colours[codes]).max() <= 2


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("protocol", ["kitty", "sixel"])
def test_cells_have_the_colours_of_the_palette(protocol: Any, theme: Theme) -> None:
    codes = numbers(9, 13)
    text = drawn(Sheet(codes, 1.0), Terminal(protocol, theme, 100, 40, cell=(9, 18)))
    pixels = pixels_of_kitty(text)[0] if protocol == "kitty" else pixels_of_sixel(text)
    zoom = 18
    assert pixels.shape == (9 * zoom, 13 * zoom, 3)
    seen = pixels.reshape(9, zoom, 13, zoom, 3).astype(int)
    wanted = palette(theme)[codes][:, None, :, None].astype(int)
    assert np.abs(seen - wanted).max() <= (0 if protocol == "kitty" else 2)


def test_a_picture_of_kittys_covers_whole_letters_and_leaves_the_cursor() -> None:
    text = drawn(Sheet(numbers(5, 7), 1.0), Terminal("kitty", "dark", 11, 40, cell=(10, 21)))
    pixels, said = pixels_of_kitty(text)
    assert pixels.shape == (int(said["r"]) * 21, int(said["c"]) * 10, 3)
    assert (said["f"], said["q"], said["C"], said["a"]) == ("100", "2", "1", "T")
    assert int(said["c"]) <= 11
    large = np.random.default_rng(0).integers(6, 246, (300, 300)).astype(np.uint8)
    pixels_of_kitty(drawn(Sheet(large, 1.0), Terminal("kitty", columns=99, lines=50, cell=(9, 18))))


def test_where_pixels_of_letters_are_unknown_the_picture_stands_alone() -> None:
    sheet = Sheet(numbers(4, 4), 1.0, rows=(Label(0, 2, "up"), Label(2, 4, "low")))
    text = drawn(sheet, Terminal("kitty", columns=80, lines=24))
    assert "C" not in pixels_of_kitty(text)[1]
    assert "Names of rows without room beside the picture: up, low." in text


@pytest.mark.parametrize("code", MARKED)
def test_a_marked_cell_has_a_glyph_of_its_own(code: int) -> None:
    glyphs = set()
    for each in MARKED:
        pixels = grid_pixels(fitted(Sheet(np.array([[each]], np.uint8), 1.0), 1, 1), 8).codes
        assert set(pixels.ravel().tolist()) == {each, GLYPH}
        glyphs.add((pixels == GLYPH).tobytes())
    assert len(glyphs) == len(MARKED)
    middle = numbers(3, 3)
    middle[1, 1] = code
    pixels = grid_pixels(fitted(Sheet(middle, 1.0), 3, 3), 7).codes.reshape(3, 7, 3, 7)
    assert (pixels == GLYPH).any((1, 3)).tolist() == [
        [False] * 3,
        [False, True, False],
        [False] * 3,
    ]


@pytest.mark.parametrize("place", [(0, 0), (20, 31), (40, 62)])
@pytest.mark.parametrize("code", [NAN, POSINF, NEGINF])
def test_what_is_not_finite_is_five_pixels_wide_at_least(place: tuple[int, int], code: int) -> None:
    codes = numbers(41, 63)
    codes[place] = code
    drawn_ = grid_pixels(fitted(Sheet(codes, 1.0), 41, 63), 1)
    ys, xs = np.nonzero((drawn_.codes == code) | (drawn_.codes == GLYPH))
    assert (np.ptp(ys), np.ptp(xs), len(ys), drawn_.enlarged) == (4, 4, 25, True)
    assert (drawn_.codes == GLYPH).any()
    text = drawn(Sheet(codes, 1.0), Terminal("sixel", columns=8, lines=9, cell=(8, 16)))
    assert "drawn larger" in " ".join(text.split())


@pytest.mark.parametrize("registers", [16, 64, 256])
@pytest.mark.parametrize("three", [False, True])
def test_sixels_make_do_with_the_colours_there_are(registers: int, three: bool) -> None:
    codes = numbers(20, 30)
    codes[0, :5] = MARKED
    rgb = None
    if three:
        rgb = np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        codes[codes > ABOVE] = MIDDLE
    terminal = Terminal("sixel", "light", 100, 40, cell=(9, 18), registers=registers)
    pixels = pixels_of_sixel(drawn(Sheet(codes, 1.0, rgb=rgb), terminal)).reshape(20, 18, 30, 18, 3)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) <= registers
    wanted = palette("light")[codes].astype(int) if rgb is None else rgb.astype(int)
    far = np.abs(pixels[1:, 9, :, 9] - wanted[1:]).max()
    assert far <= {16: 128 if three else 60, 64: 64, 256: 30 if three else 2}[registers]


def test_names_stand_beside_sixels_before_the_picture() -> None:
    sheet = Sheet(numbers(8, 8), 1.0, rows=(Label(0, 4, "input"), Label(4, 8, "output")))
    text = drawn(sheet, Terminal("sixel", columns=80, lines=40, cell=(9, 18)))
    before, _, after = text.partition("\x1b7\x1bP")
    assert before == "input\n\n\n\noutput\n\n\n\n\x1b[8A\x1b[7C"
    assert "\x1b8\r\x1b[8B" in after


# --- half blocks -------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("shape", [(6, 9), (7, 50), (90, 60), (91, 80)])
def test_half_blocks_have_the_colours_of_the_palette(theme: Theme, shape: tuple[int, int]) -> None:
    codes = numbers(*shape)
    codes[3] = GAP
    text = drawn(Sheet(codes, 1.0), Terminal("half", theme, 80, 24))
    screen = Screen(text, 80, 120)
    twice = 2 * shape[1] <= 80 and shape[0] <= 40
    for (y, x), code in np.ndenumerate(codes):
        at = (2 * y, 2 * x) if twice else (y, x)
        assert screen.cell(*at) == (as_hex(palette(theme)[code]), "")


def test_half_blocks_of_256_colours_are_xterms() -> None:
    codes = numbers(12, 30)
    screen = Screen(
        drawn(Sheet(codes, 1.0), Terminal("half", "light", 80, 24, true_colour=False)), 80, 40
    )
    known = {as_hex(colour) for colour in xterm_colours()}
    numbers_of = nearest_of_palette(pixel_palette("light"))
    for (y, x), code in np.ndenumerate(codes):
        seen, _ = screen.cell(2 * y, 2 * x)
        assert seen in known
        assert seen == as_hex(xterm_colours()[numbers_of[code] - 16])


@pytest.mark.parametrize("theme", list(THEMES))
def test_256_colours_keep_sign_and_order(theme: Theme) -> None:
    chosen = nearest_of_palette(pixel_palette(theme)).tolist()
    sides = []
    for way in (-1, 1):
        side = [chosen[MIDDLE + way * step] for step in range(STEPS + 1)]
        assert len(list(dict.fromkeys(side))) == 1 + sum(a != b for a, b in pairwise(side))
        assert len(set(side)) >= 5
        sides.append(set(side))
    assert sides[0] & sides[1] == {chosen[MIDDLE]}
    assert len({chosen[code] for code in MARKED}) == len(MARKED)


@pytest.mark.parametrize("wide", [9, 70])
def test_marked_cells_have_a_letter_over_their_colour(wide: int) -> None:
    codes = numbers(11, wide)
    for at, code in enumerate(MARKED):
        codes[2 * at + at % 2, 3] = code
    terminal = Terminal("half", "dark", 80, 24)
    text = drawn(Sheet(codes, 1.0), terminal)
    screen = Screen(text, 80, 40)
    for at, (code, letter) in enumerate(zip(MARKED, "x^v<>", strict=True)):
        y = 2 * at + at % 2
        seen = screen.cell(2 * y, 6) if wide == 9 else screen.cell(y, 3)
        assert seen == (as_hex(palette("dark")[code]), letter)
    assert ("covers the cell" in text) == (wide == 70)
    assert "x NaN   ^ +Inf   v -Inf" in text


def test_three_colours_are_drawn_as_they_are() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    codes = np.full((4, 5), MIDDLE, np.uint8)
    codes[1, 1] = NAN
    screen = Screen(drawn(Sheet(codes, 1.0, rgb=rgb), Terminal("half", "dark", 80, 24)), 80, 24)
    for y, x in np.ndindex(4, 5):
        wanted = as_hex(palette("dark")[NAN]) if (y, x) == (1, 1) else as_hex(rgb[y, x])
        assert screen.cell(2 * y, 2 * x)[0] == wanted


# --- letters -----------------------------------------------------------------------------------


def test_letters_tell_sign_and_size() -> None:
    codes = np.array([[6, 66, MIDDLE - 1, MIDDLE, 186, 246, GAP, *MARKED]], np.uint8)
    sheet = Sheet(codes, 0.5)
    assert sheet_text(sheet).splitlines()[0] == "≡≡~~····▒▒██  xx^^vv<<>>"
    assert sheet_text(sheet, in_ascii=True).splitlines()[0] == "EE~~....++##  xx^^vv<<>>"
    assert sheet_text(sheet, 12).splitlines()[0] == "≡~··▒█ x^v<>"
    assert "≡ -0.5 " in sheet_text(sheet)
    assert "x NaN   ^ +Inf   v -Inf   < below the limits   > above the limits" in sheet_text(sheet)


@given(CODES, st.integers(1, 100), st.text(max_size=50), st.booleans())
def test_letters_fit_the_width_and_have_no_codes(
    codes: Any, width: int, name: str, ascii_only: bool
) -> None:
    labels = (Label(0, 1, name), Label(len(codes) - 1, len(codes), "last"))
    sheet = Sheet(codes, 1.0, rows=labels, columns=(Label(0, 1, name),), y_name=name)
    lines = sheet_text(sheet, width, in_ascii=ascii_only).split("\n")
    assert all(cells(line) <= max(width, 2) for line in lines)
    assert all(line.isprintable() for line in lines)


def test_one_nan_among_a_million_is_seen() -> None:
    codes = np.full((1000, 1000), MIDDLE, np.uint8)
    codes[567, 321] = NAN
    lines = sheet_text(Sheet(codes, 1.0)).split("\n")
    assert sum(line.count("x") for line in lines if set(line) <= set("·x")) == 1


def test_names_are_beside_the_picture_or_listed_below() -> None:
    names = ["input gate", "forget gate", "cell", "output"]
    gates = tuple(Label(4 * at, 4 * at + 4, name) for at, name in enumerate(names))
    wide = sheet_text(Sheet(numbers(16, 16), 1.0, rows=gates, columns=gates), 80).split("\n")
    assert wide[0] == " " * 28 + "cell    output"
    assert [line[:11].strip() for line in wide[1:17:4]] == names
    assert "Names of columns without room beside the picture: input gate, forget gate." in wide
    narrow = sheet_text(Sheet(numbers(16, 16), 1.0, rows=gates), 20)
    assert "input gate, forget gate, cell, output." in " ".join(narrow.split())
    many = tuple(Label(at, at + 1, f"row{at}") for at in range(300))
    assert "and 192 more." in " ".join(sheet_text(Sheet(numbers(300, 9), 1.0, rows=many)).split())


def test_names_from_files_do_nothing_to_the_terminal() -> None:
    sheet = Sheet(numbers(4, 40), 1.0, rows=(Label(0, 4, "\x1b[2J"),), x_name="\x1b]0;x\x07")
    for protocol in ("plain", "half", "sixel", "kitty"):
        text = drawn(sheet, Terminal(protocol, columns=80, lines=24, cell=(9, 18)))
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text
        assert "\\x1b[2J" in text


def test_nothing_to_draw_is_said() -> None:
    assert sheet_text(Sheet(np.zeros((0, 3), np.uint8), 1.0)) == "There are no values to draw."
    assert sheet_text(Sheet(np.zeros((2, 3), np.uint8), 1.0)).split("\n")[:2] == ["", ""]


# --- streams -----------------------------------------------------------------------------------


def test_a_pipe_gets_letters_and_a_closed_stream_nothing() -> None:
    stream = io.StringIO()
    show_sheet(Sheet(numbers(3, 3), 1.0), stream, environ={"TERM": "xterm-kitty"})
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue() == sheet_text(Sheet(numbers(3, 3), 1.0)) + "\n"
    show_sheet(Sheet(numbers(3, 3), 1.0), None)


def test_letters_that_an_encoding_lacks_are_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    show_sheet(Sheet(numbers(3, 3), 1.0, y_name="卷积"), stream, environ={"WEIGH_PICTURES": "half"})
    assert (
        raw.getvalue()
        .decode("ascii")
        .startswith(sheet_text(Sheet(numbers(3, 3), 1.0), in_ascii=True))
    )


def test_a_choice_counts_for_pipes_too() -> None:
    stream = io.StringIO()
    show_sheet(Sheet(numbers(3, 3), 1.0), stream, protocol="half", environ={"NO_COLOR": "1"})
    assert "\x1b[" in stream.getvalue()
    chosen = terminal_of(stream, {"WEIGH_PICTURES": "kitty", "COLUMNS": "132"})
    assert (chosen.protocol, chosen.columns, chosen.cell) == ("kitty", 132, None)
    assert terminal_of(stream, {"WEIGH_PICTURES": "auto"}).protocol == "plain"
    with pytest.raises(UsageError, match=r"saw WEIGH_PICTURES=ascii\. There are: kitty, sixel"):
        terminal_of(stream, {"WEIGH_PICTURES": "ascii"})


@pytest.mark.parametrize(
    ("said", "theme"), [("15;0", "dark"), ("0;15", "light"), ("0;default;7", "light"), ("", "dark")]
)
def test_the_background_may_be_in_the_environment(said: str, theme: str) -> None:
    assert terminal_of(io.StringIO(), {"COLORFGBG": said}).theme == theme
