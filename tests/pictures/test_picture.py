"""Pictures of tensors: their codes, their words, and the files they become."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import same_as_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import weigh
from models import Article
from test_live_untouched import state_of
from weigh._errors import UsageError, ValuesError
from weigh._pictures.colours import ABOVE, BELOW, GAP, MIDDLE, NAN, NEGINF, POSINF, STEPS, palette
from weigh._pictures.picture import Picture

Array = np.ndarray[Any, Any]


def picture(values: Any, name: str = "a", **options: Any) -> Picture:
    made = weigh.picture({name: values}, name, **options)
    assert isinstance(made, Picture)
    return made


def code(value: float, limit: float) -> int:
    """Say by itself which code a value has."""
    if np.isnan(value):
        return NAN
    if np.isinf(value):
        return POSINF if value > 0 else NEGINF
    if value > limit:
        return ABOVE
    if value < -limit:
        return BELOW
    return MIDDLE if not limit else MIDDLE + round(value / limit * STEPS)


@settings(max_examples=100)
@given(
    st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1, max_size=9),
    st.sampled_from([None, 0.5, 1.0, 1e-30, 3e38]),
)
def test_every_value_has_its_code(rows: list[list[float]], limit: float | None) -> None:
    values = np.array(rows, "f4")
    made = picture(values, scale="tensor" if limit is None else limit, rgb=False)
    sheet, used = made.sheet, made.sheet.limit
    if limit is not None:
        assert used == limit
    wanted = [code(float(value), used) for value in values.reshape(-1)]
    shown = sheet.codes.reshape(-1)[made.plan.places().reshape(-1)].tolist()
    assert (sheet.codes != GAP).sum() == len(wanted)
    for one, other in zip(shown, wanted, strict=True):  # rounded halves may go either way
        assert one == other or (min(one, other) > ABOVE and abs(one - other) <= 1)
    fields = {"nan": NAN, "posinf": POSINF, "neginf": NEGINF, "below": BELOW, "above": ABOVE}
    for field, which in fields.items():
        assert getattr(sheet, field) == wanted.count(which)


def test_what_shares_a_cell_shows_the_worst() -> None:
    values = np.ones((8, 8), "f4")
    values[0, 0], values[0, 5], values[5, 0], values[5, 5], values[5, 6] = (
        np.nan,
        np.inf,
        -np.inf,
        np.inf,
        np.nan,
    )
    sheet = picture(values, cells=2).sheet
    assert sheet.codes.tolist() == [[NAN, POSINF], [NEGINF, NAN]]
    assert (sheet.nan, sheet.posinf, sheet.neginf, sheet.per_cell) == (2, 1, 1, 16)


@pytest.mark.parametrize("reducer", ["extreme", "rms", "mean"])
def test_a_cell_is_what_was_asked_for(reducer: Any) -> None:
    values = np.array([[1.0, -3], [2, 0]] * 2).repeat(2, 1)
    found = picture(values, cells=1, reducer=reducer, scale=4)
    number = {"extreme": -3, "rms": np.sqrt(14 / 4), "mean": 0}[reducer]
    assert found.sheet.codes.tolist() == [[code(number, 4)]]
    words = {
        "extreme": "the value furthest from 0, with its sign",
        "rms": "the root of the mean square",
        "mean": "the mean",
    }[reducer]
    assert found.caption[2] == f"A cell is {words}, of up to 16 values; all 16 values were read."


def test_each_filter_may_have_its_own_limit() -> None:
    values = np.ones((3, 1, 2, 2), "f4") * np.array([1, 10, 100], "f4")[:, None, None, None]
    own = picture(values, "conv.weight", scale="filter")
    assert {*own.sheet.codes[own.sheet.codes != GAP].tolist()} == {MIDDLE + STEPS}
    assert own.sheet.limits == (1.0, 100.0)
    assert "limits from ±1 to ±100, for each position of out_channels" in own.caption[1]
    one = picture(values, "conv.weight")
    assert one.sheet.limit == 100
    assert len({*one.sheet.codes[one.sheet.codes != GAP].tolist()}) == 3
    wide = picture(
        np.ones((4, 400), "f4") * np.array([[1], [2], [3], [4]], "f4"), "fc.weight", scale="filter"
    )
    assert wide.sheet.limits == (1.0, 4.0)  # of each output, though inputs are cut into bands


def test_the_scale_of_the_network() -> None:
    net = {"a.weight": np.full((2, 2), 0.5), "b.weight": np.full((2, 2), 8.0)}
    found = weigh.picture(net, "a.weight", scale="network")
    assert found.sheet.limit == 8
    assert "of all parameters" in found.caption[1]


def test_one_number_of_any_scale() -> None:
    for scale in ("tensor", "filter", "network", 2.0):
        found = picture(np.array(1.0), scale=scale)
        assert found.sheet.codes.shape == (1, 1)
        assert found.svg()
        assert found.text()


def test_three_colours() -> None:
    values = np.zeros((1, 3, 2, 2), "f4")
    values[0, :, 0, 0] = [1, 0, -1]
    values[0, 1, 1, 1] = np.nan
    found = picture(values, "conv.weight", rgb=True)
    assert found.sheet.rgb is not None
    assert found.sheet.rgb[0, 0].tolist() == [255, 128, 0]
    assert found.sheet.codes.tolist() == [[MIDDLE, MIDDLE], [MIDDLE, NAN]]
    assert found.caption[1].startswith(
        "in_channels 0, 1, 2 are red, green and blue, brighter is larger"
    )
    assert found.caption[2] == "A cell is one value of each colour; all 12 values were read."
    assert found.caption[3] == "Cells that hold 1 NaN, marked. Nothing is clipped."


def test_words_to_the_letter() -> None:
    assert picture(np.arange(150.0).reshape(6, 1, 5, 5) - 75, "conv.weight").caption == (
        "Down: kernel_height=5; to the right: out_channels=6 (3 in a row), kernel_width=5.",
        "Orange is positive, blue negative; limits ±75, the largest |w|.",
        "A cell is one value; all 150 values were read.",
        "Nothing is clipped.",
    )
    assert picture(np.zeros((2, 3)), "fc.weight").caption[1:] == (
        "Orange is positive, blue negative; all finite values are 0.",
        "A cell is one value; all 6 values were read.",
        "Nothing is clipped.",
    )
    assert picture(np.full((2, 2), np.nan), "fc.weight").caption[1:] == (
        "Orange is positive, blue negative; no value is finite.",
        "A cell is one value; all 4 values were read.",
        "Values that are 4 NaN, marked. Nothing is clipped.",
    )
    rare = np.zeros(5000)
    rare[7], rare[8], rare[9] = -4.0, np.inf, -np.inf
    assert picture(rare).caption[1:] == (
        "Orange is positive, blue negative; limits ±4, the largest |w|, zeros left out.",
        "A cell is one value; all 5,000 values were read.",
        "Values that are 1 +Inf, 1 -Inf, marked. Nothing is clipped.",
    )
    spread = np.ones(2000)
    spread[0], spread[1] = -50, 60
    assert picture(spread).caption[1:] == (
        "Orange is positive, blue negative; limits ±1, the 99.9th percentile of |w|.",
        "A cell is one value; all 2,000 values were read.",
        "Clipped: 2 values, 1 below minus the limit and 1 above the limit.",
    )
    assert picture(np.array(5.0)).caption[1] == "A cell is one value; it was read."


def test_a_sample_says_so(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F16","shape":[8200,8200],"data_offsets":[0,134480000]}}'
    with (path := tmp_path / "a.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 134480000)
    found = weigh.picture(path, "a", sample=True)
    assert found.sheet.shown < found.sheet.values == 8200 * 8200
    said = f"sampled: {found.sheet.shown:,} of 67,240,000 values were read (11 %)"
    assert said in found.caption[2]
    whole = weigh.picture(path, "a")
    assert whole.sheet.shown == whole.sheet.values
    small = picture(np.zeros((40, 40)), cells=4, sample=True)
    assert "sampled" not in " ".join(small.caption)


@pytest.mark.parametrize("scale", ["row", "", 0, -1, float("nan"), float("inf"), None, [1]])
def test_what_is_no_scale(scale: Any) -> None:
    with pytest.raises(UsageError, match="a scale is"):
        picture(np.ones(3), scale=scale)


def test_what_is_no_reducer() -> None:
    with pytest.raises(UsageError, match="the extreme, the rms or the mean"):
        picture(np.ones(3), reducer="median")  # type: ignore[arg-type]


def test_zeros_have_no_sign_and_ends_have_no_overflow() -> None:
    assert picture(np.array([-0.0, 0.0])).sheet.codes.tolist() == [[MIDDLE, MIDDLE]]
    huge = picture(np.array([1e308, -1e308, 5e307])).sheet
    assert huge.codes.tolist() == [[MIDDLE + STEPS, MIDDLE - STEPS, MIDDLE + STEPS // 2]]
    tiny = picture(np.array([5e-324, 0.0, -5e-324])).sheet
    assert tiny.codes.tolist() == [[MIDDLE + STEPS, MIDDLE, MIDDLE - STEPS]]
    whole = picture(np.array([2**63 - 1, -(2**63), 0], "i8")).sheet
    assert whole.codes.tolist() == [[MIDDLE + STEPS, MIDDLE - STEPS, MIDDLE]]
    assert (whole.below, whole.above) == (0, 0)


def test_values_that_cannot_be_had() -> None:
    with torch.device("meta"):
        module = nn.Linear(3, 3)
    with pytest.raises(ValuesError, match="meta"):
        weigh.picture(module, "weight")
    with pytest.raises(weigh.UnknownNameError, match="weight"):
        weigh.picture(nn.Linear(3, 3), "wieght")


HOSTILE = "</text><script>alert(1)</script>&\x1b]0;x\x07\u202e\ud800]]>\n-->"


def test_a_hostile_name_does_no_harm() -> None:
    made = picture(np.ones((2, 2)), HOSTILE)
    text = made.svg()
    root = ET.fromstring(text)  # well-formed
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert "<script" not in text
    assert "\x1b" not in text
    with Image.open(io.BytesIO(made.png())) as image:
        image.load()
    drawn = made.text()
    assert "\x1b" not in drawn.replace("\n", "")
    assert "\u202e" not in drawn
    assert drawn.encode("utf-8")


def test_a_live_module_is_left_alone() -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({"net": Article(), "lstm": nn.LSTM(3, 4), "norm": nn.BatchNorm1d(3)})
    before, rng = state_of(module), torch.get_rng_state()
    network = weigh.open(module)
    for tensor in network.tensors():
        tensor.picture().png()
        tensor.picture(cells=(2, 2), reducer="mean", scale="filter").svg()
        tensor.histogram().svg()
    weigh.ridge(network).svg()
    assert state_of(module) == before
    assert torch.equal(torch.get_rng_state(), rng)


def golden_network() -> dict[str, Array]:
    """Six tensors of fixed numbers, which need no generator."""

    def waves(*shape: int) -> Array:
        count = int(np.prod(shape))
        steps = (np.arange(count, dtype=np.int64) * 7919) % 1009
        return ((steps - 504) / 1009).astype("f4").reshape(shape)

    conv = waves(6, 1, 5, 5)
    conv[0, 0, 0, 0], conv[1, 0, 2, 2], conv[5, 0, 4, 4] = np.nan, np.inf, -np.inf
    fc = waves(40, 30)
    fc[3, 7], fc[20, 5] = 9, -9
    return {
        "conv1.weight": conv,
        "rgb.weight": waves(8, 3, 3, 3),
        "fc.weight": fc,
        "fc.bias": waves(300),
        "emb.weight": waves(500, 6),
        "big.weight": waves(64, 64),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", list(golden_network()))
def test_golden_files(name: str, theme: Any) -> None:
    options: dict[str, Any] = {"cells": 16} if name == "big.weight" else {}
    made = weigh.picture(golden_network(), name, **options)
    stem = f"{name.replace('.', '-')}-{theme}"
    assert same_as_golden(f"{stem}.svg", made.svg(theme))
    assert same_as_golden(f"{stem}.png", made.png(theme))


def test_cells_have_the_colours_of_their_codes() -> None:
    made = picture(np.array([[1.0, -1.0], [0.0, 0.5]]))
    for theme in ("light", "dark"):
        with Image.open(io.BytesIO(made.png(theme, zoom=1))) as image:  # type: ignore[arg-type]
            seen = {
                tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
            }
        for value in (MIDDLE + STEPS, MIDDLE - STEPS, MIDDLE, MIDDLE + STEPS // 2):
            assert tuple(palette(theme)[value].tolist()) in seen  # type: ignore[arg-type]


def test_text_fits_its_width() -> None:
    made = picture(np.arange(3000.0).reshape(50, 60), "fc.weight")
    for width in (20, 40, 80, 200):
        lines = made.text(width, ascii_only=True).splitlines()
        assert all(line.isascii() for line in lines if "±" not in line)


def test_of_complex_values_it_says_that_one_part_is_shown() -> None:
    values = np.array([[3 - 4j, 2 + 1j]], "c8")
    said = "A complex value stands as its real or imaginary part, whichever is further from 0."
    made = picture(values)
    assert made.sheet.codes.tolist() == [[code(-4, 4), code(2, 4)]]
    assert said in made.caption
    assert said not in picture(values.real).caption


def test_an_axis_wrapped_to_one_place_is_named_once() -> None:
    made = picture(np.ones((2, 3, 2, 3, 2, 3), "f4"))
    assert made.caption[0] == (
        "Down: axis 0=2, axis 3=3, axis 4=2; to the right: axis 1=3, axis 2=2, axis 5=3."
    )
