"""Rules on the numbers of single tensors: not finite, constant, far off, at their type's limit."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log2
from typing import TYPE_CHECKING, Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.places import first_place, largest_place
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.starts import constants
from weigh._checks.subject import Subject
from weigh._measures.statistics import Statistics
from weigh._model import Tensor
from weigh._pattern import pattern

if TYPE_CHECKING:
    import numpy as np

_MASK = pattern(r"mask|bias|causal|tril|attn", 2)
"""Names of buffers in which minus infinity is meant: what is masked gets no attention."""
_NEEDS = pattern(r"inv_freq|position_ids|freqs_cis|num_batches_tracked|token_type_ids")
"""Buffers whose numbers 8 bits of mantissa cannot hold."""
_NARROW = {"bfloat16": 7, "float16": 10}


def non_finite(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find NaN and infinities."""
    for tensor in subject.tensors:
        found = subject.statistics(tensor)
        if found is None or not (found.nan or found.posinf or found.neginf):
            continue
        if _is_mask(tensor, found):
            continue
        counts = ((found.nan, "NaN"), (found.posinf, "+Inf"), (found.neginf, "-Inf"))
        said = " and ".join(f"{n:,} {word}" for n, word in counts if n)
        yield Finding(
            tensor.name,
            f"it holds {said} among {found.count:,} values",
            {
                "nan": found.nan,
                "posinf": found.posinf,
                "neginf": found.neginf,
                "values": found.count,
                "first": first_place(tensor, _not_finite),
            },
            # What is not the network's own, an optimizer's state say, is no less lost.
            severity=None if tensor.role in ("parameter", "buffer") else "warning",
        )


