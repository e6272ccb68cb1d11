"""Which arrays of NumPy share memory, and where in it they lie."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple


class Storage(NamedTuple):
    """A range of memory that one or more arrays are views of."""

    start: int
    stop: int


def is_numpy(value: object) -> bool:
    """Whether a value is an array of NumPy's."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def storages_of(arrays: Mapping[int, Any]) -> dict[int, Storage]:
    """Join the memory of arrays whose owners overlap, as views of one array do."""
    ranges = {key: reach(owner(array)) for key, array in arrays.items()}
    joined: dict[int, Storage] = {}
    group: list[int] = []
    start = stop = 0
    for key in sorted(ranges, key=lambda key: ranges[key]):
        low, high = ranges[key]
        if group and low >= stop:
            joined.update(dict.fromkeys(group, Storage(start, stop)))
            group = []
        if not group:
            start, stop = low, high
        stop = max(stop, high)
        group.append(key)
    joined.update(dict.fromkeys(group, Storage(start, stop)))
    return joined


def owner(array: Any) -> Any:
    """Find the array whose memory this one is a view of."""
    while is_numpy(array.base):
        array = array.base
    return array


def reach(array: Any) -> tuple[int, int]:
    """Find the first address an array touches, and one past its last."""
    first = int(array.__array_interface__["data"][0])
    if 0 in array.shape:
        return first, first
    last = first + array.itemsize
    for size, stride in zip(array.shape, array.strides, strict=True):
        move = (size - 1) * stride
        first, last = first + min(move, 0), last + max(move, 0)
    return first, last
