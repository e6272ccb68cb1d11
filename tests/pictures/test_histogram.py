"""Histograms: counts are NumPy's, nothing ruins a picture, and the caption says what it shows."""

from __future__ import annotations

from typing import Any, Literal

import ml_dtypes
import numpy as np
import pytest
from drawn import Array, all_finite, decoded, parsed, same_as_golden, table_of, words
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

import weigh
from weigh._errors import UsageError
from weigh._measures.table import Table
from weigh._pictures.bins import Counted
from weigh._pictures.colours import Theme
from weigh._pictures.histogram import Histogram, histogram_of
from weigh._tensor import Initial

TYPES = (
    "float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint64", "bool",
)  # fmt: skip
RNG = np.random.default_rng(0)
NORMAL = (RNG.standard_normal(20_000) * 0.02).astype(np.float32)
Scales = Literal["linear", "symlog"]


def pairs(name: str) -> st.SearchStrategy[tuple[Array, Array]]:
    values = arrays.arrays(np.dtype(name), st.integers(0, 30))
    return st.tuples(values, values)


SOME = st.sampled_from(TYPES).flatmap(pairs)
INITIAL = st.none() | st.builds(
    Initial,
    st.sampled_from(["uniform", "normal", "constant"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)


def finite(values: Array) -> Array:
    wide = values.astype(np.float64)
    return wide[np.isfinite(wide)]


def said(histogram: Histogram) -> str:
    return " ".join(histogram.caption)


@settings(max_examples=150)
@given(SOME, INITIAL, st.sampled_from(["linear", "symlog"]), st.integers(1, 90), st.booleans())
def test_any_values_at_all(
    both: tuple[Array, Array],
    initial: Initial | None,
    scale: Scales,
    bins: int,
    whole: bool,
) -> None:
    """Empty, constant, NaN, infinite, subnormal or as large as can be: nothing is lost."""
    made = histogram_of(
        table_of(both[0]),
        beside=table_of(both[1]),
        scale=scale,
        bins=bins,
        whole=whole,
        initial=initial,
    )
    for values, part in zip(both, made.parts, strict=True):
        numbers = finite(values)
        assert part.values == len(values)
        assert part.finite == len(numbers)
        assert part.zeros == (values == 0).sum()
        if made.edges:
            assert len(part.counts) <= bins
            expected = np.histogram(numbers, np.array(made.edges))[0]
            assert abs(expected - part.counts).max() <= part.error
            assert part.below + sum(part.counts) + part.above == len(numbers)
            if whole or scale == "symlog":
                assert part.below == part.above == 0
    assert bool(made.edges) == any(len(finite(values)) for values in both)
    assert all_finite(made.drawing())
    parsed(made.svg())
    assert said(made) in parsed(made.svg())[1].text  # type: ignore[operator]
    for ascii_only in (False, True):
        text = made.text(60, ascii_only=ascii_only)
        assert not ascii_only or text.isascii()


@pytest.mark.parametrize("scale", ["linear", "symlog"])
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "int8"])
def test_counts_are_exact(name: str, scale: Scales) -> None:
    values = RNG.standard_normal(50_000) * (30 if name == "int8" else 0.02)
    if name == "int8":
        values = values.clip(-128, 127)
    kept = values.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    kept[:50] = 0
    table = table_of(kept, name)
    for whole in (False, True):
        made = histogram_of(table, scale=scale, whole=whole)
        (part,) = made.parts
        assert part.estimated == part.error == 0
        expected = np.histogram(finite(kept), np.array(made.edges))[0]
        assert np.array_equal(part.counts, expected)
        assert "All counts are exact." in made.caption
        assert 40 <= len(part.counts) <= 80


def test_values_of_few_bits_make_no_comb() -> None:
    """Each bin has as many of the type's numbers as its neighbours, so no bin has twice its share.

    Bins of any other width do: NumPy's of the same number are the example.
    """
    values = RNG.uniform(-1, 1, 400_000).astype(ml_dtypes.bfloat16)
    (part,) = histogram_of(table_of(values, "bfloat16")).parts
    assert max(part.counts[1:-1]) < 1.1 * min(part.counts[1:-1])
    other = np.histogram(finite(values), 75)[0][1:-1]
    assert max(other) > 1.1 * min(other)


