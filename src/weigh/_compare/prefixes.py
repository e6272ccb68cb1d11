"""Prefixes that one network's names have and another's have not, found from the names alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, takewhile
from typing import NamedTuple

from weigh._compare.likeness import Pair, Shape, settled
from weigh._pattern import pattern

_BOUNDARY = pattern(r"[./:]")
_DEEPEST = 8
"""Of how many parts a prefix may be made."""

_DEEPEST_REPLACED = 4
_MOST_OWNERS = 4
"""In how many places the end of a name may be met before it says nothing."""

_FEW = 3
_ROUNDS = 4
"""How often what is left is looked at again."""


class Prefix(NamedTuple):
    """A prefix in one network where the other has another, or none.

    Attributes:
        a: what the names of the first network begin with.
        b: what those of the second begin with.
        pairs: the keys that are the same behind it.
    """

    a: str
    b: str
    pairs: list[Pair]


def added(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> list[Prefix]:
    """Find the prefixes that names of one network have before those of the other.

    A prefix counts if most of one network's names agree with it, or most of those that begin with
    it. If two prefixes explain a name equally well, neither does.

    Args:
        a: names and shapes of the first network.
        b: those of the second.

    Examples:
        >>> shapes = {"fc.weight": (2, 3), "fc.bias": (2,)}
        >>> found = added({f"bert.{name}": shape for name, shape in shapes.items()}, shapes)
        >>> [(one.a, one.b, len(one.pairs)) for one in found]
        [('bert.', '', 2)]
    """
    fewest = min(len(a), len(b))
    return _in_rounds(lambda a, b, found: _added(a, b, found, fewest), a, b)


def replaced(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> list[Prefix]:
    """Find the prefixes of one network that have another in their place in the other one.

    Names say less here, so most of those with either prefix must agree, at least three of them and
    in more than one layer.

    Args:
        a: names and shapes of the first network.
        b: those of the second.
    """
    return _in_rounds(lambda a, b, _: _replaced(a, b), a, b)


def _in_rounds(
    find: Callable[[Mapping[str, Shape], Mapping[str, Shape], list[Prefix]], list[Prefix]],
    a: Mapping[str, Shape],
    b: Mapping[str, Shape],
) -> list[Prefix]:
    """Look for prefixes until there are none: fewer names are left for the next to explain."""
    found: list[Prefix] = []
    for _ in range(_ROUNDS):
        claimed, more = _unambiguous(find(a, b, found))
        if not claimed:
            break
        found += more
        a = {key: shape for key, shape in a.items() if key not in claimed[0]}
        b = {key: shape for key, shape in b.items() if key not in claimed[1]}
    return found


def _added(
    a: Mapping[str, Shape], b: Mapping[str, Shape], before: list[Prefix], fewest: int
) -> list[Prefix]:
    """Give every prefix that enough names have before those of the other side.

    Args:
        a: the names of the first network that are left, and their shapes.
        b: those of the second.
        before: what was found already.
        fewest: how many names the smaller network had.
    """
    votes: dict[Pair, list[Pair]] = defaultdict(list)
    for key, prefix, rest in _cuts(a, b):
        votes[prefix, ""].append((key, rest))
    for key, prefix, rest in _cuts(b, a):
        votes["", prefix].append((rest, key))
    # A part of a prefix that was found needs little more: a head beside the body of "net.body.".
    least = {ends: 1 if _part_of(ends, before) else _FEW for ends in votes}
    # Most prefixes have too few votes to be worth counting who else begins with them.
    votes = {e: p for e, p in votes.items() if len(p) >= least[e] or 2 * len(p) >= fewest}
    under_a, under_b = _sizes(a, {p for p, _ in votes}), _sizes(b, {q for _, q in votes})
    found = []
    for (p, q), pairs in votes.items():
        under = under_a.get(p, len(a)) if p else under_b.get(q, len(b))
        kept = settled(pairs, a, b)
        most = 2 * len(kept) >= under and len(kept) >= least[p, q]
        if kept and (most or 2 * len(kept) >= fewest):
            found.append(Prefix(p, q, kept))
    return found


def _several(pairs: list[Pair], prefix: str) -> bool:
    """Whether more than one layer agrees behind a prefix: all norms have the same four names."""
    return len({key[len(prefix) :].rpartition(".")[0] for key, _ in pairs}) > 1


def _part_of(ends: Pair, found: list[Prefix]) -> bool:
    """Whether a prefix is the beginning of one that was found."""
    p, q = ends
    return any(bool(one.a) == bool(p) and (one.a + one.b).startswith(p + q) for one in found)


def _replaced(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> list[Prefix]:
    """Give every two prefixes behind which enough names agree."""
    owners: dict[str, list[str]] = defaultdict(list)
    for prefix, rest in _beginnings(b):
        owners[rest].append(prefix)
    votes: dict[Pair, list[Pair]] = defaultdict(list)
    met: Counter[str] = Counter()
    for prefix, rest in _beginnings(a):
        if rest in owners and len(owners[rest]) <= _MOST_OWNERS:
            met[rest] += 1
            if met[rest] <= _MOST_OWNERS:
                for other in owners[rest]:
                    votes[prefix, other].append((prefix + rest, other + rest))
    votes = {key: pairs for key, pairs in votes.items() if len(pairs) >= _FEW}
    under_a, under_b = _sizes(a, {p for p, _ in votes}), _sizes(b, {q for _, q in votes})
    found = []
    for (p, q), pairs in votes.items():
        under = max(under_a[p], under_b[q])
        if p != q and 2 * len(pairs) >= under:
            kept = settled((pair for pair in pairs if met[pair[0][len(p) :]] <= _MOST_OWNERS), a, b)
            if 2 * len(kept) >= under and len(kept) >= _FEW and _several(kept, p):
                found.append(Prefix(p, q, kept))
    return found


def _cuts(long: Mapping[str, Shape], short: Mapping[str, Shape]) -> Iterator[tuple[str, str, str]]:
    """Give the names that are a prefix and a name of the other side: name, prefix, the other."""
    # A prefix that does not end where a part of the name does: all names have it, or it is none.
    odd = _odd_prefix(long, short)
    for key in long:
        for mark in islice(_BOUNDARY.finditer(key), _DEEPEST):
            rest = key[mark.end() :]
            if rest in short:
                yield key, key[: mark.end()], rest
        if odd and key[len(odd) :] in short:
            yield key, odd, key[len(odd) :]


def _odd_prefix(long: Mapping[str, Shape], short: Mapping[str, Shape]) -> str:
    """Give what all names of one side have before what all names of the other have."""
    # The least and the greatest have in common what all have.
    if not long or not short:
        return ""
    begin, other = _common(min(long), max(long)), _common(min(short), max(short))
    if not begin.endswith(other):
        return ""
    odd = begin[: len(begin) - len(other)]
    return "" if odd.endswith((".", "/", ":")) else odd


def _common(a: str, b: str) -> str:
    """Give what two names begin with."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    return a[: sum(1 for _ in same)]


