"""A second look at values finds the very numbers that a full sort does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from measures_numbers import WIDE, random_values
from weigh._measures._kernels import Refiner
from weigh._measures.refine import exact_ranks
from weigh._measures.statistics import QUANTILES, Statistics, ranks_of
from weigh._measures.table import Table

Array = np.ndarray[Any, Any]


class Looks:
    """Gives the same values again and again, and counts how often."""

    def __init__(self, *values: Array) -> None:
        self.values, self.times = values, 0

    def __call__(self) -> Iterator[tuple[memoryview, int]]:
        values = self.values[min(self.times, len(self.values) - 1)]
        self.times += 1
        for at in range(0, len(values), 16384):
            part = values[at : at + 16384]
            yield part.view(np.uint8).data, len(part)


def finite_sorted(values: Array) -> Array:
    return np.sort(values[np.isfinite(values)] if values.dtype.kind == "f" else values)


def wanted_ranks(count: int, quantiles: tuple[float, ...]) -> list[int]:
    return sorted({rank for q in quantiles for rank in ranks_of(q, count)[:2]})


def check(values: Array, quantiles: tuple[float, ...] = QUANTILES) -> Looks:
    ordered, again = finite_sorted(values), Looks(values)
    table = Table.of(values.dtype.name, values)
    found = exact_ranks(table, len(ordered), quantiles, again)
    ranks = wanted_ranks(len(ordered), quantiles) if len(ordered) else []
    assert sorted(found) == ranks
    for rank in ranks:
        # Whole numbers that doubles do not have are their nearest doubles.
        assert found[rank] == ordered[rank] or float(found[rank]) == float(ordered[rank])
    return again


@pytest.mark.parametrize(("name", "most"), [("float32", 1), ("float64", 3), ("int32", 2)])
def test_few_looks_are_enough(name: str, most: int) -> None:
    assert 1 <= check(random_values(name, 100_000)).times <= most


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("int64", -(2**63), 2**63 - 1),
        ("int64", 2**62, 2**63 - 1),
        ("int64", 2**62 + 700, 2**62 + 1500),
        ("int64", -(2**63), -(2**63) + 9000),
        ("int64", -(2**53) - 50, -(2**53) + 50),
        ("uint64", 0, 2**64 - 1),
        ("uint64", 2**63, 2**63 + 5000),
        ("int32", -(2**31), 2**31 - 1),
        ("uint32", 2**31, 2**32 - 1),
    ],
)
def test_integers_of_every_size(name: str, low: int, high: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(low, high, 20_000, name, endpoint=True)
    values[:2] = low, high
    check(values, (0.0, *QUANTILES, 1.0))


@pytest.mark.parametrize("name", WIDE)
@given(data=st.data())
def test_any_bits_at_all(name: str, data: st.DataObject) -> None:
    width = np.dtype(name).itemsize
    # Few different top bits, so that values share patterns and a look is needed.
    tops = data.draw(hnp.arrays(np.uint16, st.integers(1, 6)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(1, 200))
    bits = rng.integers(0, 2 ** (8 * width - 16), count, np.uint64)
    bits |= rng.choice(tops, count).astype(np.uint64) << np.uint64(8 * width - 16)
    values = bits.astype(f"u{width}").view(name)
    check(values, (0.0, 0.01, 0.3, 0.5, 0.77, 1.0))


def test_exact_quantiles_are_numpys_also_beside_zeros_of_both_signs() -> None:
    values = np.array([-0.0, 0.0, 1e-45, -1e-45, 3e-42, -0.0, 1.0], np.float32)
    check(values, (0.0, 0.2, 0.4, 0.5, 0.9, 1.0))
    table = Table.of("float32", values)
    found = exact_ranks(table, 7, QUANTILES, Looks(values))
    made = Statistics.of(table, QUANTILES, found)
    expected = np.quantile(values.astype(float), QUANTILES)
    assert_array_equal(list(made.quantiles.values()), expected)
    assert made.exact


def test_values_that_change_between_the_looks_are_left_out() -> None:
    before = random_values("float64", 50_000)
    after = np.full(50_000, 1e10)
    again = Looks(after)
    table = Table.of("float64", before)
    found = exact_ranks(table, 50_000, QUANTILES, again)
    assert found == {}
    assert not Statistics.of(table, QUANTILES, found).exact
    # Few values are kept at the first look, so that a later change is not seen.
    kept = exact_ranks(table, 50_000, QUANTILES, Looks(before, after))
    assert kept == exact_ranks(table, 50_000, QUANTILES, Looks(before))


def test_narrow_tables_and_empty_ones_need_no_look() -> None:
    again = Looks(np.zeros(1, np.int8))
    values = random_values("int8", 1000)
    found = exact_ranks(Table.of("int8", values), 1000, (0.5,), again)
    assert list(found.values()) == np.sort(values)[[499, 500]].tolist()
    assert exact_ranks(Table("float32"), 0, (0.5,), again) == {}
    assert again.times == 0


def test_ranges_must_be_apart_and_buffers_long_enough() -> None:
    with pytest.raises(ValueError, match="apart from each other"):
        Refiner("float32", [(0, 10), (10, 20)])
    with pytest.raises(ValueError, match="no second look"):
        Refiner("int8", [(0, 1)])
    refiner = Refiner("float32", [(0, 10)])
    for count in (2, 2**62, 2**63):
        with pytest.raises(ValueError, match="fewer bytes"):
            refiner.add(b"1234567", count)
    with pytest.raises(ValueError, match="different ranges"):
        refiner.merge(Refiner("float32", [(0, 11)]))


def test_looks_at_parts_add_up() -> None:
    values = random_values("uint32", 3000)
    ranges = [(0, 2**30), (2**30 + 1, 2**32 - 1)]
    whole, left, right = (Refiner("uint32", ranges) for _ in range(3))
    whole.add(values.data.cast("B"), 3000)
    left.add(values[:1000].data.cast("B"), 1000)
    right.add(values[1000:].data.cast("B"), 2000)
    left.merge(right)
    count = int((values <= 2**30).sum())
    for rank in range(0, count, 100):
        assert left.find(0, rank) == whole.find(0, rank)
    with pytest.raises(IndexError):
        left.find(0, count)