def test_what_cannot_be_exact_is_said() -> None:
    values = (1000 + RNG.standard_normal(5000)).astype(np.float32)
    made = histogram_of(table_of(values))
    (part,) = made.parts
    assert part.estimated
    expected = np.histogram(finite(values), np.array(made.edges))[0]
    assert 0 < abs(expected - part.counts).max() <= part.error
    assert f"Counts of {part.estimated} bins are estimated, each to within" in said(made)


@pytest.mark.parametrize("outliers", [1, 5])
def test_an_outlier_does_not_squash_a_linear_histogram(outliers: int) -> None:
    values = NORMAL.copy()
    values[:outliers] = 5
    made = histogram_of(table_of(values), name="fc.weight")
    (part,) = made.parts
    assert sum(count > 0 for count in part.counts) > 40
    assert made.edges[-1] < 0.1
    assert part.above == (finite(values) > made.edges[-1]).sum() >= outliers
    assert part.below == (finite(values) < made.edges[0]).sum()
    assert f"{part.above:,} value" in said(made)
    assert any(word.startswith(f"{part.above:,} above ") for word in words(made.svg()))
    whole = histogram_of(table_of(values), whole=True)
    assert whole.edges[-1] >= 5
    assert whole.parts[0].above == 0
    # A tail that is no further than that of a normal distribution is drawn whole.
    assert histogram_of(table_of(NORMAL)).parts[0].above == 0


def test_the_initial_distribution_is_scipys() -> None:
    for initial, of in (
        (Initial("normal", 0.001, 0.02), stats.norm(0.001, 0.02)),
        (Initial("uniform", -0.03, 0.04), stats.uniform(-0.03, 0.07)),
    ):
        for scale in ("linear", "symlog"):
            made = histogram_of(table_of(NORMAL), initial=initial, scale=scale)  # type: ignore[arg-type]
            expected = np.diff(of.cdf(made.edges)) * len(NORMAL)
            np.testing.assert_allclose(made.expected, expected, atol=1e-7)
            assert "The dashed line is how it begins by default:" in said(made)
            assert "stroke-dasharray" in made.svg()


def test_a_constant_is_a_line_where_it_is() -> None:
    values = (1 + RNG.standard_normal(300) * 0.1).astype(np.float32)
    made = histogram_of(table_of(values), initial=Initial("constant", 1.0, 0.0))
    assert made.constant == 1
    assert made.svg().count("stroke-dasharray") == 2  # it, and the legend
    far = histogram_of(table_of(values), initial=Initial("constant", 0.0, 0.0))
    assert far.constant is None
    assert "which is outside" in said(far)
    assert "stroke-dasharray" not in far.svg()


def test_a_tensor_brings_its_name_and_how_it_began() -> None:
    net = weigh.open({"fc.weight": NORMAL.reshape(100, 200), "fc.bias": NORMAL[:100]})
    made = histogram_of(net["fc.weight"])  # type: ignore[arg-type]
    assert made.name == "fc.weight"
    assert made.initial == net["fc.weight"].initial  # type: ignore[union-attr]
    assert made.initial is not None
    assert histogram_of(net["fc.weight"], initial=False).initial is None  # type: ignore[arg-type]
    both = histogram_of(net["fc.weight"], beside=table_of(NORMAL * 2), labels=("a", "b"))  # type: ignore[arg-type]
    assert "Grey is a, blue is b." in said(both)


def test_what_is_not_finite_is_counted_and_not_drawn() -> None:
    values = NORMAL.copy()
    values[:6] = [np.nan, np.nan, np.inf, -np.inf, -np.inf, -np.inf]
    values[10:17] = 0
    made = histogram_of(table_of(values))
    assert "2 NaN, 1 +Inf and 3 −Inf are counted here and not drawn." in made.caption
    assert "7 of them 0." in said(made)
    assert sum(made.parts[0].counts) == len(values) - 6
    nothing = histogram_of(table_of(np.array([np.nan, np.inf], np.float32)), name="gone")
    assert nothing.edges == ()
    assert "There is no finite value to draw." in nothing.caption
    assert "gone" in words(nothing.svg())
    assert "0 values. There is no finite value to draw." in said(histogram_of(Table("float32")))


