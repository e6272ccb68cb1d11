from __future__ import annotations

import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh._errors import FormatError, SourceError, ValuesError, WeighError
from weigh._facts import Facts, FoundTensor
from weigh._index import Region
from weigh._sources import torch_zip
from weigh._sources.bytes import MemoryBytes

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, on old sorts of tensor

DTYPES = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def saved(thing: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    return buffer.getvalue()


def read(data: bytes) -> Facts:
    return torch_zip.read(MemoryBytes(data))


def by_name(facts: Facts) -> dict[str, FoundTensor]:
    return {tensor.name: tensor for tensor in facts.tensors}


def numbers(found: FoundTensor) -> np.ndarray[Any, Any]:
    assert found.values.shape is not None
    return found.values.read(Region.whole(found.values.shape))


def widened(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.dtype is torch.bfloat16 or "float8" in str(tensor.dtype):
        tensor = tensor.to(torch.float32)
    return tensor.numpy()


def agrees(found: FoundTensor, tensor: torch.Tensor) -> None:
    assert found.values.dtype.name == str(tensor.dtype).removeprefix("torch.")
    assert found.values.shape == tuple(tensor.shape)
    np.testing.assert_array_equal(numbers(found), widened(tensor))


def rewritten(data: bytes, change: Any, **options: Any) -> bytes:
    """Zip the members again after a change of the dict of them."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members = change(members) or members
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as new:
        for name, member in members.items():
            new.writestr(name, member)
    return buffer.getvalue()


def with_pickle(program: bytes) -> bytes:
    """Make a checkpoint of a pickle and one storage '0' of four float32."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", program)
        file.writestr("a/data/0", np.arange(4, dtype="<f4").tobytes())
    return buffer.getvalue()


class Stored:
    """Pickled as a storage by ``dumped``."""

    def __init__(self, kind: Any = torch.FloatStorage, key: str = "0", count: int = 4) -> None:
        self.pid = ("storage", kind, key, "cpu", count)


class Rebuilt:
    """Pickled as a call of torch's with any arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = (function, arguments)

    def __reduce__(self) -> Any:
        return self.made


def dumped(thing: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = type(
        "P", (pickle._Pickler,), {"persistent_id": lambda _, one: getattr(one, "pid", None)}
    )
    pickler(buffer, 2).dump(thing)
    return buffer.getvalue()


def tensor(storage: Stored, offset: Any, size: Any, stride: Any) -> Rebuilt:
    rebuild = torch._utils._rebuild_tensor_v2
    return Rebuilt(rebuild, storage, offset, size, stride, False, collections.OrderedDict())


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    dtype = getattr(torch, draw(st.sampled_from(DTYPES)))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    count = int(np.prod(shape)) + 3
    raw = torch.randint(0, 256, (count * 16,), dtype=torch.uint8)
    full = (raw > 99)[:count] if dtype is torch.bool else raw.view(dtype)[:count]
    made = full[draw(st.integers(0, 3)) :][: count - 3].reshape(shape)
    return made.permute(draw(st.permutations(range(len(shape)))))


@settings(max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=9), tensors(), min_size=1, max_size=5))
def test_a_state_dict_is_what_torch_loads(state: dict[str, torch.Tensor]) -> None:
    prefixes = ("module.", "_orig_mod.")
    data = saved(state)
    facts = read(data)
    loaded = torch.load(io.BytesIO(data), weights_only=True)
    if not any(name.startswith(prefixes) for name in loaded):
        assert [found.name for found in facts.tensors] == list(loaded)
    for found, expected in zip(facts.tensors, loaded.values(), strict=True):
        agrees(found, expected)
    assert (facts.format, facts.ordered, facts.accounts.total) == ("torch-zip", True, len(data))


def test_a_networks_layers_and_parameters() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5), torch.nn.ReLU(), torch.nn.BatchNorm2d(6)
    )
    facts = read(saved(network.state_dict()))
    assert [layer.path for layer in facts.layers] == ["", "0", "1", "2"]
    assert {layer.kind for layer in facts.layers} == {None}
    for name, found in by_name(facts).items():
        agrees(found, network.state_dict()[name])
        assert found.role is None
        assert found.learnable is None


def test_parameters_pickled_as_such_say_whether_they_learn() -> None:
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    marked = torch.nn.Parameter(torch.ones(2))
    marked.note = "x"  # type: ignore[attr-defined]
    facts = by_name(read(saved({"a": torch.nn.Parameter(torch.ones(2)), "b": frozen, "c": marked})))
    assert [(one.role, one.learnable) for one in facts.values()] == [
        ("parameter", True), ("parameter", False), ("parameter", True),
    ]  # fmt: skip


def test_ties_and_views_share_their_storage() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    facts = by_name(read(saved({"a": base, "tied": base, "row": base[1], "t": base.t()})))
    assert facts["a"].identity == facts["tied"].identity
    assert len({facts[name].identity for name in ("a", "row", "t")}) == 3
    extents = {name: found.values.extent for name, found in facts.items()}
    assert len({extent.storage for extent in extents.values() if extent}) == 1
    assert extents["row"] is not None
    assert (extents["row"].start, extents["row"].stop, extents["row"].storage_bytes) == (16, 32, 48)
    np.testing.assert_array_equal(numbers(facts["t"]), base.t().numpy())
    apart = by_name(read(saved({"a": torch.ones(2), "b": torch.ones(2)})))
    assert apart["a"].identity != apart["b"].identity


@pytest.mark.parametrize("zipped", [True, False])
def test_pairs_of_4_bit_floats_are_counted_one_by_one(tmp_path: Path, zipped: bool) -> None:
    pairs = torch.arange(32, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    table = pairs.view(4, 8)
    state = {
        "all": pairs, "table": table, "rows": table[1:3], "columns": table[:, 2:4],
        "one": pairs[3], "none": pairs[:0], "tail": pairs.view(32, 1)[3:],
    }  # fmt: skip
    file = tmp_path / "net.pt"
    torch.save({**state, "turned": table.t()}, file, _use_new_zipfile_serialization=zipped)
    stored, live = weigh.open(file), weigh.open(state)
    assert [(t.name, t.shape, t.dtype) for t in stored.tensors()] == [
        (t.name, t.shape, t.dtype) for t in live.tensors()
    ]
    for name in state:
        np.testing.assert_array_equal(stored[name].read(), live[name].read(), err_msg=name)
    np.testing.assert_array_equal(stored["table"][2, 3:7].read(), live["table"].read()[2, 3:7])
    assert any("'turned' is not read" in note for note in stored.notes)


def test_conjugated_and_negated_views_have_their_own_values() -> None:
    base = torch.randn(3, dtype=torch.complex64)
    alone = torch.randn(3, dtype=torch.complex64)
    state = {"a": base, "conj": base.conj(), "neg": alone.conj().imag}
    facts = by_name(read(saved(state)))
    for name, expected in state.items():
        agrees(facts[name], expected)
    assert facts["a"].identity != facts["conj"].identity


def test_quantized_tensors_are_dequantized() -> None:
    x = torch.randn(3, 4)
    one = torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)
    scales, zeros = torch.tensor([0.1, 0.2, 0.3], dtype=torch.double), torch.tensor([0, 1, 2])
    many = torch.quantize_per_channel(x, scales, zeros, 0, torch.qint8)
    facts = by_name(read(saved({"one": one, "many": many})))
    agrees(facts["one"], one)
    assert facts["many"].values.dtype.name == "qint8"
    np.testing.assert_allclose(numbers(facts["many"]), many.dequantize().numpy(), rtol=1e-6)
    row = facts["many"].values.read(Region.of((1, slice(None, None, 2)), (3, 4)))
    np.testing.assert_allclose(row, many.dequantize()[1, ::2].numpy(), rtol=1e-6)
    text = "quantization_scheme=torch.per_tensor_affine, scale=0.1, zero_point=3"
    assert facts["one"].quantization == text


def test_meta_and_lazy_tensors_have_no_values() -> None:
    lazy = torch.nn.LazyLinear(3).state_dict()
    facts = by_name(read(saved({"meta": torch.empty(2, 3, device="meta"), **lazy})))
    assert facts["meta"].values.shape == (2, 3)
    assert facts["weight"].values.shape is None
    with pytest.raises(ValuesError, match="meta"):
        numbers(facts["meta"])


def test_numpy_arrays_are_listed_and_odd_ones_noted() -> None:
    state = {
        "w": torch.ones(1),
        "rows": np.arange(6, dtype=">i4").reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "objects": np.array([None, "x"], dtype=object),
        "best": np.float64(0.75),
    }
    facts = read(saved(state))
    found = by_name(facts)
    for name in ("rows", "columns"):
        np.testing.assert_array_equal(numbers(found[name]), state[name])
    assert facts.metadata["best"] == "0.75"
    assert any("objects" in note for note in facts.notes)


def test_what_is_not_read_is_named() -> None:
    state = {"w": torch.ones(1), "s": torch.eye(3).to_sparse(), "t": torch.eye(3).to_sparse()}
    facts = read(saved(state))
    assert [one.name for one in facts.tensors] == ["w"]
    (note,) = facts.notes
    assert note.startswith("'s' and 1 more")
    assert "_rebuild_sparse_tensor" in note
    with pytest.raises(SourceError, match="sparse"):
        read(saved({"s": torch.eye(3).to_sparse()}))
    lone = read(saved({"w": torch.ones(1), "u": torch.ones(2).untyped_storage()}))
    assert any("storage" in note for note in lone.notes)


def test_big_endian_values() -> None:
    def swap(members: dict[str, bytes]) -> None:
        root = next(iter(members)).partition("/")[0]
        members[f"{root}/byteorder"] = b"big"
        key = f"{root}/data/0"
        members[key] = np.frombuffer(members[key], "<f4").astype(">f4").tobytes()

    data = rewritten(saved({"w": torch.arange(3.0)}), swap)
    np.testing.assert_array_equal(numbers(by_name(read(data))["w"]), [0, 1, 2])


def test_other_archives_are_refused() -> None:
    data = saved({"w": torch.ones(2)})

    def second(members: dict[str, bytes]) -> None:
        members["other/data.pkl"] = b"N."

    def stray(members: dict[str, bytes]) -> None:
        members["stray"] = b""

    def order(members: dict[str, bytes]) -> None:
        members[next(iter(members)).partition("/")[0] + "/byteorder"] = b"odd"

    def lacking(members: dict[str, bytes]) -> dict[str, bytes]:
        return {name: member for name, member in members.items() if "/data/" not in name}

    def short(members: dict[str, bytes]) -> dict[str, bytes]:
        return {n: m[:-1] if "/data/" in n else m for n, m in members.items()}

    for change, match in [
        (second, "several"), (stray, "outside"), (order, "byte order"), (lacking, "lacks"),
        (short, "shorter"),
    ]:  # fmt: skip
        with pytest.raises(FormatError, match=match):
            read(rewritten(data, change))
    with pytest.raises(FormatError, match="compressed"):
        read(rewritten(data, lambda _: None, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(SourceError, match="no PyTorch checkpoint"):
        read(rewritten(data, lambda _: {"x.txt": b"hello"}))


def test_a_view_of_few_values_may_claim_very_many() -> None:
    big = 1 << 20
    facts = read(with_pickle(dumped({"w": tensor(Stored(), 0, (big, big), (0, 0))})))
    (found,) = facts.tensors
    assert found.values.extent is not None
    assert (found.values.extent.distinct, found.values.extent.storage_bytes) == (1, 16)
    with pytest.raises(ValuesError):
        numbers(found)


@pytest.mark.parametrize(
    "thing",
    [
        tensor(Stored(), 0, (5,), (1,)),
        tensor(Stored(), 1, (4,), (1,)),
        tensor(Stored(), 0, (2, 2), (3, 1)),
        tensor(Stored(), 2**62, (1,), (1,)),
        tensor(Stored(), -1, (2,), (1,)),
        tensor(Stored(), 0, (2,), (-1,)),
        tensor(Stored(), 0, (-2,), (1,)),
        tensor(Stored(), 0, (2, 2), (1,)),
        tensor(Stored(), 0, (2**40, 2**40), (0, 0)),
        tensor(Stored(), 0, (1,) * 65, (1,) * 65),
        tensor(Stored(), 0, "ab", (1,)),
        tensor(Stored(), True, (2,), (1,)),
        tensor(Stored(count=5), 0, (5,), (1,)),
        tensor(Stored(count=-1), 0, (1,), (1,)),
        tensor(Stored(key="nowhere"), 0, (1,), (1,)),
        tensor(Stored(key="k" * 1000), 0, (1,), (1,)),
        [tensor(Stored(), 0, (4,), (1,)), tensor(Stored(torch.HalfStorage), 0, (4,), (1,))],
        [tensor(Stored(), 0, (2,), (1,)), tensor(Stored(count=2), 0, (2,), (1,))],
        Rebuilt(torch._utils._rebuild_tensor_v2),
        Rebuilt(torch._utils._rebuild_tensor_v2, 1, 2, 3, 4, 5, 6),
        Rebuilt(torch._utils._rebuild_parameter, 3, True, None),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(thing: Any) -> None:
    with pytest.raises(FormatError) as caught:
        read(with_pickle(dumped({"w": thing})))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_hidden_code_is_shown_and_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data = saved({"w": torch.ones(2), "x": Evil(f"touch {canary}")})
    facts = read(data)
    assert "system('touch" in facts.metadata["x"]
    assert [one.name for one in facts.tensors] == ["w"]
    assert not canary.exists()


def bomb(leaf: bytes) -> bytes:
    doubled = b"".join(b"](h%ch%ceq%c0" % (i, i, i + 1) for i in range(60))
    return b"\x80\x02" + leaf + b"q\x000" + doubled + b"h\x3c."


@pytest.mark.parametrize(
    "program",
    [
        bomb(b"K\x01"),
        bomb(b"N)R"),
        bomb(dumped(tensor(Stored(), 0, (4,), (1,)))[2:-1]),
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00u.",
        b"\x80\x02)" + b"\x85" * 300_000 + b".",
        b"\x80\x02})" + b"\x85" * 300_000 + b"Ns.",
        b"\x80\x02N" + b")R" * 300_000 + b".",
    ],
)  # fmt: skip
def test_bombs_and_loops_are_refused(program: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        read(with_pickle(program))
    assert "\n" not in str(caught.value)


def test_a_list_that_holds_itself_may_stand_beside_tensors() -> None:
    loop: list[Any] = [torch.ones(1)]
    loop.append(loop)
    assert len(read(saved({"w": loop})).tensors) == 1


def test_long_keys_above_very_many_tensors_are_refused() -> None:
    thing: Any = torch.ones(1)
    for _ in range(20):
        thing = {"k" * 1000: thing}
    with pytest.raises(FormatError, match="name is too long"):
        read(saved(thing))


def test_a_pickle_cut_anywhere_is_refused() -> None:
    program = dumped({"w": tensor(Stored(), 0, (4,), (1,)), "epoch": 3})
    assert len(read(with_pickle(program)).tensors) == 1
    for length in range(len(program)):
        with pytest.raises(WeighError):
            read(with_pickle(program[:length]))


@settings(max_examples=250)
@given(st.data())
def test_a_damaged_checkpoint_is_read_or_refused(data: Any) -> None:
    state = {
        "w": torch.ones(2, 3),
        "q": torch.quantize_per_tensor(torch.ones(2), 1, 0, torch.qint8),
    }
    kept = {"model": collections.OrderedDict(state), "args": {"lr": 0.1}, "n": np.float32(1)}
    damaged = bytearray(saved(kept))
    start = damaged.index(b"data.pkl")
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(start, start + 1200))] = data.draw(st.integers(0, 255))
    try:
        facts = read(bytes(damaged))
    except WeighError:
        return
    for found in facts.tensors:
        assert found.values.shape is not None


def test_listing_imports_neither_torch_nor_numpy(tmp_path: Path) -> None:
    torch.save({f"{i}.weight": torch.zeros(2) for i in range(500)}, tmp_path / "net.pt")
    code = (
        "import sys; from weigh._sources import torch_zip; "
        "from weigh._sources.bytes import LocalFile; "
        f"facts = torch_zip.read(LocalFile({str(tmp_path / 'net.pt')!r})); "
        "print(len(facts.tensors), [m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "500 []"


def test_a_mapping_mentioned_often_is_looked_at_once(tmp_path: Path) -> None:
    ordered = b"ccollections\nOrderedDict\n"
    for pairs, refused in ((b"]" * 20_000, True), (b"(K\x01K\x02l" * 20_000, False)):
        data = b"\x80\x02](" + ordered + b"(](" + pairs + b"etRq\x02" + b"h\x02" * 20_000 + b"e."
        path = tmp_path / "bomb.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", data)
        with pytest.raises((FormatError, SourceError)) as caught:
            weigh.open(path)
        assert ("no pairs" in str(caught.value)) == refused


def test_distributed_tensors(tmp_path: Path) -> None:
    """What one process of FSDP2 saves: all of each tensor, or its part."""
    script = """
import sys, torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

for world in (1, 2):
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    mesh = init_device_mesh("cpu", (world,))
    part = torch.arange(12.0).reshape(4, 3)
    whole = DTensor.from_local(part, mesh, [Shard(0)], run_check=False)
    state = {"w": torch.nn.Parameter(whole), "b": torch.ones(2)}
    torch.save(state, f"{sys.argv[1]}/{world}.pt")
    dist.destroy_process_group()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, tmp_path], check=True)
    for world in (1, 2):
        net = weigh.open(tmp_path / f"{world}.pt")
        np.testing.assert_array_equal(net["w"].read(), np.arange(12.0).reshape(4, 3))
        said = next(note for note in net.notes if "torch.distributed.tensor.DTensor" in note)
        assert ("one process's part" in said) == (world == 2)


