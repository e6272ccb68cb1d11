"""Rules on a module in training: frozen parts, missing gradients, modes, parametrizations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken_modules import Net, sgd, stepped
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

import weigh


def check(net: nn.Module, rule: str, **more: Any) -> weigh.CheckReport:
    return weigh.check(net, select=[rule], **more)


class Branches(nn.Module):
    """Layers of which only some are used."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(count))

    def forward(self, x: torch.Tensor, used: list[bool], detached: list[bool]) -> torch.Tensor:
        out = x
        for layer, use, cut in zip(self.layers, used, detached, strict=True):
            if use:
                out = out + (layer(x).detach() if cut else layer(x))
        return out.square().sum() + 0 * torch.ones(1, requires_grad=True).sum()


# frozen


def test_the_share_is_that_of_the_values() -> None:
    net = Net()
    net.body.requires_grad_(False)
    [finding] = check(net, "frozen").findings
    total = sum(p.numel() for p in net.parameters())
    still = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    assert (finding.where, finding.severity) == ("body", "info")
    assert finding.evidence["values"] == still
    assert finding.evidence["share"] == pytest.approx(still / total)
    assert finding.message == "weight and bias (20 values) are frozen, 53% of the network"


def test_many_frozen_layers_are_one_finding() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)) for _ in range(30)))
    for block in net:
        block[0].requires_grad_(False)
    [finding] = check(net, "frozen").findings
    assert finding.where == ""
    assert finding.message.startswith("60 of 120 parameters in 30 layers are frozen")
    assert finding.evidence["values"] == 30 * 20
    assert finding.evidence["layers"][:2] == ["0.0", "1.0"]  # type: ignore[index]
    config = {"frozen": {"groups": 30}}
    assert len(check(net, "frozen", config=config).findings) == 30


def test_a_network_without_parameters_has_nothing_to_tell() -> None:
    for rule in ("frozen", "no-gradient", "mode-mix"):
        report = check(nn.Sequential(nn.ReLU()), rule)
        assert (report.findings, report.unsure) == ((), ()), rule


def test_lazy_and_meta_parameters_have_no_values() -> None:
    lazy, meta = nn.LazyLinear(3), nn.Linear(2, 3, device="meta")
    for net, values in ((lazy, 0), (meta, 9)):
        assert weigh.check(net, select=["frozen", "no-gradient", "mode-mix"]).findings == ()
        for parameter in net.parameters():
            parameter.requires_grad = False
        [finding] = check(net, "frozen").findings
        assert (finding.where, finding.evidence["values"]) == ("", values)


# no-gradient


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_what_autograd_says_is_unused_is_what_is_found(plan: list[tuple[bool, bool]]) -> None:
    net = Branches(len(plan))
    used, cut = [one for one, _ in plan], [one for _, one in plan]
    loss = net(torch.ones(3), used, cut)
    names, values = zip(*net.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, values, allow_unused=True, retain_graph=True)
    expected = {name for name, grad in zip(names, gradients, strict=True) if grad is None}
    by_graph = check(net, "no-gradient", loss=loss).findings
    assert {name for f in by_graph for name in f.evidence["names"]} == expected  # type: ignore[attr-defined]
    loss.backward()
    report = check(net, "no-gradient")
    if len(expected) == len(names):
        assert report.findings == ()
        assert len(report.unsure) == 1
    else:
        assert {name for f in report for name in f.evidence["names"]} == expected  # type: ignore[attr-defined]


def test_no_parameter_at_all_in_the_graph() -> None:
    [finding] = check(Net(), "no-gradient", loss=torch.ones(2, requires_grad=True).sum())
    assert finding.message == "the loss depends on none of its parameters"


class Checkpointed(Net):
    """A network that makes its body's graph in the backward pass."""

    def forward(self, x: torch.Tensor, *, reentrant: bool = True) -> torch.Tensor:
        out = checkpoint(self.body, x, use_reentrant=reentrant)
        return self.head(self.norm(out))  # type: ignore[no-any-return]


def test_a_graph_that_is_made_later_is_doubt() -> None:
    net = Checkpointed()
    x = torch.randn(8, 4, requires_grad=True)
    report = check(net, "no-gradient", loss=net(x).sum())
    assert report.findings == ()
    assert "checkpointing" in report.unsure[0].message
    report = check(net, "no-gradient", loss=net(x, reentrant=False).sum())
    assert (report.findings, report.unsure) == ((), ())


