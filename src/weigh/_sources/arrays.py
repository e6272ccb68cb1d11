"""Reads a mapping of arrays: NumPy's, torch's, and whatever turns into NumPy's."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from weigh._dtypes import DTYPES, DType
from weigh._errors import SourceError, UnsupportedError, ValuesError, WeighError
from weigh._facts import Extent, Facts, FoundTensor, Role
from weigh._index import Region
from weigh._sources.containers import InMemory, is_array, is_torch, leaves
from weigh._sources.memory import Storage, is_numpy, owner, reach, storages_of
from weigh._sources.parts import Path, tell_apart
from weigh._sources.stored import distinct_of, refuse_expansion, span_of, too_large
from weigh._sources.torch_values import TorchValues, torch_dtype

if TYPE_CHECKING:
    import numpy as np

_NAMED = 5


class _Array(NamedTuple):
    """An array as it was given, and as its values are read: NumPy's own where it must be."""

    given: Any
    held: Any


class ArrayValues:
    """The values of a NumPy array, or of an object that becomes one when read.

    Args:
        array: the array; kept, never altered.
        dtype: the type of one value.
        shape: the size of each axis.
        storage: the memory the array is a view of; None while it is not in NumPy's hands.
    """

    __slots__ = ("_array", "_storage", "dtype", "shape")

    def __init__(
        self, array: Any, dtype: DType, shape: tuple[int, ...], storage: Storage | None
    ) -> None:
        self._array, self.dtype, self.shape, self._storage = array, dtype, shape, storage

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype}, {list(self.shape)})"

    def __reduce__(self) -> tuple[object, ...]:
        # A copy lies elsewhere in memory.
        return _copied, (self._array, self.dtype, self.shape, self._storage is not None)

    @property
    def extent(self) -> Extent | None:
        """Where the values lie, in bytes from the first of the shared memory."""
        if self._storage is None:
            return None
        first, last = reach(self._array)
        size = max(self._array.itemsize, 1)
        steps = tuple(abs(stride) for stride in self._array.strides)
        span = span_of(self.shape, steps)
        distinct = min(distinct_of(self.shape, steps), (last - first) // size) if span else 0
        start, stop = self._storage
        return Extent(("memory", start), first - start, last - start, distinct, stop - start)

    def raw(self, start: int, stop: int) -> memoryview | None:
        """Give the bytes of a run of values where they lie; see ``LyingValues.raw``."""
        import numpy as np

        from weigh._decode import decoded_dtype

        array = self._array
        plain = type(array) is np.ndarray and array.dtype.isnative and array.flags.c_contiguous
        if not plain or array.shape != self.shape or array.dtype != decoded_dtype(self.dtype):
            return None
        bytes_ = memoryview(array.reshape(-1).view(np.uint8)).toreadonly()
        return bytes_[start * array.itemsize : stop * array.itemsize]

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region as a new array of ``region.shape``; see ``Values.read``.

        Raises:
            ValuesError: the object gives no array, the region repeats few stored values
                enormously often, or it does not fit in memory.
        """
        import numpy as np

        from weigh._decode import decoded_dtype

        extent = self.extent
        if extent is not None:
            refuse_expansion(region, extent.storage_bytes // max(self._array.itemsize, 1))
        array = np.asarray(self._array) if extent is not None else _as_numpy(self._array)
        if array.shape != self.shape:
            raise ValuesError("its shape changed since it was opened", seen=str(array.shape))
        try:
            return np.array(array[region.slices], decoded_dtype(self.dtype), order="C", copy=True)
        except MemoryError:
            raise too_large() from None


def _copied(array: Any, dtype: DType, shape: tuple[int, ...], stored: bool) -> ArrayValues:  # noqa: FBT001
    storage = Storage(*reach(owner(array))) if stored else None
    return ArrayValues(array, dtype, shape, storage)


def read(mapping: Mapping[str, object], location: str = "mapping") -> Facts:
    """Read what a mapping of names to arrays states; no value is copied or altered.

    Mappings and lists within it are flattened, their keys joined by dots. What is no array
    is left out, with a note.

    Args:
        mapping: names to arrays (NumPy, torch, or with ``__array__`` or ``__dlpack__``).
        location: what to call the mapping in messages.

    Raises:
        SourceError: there is no array in it, or one name for two arrays (a FormatError).
        UnsupportedError: an array's dtype is one Weigh does not read.
    """
    kept, left_out, unread = _sorted_out(mapping)
    if not kept:
        raise _nothing(left_out, unread)
    parts = tell_apart(InMemory(), mapping, kept)
    arrays = {name: array for name, _, array in parts.rows}
    roles = {name: role for name, role, _ in parts.rows}
    notes = [f"left out, being no array: {_summary(left_out)}"] if left_out else []
    if unread:
        sorts = [(name, error.seen) for name, error in unread]
        notes.append(f"left out, being of a sort that is not read: {_summary(sorts)}")
    tensors = tuple(_with_role(tensor, roles[tensor.name]) for tensor in _found(arrays))
    layers = parts.layers(InMemory(), mapping, _versions)
    return Facts("arrays", location, tensors, layers, notes=(*parts.notes, *notes))


def _sorted_out(
    mapping: object,
) -> tuple[list[tuple[Path, _Array]], list[tuple[str, str]], list[tuple[str, UnsupportedError]]]:
    """Give the arrays; what is none, with its class; and those that are not read, with why."""
    held: dict[int, Any] = {}
    kept: list[tuple[Path, _Array]] = []
    left_out: list[tuple[str, str]] = []
    unread: list[tuple[str, UnsupportedError]] = []
    for path, leaf in leaves(mapping):
        name = ".".join(path)
        if not is_array(leaf):
            left_out.append((name, type(leaf).__name__))
            continue
        try:
            if id(leaf) not in held:
                with _naming(name):
                    held[id(leaf)] = _readable(leaf) if is_torch(leaf) else _held(leaf)
        except UnsupportedError as error:
            unread.append((name, error))
        else:
            kept.append((path, _Array(leaf, held[id(leaf)])))
    return kept, left_out, unread


def _readable(tensor: Any) -> Any:
    """Give a torch tensor back.

    Raises:
        UnsupportedError: a checkpoint that holds such a one is not read in whole either.
    """
    torch = sys.modules["torch"]
    if tensor.is_nested or tensor.layout is not torch.strided:
        sort = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
        raise UnsupportedError("a tensor of a sort that Weigh does not read", seen=sort)
    torch_dtype(tensor)
    return tensor


def _nothing(
    left_out: list[tuple[str, str]], unread: list[tuple[str, UnsupportedError]]
) -> SourceError:
    if unread:
        return unread[0][1]
    return SourceError(
        "there is no array in this mapping",
        seen=_summary(left_out) or "an empty mapping",
        do="Give names mapped to NumPy arrays or torch tensors.",
    )


def _versions(thing: object) -> Iterator[str]:
    """Give the paths of layers that a state dict lists, as a pickled one does."""
    versions = getattr(thing, "_metadata", None)
    return (
        (name for name in versions if isinstance(name, str))
        if isinstance(versions, dict)
        else iter(())
    )


def _with_role(tensor: FoundTensor, role: Role | None) -> FoundTensor:
    """Say what stands beside the network; a Parameter of the network says it itself."""
    return tensor if role is None else replace(tensor, role=role, learnable=None)


def _found(arrays: Mapping[str, _Array]) -> tuple[FoundTensor, ...]:
    """Make the tensors, once it is known which arrays share memory."""
    storages = storages_of({id(a.given): a.held for a in arrays.values() if is_numpy(a.held)})
    return tuple(
        _torch_tensor(name, array.given)
        if is_torch(array.given)
        else _array_tensor(name, array.given, array.held, storages.get(id(array.given)))
        for name, array in arrays.items()
    )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the entry in an error about it."""
    try:
        yield
    except WeighError as error:
        what = f"entry {name!r}: {error.what}"
        raise type(error)(what, seen=error.seen, do=error.do) from None


def _torch_tensor(name: str, tensor: Any) -> FoundTensor:
    values = TorchValues(tensor)
    is_parameter = isinstance(tensor, sys.modules["torch"].nn.Parameter)
    extent, shape = values.extent, values.shape
    return FoundTensor(
        name,
        values,
        role="parameter" if is_parameter else None,
        learnable=bool(tensor.requires_grad) if is_parameter else None,
        identity=_identity(tensor, extent, (shape, _strides_of(tensor), values.dtype.name)),
    )


def _array_tensor(name: str, given: object, held: Any, storage: Storage | None) -> FoundTensor:
    shape = tuple(int(size) for size in held.shape)
    values = ArrayValues(held, _known_dtype(held), shape, storage)
    strides = held.strides if storage is not None else None
    form = (shape, strides, str(held.dtype))
    return FoundTensor(name, values, identity=_identity(given, values.extent, form))


def _identity(given: object, extent: Extent | None, form: tuple[object, ...]) -> Hashable:
    """Two views of the very same values are one tensor, though they be two objects."""
    if extent is None or extent.start == extent.stop:
        return ("object", id(given))
    return (extent.storage, extent.start, *form)


def _strides_of(tensor: Any) -> tuple[int, ...] | None:
    try:
        return tuple(map(int, tensor.stride()))
    except (RuntimeError, NotImplementedError, ValueError):
        return None


def _held(array: Any) -> Any:
    """Keep an array as it is if it tells its shape and dtype; else make it NumPy's now.

    Raises:
        UnsupportedError: its dtype is one Weigh does not read.
        ValuesError: it cannot be made NumPy's.
    """
    held = array
    if is_numpy(array):
        held = sys.modules["numpy"].asarray(array)  # a subclass may index in its own way
    else:
        try:
            tuple(int(size) for size in array.shape)
            _dtype_name(array)
        except (AttributeError, TypeError, ValueError):
            held = _as_numpy(array)
    _known_dtype(held)
    return held


def _as_numpy(array: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    try:
        if hasattr(array, "__array__"):
            return np.asarray(array)
        return np.from_dlpack(array)
    except Exception as error:  # it is code of another library, which may raise anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValuesError("it cannot be turned into a NumPy array", seen=reason[:200]) from None


def _dtype_name(array: Any) -> str:
    """Give the dtype's bare name, whether it is NumPy's, ``torch.int8`` or a text."""
    dtype = array.dtype
    name = getattr(dtype, "name", None)
    return str(name if isinstance(name, str) else dtype).rpartition(".")[2]


def _known_dtype(array: Any) -> DType:
    name = _dtype_name(array)
    if name not in DTYPES:
        raise UnsupportedError(
            "an array has a dtype that Weigh does not read",
            seen=str(array.dtype),
            do="Leave it out, or convert it to numbers.",
        )
    return DTYPES[name]


def _summary(left_out: list[tuple[str, str]]) -> str:
    named = [f"{name!r} ({sort})" for name, sort in left_out[:_NAMED]]
    more = len(left_out) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
