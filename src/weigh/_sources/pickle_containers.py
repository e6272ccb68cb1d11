"""The instructions of a pickle for containers, the stack and the memo."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from weigh._errors import FormatError
from weigh._sources.pickle_costs import A_PAIR
from weigh._sources.pickle_operation import U1, U4, Operation, constant
from weigh._sources.pickled import Call, Items, Pairs

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine


def _fresh(make: Callable[[], object]) -> Operation:
    def operation(m: Machine) -> None:
        m.stack.append(make())

    return operation


def _tuple(length: int) -> Operation:
    def operation(m: Machine) -> None:
        if len(m.stack) < length:
            raise IndexError
        items = tuple(m.stack[-length:])
        del m.stack[-length:]
        m.stack.append(items)

    return operation


def _get(form: struct.Struct) -> Operation:
    def operation(m: Machine) -> None:
        m.recall(m.unpack(form))

    return operation


def _put(form: struct.Struct) -> Operation:
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
    m.charge(A_PAIR * (len(items) // 2))
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
    m.charge(A_PAIR * (len(items) // 2))
    _pairs_of(m.stack[-1]).extend(_paired(items))


def _pairs_of(thing: object) -> list[tuple[object, object]]:
    if isinstance(thing, Pairs):
        return thing.pairs
    if isinstance(thing, Call):
        if isinstance(thing.pairs, tuple):
            thing.pairs = []
        return thing.pairs
    raise FormatError("the pickle sets a key in what is no mapping")


CONTAINERS: dict[int, Operation] = {
    ord("]"): _fresh(list),
    ord("}"): _fresh(Pairs),
    0x8F: _fresh(lambda: Items([])),
    ord(")"): constant(()),
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
    ord("h"): _get(U1),
    ord("j"): _get(U4),
    ord("p"): _decimal_put,
    ord("q"): _put(U1),
    ord("r"): _put(U4),
    0x94: _memoize,
}
