"""How much of a file is optimizer state, and which parameters lack theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import weigh

HOLE, STATE = ["optimizer-hole"], ["optimizer-state"]


class Net(torch.nn.Module):
    """A network with a layer that its forward pass leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(8, 16)
        self.norm = torch.nn.BatchNorm1d(16)
        self.unused = torch.nn.Linear(5, 7)
        self.last = torch.nn.Linear(16, 3)

    def forward(self, x: torch.Tensor, *, everything: bool = False) -> torch.Tensor:
        out: torch.Tensor = self.last(self.norm(self.first(x)).relu())
        return out + self.unused(x[:, :5]).sum() if everything else out


def step(net: torch.nn.Module, optimizer: Any, **options: Any) -> None:
    optimizer.zero_grad()
    net(torch.randn(6, 8), **options).square().sum().backward()
    optimizer.step()


def saved(folder: Path, net: torch.nn.Module, optimizer: Any, **more: Any) -> Path:
    path = folder / "net.pt"
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()} | more, path)
    return path


OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": lambda p: torch.optim.AdamW(p, amsgrad=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_layer_that_is_not_used(name: str, tmp_path: Path) -> None:
    net = Net()
    optimizer = OPTIMIZERS[name](net.parameters())
    step(net, optimizer)
    for report in (
        weigh.check(net, optimizer=optimizer, select=HOLE),
        weigh.check(saved(tmp_path, net, optimizer), select=HOLE),
    ):
        rows = list(report)
        assert [row.where for row in rows] == ["unused.weight", "unused.bias"]
        assert {row.severity for row in rows} == {"warning"}
        assert rows[0].evidence == {"with_state": 6, "without_state": 2}
        assert report.unsure == ()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_healthy_optimizers(name: str, tmp_path: Path) -> None:
    net = Net()
    optimizer = OPTIMIZERS[name](net.parameters())
    fresh = weigh.check(net, optimizer=optimizer, select=HOLE)
    assert (fresh.findings, fresh.unsure) == ((), ())
    step(net, optimizer, everything=True)
    step(net, optimizer, everything=True)
    for report in (
        weigh.check(net, optimizer=optimizer, select=HOLE),
        weigh.check(saved(tmp_path, net, optimizer), select=HOLE),
        weigh.check(net, select=HOLE),
    ):
        assert (report.findings, report.unsure) == ((), ())


def test_what_is_looked_at_is_left_as_it_was() -> None:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer)
    before = len(optimizer.state)
    weigh.check(net, optimizer=optimizer, select=HOLE)
    assert len(optimizer.state) == before


def test_optimizers_without_state_say_nothing(tmp_path: Path) -> None:
    net = Net()
    for optimizer in (
        torch.optim.SGD(net.parameters(), lr=0.1),
        torch.optim.LBFGS(net.parameters()),
    ):
        net(torch.randn(6, 8)).sum().backward()
        optimizer.step(lambda: net(torch.randn(6, 8)).square().sum())
        assert weigh.check(net, optimizer=optimizer, select=HOLE).findings == ()
        assert weigh.check(saved(tmp_path, net, optimizer), select=HOLE).findings == ()


def test_frozen_parameters_are_no_holes_live(tmp_path: Path) -> None:
    net = Net()
    net.unused.requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer)
    assert weigh.check(net, optimizer=optimizer, select=HOLE).findings == ()


def test_most_without_state_is_one_finding(tmp_path: Path) -> None:
    net = Net()
    for part in (net.first, net.norm, net.unused):
        part.requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer)
    assert weigh.check(net, optimizer=optimizer, select=HOLE).findings == ()
    (one,) = weigh.check(saved(tmp_path, net, optimizer), select=HOLE)
    assert (one.where, one.severity) == ("", "info")
    assert one.evidence["without_state"] == 6


def test_parameters_that_lag_behind(tmp_path: Path) -> None:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    for at in range(5):
        step(net, optimizer, everything=at < 3)
    for report in (
        weigh.check(net, optimizer=optimizer, select=HOLE),
        weigh.check(saved(tmp_path, net, optimizer), select=HOLE),
    ):
        assert [row.where for row in report] == ["unused.weight", "unused.bias"]
        assert {row.severity for row in report} == {"info"}
        assert report.findings[0].evidence == {"step": 3.0, "usual_step": 5.0}
    limits = {"optimizer-hole": {"least-lag": 3}}
    assert weigh.check(net, optimizer=optimizer, select=HOLE, config=limits).findings == ()


def matrices_first(net: torch.nn.Module) -> list[dict[str, Any]]:
    every = list(net.parameters())
    return [
        {"params": [p for p in every if p.ndim > 1]},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]


def rest_first(net: Net) -> list[dict[str, Any]]:
    return matrices_first(net)[::-1]


def head_first(net: Net) -> list[dict[str, Any]]:
    head = list(net.last.parameters())
    body = [p for name, p in net.named_parameters() if not name.startswith("last")]
    return [{"params": head, "lr": 0.1}, {"params": body}]


