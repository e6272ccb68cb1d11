"""The attributes of an ONNX node: numbers, texts and lists of them."""

from __future__ import annotations

import struct

from weigh._sources.onnx_graphs import Node, Span
from weigh._sources.protobuf import BYTES, FIXED32, VARINT, Walker, signed

_MOST_ATTRIBUTES = 1000

Attribute = int | float | str | tuple[int | float | str, ...]


def attributes(walk: Walker, node: Node) -> dict[str, Attribute]:
    """Read a node's attributes: numbers, texts and lists of them; all else is left out."""
    found: dict[str, Attribute] = {}
    for place in node.spans[:_MOST_ATTRIBUTES]:
        name, value = _attribute(walk, place)
        if name and value is not None:
            found[name] = value
    return found


def _attribute(walk: Walker, place: Span) -> tuple[str, Attribute | None]:
    name, kind = "", 0
    single: dict[int, Attribute] = {}
    lists: dict[int, list[int | float | str]] = {7: [], 8: [], 9: []}
    for each in walk.fields(*place):
        number, wire, first, last, value = each
        if number == 1 and wire == BYTES:
            name = walk.text(first, last)
        elif number == 20 and wire == VARINT:
            kind = value
        elif number == 2 and wire == FIXED32:
            single[1] = _float(value)
        elif number == 3 and wire == VARINT:
            single[2] = signed(value)
        elif number == 4 and wire == BYTES and last - first <= 4096:
            single[3] = _text(walk, first, last)
        elif number == 8 and wire in (VARINT, BYTES) and last - first <= 4096:
            lists[8] += map(signed, walk.numbers(each))
        elif number == 7 and wire in (FIXED32, BYTES) and last - first <= 4096:
            data = walk.bytes(first, last)
            lists[7] += [_float(n) for (n,) in struct.iter_unpack("<I", data[: len(data) // 4 * 4])]
        elif number == 9 and wire == BYTES and last - first <= 4096:
            lists[9].append(_text(walk, first, last))
    if kind in single:
        return name, single[kind]
    listed = {6: 7, 7: 8, 8: 9}.get(kind)
    return name, tuple(lists[listed]) if listed else None


def _text(walk: Walker, first: int, last: int) -> str:
    return walk.bytes(first, last).decode("utf-8", "backslashreplace")


def _float(bits: int) -> float:
    """Give the shortest decimal number that 32 bits stand for.

    Examples:
        >>> _float(0x3727C5AC)
        1e-05
    """
    value = float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if abs(short) < 3.4e38 and struct.pack("<f", short) == bits.to_bytes(4, "little"):
            return short
    return value
