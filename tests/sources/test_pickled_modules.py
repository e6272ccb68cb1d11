"""Whole modules saved with torch.save, held against PyTorch, which runs their code to load them."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh
from models import NETWORKS, classes, construct
from weigh._errors import FormatError, WeighError
from weigh._sources import torch_legacy, torch_zip
from weigh._sources.bytes import MemoryBytes
from weigh._sources.module_tree import plain_value
from weigh._sources.pickled import Call, Global

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, on quantized layers

# A parametrized module refuses to be pickled.
MODULES = sorted({*classes(), *NETWORKS} - {"weight_normed"})
# A class of one's own prints what it likes; Quantize prints the values of its buffers.
OWN_TEXT = {"gpt2", "odd", "static_int8"}


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]() if name in NETWORKS else construct(name)


def saved(thing: Any, *, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def opened(thing: Any, folder: Path, *, legacy: bool = False) -> weigh.Network:
    path = folder / "network.pt"
    path.write_bytes(saved(thing, legacy=legacy))
    return weigh.open(path)


def assert_same(net: weigh.Network, module: nn.Module) -> None:
    """Hold names, roles, requires_grad, shapes, ties and values against the module's own."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    found = dict(net.named_parameters(remove_duplicate=False))
    assert list(found) == list(parameters)
    for name, parameter in parameters.items():
        assert found[name].learnable == parameter.requires_grad, name
        if isinstance(parameter, nn.UninitializedParameter):
            assert found[name].shape is None
            continue
        assert found[name].shape == tuple(parameter.shape), name
        if parameter.device.type == "cpu":
            value = parameter.detach()
            value = value.float() if value.dtype is torch.bfloat16 else value
            np.testing.assert_array_equal(found[name].read(), value.numpy(), strict=True)
    buffers = dict(module.named_buffers(remove_duplicate=False))
    mine = dict(net.named_buffers(remove_duplicate=False))
    assert list(mine) == list(buffers)
    for name, buffer in buffers.items():
        if not isinstance(buffer, nn.UninitializedBuffer) and buffer.device.type == "cpu":
            np.testing.assert_array_equal(mine[name].read(), buffer.numpy(), strict=True)


# Both formats hold the same pickle: the older one is tried on networks alone.
CASES = [*((name, False) for name in MODULES), *((n, True) for n in MODULES if n in NETWORKS)]


@pytest.mark.parametrize(("name", "legacy"), CASES)
def test_a_file_says_what_the_module_said(name: str, legacy: bool, tmp_path: Path) -> None:
    module = make(name)
    net = opened(module, tmp_path, legacy=legacy)
    assert net.format == ("torch-legacy" if legacy else "torch-zip")
    if name not in OWN_TEXT:
        assert repr(net) == repr(module)
    # PyTorch itself cannot load what it saved of a quantized convolution.
    broken = name == "static_int8"
    assert_same(net, module if broken else torch.load(tmp_path / "network.pt", weights_only=False))
    accounts = net.accounts
    assert accounts is not None
    assert accounts.total == (tmp_path / "network.pt").stat().st_size
    # A cell keeps its biases twice, and scales of each channel are no tensors of their own.
    if name not in ("views", "dynamic_recurrent", "int8_embedding", "static_int8"):
        assert accounts.unreachable == 0


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_file_says_what_the_live_module_says(name: str, tmp_path: Path) -> None:
    if name == "weight_normed":
        return
    module = make(name)
    net, live = opened(module, tmp_path), weigh.open(module)

    def rows(one: weigh.Network) -> list[tuple[object, ...]]:
        own = [t for t in one.tensors() if t.role in ("parameter", "buffer") or t.packed]
        schemes = [(t.quantization or "").partition(",")[0] for t in own]
        facts = [(t.name, t.role, t.learnable, t.shape, t.packed) for t in own]
        return list(zip(facts, schemes, strict=True))

    assert rows(net) == rows(live)
    assert net.counts.parameters == live.counts.parameters
    assert net.counts.logical == live.counts.logical
    found = dict(net.named_modules(remove_duplicate=False))
    for path, layer in found.items():
        theirs = live[path] if path else live
        assert isinstance(theirs, weigh.Layer)
        assert (layer.kind, layer.kind_status) == (theirs.kind, "stated")
        assert layer.same_as == theirs.same_as
        for one, hyper in theirs.hyperparameters.items():
            mine = layer.hyperparameters.get(one)
            if hyper.status == "stated" and mine is not None and mine.status == "stated":
                assert mine.value == hyper.value, (path, one)
                assert mine.origin in (hyper.origin, None) or layer.kind.startswith("Lazy")


