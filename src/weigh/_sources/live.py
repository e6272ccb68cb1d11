"""A live ``torch.nn.Module``: its facts, read without changing anything in it.

Nothing of the module is called but ``repr`` (when it is printed). Attributes are read from the
instance's own dictionaries, so that no property or ``__getattr__`` of the user's runs.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from weigh._errors import SourceError, UnsupportedError
from weigh._facts import Facts, FoundClass, FoundLayer, FoundTensor, Role
from weigh._sources.live_class import LiveClass, arguments_of
from weigh._sources.torch_values import TorchValues, quantization, undisturbed

_MAX_DEPTH = 200
_MAX_PATHS = 500_000


def read(network: Any) -> Facts:
    """State the facts of a live module.

    Raises:
        SourceError: a module contains itself.
        UnsupportedError: a tensor is of a sort that Weigh does not read; the message names it.
    """
    with undisturbed():
        return _read(network)


def _read(network: Any) -> Facts:
    layers: list[FoundLayer] = []
    tensors: list[FoundTensor] = []
    first: dict[int, str] = {}
    for place, (path, module, parent) in enumerate(_walk(network)):
        if place == _MAX_PATHS:
            raise SourceError(f"the modules have more than {_MAX_PATHS:,} paths")
        if module is None:
            layers.append(FoundLayer(path, absent=True, parent=parent))
            continue
        again = first.setdefault(id(module), path)
        try:
            kind = LiveClass.of(type(module))
            layers.append(_layer(path, module, kind, None if again == path else again, parent))
            tensors.extend(_tensors(path, module, kind, place))
        except AttributeError:
            _refuse_foreign(path, module)
            raise
    return Facts(
        format="live",
        location=type(network).__qualname__,
        layers=tuple(layers),
        tensors=tuple(tensors),
        live=network,
    )


def _walk(network: Any) -> Iterator[tuple[str, Any, int | None]]:
    """Go through all modules under every path they have, each with its parent's place here."""
    stack: list[tuple[str, Any, int | None, tuple[int, ...]]] = [("", network, None, ())]
    for place in itertools.count():
        if not stack:
            return
        path, module, parent, above = stack.pop()
        if id(module) in above:
            raise SourceError(
                f"the module at {path!r} contains itself", do="PyTorch cannot print it either."
            )
        if len(above) > _MAX_DEPTH:
            raise SourceError(f"modules are nested more than {_MAX_DEPTH} deep")
        yield path, module, parent
        if module is None:
            continue
        children = [
            (f"{path}.{name}" if path else name, child, place, (*above, id(module)))
            for name, child in _table(path, module, "_modules").items()
        ]
        stack.extend(reversed(children))


def _table(path: str, module: Any, name: str) -> Mapping[str, Any]:
    """Give the module's own dictionary of children, parameters or buffers.

    Raises:
        SourceError: it has none, its ``__init__`` never having reached PyTorch's.
    """
    # A traced module keeps its tables in the script module that it wraps.
    own = module.__dict__.get("_actual_script_module", module).__dict__
    if name not in own:
        raise SourceError(
            f"the module at {path!r} is not set up" if path else "the module is not set up",
            seen=f"a {type(module).__qualname__} without {name}",
            do="Call super().__init__() in its __init__.",
        )
    table: Mapping[str, Any] = own[name]
    return table


def _refuse_foreign(path: str, module: Any) -> None:
    """Refuse what is no module among the modules, and no tensor among the tensors."""
    torch = sys.modules["torch"]
    if not isinstance(module, torch.nn.Module):
        raise SourceError(f"the module at {path!r} is none", seen=type(module).__name__)
    for table in ("_parameters", "_buffers"):
        for name, value in _table(path, module, table).items():
            if value is not None and not isinstance(value, torch.Tensor):
                where = f"{path}.{name}" if path else name
                raise SourceError(f"{where!r} is no tensor", seen=type(value).__name__)


