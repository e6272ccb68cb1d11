"""Wrap prose to a width in terminal cells, in languages with and without spaces."""

from __future__ import annotations

import re

from weigh._width import cells

# Code in backticks is one piece; so is a run of letters; each wide character is one by itself.
_WIDE = (
    "\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60"
)
_PIECES = re.compile(rf"`[^`]*`|\s+|[{_WIDE}]|[^\s`{_WIDE}]+|`")
_NO_START = frozenset("，。；：、？！）】」』》”’…—％,.;:?!)]")
_NO_END = frozenset("（【「『《“‘([")


def wrap(text: str, width: int) -> list[str]:
    """Break a paragraph into lines of at most ``width`` columns.

    No word, and no code in backticks, is ever broken: one wider than the width has a line of
    its own. No line begins with a closing mark or ends with an opening one.

    Examples:
        >>> wrap("one filter of `conv1.weight`", 12)
        ['one filter', 'of', '`conv1.weight`']
    """
    lines: list[str] = []
    line = ""
    for gap, chunk in _chunks(text):
        if line and cells(line) + cells(gap) + cells(chunk) > width:
            lines.append(line)
            line = chunk
        else:
            line += (gap if line else "") + chunk
    return [*lines, line] if line else lines


def _chunks(text: str) -> list[tuple[str, str]]:
    """Split into what must stay together, each with the gap before it."""
    chunks: list[tuple[str, str]] = []
    gap = ""
    for piece in _PIECES.findall(text):
        if piece.isspace():
            gap = " "
        elif chunks and not gap and not _may_break(chunks[-1][1], piece):
            chunks[-1] = (chunks[-1][0], chunks[-1][1] + piece)
        else:
            chunks.append((gap, piece))
            gap = ""
    return chunks


def _may_break(before: str, after: str) -> bool:
    if after[0] in _NO_START or before[-1] in _NO_END:
        return False
    return cells(before[-1]) == 2 or cells(after[0]) == 2
