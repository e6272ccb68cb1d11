"""The names of rows and columns beside a picture that is written on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from weigh._errors import printable
from weigh._pictures.sheet import Label
from weigh._record import record
from weigh._width import cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LISTED = 8
"""How many names that have no room are listed."""


@record(frozen=True)
class Placed:
    """Names that have a place, and those that have none.

    Attributes:
        texts: for rows, the name of each line; for columns, one line of them.
        left: the names that had no room.
    """

    texts: tuple[str, ...]
    left: tuple[str, ...] = ()


def margin(labels: Sequence[Label], columns: int) -> int:
    """How many columns the names of rows take: none if they would take a third of all.

    Examples:
        >>> margin([Label(0, 4, "input"), Label(4, 8, "output")], 80)
        7
    """
    wide = max((cells(printable(label.text)) for label in labels), default=-1) + 1
    return wide if wide <= columns // 3 else 0


def row_names(
    labels: Sequence[Label],
    tops: NDArray[np.int64],
    lines: int,
    line_of: Callable[[int], int],
    *,
    width: int,
) -> Placed:
    """Give each line the name of the rows that begin there.

    Args:
        labels: the names.
        tops: the first row of the sheet that each row of the grid shows.
        lines: how many lines there are.
        line_of: the line on which a row of the grid begins.
        width: how many columns there are for them.
    """
    texts, left = [""] * lines, []
    for label in labels:
        line = line_of(_place(tops, label.start))
        name = printable(label.text)
        if width and line < lines and not texts[line]:
            texts[line] = name
        else:
            left.append(name)
    return Placed(tuple(texts), tuple(left))


def column_names(
    labels: Sequence[Label],
    lefts: NDArray[np.int64],
    column_of: Callable[[int], int],
    *,
    width: int,
) -> Placed:
    """Write the names of columns above where they begin, as far as each has room.

    Args:
        labels: the names.
        lefts: the first column of the sheet that each column of the grid shows.
        column_of: the column of the terminal at which one of the grid begins.
        width: how many columns the terminal has.
    """
    starts = [column_of(_place(lefts, label.start)) for label in labels]
    line, used, left = "", 0, []
    for at, label in enumerate(labels):
        name = printable(label.text)
        end = starts[at + 1] - 1 if at + 1 < len(starts) else width
        if (used and starts[at] <= used) or starts[at] + cells(name) > min(end, width):
            left.append(name)
            continue
        line += " " * (starts[at] - used) + name
        used = starts[at] + cells(name)
    return Placed((line,) if line else (), tuple(left))


def left_over(what: str, names: Sequence[str]) -> str:
    """List the names that had no room beside the picture.

    Examples:
        >>> left_over("rows", ["input", "forget"])
        'Names of rows without room beside the picture: input, forget.'
    """
    if not names:
        return ""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"Names of {what} without room beside the picture: {', '.join(names[:_LISTED])}{more}."


def _place(firsts: NDArray[np.int64], start: int) -> int:
    return max(int(firsts.searchsorted(start, "right")) - 1, 0)
