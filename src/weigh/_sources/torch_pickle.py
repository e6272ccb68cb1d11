"""What PyTorch's pickles mean: which calls make tensors, and from which storage."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Role, Values
from weigh._sources.bytes import MemoryBytes
from weigh._sources.derived_values import MetaValues, PerChannelValues, TurnedValues
from weigh._sources.numpy_types import numpy_type
from weigh._sources.pickled import Call, Global, Pairs, Persistent
from weigh._sources.stored import Affine, StoredValues, contiguous_strides, count_of, span_of

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

_PAIRS = "float4_e2m1fn_x2"
"""PyTorch counts a byte of two 4-bit floats as one element; Weigh counts the two values."""

_DISTRIBUTED = ("torch.distributed.tensor.DTensor", "torch.distributed._tensor.api.DTensor")
_WRAPPED = "torch._utils._rebuild_wrapper_subclass"
_MAX_WRAPPING, _MAX_AXES, _MAX_KEY = 8, 64, 100


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


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor that a pickle describes.

    Attributes:
        values: its dtype, shape and numbers.
        identity: equal for two names of one tensor.
        requires_grad: as the pickle says; a state dict says False of everything.
        parameter: whether it was pickled as a Parameter.
        quantization: how stored values map to real ones, as PyTorch prints it.
        wrapper: the class of a tensor subclass that held it.
        slot: the role that it has in the module that holds it.
        packed: whether that module keeps it packed.
    """

    values: Values
    identity: Hashable
    requires_grad: bool = False
    parameter: bool = False
    quantization: str | None = None
    wrapper: str = ""
    slot: Role | None = None
    packed: bool = False


MakeValues = Callable[
    [Storage, DType, tuple[int, ...], tuple[int, ...], int, Affine | None], Values
]
"""Makes the values of a tensor from its storage, dtype, shape, strides, offset and scales."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What looks like a tensor but is of a sort that Weigh does not read.

    Attributes:
        maker: what would make it, and why it is not read.
    """

    maker: str


class TensorReader:
    """Reads the tensors among a pickle's calls.

    Args:
        make_values: gives the values of a place in a storage.

    Raises:
        FormatError: see ``read``.
    """

    def __init__(self, make_values: MakeValues) -> None:
        self._make_values = make_values
        self._read: dict[int, PickledTensor | Unread] = {}
        self._storages: dict[str, tuple[DType, int]] = {}
        self._raw: dict[int, bytes] = {}
        self._depth = 0

    def read(self, thing: object) -> PickledTensor | Unread | None:
        """Give the tensor that a pickled object stands for; None if it stands for none.

        The pickle must stay alive as long as its reader: objects are told apart by identity.

        Raises:
            FormatError: its arguments make no tensor, or it does not lie in its storage.
        """
        if not isinstance(thing, Call):
            return None
        made = self._read.get(id(thing))
        if made is None:
            made = self.make(thing)
            if made is not None:
                self._read[id(thing)] = made
        return made

    def make(self, call: Call) -> PickledTensor | Unread | None:
        """Do what ``read`` does, for a call that need not be part of the pickle."""
        path = call.path
        maker = _MAKERS.get(path)
        if maker is None:
            known = path.startswith(("torch._utils._rebuild", "torch._tensor._rebuild"))
            return Unread(path) if known or self._holds_tensors(call) else None
        if not isinstance(call.arguments, tuple) or self._depth > _MAX_WRAPPING:
            raise FormatError(f"{path} is called without arguments, or within itself too often")
        self._depth += 1
        try:
            return maker(self, call, call.arguments)
        except UnsupportedError as error:
            return Unread(f"{path} ({error})")
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError):
            raise FormatError(f"{path} is called with arguments that make no tensor") from None
        finally:
            self._depth -= 1

    def tensor(self, thing: object) -> PickledTensor:
        """Give the tensor that another is made from.

        Raises:
            FormatError: it is none.
            UnsupportedError: it is of a sort that is not read.
        """
        made = self.read(thing)
        if isinstance(made, Unread):
            raise UnsupportedError(made.maker)
        if made is None:
            raise FormatError("a tensor is made from something that is none")
        return made

    def raw(self, thing: object) -> bytes:
        """Take an array's bytes, once however often they are used."""
        if id(thing) not in self._raw:
            self._raw[id(thing)] = raw_bytes(thing)
        return self._raw[id(thing)]

    def _holds_tensors(self, call: Call) -> bool:
        """Whether a call of something unknown is given a tensor or a storage."""
        if not isinstance(call.arguments, tuple) or call.path in _MAPPINGS:
            return False
        given = call.arguments[:16]
        return any(
            isinstance(one, Persistent) or (isinstance(one, Call) and one.path in _MAKERS)
            for one in given
        )

    def _place(self, storage: object) -> Storage:
        """Read a storage; PyTorch takes the first mention of it for all."""
        place = read_storage(storage)
        first = self._storages.setdefault(place.key, (place.dtype, place.count))
        if first != (place.dtype, place.count):
            raise FormatError(f"the pickle describes storage {place.key!r} in two ways")
        return place

    def _strided(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        dtype: DType | None = None,
        affine: Affine | None = None,
    ) -> PickledTensor:
        place = self._place(storage)
        shape, strides, first = integers(size), integers(stride), integer(offset)
        if len(shape) != len(strides) or min((first, *shape, *strides), default=0) < 0:
            raise FormatError("a tensor's sizes and strides make no tensor")
        kind = dtype or place.dtype
        # Strides of axes without steps are of no account; equal tensors shall be equal.
        usual = contiguous_strides(shape)
        steps = tuple(u if n < 2 else s for n, s, u in zip(shape, strides, usual, strict=True))
        _check_part(place, kind, first + span_of(shape, steps) if count_of(shape) else 0)
        values = self._make_values(place, kind, shape, steps, first, affine)
        identity = (place.key, place.offset + first, shape, steps, kind.name)
        return PickledTensor(values, identity)


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


