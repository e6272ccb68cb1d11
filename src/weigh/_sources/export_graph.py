"""The JSON of an exported program (``torch.export``), read for what it states of the network.

The schema is that of ``torch/_export/serde/schema.py``. Of the graph only one thing is taken: the
``nn_module_stack`` of each node, which names the modules that it was called in, outermost first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from weigh._dtypes import DTYPES, DType
from weigh._errors import FormatError, UnsupportedError
from weigh._facts import Role
from weigh._sources.flat_json import Cursor

MOST_JSON = 1 << 25
"""The longest JSON that is read, in bytes: about five seconds of work."""

_MOST_SKIPPED = 3_000_000
_MOST_ENTRIES, _MAX_NAME = 100_000, 4096
_SCALAR_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
    8: "float64", 9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16",
    28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""The dtypes by their numbers in the schema, which are not those of ``c10::ScalarType``."""
_STRIDED = 7


@dataclass(slots=True)
class Payload:
    """Where one tensor of an exported program is.

    Attributes:
        file: the name of the member that holds it.
        parameter: whether it is a Parameter.
        pickled: whether the member is a checkpoint of its own, not bare values.
        requires_grad: whether it learns.
        dtype: the number of its dtype in the schema.
        shape: the size of each axis.
        strides: the distance between neighbours along each axis, in values.
        offset: the value of the storage at which it begins.
        layout: the number of its layout; 7 is strided.
    """

    file: str = ""
    parameter: bool = False
    pickled: bool = False
    requires_grad: bool = False
    dtype: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    offset: int = 0
    layout: int = _STRIDED

    def known_dtype(self) -> DType:
        """Give the dtype.

        Raises:
            UnsupportedError: it is not known, or the tensor is not strided.
        """
        name = _SCALAR_TYPES.get(self.dtype, "")
        if name not in DTYPES or self.layout != _STRIDED:
            seen = f"dtype {self.dtype}, layout {self.layout}"
            raise UnsupportedError("a tensor of a sort that is not read", seen=seen)
        return DTYPES[name]


@dataclass(slots=True)
class Program:
    """What the JSON states of the network.

    Attributes:
        roles: the role of each tensor by name.
        paths: the paths of all modules, in the network's order.
        classes: the full name of the class of each module that was called.
        version: the PyTorch that wrote it.
    """

    roles: dict[str, Role] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    version: str = ""


def read_payloads(text: str) -> dict[str, Payload]:
    """Read the table of weights or constants: ``{"config": {name: where it is}}``.

    Raises:
        FormatError: it is no such table.
    """
    cursor = Cursor(text, most_skipped=_MOST_SKIPPED)
    found: dict[str, Payload] = {}

    def config() -> None:
        for name in cursor.members():
            if name in found or len(found) >= _MOST_ENTRIES or len(name) > _MAX_NAME:
                raise FormatError("two tensors have one name, or a very long one", seen=name[:200])
            found[name] = _payload(cursor)

    _object(cursor, {"config": config})
    cursor.end()
    return found


def read_program(text: str) -> Program:
    """Read the program itself.

    Raises:
        FormatError: it is no JSON of a program.
    """
    cursor = Cursor(text, most_skipped=_MOST_SKIPPED)
    made = Program()

    def module() -> None:
        _object(
            cursor,
            {
                "graph": lambda: _object(cursor, {"nodes": lambda: _nodes(cursor, made)}),
                "signature": lambda: _object(
                    cursor, {"input_specs": lambda: _inputs(cursor, made)}
                ),
                "module_call_graph": lambda: _calls(cursor, made),
            },
        )

    def version() -> None:
        made.version = cursor.string()[:100]

    _object(cursor, {"graph_module": module, "torch_version": version})
    cursor.end()
    return made


def _object(cursor: Cursor, wanted: dict[str, Callable[[], None]]) -> None:
    """Go through an object, taking what is wanted and passing over the rest."""
    for key in cursor.members():
        if key in wanted and cursor.peek() != "n":  # null
            wanted[key]()
        else:
            cursor.skip()


def _flag(cursor: Cursor) -> bool:
    first = cursor.peek()
    cursor.skip()
    return first == "t"


def _payload(cursor: Cursor) -> Payload:
    made = Payload()

    def meta() -> None:
        for key in cursor.members():
            if key == "dtype":
                made.dtype = cursor.integer()
            elif key == "layout":
                made.layout = cursor.integer()
            elif key == "sizes":
                made.shape = _whole_numbers(cursor)
            elif key == "strides":
                made.strides = _whole_numbers(cursor)
            elif key == "storage_offset":
                made.offset = _whole_number(cursor)
            elif key == "requires_grad":
                made.requires_grad = _flag(cursor)
            else:
                cursor.skip()

    for key in cursor.members():
        if key == "path_name":
            made.file = cursor.string()
        elif key == "is_param":
            made.parameter = _flag(cursor)
        elif key == "use_pickle":
            made.pickled = _flag(cursor)
        elif key == "tensor_meta" and cursor.peek() == "{":
            meta()
        else:
            cursor.skip()
    return made


def _whole_numbers(cursor: Cursor) -> tuple[int, ...]:
    numbers: list[int] = []
    for _ in cursor.items():
        if len(numbers) == 64:
            raise cursor.wrong("at most 64 axes were expected")
        numbers.append(_whole_number(cursor))
    return tuple(numbers)


def _whole_number(cursor: Cursor) -> int:
    """Take ``{"as_int": 3}``; of a weight no size is an expression."""
    number = -1
    for key in cursor.members():
        if key == "as_int":
            number = cursor.integer()
        else:
            cursor.skip()
    if number < 0:
        raise cursor.wrong("the size of a stored tensor was expected before here")
    return number


def _nodes(cursor: Cursor, made: Program) -> None:
    def stack() -> None:
        _learn_classes(cursor.string(), made)

    def metadata() -> None:
        _object(cursor, {"nn_module_stack": stack})

    for _ in cursor.items():
        _object(cursor, {"metadata": metadata})


def _learn_classes(stack: str, made: Program) -> None:
    """Note ``key,path,class;key,path,class;...``."""
    for entry in stack.split(";"):
        _, _, rest = entry.partition(",")
        path, _, name = rest.rpartition(",")
        # Brackets and commas occur where a module was reached by an expression.
        plain = name and not set(path) & set("()[],'\"") and len(path) <= _MAX_NAME
        if plain and len(made.classes) < _MOST_ENTRIES:
            made.classes.setdefault(path, name[:1000])


def _inputs(cursor: Cursor, made: Program) -> None:
    """Note which inputs of the graph are parameters, buffers or constants."""
    fields: dict[str, tuple[str, Role]] = {
        "parameter": ("parameter_name", "parameter"),
        "buffer": ("buffer_name", "buffer"),
        "tensor_constant": ("tensor_constant_name", "other"),
    }
    for _ in cursor.items():
        for kind in cursor.members():
            if kind not in fields:
                cursor.skip()
                continue
            key, role = fields[kind]

            def note(role: Role = role) -> None:
                made.roles[cursor.string()] = role
                if len(made.roles) > _MOST_ENTRIES:
                    raise FormatError(f"the program has more than {_MOST_ENTRIES:,} inputs")

            _object(cursor, {key: note})


def _calls(cursor: Cursor, made: Program) -> None:
    def path() -> None:
        name = cursor.string()
        if len(name) <= _MAX_NAME and len(made.paths) < _MOST_ENTRIES:
            made.paths.append(name)

    for _ in cursor.items():
        _object(cursor, {"fqn": path})
