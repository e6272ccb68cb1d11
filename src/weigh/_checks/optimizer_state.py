"""Rules on an optimizer's state: how much it takes, and which parameters lack it."""

from __future__ import annotations

from collections.abc import Iterator

from weigh._checks.finding import Finding, Unsure
from weigh._checks.holes import optimizer_hole
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject

_OF_CODE = ("torchscript", "torch-export", "onnx")
"""Formats whose tensors beside the network are constants of its program: they belong to it."""


def optimizer_state(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find how much of a file is not the network."""
    network = subject.network
    accounts = network.accounts
    if accounts is None or not accounts.total or network.format in _OF_CODE:
        return
    roles = dict(network.counts.bytes_by_role)
    optimizer = roles.get("optimizer", 0)
    # Weights that their layer keeps packed are no parameters by role, but the network's own.
    beside = [tensor for tensor in network._others if tensor.role == "other"]
    other = min(sum(tensor.bytes or 0 for tensor in beside), roles.get("other", 0))
    share = (optimizer + other) / accounts.total
    if share < limits["least-share"] or not optimizer + other:
        return
    parts = ((optimizer, "optimizer state"), (other, "other tensors"))
    said = " and ".join(f"{size / accounts.total:.0%} {what}" for size, what in parts if size)
    evidence = {
        "optimizer": optimizer, "other": other, "file": accounts.total, "share": share,
        "bytes_by_role": roles,
    }  # fmt: skip
    yield Finding("", f"it holds more than the network: {said}", evidence)


RULES: tuple[Rule, ...] = (
    Rule(
        "optimizer-state",
        "how much of a file is not the network",
        optimizer_state,
        severity="info",
        needs=("file",),
        why="Adam's state is twice as large as the network, which is used without it.",
        do="Save network.state_dict() alone for those who only use it; keep this to train on.",
        limits={"least-share": Limit(0.05, "so large a share of the file must be something else")},
    ),
    Rule(
        "optimizer-hole",
        "a parameter without optimizer state where others have it",
        optimizer_hole,
        needs=(),
        why="An optimizer makes a parameter's state at its first step: this one never had any.",
        do="See why it got no gradient: is its layer used, is its requires_grad set in time?",
        limits={
            "most-share": Limit(0.5, "of more parameters without state only one finding tells"),
            "least-lag": Limit(1, "so many steps a parameter must lag behind the rest"),
        },
    ),
)
