"""The types of number in an HDF5 file, told by their bits and not by their names."""

from __future__ import annotations

from typing import Any

from weigh._dtypes import DTYPES, DType
from weigh._errors import UnsupportedError

# Size in bytes; where the sign is, then place and size of exponent and mantissa; the bias.
_FLOATS = {
    (2, (15, 10, 5, 0, 10), 15): "float16",
    (2, (15, 7, 8, 0, 7), 127): "bfloat16",
    (4, (31, 23, 8, 0, 23), 127): "float32",
    (8, (63, 52, 11, 0, 52), 1023): "float64",
}


def number_type(kind: Any) -> tuple[DType, bool]:
    """Tell a type of h5py's, and whether its most significant byte comes first.

    Raises:
        UnsupportedError: it is of text, references, lists, records, or numbers that Weigh lacks.
    """
    from h5py import h5t

    family = kind.get_class()
    if family == h5t.INTEGER:
        bits = 8 * kind.get_size()
        name = f"{'int' if kind.get_sign() == h5t.SGN_2 else 'uint'}{bits}"
        if name in DTYPES and kind.get_precision() == bits:
            return DTYPES[name], _big_endian(kind)
    elif family == h5t.FLOAT:
        found = _FLOATS.get((kind.get_size(), tuple(kind.get_fields()), kind.get_ebias()))
        if found is not None and kind.get_norm() == h5t.NORM_IMPLIED:
            return DTYPES[found], _big_endian(kind)
    elif family == h5t.ENUM and _is_bool(kind):
        return DTYPES["bool"], False
    words = {
        h5t.STRING: "text",
        h5t.REFERENCE: "references",
        h5t.VLEN: "lists of varying length",
        h5t.COMPOUND: "records",
        h5t.OPAQUE: "opaque bytes",
    }
    raise UnsupportedError(words.get(family, "a type that Weigh does not know"))


def _big_endian(kind: Any) -> bool:
    from h5py import h5t

    order = kind.get_order()
    if kind.get_size() > 1 and order not in (h5t.ORDER_LE, h5t.ORDER_BE):
        raise UnsupportedError("bytes in an order that Weigh does not know")
    return bool(order == h5t.ORDER_BE)


def _is_bool(kind: Any) -> bool:
    """Whether it is h5py's own way to store truth values."""
    if kind.get_size() != 1 or kind.get_nmembers() != 2:
        return False
    names = [kind.get_member_name(place) for place in range(2)]
    values = [kind.get_member_value(place) for place in range(2)]
    return names == [b"FALSE", b"TRUE"] and values == [0, 1]
