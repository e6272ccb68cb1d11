"""``weigh.diff``: what became of each tensor, and the story, of networks made to be known."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import weigh
import writers


def network(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    shapes = {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "fc.weight": (20, 128),
              "fc.bias": (20,), "head.weight": (10, 20), "head.bias": (10,)}  # fmt: skip
    return {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}


def moved(weights: dict[str, torch.Tensor], size: float = 0.002) -> dict[str, torch.Tensor]:
    torch.manual_seed(99)
    return {name: tensor + torch.randn(tensor.shape) * size for name, tensor in weights.items()}


def clone(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in weights.items()}


def kinds(report: weigh.DiffReport) -> dict[str, str]:
    return {change.name: change.kind for change in report}


def told(report: weigh.DiffReport) -> list[str]:
    assert all(conclusion.status == "inferred" for conclusion in report.story)
    return [conclusion.kind for conclusion in report.story]


def test_what_is_equal_is_identical() -> None:
    a = network()
    report = weigh.diff(a, clone(a))
    assert set(kinds(report).values()) == {"unchanged"}
    assert (told(report), report.different, report.notes) == (["identical"], False, ())


def test_one_layer_that_was_trained() -> None:
    a = network()
    b = clone(a) | {"head.weight": a["head.weight"] + torch.randn(10, 20) * 0.001}
    report = weigh.diff(a, b)
    assert kinds(report) == dict.fromkeys(a, "unchanged") | {"head.weight": "changed"}
    assert told(report) == ["only some layers", "fine-tuned"]
    assert report.story[0].evidence["layers"] == ["head.weight"]
    found = report["head.weight"].difference
    assert found is not None
    expected = float((b["head.weight"] - a["head.weight"]).norm() / a["head.weight"].norm())
    assert found.relative_change == pytest.approx(expected, rel=1e-5)
    assert report.different


def test_everything_moved_a_little() -> None:
    a = network()
    report = weigh.diff(a, moved(a))
    assert set(kinds(report).values()) == {"changed"}
    assert told(report) == ["fine-tuned"]


def test_another_start_has_nothing_in_common() -> None:
    assert told(weigh.diff(network(0), network(1))) == ["from scratch"]


def test_another_architecture() -> None:
    b = {"encoder.weight": torch.randn(30, 40), "decoder.weight": torch.randn(40, 30)}
    report = weigh.diff(network(), b)
    assert told(report) == ["other architecture"]
    assert len(report.of("removed")) == 6
    assert [change.name for change in report.of("added")] == ["encoder.weight", "decoder.weight"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_the_same_weights_in_another_dtype(dtype: str) -> None:
    a = network()
    report = weigh.diff(a, {name: t.to(getattr(torch, dtype)) for name, t in a.items()})
    assert set(kinds(report).values()) == {"recast"}
    assert told(report) == ["same weights"]
    way = "widened to" if dtype == "float64" else "rounded to"
    assert all(change.words == f"{way} {dtype}" for change in report)


def test_a_grown_vocabulary_is_compared_where_both_have_it() -> None:
    a = {"embed.weight": torch.randn(100, 16), "fc.weight": torch.randn(16, 16)}
    b = {"embed.weight": torch.cat([a["embed.weight"], torch.randn(8, 16)]),
         "fc.weight": a["fc.weight"].clone()}  # fmt: skip
    report = weigh.diff(a, b)
    assert kinds(report) == {"embed.weight": "reshaped", "fc.weight": "unchanged"}
    change = report["embed.weight"]
    assert change.difference is not None
    assert (change.difference.count, change.difference.changed_values) == (1600, 0)
    assert "grown" in told(report)
    b["embed.weight"][7, 3] += 1
    changed = weigh.diff(a, b)["embed.weight"].difference
    assert changed is not None
    assert (changed.changed_values, changed.max_at) == (1, (7, 3))


def test_pruning_and_scaling_are_told() -> None:
    a = network()
    pruned = {name: torch.where(t.abs() < 0.05, 0.0, t) for name, t in a.items()}
    report = weigh.diff(a, pruned)
    assert told(report) == ["pruned"]
    zeros = sum(int((t == 0).sum()) for t in pruned.values())
    assert report.story[0].evidence["to_zero"] == zeros
    assert told(weigh.diff(a, {name: t * 0.9 for name, t in a.items()})) == ["scaled"]


def test_names_that_moved_are_found_by_values() -> None:
    a = network()
    names = {"conv.weight": "stem.kernel_of_it", "fc.weight": "a.b", "head.weight": "x.y.z"}
    b = {names.get(name, name): tensor.clone() for name, tensor in a.items()}
    report = weigh.diff(a, b)
    renamed = {c.a.name: c.b.name for c in report if c.renamed and c.a and c.b}
    assert renamed == names
    assert {report[name].kind for name in names} == {"renamed"}
    assert {report[name].found_by for name in names} == {"content"}
    assert "same weights" in told(report)


def test_layers_that_moved_up_are_found() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(16, 16) for _ in range(6)]
    a = {f"layers.{i}.weight": layers[i] for i in range(4)}
    kept = [layers[0], layers[5], *layers[1:4]]  # one was put in after the first
    b = {f"layers.{i}.weight": tensor.clone() for i, tensor in enumerate(kept)}
    report = weigh.diff(a, b)
    to = {c.a.name: c.b.name for c in report if c.a is not None and c.b is not None}
    steps = {0: 0, 1: 2, 2: 3, 3: 4}
    assert to == {f"layers.{i}.weight": f"layers.{j}.weight" for i, j in steps.items()}
    assert [change.name for change in report.of("added")] == ["layers.1.weight"]
    assert not report.of("changed")
    swapped = {"layers.0.weight": layers[1].clone(), "layers.1.weight": layers[0].clone()}
    report = weigh.diff(a, a | swapped)
    assert {c.kind for c in report} == {"renamed", "unchanged"}
    assert told(report) == ["other places"]
    assert report.story[0].evidence["places"] == [
        ["layers.0", "layers.1"],
        ["layers.1", "layers.0"],
    ]


def test_a_bias_of_zeros_is_found_beside_its_weight() -> None:
    a = {"fc.weight": torch.randn(20, 30), "fc.bias": torch.zeros(20)}
    b = {"other.kern": a["fc.weight"].clone(), "other.offset": torch.zeros(20)}
    report = weigh.diff(a, b)
    assert kinds(report) == {"fc.weight": "renamed", "fc.bias": "renamed"}
    assert (report["fc.bias"].found_by, report["fc.bias"].status) == ("layer", "inferred")


def test_equal_values_of_few_kinds_are_no_evidence() -> None:
    report = weigh.diff({"a.mask": torch.ones(50)}, {"b.other": torch.ones(50)})
    assert kinds(report) == {"a.mask": "removed", "b.other": "added"}


class Tied(nn.Module):
    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(30, 8), nn.Linear(8, 30, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        else:
            self.head.weight.data.copy_(self.embed.weight.data)


def test_ties_that_broke() -> None:
    torch.manual_seed(0)
    tied, untied = Tied(tied=True), Tied(tied=False)
    untied.load_state_dict(tied.state_dict())
    report = weigh.diff(tied, untied)
    [tie] = report.ties
    assert (tie.name, tie.tied_to, tie.change) == ("head.weight", "embed.weight", "untied")
    assert report.different
    [back] = weigh.diff(untied, tied).ties
    assert back.change == "tied"
    assert not weigh.diff(tied, copy.deepcopy(tied)).different


def test_a_format_that_stores_a_tied_tensor_once_is_no_difference(tmp_path: Path) -> None:
    tied = Tied(tied=True)
    path = tmp_path / "m.safetensors"
    save_file({"embed.weight": tied.embed.weight.data}, path)
    report = weigh.diff(tied, path)
    assert [(tie.name, tie.change) for tie in report.ties] == [("head.weight", "stored once")]
    assert not report.different


def test_a_training_step_of_a_live_module() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 20), nn.BatchNorm1d(20), nn.Linear(20, 3))
    before = copy.deepcopy(module)
    for parameter in module[0].parameters():
        parameter.requires_grad_(requires_grad=False)
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    module(torch.randn(16, 10)).square().sum().backward()
    optimizer.step()
    report = weigh.diff(before, module)
    assert {n for n, kind in kinds(report).items() if kind == "unchanged"} == {"0.weight", "0.bias"}
    assert report["1.num_batches_tracked"].kind == "changed"
    assert report.story[0].kind == "only some layers"
    assert report.story[0].evidence["layers"] == ["1", "2"]


def test_a_view_of_the_module_itself_is_said_to_be_one() -> None:
    module = nn.Linear(3, 4)
    report = weigh.diff(module.state_dict(), module)
    assert "same memory" in report.notes[0]
    assert "deepcopy" in report.notes[0]


def test_only_statistics_moved() -> None:
    module = nn.BatchNorm1d(20)
    before = copy.deepcopy(module)
    module(torch.randn(8, 20))
    assert told(weigh.diff(before, module)) == ["buffers alone"]


def test_filters_that_moved_are_told_by_axis() -> None:
    a = network()
    b = clone(a)
    b["conv.weight"][3] += 0.01
    b["conv.weight"][6, 0, 0, 0] = 5
    report = weigh.diff(a, b, by="out_channels")
    positions = report["conv.weight"].positions
    assert len(positions) == 8
    assert [p.at for p in positions if p.difference.changed_values] == [3, 6]
    x, y = a["conv.weight"][3].double(), b["conv.weight"][3].double()
    expected = float((y - x).norm() / x.norm())
    assert positions[3].difference.relative_change == pytest.approx(expected, rel=1e-12)
    assert positions[6].difference.max_at == (0, 0, 0)
    by_input = weigh.diff(a, b, by="in_channels", only="conv")["conv.weight"].positions
    assert by_input[0].difference.changed_values == 9 + 1
    with pytest.raises(weigh.UnknownNameError, match="out_chanels"):
        weigh.diff(a, b, by="out_chanels")


def test_a_pattern_selects_what_is_compared() -> None:
    a = network()
    assert len(weigh.diff(a, moved(a), only="fc")) == 2
    with pytest.raises(weigh.UnknownNameError):
        weigh.diff(a, a, only="fk")
    moved_away = {f"deep.{name}": tensor.clone() for name, tensor in a.items()}
    [found] = weigh.diff(a, moved_away, only="head.weight")
    assert (found.kind, found.b.name) == ("renamed", "deep.head.weight")
    [found] = weigh.diff(a, moved_away, only="deep.head.weight")
    assert (found.kind, found.a.name) == ("renamed", "head.weight")


def test_values_that_cannot_be_had() -> None:
    report = weigh.diff(nn.Linear(3, 4, device="meta"), nn.Linear(3, 4))
    assert set(kinds(report).values()) == {"unread"}
    assert "meta" in report["weight"].problem
    assert "unread" in told(report)


def test_a_giant_that_repeats_one_value_is_refused() -> None:
    huge = torch.zeros(1).expand(1 << 20, 1 << 20)
    for other in (huge, torch.zeros(1).expand(1 << 20, 1 << 19)):
        change = weigh.diff({"w": huge}, {"w": other})["w"]
        assert (change.kind, "repeat" in change.problem) == ("unread", True)


def test_shapes_that_have_nothing_in_common() -> None:
    report = weigh.diff({"w": torch.zeros(4, 5)}, {"w": torch.zeros(7)})
    assert (report["w"].kind, report["w"].difference) == ("reshaped", None)


FORMATS = [
    writers.safetensors, writers.npz, writers.torch_zip, writers.torch_legacy, writers.sharded,
    writers.dcp, writers.gguf,
]  # fmt: skip


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_any_format_against_the_arrays_it_was_written_from(write: Any, tmp_path: Path) -> None:
    path, arrays = write(tmp_path)
    plain = {
        name: array.view(np.float32) if array.dtype.kind == "V" else array
        for name, array in arrays.items()
    }
    report = weigh.diff(plain, path)
    assert {c.kind for c in report} <= {"unchanged", "recast", "renamed"}, kinds(report)


def test_the_path_over_checkpoints() -> None:
    a = network()
    frozen, steps = clone(a), [a]
    torch.manual_seed(5)
    for step in range(1, 5):
        next_one = {n: t + torch.randn(t.shape) * 0.01 / step for n, t in steps[-1].items()}
        next_one["conv.weight"] = frozen["conv.weight"].clone()
        if step > 2:
            next_one["fc.bias"] = steps[-1]["fc.bias"].clone()
        steps.append(next_one)
    report = weigh.diff(*steps)
    paths = {path.name: path for path in report}
    assert paths["conv.weight"].stopped == 0
    assert paths["fc.bias"].stopped == 2
    assert paths["fc.weight"].stopped is None
    for name, path in paths.items():
        first = [float((s[name] - a[name]).double().norm() / a[name].double().norm())
                 for s in steps[1:]]  # fmt: skip
        previous = [float((q[name] - p[name]).double().norm() / p[name].double().norm())
                    for p, q in pairwise(steps)]  # fmt: skip
        assert path.from_first == pytest.approx(first, rel=1e-5)
        assert path.from_previous == pytest.approx(previous, rel=1e-5)
    assert report.different
    assert not weigh.diff(a, clone(a), clone(a)).different
    assert len(report.records()) == len(a)


def test_checkpoints_that_lack_a_tensor_or_have_one_more() -> None:
    a = {"w": torch.ones(40), "e": torch.ones(50)}
    more = a | {"extra": torch.ones(3)}
    report = weigh.diff(a, clone(a), more)
    assert (report.different, report.others) == (True, ((2, ("extra",)),))
    lacking = weigh.diff(a, {"w": torch.ones(40)}, a)
    paths = {path.name: path for path in lacking}
    assert (paths["e"].stopped, paths["e"].from_previous) == (None, (None, None))
    assert lacking.different


def test_what_became_nan_did_not_stay_where_it_was() -> None:
    a, b = {"w": torch.ones(40)}, {"w": torch.full((40,), float("nan"))}
    report = weigh.diff(a, b, clone(b))
    [path] = report
    assert report.different
    assert (path.from_previous, path.stopped) == ((float("inf"), 0.0), 1)


def test_a_network_that_became_nan_is_told_first() -> None:
    a = network()
    nan = {name: torch.full_like(tensor, float("nan")) for name, tensor in a.items()}
    for one, other in ((a, nan), (nan, a)):
        report = weigh.diff(one, other)
        assert told(report) == ["not finite"]
        count = sum(tensor.numel() for tensor in a.values())
        evidence = report.story[0].evidence
        assert {evidence["a"], evidence["b"]} == {0, count}
    b = clone(a)
    b["fc.weight"][3, 4] = float("inf")
    assert told(weigh.diff(a, b)) == ["not finite"]


def test_numbers_at_the_ends_of_their_range_have_a_story() -> None:
    ends = np.full(8, 1e155), np.array([1e-200, 2e-200, -1e-200, 0.0])
    for a in ends:
        report = weigh.diff({"w": a}, {"w": a[::-1] * np.float64(1.5)})
        assert "0 times" not in report.story[0].text
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40000))
    a[3], b[3] = 1.7e308, -1.7e308
    found = weigh.diff({"w": a}, {"w": b})["w"].difference
    assert found is not None
    assert found.cosine == -1


def test_what_became_zero_was_not_scaled() -> None:
    a = {"w": torch.ones(40), "e": torch.ones(50)}
    assert told(weigh.diff(a, {"w": torch.zeros(40), "e": 2 * torch.ones(50)})) != ["scaled"]


def test_two_starts_share_their_constants_by_chance() -> None:
    def made(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(20, 30), nn.LayerNorm(30), nn.Linear(30, 10))

    assert told(weigh.diff(made(0), made(1))) == ["from scratch"]


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_gentle_steps_are_a_fine_tune_and_no_scaling(steps: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 40), nn.Linear(40, 5))
    before = copy.deepcopy(module)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5)
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(64, 30)).square().mean().backward()
        optimizer.step()
    assert "scaled" not in told(weigh.diff(before, module))
    half = {name: tensor * 0.999 for name, tensor in before.state_dict().items()}
    assert told(weigh.diff(before, half)) == ["scaled"]


def test_what_is_the_same_in_another_order_by_chance_is_changed() -> None:
    pairs = [
        (torch.tensor([True, True, False]), torch.tensor([True, False, True])),
        (torch.tensor([1, 0.5, 1, 1]), torch.tensor([0.5, 1, 1, 1])),
        (torch.eye(8)[[0, 1, 2]], torch.eye(8)[[4, 1, 2]]),
        (torch.randperm(50), torch.randperm(50)),
        (torch.tensor(1.0), torch.tensor(-1.0)),
    ]
    for a, b in pairs:
        assert weigh.diff({"w": a}, {"w": b})["w"].kind == "changed"


def test_permuted_filters_are_named_with_a_caveat() -> None:
    a = network()
    order = torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
    b = clone(a) | {"conv.weight": a["conv.weight"][order], "conv.bias": a["conv.bias"].clone()}
    report = weigh.diff(a, b)
    assert report["conv.weight"].kind == "relaid"
    assert "out_channels" in report["conv.weight"].words
    assert report["conv.weight"].permuted
    assert "only if the layers around" in report.story[0].text


def test_another_shape_of_the_same_values_is_told() -> None:
    report = weigh.diff(
        {"w": torch.arange(64.0).view(8, 8, 1, 1)}, {"w": torch.arange(64.0).view(8, 8)}
    )
    assert (report["w"].kind, told(report)) == ("reshaped", ["same weights"])


def test_codes_with_scales_are_not_taken_for_numbers() -> None:
    weight = torch.randn(64, 64)
    codes = (weight / weight.abs().max() * 127).to(torch.int8)
    report = weigh.diff({"fc.weight": weight}, {"fc.weight": codes, "fc.SCB": torch.ones(64)})
    assert report["fc.weight"].kind == "unread"
    assert "fc" not in report["fc.weight"].problem
    assert "SCB" in report["fc.weight"].problem
    scaled = {"fc.weight": weight.to(torch.float8_e4m3fn), "fc.weight_scale": torch.ones(64)}
    assert weigh.diff({"fc.weight": weight}, scaled)["fc.weight"].kind == "unread"
    plain = {"fc.weight": weight.to(torch.float8_e4m3fn)}
    assert weigh.diff({"fc.weight": weight}, plain)["fc.weight"].kind == "recast"


def test_few_values_are_told_as_such() -> None:
    """A flipped bit, or three rows of a table, is no low-rank update and no other network."""
    a = network()
    count = sum(tensor.numel() for tensor in a.values())
    b = clone(a)
    b["fc.weight"][3, 4] += 1
    report = weigh.diff(a, b)
    assert told(report) == ["few values"]
    assert f"1 of all {count:,}" in report.story[0].text
    assert "at fc.weight[3, 4]" in report.story[0].text
    bit = clone(a)
    bit["fc.weight"].view(torch.int32)[3, 4] ^= 1 << 30
    assert told(weigh.diff(a, bit)) == ["few values"]
    table = {"embed.weight": torch.randn(100, 16)}
    rows = clone(table)
    rows["embed.weight"][[3, 50, 77]] += torch.randn(3, 16)
    assert "low rank" not in told(weigh.diff(table, rows))


def test_a_change_beyond_its_type_has_no_rank() -> None:
    a = torch.full((8, 8), 3e38)
    for one in (a, a.bfloat16(), torch.full((8, 8), 1.8e308, dtype=torch.float64) / 1.01):
        assert weigh.diff({"w": one}, {"w": -one})["w"].rank is None


def test_blocks_that_were_renumbered_are_found_by_their_values() -> None:
    torch.manual_seed(0)
    leaves = {"attn.weight": (32, 32), "mlp.weight": (32, 32), "mlp.bias": (32,)}
    blocks = [{leaf: torch.randn(shape) for leaf, shape in leaves.items()} for _ in range(3)]
    a = {f"blocks.{i}.{leaf}": t for i in range(3) for leaf, t in blocks[i].items()}
    b = {f"blocks.{i + 1}.{leaf}": t.clone() for i in range(3) for leaf, t in blocks[i].items()}
    report = weigh.diff(a, b)
    assert {c.kind for c in report} == {"renamed"}
    assert all(c.b.name == c.a.name.replace(f".{i}.", f".{i + 1}.", 1)
               for c in report for i in [int(c.name.split(".")[1])])  # fmt: skip


def test_a_layer_put_in_front_moves_the_names_of_the_rest() -> None:
    torch.manual_seed(0)
    sizes = [(16, 16), (16, 16), (4, 16)]
    layers = [(torch.randn(size), torch.randn(size[0])) for size in sizes]
    new = (torch.randn(16, 16), torch.randn(16))
    a = {f"{2 * i}.{leaf}": t for i, pair in enumerate(layers)
         for leaf, t in zip(("weight", "bias"), pair, strict=True)}  # fmt: skip
    b = {f"{2 * i}.{leaf}": t.clone() for i, pair in enumerate([new, *layers])
         for leaf, t in zip(("weight", "bias"), pair, strict=True)}  # fmt: skip
    report = weigh.diff(a, b)
    to = {c.a.name: c.b.name for c in report if c.a is not None and c.b is not None}
    expected = {f"{2 * i}.weight": f"{2 * i + 2}.weight" for i in range(3)}
    assert {name: to[name] for name in expected} == expected
    assert (to["0.bias"], to["2.bias"]) == ("2.bias", "4.bias")


def test_complex_numbers_are_compared_as_two(tmp_path: Path) -> None:
    torch.manual_seed(0)
    z = torch.randn(4, 5, dtype=torch.complex64)
    other = z.clone()
    other[0, 0] = other[0, 0].conj()
    other[1] *= 1j
    change = weigh.diff({"w": z}, {"w": z.real.contiguous()})["w"]
    assert change.kind == "changed"
    assert change.difference is not None
    assert change.difference.norm_change == pytest.approx(float(z.imag.norm()), rel=1e-6)
    layer = {"fc.weight": z}, {"fc.weight": other}
    positions = weigh.diff(*layer, by="out_features")["fc.weight"].positions
    norms = (torch.view_as_real(other) - torch.view_as_real(z)).flatten(1).norm(dim=1)
    found = [p.difference.norm_change for p in positions]
    assert found == pytest.approx(norms.tolist(), rel=1e-5)
    assert positions[0].difference.count == 10


def test_records_are_flat() -> None:
    records = weigh.diff(network(), moved(network())).records()
    assert [r["name"] for r in records] == list(network())
    assert {type(value) for r in records for value in r.values()} <= {
        str, int, float, bool, type(None)
    }  # fmt: skip


def test_a_live_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))
    module.train()
    before = copy.deepcopy(module.state_dict())
    random = torch.random.get_rng_state()
    weigh.diff(module, {"0.weight": torch.zeros(5, 4)})
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
