"""The graph behind a tensor: which leaves a backward pass from it would reach."""

from __future__ import annotations

from typing import Any

from weigh._record import record

_RECOMPUTES = ("Checkpoint", "Revers")
"""Parts of the names of functions that run a part of the network again in the backward pass."""


@record(frozen=True, eq=False)
class Leaves:
    """The tensors at the ends of a graph.

    Attributes:
        tensors: those that a backward pass gives a gradient to, by identity.
        doubt: why there may be more of them; "" if there are not.
    """

    tensors: dict[int, Any]
    doubt: str = ""


def leaves(loss: Any, most: int = 2_000_000) -> Leaves:
    """Give the leaves of the graph behind a tensor.

    Args:
        loss: the tensor; without a graph it has no leaves.
        most: how many steps of the graph are looked at.
    """
    top = loss.grad_fn
    if top is None:
        return Leaves({})
    found: dict[int, Any] = {}
    doubt = ""
    met, stack = {id(top)}, [top]
    kept = [top]  # identities stay true as long as the nodes live
    while stack:
        node = stack.pop()
        kind = type(node)
        # Functions written in Python may have an attribute of that name, too.
        if kind.__name__ == "AccumulateGrad":
            found[id(node.variable)] = node.variable
        elif any(word in kind.__name__ for word in _RECOMPUTES):
            doubt = "a part of the graph is made in the backward pass alone (checkpointing)"
        for after, _ in node.next_functions:
            if after is None or id(after) in met:
                continue
            if len(met) >= most:
                return Leaves(found, f"the graph has more than {most:,} steps")
            met.add(id(after))
            kept.append(after)
            stack.append(after)
    return Leaves(found, doubt)
