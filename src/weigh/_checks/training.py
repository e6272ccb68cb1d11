"""Rules on a live module in training: what is frozen, and what gets no gradient."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from weigh._checks.finding import Finding, Unsure
from weigh._checks.graph import leaves
from weigh._checks.live_walk import Held, grouped, numbers, parameters, said, untouched
from weigh._checks.modes import mode_mix
from weigh._checks.reparametrized import parametrization_left_on
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject


@untouched
def frozen(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that do not require a gradient."""
    held = parameters(subject.module)
    still = [one for one in held if not one.learns]
    if not still:
        return
    total = sum(one.count for one in held)

    def share(group: Sequence[Held]) -> float:
        return sum(one.count for one in group) / total if total else 0.0

    groups = grouped(held, still)
    if len(groups) > limits["groups"]:
        yield Finding(
            "",
            f"{len(still):,} of {len(held):,} parameters in {len(groups):,} layers are frozen, "
            f"{share(still):.0%} of the values",
            numbers(still) | {"share": share(still), "layers": [path for path, _ in groups[:20]]},
        )
        return
    for where, group in groups:
        what = "all parameters are" if len(group) == len(held) else said(group, "are")
        yield Finding(
            where,
            f"{what} frozen, {share(group):.0%} of the network",
            numbers(group) | {"share": share(group)},
        )


@untouched
def no_gradient(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that a backward pass does not reach."""
    held = [one for one in parameters(subject.module) if one.learns]
    if not held:
        return
    if subject.loss is not None:
        yield from _in_graph(subject, held)
        return
    given = [one for one in held if _grad(one) is not None]
    if not given:
        yield Unsure("", "no backward pass was made, and no loss was given")
        return
    unused = [one for one in held if _grad(one) is None]
    for where, group in grouped(held, unused):
        yield Finding(
            where,
            f"{said(group)} got no gradient in the backward pass",
            numbers(group) | {"found": "backward"},
        )
    zero = [one for one in given if _is_zero(one)]
    if len(zero) == len(given):
        yield Unsure("", "all gradients are 0: they may have been zeroed since")
        return
    for where, group in grouped(held, zero):
        yield Finding(
            where,
            f"the gradient of {said(group)} is 0 throughout",
            numbers(group) | {"found": "zero"},
            severity="info",
            do="See whether units are dead or a weight after it is still 0, or if this batch did "
            "not use it.",
        )


def _in_graph(subject: Subject, held: list[Held]) -> Iterator[Finding | Unsure]:
    """Find parameters that a loss does not depend on."""
    used = leaves(subject.loss)
    unused = [one for one in held if id(one.tensor) not in used.tensors]
    doubt = used.doubt
    if any(type(one.tensor).__name__ == "DTensor" for one in unused):
        doubt = "parameters are in shards, and the graph has what was gathered of them"
    if unused and doubt:
        yield Unsure("", f"{doubt}, so nobody can tell which parameters the loss depends on")
        return
    if len(unused) == len(held):
        yield Finding(
            "",
            "the loss depends on none of its parameters",
            numbers(unused) | {"found": "graph"},
        )
        return
    for where, group in grouped(held, unused):
        yield Finding(
            where,
            f"the loss does not depend on {said(group)}",
            numbers(group) | {"found": "graph"},
        )


def _grad(one: Held) -> object:
    # That of a tensor which was computed is not kept, and asking for it warns.
    return one.tensor.grad if one.tensor.is_leaf else None


def _is_zero(one: Held) -> bool:
    torch = sys.modules["torch"]
    grad = one.tensor.grad
    if type(grad) is not torch.Tensor or grad.layout is not torch.strided:
        return False
    if not grad.numel() or grad.is_meta:
        return False
    first = grad.detach()
    while first.dim() > 1:
        first = first[0]
    # A few values tell of nearly all gradients that they are not 0.
    return not bool(first.count_nonzero()) and not bool(grad.detach().count_nonzero())


RULES: tuple[Rule, ...] = (
    Rule(
        "frozen",
        "parameters that do not require a gradient",
        frozen,
        severity="info",
        needs=("module",),
        why="Training does not change them.",
        do="If that is not meant: parameter.requires_grad_(True).",
        limits={"groups": Limit(8, "layers beyond which one finding tells of all")},
    ),
    Rule(
        "no-gradient",
        "parameters that the backward pass does not reach",
        no_gradient,
        needs=("module",),
        why="They stay as they are, however long the training is.",
        do="See whether the layer is used; look for detach(), .data, no_grad() and argmax.",
    ),
    Rule(
        "mode-mix",
        "normalisations and dropouts in another mode than the network",
        mode_mix,
        needs=("module",),
        why="The network that is trained is then not the one that is used.",
        do="Call model.train() before training and model.eval() before use, on the whole network.",
    ),
    Rule(
        "parametrization-left-on",
        "weights that are computed anew at every use",
        parametrization_left_on,
        severity="info",
        needs=("module",),
        why="It takes time at every use, and what is saved has other names.",
        do="Remove it before you export or publish the network.",
        limits={"places": Limit(10, "weights of one kind beyond which one finding tells of all")},
    ),
)
