"""The letters of pictures in pixels: a font of 5 by 7, drawn in ``font.txt``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH, HEIGHT = 6, 10
"""The pixels from one letter to the next, and those of a line."""

BASELINE = 8
"""How many rows of a line are above the baseline; descenders take the rest."""

SIZE = 12
"""The size of text for which the font is drawn: half as wide."""

_OTHER = "□"
# Letters that look like one that is there.
_LIKE = str.maketrans("μ‘’“”‐‑‒\u00a0\u2009\u202f", "µ''\"\"---   ")


@cache
def letters() -> dict[str, NDArray[np.uint8]]:
    """Read the font: by letter, 1 for ink, of shape (10, 6)."""
    import numpy as np

    made = {" ": np.zeros((HEIGHT, WIDTH), np.uint8)}
    text = files("weigh._pictures").joinpath("font.txt").read_text("utf-8")
    for band in text.strip("\n").split("\n\n"):
        names, *rows = band.split("\n")
        for at, name in enumerate(names[::WIDTH]):
            drawn = [[c == "#" for c in row[at * WIDTH : (at + 1) * WIDTH - 1]] for row in rows]
            letter = np.zeros((HEIGHT, WIDTH), np.uint8)
            letter[1:, : WIDTH - 1] = drawn
            made[name] = letter
    return made


def text_mask(text: str, scale: int = 1, *, bold: bool = False) -> NDArray[np.bool_]:
    """Draw a line of letters: True for ink, of shape (10 scale, 6 scale letters).

    Letters that the font lacks are boxes.

    Examples:
        >>> for row in text_mask("g±")[3:]:
        ...     print("".join("#" if ink else "." for ink in row))
        .####...#...
        #...#.#####.
        #...#...#...
        #...#...#...
        .####.#####.
        ....#.......
        .###........
    """
    import numpy as np

    font = letters()
    drawn = [font.get(letter, font[_OTHER]) for letter in text.translate(_LIKE)]
    rows = np.hstack(drawn) if drawn else np.zeros((HEIGHT, 0), np.uint8)
    mask = rows.repeat(scale, axis=0).repeat(scale, axis=1).astype(bool)
    if bold:
        by = max(1, scale // 2)
        mask[:, by:] |= mask[:, :-by].copy()
    return mask
