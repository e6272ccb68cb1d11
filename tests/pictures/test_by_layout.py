"""Arrangements by a layout: held against einops where that has a way to say the same."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_laws import check_laws, laid_out, tensor_of

import weigh
from weigh._errors import UsageError
from weigh._pictures.picture import plan_for
from weigh._pictures.plan import Plan


def without_gaps(plan: Plan, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lay values out, and leave out every row and column that is empty."""
    sheet = laid_out(plan, values)
    empty = np.isnan(sheet)
    found: np.ndarray[Any, Any] = sheet[~empty.all(1)][:, ~empty.all(0)]
    return found


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], str, dict[str, int]]:
    """Make a shape and a layout of it, some axes being cut evenly."""
    rank = draw(st.integers(1, 4))
    shape, left, sizes, names = [], [], {}, []
    for axis in range(rank):
        if draw(st.booleans()):
            outer, inner = draw(st.integers(1, 4)), draw(st.integers(1, 4))
            shape.append(outer * inner)
            left.append(f"(p{axis} q{axis})")
            given_one = draw(st.sampled_from("pq"))
            sizes[f"{given_one}{axis}"] = outer if given_one == "p" else inner
            if draw(st.booleans()):
                sizes |= {f"p{axis}": outer, f"q{axis}": inner}
            names += [f"p{axis}", f"q{axis}"]
        else:
            shape.append(draw(st.integers(1, 5)))
            left.append(f"n{axis}")
            names.append(f"n{axis}")
    mixed = draw(st.permutations(names))
    cut = draw(st.integers(0, len(mixed)))
    sides = [mixed[:cut], mixed[cut:]]
    right = " ".join(f"({' '.join(side)})" for side in sides)
    return tuple(shape), f"{' '.join(left)} -> {right}", sizes


@settings(max_examples=150)
@given(layouts())
def test_a_sheet_is_what_einops_makes(case: tuple[tuple[int, ...], str, dict[str, int]]) -> None:
    shape, layout, sizes = case
    tensor = tensor_of(shape)
    plan = plan_for(tensor, layout=layout, sizes=sizes, cells=(8192, 8192))
    check_laws(plan, every=tensor.read().size < 300)
    values = tensor.read()
    np.testing.assert_array_equal(without_gaps(plan, values), rearrange(values, layout, **sizes))


