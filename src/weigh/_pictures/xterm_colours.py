"""The 256 colours of xterm, and which of them stand for those of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.colours import MIDDLE, STEPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST = 16
"""The first sixteen are the user's own, and can be anything."""

_SEEN = (2, 4, 3)
"""How much differences of red, green and blue count to the eye, roughly."""


def xterm_colours() -> NDArray[np.uint8]:
    """Give the colours from 16 on: a cube of 6 x 6 x 6, then 24 greys; uint8 of shape (240, 3).

    Examples:
        >>> xterm_colours()[[0, 1, 239]].tolist()
        [[0, 0, 0], [0, 0, 95], [238, 238, 238]]
    """
    import numpy as np

    each = [0, 95, 135, 175, 215, 255]
    cube = np.stack(np.meshgrid(each, each, each, indexing="ij"), axis=-1).reshape(-1, 3)
    greys = (8 + 10 * np.arange(24))[:, None].repeat(3, 1)
    return np.concatenate([cube, greys]).astype(np.uint8)


def nearest(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the number, among xterm's, of the colour that is nearest to each of some colours."""
    import numpy as np

    wide = colours.astype(np.int64).reshape(-1, 1, 3)
    far = ((wide - xterm_colours().astype(np.int64)) ** 2 * _SEEN).sum(2)
    chosen: NDArray[np.uint8] = (FIRST + far.argmin(1)).astype(np.uint8)
    return chosen.reshape(colours.shape[:-1])


def nearest_of_palette(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the numbers of the colours that stand for those of a palette, one for each code.

    A step has the colour of 0 or a blue or an orange, as a grey would say nothing of its sign,
    nor would a pink or a green; and no colour comes back once another has followed it on the
    way from 0.
    """
    import numpy as np

    chosen = nearest(colours)
    known = xterm_colours().astype(int)
    red, green, blue = known.T
    hues = {-1: (blue > green) & (green > red), 1: (red > green) & (green > blue)}
    for way in (-1, 1):
        wanted = colours[MIDDLE + way * np.arange(STEPS + 1)].astype(int)
        far = ((wanted[:, None] - known) ** 2 * _SEEN).sum(2)
        far[:, ~hues[way]] = far.max() + 1
        zero = int(chosen[MIDDLE]) - FIRST
        far[:, zero] = ((wanted - known[zero]) ** 2 * _SEEN).sum(1)
        chosen[MIDDLE + way * np.arange(STEPS + 1)] = FIRST + np.array(
            _in_order(far.argmin(1).tolist())
        )
    return chosen


def _in_order(numbers: list[int]) -> list[int]:
    """Fill what lies between two of the same with it."""
    at = 0
    while at < len(numbers):
        last = len(numbers) - 1 - numbers[::-1].index(numbers[at])
        numbers[at : last + 1] = [numbers[at]] * (last + 1 - at)
        at = last + 1
    return numbers
