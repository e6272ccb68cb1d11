"""The rule ``mode-mix``: layers in train mode in a network in eval mode, or the other way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal

from weigh._checks.finding import Finding, Severity, Unsure
from weigh._checks.live_walk import own, parameters, table, untouched
from weigh._checks.rule import Limits
from weigh._checks.subject import Subject
from weigh._record import record

_NAMED = 20
_DROPPING = ("DropPath", "StochasticDepth")
"""Classes of other packages that drop something in training, with the share as ``p`` or
``drop_prob``."""

Kind = Literal["norm", "dropout"]


@record(frozen=True, eq=False)
class _Odd:
    """A layer in another mode than the network, where that makes a difference.

    Attributes:
        path: where it is.
        kind: what it is.
        meant: whether it is in a part that is frozen, or is frozen itself.
    """

    path: str
    kind: Kind
    meant: bool


@untouched
def mode_mix(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find layers in another mode than the network, where the mode makes a difference."""
    root = subject.module
    training = own(root).get("training")
    if training is None and "_orig_mod" in table(root, "_modules"):  # of torch.compile
        training = own(table(root, "_modules")["_orig_mod"]).get("training")
    if type(training) is not bool:  # a compiled module keeps it elsewhere
        yield Unsure("", "its mode cannot be seen from outside")
        return
    odd = list(_odd(root, training=training))
    drops = sum(_kind(module) == "dropout" for _, module, _ in _walk(root, training=training))
    for kind in ("norm", "dropout"):
        for meant in (False, True):
            group = [one for one in odd if one.kind == kind and one.meant is meant]
            # All dropouts on in use are the ensemble of MC dropout.
            every = kind == "dropout" and not training and len(group) == drops
            if group:
                yield _mixed(group, training=training, on_purpose=meant or every)


def _odd(root: Any, *, training: bool) -> Iterator[_Odd]:
    every = parameters(root)
    learning = [one.layer for one in every if one.learns]
    for path, module, region in _walk(root, training=training):
        kind = _kind(module)
        if region is None or kind is None:
            continue
        # A part without parameters, such as a dropout by itself, was not frozen by anyone.
        frozen = any(_within(one.layer, region) for one in every) and not any(
            _within(layer, region) for layer in learning
        )
        held = [p for p in table(module, "_parameters").values() if p is not None]
        frozen = frozen or (bool(held) and not any(p.requires_grad for p in held))
        yield _Odd(path, kind, meant=training and frozen)


def _within(layer: str, region: str) -> bool:
    return not region or layer == region or layer.startswith(f"{region}.")


def _walk(root: Any, *, training: bool) -> Iterator[tuple[str, Any, str | None]]:
    """Go through all modules, each with the highest path of the part in the other mode."""
    met: set[int] = set()
    stack: list[tuple[str, Any, str | None]] = [("", root, None)]
    while stack:
        path, module, region = stack.pop()
        if id(module) in met:
            continue
        met.add(id(module))
        mode = own(module).get("training")
        if type(mode) is not bool or mode is training:
            region = None
        elif region is None:
            region = path
        yield path, module, region
        stack += [
            (f"{path}.{name}" if path else name, child, region)
            for name, child in reversed(list(table(module, "_modules").items()))
            if child is not None
        ]


def _kind(module: Any) -> Kind | None:
    """Say what of a layer its mode changes; None if it is nothing."""
    nn = sys.modules["torch"].nn
    kind, mine = type(module), own(module)
    if issubclass(kind, nn.modules.batchnorm._NormBase):
        kept = table(module, "_buffers").get("running_mean") is not None
        return "norm" if mine.get("track_running_stats") is True and kept else None
    share: object = None
    if issubclass(kind, nn.modules.dropout._DropoutNd):
        share = mine.get("p")
    elif issubclass(kind, nn.RNNBase):
        share = mine.get("dropout") if mine.get("num_layers") != 1 else 0
    elif issubclass(kind, nn.MultiheadAttention):
        share = mine.get("dropout")
    elif issubclass(kind, nn.RReLU):
        share = 1
    elif kind.__name__ in _DROPPING:
        share = mine.get("p", mine.get("drop_prob"))
    return "dropout" if type(share) in (int, float) and share else None


def _mixed(group: list[_Odd], *, training: bool, on_purpose: bool) -> Finding:
    many, kind = len(group) > 1, group[0].kind
    one, several = {
        "norm": ("a normalisation is", "normalisations are"),
        "dropout": ("a dropout is", "dropouts are"),
    }[kind]
    mode, other = ("eval", "train") if training else ("train", "eval")
    effect = {
        ("norm", True): "old statistics are used and no new ones gathered",
        ("norm", False): "its statistics change when the network is only used",
        ("dropout", True): "nothing is dropped in training",
        ("dropout", False): "values are dropped when the network is only used",
    }[kind, training]
    evidence = {
        "layers": [odd.path for odd in group[:_NAMED]],
        "count": len(group),
        "network": other,
        "mode": mode,
        "frozen": group[0].meant,
    }
    severity: Severity | None = "info" if on_purpose else None
    return Finding(
        "" if many else group[0].path,
        f"{f'{len(group):,} {several}' if many else one} in {mode} mode in a network in {other} "
        f"mode: {effect}",
        evidence,
        severity=severity,
    )
