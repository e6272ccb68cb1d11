"""The rule ``lost-parameter``: what a module keeps where ``nn.Module`` does not look for it."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.live_walk import leaves, modules, own, parameters
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject
from weigh._record import record

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type, types.ModuleType)
_CHAIN = 16
"""Steps of a graph behind a tensor that a conversion of a parameter has at most."""


@record(frozen=True)
class _Stray:
    """Something that was found outside of the module's tables.

    Attributes:
        holder: the path of the module from whose attribute it is reached.
        attribute: that attribute.
        place: the way from the module to it, as one writes it.
        thing: a tensor, or a module.
        kept_in: the type of what holds it right above.
    """

    holder: str
    attribute: str
    place: str
    thing: Any
    kept_in: str


def lost_parameter(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters and modules that a module holds without having registered them."""
    root = subject.module
    walk = _Walk(root, int(limits["objects"]), int(limits["depth"]))
    strays = list(walk.strays())
    used = {} if subject.loss is None else leaves(subject.loss)
    told: set[int] = set()
    groups: dict[tuple[str, str], list[_Stray]] = {}
    for stray in strays:
        groups.setdefault((stray.holder, stray.attribute), []).append(stray)
    for (holder, attribute), group in groups.items():
        tensors = walk.tensors_of(group)
        told |= {id(tensor) for tensor in tensors}
        yield _finding(
            holder, attribute, group, tensors, used if subject.loss is not None else None
        )
    if walk.stopped:
        yield Unsure("", f"its attributes hold more than {walk.most:,} objects, of which no more "
                     "were looked at")  # fmt: skip
    for tensor in used.values():
        if id(tensor) in walk.registered or id(tensor) in told:
            continue
        shape = list(tensor.shape)
        if isinstance(tensor, sys.modules["torch"].nn.Parameter):
            yield Finding(
                "",
                f"the loss depends on a Parameter of shape {tuple(shape)} that the module does not "
                "hold: it may be in a closure or a global",
                {"found": "graph", "shape": shape, "values": int(tensor.numel())},
            )
        else:
            yield Unsure(
                "",
                f"the loss depends on a tensor of shape {tuple(shape)} that requires a gradient "
                "and is no parameter: an input, or a parameter that was lost",
            )


def _finding(
    holder: str,
    attribute: str,
    group: list[_Stray],
    tensors: list[Any],
    used: dict[int, Any] | None,
) -> Finding:
    where = f"{holder}.{attribute}" if holder else attribute
    nn = sys.modules["torch"].nn
    held = [stray.thing for stray in group if isinstance(stray.thing, nn.Module)]
    first = group[0]
    count = sum(int(tensor.numel()) for tensor in tensors)
    if held:
        kinds = sorted({type(module).__name__ for module in held})
        noun = f"{len(held):,} {'module' if len(held) == 1 else 'modules'} ({', '.join(kinds[:3])})"
    elif isinstance(first.thing, nn.Parameter):
        noun = f"{len(group):,} {'Parameter' if len(group) == 1 else 'Parameters'}"
    else:
        noun = "a tensor that requires a gradient"
        if len(group) > 1:
            noun = f"{len(group):,} tensors that require a gradient"
    inside = "" if first.kept_in == "module" else f" in a {first.kept_in}"
    evidence: dict[str, object] = {
        "found": "attributes",
        "places": [stray.place for stray in group[:20]],
        "parameters": len(tensors),
        "values": count,
    }
    if used is not None:
        evidence["used"] = any(id(tensor) in used for tensor in tensors)
    verb = "is" if len(group) == 1 else "are"
    if not tensors:
        return Finding(
            where,
            f"{noun}{inside} never learn whether the network is in train or eval mode",
            evidence,
            severity="warning",
            do=_advice(first, modules_held=bool(held)),
        )
    return Finding(
        where,
        f"{noun}{inside}, with {count:,} values, {verb} not registered",
        evidence,
        do=_advice(first, modules_held=bool(held)),
    )


def _advice(stray: _Stray, *, modules_held: bool) -> str:
    if stray.kept_in == "module" and not modules_held:
        return "Make it an nn.Parameter; what .to(...) or arithmetic makes of one is none."
    kind = "Module" if modules_held else "Parameter"
    if stray.kept_in in ("list", "tuple", "deque", "set", "frozenset"):
        return f"Keep it in an nn.{kind}List."
    if stray.kept_in == "dict":
        return f"Keep it in an nn.{kind}Dict."
    return f"Make it an attribute of the module itself, or register it (nn.{kind}List)."


def _is(thing: Any, *kinds: Any) -> bool:
    """Whether a thing is of a class by its type: ``isinstance`` asks its ``__class__`` too.

    That of a proxy is the user's code, which may load what it stands for, or fail.
    """
    return issubclass(type(thing), kinds)


