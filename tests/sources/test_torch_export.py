"""Exported programs, held against torch.export.load."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch_zip import rewritten, saved
from torch import nn

import weigh
from weigh._errors import FormatError, SourceError, ValuesError, WeighError
from weigh._facts import Facts
from weigh._sources import torch_export
from weigh._sources.bytes import MemoryBytes
from weigh._sources.export_graph import read_payloads, read_program
from weigh._sources.flat_json import Cursor

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(nn.Module):
    """Every sort of tensor that a program tells apart, a tie, a view and a layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)])
        self.relu = nn.ReLU()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        stored = torch.arange(24.0)
        self.view = nn.Parameter(stored.view(6, 4)[1:3].t()[:, :1], requires_grad=False)
        self.low = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
        self.register_buffer("kept", stored.view(6, 4)[2])
        self.register_buffer("passing", torch.ones(4), persistent=False)
        self.register_buffer("empty", torch.ones(0))
        self.constant = torch.full((4,), 3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.body:
            x = layer(x)
        y = self.second(self.relu(self.first(self.relu(x.mean((2, 3))))))
        y = y * self.low + self.kept + self.passing + self.constant + self.empty.sum()
        return y @ self.view + torch.tensor([1.0])


def exported(net: nn.Module, *given: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(net.eval(), given), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def program() -> bytes:
    torch.manual_seed(0)
    return exported(Net(), torch.ones(1, 2, 4, 4))


def read(data: bytes) -> Facts:
    return torch_export.read(MemoryBytes(data))


def assert_same(net: weigh.Network, data: bytes) -> None:
    loaded = torch.export.load(io.BytesIO(data))
    signature = loaded.graph_signature
    mine = {tensor.name: tensor for tensor in net.tensors()}
    theirs = {**loaded.state_dict, **loaded.constants}
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        value = tensor.detach()
        value = value.float() if value.dtype is torch.bfloat16 else value
        np.testing.assert_array_equal(mine[name].read(), value.numpy(), strict=True, err_msg=name)
        assert mine[name].dtype.name == str(tensor.dtype).removeprefix("torch.")
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == [
        n for n in mine if n in signature.parameters
    ]
    assert {n for n, _ in net.named_buffers(remove_duplicate=False)} == set(signature.buffers)
    for name, parameter in net.named_parameters():
        assert parameter.learnable == loaded.state_dict[name].requires_grad


def test_a_program(program: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(program)
    net = weigh.open(tmp_path / "net.pt2")
    assert net.format == "torch-export"
    assert_same(net, program)
    assert net["second.weight"].tied_to == "first.weight"
    assert {t.name for t in net.tensors() if t.role == "other"} == {"constant", "lifted_tensor_0"}
    assert net.metadata["torch_version"] == torch.__version__
    accounts = net.accounts
    assert accounts is not None
    assert accounts.total == len(program)
    assert accounts.unreachable == 16 * 4  # of 24 values the view and the buffer use 4 each


@pytest.mark.parametrize("name", ["table.npy", "constants.pkl", "model.weights.h5"])
def test_files_that_a_user_adds_make_it_no_other_format(name: str, tmp_path: Path) -> None:
    net, path = torch.nn.Linear(2, 3), tmp_path / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.ones(2),)), path, extra_files={name: "hi"})
    assert weigh.open(path).format == "torch-export"
    torch.jit.save(torch.jit.script(net), path, _extra_files={name: "hi"})
    assert weigh.open(path).format == "torchscript"


