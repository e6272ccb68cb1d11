"""Rows for layers, kinds and positions of axes, against the same values cut by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import weigh
from weigh._errors import UnknownNameError


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
