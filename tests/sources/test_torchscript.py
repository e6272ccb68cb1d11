"""TorchScript archives, held against torch.jit.load."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch_zip import rewritten
from torch import nn

import weigh
from models import NETWORKS
from weigh._errors import FormatError, WeighError
from weigh._facts import Facts
from weigh._sources import torchscript
from weigh._sources.bytes import MemoryBytes
from weigh._sources.script_code import literal, script_classes

pytestmark = pytest.mark.filterwarnings("ignore")  # TorchScript is deprecated


class Net(nn.Module):
    """Layers of several sorts, a tie, a frozen parameter, a buffer and a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        )
        self.flat = nn.Flatten()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(4, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.full((3,), 2.0))
        self.shift = nn.Parameter(torch.ones(3), requires_grad=False)
        self.offset = torch.arange(3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.flat(self.body(x))
        return (self.first(y) + self.second(y)) * self.scale + self.shift + self.offset


INPUT = torch.ones(1, 2, 4, 4)


def scripted(net: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(net.eval()), buffer)
    return buffer.getvalue()


def traced(net: nn.Module, given: Any = INPUT) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(net.eval(), given), buffer)
    return buffer.getvalue()


def read(data: bytes) -> Facts:
    return torchscript.read(MemoryBytes(data))


def assert_same(file: Path) -> weigh.Network:
    """Hold what is read against what PyTorch reads, which compiles the code."""
    net, module = weigh.open(file), torch.jit.load(file)
    theirs = dict(module.named_parameters(remove_duplicate=False))
    mine = dict(net.named_parameters(remove_duplicate=False))
    assert mine.keys() == theirs.keys()
    for name, parameter in theirs.items():
        assert mine[name].learnable == parameter.requires_grad
        np.testing.assert_array_equal(mine[name].read(), parameter.detach(), strict=True)
    buffers = dict(module.named_buffers())
    own = dict(net.named_buffers())
    assert own.keys() == buffers.keys()
    for name, buffer in buffers.items():
        np.testing.assert_array_equal(own[name].read(), buffer.numpy(), strict=True)
    paths = [path for path, _ in net.named_modules(remove_duplicate=False)]
    assert paths == [path for path, _ in module.named_modules(remove_duplicate=False)]
    inner = dict(module.named_modules(remove_duplicate=False))
    for path, layer in net.named_modules(remove_duplicate=False):
        assert layer.kind == inner[path].original_name
    assert net.accounts is not None
    assert net.accounts.total == Path(net.location).stat().st_size
    assert net.accounts.unreachable == 0
    return net


def test_a_scripted_network(tmp_path: Path) -> None:
    module = Net()
    (tmp_path / "net.pt").write_bytes(scripted(module))
    net = assert_same(tmp_path / "net.pt")
    assert net.format == "torchscript"
    # What it prints is what the module printed before it was compiled.
    assert repr(net) == repr(module)
    assert net["second.weight"].tied_to == "first.weight"
    assert net["offset"].role == "other"
    assert net.body[0].hyperparameters["stride"].origin == "given"
    assert net.body[0].hyperparameters["dilation"].origin == "default"
    assert [axis.name for axis in net["body.0.weight"].axes][1] == "in_channels_per_group"


def test_types_that_only_its_writer_in_c_names(tmp_path: Path) -> None:
    module = nn.Module()
    for name in ("float8_e4m3fn", "float8_e5m2fnuz", "uint16", "uint32", "uint64", "complex32"):
        dtype = getattr(torch, name)
        module.register_buffer(name, torch.tensor([[0, 1], [2, 3]]).to(dtype))
    module.forward = lambda x: x
    torch.jit.save(torch.jit.trace_module(module, {"forward": torch.ones(1)}), tmp_path / "n.pt")
    net, loaded = weigh.open(tmp_path / "n.pt"), torch.jit.load(tmp_path / "n.pt")
    assert net.notes == ()
    for name, buffer in loaded.named_buffers():
        assert net[name].dtype.name == name
        np.testing.assert_array_equal(net[name].read().real, buffer.to(torch.float64).real)


def test_a_traced_network(tmp_path: Path) -> None:
    """Tracing keeps no constants: sizes are worked out from shapes."""
    (tmp_path / "net.pt").write_bytes(traced(Net()))
    net = assert_same(tmp_path / "net.pt")
    assert repr(net.first) == "Linear(in_features=4, out_features=3, bias=True)"
    assert net.first.hyperparameters["in_features"].status == "inferred"
    assert net.body[0].hyperparameters["stride"].status == "unknown"
    assert "stride=?" in repr(net.body[0])


def test_a_frozen_network_keeps_its_weights_as_constants(tmp_path: Path) -> None:
    frozen = torch.jit.freeze(torch.jit.script(Net().eval()))
    frozen.save(tmp_path / "net.pt")
    net = weigh.open(tmp_path / "net.pt")
    assert any("constants of its code" in note for note in net.notes)
    found = {t.values.shape: t for t in net.tensors() if t.name.startswith("constants.")}
    assert {tensor.role for tensor in found.values()} == {"other"}
    assert (4, 1, 3, 3) in found
    assert net.accounts is not None
    assert net.accounts.unreachable == 0


