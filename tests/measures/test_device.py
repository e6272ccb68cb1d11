"""Tables made by PyTorch's operations are bit for bit those of the compiled part."""

from __future__ import annotations

import pytest
import torch

import weigh
from weigh._measures.device import BLOCK, device_table
from weigh._measures.table import Table

KINDS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "bool": torch.bool,
}


def values_of(name: str, count: int) -> torch.Tensor:
    torch.manual_seed(count)
    if name.startswith(("int", "uint")):
        return torch.randint(0, 120, (count,)).to(KINDS[name])
    if name == "bool":
        return torch.rand(count) > 0.3
    made = torch.randn(count, dtype=torch.float64)
    made[: count // 3] = made[: count // 3].abs() + 3  # blocks of one sign
    if "8" not in name and count > 5:
        made[[1, count // 2, -1]] = torch.tensor([torch.nan, torch.inf, -0.0], dtype=torch.float64)
    return made.to(KINDS[name])


def host_table(name: str, values: torch.Tensor) -> Table:
    return Table.of(name, values.contiguous().view(torch.uint8).numpy().data)


@pytest.mark.parametrize("count", [0, 1, 17, BLOCK, 5 * BLOCK + 3])
@pytest.mark.parametrize("name", KINDS)
def test_the_same_bits_as_the_compiled_part(name: str, count: int) -> None:
    values = values_of(name, count)
    expected = host_table(name, values)
    for chunk in (BLOCK, 2 * BLOCK, 1 << 24):
        assert device_table(values, name, chunk) == expected


def test_powers_out_of_range_and_all_nan() -> None:
    for values in (
        torch.randn(2 * BLOCK, dtype=torch.float64) * 1e250,
        torch.randn(2 * BLOCK, dtype=torch.float64) * 1e-300,
        torch.full((BLOCK + 5,), torch.nan, dtype=torch.float64),
        torch.zeros(BLOCK, dtype=torch.float64),
        torch.full((2 * BLOCK,), 7.25, dtype=torch.float64),
    ):
        assert device_table(values, "float64") == host_table("float64", values)


def test_views_and_complex_numbers() -> None:
    turned = torch.randn(300, 200).t()
    assert device_table(turned, "float32") == host_table("float32", turned)
    pairs = torch.randn(3 * BLOCK, dtype=torch.complex64).conj()
    assert device_table(pairs, "float32") == host_table("float32", pairs.resolve_conj())


def test_wide_integers_are_brought_over() -> None:
    assert device_table(torch.arange(5), "int64") is None


def test_a_tensor_of_another_device_is_measured_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such device, the values say that they lie on one."""
    from weigh._sources.torch_values import TorchValues

    module = torch.nn.Linear(300, 200)
    expected = weigh.stats(module)
    asked: list[torch.Tensor] = []

    def on_device(values: TorchValues) -> torch.Tensor:
        asked.append(values._tensor)
        return values._tensor.detach()

    monkeypatch.setattr(TorchValues, "on_device", on_device)
    assert weigh.stats(module).total == expected.total
    assert len(asked) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu() -> None:  # pragma: no cover - hardware
    for name in KINDS:
        values = values_of(name, 5 * BLOCK + 3)
        assert device_table(values.cuda(), name) == host_table(name, values)
