"""Rules on a module's optimizer: what it lacks, has twice, or has from elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken_modules import LIVE, Net, sgd, stepped
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh


def check(net: nn.Module, rule: str, optimizer: Any, **more: Any) -> weigh.CheckReport:
    return weigh.check(net, optimizer=optimizer, select=[rule], **more)


def named(report: weigh.CheckReport) -> set[str]:
    return {name for finding in report for name in finding.evidence["names"]}  # type: ignore[attr-defined]


def of(*parameters: Any, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(list(parameters), lr=0.5, **options)


# not-optimized and optimized-but-frozen


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_a_step_leaves_as_it_is_is_what_is_found(plan: list[tuple[bool, bool]]) -> None:
    torch.manual_seed(0)
    net = Net()
    chosen = []
    for (optimized, learns), parameter in zip(plan, net.parameters(), strict=True):
        parameter.requires_grad_(learns)
        chosen += [parameter] * optimized
    optimizer = of(*(chosen or [nn.Parameter(torch.ones(1))]))
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    missing = named(check(net, "not-optimized", optimizer))
    still = named(check(net, "optimized-but-frozen", optimizer))
    before = copy.deepcopy(dict(net.named_parameters()))
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert missing == learning - moved
    assert (
        still
        == {name for name, p in net.named_parameters() if any(p is one for one in chosen)}
        - learning
    )


def test_a_single_parameter_is_called_by_its_name() -> None:
    net = Net()
    rest = [p for name, p in net.named_parameters() if name != "head.bias"]
    [finding] = check(net, "not-optimized", of(*rest))
    assert finding.where == "head.bias"
    assert finding.message == "its 2 values are in no group of the optimizer"
    [finding] = check(nn.Linear(1, 1, bias=False), "not-optimized", sgd(net))
    assert finding.message == "its only parameter is not in the optimizer"


def test_a_gradient_from_before_is_a_warning_until_it_is_gone() -> None:
    net = Net()
    optimizer = sgd(net, weight_decay=0.1)
    stepped(net)
    net.head.requires_grad_(False)
    [finding] = check(net, "optimized-but-frozen", optimizer)
    before = net.head.weight.clone()
    assert (finding.where, finding.severity) == ("head", "warning")
    optimizer.step()
    assert not torch.equal(before, net.head.weight)
    optimizer.zero_grad()
    [finding] = check(net, "optimized-but-frozen", optimizer)
    assert finding.severity == "info"
    before = net.head.weight.clone()
    optimizer.step()
    assert torch.equal(before, net.head.weight)


# optimized-twice


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_what_is_twice_in_a_group_moves_twice_as_far() -> None:
    net = nn.Linear(2, 2)
    optimizer = of(net.weight, net.weight, net.bias)
    [finding] = check(net, "optimized-twice", optimizer)
    assert (finding.where, finding.severity, finding.evidence["times"]) == ("weight", "error", 2)
    before = net.weight.detach().clone()
    net.weight.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.allclose(net.weight, before - 2 * 0.5)


def test_a_parameter_of_two_optimizers_may_be_meant() -> None:
    net = Net()
    both = [sgd(net), of(net.body.weight)]
    [finding] = check(net, "optimized-twice", both)
    assert (finding.where, finding.severity) == ("body.weight", "warning")
    assert check(net, "optimized-twice", [both[0], both[0]]).findings == ()


def test_memory_that_tensors_share() -> None:
    flat = torch.arange(24.0)
    apart = [nn.Parameter(flat[:12].view(3, 4)), nn.Parameter(flat[12:])]
    across = [nn.Parameter(flat[:13]), nn.Parameter(flat[12:])]
    matrix = flat.view(4, 6)
    columns = [nn.Parameter(matrix[:, :3]), nn.Parameter(matrix[:, 3:])]
    for parameters, count in ((apart, 0), (across, 1), (columns, 0), ([*apart, across[0]], 1)):
        net = nn.ParameterList(parameters)
        assert len(check(net, "optimized-twice", sgd(net)).findings) == count
    net = nn.ParameterList([*across, nn.Parameter(torch.ones(2))])
    [finding] = check(net, "optimized-twice", sgd(net))
    assert (finding.where, finding.evidence["names"]) == ("0", ["0", "1"])


def test_tensors_without_memory_share_none() -> None:
    net = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2, device="meta"))
    net.empty = nn.ParameterList([nn.Parameter(torch.empty(0)), nn.Parameter(torch.empty(0))])
    assert check(net, "optimized-twice", sgd(net)).findings == ()


# optimizer-has-stranger

STRANGERS: list[tuple[str, Callable[[Net, Any], Any], str | None]] = [
    ("nothing", lambda net, optimizer: None, None),
    ("a head of the same shape", lambda net, o: setattr(net, "head", nn.Linear(4, 2)), "error"),
    ("a head of another shape", lambda net, o: setattr(net, "head", nn.Linear(4, 9)), "warning"),
    ("a head that is gone", lambda net, o: delattr(net, "head"), "info"),
    ("a second network", lambda net, o: o.add_param_group({"params": nn.Linear(5, 5).weight}),
     "info"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "severity"), STRANGERS)
def test_how_bad_strangers_are(
    name: str, change: Callable[[Net, Any], Any], severity: str | None
) -> None:
    net = Net()
    optimizer = sgd(net)
    change(net, optimizer)
    found = check(net, "optimizer-has-stranger", optimizer)
    assert [finding.severity for finding in found] == [severity] * (severity is not None), name
    mine = {id(p) for p in net.parameters()}
    strangers = [p for p in optimizer.param_groups[0]["params"] if id(p) not in mine]
    for finding in found:
        if name != "a second network":
            assert finding.evidence["count"] == len(strangers)
            assert finding.evidence["values"] == sum(p.numel() for p in strangers)


def test_a_lost_parameter_that_is_optimized_is_no_stranger() -> None:
    net = Net()
    net.more = [nn.Linear(2, 2)]  # type: ignore[assignment]
    optimizer = of(*net.parameters(), *net.more[0].parameters())  # type: ignore[operator]
    found = weigh.check(net, optimizer=optimizer, select=LIVE)
    assert [(f.rule, f.where) for f in found] == [("lost-parameter", "more")]


def test_moving_a_module_keeps_its_parameters_by_default_and_may_not() -> None:
    net = Net()
    optimizer = sgd(net)
    net.double()
    assert check(net, "optimizer-has-stranger", optimizer).findings == ()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        net.float()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    [finding] = check(net, "optimizer-has-stranger", optimizer)
    assert (finding.severity, finding.evidence["replaced"]) == ("error", 6)


def masters(net: nn.Module) -> list[nn.Parameter]:
    return [nn.Parameter(p.detach().float()) for p in net.parameters()]


def flat(net: nn.Module) -> list[nn.Parameter]:
    return [nn.Parameter(torch.cat([p.detach().flatten() for p in net.parameters()]))]


@pytest.mark.parametrize(
    ("net", "copies", "said"),
    [
        (Net().bfloat16(), masters, "copies in float32"),
        (Net().half(), masters, "copies in float32"),
        (Net(), flat, "the same values laid out flat"),
    ],
)
def test_copies_that_stand_for_the_parameters_are_doubt(
    net: nn.Module, copies: Callable[[nn.Module], list[nn.Parameter]], said: str
) -> None:
    for rule in ("not-optimized", "optimizer-has-stranger"):
        report = check(net, rule, of(*copies(net)))
        assert report.findings == ()
        assert said in report.unsure[0].message


# decayed-norm


class RelativeBias(nn.Module):
    """A layer whose parameter is called a bias and is a table."""

    def __init__(self) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
        self.scale = nn.Parameter(torch.ones(3))
        self.position_bias = nn.Parameter(torch.zeros(4, 4))


class NormalisedLinear(nn.Linear):
    """A layer whose class sounds like a normalisation, and whose weight is a matrix."""


def test_scales_and_biases_are_counted_by_group() -> None:
    net = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.LayerNorm([2, 3]), nn.GRU(3, 3),
                        nn.RMSNorm(3), RelativeBias(), nn.MultiheadAttention(4, 1),
                        NormalisedLinear(2, 2, bias=False))  # fmt: skip
    net[2].bias.requires_grad_(False)
    norms = [*net[1].parameters(), net[2].weight, net[2].bias, *net[4].parameters()]
    rest = [p for p in net.parameters() if not any(p is one for one in norms)]
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.2}]
    first, second = check(net, "decayed-norm", torch.optim.AdamW(groups))
    biases = {n for n, p in net.named_parameters() if n.split(".")[-1].startswith("bias_")}
    biases |= {"0.bias", "6.in_proj_bias", "6.out_proj.bias"}
    assert set(first.evidence["names"]) == biases  # type: ignore[call-overload]
    assert (first.evidence["norms"], first.evidence["biases"]) == (0, len(biases))
    assert (second.evidence["norms"], second.evidence["biases"]) == (4, 0)
    assert (second.evidence["group"], second.evidence["weight_decay"]) == (1, 0.2)
    assert {first.severity, second.severity} == {"info"}


def test_no_decay_is_none() -> None:
    net = Net()
    for optimizer in (
        sgd(net),
        torch.optim.Adam(net.parameters()),
        torch.optim.LBFGS(net.parameters()),
    ):
        assert check(net, "decayed-norm", optimizer).findings == ()


# What is taken for an optimizer.


class Own:
    """An optimizer that is none of PyTorch's."""

    def __init__(self, net: nn.Module) -> None:
        self.param_groups = [{"params": list(net.parameters())}]


