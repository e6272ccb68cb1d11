"""A pickle machine that never runs anything.

A pickle is a program for a stack machine, one of whose instructions calls any function by name.
This machine executes the stack operations and *notes* the rest: a class or function becomes a
``Global``, a call a ``Call``. Nothing is imported, called or hashed, mappings are lists of pairs,
and what a program may ask for is bounded by its own length. The instructions are those of
Python's ``pickletools``, protocols 0 to 5.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any

from weigh._errors import FormatError, printable

MAX_OPERATIONS = 10_000_000
"""More instructions than any checkpoint seen: 100,000 tensors take about four million."""

_MAX_LINE = 1 << 16
_MAX_INTEGER = 1024
_INLINE = 1 << 20
"""Longer byte strings are kept as views of the file, not copied."""


class Global:
    """A class or function that the pickle names; it is not looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @property
    def path(self) -> str:
        """The full name."""
        return f"{self.module}.{self.name}"


class Call:
    """A call that the pickle asks for, and what it then does with the result; none is made.

    Attributes:
        function: what would be called.
        arguments: with what.
        states: what BUILD would set on the result.
        items: what would be appended or added to it.
        pairs: what would be set in it as a mapping.
    """

    __slots__ = ("arguments", "function", "items", "pairs", "states")

    def __init__(self, function: object, arguments: object) -> None:
        self.function, self.arguments = function, arguments
        self.states: list[object] = []
        self.items: list[object] = []
        self.pairs: list[tuple[object, object]] = []

    @property
    def path(self) -> str:
        """The full name of what would be called, or "" when that is no plain name."""
        return self.function.path if isinstance(self.function, Global) else ""


class Persistent:
    """An object kept outside the pickle: for PyTorch a storage."""

    __slots__ = ("pid",)

    def __init__(self, pid: object) -> None:
        self.pid = pid


class Pairs:
    """A dict as the list of its pairs, so that no key is ever hashed."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[object, object]] = []


class Items:
    """A set or frozenset as a list of its items, none of them hashed."""

    __slots__ = ("items",)

    def __init__(self, items: list[object]) -> None:
        self.items = items


class Pickle:
    """What a pickle holds.

    Attributes:
        value: the object, made of the classes above and of plain lists, tuples, text, bytes
            (a memoryview where long), numbers, truth values and None.
        globals: the full name of everything that a loader would import.
        outside: the ids of all objects kept outside the pickle.
        end: where the pickle ends, in bytes.
    """

    __slots__ = ("end", "globals", "outside", "value")

    def __init__(
        self, value: object, names: frozenset[str], outside: list[Persistent], end: int
    ) -> None:
        self.value, self.globals, self.outside, self.end = value, names, outside, end


def read_pickle(data: bytes | memoryview, start: int = 0) -> Pickle:
    r"""Read one pickle from ``start`` on, without executing anything of it.

    Raises:
        FormatError: it is cut short, malformed, or asks for more than a checkpoint needs.

    Examples:
        >>> import pickle
        >>> read_pickle(pickle.dumps(["a", (1, 2.5)])).value
        ['a', (1, 2.5)]
        >>> evil = read_pickle(b"cos\nsystem\n(S'rm -rf /'\ntR.")
        >>> evil.value.path, evil.value.arguments
        ('os.system', ('rm -rf /',))
    """
    return _Machine(data, start).run()


class _Machine:
    """The stack, the memo and the place in the program."""

    __slots__ = ("at", "data", "marks", "memo", "names", "outside", "size", "stack")

    def __init__(self, data: bytes | memoryview, start: int) -> None:
        self.data, self.at, self.size = data, start, len(data)
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.names: dict[tuple[str, str], Global] = {}
        self.outside: list[Persistent] = []

    def run(self) -> Pickle:
        operations = _OPERATIONS
        try:
            for _ in range(MAX_OPERATIONS):
                code = self.data[self.at]
                self.at += 1
                if code == _STOP:
                    names = frozenset(one.path for one in self.names.values())
                    return Pickle(self.stack.pop(), names, self.outside, self.at)
                operations[code](self)
        except IndexError:
            what = "ends early" if self.at >= self.size else "takes from an empty stack"
            raise FormatError(f"the pickle {what}", seen=f"at byte {self.at:,}") from None
        except KeyError:
            raise FormatError(
                "the pickle has an unknown instruction or memo entry",
                seen=f"0x{self.data[self.at - 1]:02x} at byte {self.at - 1:,}",
            ) from None
        except (ValueError, struct.error, TypeError) as error:
            reason = printable(str(error))[:100]
            raise FormatError(
                "the pickle is malformed", seen=f"{reason} at byte {self.at:,}"
            ) from None
        raise FormatError(f"the pickle has more than {MAX_OPERATIONS:,} instructions")

    def take(self, length: int) -> bytes | memoryview:
        """Take bytes of the program itself."""
        if length < 0 or length > self.size - self.at:
            raise FormatError(
                "the pickle ends early",
                seen=f"{self.size - self.at:,} bytes where {length:,} are needed",
            )
        piece = self.data[self.at : self.at + length]
        self.at += length
        return piece

    def unpack(self, form: struct.Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def line(self) -> bytes:
        """Take bytes up to a line end, which is dropped."""
        piece = bytes(self.data[self.at : self.at + _MAX_LINE])
        length = piece.find(b"\n")
        if length < 0:
            raise FormatError("the pickle has a line without an end", seen=f"at byte {self.at:,}")
        self.at += length + 1
        return piece[:length]

    def pop_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def named(self, module: str, name: str) -> None:
        self.stack.append(self.names.setdefault((module, name), Global(module, name)))


_U1, _U2, _U4, _U8 = (struct.Struct(f) for f in ("<B", "<H", "<I", "<Q"))
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")
_Operation = Callable[[_Machine], None]
_STOP = 0x2E


def _nothing(_: _Machine) -> None:
    pass


def _skip(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        m.take(form.size)

    return operation


def _constant(value: object) -> _Operation:
    def operation(m: _Machine) -> None:
        m.stack.append(value)

    return operation


def _fresh(make: Callable[[], object]) -> _Operation:
    def operation(m: _Machine) -> None:
        m.stack.append(make())

    return operation


def _number(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        m.stack.append(m.unpack(form))

    return operation


def _text(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        m.stack.append(str(m.take(m.unpack(form)), "utf-8", "surrogatepass"))

    return operation


def _old_text(form: struct.Struct) -> _Operation:
    """Python 2's byte strings, which held text."""

    def operation(m: _Machine) -> None:
        m.stack.append(str(m.take(m.unpack(form)), "latin-1"))

    return operation


