"""A tree of pickled modules: its layers, and the tensors in their slots.

How one module is told from what was pickled differs: a whole ``nn.Module`` keeps tables of
parameters, buffers and children, TorchScript lists attributes. Each gives a ``ModuleView``; the
walk down is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from weigh._errors import FormatError
from weigh._facts import FoundClass, FoundLayer, Role
from weigh._sources.pickled import Call, Global
from weigh._sources.pickled_tensor import PickledTensor, Unread
from weigh._sources.torch_pickle import TensorReader

Path = tuple[str, ...]

_MAX_DEPTH, _MAX_PATHS, _MAX_NOTES = 100, 150_000, 20
_MAX_PARTS, _MAX_TEXT, _MAX_NESTING = 64, 1000, 3
_MAX_NAMES = 1 << 26
_ENTRIES_FREE, _BYTES_AN_ENTRY = 1000, 4
"""An entry of a module's dictionary takes that many bytes of the pickle or more: where there are
more entries than that, many modules share one."""


@dataclass(slots=True)
class ModuleView:
    """What one pickled module says of itself.

    Attributes:
        class_path: the full name of its class; empty where none is named.
        attributes: its plain values, by name.
        slots: its tensors: their names, roles (None where nobody says) and pickled objects.
        children: its child modules by name; None for an empty slot.
        rest: what else it holds, where there may be tensors that belong to no slot.
        packed: the names of those slots that it keeps packed, not as parameters.
        size: how many entries its dictionaries have.
        wrong: what is not as it should be, in words.
    """

    class_path: str = ""
    attributes: dict[str, object] = field(default_factory=dict)
    slots: list[tuple[str, Role | None, object]] = field(default_factory=list)
    children: list[tuple[str, object]] = field(default_factory=list)
    rest: list[tuple[str, object]] = field(default_factory=list)
    packed: frozenset[str] = frozenset()
    size: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ModuleTree:
    """What a walk down a module found; every path begins below the module.

    Attributes:
        layers: parents before children, a shared one under each of its paths.
        tensors: each with its path.
        rest: what modules hold beside their slots, by path.
        met: the modules themselves, by identity.
        registered: the identities of all tensors in slots.
        unread: tensors of sorts that are not read: what makes them, and where they are.
        notes: sentences about what is wrong with the modules.
    """

    layers: list[FoundLayer] = field(default_factory=list)
    tensors: list[tuple[Path, PickledTensor]] = field(default_factory=list)
    rest: list[tuple[str, object]] = field(default_factory=list)
    met: dict[int, str] = field(default_factory=dict)
    registered: set[Hashable] = field(default_factory=set)
    unread: list[tuple[str, Path]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def module_tree(
    top: Call, view: Callable[[Call], ModuleView], reader: TensorReader, length: int
) -> ModuleTree:
    """Go down a tree of modules, without recursion and within bounds.

    Args:
        top: the outermost module.
        view: tells what one module holds.
        reader: reads the tensors.
        length: the bytes of the pickle, which bound what it can mean.

    Raises:
        FormatError: a module contains itself, or there are too many, too deep or misnamed ones,
            or a tensor is malformed.
    """
    return _Descent(view, reader, length).run(top)


class _Descent:
    def __init__(
        self, view: Callable[[Call], ModuleView], reader: TensorReader, length: int
    ) -> None:
        self._view, self._reader = view, reader
        self._left = _MAX_PATHS
        self._entries = _ENTRIES_FREE + length // _BYTES_AN_ENTRY
        self._found = ModuleTree()
        self._views: dict[int, ModuleView] = {}
        self._classes: dict[str, FoundClass] = {}
        self._letters = 0

    def run(self, top: Call) -> ModuleTree:
        stack: list[tuple[Path, object, tuple[int, ...]]] = [((), top, ())]
        while stack:
            path, module, above = stack.pop()
            name = ".".join(path)
            self._count(name)
            if module is None:
                self._found.layers.append(FoundLayer(name, absent=True))
                continue
            if not isinstance(module, Call):
                self._note(f"{name[:200]!r} stands among the modules and is none.")
                continue
            if id(module) in above:
                raise FormatError(f"the module at {name[:200]!r} contains itself")
            if len(above) > _MAX_DEPTH:
                raise FormatError(f"modules are nested more than {_MAX_DEPTH} deep")
            seen = self._enter(path, name, module)
            if len(seen.children) > self._left:
                raise _too_many()
            below = [
                ((*path, _proper(child, name)), thing, (*above, id(module)))
                for child, thing in seen.children
            ]
            stack.extend(reversed(below))
        return self._found

    def _count(self, name: str) -> None:
        self._left -= 1
        self._letters += len(name)
        if self._left < 0 or self._letters > _MAX_NAMES:
            raise _too_many()

    def _note(self, text: str) -> None:
        if len(self._found.notes) < _MAX_NOTES:
            self._found.notes.append(text)

    def _enter(self, path: Path, name: str, module: Call) -> ModuleView:
        """State a module and the tensors in its slots."""
        again = self._found.met.get(id(module))
        if again is None:
            self._found.met[id(module)] = name
            seen = self._views[id(module)] = self._view(module)
            self._entries -= seen.size
            if self._entries < 0:
                raise FormatError("the pickle's modules have more attributes than it can mean")
            prefix = f"{name}." if name else ""
            self._letters += sum(len(prefix) + len(local) for local, _ in seen.rest)
            taken = {local for local, _, _ in seen.slots}
            self._found.rest += [
                (f"{prefix}{'__dict__.' * (local in taken)}{local}", thing)
                for local, thing in seen.rest
            ]
            for text in seen.wrong:
                self._note(f"{name[:200]!r}: {text}.")
        else:
            seen = self._views[id(module)]
        self._found.layers.append(
            FoundLayer(
                name,
                seen.class_path.rpartition(".")[2] or None,
                self._class(seen.class_path),
                seen.attributes,
                same_as=again,
            )
        )
        for local, role, thing in seen.slots:
            made = self._tensor((*path, local), role, thing, packed=local in seen.packed)
            if made is not None and made.packed and made.quantization:
                scheme = made.quantization.partition("=")[2].partition(",")[0]
                seen.attributes.setdefault("qscheme", scheme)
        return seen

    def _class(self, path: str) -> FoundClass:
        if path not in self._classes:
            self._classes[path] = FoundClass(path, loose=True)
        return self._classes[path]

    def _tensor(
        self, path: Path, role: Role | None, thing: object, *, packed: bool
    ) -> PickledTensor | None:
        if thing is None:
            return None
        name = ".".join(path)
        self._count(name)
        _proper(path[-1], name)
        made = self._reader.read(thing)
        if isinstance(made, PickledTensor):
            self._found.registered.add(made.identity)
            made = replace(made, slot=role, packed=packed)
            self._found.tensors.append((path, made))
            return made
        if isinstance(made, Unread):
            self._found.unread.append((made.maker, path))
        else:
            self._note(f"{name[:200]!r} stands among the tensors and is none.")
        return None


def _too_many() -> FormatError:
    return FormatError("the pickle's modules have more paths than it can mean")


def _proper(name: str, where: str) -> str:
    """Hold that a name can be one piece of a dotted path, as PyTorch does."""
    if not name or "." in name:
        raise FormatError("a module's name is empty or has a dot", seen=f"below {where[:200]!r}")
    return name


class Size(tuple[int, ...]):
    """A ``torch.Size``, which prints like one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


