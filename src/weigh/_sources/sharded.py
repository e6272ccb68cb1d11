"""Weights in several files, and an index that says which tensor is in which.

The index is Hugging Face's: ``{"metadata": {...}, "weight_map": {tensor: file}}``. It and the files
are held against each other both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from weigh._errors import FormatError, SourceError
from weigh._facts import Accounts, Facts, Fault, FoundTensor
from weigh._sources.bytes import ByteSource
from weigh._sources.flat_json import Cursor
from weigh._sources.folder import Folder, check_inside
from weigh._sources.imports import Imports, united
from weigh._sources.json_file import json_text
from weigh._sources.parts import check_once, cleaner
from weigh._sources.reading import read_files, source_beside
from weigh._sources.shard_faults import size_fault, stray_fault, unlike_faults
from weigh._sources.split_names import SplitName

_MAX_INDEX = 40_000_000
_MAX_TENSORS, _MAX_FILES = 500_000, 10_000
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Index:
    """What an index states.

    Attributes:
        files: the names of the files, in the order they are first named.
        file_of: the file of each tensor.
        total_size: the bytes of all tensors, if it says so.
    """

    files: tuple[str, ...]
    file_of: Mapping[str, str]
    total_size: int | None


def read(source: ByteSource) -> Facts:
    """Read what an index and the files that it names state.

    Raises:
        FormatError: the index is malformed, names what is not there, or leads out of its folder.
        SourceError: a file is missing, or its reader refuses it.
    """
    index = parse_index(json_text(source, _MAX_INDEX))
    parts = _parts(source_beside(source), index.files, "the index names")
    joined = Joined()
    named = _by_file(index)
    for name, facts in parts.items():
        kept, strays = _checked(name, facts, named[name])
        joined.add(name, facts, kept)
        joined.notes |= dict.fromkeys(_strays(name, strays))
        joined.faults += stray_fault(name, strays)
    joined.faults += size_fault(index.total_size, joined.accounts.tensors)
    metadata = Accounts(source.size, 0, source.size, 0, 0)
    facts = joined.facts(source.name, metadata)
    return replace(facts, notes=(*facts.notes, *_size_note(index, joined.accounts)))


def read_set(folder: Folder, one: SplitName) -> Facts:
    """Read several files that no index lists, but whose names say how many they are.

    Args:
        folder: where they are.
        one: the name of one of them.

    Raises:
        FormatError: two of them hold one tensor.
        SourceError: a file is missing, or its reader refuses it.
    """
    if one.total > _MAX_FILES:
        raise FormatError("the files are far too many", seen=f"{one.total:,}")
    parts = _parts(
        folder, [one.sibling(number) for number in range(1, one.total + 1)], "belongs to the set"
    )
    joined = Joined()
    for name, facts in parts.items():
        joined.add(name, facts, facts.tensors)
    facts = joined.facts(folder.name, Accounts(0, 0, 0, 0, 0))
    note = "No index lists their tensors: all that the files hold is shown."
    return replace(facts, notes=(note, *facts.notes))


class Joined:
    """The facts of several files, put together.

    Attributes:
        notes: sentences of all of them, each once.
        accounts: where the bytes of all went.
        faults: what does not fit in them.
    """

    def __init__(self) -> None:
        self._tensors: list[FoundTensor] = []
        self._shards: list[tuple[str, Facts]] = []
        self._imports: list[Imports] = []
        self.faults: list[Fault] = []
        self._ordered, self._formats = True, [""]
        self.notes: dict[str, None] = {}
        self.accounts = Accounts(0, 0, 0, 0, 0)

    def add(self, name: str, facts: Facts, tensors: Iterable[FoundTensor]) -> None:
        """Add those of a file's tensors that belong to the network."""
        # Every file numbers its storages from 0.
        self._tensors += (replace(t, identity=(name, t.identity)) for t in tensors)
        self._formats.append(facts.format)
        self._shards.append((name, facts))
        self._imports.append(tuple((one, name) for one, _ in facts.imports))
        self.faults += facts.faults
        self._ordered = self._ordered and facts.ordered
        self.notes |= dict.fromkeys(facts.notes)
        if facts.accounts is not None:
            self.accounts += facts.accounts

    def facts(self, location: str, beside: Accounts) -> Facts:
        """Give what was added as one.

        Args:
            location: the path or URL.
            beside: the accounts of what lists the files.

        Raises:
            FormatError: two files hold one tensor.
        """
        check_once(tensor.name for tensor in self._tensors)
        return Facts(
            format="sharded",
            location=location,
            tensors=tuple(self._tensors),
            ordered=self._ordered,
            metadata={"files": f"{len(self._formats) - 1} of {self._formats[1]}"},
            notes=tuple(self.notes),
            accounts=self.accounts + beside,
            imports=united(self._imports),
            faults=(*self.faults, *unlike_faults(self._shards)),
        )


