"""Captions: sentences, and how they are set below a picture."""

from __future__ import annotations

from collections.abc import Iterable

from weigh._pictures.shapes import Text
from weigh._pictures.words import wrapped

SIZE = 11.0
LINE = 16.0
"""The size of a caption's letters, and from one of its lines to the next."""


def caption_shapes(
    sentences: Iterable[str], x: float, y: float, width: float
) -> tuple[list[Text], float]:
    """Set sentences as lines below each other.

    Args:
        sentences: what is said.
        x: where lines begin.
        y: the upper edge.
        width: how wide lines may be.

    Returns:
        The lines, and the lower edge.

    Examples:
        >>> lines, bottom = caption_shapes(["All values are finite."], 16, 100, 600)
        >>> lines[0].text, lines[0].y, bottom
        ('All values are finite.', 112.0, 116.0)
    """
    lines = wrapped(" ".join(sentences), width, SIZE)
    made = [Text(x, y + 12 + LINE * at, line, SIZE, ink="muted") for at, line in enumerate(lines)]
    return made, y + LINE * len(lines)


def many(count: int, word: str, words: str = "") -> str:
    """Write how many there are of something.

    Examples:
        >>> many(1, "value"), many(1728, "value")
        ('1 value', '1,728 values')
    """
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Join parts of a sentence.

    Examples:
        >>> listed(["3 NaN", "1 +Inf", "2 −Inf"])
        '3 NaN, 1 +Inf and 2 −Inf'
    """
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last