@settings(max_examples=80)
@given(
    st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9), st.booleans()
)  # fmt: skip
def test_an_axis_may_be_cut_unevenly(n: int, h: int, w: int, across: int, outer: bool) -> None:
    tensor = tensor_of((n, 1, h, w))
    sizes = {"r": -(-n // across)} if outer else {"c": across}
    if outer:
        across = -(-n // sizes["r"])
    plan = plan_for(tensor, layout="(r c) 1 h w -> (r h) (c w)", sizes=sizes)
    check_laws(plan)
    padded = np.full((sizes.get("r", -(-n // across)) * across, h, w), np.nan)
    padded[:n] = tensor.read()[:, 0]
    wanted = rearrange(padded, "(r c) h w -> (r h) (c w)", c=across)
    kept = ~np.isnan(wanted)
    wanted = wanted[kept.any(1)][:, kept.any(0)]
    np.testing.assert_array_equal(without_gaps(plan, tensor.read()), wanted)


def test_a_cut_of_no_size_is_neither_tall_nor_wide() -> None:
    for shape in ((64, 1, 5, 5), (7, 1, 9, 2), (1000, 1, 1, 1), (512, 1, 3, 3)):
        plan = plan_for(tensor_of(shape), layout="(r c) 1 h w -> (r h) (c w)")
        check_laws(plan, every=False)
        assert 1 <= plan.width / plan.height < 2.6


def test_two_axes_by_their_names() -> None:
    net = weigh.open({"conv.weight": np.arange(24.0).reshape(2, 3, 2, 2)})
    tensor = net["conv.weight"][:, :, 1, 1]
    names = [axis.name for axis in tensor.axes]
    assert names == ["out_channels", "in_channels"]
    for rows, columns in ((0, 1), (1, 0)):
        plan = plan_for(tensor, axes=(names[rows], names[columns]))
        values = tensor.read()
        shown = laid_out(plan, values)
        np.testing.assert_array_equal(shown, values if rows == 0 else values.T)
    # An axis of 1 may be left where it is.
    one = net["conv.weight"][:, :, :1, :1]
    assert plan_for(one, axes=("in_channels", "out_channels")).cells == (2, 3, 1, 1)


def test_values_share_cells_where_there_is_no_room() -> None:
    tensor = tensor_of((100, 90))
    plan = plan_for(tensor, layout="a b -> b a", cells=(10, 20))
    check_laws(plan)
    assert (plan.height, plan.width) == (10, 20)
    assert plan.per_cell == 5 * 9
    # The innermost part gives way first.
    plan = plan_for(tensor_of((10, 8, 100)), layout="a b c -> (a b) c", cells=(20, 50))
    check_laws(plan)
    assert plan.cells == (10, 2, 100)


def test_colours_by_a_layout() -> None:
    plan = plan_for(tensor_of((4, 3, 5, 5)), layout="(r k) c h w -> (r h) (k w) c", sizes={"r": 2})
    assert plan.colour == 1
    check_laws(plan)


LAYOUT = "o i h w -> (o h) (i w)"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "a b -> a b"}, "names 2 axes, and a has 4"),
        ({"layout": LAYOUT, "sizes": {"q": 2}}, "no part 'q'"),
        ({"layout": LAYOUT, "sizes": {"ii": 2}}, "Did you mean 'i'|no part 'ii'"),
        ({"layout": "o 1 h w -> (o h) w"}, r"axis 1 .* has 3 positions, not 1.*a\[:, 0, :, :\]"),
        ({"layout": "(a b c) i h w -> (a b h) (c i w)"}, "the size of '[bc]' is open"),
        ({"layout": "(a b) i h w -> (a b h) (i w)", "sizes": {"a": 2, "b": 2}}, "have 4 positions"),
        ({"layout": LAYOUT, "sizes": {"o": 3}}, "have 3 positions, and it has 8"),
        ({"layout": LAYOUT, "sizes": {"o": 0}}, "at least one position"),
        ({"layout": LAYOUT, "sizes": {"o": -8}}, "at least one position"),
        ({"layout": "o i h w -> h (i w) o"}, "only an axis of 3"),
        ({"layout": "o (c d) h w -> (o d h) w c", "sizes": {"c": 3}}, "only an axis of 3"),
        ({"layout": LAYOUT, "axes": ("axis 0", "axis 1")}, "says already which axes"),
        ({"sizes": {"o": 8}}, "sizes are those of a layout's parts"),
        ({"axes": ("axis 0", "axis 9")}, "no axis 'axis 9'"),
        ({"axes": ("axis 0", "axis 0")}, "two different axes"),
        ({"axes": ("axis 0", "axis 1")}, "axis 2 .* has 5 positions, not 1"),
        ({"cells": (0, 5)}, "1 to 8,192 cells"),
        ({"cells": (5, 10**9)}, "1 to 8,192 cells"),
        ({"layout": "(r c) i h w -> (r h) (c i w)", "sizes": {"c": 10**9}}, "too large to be made"),
        ({"layout": "o", "cells": (5, 5)}, "has an arrow"),
        ({"rgb": True, "layout": None, "cells": (9, 9)}, ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options: dict[str, Any], says: str) -> None:
    tensor = tensor_of((8, 3, 5, 5))
    if not says:
        assert plan_for(tensor, **options).colour == 1
        return
    with pytest.raises(UsageError) as caught:
        plan_for(tensor, **options)
    assert re.search(says, str(caught.value)), str(caught.value)


def test_only_three_are_colours() -> None:
    with pytest.raises(UsageError, match="only an axis of 3"):
        plan_for(tensor_of((8, 4, 5, 5)), rgb=True)
    assert plan_for(tensor_of((3, 4, 5)), rgb=True).colour == 0
