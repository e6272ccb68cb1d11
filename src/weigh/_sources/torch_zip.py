"""PyTorch checkpoints since 1.6: a zip archive around a pickle and its storages."""

from __future__ import annotations

from collections.abc import Hashable

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError
from weigh._facts import Facts, Values
from weigh._sources.bytes import ByteSource
from weigh._sources.checkpoint import checkpoint_facts
from weigh._sources.pickled import Pickle
from weigh._sources.pickles import read_pickle
from weigh._sources.stored import Affine, StoredValues
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_storages import Storage
from weigh._sources.zips import (
    LOCAL_HEADER,
    Member,
    expect_offsets,
    member_part,
    read_directory,
    read_member,
    stored_offset,
)

_MAX_PICKLE = 1 << 29


def read(source: ByteSource) -> Facts:
    """State the facts of a checkpoint, reading its directory and its pickle and no values.

    Raises:
        FormatError: the archive or the pickle breaks the rules.
        SourceError: it is another kind of archive, or holds no tensor.
    """
    pickle, reader, storages = opened(source)
    return checkpoint_facts("torch-zip", source, pickle, reader, storages.sizes)


def opened(source: ByteSource) -> tuple[Pickle, TensorReader, ZipStorages]:
    """Open a checkpoint: what it pickles, what reads the tensors in that, and their storages.

    Raises:
        FormatError: the archive or the pickle breaks the rules.
        SourceError: it is another kind of archive.
    """
    members = read_directory(source)
    root = root_of(members)
    pickle = read_pickle(member_part(source, members[f"{root}data.pkl"], most=_MAX_PICKLE))
    storages = ZipStorages(source, members, root)
    return pickle, TensorReader(storages.values), storages


def root_of(members: dict[str, Member]) -> str:
    """Find the one folder that everything is in, as ``"archive/"``."""
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if not pickles:
        raise SourceError(
            "a zip archive that is no PyTorch checkpoint",
            seen=", ".join(list(members)[:3]) or "no members",
        )
    if len(pickles) > 1:
        raise FormatError("the archive has several data.pkl", seen=", ".join(pickles[:3]))
    root = pickles[0].removesuffix("data.pkl")
    stray = next((name for name in members if not name.startswith(root)), None)
    if stray is not None:
        raise FormatError(f"the archive's member {stray!r} is outside its folder {root!r}")
    return root


class ZipStorages:
    """The storages of an archive: each is a member ``data/KEY``.

    Args:
        source: the file.
        members: its members.
        root: the folder in the archive that everything is in.
        folder: the folder in it that the storages are in.
    """

    def __init__(
        self, source: ByteSource, members: dict[str, Member], root: str, folder: str = "data/"
    ) -> None:
        self._source, self._members, self._root = source, members, root
        self._folder = f"{root}{folder}"
        self._offsets: dict[str, int] = {}
        self._names: dict[str, tuple[Hashable, str]] = {}
        self._big_endian = self._byte_order() == b"big"
        data = f"{root}data/"
        expect_offsets(source, [m for name, m in members.items() if name.startswith(data)])

    def _byte_order(self) -> bytes:
        member = self._members.get(f"{self._root}byteorder")
        order = b"little" if member is None else read_member(self._source, member, most=16)
        if order not in (b"little", b"big"):
            raise FormatError("the archive states an unknown byte order", seen=repr(order))
        return order

    def sizes(self) -> tuple[int, int]:
        """Give the bytes of metadata and of padding, once all storages are found."""
        data, padding = self.taken()
        return self._source.size - data - padding, padding

    def taken(self) -> tuple[int, int]:
        """Give the bytes of all storages and of padding, once those in use are found."""
        data = [m for name, m in self._members.items() if name.startswith(self._folder)]
        used = ((self._members[f"{self._folder}{key}"], at) for key, at in self._offsets.items())
        # PyTorch moves a storage to a round address by a field of its header that says nothing.
        padding = sum(at - m.header - LOCAL_HEADER - len(m.name.encode()) for m, at in used)
        return sum(m.size for m in data), padding

    def values(
        self,
        storage: Storage,
        dtype: DType,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        first: int,
        affine: Affine | None,
    ) -> Values:
        member = self._members.get(f"{self._folder}{storage.key}")
        if member is None:
            raise FormatError(f"the pickle names storage {storage.key!r}, which the archive lacks")
        if storage.size > member.size:
            raise FormatError(
                f"storage {storage.key!r} is shorter than the pickle says",
                seen=f"{member.size:,} bytes where {storage.size:,} are needed",
            )
        if storage.key not in self._offsets:
            self._offsets[storage.key] = stored_offset(self._source, member)
            self._names[storage.key] = (self._source.identity, member.name)
        return StoredValues(
            self._source,
            self._offsets[storage.key],
            dtype,
            shape,
            strides=strides,
            big_endian=self._big_endian,
            storage=self._names[storage.key],
            storage_offset=storage.offset + first,
            storage_bytes=storage.size,
            affine=affine,
        )
