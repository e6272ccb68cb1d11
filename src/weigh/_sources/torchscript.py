"""TorchScript archives (``torch.jit.save``): a pickle of modules beside the code of their classes.

The pickle names each module's class and lists its attributes; which of them are parameters, which
buffers, and what the constants are (a convolution's stride), its code says in a few fixed lines.
"""

from __future__ import annotations

import re
from dataclasses import replace

from weigh._errors import UnsupportedError
from weigh._facts import Facts, FoundTensor, Role
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.checkpoint import describe, found_tensor, unread_notes
from weigh._sources.contents import Contents, contents_of
from weigh._sources.imports import Imports, imports_of, united
from weigh._sources.module_tree import ModuleView, plain_value
from weigh._sources.parts import check_once, joined
from weigh._sources.pickled import Call
from weigh._sources.pickled_modules import attributes
from weigh._sources.pickled_tensor import PickledTensor, Unread
from weigh._sources.pickles import read_pickle
from weigh._sources.script_code import ScriptClass, script_classes
from weigh._sources.torch_pickle import TensorReader
from weigh._sources.torch_zip import ZipStorages, root_of
from weigh._sources.zips import Member, member_part, read_directory, unpacked_member

_MAX_PICKLE, _MAX_CODE = 1 << 29, 1 << 25
_FEW_CONSTANTS = 16
"""So many constants a class may have without counting: they are in the code, not the pickle."""

_MANGLED = re.compile(r"___torch_mangle_\d+\.")
_OPAQUE = "__torch__.torch.classes."
_TYPED = "torch.jit._pickle."
"""Functions of this home say of which type a list is, and give it back."""


def read(source: ByteSource) -> Facts:
    """State the facts of an archive, reading its directory, pickles and code and no values.

    Raises:
        FormatError: the archive, a pickle or the code breaks the rules.
        UnsupportedError: it holds no module.
    """
    members = read_directory(source)
    root = root_of(members)
    script = _Script(source, members, root)
    pickle = read_pickle(member_part(source, members[f"{root}data.pkl"], most=_MAX_PICKLE))
    if not script.is_module(pickle.value):
        raise UnsupportedError(
            "a TorchScript archive without a module", seen=describe(pickle.value)
        )
    contents = contents_of(pickle, script.reader, script.view, script.is_module)
    constants, kept, named = _constants(source, members, root)
    own = [found_tensor(joined(path), None, one) for path, one in contents.tensors]
    tensors = (*own, *constants)
    check_once(tensor.name for tensor in tensors)
    places = (script.storages.taken(), kept)
    padding = sum(pad for _, pad in places)
    metadata = source.size - padding - sum(size for size, _ in places)
    return Facts(
        format="torchscript",
        location=source.name,
        tensors=tensors,
        layers=tuple(contents.modules[0].layers),
        notes=(*_notes(constants), *contents.notes, *unread_notes(contents)),
        accounts=account(source, tensors, metadata=metadata, padding=padding),
        imports=united((imports_of("data.pkl", pickle), named)),
    )


def original_name(path: str) -> str:
    """Give the name that a class had before it was compiled.

    Examples:
        >>> original_name("__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d")
        'torch.nn.modules.conv.Conv2d'
    """
    return _MANGLED.sub("", path.removeprefix("__torch__."))


class _Script:
    """Tells what the modules of one archive hold."""

    def __init__(self, source: ByteSource, members: dict[str, Member], root: str) -> None:
        self._source, self._members, self._root = source, members, root
        self._files: dict[str, dict[str, ScriptClass]] = {}
        self._left = _MAX_CODE
        self.storages = ZipStorages(source, members, root)
        self.reader = TensorReader(self.storages.values)

    def class_of(self, path: str) -> ScriptClass | None:
        """Give what the code says of a class; None where there is no code."""
        home, _, name = path.rpartition(".")
        if home not in self._files:
            member = self._members.get(f"{self._root}code/{home.replace('.', '/')}.py")
            self._files[home] = {} if member is None else script_classes(self._code(member))
        return self._files[home].get(name)

    def _code(self, member: Member) -> str:
        code = unpacked_member(self._source, member, most=self._left)
        self._left -= len(code)
        return code.decode("utf-8", "replace")

    def is_module(self, thing: object) -> bool:
        """Whether an object is a module, and not of another class that a script may have."""
        if not isinstance(thing, Call) or not thing.path.startswith("__torch__."):
            return False
        if thing.path.startswith(_OPAQUE):
            return False
        head = self.class_of(thing.path)
        return head is None or head.base == "Module"

    def view(self, thing: Call) -> ModuleView:
        """Tell what one module holds."""
        head = self.class_of(thing.path) or ScriptClass()
        made = ModuleView(original_name(thing.path))
        own = dict(attributes(thing))
        for name, value in own.items():
            if isinstance(self.reader.read(value), PickledTensor | Unread):
                made.slots.append((name, _role(name, head), value))
            elif self.is_module(value):
                made.children.append((name, value))
            else:
                self._attribute(made, name, value)
        public = {n: v for n, v in head.constants.items() if not n.startswith("_")}
        made.attributes |= public
        made.size = len(own) + max(len(public) - _FEW_CONSTANTS, 0)
        if made.class_path.startswith("torch."):
            for name in ("bias", "in_proj_bias"):
                if name in own and "bias" not in public:
                    made.attributes["bias"] = own[name] is not None
        return made

    def _attribute(self, made: ModuleView, name: str, value: object) -> None:
        listed = value
        if isinstance(value, Call) and value.path.startswith(_TYPED):
            given = value.arguments
            listed = given[0] if isinstance(given, tuple) and given else None
        plain, known = plain_value(listed)
        if not plain:
            made.rest.append((name, listed))
        elif not name.startswith("_") and name != "training":
            made.attributes[name] = known


def _role(name: str, head: ScriptClass) -> Role | None:
    if name in (head.parameters or ()):
        return "parameter"
    if name in (head.buffers or ()):
        return "buffer"
    return None if head.buffers is None else "other"


def _constants(
    source: ByteSource, members: dict[str, Member], root: str
) -> tuple[list[FoundTensor], tuple[int, int], Imports]:
    """Give the tensors that the code uses as constants, with their bytes and padding."""
    member = members[f"{root}constants.pkl"]
    storages = ZipStorages(source, members, root, "constants/")
    pickle = read_pickle(member_part(source, member, most=_MAX_PICKLE))
    contents: Contents = contents_of(pickle, TensorReader(storages.values))
    # Their storages have numbers of their own.
    named = [
        (f"constants.{joined(path)}", replace(one, identity=("constants", one.identity)))
        for path, one in contents.tensors
    ]
    found = [found_tensor(name, "other", one) for name, one in named]
    return found, storages.taken(), imports_of("constants.pkl", pickle)


def _notes(constants: list[FoundTensor]) -> list[str]:
    if not constants:
        return []
    return [
        f"{len(constants):,} tensor(s) are constants of its code; a frozen module keeps its "
        "weights there, without their names."
    ]
