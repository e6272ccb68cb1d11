"""The containers of Python that a checkpoint in memory is made of."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from types import SimpleNamespace

from weigh._errors import SourceError
from weigh._sources.parts import Path

_DEPTH = 100


class InMemory:
    """The containers of Python."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        """Give what a container holds, by name."""
        return () if is_array(thing) else entries(thing)

    def is_mapping(self, thing: object) -> bool:
        """Whether it is a mapping."""
        return isinstance(thing, Mapping)

    def is_module(self, _: object) -> bool:
        """Say that a live module is looked at in another way."""
        return False


def leaves(mapping: object) -> Iterator[tuple[Path, object]]:
    """Go through nested mappings, lists and records without recursing.

    Raises:
        SourceError: a mapping or a list is within itself, or the nesting is out of bounds.
    """
    walk: list[tuple[int, Path, Iterator[tuple[str, object]]]] = []
    walk.append((id(mapping), (), entries(mapping)))
    open_now = {id(mapping)}
    while walk:
        token, path, left = walk[-1]
        name, value = next(left, (None, None))
        if name is None:
            walk.pop()
            open_now.discard(token)
        elif not _is_container(value):
            yield (*path, name), value
        elif id(value) in open_now and _is_record(value):
            continue
        elif id(value) in open_now or len(walk) > _DEPTH:
            raise SourceError("the mapping is nested within itself, or far too deep", seen=name)
        else:
            open_now.add(id(value))
            walk.append((id(value), (*path, name), entries(value)))


def entries(container: object) -> Iterator[tuple[str, object]]:
    """Give what a container holds, by name; nothing for what is none."""
    if isinstance(container, Mapping):
        return ((str(key), value) for key, value in container.items())
    if isinstance(container, list | tuple):
        return ((str(at), value) for at, value in enumerate(container))
    if _is_record(container):
        return ((str(key), value) for key, value in vars(container).items())
    return iter(())


def _is_container(value: object) -> bool:
    held = isinstance(value, Mapping | list | tuple) or _is_record(value)
    return held and not is_array(value)


def _is_record(value: object) -> bool:
    """Whether a value is nothing but named fields, as the arguments of a training run are."""
    fields = None if isinstance(value, type) else getattr(value, "__dict__", None)
    if not isinstance(fields, dict) or "_parameters" in fields:  # a module is more than that
        return False
    # Who holds one has loaded argparse; it need not be loaded to ask.
    namespace = getattr(sys.modules.get("argparse"), "Namespace", SimpleNamespace)
    return isinstance(value, SimpleNamespace | namespace) or is_dataclass(value)


def is_torch(value: object) -> bool:
    """Whether a value is a tensor of torch."""
    # A torch tensor can only be here if torch is loaded; it must not be loaded to ask.
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(value, tensor)


def is_array(value: object) -> bool:
    """Whether a value is an array, or turns into one."""
    # A number of NumPy's has what an array has, and is a plain value all the same.
    number = getattr(sys.modules.get("numpy"), "generic", type)
    if isinstance(value, type | number):
        return False
    return is_torch(value) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")