def wrapped(net: nn.Module) -> list[Any]:
    optimizer = sgd(net)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    halves = [sgd(nn.ModuleList([net.body, net.norm])), sgd(net.head)]  # type: ignore[list-item]
    return [optimizer, [optimizer], (optimizer,), halves, schedule, [optimizer, schedule],
            ([optimizer], [schedule]), {"optimizer": optimizer, "lr_scheduler": schedule},
            [{"optimizer": one} for one in halves], Own(net)]  # fmt: skip


@pytest.mark.parametrize("at", range(10))
def test_what_is_taken_for_an_optimizer(at: int) -> None:
    net = Net()
    optimizer = wrapped(net)[at]
    report = weigh.check(net, optimizer=optimizer)
    rules = {f.rule for f in report}
    assert rules.isdisjoint(LIVE), report.findings
    net.extra = nn.Linear(3, 3)
    report = weigh.check(net, optimizer=optimizer)
    assert [f.where for f in report if f.rule in LIVE] == ["extra"]


@pytest.mark.parametrize(
    "wrong", ["sgd", 0, object(), [1], [None], {"lr": 1}, torch.ones(2), {"optimizer": "sgd"}]
)
def test_what_is_none_is_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(weigh.UsageError, match="an optimizer has param_groups") as caught:
        weigh.check(Net(), optimizer=wrong)
    assert "\n" not in str(caught.value)


def test_an_optimizer_keeps_its_state_and_its_steps() -> None:
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.1)
    stepped(net, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    versions = [p._version for p in net.parameters()]
    weigh.check(net, optimizer=optimizer)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for key, state in after["state"].items():
        assert all(torch.equal(value, before["state"][key][name]) for name, value in state.items())
    assert versions == [p._version for p in net.parameters()]
