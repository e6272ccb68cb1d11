"""The rows and the total of a whole network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

import weigh
from weigh._api import collect
from weigh._errors import UnknownNameError, UsageError
from weigh._measures.measured import Options
from weigh._measures.report import BINS, small_histogram
from weigh._measures.statistics import QUANTILES, Statistics
from weigh._measures.table import Table


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.standard_normal((40, 30)).astype("f4"),
        "a.bias": rng.standard_normal(40).astype("f8"),
        "b.weight": rng.standard_normal((20, 40)).astype("f2"),
        "b.steps": rng.integers(-(2**40), 2**40, 9),
    }


def test_the_total_of_several_types_is_that_of_all_values() -> None:
    given = arrays()
    report = weigh.stats(given)
    every = np.concatenate([array.astype("f8").ravel() for array in given.values()])
    wanted = [t.name for t in weigh.open(given).tensors() if t.role == "parameter"]
    if wanted:
        every = np.concatenate([given[name].astype("f8").ravel() for name in wanted])
    total = report.total
    assert (total.count, total.min, total.max) == (len(every), every.min(), every.max())
    assert total.dtype == "mixed"
    assert_allclose(total.mean, math.fsum(every) / len(every), rtol=1e-12)
    assert_allclose(total.std, every.std(), rtol=1e-12)
    assert_allclose(total.kurtosis, scipy_stats.kurtosis(every), rtol=1e-9)
    for q in QUANTILES:
        low, high = np.quantile(every, q, method="lower"), np.quantile(every, q, method="higher")
        bound = 2**-4 * max(abs(low), abs(high))
        assert low - bound <= total.quantiles[f"{q:g}"] <= high + bound
    assert report.total_row.tensors == len(wanted or given)


def test_a_type_with_huge_numbers_among_others() -> None:
    report = weigh.stats({"x": np.array([1.0, 1e300, -1e300, 1e-300]), "y": np.ones(3, "f4")})
    assert (report.total.min, report.total.max) == (-1e300, 1e300)
    one = weigh.stats({"x": np.array([1.0, 2e300]), "y": np.ones(3, "f4")}, quantiles=(0.0, 1.0))
    assert 1 <= one.total.quantiles["0"] <= 1 + 2**-7
    assert one.total.quantiles["1"] > 3.5e38


def test_rows_by_name_and_as_records() -> None:
    report = weigh.stats(arrays(), quantiles=(0.5, 0.1234567, 0.12345678, 1))
    assert [row.name for row in report] == list(arrays())
    records = report.records()
    assert [record["name"] for record in records] == list(arrays())
    for record in records:
        values = arrays()[record["name"]].astype("f8")
        assert record["tensors"] == 1
        assert_allclose(record["q0.1234567"], np.quantile(values, 0.1234567))
        assert_allclose(record["q0.12345678"], np.quantile(values, 0.12345678))
        assert (record["q1"], record["max"]) == (values.max(), values.max())
    with pytest.raises(UnknownNameError, match="no statistics of 'c'"):
        report["c"]


@pytest.mark.parametrize("quantile", [-0.1, 1.5, math.nan])
def test_a_quantile_is_between_0_and_1(quantile: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        weigh.stats(arrays(), quantiles=(quantile,))


def test_what_is_done_can_be_seen_before_all_is() -> None:
    collector = collect(arrays(), None, "", Options(threads=1))
    empty = collector.report()
    assert (len(empty), empty.total.count, empty.complete) == (0, 0, False)
    running = collector.run()
    done = {next(running), next(running)}
    part = collector.report()
    assert {row.name for row in part} == done
    assert not part.complete
    assert set(running) | done == set(arrays())
    assert collector.report().complete
    assert collector.report() == collector.report()


@pytest.mark.parametrize("by", ["layer", "kind", "dtype", "role", "out_features"])
def test_what_cannot_be_measured_is_said_whatever_the_rows_are(by: str) -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(2, 2, device="meta"), torch.nn.LazyLinear(3), torch.nn.Linear(2, 2)
    )
    report = weigh.stats(module, by=by)
    problems = {row.name: row.problem for row in report if row.problem}
    assert set(problems) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert sum(row.statistics.count for row in report if row.statistics) == 6
    assert report.total.count == 6
    with pytest.raises(UnknownNameError):
        report["0.weight"]


def test_groups_and_the_total_agree_whatever_the_threads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = {f"{i}.weight": torch.randn(700, 900) * 10.0**-i for i in range(4)}
    given["4.weight"] = torch.randn(3000, 2000).to(torch.bfloat16)
    torch.save(given, tmp_path / "m.pt")
    for by in ("", "layer", "dtype", "role"):
        reports = [weigh.stats(tmp_path / "m.pt", by=by, threads=n).records() for n in (1, 2, 5)]
        assert reports[0] == reports[1] == reports[2]
    by_layer, by_dtype = (weigh.stats(tmp_path / "m.pt", by=by) for by in ("layer", "dtype"))
    assert by_layer.total == by_dtype.total
    assert by_dtype["bfloat16"].count == 6_000_000


def test_the_small_histogram_has_every_finite_value() -> None:
    values = np.append(np.random.default_rng(0).standard_normal(5000), [1e30, -1e30])
    for name in ("float64", "float32", "float16"):
        with np.errstate(over="ignore"):
            table = Table.of(name, values.astype(name).view(np.uint8).data)
        low, high, bins = small_histogram(table)
        assert len(bins) == BINS
        assert sum(bins) == Statistics.of(table).finite
        assert -5 < low < -2 < 2 < high < 5
    assert small_histogram(Table("float32")) == (0.0, 0.0, ())
    assert small_histogram(Table.of("int8", np.full(5, 3, np.int8))) == (3.0, 3.0, ())
