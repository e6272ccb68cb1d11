"""The parts of a checkpoint: the network told apart from optimizer state and everything else.

A checkpoint is whatever a training script saved: a state dict, or a dict around one with the
optimizer's state, the epoch and the arguments beside it. What is said here holds for one that was
pickled and for the same one in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from weigh._errors import FormatError
from weigh._facts import FoundLayer, Role

Path = tuple[str, ...]
Item = TypeVar("Item")

_WRAPPERS = re.compile(
    r"(?:(?:model|module|network|net|params|weights|student)(?:_state)?(?:_?dict)?"
    r"|state_?dict|model_weights|state)",
    re.IGNORECASE,
)
_OPTIMIZER = re.compile(r"optim|^opt$|scheduler|grad_?scaler|^scaler|^amp$", re.IGNORECASE)
_AVERAGE = re.compile(r"(?:^|_|\b)(?:ema|swa|avg|averaged?|teacher)(?:_|\b|$)", re.IGNORECASE)
_PACKED = re.compile(r"(?P<layer>.*\.)?_packed_params\._packed_params\.(?P<place>[01])")
_PREFIXES = ("module.", "_orig_mod.")
_INSIDE = re.compile(
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
_MAX_NESTING = 4
_MAX_NAME, _MAX_NAMES = 4096, 1 << 27
"""A name is made of the keys that lead to it, and one long key may stand above very many; a key
alone is a name already."""


class Tree(Protocol):
    """How to look into containers: those of a pickle, or those of Python."""

    def entries(self, thing: object) -> Iterable[tuple[str, object]]:
        """Give what a container holds, by name; nothing for what is no container."""

    def is_mapping(self, thing: object) -> bool:
        """Whether it is a mapping, not a list."""

    def is_module(self, thing: object) -> bool:
        """Whether it is a whole module, which knows its own names."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tensors of a network are.

    Attributes:
        path: the keys that lead to it.
        prefix: what to call it where there are several.
        without: what stands there but does not belong to it.
        module: whether a whole module stands there.
    """

    path: Path
    prefix: Path = ()
    without: frozenset[str] = frozenset()
    module: bool = False

    def holds(self, path: Path) -> bool:
        """Whether a tensor of this path is one of the network."""
        n = len(self.path)
        return path[:n] == self.path and not (len(path) > n + 1 and path[n] in self.without)


@dataclass(frozen=True, slots=True)
class Parts(Generic[Item]):
    """A checkpoint's items, named and told apart.

    Attributes:
        rows: each item with its name and its role; None for those of the network.
        places: where the network is; none if there is only something else.
        clean: leaves the pieces that wrappers put into names out of one.
        notes: sentences about what was left out of names, and where the network was found.
    """

    rows: list[tuple[str, Role | None, Item]]
    places: list[Place]
    clean: Callable[[str], str]
    notes: tuple[str, ...]

    def layers(
        self, tree: Tree, top: object, versions: Callable[[object], Iterable[str]]
    ) -> tuple[FoundLayer, ...]:
        """Give the layers that state dicts list by path, those without tensors too.

        ``nn.Module.state_dict`` leaves the version of every layer in the dict's ``_metadata``.

        Args:
            tree: looks into containers.
            top: the checkpoint.
            versions: gives the paths listed in the ``_metadata`` of a state dict.
        """
        listed: list[list[str]] = []
        opened: dict[int, dict[str, object]] = {}  # one may stand above very many
        wanted = {name for place in self.places for name in place.path}
        for place in self.places:
            thing = top
            for name in place.path:
                if id(thing) not in opened:
                    opened[id(thing)] = _entries(tree, thing, wanted)
                thing = opened[id(thing)].get(name)
            listed.append(list(versions(thing)))
            if not listed[-1]:
                return ()
        taken = {name for name, _, _ in self.rows}
        met: dict[str, None] = {}
        for place, paths in zip(self.places, listed, strict=True):
            for path in paths:
                full = ".".join(part for part in (*place.prefix, path) if part)
                # A wrapper's own path is left with nothing, or with that of what it wraps.
                inner = self.clean(f"{full}.").removesuffix(".")
                if (inner or not full) and not self._is_wrapper(full):
                    met[inner] = None
        return tuple(
            FoundLayer(path)
            for path in met
            if not path.endswith("_packed_params") and path not in taken
        )

    def _is_wrapper(self, path: str) -> bool:
        """Whether a path is one piece of the prefix that every name loses."""
        longest = next((n for n in self.notes if n.startswith("The prefix ")), "")
        return bool(path) and f"'{path}." in longest


def tell_apart(tree: Tree, top: object, found: Sequence[tuple[Path, Item]]) -> Parts[Item]:
    """Name the items of a checkpoint and tell which are the network's.

    Raises:
        FormatError: names are too long, or two of the network's items have one name.
    """
    places = _networks(tree, top, (), [path for path, _ in found])
    known = {place.path: place for place in places}
    longest = max(map(len, known), default=0)
    inner = [_inner(path, known, longest) for path, _ in found]
    own = [joined(path) for path in inner if path is not None]
    whole = any(place.module for place in places)
    clean, left_out = cleaner([] if whole else own)
    rows: list[tuple[str, Role | None, Item]] = []
    taken = check_once(map(clean, own))
    for (path, item), within in zip(found, inner, strict=True):
        if within is not None:
            rows.append((clean(joined(within)), None, item))
            continue
        name = joined(path)
        if name in taken:
            # What stands beside the network must not pass for a part of it.
            name = "/".join(path)
        taken.add(name)
        rows.append((name, _role_outside(path), item))
    if sum(len(name) for name, _, _ in rows) > _MAX_NAMES:
        raise FormatError("the names of the checkpoint's tensors are too long together")
    return Parts(rows, places, clean, (*_notes(places, bool(found)), *left_out))


def check_once(names: Iterable[str]) -> set[str]:
    """Collect names.

    Raises:
        FormatError: one comes twice.
    """
    met: set[str] = set()
    for name in names:
        if name in met:
            raise FormatError("two tensors have one name", seen=name[:200])
        met.add(name)
    return met


def joined(path: Path) -> str:
    """Join a path; a quantized layer's packed pair is its weight and its bias.

    Raises:
        FormatError: the name would be too long.
    """
    if len(path) > 1 and sum(map(len, path)) > _MAX_NAME:
        raise FormatError("a tensor's name is too long", seen=f"{path[0][:100]!r}...")
    name = ".".join(path)
    packed = _PACKED.fullmatch(name) if name.endswith((".0", ".1")) else None
    if packed:
        return f"{packed['layer'] or ''}{('weight', 'bias')[int(packed['place'])]}"
    return name if path else "tensor"


def _inner(path: Path, places: dict[Path, Place], longest: int) -> Path | None:
    """Give the path within the network, or None for what is outside of it."""
    for n in range(min(longest, len(path)) + 1):
        place = places.get(path[:n])
        if place is not None and place.holds(path):
            return (*place.prefix, *path[n:])
    return None


def _networks(tree: Tree, thing: object, path: Path, found: Sequence[Path]) -> list[Place]:
    """Tell where the network is: here, under one of the keys, or under several."""
    if _is_optimizer(tree, "", thing):
        return []
    if tree.is_module(thing):
        return [Place(path, module=True)]
    direct, nested = _held(len(path), found)
    items = _entries(tree, thing, nested)
    state = {name for name in nested if _is_optimizer(tree, name, items.get(name))}
    averages = {name for name in nested if _AVERAGE.search(name)} - state
    names = [name for name in nested if name not in state | averages]
    wrapped = [name for name in names if _WRAPPERS.fullmatch(name)]
    flat = any("." in name for name in direct)
    if len(path) >= _MAX_NESTING or flat or (direct and not wrapped):
        return [Place(path, (), frozenset(state | averages))]
    names = wrapped or _mappings(tree, names or [n for n in nested if n in averages], items)
    if len(names) == 1 and (wrapped or names[0] in averages):
        return _networks(tree, items.get(names[0]), (*path, names[0]), nested[names[0]])
    parts = {name: _part(tree, items.get(name), (*path, name), nested[name]) for name in names}
    return _joined(parts)


def _entries(tree: Tree, thing: object, wanted: Container[str]) -> dict[str, object]:
    """Give those entries of a container that are asked for; there may be very many others."""
    return {name: value for name, value in tree.entries(thing) if name in wanted}


def _part(tree: Tree, thing: object, path: Path, found: Sequence[Path]) -> list[Place]:
    """Tell where one of several networks is: here, unless an optimizer is in it somewhere."""
    if tree.is_module(thing):
        return [Place(path, module=True)]
    direct, nested = _held(len(path), found)
    items = _entries(tree, thing, nested) if nested else {}
    if any(_is_optimizer(tree, name, items.get(name)) for name in nested):
        return _networks(tree, thing, path, found)
    if direct or len(path) >= _MAX_NESTING:
        return [Place(path)]
    parts = {
        name: _part(tree, items.get(name), (*path, name), below) for name, below in nested.items()
    }
    whole = all(places == [Place((*path, name))] for name, places in parts.items())
    return [Place(path)] if whole else _joined(parts)


def _joined(parts: dict[str, list[Place]]) -> list[Place]:
    """Put each part's name before the names of what is in it."""
    return [
        replace(place, prefix=(name, *place.prefix))
        for name, places in parts.items()
        for place in places
    ]


