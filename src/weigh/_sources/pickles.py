"""A pickle machine that never runs anything.

A pickle is a program for a stack machine, one of whose instructions calls any function by name.
This machine executes the stack operations and *notes* the rest: a class or function becomes a
``Global``, a call a ``Call``. Nothing is imported, called or hashed, mappings are lists of pairs,
and what a program may ask for is bounded by its own length. The instructions themselves are in
``pickle_operations.py``.
"""

from __future__ import annotations

import struct
from typing import Any

from weigh._errors import FormatError, printable
from weigh._sources.pickle_operations import AN_ENTRY, COSTS, MARK, OPERATIONS, STOP, EndsEarlyError
from weigh._sources.pickled import Global, Persistent, Pickle

__all__ = ["EndsEarlyError", "Machine", "read_pickle"]

_FREE, _A_BYTE, _MOST = 40_000_000, 10, 200_000_000
"""The memory that a pickle's objects may take besides its own bytes: 100,000 tensors are listed in
11 MB and take 100 MB, while a single byte can ask for an object of a hundred."""

_MAX_LINE = 1 << 16
_FIRST_LINE = 1 << 8
_MAX_NAMES, _MAX_NAME = 10_000, 1000
"""Real checkpoints name a few dozen classes; two long texts could be joined into very many."""


def read_pickle(data: bytes | memoryview, start: int = 0) -> Pickle:
    r"""Read one pickle from ``start`` on, without executing anything of it.

    Raises:
        EndsEarlyError: it is cut short.
        FormatError: it is malformed, or asks for more than a checkpoint needs.

    Examples:
        >>> import pickle
        >>> read_pickle(pickle.dumps(["a", (1, 2.5)])).value
        ['a', (1, 2.5)]
        >>> evil = read_pickle(b"cos\nsystem\n(S'rm -rf /'\ntR.")
        >>> evil.value.path, evil.value.arguments
        ('os.system', ('rm -rf /',))
    """
    return Machine(data, start).run()


class Machine:
    """The stack, the memo and the place in the program."""

    __slots__ = ("at", "data", "far", "left", "marks", "memo", "names", "outside", "size", "stack")

    def __init__(self, data: bytes | memoryview, start: int) -> None:
        self.data, self.at, self.size = data, start, len(data)
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        # Places of the memo come one after the other: a dict of them would take ten times as much.
        self.memo: list[Any] = []
        self.far: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Global] = {}
        self.outside: list[Persistent] = []
        self.left = max(_FREE, min(_FREE + _A_BYTE * self.size, _MOST - self.size))

    def run(self) -> Pickle:
        operations, costs, start = OPERATIONS, COSTS, self.at
        try:
            while self.left > 0:
                code = self.data[self.at]
                self.at += 1
                self.left -= costs[code]
                if code == STOP:
                    names = frozenset(one.path for one in self.names.values())
                    return Pickle(self.stack.pop(), names, self.outside, (start, self.at))
                operations[code](self)
        except IndexError:
            if self.at >= self.size:
                raise EndsEarlyError("the pickle ends early", seen=f"{self.at:,} bytes") from None
            raise FormatError(
                "the pickle takes from an empty stack", seen=f"at byte {self.at:,}"
            ) from None
        except KeyError:
            raise FormatError(
                "the pickle has an unknown instruction or memo entry",
                seen=f"0x{self.data[self.at - 1]:02x} at byte {self.at - 1:,}",
            ) from None
        except struct.error:
            raise EndsEarlyError("the pickle ends early", seen=f"{self.size:,} bytes") from None
        except (ValueError, TypeError) as error:
            reason = printable(str(error))[:100]
            raise FormatError(
                "the pickle is malformed", seen=f"{reason} at byte {self.at:,}"
            ) from None
        raise self.greedy()

    def greedy(self) -> FormatError:
        return FormatError(
            "the pickle asks for more memory than a checkpoint needs", seen=f"at byte {self.at:,}"
        )

    def charge(self, size: int) -> None:
        """Take account of memory before it is used.

        Raises:
            FormatError: it is more than there may be.
        """
        self.left -= size
        if self.left < 0:
            raise self.greedy()

    def take(self, length: int) -> bytes | memoryview:
        """Take bytes of the program itself."""
        if length < 0 or length > self.size - self.at:
            raise EndsEarlyError(
                "the pickle ends early",
                seen=f"{self.size - self.at:,} bytes where {length:,} are needed",
            )
        piece = self.data[self.at : self.at + length]
        self.at += length
        return piece

    def unpack(self, form: struct.Struct) -> Any:
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.data, at)[0]

    def line(self) -> bytes:
        """Take bytes up to a line end, which is dropped."""
        window = _FIRST_LINE  # short first: a program may be all lines
        while True:
            piece = bytes(self.data[self.at : self.at + window])
            length = piece.find(b"\n")
            if length >= 0:
                self.at += length + 1
                return piece[:length]
            if len(piece) < window:
                raise EndsEarlyError("the pickle ends early", seen="a line without an end")
            if window >= _MAX_LINE:
                raise FormatError("the pickle has an endless line", seen=f"at byte {self.at:,}")
            window *= 4

    def recall(self, place: int) -> None:
        """Push what the memo holds at a place."""
        memo = self.memo
        self.stack.append(memo[place] if 0 <= place < len(memo) else self.far[place])

    def remember(self, place: int) -> None:
        """Keep the top of the stack in the memo."""
        memo, top = self.memo, self.stack[-1]
        if place == len(memo):
            memo.append(top)
        elif 0 <= place < len(memo):
            memo[place] = top
        else:
            self.charge(AN_ENTRY)
            self.far[place] = top

    def pop_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        self.left += COSTS[MARK]
        return items

    def named(self, module: str, name: str) -> None:
        made = self.names.get((module, name))
        if made is None:
            if len(module) + len(name) > _MAX_NAME or len(self.names) >= _MAX_NAMES:
                raise FormatError("the pickle names too many classes, or by too long a name")
            made = self.names[module, name] = Global(module, name)
        self.stack.append(made)
