"""ONNX's TensorProto: its name, dtype and shape, and where its values lie.

Values lie inside the file as raw bytes or as lists of numbers, or in a file beside it
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and docs/ExternalData.md there). The
lists hold narrow types in wide numbers: a float16 as the number that its 16 bits make.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Values
from weigh._sources.bytes import ByteSource, MemoryBytes
from weigh._sources.onnx_outside import MissingValues, Outside
from weigh._sources.protobuf import BYTES, VARINT, Field, Walker, signed, wrong_type
from weigh._sources.stored import StoredValues, count_of
from weigh._sources.varint_values import VarintValues

STRING = "string"
_NAMES = (
    "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", STRING, "bool",
    "float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "uint4", "int4",
    "float4_e2m1fn", "float8_e8m0fnu", "uint2", "int2", "float6_e2m3fn", "float6_e3m2fn",
)  # fmt: skip
"""The dtypes by their numbers in the format."""

_FLOATS, _INT32S, _INT64S, _DOUBLES, _UINT64S, _RAW = 4, 5, 7, 10, 11, 9
_LISTS: dict[str, int] = {
    "float32": _FLOATS, "complex64": _FLOATS, "float64": _DOUBLES, "complex128": _DOUBLES,
    "int64": _INT64S, "uint32": _UINT64S, "uint64": _UINT64S,
}  # fmt: skip
"""Which list holds a dtype; that of 32-bit numbers holds all others."""

_MOST_AXES = 1000
_MOST_LOOSE = 100_000


@dataclass(slots=True)
class TensorProto:
    """One tensor as the file states it.

    Attributes:
        name: its own name; may be "".
        dtype: the name of its dtype, ``"string"`` and those included that are not read.
        shape: the size of each axis.
        raw: the range of the file that holds its values as raw bytes.
        packed: by list, the ranges of the file that hold its numbers one after the other.
        loose: by list, numbers each in a field of its own.
        outside: what it says of the file that holds its values, if another one does.
    """

    name: str = ""
    dtype: str = "undefined"
    shape: tuple[int, ...] = ()
    raw: tuple[int, int] | None = None
    packed: dict[int, list[tuple[int, int]]] | None = None
    loose: dict[int, list[int]] | None = None
    outside: dict[str, str] | None = None


def tensor_at(walk: Walker, start: int, stop: int) -> TensorProto:
    """Read what a TensorProto states; its values are not touched.

    Raises:
        FormatError: it breaks the format's rules.
        UnsupportedError: it is split in segments, or has very many loose numbers.
    """
    found, shape, beside = TensorProto(), list[int](), dict[str, str]()
    is_outside = False
    for each in walk.fields(start, stop):
        number, wire, first, last, value = each
        if number == 1:
            shape += map(signed, walk.numbers(each, _MOST_AXES))
        elif number == 2:
            found.dtype = _dtype_name(expect(each, VARINT)[4])
        elif number == 8:
            expect(each, BYTES)
            found.name = walk.text(first, last)
        elif number == _RAW:
            expect(each, BYTES)
            found.raw = (first, last)
        elif number == 13:
            key, text = pair_at(walk, expect(each, BYTES))
            beside[key] = text
        elif number == 14:
            is_outside = expect(each, VARINT)[4] == 1
        elif number in (_FLOATS, _INT32S, _INT64S, _DOUBLES, _UINT64S):
            _note_list(found, number, wire, first, last, value)
        elif number == 3:
            raise UnsupportedError("a tensor is split in segments, which Weigh does not read")
        if len(shape) > _MOST_AXES:
            raise FormatError(f"a tensor has more than {_MOST_AXES:,} axes")
    if found.dtype == "undefined":
        raise FormatError("a tensor has no dtype", seen=repr(found.name[:100]))
    found.shape = tuple(shape)
    found.outside = beside if is_outside else None
    return found


def expect(each: Field, wire: int) -> Field:
    """Give a field back if it has a wire type.

    Raises:
        FormatError: it has another.
    """
    if each[1] != wire:
        raise wrong_type(each)
    return each


def pair_at(walk: Walker, each: Field) -> tuple[str, str]:
    """Read a StringStringEntryProto: a key and its text; a very long one is cut."""
    key = text = ""
    for number, _, first, last, _ in walk.fields(each[2], each[3]):
        if number == 1:
            key = walk.text(first, last)
        elif number == 2:
            text = walk.text(first, last) if last - first <= 4096 else f"({last - first:,} bytes)"
    return key, text


def _note_list(
    found: TensorProto, number: int, wire: int, first: int, last: int, value: int
) -> None:
    if wire == BYTES:
        found.packed = {} if found.packed is None else found.packed
        found.packed.setdefault(number, []).append((first, last))
        return
    if last - first != {_FLOATS: 4, _DOUBLES: 8}.get(number, last - first) or (
        (wire == VARINT) == (number in (_FLOATS, _DOUBLES))
    ):
        raise wrong_type((number, wire, first, last, value))
    found.loose = {} if found.loose is None else found.loose
    numbers = found.loose.setdefault(number, [])
    numbers.append(value)
    if len(numbers) > _MOST_LOOSE:
        raise UnsupportedError(f"a tensor has over {_MOST_LOOSE:,} numbers that are not packed")


def _dtype_name(number: int) -> str:
    if not 0 < number < len(_NAMES):
        raise FormatError("a tensor has a dtype the format does not have", seen=str(number))
    return _NAMES[number]


def values_of(tensor: TensorProto, source: ByteSource, outside: Outside) -> tuple[Values, Hashable]:
    """Find the values of a tensor, unread, and what tells it from every other.

    Raises:
        FormatError: there are not as many as its shape says, or they lie out of bounds.
    """
    try:
        dtype = DTYPES[tensor.dtype]
        size = dtype.size_of(count_of(tensor.shape))
        if tensor.outside is not None:
            return _outside_values(tensor, tensor.outside, dtype, size, outside)
        if tensor.raw is not None:
            return _inside_values(source, tensor.raw, dtype, tensor.shape, size)
        return _listed_values(tensor, source, dtype, size)
    except (FormatError, UnsupportedError) as error:
        what = f"tensor {tensor.name[:200]!r}: {error.what}"
        raise type(error)(what, seen=error.seen, do=error.do) from None


def _inside_values(
    source: ByteSource, place: tuple[int, int], dtype: DType, shape: tuple[int, ...], size: int
) -> tuple[Values, Hashable]:
    start, stop = place
    if stop - start != size:
        raise FormatError(
            "it has not the size its shape and dtype make",
            seen=f"{stop - start:,} bytes where {size:,} are needed",
        )
    return StoredValues(source, start, dtype, shape), (source.identity, start)


def _outside_values(
    tensor: TensorProto, stated: dict[str, str], dtype: DType, size: int, outside: Outside
) -> tuple[Values, Hashable]:
    location = stated.get("location")
    if not location:
        raise FormatError("it does not say which file holds its values")
    offset = _whole(stated.get("offset", "0"))
    length = _whole(stated["length"]) if "length" in stated else size
    if length != size:
        raise FormatError(
            "it has not the size its shape and dtype make",
            seen=f"{length:,} bytes in {location[:100]!r} where {size:,} are needed",
        )
    file = outside.file(location)
    if file is None:
        return MissingValues(dtype, tensor.shape, location), None
    values = StoredValues(file, offset, dtype, tensor.shape)
    return values, (file.identity, offset, size, dtype.name, tensor.shape)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise FormatError("a place in another file is no whole number", seen=repr(text[:40]))
    return int(text)


def _listed_values(
    tensor: TensorProto, source: ByteSource, dtype: DType, size: int
) -> tuple[Values, Hashable]:
    """Find values in the list that holds their dtype."""
    number = _LISTS.get(dtype.name, _INT32S)
    places, loose = (tensor.packed or {}).get(number, []), (tensor.loose or {}).get(number)
    if places and loose:
        raise UnsupportedError("a tensor's numbers are packed in part")
    if loose is not None:
        width = {_FLOATS: 4, _DOUBLES: 8}.get(number) or max(dtype.bits, 8) // 8
        data = b"".join((value % (1 << 8 * width)).to_bytes(width, "little") for value in loose)
        made = MemoryBytes(data)
        return _inside_values(made, (0, len(data)), dtype, tensor.shape, size)
    if not places and size:
        raise FormatError("it has no values", do="They may be in a file that was left behind.")
    if number in (_FLOATS, _DOUBLES):
        if len(places) > 1:
            raise UnsupportedError("a tensor's numbers are in several pieces")
        place = places[0] if places else (0, 0)
        return _inside_values(source, place, dtype, tensor.shape, size)
    where = (source.identity, places[0][0]) if places else None
    return VarintValues(source, tuple(places), dtype, tensor.shape), where
