"""What a pickled checkpoint holds: its network, told apart from what was saved beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from weigh._errors import SourceError
from weigh._facts import Facts, FoundLayer, FoundTensor, Role
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.contents import Contents, contents_of, inside
from weigh._sources.imports import imports_of
from weigh._sources.long_values import LongText
from weigh._sources.part import Part
from weigh._sources.parts import Parts, Path, Place, joined, tell_apart
from weigh._sources.pickled import Call, Global, Pickle, pairs_of
from weigh._sources.pickled_modules import attributes, is_module
from weigh._sources.pickled_tensor import PickledTensor
from weigh._sources.plain_text import key_text
from weigh._sources.torch_pickle import TensorReader

_MAX_FACTS, _MAX_NAME = 100, 4096
_MAX_IMPORTS, _SHOWN_IMPORTS = 4000, 6
_USUAL = re.compile(
    r"torch\.(?:nn|ao)\..*|torch\.(?:_utils|_tensor)\._rebuild\w+"
    r"|torch\.(?:\w+Storage|Size|device|ScriptObject|per_\w+|q?u?(?:int|float|bfloat)\d+\w*|bool)"
    r"|collections\.(?:OrderedDict|defaultdict)"
    r"|(?:builtins|__builtin__)\.(?:set|frozenset|dict|list|tuple|object|slice|complex|bytearray)"
)
"""What PyTorch's own layers name; anything else is worth a look before it is loaded."""


class _Pickled:
    """The containers of a pickle."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        return inside(thing) or ()

    def is_mapping(self, thing: object) -> bool:
        return pairs_of(thing) is not None or is_module(thing)

    def is_module(self, thing: object) -> bool:
        return is_module(thing)


def checkpoint_facts(
    format_name: str,
    source: ByteSource,
    pickle: Pickle,
    reader: TensorReader,
    sizes: Callable[[], tuple[int, int]],
    beside: Iterable[Pickle] = (),
) -> Facts:
    """Sort a checkpoint's tensors into network, optimizer and others.

    Args:
        format_name: the format.
        source: the file.
        pickle: what it holds.
        reader: reads the tensors in it.
        sizes: gives the bytes of metadata and of padding, once all tensors are read.
        beside: the other pickles of the file, which a loader runs too.

    Raises:
        FormatError: two tensors share a name, or the nesting is out of bounds.
        SourceError: it holds neither a tensor nor a module.
    """
    contents = contents_of(pickle, reader)
    if not contents.tensors and not contents.modules:
        raise _no_tensor(pickle, contents)
    parts = tell_apart(_Pickled(), pickle.value, contents.tensors)
    tensors = tuple(found_tensor(*row) for row in parts.rows)
    metadata, padding = sizes()
    return Facts(
        format=format_name,
        location=source.name,
        tensors=tensors,
        layers=tuple(_layers(pickle.value, parts, contents)),
        metadata=_metadata(contents) | _imports(pickle, contents),
        notes=(*parts.notes, *_notes(parts, contents), *_imports_note(pickle, contents)),
        accounts=account(source, tensors, metadata=metadata, padding=padding),
        imports=imports_of(source.name, pickle, *beside),
    )


def describe(thing: object) -> str:
    """Tell in a few words what a pickled object is."""
    pairs = pairs_of(thing)
    if pairs is not None:
        keys = ", ".join(repr(key_text(key)[:40]) for key, _ in islice(pairs, 5))
        more = ", ..." if len(pairs) > 5 else ""
        return f"a dict with the keys {keys}{more}" if keys else "an empty dict"
    if isinstance(thing, Call):
        return f"an object made by {thing.path or 'a call'}"
    if isinstance(thing, Global):
        return f"the name {thing.path}"
    if isinstance(thing, LongText):
        return "a long text"
    if isinstance(thing, Part):
        return "a long byte string"
    name = type(thing).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _no_tensor(pickle: Pickle, contents: Contents) -> SourceError:
    if contents.unread:
        made = next(iter(contents.unread))
        return SourceError("it holds no tensors that Weigh reads", seen=f"some made by {made}")
    seen = f"{describe(pickle.value)}{naming(pickle)}"
    return SourceError("it holds no tensors", seen=seen, do="A state dict holds some.")


def naming(pickle: Pickle) -> str:
    """Name what a loader would import, and may run, beside PyTorch's own; "" if nothing is."""
    own = sorted(name for name in pickle.globals if not _USUAL.fullmatch(name))
    shown = ", ".join(name[:200] for name in own[:_SHOWN_IMPORTS])
    more = f" and {len(own) - _SHOWN_IMPORTS:,} more" if len(own) > _SHOWN_IMPORTS else ""
    return f", naming {shown}{more}" if own else ""


