from __future__ import annotations

import argparse
import pathlib
import time
from typing import Any

import pytest
import torch
from test_torch_zip import agrees, by_name, read, saved

from weigh._errors import FormatError, SourceError
from weigh._facts import Facts
from weigh._sources import arrays

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, on old sorts of tensor


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))


def trained() -> tuple[torch.nn.Sequential, torch.optim.Adam]:
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    return net, optimizer


def names(facts: Facts, role: str | None = None) -> list[str]:
    return [tensor.name for tensor in facts.tensors if tensor.role == role]


STATE = ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize(
    "key", ["model", "state_dict", "model_state_dict", "module", "net", "network", "params"]
)
def test_the_network_is_found_beside_its_optimizer(key: str) -> None:
    net, optimizer = trained()
    args = argparse.Namespace(lr=0.01, out=pathlib.PurePosixPath("a/b"), device=torch.device("cpu"))
    facts = read(saved({
        key: net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "args": args,
        "best": torch.tensor(0.5),
    }))  # fmt: skip
    assert names(facts) == STATE
    assert names(facts, "other") == ["best"]
    state = optimizer.state_dict()["state"]
    expected = [f"optimizer.state.{i}.{name}" for i in state for name in state[i]]
    assert names(facts, "optimizer") == expected
    found = by_name(facts)
    agrees(found["0.weight"], net[0].weight)
    agrees(found["optimizer.state.2.exp_avg"], state[2]["exp_avg"])
    assert (facts.metadata["epoch"], facts.metadata["args.lr"]) == ("3", "0.01")
    assert "cpu" in facts.metadata["args.device"]
    assert facts.metadata["optimizer.param_groups.0.params"] == "[0, 1, 2, 3]"
    assert [layer.path for layer in facts.layers] == ["", "0", "1", "2"]
    assert any(repr(key) in note for note in facts.notes)


def test_an_optimizer_alone_has_no_network() -> None:
    facts = read(saved(trained()[1].state_dict()))
    assert names(facts) == names(facts, "other") == []
    assert len(names(facts, "optimizer")) == 12


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_left_out(prefix: str) -> None:
    net: torch.nn.Module = network()
    for part in reversed(prefix.rstrip(".").split(".")):
        outer = torch.nn.Module()
        outer.add_module(part, net)
        net = outer
    facts = read(saved(net.state_dict()))
    assert names(facts) == STATE
    assert [layer.path for layer in facts.layers] == ["", "0", "1", "2"]
    assert any(repr(prefix) in note for note in facts.notes)


def test_real_wrappers() -> None:
    net = network()
    assert names(read(saved(torch.nn.DataParallel(net).state_dict()))) == STATE
    assert names(read(saved(torch.compile(net).state_dict()))) == STATE


def test_a_prefix_that_not_all_carry_stays() -> None:
    facts = read(saved({"module.a": torch.ones(1), "b": torch.ones(1)}))
    assert names(facts) == ["module.a", "b"]
    assert facts.notes == ()


def test_several_networks_keep_their_keys() -> None:
    state = network().state_dict()
    facts = read(saved({"generator": state, "discriminator": network().state_dict(), "epoch": 1}))
    assert names(facts) == [f"{one}.{n}" for one in ("generator", "discriminator") for n in STATE]
    paths = [layer.path for layer in facts.layers]
    assert paths[:4] == ["generator", "generator.0", "generator.1", "generator.2"]


@pytest.mark.parametrize("key", ["ema", "model_ema", "ema_state_dict", "teacher"])
def test_an_average_is_beside_the_network(key: str) -> None:
    state = network().state_dict()
    facts = read(saved({"model": state, key: {k: v.clone() for k, v in state.items()}}))
    assert names(facts) == STATE
    assert names(facts, "other") == [f"{key}.{name}" for name in STATE]
    alone = read(saved({key: state, "epoch": 1}))
    assert sorted(names(alone)) == sorted(STATE)


def test_words_that_only_look_like_an_average_or_optimizer_are_layers() -> None:
    state = {"semantic": {"weight": torch.ones(1)}, "rescaler": {"weight": torch.ones(1)}}
    assert names(read(saved(state))) == ["semantic.weight", "rescaler.weight"]


def test_other_tensors_keep_their_paths() -> None:
    facts = read(saved({
        "model": network().state_dict(), "rng": [torch.ones(1), (torch.zeros(2),)],
        "history": {0: {(1, 2): torch.ones(1)}},
    }))  # fmt: skip
    assert names(facts, "other") == ["rng.0", "rng.1.0", "history.0.(1, 2)"]


def test_a_tensor_alone_and_a_list() -> None:
    assert names(read(saved(torch.ones(2)))) == ["tensor"]
    assert names(read(saved([torch.ones(2), torch.ones(3)]))) == ["0", "1"]


