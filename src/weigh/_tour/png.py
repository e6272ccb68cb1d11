"""Write a picture as PNG, with nothing but the standard library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = (8, 2, 0, 0, 0)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels of shape (height, width, 3), red, green and blue from 0 to 255, as a PNG."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size or pixels.dtype != "uint8":
        raise ValueError(
            f"pixels are uint8 of shape (height, width, 3), not {pixels.dtype} of {pixels.shape}"
        )
    height, width, _ = pixels.shape
    # Each row is led by the number of its filter; 0 is none.
    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))
    header = struct.pack(">II5B", width, height, *_EIGHT_BIT_RGB)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
