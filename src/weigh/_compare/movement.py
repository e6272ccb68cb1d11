"""What the story says of values that changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from weigh._compare.change import TensorChange
from weigh._compare.conclusion import Conclusion, counted, folded_layers, names, number, percent
from weigh._compare.evidence import Evidence, values_of
from weigh._compare.low_rank import MOST, low_rank
from weigh._measures.difference import relative

RELATED = 0.5
"""Of tensors that share a history the cosine is larger: the same network at another time."""
UNRELATED = 0.2
"""Of those that do not it is smaller: networks that were begun from other random numbers."""
LITTLE = 0.3
"""A relative change up to this is what fine-tuning makes."""
FEW = 0.01
"""Where fewer than this share of the values of what changed did, that is what is told."""
ALONG = 0.999
"""What was multiplied by a number changed along itself: the cosine of both is 1 or -1."""
_COMPARED = 64
"""A tensor of fewer values says nothing by its cosine."""


def what_moved(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of parameters that changed: the plainest reason that fits."""
    total = _total(evidence.moved)
    if not total:
        # What became NaN was told before.
        yield from () if evidence.odd else (_bits_alone(evidence),)
        return
    simple = few(evidence) or pruned(evidence) or scaled(evidence)
    if simple is not None:
        yield simple
        return
    matrices = [c for c in evidence.moved if _is_matrix(c)]
    cosines = [_cosine(c) for c in matrices or evidence.moved if _says_something(c)]
    anew = bool(cosines) and sum(abs(c) < UNRELATED for c in cosines) >= MOST * len(cosines)
    moved = set(map(id, evidence.moved))
    still = [c for c in evidence.paired if id(c) not in moved]
    if anew and 2 * values_of(evidence.moved) > values_of(evidence.paired):
        still = []  # what is equal besides is equal by chance: biases of 0, scales of 1
    if still:
        yield some_layers(evidence, still)
    if anew:
        yield _begun_anew(cosines, whole=not still)
        return
    low = low_rank(matrices)
    yield low if low is not None else _on_the_whole(evidence, total, cosines, whole=not still)


def _bits_alone(evidence: Evidence) -> Conclusion:
    return Conclusion(
        "bits alone",
        "Only bits changed that make no difference as numbers, in "
        f"{names(evidence.moved)}: the signs of zeros, or integers beyond 2^53.",
        {"tensors": [c.name for c in evidence.moved]},
    )


def _begun_anew(cosines: Sequence[float], *, whole: bool) -> Conclusion:
    """Tell of weights that have nothing in common with what was there before."""
    unrelated = sum(abs(c) < UNRELATED for c in cosines)
    many = f"{unrelated:,} of {counted(len(cosines), 'weight')}"
    between = f"(cosines from {min(cosines):.2g} to {max(cosines):.2g})"
    if whole:
        text = f"Trained from scratch: {many} have nothing in common with what has "
        text += f"their name in A {between}."
        return Conclusion("from scratch", text, _spread(cosines))
    text = (
        f"What changed was begun anew, or comes from another network: {many} have nothing in "
        f"common with what was there {between}."
    )
    return Conclusion("begun anew", text, _spread(cosines))


def _on_the_whole(
    evidence: Evidence, total: float, cosines: Sequence[float], *, whole: bool
) -> Conclusion:
    """Tell how far the weights moved: a little, as fine-tuning makes it, or more."""
    related = sum(c > RELATED for c in cosines)
    numbers = {"relative_change": total, "tensors": len(evidence.moved), **_spread(cosines)}
    by = f"by {_between(evidence, total)}" if math.isfinite(total) else ""
    if total <= LITTLE and related >= MOST * len(cosines):
        what = "everything moved a little" if whole else "what changed moved a little"
        return Conclusion("fine-tuned", f"Fine-tuned: {what}, {by}.", numbers)
    what = "Trained on: the weights" if evidence.noun == "parameter" else "The values"
    text = f"{what} moved {by}".rstrip()
    if cosines:
        text += f"; {related:,} of {len(cosines):,} still point the same way"
        text += f" (cosine above {RELATED:g})"
    return Conclusion("far", f"{text}.", numbers)


def _between(evidence: Evidence, total: float) -> str:
    """Say how large the change is, on the whole and by tensor."""
    parts = [c.difference.relative_change for c in evidence.moved if c.difference is not None]
    finite = [part for part in parts if math.isfinite(part)]
    text = f"{number(total)} times their norm"
    if len(finite) > 1:
        text += f" ({number(min(finite))} to {number(max(finite))} by tensor)"
    risen = len(parts) - len(finite)
    if risen:
        text += f", and {counted(risen, 'tensor')} that held only zeros do no longer"
    return text


