"""Classes made of named fields, as ``dataclasses`` makes them, at a tenth of the time.

``dataclasses`` compiles up to eight methods for each class and loads ``inspect``; for the forty
classes that every start needs that took longer than reading a file. Here only ``__init__`` is
compiled, and what compares, prints and freezes is shared. ``dataclasses.replace``, ``fields`` and
``asdict`` work on these classes all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")

_NONE = object()


class _Field:
    """What a class says of a field that has no plain default."""

    __slots__ = ("factory", "init")

    def __init__(self, factory: Callable[[], object] | None, *, init: bool) -> None:
        self.factory, self.init = factory, init


def field(*, default_factory: Callable[[], Any] | None = None, init: bool = True) -> Any:
    """Say what makes a field's default, or that it is no argument.

    Args:
        default_factory: makes the default; None stands for it as an argument.
        init: False for a field that ``__post_init__`` sets.
    """
    return _Field(default_factory, init=init)


@dataclass_transform(field_specifiers=(field,))
def record(
    *, frozen: bool = False, slots: bool = True, eq: bool = True
) -> Callable[[type[T]], type[T]]:
    """Make a class of the fields that it declares.

    Args:
        frozen: whether its fields stay as they are, so that it can be a key.
        slots: whether it has room for its fields alone.
        eq: whether two with equal fields are equal.

    Examples:
        >>> @record(frozen=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(1), Point(1) == Point(1, 0)
        (Point(x=1, y=0), True)
    """

    def make(cls: Any) -> Any:
        own: dict[str, Any] = {n: cls.__dict__.get(n, _NONE) for n in cls.__annotations__}
        inherited = getattr(cls, "_record_fields", {})
        for name, default in own.items():
            if default is not _NONE and (slots or isinstance(default, _Field)):
                delattr(cls, name)
        if slots:
            cls = _with_slots(cls, tuple(name for name in own if name not in inherited))
        fields = inherited | own
        taken = [n for n, one in fields.items() if not isinstance(one, _Field) or one.init]
        cls._record_fields = fields
        cls.__match_args__ = tuple(taken)  # type: ignore[misc] # mypy thinks of one class alone
        cls.__dataclass_fields__ = _DataclassFields()
        cls.__init__ = _init(cls, fields, taken, frozen=frozen)
        if cls.__repr__ is object.__repr__:
            cls.__repr__ = _repr
        if eq:
            _compare(cls, attrgetter(*fields), frozen=frozen)
        if frozen:
            cls.__setattr__, cls.__delattr__ = _refuse_setting, _refuse_deleting
        if frozen and slots:  # copying and pickling would set the fields one by one
            cls.__getstate__, cls.__setstate__ = _state, _set_state
        return cls

    return make


def changed(one: T, /, **changes: object) -> T:
    """Copy a record with some of its fields changed; as ``dataclasses.replace``.

    Examples:
        >>> from weigh._dtypes import DTYPES
        >>> changed(DTYPES["int8"], bits=4).bits
        4
    """
    made: Callable[..., T] = type(one)
    names: tuple[str, ...] = type(one).__match_args__  # type: ignore[attr-defined]
    return made(**{name: getattr(one, name) for name in names} | changes)


def _with_slots(cls: Any, names: tuple[str, ...]) -> Any:
    """Make a class anew with slots, which can only be given when it is made."""
    body = {k: v for k, v in cls.__dict__.items() if k not in ("__dict__", "__weakref__")}
    made = type(cls)(cls.__name__, cls.__bases__, {**body, "__slots__": names})
    made.__qualname__ = cls.__qualname__
    return made


def _init(
    cls: Any, fields: dict[str, Any], taken: list[str], *, frozen: bool
) -> Callable[..., None]:
    """Compile the constructor: it is called for every tensor, so it has no loop in it."""
    names: dict[str, Any] = {"_set": object.__setattr__}
    arguments, lines = [], []
    for name in taken:
        default, value, argument = fields[name], name, name
        if isinstance(default, _Field):
            names[f"_make_{name}"] = default.factory
            argument, value = f"{name}=None", f"_make_{name}() if {name} is None else {name}"
        elif default is not _NONE:
            names[f"_default_{name}"] = default
            argument = f"{name}=_default_{name}"
        arguments.append(argument)
        lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    text = f"def __init__(self, {', '.join(arguments)}):\n " + "\n ".join(lines or ["pass"])
    exec(compile(text, "<record>", "exec"), names)
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    made.__annotations__ = getattr(cls.__init__, "__annotations__", {}) | cls.__annotations__
    return made


def _compare(cls: Any, values: Callable[[Any], Any], *, frozen: bool) -> None:
    """Let records of a class be compared by their fields, and hashed if these stay."""

    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    cls.__eq__ = equal
    cls.__hash__ = (lambda self: hash(values(self))) if frozen else None


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._record_fields)
    return f"{type(self).__qualname__}({shown})"


def _refuse_setting(_: object, name: str, __: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(_: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in self._record_fields)


def _set_state(self: object, state: tuple[Any, ...]) -> None:
    for name, value in zip(type(self)._record_fields, state, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(self, name, value)


class _DataclassFields:
    """The fields of a class as ``dataclasses`` knows them, made when it asks."""

    def __get__(self, _: object, owner: Any) -> dict[str, Any]:
        import dataclasses

        def stated(one: Any) -> Any:
            if not isinstance(one, _Field):
                return dataclasses.field(default=dataclasses.MISSING if one is _NONE else one)
            if one.factory is None:
                return dataclasses.field(init=one.init)
            return dataclasses.field(default_factory=one.factory, init=one.init)

        fields: dict[str, Any] = {}
        for name, one in owner._record_fields.items():
            made: Any = stated(one)
            # By hand: making a dataclass of them would compile code while a file is read.
            made.name, made.type = name, owner.__init__.__annotations__[name]
            made._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
            fields[name] = made
        return fields
