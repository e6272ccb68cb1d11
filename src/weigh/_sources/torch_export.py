"""Exported programs (``torch.export.save``): a zip of a graph in JSON and its weights.

Since PyTorch 2.8 each storage is a member of its own, listed in a table; before, the weights were
checkpoints inside the archive. Both are read; the graph is not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from weigh._errors import FormatError, SourceError, WeighError
from weigh._facts import Accounts, Facts, FoundClass, FoundLayer, FoundTensor
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.checkpoint import found_tensor
from weigh._sources.contents import contents_of
from weigh._sources.derived_values import MetaValues
from weigh._sources.export_graph import MOST_JSON, Payload, Program, read_payloads, read_program
from weigh._sources.imports import Imports, imports_of, united
from weigh._sources.part import Part
from weigh._sources.parts import check_once, joined
from weigh._sources.pickles import read_pickle
from weigh._sources.stored import StoredValues, count_of
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_zip import ZipStorages, root_of
from weigh._sources.zips import (
    LOCAL_HEADER,
    Member,
    member_part,
    read_directory,
    stored_offset,
    unpacked_member,
)

_MAX_PICKLE, _MOST_LAYERS = 1 << 28, 100_000
_OLD = "serialized_exported_program.json"


def read(source: ByteSource) -> Facts:
    """State the facts of a program, reading its directory, tables and graph and no values.

    Raises:
        FormatError: the archive, a table or the graph breaks the rules.
        SourceError: it holds no program, only compiled code, or several programs.
    """
    return _Archive(source).facts()


class _Archive:
    """One archive, and what was found in it so far."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._members = read_directory(source)
        self._root = _root(self._members)
        self._tensors: list[FoundTensor] = []
        self._notes: list[str] = []
        self._offsets: dict[str, int] = {}
        self._inner = Accounts(0, 0, 0, 0, 0)
        self._programs: list[str] = []
        self._imports: list[Imports] = []

    def facts(self) -> Facts:
        """Read the one program."""
        self._programs = self._models()
        name = self._programs[0]
        graph = self._program(name)
        for folder, what in (("data/weights/", "weights"), ("data/constants/", "constants")):
            self._table(folder, f"{folder}{name}_{what}_config.json", graph)
            self._checkpoint(f"{folder}{name}.pt", graph)
        for what in ("state_dict", "constants"):
            for ending in ("pt", "json"):  # once they were called JSON and were none
                self._checkpoint(f"serialized_{what}.{ending}", graph)
        check_once(tensor.name for tensor in self._tensors)
        if not self._tensors and not graph.paths:
            raise SourceError("the exported program holds no tensors")
        return Facts(
            format="torch-export",
            location=self._source.name,
            tensors=tuple(_in_order(self._tensors, graph)),
            layers=tuple(_layers(graph)),
            metadata={"torch_version": graph.version} if graph.version else {},
            notes=tuple(self._notes),
            accounts=self._accounts(),
            imports=united(self._imports),
        )

    def _models(self) -> list[str]:
        """Name the programs in the archive."""
        if f"{self._root}{_OLD}" in self._members:
            return [""]
        start, end = f"{self._root}models/", ".json"
        names = [n for n in self._members if n.startswith(start) and n.endswith(end)]
        if not names:
            raise SourceError(
                "an archive of compiled code, without an exported program",
                do="Weigh reads what torch.export.save writes.",
            )
        found = [name.removeprefix(start).removesuffix(end) for name in names]
        if len(found) > 1:
            self._notes.append(f"It holds {len(found)} programs; {found[0]!r} alone is shown.")
        return found

    def _program(self, name: str) -> Program:
        member = self._members[f"{self._root}{f'models/{name}.json' if name else _OLD}"]
        if member.size > MOST_JSON:
            self._notes.append(
                f"Its graph takes {member.size:,} bytes and is not read: layers have no classes."
            )
            return Program()
        return read_program(self._text(member))

    def _text(self, member: Member) -> str:
        raw = unpacked_member(self._source, member, most=MOST_JSON)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError(f"the archive's member {member.name[:100]!r} is no text") from None

    def _table(self, folder: str, file: str, graph: Program) -> None:
        """Read a table of tensors and where each is."""
        member = self._members.get(f"{self._root}{file}")
        if member is None:
            return
        for name, payload in read_payloads(self._text(member)).items():
            held = self._members.get(f"{self._root}{folder}{payload.file}")
            if held is None:
                raise FormatError(
                    f"the archive lacks {payload.file[:100]!r}, which {name[:100]!r} is in"
                )
            if payload.pickled:
                self._from_checkpoint(held, graph, name, payload)
            elif folder.endswith("constants/") and not payload.file.startswith("tensor_"):
                self._notes.append(f"{name[:200]!r} is an object, not a tensor, and is not read.")
            else:
                self._stored(held, name, payload, graph)

    def _stored(self, member: Member, name: str, payload: Payload, graph: Program) -> None:
        role = graph.roles.get(name) or ("parameter" if payload.parameter else "buffer")
        identity = (member.name, payload.offset, payload.shape, payload.strides, payload.dtype)
        try:
            self._tensors.append(
                FoundTensor(
                    name,
                    self._values(member, payload),
                    role,
                    payload.requires_grad if role == "parameter" else False,
                    identity,
                )
            )
        except WeighError as error:
            raise error.at(f"tensor {name[:200]!r}") from None

    def _values(self, member: Member, payload: Payload) -> StoredValues | MetaValues:
        dtype = payload.known_dtype()
        if len(payload.strides) != len(payload.shape):
            raise FormatError("its sizes and strides make no tensor")
        if not member.size and count_of(payload.shape):
            # The loader fills in zeros for what was exported without values.
            return MetaValues(dtype, payload.shape)
        if member.name not in self._offsets:
            self._offsets[member.name] = stored_offset(self._source, member)
        return StoredValues(
            self._source,
            self._offsets[member.name],
            dtype,
            payload.shape,
            strides=payload.strides,
            storage=(self._source.identity, member.name),
            storage_offset=payload.offset,
            storage_bytes=member.size,
        )

    def _checkpoint(self, file: str, graph: Program) -> None:
        """Read a checkpoint of several tensors inside the archive."""
        member = self._members.get(f"{self._root}{file}")
        if member is not None and member.size:
            self._from_checkpoint(member, graph, "", None)

    def _from_checkpoint(
        self, member: Member, graph: Program, whole: str, payload: Payload | None
    ) -> None:
        """Read a checkpoint inside the archive: of one tensor by this name, or of many."""
        offset = stored_offset(self._source, member)
        part = Part(self._source, offset, member.size, member.name)
        inner = read_directory(part)
        root = root_of(inner)
        storages = ZipStorages(part, inner, root)
        pickle = read_pickle(member_part(part, inner[f"{root}data.pkl"], most=_MAX_PICKLE))
        self._imports.append(imports_of(member.name, pickle))
        contents = contents_of(pickle, TensorReader(storages.values))
        found = []
        for path, tensor in contents.tensors:
            name = ".".join(part for part in (whole, joined(path) if path else "") if part)
            role = graph.roles.get(name)
            grad = tensor.requires_grad if payload is None else payload.requires_grad
            made = found_tensor(name, role if role == "other" else None, tensor)
            found.append(
                replace(
                    made,
                    role=role or made.role,
                    learnable=grad if role == "parameter" else made.learnable,
                    identity=(member.name, tensor.identity),
                )
            )
        for maker, (count, path) in contents.unread.items():
            self._notes.append(f"{joined(path)!r} ({count:,} such) is not read: made by {maker}.")
        metadata, padding = storages.sizes()
        self._inner += account(part, found, metadata=metadata, padding=padding)
        self._tensors += found

    def _accounts(self) -> Accounts:
        held = [self._members[name] for name in self._offsets]
        padding = sum(
            self._offsets[m.name] - m.header - LOCAL_HEADER - len(m.name.encode()) for m in held
        )
        data = sum(m.size for m in held) + self._inner.total
        metadata = self._source.size - data - padding
        # What lies in checkpoints inside is accounted for there.
        own = account(self._source, self._tensors, metadata=metadata, padding=padding)
        return Accounts(
            own.total,
            own.tensors + self._inner.tensors,
            own.metadata + self._inner.metadata,
            own.padding + self._inner.padding,
            max(own.unreachable - self._inner.total, 0) + self._inner.unreachable,
        )


