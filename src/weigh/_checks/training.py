"""Rules on a live module in training: what is frozen, gets no gradient, or is in another mode."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.live_walk import (
    Held,
    grouped,
    leaves,
    modules,
    numbers,
    own,
    parameters,
    said,
    table,
)
from weigh._checks.rule import Limits, Rule
from weigh._checks.subject import Subject

_NAMED = 20


def frozen(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that do not require a gradient."""
    held = parameters(subject.module)
    still = [one for one in held if not one.learns]
    total = sum(one.count for one in held)
    for where, group in grouped(held, still):
        count = sum(one.count for one in group)
        share = count / total if total else 0.0
        what = "all parameters are" if len(group) == len(held) else f"{said(group)} is"
        if len(group) > 1 and len(group) != len(held):
            what = f"{said(group)} are"
        yield Finding(
            where,
            f"{what} frozen, {share:.0%} of the network",
            numbers(group) | {"share": share},
        )


def no_gradient(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters that a backward pass does not reach."""
    held = [one for one in parameters(subject.module) if one.learns]
    if subject.loss is not None:
        used = leaves(subject.loss)
        unused = [one for one in held if id(one.tensor) not in used]
        for where, group in grouped(held, unused):
            yield Finding(
                where,
                f"the loss does not depend on {said(group)}",
                numbers(group) | {"found": "graph"},
            )
        return
    given = [one for one in held if one.tensor.grad is not None]
    if not given:
        yield Unsure("", "no backward pass was made, and no loss was given")
        return
    unused = [one for one in held if one.tensor.grad is None]
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
            do="See whether units before or after it are dead, or this batch did not use it.",
        )


def _is_zero(one: Held) -> bool:
    grad = one.tensor.grad
    if grad.layout is not sys.modules["torch"].strided or not grad.numel() or grad.is_meta:
        return False
    return not bool(grad.detach().count_nonzero())


def mode_mix(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find layers in another mode than the network, where the mode makes a difference."""
    nn = sys.modules["torch"].nn
    root = subject.module
    training = bool(own(root).get("training"))
    mixed: dict[tuple[str, bool], list[str]] = {}
    for path, module in modules(root):
        if bool(own(module).get("training")) == training:
            continue
        if isinstance(module, nn.modules.batchnorm._NormBase):
            if (
                own(module).get("track_running_stats")
                and table(module, "_buffers").get("running_mean") is not None
            ):
                learns = any(
                    p is not None and p.requires_grad for p in table(module, "_parameters").values()
                )
                mixed.setdefault(("norm", learns), []).append(path)
        elif isinstance(module, nn.modules.dropout._DropoutNd) and own(module).get("p"):
            mixed.setdefault(("dropout", True), []).append(path)
    for (kind, learns), paths in mixed.items():
        yield _mixed(kind, paths, training=training, learns=learns)


def _mixed(kind: str, paths: list[str], *, training: bool, learns: bool) -> Finding:
    many = len(paths) > 1
    noun = ("normalisations" if many else "a normalisation") if kind == "norm" else (
        "dropouts" if many else "a dropout"
    )  # fmt: skip
    count = f"{len(paths):,} " if many else ""
    mode, other = ("eval", "training") if training else ("train", "eval")
    effect = {
        ("norm", True): "use old statistics and do not gather new ones",
        ("norm", False): "change their statistics when the network is only used",
        ("dropout", True): "drop nothing in training",
        ("dropout", False): "drop values when the network is only used",
    }[kind, training]
    evidence = {"layers": paths[:_NAMED], "count": len(paths), "network": other, "mode": mode}
    deliberate = kind == "norm" and training and not learns
    return Finding(
        paths[0] if len(paths) == 1 else "",
        f"{count}{noun} in {mode} mode in a network that is in {other} mode: they {effect}",
        evidence | {"frozen": not learns},
        # To keep the statistics of frozen layers is what fine-tuning wants.
        severity="info" if deliberate else None,
    )


def parametrization_left_on(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parametrizations, weight normalisations and pruning masks that are still on."""
    for path, module in modules(subject.module):
        for name, what, do in _reparametrized(module):
            where = f"{path}.{name}" if path else name
            yield Finding(where, f"it is computed by {what} at every use", {"by": what}, do=do)


def _reparametrized(module: Any) -> Iterator[tuple[str, str, str]]:
    found = table(module, "_modules").get("parametrizations")
    if found is not None and type(module).__name__.startswith("Parametrized"):
        for name, chain in table(found, "_modules").items():
            kinds = [type(one).__name__.strip("_") for one in table(chain, "_modules").values()]
            yield (
                name,
                f"the parametrization {' and '.join(kinds)}",
                f"torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r}).",
            )
    hooks = own(module).get("_forward_pre_hooks", {})
    for hook in list(hooks.values()):
        kind = type(hook).__name__
        if not str(type(hook).__module__).startswith("torch.nn.utils."):
            continue
        attributes = object.__getattribute__(hook, "__dict__")
        name = str(attributes.get("name", attributes.get("_tensor_name", "weight")))
        if kind == "WeightNorm":
            yield name, "weight_norm", "torch.nn.utils.remove_weight_norm(layer)."
        elif kind == "SpectralNorm":
            yield name, "spectral_norm", "torch.nn.utils.remove_spectral_norm(layer)."
        elif "prune" in str(type(hook).__module__):
            yield name, "a pruning mask", f"torch.nn.utils.prune.remove(layer, {name!r})."


RULES: tuple[Rule, ...] = (
    Rule(
        "frozen",
        "parameters that do not require a gradient",
        frozen,
        severity="info",
        needs=("module",),
        why="Training does not change them.",
        do="If that is not meant: parameter.requires_grad_(True).",
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
    ),
)