def test_gradients_that_were_zeroed_are_doubt() -> None:
    net = Net()
    optimizer = sgd(net)
    stepped(net, optimizer)
    optimizer.zero_grad(set_to_none=False)
    report = check(net, "no-gradient")
    assert (report.findings, report.unsure[0].message[:19]) == ((), "all gradients are 0")
    optimizer.zero_grad()
    assert check(net, "no-gradient").unsure[0].message.startswith("no backward pass")


def test_a_gradient_with_one_value_is_none_of_zeros() -> None:
    net = nn.ModuleList([nn.Embedding(50, 4), nn.Embedding(50, 4, sparse=True), nn.Linear(4, 4)])
    (net[0](torch.tensor([49])) + net[1](torch.tensor([3]))).sum().backward()
    net[2].weight.grad = torch.zeros(4, 4)
    net[2].bias.grad = torch.tensor([0, 0, 0, float("nan")])
    found = {f.where: f.evidence["found"] for f in check(net, "no-gradient")}
    assert found == {"2.weight": "zero"}


def test_an_adapter_at_its_start_is_no_warning() -> None:
    down, up = nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False)
    nn.init.zeros_(up.weight)
    net = nn.Sequential(down, up)
    net(torch.randn(3, 4)).sum().backward()
    [finding] = check(net, "no-gradient").findings
    assert (finding.where, finding.severity) == ("0.weight", "info")
    assert finding.message == "the gradient of its 8 values is 0 throughout"


# mode-mix


def one_layer() -> nn.Module:
    net = nn.GRU(2, 2)
    net.dropout = 0.1  # as its constructor sets it, with a warning
    return net


MODES: list[tuple[str, Callable[[], nn.Module], bool]] = [
    ("batch norm", lambda: nn.BatchNorm2d(2), True),
    ("instance norm", lambda: nn.InstanceNorm1d(2, track_running_stats=True), True),
    ("instance norm without statistics", lambda: nn.InstanceNorm1d(2), False),
    ("batch norm without statistics", lambda: nn.BatchNorm2d(2, track_running_stats=False), False),
    ("lazy batch norm", lambda: nn.LazyBatchNorm1d(), True),
    ("layer norm", lambda: nn.LayerNorm(2), False),
    ("group norm", lambda: nn.GroupNorm(1, 2), False),
    ("dropout", lambda: nn.Dropout2d(), True),
    ("dropout of nothing", lambda: nn.Dropout(0), False),
    ("alpha dropout", lambda: nn.AlphaDropout(), True),
    ("random slopes", lambda: nn.RReLU(), True),
    ("recurrent", lambda: nn.GRU(2, 2, 2, dropout=0.1), True),
    ("recurrent without dropout", lambda: nn.GRU(2, 2, 2), False),
    ("recurrent of one layer", one_layer, False),
    ("attention", lambda: nn.MultiheadAttention(2, 1, dropout=0.1), True),
    ("attention without dropout", lambda: nn.MultiheadAttention(2, 1), False),
    ("linear", lambda: nn.Linear(2, 2), False),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "make", "matters"), MODES, ids=[name for name, _, _ in MODES])
def test_layers_whose_mode_makes_a_difference(
    name: str, make: Callable[[], nn.Module], matters: bool, training: bool
) -> None:
    # The second dropout keeps its mode, so that not all of them are in the other one.
    net = nn.Sequential(make(), nn.Linear(2, 2), nn.Dropout(0.3)).train(training)
    assert check(net, "mode-mix").findings == ()
    net[0].train(not training)
    found = check(net, "mode-mix").findings
    assert [f.where for f in found] == ["0"] * matters, name
    for finding in found:
        assert finding.evidence["network"] == ("train" if training else "eval")
        assert finding.evidence["mode"] == ("eval" if training else "train")
        # What has no parameters was not frozen by anyone.
        assert finding.severity == "warning"


