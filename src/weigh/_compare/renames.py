"""How the names of two networks differ, in as few lines as say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from weigh._pattern import pattern

if TYPE_CHECKING:
    from weigh._compare.naming import NamePair

_PART = pattern(r"[^./]*[./]?")


def renames(pairs: Iterable[NamePair]) -> list[tuple[str, str, int]]:
    """Describe how the names of pairs differ: what it was, what it is, how many; most first.

    ``N`` stands for a number, and ``*`` for what differs from pair to pair and is the same in
    both names. Pairs of equal names are left out.

    Args:
        pairs: what `pair_names` gives.

    Examples:
        >>> from weigh._compare.naming import NamePair
        >>> pairs = [NamePair(f"module.{n}", n, "") for n in ("fc.weight", "conv.bias")]
        >>> renames(pairs)
        [('module.*', '*', 2)]
        >>> renames([NamePair("layers.1.weight", "layers.2.weight", "")])
        [('layers.1.weight', 'layers.2.weight', 1)]
    """
    groups: dict[tuple[str, str], _Group] = {}
    for pair in pairs:
        if pair.a != pair.b:
            a, b, head, tail = _cut(pair.a, pair.b)
            one, other = a[head : len(a) - tail], b[head : len(b) - tail]
            middle = _shown(one), _shown(other)
            if middle[0] == middle[1]:  # where only a number differs, it is what there is to show
                middle = "".join(one), "".join(other)
            group = groups.setdefault(middle, _Group())
            group.count += 1
            # Two that differ are enough to know that there is a star.
            if len(group.heads) < 2:
                group.heads.add((_shown(a[:head]), _shown(b[:head])))
            if len(group.tails) < 2:
                group.tails.add((_shown(a[len(a) - tail :]), _shown(b[len(b) - tail :])))
    rows = [(*_row(middle, group), group.count) for middle, group in groups.items()]
    return sorted(rows, key=lambda row: -row[2])


class _Group:
    """Pairs whose names differ in the same way: how many, and what is around the difference."""

    def __init__(self) -> None:
        self.count = 0
        self.heads: set[tuple[str, str]] = set()
        self.tails: set[tuple[str, str]] = set()


def _row(middle: tuple[str, str], group: _Group) -> tuple[str, str]:
    """Say how the names of a group differ."""
    head, tail = _common(group.heads), _common(group.tails)
    a, b = (head[side] + middle[side] + tail[side] for side in (0, 1))
    # Where nothing differs but the marks between the parts, these are all there is to show.
    return (a, b) if a != b else ("*/*", "*.*")


def _cut(a: str, b: str) -> tuple[list[str], list[str], int, int]:
    """Cut two names into parts; give how many are the same at their beginnings and ends."""
    one, other = _PART.findall(a), _PART.findall(b)
    tail = _shared(one[::-1], other[::-1])
    if tail in (len(one) - 1, len(other) - 1) and len(one) == len(other):
        one, other = _apart(one, other), _apart(other, one)
        tail += len(one) != len(other)
    return one, other, _shared(one[: len(one) - tail], other[: len(other) - tail]), tail


def _apart(one: list[str], other: list[str]) -> list[str]:
    """Cut off what a name's first part has before the other's: "net_" of "net_fc"."""
    more = len(one[0]) - len(other[0])
    if more > 0 and one[0].endswith(other[0]) and _bare(other[0]):
        return [one[0][:more], *other[:1], *one[1:]]
    return one


def _shared(a: list[str], b: list[str]) -> int:
    """Count the parts that two names begin with, whatever stands between these."""
    same = 0
    for one, other in zip(a, b, strict=False):
        if one != other and _bare(one) != _bare(other):
            break
        same += 1
    return same


def _bare(part: str) -> str:
    return part.rstrip("./")


def _shown(parts: list[str]) -> str:
    """Join parts again, each number as N."""
    bare = (_bare(part) for part in parts)
    return "".join(
        "N" + part[len(text) :] if text.isascii() and text.isdigit() else part
        for part, text in zip(parts, bare, strict=True)
    )


def _common(ends: set[tuple[str, str]]) -> tuple[str, str]:
    """Give the one beginning or end that all pairs have, or a star with what stands beside it."""
    if len(ends) == 1:
        return next(iter(ends))
    return _star({one for one, _ in ends}), _star({other for _, other in ends})


def _star(texts: set[str]) -> str:
    """Give a star, and the mark behind it where all have the same."""
    marks = {text[-1:] for text in texts}
    mark = next(iter(marks)) if len(marks) == 1 else ""
    return "*" + mark if mark in (".", "/") else "*"
