"""Which names of two networks mean the same tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from weigh._compare.conventions import GGUF, META, Spelling
from weigh._compare.likeness import Pair, Shape, settled
from weigh._compare.prefixes import Prefix, added, replaced
from weigh._compare.wrappers import unwrapped

_NETWORK = ("parameter", "buffer")
_ROLES = (_NETWORK, (*_NETWORK, "other"), ("optimizer",))
"""Tensors of which roles are held against each other, in turn: the network's own before averages of
it, which may have the same names behind a prefix."""


class NamedShape(NamedTuple):
    """What is known of a tensor before its values are read.

    Attributes:
        name: its whole name.
        shape: its shape; None where it is unknown.
        role: "parameter", "buffer", "optimizer" or "other".
    """

    name: str
    shape: Shape
    role: str


class NamePair(NamedTuple):
    """Two names of one tensor.

    Attributes:
        a: its name in the first network.
        b: its name in the second.
        how: "name" where they are equal, or what differs, in a few words: "prefix module.".
    """

    a: str
    b: str
    how: str


def pair_names(a: Sequence[NamedShape], b: Sequence[NamedShape]) -> list[NamePair]:
    """Pair the names of two networks that mean the same tensor, in the order of the first.

    Equal names come first, whatever their shapes. Then what is left is paired without what wrappers
    put into names, behind a prefix that one network has and the other has not, and in one spelling
    for all frameworks; but only where there is one candidate on each side and their shapes let them
    be one tensor. Each name is in one pair at most, and the order of the networks makes no
    difference.

    Args:
        a: the tensors of the first network.
        b: those of the second.

    Examples:
        >>> a = [NamedShape("module.fc.weight", (2, 3), "parameter")]
        >>> pair_names(a, [NamedShape("fc.weight", (2, 3), "parameter")])
        [NamePair(a='module.fc.weight', b='fc.weight', how='prefix module.')]
    """
    found: dict[str, tuple[str, str]] = {}
    left_a = {one.name: one for one in reversed(a)}
    left_b = {one.name: one for one in reversed(b)}
    for name in left_a.keys() & left_b.keys():
        found[name] = (name, "name")
        del left_a[name], left_b[name]
    tried: set[tuple[int, int]] = set()
    for roles in _ROLES:
        some_a, some_b = _of_roles(left_a, roles), _of_roles(left_b, roles)
        # More roles may be no more names, and then there is nothing new to find.
        sizes = len(some_a), len(some_b)
        pairs = _Pairing(some_a, some_b).paired() if sizes not in tried else []
        for one in pairs:
            found[one.a] = (one.b, one.how)
            del left_a[one.a], left_b[one.b]
        tried.add((sizes[0] - len(pairs), sizes[1] - len(pairs)))
    order = dict.fromkeys(one.name for one in a)
    return [NamePair(name, *found[name]) for name in order if name in found]


def _of_roles(named: Mapping[str, NamedShape], roles: tuple[str, ...]) -> dict[str, Shape]:
    return {name: one.shape for name, one in named.items() if one.role in roles}


class _Pairing:
    """The names that are still without a partner, while pairs are found."""

    def __init__(self, a: dict[str, Shape], b: dict[str, Shape]) -> None:
        self._a, self._b = a, b
        self._plain_a = {name: unwrapped(name) for name in a}
        self._plain_b = {name: unwrapped(name) for name in b}
        self._neutral: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._labels: list[str] = []
        self._pairs: list[NamePair] = []

    def paired(self) -> list[NamePair]:
        """Try one convention after the other, those that say most first."""
        self._without_wrappers(added)
        self._in_one_spelling(added)
        self._in_one_spelling(replaced)
        return self._pairs

    def _without_wrappers(self, find: Callable[..., list[Prefix]]) -> None:
        if self._a and self._b:
            keys_a = {name: self._plain_a[name][0] for name in self._a}
            keys_b = {name: self._plain_b[name][0] for name in self._b}
            self._match(keys_a, keys_b, lambda a, b, _: self._wrappers(a, b), find)

    def _in_one_spelling(self, find: Callable[..., list[Prefix]]) -> None:
        if not (self._a and self._b):
            return
        if not self._labels:
            self._spell()
        neutral_a, neutral_b = self._neutral

        def differs(a: str, b: str, prefix: Pair) -> list[str]:
            rest_a = self._plain_a[a][0].removeprefix(prefix[0])
            rest_b = self._plain_b[b][0].removeprefix(prefix[1])
            return self._wrappers(a, b) + (self._labels if rest_a != rest_b else [])

        keys_a = {name: neutral_a[name] for name in self._a}
        keys_b = {name: neutral_b[name] for name in self._b}
        self._match(keys_a, keys_b, differs, find)

    def _spell(self) -> None:
        """Write the names of both networks in one spelling."""
        plain_a = [self._plain_a[name][0] for name in self._a]
        plain_b = [self._plain_b[name][0] for name in self._b]
        a, b = Spelling(plain_a), Spelling(plain_b)
        labels = {a.label, b.label}
        blocks = len(labels) > 1 and not labels.isdisjoint((GGUF, META))
        self._neutral = (
            {
                name: a.neutral(key, blocks=blocks)
                for name, key in zip(self._a, plain_a, strict=True)
            },
            {
                name: b.neutral(key, blocks=blocks)
                for name, key in zip(self._b, plain_b, strict=True)
            },
        )
        self._labels = sorted(labels - {""}) or ["another spelling"]

    def _wrappers(self, a: str, b: str) -> list[str]:
        """Say what wrappers put into one name and not into the other."""
        return sorted(self._plain_a[a][1] ^ self._plain_b[b][1])

    def _match(
        self,
        keys_a: Mapping[str, str],
        keys_b: Mapping[str, str],
        differs: Callable[[str, str, Pair], list[str]],
        find: Callable[..., list[Prefix]],
    ) -> None:
        """Pair equal keys, then those that are equal behind a prefix."""
        names_a, names_b = _unique(keys_a), _unique(keys_b)
        shapes_a = {key: self._a[name] for key, name in names_a.items()}
        shapes_b = {key: self._b[name] for key, name in names_b.items()}

        def take(pairs: Iterable[Pair], prefix: Pair = ("", "")) -> None:
            words = [f"prefix {' → '.join(filter(None, prefix))}"] if any(prefix) else []
            for key_a, key_b in pairs:
                a, b = names_a[key_a], names_b[key_b]
                how = ", ".join(words + differs(a, b, prefix)) or "another spelling"
                self._pairs.append(NamePair(a, b, how))
                del self._a[a], self._b[b], shapes_a[key_a], shapes_b[key_b]

        equal = [(key, key) for key in shapes_a if key in shapes_b]
        take(settled(equal, shapes_a, shapes_b))
        for one in find(shapes_a, shapes_b) if shapes_a and shapes_b else ():
            take(one.pairs, (one.a, one.b))


def _unique(keys: Mapping[str, str]) -> dict[str, str]:
    """Turn names and their keys round; a key that two names have is nobody's."""
    names: dict[str, str] = {}
    twice: set[str] = set()
    for name, key in keys.items():
        if names.setdefault(key, name) != name:
            twice.add(key)
    for key in twice:
        del names[key]
    return names