def _check_part(place: Storage, dtype: DType, stop: int) -> None:
    """Hold that a tensor ends within the part of its storage that it may use."""
    if place.offset and dtype.bits != place.dtype.bits:
        raise FormatError("a tensor is of another type than the view of a storage it lies in")
    if dtype.size_of(stop) > place.bytes_of(place.length):
        raise FormatError(
            "a tensor reaches past the end of its storage",
            seen=f"{place.bytes_of(place.length):,} bytes where {dtype.size_of(stop):,} are needed",
        )


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


def _tensor(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    made = _turned(reader._strided(*a[:4]), a[6:7])
    return replace(made, requires_grad=True) if len(a) > 4 and a[4] is True else made


def _tensor_v3(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    if isinstance(a[6], Global) and a[6].path == f"torch.{_PAIRS}":
        made = reader._strided(a[0], *_unpaired(a[1], a[2], a[3]), DTYPES["float4_e2m1fn"])
    else:
        made = reader._strided(a[0], a[1], a[2], a[3], dtype=dtype_named(a[6]))
    made = _turned(made, a[7:8])
    return replace(made, requires_grad=True) if a[4] is True else made


def _unpaired(
    offset: object, size: object, stride: object
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Count in 4-bit values what is counted in pairs of them along the last axis.

    Raises:
        UnsupportedError: the pairs of a row are apart.
    """
    shape, strides = integers(size) or (1,), integers(stride) or (1,)
    if strides[-1] != 1 and shape[-1] > 1:
        raise UnsupportedError("pairs of 4-bit values that are apart")
    return (
        2 * integer(offset),
        (*shape[:-1], 2 * shape[-1]),
        (*(2 * step for step in strides[:-1]), 1),
    )


def _turned(made: PickledTensor, metadata: tuple[Any, ...]) -> PickledTensor:
    """Heed the flags that a tensor carries instead of changed values."""
    pairs = pairs_of(metadata[0]) if metadata else None
    flags = {key for key, value in pairs or () if isinstance(key, str) and value is True}
    if not flags & {"conj", "neg"}:
        return made
    values = TurnedValues(made.values, "conj" in flags, "neg" in flags)
    return replace(made, values=values, identity=(made.identity, "conj" in flags, "neg" in flags))


def _parameter(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    return replace(reader.tensor(a[0]), parameter=True, requires_grad=a[1] is True)


def _from_cpu(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    """``_rebuild_device_tensor_from_cpu_tensor(tensor, dtype, device, requires_grad)``."""
    inner = reader.tensor(a[0])
    if dtype_named(a[1]) != inner.values.dtype:
        raise UnsupportedError("it changes the dtype")
    return replace(inner, requires_grad=a[3] is True)


def _lazy(_reader: TensorReader, call: Call, a: tuple[Any, ...]) -> PickledTensor:
    """A parameter or buffer of a lazy layer that has not seen its first input."""
    parameter = call.path.endswith("Parameter")
    values = MetaValues(DTYPES["float32"], None)
    return PickledTensor(values, ("lazy", id(a)), a[0] is True, parameter=parameter)


def _quantized(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    scheme, *numbers = a[4]
    name = scheme.path
    if name == "torch.per_tensor_affine":
        scale, zero = float(numbers[0]), integer(numbers[1])
        affine = Affine((scale,), (float(zero),))
        text = f"quantization_scheme={name}, scale={scale}, zero_point={zero}"
        return replace(reader._strided(a[0], a[1], a[2], a[3], affine=affine), quantization=text)
    made = reader._strided(a[0], a[1], a[2], a[3])
    scales, zeros = (reader.tensor(thing).values for thing in numbers[:2])
    axis = integer(numbers[2])
    # PyTorch writes one name for two schemes, and tells them apart by the zero points.
    name += "_float_qparams" if zeros.dtype.family == "float" else ""
    return replace(
        made,
        values=PerChannelValues(made.values, scales, zeros, axis),
        quantization=f"quantization_scheme={name}, axis={axis}",
    )


def _subclass(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    """``_rebuild_from_type_v2(function, class, arguments, state)``: a tensor in other clothes."""
    named = a[1].path if isinstance(a[1], Global) else ""
    if named in _DISTRIBUTED and isinstance(a[0], Global) and a[0].path == _WRAPPED:
        return _local(reader, named, a)
    inner = reader.make(Call(a[0], a[2]))
    if not isinstance(inner, PickledTensor):
        raise UnsupportedError(inner.maker if inner else named)
    plain = named in ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")
    return replace(
        inner,
        parameter=inner.parameter or named.endswith("nn.parameter.Parameter"),
        wrapper="" if plain else named,
    )


def _local(reader: TensorReader, named: str, a: tuple[Any, ...]) -> PickledTensor:
    """A DTensor of FSDP2 and the like, of which the file has what its process held."""
    # Its class has slots: the state is a pair.
    states = a[3] if isinstance(a[3], tuple) else (a[3],)
    pairs = [pair for state in states for pair in pairs_of(state) or ()]
    held = [value for key, value in pairs if key == "_local_tensor"]
    if len(held) != 1:
        raise UnsupportedError(f"{named} without its local tensor")
    inner = reader.tensor(held[0])
    part = integers(a[2][2]) != inner.values.shape
    wrapper = f"{named}, of which this file has one process's part" if part else named
    learns = inner.requires_grad or a[2][7] is True
    return replace(inner, requires_grad=learns, wrapper=wrapper)


def _meta(_reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    values = MetaValues(dtype_named(a[0]), integers(a[1]))
    count_of(values.shape or ())
    # The call may be a passing one; its arguments are the pickle's own.
    return PickledTensor(values, ("meta", id(a)), requires_grad=a[3] is True)


def _array(reader: TensorReader, call: Call, _: tuple[Any, ...]) -> PickledTensor:
    """A NumPy array, whose state holds shape, dtype and bytes."""
    if len(call.states) != 1:
        raise FormatError("a NumPy array has no state")
    state: Any = call.states[0]
    _, size, kind, fortran, raw = state
    return _of_bytes(reader, raw, kind, size, columns_first=fortran is True)


def _buffer(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
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
    source = MemoryBytes(reader.raw(raw))
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


def raw_bytes(thing: object) -> bytes:
    """Take an array's bytes, which protocol 2 writes as ``_codecs.encode(text, 'latin1')``.

    Raises:
        FormatError: there are none.
    """
    if isinstance(thing, Call) and thing.path == "_codecs.encode":
        thing = thing.arguments[0] if isinstance(thing.arguments, tuple) else None
    if isinstance(thing, str):
        return thing.encode("latin-1")
    if isinstance(thing, bytes | memoryview):
        return bytes(thing)
    raise FormatError("a NumPy array has no bytes")


_MAKERS: dict[str, Callable[[TensorReader, Call, tuple[Any, ...]], PickledTensor]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _from_cpu,
    "torch.nn.parameter.UninitializedParameter": _lazy,
    "torch.nn.parameter.UninitializedBuffer": _lazy,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._tensor._rebuild_from_type": _subclass,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.numeric._frombuffer": _buffer,
    "numpy._core.numeric._frombuffer": _buffer,
}


def pairs_of(thing: object) -> Sequence[tuple[object, object]] | None:
    """Give a mapping's pairs: of a dict, or of a call that makes an ordered or default one."""
    if isinstance(thing, Pairs):
        return thing.pairs
    if isinstance(thing, Call) and thing.path in _MAPPINGS:
        given = thing.arguments[0] if isinstance(thing.arguments, tuple) and thing.arguments else ()
        if isinstance(given, list) and given:
            # Looked at once, however often the mapping is mentioned.
            if not all(isinstance(part, tuple | list) and len(part) == 2 for part in given):
                raise FormatError("the pickle makes a mapping of what are no pairs")
            thing.pairs = [*((part[0], part[1]) for part in given), *thing.pairs]
            thing.arguments = ()
        return thing.pairs
    return None


_MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")
