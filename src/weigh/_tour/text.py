"""Parts as text: prose wrapped to a width, code and output never touched, nothing cut."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Iterator
from typing import IO

from weigh._tour.parts import Adds, Cell, Closing, Opening, Part, Step
from weigh._tour.pictures import BLUE, IN_ASCII, LEVELS, ORANGE, PICTURED
from weigh._tour.wrap import wrap
from weigh._views.text import render
from weigh._width import cells

WIDEST = 88
"""Prose is no wider than this, on however wide a terminal."""

Span = tuple[str, str]
Line = list[Span]
"""A line is pieces of text, each with a style of rich's (or none)."""

PROMPT, MORE, BAR = "> ", "  ", "| "


def to_text(part: Part, width: int = 80) -> str:
    """Render a part as plain text, which ends with a line's end.

    Only prose and what Weigh itself says are wrapped to the width (in terminal columns); code,
    output, commands and file names are kept whole.
    """
    return "".join("".join(text for text, _ in line) + "\n" for line in lines(part, width))


def show(
    part: Part, stream: IO[str], *, width: int | None = None, colour: bool | None = None
) -> None:
    """Write a part to a stream.

    Args:
        part: what to write.
        stream: where to; a character that its encoding lacks is written as an escape, and
            pictures in ASCII.
        width: columns for prose; None for the terminal's, or 80 where there is none.
        colour: None for a terminal's, unless ``NO_COLOR`` is set.
    """
    Page(stream, width=width, colour=colour).show(part)


class Page:
    """A stream on which parts appear, a step's lines as soon as they are there.

    The arguments are those of ``show``.
    """

    def __init__(
        self, stream: IO[str], *, width: int | None = None, colour: bool | None = None
    ) -> None:
        self._stream, self._width = stream, width
        if colour is None:
            colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self._colour = colour
        self._begun: list[Line] = []
        """The lines of the step under way that are written already."""

    def so_far(self, step: Step) -> None:
        """Write what is new in a step that goes on."""
        written = self._lines(step)
        while written and not written[-1]:
            # An empty line comes after the output, of which more may come.
            written.pop()
        self._more(written)
        self._begun = written

    def show(self, part: Part) -> None:
        """Write a part, or of a step under way what is not there yet."""
        self._more(self._lines(part))
        self._begun = []

    def _lines(self, part: Part) -> list[Line]:
        width = self._width
        if width is None:
            width = shutil.get_terminal_size().columns if self._stream.isatty() else 80
        return list(lines(part, min(width, WIDEST)))

    def _more(self, written: list[Line]) -> None:
        # Where the terminal's width has changed since, the lines differ: all are written again.
        begun = len(self._begun)
        fresh = written[begun:] if written[:begun] == self._begun else written
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        safe = [[(_encodable(text, encoding), style) for text, style in line] for line in fresh]
        if self._colour:
            _paint(safe, self._stream)
        else:
            self._stream.write("".join("".join(text for text, _ in line) + "\n" for line in safe))
        self._stream.flush()


def lines(part: Part, width: int) -> Iterator[Line]:
    """Render a part as lines of styled pieces."""
    match part:
        case Opening():
            yield from _heading(part.title)
            yield from _prose(part.text, width)
        case Step():
            yield from _heading(f"{part.number}. {part.title}")
            yield from _prose(part.text, width)
            for cell in part.cells:
                yield from _cell(cell)
            if part.adds:
                yield from _adds(part.adds, width)
        case Closing():
            yield from _heading(part.title)
            yield from _prose(part.text, width)
            yield from ([("  " + name, "green")] for name in part.files)
            yield []
            yield from _prose((part.then,), width)
            yield from _commands(part.commands)
            yield []


def _heading(title: str) -> Iterator[Line]:
    yield [(title, "bold")]
    yield [("-" * cells(title), "dim")]


def _prose(paragraphs: tuple[str, ...], width: int) -> Iterator[Line]:
    for paragraph in paragraphs:
        for line in wrap(paragraph, width):
            yield _inline(line)
        yield []


def _inline(line: str) -> Line:
    """Colour what stands in backticks; the backticks stay."""
    return [
        (piece, "cyan" if at % 2 else "") for at, piece in enumerate(_by_backtick(line)) if piece
    ]


def _by_backtick(line: str) -> list[str]:
    pieces = line.split("`")
    if len(pieces) % 2 == 0:
        return [line]
    return [f"`{piece}`" if at % 2 else piece for at, piece in enumerate(pieces)]


def _cell(cell: Cell) -> Iterator[Line]:
    starts = _first_lines(cell.code)
    for at, line in enumerate(cell.code.split("\n"), start=1):
        yield [((PROMPT if at in starts else MORE) + line if line else "", "cyan")]
    if cell.output:
        for line in cell.output.split("\n"):
            yield _shaded(line) if cell.look == "shades" else [(line, "")]
    yield []


def _first_lines(code: str) -> set[int]:
    """Give the line on which each statement begins, its decorators included."""
    return {
        min([statement.lineno, *(mark.lineno for mark in getattr(statement, "decorator_list", ()))])
        for statement in ast.parse(code).body
    }


def _shaded(line: str) -> Line:
    """Colour each shade as the picture's PNG has it: blue below zero, orange above."""
    light = {LEVELS[1]: BLUE, LEVELS[3]: ORANGE}
    styles = {LEVELS[0]: BLUE, LEVELS[-1]: ORANGE} | light
    spans: Line = []
    for char in line:
        colour = styles.get(char)
        style = "rgb({},{},{})".format(*colour) if colour else ""
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + char, style)
        else:
            spans.append((char, style))
    return spans


def _adds(adds: Adds, width: int) -> Iterator[Line]:
    wrapped = wrap(adds.title + adds.text, width - len(BAR))
    for at, line in enumerate(wrapped):
        head = len(adds.title.rstrip()) if at == 0 else 0
        yield [(BAR, "magenta"), (line[:head], "bold magenta"), *_inline(line[head:])]
    # What Weigh says is indented by up to 6, so it needs one column more at least.
    output = render(adds.document, width=max(width - len(BAR), 7))
    for line in output.split("\n") if output else ():
        yield [(BAR, "magenta"), (line, "")]
    for command in adds.commands:
        yield [(BAR, "magenta"), ("  $ " + command, "green")]
    yield []


def _commands(commands: tuple[str, ...]) -> Iterator[Line]:
    yield from ([("  $ " + command, "green")] for command in commands)


def _encodable(text: str, encoding: str) -> str:
    try:
        PICTURED.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(IN_ASCII)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _paint(written: list[Line], stream: IO[str]) -> None:
    from rich.console import Console
    from rich.segment import Segment, Segments
    from rich.style import Style

    segments = []
    for line in written:
        segments += [Segment(piece, Style.parse(style)) for piece, style in line if piece]
        segments.append(Segment.line())
    # Segments, soft-wrapped, are handed to the terminal as they are: no line is broken or cut, and
    # a tab stays a tab, which it does not in rich's Text.
    Console(file=stream, force_terminal=True).print(Segments(segments), soft_wrap=True)
