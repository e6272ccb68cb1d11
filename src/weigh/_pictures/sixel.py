"""Pixels for a terminal, as sixels: bands of six rows, one colour after the other.

See chapter 14 of the VT330/VT340 Programmer Reference Manual, https://vt100.net/docs/vt3xx-gp/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BAND = 6
_COLOUR, _RETURN, _NEXT = 1 << 40, 2 << 40, 3 << 40
"""Tokens beside runs, which are the letter and how often it comes."""

_OFTEN = 20
"""How many bits of a token say how often the letter comes."""


def sixel_text(indices: NDArray[np.uint8], colours: NDArray[np.uint8]) -> str:
    r"""Write pixels for a terminal.

    Args:
        indices: which colour each has, uint8 of shape (height, width).
        colours: the colours, uint8 of shape (n, 3); those in use are numbered anew from 0.

    Examples:
        >>> import numpy as np
        >>> sixel_text(np.zeros((6, 9), "uint8"), np.array([[255, 0, 0]], "uint8"))
        '\x1bP0;1;0q"1;1;9;6#0;2;100;0;0#0!9~\x1b\\'
    """
    import numpy as np

    height, width = indices.shape
    used, registers = np.unique(indices, return_inverse=True)
    registers = registers.reshape(indices.shape)
    shares = np.rint(colours[used].astype(float) * 100 / 255).astype(int).tolist()
    palette = "".join(f"#{n};2;{r};{g};{b}" for n, (r, g, b) in enumerate(shares))
    bands = [_band(registers[top : top + _BAND]) for top in range(0, height, _BAND)]
    tokens, places = np.unique(np.concatenate(bands), return_inverse=True)
    words = np.array([_word(token) for token in tokens.tolist()], object)
    # A band after the last one would move the cursor on.
    drawn = "".join(words[places].tolist()).removesuffix("-")
    return f'\x1bP0;1;0q"1;1;{width};{height}{palette}{drawn}\x1b\\'


def _band(registers: NDArray[np.intp]) -> NDArray[np.int64]:
    """Give the tokens of up to six rows."""
    import numpy as np

    used, lines = np.unique(registers, return_inverse=True)
    lines = lines.reshape(registers.shape)
    width = registers.shape[1]
    bits = np.zeros((len(used), width + 1), np.int64)
    for row, line in enumerate(lines):
        bits[line, np.arange(width)] |= 1 << row
    bits[:, width] = -1  # each colour ends a run
    flat = bits.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-2))
    letters, lengths = flat[starts], np.diff(starts, append=flat.size)
    # Nothing need be written behind the last pixel of a colour.
    ends = letters == -1
    trailing = np.append(ends[1:], False) & (letters == 0)
    tokens = (letters << _OFTEN) | lengths
    tokens[ends] = _RETURN
    tokens[np.flatnonzero(ends)[-1]] = _NEXT
    kept = ~trailing
    places = np.flatnonzero(ends[kept])[:-1] + 1
    at = np.append(0, places)
    return np.insert(tokens[kept], at, _COLOUR + used)


def _word(token: int) -> str:
    if token >= _NEXT:
        return "-"
    if token >= _RETURN:
        return "$"
    if token >= _COLOUR:
        return f"#{token - _COLOUR}"
    letter, often = chr(63 + (token >> _OFTEN)), token & ((1 << _OFTEN) - 1)
    return letter * often if often <= 3 else f"!{often}{letter}"