def _beginnings(keys: Iterable[str]) -> Iterator[Pair]:
    """Give the first parts of every name, and what is left of it behind them."""
    for key in keys:
        for mark in islice(_BOUNDARY.finditer(key), _DEEPEST_REPLACED):
            yield key[: mark.end()], key[mark.end() :]


def _sizes(keys: Iterable[str], prefixes: set[str]) -> Counter[str]:
    """Count the names that begin with each of some prefixes."""
    sizes: Counter[str] = Counter()
    if any(prefixes):
        for key in keys:
            for mark in islice(_BOUNDARY.finditer(key), _DEEPEST):
                if key[: mark.end()] in prefixes:
                    sizes[key[: mark.end()]] += 1
    return sizes


def _unambiguous(found: list[Prefix]) -> tuple[tuple[set[str], set[str]] | None, list[Prefix]]:
    """Give the prefixes that explain most first; what two explain equally well, none does.

    With them come the names of both sides that any of the prefixes explains; None without any.
    """
    by_size: dict[int, list[Prefix]] = defaultdict(list)
    for one in found:
        by_size[len(one.pairs)].append(one)
    taken_a: set[str] = set()
    taken_b: set[str] = set()
    settled_ones = []
    for size in sorted(by_size, reverse=True):
        # The same pair may be explained by prefixes of different lengths; the shortest says it.
        group = sorted(by_size[size], key=lambda one: (len(one.a) + len(one.b), one.a, one.b))
        claims: dict[Pair, int] = {}
        for number, one in enumerate(group):
            for pair in one.pairs:
                if pair[0] not in taken_a and pair[1] not in taken_b:
                    claims.setdefault(pair, number)
        count_a, count_b = Counter(k for k, _ in claims), Counter(k for _, k in claims)
        kept: dict[int, list[Pair]] = defaultdict(list)
        for pair, number in claims.items():
            if count_a[pair[0]] == 1 and count_b[pair[1]] == 1:
                kept[number].append(pair)
        taken_a.update(count_a)
        taken_b.update(count_b)
        settled_ones += [Prefix(group[n].a, group[n].b, pairs) for n, pairs in kept.items()]
    return ((taken_a, taken_b) if found else None), settled_ones
