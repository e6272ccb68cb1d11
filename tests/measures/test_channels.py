"""Sums of squares of channels: held against NumPy in float64, whatever the layout and the order."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import weigh
from weigh._measures._kernels import ChannelSums, vector_level
from weigh._measures.channels import array_of, channel_axis, input_squares, median
from weigh._measures.measure import measure
from weigh._measures.measured import Options
from weigh._measures.table import Table

TYPES: dict[str, Any] = {
    "float32": np.float32, "float64": np.float64, "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16, "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}  # fmt: skip
NEAR = {"float32": 1e-14, "float64": 1e-14}
"""Narrow types are added up as floats at first: within 2^-21."""


def squares(table: Table, values: np.ndarray, start: int, channels: int, inner: int) -> np.ndarray:
    raw = values.reshape(-1).view(np.uint8).data
    given = table.add_with_squares(raw, values.size, start, channels, inner)
    return np.frombuffer(given)


@pytest.mark.parametrize("kind", list(TYPES))
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(
    ("channels", "inner"), [(7, 300), (64, 1), (5, 9), (40_000, 1), (3, 20_000)]
)
def test_sums_are_numpys(kind: str, level: int, channels: int, inner: int) -> None:
    before = vector_level(level)
    try:
        values = np.random.default_rng(0).normal(size=(channels, inner)).astype(TYPES[kind])
        table = Table(kind)
        found = squares(table, values, 0, channels, inner)
        exact = np.square(values.astype(np.float64)).sum(1)
        np.testing.assert_allclose(found, exact, rtol=NEAR.get(kind, 2**-21))
        # The table is what it is without them.
        plain = Table(kind)
        plain.add(values.reshape(-1).view(np.uint8).data, values.size)
        assert table == plain
    finally:
        vector_level(before)


@pytest.mark.parametrize("kind", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e19, 1e30])
def test_far_numbers_keep_their_size(kind: str, scale: float) -> None:
    values = (np.random.default_rng(0).normal(size=(4, 1000)) * scale).astype(TYPES[kind])
    found = squares(Table(kind), values, 0, 4, 1000)
    exact = np.square(values.astype(np.float64)).sum(1)
    np.testing.assert_allclose(found, exact, rtol=NEAR.get(kind, 2**-21))


@pytest.mark.parametrize("kind", list(TYPES))
def test_what_is_not_finite_stays_in_its_channel(kind: str) -> None:
    values = np.ones((4, 200), np.float32)
    values[1, 50] = np.nan
    values[2, 3] = np.inf if kind != "float8_e4m3fn" else np.nan
    found = squares(Table(kind), values.astype(TYPES[kind]), 0, 4, 200)
    assert (np.isfinite(found) == [True, False, False, True]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 60), st.integers(1, 5), st.lists(st.integers(0, 3000)),
    st.sampled_from(["float32", "bfloat16"]),
)  # fmt: skip
def test_pieces_add_up(channels: int, inner: int, outer: int, cuts: list[int], kind: str) -> None:
    """Wherever a tensor is cut, the pieces' sums are those of the whole."""
    values = np.random.default_rng(1).normal(size=(outer, channels, inner)).astype(TYPES[kind])
    flat = values.reshape(-1)
    total = np.zeros(channels)
    edges = sorted({0, flat.size, *(cut for cut in cuts if cut < flat.size)})
    for start, stop in pairwise(edges):
        given = squares(Table(kind), flat[start:stop], start, channels, inner)
        at = (start // inner + np.arange(len(given))) % channels
        np.add.at(total, at, given)
    exact = np.square(values.astype(np.float64)).sum((0, 2))
    np.testing.assert_allclose(total, exact, rtol=2**-21)


LAYERS = [
    nn.Linear(1000, 3001), nn.Conv2d(3, 70, 5), nn.ConvTranspose2d(30, 50, 5),
    nn.Embedding(5001, 300).half(), nn.Linear(2000, 3000).bfloat16(), nn.Conv1d(300, 100, 3),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_any_number_of_threads_gives_the_same(layer: nn.Module) -> None:
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    exact = weight.flatten(1).square().sum(1).numpy()
    seen = []
    for threads in (1, 2, 5):
        options = Options(threads=threads, channels=True)
        for one in measure(weigh.open(layer).tensors(), options):
            if one.squares is not None:
                seen.append(array_of(one.squares))
                np.testing.assert_allclose(seen[-1], exact, rtol=2**-21)
    assert len(seen) == 3
    assert all(np.array_equal(seen[0], other) for other in seen)


def test_values_with_gaps_and_quantized_ones() -> None:
    values = np.random.default_rng(0).normal(size=(60, 50)).astype(np.float32)
    net = weigh.open({"fc.weight": values[::2].T})
    [one] = measure(net.tensors(), Options(channels=True))
    assert one.squares is not None
    np.testing.assert_allclose(array_of(one.squares), np.square(values[::2].T.astype(float)).sum(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to go, but files have such tensors
        stored = torch.quantize_per_tensor(torch.from_numpy(values), 0.05, 3, torch.qint8)
    [quantized] = measure(weigh.open({"fc.weight": stored}).tensors(), Options(channels=True))
    assert quantized.squares is not None
    exact = stored.dequantize().double().square().sum(1).numpy()
    np.testing.assert_allclose(array_of(quantized.squares), exact)


def test_what_has_no_channels_has_no_sums() -> None:
    net = weigh.open({
        "fc.bias": np.ones(4),
        "steps": np.arange(12).reshape(3, 4),
        "empty.weight": np.ones((0, 3)),
    })  # fmt: skip
    assert [channel_axis(tensor) for tensor in net.tensors()][:2] == [None, None]
    assert all(one.squares is None for one in measure(net.tensors(), Options(channels=True)))


@pytest.mark.parametrize("rows", [1, 16, 200])
def test_squares_of_inputs(rows: int) -> None:
    values = np.random.default_rng(0).normal(size=(200, 30, 3)).astype(np.float32)
    tensor = weigh.open({"conv.weight": values})["conv.weight"]
    found = input_squares(tensor, rows)  # type: ignore[arg-type]
    exact = np.square(values[:rows].astype(float)).sum((0, 2))
    assert found is not None
    np.testing.assert_allclose(array_of(found), exact)
    np.testing.assert_allclose(found.spread(), (exact.min(), exact.max()))


def test_the_spread_of_what_is_not_finite_tells_nothing() -> None:
    net = weigh.open({"fc.weight": np.array([[1.0, np.nan], [2.0, 3.0]])})
    [one] = measure(net.tensors(), Options(channels=True))
    assert one.squares is not None
    assert one.squares.spread() == (0, np.inf)


@given(st.lists(st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 2.0, np.nan, np.inf, 5.0]), max_size=12))
def test_channels_of_like_sums_are_grouped(sums: list[float]) -> None:
    totals = ChannelSums(max(1, len(sums)))
    totals.add(np.array(sums, np.float64).tobytes(), 0)
    found = {tuple(sorted(group)) for group in totals.alike(1e-6)}
    kinds = ((1.0, 1.0 + 1e-9), (2.0,), (5.0,))
    expected = [tuple(i for i, s in enumerate(sums) if s in kind) for kind in kinds]
    assert found == {group for group in expected if len(group) > 1}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_medians_are_numpys(values: list[float]) -> None:
    assert median(np.array(values)) == pytest.approx(np.median(values))
