"""What a module keeps where nn.Module does not look: found wherever it is, and nothing else."""

from __future__ import annotations

import collections
import functools
import gc
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from broken_modules import LIVE, Net, sgd
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh

LOST = ["lost-parameter"]


def lost(net: nn.Module, **more: Any) -> weigh.CheckReport:
    return weigh.check(net, select=LOST, **more)


def keep(net: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        net.__dict__[name] = value  # as assignment does with what is no module
    return net


@dataclass(slots=True)
class Slots:
    inner: Any


class Pair(NamedTuple):
    first: Any
    second: Any


class Plain:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def method(self) -> None:
        """Something to bind."""


def in_closure(thing: Any) -> Any:
    return lambda: thing


def in_default(thing: Any) -> Any:
    def function(by: Any = thing) -> Any:
        return by

    return function


def in_keyword_default(thing: Any) -> Any:
    def function(*, by: Any = thing) -> Any:
        return by

    return function


def on_function(thing: Any) -> Any:
    def function() -> None: ...

    function.kept = thing  # type: ignore[attr-defined]
    return function


HOLDERS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("nothing", lambda t: t, "x"),
    ("list", lambda t: [1, t], "x[1]"),
    ("tuple", lambda t: (t,), "x[0]"),
    ("set", lambda t: {t}, "x[0]"),
    ("frozenset", lambda t: frozenset({t}), "x[0]"),
    ("deque", lambda t: collections.deque([t]), "x[0]"),
    ("dict", lambda t: {"a": t}, "x['a']"),
    ("numbered dict", lambda t: {3: t}, "x[3]"),
    ("key", lambda t: {t: 1}, "x (a key)"),
    ("ordered dict", lambda t: collections.OrderedDict(a=t), "x['a']"),
    ("default dict", lambda t: collections.defaultdict(list, a=[t]), "x['a'][0]"),
    ("user dict", lambda t: collections.UserDict(a=t), "x.data['a']"),
    ("named tuple", lambda t: Pair(0, t), "x[1]"),
    ("object", Plain, "x.inner"),
    ("namespace", lambda t: SimpleNamespace(inner=t), "x.inner"),
    ("slots", Slots, "x.inner"),
    ("method", lambda t: Plain(t).method, "x.__self__.inner"),
    ("partial", lambda t: functools.partial(max, t), "x.args[0]"),
    ("partial keyword", lambda t: functools.partial(max, key=t), "x.keywords['key']"),
    ("closure", in_closure, "x (its variable thing)"),
    ("default", in_default, "x (its default 0)"),
    ("keyword default", in_keyword_default, "x (its default by)"),
    ("function attribute", on_function, "x.kept"),
    ("all together", lambda t: [{"a": (Plain(in_closure([t])),)}],
     "x[0]['a'][0].inner (its variable thing)[0]"),
]  # fmt: skip
NAMES = [name for name, _, _ in HOLDERS]


@pytest.mark.parametrize(("name", "hold", "place"), HOLDERS, ids=NAMES)
def test_a_parameter_is_found_wherever_it_is(
    name: str, hold: Callable[[Any], Any], place: str
) -> None:
    net = keep(Net(), x=hold(nn.Parameter(torch.ones(2, 3))))
    [finding] = lost(net).findings
    assert finding.where == "x"
    assert finding.severity == "error"
    assert finding.evidence["places"] == [place]
    assert (finding.evidence["parameters"], finding.evidence["values"]) == (1, 6)


@pytest.mark.parametrize(("name", "hold", "place"), HOLDERS, ids=NAMES)
def test_a_module_is_found_wherever_it_is(
    name: str, hold: Callable[[Any], Any], place: str
) -> None:
    net = keep(Net(), x=hold(nn.Linear(2, 3)))
    [finding] = lost(net).findings
    assert (finding.evidence["places"], finding.evidence["values"]) == ([place], 9)


@pytest.mark.parametrize(("name", "hold", "place"), HOLDERS, ids=NAMES)
def test_what_is_registered_may_be_anywhere_else_too(
    name: str, hold: Callable[[Any], Any], place: str
) -> None:
    net = Net()
    for thing in (net.body, net.body.weight, net.norm.running_mean, net, nn.Sequential(net)):
        report = lost(keep(net, x=hold(thing)))
        assert (report.findings, report.unsure) == ((), ())


