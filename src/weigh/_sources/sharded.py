"""Weights in several files, and an index that says which tensor is in which.

The index is Hugging Face's: ``{"metadata": {...}, "weight_map": {tensor: file}}``. It and the files
are held against each other both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from weigh._errors import FormatError, SourceError
from weigh._facts import Accounts, Facts, FoundTensor
from weigh._sources.bytes import ByteSource
from weigh._sources.flat_json import Cursor
from weigh._sources.folder import Folder, check_inside
from weigh._sources.json_file import json_text
from weigh._sources.parts import cleaner
from weigh._sources.reading import read_files, source_beside

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
    parts = _parts(source_beside(source), index)
    tensors: list[FoundTensor] = []
    notes: dict[str, None] = {}
    named = _by_file(index)
    for name, facts in parts.items():
        kept, strays = _checked(name, facts, named[name])
        tensors += (replace(t, identity=(name, t.identity)) for t in kept)
        notes |= dict.fromkeys((*facts.notes, *_strays(name, strays)))
    metadata = Accounts(source.size, 0, source.size, 0, 0)
    every = [facts.accounts for facts in parts.values() if facts.accounts is not None]
    accounts = sum(every, start=metadata)
    return Facts(
        format="sharded",
        location=source.name,
        tensors=tuple(tensors),
        ordered=all(facts.ordered for facts in parts.values()),
        metadata={"files": f"{len(parts)} of {next(iter(parts.values())).format}"},
        notes=(*notes, *_size_note(index, accounts)),
        accounts=accounts,
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


def _parts(folder: Folder, index: Index) -> dict[str, Facts]:
    """Read every file that the index names, all at once where the place is far."""
    # Listing a far place is a request more; there the reading itself tells.
    here = not folder.far and all("/" not in name for name in index.files)
    have = set(folder.files()) if here else None
    missing = [name for name in index.files if have is not None and name not in have]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise SourceError(
            f"a file that the index names is missing: {missing[0]!r}{more}",
            seen=f"{len(index.files) - len(missing):,} of {len(index.files):,} files",
            do="Fetch what is missing.",
        )
    return dict(zip(index.files, read_files(folder, index.files), strict=True))


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
