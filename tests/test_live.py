"""A live module is shown as PyTorch shows it, and named as PyTorch names it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import weigh
from models import NETWORKS, Article, Odd, Raises, Shared, classes, construct

SAME = ("named_parameters", "named_modules", "named_buffers")
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")


@pytest.mark.parametrize("name", classes())
def test_every_class_of_torch_nn_prints_as_pytorch_prints_it(name: str) -> None:
    module = construct(name)
    network = weigh.open(module)
    assert repr(network) == str(network) == repr(module)
    assert network.kind == type(module).__name__
    assert network.kind_status == "stated"


def test_no_class_of_torch_nn_was_forgotten() -> None:
    """A class that a new PyTorch adds is in the list above by itself."""
    assert len(classes()) > 160
    assert {"LazyConvTranspose3d", "ParameterDict", "AdaptiveLogSoftmaxWithLoss"} <= set(classes())


@quiet
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_of_a_network_prints_as_pytorch_prints_it(name: str) -> None:
    module = NETWORKS[name]()
    network = weigh.open(module)
    assert repr(network) == repr(module)
    for path, layer in network.named_modules(remove_duplicate=False):
        assert repr(layer) == repr(module.get_submodule(path))
        assert network[path] is layer if path else network[""] is network


@quiet
@pytest.mark.parametrize("remove_duplicate", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_their_order_are_pytorchs(name: str, remove_duplicate: bool) -> None:
    module = NETWORKS[name]()
    network = weigh.open(module)
    for method in SAME:
        ours = list(getattr(network, method)(remove_duplicate=remove_duplicate))
        theirs = list(getattr(module, method)(remove_duplicate=remove_duplicate))
        assert [path for path, _ in ours] == [path for path, _ in theirs], method
    assert [repr(layer) for layer in network.modules()] == [repr(m) for m in module.modules()]
    assert len(list(network.parameters())) == len(list(module.parameters()))
    assert len(list(network.buffers())) == len(list(module.buffers()))


@quiet
@pytest.mark.parametrize("name", NETWORKS)
def test_names_below_a_layer_are_pytorchs(name: str) -> None:
    """Also where a layer was met before, under another parent."""
    module = NETWORKS[name]()
    network = weigh.open(module)
    for path, layer in network.named_modules(remove_duplicate=False):
        below = module.get_submodule(path)
        for method in SAME:
            ours, theirs = getattr(layer, method)(prefix="x"), getattr(below, method)(prefix="x")
            assert [n for n, _ in ours] == [n for n, _ in theirs], (path, method)
        ours, theirs = layer.named_parameters(recurse=False), below.named_parameters(recurse=False)
        assert [n for n, _ in ours] == [n for n, _ in theirs]
        assert [n for n, _ in layer.named_children()] == [n for n, _ in below.named_children()]
        assert len(list(layer.children())) == len(list(below.children()))


@quiet
@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_types_and_values_are_pytorchs(name: str) -> None:
    module = NETWORKS[name]()
    network = weigh.open(module)
    named = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    for path, value in named:
        tensor = network[path]
        assert isinstance(tensor, weigh.Parameter) == isinstance(value, nn.Parameter)
        assert str(value.dtype) == f"torch.{tensor.dtype}"
        assert tensor.role_status == "stated"
        if isinstance(value, nn.Parameter):
            assert (tensor.learnable, tensor.learnable_status) == (value.requires_grad, "stated")
        if nn.parameter.is_lazy(value):
            assert tensor.shape is None
            continue
        assert tensor.shape == value.shape
        assert tensor.count == value.numel()
        assert len(tensor.axes) == value.ndim
        if not value.is_meta:
            read = torch.from_numpy(tensor.read())
            assert torch.equal(read.to(value.dtype), value.detach())


def test_a_module_that_cannot_be_printed_opens_and_raises_its_own_error_when_printed() -> None:
    module = nn.Sequential(nn.Linear(1, 1), Raises())
    network = weigh.open(module)
    assert network.counts.parameters == 5
    assert repr(network[0]) == "Linear(in_features=1, out_features=1, bias=True)"
    with pytest.raises(RuntimeError, match="will not be printed"):
        repr(network)


def test_children_that_are_none_are_printed_but_not_met() -> None:
    network = weigh.open(Odd())
    assert "(later): None" in repr(network)
    assert "later" not in dict(network.named_children())
    assert network.later is None
    with pytest.raises(weigh.UnknownNameError, match="no layer or tensor 'missing'"):
        network["missing"]


def test_names_of_any_script_are_reached() -> None:
    network = weigh.open(Odd())
    assert network.añadir.weight.shape == (2, 2)
    assert network["层.käse brot"].kind == "ReLU"
    assert network["层.🎈.inner.bias"].shape == (1,)


def test_a_module_that_contains_itself_is_refused() -> None:
    module = nn.Sequential(nn.Linear(1, 1))
    module.add_module("self", module)
    with pytest.raises(weigh.SourceError, match="the module at 'self' contains itself"):
        weigh.open(module)


def test_modules_nested_beyond_reason_are_refused() -> None:
    module: nn.Module = nn.Linear(1, 1)
    for _ in range(100):
        module = nn.Sequential(module)
    network = weigh.open(module)
    assert [n for n, _ in network.named_modules()] == [n for n, _ in module.named_modules()]
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in module.named_parameters()]
    for _ in range(200):
        module = nn.Sequential(module)
    with pytest.raises(weigh.SourceError, match="nested more than 200 deep"):
        weigh.open(module)


def test_a_module_that_was_never_set_up_is_refused() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.x = 1

    with pytest.raises(weigh.SourceError, match=r"super\(\).__init__\(\)"):
        weigh.open(Forgetful())
    holder = nn.Sequential()
    holder.register_module("inner", Forgetful())
    with pytest.raises(weigh.SourceError, match=r"'inner' is not set up; saw a .*Forgetful"):
        weigh.open(holder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "compiled", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(2, 3))]
)
def test_a_torchscript_module_opens(compiled: Callable[[nn.Module], nn.Module]) -> None:
    module = compiled(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval())
    network = weigh.open(module)
    assert repr(network) == repr(module)
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in module.named_parameters()]
    assert [n for n, _ in network.named_buffers()] == [n for n, _ in module.named_buffers()]
    assert network["0"].kind == "Linear"
    assert network.counts.parameters == 24


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "wrapped", [torch.fx.symbolic_trace, torch.compile, nn.DataParallel, copy.deepcopy]
)
def test_a_wrapped_module_opens(wrapped: Callable[[nn.Module], nn.Module]) -> None:
    module = wrapped(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    network = weigh.open(module)
    assert repr(network) == repr(module)
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in module.named_parameters()]


@pytest.mark.parametrize(
    ("module", "stated"),
    [
        (
            nn.Conv2d(2, 4, 3, groups=2, bias=False, padding="same"),
            {"in_channels": (2, "given"), "groups": (2, "given"), "padding": ("same", "given"),
             "stride": ((1, 1), "default"), "bias": (False, "given"),
             "padding_mode": ("zeros", "default")},
        ),
        (nn.Linear(3, 2), {"in_features": (3, "given"), "bias": (True, "default")}),
        (nn.RNN(3, 4, nonlinearity="relu"), {"nonlinearity": ("relu", "given"),
                                             "num_layers": (1, "default")}),
        (nn.LSTM(3, 4, proj_size=2, bias=False), {"proj_size": (2, "given"),
                                                  "bias": (False, "given")}),
        (nn.MultiheadAttention(8, 2, kdim=3, add_bias_kv=True),
         {"num_heads": (2, "given"), "kdim": (3, "given"), "vdim": (8, "default"),
          "add_bias_kv": (True, "given"), "bias": (True, "default")}),
        (nn.LayerNorm((3, 4), bias=False), {"normalized_shape": ((3, 4), "given"),
                                            "bias": (False, "given"), "eps": (1e-5, "default")}),
        (nn.Embedding(5, 2, padding_idx=1), {"padding_idx": (1, "given"),
                                             "max_norm": (None, "default")}),
        (nn.LazyLinear(3), {"out_features": (3, "given"), "bias": (True, "default")}),
        # What the constructor makes of a default is nobody's choice.
        (nn.InstanceNorm2d(4), {"affine": (False, "default"), "bias": (False, "default")}),
        (nn.BatchNorm2d(4, affine=False), {"affine": (False, "given"),
                                           "bias": (False, "default")}),
        (nn.BatchNorm2d(4, bias=False), {"bias": (False, "given")}),
        (nn.GroupNorm(2, 4, affine=False), {"bias": (False, "default")}),
        (nn.LayerNorm(4, elementwise_affine=False), {"bias": (False, "default")}),
        (nn.MaxPool2d(2), {"kernel_size": (2, "given"), "stride": (2, "default")}),
        (nn.AvgPool1d(2), {"stride": ((2,), "default")}),
        (nn.MaxPool2d(3, stride=2), {"stride": (2, "given")}),
        (nn.Conv2d(2, 2, 3, stride=3), {"stride": ((3, 3), "given")}),
        (nn.AdaptiveLogSoftmaxWithLoss(64, 20, [5, 10]), {"cutoffs": ((5, 10), "given"),
                                                         "n_classes": (20, "given")}),
        (nn.DataParallel(nn.Linear(2, 2)), {
            "device_ids": (tuple(range(torch.cuda.device_count())), "default")}),
    ],
)  # fmt: skip
def test_hyperparameters_are_stated_with_their_origin(
    module: nn.Module, stated: dict[str, tuple[object, str]]
) -> None:
    rows = weigh.open(module).hyperparameters
    assert {name: (rows[name].value, rows[name].origin) for name in stated} == stated
    assert {rows[name].status for name in stated} == {"stated"}
    assert "mode" not in rows
    assert not {"self", "device", "dtype"} & set(rows)


def test_a_lazy_layer_does_not_know_its_input_before_it_sees_one() -> None:
    module = nn.LazyLinear(3)
    assert weigh.open(module).hyperparameters["in_features"].status == "unknown"
    module(torch.ones(2, 5))
    assert weigh.open(module).in_features == 5


def test_a_users_class_is_asked_for_its_parents_arguments_too() -> None:
    class Square(nn.Linear):
        def __init__(self, n: int, *, note: str = "") -> None:
            super().__init__(n, n)
            self.n, self.note = n, note

    network = weigh.open(Square(3, note="mine"))
    assert network.kind == "Square"
    values = {row.name: row.value for row in network.hyperparameters.values()}
    assert values == {"in_features": 3, "out_features": 3, "bias": True, "n": 3, "note": "mine"}
    assert [str(axis) for axis in network.weight.axes] == ["out_features=3", "in_features=3"]


def test_nothing_of_the_users_runs_but_repr_when_printed() -> None:
    ran: list[str] = []

    class Watchful(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(size))

        @property
        def size(self) -> int:
            ran.append("property")
            raise RuntimeError

        def __getattr__(self, name: str) -> Any:
            ran.append(name)
            return super().__getattr__(name)

        def __len__(self) -> int:
            ran.append("len")
            return 0

        def __eq__(self, other: object) -> bool:
            ran.append("eq")
            return False

        __hash__ = None  # type: ignore[assignment]

        def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
            ran.append("named_parameters")
            return iter(())

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            ran.append("state_dict")
            return {}

        def forward(self) -> None:
            ran.append("forward")

        def extra_repr(self) -> str:
            ran.append("extra_repr")
            return ""

    module = Watchful(3)
    ran.clear()
    network = weigh.open(nn.Sequential(module, module))
    assert network.counts.parameters == 3
    assert [n for n, _ in network.named_parameters()] == ["0.weight"]
    network["0.weight"].read()
    weigh.explain(network, "0.weight")
    assert ran == []
    repr(network[0])
    assert ran == ["extra_repr"]


def test_ties_are_named_after_the_first_name() -> None:
    network = weigh.open(Shared())
    ties = {t.name: t.tied_to for t in network.tensors() if t.name.endswith(("weight", "again"))}
    assert ties == {
        "again": "own",
        "first.0.weight": None,
        "second.0.0.weight": "first.0.weight",
        "second.1.weight": "first.0.weight",
        "alone.weight": "first.0.weight",
    }
    assert network["second.1"].same_as == "first.0"


def test_devices_and_later_changes_show() -> None:
    module = Article()
    network = weigh.open(module)
    assert network.conv1.weight.device == "cpu"
    assert weigh.open(module.to("meta")).conv1.weight.device == "meta"
    with pytest.raises(weigh.ValuesError, match="meta device"):
        weigh.open(module).conv1.weight.read()


class Holds(nn.Module):
    """Keeps the one argument that it is given."""

    def __init__(self, kept: object) -> None:
        super().__init__()
        self.kept = kept


@pytest.mark.parametrize("kept", [1, True, 1.0, (1, 2), (True, 2.0), 0.0, -0.0, "1", None, ()])
def test_a_stated_value_is_the_one_given_and_no_equal_one(kept: object) -> None:
    for other in (1, True, 1.0, (1, 2), 0.0, kept):
        assert repr(weigh.open(Holds(other)).kept) == repr(other)


def test_a_number_of_a_users_class_is_stated_as_a_plain_number() -> None:
    class Odd(int):
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("compared")

        def __repr__(self) -> str:
            raise RuntimeError("printed")

    assert type(weigh.open(Holds(Odd(3))).kept) is int
    assert weigh.open(Holds((Odd(3), "x"))).kept == (3, "x")


def test_one_networks_hyperparameters_are_no_other_networks() -> None:
    weigh.open(nn.Linear(2, 3)).hyperparameters.clear()  # type: ignore[attr-defined]
    assert weigh.open(nn.Linear(2, 3)).in_features == 2