def body_first(net: Net) -> list[dict[str, Any]]:
    return head_first(net)[::-1]


@pytest.mark.parametrize("groups", [matrices_first, rest_first, head_first, body_first])
def test_two_groups(groups: Any, tmp_path: Path) -> None:
    net = Net()
    optimizer = torch.optim.AdamW(groups(net))
    step(net, optimizer)
    report = weigh.check(saved(tmp_path, net, optimizer), select=HOLE)
    assert {row.where for row in report} == {"unused.weight", "unused.bias"}
    assert report.unsure == ()


def test_what_does_not_fit_is_unsure(tmp_path: Path) -> None:
    net = Net()
    part = torch.optim.Adam(net.last.parameters())
    step(net, part)
    report = weigh.check(saved(tmp_path, net, part), select=HOLE)
    assert report.findings == ()
    assert "2 parameters and the network 8" in report.unsure[0].message
    turned = torch.optim.Adam(list(net.parameters())[::-1])
    step(net, turned)
    report = weigh.check(saved(tmp_path, net, turned), select=HOLE)
    assert report.findings == ()
    assert "neither the order nor the shapes" in report.unsure[0].message
    three = torch.optim.Adam([{"params": [p]} for p in net.parameters()])
    step(net, three)
    report = weigh.check(saved(tmp_path, net, three), select=HOLE)
    assert report.findings == ()
    assert len(report.unsure) == 1


def test_long_lists_of_parameters(tmp_path: Path) -> None:
    net = torch.nn.Sequential(*(torch.nn.Linear(8, 8, bias=False) for _ in range(150)))
    net[149].weight.requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer)
    (one,) = weigh.check(saved(tmp_path, net, optimizer), select=HOLE)
    assert one.where == "149.weight"


@pytest.mark.filterwarnings("ignore")
def test_distributed_checkpoints_name_the_parameters(tmp_path: Path) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    step(net, optimizer, everything=True)
    state = get_optimizer_state_dict(net, optimizer)
    state["state"].pop("last.bias")
    dcp.save({"model": net.state_dict(), "optimizer": state}, checkpoint_id=tmp_path, no_dist=True)
    report = weigh.check(tmp_path, select=HOLE)
    assert [row.where for row in report] == ["last.bias"]


def test_how_much_is_not_the_network(tmp_path: Path) -> None:
    net = torch.nn.Linear(200, 100)
    optimizer = torch.optim.Adam(net.parameters())
    step_of = net(torch.ones(1, 200)).sum()
    step_of.backward()
    optimizer.step()
    average = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    path = saved(tmp_path, net, optimizer, ema=average)
    (one,) = weigh.check(path, select=STATE)
    assert (one.where, one.severity) == ("", "info")
    kept = sum(t.nbytes for s in optimizer.state.values() for t in s.values())
    beside = sum(t.nbytes for t in average.values())
    assert one.evidence["optimizer"] == kept
    assert one.evidence["other"] == beside
    assert one.evidence["file"] == path.stat().st_size
    assert one.evidence["share"] == pytest.approx((kept + beside) / path.stat().st_size)
    torch.save(net.state_dict(), path)
    assert weigh.check(path, select=STATE).findings == ()
    torch.save({"model": net.state_dict(), "rng": torch.get_rng_state()[:1000].clone()}, path)
    assert weigh.check(path, select=STATE).findings == ()
    limits = {"optimizer-state": {"least-share": 0.001}}
    assert len(weigh.check(path, select=STATE, config=limits)) == 1


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_and_constants_are_the_network(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(64, 64))
    quantized = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}, torch.qint8)
    torch.save(quantized.state_dict(), tmp_path / "net.pt")
    assert weigh.check(tmp_path / "net.pt", select=STATE).findings == ()
    script = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(64, 64)).eval()))
    torch.jit.save(script, tmp_path / "script.pt")
    assert weigh.check(tmp_path / "script.pt", select=STATE).findings == ()
    assert weigh.check(net, select=STATE).rules == ()


def test_layers_that_are_called_state(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    net = {"state.weight": torch.ones(2, 2), "state.state.weight": torch.ones(2, 2)}
    moment = {"exp_avg": torch.ones(2, 2)}
    torch.save({"model": net, "optimizer": {"state": {"state.weight": moment}}}, path)
    (one,) = weigh.check(path, select=HOLE)
    assert one.where == "state.state.weight"


def test_several_optimizers_are_looked_at_together() -> None:
    net = Net()
    both = [
        torch.optim.Adam(net.first.parameters()),
        torch.optim.Adam([*net.norm.parameters(), *net.last.parameters()]),
    ]
    for optimizer in both:
        step(net, optimizer)
    assert not weigh.check(net, optimizer=both, select=HOLE).findings
    both.append(torch.optim.Adam(net.unused.parameters()))
    found = weigh.check(net, optimizer=both, select=HOLE).findings
    assert {one.where for one in found} == {"unused.weight", "unused.bias"}