def _held(n: int, found: Sequence[Path]) -> tuple[list[str], dict[str, list[Path]]]:
    """Give the names of the items ``n`` keys down, and by name the paths of those below."""
    direct: dict[str, None] = {}
    nested: dict[str, list[Path]] = {}
    for full in found:
        if len(full) > n + 1:
            nested.setdefault(full[n], []).append(full)
        elif len(full) > n or not n:
            direct[full[n] if full[n:] else ""] = None
    return list(direct), nested


def _mappings(tree: Tree, names: list[str], items: dict[str, object]) -> list[str]:
    """Leave lists out, such as the states of random generators, if there is anything else."""
    return [name for name in names if tree.is_mapping(items.get(name))] or names


def _is_optimizer(tree: Tree, name: str, thing: object) -> bool:
    if name and _OPTIMIZER.search(name):
        return True
    wanted = {"param_groups", "state"}
    return wanted <= {key for key, _ in tree.entries(thing) if key in wanted}


def _role_outside(path: Path) -> Role:
    """Tell optimizer state from other things: it is called so, or numbers its parameters."""
    if any(map(_OPTIMIZER.search, path[:-1])):
        return "optimizer"
    numbered = any(name == "state" and after.isdecimal() for name, after in pairwise(path[:-1]))
    return "optimizer" if numbered else "other"


