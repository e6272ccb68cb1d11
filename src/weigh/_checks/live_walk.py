"""Walks over a live module that call nothing of the user's: only its own dictionaries are read."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weigh._errors import UsageError
from weigh._record import record
from weigh._sources.torch_values import undisturbed

if TYPE_CHECKING:
    from weigh._checks.finding import Finding, Unsure
    from weigh._checks.rule import Check, Limits
    from weigh._checks.subject import Subject


_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)
"""What the interpreter itself puts in a class under ``__dict__``."""


def untouched(check: Check) -> Check:
    """Make a rule look while no mode and no tensor's own class sees what it does."""

    @functools.wraps(check)
    def look(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
        # All at once: whoever takes one finding after the other keeps the modes that are set.
        with undisturbed():
            found = list(check(subject, limits))
        return iter(found)

    return look


def is_a(thing: Any, kind: type) -> bool:
    """Whether a thing is of a class, by its type: its own ``__class__`` is not asked for."""
    return issubclass(type(thing), kind)


@record(frozen=True, eq=False)
class Held:
    """A parameter that a module has registered.

    Attributes:
        name: its full name, the first of several.
        layer: the path of the layer that holds it.
        tensor: the parameter itself.
    """

    name: str
    layer: str
    tensor: Any

    @property
    def learns(self) -> bool:
        """Whether it requires a gradient."""
        return bool(self.tensor.requires_grad)

    @property
    def count(self) -> int:
        """How many values it has; 0 before a lazy layer's first input."""
        return count_of(self.tensor)


def count_of(tensor: Any) -> int:
    """Count a tensor's values; 0 before a lazy layer's first input."""
    lazy = sys.modules["torch"].nn.parameter.UninitializedTensorMixin
    return 0 if is_a(tensor, lazy) else int(tensor.numel())


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Give a tensor's shape; that of a lazy layer's is not known."""
    return tuple(tensor.shape) if count_of(tensor) else ()


def own(thing: Any) -> dict[str, Any]:
    """Give an object's own dictionary; an empty one if it has none, or makes it up itself."""
    for kind in type.__dict__["__mro__"].__get__(type(thing)):
        given = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if given is not None:
            found = given.__get__(thing) if type(given) in _DESCRIPTORS else None
            return found if type(found) is dict else {}
    return {}


def table(module: Any, name: str) -> Mapping[str, Any]:
    """Give a module's table of ``_modules``, ``_parameters`` or ``_buffers``."""
    mine = own(module)
    # A traced module keeps its tables in the script module that it wraps.
    mine = own(mine["_actual_script_module"]) if "_actual_script_module" in mine else mine
    found = mine.get(name)
    if isinstance(found, dict):
        return found
    # Compiled modules (TorchScript) have tables of PyTorch's own.
    compiled = type(found).__module__ == "torch.jit._script"
    return dict(found.items()) if found is not None and compiled else {}


def modules(root: Any) -> Iterator[tuple[str, Any]]:
    """Go through a module and all below it, each once, with its first path."""
    met: set[int] = set()
    stack = [("", root)]
    while stack:
        path, module = stack.pop()
        if id(module) in met:
            continue
        met.add(id(module))
        yield path, module
        below = table(module, "_modules").items()
        stack += [
            (f"{path}.{name}" if path else name, child)
            for name, child in reversed(list(below))
            if child is not None
        ]


def parameters(root: Any) -> list[Held]:
    """List all registered parameters, each once."""
    found: dict[int, Held] = {}
    for path, module in modules(root):
        for name, tensor in table(module, "_parameters").items():
            if tensor is not None and id(tensor) not in found:
                found[id(tensor)] = Held(f"{path}.{name}" if path else name, path, tensor)
    return list(found.values())


def is_norm(module: Any) -> bool:
    """Whether a module is a normalisation, by the name of its class."""
    return "Norm" in type(module).__name__


def optimizers_of(optimizer: Any) -> list[Any] | None:
    """Give the optimizers among what was given, each once; None if something is none.

    It may be one, a list of them, or what Lightning's ``configure_optimizers`` gives: lists
    within a tuple and dictionaries with one under ``"optimizer"``. Of a scheduler it is the
    optimizer that it schedules.

    Examples:
        >>> optimizers_of([]), optimizers_of("sgd")
        ([], None)
    """
    found: dict[int, Any] = {}
    stack, depth = [(optimizer, 0)], 3
    while stack:
        one, below = stack.pop()
        if isinstance(one, list | tuple) and below < depth:
            stack += [(part, below + 1) for part in reversed(one)]
        elif isinstance(one, dict) and "optimizer" in one and below < depth:
            stack.append((one["optimizer"], below + 1))
        elif _has_groups(one):
            found[id(one)] = one
        elif _has_groups(getattr(one, "optimizer", None)):
            found[id(one.optimizer)] = one.optimizer
        elif isinstance(getattr(one, "optimizers", None), list) and below < depth:
            stack.append((one.optimizers, below + 1))
        else:
            return None
    return list(found.values())


def _has_groups(one: Any) -> bool:
    groups = getattr(one, "param_groups", None)
    return isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("params"), list) for group in groups
    )


