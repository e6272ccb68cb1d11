"""Rules on a live module's optimizer: what it does not know, has twice, or knows of elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.live_walk import (
    Held,
    count_of,
    grouped,
    groups_of,
    is_a,
    is_norm,
    modules,
    numbers,
    optimizers_of,
    parameters,
    said,
    shape_of,
    stepped,
    untouched,
)
from weigh._checks.masters import stands_for, strangers_of
from weigh._checks.rule import Limits, Rule
from weigh._checks.subject import Subject

_NAMED = 20


@untouched
def not_optimized(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that require a gradient and that the optimizer does not have."""
    held = parameters(subject.module)
    known = {id(tensor) for tensor in stepped(subject.optimizer)}
    learning = [one for one in held if one.learns]
    missing = [one for one in learning if id(one.tensor) not in known]
    copies = stands_for(strangers_of(subject), missing) if missing else ""
    if copies:
        yield Unsure("", f"the optimizer has other tensors, which may be {copies}")
    elif missing and len(missing) == len(learning):
        several = len(learning) > 1
        yield Finding(
            "",
            f"none of its {len(learning):,} parameters is in the optimizer"
            if several
            else "its only parameter is not in the optimizer",
            numbers(missing),
            do="Make the optimizer from this very network, after it was moved and changed.",
        )
    else:
        for where, group in grouped(held, missing):
            message = f"{said(group, 'are')} in no group of the optimizer"
            yield Finding(where, message, numbers(group))


