"""A live module is the same after Weigh has opened, printed, shown, explained and read it."""

from __future__ import annotations

import gc
import json
import random
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import weigh
from models import NETWORKS, Article, frozen
from weigh._views.json import dumps, show_json, values_json
from weigh._views.show import show_document
from weigh._views.text import render

quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")


def look_at(module: nn.Module) -> None:
    """Do with a module all that Weigh can do."""
    network = weigh.open(module)
    assert str(network)
    render(show_document(network), width=80)
    render(show_document(network, folded=True))
    assert json.loads(dumps(show_json(network)))["format"] == "live"
    weigh.stats(network, exact=True)
    for tensor in network.tensors():
        weigh.explain(network, tensor.name)
        if tensor.shape is None or tensor.device == "meta":
            continue
        tensor.read()[...] = 0
        values_json(tensor)
        tensor.text(full=True)
        if tensor.shape and tensor.shape[0]:
            np.asarray(tensor[0])
    for layer in network.modules():
        dir(layer)


def state_of_tensor(tensor: Any) -> tuple[object, ...]:
    lazy = nn.parameter.is_lazy(tensor)
    grad = tensor.grad if tensor.is_leaf else None
    stored = None
    if not lazy and not tensor.is_meta:
        raw = tensor.detach().contiguous()
        raw = raw.int_repr() if raw.is_quantized else raw
        stored = raw.reshape(-1).view(torch.uint8).numpy().tobytes()
    return (
        id(tensor), type(tensor), lazy, tensor.requires_grad, tensor._version, tensor.device,
        tensor.dtype, tensor.is_leaf, None if lazy or tensor.is_meta else tensor.data_ptr(),
        None if lazy else (tuple(tensor.shape), tensor.stride()), stored,
        None if grad is None else (id(grad), grad.numpy().tobytes()),
        tuple(sorted(tensor.__dict__)), str(tensor._backward_hooks),
    )  # fmt: skip


def state_of_value(value: Any) -> object:
    if isinstance(value, torch.Tensor):
        return state_of_tensor(value)
    if isinstance(value, dict):
        return {key: (id(inner), state_of_value(inner)) for key, inner in value.items()}
    if isinstance(value, list | set | tuple):
        return [id(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else id(value)


def state_of(module: nn.Module) -> dict[str, object]:
    """Everything a module holds, with the identity of each thing."""
    return {
        f"{path}:{name}": (id(value), state_of_value(value))
        for path, inner in module.named_modules(remove_duplicate=False)
        for name, value in inner.__dict__.items()
    }


def state_of_the_world() -> tuple[object, ...]:
    numpy = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2:],
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype(),
        torch.get_default_device(), torch.get_num_threads(), torch.is_autocast_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch._C._len_torch_function_stack(),
        torch._C._len_torch_dispatch_stack(), str(torch._tensor_str.PRINT_OPTS),
        torch.backends.quantized.engine,
    )  # fmt: skip


@quiet
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_left_as_it_was(name: str) -> None:
    module = NETWORKS[name]()
    flags = [m.training for m in module.modules()]
    before, world = state_of(module), state_of_the_world()
    look_at(module)
    assert state_of_the_world() == world
    assert state_of(module) == before
    assert [m.training for m in module.modules()] == flags


def test_gradients_hooks_and_the_graph_are_left_as_they_were() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    calls: list[str] = []
    module.register_forward_hook(lambda *_: calls.append("forward"))
    module[0].register_full_backward_hook(lambda *_: calls.append("backward"))
    module[0].weight.register_hook(lambda grad: calls.append("grad"))
    loss = module(torch.rand(5, 3, requires_grad=True)).square().mean()
    loss.backward(retain_graph=True)
    calls.clear()
    before = state_of(module)
    look_at(module)
    assert calls == []
    assert state_of(module) == before
    gradient = module[0].weight.grad.clone()
    loss.backward()
    assert torch.equal(module[0].weight.grad, 2 * gradient)


def test_a_frozen_batch_norm_stays_in_eval_mode_within_a_training_network() -> None:
    module = frozen()
    statistics = {k: v.clone() for k, v in module[1].state_dict().items()}
    look_at(module)
    assert [m.training for m in module.modules()] == [True, True, False, True, True]
    assert all(torch.equal(v, statistics[k]) for k, v in module[1].state_dict().items())


def test_dropout_draws_the_same_numbers_after_a_look() -> None:
    module = nn.Sequential(nn.Linear(4, 100), nn.Dropout(0.5))
    torch.manual_seed(3)
    expected = module(torch.ones(1, 4))
    torch.manual_seed(3)
    look_at(module)
    assert torch.equal(module(torch.ones(1, 4)), expected)


def test_a_lazy_layer_still_waits_for_its_input() -> None:
    module = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    look_at(module)
    assert module[0].has_uninitialized_params()
    assert type(module[0]) is nn.LazyConv2d
    module(torch.ones(1, 2, 5, 5))
    assert module[0].weight.shape == (4, 2, 3, 3)


def test_a_spectral_norm_does_not_take_a_step() -> None:
    module = nn.utils.parametrizations.spectral_norm(nn.Linear(5, 7)).train()
    before = state_of(module)
    look_at(module)
    assert state_of(module) == before


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_callers_mode_stays(mode: Any) -> None:
    with mode():
        world = state_of_the_world()
        look_at(Article())
        assert state_of_the_world()[4:] == world[4:]


def test_what_is_read_is_a_copy() -> None:
    module = nn.Linear(3, 2)
    kept = module.weight.detach().clone()
    for array in (weigh.open(module).weight.read(), np.array(weigh.open(module).weight)):
        array[...] = 7
    assert torch.equal(module.weight.detach(), kept)


def test_values_are_those_of_the_moment_they_are_read() -> None:
    module = nn.Linear(3, 2)
    network = weigh.open(module)
    with torch.no_grad():
        module.weight.fill_(0.5)
    assert network.weight.read().tolist() == [[0.5] * 3] * 2


def test_a_module_dies_with_the_last_view_of_it() -> None:
    module = nn.Sequential(Article(), nn.LSTM(2, 3))
    alive = [weakref.ref(module), weakref.ref(module[0].conv1.weight)]
    network = weigh.open(module)
    repr(network), network.counts, weigh.explain(network, "0.conv1")
    del module
    gc.collect()
    assert alive[0]() is not None
    del network
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