@pytest.mark.parametrize(("name", "hold", "place"), HOLDERS, ids=NAMES)
def test_what_does_not_learn_may_be_anywhere(
    name: str, hold: Callable[[Any], Any], place: str
) -> None:
    net = Net()
    frozen = nn.Linear(2, 2).requires_grad_(False)
    things = (frozen, frozen.weight, torch.ones(3), net(torch.randn(8, 4)), nn.ReLU(), sgd(net))
    for thing in things:
        report = lost(keep(net, x=hold(thing)))
        assert (report.findings, report.unsure) == ((), ()), type(thing)


HELD = st.recursive(
    st.sampled_from(["lost", "registered", "number", "text", "activation"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: ("list", parts)),
        st.lists(inner, max_size=3).map(lambda parts: ("dict", parts)),
        st.lists(inner, max_size=3).map(lambda parts: ("object", parts)),
        st.lists(inner, max_size=3).map(lambda parts: ("closure", parts)),
    ),
    max_leaves=12,
)


@given(HELD)
@settings(max_examples=60, deadline=None)
def test_all_that_is_lost_and_nothing_else_is_counted(structure: Any) -> None:
    net = nn.Linear(2, 2)
    output = net(torch.ones(2))
    made: list[nn.Parameter] = []

    def build(part: Any) -> Any:
        if isinstance(part, tuple):
            kind, parts = part
            built = [build(one) for one in parts]
            if kind == "dict":
                return dict(enumerate(built))
            return {"list": list, "object": Plain, "closure": in_closure}[kind](built)  # type: ignore[operator]
        if part == "lost":
            made.append(nn.Parameter(torch.ones(len(made) + 1)))
            return made[-1]
        return {"registered": net.weight, "number": 3, "text": "x", "activation": output}[part]

    net.x = build(structure)
    if isinstance(structure, str) and structure == "lost":
        assert lost(net).findings == ()  # a Parameter that is an attribute is registered
        return
    found = lost(net).findings
    assert sum(finding.evidence["parameters"] for finding in found) == len(made)  # type: ignore[misc]
    assert sum(finding.evidence["values"] for finding in found) == sum(map(torch.numel, made))  # type: ignore[misc]


# How bad it is.


def test_a_tensor_that_is_no_parameter_is_a_warning() -> None:
    net = Net()
    net.x = torch.ones(3, requires_grad=True)  # type: ignore[assignment]
    [finding] = lost(net).findings
    assert finding.severity == "warning"
    assert "detach()" in finding.do


def test_what_was_made_of_such_a_tensor_is_doubt() -> None:
    net = Net()
    net.x = [torch.ones(3, requires_grad=True) * 0.1 for _ in range(9)]  # type: ignore[assignment]
    report = lost(net)
    assert (report.findings, [unsure.where for unsure in report.unsure]) == ((), ["x"])


class Mixin:
    """What a class takes beside nn.Module."""

    gains = [nn.Parameter(torch.ones(2))]  # noqa: RUF012 - the mistake that is looked for


class Mixed(Net, Mixin):
    """A module with an attribute of a class that is none."""


def test_attributes_of_a_class_are_told_with_what_to_do() -> None:
    [finding] = lost(nn.Sequential(Mixed(), Mixed())).findings
    assert (finding.where, finding.evidence["values"]) == ("0.gains", 2)


def test_what_was_made_of_a_parameter_that_is_told_is_no_second_one() -> None:
    net = Net()
    made = nn.Parameter(torch.ones(3))
    net.x, net.y = [made], made.to(torch.float64)  # type: ignore[assignment]
    assert [finding.where for finding in lost(net)] == ["x"]
    net.x = None  # type: ignore[assignment]
    [finding] = lost(net)
    assert (finding.where, finding.severity) == ("y", "error")
    assert "nn.Parameter(tensor.to(...))" in finding.do


def test_layers_without_parameters_that_have_two_modes() -> None:
    net = Net()
    net.x = [nn.Dropout(), nn.ReLU(), nn.BatchNorm1d(2, affine=False)]  # type: ignore[assignment]
    [finding] = lost(net)
    assert (finding.severity, finding.evidence["kinds"]) == (
        "warning", ["BatchNorm1d", "Dropout"]
    )  # fmt: skip


