"""A live ``torch.nn.Module``: its facts, read without changing anything in it.

Nothing of the module is called but ``repr`` (when it is printed). Attributes are read from the
instance's own dictionaries, so that no property or ``__getattr__`` of the user's runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from weigh._errors import SourceError
from weigh._facts import Facts, FoundLayer, FoundTensor, Role
from weigh._sources.torch_values import TorchValues

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
    """
    layers: list[FoundLayer] = []
    tensors: list[FoundTensor] = []
    first: dict[int, str] = {}
    classes: dict[type, _Class] = {}
    for path, module in _walk(network):
        if len(layers) == _MAX_PATHS:
            raise SourceError(f"the modules have more than {_MAX_PATHS:,} paths")
        if module is None:
            layers.append(FoundLayer(path, absent=True))
            continue
        again = first.setdefault(id(module), path)
        kind = type(module)
        if kind not in classes:
            classes[kind] = _Class.of(kind)
        layers.append(_layer(path, module, classes[kind], None if again == path else again))
        tensors.extend(_tensors(path, module))
    return Facts(
        format="live",
        location=type(network).__qualname__,
        layers=tuple(layers),
        tensors=tuple(tensors),
    )


def _walk(network: Any) -> Iterator[tuple[str, Any]]:
    """Go through all modules under every path they have, parents before children."""
    stack: list[tuple[str, Any, tuple[int, ...]]] = [("", network, ())]
    while stack:
        path, module, above = stack.pop()
        if id(module) in above:
            raise SourceError(
                f"the module at {path!r} contains itself", do="PyTorch cannot print it either."
            )
        if len(above) > _MAX_DEPTH:
            raise SourceError(f"modules are nested more than {_MAX_DEPTH} deep")
        yield path, module
        if module is None:
            continue
        children = [
            (f"{path}.{name}" if path else name, child, (*above, id(module)))
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


class _Class:
    """What is the same for all layers of a class, looked up once.

    Attributes:
        path: its full name.
        bases: the full names of the classes it extends.
        arguments: the names of its constructor's arguments with their defaults, in order.
    """

    __slots__ = ("arguments", "bases", "path")

    @classmethod
    def of(cls, kind: type) -> _Class:
        """Look a class up; PyTorch's own, which never go away, are remembered."""
        return _remembered(kind) if kind.__module__.startswith("torch.") else cls(kind)

    def __init__(self, kind: type) -> None:
        self.path, *bases = (f"{one.__module__}.{one.__qualname__}" for one in kind.__mro__[:-1])
        self.bases = tuple(bases)
        self.arguments = [
            (argument.name, argument.default)
            for argument in _constructor_arguments(kind)
            if argument.name not in _SKIPPED and not argument.kind.name.startswith("VAR_")
        ]
        self.arguments += [(name, inspect.Parameter.empty) for name in _BY_KEYWORD]


@functools.lru_cache(1024)
def _remembered(kind: type) -> _Class:
    return _Class(kind)


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
        if one.__module__.startswith("torch.") and named:
            return


def _layer(path: str, module: Any, kind: _Class, same_as: str | None) -> FoundLayer:
    attributes, defaults = _arguments(module, kind)
    return FoundLayer(
        path=path,
        kind=_kind_name(module),
        class_path=kind.path,
        bases=kind.bases,
        attributes=attributes,
        defaults=defaults,
        describe=functools.partial(repr, module),
        same_as=same_as,
    )


def _kind_name(module: Any) -> str:
    """Give the name that PyTorch prints: quantized classes have another than their own.

    A compiled module (TorchScript) is known by the class it was made from.
    """
    kind = type(module)
    if "_c" in module.__dict__.get("_actual_script_module", module).__dict__:
        return str(module.original_name)
    return str(module._get_name()) if kind.__module__.startswith(_QUANTIZED) else kind.__name__


def _arguments(module: Any, kind: _Class) -> tuple[dict[str, object], dict[str, object]]:
    """Read the constructor's arguments off the layer, and their defaults."""
    values: dict[str, object] = {}
    defaults: dict[str, object] = {}
    for name, default in kind.arguments:
        if name in values:
            continue
        found, value = _attribute(module, name)
        if found:
            values[name] = value
            if default is not inspect.Parameter.empty and _is_simple(default):
                defaults[name] = _plain(default)
    return values, defaults


def _attribute(module: Any, name: str) -> tuple[bool, object]:
    """Look an argument up among the layer's own attributes.

    A switch such as ``bias=True`` is kept as a Parameter that is there or is None.
    """
    own = module.__dict__
    if name in own and _is_simple(own[name]):
        return True, _plain(own[name])
    parameters: Mapping[str, Any] = own.get("_parameters", {})
    if name == "bias":
        # A pruned bias is kept under another name.
        names = [n for n in ("bias", "in_proj_bias", "bias_orig") if n in parameters]
        if names:
            return True, parameters[names[0]] is not None
        if hasattr(type(module), "_weight_bias"):
            return False, None
        if "bias" in own.get("_modules", {}).get("parametrizations", ()):
            return True, True
    if name == "add_bias_kv" and "bias_k" in own | dict(parameters):
        return True, parameters.get("bias_k") is not None
    return False, None


_PLAIN = (type(None), bool, int, float, str)


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


def _tensors(path: str, module: Any) -> Iterator[FoundTensor]:
    prefix = f"{path}." if path else ""
    for name, value in _table(path, module, "_parameters").items():
        if value is not None:
            yield _tensor(f"{prefix}{name}", value, "parameter", learnable=value.requires_grad)
    for name, value in _table(path, module, "_buffers").items():
        if value is not None:
            yield _tensor(f"{prefix}{name}", value, "buffer")
    for name, value in _packed(module):
        # Each unpacking makes new tensors: the layer and the name tell which one it is.
        identity = ("packed", id(module), name)
        yield _tensor(f"{prefix}{name}", value, "other", packed_identity=identity)


def _tensor(
    name: str,
    value: Any,
    role: Role,
    *,
    learnable: bool | None = None,
    packed_identity: Hashable = None,
) -> FoundTensor:
    return FoundTensor(
        name=name,
        values=TorchValues(value),
        role=role,
        learnable=learnable if role == "parameter" else False,
        identity=packed_identity or id(value),
        quantization=_quantization(value) if value.is_quantized else None,
        packed=packed_identity is not None,
        device=_device_name(value.device),
    )


@functools.lru_cache(64)
def _device_name(device: object) -> str:
    return str(device)


def _quantization(value: Any) -> str:
    """Tell how stored values map to real ones, as PyTorch prints it."""
    scheme = str(value.qscheme())
    if "per_tensor" in scheme:
        scale, zero = value.q_scale(), value.q_zero_point()
        return f"quantization_scheme={scheme}, scale={scale}, zero_point={zero}"
    scale, zero = value.q_per_channel_scales(), value.q_per_channel_zero_points()
    axis = value.q_per_channel_axis()
    return f"quantization_scheme={scheme}, scale={scale}, zero_point={zero}, axis={axis}"


def _packed(module: Any) -> Iterator[tuple[str, Any]]:
    """Give the weights that a quantized layer keeps inside an opaque object.

    A layer of torch.ao hands out its weights by ``_weight_bias`` or ``weight``, which unpack a
    copy and change nothing: a pair, or for a recurrent layer two dicts by name.
    """
    kind = type(module)
    # The packed objects are modules too; their weights belong to the layer that holds them.
    if not kind.__module__.startswith(_QUANTIZED) or "Packed" in kind.__name__:
        return
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
    yield from ((name, value) for name, value in named.items() if value is not None)
