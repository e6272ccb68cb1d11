"""What does not fit between the files of one network, though they can be read together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from weigh._facts import Facts, Fault

_LISTED = 20
_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
_COMMON = 3
"""Two files must have so many sorts of tensor in common before a difference of all says much."""


def stray_fault(name: str, strays: Sequence[str]) -> list[Fault]:
    """State that a file holds tensors which the index does not say it holds."""
    if not strays:
        return []
    what = (
        f"it holds {len(strays):,} tensor{'s' * (len(strays) > 1)} that the index does not list "
        "there"
    )
    numbers = {"count": len(strays), "tensors": [one[:200] for one in strays[:_LISTED]]}
    return [Fault("shards", name, what, numbers)]


def size_fault(stated: int | None, held: int) -> list[Fault]:
    """State that the files hold another number of bytes than the index says.

    Args:
        stated: the bytes of all tensors as the index has them; None if it does not say.
        held: the bytes of all tensors in the files.
    """
    if stated is None or stated == held:
        return []
    what = f"the index states {stated:,} bytes of tensors, and the files hold {held:,}"
    return [Fault("shards", "", what, {"stated": stated, "held": held})]


def unlike_faults(shards: Sequence[tuple[str, Facts]]) -> Iterator[Fault]:
    """State that some files are unlike the rest: of another format, or of other dtypes.

    Args:
        shards: the name of each file, and what it states.
    """
    formats = Counter(facts.format for _, facts in shards)
    if len(formats) > 1:
        few = [(name, facts.format) for name, facts in shards if facts.format != _usual(formats)]
        what = f"{len(few):,} of the {len(shards):,} files are not of the format {_usual(formats)}"
        listed = [f"{name}: {found}" for name, found in few[:_LISTED]]
        yield Fault("shards", "", what, {"formats": dict(formats), "files": listed})
    yield from _other_dtypes([(name, _dtypes(facts)) for name, facts in shards])


def _usual(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0]


def _dtypes(facts: Facts) -> dict[str, str]:
    """Give the dtype of each sort of tensor in a file, where all of that sort have one.

    A sort is a name without its numbers: layers of one build differ in these alone.
    """
    found: dict[str, str] = {}
    for tensor in facts.tensors:
        sort, dtype = _NUMBER.sub("N", tensor.name), tensor.values.dtype.name
        found[sort] = dtype if found.get(sort, dtype) == dtype else ""
    return {sort: dtype for sort, dtype in found.items() if dtype}


def _other_dtypes(shards: Sequence[tuple[str, dict[str, str]]]) -> Iterator[Fault]:
    """State which files have another dtype throughout than the usual one of the same layers."""
    counts: dict[str, Counter[str]] = {}
    for _, dtypes in shards:
        for sort, dtype in dtypes.items():
            counts.setdefault(sort, Counter())[dtype] += 1
    for name, dtypes in shards:
        common = [sort for sort in dtypes if counts[sort].total() > 1]
        # Of two files that differ neither is the usual one: the first counts as it.
        other = [sort for sort in common if dtypes[sort] != _usual(counts[sort])]
        if len(common) < _COMMON or len(other) < len(common):
            continue
        is_, usual = dtypes[other[0]], _usual(counts[other[0]])
        what = (
            f"its tensors are {is_} where the same ones of other layers are {usual} in other files"
        )
        yield Fault("shards", name, what, {"dtype": is_, "usual": usual, "sorts": len(other)})
