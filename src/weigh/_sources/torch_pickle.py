"""What PyTorch's pickles mean: which calls make tensors, and from which storage."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, ValuesError
from weigh._facts import Extent, Values
from weigh._index import Region
from weigh._sources.bytes import MemoryBytes
from weigh._sources.pickles import Call, Global, Pairs, Persistent
from weigh._sources.stored import Affine, StoredValues, contiguous_strides

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
}
"""The dtype of each class of storage that a checkpoint names."""

_NUMPY_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}
_MAX_SCALES = 1 << 20
_MAX_WRAPPING = 8


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of values kept outside the pickle.

    Attributes:
        key: its name in the archive.
        dtype: the type that its class states; tensors over an untyped one state their own.
        count: how many values it holds.
        offset: where it begins within another storage (a legacy view), in values.
    """

    key: str
    dtype: DType
    count: int
    offset: int = 0


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
    """

    values: Values
    identity: Hashable
    requires_grad: bool = False
    parameter: bool = False
    quantization: str | None = None
    wrapper: str = ""


MakeValues = Callable[
    [Storage, DType, tuple[int, ...], tuple[int, ...], int, Affine | None], Values
]
"""Makes the values of a tensor from its storage, dtype, shape, strides, offset and scales."""


@dataclass(frozen=True, slots=True)
class MetaValues:
    """A tensor saved from the meta device: a shape without values."""

    dtype: DType
    shape: tuple[int, ...]

    @property
    def extent(self) -> Extent | None:
        """None: it lies nowhere."""
        return None

    def read(self, region: Region) -> Any:  # noqa: ARG002
        """Refuse.

        Raises:
            ValuesError: always.
        """
        raise ValuesError("it was saved from the meta device, so it has a shape but no values")


class TensorReader:
    """Reads the tensors among a pickle's calls.

    Args:
        make_values: gives the values of a place in a storage.

    Attributes:
        unread: what looked like a tensor but could not be read: name of the maker to count.
    """

    def __init__(self, make_values: MakeValues) -> None:
        self._make_values = make_values
        self.unread: dict[str, int] = {}
        self._depth = 0

    def read(self, thing: object) -> PickledTensor | None:
        """Give the tensor that a pickled object stands for; None if it stands for none.

        Raises:
            FormatError: its arguments make no tensor, or it does not lie in its storage.
        """
        if not isinstance(thing, Call):
            return None
        path = thing.path
        maker = _MAKERS.get(path)
        if maker is not None:
            arguments = thing.arguments
            if not isinstance(arguments, tuple):
                raise FormatError(f"{path} is called without arguments")
            if self._depth > _MAX_WRAPPING:
                raise FormatError(f"{path} is called within itself too often")
            self._depth += 1
            try:
                return maker(self, thing, arguments)
            except (ValueError, TypeError, IndexError, AttributeError, OverflowError):
                raise FormatError(f"{path} is called with arguments that make no tensor") from None
            finally:
                self._depth -= 1
        if path.startswith(("torch._utils._rebuild", "torch._tensor._rebuild")):
            self.unread[path] = self.unread.get(path, 0) + 1
        return None

    def _strided(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        dtype: DType | None = None,
        affine: Affine | None = None,
    ) -> PickledTensor:
        place = read_storage(storage)
        shape, strides, first = integers(size), integers(stride), integer(offset)
        if len(shape) != len(strides) or min((first, *shape, *strides), default=0) < 0:
            raise FormatError("a tensor's sizes and strides make no tensor")
        kind = dtype or place.dtype
        # Strides of axes without steps are of no account; equal tensors shall be equal.
        usual = contiguous_strides(shape)
        steps = tuple(u if n < 2 else s for n, s, u in zip(shape, strides, usual, strict=True))
        values = self._make_values(place, kind, shape, steps, first, affine)
        identity = (place.key, place.offset + first, shape, steps, kind.name)
        return PickledTensor(values, identity)


def read_storage(thing: object) -> Storage:
    """Read a persistent id: ``('storage', class, key, device, count[, view])``.

    Raises:
        FormatError: it is none, or of a class that is not known.
    """
    pid = thing.pid if isinstance(thing, Persistent) else None
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise FormatError("the pickle refers to something outside it that is no storage")
    _, kind, key, _, count, *view = pid
    name = STORAGE_DTYPES.get(kind.name) if isinstance(kind, Global) else None
    if name is None:
        seen = kind.path if isinstance(kind, Global) else type(kind).__name__
        raise FormatError("the pickle has a storage of an unknown class", seen=seen)
    offset = 0
    if view and isinstance(view[0], tuple) and len(view[0]) == 3:
        offset, count = integer(view[0][1]), integer(view[0][2])
    # Keys are text, but some writers use whole numbers.
    if not isinstance(key, str | int) or min(integer(count), offset) < 0:
        raise FormatError("the pickle has a storage without a proper key and count")
    return Storage(str(key), DTYPES[name], integer(count), offset)


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
    if not isinstance(thing, tuple | list) or len(thing) > 4096:
        raise FormatError("a tensor's sizes or strides are no tuple")
    return tuple(integer(part) for part in thing)


def dtype_named(thing: object) -> DType:
    """Take ``torch.float8_e4m3fn`` and the like.

    Raises:
        FormatError: it is no dtype that Weigh knows.
    """
    if isinstance(thing, Global) and thing.module == "torch" and thing.name in DTYPES:
        return DTYPES[thing.name]
    seen = thing.path if isinstance(thing, Global) else type(thing).__name__
    raise FormatError("a tensor has a dtype that Weigh does not read", seen=seen)


def _tensor(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    made = reader._strided(*a[:4])
    return replace(made, requires_grad=a[4] is True) if len(a) > 4 else made


def _tensor_v3(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    made = reader._strided(a[0], a[1], a[2], a[3], dtype=dtype_named(a[6]))
    return replace(made, requires_grad=a[4] is True)


def _parameter(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor | None:
    inner = reader.read(a[0])
    return inner and replace(inner, parameter=True, requires_grad=a[1] is True)


def _quantized(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor:
    scheme, *numbers = a[4]
    name = scheme.path
    if name == "torch.per_tensor_affine":
        scale, zero = float(numbers[0]), integer(numbers[1])
        affine = Affine((scale,), (float(zero),))
        text = f"quantization_scheme={name}, scale={scale}, zero_point={zero}"
    else:
        scales, zeros = (_list(reader, thing) for thing in numbers[:2])
        axis = integer(numbers[2])
        affine = Affine(tuple(scales), tuple(zeros), axis)
        text = f"quantization_scheme={name}, axis={axis}"
    made = reader._strided(a[0], a[1], a[2], a[3], affine=affine)
    return replace(made, quantization=text)


def _list(reader: TensorReader, thing: object) -> list[float]:
    """Read the few numbers of a small tensor."""
    inner = reader.read(thing)
    if inner is None or inner.values.shape is None or len(inner.values.shape) != 1:
        raise FormatError("a quantized tensor's scales are no list of numbers")
    if inner.values.shape[0] > _MAX_SCALES:
        raise FormatError("a quantized tensor has too many scales", seen=str(inner.values.shape[0]))
    return [float(x) for x in inner.values.read(Region.whole(inner.values.shape))]


def _subclass(reader: TensorReader, _: Call, a: tuple[Any, ...]) -> PickledTensor | None:
    """``_rebuild_from_type_v2(function, class, arguments, state)``: a tensor in other clothes."""
    inner = reader.read(Call(a[0], a[2]))
    named = a[1].path if isinstance(a[1], Global) else ""
    plain = named in ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")
    return inner and replace(
        inner,
        parameter=inner.parameter or named.endswith("nn.parameter.Parameter"),
        wrapper="" if plain else named,
    )


def _meta(_reader: TensorReader, call: Call, a: tuple[Any, ...]) -> PickledTensor:
    values = MetaValues(dtype_named(a[0]), integers(a[1]))
    # Counts the values in checked arithmetic.
    contiguous_strides(values.shape)
    return PickledTensor(values, id(call), requires_grad=a[3] is True)


def _array(_reader: TensorReader, call: Call, _: tuple[Any, ...]) -> PickledTensor | None:
    """A NumPy array, whose state holds shape, dtype and bytes."""
    if len(call.states) != 1:
        return None
    state: Any = call.states[0]
    _, size, kind, fortran, raw = state
    dtype, big_endian = _numpy_dtype(kind)
    data = _raw(raw)
    shape = integers(size)
    strides = contiguous_strides(shape)
    if fortran is True:
        strides = tuple(reversed(contiguous_strides(tuple(reversed(shape)))))
    source = MemoryBytes(data)
    values = StoredValues(source, 0, dtype, shape, strides=strides, big_endian=big_endian)
    return PickledTensor(values, id(call))


def _numpy_dtype(thing: object) -> tuple[DType, bool]:
    if not isinstance(thing, Call) or thing.path != "numpy.dtype":
        raise FormatError("a NumPy array has no dtype")
    code = str(thing.arguments[0])  # type: ignore[index]
    state = thing.states[0] if thing.states else (3, "<")
    family = _NUMPY_KINDS.get(code[:1], "")
    name = "bool" if family == "bool" else f"{family}{8 * int(code[1:] or 0)}"
    if name not in DTYPES:
        raise FormatError("a NumPy array has a dtype that Weigh does not read", seen=code[:20])
    return DTYPES[name], isinstance(state, tuple) and state[1] == ">"


def _raw(thing: object) -> bytes:
    """Take an array's bytes, which protocol 2 writes as ``_codecs.encode(text, 'latin1')``."""
    if isinstance(thing, Call) and thing.path == "_codecs.encode":
        text = thing.arguments[0] if isinstance(thing.arguments, tuple) else ""
        return str(text).encode("latin-1")
    if isinstance(thing, str):
        return thing.encode("latin-1")
    if isinstance(thing, bytes | memoryview):
        return bytes(thing)
    raise FormatError("a NumPy array has no bytes")


_MAKERS: dict[str, Callable[[TensorReader, Call, tuple[Any, ...]], PickledTensor | None]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type_v2": _subclass,
    "torch._tensor._rebuild_from_type": _subclass,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
}


def pairs_of(thing: object) -> Sequence[tuple[object, object]] | None:
    """Give a mapping's pairs: of a dict, or of a call that makes an ordered or default one."""
    if isinstance(thing, Pairs):
        return thing.pairs
    if isinstance(thing, Call) and thing.path in _MAPPINGS:
        given = thing.arguments[0] if isinstance(thing.arguments, tuple) and thing.arguments else ()
        first = [tuple(p) for p in given if len(p) == 2] if _is_listing(given) else []
        return [*first, *thing.pairs] if first else thing.pairs
    return None


_MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")


def _is_listing(thing: object) -> bool:
    return isinstance(thing, list) and all(isinstance(part, tuple | list) for part in thing)
