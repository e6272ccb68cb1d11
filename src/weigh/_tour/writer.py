"""Write tensors as safetensors, and any file in one piece or not at all."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from weigh._errors import WeighError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_ANOTHER = "Name another folder with --out."

NETWORK = "weigh tour"
"""How the tour's checkpoints say whose they are, in their metadata."""

_WRITTEN_AFTER_TRAINING = ("trained.safetensors", "trained.pt", "filters.png")
_EPOCH = re.compile(r"epoch-[0-9]+\.safetensors")


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


def remove_older(folder: Path) -> None:
    """Remove what an earlier tour's training left, so that no two networks are mixed.

    An epoch's checkpoint goes only if its metadata say that it is the tour's: unlike the other
    files it might never be written again, and other trainings name theirs so too.

    Raises:
        WeighError: a file cannot be removed.
    """
    try:
        for path in sorted(folder.iterdir()):
            own = path.name in _WRITTEN_AFTER_TRAINING or (
                _EPOCH.fullmatch(path.name) is not None and path.is_file() and _is_own(path)
            )
            if own and path.is_file():
                path.unlink()
    except OSError as error:
        raise unwritable("an older file cannot be removed", error).at(str(folder)) from error


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        return f'"network":"{NETWORK}"'.encode() in file.read(200)


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
    except FileExistsError:
        raise WeighError("this is a file, not a folder", do=_ANOTHER).at(str(folder)) from None
    except OSError as error:
        raise unwritable("the folder cannot be written", error).at(str(folder)) from error


def unwritable(what: str, error: OSError) -> WeighError:
    """Say what the system said, and what to do."""
    return WeighError(what, seen=error.strerror or str(error), do=_ANOTHER)