def _not_finite(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    found: np.ndarray[Any, Any] = ~np.isfinite(values)
    return found


def _is_mask(tensor: Tensor, found: Statistics) -> bool:
    """Whether minus infinity is meant: in a buffer called so, beside nothing but zeros."""
    if tensor.role == "parameter" or found.nan or found.posinf:
        return False
    name = tensor.name.rpartition(".")[2]
    return found.finite == found.zeros and _MASK.search(name) is not None


def constant(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find parameters all of whose values are equal, and that do not start so."""
    for tensor in subject.parameters:
        found = subject.statistics(tensor)
        if found is None or found.count < limits["values"] or found.finite != found.count:
            continue
        if found.min != found.max or found.min in constants(tensor):
            continue
        value = float(found.min or 0)
        evidence = {"value": value, "values": found.count}
        if len(tensor.shape or ()) > 1 and not value:
            yield Finding(
                tensor.name,
                f"all {found.count:,} values are 0, so that it passes nothing on",
                evidence,
                do="A layer that starts at 0 on purpose was never trained; else look for what "
                "set it to 0.",
            )
        elif len(tensor.shape or ()) > 1 or tensor.initial is not None:
            yield Finding(tensor.name, f"all {found.count:,} values are {value:g}", evidence)


def outlier(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find single values far from all others of their tensor."""
    for tensor in subject.parameters:
        found = subject.statistics(tensor)
        if found is None or found.count < limits["values"] or found.min is None:
            continue
        middle, scale = found.quantiles["0.5"], robust_scale(found)
        if not scale or found.max is None or not found.l2:
            continue
        far = max(found.max - middle, middle - found.min) / scale
        energy = (max(abs(found.max), abs(found.min)) / found.l2) ** 2
        if far < limits["deviations"] or energy < limits["energy"]:
            continue
        place = largest_place(tensor)
        where = "" if place is None else f" at {place[0]}"
        value = max(found.max, found.min, key=abs) if place is None else place[1]
        yield Finding(
            tensor.name,
            f"the value {value:.4g}{where} is {far:,.0f} robust deviations from the median and "
            f"holds {energy:.0%} of the energy",
            {
                "value": value,
                "position": None if place is None else place[0],
                "deviations": far,
                "scale": scale,
                "energy": energy,
            },
        )


def robust_scale(found: Statistics) -> float:
    """Estimate the standard deviation from quantiles, which outliers do not move.

    The distance of two quantiles of a normal distribution in its deviations: 1.349 for the
    quarters, 3.290 for 5 and 95 %. The larger one, so that many equal values do not count as all.
    """
    q = found.quantiles
    return max((q["0.75"] - q["0.25"]) / 1.349, (q["0.95"] - q["0.05"]) / 3.290)


def dtype_limit(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find values that their type cannot hold well: too large, too small, or too close."""
    for tensor in subject.tensors:
        found = subject.statistics(tensor)
        if found is None or not found.finite or tensor.role not in ("parameter", "buffer"):
            continue
        if found.dtype not in ("float16", "bfloat16") and "float8" not in found.dtype:
            continue
        yield from _saturated(tensor, found)
        yield from _subnormal(tensor, found, limits)
        yield from _coarse(tensor, found, limits)


def _saturated(tensor: Tensor, found: Statistics) -> Iterator[Finding]:
    # A single one is what scaling by the largest value gives each tensor of float8.
    if found.at_limit > (1 if "float8" in found.dtype else 0):
        share = found.at_limit / found.count
        if "float8" in found.dtype and share < 1e-3:
            return
        yield Finding(
            tensor.name,
            f"{found.at_limit:,} values are the largest number of {found.dtype}: they were cut",
            {"at_limit": found.at_limit, "share": share, "dtype": found.dtype},
            do="Scale it, or keep it in a type with a wider range.",
        )


def _subnormal(tensor: Tensor, found: Statistics, limits: Limits) -> Iterator[Finding]:
    nonzero = found.finite - found.zeros
    share = found.subnormal / nonzero if nonzero else 0.0
    # The types of 8 bits have few normal numbers: their subnormals are meant.
    if found.dtype == "float16" and share >= limits["subnormal"] and found.count >= 100:
        yield Finding(
            tensor.name,
            f"{share:.1%} of its values that are not 0 are subnormal: they have lost digits",
            {"subnormal": found.subnormal, "share": share, "dtype": found.dtype},
            do="Scale it, or keep it as bfloat16 or float32.",
        )


def _coarse(tensor: Tensor, found: Statistics, limits: Limits) -> Iterator[Finding]:
    """Find values that lie closer together than their type's numbers do."""
    mantissa = _NARROW.get(found.dtype)
    if mantissa is None or found.min is None or found.max is None or found.count < 16:
        return
    name = tensor.name.rpartition(".")[2]
    if tensor.role == "buffer" and _NEEDS.search(name) and found.dtype == "bfloat16":
        yield Finding(
            tensor.name,
            "it holds positions, frequencies or counts in bfloat16, which has 3 digits",
            {"dtype": found.dtype, "distinct": found.distinct, "values": found.count},
            do="Keep this buffer in float32.",
        )
        return
    spread, size = found.std or 0.0, abs(found.mean or 0.0)
    if not spread or not size:
        return
    step = 2.0 ** (floor(log2(size)) - mantissa)
    if spread < limits["steps"] * step:
        yield Finding(
            tensor.name,
            f"its values lie within {spread / step:.2g} steps of {found.dtype} about "
            f"{found.mean:.4g}: "
            "finer differences were lost",
            {
                "std": spread,
                "mean": found.mean,
                "step": step,
                "distinct": found.distinct,
                "dtype": found.dtype,
            },
            severity="info",
            do="Train and keep such parameters in float32.",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "non-finite",
        "NaN or infinities among the values",
        non_finite,
        severity="error",
        why="One such number makes every output that depends on it useless.",
        do="Go back to the last checkpoint without it; look for a loss or a rate that ran away.",
    ),
    Rule(
        "constant",
        "a parameter all of whose values are equal",
        constant,
        why="Its units all compute the same, and gradients keep them the same.",
        do="Look at how it was initialised, and whether it was loaded.",
        limits={"values": Limit(8, "values below which a tensor is not looked at")},
    ),
    Rule(
        "outlier",
        "a single value far from all others of its tensor",
        outlier,
        severity="info",
        why="Such values spoil quantization and pictures, and may be damage.",
        do="Keep its channel in a wider type when you quantize; compare an earlier checkpoint.",
        limits={
            "deviations": Limit(100, "robust standard deviations from the median"),
            "energy": Limit(0.01, "the share of the tensor's sum of squares that it holds"),
            "values": Limit(1000, "values below which a tensor is not looked at"),
        },
    ),
    Rule(
        "dtype-limit",
        "values that their type cannot hold well",
        dtype_limit,
        why="What does not fit a type is cut, loses digits or becomes equal to its neighbours.",
        do="Keep this tensor in a type with more range or more digits.",
        limits={
            "subnormal": Limit(0.01, "the share of float16 values that may be subnormal"),
            "steps": Limit(1.0, "steps of the type that values must at least be spread over"),
        },
    ),
)
