"""Marks of generators: found in what they drew, and gone after the least change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import weigh
from weigh._measures.marks import marked_rows, normal_marks, sample, uniform_marks


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("bound", [0.5, 1 / math.sqrt(784), 1 / math.sqrt(25), 3.7])
def test_uniform_numbers_of_pytorch_bear_marks(kind: torch.dtype, bound: float) -> None:
    torch.manual_seed(0)
    drawn = torch.empty(5000, dtype=kind).uniform_(-bound, bound).numpy()
    seen = uniform_marks(drawn, -bound, bound)
    assert (seen.values, seen.off) == (5000, 0)
    assert seen.bits > 1000
    step = np.spacing(np.abs(drawn).max()) * 3
    moved = drawn - (step * np.sign(drawn)).astype(drawn.dtype)
    assert uniform_marks(moved, -bound, bound).bits == -math.inf


def test_other_generators_of_uniform_numbers_bear_marks_too() -> None:
    rng = np.random.default_rng(0)
    numpy = rng.random(3000, dtype=np.float32) * np.float32(0.4) - np.float32(0.2)
    assert uniform_marks(numpy, -0.2, 0.2).bits > 500
    # 23 bits of mantissa, as JAX and TensorFlow make them.
    bits = (rng.integers(0, 1 << 23, 3000, dtype=np.uint32) | 0x3F800000).view(np.float32)
    jax = (bits - np.float32(1)) * np.float32(0.4) + np.float32(-0.2)
    assert uniform_marks(jax, -0.2, 0.2).bits > 500
    # A float32 between 0 and 1 that is finer near 0, as a GPU makes it.
    gpu = (rng.integers(0, 1 << 32, 3000) * 2.0**-32 + 2.0**-33).astype(np.float32)
    assert uniform_marks(gpu * np.float32(0.4) - np.float32(0.2), -0.2, 0.2).bits > 100
    # Drawn in float64 and rounded, they have none.
    assert uniform_marks(rng.uniform(-0.2, 0.2, 3000).astype("f4"), -0.2, 0.2).bits < 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("deviation", [1.0, 0.02, 0.0137])
@pytest.mark.parametrize("count", [32, 50, 150, 1000, 4096, 100_003])
def test_normal_numbers_of_pytorch_bear_marks(
    kind: torch.dtype, deviation: float, count: int
) -> None:
    torch.manual_seed(0)
    drawn = torch.empty(count, dtype=kind).normal_(0, deviation).numpy()
    seen = normal_marks(drawn)
    assert seen.bits > 0.55 * count
    shrunk = (drawn * drawn.dtype.type(0.37)).astype(drawn.dtype)
    assert normal_marks(shrunk).bits > 0.3 * count  # the angle stays
    tiny = 1e-5 if kind is torch.float32 else 1e-13
    noise = np.random.default_rng(0).normal(0, tiny * deviation, count)
    assert normal_marks((drawn + noise).astype(drawn.dtype)).bits < -0.2 * count


def test_numbers_of_another_order_bear_none() -> None:
    torch.manual_seed(0)
    drawn = torch.empty(64, 64).normal_().numpy()
    assert normal_marks(np.ascontiguousarray(drawn.T)).bits < 0
    assert normal_marks(np.random.default_rng(0).normal(size=4096).astype("f4")).bits < 0
    assert normal_marks(np.zeros(64, np.float32)).values == 0
    assert normal_marks(np.ones(8, np.float32)).bits == 0


def test_rows_are_told_one_by_one() -> None:
    torch.manual_seed(0)
    table = torch.nn.Embedding(200, 64).weight.detach().numpy().copy()
    table[50:80] += np.float32(1e-3)
    bits = marked_rows(table)
    assert (bits[50:80] < 0).all()
    assert (np.delete(bits, range(50, 80)) > 20).all()


def test_a_sample_is_of_whole_sixteens_from_all_over() -> None:
    values = np.arange(1_000_000, dtype=np.float32).reshape(1000, 1000)
    tensor = weigh.open({"fc.weight": values})["fc.weight"]
    parts = sample(tensor, 1 << 16)  # type: ignore[arg-type]
    assert all(
        part[0] % 16 == 0 and np.array_equal(np.diff(part), np.ones(4095)) for part, _ in parts
    )
    assert len(parts) == 16
    assert parts[-1][0][0] > 900_000
    [(whole, tail)] = sample(tensor[:3], 1 << 16)  # type: ignore[index]
    assert (whole.size, tail) == (3000, True)
    # Values with gaps between them are brought together.
    [(first, _)] = sample(weigh.open({"fc.weight": values.T})["fc.weight"], 1 << 14)  # type: ignore[arg-type]
    assert first.size == 16_000
    assert np.array_equal(first[:3], [0, 1000, 2000])
