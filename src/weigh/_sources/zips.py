"""The directory of a zip archive, read strictly: what two readers could disagree on is refused.

The rules are those of the zip specification (APPNOTE.TXT) narrowed to what a checkpoint's writer
makes: one archive that fills the file, its members stored, none encrypted. Only the end of the
file and the directory are read.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, expect
from weigh._sources.part import Part

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_TAIL = _END.size + (1 << 16) - 1
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF
_MAX_DIRECTORY = 1 << 24
_EXTRA = 256  # as much as an extra field, and the header of an array in it, mostly take
_LATER, _LATER_SIZES = 0x8, (12, 16, 20, 24)
"""The flag, and the possible sizes, of a record after a member that states its sizes."""

STORED, _DEFLATED = 0, 8
LOCAL_HEADER = _LOCAL.size
"""The bytes before a member's name."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the archive.

    Attributes:
        name: its path in the archive.
        size: its bytes when unpacked.
        packed: its bytes in the archive.
        method: how it is packed; 0 is not at all.
        header: where its local header begins.
        stop: where the next member's header begins, or the directory.
        crc: the CRC-32 of its bytes when unpacked.
    """

    name: str
    size: int
    packed: int
    method: int
    header: int
    stop: int = 0
    crc: int = 0


def read_directory(source: ByteSource) -> dict[str, Member]:
    """List an archive's members by name, in the directory's order.

    Raises:
        FormatError: the archive is cut short or damaged, or two readers could see different
            things in it: something stands before, between or after its parts, a name comes
            twice, a member is encrypted, members overlap.
    """
    start, length, count = _find_directory(source)
    entries = list(_entries(bytes(source.view(start, length)), count))
    # Some readers, PyTorch's among them, look names up without regard to case.
    names = {entry.name.lower() for entry in entries}
    if len(names) < len(entries):
        raise FormatError("the archive has two members of one name", seen=_twice(entries))
    places = _stops(entries, start)
    members = {e.name: replace(e, stop=places[e.header]) for e in entries}
    if entries:
        _check_last(source, max(members.values(), key=lambda m: m.header))
    elif start:
        raise FormatError("something stands before the empty zip archive")
    return members


def _twice(entries: list[Member]) -> str:
    counts = Counter(entry.name.lower() for entry in entries)
    return repr(next(name for name, count in counts.items() if count > 1)[:100])


def data_offset(source: ByteSource, member: Member) -> int:
    """Find where a member's bytes begin, by its local header, which must agree.

    Raises:
        FormatError: the local header is not there, or differs from the directory.
    """
    # The header and the name that it must have, in one piece.
    expected = member.name.encode()
    piece = bytes(source.view(member.header, _LOCAL.size + len(expected)))
    head = _LOCAL.unpack_from(piece)
    mark, _, flags, method, *_, packed, size, name_length, extra_length = head
    agree = piece[_LOCAL.size :] == expected and name_length == len(expected)
    shown = member.name[:100]
    if mark != b"PK\x03\x04" or not agree or method != member.method:
        raise FormatError(f"the archive's directory and its member {shown!r} disagree")
    if flags & _ENCRYPTED:
        raise FormatError(f"the archive's member {shown!r} is encrypted")
    at = member.header + _LOCAL.size + int(name_length)
    if _FULL32 in (size, packed):
        extra = bytes(source.view(at, extra_length))
        # A local header states both sizes, or a later record does (flag 8).
        size, packed, _ = _wide(extra, size, packed, 0)
    unstated = bool(flags & _LATER) and {size, packed} <= {0, _FULL32}
    if (size, packed) != (member.size, member.packed) and not unstated:
        raise FormatError(f"the archive states two sizes for its member {shown!r}")
    at += int(extra_length)
    if at + member.packed > member.stop:
        raise FormatError(f"the archive's member {shown!r} reaches into what follows it")
    return at


def expect_offsets(source: ByteSource, members: Iterable[Member]) -> None:
    """Say that the local headers of these members will be looked at, each by ``data_offset``."""
    ends = ((m, m.header + _LOCAL.size + len(m.name.encode()) + _EXTRA) for m in members)
    expect(source, [(m.header, min(end, m.stop)) for m, end in ends])


def _check_last(source: ByteSource, member: Member) -> None:
    """Hold that nothing stands between the last member and the directory.

    A second directory there, or in the comment of an end record, would show another archive
    to readers that search from the other side.
    """
    gap = member.stop - data_offset(source, member) - member.packed
    if gap not in (0, *_LATER_SIZES):
        raise FormatError(
            "something stands between the zip archive's members and its directory",
            seen=f"{gap:,} bytes",
        )


def read_member(source: ByteSource, member: Member, *, most: int) -> bytes:
    """Read a stored member whole.

    Raises:
        FormatError: it is packed, or longer than ``most`` bytes.
    """
    part = member_part(source, member, most=most)
    return part.take(0, part.size)


def member_part(source: ByteSource, member: Member, *, most: int) -> Part:
    """Give a stored member, to be read like a file.

    Raises:
        FormatError: it is packed, or longer than ``most`` bytes.
    """
    if member.size > most:
        raise FormatError(
            f"the archive's member {member.name[:100]!r} is too long",
            seen=f"{member.size:,} bytes where {most:,} are the most",
        )
    return Part(source, stored_offset(source, member), member.size)


def unpacked_member(source: ByteSource, member: Member, *, most: int) -> bytes:
    """Read a member whole, stored or deflated.

    Raises:
        FormatError: it is packed in another way, longer than ``most`` bytes, or of another length
            than the archive states.
    """
    if member.method == STORED:
        return read_member(source, member, most=most)
    shown = repr(member.name[:100])
    if member.method != _DEFLATED or member.size > most:
        raise FormatError(
            f"the archive's member {shown} is too long or packed in a way that is not read",
            seen=f"{member.size:,} bytes by method {member.method}",
        )
    packed = source.view(data_offset(source, member), member.packed)
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # No more than is stated is ever unpacked, and one byte more to see that it ends there.
        data = machine.decompress(packed, member.size + 1)
    except zlib.error:
        raise FormatError(f"the archive's member {shown} is damaged") from None
    if len(data) != member.size:
        raise FormatError(f"the archive states another size for its member {shown}")
    return data


def stored_offset(source: ByteSource, member: Member) -> int:
    """Find where the bytes of a member begin that is not packed, and check that they end.

    Raises:
        FormatError: it is packed, or reaches into the next member.
    """
    if member.method != STORED or member.packed != member.size:
        raise FormatError(
            f"the archive's member {member.name[:100]!r} is compressed: it has no place to read",
            do="Save it again with torch.save, or unpack it and zip it with 'zip -0 -r'.",
        )
    return data_offset(source, member)


def _find_directory(source: ByteSource) -> tuple[int, int, int]:
    """Give the directory's place, length and number of entries."""
    if source.size < _END.size:
        raise FormatError("the file is too short for a zip archive", seen=f"{source.size} bytes")
    length = min(source.size, _TAIL)
    tail = bytes(source.view(source.size - length, length))
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise FormatError(
            "the zip archive has no end record", do="It may be cut short: fetch it again."
        )
    _, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise FormatError("something follows the zip archive's end record")
    if disk or first or here != count:
        raise FormatError("the zip archive is one part of several")
    end = source.size - length + at
    if _FULL32 in (size, start) or count == _FULL16 or _has_locator(source, end):
        start, size, count, end = _find_directory64(source, end)
    if start + size != end:
        raise FormatError(
            "the zip archive's directory does not end where its end record begins",
            seen=f"{start + size:,} against {end:,}",
        )
    if size > _MAX_DIRECTORY or count * _CENTRAL.size > size:
        raise FormatError(
            "the zip archive's directory has an impossible size", seen=f"{size:,} bytes"
        )
    return start, size, count