def test_its_layers_are_those_that_the_graph_names(program: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(program)
    net = weigh.open(tmp_path / "net.pt2")
    kinds = {path: (layer.kind, layer.kind_status) for path, layer in net.named_modules()}
    assert kinds[""] == ("Net", "stated")
    assert kinds["first"] == ("Linear", "stated")
    assert kinds["body.1"] == ("BatchNorm2d", "stated")
    assert kinds["body"] == ("?", "unknown")  # a list is never called
    assert kinds["relu"] == ("ReLU", "stated")
    assert repr(net.first) == "Linear(in_features=4, out_features=4, bias=True)"
    assert net.first.hyperparameters["bias"].status == "inferred"
    assert net.body[1].hyperparameters["eps"].status == "unknown"


def old(program: bytes, *, state: str = "pt") -> bytes:
    """Arrange a program as PyTorch before 2.7 did: a few checkpoints at the top of a zip."""
    loaded = torch.export.load(io.BytesIO(program))
    with zipfile.ZipFile(io.BytesIO(program)) as file:
        name = next(one for one in file.namelist() if one.endswith("models/model.json"))
        graph = file.read(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("serialized_exported_program.json", graph)
        file.writestr(f"serialized_state_dict.{state}", saved(dict(loaded.state_dict)))
        file.writestr(f"serialized_constants.{state}", saved(dict(loaded.constants)))
        file.writestr("version", "8.0")
    return buffer.getvalue()


@pytest.mark.parametrize("state", ["pt", "json"])
def test_programs_of_old(program: bytes, state: str, tmp_path: Path) -> None:
    data = old(program, state=state)
    (tmp_path / "net.pt2").write_bytes(data)
    net = weigh.open(tmp_path / "net.pt2")
    assert_same(net, program)
    accounts = net.accounts
    assert accounts is not None
    parts = (accounts.tensors, accounts.metadata, accounts.padding, accounts.unreachable)
    assert sum(parts) == accounts.total == len(data)
    own = [tensor for tensor in net.tensors() if not tensor.tied_to]
    assert accounts.tensors == sum(one.count * one.dtype.bits // 8 for one in own)


def changed(program: bytes, change: Any) -> bytes:
    """Change the table of weights."""

    def rewrite(members: dict[str, bytes]) -> None:
        name = next(one for one in members if one.endswith("_weights_config.json"))
        table = json.loads(members[name])
        change(table["config"])
        members[name] = json.dumps(table).encode()

    return rewritten(program, rewrite)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"path_name": "weight_99"}, "lacks"),
        ({"path_name": "../../models/model.json"}, "lacks"),
        ({"tensor_meta": {"dtype": 99, "layout": 7}}, "sort that is not read"),
        ({"tensor_meta": {"dtype": 7, "layout": 2}}, "sort that is not read"),
        ({"tensor_meta": {"dtype": 7, "sizes": [{"as_int": 4}], "strides": []}}, "no tensor"),
        ({"tensor_meta": {"dtype": 7, "sizes": [{"as_int": 9**9}], "strides": [{"as_int": 9}]}},
         "past the end"),
        ({"tensor_meta": {"dtype": 7, "sizes": [{"as_int": -1}]}}, "whole number"),
        ({"tensor_meta": {"dtype": 7, "sizes": [{"as_expr": {}}]}}, "size of a stored tensor"),
        ({"tensor_meta": {"dtype": 7, "sizes": [{"as_int": 1}] * 65}}, "64 axes"),
    ],
)  # fmt: skip
def test_tables_that_lie(program: bytes, change: dict[str, Any], match: str) -> None:
    def lie(config: dict[str, Any]) -> None:
        config["first.weight"] |= change

    with pytest.raises(WeighError, match=match):
        read(changed(program, lie))


def test_weights_without_values(program: bytes) -> None:
    def emptied(members: dict[str, bytes]) -> None:
        for name in members:
            if "/data/weights/weight_" in name:
                members[name] = b""

    facts = read(rewritten(program, emptied))
    values = {tensor.name: tensor.values for tensor in facts.tensors}
    assert values["first.weight"].shape == (4, 4)
    with pytest.raises(ValuesError):
        values["first.weight"].read(None)  # type: ignore[arg-type]


def test_pickled_weights(program: bytes) -> None:
    weight = nn.Parameter(torch.arange(16.0).view(4, 4))

    def pickled(members: dict[str, bytes]) -> None:
        name = next(one for one in members if one.endswith("_weights_config.json"))
        table = json.loads(members[name])
        for one in ("first.weight", "second.weight"):
            table["config"][one] |= {"use_pickle": True, "path_name": "weight_50"}
        members[name] = json.dumps(table).encode()
        members[name.replace("model_weights_config.json", "weight_50")] = saved(weight)

    facts = read(rewritten(program, pickled))
    found = {tensor.name: tensor for tensor in facts.tensors}
    assert found["first.weight"].role == "parameter"
    assert found["first.weight"].identity == found["second.weight"].identity
    assert found["first.weight"].values.shape == (4, 4)


def test_archives_without_a_program() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/archive_format", "pt2")
        file.writestr("a/data/aotinductor/model/x.so", "")
    with pytest.raises(SourceError, match="compiled code"):
        read(buffer.getvalue())


def test_a_huge_graph_is_left_out(program: bytes) -> None:
    def grow(members: dict[str, bytes]) -> None:
        name = next(one for one in members if one.endswith("models/model.json"))
        members[name] += b" " * (1 << 25)

    facts = read(rewritten(program, grow))
    assert any("is not read" in note for note in facts.notes)
    roles = {tensor.name: tensor.role for tensor in facts.tensors}
    assert (roles["first.weight"], roles["kept"]) == ("parameter", "buffer")


def test_json_that_is_none() -> None:
    for text in ("", "[]", "{", '{"config": []}', '{"config": {"a": 1}}', '{"config": {}} x'):
        with pytest.raises(FormatError):
            read_payloads(text)
    twice = '{"config": {"a": {}, "a": {}}}'
    with pytest.raises(FormatError, match="one name"):
        read_payloads(twice)
    deep = '{"graph_module": {"graph": {"nodes": [{"metadata": {"x": ' + "[" * 10_000
    with pytest.raises(FormatError, match="nested"):
        read_program(deep)


def test_values_of_no_meaning_are_bounded() -> None:
    assert Cursor("[1, [2]]", most_skipped=9).skip() is None
    with pytest.raises(FormatError, match="over 3 values"):
        Cursor("[1, 1, 1, 1]", most_skipped=3).skip()


def test_a_file_cut_anywhere_is_refused(program: bytes) -> None:
    for length in range(0, len(program), 101):
        with pytest.raises(WeighError):
            read(program[:length])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_program_is_read_or_refused(program: bytes, data: Any) -> None:
    def damage(members: dict[str, bytes]) -> None:
        wanted = [name for name in members if name.endswith(".json")]
        chosen = data.draw(st.sampled_from(wanted))
        changed = bytearray(members[chosen])
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        members[chosen] = bytes(changed)

    try:
        read(rewritten(program, damage))
    except WeighError:
        return