def test_a_dynamic_quantized_layer_has_a_weight_and_a_bias() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3))
    quantized = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}, torch.qint8)
    facts = read(saved(quantized.state_dict()))
    found = by_name(facts)
    assert {"0.weight", "0.bias", "0.scale", "0.zero_point"} <= set(found)
    assert not any("_packed_params" in name for name in found)
    agrees(found["0.weight"], quantized[0].weight())
    agrees(found["0.bias"], quantized[0].bias())


@pytest.mark.parametrize(
    ("thing", "seen"),
    [({"epoch": 3, "args": None}, "'epoch', 'args'"), ([], "a list"), ({}, "an"), (5, "an int")],
)
def test_a_checkpoint_without_tensors_says_what_it_holds(thing: Any, seen: str) -> None:
    with pytest.raises(SourceError, match="holds no tensors") as caught:
        read(saved(thing))
    assert seen in str(caught.value)


def test_two_tensors_of_one_name_are_refused() -> None:
    with pytest.raises(FormatError, match="one name"):
        read(saved({"a": {"b.c": torch.ones(1)}, "a.b": {"c": torch.ones(1)}}))


def test_metadata_is_short_and_the_highest_first() -> None:
    facts = read(saved({
        "model": network().state_dict(),
        "deep": {"deeper": {f"n{i}": i for i in range(300)}},
        "text": "x" * 5000, "losses": [float(i) for i in range(5000)], "epoch": 7,
    }))  # fmt: skip
    assert len(facts.metadata) == 100
    assert max(map(len, facts.metadata.values())) <= 200
    assert facts.metadata["epoch"] == "7"
    assert facts.metadata["losses"].startswith("5,000 values: [0.0, 1.0")


def test_a_name_beside_the_network_is_not_one_of_its_own() -> None:
    inner = {"ema.fc.weight": torch.ones(2)}
    facts = read(saved({"model": inner, "ema": {"fc.weight": torch.zeros(2)}}))
    assert names(facts) == ["ema.fc.weight"]
    assert names(facts, "other") == ["ema/fc.weight"]


def test_a_backbone_and_a_head_are_both_the_network() -> None:
    state = {"weight": torch.ones(2)}
    facts = read(saved({"backbone": state, "head": {"weight": torch.zeros(2)}}))
    assert names(facts) == ["backbone.weight", "head.weight"]


def test_a_module_among_the_arguments_is_a_note() -> None:
    facts = read(saved({
        "state_dict": network().state_dict(), "hyper_parameters": {"loss": torch.nn.MSELoss()},
    }))  # fmt: skip
    assert names(facts) == STATE
    assert any("'hyper_parameters.loss'" in note and "MSELoss" in note for note in facts.notes)


def test_pieces_that_wrappers_put_inside_names_are_left_out() -> None:
    wrapped = {"0._fsdp_wrapped_module.weight": torch.ones(2), "1._orig_mod.bias": torch.ones(3)}
    facts = read(saved(wrapped))
    assert names(facts) == ["0.weight", "1.bias"]
    assert sum("left out of names" in note for note in facts.notes) == 2
    clash = {"0._orig_mod.weight": torch.ones(2), "0.weight": torch.zeros(2)}
    assert names(read(saved(clash))) == list(clash)


def test_an_optimizer_alone_says_so() -> None:
    [note] = read(saved(trained()[1].state_dict())).notes
    assert "no network" in note


def test_in_memory_it_is_told_apart_in_the_same_way() -> None:
    net, optimizer = trained()
    checkpoint = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    pickled, held = read(saved(checkpoint)), arrays.read(checkpoint)
    assert [(t.name, t.role) for t in held.tensors] == [(t.name, t.role) for t in pickled.tensors]
    assert names(held) == STATE


def test_each_of_several_networks_has_its_own_optimizer_beside_it() -> None:
    net, optimizer = trained()
    agent = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}
    for checkpoint in (
        {"agent0": agent, "agent1": agent},
        {"gen": {"model": net.state_dict(), "opt": optimizer.state_dict()},
         "disc": network().state_dict()},
        {"all": {"a": agent, "b": {"net": net.state_dict(), "optim": optimizer.state_dict()}}},
    ):  # fmt: skip
        pickled, held = read(saved(checkpoint)), arrays.read(checkpoint)
        assert [(t.name, t.role) for t in held.tensors] == [
            (t.name, t.role) for t in pickled.tensors
        ]
        assert sum(t.role == "optimizer" for t in held.tensors) > 0
        found = names(held)
        assert len(found) == 2 * len(STATE)
        first = next(iter(checkpoint))
        assert found[0] == f"{first}{'.a' if first == 'all' else ''}.{STATE[0]}"
        assert [layer.path for layer in held.layers] == [layer.path for layer in pickled.layers]
    alone = read(saved({"agent0": agent, "epoch": 1}))
    assert names(alone) == [f"agent0.{name}" for name in STATE]


def test_very_many_networks_take_no_longer_each() -> None:
    many = {f"part{i}": {"weight": torch.ones(1)} for i in range(20_000)}
    begin = time.perf_counter()
    assert len(names(arrays.read(many))) == 20_000
    assert time.perf_counter() - begin < 10
