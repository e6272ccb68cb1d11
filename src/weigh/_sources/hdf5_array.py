"""One dataset of an HDF5 file: told by its header, and refused where it leads elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import UnsupportedError
from weigh._facts import Values
from weigh._sources.bytes import ByteSource
from weigh._sources.hdf5_types import number_type
from weigh._sources.hdf5_values import ChunkedValues, Dataset
from weigh._sources.stored import StoredValues, count_of

_GZIP, _SHUFFLE, _FLETCHER, _LZF = 1, 2, 3, 32000
_MOST_TEXTS = 2048


@dataclass(frozen=True, slots=True)
class Array:
    """One dataset of numbers: its values, where they lie, and its header's address."""

    values: Values
    address: int
    offset: int | None
    stored: int


def array_of(source: ByteSource, found: Any, path: Path, address: int) -> Array:
    """Tell what a dataset is and where its values are, and refuse what leads elsewhere."""
    from h5py import h5d, h5s

    made = found.get_create_plist()
    layout = made.get_layout()
    # Before anything else: asking a virtual dataset for its shape opens other files.
    if layout == h5d.VIRTUAL:
        raise UnsupportedError("its values are in other files")
    if layout == h5d.CONTIGUOUS and made.get_external_count():
        raise UnsupportedError("its values are in another file")
    dtype, big_endian = _type_of(found)
    space = found.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise UnsupportedError("it has no values")
    shape = tuple(int(size) for size in space.get_simple_extent_dims())
    if len(shape) > 32:
        raise UnsupportedError("it has too many axes")
    count = count_of(shape)
    offset = found.get_offset() if layout == h5d.CONTIGUOUS else None
    if offset is not None:
        values = StoredValues(source, offset, dtype, shape, big_endian=big_endian)
        return Array(values, address, offset, dtype.size_of(count))
    stored = min(int(found.get_storage_size()), source.size)
    chunk, packed = 0, False
    if layout == h5d.CHUNKED:
        chunk = dtype.size_of(count_of(tuple(int(size) for size in made.get_chunk())))
        packed = _check_filters(made)
    dataset = Dataset("/".join(("", *path)), address, stored, chunk, packed)
    return Array(ChunkedValues(source, dataset, dtype, shape), address, None, stored)


def _type_of(found: Any) -> tuple[DType, bool]:
    """Tell a dataset's type; Keras keeps bfloat16 as opaque bytes and says so beside."""
    from h5py import Dataset as Opened
    from h5py import h5t

    kind = found.get_type()
    if kind.get_class() == h5t.OPAQUE and kind.get_size() == 2:
        stated = texts_of(Opened(found), "dtype", most=64)
        if stated == ["bfloat16"]:
            return DTYPES["bfloat16"], False
    return number_type(kind)


def _check_filters(made: Any) -> bool:
    """Refuse every filter that is not among a few; tell whether one is gzip.

    Unknown ones would be looked for as plug-ins; those for lossy packing trust their parameters.
    """
    filters = [made.get_filter(place)[0] for place in range(made.get_nfilters())]
    unknown = set(filters) - {_GZIP, _SHUFFLE, _FLETCHER, _LZF}
    if unknown:
        raise UnsupportedError(f"packed by filter {min(unknown)}, which is not read")
    if not {_GZIP, _LZF} & set(filters):
        return False
    packers = [one for one in filters if one in (_GZIP, _LZF)]
    if len(packers) > 1 or set(filters[filters.index(packers[0]) + 1 :]) - {_FLETCHER}:
        raise UnsupportedError("packed more than once")
    return packers == [_GZIP]


def texts_of(here: Any, name: str, *, most: int) -> list[str] | None:
    """Read an attribute of one text or several; None where there is none of this name."""
    from h5py import h5a, h5t

    raw = name.encode()
    if not h5a.exists(here.id, raw):
        return None
    found = h5a.open(here.id, raw)
    kind, count = found.get_type(), found.get_space().get_simple_extent_npoints()
    if kind.get_class() != h5t.STRING or count > _MOST_TEXTS:
        return [] if not count or kind.get_class() != h5t.STRING else None
    if not kind.is_variable_str() and found.get_storage_size() > most:
        return None
    try:
        value = here.attrs[name]
    except OSError:  # longer than may be
        return None
    several = [value] if isinstance(value, str | bytes) else list(value)
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in several
    ]
