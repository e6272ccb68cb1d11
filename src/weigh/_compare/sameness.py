"""What the story says of values that did not change, or that are no numbers any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from weigh._compare.conclusion import Conclusion, counted, joined, names
from weigh._compare.evidence import Evidence


def identical(evidence: Evidence) -> Conclusion:
    """Tell that nothing differs."""
    tensors, values = len(evidence.all), sum(c.tensor.count or 0 for c in evidence.all)
    text = f"Identical: {evidence.held}, bit for bit"
    a, b = evidence.formats
    text += f", once as {a} and once as {b}." if a != b else "."
    return Conclusion("identical", text, {"tensors": tensors, "values": values})


def not_finite(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of NaN and infinities before all else."""
    now = sum(c.difference.odd_b for c in evidence.odd if c.difference is not None)
    before = sum(c.difference.odd_a for c in evidence.odd if c.difference is not None)
    if not now and not before:
        return
    if now:
        text = f"B holds {counted(now, 'value')} of NaN or infinity"
        text += f", A {before:,}" if before else ", A none"
    else:
        text = f"A holds {counted(before, 'value')} of NaN or infinity, B none"
    numbers = {"a": before, "b": now, "tensors": [c.name for c in evidence.odd]}
    yield Conclusion(
        "not finite",
        f"{text}, among what changed ({names(evidence.odd)}); they take no part in what follows.",
        numbers,
    )


def same_weights(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of parameters whose numbers are the same."""
    cast = [c for c in evidence.paired if c.kind == "recast"]
    others = [c for c in evidence.rest if c.kind == "changed"]
    if cast:
        ways = Counter(c.words.split(", ")[-1] for c in cast)
        named = ", ".join(f"{word} ({counted(n, 'tensor')})" for word, n in ways.most_common())
        errors = [c.difference.relative_change for c in cast if c.difference is not None]
        most = max(errors, default=0.0)
        text = f"The same weights in another dtype: {named}"
        text += f"; the rounding is at most {most:.2g} of a tensor's norm." if most else "."
        numbers = {"tensors": len(cast), "ways": dict(ways), "largest_relative_change": most}
        yield Conclusion("same weights", text, numbers)
        return
    if others and not [c for c in evidence.parameters if c.kind != "unchanged"]:
        text = (
            f"No parameter changed: only {counted(len(others), 'other tensor')} did "
            f"({names(others)}), as statistics and counters do when data is shown."
        )
        yield Conclusion("buffers alone", text, {"changed": len(others)})
        return
    ways = Counter(c.kind for c in evidence.paired)
    if len(evidence.same) == len(evidence.paired) and not evidence.elsewhere:
        what = joined(
            [
                f"{ways[kind]:,} {word}"
                for kind, word in (
                    ("renamed", "under another name"),
                    ("relaid", "in another order of their values"),
                    ("reshaped", "seen under another shape"),
                    ("unchanged", "as they were"),
                )
                if ways[kind]
            ]
        )
        text = f"The same weights: {counted(len(evidence.paired), evidence.noun)}, all that both "
        text += f"have, equal bit for bit ({what})"
        if any(c.permuted for c in evidence.paired):
            text += "; where positions of an axis were permuted it is the same network only "
            text += "if the layers around were permuted with them"
        yield Conclusion(
            "same weights",
            f"{text}.",
            {"parameters": len(evidence.paired), **{kind: ways[kind] for kind in ways}},
        )
