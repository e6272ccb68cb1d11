"""Plans: every value goes to one place, and from every place there is a way back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_laws import check_laws, tensor_of

from weigh._pictures.arranged import plan_of
from weigh._pictures.plan import Part, Plan, extent, pitches, starts_of
from weigh._pictures.sheet import Label


@settings(max_examples=150)
@given(
    st.lists(st.integers(1, 9), max_size=5).map(tuple),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_plans_of_small_tensors(shape: tuple[int, ...], most: tuple[int, int]) -> None:
    plan = plan_of(tensor_of(shape), most)
    check_laws(plan)
    if all(count == size for count, size in zip(plan.cells, plan.shape, strict=True)):
        assert plan.per_cell == 1


@settings(max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 40), st.booleans(), st.integers(1, 80))
def test_plans_of_long_matrices(long: int, short: int, turned: bool, most: int) -> None:
    shape = (short, long) if turned else (long, short)
    check_laws(plan_of(tensor_of(shape), (most, most)), every=long * short < 4000)


@given(st.integers(1, 10_000), st.integers(1, 500), st.sampled_from([1, 2, 3, 4]))
def test_starts_are_even_and_few(size: int, most: int, blocks: int) -> None:
    size *= blocks
    starts = starts_of(size, most, blocks)
    assert starts[0] == 0
    assert len(starts) <= most + blocks
    for block in range(blocks):
        assert block * (size // blocks) in starts
    assert sorted({*starts}) == list(starts)
    assert starts[-1] < size
    if size <= most:
        assert starts == tuple(range(size))


def test_lines_of_blocks_that_are_not_full() -> None:
    """Two blocks of 5 in lines of 3: the second begins with a line of its own."""
    rows = Part(0, "a", 2, 5, 1, ("x", "y")), Part(0, "a", 2, 3)
    plan = Plan((10,), (tuple(range(10)),), rows, (Part(0, "a", 3),))
    check_laws(plan)
    places = plan.places()
    assert [divmod(int(place), plan.width) for place in places] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1)
    ]  # fmt: skip
    assert plan.index_of(1, 2) is None  # where the first block ends
    assert plan.index_of(2, 0) is None  # the gap
    assert plan.index_of(4, 1) == (range(9, 10),)
    assert plan.labels() == ((Label(0, 2, "x"), Label(3, 5, "y")), ())


def test_pitches_and_extents() -> None:
    parts = Part(0, "a", 3, 1, 2), Part(1, "b", 4, 1, 1), Part(2, "c", 5)
    assert pitches(parts) == [25, 6, 1]
    assert extent(parts) == 73
    assert extent(()) == 1


def test_names_are_at_most_so_many() -> None:
    part = Part(0, "a", 1000, 1, 1, tuple(map(str, range(1000))))
    plan = Plan((1000, 2), (tuple(range(1000)), (0, 1)), (part, Part(1, "b", 2)), ())
    rows, _ = plan.labels()
    assert len(rows) <= 64
    assert [label.text for label in rows[:3]] == ["0", "16", "32"]
    assert rows[1].start == 16 * 3


@pytest.mark.parametrize("starts", [((0, 1), (0, 2, 4)), ((0,), (0, 5))])
def test_values_per_cell(starts: tuple[tuple[int, ...], ...]) -> None:
    plan = Plan((2, 6), starts, (Part(0, "a", len(starts[0])),), (Part(1, "b", len(starts[1])),))
    check_laws(plan)
    assert plan.per_cell == (2 if len(starts[0]) == 2 else 10)
