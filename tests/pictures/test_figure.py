"""Figures are saved as what their names say, and their words travel with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn import decoded, parsed, table_of
from PIL import Image

from test_house import loaded
from weigh._errors import SourceError, UsageError
from weigh._pictures.histogram import histogram_of

MADE = histogram_of(table_of(np.arange(12, dtype=np.float32)), name="fc.bias")


@pytest.mark.parametrize("name", ["a.svg", "B.SVG", "a.png", "权重 a.PNG"])
def test_the_end_of_the_name_says_what_it_becomes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("what was there before", "utf-8")
    MADE.save(path, "dark")
    if name.lower().endswith("svg"):
        assert path.read_text("utf-8") == MADE.svg("dark") != MADE.svg()
    else:
        assert path.read_bytes() == MADE.png("dark") != MADE.png()
    MADE.save(str(path))


def test_its_words_travel_with_it(tmp_path: Path) -> None:
    MADE.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        told = image.text  # type: ignore[attr-defined]
    assert told["Title"] == "Histogram of fc.bias"
    assert told["Description"] == " ".join(MADE.caption)
    root = parsed(MADE.svg())
    assert root[0].text == "Histogram of fc.bias"
    assert root[1].text == " ".join(MADE.caption)
    assert root.attrib["role"] == "img"


def test_a_zoom_makes_more_pixels() -> None:
    one, three = decoded(MADE.png(zoom=1)), decoded(MADE.png(zoom=3))
    assert [size * 3 for size in one.shape[:2]] == list(three.shape[:2])
    with pytest.raises(UsageError, match="a zoom is 1 or more, not 0"):
        MADE.png(zoom=0)


@pytest.mark.parametrize("name", ["a.jpg", "svg", "a.svg.gz", ""])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as error:
        MADE.save(name)
    assert str(error.value) == (
        f"pictures are saved as SVG or PNG; saw {name!r}. Let the name end in .svg or .png."
    )


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for name in (tmp_path / "missing" / "a.svg", tmp_path / "a\0.svg"):
        with pytest.raises(SourceError) as error:
            MADE.save(name)
        assert "cannot be written: " in str(error.value)
        assert "\n" not in str(error.value)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SourceError, match="Is a directory"):
        MADE.save(tmp_path / "folder.png")


def test_another_theme_is_refused() -> None:
    with pytest.raises(UsageError, match="no theme 'sepia'"):
        MADE.svg("sepia")  # type: ignore[arg-type]


def test_svg_and_letters_need_no_numpy() -> None:
    """A small histogram is drawn in less time than NumPy takes to load."""
    code = (
        "from array import array\n"
        "from weigh._measures.table import Table\n"
        "from weigh._pictures.histogram import histogram_of\n"
        "made = histogram_of(Table.of('bfloat16', array('H', range(9))))\n"
        "made.svg(), made.text()"
    )
    assert loaded(code, ("numpy", "torch", "click", "rich")) == []