@pytest.mark.parametrize("name", ["dynamic_int8", "static_int8", "tagger"])
def test_networks_of_other_sorts(name: str, tmp_path: Path) -> None:
    module = NETWORKS[name]().eval()
    if name == "tagger":
        module = module.lstm
    torch.jit.save(torch.jit.script(module), tmp_path / "net.pt")
    net, loaded = weigh.open(tmp_path / "net.pt"), torch.jit.load(tmp_path / "net.pt")
    mine = dict(net.named_parameters())
    assert mine.keys() == dict(loaded.named_parameters()).keys()
    if "int8" in name:
        dtypes = {tensor.dtype.name for tensor in net.tensors()}
        assert "qint8" in dtypes
        assert net.accounts is not None


def test_without_buffer_lists_as_before_1_6() -> None:
    def old(members: dict[str, bytes]) -> None:
        for name in members:
            if name.endswith(".py"):
                lines = members[name].splitlines(keepends=True)
                members[name] = b"".join(line for line in lines if b"__buffers__" not in line)

    facts = read(rewritten(scripted(Net()), old))
    roles = {tensor.name: tensor.role for tensor in facts.tensors}
    assert roles["first.weight"] == "parameter"
    assert roles["scale"] is roles["body.1.running_mean"] is None


def test_without_code() -> None:
    def bare(members: dict[str, bytes]) -> dict[str, bytes]:
        return {name: data for name, data in members.items() if "/code/" not in name}

    facts = read(rewritten(scripted(Net()), bare))
    assert {tensor.role for tensor in facts.tensors} == {None}
    assert [layer.kind for layer in facts.layers][:3] == ["Net", "Sequential", "Conv2d"]


def test_the_code_is_neither_run_nor_believed() -> None:
    def bomb(members: dict[str, bytes]) -> None:
        name = next(one for one in members if "modules/linear" in one and one.endswith(".py"))
        members[name] = b"class Linear(Module):\n" + b"  x\n" * 9_000_000

    with pytest.raises(FormatError, match="too long"):
        read(rewritten(scripted(Net()), bomb, compression=zipfile.ZIP_STORED))


def test_deflated_code_that_lies_about_its_size() -> None:
    data = bytearray(scripted(Net()))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = next(i for i in file.infolist() if "modules/linear" in i.filename)
    assert info.compress_type == zipfile.ZIP_DEFLATED
    length = info.file_size.to_bytes(4, "little")
    at = -1
    while (at := data.find(length, at + 1)) >= 0:
        data[at : at + 4] = (info.file_size - 1).to_bytes(4, "little")
    with pytest.raises(WeighError):
        read(bytes(data))


def test_heads_of_classes() -> None:
    code = (
        'class A(Module):\n  __parameters__ = ["w", "b", ]\n  __buffers__ = []\n  w : Tensor\n'
        "  eps : Final[float] = 1.0000000000000001e-05\n  k : Final[Tuple[int, int]] = (3, 3)\n"
        '  mode : Final[str] = "same"\n  f : Final[int] = exec(1)\n'
        "  def forward(self):\n  __buffers__ = ['x']\n"
        "class B(NamedTuple):\n  x : Tensor\nclass C:\n  pass\n"
    )
    found = script_classes(code)
    assert found["A"].parameters == {"w", "b"}
    assert found["A"].buffers == frozenset()
    assert found["A"].constants == {"eps": 1e-05, "k": (3, 3), "mode": "same"}
    assert (found["B"].base, found["C"].base) == ("NamedTuple", "")


@given(st.text(alphabet='([{,"1.e-True) ]', max_size=30) | st.text(max_size=30))
def test_no_literal_is_more_than_plain(text: str) -> None:
    known, value = literal(text)
    parts = value if isinstance(value, tuple | list) else [value]
    assert all(part is None or isinstance(part, bool | int | float | str) for part in parts)
    assert known or value is None


def test_a_file_cut_anywhere_is_refused() -> None:
    data = scripted(nn.Linear(2, 1))
    for length in range(0, len(data), 5):
        with pytest.raises(WeighError):
            read(data[:length])


@pytest.fixture(scope="module")
def small() -> bytes:
    return scripted(nn.Sequential(nn.Linear(2, 1), nn.ReLU()))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused(small: bytes, data: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(small)) as file:
        members = {name: bytearray(file.read(name)) for name in file.namelist()}
    wanted = [n for n in members if n.endswith((".pkl", ".py")) and members[n]]
    chosen = members[data.draw(st.sampled_from(wanted))]
    for _ in range(data.draw(st.integers(1, 4))):
        chosen[data.draw(st.integers(0, len(chosen) - 1))] = data.draw(st.integers(0, 255))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name, member in members.items():
            new.writestr(name, bytes(member))
    try:
        read(buffer.getvalue())
    except WeighError:
        return