def _layer(
    path: str, module: Any, kind: LiveClass, same_as: str | None, parent: int | None
) -> FoundLayer:
    return FoundLayer(
        path,
        _kind_name(module, kind),
        _compiled_from(module) or kind.found,
        arguments_of(module, kind),
        functools.partial(repr, module),
        same_as,
        False,  # noqa: FBT003 - by place: one is made for every layer
        parent,
        id(module),
        functools.partial(str, module) if kind.says else None,
    )


def _kind_name(module: Any, kind: LiveClass) -> str:
    """Give the name that PyTorch prints: quantized classes have another than their own.

    A compiled module (TorchScript) is known by the class it was made from.
    """
    if "_c" in module.__dict__.get("_actual_script_module", module).__dict__:
        return str(module.original_name)
    return str(module._get_name()) if kind.quantized else type(module).__name__


def _compiled_from(module: Any) -> FoundClass | None:
    """Give the class that a compiled module (TorchScript) was made from, as its type names it."""
    made = module.__dict__.get("_actual_script_module", module).__dict__.get("_c")
    if made is None:
        return None
    name = str(made._type().qualified_name())
    return _compiled(re.sub(r"__torch__\.|___torch_mangle_\d+\.", "", name))


@functools.lru_cache(256)
def _compiled(path: str) -> FoundClass:
    return FoundClass(path)


def _tensors(path: str, module: Any, kind: LiveClass, place: int) -> Iterator[FoundTensor]:
    prefix = f"{path}." if path else ""
    for name, value in _table(path, module, "_parameters").items():
        if value is not None:
            learnable = value.requires_grad
            yield _tensor(f"{prefix}{name}", value, place, "parameter", id(value), learnable)
    for name, value in _table(path, module, "_buffers").items():
        if value is not None:
            yield _tensor(f"{prefix}{name}", value, place, "buffer", id(value))
    if kind.quantized:
        for name, value in _packed(module):
            # Each unpacking makes new tensors: the layer and the name tell which one it is.
            identity = ("packed", id(module), name)
            yield _tensor(f"{prefix}{name}", value, place, "other", identity)


def _tensor(
    name: str,
    value: Any,
    place: int,
    role: Role,
    identity: Hashable,
    learnable: bool = False,  # noqa: FBT001, FBT002 - called by place for every tensor
) -> FoundTensor:
    try:
        values = TorchValues(value)
    except UnsupportedError as error:
        raise error.at(name) from None
    return FoundTensor(
        name,
        values,
        role,
        learnable,
        identity,
        quantization(value) if value.is_quantized else None,
        role == "other",
        _device_name(value.device),
        place,
    )


@functools.lru_cache(64)
def _device_name(device: object) -> str:
    return str(device)


def _packed(module: Any) -> Iterator[tuple[str, Any]]:
    """Give the weights that a quantized layer keeps inside an opaque object.

    A layer of torch.ao hands out its weights by ``_weight_bias`` or ``weight``, which unpack a
    copy and change nothing: a pair, or for a recurrent layer two dicts by name.
    """
    kind = type(module)
    if hasattr(kind, "_weight_bias"):
        given = module._weight_bias()
    elif callable(getattr(kind, "weight", None)):
        given = (module.weight(), None)
    else:
        return
    if isinstance(given, dict):
        named = {name: value for group in given.values() for name, value in group.items()}
    else:
        named = dict(zip(("weight", "bias"), given, strict=True))
    for name, value in named.items():
        if value is not None:
            yield name, value.half() if name.startswith("weight") and _in_half(module) else value


def _in_half(module: Any) -> bool:
    """Whether a layer packs its weights as float16, of which it hands out a float32 copy."""
    own = module.__dict__
    packed = own.get("_modules", {}).get("_packed_params")
    dtype = (
        own.get("dtype", own.get("weight_dtype"))
        if packed is None
        else getattr(packed, "dtype", None)
    )
    return str(dtype) == "torch.float16"
