"""Pictures: decoded by another library, and read as numbers again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load, load_file

from weigh._tour import Step, TourResult, pictures
from weigh._tour.writer import safetensors_bytes


def test_the_tours_png_shows_its_filters(tour: TourResult) -> None:
    folder = tour.files[0].parent
    pixels = np.asarray(Image.open(folder / "filters.png").convert("RGB")).astype(int)
    rows = [
        load_file(folder / f"{name}.safetensors")["conv1.weight"][:, 0]
        for name in ("initial", "trained")
    ]
    scale = max(abs(row).max() for row in rows)
    assert pixels.shape == (12 + 2 * 132, 12 + 6 * 132, 3)
    for r, row in enumerate(rows):
        for (f, y, x), value in np.ndenumerate(row):
            red, _, blue = pixels[12 + r * 132 + y * 24 + 12, 12 + f * 132 + x * 24 + 12]
            expected = (
                247 + (33 - 247) * -value / scale
                if value < 0
                else 247 + (230 - 247) * value / scale
            )
            assert red == pytest.approx(expected, abs=0.51)
            assert (red < blue) == (value < 0) or abs(value) < scale / 50


def test_the_tours_shades_show_its_filters(tour: TourResult, steps: dict[str, Step]) -> None:
    folder = tour.files[0].parent
    before, after = (
        load_file(folder / f"{name}.safetensors")["conv1.weight"][:, 0]
        for name in ("initial", "trained")
    )
    cell = steps["filters"].cells[-1]
    assert cell.look == "shades"
    assert max(map(len, cell.output.splitlines())) <= 60
    scale = max(abs(before).max(), abs(after).max())
    bands = [band.split("\n") for band in cell.output.split("\n\n")]
    assert len(bands) == 4
    for f in range(6):
        for filters, start in ((before, 0), (after, 13)):
            left = (f % 2) * 27 + start
            drawn = [line[left : left + 10 : 2] for line in bands[f // 2][1:]]
            levels = np.array([["·░▒▓█".index(c) for c in row] for row in drawn])
            assert abs((levels - 2) / 2 * scale - filters[f]).max() <= scale / 4 + 1e-6
    assert f"█ {scale:+.3f}" in bands[3][0]
    assert f"· {-scale:+.3f}" in bands[3][0]


def test_odd_values_do_not_ruin_a_picture() -> None:
    rows = [[float("nan"), float("inf")], [1.0, -1.0]]
    assert pictures.scale_of(rows) == 1
    assert pictures.shades(rows, 1) == ["!!!!", "██··"]
    assert pictures.colours(rows, 1).tolist()[0] == [[0, 0, 0], [0, 0, 0]]
    zeros = [[[0.0, 0.0]]]
    assert pictures.shades(zeros[0], pictures.scale_of(zeros)) == ["▒▒▒▒"]
    assert set(pictures.colours(zeros, 0).ravel().tolist()) == {247}
    assert "▒ 0" in pictures.filters_text(zeros, zeros)


def test_a_digit_is_drawn_in_half_blocks() -> None:
    assert pictures.digit_text([[0, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0]]) == "▀▄█\n▀"


def test_safetensors_bytes_against_the_library(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tensors = {
        "z.weight": rng.normal(size=(3, 1, 5)).astype(np.float32),
        "a": np.float32(2.5).reshape(()),
        "turned": rng.normal(size=(4, 3)).astype(np.float32).T,
        "empty": np.zeros((0, 4), np.float32),
        '名 "quoted"': np.array([np.nan, np.inf, -0.0], np.float32),
    }
    data = safetensors_bytes(tensors, {"format": "pt"})
    read = load(data)
    assert set(read) == set(tensors)
    for name, array in tensors.items():
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes(order="C")
    assert int.from_bytes(data[:8], "little") % 8 == 0
    with pytest.raises(ValueError, match="only float32"):
        safetensors_bytes({"d": np.zeros(2)})
