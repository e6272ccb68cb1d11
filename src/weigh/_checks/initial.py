"""The rule ``never-trained``: layers whose values are still those they started with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from weigh._checks.finding import Finding, Unsure
from weigh._checks.judged import judge
from weigh._checks.rule import Limit, Limits, Rule
from weigh._checks.subject import Subject
from weigh._checks.verdict import Verdict
from weigh._model import Tensor
from weigh._record import changed, record

_SEEN_IN_HALF = 0.1
"""The change of a float16 weight that must be visible for a bias of zeros to count."""
_FIRST = 50
"""So many layers are named in a finding about the whole network."""


@record(frozen=True)
class _Layer:
    """What the tensors of one layer say together.

    Attributes:
        where: its path; of a tensor that stands alone, its name.
        state: ``"start"`` if it was never trained, ``"open"`` if nobody can tell.
        message: a sentence.
        evidence: the numbers behind it.
        values: how many values its parameters have.
    """

    where: str
    state: Literal["start", "moved", "open", "unknown"]
    message: str = ""
    evidence: dict[str, object] | None = None
    values: int = 0


def never_trained(subject: Subject, limits: Limits) -> Iterator[Finding | Unsure]:
    """Find layers whose values cannot be told from those that they start with."""
    layers = []
    for layer, own in subject.in_layers():
        into = max((tensor.fan_in or 0 for tensor in own.values()), default=0)
        parameters = [tensor for tensor in own.values() if tensor.role == "parameter"]
        verdicts = [(tensor, judge(subject, tensor, limits, into)) for tensor in parameters]
        # What holds layers has parameters that are each for themselves, but for an attention.
        if layer._layers and all(tensor.initial is None for tensor in parameters):
            layers += [(tensor.name, [(tensor, verdict)]) for tensor, verdict in verdicts]
        else:
            layers.append((layer.path, verdicts))
    # Where a generator's very numbers are met, those that lost theirs have been changed.
    marked = any(v.how == "marks" and v.state == "start" for _, rows in layers for _, v in rows)
    judged: list[_Layer] = []
    for path, rows in layers:
        settled = [(tensor, verdict.settled(marked=marked)) for tensor, verdict in rows]
        values = sum(tensor.count or 0 for tensor, _ in rows)
        judged += [changed(one, values=values) for one in _together(path, settled, limits)]
    found = [one for one in judged if one.state == "start"]
    for one in judged:
        if one.state == "open":
            yield Unsure(one.where, one.message)
    unknown = sum(one.values for one in judged if one.state == "unknown")
    most = sum(one.values for one in found) > unknown
    fresh = most and not any(one.state in ("moved", "open") for one in judged)
    do = "That is right before training; after it, look whether anything was learned."
    if fresh and len(found) == 1:
        [one] = found
        yield Finding(one.where, one.message, one.evidence or {}, severity="info", do=do)
        return
    if fresh and found:
        names = [one.where for one in found]
        yield Finding(
            "",
            f"no layer shows a sign of training: all {len(found):,} of which it can be told are "
            "as they start",
            {"layers": names[:_FIRST], "count": len(found)},
            severity="info",
            do=do,
        )
        return
    for one in found:
        yield Finding(one.where, one.message, one.evidence or {})


def _together(
    path: str, verdicts: list[tuple[Tensor, Verdict]], limits: Limits
) -> Iterator[_Layer]:
    """Judge a layer by all its parameters."""
    at_start = [(t, v) for t, v in verdicts if v.state == "start"]
    marked = [(t, v) for t, v in at_start if v.how == "marks"]
    moved = any(v.state == "moved" for _, v in verdicts)
    bits = sum(v.bits for _, v in verdicts if v.state in ("start", "open") and v.bits > 0)
    if moved:
        # Its other parameters may have been left out all the same.
        for tensor, verdict in marked:
            yield _Layer(
                tensor.name, "start", _said([(tensor, verdict)]), _numbers([(tensor, verdict)])
            )
        yield _Layer(path, "moved")
        return
    random = [(t, v) for t, v in verdicts if v.state in ("start", "open") and v.how != "exact"]
    exact = [(t, v) for t, v in at_start if v.how == "exact"]
    if marked or (random and bits >= limits["bits"]):
        yield _Layer(path, "start", _said(random + exact), _numbers(random + exact))
        return
    fitting = [(t, v) for t, v in random if v.fits]
    if fitting:
        told = any(v.resolution <= limits["resolution"] and v.state == "start" for _, v in fitting)
        # float16 makes a bias of zeros out of a very small one.
        narrow = any(t.dtype.name == "float16" for t, _ in exact)
        still = any((t.count or 0) > 1 for t, _ in exact) and any(
            (t.count or 0) >= limits["values"] and (not narrow or v.resolution <= _SEEN_IN_HALF)
            for t, v in fitting
        )
        if told or still:
            yield _Layer(path, "start", _said(fitting + exact), _numbers(fitting + exact))
            return
        largest = max(fitting, key=lambda pair: pair[0].count or 0)
        # A few hundred values may be distributed like this or that; only a default says something.
        says = any(v.default or v.resolution <= limits["doubt"] for _, v in fitting)
        if says and sum(tensor.count or 0 for tensor, _ in fitting) >= limits["values"]:
            yield _Layer(path, "open", _why_open(largest[1]))
        else:
            yield _Layer(path, "unknown")
        return
    if exact and len(exact) == len(verdicts) and any(v.decides for _, v in exact):
        yield _Layer(path, "start", _said(exact), _numbers(exact))
        return
    yield _Layer(path, "unknown")


def _said(judged: list[tuple[Tensor, Verdict]]) -> str:
    """Say what was seen, in a sentence."""
    parts = []
    for tensor, verdict in judged[:4]:
        own = tensor.name.rpartition(".")[2]
        if verdict.how == "exact":
            parts.append(f"{own} is {verdict.constant:g} throughout")
        elif verdict.how == "marks":
            parts.append(f"{own} holds the very numbers that a generator drew ({verdict.start})")
        else:
            parts.append(f"{own} is distributed like {verdict.start}")
    return f"it cannot be told from its initial values: {', '.join(parts)}"


def _why_open(verdict: Verdict) -> str:
    text = "its distribution fits an initial one"
    if verdict.changed:
        return f"{text}, but its last digits are not those that a generator draws"
    return f"{text}, and a change below {verdict.resolution:.0%} of its spread would not show"


def _numbers(judged: list[tuple[Tensor, Verdict]]) -> dict[str, object]:
    return {
        "values": sum(tensor.count or 0 for tensor, _ in judged),
        "tests": sum(verdict.tests for _, verdict in judged),
        "tensors": [verdict.evidence(tensor) for tensor, verdict in judged],
    }


RULES: tuple[Rule, ...] = (
    Rule(
        "never-trained",
        "a layer that cannot be told from its initial values",
        never_trained,
        needs=("values", "channels"),
        why="Training did not reach it: it is unused, not in the optimizer, or its gradient is 0.",
        do="Look whether it is used; if not, remove it; if so, find out why it gets no gradient.",
        limits={
            "bits": Limit(20, "bits that must speak for a generator's very numbers"),
            "alpha": Limit(0.001, "how often a fresh tensor may be taken for a trained one"),
            "resolution": Limit(
                0.005, "the change, as a share of the spread, that must be visible to be sure"
            ),
            "doubt": Limit(
                0.3, "the change that must be visible for a fit to be worth a word of doubt"
            ),
            "values": Limit(50, "values below which a distribution says nothing"),
        },
    ),
)
