"""What a pickled checkpoint holds: its network, told apart from what was saved beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from weigh._errors import SourceError, UnsupportedError
from weigh._facts import Facts, FoundTensor, Role
from weigh._sources.accounts import account
from weigh._sources.bytes import ByteSource
from weigh._sources.contents import Contents, attributes, contents_of, inside
from weigh._sources.parts import Path, joined, tell_apart
from weigh._sources.pickled import Call, Global, Pickle
from weigh._sources.plain_text import key_text
from weigh._sources.torch_pickle import PickledTensor, TensorReader, pairs_of

_MAX_FACTS, _MAX_NAME = 100, 4096


class _Pickled:
    """The containers of a pickle."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        return inside(thing) or ()

    def is_mapping(self, thing: object) -> bool:
        return pairs_of(thing) is not None


def checkpoint_facts(
    format_name: str,
    source: ByteSource,
    pickle: Pickle,
    reader: TensorReader,
    sizes: Callable[[], tuple[int, int]],
) -> Facts:
    """Sort a checkpoint's tensors into network, optimizer and others.

    Args:
        format_name: the format.
        source: the file.
        pickle: what it holds.
        reader: reads the tensors in it.
        sizes: gives the bytes of metadata and of padding, once all tensors are read.

    Raises:
        FormatError: two tensors share a name, or the nesting is out of bounds.
        UnsupportedError: the network is a whole pickled module.
        SourceError: it holds no tensor.
    """
    contents = contents_of(pickle, reader)
    parts = tell_apart(_Pickled(), pickle.value, contents.tensors)
    if contents.modules and all(role is not None for _, role, _ in parts.rows):
        raise UnsupportedError(
            f"a whole pickled module ({contents.modules[0][1]}) is not read yet",
            do="Load it where its code is and save its state_dict().",
        )
    if not contents.tensors:
        raise _no_tensor(pickle, contents)
    tensors = tuple(_found(*row) for row in parts.rows)
    metadata, padding = sizes()
    return Facts(
        format=format_name,
        location=source.name,
        tensors=tensors,
        layers=parts.layers(lambda path: _versions(pickle.value, path)),
        metadata=_metadata(contents),
        notes=(*parts.notes, *_notes(contents)),
        accounts=account(source, tensors, metadata=metadata, padding=padding),
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
    return f"a {type(thing).__name__}"


def _no_tensor(pickle: Pickle, contents: Contents) -> SourceError:
    if contents.unread:
        made = next(iter(contents.unread))
        return SourceError("it holds no tensors that Weigh reads", seen=f"some made by {made}")
    return SourceError(
        "it holds no tensors", seen=describe(pickle.value), do="A state dict holds some."
    )


def _found(name: str, role: Role | None, tensor: PickledTensor) -> FoundTensor:
    stated = tensor.parameter and role is None
    return FoundTensor(
        name=name,
        values=tensor.values,
        role="parameter" if stated else role,
        learnable=tensor.requires_grad if stated else None,
        identity=tensor.identity,
        quantization=tensor.quantization,
    )


def _versions(top: object, path: Path) -> list[str]:
    """Give the paths of layers that the state dict at a path lists, those without tensors too."""
    thing = top
    for name in path:
        thing = next((item for key, item in inside(thing) or () if key == name), None)
    versions = next((value for name, value in attributes(thing) if name == "_metadata"), None)
    names = dict.fromkeys(name for name, _ in inside(versions) or ())
    return [name for name in names if len(name) <= _MAX_NAME]


def _metadata(contents: Contents) -> dict[str, str]:
    """Keep the plain values that stand highest: the epoch before an optimizer's settings."""
    highest = sorted(contents.facts, key=lambda fact: len(fact[0]))[:_MAX_FACTS]
    named = ((".".join(part[:200] for part in path), text) for path, text in highest)
    return {name[:200]: text for name, text in named}


def _notes(contents: Contents) -> Iterator[str]:
    for path, name in contents.modules[:20]:
        yield f"{joined(path)!r} is a whole pickled module ({name}) and is not read."
    for maker, (count, path) in islice(contents.unread.items(), 20):
        first = joined(path)
        more = f" and {count - 1:,} more are" if count > 1 else " is"
        yield f"{first!r}{more} not read: made by {maker}."
    if contents.storages:
        yield f"{contents.storages:,} storage(s) outside any tensor are not shown."
    wrappers = {tensor.wrapper for _, tensor in contents.tensors if tensor.wrapper}
    for name in sorted(wrappers)[:20]:
        yield f"Some tensors are of the class {name}; their plain values are shown."
