"""Tables of patterns: they count what NumPy counts, and add up in any order."""

from __future__ import annotations

import pickle
from itertools import pairwise, permutations
from typing import Any, Literal
from zlib import crc32

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import weigh
from measures_numbers import EVERY, SMALL, WIDE, as_float, random_values
from weigh._errors import ValuesError
from weigh._measures._kernels import vector_level
from weigh._measures.statistics import Statistics
from weigh._measures.table import Table

NARROW = tuple(name for name in EVERY if name not in WIDE)


def table_of(name: str, values: np.ndarray[Any, Any]) -> Table:
    return Table.of(name, np.ascontiguousarray(values).view(np.uint8).data)


@pytest.mark.parametrize("name", SMALL)
def test_every_pattern_is_the_number_that_its_format_says(name: str) -> None:
    kind = np.dtype(SMALL[name])
    bits = 6 if "float6" in name else 8 * kind.itemsize
    codes = np.arange(1 << bits).astype(f"u{kind.itemsize}")
    values = as_float(codes.view(kind))
    table = table_of(name, codes)
    finite = np.unique(values[np.isfinite(values)] + 0.0)  # -0 and 0 are one number
    cells: dict[float, int] = {}
    for low, high, count in table.cells():
        assert low == high
        cells[low] = cells.get(low, 0) + count
    assert_array_equal(list(cells), finite)
    assert sum(cells.values()) == np.isfinite(values).sum()
    count, nan, posinf, neginf, zeros, subnormal, limit, distinct, entropy = table.summary()
    assert (count, distinct, entropy) == (1 << bits, 1 << bits, bits)
    assert nan == np.isnan(values).sum()
    assert (posinf, neginf) == ((values == np.inf).sum(), (values == -np.inf).sum())
    assert zeros == (values == 0).sum()
    largest = finite.max()
    assert limit == (np.abs(values) == largest).sum()
    if name in ("float16", "float8_e5m2"):
        assert subnormal == 2 * (2 ** {"float16": 10, "float8_e5m2": 2}[name] - 1)


@pytest.mark.parametrize("count", [0, 1, 7, 1000, 32767, 32768, 70_001, 600_001])
@pytest.mark.parametrize("name", ["uint8", "int8", "bfloat16", "float16", "uint16", "bool"])
def test_counts_are_those_of_bincount(name: str, count: int) -> None:
    values = random_values(name, count, seed=count)
    codes = values.view(f"u{values.itemsize}") if count else np.zeros(0, np.uint8)
    expected = np.bincount(codes, minlength=1)
    table = table_of(name, values)
    assert table.counts() == [(int(at), int(expected[at])) for at in np.flatnonzero(expected)]
    assert table.summary()[0] == count


@pytest.mark.parametrize("name", ["float4_e2m1fn", "int4", "uint4"])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 4096])
def test_two_values_to_a_byte(name: str, count: int) -> None:
    codes = np.random.default_rng(count).integers(0, 16, count + count % 2).astype(np.uint8)
    table = Table(name)
    table.add((codes[::2] | codes[1::2] << 4).tobytes(), count)
    expected = np.bincount(codes[:count], minlength=16)
    assert dict(table.counts()) == {at: n for at, n in enumerate(expected.tolist()) if n}


@pytest.mark.parametrize("name", EVERY)
def test_cut_anywhere_it_adds_up_to_the_same_bits(name: str) -> None:
    values = random_values(name, 100_000)
    whole = table_of(name, values)
    for step in (16384, 32768, 81920):
        parts = [table_of(name, values[at : at + step]) for at in range(0, len(values), step)]
        assert sum(parts[1:], parts[0]).to_bytes() == whole.to_bytes()
        assert sum(parts[-2::-1], parts[-1]) == whole
    # Added in one go or in several, wherever the calls end.
    fed = Table(name)
    raw = np.ascontiguousarray(values).view(np.uint8)
    size = values.itemsize
    for start, stop in ((0, 5), (5, 5), (5, 20_000), (20_000, 20_001), (20_001, 100_000)):
        fed.add(raw[start * size : stop * size].data, stop - start)
    assert fed == whole


