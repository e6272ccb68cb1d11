"""Walks over a live module that call nothing of the user's: only its own dictionaries are read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from weigh._errors import UsageError
from weigh._record import record


@record(frozen=True)
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
        torch = sys.modules["torch"]
        lazy = getattr(torch.nn.parameter, "UninitializedTensorMixin", ())
        return 0 if isinstance(self.tensor, lazy) else int(self.tensor.numel())


def own(module: Any) -> dict[str, Any]:
    """Give a module's own dictionary."""
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found


def table(module: Any, name: str) -> Mapping[str, Any]:
    """Give a module's table of ``_modules``, ``_parameters`` or ``_buffers``."""
    inner = own(module).get("_actual_script_module")  # of a traced one
    found = own(module if inner is None else inner).get(name)
    if isinstance(found, dict):
        return found
    # A scripted module keeps them in C++, behind tables of PyTorch's own.
    scripted = str(type(found).__module__).startswith("torch.jit.")
    return dict(found.items()) if scripted and found is not None else {}


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


def leaves(loss: Any, most: int = 1_000_000) -> dict[int, Any]:
    """Give the tensors at the ends of the graph behind a loss, by identity.

    Every gradient that a backward pass would give goes to one of them.
    """
    found: dict[int, Any] = {}
    top = loss.grad_fn
    met, stack = {id(top)}, [top]
    kept = [top]  # identities stay true as long as the nodes live
    while stack and len(met) < most:
        node = stack.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            found[id(variable)] = variable
        for after, _ in node.next_functions if node is not None else ():
            if after is not None and id(after) not in met:
                met.add(id(after))
                kept.append(after)
                stack.append(after)
    return found


def groups_of(optimizer: Any) -> list[dict[str, Any]] | None:
    """Give the groups of an optimizer or of several; None if it has none as PyTorch's have.

    Examples:
        >>> groups_of([]), groups_of("sgd")
        ([], None)
    """
    several = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    found: list[dict[str, Any]] = []
    for one in several:
        groups = getattr(one, "param_groups", None)
        if not isinstance(groups, list) or not all(
            isinstance(group, dict) and isinstance(group.get("params"), list) for group in groups
        ):
            return None
        found += groups
    return found


def check_live(optimizer: Any = None, loss: Any = None) -> None:
    """Refuse what is no optimizer, and what has no graph behind it.

    Raises:
        UsageError: it is none.
    """
    if optimizer is not None and groups_of(optimizer) is None:
        raise UsageError(
            "an optimizer has param_groups, as those of torch.optim have",
            seen=type(optimizer).__name__,
            do="Several are given as a list.",
        )
    if loss is not None and getattr(loss, "grad_fn", None) is None:
        raise UsageError(
            "a loss is a tensor with the graph behind it",
            seen=f"a {type(loss).__name__} without one",
            do="Give the loss itself, before its backward pass.",
        )


def grouped(all_held: Sequence[Held], chosen: Iterable[Held]) -> list[tuple[str, list[Held]]]:
    """Group parameters by the highest layers of which they are all, else by their own layer."""
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
    return list(groups.items())


def _above(path: str) -> list[str]:
    """Give a path and all above it, the highest first."""
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: at + 1]) for at in range(len(parts)))]


def said(group: Sequence[Held]) -> str:
    """Say how many parameters there are, and name them if they are few.

    Examples:
        >>> said([])
        'no parameter'
    """
    if not group:
        return "no parameter"
    count = sum(one.count for one in group)
    names = [one.name.rpartition(".")[2] for one in group]
    layers = {one.layer for one in group}
    if len(layers) == 1 and len(group) <= 3:
        return f"{' and '.join(names)} ({count:,} values)"
    return f"{len(group):,} parameters ({count:,} values)"


def numbers(group: Sequence[Held]) -> dict[str, object]:
    """Give the evidence of a group: how many parameters and values, and the first names."""
    return {
        "parameters": len(group),
        "values": sum(one.count for one in group),
        "names": [one.name for one in group[:20]],
    }
