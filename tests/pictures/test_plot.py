"""Pictures on axes of matplotlib."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

import weigh
from weigh._pictures.colours import GAP, THEMES, palette


@pytest.fixture
def weight() -> weigh.Tensor:
    values = np.linspace(-1, 1, 150, dtype="f4").reshape(6, 1, 5, 5)
    values[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    return weigh.open({"conv.weight": values})["conv.weight"]


def drawn(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()


def test_it_shows_the_cells_of_the_picture(weight: weigh.Tensor) -> None:
    picture, figure = weight.picture(), Figure()
    ax = figure.add_subplot()
    assert weight.plot(ax) is ax
    [image] = ax.images
    shown = image.get_array()
    codes = picture.sheet.codes
    assert_array_equal(shown[..., :3], palette()[codes])
    assert_array_equal(shown[..., 3] == 0, codes == GAP)
    rows, columns = codes.shape
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, columns - 0.5), (rows - 0.5, -0.5))
    drawn(figure)


def test_it_says_what_the_picture_says(weight: weigh.Tensor) -> None:
    picture, figure = weight.picture(), Figure(layout="constrained")
    ax = weight.plot(figure.add_subplot())
    assert ax.get_title() == picture.title
    assert (ax.get_xlabel(), ax.get_ylabel()) == (picture.sheet.x_name, picture.sheet.y_name)
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        label.text for label in picture.sheet.columns
    ]
    [caption] = [text.get_text().replace("\n", " ") for text in ax.texts]
    assert caption == " ".join(picture.caption)
    assert ax.texts == list(weight.plot(Figure().add_subplot(), caption=False).texts) or caption
    assert not weight.plot(Figure().add_subplot(), caption=False).texts
    drawn(figure)


def test_what_is_odd_has_its_sign(weight: weigh.Tensor) -> None:
    ax = weight.plot(Figure().add_subplot())
    [signs] = ax.collections
    middles = {
        tuple(np.rint(path.vertices[:-1].mean(axis=0)).astype(int)) for path in signs.get_paths()
    }
    codes = weight.picture().sheet.codes
    assert {codes[row, column] for column, row in middles} == {1, 2, 3}
    assert len(signs.get_paths()) == 3


def test_the_bar_has_the_limits(weight: weigh.Tensor) -> None:
    figure = Figure()
    weight.plot(figure.add_subplot(), colorbar=True, theme="dark")
    _, bar = figure.axes
    limit = weight.picture().sheet.limit
    assert bar.get_ylim() == pytest.approx((-limit, limit))
    drawn(figure)


def test_options_are_those_of_pictures(weight: weigh.Tensor) -> None:
    ax = weight.plot(Figure().add_subplot(), layout="o i h w -> o (i h w)", scale=0.5)
    assert ax.images[0].get_array().shape[:2] == (6, 29)  # with gaps between channels
    assert any("0.5" in text.get_text() for text in ax.texts)
    with pytest.raises(weigh.UsageError):
        weight.plot(Figure().add_subplot(), scale="nothing")


def test_three_colours() -> None:
    values = np.random.default_rng(0).normal(size=(8, 3, 7, 7)).astype("f4")
    weight = weigh.open({"conv1.weight": values})["conv1.weight"]
    sheet = weight.picture().sheet
    assert sheet.rgb is not None
    shown = weight.plot(Figure().add_subplot(), colorbar=True).images[0].get_array()
    plain = sheet.codes > 5
    assert_array_equal(shown[plain][:, :3], sheet.rgb[plain])


def test_neither_settings_nor_the_current_figure_change(weight: weigh.Tensor) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    settings = dict(mpl.rcParams)
    current = plt.figure()
    own = plt.gca()
    weight.plot(Figure().add_subplot(), colorbar=True)
    weight.histogram().plot(Figure().add_subplot())
    assert plt.get_fignums() == [current.number]
    assert plt.gcf() is current
    assert plt.gca() is own
    assert dict(mpl.rcParams) == settings
    ax = weight.plot()
    assert ax.figure is not current
    assert not own.has_data()
    plt.close("all")


def test_a_name_is_no_formula() -> None:
    name = r"a$\frac{1}{$_weight"
    figure = Figure()
    ax = weigh.open({name: np.ones((2, 3), "f4")})[name].plot(figure.add_subplot(), colorbar=True)
    weigh.open({name: np.ones((2, 3), "f4")})[name].histogram().plot(figure.add_subplot())
    assert name in ax.get_title()
    drawn(figure)


@pytest.mark.parametrize("scale", ["linear", "symlog"])
def test_histograms_have_the_counts(weight: weigh.Tensor, scale: str) -> None:
    histogram, figure = weight.histogram(scale=scale), Figure()
    ax = histogram.plot(figure.add_subplot())
    steps, _ = ax.patches  # and those that are expected
    assert_array_equal(steps.get_data().values, histogram.parts[0].counts)
    assert_array_equal(steps.get_data().edges, histogram.edges)
    assert ax.get_xscale() == scale
    assert mpl.colors.same_color(steps.get_facecolor()[:3], np.array(THEMES["light"].second) / 255)
    drawn(figure)


def test_a_histogram_of_nothing_finite() -> None:
    figure = Figure()
    weigh.open({"a": np.full(3, np.nan)})["a"].histogram().plot(figure.add_subplot())
    drawn(figure)


def test_without_matplotlib_it_says_what_to_install() -> None:
    code = """
import sys, numpy, weigh
sys.modules["matplotlib"] = None
weight = weigh.open({"a": numpy.ones(3)})["a"]
for draw in (weight.plot, weight.histogram().plot, weight.picture().plot):
    try:
        draw()
    except weigh.UnsupportedError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("plotting needs matplotlib")
        assert line.endswith("Run: pip install 'weigh[plot]'.")


def test_drawing_without_it_does_not_load_it() -> None:
    code = "import sys, numpy, weigh; t = weigh.open({'a': numpy.ones(3)})['a']; t.picture().svg()"
    code += "; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
