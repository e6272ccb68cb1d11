"""Bars drawn in letters, and the axis below them, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from weigh._errors import printable
from weigh._pictures.axis import fitting_ticks
from weigh._pictures.caption import SIZE
from weigh._pictures.ruler import Ruler
from weigh._pictures.words import in_ascii, width_of
from weigh._record import record
from weigh._width import cells


@record(frozen=True)
class Letters:
    """The letters that are drawn with.

    Attributes:
        bars: from an empty cell to a full one.
        expected: where the top of what is expected is.
        wall: what stands left of the bars.
        corner: what is below it.
        floor: what is below the bars.
        tick: what is there instead at a tick.
    """

    bars: str
    expected: str
    wall: str
    corner: str
    floor: str
    tick: str


BLOCKS = Letters(" ▁▂▃▄▅▆▇█", "·", "│", "└", "─", "┴")
ASCII = Letters(" ..::##", "-", "|", "+", "-", "+")


def letters_of(*, ascii_only: bool) -> Letters:
    """Choose the letters."""
    return ASCII if ascii_only else BLOCKS


def bars(
    shares: Sequence[float],
    height: int,
    letters: Letters = BLOCKS,
    *,
    wide: int = 1,
    expected: Sequence[float] = (),
) -> list[str]:
    """Draw bars upright.

    What is there at all is drawn, however low; what is higher than the rows is cut.

    Args:
        shares: how high each bar is, of all rows.
        height: how many rows there are.
        letters: what is drawn with.
        wide: how many columns a bar has.
        expected: how high a mark above each bar is.

    Examples:
        >>> for row in bars([0, 0.01, 0.5, 1], 2, wide=2):
        ...     print(repr(row))
        '      ██'
        '  ▁▁████'
    """
    steps = len(letters.bars) - 1
    marks = expected or [0.0] * len(shares)
    rows = []
    for row in range(height - 1, -1, -1):
        line = ""
        for share, mark in zip(shares, marks, strict=True):
            full = max(round(min(share, 1.0) * height * steps), 1) if share > 0 else 0
            cell = letters.bars[min(max(full - row * steps, 0), steps)]
            if cell == " " and mark > 0 and min(int(mark * height), height) == row:
                cell = letters.expected
            line += cell * wide
        rows.append(line)
    return rows


def axis(ruler: Ruler, columns: int, letters: Letters = BLOCKS) -> tuple[str, str]:
    """Draw an axis and its labels.

    Examples:
        >>> print(*axis(Ruler(-1, 1), 21), sep=chr(10))
        ┴────┴────┴────┴────┴
        −1 −0.5   0   0.5   1
    """
    floor, labels = [letters.floor] * columns, [" "] * columns
    for tick in fitting_ticks(ruler, columns * width_of("0", SIZE)):
        at = min(int(ruler.place(tick.value) * columns), columns - 1)
        floor[at] = letters.tick
        start = min(max(0, at - len(tick.label) // 2), max(0, columns - len(tick.label)))
        if all(c == " " for c in labels[max(0, start - 1) : start + len(tick.label) + 1]):
            labels[start : start + len(tick.label)] = tick.label
    return "".join(floor), "".join(labels[:columns]).rstrip()


def finished(lines: Iterable[str], caption: Iterable[str], width: int, *, ascii_only: bool) -> str:
    """Put a caption below lines, broken to the width; and make all of it safe to print."""
    drawn = [printable(line.rstrip()) for line in lines]
    below = wrap(printable(" ".join(caption)), max(width, 20))
    text = "\n".join([*drawn, *([""] if drawn and below else []), *below])
    # By lines, since an end of a line is none of the letters that are escaped.
    return "\n".join(map(in_ascii, text.split("\n"))) if ascii_only else text


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text up with spaces, as a terminal counts them."""
    spaces = " " * max(0, columns - cells(text))
    return spaces + text if right else text + spaces
