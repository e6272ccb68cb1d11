"""What an optimizer steps and a module does not hold: copies of its parameters, or strangers."""

from __future__ import annotations

import sys
from typing import Any

from weigh._checks.live_walk import Held, parameters, stepped
from weigh._checks.strays import lost_tensors
from weigh._checks.subject import Subject


def strangers_of(subject: Subject) -> list[Any]:
    """List the tensors that the optimizer steps and the module holds nowhere, each once."""
    held = {id(one.tensor) for one in parameters(subject.module)}
    found = {id(t): t for t in stepped(subject.optimizer) if id(t) not in held}
    # What the module holds without having registered it is told by ``lost-parameter``.
    lost = lost_tensors(subject.module) if found else ()
    return [tensor for identity, tensor in found.items() if identity not in lost]


def stands_for(strangers: list[Any], missing: list[Held]) -> str:
    """Say what strangers may be that stand for the parameters which the optimizer lacks.

    Optimizers for mixed precision and for many devices step copies: in float32, or flat.
    "" if they look like neither.
    """
    if not strangers or not missing:
        return ""
    torch = sys.modules["torch"]
    if any(type(one).__name__ == "DTensor" for one in (*strangers, *(h.tensor for h in missing))):
        return "shards"
    full = all(tensor.dtype == torch.float32 for tensor in strangers)
    if full and any(one.tensor.dtype in (torch.float16, torch.bfloat16) for one in missing):
        return "copies in float32"
    flat = all(tensor.dim() == 1 for tensor in strangers)
    whole = sum(tensor.numel() for tensor in strangers) >= sum(one.count for one in missing)
    if flat and whole and any(one.tensor.dim() > 1 for one in missing if one.count):
        return "the same values laid out flat"
    return ""
