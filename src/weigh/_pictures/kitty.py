"""Pixels for a terminal, by the graphics protocol of kitty.

See https://sw.kovidgoyal.net/kitty/graphics-protocol/.
"""

from __future__ import annotations

from base64 import b64encode

_CHUNK = 4096


def kitty_text(png: bytes, *, columns: int = 0, lines: int = 0) -> str:
    r"""Write a PNG for a terminal, which says nothing of it.

    Args:
        png: the picture.
        columns: over how many letters it is drawn, the cursor staying where it is; if 0, over
            as many as it has pixels for, the cursor going behind it.
        lines: over how many lines.

    Examples:
        >>> kitty_text(b"png", columns=3, lines=1)
        '\x1b_Ga=T,f=100,q=2,C=1,c=3,r=1,m=0;cG5n\x1b\\'
    """
    data = b64encode(png).decode("ascii")
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)] or [""]
    size = f",C=1,c={columns},r={lines}" if columns else ""
    written = []
    for at, chunk in enumerate(chunks):
        first = f"a=T,f=100,q=2{size}," if at == 0 else "q=2,"
        written.append(f"\x1b_G{first}m={int(at < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(written)
