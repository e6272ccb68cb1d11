"""PyTorch checkpoints before 1.6: pickles one after the other, then the storages' bytes."""

from __future__ import annotations

import struct

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError
from weigh._facts import Facts, Values
from weigh._sources.bytes import ByteSource
from weigh._sources.checkpoint import checkpoint_facts, describe
from weigh._sources.pickles import Persistent, Pickle, read_pickle
from weigh._sources.stored import Affine, StoredValues
from weigh._sources.torch_pickle import Storage, TensorReader, integer, pairs_of, read_storage

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")


def read(source: ByteSource) -> Facts:
    """State the facts of a checkpoint, reading its pickles and no values.

    Raises:
        FormatError: the pickles or the storages break the rules.
        SourceError: it is a pickle, but not one of PyTorch's; or it holds no tensor.
    """
    data = source.view(0, source.size)
    magic = read_pickle(data)
    if magic.value != _MAGIC:
        raise SourceError(
            "a pickle, but not one that PyTorch wrote; it was not executed",
            seen=describe(magic.value),
        )
    protocol = read_pickle(data, magic.end)
    if protocol.value != _PROTOCOL:
        raise FormatError("the checkpoint has an unknown protocol", seen=describe(protocol.value))
    system = read_pickle(data, protocol.end)
    if pairs_of(system.value) is None:
        raise FormatError("the checkpoint lacks the facts of the system that wrote it")
    saved = read_pickle(data, system.end)
    keys = read_pickle(data, saved.end)
    storages = _Storages(source, _places(source, saved, keys))
    return checkpoint_facts("torch-legacy", source, saved, TensorReader(storages.values))


def _places(source: ByteSource, saved: Pickle, keys: Pickle) -> dict[str, tuple[int, int]]:
    """Find each storage's first byte and length; they follow the pickles in the keys' order."""
    if not isinstance(keys.value, list):
        raise FormatError("the checkpoint lacks the list of its storages")
    whole = {storage.key: storage for storage in map(_whole_storage, saved.outside)}
    places: dict[str, tuple[int, int]] = {}
    at = keys.end
    for key in keys.value:
        storage = whole.get(str(key)) if isinstance(key, str | int) else None
        if storage is None or storage.key in places:
            raise FormatError("the checkpoint lists a storage that its pickle does not name once")
        (count,) = _COUNT.unpack(source.view(at, _COUNT.size))
        length = storage.dtype.size_of(storage.count)
        if count != storage.count or length > source.size - at - _COUNT.size:
            raise FormatError(
                f"storage {storage.key!r} does not fit the file",
                seen=f"{count:,} values where the pickle says {storage.count:,}",
                do="It may be cut short: fetch it again.",
            )
        places[storage.key] = (at + _COUNT.size, length)
        at += _COUNT.size + length
    if at != source.size:
        raise FormatError(
            "something follows the last storage", seen=f"{source.size - at:,} bytes more"
        )
    return places


def _whole_storage(reference: Persistent) -> Storage:
    """Read a storage without the view that a tensor may have of it."""
    storage = read_storage(reference)
    count = reference.pid[4]  # type: ignore[index]
    return Storage(storage.key, storage.dtype, integer(count))


class _Storages:
    """The storages of a checkpoint by their keys."""

    def __init__(self, source: ByteSource, places: dict[str, tuple[int, int]]) -> None:
        self._source, self._places = source, places

    def values(
        self,
        storage: Storage,
        dtype: DType,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        first: int,
        affine: Affine | None,
    ) -> Values:
        place = self._places.get(storage.key)
        if place is None:
            raise FormatError(f"the pickle names storage {storage.key!r}, which the file lacks")
        offset, length = place
        return StoredValues(
            self._source,
            offset,
            dtype,
            shape,
            strides=strides,
            storage=(self._source.identity, storage.key),
            storage_offset=storage.offset + first,
            storage_bytes=length,
            affine=affine,
        )