@given(st.lists(st.tuples(st.sampled_from(EVERY), st.integers(0, 40)), min_size=3, max_size=3))
def test_tables_of_any_types_add_in_any_order(parts: list[tuple[str, int]]) -> None:
    a, b, c = (table_of(name, random_values(name, count, seed=count)) for name, count in parts)
    assert a + b == b + a
    mixed = [Table("mixed") for _ in range(6)]
    for made, order in zip(mixed, permutations((a, b, c)), strict=True):
        for each in order:
            made.merge(each)
    assert all(made == mixed[0] for made in mixed)
    assert ((a + b) + c).summary() == (a + (b + c)).summary()
    assert a + Table(a.dtype) == a


@given(st.sampled_from(EVERY), st.integers(0, 500))
def test_bytes_bring_a_table_back(name: str, count: int) -> None:
    table = table_of(name, random_values(name, count, seed=count))
    assert Table.from_bytes(table.to_bytes()) == table
    assert pickle.loads(pickle.dumps(table)) == table
    assert Table.from_bytes(table.to_bytes()).summary() == table.summary()


@pytest.mark.parametrize("name", ["float32", "float64", "int32", "int64"])
def test_every_width_of_vectors_gives_the_same_bits(name: str) -> None:
    values = random_values(name, 50_001)
    if name.startswith("float"):
        values[[3, 20_000, 40_000]] = [np.nan, np.inf, 1e30]
        values[:16384] = np.abs(values[:16384]) + 1
    best = vector_level()
    try:
        found = set()
        for level in range(best + 1):
            vector_level(level)
            found.add(table_of(name, values).to_bytes())
    finally:
        vector_level(best)
    assert len(found) == 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer bytes"):
        Table("float32").add(b"1234567", 2)
    with pytest.raises(ValueError, match="no patterns are counted"):
        Table("float128")
    with pytest.raises(ValueError, match="only merges"):
        Table("mixed").add(b"1234", 1)
    with pytest.raises(ValueError, match="not the state"):
        Table.from_bytes(b"nothing")
    with pytest.raises(ValueError, match="mixed one"):
        Table("int8").merge(Table("uint8"))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "int16", "float8_e4m3fn", "uint8"])
def test_histograms_of_narrow_types_are_numpys(name: str) -> None:
    values = random_values(name, 30_000)
    numbers = as_float(values)
    numbers = numbers[np.isfinite(numbers)]
    table = table_of(name, values)
    for edges in (
        np.linspace(-3, 3, 20),
        np.linspace(numbers.min(), numbers.max(), 11),
        np.array([-np.inf, -1.0, 0.0, 1.0, np.inf]),
        np.sort(np.random.default_rng(0).choice(numbers, 9, replace=False)),
    ):
        assert_array_equal(table.histogram(edges.tolist()), np.histogram(numbers, edges)[0])


def test_histograms_of_wide_types_hold_every_value() -> None:
    values = random_values("float32", 200_000)
    edges = np.linspace(values.min(), values.max(), 50)
    found = np.array(table_of("float32", values).histogram(edges.tolist()))
    expected = np.histogram(values, edges)[0]
    assert found.sum() == expected.sum() == len(values)
    # Two edges cut through patterns that span 2^-7 of a value each.
    assert np.abs(found - expected).max() <= 0.03 * expected.max()


@pytest.mark.parametrize("name", ["float32", "int64", "bfloat16", "uint8", "int4"])
@pytest.mark.parametrize("count", [2**61, 2**62, 2**63, 2**64 - 1])
def test_a_count_that_overflows_is_refused(name: str, count: int) -> None:
    with pytest.raises(ValueError, match="fewer bytes"):
        Table(name).add(b"1234", count)


