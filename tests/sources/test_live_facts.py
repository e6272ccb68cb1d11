"""What a live module states: its own tree, its tensors as they are kept, and nothing disturbed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import weigh
from weigh._views.explain import explain_document
from weigh._views.text import render

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def holding(**buffers: torch.Tensor) -> nn.Module:
    module = nn.Module()
    for name, buffer in buffers.items():
        module.register_buffer(name, buffer)
    return module


def quantized(*, per_channel: bool = False) -> torch.Tensor:
    values = torch.arange(12.0).reshape(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not per_channel:
            return torch.quantize_per_tensor(values, 0.1, 3, torch.quint8)
        scales = torch.tensor([0.1, 0.2, 0.3], dtype=torch.double)
        return torch.quantize_per_channel(values, scales, torch.tensor([0, 1, 2]), 0, torch.qint8)


def build(*names: str) -> nn.Module:
    """Modules under names as they are, dots and all; ``>`` leads below."""
    root = nn.Module()
    for i, name in enumerate(names):
        *above, own = name.split(">")
        parent = root
        for part in above:
            parent = parent._modules[part]  # type: ignore[assignment]
        parent._modules[own] = nn.Linear(i + 1, 2)
    return root


@pytest.mark.parametrize(
    "module",
    [
        build("a.b"),
        build("a.b", "a"),
        build("a", "a.b", "c"),
        build("a", "a>b", "a.b"),
        build("a.b", "a", "a>b"),
        build(""),
        build("x", "x>", "x>.", "", ""),
        build("layer1.conv", "layer2.conv", "layer1.bn"),
        build("a.weight", "a"),
    ],
    ids=lambda module: repr([n for n, _ in module.named_modules()]),
)
def test_names_with_dots_and_without_letters_are_pytorchs(module: nn.Module) -> None:
    network = weigh.open(module)
    for once in (True, False):
        for method in ("named_modules", "named_parameters"):
            ours = list(getattr(network, method)(remove_duplicate=once))
            theirs = list(getattr(module, method)(remove_duplicate=once))
            assert [name for name, _ in ours] == [name for name, _ in theirs]
        assert [t.shape for _, t in ours] == [tuple(t.shape) for _, t in theirs]
    assert [n for n, _ in network.named_children()] == [n for n, _ in module.named_children()]
    assert network.counts.parameters == sum(p.numel() for p in module.parameters())
    layers = [layer for _, layer in network.named_modules()]
    assert [repr(layer) for layer in layers] == [repr(m) for m in module.modules()]
    for tensor in network.tensors():
        [explained] = weigh.explain(network, tensor.name)
        assert any(explained.tensor is own for own in explained.layer._tensors.values())


@quiet
def test_a_role_that_the_module_states_stays() -> None:
    module = holding(weight=quantized())
    module.bias = nn.Parameter(torch.ones(3))
    network = weigh.open(module)
    assert [name for name, _ in network.named_parameters()] == ["bias"]
    assert [name for name, _ in network.named_buffers()] == ["weight"]
    assert (network.weight.role, network.weight.role_status) == ("buffer", "stated")
    assert (network.counts.parameters, network.counts.buffers) == (3, 12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_str_is_pytorchs_where_a_class_writes_its_own() -> None:
    class Says(nn.Linear):
        def __str__(self) -> str:
            return f"says {self.in_features}"

    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    for module in (Says(2, 3), traced, nn.Sequential(Says(1, 1))):
        assert str(weigh.open(module)) == str(module)
        assert repr(weigh.open(module)) == repr(module)
    assert str(weigh.open(nn.Sequential(Says(1, 1)))[0]) == "says 1"


def test_a_class_without_a_module_opens() -> None:
    class Homeless(nn.Linear):
        __module__ = None  # type: ignore[assignment]

    assert weigh.open(Homeless(2, 3)).weight.shape == (3, 2)


def test_a_tensors_own_class_and_modes_of_the_caller_see_nothing() -> None:
    seen: list[str] = []

    class Watched(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            seen.append(str(func))
            return super().__torch_function__(func, types, args, kwargs or {})

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    module = nn.Linear(2, 3)
    module.watched = nn.Parameter(torch.ones(2, 3).as_subclass(Watched))
    module.register_buffer("sparse", torch.eye(3).to_sparse())
    module.register_buffer("scaled", quantized(per_channel=True))
    seen.clear()
    for mode in (None, Functions(), Operations()):
        with mode or torch.no_grad():
            network = weigh.open(module)
            assert network.counts.parameters == 15
            for tensor in network.tensors():
                assert tensor.text()
                assert tensor[1:].text()
                tensor.read()
    assert seen == []


def test_values_are_read_under_a_mode_that_makes_fake_ones() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    module = nn.Linear(2, 3)
    wanted = module.weight.detach().numpy()
    for mode in (FakeTensorMode(), torch.device("meta")):
        with mode:
            np.testing.assert_array_equal(weigh.open(module).weight.read(), wanted)


@quiet
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_a_nested_tensor_is_refused_by_name(layout: torch.layout) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)
    module = nn.Sequential(holding(odd=nested))
    with pytest.raises(weigh.UnsupportedError, match=r"^0\.odd: a nested tensor"):
        weigh.open(module)


def test_a_tensor_that_is_copied_on_its_first_write_stays_so() -> None:
    lazy = torch._lazy_clone(torch.arange(12.0).reshape(4, 3))
    module = nn.Module()
    module.lazy = nn.Parameter(lazy)
    network = weigh.open(module)
    assert network.counts.bytes == 48
    for take in (lambda t: t, lambda t: t[1], lambda t: t[:, ::2], lambda t: t[2, 1]):
        read = take(network.lazy).read()
        read[...] = 7
    assert torch._C._is_cow_tensor(module.lazy)
    assert module.lazy.detach().clone().tolist() == torch.arange(12.0).reshape(4, 3).tolist()


SPARSE: list[Callable[[], torch.Tensor]] = [
    lambda: torch.eye(4).to_sparse(),
    lambda: torch.eye(40).double().to_sparse(),
    lambda: torch.zeros(3, 3).to_sparse(),
    lambda: torch.randn(3, 4, 5).to_sparse(1),
    lambda: torch.eye(5, dtype=torch.int32).to_sparse_csr(),
    lambda: torch.randn(40, 40).to_sparse_csc(),
    lambda: torch.stack([torch.eye(3)] * 2).to_sparse_csr(),
    lambda: torch.eye(4).to_sparse_bsr((2, 2)),
    lambda: torch.eye(3).to_sparse().to("meta"),
    lambda: torch.eye(3).bfloat16().to_sparse(),
]


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("number", range(len(SPARSE)))
def test_sparse_tensors_are_printed_as_pytorch_prints_them(number: int) -> None:
    torch.manual_seed(0)
    module = holding(b=SPARSE[number]())
    assert repr(weigh.open(module).b) == repr(module.b)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_of_a_sparse_parameter_what_is_stored_is_counted() -> None:
    module = nn.Module()
    module.coo = nn.Parameter(torch.eye(4).to_sparse())
    module.csr = nn.Parameter(torch.eye(3).to_sparse_csr())
    counts = weigh.open(module).counts
    assert counts.parameters == 16 + 9
    assert counts.unique_storage == 4 + 3
    assert counts.bytes == 4 * 4 + 2 * 4 * 8 + 3 * 4 + (4 + 3) * 8
    assert repr(weigh.open(module).coo) == repr(module.coo)


@quiet
@pytest.mark.parametrize(
    "index", [1, slice(1, None), (slice(None), slice(1, 3)), (0, 0), slice(None, None, 2)]
)
def test_a_slice_of_a_quantized_tensor_has_its_own_scales(index: Any) -> None:
    module = holding(q=quantized(per_channel=True))
    network = weigh.open(module)
    assert repr(network.q) == repr(module.q)
    assert repr(network.q[index]) == repr(module.q[index])
    assert repr(network.q[1:][1:]) == repr(module.q[1:][1:])


@quiet
def test_a_slice_keeps_the_axis_of_its_scales() -> None:
    whole = quantized(per_channel=True)
    turned = torch.quantize_per_channel(
        whole.dequantize().T, whole.q_per_channel_scales(), whole.q_per_channel_zero_points(),
        1, torch.qint8,
    )  # fmt: skip
    text = repr(weigh.open(holding(q=turned)).q[0])
    assert "zero_point=tensor([0, 1, 2]), axis=0" in text.replace("\n       ", " ")


@quiet
def test_weights_packed_as_float16_are_shown_as_such() -> None:
    plain = nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 2))
    module = torch.ao.quantization.quantize_dynamic(plain, dtype=torch.float16)
    network = weigh.open(module)
    assert network["0.weight"].dtype.name == "float16"
    assert network["0.weight"].bytes == 24
    assert network["0.bias"].dtype.name == "float32"
    assert network["1.weight_ih_l0"].dtype.name == "float16"
    np.testing.assert_array_equal(
        network["0.weight"].read(), plain[0].weight.detach().half().numpy()
    )


def test_what_is_no_module_or_no_tensor_is_refused_by_name() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0]._parameters["weight"] = "text"  # type: ignore[assignment]
    with pytest.raises(weigh.SourceError, match=r"'0\.weight' is no tensor; saw str"):
        weigh.open(module)
    module = nn.Sequential()
    module._modules["number"] = 5  # type: ignore[assignment]
    with pytest.raises(weigh.SourceError, match="'number' is none; saw int"):
        weigh.open(module)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "compiled", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(2, 3))]
)
def test_a_compiled_layer_has_the_axes_of_the_class_it_was_made_from(compiled: Any) -> None:
    network = weigh.open(compiled(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()))
    assert [str(axis) for axis in network["0.weight"].axes] == ["out_features=4", "in_features=3"]
    assert network["1.running_mean"].axes[0].name == "num_features"
    assert weigh.explain(network, "0.weight")[0].layer.path == "0"


def test_a_buffer_that_takes_a_gradient_says_so() -> None:
    module = holding(b=torch.ones(2, requires_grad=True), plain=torch.ones(2))
    network = weigh.open(module)
    assert repr(network.b) == repr(module.b) == "tensor([1., 1.], requires_grad=True)"
    assert repr(network.plain) == repr(module.plain)


def test_a_parametrizations_tensor_has_its_owners_fan_in() -> None:
    made = nn.utils.parametrizations
    network = weigh.open(nn.Sequential(made.weight_norm(nn.Linear(3, 4)),
                                       made.spectral_norm(nn.Conv2d(2, 5, 3))))  # fmt: skip
    assert network["0.parametrizations.weight.original1"].fan_in == 3
    assert network["0.parametrizations.weight.original0"].fan_in is None
    assert network["1.parametrizations.weight.original"].fan_in == 18


def test_a_module_that_cannot_be_printed_is_shown_without_its_tree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Raises(nn.Linear):
        def __repr__(self) -> str:
            raise RuntimeError("no")

    weigh.show(nn.Sequential(Raises(2, 3)))
    out = capsys.readouterr().out
    assert "0.weight  out_features=3 in_features=2" in out
    assert "The tree is left out: printing the module raised RuntimeError." in out
    explained = weigh.explain(Raises(2, 3), "weight")
    assert "Raises(in_features=2" in render(explain_document(explained))
