"""Storages, sizes and dtypes, as PyTorch's pickles state them."""

from __future__ import annotations

from dataclasses import dataclass

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, UnsupportedError
from weigh._sources.pickled import Call, Global, Persistent

_MAX_AXES, _MAX_KEY = 64, 100

STORAGE_DTYPES: dict[str, str] = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "UntypedStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    # No classes of PyTorch's in Python; its code in C++ calls them so, as in TorchScript.
    "ComplexHalfStorage": "complex32",
    "UInt16Storage": "uint16",
    "UInt32Storage": "uint32",
    "UInt64Storage": "uint64",
    **{f"{name.capitalize()}Storage": name for name in DTYPES if name.startswith("float8_")},
}
"""The dtype of each class of storage that a checkpoint names."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of values kept outside the pickle.

    Attributes:
        key: its name in the archive.
        dtype: the type that its class states; tensors over an untyped one state their own.
        count: how many values it holds, as PyTorch counts: two packed 4-bit values are one.
        offset: where the part begins that a tensor may use (a legacy view), in values.
        length: how many values that part has.
    """

    key: str
    dtype: DType
    count: int
    offset: int
    length: int

    def bytes_of(self, count: int) -> int:
        """Give the bytes that ``count`` of its values take."""
        return count * max(self.dtype.bits // 8, 1)

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.bytes_of(self.count)


def class_outside(thing: object) -> str | None:
    """Give the name of a class that a legacy file keeps with its source text, outside the pickle.

    Such an id is ``('module', class, source file, source)``.
    """
    pid = thing.pid if isinstance(thing, Persistent) else None
    if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
        return pid[1].path if isinstance(pid[1], Global) else "of some class"
    return None


def read_storage(thing: object) -> Storage:
    """Read a persistent id: ``('storage', class, key, device, count[, view])``.

    Raises:
        FormatError: it is none.
        UnsupportedError: it is of a class that is not known.
    """
    pid = thing.pid if isinstance(thing, Persistent) else None
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise FormatError("the pickle refers to something outside it that is no storage")
    _, kind, key, _, count, *view = pid
    name = STORAGE_DTYPES.get(kind.name) if isinstance(kind, Global) else None
    if name is None:
        seen = kind.path if isinstance(kind, Global) else type(kind).__name__
        raise UnsupportedError("a storage of a class that Weigh does not know", seen=seen)
    if not isinstance(key, str | int) or isinstance(key, bool) or integer(count) < 0:
        raise FormatError("the pickle has a storage without a proper key and count")
    # Keys are text, but some writers use whole numbers.
    text = str(integer(key) if isinstance(key, int) else key)
    if len(text) > _MAX_KEY:
        raise FormatError("the pickle has a storage with an endless key", seen=text[:_MAX_KEY])
    offset, length = 0, integer(count)
    if view and isinstance(view[0], tuple) and len(view[0]) == 3:
        offset, length = integer(view[0][1]), integer(view[0][2])
    if min(offset, length) < 0 or offset + length > integer(count):
        raise FormatError("a view of a storage reaches past its end")
    return Storage(text, DTYPES[name], integer(count), offset, length)


def integer(thing: object) -> int:
    """Take a whole number.

    Raises:
        FormatError: it is none.
    """
    if isinstance(thing, int) and not isinstance(thing, bool) and abs(thing) < 1 << 63:
        return thing
    raise FormatError("a tensor's size, stride or offset is no whole number")


def integers(thing: object) -> tuple[int, ...]:
    """Take a tuple of whole numbers; torch.Size is one.

    Raises:
        FormatError: it is none.
    """
    if isinstance(thing, Call) and thing.path == "torch.Size":
        arguments = thing.arguments if isinstance(thing.arguments, tuple) else ()
        thing = arguments[0] if len(arguments) == 1 else ()
    if not isinstance(thing, tuple | list) or len(thing) > _MAX_AXES:
        raise FormatError("a tensor's sizes or strides are no tuple")
    return tuple(integer(part) for part in thing)


def dtype_named(thing: object) -> DType:
    """Take ``torch.float8_e4m3fn`` and the like.

    Raises:
        FormatError: it is no dtype.
        UnsupportedError: it is one that Weigh does not know.
    """
    if not isinstance(thing, Global) or thing.module != "torch":
        raise FormatError("a tensor has something for a dtype that is none")
    if thing.name not in DTYPES:
        raise UnsupportedError(thing.path)
    return DTYPES[thing.name]