def found_tensor(name: str, role: Role | None, tensor: PickledTensor) -> FoundTensor:
    """State a pickled tensor.

    Args:
        name: its full name.
        role: its role where it is none of the network's; None otherwise.
        tensor: what the pickle says of it.
    """
    slot = tensor.slot or ("parameter" if tensor.parameter else None)
    learns = slot == "parameter" and tensor.requires_grad
    return FoundTensor(
        name=name,
        values=tensor.values,
        role=role or slot,
        learnable=learns if slot and role is None else None,
        identity=tensor.identity,
        quantization=tensor.quantization,
        packed=tensor.packed,
    )


def _layers(top: object, parts: Parts[PickledTensor], contents: Contents) -> Iterator[FoundLayer]:
    """Give the layers that whole modules are, or that state dicts list by path."""
    modules = {module.path: module for module in contents.modules}
    places = parts.places
    if modules and not contents.tensors:
        places = [Place(next(iter(modules)))]
    if not any(place.path in modules for place in places):
        yield from parts.layers(_Pickled(), top, _versions)
        return
    for place in places:
        if place.path in modules:
            yield from (_below(place.prefix, one) for one in modules[place.path].layers)
        else:
            # Where some layers are stated, all must be: their kinds stay unstated.
            own = [name for name, role, _ in parts.rows if role is None]
            start = ".".join((*place.prefix, ""))
            paths = (name.rpartition(".")[0] for name in own if name.startswith(start))
            yield from map(FoundLayer, dict.fromkeys(paths))


def _below(prefix: Path, layer: FoundLayer) -> FoundLayer:
    """Put a module's layer where the module is."""

    def put(path: str) -> str:
        return ".".join(part for part in (*prefix, path) if part)

    same_as = None if layer.same_as is None else put(layer.same_as)
    return replace(layer, path=put(layer.path), same_as=same_as) if prefix else layer


def _versions(thing: object) -> list[str]:
    """Give the paths of layers that a state dict lists, those without tensors too."""
    versions = next((value for name, value in attributes(thing) if name == "_metadata"), None)
    names = dict.fromkeys(name for name, _ in inside(versions) or ())
    return [name for name in names if len(name) <= _MAX_NAME]


def _metadata(contents: Contents) -> dict[str, str]:
    """Keep the plain values that stand highest: the epoch before an optimizer's settings."""
    highest = sorted(contents.facts, key=lambda fact: len(fact[0]))[:_MAX_FACTS]
    named = ((".".join(part[:200] for part in path), text) for path, text in highest)
    return {name[:200]: text for name, text in named}


def _notes(parts: Parts[PickledTensor], contents: Contents) -> Iterator[str]:
    yield from contents.notes[:20]
    places = {place.path for place in parts.places}
    beside = [one for one in contents.modules if places and one.path not in places]
    for module in beside[:20]:
        yield f"{joined(module.path)!r} is a whole module ({module.class_path}) beside the network."
    yield from unread_notes(contents)


def unread_notes(contents: Contents) -> Iterator[str]:
    """Say what was left out of a pickle, and what was not read."""
    for maker, (count, path) in islice(contents.unread.items(), 20):
        first = joined(path)
        more = f" and {count - 1:,} more are" if count > 1 else " is"
        yield f"{first!r}{more} not read: made by {maker}."
    if contents.storages:
        yield f"{contents.storages:,} storage(s) outside any tensor are not shown."
    wrappers = {tensor.wrapper for _, tensor in contents.tensors if tensor.wrapper}
    for name in sorted(wrappers)[:20]:
        yield f"Some tensors are of the class {name}; their plain values are shown."


def _imports(pickle: Pickle, contents: Contents) -> dict[str, str]:
    """Keep the names that PyTorch would import to load whole modules."""
    if not contents.modules:
        return {}
    text = ", ".join(sorted(pickle.globals))
    return {"pickle.globals": text if len(text) <= _MAX_IMPORTS else f"{text[:_MAX_IMPORTS]}…"}


def _imports_note(pickle: Pickle, contents: Contents) -> Iterator[str]:
    """Say what PyTorch would import and run to load whole modules."""
    if not contents.modules:
        return
    names = sorted(pickle.globals)
    own = [name[:200] for name in names if not _USUAL.fullmatch(name)]
    shown = ", ".join((own or [m.class_path for m in contents.modules])[:_SHOWN_IMPORTS])
    more = len(own) - _SHOWN_IMPORTS
    yield (
        "It holds whole modules: torch.load would import and run code to make them, such as "
        f"{shown}{f' and {more:,} more' if more > 0 else ''}. Weigh ran nothing."
    )
