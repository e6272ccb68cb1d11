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

from weigh._errors import FormatError, UnsupportedError, printable
from weigh._sources.bytes import ByteSource
from weigh._sources.part import Part
from weigh._sources.pickle_costs import A_MARK, AN_ENTRY, COSTS
from weigh._sources.pickle_operations import OPERATIONS, STOP, EndsEarlyError
from weigh._sources.pickle_program import Program
from weigh._sources.pickled import Global, Persistent, Pickle

__all__ = ["EndsEarlyError", "Machine", "read_pickle"]

_MOST = 190_000_000
"""The memory that a pickle's objects may take: 100,000 tensors take 90 MB, while a single byte can
ask for an object of a hundred. Of the pickle itself only a part is in memory."""
_LONGEST = 16
"""No instruction has a fixed part of so many bytes."""

_MAX_LINE = 1 << 16
_MAX_NAMES, _MAX_NAME = 10_000, 1000
"""Real checkpoints name a few dozen classes; two long texts could be joined into very many."""


def read_pickle(data: bytes | memoryview | ByteSource | Program, start: int = 0) -> Pickle:
    r"""Read one pickle from ``start`` on, without executing anything of it.

    Args:
        data: the pickle's bytes, or where they are.
        start: its first byte.

    Raises:
        EndsEarlyError: it is cut short.
        FormatError: it is malformed, or asks for more than a checkpoint needs.
        UnsupportedError: it needs more memory than Weigh takes.

    Examples:
        >>> import pickle
        >>> read_pickle(pickle.dumps(["a", (1, 2.5)])).value
        ['a', (1, 2.5)]
        >>> evil = read_pickle(b"cos\nsystem\n(S'rm -rf /'\ntR.")
        >>> evil.value.path, evil.value.arguments
        ('os.system', ('rm -rf /',))
    """
    return Machine(Program.of(data), start).run()


class Machine:
    """The stack, the memo and the place in the program."""

    __slots__ = (
        "at", "base", "data", "end", "far", "left", "marks", "memo", "names", "outside", "program",
        "size", "stack",
    )  # fmt: skip

    def __init__(self, program: Program, start: int) -> None:
        self.program, self.size = program, program.size
        # What is in memory of the program, where it begins, and where more must be had.
        self.data, self.base, self.end = b"", start, 0
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        # Places of the memo come one after the other: a dict of them would take ten times as much.
        self.memo: list[Any] = []
        self.far: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Global] = {}
        self.outside: list[Persistent] = []
        self.left = _MOST

    @property
    def place(self) -> int:
        """Where in the program the machine is."""
        return self.base + self.at

    def load(self, least: int) -> None:
        """Have so many bytes from here on in memory, unless the program ends before."""
        at = self.place
        self.data, self.base = self.program.load(at, least)
        self.at = at - self.base
        stop = self.base + len(self.data)
        self.end = len(self.data) - (0 if stop == self.size else _LONGEST)

    def run(self) -> Pickle:
        operations, costs, start = OPERATIONS, COSTS, self.base
        try:
            while self.left > 0:
                if self.at >= self.end:
                    self.load(_LONGEST)
                code = self.data[self.at]
                self.at += 1
                self.left -= costs[code]
                if code == STOP:
                    names = frozenset(one.path for one in self.names.values())
                    return Pickle(self.stack.pop(), names, self.outside, (start, self.place))
                operations[code](self)
        except IndexError:
            if self.place >= self.size:
                raise self.early() from None
            raise FormatError(
                "the pickle takes from an empty stack", seen=f"at byte {self.place:,}"
            ) from None
        except KeyError:
            raise FormatError(
                "the pickle has an unknown instruction or memo entry",
                seen=f"0x{self.data[self.at - 1]:02x} at byte {self.place - 1:,}",
            ) from None
        except struct.error:
            raise self.early() from None
        except (ValueError, TypeError) as error:
            reason = printable(str(error))[:100]
            raise FormatError(
                "the pickle is malformed", seen=f"{reason} at byte {self.place:,}"
            ) from None
        raise self.greedy()

    def early(self) -> EndsEarlyError:
        return EndsEarlyError("the pickle ends early", seen=f"{self.size:,} bytes")

    def greedy(self) -> UnsupportedError:
        return UnsupportedError(
            "the pickle needs more memory than Weigh takes",
            seen=f"over {_MOST // 1_000_000} MB by byte {self.place:,} of {self.size:,}",
            do="Save the tensors alone, as safetensors or in several files.",
        )

    def charge(self, size: int) -> None:
        """Take account of memory before it is used.

        Raises:
            UnsupportedError: it is more than there may be.
        """
        self.left -= size
        if self.left < 0:
            raise self.greedy()

    def take(self, length: int) -> bytes:
        """Take a few bytes of the program itself."""
        if length > len(self.data) - self.at:
            self._expect(length)
            self.load(length)
        piece = self.data[self.at : self.at + length]
        self.at += length
        return piece

    def leave(self, length: int) -> Part:
        """Pass many bytes over, and give the place where they are."""
        self._expect(length)
        part = Part(self.program.source, self.place, length)
        self.at += length
        return part

    def _expect(self, length: int) -> None:
        if length > self.size - self.place:
            raise EndsEarlyError(
                "the pickle ends early",
                seen=f"{self.size - self.place:,} bytes where {length:,} are needed",
            )

    def unpack(self, form: struct.Struct) -> Any:
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.data, at)[0]

    def line(self) -> bytes:
        """Take bytes up to a line end, which is dropped."""
        end = self.data.find(b"\n", self.at, self.at + _MAX_LINE)
        if end < 0:
            self.load(_MAX_LINE)
            end = self.data.find(b"\n", self.at, self.at + _MAX_LINE)
        if end < 0:
            if self.size - self.place < _MAX_LINE:
                raise EndsEarlyError("the pickle ends early", seen="a line without an end")
            raise FormatError("the pickle has an endless line", seen=f"at byte {self.place:,}")
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece

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
        self.left += A_MARK
        return items

    def named(self, module: str, name: str) -> None:
        made = self.names.get((module, name))
        if made is None:
            if len(module) + len(name) > _MAX_NAME or len(self.names) >= _MAX_NAMES:
                raise FormatError("the pickle names too many classes, or by too long a name")
            made = self.names[module, name] = Global(module, name)
        self.stack.append(made)
