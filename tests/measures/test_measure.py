"""Measuring tensors of every sort of source, by any number of threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import save_file

import weigh
import writers
from measures_numbers import random_values
from weigh._dtypes import DTYPES
from weigh._errors import FormatError, ValuesError, WeighError
from weigh._index import Region
from weigh._measures.measure import measure
from weigh._measures.measured import Options
from weigh._measures.statistics import QUANTILES
from weigh._measures.table import WIDTHS, Table
from weigh._tensor import Tensor


def tables(source: object, **options: Any) -> dict[str, bytes]:
    found = measure(weigh.open(source).tensors(), Options(**options))
    return {one.tensor.name: one.table.to_bytes() for one in found if one.table is not None}


@pytest.fixture(scope="module")
def mixed() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "large": torch.randn(2300, 1900),
        "half": (torch.randn(3_000_000) * 0.02).to(torch.bfloat16),
        "norm": 1 + 1e-3 * torch.randn(70_001),
        "small": torch.randn(3, 4, dtype=torch.float64),
        "empty": torch.zeros(0, 5),
        "steps": torch.tensor(7),
        "mask": torch.rand(1000) > 0.5,
        "eighth": torch.randn(999).to(torch.float8_e4m3fn),
        "complex": torch.randn(40, dtype=torch.complex64),
        "scalar": torch.tensor(2.5),
    }


def test_threads_and_places_cannot_be_seen(mixed: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file, pickled = tmp_path / "m.safetensors", tmp_path / "m.pt"
    save_file(mixed, file)
    torch.save(mixed, pickled)
    expected = tables(mixed, threads=1)
    assert set(expected) == set(mixed)
    for threads in (1, 2, 5):
        assert tables(file, threads=threads) == expected
        assert tables(pickled, threads=threads) == expected
        assert tables(mixed, threads=threads) == expected


def test_values_that_lie_apart_are_as_those_that_do_not(tmp_path: Path) -> None:
    base = torch.randn(300, 200)
    apart = {
        "turned": base.t(),
        "every_second": base[::2, ::2],
        "turned_half": base.to(torch.bfloat16).t(),
        "turned_eighth": base.to(torch.float8_e5m2).t(),
        "turned_complex": torch.complex(base, base).t(),
        "negative": torch._neg_view(base),
        "lazily_copied": torch._lazy_clone(base),
    }
    together = {name: tensor.resolve_neg().clone().contiguous() for name, tensor in apart.items()}
    assert tables(apart) == tables(together)
    assert torch._C._is_cow_tensor(apart["lazily_copied"])
    torch.save(apart, tmp_path / "apart.pt")
    assert tables(tmp_path / "apart.pt") == tables(together)

    numbers = np.random.default_rng(0).standard_normal((40, 30)).astype("f4")
    swapped = {"x": numbers.astype(">f4")}
    assert tables(swapped) == tables({"x": numbers})
    np.save(tmp_path / "x.npy", numbers.astype(">f4").T)
    np.savez_compressed(tmp_path / "x.npz", x=numbers)
    assert list(tables(tmp_path / "x.npy").values()) == list(tables({"x": numbers.T}).values())
    assert tables(tmp_path / "x.npz") == tables({"x": numbers})


def test_slices_are_what_they_hold(mixed: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file(mixed, tmp_path / "m.safetensors")
    net = weigh.open(tmp_path / "m.safetensors")
    for index in ((3,), (slice(5, 700),), (slice(None), 4), (7, slice(3, 11)), (slice(0, 9, 2),)):
        [found] = measure([net["large"][index]])
        assert found.table == Table.of("float32", mixed["large"][index].contiguous().numpy())


@pytest.mark.parametrize(
    "name", ["float16", "float32", "float64", "int8", "int32", "int64", "uint32", "uint64", "bool"]
)
def test_quantiles_are_exact_when_that_is_asked_for(name: str) -> None:
    values = random_values(name, 200_000, seed=3)
    if name.startswith("float"):
        values[:5] = [np.nan, np.inf, -np.inf, 0.0, -0.0]
    found = weigh.stats({"x": values}, exact=True)["x"]
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    assert found.exact
    expected = np.quantile(numbers, QUANTILES)
    assert_array_equal([found.quantiles[f"{q:g}"] for q in QUANTILES], expected)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_tensors_are_measured_twice() -> None:
    base = torch.randn(64, 32)
    quantized = torch.quantize_per_tensor(base, 0.05, 3, torch.qint8)
    [row] = weigh.stats({"x": quantized})
    assert row.statistics is not None
    real = quantized.dequantize().double()
    assert row.statistics.mean == pytest.approx(real.mean().item(), rel=1e-6)
    assert row.statistics.dtype == "float32"


def test_gguf_blocks_are_dequantized_and_their_bytes_measured(tmp_path: Path) -> None:
    import gguf

    values = np.random.default_rng(0).standard_normal((8, 256)).astype("f4")
    blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("x", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for step in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{step}_to_file")()
    writer.close()
    [row] = weigh.stats(tmp_path / "m.gguf")
    real = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0).astype("f8")
    assert row.statistics is not None
    assert row.stored is not None
    assert row.statistics.std == pytest.approx(real.std(), rel=1e-12)
    assert row.stored.count == blocks.size
    assert row.stored.zeros == (blocks == 0).sum()


def test_what_has_no_values_is_said_and_the_rest_measured() -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(2, 2, device="meta"), torch.nn.LazyLinear(3), torch.nn.Linear(2, 2)
    )
    report = weigh.stats(module)
    problems = {row.name: row.problem for row in report if row.problem}
    assert set(problems) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert "meta device" in problems["0.weight"]
    assert report.total.count == 6


def test_a_live_module_is_left_as_it_was() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    module[0].weight.grad = torch.ones(4, 4)
    before = {k: (v.clone(), v._version, v.data_ptr()) for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    weigh.stats(module)
    for key, (value, version, pointer) in before.items():
        now = module.state_dict()[key]
        assert torch.equal(now, value)
        assert (now._version, now.data_ptr()) == (version, pointer)
    assert torch.equal(torch.get_rng_state(), state)
    assert module[0].weight.requires_grad


def test_tied_tensors_count_once() -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 5, bias=False), torch.nn.Linear(5, 5, bias=False)
    )
    module[1].weight = module[0].weight
    report = weigh.stats(module)
    assert report.total.count == 25
    assert [row.tied_to for row in report] == [None, "0.weight"]
    assert report["1.weight"] == report["0.weight"]


def test_who_stops_listening_stops_the_threads(mixed: dict[str, torch.Tensor]) -> None:
    before = threading.active_count()
    found = measure(weigh.open(mixed).tensors(), Options(threads=3))
    next(found)
    found.close()
    assert threading.active_count() == before


def test_a_file_cut_short_is_one_error(mixed: dict[str, torch.Tensor], tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    save_file(mixed, file)
    net = weigh.open(file)
    with file.open("r+b") as cut:
        cut.truncate(file.stat().st_size // 2)
    for threads in (1, 2):
        with pytest.raises(WeighError):
            weigh.stats(net, threads=threads)


def test_more_values_than_32_bits_count(tmp_path: Path) -> None:
    count = 2**31 + 1
    path = tmp_path / "sparse.safetensors"
    header = b'{"x":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (count, count)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + count)
        file.seek(8 + len(header) + 5)
        file.write(b"\x07")
    found = weigh.stats(path)["x"]
    assert (found.count, found.zeros, found.max) == (count, count - 1, 7)
    assert found.l1 == 7


def test_progress_adds_up(mixed: dict[str, torch.Tensor]) -> None:
    told: list[int] = []
    weigh.stats(mixed, threads=2, progress=told.append)
    total = sum(t.numel() * t.element_size() for t in mixed.values())
    assert abs(sum(told) - total) <= len(told)


@pytest.mark.parametrize(
    "write", [writers.safetensors, writers.npz, writers.npy, writers.hdf5, writers.keras,
              writers.torch_zip, writers.torch_legacy, writers.sharded, writers.dcp, writers.onnx,
              writers.flax, writers.torchscript, writers.torch_export],
    ids=lambda write: write.__name__,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_format_gives_the_tables_of_its_arrays(write: Any, tmp_path: Path) -> None:
    place, _ = write(tmp_path)
    net = weigh.open(place)
    found = tables(net)
    assert found
    for tensor in net.tensors():
        array = tensor.read()
        if array.dtype.kind == "c":
            array = array.view(array.real.dtype)
        if tensor.dtype.name in WIDTHS and array.dtype.name == tensor.dtype.name:
            expected = Table.of(tensor.dtype.name, array.reshape(-1).view(np.uint8).data)
            assert found[tensor.name] == expected.to_bytes()


def test_chunks_and_deflated_members(tmp_path: Path) -> None:
    import h5py

    values = np.random.default_rng(0).standard_normal((700, 300)).astype("f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(64, 50), compression="gzip")
    np.savez_compressed(tmp_path / "x.npz", x=values)
    expected = Table.of("float32", values)
    for name in ("x.h5", "x.npz"):
        [found] = measure(weigh.open(tmp_path / name).tensors())
        assert found.table == expected
        [found] = measure([weigh.open(tmp_path / name)["x"][3:500, ::2]])
        assert found.table == Table.of("float32", np.ascontiguousarray(values[3:500, ::2]))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_storage_may_be_resized_after_it_was_measured(threads: int) -> None:
    module = torch.nn.Linear(2000, 1500)
    list(measure(weigh.open(module).tensors(), Options(threads=threads)))
    storage = module.weight.untyped_storage()
    assert storage.resizable()
    storage.resize_(0)


def test_a_stop_ends_within_a_piece() -> None:
    """Whoever stops must not wait for a large tensor that lies apart, or has to be read twice."""
    turned = torch.zeros(1, 64).expand(1 << 21, 64).t()[:32]  # 2^26 values, to be copied
    told: list[int] = []
    begun = threading.Event()

    def tell(count: int) -> None:
        told.append(count)
        begun.set()

    sources = {"first": torch.zeros(3), "huge": turned, "other": turned[:, :-1]}
    found = measure(weigh.open(sources).tensors(), Options(threads=2, progress=tell))
    before = threading.active_count()
    next(found)
    begun.wait(10)
    found.close()
    assert threading.active_count() == before
    assert sum(told) < 2**26 * 4 * 2


class Failing:
    """Values that can be had up to some place, and then no more."""

    def __init__(self, error: Exception, count: int) -> None:
        self.dtype, self.shape, self.extent = DTYPES["float32"], (count,), None
        self.error = error

    def raw(self, start: int, stop: int) -> memoryview:
        if stop > 5_000_000:
            raise self.error
        return memoryview(bytes(4 * (stop - start)))

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        raise self.error


def failing(error: Exception) -> Tensor:
    form = weigh.open({"x": np.zeros(12_000_000, "f4")})["x"]._form
    return Tensor("x", Failing(error, 12_000_000), form)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_values_that_fail_on_the_way_are_a_problem(threads: int) -> None:
    good = weigh.open({"y": np.ones(7, "f4")})["y"]
    found = list(measure([failing(ValuesError("gone")), good], Options(threads=threads)))
    assert [one.problem for one in found if one.table is None] == ["gone"]
    assert [one.table.summary()[0] for one in found if one.table is not None] == [7]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("error", [FormatError("the file became shorter"), RuntimeError("oh")])
def test_a_source_that_fails_on_the_way_stops_everything(error: Exception, threads: int) -> None:
    before = threading.active_count()
    with pytest.raises(type(error), match=str(error)):
        list(measure([failing(error), failing(error)], Options(threads=threads)))
    assert threading.active_count() == before


def test_a_file_cut_short_between_two_pieces(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    save_file({f"x{i}": torch.ones(3_000_000) for i in range(4)}, file)
    for threads in (1, 2):
        save_file({f"x{i}": torch.ones(3_000_000) for i in range(4)}, file)
        found = measure(weigh.open(file).tensors()[:2], Options(threads=1))
        next(found)
        os.truncate(file, 12_000_100)
        with pytest.raises(WeighError):
            list(found)
        with pytest.raises(WeighError):
            weigh.stats(file, threads=threads)


def test_exact_quantiles_with_threads() -> None:
    values = np.random.default_rng(0).standard_normal(9_000_000).astype("f4")
    found = weigh.stats({"x": values}, exact=True, threads=2, quantiles=(0.001, 0.5, 0.77))["x"]
    expected = np.quantile(values.astype("f8"), (0.001, 0.5, 0.77))
    assert found.exact
    assert list(found.quantiles.values()) == expected.tolist()
