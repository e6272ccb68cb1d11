"""Flax's MessagePack (``flax.serialization.to_bytes``): maps of arrays, read in place.

An array is an extension of code 1 that holds a shape, NumPy's name of a type and the values; a
NumPy number is one of code 3 that holds the same. An array of more than 1 GiB is a map of pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, SourceError
from weigh._facts import Facts, FoundTensor, Role
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.joined import JoinedBytes
from weigh._sources.msgpack import Items, Piece, Unpacker, Window, leaves
from weigh._sources.plain_text import plain_text
from weigh._sources.stored import StoredValues, count_of

Path = tuple[str, ...]
_T = TypeVar("_T")

_ARRAY, _COMPLEX, _NUMBER = 1, 2, 3
_CHUNKED = "__msgpack_chunked_array__"
_MAX_AXES, _MAX_NAME, _MAX_NAMES, _NAMED, _MAX_PLAIN = 64, 1 << 12, 1 << 26, 5, 1000

# ml_dtypes keeps numbers of fewer bits in a byte each, so they are not these types of ours.
_DTYPES = {name: dtype for name, dtype in DTYPES.items() if dtype.bits >= 8 and name[0] != "q"}

_COLLECTIONS: Mapping[str, Role] = {
    "params": "parameter", "batch_stats": "buffer", "cache": "buffer", "opt_state": "optimizer",
    "ema_params": "other", "params_ema": "other",
}  # fmt: skip
"""What Flax's collections of variables hold, and those of a training state, by their names."""


@dataclass(frozen=True, slots=True)
class _Array:
    """What an array states, and where its values are."""

    dtype: DType
    shape: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Tree:
    """All that a file holds, by its path; the pieces of a cut array each by its own.

    Attributes:
        arrays: None holds the place of an array in pieces.
        left_out: what is not read: its name and why.
        unread: the bytes of that.
    """

    arrays: dict[Path, _Array | None] = field(default_factory=dict)
    plain: dict[Path, object] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unread: int = 0


def read(source: ByteSource) -> Facts:
    """Read what a file of Flax's states, passing over all values.

    Raises:
        FormatError: it is not MessagePack, or an array in it breaks Flax's rules.
        SourceError: it holds no array that Weigh reads.
    """
    tree = _walk(Window(source))
    for path in [path for path, array in tree.arrays.items() if array is None]:
        tree.arrays[path] = _in_pieces(tree, path)
    has_params = any(path[:1] == ("params",) for path in tree.arrays)
    tensors = [
        _tensor(source, path, array, has_params=has_params)
        for path, array in tree.arrays.items()
        if array is not None
    ]
    if not tensors:
        seen = ", ".join(tree.left_out[:_NAMED])
        raise SourceError("it holds no array that Weigh reads", seen=seen or "no array")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise FormatError("two arrays have one name when their keys are joined by dots")
    stored = sum(length for array in tree.arrays.values() if array for _, length in array.runs)
    metadata = source.size - stored - tree.unread
    return Facts(
        "flax",
        source.name,
        tuple(tensors),
        ordered=False,  # jax sorts the keys of what it maps over
        metadata=_metadata(tree.plain),
        notes=_notes(tree),
        accounts=account(source, tensors, metadata=metadata),
    )


def _walk(window: Window) -> _Tree:
    tree, together = _Tree(), 0
    for path, leaf in leaves(window):
        length = sum(map(len, path)) + len(path)
        together += length  # a key in a path costs the file nothing for each name it is part of
        if length > _MAX_NAME or together > _MAX_NAMES:
            raise FormatError("the file has endless names", seen=repr(_name(path)[:60]))
        if path and path[-1] == _CHUNKED:
            tree.arrays[path[:-1]] = None
        elif isinstance(leaf, Piece):
            _take_piece(tree, window, path, leaf)
        elif leaf is not None:
            tree.plain[path] = leaf
    return tree


def _take_piece(tree: _Tree, window: Window, path: Path, piece: Piece) -> None:
    """Take an array, a complex number, or note what else lies there."""
    why = "bytes" if piece.code is None else f"extension {piece.code}"
    if piece.code in (_ARRAY, _NUMBER):
        try:
            array = _array(window, piece)
        except FormatError as error:
            raise FormatError(f"{_name(path)[:200]!r}: {error.what}", seen=error.seen) from None
        if isinstance(array, _Array):
            tree.arrays[path] = array
            return
        why = f"of type {array}"
    elif piece.code == _COMPLEX:
        tree.plain[path] = _complex(window, piece)
        return
    tree.left_out.append(f"{_name(path)[:200]!r} ({why})")
    tree.unread += piece.length


