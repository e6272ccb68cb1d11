"""A live ``torch.nn.Module``: its facts, read without changing anything in it.

Nothing of the module is called but ``repr`` (when it is printed). Attributes are read from the
instance's own dictionaries, so that no property or ``__getattr__`` of the user's runs.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import sys
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, ClassVar

from weigh._errors import SourceError, UnsupportedError
from weigh._facts import Facts, FoundClass, FoundLayer, FoundTensor, Role
from weigh._sources.torch_values import TorchValues, quantization, undisturbed

_SKIPPED = ("self", "device", "dtype")
_BY_KEYWORD = ("nonlinearity",)
"""Arguments that a class of PyTorch's (RNN) takes only through ``**kwargs``."""
_MAX_DEPTH = 200
_MAX_PATHS = 500_000
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")


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
            kind = _Class.of(type(module))
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


class _Class:
    """What is the same for all layers of a class, looked up once.

    Attributes:
        found: the class as a fact.
        arguments: the names of its constructor's arguments, in order.
        quantized: whether its layers keep their weights in an opaque object.
        says: whether ``str`` of its layers may be another text than their ``repr``.
        as_given: what makes, of an attribute, the argument that was given for it.
    """

    __slots__ = ("arguments", "as_given", "found", "quantized", "says")

    _known: ClassVar[weakref.WeakKeyDictionary[type, _Class]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, kind: type) -> _Class:
        """Look a class up, once for as long as it lives."""
        found = cls._known.get(kind)
        if found is None:
            found = cls._known[kind] = cls(kind)
        return found

    def __init__(self, kind: type) -> None:
        path, *bases = (f"{one.__module__}.{one.__qualname__}" for one in kind.__mro__[:-1])
        home = str(kind.__module__)  # a user's class may have None
        defaults: dict[str, object] = {}
        for argument in _constructor_arguments(kind):
            if argument.name not in _SKIPPED and not argument.kind.name.startswith("VAR_"):
                defaults.setdefault(argument.name, argument.default)
        self.as_given = _AS_GIVEN if _ADAPTIVE in (path, *bases) else {}
        self.arguments = tuple(dict.fromkeys((*defaults, *_BY_KEYWORD)))
        self.found = FoundClass(
            path,
            tuple(bases),
            {
                name: _plain(default)
                for name, default in defaults.items()
                if default is not inspect.Parameter.empty and _is_simple(default)
            },
        )
        # The packed objects are modules too; their weights belong to the layer that holds them.
        self.quantized = home.startswith(_QUANTIZED) and "Packed" not in kind.__name__
        writer: object = kind.__str__
        self.says = writer is not object.__str__


def _constructor_arguments(kind: type) -> Iterator[inspect.Parameter]:
    """Give the arguments of a class's constructor.

    A user's class is asked for its parent's too, and so is one of PyTorch's that does not name
    its arguments (``*args``).
    """
    for one in kind.__mro__:
        constructor = one.__dict__.get("__init__")
        if constructor is None or one.__module__ == "builtins":
            continue
        try:
            arguments = inspect.signature(constructor).parameters.values()
        except (TypeError, ValueError):
            continue
        for argument in arguments:
            # LSTM, GRU and RNN tell the class below them which they are by its ``mode``.
            if one is kind or (one.__name__, argument.name) != ("RNNBase", "mode"):
                yield argument
        named = all(a.kind is not inspect.Parameter.VAR_POSITIONAL for a in arguments)
        if str(one.__module__).startswith("torch.") and named:
            return


def _layer(
    path: str, module: Any, kind: _Class, same_as: str | None, parent: int | None
) -> FoundLayer:
    return FoundLayer(
        path,
        _kind_name(module, kind),
        _compiled_from(module) or kind.found,
        _arguments(module, kind),
        functools.partial(repr, module),
        same_as,
        False,  # noqa: FBT003 - by place: one is made for every layer
        parent,
        id(module),
        functools.partial(str, module) if kind.says else None,
    )


def _kind_name(module: Any, kind: _Class) -> str:
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


def _arguments(module: Any, kind: _Class) -> dict[str, object]:
    """Read the constructor's arguments off the layer's own attributes."""
    own, values = module.__dict__, {}
    for name in kind.arguments:
        value = own.get(name, _ABSENT)
        if type(value) in _PLAIN or (type(value) is tuple and _PLAIN.issuperset(map(type, value))):
            values[name] = value
        elif value is not _ABSENT and _is_simple(value):
            values[name] = _plain(value)
        elif name in _SWITCHES:
            there = _SWITCHES[name](module)
            if there is not None:
                values[name] = there
    for name, given in kind.as_given.items():
        if name in values:
            values[name] = given(values[name])
    return values


def _has_bias(module: Any) -> bool | None:
    """Tell a switch that is kept as a Parameter which is there or is None; None if neither."""
    own = module.__dict__
    parameters: Mapping[str, Any] = own.get("_parameters", {})
    # A pruned bias is kept under another name.
    for name in ("bias", "in_proj_bias", "bias_orig"):
        if name in parameters:
            return parameters[name] is not None
    if hasattr(type(module), "_weight_bias"):
        return None
    return True if "bias" in own.get("_modules", {}).get("parametrizations", ()) else None


def _has_bias_kv(module: Any) -> bool | None:
    own = module.__dict__
    parameters: Mapping[str, Any] = own.get("_parameters", {})
    if "bias_k" in own or "bias_k" in parameters:
        return parameters.get("bias_k") is not None
    return None


def _without_last(value: object) -> object:
    return value[:-1] if isinstance(value, tuple) else value


_ADAPTIVE = "torch.nn.modules.adaptive.AdaptiveLogSoftmaxWithLoss"
_AS_GIVEN: dict[str, Callable[[object], object]] = {"cutoffs": _without_last}
"""An adaptive softmax adds the number of classes to the cutoffs it was given."""

_ABSENT = object()
_SWITCHES: dict[str, Callable[[Any], bool | None]] = {
    "bias": _has_bias,
    "add_bias_kv": _has_bias_kv,
}
_PLAIN = frozenset((type(None), bool, int, float, str))


def _is_simple(value: object) -> bool:
    if type(value) in _PLAIN:
        return True
    if isinstance(value, tuple | list):
        return len(value) <= 64 and all(_is_simple(part) for part in value)
    return isinstance(value, int | float | str) or _is_torch_dtype(value)


def _is_torch_dtype(value: object) -> bool:
    return type(value).__module__ == "torch" and type(value).__name__ in ("dtype", "device")


def _plain(value: object) -> object:
    """Give a value as plain Python: torch.Size becomes a tuple, torch.float32 a text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple | list):
        return tuple(_plain(part) for part in value)
    if _is_torch_dtype(value):
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    # A user's subclass may do anything when it is compared, hashed or printed.
    if isinstance(value, int):
        return int.__index__(value)
    return float.__float__(value) if isinstance(value, float) else str.__str__(value)


def _tensors(path: str, module: Any, kind: _Class, place: int) -> Iterator[FoundTensor]:
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
