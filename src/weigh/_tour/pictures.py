"""Pictures of filters and digits: in shade characters for a terminal, and as pixels for a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = "·░▒▓█"
"""From the lowest value through zero to the highest; none is a space, so gaps stay gaps."""

NOT_FINITE = "!"

BLUE, WHITE, ORANGE = (33, 102, 172), (247, 247, 247), (230, 97, 1)
"""The lowest value, zero and the highest: told apart with any colour vision."""

PAPER = (205, 205, 205)
_INK = "█"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): _INK}

PICTURED = LEVELS + "▀▄"
"""Every character that pictures are drawn with, beside the space."""

IN_ASCII = str.maketrans(PICTURED, ".:o*#" + '"_')
"""What stands for these where an encoding lacks them: the same order of ink."""


def scale_of(*arrays: Any) -> float:
    """The largest finite magnitude in any of the arrays; 0 where there is none."""
    import numpy as np

    largest = 0.0
    for array in arrays:
        values = np.abs(np.asarray(array, dtype=np.float64))
        values = values[np.isfinite(values)]
        largest = max(largest, float(values.max()) if values.size else 0.0)
    return largest


def shades(values: Any, scale: float) -> list[str]:
    """Draw a matrix, two characters a value, from ``-scale`` (lowest) to ``scale`` (highest).

    Examples:
        >>> shades([[-1, 0], [0.5, 1]], scale=1)
        ['··▒▒', '▓▓██']
    """
    import numpy as np

    lines = []
    for row in np.asarray(values, dtype=np.float64):
        levels = [_level(float(value), scale) for value in row]
        lines.append("".join(level * 2 for level in levels))
    return lines


def legend(scale: float) -> str:
    """Say which value each shade stands for."""
    middle = len(LEVELS) // 2
    return "   ".join(
        f"{level} {(at - middle) / middle * scale:+.3f}" if at != middle else f"{level} 0"
        for at, level in enumerate(LEVELS)
    )


def filters_text(before: Any, after: Any, per_row: int = 2) -> str:
    """Draw each filter before and after, side by side and on one scale, with a legend.

    Both are of shape (filters, height, width).
    """
    scale = scale_of(before, after)
    pairs = [
        _pair(f"[{index}]", shades(old, scale), shades(new, scale))
        for index, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    bands = []
    for start in range(0, len(pairs), per_row):
        band = zip(*pairs[start : start + per_row], strict=True)
        bands.append("\n".join("    ".join(lines).rstrip() for lines in band))
    return "\n\n".join([*bands, legend(scale)])


def digit_text(image: Any) -> str:
    """Draw an image of values from 0 to 1 in half blocks: ink wherever a value is over 0.4.

    Empty lines above and below are left out.
    """
    import numpy as np

    dark = (np.asarray(image, dtype=np.float64) > 0.4).astype(int).tolist()
    if len(dark) % 2:
        dark.append([0] * len(dark[0]))
    rows = zip(dark[::2], dark[1::2], strict=True)
    drawing = "\n".join(
        "".join(_HALVES[pair] for pair in zip(top, bottom, strict=True)).rstrip()
        for top, bottom in rows
    )
    return drawing.strip("\n")


def filters_pixels(before: Any, after: Any, zoom: int = 24, gap: int = 12) -> NDArray[np.uint8]:
    """Paint the filters in a grid, before above after, on one symmetric scale.

    Both are of shape (filters, height, width); a value is ``zoom`` x ``zoom`` pixels. Gives
    uint8 pixels of shape (height, width, 3).
    """
    import numpy as np

    scale = scale_of(before, after)
    rows = [[colours(values, scale) for values in row] for row in (before, after)]
    height, width = rows[0][0].shape[0] * zoom, rows[0][0].shape[1] * zoom
    sheet = np.empty(
        (gap + 2 * (height + gap), gap + len(rows[0]) * (width + gap), 3), dtype=np.uint8
    )
    sheet[:] = PAPER
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            large = tile.repeat(zoom, axis=0).repeat(zoom, axis=1)
            sheet[top : top + height, left : left + width] = large
    return sheet


def colours(values: Any, scale: float) -> NDArray[np.uint8]:
    """Give each value its colour: blue for ``-scale``, white for 0, orange for ``scale``.

    A value that is not finite is black. Adds an axis of 3 at the end.
    """
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(array)
    share = np.where(finite, array, 0) / (scale or 1.0)
    share = np.clip(share, -1, 1)[..., None]
    far = np.where(share < 0, np.array(BLUE, float), np.array(ORANGE, float))
    mixed = np.array(WHITE, float) + (far - WHITE) * np.abs(share)
    return np.where(finite[..., None], np.rint(mixed), 0).astype(np.uint8)


def _level(value: float, scale: float) -> str:
    share = value / (scale or 1.0)
    if share != share or abs(share) == float("inf"):
        return NOT_FINITE
    return LEVELS[round((min(max(share, -1.0), 1.0) + 1) / 2 * (len(LEVELS) - 1))]


def _pair(label: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    width, middle = len(old[0]), len(old) // 2
    drawn = [
        f"{left} {'>' if at == middle else ' '} {right}"
        for at, (left, right) in enumerate(zip(old, new, strict=True))
    ]
    return [label.ljust(2 * width + 3), *drawn]
