"""The colours of pictures, told apart with any colour vision, and the codes that stand for them.

A picture is made of codes, one byte a cell: what could not be a number, what lies beyond the
limits, and 120 steps on either side of 0. A palette gives them colours; each theme has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from weigh._record import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Theme = Literal["light", "dark"]
Colour = tuple[int, int, int]

GAP, NAN, POSINF, NEGINF, BELOW, ABOVE = range(6)
"""Codes of cells that hold no number within the limits; a gap is no cell at all."""

STEPS = 120
"""How many steps there are on either side of 0."""

MIDDLE = ABOVE + 1 + STEPS
"""The code of 0; ``MIDDLE + STEPS`` is that of the limit, ``MIDDLE - STEPS`` of its negative."""

MARKS = {NAN: "nan", POSINF: "posinf", NEGINF: "neginf", BELOW: "below", ABOVE: "above"}
"""The codes that have a glyph as well as a colour, and what the glyph is called."""


@record(frozen=True)
class Inks:
    """The colours of one theme.

    Attributes:
        paper: what everything is drawn on.
        text: letters.
        muted: letters that matter less.
        grid: thin lines.
        zero: 0.
        negative: from next to 0 to the negative limit.
        positive: from next to 0 to the limit.
        below: less than the negative limit.
        above: more than the limit.
        nan: what is not a number.
        posinf: positive infinity.
        neginf: negative infinity.
        glyph: glyphs on the five before.
        first: the first of two distributions: before.
        second: the second: after.
        expected: a distribution that is expected.
    """

    paper: Colour
    text: Colour
    muted: Colour
    grid: Colour
    zero: Colour
    negative: tuple[Colour, ...]
    positive: tuple[Colour, ...]
    below: Colour
    above: Colour
    nan: Colour
    posinf: Colour
    neginf: Colour
    glyph: Colour
    first: Colour
    second: Colour
    expected: Colour


THEMES: dict[Theme, Inks] = {
    "light": Inks(
        paper=(255, 255, 255),
        text=(27, 31, 36),
        muted=(89, 96, 105),
        grid=(208, 212, 218),
        zero=(247, 247, 247),
        negative=((146, 197, 222), (33, 102, 172)),
        positive=((253, 184, 99), (214, 90, 4)),
        below=(4, 36, 74),
        above=(94, 38, 4),
        nan=(0, 0, 0),
        posinf=(180, 16, 110),
        neginf=(16, 104, 46),
        glyph=(255, 255, 255),
        first=(89, 96, 105),
        second=(33, 102, 172),
        expected=(214, 90, 4),
    ),
    "dark": Inks(
        paper=(17, 20, 24),
        text=(230, 233, 237),
        muted=(154, 163, 173),
        grid=(58, 64, 72),
        zero=(32, 35, 40),
        negative=((42, 96, 152), (120, 190, 245)),
        positive=((150, 82, 22), (255, 176, 84)),
        below=(208, 234, 255),
        above=(255, 226, 188),
        nan=(255, 255, 255),
        posinf=(255, 150, 210),
        neginf=(130, 226, 160),
        glyph=(0, 0, 0),
        first=(154, 163, 173),
        second=(108, 182, 240),
        expected=(255, 176, 84),
    ),
}
POSITIVE_NAME, NEGATIVE_NAME = "orange", "blue"


def palette(theme: Theme = "light") -> NDArray[np.uint8]:
    """Give the colour of each code, as uint8 of shape (256, 3); a gap has that of the paper.

    Examples:
        >>> palette()[MIDDLE].tolist(), palette()[MIDDLE + STEPS].tolist()
        ([247, 247, 247], [214, 90, 4])
    """
    import numpy as np

    inks = THEMES[theme]
    made = np.zeros((256, 3))
    made[GAP] = inks.paper
    for code, name in MARKS.items():
        made[code] = getattr(inks, name)
    steps = np.arange(STEPS + 1) / STEPS
    for way, ends in ((-1, inks.negative), (1, inks.positive)):
        stops = np.array([inks.zero, *ends], float)
        places = np.linspace(0, 1, len(stops))
        for channel in range(3):
            ramp = np.interp(steps, places, stops[:, channel])
            made[MIDDLE + way * np.arange(STEPS + 1), channel] = ramp
    return np.rint(made).astype(np.uint8)
