"""The kernel that brings a matrix together to cells, held against NumPy cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures_numbers import EVERY, SMALL, as_float, random_values
from weigh._measures._kernels import shrink, vector_level
from weigh._measures.table import Table

Array = np.ndarray[Any, Any]
NAN, POSINF, NEGINF, FINITE = 1, 2, 4, 8
MODES = ("extreme", "rms", "mean")


@pytest.fixture(params=[0, 1, 2], ids="level{}".format)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    before = vector_level(request.param)
    yield request.param
    vector_level(before)


def shrunk(
    name: str,
    values: Array,
    row_starts: tuple[int, ...],
    column_starts: tuple[int, ...],
    how: str,
    table: Table | None = None,
) -> tuple[Array, Array]:
    raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    rows, columns = values.shape
    numbers, flags = shrink(name, raw, columns, row_starts, column_starts, rows, how, table)
    shape = len(row_starts), len(column_starts)
    return np.frombuffer(numbers).reshape(shape), np.frombuffer(flags, np.uint8).reshape(shape)


def expected(values: Array, how: str) -> tuple[float, int]:
    """Say by NumPy what the cell of some values shows, and what it holds."""
    numbers = as_float(values).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    flags = (
        NAN * bool(np.isnan(numbers).any())
        | POSINF * bool(np.isposinf(numbers).any())
        | NEGINF * bool(np.isneginf(numbers).any())
        | FINITE * bool(finite.size)
    )
    if not finite.size:
        return 0.0, flags
    if how == "extreme":
        low, high = finite.min(), finite.max()
        return float(low if -low >= high else high), flags
    wide = finite.astype(np.longdouble)
    if how == "rms":
        return float(np.sqrt(np.mean(wide * wide))), flags
    return float(np.mean(wide)), flags


def check(
    name: str,
    values: Array,
    row_starts: tuple[int, ...],
    column_starts: tuple[int, ...],
    how: str,
    table: Table | None = None,
) -> None:
    found, flags = shrunk(name, values, row_starts, column_starts, how, table)
    rows, columns = values.shape
    for i, (top, end) in enumerate(pairwise((*row_starts, rows))):
        for j, (left, right) in enumerate(pairwise((*column_starts, columns))):
            cell = values[top:end, left:right]
            number, flag = expected(cell, how)
            assert flags[i, j] == flag
            # What is lost in a sum is little beside the largest of its parts.
            size = np.abs(as_float(cell))
            most = float(size[np.isfinite(size)].max(initial=0))
            if how == "extreme":
                assert found[i, j] == number
            elif how == "rms":
                assert found[i, j] == pytest.approx(number, rel=1e-12, abs=0)
            else:
                assert abs(found[i, j] - number) <= cell.size * most * 2.0**-52


@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("name", EVERY)
def test_every_type_is_shrunk_as_numpy_says(name: str, how: str, level: int) -> None:
    assert level in (0, 1, 2)
    values = random_values(name, 17 * 83).reshape(17, 83)
    table = Table(name)
    for row_starts, column_starts in (
        (tuple(range(0, 17, 5)), tuple(range(0, 83, 29))),
        ((0, 1, 2, 16), (0, 70, 71, 82)),
        ((0,), (0,)),
        (tuple(range(17)), (0, 41)),
        ((0,), tuple(range(83))),
    ):
        check(name, values, row_starts, column_starts, how)
        check(name, values, row_starts, column_starts, how, table)


@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8", "float64"])
def test_a_table_counts_the_same_values_meanwhile(name: str, how: str, level: int) -> None:
    assert level in (0, 1, 2)
    values = random_values(name, 70_001, seed=3).reshape(1, -1)
    for shaped in (values, values.reshape(-1, 1), values[:, :70_000].reshape(70, 1000)):
        rows, columns = shaped.shape
        starts = tuple(range(0, rows, 7)), tuple(range(0, columns, 701))
        table, plain = Table(name), Table(name)
        both = shrunk(name, shaped, *starts, how, table)
        alone = shrunk(name, shaped, *starts, how)
        plain.add(np.ascontiguousarray(shaped).reshape(-1).view(np.uint8).data, shaped.size)
        assert table == plain
        for one, other in zip(both, alone, strict=True):
            assert one.tobytes() == other.tobytes()


SPECIAL: dict[str, list[float]] = {
    "float32": [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, 1.0, -1.0],
    "float64": [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1.7e308, -1.7e308, 1e-200],
    "float16": [np.nan, np.inf, -np.inf, 0.0, -0.0, 6e-8, -6e-8, 65504.0, -65504.0, 1.0],
    "bfloat16": [np.nan, np.inf, -np.inf, 0.0, -0.0, 9.2e-41, 3.3e38, -3.3e38, 1.0],
}  # fmt: skip


@st.composite
def matrices(draw: st.DrawFn) -> tuple[str, Array, tuple[int, ...], tuple[int, ...]]:
    name = draw(st.sampled_from(sorted(SPECIAL)))
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    some = draw(st.lists(st.sampled_from(SPECIAL[name]), min_size=1, max_size=4))
    at = draw(st.lists(st.integers(0, len(some) - 1), min_size=rows * columns,
                       max_size=rows * columns))  # fmt: skip
    kind = SMALL.get(name, name)
    values = np.array([some[k] for k in at]).astype(kind).reshape(rows, columns)
    cuts = [
        (0, *sorted(draw(st.sets(st.integers(1, size - 1))) if size > 1 else ()))
        for size in (rows, columns)
    ]
    return name, values, cuts[0], cuts[1]


@given(matrices(), st.sampled_from(MODES), st.integers(0, 2), st.booleans())
def test_whatever_is_odd(
    case: tuple[str, Array, tuple[int, ...], tuple[int, ...]], how: str, wide: int, counted: bool
) -> None:
    before = vector_level(wide)
    try:
        check(*case, how, Table(case[0]) if counted else None)
    finally:
        vector_level(before)


@pytest.mark.parametrize("sign", [1, -1])
def test_of_two_equally_far_from_zero_the_negative_one_shows(sign: int, level: int) -> None:
    assert level in (0, 1, 2)
    for name in ("float32", "float64", "bfloat16", "float16", "int8", "float8_e4m3fn"):
        kind = SMALL.get(name, name)
        values = np.array([[sign, -sign, 0], [0, 0, sign], [0, -sign, 0]]).astype(kind)
        found, _ = shrunk(name, values, (0,), (0,), "extreme")
        assert found[0, 0] == -1


def test_large_numbers_that_cancel() -> None:
    huge = np.array([[1e308, 1e308, -1e308, -1e308]])
    assert shrunk("float64", huge, (0,), (0,), "mean")[0][0, 0] == 0
    odd = np.array([[1e308, 1e308, 1e308, -1e308]])
    assert shrunk("float64", odd, (0,), (0,), "mean")[0][0, 0] == pytest.approx(5e307)
    assert shrunk("float64", huge, (0,), (0,), "rms")[0][0, 0] == pytest.approx(1e308)
    # Column by column they come to infinity and minus infinity, which are no mean.
    apart = np.array([[1.7e308, -1.7e308]] * 3 + [[1.0, 3.0]])
    found, flags = shrunk("float64", apart, (0,), (0,), "mean")
    assert (found[0, 0], flags[0, 0]) == (pytest.approx(0.5, abs=1e293), FINITE)
    small = np.full((3, 5), 1e-200)
    assert shrunk("float64", small, (0,), (0,), "rms")[0][0, 0] == pytest.approx(1e-200)


def test_values_at_odd_places_of_memory() -> None:
    """A file's header may be of any length, and what follows lies wherever that ends."""
    for name in ("float32", "float64", "bfloat16", "int32"):
        values = random_values(name, 33 * 64).reshape(33, 64)
        raw = bytearray(1) + values.reshape(-1).view(np.uint8).tobytes()
        starts = tuple(range(0, 33, 4)), tuple(range(0, 64, 7))
        for how in MODES:
            found = shrink(name, memoryview(raw)[1:], 64, *starts, 33, how)
            good = shrink(name, memoryview(bytes(raw[1:])), 64, *starts, 33, how)
            assert found == good


