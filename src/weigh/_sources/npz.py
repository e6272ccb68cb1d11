"""NumPy's files: ``.npy``, one array, and ``.npz``, a zip archive of them.

The format of an array is NumPy's ``numpy.lib.format``: a header that is a Python literal, read
here by its few words and never evaluated. Arrays of objects are pickles, and are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from weigh._dtypes import DType
from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Accounts, Facts, FoundTensor
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.inflated import InflatedBytes
from weigh._sources.numpy_types import numpy_type
from weigh._sources.part import Part
from weigh._sources.stored import StoredValues, contiguous_strides, count_of
from weigh._sources.zips import STORED, Member, expect_offsets, read_directory, stored_offset

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 1 << 16
_MAX_AXES = 64
_MAX_ARRAYS = 1 << 16
_NAMED = 5
_PAIR = re.compile(
    r"'(descr|fortran_order|shape)': *"
    r"('[^'\\]{1,40}'|\[.*\]|True|False|\((?:[0-9, ]|(?<=[0-9])L(?=[,)]))*\)),? *"
)


@dataclass(frozen=True, slots=True)
class _Array:
    """What the header of an array states.

    Attributes:
        begin: the byte at which its values begin.
    """

    dtype: DType
    shape: tuple[int, ...]
    big_endian: bool
    columns_first: bool
    begin: int


def read_npy(source: ByteSource) -> Facts:
    """Read what a ``.npy`` file states.

    Raises:
        FormatError: its header breaks the rules, or it has another size than it makes.
        UnsupportedError: it is of objects, texts or records.
    """
    try:
        array = _header(source)
    except UnsupportedError as error:
        raise UnsupportedError("an array of what is not read", seen=error.what) from None
    name = re.split(r"[/\\]", source.name)[-1].removesuffix(".npy") or "array"
    tensors = (FoundTensor(name, _values(source, array, 0, source.size)),)
    accounts = account(source, tensors, metadata=array.begin)
    return Facts("npy", source.name, tensors, accounts=accounts)


def read(source: ByteSource) -> Facts:
    """Read what a ``.npz`` archive states.

    Raises:
        FormatError: the archive or an array's header breaks the rules.
        SourceError: it holds no array that Weigh reads.
    """
    tensors: list[FoundTensor] = []
    left_out: list[str] = []
    metadata, packed, rest = source.size, 0, 0
    members = read_directory(source)
    if len(members) > _MAX_ARRAYS:
        raise FormatError(f"the archive has over {_MAX_ARRAYS:,} members", seen=f"{len(members):,}")
    expect_offsets(source, members.values())
    for member in members.values():
        name = member.name.removesuffix(".npy")
        if name == member.name:
            continue  # a file of another kind, such as a description
        try:
            values, begin = _member(source, member)
        except UnsupportedError as error:
            left_out.append(f"{name!r} ({error.what})")
            rest, metadata = rest + member.packed, metadata - member.packed
            continue
        except FormatError as error:
            raise FormatError(f"{name[:200]!r}: {error.what}", seen=error.seen) from None
        packed += member.packed if member.method != STORED else 0
        metadata -= member.packed - (0 if member.method != STORED else begin)
        tensors.append(FoundTensor(name, values))
    if not tensors:
        raise SourceError(
            "it holds no array that Weigh reads", seen=", ".join(left_out[:_NAMED]) or "no array"
        )
    stored = account(source, tensors, metadata=metadata)
    more = f" and {len(left_out) - _NAMED:,} more" if len(left_out) > _NAMED else ""
    return Facts(
        "npz",
        source.name,
        tuple(tensors),
        notes=(f"Left out: {', '.join(left_out[:_NAMED])}{more}.",) if left_out else (),
        accounts=Accounts(source.size, stored.tensors + packed, metadata, 0, rest),
    )


def _member(source: ByteSource, member: Member) -> tuple[StoredValues, int]:
    """Give an array's values, and the length of its header."""
    if member.method != STORED:
        inflated = InflatedBytes(source, member)
        array = _header(inflated)
        return _values(inflated, array, 0, member.size), array.begin
    offset = stored_offset(source, member)
    array = _header(Part(source, offset, member.size))
    return _values(source, array, offset, member.size, member.name), array.begin


def _header(source: ByteSource) -> _Array:
    start = bytes(source.view(0, min(source.size, 12)))
    if not start.startswith(MAGIC) or len(start) < 12:
        raise FormatError("the array has no header of NumPy's", seen=repr(start[:8]))
    major = start[6]
    if major not in (1, 2, 3):
        raise FormatError("the array's header is of an unknown version", seen=str(major))
    begin = 10 if major == 1 else 12
    length = int.from_bytes(start[8:begin], "little")
    if length > min(_MAX_HEADER, source.size - begin):
        raise FormatError("the array's header has an impossible length", seen=f"{length:,}")
    text = bytes(source.view(begin, length)).decode("utf-8" if major == 3 else "latin-1", "replace")
    dtype, big_endian, columns_first, shape = _words(text)
    return _Array(dtype, shape, big_endian, columns_first, begin + length)


def _words(text: str) -> tuple[DType, bool, bool, tuple[int, ...]]:
    """Read ``{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }``."""
    inner = text.strip()
    pairs = dict(_PAIR.findall(inner))
    left = _PAIR.sub("", inner)
    if left != "{}" or len(pairs) != 3 or len(_PAIR.findall(inner)) != 3:
        raise FormatError("the array's header is not NumPy's", seen=repr(inner[:60]))
    descr, order, sizes = pairs["descr"], pairs["fortran_order"], pairs["shape"]
    if descr.startswith("["):
        raise UnsupportedError("an array of records")
    code = descr.strip("'")
    if not descr.startswith("'") or order not in ("True", "False") or not sizes.startswith("("):
        raise FormatError("the array's header is not NumPy's", seen=repr(inner[:60]))
    # Python 2 wrote 3L for 3.
    numbers = [part.removesuffix("L") for part in sizes[1:-1].replace(" ", "").split(",") if part]
    if len(numbers) > _MAX_AXES or any(len(number) > 19 for number in numbers):
        raise FormatError("the array's header states an impossible shape", seen=sizes[:60])
    shape = tuple(map(int, numbers))
    count_of(shape)
    return numpy_type(code.lstrip("<>|=")), code.startswith(">"), order == "True", shape


def _values(
    source: ByteSource, array: _Array, offset: int, size: int, name: str | None = None
) -> StoredValues:
    """Place an array's values, which must fill its file to the end."""
    needed = array.dtype.size_of(count_of(array.shape))
    if array.begin + needed != size:
        raise FormatError(
            "the array has not the size that its shape makes",
            seen=f"{size - array.begin:,} bytes where {needed:,} are needed",
            do="It may be cut short: fetch it again." if size < array.begin + needed else "",
        )
    strides = None
    if array.columns_first:
        strides = tuple(reversed(contiguous_strides(tuple(reversed(array.shape)))))
    return StoredValues(
        source,
        offset + array.begin,
        array.dtype,
        array.shape,
        strides=strides,
        big_endian=array.big_endian,
        storage=(source.identity, name),
    )
