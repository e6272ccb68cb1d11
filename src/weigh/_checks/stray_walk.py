"""A walk to what a module keeps where ``nn.Module`` does not look: lists, closures, objects."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from weigh._checks.graph import leaves
from weigh._checks.live_walk import is_a, modules, own, parameters, table
from weigh._record import record

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), range, slice)
_PLAIN_IDS = {id(kind) for kind in _PLAIN}
_NO_HOLDERS = (*_PLAIN, type, types.ModuleType)
_CONTAINERS: tuple[type, ...] = (list, tuple, set, frozenset, deque)
_OWNERS = frozenset((
    "torch", "numpy", "weigh", "lightning", "pytorch_lightning", "lightning_fabric", "accelerate",
    "deepspeed", "ignite", "ray", "wandb", "matplotlib", "pandas", "datasets", "tokenizers",
))  # fmt: skip
"""Packages whose objects hold no parameters of a module, or hold the module as a whole."""
_CHAIN = 16
"""Steps of a graph behind a tensor that a conversion of a parameter has at most."""

Sort = Literal["parameter", "converted", "tensor", "made", "module", "modes", "buffer"]
"""A Parameter; what was made of one that nobody holds; a leaf that is none; what was made of such
a leaf; a module that learns; one that only has two modes; a buffer that requires a gradient."""

_Step = tuple[Any, object, str, str]
"""A thing, its key in what holds it, how the key is written, and what it is kept in."""


@record(frozen=True, eq=False)
class Stray:
    """Something that was found outside of the module's tables.

    Attributes:
        holder: the path of the module from whose attribute it is reached.
        attribute: that attribute.
        place: the way from the module to it, as one writes it.
        thing: a tensor, or a module.
        kept_in: what holds it right above: ``"module"``, ``"list"``, ``"closure"`` ...
        sort: what it is.
    """

    holder: str
    attribute: str
    place: str
    thing: Any
    kept_in: str
    sort: Sort


@record(frozen=True, eq=False)
class _Met:
    """A thing on the way, and how it was reached."""

    thing: Any
    above: _Met | None
    written: str
    kept_in: str
    depth: int

    def place(self) -> str:
        """Write the way to it."""
        steps, at = [], self
        while at is not None:
            steps.append(at.written)
            at = at.above  # type: ignore[assignment]
        return "".join(reversed(steps))


class Walk:
    """A walk through the attributes of all registered modules.

    Args:
        root: the module.
        most: how many objects are looked at.
        depth: how deep containers and objects within each other are looked into.

    Attributes:
        registered: the identities of all parameters and buffers of the module.
        stopped: why it did not see everything; "" if it did.
    """

    def __init__(self, root: Any, most: int, depth: int) -> None:
        torch = self._torch = sys.modules["torch"]
        self._root, self._most, self._depth = root, most, depth
        self._modules = dict(modules(root))
        self._known = {id(module) for module in self._modules.values()}
        self.registered = {id(one.tensor) for one in parameters(root)}
        for module in self._modules.values():
            self.registered |= {id(buffer) for buffer in table(module, "_buffers").values()}
        self._internal = set(own(torch.nn.Module()))
        self._skipped: tuple[type, ...] = (
            torch.optim.Optimizer,
            torch.optim.lr_scheduler.LRScheduler,
            torch.utils.data.Dataset,
            torch.utils.data.DataLoader,
        )
        self._met: set[int] = set()
        self.stopped = ""

    def strays(self) -> list[Stray]:
        """Give everything that is lost, each once."""
        found = [
            stray for path, module in self._modules.items() for stray in self._of(path, module)
        ]
        leafs = {id(stray.thing) for stray in found}
        # What was computed from one that is told anyway is no second one.
        return [
            stray
            for stray in found
            if stray.sort not in ("converted", "made")
            or not leafs.intersection(leaves(stray.thing).tensors)
        ]

    def tensors_of(self, group: Iterable[Stray]) -> list[Any]:
        """Give the parameters that are lost with what was found."""
        found: dict[int, Any] = {}
        for stray in group:
            if stray.sort in ("module", "modes"):
                for one in parameters(stray.thing):
                    if id(one.tensor) not in self.registered and one.learns:
                        found[id(one.tensor)] = one.tensor
            else:
                found[id(stray.thing)] = stray.thing
        return list(found.values())

    def _of(self, path: str, module: Any) -> Iterator[Stray]:
        for name, value in list(own(module).items()):
            if name not in self._internal:
                yield from self._from(path, name, value, "module")
        for name, buffer in table(module, "_buffers").items():
            if buffer is not None and buffer.requires_grad and buffer.is_leaf:
                yield Stray(path, name, name, buffer, "module", "buffer")
        for kind in type(module).__mro__:
            if kind is self._torch.nn.Module:
                continue
            for name, value in list(type.__dict__["__dict__"].__get__(kind).items()):
                if is_a(value, self._torch.Tensor) or is_a(value, self._torch.nn.Module) or (
                    issubclass(type(value), (dict, *_CONTAINERS))
                    and not name.startswith("__")
                ):  # fmt: skip
                    yield from self._from(path, name, value, "class")

    def _from(self, path: str, attribute: str, value: Any, kept_in: str) -> Iterator[Stray]:
        queue = deque([_Met(value, None, str(attribute), kept_in, 0)])
        while queue:
            met = queue.popleft()
            thing = met.thing
            if issubclass(type(thing), _NO_HOLDERS) or id(thing) in self._met:
                continue
            if self._full(0):
                return
            self._met.add(id(thing))
            sort = self._sort(thing)
            if sort is not None:
                yield Stray(path, attribute, met.place(), thing, met.kept_in, sort)
            elif not is_a(thing, self._torch.Tensor) and not is_a(thing, self._torch.nn.Module):
                self._look_into(met, queue)

    def _look_into(self, met: _Met, queue: deque[_Met]) -> None:
        for value, key, written, kept_in in self._inside(met.thing):
            if id(type(value)) in _PLAIN_IDS or id(value) in self._met:
                continue
            if self._full(len(queue)):
                return
            if met.depth >= self._depth:
                self.stopped = self.stopped or (
                    f"its attributes hold objects more than {self._depth} deep, which were not "
                    f"looked into, such as {met.place()}"
                )
                return
            queue.append(_Met(value, met, written.format(key), kept_in, met.depth + 1))

    def _full(self, waiting: int) -> bool:
        """Whether as many objects were looked at, or wait for it, as may be."""
        full = len(self._met) + waiting >= self._most
        if full:
            self.stopped = (
                f"its attributes hold more than {self._most:,} objects, of which no more were "
                "looked at"
            )
        return full

    def _sort(self, thing: Any) -> Sort | None:
        """Say what is lost with a thing; None if nothing is."""
        if is_a(thing, self._torch.Tensor):
            return self._sort_of_tensor(thing)
        if is_a(thing, self._torch.nn.Module) and id(thing) not in self._known:
            return self._sort_of_module(thing)
        return None

    def _sort_of_tensor(self, tensor: Any) -> Sort | None:
        if id(tensor) in self.registered or not tensor.requires_grad:
            return None
        if tensor.is_leaf:
            return "parameter" if is_parameter(tensor) else "tensor"
        behind = leaves(tensor, _CHAIN)
        if behind.doubt or len(behind.tensors) != 1:
            return None  # an activation
        [leaf] = behind.tensors.values()
        if id(leaf) in self.registered:
            return None
        return "converted" if is_parameter(leaf) else "made"

    def _sort_of_module(self, module: Any) -> Sort | None:
        """Say whether a module that is not registered should be: it learns, or has two modes."""
        below = [one for _, one in modules(module)]
        if any(one is self._root for one in below):
            return None  # what holds the network, such as a wrapper
        held = parameters(module)
        if any(one.learns and id(one.tensor) not in self.registered for one in held):
            return "module"
        if held:
            return None  # kept aside on purpose, such as a teacher
        nn = self._torch.nn.modules
        two_modes = (nn.dropout._DropoutNd, nn.batchnorm._NormBase)
        return "modes" if any(issubclass(type(one), two_modes) for one in below) else None

    def _inside(self, thing: Any) -> Iterator[_Step]:
        """Give what a container, a function or a plain object holds, and how it is reached."""
        if is_a(thing, dict):
            yield from _in_dict(thing)
        elif issubclass(type(thing), _CONTAINERS):
            base: Any = next(kind for kind in _CONTAINERS if is_a(thing, kind))
            values = tuple(base.__iter__(thing))
            if not _all_plain(values):
                yield from ((one, at, "[{}]", base.__name__) for at, one in enumerate(values))
        elif is_a(thing, functools.partial):
            parts: Any = functools.partial.__dict__
            yield parts["func"].__get__(thing), "", ".func", "partial"
            for at, one in enumerate(parts["args"].__get__(thing)):
                yield one, at, ".args[{}]", "partial"
            for key, one in parts["keywords"].__get__(thing).items():
                yield one, key, ".keywords[{!r}]", "partial"
        elif type(thing) is types.MethodType:
            yield thing.__self__, "", ".__self__", "method"
            yield thing.__func__, "", ".__func__", "method"
        elif type(thing) is types.FunctionType:
            yield from _in_function(thing)
        elif not issubclass(type(thing), self._skipped) and _may_hold(thing):
            yield from self._in_object(thing)

    def _in_object(self, thing: Any) -> Iterator[_Step]:
        attributes = {**own(thing), **_slots(thing)}
        for value in attributes.values():
            below = table(value, "_modules").values() if is_a(value, self._torch.nn.Module) else ()
            if value is self._root or any(one is self._root for one in below):
                return  # what trains or wraps the network is no part of it
        for name, value in attributes.items():
            yield value, name, ".{}", type(thing).__name__


def is_parameter(tensor: Any) -> bool:
    """Whether a tensor is an ``nn.Parameter``, or of a class of its own that stands for one."""
    return is_a(tensor, sys.modules["torch"].nn.Parameter) or own(tensor).get("_is_param") is True


def _all_plain(values: tuple[Any, ...]) -> bool:
    """Whether there are only numbers and texts: very many are no trouble."""
    return set(map(id, map(type, values))) <= _PLAIN_IDS


def _in_dict(thing: Any) -> Iterator[_Step]:
    keys, values = tuple(dict.keys(thing)), tuple(dict.values(thing))
    if not _all_plain(values):
        for key, value in zip(keys, values, strict=True):
            shown = type(key) in (str, int, bool)
            yield value, key if shown else "...", "[{!r}]" if shown else "[{}]", "dict"
    if not _all_plain(keys):
        yield from ((key, "", " (a key)", "dict") for key in keys)


def _in_function(function: Any) -> Iterator[_Step]:
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=False):
        try:
            yield cell.cell_contents, name, " (its variable {})", "closure"
        except ValueError:  # not assigned yet
            continue
    for at, value in enumerate(function.__defaults__ or ()):
        yield value, at, " (its default {})", "default argument"
    for name, value in (function.__kwdefaults__ or {}).items():
        yield value, name, " (its default {})", "default argument"
    for name, value in function.__dict__.items():
        yield value, name, ".{}", "function"


def _may_hold(thing: Any) -> bool:
    """Whether an object's own attributes may be looked at: one of the user's classes."""
    home = str(type(thing).__module__)
    top = home.partition(".")[0]
    if home.startswith("torch.distributions") or top == "collections":
        return True
    if type(thing) is types.SimpleNamespace:
        return True
    return top not in sys.stdlib_module_names and top not in _OWNERS


def _slots(thing: Any) -> dict[str, Any]:
    """Give the attributes for which a class has room of its own (``__slots__``)."""
    found = {}
    for kind in type(thing).__mro__:
        for name, given in list(type.__dict__["__dict__"].__get__(kind).items()):
            if type(given) is types.MemberDescriptorType and name != "__dict__":
                try:
                    found[name] = given.__get__(thing)
                except AttributeError:  # not assigned
                    continue
    return found
