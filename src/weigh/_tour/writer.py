"""Write tensors as safetensors, and any file in one piece or not at all."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from weigh._errors import WeighError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def safetensors_bytes(
    tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Encode float32 arrays as a safetensors file, in the order given."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    pieces, end = [], 0
    for name, array in tensors.items():
        if array.dtype.name != "float32":
            raise ValueError(f"{name} is {array.dtype}; only float32 is written")
        piece = array.astype("<f4", order="C").tobytes()
        start, end = end, end + len(piece)
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, end]}
        pieces.append(piece)
    text = json.dumps(header, separators=(",", ":")).encode()
    # Padded with spaces so that the values begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(pieces)


def write_file(path: Path, data: bytes) -> None:
    """Write a file, replacing what is there in one move.

    Raises:
        WeighError: the folder or the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise unwritable("the file cannot be written", error).at(str(path)) from error
    finally:
        with suppress(OSError):
            part.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there, and see that files can be written in it.

    Raises:
        WeighError: it cannot be made or written in, or something else has its name.
    """
    probe = folder / f".weigh.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise unwritable("the folder cannot be written", error).at(str(folder)) from error


def unwritable(what: str, error: OSError) -> WeighError:
    """Say what the system said, and what to do."""
    return WeighError(what, seen=error.strerror or str(error), do="Name another folder with --out.")