def _bytes(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        piece = m.take(m.unpack(form))
        m.stack.append(bytes(piece) if len(piece) <= _INLINE else memoryview(piece))

    return operation


def _binary_integer(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        length = m.unpack(form)
        if length > _MAX_INTEGER:
            raise FormatError(
                "the pickle has an integer of enormous size", seen=f"{length:,} bytes"
            )
        m.stack.append(int.from_bytes(m.take(length), "little", signed=True))

    return operation


def _tuple(length: int) -> _Operation:
    def operation(m: _Machine) -> None:
        if len(m.stack) < length:
            raise IndexError
        items = tuple(m.stack[-length:])
        del m.stack[-length:]
        m.stack.append(items)

    return operation


def _get(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        m.stack.append(m.memo[m.unpack(form)])

    return operation


def _put(form: struct.Struct) -> _Operation:
    def operation(m: _Machine) -> None:
        m.memo[m.unpack(form)] = m.stack[-1]

    return operation


def _mark(m: _Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _drop_to_mark(m: _Machine) -> None:
    m.pop_mark()


def _twice(m: _Machine) -> None:
    m.stack.append(m.stack[-1])


def _decimal(m: _Machine) -> None:
    """INT and LONG: digits, perhaps with an L; 00 and 01 are truth values."""
    line = m.line()
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
        return
    if len(line) > _MAX_INTEGER:
        raise FormatError(
            "the pickle has an integer of enormous size", seen=f"{len(line):,} digits"
        )
    m.stack.append(int(line.removesuffix(b"L") or b"0"))


def _decimal_float(m: _Machine) -> None:
    m.stack.append(float(m.line()))


def _quoted(m: _Machine) -> None:
    line = m.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise FormatError("the pickle has a text without quotes", seen=f"at byte {m.at:,}")
    m.stack.append(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))


def _escaped(m: _Machine) -> None:
    m.stack.append(m.line().decode("raw-unicode-escape"))


def _decimal_get(m: _Machine) -> None:
    m.stack.append(m.memo[int(m.line()[:20])])


def _decimal_put(m: _Machine) -> None:
    m.memo[int(m.line()[:20])] = m.stack[-1]


def _memoize(m: _Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _mark_tuple(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _mark_list(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _mark_frozenset(m: _Machine) -> None:
    items = m.pop_mark()
    m.stack.append(Items(items))


def _mark_dict(m: _Machine) -> None:
    made = Pairs()
    made.pairs.extend(_paired(m.pop_mark()))
    m.stack.append(made)


def _paired(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise FormatError("the pickle sets a key without a value")
    return list(zip(items[::2], items[1::2], strict=True))


def _append(m: _Machine) -> None:
    item = m.stack.pop()
    _items_of(m.stack[-1]).append(item)


def _append_all(m: _Machine) -> None:
    items = m.pop_mark()
    _items_of(m.stack[-1]).extend(items)


def _items_of(thing: object) -> list[object]:
    if isinstance(thing, list):
        return thing
    if isinstance(thing, Call | Items):
        return thing.items
    raise FormatError("the pickle appends to what is no list")


def _set(m: _Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _pairs_of(m.stack[-1]).append((key, value))


def _set_all(m: _Machine) -> None:
    items = m.pop_mark()
    _pairs_of(m.stack[-1]).extend(_paired(items))


def _pairs_of(thing: object) -> list[tuple[object, object]]:
    if isinstance(thing, Call | Pairs):
        return thing.pairs
    raise FormatError("the pickle sets a key in what is no mapping")


def _global(m: _Machine) -> None:
    module = m.line().decode("utf-8")
    m.named(module, m.line().decode("utf-8"))


def _stack_global(m: _Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise FormatError("the pickle names a class by something that is no text")
    m.named(module, name)


def _call(m: _Machine) -> None:
    arguments, function = m.stack.pop(), m.stack.pop()
    m.stack.append(Call(function, arguments))


def _call_with_keywords(m: _Machine) -> None:
    keywords, arguments, function = m.stack.pop(), m.stack.pop(), m.stack.pop()
    made = Call(function, arguments)
    made.states.append(keywords)
    m.stack.append(made)


def _instance(m: _Machine) -> None:
    arguments = tuple(m.pop_mark())
    _global(m)
    m.stack.append(Call(m.stack.pop(), arguments))


def _object(m: _Machine) -> None:
    function, *arguments = m.pop_mark() or [None]
    m.stack.append(Call(function, tuple(arguments)))


def _build(m: _Machine) -> None:
    state = m.stack.pop()
    thing = m.stack[-1]
    if isinstance(thing, Call):
        thing.states.append(state)
        return
    # Only the result of a call has state of its own; a plain value has no place for it.
    raise FormatError("the pickle sets the state of what is no object")


def _text_persistent(m: _Machine) -> None:
    _refer(m, m.line().decode("utf-8"))


def _persistent(m: _Machine) -> None:
    _refer(m, m.stack.pop())


def _refer(m: _Machine, pid: object) -> None:
    made = Persistent(pid)
    m.outside.append(made)
    m.stack.append(made)


def _no_extension(_: _Machine) -> None:
    raise FormatError("the pickle uses an extension registry, which a file cannot have")


def _no_buffer(_: _Machine) -> None:
    raise FormatError("the pickle uses out-of-band buffers, which a file cannot have")


_OPERATIONS: dict[int, _Operation] = {
    0x80: _skip(_U1),  # PROTO
    0x95: _skip(_U8),  # FRAME
    **dict.fromkeys((0x82, 0x83, 0x84), _no_extension),
    **dict.fromkeys((0x97, 0x98), _no_buffer),
}
_OPERATIONS |= {  # plain values
    ord("N"): _constant(None),
    0x88: _constant(True),  # noqa: FBT003
    0x89: _constant(False),  # noqa: FBT003
    ord("J"): _number(_I4),
    ord("K"): _number(_U1),
    ord("M"): _number(_U2),
    ord("G"): _number(_F8),
    ord("I"): _decimal,
    ord("L"): _decimal,
    ord("F"): _decimal_float,
    0x8A: _binary_integer(_U1),
    0x8B: _binary_integer(_U4),
    0x8C: _text(_U1),
    ord("X"): _text(_U4),
    0x8D: _text(_U8),
    ord("S"): _quoted,
    ord("V"): _escaped,
    ord("U"): _old_text(_U1),
    ord("T"): _old_text(_U4),
    ord("C"): _bytes(_U1),
    ord("B"): _bytes(_U4),
    0x8E: _bytes(_U8),
    0x96: _bytes(_U8),
}
_OPERATIONS |= {  # containers, the stack and the memo
    ord("]"): _fresh(list),
    ord("}"): _fresh(Pairs),
    0x8F: _fresh(lambda: Items([])),
    ord(")"): _constant(()),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("("): _mark,
    ord("t"): _mark_tuple,
    ord("l"): _mark_list,
    ord("d"): _mark_dict,
    0x91: _mark_frozenset,
    ord("a"): _append,
    ord("e"): _append_all,
    0x90: _append_all,
    ord("s"): _set,
    ord("u"): _set_all,
    ord("0"): _pop,
    ord("1"): _drop_to_mark,
    ord("2"): _twice,
    ord("g"): _decimal_get,
    ord("h"): _get(_U1),
    ord("j"): _get(_U4),
    ord("p"): _decimal_put,
    ord("q"): _put(_U1),
    ord("r"): _put(_U4),
    0x94: _memoize,
}
_OPERATIONS |= {  # names, calls and what is kept outside
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): _call,
    0x81: _call,
    0x92: _call_with_keywords,
    ord("i"): _instance,
    ord("o"): _object,
    ord("b"): _build,
    ord("P"): _text_persistent,
    ord("Q"): _persistent,
}
