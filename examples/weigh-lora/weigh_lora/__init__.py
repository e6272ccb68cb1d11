"""A rule for LoRA: adapters that add nothing to the layer they stand beside.

An adapter adds B A x to what its layer gives. It starts with B = 0, so that it adds nothing until
the first step of training (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models",
arXiv:2106.09685, section 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from weigh.plugins import Finding, Limit, Limits, Rule, Subject, Unsure

_SECOND = re.compile(r"(?:^|\.)lora_B(?:\.\w+)?(?:\.weight)?$")
"""How PEFT calls the matrix B: ``lora_B.default.weight`` in a module, ``lora_B.weight`` in a file,
``lora_B.default`` of an embedding."""


def _idle(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    for tensor in subject.parameters:
        if not _SECOND.search(tensor.name):
            continue
        statistics = subject.statistics(tensor)
        if statistics is None:
            yield Unsure(tensor.name, subject.problem(tensor))
            continue
        if statistics.min is None or statistics.max is None or statistics.finite < statistics.count:
            continue  # `non-finite` tells of that
        largest = max(abs(statistics.min), abs(statistics.max))
        if largest <= limits["size"]:
            evidence = {"values": statistics.count, "largest": largest}
            yield Finding(tensor.name, f"its largest value is {largest:g}", evidence)


RULES = (
    Rule(
        "idle-adapter",
        "a LoRA adapter that adds nothing",
        _idle,
        why="An adapter whose second matrix is 0 leaves its layer as it was: it was never trained.",
        do="Look whether the adapter is active while training, and in the optimizer.",
        limits={"size": Limit(0.0, "the largest value's size at which the matrix counts as 0")},
    ),
)