@given(st.sampled_from(NARROW), st.lists(st.integers(0, 500), max_size=5))
def test_narrow_values_may_be_cut_anywhere(name: str, cuts: list[int]) -> None:
    values = random_values(name, 500, seed=1)
    ends = [0, *sorted(cuts), 500]
    parts = [table_of(name, values[a:b]) for a, b in pairwise(ends)]
    assert sum(parts[1:], parts[0]) == table_of(name, values)


@given(st.sampled_from(EVERY), st.permutations(range(4)), st.integers(0, 3))
def test_merging_is_associative_commutative_and_has_an_identity(
    name: str, order: list[int], split: int
) -> None:
    parts = [table_of(name, random_values(name, 50 * at, seed=at)) for at in range(4)]
    left = sum((parts[i] for i in order[:split]), Table(name))
    right = sum((parts[i] for i in order[split:]), Table(name))
    expected = ((parts[0] + parts[1]) + parts[2]) + parts[3]
    assert (left + right).to_bytes() == (right + left).to_bytes() == expected.to_bytes()
    assert Table(name) + expected == expected + Table(name) == expected
    twice = Table(name)
    twice.merge(expected)
    twice.merge(twice)
    assert twice == expected + expected


@given(st.sampled_from(("float32", "bfloat16", "int64", "mixed")), st.data())
def test_damaged_bytes_are_always_refused(name: str, data: st.DataObject) -> None:
    table = table_of("float32" if name == "mixed" else name, random_values("float32", 100))
    state = bytearray((table + Table("int8") if name == "mixed" else table).to_bytes())
    at = data.draw(st.integers(0, len(state) - 1))
    cut = data.draw(st.integers(0, len(state) - 1))
    with pytest.raises(ValueError, match="not the state of a table"):
        Table.from_bytes(bytes(state[:cut]))
    state[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="not the state of a table"):
        Table.from_bytes(bytes(state))


@given(st.sampled_from((*EVERY, "mixed")), st.data())
def test_forged_bytes_are_refused_or_are_some_table(name: str, data: st.DataObject) -> None:
    """What has a good check sum is looked at all the same: nothing in it can do harm."""
    if name == "mixed":
        table = table_of("float32", random_values("float32", 90)) + table_of("int8", np.int8([3]))
    else:
        table = table_of(name, random_values(name, 90))
    state = bytearray(table.to_bytes()[:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(state) - 1))
        state[at] = data.draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)))
    try:
        made = Table.from_bytes(bytes(state) + crc32(state).to_bytes(4, "little"))
    except ValueError:
        return
    found = Statistics.of(made)
    assert found.finite >= 0
    made.histogram([-1.0, 0.0, 1.0])
    assert Table.from_bytes(made.to_bytes()).summary() == made.summary()
    Statistics.of(made + made)
    Statistics.of(made + Table("int8"))


def test_a_forged_exponent_takes_no_memory() -> None:
    state = bytearray(table_of("float32", np.ones(1, np.float32)).to_bytes()[:-4])
    at = 14 + 1 + len("float32") + 10 * 8
    state[at : at + 4] = (-(2**31)).to_bytes(4, "little", signed=True)
    with pytest.raises(ValueError, match="not the state"):
        Table.from_bytes(bytes(state) + crc32(state).to_bytes(4, "little"))


@pytest.mark.parametrize("name", ["uint8", "uint16"])
def test_more_of_one_pattern_than_32_bits_count(name: str) -> None:
    count = 2**31 + 1
    zeros = np.zeros(count, name)  # pages that are never written take no memory
    table = Table(name)
    table.add(zeros.data.cast("B"), count)
    table.merge(table)
    assert table.summary()[0] == table.summary()[4] == 2 * count
    assert table.counts() == [(0, 2 * count)]


