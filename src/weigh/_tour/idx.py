"""Read IDX files: the format of MNIST and Fashion-MNIST.

A big-endian header - two zero bytes, the type of number (8 = unsigned byte), the number of axes,
then the size of each axis as a 32-bit number - and the values, nothing after them.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from weigh._errors import FormatError, SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_IMAGES = 60_000
SIDE = 28
CLASSES = 10


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read images of 28 x 28 bytes, gzipped or not: shape (count, 28, 28).

    Raises:
        SourceError: the file cannot be read.
        FormatError: it is not an IDX file of such images, or not whole.
    """
    return _read(path, (SIDE, SIDE))


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read labels from 0 to 9, gzipped or not: shape (count,).

    Raises:
        SourceError: the file cannot be read.
        FormatError: it is not an IDX file of such labels, or not whole.
    """
    labels = _read(path, ())
    largest = int(labels.max())
    if largest >= CLASSES:
        raise FormatError("labels go from 0 to 9", seen=str(largest)).at(str(path))
    return labels


def _read(path: Path, rest: tuple[int, ...]) -> NDArray[np.uint8]:
    import numpy as np

    try:
        data = _values(path, rest)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError("the gzip stream is broken", seen=str(error)).at(str(path)) from error
    except OSError as error:
        seen = error.strerror or str(error)
        raise SourceError("the file cannot be read", seen=seen).at(str(path)) from error
    except FormatError as error:
        raise error.at(str(path)) from None
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, *rest)


def _values(path: Path, rest: tuple[int, ...]) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        # Whichever it is, no more is read (or unpacked) than the header allows.
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        size = _size(stream, rest)
        data = stream.read(size)
        if len(data) < size:
            raise FormatError(
                f"the file ends early: its header promises {size:,} values", seen=f"{len(data):,}"
            )
        if stream.read(1):
            raise FormatError(f"bytes follow the {size:,} values that the header promises")
    return data


def _size(stream: IO[bytes], rest: tuple[int, ...]) -> int:
    axes = 1 + len(rest)
    head = stream.read(4 + 4 * axes)
    if head[:4] != bytes([0, 0, 8, axes]):
        kind = "images" if rest else "labels"
        raise FormatError(
            f"not an IDX file of {kind}: it begins with 00 00 08 {axes:02x}",
            seen=head[:4].hex(" ") or "an empty file",
        )
    if len(head) < 4 + 4 * axes:
        raise FormatError("the file ends within its header", seen=f"{len(head)} bytes")
    count, *shape = struct.unpack(f">{axes}I", head[4:])
    if tuple(shape) != rest:
        raise FormatError(f"images are {SIDE} x {SIDE}", seen=" x ".join(map(str, shape)))
    if not 1 <= count <= MOST_IMAGES:
        raise FormatError(f"a file holds 1 to {MOST_IMAGES:,} items", seen=f"{count:,}")
    return int(count) * math.prod(rest)