def cleaner(names: Sequence[str]) -> tuple[Callable[[str], str], tuple[str, ...]]:
    """Find what wrappers (DataParallel, torch.compile, FSDP) put into names.

    Gives a function that leaves it out, and what to tell the reader.
    """
    prefix = ""
    while names:
        more = next((p for p in _PREFIXES if all(n.startswith(prefix + p) for n in names)), None)
        if more is None:
            break
        prefix += more
    shorter = {_INSIDE.sub("", name.removeprefix(prefix)) for name in names}
    pieces = {match[0] for name in names for match in _INSIDE.finditer(name.removeprefix(prefix))}
    if len(shorter) < len(names):
        pieces = set()

    def clean(name: str) -> str:
        name = name.removeprefix(prefix)
        return _INSIDE.sub("", name) if pieces else name

    notes = [f"The prefix {prefix!r} is left out of every name."] if prefix else []
    notes += [f"{piece!r} is left out of names." for piece in sorted(pieces)]
    return clean, tuple(notes)


def _notes(places: list[Place], anything: bool) -> list[str]:  # noqa: FBT001
    if not places and anything:
        return ["There is no network in it: it holds optimizer state alone."]
    inside = [".".join(place.path) for place in places if place.path and not place.prefix]
    return [f"The network is what the checkpoint keeps under {name!r}." for name in inside]
