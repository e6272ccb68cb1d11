"""Ridges: a row for each tensor on one axis, however many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn import SVG, all_finite, parsed, same_as_golden, table_of, words
from hypothesis import given, settings
from hypothesis import strategies as st
from test_histogram import AFTER, BEFORE, INITIAL, SOME, finite

from weigh._errors import UsageError
from weigh._pictures.colours import Theme
from weigh._pictures.ridge import MOST, Ridge, ridge_of
from weigh._tensor import Initial

RNG = np.random.default_rng(0)


def rows_of(count: int, name: str = "layers.{}.weight") -> list[Any]:
    return [
        (name.format(at), table_of((RNG.standard_normal(500) * 0.1).astype(np.float32)), None)
        for at in range(count)
    ]


def said(ridge: Ridge) -> str:
    return " ".join(ridge.caption)


@settings(max_examples=60)
@given(SOME, INITIAL, st.sampled_from(["linear", "symlog"]), st.integers(1, 60))
def test_any_values_at_all(both: Any, initial: Initial | None, scale: Any, bins: int) -> None:
    rows = [("a", table_of(both[0]), initial), ("b\x00<", table_of(both[1]), None)]
    made = ridge_of(rows, scale=scale, bins=bins)
    for values, row in zip(both, made.rows, strict=True):
        if made.edges:
            assert sum(row.counts) + row.outside == len(finite(values))
        assert row.odd == len(values) - len(finite(values))
    assert all_finite(made.drawing())
    parsed(made.svg())
    assert made.text(50, ascii_only=True).isascii()


def test_every_row_is_numpys() -> None:
    rows = rows_of(5)
    values = [RNG.standard_normal(3000).astype(np.float16) * (at + 1) for at in range(5)]
    made = ridge_of([(f"{at}", table_of(each), None) for at, each in enumerate(values)])
    for row, each in zip(made.rows, values, strict=True):
        assert np.array_equal(row.counts, np.histogram(finite(each), np.array(made.edges))[0])
        assert row.std == pytest.approx(finite(each).std(), rel=1e-12)
    svg = ridge_of(rows).svg()
    assert [f"layers.{at}.weight" in words(svg) for at in range(5)] == [True] * 5


@pytest.mark.parametrize("count", [1, 31, 61, MOST])
def test_it_grows_with_its_rows(count: int) -> None:
    made = ridge_of(rows_of(count))
    assert len(made.rows) == count
    assert made.left_out == 0
    assert f"{count} row" in said(made)


def test_thousands_of_rows_do_not_explode() -> None:
    rows = rows_of(MOST) + rows_of(1)[:1] * 4880
    made = ridge_of(rows)
    assert len(made.rows) == MOST
    assert made.left_out == 5000 - MOST
    assert "The first 120 of 5,000 rows" in said(made)
    assert made.drawing().height < 2500
    assert len(made.svg()) < 400_000
    assert len(ridge_of(rows, most=7).rows) == 7


def test_long_names_are_shortened_in_the_drawing_alone() -> None:
    name = "a_model.with.an_absurdly.long.name.layers.{}.self_attention.query_projection.weight"
    made = ridge_of(rows_of(2, name))
    texts = [node for node in parsed(made.svg()).iter(f"{SVG}text") if len(node)]
    assert [node[0].text for node in texts] == [name.format(0), name.format(1)]
    assert all("…" in (node[0].tail or "") for node in texts)
    assert name.format(1) in made.text(80)


def test_what_is_left_out_is_said() -> None:
    far = (RNG.standard_normal(50_000) * 0.1).astype(np.float32)
    far[0], far[1], far[2] = 100, np.nan, np.inf
    rows = [*rows_of(2), ("far", table_of(far), None)]
    made = ridge_of(rows)
    assert made.rows[2].outside >= 1
    assert f"{sum(row.outside for row in made.rows):,} value" in said(made)
    assert "2 values of 1 row are NaN or infinite, and not drawn." in said(made)
    nothing = ridge_of([("none", table_of(np.array([np.nan], np.float32)), None)])
    assert "There is no finite value to draw." in said(nothing)
    assert ridge_of([]).text() == "0 rows, each with a height of its own. " + (
        "There is no finite value to draw."
    )


def test_a_linear_axis_that_shows_little_recommends_the_other() -> None:
    rows = rows_of(3)
    rows.append(("wide", table_of((RNG.standard_normal(500) * 20).astype(np.float32)), None))
    assert "a symmetric-logarithmic one shows more" in said(ridge_of(rows))
    assert "a symmetric-logarithmic one shows more" not in said(ridge_of(rows, scale="symlog"))


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"scale": "log"}, {"bins": 0}, {"most": 0}):
        with pytest.raises(UsageError):
            ridge_of(rows_of(1), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", ["linear", "symlog"])
def test_ridges_look_as_they_did(theme: Theme, scale: Any) -> None:
    rows: list[Any] = [
        ("conv1.weight", table_of(BEFORE), Initial("uniform", -0.25, 0.25)),
        ("conv1.bias", table_of(BEFORE[::7]), None),
        ("encoder.with.a_rather.long.name.of.a.layer.weight", table_of(AFTER), None),
        ("norm.weight", table_of((1 + BEFORE / 4).astype(np.float32)), Initial("constant", 1, 0)),
    ]
    made = ridge_of(rows, scale=scale)
    assert same_as_golden(f"ridge_{scale}_{theme}.svg", made.svg(theme))
    assert same_as_golden(f"ridge_{scale}_{theme}.png", made.png(theme))
