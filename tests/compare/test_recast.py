"""Numbers that were rounded to another dtype, by PyTorch's own casts."""

import numpy as np
import pytest
import torch

import weigh
from weigh._compare.recast import recast_words
from weigh._measures.compare import Pair, compare

NARROW = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")


def words(a, b) -> str:
    one, other = (weigh.open({"w": x})["w"].values for x in (a, b))
    [outcome] = compare([Pair(one, other)])
    return recast_words(one, other, outcome.difference)


@pytest.fixture(scope="module")
def numbers() -> torch.Tensor:
    torch.manual_seed(0)
    few = torch.randn(300, 700) * torch.logspace(-9, 2, 700)
    halves = torch.arange(-300, 300) / 512  # many lie half-way between two narrow numbers
    return torch.cat([few.reshape(-1).clamp(-400, 400), halves, torch.zeros(3)])


@pytest.mark.parametrize("dtype", NARROW)
def test_pytorchs_casts_are_told(numbers, dtype):
    cast = numbers.to(getattr(torch, dtype))
    assert words(numbers, cast) == f"rounded to {dtype}"
    assert words(cast, numbers) == f"the numbers from which {dtype} was rounded"
    assert words(cast, cast.float()) == "widened to float32"
    assert words(cast.float(), cast) == f"as {dtype}"


@pytest.mark.parametrize("dtype", NARROW)
def test_one_number_that_differs_makes_it_another_tensor(numbers, dtype):
    cast = numbers.clone()
    cast[12345] += cast[12345].abs() / 2 + 1
    assert words(numbers, cast.to(getattr(torch, dtype))) == ""


def test_doubles_become_floats(numbers):
    rng = np.random.default_rng(0)
    wide = rng.standard_normal(1000)
    assert words(wide, wide.astype("f4")) == "rounded to float32"
    assert words(wide, wide.astype("f2")) == "rounded to float16"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_truncation_is_told_from_rounding(numbers, dtype):
    if dtype == "bfloat16":
        bits = numbers.numpy().view(np.uint32) & np.uint32(0xFFFF0000)
        cut = torch.tensor(bits.view(np.float32)).bfloat16()
    else:
        near = numbers.half()
        toward = torch.nextafter(near, torch.zeros_like(near))
        cut = torch.where(near.float().abs() > numbers.abs(), toward, near)
    assert words(numbers, cut) == f"truncated to {dtype}"


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
def test_quantized_numbers_are_told_by_their_error():
    torch.manual_seed(0)
    weight = torch.randn(64, 256) * 0.05
    scale = float(weight.abs().max() / 127)
    packed = torch.quantize_per_tensor(weight, scale, 0, torch.qint8)
    assert words(weight, packed) == "quantized to qint8"
    assert words(packed, weight) == "dequantized from qint8"
    assert words(torch.randn(64, 256), packed) == ""
