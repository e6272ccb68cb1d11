"""What a checkpoint holds: the network told apart from optimizer state and everything else.

A checkpoint is whatever a training script saved: a state dict, or a dict around one with the
optimizer's state, the epoch and the arguments beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from weigh._errors import FormatError, SourceError
from weigh._facts import Facts, FoundLayer, FoundTensor, Role
from weigh._sources.bytes import ByteSource
from weigh._sources.contents import Contents, Path, attributes, contents_of, inside
from weigh._sources.pickled import Call, Global, Pickle
from weigh._sources.plain_text import key_text
from weigh._sources.torch_pickle import PickledTensor, TensorReader, pairs_of

_WRAPPERS = re.compile(
    r"(?:(?:model|module|network|net|params|weights|student|backbone)(?:_state)?(?:_?dict)?"
    r"|state_?dict|model_weights|state)",
    re.IGNORECASE,
)
_OPTIMIZER = re.compile(r"optim|^opt$|scheduler|grad_?scaler|^scaler|^amp$", re.IGNORECASE)
_AVERAGE = re.compile(r"(?:^|_|\b)(?:ema|swa|avg|averaged?|teacher)(?:_|\b|$)", re.IGNORECASE)
_PACKED = re.compile(r"(?P<layer>.*\.)?_packed_params\._packed_params\.(?P<place>[01])")
_PREFIXES = ("module.", "_orig_mod.")
_MAX_NESTING, _MAX_FACTS = 4, 100
_MAX_NAME, _MAX_NAMES = 4096, 1 << 27
"""A name is made of the keys that lead to it, and one long key may stand above very many."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the tensors of a network are.

    Attributes:
        path: the keys that lead to it.
        prefix: what to call it where there are several.
        without: what stands there but does not belong to it.
    """

    path: Path
    prefix: Path = ()
    without: frozenset[str] = frozenset()

    def holds(self, path: Path) -> bool:
        """Whether a tensor of this path is one of the network."""
        n = len(self.path)
        return path[:n] == self.path and not (len(path) > n + 1 and path[n] in self.without)


def checkpoint_facts(
    format_name: str, source: ByteSource, pickle: Pickle, reader: TensorReader
) -> Facts:
    """Sort a checkpoint's tensors into network, optimizer and others.

    Raises:
        FormatError: two tensors share a name, or the nesting is out of bounds.
        UnsupportedError: it is a whole pickled module.
        SourceError: it holds no tensor.
    """
    contents = contents_of(pickle, reader)
    if not contents.tensors:
        raise _no_tensor(pickle, contents)
    places = _networks(pickle.value, (), contents)
    tensors, prefix = _named(contents.tensors, places)
    return Facts(
        format=format_name,
        location=source.name,
        tensors=tuple(tensors),
        layers=tuple(_stated_layers(pickle.value, places, prefix, {t.name for t in tensors})),
        metadata=_metadata(contents),
        notes=tuple(_notes(places, prefix, contents)),
        file_bytes=source.size,
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


def _networks(thing: object, path: Path, contents: Contents) -> list[_Place]:
    """Tell where the network is: here, under one of the keys, or under several."""
    if _is_optimizer("", thing):
        return []
    direct, nested = _held(path, contents)
    items = dict(inside(thing) or ())
    state = {name for name in nested if _is_optimizer(name, items.get(name))}
    averages = {name for name in nested if _AVERAGE.search(name)} - state
    names = [name for name in nested if name not in state | averages]
    wrapped = [name for name in names if _WRAPPERS.fullmatch(name)]
    flat = any("." in name for name in direct)
    if len(path) >= _MAX_NESTING or flat or (direct and not wrapped):
        return [_Place(path, (), frozenset(state | averages))]
    names = wrapped or _mappings(names or [n for n in nested if n in averages], items)
    if len(names) == 1 and (wrapped or names[0] in averages):
        return _networks(items.get(names[0]), (*path, names[0]), contents)
    return [_Place((*path, name), (name,)) for name in names]


def _held(path: Path, contents: Contents) -> tuple[list[str], list[str]]:
    """Give the names below a path that are tensors, and those that hold some."""
    direct: dict[str, None] = {}
    nested: dict[str, None] = {}
    n = len(path)
    for full, _ in contents.tensors:
        if full[:n] != path or (len(full) == n and n):
            continue
        if len(full) > n + 1:
            nested[full[n]] = None
        else:
            direct[full[n] if full[n:] else ""] = None
    return list(direct), list(nested)


def _mappings(names: list[str], items: dict[str, object]) -> list[str]:
    """Leave lists out, such as the states of random generators, if there is anything else."""
    return [name for name in names if pairs_of(items.get(name)) is not None] or names


def _is_optimizer(name: str, thing: object) -> bool:
    if name and _OPTIMIZER.search(name):
        return True
    wanted = {"param_groups", "state"}
    return wanted <= {key for key, _ in inside(thing) or () if key in wanted}


def _named(
    found: Sequence[tuple[Path, PickledTensor]], places: list[_Place]
) -> tuple[list[FoundTensor], str]:
    """Name the tensors and give each its role; strip the prefix that all of them carry."""
    rows: list[tuple[str, Role | None, PickledTensor]] = []
    for path, tensor in found:
        place = next((one for one in places if one.holds(path)), None)
        if place is not None:
            rows.append((_joined((*place.prefix, *path[len(place.path) :])), None, tensor))
        else:
            rows.append((_joined(path), _role_outside(path), tensor))
    if sum(len(name) for name, _, _ in rows) > _MAX_NAMES:
        raise FormatError("the names of the checkpoint's tensors are too long together")
    prefix = _common_prefix([name for name, role, _ in rows if role is None])
    named = [_found(name, role, tensor, prefix) for name, role, tensor in rows]
    taken: set[str] = set()
    for one in named:
        if one.name in taken:
            raise FormatError("the checkpoint has two tensors of one name", seen=one.name[:200])
        taken.add(one.name)
    return named, prefix


def _role_outside(path: Path) -> Role:
    """Tell optimizer state from other things: it is called so, or numbers its parameters."""
    if any(map(_OPTIMIZER.search, path[:-1])):
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


def _joined(path: Path) -> str:
    """Join a path; a quantized layer's packed pair is its weight and its bias."""
    if sum(map(len, path)) > _MAX_NAME:
        raise FormatError("a tensor's name is too long", seen=f"{path[0][:100]!r}...")
    name = ".".join(path)
    packed = _PACKED.fullmatch(name) if name.endswith((".0", ".1")) else None
    if packed:
        return f"{packed['layer'] or ''}{('weight', 'bias')[int(packed['place'])]}"
    return name or "tensor"


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
    top: object, places: list[_Place], prefix: str, taken: set[str]
) -> Iterator[FoundLayer]:
    """Give the layers that state dicts list by path, those without tensors too.

    ``nn.Module.state_dict`` leaves the version of every layer in the dict's ``_metadata``.
    """
    listed = [_versions(top, place.path) for place in places]
    if not all(listed):
        return
    for place, paths in zip(places, listed, strict=True):
        for path in paths:
            full = ".".join(part for part in (*place.prefix, path) if part)
            if f"{full}." == prefix or (full and prefix.startswith(f"{full}.")):
                continue
            inner = full.removeprefix(prefix)
            if not inner.endswith("_packed_params") and inner not in taken:
                yield FoundLayer(inner)


def _versions(top: object, path: Path) -> list[str]:
    """Give the paths of layers that the state dict at a path lists."""
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


def _notes(places: list[_Place], prefix: str, contents: Contents) -> Iterator[str]:
    for place in places:
        if place.path and not place.prefix:
            yield f"The network is what the checkpoint keeps under {'.'.join(place.path)!r}."
    if prefix:
        yield f"The prefix {prefix!r} is left out of every name."
    for maker, (count, path) in islice(contents.unread.items(), 20):
        first = _joined(path)
        more = f" and {count - 1:,} more are" if count > 1 else " is"
        yield f"{first!r}{more} not read: made by {maker}."
    if contents.storages:
        yield f"{contents.storages:,} storage(s) outside any tensor are not shown."
    wrappers = {tensor.wrapper for _, tensor in contents.tensors if tensor.wrapper}
    for name in sorted(wrappers)[:20]:
        yield f"Some tensors are of the class {name}; their plain values are shown."
