"""The statistics and the histograms of one tensor, as a report holds them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from weigh._measures.statistics import QUANTILES, Statistics, quantile_key
from weigh._measures.table import Scale, Table
from weigh._pictures.edges import ends_of, symlog_edges
from weigh._pictures.histogram import Histogram, histogram_of
from weigh._tensor import Initial

BINS = 64
"""Most bins of a histogram; of few values there are fewer."""

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Range",
        (
            ("min", "smallest"),
            *((quantile_key(q), f"quantile {quantile_key(q)}") for q in QUANTILES),
            ("max", "largest"),
        ),
    ),
    (
        "Moments",
        (
            ("mean", "mean"),
            ("std", "standard deviation"),
            ("rms", "root mean square"),
            ("l1", "L1 norm"),
            ("l2", "L2 norm"),
            ("skewness", "skewness"),
            ("kurtosis", "excess kurtosis"),
        ),
    ),
    (
        "Counts",
        (
            ("count", "values"),
            ("zeros", "zeros"),
            ("nan", "NaN"),
            ("posinf", "+Inf"),
            ("neginf", "-Inf"),
            ("subnormal", "subnormal"),
            ("at_limit", "at the type's limit"),
        ),
    ),
    (
        "Bits",
        (
            ("entropy_bits", "entropy, bits a value"),
            ("distinct", "distinct patterns"),
            ("spare_bits", "lowest bits never used"),
            ("exact", "quantiles are exact"),
        ),
    ),
)
"""How statistics are laid out; a tensor's come in this order, without names."""


def statistics_row(found: Statistics) -> list[str | None]:
    """Write all statistics as text, in the order of ``GROUPS``."""
    return [_text(found, key) for _, rows in GROUPS for key, _ in rows]


def _text(found: Statistics, key: str) -> str | None:
    value = found.quantiles.get(key) if key[0].isdigit() else getattr(found, key)
    if isinstance(value, bool):
        return "yes" if value else "no, to the top 16 bits"
    if isinstance(value, int) and key not in ("min", "max"):
        return f"{value:,}"
    return None if value is None else f"{value:.6g}"


def histograms(tables: Sequence[Table], initial: Initial | None) -> dict[str, Any]:
    """Count the values of one table, or of two in the same bins, on both scales.

    Args:
        tables: of one tensor, or of it before and after.
        initial: the distribution that the values are drawn from at first.
    """
    scales: tuple[Scale, ...] = ("linear", "symlog")
    made: dict[str, Any] = {}
    for scale in scales:
        found = histogram_of(
            tables[0],
            scale=scale,
            beside=tables[1] if len(tables) > 1 else None,
            initial=initial or False,
        ).with_bins(BINS)
        if found.edges:
            made[scale] = _histogram(found, tables)
    return made


def _histogram(found: Histogram, tables: Sequence[Table]) -> dict[str, Any]:
    """Tell what the page needs to draw it: edges only where it cannot work them out."""
    edges = found.edges
    told: dict[str, Any] = {
        "counts": [list(part.counts) for part in found.parts],
        "top": float(f"{found.top:.6g}"),
        "caption": list(found.caption),
    }
    if any(part.below or part.above for part in found.parts):
        told["beyond"] = [[part.below, part.above] for part in found.parts]
    if found.least:
        told["least"] = found.least
    ends = ends_of(tables)
    # Of as many bins as there are the page makes the same edges, unless some of them were one.
    regular = symlog_edges(tables, len(edges) - 1)[0] if found.least else []
    if ends is not None and regular == list(edges):
        told["ends"] = list(ends)
    elif not found.least and _even(edges):
        told["ends"] = [_told(edges[0]), _told(edges[-1])]
    else:
        told["edges"] = list(map(_told, edges))
    return told


def _even(edges: Sequence[float]) -> bool:
    """Whether all bins have about one width."""
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    return isfinite(width) and all(
        abs(edge - edges[0] - width * at) <= width * 1e-6 for at, edge in enumerate(edges)
    )


def _told(edge: float) -> float:
    """Leave out digits that only say on which side of an edge a number is."""
    return float(f"{edge:.9g}")


def initial_json(initial: Initial) -> list[Any]:
    """Give the distribution that a tensor starts with, for the page to draw."""
    return [initial.family, initial.a, initial.b, str(initial)]
