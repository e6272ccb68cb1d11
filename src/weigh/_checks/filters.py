"""Rules on the channels of a weight: filters that are dead, and filters that are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import log2
from typing import TYPE_CHECKING, Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.followers import norm_after
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.starts import constants
from weigh._checks.subject import Subject
from weigh._errors import WeighError
from weigh._measures.channels import (
    OUTPUTS,
    array_of,
    channel_axis,
    input_squares,
    median,
)
from weigh._measures.feed import reader_of
from weigh._model import Tensor
from weigh._pattern import pattern

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_FIXED = pattern(r"stft|dft|fourier|basis|window|mel_?(?:scale|basis|fb)|filter_?bank|sobel|blur")
"""Names of weights that are computed, not learned: a Fourier basis has rows of zeros."""
_LISTED = 50
"""Channels that are listed by number in the evidence."""
_READ = 2000
"""Channels that are read once more to compare them value by value."""
_SAMPLE = 16
"""Rows of a matrix by which inputs are picked that may be dead."""
_ALIKE = {"float32": 1e-11, "float64": 1e-11}
_ALIKE_NARROW = 1e-7
"""Sums of squares of equal values differ by no more than this: they are added in parts, those of
narrow types in float32 at first."""
_BEGINNING = 16
"""Values of a channel by which most of those are told apart that are alike in size."""


def dead_filter(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find output channels far smaller than their layer's others, and inputs alike."""
    for tensor in subject.parameters:
        if not _has_outputs(tensor):
            continue
        yield from _dead_outputs(subject, tensor, limits)
        yield from _dead_inputs(subject, tensor, limits)


def _dead_outputs(subject: Subject, tensor: Tensor, limits: Limits) -> Iterator[Finding]:
    """Find output channels far smaller than their layer's others."""
    spread = subject.spread(tensor)
    # The median is no more than the largest.
    if spread is None or spread[0] > limits["ratio"] ** 2 * spread[1]:
        return
    import numpy as np  # only where there may be something to find

    squares = subject.squares(tensor)
    if squares is None or len(squares) < limits["channels"]:
        return
    norms = np.sqrt(squares)
    reference = _reference(norms)
    if not reference:
        return  # all are 0: that is the rule ``constant``
    dead = np.flatnonzero(norms < limits["ratio"] * reference)
    evidence: dict[str, Any] = {}
    if len(dead):
        dead, evidence = _confirmed(subject, tensor, dead)
    if len(dead):
        noun, of = _noun(tensor), len(norms)
        still = 0.0 in constants(tensor)
        what = "are at 0, as they start" if still else "are dead"
        yield Finding(
            tensor.name,
            f"{len(dead):,} of {of:,} {noun} {what}: norms up to "
            f"{norms[dead].max():.2g} where the median is {reference:.2g}",
            {
                "channels": dead[:_LISTED].tolist(),
                "count": len(dead),
                "of": of,
                "largest_norm": float(norms[dead].max()),
                "median_norm": float(reference),
            }
            | evidence,
            severity="info" if still else None,
            why="They add nothing to what the frozen layer gives there." if still else "",
            do="Nothing, if the units after them are dead or unused." if still else "",
        )


def _has_outputs(tensor: Tensor) -> bool:
    """Whether a weight has output channels, and was learned."""
    at = channel_axis(tensor)
    return (
        at is not None
        and tensor.axes[at].name in OUTPUTS
        and not _FIXED.search(tensor.name.lower())
    )


def _reference(norms: Array) -> float:
    """Give the median of the norms that are not next to nothing beside the largest."""
    import numpy as np

    finite = norms[np.isfinite(norms)]
    if not len(finite):
        return 0.0
    there = finite[finite > 1e-6 * finite.max()]
    return median(there) if len(there) else 0.0


def _noun(tensor: Tensor) -> str:
    return "filters" if len(tensor.shape or ()) > 2 else "outputs"


def _confirmed(subject: Subject, tensor: Tensor, dead: Array) -> tuple[Array, dict[str, Any]]:
    """Ask the normalisation that follows: what it makes large again is not dead."""
    import numpy as np

    found = norm_after(subject, tensor)
    if found is None:
        return dead, {}
    layer, variance, eps = found
    try:
        seen = variance.read().astype(np.float64)
    except WeighError:
        return dead, {}
    dead = dead[seen[dead] < eps]
    return dead, {
        "norm": layer.path,
        "running_var": [float(x) for x in seen[dead][:_LISTED]],
        "median_running_var": median(seen),
    }


