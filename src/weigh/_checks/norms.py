"""Rules on normalisations: scales that are 0, and statistics that were never gathered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from weigh._checks.finding import Finding, Unsure
from weigh._checks.followers import VARIANCES
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.starts import SCALES
from weigh._checks.subject import Subject
from weigh._errors import WeighError
from weigh._measures.channels import median
from weigh._model import Tensor

_MEANS = ("running_mean", "moving_mean", "mean")
_LISTED = 50
_MOST = 1 << 20


def zeroed_norm(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find channels that a normalisation scales to nothing."""
    for layer, own in subject.in_layers():
        scale = _one(own, SCALES)
        if "Norm" not in layer.kind or scale is None or scale.role != "parameter":
            continue
        found = subject.statistics(scale)
        if found is None or not 1 < found.count <= _MOST or found.finite != found.count:
            continue
        if found.min == found.max == 0:
            yield Unsure(
                scale.name,
                "its scale is 0 throughout: a start at 0, or a normalisation that adds 1 to it",
            )
            continue
        if not _near_zero(subject, scale, limits["ratio"]):
            continue
        import numpy as np  # only where there may be something to find

        try:
            sizes = np.abs(scale.read().astype(np.float64)).reshape(-1)
        except WeighError:
            continue
        usual = median(sizes)
        small = np.flatnonzero(sizes <= limits["ratio"] * usual)
        if len(small) * 2 >= len(sizes):
            if len(small):
                yield Unsure(scale.name, "half of its scale or more is 0, as if it were pruned")
            continue
        if len(small):
            yield Finding(
                scale.name,
                f"{len(small):,} of {len(sizes):,} scales are 0 beside a median of {usual:.3g}",
                {
                    "channels": small[:_LISTED].tolist(),
                    "count": len(small),
                    "of": len(sizes),
                    "largest": float(sizes[small].max()),
                    "median": usual,
                },
            )


def _near_zero(subject: Subject, scale: Tensor, ratio: float) -> bool:
    """Whether a value may be that small beside the largest; as its table tells, which is quick."""
    table, found = subject.table(scale), subject.statistics(scale)
    if table is None or found is None or found.min is None or found.max is None:
        return True
    # As wide as a pattern of the top 16 bits may be.
    limit = ratio * max(-found.min, found.max) * 1.02
    return table.below(limit, with_equal=True) > table.below(-limit)


def stale_buffer(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find running statistics that are still as they start, beside weights that are not."""
    norms = []
    for layer, own in subject.in_layers():
        mean, variance = _one(own, _MEANS), _one(own, VARIANCES)
        if mean is not None and variance is not None and _known(subject, mean, variance):
            norms.append((layer, own, mean, variance))
    fresh = {
        layer.path: _is(subject, mean, 0.0) and _is(subject, variance, 1.0)
        for layer, _, mean, variance in norms
    }
    for layer, own, _, _ in norms:
        trained = _trained(subject, own)
        batches = _batches(own)
        evidence: dict[str, Any] = {"num_batches_tracked": batches}
        if fresh[layer.path]:
            if trained or (trained is None and not all(fresh.values())):
                yield Finding(
                    layer.path,
                    "its running mean is 0 and its running variance 1, as at the start, beside "
                    "weights that were trained",
                    evidence | {"running_mean": 0.0, "running_var": 1.0},
                )
        elif batches == 0:
            yield Finding(
                layer.path,
                "its running statistics were gathered, but num_batches_tracked is 0",
                evidence,
                severity="info",
                do="It matters only with momentum=None: then the next batch replaces them.",
                why="The counter was not carried over with the statistics.",
            )


def _one(own: dict[str, Tensor], names: tuple[str, ...]) -> Tensor | None:
    return next((own[name] for name in names if name in own), None)


def _known(subject: Subject, *tensors: Tensor) -> bool:
    """Whether tensors have values, which those of a lazy layer have not yet."""
    found = [subject.statistics(tensor) for tensor in tensors]
    return all(one is not None and one.count for one in found)


def _is(subject: Subject, tensor: Tensor, value: float) -> bool:
    found = subject.statistics(tensor)
    return found is not None and bool(found.count) and found.min == found.max == value


def _trained(subject: Subject, own: dict[str, Tensor]) -> bool | None:
    """Say whether a normalisation's scale or shift has left its start; None if it has none."""
    rows = ((_one(own, SCALES), 1.0), (_one(own, ("bias", "beta")), 0.0))
    known = [(t, value) for t, value in rows if t is not None and subject.statistics(t) is not None]
    return any(not _is(subject, t, value) for t, value in known) if known else None


def _batches(own: dict[str, Tensor]) -> int | None:
    tensor = own.get("num_batches_tracked")
    if tensor is None or tensor.count != 1:
        return None
    try:
        return int(tensor.item())
    except (WeighError, ValueError, OverflowError):  # NaN and infinities are no counts
        return None


RULES: tuple[Rule, ...] = (
    Rule(
        "zeroed-norm",
        "channels that a normalisation scales to 0",
        zeroed_norm,
        why="Such a channel is the same for every input, and what comes before it is lost.",
        do="It may come of weight decay on scales, or of an outlier that was driven out.",
        limits={"ratio": Limit(1e-6, "the scale that counts as 0, as a share of the median")},
    ),
    Rule(
        "stale-buffer",
        "running statistics as at the start beside trained weights",
        stale_buffer,
        why="In eval mode the layer does not normalise: outputs are far from those in training.",
        do="Run training data through it in train mode, or load the buffers with the weights.",
    ),
)
