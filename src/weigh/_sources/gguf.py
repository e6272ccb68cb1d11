"""GGUF, the format of llama.cpp: a header, then tensors, most of them quantized in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from weigh._dtypes import BLOCKS, DTYPES, DType
from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Accounts, Facts, FoundLayer, FoundTensor, Values
from weigh._sources.blocks import BlockValues
from weigh._sources.bytes import ByteSource
from weigh._sources.gguf_header import Header, Listed, Several, read_header
from weigh._sources.reading import source_beside
from weigh._sources.stored import StoredValues, count_of

_TYPES = {
    0: "float32", 1: "float16", 24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "float64",
    30: "bfloat16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k",
    11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs",
    18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 29: "iq1_m",
    34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4", 41: "q1_0",
}  # fmt: skip
"""The types by their numbers in the file (``enum ggml_type``)."""

_ALIGNMENT = "general.alignment"
_MAX_ALIGNMENT = 1 << 20
_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\.gguf)", re.IGNORECASE | re.DOTALL)
_MAX_PARTS = 10_000
_MAX_SHOWN = 200


def read(source: ByteSource) -> Facts:
    """Read what a GGUF file states, with the other files of a split one.

    Raises:
        FormatError: it breaks the format's rules, or its parts do not fit together.
        UnsupportedError: it is of a version or has a type of tensor that is not read.
        SourceError: a part is missing.
    """
    header = read_header(source)
    count = _whole(header.values.get("split.count", 0))
    parts = [(source, header)] if count <= 1 else list(_parts(source, header, count))
    tensors: list[FoundTensor] = []
    total = Accounts(0, 0, 0, 0, 0)
    for part, one in parts:
        try:
            found, accounts = _tensors(part, one)
        except SourceError as error:
            raise error.at(part.name) from None
        tensors += found
        total += accounts
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise FormatError("two parts hold tensors of one name")
    stated = _whole(header.values.get("split.tensors.count", len(tensors)))
    if count > 1 and stated != len(tensors):
        raise FormatError(
            "the parts do not hold all tensors", seen=f"{len(tensors):,} of {stated:,}"
        )
    values = parts[0][1].values
    return Facts(
        format="gguf",
        location=source.name,
        tensors=tuple(tensors),
        layers=(_root(values),),
        metadata={key[:_MAX_SHOWN]: _text(value) for key, value in values.items()},
        notes=(f"Read from {count} files.",) if count > 1 else (),
        accounts=total,
    )


def _parts(source: ByteSource, header: Header, count: int) -> Iterator[tuple[ByteSource, Header]]:
    """Open every file of a split one; their names count from 1, what they state from 0."""
    name = re.split(r"[/\\]", source.name)[-1]
    match = _PART.fullmatch(name)
    if count > _MAX_PARTS or match is None or int(match[3]) != count:
        raise FormatError(
            f"the file is one of {count:,} parts, and its name does not say which",
            do="Give it back the name it had: NAME-00001-of-00003.gguf.",
        )
    names = [f"{match[1]}-{number:05}-of-{count:05}{match[4]}" for number in range(1, count + 1)]
    own = names.index(name) if name in names else -1
    folder = source_beside(source)
    opened = iter(folder.open_all([other for other in names if other != name]))
    for number in range(count):
        part = source if number == own else next(opened)
        one = header if number == own else _header_of(part)
        if (one.values.get("split.no"), one.values.get("split.count")) != (number, count):
            raise FormatError(
                "a part of the split file says that it is another one",
                seen=f"split.no {_text(one.values.get('split.no'))} in {names[number]}",
            )
        yield part, one


def _header_of(part: ByteSource) -> Header:
    try:
        return read_header(part)
    except SourceError as error:
        raise error.at(part.name) from None


def _tensors(source: ByteSource, header: Header) -> tuple[list[FoundTensor], Accounts]:
    """Place the tensors of one file, and account for its bytes."""
    alignment = _whole(header.values.get(_ALIGNMENT, 32))
    if not 0 < alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise FormatError("the file states an impossible alignment", seen=f"{alignment:,}")
    begin = -(-header.end // alignment) * alignment
    found, end, taken = [], 0, 0
    for listed in header.tensors:
        if listed.offset != -(-end // alignment) * alignment:
            raise FormatError(
                f"tensor {listed.name[:100]!r} does not begin where the one before it ends",
                seen=f"byte {listed.offset:,} where {end:,} is next",
            )
        values, size = _values(source, header, listed, begin)
        end = listed.offset + size
        taken += size
        found.append(FoundTensor(listed.name, values, identity=(source.identity, listed.name)))
    # A file without tensors need not reach its data.
    stop = begin + end if found else header.end
    after = min(-(-stop // alignment) * alignment, source.size) - stop
    padding = stop - header.end - taken + after
    rest = source.size - header.end - taken - padding
    return found, Accounts(source.size, taken, header.end, padding, rest)


def _values(source: ByteSource, header: Header, listed: Listed, begin: int) -> tuple[Values, int]:
    dtype = _dtype(listed)
    count = count_of(listed.shape)
    if dtype.block > 1 and (not listed.shape or listed.shape[-1] % dtype.block):
        raise FormatError(
            f"the rows of tensor {listed.name[:100]!r} are no whole blocks of {dtype.block}",
            seen=str(listed.shape),
        )
    size, offset = dtype.size_of(count), begin + listed.offset
    if offset + size > source.size:
        raise FormatError(
            f"tensor {listed.name[:100]!r} reaches past the end of the file",
            seen=f"{source.size:,} bytes where {offset + size:,} are needed",
            do="It may be cut short: fetch it again.",
        )
    storage = (source.identity, listed.name)
    if dtype.block == 1:
        return (
            StoredValues(
                source,
                offset,
                dtype,
                listed.shape,
                big_endian=header.big_endian,
                storage=storage,
            ),
            size,
        )
    if header.big_endian:
        raise UnsupportedError("quantized tensors of a big-endian file are not read")
    return BlockValues(source, offset, dtype, listed.shape, storage), size


def _dtype(listed: Listed) -> DType:
    if listed.kind not in _TYPES:
        raise UnsupportedError(
            f"tensor {listed.name[:100]!r} is of a type that Weigh does not know",
            seen=f"{listed.kind:,}",
        )
    name = _TYPES[listed.kind]
    return DTYPES.get(name) or BLOCKS[name]


def _root(values: dict[str, object]) -> FoundLayer:
    """State the network's architecture and its hyperparameters."""
    kind = values.get("general.architecture")
    kind = kind if isinstance(kind, str) and kind else None
    attributes = {
        key.removeprefix(f"{kind}.").replace(".", "_"): value
        for key, value in values.items()
        if kind and key.startswith(f"{kind}.") and not isinstance(value, Several)
    }
    return FoundLayer("", kind, attributes=attributes)


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise FormatError("a count in the file is no whole number", seen=_text(value))


def _text(value: object) -> str:
    """Give a value as a short text."""
    if isinstance(value, Several):
        shown = ", ".join(map(_text, value.first))
        return f"{value.count:,} values: {shown[:_MAX_SHOWN]}" if value.count else "no values"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
