"""Rules on a live module's optimizer: what it does not know, has twice, or knows of elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.live_walk import (
    Held,
    grouped,
    groups_of,
    is_norm,
    modules,
    numbers,
    parameters,
    said,
)
from weigh._checks.rule import Limits, Rule
from weigh._checks.subject import Subject

_NAMED = 20


def _tensors(subject: Subject) -> list[Any]:
    """List what the optimizer steps, as often as it has it."""
    return [tensor for group in groups_of(subject.optimizer) or () for tensor in group["params"]]


def not_optimized(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that require a gradient and that the optimizer does not have."""
    held = parameters(subject.module)
    known = {id(tensor) for tensor in _tensors(subject)}
    learning = [one for one in held if one.learns]
    missing = [one for one in learning if id(one.tensor) not in known]
    if missing and len(missing) == len(learning):
        yield Finding(
            "",
            f"none of its {len(learning):,} parameters is in the optimizer"
            if len(learning) > 1
            else "its only parameter is not in the optimizer",
            numbers(missing),
            do="Make the optimizer from this very network, after it was moved and changed.",
        )
        return
    for where, group in grouped(held, missing):
        verb = "is" if len(group) == 1 else "are"
        yield Finding(where, f"{said(group)} {verb} in no group of the optimizer", numbers(group))


