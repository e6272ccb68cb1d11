"""Everything a pickled checkpoint holds, found by going through it in its own order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from weigh._errors import FormatError
from weigh._sources.parts import Path
from weigh._sources.pickled import Call, Global, Items, Persistent, Pickle
from weigh._sources.plain_text import key_text, plain_text
from weigh._sources.torch_pickle import (
    PickledTensor,
    TensorReader,
    Unread,
    class_outside,
    pairs_of,
)

_MAX_DEPTH, _MAX_FACTS = 100, 10_000
_MAX_TENSORS = 300_000
_VISITS_FREE, _VISITS_A_BYTE, _MAX_VISITS = 10_000, 2, 3_000_000
"""One object may stand in many places, and lists of lists of them in very many: what is gone
through is bounded by the pickle's length, for each mention of an object takes a byte or more."""


@dataclass(slots=True)
class Contents:
    """What was found in the pickle, in its order.

    Attributes:
        tensors: each with its path: the keys that lead to it.
        facts: plain values as short text.
        unread: for each sort of tensor that is not read, how many and where the first is.
        storages: how many storages stand alone, outside any tensor.
        modules: where whole modules are pickled, and of which class; they are not gone into.
    """

    tensors: list[tuple[Path, PickledTensor]] = field(default_factory=list)
    facts: list[tuple[Path, str]] = field(default_factory=list)
    unread: dict[str, tuple[int, Path]] = field(default_factory=dict)
    storages: int = 0
    modules: list[tuple[Path, str]] = field(default_factory=list)


def contents_of(pickle: Pickle, reader: TensorReader) -> Contents:
    """Go through everything reachable, without recursion and within bounds.

    Raises:
        FormatError: a tensor is malformed, or the nesting is out of bounds.
    """
    return _Walk(pickle, reader).run(pickle.value)


def inside(thing: object) -> Iterator[tuple[str, object]] | None:
    """Give what a container holds, by name; None for what is no container."""
    pairs = pairs_of(thing)
    if pairs is not None:
        return ((key_text(key), value) for key, value in pairs)
    if isinstance(thing, Items):
        thing = thing.items
    if isinstance(thing, list | tuple):
        return ((str(i), item) for i, item in enumerate(thing))
    return _of_object(thing) if isinstance(thing, Call) else None


def attributes(thing: object) -> Iterator[tuple[str, object]]:
    """Give what BUILD would set on an object: a dict, or a dict and another for its slots."""
    for state in thing.states if isinstance(thing, Call) else ():
        for part in state if isinstance(state, tuple) else (state,):
            for key, value in pairs_of(part) or ():
                yield key_text(key), value


def _of_object(thing: Call) -> Iterator[tuple[str, object]]:
    yield from attributes(thing)
    for i, item in enumerate(thing.items):
        yield str(i), item
    for key, value in thing.pairs:
        yield key_text(key), value


class _Walk:
    """A walk down the pickle, deepest first, that keeps only the way to where it is."""

    def __init__(self, pickle: Pickle, reader: TensorReader) -> None:
        self._reader, self._found = reader, Contents()
        length = pickle.end - pickle.start
        self._left = min(_VISITS_FREE + _VISITS_A_BYTE * length, _MAX_VISITS)
        self._path: list[str] = []
        self._above: list[int] = []
        self._ways: list[Iterator[tuple[str, object]]] = []
        self._texts: dict[int, str | None] = {}

    def run(self, top: object) -> Contents:
        self._visit(top)
        while self._ways:
            name, thing = next(self._ways[-1], (None, None))
            if name is None:
                self._ways.pop()
                self._above.pop()
                if self._path:
                    self._path.pop()
                continue
            self._path.append(name)
            if not self._visit(thing):
                self._path.pop()
        return self._found

    def _visit(self, thing: object) -> bool:
        """Note what a thing is; True when what it holds comes next."""
        self._left -= 1
        if self._left < 0 or len(self._path) > _MAX_DEPTH:
            raise FormatError("the pickle's objects are nested beyond all bounds")
        if self._note(thing) or id(thing) in self._above:
            return False
        way = inside(thing)
        if way is None:
            return False
        if _is_module(thing):
            self._found.modules.append((tuple(self._path), _class_of(thing)))
            return False
        self._ways.append(way)
        self._above.append(id(thing))
        return True

    def _note(self, thing: object) -> bool:
        """Keep a tensor or a plain value; False for what is neither."""
        made = self._reader.read(thing)
        if isinstance(made, PickledTensor):
            self._found.tensors.append((tuple(self._path), made))
            if len(self._found.tensors) > _MAX_TENSORS:
                raise FormatError(f"the pickle lists more than {_MAX_TENSORS:,} tensors")
            return True
        if isinstance(made, Unread):
            count, first = self._found.unread.get(made.maker, (0, tuple(self._path)))
            self._found.unread[made.maker] = (count + 1, first)
            return True
        if isinstance(thing, Persistent):
            self._found.storages += class_outside(thing) is None
            return True
        text = self._text(thing)
        if text is not None and len(self._found.facts) < _MAX_FACTS:
            self._found.facts.append((tuple(self._path), text))
        return text is not None

    def _text(self, thing: object) -> str | None:
        if not isinstance(thing, list | tuple | Call):
            return plain_text(thing)
        # A long list may stand in many places.
        if id(thing) not in self._texts:
            self._texts[id(thing)] = plain_text(thing)
        return self._texts[id(thing)]


def _is_module(thing: object) -> bool:
    wanted = {"_modules", "_parameters"}
    return wanted <= {name for name, _ in attributes(thing) if name in wanted}


def _class_of(thing: object) -> str:
    call = thing if isinstance(thing, Call) else Call(None, ())
    given = call.arguments if isinstance(call.arguments, tuple) else ()
    for one in (call.function, *given):
        name = one.path if isinstance(one, Global) else class_outside(one)
        if name and not name.startswith("copyreg"):
            return name
    return "of some class"