class _Walk:
    """A walk through the attributes of all registered modules."""

    def __init__(self, root: Any, most: int, depth: int) -> None:
        torch = sys.modules["torch"]
        self._torch, self.most, self._depth = torch, most, depth
        self._modules = dict(modules(root))
        self._root = root
        self.registered = {id(one.tensor) for one in parameters(root)}
        self._known = {id(module) for module in self._modules.values()}
        for module in self._modules.values():
            for buffer in own(module).get("_buffers", {}).values():
                self.registered.add(id(buffer))
        self._internal = set(torch.nn.Module().__dict__) | {"_flat_weights", "_flat_weight_refs"}
        self._skipped: tuple[type, ...] = (
            torch.optim.Optimizer,
            torch.optim.lr_scheduler.LRScheduler,
            torch.utils.data.Dataset,
            torch.utils.data.DataLoader,
        )
        self._met: set[int] = set()
        self.stopped = False

    def strays(self) -> Iterator[_Stray]:
        """Give everything that is lost, each once."""
        for path, module in self._modules.items():
            if isinstance(module, self._torch.jit.ScriptModule):
                continue  # its attributes are PyTorch's own
            for name, value in list(own(module).items()):
                if name not in self._internal:
                    yield from self._from(path, name, value)

    def tensors_of(self, group: list[_Stray]) -> list[Any]:
        """Give the parameters that are lost with what was found."""
        found: dict[int, Any] = {}
        for stray in group:
            if isinstance(stray.thing, self._torch.nn.Module):
                for one in parameters(stray.thing):
                    if id(one.tensor) not in self.registered and one.learns:
                        found[id(one.tensor)] = one.tensor
            else:
                found[id(stray.thing)] = stray.thing
        return list(found.values())

    def _from(self, path: str, attribute: str, value: Any) -> Iterator[_Stray]:
        queue = deque([(value, attribute, "module", 0)])
        while queue:
            thing, place, kept_in, depth = queue.popleft()
            if _is(thing, _PLAIN) or id(thing) in self._met:
                continue
            if len(self._met) >= self.most:
                self.stopped = True
                return
            self._met.add(id(thing))
            if _is(thing, self._torch.Tensor):
                if self._is_lost(thing):
                    yield _Stray(path, attribute, place, thing, kept_in)
            elif _is(thing, self._torch.nn.Module):
                if id(thing) not in self._known and self._is_lost_module(thing):
                    yield _Stray(path, attribute, place, thing, kept_in)
            elif depth < self._depth:
                queue += [(one, f"{place}{step}", kind, depth + 1)
                          for one, step, kind in self._inside(thing)]  # fmt: skip

    def _is_lost(self, tensor: Any) -> bool:
        if id(tensor) in self.registered or not tensor.requires_grad:
            return False
        if tensor.is_leaf:
            return True
        # Made of a parameter that nobody holds any more: nn.Parameter(...).to(device).
        found = leaves(tensor, _CHAIN)
        return 0 < len(found) <= 1 and all(
            isinstance(leaf, self._torch.nn.Parameter) and id(leaf) not in self.registered
            for leaf in found.values()
        )

    def _is_lost_module(self, module: Any) -> bool:
        """Whether a module that is not registered should be: it learns, or has two modes."""
        below = dict(modules(module))
        if any(one is self._root for one in below.values()):
            return False  # what holds the network, such as a wrapper
        held = parameters(module)
        lost = [one for one in held if id(one.tensor) not in self.registered]
        if any(one.learns for one in lost):
            return True
        if held:
            return False  # kept aside on purpose, such as a teacher
        two_modes = (
            self._torch.nn.modules.dropout._DropoutNd,
            self._torch.nn.modules.batchnorm._NormBase,
        )
        return any(isinstance(one, two_modes) for one in below.values())

    def _inside(self, thing: Any) -> Iterator[tuple[Any, str, str]]:
        """Give what a container, a function or a plain object holds, and how it is reached."""
        if _is(thing, dict):
            for key, value in list(dict.items(thing)):
                yield value, f"[{key!r}]" if isinstance(key, str | int) else "[...]", "dict"
        elif _is(thing, list, tuple, set, frozenset, deque):
            kinds: tuple[Any, ...] = (list, tuple, set, frozenset, deque)
            base = next(kind for kind in kinds if _is(thing, kind))
            for at, value in enumerate(base.__iter__(thing)):
                yield value, f"[{at}]", base.__name__
        elif _is(thing, functools.partial):
            yield thing.func, ".func", "partial"
            yield from ((one, f".args[{at}]", "partial") for at, one in enumerate(thing.args))
            yield from (
                (one, f".keywords[{key!r}]", "partial") for key, one in thing.keywords.items()
            )
        elif _is(thing, types.MethodType):
            yield thing.__self__, ".__self__", "method"
            yield thing.__func__, ".__func__", "method"
        elif _is(thing, types.FunctionType):
            yield from self._in_function(thing)
        elif not _is(thing, self._skipped) and self._is_plain_object(thing):
            attributes = object.__getattribute__(thing, "__dict__")
            for name, value in list(attributes.items()):
                yield value, f".{name}", type(thing).__name__

    def _in_function(self, function: Any) -> Iterator[tuple[Any, str, str]]:
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=False):
            try:
                yield cell.cell_contents, f" (its variable {name})", "closure"
            except ValueError:  # not assigned yet
                continue
        for at, value in enumerate(function.__defaults__ or ()):
            yield value, f" (its default {at})", "default argument"
        for name, value in (function.__kwdefaults__ or {}).items():
            yield value, f" (its default {name})", "default argument"

    def _is_plain_object(self, thing: Any) -> bool:
        """Whether an object's own attributes may be looked at: one of the user's classes."""
        home = str(type(thing).__module__).partition(".")[0]
        if home in sys.stdlib_module_names and type(thing) is not types.SimpleNamespace:
            return False
        if home in ("torch", "numpy", "weigh", "torchvision"):
            return False
        try:
            return isinstance(object.__getattribute__(thing, "__dict__"), dict)
        except AttributeError:
            return False


RULES: tuple[Rule, ...] = (
    Rule(
        "lost-parameter",
        "parameters that the module holds and nn.Module does not know of",
        lost_parameter,
        severity="error",
        needs=("module",),
        why="They are not in parameters(), not in the state_dict, not moved by .to(), not trained.",
        do="Register it: assign it as an attribute, or keep it in an nn.ModuleList or the like.",
        limits={
            "objects": Limit(200_000, "objects that are looked at in all attributes"),
            "depth": Limit(6, "containers and objects within each other that are looked into"),
        },
    ),
)
