"""The rule of this package, on adapters as PEFT names them."""

from __future__ import annotations

import numpy as np
import pytest

from weigh.testing import check_with
from weigh_lora import RULES

[RULE] = RULES


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.q_proj.lora_B.weight",
        "base_model.model.q_proj.lora_B.default.weight",
        "base_model.model.embed.lora_B.default",
    ],
)
def test_an_adapter_that_adds_nothing_is_found(name: str) -> None:
    [finding] = check_with(RULE, {name: np.zeros((64, 8), "f4")}).findings
    assert (finding.rule, finding.where, finding.severity) == ("idle-adapter", name, "warning")
    assert finding.evidence == {"values": 512, "largest": 0.0}


def test_one_that_was_trained_is_not() -> None:
    up = np.zeros((64, 8), "f4")
    up[3, 5] = -0.01
    assert not check_with(RULE, {"q_proj.lora_B.weight": up}).findings
    assert check_with(RULE, {"q_proj.lora_B.weight": up}, size=0.1).findings


def test_other_tensors_of_zeros_are_left_alone() -> None:
    zeros = np.zeros((8, 8), "f4")
    names = ("q_proj.lora_A.weight", "q_proj.weight", "lora_Bee.weight", "q_proj.bias")
    assert not check_with(RULE, dict.fromkeys(names, zeros)).findings
    spoiled = np.full((4, 4), np.nan, "f4")
    assert not check_with(RULE, {"q_proj.lora_B.weight": spoiled}).findings


def test_it_has_a_page() -> None:
    assert RULE.page().startswith("# idle-adapter\n")
    assert all(f"`{name}`" in RULE.page() for name in RULE.limits)
