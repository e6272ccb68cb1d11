"""The rule ``untrained-rows``: rows of a look-up table that training did not reach."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import TYPE_CHECKING, Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.places import pieces
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject
from weigh._errors import WeighError
from weigh._measures.channels import ROWS, median
from weigh._model import Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_RUN = 8
"""Neighbouring rows of a group that are told as a run; by chance few stand side by side."""
_LISTED = 50
_SAMPLE = 256


def untrained_rows(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find rows that are as they were drawn, or alike to within chance, while others moved."""
    for tensor in subject.parameters:
        squares = subject.squares(tensor)
        if squares is None or tensor.axes[0].name not in ROWS:
            continue
        if len(squares) < 2 * limits["rows"]:
            continue
        found = _by_marks(tensor, limits) or _by_norm(tensor, squares, limits)
        if found is not None:
            yield found


def _by_marks(tensor: Tensor, limits: Limits) -> Finding | None:
    """Find rows that hold the very numbers that PyTorch's generator drew, beside others."""
    import numpy as np

    from weigh._measures.marks import marked_rows

    width = (tensor.shape or (0, 0))[1]
    if tensor.dtype.name not in ("float32", "float64") or width % 16 or width < 32:
        return None
    try:
        step = max(1, len(tensor) // _SAMPLE)
        sample = marked_rows(np.ascontiguousarray(tensor[::step].read())) >= limits["bits"]
        # None, or all: the second is a table that was never trained.
        if sample.all() or not sample.any():
            return None
        marked = np.concatenate(
            [marked_rows(values) >= limits["bits"] for _, values in pieces(tensor)]
        )
    except WeighError:
        return None
    count = int(marked.sum())
    if not limits["rows"] <= count < len(marked):
        return None
    rows = np.flatnonzero(marked)
    return Finding(
        tensor.name,
        f"{count:,} of {len(marked):,} rows hold the very numbers that a generator drew"
        f"{_in_runs(rows)}; the others moved",
        {"how": "marks", "count": count, "of": len(marked)} | _rows(rows),
    )


def _by_norm(tensor: Tensor, squares: Array, limits: Limits) -> Finding | None:
    """Find a group of rows whose norms are as alike as chance makes them, away from the rest."""
    import numpy as np

    norms = np.sqrt(squares)
    there = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    zero = np.flatnonzero(norms == 0)
    width = (tensor.shape or (0, 1))[1]
    # The norm of d independent normal values varies by 1 / sqrt(2 d) of itself.
    chance = 1 / sqrt(2 * width)
    group = _tight_group(np.log(norms[there]), chance, limits)
    if group is None:
        if len(zero) < limits["rows"]:
            return None
        rest = median(norms[there]) if len(there) else 0.0
        return Finding(
            tensor.name,
            f"{len(zero):,} of {len(norms):,} rows are 0{_in_runs(zero)}; the median norm of the "
            f"others is {rest:.3g}",
            {"how": "zero", "count": len(zero), "of": len(norms), "norm_of_others": rest}
            | _rows(zero),
        )
    rows = there[group]
    outside = np.delete(there, group)
    norm, others = median(norms[rows]), median(norms[outside])
    if max(norm, others) < limits["apart"] * min(norm, others):
        return None
    return Finding(
        tensor.name,
        f"{len(rows):,} of {len(norms):,} rows have a norm of {norm:.3g}, alike to within chance"
        f"{_in_runs(rows)}; that of the others is {others:.3g}",
        {
            "how": "norm",
            "count": len(rows),
            "of": len(norms),
            "norm": norm,
            "norm_of_others": others,
            "spread": float(np.std(norms[rows]) / norm),
            "chance_spread": chance,
        }
        | _rows(rows),
    )


def _tight_group(logs: Array, chance: float, limits: Limits) -> Array | None:
    """Find a peak among logarithms that is no wider than chance makes it, and not the main one.

    They are counted in bins of a quarter of the width of chance, and smoothed. A peak has a valley
    on both sides, lower than a quarter of it; its width is that at half its height.
    """
    import numpy as np

    if len(logs) < 2 * limits["rows"]:
        return None
    low, step = float(logs.min()), chance / 4
    bins = int((float(logs.max()) - low) / step) + 1
    if not 8 <= bins <= 100_000:
        return None
    counts = np.bincount(((logs - low) / step).astype(np.int64), minlength=bins)
    heights = np.convolve(counts, np.array((1, 2, 3, 4, 3, 2, 1)) / 16, "same")
    best: Array | None = None
    for top in _peaks(heights):
        high = np.flatnonzero(heights < heights[top] / 2)
        left, right = high[high < top], high[high > top]
        first = int(left[-1]) + 1 if len(left) else 0
        last = int(right[0]) if len(right) else bins
        # The width at half height of a normal distribution is 2.355 deviations.
        spread = (last - first) * step / 2.355
        if spread > limits["spread"] * chance:
            continue
        middle = low + (first + last) / 2 * step
        near = np.flatnonzero(np.abs(logs - middle) <= 3 * max(spread, chance / 2))
        if limits["rows"] <= len(near) <= len(logs) / 2 and (best is None or len(near) > len(best)):
            best = near
    return best


def _peaks(heights: Array) -> list[int]:
    """Give the peaks that are told from each other by a valley below a quarter of the lower one."""
    peaks: list[int] = []
    top, valley = 0, float("inf")
    for at, height in enumerate(heights):
        if valley < heights[top] / 4:  # the last peak has ended; a new one must stand out
            if height > max(4 * valley, valley + 4 * valley**0.5 + 4):
                peaks.append(top)
                top, valley = at, float("inf")
                continue
        elif height > heights[top]:
            top, valley = at, float("inf")
        valley = min(valley, float(height))
    peaks.append(top)
    return peaks if len(peaks) > 1 else []


def _runs(rows: Array) -> list[tuple[int, int]]:
    """Give the runs of neighbouring rows that are long."""
    import numpy as np

    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = [(int(part[0]), int(part[-1])) for part in np.split(rows, breaks)]
    return [(first, last) for first, last in runs if last - first + 1 >= _RUN]


def _in_runs(rows: Array) -> str:
    runs = _runs(rows)
    if not runs:
        return ""
    inside = sum(last - first + 1 for first, last in runs)
    longest = sorted(runs, key=lambda run: run[0] - run[1])[:3]
    shown = ", ".join(f"{first}-{last}" for first, last in sorted(longest))
    return f" ({inside:,} of them in runs such as {shown})"


def _rows(rows: Array) -> dict[str, object]:
    return {"rows": rows[:_LISTED].tolist(), "runs": [list(run) for run in _runs(rows)[:_LISTED]]}


RULES: tuple[Rule, ...] = (
    Rule(
        "untrained-rows",
        "rows of a look-up table that training did not reach",
        untrained_rows,
        severity="info",
        needs=("values", "channels"),
        why="An item whose row was never trained gives a random vector when it is met.",
        do="Look which items they are; leave them out of the vocabulary, or never feed them.",
        limits={
            "rows": Limit(16, "rows that such a group has at least"),
            "spread": Limit(1.5, "the spread of their norms, in that of chance"),
            "apart": Limit(1.25, "the ratio of their norm and that of the others, at least"),
            "bits": Limit(20, "bits that must speak for a generator's very numbers, in each row"),
        },
    ),
)