def test_defaults_are_told_from_what_was_given(tmp_path: Path) -> None:
    net = opened(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), tmp_path)
    origins = {name: hyper.origin for name, hyper in net[0].hyperparameters.items()}
    assert origins["stride"] == origins["bias"] == origins["groups"] == "default"
    assert origins["padding"] == origins["in_channels"] == "given"
    assert net[1].hyperparameters["inplace"].origin == "default"


class Own(nn.Module):
    """A class that the reader does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.names = 4, ["a", "b"]
        self.weight = nn.Parameter(torch.ones(5, 4))
        self.inner = nn.Linear(4, 2)
        self.cache = torch.arange(3.0)
        self.held = {"list": [torch.ones(2)], "layer": nn.Linear(2, 2)}
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.parent = [self]


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    net = opened(Own(), tmp_path)
    inner = "  (inner): Linear(in_features=4, out_features=2, bias=True)"
    assert repr(net) == f"Own(\n{inner}\n)"
    assert (net.width, net.names) == (4, ["a", "b"])
    assert net.hyperparameters["width"].origin is None
    roles = {tensor.name: tensor.role for tensor in net.tensors()}
    assert roles["mask"] == "buffer"
    other = [name for name, role in roles.items() if role == "other"]
    assert other[:2] == ["cache", "held.list.0"]
    assert len(other) == 4  # those of the layer in a dict too
    np.testing.assert_array_equal(net["cache"].read(), [0, 1, 2])
    assert net.counts.parameters == 5 * 4 + 10
    assert any("test_pickled_modules.Own" in note for note in net.notes)


class Scaled(nn.Linear):
    """Extends a class that the file does not name."""


def test_tensors_of_a_class_of_ones_own_may_be_like_those_of_a_kind(tmp_path: Path) -> None:
    net = opened(nn.Sequential(Scaled(4, 5)), tmp_path)
    assert (net[0].kind, net[0].kind_status, repr(net[0])) == ("Scaled", "stated", "Scaled()")
    assert [axis.name for axis in net[0].weight.axes] == ["out_features", "in_features"]
    assert net[0].hyperparameters["bias"].status == "inferred"


class Evil:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit(3)",))


def test_nothing_is_run_and_everything_is_named(tmp_path: Path) -> None:
    module = nn.Linear(2, 1)
    module.evil = Evil()  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        torch.load(io.BytesIO(saved(module)), weights_only=False)
    net = opened(module, tmp_path)
    assert net.counts.parameters == 3
    assert any("would import" in note and ".exec" in note for note in net.notes)
    names = net.metadata["pickle.globals"].split(", ")
    assert {"torch.nn.modules.linear.Linear", "torch.FloatStorage"} <= set(names)
    assert any(name.endswith(".exec") for name in names)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_module_inside_a_checkpoint(tmp_path: Path, legacy: bool) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    thing = {"epoch": 3, "model": module, "ema": None, "optimizer": optimizer.state_dict()}
    net = opened(thing, tmp_path, legacy=legacy)
    assert repr(net) == repr(module)
    assert_same(net, module)
    assert net.metadata["epoch"] == "3"
    assert sum(tensor.role == "optimizer" for tensor in net.tensors()) == 12
    assert any("'model'" in note for note in net.notes)


def test_an_average_is_beside_the_network(tmp_path: Path) -> None:
    model, average = nn.Linear(2, 3), nn.Linear(2, 3)
    net = opened({"model": model, "ema": average}, tmp_path)
    assert_same(net, model)
    assert [t.name for t in net.tensors() if t.role == "other"] == ["ema.weight", "ema.bias"]
    assert any("'ema'" in note and "Linear" in note for note in net.notes)
    assert_same(opened({"ema": average, "model": None}, tmp_path), average)


def test_several_networks(tmp_path: Path) -> None:
    pair = {"generator": nn.Sequential(nn.Linear(2, 3)), "discriminator": nn.Linear(3, 1)}
    net = opened(pair, tmp_path)
    assert repr(net.generator) == repr(pair["generator"])
    assert repr(net["discriminator"]) == repr(pair["discriminator"])
    assert net.counts.parameters == 13
    beside = opened(
        {"generator": pair["generator"], "head": nn.Linear(3, 1).state_dict()}, tmp_path
    )
    assert repr(beside.generator[0]) == repr(pair["generator"][0])
    assert beside["head"].kind_status == "inferred"
    assert [t.name for t in beside["head"].tensors()] == ["head.weight", "head.bias"]


def test_names_of_a_whole_module_stay(tmp_path: Path) -> None:
    module = nn.DataParallel(nn.Linear(2, 2))
    net = opened(module, tmp_path)
    assert [t.name for t in net.tensors()] == ["module.weight", "module.bias"]
    outer = nn.Module()
    outer.model = nn.Linear(2, 2)
    assert [t.name for t in opened(outer, tmp_path).tensors()] == ["model.weight", "model.bias"]


def test_a_network_without_tensors(tmp_path: Path) -> None:
    for thing in (nn.ReLU(), {"model": nn.ReLU(), "epoch": 1}):
        net = opened(thing, tmp_path)
        assert (repr(net), net.tensors()) == ("ReLU()", [])


class Fake:
    """Pickles as a module of any tables."""

    def __init__(self, **state: Any) -> None:
        self.state = {"_parameters": OrderedDict(), "_modules": OrderedDict(), **state}

    def __reduce__(self) -> Any:
        return (nn.Module, (), self.state)


def read(thing: Any) -> Any:
    return torch_zip.read(MemoryBytes(saved(thing)))


def test_malformed_tables_are_notes() -> None:
    weight = torch.ones(2)
    facts = read(Fake(_modules=[1], _parameters={"w": weight, "no": 3, "also": "text"}))
    assert [(t.name, t.role) for t in facts.tensors] == [("w", "parameter")]
    text = "\n".join(facts.notes)
    assert "its _modules is no mapping" in text
    assert "'no' stands among the tensors and is none" in text
    facts = read(Fake(_modules={"a": 3, "b": None}, _parameters={"w": weight}))
    assert [(layer.path, layer.absent) for layer in facts.layers] == [("", False), ("b", True)]


def test_a_module_that_contains_itself_is_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module._modules["again"] = module
    with pytest.raises(FormatError, match="contains itself"):
        read(module)


def test_deep_and_wide_trees_are_refused_soon() -> None:
    deep: nn.Module = nn.Linear(1, 1)
    for _ in range(120):
        deep = nn.Sequential(deep)
    with pytest.raises(FormatError, match="nested"):
        read(deep)
    wide: nn.Module = nn.Linear(1, 1)
    for _ in range(40):
        wide = nn.Sequential(wide, wide)
    start = time.process_time()
    with pytest.raises(FormatError, match="more paths"):
        read(wide)
    assert time.process_time() - start < 20


@pytest.mark.parametrize("name", ["", "a.b"])
def test_names_that_no_module_can_have(name: str) -> None:
    for table in ({"_modules": {name: nn.ReLU()}}, {"_parameters": {name: torch.ones(1)}}):
        with pytest.raises(FormatError, match="empty or has a dot"):
            read(Fake(**table))


def by_hand(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", program)
    return buffer.getvalue()


def test_many_modules_with_one_state_are_refused() -> None:
    entries = b"".join(b"X\x05\0\0\0%05dN" % i for i in range(20_000))
    state = b"}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}" + entries + b"uq\x01"
    module = b"ctorch.nn\nModule\nq\x02)R" + state + b"b"
    again = b"".join(b"X\x05\0\0\0%05dh\x02)Rh\x01b" % i for i in range(20_000))
    top = b"h\x02)R}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}(" + again + b"uub."
    tracemalloc.start()
    with pytest.raises(FormatError, match="more attributes"):
        torch_zip.read(MemoryBytes(by_hand(b"\x80\x02" + module + b"0" + top)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


NET = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.ReLU()))


def test_a_file_cut_anywhere_is_refused() -> None:
    for legacy in (False, True):
        data, reader = saved(NET, legacy=legacy), torch_legacy if legacy else torch_zip
        for length in range(0, len(data), 11):
            with pytest.raises(WeighError):
                reader.read(MemoryBytes(data[:length]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_pickle_is_read_or_refused(data: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(saved(NET))) as file:
        program = bytearray(file.read("archive/data.pkl"))
    for _ in range(data.draw(st.integers(1, 4))):
        program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    try:
        torch_zip.read(MemoryBytes(by_hand(bytes(program))))
    except WeighError:
        return


def test_opening_imports_neither_numpy_nor_torch(tmp_path: Path) -> None:
    torch.save(NET, tmp_path / "a.pt")
    torch.jit.trace(nn.Linear(2, 1), torch.ones(1, 2)).save(tmp_path / "b.pt")
    exported = torch.export.export(nn.Linear(2, 1), (torch.ones(1, 2),))
    torch.export.save(exported, tmp_path / "c.pt2")
    code = (
        "import sys, weigh\n"
        "print([weigh.open(path).format for path in sys.argv[1:]],"
        " [m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    paths = [str(tmp_path / name) for name in ("a.pt", "b.pt", "c.pt2")]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['torch-zip', 'torchscript', 'torch-export'] []"


def test_plain_values() -> None:
    size = Call(Global("torch", "Size"), ((2, 3),))
    assert repr(plain_value(size)) == "(True, torch.Size([2, 3]))"
    assert plain_value(Call(Global("torch", "device"), ("cpu",))) == (True, "cpu")
    endless: list[Any] = []
    endless.append(endless)
    assert plain_value(endless)[0] is False
    assert plain_value(pickle.dumps) == (False, None)
    assert plain_value("x" * 2000)[0] is False
