"""Small charts in a line of a table: counts as bars, numbers as a line."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

_HEIGHT = 18


def bars(counts: Sequence[int], label: str) -> str:
    """Draw counts as bars; a bin that holds anything is not empty.

    Args:
        counts: of bins of one width.
        label: what a screen reader says, escaped.

    Examples:
        >>> print(bars((0, 1, 2), "of x"))
        <svg class="weigh-chart" ...><path d="M6 18v-9h5v9zM12 18v-18h5v18z"/></svg>
    """
    most = max(counts, default=0)
    path = "".join(
        f"M{6 * at} {_HEIGHT}v-{height}h5v{height}z"
        for at, count in enumerate(counts)
        if count and (height := max(1, round(_HEIGHT * count / most)))
    )
    return _svg(6 * len(counts), f'<path d="{path}"/>', label)


def steps(numbers: Sequence[float | None], label: str) -> str:
    """Draw numbers as dots on a line from 0 to their largest; what is not known is a gap.

    Args:
        numbers: none of them negative.
        label: what a screen reader says, escaped.
    """
    finite = [n for n in numbers if n is not None and isfinite(n)]
    most = max(finite, default=0.0) or 1.0
    inner = _HEIGHT - 4
    dots, line, pen = [], [], "M"
    for at, each in enumerate(numbers):
        if each is None:
            pen = "M"
            continue
        x, y = 8 * at + 4, 2 + inner - inner * min(each / most, 1.0)
        dots.append(f'<circle cx="{x}" cy="{y:.3g}" r="1.8"/>')
        line.append(f"{pen}{x} {y:.3g}")
        pen = "L"
    path = f'<path class="weigh-line" d="{"".join(line)}"/>'
    return _svg(8 * len(numbers), path + "".join(dots), label)


def _svg(width: int, inside: str, label: str) -> str:
    return (
        f'<svg class="weigh-chart" width="{width}" height="{_HEIGHT}" '
        f'viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{label}">{inside}</svg>'
    )
