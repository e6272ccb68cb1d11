"""What a checkpoint holds: the network told apart from optimizer state and everything else.

A checkpoint is whatever a training script saved: a state dict, or a dict around one with the
optimizer's state, the epoch and the arguments beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from weigh._errors import FormatError, SourceError, UnsupportedError
from weigh._facts import Facts, FoundLayer, FoundTensor, Role
from weigh._sources.bytes import ByteSource
from weigh._sources.pickles import Call, Global, Items, Persistent, Pickle
from weigh._sources.torch_pickle import PickledTensor, TensorReader, pairs_of

_WRAPPERS = re.compile(
    r"(?:(?:model|module|network|net|params|weights|student|backbone)(?:_state)?(?:_?dict)?"
    r"|state_?dict|model_weights|state)",
    re.IGNORECASE,
)
_OPTIMIZER = re.compile(r"optim|^opt$|scheduler|scaler|^amp$", re.IGNORECASE)
_AVERAGE = re.compile(r"ema|average|swa|teacher", re.IGNORECASE)
_PACKED = re.compile(r"(?P<layer>.*\.)?_packed_params\._packed_params\.(?P<place>[01])")
_PREFIXES = ("module.", "_orig_mod.")
_MAX_DEPTH, _MAX_VISITS, _MAX_FACTS = 100, 3_000_000, 100

Path = tuple[str, ...]


@dataclass(slots=True)
class _Contents:
    """What was found in the pickle, in its order."""

    tensors: list[tuple[Path, PickledTensor]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    unread: int = 0


def checkpoint_facts(
    format_name: str, source: ByteSource, pickle: Pickle, reader: TensorReader
) -> Facts:
    """Sort a checkpoint's tensors into network, optimizer and others.

    Raises:
        FormatError: two tensors share a name, or the nesting is out of bounds.
        UnsupportedError: it is a whole pickled module.
        SourceError: it holds no tensor.
    """
    contents = _contents(pickle.value, reader)
    if not contents.tensors:
        raise SourceError("a PyTorch file without a tensor", seen=describe(pickle.value))
    network = _network_paths(pickle.value, contents)
    tensors, prefix = _named(contents.tensors, network)
    notes = _notes(network, prefix, contents, reader)
    return Facts(
        format=format_name,
        location=source.name,
        tensors=tuple(tensors),
        layers=tuple(_stated_layers(pickle.value, network, prefix, tensors)),
        metadata=contents.facts,
        notes=tuple(notes),
        file_bytes=source.size,
    )


def describe(thing: object) -> str:
    """Tell in a few words what a pickled object is."""
    pairs = pairs_of(thing)
    if pairs is not None:
        keys = ", ".join(repr(_text(key)) for key, _ in pairs[:5])
        return f"a dict with the keys {keys}" if keys else "an empty dict"
    if isinstance(thing, Call):
        return f"an object made by {thing.path or 'a call'}"
    if isinstance(thing, Global):
        return f"the name {thing.path}"
    return f"a {type(thing).__name__}"


def _contents(top: object, reader: TensorReader) -> _Contents:
    """Go through everything reachable, in order, without recursion and within bounds."""
    found = _Contents()
    stack: list[tuple[Path, object, tuple[int, ...]]] = [((), top, ())]
    visits = 0
    while stack:
        path, thing, above = stack.pop()
        visits += 1
        if visits > _MAX_VISITS or len(path) > _MAX_DEPTH:
            raise FormatError("the pickle's objects are nested beyond all bounds")
        tensor = reader.read(thing)
        if tensor is not None:
            found.tensors.append((path, tensor))
            continue
        if _is_module(thing):
            raise UnsupportedError(
                f"a whole pickled module ({_class_of(thing)}) is not read yet",
                do="Load it where its code is and save its state_dict().",
            )
        inside = _inside(thing)
        if inside is None:
            _note_fact(found, path, thing)
        elif id(thing) not in above:
            below = (*above, id(thing))
            stack += [((*path, name), item, below) for name, item in reversed(inside)]
    return found


def _inside(thing: object) -> list[tuple[str, object]] | None:
    """Give what a container holds, by name; None for a plain value."""
    pairs = pairs_of(thing)
    if pairs is not None:
        return [(_text(key), value) for key, value in pairs]
    if isinstance(thing, Items):
        thing = thing.items
    if isinstance(thing, list | tuple):
        return [(str(i), item) for i, item in enumerate(thing)]
    if isinstance(thing, Call):
        # An object of some class: what it would be given as its attributes.
        named = [pair for state in thing.states for pair in _attributes(state)]
        listed = [(str(i), item) for i, item in enumerate(thing.items)]
        set_ = [(_text(key), value) for key, value in thing.pairs]
        return named + listed + set_
    return None


def _attributes(state: object) -> Iterator[tuple[str, object]]:
    """Give the attributes in an object's state: a dict, or a dict and another for slots."""
    for part in state if isinstance(state, tuple) else (state,):
        for key, value in pairs_of(part) or ():
            yield _text(key), value


