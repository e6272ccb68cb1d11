"""What PyTorch's pickles mean: which calls make tensors, and from which storage."""

from __future__ import annotations

from weigh._dtypes import DType
from weigh._errors import FormatError, UnsupportedError
from weigh._sources.bytes import ByteSource
from weigh._sources.pickled import MAPPINGS, Call, Persistent
from weigh._sources.pickled_arrays import raw_bytes
from weigh._sources.pickled_tensor import MakeValues, PickledTensor, Unread
from weigh._sources.stored import Affine, contiguous_strides, count_of, span_of
from weigh._sources.tensor_makers import MAKERS
from weigh._sources.torch_storages import Storage, integer, integers, read_storage

_MAX_WRAPPING, _MAX_SHAPES = 8, 10_000


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
        self._raw: dict[int, ByteSource] = {}
        self._depth = 0
        self._shapes: dict[tuple[int, ...], tuple[int, ...]] = {}

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
        maker = MAKERS.get(path)
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

    def raw(self, thing: object) -> ByteSource:
        """Give an array's bytes, once however often they are used."""
        if id(thing) not in self._raw:
            self._raw[id(thing)] = raw_bytes(thing)
        return self._raw[id(thing)]

    def _holds_tensors(self, call: Call) -> bool:
        """Whether a call of something unknown is given a tensor or a storage."""
        if not isinstance(call.arguments, tuple) or call.path in MAPPINGS:
            return False
        given = call.arguments[:16]
        return any(
            isinstance(one, Persistent) or (isinstance(one, Call) and one.path in MAKERS)
            for one in given
        )

    def _place(self, storage: object) -> Storage:
        """Read a storage; PyTorch takes the first mention of it for all."""
        place = read_storage(storage)
        first = self._storages.setdefault(place.key, (place.dtype, place.count))
        if first != (place.dtype, place.count):
            raise FormatError(f"the pickle describes storage {place.key!r} in two ways")
        return place

    def _shared(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Give one tuple for all equal ones: very many tensors have few shapes."""
        known = self._shapes.get(sizes)
        if known is None and len(self._shapes) < _MAX_SHAPES:
            known = self._shapes[sizes] = sizes
        return known or sizes

    def strided(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        dtype: DType | None = None,
        affine: Affine | None = None,
    ) -> PickledTensor:
        place = self._place(storage)
        shape, strides, first = self._shared(integers(size)), integers(stride), integer(offset)
        if len(shape) != len(strides) or min((first, *shape, *strides), default=0) < 0:
            raise FormatError("a tensor's sizes and strides make no tensor")
        kind = dtype or place.dtype
        # Strides of axes without steps are of no account; equal tensors shall be equal.
        usual = contiguous_strides(shape)
        given = zip(shape, strides, usual, strict=True)
        steps = self._shared(tuple(u if n < 2 else s for n, s, u in given))
        _check_part(place, kind, first + span_of(shape, steps) if count_of(shape) else 0)
        values = self._make_values(place, kind, shape, steps, first, affine)
        identity = (place.key, place.offset + first, shape, steps, kind.name)
        return PickledTensor(values, identity)


def _check_part(place: Storage, dtype: DType, stop: int) -> None:
    """Hold that a tensor ends within the part of its storage that it may use."""
    if place.offset and dtype.bits != place.dtype.bits:
        raise FormatError("a tensor is of another type than the view of a storage it lies in")
    if dtype.size_of(stop) > place.bytes_of(place.length):
        raise FormatError(
            "a tensor reaches past the end of its storage",
            seen=f"{place.bytes_of(place.length):,} bytes where {dtype.size_of(stop):,} are needed",
        )
