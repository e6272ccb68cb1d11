"""Axes: where numbers are, and ticks that are nice, in order and few."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weigh._pictures.axis import fitting_ticks
from weigh._pictures.ruler import Ruler, bin_steps, even, linear_ticks, uneven

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEASTS = st.integers(-15, -1).map(lambda power: 10.0**power)


def read(label: str) -> float:
    """Read a label back as a number."""
    label = label.replace("−", "-")
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    return float(label[:-1]) * units[label[-1]] if label[-1] in units else float(label)


@given(FINITE, FINITE, st.integers(2, 12))
def test_linear_ticks_are_few_and_in_order(low: float, high: float, most: int) -> None:
    low, high = min(low, high), max(low, high)
    ticks = linear_ticks(low, high, most)
    assert 1 <= len(ticks) <= most
    assert all(low <= tick.value <= high for tick in ticks)
    assert all(a.value < b.value for a, b in pairwise(ticks))


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(3, 12))
def test_linear_ticks_are_nice_and_say_what_they_are(low: float, wide: float, most: int) -> None:
    assume(wide > abs(low) * 1e-3)
    ticks = linear_ticks(low, low + wide, most)
    assert len(ticks) >= max(1, most // 3)
    gaps = [b.value - a.value for a, b in pairwise(ticks)]
    for gap in gaps:
        assert gap == pytest.approx(gaps[0], rel=1e-6)
        assert f"{gap:.0e}"[0] in "125"
    for tick in ticks:
        assert read(tick.label) == pytest.approx(tick.value, rel=1e-12)
        assert len(tick.label) <= 12


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), LEASTS)
def test_symmetric_ticks_are_powers_of_ten(low: float, high: float, least: float) -> None:
    low, high = min(low, high), max(low, high)
    assume(max(-low, high) > 10 * least)
    ticks = Ruler(low, high, least).powers()
    assert all(a.value < b.value for a, b in pairwise(ticks))
    for tick in ticks:
        assert low <= tick.value <= high
        assert read(tick.label) == pytest.approx(tick.value)
        assert not tick.value or f"{abs(tick.value):.6e}".startswith("1.000000")
    if low <= 0 <= high:
        assert 0 in [tick.value for tick in ticks]


@given(FINITE, FINITE, st.one_of(st.just(0.0), LEASTS), st.lists(FINITE, max_size=5))
def test_places_are_in_order(low: float, high: float, least: float, values: list[float]) -> None:
    low, high = min(low, high), max(low, high)
    ruler = Ruler(low, high, least if max(-low, high) < 1e290 else 0.0)
    places = [ruler.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    if low < high:
        assert (ruler.place(low), ruler.place(high)) == (0, 1)


@given(st.floats(-1e290, 1e290), LEASTS)
def test_what_is_uneven_is_the_inverse(value: float, least: float) -> None:
    assert uneven(even(value, least), least) == pytest.approx(value, rel=1e-9, abs=least * 1e-9)


@given(FINITE, FINITE, st.one_of(st.just(0.0), LEASTS), st.floats(20, 800))
def test_labels_never_touch(low: float, high: float, least: float, width: float) -> None:
    low, high = min(low, high), max(low, high)
    ruler = Ruler(low, high, least if 10 * least < max(-low, high) < 1e20 else 0.0)
    ticks = fitting_ticks(ruler, width)
    assert ticks
    ends = [(ruler.place(t.value) * width - 3 * len(t.label), 6 * len(t.label)) for t in ticks]
    assert all(a[0] + a[1] <= b[0] for a, b in pairwise(ends)) or len(ticks) == 1


@given(st.floats(0, 1e308))
def test_widths_of_bins_grow_by_half_at_most(least: float) -> None:
    steps = bin_steps(least)
    assert steps[0] >= least
    assert steps[0] <= max(least * 1.5, 1e-323)
    assert steps == sorted(set(steps))
