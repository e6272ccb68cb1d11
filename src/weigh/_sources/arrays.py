"""Reads a mapping of arrays: NumPy's, torch's, and whatever turns into NumPy's."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from weigh._dtypes import DTYPES, DType
from weigh._errors import SourceError, UnsupportedError, ValuesError, WeighError
from weigh._facts import Extent, Facts, FoundTensor, Role
from weigh._index import Region
from weigh._sources.parts import Path, tell_apart
from weigh._sources.stored import distinct_of, refuse_expansion, span_of, too_large
from weigh._sources.torch_values import TorchValues

if TYPE_CHECKING:
    import numpy as np

_NAMED = 5
_DEPTH = 100


class _Storage(NamedTuple):
    """A range of memory that one or more arrays are views of."""

    start: int
    stop: int


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
        self, array: Any, dtype: DType, shape: tuple[int, ...], storage: _Storage | None
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
        first, last = _reach(self._array)
        size = max(self._array.itemsize, 1)
        steps = tuple(abs(stride) for stride in self._array.strides)
        span = span_of(self.shape, steps)
        distinct = min(distinct_of(self.shape, steps), (last - first) // size) if span else 0
        start, stop = self._storage
        return Extent(("memory", start), first - start, last - start, distinct, stop - start)

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
    storage = _Storage(*_reach(_owner(array))) if stored else None
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
    leaves: list[tuple[Path, object]] = []
    left_out: list[tuple[str, object]] = []
    for path, leaf in _leaves(mapping):
        if _is_array(leaf):
            leaves.append((path, leaf))
        else:
            left_out.append((".".join(path), leaf))
    if not leaves:
        raise SourceError(
            "there is no array in this mapping",
            seen=_summary(left_out) or "an empty mapping",
            do="Give names mapped to NumPy arrays or torch tensors.",
        )
    parts = tell_apart(_InMemory(), mapping, leaves)
    arrays = {name: array for name, _, array in parts.rows}
    roles = {name: role for name, role, _ in parts.rows}
    notes = (f"left out, being no array: {_summary(left_out)}",) if left_out else ()
    tensors = tuple(_with_role(tensor, roles[tensor.name]) for tensor in _found(arrays))
    layers = parts.layers(_InMemory(), mapping, _versions)
    return Facts("arrays", location, tensors, layers, notes=(*parts.notes, *notes))


def _versions(thing: object) -> Iterator[str]:
    """Give the paths of layers that a state dict lists, as a pickled one does."""
    versions = getattr(thing, "_metadata", None)
    return (
        (name for name in versions if isinstance(name, str))
        if isinstance(versions, dict)
        else iter(())
    )


class _InMemory:
    """The containers of Python."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        return () if _is_array(thing) else _entries(thing)

    def is_mapping(self, thing: object) -> bool:
        return isinstance(thing, Mapping)

    def is_module(self, _: object) -> bool:
        return False


def _with_role(tensor: FoundTensor, role: Role | None) -> FoundTensor:
    """Say what stands beside the network; a Parameter of the network says it itself."""
    return tensor if role is None else replace(tensor, role=role, learnable=None)


def _leaves(mapping: Mapping[str, object]) -> Iterator[tuple[Path, object]]:
    """Go through nested mappings and lists without recursing; one met in itself ends there."""
    root: object = mapping
    walk: list[tuple[int, Path, Iterator[tuple[str, object]]]] = [(id(root), (), _entries(root))]
    open_now = {id(root)}
    while walk:
        token, path, entries = walk[-1]
        name, value = next(entries, (None, None))
        if name is None:
            walk.pop()
            open_now.discard(token)
        elif not isinstance(value, Mapping | list | tuple) or _is_array(value):
            yield (*path, name), value
        elif id(value) in open_now or len(walk) > _DEPTH:
            raise SourceError("the mapping is nested within itself, or far too deep", seen=name)
        else:
            open_now.add(id(value))
            walk.append((id(value), (*path, name), _entries(value)))


def _entries(container: object) -> Iterator[tuple[str, object]]:
    if isinstance(container, Mapping):
        return ((str(key), value) for key, value in container.items())
    if isinstance(container, list | tuple):
        return ((str(at), value) for at, value in enumerate(container))
    return iter(())


def _is_torch(value: object) -> bool:
    # A torch tensor can only be here if torch is loaded; it must not be loaded to ask.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(value, tensor)


def _is_array(value: object) -> bool:
    if isinstance(value, type):
        return False
    return _is_torch(value) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def _found(arrays: Mapping[str, object]) -> tuple[FoundTensor, ...]:
    """Make the tensors, once it is known which arrays share memory."""
    kept: dict[int, Any] = {}
    for name, array in arrays.items():
        if not _is_torch(array) and id(array) not in kept:
            with _naming(name):
                kept[id(array)] = _held(array)
    storages = _storages({key: array for key, array in kept.items() if _is_numpy(array)})
    found = []
    for name, array in arrays.items():
        with _naming(name):
            if _is_torch(array):
                found.append(_torch_tensor(name, array))
            else:
                held = kept[id(array)]
                found.append(_array_tensor(name, array, held, storages.get(id(array))))
    return tuple(found)


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


def _array_tensor(name: str, given: object, held: Any, storage: _Storage | None) -> FoundTensor:
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


def _is_numpy(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _held(array: Any) -> Any:
    """Keep an array as it is if it tells its shape and dtype; else make it NumPy's now.

    Raises:
        UnsupportedError: its dtype is one Weigh does not read.
        ValuesError: it cannot be made NumPy's.
    """
    held = array
    if _is_numpy(array):
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


def _storages(arrays: Mapping[int, Any]) -> dict[int, _Storage]:
    """Join the memory of arrays whose owners overlap, as views of one array do."""
    ranges = {key: _reach(_owner(array)) for key, array in arrays.items()}
    joined: dict[int, _Storage] = {}
    group: list[int] = []
    start = stop = 0
    for key in sorted(ranges, key=lambda key: ranges[key]):
        low, high = ranges[key]
        if group and low >= stop:
            joined.update(dict.fromkeys(group, _Storage(start, stop)))
            group = []
        if not group:
            start, stop = low, high
        stop = max(stop, high)
        group.append(key)
    joined.update(dict.fromkeys(group, _Storage(start, stop)))
    return joined


def _owner(array: Any) -> Any:
    """Find the array whose memory this one is a view of."""
    while _is_numpy(array.base):
        array = array.base
    return array


def _reach(array: Any) -> tuple[int, int]:
    """Find the first address an array touches, and one past its last."""
    first = int(array.__array_interface__["data"][0])
    if 0 in array.shape:
        return first, first
    last = first + array.itemsize
    for size, stride in zip(array.shape, array.strides, strict=True):
        move = (size - 1) * stride
        first, last = first + min(move, 0), last + max(move, 0)
    return first, last


def _summary(left_out: list[tuple[str, object]]) -> str:
    named = [f"{name!r} ({type(value).__name__})" for name, value in left_out[:_NAMED]]
    more = len(left_out) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
