"""Modules with a mistake that people make, each beside a healthy twin."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

LIVE = (
    "lost-parameter", "frozen", "no-gradient", "mode-mix", "parametrization-left-on",
    "not-optimized", "optimized-but-frozen", "optimized-twice", "optimizer-has-stranger",
    "decayed-norm",
)  # fmt: skip


@dataclass
class Case:
    """What is checked: a module, perhaps its optimizer, perhaps a loss.

    Attributes:
        module: the module.
        optimizer: its optimizer, or several.
        loss: a tensor that it computed.
    """

    module: nn.Module
    optimizer: Any = None
    loss: torch.Tensor | None = None


Pair = tuple[str, str, str, Callable[[], Case], Callable[[], Case]]
PAIRS: list[Pair] = []
"""Name, the rule that must find it, where (a path), the mistake, the healthy twin."""


def pair(name: str, rule: str, where: str) -> Callable[[Any], Any]:
    """Add a pair: the function makes the broken one with True, the healthy one with False."""

    def add(make: Callable[[bool], Case]) -> Callable[[bool], Case]:
        PAIRS.append(
            (name, rule, where, functools.partial(make, True), functools.partial(make, False))
        )
        return make

    return add


class Net(nn.Module):
    """A small network to hang mistakes on."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.relu(self.norm(self.body(x))))
        return out