def test_a_part_where_nothing_learns_may_be_in_eval_mode() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()), Net())
    net[0].eval()
    assert {f.severity for f in check(net, "mode-mix")} == {"warning"}
    net[0].requires_grad_(False)
    assert {f.severity for f in check(net, "mode-mix")} == {"info"}
    net[0][0].bias.requires_grad_(True)  # something learns, but not the normalisation
    found = {str(f.evidence["layers"]): f.severity for f in check(net, "mode-mix")}
    assert found == {"['0.1']": "info", "['0.2']": "warning"}


def test_all_dropouts_on_in_use_are_an_ensemble() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2), nn.Dropout()).eval()
    net[1].train()
    assert [f.severity for f in check(net, "mode-mix")] == ["warning"]
    net[3].train()
    [finding] = check(net, "mode-mix")
    assert (finding.severity, finding.where, finding.evidence["count"]) == ("info", "", 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_mode_of_a_compiled_module_is_doubt() -> None:
    report = check(torch.jit.script(Net()), "mode-mix")
    assert [unsure.message for unsure in report.unsure] == ["its mode cannot be seen from outside"]
    net = torch.compile(Net(), backend="eager")
    assert check(net, "mode-mix").unsure == ()
    net.norm.eval()
    assert [f.where for f in check(net, "mode-mix")] == ["_orig_mod.norm"]


# parametrization-left-on


class Symmetric(nn.Module):
    """A parametrization of a user's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.triu() + x.triu(1).T


class Every(prune.BasePruningMethod):
    """A pruning method of a user's."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        return default_mask.clone().fill_(0)


def custom(layer: nn.Module) -> None:
    parametrize.register_parametrization(layer, "weight", Symmetric())


def several(layer: nn.Module) -> None:
    custom(layer)
    parametrizations.spectral_norm(layer)


LEFT_ON: list[tuple[str, Callable[[nn.Module], Any], str]] = [
    ("new weight norm", parametrizations.weight_norm, "the parametrization WeightNorm"),
    ("new spectral norm", parametrizations.spectral_norm, "the parametrization SpectralNorm"),
    ("orthogonal", parametrizations.orthogonal, "the parametrization Orthogonal"),
    ("own", custom, "the parametrization Symmetric"),
    ("several", several, "the parametrization Symmetric and SpectralNorm"),
    ("old weight norm", nn.utils.weight_norm, "weight_norm"),
    ("old spectral norm", nn.utils.spectral_norm, "spectral_norm"),
    ("pruned", lambda x: prune.l1_unstructured(x, "weight", 0.5), "a pruning mask"),
    ("pruned rows", lambda x: prune.ln_structured(x, "weight", 1, 2, 0), "a pruning mask"),
    ("pruned by an own method", lambda x: Every.apply(x, "weight"), "a pruning mask"),
    ("pruned twice", lambda x: [prune.random_unstructured(x, "weight", 1) for _ in "12"],
     "a pruning mask"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(("name", "put_on", "by"), LEFT_ON, ids=[name for name, _, _ in LEFT_ON])
def test_what_is_on_is_found_and_the_advice_takes_it_off(
    name: str, put_on: Callable[[nn.Module], Any], by: str
) -> None:
    net = nn.Sequential(nn.Linear(4, 4))
    assert check(net, "parametrization-left-on").findings == ()
    put_on(net[0])
    net.eval()
    before = net(torch.eye(4))
    [finding] = check(net, "parametrization-left-on").findings
    assert (finding.where, finding.severity, finding.evidence["by"]) == ("0.weight", "info", by)
    exec(finding.do.removesuffix("."), {"torch": torch, "layer": net[0]})
    assert check(net, "parametrization-left-on").findings == ()
    assert torch.allclose(net(torch.eye(4)), before, atol=1e-6)


def test_very_many_are_one_finding() -> None:
    net = nn.Sequential(*(parametrizations.weight_norm(nn.Linear(2, 2)) for _ in range(11)))
    [finding] = check(net, "parametrization-left-on").findings
    assert (finding.where, finding.evidence["count"]) == ("", 11)
    assert finding.evidence["names"][:2] == ["0.weight", "1.weight"]  # type: ignore[index]


def test_hooks_of_the_users_are_none() -> None:
    net = Net()
    net.register_forward_pre_hook(lambda module, given: None)
    assert check(net, "parametrization-left-on").findings == ()
