"""The numbers of cells: held against NumPy, for whatever way a tensor's values are had."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_laws import tensor_of
from safetensors.numpy import save_file

import weigh
from weigh._measures.table import Table
from weigh._pictures.arranged import plan_of
from weigh._pictures.plan import Part, Plan
from weigh._pictures.sheet import Reducer
from weigh._pictures.shrunk import Shrunk, shrunk
from weigh._tensor import Tensor

Array = np.ndarray[Any, Any]
MODES: tuple[Reducer, ...] = ("extreme", "rms", "mean")


def plan_with(shape: tuple[int, ...], starts: tuple[tuple[int, ...], ...]) -> Plan:
    """Make a plan of given cells; where they stand does not matter."""
    parts = tuple(Part(axis, str(axis), len(own)) for axis, own in enumerate(starts))
    return Plan(shape, starts, parts, ())


def expected(values: Array, plan: Plan, how: str) -> tuple[Array, Array]:
    """Work each cell out by itself."""
    numbers = np.zeros(plan.cells)
    flags = np.zeros(plan.cells, np.uint8)
    for at in np.ndindex(plan.cells):
        box = tuple(
            slice(own[k], (*own[1:], size)[k])
            for k, own, size in zip(at, plan.starts, plan.shape, strict=True)
        )
        cell = values[box].reshape(-1).astype(np.longdouble)
        finite = cell[np.isfinite(cell)]
        flags[at] = (
            np.isnan(cell).any() * 1
            | (cell == np.inf).any() * 2
            | (cell == -np.inf).any() * 4
            | bool(finite.size) * 8
        )
        if finite.size:
            numbers[at] = {
                "extreme": finite.min() if -finite.min() >= finite.max() else finite.max(),
                "rms": np.sqrt((finite * finite).mean()),
                "mean": finite.mean(),
            }[how]
    return numbers, flags


def check(tensor: Tensor, plan: Plan, how: Reducer, values: Array | None = None) -> Shrunk:
    found = shrunk(tensor, plan, how, counted=False)
    values = tensor.read() if values is None else values
    numbers, flags = expected(np.asarray(values), plan, how)
    np.testing.assert_array_equal(found.flags, flags)
    if how == "extreme":
        np.testing.assert_array_equal(found.values, numbers)
    else:
        finite = np.abs(np.asarray(values, np.float64))
        most = finite[np.isfinite(finite)].max(initial=0)
        np.testing.assert_allclose(found.values, numbers, rtol=1e-12, atol=most * 1e-13)
    assert found.read == np.asarray(values).size
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Plan]:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    starts = tuple(
        (0, *sorted(draw(st.sets(st.integers(1, size - 1))) if size > 1 else ())) for size in shape
    )
    some = draw(st.lists(st.sampled_from([0.0, -1, 2, 3.5, np.nan, np.inf, -np.inf, 1e30]),
                         min_size=1, max_size=5))  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = np.where(rng.random(shape) < 0.3, rng.choice(some, shape), rng.normal(size=shape))
    return values, plan_with(shape, starts)


@settings(max_examples=120)
@given(cases(), st.sampled_from(MODES), st.sampled_from(["f4", "f8", "f2", "bf16"]), st.booleans())
def test_cells_are_numpys(case: tuple[Array, Plan], how: Reducer, kind: str, turned: bool) -> None:
    values, plan = case
    if plan.per_cell == 1:
        how = "extreme"  # a value by itself is shown as it is
    with np.errstate(over="ignore"):
        values = values.astype(ml_dtypes.bfloat16 if kind == "bf16" else kind)
    if kind == "bf16":
        whole = torch.from_numpy(values.view(np.uint16).astype(np.int32) << 16).view(torch.float32)
        held: Any = whole.to(torch.bfloat16)
    else:
        held = torch.from_numpy(values.copy())
    if turned:  # strided: the values do not lie end to end
        held = held.mT.contiguous().mT if held.ndim > 1 else held.repeat_interleave(2)[::2]
    tensor = weigh.open({"a": held})["a"]
    check(tensor, plan, how, values.astype(np.float64))


@pytest.mark.parametrize("how", MODES)
def test_both_ways_to_the_cells_agree(how: Reducer) -> None:
    """One axis cut inside another can be no matrix, unless its values are brought together."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 10, 14)).astype("f4")
    values[3, 4, 5], values[7, 7, 7], values[0, 0, 0] = np.nan, np.inf, -np.inf
    whole = range(0, 12, 5), range(0, 10, 3), range(0, 14, 4)
    for kept in ((0, 2), (1,), (0,), (2,), (0, 1), (0, 1, 2), ()):
        starts = tuple(tuple(cut) if axis in kept else (0,) for axis, cut in enumerate(whole))
        plan = plan_with(values.shape, starts)
        lying = weigh.open({"a": torch.from_numpy(values)})["a"]
        apart = torch.from_numpy(values.transpose(2, 1, 0).copy()).permute(2, 1, 0)
        one = check(lying, plan, how)
        other = check(weigh.open({"a": apart})["a"], plan, how)
        np.testing.assert_array_equal(one.flags, other.flags)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-13, atol=1e-14)
        tables = [
            shrunk(tensor, plan, how, counted=True).table
            for tensor in (lying, weigh.open({"a": apart})["a"])
        ]
        assert tables[0] == Table.of("float32", values.reshape(-1))
        assert tables[1] is not None
        assert sum(n for _, _, n in tables[1].cells()) == values.size - 3


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_any_number_of_threads_gives_the_same(threads: int, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(9000, 1024)).astype("f4")
    save_file({"a": values}, tmp_path / "a.safetensors")
    tensor = weigh.open(tmp_path / "a.safetensors")["a"]
    plan = plan_of(tensor, (100, 100))
    told: list[int] = []
    found = shrunk(tensor, plan, "extreme", counted=True, threads=threads, progress=told.append)
    rows, columns = (np.asarray(starts) for starts in plan.starts)
    low, high = (
        way.reduceat(way.reduceat(values.astype("f8"), rows, axis=0), columns, axis=1)
        for way in (np.minimum, np.maximum)
    )
    np.testing.assert_array_equal(found.values, np.where(-low >= high, low, high))
    assert found.table is not None
    assert found.table.cells() == Table.of("float32", values.reshape(-1)).cells()
    assert sum(told) == values.nbytes


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
@pytest.mark.parametrize("how", MODES)
def test_quantized_values_are_the_numbers_they_stand_for(
    kind: str, how: Reducer, tmp_path: Path
) -> None:
    values = np.random.default_rng(2).normal(size=(48, 256)).astype("f4")
    quantized = gguf.quants.quantize(values, getattr(gguf.GGMLQuantizationType, kind))
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("a", quantized, raw_dtype=getattr(gguf.GGMLQuantizationType, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensor = weigh.open(path)["a"]
    wanted = gguf.quants.dequantize(quantized, getattr(gguf.GGMLQuantizationType, kind))
    check(tensor, plan_of(tensor, (10, 10)), how, wanted)
    counted = shrunk(tensor, plan_of(tensor, (10, 10)), how, counted=True).table
    assert counted is not None
    assert sum(n for _, _, n in counted.cells()) == values.size


@pytest.mark.parametrize("how", MODES)
def test_other_types(how: Reducer) -> None:
    rng = np.random.default_rng(3)
    kinds: list[Any] = [torch.float8_e4m3fn, torch.float8_e5m2]
    for kind in kinds:
        held = torch.from_numpy(rng.normal(size=(30, 40)).astype("f4")).to(kind)
        tensor = weigh.open({"a": held})["a"]
        check(tensor, plan_of(tensor, (7, 7)), how, held.to(torch.float64).numpy())
    for name in ("int8", "uint8", "int16", "int64", "int32", "bool"):
        whole = rng.integers(0, 2 if name == "bool" else 100, (30, 40)).astype(name)
        tensor = weigh.open({"a": whole})["a"]
        check(tensor, plan_of(tensor, (7, 7)), how, whole.astype("f8"))


def test_of_a_complex_value_the_larger_part_is_shown() -> None:
    values = np.array([[1 + 2j, -3 + 1j, 1 - 5j, 4 + 4j], [0, 1j, -1j, complex(np.nan, 9)]], "c8")
    tensor = weigh.open({"a": values})["a"]
    found = shrunk(tensor, plan_of(tensor), "extreme", counted=False)
    assert found.values.tolist() == [[2, -3, -5, 4], [0, 1, -1, 0]]
    assert found.flags[1, 3] == 1
    plan = plan_with((2, 4), ((0,), (0, 2)))
    found = shrunk(tensor, plan, "extreme", counted=True)
    assert found.values.tolist() == [[-3, -5]]
    assert found.table is not None


def test_one_value_that_has_a_stride() -> None:
    tensor = weigh.open({"a": torch.arange(8.0)[6::2]})["a"]
    found = shrunk(tensor, plan_of(tensor), "extreme", counted=True)
    assert found.values.tolist() == [6]
    assert tensor.histogram().parts[0].values == 1


def test_a_sample_reads_what_it_says_and_no_more(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(size=(4000, 1000)).astype("f4")
    save_file({"a": values}, tmp_path / "a.safetensors")
    tensor = weigh.open(tmp_path / "a.safetensors")["a"]
    plan = plan_of(tensor, (100, 100))
    told: list[int] = []
    found = shrunk(tensor, plan, "extreme", counted=True, sampled=True, progress=told.append)
    assert found.read == 100 * 1000
    assert sum(told) == 4 * found.read
    rows = values[[start + 20 for start in plan.starts[0]]].astype("f8")
    low, high = (way.reduceat(rows, plan.starts[1], axis=1) for way in (np.minimum, np.maximum))
    np.testing.assert_array_equal(found.values, np.where(-low >= high, low, high))
    assert found.table == Table.of("float32", rows.astype("f4").reshape(-1))


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """A gigabyte, of which the file system stores nothing."""
    header = b'{"a":{"dtype":"F32","shape":[16384,16384],"data_offsets":[0,1073741824]}}'
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 30))
    tensor = weigh.open(path)["a"]
    tracemalloc.start()
    found = shrunk(tensor, plan_of(tensor), "extreme", counted=True)
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert found.read == 1 << 28
    assert not found.values.any()


class _EnoughError(Exception):
    pass


@pytest.mark.parametrize("kind", [_EnoughError, KeyboardInterrupt])
def test_who_is_told_may_stop_it(kind: type[BaseException]) -> None:
    tensor = weigh.open({"a": np.zeros((9000, 1024), "f4")})["a"]

    def enough(_: int) -> None:
        raise kind

    with pytest.raises(kind):
        shrunk(tensor, plan_of(tensor, (64, 64)), "mean", counted=True, progress=enough)
    turned = weigh.open({"a": np.zeros((1024, 9000), "f4").T})["a"]
    with pytest.raises(kind):
        shrunk(turned, plan_of(turned, (64, 64)), "mean", counted=True, progress=enough)


def test_one_number() -> None:
    found = shrunk(tensor_of(()), plan_of(tensor_of(())), "extreme", counted=True)
    assert (found.values.shape, float(found.values), found.read) == ((), 0.0, 1)
