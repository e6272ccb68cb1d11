"""Which tensors any module of this process has registered, asked of the garbage collector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Any

from weigh._checks.live_walk import is_a, own


def owned_by_modules(tensors: Sequence[Any]) -> set[int]:
    """Give the identities of the tensors that some module has among its parameters.

    It takes two passes over all objects of the process, some ten milliseconds each, and calls
    nothing of theirs.
    """
    if not tensors:
        return set()
    wanted = {id(tensor) for tensor in tensors}
    tables = {id(one): one for one in gc.get_referrers(*tensors) if type(one) is dict}
    module = sys.modules["torch"].nn.Module
    found: set[int] = set()
    for holder in gc.get_referrers(*tables.values()):
        # A module is reached by itself or by its dictionary, as the interpreter keeps it.
        mine = own(holder) if is_a(holder, module) else holder if type(holder) is dict else {}
        given = tables.get(id(dict.get(mine, "_parameters")))
        if given is not None:
            found |= wanted.intersection(map(id, dict.values(given)))
    return found
