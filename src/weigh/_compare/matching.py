"""Which tensors of two networks belong together: by name, by convention, by content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from weigh._compare.content import same_content
from weigh._compare.match import FoundBy, Match, Matching, Tie, own_name
from weigh._compare.naming import NamedShape, pair_names
from weigh._tensor import Tensor


def match_tensors(
    a: Sequence[Tensor],
    b: Sequence[Tensor],
    *,
    only: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
    threads: int = 0,
) -> Matching:
    """Pair the tensors of two networks.

    Equal names come first, then names that differ as known conventions have it; what is left is
    read, and paired by its values.

    Args:
        a: the tensors of one network.
        b: those of the other.
        only: of which tensors of each the answer is to be; all if left out. What belongs to one of
            them is told whatever its own name is.
        threads: how many read what is left; as many as there are processors if 0.

    Raises:
        SourceError: a source cannot be read any more.
    """
    mine, others = ({t.name for t in each} for each in (only or (a, b)))
    matches = list(_by_names(a, b))
    rest_a, rest_b = _rest(a, b, matches)
    if any(t.name in mine for t in rest_a) or any(t.name in others for t in rest_b):
        matches += [
            Match(one, other, "content", order=order)
            for one, other, order in same_content(rest_a, rest_b, threads)
        ]
        rest_a, rest_b = _rest(a, b, matches)
        matches += _by_layers(matches, rest_a, rest_b)
        rest_a, rest_b = _rest(a, b, matches)
    order = {tensor.name: at for at, tensor in enumerate(a)}
    matches.sort(key=lambda match: order[match.a.name])
    found = _with_ties(matches, rest_a, rest_b)
    if only is None:
        return found
    return Matching(
        tuple(m for m in found.matches if m.a.name in mine or m.b.name in others),
        tuple(t for t in found.removed if t.name in mine),
        tuple(t for t in found.added if t.name in others),
        tuple(tie for tie in found.ties if tie.name in mine or tie.name in others),
    )


def _by_names(a: Sequence[Tensor], b: Sequence[Tensor]) -> Iterator[Match]:
    named_a, named_b = ({tensor.name: tensor for tensor in each} for each in (a, b))
    shapes_a, shapes_b = (
        [NamedShape(tensor.name, tensor.shape, tensor.role) for tensor in each] for each in (a, b)
    )
    for pair in pair_names(shapes_a, shapes_b):
        found_by: FoundBy = "name" if pair.a == pair.b else "convention"
        yield Match(
            named_a[pair.a], named_b[pair.b], found_by, "" if found_by == "name" else pair.how
        )


def _rest(
    a: Sequence[Tensor], b: Sequence[Tensor], matches: Sequence[Match]
) -> tuple[list[Tensor], list[Tensor]]:
    mine, others = {match.a.name for match in matches}, {match.b.name for match in matches}
    return [t for t in a if t.name not in mine], [t for t in b if t.name not in others]


def _by_layers(
    matches: Sequence[Match], rest_a: Sequence[Tensor], rest_b: Sequence[Tensor]
) -> Iterator[Match]:
    """Pair what is left in layers of which something was found: by its own name, or its shape."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for match in matches:
        if match.found_by != "name":
            votes[match.a.layer][match.b.layer] += 1
    left: defaultdict[str, list[Tensor]] = defaultdict(list)
    for tensor in rest_b:
        left[tensor.layer].append(tensor)
    taken: set[str] = set()
    for tensor in rest_a:
        if tensor.layer not in votes:
            continue
        layer = votes[tensor.layer].most_common(1)[0][0]
        alike = [t for t in left[layer] if t.name not in taken and t.shape == tensor.shape]
        own = [t for t in alike if own_name(t) == own_name(tensor)]
        twins = [t for t in rest_a if t.layer == tensor.layer and t.shape == tensor.shape]
        if len(own) == 1 or (len(alike) == 1 and len(twins) == 1):
            found = own[0] if len(own) == 1 else alike[0]
            taken.add(found.name)
            yield Match(tensor, found, "layer")


def _with_ties(
    matches: Sequence[Match], removed: Sequence[Tensor], added: Sequence[Tensor]
) -> Matching:
    """Tell what is tied in one of two networks, and what is only another name of a tensor."""
    mine = {match.a.name: match for match in matches}
    others = {match.b.name: match for match in matches}
    ties: list[Tie] = []
    kept: list[Match] = []
    for match in matches:
        if match.a.tied_to and match.b.tied_to:
            continue  # they are other names of tensors that are paired themselves
        kept.append(match)
        if match.a.tied_to:
            ties.append(Tie(match.a.name, match.a.tied_to, "untied"))
        elif match.b.tied_to:
            ties.append(Tie(match.b.name, match.b.tied_to, "tied"))
    gone, new = (
        [t for t in left if t.tied_to not in known]
        for left, known in ((removed, mine), (added, others))
    )
    ties += [
        Tie(tensor.name, tensor.tied_to, "stored once")
        for left, known in ((removed, mine), (added, others))
        for tensor in left
        if tensor.tied_to in known
    ]
    return Matching(tuple(kept), tuple(gone), tuple(new), tuple(ties))
