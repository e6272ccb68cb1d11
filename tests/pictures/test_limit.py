"""Where colours end: held against NumPy's percentile, whatever the type and the values."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from measures_numbers import as_float, random_values
from weigh._measures.table import Table
from weigh._pictures.limit import Limit, limit_of, limit_of_values

Array = np.ndarray[Any, Any]
PERCENTILE = "the 99.9th percentile of |w|"
NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8", "int16", "uint16")
WIDE = ("float32", "float64", "int32", "int64")


def percentile(values: Array) -> float:
    sizes = np.abs(as_float(values).reshape(-1))
    return exactly(sizes[np.isfinite(sizes)])


def exactly(sizes: Array) -> float:
    """Give the smallest size that 999 of 1,000 are no larger than; in floats 99.9 % is not that."""
    kept, counts = np.unique(sizes, return_counts=True)
    enough = 1000 * np.cumsum(counts) >= 999 * sizes.size
    found = float(kept[enough][0])
    if sizes.size % 1000:
        assert found == np.percentile(sizes, 99.9, method="inverted_cdf")
    return found


def table_of(name: str, values: Array) -> Table:
    return Table.of(name, np.ascontiguousarray(values).reshape(-1).view(np.uint8))


@pytest.mark.parametrize("count", [1000, 1001, 9999, 100_000])
@pytest.mark.parametrize("name", NARROW)
def test_it_is_the_percentile_exactly_for_narrow_types(name: str, count: int) -> None:
    values = random_values(name, count, seed=count)
    with np.errstate(invalid="ignore"):
        sizes = np.abs(as_float(values))
    if np.isfinite(sizes).sum() < 1000:
        return
    assert limit_of(table_of(name, values)) == Limit(percentile(values), PERCENTILE)
    finite = as_float(values)[np.isfinite(sizes)]
    assert limit_of_values(finite) == Limit(percentile(values), PERCENTILE)


@pytest.mark.parametrize("count", [1000, 1001, 9999, 100_000])
@pytest.mark.parametrize("name", WIDE)
def test_it_is_near_the_percentile_for_wide_types(name: str, count: int) -> None:
    values = random_values(name, count, seed=count)
    limit, wanted = limit_of(table_of(name, values)), percentile(values)
    near = 2**-4 if name == "float64" else 2**-7  # of whose top 16 bits 4 are digits
    assert wanted <= limit.value <= wanted * (1 + near)
    assert limit.words == PERCENTILE
    assert limit_of_values(as_float(values)) == Limit(wanted, PERCENTILE)


ODD = [0.0, -0.0, 1.0, -1.0, 2.0, 7.5, 1e-45, 1e6, -3e38, np.nan, np.inf, -np.inf]


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=60), st.integers(1, 40))
@example([-0.0, 1e-45], 1)
@example([0.0, -0.0, 1e-45], 1)
def test_a_table_and_the_values_say_the_same(some: list[float], times: int) -> None:
    values = np.array(some * times, "f4")
    finite = values[np.isfinite(values)]
    from_table, from_values = limit_of(Table.of("float32", values)), limit_of_values(finite)
    assert from_table.words == from_values.words
    assert from_values.value <= from_table.value <= from_values.value * (1 + 2**-7) + 1e-40
    sizes = np.abs(finite.astype("f8"))
    assert from_values.value <= sizes.max(initial=0)
    # Nothing is 0 but what has only zeros.
    assert bool(from_values.value) == bool(sizes.any())


def test_one_outlier_among_few_values_washes_nothing_out() -> None:
    few = [0.1, -0.2] * 50
    words = "the largest |w| but for outliers, over 8 x the 95th percentile"
    assert limit_of_values([*few, 1e6]) == Limit(0.2, words)
    assert limit_of_values([*few, 1.6]) == Limit(1.6, "the largest |w|")  # no more than 8 times
    assert limit_of_values([*few, 1.7]) == Limit(0.2, words)
    assert limit_of(Table.of("float32", np.array([*few, -1e6], "f4"))).words == words


def test_all_zeros_nothing_finite_and_one_value() -> None:
    for count in (1, 5, 5000):
        zeros = np.zeros(count, "f4")
        assert limit_of(Table.of("float32", zeros)).value == 0
        assert limit_of_values(zeros).value == 0
        nothing = np.full(count, np.nan, "f4")
        assert limit_of(Table.of("float32", nothing)) == Limit(0.0, "no value is finite")
        odd = np.array([np.inf, -np.inf] * count, "f4")
        assert limit_of(Table.of("float32", odd)) == Limit(0.0, "no value is finite")
    assert limit_of_values([]) == Limit(0.0, "no value is finite")
    assert limit_of_values([-3.0]) == Limit(3.0, "the largest |w|")
    assert limit_of(Table.of("float32", np.array([-3.0], "f4"))) == Limit(3.0, "the largest |w|")


def test_what_is_mostly_zeros() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=20_000) * (rng.random(20_000) < 0.05)
    assert limit_of_values(values) == Limit(percentile(values), PERCENTILE)
    # Where the percentile is 0 it says nothing: one value in 2,000 is left.
    rare = np.zeros(20_000)
    rare[:8] = [1, -2, 1, 1.5, 1, 1, 1, 2]
    assert limit_of_values(rare) == Limit(2.0, "the largest |w|, zeros left out")
    assert limit_of(Table.of("float64", rare)) == Limit(2.0, "the largest |w|, zeros left out")
    assert limit_of(Table.of("float32", rare.astype("f4"))).value == 2.0
    many = np.zeros(3_000_000, "f4")
    many[:2000] = rng.normal(size=2000)
    few = percentile(many[:2000])
    assert limit_of_values(many) == Limit(few, f"{PERCENTILE}, zeros left out")
    from_table = limit_of(Table.of("float32", many))
    assert few <= from_table.value <= few * (1 + 2**-7)


def test_the_ends_of_the_range() -> None:
    assert limit_of_values([1e308, -1.7e308]).value == 1.7e308
    assert limit_of_values([5e-324]).value == 5e-324
    assert limit_of(Table.of("float64", np.array([1.7e308, -1.0]))).value == 1.7e308
    low = np.array([np.iinfo("i8").min], "i8")
    assert limit_of(Table.of("int64", low)).value == 2.0**63
    large = ml_dtypes.finfo(ml_dtypes.float8_e4m3fn).max
    assert limit_of(table_of("float8_e4m3fn", np.array([large]))).value == 448
