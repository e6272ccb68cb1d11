"""Reads safetensors: a length, a JSON header, and every tensor's bytes without a gap.

The rules are those of the reference reader, and two more it leaves to the writer: no name
and no field stands twice, and a tensor's entry is an object. What it refuses is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError
from weigh._facts import Facts, FoundTensor
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.flat_json import Cursor
from weigh._sources.stored import StoredValues

MAX_HEADER = 100_000_000
"""The reference reader's limit on the JSON header, in bytes."""

_LENGTH = 8
_METADATA = "__metadata__"

_DTYPES: dict[str, DType] = {
    stated: DTYPES[name]
    for stated, name in {
        "BOOL": "bool",
        "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
        "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
        "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
        "C64": "complex64",
        "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
        "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
        "F6_E2M3": "float6_e2m3fn", "F6_E3M2": "float6_e3m2fn", "F4": "float4_e2m1fn",
    }.items()
}  # fmt: skip

_INTEGER = "(?:0|[1-9][0-9]{0,18})"
_ENTRY = re.compile(
    r'[ \n]?\{(?:(?:"dtype": ?"([A-Z0-9_]{1,16})"'
    rf'|"shape": ?\[((?:{_INTEGER}(?:, ?{_INTEGER}){{0,15}})?)\]'
    rf'|"data_offsets": ?\[({_INTEGER}), ?({_INTEGER})\])(?:, ?(?=")|(?=\}}))){{3}}\}}'
)
"""A tensor's entry as every common writer writes it; any other goes the longer way."""


class _Entry(NamedTuple):
    """What the header states about one tensor, in the reference reader's order."""

    start: int
    stop: int
    name: str
    dtype: DType
    shape: tuple[int, ...]


def read(source: ByteSource) -> Facts:
    """Read what a safetensors file states; of the bytes, only the header is read.

    Args:
        source: the file's bytes.

    Raises:
        FormatError: they break the format's rules.
    """
    length = _header_length(source)
    entries, metadata = _parse(_text(source, length))
    begin = _LENGTH + length
    ordered = _in_order(entries, source.size - begin)
    tied = _tied(metadata, {entry.name for entry in ordered})
    tensors: list[FoundTensor] = []
    for entry in ordered:
        values = StoredValues(
            source,
            begin + entry.start,
            entry.dtype,
            entry.shape,
            storage=(source.identity, entry.name),
        )
        names = (entry.name, *tied.get(entry.name, ()))
        tensors.extend(FoundTensor(name, values, identity=entry.name) for name in names)
    return Facts(
        "safetensors",
        source.name,
        tuple(tensors),
        ordered=False,
        metadata=metadata,
        accounts=account(source, tensors, metadata=begin),
    )


def _header_length(source: ByteSource) -> int:
    if source.size < _LENGTH:
        raise FormatError(
            "too short for a safetensors file",
            seen=f"{source.size} bytes",
            do="It may be cut short: fetch it again.",
        )
    length = int.from_bytes(source.view(0, _LENGTH), "little")
    if length > MAX_HEADER:
        raise FormatError(
            f"the header's length is over the format's limit of {MAX_HEADER:,} bytes",
            seen=f"{length:,}",
            do="It may not be a safetensors file.",
        )
    if _LENGTH + length > source.size:
        raise FormatError(
            "the file ends within its header",
            seen=f"{source.size:,} bytes where the header alone takes {_LENGTH + length:,}",
            do="It may be cut short: fetch it again.",
        )
    return length


def _text(source: ByteSource, length: int) -> str:
    try:
        return str(source.view(_LENGTH, length), "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            "the header is not UTF-8 text", seen=f"{error.reason} at its byte {error.start}"
        ) from None


def _parse(text: str) -> tuple[list[_Entry], dict[str, str]]:
    """Read the header into entries and metadata."""
    cursor = Cursor(text)
    entries: dict[str, _Entry] = {}
    metadata: dict[str, str] | None = None
    for name in cursor.members():
        if name == _METADATA:
            if metadata is not None:
                raise FormatError(f"the header has {_METADATA!r} twice")
            metadata = _metadata(cursor)
        elif name in entries:
            raise FormatError(f"the header names tensor {_shown(name)} twice")
        else:
            entries[name] = _entry(cursor, name)
    cursor.end()
    return list(entries.values()), metadata or {}