def _has_locator(source: ByteSource, end: int) -> bool:
    at = end - _LOCATOR.size
    return at >= 0 and bytes(source.view(at, 4)) == b"PK\x06\x07"


def _find_directory64(source: ByteSource, end: int) -> tuple[int, int, int, int]:
    """Follow the locator to the 64-bit end record; give place, length, count and its place."""
    if not _has_locator(source, end):
        raise FormatError("the zip archive lacks the 64-bit end record that it needs")
    mark, disk, at, disks = _LOCATOR.unpack(source.view(end - _LOCATOR.size, _LOCATOR.size))
    if disk or disks > 1 or at + _END64.size + _LOCATOR.size != end:
        raise FormatError("the zip archive's 64-bit end record is not where it must be")
    mark, length, _, _, disk, first, here, count, size, start = _END64.unpack(
        source.view(at, _END64.size)
    )
    if mark != b"PK\x06\x06" or length != _END64.size - 12 or disk or first or here != count:
        raise FormatError("the zip archive's 64-bit end record is malformed")
    return start, size, count, at


def _entries(directory: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if len(directory) - at < _CENTRAL.size:
            raise FormatError("the zip archive's directory ends early")
        mark, _, _, flags, method, _, _, crc, packed, size, *lengths = _CENTRAL.unpack_from(
            directory, at
        )
        name_length, extra_length, comment, disk, _, _, header = lengths
        name_at = at + _CENTRAL.size
        at = name_at + name_length + extra_length + comment
        if mark != b"PK\x01\x02" or at > len(directory):
            raise FormatError("the zip archive's directory is malformed")
        name = _name(directory[name_at : name_at + name_length])
        if flags & _ENCRYPTED:
            raise FormatError(f"the archive's member {name[:100]!r} is encrypted")
        if disk not in (0, _FULL16):
            raise FormatError("the zip archive is one part of several")
        extra = directory[name_at + name_length : name_at + name_length + extra_length]
        size, packed, header = _wide(extra, size, packed, header)
        yield Member(name, size, packed, method, header, crc=crc)
    if at != len(directory):
        raise FormatError("the zip archive's directory holds more than its entries")


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("a name in the zip archive is not UTF-8", seen=repr(raw[:40])) from None
    if "\0" in name:
        raise FormatError("a name in the zip archive holds a zero byte", seen=repr(name[:40]))
    return name


def _wide(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Take the 64-bit numbers of an entry whose 32-bit ones are full."""
    numbers = [size, packed, header]
    full = [i for i, number in enumerate(numbers) if number == _FULL32]
    at = 0
    while full and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            if length < 8 * len(full) or at + 4 + length > len(extra):
                break
            for place, i in enumerate(full):
                numbers[i] = struct.unpack_from("<Q", extra, at + 4 + 8 * place)[0]
            return numbers[0], numbers[1], numbers[2]
        at += 4 + length
    if full:
        raise FormatError("the zip archive's directory lacks a 64-bit size that it needs")
    return size, packed, header


def _stops(entries: list[Member], directory: int) -> dict[int, int]:
    """Give where each member must end, by its header's place: where the next one begins."""
    headers = sorted(entry.header for entry in entries)
    if headers and headers[0]:
        raise FormatError("something stands before the zip archive's first member")
    stops = dict(zip(headers, [*headers, directory][1:], strict=True))
    for entry in entries:
        end = entry.header + _LOCAL.size + len(entry.name.encode()) + entry.packed
        if end > stops[entry.header] or len(stops) < len(headers):
            raise FormatError(f"the archive's member {entry.name[:100]!r} overlaps another")
    return stops