def _array(window: Window, piece: Piece) -> _Array | str:
    """Read what an array states; of a type that Weigh does not read give the name."""
    inner = Unpacker(window, piece.offset, piece.offset + piece.length)
    if inner.take() != Items(3):
        raise FormatError("an array is not a shape, a type and values")
    shape = _shape(inner)
    stated, values = inner.take(), inner.take()
    inner.end()
    if isinstance(stated, Piece) and stated.code is None and stated.length < 64:
        stated = str(window.view(stated.offset, stated.length), "latin-1")
    if not isinstance(stated, str) or not isinstance(values, Piece) or values.code is not None:
        raise FormatError("an array is not a shape, a type and values")
    dtype = _DTYPES.get(stated)
    if dtype is None:
        return stated[:40]
    needed = dtype.size_of(count_of(shape))
    if needed != values.length:
        raise FormatError(
            "the array has not the size that its shape makes",
            seen=f"{values.length:,} bytes where {needed:,} are needed",
        )
    return _Array(dtype, shape, ((values.offset, values.length),))


def _shape(inner: Unpacker) -> tuple[int, ...]:
    start = inner.take()
    if not isinstance(start, Items) or start.count > _MAX_AXES:
        raise FormatError("an array has no shape")
    return _sizes([inner.take() for _ in range(start.count)])


def _sizes(sizes: list[object]) -> tuple[int, ...]:
    taken = tuple(size for size in sizes if isinstance(size, int) and not isinstance(size, bool))
    if len(taken) < len(sizes) or min(taken, default=0) < 0:
        raise FormatError("a size in an array's shape is no whole number")
    return taken


def _complex(window: Window, piece: Piece) -> complex:
    inner = Unpacker(window, piece.offset, piece.offset + piece.length)
    start, real, imaginary = inner.take(), inner.take(), inner.take()
    inner.end()
    if start != Items(2) or not isinstance(real, float) or not isinstance(imaginary, float):
        raise FormatError("a complex number is not two numbers")
    return complex(real, imaginary)


def _in_pieces(tree: _Tree, path: Path) -> _Array:
    """Put an array together that was cut into pieces."""
    sizes = _numbered(tree.plain, (*path, "shape"))
    pieces = [piece for piece in _numbered(tree.arrays, (*path, "chunks")) if piece is not None]
    shape = _sizes(list(sizes))
    shown = repr(_name(path)[:200])
    if not pieces or len(shape) > _MAX_AXES:
        raise FormatError(f"{shown} is in pieces, and they or its shape are not there")
    dtype = pieces[0].dtype
    if any(piece.dtype != dtype or len(piece.shape) != 1 for piece in pieces):
        raise FormatError(f"the pieces of {shown} do not fit together")
    runs = tuple(run for piece in pieces for run in piece.runs)
    size, needed = sum(length for _, length in runs), dtype.size_of(count_of(shape))
    if size != needed:
        raise FormatError(
            f"the pieces of {shown} have not the size that its shape makes",
            seen=f"{size:,} bytes where {needed:,} are needed",
        )
    return _Array(dtype, shape, runs)


def _numbered(table: dict[Path, _T], path: Path) -> list[_T]:
    """Take what has the numbers 0, 1, 2... below a path, out of the table."""
    taken: list[_T] = []
    while (at := (*path, str(len(taken)))) in table:
        taken.append(table.pop(at))
    return taken


def _tensor(source: ByteSource, path: Path, array: _Array, *, has_params: bool) -> FoundTensor:
    name = _name(path)
    storage = (source.identity, name)
    if len(array.runs) == 1:
        values = StoredValues(source, array.runs[0][0], array.dtype, array.shape, storage=storage)
    else:
        joined = JoinedBytes([(source, *run) for run in array.runs], source.name)
        values = StoredValues(joined, 0, array.dtype, array.shape, storage=storage)
    return FoundTensor(name, values, role=_role(path, has_params=has_params))


def _role(path: Path, *, has_params: bool) -> Role | None:
    """Tell what the collection holds that a path begins with; a state's may hold collections.

    Beside the collection of parameters, others are variables that are not learned, and what is in
    none is not the network's.
    """
    found = _COLLECTIONS.get(path[0]) if path else None
    if found is None and has_params:
        return "buffer" if len(path) > 1 else "other"
    inner = _COLLECTIONS.get(path[1]) if found == "parameter" and len(path) > 1 else None
    return inner or found


def _name(path: Path) -> str:
    return ".".join(path) or "array"


def _metadata(plain: dict[Path, object]) -> dict[str, str]:
    shown = list(plain.items())[:_MAX_PLAIN]
    return {_name(path): plain_text(value) or repr(value) for path, value in shown}


def _notes(tree: _Tree) -> tuple[str, ...]:
    notes = []
    if tree.left_out:
        more = len(tree.left_out) - _NAMED
        end = f" and {more:,} more" if more > 0 else ""
        notes.append(f"Left out: {', '.join(tree.left_out[:_NAMED])}{end}.")
    if len(tree.plain) > _MAX_PLAIN:
        notes.append(f"Of {len(tree.plain):,} plain values, {_MAX_PLAIN:,} are kept.")
    return tuple(notes)
