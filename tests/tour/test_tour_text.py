"""Steps as text: wrapped where it may be, never cut, coloured only on a terminal."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weigh._tour import Adds, Cell, Step, TourResult, show, to_text
from weigh._tour.text import lines
from weigh._tour.wrap import wrap
from weigh._width import cells

LONG = "x" * 120
STEP = Step(
    7,
    "key",
    "标题 title",
    ("Some prose about `network.conv1.weight` that has to be wrapped somewhere, 也有中文。",),
    (Cell(f"a = '{LONG}'\nif a:\n    print(a)\n\nb = (\n    1\n)", f"{LONG}\n\n\tend"),),
    Adds("Weigh adds: ", "a note that is long enough to be wrapped too", (f"weigh show {LONG}",)),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_a_step_as_text() -> None:
    assert (
        to_text(STEP, 40)
        == f"""\
7. 标题 title
-------------
Some prose about `network.conv1.weight`
that has to be wrapped somewhere, 也有中
文。

> a = '{LONG}'
> if a:
      print(a)

> b = (
      1
  )
{LONG}

\tend

| Weigh adds: a note that is long enough
| to be wrapped too
|   $ weigh show {LONG}

"""
    )


def test_every_part_of_a_real_tour_fits_60_columns(tour: TourResult) -> None:
    code_and_output = 0
    for part in tour.parts:
        kept = set()
        if isinstance(part, Step):
            kept = {line for cell in part.cells for line in cell.output.split("\n")}
            kept |= {line for cell in part.cells for line in cell.code.split("\n")}
        written = to_text(part, 60).split("\n")
        for line in written:
            if line in kept or line[2:] in kept:
                code_and_output += 1
            elif "$ weigh" not in line and str(tour.files[0].parent) not in line:
                assert columns(line) <= 60, line
        for line in kept:
            marked = {line, *(f"{mark} {line}".rstrip() for mark in (">", " ", "|"))}
            assert marked & set(written)
    assert code_and_output > 150


@pytest.mark.parametrize("width", [1, 10, 60, 200])
def test_colour_changes_no_text(tour: TourResult, width: int) -> None:
    from rich.text import Text

    for part in tour.parts:
        coloured, plain = Terminal(), io.StringIO()
        show(part, coloured, width=width, colour=True)
        show(part, plain, width=width, colour=False)
        seen = Text.from_ansi(coloured.getvalue()).plain
        assert seen.split() == plain.getvalue().split()
        assert "\x1b[" in coloured.getvalue()
        assert "\x1b" not in plain.getvalue()


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(stream: io.StringIO) -> str:
        show(STEP, stream)
        return stream.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in written(Terminal())
    assert written(io.StringIO()) == to_text(STEP, 80)
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b[" in written(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in written(Terminal())


def test_a_stream_without_the_characters_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    show(STEP, stream, colour=False)
    assert b"7. \\u6807\\u9898 title\n" in raw.getvalue()


def test_shades_are_coloured_by_sign() -> None:
    step = Step(1, "k", "t", (), (Cell("1", "██ ▒▒ ··", "shades"),))
    spans = [span for line in lines(step, 80) for span in line]
    assert ("██", "rgb(230,97,1)") in spans
    assert ("··", "rgb(33,102,172)") in spans


@given(st.text(alphabet="ab 卷积，。（）`.,-", max_size=60), st.integers(1, 30))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    wrapped = wrap(text, width)
    assert "".join(wrapped).replace(" ", "") == text.replace(" ", "")
    for line in wrapped:
        assert line
        assert line == line.strip() or "`" in line
        # Wider only where there is no place to break.
        assert cells(line) <= width or len(wrap(line, 1)) == 1


def test_no_mark_stands_on_the_wrong_side() -> None:
    for width in range(4, 30):
        for line in wrap("卷积层有权重，也有偏置（都是学来的）。它们在“网络”里面！", width):
            assert not re.match("[，。）！”]", line)
            assert not re.search("[（“]$", line)