@untouched
def optimized_but_frozen(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that the optimizer has and that do not require a gradient."""
    held = parameters(subject.module)
    known = {id(tensor) for tensor in stepped(subject.optimizer)}
    still = [one for one in held if not one.learns and id(one.tensor) in known]
    with_grad = [one for one in still if one.tensor.is_leaf and one.tensor.grad is not None]
    for where, group in grouped(held, with_grad):
        yield Finding(
            where,
            f"{said(group, 'are')} frozen, but the optimizer steps by a gradient from before",
            numbers(group) | {"gradient": True},
            severity="warning",
            do="Set its .grad to None, or leave it out of the optimizer.",
        )
    moved = {id(one.tensor) for one in with_grad}
    rest = [one for one in still if id(one.tensor) not in moved]
    for where, group in grouped(held, rest):
        yield Finding(
            where,
            f"{said(group, 'are')} in the optimizer, but frozen",
            numbers(group) | {"gradient": False},
        )


@untouched
def optimized_twice(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find tensors that the optimizer steps more than once."""
    names = {id(one.tensor): one.name for one in parameters(subject.module)}
    tensors: dict[int, Any] = {}
    within: set[int] = set()
    times: dict[int, int] = {}
    for optimizer in optimizers_of(subject.optimizer) or ():
        mine: set[int] = set()
        for tensor in stepped(optimizer):
            key = id(tensor)
            within |= {key} if key in mine else set()
            mine.add(key)
            tensors[key] = tensor
            times[key] = times.get(key, 0) + 1
    for key, count in times.items():
        if count < 2:
            continue
        # Two optimizers may share a parameter on purpose, such as those of an actor and a critic.
        severity: Severity | None = None if key in within else "warning"
        holder = "the optimizer has" if key in within else "several optimizers have"
        yield Finding(
            names.get(key, ""),
            f"{holder} it {count} times and step{'s' if key in within else ''} it so often",
            {"times": count, "shape": list(shape_of(tensors[key])), "names": []},
            severity=severity,
        )
    for same in _overlapping(list(tensors.values())):
        shown = [names.get(id(tensor), "") for tensor in same]
        told = " and ".join(name or "a tensor from elsewhere" for name in shown[:4])
        yield Finding(
            shown[0],
            f"the optimizer steps the same memory as {len(same)} tensors: {told}",
            {"times": len(same), "shape": list(shape_of(same[0])), "names": shown[:_NAMED]},
        )


def _overlapping(tensors: list[Any]) -> list[list[Any]]:
    """Group tensors whose values lie, in part or in whole, in the same memory."""
    torch = sys.modules["torch"]
    spans: dict[tuple[str, int], list[tuple[int, int, Any]]] = {}
    for tensor in tensors:
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
        if not plain or tensor.layout is not torch.strided or tensor.is_meta or not tensor.numel():
            continue
        if not tensor.is_contiguous():
            continue  # columns of one matrix lie between each other and share nothing
        start = tensor.storage_offset() * tensor.element_size()
        key = (str(tensor.device), tensor.untyped_storage().data_ptr())
        spans.setdefault(key, []).append(
            (start, start + tensor.numel() * tensor.element_size(), tensor)
        )
    found: list[list[Any]] = []
    for rows in spans.values():
        rows.sort(key=lambda row: row[:2])
        group, reach = [rows[0][2]], rows[0][1]
        for start, stop, tensor in rows[1:]:
            if start >= reach:
                found.append(group)
                group = []
            group.append(tensor)
            reach = max(reach, stop)
        found.append(group)
    return [group for group in found if len(group) > 1]


@untouched
def optimizer_has_stranger(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find tensors in the optimizer that the module does not hold."""
    strangers = strangers_of(subject)
    if not strangers:
        return
    known = {id(tensor) for tensor in stepped(subject.optimizer)}
    missing = [
        one for one in parameters(subject.module) if one.learns and id(one.tensor) not in known
    ]
    copies = stands_for(strangers, missing)
    if copies:
        yield Unsure("", f"the optimizer has other tensors, which may be {copies}")
        return
    shapes = {shape_of(one.tensor) for one in missing if one.count}
    replaced = sum(shape_of(tensor) in shapes for tensor in strangers)
    count = sum(map(count_of, strangers))
    noun = "tensor" if len(strangers) == 1 else "tensors"
    values = "1 value" if count == 1 else f"{count:,} values"
    what = f"it steps {len(strangers):,} {noun} ({values}) that the module does not hold"
    if missing:
        what += f" and lacks {len(missing):,} of the module's parameters"
    if replaced:
        what += f", {replaced:,} of the same shape"
    severity: Severity = "error" if replaced else "warning" if missing else "info"
    yield Finding(
        "",
        what,
        {
            "count": len(strangers),
            "values": count,
            "shapes": [list(shape_of(tensor)) for tensor in strangers[:_NAMED]],
            "missing": len(missing),
            "replaced": replaced,
        },
        severity,
        # With nothing missing it is the optimizer of two networks, as a rule.
        do="" if missing else "That is right if it trains another module too.",
    )


@untouched
def decayed_norm(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find weight decay on the scales of normalisations and on biases."""
    layers = dict(modules(subject.module))
    by_identity = {id(one.tensor): one for one in parameters(subject.module) if one.learns}
    for at, group in enumerate(groups_of(subject.optimizer)):
        decay = group.get("weight_decay")
        if type(decay) not in (int, float) or not decay:
            continue
        held = [by_identity[id(t)] for t in group["params"] if id(t) in by_identity]
        norms = [one for one in held if _scales(one, layers[one.layer])]
        named = {one.name for one in norms}
        biases = [one for one in held if one.name not in named and _shifts(one)]
        if norms or biases:
            yield Finding(
                "",
                f"the weight decay of {decay:g} of group {at} also goes to {len(norms):,} "
                f"{'parameter' if len(norms) == 1 else 'parameters'} of normalisations and "
                f"{len(biases):,} {'bias' if len(biases) == 1 else 'biases'}",
                {
                    "group": at,
                    "weight_decay": decay,
                    "norms": len(norms),
                    "biases": len(biases),
                    "names": [one.name for one in (*norms, *biases)[:_NAMED]],
                },
            )


def _scales(one: Held, layer: Any) -> bool:
    """Whether a parameter is a normalisation's own."""
    norm = sys.modules["torch"].nn.LayerNorm
    return is_a(layer, norm) or (is_norm(layer) and one.tensor.dim() < 2)


def _shifts(one: Held) -> bool:
    name = one.name.rpartition(".")[2]
    return one.tensor.dim() < 2 and (name.startswith("bias") or name.endswith("bias"))


RULES: tuple[Rule, ...] = (
    Rule(
        "not-optimized",
        "parameters that require a gradient and that the optimizer does not have",
        not_optimized,
        severity="error",
        needs=("module", "optimizer"),
        why="They get gradients and are never stepped.",
        do="Give them to an optimizer (several are given here as a list), or freeze them.",
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
