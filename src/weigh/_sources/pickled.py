"""What a pickle says, as plain data: nothing here was imported, called or hashed."""

from __future__ import annotations

from collections.abc import Sequence

from weigh._errors import FormatError

MAPPINGS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")
"""The calls that make mappings."""


class Global:
    """A class or function that the pickle names; it is not looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @property
    def path(self) -> str:
        """The full name."""
        return f"{self.module}.{self.name}"


class Call:
    """A call that the pickle asks for, and what it then does with the result; none is made.

    Attributes:
        function: what would be called.
        arguments: with what.
        states: what BUILD would set on the result.
        items: what would be appended or added to it.
        pairs: what would be set in it as a mapping.
    """

    __slots__ = ("arguments", "function", "items", "pairs", "states")

    def __init__(self, function: object, arguments: object) -> None:
        self.function, self.arguments = function, arguments
        # Most calls are of tensors and have none of these: three lists would double their size.
        self.states: list[object] | tuple[()] = ()
        self.items: list[object] | tuple[()] = ()
        self.pairs: list[tuple[object, object]] | tuple[()] = ()

    @property
    def path(self) -> str:
        """The full name of what would be called, or "" when that is no plain name."""
        return self.function.path if isinstance(self.function, Global) else ""


class Persistent:
    """An object kept outside the pickle: for PyTorch a storage."""

    __slots__ = ("pid",)

    def __init__(self, pid: object) -> None:
        self.pid = pid


class Pairs:
    """A dict as the list of its pairs, so that no key is ever hashed."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[object, object]] = []


class Items:
    """A set or frozenset as a list of its items, none of them hashed."""

    __slots__ = ("items",)

    def __init__(self, items: list[object]) -> None:
        self.items = items


class Pickle:
    """What a pickle holds.

    Attributes:
        value: the object, made of the classes above and of plain lists, tuples, text (a
            ``LongText`` where long), bytes (a ``Part`` of the file), numbers, truth values
            and None.
        globals: the full name of everything that a loader would import.
        outside: the ids of all objects kept outside the pickle.
        start: where the pickle begins, in bytes.
        end: where it ends.
    """

    __slots__ = ("end", "globals", "outside", "start", "value")

    def __init__(
        self,
        value: object,
        names: frozenset[str],
        outside: list[Persistent],
        place: tuple[int, int],
    ) -> None:
        self.value, self.globals, self.outside = value, names, outside
        self.start, self.end = place


def pairs_of(thing: object) -> Sequence[tuple[object, object]] | None:
    """Give a mapping's pairs: of a dict, or of a call that makes an ordered or default one."""
    if isinstance(thing, Pairs):
        return thing.pairs
    if isinstance(thing, Call) and thing.path in MAPPINGS:
        given = thing.arguments[0] if isinstance(thing.arguments, tuple) and thing.arguments else ()
        if isinstance(given, list) and given:
            # Looked at once, however often the mapping is mentioned.
            if not all(isinstance(part, tuple | list) and len(part) == 2 for part in given):
                raise FormatError("the pickle makes a mapping of what are no pairs")
            thing.pairs = [*((part[0], part[1]) for part in given), *thing.pairs]
            thing.arguments = ()
        return thing.pairs
    return None