def plain_value(thing: object, depth: int = 0) -> tuple[bool, object]:
    """Give a pickled plain value as Python's own, and whether it is one.

    A dtype or a device is given as the text that PyTorch prints, lists and tuples as they are.

    Examples:
        >>> plain_value((1, 2)), plain_value(Global("torch", "float32"))
        ((True, (1, 2)), (True, 'torch.float32'))
    """
    if thing is None or isinstance(thing, bool | int | float):
        return True, thing
    if isinstance(thing, str):
        return len(thing) <= _MAX_TEXT, thing
    if isinstance(thing, Global):
        return thing.module == "torch", thing.path
    if isinstance(thing, list | tuple):
        return _plain_list(thing, depth)
    if isinstance(thing, Call) and isinstance(thing.arguments, tuple) and thing.arguments:
        known, first = plain_value(thing.arguments[0], _MAX_NESTING)
        if thing.path == "torch.device":
            return known and isinstance(first, str), first
        if thing.path == "torch.Size" and isinstance(thing.arguments[0], tuple | list):
            sizes = thing.arguments[0][:_MAX_PARTS]
            return all(type(one) is int for one in sizes), Size(sizes)
    return False, None


def _plain_list(
    things: list[object] | tuple[object, ...], depth: int
) -> tuple[bool, list[object] | tuple[object, ...] | None]:
    if len(things) > _MAX_PARTS or depth >= _MAX_NESTING:
        return False, None
    given = [plain_value(one, depth + 1) for one in things]
    values = [value for _, value in given]
    known = all(known for known, _ in given)
    return known, tuple(values) if isinstance(things, tuple) else values
