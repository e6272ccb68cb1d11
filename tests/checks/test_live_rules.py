"""Rules on a live module and its optimizer: each mistake is found, its healthy twin is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken_modules
import pytest
import torch
from broken_modules import LIVE, PAIRS, Case, Net, sgd, stepped
from torch import nn

import weigh


def check(case: Case, *rules: str) -> weigh.CheckReport:
    return weigh.check(case.module, optimizer=case.optimizer, loss=case.loss, select=rules or LIVE)


@pytest.mark.parametrize(("name", "rule", "where", "broken", "healthy"), PAIRS)
def test_each_mistake_is_found_and_its_twin_is_not(
    name: str, rule: str, where: str, broken: Callable[[], Case], healthy: Callable[[], Case]
) -> None:
    torch.manual_seed(0)
    found = [(finding.rule, finding.where) for finding in check(broken())]
    assert (rule, where) in found, name
    assert check(healthy()).findings == (), name


def test_there_are_enough_of_them() -> None:
    assert len(PAIRS) >= 40
    assert {rule for _, rule, _, _, _ in PAIRS} == set(LIVE)
    assert len({name for name, *_ in PAIRS}) == len(PAIRS)


def test_each_says_where_people_report_it() -> None:
    lines = Path(broken_modules.__file__).read_text("utf-8").splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("@pair(")]
    assert len(starts) == len(PAIRS)
    assert [lines[at] for at in starts if not lines[at - 1].startswith("# https://")] == []


def test_what_is_lost_is_counted() -> None:
    net = Net()
    net.layers = [nn.Linear(4, 4), [nn.Linear(4, 8), nn.ReLU()]]  # type: ignore[assignment]
    [finding] = check(Case(net), "lost-parameter")
    assert finding.evidence["values"] == 20 + 40
    assert finding.evidence["places"] == ["layers[0]", "layers[1][0]"]
    assert finding.severity == "error"
    assert "ModuleList" in finding.do


def test_whether_it_is_used_is_told_by_the_graph() -> None:
    net = Net()
    net.used, net.unused = [nn.Linear(2, 2)], [nn.Linear(2, 2)]  # type: ignore[assignment]
    loss = net.used[0](net(torch.randn(8, 4))).sum()  # type: ignore[operator]
    found = {f.where: f.evidence["used"] for f in check(Case(net, loss=loss), "lost-parameter")}
    assert found == {"used": True, "unused": False}


def test_what_is_kept_aside_on_purpose_is_no_loss() -> None:
    net = Net()
    teacher = Net().requires_grad_(False)
    net.teacher = [teacher]  # type: ignore[assignment]
    net.order = [net.body, net.norm]  # type: ignore[assignment]
    net.last = net(torch.randn(8, 4))  # type: ignore[assignment]
    net.constant = torch.ones(3)
    net.optimizer = sgd(Net())  # type: ignore[assignment]
    net.wrapper = [nn.Sequential(net)]  # type: ignore[assignment]
    assert check(Case(net), "lost-parameter").findings == ()


def test_an_input_that_requires_a_gradient_is_doubt() -> None:
    net = Net()
    loss = net(torch.randn(8, 4, requires_grad=True)).sum()
    report = check(Case(net, loss=loss), "lost-parameter")
    assert (report.findings, len(report.unsure)) == ((), 1)


def test_without_a_backward_pass_nothing_is_said_of_gradients() -> None:
    report = check(Case(Net()), "no-gradient")
    assert [unsure.message for unsure in report.unsure] == [
        "no backward pass was made, and no loss was given"
    ]


def test_a_norm_that_is_frozen_may_be_in_eval_mode() -> None:
    net = Net()
    net.norm.eval().requires_grad_(False)
    [finding] = check(Case(net), "mode-mix")
    assert finding.severity == "info"


def test_frozen_parts_are_told_by_the_highest_layer() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)), nn.Linear(4, 5))
    net[0].requires_grad_(False)
    net[1].bias.requires_grad_(False)
    found = {f.where: f.evidence["values"] for f in check(Case(net), "frozen")}
    assert found == {"0": 9 + 16, "1.bias": 5}
    net.requires_grad_(False)
    [finding] = check(Case(net), "frozen")
    assert (finding.where, finding.evidence["share"]) == ("", 1.0)


def test_a_gradient_from_before_it_was_frozen_still_moves_it() -> None:
    net = Net()
    optimizer = sgd(net)
    stepped(net)
    net.body.requires_grad_(False)
    [finding] = check(Case(net, optimizer), "optimized-but-frozen")
    assert (finding.severity, finding.evidence["gradient"]) == ("warning", True)


def test_several_optimizers_are_one() -> None:
    net = Net()
    both = [sgd(nn.ModuleList([net.body, net.norm])), sgd(net.head)]
    assert check(Case(net, both), "not-optimized", "optimizer-has-stranger").findings == ()
    assert [f.where for f in check(Case(net, both[:1]), "not-optimized")] == ["head"]


def test_two_networks_in_one_optimizer_are_no_error() -> None:
    net, other = Net(), nn.Linear(7, 7)
    optimizer = torch.optim.SGD([*net.parameters(), *other.parameters()], lr=0.1)
    [finding] = check(Case(net, optimizer), "optimizer-has-stranger")
    assert (finding.severity, finding.evidence["values"]) == ("info", 56)


def test_one_memory_under_two_tensors() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    net = nn.Linear(4, 4)
    net.weight, net.other = weight, nn.Parameter(weight.data)  # type: ignore[assignment]
    [finding] = check(Case(net, sgd(net)), "optimized-twice")
    assert finding.evidence["names"] == ["weight", "other"]


def test_a_tied_parameter_is_one() -> None:
    net = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    net[1].weight = net[0].weight
    assert check(Case(net, sgd(net))).findings == ()


def test_what_is_no_optimizer_is_refused_in_one_line() -> None:
    for wrong in ("sgd", [1], object()):
        with pytest.raises(weigh.UsageError, match="optimizer"):
            weigh.check(Net(), optimizer=wrong)
    with pytest.raises(weigh.UsageError, match="graph"):
        weigh.check(Net(), loss=torch.ones(1))
    with pytest.raises(weigh.UsageError, match="live module"):
        weigh.check(dict(Net().state_dict()), optimizer=sgd(Net()))


HEALTHY: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("transformer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 3, 8)),
    ("lstm", lambda: nn.LSTM(8, 4, num_layers=2), (3, 2, 8)),
    (
        "cnn",
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.Flatten()),
        (2, 1, 6, 6),
    ),
]


@pytest.mark.parametrize(("name", "make", "shape"), HEALTHY)
def test_healthy_networks_have_no_finding(
    name: str, make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    net = make()
    optimizer = sgd(net)
    for _ in range(3):
        optimizer.zero_grad()
        out = net(torch.randn(shape))
        loss = (out[0] if isinstance(out, tuple) else out).square().mean()
        loss.backward()
        optimizer.step()
    report = weigh.check(net, optimizer=optimizer)
    assert report.findings == (), name


class Watched(nn.Module):
    """A module that must not be called, and whose attributes must not be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.thing = Touchy()

    @property
    def surprise(self) -> Any:
        raise AssertionError("a property was read")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("body",):
            return super().__getattr__(name)
        raise AssertionError(f"{name} was asked for")

    def __repr__(self) -> str:
        raise AssertionError("it was printed")

    def forward(self, x: Any) -> Any:
        raise AssertionError("it was called")


