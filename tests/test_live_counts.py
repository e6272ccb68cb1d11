"""The totals of live modules, held against what PyTorch's own parameters and storages add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh
from models import (
    GPT,
    NETWORKS,
    Article,
    Recurrents,
    Shared,
    dynamic_int8,
    dynamic_recurrent,
    frozen,
    pruned,
    views,
)
from weigh._counts import Counts

LAZY = ("lazy",)
PACKED = ("dynamic_int8", "dynamic_recurrent", "int8_embedding", "static_int8")
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")


def total(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() for t in tensors)


def touched(tensors: Iterable[torch.Tensor]) -> set[tuple[int, int]]:
    """Every stored byte behind some tensors, one by one: (storage, byte)."""
    found: set[tuple[int, int]] = set()
    for t in tensors:
        if t.numel() == 0:
            continue
        places = torch.as_strided(
            torch.arange(t.untyped_storage().nbytes() // t.element_size()),
            t.shape, t.stride(), t.storage_offset(),
        ).unique().tolist()  # fmt: skip
        storage = t.untyped_storage()._cdata
        size = t.element_size()
        found |= {(storage, place * size + i) for place in places for i in range(size)}
    return found


def assert_counts_are_pytorchs(module: nn.Module) -> Counts:
    counts = weigh.open(module).counts
    parameters = list(module.parameters())
    each = [p for _, p in module.named_parameters(remove_duplicate=False)]
    buffers = list(module.buffers())
    each_buffer = [b for _, b in module.named_buffers(remove_duplicate=False)]
    assert counts.tensors == len(each) + len(each_buffer)
    assert counts.parameters == total(parameters)
    assert counts.by_path == total(each)
    assert counts.trainable == total(p for p in parameters if p.requires_grad)
    assert counts.frozen == total(p for p in parameters if not p.requires_grad)
    assert counts.trainable + counts.frozen == counts.parameters
    assert counts.buffers == total(buffers)
    assert counts.logical == counts.parameters
    assert counts.bytes == len(touched([*parameters, *buffers]))
    assert counts.bytes_by_role.get("parameter", 0) == len(touched(parameters))
    assert counts.bytes_by_role.get("buffer", 0) == len(touched(buffers))
    if len({p.dtype for p in parameters}) == 1:
        size = parameters[0].element_size()
        assert counts.unique_storage == len(touched(parameters)) // size
    assert not counts.at_least
    return counts


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in (*LAZY, *PACKED)])
def test_every_networks_totals_are_pytorchs(name: str) -> None:
    torch.manual_seed(0)
    assert_counts_are_pytorchs(NETWORKS[name]())


def test_the_articles_network() -> None:
    counts = weigh.open(Article()).counts
    assert counts.parameters == counts.by_path == counts.unique_storage == counts.logical == 32_998
    assert counts.bytes == 131_992
    assert counts.tensors == 10


def test_a_tied_head_is_counted_once_and_by_path_twice() -> None:
    counts = assert_counts_are_pytorchs(GPT())
    assert counts.by_path - counts.parameters == 30 * 8
    assert counts.unique_storage == counts.parameters


def test_a_layer_under_three_parents_is_counted_once() -> None:
    counts = assert_counts_are_pytorchs(Shared())
    assert counts.parameters == 3 * 3 + 3 + 4
    assert counts.by_path == 4 * 12 + 2 * 4


def test_a_selection_that_holds_a_tensor_under_its_later_names_only_counts_it() -> None:
    network = weigh.open(GPT())
    assert network["lm_head.weight"].tied_to == "wte.weight"
    counts = Counts.of([network["lm_head.weight"]])
    assert counts.parameters == counts.unique_storage == counts.trainable == 240
    assert counts.bytes == 960


def test_parameters_on_the_root_in_lists_and_in_dicts() -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = nn.Parameter(torch.ones(2, 3))
            self.list = nn.ParameterList([nn.Parameter(torch.ones(n)) for n in range(12)])
            self.dict = nn.ParameterDict({"z": torch.ones(5), "a": torch.ones(())})

    counts = assert_counts_are_pytorchs(Loose())
    assert counts.parameters == 6 + 66 + 6


def test_keys_with_dots_stay_with_their_layer() -> None:
    class Dotted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._parameters["a.b"] = nn.Parameter(torch.ones(2))
            self.inner = nn.ParameterDict()
            self.inner._parameters["c.d.e"] = nn.Parameter(torch.ones(3))

    module = Dotted()
    network = weigh.open(module)
    assert_counts_are_pytorchs(module)
    assert [n for n, _ in network.named_modules()] == ["", "inner"]
    assert network["a.b"].shape == (2,)
    assert network["inner.c.d.e"].layer == "inner"
    assert network.inner["c.d.e"].shape == (3,)


def test_recurrent_and_attention_layers_are_counted_in_full() -> None:
    assert assert_counts_are_pytorchs(nn.LSTM(4, 3, num_layers=2)).parameters == 108 + 96
    counts = assert_counts_are_pytorchs(nn.MultiheadAttention(8, 2, add_bias_kv=True))
    assert counts.parameters == 3 * 8 * 8 + 3 * 8 + 8 * 8 + 8 + 2 * 8


def test_frozen_layers_and_a_branch_that_is_never_used() -> None:
    module = frozen()
    module.unused = nn.Linear(7, 7)
    counts = assert_counts_are_pytorchs(module)
    assert (counts.trainable, counts.frozen) == (8 + 2 + 56, 3 * 8 * 9 + 16 + 16)


def test_pruned_masks_are_buffers() -> None:
    counts = assert_counts_are_pytorchs(pruned())
    assert counts.parameters == 24 + 4 + 48 + 4
    assert counts.buffers == 24 + 4 + 48


@quiet
def test_int8_weights_outside_the_parameters_are_logical_weights() -> None:
    module = dynamic_int8()
    assert total(module.parameters()) == 0
    counts = weigh.open(module).counts
    assert counts.parameters == counts.by_path == counts.unique_storage == 0
    assert counts.logical == 262
    assert counts.bytes == 240 + 4 * 22
    assert counts.bytes_by_role == {"other": 328}


@quiet
def test_int8_recurrent_layers_stand_for_as_many_weights_as_before() -> None:
    counts = weigh.open(dynamic_recurrent()).counts
    assert counts.parameters == 0
    assert counts.logical == total(Recurrents().parameters())


@quiet
def test_an_int8_layer_under_two_names_is_counted_once() -> None:
    inner = dynamic_int8()
    network = weigh.open(nn.Sequential(inner, inner))
    assert network.counts.logical == 262
    assert network.counts.bytes == 328
    assert network["1.0.weight"].tied_to == "0.0.weight"


def test_a_lazy_layer_makes_totals_lower_bounds_until_its_first_input() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.LazyLinear(2), nn.LazyBatchNorm1d())
    counts = weigh.open(module).counts
    assert counts.at_least
    assert counts.parameters == 20
    assert weigh.open(module)["1.weight"].shape is None
    assert weigh.open(module)["1.weight"].count is None
    module(torch.ones(2, 3))
    assert assert_counts_are_pytorchs(module).parameters == 20 + 12 + 4


def test_two_parameters_over_one_storage() -> None:
    counts = assert_counts_are_pytorchs(views())
    assert counts.parameters == counts.by_path == 72
    assert counts.unique_storage == 36
    assert counts.bytes == 36 * 4 + 5 * 4


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda x: [x[:20], x[10:30]], 30),
        (lambda x: [x.view(6, 6)[:, 2]], 6),
        (lambda x: [x.view(6, 6)[:, 2], x.view(6, 6)[:, 4]], 12),
        (lambda x: [x[:1].expand(100)], 1),
        (lambda x: [x[4:8], x[4:8].view(2, 2)], 4),
        (lambda x: [x[:0], x[5:5]], 0),
        (lambda x: [x, x.view(6, 6).t(), x[3:5]], 36),
        (lambda x: [x.view(torch.int16)[:8], x[2:6]], None),
    ],
)
def test_overlapping_views_share_their_memory(make: Any, values: int | None) -> None:
    module = nn.Module()
    buffers = make(torch.arange(36.0))
    for i, buffer in enumerate(buffers):
        module.register_buffer(f"b{i}", buffer)
    counts = weigh.open(module).counts
    assert counts.bytes == len(touched(buffers))
    assert counts.buffers == total(buffers)
    if values is not None:
        assert counts.bytes == 4 * values


def test_the_meta_device_has_the_totals_of_the_real_one() -> None:
    for make in (Article, GPT, Shared):
        with torch.device("meta"):
            module = make()
        assert weigh.open(module).counts == weigh.open(make()).counts


LAYERS = {
    "linear": lambda: nn.Linear(2, 3),
    "norm": lambda: nn.BatchNorm1d(2),
    "conv": lambda: nn.Conv1d(1, 2, 2),
    "none": lambda: None,
    "empty": lambda: nn.ReLU(),
    "own": lambda: nn.ParameterList([nn.Parameter(torch.zeros(3))]),
}


def build(draw: Any, made: list[nn.Module], depth: int) -> nn.Module:
    """Draw a tree of modules, some of them met again, some Parameters tied, some frozen."""
    module = nn.Module()
    for i in range(draw(st.integers(0, 3))):
        if depth and draw(st.booleans()):
            child = build(draw, made, depth - 1)
        elif made and draw(st.booleans()):
            child = draw(st.sampled_from(made))
        else:
            child = LAYERS[draw(st.sampled_from(sorted(LAYERS)))]()
        module.register_module(f"m{i}", child)
        if child is not None:
            made.append(child)
    known = [p for m in made for p in m.parameters(recurse=False)]
    if known and draw(st.booleans()):
        module.tied = draw(st.sampled_from(known))
    if known and draw(st.booleans()):
        module.over = nn.Parameter(draw(st.sampled_from(known)).detach().view(-1))
    if known and draw(st.booleans()):
        draw(st.sampled_from(known)).requires_grad_(False)
    return module


@settings(max_examples=60)
@given(st.data())
def test_totals_of_any_tree_are_pytorchs(data: Any) -> None:
    module = build(data.draw, [], 3)
    counts = assert_counts_are_pytorchs(module)
    network = weigh.open(module)
    rows = network.tensors()
    parameters = [t for t in rows if t.role == "parameter"]
    assert sum(t.count or 0 for t in parameters) == counts.by_path
    assert sum(t.count or 0 for t in parameters if t.tied_to is None) == counts.parameters
    assert sum(p.count or 0 for p in network.parameters()) == counts.parameters
    assert sum(counts.bytes_by_role.values()) >= counts.bytes
    for method in ("named_parameters", "named_modules", "named_buffers"):
        for once in (True, False):
            ours = getattr(network, method)(remove_duplicate=once)
            theirs = getattr(module, method)(remove_duplicate=once)
            assert [n for n, _ in ours] == [n for n, _ in theirs]
    assert repr(network) == repr(module)