BUFFER = np.arange(12, dtype=np.float32).view(np.uint8).data
BAD: list[tuple[str, Any, int, tuple[int, ...], tuple[int, ...], int, str]] = [
    ("float32", BUFFER, 4, (0, 0), (0,), 3, "mean"),  # not further on
    ("float32", BUFFER, 4, (0, 2, 1), (0,), 3, "mean"),
    ("float32", BUFFER, 4, (1,), (0,), 3, "mean"),  # what comes before?
    ("float32", BUFFER, 4, (), (0,), 3, "mean"),
    ("float32", BUFFER, 4, (0,), (), 3, "mean"),
    ("float32", BUFFER, 4, (0, 3), (0,), 3, "mean"),  # beyond the end
    ("float32", BUFFER, 4, (0,), (0, 4), 3, "mean"),
    ("float32", BUFFER, 4, (0,), (0, 2**63), 3, "mean"),
    ("float32", BUFFER, 4, (0,), (0,), 4, "mean"),  # more rows than there are
    ("float32", BUFFER, 4, (0,), (0,), 0, "mean"),
    ("float32", BUFFER, 0, (0,), (0,), 3, "mean"),
    ("float32", BUFFER, 2**62, (0,), (0,), 4, "mean"),  # 2^64 values are none
    ("float32", BUFFER, 2**32, (0,), (0,), 2**32, "mean"),
    ("float32", b"", 1, (0,), (0,), 1, "mean"),
    ("float64", BUFFER, 4, (0,), (0,), 3, "mean"),
    ("float32", BUFFER, 4, (0,), (0,), 3, "median"),
    ("float128", BUFFER, 4, (0,), (0,), 3, "mean"),
    ("int4", BUFFER, 4, (0,), (0,), 3, "mean"),
    ("float4_e2m1fn", BUFFER, 4, (0,), (0,), 3, "mean"),
    ("mixed", BUFFER, 4, (0,), (0,), 3, "mean"),
]


@pytest.mark.parametrize("arguments", BAD, ids=[str(at) for at in range(len(BAD))])
@pytest.mark.parametrize("counted", [False, True])
def test_what_is_wrong_is_refused(arguments: tuple[Any, ...], counted: bool) -> None:
    table = Table("float32") if counted else None
    with pytest.raises(ValueError, match=r"\w"):
        shrink(*arguments, table)
    if table is not None:
        assert table.summary()[0] == 0  # nothing was counted of it


def test_what_is_no_size_is_refused() -> None:
    for columns, rows in ((-1, 3), (4, -3)):
        with pytest.raises((TypeError, ValueError)):
            shrink("float32", BUFFER, columns, (0,), (0,), rows, "mean")
    with pytest.raises(TypeError):
        shrink("float32", BUFFER, 4, (-1,), (0,), 3, "mean")
    with pytest.raises((TypeError, BufferError)):
        shrink("float32", BUFFER[::2], 4, (0,), (0,), 1, "mean")


@pytest.mark.parametrize("other", ["float64", "bfloat16", "int4", "mixed"])
def test_a_table_of_another_type_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match="another type"):
        shrink("float32", BUFFER, 4, (0,), (0,), 3, "extreme", Table(other))
