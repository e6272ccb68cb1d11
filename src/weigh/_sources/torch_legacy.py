"""PyTorch checkpoints before 1.6: pickles one after the other, then the storages' bytes."""

from __future__ import annotations

import struct

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Facts, Values
from weigh._sources.bytes import ByteSource, expect, taken
from weigh._sources.checkpoint import checkpoint_facts, describe, naming
from weigh._sources.pickle_program import Program
from weigh._sources.pickled import Pickle, pairs_of
from weigh._sources.pickles import read_pickle
from weigh._sources.stored import Affine, StoredValues
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_storages import Storage, class_outside, read_storage

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")
_TAR, _TAR_AT = b"ustar", 257
_FIRST = 1 << 18
"""What is read first: the pickles have no length of their own."""


def read(source: ByteSource) -> Facts:
    """State the facts of a checkpoint, reading its pickles and no values.

    Raises:
        FormatError: the pickles or the storages break the rules.
        UnsupportedError: it is of the tar format that came before.
        SourceError: it is a pickle, but not one of PyTorch's; or it holds no tensor.
    """
    saved, keys, first = _pickles(source)
    places = _places(source, saved, keys)
    storages = _Storages(source, places)

    def sizes() -> tuple[int, int]:
        return source.size - sum(length for _, length in places.values()), 0

    reader = TensorReader(storages.values)
    return checkpoint_facts("torch-legacy", source, saved, reader, sizes, (*first, keys))


def _pickles(source: ByteSource) -> tuple[Pickle, Pickle, tuple[Pickle, ...]]:
    """Read the saved object, the keys of its storages, and the three pickles before them."""
    if taken(source, 0, min(source.size, _TAR_AT + len(_TAR)))[_TAR_AT:] == _TAR:
        raise UnsupportedError(
            "the tar format of PyTorch before 0.2 is not read",
            do="Load it with torch.load and save it again.",
        )
    data = Program(source, _FIRST)
    magic = read_pickle(data)
    if magic.value != _MAGIC:
        raise SourceError(
            "a pickle, but not one that PyTorch wrote; it was not executed",
            seen=f"{describe(magic.value)}{naming(magic)}",
        )
    protocol = read_pickle(data, magic.end)
    if protocol.value != _PROTOCOL:
        raise FormatError("the checkpoint has an unknown protocol", seen=describe(protocol.value))
    system = read_pickle(data, protocol.end)
    if pairs_of(system.value) is None:
        raise FormatError("the checkpoint lacks the facts of the system that wrote it")
    saved = read_pickle(data, system.end)
    return saved, read_pickle(data, saved.end), (magic, protocol, system)


def _places(source: ByteSource, saved: Pickle, keys: Pickle) -> dict[str, tuple[int, int]]:
    """Find each storage's first byte and length; they follow the pickles in the keys' order."""
    if not isinstance(keys.value, list):
        raise FormatError("the checkpoint lacks the list of its storages")
    whole = _storages(saved)
    _expect_counts(source, [whole.get(str(key)) for key in keys.value], keys.end)
    places: dict[str, tuple[int, int]] = {}
    at = keys.end
    for key in keys.value:
        storage = whole.get(str(key)) if isinstance(key, str | int) else None
        if storage is None or storage.key in places:
            raise FormatError("the checkpoint lists a storage twice, or one that it does not use")
        (count,) = _COUNT.unpack(source.view(at, _COUNT.size))
        length = storage.size
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


def _expect_counts(source: ByteSource, storages: list[Storage | None], at: int) -> None:
    """Tell a far source where the counts are, if the sizes that the pickle states are true."""
    ranges: list[tuple[int, int]] = []
    for storage in storages:
        if storage is None or storage.size < 0 or at + _COUNT.size > source.size:
            break
        ranges.append((at, at + _COUNT.size))
        at += _COUNT.size + storage.size
    expect(source, ranges)


def _storages(saved: Pickle) -> dict[str, Storage]:
    """Name the storages that the pickle refers to; a size is known only with a known class."""
    found: dict[str, Storage] = {}
    for reference in saved.outside:
        if class_outside(reference) is not None:
            continue
        storage = read_storage(reference)
        first = found.setdefault(storage.key, storage)
        if (first.dtype, first.count) != (storage.dtype, storage.count):
            raise FormatError(f"the pickle describes storage {storage.key!r} in two ways")
    return found


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
