"""The instructions of a pickle that name, call and refer to what is outside; none does so here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weigh._errors import FormatError
from weigh._sources.pickle_operation import Operation
from weigh._sources.pickled import Call, Persistent

if TYPE_CHECKING:
    from weigh._sources.pickles import Machine


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


CALLS: dict[int, Operation] = {
    **dict.fromkeys((0x82, 0x83, 0x84), _no_extension),
    **dict.fromkeys((0x97, 0x98), _no_buffer),
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