def sgd(module: nn.Module, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(module.parameters(), lr=0.1, **options)


def stepped(module: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
    """One backward pass, and a step if there is an optimizer."""
    module(torch.randn(8, 4)).square().sum().backward()
    if optimizer is not None:
        optimizer.step()


# https://github.com/pytorch/pytorch/issues/1053
# https://github.com/pytorch/pytorch/issues/59925
@pair("layers in a list", "lost-parameter", "layers")
def _(broken: bool) -> Case:
    net = Net()
    layers = [nn.Linear(4, 4) for _ in range(3)]
    net.layers = layers if broken else nn.ModuleList(layers)  # type: ignore[assignment]
    return Case(net)


# https://github.com/ray-project/ray/issues/22659
@pair("heads in a dict", "lost-parameter", "body.heads")
def _(broken: bool) -> Case:
    net = Net()
    heads: dict[str, nn.Module] = {"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)}
    net.body.heads = heads if broken else nn.ModuleDict(heads)  # type: ignore[assignment]
    return Case(net)


# https://github.com/pytorch/pytorch/issues/632
@pair("parameters in a list", "lost-parameter", "scales")
def _(broken: bool) -> Case:
    net = Net()
    scales = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    net.scales = scales if broken else nn.ParameterList(scales)  # type: ignore[assignment]
    return Case(net)


# https://discuss.pytorch.org/t/requires-grad-propagation/93792
@pair("a tensor that requires a gradient", "lost-parameter", "scale")
def _(broken: bool) -> Case:
    net = Net()
    scale = torch.ones(3, requires_grad=True)
    net.scale = scale if broken else nn.Parameter(torch.ones(3))  # type: ignore[assignment]
    return Case(net)


# https://github.com/pytorch/pytorch/issues/17484
# https://github.com/davidmrau/mixture-of-experts/issues/12
@pair("a Parameter that was converted", "lost-parameter", "scale")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        net.scale = nn.Parameter(torch.ones(3)).to(torch.float64)  # type: ignore[assignment]
    else:
        net.scale = nn.Parameter(torch.ones(3, dtype=torch.float64))
    return Case(net)


# https://github.com/pytorch/pytorch/issues/715
@pair("blocks in tuples in a list", "lost-parameter", "blocks")
def _(broken: bool) -> Case:
    net = Net()
    rows = [(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)]
    if broken:
        net.blocks = rows  # type: ignore[assignment]
    else:
        net.blocks = nn.ModuleList(nn.Sequential(*row) for row in rows)
    return Case(net)


# https://github.com/EleutherAI/gpt-neox/pull/267
@pair("a layer inside a plain object", "lost-parameter", "parts")
def _(broken: bool) -> Case:
    net = Net()
    parts = SimpleNamespace(proj=nn.Linear(4, 4))
    net.parts = parts if broken else SimpleNamespace(proj=net.body)  # type: ignore[assignment]
    return Case(net)


# https://github.com/google/flax/issues/575 (the same mistake in another library)
@pair("a layer bound by partial", "lost-parameter", "act")
def _(broken: bool) -> Case:
    net = Net()
    layer = nn.Linear(4, 4) if broken else net.body
    net.act = functools.partial(torch.nn.functional.linear, weight=layer.weight)  # type: ignore[assignment]
    return Case(net)


# https://github.com/pyro-ppl/pyro/issues/995
@pair("a layer in a closure", "lost-parameter", "project")
def _(broken: bool) -> Case:
    net = Net()
    layer = nn.Linear(4, 4) if broken else net.body
    net.project = lambda x: layer(x)  # type: ignore[assignment]
    return Case(net)


# https://github.com/Fraunhofer-IIS/prosper_nn/issues/13
@pair("a Parameter in a default argument", "lost-parameter", "shift")
def _(broken: bool) -> Case:
    net = Net()
    bias = nn.Parameter(torch.zeros(4)) if broken else net.body.bias

    def shift(x: torch.Tensor, by: torch.Tensor = bias) -> torch.Tensor:
        return x + by

    net.shift = shift  # type: ignore[assignment]
    return Case(net)


# https://github.com/namisan/mt-dnn/issues/45
@pair("dropouts in a list", "lost-parameter", "drops")
def _(broken: bool) -> Case:
    net = Net()
    drops = [nn.Dropout(0.5), nn.Dropout(0.1)]
    net.drops = drops if broken else nn.ModuleList(drops)  # type: ignore[assignment]
    return Case(net)


_OUTSIDE = nn.Parameter(torch.ones(2))


# https://github.com/CUNY-CL/yoyodyne/issues/216 (what is passed around and not held)
@pair("a global that the loss depends on", "lost-parameter", "")
def _(broken: bool) -> Case:
    net = Net()
    out = net(torch.randn(8, 4))
    return Case(net, loss=(out * _OUTSIDE if broken else out).sum())


# https://github.com/pytorch/vision/issues/2164
@pair("a backbone that stayed frozen", "frozen", "body")
def _(broken: bool) -> Case:
    net = Net()
    net.body.requires_grad_(not broken)
    return Case(net)


# https://github.com/ImprintLab/MedSegDiff/issues/27
# https://github.com/tianzhi0549/FCOS/issues/217
@pair("a layer that forward does not use", "no-gradient", "extra")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        net.extra = nn.Linear(4, 4)
    stepped(net)
    return Case(net)


class Detached(Net):
    """A network that cuts its body off."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.body(x).detach()))  # type: ignore[no-any-return]


# https://github.com/lucidrains/CoCa-pytorch/issues/6
# https://github.com/dragen1860/IntroVAE-Pytorch/issues/3
@pair("detach in forward", "no-gradient", "body")
def _(broken: bool) -> Case:
    net = Detached() if broken else Net()
    return Case(net, loss=net(torch.randn(8, 4)).sum())


# https://github.com/lucidrains/deep-cross-attention/issues/2
# https://github.com/keras-team/keras/issues/7057
@pair("a gradient that is 0 throughout", "no-gradient", "body")
def _(broken: bool) -> Case:
    net = Net()
    with torch.no_grad():
        net.norm.bias.fill_(-100 if broken else 0)  # every unit of the ReLU is off
    stepped(net)
    return Case(net)


# https://github.com/joeynmt/joeynmt/issues/184
# https://github.com/wkentaro/pytorch-fcn/issues/57
@pair("a norm left in eval mode", "mode-mix", "norm")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        net.norm.eval()
    return Case(net)


# https://github.com/princeton-vl/pytorch_stacked_hourglass/issues/44
@pair("a norm that trains while the network is used", "mode-mix", "norm")
def _(broken: bool) -> Case:
    net = Net().eval()
    if broken:
        net.norm.train()
    return Case(net)


# https://github.com/yangze0930/NTS-Net/issues/14
@pair("a dropout that is on in use", "mode-mix", "drop")
def _(broken: bool) -> Case:
    net = Net()
    net.drop = nn.Dropout(0.5)
    net.eval()
    if broken:
        net.drop.train()
    return Case(net)


# https://github.com/wenet-e2e/wetts/issues/129
@pair("weight_norm left on", "parametrization-left-on", "body.weight")
def _(broken: bool) -> Case:
    net = Net()
    parametrizations.weight_norm(net.body)
    if not broken:
        nn.utils.parametrize.remove_parametrizations(net.body, "weight")
    return Case(net)


# https://github.com/jack-willturner/deep-compression/issues/4
@pair("a pruning mask left on", "parametrization-left-on", "body.weight")
def _(broken: bool) -> Case:
    net = Net()
    prune.l1_unstructured(net.body, "weight", 0.5)
    if not broken:
        prune.remove(net.body, "weight")
    return Case(net)


# https://github.com/facebookresearch/mmf/issues/104
@pair("an optimizer of the head alone", "not-optimized", "body")
def _(broken: bool) -> Case:
    net = Net()
    return Case(net, sgd(net.head if broken else net))


# https://github.com/LaurentMazare/ocaml-torch/issues/36
# https://github.com/ACEsuit/mace/issues/525
@pair("a layer added after the optimizer was made", "not-optimized", "extra")
def _(broken: bool) -> Case:
    net = Net()
    optimizer = sgd(net)
    if broken:
        net.extra = nn.Linear(4, 4)
    return Case(net, optimizer)


# https://github.com/skorch-dev/skorch/issues/317
@pair("an optimizer of a copy", "not-optimized", "")
def _(broken: bool) -> Case:
    net = Net()
    return Case(net, sgd(copy.deepcopy(net) if broken else net))


# https://github.com/neuralmagic/sparseml/issues/965
@pair("frozen after the optimizer was made", "optimized-but-frozen", "body")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        optimizer = sgd(net)
        net.body.requires_grad_(False)
        return Case(net, optimizer)
    return Case(net, sgd(net))


# https://github.com/pytorch/pytorch/issues/40967
@pair("a parameter in two groups", "optimized-twice", "head.weight")
def _(broken: bool) -> Case:
    net = Net()
    optimizer = sgd(net)
    if broken:
        optimizer.param_groups.append({**optimizer.param_groups[0], "params": [net.head.weight]})
    return Case(net, optimizer)


# https://github.com/pytorch/pytorch/issues/7844, https://github.com/namisan/mt-dnn/pull/40
@pair("a head replaced after the optimizer was made", "optimizer-has-stranger", "")
def _(broken: bool) -> Case:
    net = Net()
    optimizer = sgd(net)
    if broken:
        net.head = nn.Linear(4, 2)
    return Case(net, optimizer)


# https://github.com/pytorch/tutorials/pull/2522
@pair("weights loaded by assignment", "optimizer-has-stranger", "")
def _(broken: bool) -> Case:
    net, optimizer = Net(), None
    optimizer = sgd(net)
    net.load_state_dict(copy.deepcopy(net.state_dict()), assign=broken)
    return Case(net, optimizer)


# https://github.com/mmcdermott/MEDS_EIC_AR/issues/30
# https://github.com/dingo-actual/om/issues/12
@pair("decay on everything", "decayed-norm", "")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        return Case(net, sgd(net, weight_decay=0.1))
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors}]
    return Case(net, torch.optim.SGD(groups, lr=0.1))


class Shared(Net):
    """A network whose scale is an attribute of the class, one for all instances."""

    scale = nn.Parameter(torch.ones(3))


# https://github.com/optuna/optuna/issues/1443 (what is meant by an attribute)
@pair("a Parameter of the class", "lost-parameter", "scale")
def _(broken: bool) -> Case:
    net = Shared() if broken else Net()
    if not broken:
        net.scale = nn.Parameter(torch.ones(3))
    return Case(net)


# https://github.com/pytorch/pytorch/issues/31009
@pair("parameters in a distribution", "lost-parameter", "prior")
def _(broken: bool) -> Case:
    net = Net()
    mean, width = torch.zeros(3), torch.ones(3)
    if broken:
        mean, width = nn.Parameter(mean), nn.Parameter(width)
    net.prior = torch.distributions.Normal(mean, width)  # type: ignore[assignment]
    return Case(net)


# https://github.com/pytorch/pytorch/issues/52972
@pair("convolutions of several sizes in a list", "lost-parameter", "0.convs")
def _(broken: bool) -> Case:
    net = nn.Sequential(nn.Conv2d(1, 1, 1))
    convs = [nn.Conv2d(1, 1, (i, 1)) for i in range(1, 4)]
    net[0].convs = convs if broken else nn.ModuleList(convs)
    return Case(net)


# https://github.com/imbue-ai/slot_attention/issues/8
@pair("a buffer that is to be trained", "lost-parameter", "mean")
def _(broken: bool) -> Case:
    net = Net()
    if broken:
        net.register_buffer("mean", torch.zeros(3, requires_grad=True))
    else:
        net.mean = nn.Parameter(torch.zeros(3))
    return Case(net)


@dataclass(slots=True)
class Parts:
    """A plain holder of layers, without a dictionary of its own."""

    proj: nn.Module


# https://github.com/EleutherAI/gpt-neox/pull/267
@pair("a layer in a dataclass", "lost-parameter", "parts")
def _(broken: bool) -> Case:
    net = Net()
    net.parts = Parts(nn.Linear(4, 4) if broken else net.body)  # type: ignore[assignment]
    return Case(net)


# https://discuss.pytorch.org/t/is-it-wise-to-send-model-in-function-arguments/127972
@pair("another network's method", "lost-parameter", "encode")
def _(broken: bool) -> Case:
    net = Net()
    layer = nn.Linear(4, 4) if broken else net.body
    net.encode = layer.forward  # type: ignore[assignment]
    return Case(net)


# https://github.com/pytorch/pytorch/issues/1291
@pair("a layer made anew in forward", "lost-parameter", "")
def _(broken: bool) -> Case:
    net, weight = Net(), nn.Parameter(torch.ones(2, 4))
    out = torch.relu(net.norm(net.body(torch.randn(8, 4))))
    out = nn.functional.linear(out, weight) + net.head(out) if broken else net.head(out)
    return Case(net, loss=out.sum())


# https://github.com/guopengf/FL-MRCM/issues/10
@pair("a loss made of .data", "no-gradient", "body")
def _(broken: bool) -> Case:
    net = Net()
    hidden = net.body(torch.randn(8, 4))
    out = net.head(net.norm(hidden.data if broken else hidden))
    return Case(net, loss=out.square().mean())


# https://github.com/ContinualAI/avalanche/pull/772
@pair("a backbone left in eval mode after validation", "mode-mix", "")
def _(broken: bool) -> Case:
    net = nn.Sequential(Net(), Net())
    if broken:
        net[0].eval()
        net[1].norm.eval()
    return Case(net)


# https://github.com/NVIDIA/waveglow/pull/21
@pair("an old spectral_norm left on", "parametrization-left-on", "body.weight")
def _(broken: bool) -> Case:
    net = Net()
    nn.utils.spectral_norm(net.body)
    if not broken:
        nn.utils.remove_spectral_norm(net.body)
    return Case(net)


# https://github.com/open-mmlab/OpenPCDet/issues/960
@pair("an optimizer of leaf modules alone", "not-optimized", "0.token")
def _(broken: bool) -> Case:
    net = nn.Sequential(Net(), nn.Linear(2, 2))
    net[0].token = nn.Parameter(torch.zeros(4))
    leafs = [m for m in net.modules() if not list(m.children())]
    chosen = [p for m in leafs for p in m.parameters()] if broken else list(net.parameters())
    return Case(net, torch.optim.SGD(chosen, lr=0.1))


# https://github.com/KaiyangZhou/pytorch-center-loss/issues/22
# https://github.com/ifzhang/FairMOT/issues/19
@pair("weights of losses that nobody gave to the optimizer", "not-optimized", "log_vars")
def _(broken: bool) -> Case:
    net = Net()
    optimizer = sgd(net)
    net.log_vars = nn.Parameter(torch.zeros(2))
    if not broken:
        optimizer.add_param_group({"params": [net.log_vars]})
    return Case(net, optimizer)


# https://github.com/microsoft/nni/issues/4521
@pair("a layer made smaller after the optimizer was made", "optimizer-has-stranger", "")
def _(broken: bool) -> Case:
    net = Net()
    optimizer = sgd(net)
    if broken:
        net.head = nn.Linear(4, 1)
    return Case(net, optimizer)


# https://github.com/open-mmlab/mmdetection/pull/2488
@pair("a tied layer in two groups", "optimized-twice", "body.weight")
def _(broken: bool) -> Case:
    net = nn.ModuleDict({"body": nn.Linear(4, 4), "head": nn.Linear(4, 4)})
    if broken:
        net["head"].weight = nn.Parameter(net["body"].weight.data)
    else:
        net["head"].weight = net["body"].weight
    return Case(net, sgd(net))
