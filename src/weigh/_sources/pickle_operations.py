"""The instructions of pickle protocols 0 to 5, each a small function of the machine.

They are those of Python's ``pickletools``. None imports, calls or hashes anything.
"""

from __future__ import annotations

import codecs
import struct
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from weigh._errors import FormatError
from weigh._sources.pickled import Call, Items, Pairs, Persistent

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine

STOP, MARK = 0x2E, 0x28
_PROTOCOLS = 5
_A_PAIR, AN_ENTRY = 64, 112
"""The memory of a pair in a mapping, and of a place in a dict of places."""
_MAX_INTEGER = 1024
"""Making a number of text takes time that grows with the square of its length."""

_INLINE = 1 << 20
"""Longer byte strings are kept as views of the file, not copied."""


class EndsEarlyError(FormatError):
    """The pickle's bytes end before it does: where only a part was given, more may help."""


_U1, _U2, _U4, _U8 = (struct.Struct(f) for f in ("<B", "<H", "<I", "<Q"))
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")
_Operation = Callable[["Machine"], None]


def _nothing(_: Machine) -> None:
    pass


def _protocol(m: Machine) -> None:
    version = m.unpack(_U1)
    if version > _PROTOCOLS:
        raise FormatError("the pickle is of an unknown protocol", seen=str(version))


def _frame(m: Machine) -> None:
    """A frame only says how much to read ahead; it must be there."""
    length = m.unpack(_U8)
    if length > m.size - m.at:
        raise EndsEarlyError("the pickle ends early", seen=f"a frame of {length:,} bytes")


def _constant(value: object) -> _Operation:
    def operation(m: Machine) -> None:
        m.stack.append(value)

    return operation


def _fresh(make: Callable[[], object]) -> _Operation:
    def operation(m: Machine) -> None:
        m.stack.append(make())

    return operation