def test_what_the_loss_does_not_use_is_a_warning() -> None:
    net = Net()
    net.x = [nn.Linear(2, 2)]  # type: ignore[assignment]
    out = net(torch.randn(8, 4))
    for loss, severity in ((out.sum(), "warning"), (net.x[0](out).sum(), "error")):
        [finding] = lost(net, loss=loss)
        assert (finding.severity, finding.evidence["used"]) == (severity, severity == "error")


def test_what_a_converted_parameter_is_used_for_is_seen_in_the_graph() -> None:
    net = Net()
    net.x = nn.Parameter(torch.ones(2)).to(torch.float64)  # type: ignore[assignment]
    [finding] = lost(net, loss=(net(torch.randn(8, 4)) * net.x).sum()).findings
    assert finding.evidence["used"]


# What hangs on a module and is no part of it.


class Trainer:
    """What trains a network, and a second one."""

    def __init__(self, net: nn.Module, other: nn.Module) -> None:
        self.model, self.critic = net, other
        self.optimizers = [sgd(net), sgd(other)]


def test_what_holds_the_network_is_no_part_of_it() -> None:
    net = Net()
    optimizer = sgd(nn.Linear(2, 2))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    keep(net, trainer=Trainer(net, nn.Linear(3, 3)), optimizer=optimizer, schedule=schedule)
    assert lost(net).findings == ()
    keep(net, whole=[nn.Sequential(net, nn.Linear(2, 2))])
    assert lost(net).findings == ()


def test_what_is_held_twice_is_told_once() -> None:
    net, shared = Net(), nn.Linear(2, 2)
    net.x, net.y = [shared, shared], {"again": shared}  # type: ignore[assignment]
    [finding] = lost(net).findings
    assert (finding.where, finding.evidence["places"]) == ("x", ["x[0]"])
    assert finding.message == "1 module (Linear) in a list, with 6 values, is not registered"


def test_a_buffer_with_a_gradient_is_told_once() -> None:
    net = Net()
    net.register_buffer("mean", torch.zeros(2, requires_grad=True))
    net.x = [net.mean]  # type: ignore[assignment]
    report = lost(net, loss=(net(torch.randn(8, 4)) + net.mean).sum())
    [finding] = report.findings
    assert (finding.where, finding.severity, finding.evidence["used"]) == ("mean", "warning", True)
    assert report.unsure == ()


def test_parts_of_pytorch_keep_what_is_registered() -> None:
    x = torch.randn(8, 4)
    old = nn.utils.spectral_norm(Net().body)
    parametrized = nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))
    recurrent, pruned = nn.LSTM(4, 4), nn.Linear(4, 4)
    nn.utils.prune.random_unstructured(pruned, "weight", 0.5)
    compiled = torch.compile(Net(), backend="eager")
    nets = [old, parametrized, pruned, recurrent, compiled, torch.fx.symbolic_trace(Net()),
            nn.DataParallel(Net()), torch.optim.swa_utils.AveragedModel(Net())]  # fmt: skip
    for net in nets:
        out = net(x)
        loss = (out[0] if isinstance(out, tuple) else out).sum()
        report = lost(net, loss=loss)
        assert (report.findings, report.unsure) == ((), ()), type(net)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_compiled_and_traced_modules_have_their_parameters() -> None:
    for net in (torch.jit.script(Net()), torch.jit.trace(Net().eval(), torch.ones(2, 4))):
        optimizer = sgd(net)
        report = weigh.check(net, optimizer=optimizer, select=LIVE)
        assert report.findings == ()
        optimizer.param_groups[0]["params"].pop()
        assert [f.rule for f in weigh.check(net, optimizer=optimizer, select=LIVE)] == [
            "not-optimized"
        ]


# What the loss depends on.


def test_another_networks_parameters_are_doubt() -> None:
    net, critic = Net(), nn.Linear(2, 1)
    loss = critic(net(torch.randn(8, 4))).sum()
    report = lost(net, loss=loss)
    assert report.findings == ()
    assert "2 Parameters (3 values) of modules" in report.unsure[0].message
    both = [sgd(net), sgd(critic)]
    assert lost(net, loss=loss, optimizer=both).unsure == ()  # they are trained


