"""Saved slices, ties, shared memory, mixed types, doubled names and shards that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import weigh
from weigh._checks.storage import RULES
from weigh._checks.twins import _pieces

ALL = [rule.name for rule in RULES]


def found(source: Any, rule: str, **options: Any) -> list[Any]:
    return list(weigh.check(source, select=[rule], **options))


def saved(folder: Path, thing: Any, **options: Any) -> Path:
    torch.save(thing, folder / "net.pt", **options)
    return folder / "net.pt"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_saved_slice(zipped: bool, tmp_path: Path) -> None:
    big = torch.randn(300, 500)
    state = {"a.weight": big[:3], "b.weight": torch.randn(4), "a.bias": big[2:5, ::2]}
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    (one,) = found(path, "saved-slice")
    touched = np.zeros((300, 500), bool)
    touched[:3] = True
    touched[2:5, ::2] = True
    assert one.evidence["used"] == 4 * touched.sum()
    assert one.evidence["stored"] == big.numel() * 4
    assert one.evidence["unused"] == 4 * (~touched).sum()
    assert one.evidence["share"] == pytest.approx((~touched).mean())
    assert (one.where, one.severity) == ("a.weight", "warning")
    assert one.evidence["tensors"] == ["a.weight", "a.bias"]
    whole = {name: tensor.clone() for name, tensor in state.items()}
    assert found(saved(tmp_path, whole), "saved-slice") == []


def test_views_that_use_all_of_a_storage_and_small_ones_are_no_slices(tmp_path: Path) -> None:
    flat = torch.randn(100_000)
    state = {f"{i}.weight": part for i, part in enumerate(flat.split(1000))}
    assert found(saved(tmp_path, state), "saved-slice") == []
    assert found(saved(tmp_path, {"a": torch.randn(16_000)[:5]}), "saved-slice") == []
    assert found(saved(tmp_path, {"a": torch.randn(16_400)[:5]}), "saved-slice") != []
    most = {"a": torch.randn(1_000_000)[:910_000]}
    assert found(saved(tmp_path, most), "saved-slice") == []
    limits = {"saved-slice": {"least-share": 0.05}}
    assert len(found(saved(tmp_path, most), "saved-slice", config=limits)) == 1
    expanded = {"a": torch.randn(4, 1).expand(4, 1000), "e": torch.empty(0), "s": torch.tensor(1.0)}
    assert found(saved(tmp_path, expanded), "saved-slice") == []


def test_parts_of_the_file_that_no_tensor_names(tmp_path: Path) -> None:
    storage = torch.randn(100_000).untyped_storage()
    path = saved(tmp_path, {"a.weight": torch.randn(100), "raw": storage})
    (one,) = found(path, "saved-slice")
    assert (one.where, one.severity) == ("", "info")
    assert one.evidence["unused"] == 400_000
    assert one.evidence["stored"] == path.stat().st_size


class Tied(torch.nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(60, 32)
        self.lm_head = torch.nn.Linear(32, 60, bias=False)
        if how == "tied":
            self.lm_head.weight = self.embed_tokens.weight
        elif how == "broken":
            self.lm_head.load_state_dict(self.embed_tokens.state_dict())


def test_broken_ties_live_and_in_files(tmp_path: Path) -> None:
    net = Tied("broken")
    for source in (net, saved(tmp_path, net.state_dict()), saved(tmp_path, net)):
        (one,) = found(source, "broken-tie")
        assert (one.where, one.severity) == ("embed_tokens.weight", "warning")
        assert one.evidence["names"] == ["embed_tokens.weight", "lm_head.weight"]
        assert one.evidence["values"] == 60 * 32
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors")
    (one,) = found(tmp_path / "net.safetensors", "broken-tie")
    assert one.severity == "info"
    assert "keeps no ties" in one.message
    for how in ("tied", "apart"):
        assert found(Tied(how), "broken-tie") == []
        assert found(saved(tmp_path, Tied(how).state_dict()), "broken-tie") == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8])
def test_equal_values_of_other_types(dtype: torch.dtype, tmp_path: Path) -> None:
    weight = (torch.randn(40, 50) * 40).to(dtype)
    state = {"a.weight": weight, "b.weight": weight.clone()}
    rows = found(saved(tmp_path, state), "broken-tie")
    assert [(row.severity, row.where) for row in rows] == [("info", "a.weight")]


def test_equal_tables_are_not_equal_values(tmp_path: Path) -> None:
    weight = torch.randn(40, 50)
    other = weight.flip(0).contiguous()
    assert found(saved(tmp_path, {"a.weight": weight, "b.weight": other}), "broken-tie") == []
    other = weight.clone()
    other[39, 49] += 1
    assert found(saved(tmp_path, {"a.weight": weight, "b.weight": other}), "broken-tie") == []


def test_constants_and_small_tensors_are_equal_by_chance(tmp_path: Path) -> None:
    small = torch.randn(999)
    two = torch.randint(0, 2, (50, 50)).float()
    state = {
        "a.weight": torch.ones(2000), "b.weight": torch.ones(2000), "c.weight": two,
        "d.weight": two.clone(), "e.weight": small, "f.weight": small.clone(),
    }  # fmt: skip
    assert found(saved(tmp_path, state), "broken-tie") == []


def test_equal_values_in_pieces(tmp_path: Path) -> None:
    weight = torch.randn(3000, 1000)
    state = {"a.weight": weight, "b.weight": weight.clone(), "c.weight": weight.clone()}
    state["c.weight"][2999, 999] = 7
    (one,) = found(saved(tmp_path, state), "broken-tie")
    assert one.evidence["names"] == ["a.weight", "b.weight"]


@pytest.mark.parametrize(
    "shape", [(1, 3_000_000), (2, 1, 1_500_000), (1_500_000, 2), (3, 7, 150_000)]
)
def test_pieces_of_any_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    weight = torch.randint(0, 200, shape, dtype=torch.uint8)
    tensor = weigh.open(saved(tmp_path, {"a.weight": weight}))["a.weight"]
    pieces = list(_pieces(tensor))
    assert b"".join(pieces) == weight.numpy().tobytes()
    assert max(map(len, pieces)) <= 1 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("shape", [(1500, 1000), (30, 20)])
def test_equal_values_of_which_some_lie_the_other_way(
    shape: tuple[int, ...], dtype: torch.dtype, tmp_path: Path
) -> None:
    weight = torch.randn(shape)
    weight[-1, -1] = 7
    weight = weight.to(dtype)
    state = {"a.weight": weight, "b.weight": weight.t().contiguous().t()}
    limits = {"broken-tie": {"least-values": 100}}
    (one,) = found(saved(tmp_path, state), "broken-tie", config=limits)
    assert one.evidence["names"] == ["a.weight", "b.weight"]
    first, last = weight[0, 0], weight[-1, -1]
    state["b.weight"][0, 0], state["b.weight"][-1, -1] = last, first  # the same counts
    assert found(saved(tmp_path, state), "broken-tie", config=limits) == []


def test_copies_of_one_layer_are_one_finding() -> None:
    layer = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    net = torch.nn.TransformerEncoder(layer, 4)
    (one,) = found(net, "broken-tie")
    assert (one.where, one.severity) == ("layers.0", "info")
    assert one.evidence["count"] == 4  # in_proj, out_proj, linear1, linear2
    assert "layers.1 and 2 more" in one.message
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.randn(2, 5, 32)).square().sum().backward()
    optimizer.step()
    assert found(net, "broken-tie") == []


def test_tied_names(tmp_path: Path) -> None:
    net = Tied("tied")
    for source in (net, saved(tmp_path, net.state_dict())):
        (one,) = found(source, "tied")
        assert (one.where, one.message) == (
            "embed_tokens.weight", "it is one tensor with lm_head.weight",
        )  # fmt: skip
        assert one.evidence["names"] == ["embed_tokens.weight", "lm_head.weight"]
    assert found(Tied("broken"), "tied") == []
    plain = torch.nn.Module()
    plain.a = torch.nn.Parameter(torch.ones(2))
    plain.b = plain.a
    assert found(plain, "tied")[0].message == "it is one tensor with b"


def test_a_shared_layer_is_one_finding(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 3)
    net = torch.nn.Sequential(layer, torch.nn.ReLU(), layer)
    path = saved(tmp_path, net.state_dict())
    (one,) = found(path, "tied")
    assert (one.where, one.evidence["count"]) == ("0", 2)


def test_memory_shared_in_part(tmp_path: Path) -> None:
    flat = torch.randn(10, 10)
    net = torch.nn.Module()
    net.a, net.b = torch.nn.Parameter(flat[:6]), torch.nn.Parameter(flat[4:])
    for source in (net, saved(tmp_path, {"a": flat[:6], "b": flat[4:]})):
        (one,) = found(source, "tied")
        assert one.evidence["shared_bytes"] == 2 * 10 * 4
    net.a, net.b = torch.nn.Parameter(flat[:, :5]), torch.nn.Parameter(flat[:, 5:])
    assert found(net, "tied") == []
    net.b = torch.nn.Parameter(flat[:, 4:])
    (one,) = found(net, "tied")
    assert one.evidence["shared_bytes"] == 10 * 4


def test_mixed_types() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 4)).bfloat16()
    assert found(net, "mixed-dtype") == []
    net[1].float()
    (one,) = found(net, "mixed-dtype")
    assert one.evidence == {
        "tensors_by_dtype": {"bfloat16": 2, "float32": 2},
        "values_by_dtype": {"bfloat16": 72, "float32": 36},
        "minority": ["1.weight", "1.bias"],
        "layers": ["1"],
    }
    assert "norm" not in one.message
    net.append(torch.nn.LayerNorm(4)).bfloat16()
    net[2].float()
    assert "norm layers" in found(net, "mixed-dtype")[0].message
    net[2].requires_grad_(False)
    assert found(net, "mixed-dtype") == []


def test_quantized_networks_are_no_mix(tmp_path: Path) -> None:
    packed = {
        "a.qweight": torch.ones(4, 4, dtype=torch.int32), "a.scales": torch.ones(4).half(),
        "b.weight": torch.ones(4, 4),
    }  # fmt: skip
    narrow = {
        "a.weight": torch.ones(4, 4).to(torch.float8_e4m3fn), "a.scale": torch.ones(1),
        "b.weight": torch.ones(4, 4).bfloat16(),
    }  # fmt: skip
    for state in (packed, narrow):
        assert found(saved(tmp_path, state), "mixed-dtype") == []


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        ("module.fc.weight", "warning"), ("_orig_mod.fc.weight", "warning"),
        ("model.fc.weight", "warning"), ("fc/weight", "warning"), ("FC.weight", "info"),
    ],
)  # fmt: skip
def test_doubled_names(other: str, severity: str, tmp_path: Path) -> None:
    state = {"fc.weight": torch.ones(2, 3), other: torch.ones(2, 3), "fc.bias": torch.ones(2)}
    save_file(state, tmp_path / "net.safetensors")
    (one,) = found(tmp_path / "net.safetensors", "duplicate-name")
    assert one.severity == severity
    assert set(one.evidence["names"][0]) == {"fc.weight", other}
    state[other] = torch.ones(5)
    save_file(state, tmp_path / "net.safetensors")
    assert found(tmp_path / "net.safetensors", "duplicate-name") == []


def test_a_network_that_is_there_twice_is_one_finding() -> None:
    state = {f"{i}.weight": np.full((2, 2), i) for i in range(5)}
    both = state | {f"module.{name}": value + (name == "3.weight") for name, value in state.items()}
    one, *rest = weigh.check(both, select=["duplicate-name", "non-finite"])
    assert rest == []
    assert (one.evidence["count"], one.evidence["equal_values"]) == (5, 4)
    assert "4 more" in one.message


def shards(folder: Path, second: torch.dtype = torch.float32, **extra: torch.Tensor) -> Path:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where = {}
    for at, (file, dtype) in enumerate(zip(names, (torch.float32, second), strict=True)):
        state = {f"layers.{at}.{part}.weight": torch.ones(2, 2, dtype=dtype) for part in "qkvo"}
        where |= dict.fromkeys(state, file)
        save_file(state | (extra if at else {}), folder / file)
    size = 2 * 4 * 4 * 4 if second is torch.float32 else 4 * 4 * 6
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": where}))
    return index


def test_shards_that_fit(tmp_path: Path) -> None:
    assert found(shards(tmp_path), "shard-mismatch") == []


def test_shards_with_tensors_that_the_index_lacks(tmp_path: Path) -> None:
    index = shards(tmp_path, stray=torch.ones(3))
    rows = {row.where: row for row in found(index, "shard-mismatch")}
    assert rows["model-00002-of-00002.safetensors"].evidence == {"count": 1, "tensors": ["stray"]}


def test_shards_of_another_size_than_stated(tmp_path: Path) -> None:
    index = shards(tmp_path)
    stated = json.loads(index.read_text())
    stated["metadata"]["total_size"] = 100
    index.write_text(json.dumps(stated))
    (one,) = found(index, "shard-mismatch")
    assert one.evidence == {"stated": 100, "held": 128}


def test_shards_of_two_types(tmp_path: Path) -> None:
    (one,) = found(shards(tmp_path, torch.bfloat16), "shard-mismatch")
    assert one.where == "model-00002-of-00002.safetensors"
    assert one.evidence == {"dtype": "bfloat16", "usual": "float32", "sorts": 4}


def test_shards_of_two_formats(tmp_path: Path) -> None:
    index = shards(tmp_path)
    stated = json.loads(index.read_text())
    torch.save({"head.weight": torch.ones(2)}, tmp_path / "rest.bin")
    stated["weight_map"]["head.weight"] = "rest.bin"
    stated["metadata"]["total_size"] += 8
    index.write_text(json.dumps(stated))
    (one,) = found(index, "shard-mismatch")
    assert one.evidence["formats"] == {"safetensors": 2, "torch-zip": 1}
    assert one.evidence["files"] == ["rest.bin: torch-zip"]


def trained(net: torch.nn.Module, *inputs: torch.Tensor) -> torch.nn.Module:
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        out = net(*inputs)
        (out[0] if isinstance(out, tuple) else out).square().sum().backward()
        optimizer.step()
    return net


@pytest.mark.filterwarnings("ignore")
def test_healthy_networks_have_no_finding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    cnn = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.ReLU(),
        torch.nn.Conv2d(32, 32, 3), torch.nn.Flatten(), torch.nn.Linear(512, 10),
    )  # fmt: skip
    nets = [
        trained(cnn, torch.randn(4, 3, 8, 8)),
        trained(
            torch.nn.Transformer(32, 4, 2, 2, 64), torch.randn(3, 2, 32), torch.randn(3, 2, 32)
        ),
        trained(torch.nn.LSTM(16, 32, 2, bidirectional=True), torch.randn(3, 2, 16)),
    ]
    for net in nets:
        for source in (net, saved(tmp_path, net.state_dict()), saved(tmp_path, net)):
            assert list(weigh.check(source, select=ALL)) == []
        save_file(net.state_dict(), tmp_path / "net.safetensors")
        assert list(weigh.check(tmp_path / "net.safetensors", select=ALL)) == []


def test_odd_networks_do_not_trip_the_rules(tmp_path: Path) -> None:
    lazy = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.Linear(2000, 3, device="meta"))
    assert list(weigh.check(lazy, select=ALL)) == []
    odd = {
        "a b.ü": torch.empty(0), "": torch.tensor(1.0), "c.weight": torch.randn(40, 40) * 1j,
        "d.weight": torch.randn(40, 40) * 1j, "...": torch.ones(2), "x.": torch.ones(2, 3),
    }  # fmt: skip
    weigh.check(saved(tmp_path, odd), select=ALL)
    assert list(weigh.check(torch.nn.Identity(), select=ALL)) == []


def test_many_tensors_of_equal_tables_are_read_once_each(tmp_path: Path) -> None:
    values = torch.arange(1200) % 3
    state = {f"{i}.weight": values[torch.randperm(1200)].half() for i in range(300)}
    state["twin.weight"] = state["7.weight"].clone()
    (one,) = found(saved(tmp_path, state), "broken-tie")
    assert one.evidence["names"] == ["7.weight", "twin.weight"]