def optimized_but_frozen(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that the optimizer has and that do not require a gradient."""
    held = parameters(subject.module)
    known = {id(tensor) for tensor in _tensors(subject)}
    still = [one for one in held if not one.learns and id(one.tensor) in known]
    with_grad = [one for one in still if one.tensor.grad is not None]
    for where, group in grouped(held, with_grad):
        yield Finding(
            where,
            f"{said(group)} {_is(group)} frozen, but the optimizer steps by a gradient from before",
            numbers(group) | {"gradient": True},
            severity="warning",
            do="Set its .grad to None, or leave it out of the optimizer.",
        )
    rest = [one for one in still if one.tensor.grad is None]
    for where, group in grouped(held, rest):
        yield Finding(
            where,
            f"{said(group)} {_is(group)} in the optimizer, but frozen",
            numbers(group) | {"gradient": False},
        )


def _is(group: list[Held]) -> str:
    return "is" if len(group) == 1 else "are"


def optimized_twice(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find tensors that the optimizer steps more than once."""
    names = {id(one.tensor): one.name for one in parameters(subject.module)}
    met: dict[int, int] = {}
    places: dict[Any, list[tuple[int, str]]] = {}
    for tensor in _tensors(subject):
        met[id(tensor)] = met.get(id(tensor), 0) + 1
        if met[id(tensor)] == 1 and _has_memory(tensor):
            key = (str(tensor.device), tensor.untyped_storage().data_ptr(), tensor.storage_offset())
            places.setdefault(key, []).append((id(tensor), names.get(id(tensor), "")))
    for identity, times in met.items():
        if times > 1:
            yield Finding(
                names.get(identity, ""),
                f"the optimizer has it {times} times and steps it so often",
                {"times": times},
            )
    for same in places.values():
        if len(same) > 1:
            shown = " and ".join(name or "a tensor from elsewhere" for _, name in same)
            yield Finding(
                same[0][1],
                f"the optimizer steps the same memory as {len(same)} tensors: {shown}",
                {"times": len(same), "names": [name for _, name in same]},
            )


def _has_memory(tensor: Any) -> bool:
    """Whether a tensor has a place in memory: a lazy, an empty or a sparse one has none."""
    if _lazy(tensor) or tensor.is_meta or tensor.layout is not sys.modules["torch"].strided:
        return False
    return bool(tensor.numel())


def _lazy(tensor: Any) -> bool:
    """Whether a tensor has no shape before its layer's first input."""
    return isinstance(tensor, sys.modules["torch"].nn.parameter.UninitializedTensorMixin)


def optimizer_has_stranger(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find tensors in the optimizer that the module does not hold."""
    held = parameters(subject.module)
    own = {id(one.tensor) for one in held}
    known = {id(tensor): tensor for tensor in _tensors(subject)}
    strangers = [tensor for key, tensor in known.items() if key not in own and not _lazy(tensor)]
    if not strangers:
        return
    missing = [one for one in held if one.learns and id(one.tensor) not in known]
    shapes = {tuple(one.tensor.shape) for one in missing if one.count}
    replaced = [tensor for tensor in strangers if tuple(tensor.shape) in shapes]
    count = sum(int(tensor.numel()) for tensor in strangers)
    noun = "tensor" if len(strangers) == 1 else "tensors"
    evidence = {
        "count": len(strangers),
        "values": count,
        "shapes": [list(tensor.shape) for tensor in strangers[:_NAMED]],
        "replaced": len(replaced),
    }
    what = f"it steps {len(strangers):,} {noun} ({count:,} values) that the module does not hold"
    if replaced:
        message = f"{what}, {len(replaced):,} of the shape of parameters that it lacks"
        yield Finding("", message, evidence)
        return
    yield Finding(
        "",
        what,
        evidence,
        severity="warning",
        do="That is right if it trains another module too; else make the optimizer anew.",
    )


def decayed_norm(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find weight decay on the scales of normalisations and on biases."""
    layers = dict(modules(subject.module))
    by_identity = {id(one.tensor): one for one in parameters(subject.module)}
    for at, group in enumerate(groups_of(subject.optimizer) or ()):
        decay = group.get("weight_decay")
        if not isinstance(decay, int | float) or not decay:
            continue
        held = [by_identity[id(t)] for t in group["params"] if id(t) in by_identity]
        norms = [one for one in held if is_norm(layers[one.layer])]
        biases = [one for one in held if one not in norms and "bias" in one.name.rpartition(".")[2]]
        if norms or biases:
            yield Finding(
                "",
                f"the weight decay of {decay:g} of group {at} also goes to {len(norms):,} "
                f"parameters of normalisations and {len(biases):,} biases",
                {
                    "group": at,
                    "weight_decay": decay,
                    "norms": len(norms),
                    "biases": len(biases),
                    "names": [one.name for one in (*norms, *biases)[:_NAMED]],
                },
            )


RULES: tuple[Rule, ...] = (
    Rule(
        "not-optimized",
        "parameters that require a gradient and that the optimizer does not have",
        not_optimized,
        severity="error",
        needs=("module", "optimizer"),
        why="They get gradients and are never stepped.",
        do="Give them to the optimizer, or freeze them with requires_grad_(False).",
    ),
    Rule(
        "optimized-but-frozen",
        "parameters that the optimizer has and that are frozen",
        optimized_but_frozen,
        severity="info",
        needs=("module", "optimizer"),
        why="One of the two is a mistake: it is to be trained, or it is not.",
        do="Give the optimizer those parameters alone that require a gradient.",
    ),
    Rule(
        "optimized-twice",
        "parameters that the optimizer steps more than once",
        optimized_twice,
        severity="error",
        needs=("module", "optimizer"),
        why="They are moved twice as far as the learning rate says.",
        do="Leave it in one group.",
    ),
    Rule(
        "optimizer-has-stranger",
        "tensors in the optimizer that the module does not hold",
        optimizer_has_stranger,
        severity="error",
        needs=("module", "optimizer"),
        why="The optimizer trains tensors that are not used, and not those that are.",
        do="Make the optimizer anew, after the network was moved, loaded or changed.",
    ),
    Rule(
        "decayed-norm",
        "weight decay on normalisations and biases",
        decayed_norm,
        severity="info",
        needs=("module", "optimizer"),
        why="It draws scales and shifts to 0, which most recipes leave out.",
        do="Put parameters of one axis in a group of their own with weight_decay=0.",
    ),
)