def test_a_bin_far_above_all_others_is_cut_and_says_so() -> None:
    values = NORMAL.copy()
    values[:15_000] = 0
    made = histogram_of(table_of(values), name="pruned")
    most = max(made.parts[0].counts)
    assert made.top < most / 5
    assert f"is cut: it has {most:,}." in said(made)
    assert f"{most:,}" in words(made.svg())
    assert made.top >= sorted(made.parts[0].counts)[-2]


def test_integers_are_in_the_middle_of_their_bins() -> None:
    values = np.array([3, 3, 4, 7], np.int8)
    made = histogram_of(table_of(values))
    assert made.edges == (2.5, 3.5, 4.5, 5.5, 6.5, 7.5)
    assert made.parts[0].counts == (2, 1, 0, 0, 1)
    assert histogram_of(table_of(np.array([True, False, True]))).parts[0].counts == (1, 2)
    wide = histogram_of(table_of(RNG.integers(-30_000, 30_000, 9999).astype(np.int16)))
    assert all((edge - 0.5).is_integer() for edge in wide.edges[wide.edges[0] < 0 :] if edge > 0)


def test_the_letters_say_the_same() -> None:
    made = histogram_of(
        table_of(NORMAL),
        name="fc.weight",
        beside=table_of(NORMAL * 2),
        initial=Initial("normal", 0, 0.02),
    )
    for width in (40, 80, 200):
        for ascii_only in (False, True):
            lines = made.text(width, ascii_only=ascii_only).splitlines()
            assert lines[0] == "fc.weight"
            assert max(map(len, lines)) <= width
            assert {"before", "after"} <= {line.strip() for line in lines}
            assert " ".join(lines).isascii() == ascii_only
    lines = made.text(80).splitlines()
    drawn = [line.split("│", 1)[1] for line in lines if "│" in line]
    assert len(drawn) == 16
    # What is wider is lower.
    assert "█" in drawn[0]
    assert "█" not in drawn[8]
    hostile = histogram_of(table_of(NORMAL), name="a\x1b[2Jb\nc").text(60)
    assert hostile.splitlines()[0] == r"a\x1b[2Jb\nc"


def test_what_makes_no_sense_is_refused() -> None:
    table = table_of(NORMAL)
    with pytest.raises(UsageError, match="no scale 'log'"):
        histogram_of(table, scale="log")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one bin, not 0"):
        histogram_of(table, bins=0)


def test_counted_notes_where_an_edge_splits_a_pattern() -> None:
    values = np.array([1.0, 1.001, 1.002, 2.0], np.float32)  # the first three share 16 bits
    assert Counted.of(table_of(values), [0.0, 1.0, 1.0078125, 3.0]).estimated == 0
    split = Counted.of(table_of(values), [0.0, 1.0015, 3.0])
    assert (split.estimated, split.error) == (2, 3)


# Golden pictures. Their values are multiples of powers of two: no machine rounds them.


def _grid(rows: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    return np.repeat([(at + 0.5) / 64 for at, _ in rows], [n for _, n in rows]).astype(np.float32)


BEFORE = _grid([(at, 90 + (at * 7) % 13) for at in range(-16, 16)])
AFTER = np.concatenate(
    [_grid([(at, 4 + 40 * 40 // (20 + at * at)) for at in range(-40, 40)]), [np.nan, np.inf]]
).astype(np.float32)
GOLDEN = {
    "histogram": histogram_of(
        table_of(BEFORE),
        name="conv1.weight",
        beside=table_of(AFTER),
        initial=Initial("uniform", -0.25, 0.25, "1 / sqrt(fan_in)"),
    ),
    "histogram_symlog": histogram_of(table_of(AFTER), name="conv1.weight", scale="symlog"),
    "histogram_outlier": histogram_of(
        table_of(np.concatenate([np.tile(BEFORE, 3), [-9, 64, 64]]).astype(np.float32)),
        name="a_network.with.a.very.long.name.that.does.not.fit.on.one.line.of.its.picture.weight",
        initial=Initial("constant", 0.0, 0.0),
    ),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", GOLDEN)
def test_histograms_look_as_they_did(name: str, theme: Theme) -> None:
    assert same_as_golden(f"{name}_{theme}.svg", GOLDEN[name].svg(theme))
    assert same_as_golden(f"{name}_{theme}.png", GOLDEN[name].png(theme))
    assert decoded(GOLDEN[name].png(theme)).shape[1] == 1280
