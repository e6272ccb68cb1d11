"""What the story says of names, places and sizes: of what came, went, moved or grew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from weigh._compare.conclusion import NAMED, Conclusion, counted, folded_layers, joined, names
from weigh._compare.evidence import Evidence, resized
from weigh._compare.naming import NamePair
from weigh._compare.renames import renames


def grown(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of tensors of another size."""
    grown = [
        c
        for c in evidence.parameters
        if c.kind == "reshaped"
        and c.difference is not None
        and c.a is not None
        and c.b is not None
        and c.a.count != c.b.count
    ]
    if not grown:
        return
    same = sum(not c.difference.changed_values for c in grown if c.difference is not None)
    named = "; ".join(f"{c.name} {c.words}" for c in grown[:NAMED])
    more = f" and {len(grown) - NAMED:,} more" if len(grown) > NAMED else ""
    part = "unchanged" if same == len(grown) else f"unchanged in {same:,} of {len(grown):,}"
    yield Conclusion(
        "grown",
        f"Other sizes: {named}{more}; the part that both have is {part}.",
        {"tensors": [c.name for c in grown], "unchanged": same},
    )


def renamed(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of names that changed."""
    elsewhere = set(map(id, evidence.elsewhere))
    pairs = [
        NamePair(c.a.name, c.b.name, c.how or c.found_by)
        for c in evidence.all
        if c.renamed and c.a is not None and c.b is not None and id(c) not in elsewhere
    ]
    if not pairs:
        return
    ways = renames(pairs)
    named = ", ".join(f"{a} -> {b}" + (f" ({n:,} times)" if n > 1 else "") for a, b, n in ways[:3])
    more = f" and {len(ways) - 3:,} more ways" if len(ways) > 3 else ""
    yield Conclusion(
        "renamed",
        f"{counted(len(pairs), 'tensor')} renamed: {named}{more}.",
        {"tensors": len(pairs), "ways": [[a, b, n] for a, b, n in ways[:50]]},
    )


def places(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of layers whose weights are those of another place now."""
    steps: Counter[tuple[str, str]] = Counter()
    for change in evidence.elsewhere:
        if change.a is not None and change.b is not None:
            steps[_roots(change.a.name, change.b.name)] += 1
    if not steps:
        return
    named = ", ".join(f"{a} -> {b}" for a, b in list(steps)[:NAMED])
    more = f" and {len(steps) - NAMED:,} more" if len(steps) > NAMED else ""
    yield Conclusion(
        "other places",
        f"Weights are in other places: {named}{more} "
        f"({counted(len(evidence.elsewhere), 'tensor')}, equal bit for bit), so the network "
        "computes something else, unless what uses them moved with them.",
        {"tensors": len(evidence.elsewhere), "places": [[a, b] for a, b in list(steps)[:50]]},
    )


def tied(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of tensors that were one, or became one."""
    for change, text in (("tied", "became one tensor"), ("untied", "is no longer one tensor")):
        found = [tie for tie in evidence.ties if tie.change == change]
        if found:
            more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
            yield Conclusion(
                change,
                f"{found[0].name}{more} {text} with {found[0].tied_to}.",
                {"names": [tie.name for tie in found]},
            )


def coming_and_going(evidence: Evidence, *, told: bool) -> Iterator[Conclusion]:
    """Tell of parameters that only one of both has, unless that was told already."""
    gone = [c for c in evidence.parameters if c.kind == "removed"]
    new = [c for c in evidence.parameters if c.kind == "added"]
    if told or not (gone or new):
        return
    parts = []
    for changes, word in ((gone, "removed"), (new, "added")):
        if changes:
            layers = folded_layers(list(dict.fromkeys(c.tensor.layer or c.name for c in changes)))
            parts.append(f"{counted(len(changes), evidence.noun)} {word} ({layers})")
    yield Conclusion(
        "other layers",
        f"{joined(parts)}.",
        {"removed": [c.name for c in gone], "added": [c.name for c in new]},
    )


def unread(evidence: Evidence) -> Iterator[Conclusion]:
    """Tell of values that could not be had."""
    unread = [c for c in evidence.all if c.kind == "unread"]
    if unread:
        yield Conclusion(
            "unread",
            f"The values of {counted(len(unread), 'tensor')} could not be had: {names(unread)}.",
            {"tensors": [c.name for c in unread]},
        )


def other_architecture(evidence: Evidence, paired: int, values: int) -> Conclusion:
    """Tell of networks of which little belongs together."""
    a = [c for c in evidence.parameters if c.a is not None]
    b = [c for c in evidence.parameters if c.b is not None]
    fit = [c for c in evidence.paired if not resized(c)]
    text = (
        f"Different architectures: of {counted(len(a), evidence.noun)} in A and {len(b):,} in B "
        f"{len(fit):,} belong together and are of about one size"
    )
    text += (
        f", with {paired:,} of A's {values:,} values."
        if fit
        else " by their names or by equal values."
    )
    return Conclusion("other architecture", text, {"a": len(a), "b": len(b), "paired": len(fit)})


def _roots(a: str, b: str) -> tuple[str, str]:
    """Leave out of two names what they end in alike.

    Examples:
        >>> _roots("layers.1.fc.weight", "layers.2.fc.weight")
        ('layers.1', 'layers.2')
    """
    one, other = a.split("."), b.split(".")
    while len(one) > 1 and len(other) > 1 and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return ".".join(one), ".".join(other)
