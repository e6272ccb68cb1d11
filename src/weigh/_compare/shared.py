"""Whether two networks in memory are the same memory, so that they can never differ."""

from __future__ import annotations

from weigh._compare.match import Match
from weigh._model import Network

_IN_MEMORY = ("live", "arrays")


def shared_memory(a: Network, b: Network, matches: tuple[Match, ...]) -> tuple[str, ...]:
    """Say so, where tensors of both share their memory: a ``state_dict`` is a view, no copy."""
    if a.format not in _IN_MEMORY or b.format not in _IN_MEMORY:
        return ()
    count = sum(
        match.a.extent is not None
        and match.b.extent is not None
        and match.a.extent[:3] == match.b.extent[:3]
        for match in matches
    )
    if not count:
        return ()
    return (
        f"{count:,} of the tensors of A and B are the same memory, so they cannot differ. To see "
        "what a training step changes, keep a copy before it: copy.deepcopy(module).",
    )
