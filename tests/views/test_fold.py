"""Folding: equal numbered blocks share a row, and no tensor is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import weigh
from weigh._views.fold import fold


def rows(arrays: dict[str, np.ndarray]) -> list[tuple[str, int]]:
    return [(row.name, row.times) for row in fold(weigh.open(arrays).tensors())]


def block(size: int = 2) -> dict[str, np.ndarray]:
    return {"fc.weight": np.zeros((size, 3)), "fc.bias": np.zeros(size)}


def layers(*sizes: int) -> dict[str, np.ndarray]:
    return {
        f"layers.{i}.{name}": array
        for i, size in enumerate(sizes)
        for name, array in block(size).items()
    }


def test_equal_blocks_share_a_row() -> None:
    assert rows(layers(2, 2, 2)) == [("layers.0-2.fc.weight", 3), ("layers.0-2.fc.bias", 3)]


def test_a_different_block_ends_the_run() -> None:
    assert [name for name, _ in rows(layers(2, 2, 5, 2))] == [
        "layers.0-1.fc.weight",
        "layers.0-1.fc.bias",
        "layers.2.fc.weight",
        "layers.2.fc.bias",
        "layers.3.fc.weight",
        "layers.3.fc.bias",
    ]


def test_blocks_within_blocks() -> None:
    arrays = {
        f"stages.{i}.blocks.{j}.{name}": array
        for i in range(2)
        for j in range(3)
        for name, array in block().items()
    }
    assert rows(arrays)[0] == ("stages.0-1.blocks.0-2.fc.weight", 6)


def test_a_gap_in_the_numbers_ends_the_run() -> None:
    arrays = layers(2, 2, 2, 2)
    kept = {name: a for name, a in arrays.items() if not name.startswith("layers.1.")}
    assert [name for name, _ in rows(kept) if name.endswith("bias")] == [
        "layers.0.fc.bias",
        "layers.2-3.fc.bias",
    ]


def test_a_tied_tensor_stands_alone() -> None:
    arrays = layers(2, 2)
    arrays["layers.1.fc.weight"] = arrays["layers.0.fc.weight"]
    assert len(rows(arrays)) == 4


@given(st.lists(st.sampled_from([1, 2]), max_size=12))
def test_nothing_is_lost(sizes: list[int]) -> None:
    net = weigh.open({"head.weight": np.zeros((1, 1)), **layers(*sizes)})
    folded = fold(net.tensors())
    assert sum(row.times for row in folded) == len(net.tensors())
    total = sum(row.times * (row.tensor.count or 0) for row in folded)
    assert total == net.counts.parameters
