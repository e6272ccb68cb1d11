"""How wide a text is on a terminal."""

from __future__ import annotations

import unicodedata


def cells(text: str) -> int:
    """Count the columns a text takes on a terminal.

    Examples:
        >>> cells("conv1"), cells("卷积核")
        (5, 6)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
