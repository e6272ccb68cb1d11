"""Rows for layers, kinds and positions of axes, against the same values cut by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import weigh
from weigh._errors import UnknownNameError, ValuesError
from weigh._measures.groups import measure_positions
from weigh._measures.measure import measure
from weigh._measures.measured import Options
from weigh._measures.table import Table


@pytest.fixture
def module() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5),
        torch.nn.BatchNorm2d(8),
        torch.nn.Conv2d(8, 4, 3),
        torch.nn.Linear(6, 2),
    )


@pytest.mark.parametrize(
    ("axis", "place"), [("out_channels", 0), ("in_channels", 1), ("kernel_height", 2)]
)
def test_each_position_of_an_axis(module: torch.nn.Module, axis: str, place: int) -> None:
    report = weigh.stats(module, "0.weight", by=axis)
    values = np.moveaxis(module[0].weight.detach().double().numpy(), place, 0)
    assert len(report) == len(values)
    for at, row in enumerate(report):
        assert row.name == f"0.weight[{axis}={at}]"
        assert row.statistics is not None
        assert_allclose(row.statistics.mean, values[at].mean(), rtol=1e-12)
        assert_allclose(row.statistics.std, values[at].std(), rtol=1e-12)
        assert_allclose(row.statistics.quantiles["0.25"], np.quantile(values[at], 0.25))
    assert report.total.count == values.size


def test_layers_and_kinds(module: torch.nn.Module) -> None:
    by_kind = weigh.stats(module, by="kind")
    assert [row.name for row in by_kind] == ["Conv2d", "BatchNorm2d", "Linear"]
    convs = np.concatenate(
        [p.detach().double().numpy().ravel() for i in (0, 2) for p in module[i].parameters()]
    )
    assert_allclose(by_kind["Conv2d"].std, convs.std(), rtol=1e-12)
    assert by_kind["Conv2d"].count == convs.size
    by_layer = weigh.stats(module, by="layer")
    assert [row.name for row in by_layer] == ["0", "1", "2", "3"]
    assert [row.tensors for row in by_layer] == [2, 5, 2, 2]
    assert {row.name for row in weigh.stats(module, by="role")} == {"parameter", "buffer"}


def test_the_total_is_that_of_the_parameters(module: torch.nn.Module) -> None:
    report = weigh.stats(module)
    every = torch.cat([p.detach().double().ravel() for p in module.parameters()])
    assert report.total.count == every.numel()
    assert_allclose(report.total.mean, every.mean().item(), rtol=1e-12)
    assert report.of_parameters
    only = weigh.stats(module, "1.running_*")
    assert not only.of_parameters
    assert only.total.count == 16


def test_an_unknown_axis_is_refused(module: torch.nn.Module) -> None:
    with pytest.raises(UnknownNameError, match="no axis called 'filters'"):
        weigh.stats(module, by="filters")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int8,
                                   torch.int32, torch.float8_e4m3fn, torch.complex64, torch.bool],
                         ids=str)  # fmt: skip
def test_positions_of_every_dtype(dtype: torch.dtype) -> None:
    values = (torch.rand(6, 5, 3, 2) * 4).to(dtype)
    network = weigh.open({"conv.weight": values})
    tensor = network["conv.weight"]
    for axis in range(4):
        found = list(measure_positions(tensor, axis, Options()))
        assert len(found) == values.shape[axis]
        for at, one in enumerate(found):
            part = values.movedim(axis, 0)[at].contiguous()
            [expected] = measure(weigh.open({"x": part}).tensors())
            assert one.table == expected.table
            assert one.statistics() == expected.statistics()


@pytest.mark.filterwarnings("ignore:torch.quantize_per", "ignore::DeprecationWarning")
@pytest.mark.parametrize("axis", [0, 1])
def test_positions_of_quantized_tensors(axis: int) -> None:
    scales, zeros = torch.rand(6, dtype=torch.float64) + 0.1, torch.zeros(6, dtype=torch.int64)
    values = torch.quantize_per_channel(torch.randn(6, 8), scales, zeros, 0, torch.qint8)
    real = values.dequantize().numpy()
    tensor = weigh.open({"x": values})["x"]
    for at, one in enumerate(measure_positions(tensor, axis, Options())):
        part = np.ascontiguousarray(np.moveaxis(real, axis, 0)[at])
        assert one.table == Table.of("float32", part)


def test_large_positions_are_read_piece_by_piece() -> None:
    """Of a position of more than a piece, only a piece is in memory, and it may be read again."""
    values = torch.randn(2, 3, 1 << 21)
    tensor = weigh.open({"x": values})["x"]
    turned = weigh.open({"x": values.transpose(1, 2)})["x"]
    quantiles = (0.1, 0.5)
    for one in (tensor, turned):
        for at, found in enumerate(measure_positions(one, 0, Options(quantiles, exact=True))):
            made = found.statistics(quantiles)
            assert made is not None
            assert made.exact
            expected = np.quantile(values[at].double().numpy(), quantiles)
            assert list(made.quantiles.values()) == expected.tolist()


def test_axes_without_positions_and_positions_without_values() -> None:
    tensor = weigh.open({"x": np.zeros((0, 4), "f4")})["x"]
    assert list(measure_positions(tensor, 0, Options())) == []
    assert [one.table == Table("float32") for one in measure_positions(tensor, 1, Options())] == (
        [True] * 4
    )


def test_few_values_repeated_along_an_axis_are_refused() -> None:
    tensor = weigh.open({"x": torch.ones(1, 1).expand(1 << 20, 1 << 20)})["x"]
    for axis in (0, 1):
        with pytest.raises(ValuesError, match="repeat 1 stored values"):
            next(measure_positions(tensor, axis, Options()))