_PEAK = """
import sys, weigh
try: print(len(weigh.open(sys.argv[1]).metadata))
except weigh.WeighError as error: print(error)
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def opened_alone(path: Path) -> tuple[str, float]:
    """Open a file in a process of its own; give what it says, and its peak memory in MB."""
    line = [sys.executable, "-c", _PEAK, str(path)]
    done = subprocess.run(line, capture_output=True, check=True, text=True)
    said, peak = done.stdout.splitlines()
    return said, int(peak) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_long_values_beside_the_tensors_take_no_memory(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, 30_000_000, np.uint8)
    beside = {"log": "é" * 30_000_000, "raw": bytes(60_000_000), "array": array}
    path = tmp_path / "a.pt"
    torch.save({"model": {"weight": torch.zeros(2, 3)}, **beside}, path)
    said, peak = opened_alone(path)
    assert int(said) >= 1
    assert peak < 100
    found = weigh.open(path)
    assert found.metadata["log"].startswith("éé")
    facts = read(path.read_bytes())
    (values,) = (one.values for one in facts.tensors if one.name == "array")
    region = Region((29_000_000,), (500_000,), (1,), (True,))
    assert np.array_equal(values.read(region), array[29_000_000:29_500_000])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    "unit", [b"\x8c\x08abcdefgh", b"}\x8c\x01aK\x01s", b"\x8a\x09" + b"\1" * 9]
)
def test_a_huge_pickle_of_small_objects_is_refused_in_little_memory(
    tmp_path: Path, unit: bytes
) -> None:
    path, block = tmp_path / "a.pt", unit * (1_000_000 // len(unit))
    with zipfile.ZipFile(path, "w") as archive, archive.open("a/data.pkl", "w") as member:
        member.write(b"\x80\x04(")
        for _ in range(100):
            member.write(block)
        member.write(b"l.")
    said, peak = opened_alone(path)
    assert "needs more memory than Weigh takes" in said
    assert peak < 300


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_very_many_small_objects_beside_the_tensors_are_gone_through_in_little_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.pt"
    steps: list[Any] = [[i] for i in range(700_000)]
    torch.save({"model": {"weight": torch.zeros(2, 3)}, "steps": steps}, path)
    said, peak = opened_alone(path)
    assert said.isdecimal()
    assert peak < 180