@pytest.mark.parametrize("name", ["int64", "uint64", "int32", "uint32", "float32", "float64"])
def test_cells_hold_the_values_that_are_counted_in_them(name: str) -> None:
    rng = np.random.default_rng(0)
    width = np.dtype(name).itemsize
    values = rng.integers(0, 2 ** (8 * width), 3000, np.uint64, endpoint=False) if width < 8 else (
        rng.integers(0, 2**64 - 1, 3000, np.uint64, endpoint=True)
    )  # fmt: skip
    values = values.astype(f"u{width}").view(name)
    ordered = np.sort(values[np.isfinite(values)] if values.dtype.kind == "f" else values)
    table, at = table_of(name, values), 0
    assert table.extremes() == (ordered[0], ordered[-1])
    for low, high, count in table.cells():
        assert low <= float(ordered[at]) <= float(ordered[at + count - 1]) <= high
        at += count
    assert at == len(ordered)


@pytest.mark.parametrize("scale", ["linear", "symlog"])
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float64", "int8", "uint16"])
@pytest.mark.parametrize("bins", [1, 2, 7, 40])
def test_edges_hold_every_finite_value(
    name: str, scale: Literal["linear", "symlog"], bins: int
) -> None:
    for values in (random_values(name, 5000), random_values(name, 5000)[:1]):
        table = table_of(name, values)
        edges = table.edges(bins, scale)
        numbers = as_float(values)
        numbers = numbers[np.isfinite(numbers)]
        assert len(edges) == bins + 1
        assert all(a < b for a, b in pairwise(edges))
        assert sum(table.histogram(edges)) == len(numbers)
    assert Table(name).edges(bins, scale) == []


def test_edges_on_a_logarithmic_scale_tell_small_from_smaller() -> None:
    values = np.array([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, -1e-5, -1], np.float32)
    counts = table_of("float32", values).histogram(table_of("float32", values).edges(25, "symlog"))
    assert sum(counts) == 8
    assert max(counts) == 1


def test_a_tensor_gives_its_table() -> None:
    values = random_values("bfloat16", 3000)
    bits = torch.from_numpy(values.view(np.int16).copy()).view(torch.bfloat16)
    assert weigh.open({"x": bits})["x"].table() == table_of("bfloat16", values)
    with pytest.raises(ValuesError, match="meta device"):
        weigh.open(torch.nn.Linear(2, 2, device="meta"))["weight"].table()


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_every_count_of_a_wide_table_merges(name: str) -> None:
    info = np.finfo(name)
    parts = [
        np.array([np.nan, np.inf, -np.inf, -np.inf, 0.0, -0.0, 1.0], name),
        np.array([np.nan, np.nan, np.inf, info.max, info.min, info.smallest_subnormal], name),
        np.array([-np.inf, info.smallest_subnormal, 0.0, -7.5, info.max], name),
    ]
    merged = sum((table_of(name, part) for part in parts[1:]), table_of(name, parts[0]))
    values = np.concatenate(parts)
    for table in (merged, table_of(name, values), merged.widened()):
        count, nan, posinf, neginf, zeros, subnormal, limit, *_ = table.summary()
        assert (count, nan, posinf, neginf, zeros) == (18, 3, 2, 3, 3)
        assert (subnormal, limit) == (2, 3)
        assert table.extremes() == (info.min, info.max)
    assert merged.summary() == table_of(name, values).summary()


def test_a_forged_sum_of_squares_is_not_negative() -> None:
    state = bytearray(table_of("float32", np.ones(1, np.float32)).to_bytes()[:-4])
    at = 14 + 1 + len("float32") + 10 * 8
    for power in range(5):  # each an exponent, a number of digits, and here one digit
        forged = state.copy()
        forged[at + 12 * power + 8 : at + 12 * power + 12] = b"\xff" * 4
        data = bytes(forged) + crc32(forged).to_bytes(4, "little")
        if power in (0, 2):
            assert Table.from_bytes(data).summary()[0] == 1
        else:
            with pytest.raises(ValueError, match="not the state"):
                Table.from_bytes(data)