def _dead_inputs(subject: Subject, tensor: Tensor, limits: Limits) -> Iterator[Finding]:
    """Find input channels all of whose weights are far smaller than those of the others."""
    shape = tensor.shape or ()
    if len(shape) < 2:
        return  # a lazy layer's has none yet
    # Of filters in groups, the second axis is not that of the input.
    if len(tensor.axes) < 2 or tensor.axes[1].name not in ("in_channels", "in_features"):
        return
    if channel_axis(tensor) != 0 or shape[1] < limits["channels"] or shape[0] < 2:
        return
    if subject.table(tensor) is None:
        return
    # An input that is dead is so in the first rows.
    for rows in (_SAMPLE, shape[0]):
        try:
            squares = input_squares(tensor, rows)
        except WeighError:
            return
        if squares is None:
            return
        least, most = squares.spread()
        if least > limits["ratio"] ** 2 * most:
            return
        import numpy as np  # only where there may be something to find

        norms = np.sqrt(array_of(squares))
        reference = _reference(norms)
        dead = np.flatnonzero(norms < limits["ratio"] * reference)
        if not len(dead):
            return
    yield Finding(
        tensor.name,
        f"{len(dead):,} of {shape[1]:,} inputs are ignored: norms up to {norms[dead].max():.2g} "
        f"where the median is {reference:.2g}",
        {
            "inputs": dead[:_LISTED].tolist(),
            "count": len(dead),
            "of": shape[1],
            "largest_norm": float(norms[dead].max()),
            "median_norm": reference,
        },
        severity="info",
        do="What they carry is not used: the layer before could do without those channels.",
    )


def duplicate_filter(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find output channels that are the same in every value."""
    for tensor in subject.parameters:
        if not _has_outputs(tensor):
            continue
        near = _ALIKE.get(tensor.dtype.name, _ALIKE_NARROW)
        alike, found = subject.alike(tensor, near), subject.statistics(tensor)
        if found is None or not alike:
            continue
        channels = (tensor.shape or ())[channel_axis(tensor) or 0]
        each = found.count // channels
        # Few values of few patterns are equal by chance.
        chance = 2 * log2(channels) + limits["bits"]
        if each * found.entropy_bits < chance:
            continue
        groups, all_read = _equal(tensor, alike)
        if not groups:
            continue
        count = sum(map(len, groups))
        yield Finding(
            tensor.name,
            f"{'' if all_read else 'at least '}{count:,} of {channels:,} {_noun(tensor)} are "
            "copies of each other, in "
            f"{len(groups):,} {'group' if len(groups) == 1 else 'groups'}",
            {
                "groups": [group[:_LISTED] for group in groups[:_LISTED]],
                "count": count,
                "of": channels,
                "needless": count - len(groups),
            },
            # All the same is how a fixed filter is built, such as one that scales a picture up.
            severity="info" if count == channels and len(groups) == 1 else None,
        )


def _equal(tensor: Tensor, alike: list[list[int]]) -> tuple[list[list[int]], bool]:
    """Give the channels that are equal value by value, of groups with sums of squares alike.

    And whether all of those were read; there may be too many.
    """
    candidates = [part for group in alike for part in _of_one_beginning(tensor, group)]
    axis = channel_axis(tensor) or 0
    groups: list[list[int]] = []
    left = _READ
    for channels in candidates:
        by_bytes: dict[bytes, list[int]] = defaultdict(list)
        for channel in sorted(channels):
            left -= 1
            if left < 0:
                break
            index: Any = (*(slice(None),) * axis, channel)
            try:
                by_bytes[tensor[index].read().tobytes()].append(channel)
            except WeighError:
                return groups, False
        groups += [group for group in by_bytes.values() if len(group) > 1]
        if left < 0:
            break
    return sorted(groups), left >= 0


def _of_one_beginning(tensor: Tensor, channels: list[int]) -> list[list[int]]:
    """Part channels by their first values, if they lie so that these are quickly had."""
    raw = reader_of(tensor.values)
    each = (tensor.count or 0) // max(1, len(tensor))
    whole = tensor.dtype.bits >= 8 and tensor.dtype.block == 1  # no value begins within a byte
    if channel_axis(tensor) != 0 or not whole or raw is None:
        return [channels]
    parts: dict[bytes, list[int]] = defaultdict(list)
    for channel in channels:
        start = channel * each
        try:
            parts[bytes(raw(start, start + min(each, _BEGINNING)))].append(channel)
        except WeighError:
            return []
    return [part for part in parts.values() if len(part) > 1]


RULES: tuple[Rule, ...] = (
    Rule(
        "dead-filter",
        "an output channel or an input that is next to nothing beside the others",
        dead_filter,
        needs=("values", "channels"),
        why="It takes memory and time and passes nothing on.",
        do="Remove it, or train with a smaller rate or less weight decay.",
        limits={
            "ratio": Limit(1e-3, "the norm below which it is dead, as a share of the median"),
            "channels": Limit(4, "channels below which a layer is not looked at"),
        },
    ),
    Rule(
        "duplicate-filter",
        "output channels that are equal in every value",
        duplicate_filter,
        needs=("values", "channels"),
        why="Copies learn the same and are as good as one.",
        do="Look for an initialisation that is not random, or for weights that were copied.",
        limits={"bits": Limit(20, "bits by which equality must be unlikely to be chance")},
    ),
)
