"""The letters that stand for cells where there is no colour, and for marked cells everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._pictures.colours import ABOVE, BELOW, MIDDLE, NAN, NEGINF, POSINF, STEPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from weigh._pictures.sheet import Sheet

MARK_LETTERS = {NAN: "x", POSINF: "^", NEGINF: "v", BELOW: "<", ABOVE: ">"}
"""They are wide enough to be seen, and every encoding has them."""

_ZERO, _NEGATIVE, _POSITIVE = "·", "-~=≡", "░▒▓█"
"""Lines for negative numbers and areas for positive ones, with more ink further from 0."""

_ASCII = str.maketrans("·≡░▒▓█", ".E:+*#")
_LEVELS = len(_POSITIVE)


def code_letters(*, in_ascii: bool = False) -> NDArray[np.str_]:
    """Give the letter of each code.

    Examples:
        >>> "".join(code_letters()[[MIDDLE - 120, MIDDLE - 30, MIDDLE, MIDDLE + 60, NAN]])
        '≡-·▒x'
    """
    import numpy as np

    letters = np.full(256, " ")
    for step in range(-STEPS, STEPS + 1):
        letters[MIDDLE + step] = _letter(step * _LEVELS / STEPS, in_ascii=in_ascii)
    for code, letter in MARK_LETTERS.items():
        letters[code] = letter
    return letters


def letter_legend(sheet: Sheet, *, in_ascii: bool = False) -> list[str]:
    """Say which number each letter is nearest to, an item each."""
    limit, unit = sheet.limit, ""
    if sheet.limits is not None and sheet.limits[0] != sheet.limits[1]:
        limit, unit = 1.0, " x limit"  # each part has its own
    items = []
    for level in range(-_LEVELS, _LEVELS + 1):
        letter = _letter(level, in_ascii=in_ascii)
        items.append(f"{letter} {level / _LEVELS * limit:+.3g}{unit}" if level else f"{letter} 0")
    return items


def mark_legend(codes: NDArray[np.uint8]) -> list[str]:
    """Say what the letters of marked cells mean, an item for each that comes."""
    meanings = {
        NAN: "NaN",
        POSINF: "+Inf",
        NEGINF: "-Inf",
        BELOW: "below the limits",
        ABOVE: "above the limits",
    }
    return [
        f"{MARK_LETTERS[code]} {meaning}"
        for code, meaning in meanings.items()
        if (codes == code).any()
    ]


def in_one_colour(codes: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give codes to cells in three colours: of the one that is furthest from its middle."""
    import numpy as np

    apart = 2 * rgb.astype(int) - 255
    which = np.abs(apart).argmax(2)
    most = np.take_along_axis(apart, which[..., None], axis=2)[..., 0]
    steps = MIDDLE + np.rint(most * (STEPS / 255)).astype(int)
    return np.where(codes == MIDDLE, steps, codes).astype(np.uint8)


def _letter(level: float, *, in_ascii: bool) -> str:
    # Halves go outward on both sides, as Python would send them to the even one.
    at = int(abs(level) + 0.5)
    letter = (_NEGATIVE if level < 0 else _POSITIVE)[at - 1] if at else _ZERO
    return letter.translate(_ASCII) if in_ascii else letter
