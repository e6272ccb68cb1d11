"""Breaking a text into lines of a terminal's width, without losing a letter of it."""

from __future__ import annotations

from collections.abc import Iterable

from weigh._width import cells


def wrapped(words: Iterable[str], width: int, between: str = " ") -> list[str]:
    """Put words into lines; a word that is wider than a line goes on in the next.

    Examples:
        >>> wrapped("names are never cut".split(), 11)
        ['names are', 'never cut']
        >>> wrapped(["a.very.long.name"], 9)
        ['a.very.lo', 'ng.name']
    """
    lines, line = [], ""
    for word in words:
        joined = line + between + word if line else word
        if cells(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, width)
        lines += full
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and cells(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