def _metadata(cursor: Cursor) -> dict[str, str]:
    found: dict[str, str] = {}
    if cursor.peek() == "n":  # null, which the reference reader takes for none
        cursor.skip()
        return found
    for key in cursor.members():
        if key in found:
            raise FormatError(f"{_METADATA!r} has the key {_shown(key)} twice")
        if cursor.peek() != '"':
            raise FormatError(f"the value of {_shown(key)} in {_METADATA!r} is not a text")
        found[key] = cursor.string()
    return found


def _entry(cursor: Cursor, name: str) -> _Entry:
    plain = _ENTRY.match(cursor.text, cursor.at)
    if plain is None or None in plain.groups():
        try:
            return _odd_entry(cursor, name)
        except FormatError as error:
            what = f"tensor {_shown(name)}: {error.what}"
            raise FormatError(what, seen=error.seen, do=error.do) from None
    cursor.at = plain.end()
    stated, sizes, start, stop = plain.groups()
    shape = tuple(map(int, sizes.split(","))) if sizes else ()
    return _Entry(int(start), int(stop), name, _dtype(stated, name), shape)


def _odd_entry(cursor: Cursor, name: str) -> _Entry:
    """Read an entry with fields in another order, other spacing or fields of its own."""
    stated, shape, offsets = None, None, None
    for field in cursor.members():
        if field == "dtype" and stated is None:
            stated = cursor.string()
        elif field == "shape" and shape is None:
            shape = cursor.integers()
        elif field == "data_offsets" and offsets is None:
            offsets = cursor.integers()
        elif field in ("dtype", "shape", "data_offsets"):
            raise FormatError(f"{field!r} is stated twice")
        else:
            cursor.skip()
    if stated is None or shape is None or offsets is None:
        raise FormatError("its entry lacks 'dtype', 'shape' or 'data_offsets'")
    if len(offsets) != 2:
        raise FormatError("'data_offsets' is not a pair", seen=f"{len(offsets)} numbers")
    return _Entry(*offsets, name, _dtype(stated, name), shape)


def _dtype(stated: str, name: str) -> DType:
    dtype = _DTYPES.get(stated)
    if dtype is None:
        raise FormatError(
            f"tensor {_shown(name)} has a dtype the format does not have", seen=_shown(stated)
        )
    return dtype


def _in_order(entries: list[_Entry], room: int) -> list[_Entry]:
    """Sort by offset, and make sure that the tensors fill the data exactly."""
    ordered = sorted(entries, key=lambda entry: (entry.start, entry.stop))
    end = 0
    for entry in ordered:
        if entry.start != end or entry.stop < entry.start:
            raise FormatError(
                f"tensor {_shown(entry.name)} does not begin where the one before it ends",
                seen=f"bytes {entry.start:,} to {entry.stop:,} where {end:,} is next",
            )
        size = _size_of(entry)
        if size != entry.stop - entry.start:
            raise FormatError(
                f"tensor {_shown(entry.name)} has not the size its shape and dtype make",
                seen=f"{entry.stop - entry.start:,} bytes where {size:,} are needed",
            )
        end = entry.stop
    if end != room:
        what = "the file ends early" if end > room else "bytes follow the last tensor"
        raise FormatError(
            what,
            seen=f"{room:,} bytes of data where the header states {end:,}",
            do="It may be cut short: fetch it again." if end > room else "",
        )
    return ordered


def _size_of(entry: _Entry) -> int:
    """Work out a tensor's bytes; like the reference, refuse what 64 bits cannot count."""
    bits = 1
    for size in (*entry.shape, entry.dtype.bits):
        bits *= size
        if bits >= 2**64:
            raise FormatError(f"tensor {_shown(entry.name)} claims more than 64 bits can count")
    if bits % 8:
        raise FormatError(
            f"tensor {_shown(entry.name)} does not end on a whole byte", seen=f"{bits} bits"
        )
    return bits // 8


def _tied(metadata: Mapping[str, str], stored: set[str]) -> dict[str, list[str]]:
    """Find the names that a writer dropped as ties, by the name it kept for each.

    ``safetensors.torch.save_model`` writes the dropped name as a key and the kept one as its
    value. ``format`` is a key of its own ("pt").
    """
    found: dict[str, list[str]] = {}
    for dropped, kept in metadata.items():
        if kept in stored and dropped not in stored and dropped != "format":
            found.setdefault(kept, []).append(dropped)
    return found


def _shown(name: str) -> str:
    return repr(name if len(name) <= 200 else name[:200] + "...")
