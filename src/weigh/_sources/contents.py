"""Everything a pickled checkpoint holds, found by going through it in its own order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from weigh._errors import FormatError, UnsupportedError
from weigh._facts import FoundLayer
from weigh._sources.module_tree import ModuleView, module_tree
from weigh._sources.parts import Path
from weigh._sources.pickled import Call, Items, Persistent, Pickle, pairs_of
from weigh._sources.pickled_modules import attributes, class_of, is_module, view
from weigh._sources.pickled_tensor import PickledTensor, Unread
from weigh._sources.plain_text import key_text, plain_text
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_storages import class_outside

_MAX_DEPTH, _MAX_FACTS, _SHORT = 100, 10_000, 64
_MAX_TENSORS = 200_000
"""Each takes up to 2.5 KB of memory by the time that it is listed."""
_VISITS_FREE, _VISITS_A_BYTE, _MAX_VISITS = 10_000, 2, 3_000_000
"""One object may stand in many places, and lists of lists of them in very many: what is gone
through is bounded by the pickle's length, for each mention of an object takes a byte or more."""


@dataclass(frozen=True, slots=True)
class PickledModule:
    """A whole module in the pickle.

    Attributes:
        path: the keys that lead to it.
        class_path: the full name of its class.
        layers: it and all modules below it, their paths beginning below it.
    """

    path: Path
    class_path: str
    layers: list[FoundLayer]


@dataclass(slots=True)
class Contents:
    """What was found in the pickle, in its order.

    Attributes:
        tensors: each with its path: the keys that lead to it.
        facts: plain values as short text.
        unread: for each sort of tensor that is not read, how many and where the first is.
        storages: how many storages stand alone, outside any tensor.
        modules: whole modules, none of them within another.
        notes: sentences about what is wrong with them.
    """

    tensors: list[tuple[Path, PickledTensor]] = field(default_factory=list)
    facts: list[tuple[Path, str]] = field(default_factory=list)
    unread: dict[str, tuple[int, Path]] = field(default_factory=dict)
    storages: int = 0
    modules: list[PickledModule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def contents_of(
    pickle: Pickle,
    reader: TensorReader,
    view: Callable[[Call], ModuleView] = view,
    is_module: Callable[[object], bool] = is_module,
) -> Contents:
    """Go through everything reachable, without recursion and within bounds.

    Args:
        pickle: what was pickled.
        reader: reads the tensors in it.
        view: tells what a module holds.
        is_module: tells what is a module.

    Raises:
        FormatError: a tensor is malformed, or the nesting is out of bounds.
        UnsupportedError: there are too many tensors.
    """
    return _Walk(pickle, reader, view, is_module).run(pickle.value)


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


def _of_object(thing: Call) -> Iterator[tuple[str, object]]:
    yield from attributes(thing)
    for i, item in enumerate(thing.items):
        yield str(i), item
    for key, value in thing.pairs:
        yield key_text(key), value


def _of_states(thing: object) -> Iterator[tuple[str, object]]:
    """Give what the state of an opaque object is a list of, such as its packed weights."""
    for state in thing.states if isinstance(thing, Call) else ():
        if isinstance(state, tuple | list):
            yield from ((str(i), part) for i, part in enumerate(state))


class _Walk:
    """A walk down the pickle, deepest first, that keeps only the way to where it is."""

    def __init__(
        self,
        pickle: Pickle,
        reader: TensorReader,
        view: Callable[[Call], ModuleView],
        is_module: Callable[[object], bool],
    ) -> None:
        self._reader, self._found = reader, Contents()
        self._view, self._is_module = view, is_module
        length = pickle.end - pickle.start
        self._length = length
        self._left = min(_VISITS_FREE + _VISITS_A_BYTE * length, _MAX_VISITS)
        self._path: list[str] = []
        self._above: list[int] = []
        self._ways: list[Iterator[tuple[str, object]]] = []
        self._texts: dict[int, str | None] = {}
        # What modules hold beside their slots is searched for tensors alone.
        self._beside = 0
        self._seen: set[int] = set()
        self._registered: set[Hashable] = set()

    def run(self, top: object) -> Contents:
        self._visit(top)
        while self._ways:
            name, thing = next(self._ways[-1], (None, None))
            if name is None:
                if self._beside == len(self._ways):
                    self._beside = 0
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
        if self._beside and (id(thing) in self._seen or len(self._path) > _MAX_DEPTH):
            return False
        if self._left < 0 or len(self._path) > _MAX_DEPTH:
            raise FormatError("the pickle's objects are nested beyond all bounds")
        if self._note(thing) or id(thing) in self._above:
            return False
        way = inside(thing)
        if way is None:
            return False
        if self._beside:
            way = chain(way, _of_states(thing))
            self._seen.add(id(thing))
        elif isinstance(thing, Call) and self._is_module(thing):
            way = self._enter(thing)
        self._ways.append(way)
        self._above.append(id(thing))
        return True

    def _enter(self, module: Call) -> Iterator[tuple[str, object]]:
        """Take a whole module; give what it holds beside its slots, to be searched next."""
        found, path = self._found, tuple(self._path)
        tree = module_tree(module, self._view, self._reader, self._length)
        self._left -= len(tree.layers) + len(tree.tensors)
        found.modules.append(PickledModule(path, class_of(module), tree.layers))
        for inner, tensor in tree.tensors:
            self._take((*path, *inner), tensor)
        for maker, inner in tree.unread:
            self._skip(maker, (*path, *inner))
        found.notes += tree.notes
        self._registered |= tree.registered
        self._seen.update(tree.met)
        self._beside = len(self._ways) + 1
        return iter(tree.rest)

    def _take(self, path: Path, tensor: PickledTensor) -> None:
        self._found.tensors.append((path, tensor))
        if len(self._found.tensors) > _MAX_TENSORS:
            raise UnsupportedError(
                f"the pickle lists more than {_MAX_TENSORS:,} tensors",
                do="Save them in several files.",
            )

    def _skip(self, maker: str, path: Path) -> None:
        count, first = self._found.unread.get(maker, (0, path))
        self._found.unread[maker] = (count + 1, first)

    def _note(self, thing: object) -> bool:
        """Keep a tensor or a plain value; False for what is neither."""
        made = self._reader.read(thing)
        if isinstance(made, PickledTensor):
            if not self._beside:
                self._take(tuple(self._path), made)
            elif made.identity not in self._registered:
                self._registered.add(made.identity)
                self._take(tuple(self._path), replace(made, slot="other"))
            return True
        if isinstance(made, Unread):
            self._skip(made.maker, tuple(self._path))
            return True
        if isinstance(thing, Persistent):
            self._found.storages += class_outside(thing) is None
            return True
        text = self._text(thing)
        if text is not None and not self._beside and len(self._found.facts) < _MAX_FACTS:
            self._found.facts.append((tuple(self._path), text))
        return text is not None

    def _text(self, thing: object) -> str | None:
        if not isinstance(thing, list | tuple) or len(thing) <= _SHORT:
            return plain_text(thing)
        # A long list may stand in many places.
        if id(thing) not in self._texts:
            self._texts[id(thing)] = plain_text(thing)
        return self._texts[id(thing)]
