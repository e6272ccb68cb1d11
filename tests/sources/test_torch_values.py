from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weigh._errors import UnsupportedError, ValuesError
from weigh._index import Region
from weigh._sources.torch_values import TorchValues

PLAIN = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
]  # fmt: skip
WIDENED = {
    "bfloat16": torch.float32, "complex32": torch.complex64, "float8_e4m3fn": torch.float32,
    "float8_e5m2": torch.float32, "float8_e4m3fnuz": torch.float32,
    "float8_e5m2fnuz": torch.float32, "float8_e8m0fnu": torch.float32,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per", "ignore:ComplexHalf")


def bits() -> torch.Tensor:
    return torch.randint(0, 256, (4, 48), dtype=torch.uint8, generator=torch.manual_seed(0))


def whole(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    values = TorchValues(tensor)
    assert values.shape is not None
    return values.read(Region.whole(values.shape))


@pytest.mark.parametrize("name", [*PLAIN, *WIDENED])
def test_values_are_torchs_in_a_new_array(name: str) -> None:
    dtype = getattr(torch, name)
    tensor = bits() > 99 if name == "bool" else bits().view(dtype)
    expected = tensor.to(WIDENED[name]) if name in WIDENED else tensor
    ours = whole(tensor)
    np.testing.assert_array_equal(ours, expected.numpy())
    assert ours.dtype == expected.numpy().dtype
    assert TorchValues(tensor).dtype.name == name
    before = tensor.view(torch.uint8).clone()
    ours[:] = 1
    assert torch.equal(tensor.view(torch.uint8), before)


@given(st.data(), st.permutations([0, 1, 2]))
def test_a_region_of_a_view_is_torchs_slice(data: Any, order: list[int]) -> None:
    tensor = torch.arange(120.0).reshape(4, 5, 6).permute(order)[:, 1:]
    parts: list[int | slice] = []
    for size in tensor.shape[: data.draw(st.integers(0, 3))]:
        start, stop = data.draw(st.integers(0, size)), data.draw(st.integers(0, size))
        step = data.draw(st.integers(1, 3))
        parts.append(data.draw(st.integers(-size, size - 1) | st.just(slice(start, stop, step))))
    ours = TorchValues(tensor).read(Region.of(tuple(parts), tuple(tensor.shape)))
    np.testing.assert_array_equal(ours, tensor[tuple(parts)].numpy())


def test_views_share_a_storage_and_say_where_in_it_they_lie() -> None:
    base = torch.zeros(6, 20)
    one, other = TorchValues(base[1]).extent, TorchValues(base.t()).extent
    apart = TorchValues(torch.zeros(6, 20)).extent
    assert one is not None
    assert other is not None
    assert apart is not None
    assert one.storage == other.storage != apart.storage
    assert (one.start, one.stop, one.distinct, one.storage_bytes) == (80, 160, 20, 480)
    assert (other.start, other.stop, other.distinct) == (0, 480, 120)
    repeated = TorchValues(torch.zeros(1, 20).expand(6, 20)).extent
    assert repeated is not None
    assert (repeated.distinct, repeated.storage_bytes) == (20, 80)


def test_a_meta_tensor_has_a_place_and_no_values() -> None:
    tensor = torch.zeros(6, 20, device="meta")
    values = TorchValues(tensor)
    assert values.extent == TorchValues(tensor).extent != TorchValues(tensor.clone()).extent
    assert values.extent is not None
    assert values.extent.storage_bytes == 480
    with pytest.raises(ValuesError, match="on the meta device"):
        values.read(Region.whole((6, 20)))


def test_a_lazy_parameter_has_no_shape_until_it_is_made() -> None:
    layer = torch.nn.LazyLinear(3)
    values = TorchValues(layer.weight)
    assert (values.shape, values.extent, values.dtype.name) == (None, None, "float32")
    with pytest.raises(ValuesError, match="not initialized"):
        values.read(Region.whole(()))
    layer(torch.zeros(1, 5))
    assert values.shape == (3, 5)
    assert values.read(Region.whole((3, 5))).shape == (3, 5)


def test_quantized_values_are_dequantized() -> None:
    real = torch.randn(4, 6, generator=torch.manual_seed(0))
    scales, zeros = torch.rand(4) + 0.1, torch.zeros(4)
    for tensor in (
        torch.quantize_per_tensor(real, 0.1, 3, torch.qint8),
        torch.quantize_per_tensor(real, 0.1, 3, torch.quint8),
        torch.quantize_per_tensor(real, 0.1, 3, torch.qint32),
        torch.quantize_per_channel(real, scales, zeros.to(torch.int64), 0, torch.qint8),
        torch.quantize_per_channel(real, scales, zeros, 0, torch.quint4x2),
    ):
        expected = tensor.dequantize().numpy()
        np.testing.assert_array_equal(whole(tensor), expected)
        part = TorchValues(tensor).read(Region.of((slice(1, 3), slice(0, 6, 2)), (4, 6)))
        np.testing.assert_array_equal(part, expected[1:3, 0:6:2])
        extent = TorchValues(tensor).extent
        assert extent is not None
        assert extent.stop == extent.storage_bytes


def test_two_packed_four_bit_floats_count_as_two() -> None:
    tensor = torch.tensor([[0x21, 0x43], [0x65, 0x87]], dtype=torch.uint8)
    tensor = tensor.view(torch.float4_e2m1fn_x2)
    values = TorchValues(tensor)
    assert values.shape == (2, 4)
    assert whole(tensor).tolist() == [[0.5, 1, 1.5, 2], [3, 4, 6, -0.0]]
    assert values.read(Region.of((1, slice(1, 4, 2)), (2, 4))).tolist() == [4, 0]
    extent = values.extent
    assert extent is not None
    assert (extent.start, extent.stop, extent.distinct, extent.storage_bytes) == (0, 4, 8, 4)
    scalar = TorchValues(tensor[0, 0])
    assert scalar.shape == (2,)
    assert scalar.read(Region.whole((2,))).tolist() == [0.5, 1]


def test_conjugated_negated_and_sparse_tensors_are_read() -> None:
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    np.testing.assert_array_equal(whole(numbers.conj()), numbers.conj().resolve_conj().numpy())
    np.testing.assert_array_equal(whole(numbers.conj().imag), [-2, 4])
    sparse = torch.eye(3).to_sparse()
    extent = TorchValues(sparse).extent
    assert extent is not None
    assert (extent.distinct, extent.storage_bytes, extent.beside) == (3, 12, 2 * 3 * 8)
    np.testing.assert_array_equal(whole(sparse), np.eye(3))


def test_a_huge_repetition_can_be_sliced_and_not_read_in_whole() -> None:
    tensor = torch.ones(1, 1).expand(2**20, 2**20)
    assert TorchValues(tensor).read(Region.of((7, slice(3)), (2**20, 2**20))).tolist() == [1] * 3
    with pytest.raises(ValuesError, match="repeat 1 stored values"):
        whole(tensor)


def test_fake_tensors_have_no_values() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        tensor = torch.zeros(3)
    with pytest.raises(ValuesError):
        whole(tensor)


def test_an_unknown_dtype_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match="saw bits8"):
        TorchValues(torch.zeros(3, dtype=torch.uint8).view(torch.bits8))


def test_reading_changes_nothing() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4))
    (weight.sum() * 2).backward()
    grad, version, state = weight.grad, weight._version, torch.get_rng_state()
    assert grad is not None
    kept = grad.clone()
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            whole(weight)
            assert torch.is_grad_enabled() is enabled
    with torch.inference_mode():
        whole(weight)
    assert weight.requires_grad
    assert weight.grad is grad
    assert torch.equal(grad, kept)
    assert weight._version == version
    assert torch.equal(torch.get_rng_state(), state)


def test_the_module_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, weigh._sources.torch_values, weigh._sources.arrays\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
