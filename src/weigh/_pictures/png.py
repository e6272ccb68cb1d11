"""Write a picture as PNG, with nothing but the standard library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from weigh._pictures.words import plain_letters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE = 2, 3
# 9 takes three times as long as 6, and saves next to nothing of pictures.
_LEVEL = 6
_TRIED = 1 << 15
"""How many bytes there are in each of the four parts that say how all are compressed."""


def png_bytes(
    pixels: NDArray[np.uint8],
    palette: NDArray[np.uint8] | None = None,
    texts: Mapping[str, str] | None = None,
    kept: NDArray[np.uint8] | None = None,
) -> bytes:
    r"""Encode pixels as a PNG.

    Args:
        pixels: uint8 of shape (height, width, 3), red, green and blue from 0 to 255; or, with a
            palette, the codes of colours, of shape (height, width). No more than 256 different
            colours are given a palette by themselves.
        palette: the colour of each code, uint8 of shape (at most 256, 3).
        texts: what travels with the picture, by keywords such as ``Title`` and ``Description``.
        kept: the colours that mean something, uint8 of shape (at most 256, 3). Others, which are
            but the edges of signs, become similar ones where all together are more than 256.

    Examples:
        >>> import numpy as np
        >>> data = png_bytes(np.zeros((2, 3, 3), np.uint8), texts={"Title": "Nothing"})
        >>> data[:4], b"tEXtTitle\0Nothing" in data
        (b'\x89PNG', True)
    """
    if palette is None:
        _expect(pixels, "pixels", "(height, width, 3)", 3)
        pixels, palette = indexed(pixels, kept)
    else:
        _expect(pixels, "codes", "(height, width)", 2)
        if int(pixels.max()) >= len(palette):
            raise ValueError(f"a palette of {len(palette)} colours lacks code {pixels.max()}")
    height, width = pixels.shape[:2]
    header = struct.pack(">II5B", width, height, 8, _RGB if palette is None else _PALETTE, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header)]
    if palette is not None:
        chunks.append(_chunk(b"PLTE", palette.astype("uint8").tobytes()))
    chunks += [_text(keyword, text) for keyword, text in (texts or {}).items() if text]
    chunks += [_chunk(b"IDAT", _compressed(_rows(pixels))), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(chunks)


def _compressed(data: bytes) -> bytes:
    """Compress rows; weights look like noise, in which nothing is worth looking for."""
    step = len(data) // 4 + 1
    tried = [data[at : at + min(step, _TRIED)] for at in range(0, len(data), step)]
    runs, plain = (
        sum(len(_deflated(part, strategy)) for part in tried)
        for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY)
    )
    return _deflated(data, zlib.Z_RLE if runs < plain else zlib.Z_DEFAULT_STRATEGY)


def _deflated(data: bytes, strategy: int) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return packer.compress(data) + packer.flush()


def indexed(
    pixels: NDArray[np.uint8], kept: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Give pixels as codes and a palette, if they have no more than 256 colours.

    If they have more, and it is said which of them are to be kept, others are brought to 256.

    Examples:
        >>> import numpy as np
        >>> codes, palette = indexed(np.array([[[9, 9, 9], [0, 0, 1], [9, 9, 9]]], np.uint8))
        >>> codes.tolist(), palette.tolist()
        ([[1, 0, 1]], [[0, 0, 1], [9, 9, 9]])
    """
    import numpy as np

    # A row that is like the one above has been looked at, as most are where cells are large.
    fresh = np.concatenate([[True], ~_repeats(pixels)])
    packed = _packed(pixels[fresh])
    seen = np.zeros(1 << 24, bool)
    seen[packed] = True
    colours = every = np.flatnonzero(seen)
    if len(every) > 256:
        if kept is None:
            return pixels, None
        colours = _most(packed, every, _packed(kept))
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1).astype(np.uint8)
    codes = np.zeros(1 << 24, np.uint8)
    codes[colours] = np.arange(len(colours), dtype=np.uint8)
    for other in np.setdiff1d(every, colours).tolist():
        colour = np.array([other >> 16, other >> 8 & 255, other & 255])
        codes[other] = np.square(palette - colour).sum(-1).argmin()
    return codes[packed][np.cumsum(fresh) - 1], palette


def _repeats(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say of each row but the first whether it is like the one above."""
    flat = pixels.reshape(len(pixels), -1)
    alike: NDArray[np.bool_] = (flat[1:] == flat[:-1]).all(axis=1)
    return alike


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Give each pixel as one number."""
    import numpy as np

    packed = pixels[..., 0].astype(np.uint32)
    for channel in (1, 2):
        packed <<= 8
        packed |= pixels[..., channel]
    return packed


def _most(
    packed: NDArray[np.uint32], every: NDArray[np.intp], kept: NDArray[np.uint32]
) -> NDArray[np.intp]:
    """Give 256 colours in order: those that are kept, then those of most pixels."""
    import numpy as np

    known = np.intersect1d(every, kept)
    edge = np.ones(1 << 24, bool)
    edge[known] = False
    others, counts = np.unique(packed[edge[packed]], return_counts=True)
    most = others[np.argsort(-counts, kind="stable")[: max(0, 256 - len(known))]]
    return np.sort(np.concatenate([known, most]).astype(np.intp))[:256]


def _expect(pixels: NDArray[np.uint8], what: str, shape: str, axes: int) -> None:
    """Refuse what has another shape or type."""
    three = axes == 2 or pixels.shape[-1:] == (3,)
    if pixels.ndim != axes or not three or not pixels.size or pixels.dtype != "uint8":
        raise ValueError(f"{what} are uint8 of shape {shape}, not {pixels.dtype} of {pixels.shape}")


def _rows(pixels: NDArray[np.uint8]) -> bytes:
    """Give the rows, each led by the number of its filter.

    0 is none, the best for codes of colours, which are no quantities, but for a row that is like
    the one above; 2 is the difference from that.
    """
    import numpy as np

    flat = pixels.reshape(len(pixels), -1)
    made = np.zeros((flat.shape[0], flat.shape[1] + 1), np.uint8)
    made[:, 1:] = flat
    if pixels.ndim == 3:
        made[:, 0] = 2
        made[1:, 1:] -= flat[:-1]
    else:
        alike = np.flatnonzero(_repeats(pixels)) + 1
        made[alike, 0] = 2
        made[alike, 1:] = 0
    return made.tobytes()


def _text(keyword: str, text: str) -> bytes:
    """Give the chunk of a text; Latin letters are read by more programs in the older one."""
    text = plain_letters(text)
    try:
        return _chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        # Not compressed, in no stated language, with no translated keyword.
        body = keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8")
        return _chunk(b"iTXt", body)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