def groups_of(optimizer: Any) -> list[dict[str, Any]]:
    """Give the groups of an optimizer, or of several."""
    return [group for one in optimizers_of(optimizer) or () for group in one.param_groups]


def stepped(optimizer: Any) -> list[Any]:
    """List the tensors that an optimizer or several step, as often as they have them."""
    torch = sys.modules["torch"]
    return [t for g in groups_of(optimizer) for t in g["params"] if is_a(t, torch.Tensor)]


def check_live(optimizer: Any = None, loss: Any = None) -> None:
    """Refuse what is no optimizer, and what has no graph behind it.

    Raises:
        UsageError: it is none.
    """
    if optimizer is not None and optimizers_of(optimizer) is None:
        raise UsageError(
            "an optimizer has param_groups, as those of torch.optim have",
            seen=type(optimizer).__name__,
            do="Several are given as a list.",
        )
    with undisturbed():
        graph = is_a(loss, sys.modules["torch"].Tensor) and loss.grad_fn is not None
    if loss is not None and not graph:
        raise UsageError(
            "a loss is a tensor with the graph behind it",
            seen=f"a {type(loss).__name__} without one",
            do="Give the loss itself, before its backward pass.",
        )


def grouped(all_held: Sequence[Held], chosen: Iterable[Held]) -> list[tuple[str, list[Held]]]:
    """Group parameters by the highest layers of which they are all, else by their own layer.

    One alone is called by its own name.
    """
    wanted = {id(one.tensor) for one in chosen}
    total: dict[str, int] = {}
    inside: dict[str, int] = {}
    for one in all_held:
        for path in _above(one.layer):
            total[path] = total.get(path, 0) + 1
            inside[path] = inside.get(path, 0) + (id(one.tensor) in wanted)
    groups: dict[str, list[Held]] = {}
    for one in all_held:
        if id(one.tensor) in wanted:
            whole = (path for path in _above(one.layer) if total[path] == inside[path])
            groups.setdefault(next(whole, one.layer), []).append(one)
    return [(group[0].name if len(group) == 1 else path, group) for path, group in groups.items()]


def _above(path: str) -> list[str]:
    """Give a path and all above it, the highest first."""
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: at + 1]) for at in range(len(parts)))]


def said(group: Sequence[Held], verb: str = "") -> str:
    """Say how many parameters there are, and name them if they are few.

    Args:
        group: the parameters, at least one.
        verb: ``"are"`` if it is to follow.
    """
    count = sum(one.count for one in group)
    values = f"{count:,} value{'' if count == 1 else 's'}"
    follows = f" {verb}" if verb else ""
    if len(group) == 1:  # the finding is called by its name
        return f"its {values}{' is' if verb and count == 1 else follows}"
    if len({one.layer for one in group}) == 1 and len(group) <= 3:
        *most, last = [one.name.rpartition(".")[2] for one in group]
        return f"{', '.join(most)} and {last} ({values}){follows}"
    return f"{len(group):,} parameters ({values}){follows}"


def numbers(group: Sequence[Held]) -> dict[str, object]:
    """Give the evidence of a group: how many parameters and values, and the first names."""
    return {
        "parameters": len(group),
        "values": sum(one.count for one in group),
        "names": [one.name for one in group[:20]],
    }