class Touchy:
    """An object that must only be looked at."""

    def __init__(self) -> None:
        self.lost = nn.Parameter(torch.ones(2))

    def __bool__(self) -> bool:
        raise AssertionError

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        raise AssertionError

    def __iter__(self) -> Any:
        raise AssertionError


def test_nothing_of_the_users_is_called_and_nothing_changes() -> None:
    net = Watched()
    optimizer = torch.optim.Adam(net.body.parameters())
    net.body(torch.randn(2, 3)).sum().backward()
    grads = [p.grad.clone() for p in net.body.parameters() if p.grad is not None]
    before, state = copy.deepcopy(net.body.state_dict()), torch.get_rng_state()
    found = check(Case(net, optimizer))
    assert [(f.rule, f.where) for f in found] == [("lost-parameter", "thing")]
    assert all(torch.equal(before[name], value) for name, value in net.body.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(
        torch.equal(grad, p.grad)  # type: ignore[arg-type]
        for grad, p in zip(grads, net.body.parameters(), strict=True)
    )


def test_cycles_and_very_many_objects_come_to_an_end() -> None:
    net = Net()
    loop: list[Any] = []
    loop.append(loop)
    net.loop = loop  # type: ignore[assignment]
    net.data = [[i] for i in range(1000)]  # type: ignore[assignment]
    config = {"lost-parameter": {"objects": 500}}
    report = weigh.check(net, select=["lost-parameter"], config=config)
    assert (report.findings, len(report.unsure)) == ((), 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_or_traced_module_holds_what_it_holds() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    for made in (torch.jit.script(net), torch.jit.trace(net, torch.ones(4, 3))):
        optimizer = torch.optim.SGD(made.parameters(), 0.1)
        made(torch.randn(4, 3)).square().sum().backward()
        assert not check(Case(made, optimizer)).findings
        half = torch.optim.SGD(list(made.parameters())[:2], 0.1)
        assert [one.where for one in check(Case(made, half), "not-optimized")] == ["1"]
        assert not check(Case(nn.Sequential(made)), "lost-parameter").findings


def test_an_optimizer_of_lazy_and_sparse_parameters() -> None:
    net = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d())
    lazy = torch.optim.SGD(net.parameters(), 0.1)
    assert not weigh.check(net, optimizer=lazy).findings
    sparse = nn.ParameterList([nn.Parameter(torch.eye(4).to_sparse())])
    given = torch.optim.SGD(sparse.parameters(), 0.1)
    assert not check(Case(sparse, given), "optimized-twice").findings


def test_no_code_of_the_users_is_called() -> None:
    class Proxy:
        @property
        def __class__(self) -> type:
            raise RuntimeError("nothing is bound")

    class Own(Net):
        def named_parameters(self, *args: Any, **options: Any) -> Any:
            raise RuntimeError("of the user")

        parameters = named_parameters

    net = Own()
    net.__dict__["proxy"] = [Proxy()]
    optimizer = torch.optim.SGD(nn.Module.parameters(Net()), 0.1)
    assert "lost-parameter" not in [one.rule for one in weigh.check(net, optimizer=optimizer)]
