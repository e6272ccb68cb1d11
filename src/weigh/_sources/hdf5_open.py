"""HDF5 files opened by h5py, through a window that bounds what libhdf5 may ask for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from weigh._errors import FormatError, WeighError
from weigh._sources.bytes import ByteSource
from weigh._sources.file_object import FileObject

_LOCK = threading.RLock()


@contextlib.contextmanager
def opened(source: ByteSource, most: int) -> Iterator[tuple[Any, FileObject]]:
    """Open a file by h5py, one at a time; give it, and the window it is read through.

    Whatever h5py raises within becomes an error of Weigh's.

    Args:
        source: the file.
        most: the longest range that libhdf5 may ask for at once.

    Raises:
        FormatError: libhdf5 cannot read it.
    """
    import h5py

    with _LOCK:
        try:
            window = FileObject(source, most)
            with h5py.File(window, "r") as file:
                yield file, window
        except (WeighError, MemoryError):
            raise
        except Exception as error:  # whatever a broken file makes h5py raise
            text = str(error) or type(error).__name__
            raise FormatError("libhdf5 cannot read it", seen=text[:200]) from None