def parse_index(text: str) -> Index:
    """Read an index.

    Raises:
        FormatError: it is malformed, has a tensor twice, or names a file outside its folder.

    Examples:
        >>> parse_index('{"weight_map": {"fc.weight": "a.safetensors"}}').files
        ('a.safetensors',)
    """
    cursor = Cursor(text)
    file_of: dict[str, str] | None = None
    total: int | None = None
    for key in cursor.members():
        if key == "weight_map" and file_of is None:
            file_of = _weight_map(cursor)
        elif key == "weight_map":
            raise FormatError("the index has two weight maps")
        elif key == "metadata" and cursor.peek() == "{":
            total = _total(cursor)
        else:
            cursor.skip()
    cursor.end()
    if not file_of:
        raise FormatError("the index maps no tensor to a file")
    files = tuple(dict.fromkeys(file_of.values()))
    if len(files) > _MAX_FILES:
        raise FormatError("the index names far too many files", seen=f"{len(files):,}")
    for name in files:
        check_inside(name)
    return Index(files, file_of, total)


def _weight_map(cursor: Cursor) -> dict[str, str]:
    found: dict[str, str] = {}
    files: dict[str, str] = {}
    for name in cursor.members():
        if name in found:
            raise FormatError("the index has a tensor twice", seen=repr(name[:200]))
        if len(found) == _MAX_TENSORS:
            raise FormatError(f"the index names over {_MAX_TENSORS:,} tensors")
        file = cursor.string()
        found[name] = files.setdefault(file, file)  # one text for all that lie in it
    return found


def _total(cursor: Cursor) -> int | None:
    total = None
    for key in cursor.members():
        digits = key == "total_size" and cursor.peek().isdecimal()
        begin = cursor.at
        cursor.skip()
        raw = cursor.text[begin : cursor.at]
        # Some writers state it as 1.2e10 or 12.0.
        if digits and len(raw) < 20:
            total = int(float(raw))
    return total


def _parts(folder: Folder, files: Sequence[str], named: str) -> dict[str, Facts]:
    """Read every one of some files, all at once where the place is far."""
    # Listing a far place is a request more; there the reading itself tells.
    here = not folder.far and all("/" not in name for name in files)
    have = set(folder.files()) if here else None
    missing = [name for name in files if have is not None and name not in have]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise SourceError(
            f"a file that {named} is missing: {missing[0]!r}{more}",
            seen=f"{len(files) - len(missing):,} of {len(files):,} files",
            do="Fetch what is missing.",
        )
    return dict(zip(files, read_files(folder, files), strict=True))


def _by_file(index: Index) -> dict[str, list[str]]:
    """Give the tensors that the index says each file holds."""
    named: dict[str, list[str]] = {file: [] for file in index.files}
    for tensor, file in index.file_of.items():
        named[file].append(tensor)
    return named


def _checked(name: str, facts: Facts, named: Sequence[str]) -> tuple[list[FoundTensor], list[str]]:
    """Hold a file against the index; give its tensors, and the names the index lacks.

    Raises:
        FormatError: the index names a tensor that the file lacks.
    """
    if facts.format == "flax":  # whose keys such an index joins by slashes
        named = [tensor.replace("/", ".") for tensor in named]
    held = {tensor.name: tensor for tensor in facts.tensors}
    # The reader of a pickle leaves out of names what wrappers put there.
    clean = cleaner(named)[0] if not set(named) <= held.keys() else str
    wanted = {clean(one) for one in named}
    lacking = sorted(wanted - held.keys())
    if lacking:
        more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
        raise FormatError(
            f"the index says that {name!r} holds {lacking[0][:200]!r}{more}, which it does not",
            do="The index and its files are not of one model: fetch them again.",
        )
    ties = {held[one].identity for one in wanted} - {None}
    own, strays = [], []
    for tensor in facts.tensors:
        if tensor.name in wanted or tensor.identity in ties:
            own.append(tensor)
        else:
            strays.append(tensor.name)
    return own, strays


def _strays(name: str, strays: Sequence[str]) -> list[str]:
    if not strays:
        return []
    shown = ", ".join(repr(one[:200]) for one in strays[:_NAMED])
    more = f" and {len(strays) - _NAMED:,} more" if len(strays) > _NAMED else ""
    return [f"{name} holds what the index does not say it holds, and is not shown: {shown}{more}."]


def _size_note(index: Index, accounts: Accounts) -> list[str]:
    if index.total_size in (None, accounts.tensors):
        return []
    return [
        f"The index states {index.total_size:,} bytes of tensors; the files hold "
        f"{accounts.tensors:,}."
    ]
