"""NumPy's arrays in a pickle, whose values are the pickle's own bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weigh._dtypes import DType
from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, MemoryBytes
from weigh._sources.long_values import LongText
from weigh._sources.numpy_types import numpy_type
from weigh._sources.part import Part
from weigh._sources.pickled import Call
from weigh._sources.pickled_tensor import PickledTensor
from weigh._sources.stored import StoredValues, contiguous_strides
from weigh._sources.torch_storages import integers

if TYPE_CHECKING:
    from weigh._sources.torch_pickle import TensorReader


def array(reader: TensorReader, call: Call, _: tuple[Any, ...]) -> PickledTensor:
    """A NumPy array, whose state holds shape, dtype and bytes."""
    if len(call.states) != 1:
        raise FormatError("a NumPy array has no state")
    state: Any = call.states[0]
    _, size, kind, fortran, raw = state
    return _of_bytes(reader, raw, kind, size, columns_first=fortran is True)


def array_of_buffer(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    """A NumPy array of protocol 5: ``_frombuffer(bytes, dtype, shape, order)``."""
    return _of_bytes(reader, a[0], a[1], a[2], columns_first=a[3] == "F")


def _of_bytes(
    reader: TensorReader, raw: object, kind: object, size: object, *, columns_first: bool
) -> PickledTensor:
    dtype, big_endian = numpy_dtype(kind)
    shape = integers(size)
    strides = contiguous_strides(shape)
    if columns_first:
        strides = tuple(reversed(contiguous_strides(tuple(reversed(shape)))))
    source = reader.raw(raw)
    values = StoredValues(source, 0, dtype, shape, strides=strides, big_endian=big_endian)
    return PickledTensor(values, ("array", id(raw), shape, strides))


def numpy_dtype(thing: object) -> tuple[DType, bool]:
    """Read a pickled ``numpy.dtype``: the type, and whether it is big-endian.

    Raises:
        FormatError: it is none.
        UnsupportedError: it is of objects, text, dates or records.
    """
    if not isinstance(thing, Call) or thing.path != "numpy.dtype":
        raise FormatError("a NumPy array has no dtype")
    code = thing.arguments[0]  # type: ignore[index]
    if not isinstance(code, str):
        raise FormatError("a NumPy array has no dtype")
    state = thing.states[0] if thing.states else (3, "<")
    return numpy_type(code), isinstance(state, tuple) and state[1] == ">"


def raw_bytes(thing: object) -> ByteSource:
    """Give an array's bytes, which protocol 2 writes as ``_codecs.encode(text, 'latin1')``.

    Raises:
        FormatError: there are none.
    """
    if isinstance(thing, Call) and thing.path == "_codecs.encode":
        thing = thing.arguments[0] if isinstance(thing.arguments, tuple) else None
    if isinstance(thing, LongText | Part):
        return thing
    if isinstance(thing, str):
        return MemoryBytes(thing.encode("latin-1"))
    if isinstance(thing, bytes):
        return MemoryBytes(thing)
    raise FormatError("a NumPy array has no bytes")
