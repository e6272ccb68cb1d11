from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh._errors import IndexingError
from weigh._index import Region, parse_index

SHAPES = st.lists(st.integers(0, 6), max_size=4).map(tuple)


def an_index(data: Any, shape: tuple[int, ...]) -> Any:
    """Draw an index that fits the shape."""
    parts: list[Any] = []
    for size in shape[: data.draw(st.integers(0, len(shape)))]:
        if size and data.draw(st.booleans()):
            parts.append(data.draw(st.integers(-size, size - 1)))
        else:
            end = st.one_of(st.none(), st.integers(-9, 9))
            step = st.one_of(st.none(), st.integers(1, 4))
            parts.append(slice(data.draw(end), data.draw(end), data.draw(step)))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(parts)))
        tail = parts[at:]
        # What follows '...' is meant for the last axes.
        tail = [part for part, n in zip(tail, shape[len(shape) - len(tail) :], strict=True)
                if isinstance(part, slice) or -n <= part < n]  # fmt: skip
        if len(tail) == len(parts[at:]):
            parts = [*parts[:at], ..., *tail]
    if len(parts) == 1 and data.draw(st.booleans()):
        return parts[0]
    return tuple(parts)


@settings(max_examples=300)
@given(st.data(), SHAPES)
def test_an_index_and_an_index_of_that_are_numpys(data: Any, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    first = an_index(data, shape)
    region = Region.of(first, shape)
    np.testing.assert_array_equal(array[region.slices], array[first])
    assert region.shape == array[first].shape
    second = an_index(data, region.shape)
    np.testing.assert_array_equal(array[region.then(second).slices], array[first][second])


def as_text(index: Any) -> str:
    if isinstance(index, slice):
        ends = [index.start, index.stop] + ([] if index.step is None else [index.step])
        return ":".join("" if n is None else str(n) for n in ends)
    return "..." if index is ... else str(index)


@given(st.data(), SHAPES)
def test_an_index_written_down_is_the_same_index(data: Any, shape: tuple[int, ...]) -> None:
    index = an_index(data, shape)
    parts = index if isinstance(index, tuple) else (index,)
    if parts:
        assert parse_index(" , ".join(map(as_text, parts))) == parts
        assert parse_index(",".join(map(as_text, parts)) + ",") == parts


@pytest.mark.parametrize(
    "text", ["", "a", "1.5", "1 2", "[0]", "1:2:3:4", "0,,1", "--1", "0x1", "1e3", "()", "None",
             "9" * 100, "....", "1;2", "٣٣ 3"]
)  # fmt: skip
def test_a_text_that_is_no_index_is_refused(text: str) -> None:
    with pytest.raises(IndexingError, match="an index is made of integers, slices and"):
        parse_index(text)


@given(st.text(alphabet="0123456789:,.- +[]x", max_size=20))
def test_any_text_is_an_index_or_is_refused(text: str) -> None:
    try:
        parts = parse_index(text)
    except IndexingError:
        return
    assert all(part is ... or isinstance(part, int | slice) for part in parts)


@pytest.mark.parametrize(
    ("index", "shape", "complaint"),
    [
        (6, (6,), r"index 6 is outside axis 0, which has size 6. Use 0 to 5."),
        ((0, -6), (6, 5), r"index -6 is outside axis 1, which has size 5"),
        (0, (0,), r"index 0 is outside axis 0, which has size 0"),
        ((0, 0), (6,), r"2 indices for a tensor of 1 axes; saw shape \[6\]"),
        (0, (), r"1 indices for a tensor of 0 axes"),
        ((..., ...), (6,), r"'...' may stand once in an index"),
        (slice(None, None, -1), (6,), r"the step of a slice must be at least 1; saw -1"),
        (slice(None, None, 0), (6,), r"the step of a slice must be at least 1; saw 0"),
        (True, (6,), r"a tensor is indexed by integers, slices and '...'; saw bool"),
        (None, (6,), r"saw NoneType"),
        ("0", (6,), r"saw str"),
        ([0], (6,), r"saw list"),
        (1.0, (6,), r"saw float"),
    ],
)
def test_an_index_that_does_not_fit_says_why(
    index: Any, shape: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(IndexingError, match=complaint):
        Region.of(index, shape)


WHOLE = [np.int64(1), np.uint8(1), np.array(1), torch.tensor(1)]


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: f"{type(one).__name__} {one.dtype}")
def test_whole_numbers_of_any_kind_index_tensors_and_layers(one: Any) -> None:
    network = weigh.open({"0.weight": np.eye(2), "1.weight": np.arange(12.0).reshape(3, 4)})
    tensor = network["1.weight"]
    plain = np.arange(12.0).reshape(3, 4)
    for index, same in [(one, 1), ((0, one), (0, 1)), (slice(one, None), slice(1, None)),
                        (slice(None, None, one), slice(None, None, 1))]:  # fmt: skip
        np.testing.assert_array_equal(tensor[index].read(), plain[same])
        assert tensor[index].name == tensor[same].name
        assert tensor[index].text()
    assert network[one].path == "1"


@pytest.mark.parametrize(
    "wrong",
    [slice(None, 1.5), slice("a"), np.True_, torch.tensor(True), torch.tensor([1]), 1.0, "x",
     slice(None, None, True), None],
    ids=repr,
)  # fmt: skip
def test_what_is_no_whole_number_is_one_clear_line(wrong: Any) -> None:
    network = weigh.open({"1.weight": np.arange(12.0).reshape(3, 4)})
    with pytest.raises(weigh.IndexingError, match=r"whole numbers|integers"):
        network["1.weight"][wrong]
    if not isinstance(wrong, str):
        with pytest.raises(weigh.UsageError, match="a name or a whole number"):
            network[wrong]