def test_parameters_in_a_cache_are_found_by_the_graph() -> None:
    @functools.lru_cache
    def made() -> nn.Parameter:
        return nn.Parameter(torch.ones(2, 3))

    net = Net()
    net.made = made  # type: ignore[assignment]
    [finding] = lost(net, loss=net(torch.randn(8, 4)).sum() + made().sum()).findings
    assert finding.evidence == {
        "found": "graph", "parameters": 1, "values": 6, "shapes": [[2, 3]]
    }  # fmt: skip
    assert finding.severity == "warning"


class Kept(torch.autograd.Function):
    """A function of a user's, whose context has attributes of any name."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.variable = nn.Parameter(torch.ones(5))
        return x * 1

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


def test_an_attribute_of_a_users_function_is_no_leaf() -> None:
    net = Net()
    report = lost(net, loss=Kept.apply(net(torch.randn(8, 4))).sum())
    assert (report.findings, report.unsure) == ((), ())


# Nothing is touched.


class Proxy:
    """An object that must not be asked for anything."""

    def __init__(self) -> None:
        object.__setattr__(self, "inner", nn.Parameter(torch.ones(2)))

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


class Disguised:
    """An object that makes its class and its dictionary up, as lazy objects do."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise AssertionError("its class was asked for")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError("its dictionary was asked for")


class Meta(type):
    """A class of classes that must not be asked either."""

    def __hash__(cls) -> int:
        raise AssertionError("the hash of a class was asked for")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError

    def __instancecheck__(cls, thing: object) -> bool:
        raise AssertionError


class Odd(list[Any], metaclass=Meta):
    def __iter__(self) -> Any:
        raise AssertionError("it was iterated")

    def __len__(self) -> int:
        raise AssertionError("its length was asked for")

    def __repr__(self) -> str:
        raise AssertionError("it was printed")

    __bool__ = __hash__ = __eq__ = __repr__  # type: ignore[assignment]


class Watching(torch.Tensor):
    """A tensor that tells whoever looks at it."""

    @classmethod
    def __torch_function__(cls, *given: Any, **more: Any) -> Any:
        raise AssertionError("a function of PyTorch's was called")


class Mode(torch.overrides.TorchFunctionMode):
    """A mode that must see nothing."""

    def __torch_function__(self, function: Any, *given: Any, **more: Any) -> Any:
        raise AssertionError(f"{function} was called")


def test_nothing_of_the_users_is_asked() -> None:
    net = Net()
    optimizer = sgd(net)
    loss = net(torch.randn(8, 4)).sum()
    odd = Odd()
    list.append(odd, nn.Parameter(torch.ones(3)))
    watching = torch.ones(2).as_subclass(Watching)
    keep(net, proxy=[Proxy()], disguised=Disguised(), odd=odd, watching=watching)
    with Mode():
        report = weigh.check(net, optimizer=optimizer, loss=loss, select=LIVE)
    assert [(f.where, f.evidence["values"]) for f in report.findings] == [("proxy", 2), ("odd", 3)]


def test_nothing_of_the_module_is_kept() -> None:
    net = Net()
    net.x = [nn.Linear(2, 2)]  # type: ignore[assignment]
    alive = weakref.ref(net.x[0].weight), weakref.ref(net)
    loss = net(torch.randn(8, 4)).sum()
    report = weigh.check(net, optimizer=sgd(net), loss=loss, select=LIVE)
    del net, loss
    gc.collect()
    assert [f.where for f in report] == ["x"]
    assert [one() for one in alive] == [None, None]


# Bounds.


def test_depth_is_bounded_and_told() -> None:
    net, deep = Net(), [nn.Parameter(torch.ones(2))]
    for _ in range(13):
        deep = [deep]  # type: ignore[list-item]
    net.x = deep  # type: ignore[assignment]
    report = lost(net)
    assert report.findings == ()
    assert "more than 12 deep" in report.unsure[0].message
    config = {"lost-parameter": {"depth": 20}}
    assert [f.where for f in lost(net, config=config).findings] == ["x"]


def test_plain_data_costs_next_to_nothing() -> None:
    net = Net()
    keep(net, ids=list(range(500_000)), words={str(i): i for i in range(100_000)})
    start = time.perf_counter()
    report = lost(net)
    assert (report.findings, report.unsure) == ((), ())
    assert time.perf_counter() - start < 2


def test_very_many_objects_are_no_trouble() -> None:
    net = Net()
    keep(net, rows=[(i, [i]) for i in range(150_000)])
    report = lost(net)
    assert "more than 100,000 objects" in report.unsure[0].message
