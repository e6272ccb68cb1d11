"""How well values fit a distribution: held against SciPy."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from weigh._measures.fit import Distribution, distance, top_deviation
from weigh._measures.table import Table

KNOWN = [
    (Distribution("uniform", -0.2, 0.3), stats.uniform(-0.2, 0.5)),
    (Distribution("normal", 0.1, 0.02), stats.norm(0.1, 0.02)),
    (Distribution("truncated", 0.0, 0.5), stats.truncnorm(-2, 2, 0, 0.5)),
]
NARROW = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


@pytest.mark.parametrize(("ours", "theirs"), KNOWN)
def test_distributions_are_scipys(ours: Distribution, theirs: Any) -> None:
    assert ours.mean == pytest.approx(theirs.mean(), abs=1e-12)
    assert ours.std == pytest.approx(theirs.std(), rel=1e-9)
    assert ours.kurtosis == pytest.approx(theirs.stats("k"), abs=1e-6)
    low, high = theirs.support()
    assert ours.ends == pytest.approx((low, high))
    for x in np.linspace(ours.mean - 4 * ours.std, ours.mean + 4 * ours.std, 41):
        assert ours.below(float(x)) == pytest.approx(theirs.cdf(x), abs=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), KNOWN)
@pytest.mark.parametrize("n", [7, 100, 100_000])
def test_the_distance_is_scipys_to_within_a_pattern(
    ours: Distribution, theirs: Any, n: int
) -> None:
    values = theirs.rvs(n, random_state=n).astype(np.float32)
    found, count = distance(Table.of("float32", values), ours)
    exact = stats.kstest(values, theirs.cdf).statistic
    assert count == n
    # Compared at the ends of patterns, of which the widest holds some thousandths.
    assert exact - 0.006 <= found <= exact + 1e-9


@pytest.mark.parametrize("kind", list(NARROW))
@pytest.mark.parametrize("scale", [1.0, 0.004, 1e-6])
def test_rounding_makes_no_difference(kind: str, scale: float) -> None:
    """A million values that were rounded fit as well as before: subnormals and zeros too."""
    values = np.random.default_rng(1).normal(0, scale, 1_000_000)
    rounded = values.astype(NARROW[kind])
    assert kind == "bfloat16" or scale > 1e-5 or (rounded == 0).sum() > 10_000
    found, n = distance(Table.of(kind, rounded.view(np.uint16)), Distribution("normal", 0, scale))
    assert found * np.sqrt(n) < 1.7


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 20, 300]))
def test_the_calibration_of_the_test(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)
    found, _ = distance(Table.of("float32", values), Distribution("uniform", -1, 1))
    assert found <= stats.kstest(values, stats.uniform(-1, 2).cdf).statistic + 1e-9


def test_the_top_singular_value_of_noise_and_of_structure() -> None:
    rng = np.random.default_rng(0)
    for shape in ((40, 30), (300, 200), (100, 900)):
        noise = rng.normal(size=shape)
        exact = np.linalg.svd(noise)[1][0] ** 2 / np.mean(noise**2)
        n, p = max(shape), min(shape)
        edge = (np.sqrt(n - 1) + np.sqrt(p)) ** 2
        width = (np.sqrt(n - 1) + np.sqrt(p)) * (1 / np.sqrt(n - 1) + 1 / np.sqrt(p)) ** (1 / 3)
        assert top_deviation(noise) == pytest.approx((exact - edge) / width, abs=2e-3)
        assert abs(top_deviation(noise)) < 4
        learned = noise + 3 / np.sqrt(p) * np.outer(rng.normal(size=n), rng.normal(size=p)).reshape(
            (n, p)
        ).T.reshape(shape)
        assert top_deviation(learned) > 4
    assert top_deviation(np.zeros((5, 5))) == 0