def _text(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return str(key) if isinstance(key, int | float | None) else f"<{type(key).__name__}>"


def _is_module(thing: object) -> bool:
    if not isinstance(thing, Call):
        return False
    names = {name for state in thing.states for name, _ in _attributes(state)}
    return {"_modules", "_parameters"} <= names


def _class_of(thing: object) -> str:
    call = thing if isinstance(thing, Call) else None
    arguments = call.arguments if call and isinstance(call.arguments, tuple) else ()
    made = [call.function, *arguments] if call else []
    names = [one.path for one in made if isinstance(one, Global)]
    return next((name for name in names if not name.startswith("copyreg")), "of some class")


def _note_fact(found: _Contents, path: Path, thing: object) -> None:
    """Keep a plain value as text: the epoch, an argument."""
    if len(found.facts) >= _MAX_FACTS or isinstance(thing, Persistent):
        return
    if isinstance(thing, Global):
        text = thing.path
    elif isinstance(thing, bool | int | float | str) or thing is None:
        text = thing if isinstance(thing, str) else repr(thing)
    else:
        return
    if len(text) <= 200:
        found.facts[".".join(path)] = text


def _network_paths(top: object, contents: _Contents) -> list[tuple[Path, Path]]:
    """Tell where the network's tensors are: (path in the pickle, what to call it)."""
    return _networks(top, (), contents)


def _networks(thing: object, path: Path, contents: _Contents) -> list[tuple[Path, Path]]:
    held: dict[str, bool] = {}
    for tensor_path, _ in contents.tensors:
        if tensor_path[: len(path)] == path and len(tensor_path) > len(path):
            name = tensor_path[len(path)]
            held[name] = held.get(name, False) or len(tensor_path) == len(path) + 1
    if any(held.values()) or len(path) > 4:
        return [(path, ())]
    items = dict(_inside(thing) or ())
    names = [name for name in held if not _is_optimizer(name, items.get(name))]
    averages = [name for name in names if _AVERAGE.search(name)]
    names = [name for name in names if name not in averages] or averages
    wrapped = [name for name in names if _WRAPPERS.fullmatch(name)]
    if not names:
        return []
    if len(wrapped) == 1:
        return _networks(items.get(wrapped[0]), (*path, wrapped[0]), contents)
    return [((*path, name), (name,)) for name in names]


def _is_optimizer(name: str, thing: object) -> bool:
    if _OPTIMIZER.search(name):
        return True
    keys = {key for key, _ in _inside(thing) or ()}
    return "param_groups" in keys and "state" in keys


def _named(
    found: Sequence[tuple[Path, PickledTensor]], network: list[tuple[Path, Path]]
) -> tuple[list[FoundTensor], str]:
    """Name the tensors and give each its role; strip the prefix that all of them carry."""
    rows: list[tuple[str, Role | None, PickledTensor]] = []
    for path, tensor in found:
        place = next((pair for pair in network if path[: len(pair[0])] == pair[0]), None)
        if place is not None:
            rows.append((_tensor_name((*place[1], *path[len(place[0]) :])), None, tensor))
        else:
            rows.append((".".join(path), _role_outside(path), tensor))
    prefix = _common_prefix([name for name, role, _ in rows if role is None])
    named = [_found(name, role, tensor, prefix) for name, role, tensor in rows]
    taken: set[str] = set()
    for one in named:
        if one.name in taken:
            raise FormatError(f"the checkpoint has two tensors named {one.name!r}")
        taken.add(one.name)
    return named, prefix


def _role_outside(path: Path) -> Role:
    """Tell optimizer state from other things: it is called so, or numbers its parameters."""
    if any(map(_OPTIMIZER.search, path)):
        return "optimizer"
    numbered = any(name == "state" and after.isdecimal() for name, after in pairwise(path[:-1]))
    return "optimizer" if numbered else "other"


def _found(name: str, role: Role | None, tensor: PickledTensor, prefix: str) -> FoundTensor:
    stated = tensor.parameter and role is None
    return FoundTensor(
        name=name.removeprefix(prefix) if role is None else name,
        values=tensor.values,
        role="parameter" if stated else role,
        learnable=tensor.requires_grad if stated else None,
        identity=tensor.identity,
        quantization=tensor.quantization,
    )


def _tensor_name(path: Path) -> str:
    """Join a path; a quantized layer's packed pair is its weight and its bias."""
    packed = _PACKED.fullmatch(".".join(path))
    if packed:
        return f"{packed['layer'] or ''}{('weight', 'bias')[int(packed['place'])]}"
    return ".".join(path) or "tensor"


def _common_prefix(names: Sequence[str]) -> str:
    """Give the prefixes of wrappers (DataParallel, torch.compile) that all names carry."""
    prefix = ""
    while names:
        more = next((p for p in _PREFIXES if all(n.startswith(prefix + p) for n in names)), None)
        if more is None:
            break
        prefix += more
    return prefix


def _stated_layers(
    top: object, network: list[tuple[Path, Path]], prefix: str, tensors: Sequence[FoundTensor]
) -> Iterator[FoundLayer]:
    """Give the layers that a state dict lists by path, those without tensors too.

    ``nn.Module.state_dict`` leaves the version of every layer in the dict's ``_metadata``.
    """
    if len(network) != 1:
        return
    thing = top
    for name in network[0][0]:
        thing = dict(_inside(thing) or ()).get(name)
    states = thing.states if isinstance(thing, Call) else []
    attributes = [pair for state in states for pair in _attributes(state)]
    versions = next((value for name, value in attributes if name == "_metadata"), None)
    wrapper = prefix.removesuffix(".")
    named = {name for name, _ in _inside(versions) or ()}
    under = ".".join(network[0][1])
    taken = {tensor.name for tensor in tensors}
    for path in dict.fromkeys(name for name, _ in _inside(versions) or ()):
        inner = path.removeprefix(prefix) if path.startswith(prefix) else path
        if path and (path == wrapper or wrapper.startswith(f"{path}.")):
            continue
        if not path.endswith("_packed_params") and inner not in taken and named:
            yield FoundLayer(f"{under}.{inner}".strip(".") if under else inner)


def _notes(
    network: list[tuple[Path, Path]], prefix: str, contents: _Contents, reader: TensorReader
) -> Iterator[str]:
    inside = [".".join(path) for path, name in network if path and not name]
    if inside:
        yield f"The network is what the checkpoint keeps under {inside[0]!r}."
    if prefix:
        yield f"The prefix {prefix!r} is left out of every name."
    for name, times in reader.unread.items():
        yield f"{times} object(s) made by {name} are not read."
    wrappers = {tensor.wrapper for _, tensor in contents.tensors if tensor.wrapper}
    for name in sorted(wrappers):
        yield f"Some tensors are of the class {name}; their plain values are shown."
