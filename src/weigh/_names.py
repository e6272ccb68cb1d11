"""Names of layers and tensors: patterns, and what the user may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate


def matches(pattern: str, names: Iterable[str]) -> list[str]:
    """List the names a pattern selects.

    A pattern is a whole name, a glob (``encoder.*.weight``), or a layer's path, which selects
    all below it.

    Examples:
        >>> matches("fc", ["fc.weight", "fc.bias", "fc1.weight"])
        ['fc.weight', 'fc.bias']
    """
    glob = re.compile(translate(pattern))
    return [
        name
        for name in names
        if name == pattern or name.startswith(f"{pattern}.") or glob.match(name)
    ]


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Give the sentence that names the nearest of what there is, or "" if nothing is near."""
    from difflib import get_close_matches  # only a name that is not there needs it

    # Above some thousands of names the exact comparison would take seconds.
    near = get_close_matches(name[:200], names[:5000], n=3, cutoff=0.6)
    if not near:
        tail = name.rpartition(".")[2].lower()
        near = [n for n in names if tail and tail in n.lower()][:3]
    if not near:
        return ""
    return f"Did you mean {' or '.join(repr(n) for n in dict.fromkeys(near))}?"
