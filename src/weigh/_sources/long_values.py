"""Long texts of a pickle, which stay where they are in the file.

A long byte string is a ``Part`` of the file, and stays there too.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from functools import cached_property

from weigh._errors import FormatError
from weigh._sources.bytes import check_range, taken
from weigh._sources.part import Part

LONG = 1 << 16
"""Strings of fewer bytes are made when they are met."""

_STEP = 1 << 18
_NO_FIRST = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that begin no character."""


class LongText:
    r"""A long text in UTF-8, which can be read like a file if its characters are all bytes.

    That is how pickles of protocol 2 keep the bytes of an array: as text in Latin-1, written in
    UTF-8.

    Args:
        part: where its bytes are.

    Examples:
        >>> from weigh._sources.bytes import MemoryBytes
        >>> text = LongText(Part(MemoryBytes("aé\u00ffz".encode()), 0, 6))
        >>> text.size, bytes(text.view(1, 2)), text.head(2)
        (4, b'\xe9\xff', 'aé')
    """

    beside = None

    def __init__(self, part: Part) -> None:
        self._part = part
        self.name, self.identity = part.name, (part.identity, "latin-1")

    def head(self, letters: int) -> str:
        """Give its first letters."""
        data = taken(self._part, 0, min(self._part.size, 4 * letters))
        return codecs.getincrementaldecoder("utf-8")("replace").decode(data)[:letters]

    @cached_property
    def _counts(self) -> list[int]:
        """How many characters begin before each step of its bytes, and in all of them."""
        counts, whole = [0], self._part.size
        for at in range(0, whole, _STEP):
            data = taken(self._part, at, min(_STEP, whole - at))
            counts.append(counts[-1] + len(data.translate(None, _NO_FIRST)))
        return counts

    @property
    def size(self) -> int:
        """The number of its characters."""
        return self._counts[-1]

    def view(self, offset: int, length: int) -> memoryview:
        """Give the bytes that ``length`` characters from ``offset`` on stand for.

        Raises:
            FormatError: the range reaches past the end, or a character stands for no byte.
        """
        check_range(offset, length, self.size)
        first = bisect_right(self._counts, offset) - 1
        last = bisect_right(self._counts, offset + length)
        begin = min(first * _STEP, self._part.size)
        # The last character may end a byte further on.
        data = taken(self._part, begin, min(last * _STEP + 4, self._part.size) - begin)
        skipped = next((i for i, byte in enumerate(data[:4]) if not 0x80 <= byte < 0xC0), 0)
        start = offset - self._counts[min(first, len(self._counts) - 1)]
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(data[skipped:])
            made = text[start : start + length].encode("latin-1")
        except UnicodeError:
            raise FormatError("an array's bytes are kept as a text that has others") from None
        return memoryview(made)

    def close(self) -> None:
        """Do nothing: the file is another's to close."""
