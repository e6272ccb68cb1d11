"""Checkpoints of torch.distributed.checkpoint: a folder of slices, and a pickle that lists them.

``.metadata`` is a pickle, interpreted here and never run; torch's own reader runs it. Each slice is
a torch zip of its own inside a ``.distcp`` file, opened when its values are asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError, UnsupportedError, ValuesError, WeighError
from weigh._facts import Accounts, Facts, FoundTensor, Values
from weigh._sources.bytes import ByteSource
from weigh._sources.folder import Folder
from weigh._sources.imports import imports_of
from weigh._sources.model_folder import left_alone, weight_files
from weigh._sources.part import Part
from weigh._sources.parts import Path, tell_apart
from weigh._sources.pickled import Call, Pickle, pairs_of
from weigh._sources.pickled_modules import attributes
from weigh._sources.pickled_tensor import PickledTensor
from weigh._sources.pickles import read_pickle
from weigh._sources.pieces import Piece, PieceValues
from weigh._sources.plain_text import plain_text
from weigh._sources.stored import count_of
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_storages import dtype_named, integer, integers
from weigh._sources.torch_zip import ZipStorages, root_of
from weigh._sources.zips import member_part, read_directory

METADATA = ".metadata"
_MAX_METADATA, _MAX_SLICE_PICKLE = 1 << 28, 1 << 20
_MAX_TENSORS, _MAX_FILES = 1 << 20, 100_000
_MAX_TEXTS, _MAX_NAME = 20, 4096


class _Slice(NamedTuple):
    """Where a slice lies.

    Attributes:
        changed: whether its bytes went through something (compression) when they were written.
    """

    file: str
    offset: int
    length: int
    changed: bool


def read(folder: Folder) -> Facts:
    """Read what a distributed checkpoint states.

    Raises:
        FormatError: its metadata is malformed, or its slices do not make its tensors.
        SourceError: a file is missing, or it lists no tensor.
    """
    source = folder.open(METADATA)
    if source.size > _MAX_METADATA:
        raise FormatError("the metadata is too long", seen=f"{source.size:,} bytes")
    pickle = read_pickle(source)
    stated = dict(attributes(pickle.value))
    tensors = pairs_of(stated.get("state_dict_metadata"))
    if tensors is None:
        raise FormatError("the metadata is not that of a distributed checkpoint")
    slices = dict(_slices(stated.get("storage_data")))
    files = _files(folder, {one.file for one in slices.values()})
    for one in slices.values():
        _check_within(files[one.file], one)
    paths = _paths(stated.get("planner_data"))
    found: list[tuple[Path, FoundTensor]] = []
    others: list[str] = []
    for key, described in tensors:
        name = _name(key)
        values = _values(name, described, slices, files)
        if values is None:
            others.append(name)
        else:
            path = paths.get(name, tuple(name.split(".")))
            found.append((path, FoundTensor(name, values, identity=name)))
    if not found:
        raise SourceError("the checkpoint lists no tensor", seen=f"{len(others):,} other things")
    facts = _facts(folder, source, found, others, slices, files, paths)
    return replace(facts, imports=imports_of(METADATA, pickle))


def _facts(
    folder: Folder,
    source: ByteSource,
    found: list[tuple[Path, FoundTensor]],
    others: list[str],
    slices: Mapping[tuple[str, tuple[int, ...] | None], _Slice],
    files: Mapping[str, ByteSource],
    paths: Mapping[str, Path],
) -> Facts:
    """Tell the network from what was saved beside it."""
    tree: dict[str, object] = {}
    for path, tensor in found:
        _plant(tree, path, tensor)
    parts = tell_apart(_Nested(), tree, found)
    tensors = tuple(
        FoundTensor(name, t.values, role=role, identity=t.identity) for name, role, t in parts.rows
    )
    few = [name for name in others if len(paths.get(name, ())) == 1][:_MAX_TEXTS]
    texts = {name: _plain(slices.get((name, None)), files) for name in few}
    notes = list(parts.notes)
    if others:
        one = len(others) == 1
        entries = "entry that is no tensor is" if one else "entries that are no tensors are"
        notes.append(f"{len(others):,} {entries} not shown.")
    beside = [] if folder.far else weight_files(folder.files())
    if beside:
        notes.append(f"Read from {METADATA}{left_alone(beside)}.")
    return Facts(
        "dcp",
        folder.name,
        tensors,
        metadata={name: text for name, text in texts.items() if text is not None},
        notes=tuple(notes),
        accounts=_accounts(source, tensors, slices.values(), files),
    )


class _Nested:
    """The mappings that the flattened names came from."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        return thing.items() if isinstance(thing, dict) else ()

    def is_mapping(self, thing: object) -> bool:
        return isinstance(thing, dict)

    def is_module(self, thing: object) -> bool:  # noqa: ARG002
        return False


def _plant(tree: dict[str, object], path: Path, tensor: FoundTensor) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[path[-1]] = tensor


def _name(key: object) -> str:
    if not isinstance(key, str) or len(key) > _MAX_NAME:
        raise FormatError("the metadata names a tensor by something that is no name")
    return key


