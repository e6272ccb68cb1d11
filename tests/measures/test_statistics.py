"""Statistics against NumPy and SciPy in float64, and where these lose digits, against fractions."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats

from measures_numbers import EVERY, SMALL, WIDE, as_float, moments, random_values
from weigh._measures.statistics import QUANTILES, Statistics, quantile_key, ranks_of
from weigh._measures.table import Table

Array = np.ndarray[Any, Any]


def statistics_of(name: str, values: Array) -> Statistics:
    return Statistics.of(Table.of(name, np.ascontiguousarray(values).view(np.uint8).data))


def finite_of(values: Array) -> Array:
    numbers = as_float(values)
    return numbers[np.isfinite(numbers)]


@pytest.mark.parametrize("count", [1, 2, 300, 16384, 40_000])
@pytest.mark.parametrize("name", EVERY)
def test_every_number_is_numpys(name: str, count: int) -> None:
    values = random_values(name, count, seed=1)
    numbers = finite_of(values)
    found = statistics_of(name, values)
    assert found.count == count
    assert found.finite == len(numbers)
    assert found.zeros == (numbers == 0).sum()
    assert (found.min, found.max) == (numbers.min(), numbers.max())
    close = {"rel": 1e-12, "abs": 1e-300}
    assert found.mean == pytest.approx(math.fsum(numbers) / len(numbers), **close)
    assert found.std == pytest.approx(numbers.std(), rel=1e-10)
    assert found.rms == pytest.approx(math.sqrt(np.mean(numbers**2)), **close)
    assert found.l1 == pytest.approx(np.abs(numbers).sum(), **close)
    assert found.l2 == pytest.approx(np.linalg.norm(numbers), **close)
    if numbers.std():
        assert found.skewness == pytest.approx(scipy_stats.skew(numbers), rel=1e-9, abs=1e-9)
        assert found.kurtosis == pytest.approx(scipy_stats.kurtosis(numbers), rel=1e-9, abs=1e-9)
    ordered = np.sort(numbers)
    for key, expected in zip(QUANTILES, np.quantile(numbers, QUANTILES), strict=True):
        share = {"float64": 2**-4}.get(name, 2**-7) if name in WIDE else 0
        low, high, _ = ranks_of(key, len(ordered))
        bound = share * max(abs(ordered[low]), abs(ordered[high]))
        assert abs(found.quantiles[f"{key:g}"] - expected) <= bound
    if name not in WIDE:
        assert found.exact
        assert found.distinct == len(np.unique(values.view(f"u{values.itemsize}")))
        shares = np.unique(values.view(f"u{values.itemsize}"), return_counts=True)[1] / count
        assert found.entropy_bits == pytest.approx(scipy_stats.entropy(shares, base=2), rel=1e-12)


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize(
    "values",
    [
        np.full(20_000, 0.1),
        np.full(3, np.nan),
        np.append(np.random.default_rng(0).standard_normal(5000), 1e38),
        np.tile([1.0, -1.0], 10_000),
        np.tile([1e30, -1e30, 1.0], 3000),
        np.random.default_rng(1).standard_normal(3000) * 1e-41,
        np.zeros(0),
        np.array([-0.0]),
        np.array([np.inf, -np.inf, np.nan, 1.0, -2.0, 0.0]),
        1 + 1e-6 * np.random.default_rng(2).standard_normal(17_000),
        1000 + np.random.default_rng(3).standard_normal(33_000),
        -np.random.default_rng(4).random(16_385),
        np.append(np.full(16_384, np.nan), [3.0, 5.0]),
    ],
    ids=lambda values: f"{len(values)}-{values[:1]}",
)
def test_worst_cases_keep_their_digits(name: str, values: Array) -> None:
    values = values.astype(name)
    found = statistics_of(name, values)
    finite = finite_of(values)
    assert (found.count, found.finite) == (len(values), len(finite))
    assert found.nan == np.isnan(values).sum()
    assert (found.posinf, found.neginf) == ((values == np.inf).sum(), (values == -np.inf).sum())
    tiny = np.finfo(name).smallest_normal
    assert found.subnormal == ((np.abs(finite) < tiny) & (finite != 0)).sum()
    expected = moments(finite)
    scale = np.abs(finite).max() if len(finite) else 1.0
    for key, value in expected.items():
        got = getattr(found, key)
        if value is None:
            assert got is None
        else:
            loose = {"mean": scale * 1e-16, "skewness": 1e-9, "kurtosis": 1e-9}.get(key, 0.0)
            assert got == pytest.approx(value, rel=1e-11, abs=loose), key
    if not len(finite):
        assert found.min is found.max is found.mean is found.l2 is None
        assert found.quantiles == {}


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1.7e308, 5e-324])
def test_powers_beyond_the_range_of_doubles(scale: float) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 1000) * scale
    found = statistics_of("float64", values)
    expected = moments(values / scale) if scale > 1e-320 else moments(values * 2.0**1022)
    for key in ("skewness", "kurtosis"):
        if expected[key] is not None:
            assert getattr(found, key) == pytest.approx(expected[key], rel=1e-9, abs=1e-9)
    assert found.max == values.max()
    if scale == 1e300:
        assert found.std == pytest.approx(np.std(values / scale) * scale, rel=1e-12)


def test_sums_beyond_the_range_are_infinite_and_the_mean_is_not() -> None:
    found = statistics_of("float64", np.full(4, 1.7e308))
    assert found.l1 == math.inf
    assert found.mean == pytest.approx(1.7e308)
    assert found.std == 0


def test_integers_keep_every_digit_of_their_extremes() -> None:
    info = np.iinfo(np.int64)
    found = statistics_of("int64", np.array([info.min, info.max, 3], np.int64))
    assert (found.min, found.max) == (info.min, info.max)
    assert found.at_limit == 2
    found = statistics_of("uint64", np.array([2**64 - 1, 2**63 + 1], np.uint64))
    assert (found.min, found.max) == (2**63 + 1, 2**64 - 1)


def test_values_at_the_limit_and_spare_bits() -> None:
    top = np.finfo(np.float32).max
    found = statistics_of("float32", np.array([top, -top, 1, np.inf], np.float32))
    assert (found.at_limit, found.posinf) == (2, 1)
    half = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    found = statistics_of("float32", (half.view(np.uint32) & 0xFFFF0000).view(np.float32))
    assert found.spare_bits >= 16
    assert found.exact
    assert statistics_of("float32", half).spare_bits == 0


@given(
    hnp.arrays(np.float32, st.integers(0, 300), elements=st.floats(width=32)),
    st.integers(1, 3),
)
def test_any_floats_at_all(values: Array, times: int) -> None:
    values = np.tile(values, times)
    found = statistics_of("float32", values)
    finite = finite_of(values)
    expected = moments(finite)
    for key in ("mean", "std", "l1", "rms"):
        value = expected[key]
        if value is None:
            assert getattr(found, key) is None
        else:
            scale = float(np.abs(finite).max())
            assert getattr(found, key) == pytest.approx(value, rel=1e-9, abs=scale * 1e-12)
    if len(finite):
        assert (found.min, found.max) == (finite.min(), finite.max())
        for quantile in (0.0, 0.3, 1.0):
            table = Table.of("float32", values.view(np.uint8).data)
            got = Statistics.of(table, (quantile,)).quantiles[f"{quantile:g}"]
            assert finite.min() <= got <= finite.max()


@pytest.mark.parametrize("name", SMALL)
def test_limits_and_subnormals_are_those_of_ml_dtypes(name: str) -> None:
    kind = np.dtype(SMALL[name])
    info = ml_dtypes.finfo(kind)
    values = random_values(name, 5000, seed=2)
    numbers = finite_of(values)
    found = statistics_of(name, values)
    assert found.at_limit == (np.abs(numbers) == float(info.max)).sum()
    normal = float(info.smallest_normal)
    assert found.subnormal == ((np.abs(numbers) < normal) & (numbers != 0)).sum()


@pytest.mark.parametrize("name", ["float4_e2m1fn", "int4", "uint4"])
def test_values_of_4_bits(name: str) -> None:
    kind = getattr(ml_dtypes, name)
    codes = np.random.default_rng(0).integers(0, 16, 1001).astype(np.uint8)
    numbers = codes.view(kind).astype(np.float64) if name.startswith("f") else (
        np.where(codes > 7, codes - 16.0, codes) if name == "int4" else codes.astype(np.float64)
    )  # fmt: skip
    table = Table(name)
    even = np.append(codes, 0).astype(np.uint8)
    table.add((even[::2] | even[1::2] << np.uint8(4)).data, 1001)
    found = Statistics.of(table)
    assert (found.min, found.max, found.count) == (numbers.min(), numbers.max(), 1001)
    assert found.zeros == (numbers == 0).sum()
    for key, value in moments(numbers).items():
        assert getattr(found, key) == pytest.approx(value, rel=1e-12, abs=1e-15), key
    expected = np.quantile(numbers, QUANTILES)
    assert list(found.quantiles.values()) == expected.tolist()
    shares = np.bincount(codes) / 1001
    assert found.entropy_bits == pytest.approx(scipy_stats.entropy(shares, base=2), rel=1e-12)


@pytest.mark.parametrize("count", [16_383, 16_384, 16_385, 49_152, 49_153])
@pytest.mark.parametrize("shift", [0.0, 5.0, -1e4])
def test_the_edges_of_blocks(count: int, shift: float) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    values += np.float32(shift)
    # Long doubles hold these sums to more digits than are asked for.
    exact = values.astype(np.longdouble)
    apart = exact - exact.mean()
    found = statistics_of("float32", values)
    assert found.count == count
    assert found.mean == pytest.approx(float(exact.mean()), rel=1e-14)
    assert found.std == pytest.approx(float(np.sqrt((apart**2).mean())), rel=1e-12)
    assert found.l1 == pytest.approx(float(np.abs(exact).sum()), rel=1e-13)
    kurtosis = (apart**4).mean() / (apart**2).mean() ** 2 - 3
    assert found.kurtosis == pytest.approx(float(kurtosis), rel=1e-9, abs=1e-10)


def test_one_outlier_among_positive_numbers() -> None:
    values = np.random.default_rng(0).random(16_384) + 1
    values[77] = 1e38
    for name in ("float32", "float64"):
        given = values.astype(name)
        found, expected = statistics_of(name, given), moments(given)
        for key, value in expected.items():
            assert getattr(found, key) == pytest.approx(value, rel=1e-9), key


@pytest.mark.parametrize("name", ["int64", "uint64", "int32", "uint32"])
def test_integers_of_the_whole_range(name: str) -> None:
    info = np.iinfo(name)
    values = np.random.default_rng(0).integers(info.min, info.max, 20_000, name, endpoint=True)
    values[:4] = info.min, info.max, info.max, 0
    found, expected = statistics_of(name, values), moments(values)
    assert (found.min, found.max) == (info.min, info.max)
    assert found.at_limit == (3 if info.min else 2)
    for key, value in expected.items():
        assert getattr(found, key) == pytest.approx(value, rel=1e-10, abs=1e-9), key
    ordered = np.sort(values)
    for q in QUANTILES:
        low, high, _ = ranks_of(q, len(values))
        ends = float(ordered[low]), float(ordered[high])
        bound = 2**-7 * max(map(abs, ends))
        assert ends[0] - bound <= found.quantiles[f"{q:g}"] <= ends[1] + bound


def test_integers_to_255_have_patterns_of_their_own() -> None:
    values = np.random.default_rng(0).integers(-255, 255, 9000, np.int64, endpoint=True)
    found = statistics_of("int64", values)
    assert found.exact
    assert list(found.quantiles.values()) == np.quantile(values, QUANTILES).tolist()
    assert found.distinct == len(np.unique(values))


def test_quantiles_between_the_largest_numbers_are_finite() -> None:
    values = np.array([-1.7e308, 1.7e308])
    table = Table.of("float64", values)
    found = Statistics.of(table, (0.0, 0.25, 0.5, 1.0)).quantiles
    assert found["0"] == pytest.approx(-1.7e308, rel=2**-4)
    assert found["1"] == pytest.approx(1.7e308, rel=2**-4)
    assert all(map(math.isfinite, found.values()))


@given(st.floats(0, 1), st.floats(0, 1))
def test_each_quantile_has_a_name_of_its_own(one: float, other: float) -> None:
    assert float(quantile_key(one)) == one
    assert (quantile_key(one) == quantile_key(other)) == (one == other)
    assert quantile_key(np.float64(one)) == quantile_key(one)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["float32", "float64"])
@given(data=st.data())
def test_quantiles_stay_within_their_patterns(name: str, data: st.DataObject) -> None:
    width = {"float32": 32, "float64": 64}[name]
    floats = st.floats(width=width, allow_nan=False, allow_infinity=False)
    values = data.draw(hnp.arrays(name, st.integers(1, 60), elements=floats))
    quantile = data.draw(st.floats(0, 1))
    found = Statistics.of(Table.of(name, values), (quantile,)).quantiles[quantile_key(quantile)]
    ordered = np.sort(values).astype(np.longdouble)
    low, high, _ = ranks_of(quantile, len(values))
    tiny = float(np.finfo(name).smallest_normal)
    share = {"float32": 2**-7, "float64": 2**-4}[name]
    bounds = [max(abs(ordered[at]) * share, tiny) for at in (low, high)]
    assert ordered[low] - bounds[0] <= found <= ordered[high] + bounds[1]
    assert ordered[0] <= found <= ordered[-1]
