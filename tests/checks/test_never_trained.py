"""The rule never-trained: fresh layers are found, trained ones are not, and doubt is said."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import weigh

Module = nn.Module


def check(source: Any, **options: Any) -> weigh.CheckReport:
    return weigh.check(source, select=["never-trained"], **options)


def places(source: Any) -> list[str]:
    return [finding.where for finding in check(source)]


def beside_a_trained_one(layer: Module) -> nn.ModuleDict:
    """A fresh layer in a network of which another layer was stepped."""
    torch.manual_seed(1)
    trained = nn.Linear(40, 30)
    step = torch.optim.SGD(trained.parameters(), lr=0.1)
    trained(torch.randn(16, 40)).square().sum().backward()
    step.step()
    return nn.ModuleDict({"trained": trained, "fresh": layer})


FRESH: list[tuple[str, Callable[[], Module]]] = [
    ("linear", lambda: nn.Linear(20, 30)),
    ("linear without bias", lambda: nn.Linear(7, 9, bias=False)),
    ("large linear", lambda: nn.Linear(700, 600)),
    ("bilinear", lambda: nn.Bilinear(5, 6, 7)),
    ("conv1d", lambda: nn.Conv1d(4, 6, 3)),
    ("conv2d", lambda: nn.Conv2d(3, 8, 5)),
    ("conv3d", lambda: nn.Conv3d(2, 4, 3)),
    ("depthwise", lambda: nn.Conv2d(16, 16, 3, groups=16)),
    ("transposed", lambda: nn.ConvTranspose2d(6, 4, 3)),
    ("lstm", lambda: nn.LSTM(10, 8, num_layers=2, bidirectional=True)),
    ("gru cell", lambda: nn.GRUCell(12, 8)),
    ("projected lstm", lambda: nn.LSTM(10, 8, proj_size=4)),
    ("embedding", lambda: nn.Embedding(40, 16)),
    ("layer norm", lambda: nn.LayerNorm(16)),
    ("batch norm", lambda: nn.BatchNorm2d(8)),
    ("group norm", lambda: nn.GroupNorm(2, 8)),
    ("prelu", lambda: nn.PReLU(4)),
]


@pytest.mark.parametrize(("name", "make"), FRESH)
@pytest.mark.parametrize("seed", range(3))
def test_a_fresh_layer_is_found(name: str, make: Callable[[], Module], seed: int) -> None:
    torch.manual_seed(seed)
    net = beside_a_trained_one(make())
    assert places(net) == ["fresh"], name
    # And from a file, of which only names and shapes are known.
    found = places(dict(net.state_dict()))
    if name != "prelu":  # a vector that is 0.25 throughout may be anything
        assert found == ["fresh"]


def test_attention_and_what_is_below_it_are_found() -> None:
    torch.manual_seed(0)
    net = beside_a_trained_one(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True))
    assert places(net) == [
        "fresh.self_attn",
        "fresh.self_attn.out_proj",
        "fresh.linear1",
        "fresh.linear2",
        "fresh.norm1",
        "fresh.norm2",
    ]


CUSTOM: list[tuple[str, Callable[[torch.Tensor], object]]] = [
    ("normal 0.02", lambda w: nn.init.normal_(w, 0, 0.02)),
    ("normal of any deviation", lambda w: nn.init.normal_(w, 0, 0.0137)),
    ("xavier normal", nn.init.xavier_normal_),
    ("xavier uniform", nn.init.xavier_uniform_),
    ("kaiming normal", lambda w: nn.init.kaiming_normal_(w, mode="fan_out")),
    ("kaiming uniform", nn.init.kaiming_uniform_),
]


@pytest.mark.parametrize(("name", "init"), CUSTOM)
def test_usual_other_starts_are_known(name: str, init: Callable[[torch.Tensor], object]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(60, 50)
    init(layer.weight)
    nn.init.zeros_(layer.bias)
    [finding] = check(beside_a_trained_one(layer))
    assert finding.where == "fresh"
    weight, bias = finding.evidence["tensors"]  # type: ignore[misc]
    assert (weight["how"], bias["how"]) == ("marks", "exact")
    assert weight["bits"] > 100


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_truncated_start_and_narrow_types_are_told_by_their_distribution(
    kind: torch.dtype,
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(60, 50)
    nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)
    nn.init.zeros_(layer.bias)
    net = beside_a_trained_one(layer).to(kind)
    [finding] = check(net)
    assert finding.where == "fresh"
    assert finding.evidence["tensors"][0]["how"] == "distribution"  # type: ignore[index]


def test_one_step_is_seen() -> None:
    """A single step of a small rate on a layer of 200,704 values."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    before = places(net)
    step = torch.optim.SGD(net.parameters(), lr=0.01)
    loss = nn.functional.cross_entropy(net(torch.rand(64, 1, 28, 28)), torch.randint(0, 10, (64,)))
    loss.backward()
    step.step()
    assert (before, places(net)) == ([""], [])