def some_layers(evidence: Evidence, still: Sequence[TensorChange]) -> Conclusion:
    """Tell which layers changed, where others did not."""
    whole = {c.tensor.layer for c in evidence.moved} - {c.tensor.layer for c in still}
    # A layer of which only the bias moved is told by its bias.
    places = [c.tensor.layer if c.tensor.layer in whole else c.name for c in evidence.moved]
    layers = list(dict.fromkeys(places))
    changed = sum(c.difference.changed_values for c in evidence.moved if c.difference is not None)
    whole_count = values_of(evidence.paired)
    share = changed / max(1, whole_count)
    values = values_of(still)
    named = folded_layers(layers)
    equal = [c for c in still if c.kind != "recast"]
    how = "are equal bit for bit" if len(equal) == len(still) else "hold the same numbers"
    text = (
        f"Only {named} changed ({counted(len(evidence.moved), evidence.noun)}: {changed:,} of all "
        f"{whole_count:,} values); the other {counted(len(still), evidence.noun)} with "
        f"{values:,} values {how}"
    )
    text += ": they were frozen, or got no gradient." if evidence.noun == "parameter" else "."
    return Conclusion(
        "only some layers",
        text,
        {"layers": layers, "changed": len(evidence.moved), "unchanged": len(still), "share": share},
    )


def few(evidence: Evidence) -> Conclusion | None:
    """Tell of few values that changed, whatever their tensors look like by them."""
    found = [c.difference for c in evidence.moved if c.difference is not None]
    changed, count = sum(d.changed_values for d in found), values_of(evidence.paired)
    if changed > FEW * sum(d.count for d in found):
        return None
    text = f"Few values changed: {changed:,} of all {count:,}, in {names(evidence.moved)}"
    most = max(evidence.moved, key=lambda c: c.difference.max_abs if c.difference else 0.0)
    if most.difference is not None and most.difference.max_at:
        at = ", ".join(map(str, most.difference.max_at))
        text += f"; the largest change is {most.difference.max_abs:.4g}, at {most.name}[{at}]"
    return Conclusion("few values", f"{text}.", {"changed": changed, "count": count})


def pruned(evidence: Evidence) -> Conclusion | None:
    """Tell where all that changed became 0."""
    found = [c.difference for c in evidence.moved if c.difference is not None]
    changed = sum(d.changed_values for d in found)
    zeros = sum(d.to_zero for d in found)
    if not changed or zeros < changed:
        return None
    count = sum(d.count for d in found)
    text = (
        f"Pruned: {zeros:,} values became 0 ({percent(zeros / count)} of those of "
        f"{counted(len(found), 'tensor')}) and no other value changed."
    )
    return Conclusion("pruned", text, {"to_zero": zeros, "count": count})


def scaled(evidence: Evidence) -> Conclusion | None:
    """Tell where all weights were multiplied by one number: weight decay alone, say."""
    ratios = []
    for change in evidence.moved:
        found = change.difference
        whole = found is not None and found.finite == found.count > 1
        if found is None or not whole or not found.norm_a or not found.norm_b:
            return None
        # The angle between the change and what was there: a small change has A and B point
        # the same way, whatever it is.
        moved, before, after = found.norm_change, found.norm_a, found.norm_b
        if not moved:
            return None
        along = (after - before) / moved * ((after + before) / before / 2)
        if not abs(along - moved / before / 2) > ALONG:
            return None
        ratios.append(math.copysign(after / before, found.cosine or 0.0))
    if (
        not ratios
        or not all(map(math.isfinite, ratios))
        or max(ratios) - min(ratios) > 1e-3 * abs(ratios[0])
    ):
        return None
    ratio = sum(ratios) / len(ratios)
    if abs(ratio - 1) < 1e-5:
        return None
    text = f"Scaled: all that changed was multiplied by {ratio:.6g}."
    return Conclusion("scaled", text, {"ratio": ratio, "tensors": len(ratios)})


def _is_matrix(change: TensorChange) -> bool:
    return len(change.tensor.shape or ()) > 1


def _says_something(change: TensorChange) -> bool:
    found = change.difference
    return found is not None and found.count >= _COMPARED and found.cosine is not None


def _cosine(change: TensorChange) -> float:
    found = change.difference
    return 0.0 if found is None or found.cosine is None else found.cosine


def _total(changes: Sequence[TensorChange]) -> float:
    """Give the relative change of all of them together."""
    found = [c.difference for c in changes if c.difference is not None]
    # hypot neither overflows nor loses what is small.
    below = math.hypot(*(d.norm_a or 0.0 for d in found))
    above = math.hypot(*(d.norm_change for d in found))
    return relative(above, below)


def _spread(cosines: Sequence[float]) -> dict[str, object]:
    if not cosines:
        return {}
    ordered = sorted(cosines)
    return {
        "least_cosine": ordered[0],
        "median_cosine": ordered[len(ordered) // 2],
        "largest_cosine": ordered[-1],
    }
