"""Every format of Weigh's own keeps the contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weigh._registry import FORMATS
from weigh.testing import FormatContract
from writers import WRITERS


def test_every_format_has_an_example() -> None:
    assert list(WRITERS) == [row.name for row in FORMATS]


@pytest.mark.parametrize("name", list(WRITERS))
class TestContract(FormatContract):
    @pytest.fixture
    def written(self, name: str, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
        self.format = next(row for row in FORMATS if row.name == name)
        self.may_load = ("numpy",) if self.format.extra == "keras" else ()  # h5py needs it
        return WRITERS[name](tmp_path)

    @pytest.fixture
    def example(self, written: tuple[Path, dict[str, np.ndarray]]) -> Path:
        return written[0]

    @pytest.fixture
    def expected(self, written: tuple[Path, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return written[1]
