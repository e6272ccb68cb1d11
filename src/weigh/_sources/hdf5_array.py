"""One dataset of an HDF5 file: told by its header, and refused where it leads elsewhere."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Values
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_header import compact_place
from weigh._sources.hdf5_texts import Texts
from weigh._sources.hdf5_types import number_type
from weigh._sources.hdf5_values import FLETCHER, GZIP, SHUFFLE, ChunkedValues, Dataset
from weigh._sources.stored import StoredValues, count_of

_MOST_TEXTS, _MOST_FIXED = 4096, 1 << 20


@dataclass(frozen=True, slots=True)
class Array:
    """One dataset of numbers: its values, where they lie, and its header's address."""

    values: Values
    address: int
    offset: int | None
    stored: int


def array_of(
    source: ByteSource, found: Any, path: tuple[str, ...], address: int, texts: Texts
) -> Array:
    """Tell what a dataset is and where its values are, and refuse what leads elsewhere."""
    from h5py import h5d, h5s

    made = found.get_create_plist()
    layout = made.get_layout()
    # Before anything else: asking a virtual dataset for its shape opens other files.
    if layout == h5d.VIRTUAL:
        raise UnsupportedError("its values are in other files")
    if layout == h5d.CONTIGUOUS and made.get_external_count():
        raise UnsupportedError("its values are in another file")
    dtype, big_endian = _type_of(found, address, texts)
    space = found.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise UnsupportedError("it has no values")
    shape = tuple(int(size) for size in space.get_simple_extent_dims())
    if len(shape) > 32:
        raise UnsupportedError("it has too many axes")
    count = count_of(shape)
    offset = found.get_offset() if layout == h5d.CONTIGUOUS else None
    if layout == h5d.COMPACT:
        offset = _compact(source, address, dtype.size_of(count))
    if offset is not None:
        values = StoredValues(source, offset, dtype, shape, big_endian=big_endian)
        return Array(values, address, offset, dtype.size_of(count))
    stored = min(int(found.get_storage_size()), source.size)
    chunk: tuple[int, ...] | None = None
    filters: tuple[int, ...] = ()
    if layout == h5d.CHUNKED:
        chunk = tuple(int(size) for size in made.get_chunk())
        if len(chunk) != len(shape) or not count_of(chunk):
            raise FormatError("the chunks of a dataset have an impossible shape")
        filters = _filters(made)
    dataset = Dataset("/".join(("", *path)), address, stored, big_endian, chunk, filters)
    return Array(ChunkedValues(source, dataset, dtype, shape), address, None, stored)


def _compact(source: ByteSource, address: int, size: int) -> int:
    """Find the values that stand in a dataset's header."""
    try:
        place = compact_place(source, address)
    except struct.error:
        place = None
    if place is None or place[1] < size:
        raise UnsupportedError("its values are not in its header")
    return place[0]


def _type_of(found: Any, address: int, texts: Texts) -> tuple[DType, bool]:
    """Tell a dataset's type; Keras keeps bfloat16 as opaque bytes and says so beside."""
    from h5py import Dataset as Opened
    from h5py import h5t

    kind = found.get_type()
    if kind.get_class() == h5t.OPAQUE and kind.get_size() == 2:
        stated = texts_of(Opened(found), address, "dtype", texts)
        if stated == ["bfloat16"]:
            return DTYPES["bfloat16"], False
    return number_type(kind)


def _filters(made: Any) -> tuple[int, ...]:
    """Give a dataset's filters, and refuse those that are not among the three read here.

    Unknown ones would be looked for as plug-ins.
    """
    filters = tuple(made.get_filter(place)[0] for place in range(made.get_nfilters()))
    unknown = set(filters) - {GZIP, SHUFFLE, FLETCHER}
    if unknown:
        raise UnsupportedError(f"packed by filter {min(unknown)}, which is not read")
    if len(set(filters)) < len(filters):
        raise UnsupportedError("packed more than once")
    return filters


def texts_of(
    here: Any, address: int, name: str, texts: Texts, most: int = 1 << 16
) -> list[str] | None:
    """Read an attribute of one text or several.

    None where there is none of this name, or it is longer than may be; nothing where it is of no
    texts, as an empty list is.

    Args:
        here: the object of h5py's.
        address: where its header is.
        name: the attribute's name.
        texts: reads those of varying length.
        most: the most bytes that one of them may have, or all of them of one length together.
    """
    from h5py import h5a, h5t

    raw = name.encode()
    if not h5a.exists(here.id, raw):
        return None
    found = h5a.open(here.id, raw)
    kind, count = found.get_type(), found.get_space().get_simple_extent_npoints()
    if kind.get_class() != h5t.STRING:
        return []
    if count > _MOST_TEXTS:
        return None
    if kind.is_variable_str():
        return texts.read(address, name, count, most)
    if found.get_storage_size() > max(most, _MOST_FIXED):
        return None
    value = here.attrs[name]
    several = [value] if isinstance(value, str | bytes) else list(value)
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in several
    ]
