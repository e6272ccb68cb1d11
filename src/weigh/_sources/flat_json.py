"""A JSON reader that builds nothing it is not asked for, and does not recurse.

The header of a checkpoint comes from anyone. ``json.loads`` would make 20 times its bytes of
Python objects from a hostile one, and recurses with its depth; here the caller walks through
the text, takes what it wants, and skips the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from weigh._errors import FormatError

# The standard reader's own scanner of strings, in C where there is one.
_scan_string: Callable[[str, int], tuple[str, int]] = json.JSONDecoder().parse_string  # type: ignore[attr-defined]
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_NO_NUMBER = re.compile(r"NaN|-?Infinity")
_SHOWN = 24
_MOST_INTEGERS = 4096
_MOST_SKIPPED = 1_000_000
_DIGITS = 20
"""An integer below 2^64 has at most this many."""


class Cursor:
    """A place in a JSON text, moved on by taking one thing after another.

    Args:
        text: the whole text.
        depth: how many arrays and objects may lie within each other in what is skipped.
        most_skipped: how many values may be skipped.
        lenient: whether NaN, Infinity and -Infinity are numbers, as Python writes them.

    Every method raises FormatError where the text is not the JSON it asks for.

    Examples:
        >>> cursor = Cursor('{"shape": [2, 3], "note": [[]]}')
        >>> for key in cursor.members():
        ...     print(key, cursor.integers() if key == "shape" else cursor.skip())
        shape (2, 3)
        note None
    """

    def __init__(
        self,
        text: str,
        *,
        depth: int = 125,
        most_skipped: int = _MOST_SKIPPED,
        lenient: bool = False,
    ) -> None:
        self.text, self.at, self._depth = text, 0, depth
        self._most_skipped, self._lenient = most_skipped, lenient
        self._skipped = 0

    def peek(self) -> str:
        """Give the next character that is not white space; the empty text at the end."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def accept(self, character: str) -> bool:
        """Take this character if it comes next."""
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def expect(self, character: str) -> None:
        """Take this character."""
        if not self.accept(character):
            raise self.wrong(f"{character!r} was expected")

    def members(self) -> Iterator[str]:
        """Go through an object's keys; the caller takes the value after each."""
        self.expect("{")
        if self.accept("}"):
            return
        while True:
            key = self.string()
            self.expect(":")
            yield key
            if not self.accept(","):
                return self.expect("}")

    def items(self) -> Iterator[None]:
        """Go through an array; the caller takes each value."""
        self.expect("[")
        if self.accept("]"):
            return
        while True:
            yield None
            if not self.accept(","):
                return self.expect("]")

    def string(self) -> str:
        """Take a string."""
        if not self.accept('"'):
            raise self.wrong("a string was expected")
        try:
            value, end = _scan_string(self.text, self.at)
            if not value.isascii():
                value.encode()  # an escape can spell half a character, which is no text
        except UnicodeEncodeError:
            raise self.wrong("a string holds half a character") from None
        except ValueError:
            raise self.wrong("a string breaks the rules") from None
        self.at = end
        return value

    def integer(self) -> int:
        """Take a whole number from 0 to 2^64 - 1, written without point or exponent."""
        self.peek()
        found = _NUMBER.match(self.text, self.at)
        digits = found[0] if found else ""
        value = int(digits) if digits.isdecimal() and len(digits) <= _DIGITS else -1
        if not 0 <= value < 2**64:
            raise self.wrong("a whole number from 0 to 2^64 - 1 was expected")
        self.at += len(digits)
        return value

    def integers(self) -> tuple[int, ...]:
        """Take an array of such numbers, at most 4096."""
        taken: list[int] = []
        for _ in self.items():
            if len(taken) == _MOST_INTEGERS:
                raise self.wrong(f"at most {_MOST_INTEGERS} numbers were expected")
            taken.append(self.integer())
        return tuple(taken)

    def skip(self) -> None:
        """Pass over any one value, which must be valid JSON.

        A text in which too many values mean nothing is refused: it is made to waste time.
        """
        closers: list[str] = []
        while True:
            self._skipped += 1
            if self._skipped > self._most_skipped:
                raise self.wrong(f"over {self._most_skipped:,} values in fields of no meaning")
            if self._opens(closers):
                continue
            while closers and self.accept(closers[-1]):
                closers.pop()
            if not closers:
                return
            self.expect(",")
            self._key(closers)

    def end(self) -> None:
        """Make sure that nothing but white space is left."""
        if self.peek():
            raise self.wrong("something follows the end")

    def wrong(self, what: str) -> FormatError:
        """Make the error for what stands here."""
        seen = repr(self.text[self.at : self.at + _SHOWN]) if self.peek() else "its end"
        return FormatError(f"{what} in the JSON", seen=f"{seen} at character {self.at}")

    def _opens(self, closers: list[str]) -> bool:
        """Pass a value that is no container, or the opening of one that is not empty."""
        character = self.peek()
        if character in ("[", "{"):
            closer = "]" if character == "[" else "}"
            self.at += 1
            if len(closers) >= self._depth:
                raise self.wrong(f"nested more than {self._depth} deep")
            if self.accept(closer):
                return False
            closers.append(closer)
            self._key(closers)
            return True
        if character == '"':
            self.string()
        else:
            self._scalar()
        return False

    def _key(self, closers: list[str]) -> None:
        if closers[-1] == "}":
            self.string()
            self.expect(":")

    def _scalar(self) -> None:
        found = _WORD.match(self.text, self.at) or _NUMBER.match(self.text, self.at)
        if found is None and self._lenient:
            found = _NO_NUMBER.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value was expected")
        if found[0][-1].isdecimal() and float(found[0]) in (float("inf"), float("-inf")):
            raise self.wrong("a number is out of range")
        self.at = found.end()