def _number(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        m.stack.append(m.unpack(form))

    return operation


def _text(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        piece = m.take(m.unpack(form))
        text = str(piece, "utf-8", "surrogatepass")
        if not text.isascii():  # one wide letter makes all of them wide
            m.charge(max(0, sys.getsizeof(text) - len(piece)))
        m.stack.append(text)

    return operation


def _old_text(form: struct.Struct) -> _Operation:
    """Python 2's byte strings, which held text."""

    def operation(m: Machine) -> None:
        m.stack.append(str(m.take(m.unpack(form)), "latin-1"))

    return operation


def _bytes(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        piece = m.take(m.unpack(form))
        m.stack.append(bytes(piece) if len(piece) <= _INLINE else memoryview(piece))

    return operation


def _binary_integer(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        length = m.unpack(form)
        if length > _MAX_INTEGER:
            raise FormatError(
                "the pickle has an integer of enormous size", seen=f"{length:,} bytes"
            )
        m.stack.append(int.from_bytes(m.take(length), "little", signed=True))

    return operation


def _tuple(length: int) -> _Operation:
    def operation(m: Machine) -> None:
        if len(m.stack) < length:
            raise IndexError
        items = tuple(m.stack[-length:])
        del m.stack[-length:]
        m.stack.append(items)

    return operation


def _get(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        m.recall(m.unpack(form))

    return operation


def _put(form: struct.Struct) -> _Operation:
    def operation(m: Machine) -> None:
        m.remember(m.unpack(form))

    return operation


def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _drop_to_mark(m: Machine) -> None:
    m.pop_mark()


def _twice(m: Machine) -> None:
    m.stack.append(m.stack[-1])


def _decimal(m: Machine) -> None:
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


def _decimal_float(m: Machine) -> None:
    line = m.line()
    if len(line) > _MAX_INTEGER:
        raise FormatError("the pickle has a number of enormous length", seen=f"{len(line):,}")
    m.stack.append(float(line))


def _quoted(m: Machine) -> None:
    line = m.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise FormatError("the pickle has a text without quotes", seen=f"at byte {m.at:,}")
    with warnings.catch_warnings():  # an unknown escape stands for itself
        warnings.simplefilter("ignore", DeprecationWarning)
        text = codecs.escape_decode(line[1:-1])[0]
    m.stack.append(text.decode("latin-1"))


def _escaped(m: Machine) -> None:
    text = m.line().decode("raw-unicode-escape")
    m.charge(4 * len(text))
    m.stack.append(text)


def _decimal_get(m: Machine) -> None:
    m.recall(int(m.line()[:20]))


def _decimal_put(m: Machine) -> None:
    m.remember(int(m.line()[:20]))


def _memoize(m: Machine) -> None:
    m.remember(len(m.memo) + len(m.far))


def _mark_tuple(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _mark_list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _mark_frozenset(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(Items(items))


def _mark_dict(m: Machine) -> None:
    made = Pairs()
    items = m.pop_mark()
    m.charge(_A_PAIR * (len(items) // 2))
    made.pairs.extend(_paired(items))
    m.stack.append(made)


def _paired(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise FormatError("the pickle sets a key without a value")
    return list(zip(items[::2], items[1::2], strict=True))


def _append(m: Machine) -> None:
    item = m.stack.pop()
    _items_of(m.stack[-1]).append(item)


def _append_all(m: Machine) -> None:
    items = m.pop_mark()
    _items_of(m.stack[-1]).extend(items)


def _items_of(thing: object) -> list[object]:
    if isinstance(thing, list):
        return thing
    if isinstance(thing, Items):
        return thing.items
    if isinstance(thing, Call):
        if isinstance(thing.items, tuple):
            thing.items = []
        return thing.items
    raise FormatError("the pickle appends to what is no list")


def _set(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _pairs_of(m.stack[-1]).append((key, value))


def _set_all(m: Machine) -> None:
    items = m.pop_mark()
    m.charge(_A_PAIR * (len(items) // 2))
    _pairs_of(m.stack[-1]).extend(_paired(items))


def _pairs_of(thing: object) -> list[tuple[object, object]]:
    if isinstance(thing, Pairs):
        return thing.pairs
    if isinstance(thing, Call):
        if isinstance(thing.pairs, tuple):
            thing.pairs = []
        return thing.pairs
    raise FormatError("the pickle sets a key in what is no mapping")


def _global(m: Machine) -> None:
    module = m.line().decode("utf-8")
    m.named(module, m.line().decode("utf-8"))


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise FormatError("the pickle names a class by something that is no text")
    m.named(module, name)


def _call(m: Machine) -> None:
    arguments, function = m.stack.pop(), m.stack.pop()
    m.stack.append(Call(function, arguments))


def _call_with_keywords(m: Machine) -> None:
    keywords, arguments, function = m.stack.pop(), m.stack.pop(), m.stack.pop()
    made = Call(function, arguments)
    made.states = [keywords]
    m.stack.append(made)


def _instance(m: Machine) -> None:
    arguments = tuple(m.pop_mark())
    _global(m)
    m.stack.append(Call(m.stack.pop(), arguments))


def _object(m: Machine) -> None:
    function, *arguments = m.pop_mark() or [None]
    m.stack.append(Call(function, tuple(arguments)))


def _build(m: Machine) -> None:
    state = m.stack.pop()
    thing = m.stack[-1]
    if not isinstance(thing, Call):
        # Only the result of a call has state of its own; a plain value has no place for it.
        raise FormatError("the pickle sets the state of what is no object")
    if isinstance(thing.states, tuple):
        thing.states = []
    thing.states.append(state)


def _text_persistent(m: Machine) -> None:
    _refer(m, m.line().decode("utf-8"))


def _persistent(m: Machine) -> None:
    _refer(m, m.stack.pop())


def _refer(m: Machine, pid: object) -> None:
    made = Persistent(pid)
    m.outside.append(made)
    m.stack.append(made)


def _no_extension(_: Machine) -> None:
    raise FormatError("the pickle uses an extension registry, which a file cannot have")


def _no_buffer(_: Machine) -> None:
    raise FormatError("the pickle uses out-of-band buffers, which a file cannot have")


OPERATIONS: dict[int, _Operation] = {
    0x80: _protocol,
    0x95: _frame,
    **dict.fromkeys((0x82, 0x83, 0x84), _no_extension),
    **dict.fromkeys((0x97, 0x98), _no_buffer),
}
OPERATIONS |= {  # plain values
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
OPERATIONS |= {  # containers, the stack and the memo
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
OPERATIONS |= {  # names, calls and what is kept outside
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

COSTS = bytearray([12]) * 256
"""About how many bytes of memory each instruction takes, so that what a pickle asks for is
bounded: its place on the stack, and the object that it makes. The length of a text and the pairs
of a mapping are added where they are known, and a mark's are given back where it is taken up."""
for _codes, _cost in (
    ("JMGILF\x8a\x8b", 44),
    ("\x8c\x8dXSVUTCB\x8e\x96", 76),
    ("]\x85\x86\x87(tl", 76),
    ("}d\x8f\x91", 124),
    ("a", 40),
    ("s", _A_PAIR + 40),
    ("R\x81io", 96),
    ("\x92", 168),
    ("b", 100),
    ("PQ", 76),
):
    for _code in _codes.encode("latin-1"):
        COSTS[_code] = _cost