def test_an_untouched_network_is_one_finding_and_no_alarm() -> None:
    torch.manual_seed(0)
    report = check(nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)))
    [finding] = report
    assert (finding.where, finding.severity) == ("", "info")
    assert finding.evidence == {"layers": ["0", "2"], "count": 2}


def test_only_the_part_that_was_left_out_is_told() -> None:
    """A bias that the optimizer does not have, beside a weight that it has."""
    torch.manual_seed(0)
    layer = nn.Linear(40, 64)
    step = torch.optim.SGD([layer.weight], lr=0.1)
    layer(torch.randn(8, 40)).square().sum().backward()
    step.step()
    assert places(layer) == ["bias"]


def test_few_values_are_judged_together_or_not_at_all() -> None:
    torch.manual_seed(0)
    tiny = check(beside_a_trained_one(nn.Linear(2, 3)))
    assert [finding.where for finding in tiny] == []
    small = check(beside_a_trained_one(nn.Linear(6, 4)))  # 24 and 4 values
    assert [finding.where for finding in small] == ["fresh"]


def test_weights_shrunk_by_decay_beside_a_bias_of_zeros_are_found() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(100, 100)
    nn.init.normal_(layer.weight, 0, 0.02)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():  # a hundred steps of decay, each rounded
        for _ in range(100):
            layer.weight *= 1 - 1e-3
    assert places(beside_a_trained_one(layer)) == ["fresh"]


def test_what_cannot_be_known_is_said() -> None:
    """Normal numbers that are not PyTorch's, without a bias: trained a little, or never."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.02, (100, 100)).astype(np.float32)
    report = check({"trained.weight": np.full((3, 4), 0.3, "f4"), "head.weight": weight})
    assert report.findings == ()
    [unsure] = report.unsure
    assert unsure.where == "head"
    assert "last digits are not those" in unsure.message


def test_learned_structure_is_no_start() -> None:
    """The right deviation and an even distribution, but a direction that was learned."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (200, 200))
    left, right = rng.normal(0, 1, (2, 200))
    learned = noise + 0.15 * np.outer(left, right)
    learned *= 0.02 / learned.std()
    net = {"fc.weight": learned.astype(np.float32), "fc.bias": np.zeros(200, np.float32)}
    assert check(net).findings == ()
    plain = {"fc.weight": (noise * 0.02).astype("f4"), "fc.bias": np.zeros(200, "f4")}
    assert [finding.where for finding in check(plain)] == ["fc"]


def test_uneven_channels_are_no_start() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.02, (200, 300)) * np.linspace(0.93, 1.07, 200)[:, None]
    net = {"fc.weight": weight.astype(np.float32), "fc.bias": np.zeros(200, np.float32)}
    assert check(net).findings == ()


def test_a_live_network_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.LSTM(30, 4))
    before = copy.deepcopy(net.state_dict())
    state, modes = torch.get_rng_state(), [m.training for m in net.modules()]
    check(net)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [m.training for m in net.modules()]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_odd_tensors_are_passed_over() -> None:
    net = {
        "empty.weight": np.zeros((0, 4), "f4"),
        "whole.weight": np.arange(12).reshape(3, 4),
        "nan.weight": np.full((3, 4), np.nan, "f4"),
        "one.weight": np.array(3.0, "f4"),
        "complex.weight": np.ones((3, 4), np.complex64),
    }
    assert check(net).findings == ()
    with torch.device("meta"):
        assert check(nn.Linear(3, 4)).findings == ()
    assert check(nn.LazyLinear(4)).findings == ()


@pytest.mark.parametrize(("rows", "width", "met"), [(1000, 64, 300), (5000, 20, 100), (32, 16, 1)])
def test_a_table_of_which_a_part_was_trained_is_not_called_untrained(
    rows: int, width: int, met: int
) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(rows, width)
    assert [one.severity for one in check(beside_a_trained_one(table)).findings] == ["warning"]
    with torch.no_grad():
        table.weight[torch.randperm(rows)[:met]] += 1e-3
    report = check(beside_a_trained_one(table))
    assert not report.findings
    assert not report.unsure


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(8, 16, 3), lambda: nn.Embedding(60, 32)])
def test_a_layer_made_wider_after_it_was_drawn_is_found(make: Callable[[], Module]) -> None:
    net = beside_a_trained_one(make()).double()
    assert places(net) == ["fresh"]
    with torch.no_grad():
        next(net["fresh"].parameters()).mul_(1.001)
    assert not places(net)


def test_a_single_fresh_layer_is_no_alarm() -> None:
    [finding] = check(nn.Linear(20, 30))
    assert (finding.where, finding.severity) == ("", "info")
