"""The bytes of a deflated member of a zip archive, inflated as they are asked for."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Hashable, Iterator

from weigh._errors import FormatError
from weigh._sources.bytes import ByteSource, check_range
from weigh._sources.zips import Member, data_offset

DEFLATED = 8
_KEPT = 1 << 26
"""Up to this size a member is kept whole once it was inflated."""
_PIECE = 1 << 20


class InflatedBytes:
    """A deflated member as a source of bytes.

    Nothing before a range can be skipped without inflating it; of a large member it is not kept,
    so memory is bounded by what is asked for, whatever the archive claims. A member that is kept
    whole is held against its sum.

    Args:
        source: the archive.
        member: its member, deflated.

    Raises:
        FormatError: it is packed in another way, or its place is not what the archive says.
    """

    beside = None

    def __init__(self, source: ByteSource, member: Member) -> None:
        if member.method != DEFLATED:
            raise FormatError(
                f"the archive's member {member.name[:100]!r} is packed in a way that is not read",
                seen=f"method {member.method}",
            )
        self.name, self.size = f"{source.name}/{member.name}", member.size
        self.identity: Hashable = (source.identity, "inflated", member.name)
        self._source, self._packed, self._crc = source, member.packed, member.crc
        self._at = data_offset(source, member)
        self._whole: bytes | None = None
        self._lock = threading.Lock()

    def view(self, offset: int, length: int) -> memoryview:
        """Give ``length`` bytes from ``offset`` on.

        Raises:
            FormatError: the range reaches past the end, or the packed bytes are broken.
        """
        check_range(offset, length, self.size)
        if self.size > _KEPT or (offset + length <= _PIECE and length < self.size // 2):
            return memoryview(self._taken(offset, length)).toreadonly()
        with self._lock:
            if self._whole is None:
                whole = self._taken(0, self.size)
                if zlib.crc32(whole) != self._crc:
                    raise FormatError("a packed member of the archive is broken: its sum is wrong")
                self._whole = whole
        return memoryview(self._whole)[offset : offset + length]

    def close(self) -> None:
        """Let go of what was inflated."""
        self._whole = None

    def _taken(self, offset: int, length: int) -> bytes:
        kept, at = bytearray(), 0
        if not length:
            return b""
        for piece in self._pieces():
            start = max(offset - at, 0)
            kept += piece[start : start + length - len(kept)]
            at += len(piece)
            if len(kept) == length:
                break
        if len(kept) < length:
            raise FormatError("a packed member of the archive ends early", seen=f"{at:,} bytes")
        return bytes(kept)

    def _pieces(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        for at in range(0, self._packed, _PIECE):
            rest = bytes(self._source.view(self._at + at, min(_PIECE, self._packed - at)))
            while rest:
                try:
                    yield inflater.decompress(rest, _PIECE)
                except zlib.error:
                    raise FormatError("a packed member of the archive is broken") from None
                rest = inflater.unconsumed_tail
