"""What happened on the whole, in words: each conclusion is inferred, with its numbers beside it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from weigh._compare.change import TensorChange
from weigh._compare.match import Tie
from weigh._compare.naming import NamePair
from weigh._compare.renames import renames
from weigh._measures.difference import relative
from weigh._record import field, record
from weigh._tensor import Status

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
MOST = 0.8
"""This share of the matrices (of the values) decides for all."""
_COMPARED = 64
"""A tensor of fewer values says nothing by its cosine."""
_NAMED = 6


@record(frozen=True)
class Conclusion:
    """One sentence of the story.

    Attributes:
        kind: which it is: ``"identical"``, ``"same weights"``, ``"only some layers"``,
            ``"low rank"``, ``"fine-tuned"``, ``"far"``, ``"from scratch"``, ``"begun anew"``,
            ``"pruned"``, ``"grown"``, ``"scaled"``, ``"other architecture"``, ``"other layers"``,
            ``"renamed"``, ``"other places"``, ``"buffers alone"``, ``"tied"``, ``"untied"``,
            ``"new"``, ``"gone"``, ``"unread"``, ``"not finite"``,
            ``"bits alone"``, ``"few values"``.
        text: the sentence.
        evidence: the numbers it rests on.
        status: how it is known: all are inferred.
    """

    kind: str
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    status: Status = "inferred"


def story_of(
    changes: Sequence[TensorChange], formats: tuple[str, str], ties: Sequence[Tie] = ()
) -> tuple[Conclusion, ...]:
    """Tell what happened to a network, from what became of its tensors.

    Args:
        changes: what became of each tensor.
        formats: of the two networks.
        ties: what is one tensor with another in one of them only.
    """
    return tuple(_Told(changes, formats, ties).tell())


class _Told:
    """The changes, sorted for the story: parameters where there are any."""

    def __init__(
        self, changes: Sequence[TensorChange], formats: tuple[str, str], ties: Sequence[Tie]
    ) -> None:
        self.all, self.formats, self.ties = changes, formats, ties
        parameters = [c for c in changes if c.tensor.role == "parameter"]
        self.parameters = parameters or list(changes)
        self.rest = [c for c in changes if c.tensor.role != "parameter"] if parameters else []
        self.paired = [c for c in self.parameters if c.a is not None and c.b is not None]
        changed = [c for c in self.paired if c.difference is not None]
        changed = [c for c in changed if c.difference and c.difference.changed_values]
        self.odd = [c for c in changed if c.difference and c.difference.odd_a + c.difference.odd_b]
        # Of what holds nothing finite in one of both there is no more to tell.
        self.moved = [
            c for c in changed if c.kind != "recast" and c.difference and c.difference.finite
        ]
        names_a = {c.a.name for c in changes if c.a is not None}
        # What has the name of another tensor of A now was not renamed: it is in another place.
        self.elsewhere = [
            c for c in changes if c.renamed and c.b is not None and c.b.name in names_a
        ]
        self.same = [c for c in self.paired if _holds_the_same(c)]

    def tell(self) -> Iterator[Conclusion]:
        values = sum(c.tensor.count or 0 for c in self.parameters if c.a is not None)
        paired = sum(c.tensor.count or 0 for c in self.paired)
        if not self.all:
            yield Conclusion("identical", "Neither network has any tensors.")
            return
        if not any(c.b is not None for c in self.all):
            yield Conclusion("gone", f"Gone: {self._held()}.")
            return
        if not any(c.a is not None for c in self.all):
            yield Conclusion("new", f"New: {self._held()}.")
            return
        if not self.paired or 2 * paired < values:
            yield self._other_architecture(paired, values)
            if not self.paired:
                return
        if not any(c.kind != "unchanged" for c in self.all):
            yield self._identical()
            yield from self._tied()
            return
        yield from self._not_finite()
        if self.moved:
            yield from self._what_moved()
        elif not self.odd:
            yield from self._same_weights()
        yield from self._places()
        yield from self._grown()
        yield from self._renamed()
        yield from self._tied()
        yield from self._coming_and_going(2 * paired < values)
        yield from self._unread()

    @staticmethod
    def _values(changes: Sequence[TensorChange]) -> int:
        return sum(c.difference.count for c in changes if c.difference is not None)

    def _held(self) -> str:
        values = sum(c.tensor.count or 0 for c in self.all)
        return f"{_counted(len(self.all), 'tensor')} with {values:,} values"

    def _identical(self) -> Conclusion:
        tensors, values = len(self.all), sum(c.tensor.count or 0 for c in self.all)
        text = f"Identical: {self._held()}, bit for bit"
        a, b = self.formats
        text += f", once as {a} and once as {b}." if a != b else "."
        return Conclusion("identical", text, {"tensors": tensors, "values": values})

    def _not_finite(self) -> Iterator[Conclusion]:
        """Tell of NaN and infinities before all else."""
        now = sum(c.difference.odd_b for c in self.odd if c.difference is not None)
        before = sum(c.difference.odd_a for c in self.odd if c.difference is not None)
        if not now and not before:
            return
        if now:
            text = f"B holds {_counted(now, 'value')} of NaN or infinity"
            text += f", A {before:,}" if before else ", A none"
        else:
            text = f"A holds {_counted(before, 'value')} of NaN or infinity, B none"
        evidence = {"a": before, "b": now, "tensors": [c.name for c in self.odd]}
        yield Conclusion(
            "not finite",
            f"{text}, among what changed ({_names(self.odd)}); they take no part in what follows.",
            evidence,
        )

    def _same_weights(self) -> Iterator[Conclusion]:
        """Tell of parameters whose numbers are the same."""
        cast = [c for c in self.paired if c.kind == "recast"]
        others = [c for c in self.rest if c.kind == "changed"]
        if cast:
            ways = Counter(c.words.split(", ")[-1] for c in cast)
            named = ", ".join(f"{word} ({_counted(n, 'tensor')})" for word, n in ways.most_common())
            errors = [c.difference.relative_change for c in cast if c.difference is not None]
            most = max(errors, default=0.0)
            text = f"The same weights in another dtype: {named}"
            text += f"; the rounding is at most {most:.2g} of a tensor's norm." if most else "."
            evidence = {"tensors": len(cast), "ways": dict(ways), "largest_relative_change": most}
            yield Conclusion("same weights", text, evidence)
            return
        if others and not [c for c in self.parameters if c.kind != "unchanged"]:
            text = (
                f"No parameter changed: only {_counted(len(others), 'other tensor')} did "
                f"({_names(others)}), as statistics and counters do when data is shown."
            )
            yield Conclusion("buffers alone", text, {"changed": len(others)})
            return
        ways = Counter(c.kind for c in self.paired)
        if len(self.same) == len(self.paired) and not self.elsewhere:
            what = _joined(
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
            text = f"The same weights: {_counted(len(self.paired), 'parameter')}, all that both "
            text += f"have, equal bit for bit ({what})"
            if any(c.permuted for c in self.paired):
                text += "; where positions of an axis were permuted it is the same network only "
                text += "if the layers around were permuted with them"
            yield Conclusion(
                "same weights",
                f"{text}.",
                {"parameters": len(self.paired), **{kind: ways[kind] for kind in ways}},
            )

    def _what_moved(self) -> Iterator[Conclusion]:
        """Tell of parameters that changed."""
        matrices = [c for c in self.moved if _is_matrix(c)]
        cosines = [_cosine(c) for c in matrices or self.moved if _says_something(c)]
        total = _total(self.moved)
        if not total and self.odd:
            return  # what changed is not finite, which was told
        if not total:
            yield Conclusion(
                "bits alone",
                "Only bits changed that make no difference as numbers, in "
                f"{_names(self.moved)}: the signs of zeros, or integers beyond 2^53.",
                {"tensors": [c.name for c in self.moved]},
            )
            return
        few = self._few()
        if few is not None:
            yield few
            return
        simple = self._pruned() or self._scaled()
        if simple is not None:
            yield simple
            return
        moved = set(map(id, self.moved))
        still = [c for c in self.paired if id(c) not in moved]
        unrelated = sum(abs(c) < UNRELATED for c in cosines)
        related = sum(c > RELATED for c in cosines)
        anew = bool(cosines) and unrelated >= MOST * len(cosines)
        if anew and 2 * self._values(self.moved) > self._values(self.paired):
            still = []  # what is equal besides is equal by chance: biases of 0, scales of 1
        if still:
            yield self._some_layers(still)
        low = None if anew else _low_rank(matrices)
        if low is not None:
            yield low
        evidence = {"relative_change": total, "tensors": len(self.moved), **_spread(cosines)}
        found = [c.difference for c in self.moved if c.difference is not None]
        parts = [d.relative_change for d in found if math.isfinite(d.relative_change)]
        between = f"{_number(total)} times their norm"
        risen = sum(d.relative_change == math.inf for d in found)
        if len(parts) > 1:
            between += f" ({_number(min(parts))} to {_number(max(parts))} by tensor)"
        if risen:
            between += f", and {_counted(risen, 'tensor')} that held only zeros do no longer"
        if anew:
            between = f"(cosines from {min(cosines):.2g} to {max(cosines):.2g})"
            many = f"{unrelated:,} of {_counted(len(cosines), 'weight')}"
            yield (
                Conclusion(
                    "begun anew",
                    f"What changed was begun anew, or comes from another network: {many} have "
                    f"nothing in common with what was there {between}.",
                    evidence,
                )
                if still
                else Conclusion(
                    "from scratch",
                    f"Trained from scratch: {many} have nothing in common {between}.",
                    evidence,
                )
            )
        elif total <= LITTLE and related >= MOST * len(cosines):
            if low is None:
                what = "everything moved a little" if not still else "what changed moved a little"
                yield Conclusion("fine-tuned", f"Fine-tuned: {what}, by {between}.", evidence)
        elif low is None:
            moved_by = f" by {between}" if math.isfinite(total) else ""
            text = f"Trained on: the weights moved{moved_by}"
            if cosines:
                text += f"; {related:,} of {len(cosines):,} still point the same way"
                text += f" (cosine above {RELATED:g})"
            yield Conclusion("far", f"{text}.", evidence)

    def _some_layers(self, still: Sequence[TensorChange]) -> Conclusion:
        whole = {c.tensor.layer for c in self.moved} - {c.tensor.layer for c in still}
        # A layer of which only the bias moved is told by its bias.
        places = [c.tensor.layer if c.tensor.layer in whole else c.name for c in self.moved]
        layers = list(dict.fromkeys(places))
        changed = sum(c.difference.changed_values for c in self.moved if c.difference is not None)
        whole_count = self._values(self.paired)
        share = changed / max(1, whole_count)
        values = self._values(still)
        named = _folded_layers(layers)
        equal = [c for c in still if c.kind != "recast"]
        how = "are equal bit for bit" if len(equal) == len(still) else "hold the same numbers"
        text = (
            f"Only {named} changed ({_counted(len(self.moved), 'parameter')}: {changed:,} of all "
            f"{whole_count:,} values); the other {_counted(len(still), 'parameter')} with "
            f"{values:,} values {how}: "
            "they were frozen, or got no gradient."
        )
        return Conclusion(
            "only some layers",
            text,
            {"layers": layers, "changed": len(self.moved), "unchanged": len(still), "share": share},
        )

    def _few(self) -> Conclusion | None:
        """Tell of few values that changed, whatever their tensors look like by them."""
        found = [c.difference for c in self.moved if c.difference is not None]
        changed, count = sum(d.changed_values for d in found), self._values(self.paired)
        if changed > FEW * sum(d.count for d in found):
            return None
        text = f"Few values changed: {changed:,} of all {count:,}, in {_names(self.moved)}"
        most = max(self.moved, key=lambda c: c.difference.max_abs if c.difference else 0.0)
        if most.difference is not None and most.difference.max_at:
            at = ", ".join(map(str, most.difference.max_at))
            text += f"; the largest change is {most.difference.max_abs:.4g}, at {most.name}[{at}]"
        return Conclusion("few values", f"{text}.", {"changed": changed, "count": count})

    def _pruned(self) -> Conclusion | None:
        found = [c.difference for c in self.moved if c.difference is not None]
        changed = sum(d.changed_values for d in found)
        zeros = sum(d.to_zero for d in found)
        if not changed or zeros < changed:
            return None
        count = sum(d.count for d in found)
        text = (
            f"Pruned: {zeros:,} values became 0 ({_percent(zeros / count)} of those of "
            f"{_counted(len(found), 'tensor')}) and no other value changed."
        )
        return Conclusion("pruned", text, {"to_zero": zeros, "count": count})

    def _scaled(self) -> Conclusion | None:
        """Tell where all weights were multiplied by one number: weight decay alone, say."""
        ratios = []
        for change in self.moved:
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

    def _grown(self) -> Iterator[Conclusion]:
        grown = [
            c
            for c in self.parameters
            if c.kind == "reshaped"
            and c.difference is not None
            and c.a is not None
            and c.b is not None
            and c.a.count != c.b.count
        ]
        if not grown:
            return
        same = sum(not c.difference.changed_values for c in grown if c.difference is not None)
        named = "; ".join(f"{c.name} {c.words}" for c in grown[:_NAMED])
        more = f" and {len(grown) - _NAMED:,} more" if len(grown) > _NAMED else ""
        part = "unchanged" if same == len(grown) else f"unchanged in {same:,} of {len(grown):,}"
        yield Conclusion(
            "grown",
            f"Other sizes: {named}{more}; the part that both have is {part}.",
            {"tensors": [c.name for c in grown], "unchanged": same},
        )

    def _renamed(self) -> Iterator[Conclusion]:
        elsewhere = set(map(id, self.elsewhere))
        pairs = [
            NamePair(c.a.name, c.b.name, c.how or c.found_by)
            for c in self.all
            if c.renamed and c.a is not None and c.b is not None and id(c) not in elsewhere
        ]
        if not pairs:
            return
        ways = renames(pairs)
        named = ", ".join(
            f"{a} -> {b}" + (f" ({n:,} times)" if n > 1 else "") for a, b, n in ways[:3]
        )
        more = f" and {len(ways) - 3:,} more ways" if len(ways) > 3 else ""
        yield Conclusion(
            "renamed",
            f"{_counted(len(pairs), 'tensor')} renamed: {named}{more}.",
            {"tensors": len(pairs), "ways": [[a, b, n] for a, b, n in ways[:50]]},
        )

    def _places(self) -> Iterator[Conclusion]:
        """Tell of layers whose weights are those of another place now."""
        steps: Counter[tuple[str, str]] = Counter()
        for change in self.elsewhere:
            if change.a is not None and change.b is not None:
                steps[_roots(change.a.name, change.b.name)] += 1
        if not steps:
            return
        named = ", ".join(f"{a} -> {b}" for a, b in list(steps)[:_NAMED])
        more = f" and {len(steps) - _NAMED:,} more" if len(steps) > _NAMED else ""
        yield Conclusion(
            "other places",
            f"Weights are in other places: {named}{more} "
            f"({_counted(len(self.elsewhere), 'tensor')}, equal bit for bit), so the network "
            "computes something else, unless what uses them moved with them.",
            {"tensors": len(self.elsewhere), "places": [[a, b] for a, b in list(steps)[:50]]},
        )

    def _tied(self) -> Iterator[Conclusion]:
        """Tell of tensors that were one, or became one."""
        for change, text in (("tied", "became one tensor"), ("untied", "is no longer one tensor")):
            found = [tie for tie in self.ties if tie.change == change]
            if found:
                more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
                yield Conclusion(
                    change,
                    f"{found[0].name}{more} {text} with {found[0].tied_to}.",
                    {"names": [tie.name for tie in found]},
                )

    def _coming_and_going(self, told: bool) -> Iterator[Conclusion]:  # noqa: FBT001
        gone = [c for c in self.parameters if c.kind == "removed"]
        new = [c for c in self.parameters if c.kind == "added"]
        if told or not (gone or new):
            return
        parts = []
        for changes, word in ((gone, "removed"), (new, "added")):
            if changes:
                layers = _folded_layers(
                    list(dict.fromkeys(c.tensor.layer or c.name for c in changes))
                )
                parts.append(f"{_counted(len(changes), 'parameter')} {word} ({layers})")
        yield Conclusion(
            "other layers",
            f"{_joined(parts)}.",
            {"removed": [c.name for c in gone], "added": [c.name for c in new]},
        )

    def _unread(self) -> Iterator[Conclusion]:
        unread = [c for c in self.all if c.kind == "unread"]
        if unread:
            yield Conclusion(
                "unread",
                f"The values of {_counted(len(unread), 'tensor')} could not be had: "
                f"{_names(unread)}.",
                {"tensors": [c.name for c in unread]},
            )

    def _other_architecture(self, paired: int, values: int) -> Conclusion:
        a = [c for c in self.parameters if c.a is not None]
        b = [c for c in self.parameters if c.b is not None]
        text = (
            f"Different architectures: of {_counted(len(a), 'parameter')} in A and {len(b):,} in B "
            f"{len(self.paired):,} belong together"
        )
        text += (
            f", with {paired:,} of A's {values:,} values."
            if self.paired
            else " by their names or by equal values."
        )
        return Conclusion(
            "other architecture", text, {"a": len(a), "b": len(b), "paired": len(self.paired)}
        )


def _low_rank(matrices: Sequence[TensorChange]) -> Conclusion | None:
    """Tell of a low-rank update, where most matrices changed by one."""
    looked = [c for c in matrices if c.rank is not None]
    found = [c for c in looked if _is_update(c)]
    if not found or len(found) < MOST * len(looked):
        return None
    ranks = Counter(c.rank.rank or 0 for c in found if c.rank is not None)
    rank, often = ranks.most_common(1)[0]
    leaves = Counter(c.tensor.layer.rpartition(".")[2] or c.name for c in found)
    named = ", ".join(
        f"{leaf} ({n:,} times)" if n > 1 else leaf for leaf, n in leaves.most_common(_NAMED)
    )
    more = f" and {len(leaves) - _NAMED:,} more" if len(leaves) > _NAMED else ""
    what = (
        f"rank {rank}"
        if often == len(found)
        else f"ranks from {min(ranks)} to {max(ranks)} (mostly {rank})"
    )
    shares = [c.rank.share(c.rank.rank or 0) for c in found if c.rank is not None]
    least = min(shares, default=0.0)
    hold = f"{'at least ' if len(found) > 1 else ''}{_percent(least)}"
    text = (
        f"A low-rank update of {what} on {named}{more}, as merging a LoRA makes: "
        f"these directions hold {hold} of the change's energy."
    )
    return Conclusion(
        "low rank",
        text,
        {
            "rank": rank,
            "ranks": {str(value): n for value, n in sorted(ranks.items())},
            "matrices": len(found),
            "of": len(looked),
            "least_energy_share": least,
        },
    )


def _holds_the_same(change: TensorChange) -> bool:
    """Whether both tensors hold the same values, wherever and in whatever order."""
    if change.kind == "reshaped" and change.a is not None and change.b is not None:
        found = change.difference
        whole = change.a.count == change.b.count
        return whole and found is not None and not found.changed_values
    return change.kind in ("unchanged", "renamed", "relaid")


def _is_update(change: TensorChange) -> bool:
    """Whether a change of low rank is spread over a matrix, not one of as few rows or columns."""
    rank, found = change.rank, change.difference
    if rank is None or not rank.rank or found is None:
        return False
    return found.changed_share > 1.5 * rank.rank / min(rank.rows, rank.columns)


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


def _folded_layers(layers: Sequence[str]) -> str:
    """Name layers, those that differ in a number alone as one: ``layers.N.fc (32 times)``."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for layer in layers:
        groups[".".join("N" if part.isdecimal() else part for part in layer.split("."))].append(
            layer
        )
    named = [
        f"{pattern} ({len(group):,} times)" if len(group) > 1 else group[0] or "the network itself"
        for pattern, group in groups.items()
    ]
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _names(changes: Sequence[TensorChange]) -> str:
    more = f" and {len(changes) - 3:,} more" if len(changes) > 3 else ""
    return ", ".join(c.name for c in changes[:3]) + more


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]])) if parts else ""


def _number(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else str(value)


def _percent(share: float) -> str:
    """Write a share; one that is not the whole is never written as 100 %.

    Examples:
        >>> _percent(0.5), _percent(0.99999), _percent(1.0)
        ('50 %', '99.9 %', '100 %')
    """
    return f"{100 * share if share == 1 else min(100 * share, 99.9):.3g} %"
