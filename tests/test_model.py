"""A network in the user's hands: names, slices, errors, copies."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh
from models import GPT, Article, Shared

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def ramp(*shape: int) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


@pytest.fixture
def network() -> weigh.Network:
    return weigh.open(Article())


def test_every_way_to_a_tensor_leads_to_the_same_one(network: weigh.Network) -> None:
    tensor = network.conv1.weight
    assert isinstance(tensor, weigh.Parameter)
    assert tensor is network["conv1.weight"] is network["conv1"]["weight"] is network[0].weight
    assert tensor is dict(network.named_parameters())["conv1.weight"]
    assert tensor is next(network.parameters())
    assert network.conv1.kernel_size == (5, 5)
    assert network[-1] is network.out is network["out"]


def test_children_are_counted_and_gone_through_as_in_a_sequential() -> None:
    shared = nn.Linear(2, 2)
    module = nn.Sequential(shared, nn.ReLU(), shared)
    network = weigh.open(nn.ModuleDict({"layers": module})).layers
    assert len(network) == len(module) == 3
    assert [layer.kind for layer in network] == ["Linear", "ReLU", "Linear"]
    assert network[2].path == "layers.2"
    assert network[-3].path == "layers.0"
    assert len(list(network.children())) == len(list(module.children())) == 2
    for outside in (3, -4):
        with pytest.raises(weigh.UnknownNameError, match="has 3 child layers; saw"):
            network[outside]
    assert bool(weigh.open(nn.ReLU())) is True


def test_names_that_weigh_uses_itself_are_reached_in_brackets() -> None:
    taken = ["path", "kind", "counts", "children", "format", "tensors", "notes", "_tensors"]
    arrays = {f"{name}.weight": ramp(2, 3) for name in taken} | {"purpose": ramp(2)}
    network = weigh.open(arrays)
    for name in taken:
        assert network[name].weight.shape == (2, 3)
        assert network[f"{name}.weight"].layer == name
        assert name in network
    assert network["purpose"].shape == (2,)
    assert (network.path, network.purpose, network.format) == ("", "", "arrays")
    assert network.counts.parameters == 6 * len(taken) + 2


@given(
    st.lists(
        st.text(alphabet=st.sampled_from("ab.0 é"), max_size=6), min_size=1, max_size=6, unique=True
    )
)
@settings(max_examples=200)
def test_every_tensor_of_any_name_is_found_by_it(names: list[str]) -> None:
    arrays = {name: ramp(i + 1) for i, name in enumerate(names)}
    network = weigh.open(arrays)
    assert {t.name for t in network.tensors()} == set(names)
    for i, name in enumerate(names):
        assert isinstance(network[name], weigh.Tensor)
        assert network[name].shape == (i + 1,)
    assert str(network)


@pytest.mark.parametrize("name", ["..", ".", ".a", "a.", "..a..", "." * 3000, "a." * 3000])
def test_a_name_of_dots_is_only_a_name(name: str) -> None:
    """Split at its dots, it has parts without a name, and very many of them."""
    network = weigh.open({name: ramp(2), "a.b": ramp(3)})
    assert network[name].shape == (2,)
    assert network["a.b"].shape == (3,)
    assert str(network)


def test_an_unknown_name_is_an_error_of_every_kind_one_may_catch(network: weigh.Network) -> None:
    for kind in (weigh.UnknownNameError, weigh.WeighError, LookupError, AttributeError):
        with pytest.raises(kind, match=r"no layer or tensor 'conv1.wieght'\. Did you mean"):
            network["conv1.wieght"]
    with pytest.raises(AttributeError, match=r"layer 'conv1' has no layer or tensor 'wieght'.*'w"):
        network.conv1.wieght  # noqa: B018
    with pytest.raises(weigh.UnknownNameError, match="'cnv1'"):
        network["cnv1"]
    assert not hasattr(network, "cnv1")
    assert getattr(network, "cnv1", 7) == 7
    assert "cnv1" not in network
    assert 3 not in network
    for odd in (".", "..", "conv1.", ".conv1", "conv1..weight", "conv1.weight.x"):
        with pytest.raises(weigh.UnknownNameError):
            network[odd]
    assert network[""] is network


def test_a_hyperparameter_that_nobody_says_is_an_error() -> None:
    network = weigh.open(Article().state_dict())
    assert network.conv1.out_channels == 6
    with pytest.raises(weigh.UnknownNameError, match="layer 'conv1' does not say its stride"):
        network.conv1.stride  # noqa: B018


def test_dir_offers_layers_tensors_and_hyperparameters(network: weigh.Network) -> None:
    assert {"conv1", "fc1", "named_parameters", "counts"} <= set(dir(network))
    assert {"weight", "bias", "kernel_size"} <= set(dir(network.conv1))


@given(st.data(), SHAPES)
def test_a_slice_of_a_slice_is_numpys(data: Any, shape: tuple[int, ...]) -> None:
    array = ramp(*shape)
    tensor, expected = weigh.open({"x": array})["x"], array
    for _ in range(3):
        if not expected.ndim:
            break
        size = expected.shape[0]
        part: Any = data.draw(
            st.one_of(
                *([st.integers(-size, size - 1)] if size else []),
                st.builds(slice, st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 3)),
                st.just((..., slice(1, None))),
            )
        )
        tensor, expected = tensor[part], expected[part]
        assert tensor.shape == expected.shape
        assert [axis.size for axis in tensor.axes] == list(expected.shape)
        np.testing.assert_array_equal(tensor.read(), expected)


def test_a_slice_keeps_the_names_of_its_axes(network: weigh.Network) -> None:
    one = network.conv2.weight[0]
    assert one.name == "conv2.weight[0]"
    assert [str(axis) for axis in one.axes] == [
        "in_channels=6", "kernel_height=5", "kernel_width=5",
    ]  # fmt: skip
    assert network.conv2.weight[..., 1:3].name == "conv2.weight[..., 1:3]"
    assert network.conv2.weight[:, ::2, 1].shape == (12, 3, 5)
    for index in (12, -13, (0, 0, 0, 0, 0)):
        with pytest.raises(IndexError):
            network.conv2.weight[index]
    with pytest.raises(weigh.IndexingError):
        network.conv2.weight["a"]


def test_numpy_takes_a_tensor_as_an_array() -> None:
    module = Article()
    network = weigh.open(module)
    expected = module.conv1.weight.detach().numpy()
    np.testing.assert_array_equal(np.asarray(network.conv1.weight[0]), expected[0])
    assert np.asarray(network.conv1.weight, "float64").dtype == np.float64
    np.testing.assert_array_equal(np.stack(list(network.conv1.bias)), module.conv1.bias.detach())
    assert len(network.conv1.weight) == 6
    assert [t.shape for t in network.conv1.weight[:2]] == [(1, 5, 5)] * 2
    assert float(np.asarray(network.conv1.bias[-1])) == module.conv1.bias[-1].item()


def test_a_scalar_has_no_length() -> None:
    network = weigh.open({"x": np.array(2, "float32")})
    assert network["x"].shape == ()
    assert (network["x"].count, network["x"].bytes) == (1, 4)
    assert bool(network["x"])
    with pytest.raises(TypeError, match="without axes has no length"):
        len(network["x"])
    with pytest.raises(TypeError):
        list(network["x"])


def test_a_lazy_tensor_can_be_neither_sliced_nor_read() -> None:
    tensor = weigh.open(nn.LazyLinear(3)).weight
    assert (tensor.shape, tensor.count, tensor.bytes, tensor.logical) == (None,) * 4
    for use in (tensor.read, lambda: tensor[0], lambda: np.asarray(tensor)):
        with pytest.raises(weigh.ValuesError, match="before the layer's first input"):
            use()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_network_of_arrays_can_be_copied(copied: Any) -> None:
    network = weigh.open({"a.weight": ramp(2, 3), "a.bias": ramp(2), "b.weight": ramp(4, 2)})
    again = copied(network)
    assert str(again) == str(network)
    assert again.counts == network.counts
    assert [n for n, _ in again.named_parameters()] == ["a.weight", "a.bias", "b.weight"]
    np.testing.assert_array_equal(again.a.weight[1].read(), ramp(2, 3)[1])


def test_what_is_found_cannot_be_altered(network: weigh.Network) -> None:
    for thing, name in [
        (network, "format"), (network.conv1, "kind"), (network.conv1.weight, "name"),
        (network.conv1.weight.axes[0], "size"), (network.counts, "parameters"),
        (network.conv1.hyperparameters["stride"], "value"), (network.conv1.weight.initial, "a"),
    ]:  # fmt: skip
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)


def test_tensors_and_layers_are_told_apart_by_identity(network: weigh.Network) -> None:
    assert len({network.conv1.weight, network.conv1.weight, network.conv1.bias}) == 2
    assert len({network.conv1, network.conv2, network}) == 3
    assert network.conv1.weight != weigh.open(Article()).conv1.weight


def test_a_part_of_a_network_starts_its_names_anew() -> None:
    network = weigh.open(GPT())
    assert [n for n, _ in network.h[0].mlp.named_parameters()] == [
        "c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias",
    ]  # fmt: skip
    assert next(n for n, _ in network.named_parameters(prefix="model")) == "model.wte.weight"
    assert network.h[0].mlp.c_fc.weight.name == "h.0.mlp.c_fc.weight"
    inner = weigh.open(Shared()).second
    assert [n for n, _ in inner.named_parameters()] == ["0.0.weight", "0.0.bias"]


@pytest.mark.parametrize(
    "source", [3, None, nn.Linear, [1], torch.ones(2), b"", object()], ids=lambda s: str(type(s))
)
def test_what_is_no_network_is_refused(source: object) -> None:
    with pytest.raises(weigh.WeighError):
        weigh.open(source)


def test_named_modules_and_buffers_take_pytorchs_arguments_by_place() -> None:
    module = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    module.append(module[0])
    network = weigh.open(module)
    for arguments in [(None, "p", False), (None, "p"), (set(), "", True)]:
        ours = [name for name, _ in network.named_modules(*arguments)]
        assert ours == [name for name, _ in module.named_modules(*arguments)]
    for arguments in [("", False), ("p", True, False), ("p",)]:
        ours = [name for name, _ in network.named_buffers(*arguments)]
        assert ours == [name for name, _ in module.named_buffers(*arguments)]
    left_out = [name for name, _ in network.named_modules({network["1"]})]
    assert left_out == [name for name, _ in module.named_modules({module[1]})]
