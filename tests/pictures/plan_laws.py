"""The laws of every plan, and tensors of any shape to hold them against."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import weigh
from weigh._pictures.plan import Plan
from weigh._tensor import Tensor


def tensor_of(shape: tuple[int, ...], name: str = "a") -> Tensor:
    """Make a tensor whose values are their own numbers."""
    values = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
    return weigh.open({name: values})[name]


def check_laws(plan: Plan, *, every: bool = True) -> None:
    """Hold a plan against the laws that all of them keep."""
    for size, starts in zip(plan.shape, plan.starts, strict=True):
        assert starts[0] == 0
        assert all(one < other for one, other in pairwise((*starts, size)))
    places = plan.places()
    kept = [count for axis, count in enumerate(plan.cells) if axis != plan.colour]
    assert places.shape == tuple(kept)
    flat = places.reshape(-1)
    assert flat.min() >= 0
    assert flat.max() < plan.height * plan.width
    assert len(np.unique(flat)) == flat.size  # no two cells in one place
    for labels, end in zip(plan.labels(), (plan.height, plan.width), strict=True):
        assert all(0 <= label.start < label.stop <= end for label in labels)
        assert all(one.stop <= other.start for one, other in pairwise(labels))
    if every:
        check_index(plan, places)


def check_index(plan: Plan, places: np.ndarray[Any, Any]) -> None:
    """See that ``index_of`` is the way back from every place, and None everywhere else."""
    left = {int(place): at for at, place in np.ndenumerate(places)}
    for row in range(plan.height):
        for column in range(plan.width):
            found = plan.index_of(row, column)
            cell = left.pop(row * plan.width + column, None)
            if cell is None:
                assert found is None
                continue
            inner = iter(cell)
            wanted = []
            for axis, (size, starts) in enumerate(zip(plan.shape, plan.starts, strict=True)):
                if axis == plan.colour:
                    wanted.append(range(size))
                    continue
                at = next(inner)
                wanted.append(range(starts[at], (*starts, size)[at + 1]))
            assert found == tuple(wanted)
    assert not left
    for row, column in ((-1, 0), (0, -1), (plan.height, 0), (0, plan.width)):
        assert plan.index_of(row, column) is None


def laid_out(plan: Plan, values: np.ndarray[Any, Any], gap: float = np.nan) -> np.ndarray[Any, Any]:
    """Put values where a plan of one value a cell has them."""
    sheet = np.full(plan.height * plan.width, gap)
    sheet[plan.places().reshape(-1)] = values.reshape(-1)
    return sheet.reshape(plan.height, plan.width)
