"""Rules on the numbers of single tensors."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import nn

import weigh


def check(source: Any, *rules: str) -> weigh.CheckReport:
    return weigh.check(source, select=rules)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(0, scale, shape)


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_what_is_not_finite_is_counted_and_placed(kind: str) -> None:
    values = normal(30, 40).astype(np.dtype(kind) if kind != "bfloat16" else ml_dtypes.bfloat16)
    values[3, 5], values[7, 1], values[7, 2], values[9] = np.nan, np.inf, -np.inf, np.nan
    [finding] = check({"fc.weight": torch.from_numpy(values.astype("f4")).to(getattr(torch, kind))},
                      "non-finite")  # fmt: skip
    assert finding.severity == "error"
    assert finding.evidence == {
        "nan": 41, "posinf": 1, "neginf": 1, "values": 1200, "first": [3, 5],
    }  # fmt: skip


def test_the_first_place_is_found_in_a_later_piece() -> None:
    values = np.zeros((5, 1 << 20), np.float32)
    values[4, 12345] = np.inf
    [finding] = check({"fc.weight": values}, "non-finite")
    assert finding.evidence["first"] == [4, 12345]


def test_a_mask_of_minus_infinity_is_meant() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
            self.register_buffer("other", torch.full((4, 4), -torch.inf).triu(1))

    assert [finding.where for finding in check(Masked(), "non-finite")] == ["other"]


def test_what_is_not_the_networks_own_is_a_warning() -> None:
    optimizer = {"state": {0: {"exp_avg": torch.full((2, 2), torch.nan)}}, "param_groups": []}
    [finding] = check({"model": {"fc.weight": torch.ones(2, 2)}, "optimizer": optimizer},
                      "non-finite")  # fmt: skip
    assert (finding.severity, finding.where) == ("warning", "optimizer.state.0.exp_avg")


def test_constants_are_found_where_no_layer_starts_so() -> None:
    net = {
        "fc.weight": np.full((3, 4), 0.5),
        "head.weight": np.zeros((3, 4)),
        "head.bias": np.zeros(3),
        "norm.weight": np.ones(5),
        "norm.bias": np.zeros(5),
        "a.lora_A.weight": normal(2, 4),
        "a.lora_B.weight": np.zeros((4, 2)),
        "scalar": np.array([2.0]),
    }
    found = {finding.where: finding for finding in check(net, "constant")}
    assert list(found) == ["fc.weight", "head.weight"]
    assert found["fc.weight"].evidence == {"value": 0.5, "values": 12}
    assert "passes nothing on" in found["head.weight"].message


def test_an_outlier_is_told_with_its_place_and_its_share() -> None:
    values = normal(100, 200).astype(np.float32)
    values[17, 33] = -500
    [finding] = check({"fc.weight": values}, "outlier")
    wide = values.astype(np.float64)
    scale = max(
        (np.quantile(wide, 0.75) - np.quantile(wide, 0.25)) / 1.349,
        (np.quantile(wide, 0.95) - np.quantile(wide, 0.05)) / 3.290,
    )
    assert finding.evidence["position"] == [17, 33]
    assert finding.evidence["value"] == -500
    assert finding.evidence["scale"] == pytest.approx(scale, rel=1e-9)
    assert finding.evidence["deviations"] == pytest.approx((500 + np.median(wide)) / scale)
    assert finding.evidence["energy"] == pytest.approx(250_000 / np.square(wide).sum())


@pytest.mark.parametrize("degrees", [3, 5])
def test_heavy_tails_and_many_zeros_are_no_outliers(degrees: int) -> None:
    rng = np.random.default_rng(degrees)
    tails = rng.standard_t(degrees, (500, 600))
    pruned = np.where(rng.random((100, 100)) < 0.7, 0, rng.normal(size=(100, 100)))
    assert not check({"fc.weight": tails, "pruned.weight": pruned}, "outlier").findings


def test_saturated_values_are_counted() -> None:
    values = normal(50, 60).astype(np.float16)
    values[0, :7] = 65504
    [finding] = check({"fc.weight": values}, "dtype-limit")
    assert finding.evidence == {"at_limit": 7, "share": 7 / 3000, "dtype": "float16"}
    # Scaled by its largest value, a tensor of 8 bits ends where its type does.
    eight = torch.from_numpy(normal(50, 60).astype("f4"))
    scaled = (eight / eight.abs().max() * 448).to(torch.float8_e4m3fn)
    assert not check({"fc.weight": scaled}, "dtype-limit").findings


def test_subnormal_values_are_a_share_of_those_that_are_not_zero() -> None:
    values = np.full((20, 30), 0.5, np.float16)
    values[:10] = 0
    values[10, :15] = 1e-6
    [finding] = check({"fc.weight": values}, "dtype-limit")
    assert finding.evidence == {"subnormal": 15, "share": 15 / 300, "dtype": "float16"}


def test_values_closer_than_the_steps_of_their_type() -> None:
    fine = torch.from_numpy((1 + normal(256, scale=0.002)).astype("f4"))
    wide = torch.from_numpy((1 + normal(256, scale=0.2)).astype("f4"))
    close, apart = fine.bfloat16(), wide.bfloat16()
    found = list(check({"a.weight": close, "b.weight": apart}, "dtype-limit"))
    assert [(finding.where, finding.severity) for finding in found] == [("a.weight", "info")]
    exact = close.double().numpy()
    assert found[0].evidence["std"] == pytest.approx(exact.std())
    assert found[0].evidence["step"] in (2**-7, 2**-8)


def test_rotary_frequencies_in_bfloat16() -> None:
    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("inv_freq", (1e4 ** -(torch.arange(32) / 32)).bfloat16())

    assert [finding.where for finding in check(Rotary(), "dtype-limit")] == ["inv_freq"]
    assert not check(Rotary().float(), "dtype-limit").findings


def test_an_outlier_of_complex_numbers_has_no_place() -> None:
    values = np.random.default_rng(0).normal(size=(2, 2000))
    made = (values[0] + 1j * values[1]).astype(np.complex64)
    made[7] = 3 + 5000j
    [finding] = weigh.check({"w": made}, select=["outlier"]).findings
    assert finding.evidence["value"] == 5000
    assert finding.evidence["position"] is None


def test_a_few_equal_values_are_chance() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.bias.fill_(-0.001)  # as a first step of Adam leaves it
    assert not weigh.check(layer, select=["constant"]).findings
