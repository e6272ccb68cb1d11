"""The messages in the header of an object of an HDF5 file, found without libhdf5.

The layout is that of the HDF5 File Format Specification, section IV.A. What is spoiled ends the
walk: the caller then lacks what it looked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from weigh._sources.bytes import ByteSource

OLD_FILL, FILL, LAYOUT, ATTRIBUTE = 0x04, 0x05, 0x08, 0x0C
_CONTINUATION, _SHARED = 0x10, 0x02
_OLD_MESSAGE, _NEW_MESSAGE = struct.Struct("<HHB3x"), struct.Struct("<BHB")
_CONTINUED = struct.Struct("<QQ")
_MOST_BLOCKS, _MOST_BLOCK = 256, 1 << 20


class Message(NamedTuple):
    """One message.

    Attributes:
        kind: its number.
        place: where its body begins in the file.
        body: its bytes.
    """

    kind: int
    place: int
    body: bytes


def messages(source: ByteSource, address: int) -> Iterator[Message]:
    """Go through the messages that stand in an object's own header; shared ones are left out.

    Raises:
        FormatError: a block lies outside of the file.
        struct.error: one ends early.
    """
    head = bytes(source.view(address, min(64, max(source.size - address, 0))))
    old = head[:1] == b"\x01"
    if old:
        ordered = False
        blocks = [(address + 16, struct.unpack_from("<I", head, 8)[0])]
    elif head[:5] == b"OHDR\x02":
        flags = head[5]
        ordered = bool(flags & 4)
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[at : at + width], "little")
        blocks = [(address + at + width, size)]
    else:
        return
    for _ in range(_MOST_BLOCKS):
        if not blocks or blocks[0][1] > _MOST_BLOCK:
            return
        start, size = blocks.pop(0)
        block = bytes(source.view(start, size))
        if not old and block[:4] == b"OCHK":
            block, start = block[4:-4], start + 4
        for message in _in_block(block, start, old=old, ordered=ordered):
            if message.kind == _CONTINUATION:
                blocks.append(_CONTINUED.unpack_from(message.body))
            else:
                yield message


def _in_block(block: bytes, start: int, *, old: bool, ordered: bool) -> Iterator[Message]:
    at, width = 0, 8 if old else 6 if ordered else 4
    while at + width <= len(block):
        kind, size, flags = (_OLD_MESSAGE if old else _NEW_MESSAGE).unpack_from(block, at)
        at += width
        if not flags & _SHARED and at + size <= len(block):
            yield Message(kind, start + at, block[at : at + size])
        at += size


def compact_place(source: ByteSource, address: int) -> tuple[int, int] | None:
    """Find where the values lie that stand in a dataset's header, and their bytes."""
    for message in messages(source, address):
        if message.kind != LAYOUT or len(message.body) < 4:
            continue
        body, place = message.body, message.place
        if body[0] in (3, 4) and body[1] == 0:
            return place + 4, struct.unpack_from("<H", body, 2)[0]
        if body[0] in (1, 2) and body[2] == 0:
            at = 8 + 4 * body[1]
            return place + at + 4, struct.unpack_from("<I", body, at)[0]
    return None


def fill_bytes(source: ByteSource, address: int) -> bytes:
    """Give the bytes of what fills a dataset where nothing was written; none are zeros."""
    found = b""
    for kind, _, body in messages(source, address):
        if kind == OLD_FILL and not found:
            found = _sized(body, 0)
        elif kind == FILL and body[:1] == b"\3":
            found = _sized(body, 2) if body[1] & 0x20 else b""
        elif kind == FILL:
            found = _sized(body, 4) if body[3:4] == b"\1" else b""
    return found


def _sized(body: bytes, at: int) -> bytes:
    size = struct.unpack_from("<I", body, at)[0]
    return body[at + 4 : at + 4 + size]