def _slices(stored: object) -> Iterator[tuple[tuple[str, tuple[int, ...] | None], _Slice]]:
    """Give where every slice lies, by its tensor's name and its place in it."""
    pairs = pairs_of(stored)
    if pairs is None or len(pairs) > _MAX_TENSORS:
        raise FormatError("the metadata does not say where its slices are")
    met: set[tuple[str, tuple[int, ...] | None]] = set()
    for index, place in pairs:
        which, where = dict(attributes(index)), dict(attributes(place))
        offset, file = which.get("offset"), where.get("relative_path")
        key = (_name(which.get("fqn")), None if offset is None else integers(offset))
        if key in met or not isinstance(file, str):
            raise FormatError("the metadata has a slice twice, or one in no file")
        met.add(key)
        changed = bool(where.get("transform_descriptors"))
        yield key, _Slice(file, integer(where.get("offset")), integer(where.get("length")), changed)


def _check_within(file: ByteSource, one: _Slice) -> None:
    try:
        Part(file, one.offset, one.length)
    except FormatError as error:
        raise error.at(file.name) from None


def _files(folder: Folder, names: set[str]) -> dict[str, ByteSource]:
    if len(names) > _MAX_FILES:
        raise FormatError("the metadata names far too many files", seen=f"{len(names):,}")
    ordered = sorted(names)
    return dict(zip(ordered, folder.open_all(ordered), strict=True))


def _paths(planner: object) -> dict[str, Path]:
    """Give the keys that a flattened name came from, where the planner says so."""
    paths: dict[str, Path] = {}
    for key, path in pairs_of(planner) or ():
        if isinstance(key, str) and isinstance(path, tuple) and path:
            parts = tuple(str(part) for part in path if isinstance(part, str | int))
            if len(parts) == len(path):
                paths[key] = parts
    return paths


def _values(
    name: str,
    described: object,
    slices: Mapping[tuple[str, tuple[int, ...] | None], _Slice],
    files: Mapping[str, ByteSource],
) -> Values | None:
    """Put a tensor together from its slices; None for what is no tensor."""
    if not isinstance(described, Call) or not described.path.endswith("TensorStorageMetadata"):
        return None
    stated = dict(attributes(described))
    shape, dtype = integers(stated.get("size")), _dtype(stated.get("properties"))
    count_of(shape)
    chunks = stated.get("chunks")
    if not isinstance(chunks, list):
        raise FormatError(f"tensor {name[:100]!r} has no list of its slices")
    pieces = []
    for chunk in chunks:
        box = dict(attributes(chunk))
        offsets, sizes = integers(box.get("offsets")), integers(box.get("sizes"))
        place = slices.get((name, offsets))
        if place is None:
            raise FormatError(f"a slice of tensor {name[:100]!r} lies nowhere", seen=str(offsets))
        _check_size(name, place, dtype, sizes)
        pieces.append(Piece(offsets, sizes, partial(_open, place, files)))
    try:
        return PieceValues(dtype, shape, pieces, ("dcp", name))
    except FormatError as error:
        raise FormatError(f"tensor {name[:100]!r}: {error.what}", seen=error.seen) from None


def _check_size(name: str, place: _Slice, dtype: DType, sizes: tuple[int, ...]) -> None:
    """Hold that a slice's bytes can hold its values."""
    needed = dtype.size_of(count_of(sizes))
    if needed > place.length and not place.changed:
        raise FormatError(
            f"a slice of tensor {name[:100]!r} is larger than its place in the file",
            seen=f"{place.length:,} bytes where {needed:,} are needed",
        )


def _dtype(properties: object) -> DType:
    """Read the dtype, the first of the properties that a tuple or a dict states."""
    stated = properties.states[0] if isinstance(properties, Call) and properties.states else ()
    if isinstance(stated, tuple) and stated:
        return dtype_named(stated[0])
    return dtype_named(dict(attributes(properties)).get("dtype"))


def _opened(place: _Slice, files: Mapping[str, ByteSource]) -> tuple[Pickle, TensorReader]:
    if place.changed:
        raise UnsupportedError("the slices were compressed when they were written")
    window = Part(files[place.file], place.offset, place.length)
    members = read_directory(window)
    root = root_of(members)
    data = member_part(window, members[f"{root}data.pkl"], most=_MAX_SLICE_PICKLE)
    return read_pickle(data), TensorReader(ZipStorages(window, members, root).values)


def _open(place: _Slice, files: Mapping[str, ByteSource]) -> Values:
    """Open a slice, which is one tensor in a torch zip."""
    try:
        pickle, reader = _opened(place, files)
        made = reader.read(pickle.value)
    except SourceError as error:
        raise error.at(files[place.file].name) from None
    if not isinstance(made, PickledTensor):
        raise ValuesError("a slice of the tensor holds no tensor")
    return made.values


def _plain(place: _Slice | None, files: Mapping[str, ByteSource]) -> str | None:
    """Read a plain value that was saved beside the tensors: the epoch."""
    if place is None:
        return None
    try:
        return plain_text(_opened(place, files)[0].value)
    except WeighError:
        return None  # a word about the checkpoint is not worth refusing it


def _accounts(
    source: ByteSource,
    tensors: Iterable[FoundTensor],
    slices: Iterable[_Slice],
    files: Mapping[str, ByteSource],
) -> Accounts:
    values = sum(t.values.dtype.size_of(count_of(t.values.shape or ())) for t in tensors)
    places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in slices:
        places[one.file].append((one.offset, one.offset + one.length))
    covered = 0
    for spans in places.values():
        end = 0
        for start, stop in sorted(spans):
            covered += max(0, stop - max(start, end))
            end = max(end, stop)
    data = sum(file.size for file in files.values())
    total = source.size + data
    values = min(values, covered)
    return Accounts(total, values, source.size + covered - values, 0, data - covered)
