"""The arrangement a tensor has if nobody asks for one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from plan_laws import check_laws, laid_out, tensor_of
from torch import nn

import weigh
from models import Conv1D
from weigh._errors import UsageError, ValuesError
from weigh._pictures.arranged import plan_of
from weigh._pictures.picture import plan_for
from weigh._pictures.plan import Plan
from weigh._pictures.sheet import Label
from weigh._tensor import Axis, Tensor


def live(module: nn.Module, name: str = "weight") -> Tensor:
    found = weigh.open(nn.ModuleDict({"layer": module}))[f"layer.{name}"]
    assert isinstance(found, Tensor)
    return found


def names(plan: Plan) -> tuple[list[str], list[str]]:
    return [part.name for part in plan.rows], [part.name for part in plan.columns]


def sheet_of(tensor: Tensor) -> tuple[Plan, np.ndarray[Any, Any]]:
    plan = plan_of(tensor)
    check_laws(plan)
    return plan, laid_out(plan, tensor.read())


def test_filters_stand_in_a_grid() -> None:
    tensor = live(nn.Conv2d(1, 6, 5))
    plan, sheet = sheet_of(tensor)
    assert names(plan) == (["out_channels", "kernel_height"], ["out_channels", "kernel_width"])
    assert sheet.shape == (11, 17)
    for filter_, (row, column) in enumerate([(0, 0), (0, 6), (0, 12), (6, 0), (6, 6), (6, 12)]):
        part = sheet[row : row + 5, column : column + 5]
        np.testing.assert_array_equal(part, tensor.read()[filter_, 0])
    assert np.isnan(sheet[5]).all()
    assert np.isnan(sheet[:, [5, 11]]).all()


def test_slices_of_a_filter_stand_side_by_side() -> None:
    tensor = live(nn.Conv2d(4, 2, 3))
    plan, sheet = sheet_of(tensor)
    rows, columns = names(plan)
    assert rows == ["out_channels", "kernel_height"]
    assert columns[-2:] == ["in_channels", "kernel_width"]
    np.testing.assert_array_equal(sheet[0:3, 4:7], tensor.read()[0, 1])


def test_a_first_layer_is_in_colours_unless_that_is_not_wanted() -> None:
    tensor = live(nn.Conv2d(3, 8, 3))
    assert plan_of(tensor).colour == 1
    plan = plan_of(tensor, rgb=False)
    assert plan.colour is None
    assert "in_channels" in names(plan)[1]
    check_laws(plan)
    check_laws(plan_of(tensor))


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv1d(3, 5, 7), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(5, 7, 1),
        nn.Conv3d(2, 3, (3, 4, 5)), nn.ConvTranspose2d(4, 6, 3), nn.Conv2d(2, 3, (1, 5)),
        nn.Conv3d(2, 3, (3, 1, 1)), nn.Linear(7, 9), nn.Embedding(50, 4), nn.Conv2d(1, 1, 3),
        nn.Conv2d(1, 1, 1), nn.Conv1d(1, 1, 1), nn.Conv1d(6, 8, 1), nn.ConvTranspose1d(3, 5, 4),
        nn.Bilinear(3, 4, 5),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Initializing zero")
def test_every_layer_keeps_the_laws_and_no_shape_is_odd(module: nn.Module) -> None:
    for name in ("weight", "bias"):
        if getattr(module, name, None) is None:
            continue
        plan, _ = sheet_of(live(module, name))
        assert plan.per_cell == 1
        assert plan.height <= 6 * plan.width


def test_a_kernel_of_one_axis_stands_beside_its_depth() -> None:
    plan, sheet = sheet_of(tensor := live(nn.Conv1d(3, 5, 7)))
    assert names(plan)[0][-1] == "in_channels"
    assert names(plan)[1][-1] == "kernel_width"
    np.testing.assert_array_equal(sheet[:3, :7], tensor.read()[0])


def test_filters_of_one_by_one_are_a_matrix() -> None:
    plan, sheet = sheet_of(tensor := live(nn.Conv2d(5, 7, 1)))
    assert names(plan) == (["out_channels"], ["in_channels"])
    np.testing.assert_array_equal(sheet, tensor.read()[:, :, 0, 0])


def test_transposed_filters_are_those_of_their_outputs() -> None:
    tensor = live(nn.ConvTranspose2d(4, 6, 3))
    assert [axis.name for axis in tensor.axes][:2] == ["in_channels", "out_channels"]
    plan, sheet = sheet_of(tensor)
    assert plan.rows[0].name == "out_channels"
    np.testing.assert_array_equal(sheet[:3, :3], tensor.read()[0, 0])


def test_a_matrix_is_as_it_is_stored() -> None:
    tensor = live(nn.Linear(7, 9))
    plan, sheet = sheet_of(tensor)
    assert names(plan) == (["out_features"], ["in_features"])
    np.testing.assert_array_equal(sheet, tensor.read())


@pytest.mark.parametrize("shape", [(500, 4), (4, 500), (1000, 3), (9, 37), (3, 1000)])
def test_a_long_matrix_is_cut_into_bands(shape: tuple[int, int]) -> None:
    tensor = tensor_of(shape)
    plan, sheet = sheet_of(tensor)
    assert 1 / 6 < plan.height / plan.width < 6
    values = tensor.read()
    tall = shape[0] > shape[1]
    labels = plan.labels()[tall]
    assert labels[0].text == "0"
    for label in labels:
        first = int(label.text)
        band = sheet[:, label.start : label.stop] if tall else sheet[label.start : label.stop].T
        wanted = (values if tall else values.T)[first : first + len(band)]
        np.testing.assert_array_equal(band[: len(wanted)], wanted)
        assert np.isnan(band[len(wanted) :]).all()


@pytest.mark.parametrize("size", [1, 5, 128, 129, 1000, 4096, 100_000, 262_145, 1_000_003])
def test_a_vector_is_a_strip_of_lines(size: int) -> None:
    tensor = tensor_of((size,))
    plan = plan_of(tensor)
    check_laws(plan, every=size < 2000)
    assert plan.height <= 1.1 * plan.width
    if plan.per_cell == 1:
        sheet = laid_out(plan, tensor.read())
        assert sheet[~np.isnan(sheet)].tolist() == list(range(size))  # line by line
    for label in plan.labels()[0]:
        index = plan.index_of(label.start, 0)
        assert index is not None
        assert index[0].start == int(label.text)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1), (1, 5), (5, 1, 1), (1, 3, 1, 4)])
def test_axes_of_one_do_not_matter(shape: tuple[int, ...]) -> None:
    tensor = tensor_of(shape)
    _, sheet = sheet_of(tensor)
    np.testing.assert_array_equal(sheet, np.atleast_2d(np.squeeze(tensor.read())))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 1, 3, 2, 2, 4), (3, 3, 3, 3, 3, 3)])
def test_many_axes(shape: tuple[int, ...]) -> None:
    plan, sheet = sheet_of(tensor_of(shape))
    assert np.count_nonzero(~np.isnan(sheet)) == np.prod(shape)
    assert plan.height <= 6 * plan.width


GATES = {"LSTM": "ifgo", "GRU": "rzn"}


@pytest.mark.parametrize("kind", list(GATES))
@pytest.mark.parametrize(("inputs", "hidden"), [(10, 5), (3, 200), (64, 50), (1, 7), (50, 3)])
def test_gates_stand_apart_and_are_named(kind: str, inputs: int, hidden: int) -> None:
    module = getattr(nn, kind)(inputs, hidden)
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        tensor = live(module, name)
        plan, sheet = sheet_of(tensor)
        labels = plan.labels()[0]
        assert "".join(label.text for label in labels) == GATES[kind]
        values = tensor.read()
        for gate, label in enumerate(labels):
            band = sheet[label.start : label.stop]
            own = values[gate * hidden : (gate + 1) * hidden].reshape(-1)
            assert sorted(band[~np.isnan(band)]) == sorted(own)
            if gate:
                assert np.isnan(sheet[label.start - 1]).all()
        assert plan.height <= 6 * plan.width


def test_lines_of_a_bias_begin_anew_with_each_gate() -> None:
    tensor = live(nn.LSTM(3, 200), "bias_ih_l0")
    plan, sheet = sheet_of(tensor)
    for gate, label in enumerate(plan.labels()[0]):
        first = sheet[label.start, :128]
        np.testing.assert_array_equal(first, tensor.read()[gate * 200 : gate * 200 + 128])


def test_part_of_the_gates_is_not_named() -> None:
    """Of 24 rows, six of each gate, the first 8 are no two of each."""
    tensor = live(nn.LSTM(10, 6), "weight_ih_l0")
    for part in (tensor[:8], tensor[::3], tensor[8:], tensor[:, :4][:12]):
        assert len(plan_of(part).rows) == 1, part.name
    for whole in (tensor[:], tensor[:, :4], tensor[..., 2:3]):
        labels = plan_of(whole).labels()[0]
        assert "".join(label.text for label in labels) == "ifgo", whole.name


@pytest.mark.parametrize("dim", [8, 32, 200])
def test_queries_keys_and_values(dim: int) -> None:
    module = nn.MultiheadAttention(dim, 2)
    for name in ("in_proj_weight", "in_proj_bias"):
        tensor = live(module, name)
        plan, _ = sheet_of(tensor)
        assert [label.text for label in plan.labels()[0]] == ["q", "k", "v"]
        assert plan.index_of(plan.labels()[0][1].start, 0) is not None
        assert plan.index_of(plan.labels()[0][1].start, 0)[0].start == dim  # type: ignore[index]
    assert plan_of(live(module, "out_proj.weight")).labels() == ((), ())


def test_gpt2_has_them_to_the_right() -> None:
    block = {
        "h.0.attn.c_attn.weight": np.zeros((12, 36), "f4"),
        "h.0.attn.c_attn.bias": np.zeros(36, "f4"),
        "h.0.attn.c_proj.weight": np.zeros((12, 12), "f4"),
        "h.0.ln_1.weight": np.zeros(12, "f4"),
    }
    tensor = weigh.open(block)["h.0.attn.c_attn.weight"]
    labels = plan_of(tensor).labels()
    if tensor.axes[1].name.startswith("qkv"):
        assert [label.text for label in labels[1]] == ["q", "k", "v"]
    live_one = live(Conv1D(36, 12))
    check_laws(plan_of(live_one))


def test_fewer_heads_of_keys_are_not_told_apart() -> None:
    """Eight heads of queries and two of keys and values each are of unequal sizes."""
    net = weigh.open({"layers.0.self_attn.qkv_proj.weight": np.zeros((12 * 8, 64), "f4")})
    assert plan_of(net["layers.0.self_attn.qkv_proj.weight"]).labels() == ((), ())


def test_a_grid_is_no_larger_than_it_may_be() -> None:
    plan = plan_of(tensor_of((30, 30, 3, 3)), (8, 8))
    assert plan.height <= 16
    assert plan.width <= 16
    check_laws(plan)


HUGE = [
    (1, 2**31), (2**20, 2**20), (128256, 16384), (8, 4096, 14336), (512, 512, 3, 3),
    (4096, 4096, 3, 3), (2**31,), (3, 2**30), (2**30, 3), (5, 100, 100, 5, 17, 17),
    (10, 25000, 17, 17), (2**20, 2**20, 3, 3), (1000, 1, 31, 31), (3, 100, 100, 100), (64, 2**24),
    (10**6, 4, 4), (2, 10**5, 2, 10**5), (2**31, 1, 1, 1), (500, 500, 17, 17), (300_000, 900),
    (7, 7, 7, 7, 7, 7, 7), (40_000, 1, 9), (2, 2, 3, 2**28),
]  # fmt: skip


@pytest.fixture(scope="module")
def giants() -> weigh.Network:
    with torch.device("meta"):
        tensors = {"x".join(map(str, shape)): nn.Parameter(torch.empty(shape)) for shape in HUGE}
    return weigh.open(nn.ParameterDict(tensors))


@pytest.mark.parametrize("shape", HUGE, ids=str)
@pytest.mark.parametrize("most", [(1024, 1024), (64, 64), (1, 1)], ids=str)
def test_a_plan_is_small_however_large_the_tensor(
    giants: weigh.Network, shape: tuple[int, ...], most: tuple[int, int]
) -> None:
    tensor = next(t for t in giants.tensors() if t.shape == shape)
    plan = plan_for(tensor, cells=most)
    assert plan.height <= 2 * most[0]
    assert plan.width <= 2 * most[1]
    assert plan.height * plan.width <= 1 << 26
    assert sum(plan.cells) <= (1 << 22) + (1 << 16)
    if most == (1024, 1024):
        assert plan.height <= 6 * plan.width
        assert plan.width <= 40 * plan.height
        assert plan.height * plan.width > 1 << 12  # and shows what it can
    if plan.height * plan.width <= 1 << 21:
        check_laws(plan, every=False)


@pytest.mark.parametrize(
    "shape", [(2**20, 2**20), (3, 2**30), (2**31,), (4096, 4096, 3, 3)], ids=str
)
def test_as_many_cells_as_may_be_asked_for(giants: weigh.Network, shape: tuple[int, ...]) -> None:
    plan = plan_for(next(t for t in giants.tensors() if t.shape == shape), cells=(8192, 8192))
    assert plan.height * plan.width <= 1 << 26
    assert sum(plan.cells) <= (1 << 22) + (1 << 16)


def test_what_has_no_values_has_no_plan() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = live(nn.LazyLinear(3))
    with pytest.raises(ValuesError, match="before the layer's first input"):
        plan_for(lazy)
    with pytest.raises(ValuesError, match=r"no values to show; saw shape \[0, 3\]"):
        plan_for(tensor_of((0, 3)))


def test_labels_are_numbers_of_filters() -> None:
    plan = plan_of(live(nn.Conv2d(1, 6, 5)))
    assert plan.labels() == (
        (Label(0, 5, "0"), Label(6, 11, "3")),
        (Label(0, 5, "0"), Label(6, 11, "1"), Label(12, 17, "2")),
    )


def test_keras_has_filters_last() -> None:
    net = weigh.open({"conv2d.kernel": np.arange(3 * 4 * 2 * 5.0).reshape(3, 4, 2, 5)})
    tensor = net["conv2d.kernel"]
    tensor = Tensor(
        tensor.name,
        tensor.values,
        _form=tensor._form.__class__(  # the axes as a Keras file states them
            **{
                **{key: getattr(tensor._form, key) for key in tensor._form.__match_args__},
                "axes": tuple(
                    Axis(name, size)
                    for name, size in zip(
                        ("kernel_height", "kernel_width", "in_channels", "filters"),
                        (3, 4, 2, 5),
                        strict=True,
                    )
                ),
            }
        ),
    )
    plan, sheet = sheet_of(tensor)
    assert plan.rows[0].name == "filters"
    assert names(plan)[0][-1] == "kernel_height"
    np.testing.assert_array_equal(sheet[:3, :4], tensor.read()[:, :, 0, 0])


def test_a_colour_of_a_tensor_that_has_none() -> None:
    with pytest.raises(UsageError, match="only an axis of 3"):
        plan_of(live(nn.Linear(4, 4)), rgb=True)
