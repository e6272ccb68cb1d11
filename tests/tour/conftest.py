"""One real, whole tour for all the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from weigh._tour import Part, Step, TourResult, run_tour


@pytest.fixture(scope="session")
def tour(tmp_path_factory: pytest.TempPathFactory) -> TourResult:
    """The tour as it comes: the usual digits, seed and number of epochs."""
    return run_tour(out=tmp_path_factory.mktemp("tour"))


@pytest.fixture(scope="session")
def steps(tour: TourResult) -> dict[str, Step]:
    return {part.key: part for part in tour.parts if isinstance(part, Step)}


@pytest.fixture
def article(tmp_path: Path) -> Callable[..., list[Part]]:
    """Give the parts of a tour without training."""

    def take(**given: object) -> list[Part]:
        parts: list[Part] = []
        options = {"out": tmp_path / "out", "train": False, "emit": parts.append, **given}
        run_tour(**options)  # type: ignore[arg-type]
        return parts

    return take
