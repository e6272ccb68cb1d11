"""The class of a live layer, and the constructor's arguments as they can be read off a layer."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from weigh._facts import FoundClass

_SKIPPED = ("self", "device", "dtype")
_BY_KEYWORD = ("nonlinearity",)
"""Arguments that a class of PyTorch's (RNN) takes only through ``**kwargs``."""
_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")


class LiveClass:
    """What is the same for all layers of a class, looked up once.

    Attributes:
        found: the class as a fact.
        arguments: the names of its constructor's arguments, in order.
        quantized: whether its layers keep their weights in an opaque object.
        says: whether ``str`` of its layers may be another text than their ``repr``.
        as_given: what makes, of an attribute, the argument that was given for it.
    """

    __slots__ = ("arguments", "as_given", "found", "quantized", "says")

    _known: ClassVar[weakref.WeakKeyDictionary[type, LiveClass]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, kind: type) -> LiveClass:
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


def arguments_of(module: Any, kind: LiveClass) -> dict[str, object]:
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