def _root(members: dict[str, Member]) -> str:
    """Find the one folder that everything is in, or none in the oldest archives."""
    marks = [n for n in members if n.rpartition("/")[2] in ("archive_format", _OLD)]
    if len(marks) != 1:
        raise FormatError("the archive is no exported program, or several", seen=str(marks[:3]))
    root = marks[0].removesuffix("archive_format").removesuffix(_OLD)
    stray = next((name for name in members if not name.startswith(root)), None)
    if stray is not None:
        raise FormatError(f"the archive's member {stray[:100]!r} is outside its folder {root!r}")
    return root


def _in_order(tensors: list[FoundTensor], graph: Program) -> Iterator[FoundTensor]:
    """Give parameters and buffers in the order of the signature, which is the network's."""
    rank = {name: i for i, name in enumerate(graph.roles)}
    yield from sorted(tensors, key=lambda tensor: rank.get(tensor.name, len(rank)))


def _layers(graph: Program) -> Iterator[FoundLayer]:
    classes: dict[str, FoundClass] = {}
    paths = dict.fromkeys(("", *graph.paths, *graph.classes))
    _check_size(paths)
    for path in paths:
        name = graph.classes.get(path)
        if name is None:
            yield FoundLayer(path)
            continue
        made_by = classes.setdefault(name, FoundClass(name, loose=True))
        yield FoundLayer(path, name.rpartition(".")[2], made_by)


def _check_size(paths: Iterable[str]) -> None:
    """Hold that the tree of these paths, with all that lies on the way to them, is not huge."""
    places: set[str] = set()
    for path in paths:
        at = path
        while at and at not in places:
            places.add(at)
            at = at.rpartition(".")[0]
        if len(places) > _MOST_LAYERS:
            raise FormatError(f"the program has more than {_MOST_LAYERS:,} modules")
